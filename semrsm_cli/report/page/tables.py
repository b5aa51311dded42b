"""The tables of the page: our numbers with interval, the printed one and the verdict, as the paper lays them out."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.report.layout import METRIC_TITLE
from semrsm_cli.report.page.content import Cell, Column, ResultTable, interval_text, number_text, title_of
from semrsm_cli.report.page.results import Results, by_paper
from semrsm_cli.report.paper import NOTES, printed_numbers, windowed
from semrsm_cli.report.verdicts import judge

__all__ = [
    "agreement_table",
    "correlation_tables",
    "matching_tables",
    "plain_table",
    "result_table",
    "retrieval_tables",
    "separation_tables",
]

_GAIN = "gain of PI"
_NUMBERS = ["here", "low", "high", "paper", "rounding"]


def result_table(
    cells: pd.DataFrame, rows: Sequence[str], *, id: str, caption: str, note: str = "", digits: int = 3
) -> ResultTable:
    """Cells side by side, the means over several draws in each.

    Args:
        cells: Columns `rows`, `group` and `column`, `here`, and as far as there are such `low`, `high`, `paper`,
            `rounding` and `digits`; rows and columns keep the order of first appearance.
        rows: What tells rows apart.
        id: What links point to.
        caption: What the table shows.
        note: What is to be said below it.
        digits: Decimals, where `digits` does not say otherwise.
    """
    cells = _completed(cells, digits)
    groups = cells.groupby([*rows, "group", "column"], sort=False, dropna=False)
    means = groups[[*_NUMBERS, "digits"]].mean()
    means["spread"] = groups["here"].std()
    means = means.reset_index()
    pairs = list(dict.fromkeys(zip(means["group"], means["column"], strict=True)))
    by_group = {group: place for place, group in enumerate(dict.fromkeys(means["group"]))}
    pairs.sort(key=lambda pair: by_group[pair[0]])
    lines: dict[tuple[str, ...], dict[tuple[str, str], Cell]] = {}
    for cell in means.to_dict("records"):
        line = lines.setdefault(tuple(str(cell[row]) for row in rows), {})
        line[cell["group"], cell["column"]] = _number_cell(cell)
    columns = [*(Column(row) for row in rows), *(Column(column, group, True) for group, column in pairs)]
    table = [
        [*(Cell(title_of(name), name.lower()) for name in line), *(numbers.get(pair, Cell("")) for pair in pairs)]
        for line, numbers in lines.items()
    ]
    return ResultTable(id, caption, columns, table, note)


def _completed(cells: pd.DataFrame, digits: int) -> pd.DataFrame:
    """Cells with all columns that a number may have."""
    lacking = {name: np.nan for name in _NUMBERS if name not in cells}
    cells = cells.assign(**lacking)
    return cells if "digits" in cells else cells.assign(digits=digits)


def _number_cell(cell: dict[Hashable, Any]) -> Cell:
    """A number with its interval, the printed one, and the verdict."""
    digits = int(cell["digits"])
    verdict = ""
    if not np.isnan(cell["paper"]) and not np.isnan(cell["rounding"]):
        verdict = judge(cell["here"], cell["low"], cell["high"], cell["paper"], cell["rounding"])
    return Cell(
        text=number_text(cell["here"], digits),
        order="" if np.isnan(cell["here"]) else f"{cell['here']:.10g}",
        interval=interval_text(cell["low"], cell["high"], digits),
        printed=number_text(cell["paper"], digits),
        verdict=verdict,
        spread="" if np.isnan(cell["spread"]) else number_text(cell["spread"], digits),
    )


def _with_unrun(cells: pd.DataFrame, number: int, names: dict[str, str]) -> pd.DataFrame:
    """Cells with the rounding of table `number`, and below them the numbers that it prints and no run was made for.

    Args:
        cells: Ours, with the columns that `names` has.
        number: Of the paper's tables.
        names: Our names of columns of `printed_numbers`.
    """
    printed = printed_numbers()
    printed = printed[printed["table"] == number].rename(columns=names)
    cells = cells.assign(rounding=printed["rounding"].iloc[0])
    keys = list(names.values())
    known = set(cells.loc[cells["paper"].notna(), keys].astype(str).itertuples(index=False, name=None))
    is_new = [key not in known for key in printed[keys].astype(str).itertuples(index=False, name=None)]
    unrun = printed.loc[is_new, [*keys, "printed", "rounding"]].rename(columns={"printed": "paper"})
    unrun = unrun.assign(label=unrun["model"], here=np.nan, seed=-1, run="")
    return pd.concat([cells, unrun], ignore_index=True) if len(unrun) else cells


def retrieval_tables(results: Results) -> Iterator[ResultTable]:
    """Tables 2 and 3, and the like for other sets: a row for each network and kernel."""
    rows = results.rows("retrieval")
    scored = rows[rows["at_1"].notna()] if not rows.empty else rows
    if scored.empty:
        return
    for (dataset, metric), cells in scored.groupby(["dataset", "metric"], sort=False):
        queries = " or ".join(f"{n:.0f}" for n in sorted(set(cells["n_queries"])))
        number = {"egoobjects": 2, "cityscapes": 3}.get(str(dataset)) if cells["paper"].notna().any() else None
        cells = cells.rename(columns={"at_1": "here", "ci_low": "low", "ci_high": "high"})
        if number:
            keys = {name: name for name in ("model", "kernel", "invariance")}
            cells = _with_unrun(cells, number, keys | {"size": "n_database"})
            cells = by_paper(cells, ["model", "label", "kernel", "n_database", "invariance", "seed", "run"])
        sizes = sorted(set(cells["n_database"]))
        cells["group"] = cells["n_database"].map(lambda n: f"among {n:.0f} images")
        cells["column"] = cells["invariance"].map(title_of)
        cells = pd.concat([cells, _gains(cells)], ignore_index=True)
        cells = cells.sort_values("n_database", kind="stable") if len(sizes) > 1 else cells
        cells = by_paper(cells, ["model", "label", "kernel"])
        title = METRIC_TITLE.get(str(metric), str(metric))
        caption = f"{_of_paper(number)}{title} of the nearest neighbour, {queries} queries of {dataset}"
        note = (
            f"A query's nearest neighbour scores 1 where it shows just what the query shows. {_GAIN}: semantic less "
            "position by position, query by query."
        )
        yield result_table(
            cells.rename(columns={"model": "network", "label": "model"}),
            ["model", "kernel"],
            id=f"retrieval-{dataset}-{metric}",
            caption=caption,
            note=note + _draws(cells),
        )


def _gains(cells: pd.DataFrame) -> pd.DataFrame:
    """What permutation invariance gains over none, with its interval."""
    semantic = cells[(cells["invariance"] == "permutation") & cells["here"].notna()]
    keys = ["label", "kernel", "n_database", "seed", "settings", "images"]
    plain = cells.loc[cells["invariance"] == "none", [*keys, "here"]].rename(columns={"here": "plain"})
    both = semantic.merge(plain, on=keys)
    low, high = both["difference_low"], both["difference_high"]
    gain = both["here"] - both["plain"]
    return both.assign(column=_GAIN, here=gain, low=low, high=high, paper=np.nan, rounding=np.nan)


def correlation_tables(results: Results) -> Iterator[ResultTable]:
    """Tables 1 and 4, and the like for other sets: a row for each network and kernel."""
    rows = results.rows("correlation")
    if rows.empty:
        return
    for (dataset, n_samples), group in rows.groupby(["dataset", "n_samples"], sort=False):
        compared = group[["paper_pearson", "paper_spearman"]].notna().any(axis=None)
        number = {2000: 1, 20000: 4}.get(int(str(n_samples))) if compared else None
        parts = []
        for statistic in ("pearson", "spearman"):
            names = {f"{statistic}_low": "low", f"{statistic}_high": "high", f"paper_{statistic}": "paper"}
            parts.append(group.rename(columns={statistic: "here"} | names).assign(statistic=statistic))
        cells = pd.concat(parts, ignore_index=True)
        if number:
            cells = _with_unrun(cells, number, {name: name for name in ("model", "kernel", "invariance", "statistic")})
        cells = by_paper(cells, ["model", "label", "kernel", "statistic", "invariance", "seed", "run"])
        cells["group"] = cells["statistic"].str.capitalize()
        cells["column"] = cells["invariance"].map(title_of)
        note = "The more negative, the better does similarity foretell that two images are classified alike."
        yield result_table(
            cells.drop(columns="model").rename(columns={"label": "model"}),
            ["model", "kernel"],
            id=f"correlation-{dataset}-{n_samples}",
            caption=f"{_of_paper(number)}Correlation of similarity with the divergence of predictions, "
            f"{n_samples} images of {dataset}",
            note=f"{note} {NOTES[1] if number == 1 else ''}{_draws(cells)}".strip(),
        )


def matching_tables(results: Results) -> Iterator[ResultTable]:
    """Table 5, and the like for other networks: a row for each method."""
    rows = results.rows("matching")
    if rows.empty:
        return
    rows = rows.assign(order=range(len(rows))).sort_values(["positions", "order"], kind="stable")
    for (dataset, label), group in rows.groupby(["dataset", "label"], sort=False):
        number = 5 if group["paper_percent"].notna().any() else None
        exact = [f" (k = {k:.0f})" if k == k else "" for k in group["n_exact"].astype(float)]
        group = group.assign(method=windowed(group["method"], group["batch"]) + exact, size=group["positions"])
        names = {"percent_of_optimal": "here", "percent_low": "low", "percent_high": "high", "paper_percent": "paper"}
        percent = group.rename(columns=names).assign(column="% of the optimum", digits=1)
        if number:
            percent = _with_unrun(percent, number, {"model": "model", "method": "method", "size": "size"})
            percent = percent.assign(column="% of the optimum", digits=1)
        time = group.assign(column="ms a pair", here=1e3 * group["seconds_mean"], digits=3, rounding=np.nan)
        time = time.assign(paper=1e3 * group["paper_seconds"])
        cells = pd.concat([percent, time], ignore_index=True)
        sizes = {size: place for place, size in enumerate(sorted(set(cells["size"])))}
        cells["place"] = cells["size"].map(sizes)
        cells = cells.sort_values("place", kind="stable")
        cells["group"] = cells["size"].map(lambda size: f"{size:.0f} positions")
        yield result_table(
            cells,
            ["method"],
            id=f"matching-{dataset}-{label}",
            caption=f"{_of_paper(number)}What matchings reach and cost, {label} on {dataset}",
            note="Times on one core of this machine, the affinity given; the paper's are of another machine and are "
            "not judged." + _draws(cells),
        )


def separation_tables(results: Results) -> Iterator[ResultTable]:
    """How well crops that overlap are told from others (Figures 2 and 7): a row for each layer."""
    rows = results.rows("separation")
    if rows.empty:
        return
    for (dataset, label), group in rows.groupby(["dataset", "label"], sort=False):
        cells = group.assign(here=group["auc"], group="area under the ROC curve")
        cells["column"] = cells["invariance"].map(title_of)
        cells["positions"] = cells["positions"].map("{:.0f}".format) if "positions" in cells else ""
        yield result_table(
            cells,
            ["layer", "positions", "kernel"],
            id=f"separation-{dataset}-{label}",
            caption=f"Telling overlapping crops from unrelated ones, {label} on {dataset}",
            note="1: every pair of overlapping crops is more alike than any unrelated pair; 0.5: chance."
            + _draws(cells),
        )


def agreement_table(frame: pd.DataFrame, *, id: str, title: str) -> ResultTable:
    """How far the invariances of a retrieval agree on neighbours: a row for each kernel and two of them."""
    k = f"{frame['n_neighbours'].iloc[0]:.0f}"
    shown = pd.DataFrame(
        {
            "kernel": frame["kernel"].map(title_of),
            "compared": frame["invariance_a"].map(title_of),
            "and": frame["invariance_b"].map(title_of),
            "same first neighbour": frame["same_first"].astype(float),
            f"shared of {k}": frame["overlap"].astype(float),
        }
    )
    note = f"The share of queries with the same nearest neighbour, and of the {k} nearest that both found; 1 is all."
    return plain_table(shown, id=id, caption=f"How far two ways to compare agree on neighbours, {title}", note=note)


def plain_table(frame: pd.DataFrame, *, id: str, caption: str, note: str = "") -> ResultTable:
    """Any table: numbers with a sign and three decimals, all else as text; columns in groups where it has groups."""
    names: list[Any] = frame.columns.to_list()
    levels = [(str(name[0]), str(name[1])) if isinstance(name, tuple) else ("", str(name)) for name in names]
    columns = [
        Column(second or first, first if second else "", frame.dtypes.iloc[i].kind == "f")
        for i, (first, second) in enumerate(levels)
    ]
    rows = [
        [_plain_cell(value, column.is_number) for value, column in zip(row, columns, strict=True)]
        for row in frame.itertuples(index=False, name=None)
    ]
    return ResultTable(id, caption, columns, rows, note)


def _plain_cell(value: Any, is_number: bool) -> Cell:
    if is_number:
        return Cell(number_text(value), "" if np.isnan(value) else f"{value:.10g}")
    text = "" if value is None or (isinstance(value, float) and np.isnan(value)) else str(value)
    return Cell(text, text.lower())


def _of_paper(number: int | None) -> str:
    """The number of the paper's table, before a caption."""
    return f"Table {number}. " if number else ""


def _draws(cells: pd.DataFrame) -> str:
    """Over how many seeds numbers are averaged, if over several."""
    n = cells.loc[cells["here"].notna(), "seed"].nunique()
    return f" Means over {n} draws; ± is the standard deviation between them." if n > 1 else ""
