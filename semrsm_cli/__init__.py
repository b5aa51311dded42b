"""Semantic representational similarity: how similar images, layers and networks are, free of spatial alignment."""

from typing import TYPE_CHECKING

import lazy_loader

from semrsm_cli.matching import Matching, match
from semrsm_cli.rsm import Gram, Matcher, gram, kernel, rsm

if TYPE_CHECKING:
    from semrsm_cli.data.layers import read_layers
    from semrsm_cli.data.save_layers import save_layers
    from semrsm_cli.measures.agreement import jensen_shannon
    from semrsm_cli.measures.cka import cka, hsic
    from semrsm_cli.measures.nulls import cka_test
    from semrsm_cli.measures.rdms import from_rdms, to_rdms
    from semrsm_cli.measures.retrieval import count_f1, presence_iou
    from semrsm_cli.pipeline.module import Represented, represent

__all__ = [
    "Gram",
    "Matcher",
    "Matching",
    "Represented",
    "cka",
    "cka_test",
    "count_f1",
    "from_rdms",
    "gram",
    "hsic",
    "jensen_shannon",
    "kernel",
    "match",
    "presence_iou",
    "read_layers",
    "represent",
    "rsm",
    "save_layers",
    "to_rdms",
]
__version__ = "0.1.0"

# Statistics and torch would slow down every `semrsm --help`. `rsm` cannot be lazy: it is a subpackage's name, too.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data.layers": ["read_layers"],
        "data.save_layers": ["save_layers"],
        "measures.agreement": ["jensen_shannon"],
        "measures.cka": ["cka", "hsic"],
        "measures.rdms": ["from_rdms", "to_rdms"],
        "measures.nulls": ["cka_test"],
        "measures.retrieval": ["count_f1", "presence_iou"],
        "pipeline.module": ["Represented", "represent"],
    },
)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
