"""What `semrsm cka` compares: the layers of networks, or of the user's files, all of the same images."""

import glob
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from semrsm_cli.config import CkaConfig, ModelConfig
from semrsm_cli.config.labels import network_label
from semrsm_cli.data import Images, resized_squares
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline.frames import note_share_seen
from semrsm_cli.pipeline.images import note_images, open_draws
from semrsm_cli.pipeline.networks import cut_to_size, load_network
from semrsm_cli.pipeline.sources import Source, from_model, from_stored_or_files, require_same_images
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.store import digest

__all__ = ["Pairs", "pairs_of_draws"]

Pairs = list[tuple[Source, Source]]
"""The pairs of networks to compare; a network that is compared with itself is one object twice."""


def pairs_of_draws(config: CkaConfig, folder: RunFolder) -> list[Pairs]:
    """The pairs of networks to compare, for each draw of the images; one only where all draws have the same images."""
    return [_of_files(config)] if config.x else _of_models(config, folder)


def _of_files(config: CkaConfig) -> Pairs:
    """The user's files: `x` with itself, or with `y`."""
    x = from_stored_or_files(_name_of_files(config.x, "x"), config.x)
    if not config.y:
        return [(x, x)]
    y = from_stored_or_files(_name_of_files(config.y, "y"), config.y)
    require_same_images(x, y)
    x, y = _number_equal_names([x, y])
    return [(x, y)]


def _name_of_files(locations: Sequence[str], setting: str) -> str:
    """What the files of one network are called: as the file is where there is one, else by their setting."""
    names = {Path(location.split("#")[0]).stem for location in locations if "." in location}
    return names.pop() if len(names) == 1 else setting


def _of_models(config: CkaConfig, folder: RunFolder) -> list[Pairs]:
    """Networks on the same images: each with itself, every two of them, or all with `model_b`."""
    draws = open_draws(config.dataset, config.n_images, config.n_draws, config.seed, config.image_order)
    draws = draws if config.size is None else [resized_squares(images, config.size) for images in draws]
    note_images(folder, draws[0])
    folder.note(
        image_order=str(config.image_order),
        image_ids_hash_of_draws=[digest(list(images.ids)) for images in draws],
        n_images_of_draws=len(set().union(*(images.ids for images in draws))),
    )
    names = _expand([config.model.name, *config.model_names])
    if config.between_networks and len(names) < 2:
        raise ConfigError(
            "between_networks=true compares networks with each other, but there is one; give more with model_names=[..]"
        )
    models = [config.model]
    if len(names) > 1:
        models = [replace(config.model, name=name, label=network_label(name)) for name in names]
    networks = [_represent(model, draws, config, folder) for model in models]
    second = None
    if config.model_b is not None:
        second = _represent(config.model_b, draws, config, folder)
    pairs = [
        _pair([of_draws[i] for of_draws in networks], None if second is None else second[i], config)
        for i in range(len(draws))
    ]
    _require_same_layers(pairs[0])
    return pairs


def _pair(networks: list[Source], second: Source | None, config: CkaConfig) -> Pairs:
    """Which networks are compared with which, all of one draw."""
    if second is not None:
        *networks, second = _number_equal_names([*networks, second])
        return [(network, second) for network in networks]
    if config.between_networks:
        return list(itertools.combinations(_number_equal_names(networks), 2))
    return [(network, network) for network in _number_equal_names(networks)]


def _represent(model: ModelConfig, draws: Sequence[Images], config: CkaConfig, folder: RunFolder) -> list[Source]:
    """The representations of one network for each draw."""
    network = load_network(model, config.runtime)
    folder.note(**{f"network {network.label}": dict(network.identity)})
    prepare = None if config.size is None else cut_to_size(network, config.size)
    if prepare is None:
        note_share_seen(folder, network, draws[0], key=f"share_seen {network.label}")
    return [from_model(network, images, model, config.runtime, folder, prepare=prepare) for images in draws]


def _number_equal_names(networks: Sequence[Source]) -> list[Source]:
    """The networks, with a number behind a name that came before."""
    names = [network.name for network in networks]
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [
        replace(network, name=f"{network.name} ({n + 1})") if n else network
        for network, n in zip(networks, before, strict=True)
    ]


def _expand(names: Sequence[str]) -> list[str]:
    """The names, each once, with all paths that fit in place of a pattern."""
    expanded: list[str] = []
    for name in names:
        paths = sorted(glob.glob(str(Path(name).expanduser()))) if "*" in name else [name]  # noqa: PTH207 (absolute too)
        if not paths:
            raise SemrsmError(f"no network lies at {name}; `semrsm train` makes networks")
        expanded += paths
    return list(dict.fromkeys(expanded))


def _require_same_layers(pairs: Sequence[tuple[Source, Source]]) -> None:
    """Raise SemrsmError unless all pairs have the same layers, so that a mean over them means something."""
    first = pairs[0]
    for pair in pairs:
        for network, other in zip(pair, first, strict=True):
            if [layer.name for layer in network.layers] != [layer.name for layer in other.layers]:
                raise SemrsmError(
                    f"a mean is taken over networks with the same layers, but {other.name} has {len(other.layers)} "
                    f"and {network.name} {len(network.layers)} of other names; compare two architectures by "
                    "model@model_b="
                )
