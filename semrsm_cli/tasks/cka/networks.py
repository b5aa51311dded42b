"""What `semrsm cka` compares: the layers of networks, or of the user's files, all of the same images."""

import glob
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from semrsm_cli.config import CkaConfig, ModelConfig
from semrsm_cli.data import Images, resized_squares
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline.frames import note_share_seen
from semrsm_cli.pipeline.images import note_images, open_images
from semrsm_cli.pipeline.networks import load_network
from semrsm_cli.pipeline.sources import Source, from_model, from_stored_or_files, require_same_images
from semrsm_cli.report.folder import RunFolder

__all__ = ["pairs_to_compare"]


def pairs_to_compare(config: CkaConfig, folder: RunFolder) -> list[tuple[Source, Source]]:
    """The pairs of networks to compare; a network that is compared with itself is one object twice."""
    return _of_files(config) if config.x else _of_models(config, folder)


def _of_files(config: CkaConfig) -> list[tuple[Source, Source]]:
    """The user's files: `x` with itself, or with `y`."""
    x = from_stored_or_files("x", config.x)
    if not config.y:
        return [(x, x)]
    y = from_stored_or_files("y", config.y)
    require_same_images(x, y)
    return [(x, y)]


def _of_models(config: CkaConfig, folder: RunFolder) -> list[tuple[Source, Source]]:
    """Networks on the same images: each with itself, every two of them, or all with `model_b`."""
    images = open_images(config.dataset, config.n_images, config.seed, config.image_order)
    images = images if config.size is None else resized_squares(images, config.size)
    note_images(folder, images)
    folder.note(image_order=str(config.image_order))
    names = _expand([config.model.name, *config.model_names])
    if config.between_networks and len(names) < 2:
        raise ConfigError(
            "between_networks=true compares networks with each other, but there is one; give more with model_names=[..]"
        )
    models = [replace(config.model, name=name) for name in names]
    networks = [_represent(model, images, config, folder, is_one_of_several=len(models) > 1) for model in models]
    if config.model_b is not None:
        second = _represent(config.model_b, images, config, folder, is_one_of_several=False)
        *networks, second = _number_equal_names([*networks, second])
        pairs = [(network, second) for network in networks]
    elif config.between_networks:
        pairs = list(itertools.combinations(_number_equal_names(networks), 2))
    else:
        pairs = [(network, network) for network in _number_equal_names(networks)]
    _require_same_layers(pairs)
    return pairs


def _represent(
    model: ModelConfig, images: Images, config: CkaConfig, folder: RunFolder, *, is_one_of_several: bool
) -> Source:
    """The representations of one network; one of several is called by its own name."""
    network = load_network(model, config.runtime)
    name = network.label if is_one_of_several else model.label
    folder.note(**{f"network {name}": dict(network.identity)})
    prepare = None if config.size is None else network.normalise
    if prepare is None:
        note_share_seen(folder, network, images, key=f"share_seen {name}")
    return from_model(network, images, model, config.runtime, folder, name=name, prepare=prepare)


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
