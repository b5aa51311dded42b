"""How a picture that is no square is brought to a network's input, and how much of it the network then sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from torch import Tensor

from semrsm_cli.models.network import Framing, Network
from semrsm_cli.models.preprocessing import resampling

__all__ = ["Framed", "share_seen", "with_framing"]

_PROBE_PIXELS = 512
_MIN_PIXELS = 32  # of the shorter side of a picture that is sent through


@dataclass(frozen=True)
class Framed:
    """The whole picture at the network's input size [height, width], normalised: squashed, or with a margin around it.

    The margin has the network's mean colour, which is 0 once it is normalised.
    """

    normalise: Callable[[Image.Image], Tensor]
    size: tuple[int, int]
    framing: Framing
    resample: Image.Resampling

    def __call__(self, image: Image.Image) -> Tensor:
        """Image of any size to the network's input [3, h, w]."""
        height, width = self.size
        if self.framing is Framing.squash:
            return self.normalise(_resize(image, width, height, self.resample))
        scale = min(width / image.width, height / image.height)
        shown_width, shown_height = (max(1, round(extent * scale)) for extent in image.size)
        shown = self.normalise(_resize(image, shown_width, shown_height, self.resample))
        padded = shown.new_zeros(len(shown), height, width)
        left, upper = (width - shown_width) // 2, (height - shown_height) // 2
        padded[:, upper : upper + shown_height, left : left + shown_width] = shown
        return padded

    def __str__(self) -> str:
        return f"{self.framing} to {list(self.size)}, {self.resample.name.lower()}, {self.normalise}"


def _resize(image: Image.Image, width: int, height: int, resample: Image.Resampling) -> Image.Image:
    """The picture at another size; as it is where it has that size."""
    return image if image.size == (width, height) else image.convert("RGB").resize((width, height), resample)


def with_framing(network: Network, framing: Framing) -> Network:
    """The network with the preprocessing that shows it pictures in that way; its identity says so.

    The input size is what the network's own preprocessing makes of a square; the resampling is its own where it is
    known, else bicubic.
    """
    if framing is Framing.own:
        return network
    square = Image.new("RGB", (_PROBE_PIXELS, _PROBE_PIXELS))
    height, width = network.preprocess(square).shape[-2:]
    framed = Framed(network.normalise, (height, width), framing, resampling(network.preprocess))
    return replace(network, preprocess=framed, identity=network.identity | {"preprocessing": str(framed)})


def share_seen(preprocess: Callable[[Image.Image], Tensor], width: int, height: int) -> float:
    """The share of a picture's area that a preprocessing leaves in the network's input, between 0 and 1.

    A picture is sent through whose red rises from left to right and whose green from top to bottom; between what
    becomes of black and of white, they tell how many of its columns and rows lie between two pixels of the input. Where
    black and white become the same the input shows no picture.

    Args:
        preprocess: RGB image to the network's input [3, h, w].
        width: Width of the picture in pixels.
        height: Its height.
    """
    enlarged = -(-_MIN_PIXELS // min(width, height))  # where pixels are few, the edges are all that there is
    width, height = enlarged * width, enlarged * height
    across, down = _ramp(width), _ramp(height)
    ramps = np.zeros((height, width, 3), np.uint8)
    ramps[..., 0], ramps[..., 1] = across, down[:, None]
    black, white = (Image.new("RGB", (width, height), colour) for colour in ("black", "white"))
    dark, light, shown = (preprocess(image)[:2].double().numpy() for image in (black, white, Image.fromarray(ramps)))
    contrast = light - dark
    is_shown = contrast != 0
    levels = 255 * np.divide(shown - dark, contrast, out=np.zeros_like(shown), where=is_shown)
    return _seen(levels[0], is_shown[0], across) * _seen(levels[1].T, is_shown[1].T, down)


def _ramp(n: int) -> np.ndarray:
    """The largest 8-bit ramp [n] whose steps are all alike: so many levels a pixel, or so many pixels a level."""
    pixels = np.arange(n)
    return (pixels * (255 // (n - 1)) if n <= 256 else pixels // -(-n // 256)).astype(np.uint8)


def _seen(levels: np.ndarray, is_shown: np.ndarray, ramp: np.ndarray) -> float:
    """The share of a ramp that an input's columns show, from levels [h, w] and where they show it at all.

    Their slope is taken in the middle half, since resizing bends it at the edges.
    """
    rows = is_shown.sum(axis=0)
    means = levels.sum(axis=0)[rows > 0] / rows[rows > 0]
    if len(means) < 2:
        return 0.0
    middle = means[len(means) // 4 : len(means) - len(means) // 4]
    slope = np.polyfit(np.arange(len(middle)), middle, 1)[0]
    return min(1.0, abs(float(slope)) * len(means) / (len(ramp) * _levels_a_pixel(ramp)))


def _levels_a_pixel(ramp: np.ndarray) -> float:
    """The slope of a ramp."""
    return float(ramp[1]) or 1 / float(np.argmax(ramp > 0))
