"""The approximations of Appendix F for every pair of a tile: Batch-Optimal, TopK-Greedy, Greedy, no matching at all.

All but the last go by the L2 norms of the concept vectors, and return the values [r, q]. Permutations and upper bounds
cost passes of their own, and are filled in where there is room for them: `col_of_row` [r, q, s], `bound` [r, q]. The
bound is MaxSim of an affinity that is given, else the sum over sorted norms; Greedy and TopK-Greedy, which compute
every affinity, take MaxSim where it is smaller.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.jit import compiled
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.auction import Rows, round_up, row_length, scan_row
from semrsm_cli.matching.lanes import LANES
from semrsm_cli.matching.optimal import optimum, pack
from semrsm_cli.matching.scans import BLOCK

__all__ = ["batch_optimal", "greedy", "positionwise_inner", "upper_bounds"]

_Mask = NDArray[np.bool_]
_Values = NDArray[np.float64]
_Permutations = NDArray[np.int64]


def batch_optimal(
    affinities: Affinities,
    mask: _Mask,
    batch: int,
    tolerance: float,
    col_of_row: _Permutations | None = None,
    bound: _Values | None = None,
) -> _Values:
    """Sort the vectors by norm, cut into batches, match each batch optimally (Appendix F, 3).

    The order is ascending, as in the authors' code, so that a ragged last batch holds the largest norms. Of the
    affinities only those within a batch are computed.
    """
    sizes = _norms(affinities.left), _norms(affinities.right)
    if bound is not None:
        bound[:] = upper_bounds(affinities, sizes)
    rows, columns = (np.argsort(of_side, axis=1, kind="stable") for of_side in sizes)
    inner = np.zeros(mask.shape)
    matched = None if col_of_row is None else np.empty_like(col_of_row)
    for start in range(0, affinities.s, batch):
        part = affinities.select(rows[:, start : start + batch], columns[:, start : start + batch])
        of_part = None if matched is None else np.empty((*mask.shape, part.s), np.int64)
        inner += optimum(part, mask, tolerance, of_part)[0]
        if matched is not None and of_part is not None:
            matched[:, :, start : start + batch] = start + of_part
    if col_of_row is not None and matched is not None:
        _to_original_order(mask, matched, rows, columns, col_of_row)
    return inner


def greedy(
    affinities: Affinities,
    mask: _Mask,
    n_exact: int,
    tolerance: float,
    col_of_row: _Permutations | None = None,
    bound: _Values | None = None,
) -> _Values:
    """Match the `n_exact` largest norms optimally, the rest greedily (Appendix F, 2); with n_exact = 0: Greedy (1)."""
    sizes = _norms(affinities.left), _norms(affinities.right)
    if bound is not None:
        bound[:] = upper_bounds(affinities, sizes)
    rows, columns = (np.argsort(-of_side, axis=1, kind="stable") for of_side in sizes)
    n_exact = min(n_exact, affinities.s)
    inner = np.zeros(mask.shape)
    matched = None if col_of_row is None else np.empty_like(col_of_row)
    if n_exact:
        largest = affinities.select(rows[:, :n_exact], columns[:, :n_exact])
        of_largest = None if matched is None else np.empty((*mask.shape, n_exact), np.int64)
        inner = optimum(largest, mask, tolerance, of_largest)[0]
        if matched is not None and of_largest is not None:
            matched[:, :, :n_exact] = of_largest
    ordered = affinities.select(rows, columns)
    if affinities.exceed_memory:
        _match_rest_of_vectors(ordered, mask, n_exact, inner, matched)
    else:
        _match_rest(ordered, mask, n_exact, inner, bound, matched)
    if col_of_row is not None and matched is not None:
        _to_original_order(mask, matched, rows, columns, col_of_row)
    return inner


def _match_rest(
    ordered: Affinities,
    mask: _Mask,
    first: int,
    inner: _Values,
    bound: _Values | None,
    matched: _Permutations | None,
) -> None:
    """Match the positions from `first` on, sorted by descending norm, greedily: add their value to `inner` [r, q]."""
    s = ordered.s
    permutations = np.empty((1, 1, s), np.int64) if matched is None else matched
    of_rows = None if bound is None or ordered.given is not None else np.zeros(mask.shape)
    for block, products in ordered.blocks(mask):
        _greedy_tile(products, block, mask, first, inner, of_rows, permutations)
        if bound is not None and of_rows is not None:
            here = np.s_[block[0] : block[1], block[2] : block[3]]
            r, q = bound[here].shape
            maxima = products[: r * s * q * s].reshape(r, s, q, s).max(axis=1)
            of_columns = maxima.sum(axis=2, dtype=np.float64)
            bound[here] = np.minimum(bound[here], np.minimum(of_rows[here], of_columns))


def _match_rest_of_vectors(
    ordered: Affinities, mask: _Mask, first: int, inner: _Values, matched: _Permutations | None
) -> None:
    """The same without building an affinity."""
    row = np.zeros(round_up(ordered.s, BLOCK), ordered.dtype)
    for i, j in np.argwhere(mask):
        permutation = np.empty(ordered.s, np.int64) if matched is None else matched[i, j]
        inner[i, j] += _greedy_pair(Rows(row, 0, ordered.left[i], pack(ordered.right[j])), first, permutation)


def positionwise_inner(left: NDArray[Any], right: NDArray[Any]) -> _Values:
    """Inner products [r, q] of left [r, s, c] and right [q, s, c], each position with the same position."""
    s, c = left.shape[1:]
    inner = np.zeros((len(left), len(right)))
    step = max(1, 4096 // c)  # float32 sums stay short
    for start in range(0, s, step):
        a, b = (side[:, start : start + step].reshape(len(side), -1) for side in (left, right))
        inner += a @ b.T
    return inner


def _to_original_order(
    mask: _Mask,
    matched: _Permutations,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    col_of_row: _Permutations,
) -> None:
    """Tell permutations of sorted positions, `rows` [r, s] and `columns` [q, s], by the original ones."""
    for i, j in np.argwhere(mask):
        col_of_row[i, j, rows[i]] = columns[j, matched[i, j]]


def _norms(x: NDArray[Any]) -> _Values:
    """The L2 norms [n, s] of concept vectors x [n, s, c]."""
    return np.sqrt(np.einsum("nsc,nsc->ns", x, x, dtype=np.float64))


def upper_bounds(affinities: Affinities, norms: tuple[_Values, _Values] | None = None) -> _Values:
    """What no matching exceeds [r, q]: MaxSim of given affinities, else `sum_i |x|_(i) |y|_(i)` over sorted norms.

    Args:
        affinities: Those of a tile.
        norms: The norms [r, s] and [q, s] of its concept vectors, where they are known.
    """
    if affinities.given is not None:
        return np.full((1, 1), affinities.max_similarity)
    a, b = (np.sort(of_side, axis=1) for of_side in norms or (_norms(affinities.left), _norms(affinities.right)))
    return np.asarray(a @ b.T)


@compiled(nogil=True)
def _greedy_pair(rows: Rows, first: int, col_of_row: Any) -> float:
    """Each row from `first` on takes its best column that is not taken; return what they are worth, in float64.

    The columns before `first` are taken already.
    """
    s = col_of_row.shape[0]
    taken = np.full(row_length(rows, rows.x, s), np.inf, rows.flat.dtype)  # prices, infinite or 0
    taken[first:s] = 0
    value = np.float64(0)
    for i in range(first, s):
        best, _, column = scan_row(rows, taken, i, 0, taken.shape[0])
        taken[column] = np.inf
        col_of_row[i] = column
        value += best
    return value


@compiled(nogil=True)
def _greedy_tile(products: Any, block: Any, mask: Any, first: int, inner: Any, of_rows: Any, col_of_row: Any) -> None:
    """Add `_greedy_pair` of all pairs of a block to `inner` [r, q], and the sum of each row's best to `of_rows` [r, q].

    `of_rows` may be None. See `_solve_tile` for the other arguments.
    """
    first_row, last_row, first_column, last_column = block
    s = col_of_row.shape[2]
    stride = (last_column - first_column) * s
    kept = 1 if col_of_row.shape[:2] == mask.shape else 0
    free = np.full(round_up(s, LANES), np.inf, products.dtype)
    free[:s] = 0
    for i in range(first_row, last_row):
        for j in range(first_column, last_column):
            if mask[i, j]:
                rows = Rows(products[(i - first_row) * s * stride + (j - first_column) * s :], stride, None, None)
                inner[i, j] += _greedy_pair(rows, first, col_of_row[kept * i, kept * j])
                if of_rows is not None:
                    for row in range(s):
                        best, _, _ = scan_row(rows, free, row, 0, free.shape[0])
                        of_rows[i, j] += best
