"""Figures 2 and 7: crops, their RSMs over the layers, and both distributions of similarity."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec, SubplotSpec
from PIL import Image

from semrsm_cli.report.figures.style import (
    COLOR,
    INVARIANCE_TITLE,
    PAGE_WIDTH,
    SEQUENTIAL,
    bare,
    paper_style,
    short_layer,
)

__all__ = ["translation_figure"]

N_RSMS = 5
PAIRS = ("overlapping", "unrelated")
SIDES: tuple[Literal["low", "high"], ...] = ("low", "high")


def translation_figure(
    crops: Sequence[tuple[Image.Image, Image.Image]],
    rsms: Mapping[str, Mapping[Any, np.ndarray]],
    similarities: pd.DataFrame,
    separation: pd.DataFrame,
    *,
    kernel: str,
) -> Figure:
    """Crops on the left, one batch's RSMs without and with invariance in the middle, distributions on the right.

    Args:
        crops: Pairs of upper and lower crops to show.
        rsms: For each layer and invariance the RSMs [batches, 2n, 2n]; the first batch is drawn.
        similarities: Columns layer, invariance, pair, similarity.
        separation: The task's table, for the areas under the ROC curve.
        kernel: Name of the kernel, for the colour bar.
    """
    layers = list(rsms)
    shown = [layers[i] for i in np.unique(np.linspace(0, len(layers) - 1, N_RSMS).round().astype(int))]
    invariances = list(rsms[layers[0]])
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 1.45, PAGE_WIDTH * 0.42))
        columns = figure.add_gridspec(
            1, 3, width_ratios=[1.0, 0.98 * len(shown), 0.55 * len(layers) + 1.0], wspace=0.14, left=0.01, right=0.99
        )
        draw_crops(figure, columns[0], crops)
        draw_rsms(figure, columns[1], {layer: rsms[layer] for layer in shown}, invariances, kernel)
        draw_distributions(figure, columns[2], layers, invariances, similarities, separation, kernel)
    return figure


def draw_crops(figure: Figure, place: SubplotSpec, crops: Sequence[tuple[Image.Image, Image.Image]]) -> None:
    """Upper crops in one column, lower crops in the next."""
    grid = GridSpecFromSubplotSpec(len(crops), 2, place, wspace=0.06, hspace=0.06)
    for row, pair in enumerate(crops):
        for column, (crop, title) in enumerate(zip(pair, ("upper crop", "lower crop"), strict=True)):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(np.asarray(crop))
            bare(axes)
            if row == 0:
                axes.set_title(title)


def draw_rsms(
    figure: Figure,
    place: SubplotSpec,
    rsms: Mapping[str, Mapping[Any, np.ndarray]],
    invariances: Sequence[str],
    kernel: str,
) -> None:
    """A row of RSMs per invariance, all on one colour scale per layer; RBF and cosine share one over all."""
    grid = GridSpecFromSubplotSpec(
        len(invariances), len(rsms) + 1, place, width_ratios=[*[1] * len(rsms), 0.06], wspace=0.08, hspace=0.12
    )
    bounded = kernel == "rbf"
    for column, (layer, of_layer) in enumerate(rsms.items()):
        low, high = (0.0, 1.0) if bounded else limits([of_layer[invariance][0] for invariance in invariances])
        for row, invariance in enumerate(invariances):
            axes = figure.add_subplot(grid[row, column])
            matrix = of_layer[invariance][0]
            picture = axes.imshow(matrix, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
            bare(axes)
            if row == 0:
                axes.set_title(short_layer(layer))
            if column == 0:
                axes.set_ylabel(INVARIANCE_TITLE[str(invariance)])
            n = len(matrix) // 2
            axes.axhline(n - 0.5, color="white", linewidth=0.6)
            axes.axvline(n - 0.5, color="white", linewidth=0.6)
    if bounded:
        colorbar = figure.colorbar(picture, cax=figure.add_subplot(grid[:, -1]), ticks=[0, 0.5, 1])
        colorbar.set_label("similarity (RBF)", labelpad=0)
        colorbar.outline.set_visible(False)


def limits(matrices: Sequence[np.ndarray]) -> tuple[float, float]:
    """Colour limits from the entries off the diagonal, which else would outshine them."""
    off = np.concatenate([matrix[~np.eye(len(matrix), dtype=bool)] for matrix in matrices])
    return float(off.min()), float(off.max())


def draw_distributions(
    figure: Figure,
    place: SubplotSpec,
    layers: Sequence[str],
    invariances: Sequence[str],
    similarities: pd.DataFrame,
    separation: pd.DataFrame,
    kernel: str,
) -> None:
    """Per layer two half violins, overlapping on the left and unrelated on the right, with the area between them."""
    grid = GridSpecFromSubplotSpec(len(invariances), 1, place, hspace=0.24)
    for row, invariance in enumerate(invariances):
        axes = figure.add_subplot(grid[row])
        of_invariance = similarities[similarities["invariance"] == str(invariance)]
        areas = separation[separation["invariance"] == str(invariance)].set_index("layer")["auc"]
        for position, layer in enumerate(layers):
            of_layer = of_invariance[of_invariance["layer"] == layer]
            values = [scaled(of_layer, pair, kernel) for pair in PAIRS]
            for side, pair, of_pair in zip(SIDES, PAIRS, values, strict=True):
                half_violin(axes, of_pair, position, side, COLOR[pair])
            axes.text(position, 1.03, f"{areas[layer]:.2f}", ha="center", va="bottom", fontsize=7)
        axes.text(-0.62, 1.03, "AUC", ha="right", va="bottom", fontsize=7)
        axes.set(xlim=(-0.6, len(layers) - 0.4), ylim=(-0.03, 1.02), yticks=[0, 0.5, 1])
        axes.set_ylabel("similarity" if kernel == "rbf" else "similarity (scaled)")
        last = row == len(invariances) - 1
        names = [short_layer(layer) for layer in layers] if last else []
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        if row == 0:
            handles = [axes.fill_between([], [], color=COLOR[pair], alpha=0.75, label=pair) for pair in PAIRS]
            axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.1), ncols=2, borderaxespad=0)


def scaled(of_layer: pd.DataFrame, pair: str, kernel: str) -> np.ndarray:
    """Similarities of one kind of pair; unbounded kernels are brought to [0, 1] within the layer."""
    values = of_layer.loc[of_layer["pair"] == pair, "similarity"].to_numpy()
    if kernel == "rbf":
        return values
    low, high = of_layer["similarity"].min(), of_layer["similarity"].max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def half_violin(axes: Axes, values: np.ndarray, position: float, side: Literal["low", "high"], color: str) -> None:
    """One half of a violin; a line where all values are the same."""
    if np.ptp(values) < 1e-6:
        offset = -0.4 if side == "low" else 0.4
        axes.plot([position, position + offset], [values[0]] * 2, color=color)
        return
    parts = axes.violinplot(values, [position], widths=0.85, side=side, showextrema=False, showmedians=False)
    for body in cast(list[PolyCollection], parts["bodies"]):
        body.set(facecolor=color, alpha=0.75, edgecolor="none")
