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
    """Images x, compared with themselves or with y, and how; `pairs` [n, m] are those to compute, None: all."""

    x: Representations
    y: Representations | None
    pair_matcher: PairMatcher
    piece_size: int
    pairs: NDArray[np.bool_] | None = None

    def compute(
        self, tiles: Sequence[Tile], threads: int, progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[Tile, _Values, _Values]]:
        """Each tile with its inner products and bounds when it is finished; threads share the pieces of the tiles.

        `progress` is called after each piece with the number of its pairs.
        """
        begun = (_BegunTile(self, tile) for tile in tiles)
        jobs = ((tile, piece) for tile in begun for piece in tile.pieces)
        with single_threaded_blas():
            for (tile, piece), _ in run(_compute_piece, jobs, threads):
                if progress is not None:
                    progress(piece.n_pairs)
                if tile.is_finished():
                    yield tile.tile, tile.inner, tile.bound

    def products(self, piece: Tile, left: _Images, right: _Images) -> tuple[_Values, _Values]:
        """Inner products and bounds of a piece's pairs, of the images left [r, s, c] and right [q, s, c]."""
        if self.pairs is None:
            return self.pair_matcher.products(left, right, piece.mask())
        return _products_of_some(self.pair_matcher, left, right, self.pairs[piece.slices])


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

    def is_finished(self) -> bool:
        """Whether the piece just done was the last."""
        self._left -= 1
        if not self._left:
            self._images = None
        return not self._left


def _compute_piece(job: tuple[_BegunTile, Tile]) -> None:
    """Put a piece's products to their place in the tile."""
    begun, piece = job
    left, right = begun.images()
    rows, columns = (
        slice(of_all.start - first, of_all.stop - first)
        for of_all, first in zip(piece.slices, (begun.tile.row, begun.tile.col), strict=True)
    )
    begun.inner[rows, columns], begun.bound[rows, columns] = begun.work.products(piece, left[rows], right[columns])


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
