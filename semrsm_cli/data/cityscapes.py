"""Cityscapes in its native files: streets of the validation set, looked for among those of the training set."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from semrsm_cli.data.folders import image_paths
from semrsm_cli.data.images import Files, Images, OnError, dataset_root, naming, with_readable
from semrsm_cli.data.retrieval import Draw, LabelledImages, Metric, RetrievalSet, drawn, read_draw
from semrsm_cli.errors import SemrsmError

__all__ = ["ClassSet", "cityscapes", "cityscapes_images"]

CLASSES = (
    *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road"),
    *("sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole"),
    *("polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck"),
    *("bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)
"""Names of the classes by label id, as in cityscapesScripts."""

IDS_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
IDS_ANNOTATED = tuple(range(4, len(CLASSES)))  # those before mark the own car, borders, and regions of no interest

PICTURE, LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"


class ClassSet(StrEnum):
    """Which classes count: the 19 that are evaluated, the 30 that are annotated, or all 34 label ids."""

    eval19 = "eval19"
    official30 = "official30"
    all34 = "all34"

    @property
    def label_ids(self) -> tuple[int, ...]:
        """The label ids of the classes."""
        match self:
            case ClassSet.eval19:
                return IDS_EVALUATED
            case ClassSet.official30:
                return IDS_ANNOTATED
            case ClassSet.all34:
                return tuple(range(len(CLASSES)))


def cityscapes(
    root: Path | str | None,
    *,
    class_set: ClassSet = ClassSet.eval19,
    min_pixels: int = 1,
    n_queries: int | None = None,
    n_database: int | None = None,
    seed: int = 0,
    draw: Path | str | None = None,
    on_error: OnError = OnError.stop,
) -> RetrievalSet:
    """The 500 validation images as queries, the 2,975 training images as database, with the classes present in each.

    The scene of an image is its city, its video the city and the sequence.

    Args:
        root: The folder that holds `leftImg8bit` and `gtFine`; by default $CITYSCAPES_DATASET, or `cityscapes` in
            $SEMRSM_DATA.
        class_set: Which classes count.
        min_pixels: A class is present from so many pixels on.
        n_queries: Draw so many queries; all if None.
        n_database: Draw so many database images; all if None.
        seed: Seed of the draw.
        draw: File of ids to use instead of drawing.
        on_error: Whether broken images stop the run, or are left out of what was drawn.

    Raises:
        SemrsmError: Images or labels are missing, or fewer than asked for.
    """
    place = dataset_root(root, "cityscapes", "CITYSCAPES_DATASET")
    queries, database = (street_images(place, split) for split in ("val", "train"))
    ids = read_draw(draw) if draw else Draw(some(queries, n_queries, seed), some(database, n_database, seed))
    wanted = {*ids.queries, *ids.database}
    chosen = [image_id for image_id in (*queries.ids, *database.ids) if image_id in wanted]
    return drawn(with_classes(place, chosen, class_set, min_pixels), ids, Metric.presence_iou, on_error=on_error)


def cityscapes_images(root: Path | str | None, *, on_error: OnError = OnError.stop) -> Images:
    """The validation and the training images without their labels; each belongs to its city.

    Raises:
        SemrsmError: Images are missing.
    """
    place = dataset_root(root, "cityscapes", "CITYSCAPES_DATASET")
    first, second = (street_images(place, split) for split in ("val", "train"))
    both = replace(first, ids=first.ids + second.ids, groups=first.groups + second.groups)
    return with_readable(both, on_error)


def some(images: Images, n: int | None, seed: int) -> tuple[str, ...]:
    """The ids of n of the images, or of all."""
    return images.ids if n is None else images.draw(n, seed).ids


def street_images(root: Path, split: str) -> Images:
    """The pictures of a split, sorted by path; each belongs to its city.

    Raises:
        SemrsmError: There are none.
    """
    place = root / "leftImg8bit" / split
    if not place.is_dir():
        raise SemrsmError(
            f"{place} does not exist; unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip there"
        )
    paths = [path for path in image_paths(place) if path.name.endswith(PICTURE)]
    if not paths:
        raise SemrsmError(f"no image in {place} ends in {PICTURE}; unpack leftImg8bit_trainvaltest.zip in {root}")
    ids = tuple(path.relative_to(root).as_posix() for path in paths)
    return Images("cityscapes", ids, tuple(path.parent.name for path in paths), Files(root))


def with_classes(root: Path, ids: list[str], class_set: ClassSet, min_pixels: int) -> LabelledImages:
    """Pictures with the classes that at least `min_pixels` of their pixels belong to."""
    with ThreadPoolExecutor() as threads:
        pixels = np.array(list(threads.map(partial(pixels_by_label, root), ids))).reshape(len(ids), 256)
    label_ids = list(class_set.label_ids)
    names = [Path(image_id).name for image_id in ids]
    return LabelledImages(
        Images("cityscapes", tuple(ids), tuple(Path(image_id).parent.name for image_id in ids), Files(root)),
        tuple(CLASSES[label_id] for label_id in label_ids),
        (pixels[:, label_ids] >= min_pixels).astype(np.int64),
        tuple("_".join(name.split("_")[:2]) for name in names),
        ("",) * len(ids),
    )


def pixels_by_label(root: Path, image_id: str) -> npt.NDArray[np.int64]:
    """How many pixels of a picture have each label id, [256].

    Raises:
        SemrsmError: The picture's labels are missing, broken, or no label ids.
    """
    path = root / image_id.replace("leftImg8bit/", "gtFine/", 1).replace(PICTURE, LABELS)
    if not path.is_file():
        raise SemrsmError(f"{path} is missing; unpack gtFine_trainvaltest.zip in {root}")
    with naming(str(path)), Image.open(path) as labels:
        if labels.mode not in {"L", "P"}:
            raise SemrsmError(
                f"{path} holds {labels.mode} colours, not label ids; unpack gtFine_trainvaltest.zip again"
            )
        return np.array(labels.histogram(), dtype=np.int64)
