"""Every figure of every task at three sizes: one layer, image or model; some; and forty with names of sixty letters."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from semrsm_cli.report.figures.bench import alignment_figure, runtime_figure
from semrsm_cli.report.figures.cka import Consistency, cka_figure, consistency_figure
from semrsm_cli.report.figures.correlate import Density, density_figure, depth_figure, intervals_figure
from semrsm_cli.report.figures.locality import locality_figure
from semrsm_cli.report.figures.report import models_neighbours_figure, models_scores_figure
from semrsm_cli.report.figures.retrieve import (
    MatchedPicture,
    Picture,
    agreement_figure,
    matched_figure,
    neighbours_figure,
    scores_figure,
)
from semrsm_cli.report.figures.rsm import rsm_figure
from semrsm_cli.report.figures.train import learning_curve_figure
from semrsm_cli.report.figures.translate import translation_figure

__all__ = ["FIGURES", "SIZES"]

SIZES = (1, 5, 40)
_KERNELS = ("cosine", "linear", "rbf")
_ALL = ("none", "translation", "pooled", "maxsim", "permutation")


def _named(n: int, what: str = "layer") -> list[str]:
    """n names, of sixty letters where they are many."""
    names = [f"{what}{i // 2}.{i % 2}" for i in range(n)]
    return (
        names
        if n < 40
        else [f"{name}_{'of_a_module_with_a_very_long_name_' * 2}"[:57] + f".{i}" for i, name in enumerate(names)]
    )


def _label(n: int) -> str:
    """The name of a network, of sixty letters where layers are many."""
    return "ResNet18" if n < 40 else "vit_so400m_patch16_siglip_gap_512.v2_webli_finetuned_on_mine"


def _kernels(n: int) -> tuple[str, ...]:
    return _KERNELS[: 1 if n == 1 else 3]


def _invariances(n: int) -> tuple[str, ...]:
    return {1: ("permutation",), 5: ("none", "pooled", "permutation")}.get(n, _ALL)


def _gradient(width: int, height: int, hue: int) -> Image.Image:
    """A picture whose colours change from left to right."""
    ramp = np.linspace(0, 1, width)[None, :, None] * [hue % 256, 255 - hue % 256, 128]
    return Image.fromarray(np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8))


def _matrix(n: int, width: float) -> np.ndarray:
    """Values that fall off with the distance from the diagonal."""
    places = np.linspace(0, 1, n)
    return np.exp(-(((places[:, None] - places) / width) ** 2))


def rsm(n: int) -> Figure:
    names = _named(n, "image")
    values = _matrix(n, 0.4)
    return rsm_figure(
        values, title=f"{_label(n)}, layer4, semantic", kernel="cosine", is_within=True, names=(names, names)
    )


def cka(n: int) -> Figure:
    names, label = _named(n), _label(n)
    return cka_figure(_matrix(n, 0.5), _matrix(n, 0.8), names, names, label_a=label, label_b=label, kernel="rbf")


def consistency(n: int) -> Figure:
    values = {
        kernel: Consistency(
            np.stack([_matrix(n, 0.4 + 0.2 * i)] * 2) * [[[1.0]], [[0.9]]],
            np.linspace(0.4, 0.6, n),
            np.full(n, 0.02),
            3,
        )
        for i, kernel in enumerate(_kernels(n))
    }
    positions = [4096 // 4 ** (4 * i // n) for i in range(n)]
    return consistency_figure(values, _named(n), positions, label=_label(n), estimator="biased")


def translation(n: int) -> Figure:
    layers = _named(n)
    invariances = ("none", "permutation")
    rsms = {layer: {name: np.stack([_matrix(20, 0.3)]) for name in invariances} for layer in layers}
    rows = [
        {"layer": layer, "invariance": name, "pair": pair, "similarity": center + offset}
        for layer in layers
        for name in invariances
        for pair, center in (("overlapping", 0.6), ("unrelated", 0.2))
        for offset in np.linspace(-1, 1, 9) ** 3 / 5
    ]
    areas = pd.DataFrame(
        [{"layer": layer, "invariance": name, "auc": 0.75} for layer in layers for name in invariances]
    )
    crops = [(_gradient(16, 16, hue), _gradient(16, 16, hue + 64)) for hue in range(0, 160, 40)]
    return translation_figure(crops, rsms, pd.DataFrame(rows), areas, kernel="cosine")


def _correlations(n: int) -> pd.DataFrame:
    rows = []
    for i, kernel in enumerate(_kernels(n)):
        for j, invariance in enumerate(_invariances(n)):
            row: dict[str, object] = {"kernel": kernel, "invariance": invariance}
            for statistic in ("pearson", "spearman"):
                value = -0.2 - 0.05 * i - 0.05 * j
                row |= {statistic: value, f"{statistic}_low": value - 0.05, f"{statistic}_high": value + 0.1}
                row[f"paper_{statistic}"] = value - 0.02
            rows.append(row)
    return pd.DataFrame(rows)


def density(n: int) -> Figure:
    rng = np.random.default_rng(0)
    densities = []
    for kernel in _kernels(n):
        for invariance in _invariances(n):
            scale = 200.0 if kernel == "linear" else 0.2
            similarity = rng.normal(size=2000 * n)
            divergence = np.clip(0.15 - 0.04 * similarity + 0.03 * rng.normal(size=similarity.size), 0, None)
            densities.append(Density.of(kernel, invariance, scale * similarity, divergence))
    return density_figure(densities, _correlations(n), resampled="12 groups of images")


def intervals(n: int) -> Figure:
    tests = pd.DataFrame(
        [
            {"kernel": k, "statistic": s, "difference": -0.05, "difference_low": -0.09, "difference_high": 0.01}
            for k in _kernels(n)
            for s in ("pearson", "spearman")
        ]
    )
    return intervals_figure(_correlations(n), tests, resampled="12 groups of images")


def depth(n: int) -> Figure:
    rows = [table.assign(layer=layer) for layer in _named(n) for table in [_correlations(n)]]
    return depth_figure(pd.concat(rows, ignore_index=True), resampled="12 groups of images")


def _scores(n: int, models: int = 1) -> pd.DataFrame:
    rows = []
    for m in range(models):
        for kernel in _kernels(n):
            for i, invariance in enumerate(_invariances(n)):
                value = 0.4 + 0.1 * i
                gain = {"difference": 0.2, "difference_low": 0.1, "difference_high": 0.35}
                has_gain = invariance == "permutation" and n > 1
                rows.append(
                    {
                        "model": f"{_label(n)}{m or ''}",
                        "kernel": kernel,
                        "invariance": invariance,
                        "at_1": value,
                        "ci_low": value - 0.1,
                        "ci_high": value + 0.08,
                        "paper": value + 0.03 if n > 1 else np.nan,
                    }
                    | (gain if has_gain else dict.fromkeys(gain, np.nan))
                )
    return pd.DataFrame(rows)


def scores(n: int) -> Figure:
    return scores_figure(_scores(n), metric="count_f1", resampled="22 scenes")


def scores_of_models(n: int) -> Figure:
    return models_scores_figure(_scores(n, min(n, 8)), metric="count_f1", resampled="22 scenes")


def _answers(n: int, k: int) -> list[Picture]:
    kinds = _named(n, "object") if n == 40 else ["cup", "fork", "book", "pen", "lamp"]
    return [
        Picture(
            _gradient(*((48, 32) if i % 2 else (32, 48)), 40 * i),
            {kinds[j % len(kinds)]: 1 + j for j in range(i)},
            None if n == 1 else 0.5,
            0.9,
        )
        for i in range(k)
    ]


def neighbours(n: int) -> Figure:
    query, *found = _answers(n, {1: 2, 5: 6}.get(n, 11))
    rows = {name: found for name in _invariances(n) if name != "pooled"}
    return neighbours_figure(query, rows, title=f"{_label(n)}, cosine kernel")


def neighbours_of_models(n: int) -> Figure:
    query, *found = _answers(n, min(n, 4) + 1)
    models = {f"{_label(n)} {m}": {"none": found, "permutation": found} for m in range(min(n, 8))}
    return models_neighbours_figure(query.image, "an/image/with_a_name.jpg", models)


def agreement(n: int) -> Figure:
    names = _invariances(n) if n > 1 else ("none", "permutation")
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    rows = [(kernel, a, b, 5, 0.5, 0.25) for kernel in _kernels(n) for a, b in pairs]
    columns = ["kernel", "invariance_a", "invariance_b", "n_neighbours", "same_first", "overlap"]
    return agreement_figure(pd.DataFrame(rows, columns=columns), title=f"{_label(n)} on photos")


def matched(n: int) -> Figure:
    side = {1: 1, 5: 7}.get(n, 40)
    seen = np.asarray(_gradient(64, 64, 40)) / 255
    pairs = np.stack([np.arange(side**2), np.random.default_rng(0).permutation(side**2)], axis=1)
    return matched_figure(
        MatchedPicture(seen, seen[:, ::-1], (side, side), (side, side), pairs, np.linspace(0.1, 1, side**2))
    )


def runtime(n: int) -> Figure:
    sizes = {1: [256], 5: [256, 1024, 4096]}.get(n, [4**i for i in range(2, 9)])
    methods = [
        "optimal",
        "scipy",
        "ortools",
        "ortools_x1000",
        "lapjv",
        "batch_optimal",
        "topk_greedy",
        "greedy",
        "diagonal",
    ][: n + 3]
    rows = [
        {
            "method": method,
            "positions": s,
            "batch": 512.0 if method == "batch_optimal" else np.nan,
            "n_exact": 128.0 if method == "topk_greedy" else np.nan,
            "seconds_median": 1e-7 * s**2 * (i + 1),
            "affinity_seconds": 1e-8 * s**2,
            "paper_seconds": 1e-6 * s**2 if n > 1 and method == "scipy" else np.nan,
        }
        for i, method in enumerate(methods)
        for s in sizes
    ]
    return runtime_figure(pd.DataFrame(rows))


def alignment(n: int) -> Figure:
    methods = [
        "optimal",
        *[f"batch_optimal({b})" for b in (128, 256, 512, 1024)],
        *[f"topk_greedy({k})" for k in (128, 256, 512)],
        "greedy",
        "diagonal",
    ]
    rows = [
        {
            "layer": layer,
            "method": method,
            "positions": 4096 // 2 ** min(i, 9),
            "ratio_to_optimal": 1 - 0.02 * j - 0.01 * p,
        }
        for i, layer in enumerate(_named(n))
        for j, method in enumerate(methods[:2] if n == 1 else methods)
        for p in range(4)
    ]
    return alignment_figure(pd.DataFrame(rows))


def learning_curve(n: int) -> Figure:
    epochs = np.arange(1, n + 1)
    curve = {
        "epoch": epochs,
        "train_loss": 3 / epochs,
        "val_loss": 3.2 / epochs,
        "train_accuracy": 1 - 0.9 / epochs,
        "val_accuracy": 1 - 0.95 / epochs,
    }
    return learning_curve_figure(pd.DataFrame(curve), chance=0.05, label=_label(n))


def locality(n: int) -> Figure:
    between = np.unique([round(value, 2) for value in np.geomspace(0.1, 200, {1: 1, 5: 6}.get(n, 24))])
    rows = [
        {
            "layer": layer,
            "invariance": "none" if np.isinf(value) else "permutation",
            "locality": np.nan if np.isinf(value) else value,
            "displacement": 0.4 / (1 + value) * (i + 1) / n,
            "auc": 0.9 - 0.2 * value / (1 + value) * (i + 1) / n if np.isfinite(value) else 0.7,
            "low": 0.6,
            "high": 0.95,
        }
        for i, layer in enumerate(_named(n))
        for value in (0.0, *between, np.inf)
    ]
    interval = ("low", "high") if n == 1 else ()
    return locality_figure(
        pd.DataFrame(rows),
        value="auc",
        label="area under the curve",
        series="layer",
        title=_label(n),
        interval=interval,
    )


FIGURES: dict[str, Callable[[int], Figure]] = {
    figure.__name__: figure
    for figure in (
        rsm,
        cka,
        consistency,
        translation,
        density,
        intervals,
        depth,
        scores,
        scores_of_models,
        neighbours,
        neighbours_of_models,
        agreement,
        matched,
        runtime,
        alignment,
        learning_curve,
        locality,
    )
}
