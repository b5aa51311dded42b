"""CIFAR-100 in its own pickled files, which are opened only if their checksums are the published ones."""

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semrsm_cli.data.classes import ClassifiedImages
from semrsm_cli.data.images import Images, dataset_root
from semrsm_cli.errors import SemrsmError

__all__ = ["cifar100"]

FOLDER = "cifar-100-python"
CHECKSUMS = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
"""MD5 of the files as their authors hand them out; torchvision's are the same."""
SIDE = 32


@dataclass(frozen=True)
class Pixels:
    """Reads images [n, 32, 32, 3] that are in memory, whose ids are `<split>/<row>`."""

    pixels: np.ndarray
    checksum: str

    def read(self, image_id: str) -> Image.Image:
        """The picture in a row."""
        return Image.fromarray(self.pixels[int(image_id.rsplit("/", 1)[1])])

    def stamp(self, image_id: str) -> str:
        """Checksum of the file that it was in."""
        return self.checksum


def cifar100(root: Path | str | None, *, split: str) -> ClassifiedImages:
    """The images of one split of CIFAR-100, 32 x 32 pixels, with their 100 fine classes, in the file's order.

    Args:
        root: The folder with the files `train`, `test` and `meta`, or the one that holds it; `cifar-100-python` in
            $SEMRSM_DATA if None.
        split: `train` or `test`.

    Raises:
        SemrsmError: The folder or a file is missing, or a file is not the published one.
    """
    if split not in ("train", "test"):
        raise SemrsmError(f"cifar100 has no split {split!r}; it holds train, test")
    folder = dataset_root(root, FOLDER)
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    content, meta = published(folder / split), published(folder / "meta")
    pixels = np.asarray(content["data"], np.uint8).reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    ids = tuple(f"{split}/{row:05d}" for row in range(len(pixels)))
    images = Images("cifar100", ids, ids, Pixels(np.ascontiguousarray(pixels), CHECKSUMS[split]))
    return ClassifiedImages(images, tuple(meta["fine_label_names"]), np.asarray(content["fine_labels"], np.int64))


def published(path: Path) -> dict[str, Any]:
    """What a pickled file holds; a pickle can run any code, so only the file that everyone knows is opened.

    Raises:
        SemrsmError: The file is missing, or its checksum is another.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SemrsmError(f"{path} cannot be read: {error.strerror}; unpack cifar-100-python.tar.gz there") from error
    checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if checksum != CHECKSUMS[path.name]:
        raise SemrsmError(
            f"{path} is not the published file: its MD5 is {checksum}, not {CHECKSUMS[path.name]}; opening it could "
            "run code that someone put there, so fetch cifar-100-python.tar.gz anew"
        )
    content: dict[str, Any] = pickle.loads(data, encoding="latin1")
    return content
