"""Representational similarity matrices: matched inner products, tile by tile, and the kernels made from them."""

from semrsm_cli.rsm.centering import Centered, Centering, Representations, mean
from semrsm_cli.rsm.forecast import Forecast, forecast
from semrsm_cli.rsm.gram import Gram, gram
from semrsm_cli.rsm.kernels import Kernel, kernel, rsm
from semrsm_cli.rsm.pairs import Invariance
from semrsm_cli.rsm.tiles import TileStore

__all__ = [
    "Centered",
    "Centering",
    "Forecast",
    "Gram",
    "Invariance",
    "Kernel",
    "Representations",
    "TileStore",
    "forecast",
    "gram",
    "kernel",
    "mean",
    "rsm",
]
