"""Sets of queries and of database images whose contents are known, and how they are drawn."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semrsm_cli.data.images import Images, OnError, with_readable
from semrsm_cli.errors import SemrsmError

__all__ = [
    "Draw",
    "LabelledImages",
    "Metric",
    "RetrievalSet",
    "draw_disjoint",
    "drawn",
    "read_csv",
    "read_draw",
    "write_draw",
]

Counts = npt.NDArray[np.int64]


class Metric(StrEnum):
    """How a neighbour is scored: F1 of the instance counts (Eq. 9-12), or IoU of the classes that are present."""

    count_f1 = "count_f1"
    presence_iou = "presence_iou"


@dataclass(frozen=True)
class LabelledImages:
    """Images, and what is known of each.

    Attributes:
        images: The n images; the group of each is its scene.
        classes: Names of the k classes.
        counts: Instances of each class, or 1 where it is present, [n, k]; None if nothing is known.
        videos: What each was filmed in; a query's own video is no answer to it.
        conditions: Under which conditions, in words; empty if nothing is known.
    """

    images: Images
    classes: tuple[str, ...]
    counts: Counts | None
    videos: tuple[str, ...]
    conditions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def scenes(self) -> tuple[str, ...]:
        """Which scene each image shows; several videos may show one."""
        return self.images.groups

    def select(self, indices: Sequence[int]) -> "LabelledImages":
        """The images at `indices`, in that order, with what is known of them."""
        return replace(
            self,
            images=self.images.select(indices),
            counts=None if self.counts is None else self.counts[list(indices)],
            videos=tuple(self.videos[i] for i in indices),
            conditions=tuple(self.conditions[i] for i in indices),
        )

    def readable(self, on_error: OnError) -> "LabelledImages":
        """The images as they are, or with `skip` those that can be read; their `images.skipped` names the others."""
        images = with_readable(self.images, on_error)
        kept = set(images.ids)
        chosen = self.select([i for i, image_id in enumerate(self.images.ids) if image_id in kept])
        return replace(chosen, images=images)

    def objects(self, index: int) -> dict[str, int]:
        """What image `index` shows: the classes that it holds, with their counts."""
        if self.counts is None:
            return {}
        return {self.classes[k]: int(self.counts[index, k]) for k in np.flatnonzero(self.counts[index])}


@dataclass(frozen=True)
class Draw:
    """Ids of the images that were drawn, in the order of their set."""

    queries: tuple[str, ...]
    database: tuple[str, ...]


@dataclass(frozen=True)
class RetrievalSet:
    """For each query the nearest image of the database is looked for.

    Attributes:
        name: Name of the set, as in tables.
        queries: The images to look for.
        database: The images to look among; they have the classes of the queries.
        metric: How a neighbour is scored; None if nothing is known of the images.
    """

    name: str
    queries: LabelledImages
    database: LabelledImages
    metric: Metric | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that both sides are counted by."""
        return self.queries.classes

    @property
    def draw(self) -> Draw:
        """The ids of both sides, to be written and used again."""
        return Draw(self.queries.images.ids, self.database.images.ids)


def draw_disjoint(images: Images, n_queries: int | None, n_database: int | None, seed: int) -> Draw:
    """Draw queries and database images that share none, each in the order of the set.

    The queries of a seed do not depend on `n_database`, and a larger database holds the smaller one. With one number
    None that side takes what the other leaves; with both None every image is looked for among all.

    Raises:
        SemrsmError: There are fewer images than asked for.
    """
    if n_queries is None and n_database is None:
        return Draw(images.ids, images.ids)
    least = [1 if n is None else n for n in (n_queries, n_database)]
    if min(least) < 1 or sum(least) > len(images):
        asked = ["some" if n is None else str(n) for n in (n_queries, n_database)]
        raise SemrsmError(
            f"{asked[0]} queries and {asked[1]} database images are asked for, at least one of each and all different, "
            f"but {images.name} holds {len(images)} images; change n_queries or n_database"
        )
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    start = len(images) - least[1] if n_queries is None else n_queries
    sides = (order[:start], order[start:][:n_database])
    return Draw(*(tuple(images.ids[i] for i in sorted(side)) for side in sides))


def drawn(
    labelled: LabelledImages, draw: Draw, metric: Metric | None, *, on_error: OnError = OnError.stop
) -> RetrievalSet:
    """The retrieval set of the ids in `draw`; what cannot be read of them is left out where `on_error` is `skip`.

    Raises:
        SemrsmError: The set lacks an id of the draw.
    """
    images = labelled.images
    row = {image_id: i for i, image_id in enumerate(images.ids)}
    missing = [image_id for image_id in (*draw.queries, *draw.database) if image_id not in row]
    if missing:
        raise SemrsmError(
            f"the draw names {len(missing)} images that {images.name} lacks, the first is {missing[0]}; "
            "draw anew, or give the settings that it was drawn with"
        )
    queries, database = (
        labelled.select([row[image_id] for image_id in side]).readable(on_error)
        for side in (draw.queries, draw.database)
    )
    return RetrievalSet(images.name, queries, database, metric if labelled.counts is not None else None)


def write_draw(path: Path, draw: Draw) -> None:
    """Write the ids as CSV with the columns role (query or database) and image; the file appears as a whole."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("role", "image"))
        writer.writerows(("query", image_id) for image_id in draw.queries)
        writer.writerows(("database", image_id) for image_id in draw.database)
    unfinished.replace(path)


def read_draw(path: Path | str) -> Draw:
    """Read what `write_draw` wrote.

    Raises:
        SemrsmError: The file is missing, is none of that kind, or names an image twice on one side.
    """
    path = Path(path).expanduser()
    sides: dict[str, list[str]] = {"query": [], "database": []}
    for line, row in read_csv(path, required=("role", "image")):
        if row["role"] not in sides:
            raise SemrsmError(f"{path}, line {line}: role must be query or database, got {row['role']!r}")
        sides[row["role"]].append(row["image"])
    for role, ids in sides.items():
        if not ids:
            raise SemrsmError(f"{path} names no image of role {role}; it must name both, query and database")
        if len(set(ids)) != len(ids):
            raise SemrsmError(f"{path} names {len(ids) - len(set(ids))} images of role {role} twice; remove them")
    return Draw(tuple(sides["query"]), tuple(sides["database"]))


def read_csv(path: Path, required: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers, cells stripped, missing cells empty.

    Raises:
        SemrsmError: The file cannot be read, or lacks a required column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = reader.fieldnames or []
            rows = [
                (reader.line_num, {name: (cell or "").strip() for name, cell in row.items() if name}) for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SemrsmError(f"{path} cannot be read as CSV: {getattr(error, 'strerror', None) or error}") from error
    lacking = [name for name in required if name not in columns]
    if lacking:
        raise SemrsmError(f"{path} lacks the column {lacking[0]!r}; its first line must name {', '.join(required)}")
    return rows
