"""Small data sets in EgoObjects' own files, with the oddities of the real ones."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from semrsm_cli.data.egoobjects import ANNOTATIONS, METADATA

GROUPS = ("14522AB113ACAABA0157F6077C37EBA7", "0A" * 16, "FF" * 16)
CUP, SPOON, SHOE, LAMP = 359, 7, 66, 1200
NAMES = {CUP: "mug", SPOON: "spoon", SHOE: "footwear", LAMP: "lamp"}


def image(group: str, video: str, frame: int, number: int, **changes: Any) -> dict[str, Any]:
    """An image record with all keys that real ones have; a change to None leaves the key out."""
    record = {
        "id": 299680365479923 + number,
        "height": 18,
        "width": 32,
        "url": f"{group}_{video}_{frame}.jpg",
        "gaia_id": 1,
        "timestamp": [1642604047.612299],
        "stream_ids": ["1201-2"],
        "group_id": group,
        "video_id": video,
        "frame_id": frame,
        "main_category": "spoon",
        "neg_category_ids": [1, 2, 3],
        "subset": "test",
    }
    return {key: value for key, value in (record | changes).items() if value is not None}


def instance(of: dict[str, Any], category: int, number: int, **changes: Any) -> dict[str, Any]:
    """An object's record; a change to None leaves the key out."""
    record = {
        "id": 900000000000000 + number,
        "image_id": of["id"],
        "bbox": [1.5, 2.0, 10.0, 5.0],
        "area": 50.0,
        "category_id": category,
        "_category_id": category,
        "category_freeform": NAMES[category],
        "instance_tag": "tag",
        "instance_id": number,
        "is_main": False,
    }
    return {key: value for key, value in (record | changes).items() if value is not None}


def content() -> dict[str, Any]:
    """27 images: 3 scenes x 3 videos x 3 frames, every one with a cup; and five that a test may want to leave out."""
    images = [
        image(group, video, frame, 100 * g + 10 * v + frame)
        for g, group in enumerate(GROUPS)
        for v, video in enumerate(("01", "08", "10"))
        for frame in range(3)
    ]
    instances = [instance(of, CUP, i) for i, of in enumerate(images)]
    first = images[0]
    instances += [
        instance(first, CUP, 1001, bbox=[-3.25, -0.5, 40.0, 90.0]),
        instance(first, SPOON, 1002, instance_id=None),
        instance(first, SHOE, 1003, category_id=None),
        instance(first, LAMP, 1004, category_id=None, _category_id=None),
        instance(images[1], SHOE, 1005, category_freeform="sneakers"),
        {"id": 1006, "image_id": 123, "category_id": LAMP},
    ]
    images += [
        image(GROUPS[0], "02", 0, 500, width=24, height=18),
        image(GROUPS[0], "02", 1, 501, width=852, height=480),
        image(GROUPS[0], "02", 2, 502, subset="val"),
        image(GROUPS[0], "02", 3, 503, subset=None),
        image(GROUPS[0], "02", 4, 504, height=32, width=18),
    ]
    return {"info": {}, "licenses": [], "categories": [], "images": images, "annotations": instances}


def write(root: Path, described: dict[str, Any], *, below: str = "", metadata: bool = True) -> Path:
    """Write the annotations and a picture for each image."""
    place = root / below
    (place / "images").mkdir(parents=True)
    (place / ANNOTATIONS).write_text(json.dumps(described))
    if metadata:
        categories = [{"id": number, "name": name, "frequency": "common"} for number, name in NAMES.items()]
        official = [category for category in categories if category["id"] in {SPOON, SHOE}]
        (place / METADATA).write_text(json.dumps({"categories": categories, "cat_det_cats": official}))
    for i, record in enumerate(described["images"]):
        picture = Image.new("RGB", (record["width"], record["height"]), (i, 0, 0))
        picture.save(place / "images" / record["url"].rsplit("/", 1)[-1], quality=95)
    return root
