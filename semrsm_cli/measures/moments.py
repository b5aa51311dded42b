"""Moments of two similarities over all pairs of images, plain or weighted, and the correlations that they make."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.measures.pairs import Rows, row_blocks, upper, upper_block

__all__ = ["Draws", "Moments", "check_shapes", "correlations", "varying_moments", "weighted_sums"]

_FloatArray = NDArray[np.float64]
_ROUNDING = 1e-13  # standard deviation, relative to the mean, below which SciPy too warns of a constant
_DEGENERATE = 1e-12  # variance of a resample, relative to that of all pairs


class Moments(NamedTuple):
    """Number of pairs, mean of x and y [2], and sums of products of the deviations from the means [2, 2]."""

    n_pairs: int
    mean: _FloatArray
    comoment: _FloatArray


class Draws(NamedTuple):
    """How often g groups of n images are drawn, in each of b columns.

    Attributes:
        of_image: The group that each image belongs to, [n].
        weights: How often each group is drawn, [g, b].
        within: What pairs within a group count each time that it is drawn, [b].
    """

    of_image: NDArray[np.intp]
    weights: _FloatArray
    within: _FloatArray


def check_shapes(matrices: dict[str, Rows]) -> int:
    """The number of images in all matrices.

    Raises:
        ValueError: If they are not square or not of one size, or there are fewer than three images.
    """
    shapes = {name: tuple(matrix.shape) for name, matrix in matrices.items()}
    n = next(iter(shapes.values()))[0]
    if set(shapes.values()) != {(n, n)}:
        listed = " and ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(f"correlation needs square matrices of the same images, got {listed}")
    if n < 3:
        raise ValueError(f"correlation needs at least 3 images, got {n}")
    return n


def varying_moments(matrices: dict[str, Rows], rows_at_once: int | None) -> Moments:
    """Means and comoments of two matrices, block by block, merged without cancellation (Chan et al. 1979).

    Args:
        matrices: Two square matrices [n, n] under the names that messages give them.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Raises:
        ValueError: As `check_shapes`, or if one is constant or holds NaN or infinity.
    """
    n = check_shapes(matrices)
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
    return Moments(count, mean, comoment)


def _eps(x: Rows) -> float:
    return float(np.finfo(x.dtype).eps) if np.dtype(x.dtype).kind == "f" else 0.0


def weighted_sums(
    x: Rows, y: Rows, draws: Draws, names: tuple[str, str], rows_at_once: int | None = None
) -> _FloatArray:
    """Sums of 1, x, y, x^2, y^2 and x y over the pairs i < j with their weights, for each column of `draws`.

    Pairs weigh w_i w_j, but those within a group, drawn w times, w times `within`. x and y are standardised first: to
    lose no digits, and so that sums of different x can be added.

    Args:
        x: Similarities of n images, [n, n].
        y: What they shall agree with, of the same images.
        draws: How often each image is drawn.
        names: What x and y are called in messages.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Returns:
        The sums [6, b].

    Raises:
        ValueError: As `varying_moments`.
    """
    count, mean, comoment = varying_moments({names[0]: x, names[1]: y}, rows_at_once)
    deviation = np.sqrt(comoment.diagonal() / count)
    weights, n_groups = draws.weights[draws.of_image], len(draws.weights)
    sums, related = np.zeros((6, weights.shape[1])), np.zeros((6, n_groups))
    sums[0] = (weights.sum(axis=0) ** 2 - (weights**2).sum(axis=0)) / 2
    for start, stop in row_blocks(len(weights), rows_at_once):
        standardised = []
        for k, matrix in enumerate((x, y)):
            block, above = upper_block(matrix, start, stop, names[k])
            standardised.append(np.where(above, (block - mean[k]) / deviation[k], 0.0))
        a, b = standardised
        moments = np.stack([a, b, a * a, b * b, a * b])
        sums[1:] += np.einsum("fib,ib->fb", moments @ weights[start:], weights[start:stop])
        if n_groups < len(weights):
            related += _within_groups(moments, above, draws.of_image[start:], n_groups)
    if n_groups < len(weights):
        sums -= related @ (draws.weights**2 - draws.within * draws.weights)
    return sums


def _within_groups(
    moments: _FloatArray, above: NDArray[np.bool_], of_image: NDArray[np.intp], n_groups: int
) -> _FloatArray:
    """Number of the pairs of some rows that lie within each group, and sums of their moments: [6, g]."""
    i, j = np.nonzero(above & (of_image[: len(above), None] == of_image))
    values = np.concatenate([np.ones((1, len(i))), moments[:, i, j]])
    return np.stack([np.bincount(of_image[i], value, n_groups) for value in values])


def correlations(sums: _FloatArray) -> _FloatArray:
    """Correlation from each column of weighted sums [6, b]: [b]; NaN where x or y does not vary."""
    total, x, y, xx, yy, xy = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, xx, yy, xy = (moment / total for moment in (x, y, xx, yy, xy))
        variances = np.stack([xx - x * x, yy - y * y])
        r = (xy - x * y) / np.sqrt(np.prod(variances, axis=0))
    return np.where((variances > _DEGENERATE).all(axis=0), r, np.nan)
