"""The approximations of Appendix F: Batch-Optimal, TopK-Greedy, Greedy and no matching at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching.auction import optimal
from semrsm_cli.matching.result import Matching

__all__ = ["batch_optimal", "diagonal", "greedy", "max_similarity", "sorted_norms_bound", "topk_greedy"]

Block = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def max_similarity(affinity: NDArray[Any]) -> float:
    """MaxSim, `min(sum_i max_j A_ij, sum_j max_i A_ij)`: what no matching of the affinity [s, s] can exceed."""
    return float(min(affinity.max(1).sum(dtype=np.float64), affinity.max(0).sum(dtype=np.float64)))


def norms(x: NDArray[Any]) -> NDArray[np.float64]:
    """The L2 norms [s] of the concept vectors x [s, c]."""
    return np.sqrt(np.einsum("sc,sc->s", x, x, dtype=np.float64))


def sorted_norms_bound(x: NDArray[Any], y: NDArray[Any]) -> float:
    """`sum_i |x|_(i) |y|_(i)` over the sorted norms of x, y [s, c]: no matching exceeds it."""
    return float(np.sort(norms(x)) @ np.sort(norms(y)))


def block_of(affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any]) -> Block:
    """How to get `A[rows][:, columns]`: from the affinity [s, s] where it is given, else from x, y [s, c]."""
    if affinity is None:
        return lambda rows, columns: x[rows] @ y[columns].T
    return lambda rows, columns: affinity[np.ix_(rows, columns)]


def finished(columns: NDArray[np.int64], affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any]) -> Matching:
    """Value and bound of a permutation, without ever building the affinity."""
    if affinity is None:
        value = float(np.einsum("sc,sc->", x, y[columns], dtype=np.float64))
        return Matching(columns, value, max(value, sorted_norms_bound(x, y)))
    value = float(affinity[np.arange(len(columns)), columns].sum(dtype=np.float64))
    return Matching(columns, value, max(value, max_similarity(affinity)))


def batch_optimal(
    affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any], *, batch: int, tolerance: float
) -> Matching:
    """Sort both images' vectors [s, c] by norm, cut into batches, match each batch optimally (Appendix F, 3).

    The order is ascending, as in the authors' code, so that a ragged last batch holds the largest norms.
    """
    block = block_of(affinity, x, y)
    rows, columns = np.argsort(norms(x), kind="stable"), np.argsort(norms(y), kind="stable")
    col_of_row = np.empty(len(x), np.int64)
    for start in range(0, len(x), batch):
        some_rows, some_columns = rows[start : start + batch], columns[start : start + batch]
        col_of_row[some_rows] = some_columns[optimal(block(some_rows, some_columns), tolerance).col_of_row]
    return finished(col_of_row, affinity, x, y)


def topk_greedy(
    affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any], *, k: int, tolerance: float
) -> Matching:
    """Match the k largest norms of each image optimally and the rest greedily (Appendix F, 2)."""
    block = block_of(affinity, x, y)
    rows, columns = (np.argsort(-norms(v), kind="stable") for v in (x, y))
    col_of_row = np.empty(len(x), np.int64)
    if k > 0:
        col_of_row[rows[:k]] = columns[:k][optimal(block(rows[:k], columns[:k]), tolerance).col_of_row]
    left = np.sort(columns[k:])
    for row in rows[k:]:
        best = int(np.argmax(block(np.array([row]), left)[0]))
        col_of_row[row] = left[best]
        left = np.delete(left, best)
    return finished(col_of_row, affinity, x, y)


def greedy(affinity: NDArray[Any] | None, x: NDArray[Any], y: NDArray[Any]) -> Matching:
    """Rows by descending norm, each takes its best free column (Appendix F, 1)."""
    return topk_greedy(affinity, x, y, k=0, tolerance=1.0)


def diagonal(affinity: NDArray[Any]) -> Matching:
    """No matching: every position keeps its place."""
    return Matching(np.arange(len(affinity)), float(np.trace(affinity, dtype=np.float64)), max_similarity(affinity))
