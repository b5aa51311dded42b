"""What sets of images are handed on as: with what each image shows, as queries and database, or to train on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from PIL import Image

from semrsm_cli.data.images import Images, Reading, with_readable
from semrsm_cli.errors import SemrsmError

__all__ = [
    "ClassifiedImages",
    "LabelledImages",
    "Metric",
    "ResampleBy",
    "RetrievalSet",
    "RetrievalSplit",
    "TrainingSet",
]

_Counts = npt.NDArray[np.int64]
_Labels = npt.NDArray[np.int64]


class Metric(StrEnum):
    """How a neighbour is scored: F1 of the instance counts (Eq. 9-12), or IoU of the classes that are present."""

    count_f1 = "count_f1"
    presence_iou = "presence_iou"


class ResampleBy(StrEnum):
    """What stays together where intervals resample queries: those of a `scene`, of a `video`, or each `query` alone."""

    scene = "scene"
    video = "video"
    query = "query"


@dataclass(frozen=True)
class LabelledImages:
    """Images, and what is known of each.

    Attributes:
        images: The n images; the group of each is its scene.
        classes: Names of the k classes.
        counts: Instances of each class, or 1 where it is present, [n, k]; None if nothing is known.
        videos: What each was filmed in; a query's own video is no answer to it.
        conditions: Under which conditions, in words; empty if nothing is known.
    """

    images: Images
    classes: tuple[str, ...]
    counts: _Counts | None
    videos: tuple[str, ...]
    conditions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def scenes(self) -> tuple[str, ...]:
        """Which scene each image shows; several videos may show one."""
        return self.images.groups

    def groups_by(self, unit: ResampleBy) -> tuple[str, ...]:
        """Which scene or video each image belongs to, or which image it is."""
        match unit:
            case ResampleBy.scene:
                return self.scenes
            case ResampleBy.video:
                return self.videos
            case ResampleBy.query:
                return self.images.ids

    def select(self, indices: Sequence[int]) -> "LabelledImages":
        """The images at `indices`, in that order, with what is known of them."""
        return replace(
            self,
            images=self.images.select(indices),
            counts=None if self.counts is None else self.counts[list(indices)],
            videos=tuple(self.videos[i] for i in indices),
            conditions=tuple(self.conditions[i] for i in indices),
        )

    def readable(self, reading: Reading) -> "LabelledImages":
        """The images as they are, or with `skip` those that can be read; their `images.skipped` names the others."""
        images = with_readable(self.images, reading)
        kept = set(images.ids)
        chosen = self.select([i for i, image_id in enumerate(self.images.ids) if image_id in kept])
        return replace(chosen, images=images)

    def objects(self, index: int) -> dict[str, int]:
        """What image `index` shows: the classes that it holds, with their counts."""
        if self.counts is None:
            return {}
        return {self.classes[k]: int(self.counts[index, k]) for k in np.flatnonzero(self.counts[index])}


@dataclass(frozen=True)
class RetrievalSplit:
    """Ids of the queries and of the database, in the order in which they are compared."""

    queries: tuple[str, ...]
    database: tuple[str, ...]


@dataclass(frozen=True)
class RetrievalSet:
    """For each query the nearest image of the database is looked for.

    Attributes:
        name: Name of the set, as in tables.
        queries: The images to look for.
        database: The images to look among; they have the classes of the queries.
        metric: How a neighbour is scored; None if nothing is known of the images.
    """

    name: str
    queries: LabelledImages
    database: LabelledImages
    metric: Metric | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that both sides are counted by."""
        return self.queries.classes

    @property
    def split(self) -> RetrievalSplit:
        """The ids of both sides, to be written and used again."""
        return RetrievalSplit(self.queries.images.ids, self.database.images.ids)


@dataclass(frozen=True)
class ClassifiedImages:
    """Images and the number of each one's class, labels [n] into `classes`."""

    images: Images
    classes: tuple[str, ...]
    labels: _Labels

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
    """Images to train on, and others of the same classes to validate with.

    Raises:
        SemrsmError: The two have different classes.
    """

    train: ClassifiedImages
    val: ClassifiedImages

    def __post_init__(self) -> None:
        if self.train.classes != self.val.classes:
            unknown = sorted(set(self.train.classes) ^ set(self.val.classes))
            raise SemrsmError(
                f"{self.train.images.name} has {len(self.train.classes)} classes to train on and "
                f"{len(self.val.classes)} to validate with, the first that differs is {unknown[0]}"
            )
