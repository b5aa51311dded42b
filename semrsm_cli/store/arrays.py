"""Arrays on disk that notice damage: every chunk holds its checksum, and a list tells which checksum belongs where.

A chunk's own checksum (crc32c) does not see that two chunks were swapped, nor what happened to the metadata. So beside
each Zarr array lies `checksums.csv`: a line for its metadata, then one for each chunk when it has been written. What
does not agree with it is said on one line, and counts as not there.
"""

import csv
import hashlib
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

__all__ = ["CheckedArray"]

_EVERY_CHUNK: Any = {"write_empty_chunks": True}  # a chunk of zeros, too, has to be seen as finished
_METADATA, _CHECKSUMS = "zarr.json", "checksums.csv"
_CRC_BYTES = 4
_LOG = logging.getLogger(__name__)


class CheckedArray:
    """A Zarr array that is written chunk by chunk; slicing reads from disk.

    `place` is a chunk's index in the grid of chunks. Any number of processes may write the same chunks at once, as long
    as they write the same values.
    """

    def __init__(self, array: "zarr.Array[Any]", path: Path) -> None:
        self.array, self.path = array, path
        self._checksums: dict[str, str] = {}
        self._read_up_to = 0

    @classmethod
    def create(
        cls, path: Path, *, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any, attributes: Mapping[str, Any]
    ) -> Self:
        """Make an empty array in the place of whatever lies there."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, exist_ok=True)
        array = zarr.create_array(
            path,
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            compressors=[Crc32cCodec()],  # features hardly shrink: beside its checksum a chunk is a plain copy
            config=_EVERY_CHUNK,
            attributes=dict(attributes),
        )
        made = cls(array, path)
        made._note(_METADATA, _digest(path / _METADATA))
        return made

    @classmethod
    def find(
        cls, path: Path, *, shape: tuple[int, ...] | None = None, chunks: tuple[int, ...] | None = None
    ) -> Self | None:
        """The array that lies there, or None where there is none, or none that is whole, or one of another shape."""
        if not (path / _METADATA).is_file():
            return None
        try:
            array: Any = zarr.open_array(path, mode="r+", zarr_format=3).with_config(_EVERY_CHUNK)
            is_whole = cls(array, path)._checksum_of(_METADATA) == _digest(path / _METADATA)
        except Exception as error:  # whatever Zarr raises on metadata that are no metadata
            _LOG.warning(
                "%s is damaged (%s) and is made anew", path, " ".join(str(error).split()) or type(error).__name__
            )
            return None
        if not is_whole:
            _LOG.warning("%s is damaged: its metadata are not those that were written; it is made anew", path)
            return None
        fits = shape in (None, array.shape) and chunks in (None, array.chunks)
        return cls(array, path) if fits else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        return tuple(self.array.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self.array[index])

    def read(self, *place: int) -> np.ndarray | None:
        """The values of a chunk; None where it was not written yet, or is damaged."""
        noted, file = self._checksum_of(_name(place)), self._file(place)
        if noted is None or not file.is_file():
            return None
        if noted == _own_checksum(file):
            try:
                return self[self._slices(place)]
            except ValueError:  # the content does not have this checksum
                pass
        _LOG.warning("%s is damaged and is computed anew", file)
        return None

    def has(self, *place: int) -> bool:
        """Whether a chunk was written, whatever has become of its content."""
        return self._checksum_of(_name(place)) is not None and self._file(place).is_file()

    def write(self, values: np.ndarray, *place: int) -> None:
        """Put the values of a whole chunk to their place."""
        self.array[self._slices(place)] = values
        self._note(_name(place), _own_checksum(self._file(place)))

    def _slices(self, place: tuple[int, ...]) -> tuple[slice, ...]:
        """The part of the array that a chunk covers."""
        extents = zip(place, self.array.chunks, self.array.shape, strict=True)
        return tuple(slice(i * length, min((i + 1) * length, end)) for i, length, end in extents)

    def _file(self, place: tuple[int, ...]) -> Path:
        """The file of a chunk; Zarr moves it there whole."""
        return self.path.joinpath("c", *map(str, place))

    def _note(self, name: str, checksum: str) -> None:
        """Add a line, so short that those of several processes do not mix; it begins anew after one that was cut."""
        with (self.path / _CHECKSUMS).open("a", encoding="ascii") as file:
            file.write(f"\n{name},{checksum}\n")

    def _checksum_of(self, name: str) -> str | None:
        """The checksum last noted under a name; lines that were cut short say nothing."""
        path = self.path / _CHECKSUMS
        size = path.stat().st_size if path.is_file() else 0
        if size != self._read_up_to:
            with path.open(newline="", encoding="ascii", errors="replace") as file:
                self._checksums = {row[0]: row[1] for row in csv.reader(file) if len(row) == len(("name", "checksum"))}
            self._read_up_to = size
        return self._checksums.get(name)


def _name(place: tuple[int, ...]) -> str:
    return "/".join(map(str, place))


def _own_checksum(chunk: Path) -> str:
    """The checksum that a chunk ends in, though its content may not have it."""
    with chunk.open("rb") as file:
        file.seek(max(0, chunk.stat().st_size - _CRC_BYTES))
        return file.read().hex()


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
