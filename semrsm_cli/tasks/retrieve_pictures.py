"""What `semrsm retrieve` draws: scores, neighbours, and what was matched to what."""

import numpy as np
import pandas as pd
from PIL import Image

from semrsm_cli.config import POOLED, RetrieveConfig
from semrsm_cli.data import LabelledImages, RetrievalSet
from semrsm_cli.matching import Matching, match
from semrsm_cli.models import Network
from semrsm_cli.report.figures.retrieve import (
    MatchedPicture,
    Picture,
    matched_figure,
    neighbours_figure,
    scores_figure,
)
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Invariance
from semrsm_cli.tasks.retrieve_ranking import Embedded, Ranking

__all__ = ["draw_figures"]


def draw_figures(
    folder: RunFolder,
    rankings: list[Ranking],
    table: pd.DataFrame,
    found: RetrievalSet,
    embedded: Embedded,
    config: RetrieveConfig,
) -> None:
    """Bars (Figure 3), neighbours of some queries (Figures 4, 8 to 12), and what was matched to what."""
    if found.metric is not None:
        folder.figure("scores", scores_figure(table, metric=str(found.metric)))
    drawn = {r.invariance: r for r in rankings if r.kernel == config.kernels[0] and r.invariance != POOLED}
    shown = telling_queries(drawn, config.n_pictures)
    for number, query in enumerate(shown, start=1):
        rows = {
            invariance: [
                picture(found.database, j, None if r.scores is None else float(r.scores[query, rank]))
                for rank, j in enumerate(r.neighbours[query])
                if j >= 0
            ]
            for invariance, r in drawn.items()
        }
        title = f"{config.model.label}, {config.kernels[0]} kernel"
        folder.figure(f"neighbours_{number}", neighbours_figure(picture(found.queries, query, None), rows, title=title))
        if str(Invariance.permutation) in drawn and embedded.grid is not None:
            nearest = int(drawn[str(Invariance.permutation)].neighbours[query, 0])
            folder.figure(f"matched_{number}", matched_figure(matched_picture(found, embedded, query, nearest)))


def telling_queries(drawn: dict[str, Ranking], n: int) -> list[int]:
    """The first queries at which permutation invariance changes the first neighbour's score, then the first others."""
    semantic, plain = drawn.get(str(Invariance.permutation)), drawn.get(str(Invariance.none))
    n_queries = len(next(iter(drawn.values())).neighbours) if drawn else 0
    if semantic is None or plain is None:
        return list(range(min(n, n_queries)))
    if semantic.scores is not None and plain.scores is not None:
        changed = semantic.scores[:, 0] != plain.scores[:, 0]
    else:
        changed = semantic.neighbours[:, 0] != plain.neighbours[:, 0]
    return [int(query) for query in np.argsort(~changed, kind="stable")[:n]]


def picture(side: LabelledImages, index: int, score: float | None) -> Picture:
    """An image with its objects and its score."""
    return Picture(side.images[index], side.objects(index), score)


def matched_picture(found: RetrievalSet, embedded: Embedded, query: int, neighbour: int) -> MatchedPicture:
    """Which position of the query the matching gave to which position of its neighbour, and what each pair is worth."""
    x, y = embedded.queries[query : query + 1][0], embedded.database[neighbour : neighbour + 1][0]
    affinity = x @ y.T
    matching: Matching = match(affinity)
    worth = affinity[np.arange(len(affinity)), matching.col_of_row]
    assert embedded.grid is not None
    seen = [
        as_seen(embedded.network, image) for image in (found.queries.images[query], found.database.images[neighbour])
    ]
    return MatchedPicture(seen[0], seen[1], embedded.grid, matching.col_of_row, worth)


def as_seen(network: Network, image: Image.Image) -> np.ndarray:
    """The image as the network's preprocessing leaves it [h, w, 3], brought back to the range 0 to 1."""
    pixels: np.ndarray = network.preprocess(image).permute(1, 2, 0).numpy()
    seen: np.ndarray = (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1e-12)
    return seen
