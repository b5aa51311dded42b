"""The approximations of Appendix F: Batch-Optimal, TopK-Greedy, Greedy and no matching at all.

All but the last go by the L2 norms of the concept vectors. They are written for vectors that are already sorted: the
permutation of the sorted vectors is then told in terms of the original positions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.compiled import compiled
from semrsm_cli.matching.auction import look, padded
from semrsm_cli.matching.optimal import optimal, optimal_of_vectors, with_margin
from semrsm_cli.matching.result import Matching
from semrsm_cli.matching.vectors import LANES

__all__ = ["batch_optimal", "diagonal", "greedy_rows", "max_similarity", "norms", "sorted_norms_bound", "topk_greedy"]

ROWS_AT_ONCE = 256  # of an affinity that is given as x and y


def norms(x: NDArray[Any]) -> NDArray[np.float64]:
    """The L2 norms [..., s] of concept vectors x [..., s, c]."""
    return np.sqrt(np.einsum("...c,...c->...", x, x, dtype=np.float64))


def sorted_norms_bound(x: NDArray[Any], y: NDArray[Any]) -> float:
    """`sum_i |x|_(i) |y|_(i)` over the sorted norms of x, y [s, c]: no matching exceeds it (Cauchy-Schwarz)."""
    return float(np.sort(norms(x)) @ np.sort(norms(y)))


def max_similarity(affinity: NDArray[Any]) -> float:
    """MaxSim, `min(sum_i max_j A_ij, sum_j max_i A_ij)`: no matching of the affinity [s, s] exceeds it."""
    return float(min(affinity.max(1).sum(dtype=np.float64), affinity.max(0).sum(dtype=np.float64)))


def assessed(
    col_of_row: NDArray[np.int64], affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any]
) -> Matching:
    """A permutation with its value and an upper bound, without building an affinity [s, s] that is not given."""
    if affinity is None:
        value = float(np.einsum("sc,sc->", x, y[col_of_row], dtype=np.float64))
        return Matching(col_of_row, value, max(value, sorted_norms_bound(x, y)))
    value = float(affinity[np.arange(len(col_of_row)), col_of_row].sum(dtype=np.float64))
    return Matching(col_of_row, value, max(value, max_similarity(affinity)))


def block(
    affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]
) -> NDArray[Any]:
    """Some rows and columns of the affinity [s, s], taken from it or computed from x and y [s, c]."""
    return x[rows] @ y[columns].T if affinity is None else affinity[np.ix_(rows, columns)]


def batch_optimal(
    affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any], *, batch: int, tolerance: float
) -> Matching:
    """Sort the vectors x, y [s, c] by norm, cut into batches, match each batch optimally (Appendix F, 3).

    The order is ascending, as in the authors' code, so that a ragged last batch holds the largest norms. Without an
    affinity [s, s] memory is O(s * batch).
    """
    if batch >= len(x):
        return optimal_of_vectors(x, y, tolerance) if affinity is None else optimal(affinity, tolerance)
    rows, columns = np.argsort(norms(x), kind="stable"), np.argsort(norms(y), kind="stable")
    col_of_row = np.empty(len(x), np.int64)
    for start in range(0, len(x), batch):
        part = slice(start, start + batch)
        found = optimal(block(affinity, x, y, rows[part], columns[part]), tolerance)
        col_of_row[rows[part]] = columns[part][found.col_of_row]
    return assessed(col_of_row, affinity, x, y)


def topk_greedy(
    affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any], *, k: int, tolerance: float
) -> Matching:
    """Match the k largest norms of x, y [s, c] optimally and the rest greedily (Appendix F, 2); k = 0: Greedy (1)."""
    s = len(x)
    rows, columns = (np.argsort(-norms(v), kind="stable") for v in (x, y))
    col_of_row = np.empty(s, np.int64)
    taken = np.full(padded(s, LANES), np.inf, x.dtype)
    taken[:s] = 0
    if k > 0:
        col_of_row[:k] = optimal(block(affinity, x, y, rows[:k], columns[:k]), tolerance).col_of_row
        taken[: min(k, s)] = np.inf
    for start in range(min(k, s), s, ROWS_AT_ONCE):
        part = np.zeros((min(ROWS_AT_ONCE, s - start), len(taken)), x.dtype)
        part[:, :s] = block(affinity, x, y, rows[start : start + ROWS_AT_ONCE], columns)
        greedy_rows(with_margin(part), part.shape[1], taken, col_of_row[start : start + len(part)])
    found = np.empty(s, np.int64)
    found[rows] = columns[col_of_row]
    return assessed(found, affinity, x, y)


def diagonal(affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any]) -> Matching:
    """No matching: every position keeps its place."""
    return assessed(np.arange(len(x) if affinity is None else len(affinity)), affinity, x, y)


@compiled(nogil=True)
def greedy_rows(flat: Any, pitch: int, taken: Any, col_of_row: Any) -> None:
    """Each row in turn takes the best column that is not taken; row i lies at `flat[i * pitch]`.

    `taken` [s'] is 0 for a free column and infinite for others, as the prices of the auction are.
    """
    for i in range(col_of_row.shape[0]):
        _, _, column = look(flat, pitch, None, None, taken, i, 0, taken.shape[0])
        taken[column] = np.inf
        col_of_row[i] = column
