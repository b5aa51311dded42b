"""The tables of `semrsm bench`: Table 5, what Figures 5 and 6 show, and a summary for the terminal."""

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from semrsm_cli.matching import Method
from semrsm_cli.measures.pair_means import pair_mean_interval
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report import paper
from semrsm_cli.tasks.bench.timing import ALIGNED, OPTIMUM, Cell, Contender, Measurements

__all__ = ["alignment_table", "matching_table", "summarize"]

_COLUMNS = [
    *("method", "batch", "positions", "channels", "layer", "n_pairs", "seconds_mean", "seconds_median"),
    *("percent_of_optimal", "certified_gap", "paper_seconds", "paper_percent", "times_optimal"),
    *("n_exact", "affinity_seconds", "n_common", "model", "dataset", "percent_low", "percent_high"),
]


def matching_table(
    timed: dict[str, Measurements], layers: dict[str, Layer], model: str, dataset: str, *, is_table_5: bool
) -> pd.DataFrame:
    """Table 5: seconds a pair and percent of the optimum, with the paper's numbers beside ours where they belong.

    Times are over the `n_common` pairs that all methods of a size were timed on; `percent_of_optimal` is over the
    `n_pairs` of a method that the optimum has, too: the same for all approximations, which may have more. Its interval
    is over other images (`pair_mean_interval`).

    Args:
        timed: What was measured at each layer.
        layers: Their representations.
        model: Label of the network.
        dataset: Name of the set of images.
        is_table_5: Whether the paper's numbers are of this network and these images.
    """
    rows = []
    for layer, measured in timed.items():
        _, positions, channels = layers[layer].x.shape
        facts = {"layer": layer, "positions": positions, "channels": channels, "model": model, "dataset": dataset}
        rows += [facts | row for row in _rows(measured)]
    theirs = paper.paper_table(5).rename(columns={"algorithm": "method", "spatial_extent": "positions"})
    theirs["method"] = theirs["method"].replace(paper.METHODS)
    table = paper.join_paper(
        pd.DataFrame(rows).astype({"batch": "Int64", "n_exact": "Int64"}),
        theirs.astype({"batch": "Int64"})[: None if is_table_5 else 0],
        on=["method", "batch", "positions"],
        columns={"seconds_per_pair": "paper_seconds", "similarity_percent_of_optimal": "paper_percent"},
    )
    return table[_COLUMNS]


def _rows(measured: Measurements) -> Iterator[dict[str, object]]:
    """A row for each method at one layer."""
    optimum = measured.cells.get(OPTIMUM, Cell())
    common = sorted(set.intersection(*(set(cell.seconds) for cell in measured.cells.values())))
    for contender, cell in measured.cells.items():
        seconds = np.array([cell.seconds[pair] for pair in common])
        times = seconds / [optimum.seconds[pair] for pair in common] if optimum.seconds else None
        ratios = _ratios(cell, optimum)
        percents = 100 * np.array([*ratios.values()])
        low, high = pair_mean_interval(percents, np.array([*ratios])) if ratios else (None, None)
        gaps = [(bound - value) / abs(value) for value, bound in cell.scores.values() if value]
        yield {
            "method": str(contender.method),
            "batch": contender.batch,
            "n_pairs": len(cell.scores),
            "seconds_mean": seconds.mean(),
            "seconds_median": np.median(seconds),
            "percent_of_optimal": percents.mean() if ratios else None,
            "certified_gap": max(gaps, default=None),
            "times_optimal": None if times is None else np.median(times),
            "n_exact": contender.n_exact,
            "affinity_seconds": np.median(measured.affinity_seconds) if measured.affinity_seconds else None,
            "n_common": len(common),
            "percent_low": low,
            "percent_high": high,
        }


def _ratios(cell: Cell, optimum: Cell) -> dict[tuple[int, int], float]:
    """What a method reaches of the optimum, on each pair that both have matched."""
    shared = [pair for pair in cell.scores if pair in optimum.scores]
    return {pair: cell.scores[pair].value / optimum.scores[pair].value for pair in shared}


def alignment_table(measured: dict[str, Measurements], layers: dict[str, Layer]) -> pd.DataFrame:
    """Figures 5 and 6: what each approximation, and no matching, reaches of the optimum, pair by pair."""
    rows = [
        {
            "layer": layer,
            "positions": layers[layer].x.shape[1],
            "pair": f"{i}-{j}",
            "method": contender.label,
            "ratio_to_optimal": ratio,
        }
        for layer, of_layer in measured.items()
        for contender, cell in of_layer.cells.items()
        if contender.method in ALIGNED
        for (i, j), ratio in _ratios(cell, of_layer.cells.get(OPTIMUM, Cell())).items()
    ]
    return pd.DataFrame(rows, columns=["layer", "positions", "pair", "method", "ratio_to_optimal"])


def summarize(matching: pd.DataFrame) -> pd.DataFrame:
    """For the terminal: a method a row; per size its time, times the optimum's, percent of the optimum.

    The first row counts the pairs: those that all methods were timed on, and those of the percentages.
    """
    rows: dict[str, dict[str, str]] = {"(pairs)": {}}
    for size, of_size in matching.groupby("positions"):
        heading = f"s={size}    x     %"
        compared = of_size["n_pairs"].max()
        rows["(pairs)"][heading] = _cells(f"{of_size['n_common'].iloc[0]}", "", f"{compared}")
        for row in of_size.to_dict("records"):
            numbers = (
                _duration(row["seconds_median"]),
                _multiple(row["times_optimal"]),
                _percent(row["percent_of_optimal"]),
            )
            rows.setdefault(_label(row), {})[heading] = _cells(*numbers)
    return pd.DataFrame([{"method": label} | row for label, row in rows.items()]).fillna("")


def _label(row: dict[Hashable, Any]) -> str:
    """A method with its parameter."""
    parameters = [int(row[name]) for name in ("batch", "n_exact") if pd.notna(row[name])]
    return Contender(Method(row["method"]), *parameters).label


def _cells(seconds: str, times: str, percent: str) -> str:
    """Three cells of a size."""
    return f"{seconds:>7} {times:>4} {percent:>5}"


def _duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-4 else f"{1e6 * seconds:.3g} us"


def _multiple(times: float | None) -> str:
    """How many times as long."""
    if times is None or np.isnan(times):
        return ""
    return f"x{times:.0f}" if times >= 10 else f"x{times:.1f}" if times >= 0.05 else "x0"


def _percent(value: float | None) -> str:
    """A percentage without its sign."""
    return "" if value is None or np.isnan(value) else f"{value:.1f}"
