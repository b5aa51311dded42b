"""What is computed for each tile, by the threads of a process: of this one, or of a worker on another machine."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
class _BegunTile:
    """A tile some of whose pieces are computed; its images are read for the first piece, and left after the last."""

    work: TileWork
    tile: Tile
    pieces: list[Tile] = field(init=False)
    inner: _Values = field(init=False)
    bound: _Values = field(init=False)

    def __post_init__(self) -> None:
        self.pieces = list(self.tile.pieces(self.work.piece_size))
        self.inner, self.bound = np.zeros(self.tile.shape), np.zeros(self.tile.shape)
        self._left = len(self.pieces)
        self._lock = Lock()
        self._images: tuple[_Images, _Images] | None = None

    def images(self) -> tuple[_Images, _Images]:
        """The images on both sides, read once."""
        with self._lock:
            if self._images is None:
                x, y = self.work.x, self.work.x if self.work.y is None else self.work.y
                rows, columns = self.tile.shape
                left, right = load_float32(x, self.tile.row, rows), load_float32(y, self.tile.col, columns)
                # BLAS multiplies a matrix with itself by another routine, whose last digits differ
                self._images = left, right.copy() if np.may_share_memory(left, right) else right
            return self._images

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

    def is_finished(self) -> bool:
        """Whether the piece just done was the last."""
        self._left -= 1
        if not self._left:
            self._images = None
        return not self._left


@dataclass(eq=False)
class _BegunList:
    """A part of the lists some of whose pieces are computed; its images of x are read once, those of y by pieces.

    A piece is all of the part's images of x beside a run of images of y, of which some are listed.
    """

    work: TileWork
    tile: Tile
    pieces: list[Tile] = field(init=False)
    inner: _Values = field(init=False)
    bound: _Values = field(init=False)

    def __post_init__(self) -> None:
        assert self.work.pairs is not None  # see `TileWork.compute`
        assert self.work.y is not None  # see `check_columns`
        self._columns, size = self.work.pairs[self.tile.slices], self.work.piece_size
        runs = np.unique(self._columns[self._columns >= 0] // size).tolist() or [0]
        height, m = self.tile.shape[0], self.work.y.shape[0]
        self.pieces = [Tile(self.tile.row, i * size, (height, min(size, m - i * size)), False) for i in runs]
        self.inner, self.bound = np.zeros(self.tile.shape), np.zeros(self.tile.shape)
        self._left = len(self.pieces)
        self._lock = Lock()
        self._images: _Images | None = None

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
        inner, bound = self.work.products(mask, self._left_images(), load_float32(self.work.y, first, mask.shape[1]))
        self.inner[rows, places], self.bound[rows, places] = inner[mask], bound[mask]

    def is_finished(self) -> bool:
        """Whether the piece just done was the last."""
        self._left -= 1
        if not self._left:
            self._images = None
        return not self._left

    def _is_in(self, piece: Tile) -> NDArray[np.bool_]:
        """Which entries of the lists a piece holds."""
        return np.asarray((self._columns >= piece.col) & (self._columns < piece.col + piece.shape[1]))

    def _left_images(self) -> _Images:
        """The images of x, read once."""
        with self._lock:
            if self._images is None:
                self._images = load_float32(self.work.x, self.tile.row, self.tile.shape[0])
            return self._images


def _compute_piece(job: tuple[_BegunTile | _BegunList, Tile]) -> None:
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
