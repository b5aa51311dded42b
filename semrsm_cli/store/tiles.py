"""Finished tiles of RSMs on disk: what a killed run counted is not counted again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from semrsm_cli.rsm import Tile
from semrsm_cli.store.keys import cache_folder, digest
from semrsm_cli.store.locks import locked

__all__ = ["TileFolder"]

_EVERY_CHUNK: Any = {"write_empty_chunks": True}  # a tile of zeros, too, has to be seen as finished


class TileFolder:
    """Tiles of one RSM: the Zarr arrays `inner` and `bound` [n, m], whose chunk is a tile.

    `settings` are the key: what the images are, how they are centred, and how they are matched.
    """

    inner: "zarr.Array[Any]"
    bound: "zarr.Array[Any]"

    def __init__(self, settings: Mapping[str, Any], root: Path | None = None) -> None:
        self.key = digest(settings)
        self.root = root or cache_folder()
        self.path = self.root / "tiles" / self.key

    def open(self, shape: tuple[int, int], tile_size: int) -> None:
        """Make the arrays [n, m], or find those that an earlier run made with tiles of this size."""
        self.path = self.root / "tiles" / self.key / f"{tile_size}"
        with locked(self.key, self.root):
            self.inner, self.bound = (self._array(name, shape, tile_size) for name in ("inner", "bound"))

    def load(self, tile: Tile) -> tuple[np.ndarray, np.ndarray] | None:
        """Inner products and bounds of a tile, or None where it is not finished."""
        if not all(path.exists() for path in self._chunks(tile)):
            return None
        return np.asarray(self.inner[tile.slices]), np.asarray(self.bound[tile.slices])

    def save(self, tile: Tile, inner: np.ndarray, bound: np.ndarray) -> None:
        """Keep a finished tile."""
        self.inner[tile.slices] = inner
        self.bound[tile.slices] = bound

    def _array(self, name: str, shape: tuple[int, int], tile_size: int) -> "zarr.Array[Any]":
        path = self.path / name
        if (path / "zarr.json").exists():
            return zarr.open_array(path, mode="r+", zarr_format=3).with_config(_EVERY_CHUNK)
        path.mkdir(parents=True, exist_ok=True)
        return zarr.create_array(
            path,
            shape=shape,
            chunks=(min(tile_size, shape[0]), min(tile_size, shape[1])),  # a chunk takes its whole room on disk
            dtype="float64",
            compressors=None,  # products hardly shrink, and reading stays a plain copy
            config=_EVERY_CHUNK,
        )

    def _chunks(self, tile: Tile) -> list[Path]:
        """The files of a tile; each was moved to its place whole."""
        rows, columns = self.inner.chunks
        place = Path("c", str(tile.row // rows), str(tile.col // columns))
        return [self.path / name / place for name in ("inner", "bound")]
