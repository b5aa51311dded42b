"""A result over locality: the curve between the paper's two methods, and how far positions move on it."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semrsm_cli.report.figures.style import (
    INVARIANCE_TITLE,
    PAGE_WIDTH,
    SEQUENTIAL,
    every,
    paper_style,
    shorten,
    verbatim,
)

__all__ = ["locality_figure"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_END = 0.35  # of the curve's width in decades, that its ends stand apart
_LEAST_GAP = 0.3  # decades
_LEAST_TICK = 1 / 13  # of the axis, from one number to the next
_MAX_NAMES = 12  # in the legend
_MAX_LETTERS = 90  # of a row of it


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
        named, colors = every(len(names), _MAX_NAMES), _colors(len(names))
        for number, name in enumerate(names):
            of_name, color = rows[rows[series] == name], colors[number]
            label_of = verbatim(shorten(str(name), _MAX_LETTERS // 3)) if number in named else None
            _draw_curve(panels[0], of_name, inner, value, color, label_of, interval)
            if moves:
                _draw_curve(panels[1], of_name, inner, "displacement", color)
        for axes, what in zip(panels, (label, "mean displacement\n(diagonals of the map)"), strict=False):
            _set_axis(axes, inner)
            axes.set_ylabel(what)
        if title:
            figure.suptitle(verbatim(title), fontsize="medium")
        if len(names) > 1:
            longest = min(max(len(str(name)) for name in names), _MAX_LETTERS // 3) + 4  # with its line
            figure.legend(loc="outside lower center", ncols=min(len(named), 7, _MAX_LETTERS // longest + 1))
    return figure


def _colors(n: int) -> Sequence[Any]:
    """Colours of n curves: apart where they are few, else in their order, as the layers of a network are."""
    return _COLORS if n <= len(_COLORS) else list(mpl.colormaps[SEQUENTIAL](np.linspace(0, 0.95, n)))


def _draw_curve(
    axes: Axes,
    rows: pd.DataFrame,
    inner: np.ndarray,
    column: str,
    color: Any,
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
    """Ticks where values were computed, with as many numbers as fit; the paper's methods stand by name at the ends."""
    left, right = _ends(inner)
    numbered = [left]
    for at in np.log10(inner):
        if min(at - numbered[-1], right - at) >= _LEAST_TICK * (right - left):
            numbered.append(at)
    ends = [f"0\n{INVARIANCE_TITLE['permutation']}", f"$\\infty$\n{INVARIANCE_TITLE['none']}"]
    axes.set_xticks([*numbered, right], [ends[0], *(f"{float(f'{10**at:.3g}'):g}" for at in numbered[1:]), ends[1]])
    axes.set_xticks(np.log10(inner), minor=True)
    axes.axvspan(left - 0.1, (left + np.log10(inner)[0]) / 2 if len(inner) else left, color="#f2f2f2", zorder=0)
    axes.axvspan((right + np.log10(inner)[-1]) / 2 if len(inner) else right, right + 0.1, color="#f2f2f2", zorder=0)
    axes.set(xlim=(left - 0.1, right + 0.1), xlabel="locality")
