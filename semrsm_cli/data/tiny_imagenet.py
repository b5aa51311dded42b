"""Tiny-ImageNet-200 in the layout in which it is handed out."""

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from semrsm_cli.data.folders import classified, images_in, split_by_folder, split_folder
from semrsm_cli.data.sets import TrainingSet
from semrsm_cli.data.split_dataset import SplitDataset
from semrsm_cli.errors import SemrsmError

__all__ = ["TinyImageNet"]

_ANNOTATIONS = "val_annotations.txt"


@dataclass(frozen=True, kw_only=True)
class TinyImageNet(SplitDataset):
    """Tiny-ImageNet-200 in its own layout, or as a Hugging Face data set."""

    name: str = "tiny_imagenet"

    folder = "tiny-imagenet-200"
    layouts = ("", "tiny-imagenet-200")
    published_as = "tiny_imagenet"
    n_published = MappingProxyType({"train": 100_000, "val": 10_000})

    def classified_splits(self, root: Path) -> TrainingSet:
        """Both splits; the classes of the validation images stand in `val_annotations.txt`, or in their folders."""
        below = split_folder(root, "val", self.layouts)
        if below is None or not (below / _ANNOTATIONS).is_file():
            return super().classified_splits(root)
        annotations = below / _ANNOTATIONS
        try:
            with annotations.open(encoding="utf-8") as file:
                class_of = {row[0]: row[1] for row in csv.reader(file, delimiter="\t") if len(row) > 1}
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SemrsmError(f"{annotations} cannot be read: {error}; unpack the data set again") from error
        images = images_in(self.name, root, below, reading=self.reading)
        unlabelled = [image_id for image_id in images.ids if PurePosixPath(image_id).name not in class_of]
        if unlabelled:
            raise SemrsmError(f"{annotations} says nothing of {len(unlabelled)} images, the first is {unlabelled[0]}")
        val = classified(images, lambda image_id: class_of[PurePosixPath(image_id).name])
        return TrainingSet(split_by_folder(self.name, root, "train", self.layouts, self.reading), val)
