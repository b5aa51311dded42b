"""What is computed for each tile, by the threads of a process: of this one, or of a worker on another machine."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.rsm.centering import Representations
from semrsm_cli.rsm.matcher import PairMatcher
from semrsm_cli.rsm.plan import Tile, load_float32
from semrsm_cli.rsm.threads import run, single_threaded_blas

__all__ = ["Engine", "TileWork"]

_Values = NDArray[np.float64]
_Images = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TileWork:
    """Images x, compared with themselves or with y, and how.

    `pairs` [n, k] are the images of y that each of x is compared with, in ascending order, -1 where there are fewer;
    None: all. With it a tile is a part of these lists, not of the matrix.
    """

    x: Representations
    y: Representations | None
    pair_matcher: PairMatcher
    piece_size: int
    pairs: NDArray[np.intp] | None = None

    def compute(
        self, tiles: Sequence[Tile], threads: int, progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[Tile, _Values, _Values]]:
        """Each tile with its inner products and bounds when it is finished; threads share the pieces of the tiles.

        `progress` is called after each piece with the number of its pairs.
        """
        begin = _BegunTile if self.pairs is None else _BegunList
        begun = (begin(self, tile) for tile in tiles)
        jobs = ((tile, piece) for tile in begun for piece in tile.pieces)
        with single_threaded_blas():
            for (tile, piece), _ in run(_compute_piece, jobs, threads):
                if progress is not None:
                    progress(tile.n_pairs(piece))
                if tile.is_finished():
                    yield tile.tile, tile.inner, tile.bound

    def products(self, mask: NDArray[np.bool_], left: _Images, right: _Images) -> tuple[_Values, _Values]:
        """Inner products and bounds of the pairs in a mask [r, q], of the images left [r, s, c] and right [q, s, c]."""
        if self.pairs is None:
            return self.pair_matcher.products(left, right, mask)
        return _products_of_some(self.pair_matcher, left, right, mask)


Engine = Callable[[TileWork, Sequence[Tile]], Iterator[Tile]]
"""Computes tiles elsewhere: yields each when the store that `gram` was given holds it."""


@dataclass(eq=False)
class _Begun(ABC):
    """A tile, or a part of lists of pairs, some of whose pieces are computed."""

    work: TileWork
    tile: Tile
    pieces: list[Tile] = field(init=False)
    inner: _Values = field(init=False)
    bound: _Values = field(init=False)

    def __post_init__(self) -> None:
        self.pieces = self._cut()
        self.inner, self.bound = np.zeros(self.tile.shape), np.zeros(self.tile.shape)
        self._left = len(self.pieces)
        self._lock = Lock()
        self._images: tuple[_Images, ...] | None = None

    def images(self) -> tuple[_Images, ...]:
        """The images that all pieces need, read for the first piece and left after the last."""
        with self._lock:
            if self._images is None:
                self._images = self._read()
            return self._images

    def is_finished(self) -> bool:
        """Whether the piece just done was the last."""
        self._left -= 1
        if not self._left:
            self._images = None
        return not self._left

    @abstractmethod
    def n_pairs(self, piece: Tile) -> int:
        """Pairs that a piece finishes."""

    @abstractmethod
    def compute(self, piece: Tile) -> None:
        """Put a piece's products to their places."""

    @abstractmethod
    def _cut(self) -> list[Tile]:
        """The pieces."""

    @abstractmethod
    def _read(self) -> tuple[_Images, ...]:
        """The images that all pieces need."""


class _BegunTile(_Begun):
    """A tile, whose images on both sides are read once."""

    def n_pairs(self, piece: Tile) -> int:
        """Pairs that a piece finishes."""
        return piece.n_pairs

    def compute(self, piece: Tile) -> None:
        """Put a piece's products to their place in the tile."""
        left, right = self.images()
        rows, columns = (
            slice(of_all.start - first, of_all.stop - first)
            for of_all, first in zip(piece.slices, (self.tile.row, self.tile.col), strict=True)
        )
        products = self.work.products(piece.mask(), left[rows], right[columns])
        self.inner[rows, columns], self.bound[rows, columns] = products

    def _cut(self) -> list[Tile]:
        return list(self.tile.pieces(self.work.piece_size))

    def _read(self) -> tuple[_Images, ...]:
        x, y = self.work.x, self.work.x if self.work.y is None else self.work.y
        rows, columns = self.tile.shape
        left, right = load_float32(x, self.tile.row, rows), load_float32(y, self.tile.col, columns)
        # BLAS multiplies a matrix with itself by another routine, whose last digits differ
        return left, right.copy() if np.may_share_memory(left, right) else right


class _BegunList(_Begun):
    """A part of the lists; its images of x are read once, those of y by pieces.

    A piece is all of the part's images of x beside a run of images of y, of which some are listed.
    """

    def n_pairs(self, piece: Tile) -> int:
        """Pairs that a piece finishes."""
        return int(np.count_nonzero(self._is_in(piece)))

    def compute(self, piece: Tile) -> None:
        """Put a piece's products to their places in the lists."""
        rows, places = np.nonzero(self._is_in(piece))
        if not rows.size:
            return
        listed = self._columns[rows, places]
        first, last = int(listed.min()), int(listed.max())
        mask = np.zeros((piece.shape[0], last + 1 - first), bool)
        mask[rows, listed - first] = True
        assert self.work.y is not None  # see `check_columns`
        (left,) = self.images()
        inner, bound = self.work.products(mask, left, load_float32(self.work.y, first, mask.shape[1]))
        self.inner[rows, places], self.bound[rows, places] = inner[mask], bound[mask]

    def _cut(self) -> list[Tile]:
        assert self.work.y is not None  # see `check_columns`
        columns, size = self._columns, self.work.piece_size
        runs = np.unique(columns[columns >= 0] // size).tolist() or [0]
        height, m = self.tile.shape[0], self.work.y.shape[0]
        return [Tile(self.tile.row, i * size, (height, min(size, m - i * size)), False) for i in runs]

    def _read(self) -> tuple[_Images, ...]:
        return (load_float32(self.work.x, self.tile.row, self.tile.shape[0]),)

    @cached_property
    def _columns(self) -> NDArray[np.intp]:
        """The part of the lists."""
        assert self.work.pairs is not None  # see `TileWork.compute`
        return self.work.pairs[self.tile.slices]

    def _is_in(self, piece: Tile) -> NDArray[np.bool_]:
        """Which entries of the lists a piece holds."""
        return np.asarray((self._columns >= piece.col) & (self._columns < piece.col + piece.shape[1]))


def _compute_piece(job: tuple[_Begun, Tile]) -> None:
    """Put a piece's products to their place."""
    begun, piece = job
    begun.compute(piece)


def _products_of_some(
    pair_matcher: PairMatcher, left: _Images, right: _Images, mask: NDArray[np.bool_]
) -> tuple[_Values, _Values]:
    """Inner products and bounds of a few pairs of a piece, row by row: in blocks, most products would not be needed."""
    inner, bound = np.zeros(mask.shape), np.zeros(mask.shape)
    for i in np.flatnonzero(mask.any(axis=1)):
        columns = np.flatnonzero(mask[i])
        part = pair_matcher.products(left[i : i + 1], right[columns], np.ones((1, columns.size), bool))
        inner[i, columns], bound[i, columns] = part[0][0], part[1][0]
    return inner, bound
