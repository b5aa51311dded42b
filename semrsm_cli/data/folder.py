"""The user's own images as queries and database, with or without a table of what they show."""

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from semrsm_cli.data.folders import folder
from semrsm_cli.data.images import Images, OnError
from semrsm_cli.data.retrieval import (
    LabelledImages,
    Metric,
    RetrievalSet,
    draw_disjoint,
    drawn,
    read_csv,
    read_draw,
)
from semrsm_cli.errors import SemrsmError

__all__ = ["labelled_folder", "labelled_images"]


def labelled_folder(
    root: Path | str | None,
    labels: Path | str | None = None,
    *,
    metric: Metric = Metric.count_f1,
    n_queries: int | None = None,
    n_database: int | None = None,
    seed: int = 0,
    draw: Path | str | None = None,
    on_error: OnError = OnError.stop,
) -> RetrievalSet:
    """Queries and database images out of any folder.

    Args:
        root: The folder.
        labels: CSV file of what the images show, see `labelled_images`; None: neighbours are found, but not scored.
        metric: How a neighbour is scored if there are labels.
        n_queries: Number of queries; with None for both numbers every image is looked for among all others.
        n_database: Number of database images.
        seed: Seed of the draw.
        draw: File of ids to use instead of drawing.
        on_error: What to do with broken images.

    Raises:
        SemrsmError: Images or labels are missing or contradict each other, or there are fewer than asked for.
    """
    labelled = labelled_images(folder(root, on_error=on_error), labels)
    ids = read_draw(draw) if draw else draw_disjoint(labelled.images, n_queries, n_database, seed)
    return drawn(labelled, ids, metric)


def labelled_images(images: Images, labels: Path | str | None) -> LabelledImages:
    """Images with what a CSV file says of them: columns image, class, and if wanted group and count.

    A line says that an image shows `count` objects (1 if left empty) of a class; an image that shows nothing has a line
    with an empty class. Images of one group are no answer to each other; by default each is a group of its own.

    Raises:
        SemrsmError: The file cannot be read, a line is wrong, or files and lines do not fit each other.
    """
    if labels is None:
        return LabelledImages(images, (), None, images.ids, ("",) * len(images))
    path = Path(labels).expanduser()
    groups: dict[str, str] = {}
    instances: Counter[tuple[str, str]] = Counter()
    for line, row in read_csv(path, required=("image", "class")):
        image = PurePosixPath(row["image"]).as_posix()
        group = row.get("group") or image
        if groups.setdefault(image, group) != group:
            raise SemrsmError(f"{path}, line {line}: {image} is of group {group} here, and of {groups[image]} above")
        if row["class"]:
            instances[image, row["class"]] += number(row.get("count") or "1", f"{path}, line {line}")
    require_same(images, groups, path)
    classes = sorted({name for _, name in instances})
    counts = np.array([[instances[image, name] for name in classes] for image in images.ids], np.int64)
    videos = tuple(groups[image] for image in images.ids)
    return LabelledImages(
        replace(images, groups=videos),
        tuple(classes),
        counts.reshape(len(images), len(classes)),
        videos,
        ("",) * len(images),
    )


def number(text: str, place: str) -> int:
    """A count of objects.

    Raises:
        SemrsmError: It is no whole number from 0 on.
    """
    if not (text.isascii() and text.isdigit()):
        raise SemrsmError(f"{place}: count must be a whole number from 0 on, got {text!r}")
    return int(text)


def require_same(images: Images, described: dict[str, str], path: Path) -> None:
    """Raise SemrsmError unless the images and those that the file describes are the same, but for skipped ones."""
    present = {*images.ids, *images.skipped}
    unknown = [image for image in described if image not in present]
    if unknown:
        raise SemrsmError(f"{path} describes {len(unknown)} images that the folder lacks, the first is {unknown[0]}")
    silent = [image for image in images.ids if image not in described]
    if silent:
        raise SemrsmError(
            f"{path} says nothing of {len(silent)} of {len(images)} images, the first is {silent[0]}; "
            "add a line for each, with an empty class where nothing is shown"
        )
