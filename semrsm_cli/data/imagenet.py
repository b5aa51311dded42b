"""ImageNet-1k in the layouts in which it is handed out."""

from dataclasses import dataclass
from types import MappingProxyType

from semrsm_cli.data.split_dataset import SplitDataset

__all__ = ["ImageNet"]


@dataclass(frozen=True, kw_only=True)
class ImageNet(SplitDataset):
    """ImageNet-1k in a folder, or as a Hugging Face data set.

    Read are `<root>/<split>` and Kaggle's `<root>/ILSVRC/Data/CLS-LOC/<split>`, with a folder for each class or flat,
    as the test split is; a root without any split is taken as the split itself.
    """

    name: str = "imagenet"

    folder = "imagenet"
    layouts = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")
    published_as = "imagenet"
    n_published = MappingProxyType({"train": 1_281_167, "val": 50_000, "test": 100_000})
