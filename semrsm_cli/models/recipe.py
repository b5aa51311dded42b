"""How a network for small images is trained: architecture, augmentation, optimisation (Section G.2)."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Architecture", "Crop", "Policy", "Recipe", "TrainingPrecision"]


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
class Recipe:
    """Everything that the trained weights depend on, but the images.

    Attributes:
        architecture: The network.
        width: Channels of its stem.
        early_downsampling: Whether stem and first stage halve the map.
        image_size: Side in pixels of the images.
        mean: Mean of the training images' channels, from 0 to 1.
        std: Their standard deviation.
        crop: How a part of an image is drawn.
        policy: How its colours and shapes are changed.
        cutout: Side of the square that is blanked, 0 for none (DeVries and Taylor 2017).
        epochs: How often every image is seen.
        batch_size: Images of a step.
        learning_rate: At the start; it falls to 0 along a cosine, epoch by epoch.
        momentum: Nesterov's.
        weight_decay: Of all weights.
        precision: Type of the passes.
        seed: Of weights, order and augmentation.
    """

    architecture: Architecture
    width: int
    early_downsampling: bool
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Crop
    policy: Policy
    cutout: int
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    precision: TrainingPrecision
    seed: int
