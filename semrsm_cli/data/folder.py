"""Any folder of the user's own images, with or without a table of what they show."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from semrsm_cli.data.dataset import RetrievalDataset
from semrsm_cli.data.folders import by_folder, images_in, split_folder, split_folders
from semrsm_cli.data.images import Images
from semrsm_cli.data.places import dataset_root
from semrsm_cli.data.sets import LabelledImages, Metric, TrainingSet
from semrsm_cli.data.split import split_validation
from semrsm_cli.data.tables import read_csv
from semrsm_cli.errors import SemrsmError

__all__ = ["Folder", "label_images"]

_MAX_DIGITS = 9  # of a count, so that no sum of them overflows 64 bits


@dataclass(frozen=True, kw_only=True)
class Folder(RetrievalDataset):
    """Any folder of images, searched through all its subfolders."""

    name: str = "folder"
    root: str | None = None
    """The folder; required."""
    labels: str | None = None
    """CSV of what the images show (columns image, class, count, group), for the scores of `semrsm retrieve`."""
    metric: Metric = Metric.count_f1
    """How a neighbour is scored where there are labels."""

    @property
    def scored_by(self) -> Metric:
        """How a neighbour is scored, where there are labels."""
        return self.metric

    def place(self) -> Path:
        """Where the folder lies."""
        if self.root is None:
            raise SemrsmError("no folder of images is given; set dataset.root=DIR")
        return dataset_root(self.root, "the folder")

    def require_place(self) -> None:
        """The folder must be there."""
        self.place()

    def images(self, cache: Path) -> Images:
        """All images in the folder and its subfolders, sorted by path; each is a group of its own."""
        return images_in(self.name, self.place(), reading=self.reading)

    def labelled_images(self, cache: Path) -> LabelledImages:
        """All images, with what the table says of them."""
        return label_images(self.images(cache), self.labels)

    def complete(self, side: LabelledImages) -> LabelledImages:
        """The images as they are: what cannot be read was left out before they were drawn."""
        return side

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """The images of a folder of class folders; or of `train` and `val`, each with class folders."""
        root = self.place()
        if split_folder(root, "train", ("",)) and split_folder(root, "val", ("",)):
            return split_folders(self.name, root, ("",), self.reading)
        return split_validation(by_folder(self.images(cache), PurePosixPath()), val_fraction)


def label_images(images: Images, labels: Path | str | None) -> LabelledImages:
    """Images with what a CSV file says of them: columns image, class, and if wanted group and count.

    A line says that an image shows `count` objects (1 if left empty) of a class; an image that shows nothing has a line
    with an empty class. Images of one group are no answer to each other; by default each is a group of its own.

    Args:
        images: The images.
        labels: The CSV file; None if nothing is known of them.

    Returns:
        The images with the counts of each class, and grouped as the file says.

    Raises:
        SemrsmError: The file cannot be read, a line is wrong, or files and lines do not fit each other.
    """
    if labels is None:
        return LabelledImages(images, (), None, images.ids, ("",) * len(images))
    path = Path(labels).expanduser()
    groups: dict[str, str] = {}
    instances: Counter[tuple[str, str]] = Counter()
    for line, row in read_csv(path, required=("image", "class")):
        image = PurePosixPath(row["image"]).as_posix()
        group = row.get("group") or image
        if groups.setdefault(image, group) != group:
            raise SemrsmError(f"{path}, line {line}: {image} is of group {group} here, and of {groups[image]} above")
        if row["class"]:
            instances[image, row["class"]] += _number(row.get("count") or "1", f"{path}, line {line}")
    _require_same(images, groups, path)
    classes = sorted({name for _, name in instances})
    counts = np.array([[instances[image, name] for name in classes] for image in images.ids], np.int64)
    videos = tuple(groups[image] for image in images.ids)
    return LabelledImages(
        replace(images, groups=videos),
        tuple(classes),
        counts.reshape(len(images), len(classes)),
        videos,
        ("",) * len(images),
    )


def _number(text: str, place: str) -> int:
    """A count of objects.

    Raises:
        SemrsmError: It is no whole number from 0 on, or one that no image can show.
    """
    if not (text.isascii() and text.isdigit()):
        raise SemrsmError(f"{place}: count must be a whole number from 0 on, got {text[:100]!r}")
    if len(text.lstrip("0")) > _MAX_DIGITS:
        raise SemrsmError(f"{place}: count must have at most {_MAX_DIGITS} digits, got {text[:100]!r}")
    return int(text)


def _require_same(images: Images, described: dict[str, str], path: Path) -> None:
    """Raise SemrsmError unless the images and those that the file describes are the same, but for skipped ones."""
    present = {*images.ids, *images.skipped}
    unknown = [image for image in described if image not in present]
    if unknown:
        raise SemrsmError(f"{path} describes {len(unknown)} images that the folder lacks, the first is {unknown[0]}")
    unlabelled = [image for image in images.ids if image not in described]
    if unlabelled:
        raise SemrsmError(
            f"{path} says nothing of {len(unlabelled)} of {len(images)} images, the first is {unlabelled[0]}; "
            "add a line for each, with an empty class where nothing is shown"
        )
