"""A result over locality: the curve between the paper's two methods, and how far positions move on it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semrsm_cli.report.figures.style import INVARIANCE_TITLE, PAGE_WIDTH, paper_style, verbatim

__all__ = ["locality_figure"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_END = 0.35  # of the curve's width in decades, that its ends stand apart
_LEAST_GAP = 0.3  # decades


def locality_figure(
    table: pd.DataFrame, *, value: str, label: str, series: str, title: str = "", interval: Sequence[str] = ()
) -> Figure:
    """A curve for each series over locality on a logarithmic axis, whose ends are `permutation` and `none`.

    Args:
        table: Columns invariance, locality (0 for `permutation`), displacement, `value` and `series`; rows of other
            invariances are not drawn.
        value: The column of the result.
        label: What it is called.
        series: The column that tells curves apart.
        title: What was measured.
        interval: Columns of the ends of an interval, drawn as a band.
    """
    rows = table[table["invariance"].isin(["none", "permutation"])]
    inner = np.sort(rows.loc[rows["locality"] > 0, "locality"].unique())
    moves = rows["displacement"].notna().any()
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * (0.9 if moves else 0.5), PAGE_WIDTH * 0.34), layout="constrained")
        panels: Any = figure.subplots(1, 2 if moves else 1, squeeze=False)[0]
        names = list(dict.fromkeys(rows[series]))
        for number, name in enumerate(names):
            of_name, color = rows[rows[series] == name], _COLORS[number % len(_COLORS)]
            _draw_curve(panels[0], of_name, inner, value, color, verbatim(str(name)), interval)
            if moves:
                _draw_curve(panels[1], of_name, inner, "displacement", color)
        for axes, what in zip(panels, (label, "mean displacement\n(diagonals of the map)"), strict=False):
            _set_axis(axes, inner)
            axes.set_ylabel(what)
        if title:
            panels[0].set_title(verbatim(title))
        if len(names) > 1:
            figure.legend(loc="outside upper center", ncols=min(len(names), 7))
    return figure


def _draw_curve(
    axes: Axes,
    rows: pd.DataFrame,
    inner: np.ndarray,
    column: str,
    color: str,
    label: str | None = None,
    interval: Sequence[str] = (),
) -> None:
    """One curve; its ends are marked as the paper's methods, and its band is the interval."""
    left, right = _ends(inner)
    at = np.where(rows["invariance"] == "none", right, np.log10(np.clip(rows["locality"].fillna(1), 1e-12, None)))
    at = np.where((rows["invariance"] == "permutation") & (rows["locality"] == 0), left, at)
    order = np.argsort(at, kind="stable")
    x, y = at[order], rows[column].to_numpy(float)[order]
    axes.plot(x, y, color=color, marker="o", markersize=3, label=label)
    ends = (x == left) | (x == right)
    axes.plot(x[ends], y[ends], "D", color=color, markersize=5, markeredgecolor="white")
    if interval:
        low, high = (rows[name].to_numpy(float)[order] for name in interval)
        axes.fill_between(x, low, high, color=color, alpha=0.12, linewidth=0)


def _ends(inner: np.ndarray) -> tuple[float, float]:
    """Where `permutation` and `none` stand on an axis of decades."""
    decades = np.log10(inner) if len(inner) else np.zeros(1)
    gap = max(_LEAST_GAP, _END * float(np.ptp(decades)) / 2)
    return float(decades.min()) - gap, float(decades.max()) + gap


def _set_axis(axes: Axes, inner: np.ndarray) -> None:
    """Ticks at the values that were computed, and the paper's methods by name at the ends."""
    left, right = _ends(inner)
    ends = [f"0\n{INVARIANCE_TITLE['permutation']}", f"$\\infty$\n{INVARIANCE_TITLE['none']}"]
    axes.set_xticks([left, *np.log10(inner), right], [ends[0], *(f"{one:g}" for one in inner), ends[1]])
    axes.axvspan(left - 0.1, (left + np.log10(inner)[0]) / 2 if len(inner) else left, color="#f2f2f2", zorder=0)
    axes.axvspan((right + np.log10(inner)[-1]) / 2 if len(inner) else right, right + 0.1, color="#f2f2f2", zorder=0)
    axes.set(xlim=(left - 0.1, right + 0.1), xlabel="locality")
