"""The optimal matching of every pair of a tile, in float32 where that is fine enough for the tolerance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.jit import compiled
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.auction import MAX_UNCACHED_ROW, Rows, round_up, solve
from semrsm_cli.matching.lanes import LANES
from semrsm_cli.matching.scans import BLOCK

__all__ = ["PARTS_OF_MATRIX", "PARTS_OF_VECTORS", "compile_all", "optimum", "pack", "room_to_remember"]

PARTS_OF_MATRIX = LANES  # that a row remembers the best column of, where looking again is quick
PARTS_OF_VECTORS = 16 * LANES  # where it means to compute them again

_Values = NDArray[np.float64]


def optimum(
    affinities: Affinities, mask: NDArray[np.bool_], tolerance: float, col_of_row: NDArray[np.int64] | None = None
) -> tuple[_Values, _Values]:
    """The value of the optimal matching of each pair of the mask [r, q], and an upper bound; 0 for other pairs.

    `bound - value` is at most `tolerance * max(|value|, s * mean|A| / 100)`; where float32 prices are too coarse for
    that, the auction is run again in float64. The permutations go to `col_of_row` [r, q, s].
    """
    found = np.zeros((3, *mask.shape))
    inner, bound, unmet = found
    if affinities.exceed_memory:
        for i, j in np.argwhere(mask):
            columns, inner[i, j], bound[i, j] = _optimum_of_vectors(affinities.left[i], affinities.right[j], tolerance)
            if col_of_row is not None:
                col_of_row[i, j] = columns
        return inner, bound
    candidates, remembered = room_to_remember(affinities.s, affinities.dtype)
    permutations = np.empty((1, 1, affinities.s), np.int64) if col_of_row is None else col_of_row
    n_unmet = 0
    for block, products in affinities.blocks(mask):
        n_unmet += _solve_tile(products, block, mask, candidates, remembered, tolerance, found, permutations)
    if n_unmet and affinities.dtype != np.float64:
        for i, j in np.argwhere(unmet):
            here = np.s_[i : i + 1, j : j + 1]
            given = affinities.of_pair(i, j).astype(np.float64)
            finer = Affinities(affinities.left[here[0]], affinities.right[here[1]], given)
            there = None if col_of_row is None else col_of_row[here]
            inner[here], bound[here] = optimum(finer, np.ones((1, 1), bool), tolerance, there)
    return inner, bound


def _optimum_of_vectors(x: NDArray[Any], y: NDArray[Any], tolerance: float) -> tuple[NDArray[np.int64], float, float]:
    """Permutation, value and bound for concept vectors x, y [s, c] of one type, whose affinity is never built.

    Memory is s * (c + 3 * PARTS_OF_VECTORS) elements.
    """
    col_of_row = np.empty(len(x), np.int64)
    packed = pack(y)
    row = np.zeros(packed.shape[0] * BLOCK, y.dtype)
    candidates, remembered = room_to_remember(len(x), x.dtype, PARTS_OF_VECTORS)
    rows = Rows(row, 0, np.ascontiguousarray(x), packed)
    value, bound, met = solve(rows, candidates, remembered, tolerance, col_of_row)
    if not met and x.dtype != np.float64:
        return _optimum_of_vectors(x.astype(np.float64), y.astype(np.float64), tolerance)
    return col_of_row, value, bound


def room_to_remember(s: int, dtype: Any, parts: int = 0) -> tuple[NDArray[np.int32] | None, NDArray[Any] | None]:
    """What the rows of a matching remember: (None, None) where they are short, unless `parts` is given."""
    parts = parts or (PARTS_OF_MATRIX if s > MAX_UNCACHED_ROW else 0)
    return (np.empty((s, parts), np.int32), np.empty((s, 2, parts), dtype)) if parts else (None, None)


def pack(y: NDArray[Any]) -> NDArray[Any]:
    """The vectors y [s, c] as `multiply` reads them, [blocks, c, BLOCK], filled up with zeros."""
    s, c = y.shape
    filled = np.zeros((round_up(s, BLOCK), c), y.dtype)
    filled[:s] = y
    return np.ascontiguousarray(filled.reshape(-1, BLOCK, c).transpose(0, 2, 1))


@compiled(nogil=True)
def _solve_tile(
    products: Any,
    block: Any,
    mask: Any,
    candidates: Any,
    remembered: Any,
    tolerance: float,
    found: Any,
    col_of_row: Any,
) -> int:
    """Match the pairs of a block of a tile: no interpreter between two pairs, and none of its locks.

    Args:
        products: The flat product [rows * s, columns * s] of the block's concept vectors, and LANES elements more.
        block: First and last row (exclusive) of the block, and first and last column.
        mask: Which pairs [r, q] of the tile to match.
        candidates: Room for those of `State`, or None.
        remembered: The same.
        tolerance: As in `solve`.
        found: Value, bound, and 1 where the tolerance was not met [3, r, q].
        col_of_row: The permutations [r, q, s], or room for one [1, 1, s] where they are not asked for.

    Returns:
        How many pairs did not meet the tolerance.
    """
    first_row, last_row, first_column, last_column = block
    s = col_of_row.shape[2]
    stride = (last_column - first_column) * s
    n_unmet = 0
    kept = 1 if col_of_row.shape[:2] == mask.shape else 0
    for i in range(first_row, last_row):
        for j in range(first_column, last_column):
            if mask[i, j]:
                rows = Rows(products[(i - first_row) * s * stride + (j - first_column) * s :], stride, None, None)
                permutation = col_of_row[kept * i, kept * j]
                value, bound, met = solve(rows, candidates, remembered, tolerance, permutation)
                found[0, i, j], found[1, i, j], found[2, i, j] = value, bound, not met
                n_unmet += not met
    return n_unmet


def compile_all() -> None:
    """Compile the auction for float32, or load what an earlier run compiled, so that no timing includes it."""
    x = np.eye(LANES, dtype=np.float32)
    mask, found, col_of_row = np.ones((1, 1), bool), np.zeros((3, 1, 1)), np.empty((1, 1, LANES), np.int64)
    for parts in (0, PARTS_OF_MATRIX):
        memory = room_to_remember(LANES, x.dtype, parts)
        _solve_tile(x.ravel(), (0, 1, 0, 1), mask, *memory, 1e-2, found, col_of_row)
    memory = room_to_remember(LANES, x.dtype, PARTS_OF_VECTORS)
    solve(Rows(np.zeros(BLOCK, x.dtype), 0, x, pack(x)), *memory, 1e-2, col_of_row[0, 0])
