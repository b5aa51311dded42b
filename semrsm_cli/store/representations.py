"""Representations on disk, each under the hash of the settings that made it.

A representation is a Zarr v3 group `representations/<key>` with the array `concept_vectors` [n, s, c], one chunk per
forward pass, and `ids.csv` beside it. Every file appears whole or not at all.
"""

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import atomic, note_use, remove_unfinished
from semrsm_cli.store.arrays import CheckedArray
from semrsm_cli.store.earlier import earlier_version, format_of
from semrsm_cli.store.keys import FORMAT, cache_folder, digest

__all__ = ["ARRAY", "REPRESENTATIONS", "Precision", "Representation", "Writer", "open_stored"]

REPRESENTATIONS, ARRAY, _IDS = "representations", "concept_vectors", "ids.csv"
_LOG = logging.getLogger(__name__)


_Grid = tuple[int, int]


class Precision(StrEnum):
    """Floating-point type of stored representations."""

    float16 = "float16"
    float32 = "float32"


@dataclass(frozen=True)
class Representation:
    """Stored concept vectors [n, s, c] of n images; slicing reads from disk.

    `grid` is (height, width) where the positions lie on a CNN's map, `patch_grid` where they are the patches of a
    transformer. `key` names settings, images and layer.
    """

    array: CheckedArray
    ids: tuple[str, ...]
    grid: _Grid | None
    key: str
    patch_grid: _Grid | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Images, positions, channels."""
        n, s, c = self.array.shape
        return n, s, c

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type on disk."""
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.array[rows]

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
    data, ids, type, and the chunk's length. Who writes should hold the lock of `key`, or work is done twice.
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
        self.path = (root or cache_folder()) / REPRESENTATIONS / self.key

    @cached_property
    def _array(self) -> CheckedArray | None:
        """What an earlier run made, if it is of these images."""
        array = CheckedArray.find(self.path / ARRAY)
        fits = array is not None and (array.shape[0], array.chunks[0]) == (len(self.ids), self.chunk)
        return array if fits else None

    @property
    def n_chunks(self) -> int:
        """How many chunks the representation has when complete."""
        return -(-len(self.ids) // self.chunk)

    def missing(self) -> list[int]:
        """The chunks that are not on disk as they were written; this reads them all."""
        if self._array is None:
            del self._array  # another run may make it
        if self._array is None:
            return list(range(self.n_chunks))
        return [i for i in range(self.n_chunks) if self._array.read(i, 0, 0) is None]

    def is_complete(self) -> bool:
        """Whether all is on disk as it was written; chunks are read only where none is lacking."""
        return not self._lacking() and not self._wrong_texts() and not self.missing()

    def tidy(self) -> None:
        """Remove what a killed run had begun to write, and write damaged texts anew; the lock must be held."""
        remove_unfinished(self.path)
        if self._array is not None:
            self._write_texts()

    def write(self, i: int, values: np.ndarray, grid: _Grid | None, patches: _Grid | None = None) -> None:
        """Store chunk `i`; the first one makes the array, with its grid.

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
            self._array = self._create(values.shape[1:], grid, patches)
        self._array.write(stored, i, 0, 0)

    def finished(self) -> Representation:
        """The complete representation; `missing` tells whether its chunks are as they were written."""
        lacking = self._lacking()
        if self._array is None or lacking:
            raise RuntimeError(f"{self.path} lacks {len(lacking)} of {self.n_chunks} chunks")
        grids: list[Any] = [self._array.attributes.get(name) for name in ("grid", "patches")]
        note_use(self.path)
        grid, patches = (tuple(one) if one else None for one in grids)
        return Representation(self._array, self.ids, grid, self.key, patches)

    def _lacking(self) -> list[int]:
        """The chunks that were never written."""
        return [i for i in range(self.n_chunks) if self._array is None or not self._array.has(i, 0, 0)]

    def _create(self, position_shape: tuple[int, ...], grid: _Grid | None, patches: _Grid | None) -> CheckedArray:
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_texts()
        return CheckedArray.create(
            self.path / ARRAY,
            shape=(len(self.ids), *position_shape),
            chunks=(self.chunk, *position_shape),
            dtype=str(self.precision),
            attributes={
                "grid": list(grid) if grid else None,
                "patches": list(patches) if patches else None,
                "settings": self.settings,
            },
        )

    def _texts(self) -> dict[str, str]:
        """The files beside the array."""
        group = {"attributes": {"settings": self.settings}, "zarr_format": 3, "node_type": "group"}
        return {"zarr.json": json.dumps(group, indent=2, default=str), _IDS: _ids_as_csv(self.ids)}

    def _wrong_texts(self) -> dict[str, str]:
        """Those of them that are missing or damaged."""
        return {name: text for name, text in self._texts().items() if not _holds(self.path / name, text)}

    def _write_texts(self) -> None:
        for name, text in self._wrong_texts().items():
            with atomic(self.path / name) as unfinished:
                unfinished.write_text(text, encoding="utf-8")


def open_stored(key: str, root: Path | None = None) -> tuple[str, Representation]:
    """The representation under a key that `semrsm extract` printed, and its layer's name.

    Raises:
        SemrsmError: There is none, or it is not complete.
    """
    path = (root or cache_folder()) / REPRESENTATIONS / key
    if format_of(path) is not None:
        raise SemrsmError(
            f"the representation {key} was stored by another version ({earlier_version(path)}, today's is {FORMAT}) "
            "and is not read; run the same `semrsm extract` again, which prints its new key"
        )
    array = CheckedArray.find(path / ARRAY)
    if array is None:
        raise SemrsmError(f"the store holds no representation {key}; `semrsm extract` prints the keys it has")
    settings: Any = array.attributes["settings"]
    try:
        with (path / _IDS).open(newline="", encoding="utf-8") as file:
            ids = [row["id"] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError):
        ids = []  # of other images, as the key will tell
    writer = Writer(settings, ids, chunk=settings["chunk"], precision=Precision(settings["precision"]), root=root)
    writer.__dict__["_array"] = array  # found already
    if writer.key != key or not writer.is_complete():
        raise SemrsmError(f"the representation {key} is not complete; run the same `semrsm extract` again")
    if version := earlier_version(path):
        _LOG.warning("the representation %s is read as an earlier version stored it (%s)", key, version)
    return str(settings["layer"]), writer.finished()


def _holds(path: Path, text: str) -> bool:
    """Whether a file holds this text."""
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def _ids_as_csv(ids: Sequence[str]) -> str:
    """The table of sample ids."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", "id"])
    writer.writerows(enumerate(ids))
    return buffer.getvalue()
