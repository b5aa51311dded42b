"""`semrsm data`."""

from semrsm_cli.tasks.data.task import data

__all__ = ["data"]
