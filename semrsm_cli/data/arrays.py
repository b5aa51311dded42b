"""Representations that the user brings as files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from safetensors import SafetensorError, safe_open

from semrsm_cli.errors import SemrsmError

__all__ = ["content_of", "read_array"]

_CONCEPT_VECTORS = ("n", "s", "c")
_HASHED_BYTES = 64 * 2**20


def read_array(name: str, *, axes: tuple[str, ...] = _CONCEPT_VECTORS) -> Any:
    """Numbers in a file of the user's, by default concept vectors [n, s, c]: .npy, .npz, .safetensors or Zarr.

    They are read when sliced. A file with several arrays needs the name of one behind a `#`: `features.npz#layer4`.

    Raises:
        SemrsmError: No such file, no such array, another kind of file, or not these axes of numbers.
    """
    location, _, chosen = name.partition("#")
    path = Path(location).expanduser()
    if not path.exists():
        raise SemrsmError(f"there is no {location}; give the path of a .npy, .npz, .safetensors or Zarr array")
    try:
        array = _open_given(path, chosen)
    except (OSError, ValueError, KeyError, SafetensorError, zarr.errors.BaseZarrError) as error:
        raise SemrsmError(f"cannot read {location}: {str(error).splitlines()[0] if str(error) else error!r}") from error
    if len(array.shape) != len(axes) or np.dtype(array.dtype).kind not in "fiu":
        remedy = "; a map [n, c, h, w] becomes that by map.reshape(n, c, h * w).swapaxes(1, 2)"
        raise SemrsmError(
            f"{location} must hold numbers [{', '.join(axes)}], got {array.dtype} {list(array.shape)}"
            + (remedy if axes == _CONCEPT_VECTORS else "")
        )
    return array


def _open_given(path: Path, chosen: str) -> Any:
    """The array in a file, by the file's kind."""
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[_one_of(list(arrays), chosen, path)]
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as tensors:
            return tensors.get_tensor(_one_of(list(tensors.keys()), chosen, path))
    if path.is_dir():
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Group):
            node = node[_one_of(sorted(node.array_keys()), chosen, path)]
        return node
    raise SemrsmError(f"{path} is no array that can be read; give a .npy, .npz, .safetensors or Zarr array")


def _one_of(names: list[str], chosen: str, path: Path) -> str:
    """The array that was chosen, or the only one."""
    if chosen in names:
        return chosen
    if not chosen and len(names) == 1:
        return names[0]
    wrong = f"no array {chosen!r} in {path}" if chosen else f"{path} holds {len(names)} arrays"
    raise SemrsmError(f"{wrong}; choose one as {path}#NAME from {', '.join(names[:10])}")


def content_of(array: Any) -> str:
    """Hash of an array's shape, type and values, read a part at a time."""
    state = hashlib.blake2b(f"{array.dtype} {tuple(array.shape)}".encode(), digest_size=16)
    step = max(1, _HASHED_BYTES // max(1, int(np.prod(array.shape[1:])) * np.dtype(array.dtype).itemsize))
    for start in range(0, array.shape[0], step):
        state.update(np.ascontiguousarray(array[start : start + step]).data)
    return state.hexdigest()
