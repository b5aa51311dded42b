"""Regions of the natural photographs that scikit-image's wheel brings, so that everything runs offline."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from semrsm_cli.checks import require_at_least
from semrsm_cli.data.content import HashFile, hash_file
from semrsm_cli.data.dataset import Dataset
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import Images
from semrsm_cli.data.photographs import Box, photograph, read_once

__all__ = ["Photos", "photos"]

# The part of each photograph that shows something, without empty sky or the black rim of a lens. Left out are drawings,
# test patterns, text, doubles of what is here already (motorcycle_right, gravel) and what is all but empty (moon).
_PHOTOGRAPHS: dict[str, Box] = {
    "astronaut.png": (0, 0, 512, 512),
    "brick.png": (0, 0, 512, 512),
    "camera.png": (60, 20, 512, 512),
    "chelsea.png": (0, 0, 451, 300),
    "coffee.png": (0, 0, 600, 400),
    "coins.png": (0, 0, 384, 303),
    "grass.png": (0, 0, 512, 512),
    "hubble_deep_field.jpg": (0, 0, 1000, 872),
    "ihc.png": (0, 0, 512, 512),
    "motorcycle_left.png": (0, 0, 741, 500),
    "retina.jpg": (200, 200, 1210, 1210),
    "rocket.jpg": (0, 90, 640, 427),
}


@dataclass(frozen=True)
class _Regions:
    """Cuts square regions out of photographs; the ids look like `coffee/03`."""

    boxes: dict[str, tuple[Path, Box]]

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The region `image_id`, and its version key."""
        path, box = self.boxes[image_id]
        image, content = read_once(path)
        return image.crop(box), f"{content} {box}"

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Hash of the photograph's bytes, and the region's edges."""
        path, box = self.boxes[image_id]
        return f"{hash_file(path)} {box}"

    def header(self, image_id: str) -> Header:
        """The region's size."""
        _, (left, upper, right, lower) = self.boxes[image_id]
        return Header(right - left, lower - upper)


@dataclass(frozen=True, kw_only=True)
class Photos(Dataset):
    """Regions of the natural photographs that come with scikit-image."""

    name: str = "photos"
    regions: int = 6
    """Square regions cut from each photograph."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, self, "regions")

    def images(self, cache: Path) -> Images:
        """The regions; a region's group is its photograph."""
        return replace(photos(regions=self.regions), name=self.name)


def photos(*, regions: int = 6, size: int = 112, seed: int = 0) -> Images:
    """Square regions of twelve photographs; a region's group is its photograph.

    The regions of a photograph lie on a grid, each moved within its cell by chance, and are as large as the cells: they
    overlap only where cells are smaller than `size`.

    Args:
        regions: Regions of each photograph; 6 make 72 images, 17 make 204.
        size: Smallest side of a region in pixels.
        seed: Seed of the places within the cells.

    Returns:
        The regions, by photograph.

    Raises:
        SemrsmError: The installed scikit-image lacks one of the photographs.
        ValueError: Fewer than one region, or a size that does not fit into the photographs.
    """
    largest = min(min(right - left, lower - upper) for left, upper, right, lower in _PHOTOGRAPHS.values())
    if regions < 1 or not 1 <= size <= largest:
        raise ValueError(f"regions must be at least 1 and size 1 to {largest}, got {regions} and {size}")
    rng = np.random.default_rng(seed)
    boxes = {
        f"{Path(name).stem}/{i:03d}": (photograph(name), box)
        for name, extent in _PHOTOGRAPHS.items()
        for i, box in enumerate(_layout(extent, regions, size, rng))
    }
    return Images("photos", tuple(boxes), tuple(image_id.split("/")[0] for image_id in boxes), _Regions(boxes))


def _layout(extent: Box, regions: int, size: int, rng: np.random.Generator) -> list[Box]:
    """Squares of at least `size` pixels on the grid that leaves them largest, each moved within its cell."""
    left, upper, right, lower = extent
    width, height = right - left, lower - upper
    columns = max(range(1, regions + 1), key=lambda n: min(width / n, height / math.ceil(regions / n)))
    rows = math.ceil(regions / columns)
    side = max(size, min(width // columns, height // rows))
    cells = sorted(rng.choice(rows * columns, size=regions, replace=False).tolist())
    xs = [left + _place(cell % columns, columns, width, side, rng) for cell in cells]
    ys = [upper + _place(cell // columns, rows, height, side, rng) for cell in cells]
    return [(x, y, x + side, y + side) for x, y in zip(xs, ys, strict=True)]


def _place(cell: int, cells: int, extent: int, side: int, rng: np.random.Generator) -> int:
    """Where a square of `side` pixels begins: by chance within its cell, or evenly spread where cells are smaller."""
    pitch = extent / cells
    if side <= pitch:
        return int(cell * pitch + rng.uniform() * (pitch - side))
    return round(cell * (extent - side) / max(cells - 1, 1))
