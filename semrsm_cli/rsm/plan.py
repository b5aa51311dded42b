"""How the pairs of an RSM are cut into tiles: the unit of work on a cluster, on disk, and of what a killed run keeps.

A tile takes some minutes of one core; the threads of a process share its pieces, which take some ten seconds each.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from semrsm_cli.rsm.centering import CHUNK_BYTES, Representations
from semrsm_cli.rsm.matcher import PairMatcher
from semrsm_cli.rsm.threads import available_cores

__all__ = [
    "Matrix",
    "MemoryNeed",
    "Plan",
    "Tile",
    "TileStore",
    "check_shapes",
    "load_float32",
    "squared_norms",
]

_MAX_IMAGES = 1024  # on a side of a tile
_MAX_PIECE_IMAGES = 128  # on a side of a piece
_TILES_ON_A_SIDE = 8  # at least, where there are enough images, so that all have something to do to the end
_POSITION_PAIRS = 6.4e10  # in a tile: some minutes of matching; 62 x 62 images of 4,096 positions
_PIECE_POSITION_PAIRS = 2.5e9  # in a piece: some ten seconds
_OPEN_TILES_SHARE = 8  # one tile's images may take this part of the memory
_MAX_SQUARE = 1e37  # squared norm of an image; inner products must stay within float32
_MIN_SQUARE = 1e-36  # mean square of an image's values; below, their products lose digits in float32
_ROUNDING = 1e-14  # an image that is smaller than the largest by this factor is what centring in float64 left of zeros


class Matrix(Protocol):
    """A matrix [n, m] that gives slices `[i:j]` and `[i:j, k:l]`: an array, a Zarr array, ..."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, m)."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """Some rows, or some rows and columns, as something that `np.asarray` makes an array of."""
        ...


class TileStore(Protocol):
    """Where finished tiles are kept, so that a run that was killed goes on from there.

    Of x with itself only the tiles on and above the diagonal are kept, and of those on it only the pairs above it mean
    anything.
    """

    @property
    def inner(self) -> Matrix:
        """The inner products [n, m] of all finished tiles."""
        ...

    @property
    def bound(self) -> Matrix:
        """Their upper bounds [n, m]."""
        ...

    def open(self, shape: tuple[int, int], tile_size: int) -> None:
        """Make two arrays of this shape, a chunk for each tile, or find them; those with other tiles are made anew."""
        ...

    def load(self, tile: "Tile") -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Inner products and bounds of a tile; None if it is not finished."""
        ...

    def save(self, tile: "Tile", inner: NDArray[np.float64], bound: NDArray[np.float64]) -> None:
        """Keep a finished tile."""
        ...


@dataclass(frozen=True, slots=True)
class Tile:
    """Some images of x, from `row` on, and some of y, from `col` on."""

    row: int
    col: int
    shape: tuple[int, int]
    symmetric: bool

    def mask(self) -> NDArray[np.bool_]:
        """Which pairs to compute: all, or those above the diagonal where x is compared with itself."""
        if not self.symmetric:
            return np.ones(self.shape, bool)
        rows, columns = np.ogrid[: self.shape[0], : self.shape[1]]
        return np.asarray(self.row + rows < self.col + columns)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and the columns of an [n, m] matrix that this tile covers."""
        return slice(self.row, self.row + self.shape[0]), slice(self.col, self.col + self.shape[1])

    def pieces(self, size: int) -> Iterator["Tile"]:
        """The tile in squares of at most size x size images; of x with itself those on and above the diagonal."""
        for row in range(0, self.shape[0], size):
            for col in range(0, self.shape[1], size):
                shape = min(size, self.shape[0] - row), min(size, self.shape[1] - col)
                if not self.symmetric or self.row + row <= self.col + col:
                    yield Tile(self.row + row, self.col + col, shape, self.symmetric)

    @property
    def n_pairs(self) -> int:
        """Pairs that this tile finishes, those on the diagonal included."""
        on_diagonal = self.shape[0] if self.symmetric and self.row == self.col else 0
        return int(self.mask().sum()) + on_diagonal


@dataclass(frozen=True, slots=True)
class Plan:
    """Tiles of at most tile_size x tile_size images, in pieces of piece_size, and how many threads share them."""

    n: int
    m: int
    tile_size: int
    threads: int
    symmetric: bool
    memory: int  # bytes that all threads take
    piece_size: int

    @classmethod
    def of(
        cls,
        x: Representations,
        y: Representations | None,
        pair_matcher: PairMatcher,
        threads: int | None = None,
        memory_gib: float | None = None,
    ) -> Self:
        """Check x [n, s, c] and y [m, s', c], and choose tiles that fit the memory.

        The sizes of tiles and pieces follow from the shapes, and from the memory where it is so short that one thread's
        do not fit; too little memory for all threads means fewer threads.
        """
        n, m, s, c = check_shapes(x, y, unequal_sizes=pair_matcher.takes_unequal_sizes)
        pair_matcher.check(x.shape[1], x.shape[1] if y is None else y.shape[1])
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        if memory_gib is not None and not memory_gib > 0:
            raise ValueError(f"memory_gib must be above 0, got {memory_gib}")
        budget = psutil.virtual_memory().available / 2 if memory_gib is None else memory_gib * 2**30
        most = min(_MAX_IMAGES, -(-max(n, m) // _TILES_ON_A_SIDE))
        piece_size = _piece_size(pair_matcher, s, c, most, budget)
        need = MemoryNeed.of(pair_matcher, piece_size, piece_size, s, c)
        if need.piece > budget:
            raise ValueError(
                f"a pair of images with {s} positions needs {need.piece / 2**20:.1f} MiB, but only "
                f"{budget / 2**20:.1f} MiB are allowed: raise memory_gib, or choose matching=batch_optimal"
            )
        tile_size = max(piece_size, min(most, math.isqrt(int(_POSITION_PAIRS / s**2))) // piece_size * piece_size)
        while True:
            need = MemoryNeed.of(pair_matcher, tile_size, piece_size, s, c)
            room = min(budget / _OPEN_TILES_SHARE, budget - need.of_threads(1) + need.tile)
            if tile_size == piece_size or need.tile <= room:
                break
            tile_size -= piece_size
        at_once = need.threads_within(budget, threads or available_cores())
        return cls(n, m, tile_size, at_once, y is None, need.of_threads(at_once), piece_size)

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row; those on and above the diagonal where x is compared with itself."""
        for row in range(0, self.n, self.tile_size):
            for col in range(row if self.symmetric else 0, self.m, self.tile_size):
                shape = min(self.tile_size, self.n - row), min(self.tile_size, self.m - col)
                yield Tile(row, col, shape, self.symmetric)


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that threads take which share the pieces of tiles."""

    piece: int  # of one thread
    tile: int  # of the images of a tile that has several pieces, and of its result
    pieces: int  # of a tile

    @classmethod
    def of(cls, pair_matcher: PairMatcher, tile_size: int, piece_size: int, s: int, c: int) -> Self:
        """For tiles and pieces of so many images on a side, of s positions and c channels."""
        tile = 0 if tile_size == piece_size else 2 * 4 * tile_size * s * c + 2 * 8 * tile_size**2
        return cls(pair_matcher.memory(piece_size, s, c), tile, (tile_size // piece_size) ** 2)

    def of_threads(self, threads: int) -> int:
        """What so many threads take: a piece each, and the tiles that these and the next pieces are of."""
        return threads * self.piece + (1 + -(-2 * threads // self.pieces)) * self.tile

    def threads_within(self, budget: float, most: int) -> int:
        """How many threads fit into a budget of bytes: at least one, at most `most`."""
        return next((n for n in range(most, 1, -1) if self.of_threads(n) <= budget), 1)


def _piece_size(pair_matcher: PairMatcher, s: int, c: int, most: int, budget: float) -> int:
    """Images on a side of a piece: whole blocks of matrix products, unless the memory is short."""
    most = min(most, _MAX_PIECE_IMAGES, math.isqrt(int(_PIECE_POSITION_PAIRS / s**2)))
    block = pair_matcher.block(s)
    size = max(block, most // block * block)
    while size > 1 and pair_matcher.memory(size, s, c) > budget:
        size //= 2
    return size


def check_shapes(
    x: Representations, y: Representations | None, *, unequal_sizes: bool = False
) -> tuple[int, int, int, int]:
    """n, m, s, c of x [n, s, c] and y [m, s', c], which must fit together; s is the larger one of unequal sizes."""
    for name, part in (("x", x), ("y", x if y is None else y)):
        if len(part.shape) != 3 or 0 in part.shape:
            raise ValueError(f"{name} must be [images, positions, channels], none of them 0, got {tuple(part.shape)}")
    if y is not None and (x.shape[2] != y.shape[2] or (x.shape[1] != y.shape[1] and not unequal_sizes)):
        raise ValueError(
            f"x and y must have the same {'' if unequal_sizes else 'positions and '}channels, got "
            f"{tuple(x.shape[1:])} and {tuple(y.shape[1:])}"
        )
    n, s, c = x.shape
    return n, n if y is None else y.shape[0], s if y is None else max(s, y.shape[1]), c


def load_float32(x: Representations, start: int, count: int) -> NDArray[np.float32]:
    """Some images of x [n, s, c], as float32 in one piece."""
    return np.ascontiguousarray(np.asarray(x[start : start + count]), dtype=np.float32)


def squared_norms(x: Representations, name: str) -> NDArray[np.float64]:
    """The squared norms [n] of x [n, s, c], read in chunks; an image that float32 cannot compare is named."""
    n, s, c = x.shape
    step = max(1, CHUNK_BYTES // (4 * s * c))
    squares, small = np.empty(n), np.zeros(n)
    for start in range(0, n, step):
        given = np.asarray(x[start : start + step]).reshape(-1, s * c)
        part = np.ascontiguousarray(given, dtype=np.float32)
        squares[start : start + step] = np.einsum("nk,nk->n", part, part, dtype=np.float64)
        low = np.flatnonzero(squares[start : start + step] < _MIN_SQUARE * s * c)
        small[start + low] = np.abs(given[low]).max(axis=1)
    for bad in np.flatnonzero(~np.isfinite(squares)):
        raise ValueError(f"{name} must be finite in float32, but sample {bad} holds NaN or infinity")
    for large in np.flatnonzero(squares > _MAX_SQUARE):
        raise ValueError(
            f"{name} is too large for float32: the squared norm of sample {large} is {squares[large]:.1e}, "
            f"at most {_MAX_SQUARE:.0e} is possible; divide the representations by a number"
        )
    for tiny in np.flatnonzero(small > _ROUNDING * max(np.sqrt(squares.max()), small.max())):
        raise ValueError(
            f"{name} is too small for float32: the largest value of sample {tiny} is {small[tiny]:.1e}, and products "
            "of such values lose their digits; multiply the representations by a number"
        )
    return squares
