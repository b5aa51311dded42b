"""One style for all figures: sizes of a paper's page, colours that everyone can tell apart."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

__all__ = [
    "COLOR",
    "DIVERGING",
    "INVARIANCE_TITLE",
    "PAGE_WIDTH",
    "SEQUENTIAL",
    "bare",
    "color_limits",
    "every",
    "paper_style",
    "short_layer",
    "shorten",
    "verbatim",
]

_SHORT: Final = 12  # characters of a name that has room as it is
PAGE_WIDTH: Final = 9.0  # inches; 5.5 at NeurIPS, where fonts then stand at 6 pt
SEQUENTIAL: Final = "viridis"
DIVERGING: Final = "RdBu_r"
# Okabe and Ito's palette
COLOR: Final = {
    "overlapping": "#0072B2",
    "unrelated": "#E69F00",
    "none": "#999999",
    "translation": "#56B4E9",
    "permutation": "#D55E00",
    "pooled": "#009E73",
    "maxsim": "#CC79A7",
}
INVARIANCE_TITLE: Final = {
    "none": "spatio-semantic",
    "translation": "translation-invariant",
    "permutation": "semantic",
    "pooled": "pooled vectors",
    "maxsim": "MaxSim",
}


@contextmanager
def paper_style() -> Iterator[None]:
    """Fonts and lines for a figure of PAGE_WIDTH."""
    settings: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "lines.linewidth": 1.2,
        "figure.dpi": 100,
        "pdf.fonttype": 42,
        "legend.frameon": False,
        "backend": "Agg",
    }
    with mpl.rc_context(settings):
        yield


def bare(axes: Axes) -> None:
    """Take away ticks and frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def verbatim(text: str) -> str:
    """A text from data, such as the name of a class or of a file, whose dollars matplotlib shall not take for formulas.

    Works where `parse_math` does not reach: labels of ticks are made when a figure is saved.
    """
    return text.replace("$", r"\$")


def shorten(text: str, most: int) -> str:
    """A text with its middle left out where it has more than `most` characters: ends tell files and layers apart."""
    if len(text) <= most:
        return text
    kept = most - 1
    return f"{text[: kept // 2]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (kept - kept // 2) :]}"


def every(n: int, most: int) -> list[int]:
    """Which of n layers or images are named on an axis that has room for so many: all, or every second, third, ..."""
    return list(range(0, n, -(-n // most)))


def color_limits(matrices: Sequence[np.ndarray], *, without_diagonal: bool) -> tuple[float, float]:
    """The ends of a colour scale, without the diagonals where images stand with themselves, which are much higher."""
    values = [
        matrix[~np.eye(len(matrix), dtype=bool)] if without_diagonal and len(matrix) > 1 else matrix.ravel()
        for matrix in matrices
    ]
    every = np.concatenate(values)
    return float(every.min()), float(every.max())


def short_layer(layer: str) -> str:
    """A module's name, or the end that tells layers apart: `encoder.layers.encoder_layer_3` becomes `layer 3`.

    The sum within a block and the normalisation of a stem (`layer1.0.sum`, `stem.norm`) are called as these.
    """
    whole = layer.removesuffix(".sum").removesuffix(".norm")
    if len(whole) <= _SHORT:
        return verbatim(whole)
    parts = [part for part in layer.replace("_", ".").split(".") if part]
    if len(parts) > 1 and parts[-1] in ("sum", "norm"):
        parts.pop()
    return verbatim(" ".join(parts[-2:]) if parts and parts[-1].isdigit() and len(parts) > 1 else parts[-1])
