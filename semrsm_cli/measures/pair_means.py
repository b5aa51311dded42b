"""How far a mean over pairs of images is known: pairs that share an image are not independent."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pair_mean_interval"]

_LEVEL = 0.95


def pair_mean_interval(values: NDArray[np.floating], pairs: NDArray[np.integer]) -> tuple[float, float]:
    """The interval of the mean of `values` over pairs of images, were other images drawn, at a level of 0.95.

    Two values depend on each other where their pairs share an image. The mean's variance is the sum of `e_p e_q` over
    all couples of such pairs, each pair with itself among them, over the number of couples that share none, where `e_p`
    is the deviation from the mean. It has no bias where all pairs of the images are there. The interval is Student's,
    with one degree of freedom less than images.

    Args:
        values: One value [n] a pair.
        pairs: The two images [n, 2] of each; every pair of images once.

    Returns:
        Its ends; nan where there are not two pairs that share no image.
    """
    from scipy.stats import t

    images, index = np.unique(pairs, return_inverse=True)
    n, sides = len(values), index.reshape(-1, 2).T
    pairs_of_image = np.bincount(sides.ravel(), minlength=len(images))
    n_apart = n**2 - np.square(pairs_of_image).sum() + n  # a pair shares both images with itself
    if n_apart == 0:
        return np.nan, np.nan
    deviations = np.asarray(values - np.mean(values), np.float64)
    sums = sum(np.bincount(side, deviations, minlength=len(images)) for side in sides)
    squares = np.square(deviations).sum()
    variance = (np.square(sums).sum() - squares) / n_apart
    variance = max(variance, squares / (n * (n - 1)))  # of independent values: few images may seem to have less
    half = float(t.ppf((1 + _LEVEL) / 2, len(images) - 1) * np.sqrt(variance))
    mean = float(np.mean(values))
    return mean - half, mean + half
