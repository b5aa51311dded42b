"""Made-up scenes of several objects in EgoObjects' own files."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from semrsm_cli.checks import require_at_least
from semrsm_cli.data.annotations import ANNOTATIONS, CONDITIONS, METADATA, Record
from semrsm_cli.data.objects import OBJECTS, background, cut_out

__all__ = ["SceneSpec", "render"]

_VERSION = 1  # to be raised with every change of the pictures, so that old ones are not taken for new
_SEED = 0  # of everything in the scenes

_WIDTH, _HEIGHT = 512, 288
_MARGIN = 24  # how far the camera moves at most
_CELL = 80  # objects lie on a grid of 3 x 3 cells in the middle, where networks that crop see them
_OBJECT = 70  # a near object covers as much as a square of that side
_SCALES = {"near": 1.0, "medium": 0.85, "far": 0.72}
_GAINS = {"bright": (0.95, 1.1), "dim": (0.55, 0.7)}
_MOTIONS = {"horizontal": (1, 0), "vertical": (0, 1), "diagonal": (1, 1)}
_LEAST_VISIBLE = 0.25


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """How many scenes there are, and how they are filmed; 24 x 4 x 2 make 192 images."""

    n_scenes: int = 24
    """Scenes, each a set of 2 to 5 kinds of objects."""
    n_videos: int = 4
    """Videos of each scene, up to 10, each under conditions of its own."""
    n_frames: int = 2
    """Frames of each video."""

    def __post_init__(self) -> None:
        require_at_least(1, self, "n_scenes", "n_videos", "n_frames")
        if self.n_videos > len(CONDITIONS):
            raise ValueError(f"n_videos can be {len(CONDITIONS)} at most, got {self.n_videos}")

    def key(self) -> str:
        """Hash of everything that the pictures depend on."""
        settings = {field.name: getattr(self, field.name) for field in fields(SceneSpec)} | {"seed": _SEED}
        return hashlib.blake2b(json.dumps([_VERSION, settings]).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class _Video:
    """The whole background with the objects that lie on it, of which each frame shows a part."""

    canvas: Image.Image
    objects: list[tuple[str, tuple[int, int, int, int]]]
    motion: tuple[int, int]


def render(root: Path, spec: SceneSpec) -> None:
    """Write the images, the annotations and the metadata as EgoObjects lays them out.

    Args:
        root: The folder to write to; it is there, and empty.
        spec: How many scenes there are, and how they are filmed.

    Raises:
        SemrsmError: The installed scikit-image lacks one of the photographs.
    """
    (root / "images").mkdir()
    images: list[Record] = []
    instances: list[Record] = []
    for number in range(spec.n_scenes):
        rng = np.random.default_rng((_SEED, number))
        group = hashlib.blake2b(f"{_SEED} {number}".encode(), digest_size=16).hexdigest().upper()
        objects = _choose_objects(rng)
        codes = sorted(rng.choice(list(CONDITIONS), spec.n_videos, replace=False).tolist())
        for code in codes:
            video = _lay_out(objects, code, rng)
            for frame, (picture, shown) in enumerate(_frames(video, spec.n_frames)):
                image = _image_record(len(images), group, code, frame, objects[0])
                picture.save(root / "images" / image["url"], quality=92)
                images.append(image)
                instances += [_instance_record(len(instances) + i, image, *one) for i, one in enumerate(shown)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(OBJECTS)]
    _write_json(root / ANNOTATIONS, {"images": images, "annotations": instances})
    _write_json(root / METADATA, {"categories": categories, "cat_det_cats": categories})


def _choose_objects(rng: np.random.Generator) -> list[str]:
    """What a scene consists of: 2 to 5 kinds of objects, every third of them twice."""
    kinds: list[str] = rng.choice(list(OBJECTS), size=rng.integers(2, 6), replace=False).tolist()
    return kinds + [kind for kind in kinds if rng.uniform() < 1 / 3][: 9 - len(kinds)]


def _lay_out(objects: list[str], code: str, rng: np.random.Generator) -> _Video:
    """Lay the objects out anew on a new background, under the light and at the distance of the conditions."""
    distance, motion, surface, light = (part.split()[0] for part in CONDITIONS[code].split(", "))
    size = (_WIDTH + 2 * _MARGIN, _HEIGHT + 2 * _MARGIN)
    canvas = background(size, is_busy=surface == "busy", rng=rng)
    scale, is_mirrored = _SCALES[distance], bool(rng.integers(2))
    laid_out = []
    for cell, name in zip(rng.permutation(9).tolist(), objects, strict=False):
        picture = cut_out(name, round(_OBJECT * scale * rng.uniform(0.93, 1.07)))
        picture = ImageOps.mirror(picture) if is_mirrored else picture
        picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC, expand=True)
        middle = (np.array([cell % 3 - 1, cell // 3 - 1]) + rng.uniform(-0.1, 0.1, 2)) * _CELL * scale
        left, upper = (int(middle[axis] + (size[axis] - picture.size[axis]) / 2) for axis in (0, 1))
        canvas.paste(picture, (left, upper), picture)
        laid_out.append((name, (left, upper, left + picture.width, upper + picture.height)))
    return _Video(_relight(canvas, rng.uniform(*_GAINS[light]), rng), laid_out, _MOTIONS[motion])


def _relight(canvas: Image.Image, gain: float, rng: np.random.Generator) -> Image.Image:
    """The picture under brighter or darker, warmer or colder light."""
    warmth = rng.uniform(-0.12, 0.12)
    pixels = np.asarray(canvas, dtype=np.float64) * gain * np.array([1 + warmth, 1, 1 - warmth])
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _frames(video: _Video, n: int) -> Iterator[tuple[Image.Image, list[tuple[str, list[int]]]]]:
    """What the moving camera sees: pictures, and the objects in each with their boxes [left, upper, width, height]."""
    for step in np.linspace(-1, 1, n) * (_MARGIN if n > 1 else 0):
        left, upper = (round(_MARGIN + direction * float(step)) for direction in video.motion)
        shown = []
        for name, box in video.objects:
            x0, x1 = (min(max(x - left, 0), _WIDTH) for x in box[::2])
            y0, y1 = (min(max(y - upper, 0), _HEIGHT) for y in box[1::2])
            if (x1 - x0) * (y1 - y0) >= _LEAST_VISIBLE * (box[2] - box[0]) * (box[3] - box[1]):
                shown.append((name, [x0, y0, x1 - x0, y1 - y0]))
        yield video.canvas.crop((left, upper, left + _WIDTH, upper + _HEIGHT)), shown


def _image_record(number: int, group: str, code: str, frame: int, main: str) -> Record:
    """An image as EgoObjects describes it."""
    return {
        "id": 10**15 + number,
        "height": _HEIGHT,
        "width": _WIDTH,
        "url": f"{group}_{code}_{frame}.jpg",
        "group_id": group,
        "video_id": code,
        "frame_id": frame,
        "main_category": main,
        "subset": "test",
    }


def _instance_record(number: int, image: Record, name: str, box: list[int]) -> Record:
    """An object as EgoObjects describes it."""
    return {
        "id": 10**15 + number,
        "image_id": image["id"],
        "bbox": box,
        "area": box[2] * box[3],
        "category_id": list(OBJECTS).index(name) + 1,
        "category_freeform": name,
        "is_main": name == image["main_category"],
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content), encoding="utf-8")
