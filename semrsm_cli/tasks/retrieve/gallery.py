"""What `semrsm retrieve` leaves for a gallery: pictures as the network sees them, and which patches were matched."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from PIL import Image

from semrsm_cli.data import LabelledImages, RetrievalSet
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Invariance
from semrsm_cli.tasks.retrieve.ranking import Ranking

__all__ = ["MatchPatches", "keep_gallery"]

MatchPatches = Callable[[int, int], tuple[tuple[int, int], np.ndarray] | None]
"""Of a query and a database image: the grid [height, width], and for each patch of the query the one that it is matched
to, -1 for none; None where positions lie on no grid."""

_N_QUERIES = 12
_SIDE = 160  # pixels of the longer side
_COLUMNS = ("query", "neighbour", "height", "width")


def keep_gallery(
    folder: RunFolder,
    rankings: Sequence[Ranking],
    images: RetrievalSet,
    *,
    n_queries: int,
    see: Callable[[Image.Image], Image.Image],
    match: MatchPatches,
) -> None:
    """Write gallery.csv with a picture of each image, and matched.csv with the rows of arrays/matched.npy.

    Args:
        folder: The run.
        rankings: Neighbours under every kernel and invariance.
        images: Queries and database.
        n_queries: Of so many queries at most; of twelve, if that is fewer.
        see: A picture as the network sees it.
        match: What was matched to what.
    """
    queries = range(min(n_queries, _N_QUERIES, len(images.queries)))
    shown: dict[str, tuple[LabelledImages, int]] = {}
    rows, matched = [], []
    for query in queries:
        shown.setdefault(images.queries.images.ids[query], (images.queries, query))
        for neighbour in _neighbours_of(rankings, query):
            shown.setdefault(images.database.images.ids[neighbour], (images.database, neighbour))
        for neighbour in _neighbours_of([r for r in rankings if r.invariance is Invariance.permutation], query):
            found = match(query, neighbour)
            if found is not None:
                ids = images.queries.images.ids[query], images.database.images.ids[neighbour]
                rows.append((*ids, *found[0]))
                matched.append(found[1])
    _keep_pictures(folder, shown, see)
    if matched:
        folder.data("matched", pd.DataFrame(rows, columns=list(_COLUMNS)))
        folder.array("matched", np.stack(matched).astype(np.int32))


def _neighbours_of(rankings: Sequence[Ranking], query: int) -> list[int]:
    """All images that are neighbours of a query in some of the rankings."""
    every = [int(neighbour) for ranking in rankings for neighbour in ranking.neighbours[query]]
    return [neighbour for neighbour in dict.fromkeys(every) if neighbour >= 0]


def _keep_pictures(
    folder: RunFolder, shown: dict[str, tuple[LabelledImages, int]], see: Callable[[Image.Image], Image.Image]
) -> None:
    """Write the pictures, and which image is in which file."""
    rows = []
    for number, (image, (side, index)) in enumerate(shown.items(), start=1):
        seen = see(side.images[index])
        seen.thumbnail((_SIDE, _SIDE))
        folder.thumbnail(f"seen_{number:04d}", seen)
        objects = ", ".join(f"{count} {name}" for name, count in side.objects(index).items())
        rows.append({"image": image, "file": f"thumbnails/seen_{number:04d}.jpg", "objects": objects})
    if rows:
        folder.data("gallery", pd.DataFrame(rows))
