"""Representational similarity matrices: matched inner products, tile by tile, and the kernels made from them."""

from semrsm_cli.rsm.centering import Centered, Centering, mean
from semrsm_cli.rsm.gram import Gram, Invariance, TileStore, gram
from semrsm_cli.rsm.kernels import Kernel, kernel, rsm

__all__ = ["Centered", "Centering", "Gram", "Invariance", "Kernel", "TileStore", "gram", "kernel", "mean", "rsm"]
