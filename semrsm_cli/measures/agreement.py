"""Do two similarities of the same images agree? Correlation over all pairs of images (Section 4.3, Appendix E).

All functions take square matrices [n, n], read the pairs above the diagonal a few rows at a time, and hold few of them
at once; `ranks` makes Spearman's of every Pearson's. The pairs of n images are not independent of each other, so
intervals and tests draw images, never pairs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.measures.divergence import jensen_shannon, softmax
from semrsm_cli.measures.pairs import PairRanks, Rows, ranks, row_blocks, upper, upper_block

__all__ = [
    "PairRanks",
    "PermutationTest",
    "correlation_interval",
    "jensen_shannon",
    "pearson",
    "permutation_test",
    "ranks",
    "softmax",
    "spearman",
]

_FloatArray = NDArray[np.float64]
_ROUNDING = 1e-13  # standard deviation, relative to the mean, below which SciPy too warns of a constant
_DEGENERATE = 1e-12  # variance of a resample, relative to that of all pairs


class PermutationTest(NamedTuple):
    """How much better the one similarity correlates, and how often chance alone does as well."""

    difference: float
    p_value: float


class _Moments(NamedTuple):
    n_pairs: int
    mean: _FloatArray  # of x and y, [2]
    comoment: _FloatArray  # sums of products of the deviations from the means, [2, 2]


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
    _, _, comoment = _varying_moments({"x": x, "y": y}, rows_at_once)
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
    _check_shapes({"x": x, "y": y})
    of_x = ranks(x, rows_at_once=rows_at_once, threads=threads)
    of_y = ranks(y, rows_at_once=rows_at_once, threads=threads)
    return pearson(of_x, of_y, rows_at_once=rows_at_once)


def correlation_interval(
    x: Rows, y: Rows, *, level: float = 0.95, n_resamples: int = 1000, seed: int = 0, rows_at_once: int | None = None
) -> tuple[float, float]:
    """Percentile confidence interval of the correlation of x and y, by resampling images with replacement.

    An image drawn w_i times gives the pair (i, j) the weight w_i w_j; pairs of an image with itself are dropped. Give
    `ranks(x)` and `ranks(y)` for Spearman's: pairs then keep the ranks that they have in the whole sample.

    Args:
        x: Similarities of n images, [n, n], or their ranks.
        y: What they shall agree with, of the same images.
        level: Confidence level.
        n_resamples: How often to resample the images.
        seed: Seed of the resampling.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Returns:
        Lower and upper end of the interval.

    Raises:
        ValueError: As `pearson`, or if most resamples have no correlation, because of few images or many equal values.
    """
    n = _check_shapes({"x": x, "y": y})
    multiplicity = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples).T
    resampled = _correlations(_weighted_sums(x, y, multiplicity.astype(np.float64), ("x", "y"), rows_at_once))
    defined = resampled[~np.isnan(resampled)]
    if 2 * defined.size < n_resamples:
        raise ValueError(
            f"only {defined.size} of {n_resamples} resamples of {n} images have a correlation; give more images, or "
            "n_resamples=0"
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permutation_test(
    x: Rows, baseline: Rows, y: Rows, *, n_permutations: int = 1000, seed: int = 0, rows_at_once: int | None = None
) -> PermutationTest:
    """Does x correlate with y otherwise than a baseline does, on the same images? Two-sided.

    The null hypothesis: the labels "x" and "baseline", of both standardised, may be exchanged for any image. A
    permutation exchanges them for a random half of the images. A pair whose images bear different labels has no
    similarity (one can't be compared with and without invariance at once), so only pairs of equal labels count. The
    pairs of one image thus change together, as they vary together from sample to sample; exchanging pairs one by one
    would find differences everywhere. p = (1 + #(|permuted| >= |observed|)) / (1 + n_permutations).

    Args:
        x: Similarities of n images, [n, n], or their `ranks` to compare Spearman correlations.
        baseline: Similarities of the same images by the other method.
        y: What both shall agree with.
        n_permutations: How many random halves to draw.
        seed: Seed of the halves.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Returns:
        The correlation of x less that of the baseline, and the p-value.

    Raises:
        ValueError: As `correlation_interval`.
    """
    n = _check_shapes({"x": x, "baseline": baseline, "y": y})
    kept = np.random.default_rng(seed).random((n, n_permutations)) < 0.5
    weights = np.hstack([np.ones((n, 1)), kept, ~kept])
    of_x = _weighted_sums(x, y, weights, ("x", "y"), rows_at_once)
    of_baseline = _weighted_sums(baseline, y, weights, ("baseline", "y"), rows_at_once)
    difference = float((_correlations(of_x[:, :1]) - _correlations(of_baseline[:, :1]))[0])
    x_kept, x_exchanged = np.split(of_x[:, 1:], 2, axis=1)
    baseline_kept, baseline_exchanged = np.split(of_baseline[:, 1:], 2, axis=1)
    permuted = _correlations(x_kept + baseline_exchanged) - _correlations(baseline_kept + x_exchanged)
    permuted = permuted[~np.isnan(permuted)]
    if 2 * permuted.size < n_permutations:
        raise ValueError(f"only {permuted.size} of {n_permutations} permutations of {n} images have a correlation")
    as_large = int(np.count_nonzero(np.abs(permuted) >= abs(difference)))
    return PermutationTest(difference, (1 + as_large) / (1 + permuted.size))


def _check_shapes(matrices: dict[str, Rows]) -> int:
    shapes = {name: tuple(matrix.shape) for name, matrix in matrices.items()}
    n = next(iter(shapes.values()))[0]
    if set(shapes.values()) != {(n, n)}:
        listed = " and ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(f"correlation needs square matrices of the same images, got {listed}")
    if n < 3:
        raise ValueError(f"correlation needs at least 3 images, got {n}")
    return n


def _varying_moments(matrices: dict[str, Rows], rows_at_once: int | None) -> _Moments:
    """Means and comoments of two matrices, block by block, merged without cancellation (Chan et al. 1979)."""
    n = _check_shapes(matrices)
    count, center, mean, comoment = 0, np.zeros(2), np.zeros(2), np.zeros((2, 2))
    for start, stop in row_blocks(n, rows_at_once):
        pairs = np.stack([upper(matrix, start, stop, name) for name, matrix in matrices.items()], dtype=np.float64)
        if (added := pairs.shape[1]) == 0:
            continue
        if count == 0:
            center = pairs.mean(axis=1)  # far from zero the merged means would be rounded too coarsely
        pairs -= center[:, None]
        pairs_mean = pairs.mean(axis=1)
        pairs -= pairs_mean[:, None]
        shift = pairs_mean - mean
        comoment += pairs @ pairs.T + np.outer(shift, shift) * (count * added / (count + added))
        mean += shift * (added / (count + added))
        count += added
    mean += center
    for i, (name, matrix) in enumerate(matrices.items()):
        rounding = max(_ROUNDING, 2 * _eps(matrix))
        if np.sqrt(comoment[i, i] / count) <= rounding * abs(mean[i]):
            raise ValueError(f"{name} is constant ({mean[i]:.6g}) over all {count} pairs, so it has no correlation")
    return _Moments(count, mean, comoment)


def _eps(x: Rows) -> float:
    return float(np.finfo(x.dtype).eps) if np.dtype(x.dtype).kind == "f" else 0.0


def _weighted_sums(
    x: Rows, y: Rows, weights: _FloatArray, names: tuple[str, str], rows_at_once: int | None
) -> _FloatArray:
    """Sums of 1, x, y, x^2, y^2 and x y over the pairs i < j with weights w_i w_j, for each column of [n, b]: [6, b].

    x and y are standardised first: to lose no digits, and so that sums of different x can be added.
    """
    count, mean, comoment = _varying_moments({names[0]: x, names[1]: y}, rows_at_once)
    deviation = np.sqrt(comoment.diagonal() / count)
    sums = np.zeros((6, weights.shape[1]))
    sums[0] = (weights.sum(axis=0) ** 2 - (weights**2).sum(axis=0)) / 2
    for start, stop in row_blocks(len(weights), rows_at_once):
        standardised = []
        for i, matrix in enumerate((x, y)):
            block, above = upper_block(matrix, start, stop, names[i])
            standardised.append(np.where(above, (block - mean[i]) / deviation[i], 0.0))
        a, b = standardised
        products = np.stack([a, b, a * a, b * b, a * b]) @ weights[start:]
        sums[1:] += np.einsum("fib,ib->fb", products, weights[start:stop])
    return sums


def _correlations(sums: _FloatArray) -> _FloatArray:
    """Correlation from each column of weighted sums [6, b]: [b]; NaN where x or y does not vary."""
    total, x, y, xx, yy, xy = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, xx, yy, xy = (moment / total for moment in (x, y, xx, yy, xy))
        variances = np.stack([xx - x * x, yy - y * y])
        r = (xy - x * y) / np.sqrt(np.prod(variances, axis=0))
    return np.where((variances > _DEGENERATE).all(axis=0), r, np.nan)
