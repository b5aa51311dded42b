"""What a set of images is, and how a picture is read from its file."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from semrsm_cli.data.headers import Header, read_header
from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm.threads import available_cores

__all__ = [
    "BY_DEFAULT",
    "MAX_PIXELS",
    "ImageError",
    "ImageOrder",
    "Images",
    "OnError",
    "Reader",
    "Reading",
    "decode",
    "header_of",
    "name_unreadable",
    "open_image",
    "opened",
    "read_bytes",
    "upright_rgb",
    "with_readable",
]

MAX_PIXELS = 2**27
"""Pixels of the largest picture that is read by default: half a GiB when decoded; cameras have 12,000 x 9,000."""

_MAX_BYTES = 9 * MAX_PIXELS  # of any file: 16 bits in each of four channels, and as much again of metadata
# Pillow goes by a file's content, whatever its name: another format could start a program, as EPS does Ghostscript.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
_MOST_NAMED = 10  # of the images that cannot be read
_REMEDY = "remove it, or set dataset.on_error=skip"


class ImageError(SemrsmError):
    """The file of an image, called `name`, is missing, broken, too large, or no image."""

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class OnError(StrEnum):
    """What to do with an image file that cannot be read: `stop` the run, or `skip` the file and count it."""

    stop = "stop"
    skip = "skip"


@dataclass(frozen=True)
class Reading:
    """How image files are read: what is done with one that cannot be, and the pixels of the largest that is."""

    on_error: OnError = OnError.stop
    max_pixels: int = MAX_PIXELS


BY_DEFAULT = Reading()


class ImageOrder(StrEnum):
    """In which order images are taken: `drawn` at random, or as in the set's own `files`, by scene or class."""

    drawn = "drawn"
    files = "files"

    def arrange(self, indices: Sequence[int]) -> list[int]:
        """Indices into a set that were drawn, in this order."""
        return list(indices) if self is ImageOrder.drawn else sorted(indices)


class Reader(Protocol):
    """Where the pictures of a set come from; picklable, so that loader processes can hold it."""

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture as 8-bit RGB, and the version key of what it was decoded from; SemrsmError if it cannot be read.

        Both come from the same bytes, so that a file that is rewritten meanwhile does not pass for its older self.
        """
        ...

    def version_key(self, image_id: str, hash_file: Callable[[Path], str] = ...) -> str:
        """A text that changes when the picture does, had without decoding it; `hash_file` hashes a file's bytes."""
        ...

    def header(self, image_id: str) -> Header:
        """The picture's size as `read` gives it, and whether EXIF turns it, had without decoding it."""
        ...


@dataclass(frozen=True)
class Images:
    """A set of n images that are read one by one, when asked for.

    Attributes:
        name: Name of the set, as in tables.
        ids: Stable name of each image, such as its path below the root.
        groups: What each image was cut from; its own id where it stands alone. Images of one group are related.
        reader: Where the pictures come from.
        skipped: Ids of files that were left out because they cannot be read.
    """

    name: str
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    reader: Reader
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.groups):
            raise ValueError(f"ids and groups must be of one length, got {len(self.ids)} and {len(self.groups)}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError(f"ids must differ, got {len(set(self.ids))} different ones among {len(self.ids)}")

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Image.Image:
        """The picture at `index` as 8-bit RGB."""
        return self.reader.read(self.ids[index])[0]

    def select(self, indices: Sequence[int]) -> "Images":
        """The images at `indices`, in that order."""
        return replace(self, ids=tuple(self.ids[i] for i in indices), groups=tuple(self.groups[i] for i in indices))

    def draw(
        self, n: int | None, seed: int, order: ImageOrder = ImageOrder.drawn, *, setting: str = "n_images"
    ) -> "Images":
        """Draw n different images, in the random order of the draw or in their own; which they are is the same.

        The ids decide both, not how the disk lists the files: a set's own order follows from them.

        Args:
            n: How many; None takes all.
            seed: Seed of the draw.
            order: In which order they are returned.
            setting: What says how many, for the message.

        Raises:
            SemrsmError: The set holds fewer than n images.
        """
        n = len(self) if n is None else n
        if n > len(self):
            raise SemrsmError(
                f"{setting}={n}, but {self.name} holds {len(self)} images; set {setting}={len(self)} or less"
            )
        chosen = np.random.default_rng(seed).choice(len(self), size=n, replace=False)
        return self.select(order.arrange(chosen.tolist()))

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """Size of every picture, and whether EXIF turns it; none is decoded. ImageError if a file is no image."""
        try:
            with ThreadPoolExecutor(available_cores()) as threads:
                return tuple(threads.map(self.reader.header, self.ids))
        except ImageError as error:
            raise name_unreadable(self, error) from error

    def fingerprint(self) -> str:
        """Hash of the ids and of every picture's version key, for the key under which results are stored."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for image_id in self.ids:
            digest.update(os.fsencode(f"\0{image_id}\0{self.reader.version_key(image_id)}"))
        return digest.hexdigest()


def with_readable(images: Images, reading: Reading) -> Images:
    """The images as they are, or with `skip` those that can be read; this decodes each once.

    Raises:
        SemrsmError: None of them can be read.
    """
    if reading.on_error is OnError.stop:
        return images
    readable = [error is None for error in _errors(images)]
    kept = images.select([i for i, fine in enumerate(readable) if fine])
    skipped = tuple(image_id for image_id, fine in zip(images.ids, readable, strict=True) if not fine)
    if not kept.ids:
        raise SemrsmError(f"none of the {len(images)} files of {images.name} is an image that can be read")
    return replace(kept, skipped=skipped)


def name_unreadable(images: Images, first: ImageError) -> ImageError:
    """The error that names all files of a set that cannot be read, not the first alone; this decodes each image."""
    names = sorted({error.name for error in _errors(images) if error is not None})
    if len(names) < 2:
        return first
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ImageError(
        f"{len(names)} images of {images.name} cannot be read: {', '.join(names[:_MOST_NAMED])}{more}; remove them, or "
        "set dataset.on_error=skip"
    )


def _errors(images: Images) -> list[ImageError | None]:
    """What is wrong with each image; None where it can be decoded."""
    with ThreadPoolExecutor(available_cores()) as threads:
        return list(threads.map(lambda image_id: _error(images.reader, image_id), images.ids))


def _error(reader: Reader, image_id: str) -> ImageError | None:
    """Why a picture cannot be decoded."""
    try:
        reader.read(image_id)
    except SemrsmError as error:
        return error if isinstance(error, ImageError) else ImageError(str(error), image_id)
    return None


def open_image(path: Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as 8-bit RGB, upright.

    EXIF rotation is applied; transparent parts show white, as a viewer would show them; 16-bit grey is scaled by its
    full range; of several frames the first is taken.

    Raises:
        SemrsmError: The file is missing, broken, too large, or no image.
    """
    return decode(path, str(path), max_pixels)


def decode(source: Path | str | BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image from a file or a stream; errors call it `name`."""
    with opened(source, name, max_pixels) as image:
        return upright_rgb(image)


def upright_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB, turned as its EXIF says, transparent parts on white."""
    return _to_rgb(ImageOps.exif_transpose(image))


def read_bytes(path: Path) -> bytes:
    """All bytes of an image file.

    Raises:
        SemrsmError: The file is missing, no regular file, larger than any picture that is read, or cannot be read.
    """
    try:
        _require_regular(path)
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ImageError(f"{path} has {size:,} bytes, more than a picture takes that is read; {_REMEDY}", str(path))
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {_reason(error)}; {_REMEDY}", str(path)) from error


def header_of(source: Path | str | BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Header:
    """What an image in a file or a stream says of itself before it is decoded; errors call it `name`."""
    with opened(source, name, max_pixels) as image:
        return read_header(image)


@contextmanager
def opened(source: Path | str | BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image whose pixels are not decoded yet; what goes wrong with it is a SemrsmError that calls it `name`."""
    try:
        if isinstance(source, Path | str):
            _require_regular(Path(source))
        if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
            Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own limit, beyond twice of which it opens nothing
        with Image.open(source, formats=_formats()) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(name, f"{image.width} x {image.height}", max_pixels)
            yield image
    except SemrsmError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, "far too many", max_pixels) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is no image; {_REMEDY} (read are {', '.join(_formats())})", name) from error
    except Exception as error:  # decoders raise what they like on broken files: RuntimeError, NotImplementedError, ...
        raise ImageError(f"{name} cannot be read: {_reason(error)}; {_REMEDY}", name) from error


@cache
def _formats() -> tuple[str, ...]:
    """The formats that are read and that the installed Pillow knows: AVIF came with 11.3."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _too_large(name: str, pixels: str, max_pixels: int) -> ImageError:
    """The error for a picture of more pixels than are read."""
    return ImageError(
        f"{name} has {pixels} pixels, more than dataset.max_pixels={max_pixels}; raise that, scale it down, {_REMEDY}",
        name,
    )


def _require_regular(path: Path) -> None:
    """Raise OSError for what would never end or do more than be read: a pipe, a socket, a device; or a folder."""
    if path.is_file() or not path.exists():
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError("it is a pipe, a socket or a device, not a file")


def _reason(error: Exception) -> str:
    """What an error says, on one line and without the file's name."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _to_rgb(image: Image.Image) -> Image.Image:
    """Turn a picture of any mode into 8-bit RGB, transparent parts on white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return image.convert("RGB")


def _to_8_bit(grey: np.ndarray) -> np.ndarray:
    """Scale grey values by the full range of their type, 65,535 for integers and 1 for floats, to 0 to 255.

    Raises:
        ValueError: Values lie outside of that range, so that black and white are not known.
    """
    is_integer = np.issubdtype(grey.dtype, np.integer)
    white = 65535 if is_integer else 1
    if not (grey.min() >= 0 and grey.max() <= white):
        raise ValueError(f"grey values must lie between 0 and {white}, got {grey.min()} to {grey.max()}")
    if is_integer:
        grey = grey.astype(np.uint16, copy=False)
        return (grey // 257).astype(np.uint8) + (grey % 257 > 128)  # 65,535 / 255 = 257; rounded, without floats
    return np.round(grey * 255).astype(np.uint8)
