"""The class of each image, where `semrsm cka` is told of it."""

import csv
from pathlib import Path, PurePosixPath

from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.pipeline.sources import Source

__all__ = ["classes_of"]

_FOLDERS = "folders"
_COLUMNS = ("image", "class")


def classes_of(a: Source, b: Source, classes: str | None) -> tuple[str, ...] | None:
    """The class of each image of two networks: from a table, or the folder that it lies in; None where it is not asked.

    Raises:
        ConfigError: The images have no ids, or lie in no folders.
        SemrsmError: The table cannot be read, lacks an image, or gives one two classes.
    """
    if classes is None:
        return None
    ids = a.ids or b.ids
    if ids is None:
        raise ConfigError("classes= needs the ids of the images; give them in NAME.ids.csv beside the file of x=")
    if classes == _FOLDERS:
        loose = [image for image in ids if len(PurePosixPath(image).parts) < 2]
        if loose:
            raise ConfigError(f"classes=folders needs images in folders, but {loose[0]} lies in none; give a CSV file")
        return tuple(str(PurePosixPath(image).parent) for image in ids)
    known = _read(Path(classes).expanduser())
    missing = [image for image in ids if image not in known]
    if missing:
        raise SemrsmError(f"{classes} says nothing of {len(missing)} of {len(ids)} images, the first is {missing[0]}")
    return tuple(known[image] for image in ids)


def _read(path: Path) -> dict[str, str]:
    """The class of each image in a table."""
    known: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, restval="")
            lacking = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
            if lacking:
                raise SemrsmError(f"{path} must have the columns image and class, it lacks {' and '.join(lacking)}")
            for row in rows:
                if known.setdefault(row["image"], row["class"]) != row["class"]:
                    raise SemrsmError(
                        f"{path} gives {row['image']} two classes, {known[row['image']]} and {row['class']}; leave one"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SemrsmError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}") from error
    return known
