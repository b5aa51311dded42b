"""Layers that the user brings as files, with the ids of the images that they belong to, and the grids of positions."""

import csv
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from semrsm_cli.data.arrays import opened_npz, read_array
from semrsm_cli.errors import SemrsmError

__all__ = ["FACTS", "GRIDS", "IDS", "GivenLayers", "read_layers"]

IDS, GRIDS = "ids", "grids"
FACTS = "semrsm"
"""The one entry of a safetensors file's metadata that holds both: several have no order of their own."""
_FEATURES, _FILE_NAMES = "features.npy", "file_names.txt"  # what thingsvision writes

_Grid = tuple[int, int]


@dataclass(frozen=True)
class GivenLayers:
    """Representations of files.

    Attributes:
        arrays: Concept vectors [n, s, c] by layer, read when they are sliced.
        ids: The ids of their n images, where the file tells them.
        grids: (height, width) of the positions of those layers of which the file tells it.
    """

    arrays: dict[str, Any]
    ids: tuple[str, ...] | None
    grids: dict[str, _Grid] = field(default_factory=dict)


def read_layers(name: str) -> GivenLayers:
    """All arrays in a file, each of them a layer; or only the one named behind a `#`: `features.npz#layer4`.

    Ids stand in a table beside the file, `features.ids.csv` beside `features.npz`, in the column `id`; or in the file,
    as `semrsm.save_layers` writes them. `features.npy` with `file_names.txt` beside it, or the folder of both, is what
    thingsvision writes: vectors [n, c] become one position, maps [n, c, h, w] have h * w.

    Args:
        name: The path of a .npy, .npz or .safetensors file or of a Zarr folder, with the name of an array if wanted.

    Returns:
        The layers, with ids and grids where these are known.

    Raises:
        SemrsmError: As `read_array`; or ids or grids cannot be read, or do not fit the arrays.
    """
    location, _, chosen = name.partition("#")
    path = Path(location).expanduser()
    if (path / _FEATURES).is_file() or (path.name == _FEATURES and path.with_name(_FILE_NAMES).is_file()):
        return _read_thingsvision(path if path.is_dir() else path.parent)
    inside = [chosen] if chosen else _array_names(path)
    arrays = {array or path.stem: read_array(f"{location}#{array}" if array else location) for array in inside}
    facts = _facts_within(path)
    table = path.with_name(f"{path.stem}.ids.csv")
    ids = _read_ids(table) if table.is_file() else _checked_ids(facts.get(IDS), location)
    source = table.name if table.is_file() else f"{IDS} in {location}"
    for layer, array in arrays.items():
        _require_as_many(ids, source, layer, location, array)
    return GivenLayers(arrays, ids, _checked_grids(facts.get(GRIDS), arrays, location))


def _require_as_many(ids: tuple[str, ...] | None, source: str, layer: str, location: str, array: Any) -> None:
    """Raise SemrsmError unless there are as many ids as images, where there are any."""
    if ids is not None and len(ids) != array.shape[0]:
        raise SemrsmError(f"{source} names {len(ids)} images, but {layer} in {location} holds {array.shape[0]}")


def _array_names(path: Path) -> list[str]:
    """Names of the arrays in a file; an empty one for a single array without a name, and where `read_array` objects."""
    if not (path.is_file() or path.is_dir()):
        return [""]
    with suppress(Exception):
        if path.suffix == ".npz":
            with opened_npz(path) as arrays:
                return [name for name in arrays if name != IDS and not _is_text(arrays, name)] or [""]
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as tensors:
                return list(tensors.keys()) or [""]
        if path.is_dir() and (node := _opened_group(path)) is not None:
            return sorted(node.array_keys()) or [""]
    return [""]


def _opened_group(path: Path) -> Any:
    """The group of Zarr arrays in a folder; None where it holds one array."""
    import zarr  # slow, and settings that take its files are checked without it

    node = zarr.open(path, mode="r")
    return node if isinstance(node, zarr.Group) else None


def _is_text(arrays: Any, name: str) -> bool:
    """Whether an array of an .npz file is the text on grids, not a layer that is called so."""
    return name == GRIDS and arrays[name].dtype.kind == "U" and arrays[name].ndim == 0


def _facts_within(path: Path) -> Mapping[str, Any]:
    """What a file says beside its arrays: ids as a list or an array of strings, grids as a mapping.

    Raises:
        SemrsmError: It cannot be read: strings as Python objects, a damaged member of the archive.
    """
    try:
        if path.suffix == ".npz":
            with opened_npz(path) as arrays:
                facts = {IDS: arrays[IDS].ravel().tolist()} if IDS in arrays else {}
                has_grids = GRIDS in arrays and _is_text(arrays, GRIDS)
                return facts | ({GRIDS: json.loads(str(arrays[GRIDS]))} if has_grids else {})
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as tensors:
                content = json.loads((tensors.metadata() or {}).get(FACTS, "{}"))
                return content if isinstance(content, dict) else {}
        if path.is_dir() and (node := _opened_group(path)) is not None:
            return dict(node.attrs)
    except Exception as error:
        raise SemrsmError(
            f"cannot read {IDS} and {GRIDS} in {path}: {error}; keep ids as strings, by np.array(ids, dtype=str)"
        ) from error
    return {}


def _checked_ids(ids: Any, location: str) -> tuple[str, ...] | None:
    """Ids, as a file gives them.

    Raises:
        SemrsmError: They are no list.
    """
    if ids is None:
        return None
    if not isinstance(ids, list):
        raise SemrsmError(f"{IDS} in {location} must be a list of texts, got {type(ids).__name__}")
    return tuple(map(str, ids))


def _checked_grids(grids: Any, arrays: Mapping[str, Any], location: str) -> dict[str, _Grid]:
    """The grids of some layers, as a file gives them.

    Raises:
        SemrsmError: One is no pair of numbers whose product is the number of positions.
    """
    given = {layer: grids[layer] for layer in arrays if layer in grids} if isinstance(grids, Mapping) else {}
    for layer, grid in given.items():
        n_positions = arrays[layer].shape[1]
        is_pair = isinstance(grid, list) and len(grid) == 2 and all(type(side) is int and side > 0 for side in grid)
        if not is_pair or grid[0] * grid[1] != n_positions:
            raise SemrsmError(
                f"{GRIDS} in {location} says {str(grid)[:50]} for {layer}, which has {n_positions} positions; it must "
                "be [height, width]"
            )
    return {layer: (grid[0], grid[1]) for layer, grid in given.items()}


def _read_thingsvision(folder: Path) -> GivenLayers:
    """The features that thingsvision wrote, called as their folder, whose ids are the files' names."""
    location, names = folder / _FEATURES, folder / _FILE_NAMES
    axes: tuple[str, ...] = ("n", "s", "c")
    with suppress(Exception):  # what is wrong with the file is for `read_array` to say
        axes = {2: ("n", "c"), 4: ("n", "c", "h", "w")}.get(np.load(location, mmap_mode="r").ndim, axes)
    array, layer = read_array(str(location), axes=axes), folder.resolve().name
    grids: dict[str, _Grid] = {}
    if len(axes) == 4:
        n, c, height, width = array.shape
        array, grids = array.reshape(n, c, height * width).swapaxes(1, 2), {layer: (height, width)}
    elif len(axes) == 2:
        array = array[:, None, :]
    try:
        lines = names.read_text(encoding="utf-8").splitlines() if names.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise SemrsmError(f"{names} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    ids = None if lines is None else tuple(lines)
    _require_as_many(ids, names.name, layer, str(location), array)
    return GivenLayers({layer: array}, ids, grids)


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
