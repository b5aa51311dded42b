"""Do two similarities of the same images agree? Correlation over all pairs of images (Section 4.3, Appendix E).

All functions take square matrices [n, n], read the pairs above the diagonal a few rows at a time, and hold few of them
at once; `ranks` makes Spearman's of every Pearson's. The pairs of n images are not independent of each other, so
intervals and tests draw images, never pairs; and whole groups of images, where these are related.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.measures.divergence import jensen_shannon, softmax
from semrsm_cli.measures.moments import Draws, check_shapes, correlations, varying_moments, weighted_sums
from semrsm_cli.measures.pairs import PairRanks, Rows, ranks
from semrsm_cli.measures.resampling import group_codes, percentile_interval

__all__ = [
    "PairRanks",
    "PermutationTest",
    "correlation_interval",
    "jensen_shannon",
    "pearson",
    "permutation_test",
    "ranks",
    "resample_correlation",
    "softmax",
    "spearman",
]

_FloatArray = NDArray[np.float64]


class PermutationTest(NamedTuple):
    """How much better the one similarity correlates, and how often chance alone does as well."""

    difference: float
    p_value: float


def pearson(x: Rows, y: Rows, *, rows_at_once: int | None = None) -> float:
    """Pearson correlation of x and y over all pairs of images i < j, exact in float64 however the blocks are cut.

    Args:
        x: Similarities of n images, [n, n]; only entries above the diagonal are read.
        y: What they shall agree with, of the same images, for example their Jensen-Shannon divergence.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Returns:
        Correlation within [-1, 1].

    Raises:
        ValueError: If there are fewer than three images, shapes differ, or x or y is constant, NaN or infinite.
    """
    _, _, comoment = varying_moments({"x": x, "y": y}, rows_at_once)
    r = comoment[0, 1] / np.sqrt(comoment[0, 0] * comoment[1, 1])
    return float(np.clip(r, -1.0, 1.0))


def spearman(x: Rows, y: Rows, *, rows_at_once: int | None = None, threads: int | None = None) -> float:
    """Spearman correlation of x and y over all pairs of images i < j: Pearson's of `ranks(x)` and `ranks(y)`.

    Args:
        x: Similarities of n images, [n, n]; only entries above the diagonal are read.
        y: What they shall agree with, of the same images.
        rows_at_once: Rows per block; None takes blocks of two million entries.
        threads: How many; None takes one for each core that this process may use.

    Returns:
        Correlation within [-1, 1].

    Raises:
        ValueError: As `pearson`.
    """
    check_shapes({"x": x, "y": y})
    of_x = ranks(x, rows_at_once=rows_at_once, threads=threads)
    of_y = ranks(y, rows_at_once=rows_at_once, threads=threads)
    return pearson(of_x, of_y, rows_at_once=rows_at_once)


def resample_correlation(
    x: Rows,
    y: Rows,
    *,
    groups: Sequence[Hashable] | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    rows_at_once: int | None = None,
) -> _FloatArray:
    """Correlations of x and y in resamples of images, or of groups of related images, with replacement.

    Groups a and b drawn w_a and w_b times give each pair between them the weight w_a w_b. Copies of a group stand for
    different groups of the population, whose pairs with each other are not known, and are dropped; but each copy brings
    the pairs within it. Of G groups one pair of drawn ones in G is dropped so, on average; hence pairs within a group
    weigh w_a (1 - 1 / G), and both kinds keep their share. An image that stands alone has no pairs within.

    By simulation, the middle 95 % of the resamples cover the truth in 95 to 98 % of samples of 16 or more groups; in
    more where pairs vary by themselves rather than with their images, since that is counted up to three times; in fewer
    (80 to 90 %) where a few out of 12 to 30 groups have by far the largest similarities.

    Args:
        x: Similarities of n images, [n, n], or their `ranks` for Spearman's: pairs then keep the ranks that they have
            in the whole sample.
        y: What they shall agree with, of the same images.
        groups: What each image belongs to, n of them; None where each stands alone.
        n_resamples: How often to resample.
        seed: Seed of the resampling; what differs in x alone is resampled alike, and can be compared.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Returns:
        Correlations [n_resamples]; NaN where a resample has none.

    Raises:
        ValueError: As `pearson`, or if there are fewer than two groups, or not one for each image.
    """
    n = check_shapes({"x": x, "y": y})
    of_image, n_groups = _groups_of(n, groups)
    even = np.full(n_groups, 1 / n_groups)
    multiplicity = np.random.default_rng(seed).multinomial(n_groups, even, size=n_resamples).T
    draws = Draws(of_image, multiplicity.astype(np.float64), np.full(n_resamples, 1 - 1 / n_groups))
    return correlations(weighted_sums(x, y, draws, ("x", "y"), rows_at_once))


def correlation_interval(
    x: Rows,
    y: Rows,
    *,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile confidence interval of the correlation of x and y, from `resample_correlation`.

    Args:
        x: Similarities of n images, [n, n], or their `ranks`.
        y: What they shall agree with, of the same images.
        groups: What each image belongs to, n of them; None where each stands alone.
        level: Confidence level.
        n_resamples: How often to resample.
        seed: Seed of the resampling.

    Returns:
        Lower and upper end of the interval.

    Raises:
        ValueError: As `resample_correlation`, or if most resamples have no correlation, because of few images or many
            equal values.
    """
    return percentile_interval(
        resample_correlation(x, y, groups=groups, n_resamples=n_resamples, seed=seed), level=level
    )


def permutation_test(
    x: Rows,
    baseline: Rows,
    y: Rows,
    *,
    groups: Sequence[Hashable] | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PermutationTest:
    """Does x correlate with y otherwise than a baseline does, on the same images? Two-sided, approximate.

    The null hypothesis: the labels "x" and "baseline", of both standardised, may be exchanged for any image, or for any
    group of related images. A permutation exchanges them for a random half. A pair whose images bear different labels
    has no similarity (one can't be compared with and without invariance at once), so only pairs of equal labels count;
    those within a group always do, and weigh half to keep their share. The pairs of one image thus change together, as
    they vary together from sample to sample; exchanging pairs one by one would find differences everywhere.
    p = (1 + #(|permuted| >= |observed|)) / (1 + n_permutations).

    The test is approximate, since permuted differences come from half of the pairs and the observed one from all: at a
    level of 0.05 it rejects a true null hypothesis in 0.02 to 0.06 of samples of 60 or more images, and in 0 to 0.03 of
    samples of 12 to 60 groups.

    Args:
        x: Similarities of n images, [n, n], or their `ranks` to compare Spearman correlations.
        baseline: Similarities of the same images by the other method.
        y: What both shall agree with.
        groups: What each image belongs to, n of them; None where each stands alone.
        n_permutations: How many random halves to draw.
        seed: Seed of the halves.

    Returns:
        The correlation of x less that of the baseline, and the p-value.

    Raises:
        ValueError: As `correlation_interval`.
    """
    n = check_shapes({"x": x, "baseline": baseline, "y": y})
    of_image, n_groups = _groups_of(n, groups)
    kept = np.random.default_rng(seed).random((n_groups, n_permutations)) < 0.5
    weights = np.hstack([np.ones((n_groups, 1)), kept, ~kept])
    draws = Draws(of_image, weights, np.append(1.0, np.full(2 * n_permutations, 0.5)))
    of_x = weighted_sums(x, y, draws, ("x", "y"))
    of_baseline = weighted_sums(baseline, y, draws, ("baseline", "y"))
    difference = float((correlations(of_x[:, :1]) - correlations(of_baseline[:, :1]))[0])
    x_kept, x_exchanged = np.split(of_x[:, 1:], 2, axis=1)
    baseline_kept, baseline_exchanged = np.split(of_baseline[:, 1:], 2, axis=1)
    permuted = correlations(x_kept + baseline_exchanged) - correlations(baseline_kept + x_exchanged)
    permuted = permuted[~np.isnan(permuted)]
    if 2 * permuted.size < n_permutations:
        raise ValueError(f"only {permuted.size} of {n_permutations} permutations of {n} images have a correlation")
    as_large = int(np.count_nonzero(np.abs(permuted) >= abs(difference)))
    return PermutationTest(difference, (1 + as_large) / (1 + permuted.size))


def _groups_of(n: int, groups: Sequence[Hashable] | None) -> tuple[NDArray[np.intp], int]:
    """The number of each image's group [n], and how many groups there are."""
    of_image = np.arange(n) if groups is None else group_codes(groups)
    if len(of_image) != n:
        raise ValueError(f"groups must be of the same images, got {len(of_image)} for {n} images")
    n_groups = int(of_image.max()) + 1
    if n_groups < 2:
        raise ValueError(f"groups must be two at least, got one of all {n} images")
    return of_image, n_groups
