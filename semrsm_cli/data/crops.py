"""Overlapping crops of one image, and batches in which no two images are related."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

import numpy as np
from PIL import Image

from semrsm_cli.data.content import HashFile, hash_file
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import Images, Reader
from semrsm_cli.errors import SemrsmError

__all__ = ["batches_of_unrelated", "crop_pairs", "overlapping_crops", "resized_squares"]

_PARTS = ("upper", "lower")


@dataclass(frozen=True)
class _Crops:
    """Cuts overlapping crops out of another reader's images; the ids look like `0/upper/<id of the image>`."""

    reader: Reader
    size: int
    crop: int

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The upper or lower crop, and its version key."""
        _, part, whole = image_id.split("/", 2)
        image, key = self.reader.read(whole)
        crops = overlapping_crops(image, size=self.size, crop=self.crop)
        return crops[_PARTS.index(part)], f"{key} {self.size} {self.crop}"

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """The image's version key, and how it is cropped."""
        return f"{self.reader.version_key(image_id.split('/', 2)[2], hash_file)} {self.size} {self.crop}"

    def header(self, image_id: str) -> Header:
        """The crop's size; turned is what the image is."""
        return replace(self.reader.header(image_id.split("/", 2)[2]), width=self.crop, height=self.crop)


def crop_pairs(images: Images, batches: Sequence[Sequence[int]], *, size: int, crop: int) -> Images:
    """The crops of all batches as images: of each batch first the n upper ones, then the n lower ones.

    A crop's group is its image's.

    Raises:
        ValueError: `crop` is larger than `size`, or below 1.
    """
    _require_fit(size, crop)
    cut = [(number, part, i) for number, batch in enumerate(batches) for part in _PARTS for i in batch]
    return Images(
        images.name,
        tuple(f"{number}/{part}/{images.ids[i]}" for number, part, i in cut),
        tuple(images.groups[i] for _, _, i in cut),
        _Crops(images.reader, size, crop),
        images.skipped,
    )


@dataclass(frozen=True)
class _Squares:
    """Brings another reader's images to middle squares of one size."""

    reader: Reader
    size: int

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The middle square, and its version key."""
        image, key = self.reader.read(image_id)
        return _middle_square(image, self.size), f"{key} {self.size}"

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """The image's version key, and the square's size."""
        return f"{self.reader.version_key(image_id, hash_file)} {self.size}"

    def header(self, image_id: str) -> Header:
        """The square's size; turned is what the image is."""
        return replace(self.reader.header(image_id), width=self.size, height=self.size)


def resized_squares(images: Images, size: int) -> Images:
    """The middle square of each image, `size` pixels wide."""
    return replace(images, reader=_Squares(images.reader, size))


def overlapping_crops(image: Image.Image, *, size: int, crop: int) -> tuple[Image.Image, Image.Image]:
    """Cut the upper-left and the lower-left square of `crop` pixels out of an image that was brought to `size`.

    The short side is resized to `size` (bicubic, antialiased), and the middle square is kept. The two crops show the
    same `2 * crop - size` rows, moved by `size - crop`: 84 and 64 share 44 x 64 pixels (Figure 2 of the paper), 324 and
    224 are 100 apart, which is no multiple of a patch of 16 (Figure 7).

    Raises:
        ValueError: `crop` is larger than `size`, or below 1.
    """
    _require_fit(size, crop)
    square = _middle_square(image, size)
    return square.crop((0, 0, crop, crop)), square.crop((0, size - crop, crop, size))


def _require_fit(size: int, crop: int) -> None:
    """Raise ValueError unless the crop fits into the square."""
    if not 1 <= crop <= size:
        raise ValueError(f"crop must be 1 to size, got crop {crop} and size {size}")


def _middle_square(image: Image.Image, size: int) -> Image.Image:
    """Resize the short side to `size` and keep the middle square."""
    short = min(image.size)
    width, height = (max(size, round(side * size / short)) for side in image.size)
    left, upper = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, upper, left + size, upper + size))


def batches_of_unrelated(images: Images, *, n_per_batch: int, n_batches: int, seed: int) -> list[list[int]]:
    """Indices of the images of each batch, all from different groups, in an order drawn by `seed`.

    Images are used again as late as possible: each batch takes from the groups whose next image was used least often,
    of these from the ones that have most such images left, and of these by chance.

    Raises:
        SemrsmError: There are fewer groups than images in a batch.
    """
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = defaultdict(list)
    for index in rng.permutation(len(images)).tolist():
        members[images.groups[index]].append(index)
    if len(members) < n_per_batch:
        raise SemrsmError(
            f"a batch takes {n_per_batch} unrelated images, but {images.name} has only {len(members)}; "
            f"give more images, or set n_pairs={len(members)}"
        )
    # times that the next image was used, images before it is used again (negative), chance, the group, images given
    waiting = [(0, -len(group), rng.random(), group, 0) for group in members.values()]
    heapify(waiting)
    batches = []
    for _ in range(n_batches):
        taken = [heappop(waiting) for _ in range(n_per_batch)]
        batches.append([group[used % len(group)] for *_, group, used in taken])
        for *_, group, used in taken:
            times, position = divmod(used + 1, len(group))
            heappush(waiting, (times, position - len(group), rng.random(), group, used + 1))
    return batches
