"""Checked arrays for those who work on a part of a run, on a machine of their own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.rsm import Tile
from semrsm_cli.store.arrays import CheckedArray
from semrsm_cli.store.representations import Writer
from semrsm_cli.store.tiles import TileFolder

__all__ = ["note_again", "noted_checksums", "open_array", "write_array"]


def open_array(path: Path) -> CheckedArray | None:
    """The array that lies at a place; None where there is none that is whole."""
    return CheckedArray.find(path)


def write_array(path: Path, values: Any, *, rows: int, dtype: np.dtype[Any]) -> None:
    """Write an array [n, ...], so many rows a chunk; `values` is read by slices."""
    shape = tuple(values.shape)
    array = CheckedArray.create(path, shape=shape, chunks=(rows, *shape[1:]), dtype=dtype, attributes={})
    for i, start in enumerate(range(0, shape[0], rows)):
        array.write(np.asarray(values[start : start + rows]), i, *(0,) * (len(shape) - 1))


def holds_chunk(writer: Writer, i: int) -> bool:
    """Whether a chunk of a representation is there as it was written, be it by another process."""
    array = _array_of(writer)
    return array is not None and array.read(i, 0, 0) is not None


def chunks_not_seen(writer: Writer, chunks: Iterable[int]) -> list[int]:
    """Those of some chunks that nobody has written, as far as this process sees."""
    array = _array_of(writer)
    return [i for i in chunks if array is None or not array.has(i, 0, 0)]


def _array_of(writer: Writer) -> CheckedArray | None:
    """The array of a representation, which another process may have made meanwhile."""
    if writer._array is None:
        writer.__dict__.pop("_array", None)
    return writer._array


def noted_checksums(tiles: TileFolder, tile: Tile) -> tuple[str, ...]:
    """The checksums of a finished tile, as its writer noted them."""
    name = _name(tiles, tile)
    return tuple(array._checksum_of(name) or "" for array in (tiles.inner, tiles.bound))


def note_again(tiles: TileFolder, tile: Tile, checksums: tuple[str, ...]) -> None:
    """Note a tile's checksums where they are missing: network file systems may lose a line of two written at once."""
    name = _name(tiles, tile)
    for array, checksum in zip((tiles.inner, tiles.bound), checksums, strict=True):
        if array._checksum_of(name) != checksum:
            array._note(name, checksum)


def _name(tiles: TileFolder, tile: Tile) -> str:
    rows, columns = tiles.inner.chunks
    return f"{tile.row // rows}/{tile.col // columns}"
