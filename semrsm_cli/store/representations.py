"""Representations on disk, each under the hash of the settings that made it.

A representation is a Zarr v3 group `representations/<key>` with the array `concept_vectors` [n, s, c], one chunk per
forward pass, and `ids.csv` beside it. Every file appears whole or not at all.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import atomic
from semrsm_cli.store.keys import cache_folder, digest

__all__ = ["Precision", "Representation", "Writer", "open_stored"]

_ARRAY = "concept_vectors"
_EVERY_CHUNK: Any = {"write_empty_chunks": True}  # a chunk of zeros, too, has to be seen as finished


class Precision(StrEnum):
    """Floating-point type of stored representations."""

    float16 = "float16"
    float32 = "float32"


@dataclass(frozen=True)
class Representation:
    """Stored concept vectors [n, s, c] of n images; slicing reads from disk.

    `grid` is (height, width) where the positions lie on a CNN's map. `key` names settings, images and layer.
    """

    array: "zarr.Array[Any]"
    ids: tuple[str, ...]
    grid: tuple[int, int] | None
    key: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Images, positions, channels."""
        n, s, c = self.array.shape
        return n, s, c

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type on disk."""
        return np.dtype(self.array.dtype)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self.array[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array[:], dtype=dtype)

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Rows of the images `ids`, so that nobody relies on the order in the store."""
        row = {name: i for i, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in row]
        if missing:
            raise SemrsmError(f"the stored representation lacks {len(missing)} images, the first is {missing[0]}")
        return np.array([row[name] for name in ids])


class Writer:
    """Fills one representation, chunk by chunk, and goes on where an earlier run stopped.

    Chunk i holds the rows [i * chunk, (i + 1) * chunk). `settings` are the key: model, weights, preprocessing, layer,
    data, ids, type, and the chunk's length.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        ids: Sequence[str],
        *,
        chunk: int,
        precision: Precision,
        root: Path | None = None,
    ) -> None:
        self.settings = dict(settings) | {"ids": digest(list(ids)), "chunk": chunk, "precision": str(precision)}
        self.ids, self.chunk, self.precision = tuple(ids), chunk, precision
        self.key = digest(self.settings)
        self.path = (root or cache_folder()) / "representations" / self.key
        for leftover in self.path.rglob("*.partial"):  # of a run that was killed while it wrote
            leftover.unlink()

    @property
    def n_chunks(self) -> int:
        """How many chunks the representation has when complete."""
        return -(-len(self.ids) // self.chunk)

    def has(self, i: int) -> bool:
        """Whether chunk `i` is on disk; its file was moved there whole."""
        return (self.path / _ARRAY / "c" / str(i) / "0" / "0").exists()

    def write(self, i: int, values: np.ndarray, grid: tuple[int, int] | None) -> None:
        """Store chunk `i`; the first one makes the array."""
        array = self._open() if self._made() else self._create(values.shape[1:], grid)
        start = i * self.chunk
        array[start : start + len(values)] = values.astype(self.precision)

    def finished(self) -> Representation:
        """The complete representation."""
        missing = [i for i in range(self.n_chunks) if not self.has(i)]
        if missing:
            raise RuntimeError(f"{self.path} lacks {len(missing)} of {self.n_chunks} chunks")
        array = self._open()
        grid: Any = array.attrs.get("grid")
        return Representation(array, self.ids, tuple(grid) if grid else None, self.key)

    def _made(self) -> bool:
        return (self.path / _ARRAY / "zarr.json").exists()

    def _open(self) -> "zarr.Array[Any]":
        return zarr.open_array(self.path / _ARRAY, mode="r+", zarr_format=3).with_config(_EVERY_CHUNK)

    def _create(self, position_shape: tuple[int, ...], grid: tuple[int, int] | None) -> "zarr.Array[Any]":
        group = zarr.open_group(self.path, mode="a", zarr_format=3, attributes={"settings": self.settings})
        with atomic(self.path / "ids.csv") as path:
            path.write_text(_ids_as_csv(self.ids), encoding="utf-8")
        return group.create_array(
            _ARRAY,
            shape=(len(self.ids), *position_shape),
            chunks=(self.chunk, *position_shape),
            dtype=str(self.precision),
            compressors=None,  # features hardly shrink, and reading stays a plain copy
            config=_EVERY_CHUNK,
            attributes={"grid": list(grid) if grid else None},
        )


def open_stored(key: str, root: Path | None = None) -> tuple[str, Representation]:
    """The representation under a key that `semrsm extract` printed, and its layer's name.

    Raises:
        SemrsmError: There is none, or it is not complete.
    """
    path = (root or cache_folder()) / "representations" / key
    try:
        settings: Any = zarr.open_group(path, mode="r").attrs["settings"]
        with (path / "ids.csv").open(newline="", encoding="utf-8") as file:
            ids = [row["id"] for row in csv.DictReader(file)]
    except (OSError, KeyError) as error:
        raise SemrsmError(
            f"the store holds no representation {key}; `semrsm extract` prints the keys it has"
        ) from error
    writer = Writer(settings, ids, chunk=settings["chunk"], precision=Precision(settings["precision"]), root=root)
    if writer.key != key or not all(writer.has(i) for i in range(writer.n_chunks)):
        raise SemrsmError(f"the representation {key} is not complete; run the same `semrsm extract` again")
    return str(settings["layer"]), writer.finished()


def _ids_as_csv(ids: Sequence[str]) -> str:
    """The table of sample ids."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", "id"])
    writer.writerows(enumerate(ids))
    return buffer.getvalue()
