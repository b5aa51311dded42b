"""The heat map of an RSM."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from semrsm_cli.report.figures.style import PAGE_WIDTH, SEQUENTIAL, color_limits, paper_style, shorten, verbatim

__all__ = ["dendrogram_order", "rsm_figure"]

_MOST = 1000  # images on a side that a page can show
_MOST_NAMED = 40
_LONGEST_NAME = 32
_LONGEST_TITLE = 60
_LEAST_SPAN = 0.05  # of the colours, of bounded kernels
_LABEL = {"cosine": "cosine similarity", "rbf": "RBF kernel", "linear": "inner product"}


def rsm_figure(
    values: np.ndarray,
    *,
    title: str,
    kernel: str,
    is_within: bool,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    order: Sequence[int] | None = None,
) -> Figure:
    """An RSM [n, m] with its first image at the upper left; colours leave out an image with itself.

    Args:
        values: The RSM.
        title: What it is of.
        kernel: Name of the kernel, for the colour bar.
        is_within: Whether it is of images with themselves.
        names: Names of the images on both sides, which are written where they fit.
        order: The order in which images stand on both sides, of an RSM of images with themselves; None: their own.
    """
    rows, columns = (_shown(length) for length in values.shape)
    if order is not None:
        rows = columns = np.asarray(order)[rows]
    shown = values[np.ix_(rows, columns)]
    low, high = color_limits([shown], without_diagonal=is_within)
    least = _LEAST_SPAN if kernel != "linear" else 0.0
    missing = max(0.0, least - (high - low)) / 2
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 0.62, PAGE_WIDTH * 0.55), layout="constrained")
        axes = figure.subplots()
        picture = axes.imshow(
            shown, cmap=SEQUENTIAL, vmin=low - missing, vmax=high + missing, interpolation="nearest", aspect="auto"
        )
        if shown.shape[0] == shown.shape[1]:
            axes.set_aspect("equal")
        axes.set_title(verbatim(shorten(title, _LONGEST_TITLE)))
        axes.spines[:].set_visible(False)
        _name_images(axes, rows, columns, names)
        if order is not None and len(rows) > _MOST_NAMED:
            axes.set(xticks=[], yticks=[])  # places are no numbers of images
        axes.set_xlabel(_axis_label(values.shape[1], len(columns), order is not None))
        colorbar = figure.colorbar(picture, ax=axes, shrink=0.7, aspect=30)
        colorbar.set_label(_LABEL.get(kernel, kernel))
        colorbar.outline.set_visible(False)
        colorbar.locator = MaxNLocator(5)
    return figure


def dendrogram_order(values: np.ndarray) -> list[int]:
    """The leaves of a dendrogram of the images of an RSM [n, n], by average linkage of `max - similarity`.

    Of two images with one distance the first goes first; the order does not depend on the scale of the similarities.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(values) < 3:
        return list(range(len(values)))
    similarity = (values + values.T) / 2
    distances = similarity[~np.eye(len(values), dtype=bool)].max() - similarity
    np.fill_diagonal(distances, 0)
    return [int(i) for i in leaves_list(linkage(squareform(distances, checks=False), "average"))]


def _shown(n: int) -> np.ndarray:
    """Which of n images are drawn: all, or every so many."""
    return np.arange(0, n, -(-n // _MOST))


def _name_images(
    axes: Axes, rows: np.ndarray, columns: np.ndarray, names: tuple[Sequence[str], Sequence[str]] | None
) -> None:
    """Names where they fit, else numbers."""
    for axis, images, of_side in (
        (axes.yaxis, rows, None if names is None else names[0]),
        (axes.xaxis, columns, None if names is None else names[1]),
    ):
        if of_side is not None and len(images) <= _MOST_NAMED:
            labels = [verbatim(shorten(of_side[i], _LONGEST_NAME)) for i in images]
            axis.set_ticks(range(len(images)), labels, fontsize=5 if len(images) > 20 else 6)
    if names is not None and len(columns) <= _MOST_NAMED:
        axes.tick_params(axis="x", rotation=90)
    axes.tick_params(length=0)


def _axis_label(n: int, shown: int, is_ordered: bool) -> str:
    """How many images there are, and in which order."""
    every = f"{n} images" if shown == n else f"{shown} of {n} images"
    return f"{every}, in the order of a dendrogram" if is_ordered else every
