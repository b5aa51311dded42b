"""Intervals from resamples of whole groups, and a correction for several tests.

Frames of one scene, or regions of one photograph, vary together: what is drawn anew must be the group, not the image.
"""

from collections.abc import Hashable, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cluster_interval", "group_codes", "holm", "percentile_interval"]

_FloatArray = NDArray[np.float64]
_WEIGHTS_AT_ONCE = 2**22
_ROUNDING = 1e-12  # spread, relative to the largest value, that is none


def group_codes(groups: Iterable[Hashable]) -> NDArray[np.intp]:
    """Number groups in the order of their first appearance, so that their names do not matter.

    Args:
        groups: What each of n images or queries belongs to.

    Returns:
        The number of each one's group, from 0 on, [n].

    Example:
        >>> group_codes(["kitchen", "desk", "kitchen"])
        array([0, 1, 0])
    """
    code: dict[Hashable, int] = {}
    return np.array([code.setdefault(group, len(code)) for group in groups], dtype=np.intp)


def cluster_interval(
    values: ArrayLike,
    groups: Iterable[Hashable],
    *,
    level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> _FloatArray:
    """Bootstrap-t confidence interval of a mean over queries, which resamples their groups with replacement.

    The mean m = sum_g S_g / sum_g n_g is a ratio of sums over groups, with the linearised standard error
    e = sqrt(G / (G - 1) sum_g (S_g - m n_g)^2) / sum_g n_g. Each resample gives t* = (m* - m) / e*, and the interval
    reaches from m - t*_(1 + level)/2 e to m - t*_(1 - level)/2 e. Where groups are few or scores skewed, it covers
    better than quantiles of m*, which are too narrow. A resample whose groups do not differ has an infinite t*; with
    many such, the interval ends at the limits. Values that are all equal have an interval of no width.

    Args:
        values: One value for each query, [n], or several columns, [n, c], which share the resamples. Give differences
            of two methods on the same queries for an interval of the paired difference.
        groups: What each query belongs to, n of them; queries of different groups are independent.
        level: Confidence level.
        n_resamples: How often to resample the groups.
        seed: Seed of the resampling.
        limits: Least and largest possible mean, where the interval is cut.

    Returns:
        Lower and upper end, [2] or [2, c].

    Raises:
        ValueError: If there are fewer than two groups, lengths differ, or a value is NaN.

    Example:
        >>> cluster_interval([0.9, 0.8, 0.3, 0.4, 0.6, 0.7], ["a", "a", "b", "b", "c", "c"], limits=(0, 1)).shape
        (2,)
    """
    values, codes = np.asarray(values, dtype=np.float64), group_codes(groups)
    _require_groups(values, codes)
    columns = values.reshape(len(values), -1)
    sizes = np.bincount(codes)
    mean = columns.mean(axis=0)
    residuals = np.stack([np.bincount(codes, column) for column in (columns - mean).T], axis=1)  # S_g - m n_g
    error = np.sqrt(_by_degrees(len(sizes)) * (residuals**2).sum(axis=0)) / len(columns)
    varies = error > _ROUNDING * np.abs(columns).max(axis=0)
    ends = np.stack([mean, mean])
    if varies.any():
        residuals = residuals[:, varies] / error[varies]
        t = np.concatenate([_t_of(weights, residuals, sizes) for weights in _draws(len(sizes), n_resamples, seed)])
        tails = np.quantile(t, [(1 + level) / 2, (1 - level) / 2], axis=0, method="inverted_cdf")
        ends[:, varies] -= tails * error[varies]
    return ends.clip(*limits).reshape(2, *values.shape[1:])


def _require_groups(values: _FloatArray, codes: NDArray[np.intp]) -> None:
    """Raise ValueError unless there is a value for each query, of two groups at least."""
    if len(values) != len(codes):
        raise ValueError(f"values and groups must be of the same queries, got {len(values)} and {len(codes)}")
    n_groups, n_nan = len(np.unique(codes)), np.count_nonzero(np.isnan(values))
    if n_groups < 2 or n_nan:
        raise ValueError(
            f"an interval needs the values of at least two groups, none of them NaN, got {len(values)} values of "
            f"{n_groups} groups, {n_nan} of them NaN"
        )


def _draws(n_groups: int, n_resamples: int, seed: int) -> Iterator[_FloatArray]:
    """How often each group is drawn in each resample [b, g], a few resamples at a time."""
    rng, even = np.random.default_rng(seed), np.full(n_groups, 1 / n_groups)
    step = max(1, _WEIGHTS_AT_ONCE // n_groups)
    for start in range(0, n_resamples, step):
        yield rng.multinomial(n_groups, even, size=min(step, n_resamples - start)).astype(np.float64)


def _t_of(weights: _FloatArray, residuals: _FloatArray, sizes: NDArray[np.intp]) -> _FloatArray:
    """Deviation of a resample's mean over its standard error [b, c]; infinite, or 0, where that error is none."""
    n_drawn = (weights @ sizes)[:, None]
    shift = weights @ residuals / n_drawn
    square = weights @ residuals**2 - 2 * shift * (weights @ (residuals * sizes[:, None]))
    square += shift**2 * (weights @ sizes**2)[:, None]
    error = np.sqrt(_by_degrees(len(sizes)) * square.clip(0)) / n_drawn
    flat = error <= np.sqrt(_ROUNDING)  # of the standard error of all groups, which is 1
    t = shift / np.where(flat, 1.0, error)
    return np.where(flat & (np.abs(shift) > _ROUNDING), np.copysign(np.inf, shift), t)


def _by_degrees(n_groups: int) -> float:
    """What makes a sum of squared residuals unbiased."""
    return n_groups / (n_groups - 1)


def percentile_interval(resampled: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Interval between the quantiles of what resamples give; those that give NaN do not count.

    Args:
        resampled: The statistic of each resample, [b]; NaN where it has none.
        level: Confidence level.

    Returns:
        Lower and upper end of the interval.

    Raises:
        ValueError: If most resamples have none.
    """
    resampled = np.asarray(resampled, dtype=np.float64)
    defined = resampled[~np.isnan(resampled)]
    if 2 * defined.size < resampled.size or not defined.size:
        raise ValueError(
            f"only {defined.size} of {resampled.size} resamples have a value; give more images, or n_resamples=0"
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p_values: ArrayLike) -> _FloatArray:
    """Correct the p-values of several tests, so that the chance of any false rejection stays at the level (Holm 1979).

    Of m tests the one with the k-th smallest p-value gets max_(i <= k) (m - i + 1) p_(i), at most 1. The tests may
    depend on each other.

    Args:
        p_values: One for each test, [m].

    Returns:
        Corrected p-values in the same order, [m].

    Example:
        >>> holm([0.01, 0.04, 0.03])
        array([0.03, 0.06, 0.06])
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values)
    corrected = np.empty_like(p_values)
    corrected[order] = np.maximum.accumulate(p_values[order] * np.arange(p_values.size, 0, -1)).clip(max=1)
    return corrected
