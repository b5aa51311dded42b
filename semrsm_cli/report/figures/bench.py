"""Table 5 as a picture, and Figures 5 and 6: runtime over size, and what approximations reach of the optimum."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semrsm_cli.report.figures.style import PAGE_WIDTH, every, paper_style, short_layer

__all__ = ["alignment_figure", "runtime_figure"]

# Okabe and Ito's colours; the certified optimum stands out
_METHOD_STYLE = {
    "optimal": ("#D55E00", "o"),
    "ortools": ("#0072B2", "s"),
    "ortools_x1000": ("#6a9fd8", "d"),
    "scipy": ("#56B4E9", "^"),
    "lapjv": ("#009E73", "v"),
    "lapx": ("#CC79A7", "<"),
    "lapcpp": ("#000000", ">"),
    "batch_optimal": ("#E69F00", "D"),
    "topk_greedy": ("#8c6bb1", "P"),
    "greedy": ("#bcbd22", "X"),
    "diagonal": ("#999999", "."),
}
_MAX_LABELLED = 10  # layers up to which each is named
_MAX_CURVES = 10  # as many as there are colours
_OTHER_STYLE = ("#7f7f7f", "x")
_SERIES = ("batch_optimal", "topk_greedy")  # several curves each, the darker the larger their parameter
_DRAWN = {"batch": 512, "n_exact": 128}  # the parameters that stand for all: the paper's, or the largest
_AFFINITY: dict[str, Any] = {"color": "#444444", "linestyle": "--", "linewidth": 0.8}
_PAPER_MARKER: dict[str, Any] = {"markerfacecolor": "none", "markersize": 5, "linewidth": 0.6, "linestyle": ":"}


def runtime_figure(matching: pd.DataFrame) -> Figure:
    """Seconds a pair over the number of positions, both logarithmic; hollow markers are the paper's numbers.

    The dashed line is what the affinity takes, which all methods but Batch-Optimal and no matching need whole.
    """
    drawn = matching
    for parameter, wanted in _DRAWN.items():
        values = drawn[parameter].dropna()
        shown = wanted if (values == wanted).any() else values.max()
        drawn = drawn[drawn[parameter].isna() | (drawn[parameter] == shown)]
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 0.62, PAGE_WIDTH * 0.42), layout="constrained")
        axes = figure.subplots()
        for method, of_method in drawn.groupby("method", sort=False):
            _draw_method(axes, str(method), of_method.sort_values("positions"))
        affinity = drawn.drop_duplicates("positions").sort_values("positions").dropna(subset="affinity_seconds")
        if not affinity.empty:
            axes.plot(*affinity[["positions", "affinity_seconds"]].to_numpy(float).T, label="the affinity", **_AFFINITY)
        if drawn["paper_seconds"].notna().any():
            axes.plot([], [], color="#444444", marker="o", label="in the paper", **_PAPER_MARKER)
        axes.set(xscale="log", yscale="log", xlabel="positions s", ylabel="seconds a pair (median, one core)")
        sizes = sorted(drawn["positions"].unique())
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(axis="y", color="#dddddd", linewidth=0.5)
        figure.legend(loc="outside right upper")
    return figure


def _draw_method(axes: Axes, method: str, of_method: pd.DataFrame) -> None:
    """Our times of one method, and the paper's where it has them."""
    color, marker = _METHOD_STYLE.get(method, _OTHER_STYLE)
    ours = of_method[["positions", "seconds_median"]].to_numpy(float).T
    theirs = of_method[["positions", "paper_seconds"]].dropna().to_numpy(float).T
    width = 2.2 if method == "optimal" else 1.2
    axes.plot(*ours, color=color, marker=marker, markersize=5, linewidth=width, label=_method_label(of_method))
    axes.plot(*theirs, color=color, marker=marker, **_PAPER_MARKER)


def _method_label(of_method: pd.DataFrame) -> str:
    """A method's name in a legend, with its parameter."""
    first = of_method.iloc[0]
    parameters = [f"({first[name]:g})" for name in _DRAWN if pd.notna(first[name])]
    certified = ", certified" if first["method"] == "optimal" else ""
    return "".join([str(first["method"]), *parameters, certified])


def alignment_figure(alignment: pd.DataFrame) -> Figure:
    """Left, per layer and method the ratio to the optimum (Figure 5); right, no matching, pair by pair (Figure 6).

    The right half is left out where no matching is not among the methods.
    """
    layers = list(dict.fromkeys(alignment["layer"]))
    methods = list(dict.fromkeys(alignment["method"]))
    unmatched = alignment[alignment["method"] == "diagonal"]
    widths = [1.5] if unmatched.empty else [1.5, 1]
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 0.48 * sum(widths), PAGE_WIDTH * 0.42), layout="constrained")
        axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        _draw_ratios(axes[0], alignment, layers, methods)
        if not unmatched.empty:
            _draw_pairs(axes[1], unmatched, layers)
    return figure


def _draw_ratios(axes: Axes, alignment: pd.DataFrame, layers: list[str], methods: list[str]) -> None:
    """Mean ratio of each method over the layers, with the range from the 5th to the 95th percentile of the pairs."""
    for k, method in enumerate(methods):
        of_method = alignment[alignment["method"] == method]
        base = method.split("(")[0]
        color, marker = _METHOD_STYLE.get(base, _OTHER_STYLE)
        shade = 1.0 if base not in _SERIES else 0.35 + 0.65 * _rank_among(method, methods)
        ratios = [of_method.loc[of_method["layer"] == layer, "ratio_to_optimal"].to_numpy() for layer in layers]
        means = np.array([ratio.mean() for ratio in ratios])
        low, high = (np.array([np.quantile(ratio, q) for ratio in ratios]) for q in (0.05, 0.95))
        x = np.arange(len(layers)) + (k - (len(methods) - 1) / 2) * 0.8 / max(len(methods), 9)
        axes.vlines(x, low, high, color=color, alpha=shade, linewidth=0.8)
        label = method if method != "diagonal" else "no matching"
        axes.plot(x, means, color=color, alpha=shade, marker=marker, markersize=4, linewidth=0.7, label=label)
    axes.axhline(1, color="#444444", linewidth=0.6)
    sizes = alignment.drop_duplicates("layer").set_index("layer")["positions"]
    labelled = [layers[i] for i in every(len(layers), _MAX_LABELLED)]
    axes.set_xticks(
        [layers.index(layer) for layer in labelled], [f"{short_layer(layer)}\ns = {sizes[layer]}" for layer in labelled]
    )
    axes.set(ylabel="similarity relative to the optimum")
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13))  # below, where it hides no curve


def _rank_among(method: str, methods: list[str]) -> float:
    """Where a parameter of a method stands among the others, from 0 for the first to 1 for the last."""
    family = [other for other in methods if other.split("(")[0] == method.split("(")[0]]
    return family.index(method) / max(len(family) - 1, 1)


def _draw_pairs(axes: Axes, unmatched: pd.DataFrame, layers: list[str]) -> None:
    """Sorted ratios of the spatio-semantic to the semantic similarity, one curve a layer, of some of many layers."""
    drawn = [layers[i] for i in every(len(layers), _MAX_CURVES)]
    for color, layer in zip([f"C{i}" for i in range(_MAX_CURVES)], drawn, strict=False):
        ratios = np.sort(unmatched.loc[unmatched["layer"] == layer, "ratio_to_optimal"].to_numpy())
        axes.plot(np.linspace(0, 100, len(ratios)), ratios, color=color, label=short_layer(layer))
    axes.axhline(0, color="#444444", linewidth=0.6)
    axes.set(xlabel="pairs of images, sorted [%]", ylabel="spatio-semantic / semantic similarity")
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.13))
