"""Every matching method by name, behind one function, and its three steps: check the pair, permute, assess.

The compiled ones are imported where they are called: settings, and the help on them, need not wait for numba.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.arrays import as_array
from semrsm_cli.matching import solvers
from semrsm_cli.matching.affinities import Affinities, max_similarity

__all__ = [
    "Matching",
    "Method",
    "Permutation",
    "assess",
    "check_pair",
    "check_partial",
    "check_settings",
    "match",
    "match_tile",
    "permute",
]

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
    """For each position [s] of the first image its partner in the second one; -1 where it has none."""
    value: float
    """The sum of the matched affinities, in squared units of the features."""
    bound: float
    """What no matching exceeds."""


class Permutation(NamedTuple):
    """For each position [s] its partner; value and bound, where what finds the permutation tells them too."""

    col_of_row: NDArray[np.int64]
    certificate: tuple[float, float] | None = None


_GREEDY = frozenset({Method.topk_greedy, Method.greedy})
_BY_NORM = _GREEDY | {Method.batch_optimal}
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
    floor: float | None = None,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
) -> Matching:
    """Match the positions of two images so that the matched inner products are as large as can be.

    The permutation maximises `sum_i A[i, col_of_row[i]]` (Eq. 4), where `A[i, j] = <x_i, y_j>` is the affinity (Eq. 5);
    approximations come close to it.

    With a floor t only pairs that are worth more than it count: the value is the largest
    `sum_i max(A[i, pi(i)], t) - t * s`, and positions whose partners are worth no more have none. Of images of unequal
    size each position of the smaller one gets a partner of its own in the larger one, whose other positions stay free.

    Args:
        affinity: Inner products [s, t]; None where x and y stand for it, so that it need not fit the memory.
        method: How; `optimal` comes with a certificate, the rest of `Method` are approximations and rivals.
        tolerance: The largest certified gap of `optimal`, relative to the value.
        batch: Positions in a batch of `batch_optimal`.
        n_exact: Positions that `topk_greedy` matches optimally.
        floor: What a pair must be worth to count, in units of the affinity; None or -infinity: all are matched.
        x: Concept vectors [s, c] of the first image, which the methods that go by norms need.
        y: The same [t, c] of the second image.

    Returns:
        The permutation, its value and an upper bound.

    Raises:
        ValueError: If the affinity is not finite, x and y are missing or do not fit, a setting is off, or another
            method than `optimal` is given an affinity that is not square, or a floor.
        SemrsmError: If a rival's package is not installed.

    Example:
        >>> found = match([[1, 5], [2, 3]])
        >>> found.col_of_row
        array([1, 0])
        >>> match([[1, 5], [2, 3]], method="diagonal").value
        4.0
        >>> match([[1, 5], [2, 3]], floor=2).col_of_row  # 2 is worth no more than the floor
        array([ 1, -1])
    """
    name = Method(method)
    check_settings(tolerance, batch, n_exact)
    if name in _BY_NORM and (x is None or y is None):
        raise ValueError(f"{name} goes by the norms of the concept vectors: give x and y [s, c]")
    pair = check_pair(affinity, x, y)
    least = -math.inf if floor is None else float(floor)
    check_partial(name, floor, pair.s, pair.n_columns)
    if name in _SOLVERS and pair.given is None:
        pair = Affinities(pair.left, pair.right, pair.of_pair(0, 0))
    return assess(pair, name, permute(pair, name, tolerance=tolerance, batch=batch, n_exact=n_exact, floor=least))


def check_pair(affinity: ArrayLike | None, x: ArrayLike | None = None, y: ArrayLike | None = None) -> Affinities:
    """The first step of `match`: the affinity [s, t] and the concept vectors x [s, c] and y [t, c] of a pair, checked.

    Returns:
        A tile of this pair; its vectors have no channels where x and y are not given.

    Raises:
        ValueError: As `match`.
    """
    given = None if affinity is None else _check_array(affinity, "affinity")
    if x is None or y is None:
        if given is None:
            raise ValueError("there is nothing to match: give an affinity [s, s], or x and y [s, c]")
        left, right = np.empty((given.shape[0], 0), given.dtype), np.empty((given.shape[1], 0), given.dtype)
    else:
        left, right = _check_array(x, "x"), _check_array(y, "y")
        left, right = (v.astype(np.result_type(left, right), copy=False) for v in (left, right))
        if left.shape[1] != right.shape[1]:
            raise ValueError(f"x and y must have the same channels, got {left.shape} and {right.shape}")
    if given is not None and given.shape != (len(left), len(right)):
        raise ValueError(
            f"the affinity must have a row and a column per position, got {given.shape} for {len(left)} and "
            f"{len(right)} positions"
        )
    return Affinities(left[None], right[None], given)


def check_partial(method: Method | str, floor: float | None, s: int = 1, t: int = 1) -> None:
    """Raise ValueError where a method knows no floor, or no affinity [s, t] that is not square."""
    if floor is not None and not floor < math.inf:  # nan, too
        raise ValueError(f"floor must be a number, or be left out, got {floor}")
    if method == Method.optimal:
        return
    if floor is not None and floor > -math.inf:
        raise ValueError(f"floor={floor} goes with the method optimal, got {method}")
    if s != t:
        raise ValueError(f"the affinity must be square for {method}, got {(s, t)}; optimal matches unequal sizes")


def permute(
    pair: Affinities, method: Method, *, tolerance: float, batch: int, n_exact: int, floor: float = -math.inf
) -> Permutation:
    """The second step of `match`, and all that finding a permutation takes: norms and their order belong to it.

    Args:
        pair: What `check_pair` gives; the solvers of others need its affinity.
        method: As in `match`, like the rest.
        tolerance: The largest certified gap of `optimal`.
        batch: Positions in a batch of `batch_optimal`.
        n_exact: Positions that `topk_greedy` matches optimally.
        floor: What a pair must be worth to count.
    """
    if method is Method.diagonal:
        return Permutation(np.arange(pair.s))
    if method in _SOLVERS:
        return Permutation(_SOLVERS[method](pair.of_pair(0, 0)))
    from semrsm_cli.matching.approximate import batch_optimal, greedy

    col_of_row = np.empty((1, 1, pair.s), np.int64)
    certificate = None
    if method in _GREEDY:
        greedy(pair, _ONE_PAIR, n_exact if method is Method.topk_greedy else 0, tolerance, col_of_row)
    elif method is Method.batch_optimal and batch < pair.s:
        batch_optimal(pair, _ONE_PAIR, batch, tolerance, col_of_row)
    else:
        value, bound = _optimum(pair, _ONE_PAIR, tolerance, floor, col_of_row)
        certificate = float(value[0, 0]), float(bound[0, 0])
    return Permutation(col_of_row[0, 0], certificate)


def _optimum(
    affinities: Affinities,
    mask: NDArray[np.bool_],
    tolerance: float,
    floor: float,
    col_of_row: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`optimum`, or `partial_optimum` where positions may stay free."""
    from semrsm_cli.matching.optimal import optimum
    from semrsm_cli.matching.partial import partial_optimum

    if floor == -math.inf and affinities.s == affinities.n_columns:
        return optimum(affinities, mask, tolerance, col_of_row)
    return partial_optimum(affinities, mask, tolerance, floor, col_of_row)


def assess(pair: Affinities, method: Method, permutation: Permutation) -> Matching:
    """The third step of `match`: what the permutation is worth, summed in float64, and what no matching exceeds."""
    col_of_row, certificate = permutation
    if certificate is not None:
        return Matching(col_of_row, *certificate)
    if pair.given is None:
        value = float(np.einsum("sc,sc->", pair.left[0], pair.right[0][col_of_row], dtype=np.float64))
    else:
        value = float(pair.given[np.arange(pair.s), col_of_row].sum(dtype=np.float64))
    if method in _EXACT:
        return Matching(col_of_row, value, value)
    from semrsm_cli.matching.approximate import upper_bounds

    bound = float(upper_bounds(pair)[0, 0])
    if method in _GREEDY and pair.given is None and not pair.exceed_memory:
        bound = min(bound, max_similarity(pair.of_pair(0, 0)))
    return Matching(col_of_row, value, max(value, bound))


def match_tile(
    affinities: Affinities,
    mask: NDArray[np.bool_],
    method: Method | str,
    tolerance: float,
    batch: int,
    n_exact: int,
    floor: float = -math.inf,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and upper bounds [r, q] of all pairs of the mask, without permutations; those of others mean nothing.

    The settings are those of `match`.
    """
    from semrsm_cli.matching.approximate import batch_optimal, greedy, positionwise_inner, upper_bounds

    bound = np.zeros(mask.shape)
    match method:
        case Method.batch_optimal if batch < affinities.s:
            inner = batch_optimal(affinities, mask, batch, tolerance, bound=bound)
        case Method.optimal | Method.batch_optimal:
            return _optimum(affinities, mask, tolerance, floor)
        case Method.topk_greedy:
            inner = greedy(affinities, mask, n_exact, tolerance, bound=bound)
        case Method.greedy:
            inner = greedy(affinities, mask, 0, tolerance, bound=bound)
        case Method.diagonal:
            inner, bound = positionwise_inner(affinities.left, affinities.right), upper_bounds(affinities)
        case _:
            inner, bound = _external_solver(affinities, mask, Method(method))
    return inner, np.maximum(inner, bound)


def _external_solver(
    affinities: Affinities, mask: NDArray[np.bool_], method: Method
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The solvers of others, which know no tiles."""
    inner, bound = np.zeros(mask.shape), np.zeros(mask.shape)
    for i, j in np.argwhere(mask):
        pair = Affinities(affinities.left[i : i + 1], affinities.right[j : j + 1], affinities.of_pair(i, j))
        matching = assess(pair, method, Permutation(_SOLVERS[method](pair.of_pair(0, 0))))
        inner[i, j], bound[i, j] = matching.value, matching.bound
    return inner, bound


def check_settings(tolerance: float, batch: int, n_exact: int) -> None:
    """Raise ValueError where a number among the settings of `match` is out of range."""
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be at least 0 and below 1, got {tolerance}; try 1e-4")
    for name, number in (("batch", batch), ("n_exact", n_exact)):
        if not number >= 1:  # nan, too
            raise ValueError(f"{name} must be at least 1, got {number}")


def _check_array(array: ArrayLike, name: str) -> NDArray[Any]:
    """A two-dimensional, finite, not empty array of float32 or, for float64 and integers, float64."""
    a = np.asarray(as_array(array))
    a = a.astype(np.float64 if a.dtype == np.float64 or a.dtype.kind in "iub" else np.float32, copy=False)
    if a.ndim != 2 or 0 in a.shape:
        raise ValueError(f"{name} must have two dimensions, none of them empty, got shape {a.shape}")
    if np.isfinite(np.vdot(a, a)):  # quicker than to look at each; what overflows has to be looked at
        return a
    finite = np.isfinite(a)
    if not finite.all():
        raise ValueError(f"{name} must be finite, but {np.count_nonzero(~finite)} of {a.size} values are not")
    return a
