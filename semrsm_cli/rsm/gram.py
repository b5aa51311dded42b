"""Matched inner products of all pairs of images, tile by tile."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching import Method, match
from semrsm_cli.rsm.centering import Representations

__all__ = ["Gram", "Invariance", "TileStore", "gram"]


class Invariance(StrEnum):
    """Which rearrangements of the positions an RSM does not see."""

    none = "none"
    translation = "translation"
    permutation = "permutation"


class TileStore(Protocol):
    """Where finished tiles are kept, so that a run that was killed goes on from there."""

    def load(self, row: int, col: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The inner products and bounds of a tile, or None where it is not finished."""
        ...

    def save(self, row: int, col: int, inner: NDArray[np.float64], bound: NDArray[np.float64]) -> None:
        """Keep a finished tile."""
        ...


@dataclass(frozen=True, slots=True)
class Gram:
    """Matched inner products `inner` [n, m] with upper bounds, and the squared norms of the images [n], [m]."""

    inner: NDArray[np.float64]
    bound: NDArray[np.float64]
    sq_x: NDArray[np.float64]
    sq_y: NDArray[np.float64]
    symmetric: bool


def gram(
    x: Representations,
    y: Representations | None = None,
    *,
    invariance: Invariance | str = Invariance.permutation,
    matching: Method | str = Method.optimal,
    tolerance: float = 1e-4,
    batch: int = 512,
    k: int = 128,
    grid: tuple[int, int] | None = None,
    workers: int | None = None,
    memory_gib: float | None = None,
    tiles: TileStore | None = None,
    progress: Callable[[int], None] | None = None,
) -> Gram:
    """Inner products of all pairs of images x [n, s, c], y [m, s, c], each after the best rearrangement."""
    rule = Invariance(invariance)
    symmetric = y is None
    left = np.asarray(x[0 : x.shape[0]]).astype(np.float32)
    right = left if y is None else np.asarray(y[0 : y.shape[0]]).astype(np.float32)
    if left.ndim != 3 or right.ndim != 3 or left.shape[1:] != right.shape[1:] or 0 in left.shape + right.shape:
        raise ValueError(f"x and y must be [n, s, c] with the same s and c, got {left.shape} and {right.shape}")
    for name, part in (("x", left), ("y", right)):
        bad = np.flatnonzero(~np.isfinite(part).all(axis=(1, 2)))
        if len(bad):
            raise ValueError(f"{name} must be finite, but sample {bad[0]} holds NaN or infinity")
    if rule is Invariance.translation and (grid is None or grid[0] * grid[1] != left.shape[1]):
        raise ValueError(f"translation needs the grid of the {left.shape[1]} positions, got {grid}")
    n, m = len(left), len(right)
    inner, bound = np.empty((n, m)), np.empty((n, m))
    for i in range(n):
        for j in range(i if symmetric else 0, m):
            if rule is Invariance.permutation:
                found = match(
                    left[i] @ right[j].T, method=matching, tolerance=tolerance, batch=batch, k=k, x=left[i], y=right[j]
                )
                inner[i, j], bound[i, j] = found.value, found.bound
            elif rule is Invariance.none:
                inner[i, j] = bound[i, j] = np.vdot(left[i], right[j])
            else:
                assert grid is not None
                inner[i, j] = bound[i, j] = best_shift(left[i], right[j], grid)
            if symmetric:
                inner[j, i], bound[j, i] = inner[i, j], bound[i, j]
        if progress is not None:
            progress(m - i if symmetric else m)
    sq_x, sq_y = (np.einsum("nsc,nsc->n", part, part, dtype=np.float64) for part in (left, right))
    return Gram(inner, bound, sq_x, sq_y, symmetric)


def best_shift(x: NDArray[Any], y: NDArray[Any], grid: tuple[int, int]) -> float:
    """The largest inner product over all circular shifts of the grid."""
    spectra = [np.fft.rfft2(v.reshape(*grid, -1), axes=(0, 1)) for v in (x, y)]
    return float(np.fft.irfft2((spectra[0] * spectra[1].conj()).sum(-1), s=grid).max())
