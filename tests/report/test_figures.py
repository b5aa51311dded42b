"""Three figures that carry a result, compared as pictures (`pytest --mpl`); without the flag they are only drawn.

`pytest tests/report/test_figures.py --mpl-generate-path=tests/report/baseline` draws the pictures anew.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from semrsm_cli.report.figures.cka import cka_figure, consistency_figure
from semrsm_cli.report.figures.correlate import intervals_figure
from semrsm_cli.report.figures.report import models_neighbours_figure, models_scores_figure
from semrsm_cli.report.figures.retrieve import Picture, neighbours_figure, scores_figure
from semrsm_cli.report.figures.style import short_layer, verbatim
from semrsm_cli.report.figures.train import learning_curve_figure
from semrsm_cli.report.figures.translate import translation_figure

INVARIANCES = ("none", "permutation")
LAYERS = ("stem", "layer1.0", "layer2.0")
picture: Callable[..., Any] = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", tolerance=5, style="default", savefig_kwargs={"dpi": 72}
)


def gradient(red: int, green: int) -> Image.Image:
    """A crop of 16 pixels a side whose colours change from left to right."""
    ramp = np.linspace(0, 1, 16)[None, :, None] * [red, green, 128]
    return Image.fromarray(np.broadcast_to(ramp, (16, 16, 3)).astype(np.uint8))


def overlapping_rsm(likeness: float) -> np.ndarray:
    """RSMs of two batches of four upper and four lower crops; `likeness` is the similarity of overlapping crops."""
    rsm = np.full((8, 8), 0.125) + 0.0625 * np.cos(np.add.outer(np.arange(8), np.arange(8)))
    rsm[np.arange(4), np.arange(4) + 4] = rsm[np.arange(4) + 4, np.arange(4)] = likeness
    np.fill_diagonal(rsm, 1.0)
    return np.stack([rsm, rsm])


@picture
def test_translation() -> Figure:
    likeness = {("none", layer): 0.25 for layer in LAYERS} | {("permutation", layer): 0.75 for layer in LAYERS}
    rsms = {layer: {name: overlapping_rsm(likeness[name, layer]) for name in INVARIANCES} for layer in LAYERS}
    centers = {"overlapping": 0.5, "unrelated": 0.125}
    similarities = pd.DataFrame(
        [
            {"layer": layer, "invariance": name, "pair": pair, "similarity": center * likeness[name, layer] + offset}
            for layer in LAYERS
            for name in INVARIANCES
            for pair, center in centers.items()
            for offset in np.linspace(-0.1, 0.1, 9) ** 3 * 100
        ]
    )
    separation = pd.DataFrame(
        [
            {"layer": layer, "invariance": name, "auc": 0.5 + 0.5 * likeness[name, layer]}
            for layer in LAYERS
            for name in INVARIANCES
        ]
    )
    crops = [(gradient(red, 255 - red), gradient(red, 64)) for red in (0, 64, 128, 192, 255)]
    return translation_figure(crops, rsms, similarities, separation, kernel="cosine")


@picture
def test_cka() -> Figure:
    rows, columns = np.indices((4, 5))
    spatial = np.exp(-(((rows / 3 - columns / 4) / 0.5) ** 2))
    semantic = np.exp(-(((rows / 3 - columns / 4) / 0.8) ** 2))
    layers = [f"layer{i}.0.sum" for i in range(5)]
    return cka_figure(spatial, semantic, layers[:4], layers, label_a="ResNet18", label_b="ResNet34", kernel="rbf")


DIFFERENCE = ("difference", "difference_low", "difference_high")


@picture
def test_intervals() -> Figure:
    rows = []
    for i, kernel in enumerate(("cosine", "linear", "rbf")):
        for j, invariance in enumerate(INVARIANCES):
            row: dict[str, object] = {"kernel": kernel, "invariance": invariance, "paper_spearman": np.nan}
            row["paper_pearson"] = -0.25 - 0.1 * j if kernel != "rbf" else np.nan
            for statistic in ("pearson", "spearman"):
                value = -0.2 - 0.05 * i - 0.1 * j
                row |= {statistic: value, f"{statistic}_low": value - 0.05, f"{statistic}_high": value + 0.1}
            rows.append(row)
    tests = [
        {
            "kernel": kernel,
            "statistic": statistic,
            "difference": d,
            "difference_low": d - 0.04,
            "difference_high": d + 0.06,
        }
        for kernel, d in (("cosine", -0.05), ("linear", 0.02), ("rbf", -0.1))
        for statistic in ("pearson", "spearman")
    ]
    return intervals_figure(pd.DataFrame(rows), pd.DataFrame(tests), resampled="12 groups of images")


def test_intervals_can_do_without_tests_and_resamples() -> None:
    row = {"kernel": "rbf", "invariance": "none"} | dict.fromkeys(("paper_pearson", "paper_spearman"), np.nan)
    for statistic in ("pearson", "spearman"):
        row |= {statistic: 0.5, f"{statistic}_low": np.nan, f"{statistic}_high": np.nan}
    figure = intervals_figure(pd.DataFrame([row]), pd.DataFrame())
    assert len(figure.axes) == 2
    assert "95 %" not in figure.get_supxlabel()


def test_scores_say_what_was_resampled_and_show_differences_where_there_are_any() -> None:
    row = {"kernel": "rbf", "invariance": "none", "at_1": 0.5, "ci_low": 0.4, "ci_high": 0.6, "paper": np.nan}
    plain = pd.DataFrame([row | dict.fromkeys(DIFFERENCE, np.nan)])
    gain = row | {"invariance": "permutation"} | dict(zip(DIFFERENCE, (0.1, -0.1, 0.3), strict=True))
    assert len(scores_figure(plain, metric="count_f1").axes) == 1
    figure = scores_figure(pd.concat([plain, pd.DataFrame([gain])]), metric="count_f1", resampled="16 scenes")
    assert len(figure.axes) == 2
    assert figure.get_supxlabel() == "intervals: 95 % over 16 scenes"


def test_names_with_dollars_are_no_formulas() -> None:
    name = r"$\foo$"
    shown = Picture(gradient(0, 255), {name: 2}, 0.5)
    two = np.array([[0.25, 0.5], [0.5, 0.25]])
    layers = [f"{name}.0", f"{name}.1"]
    scores = pd.DataFrame({"model": [name], "kernel": [name], "invariance": "none", "at_1": 0.5, "paper": np.nan})
    curve = {f"{kind}_{score}": [0.5, 0.25] for kind in ("train", "val") for score in ("loss", "accuracy")}
    for case, figure in {
        "neighbours": neighbours_figure(shown, {"none": [shown]}, title=name),
        "neighbours of models": models_neighbours_figure(shown.image, name, {name: {"none": [shown]}}),
        "scores of models": models_scores_figure(scores.assign(ci_low=0.25, ci_high=0.75), metric="count_f1"),
        "cka": cka_figure(two, two, layers, layers, label_a=name, label_b=name, kernel="rbf"),
        "consistency": consistency_figure({"rbf": two[None]}, layers, [4, 1], label=name),
        "learning curve": learning_curve_figure(pd.DataFrame(curve | {"epoch": [1, 2]}), chance=0.5, label=name),
    }.items():
        file = BytesIO()
        figure.savefig(file, format="png")
        assert file.tell(), case
    assert short_layer(f"stem.{name}") == r"\$\foo\$"


def test_verbatim_texts_are_drawn_as_they_are() -> None:
    for text in ("cup", "$5", r"$\foo$", r"a\$b", "$a$ and $"):
        label = Figure().text(0, 0, verbatim(text))
        assert label._preprocess_math(label.get_text()) == (text, False)  # type: ignore[attr-defined]
