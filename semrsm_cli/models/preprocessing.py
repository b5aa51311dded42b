"""From an RGB image to a network's input; objects, so that other processes can load images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

__all__ = ["Normalise", "Processed", "Transformed", "resampling"]


@dataclass(frozen=True)
class Normalise:
    """(image / 255 - mean) / std for each channel, at the image's own size."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> "Normalise":
        """From any sequences of three numbers."""
        return cls(tuple(float(value) for value in mean), tuple(float(value) for value in std))

    def __call__(self, image: Image) -> Tensor:
        """Image [h, w] to tensor [3, h, w]."""
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).to(torch.float32)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return ((pixels / 255 - mean) / std).contiguous()


@dataclass(frozen=True)
class Transformed:
    """A transform of torchvision or timm."""

    transform: Callable[[Image], Tensor]

    def __call__(self, image: Image) -> Tensor:
        """Image of any size to the network's input [3, h, w]."""
        return self.transform(image.convert("RGB"))

    def __str__(self) -> str:
        return " ".join(str(self.transform).split())


@dataclass(frozen=True)
class Processed:
    """An image processor of transformers."""

    processor: Any

    def __call__(self, image: Image) -> Tensor:
        """Image of any size to the network's input [3, h, w]."""
        pixels: Tensor = self.processor(images=image.convert("RGB"), return_tensors="pt")["pixel_values"][0]
        return pixels

    def __str__(self) -> str:
        return " ".join(self.processor.to_json_string().split())


def resampling(preprocess: Callable[[Image], Tensor]) -> Resampling:
    """How a preprocessing resamples images, where it says so; else bicubic."""
    if isinstance(preprocess, Processed):
        chosen = getattr(preprocess.processor, "resample", None)
        return Resampling.BICUBIC if chosen is None else Resampling(int(chosen))
    transform = getattr(preprocess, "transform", None)
    for step in (transform, *getattr(transform, "transforms", ())):
        name = str(getattr(getattr(step, "interpolation", None), "value", "")).upper()
        if name in Resampling.__members__:
            return Resampling[name]
    return Resampling.BICUBIC
