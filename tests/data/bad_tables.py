"""Annotations and tables of labels that cannot be read, and names that cannot be written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semrsm_cli.data import EgoObjects, Folder, TinyImageNet
from semrsm_cli.data.annotations import ANNOTATIONS, METADATA
from tests.data import egoobjects_files as files
from tests.data.bad_input import Case, Read
from tests.data.pictures import picture


def annotated(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        content = files.content()
        root = files.write(folder / "egoobjects", content)
        change(content)
        (root / ANNOTATIONS).write_text(json.dumps(content))
        return lambda: EgoObjects(root=str(root)).labelled_images(folder)

    return prepare


def described(text: bytes, name: str = ANNOTATIONS) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        root = files.write(folder / "egoobjects", files.content())
        (root / name).write_bytes(text)
        return lambda: EgoObjects(root=str(root), official_categories=True).labelled_images(folder)

    return prepare


def image_with(field: str, value: Any) -> Callable[[Path], Read]:
    return annotated(lambda content: content["images"][2].update({field: value}))


def object_with(field: str, value: Any) -> Callable[[Path], Read]:
    return annotated(lambda content: content["annotations"][2].update({field: value}))


URL = r"images\[2\] has 'url': .*; it must be a path that leads to a file below the folder of images"
CATEGORIES: list[Any] = [{"id": [1]}], [7], [{"name": "x"}]

ANNOTATED: list[Case] = [
    ("absolute url", image_with("url", "/etc/passwd.png"), URL),
    ("url that climbs", image_with("url", "../../x.jpg"), URL),
    ("url that climbs later", image_with("url", "a/../../x.jpg"), URL),
    ("url that is a number", image_with("url", 5), URL),
    ("url with NUL", image_with("url", "a\0.jpg"), URL),
    ("url with half a character", image_with("url", "\ud800.jpg"), URL),
    ("url of no file", image_with("url", "."), URL),
    ("url that is empty", image_with("url", ""), URL),
    ("url that is null", image_with("url", None), r"images\[2\] is without 'url'"),
    ("list as id", image_with("id", [1]), r"images\[2\] has 'id': \[1\]; it must be a whole number or a text"),
    ("true as id", image_with("id", True), r"images\[2\] has 'id': true; it must be a whole number or a text"),
    ("width of 0", image_with("width", 0), r"images\[2\] has 'width': 0; it must be a number of pixels from 1 to"),
    ("width as text", image_with("width", "32"), r"images\[2\] has 'width': \"32\"; it must be a number"),
    ("height of 400 digits", image_with("height", 10**400), r"images\[2\] has 'height': 1000.* \.\.\.; it must be"),
    ("height of NaN", image_with("height", float("nan")), r"images\[2\] has 'height': NaN; it must be"),
    ("list as group", image_with("group_id", []), r"images\[2\] has 'group_id': \[\]; it must be"),
    ("object as subset", image_with("subset", {}), r"images\[2\] has 'subset': \{\}; it must be"),
    ("image that is none", annotated(lambda content: content["images"].insert(1, 3)), r"images\[1\] must be an object"),
    (
        "object that is none",
        annotated(lambda content: content["annotations"].insert(0, [])),
        r"annotations\[0\] must be",
    ),
    (
        "category as text",
        object_with("category_id", "7"),
        r"annotations\[2\] has 'category_id': \"7\"; it must be a whole",
    ),
    ("list as image_id", object_with("image_id", [7]), r"annotations\[2\] has 'image_id': \[7\]; it must be a whole"),
    (
        "number as name",
        object_with("category_freeform", 7),
        r"annotations\[2\] has 'category_freeform': 7; it must be a text",
    ),
    (
        "categories that are none",
        annotated(lambda content: content.update(categories=5)),
        "categories must be a list, got 5",
    ),
    ("deep nesting", described(b"[" * 100_000), "is nested too deeply"),
    ("number of 9,999 digits", described(b'{"images": [' + b"9" * 9999 + b"]}"), "is no complete JSON"),
    ("no UTF-8", described(b'{"images": "\xff"}'), "is no complete JSON"),
    ("NUL bytes", described(bytes(9)), "is no complete JSON"),
    *(
        (
            f"official categories {wrong}",
            described(json.dumps({"categories": [], "cat_det_cats": wrong}).encode(), METADATA),
            r"cat_det_cats\[0\]",
        )
        for wrong in CATEGORIES
    ),
]


def labelled(*rows: bytes) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        picture(folder / "root/x.png")
        (folder / "labels.csv").write_bytes(b"\n".join(rows))
        return lambda: Folder(root=str(folder / "root"), labels=str(folder / "labels.csv")).labelled_images(folder)

    return prepare


def name_of_bytes(folder: Path) -> Read:
    picture(folder / "x.png")
    (folder / "x.png").rename(Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")))
    return lambda: Folder(root=str(folder)).images(folder)


def classes_of(content: bytes) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        for place in ("train/n1/images/a.png", "val/images/b.png"):
            picture(folder / place)
        (folder / "val/val_annotations.txt").write_bytes(content)
        return lambda: TinyImageNet(root=str(folder)).training_set(folder, 0.1)

    return prepare


HEAD = b"image,class,count"
LABELS: list[Case] = [
    (
        "count of 30 digits",
        labelled(HEAD, b"x.png,cup," + b"9" * 30),
        "line 2: count must have at most 9 digits, got '999",
    ),
    ("count of 9,999 digits", labelled(HEAD, b"x.png,cup," + b"9" * 9999), "line 2: count must have at most 9 digits"),
    ("count below 0", labelled(HEAD, b"x.png,cup,-1"), "line 2: count must be a whole number from 0 on, got '-1'"),
    ("count in other digits", labelled(HEAD, "x.png,cup,٣".encode()), "line 2: count must be a whole number"),
    ("table in Latin-1", labelled(HEAD, b"x.png,caf\xe9,1"), "labels.csv cannot be read as CSV: .*utf-8"),
    (
        "field without end",
        labelled(HEAD, b'x.png,"' + b"c" * 200_000),
        "labels.csv cannot be read as CSV: field larger",
    ),
    (
        "name that is no UTF-8",
        name_of_bytes,
        r"1 names of images in .* are no UTF-8, the first is b'\\xff.png'; rename",
    ),
    ("Tiny-ImageNet in Latin-1", classes_of(b"b.png\t\xe9"), "val_annotations.txt cannot be read: .*utf-8"),
    (
        "Tiny-ImageNet without end",
        classes_of(b'b.png\t"' + b"c" * 200_000),
        "val_annotations.txt cannot be read: field",
    ),
]
