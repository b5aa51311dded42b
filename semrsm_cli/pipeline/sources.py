"""Representations to compare: from a model and images, from keys of the store, or from the user's files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from semrsm_cli import store
from semrsm_cli.config import ModelConfig, RuntimeConfig
from semrsm_cli.data import ImageError, Images, name_unreadable
from semrsm_cli.data.arrays import pin_array, read_array
from semrsm_cli.data.layers import read_layers
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.models import Framing, Network
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Representations

if TYPE_CHECKING:
    from semrsm_cli.pipeline.represent import Prepare

__all__ = [
    "Layer",
    "Source",
    "from_model",
    "from_stored_or_files",
    "read_layer",
    "read_rows",
    "read_source",
    "require_same_images",
]

_ROWS_AT_ONCE = 64  # images that are read together, if some of them are wanted
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, eq=False)
class Layer:
    """Concept vectors `x` [n, s, c] of one layer.

    `key` tells their content apart from any other; `grid` is (height, width) where they lie on a CNN's map, or where a
    file says so; `patches` where they are the patches of a transformer.
    """

    name: str
    x: Representations
    key: str
    grid: tuple[int, int] | None = None
    patches: tuple[int, int] | None = None

    @property
    def places(self) -> tuple[int, int] | None:
        """(height, width) of the positions, row by row, wherever they are known."""
        return self.grid or self.patches

    def reorder(self, order: np.ndarray) -> Self:
        """The same images in another order [n]."""
        key = store.digest({"of": self.key, "order": order.tolist()})
        return replace(self, x=_Reordered(self.x, order), key=key)


@dataclass(frozen=True, eq=False)
class _Reordered:
    """Concept vectors `x` [n, s, c] whose images come in another order [n]; each is read when it is asked for."""

    x: Representations
    order: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, s, c]."""
        return tuple(self.x.shape)

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self.x.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return read_rows(self.x, self.order[rows])


def read_rows(x: Representations, rows: np.ndarray) -> np.ndarray:
    """The images of x [n, s, c] in some rows [m], into memory and in the order of `rows`.

    They are read by slices, which is all that files and Zarr arrays agree on, and those that stand near each other at
    once: a chunk on disk holds several.
    """
    places = np.argsort(rows)
    ordered = rows[places]
    images = np.empty((len(rows), *x.shape[1:]), x.dtype)
    first = 0
    while first < len(rows):
        start = int(ordered[first])
        last = int(np.searchsorted(ordered, start + _ROWS_AT_ONCE))
        near = np.asarray(x[start : int(ordered[last - 1]) + 1])
        images[places[first:last]] = near[ordered[first:last] - start]
        first = last
    return images


@dataclass(frozen=True, eq=False)
class Source:
    """The layers of one network, all for the images `ids` where these are known.

    `logits` [n, classes] are there where the network classifies.
    """

    name: str
    layers: tuple[Layer, ...]
    ids: tuple[str, ...] | None
    logits: np.ndarray | None = None

    @property
    def n_images(self) -> int:
        """Images of every layer."""
        return self.layers[0].x.shape[0]


def from_model(
    network: Network,
    images: Images,
    model: ModelConfig,
    runtime: RuntimeConfig,
    folder: RunFolder,
    *,
    prepare: "Prepare | None" = None,
) -> Source:
    """The layers that the settings name, extracted where the store lacks them.

    Raises:
        ConfigError: A framing was asked for, but the images are squares that no framing changes.
        SemrsmError: As `represent`.
    """
    from semrsm_cli.pipeline.represent import represent  # brings torch, which own arrays need not wait for

    if prepare is not None and model.framing is not Framing.own:
        raise ConfigError(
            f"model.framing={model.framing} changes nothing where size= or a crop makes a square of every image; leave "
            "it out, or set size=null"
        )
    with folder.timed("extract"):
        try:
            extracted = represent(network, images, model, runtime, prepare=prepare)
        except ImageError as error:
            raise name_unreadable(images, error) from error
    layers = tuple(_stored_layer(layer, stored) for layer, stored in extracted.layers.items())
    return Source(model.label, layers, images.ids, extracted.logits)


def read_layer(location: str) -> Layer:
    """One layer: under a key of the store, or the array in a file (`features.npz#layer4` where it holds several).

    Raises:
        SemrsmError: There is none, or the file holds several and none is named.
    """
    if _KEY.fullmatch(location):
        name, stored = store.open_stored(location)
        return _stored_layer(name, stored)
    return _layer_of(Path(location.split("#")[0]).stem, read_array(location))


def read_source(location: str) -> Source:
    """All layers in one file, or the one under a key; a single array without a name of its own is called as the file.

    Raises:
        SemrsmError: It cannot be read.
    """
    parts = _layers_in(location)
    path, _, chosen = location.partition("#")
    if len(parts) == 1 and not chosen and not _KEY.fullmatch(location):
        return replace(parts[0], layers=(replace(parts[0].layers[0], name=Path(path).stem),))
    return Source(location, tuple(part.layers[0] for part in parts), parts[0].ids)


def from_stored_or_files(name: str, locations: Sequence[str]) -> Source:
    """All layers in files, or under keys of the store, as those of one network.

    Raises:
        ConfigError: Two layers have one name.
        SemrsmError: A file or a key cannot be read, or they are of other images.
    """
    layers: dict[str, Layer] = {}
    parts = [part for location in locations for part in _layers_in(location)]
    for part in parts:
        require_same_images(parts[0], part)
        (layer,) = part.layers
        if layer.name in layers:
            raise ConfigError(f"{name} is given two layers of the name {layer.name}; rename one of the files")
        layers[layer.name] = layer
    return Source(name, tuple(layers.values()), parts[0].ids)


def require_same_images(a: Source, b: Source) -> None:
    """Raise SemrsmError unless both are of the same images in the same order, as far as that is known."""
    if a.n_images != b.n_images:
        raise SemrsmError(f"{a.name} and {b.name} must hold the same images, got {a.n_images} and {b.n_images}")
    if a.ids is None or b.ids is None:
        return
    for row, (left, right) in enumerate(zip(a.ids, b.ids, strict=True)):
        if left != right:
            raise SemrsmError(f"image {row} is {left} in {a.name}, but {right} in {b.name}; give both in one order")


def _layers_in(location: str) -> list[Source]:
    """Every layer under a key or in a file, each with the ids of its images."""
    if _KEY.fullmatch(location):
        name, stored = store.open_stored(location)
        return [Source(f"{location} ({name})", (_stored_layer(name, stored),), stored.ids)]
    given = read_layers(location)
    return [
        Source(location, (_layer_of(name, array, given.grids.get(name)),), given.ids)
        for name, array in given.arrays.items()
    ]


def _stored_layer(name: str, stored: store.Representation) -> Layer:
    """A layer of the store, read when it is asked for."""
    return Layer(name, stored, stored.key, stored.grid, stored.patch_grid)


def _layer_of(name: str, array: Any, grid: tuple[int, int] | None = None) -> Layer:
    """The user's own array under a key that its values make; they must not change while it is used."""
    pinned, content = pin_array(array)
    return Layer(name, pinned, store.digest([content]), grid)
