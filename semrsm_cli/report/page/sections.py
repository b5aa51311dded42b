"""The experiments in the paper's order, each with its question, answer, tables, heat maps, galleries and figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.report.page import tables
from semrsm_cli.report.page.content import Figure, HeatMap, ResultTable, Section, number_text
from semrsm_cli.report.page.gallery import gallery_of
from semrsm_cli.report.page.heat_maps import cka_maps, crop_maps, density_maps, rsm_maps
from semrsm_cli.report.page.pictures import Budgets, captioned_figures, figure_of
from semrsm_cli.report.page.results import Results, agreement_of, command_of
from semrsm_cli.report.runs import Run

__all__ = ["experiment_sections"]

_QUERIES = 12  # of a gallery
_MOST_MAPS = 12  # of CKA and RSMs each


def experiment_sections(results: Results, budgets: Budgets) -> list[Section]:
    """A section for each experiment that was run."""
    makers: list[Callable[[Results, Budgets], Section | None]] = [
        *(_separation, _retrieval, _correlation, _matching, _cka),
        *(_rsm, _training),
    ]
    return [section for make in makers if (section := make(results, budgets)) is not None]


def _separation(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("separation")
    if not runs:
        return None
    rows = results.rows("separation")
    best = rows[rows["invariance"] == "permutation"]["auc"]
    plain = rows[rows["invariance"] == "none"]["auc"]
    return _section(
        results,
        budgets,
        runs,
        id="separation",
        title="Sensitivity to translation",
        place="Figures 2 and 7 of the paper",
        question="Two crops of one photograph overlap, so that what both show stands elsewhere. Is that seen?",
        answer=f"Over all layers, the area under the ROC curve lies between {_ends(plain)} position by position, and "
        f"between {_ends(best)} if semantic."
        if len(best) and len(plain)
        else "",
        tables=list(tables.separation_tables(results)),
        heat_maps=[map_ for i, run in enumerate(runs, 1) for map_ in crop_maps(run, i, budgets.gallery)],
    )


def _retrieval(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("retrieval")
    if not runs:
        return None
    galleries = [
        gallery_of(run, _title_of(results, run), budgets.gallery, _QUERIES) for run in _distinct(results, runs)
    ]
    own = [
        figure
        for name, path in sorted(results.figures.items())
        if name.startswith(("scores_", "neighbours_"))
        and (figure := figure_of(path, "all networks", origin="this report")) is not None
        and budgets.of_figure(name).take(figure.src)
    ]
    return _section(
        results,
        budgets,
        runs,
        id="retrieval",
        title="Image retrieval",
        place="Tables 2 and 3, Figures 3, 4 and 8 to 14 of the paper",
        question="Does the image that is most alike show the same things as the query?",
        answer=_gain_sentence(results.rows("retrieval"), "at_1", "The neighbour's score"),
        tables=[*tables.retrieval_tables(results), *_agreement_tables(results, runs)],
        galleries=[gallery for gallery in galleries if gallery],
        figures=own,
    )


def _correlation(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("correlation")
    if not runs:
        return None
    return _section(
        results,
        budgets,
        runs,
        id="correlation",
        title="Correlation with output similarity",
        place="Tables 1 and 4 of the paper",
        question="Are images whose representations are alike also classified alike? The divergence of their predicted "
        "classes (Jensen-Shannon) should fall as similarity rises.",
        answer=_gain_sentence(results.rows("correlation"), "pearson", "Pearson's correlation"),
        tables=list(tables.correlation_tables(results)),
        heat_maps=[map_ for i, run in enumerate(_distinct(results, runs), 1) for map_ in density_maps(run, i)][
            :_MOST_MAPS
        ],
    )


def _matching(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("matching")
    if not runs:
        return None
    rows = results.rows("matching")
    fast = rows[rows["method"].astype(str) == "batch_optimal"]["percent_of_optimal"]
    return _section(
        results,
        budgets,
        runs,
        id="matching",
        title="Runtime and quality of matchings",
        place="Table 5 and Figure 5 of the paper",
        question="How much of the optimum do faster matchings reach, and what does each cost?",
        answer=f"Batch-Optimal reaches {_percents(fast)} of the optimum." if len(fast) else "",
        tables=list(tables.matching_tables(results)),
    )


def _cka(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("cka")
    if not runs:
        return None
    maps = [map_ for i, run in enumerate(_distinct(results, runs), 1) for map_ in cka_maps(run, i)]
    rows = results.rows("cka")
    crossed = rows[
        (rows["layer_a"] == rows["layer_b"])
        & (rows["model_a"] == rows["model_b"])
        & (rows["invariance_a"] != rows["invariance_b"])
    ]["cka"]
    return _section(
        results,
        budgets,
        runs,
        id="cka",
        title="CKA within and across networks",
        place="Figures 15 to 17 of the paper",
        question="How alike are layers, of one network or of two, and does it matter whether their RSMs are semantic?",
        answer=f"The semantic RSM of a layer and its spatio-semantic one have a CKA between {_ends(crossed)}."
        if len(crossed)
        else "",
        tables=[*_tables_of_runs(results, runs, "consistency", "Semantic and spatio-semantic RSM of each layer")],
        heat_maps=maps[:_MOST_MAPS],
        notes=[f"{len(maps) - _MOST_MAPS} more heat maps are left out."] if len(maps) > _MOST_MAPS else [],
    )


def _rsm(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("rsm")
    if not runs:
        return None
    maps = [map_ for i, run in enumerate(_distinct(results, runs), 1) for map_ in rsm_maps(run, i)]
    return _section(
        results,
        budgets,
        runs,
        id="rsm",
        title="Representational similarity matrices",
        place="",
        question="How similar is each image to each other?",
        answer="",
        tables=[*_tables_of_runs(results, runs, "rsm", "The RSMs")],
        heat_maps=maps[:_MOST_MAPS],
        notes=[f"{len(maps) - _MOST_MAPS} more heat maps are left out."] if len(maps) > _MOST_MAPS else [],
    )


def _training(results: Results, budgets: Budgets) -> Section | None:
    runs = results.runs_of("training")
    if not runs:
        return None
    return _section(
        results,
        budgets,
        runs,
        id="training",
        title="Trainings",
        place="Networks of Figures 15 to 17 of the paper",
        question="How well do the networks that were trained here do on images that they have not seen?",
        answer="",
        tables=[*_tables_of_runs(results, runs, "training", "Trained networks")],
    )


def _section(
    results: Results,
    budgets: Budgets,
    runs: Sequence[Run],
    *,
    tables: Sequence[ResultTable],
    heat_maps: Sequence[HeatMap] = (),
    galleries: Sequence[dict[str, Any]] = (),
    figures: Sequence[Figure] = (),
    notes: Sequence[str] = (),
    **texts: str,
) -> Section:
    """A section with the figures of its runs, what was left out of them, and the commands that made it."""
    left_out: list[str] = []
    drawn = list(figures)
    for run in _distinct(results, runs):
        drawn += captioned_figures(run, _title_of(results, run), budgets.of_figure, left_out)
    said = list(notes)
    if left_out:
        said.append(f"{len(left_out)} more figures lie in the runs' folders, the first is {left_out[0]}.")
    commands = list(dict.fromkeys(command_of(run) for run in runs))
    drawn = [replace(figure, alt=f"{figure.alt} {texts['answer']}".strip()) for figure in drawn]
    return Section(
        **texts,
        tables=tables,
        heat_maps=heat_maps,
        galleries=galleries,
        figures=[figure for figure in drawn if not figure.is_photograph],
        photographs=[figure for figure in drawn if figure.is_photograph],
        notes=said,
        commands=commands,
    )


def _title_of(results: Results, run: Run) -> str:
    """What a run is called in a caption: its network, and its images."""
    label, dataset = results.label_of(run), results.dataset_of(run)
    return f"{label} on {dataset}" if dataset else label


def _distinct(results: Results, runs: Sequence[Run]) -> list[Run]:
    """Of runs of the same settings, seed and images the newest; as the rows of a table."""
    newest = {(run.identity, run.seed, run.images, tuple(run.tables)): run for run in results.runs}
    kept = {run.path for run in newest.values()}
    return [run for run in runs if run.path in kept]


def _tables_of_runs(results: Results, runs: Sequence[Run], name: str, caption: str) -> Iterator[ResultTable]:
    """A table that runs left, as it is; one for each run."""
    for number, run in enumerate(_distinct(results, runs), start=1):
        try:
            frame = pd.read_csv(Path(run.path, "tables", f"{name}.csv"), keep_default_na=False, na_values=[""])
        except (OSError, ValueError):
            continue
        yield tables.plain_table(frame, id=f"{name}-{number}", caption=f"{caption}, {_title_of(results, run)}")


def _agreement_tables(results: Results, runs: Sequence[Run]) -> Iterator[ResultTable]:
    """How far the invariances agree on neighbours; a table for each run."""
    for number, run in enumerate(_distinct(results, runs), start=1):
        frame = agreement_of(run)
        if len(frame):
            yield tables.agreement_table(frame, id=f"agreement-{number}", title=_title_of(results, run))


def _ends(values: "pd.Series[float]") -> str:
    return f"{number_text(values.min(), 2)} and {number_text(values.max(), 2)}"


def _percents(values: "pd.Series[float]") -> str:
    return f"{number_text(values.min(), 1)} to {number_text(min(values.max(), 100.0), 1)} %"


def _gain_sentence(rows: pd.DataFrame, value: str, what: str) -> str:
    """In how many comparisons the semantic side does better."""
    if rows.empty:
        return ""
    keys = [
        "label",
        "dataset",
        "kernel",
        "seed",
        "run",
        *(key for key in ("n_database", "metric", "n_samples") if key in rows),
    ]
    wide = rows[rows[value].notna()].pivot_table(value, keys, "invariance")
    if not {"none", "permutation"} <= set(wide.columns):
        return ""
    gains = (wide["permutation"] - wide["none"]).dropna() * (-1 if value == "pearson" else 1)
    if not len(gains):
        return ""
    better = int(np.sum(gains > 0))
    worse = "more negative" if value == "pearson" else "higher"
    verb = "is" if better == 1 else "are"
    return f"{what}: {better} of {len(gains)} comparisons {verb} {worse} if semantic than position by position."
