"""`semrsm bench`: time and quality of the matchings (Table 5, Figures 5 and 6)."""

from semrsm_cli.tasks.bench.task import bench

__all__ = ["bench"]
