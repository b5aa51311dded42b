"""Figures 3, 4 and 8 to 12: scores of retrieval, pictures of neighbours, and what was matched to what."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from semrsm_cli.report.figures.style import COLOR, INVARIANCE_TITLE, PAGE_WIDTH, bare, paper_style, shorten, verbatim
from semrsm_cli.report.layout import METRIC_TITLE

__all__ = [
    "MatchedPicture",
    "Picture",
    "add_legend",
    "agreement_figure",
    "draw_bars",
    "draw_picture",
    "matched_figure",
    "neighbours_figure",
    "scores_figure",
]

_N_OBJECTS = 4
_N_LINES = 12
_NARROW = 0.18  # bars, five of a kernel side by side, whose numbers would touch
_PAPER_LABEL = "in the paper"
_LINE = 7.2  # points, of text below a picture
_KERNEL_COLORS = ("#0072B2", "#E69F00", "#009E73")
_LINE_LENGTH = 26  # characters, of text below a picture
_TITLE_LENGTH = 25  # above the query
_LONGEST_TITLE = 60
_COLUMN, _TEXT = 1.5, 0.6  # inches: width of a picture, height of what stands below it


@dataclass(frozen=True)
class Picture:
    """An image, the objects that it shows with their counts, its score as an answer, and its similarity."""

    image: Image.Image
    objects: Mapping[str, int]
    score: float | None
    similarity: float | None = None


@dataclass(frozen=True)
class MatchedPicture:
    """Two images as the network sees them, whose positions on their grids (height, width) were matched.

    `pairs` [p, 2] are positions of the query and of the neighbour, row by row on the grid of each; `worth` [p] is the
    inner product of each pair.
    """

    query: np.ndarray
    neighbour: np.ndarray
    grid: tuple[int, int]
    grid_of_neighbour: tuple[int, int]
    pairs: np.ndarray
    worth: np.ndarray


def scores_figure(table: pd.DataFrame, *, metric: str, resampled: str = "") -> Figure:
    """Score at the first neighbour per kernel and invariance, and what permutation invariance gains (Figure 3).

    Args:
        table: `retrieval.csv`.
        metric: How neighbours are scored.
        resampled: What the 95 % intervals resample, in words.
    """
    kernels, invariances = (list(dict.fromkeys(table[column])) for column in ("kernel", "invariance"))
    width = 0.8 / len(invariances)
    gains = table[table["difference"].notna()].set_index("kernel")
    with paper_style():
        ratios = [1.0] if gains.empty else [1.0, 0.45]
        size = (PAGE_WIDTH * 0.55 * sum(ratios), PAGE_WIDTH * 0.32)
        figure = Figure(figsize=size, layout="constrained")
        panels: Any = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
        axes = panels[0]
        for k, invariance in enumerate(invariances):
            rows = table[table["invariance"] == invariance].set_index("kernel").loc[kernels]
            x = np.arange(len(kernels)) + (k - (len(invariances) - 1) / 2) * width
            draw_bars(axes, x, rows, width, invariance)
        axes.set(ylim=(0, 1.08), ylabel=f"{METRIC_TITLE[metric]}\nat the first neighbour")
        axes.set_xticks(range(len(kernels)), kernels)
        if not gains.empty:
            _draw_gains(panels[1], gains.loc[kernels])
        if resampled:
            figure.supxlabel(f"intervals: 95 % over {resampled}", fontsize=8)
        add_legend(figure, axes)
    return figure


def _draw_gains(axes: Axes, gains: pd.DataFrame) -> None:
    """The paired differences of permutation and none with their intervals, a point for each kernel."""
    value, low, high = (gains[f"difference{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    x, reach = np.arange(len(gains)), np.nan_to_num([value - low, high - value])
    axes.errorbar(x, value, yerr=reach, fmt="o", color="#333333", markersize=4.5, linewidth=1.4, capsize=2.5)
    axes.axhline(0, color="#999999", linewidth=0.6)
    axes.set(xlim=(-0.6, len(gains) - 0.4), ylabel=f"{INVARIANCE_TITLE['permutation']} less {INVARIANCE_TITLE['none']}")
    axes.set_xticks(x, list(gains.index))


def add_legend(figure: Figure, axes: Axes) -> None:
    """One entry for each invariance, and one for the paper's numbers where there are any."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    ordered = sorted(once, key=lambda label: label == _PAPER_LABEL)
    figure.legend([once[label] for label in ordered], ordered, loc="outside upper center", ncols=len(ordered))


def draw_bars(axes: Axes, x: np.ndarray, rows: pd.DataFrame, width: float, invariance: str) -> None:
    """The bars of one invariance, their intervals and values, and the paper's numbers as diamonds."""
    value, low, high = (rows[column].to_numpy(float) for column in ("at_1", "ci_low", "ci_high"))
    reach = np.nan_to_num([value - low, high - value])
    axes.bar(x, value, width * 0.94, color=COLOR[invariance], label=INVARIANCE_TITLE[invariance])
    axes.errorbar(x, value, yerr=reach, fmt="none", ecolor="#333333", elinewidth=0.8, capsize=2)
    size = 7 if width > _NARROW else 6
    for place, height, top in zip(x, value, value + reach[1], strict=True):
        if np.isfinite(height):
            axes.text(place, top + 0.015, f"{height:.2f}", ha="center", va="bottom", fontsize=size)
    theirs = rows["paper"].to_numpy(float)
    if np.isfinite(theirs).any():
        place = x - 0.36 * width  # beside the middle, where our own value stands
        axes.plot(place, theirs, "D", color="black", markeredgecolor="white", markersize=4.5, label=_PAPER_LABEL)


def neighbours_figure(query: Picture, rows: Mapping[str, Sequence[Picture]], *, title: str) -> Figure:
    """A query, and for each invariance a row of its nearest neighbours with objects and score (Figures 4, 8 to 12)."""
    k = max(len(row) for row in rows.values())
    with paper_style():
        heights = [_COLUMN * max(p.image.height / p.image.width for p in row) + _TEXT for row in rows.values() if row]
        size = (_COLUMN * (k + 1.3), max(sum(heights), _COLUMN * query.image.height / query.image.width + 2 * _TEXT))
        figure = Figure(figsize=size, layout="constrained")
        parts: Any = figure.subfigures(1, 2, width_ratios=[1.25, k], wspace=0.02)
        left, right = parts
        axes = left.subplots()
        draw_picture(axes, query, frame="#333333")
        axes.set_title(f"query\n{verbatim(textwrap.fill(title, _TITLE_LENGTH))}")
        grid: Any = right.subplots(len(rows), k, squeeze=False, height_ratios=heights)
        for places, (invariance, row) in zip(grid, rows.items(), strict=True):
            for rank, place in enumerate(places):
                if rank < len(row):
                    draw_picture(place, row[rank], frame=COLOR[invariance], query=query)
                else:
                    place.set_axis_off()
            places[0].set_ylabel(INVARIANCE_TITLE[invariance], loc="top")
    return figure


def draw_picture(
    axes: Axes, picture: Picture, *, frame: str, query: Picture | None = None, width: int = _LINE_LENGTH
) -> None:
    """A picture in a coloured frame, below it its score, or else its similarity, and its objects.

    Of an answer to `query` the objects come first, in bold, of which it shows another number than the query. A line
    has at most `width` characters.
    """
    axes.imshow(np.asarray(picture.image))
    axes.set_anchor("N")  # where pictures of other shapes begin, and what stands above them
    bare(axes)
    axes.spines[:].set(visible=True, color=frame, linewidth=1.6)
    lines = [] if picture.score is None else [f"score {picture.score:.2f}"]
    if picture.score is None and picture.similarity is not None:
        lines = [f"similarity {picture.similarity:.3f}".replace("-", "\N{MINUS SIGN}")]
    different = {} if query is None else _different_objects(picture.objects, query.objects)
    bold = _describe_objects(different, width).splitlines()
    if bold:
        axes.annotate(
            "\n".join(bold),
            (0.5, 0),
            xytext=(0, -1.5 - _LINE * len(lines)),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=6,
            fontweight="bold",
        )
    shared = _describe_objects({name: n for name, n in picture.objects.items() if name not in different}, width)
    below = [*lines, *[""] * len(bold), *shared.splitlines()]
    axes.set_xlabel("\n".join(below).rstrip(), fontsize=6, labelpad=2)


def _different_objects(objects: Mapping[str, int], of_query: Mapping[str, int]) -> dict[str, int]:
    """The objects of which there are more or fewer than in the query, with their number, which may be 0."""
    names = dict.fromkeys([*objects, *of_query])
    return {name: objects.get(name, 0) for name in names if objects.get(name, 0) != of_query.get(name, 0)}


def _describe_objects(objects: Mapping[str, int], width: int) -> str:
    """The objects in words, two a line: `2 cup, chair, no fork` and how many kinds are left out."""
    words = [{0: f"no {name}", 1: name}.get(count, f"{count} {name}") for name, count in objects.items()]
    words = [shorten(word, width // 2 - 1) for word in words]
    shown = words[:_N_OBJECTS] + ([f"+{len(words) - _N_OBJECTS} more"] if len(words) > _N_OBJECTS else [])
    return verbatim("\n".join(", ".join(shown[i : i + 2]) for i in range(0, len(shown), 2)))


def agreement_figure(table: pd.DataFrame, *, title: str) -> Figure:
    """The share of neighbours that two invariances have in common, and of queries with the same first neighbour.

    Args:
        table: `agreement.csv`.
        title: What was compared.
    """
    kernels = list(dict.fromkeys(table["kernel"]))
    pairs = list(dict.fromkeys(zip(table["invariance_a"], table["invariance_b"], strict=True)))
    k = int(table["n_neighbours"].iloc[0])
    height = 0.9 + 0.22 * len(pairs) * len(kernels)
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 0.7, max(1.8, height)), layout="constrained")
        axes = figure.subplots()
        width = 0.8 / len(kernels)
        for i, kernel in enumerate(kernels):
            rows = table[table["kernel"] == kernel].set_index(["invariance_a", "invariance_b"]).loc[pairs]
            places = np.arange(len(pairs)) + (i - (len(kernels) - 1) / 2) * width
            axes.barh(places, rows["overlap"], width * 0.9, color=_KERNEL_COLORS[i % 3], label=str(kernel))
            for place, share in zip(places, rows["overlap"], strict=True):  # beyond 1, where no marker lies
                axes.text(1.12, place, f"{share:.2f}", ha="right", va="center", fontsize=6)
            axes.plot(rows["same_first"], places, "D", color="black", markersize=3, markeredgecolor="white")
        axes.plot([], [], "D", color="black", markersize=3, label="same first neighbour")
        labels = [f"{INVARIANCE_TITLE[a]}\nand {INVARIANCE_TITLE[b]}" for a, b in pairs]
        axes.set_yticks(range(len(pairs)), labels)
        axes.invert_yaxis()
        axes.set(
            xlim=(0, 1.13),
            xlabel=f"share of the {k} neighbours that both found",
            title=verbatim(shorten(title, _LONGEST_TITLE)),
        )
        figure.legend(loc="outside right center")
    return figure


def matched_figure(matched: MatchedPicture) -> Figure:
    """Lines from positions of the query to their partners, for the pairs that add most to the similarity."""
    height, width = matched.query.shape[:2]
    gap = width // 8
    canvas = np.ones((height, 2 * width + gap, 3))
    canvas[:, :width], canvas[:, width + gap :] = matched.query, matched.neighbour
    strongest = np.argsort(matched.worth)[::-1][:_N_LINES]
    colors = mpl.colormaps["hsv"](np.linspace(0, 0.9, len(strongest)))
    sides = (matched.grid, 0), (matched.grid_of_neighbour, width + gap)
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 0.6, PAGE_WIDTH * 0.3), layout="constrained")
        axes = figure.subplots()
        axes.imshow(canvas)
        bare(axes)
        for color, pair in zip(colors, matched.pairs[strongest].tolist(), strict=True):
            middles = []
            for position, ((rows, columns), left) in zip(pair, sides, strict=True):
                step = np.array([width / columns, height / rows])
                corner = np.array([position % columns, position // columns]) * step + np.array([left, 0])
                axes.add_patch(Rectangle(tuple(corner), *step, fill=False, edgecolor=color, linewidth=1.2))
                middles.append(corner + step / 2)
            axes.plot(*np.stack(middles).T, color=color, linewidth=1)
        share = matched.worth[strongest].sum() / matched.worth.sum()
        axes.set_title(f"{len(strongest)} of {len(matched.worth)} pairs, which make {share:.0%} of the similarity")
    return figure
