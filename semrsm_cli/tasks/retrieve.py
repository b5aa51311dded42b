"""`semrsm retrieve`: whose nearest neighbour shows the same things? (Section 4.2, Appendix D)."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli import data, store
from semrsm_cli.config import (
    CityscapesConfig,
    DatasetConfig,
    EgoobjectsConfig,
    FolderConfig,
    RetrievalSetConfig,
    RetrieveConfig,
    ScenesConfig,
)
from semrsm_cli.data import RetrievalSet
from semrsm_cli.errors import ConfigError
from semrsm_cli.measures.retrieval import best_of, bootstrap_interval
from semrsm_cli.models import resolve_layers
from semrsm_cli.report import paper
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.layout import CITYSCAPES_DATABASE
from semrsm_cli.report.progress import say
from semrsm_cli.rsm import Centered, Invariance, mean
from semrsm_cli.tasks.extract import filming_of, load_network, note_network, represent, selection_of
from semrsm_cli.tasks.retrieve_pictures import draw_figures
from semrsm_cli.tasks.retrieve_ranking import Embedded, Ranking, rank

__all__ = ["retrieve"]

PAPER_TABLE = {"egoobjects": (2, "f1_at_1"), "cityscapes": (3, "iou_at_1")}


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
    folder.note(
        seed=config.seed,
        centering=str(config.centering),
        sigma=config.sigma or f"median within {config.sigma_tile or 'all'} images",
        shortlist=config.shortlist,
        dataset_settings=asdict(config.dataset),
    )
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
    layers = resolve_layers(network, config.model.layers, config.model.readout)
    if len(layers) != 1:
        raise ConfigError(f"retrieve reads one layer, got {len(layers)}: {', '.join(layers)}; name one of them")
    with folder.timed("extract"):
        queries, database = (
            represent(network, side.images, config.model, config.runtime).layers[layers[0]]
            for side in (found.queries, found.database)
        )
    folder.note(
        dataset=found.name,
        n_queries=len(queries),
        n_database=len(database),
        layer=layers[0],
        positions=queries.shape[1],
        channels=queries.shape[2],
        image_ids_hash=store.digest([found.draw.queries, found.draw.database]),
    )
    center = mean(database, config.centering)
    key = store.digest([queries.key, database.key, str(config.centering)])
    x = Centered(queries, center)
    y = x if queries.key == database.key else Centered(database, center)
    return Embedded(network, x, y, key, queries.grid)


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
    if number == 3:
        theirs["n_database"] = CITYSCAPES_DATABASE
    keys = ["model", "n_database", "kernel", "invariance"]
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
