"""A loaded network, and the names of its layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Self

from semrsm_cli.errors import ConfigError, SemrsmError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

__all__ = ["Autocast", "ClsToken", "Framing", "Network", "Readout", "Source", "nearest", "resolve_layers"]

_ALL, _LAST = "all", "last"


class Source(StrEnum):
    """Library that builds the network; `trained` are checkpoints of `semrsm train`, `python` is a function of yours."""

    torchvision = "torchvision"
    timm = "timm"
    huggingface = "huggingface"
    checkpoint = "checkpoint"
    trained = "trained"
    python = "python"


class Readout(StrEnum):
    """Where the last hidden layer is read.

    `before_norm` is the output of the last block; `after_norm` what the network makes of it at every position: its
    final normalisation, SAM's neck, or nothing. `decoder` is the last layer of CLIPSeg's decoder.
    """

    after_norm = "after_norm"
    before_norm = "before_norm"
    decoder = "decoder"


class ClsToken(StrEnum):
    """Whether class, distillation and register tokens count as positions."""

    drop = "drop"
    keep = "keep"


class Autocast(StrEnum):
    """The type in which a network multiplies; what would suffer, such as norms, stays in float32, all by `none`."""

    none = "none"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Framing(StrEnum):
    """How a picture that is no square is shown to the network.

    `own` as its preprocessing does, which often cuts the sides off; `squash` the whole at the input's size, its aspect
    not kept; `pad` the whole as large as it fits, the rest in the network's mean colour.
    """

    own = "own"
    squash = "squash"
    pad = "pad"


@dataclass(frozen=True)
class Network:
    """A network in evaluation mode, with its own preprocessing and the names of its layers.

    Attributes:
        label: Name for messages.
        module: The network; layer names are those of its modules.
        forward: One pass over images [n, 3, h, w]; gives logits [n, classes] where the network classifies.
        preprocess: The network's own preprocessing, RGB image to [3, h, w].
        normalise: The same mean and standard deviation, but no resizing: for crops that are cut to size.
        blocks: Names of the blocks in order; `all` means these.
        readouts: Name of the last hidden layer for each read-out.
        prefix_tokens: How many tokens come before the patch tokens.
        n_classes: Number of classes, or None where it does not classify.
        is_cnn: Whether it has no attention, so that its maps move with the image.
        channels_last: Whether a map whose shape fits both ways is [n, h, w, c].
        configuration: What the library's own configuration says beyond name and options; without paths and versions.
        is_users_code: Whether the user wrote its code, which may keep state while it runs, and fail in any way.
        unfolded: The convolutions that do more than they did, since they took over a batch norm; as they were.
        identity: What distinguishes it from any other network: source, name, revision, options, configuration, weights,
            preprocessing, and the versions of the libraries that compute its features.
    """

    label: str
    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    preprocess: Callable[[Image], Tensor]
    normalise: Callable[[Image], Tensor]
    blocks: tuple[str, ...]
    readouts: Mapping[Readout, str]
    prefix_tokens: int
    n_classes: int | None
    is_cnn: bool
    channels_last: bool
    configuration: str = ""
    is_users_code: bool = False
    unfolded: Mapping[str, nn.Module] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)

    def last(self, readout: Readout | str) -> str:
        """Name of the last hidden layer.

        Raises:
            ConfigError: The network has no such read-out.
        """
        chosen = Readout(readout)
        if chosen not in self.readouts:
            known = ", ".join(self.readouts) or "no known last hidden layer; name a layer instead of 'last'"
            raise ConfigError(f"{self.label} has no read-out {chosen}, it has {known}")
        return self.readouts[chosen]

    def for_thread(self) -> Self:
        """The network for one thread of several: code that may keep state gets modules of its own, of the same weights.

        Raises:
            SemrsmError: A module cannot be copied.
        """
        if not self.is_users_code:
            return self
        shared = {id(tensor): tensor for tensor in (*self.module.parameters(), *self.module.buffers())}
        try:
            module, forward = copy.deepcopy((self.module, self.forward), shared)
        except Exception as error:  # of whatever the user's modules hold: locks, open files
            reason = " ".join(str(error).split())[:100]
            raise SemrsmError(f"{self.label} cannot be copied for threads ({reason}); let it run in one") from error
        return replace(self, module=module, forward=forward)

    @property
    def layers(self) -> list[str]:
        """Names of all modules that can be captured."""
        return [name for name, _ in self.module.named_modules() if name]


def resolve_layers(network: Network, patterns: Sequence[str], readout: Readout | str) -> list[str]:
    """Names of the layers that the patterns match, in their order and each once.

    A pattern is a module's name, `all` for every block, `last` for the last hidden layer, or has `*`, `?` or `[..]`,
    which match within one part of a dotted name: `layer*` means layer1 to layer4, not the modules inside them.

    Args:
        network: The network.
        patterns: Names and patterns.
        readout: Which layer `last` means.

    Returns:
        Names of modules.

    Raises:
        ConfigError: A pattern matches no layer.
    """
    resolved: dict[str, None] = {}
    names = network.layers
    for pattern in patterns:
        if pattern == _ALL and network.blocks:
            matched = list(network.blocks)
        elif pattern == _LAST:
            matched = [network.last(readout)]
        else:
            matched = [name for name in names if _matches(name, pattern)]
        if not matched:
            raise ConfigError(_unknown_layer_message(network, pattern, names))
        resolved.update(dict.fromkeys(matched))
    return list(resolved)


def _matches(name: str, pattern: str) -> bool:
    """Whether a dotted name matches part by part."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _unknown_layer_message(network: Network, pattern: str, names: Sequence[str]) -> str:
    """The message for a pattern that means no layer."""
    if not names:
        return f"{network.label} has no layer {pattern!r}, nor any other: it is one module without parts"
    if pattern == _ALL:
        return f"the blocks of {network.label} are not known, so 'all' means nothing; name layers such as {names[-1]}"
    suggested = {*nearest(pattern, names), *network.blocks[:2], *network.blocks[-1:]}
    known = [name for name in names if name in suggested] or names[:5]
    return f"no layer {pattern!r} in {network.label}, choose from {', '.join(known)}, ..., 'all' or 'last'"


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Up to five names that look like `name`."""
    return get_close_matches(name, names, n=5, cutoff=0.5)
