"""How a network for small images is built and trained: architecture, augmentation, optimisation (Section G.2)."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from semrsm_cli.checks import require, require_at_least, require_positive

__all__ = ["Architecture", "Crop", "NetworkSpec", "Policy", "Recipe", "TrainingPrecision"]

_CHANNELS = 3
_SMALLEST_IMAGE = 16


class Architecture(StrEnum):
    """Networks for small images."""

    resnet10 = "resnet10"
    resnet18 = "resnet18"
    resnet34 = "resnet34"
    resnet50 = "resnet50"
    resnet101 = "resnet101"


class Crop(StrEnum):
    """How a part of an image is drawn: of the image with a grey rim of an eighth, of any size, or the whole image."""

    padded = "padded"
    resized = "resized"
    none = "none"


class Policy(StrEnum):
    """Colours and shapes are changed by a policy that AutoAugment found on a data set (Cubuk et al. 2019), or not."""

    cifar10 = "cifar10"
    imagenet = "imagenet"
    none = "none"


class TrainingPrecision(StrEnum):
    """Floating-point type of the forward and the backward pass; weights are float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network for small images, and how an image becomes its input."""

    architecture: Architecture = Architecture.resnet18
    """Network: resnet10, resnet18, resnet34, resnet50 or resnet101."""
    width: int = 64
    """Channels of its stem."""
    early_downsampling: bool = False
    """Halve the map in the stem and again in layer1, for images of 160 pixels and more."""
    image_size: int = 32
    """Side in pixels that images are brought to."""
    mean: list[float] = field(default_factory=lambda: [0.4914, 0.4822, 0.4465])
    """Mean of red, green and blue, from 0 to 1, that is subtracted."""
    std: list[float] = field(default_factory=lambda: [0.2023, 0.1994, 0.2010])
    """Standard deviation that they are divided by."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "width")
        require_at_least(_SMALLEST_IMAGE, self, "image_size")
        for name, values in (("mean", self.mean), ("std", self.std)):
            count = f"{name} must hold three numbers, as in [0.5,0.5,0.5], got {list(values)}"
            require(len(values) == _CHANNELS, count)
        require(all(map(math.isfinite, self.mean)), f"mean must be finite, got {list(self.mean)}")
        require(
            all(0 < value < math.inf for value in self.std), f"std must be above 0 and finite, got {list(self.std)}"
        )


@dataclass(frozen=True, kw_only=True)
class Recipe(NetworkSpec):
    """Everything that trained weights depend on, but for the images and the seed; the defaults are CIFAR-100's."""

    crop: Crop = Crop.padded
    """Part of an image that is seen: `padded` (moved by up to an eighth), `resized` (any size), or `none` (all)."""
    policy: Policy = Policy.cifar10
    """AutoAugment's changes of colours and shapes: `cifar10`, `imagenet` or `none`."""
    cutout: int = 16
    """Side in pixels of the square that is blanked; 0 for none."""
    epochs: int = 200
    """How often every image is seen."""
    batch_size: int = 128
    """Images of a step."""
    learning_rate: float = 0.1
    """Learning rate at the start; it falls to 0 along a cosine."""
    momentum: float = 0.9
    """Nesterov's momentum."""
    weight_decay: float = 5e-4
    """Weight decay."""
    precision: TrainingPrecision = TrainingPrecision.float32
    """Type of the forward and backward pass: float32 or bfloat16."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "epochs", "batch_size")
        require_at_least(0, self, "cutout", "weight_decay")
        require_positive(self, "learning_rate")
        require(0 <= self.momentum < 1, f"momentum must be at least 0 and below 1, got {self.momentum}")
