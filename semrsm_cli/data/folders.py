"""Any folder of images, and how image files are found in one."""

import os
from collections.abc import Iterator
from pathlib import Path

from semrsm_cli.data.images import Files, Images, OnError, dataset_root, with_readable
from semrsm_cli.errors import SemrsmError

__all__ = ["SUFFIXES", "folder", "image_paths", "images_in"]

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)


def folder(root: Path | str | None, *, on_error: OnError = OnError.stop) -> Images:
    """All images in a folder and its subfolders, sorted by path; each is a group of its own.

    Hidden files are passed over; links are followed.

    Raises:
        SemrsmError: The folder is missing, is a file, or holds no images.
    """
    if root is None:
        raise SemrsmError("no folder of images is given; set dataset.root=DIR")
    return images_in("folder", dataset_root(root, "the folder"), on_error=on_error)


def images_in(name: str, root: Path, below: Path | None = None, *, on_error: OnError = OnError.stop) -> Images:
    """The images in the folder `below`, as a set whose ids are the POSIX paths from `root`.

    Raises:
        SemrsmError: The folder holds no images.
    """
    ids = tuple(path.relative_to(root).as_posix() for path in image_paths(below or root))
    return with_readable(Images(name, ids, ids, Files(root)), on_error)


def image_paths(root: Path) -> list[Path]:
    """The image files in a folder and its subfolders, sorted by path.

    Raises:
        SemrsmError: There are none, or a folder cannot be read.
    """
    paths = sorted(visible_files(root), key=lambda path: path.as_posix())
    images = [path for path in paths if path.suffix.lower() in SUFFIXES]
    if not images:
        found = f"none of its {len(paths)} files ends" if paths else "it holds no files; images end"
        raise SemrsmError(f"no images in {root}: {found} in {', '.join(suffix[1:] for suffix in SUFFIXES)}")
    return images


def visible_files(root: Path) -> Iterator[Path]:
    """Every file below `root` that is not hidden; a folder that links lead to twice is walked once."""
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if is_visible(name))
        yield from (Path(place, name) for name in names if is_visible(name))


def is_visible(name: str) -> bool:
    """Whether a file or folder is meant to be seen."""
    return not name.startswith(".") and name != "__MACOSX"


def refuse(error: OSError) -> None:
    """Tell which folder cannot be read."""
    raise SemrsmError(f"{error.filename} cannot be read: {error.strerror}") from error
