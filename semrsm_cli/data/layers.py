"""Layers that the user brings as files, with the ids of the images that they belong to."""

import csv
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from safetensors import SafetensorError, safe_open

from semrsm_cli.data.arrays import read_array
from semrsm_cli.errors import SemrsmError

__all__ = ["GivenLayers", "read_layers"]


@dataclass(frozen=True)
class GivenLayers:
    """Representations [n, s, c] by layer, and the ids of their n images where the user gives them."""

    arrays: dict[str, Any]
    ids: tuple[str, ...] | None


def read_layers(name: str) -> GivenLayers:
    """All arrays in a file, each of them a layer; or only the one named behind a `#`: `features.npz#layer4`.

    Ids stand in a table beside the file, `features.ids.csv` beside `features.npz`, in the column `id`.

    Raises:
        SemrsmError: As `read_array`; or the table of ids cannot be read, or is not as long as the arrays.
    """
    location, _, chosen = name.partition("#")
    path = Path(location).expanduser()
    inside = [chosen] if chosen else array_names(path)
    arrays = {array or path.stem: read_array(f"{location}#{array}" if array else location) for array in inside}
    ids = read_ids(path.with_name(f"{path.stem}.ids.csv"))
    for layer, array in arrays.items():
        if ids is not None and len(ids) != array.shape[0]:
            n = array.shape[0]
            raise SemrsmError(f"{path.stem}.ids.csv names {len(ids)} images, but {layer} in {location} holds {n}")
    return GivenLayers(arrays, ids)


def array_names(path: Path) -> list[str]:
    """Names of the arrays in a file; an empty one for a single array without a name, and where `read_array` objects."""
    with suppress(OSError, ValueError, SafetensorError, zarr.errors.BaseZarrError):
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return list(arrays) or [""]
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as tensors:
                return list(tensors.keys()) or [""]
        if path.is_dir() and isinstance(node := zarr.open(path, mode="r"), zarr.Group):
            return sorted(node.array_keys()) or [""]
    return [""]


def read_ids(path: Path) -> tuple[str, ...] | None:
    """The column `id` of a table, or None where there is no table."""
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if "id" not in (rows.fieldnames or ()):
            raise SemrsmError(f"{path} must have a column id, it has {', '.join(rows.fieldnames or ()) or 'none'}")
        return tuple(row["id"] for row in rows)
