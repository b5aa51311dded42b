"""Every kernel of Appendix A from one matching: norms do not change when positions are rearranged."""

import math
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.arrays import as_array
from semrsm_cli.rsm.centering import Centered, Centering, Representations, compute_center
from semrsm_cli.rsm.gram import Gram, gram
from semrsm_cli.rsm.matcher import DEFAULT_MATCHER, Invariance, Matcher
from semrsm_cli.rsm.plan import check_shapes, squared_norms

__all__ = ["Kernel", "KernelRows", "check_bandwidth", "kernel", "median_sigma_by_rows", "rsm", "squared_distances"]

_PAIRS_AT_ONCE = 2**21
_PAIRS_OF_BLOCK = 2**16  # half a MiB, which stays in the cache


class Kernel(StrEnum):
    """The kernels of Appendix A."""

    linear = "linear"
    cosine = "cosine"
    rbf = "rbf"


def check_bandwidth(sigma: float | None, sigma_tile: int | None) -> None:
    """Raise ValueError unless sigma and sigma_tile are positive and finite where they are given, and not both are."""
    if sigma is not None and sigma_tile is not None:
        raise ValueError(f"sigma={sigma} leaves nothing to choose within tiles of {sigma_tile}: give one of the two")
    for setting, value in (("sigma", sigma), ("sigma_tile", sigma_tile)):
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{setting} must be above 0 and finite, got {value}")


def _row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """The rows of a matrix, some at a time, so that what is made on the way stays small."""
    step = max(1, _PAIRS_OF_BLOCK // max(1, shape[1]))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _of_y(g: Gram, values: NDArray[np.float64], rows: slice) -> NDArray[np.float64]:
    """A value of each image of y [m] beside the pairs in some rows; of no image beside those that fill up a list."""
    return values[None, :] if g.columns is None else values[g.columns[rows]]


def _cosine(g: Gram) -> NDArray[np.float64]:
    """`<x, Py> / (|x| |y|)` [n, m], zero where an image is."""
    values: NDArray[np.float64] = np.zeros_like(g.inner)
    norms_x, norms_y = np.sqrt(g.sq_x), np.sqrt(g.sq_y)
    for rows in _row_blocks(values.shape):
        norms = norms_x[rows, None] * _of_y(g, norms_y, rows)
        np.divide(g.inner[rows], norms, out=values[rows], where=norms > 0)
    return values


def squared_distances(g: Gram) -> NDArray[np.float64]:
    """`|x|^2 + |y|^2 - 2 <x, Py>` [n, m], never below zero."""
    distances = np.empty(g.inner.shape)
    for rows in _row_blocks(distances.shape):
        sums = g.sq_x[rows, None] + _of_y(g, g.sq_y, rows)
        block = np.subtract(sums, 2 * g.inner[rows], out=distances[rows])
        # Rounding leaves a little where two images are the same; it must count as zero for the median.
        block[block < 1e-6 * sums] = 0
        if g.columns is not None:
            block[g.columns[rows] < 0] = 0
    return distances


def _median_sigma(distances: NDArray[np.float64]) -> float:
    """The square root of the median of the squared distances that are not zero; 1 where all are."""
    positive, used = np.empty(distances.size), 0
    for rows in _row_blocks(distances.shape):
        block = distances[rows][distances[rows] > 0]
        positive[used : used + block.size] = block
        used += block.size
    return float(np.sqrt(np.median(positive[:used], overwrite_input=True))) if used else 1.0


def _gaussian(distances: NDArray[np.float64], sigma: float) -> None:
    """Make `exp(-d / (2 sigma^2))` of squared distances d [n, m], in place."""
    for rows in _row_blocks(distances.shape):
        distances[rows] = np.exp(-distances[rows] / (2 * sigma**2))


def kernel(
    g: Gram, name: Kernel | str, *, sigma: float | None = None, sigma_tile: int | None = None
) -> NDArray[np.float64]:
    """Make the RSM of a kernel of Appendix A from inner products and norms, which no rearrangement changes.

    `linear` is `<x, Py>` (Eq. 7), `cosine` is `<x, Py> / (|x| |y|)` (Eq. 8), and `rbf` is
    `exp(-|x - Py|^2 / (2 sigma^2))` (Eq. 6), where `|x - Py|^2 = |x|^2 + |y|^2 - 2 <x, Py>`.

    With `maxsim` its own `K(x, x)` stands for `|x|^2`, so that an image has cosine 1 and distance 0 with itself.
    It is no inner product: a cosine may exceed 1 a little, which is not cut, since that would make ties; a squared
    distance below 0 counts as 0.

    Args:
        g: Matched inner products and squared norms, in memory.
        name: Which kernel.
        sigma: Width of `rbf`, in units of the features; None: the square root of the median squared distance.
        sigma_tile: Take that median within each mini-batch of so many images on a side, as the paper does, and not
            over the whole matrix.

    Returns:
        The RSM [n, m]: without a unit, but for `linear`, in squared units of the features. Of a list of pairs only
        these [n, k], whose sigma is theirs, with -infinity where a list has no more images.

    Raises:
        ValueError: If sigma or sigma_tile is not positive, both are given, or g is on disk.

    Example:
        >>> g = gram(np.array([[[1.0], [2.0]]]), np.array([[[4.0], [2.0]]]))
        >>> kernel(g, "linear"), kernel(g, "cosine")
        (array([[10.]]), array([[1.]]))
    """
    which = Kernel(name)
    if not isinstance(g.inner, np.ndarray):
        raise ValueError("kernel takes a Gram in memory, got one on disk; take rows of it, or KernelRows")
    if which is Kernel.linear:
        values = g.inner.copy()
    elif which is Kernel.cosine:
        values = _cosine(g)
    else:
        check_bandwidth(sigma, sigma_tile)
        values = _rbf(g, sigma, sigma_tile)
    if g.columns is not None:
        values[g.columns < 0] = -np.inf
    return values


def _rbf(g: Gram, sigma: float | None, sigma_tile: int | None) -> NDArray[np.float64]:
    """`exp(-|x - Py|^2 / (2 sigma^2))`, with one sigma or one for each tile."""
    distances = squared_distances(g)
    if sigma_tile is None:
        _gaussian(distances, sigma or _median_sigma(distances))
        return distances
    for i in range(0, distances.shape[0], sigma_tile):
        rows = distances[i : i + sigma_tile]
        if g.columns is not None:  # the tiles of a list are those of the matrix that it is a part of
            of_tile = g.columns[i : i + sigma_tile] // sigma_tile
            for j in np.unique(of_tile):
                part = rows[of_tile == j][None]
                _gaussian(part, _median_sigma(part))
                rows[of_tile == j] = part[0]
            continue
        for j in range(0, distances.shape[1], sigma_tile):
            part = rows[:, j : j + sigma_tile]
            _gaussian(part, _median_sigma(part))
    return distances


_kernel_of = kernel  # `rsm` has an argument of that name


def rsm(
    x: Representations,
    y: Representations | None = None,
    *,
    kernel: Kernel | str = Kernel.cosine,
    invariance: Invariance | str = Invariance.permutation,
    centering: Centering | str = Centering.sample,
    matcher: Matcher = DEFAULT_MATCHER,
    sigma: float | None = None,
    sigma_tile: int | None = None,
    grid: tuple[int, int] | None = None,
    grid_y: tuple[int, int] | None = None,
    locality: float = 0.0,
    unit: float | None = None,
    threads: int | None = None,
    memory_gib: float | None = None,
) -> NDArray[np.float64]:
    """Compute the RSM of images x and y, or of x with itself: `kernel(gram(x - mean, y - mean), ...)` (Algorithm 1).

    Args:
        x: Representations [n, s, c] of n images at s positions with c channels.
        y: Representations [m, s, c]; None: x with itself. Other numbers of positions are possible as in `gram`.
        kernel: How inner products become similarities; the matching always goes by the inner product.
        invariance: Which rearrangements of the positions are allowed, or `maxsim`: each vector has its best partner.
        centering: What is subtracted first, as by `semrsm rsm`: by default the mean over the images x, per position and
            channel, as the paper's code does (without it what all images share outweighs what tells them apart). Of
            y with another number of positions its own mean per position is subtracted.
        matcher: How `permutation` is solved.
        sigma: Width of `rbf`; None: the square root of the median squared distance.
        sigma_tile: Take that median within each mini-batch of so many images on a side.
        grid: Height and width of the positions, which `translation` and `locality` need.
        grid_y: The same of y, where it is another.
        locality: What it costs to move a position, for `permutation`: 0 is free, large values end in `none`; see
            `gram`.
        unit: What that is measured in; None: the mean squared norm of the concept vectors of y, or of x with itself.
        threads: Threads; None: one per core that this process may use.
        memory_gib: Memory that all threads together may take beside x and y; None: half of what is free.

    Returns:
        The RSM [n, m]: without a unit, but for `linear`, in squared units of the features.

    Raises:
        ValueError: As `gram` and `kernel`; or centring leaves nothing, as of a single image.

    Example:
        >>> x = np.eye(2)
        >>> x = np.stack([x, x[::-1]])  # the second image has the concepts of the first one at other positions
        >>> rsm(x)
        array([[1., 1.],
               [1., 1.]])
        >>> rsm(x, invariance="none", centering="none")
        array([[1., 0.],
               [0., 1.]])
    """
    name = Kernel(kernel)
    if name is Kernel.rbf:  # before the matching, which may take hours
        check_bandwidth(sigma, sigma_tile)
    x, y = as_array(x), as_array(y)
    check_shapes(x, y, unequal_sizes=True)
    mean = compute_center(x, centering)
    if mean is not None and not np.isfinite(mean).all():
        squared_norms(x, "x")  # names the image that is not finite, which the mean would spread over all
    mean_y = mean
    if y is not None and Centering(centering) is Centering.sample and x.shape[1] != y.shape[1]:
        mean_y = compute_center(y, centering)
    x, y = Centered(x, mean), None if y is None else Centered(y, mean_y)
    g = gram(
        x,
        y,
        invariance=invariance,
        matcher=matcher,
        grid=grid,
        grid_y=grid_y,
        locality=locality,
        unit=unit,
        threads=threads,
        memory_gib=memory_gib,
    )
    g = replace(g, bound=g.inner)  # the bounds, which no kernel needs, give their memory back
    return _kernel_of(g, name, sigma=sigma, sigma_tile=sigma_tile)


class KernelRows:
    """The RSM [n, n] of x with itself, made from inner products anew whenever rows of it are read; its upper triangle.

    Args:
        g: Inner products of x with itself, in memory or on disk; they are rounded to float32.
        name: Which kernel.
        sigma: Width of `rbf`; None: from the median of all squared distances.
        sigma_tile: Take that median within each mini-batch of so many images on a side.

    Raises:
        ValueError: If g is of two sets of images, or sigma and sigma_tile are not as `kernel` takes them.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, g: Gram, name: Kernel | str, *, sigma: float | None = None, sigma_tile: int | None = None
    ) -> None:
        if not g.symmetric:
            raise ValueError(f"KernelRows takes images with themselves, got {g.inner.shape} of two sets; use kernel")
        self.g, self.name = g, Kernel(name)
        self.sigma, self.sigma_tile = sigma, sigma_tile
        if self.name is Kernel.rbf:
            check_bandwidth(sigma, sigma_tile)
            if sigma is None and sigma_tile is None:
                self.sigma = median_sigma_by_rows(g)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        n = len(self.g.sq_x)
        return n, n

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        n = len(self.g.sq_x)
        start, stop, _ = rows.indices(n)
        tile = self.sigma_tile or 1  # whole tiles, since each has a sigma of its own
        first, last = start - start % tile, min(-(-stop // tile) * tile, n)
        part = self.g.rows(first, last, bounds=False)
        values = kernel(part, self.name, sigma=self.sigma, sigma_tile=self.sigma_tile)
        block = np.zeros((stop - start, n), self.dtype)
        block[:, start:] = values[start - first : stop - first, start - first :]
        return block


def median_sigma_by_rows(g: Gram) -> float:
    """The root of the median squared distance of all pairs that differ, of images with themselves, read by rows.

    The distances are held in float32, 4 bytes a pair.
    """
    n = len(g.sq_x)
    distances = np.empty(n * (n - 1) // 2, np.float32)
    used = 0
    step = max(1, _PAIRS_AT_ONCE // n)
    for start in range(0, n, step):
        part = g.rows(start, min(start + step, n), bounds=False)
        rows, columns = part.inner.shape
        block = squared_distances(part)[np.arange(columns) > np.arange(rows)[:, None]]
        block = block[block > 0]
        distances[used : used + block.size] = block
        used += block.size
    return float(np.sqrt(np.median(distances[:used], overwrite_input=True))) if used else 1.0
