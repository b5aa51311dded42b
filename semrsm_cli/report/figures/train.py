"""The learning curve of `semrsm train`."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from semrsm_cli.report.figures.style import PAGE_WIDTH, paper_style, verbatim

__all__ = ["learning_curve_figure"]

_TRAIN, _VAL = "#999999", "#0072B2"


def learning_curve_figure(curve: pd.DataFrame, *, chance: float, label: str) -> Figure:
    """Loss and accuracy over the epochs, of augmented training images and of validation images.

    Args:
        curve: Columns epoch, train_loss, val_loss, train_accuracy, val_accuracy.
        chance: Accuracy of the most frequent class.
        label: Name of the network.
    """
    with paper_style():
        figure = Figure(figsize=(PAGE_WIDTH * 0.7, PAGE_WIDTH * 0.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_curves(left, curve, "loss")
        left.set_ylabel("cross-entropy [nats]")
        _draw_curves(right, curve, "accuracy")
        right.axhline(chance, color="#444444", linewidth=0.6, linestyle=":", label="most frequent class")
        right.set(ylabel="accuracy", ylim=(0, 1))
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        figure.suptitle(verbatim(label), fontsize=8)
    return figure


def _draw_curves(axes: Axes, curve: pd.DataFrame, score: str) -> None:
    """Both curves of one score."""
    marker = "o" if len(curve) <= 30 else ""
    for kind, color, name in (("train", _TRAIN, "training (augmented)"), ("val", _VAL, "validation")):
        axes.plot(curve["epoch"], curve[f"{kind}_{score}"], color=color, marker=marker, markersize=3, label=name)
    axes.set(xlabel="epoch", xlim=(curve["epoch"].min() - 0.5, curve["epoch"].max() + 0.5))  # a tick at a single one
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
