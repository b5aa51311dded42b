"""Tables 1 to 5 in the paper's own layout, from the joined tables of many runs."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semrsm_cli.report import paper

__all__ = [
    "METRIC_TITLE",
    "PaperTable",
    "arrange_tables",
    "in_paper_order",
]

METRIC_TITLE = {"count_f1": "F1 of instance counts", "presence_iou": "IoU of classes present"}
_PERMUTATION_INVARIANT = "PI"
_GAIN = "diff"
_INVARIANCES = {"none": "none", "permutation": _PERMUTATION_INVARIANT}
_INVARIANCE_ORDER = ("none", "translation", "pooled", "maxsim", "permutation")
_KERNELS = ("cosine", "linear", "rbf")
_STATISTICS = {"pearson": "Pearson", "spearman": "Spearman"}
_SOURCES = ("here", "low", "high", "between draws", "paper", "difference")
_TABLE_OF_CORRELATIONS: dict[tuple[Hashable, Hashable], int] = {("imagenet", 2000): 1, ("imagenet", 20000): 4}
_PERCENT_DECIMALS = 2  # as Table 5 has them; the optimum's certified gap is of the order of the third
_ROUNDING = 10  # digits, so that equal numbers differ by 0

_Line = dict[tuple[str, str], float]


@dataclass(frozen=True)
class PaperTable:
    """A table as the paper lays it out.

    Attributes:
        name: Name of its files.
        frame: Lines `here`, its interval (`low`, `high`), `paper` and `difference` for each row of the paper's table,
            and where several draws are averaged the standard deviation between them; columns in groups.
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
        return self.numbers("difference", *(kinds - {"", _GAIN}))

    def summary(self) -> dict[str, object]:
        """The means over all cells without and with permutation invariance, and how far the paper's lie from them."""
        means = {
            (prefix + column): values.mean() if (values := self.numbers(source, column)).size else np.nan
            for source, prefix in (("here", "mean_"), ("paper", "paper_mean_"))
            for column in _INVARIANCES.values()
        }
        differences = np.abs(self.numbers("difference", *_INVARIANCES.values()))
        furthest = differences.max() if differences.size else np.nan
        return {"table": self.name, "lines": len(self.frame), **means, "largest_difference": furthest}


def arrange_tables(name: str, rows: pd.DataFrame) -> list[PaperTable]:
    """The paper's tables that the joined rows of table `name` fill.

    Args:
        name: `retrieval`, `correlation` or `matching`; other tables have no place in the paper.
        rows: Rows of many runs.
    """
    makers: dict[str, Callable[[pd.DataFrame], Iterator[PaperTable]]] = {
        "retrieval": _retrieval_tables,
        "correlation": _correlation_tables,
        "matching": _matching_tables,
    }
    return list(makers[name](rows)) if name in makers else []


def _retrieval_tables(rows: pd.DataFrame) -> Iterator[PaperTable]:
    """Table 2 (EgoObjects), Table 3 (all of Cityscapes), and the like for other sets."""
    scored = rows[rows["at_1"].notna() & rows["invariance"].isin(_INVARIANCES)]
    for (dataset, metric), cells in scored.groupby(["dataset", "metric"], sort=False):
        is_table_3 = dataset == "cityscapes" and set(cells["n_database"]) == {paper.CITYSCAPES_DATABASE}
        cells = cells.rename(columns={"at_1": "here", "ci_low": "low", "ci_high": "high"})
        cells["column"] = cells["invariance"].map(_INVARIANCES)
        queries = " or ".join(map(str, sorted(set(cells["n_queries"]))))
        note = f"{METRIC_TITLE[str(metric)]} at the first neighbour, {queries} queries. {_matching_note(cells)}"
        if is_table_3:
            cells = in_paper_order(cells.assign(group=cells["kernel"]), number=3)
            yield PaperTable("table3", _widen(cells, ["model"]), note + _seeds_note(cells))
        else:
            sizes = cells.assign(group=cells["n_database"]).sort_values("n_database", kind="stable")
            frame = _widen(in_paper_order(pd.concat([sizes, _gains(sizes)]), number=2), ["model", "kernel"])
            several = f"_{metric}" if scored.loc[scored["dataset"] == dataset, "metric"].nunique() > 1 else ""
            name = "table2" if dataset == "egoobjects" else f"retrieval_{dataset}{several}"
            note += f" diff: {_PERMUTATION_INVARIANT} - none; above it the number of database images."
            yield PaperTable(name, frame, note + _seeds_note(cells))


def _correlation_tables(rows: pd.DataFrame) -> Iterator[PaperTable]:
    """Table 1 (2,000 images of ImageNet, Pearson), Table 4 (20,000, Spearman too), and the like for other sets."""
    compared = rows[rows["invariance"].isin(_INVARIANCES)]
    for (dataset, n_samples), cells in compared.groupby(["dataset", "n_samples"], sort=False):
        number = _TABLE_OF_CORRELATIONS.get((dataset, n_samples))
        statistics = ["pearson"] if number == 1 else list(_STATISTICS)
        parts = [
            cells.assign(
                here=cells[statistic],
                low=cells[f"{statistic}_low"],
                high=cells[f"{statistic}_high"],
                paper=cells[f"paper_{statistic}"],
                group=cells["kernel"] if number == 1 else _STATISTICS[statistic] + ", " + cells["kernel"],
                column=cells["invariance"].map(_INVARIANCES),
            )
            for statistic in statistics
        ]
        arranged = pd.concat([in_paper_order(part, number=4) for part in parts])
        note = (
            f"Correlation with the divergence of predictions, {n_samples} images of {dataset}. {_matching_note(cells)}"
        )
        note += _seeds_note(cells)
        if number == 1 and ((cells["model"] == "ResNet18") & (cells["kernel"] == "rbf")).any():
            note += f" {paper.NOTES[1]}"
        name = f"table{number}" if number else f"correlation_{dataset}_{n_samples}"
        yield PaperTable(name, _widen(arranged, ["model"]), note)


def _matching_tables(rows: pd.DataFrame) -> Iterator[PaperTable]:
    """Table 5 (a ResNet101 on Tiny-ImageNet), and the like for other networks."""
    for (dataset, label), cells in rows.groupby(["dataset", "label"], sort=False):
        is_table_5 = cells["paper_percent"].notna().any()
        name = "table5" if is_table_5 else f"matching_{dataset}_{label}"
        yield PaperTable(name, *_arrange_matching(cells, f"{label}, {dataset}."))


def _arrange_matching(rows: pd.DataFrame, subject: str) -> tuple[pd.DataFrame, str]:
    """Percent of the optimum and mean milliseconds a pair, per number of positions; and what is to be said below."""
    rows = rows.sort_values("positions", kind="stable")
    batch, n_exact = (
        rows[name].map(lambda value, shown=shown: "" if pd.isna(value) else shown.format(value))
        for name, shown in (("batch", "{:.0f}"), ("n_exact", "k = {:.0f}"))
    )
    rows = rows.assign(batch=batch + n_exact, group="s = " + rows["positions"].astype(str))
    told = rows[["percent_of_optimal", "percent_low", "percent_high"]].round(_PERCENT_DECIMALS)
    percent = rows.assign(column="percent", here=told["percent_of_optimal"], paper=rows["paper_percent"])
    percent = percent.assign(low=told["percent_low"], high=told["percent_high"])
    time = rows.assign(column="ms", here=1e3 * rows["seconds_mean"], paper=1e3 * rows["paper_seconds"])
    time = time.assign(low=np.nan, high=np.nan)
    cells = pd.concat([percent, time]).sort_values("positions", kind="stable")
    note = f"{subject} Percent of the optimal similarity, mean milliseconds a pair on one core; the paper's on another."
    return _widen(cells, ["method", "batch"]), note + _seeds_note(rows)


def in_paper_order(cells: pd.DataFrame, *, number: int) -> pd.DataFrame:
    """Rows with the models in the order of the paper's table `number`, others by name; kernels, then invariances.

    Runs of one model that differ in their settings bear labels, which stand in the place of its name.
    """
    models = _rank_of([*paper.paper_table(number)["model"], *sorted(cells["model"], key=str)])
    kernels = _rank_of([*_KERNELS, *sorted(cells["kernel"], key=str)])
    invariances = _rank_of([*_INVARIANCE_ORDER, *sorted(cells["invariance"], key=str)])
    by = {
        "model": models,
        "label": _rank_of(sorted(cells["label"], key=str)),
        "kernel": kernels,
        "invariance": invariances,
    }
    ordered = cells.sort_values(list(by), key=lambda column: column.map(by[str(column.name)]), kind="stable")
    return ordered.assign(model=ordered["label"])


def _rank_of(values: Iterable[Hashable]) -> dict[Hashable, int]:
    """The place of each value among the different ones, in the order of first appearance."""
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


def _widen(cells: pd.DataFrame, rows: list[str]) -> pd.DataFrame:
    """Cells side by side: for each row lines `here`, its interval, `paper` and `difference`, as far as there are such.

    Args:
        cells: Columns `rows`, `group` and `column` (the two levels of the new columns), `here`, `low`, `high` and
            `paper`; several seeds of a cell are averaged.
        rows: What tells rows apart; rows and columns keep the order of first appearance, but groups that are numbers
            run upwards.
    """
    means = _average(cells, [*rows, "group", "column"])
    lines_of_row: dict[tuple[str, ...], dict[str, _Line]] = {}
    for cell in means.to_dict("records"):
        lines = lines_of_row.setdefault(tuple(str(cell[row]) for row in rows), {source: {} for source in _SOURCES})
        for source in _SOURCES:
            if pd.notna(cell[source]):
                lines[source][str(cell["group"]), str(cell["column"])] = cell[source]
    table = [
        {(name, ""): value for name, value in zip((*rows, "source"), (*row, source), strict=True)} | lines[source]
        for row, lines in lines_of_row.items()
        for source in _SOURCES
        if lines[source]
    ]
    groups = means["group"].drop_duplicates()
    groups = groups.sort_values() if groups.dtype.kind in "iu" else groups
    pairs = [(str(group), column) for group in groups for column in means["column"].drop_duplicates()]
    columns = [*((name, "") for name in (*rows, "source")), *pairs]
    arranged = pd.DataFrame(table, columns=pd.MultiIndex.from_tuples(columns))
    return arranged.dropna(axis="columns", how="all")


def _average(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The means over seeds, also of the intervals' ends; of several seeds the standard deviation between them."""
    groups = cells.groupby(keys, sort=False)
    means = groups[["here", "low", "high", "paper"]].mean()
    means["between draws"] = groups["here"].std()
    means["difference"] = (means["here"] - means["paper"]).round(_ROUNDING)
    return means.reset_index()


def _gains(cells: pd.DataFrame) -> pd.DataFrame:
    """The gain of permutation invariance with its own interval, where there are both, as Table 2 has it."""
    keys = ["label", "seed", "settings", "group", "kernel"]
    plain = cells.loc[cells["column"] == _INVARIANCES["none"], [*keys, "here", "paper"]]
    both = cells[cells["column"] == _PERMUTATION_INVARIANT].merge(plain, on=keys, suffixes=("", " without"))
    return both.assign(
        column=_GAIN,
        here=(both["here"] - both["here without"]).round(_ROUNDING),
        paper=(both["paper"] - both["paper without"]).round(_ROUNDING),
        low=both["difference_low"],
        high=both["difference_high"],
    )


def _matching_note(cells: pd.DataFrame) -> str:
    """What PI means here: permutation-invariant, by which method."""
    methods = cells.loc[cells["invariance"] == "permutation", "matching"].dropna().unique()
    by = f", matched by {' or '.join(map(str, methods))}" if len(methods) else ""
    return f"{_PERMUTATION_INVARIANT}: permutation-invariant{by}."


def _seeds_note(cells: pd.DataFrame) -> str:
    """Over how many seeds the numbers are averaged, if over several."""
    n = cells["seed"].nunique()
    if n < 2:
        return ""
    return f" Means over {n} seeds, with the standard deviation between these draws; intervals are of one draw."
