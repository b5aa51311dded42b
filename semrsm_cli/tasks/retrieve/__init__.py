"""`semrsm retrieve`: whose nearest neighbour shows the same things? (Section 4.2, Appendix D)."""

from semrsm_cli.tasks.retrieve.task import retrieve

__all__ = ["retrieve"]
