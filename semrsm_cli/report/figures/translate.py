"""Figures 2 and 7: crops, their RSMs over the layers, and both distributions of similarity."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from PIL import Image

from semrsm_cli.report.figures.style import (
    COLOR,
    INVARIANCE_TITLE,
    PAGE_WIDTH,
    SEQUENTIAL,
    bare,
    color_limits,
    every,
    paper_style,
    short_layer,
)

__all__ = ["translation_figure"]

_N_RSMS = 8  # layers whose RSMs are drawn, evenly from the first to the last
_N_CROPS = 4
_MAX_LABELLED = 14  # layers up to which each has a name and a number below and above its distributions
_BOUNDED = ("rbf", "cosine")
_Crops = tuple[Image.Image, Image.Image]
_PAIRS = ("overlapping", "unrelated")
_SIDES: tuple[Literal["low", "high"], ...] = ("low", "high")


def translation_figure(
    crops: Sequence[_Crops],
    rsms: Mapping[str, Mapping[Any, np.ndarray]],
    similarities: pd.DataFrame,
    separation: pd.DataFrame,
    *,
    kernel: str,
) -> Figure:
    """Crops on the left, one batch's RSMs without and with invariance in the middle, distributions on the right.

    Args:
        crops: Pairs of upper and lower crops to choose from.
        rsms: For each layer and invariance the RSMs [batches, 2n, 2n]; the first batch is drawn.
        similarities: Columns layer, invariance, pair, similarity.
        separation: The task's table, for the areas under the ROC curve.
        kernel: Name of the kernel, for the colour bar.
    """
    layers = list(rsms)
    shown = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, _N_RSMS).round().astype(int))]
    invariances = list(rsms[layers[0]])
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 1.45, PAGE_WIDTH * 0.4), layout="constrained")
        widths = [1.05, 0.92 * len(shown), 0.55 * min(len(layers), _MAX_LABELLED) + 0.7]
        parts: Any = figure.subfigures(1, 3, width_ratios=widths, wspace=0.02)
        _draw_crops(parts[0], _most_colorful(crops, _N_CROPS))
        _draw_rsms(parts[1], {layer: rsms[layer] for layer in shown}, invariances, kernel)
        _draw_distributions(parts[2], layers, invariances, similarities, separation, kernel)
    return figure


def _most_colorful(crops: Sequence[_Crops], n: int) -> list[_Crops]:
    """The n pairs with most colour, in their order: in dark or plain crops the overlap can't be seen."""
    chroma = [np.ptp(np.asarray(upper, float), axis=2).mean() for upper, _ in crops]
    return [crops[i] for i in sorted(np.argsort(chroma)[::-1][:n])]


def _draw_crops(figure: SubFigure, crops: Sequence[_Crops]) -> None:
    """Upper crops in one column, lower crops in the next."""
    grid = figure.subplots(len(crops), 2, squeeze=False)
    for row, pair in zip(grid, crops, strict=True):
        for axes, crop in zip(row, pair, strict=True):
            axes.imshow(np.asarray(crop))
            bare(axes)
    for axes, title in zip(grid[0], ("upper\ncrop", "lower\ncrop"), strict=True):
        axes.set_title(title)


def _draw_rsms(
    figure: SubFigure, rsms: Mapping[str, Mapping[Any, np.ndarray]], invariances: Sequence[str], kernel: str
) -> None:
    """A row of RSMs per invariance; bounded kernels share one colour scale, the linear one has its own per layer."""
    grid = figure.subplots(len(invariances), len(rsms), squeeze=False)
    first = {layer: [of_layer[invariance][0] for invariance in invariances] for layer, of_layer in rsms.items()}
    common = color_limits([matrix for matrices in first.values() for matrix in matrices], without_diagonal=True)
    for column, (layer, matrices) in enumerate(first.items()):
        low, high = common if kernel in _BOUNDED else color_limits(matrices, without_diagonal=True)
        for axes, matrix in zip(grid[:, column], matrices, strict=True):
            picture = axes.imshow(matrix, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
            bare(axes)
            n = len(matrix) // 2
            axes.axhline(n - 0.5, color="white", linewidth=0.6)
            axes.axvline(n - 0.5, color="white", linewidth=0.6)
        grid[0, column].set_title(short_layer(layer))
        grid[-1, column].set_xticks([n / 2 - 0.5, 1.5 * n - 0.5], ["upper", "lower"], fontsize=6)
        grid[-1, column].tick_params(length=0, pad=1)
    for axes, invariance in zip(grid[:, 0], invariances, strict=True):
        axes.set_ylabel(INVARIANCE_TITLE[str(invariance)])
    if kernel in _BOUNDED:
        colorbar = figure.colorbar(picture, ax=grid, location="bottom", extend="max", shrink=0.5, aspect=40, pad=0.03)
        colorbar.set_label(f"similarity ({kernel}; an image with itself has 1)", labelpad=1)
        colorbar.outline.set_visible(False)


def _draw_distributions(
    figure: SubFigure,
    layers: Sequence[str],
    invariances: Sequence[str],
    similarities: pd.DataFrame,
    separation: pd.DataFrame,
    kernel: str,
) -> None:
    """Per layer two half violins, overlapping on the left and unrelated on the right, with the area between them."""
    grid = figure.subplots(len(invariances), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, invariance in zip(grid, invariances, strict=True):
        of_invariance = similarities[similarities["invariance"] == str(invariance)]
        areas = separation[separation["invariance"] == str(invariance)].set_index("layer")["auc"]
        for position, layer in enumerate(layers):
            of_layer = of_invariance[of_invariance["layer"] == layer]
            for side, pair in zip(_SIDES, _PAIRS, strict=True):
                _draw_half_violin(axes, _scale(of_layer, pair, kernel), position, side, COLOR[pair])
        labelled = every(len(layers), _MAX_LABELLED)
        top = axes.secondary_xaxis("top")
        top.set_xticks(labelled, [f"{areas[layers[i]]:.2f}" for i in labelled])
        top.tick_params(length=0, pad=1)
        top.spines[:].set_visible(False)
        top.set_xlabel(f"{INVARIANCE_TITLE[str(invariance)]}: area under the ROC curve", fontsize=7)
        axes.set_ylabel("similarity" if kernel in _BOUNDED else "similarity (scaled)")
    grid[-1].set_xticks(labelled, [short_layer(layers[i]) for i in labelled], rotation=30, ha="right")
    handles = [Patch(color=COLOR[pair], alpha=0.75, label=f"{pair} crops") for pair in _PAIRS]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def _scale(of_layer: pd.DataFrame, pair: str, kernel: str) -> np.ndarray:
    """Similarities of one kind of pair; unbounded kernels are brought to [0, 1] within the layer."""
    values = of_layer.loc[of_layer["pair"] == pair, "similarity"].to_numpy()
    if kernel in _BOUNDED:
        return values
    low, high = of_layer["similarity"].min(), of_layer["similarity"].max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _draw_half_violin(
    axes: Axes, values: np.ndarray, position: float, side: Literal["low", "high"], color: str
) -> None:
    """One half of a violin; a line where all values are the same."""
    if np.ptp(values) < 1e-6:
        offset = -0.4 if side == "low" else 0.4
        axes.plot([position, position + offset], [values[0]] * 2, color=color)
        return
    parts = axes.violinplot(values, [position], widths=0.85, side=side, showextrema=False, showmedians=False)
    for body in cast(list[PolyCollection], parts["bodies"]):
        body.set(facecolor=color, alpha=0.75, edgecolor="none")
