"""Data sets of three splits, in folders or as a Hugging Face data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from semrsm_cli.data.dataset import Dataset
from semrsm_cli.data.folders import SPLITS, image_paths, images_in, split_folder, split_folders
from semrsm_cli.data.hub import hub_classified, hub_images
from semrsm_cli.data.images import Images
from semrsm_cli.data.places import dataset_root
from semrsm_cli.data.published import PUBLISHED
from semrsm_cli.data.sets import TrainingSet
from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import read_record

__all__ = ["SplitDataset"]


@dataclass(frozen=True, kw_only=True)
class SplitDataset(Dataset):
    """Training, validation and test images in folders, or as a Hugging Face data set."""

    root: str | None = None
    """The folder; null: `imagenet`, `tiny-imagenet-200` or `cifar-100-python` under $SEMRSM_DATA."""
    split: str = "val"
    """Split: train, val or test."""
    hub: str | None = None
    """Hugging Face id or local copy to read instead of `root`; where neither is given nor under $SEMRSM_DATA, what
    `semrsm data fetch` fetched."""

    folder: ClassVar[str]
    layouts: ClassVar[tuple[str, ...]]
    published_as: ClassVar[str]
    n_published: ClassVar[Mapping[str, int]]

    def place(self) -> Path:
        """Where the folder lies."""
        return dataset_root(self.root, self.folder, published_as=self.published_as)

    def require_place(self) -> None:
        """The folder must be there, unless the hub's files are read."""
        if self.source is None:
            self.place()

    @property
    def source(self) -> str | None:
        """The Hugging Face data set to read: `hub`, or where there is no folder what `semrsm data fetch` fetched."""
        if self.hub is not None or self.root is not None:
            return self.hub
        repository = PUBLISHED[self.published_as].repository
        try:
            self.place()
        except SemrsmError:
            return repository if repository and read_record(repository, "dataset") else None
        return None

    def verify(self) -> None:
        """Count the images of each split in the folder.

        Raises:
            SemrsmError: It has no split, or one that is not complete.
        """
        root = self.place()
        folders = {split: split_folder(root, split, self.layouts) for split in self.n_published}
        if not any(folders.values()):
            raise SemrsmError(f"{root} holds neither {' nor '.join(folders)}; {_again(self.published_as)}")
        for split, n in self.n_published.items():
            below = folders[split]
            found = len(image_paths(below)) if below else n  # who wants no training needs no images for it
            if found != n:
                raise SemrsmError(f"{below} holds {found} images, not {n}; {_again(self.published_as)}")

    def images(self, cache: Path) -> Images:
        """The images of the split without labels, sorted by path; of the root where it has no splits."""
        if self.source is not None:
            return hub_images(self.name, self.source, self.split, reading=self.reading)
        root = self.place()
        below = split_folder(root, self.split, self.layouts)
        others = [other for other in SPLITS if split_folder(root, other, self.layouts)]
        if below is None and others:
            raise SemrsmError(f"{root} has no split {self.split!r}; it holds {', '.join(others)}")
        return images_in(self.name, root, below, reading=self.reading)

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """The training and the validation images with their classes."""
        if self.source is not None:
            splits = (hub_classified(self.name, self.source, split, reading=self.reading) for split in ("train", "val"))
            return TrainingSet(*splits)
        return self.classified_splits(self.place())

    def classified_splits(self, root: Path) -> TrainingSet:
        """The training and the validation images, each with a folder for every class."""
        return split_folders(self.name, root, self.layouts, self.reading)


def _again(name: str) -> str:
    """What to do where images are missing."""
    return f"unpack it again, or run semrsm data fetch {name}"
