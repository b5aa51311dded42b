"""Networks by source and name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models.network import Network, Source
from semrsm_cli.own_code import own_label

__all__ = ["load"]

_Build = Callable[[str, str, "str | None", "dict[str, Any]"], Network]

_BUILDERS = {
    Source.torchvision: "semrsm_cli.models.from_torchvision",
    Source.timm: "semrsm_cli.models.from_timm",
    Source.huggingface: "semrsm_cli.models.from_huggingface",
    Source.trained: "semrsm_cli.models.from_run",
    Source.python: "semrsm_cli.models.from_python",
}
"""Modules, imported when one of their networks is asked for: each needs a library that takes seconds to import."""

_LIBRARIES = ("torch", "torchvision", "timm", "transformers")
"""Another version of these may compute other features from the same weights."""


def load(
    source: Source | str,
    name: str,
    *,
    weights: str = "pretrained",
    revision: str | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> Network:
    """Load a network by source and name, in evaluation mode.

    Args:
        source: `torchvision`, `timm`, `huggingface`, `checkpoint` for a state dict of the user's, `trained` for a run
            of `semrsm train`, or `python` for a function of the user's, whose code is run.
        name: The name within the source; a Hugging Face id or a local folder; for `checkpoint` the architecture
            with its library, such as `timm:resnet18` or `torchvision:vit_b_16`; for `trained` the folder of the run;
            for `python` path/to/file.py:function or package.module:function.
        weights: `pretrained`, `random` (seeded), or the path of a state dict.
        revision: Branch, tag or commit on the Hugging Face hub; for torchvision the set of weights, such as
            `IMAGENET1K_V2`.
        options: Keyword arguments of the architecture, such as `num_hidden_layers=2`.
        device: Torch device.

    Returns:
        The network on its device, with its own preprocessing.

    Raises:
        SemrsmError: There is no such network, or its weights cannot be loaded or are incomplete.
    """
    chosen = Source(source)
    options = dict(options or {})
    library, architecture = _parse_checkpoint_name(name, weights) if chosen is Source.checkpoint else (chosen, name)
    build: _Build = import_module(_BUILDERS[library]).build
    network = build(architecture, weights, revision, options)
    return _finalize(
        network, str(chosen), own_label(name) if chosen is Source.python else name, revision, options, device
    )


def _parse_checkpoint_name(name: str, weights: str) -> tuple[Source, str]:
    """Library and architecture of a state dict of the user's."""
    library, _, architecture = name.partition(":")
    known = [str(source) for source in _BUILDERS if source not in (Source.trained, Source.python)]
    if library not in known or not architecture:
        raise SemrsmError(
            f"model.name={name} does not say which architecture the checkpoint is of; write LIBRARY:NAME "
            f"with a library of {', '.join(known)}, such as timm:resnet18"
        )
    if not Path(weights).expanduser().is_file():
        raise SemrsmError(f"there is no checkpoint {weights!r}; give a .safetensors or .pt file as model.weights=PATH")
    return Source(library), architecture


def _finalize(
    network: Network, source: str, name: str, revision: str | None, options: Mapping[str, Any], device: str
) -> Network:
    """The network in evaluation mode on its device, with its identity."""
    import torch

    from semrsm_cli.models.weights import weights_hash

    configuration = network.configuration
    module = network.module.eval().requires_grad_(False)
    identity = {
        "source": source,
        "name": name,
        "revision": revision or "",
        "options": ", ".join(f"{key}={options[key]}" for key in sorted(options)),
        "configuration": hashlib.blake2b(configuration.encode(), digest_size=16).hexdigest() if configuration else "",
        "weights": weights_hash(module),
        "preprocessing": str(network.preprocess),
        "normalisation": str(network.normalise),
        "versions": ", ".join(f"{library} {version(library)}" for library in _LIBRARIES),
    }
    module.to(device)
    if network.is_cnn:
        module.to(memory_format=torch.channels_last)  # as convolutions are fastest
    return replace(network, identity=identity)
