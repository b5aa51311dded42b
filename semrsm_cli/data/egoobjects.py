"""EgoObjects in its own files: scenes, each filmed in several videos under other conditions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from PIL import Image

from semrsm_cli.checks import require_at_least
from semrsm_cli.data.annotations import (
    ANNOTATIONS,
    CONDITIONS,
    METADATA,
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
from semrsm_cli.data.content import HashFile, hash_file, read_picture
from semrsm_cli.data.dataset import RetrievalDataset
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import MAX_PIXELS, ImageOrder, Images, OnError, header_of
from semrsm_cli.data.places import dataset_root
from semrsm_cli.data.sets import LabelledImages, RetrievalSet
from semrsm_cli.errors import SemrsmError

__all__ = ["AspectRatio", "EgoObjects", "ImageFilter", "read_egoobjects"]

_ANNOTATION_FOLDERS = ("", "data", "annotations")
_AGAIN = "semrsm data fetch egoobjects tells how to get all"
_IMAGE_FOLDERS = ("images", "data/images", "images/cltest", "cltest", "")


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
class ImageFilter:
    """Which of the annotated images are taken."""

    subset: str | None = "test"
    """Which images of the annotations' field `subset`; null takes all."""
    aspect_ratio: AspectRatio = AspectRatio.exact
    """Which images count as 16:9: `exact`, within `one_percent`, or `any`."""
    official_categories: bool = False
    """Whether only objects of the official detection categories count."""


@dataclass(frozen=True)
class _Frames:
    """Reads the images that annotations name, wherever below the root they were unpacked, at one size."""

    root: Path
    urls: dict[str, str]
    size: tuple[int, int] | None
    max_pixels: int

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture, resized, and its version key."""
        image, content = read_picture(self.path(image_id), self.max_pixels)
        if self.size is not None and self.size != image.size:
            image = image.resize(self.size, Image.Resampling.BICUBIC)
        return image, f"{content} {self.size}"

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Hash of the file's bytes, and the size."""
        return f"{hash_file(self.path(image_id))} {self.size}"

    def header(self, image_id: str) -> Header:
        """The size that the file's picture is resized to, or its own; turned is what the file is."""
        path = self.path(image_id)
        header = header_of(path, str(path), self.max_pixels)
        return header if self.size is None else replace(header, width=self.size[0], height=self.size[1])

    def path(self, image_id: str) -> Path:
        """Where the file lies; if nowhere, where it ought to lie."""
        url = self.urls[image_id]
        names = (url, url.rsplit("/", 1)[-1])
        places = [self.root / folder / name for folder in _IMAGE_FOLDERS for name in names]
        return next((place for place in places if _is_there(place)), places[0])


@dataclass(frozen=True, kw_only=True)
class EgoObjects(ImageFilter, RetrievalDataset):
    """EgoObjects in its own files."""

    name: str = "egoobjects"
    root: str | None = None
    """The folder with `images` and the annotations; null: `egoobjects` under $SEMRSM_DATA."""
    width: int = 1920
    """Width in pixels that images are resized to."""
    height: int = 1080
    """Height in pixels that images are resized to; the paper prints 1028, which is not 16:9."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "width", "height")

    def place(self) -> Path:
        """Where the folder lies."""
        return dataset_root(self.root, "egoobjects", published_as="egoobjects")

    def require_place(self) -> None:
        """The folder must be there."""
        self.place()

    def verify(self) -> None:
        """Look for every image that the annotations name.

        Raises:
            SemrsmError: The annotations or some images are missing.
        """
        everything = ImageFilter(subset=None, aspect_ratio=AspectRatio.any)
        _require_files(read_egoobjects(self.name, self.place(), everything).images)

    def labelled_images(self, cache: Path) -> LabelledImages:
        """All images that the filter admits, sorted by file name, with their objects by category."""
        return read_egoobjects(
            self.name, self.place(), self, size=(self.width, self.height), max_pixels=self.max_pixels
        )

    def retrieval_set(self, cache: Path, seed: int, order: ImageOrder = ImageOrder.drawn) -> RetrievalSet:
        """Queries and database images that share none; all must be there, unless what is missing may be skipped."""
        retrieval = super().retrieval_set(cache, seed, order)
        if self.on_error is OnError.stop:
            _require_files(retrieval.queries.images, retrieval.database.images)
        return retrieval


def read_egoobjects(
    name: str,
    root: Path,
    image_filter: ImageFilter,
    *,
    size: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> LabelledImages:
    """All images that the filter admits, sorted by file name, with their objects by category.

    The scene of an image is its `group_id`, its video `group_id` and `video_id` together.

    Args:
        name: Name of the set, as in tables.
        root: The folder that holds `images` and the annotations, or `data` with both.
        image_filter: Which images are taken.
        size: Width and height in pixels that each is resized to; None leaves it as it is.
        max_pixels: Pixels of the largest image that is read.

    Returns:
        The images, with the number of objects of each category that one of them shows.

    Raises:
        SemrsmError: The annotations are missing or broken, or no image is left.
    """
    source = _annotation_file(root, ANNOTATIONS)
    records, instances, own_categories = read_annotations(source)
    records = _filter_records(records, image_filter, source)
    if image_filter.official_categories:
        official = read_official_categories(_annotation_file(root, METADATA))
        records, instances = with_categories(records, instances, official, source)
    records = sorted(records, key=file_name)
    categories, counts = count_instances(records, instances)
    ids = _unique_ids(records, source)
    origins = [group_and_video(record) for record in records]
    urls = dict(zip(ids, (record["url"] for record in records), strict=True))
    return LabelledImages(
        Images(name, ids, tuple(group for group, _ in origins), _Frames(root, urls, size, max_pixels)),
        category_names(categories, instances, own_categories | _known_categories(root)),
        counts,
        tuple(f"{group}_{video}" if video else group for group, video in origins),
        tuple(CONDITIONS.get(video, "") for _, video in origins),
    )


def _annotation_file(root: Path, name: str) -> Path:
    """Where a file of annotations lies.

    Raises:
        SemrsmError: It lies neither in the root nor in its folder `data`.
    """
    for folder in _ANNOTATION_FOLDERS:
        if (root / folder / name).is_file():
            return root / folder / name
    raise SemrsmError(f"{name} is neither in {root} nor in {root / 'data'}; put it there; {_AGAIN}")


def _known_categories(root: Path) -> dict[int, str]:
    """The names of the categories, where the metadata file is there to tell."""
    paths = [root / folder / METADATA for folder in _ANNOTATION_FOLDERS]
    return next((read_categories(path) for path in paths if path.is_file()), {})


def _filter_records(records: Sequence[Record], image_filter: ImageFilter, source: Path) -> list[Record]:
    """The images of the subset and the aspect ratio asked for.

    Raises:
        SemrsmError: There are none.
    """
    of_subset = [record for record in records if image_filter.subset in (None, record.get("subset"))]
    if not of_subset:
        subsets = ", ".join(sorted({str(record.get("subset")) for record in records})) or "no image at all"
        raise SemrsmError(f"{source} has no image of subset {image_filter.subset!r}, but {subsets}; set dataset.subset")
    kept = [record for record in of_subset if image_filter.aspect_ratio.admits(record["width"], record["height"])]
    if not kept:
        raise SemrsmError(
            f"none of the {len(of_subset)} images of subset {image_filter.subset!r} in {source} is 16:9 "
            f"({image_filter.aspect_ratio}); set dataset.aspect_ratio to one_percent or any"
        )
    return kept


def _unique_ids(records: Sequence[Record], source: Path) -> tuple[str, ...]:
    """The file names of the images, or their urls where file names repeat.

    Raises:
        SemrsmError: An image is described twice.
    """
    for ids in ([file_name(record) for record in records], [record["url"] for record in records]):
        if len(set(ids)) == len(ids):
            return tuple(ids)
    raise SemrsmError(f"{source} describes {len(ids) - len(set(ids))} images twice; remove the second descriptions")


def _require_files(*sides: Images) -> None:
    """Raise SemrsmError if images that were drawn are not on the disk."""
    paths = [images.reader.path(i) for images in sides for i in images.ids if isinstance(images.reader, _Frames)]
    missing = [path for path in paths if not _is_there(path)]
    if missing:
        raise SemrsmError(
            f"{len(missing)} of the {len(paths)} images drawn are missing, the first is {missing[0]}; unpack all of "
            f"EgoObjectsV1_images.zip, or set dataset.on_error=skip; {_AGAIN}"
        )


def _is_there(path: Path) -> bool:
    """Whether there is such a file; a name that is too long for the system is none."""
    try:
        return path.is_file()
    except OSError:
        return False
