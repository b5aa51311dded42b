"""How images are found in folders: of any kind, of splits, and of classes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from semrsm_cli.data.content import Files
from semrsm_cli.data.images import BY_DEFAULT, Images, Reading, with_readable
from semrsm_cli.data.sets import ClassifiedImages, TrainingSet
from semrsm_cli.errors import SemrsmError

__all__ = [
    "SPLITS",
    "SUFFIXES",
    "by_folder",
    "classified",
    "image_paths",
    "images_in",
    "split_aliases",
    "split_by_folder",
    "split_folder",
    "split_folders",
]

SPLITS = {"train": ("train", "training"), "val": ("val", "validation", "valid"), "test": ("test", "testing")}
"""What the parts of a data set may be called."""

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)


def images_in(name: str, root: Path, below: Path | None = None, *, reading: Reading = BY_DEFAULT) -> Images:
    """The images in a folder and its subfolders, sorted by path; each is a group of its own.

    Hidden files are passed over; links are followed.

    Args:
        name: Name of the set, as in tables.
        root: The ids of the images are their POSIX paths below it.
        below: The folder, inside the root; None for the root itself.
        reading: How files are read, and what is done with broken ones.

    Returns:
        The images; with `skip` only those that can be read.

    Raises:
        SemrsmError: The folder holds no images.
    """
    ids = tuple(path.relative_to(root).as_posix() for path in image_paths(below or root))
    return with_readable(Images(name, ids, ids, Files(root, reading.max_pixels)), reading)


def image_paths(root: Path) -> list[Path]:
    """The image files in a folder and its subfolders, sorted by path; pipes, sockets and devices are passed over.

    Raises:
        SemrsmError: There are none, a folder cannot be read, or a name is no UTF-8, so that no table could hold it.
    """
    paths = sorted(_visible_files(root), key=lambda path: path.as_posix())
    images = [path for path in paths if path.suffix.lower() in SUFFIXES and not _is_special(path)]
    unwritable = [path for path in images if not _is_utf_8(path.relative_to(root).as_posix())]
    if unwritable:
        first = os.fsencode(unwritable[0].relative_to(root))
        raise SemrsmError(
            f"{len(unwritable)} names of images in {root} are no UTF-8, the first is {first!r}; rename them"
        )
    if not images:
        content = f"none of its {len(paths)} files ends" if paths else "it holds no files; images end"
        raise SemrsmError(f"no images in {root}: {content} in {', '.join(suffix[1:] for suffix in SUFFIXES)}")
    return images


def _visible_files(root: Path) -> Iterator[Path]:
    """Every file below `root` that is not hidden; a folder that links lead to twice is walked once."""
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True, onerror=_refuse):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if _is_visible(name))
        yield from (Path(place, name) for name in names if _is_visible(name))


def _is_visible(name: str) -> bool:
    """Whether a file or folder is meant to be seen."""
    return not name.startswith(".") and name != "__MACOSX"


def _is_special(path: Path) -> bool:
    """Whether it is neither a file nor a link to none, which is for the reader to name."""
    return not path.is_file() and path.exists()


def _is_utf_8(name: str) -> bool:
    """Whether a name that the system gave can be written as text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(error: OSError) -> None:
    """Tell which folder cannot be read."""
    raise SemrsmError(f"{error.filename} cannot be read: {error.strerror}") from error


def split_aliases(split: str) -> tuple[str, ...]:
    """How a split may be called, first as it was given."""
    for names in SPLITS.values():
        if split in names:
            return (split, *(name for name in names if name != split))
    return (split,)


def split_folder(root: Path, split: str, layouts: tuple[str, ...]) -> Path | None:
    """Where a split lies in the first layout that has it."""
    places = [root / layout / alias for layout in layouts for alias in split_aliases(split)]
    return next((place for place in places if place.is_dir()), None)


def split_folders(name: str, root: Path, layouts: tuple[str, ...], reading: Reading) -> TrainingSet:
    """Training and validation images, both with class folders.

    Args:
        name: Name of the set, as in tables.
        root: The folder of the set.
        layouts: Where below the root the folders of the splits may lie.
        reading: How files are read, and what is done with broken ones.

    Returns:
        Both splits.

    Raises:
        SemrsmError: A split is missing, an image lies in no class folder, or the splits have different classes.
    """
    return TrainingSet(*(split_by_folder(name, root, split, layouts, reading) for split in ("train", "val")))


def split_by_folder(name: str, root: Path, split: str, layouts: tuple[str, ...], reading: Reading) -> ClassifiedImages:
    """The images of a split by class folders; see `split_folders`."""
    below = split_folder(root, split, layouts)
    if below is None:
        raise SemrsmError(f"{root} has no split {split!r}; training takes train and val, each with class folders")
    images = images_in(name, root, below, reading=reading)
    return by_folder(images, PurePosixPath(below.relative_to(root).as_posix()))


def by_folder(images: Images, below: PurePosixPath) -> ClassifiedImages:
    """Images whose class is the first folder on their path below `below`.

    Raises:
        SemrsmError: An image lies in no such folder.
    """
    depth = len(below.parts)
    loose = [image_id for image_id in images.ids if len(PurePosixPath(image_id).parts) < depth + 2]
    if loose:
        raise SemrsmError(
            f"{images.name} holds {len(loose)} images outside of class folders, the first is {loose[0]}; "
            "put the images of each class into a folder of its own"
        )
    return classified(images, lambda image_id: PurePosixPath(image_id).parts[depth])


def classified(images: Images, class_of: Callable[[str], str]) -> ClassifiedImages:
    """Images with the classes that a function of their ids tells, numbered in alphabetical order."""
    names = [class_of(image_id) for image_id in images.ids]
    classes = tuple(sorted(set(names)))
    number = {name: i for i, name in enumerate(classes)}
    return ClassifiedImages(images, classes, np.array([number[name] for name in names], np.int64))
