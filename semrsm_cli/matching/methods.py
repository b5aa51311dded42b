"""Every matching method by name, behind one function."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.matching import approximate, auction, solvers
from semrsm_cli.matching.result import Matching

__all__ = ["Method", "match"]


class Method(StrEnum):
    """How the positions of two images are matched."""

    optimal = "optimal"
    batch_optimal = "batch_optimal"
    topk_greedy = "topk_greedy"
    greedy = "greedy"
    diagonal = "diagonal"
    scipy = "scipy"
    ortools = "ortools"
    lapjv = "lapjv"
    lapx = "lapx"
    lapcpp = "lapcpp"
    greedy_upstream = "greedy_upstream"
    ortools_x1000 = "ortools_x1000"


BY_NORM = frozenset({Method.batch_optimal, Method.topk_greedy, Method.greedy})
EXACT = frozenset({Method.scipy, Method.ortools, Method.lapjv, Method.lapx, Method.lapcpp})
SOLVERS: dict[Method, Callable[[NDArray[Any]], NDArray[np.int64]]] = {
    Method.scipy: solvers.scipy,
    Method.ortools: solvers.ortools,
    Method.lapjv: solvers.lapjv,
    Method.lapx: solvers.lapx,
    Method.lapcpp: solvers.lapcpp,
    Method.greedy_upstream: solvers.greedy_upstream,
    Method.ortools_x1000: solvers.ortools_x1000,
}


def match(
    affinity: ArrayLike | None,
    *,
    method: Method | str = Method.optimal,
    tolerance: float = 1e-4,
    batch: int = 512,
    k: int = 128,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
) -> Matching:
    """Find the permutation that maximises `sum_i A[i, col_of_row[i]]` (Section 3.1.1), or come close to it.

    Args:
        affinity: Inner products [s, s]; None where x and y stand for it.
        method: How; `optimal` comes with a certificate, the rest of `Method` are approximations and rivals.
        tolerance: The largest certified gap of `optimal`, relative to the value.
        batch: Positions in a batch of `batch_optimal`.
        k: Positions that `topk_greedy` matches optimally.
        x: Concept vectors [s, c] of the first image, which the methods that go by norms need.
        y: The same of the second image.

    Raises:
        ValueError: If the affinity is not square and finite, or x and y are missing or do not fit.
    """
    name = Method(method)
    a = None if affinity is None else checked(affinity, "affinity")
    if x is None or y is None:
        if name in BY_NORM:
            raise ValueError(f"{name} goes by the norms of the concept vectors: give x and y [s, c]")
        if a is None:
            raise ValueError("there is nothing to match: give an affinity [s, s], or x and y [s, c]")
        left = right = np.empty((len(a), 0), np.float32)
    else:
        left, right = checked(x, "x"), checked(y, "y")
        if left.shape != right.shape:
            raise ValueError(f"x and y must have the same positions and channels, got {left.shape} and {right.shape}")
    if a is not None and a.shape != (len(left), len(left)):
        raise ValueError(f"the affinity must be square with one row per position, got {a.shape} for {len(left)}")
    if name is Method.batch_optimal:
        return approximate.batch_optimal(a, left, right, batch=batch, tolerance=tolerance)
    if name is Method.topk_greedy:
        return approximate.topk_greedy(a, left, right, k=k, tolerance=tolerance)
    if name is Method.greedy:
        return approximate.greedy(a, left, right)
    if a is None:
        a = left @ right.T
    if name is Method.optimal:
        return auction.optimal(a, tolerance)
    if name is Method.diagonal:
        return approximate.diagonal(a)
    columns = SOLVERS[name](a)
    value = float(a[np.arange(len(a)), columns].sum(dtype=np.float64))
    return Matching(columns, value, value if name in EXACT else max(value, approximate.max_similarity(a)))


def checked(array: ArrayLike, name: str) -> NDArray[Any]:
    """A two-dimensional, finite, not empty array of float32 or float64."""
    a = np.asarray(array)
    a = a.astype(np.float64 if a.dtype == np.float64 or a.dtype.kind in "iub" else np.float32, copy=False)
    if a.ndim != 2 or 0 in a.shape:
        raise ValueError(f"{name} must have two dimensions, none of them empty, got shape {a.shape}")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} must be finite, but {np.count_nonzero(~np.isfinite(a))} of {a.size} values are not")
    return a
