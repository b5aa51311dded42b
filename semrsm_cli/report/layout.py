"""Tables 1 to 5 in the paper's own layout, from the joined tables of many runs."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semrsm_cli.report import paper

__all__ = ["CITYSCAPES_DATABASE", "METRIC_TITLE", "Layout", "in_paper_order", "lay_out", "wide"]

METRIC_TITLE = {"count_f1": "F1 of instance counts", "presence_iou": "IoU of classes present"}
PERMUTATION_INVARIANT = "PI"
GAIN = "diff"
INVARIANCES = {"none": "none", "permutation": PERMUTATION_INVARIANT}
INVARIANCE_ORDER = ("none", "translation", "pooled", "permutation")
KERNELS = ("cosine", "linear", "rbf")
STATISTICS = {"pearson": "Pearson", "spearman": "Spearman"}
SOURCES = ("here", "paper", "difference")
TABLE_OF_CORRELATIONS: dict[tuple[Hashable, Hashable], int] = {("imagenet", 2000): 1, ("imagenet", 20000): 4}
ROUNDING = 10  # digits, so that equal numbers differ by 0
CITYSCAPES_DATABASE = 2975  # images that Table 3 looks among

Line = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Layout:
    """A table as the paper lays it out.

    Attributes:
        name: Name of its files.
        frame: Lines `here`, `paper` and `difference` for each row of the paper's table; columns in groups.
        note: Note below it.
    """

    name: str
    frame: pd.DataFrame
    note: str

    def numbers(self, source: str, *columns: str) -> NDArray[np.float64]:
        """All numbers that there are in the lines `source` and the columns of these names, whatever their group."""
        kinds = self.frame.columns.get_level_values(1)
        lines = self.frame.loc[self.frame[("source", "")] == source, kinds.isin(columns)]
        values: NDArray[np.float64] = lines.to_numpy(np.float64)
        return values[~np.isnan(values)]

    def differences(self) -> NDArray[np.float64]:
        """Here less the paper, for all numbers that the paper prints."""
        kinds = set(self.frame.columns.get_level_values(1))
        return self.numbers("difference", *(kinds - {"", GAIN}))

    def summary(self) -> dict[str, object]:
        """The means over all cells without and with permutation invariance, and how far the paper's lie from them."""
        means = {
            (prefix + column): values.mean() if (values := self.numbers(source, column)).size else np.nan
            for source, prefix in (("here", "mean_"), ("paper", "paper_mean_"))
            for column in INVARIANCES.values()
        }
        differences = np.abs(self.numbers("difference", *INVARIANCES.values()))
        furthest = differences.max() if differences.size else np.nan
        return {"table": self.name, "lines": len(self.frame), **means, "largest_difference": furthest}


def lay_out(name: str, rows: pd.DataFrame) -> list[Layout]:
    """The layouts that the joined rows of table `name` fill."""
    makers: dict[str, Callable[[pd.DataFrame], Iterator[Layout]]] = {
        "retrieval": retrieval_layouts,
        "correlation": correlation_layouts,
        "matching": matching_layouts,
    }
    return list(makers[name](rows)) if name in makers else []


def retrieval_layouts(rows: pd.DataFrame) -> Iterator[Layout]:
    """Table 2 (EgoObjects), Table 3 (all of Cityscapes), and the like for other sets."""
    scored = rows[rows["at_1"].notna() & rows["invariance"].isin(INVARIANCES)]
    for (dataset, metric), cells in scored.groupby(["dataset", "metric"], sort=False):
        is_table_3 = dataset == "cityscapes" and set(cells["n_database"]) == {CITYSCAPES_DATABASE}
        cells = cells.rename(columns={"at_1": "here"})
        cells["column"] = cells["invariance"].map(INVARIANCES)
        queries = " or ".join(map(str, sorted(set(cells["n_queries"]))))
        note = f"{METRIC_TITLE[str(metric)]} at the first neighbour, {queries} queries. {matched_by(cells)}"
        if is_table_3:
            cells = in_paper_order(cells.assign(group=cells["kernel"]), number=3)
            yield Layout("table3", wide(cells, ["model"]), note + averaged_over(cells))
        else:
            sizes = cells.assign(group=cells["n_database"]).sort_values("n_database", kind="stable")
            frame = with_gain(wide(in_paper_order(sizes, number=2), ["model", "kernel"]))
            several = f"_{metric}" if scored.loc[scored["dataset"] == dataset, "metric"].nunique() > 1 else ""
            name = "table2" if dataset == "egoobjects" else f"retrieval_{dataset}{several}"
            note += f" diff: {PERMUTATION_INVARIANT} - none; above it the number of database images."
            yield Layout(name, frame, note + averaged_over(cells))


def correlation_layouts(rows: pd.DataFrame) -> Iterator[Layout]:
    """Table 1 (2,000 images of ImageNet, Pearson), Table 4 (20,000, Spearman too), and the like for other sets."""
    compared = rows[rows["invariance"].isin(INVARIANCES)]
    for (dataset, n_samples), cells in compared.groupby(["dataset", "n_samples"], sort=False):
        number = TABLE_OF_CORRELATIONS.get((dataset, n_samples))
        statistics = ["pearson"] if number == 1 else list(STATISTICS)
        parts = [
            cells.assign(
                here=cells[statistic],
                paper=cells[f"paper_{statistic}"],
                group=cells["kernel"] if number == 1 else STATISTICS[statistic] + ", " + cells["kernel"],
                column=cells["invariance"].map(INVARIANCES),
            )
            for statistic in statistics
        ]
        laid_out = pd.concat([in_paper_order(part, number=4) for part in parts])
        note = f"Correlation with the divergence of predictions, {n_samples} images of {dataset}. {matched_by(cells)}"
        note += averaged_over(cells)
        if number == 1 and ((cells["model"] == "ResNet18") & (cells["kernel"] == "rbf")).any():
            note += f" {paper.NOTES[1]}"
        name = f"table{number}" if number else f"correlation_{dataset}_{n_samples}"
        yield Layout(name, wide(laid_out, ["model"]), note)


def matching_layouts(rows: pd.DataFrame) -> Iterator[Layout]:
    """Table 5: percent of the optimum and mean milliseconds a pair, per number of positions."""
    rows = rows.sort_values("positions", kind="stable")
    batch = rows["batch"].map(lambda length: "" if pd.isna(length) else f"{length:.0f}")
    rows = rows.assign(batch=batch, group="s = " + rows["positions"].astype(str))
    percent = rows.assign(column="percent", here=rows["percent_of_optimal"], paper=rows["paper_percent"])
    time = rows.assign(column="ms", here=1e3 * rows["seconds_mean"], paper=1e3 * rows["paper_seconds"])
    cells = pd.concat([percent, time]).sort_values("positions", kind="stable")
    note = (
        "Percent of the optimal similarity, and mean milliseconds a pair on one core; the paper's on another machine."
    )
    yield Layout("table5", wide(cells, ["method", "batch"]), note + averaged_over(rows))


def in_paper_order(cells: pd.DataFrame, *, number: int) -> pd.DataFrame:
    """Rows with the models in the order of the paper's table `number`, others after them; kernels, then invariances."""
    models = rank_of([*paper.printed(number)["model"], *cells["model"]])
    kernels = rank_of([*KERNELS, *cells["kernel"]])
    invariances = rank_of([*INVARIANCE_ORDER, *cells["invariance"]])
    by = {"model": models, "kernel": kernels, "invariance": invariances}
    return cells.sort_values(list(by), key=lambda column: column.map(by[str(column.name)]), kind="stable")


def rank_of(values: Iterable[Hashable]) -> dict[Hashable, int]:
    """The place of each value among the different ones, in the order of first appearance."""
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


def wide(cells: pd.DataFrame, rows: list[str]) -> pd.DataFrame:
    """Cells side by side: for each row lines `here`, `paper` and `difference`, as far as there is a printed number.

    Args:
        cells: Columns `rows`, `group` and `column` (the two levels of the new columns), `here` and `paper`; several
            seeds of a cell are averaged.
        rows: What tells rows apart; rows and columns keep the order of first appearance, but groups that are numbers
            run upwards.
    """
    means = cells.groupby([*rows, "group", "column"], sort=False)[["here", "paper"]].mean().reset_index()
    means["difference"] = (means["here"] - means["paper"]).round(ROUNDING)
    found: dict[tuple[str, ...], dict[str, Line]] = {}
    for cell in means.to_dict("records"):
        lines = found.setdefault(tuple(str(cell[row]) for row in rows), {source: {} for source in SOURCES})
        for source in SOURCES:
            if pd.notna(cell[source]):
                lines[source][str(cell["group"]), str(cell["column"])] = cell[source]
    table = [
        {(name, ""): value for name, value in zip((*rows, "source"), (*row, source), strict=True)} | lines[source]
        for row, lines in found.items()
        for source in SOURCES
        if lines[source]
    ]
    groups = means["group"].drop_duplicates()
    groups = groups.sort_values() if groups.dtype.kind in "iu" else groups
    pairs = [(str(group), column) for group in groups for column in means["column"].drop_duplicates()]
    columns = [*((name, "") for name in (*rows, "source")), *pairs]
    laid_out = pd.DataFrame(table, columns=pd.MultiIndex.from_tuples(columns))
    return laid_out.dropna(axis="columns", how="all")


def with_gain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the gain of permutation invariance behind each group that has both, as Table 2 has it."""
    parts: dict[tuple[str, str], pd.Series[Any]] = {}
    pairs: list[Any] = table.columns.to_list()
    for group, column in pairs:
        parts[group, column] = table[(group, column)]
        if column == PERMUTATION_INVARIANT and (group, "none") in table.columns:
            parts[group, GAIN] = (table[(group, column)] - table[(group, "none")]).round(ROUNDING)
    return pd.DataFrame(parts)


def matched_by(cells: pd.DataFrame) -> str:
    """What PI means here: permutation-invariant, by which method."""
    methods = cells.loc[cells["invariance"] == "permutation", "matching"].dropna().unique()
    by = f", matched by {' or '.join(map(str, methods))}" if len(methods) else ""
    return f"{PERMUTATION_INVARIANT}: permutation-invariant{by}."


def averaged_over(cells: pd.DataFrame) -> str:
    """Over how many seeds the numbers are averaged, if over several."""
    n = cells["seed"].nunique()
    return f" Means over {n} seeds." if n > 1 else ""
