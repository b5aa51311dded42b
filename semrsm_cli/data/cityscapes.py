"""Cityscapes in its own files: validation images are looked for among the training images."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semrsm_cli.checks import require_at_least
from semrsm_cli.data.content import Files
from semrsm_cli.data.dataset import RetrievalDataset
from semrsm_cli.data.folders import image_paths
from semrsm_cli.data.images import Images, opened
from semrsm_cli.data.places import dataset_root
from semrsm_cli.data.sets import LabelledImages, Metric, ResampleBy
from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm.threads import available_cores

__all__ = ["Cityscapes", "ClassSet"]

_CLASSES = (
    *("unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road"),
    *("sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole"),
    *("polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck"),
    *("bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)
"""Names of the classes by label id, as in cityscapesScripts."""

_IDS_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_IDS_ANNOTATED = tuple(range(4, len(_CLASSES)))  # those before mark the own car, borders, and regions of no interest

_QUERIES, _DATABASE = "val", "train"
_N_PUBLISHED = {_QUERIES: 500, _DATABASE: 2975}
_AGAIN = "semrsm data fetch cityscapes tells how to get all"
_PICTURE, _LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"


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
                return _IDS_EVALUATED
            case ClassSet.official30:
                return _IDS_ANNOTATED
            case ClassSet.all34:
                return tuple(range(len(_CLASSES)))


@dataclass(frozen=True, kw_only=True)
class Cityscapes(RetrievalDataset):
    """Cityscapes in its own files: the 500 validation images are the queries, the 2,975 training images the database.

    The scene of an image is its city, its video the city and the sequence.
    """

    name: str = "cityscapes"
    root: str | None = None
    """The folder with `leftImg8bit` and `gtFine`; null: $CITYSCAPES_DATASET or `cityscapes` in $SEMRSM_DATA."""
    class_set: ClassSet = ClassSet.eval19
    """Which classes count; the paper does not say."""
    min_pixels: int = 1
    """A class is present from so many pixels on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "min_pixels")

    @property
    def scored_by(self) -> Metric:
        """How a neighbour is scored: by the classes that are present."""
        return Metric.presence_iou

    @property
    def independent(self) -> ResampleBy:
        """What intervals resample: sequences, since the validation images show three cities only."""
        return ResampleBy.video

    def place(self) -> Path:
        """Where the folder lies."""
        return dataset_root(self.root, "cityscapes", "CITYSCAPES_DATASET", published_as="cityscapes")

    def require_place(self) -> None:
        """The folder must be there."""
        self.place()

    def verify(self) -> None:
        """Count pictures and labels of both splits.

        Raises:
            SemrsmError: Some are missing.
        """
        root = self.place()
        for split, n in _N_PUBLISHED.items():
            paths = _street_paths(root, split)
            if len(paths) != n:
                raise SemrsmError(f"{root / 'leftImg8bit' / split} holds {len(paths)} pictures, not {n}; {_AGAIN}")
            for path in paths:
                _labels_of(root, path.relative_to(root).as_posix())

    def labelled_images(self, cache: Path) -> LabelledImages:
        """The validation and the training images, each sorted by path; what they show is read once they are drawn."""
        root = self.place()
        paths = [path for split in (_QUERIES, _DATABASE) for path in _street_paths(root, split)]
        ids = tuple(path.relative_to(root).as_posix() for path in paths)
        return LabelledImages(
            Images(self.name, ids, tuple(path.parent.name for path in paths), Files(root, self.max_pixels)),
            tuple(_CLASSES[label_id] for label_id in self.class_set.label_ids),
            None,
            tuple("_".join(path.name.split("_")[:2]) for path in paths),
            ("",) * len(paths),
        )

    def sides(self, images: Images) -> tuple[Images, Images]:
        """The validation images, and the training images."""
        split_of = [image_id.split("/")[1] for image_id in images.ids]
        queries, database = (
            images.select([i for i, own in enumerate(split_of) if own == split]) for split in (_QUERIES, _DATABASE)
        )
        return queries, database

    def complete(self, side: LabelledImages) -> LabelledImages:
        """Find the classes that at least `min_pixels` of an image's pixels belong to."""
        with ThreadPoolExecutor(available_cores()) as threads:
            pixels = list(threads.map(partial(_pixels_by_label, self.place()), side.images.ids))
        counts = np.array(pixels)[:, list(self.class_set.label_ids)] >= self.min_pixels
        return replace(side, counts=counts.astype(np.int64)).readable(self.reading)


def _street_paths(root: Path, split: str) -> list[Path]:
    """The pictures of a split, sorted by path.

    Raises:
        SemrsmError: There are none.
    """
    place = root / "leftImg8bit" / split
    if not place.is_dir():
        raise SemrsmError(
            f"{place} does not exist; unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip there; {_AGAIN}"
        )
    paths = [path for path in image_paths(place) if path.name.endswith(_PICTURE)]
    if not paths:
        raise SemrsmError(
            f"no image in {place} ends in {_PICTURE}; unpack leftImg8bit_trainvaltest.zip in {root}; {_AGAIN}"
        )
    return paths


def _labels_of(root: Path, image_id: str) -> Path:
    """The file of a picture's labels.

    Raises:
        SemrsmError: It is missing.
    """
    path = root / image_id.replace("leftImg8bit/", "gtFine/", 1).replace(_PICTURE, _LABELS)
    if not path.is_file():
        raise SemrsmError(f"{path} is missing; unpack gtFine_trainvaltest.zip in {root}; {_AGAIN}")
    return path


def _pixels_by_label(root: Path, image_id: str) -> npt.NDArray[np.int64]:
    """How many pixels of a picture have each label id, [256].

    Raises:
        SemrsmError: The picture's labels are missing, broken, or no label ids.
    """
    path = _labels_of(root, image_id)
    with opened(path, str(path)) as labels:
        if labels.mode not in {"L", "P"}:
            raise SemrsmError(
                f"{path} holds {labels.mode} colours, not label ids; unpack gtFine_trainvaltest.zip again"
            )
        return np.array(labels.histogram(), dtype=np.int64)
