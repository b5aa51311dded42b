"""Images with one class each, to train on and to validate with."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from semrsm_cli.data.egoobjects import ANNOTATIONS
from semrsm_cli.data.folders import folder, images_in
from semrsm_cli.data.imagenet import IMAGENET_LAYOUTS, TINY_IMAGENET_LAYOUTS, split_folder
from semrsm_cli.data.images import Images, OnError, dataset_root, file_stamp, open_image
from semrsm_cli.data.objects import OBJECTS
from semrsm_cli.data.scenes import Filming, scenes_folder
from semrsm_cli.errors import SemrsmError

__all__ = [
    "ClassifiedImages",
    "TrainingSet",
    "classified_folder",
    "classified_imagenet",
    "classified_tiny_imagenet",
    "held_out",
    "scene_objects",
]

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassifiedImages:
    """Images and the number of each one's class, labels [n] into `classes`."""

    images: Images
    classes: tuple[str, ...]
    labels: Labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """The picture at `index` and its class."""
        return self.images[index], int(self.labels[index])

    def select(self, indices: Sequence[int]) -> "ClassifiedImages":
        """The images at `indices`, in that order."""
        return replace(self, images=self.images.select(indices), labels=self.labels[list(indices)])


@dataclass(frozen=True)
class TrainingSet:
    """Images to train on, and others of the same classes to validate with."""

    train: ClassifiedImages
    val: ClassifiedImages

    def __post_init__(self) -> None:
        if self.train.classes != self.val.classes:
            unknown = sorted(set(self.train.classes) ^ set(self.val.classes))
            raise SemrsmError(
                f"{self.train.images.name} has {len(self.train.classes)} classes to train on and "
                f"{len(self.val.classes)} to validate with, the first that differs is {unknown[0]}"
            )


def held_out(classified: ClassifiedImages, share: float) -> TrainingSet:
    """Keep the last `share` of every class's groups for validation; images of one group stay together.

    Raises:
        SemrsmError: A class has a single group, so that none would be left to train on.
    """
    groups: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (label, group) in enumerate(zip(classified.labels.tolist(), classified.images.groups, strict=True)):
        groups[label][group].append(i)
    kept: list[int] = []
    for label, members in groups.items():
        if len(members) < 2:
            raise SemrsmError(
                f"{classified.images.name} has one image of class {classified.classes[label]}, but one is needed to "
                "train on and another to validate with"
            )
        n = min(len(members) - 1, math.ceil(share * len(members)))
        kept += [i for group in list(members)[-n:] for i in members[group]]
    chosen = set(kept)
    rest = [i for i in range(len(classified)) if i not in chosen]
    return TrainingSet(classified.select(rest), classified.select(sorted(kept)))


def classified_folder(root: Path | str | None, *, share: float, on_error: OnError = OnError.stop) -> TrainingSet:
    """A folder of class folders; or of `train` and `val`, each with class folders.

    Args:
        root: The folder.
        share: Share of the images that is kept for validation where there is no folder for it.
        on_error: What to do with broken images.

    Raises:
        SemrsmError: Folders or images are missing, or the splits have other classes.
    """
    if root is not None:
        place = dataset_root(root, "the folder")
        if split_folder(place, "train", ("",)) and split_folder(place, "val", ("",)):
            return split_folders("folder", place, ("",), on_error)
    return held_out(by_folder(folder(root, on_error=on_error), PurePosixPath()), share)


def classified_imagenet(root: Path | str | None, *, on_error: OnError = OnError.stop) -> TrainingSet:
    """ImageNet-1k with a folder for each class, in training and validation images.

    Raises:
        SemrsmError: The folder or a split is missing, or the validation images are not sorted by class.
    """
    return split_folders("imagenet", dataset_root(root, "imagenet"), IMAGENET_LAYOUTS, on_error)


def classified_tiny_imagenet(root: Path | str | None, *, on_error: OnError = OnError.stop) -> TrainingSet:
    """Tiny-ImageNet-200; the classes of its validation images stand in `val_annotations.txt`, or in their folders.

    Raises:
        SemrsmError: The folder or a split is missing, or there is an image whose class is not known.
    """
    place = dataset_root(root, "tiny-imagenet-200")
    below = split_folder(place, "val", TINY_IMAGENET_LAYOUTS)
    annotations = below / "val_annotations.txt" if below else None
    if below is None or annotations is None or not annotations.is_file():
        return split_folders("tiny_imagenet", place, TINY_IMAGENET_LAYOUTS, on_error)
    with annotations.open(encoding="utf-8") as file:
        class_of = {row[0]: row[1] for row in csv.reader(file, delimiter="\t") if len(row) > 1}
    images = images_in("tiny_imagenet", place, below, on_error=on_error)
    silent = [image_id for image_id in images.ids if PurePosixPath(image_id).name not in class_of]
    if silent:
        raise SemrsmError(f"{annotations} says nothing of {len(silent)} images, the first is {silent[0]}")
    val = classified(images, lambda image_id: class_of[PurePosixPath(image_id).name])
    return TrainingSet(split_by_folder("tiny_imagenet", place, "train", TINY_IMAGENET_LAYOUTS, on_error), val)


def split_folders(name: str, root: Path, layouts: tuple[str, ...], on_error: OnError) -> TrainingSet:
    """Training and validation images, both with class folders."""
    return TrainingSet(*(split_by_folder(name, root, split, layouts, on_error) for split in ("train", "val")))


def split_by_folder(name: str, root: Path, split: str, layouts: tuple[str, ...], on_error: OnError) -> ClassifiedImages:
    """The images of a split by class folders."""
    below = split_folder(root, split, layouts)
    if below is None:
        raise SemrsmError(f"{root} has no split {split!r}; training takes train and val, each with class folders")
    images = images_in(name, root, below, on_error=on_error)
    return by_folder(images, PurePosixPath(below.relative_to(root).as_posix()))


def by_folder(images: Images, below: PurePosixPath) -> ClassifiedImages:
    """Images whose class is the first folder on their path below `below`."""
    depth = len(below.parts)
    loose = [image_id for image_id in images.ids if len(PurePosixPath(image_id).parts) < depth + 2]
    if loose:
        raise SemrsmError(
            f"{images.name} holds {len(loose)} images outside of class folders, the first is {loose[0]}; "
            "put the images of each class into a folder of its own"
        )
    return classified(images, lambda image_id: PurePosixPath(image_id).parts[depth])


def classified(images: Images, class_of: Callable[[str], str]) -> ClassifiedImages:
    """Images with the classes that a function of their ids tells, numbered in alphabetical order."""
    names = [class_of(image_id) for image_id in images.ids]
    classes = tuple(sorted(set(names)))
    number = {name: i for i, name in enumerate(classes)}
    return ClassifiedImages(images, classes, np.array([number[name] for name in names], np.int64))


@dataclass(frozen=True)
class BoxedObjects:
    """Cuts objects out of the images that show them; the ids are `<image>/<object>`."""

    root: Path
    boxes: dict[str, tuple[str, tuple[int, int, int, int]]]

    def read(self, image_id: str) -> Image.Image:
        """The smallest square around the object, moved into the image."""
        name, (left, upper, width, height) = self.boxes[image_id]
        image = frame(self.root / "images" / name)
        side = min(max(width, height), *image.size)
        x = min(max(0, left + (width - side) // 2), image.width - side)
        y = min(max(0, upper + (height - side) // 2), image.height - side)
        return image.crop((x, y, x + side, y + side))

    def stamp(self, image_id: str) -> str:
        """The stamp of the image, and the box."""
        name, box = self.boxes[image_id]
        return f"{file_stamp(self.root / 'images' / name)} {box}"


frame = lru_cache(maxsize=1024)(open_image)


def scene_objects(cache: Path | str, filming: Filming, *, share: float = 0.2) -> TrainingSet:
    """The objects in made-up scenes, cut out one by one; those of the last videos are for validation.

    Args:
        cache: Folder that keeps the scenes.
        filming: How many there are.
        share: Share of each object's videos that is kept for validation.
    """
    root = scenes_folder(cache, filming)
    content = json.loads((root / ANNOTATIONS).read_text(encoding="utf-8"))
    images = {image["id"]: image for image in content["images"]}
    boxes, groups, names = {}, [], []
    for instance in content["annotations"]:
        image = images[instance["image_id"]]
        boxes[f"{Path(image['url']).stem}/{instance['id']}"] = (image["url"], tuple(instance["bbox"]))
        groups.append(f"{image['group_id']}_{image['video_id']}")
        names.append(instance["category_freeform"])
    kinds = tuple(name for name in OBJECTS if name in set(names))
    labels = np.array([kinds.index(name) for name in names], np.int64)
    reader = BoxedObjects(root, boxes)
    return held_out(ClassifiedImages(Images("scenes", tuple(boxes), tuple(groups), reader), kinds, labels), share)
