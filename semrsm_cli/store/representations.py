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
from semrsm_cli.store.arrays import CheckedArray
from semrsm_cli.store.keys import FORMAT, cache_folder, digest

__all__ = ["Precision", "Representation", "Writer", "open_stored"]

_ARRAY = "concept_vectors"


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
    data, ids, type, and the chunk's length. Only who holds the lock of `key` may write.
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
        self.settings = dict(settings) | {
            "ids": digest(list(ids)),
            "chunk": chunk,
            "precision": str(precision),
            "format": FORMAT,
        }
        self.ids, self.chunk, self.precision = tuple(ids), chunk, precision
        self.key = digest(self.settings)
        self.path = (root or cache_folder()) / "representations" / self.key
        self._array = self._find()

    @property
    def n_chunks(self) -> int:
        """How many chunks the representation has when complete."""
        return -(-len(self.ids) // self.chunk)

    def missing(self) -> list[int]:
        """The chunks that are not on disk as they were written; this reads them all."""
        self._array = self._array or self._find()
        if self._array is None:
            return list(range(self.n_chunks))
        return [i for i in range(self.n_chunks) if self._array.read(i, 0, 0) is None]

    def is_complete(self) -> bool:
        """Whether all chunks are on disk as they were written; they are read only where none is lacking."""
        return not self._lacking() and not self.missing()

    def write(self, i: int, values: np.ndarray, grid: tuple[int, int] | None) -> None:
        """Store chunk `i`; the first one makes the array.

        Raises:
            SemrsmError: A value does not fit the type.
        """
        with np.errstate(over="ignore"):
            stored = values.astype(self.precision)
        finite = np.isfinite(stored).reshape(len(stored), -1).all(axis=1)
        if not finite.all():
            image = self.ids[i * self.chunk + int(np.argmin(finite))]
            raise SemrsmError(
                f"layer {self.settings.get('layer')} of image {image} is not finite in {self.precision}; set "
                "runtime.precision=float32"
            )
        if self._array is None or self._array.shape[1:] != values.shape[1:]:
            self._array = self._create(values.shape[1:], grid)
        self._array.write(stored, i, 0, 0)

    def clear_partial(self) -> None:
        """Remove what a run that was killed had begun to write; nobody else may be writing."""
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink()

    def finished(self) -> Representation:
        """The complete representation; `missing` tells whether its chunks are as they were written."""
        lacking = self._lacking()
        if self._array is None or lacking:
            raise RuntimeError(f"{self.path} lacks {len(lacking)} of {self.n_chunks} chunks")
        grid: Any = self._array.array.attrs.get("grid")
        return Representation(self._array.array, self.ids, tuple(grid) if grid else None, self.key)

    def _lacking(self) -> list[int]:
        """The chunks that were never written."""
        return [i for i in range(self.n_chunks) if self._array is None or not self._array.has(i, 0, 0)]

    def _find(self) -> CheckedArray | None:
        """What an earlier run made, if it is of these images."""
        array = CheckedArray.find(self.path / _ARRAY)
        fits = array is not None and (array.shape[0], array.array.chunks[0]) == (len(self.ids), self.chunk)
        return array if fits else None

    def _create(self, position_shape: tuple[int, ...], grid: tuple[int, int] | None) -> CheckedArray:
        zarr.open_group(self.path, mode="w", zarr_format=3, attributes={"settings": self.settings})
        with atomic(self.path / "ids.csv") as path:
            path.write_text(_ids_as_csv(self.ids), encoding="utf-8")
        return CheckedArray.create(
            self.path / _ARRAY,
            shape=(len(self.ids), *position_shape),
            chunks=(self.chunk, *position_shape),
            dtype=str(self.precision),
            attributes={"grid": list(grid) if grid else None, "settings": self.settings},
        )


def open_stored(key: str, root: Path | None = None) -> tuple[str, Representation]:
    """The representation under a key that `semrsm extract` printed, and its layer's name.

    Raises:
        SemrsmError: There is none, or it is not complete.
    """
    path = (root or cache_folder()) / "representations" / key
    array = CheckedArray.find(path / _ARRAY)
    if array is None:
        raise SemrsmError(f"the store holds no representation {key}; `semrsm extract` prints the keys it has")
    settings: Any = array.array.attrs["settings"]
    try:
        with (path / "ids.csv").open(newline="", encoding="utf-8") as file:
            ids = [row["id"] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError):
        ids = []  # of other images, as the key will tell
    writer = Writer(settings, ids, chunk=settings["chunk"], precision=Precision(settings["precision"]), root=root)
    if writer.key != key or not writer.is_complete():
        raise SemrsmError(f"the representation {key} is not complete; run the same `semrsm extract` again")
    return str(settings["layer"]), writer.finished()


def _ids_as_csv(ids: Sequence[str]) -> str:
    """The table of sample ids."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", "id"])
    writer.writerows(enumerate(ids))
    return buffer.getvalue()
