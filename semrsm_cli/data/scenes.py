"""Made-up scenes in EgoObjects' own files, for where EgoObjects cannot be had; and the objects in them, one by one."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from semrsm_cli.data.annotations import ANNOTATIONS
from semrsm_cli.data.content import HashFile, hash_file, read_cached
from semrsm_cli.data.dataset import RetrievalDataset
from semrsm_cli.data.egoobjects import ImageFilter, read_egoobjects
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import Images
from semrsm_cli.data.objects import OBJECTS
from semrsm_cli.data.render import SceneSpec, render
from semrsm_cli.data.sets import ClassifiedImages, LabelledImages, TrainingSet
from semrsm_cli.data.split import split_validation
from semrsm_cli.files import note_use

__all__ = ["Scenes", "scenes_folder"]

_VAL_FRACTION = 0.2


@dataclass(frozen=True, kw_only=True)
class Scenes(SceneSpec, RetrievalDataset):
    """Made-up scenes of several objects, in EgoObjects' own files; they are made when they are first asked for."""

    name: str = "scenes"
    objects: bool = False
    """Take the objects in the scenes one by one: those that `semrsm train` keeps for validation."""

    def __post_init__(self) -> None:
        SceneSpec.__post_init__(self)
        RetrievalDataset.__post_init__(self)

    def images(self, cache: Path) -> Images:
        """The images of all scenes; or with `objects` those to validate with, as `semrsm train` keeps them."""
        if self.objects:
            return self.training_set(cache, _VAL_FRACTION).val.images
        return super().images(cache)

    def labelled_images(self, cache: Path) -> LabelledImages:
        """The images of all scenes with the objects that each shows."""
        return read_egoobjects(self.name, scenes_folder(cache, self), ImageFilter())

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """The objects in the scenes, cut out one by one; those of each object's last videos are for validation."""
        return split_validation(self.cut_objects(cache), val_fraction)

    def cut_objects(self, cache: Path) -> ClassifiedImages:
        """The objects in the scenes with their names as classes; those of one video are one group."""
        root = scenes_folder(cache, self)
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
        reader = _BoxedObjects(root, boxes)
        return ClassifiedImages(Images(self.name, tuple(boxes), tuple(groups), reader), kinds, labels)


@dataclass(frozen=True)
class _BoxedObjects:
    """Cuts objects out of the images that show them; the ids are `<image>/<object>`."""

    root: Path
    boxes: dict[str, tuple[str, tuple[int, int, int, int]]]

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The smallest square around the object, moved into the image, and its version key."""
        name, box = self.boxes[image_id]
        left, upper, width, height = box
        image, content = _frame(self.root / "images" / name)
        side = min(max(width, height), *image.size)
        x = min(max(0, left + (width - side) // 2), image.width - side)
        y = min(max(0, upper + (height - side) // 2), image.height - side)
        return image.crop((x, y, x + side, y + side)), f"{content} {box}"

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Hash of the image's bytes, and the box."""
        name, box = self.boxes[image_id]
        return f"{hash_file(self.root / 'images' / name)} {box}"

    def header(self, image_id: str) -> Header:
        """The square's size."""
        name, (_, _, width, height) = self.boxes[image_id]
        side = min(max(width, height), *_frame(self.root / "images" / name)[0].size)
        return Header(side, side)


_frame = read_cached(maxsize=1024)


def scenes_folder(cache: Path, spec: SceneSpec) -> Path:
    """Where the made-up scenes lie; they are made if the folder `cache` lacks them."""
    root = cache.expanduser() / f"scenes-{spec.key()}"
    if not root.is_dir():
        _make(root, spec)
    note_use(root)
    return root


def _make(root: Path, spec: SceneSpec) -> None:
    """Make all images and annotations; the folder appears when it is complete."""
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        render(unfinished, spec)
        unfinished.chmod(0o755)  # mkdtemp's folders are for their owner alone
        try:
            unfinished.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was quicker, with the same pictures
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
