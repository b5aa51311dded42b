"""Made-up scenes of several objects in EgoObjects' own files, for where EgoObjects cannot be had."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from semrsm_cli.data.annotations import Record
from semrsm_cli.data.egoobjects import ANNOTATIONS, CONDITIONS, METADATA, Selection, egoobjects_images
from semrsm_cli.data.images import OnError
from semrsm_cli.data.objects import OBJECTS, cut_out, ground
from semrsm_cli.data.retrieval import LabelledImages, Metric, RetrievalSet, draw_disjoint, drawn, read_draw

__all__ = ["Filming", "scenes", "scenes_folder", "scenes_images"]

VERSION = 1  # to be raised with every change of the pictures, so that old ones are not taken for new

WIDTH, HEIGHT = 512, 288
MARGIN = 24  # how far the camera moves at most
CELL = 80  # objects lie on a grid of 3 x 3 cells in the middle, where networks that crop see them
OBJECT = 70  # a near object covers as much as a square of that side
SCALES = {"near": 1.0, "medium": 0.85, "far": 0.72}
GAINS = {"bright": (0.95, 1.1), "dim": (0.55, 0.7)}
MOTIONS = {"horizontal": (1, 0), "vertical": (0, 1), "diagonal": (1, 1)}
LEAST_VISIBLE = 0.25


@dataclass(frozen=True, kw_only=True)
class Filming:
    """How many scenes there are, and how they are filmed; 24 x 4 x 2 make 192 images.

    Attributes:
        n_scenes: Scenes; each is a set of 2 to 5 kinds of objects, some of them twice.
        n_videos: Videos of each scene, up to 10, each under conditions of its own.
        n_frames: Frames of each video.
        seed: Seed of everything in them.
    """

    n_scenes: int = 24
    n_videos: int = 4
    n_frames: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_scenes, self.n_videos, self.n_frames) < 1 or self.n_videos > len(CONDITIONS):
            raise ValueError(
                f"n_scenes, n_videos and n_frames must be at least 1, and n_videos at most {len(CONDITIONS)}, "
                f"got {self.n_scenes}, {self.n_videos} and {self.n_frames}"
            )


@dataclass(frozen=True)
class Video:
    """The whole ground with the objects that lie on it, of which each frame shows a part."""

    canvas: Image.Image
    objects: list[tuple[str, tuple[int, int, int, int]]]
    motion: tuple[int, int]


def scenes(
    cache: Path | str,
    filming: Filming | None = None,
    *,
    n_queries: int | None = 64,
    n_database: int | None = None,
    seed: int = 0,
    draw: Path | str | None = None,
) -> RetrievalSet:
    """Queries and database images of made-up scenes, read as EgoObjects is.

    Args:
        cache: Folder that keeps them; they are made when they are first asked for.
        filming: How many there are.
        n_queries: Number of queries.
        n_database: Number of database images; None takes all that are no queries.
        seed: Seed of the draw.
        draw: File of ids to use instead of drawing.

    Raises:
        SemrsmError: There are fewer images than asked for.
    """
    labelled = scenes_images(cache, filming)
    ids = read_draw(draw) if draw else draw_disjoint(labelled.images, n_queries, n_database, seed)
    return drawn(labelled, ids, Metric.count_f1, on_error=OnError.stop)


def scenes_images(cache: Path | str, filming: Filming | None = None) -> LabelledImages:
    """All images of the made-up scenes; they are made if the folder `cache` lacks them."""
    return egoobjects_images(scenes_folder(cache, filming or Filming()), Selection(size=None), name="scenes")


def scenes_folder(cache: Path | str, filming: Filming) -> Path:
    """Where the made-up scenes lie; they are made if the folder `cache` lacks them."""
    key = hashlib.blake2b(json.dumps([VERSION, asdict(filming)]).encode(), digest_size=8).hexdigest()
    root = Path(cache).expanduser() / f"scenes-{key}"
    if not root.is_dir():
        make(root, filming)
    return root


def make(root: Path, filming: Filming) -> None:
    """Make all images and annotations; the folder appears when it is complete."""
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        film(unfinished, filming)
        unfinished.chmod(0o755)  # mkdtemp's folders are for their owner alone
        try:
            unfinished.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was quicker, with the same pictures
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def film(root: Path, filming: Filming) -> None:
    """Write the images, the annotations and the metadata as EgoObjects lays them out."""
    (root / "images").mkdir()
    images: list[Record] = []
    instances: list[Record] = []
    for number in range(filming.n_scenes):
        rng = np.random.default_rng((filming.seed, number))
        group = hashlib.blake2b(f"{filming.seed} {number}".encode(), digest_size=16).hexdigest().upper()
        things = choose_objects(rng)
        codes = sorted(rng.choice(list(CONDITIONS), filming.n_videos, replace=False).tolist())
        for code in codes:
            video = lay_out(things, code, rng)
            for frame, (picture, shown) in enumerate(frames(video, filming.n_frames)):
                image = image_record(len(images), group, code, frame, things[0])
                picture.save(root / "images" / image["url"], quality=92)
                images.append(image)
                instances += [instance_record(len(instances) + i, image, *one) for i, one in enumerate(shown)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(OBJECTS)]
    write_json(root / ANNOTATIONS, {"images": images, "annotations": instances})
    write_json(root / METADATA, {"categories": categories, "cat_det_cats": categories})


def choose_objects(rng: np.random.Generator) -> list[str]:
    """What a scene consists of: 2 to 5 kinds of objects, every third of them twice."""
    kinds: list[str] = rng.choice(list(OBJECTS), size=rng.integers(2, 6), replace=False).tolist()
    return kinds + [kind for kind in kinds if rng.uniform() < 1 / 3][: 9 - len(kinds)]


def lay_out(things: list[str], code: str, rng: np.random.Generator) -> Video:
    """Lay the objects out anew on a new ground, under the light and at the distance of the conditions."""
    distance, motion, background, light = (part.split()[0] for part in CONDITIONS[code].split(", "))
    size = (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN)
    canvas = ground(size, is_busy=background == "busy", rng=rng)
    scale, is_mirrored = SCALES[distance], bool(rng.integers(2))
    objects = []
    for cell, thing in zip(rng.permutation(9).tolist(), things, strict=False):
        picture = cut_out(thing, round(OBJECT * scale * rng.uniform(0.93, 1.07)))
        picture = ImageOps.mirror(picture) if is_mirrored else picture
        picture = picture.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC, expand=True)
        middle = (np.array([cell % 3 - 1, cell // 3 - 1]) + rng.uniform(-0.1, 0.1, 2)) * CELL * scale
        left, upper = (int(middle[axis] + (size[axis] - picture.size[axis]) / 2) for axis in (0, 1))
        canvas.paste(picture, (left, upper), picture)
        objects.append((thing, (left, upper, left + picture.width, upper + picture.height)))
    return Video(lit(canvas, rng.uniform(*GAINS[light]), rng), objects, MOTIONS[motion])


def lit(canvas: Image.Image, gain: float, rng: np.random.Generator) -> Image.Image:
    """The picture under brighter or darker, warmer or colder light."""
    warmth = rng.uniform(-0.12, 0.12)
    pixels = np.asarray(canvas, dtype=np.float64) * gain * np.array([1 + warmth, 1, 1 - warmth])
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def frames(video: Video, n: int) -> Iterator[tuple[Image.Image, list[tuple[str, list[int]]]]]:
    """What the moving camera sees: pictures, and the objects in each with their boxes [left, upper, width, height]."""
    for step in np.linspace(-1, 1, n) * (MARGIN if n > 1 else 0):
        left, upper = (round(MARGIN + direction * float(step)) for direction in video.motion)
        shown = []
        for thing, box in video.objects:
            x0, x1 = (min(max(x - left, 0), WIDTH) for x in box[::2])
            y0, y1 = (min(max(y - upper, 0), HEIGHT) for y in box[1::2])
            if (x1 - x0) * (y1 - y0) >= LEAST_VISIBLE * (box[2] - box[0]) * (box[3] - box[1]):
                shown.append((thing, [x0, y0, x1 - x0, y1 - y0]))
        yield video.canvas.crop((left, upper, left + WIDTH, upper + HEIGHT)), shown


def image_record(number: int, group: str, code: str, frame: int, main: str) -> Record:
    """An image as EgoObjects describes it."""
    return {
        "id": 10**15 + number,
        "height": HEIGHT,
        "width": WIDTH,
        "url": f"{group}_{code}_{frame}.jpg",
        "group_id": group,
        "video_id": code,
        "frame_id": frame,
        "main_category": main,
        "subset": "test",
    }


def instance_record(number: int, image: Record, thing: str, box: list[int]) -> Record:
    """An object as EgoObjects describes it."""
    return {
        "id": 10**15 + number,
        "image_id": image["id"],
        "bbox": box,
        "area": box[2] * box[3],
        "category_id": list(OBJECTS).index(thing) + 1,
        "category_freeform": thing,
        "is_main": thing == image["main_category"],
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content), encoding="utf-8")
