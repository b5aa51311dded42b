"""`semrsm report`: the tables of many runs in the paper's own layout (Tables 1 to 5, Figures 3, 13 and 14)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semrsm_cli.config import ReportConfig
from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.figures.report import models_neighbours_figure, models_scores_figure
from semrsm_cli.report.figures.retrieve import Picture
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.layout import arrange_tables, in_paper_order
from semrsm_cli.report.neighbours import Neighbours, common_queries, rank_queries_by_gain, read_neighbours
from semrsm_cli.report.progress import log
from semrsm_cli.report.runs import TABLES, find_runs, join_runs

__all__ = ["report"]


def report(config: ReportConfig, folder: RunFolder) -> pd.DataFrame:
    """Join all runs, lay their tables out, and draw the models side by side; one row a table."""
    runs = find_runs([Path(place).expanduser() for place in config.runs])
    tables = {name: join_runs(runs, name) for name in TABLES}
    retrievals = _sets_of(tables["retrieval"][0])
    neighbours = {name: _neighbours_of(rows) for name, rows in retrievals.items()}
    if config.query is not None and not any(config.query in common_queries(of_set) for of_set in neighbours.values()):
        raise SemrsmError(
            f"no runs kept thumbnails of the query {config.query}; tables/thumbnails.csv of a run names those that it "
            "has, and n_thumbnails= of `semrsm retrieve` how many it keeps"
        )
    folder.note(runs=[run.path.as_posix() for run in runs])
    summary = []
    for name, (rows, n_older) in tables.items():
        if not rows.empty:
            summary += _write_tables(folder, name, rows, n_older)
    for name, rows in retrievals.items():
        _draw_scores(folder, name, rows)
        _draw_neighbours(folder, name, neighbours[name], config)
    return pd.DataFrame(summary).dropna(axis="columns", how="all")


def _write_tables(folder: RunFolder, name: str, rows: pd.DataFrame, n_older: int) -> list[dict[str, object]]:
    """The joined rows and their layouts; a summary of each."""
    if n_older:
        log(f"{name}: {n_older} rows are left out, since newer runs have the same")
    folder.data(f"joined_{name}", rows)
    layouts = arrange_tables(name, rows)
    for layout in layouts:
        folder.table(layout.name, layout.frame, note=layout.note)
    return [layout.summary() for layout in layouts] or [{"table": f"joined_{name}", "lines": len(rows)}]


def _sets_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each set and size of the database."""
    if rows.empty:
        return {}
    groups = rows.groupby(["dataset", "n_database"], sort=False)
    return {f"{dataset}_{n_database}": of_set for (dataset, n_database), of_set in groups}


def _neighbours_of(rows: pd.DataFrame) -> list[Neighbours]:
    """What the newest run of each model found."""
    newest = rows.drop_duplicates("model", keep="last")
    models = [read_neighbours(Path(run), model) for run, model in zip(newest["run"], newest["model"], strict=True)]
    return [one for one in models if one is not None]


def _draw_scores(folder: RunFolder, name: str, rows: pd.DataFrame) -> None:
    """The scores of all models (Figure 3)."""
    for metric, scored in rows[rows["at_1"].notna()].groupby("metric", sort=False):
        several = f"_{metric}" if rows["metric"].nunique() > 1 else ""
        folder.figure(f"scores_{name}{several}", models_scores_figure(_over_seeds(scored), metric=str(metric)))


def _over_seeds(scored: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, kernel and invariance; means over seeds have no interval."""
    keys = ["model", "kernel", "invariance"]
    groups = scored.groupby(keys, sort=False)
    means = groups[["at_1", "ci_low", "ci_high", "paper"]].mean()
    means.loc[groups.size() > 1, ["ci_low", "ci_high"]] = np.nan
    return in_paper_order(means.reset_index(), number=2)


def _draw_neighbours(folder: RunFolder, name: str, models: Sequence[Neighbours], config: ReportConfig) -> None:
    """The neighbours of the query asked for, or of those that tell most, under all models (Figures 13 and 14)."""
    queries = common_queries(models)
    if config.query is None:
        shown = rank_queries_by_gain(queries, models)[: config.n_pictures]
    else:
        shown = [config.query] if config.query in queries else []
    for number, query in enumerate(shown, start=1):
        pictures = {one.model: _pictures_of(one, query) for one in models}
        figure = models_neighbours_figure(models[0].picture(query), models[0].objects[query], pictures)
        folder.figure(f"neighbours_{name}_{number}", figure)
        table = pd.concat([one.table[one.table["query"] == query].assign(model=one.model) for one in models])
        folder.data(f"neighbours_{name}_{number}", table)


def _pictures_of(one: Neighbours, query: str) -> dict[str, list[Picture]]:
    """The pictures of a query's neighbours under each invariance."""
    return {
        str(invariance): [
            Picture(one.picture(neighbour), {}, None if np.isnan(score) else score)
            for neighbour, score in one.of(query, str(invariance))
        ]
        for invariance in one.table["invariance"].unique()
    }
