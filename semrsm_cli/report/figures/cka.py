"""Figures 15 to 17: CKA between layers, from spatio-semantic and from semantic RSMs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from semrsm_cli.report.figures.style import (
    DIVERGING,
    INVARIANCE_TITLE,
    PAGE_WIDTH,
    SEQUENTIAL,
    every,
    paper_style,
    shorten,
    verbatim,
)

__all__ = [
    "Consistency",
    "cka_figure",
    "consistency_figure",
]

_MAX_NUMBERED = 8  # layers a side up to which every cell shows its number
_MAX_LABELLED = 16  # layers a side up to which every one is named
_LEAST_SPAN = 0.1  # of the colours of CKA
_LEAST_DIFFERENCE = 0.02  # to which those of differences reach on both sides
_LONGEST_NAME = 26
_LONGEST_TITLE = 24
_LONGEST_LAYER = 16
_KERNEL_NAME = {"linear": "linear", "rbf": "RBF", "cosine": "cosine"}
_KERNEL_COLOR = {"linear": "#0072B2", "rbf": "#D55E00", "cosine": "#009E73"}
_KEY_COLOR = "#555555"  # of what the legend tells of all kernels
_HATCH = "////"
_NULL_LABEL = "not above 95 % of shuffled images"
_OTHER = {"biased": "unbiased", "unbiased": "biased"}


@dataclass(frozen=True)
class Consistency:
    """CKA of semantic with spatio-semantic RSMs of the same representations, by one kernel.

    Attributes:
        values: CKA [networks, layers, layers]; rows are semantic, columns spatio-semantic.
        other: The diagonal of the networks' mean [layers] by the other estimator of HSIC; NaN where there is none.
        std: Spread of the networks' mean over draws of the images [layers], if there are several.
        n_draws: How many.
        null_95: What the diagonal [layers] exceeds with a chance of 5 % if only chance relates the two, if it is known.
    """

    values: np.ndarray
    other: np.ndarray
    std: np.ndarray | None = None
    n_draws: int = 1
    null_95: np.ndarray | None = None


def cka_figure(
    spatial: np.ndarray,
    semantic: np.ndarray,
    layers_a: Sequence[str],
    layers_b: Sequence[str],
    *,
    label_a: str,
    label_b: str,
    kernel: str,
    by_chance: tuple[np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """CKA from spatio-semantic and from semantic RSMs on one colour scale, and the difference centred at zero.

    Args:
        spatial: CKA of spatio-semantic RSMs [layers of a, layers of b].
        semantic: The same of semantic RSMs.
        layers_a: Names of the layers of a, first to last.
        layers_b: Names of the layers of b.
        label_a: Name of network a.
        label_b: Name of network b.
        kernel: Name of the kernel.
        by_chance: Of both, where CKA does not exceed what it is with shuffled images; these cells are hatched.
    """
    low, high = _scale(spatial, semantic)
    difference = semantic - spatial
    largest = max(float(np.abs(difference).max()), _LEAST_DIFFERENCE)
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH, PAGE_WIDTH * 0.44), layout="compressed")
        left, middle, right = figure.subplots(1, 3, sharex=True, sharey=True)
        for axes, values, name in ((left, spatial, "none"), (middle, semantic, "permutation")):
            picture = _draw_heat_map(axes, values, layers_a, layers_b, cmap=SEQUENTIAL, vmin=low, vmax=high)
            axes.set_title(INVARIANCE_TITLE[name])
        change = _draw_heat_map(right, difference, layers_a, layers_b, cmap=DIVERGING, vmin=-largest, vmax=largest)
        right.set_title("difference:\nsemantic \N{MINUS SIGN} spatio-semantic")
        left.set_ylabel(verbatim(shorten(label_a, _LONGEST_NAME)))
        for axes in (left, middle, right):
            axes.set_xlabel(verbatim(shorten(label_b, _LONGEST_NAME)))
        _add_colorbar(figure, picture, [left, middle], f"CKA, {_KERNEL_NAME[kernel]} kernel")
        _add_colorbar(figure, change, [right], "difference of CKA")
        if by_chance is not None and np.any(by_chance):
            for axes, cells in zip((left, middle), by_chance, strict=True):
                _hatch(axes, cells)
            example = Patch(facecolor="none", edgecolor=_KEY_COLOR, hatch=_HATCH, linewidth=0.5)
            figure.legend([example], [_NULL_LABEL], loc="outside lower left")
    return figure


def consistency_figure(
    values: Mapping[str, Consistency], layers: Sequence[str], positions: Sequence[int], *, label: str, estimator: str
) -> Figure:
    """CKA of semantic with spatio-semantic RSMs of the same representations: heat maps, and their diagonal apart.

    Args:
        values: CKA by each kernel.
        layers: Names of the layers, first to last.
        positions: Number of positions of each layer.
        label: Name of the network.
        estimator: How the HSIC of `values` was estimated.
    """
    means = {kernel: of_kernel.values.mean(axis=0) for kernel, of_kernel in values.items()}
    low, high = _scale(*means.values())
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * (0.35 * len(means) + 0.52), PAGE_WIDTH * 0.42), layout="compressed")
        grid: Any = figure.subplots(1, len(means) + 1)
        for axes, (kernel, mean) in zip(grid, means.items(), strict=False):
            picture = _draw_heat_map(axes, mean, layers, layers, cmap=SEQUENTIAL, vmin=low, vmax=high)
            axes.set(
                title=f"{verbatim(shorten(label, _LONGEST_TITLE))}\n{_KERNEL_NAME[kernel]} kernel",
                xlabel="spatio-semantic RSM",
            )
        grid[0].set_ylabel("semantic RSM")
        _add_colorbar(figure, picture, list(grid[:-1]), f"CKA, {estimator} estimator")
        _draw_diagonals(grid[-1], values, layers, positions)
        _add_diagonals_legend(figure, values, estimator)
    return figure


def _hatch(axes: Axes, cells: np.ndarray) -> None:
    """Hatch some cells of a heat map, light on a dark line, so that it is seen on any colour."""
    for row, column in np.argwhere(cells):
        place = (column - 0.5, row - 0.5)
        for color, width in (("black", 0.9), ("white", 0.4)):
            with rc_context({"hatch.linewidth": width}):
                axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor=color, hatch=_HATCH, linewidth=0))


def _scale(*values: np.ndarray) -> tuple[float, float]:
    """The ends of the colours: those of the values, at least `_LEAST_SPAN` apart, or rounding would look like much."""
    low, high = min(float(part.min()) for part in values), max(float(part.max()) for part in values)
    return min(low, high - _LEAST_SPAN), high


def _draw_diagonals(
    axes: Axes, values: Mapping[str, Consistency], layers: Sequence[str], positions: Sequence[int]
) -> None:
    """Each kernel's diagonal over the layers by both estimators, with its spread, and the number of positions above."""
    for kernel, of_kernel in values.items():
        diagonals = of_kernel.values.diagonal(axis1=1, axis2=2)
        color, places = _KERNEL_COLOR[kernel], np.arange(len(layers))
        axes.errorbar(
            places, diagonals.mean(axis=0), yerr=of_kernel.std, color=color, marker="o", markersize=3, capsize=2
        )
        axes.plot(places, of_kernel.other, color=color, linestyle="dashed", linewidth=0.9)
        if of_kernel.null_95 is not None:
            axes.plot(places, of_kernel.null_95, color=color, linestyle="dotted", linewidth=0.9)
        if len(diagonals) > 1:
            axes.fill_between(places, diagonals.min(axis=0), diagonals.max(axis=0), color=color, alpha=0.2, linewidth=0)
    shown = every(len(layers), _MAX_LABELLED)
    labels = _layer_labels(layers)
    axes.set_xticks(shown, [labels[i] for i in shown], rotation=90, fontsize=_tick_size(len(shown)))
    axes.set(title="the diagonal: both RSMs of a layer", ylabel="CKA", xlim=(-0.5, len(layers) - 0.5))
    axes.set_box_aspect(1)
    top = axes.secondary_xaxis("top")
    changes = [i for i in range(len(positions)) if i == 0 or positions[i] != positions[i - 1]]
    top.set_xticks(changes, [str(positions[i]) for i in changes], fontsize=6)
    top.set_xlabel("positions s", fontsize=6)
    top.tick_params(length=2, pad=1)


def _add_diagonals_legend(figure: Figure, values: Mapping[str, Consistency], estimator: str) -> None:
    """What lines, bars and bands stand for; what holds for all kernels is grey."""
    entries: dict[str, Artist] = {
        f"{_KERNEL_NAME[kernel]} kernel": Line2D([], [], color=_KERNEL_COLOR[kernel], marker="o", markersize=3)
        for kernel in values
    }
    shown = next(iter(values.values()))
    entries[estimator] = Line2D([], [], color=_KEY_COLOR)
    if np.isfinite(shown.other).any():
        entries[_OTHER[estimator]] = Line2D([], [], color=_KEY_COLOR, linestyle="dashed", linewidth=0.9)
    if shown.null_95 is not None:
        entries["95 % of shuffled images"] = Line2D([], [], color=_KEY_COLOR, linestyle="dotted", linewidth=0.9)
    if shown.std is not None:
        bar = Line2D([], [], color=_KEY_COLOR, marker="|", markersize=7, linestyle="none")
        entries[f"\N{PLUS-MINUS SIGN} std over {shown.n_draws} draws"] = bar
    if len(shown.values) > 1:
        entries[f"range of {len(shown.values)} networks"] = Patch(color=_KEY_COLOR, alpha=0.2, linewidth=0)
    figure.legend(list(entries.values()), list(entries), loc="outside right center")


def _draw_heat_map(
    axes: Axes, values: np.ndarray, layers_a: Sequence[str], layers_b: Sequence[str], **colors: Any
) -> AxesImage:
    """A matrix with the first layers at the lower left, and its numbers where there is room."""
    picture = axes.imshow(values, origin="lower", interpolation="nearest", **colors)
    for axis, layers in ((axes.yaxis, layers_a), (axes.xaxis, layers_b)):
        shown, labels = every(len(layers), _MAX_LABELLED), _layer_labels(layers)
        axis.set_ticks(shown, [labels[i] for i in shown], fontsize=_tick_size(len(shown)))
    axes.tick_params(length=0)
    axes.tick_params(axis="x", rotation=90)
    axes.spines[:].set_visible(False)
    if max(values.shape) <= _MAX_NUMBERED:
        for (row, column), value in np.ndenumerate(values):
            shade = picture.cmap(picture.norm(value))
            color = "white" if np.dot(shade[:3], (0.299, 0.587, 0.114)) < 0.5 else "black"
            axes.text(column, row, _format_number(value), ha="center", va="center", fontsize=5.5, color=color)
    return picture


def _format_number(value: float) -> str:
    """Two decimals without the zero before the point."""
    text = f"{value:.2f}"
    if float(text) == 0:
        return "0"
    return text.replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")


def _add_colorbar(figure: Figure, picture: AxesImage, axes: list[Axes], label: str) -> None:
    """A colour bar with few numbers."""
    colorbar = figure.colorbar(picture, ax=axes, location="bottom", shrink=0.6, aspect=30, pad=0.03)
    colorbar.set_label(label, labelpad=1)
    colorbar.outline.set_visible(False)
    colorbar.locator = MaxNLocator(5 if len(axes) > 1 else 3)
    colorbar.update_ticks()


def _tick_size(n: int) -> float:
    """Points of the names of n layers on a side, so that they do not touch."""
    return 7 if n <= _MAX_LABELLED // 2 else 5.5


def _layer_labels(layers: Sequence[str]) -> list[str]:
    """The shortest beginnings of module names that tell the layers apart, without what all begin with.

    `stem.norm`, `layer1.0.sum`, `layer1.1.sum` become `stem`, `layer1.0`, `layer1.1`.
    """
    parts = [layer.split(".") for layer in layers]
    if len(parts) == 1:
        return [verbatim(shorten(layers[0], _LONGEST_LAYER))]
    shared = 0
    while len({tuple(name[: shared + 1]) for name in parts}) == 1 and shared + 1 < min(map(len, parts)):
        shared += 1
    if any(name[shared].isdigit() for name in parts):
        shared = max(0, shared - 1)  # numbers alone say nothing
    labels = []
    for name in parts:
        end = shared + 1
        while end < len(name) and sum(other[:end] == name[:end] for other in parts) > 1:
            end += 1
        labels.append(verbatim(shorten(".".join(name[shared:end]), _LONGEST_LAYER)))
    return labels
