"""What `semrsm retrieve` draws of its images: neighbours, and what was matched to what."""

from functools import cache

import numpy as np
import pandas as pd
from PIL import Image

from semrsm_cli.config import RetrieveConfig
from semrsm_cli.data import LabelledImages, RetrievalSet
from semrsm_cli.models import ClsToken, Network
from semrsm_cli.models.capture import token_grid
from semrsm_cli.report.figures.retrieve import (
    MatchedPicture,
    Picture,
    matched_figure,
    neighbours_figure,
)
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Invariance
from semrsm_cli.tasks.retrieve.gallery import keep_gallery
from semrsm_cli.tasks.retrieve.ranking import Embedded, Ranking

__all__ = ["draw_figures"]

_THUMBNAIL = 192  # pixels of the longer side


def draw_figures(
    folder: RunFolder,
    rankings: list[Ranking],
    images: RetrievalSet,
    embedded: Embedded,
    config: RetrieveConfig,
) -> None:
    """Neighbours of some queries (Figures 4, 8 to 12), what was matched to what, and pictures for a report."""

    @cache
    def size_as_seen(query: int) -> tuple[int, ...]:
        return _as_seen(embedded.network, images.queries.images[query]).shape[:2]

    keep_gallery(
        folder,
        rankings,
        images,
        n_queries=config.n_thumbnails,
        see=lambda image: Image.fromarray(np.uint8(255 * _as_seen(embedded.network, image))),
        match=lambda query, neighbour: _matched_patches(embedded, query, neighbour, config, size=size_as_seen(query)),
    )
    of_kernel: dict[Invariance, Ranking] = {r.invariance: r for r in rankings if r.kernel == config.kernels[0]}
    drawn = of_kernel.copy()
    drawn.pop(Invariance.pooled, None)  # its mean vectors have no positions to draw
    if not drawn:
        return
    semantic = drawn.get(Invariance.permutation)
    title = f"{config.model.label}, {config.kernels[0]} kernel"
    for number, query in enumerate(_changed_queries(drawn, config.n_pictures), start=1):
        rows = {str(invariance): _pictures_of(ranking, query, images) for invariance, ranking in drawn.items()}
        shown = _picture(images.queries, query, None)
        folder.figure(f"neighbours_{number}", neighbours_figure(shown, rows, title=title))
        matched = _matched_picture(images, embedded, query, semantic, config) if semantic else None
        if matched is not None:
            folder.figure(f"matched_{number}", matched_figure(matched))
    _keep_thumbnails(folder, list(drawn.values()), images, config.n_thumbnails)


def _keep_thumbnails(folder: RunFolder, drawn: list[Ranking], images: RetrievalSet, n_queries: int) -> None:
    """Write small pictures of the first queries and their neighbours, and a table of which image is in which file."""
    shown: dict[str, tuple[LabelledImages, int]] = {}
    for query in range(min(n_queries, len(images.queries))):
        shown.setdefault(images.queries.images.ids[query], (images.queries, query))
        for neighbour in np.concatenate([ranking.neighbours[query] for ranking in drawn]):
            if neighbour >= 0:
                shown.setdefault(images.database.images.ids[neighbour], (images.database, int(neighbour)))
    rows = []
    for number, (image, (side, index)) in enumerate(shown.items(), start=1):
        small = side.images[index]
        small.thumbnail((_THUMBNAIL, _THUMBNAIL))
        folder.thumbnail(f"{number:04d}", small)
        objects = ", ".join(f"{count} {name}" for name, count in side.objects(index).items())
        rows.append({"image": image, "file": f"thumbnails/{number:04d}.jpg", "objects": objects})
    if rows:
        folder.data("thumbnails", pd.DataFrame(rows))


def _changed_queries(drawn: dict[Invariance, Ranking], n: int) -> list[int]:
    """The first queries at which permutation invariance changes the first neighbour's score, then the first others."""
    semantic, plain = drawn.get(Invariance.permutation), drawn.get(Invariance.none)
    n_queries = len(next(iter(drawn.values())).neighbours)
    if semantic is None or plain is None:
        return list(range(min(n, n_queries)))
    if semantic.scores is not None and plain.scores is not None:
        changed = semantic.scores[:, 0] != plain.scores[:, 0]
    else:
        changed = semantic.neighbours[:, 0] != plain.neighbours[:, 0]
    return [int(query) for query in np.argsort(~changed, kind="stable")[:n]]


def _picture(side: LabelledImages, index: int, score: float | None, similarity: float | None = None) -> Picture:
    """An image with its objects, its score and its similarity."""
    return Picture(side.images[index], side.objects(index), score, similarity)


def _pictures_of(ranking: Ranking, query: int, images: RetrievalSet) -> list[Picture]:
    """The neighbours of a query, with what they show and their scores."""
    scores = np.full(len(ranking.neighbours[query]), None) if ranking.scores is None else ranking.scores[query]
    found = zip(ranking.neighbours[query], scores, ranking.similarities[query], strict=True)
    return [_picture(images.database, neighbour, *numbers) for neighbour, *numbers in found if neighbour >= 0]


def _matched_picture(
    images: RetrievalSet, embedded: Embedded, query: int, semantic: Ranking, config: RetrieveConfig
) -> MatchedPicture | None:
    """Which patch of the query was matched to which patch of its nearest neighbour; None where layers have no patches.

    Class tokens take part in the matching, but are no place in the picture.
    """
    neighbour = int(semantic.neighbours[query, 0])
    pictures = _pair(images, query, neighbour)
    seen = _as_seen(embedded.network, pictures[1])
    height, width = seen.shape[:2]
    if config.query_size is None:
        shown = _as_seen(embedded.network, pictures[0])
        grid, n_prefix = _patches(embedded, config, shown.shape[:2])
        grid_of_neighbour = grid
    else:
        shown = np.asarray(pictures[0].convert("RGB").resize((width, height))) / 255
        grid, grid_of_neighbour, n_prefix = embedded.compared.places, embedded.compared.places_y, 0
    if grid is None or grid_of_neighbour is None:
        return None
    col_of_row, affinity = _match(embedded, query, neighbour, config)
    pairs = np.stack([np.arange(len(col_of_row)), col_of_row], axis=1)
    pairs = pairs[(pairs >= n_prefix).all(axis=1)]
    if not len(pairs):
        return None
    worth = affinity[pairs[:, 0], pairs[:, 1]]
    return MatchedPicture(shown, seen, grid, grid_of_neighbour, pairs - n_prefix, worth)


def _matched_patches(
    embedded: Embedded, query: int, neighbour: int, config: RetrieveConfig, *, size: tuple[int, ...]
) -> tuple[tuple[int, int], np.ndarray] | None:
    """The grid, and for each patch of the query the one that it is matched to; -1 for none, or for a class token.

    `size` is that of the query as the network sees it. None also where a query has another grid than its neighbours.
    """
    if config.query_size is not None:
        return None
    grid, n_prefix = _patches(embedded, config, size)
    if grid is None:
        return None
    col_of_row = _match(embedded, query, neighbour, config)[0][n_prefix:]
    return grid, np.where(col_of_row < n_prefix, -1, col_of_row - n_prefix)


def _pair(images: RetrievalSet, query: int, neighbour: int) -> tuple[Image.Image, Image.Image]:
    """A query and an image of the database."""
    return images.queries.images[query], images.database.images[neighbour]


def _match(embedded: Embedded, query: int, neighbour: int, config: RetrieveConfig) -> tuple[np.ndarray, np.ndarray]:
    """The partners of the positions [s] of a query in an image, -1 for none, and their affinity [s, t]."""
    x, y = embedded.queries[query : query + 1][0], embedded.database[neighbour : neighbour + 1][0]
    affinity = x @ y.T
    unit_of = embedded.compared.unit_of
    unit = unit_of.value if config.matching.floor is not None and unit_of is not None else 1.0
    return config.matching.match(affinity, x=x, y=y, unit=unit).col_of_row, affinity


def _patches(embedded: Embedded, config: RetrieveConfig, size: tuple[int, ...]) -> tuple[tuple[int, int] | None, int]:
    """The grid on which the positions lie in an image of [height, width] pixels, and how many tokens come before it."""
    if embedded.compared.grid is not None:
        return embedded.compared.grid, 0
    prefix = embedded.network.prefix_tokens if config.model.cls_token is ClsToken.keep else 0
    height, width = size
    for n_prefix in dict.fromkeys((prefix, 0)):
        grid = token_grid(embedded.queries.shape[1] - n_prefix, (height, width))
        if grid is not None:
            return grid, n_prefix
    return None, 0


def _as_seen(network: Network, image: Image.Image) -> np.ndarray:
    """The image as the network's preprocessing leaves it [h, w, 3], brought back to the range 0 to 1."""
    pixels: np.ndarray = network.preprocess(image).permute(1, 2, 0).numpy()
    seen: np.ndarray = (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1e-12)
    return seen
