"""Finished tiles of RSMs on disk: what a killed run counted is not counted again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.files import note_use
from semrsm_cli.rsm import Tile
from semrsm_cli.store.arrays import CheckedArray
from semrsm_cli.store.keys import FORMAT, cache_folder, digest

__all__ = ["TILES", "TileFolder"]

TILES = "tiles"


class TileFolder:
    """Tiles of one RSM: the arrays `inner` and `bound` [n, m], whose chunk is a tile.

    `settings` are the key: what the images are, how they are centred, and how they are matched. `about` is no part of
    it, but tells people what the tiles are of.
    """

    inner: CheckedArray
    bound: CheckedArray

    def __init__(
        self, settings: Mapping[str, Any], root: Path | None = None, *, about: Mapping[str, Any] | None = None
    ) -> None:
        self.key = digest({"format": FORMAT, "settings": settings})
        told = {name: settings[name] for name in ("stages",) if name in settings}
        self.about = dict(about or {}) | told | {"format": FORMAT}
        self.root = root or cache_folder()
        self.path = self.root / TILES / self.key

    def open(self, shape: tuple[int, int], tile_size: int) -> None:
        """Make the arrays [n, m], or find those that an earlier run made with tiles of this size."""
        self.path = self.root / TILES / self.key / f"{tile_size}"
        chunks = min(tile_size, shape[0]), min(tile_size, shape[1])  # a chunk takes its whole room on disk
        arrays = [CheckedArray.find(self.path / name, shape=shape, chunks=chunks) for name in ("inner", "bound")]
        self.inner, self.bound = (  # where both are there nothing is written: a complete store may be read-only
            array or CheckedArray.create(path, shape=shape, chunks=chunks, dtype="float64", attributes=self.about)
            for array, path in zip(arrays, (self.path / "inner", self.path / "bound"), strict=True)
        )
        note_use(self.path.parent)

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

    def _place(self, tile: Tile) -> tuple[int, int]:
        rows, columns = self.inner.chunks
        return tile.row // rows, tile.col // columns
