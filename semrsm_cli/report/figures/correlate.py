"""Similarity of representations against divergence of predictions, and their correlation over the depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from semrsm_cli.report.figures.style import (
    COLOR,
    INVARIANCE_TITLE,
    PAGE_WIDTH,
    SEQUENTIAL,
    every,
    paper_style,
    short_layer,
)

__all__ = ["Density", "density_figure", "depth_figure", "intervals_figure"]

_KERNEL_TITLE = {"cosine": "cosine similarity", "linear": "inner product", "rbf": "RBF kernel"}
_STATISTIC_TITLE = {"pearson": "Pearson's $r$", "spearman": r"Spearman's $\rho$"}
_DIVERGENCE = "Jensen-Shannon divergence of predictions (nats)"
_LEAST_HEIGHT = 2.9  # inches, on which the label of the divergences has room
_MAX_LABELLED = 10  # layers up to which each is named
_THOUSANDS = 2000  # from which on ticks are written with k
_LOG_2 = float(np.log(2))
_N_BINS = (72, 54)  # of similarity and of divergence
_DRAWN_QUANTILES = (0.0005, 0.9995)  # quantiles of the similarity between which pairs are drawn
_BINS_OF_A_MEAN = 3
_MIN_PAIRS = 30  # whose mean is drawn


@dataclass(frozen=True)
class Density:
    """Numbers of pairs `counts` [similarity, divergence] within bins, whose edges are given."""

    kernel: str
    invariance: str
    counts: np.ndarray
    similarity_edges: np.ndarray
    divergence_edges: np.ndarray

    @classmethod
    def of(cls, kernel: str, invariance: str, similarity: np.ndarray, divergence: np.ndarray) -> Self:
        """Count pairs; the few of extreme similarity are left out, since they would squeeze all others."""
        low, high = np.quantile(similarity, _DRAWN_QUANTILES)
        limits = [[float(low), float(high) if high > low else float(low) + 1.0], [0.0, _LOG_2]]
        counts, *edges = np.histogram2d(similarity, np.minimum(divergence, _LOG_2), bins=_N_BINS, range=limits)
        return cls(kernel, invariance, counts, *edges)

    def table(self) -> pd.DataFrame:
        """Bins that hold pairs: kernel, invariance, the bin's middle, pairs."""
        i, j = np.nonzero(self.counts)
        return pd.DataFrame(
            {
                "kernel": self.kernel,
                "invariance": self.invariance,
                "similarity": _middles(self.similarity_edges)[i],
                "divergence": _middles(self.divergence_edges)[j],
                "pairs": self.counts[i, j].astype(int),
            }
        )


def _middles(edges: np.ndarray) -> np.ndarray:
    """The middle of every bin."""
    middle: np.ndarray = (edges[1:] + edges[:-1]) / 2
    return middle


def density_figure(densities: Sequence[Density], table: pd.DataFrame, *, resampled: str = "") -> Figure:
    """A column for each kernel, a row for each invariance: share of pairs, mean divergence, correlations.

    Args:
        densities: One for each kernel and invariance.
        table: `correlation.csv`.
        resampled: What the intervals resample, in words.
    """
    kernels = list(dict.fromkeys(density.kernel for density in densities))
    invariances = list(dict.fromkeys(density.invariance for density in densities))
    numbers = table.set_index(["kernel", "invariance"])
    with paper_style():
        height = max(_LEAST_HEIGHT, PAGE_WIDTH * (0.04 + 0.2 * len(invariances)))
        figsize = (PAGE_WIDTH * (0.1 + 0.27 * len(kernels)), height)
        figure = Figure(figsize=figsize, layout="constrained")
        grid = figure.subplots(len(invariances), len(kernels), squeeze=False, sharey=True)
        largest = max((density.counts / density.counts.sum()).max() for density in densities)
        smallest = min(1 / density.counts.sum() for density in densities)
        norm = LogNorm(smallest, max(largest, 2 * smallest))
        for density in densities:
            axes = grid[invariances.index(density.invariance), kernels.index(density.kernel)]
            picture = _draw_density(axes, density, norm)
            (row,) = numbers.loc[[(density.kernel, density.invariance)]].to_dict("records")
            axes.set_title(_correlations_text(row), fontsize=7)
        for axes, name in zip(grid[-1], kernels, strict=True):
            axes.set_xlabel(_KERNEL_TITLE[name])
        for axes, invariance in zip(grid[:, 0], invariances, strict=True):
            axes.set_ylabel(INVARIANCE_TITLE[invariance])
        figure.supylabel(_DIVERGENCE, fontsize=8)
        if resampled:
            figure.supxlabel(f"in brackets: 95 % over {resampled}", fontsize=7)
        colorbar = figure.colorbar(picture, ax=grid, aspect=40, pad=0.01)
        colorbar.set_label("share of pairs in a bin")
        colorbar.outline.set_visible(False)
    return figure


def _draw_density(axes: Axes, density: Density, norm: LogNorm) -> Any:
    """Share of pairs in every bin, and the mean divergence of the pairs of a similarity."""
    share = np.ma.masked_equal(density.counts / density.counts.sum(), 0)
    picture = axes.pcolormesh(
        density.similarity_edges, density.divergence_edges, share.T, cmap=SEQUENTIAL, norm=norm, rasterized=True
    )
    outline = [patheffects.withStroke(linewidth=2.8, foreground="white")]
    axes.plot(*_mean_divergence(density), color=COLOR["permutation"], linewidth=1.4, path_effects=outline)
    if np.abs(density.similarity_edges).max() >= _THOUSANDS:  # of `linear`, whose scale is the features'
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    highest = density.divergence_edges[1:][density.counts.any(axis=0)].max()
    axes.set(ylim=(0, min(_LOG_2, 1.05 * highest)))
    return picture


def _mean_divergence(density: Density) -> tuple[np.ndarray, np.ndarray]:
    """Mean divergence of the pairs in a few bins at a time, over the bins' mean similarity."""
    groups = density.counts.reshape(-1, _BINS_OF_A_MEAN, density.counts.shape[1])
    of_bin = groups.sum(axis=2)
    pairs = of_bin.sum(axis=1)
    similarity = (of_bin * _middles(density.similarity_edges).reshape(-1, _BINS_OF_A_MEAN)).sum(axis=1)
    divergence = groups.sum(axis=1) @ _middles(density.divergence_edges)
    enough = pairs >= _MIN_PAIRS
    return similarity[enough] / pairs[enough], divergence[enough] / pairs[enough]


def _correlations_text(row: Mapping[Any, Any]) -> str:
    """Both correlations with their intervals, on two lines."""
    lines = []
    for statistic, symbol in (("pearson", "$r$"), ("spearman", r"$\rho$")):
        low, high = row[f"{statistic}_low"], row[f"{statistic}_high"]
        interval = "" if np.isnan(low) else f"  [{low:.2f}, {high:.2f}]"
        lines.append(f"{symbol} = {row[statistic]:.2f}{interval}".replace("-", "\N{MINUS SIGN}"))
    return "\n".join(lines)


def intervals_figure(table: pd.DataFrame, tests: pd.DataFrame | None = None, *, resampled: str = "") -> Figure:
    """Both correlations with their 95 % intervals for each kernel and invariance; diamonds are the paper's.

    Args:
        table: `correlation.csv`.
        tests: `tests.csv`; how much `permutation` differs from `none` is drawn too where there are any.
        resampled: What the intervals resample, in words.
    """
    kernels, invariances = (list(dict.fromkeys(table[column])) for column in ("kernel", "invariance"))
    n_panels = 2 if tests is None or tests.empty else 3
    with paper_style():
        size = (PAGE_WIDTH * 0.4 * n_panels, PAGE_WIDTH * (0.1 + 0.02 * len(kernels) * (len(invariances) + 1)))
        figure = Figure(figsize=size, layout="constrained")
        panels: Any = figure.subplots(1, n_panels, sharey=True)
        panels[1].sharex(panels[0])
        for axes, statistic in zip(panels, _STATISTIC_TITLE, strict=False):
            for i, invariance in enumerate(invariances):
                rows = table[table["invariance"] == invariance].set_index("kernel").loc[kernels]
                y = np.arange(len(kernels)) + (i - (len(invariances) - 1) / 2) * 0.8 / len(invariances)
                _draw_intervals(axes, y, rows, statistic, invariance)
            axes.set(xlabel=_STATISTIC_TITLE[statistic])
        if tests is not None and n_panels == 3:
            _draw_differences(panels[2], tests, kernels)
        for axes in panels:
            axes.axvline(0, color="#999999", linewidth=0.6)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(kernels)), [_KERNEL_TITLE[name] for name in kernels])
        panels[0].invert_yaxis()
        figure.supxlabel(
            _with_intervals("correlation of similarity with the divergence of predictions", resampled), fontsize=8
        )
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(invariances))
    return figure


def _with_intervals(text: str, resampled: str) -> str:
    """A label, and what the intervals beside it resample."""
    return f"{text} (intervals: 95 % over {resampled})" if resampled else text


def _draw_differences(axes: Axes, tests: pd.DataFrame, kernels: Sequence[str]) -> None:
    """How much more `permutation` correlates than `none`, with the intervals of the differences."""
    for k, (statistic, marker) in enumerate(zip(_STATISTIC_TITLE, ("o", "s"), strict=True)):
        rows = tests[tests["statistic"] == statistic].set_index("kernel").loc[list(kernels)]
        value, low, high = (rows[f"difference{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        reach = np.nan_to_num(np.abs([value - low, high - value]))
        y = np.arange(len(kernels)) + (k - 0.5) * 0.4
        style: dict[str, Any] = {"color": "#333333", "markersize": 4.5, "linewidth": 1.4, "capsize": 2.5}
        fill = "#333333" if marker == "o" else "white"
        axes.errorbar(
            value, y, xerr=reach, fmt=marker, markerfacecolor=fill, label=_STATISTIC_TITLE[statistic], **style
        )
    axes.set(xlabel=f"difference: {INVARIANCE_TITLE['permutation']} less {INVARIANCE_TITLE['none']}")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _draw_intervals(axes: Axes, y: np.ndarray, rows: pd.DataFrame, statistic: str, invariance: str) -> None:
    """Points with their intervals, and the paper's numbers."""
    value, low, high = (rows[f"{statistic}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    reach = np.nan_to_num(np.abs([value - low, high - value]))
    style: dict[str, Any] = {"color": COLOR[invariance], "markersize": 5, "linewidth": 1.4}
    axes.errorbar(value, y, xerr=reach, fmt="o", capsize=2.5, label=INVARIANCE_TITLE[invariance], **style)
    axes.plot(rows[f"paper_{statistic}"].to_numpy(float), y, "D", color="black", markersize=4)


def depth_figure(depth: pd.DataFrame, *, resampled: str = "") -> Figure:
    """Correlation over the layers: a column for each kernel, a line with its interval for each invariance.

    Args:
        depth: `depth.csv`.
        resampled: What the intervals resample, in words.
    """
    layers, kernels, invariances = (list(dict.fromkeys(depth[column])) for column in ("layer", "kernel", "invariance"))
    with paper_style():
        size = (PAGE_WIDTH * (0.1 + 0.3 * len(kernels)), PAGE_WIDTH * 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(2, len(kernels), squeeze=False, sharex=True, sharey=True)
        for places, statistic in zip(grid, _STATISTIC_TITLE, strict=True):
            for axes, name in zip(places, kernels, strict=True):
                for invariance in invariances:
                    chosen = depth[(depth["kernel"] == name) & (depth["invariance"] == invariance)]
                    _draw_depth(axes, chosen.set_index("layer").loc[layers], statistic, invariance)
                axes.axhline(0, color="#999999", linewidth=0.6)
            places[0].set_ylabel(_STATISTIC_TITLE[statistic])
        for axes, name in zip(grid[0], kernels, strict=True):
            axes.set_title(_KERNEL_TITLE[name])
        for axes in grid[-1]:
            shown = every(len(layers), _MAX_LABELLED)
            axes.set_xticks(shown, [short_layer(layers[i]) for i in shown], rotation=30, ha="right")
        figure.supylabel("correlation of similarity\nwith the divergence of predictions", fontsize=8, ma="center")
        figure.supxlabel(_with_intervals("layer", resampled), fontsize=8)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(invariances))
    return figure


def _draw_depth(axes: Axes, rows: pd.DataFrame, statistic: str, invariance: str) -> None:
    """One line over the layers with its band."""
    value, low, high = (rows[f"{statistic}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    places, color = np.arange(len(rows)), COLOR[invariance]
    axes.fill_between(places, low, high, color=color, alpha=0.2, linewidth=0)
    axes.plot(places, value, "o-", color=color, markersize=3, label=INVARIANCE_TITLE[invariance])
