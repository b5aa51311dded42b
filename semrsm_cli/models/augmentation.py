"""From an RGB image to a network's input, without augmentation and with it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import AutoAugmentPolicy

from semrsm_cli.models.preprocessing import Transformed
from semrsm_cli.models.recipe import Crop, NetworkSpec, Policy, Recipe

__all__ = ["Cutout", "augmentation", "preprocessing"]

_GREY = 128
_PADDING_DIVISOR = 8
"""A padded crop may reach over the image's border by this part of its side: an eighth, 4 pixels at 32."""
_POLICIES = {Policy.cifar10: AutoAugmentPolicy.CIFAR10, Policy.imagenet: AutoAugmentPolicy.IMAGENET}


@dataclass(frozen=True)
class Cutout:
    """Blanks a square of `side` pixels around a random place (DeVries and Taylor 2017)."""

    side: int

    def __call__(self, image: Tensor) -> Tensor:
        """Image [3, h, w] with zeros in the square, which may reach over the rim."""
        height, width = image.shape[1:]
        y, x = (int(torch.randint(extent, ())) for extent in (height, width))
        before, after = self.side // 2, self.side - self.side // 2
        blanked = image.clone()
        blanked[:, max(0, y - before) : y + after, max(0, x - before) : x + after] = 0
        return blanked


def preprocessing(spec: NetworkSpec) -> Transformed:
    """Images of any size squeezed into a square, then (image / 255 - mean) / std."""
    resize = transforms.Resize((spec.image_size, spec.image_size))
    normalise = transforms.Normalize(tuple(spec.mean), tuple(spec.std))  # tuples: the store's keys hold their text
    return Transformed(transforms.Compose([resize, transforms.ToTensor(), normalise]))


def augmentation(recipe: Recipe) -> Transformed:
    """The recipe's crop, a mirroring, its policy, normalisation and cutout, drawn from torch's generator."""
    size = recipe.image_size
    whole = transforms.Resize((size, size))
    crops = {
        Crop.padded: [whole, transforms.RandomCrop(size, padding=size // _PADDING_DIVISOR, fill=_GREY)],
        Crop.resized: [transforms.RandomResizedCrop(size)],
        Crop.none: [whole],
    }
    steps = [*crops[recipe.crop], transforms.RandomHorizontalFlip()]
    if recipe.policy is not Policy.none:
        steps.append(transforms.AutoAugment(_POLICIES[recipe.policy], fill=[_GREY] * 3))
    steps += [transforms.ToTensor(), transforms.Normalize(recipe.mean, recipe.std)]
    return Transformed(transforms.Compose([*steps, Cutout(recipe.cutout)] if recipe.cutout else steps))
