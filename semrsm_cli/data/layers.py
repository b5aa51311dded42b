"""Layers that the user brings as files, with the ids of the images that they belong to."""

import csv
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr
from safetensors import safe_open

from semrsm_cli.data.arrays import opened_npz, read_array
from semrsm_cli.errors import SemrsmError

__all__ = ["GivenLayers", "read_layers"]

_IDS = "ids"


@dataclass(frozen=True)
class GivenLayers:
    """Representations [n, s, c] by layer, and the ids of their n images where the user gives them."""

    arrays: dict[str, Any]
    ids: tuple[str, ...] | None


def read_layers(name: str) -> GivenLayers:
    """All arrays in a file, each of them a layer; or only the one named behind a `#`: `features.npz#layer4`.

    Ids stand in a table beside the file, `features.ids.csv` beside `features.npz`, in the column `id`; or in the .npz
    file itself, in an array of strings `ids`.

    Raises:
        SemrsmError: As `read_array`; or the ids cannot be read, or are not as many as the images.
    """
    location, _, chosen = name.partition("#")
    path = Path(location).expanduser()
    inside = [chosen] if chosen else _array_names(path)
    arrays = {array or path.stem: read_array(f"{location}#{array}" if array else location) for array in inside}
    table = path.with_name(f"{path.stem}.ids.csv")
    ids, source = (_read_ids(table), table.name) if table.is_file() else (_ids_within(path), f"{_IDS} in {location}")
    for layer, array in arrays.items():
        if ids is not None and len(ids) != array.shape[0]:
            raise SemrsmError(f"{source} names {len(ids)} images, but {layer} in {location} holds {array.shape[0]}")
    return GivenLayers(arrays, ids)


def _array_names(path: Path) -> list[str]:
    """Names of the arrays in a file; an empty one for a single array without a name, and where `read_array` objects."""
    if not (path.is_file() or path.is_dir()):
        return [""]
    with suppress(Exception):
        if path.suffix == ".npz":
            with opened_npz(path) as arrays:
                return [name for name in arrays if name != _IDS] or [""]
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as tensors:
                return list(tensors.keys()) or [""]
        if path.is_dir() and isinstance(node := zarr.open(path, mode="r"), zarr.Group):
            return sorted(node.array_keys()) or [""]
    return [""]


def _ids_within(path: Path) -> tuple[str, ...] | None:
    """The array of ids in an .npz file, if there is one."""
    if path.suffix != ".npz":
        return None
    try:
        with opened_npz(path) as arrays:
            return tuple(map(str, arrays[_IDS].ravel())) if _IDS in arrays else None
    except Exception as error:  # strings as Python objects, a damaged member of the archive
        raise SemrsmError(
            f"cannot read {_IDS} in {path}: {error}; keep them as strings, by np.array(ids, dtype=str)"
        ) from error


def _read_ids(path: Path) -> tuple[str, ...]:
    """The column `id` of a table."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, restval="")
            if "id" not in (rows.fieldnames or ()):
                raise SemrsmError(f"{path} must have a column id, it has {', '.join(rows.fieldnames or ()) or 'none'}")
            return tuple(row["id"] for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SemrsmError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}") from error
