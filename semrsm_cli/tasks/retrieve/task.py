"""`semrsm retrieve`: whose nearest neighbour shows the same things? (Section 4.2, Appendix D)."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli import store
from semrsm_cli.config import RetrieveConfig
from semrsm_cli.config.identity import identifying_settings
from semrsm_cli.data import RetrievalSet, resized_squares
from semrsm_cli.errors import ConfigError
from semrsm_cli.models import resolve_layers
from semrsm_cli.pipeline.frames import log_unseen, note_share_seen
from semrsm_cli.pipeline.grams import matching_name
from semrsm_cli.pipeline.images import count_turned, open_retrieval_set
from semrsm_cli.pipeline.networks import cut_to_size, load_network, note_network
from semrsm_cli.pipeline.rearrangements import MOVEMENT, movement_columns
from semrsm_cli.pipeline.sources import from_model
from semrsm_cli.report import paper
from semrsm_cli.report.figures.locality import locality_figure
from semrsm_cli.report.figures.retrieve import agreement_figure, scores_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.layout import METRIC_TITLE
from semrsm_cli.rsm import Invariance
from semrsm_cli.tasks.retrieve.agreement import agreement_table
from semrsm_cli.tasks.retrieve.pictures import draw_figures
from semrsm_cli.tasks.retrieve.ranking import Embedded, Ranking, rank, shortens
from semrsm_cli.tasks.retrieve.scores import Resampled, score_rows, summarize

__all__ = ["retrieve"]

_PAPER_COLUMN = {2: "f1_at_1", 3: "iou_at_1"}  # of the paper's tables


def retrieve(config: RetrieveConfig, folder: RunFolder) -> pd.DataFrame:
    """Rank the database for every query under each kernel and invariance; one row each, with the paper's number."""
    images = open_retrieval_set(config.dataset, config.seed, config.image_order)
    if config.query_size is not None:
        queries = resized_squares(images.queries.images, config.query_size)
        images = replace(images, queries=replace(images.queries, images=queries))
    embedded = _embed(images, config, folder)
    with folder.timed("match"):
        rankings = list(rank(images, embedded, config, folder))
    resampled = Resampled.of(images.queries, config)
    table = _scores_table(rankings, images, resampled, config)
    table = _join_paper(table, identifying_settings(config), embedded.queries.shape[1])
    table = _with_movement(table, rankings, embedded, config)
    last = ["difference", "difference_low", "difference_high"]
    table = table[[*table.columns.drop([*last, *MOVEMENT]), *last]].assign(
        n_groups=resampled.n_groups,
        layer=folder.facts["layer"],
        centering=str(config.centering),
        **table[list(MOVEMENT)],
    )
    folder.table("retrieval", table, note=resampled.note())
    every, rankings = rankings, [ranking for ranking in rankings if not ranking.moved.locality]
    folder.data("neighbours", _neighbours_table(rankings, images))
    if len(every) > len(rankings):
        _write_locality(folder, every, images, table, resampled, config)
    own = table[~(table["locality"] > 0)]
    folder.data("draw", _split_table(images))
    folder.note(
        seed=config.seed,
        centering=str(config.centering),
        sigma=config.sigma or f"median within {config.sigma_tile or 'all'} images",
        shortlist=config.shortlist,
        image_order=str(config.image_order),
        resample_by=str(resampled.unit),
        dataset_settings=asdict(config.dataset),
    )
    agreement = agreement_table(rankings)
    folder.table("agreement", agreement, note="Shares of queries, and of their neighbours; 1: both found the same.")
    if images.metric is not None:  # Figure 3
        folder.figure("scores", scores_figure(own, metric=str(images.metric), resampled=str(resampled)))
    elif len(agreement):
        folder.figure("agreement", agreement_figure(agreement, title=f"{config.model.label} on {images.name}"))
    draw_figures(folder, rankings, images, embedded, config)
    if images.metric is None and len(agreement):
        sizes = {"n_queries": len(images.queries), "n_database": len(images.database)}
        return agreement.assign(model=config.model.label, dataset=images.name, **sizes)
    return summarize(table, resampled)


def _with_movement(
    table: pd.DataFrame, rankings: list[Ranking], embedded: Embedded, config: RetrieveConfig
) -> pd.DataFrame:
    """The table with locality, and how far positions move, in its last columns; the paper has no row with a cost."""
    columns = {
        moved: movement_columns(embedded.compared, moved, config.matching)
        for moved in dict.fromkeys(ranking.moved for ranking in rankings)
    }
    movement = pd.DataFrame([columns[ranking.moved] for ranking in rankings], columns=list(MOVEMENT))
    return table.assign(**movement, paper=table["paper"].where(~(movement["locality"] > 0)))


def _write_locality(
    folder: RunFolder,
    rankings: list[Ranking],
    images: RetrievalSet,
    table: pd.DataFrame,
    resampled: Resampled,
    config: RetrieveConfig,
) -> None:
    """The neighbours at each locality, and the curve of the scores."""
    moved = [ranking for ranking in rankings if ranking.moved.locality]
    frames = [_neighbours_table([ranking], images).assign(locality=ranking.moved.locality) for ranking in moved]
    folder.data("neighbours_locality", pd.concat(frames, ignore_index=True))
    if images.metric is not None:
        figure = locality_figure(
            table,
            value="at_1",
            label=f"{METRIC_TITLE[str(images.metric)]}\nat the first neighbour",
            series="kernel",
            title=f"{config.model.label}, {images.name}",
            interval=("ci_low", "ci_high") if str(resampled) else (),
        )
        folder.figure("locality", figure)


def _embed(images: RetrievalSet, config: RetrieveConfig, folder: RunFolder) -> Embedded:
    """Representations of both sides at one layer."""
    network = load_network(config.model, config.runtime)
    note_network(folder, config.model, network)
    layers = resolve_layers(network, config.model.layers, config.model.readout)
    if len(layers) != 1:
        raise ConfigError(f"retrieve reads one layer, got {len(layers)}: {', '.join(layers)}; name one of them")
    sides = [side.images for side in (images.queries, images.database)]
    log_unseen(config.model.label, note_share_seen(folder, network, *sides[config.query_size is not None :]))
    prepare = None if config.query_size is None else cut_to_size(network, config.query_size)
    queries, database = (
        from_model(network, side, config.model, config.runtime, folder, prepare=of_side).layers[0]
        for side, of_side in zip(sides, (prepare, None), strict=True)
    )
    folder.note(
        dataset=images.name,
        n_queries=len(images.queries),
        n_database=len(images.database),
        images_turned=count_turned(*sides),
        layer=queries.name,
        positions=queries.x.shape[1],
        positions_database=database.x.shape[1],
        channels=queries.x.shape[2],
        image_ids_hash=store.digest([images.split.queries, images.split.database]),
    )
    return Embedded.of(network, queries, database, config.centering)


def _scores_table(
    rankings: list[Ranking], images: RetrievalSet, resampled: Resampled, config: RetrieveConfig
) -> pd.DataFrame:
    """Mean score at the first neighbour, the best of five, and what `permutation` gains, with intervals over groups."""
    rows = []
    for ranking, scores in zip(rankings, score_rows(rankings, resampled), strict=True):
        method = matching_name(ranking.invariance, config.matching)
        if method and shortens(config.shortlist, images):
            method += f", shortlist {config.shortlist}"
        rows.append(
            {
                "model": config.model.label,
                "dataset": images.name,
                "n_queries": len(images.queries),
                "n_database": len(images.database),
                "kernel": str(ranking.kernel),
                "invariance": str(ranking.invariance),
                "matching": method,
                "metric": str(images.metric or ""),
                **scores,
            }
        )
    return pd.DataFrame(rows)


def _join_paper(table: pd.DataFrame, settings: Mapping[str, Any], positions: int) -> pd.DataFrame:
    """The table with the paper's number where it prints one for the same model, size, kernel and invariance."""
    number, is_matched_so = paper.table_printed_for(*_PAPER_COLUMN, settings=settings, positions=positions)
    if number is None:
        return table.assign(paper=np.nan)
    theirs = paper.paper_table(number).rename(columns={"database_size": "n_database"})
    if number == 3:
        theirs["n_database"] = paper.CITYSCAPES_DATABASE
    if not is_matched_so:
        theirs = theirs[theirs["invariance"] != str(Invariance.permutation)]
    keys = ["model", "n_database", "kernel", "invariance"]
    return paper.join_paper(table, theirs, on=keys, columns={_PAPER_COLUMN[number]: "paper"})


def _neighbours_table(rankings: list[Ranking], images: RetrievalSet) -> pd.DataFrame:
    """Every neighbour of every query: kernel, invariance, query, rank, neighbour, similarity, score."""
    frames = []
    for ranking in rankings:
        q, k = ranking.neighbours.shape
        kept = ranking.neighbours.ravel() >= 0
        frames.append(
            pd.DataFrame(
                {
                    "kernel": str(ranking.kernel),
                    "invariance": str(ranking.invariance),
                    "query": np.repeat(images.queries.images.ids, k),
                    "rank": np.tile(np.arange(1, k + 1), q),
                    "neighbour": [images.database.images.ids[j] for j in ranking.neighbours.ravel()],
                    "similarity": ranking.similarities.ravel(),
                    "score": np.nan if ranking.scores is None else ranking.scores.ravel(),
                }
            )[kept]
        )
    return pd.concat(frames, ignore_index=True)


def _split_table(images: RetrievalSet) -> pd.DataFrame:
    """The ids that were drawn, as `dataset.split_file=` reads them."""
    sides = (("query", images.split.queries), ("database", images.split.database))
    return pd.DataFrame([(role, image) for role, ids in sides for image in ids], columns=["role", "image"])
