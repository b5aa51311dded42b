"""How queries and a database are drawn from a set, and how images are kept for validation."""

import csv
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from semrsm_cli.data.images import ImageOrder, Images
from semrsm_cli.data.sets import ClassifiedImages, LabelledImages, Metric, RetrievalSet, RetrievalSplit, TrainingSet
from semrsm_cli.data.tables import read_csv
from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import atomic

__all__ = [
    "draw_split",
    "make_retrieval_set",
    "read_split",
    "split_validation",
    "write_split",
]


def draw_split(
    queries: Images,
    database: Images,
    *,
    n_queries: int | None,
    n_database: int | None,
    seed: int,
    order: ImageOrder = ImageOrder.drawn,
) -> RetrievalSplit:
    """Draw queries and database images, each from images of its own, or both from the same.

    Args:
        queries: The images that may be queries.
        database: Those that may be in the database. If they are the same images, a side takes none of the other's: the
            queries of a seed do not depend on `n_database`, and a larger database begins with the smaller one.
        n_queries: Number of queries; None takes all, or what the database leaves.
        n_database: Number of database images; None takes all, or what the queries leave. With None for both numbers
            every image of a common set is looked for among all.
        seed: Seed of the draw, and of its order where all are taken.
        order: In which order the images of each side are.

    Returns:
        The ids of each side.

    Raises:
        SemrsmError: There are fewer images than asked for.
    """
    if queries.ids == database.ids:
        return _draw_from_one(queries, n_queries, n_database, seed, order)
    sides = ((queries, n_queries, "dataset.n_queries"), (database, n_database, "dataset.n_database"))
    return RetrievalSplit(*(images.draw(n, seed, order, setting=setting).ids for images, n, setting in sides))


def _draw_from_one(
    images: Images, n_queries: int | None, n_database: int | None, seed: int, order: ImageOrder
) -> RetrievalSplit:
    """Both sides from the same images."""
    if n_queries is None and n_database is None:
        every = images.draw(None, seed, order).ids
        return RetrievalSplit(every, every)
    least = [1 if n is None else n for n in (n_queries, n_database)]
    if min(least) < 1 or sum(least) > len(images):
        asked = ["some" if n is None else str(n) for n in (n_queries, n_database)]
        raise SemrsmError(
            f"{asked[0]} queries and {asked[1]} database images are asked for, at least one of each and all different, "
            f"but {images.name} holds {len(images)} images; set dataset.n_queries and n_database to no more"
        )
    drawn = np.random.default_rng(seed).permutation(len(images)).tolist()
    start = len(images) - least[1] if n_queries is None else n_queries
    sides = (drawn[:start], drawn[start:][:n_database])
    return RetrievalSplit(*(tuple(images.ids[i] for i in order.arrange(side)) for side in sides))


def make_retrieval_set(
    labelled: LabelledImages,
    split: RetrievalSplit,
    metric: Metric,
    complete: Callable[[LabelledImages], LabelledImages] = lambda side: side,
) -> RetrievalSet:
    """The queries and the database that a split names.

    Args:
        labelled: The images that it was drawn from.
        split: The ids of both sides.
        metric: How a neighbour is scored, if anything is known of the images.
        complete: What is to be done with the images of each side, once it is known which they are.

    Returns:
        Both sides with what is known of their images.

    Raises:
        SemrsmError: The set lacks an id of the split.
    """
    name = labelled.images.name
    row = {image_id: i for i, image_id in enumerate(labelled.images.ids)}
    missing = [image_id for image_id in (*split.queries, *split.database) if image_id not in row]
    if missing:
        raise SemrsmError(
            f"the split names {len(missing)} images that {name} lacks, the first is {missing[0]}; "
            "draw anew, or give the settings that it was drawn with"
        )
    queries, database = (
        complete(labelled.select([row[image_id] for image_id in side])) for side in (split.queries, split.database)
    )
    return RetrievalSet(name, queries, database, None if queries.counts is None else metric)


def write_split(path: Path, split: RetrievalSplit) -> None:
    """Write the ids as CSV with the columns role (query or database) and image; the file appears as a whole."""
    with atomic(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("role", "image"))
        writer.writerows(("query", image_id) for image_id in split.queries)
        writer.writerows(("database", image_id) for image_id in split.database)


def read_split(path: Path | str) -> RetrievalSplit:
    """Read what `write_split` wrote.

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
    return RetrievalSplit(tuple(sides["query"]), tuple(sides["database"]))


def split_validation(classified: ClassifiedImages, val_fraction: float) -> TrainingSet:
    """Keep the last groups of every class for validation; images of one group stay together.

    Args:
        classified: Images with one class each.
        val_fraction: Share of a class's groups that is kept, rounded up.

    Returns:
        The images to train on, and those to validate with, both in their order.

    Raises:
        SemrsmError: A class has a single group, so that none would be left to train on.
    """
    groups: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (label, group) in enumerate(zip(classified.labels.tolist(), classified.images.groups, strict=True)):
        groups[label][group].append(i)
    kept: list[int] = []
    for label, members in groups.items():
        if len(members) < 2:
            raise SemrsmError(
                f"{classified.images.name} has one image of class {classified.classes[label]}, but one is needed to "
                "train on and another to validate with"
            )
        n = min(len(members) - 1, math.ceil(val_fraction * len(members)))
        kept += [i for group in list(members)[-n:] for i in members[group]]
    chosen = set(kept)
    rest = [i for i in range(len(classified)) if i not in chosen]
    return TrainingSet(classified.select(rest), classified.select(sorted(kept)))
