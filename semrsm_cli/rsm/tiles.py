"""How the pairs of an RSM are cut into tiles: the unit of work, of memory, and of what a killed run keeps."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from semrsm_cli.rsm.centering import CHUNK_BYTES, Representations
from semrsm_cli.rsm.pairs import Rule
from semrsm_cli.rsm.workers import available_cores

__all__ = ["Plan", "Tile", "TileStore", "images", "squared_norms"]

MOST_IMAGES = 128  # on a side of a tile
TILES_ON_A_SIDE = 8  # at least, where there are enough images, so that all workers have something to do to the end
POSITION_PAIRS = 2.5e9  # in a tile: some ten seconds of matching
LARGEST_SQUARE = 1e37  # squared norm of an image; inner products must stay within float32


class TileStore(Protocol):
    """Where finished tiles are kept, so that a run that was killed goes on from there."""

    def load(self, row: int, col: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Inner products and bounds of the tile that begins at images `row` and `col`; None if it is not finished."""
        ...

    def save(self, row: int, col: int, inner: NDArray[np.float64], bound: NDArray[np.float64]) -> None:
        """Keep a finished tile."""
        ...


@dataclass(frozen=True, slots=True)
class Tile:
    """Some images of x, from `row` on, and some of y, from `col` on."""

    row: int
    col: int
    shape: tuple[int, int]
    symmetric: bool

    def wanted(self) -> NDArray[np.bool_]:
        """Which pairs to compute: all, or those above the diagonal where x is compared with itself."""
        if not self.symmetric:
            return np.ones(self.shape, bool)
        rows, columns = np.ogrid[: self.shape[0], : self.shape[1]]
        return np.asarray(self.row + rows < self.col + columns)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and the columns of an [n, m] matrix that this tile covers."""
        return slice(self.row, self.row + self.shape[0]), slice(self.col, self.col + self.shape[1])

    @property
    def n_pairs(self) -> int:
        """Pairs that this tile finishes, those on the diagonal included."""
        on_diagonal = self.shape[0] if self.symmetric and self.row == self.col else 0
        return int(self.wanted().sum()) + on_diagonal


@dataclass(frozen=True, slots=True)
class Plan:
    """Tiles of at most `edge` x `edge` images, and how many threads share them."""

    n: int
    m: int
    edge: int
    workers: int
    symmetric: bool
    memory: int  # bytes that all workers take

    @classmethod
    def of(
        cls,
        x: Representations,
        y: Representations | None,
        rule: Rule,
        workers: int | None = None,
        memory_gib: float | None = None,
    ) -> Self:
        """Check x [n, s, c] and y [m, s, c], and choose tiles that fit the memory.

        The size of tiles follows from the shapes, and from the memory where it is so short that one worker's tile does
        not fit; too little memory for all workers means fewer workers.
        """
        n, m, s, c = shapes(x, y)
        rule.check(s)
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        if memory_gib is not None and not memory_gib > 0:
            raise ValueError(f"memory_gib must be above 0, got {memory_gib}")
        budget = psutil.virtual_memory().available / 2 if memory_gib is None else memory_gib * 2**30
        side = min(MOST_IMAGES, math.isqrt(int(POSITION_PAIRS / s**2)), -(-max(n, m) // TILES_ON_A_SIDE))
        block = rule.block(s)
        edge = max(block, side // block * block)
        while edge > 1 and rule.memory(edge, s, c) > budget:
            edge //= 2
        one = rule.memory(edge, s, c)
        if one > budget:
            raise ValueError(
                f"a pair of images with {s} positions needs {one / 2**20:.1f} MiB, but only {budget / 2**20:.1f} MiB "
                "are allowed: raise memory_gib, or choose matching=batch_optimal"
            )
        threads = max(1, min(workers or available_cores(), int(budget // one)))
        return cls(n, m, edge, threads, y is None, threads * one)

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row; those on and above the diagonal where x is compared with itself."""
        for row in range(0, self.n, self.edge):
            for col in range(row if self.symmetric else 0, self.m, self.edge):
                shape = min(self.edge, self.n - row), min(self.edge, self.m - col)
                yield Tile(row, col, shape, self.symmetric)


def shapes(x: Representations, y: Representations | None) -> tuple[int, int, int, int]:
    """n, m, s, c of x [n, s, c] and y [m, s, c]."""
    for name, part in (("x", x), ("y", x if y is None else y)):
        if len(part.shape) != 3 or 0 in part.shape:
            raise ValueError(f"{name} must be [images, positions, channels], none of them 0, got {tuple(part.shape)}")
    if y is not None and tuple(x.shape[1:]) != tuple(y.shape[1:]):
        raise ValueError(
            f"x and y must have the same positions and channels, got {tuple(x.shape[1:])} and {tuple(y.shape[1:])}"
        )
    n, s, c = x.shape
    return n, n if y is None else y.shape[0], s, c


def images(x: Representations, start: int, count: int) -> NDArray[np.float32]:
    """Some images of x [n, s, c], as float32 in one piece."""
    return np.ascontiguousarray(np.asarray(x[start : start + count]), dtype=np.float32)


def squared_norms(x: Representations, name: str) -> NDArray[np.float64]:
    """The squared norms [n] of x [n, s, c], read in chunks; an image that is not finite is named."""
    n, s, c = x.shape
    step = max(1, CHUNK_BYTES // (4 * s * c))
    squares = np.empty(n)
    for start in range(0, n, step):
        part: NDArray[Any] = images(x, start, step).reshape(-1, s * c)
        squares[start : start + step] = np.einsum("nk,nk->n", part, part, dtype=np.float64)
    for bad in np.flatnonzero(~np.isfinite(squares)):
        raise ValueError(f"{name} must be finite in float32, but sample {bad} holds NaN or infinity")
    for large in np.flatnonzero(squares > LARGEST_SQUARE):
        raise ValueError(
            f"{name} is too large for float32: the squared norm of sample {large} is {squares[large]:.1e}, "
            f"at most {LARGEST_SQUARE:.0e} is possible; divide the representations by a number"
        )
    return squares
