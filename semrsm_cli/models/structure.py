"""Facts read from a network's tree of modules: its blocks, its prefix tokens, whether it is a CNN."""

from collections.abc import Iterator, Sequence

from torch import nn

from semrsm_cli.models.network import Readout

__all__ = ["block_names", "is_cnn", "patch_size", "prefix_tokens", "readouts"]

_CONTAINERS = frozenset(
    ["blocks", "block", "features", "layer", "layer1", "layer2", "layer3", "layer4", "layers", "stages", "trunk_output"]
)
"""What torchvision, timm and transformers call the sequence of a network's blocks or stages."""
_PREFIX_TOKENS = frozenset(
    ["class_embedding", "class_token", "cls_token", "dist_token", "distillation_token", "reg_token", "register_tokens"]
)


def block_names(module: nn.Module, within: str = "") -> tuple[str, ...]:
    """Names of the blocks of `module`, or of its part `within`: what the outermost sequences of blocks hold."""
    return tuple(_blocks_below(module.get_submodule(within), within))


def _blocks_below(module: nn.Module, name: str) -> Iterator[str]:
    """Blocks in the order in which the modules are registered."""
    for child_name, child in module.named_children():
        path = f"{name}.{child_name}" if name else child_name
        if child_name in _CONTAINERS and isinstance(child, nn.ModuleList | nn.Sequential | nn.ModuleDict):
            yield from _blocks_in(child, path)
        else:
            yield from _blocks_below(child, path)


def _blocks_in(container: nn.Module, path: str) -> Iterator[str]:
    """The blocks in a container; lists never run themselves, so blocks of a list of lists are one level down."""
    for name, block in container.named_children():
        if isinstance(block, nn.ModuleList):
            yield from _blocks_in(block, f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def readouts(module: nn.Module, blocks: Sequence[str], final: Sequence[str]) -> dict[Readout, str]:
    """Last hidden layers: the last block, and the first of the modules `final` that exists and is no identity."""
    if not blocks:
        return {}
    names = {name for name, part in module.named_modules() if not isinstance(part, nn.Identity)}
    after = next((name for name in final if name in names), blocks[-1])
    return {Readout.after_norm: after, Readout.before_norm: blocks[-1]}


def prefix_tokens(module: nn.Module) -> int:
    """How many tokens come before the patch tokens: class, distillation and register tokens."""
    tokens = [value for name, value in module.named_parameters() if name.rpartition(".")[2] in _PREFIX_TOKENS]
    return sum(1 if token.ndim == 1 else token.shape[-2] for token in tokens)


def patch_size(module: nn.Module) -> tuple[int, int] | None:
    """Height and width of a transformer's patches, which its first convolution cuts; None where there are none."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    if is_cnn(module) or first is None or first.kernel_size != first.stride:
        return None
    return int(first.kernel_size[0]), int(first.kernel_size[1])


def is_cnn(module: nn.Module) -> bool:
    """Whether nothing in the network is attention."""
    return not any("attention" in type(part).__name__.lower() for part in module.modules())
