"""Representations that the user brings as files."""

import hashlib
import json
import math
import os
import re
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from semrsm_cli.errors import SemrsmError

__all__ = ["opened_npz", "pin_array", "read_array"]

_CONCEPT_VECTORS = ("n", "s", "c")
_HASHED_BYTES = 64 * 2**20
_BFLOAT16 = "BF16"  # as safetensors calls it


def read_array(name: str, *, axes: tuple[str, ...] = _CONCEPT_VECTORS, setting: str = "x") -> Any:
    """Numbers in a file of the user's, by default concept vectors [n, s, c]: .npy, .npz, .safetensors or Zarr.

    They are read when sliced. A file with several arrays needs the name of one behind a `#`: `features.npz#layer4`.

    Args:
        name: The path, with the name of an array where there are several.
        axes: What each axis stands for; none of them may be empty.
        setting: The setting that the advice on how to choose an array speaks of.

    Returns:
        What can be sliced like an array, and has its shape and dtype.

    Raises:
        SemrsmError: No such file, no such array, another kind of file, or not these axes of numbers.
    """
    location, _, chosen = name.partition("#")
    try:
        path = Path(location).expanduser()
        if not path.exists():
            raise SemrsmError(f"there is no {location}; give the path of a .npy, .npz, .safetensors or Zarr array")
        array = _open_given(path, chosen, setting)
        shape, dtype = tuple(array.shape), np.dtype(array.dtype)
    except SemrsmError:
        raise
    except Exception as error:  # the readers of foreign bytes raise what they like, even an EOFError without a word
        raise SemrsmError(f"cannot read {location}: {_reason(error)}; write it anew") from error
    if len(shape) != len(axes) or dtype.kind not in "fiu":
        remedy = "; a map [n, c, h, w] becomes that by map.reshape(n, c, h * w).swapaxes(1, 2)"
        raise SemrsmError(
            f"{location} must hold numbers [{', '.join(axes)}], got {dtype} {list(shape)}"
            + (remedy if axes == _CONCEPT_VECTORS else "")
        )
    if 0 in shape:
        raise SemrsmError(
            f"{location} holds no numbers: its [{', '.join(axes)}] is {list(shape)}; each must be at least 1"
        )
    return array


@contextmanager
def opened_npz(path: Path) -> Iterator[Any]:
    """The arrays of an .npz file by name; it is closed in any case, which `np.load` forgets where there is no archive.

    Raises:
        SemrsmError: It is a .npy file.
    """
    if _begins_with(np.lib.format.MAGIC_PREFIX, path):
        raise SemrsmError(f"{path} is a .npy file by another name; rename it")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield arrays


def _begins_with(prefix: bytes, path: Path) -> bool:
    """Whether these are a file's first bytes."""
    with path.open("rb") as file:
        return file.read(len(prefix)) == prefix


def _open_given(path: Path, chosen: str, setting: str) -> Any:
    """The array in a file, by the file's kind."""
    if path.is_dir():
        return _open_zarr(path, chosen, setting)
    if path.is_file() and path.suffix == ".npy":
        if _begins_with(b"PK", path):
            raise SemrsmError(f"{path} is a .npz file by another name; rename it")
        return np.lib.format.open_memmap(path, mode="r")
    if path.is_file() and path.suffix == ".npz":
        with opened_npz(path) as arrays:
            return arrays[_one_of(list(arrays), chosen, path, setting)]
    if path.is_file() and path.suffix == ".safetensors":
        with safe_open(path, framework="np") as tensors:
            return _tensor(tensors, _one_of(list(tensors.keys()), chosen, path, setting), path)
    raise SemrsmError(f"{path} is no array that can be read; give a .npy, .npz, .safetensors or Zarr array")


def _open_zarr(path: Path, chosen: str, setting: str) -> Any:
    """The array in a folder; values that were never written would all be read as one number.

    Raises:
        SemrsmError: None of its values was written.
    """
    import zarr  # slow, and settings that take its files are checked without it

    node: Any = zarr.open(path, mode="r")
    if isinstance(node, zarr.Group):
        node = node[_one_of(sorted(node.array_keys()), chosen, path, setting)]
    if node.size and not node.nchunks_initialized:
        raise SemrsmError(f"{path} announces the shape {list(node.shape)}, but holds no chunk of it; write it anew")
    return node


def _tensor(tensors: Any, name: str, path: Path) -> Any:
    """A tensor as NumPy's.

    Raises:
        SemrsmError: NumPy lacks its type.
    """
    try:
        return tensors.get_tensor(name)
    except (TypeError, AttributeError, KeyError) as error:
        kind = tensors.get_slice(name).get_dtype()
        if kind == _BFLOAT16:
            return _read_bfloat16(path, name)
        raise SemrsmError(f"{path} holds {kind}, which NumPy lacks; save it as float32 or float16") from error


def _read_bfloat16(path: Path, name: str) -> np.ndarray:
    """A tensor of bfloat16 as float32, exactly: a bfloat16 is the upper half of a float32."""
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        about = json.loads(file.read(header_bytes))[name]
        first, last = about["data_offsets"]
        file.seek(first, os.SEEK_CUR)
        halves = np.frombuffer(file.read(last - first), "<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(about["shape"])


def _one_of(names: list[str], chosen: str, path: Path, setting: str) -> str:
    """The array that was chosen, or the only one."""
    if chosen in names:
        return chosen
    if not chosen and len(names) == 1:
        return names[0]
    wrong = f"no array {chosen!r} in {path}" if chosen else f"{path} holds {len(names)} arrays"
    if not names:
        raise SemrsmError(f"{wrong}; write it anew")
    raise SemrsmError(f"{wrong}; choose one of {', '.join(names[:10])}, as in {_quoted(setting, f'{path}#{names[0]}')}")


def _quoted(setting: str, value: str) -> str:
    """A setting as the shell takes it, its value in the double quotes in which Hydra takes `#` and all else."""
    escaped = re.sub(r'(\\+)("|$)', r"\1\1\2", value).replace('"', '\\"').replace("${", "\\${")
    return shlex.quote(f'{setting}="{escaped}"')


def _reason(error: Exception) -> str:
    """What an error says, on one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def pin_array(array: Any) -> tuple[Any, str]:
    """An array as it is now, and the hash of its shape, type and values; they are read a part at a time.

    Args:
        array: The array; one in memory is given back as it is.

    Returns:
        The array, sliced along its first axis; to read a part of a file that was changed since is an error.

    Raises:
        SemrsmError: Values cannot be read, such as those in a damaged chunk.
    """
    state = hashlib.blake2b(f"{array.dtype} {tuple(array.shape)}".encode(), digest_size=16)
    step = max(1, _HASHED_BYTES // max(1, int(np.prod(array.shape[1:])) * np.dtype(array.dtype).itemsize))
    checksums = np.zeros(array.shape[0], np.uint32)
    for start in range(0, array.shape[0], step):
        part = _read(array, slice(start, start + step))
        state.update(part.data)
        checksums[start : start + step] = _checksums(part)
    is_in_memory = isinstance(array, np.ndarray) and not isinstance(array, np.memmap)
    return array if is_in_memory else _Pinned(array, checksums), state.hexdigest()


class _Pinned:
    """An array in a file of which every part must be as it was once, told by a checksum of each image."""

    def __init__(self, array: Any, checksums: np.ndarray) -> None:
        self._array, self._checksums = array, checksums
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, images: slice) -> np.ndarray:
        part = _read(self._array, images)
        if not np.array_equal(_checksums(part), self._checksums[images]):
            raise SemrsmError(
                f"{_place(self._array)} was changed while this ran, so that what was computed before is of other "
                "values; run it again when nothing writes to it"
            )
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)


def _checksums(part: np.ndarray) -> np.ndarray:
    """A checksum of each image [n]."""
    return np.array([zlib.crc32(image.data) for image in part], np.uint32)


def _read(array: Any, images: slice) -> np.ndarray:
    """Some images, in memory.

    Raises:
        SemrsmError: They cannot be read.
    """
    try:
        if isinstance(array, np.memmap) and array.flags.c_contiguous:
            first, last, _ = images.indices(array.shape[0])
            size = math.prod(array.shape[1:])  # a map of a file that shrinks would end the process
            offset = array.offset + first * size * array.itemsize
            flat = np.fromfile(str(array.filename), array.dtype, (last - first) * size, offset=offset)
            return flat.reshape(last - first, *array.shape[1:])
        return np.array(array[images], order="C")
    except Exception as error:  # as in read_array: a Zarr array is decoded only here
        start = images.start or 0
        raise SemrsmError(
            f"cannot read {_place(array)} from image {start} on: {_reason(error)}; write it anew"
        ) from error


def _place(array: Any) -> str:
    """Where an array lies."""
    return str(
        getattr(array, "store_path", None) or getattr(array, "filename", None) or f"an array {list(array.shape)}"
    )
