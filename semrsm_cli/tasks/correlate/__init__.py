"""`semrsm correlate`: do similar representations mean similar predictions? (Section 4.3, Appendix E)."""

from semrsm_cli.tasks.correlate.task import correlate

__all__ = ["correlate"]
