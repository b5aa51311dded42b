"""Any torch module, in a script of the user's own: images in, concept vectors of its layers out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from semrsm_cli.data.images import open_image, upright_rgb
from semrsm_cli.models import Captured, ClsToken, Readout, resolve_layers
from semrsm_cli.models.from_python import Preprocess, own_network
from semrsm_cli.pipeline.chunks import Passes, share_within_memory
from semrsm_cli.report.progress import tracked
from semrsm_cli.rsm.threads import available_cores

__all__ = ["Represented", "represent"]

_MEMORY_GIB = 4.0  # of all batches that are in the network at once


class Represented(dict[str, np.ndarray]):
    """Concept vectors [n, s, c] by layer, float32.

    Attributes:
        grids: (height, width) of each layer's positions, row by row; None where they have none.
        ids: The images' paths as they were given; None where they were no files.
    """

    grids: dict[str, tuple[int, int] | None]
    ids: tuple[str, ...] | None


def represent(
    module: nn.Module,
    images: Any,
    layers: Sequence[str] | str = ("all",),
    *,
    preprocess: Preprocess | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 32,
    cls_token: ClsToken | str = ClsToken.drop,
    threads: int | None = None,
    progress: bool = True,
) -> Represented:
    """Representations of images at some layers of a torch module, each the concept vectors z [s, c] of Section 3.1.

    The module is evaluated without gradients, and is afterwards in the mode and on the device that it was in. A layer's
    output may be a map [n, c, h, w] or [n, h, w, c], tokens [n, t, c], a vector [n, c], or a tuple or dict whose first
    tensor is one of these; of a layer that runs several times in a pass the last output is taken.

    Args:
        module: The module.
        images: A tensor or array [n, 3, h, w], which the module is given as it is; or a sequence of paths, PIL images,
            or tensors [3, h, w].
        layers: Names of modules, or patterns in which `*` matches within one part of a dotted name; `all` for every
            block, where the module names its blocks as usual.
        preprocess: Called for each image, to give what the module takes, [3, h, w]. By default files and PIL images
            are shown as to torchvision's ImageNet classifiers: the shorter side brought to 256 pixels, the central
            224 x 224, normalised by ImageNet's mean and standard deviation.
        device: Where to compute; by default where the module is.
        batch_size: Images of a forward pass; the last digits may depend on it.
        cls_token: Whether class and register tokens are dropped or kept as positions.
        threads: How many batches go through at once, each in one thread; by default one for each core. The digits do
            not depend on it. State that the module keeps in itself while it runs is kept apart for each.
        progress: Whether progress is shown on standard error.

    Returns:
        The representations by layer, with their `grids`, and the `ids` of images that were files.

    Raises:
        SemrsmError: There is no such layer, it gives no features, the module or the preprocessing fails, or an image
            cannot be read.
        ValueError: The images are none, or of different sizes.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU())
        >>> x = represent(net, torch.zeros(5, 3, 15, 15), layers=["1"], progress=False)
        >>> x["1"].shape, x.grids["1"]
        ((5, 49, 8), (7, 7))
    """
    network = own_network(module, preprocess)
    names = resolve_layers(network, [layers] if isinstance(layers, str) else layers, Readout.after_norm)
    read, n = _reader(images, None if preprocess is None else network.preprocess, network.preprocess)
    jobs = [range(n)[start : start + batch_size] for start in range(0, n, batch_size)]
    threads = min(threads or available_cores(), len(jobs))
    place = device or next((tensor.device for tensor in (*module.parameters(), *module.buffers())), "cpu")
    represented = Represented()
    bar = tracked(f"represent {network.label}", len(jobs)) if progress else nullcontext(lambda _: None)
    with (
        _evaluated(module, device),
        Passes(network, names, cls_token=cls_token, threads=threads) as run,
        bar as advance,
    ):
        batches = share_within_memory(
            lambda rows: run(_stack([read(i) for i in rows]).to(place)),
            iter(jobs),
            threads=threads,
            memory_gib=_MEMORY_GIB,
        )
        for rows, captured in batches:
            _keep(represented, captured, rows, n)
            advance(1)
    represented.ids = _ids(images)
    return represented


@contextmanager
def _evaluated(module: nn.Module, device: str | torch.device | None) -> Iterator[None]:
    """Have a module in evaluation mode, on a device, while the block runs."""
    modes = [(part, part.training) for part in module.modules()]
    home = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), None)
    module.eval()
    if device is not None:
        module.to(device)
    try:
        yield
    finally:
        if device is not None and home is not None:
            module.to(home)
        for part, training in modes:
            part.training = training


def _reader(
    images: Any, prepare: Callable[[Any], Tensor] | None, by_default: Callable[[Any], Tensor]
) -> tuple[Callable[[int], Tensor], int]:
    """What gives the module's input [3, h, w] for the image i, and the number of images.

    Raises:
        ValueError: They are none, no sequence, or an array of another form.
    """
    if isinstance(images, np.ndarray | Tensor) and images.ndim != 4:
        raise ValueError(f"images must be [n, 3, h, w], got {list(images.shape)}")
    if isinstance(images, str | Path | Image.Image) or not hasattr(images, "__getitem__") or not len(images):
        shown = "none" if hasattr(images, "__len__") and not len(images) else type(images).__name__
        raise ValueError(f"images must be a tensor [n, 3, h, w], or a list of paths or PIL images, got {shown}")

    def read(i: int) -> Tensor:
        image = images[i]
        if isinstance(image, str | Path):
            return (prepare or by_default)(open_image(image))
        if isinstance(image, Image.Image):
            return (prepare or by_default)(upright_rgb(image))
        tensor = torch.as_tensor(image)
        return _as_input(tensor) if prepare is None else prepare(tensor)

    return read, len(images)


def _as_input(image: Tensor) -> Tensor:
    """An image [3, h, w] that is given to the module as it is.

    Raises:
        ValueError: It is no floating-point tensor of that form.
    """
    if image.ndim != 3 or (image.shape[0] != 3 and image.shape[2] == 3):
        raise ValueError(f"an image must be [3, h, w], got {list(image.shape)}; permute its axes")
    if not image.is_floating_point():
        raise ValueError(
            f"images are {str(image.dtype).removeprefix('torch.')}, the module takes floats; normalise them as it was "
            "trained on, or give preprocess="
        )
    return image.to(torch.float32)


def _stack(images: list[Tensor]) -> Tensor:
    """A batch [b, 3, h, w].

    Raises:
        ValueError: They are of different sizes.
    """
    sizes = dict.fromkeys(tuple(image.shape) for image in images)
    if len(sizes) > 1:
        first, second = map(list, list(sizes)[:2])
        raise ValueError(f"images must be of one size, got {first} and {second}; give preprocess= that resizes them")
    return torch.stack(images)


def _keep(represented: Represented, captured: Captured, rows: range, n: int) -> None:
    """Put what was captured of some images to its place among n.

    Raises:
        ValueError: A layer has other positions there than in other images.
    """
    if not represented:
        represented.grids = captured.grids
    for name, values in captured.representations.items():
        if name not in represented:
            represented[name] = np.empty((n, *values.shape[1:]), np.float32)
        array = represented[name]
        if array.shape[1:] != values.shape[1:]:
            raise ValueError(
                f"layer {name} gives {list(values.shape[1:])} for some images and {list(array.shape[1:])} for others; "
                "give images of one size"
            )
        array[rows.start : rows.stop] = values


def _ids(images: Any) -> tuple[str, ...] | None:
    """The paths of images that are all files."""
    is_of_files = isinstance(images, list | tuple) and all(isinstance(image, str | Path) for image in images)
    return tuple(map(str, images)) if is_of_files else None
