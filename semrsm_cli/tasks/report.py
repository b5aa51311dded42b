"""`semrsm report`: many runs on one page, and in the paper's own tables (1 to 5) and figures (3, 13 and 14)."""

import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semrsm_cli.config import ReportConfig
from semrsm_cli.errors import SemrsmError
from semrsm_cli.report.differences import Settings, sensitivity_table, settings_table
from semrsm_cli.report.figures.report import models_neighbours_figure, models_scores_figure
from semrsm_cli.report.figures.retrieve import Picture
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.layout import arrange_tables, in_paper_order
from semrsm_cli.report.neighbours import Neighbours, common_queries, rank_queries_by_gain, read_neighbours
from semrsm_cli.report.page import Results, render_page
from semrsm_cli.report.progress import log
from semrsm_cli.report.runs import TABLES, find_runs, join_runs
from semrsm_cli.report.verdicts import AGREES, AGREES_WITH_ALL, DIFFERS, NOT_RUN, count_verdicts, verdicts_table

__all__ = ["report"]

PAGE = "index.html"
_SENSITIVE = {"retrieval": "at_1", "correlation": "pearson"}  # the number of each table that open choices move


def report(config: ReportConfig, folder: RunFolder) -> pd.DataFrame:
    """Join all runs, lay out their tables, judge the printed numbers, draw the models, write a page; a row a table."""
    runs, left_out = find_runs([Path(place).expanduser() for place in config.runs])
    for path, reason in left_out.items():
        log(f"{path} is left out: {reason}")
    tables = {name: join_runs(runs, name) for name in TABLES}
    joined = {name: rows for name, (rows, _) in tables.items()}
    retrievals = _sets_of(joined["retrieval"])
    neighbours = {name: _neighbours_of(rows) for name, rows in retrievals.items()}
    if config.query is not None and not any(config.query in common_queries(of_set) for of_set in neighbours.values()):
        raise SemrsmError(
            f"no runs kept thumbnails of the query {config.query}; tables/thumbnails.csv of a run names those that it "
            "has, and n_thumbnails= of `semrsm retrieve` how many it keeps"
        )
    folder.note(runs=[run.path.as_posix() for run in runs])
    settings = {run.identity: run.settings for run in runs}
    folder.data("runs", settings_table([(run.path.as_posix(), run.seed, run.identity) for run in runs], settings))
    summary = []
    for name, (rows, n_older) in tables.items():
        if not rows.empty:
            summary += _write_tables(folder, name, rows, n_older)
        curves, _ = join_runs(runs, name, over_locality=True)
        if not curves.empty:
            folder.data(f"locality_{name}", curves)
            summary.append({"table": f"locality_{name}", "lines": len(curves)})
    sensitivity = _write_sensitivity(folder, joined, settings)
    verdicts = verdicts_table(joined, settings)
    counts = _write_verdicts(folder, verdicts)
    for name, rows in retrievals.items():
        _draw_scores(folder, name, rows)
        _draw_neighbours(folder, name, neighbours[name], config)
    _write_page(folder, Results(runs, left_out, joined, verdicts, sensitivity, *_written(folder)), config)
    return pd.DataFrame(summary).merge(counts, on="table", how="left").dropna(axis="columns", how="all")


def _write_tables(folder: RunFolder, name: str, rows: pd.DataFrame, n_older: int) -> list[dict[str, object]]:
    """The joined rows and their layouts; a summary of each."""
    if n_older:
        log(f"{name}: {n_older} rows are left out, since newer runs have the same")
    folder.data(f"joined_{name}", rows)
    layouts = arrange_tables(name, rows)
    for layout in layouts:
        folder.table(layout.name, layout.frame, note=layout.note)
    return [layout.summary() for layout in layouts] or [{"table": f"joined_{name}", "lines": len(rows)}]


def _write_sensitivity(
    folder: RunFolder, joined: Mapping[str, pd.DataFrame], settings: Settings
) -> dict[str, pd.DataFrame]:
    """How much each open choice moves each number, where runs differ in one setting alone; by table."""
    found = {}
    for name, value in _SENSITIVE.items():
        rows = joined[name]
        table = pd.DataFrame() if rows.empty else sensitivity_table(rows[rows[value].notna()], settings, value)
        if not table.empty:
            note = f"{value} of the reference, and what one other choice adds to it."
            folder.table(f"sensitivity_{name}", table, note=note)
            found[name] = table
    return found


def _write_page(folder: RunFolder, results: Results, config: ReportConfig) -> None:
    """The page that tells it all, in the browser too where that was asked for."""
    folder.text(PAGE, render_page(results))
    page = (folder.path / PAGE).resolve()
    if config.open and not webbrowser.open(page.as_uri()):
        log(f"no browser could be opened; open {page} in one")


def _written(folder: RunFolder) -> tuple[list[str], dict[str, Path]]:
    """The names of the tables that were written in all formats, and the figures by name."""
    tables = [path.stem for path in folder.written if path.suffix == ".tex"]
    return tables, {path.stem: path for path in folder.written if path.suffix == ".png"}


def _write_verdicts(folder: RunFolder, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdict on every number that the paper prints; how many there are of each kind, a row a table."""
    counts = count_verdicts(verdicts)
    total = counts.drop(columns="table").sum()
    n = total[[AGREES, DIFFERS, NOT_RUN]].sum()
    note = f"Of {n} printed numbers: {total[AGREES]} agree, {total[DIFFERS]} differ, {total[NOT_RUN]} not run."
    several = total[AGREES] - total[AGREES_WITH_ALL]
    if several:
        note += f" {several} of those that agree do so with some of the settings that they were run with, not with all."
    folder.table("verdicts", verdicts, note=note)
    if total[NOT_RUN] < n:
        log(note)
    return counts.assign(table="table" + counts["table"].astype(str))


def _sets_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each set and size of the database."""
    if rows.empty:
        return {}
    groups = rows.groupby(["dataset", "n_database"], sort=False)
    return {f"{dataset}_{n_database}": of_set for (dataset, n_database), of_set in groups}


def _neighbours_of(rows: pd.DataFrame) -> list[Neighbours]:
    """What the newest run of each model, or of each way in which it was run, found."""
    newest = rows.drop_duplicates("label", keep="last")
    models = [read_neighbours(Path(run), label) for run, label in zip(newest["run"], newest["label"], strict=True)]
    return [one for one in models if one is not None]


def _draw_scores(folder: RunFolder, name: str, rows: pd.DataFrame) -> None:
    """The scores of all models (Figure 3)."""
    for metric, scored in rows[rows["at_1"].notna()].groupby("metric", sort=False):
        several = f"_{metric}" if rows["metric"].nunique() > 1 else ""
        figure = models_scores_figure(_over_seeds(scored), metric=str(metric), resampled=_resampled(scored))
        folder.figure(f"scores_{name}{several}", figure)


def _resampled(scored: pd.DataFrame) -> str:
    """What the intervals of some runs resample, in words; empty where there are none."""
    if "n_groups" not in scored or scored["ci_low"].isna().all():
        return ""
    counts = " or ".join(f"{n:.0f}" for n in sorted(set(scored["n_groups"].dropna())))
    return f"{counts} groups of related queries" if counts else ""


def _over_seeds(scored: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, kernel and invariance; of several draws the means, of the intervals' ends too."""
    keys = ["model", "label", "kernel", "invariance"]
    means = scored.groupby(keys, sort=False)[["at_1", "ci_low", "ci_high", "paper"]].mean()
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
