"""The approximations of Appendix F for every pair of a tile: Batch-Optimal, TopK-Greedy, Greedy, no matching at all.

All but the last go by the L2 norms of the concept vectors. Each returns a value and an upper bound [r, q]. The bound
is MaxSim of an affinity that is given, else the sum over sorted norms; Greedy and TopK-Greedy, which compute every
affinity, take MaxSim where it is smaller. Where permutations are asked for, by `col_of_row` [r, q, s], the value is
summed over all rows at once, in float64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.compiled import compiled
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.auction import look, padded
from semrsm_cli.matching.optimal import optimum, pack
from semrsm_cli.matching.vectors import BLOCK, LANES

__all__ = ["batch_optimal", "diagonal", "greedy", "max_similarity", "positionwise_inner"]

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
Permutations = NDArray[np.int64]


def batch_optimal(
    affinities: Affinities, mask: Mask, batch: int, tolerance: float, col_of_row: Permutations | None = None
) -> tuple[Values, Values]:
    """Sort the vectors by norm, cut into batches, match each batch optimally (Appendix F, 3).

    The order is ascending, as in the authors' code, so that a ragged last batch holds the largest norms. Of the
    affinities only those within a batch are computed.
    """
    s = affinities.s
    if s <= batch:
        return optimum(affinities, mask, tolerance, col_of_row)
    sizes = norms(affinities.left), norms(affinities.right)
    rows, columns = (np.argsort(of_side, axis=1, kind="stable") for of_side in sizes)
    inner = np.zeros(mask.shape)
    matched = None if col_of_row is None else np.empty_like(col_of_row)
    for start in range(0, s, batch):
        part = np.s_[start : start + batch]
        of_part = None if matched is None else matched[:, :, part]
        inner += optimum(affinities.select(rows[:, part], columns[:, part]), mask, tolerance, of_part)[0]
        if of_part is not None:
            of_part += start
    if col_of_row is not None and matched is not None:
        inner = in_original_order(affinities, mask, matched, rows, columns, col_of_row)
    return inner, upper_bounds(affinities, *sizes)


def greedy(
    affinities: Affinities, mask: Mask, n_exact: int, tolerance: float, col_of_row: Permutations | None = None
) -> tuple[Values, Values]:
    """Match the `n_exact` largest norms optimally, the rest greedily (Appendix F, 2); with n_exact = 0: Greedy (1)."""
    sizes = norms(affinities.left), norms(affinities.right)
    rows, columns = (np.argsort(-of_side, axis=1, kind="stable") for of_side in sizes)
    first = np.s_[: min(n_exact, affinities.s)]
    inner, bound = np.zeros(mask.shape), upper_bounds(affinities, *sizes)
    matched = None if col_of_row is None else np.empty_like(col_of_row)
    if n_exact:
        of_first = None if matched is None else matched[:, :, first]
        inner = optimum(affinities.select(rows[:, first], columns[:, first]), mask, tolerance, of_first)[0]
    ordered = affinities.select(rows, columns)
    if affinities.exceed_memory:
        match_rest_of_vectors(ordered, mask, first.stop, inner, matched)
    else:
        match_rest(ordered, mask, first.stop, inner, bound, matched)
    if col_of_row is not None and matched is not None:
        inner = in_original_order(affinities, mask, matched, rows, columns, col_of_row)
    return inner, bound


def match_rest(
    ordered: Affinities, mask: Mask, first: int, inner: Values, bound: Values, matched: Permutations | None
) -> None:
    """Match the positions from `first` on, sorted by descending norm, greedily: add their value to `inner` [r, q]."""
    s = ordered.s
    for rows, columns, products in ordered.blocks(mask):
        some = np.ascontiguousarray(mask[rows, columns])
        values, col_of_row = np.zeros(some.shape), np.empty((*some.shape, s), np.int64)
        greedy_tile(products, some, first, values, col_of_row)
        inner[rows, columns] += values
        if ordered.given is None:
            r, q = some.shape
            most = max_similarity(products[: r * s * q * s].reshape(r, s, q, s))
            bound[rows, columns] = np.minimum(bound[rows, columns], most)
        if matched is not None:
            matched[rows, columns, first:] = col_of_row[:, :, first:]


def match_rest_of_vectors(
    ordered: Affinities, mask: Mask, first: int, inner: Values, matched: Permutations | None
) -> None:
    """The same without building an affinity."""
    row, col_of_row = np.zeros(padded(ordered.s, BLOCK), ordered.dtype), np.empty(ordered.s, np.int64)
    for i, j in np.argwhere(mask):
        inner[i, j] += greedy_pair(row, 0, ordered.left[i], pack(ordered.right[j]), first, col_of_row)
        if matched is not None:
            matched[i, j, first:] = col_of_row[first:]


def diagonal(affinities: Affinities, mask: Mask, col_of_row: Permutations | None = None) -> tuple[Values, Values]:
    """No matching: every position keeps its place."""
    bound = upper_bounds(affinities, norms(affinities.left), norms(affinities.right))
    if col_of_row is None:
        return positionwise_inner(affinities.left, affinities.right), bound
    col_of_row[:] = np.arange(affinities.s)
    return values_of(affinities, mask, col_of_row), bound


def positionwise_inner(left: NDArray[Any], right: NDArray[Any]) -> Values:
    """Inner products [r, q] of left [r, s, c] and right [q, s, c], each position with the same position."""
    s, c = left.shape[1:]
    inner = np.zeros((len(left), len(right)))
    step = max(1, 4096 // c)  # float32 sums stay short
    for start in range(0, s, step):
        a, b = (side[:, start : start + step].reshape(len(side), -1) for side in (left, right))
        inner += a @ b.T
    return inner


def in_original_order(
    affinities: Affinities,
    mask: Mask,
    matched: Permutations,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    col_of_row: Permutations,
) -> Values:
    """Tell permutations of sorted positions, `rows` [r, s] and `columns` [q, s], by the original ones; their values."""
    for i, j in np.argwhere(mask):
        col_of_row[i, j, rows[i]] = columns[j, matched[i, j]]
    return values_of(affinities, mask, col_of_row)


def values_of(affinities: Affinities, mask: Mask, col_of_row: Permutations) -> Values:
    """What the permutations [r, q, s] are worth, without building an affinity."""
    values = np.zeros(mask.shape)
    for i, j in np.argwhere(mask):
        columns = col_of_row[i, j]
        if affinities.given is not None:
            values[i, j] = affinities.given[np.arange(affinities.s), columns].sum(dtype=np.float64)
        else:
            values[i, j] = np.einsum("sc,sc->", affinities.left[i], affinities.right[j][columns], dtype=np.float64)
    return values


def norms(x: NDArray[Any]) -> Values:
    """The L2 norms [n, s] of concept vectors x [n, s, c]."""
    return np.sqrt(np.einsum("nsc,nsc->ns", x, x, dtype=np.float64))


def upper_bounds(affinities: Affinities, left_norms: Values, right_norms: Values) -> Values:
    """What no matching exceeds: MaxSim of given affinities, else `sum_i |x|_(i) |y|_(i)` over sorted norms [., s]."""
    if affinities.given is not None:
        return max_similarity(affinities.given[None, :, None])
    a, b = (np.sort(of_side, axis=1) for of_side in (left_norms, right_norms))
    return np.asarray(a @ b.T)


def max_similarity(products: NDArray[Any]) -> Values:
    """MaxSim [r, q] of affinities [r, s, q, s], `min(sum_i max_j A_ij, sum_j max_i A_ij)`: no matching exceeds it."""
    of_rows = np.ascontiguousarray(products.max(axis=3).transpose(0, 2, 1))
    return np.minimum(of_rows.sum(axis=2, dtype=np.float64), products.max(axis=1).sum(axis=2, dtype=np.float64))


@compiled(nogil=True)
def greedy_pair(flat: Any, pitch: int, x: Any, packed: Any, first: int, col_of_row: Any) -> float:
    """Each row from `first` on takes its best column that is not taken; return what they are worth, in float64.

    The affinities are as `solve` takes them. The columns before `first` are taken already.
    """
    s = col_of_row.shape[0]
    taken = np.full(padded(s, LANES) if x is None else flat.shape[0], np.inf, flat.dtype)  # infinite, as prices may be
    taken[first:s] = 0
    value = 0.0
    for i in range(first, s):
        best, _, column = look(flat, pitch, x, packed, taken, i, 0, taken.shape[0])
        taken[column] = np.inf
        col_of_row[i] = column
        value += best
    return value


@compiled(nogil=True)
def greedy_tile(products: Any, mask: Any, first: int, inner: Any, col_of_row: Any) -> None:
    """`greedy_pair` for all pairs of the mask [r, q]; see `solve_tile` for the arguments."""
    r, q, s = col_of_row.shape
    for i in range(r):
        for j in range(q):
            if mask[i, j]:
                flat = products[i * s * q * s + j * s :]
                inner[i, j] = greedy_pair(flat, q * s, None, None, first, col_of_row[i, j])
