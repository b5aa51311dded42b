"""The layers of a network as concept vectors, several in one forward pass."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models.network import ClsToken, Network
from semrsm_cli.own_code import explain_own

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Capture", "Captured", "capture", "first_tensor", "token_grid"]

_Grid = tuple[int, int]


@dataclass(frozen=True)
class Captured:
    """Results of one forward pass over n images.

    Attributes:
        representations: Concept vectors [n, s, c] of each layer, float32.
        grids: (height, width) of each layer's positions, row by row; None where a class token is among them.
        cnn_grids: The same where the layer is a map of a CNN, else None: there a translation of the image is a
            translation of the map.
        logits: [n, classes], or None where the network does not classify.
    """

    representations: dict[str, np.ndarray]
    grids: dict[str, _Grid | None]
    cnn_grids: dict[str, _Grid | None]
    logits: np.ndarray | None


@dataclass(frozen=True)
class _Layer:
    """One layer's concept vectors and grid; `is_map` where its output had two spatial axes."""

    vectors: Tensor
    grid: _Grid | None
    is_map: bool


class Capture:
    """Forward passes through a network, of which the named layers are read; several threads may make one at once.

    Args:
        network: The network.
        layers: Names of modules, as `resolve_layers` gives them.
        cls_token: Whether tokens before the patch tokens are dropped or kept.
    """

    def __init__(self, network: Network, layers: Sequence[str], *, cls_token: ClsToken | str) -> None:
        self.network, self.layers = network, tuple(layers)
        self._keep = ClsToken(cls_token) is ClsToken.keep
        self._pass = threading.local()  # a hook tells passes apart by their threads
        self._hooks = ExitStack()
        for name in self.layers:
            hook = lambda part, inputs, output, name=name: self._read(name, part, inputs, output)  # noqa: E731
            self._hooks.callback(network.module.get_submodule(name).register_forward_hook(hook).remove)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.close()

    def __call__(self, batch: Tensor) -> Captured:
        """Run the network once over preprocessed images [n, 3, h, w], and read the layers.

        Raises:
            SemrsmError: A layer gives no tensor of concept vectors, gives NaN or infinity, or does not run; or the
                network does not take images of this size.
        """
        import torch

        network, self._pass.shape = self.network, tuple(batch.shape)
        captured: dict[str, _Layer] = {}
        self._pass.captured = captured
        try:
            with torch.inference_mode():
                output = network.forward(_laid_out(batch, network))
        except SemrsmError:
            raise
        except Exception as error:
            if network.is_users_code or _is_refusal(error):
                raise _refused(network, batch, error) from error
            raise
        finally:
            del self._pass.captured
        not_run = [name for name in self.layers if name not in captured]
        if not_run:
            raise SemrsmError(f"layer {not_run[0]} of {network.label} does not run for images; choose another layer")
        return Captured(
            representations={name: captured[name].vectors.cpu().contiguous().numpy() for name in self.layers},
            grids={name: captured[name].grid for name in self.layers},
            cnn_grids={
                name: captured[name].grid if captured[name].is_map and network.is_cnn else None for name in self.layers
            },
            logits=output.to(torch.float32).cpu().numpy() if network.n_classes else None,
        )

    def _read(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        """Copy a layer's output, where a pass of ours gave it; without the norm that a convolution took over."""
        if hasattr(self._pass, "captured"):
            if name in self.network.unfolded:
                output = self.network.unfolded[name](*inputs)
            n_images, _, height, width = self._pass.shape
            self._pass.captured[name] = _read_layer(
                self.network, name, module, output, n_images=n_images, size=(height, width), keep=self._keep
            )


def capture(network: Network, batch: Tensor, layers: Sequence[str], *, cls_token: ClsToken | str) -> Captured:
    """Run the network once over a batch [n, 3, h, w], and read the named layers; as `Capture` does it.

    Args:
        network: The network, on the device of `batch`.
        batch: Preprocessed images.
        layers: Names of modules, as `resolve_layers` gives them.
        cls_token: Whether tokens before the patch tokens are dropped or kept.

    Returns:
        Concept vectors and grids of the layers, and the logits.

    Raises:
        SemrsmError: As `Capture`.
    """
    with Capture(network, layers, cls_token=cls_token) as run:
        return run(batch)


def _laid_out(batch: Tensor, network: Network) -> Tensor:
    """The batch with channels last in memory for a CNN, whose convolutions are faster so."""
    import torch

    return batch.contiguous(memory_format=torch.channels_last) if network.is_cnn else batch


def _is_refusal(error: Exception) -> bool:
    """Whether a library refuses images of this size: as torchvision, timm and transformers do, or a convolution."""
    if isinstance(error, RuntimeError):
        return "Kernel size can't be greater than actual input size" in str(error)
    return isinstance(error, AssertionError | ValueError)


def _refused(network: Network, batch: Tensor, error: Exception) -> SemrsmError:
    """The error for images of a size that a network does not take; of the user's own code, what it stumbled over."""
    if network.is_users_code:
        return SemrsmError(f"{network.label} fails on images {list(batch.shape)}: {explain_own(error)}")
    reason = str(error).strip().splitlines()[0]
    return SemrsmError(f"{network.label} takes no images of {batch.shape[2]} x {batch.shape[3]} pixels: {reason}")


def _read_layer(
    network: Network, name: str, module: nn.Module, output: Any, *, n_images: int, size: _Grid, keep: bool
) -> _Layer:
    """A copy of a layer's output as [n, s, c], since a later layer may overwrite it."""
    import torch

    tensor = first_tensor(output)
    where = f"layer {name} of {network.label}"
    if tensor is None or not tensor.is_floating_point():
        raise SemrsmError(f"{where} gives {type(output).__name__}, no tensor of features; choose another layer")
    shape = tuple(tensor.shape)
    if len(shape) not in (2, 3, 4) or shape[0] != n_images:
        raise SemrsmError(
            f"{where} gives {list(shape)} for {n_images} images: no map, tokens or vector of each image; "
            "choose another layer"
        )
    copied = tensor.to(torch.float32, copy=True)
    if not torch.isfinite(copied).all():
        raise SemrsmError(f"{where} gives NaN or infinity; check the weights and the images")
    if len(shape) == 4:
        return _map_layer(copied, _channels_last(network, module, shape, size))
    if len(shape) == 3:
        return _token_layer(copied, size, 0 if keep else network.prefix_tokens, network.prefix_tokens)
    return _Layer(copied[:, None, :], None, is_map=False)


def first_tensor(output: Any) -> Tensor | None:
    """The tensor of an output, or the first in a tuple or in a model's named outputs."""
    import torch

    if torch.is_tensor(output):
        return output
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    return next((part for part in parts if torch.is_tensor(part)), None)


def _map_layer(output: Tensor, last: bool) -> _Layer:
    """A map [n, c, h, w] or [n, h, w, c]; positions run row by row."""
    output = output if last else output.permute(0, 2, 3, 1)
    n, height, width, channels = output.shape
    return _Layer(output.reshape(n, height * width, channels), (height, width), is_map=True)


def _channels_last(network: Network, module: nn.Module, shape: tuple[int, ...], size: _Grid) -> bool:
    """Whether a map is [n, h, w, c]: by the axes that have the image's proportions, else by what is known.

    PyTorch's own LayerNorm and Linear (not their subclasses) work on the last axis, so theirs are.
    """
    from torch import nn

    if type(module) in (nn.LayerNorm, nn.Linear):
        return True
    first, last = _is_proportional(shape[2], shape[3], size), _is_proportional(shape[1], shape[2], size)
    return last if first != last else network.channels_last


def _is_proportional(height: int, width: int, size: _Grid) -> bool:
    """Whether a grid can be the image's size divided by one stride and rounded."""
    return abs(height * size[1] - width * size[0]) < max(size)


def _token_layer(tokens: Tensor, size: _Grid, dropped: int, prefix: int) -> _Layer:
    """Tokens [n, t, c]; layers before the class token joins, or after it leaves, have none to drop."""
    n_tokens = tokens.shape[1]
    if token_grid(n_tokens - prefix, size) is None and token_grid(n_tokens, size) is not None:
        dropped = prefix = 0
    kept = tokens[:, dropped:]
    return _Layer(kept, token_grid(kept.shape[1], size) if dropped == prefix else None, is_map=False)


def token_grid(n_tokens: int, size: _Grid) -> _Grid | None:
    """The grid (height, width) of the patches of an image, or None where no grid has that many.

    Args:
        n_tokens: Number of patches.
        size: Height and width of the image in pixels.
    """
    if n_tokens < 1:
        return None
    height = round((n_tokens * size[0] / size[1]) ** 0.5)
    fits = height > 0 and n_tokens % height == 0 and _is_proportional(height, n_tokens // height, size)
    return (height, n_tokens // height) if fits else None
