"""Arrays on disk that notice damage: every chunk holds its checksum, and a list tells which checksum belongs where.

The arrays are Zarr's (version 3), readable by anything that reads Zarr. A chunk's own checksum (crc32c) does not see
that two chunks were swapped, nor what happened to the metadata. So beside each array lies `checksums.csv`: a line for
its metadata, then one for each chunk when it has been written. What does not agree with it is said on one line, and
counts as not there. Nothing that a reader does changes a file, and writers at once do no harm: arrays and chunks appear
whole, under names that no other writer has, and all of them write the same values.
"""

import errno
import hashlib
import itertools
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import google_crc32c
import lazy_loader
import numpy as np

from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import atomic

__all__ = ["CheckedArray"]

if TYPE_CHECKING:
    import zarr
else:
    zarr = lazy_loader.load("zarr")  # help and wrong settings need none

_METADATA, _CHECKSUMS = "zarr.json", "checksums.csv"
_CRC_BYTES = 4
_ATTEMPTS = 5  # to write where another process moves a damaged array out of the way
_LOG = logging.getLogger(__name__)


class CheckedArray:
    """A Zarr array that is written chunk by chunk; slicing reads from disk.

    `place` is a chunk's index in the grid of chunks. In a slice, what was never written is 0; what was, and is damaged
    or gone, is an error.
    """

    def __init__(self, array: "zarr.Array[Any]", path: Path) -> None:
        self.array, self.path = array, path
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.chunks: tuple[int, ...] = tuple(array.chunks)
        self.dtype = np.dtype(array.dtype).newbyteorder("<")
        self._checksums: dict[str, str] = {}
        self._read_up_to = 0
        self._seen: set[tuple[int, ...]] = set()

    @classmethod
    def create(
        cls, path: Path, *, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any, attributes: Mapping[str, Any]
    ) -> Self:
        """Make an empty array in the place of whatever lies there, unless that is such an array, made meanwhile."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_ATTEMPTS):
            found = cls.find(path, shape=shape, chunks=chunks)
            if found is not None:
                return found
            _move_away(path)
            try:
                with atomic(path) as unfinished:
                    _make(unfinished, shape=shape, chunks=chunks, dtype=dtype, attributes=attributes)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        raise SemrsmError(f"cannot make {path}: other runs make it again and again; let one run at a time")

    @classmethod
    def find(
        cls, path: Path, *, shape: tuple[int, ...] | None = None, chunks: tuple[int, ...] | None = None
    ) -> Self | None:
        """The array that lies there, or None where there is none, or none that is whole, or one of another shape."""
        if not (path / _METADATA).is_file():
            return None
        try:
            array: Any = zarr.open_array(path, mode="r", zarr_format=3)
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
    def attributes(self) -> dict[str, Any]:
        """What its maker noted of the array."""
        return dict(self.array.attrs)

    def __getitem__(self, index: Any) -> np.ndarray:
        """A part, from the chunks that hold it.

        Raises:
            SemrsmError: A chunk is no longer as this object read or wrote it.
        """
        axes = index if isinstance(index, tuple) else (index,)
        axes += (slice(None),) * (len(self.shape) - len(axes))
        wanted = [np.arange(length)[axis] for length, axis in zip(self.shape, axes, strict=True)]
        lists = [np.atleast_1d(axis) for axis in wanted]
        part = np.zeros([len(axis) for axis in lists], self.dtype)
        held = [np.unique(axis // length) for axis, length in zip(lists, self.chunks, strict=True)]
        for place in itertools.product(*(map(int, numbers) for numbers in held)):
            chunk = self._read_again(place)
            if chunk is None:
                continue
            inside = [np.flatnonzero(a // length == i) for a, length, i in zip(lists, self.chunks, place, strict=True)]
            within = zip(lists, inside, self.chunks, place, strict=True)
            part[_outer(inside)] = chunk[_outer([a[rows] - i * length for a, rows, length, i in within])]
        return part[tuple(0 if axis.ndim == 0 else slice(None) for axis in wanted)]

    def read(self, *place: int) -> np.ndarray | None:
        """The values of a chunk; None where it was not written yet, or is damaged."""
        noted = self._checksum_of(_name(place))
        if noted is None:
            return None
        try:
            values = self._decode(self._file(place), noted, place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            values = None
        if values is None:
            _LOG.warning("%s is damaged and is computed anew", self._file(place))
            return None
        self._seen.add(place)
        return values

    def is_damaged(self, *place: int) -> bool:
        """Whether a chunk that was written is not there, or not as it was written; it is named in the log."""
        if self._checksum_of(_name(place)) is None or self.read(*place) is not None:
            return False
        if not self._file(place).is_file():
            _LOG.warning("%s is missing and is computed anew", self._file(place))
        return True

    def has(self, *place: int) -> bool:
        """Whether a chunk was written, whatever has become of its content."""
        return self._checksum_of(_name(place)) is not None and self._file(place).is_file()

    def write(self, values: np.ndarray, *place: int) -> None:
        """Put the values of a whole chunk to their place."""
        chunk = np.zeros(self.chunks, self.dtype)
        chunk[tuple(slice(0, length) for length in values.shape)] = values
        content = chunk.tobytes()
        checksum = int(google_crc32c.value(content)).to_bytes(_CRC_BYTES, "little")
        file = self._file(place)
        for attempt in range(_ATTEMPTS):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with atomic(file) as unfinished:
                    unfinished.write_bytes(content + checksum)
                self._note(_name(place), checksum.hex())
                break
            except FileNotFoundError:  # another process has moved the array away
                if attempt + 1 == _ATTEMPTS:
                    raise
        self._seen.add(place)

    def places(self) -> Iterator[tuple[int, ...]]:
        """The chunks that were written, one after the other."""
        self._checksum_of(_METADATA)
        for name in list(self._checksums):
            if name != _METADATA:
                yield tuple(int(i) for i in name.split("/"))

    def _read_again(self, place: tuple[int, ...]) -> np.ndarray | None:
        """The values of a chunk that must be there, or None where there never was one."""
        values = self.read(*place)
        if values is None and (place in self._seen or self._checksum_of(_name(place)) is not None):
            raise SemrsmError(f"{self._file(place)} was damaged or removed while this ran; run it again")
        return values

    def _decode(self, file: Path, noted: str, place: tuple[int, ...]) -> np.ndarray | None:
        """The values in a chunk's file, or None where they do not have the checksum that belongs there."""
        content = np.fromfile(file, np.uint8)
        values, own = content[:-_CRC_BYTES], content[-_CRC_BYTES:].tobytes()
        if values.nbytes != int(np.prod(self.chunks)) * self.dtype.itemsize or own.hex() != noted:
            return None
        if int(google_crc32c.value(values)) != int.from_bytes(own, "little"):
            return None
        extents = zip(place, self.chunks, self.shape, strict=True)
        inside = tuple(slice(0, min(length, end - i * length)) for i, length, end in extents)
        return values.view(self.dtype).reshape(self.chunks)[inside]

    def _file(self, place: tuple[int, ...]) -> Path:
        """The file of a chunk."""
        return self.path.joinpath("c", *map(str, place))

    def _note(self, name: str, checksum: str) -> None:
        _note(self.path, name, checksum)

    def _checksum_of(self, name: str) -> str | None:
        """The checksum last noted under a name; lines that were cut short say nothing."""
        path = self.path / _CHECKSUMS
        try:
            size = path.stat().st_size
            text = path.read_text(encoding="ascii", errors="replace") if size != self._read_up_to else None
        except OSError:  # the array is gone
            size, text = 0, ""
        if text is not None:
            rows = (line.split(",") for line in text.splitlines())
            self._checksums = {row[0]: row[1] for row in rows if len(row) == len(("name", "checksum"))}
            self._read_up_to = size
        return self._checksums.get(name)


def _make(
    path: Path, *, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any, attributes: Mapping[str, Any]
) -> None:
    """Write the metadata of an empty array."""
    from zarr.codecs import BytesCodec, Crc32cCodec

    zarr.create_array(
        path,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        serializer=BytesCodec(endian="little"),
        compressors=[Crc32cCodec()],  # features hardly shrink: beside its checksum a chunk is a plain copy
        attributes=dict(attributes),
    )
    _note(path, _METADATA, _digest(path / _METADATA))


def _move_away(path: Path) -> None:
    """Remove what lies at a place, all at once."""
    aside = path.with_name(f".{uuid4().hex}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def _note(path: Path, name: str, checksum: str) -> None:
    """Add a line, so short that those of several processes do not mix; it begins anew after one that was cut."""
    with (path / _CHECKSUMS).open("a", encoding="ascii") as file:
        file.write(f"\n{name},{checksum}\n")


def _outer(axes: list[np.ndarray]) -> tuple[Any, ...]:
    """The index of all combinations: of slices where each axis is a range, which is read fastest."""
    if all(len(axis) == axis[-1] - axis[0] + 1 and (np.diff(axis) == 1).all() for axis in axes):
        return tuple(slice(int(axis[0]), int(axis[-1]) + 1) for axis in axes)
    return np.ix_(*axes)


def _name(place: tuple[int, ...]) -> str:
    return "/".join(map(str, place))


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
