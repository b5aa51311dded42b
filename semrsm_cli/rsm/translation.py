"""The best circular shift of a grid of positions (Williams et al. 2021)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_shifts"]


def best_shifts(left: NDArray[np.float32], right: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.float64]:
    """For each pair of left [r, s, c] and right [q, s, c] the largest inner product over all circular shifts [r, q].

    The inner products of all shifts are the circular cross-correlation of two grids, summed over the channels: in the
    frequency domain one matrix product [r, c] x [c, q] per frequency.
    """
    a, b = (_spectrum(side, grid) for side in (left, right))
    cross = np.matmul(a, b.conj().transpose(0, 2, 1))  # [frequencies, r, q]
    height, width = grid
    cross = cross.transpose(1, 2, 0).reshape(len(left), len(right), height, width // 2 + 1)
    correlation = np.fft.irfft2(cross, s=grid)
    return correlation.max(axis=(2, 3)).astype(np.float64)


def _spectrum(images: NDArray[np.float32], grid: tuple[int, int]) -> NDArray[np.complexfloating]:
    """The real FFT of images [r, s, c] over their grid of positions, as [frequencies, r, c]."""
    r, _, c = images.shape
    frequencies = np.fft.rfft2(images.reshape(r, *grid, c), axes=(1, 2))
    return np.ascontiguousarray(frequencies.reshape(r, -1, c).transpose(1, 0, 2))
