"""EgoObjects in its native files: scenes, each filmed in several videos under other conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from PIL import Image

from semrsm_cli.data.annotations import (
    Record,
    category_names,
    count_instances,
    file_name,
    group_and_video,
    read_annotations,
    read_categories,
    read_official_categories,
    with_categories,
)
from semrsm_cli.data.images import Images, OnError, dataset_root, file_stamp, open_image
from semrsm_cli.data.retrieval import (
    LabelledImages,
    Metric,
    RetrievalSet,
    draw_disjoint,
    drawn,
    read_draw,
)
from semrsm_cli.errors import SemrsmError

__all__ = ["ANNOTATIONS", "CONDITIONS", "METADATA", "AspectRatio", "Selection", "egoobjects", "egoobjects_images"]

ANNOTATIONS = "EgoObjectsV1_unified_eval.json"
METADATA = "EgoObjectsV1_unified_metadata.json"
ANNOTATION_FOLDERS = ("", "data", "annotations")
IMAGE_FOLDERS = ("images", "data/images", "images/cltest", "cltest", "")

CONDITIONS = {
    "01": "near, horizontal motion, simple background, bright",
    "02": "medium, horizontal motion, simple background, bright",
    "03": "near, horizontal motion, simple background, dim",
    "04": "medium, horizontal motion, busy background, bright",
    "05": "far, horizontal motion, busy background, bright",
    "06": "medium, vertical motion, busy background, bright",
    "07": "medium, diagonal motion, busy background, bright",
    "08": "near, horizontal motion, busy background, dim",
    "09": "medium, horizontal motion, busy background, dim",
    "10": "far, horizontal motion, busy background, dim",
}
"""What `video_id` means: it numbers the conditions of a video, not the videos."""


class AspectRatio(StrEnum):
    """Which images count as 16:9: `exact`ly, within `one_percent`, or `any` image at all."""

    exact = "exact"
    one_percent = "one_percent"
    any = "any"

    def admits(self, width: int, height: int) -> bool:
        """Whether an image of that size is taken."""
        match self:
            case AspectRatio.exact:
                return width * 9 == height * 16
            case AspectRatio.one_percent:
                return abs(width * 9 / (height * 16) - 1) <= 0.01
            case AspectRatio.any:
                return True


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the annotated images are taken, and how they are read.

    Attributes:
        annotations: Name of the file that describes the images.
        subset: Value of their field `subset`, since the file holds `val` and `test`; None takes all.
        aspect_ratio: Which images count as 16:9.
        size: Width and height that each image is resized to; None leaves it as it is.
        official_categories: Whether only objects of the official detection categories count; images without any are
            left out then.
    """

    annotations: str = ANNOTATIONS
    subset: str | None = "test"
    aspect_ratio: AspectRatio = AspectRatio.exact
    size: tuple[int, int] | None = (1920, 1080)
    official_categories: bool = False


@dataclass(frozen=True)
class Frames:
    """Reads the images that annotations name, wherever below the root they were unpacked, at one size."""

    root: Path
    urls: dict[str, str]
    size: tuple[int, int] | None

    def read(self, image_id: str) -> Image.Image:
        """The picture, resized."""
        image = open_image(self.path(image_id))
        if self.size is None or self.size == image.size:
            return image
        return image.resize(self.size, Image.Resampling.BICUBIC)

    def stamp(self, image_id: str) -> str:
        """The file's stamp, and the size."""
        return f"{file_stamp(self.path(image_id))} {self.size}"

    def path(self, image_id: str) -> Path:
        """Where the file lies; if nowhere, where it ought to lie."""
        url = self.urls[image_id]
        names = (url, url.rsplit("/", 1)[-1])
        places = [self.root / folder / name for folder in IMAGE_FOLDERS for name in names]
        return next((place for place in places if place.is_file()), places[0])


def egoobjects(
    root: Path | str | None,
    selection: Selection | None = None,
    *,
    n_queries: int | None = 2000,
    n_database: int | None = 5000,
    seed: int = 0,
    draw: Path | str | None = None,
    on_error: OnError = OnError.stop,
) -> RetrievalSet:
    """Queries and database images of EgoObjects that share none, with the instances that each shows.

    Args:
        root: The folder that holds `images` and the annotations, or `data` with both; `egoobjects` in $SEMRSM_DATA if
            None.
        selection: Which images are taken.
        n_queries: Number of queries.
        n_database: Number of database images.
        seed: Seed of the draw.
        draw: File of ids to use instead of drawing.
        on_error: Whether missing and broken images stop the run, or are left out of what was drawn.

    Raises:
        SemrsmError: Annotations or images are missing, or there are fewer than asked for.
    """
    labelled = egoobjects_images(root, selection)
    ids = read_draw(draw) if draw else draw_disjoint(labelled.images, n_queries, n_database, seed)
    found = drawn(labelled, ids, Metric.count_f1, on_error=on_error)
    if on_error is OnError.stop:
        require_files(found.queries.images, found.database.images)
    return found


def egoobjects_images(
    root: Path | str | None, selection: Selection | None = None, *, name: str = "egoobjects"
) -> LabelledImages:
    """All images that the selection admits, sorted by file name, with their instances by category.

    The scene of an image is its `group_id`, its video `group_id` and `video_id` together.

    Raises:
        SemrsmError: The annotations are missing or broken, or no image is left.
    """
    selection = selection or Selection()
    place = dataset_root(root, "egoobjects")
    source = annotation_file(place, selection.annotations)
    records, instances, own_categories = read_annotations(source)
    records = admitted(records, selection, source)
    if selection.official_categories:
        official = read_official_categories(annotation_file(place, METADATA))
        records, instances = with_categories(records, instances, official, source)
    records = sorted(records, key=file_name)
    categories, counts = count_instances(records, instances)
    ids = unique_ids(records, source)
    origins = [group_and_video(record) for record in records]
    urls = dict(zip(ids, (record["url"] for record in records), strict=True))
    return LabelledImages(
        Images(name, ids, tuple(group for group, _ in origins), Frames(place, urls, selection.size)),
        category_names(categories, instances, own_categories | known_categories(place)),
        counts,
        tuple(f"{group}_{video}" if video else group for group, video in origins),
        tuple(CONDITIONS.get(video, "") for _, video in origins),
    )


def annotation_file(root: Path, name: str) -> Path:
    """Where a file of annotations lies.

    Raises:
        SemrsmError: It lies neither in the root nor in its folder `data`.
    """
    for folder in ANNOTATION_FOLDERS:
        if (root / folder / name).is_file():
            return root / folder / name
    raise SemrsmError(f"{name} is neither in {root} nor in {root / 'data'}; it comes with EgoObjects, put it there")


def known_categories(root: Path) -> dict[int, str]:
    """The names of the categories, where the metadata file is there to tell."""
    paths = [root / folder / METADATA for folder in ANNOTATION_FOLDERS]
    return next((read_categories(path) for path in paths if path.is_file()), {})


def admitted(records: Sequence[Record], selection: Selection, source: Path) -> list[Record]:
    """The images of the subset and the aspect ratio asked for.

    Raises:
        SemrsmError: There are none.
    """
    of_subset = [record for record in records if selection.subset in (None, record.get("subset"))]
    if not of_subset:
        found = ", ".join(sorted({str(record.get("subset")) for record in records})) or "no image at all"
        raise SemrsmError(f"{source} has no image of subset {selection.subset!r}, but {found}; set dataset.subset")
    kept = [record for record in of_subset if selection.aspect_ratio.admits(record["width"], record["height"])]
    if not kept:
        raise SemrsmError(
            f"none of the {len(of_subset)} images of subset {selection.subset!r} in {source} is 16:9 "
            f"({selection.aspect_ratio}); set dataset.aspect_ratio to one_percent or any"
        )
    return kept


def unique_ids(records: Sequence[Record], source: Path) -> tuple[str, ...]:
    """The file names of the images, or their urls where file names repeat.

    Raises:
        SemrsmError: An image is described twice.
    """
    for ids in ([file_name(record) for record in records], [record["url"] for record in records]):
        if len(set(ids)) == len(ids):
            return tuple(ids)
    raise SemrsmError(f"{source} describes {len(ids) - len(set(ids))} images twice; remove the second descriptions")


def require_files(*sides: Images) -> None:
    """Raise SemrsmError if images that were drawn are not on the disk."""
    paths = [images.reader.path(i) for images in sides for i in images.ids if isinstance(images.reader, Frames)]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise SemrsmError(
            f"{len(missing)} of the {len(paths)} images drawn are missing, the first is {missing[0]}; "
            "unpack all of EgoObjectsV1_images.zip, or set dataset.on_error=skip"
        )
