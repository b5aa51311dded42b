"""Classifiers of torchvision."""

import re
import sys
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from tqdm import tqdm

from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import Download
from semrsm_cli.models.network import Network, nearest
from semrsm_cli.models.preprocessing import Normalise, Transformed
from semrsm_cli.models.published import PUBLISHED
from semrsm_cli.models.structure import block_names, is_cnn, prefix_tokens, readouts
from semrsm_cli.models.weights import PRETRAINED, RANDOM, build_seeded, first_line, load_weights, read_state_dict

__all__ = ["build", "published_file"]

_FINAL = ("encoder.ln", "norm")
"""Final normalisations of its vision transformers and Swin transformers."""
_N_CLASSES = 1000


def build(name: str, weights: str, revision: str | None, options: dict[str, Any]) -> Network:
    """A torchvision classifier; `revision` names one of its published sets of weights."""
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        near = nearest(name, names) or ["resnet18", "vit_b_16"]
        raise SemrsmError(f"torchvision has no classifier {name!r}, choose from {', '.join(near)}, ...")
    published = _published_weights(name, revision)
    module = _build_module(name, options)
    if weights == PRETRAINED:
        load_weights(module, _download_weights(name, published), label=name)
    elif weights != RANDOM:
        load_weights(module, read_state_dict(weights), label=name, allow_extra=bool(options))
    transform = published.transforms()
    blocks = block_names(module)
    return Network(
        label=name,
        module=module,
        forward=module,
        preprocess=Transformed(transform),
        normalise=Normalise.of(transform.mean, transform.std),
        blocks=blocks,
        readouts=readouts(module, blocks, _FINAL),
        prefix_tokens=prefix_tokens(module),
        n_classes=int(options.get("num_classes", _N_CLASSES)),
        is_cnn=is_cnn(module),
        channels_last=isinstance(module, torchvision.models.SwinTransformer),
    )


def _published_weights(name: str, revision: str | None) -> Any:
    """The entry for the published weights: the one that `revision` names, or torchvision's best."""
    entries = torchvision.models.get_model_weights(name)
    if revision is None:
        return entries.DEFAULT
    if revision not in entries.__members__:
        known = ", ".join(entries.__members__)
        raise SemrsmError(f"torchvision has no weights {revision!r} of {name}, choose from {known}")
    return entries[revision]


def _build_module(name: str, options: dict[str, Any]) -> nn.Module:
    """The architecture with seeded random weights."""
    if name in ("googlenet", "inception_v3"):  # torchvision sets these two only when it loads the weights itself
        options = {"transform_input": True, "init_weights": True} | options
    try:
        module: nn.Module = build_seeded(lambda: torchvision.models.get_model(name, weights=None, **options))
    except (TypeError, ValueError) as error:
        reason = first_line(error)
        raise SemrsmError(f"torchvision cannot build {name} with model.options={options}: {reason}") from error
    return module


def _download_weights(name: str, published: Any) -> dict[str, Tensor]:
    """The published weights, from torch's cache or the network; downloaded files are checked by their hash."""
    file = _download_of(published)
    if not file.is_complete():
        try:
            with tqdm(desc=file.path.name, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
                file.run(advance=bar.update)
        except (SemrsmError, OSError) as error:
            is_preset = published == torchvision.models.get_model_weights(name).DEFAULT
            known = PUBLISHED.get(name) if is_preset else None
            fetch = (
                f"fetch {file.url}" if known is None else f"run semrsm data fetch {known.preset}, or fetch {file.url}"
            )
            raise SemrsmError(
                f"no weights {published} in {file.path.parent}, and they can't be downloaded ({first_line(error)}); "
                f"{fetch} on a machine with network and put it there (TORCH_HOME moves it), or take "
                "model.weights=random"
            ) from error
    return {_modern_name(name): tensor for name, tensor in read_state_dict(str(file.path)).items()}


def published_file(name: str, revision: str | None) -> Download:
    """The file of published weights, at its place in torch's cache.

    Args:
        name: The classifier.
        revision: Which of its sets of weights; None for torchvision's best.

    Returns:
        The file, which may be fetched or not.

    Raises:
        SemrsmError: There are no such weights.
    """
    return _download_of(_published_weights(name, revision))


def _download_of(published: Any) -> Download:
    """The file behind an entry; its name ends in the first digits of its checksum."""
    url = str(published.url)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    digits = re.search(r"-([a-f0-9]+)\.", path.name)
    return Download(url, path, f"sha256:{digits[1] if digits else ''}")


def _modern_name(name: str) -> str:
    """Names in the DenseNet files still have a dot that the modules have lost: `norm.1` is now `norm1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", name)
