"""Where the data sets of the paper come from: how large they are, on what terms, and what to do by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from semrsm_cli.data.folders import split_aliases
from semrsm_cli.fetch import Offer

__all__ = ["PUBLISHED", "OwnFiles", "PublishedDataset", "files_of_split"]


@dataclass(frozen=True)
class PublishedDataset(Offer):
    """A data set that others hand out.

    Attributes:
        repository: Its id on the Hugging Face hub; None where it is on none.
        steps: What to do by hand, where it cannot be fetched; {root} is the folder that it is looked for in.
    """

    repository: str | None = None
    steps: tuple[str, ...] = ()


class OwnFiles(Protocol):
    """A data set in the files in which its publishers hand it out."""

    def place(self) -> Path:
        """Where their folder lies; SemrsmError where it is not known."""

    def verify(self) -> None:
        """Raise SemrsmError where some of them are missing or damaged."""


PUBLISHED = {
    "cifar100": PublishedDataset(
        "60,000 thumbnails",
        150_000_000,
        "none stated",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "uoft-cs/cifar100",
    ),
    "tiny_imagenet": PublishedDataset(
        "110,000 thumbnails",
        161_000_000,
        "research",
        "https://image-net.org/download",
        "zh-plus/tiny-imagenet",
    ),
    "imagenet": PublishedDataset(
        "1.4 million photos",
        160_000_000_000,
        "research",
        "https://image-net.org/download",
        "ILSVRC/imagenet-1k",
    ),
    "cityscapes": PublishedDataset(
        "3,475 street views",
        11_300_000_000,
        "research",
        "https://www.cityscapes-dataset.com/license",
        steps=(
            "register at https://www.cityscapes-dataset.com/register and agree to its licence",
            "pip install cityscapesscripts",
            "csDownload -r -d {root} gtFine_trainvaltest.zip leftImg8bit_trainvaltest.zip",
            "cd {root} && unzip -o gtFine_trainvaltest.zip && unzip -o leftImg8bit_trainvaltest.zip",
        ),
    ),
    "egoobjects": PublishedDataset(
        "114,000 frames",
        40_000_000_000,
        "see page",
        "https://ai.meta.com/datasets/egoobjects-downloads",
        steps=(
            "agree to the licence on https://ai.meta.com/datasets/egoobjects-downloads",
            "download EgoObjectsV1_images.zip, EgoObjectsV1_unified_eval.json and EgoObjectsV1_unified_metadata.json "
            "into {root}",
            "cd {root} && unzip EgoObjectsV1_images.zip",
        ),
    ),
}
"""By the name of the data set; sizes and terms as their publishers state them."""


def files_of_split(split: str | None) -> Callable[[Sequence[str]], list[str]]:
    """Which files of a repository hold a split, and what describes it; all of them for None."""
    if split is None:
        return list
    aliases = split_aliases(split)

    def choose(names: Sequence[str]) -> list[str]:
        chosen = [name for name in names if any(alias in name for alias in aliases)]
        return [*chosen, *(name for name in names if name == "README.md")] if chosen else []

    return choose
