"""Batch norms that the convolution before them takes over: a pass then reads and writes its maps once less."""

import copy
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from semrsm_cli.models.network import Network

__all__ = ["with_folded_norms"]

# Not what inherits from them: some make their weights anew in each pass.
_CONVOLUTIONS = (nn.Conv2d, "Conv2dSame")
_NORMS = (nn.BatchNorm2d, "BatchNormAct2d")


class _Rest(nn.Module):
    """What a batch norm does beside normalising, as timm's: its parts, one after the other."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        for name, part in norm.named_children():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        """Map [n, c, h, w] to a map of the same shape."""
        for part in self.children():
            x = part(x)
        return x


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How many operations take each tensor; all are kept, or another might get the place, and so the id, of one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.of: Counter[int] = Counter()
        self._kept: list[Tensor] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        taken = _tensors((args, kwargs))
        made = operation(*args, **(kwargs or {}))
        self.of.update(map(id, taken))
        self._kept += [*taken, *_tensors(made)]
        return made


def with_folded_norms(network: Network, image: Tensor) -> Network:
    """The network with each batch norm folded into the convolution whose output it alone takes.

    W' = W * g / sqrt(v + eps) and b' = (b - m) * g / sqrt(v + eps) + h, of the norm's mean m, variance v, weight g and
    bias h, in float64, then rounded. What takes what is seen in one pass over an image.

    Args:
        network: The network in evaluation mode; its modules are changed, their names stay.
        image: Any image [3, h, w], preprocessed; if the network does not run for it, nothing is folded.

    Returns:
        The network, which knows the convolutions as they were.
    """
    modules = dict(network.module.named_modules())
    if not any(_is_one_of(module, _NORMS) for module in modules.values()):
        return network
    unfolded: dict[str, nn.Module] = {}
    for name, norm_name in _pairs(network, modules, image).items():
        convolution, norm = modules[name], modules[norm_name]
        weights = {id(tensor): tensor for tensor in convolution.parameters()}
        unfolded[name] = copy.deepcopy(convolution, weights)
        _fold(convolution, norm)
        parent, _, child = norm_name.rpartition(".")
        setattr(network.module.get_submodule(parent), child, _Rest(norm))
    return replace(network, unfolded=unfolded)


def _fold(convolution: Any, norm: Any) -> None:
    """Let a convolution do what a batch norm does after it."""
    own = (convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    weight, bias, mean, variance, gain, shift = (None if part is None else part.detach().double() for part in own)
    folded = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, gain, shift)  # type: ignore[arg-type]
    dtype = convolution.weight.dtype
    convolution.weight, convolution.bias = (nn.Parameter(part.to(dtype), requires_grad=False) for part in folded)


def _pairs(network: Network, modules: Mapping[str, nn.Module], image: Tensor) -> dict[str, str]:
    """The convolutions whose output one batch norm takes, and nothing else does; and those norms."""
    calls: Counter[str] = Counter()
    made: dict[int, list[str]] = {}  # by whom each tensor is given out
    taken: dict[str, Tensor] = {}  # by each norm

    def note(name: str, inputs: Any, output: Any) -> None:
        calls[name] += 1
        if _is_one_of(modules[name], _NORMS):
            taken[name] = inputs[0]
        for tensor in _tensors(output):
            made.setdefault(id(tensor), []).append(name)

    with ExitStack() as hooks, torch.no_grad(), _Uses() as uses:
        for name, module in modules.items():
            hook = module.register_forward_hook(lambda _, inputs, output, name=name: note(name, inputs, output))
            hooks.callback(hook.remove)
        try:
            network.forward(image[None])
        except Exception:  # of any library; the network's passes say what is wrong
            return {}
    pairs = {}
    for norm_name, tensor in taken.items():
        (name, *others) = made.get(id(tensor), [""])
        once = calls[name] == calls[norm_name] == uses.of[id(tensor)] == 1
        if once and not others and _folds(modules[name], modules[norm_name]):
            pairs[name] = norm_name
    return pairs


def _folds(convolution: nn.Module, norm: Any) -> bool:
    """Whether both are what they seem: nothing changes their weights in a pass, and the norm goes by fixed numbers."""
    if not _is_one_of(convolution, _CONVOLUTIONS) or convolution._forward_pre_hooks or norm._forward_pre_hooks:
        return False
    return not norm.training and norm.running_mean is not None and norm.running_var is not None


def _is_one_of(module: nn.Module, kinds: tuple[type[nn.Module] | str, ...]) -> bool:
    """Whether a module is of a type, or of one of timm's by name: where timm was not loaded, no module is its."""
    timm = sys.modules.get("timm.layers")
    return any(type(module) is (getattr(timm, kind, None) if isinstance(kind, str) else kind) for kind in kinds)


def _tensors(values: Any) -> list[Tensor]:
    """The tensors among values that lie in each other."""
    return [value for value in tree_leaves(values) if torch.is_tensor(value)]
