"""Finished tiles of RSMs on disk: what a killed run counted is not counted again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.rsm import Tile
from semrsm_cli.store.arrays import CheckedArray
from semrsm_cli.store.keys import FORMAT, cache_folder, digest
from semrsm_cli.store.locks import locked

__all__ = ["TileFolder"]


class TileFolder:
    """Tiles of one RSM: the arrays `inner` and `bound` [n, m], whose chunk is a tile.

    `settings` are the key: what the images are, how they are centred, and how they are matched.
    """

    inner: CheckedArray
    bound: CheckedArray

    def __init__(self, settings: Mapping[str, Any], root: Path | None = None) -> None:
        self.key = digest({"format": FORMAT, "settings": settings})
        self.root = root or cache_folder()
        self.path = self.root / "tiles" / self.key

    def open(self, shape: tuple[int, int], tile_size: int) -> None:
        """Make the arrays [n, m], or find those that an earlier run made with tiles of this size."""
        self.path = self.root / "tiles" / self.key / f"{tile_size}"
        chunks = min(tile_size, shape[0]), min(tile_size, shape[1])  # a chunk takes its whole room on disk
        arrays = [self._find(name, shape, chunks) for name in ("inner", "bound")]
        if not all(arrays):  # else nothing is written: a complete store may be read-only
            with locked(self.key, self.root):
                arrays = [
                    self._find(name, shape, chunks)
                    or CheckedArray.create(self.path / name, shape=shape, chunks=chunks, dtype="float64", attributes={})
                    for name in ("inner", "bound")
                ]
        (self.inner, self.bound) = (array for array in arrays if array is not None)

    def load(self, tile: Tile) -> tuple[np.ndarray, np.ndarray] | None:
        """Inner products and bounds of a tile, or None where it is not finished, or damaged."""
        place = self._place(tile)
        inner = self.inner.read(*place)
        bound = None if inner is None else self.bound.read(*place)
        return None if inner is None or bound is None else (inner, bound)

    def save(self, tile: Tile, inner: np.ndarray, bound: np.ndarray) -> None:
        """Keep a finished tile."""
        self.inner.write(inner, *self._place(tile))
        self.bound.write(bound, *self._place(tile))

    def _find(self, name: str, shape: tuple[int, int], chunks: tuple[int, int]) -> CheckedArray | None:
        return CheckedArray.find(self.path / name, shape=shape, chunks=chunks)

    def _place(self, tile: Tile) -> tuple[int, int]:
        rows, columns = self.inner.array.chunks
        return tile.row // rows, tile.col // columns
