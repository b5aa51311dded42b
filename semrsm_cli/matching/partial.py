"""Matchings of every pair of a tile that may leave positions free: of unequal sizes, or of pairs above a floor."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.jit import compiled
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.auction import MAX_UNCACHED_ROW, Rows, round_up
from semrsm_cli.matching.lanes import LANES
from semrsm_cli.matching.optimal import PARTS_OF_MATRIX, PARTS_OF_VECTORS, pack, room_to_remember
from semrsm_cli.matching.partial_auction import solve_partial
from semrsm_cli.matching.scans import BLOCK

__all__ = ["partial_optimum", "worth"]

_Values = NDArray[np.float64]


def partial_optimum(
    affinities: Affinities,
    mask: NDArray[np.bool_],
    tolerance: float,
    floor: float = -math.inf,
    col_of_row: NDArray[np.int64] | None = None,
) -> tuple[_Values, _Values]:
    """The value of the best matching of each pair of the mask [r, q], and an upper bound; 0 for other pairs.

    With a floor t it maximises `sum_i max(A[i, pi(i)], t) - t * min(s, s')` over all ways to give the positions of the
    smaller image different partners in the larger one; without, at -infinity, `sum_i A[i, pi(i)]`. The gap is as in
    `optimum`. The permutations go to `col_of_row` [r, q, s], with -1 for positions that stay free.
    """
    if affinities.n_columns < affinities.s:
        turned = None if col_of_row is None else np.empty((*mask.T.shape, affinities.n_columns), np.int64)
        inner, bound = partial_optimum(affinities.transposed(), mask.T, tolerance, floor, turned)
        if col_of_row is not None and turned is not None:
            col_of_row[:] = _invert(turned, affinities.s).transpose(1, 0, 2)
        return inner.T, bound.T
    found = np.zeros((3, *mask.shape))
    inner, bound, unmet = found
    s, t = affinities.s, affinities.n_columns
    permutations = np.empty((1, 1, s), np.int64) if col_of_row is None else col_of_row
    if affinities.exceed_memory:
        for i, j in np.argwhere(mask):
            columns = permutations[0, 0] if col_of_row is None else col_of_row[i, j]
            inner[i, j], bound[i, j] = _match_vectors(
                affinities.left[i], affinities.right[j], tolerance, floor, columns
            )
        return inner, bound
    candidates, remembered = room_to_remember(s, affinities.dtype, PARTS_OF_MATRIX if t > MAX_UNCACHED_ROW else 0)
    # NumPy's, which comes in large pages; zeros, since what lies beyond the last row is read, and must not be NaN
    columns = np.zeros(t * round_up(s, LANES), affinities.dtype)
    for block, products in affinities.blocks(mask):
        _solve_tile(products, columns, block, mask, t, candidates, remembered, tolerance, floor, found, permutations)
    if affinities.dtype != np.float64:
        for i, j in np.argwhere(unmet):
            here = np.s_[i : i + 1, j : j + 1]
            given = affinities.of_pair(i, j).astype(np.float64)
            finer = Affinities(affinities.left[here[0]], affinities.right[here[1]], given)
            there = None if col_of_row is None else col_of_row[here]
            inner[here], bound[here] = partial_optimum(finer, np.ones((1, 1), bool), tolerance, floor, there)
    return inner, bound


def worth(affinity: NDArray[Any], col_of_row: NDArray[np.int64], floor: float) -> float:
    """What a matching of the affinity [s, t] is worth above the floor, or in all where there is none, in float64."""
    rows = np.flatnonzero(col_of_row >= 0)
    values = affinity[rows, col_of_row[rows]].astype(np.float64)
    return float((values - floor).sum() if math.isfinite(floor) else values.sum())


def _invert(col_of_row: NDArray[np.int64], n_columns: int) -> NDArray[np.int64]:
    """For each column the row that is matched to it, or -1, of matchings [., ., s]."""
    rows_of_columns = np.full((*col_of_row.shape[:2], n_columns), -1)
    for i, j, row in np.argwhere(col_of_row >= 0):
        rows_of_columns[i, j, col_of_row[i, j, row]] = row
    return rows_of_columns


def _match_vectors(
    x: NDArray[Any], y: NDArray[Any], tolerance: float, floor: float, col_of_row: NDArray[np.int64]
) -> tuple[float, float]:
    """Value and bound for concept vectors x [s, c] and y [t, c] of one type, whose affinity is never built."""
    packed, packed_x = pack(y), pack(x)
    candidates, remembered = room_to_remember(len(x), x.dtype, PARTS_OF_VECTORS)
    rows = Rows(np.zeros(packed.shape[0] * BLOCK, y.dtype), 0, np.ascontiguousarray(x), packed)
    columns = Rows(np.zeros(packed_x.shape[0] * BLOCK, y.dtype), 0, np.ascontiguousarray(y), packed_x)
    value, bound, met = solve_partial(rows, columns, len(y), candidates, remembered, tolerance, floor, col_of_row)
    if not met and x.dtype != np.float64:
        return _match_vectors(x.astype(np.float64), y.astype(np.float64), tolerance, floor, col_of_row)
    return value, bound


@compiled(nogil=True)
def _solve_tile(
    products: Any,
    flat_columns: Any,
    block: Any,
    mask: Any,
    n_columns: int,
    candidates: Any,
    remembered: Any,
    tolerance: float,
    floor: float,
    found: Any,
    col_of_row: Any,
) -> None:
    """Match the pairs of a block of a tile, as `optimal._solve_tile` does; images on the right have n_columns each."""
    first_row, last_row, first_column, last_column = block
    s = col_of_row.shape[2]
    stride = (last_column - first_column) * n_columns
    kept = 1 if col_of_row.shape[:2] == mask.shape else 0
    length = round_up(s, LANES)
    columns = Rows(flat_columns, length, None, None)
    for i in range(first_row, last_row):
        for j in range(first_column, last_column):
            if mask[i, j]:
                start = (i - first_row) * s * stride + (j - first_column) * n_columns
                rows = Rows(products[start:], stride, None, None)
                value, bound, met = solve_partial(
                    rows,
                    columns,
                    n_columns,
                    candidates,
                    remembered,
                    tolerance,
                    floor,
                    col_of_row[kept * i, kept * j],
                )
                found[0, i, j], found[1, i, j], found[2, i, j] = value, bound, not met
