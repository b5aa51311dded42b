"""Every kernel of Appendix A from one matching: norms do not change when positions are rearranged."""

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching import Method
from semrsm_cli.rsm.centering import Representations
from semrsm_cli.rsm.gram import Gram, gram
from semrsm_cli.rsm.pairs import Invariance

__all__ = ["Kernel", "kernel", "rsm"]


class Kernel(StrEnum):
    """The kernels of Appendix A."""

    linear = "linear"
    cosine = "cosine"
    rbf = "rbf"


def squared_distances(g: Gram) -> NDArray[np.float64]:
    """`|x|^2 + |y|^2 - 2 <x, Py>` [n, m], never below zero."""
    distances: NDArray[np.float64] = g.sq_x[:, None] + g.sq_y[None, :] - 2 * g.inner
    # Rounding leaves a little where two images are the same; it must count as zero for the median.
    distances[distances < 1e-6 * (g.sq_x[:, None] + g.sq_y[None, :])] = 0
    return distances


def median_sigma(distances: NDArray[np.float64]) -> float:
    """The square root of the median of the squared distances that are not zero; 1 where all are."""
    positive = distances[distances > 0]
    return float(np.sqrt(np.median(positive))) if len(positive) else 1.0


def kernel(
    g: Gram, name: Kernel | str, *, sigma: float | None = None, sigma_tile: int | None = None
) -> NDArray[np.float64]:
    """The RSM [n, m] with a kernel of Appendix A: linear (Eq. 7), cosine (Eq. 8) or rbf (Eq. 6).

    Args:
        g: Matched inner products and squared norms.
        name: Which kernel.
        sigma: Width of `rbf`, in units of the features; None: the square root of the median squared distance.
        sigma_tile: Take that median within each mini-batch of so many images on a side, as the paper does, and not
            over the whole matrix.

    Raises:
        ValueError: If sigma or sigma_tile is not positive, or both are given.
    """
    which = Kernel(name)
    if which is Kernel.linear:
        return g.inner.copy()
    if which is Kernel.cosine:
        norms = np.sqrt(g.sq_x)[:, None] * np.sqrt(g.sq_y)[None, :]
        return np.divide(g.inner, norms, out=np.zeros_like(g.inner), where=norms > 0)
    if sigma is not None and sigma_tile is not None:
        raise ValueError(f"sigma={sigma} leaves nothing to choose within tiles of {sigma_tile}: give one of the two")
    for setting, value in (("sigma", sigma), ("sigma_tile", sigma_tile)):
        if value is not None and not value > 0:
            raise ValueError(f"{setting} must be positive, got {value}")
    distances = squared_distances(g)
    if sigma_tile is None:
        return np.exp(-distances / (2 * (sigma or median_sigma(distances)) ** 2))
    for i in range(0, distances.shape[0], sigma_tile):
        for j in range(0, distances.shape[1], sigma_tile):
            part = distances[i : i + sigma_tile, j : j + sigma_tile]
            part[:] = np.exp(-part / (2 * median_sigma(part) ** 2))
    return distances


kernel_of = kernel  # `rsm` has an argument of that name


def rsm(
    x: Representations,
    y: Representations | None = None,
    *,
    kernel: Kernel | str = Kernel.cosine,
    invariance: Invariance | str = Invariance.permutation,
    matching: Method | str = Method.optimal,
    sigma: float | None = None,
    sigma_tile: int | None = None,
    batch: int = 512,
    workers: int | None = None,
    **settings: Any,
) -> NDArray[np.float64]:
    """The RSM [n, m] of images x [n, s, c] and y [m, s, c], or of x with itself (Algorithm 1).

    `settings` go to `gram`.
    """
    g = gram(x, y, invariance=invariance, matching=matching, batch=batch, workers=workers, **settings)
    return kernel_of(g, kernel, sigma=sigma, sigma_tile=sigma_tile)
