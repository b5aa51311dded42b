"""The figures of `semrsm cka`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from semrsm_cli.config import CkaConfig
from semrsm_cli.measures.cka import Estimator
from semrsm_cli.report.figures.cka import Consistency, cka_figure, consistency_figure
from semrsm_cli.report.figures.locality import locality_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.tasks.cka.nulls import test_over_draws
from semrsm_cli.tasks.cka.tables import PLAIN, SEMANTIC, Compared, permuted_of

__all__ = ["draw_figures", "draw_locality"]

_BOTH_ALIKE = ((PLAIN, PLAIN), (SEMANTIC, SEMANTIC))


def draw_figures(folder: RunFolder, compared: Sequence[Compared], config: CkaConfig) -> None:
    """Figures 16 and 17 for each kernel; within networks also Figure 15, with all kernels."""
    first = compared[0]
    label_a, label_b = _labels(compared, config)
    layers_a, layers_b = ([layer.name for layer in network.layers] for network in (first.a, first.b))
    consistency = {}
    for name in config.kernels:
        of_kernel = [one for one in compared if one.kernel is name]
        spatial, semantic = (np.mean([one.mean(pair) for one in of_kernel], axis=0) for pair in _BOTH_ALIKE)
        figure = cka_figure(
            spatial,
            semantic,
            layers_a,
            layers_b,
            label_a=label_a,
            label_b=label_b,
            kernel=str(name),
            by_chance=_by_chance(of_kernel),
        )
        folder.figure(f"cka_{name}", figure)
        if first.a is first.b:
            consistency[str(name)] = _consistency(of_kernel)
    if consistency:
        positions = [layer.x.shape[1] for layer in first.a.layers]
        folder.figure(
            "consistency",
            consistency_figure(consistency, layers_a, positions, label=label_a, estimator=str(config.estimator)),
        )


def draw_locality(folder: RunFolder, summary: pd.DataFrame, config: CkaConfig) -> None:
    """For each kernel the CKA of every layer over locality: with its spatio-semantic RSM, or with the closest layer."""
    is_within = "layer" in summary
    series = "layer" if is_within else "layer_a"
    for name in config.kernels:
        rows = summary[summary["kernel"] == str(name)]
        if is_within:  # an RSM with itself
            first = rows[rows["locality"] == 0]
            end = first.assign(invariance="none", cka=1.0, locality=np.nan, displacement=0.0, matched_share=np.nan)
            rows = pd.concat([rows[rows["invariance"] == "permutation"], end], ignore_index=True)
        label = "CKA with the\nspatio-semantic RSM" if is_within else "CKA with the closest layer"
        figure = locality_figure(rows, value="cka", label=label, series=series, title=f"{name} kernel")
        folder.figure(f"locality_{name}", figure)


def _labels(compared: Sequence[Compared], config: CkaConfig) -> tuple[str, str]:
    """What both sides of a figure are called."""
    first = compared[0]
    label_a = first.a.name if config.x else config.model.label
    label_b = first.b.name if config.y or config.model_b else label_a
    if config.between_networks:
        one_pair = len({(one.a, one.b) for one in compared}) == 1
        label_a, label_b = (first.a.name, first.b.name) if one_pair else (label_a, f"another {label_a}")
    return label_a, label_b


def _by_chance(of_kernel: Sequence[Compared]) -> tuple[np.ndarray, np.ndarray] | None:
    """Where CKA from spatio-semantic and from semantic RSMs does not exceed 95 % of what it is by chance."""
    tests = [test_over_draws(of["all"]) for pair in _BOTH_ALIKE if (of := permuted_of(of_kernel, pair))]
    if not tests:
        return None
    spatial, semantic = (~(test.cka > test.null_95) for test in tests)
    return spatial, semantic


def _consistency(of_kernel: Sequence[Compared]) -> Consistency:
    """Semantic with spatio-semantic RSMs: of each network, and over draws the spread of the networks' mean."""
    pair, chosen = (SEMANTIC, PLAIN), of_kernel[0].estimator
    diagonals = {
        estimator: np.mean([one.draws[pair][estimator] for one in of_kernel], axis=0).diagonal(axis1=1, axis2=2)
        for estimator in Estimator
    }
    (other,) = (estimator for estimator in Estimator if estimator is not chosen)
    n_draws = len(diagonals[chosen])
    nulls = permuted_of(of_kernel, pair)
    return Consistency(
        values=np.stack([one.mean(pair) for one in of_kernel]),
        other=diagonals[other].mean(axis=0),
        std=diagonals[chosen].std(axis=0, ddof=1) if n_draws > 1 else None,
        n_draws=n_draws,
        null_95=test_over_draws(nulls["all"]).null_95.diagonal() if nulls else None,
    )
