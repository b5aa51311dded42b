"""The tables of `semrsm bench`: Table 5, what Figures 5 and 6 show, and a summary for the terminal."""

import numpy as np
import pandas as pd

from semrsm_cli.matching import Method
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report import paper
from semrsm_cli.tasks.bench.timing import ALIGNED, Cell, Contender

__all__ = ["alignment_table", "matching_table", "summarize"]

_PAPER_METHOD = {"OR-Tools": "ortools", "SciPy": "scipy", "No match": "diagonal", "Batch-Optimal": "batch_optimal"}


def matching_table(timed: dict[str, dict[Contender, Cell]], layers: dict[str, Layer]) -> pd.DataFrame:
    """Table 5: seconds a pair and percent of the optimum, with the paper's numbers beside ours.

    A slow method has fewer pairs: `times_optimal`, its time over the optimum's, is the median over those that it has.
    """
    rows = []
    for layer, cells in timed.items():
        optimum = cells.get(Contender(Method.optimal), Cell())
        for contender, cell in cells.items():
            matchings = cell.matchings
            shared = [pair for pair in matchings if pair in optimum.matchings]
            ratios = [matchings[pair].value / optimum.matchings[pair].value for pair in shared]
            times = [cell.seconds[pair] / optimum.seconds[pair] for pair in shared]
            gaps = [(m.bound - m.value) / abs(m.value) for m in matchings.values() if m.value]
            rows.append(
                {
                    "method": str(contender.method),
                    "batch": contender.batch,
                    "positions": layers[layer].x.shape[1],
                    "channels": layers[layer].x.shape[2],
                    "layer": layer,
                    "n_pairs": len(matchings),
                    "seconds_mean": np.mean([*cell.seconds.values()]),
                    "seconds_median": np.median([*cell.seconds.values()]),
                    "percent_of_optimal": 100 * np.mean(ratios) if ratios else None,
                    "certified_gap": max(gaps, default=None),
                    "times_optimal": np.median(times) if times else None,
                }
            )
    theirs = paper.paper_table(5).rename(columns={"algorithm": "method", "spatial_extent": "positions"})
    theirs["method"] = theirs["method"].replace(_PAPER_METHOD)
    table = pd.DataFrame(rows).astype({"batch": "Int64"})
    table = paper.join_paper(
        table,
        theirs.astype({"batch": "Int64"}),
        on=["method", "batch", "positions"],
        columns={"seconds_per_pair": "paper_seconds", "similarity_percent_of_optimal": "paper_percent"},
    )
    return table[[*table.columns.drop("times_optimal"), "times_optimal"]]


def alignment_table(aligned: dict[str, dict[Contender, Cell]], layers: dict[str, Layer]) -> pd.DataFrame:
    """Figures 5 and 6: what each approximation, and no matching, reaches of the optimum, pair by pair."""
    rows = []
    for layer, cells in aligned.items():
        optimum = cells.get(Contender(Method.optimal), Cell()).matchings
        for contender, cell in cells.items():
            if contender.method not in ALIGNED:
                continue
            for (i, j), matching in cell.matchings.items():
                if (i, j) in optimum:
                    rows.append(
                        {
                            "layer": layer,
                            "positions": layers[layer].x.shape[1],
                            "pair": f"{i}-{j}",
                            "method": contender.label,
                            "ratio_to_optimal": matching.value / optimum[i, j].value,
                        }
                    )
    return pd.DataFrame(rows, columns=["layer", "positions", "pair", "method", "ratio_to_optimal"])


def summarize(matching: pd.DataFrame) -> pd.DataFrame:
    """For the terminal: a method a row; per size its time, times ours on the same pairs, percent of the optimum."""
    labels = [
        method if pd.isna(batch) else f"{method}({batch})"
        for method, batch in zip(matching["method"], matching["batch"], strict=True)
    ]
    rows: dict[str, dict[str, str]] = {label: {} for label in dict.fromkeys(labels)}
    for size, of_size in matching.assign(label=labels).groupby("positions"):
        for row in of_size.to_dict("records"):
            cells = (
                _duration(row["seconds_median"]),
                _multiple(row["times_optimal"]),
                _percent(row["percent_of_optimal"]),
            )
            rows[row["label"]][f"s={size}    x     %"] = "{:>7} {:>4} {:>5}".format(*cells)
    return pd.DataFrame([{"method": label} | row for label, row in rows.items()]).fillna("")


def _duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _multiple(times: float | None) -> str:
    """How many times as long."""
    return "" if times is None or np.isnan(times) else f"x{times:.0f}" if times >= 10 else f"x{times:.1f}"


def _percent(value: float | None) -> str:
    """A percentage without its sign."""
    return "" if value is None or np.isnan(value) else f"{value:.1f}"
