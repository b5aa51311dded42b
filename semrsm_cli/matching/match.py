"""Every matching method by name, behind one function."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.matching import solvers
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.approximate import batch_optimal, diagonal, greedy, max_similarity
from semrsm_cli.matching.optimal import optimum

__all__ = ["Matching", "Method", "check_settings", "match", "match_tile"]

_ONE_PAIR = np.ones((1, 1), bool)


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


@dataclass(frozen=True, slots=True)
class Matching:
    """A permutation of the positions with its value: `value <= optimum <= bound`.

    Example:
        >>> found = match([[1, 5], [2, 3]])
        >>> [found.value, found.bound - found.value < 1e-3]
        [7.0, True]
    """

    col_of_row: NDArray[np.int64]
    """For each position [s] of the first image its partner in the second one."""
    value: float
    """The sum of the matched affinities, in squared units of the features."""
    bound: float
    """What no matching exceeds."""


_BY_NORM = frozenset({Method.batch_optimal, Method.topk_greedy, Method.greedy})
_EXACT = frozenset({Method.scipy, Method.ortools, Method.lapjv, Method.lapx, Method.lapcpp})
_SOLVERS: dict[Method, Callable[[NDArray[Any]], NDArray[np.int64]]] = {
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
    n_exact: int = 128,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
) -> Matching:
    """Match the positions of two images so that the matched inner products are as large as can be.

    The permutation maximises `sum_i A[i, col_of_row[i]]` (Eq. 4), where `A[i, j] = <x_i, y_j>` is the affinity (Eq. 5);
    approximations come close to it.

    Args:
        affinity: Inner products [s, s]; None where x and y stand for it, so that it need not fit the memory.
        method: How; `optimal` comes with a certificate, the rest of `Method` are approximations and rivals.
        tolerance: The largest certified gap of `optimal`, relative to the value.
        batch: Positions in a batch of `batch_optimal`.
        n_exact: Positions that `topk_greedy` matches optimally.
        x: Concept vectors [s, c] of the first image, which the methods that go by norms need.
        y: The same of the second image.

    Returns:
        The permutation, its value and an upper bound.

    Raises:
        ValueError: If the affinity is not square and finite, x and y are missing or do not fit, or a setting is off.
        SemrsmError: If a rival's package is not installed.

    Example:
        >>> found = match([[1, 5], [2, 3]])
        >>> found.col_of_row
        array([1, 0])
        >>> match([[1, 5], [2, 3]], method="diagonal").value
        4.0
    """
    name = Method(method)
    check_settings(tolerance, batch, n_exact)
    given = None if affinity is None else _check_array(affinity, "affinity")
    left, right = _vectors(name, given, x, y)
    col_of_row = np.empty((1, 1, len(left)), np.int64)
    inner, bound = match_tile(
        Affinities(left[None], right[None], given), _ONE_PAIR, name, tolerance, batch, n_exact, col_of_row
    )
    return Matching(col_of_row[0, 0], float(inner[0, 0]), float(bound[0, 0]))


def match_tile(
    affinities: Affinities,
    mask: NDArray[np.bool_],
    method: Method | str,
    tolerance: float,
    batch: int,
    n_exact: int,
    col_of_row: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and upper bounds [r, q] of all pairs of the mask; their permutations go to `col_of_row` [r, q, s].

    The values of other pairs mean nothing. The settings are those of `match`.
    """
    match method:
        case Method.optimal:
            return optimum(affinities, mask, tolerance, col_of_row)
        case Method.batch_optimal:
            inner, bound = batch_optimal(affinities, mask, batch, tolerance, col_of_row)
        case Method.topk_greedy:
            inner, bound = greedy(affinities, mask, n_exact, tolerance, col_of_row)
        case Method.greedy:
            inner, bound = greedy(affinities, mask, 0, tolerance, col_of_row)
        case Method.diagonal:
            inner, bound = diagonal(affinities, mask, col_of_row)
        case _:
            inner, bound = _external_solver(affinities, mask, Method(method), col_of_row)
    return inner, np.maximum(inner, bound)


def _external_solver(
    affinities: Affinities, mask: NDArray[np.bool_], method: Method, col_of_row: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The solvers of others, which know no tiles."""
    inner, bound = np.zeros(mask.shape), np.zeros(mask.shape)
    for i, j in np.argwhere(mask):
        affinity = affinities.of_pair(i, j)
        columns = _SOLVERS[method](affinity)
        inner[i, j] = affinity[np.arange(affinities.s), columns].sum(dtype=np.float64)
        bound[i, j] = inner[i, j] if method in _EXACT else max_similarity(affinity)
        if col_of_row is not None:
            col_of_row[i, j] = columns
    return inner, bound


def _vectors(
    method: Method, affinity: NDArray[Any] | None, x: ArrayLike | None, y: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The concept vectors x and y [s, c], checked; without channels where they are not given and not needed."""
    if x is None or y is None:
        if method in _BY_NORM:
            raise ValueError(f"{method} goes by the norms of the concept vectors: give x and y [s, c]")
        if affinity is None:
            raise ValueError("there is nothing to match: give an affinity [s, s], or x and y [s, c]")
        left = right = np.empty((len(affinity), 0), affinity.dtype)
    else:
        left, right = _check_array(x, "x"), _check_array(y, "y")
        left, right = (v.astype(np.result_type(left, right), copy=False) for v in (left, right))
        if left.shape != right.shape:
            raise ValueError(f"x and y must have the same positions and channels, got {left.shape} and {right.shape}")
    if affinity is not None and affinity.shape != (len(left), len(left)):
        raise ValueError(f"the affinity must be square with a row per position, got {affinity.shape} for {len(left)}")
    return left, right


def check_settings(tolerance: float, batch: int, n_exact: int) -> None:
    """Raise ValueError where a number among the settings of `match` is out of range."""
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be at least 0 and below 1, got {tolerance}; try 1e-4")
    for name, number in (("batch", batch), ("n_exact", n_exact)):
        if not number >= 1:  # nan, too
            raise ValueError(f"{name} must be at least 1, got {number}")


def _check_array(array: ArrayLike, name: str) -> NDArray[Any]:
    """A two-dimensional, finite, not empty array of float32 or, for float64 and integers, float64."""
    a = np.asarray(array)
    a = a.astype(np.float64 if a.dtype == np.float64 or a.dtype.kind in "iub" else np.float32, copy=False)
    if a.ndim != 2 or 0 in a.shape:
        raise ValueError(f"{name} must have two dimensions, none of them empty, got shape {a.shape}")
    finite = np.isfinite(a)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {np.count_nonzero(~finite)} of {a.size} values are not")
    return a
