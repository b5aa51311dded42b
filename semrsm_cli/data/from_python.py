"""Images of the user's own, from a function that the command line names: files, or any set of torch's kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from semrsm_cli.data.content import HashFile, hash_bytes, hash_file, read_picture
from semrsm_cli.data.dataset import RetrievalDataset
from semrsm_cli.data.folders import classified
from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import Images, header_of, upright_rgb, with_readable
from semrsm_cli.data.sets import LabelledImages, Metric, TrainingSet
from semrsm_cli.data.split import split_validation
from semrsm_cli.errors import SemrsmError
from semrsm_cli.own_code import call_own, explain_own, own_label

__all__ = ["PythonDataset"]

_Objects = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class PythonDataset(RetrievalDataset):
    """Images that a function of yours gives."""

    name: str = "python"
    function: str | None = None
    """The function, path/to/file.py:function or package.module:function; required. It returns n items, each a path, a
    PIL image or a uint8 array [h, w, 3], or a pair of these and what it shows: a class, or the number of each."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the function: +dataset.options.split=val."""
    metric: Metric = Metric.count_f1
    """How a neighbour is scored where it is known what the images show."""

    @property
    def scored_by(self) -> Metric:
        """How a neighbour is scored, where it is known what the images show."""
        return self.metric

    def images(self, cache: Path) -> Images:
        """All images, each a group of its own; a file's id is its path, another image's its number."""
        return self._images(self._items())

    def labelled_images(self, cache: Path) -> LabelledImages:
        """All images, with what is said of each."""
        items = self._items()
        images = self._images(items)
        shown = [items.objects(image_id) for image_id in images.ids]
        unknown = ("",) * len(images)
        if all(objects is None for objects in shown):
            return LabelledImages(images, (), None, images.ids, unknown)
        classes = sorted({name for objects in shown for name in objects or ()})
        counts = [[(objects or {}).get(name, 0) for name in classes] for objects in shown]
        shape = len(images), len(classes)
        return LabelledImages(images, tuple(classes), np.array(counts, np.int64).reshape(shape), images.ids, unknown)

    def complete(self, side: LabelledImages) -> LabelledImages:
        """The images as they are: what cannot be read was left out before they were drawn."""
        return side

    def training_set(self, cache: Path, val_fraction: float) -> TrainingSet:
        """The images, of which each must show one class."""
        items = self._items()
        images = self._images(items)
        classes = {image_id: [*(items.objects(image_id) or ())] for image_id in images.ids}
        unclear = [image_id for image_id, names in classes.items() if len(names) != 1]
        if unclear:
            raise SemrsmError(
                f"{self.name} says no single class of {len(unclear)} images, the first is {unclear[0]}; let "
                f"{own_label(str(self.function))} return pairs of an image and its class"
            )
        return split_validation(classified(images, lambda image_id: classes[image_id][0]), val_fraction)

    def _items(self) -> "_Items":
        if self.function is None:
            raise SemrsmError("no function is given; set dataset.function=path/to/file.py:function")
        return _Items(self.function, self.options, self.max_pixels)

    def _images(self, items: "_Items") -> Images:
        return with_readable(Images(self.name, items.ids, items.ids, items), self.reading)


@dataclass(frozen=True)
class _Items:
    """Reads what a function gives; each process calls it once, and asks for one item at a time."""

    function: str
    options: dict[str, Any]
    max_pixels: int

    def __getstate__(self) -> dict[str, Any]:
        """The settings alone: another process calls the function itself."""
        return {name: getattr(self, name) for name in ("function", "options", "max_pixels")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take them over."""
        self.__dict__.update(state)

    @cached_property
    def _lock(self) -> Lock:
        return Lock()

    @cached_property
    def _items(self) -> Any:
        """What the function returned.

        Raises:
            SemrsmError: It fails, or returns nothing that has a length and items.
        """
        items, _ = call_own(self.function, self.options, setting="dataset.function")
        if not hasattr(items, "__len__") or not hasattr(items, "__getitem__") or isinstance(items, str | Mapping):
            raise SemrsmError(
                f"{own_label(self.function)} gives {type(items).__name__}; it must return a list of images"
            )
        if not len(items):
            raise SemrsmError(f"{own_label(self.function)} gives no images")
        return items

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The number of each item by its id."""
        n = len(self._items)
        width = len(str(n - 1))
        paths = [item if isinstance(item, str | Path) else None for item in map(self._picture, range(n))]
        ids = [f"{i:0{width}d}" if path is None else Path(path).as_posix() for i, path in enumerate(paths)]
        numbers = {image_id: i for i, image_id in enumerate(ids)}
        if len(numbers) < n:
            twice = next(image_id for i, image_id in enumerate(ids) if numbers[image_id] != i)
            raise SemrsmError(f"{own_label(self.function)} gives {twice} twice; give each image once")
        return numbers

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the images, in the function's order."""
        return tuple(self._numbers)

    def objects(self, image_id: str) -> _Objects | None:
        """What is said of an image: the number of each class; None where nothing is.

        Raises:
            SemrsmError: It is neither a class nor numbers of classes.
        """
        item = self._item(self._numbers[image_id])
        if not _is_pair(item):
            return None
        label = item[1]
        if isinstance(label, Mapping) and all(_is_whole(number) and number >= 0 for number in label.values()):
            return {str(name): int(number) for name, number in label.items() if number}
        if isinstance(label, str) or _is_whole(label):
            return {str(label): 1}
        raise SemrsmError(
            f"{own_label(self.function)} says {str(label)[:50]!r} of {image_id}; it must be a class, or the number of "
            "each, as {'cat': 2}"
        )

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture, and the hash of its file or of its pixels."""
        item = self._picture(self._numbers[image_id])
        if isinstance(item, str | Path):
            return read_picture(Path(item), self.max_pixels)
        picture = self._opened(item, image_id)
        return picture, hash_bytes(f"{picture.size}".encode() + picture.tobytes())

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Hash of the file's bytes, or of the pixels."""
        item = self._picture(self._numbers[image_id])
        return hash_file(Path(item)) if isinstance(item, str | Path) else self.read(image_id)[1]

    def header(self, image_id: str) -> Header:
        """The picture's size."""
        item = self._picture(self._numbers[image_id])
        if isinstance(item, str | Path):
            return header_of(Path(item), str(item), self.max_pixels)
        return Header(*self._opened(item, image_id).size)

    def _opened(self, item: Any, image_id: str) -> Image.Image:
        """A picture in memory as 8-bit RGB.

        Raises:
            SemrsmError: It is none.
        """
        if isinstance(item, Image.Image):
            return upright_rgb(item)
        if isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim == 3 and item.shape[2] == 3:
            return Image.fromarray(item)
        shown = f"{item.dtype} {list(item.shape)}" if hasattr(item, "shape") else type(item).__name__
        raise SemrsmError(
            f"{own_label(self.function)} gives {shown} for image {image_id}; it must be a path, a PIL image or a uint8 "
            "array [h, w, 3]: the network's preprocessing comes after"
        )

    def _picture(self, i: int) -> Any:
        """The item at i without what is said of it."""
        item = self._item(i)
        return item[0] if _is_pair(item) else item

    def _item(self, i: int) -> Any:
        """The item at i; one at a time, since few sets are made for threads.

        Raises:
            SemrsmError: The user's code fails.
        """
        items = self._items
        with self._lock:
            try:
                return items[i]
            except Exception as error:
                raise SemrsmError(f"{own_label(self.function)} fails at item {i}: {explain_own(error)}") from error


def _is_pair(item: Any) -> bool:
    """Whether an item says what it shows."""
    return isinstance(item, tuple) and len(item) == 2


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number, of Python's or NumPy's."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
