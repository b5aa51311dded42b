"""Representational similarity matrices: matched inner products, tile by tile, and the kernels made from them."""

from semrsm_cli.rsm.centering import Centered, Centering, Pooled, Representations, compute_center
from semrsm_cli.rsm.cost import CostEstimate, estimate_cost
from semrsm_cli.rsm.gram import Gram, gram
from semrsm_cli.rsm.kernels import Kernel, KernelRows, check_bandwidth, kernel, median_sigma_by_rows, rsm
from semrsm_cli.rsm.matcher import Invariance, Matcher
from semrsm_cli.rsm.plan import Matrix, Tile, TileStore
from semrsm_cli.rsm.threads import available_cores
from semrsm_cli.rsm.work import Engine, TileWork

__all__ = [
    "Centered",
    "Centering",
    "CostEstimate",
    "Engine",
    "Gram",
    "Invariance",
    "Kernel",
    "KernelRows",
    "Matcher",
    "Matrix",
    "Pooled",
    "Representations",
    "Tile",
    "TileStore",
    "TileWork",
    "available_cores",
    "check_bandwidth",
    "compute_center",
    "estimate_cost",
    "gram",
    "kernel",
    "median_sigma_by_rows",
    "rsm",
]
