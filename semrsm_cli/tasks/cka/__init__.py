"""`semrsm cka`: what semantic RSMs change in centered kernel alignment (Appendix G)."""

from semrsm_cli.tasks.cka.task import cka

__all__ = ["cka"]
