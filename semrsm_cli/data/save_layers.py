"""Layers written to a file that semrsm, NumPy, safetensors or Zarr read again."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semrsm_cli.data.layers import FACTS, GRIDS, IDS
from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import atomic

__all__ = ["SAVED_AS", "save_layers"]

SAVED_AS = (".npz", ".safetensors", ".zarr", "")
"""How the name of a file of layers may end: a folder of Zarr needs no suffix."""

_CHUNK_BYTES = 16 * 2**20

_Grid = tuple[int, int]


def save_layers(
    path: Path | str,
    layers: Mapping[str, Any],
    *,
    ids: Sequence[str] | None = None,
    grids: Mapping[str, _Grid | None] | None = None,
) -> None:
    """Write layers with their ids and grids, as `semrsm rsm x=`, `semrsm cka x=` and `semrsm.read_layers` read them.

    The same layers give the same bytes. A .npz file holds an array for each layer, the strings `ids`, and the JSON text
    `grids`; a .safetensors file has both as JSON in its metadata, a Zarr group in its attributes.

    Args:
        path: A .npz or .safetensors file, which is replaced; or the folder of a Zarr group, which must hold nothing.
        layers: Concept vectors [n, s, c] by layer, as `semrsm.represent` gives them.
        ids: What the n images are called; by default `layers.ids` where there is such.
        grids: (height, width) of each layer's positions; by default `layers.grids` where there is such.

    Raises:
        SemrsmError: The folder holds something, or the path ends otherwise.
        ValueError: There are no layers, or they have not the same images, or one is called `ids` or `grids`.

    Example:
        >>> import tempfile
        >>> from semrsm_cli.data.layers import read_layers
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_layers(f"{folder}/x.npz", {"conv": np.ones((2, 6, 4))}, ids=["a", "b"], grids={"conv": (2, 3)})
        ...     given = read_layers(f"{folder}/x.npz")
        >>> given.arrays["conv"].shape, given.ids, given.grids
        ((2, 6, 4), ('a', 'b'), {'conv': (2, 3)})
    """
    path = Path(path).expanduser()
    ids = getattr(layers, "ids", None) if ids is None else ids
    grids = getattr(layers, "grids", None) if grids is None else grids
    known = {layer: list(grid) for layer, grid in (grids or {}).items() if grid is not None and layer in layers}
    _require_writable(path)
    _require_consistent(layers, ids)
    path.parent.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = ({} if ids is None else {IDS: list(map(str, ids))}) | ({GRIDS: known} if known else {})
    with atomic(path) as unfinished:
        match path.suffix:
            case ".npz":
                _write_npz(unfinished, layers, facts)
            case ".safetensors":
                _write_safetensors(unfinished, layers, facts)
            case _:
                _write_zarr(unfinished, layers, facts)


def _require_writable(path: Path) -> None:
    """Raise SemrsmError unless layers can be written to a place, of which nothing is lost."""
    if path.suffix not in SAVED_AS:
        raise SemrsmError(f"{path} must end in .npz, .safetensors or .zarr, or be a folder without a suffix")
    is_folder = path.suffix in (".zarr", "")
    if path.exists() and (not is_folder or not path.is_dir() or any(path.iterdir())) and (is_folder or path.is_dir()):
        raise SemrsmError(f"{path} holds something else already; remove it, or give another name")


def _require_consistent(layers: Mapping[str, Any], ids: Sequence[str] | None) -> None:
    """Raise ValueError unless all layers are [n, s, c] of the same n images."""
    if not layers:
        raise ValueError("layers must hold at least one, got none")
    if {IDS, GRIDS} & layers.keys():
        raise ValueError(f"no layer may be called {IDS} or {GRIDS}, which stand beside the layers; rename it")
    shapes = {layer: tuple(array.shape) for layer, array in layers.items()}
    n = len(ids) if ids is not None else next(iter(shapes.values()))[0]
    for layer, shape in shapes.items():
        if len(shape) != 3 or shape[0] != n:
            raise ValueError(f"layer {layer} must be [n, s, c] with n={n}, got {list(shape)}")


def _write_npz(path: Path, layers: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """An archive as `np.savez` makes it, but a layer at a time, of any name, and without the time."""
    texts = {IDS: np.array(facts[IDS], dtype=str)} if IDS in facts else {}
    texts |= {GRIDS: np.array(json.dumps(facts[GRIDS], sort_keys=True))} if GRIDS in facts else {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in (*layers.items(), *texts.items()):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def _write_safetensors(path: Path, layers: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """A file of tensors, all of which are in memory at once."""
    from safetensors.numpy import save_file

    tensors = {layer: np.ascontiguousarray(array) for layer, array in layers.items()}
    save_file(tensors, path, metadata={FACTS: json.dumps(facts, sort_keys=True)})


def _write_zarr(path: Path, layers: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """A group with an array for each layer, written some images at a time."""
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3, attributes=dict(facts))
    for layer, array in layers.items():
        n, *position_shape = array.shape
        size = int(np.prod(position_shape)) * np.dtype(array.dtype).itemsize
        step = max(1, min(n, _CHUNK_BYTES // max(1, size)))
        stored = group.create_array(layer, shape=array.shape, chunks=(step, *position_shape), dtype=array.dtype)
        for start in range(0, n, step):
            stored[start : start + step] = np.asarray(array[start : start + step])
