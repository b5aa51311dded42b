"""CIFAR-100 as a Hugging Face data set, or in its own pickled files.

torchvision opens these only if their checksums are the published ones.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from semrsm_cli.data.content import HashFile, hash_file
from semrsm_cli.data.headers import Header
from semrsm_cli.data.hub import hub_classified
from semrsm_cli.data.images import Images
from semrsm_cli.data.sets import ClassifiedImages, TrainingSet
from semrsm_cli.data.split import split_validation
from semrsm_cli.data.split_dataset import SplitDataset
from semrsm_cli.errors import SemrsmError

__all__ = ["Cifar100"]

_FINE_LABEL = "fine_label"
_ELSE = "remove it and run semrsm data fetch cifar100"


@dataclass(frozen=True)
class _Pixels:
    """Reads images [n, 32, 32, 3] that are in memory, whose ids are `<split>/<row>`."""

    pixels: np.ndarray
    checksum: str

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture in a row, and its version key."""
        return Image.fromarray(self.pixels[int(image_id.rsplit("/", 1)[1])]), self.checksum

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Checksum of the file that it was in."""
        return self.checksum

    def header(self, image_id: str) -> Header:
        """The size that all have."""
        height, width = self.pixels.shape[1:3]
        return Header(width, height)


@dataclass(frozen=True, kw_only=True)
class Cifar100(SplitDataset):
    """CIFAR-100 in its own files or as a Hugging Face data set: 32 x 32 pixels, 100 fine classes, in their order."""

    name: str = "cifar100"
    split: str = "test"
    """Split: train or test. `semrsm train` takes train."""

    folder = "cifar-100-python"
    layouts = ("", "cifar-100-python")
    published_as = "cifar100"

    def verify(self) -> None:
        """Compare the checksums of the files with those that were published."""
        for split in ("train", "test"):
            self.classified(split)

    def images(self, cache: Path) -> Images:
        """The images of the split; each is a group of its own."""
        return self.classified(self.split).images if self.source is None else super().images(cache)

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """The training images with their fine classes, some of each kept for validation."""
        return split_validation(self.classified("train"), val_fraction)

    def classified(self, split: str) -> ClassifiedImages:
        """The images of a split with their fine classes.

        Raises:
            SemrsmError: There is no such split, a file is missing, or it is not the published one.
        """
        if self.source is not None:
            return hub_classified(self.name, self.source, split, label=_FINE_LABEL, reading=self.reading)
        from torchvision.datasets import CIFAR100

        published = {"train": CIFAR100.train_list, "test": CIFAR100.test_list}
        if split not in published:
            raise SemrsmError(f"{self.name} has no split {split!r}; it holds {', '.join(published)}")
        root = self.place()
        folder = root / self.folder if (root / self.folder).is_dir() else root
        asked_for = {name: files if name == split else [] for name, files in published.items()}

        class OneSplit(CIFAR100):  # type: ignore[misc]
            """The files of one split, in a folder of any name; torchvision asks for both splits."""

            base_folder = ""
            train_list = asked_for["train"]
            test_list = asked_for["test"]

        checksums = dict(published[split]) | {CIFAR100.meta["filename"]: CIFAR100.meta["md5"]}
        try:
            part = OneSplit(folder, train=split == "train", download=False)
        except (OSError, RuntimeError) as error:
            raise SemrsmError(_complaint(folder, checksums)) from error
        ids = tuple(f"{split}/{row:05d}" for row in range(len(part.data)))
        reader = _Pixels(np.ascontiguousarray(part.data, np.uint8), checksums[split])
        labels = np.asarray(part.targets, np.int64)
        return ClassifiedImages(Images(self.name, ids, ids, reader), tuple(part.classes), labels)


def _complaint(folder: Path, checksums: dict[str, str]) -> str:
    """Which of the files is missing, or another than the published one; a pickle can run any code."""
    for name, expected in checksums.items():
        path = folder / name
        try:
            checksum = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}; unpack cifar-100-python.tar.gz there, or {_ELSE}"
        if checksum != expected:
            return (
                f"{path} is not the published file: its MD5 is {checksum}, not {expected}; opening it could "
                f"run code that someone put there, so fetch cifar-100-python.tar.gz anew, or {_ELSE}"
            )
    return f"{folder} changed while it was read; try again"
