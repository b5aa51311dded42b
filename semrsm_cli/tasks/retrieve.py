"""`semrsm retrieve`: whose nearest neighbour shows the same things? (Section 4.2, Appendix D)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from semrsm_cli import data, store
from semrsm_cli.config import (
    POOLED,
    CityscapesConfig,
    DatasetConfig,
    EgoobjectsConfig,
    FolderConfig,
    RetrievalSetConfig,
    RetrieveConfig,
    ScenesConfig,
)
from semrsm_cli.data import LabelledImages, Metric, RetrievalSet
from semrsm_cli.errors import ConfigError, SemrsmError
from semrsm_cli.matching import Matching, match
from semrsm_cli.measures.retrieval import (
    best_of,
    bootstrap_interval,
    count_f1,
    neighbour_scores,
    neighbours,
    presence_iou,
)
from semrsm_cli.models import Network
from semrsm_cli.report import paper
from semrsm_cli.report.figures.retrieve import (
    MatchedPicture,
    Picture,
    matched_figure,
    neighbours_figure,
    scores_figure,
)
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import say, tracked
from semrsm_cli.rsm import Centered, Gram, Invariance, Kernel, gram, kernel, mean
from semrsm_cli.tasks.extract import filming_of, load_network, note_network, represent, selection_of
from semrsm_cli.tasks.rsm import gram_in_store, matching_options

__all__ = ["retrieve"]

PAPER_TABLE = {"egoobjects": (2, "f1_at_1"), "cityscapes": (3, "iou_at_1")}


@dataclass(frozen=True)
class Embedded:
    """Both sides of a retrieval set as centred concept vectors, and what their content is called in the store."""

    network: Network
    queries: Centered
    database: Centered
    key: str
    grid: tuple[int, int] | None


@dataclass(frozen=True)
class Ranking:
    """The k neighbours [q, k] of every query under one kernel and invariance, their similarities and scores."""

    kernel: Kernel
    invariance: str
    neighbours: np.ndarray
    similarities: np.ndarray
    scores: np.ndarray | None


def retrieve(config: RetrieveConfig, folder: RunFolder) -> pd.DataFrame:
    """Rank the database for every query under each kernel and invariance; one row each, with the paper's number."""
    found = open_retrieval_set(config.dataset, config.seed)
    embedded = embed(found, config, folder)
    with folder.timed("match"):
        rankings = list(rank(found, embedded, config))
    table = scores_table(rankings, found, config)
    folder.table("retrieval", table)
    folder.data("neighbours", neighbours_table(rankings, found))
    folder.data("draw", draw_table(found))
    folder.note(seed=config.seed, centering=str(config.centering), shortlist=config.shortlist)
    draw_figures(folder, rankings, table, found, embedded, config)
    return table


def open_retrieval_set(config: DatasetConfig, seed: int) -> RetrievalSet:
    """Queries and database images of the set that the settings name."""
    match config:
        case ScenesConfig():
            found = data.scenes(store.cache_folder() / "scenes", filming_of(config), **draw_options(config, seed))
        case EgoobjectsConfig():
            found = data.egoobjects(
                config.root, selection_of(config), on_error=config.on_error, **draw_options(config, seed)
            )
        case CityscapesConfig():
            found = data.cityscapes(
                config.root,
                class_set=config.class_set,
                min_pixels=config.min_pixels,
                on_error=config.on_error,
                **draw_options(config, seed),
            )
        case FolderConfig():
            found = data.labelled_folder(
                config.root,
                config.labels,
                metric=config.metric,
                on_error=config.on_error,
                **draw_options(config, seed),
            )
        case _:
            raise ConfigError(
                f"dataset={config.name} holds no queries; choose dataset=egoobjects, cityscapes, scenes or folder"
            )
    for side in (found.queries, found.database):
        if side.images.skipped:
            say(f"{found.name}: skipped {len(side.images.skipped)} images, the first is {side.images.skipped[0]}")
    return found


def draw_options(config: RetrievalSetConfig, seed: int) -> dict[str, Any]:
    """The keyword arguments that say which images are drawn."""
    return {"n_queries": config.n_queries, "n_database": config.n_database, "seed": seed, "draw": config.draw}


def embed(found: RetrievalSet, config: RetrieveConfig, folder: RunFolder) -> Embedded:
    """Representations of both sides, less the database's mean (Appendix D.1)."""
    network = load_network(config.model, config.runtime)
    note_network(folder, config.model, network)
    with folder.timed("extract"):
        sides = [
            represent(network, side.images, config.model, config.runtime).layers
            for side in (found.queries, found.database)
        ]
    if len(sides[0]) != 1:
        raise ConfigError(f"retrieve reads one layer, got {len(sides[0])}: {', '.join(sides[0])}; name one of them")
    queries, database = (next(iter(side.values())) for side in sides)
    folder.note(
        dataset=found.name,
        n_queries=len(queries),
        n_database=len(database),
        layer=next(iter(sides[0])),
        positions=queries.shape[1],
        channels=queries.shape[2],
        image_ids_hash=store.digest([found.draw.queries, found.draw.database]),
    )
    center = mean(database, config.centering)
    key = store.digest([queries.key, database.key, str(config.centering)])
    return Embedded(network, Centered(queries, center), Centered(database, center), key, queries.grid)


def rank(found: RetrievalSet, embedded: Embedded, config: RetrieveConfig) -> Iterator[Ranking]:
    """The neighbours under every invariance and kernel; all kernels come from one matching."""
    scores = score_all(found)
    allowed = shortlisted(found, embedded, config) if config.shortlist else None
    for invariance in config.invariances:
        inner = inner_products(invariance, embedded, config, allowed)
        for name in config.kernels:
            similarity = kernel(inner, name, sigma=config.sigma, sigma_tile=config.sigma_tile)
            if allowed is not None and invariance != POOLED:
                similarity = np.where(allowed, similarity, -np.inf)
            nearest = neighbours_of(similarity, found, config.k)
            values = neighbour_scores(similarity, nearest)
            yield Ranking(
                name, invariance, nearest, values, None if scores is None else neighbour_scores(scores, nearest)
            )


def neighbours_of(similarity: np.ndarray, found: RetrievalSet, k: int) -> np.ndarray:
    """The k nearest images that are of another video than the query."""
    try:
        return neighbours(similarity, k=k, query_groups=found.queries.videos, database_groups=found.database.videos)
    except ValueError as error:
        raise SemrsmError(f"{found.name}: {error}") from error


def inner_products(invariance: str, embedded: Embedded, config: RetrieveConfig, allowed: np.ndarray | None) -> Gram:
    """Matched inner products of queries and database."""
    if invariance == POOLED:
        return gram(pooled(embedded.queries), pooled(embedded.database), invariance=Invariance.none)
    if Invariance(invariance) is Invariance.translation and embedded.grid is None:
        raise ConfigError("invariances holds translation, which needs a CNN's map; leave it out for this layer")
    if allowed is not None and Invariance(invariance) is Invariance.permutation:
        return rerank(embedded, allowed, config)
    return gram_in_store(
        embedded.queries,
        embedded.database,
        {"retrieval": embedded.key},
        Invariance(invariance),
        config.matching,
        config.runtime,
        grid=embedded.grid,
        name="retrieval",
    )


def pooled(side: Centered, step: int = 256) -> np.ndarray:
    """The mean vector of every image as a representation of one position [n, 1, c]."""
    parts = [side[start : start + step].mean(axis=1, keepdims=True) for start in range(0, len(side), step)]
    return np.concatenate(parts)


def shortlisted(found: RetrievalSet, embedded: Embedded, config: RetrieveConfig) -> np.ndarray:
    """For every query the database images [q, d] whose pooled vectors have the largest cosine with its own."""
    similarity = kernel(inner_products(POOLED, embedded, config, None), Kernel.cosine)
    chosen = neighbours_of(similarity, found, min(config.shortlist or 0, len(found.database)))
    allowed = np.zeros(similarity.shape, bool)
    for query, row in enumerate(chosen):
        allowed[query, row[row >= 0]] = True
    return allowed


def rerank(embedded: Embedded, allowed: np.ndarray, config: RetrieveConfig) -> Gram:
    """Matched inner products of every query with its shortlist alone; the rest stays 0 and is never returned."""
    q, d = allowed.shape
    inner, bound = np.zeros((q, d)), np.zeros((q, d))
    sq_x, sq_y = np.zeros(q), np.zeros(d)
    options = matching_options(config.matching)
    with tracked("match the shortlist", q) as advance:
        for query in range(q):
            columns = np.flatnonzero(allowed[query])
            candidates = np.concatenate([embedded.database[j : j + 1] for j in columns])
            part = gram(embedded.queries[query : query + 1], candidates, workers=config.runtime.workers, **options)
            inner[query, columns], bound[query, columns] = part.inner[0], part.bound[0]
            sq_x[query], sq_y[columns] = part.sq_x[0], part.sq_y
            advance(1)
    return Gram(inner, bound, sq_x, sq_y, False)


def score_all(found: RetrievalSet) -> np.ndarray | None:
    """The score of every database image as an answer to every query [q, d]; None where nothing is known of them."""
    if found.metric is None or found.queries.counts is None or found.database.counts is None:
        return None
    measure = count_f1 if found.metric is Metric.count_f1 else presence_iou
    return measure(found.queries.counts, found.database.counts)


def scores_table(rankings: list[Ranking], found: RetrievalSet, config: RetrieveConfig) -> pd.DataFrame:
    """Mean score at the first neighbour with its interval over queries, and the best of five."""
    rows = []
    for ranking in rankings:
        matched = ranking.invariance == Invariance.permutation
        method = str(config.matching.method) + (f", shortlist {config.shortlist}" if config.shortlist else "")
        row = {
            "model": config.model.label,
            "dataset": found.name,
            "n_queries": len(found.queries),
            "n_database": len(found.database),
            "kernel": str(ranking.kernel),
            "invariance": ranking.invariance,
            "matching": method if matched else "",
            "metric": str(found.metric or ""),
            **dict.fromkeys(("at_1", "ci_low", "ci_high", "best_of_5"), np.nan),
        }
        if ranking.scores is not None:
            first = ranking.scores[:, 0]
            row["at_1"], row["best_of_5"] = first.mean(), best_of(ranking.scores, 5).mean()
            if len(first) > 1:
                row["ci_low"], row["ci_high"] = bootstrap_interval(first, seed=config.seed)
        rows.append(row)
    return with_printed(pd.DataFrame(rows), found.name)


def with_printed(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The table with the paper's number where it prints one for the same model, size, kernel and invariance."""
    if dataset not in PAPER_TABLE:
        return table.assign(paper=np.nan)
    number, column = PAPER_TABLE[dataset]
    theirs = paper.printed(number).rename(columns={"database_size": "n_database"})
    keys = [key for key in ("model", "n_database", "kernel", "invariance") if key in theirs]
    return paper.beside(table, theirs, on=keys, columns={column: "paper"})


def neighbours_table(rankings: list[Ranking], found: RetrievalSet) -> pd.DataFrame:
    """Every neighbour of every query: kernel, invariance, query, rank, neighbour, similarity, score."""
    frames = []
    for ranking in rankings:
        q, k = ranking.neighbours.shape
        kept = ranking.neighbours.ravel() >= 0
        frames.append(
            pd.DataFrame(
                {
                    "kernel": str(ranking.kernel),
                    "invariance": ranking.invariance,
                    "query": np.repeat(found.queries.images.ids, k),
                    "rank": np.tile(np.arange(1, k + 1), q),
                    "neighbour": [found.database.images.ids[j] for j in ranking.neighbours.ravel()],
                    "similarity": ranking.similarities.ravel(),
                    "score": np.nan if ranking.scores is None else ranking.scores.ravel(),
                }
            )[kept]
        )
    return pd.concat(frames, ignore_index=True)


def draw_table(found: RetrievalSet) -> pd.DataFrame:
    """The ids that were drawn, as `dataset.draw=` reads them."""
    sides = (("query", found.draw.queries), ("database", found.draw.database))
    return pd.DataFrame([(role, image) for role, ids in sides for image in ids], columns=["role", "image"])


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
