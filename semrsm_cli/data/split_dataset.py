"""Data sets of three splits, in folders or as a Hugging Face data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from semrsm_cli.data.dataset import Dataset
from semrsm_cli.data.folders import SPLITS, images_in, split_folder, split_folders
from semrsm_cli.data.hub import hub_classified, hub_images
from semrsm_cli.data.images import Images, dataset_root
from semrsm_cli.data.sets import TrainingSet
from semrsm_cli.errors import SemrsmError

__all__ = ["SplitDataset"]


@dataclass(frozen=True, kw_only=True)
class SplitDataset(Dataset):
    """Training, validation and test images in folders, or as a Hugging Face data set."""

    root: str | None = None
    """The folder; null: `imagenet`, `tiny-imagenet-200` or `cifar-100-python` under $SEMRSM_DATA."""
    split: str = "val"
    """Split: train, val or test."""
    hub: str | None = None
    """Hugging Face id or local copy to read instead of `root`."""

    folder: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]]

    def place(self) -> Path:
        """Where the folder lies."""
        return dataset_root(self.root, self.folder)

    def images(self, cache: Path) -> Images:
        """The images of the split without labels, sorted by path; of the root where it has no splits."""
        if self.hub is not None:
            return hub_images(self.name, self.hub, self.split, reading=self.reading)
        root = self.place()
        below = split_folder(root, self.split, self.layouts)
        others = [other for other in SPLITS if split_folder(root, other, self.layouts)]
        if below is None and others:
            raise SemrsmError(f"{root} has no split {self.split!r}; it holds {', '.join(others)}")
        return images_in(self.name, root, below, reading=self.reading)

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """The training and the validation images with their classes."""
        if self.hub is not None:
            splits = (hub_classified(self.name, self.hub, split, reading=self.reading) for split in ("train", "val"))
            return TrainingSet(*splits)
        return self.classified_splits(self.place())

    def classified_splits(self, root: Path) -> TrainingSet:
        """The training and the validation images, each with a folder for every class."""
        return split_folders(self.name, root, self.layouts, self.reading)
