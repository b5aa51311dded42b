"""The JSON annotations of EgoObjects, read with tolerance for what real files leave out."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semrsm_cli.data.fields import CATEGORY, ID, PATH, SIDE, TEXT, require_records
from semrsm_cli.errors import SemrsmError

__all__ = [
    "ANNOTATIONS",
    "CONDITIONS",
    "METADATA",
    "Record",
    "category_names",
    "count_instances",
    "file_name",
    "group_and_video",
    "read_annotations",
    "read_categories",
    "read_official_categories",
    "with_categories",
]

ANNOTATIONS = "EgoObjectsV1_unified_eval.json"
METADATA = "EgoObjectsV1_unified_metadata.json"

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

Record = dict[str, Any]

_IMAGE = {"id": ID, "url": PATH, "width": SIDE, "height": SIDE, "group_id": ID, "video_id": ID, "subset": ID}
_INSTANCE = {"image_id": ID, "category_id": CATEGORY, "_category_id": CATEGORY, "category_freeform": TEXT}
_NAME = {"id": CATEGORY, "name": TEXT}

# {group_id}_{video_id}_{frame_id}.jpg
_FILE_NAME = re.compile(r"(?P<group>.+)_(?P<video>[^_]+)_[^_]+\.\w+")


def read_annotations(path: Path) -> tuple[list[Record], list[Record], dict[int, str]]:
    """The images, the objects that have a category, and the names of categories that the file itself gives.

    Raises:
        SemrsmError: The file cannot be read, or a record is not what it must be: an image lacks its size, or its url
            leads out of the folder of images.
    """
    content = _read_json(path, "images", "annotations")
    require_records(content["images"], _IMAGE, path, "images", required=("id", "url", "width", "height"))
    require_records(content["annotations"], _INSTANCE, path, "annotations")
    return content["images"], content["annotations"], _names_by_id(content.get("categories") or [], path)


def read_categories(path: Path) -> dict[int, str]:
    """The names of the categories that a metadata file lists, by id."""
    return _names_by_id(_read_json(path, "categories")["categories"], path)


def read_official_categories(path: Path) -> set[int]:
    """The ids of the official detection categories (`cat_det_cats`)."""
    categories = _read_json(path, "cat_det_cats")["cat_det_cats"]
    require_records(categories, _NAME, path, "cat_det_cats", required=("id",))
    return {category["id"] for category in categories}


def _read_json(path: Path, *keys: str) -> Record:
    """A JSON object that holds a list under each of the keys.

    Raises:
        SemrsmError: The file cannot be read, or holds none.
    """
    try:
        content: Record = json.loads(path.read_bytes())
    except OSError as error:
        raise SemrsmError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SemrsmError(f"{path} is no complete JSON ({error}); fetch it again") from error
    except RecursionError as error:
        raise SemrsmError(f"{path} is nested too deeply to be EgoObjects' own; fetch it again") from error
    for key in keys:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise SemrsmError(f"{path} holds no list of {key}; it must be laid out as EgoObjects' own files are")
    return content


def _names_by_id(categories: Any, source: Path) -> dict[int, str]:
    """The names of categories by id, where both are given."""
    require_records(categories, _NAME, source, "categories")
    named = [(category.get("id"), category.get("name")) for category in categories]
    return {number: name for number, name in named if number is not None and name is not None}


def _category_of(instance: Record) -> int | None:
    """The category of an object, if it was given one."""
    category: int | None = instance.get("category_id", instance.get("_category_id"))
    return category


def file_name(record: Record) -> str:
    """The name of an image's file, without folders."""
    return str(record["url"]).rsplit("/", 1)[-1]


def group_and_video(record: Record) -> tuple[str, str]:
    """The scene, and the code of the conditions it was filmed under; from the file's name where fields are missing.

    A file of another name is a scene and a video of its own.
    """
    name = file_name(record)
    parts = _FILE_NAME.fullmatch(name)
    group = record.get("group_id") or (parts["group"] if parts else name)
    video = record.get("video_id") or (parts["video"] if parts else "")
    return str(group), str(video)


def with_categories(
    records: Sequence[Record], instances: Sequence[Record], categories: set[int], source: Path
) -> tuple[list[Record], list[Record]]:
    """The objects of certain categories, and the images that show any.

    Raises:
        SemrsmError: There are none.
    """
    kept = [instance for instance in instances if _category_of(instance) in categories]
    shown = {instance.get("image_id") for instance in kept}
    left = [record for record in records if record["id"] in shown]
    if not left:
        raise SemrsmError(f"{source} shows no object of the official categories; set dataset.official_categories=false")
    return left, kept


def count_instances(records: Sequence[Record], instances: Sequence[Record]) -> tuple[list[int], npt.NDArray[np.int64]]:
    """The categories that the n images show, sorted, and how many objects of each an image shows, [n, k].

    Objects without a category, and those of other images, are not counted; where their boxes lie does not matter.
    """
    row = {record["id"]: i for i, record in enumerate(records)}
    shown = [(row.get(instance.get("image_id")), _category_of(instance)) for instance in instances]
    counted = Counter((i, category) for i, category in shown if i is not None and category is not None)
    categories = sorted({category for _, category in counted})
    column = {category: k for k, category in enumerate(categories)}
    counts = np.zeros((len(records), len(categories)), np.int64)
    for (i, category), number in counted.items():
        counts[i, column[category]] = number
    return categories, counts


def category_names(categories: Sequence[int], instances: Sequence[Record], known: Mapping[int, str]) -> tuple[str, ...]:
    """A name for each category: the known one, else the free text most used for it, else its id."""
    texts: dict[int | None, Counter[str]] = defaultdict(Counter)
    for instance in instances:
        if instance.get("category_freeform"):
            texts[_category_of(instance)][instance["category_freeform"]] += 1
    names = [
        known.get(category) or next((text for text, _ in texts[category].most_common(1)), f"category {category}")
        for category in categories
    ]
    repeated = {name for name, number in Counter(names).items() if number > 1}
    return tuple(
        f"{name} ({category})" if name in repeated else name for name, category in zip(names, categories, strict=True)
    )
