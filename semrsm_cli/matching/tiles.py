"""The compiled loop over the pairs of a tile: no interpreter between two pairs, and none of its locks."""

from typing import Any

import numpy as np

from semrsm_cli.compiled import compiled
from semrsm_cli.matching.approximate import greedy_rows
from semrsm_cli.matching.auction import look, padded, solve
from semrsm_cli.matching.vectors import LANES

__all__ = ["greedy_tile", "match_tile"]


@compiled(nogil=True)
def match_tile(
    products: Any, s: int, wanted: Any, tolerance: float, columns: Any, memory: Any, inner: Any, bound: Any, met: Any
) -> None:
    """Match all `wanted` [r, q] pairs of images.

    `products` is the flat product [r * s, q * s] of their concept vectors, and LANES elements more; pair (i, j) is a
    block of it. Value, bound and whether the tolerance was met go to the arrays [r, q] at the end.
    """
    r, q = wanted.shape
    col_of_row = np.empty(s, np.int64)
    for i in range(r):
        for j in range(q):
            if wanted[i, j]:
                flat = products[i * s * q * s + j * s :]
                inner[i, j], bound[i, j], met[i, j] = solve(
                    flat, q * s, None, None, columns, memory, tolerance, col_of_row
                )


@compiled(nogil=True)
def greedy_tile(products: Any, s: int, wanted: Any, first: int, inner: Any, bound: Any) -> None:
    """Match the rows and columns from `first` on of all `wanted` [r, q] pairs greedily; see `match_tile`.

    The positions are sorted by descending norm. To `inner` [r, q] the value is added, to `bound` MaxSim of all rows.
    """
    r, q = wanted.shape
    pitch = q * s
    col_of_row = np.empty(s, np.int64)
    everything = np.full(padded(s, LANES), np.inf, products.dtype)
    everything[:s] = 0
    for i in range(r):
        for j in range(q):
            if not wanted[i, j]:
                continue
            flat = products[i * s * pitch + j * s :]
            left = everything.copy()
            left[:first] = np.inf
            greedy_rows(flat[first * pitch :], pitch, left, col_of_row[first:])
            for row in range(s):
                best, _, _ = look(flat, pitch, None, None, everything, row, 0, len(everything))
                bound[i, j] += best
            for row in range(first, s):
                inner[i, j] += flat[row * pitch + col_of_row[row]]
