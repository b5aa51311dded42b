"""The tables of `semrsm cka`: all pairs of layers, their mean over networks, and a summary."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semrsm_cli.pipeline.sources import Source
from semrsm_cli.rsm import Invariance, Kernel

__all__ = [
    "BETWEEN_NETWORKS",
    "INVARIANCES",
    "WITHIN_NETWORK",
    "Compared",
    "cka_table",
    "closest_table",
    "consistency_table",
    "mean_table",
]

_Invariances = tuple[Invariance, Invariance]
INVARIANCES = (Invariance.none, Invariance.permutation)
BETWEEN_NETWORKS: tuple[_Invariances, ...] = tuple((invariance, invariance) for invariance in INVARIANCES)
"""What is compared between two networks."""
WITHIN_NETWORK: tuple[_Invariances, ...] = (*BETWEEN_NETWORKS, (Invariance.permutation, Invariance.none))
"""What is compared within a network: there both RSMs of a layer come from the same representations."""


@dataclass(frozen=True)
class Compared:
    """CKA [layers of a, layers of b] of two networks for each pair of invariances."""

    a: Source
    b: Source
    kernel: Kernel
    values: dict[_Invariances, np.ndarray]


def cka_table(compared: Sequence[Compared], estimator: str) -> pd.DataFrame:
    """One row a pair of layers, kernel and pair of invariances."""
    table = [
        {
            "model_a": one.a.name,
            "layer_a": layer_a.name,
            "model_b": one.b.name,
            "layer_b": layer_b.name,
            "kernel": str(one.kernel),
            "invariance_a": str(left),
            "invariance_b": str(right),
            "estimator": estimator,
            "cka": values[i, j],
        }
        for one in compared
        for (left, right), values in one.values.items()
        for i, layer_a in enumerate(one.a.layers)
        for j, layer_b in enumerate(one.b.layers)
    ]
    return pd.DataFrame(table)


def mean_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over networks, or over pairs of them."""
    keys = ["layer_a", "layer_b", "kernel", "invariance_a", "invariance_b", "estimator"]
    return table.groupby(keys, sort=False)["cka"].agg(["mean", "std", "count"]).reset_index()


def consistency_table(compared: Sequence[Compared], estimator: str) -> pd.DataFrame:
    """Semantic against spatio-semantic RSM of each layer (the diagonal of Figure 15), with the range over networks."""
    table = []
    for of_kernel in _by_kernel(compared):
        first = of_kernel[0]
        diagonals = [one.values[Invariance.permutation, Invariance.none].diagonal() for one in of_kernel]
        for layer, values in zip(first.a.layers, np.stack(diagonals, axis=1), strict=True):
            table.append(
                {
                    "model": first.a.name if len(of_kernel) == 1 else f"{len(of_kernel)} networks",
                    "layer": layer.name,
                    "positions": layer.x.shape[1],
                    "channels": layer.x.shape[2],
                    "kernel": str(first.kernel),
                    "estimator": estimator,
                    "cka": values.mean(),
                    "lowest": values.min(),
                    "highest": values.max(),
                }
            )
    return pd.DataFrame(table)


def closest_table(compared: Sequence[Compared], estimator: str) -> pd.DataFrame:
    """For each layer of a the most similar one of b, by CKA of either RSMs, in the mean over pairs of networks."""
    table = []
    for of_kernel, (left, right) in itertools.product(_by_kernel(compared), BETWEEN_NETWORKS):
        first = of_kernel[0]
        values = np.mean([one.values[left, right] for one in of_kernel], axis=0)
        for i, j in enumerate(values.argmax(axis=1)):
            table.append(
                {
                    "model_a": first.a.name if len(of_kernel) == 1 else f"{len(of_kernel)} pairs",
                    "layer_a": first.a.layers[i].name,
                    "model_b": first.b.name if len(of_kernel) == 1 else "",
                    "layer_b": first.b.layers[j].name,
                    "kernel": str(first.kernel),
                    "invariance": str(left),
                    "estimator": estimator,
                    "cka": values[i, j],
                }
            )
    return pd.DataFrame(table)


def _by_kernel(compared: Sequence[Compared]) -> list[list[Compared]]:
    """What was compared, apart for each kernel."""
    kernels = dict.fromkeys(one.kernel for one in compared)
    return [[one for one in compared if one.kernel is name] for name in kernels]
