"""Which picture is which: pictures are told apart by the bytes of their files, wherever these lie and however old."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from semrsm_cli.data.headers import Header
from semrsm_cli.data.images import MAX_PIXELS, Images, Reader, decode, header_of, read_bytes
from semrsm_cli.errors import SemrsmError
from semrsm_cli.rsm.threads import available_cores

__all__ = ["Files", "HashFile", "hash_bytes", "hash_file", "pin", "read_cached", "read_picture"]

HashFile = Callable[[Path], str]
"""Gives the hash of a file's bytes, be it that it reads them or remembers it."""


def hash_bytes(content: bytes) -> str:
    """BLAKE2b hash: 32 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hash_file(path: Path) -> str:
    """Hash of a file's bytes.

    Raises:
        SemrsmError: The file is missing or cannot be read.
    """
    return hash_bytes(read_bytes(path))


def read_picture(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, str]:
    """The picture in a file, and the hash of the bytes that it was decoded from: they are read once for both.

    Raises:
        SemrsmError: The file is missing, broken, too large, or no image.
    """
    content = read_bytes(path)
    return decode(BytesIO(content), str(path), max_pixels), hash_bytes(content)


def read_cached(maxsize: int) -> Callable[[Path], tuple[Image.Image, str]]:
    """`read_picture` that keeps so many pictures, each for as long as its file stays as it is."""

    @lru_cache(maxsize)
    def read(path: Path, _: object) -> tuple[Image.Image, str]:
        return read_picture(path)

    def read_unless_kept(path: Path) -> tuple[Image.Image, str]:
        try:
            status = path.stat()
        except OSError:
            return read_picture(path)  # says what is wrong
        return read(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))

    return read_unless_kept


@dataclass(frozen=True)
class Files:
    """Reads image files, whose ids are their POSIX paths below `root`."""

    root: Path
    max_pixels: int = MAX_PIXELS

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture in the file `image_id`, and the hash of its bytes."""
        return read_picture(self.root / image_id, self.max_pixels)

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """Hash of the file's bytes."""
        return hash_file(self.root / image_id)

    def header(self, image_id: str) -> Header:
        """What the file `image_id` says of its picture."""
        return header_of(self.root / image_id, str(self.root / image_id), self.max_pixels)


@dataclass(frozen=True)
class _Pinned:
    """Another reader whose pictures must have the version keys that they had once."""

    reader: Reader
    keys: dict[str, str]

    def read(self, image_id: str) -> tuple[Image.Image, str]:
        """The picture, unless it was changed since."""
        picture, key = self.reader.read(image_id)
        if key != self.keys[image_id]:
            raise SemrsmError(
                f"the image {image_id} was changed while this ran, so that what was computed before is of another one; "
                "run it again when nothing writes to the images"
            )
        return picture, key

    def version_key(self, image_id: str, hash_file: HashFile = hash_file) -> str:
        """The version key that it had."""
        return self.keys[image_id]

    def header(self, image_id: str) -> Header:
        """What is said of the picture now."""
        return self.reader.header(image_id)


def pin(images: Images, hash_file: HashFile = hash_file) -> Images:
    """The images as they are now: to read one that was changed since is an error.

    Raises:
        SemrsmError: A file is missing or cannot be read.
    """
    with ThreadPoolExecutor(available_cores()) as threads:
        keys = list(threads.map(lambda image_id: images.reader.version_key(image_id, hash_file), images.ids))
    return replace(images, reader=_Pinned(images.reader, dict(zip(images.ids, keys, strict=True))))
