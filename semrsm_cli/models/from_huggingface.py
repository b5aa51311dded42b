"""Networks of the Hugging Face hub, or of a local folder with the same files."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor

from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import read_record
from semrsm_cli.models.architectures import ARCHITECTURES
from semrsm_cli.models.hub import cache_first, how_to_fetch
from semrsm_cli.models.network import Network, Readout, nearest
from semrsm_cli.models.preprocessing import Normalise, Processed
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

# imported so, since mypy would refuse their functions that carry no types
transformers: Any = import_module("transformers")
logging: Any = import_module("transformers.utils.logging")
hub_bars: Any = import_module("huggingface_hub.utils")

_FINAL = ("layernorm", "norm", "post_layernorm", "rms_norm", "vision_encoder.neck")
"""What transformers calls the module that makes the last hidden state of the last block's output."""
_POOLED_NORM = ("clip_vision_model", "clipseg", "convnext", "convnextv2", "mlcd_vision_model")
"""Models whose module of such a name sees the pooled vector alone: their last hidden state is the last block's."""
_OWN_CODE_ALONE = {"trust_remote_code": False}
"""Without it transformers asks whether code of the checkpoint's may run, and runs it on "y"."""
_ORIGIN = ("_commit_hash", "_name_or_path", "name_or_path", "transformers_version")
"""Entries of a config that say where it was read and who wrote it, which changes no feature."""
_CHANNELS_LAST = ("sam_vision_model", "sam_hq_vision_model")


def build(name: str, weights: str, revision: str | None, options: dict[str, Any]) -> Network:
    """A network by its id on the hub or its folder; a vision tower alone where the model has a text tower too."""
    is_local = _check_local(name)
    place, revision = (name, revision) if is_local else _place(name, revision)
    known = weights != PRETRAINED and name in ARCHITECTURES
    with (
        _quiet(),
        nullcontext() if is_local or known or place != name else cache_first(),
        _hub_errors(name, revision, is_local),
    ):
        if known:
            config, processor = ARCHITECTURES[name].config(), ARCHITECTURES[name].processor()
        else:
            config = transformers.AutoConfig.from_pretrained(place, revision=revision, **_OWN_CODE_ALONE)
            processor = transformers.AutoImageProcessor.from_pretrained(
                place, revision=revision, backend="pil", **_OWN_CODE_ALONE
            )
        build_class, config = _find_model_class(name, config)
        _configure(config, options, name)
        if weights == PRETRAINED:
            module = _load_pretrained(build_class, config, name, place, revision)
        else:
            module = build_seeded(lambda: build_class(config))
    if weights not in (PRETRAINED, RANDOM):
        load_weights(module, read_state_dict(weights), label=name, allow_extra=True)
    return _wrap_model(name, module, processor)


def _wrap_model(name: str, module: Any, processor: Any) -> Network:
    """The network around a model of transformers and its image processor."""
    kind = module.config.model_type
    is_clipseg = isinstance(module, transformers.CLIPSegForImageSegmentation)
    prefix = "clip.vision_model" if is_clipseg else "" if module.base_model is module else module.base_model_prefix
    blocks = block_names(module, prefix)
    final = () if kind in _POOLED_NORM else _FINAL
    places = readouts(module, blocks, [f"{prefix}.{norm}" if prefix else norm for norm in final])
    if is_clipseg:
        places[Readout.decoder] = block_names(module, "decoder")[-1]
    classifies = type(module).__name__.endswith("ForImageClassification")
    return Network(
        label=name,
        module=module,
        forward=_make_forward(module, classifies, is_clipseg),
        preprocess=Processed(processor),
        normalise=_normalisation(processor),
        blocks=blocks,
        readouts=places,
        prefix_tokens=prefix_tokens(module),
        n_classes=int(module.config.num_labels) if classifies else None,
        is_cnn=is_cnn(module),
        channels_last=kind in _CHANNELS_LAST,
        configuration=json.dumps(_settings_of(module.config.to_dict()), sort_keys=True, default=str),
    )


def _settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """A config, and those within it, without their origin."""
    return {
        name: _settings_of(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if name not in _ORIGIN
    }


def _normalisation(processor: Any) -> Normalise:
    """The processor's mean and standard deviation; some networks take plain pixels."""
    if not getattr(processor, "do_normalize", True):
        return Normalise((0.0,) * 3, (1.0,) * 3)
    return Normalise.of(processor.image_mean, processor.image_std)


def _make_forward(module: Any, classifies: bool, is_clipseg: bool) -> Callable[[Tensor], Any]:
    """One pass over images; CLIPSeg's decoder gets the embedding of no prompt at all, zeros."""
    if is_clipseg:
        width = module.config.projection_dim
        return lambda images: module(pixel_values=images, conditional_embeddings=images.new_zeros(len(images), width))
    if classifies:
        return lambda images: module(pixel_values=images).logits
    return lambda images: module(pixel_values=images)


def _find_model_class(name: str, config: Any) -> tuple[Any, Any]:
    """The class that reads the checkpoint with nothing missing, and its config.

    CLIPSeg is read whole: its vision class would look for CLIP's names and find none of them.
    """
    if config.model_type == "clipseg":
        return transformers.CLIPSegForImageSegmentation, config
    tower = getattr(transformers, type(config).__name__.removesuffix("Config") + "VisionModel", None)
    if tower is not None and hasattr(config, "vision_config"):
        return tower, config.vision_config
    declared = [kind for kind in config.architectures or () if kind.endswith("ForImageClassification")]
    model_kind = (
        getattr(transformers, declared[0], None) if declared else transformers.MODEL_MAPPING.get(type(config), None)
    )
    if model_kind is None or model_kind.main_input_name != "pixel_values":
        raise SemrsmError(f"{name} is a {config.model_type} model, which takes no images; choose a vision model")
    return model_kind, config


def _configure(config: Any, options: dict[str, Any], name: str) -> None:
    """Set the architecture's options, in the config of the vision tower where the model has two."""
    for key, value in options.items():
        target = config if hasattr(config, key) else getattr(config, "vision_config", config)
        if not hasattr(target, key):
            near = nearest(key, list(target.to_dict())) or ["num_hidden_layers", "num_labels"]
            raise SemrsmError(f"{name} has no option {key!r}, choose from {', '.join(near)}, ...")
        try:
            setattr(target, key, value)
        except StrictDataclassError as error:
            raise SemrsmError(f"{name} takes no model.options.{key}={value!r}: {first_line(error)}") from error


def _load_pretrained(build_class: Any, config: Any, name: str, place: str, revision: str | None) -> Any:
    """The model with all its weights, in float32 whatever the checkpoint's type."""
    module, info = build_seeded(  # what may be missing has the same values each time, and so the same hash
        lambda: build_class.from_pretrained(
            place,
            config=config,
            revision=revision,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, with their names
            **_OWN_CODE_ALONE,
        )
    )
    check_complete(name, missing=info["missing_keys"], differ=info["mismatched_keys"])
    return module


def _place(name: str, revision: str | None) -> tuple[str, str | None]:
    """Where a checkpoint is read: in the folder that `semrsm data fetch` filled, else at a revision on the hub."""
    record = read_record(name, "model")
    if record is None or revision not in (None, record.revision, record.commit):
        return name, revision
    return (name, record.commit) if record.missing() else (str(record.snapshot), None)


def _check_local(name: str) -> bool:
    """Whether the name is a folder; refuse one that is not there, since transformers would look for it on the hub."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise SemrsmError(f"the folder {name} holds no config.json; give a folder that save_pretrained wrote")
        return True
    if name.startswith((".", "/", "~")):
        raise SemrsmError(f"there is no folder {name}; give a folder that save_pretrained wrote, or an id on the hub")
    return False


@contextmanager
def _hub_errors(name: str, revision: str | None, is_local: bool) -> Iterator[None]:
    """Turn what transformers raises on absent, gated, broken or foreign checkpoints into one line."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        if isinstance(error, OSError) and constants.HF_HUB_OFFLINE and not is_local:
            raise SemrsmError(how_to_fetch(name, revision, random_works=name in ARCHITECTURES)) from error
        if is_local and "preprocessor_config.json" in str(error):
            raise SemrsmError(
                f"the folder {name} holds no preprocessor_config.json, which says how images are prepared; copy that "
                "of the checkpoint, or write one with AutoImageProcessor's save_pretrained"
            ) from error
        if "trust_remote_code" in str(error):
            raise SemrsmError(
                f"{name} can be read by code of its own alone, which is never run; choose a network that transformers "
                "itself has, or compare features of your own with x=FILE"
            ) from error
        raise SemrsmError(f"cannot load {name}: {first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' reports and bars off the terminal; what is missing is an error here, not a report.

    The hub's bars stay where somebody watches: they show downloads, which may take long.
    """
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    downloads = not hub_bars.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if downloads and sys.stderr.isatty():
        hub_bars.enable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
