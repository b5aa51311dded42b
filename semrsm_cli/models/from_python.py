"""Networks of the user's own: any torch module, from a script or from a function that the command line names."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models.capture import first_tensor
from semrsm_cli.models.network import Network
from semrsm_cli.models.preprocessing import Normalise, Transformed
from semrsm_cli.models.structure import block_names, is_cnn, prefix_tokens, readouts
from semrsm_cli.models.weights import PRETRAINED, RANDOM, build_seeded, load_weights, read_state_dict
from semrsm_cli.own_code import call_own, explain_own, own_label

__all__ = ["Preprocess", "build", "own_network"]

Preprocess = Callable[[Any], Any]
"""From a picture to the network's input [3, h, w], as the user writes it."""

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_PROBE_SIDE = 64  # pixels of the pictures that tell a preprocessing's mean and standard deviation
_PROBE_COLOUR = (51, 102, 204)
_PROBE_TOLERANCE = 1e-3


def build(name: str, weights: str, revision: str | None, options: dict[str, Any]) -> Network:
    """The network that a function returns, `path/to/file.py:function` or `package.module:function`.

    The function is called with the options and torch's seed 0, and returns the module, or the module and its
    preprocessing; `weights` may be the path of a state dict that is loaded into it.
    """
    label = own_label(name)
    if revision is not None or weights == RANDOM:
        wrong = "model.weights=random" if revision is None else f"model.revision={revision}"
        raise SemrsmError(f"{wrong} means nothing for {label}, whose weights are what it makes them; leave it out")
    result, sources = build_seeded(lambda: call_own(name, options, setting="model.name"))
    module, preprocess = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    if not isinstance(module, nn.Module) or not (preprocess is None or callable(preprocess)):
        raise SemrsmError(
            f"{label} gives {_described(result)}; it must return a torch.nn.Module, or such a module and its "
            "preprocessing, from a PIL image to a tensor [3, h, w]"
        )
    if weights != PRETRAINED:
        load_weights(module, read_state_dict(weights), label=label)
    network = own_network(module, preprocess, label=label)
    return replace(network, normalise=_normalisation(network.preprocess, label), configuration=sources)


def _described(result: Any) -> str:
    """The type of what a function gave."""
    if isinstance(result, tuple):
        return f"({', '.join(type(part).__name__ for part in result)})"
    return type(result).__name__


def own_network(module: nn.Module, preprocess: Preprocess | None = None, *, label: str | None = None) -> Network:
    """Any module as a network; what it makes of crops is not known.

    Args:
        module: The module. It may say `num_classes`, where its output is logits, and `num_prefix_tokens`, of class and
            register tokens, which else are known by the usual names of their parameters.
        preprocess: From a picture to [3, h, w]; None for what torchvision's ImageNet classifiers take: the shorter side
            brought to 256 pixels, the central 224 x 224, ImageNet's mean and standard deviation.
        label: Name for messages; by default the module's class.
    """
    label = label or type(module).__name__
    n_classes = getattr(module, "num_classes", None)
    n_classes = n_classes if type(n_classes) is int and n_classes > 0 else None
    own = _Prepared(preprocess, label) if preprocess is not None else _imagenet()
    blocks = block_names(module)
    return Network(
        label=label,
        module=module,
        forward=_Forward(module, label, n_classes),
        preprocess=own,
        normalise=_NoNormalisation(label),
        blocks=blocks,
        readouts=readouts(module, blocks, ()),
        prefix_tokens=int(getattr(module, "num_prefix_tokens", prefix_tokens(module))),
        n_classes=n_classes,
        is_cnn=is_cnn(module),
        channels_last=False,
        is_users_code=True,
    )


def _imagenet() -> Transformed:
    """What torchvision's ImageNet classifiers are shown."""
    return Transformed(torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms())


@dataclass(frozen=True)
class _Forward:
    """A pass through a module; where it classifies, its logits alone."""

    module: nn.Module
    label: str
    n_logits: int | None

    def __call__(self, batch: Tensor) -> Any:
        """Images [n, 3, h, w] to logits [n, n_logits], or to whatever the module gives."""
        output = self.module(batch)
        if self.n_logits is None:
            return output
        logits = first_tensor(output)
        if logits is None or tuple(logits.shape) != (len(batch), self.n_logits):
            shown = type(output).__name__ if logits is None else list(logits.shape)
            raise SemrsmError(
                f"{self.label} says num_classes={self.n_logits}, but gives {shown} for {len(batch)} images; its "
                "output must be logits, or num_classes absent"
            )
        return logits


@dataclass(frozen=True)
class _Prepared:
    """A preprocessing of the user's, held to give [3, h, w]."""

    transform: Preprocess
    label: str

    def __call__(self, image: Any) -> Tensor:
        """A picture to the network's input."""
        try:
            pixels = self.transform(image)
        except Exception as error:
            raise SemrsmError(f"the preprocessing of {self.label} fails: {explain_own(error)}") from error
        pixels = torch.from_numpy(pixels) if isinstance(pixels, np.ndarray) else pixels
        if not torch.is_tensor(pixels) or pixels.ndim != 3 or not pixels.is_floating_point():
            shown = f"{pixels.dtype} {list(pixels.shape)}" if torch.is_tensor(pixels) else type(pixels).__name__
            raise SemrsmError(f"the preprocessing of {self.label} gives {shown}; it must give floats [3, h, w]")
        return pixels.to(torch.float32)

    def __str__(self) -> str:
        return " ".join(_ADDRESS.sub("", str(self.transform)).split())


@dataclass(frozen=True)
class _NoNormalisation:
    """In place of a mean and standard deviation that a preprocessing does not have."""

    label: str

    def __call__(self, image: Image.Image) -> Tensor:
        """Say what is missing."""
        raise SemrsmError(
            f"the preprocessing of {self.label} does more than resize and normalise each channel, so that crops, size= "
            "and framings are not possible; leave these out, or let it end in (image / 255 - mean) / std"
        )


def _normalisation(preprocess: Callable[[Image.Image], Tensor], label: str) -> Normalise | _NoNormalisation:
    """The mean and standard deviation of each channel, from what becomes of black, of white and of one colour."""
    black, white, mixed = (
        preprocess(Image.new("RGB", (_PROBE_SIDE, _PROBE_SIDE), colour))[:, :1, :1].double().flatten()
        for colour in ("black", "white", _PROBE_COLOUR)
    )
    contrast = white - black
    expected = black + contrast * torch.tensor(_PROBE_COLOUR) / 255 if len(contrast) == 3 else mixed.new_zeros(0)
    fits = len(contrast) == 3 and bool((contrast != 0).all())
    if not fits or not torch.allclose(expected, mixed, rtol=0, atol=_PROBE_TOLERANCE * float(contrast.abs().max())):
        return _NoNormalisation(label)
    mean, std = (np.round(values.numpy(), 6).tolist() for values in (-black / contrast, 1 / contrast))
    return Normalise.of(mean, std)
