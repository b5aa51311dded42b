"""What `semrsm cka` compares: the layers of networks, or of the user's files, all of the same images."""

import glob
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from semrsm_cli import store
from semrsm_cli.config import CkaConfig, ModelConfig
from semrsm_cli.data import Images, resized_squares
from semrsm_cli.data.arrays import content_of
from semrsm_cli.data.layers import read_layers
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm.centering import Representations
from semrsm_cli.tasks.extract import draw, load_network, note_images, open_images, represent

__all__ = ["Layer", "Side", "compared_sides"]

KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, eq=False)
class Layer:
    """Representations `x` [n, s, c] of one layer; `key` tells their content apart from any other."""

    name: str
    x: Representations
    key: str


@dataclass(frozen=True, eq=False)
class Side:
    """The layers of one network, for the images `ids` where these are known."""

    name: str
    layers: tuple[Layer, ...]
    ids: tuple[str, ...] | None

    @property
    def n_images(self) -> int:
        """Images of every layer."""
        return self.layers[0].x.shape[0]


def compared_sides(config: CkaConfig, folder: RunFolder) -> list[tuple[Side, Side]]:
    """The pairs of networks to compare; a network that is compared with itself is one object twice."""
    return of_files(config) if config.a else of_models(config, folder)


def of_files(config: CkaConfig) -> list[tuple[Side, Side]]:
    """The user's files: `a` with itself, or with `b`."""
    a = given_side("a", config.a)
    if not config.b:
        return [(a, a)]
    b = given_side("b", config.b)
    require_same_images(a, b)
    return [(a, b)]


def given_side(name: str, sources: Sequence[str]) -> Side:
    """The layers in files, or under keys of the store."""
    layers: dict[str, Layer] = {}
    parts = [part for source in sources for part in layers_in(source)]
    for side in parts:
        require_same_images(parts[0], side)
        (layer,) = side.layers
        if layer.name in layers:
            raise ConfigError(f"{name}= gives two layers of the name {layer.name}; rename one of the files")
        layers[layer.name] = layer
    return Side(name, tuple(layers.values()), parts[0].ids)


def layers_in(source: str) -> list[Side]:
    """Every layer of a source with the ids of its images."""
    if KEY.fullmatch(source):
        name, stored = store.stored(source)
        return [Side(f"{source} ({name})", (Layer(name, stored, stored.key),), stored.ids)]
    given = read_layers(source)
    return [
        Side(source, (Layer(name, array, store.digest([content_of(array), None])),), given.ids)
        for name, array in given.arrays.items()
    ]


def require_same_images(a: Side, b: Side) -> None:
    """Raise SemrsmError unless both sides are of the same images in the same order, as far as that is known."""
    if a.n_images != b.n_images:
        raise SemrsmError(f"{a.name} and {b.name} must hold the same images, got {a.n_images} and {b.n_images}")
    if a.ids is None or b.ids is None:
        return
    for row, (left, right) in enumerate(zip(a.ids, b.ids, strict=True)):
        if left != right:
            raise SemrsmError(f"image {row} is {left} in {a.name}, but {right} in {b.name}; give both in one order")


def of_models(config: CkaConfig, folder: RunFolder) -> list[tuple[Side, Side]]:
    """Networks on the same images: each with itself, every two of them, or all with `model_b`."""
    images = draw(open_images(config.dataset), config.n_images, config.seed)
    images = images if config.size is None else resized_squares(images, config.size)
    note_images(folder, images)
    names = expanded([config.model.name, *config.names])
    if config.across and len(names) < 2:
        raise ConfigError("across=true compares networks with each other, but there is one; give more with names=[..]")
    models = [replace(config.model, name=name) for name in names]
    sides = [model_side(model, images, config, folder, named=len(models) > 1) for model in models]
    if config.model_b is not None:
        second = model_side(config.model_b, images, config, folder, named=False)
        *sides, second = distinct([*sides, second])
        pairs = [(side, second) for side in sides]
    elif config.across:
        pairs = list(itertools.combinations(distinct(sides), 2))
    else:
        pairs = [(side, side) for side in distinct(sides)]
    require_same_layers(pairs)
    return pairs


def distinct(sides: Sequence[Side]) -> list[Side]:
    """The networks, with a number behind a name that came before."""
    names = [side.name for side in sides]
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [replace(side, name=f"{side.name} ({i + 1})") if i else side for side, i in zip(sides, before, strict=True)]


def expanded(names: Sequence[str]) -> list[str]:
    """The names, each once, with all paths that fit in place of a pattern."""
    found: list[str] = []
    for name in names:
        paths = sorted(glob.glob(str(Path(name).expanduser()))) if "*" in name else [name]  # noqa: PTH207 (absolute too)
        if not paths:
            raise SemrsmError(f"no network lies at {name}; `semrsm train` makes networks")
        found += paths
    return list(dict.fromkeys(found))


def model_side(model: ModelConfig, images: Images, config: CkaConfig, folder: RunFolder, *, named: bool) -> Side:
    """The representations of one network; one of several is called by its own name."""
    network = load_network(model, config.runtime)
    name = network.label if named else model.label
    prepare = None if config.size is None else network.normalise
    with folder.timed("extract"):
        extracted = represent(network, images, model, config.runtime, prepare=prepare)
    folder.note(**{f"network {name}": dict(network.identity)})
    layers = tuple(Layer(layer, stored, stored.key) for layer, stored in extracted.layers.items())
    return Side(name, layers, images.ids)


def require_same_layers(pairs: Sequence[tuple[Side, Side]]) -> None:
    """Raise SemrsmError unless all pairs have the same layers, so that a mean over them means something."""
    first = pairs[0]
    for pair in pairs:
        for side, other in zip(pair, first, strict=True):
            if [layer.name for layer in side.layers] != [layer.name for layer in other.layers]:
                raise SemrsmError(
                    f"a mean is taken over networks with the same layers, but {other.name} has {len(other.layers)} "
                    f"and {side.name} {len(side.layers)} of other names; compare two architectures by model@model_b="
                )
