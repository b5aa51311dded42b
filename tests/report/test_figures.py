"""Figures that carry a result, compared as pictures (`pytest --mpl`); without the flag they are only drawn.

`pytest tests/report/test_figures.py --mpl-generate-path=tests/report/baseline` draws the pictures anew.
"""

import itertools
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from semrsm_cli.report.figures.cka import Consistency, cka_figure, consistency_figure
from semrsm_cli.report.figures.correlate import intervals_figure
from semrsm_cli.report.figures.report import models_neighbours_figure, models_scores_figure
from semrsm_cli.report.figures.retrieve import Picture, agreement_figure, neighbours_figure, scores_figure
from semrsm_cli.report.figures.rsm import dendrogram_order, rsm_figure
from semrsm_cli.report.figures.style import short_layer, verbatim
from semrsm_cli.report.figures.train import learning_curve_figure
from semrsm_cli.report.figures.translate import translation_figure
from tests.report.figure_cases import FIGURES, SIZES

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
        "consistency": consistency_figure(
            {"rbf": Consistency(two[None], two.diagonal())}, layers, [4, 1], label=name, estimator="biased"
        ),
        "learning curve": learning_curve_figure(pd.DataFrame(curve | {"epoch": [1, 2]}), chance=0.5, label=name),
    }.items():
        file = BytesIO()
        figure.savefig(file, format="png")
        assert file.tell(), case
    assert short_layer(f"stem.{name}") == r"stem.\$\foo\$"
    assert short_layer(f"encoder.layers.{name}") == r"\$\foo\$"


def test_verbatim_texts_are_drawn_as_they_are() -> None:
    for text in ("cup", "$5", r"$\foo$", r"a\$b", "$a$ and $"):
        label = Figure().text(0, 0, verbatim(text))
        assert label._preprocess_math(label.get_text()) == (text, False)  # type: ignore[attr-defined]


@picture
def test_rsm() -> Figure:
    return rsm_figure(similarities(12), title="Net, layer4, semantic", kernel="cosine", is_within=True, names=named(12))


@picture
def test_rsm_of_many_images_with_long_names_in_the_order_of_a_dendrogram() -> Figure:
    values = similarities(40)
    shuffled = np.random.default_rng(1).permutation(40)
    values = values[np.ix_(shuffled, shuffled)]
    names = [f"a_folder_with_a_long_name/and_an_image_with_a_long_name_{i:04}.jpg" for i in range(40)]
    order = dendrogram_order(values)
    return rsm_figure(values, title="Net " * 30, kernel="rbf", is_within=True, names=(names, names), order=order)


def similarities(n: int) -> np.ndarray:
    """Groups of four images that are alike."""
    groups = np.arange(n) // 4
    return np.where(groups[:, None] == groups, 0.75, 0.25 - 0.2 * np.abs(groups[:, None] - groups) / n) + 0.25 * np.eye(
        n
    )


def named(n: int) -> tuple[list[str], list[str]]:
    return ([f"image {i}" for i in range(n)],) * 2


def test_a_dendrogram_puts_alike_images_together_whatever_their_order_and_scale() -> None:
    values = similarities(16)
    shuffled = np.random.default_rng(0).permutation(16)
    mixed = values[np.ix_(shuffled, shuffled)]
    for scaled in (mixed, 1000 * mixed - 7):
        order = dendrogram_order(scaled)
        assert sorted(order) == list(range(16))
        groups = shuffled[order] // 4
        assert len(np.flatnonzero(np.diff(groups))) == 3, "each group in one piece"
    assert dendrogram_order(np.eye(2)) == [0, 1]


def test_colours_of_cka_span_more_than_rounding() -> None:
    flat = np.full((3, 3), 0.995) + 1e-4 * np.eye(3)
    figure = cka_figure(flat, flat + 1e-5, ["a", "b", "c"], ["a", "b", "c"], label_a="A", label_b="A", kernel="rbf")
    limits = [image.get_clim() for axes in figure.axes for image in axes.get_images()]
    assert all(high - low >= 0.04 for low, high in limits)


@pytest.mark.parametrize("n", [1, 40])
def test_cka_of_one_and_of_many_layers_with_long_names_does_not_overlap(n: int) -> None:
    layers = [f"encoder.a_module_with_a_very_long_name.blocks.{i}.attention.output" for i in range(n)]
    values = np.linspace(0, 1, n * n).reshape(n, n)
    label = "a_network_with_a_name_of_sixty_characters_which_is_rather_long"
    figure = cka_figure(values, values / 2, layers, layers, label_a=label, label_b=label, kernel="linear")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.get_xticklabels() if text.get_text()]
    for axes in figure.axes[:3]:
        rows = [text.get_window_extent() for text in axes.get_xticklabels()]
        assert all(a.x1 <= b.x0 + 1 for a, b in itertools.pairwise(rows))
    assert boxes
    whole = figure.bbox
    assert all(box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1 for box in boxes)


def test_what_differs_from_the_query_is_bold_and_comes_first() -> None:
    query = Picture(gradient(0, 255), {"cup": 1, "fork": 2, "book": 1}, None)
    answers = [
        Picture(gradient(9, 9), {"cup": 1, "fork": 1, "pen": 3}, 0.5),
        Picture(gradient(9, 9).resize((16, 40)), {}, None, -0.25),
    ]
    figure = neighbours_figure(query, {"none": answers}, title="Net")
    figure.draw_without_rendering()
    first, second = figure.subfigs[1].axes
    (bold,) = first.texts
    assert (bold.get_fontweight(), bold.get_text()) == ("bold", "fork, 3 pen\nno book")
    assert first.get_xlabel().split("\n") == ["score 0.50", "", "", "cup"]
    assert second.get_xlabel().startswith("similarity \N{MINUS SIGN}0.250")
    query_axes = figure.subfigs[0].axes[0]
    assert not query_axes.texts


@pytest.mark.parametrize("n", [1, 3])
def test_agreement_has_a_bar_for_each_kernel_and_pair(n: int) -> None:
    kernels, pairs = ["cosine", "linear", "rbf"][:n], [("none", "permutation"), ("none", "pooled")]
    rows = [(kernel, a, b, 5, 0.5, 0.25) for kernel in kernels for a, b in pairs]
    columns = ["kernel", "invariance_a", "invariance_b", "n_neighbours", "same_first", "overlap"]
    figure = agreement_figure(pd.DataFrame(rows, columns=columns), title="Net on photos")
    assert len(figure.axes[0].patches) == n * 2
    assert {bar.get_width() for bar in figure.axes[0].patches} == {0.25}


# Sizes: one layer, image or model; some; and forty with names of sixty letters


def texts_of(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[Text]:
    """The texts that a figure draws."""
    drawn: dict[int, Text] = {}
    draw = Text.draw

    def record(text: Text, renderer: Any) -> None:
        if text.get_text().strip():
            drawn[id(text)] = text
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", record)
    FigureCanvasAgg(figure).draw()
    return list(drawn.values())


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_another_with_forty_long_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upright = [text for text in texts_of(FIGURES[name](40), monkeypatch) if text.get_rotation() in (0.0, 90.0)]
    boxes = [text.get_window_extent().padded(-2) for text in upright]
    for (a, box_a), (b, box_b) in itertools.combinations(zip(upright, boxes, strict=True), 2):
        is_apart = box_a.x1 <= box_b.x0 or box_b.x1 <= box_a.x0 or box_a.y1 <= box_b.y0 or box_b.y1 <= box_a.y0
        assert is_apart, f"{a.get_text()!r} lies on {b.get_text()!r}"


@pytest.mark.parametrize("n", [1, 40])
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off_at_one_or_at_forty(name: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = FIGURES[name](n)
    texts = texts_of(figure, monkeypatch)
    for text in texts:
        box, page = text.get_window_extent(), figure.bbox.padded(2)
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, f"{text.get_text()!r} at {box}"
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, f"{text.get_text()!r} at {box}"


ONE_OF_EACH_TASK = {
    *("alignment", "cka", "intervals", "learning_curve", "neighbours", "scores_of_models", "rsm", "translation")
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "name", [name if name in ONE_OF_EACH_TASK else pytest.param(name, marks=pytest.mark.slow) for name in FIGURES]
)
@pytest.mark.mpl_image_compare(baseline_dir="baseline", tolerance=5, style="default", savefig_kwargs={"dpi": 50})
def test_size(name: str, n: int) -> Figure:
    """Every figure; those of which a task has another are slow tests."""
    return FIGURES[name](n)
