"""Semantic representational similarity: how similar images, layers and networks are, free of spatial alignment."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from semrsm_cli.matching import Matching, match
from semrsm_cli.rsm import Gram, Matcher, gram, kernel, rsm

if TYPE_CHECKING:
    from semrsm_cli.measures.agreement import jensen_shannon
    from semrsm_cli.measures.cka import cka, hsic
    from semrsm_cli.measures.retrieval import count_f1, presence_iou

__all__ = [
    "Gram",
    "Matcher",
    "Matching",
    "cka",
    "count_f1",
    "gram",
    "hsic",
    "jensen_shannon",
    "kernel",
    "match",
    "presence_iou",
    "rsm",
]
__version__ = "0.1.0"

MEASURES = {
    "cka": "cka",
    "count_f1": "retrieval",
    "hsic": "cka",
    "jensen_shannon": "agreement",
    "presence_iou": "retrieval",
}


def __getattr__(name: str) -> Any:
    """Load a measure when it is first used: SciPy's statistics would slow down every `semrsm --help`."""
    if name not in MEASURES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.measures.{MEASURES[name]}"), name)
