"""Figure 3 over all models, and Figures 13 and 14: every model's neighbours of one query."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from semrsm_cli.report.figures.retrieve import Picture, add_legend, draw_bars, draw_picture
from semrsm_cli.report.figures.style import COLOR, INVARIANCE_TITLE, PAGE_WIDTH, paper_style, shorten, verbatim
from semrsm_cli.report.layout import METRIC_TITLE

__all__ = ["models_neighbours_figure", "models_scores_figure"]

_PANEL = 1.35  # inches: height of the bars of one kernel
_LEAST_HEIGHT = 2.7  # inches, on which the label of the scores has room
_WIDTH, _TEXT = 0.95, 0.4  # inches: width of a picture, height of the lines above and below it
_LABEL = 22  # characters of a network's name on a line
_LINE_LENGTH = 18  # characters of what stands below a picture
_TITLE = 16  # characters a picture, of what stands above
_QUERY = 1.8  # the query's width in pictures


def models_scores_figure(table: pd.DataFrame, *, metric: str, resampled: str = "") -> Figure:
    """Score at the first neighbour per model and invariance, a panel for each kernel (Figure 3).

    Args:
        table: A row for each model, kernel and invariance: score `at_1`, its interval, and what the paper printed.
        metric: What the scores are.
        resampled: What the 95 % intervals resample, in words.
    """
    models, kernels, invariances = (list(dict.fromkeys(table[name])) for name in ("model", "kernel", "invariance"))
    width = 0.8 / len(invariances)
    with paper_style():
        size = (max(PAGE_WIDTH * 0.5, 1.1 + len(models) * 1.5), max(_LEAST_HEIGHT, 0.9 + _PANEL * len(kernels)))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(kernels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, kernel in zip(panels, kernels, strict=True):
            for k, invariance in enumerate(invariances):
                rows = table[(table["kernel"] == kernel) & (table["invariance"] == invariance)]
                x = np.arange(len(models)) + (k - (len(invariances) - 1) / 2) * width
                draw_bars(axes, x, rows.set_index("model").reindex(models), width, invariance)
            axes.set(ylim=(0, 1.12), ylabel=verbatim(str(kernel)))
            axes.tick_params(bottom=False)
        panels[-1].set_xticks(range(len(models)), [verbatim(textwrap.fill(str(model), _LABEL)) for model in models])
        figure.supylabel(f"{METRIC_TITLE[metric]} at the first neighbour", fontsize=8)
        if resampled:
            figure.supxlabel(f"intervals: 95 % over {resampled}", fontsize=8)
        add_legend(figure, panels[0])
    return figure


def models_neighbours_figure(
    query: Image.Image, caption: str, models: Mapping[str, Mapping[str, Sequence[Picture]]]
) -> Figure:
    """A query, and for each model a line of its nearest neighbours under each invariance (Figures 13 and 14)."""
    invariances = list(dict.fromkeys(name for rows in models.values() for name in rows))
    k = max(len(row) for rows in models.values() for row in rows.values())
    tallest = max(p.image.height / p.image.width for rows in models.values() for row in rows.values() for p in row)
    with paper_style():
        height = max(len(models) * (_WIDTH * tallest + _TEXT), _WIDTH * _QUERY * tallest + 2 * _TEXT) + _TEXT
        figure = Figure(figsize=(_WIDTH * (len(invariances) * k + _QUERY), height), layout="constrained")
        parts: Any = figure.subfigures(1, 1 + len(invariances), width_ratios=[_QUERY, *([k] * len(invariances))])
        axes = parts[0].subplots()
        draw_picture(axes, Picture(query, {}, None), frame="#333333")
        axes.set_title("query")
        axes.set_xlabel(verbatim(textwrap.fill(caption, 34)), fontsize=6, labelpad=2)
        for part, invariance in zip(parts[1:], invariances, strict=True):
            rows = {model: of_model.get(invariance, ()) for model, of_model in models.items()}
            _draw_lines(part, rows, k, frame=COLOR[invariance])
            part.suptitle(INVARIANCE_TITLE[invariance], fontsize=8)
    return figure


def _draw_lines(part: SubFigure, rows: Mapping[str, Sequence[Picture]], k: int, *, frame: str) -> None:
    """A line of pictures for each model, whose name stands above its first."""
    grid: Any = part.subplots(len(rows), k, squeeze=False)
    for places, (model, row) in zip(grid, rows.items(), strict=True):
        places[0].set_title(" ", fontsize=7, pad=2)  # keeps the line free, and not the width of the name
        name = verbatim(shorten(str(model), _TITLE * k))
        above = places[0].annotate(name, (0, 1), (0, 2), "axes fraction", "offset points", fontsize=7)
        above.set_in_layout(False)
        for rank, place in enumerate(places):
            if rank < len(row):
                draw_picture(place, row[rank], frame=frame, width=_LINE_LENGTH)
            else:
                place.set_axis_off()
