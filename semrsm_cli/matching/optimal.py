"""The optimal matching of every pair of a tile, in float32 where that is fine enough for the tolerance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.auction import MAX_UNCACHED_ROW, padded, solve, solve_tile
from semrsm_cli.matching.vectors import BLOCK, LANES

__all__ = ["PARTS_OF_VECTORS", "compile_all", "optimum"]

PARTS_OF_MATRIX = LANES  # that a row remembers the best column of, where looking again is quick
PARTS_OF_VECTORS = 4 * LANES  # where it means to compute them again

Values = NDArray[np.float64]


def optimum(
    affinities: Affinities, mask: NDArray[np.bool_], tolerance: float, col_of_row: NDArray[np.int64] | None = None
) -> tuple[Values, Values]:
    """The value of the optimal matching of each pair of the mask [r, q], and an upper bound; 0 for other pairs.

    `bound - value` is at most `tolerance * max(|value|, s * mean|A| / 100)`; where float32 prices are too coarse for
    that, the auction is run again in float64. The permutations go to `col_of_row` [r, q, s].
    """
    inner, bound, met = np.zeros(mask.shape), np.zeros(mask.shape), np.ones(mask.shape, bool)
    if affinities.exceed_memory:
        for i, j in np.argwhere(mask):
            columns, inner[i, j], bound[i, j] = optimum_of_vectors(affinities.left[i], affinities.right[j], tolerance)
            if col_of_row is not None:
                col_of_row[i, j] = columns
        return inner, bound
    memory = new_memory(affinities.s, affinities.dtype)
    for *block, products in affinities.blocks(mask):
        here = tuple(block)
        some = np.ascontiguousarray(mask[here])
        found = np.zeros((3, *some.shape))
        matched = np.empty((*some.shape, affinities.s), np.int64)
        solve_tile(products, some, tolerance, *memory, found, matched)
        inner[here], bound[here] = found[:2]
        met[here] = found[2] == 0
        if col_of_row is not None:
            col_of_row[here] = matched
    if affinities.dtype != np.float64:
        for i, j in np.argwhere(~met):
            here = np.s_[i : i + 1, j : j + 1]
            given = affinities.of_pair(i, j).astype(np.float64)
            finer = Affinities(affinities.left[here[0]], affinities.right[here[1]], given)
            there = None if col_of_row is None else col_of_row[here]
            inner[here], bound[here] = optimum(finer, np.ones((1, 1), bool), tolerance, there)
    return inner, bound


def optimum_of_vectors(x: NDArray[Any], y: NDArray[Any], tolerance: float) -> tuple[NDArray[np.int64], float, float]:
    """Permutation, value and bound for concept vectors x, y [s, c] of one type, whose affinity is never built.

    Memory is s * (c + 3 * PARTS_OF_VECTORS) elements.
    """
    col_of_row = np.empty(len(x), np.int64)
    packed = pack(y)
    row = np.zeros(packed.shape[0] * BLOCK, y.dtype)
    memory = new_memory(len(x), x.dtype, PARTS_OF_VECTORS)
    value, bound, met = solve(row, 0, np.ascontiguousarray(x), packed, *memory, tolerance, col_of_row)
    if not met and x.dtype != np.float64:
        return optimum_of_vectors(x.astype(np.float64), y.astype(np.float64), tolerance)
    return col_of_row, value, bound


def new_memory(s: int, dtype: Any, parts: int = 0) -> tuple[NDArray[np.int32] | None, NDArray[Any] | None]:
    """What the rows of a matching remember: (None, None) where they are short, unless `parts` is given."""
    parts = parts or (PARTS_OF_MATRIX if s > MAX_UNCACHED_ROW else 0)
    return (np.empty((s, parts), np.int32), np.empty((s, 2, parts), dtype)) if parts else (None, None)


def pack(y: NDArray[Any]) -> NDArray[Any]:
    """The vectors y [s, c] as `multiply` reads them, [blocks, c, BLOCK], filled up with zeros."""
    s, c = y.shape
    filled = np.zeros((padded(s, BLOCK), c), y.dtype)
    filled[:s] = y
    return np.ascontiguousarray(filled.reshape(-1, BLOCK, c).transpose(0, 2, 1))


def compile_all() -> None:
    """Compile the auction for float32, or load what an earlier run compiled, so that no timing includes it."""
    x = np.eye(LANES, dtype=np.float32)
    mask, found, col_of_row = np.ones((1, 1), bool), np.zeros((3, 1, 1)), np.empty((1, 1, LANES), np.int64)
    for parts in (0, PARTS_OF_MATRIX):
        solve_tile(x.ravel(), mask, 1e-2, *new_memory(LANES, x.dtype, parts), found, col_of_row)
    memory = new_memory(LANES, x.dtype, PARTS_OF_VECTORS)
    solve(np.zeros(BLOCK, x.dtype), 0, x, pack(x), *memory, 1e-2, col_of_row[0, 0])
