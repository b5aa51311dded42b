"""Networks of timm, and the embedded EfficientNet-Lite0."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import timm.data
from huggingface_hub.errors import LocalEntryNotFoundError

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import efficientnet_lite0
from semrsm_cli.models.hub import cache_first, how_to_fetch
from semrsm_cli.models.network import Network, nearest
from semrsm_cli.models.preprocessing import Normalise, Transformed
from semrsm_cli.models.structure import block_names, is_cnn, prefix_tokens, readouts
from semrsm_cli.models.weights import (
    PRETRAINED,
    RANDOM,
    build_seeded,
    check_complete,
    first_line,
    load_weights,
    read_state_dict,
)

__all__ = ["build"]

_FINAL = ("norm",)
"""What timm calls the final normalisation of a trunk."""
_LOADING = frozenset({"checkpoint_path", "pretrained", "pretrained_model_args"})
"""Options of timm that load weights past all checks of ours, some of them with pickle."""
_CONFIGURATIONS = ("pretrained_cfg", "pretrained_cfg_overlay")
_LOCATIONS = frozenset({"custom_load", "file", "hf_hub_filename", "hf_hub_id", "source", "state_dict", "url"})
"""Where a configuration says that weights lie."""


def build(name: str, weights: str, revision: str | None, options: dict[str, Any]) -> Network:
    """A network of timm; the weights of `tf_efficientnet_lite0` come with pip."""
    if revision is not None:
        raise SemrsmError(f"timm has no revisions, got {revision!r}; name the weights' tag, as in resnet18.a1_in1k")
    if ":" not in name and not timm.is_model(name):
        near = nearest(name, timm.list_models()) or ["resnet18", "vit_base_patch16_224"]
        raise SemrsmError(f"timm has no model {name!r}, choose from {', '.join(near)}, ...")
    _check_options(options)
    if ":" in name or (weights == PRETRAINED and name != efficientnet_lite0.NAME):
        with cache_first(), _hub_errors(name):
            module = _load_module(name, weights, options)
    else:
        module = _load_module(name, weights, options)
    settings = _data_settings(name, module, options)
    blocks = block_names(module)
    return Network(
        label=name,
        module=module,
        forward=module,
        preprocess=Transformed(timm.data.create_transform(**settings, is_training=False)),
        normalise=Normalise.of(settings["mean"], settings["std"]),
        blocks=blocks,
        readouts=readouts(module, blocks, _FINAL),
        prefix_tokens=int(getattr(module, "num_prefix_tokens", prefix_tokens(module))),
        n_classes=int(module.num_classes) or None,
        is_cnn=is_cnn(module),
        channels_last=str(getattr(module, "output_fmt", "NCHW")) == "NHWC",
        configuration=_folder_settings(name),
    )


def _check_options(options: dict[str, Any]) -> None:
    """Refuse options that make timm load files: weights come from where model.weights says, and are never unpickled."""
    loading = sorted(_LOADING & options.keys())
    for name in _CONFIGURATIONS:
        settings = options.get(name)
        if isinstance(settings, Mapping):
            loading += [f"{name}.{key}" for key in sorted(_LOCATIONS & settings.keys())]
    if loading:
        raise SemrsmError(
            f"model.options.{loading[0]} would make timm load a file unchecked; leave it out, and give weights of your "
            "own as model.weights=PATH"
        )


def _load_module(name: str, weights: str, options: dict[str, Any]) -> Any:
    """The architecture with its weights."""
    if weights == PRETRAINED and name != efficientnet_lite0.NAME:
        return _load_pretrained(name, options)
    module = _build_module(name, options)
    if weights == PRETRAINED:
        load_weights(module, efficientnet_lite0.state_dict(), label=name)
    elif weights != RANDOM:
        load_weights(module, read_state_dict(weights), label=name, allow_extra=bool(options))
    return module


def _build_module(name: str, options: dict[str, Any], *, pretrained: bool = False) -> Any:
    """The architecture, with seeded random weights or timm's pretrained ones."""
    try:
        return build_seeded(lambda: timm.create_model(name, pretrained=pretrained, **options))
    except (TypeError, ValueError, AssertionError) as error:
        raise SemrsmError(f"timm cannot build {name} with model.options={options}: {first_line(error)}") from error


def _load_pretrained(name: str, options: dict[str, Any]) -> Any:
    """The network with timm's own weights, which timm brings into the form of the architecture."""
    module = _build_module(name, options, pretrained=True)
    published = module.pretrained_cfg["num_classes"]
    if module.num_classes not in (0, published):
        raise SemrsmError(
            f"the pretrained weights of {name} tell {published} classes apart, not {module.num_classes}; "
            "leave model.options.num_classes out, or give weights of your own as model.weights=PATH"
        )
    return module


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    """Turn what timm raises where weights are absent or not complete into one line."""
    try:
        yield
    except LocalEntryNotFoundError as error:
        repository = name.partition(":")[2] if ":" in name else timm.get_pretrained_cfg(name).hf_hub_id
        raise SemrsmError(how_to_fetch(repository, random_works=":" not in name)) from error
    except (RuntimeError, OSError) as error:  # none published, some missing, or the download broke off
        listed = str(error).partition("Missing key(s) in state_dict:")[2].partition("\n")[0]
        check_complete(name, missing=re.findall(r'"([^"]+)"', listed), differ=())
        raise SemrsmError(f"timm has no weights for {name}: {' '.join(str(error).split())[:300]}") from error


def _folder_settings(name: str) -> str:
    """The config.json of a local folder, which can be edited beside the same weights; all else the name says."""
    library, _, folder = name.partition(":")
    if library.lower() != "local-dir":
        return ""
    return json.dumps(json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")), sort_keys=True)


def _data_settings(name: str, module: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Input size, interpolation, crop, mean and standard deviation that belong to the network."""
    own: dict[str, Any] = {"img_size": options["img_size"]} if "img_size" in options else {}
    if name == efficientnet_lite0.NAME:
        own |= efficientnet_lite0.PREPROCESSING
    settings: dict[str, Any] = timm.data.resolve_model_data_config(module, args=own)
    return settings
