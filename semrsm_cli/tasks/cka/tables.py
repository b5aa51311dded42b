"""The tables of `semrsm cka`: all pairs of layers, their mean over networks, and a summary."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from semrsm_cli.measures.cka import Estimator
from semrsm_cli.measures.nulls import PermutedCka
from semrsm_cli.pipeline.rearrangements import Rearrangement
from semrsm_cli.pipeline.sources import Source
from semrsm_cli.rsm import Invariance, Kernel
from semrsm_cli.tasks.cka.nulls import mean_of, null_columns

__all__ = [
    "PLAIN",
    "SEMANTIC",
    "Compared",
    "Movement",
    "Nulls",
    "Values",
    "cka_table",
    "closest_table",
    "consistency_table",
    "mean_table",
    "permuted_of",
    "wanted_pairs",
]

_Both = tuple[Rearrangement, Rearrangement]
PLAIN, SEMANTIC = Rearrangement(Invariance.none), Rearrangement(Invariance.permutation)

Values = dict[_Both, dict[Estimator, np.ndarray]]
"""CKA [layers of a, layers of b], or of several draws [draws, layers of a, layers of b]."""

Nulls = dict[_Both, dict[str, PermutedCka]]
"""CKA with shuffled images in one draw, over `all` images and within `classes`; empty where none were shuffled."""

Movement = Callable[[Source, int, Rearrangement], dict[str, float]]
"""Of a network, the number of a layer and a rearrangement: locality, and how far positions move."""


def wanted_pairs(wanted: Sequence[Rearrangement], *, within: bool) -> list[_Both]:
    """What is compared between two networks: both by the same rearrangement; within a network more than that.

    There both RSMs of a layer come from the same representations, and semantic ones are compared with spatio-semantic
    ones, too.
    """
    same = [(moved, moved) for moved in wanted]
    return same + [(moved, PLAIN) for moved in wanted if moved != PLAIN] if within else same


@dataclass(frozen=True)
class Compared:
    """CKA of two networks by the estimator that was chosen, and by the other, in each draw, and of shuffled images."""

    a: Source
    b: Source
    kernel: Kernel
    estimator: Estimator
    draws: Values
    nulls: Sequence[Nulls]

    @classmethod
    def over_draws(
        cls,
        a: Source,
        b: Source,
        name: Kernel,
        estimator: Estimator,
        values: Sequence[Values],
        nulls: Sequence[Nulls],
    ) -> Self:
        """Put the CKA of all draws together."""
        draws = {
            pair: {kind: np.stack([of_draw[pair][kind] for of_draw in values]) for kind in of_pair}
            for pair, of_pair in values[0].items()
        }
        return cls(a, b, name, estimator, draws, nulls)

    def mean(self, pair: _Both) -> np.ndarray:
        """The mean over the draws [layers of a, layers of b], by the estimator that was chosen."""
        return np.asarray(self.draws[pair][self.estimator].mean(axis=0))


def permuted_of(of_kernel: Sequence[Compared], pair: _Both) -> dict[str, list[PermutedCka]]:
    """Of each draw CKA with shuffled images, in the mean over networks."""
    kinds = of_kernel[0].nulls[0].get(pair, {})
    draws = range(len(of_kernel[0].nulls))
    return {kind: [mean_of([one.nulls[draw][pair][kind] for one in of_kernel]) for draw in draws] for kind in kinds}


def _over_draws(draws: Mapping[Estimator, np.ndarray], chosen: Estimator) -> dict[str, object]:
    """The last columns of a table: means [draws] of both estimators, and the spread of the one that was chosen."""
    n_draws = len(draws[chosen])
    return {
        **{str(estimator): draws[estimator].mean() for estimator in Estimator},
        "std": draws[chosen].std(ddof=1) if n_draws > 1 else np.nan,
        "n_draws": n_draws,
    }


def cka_table(compared: Sequence[Compared], estimator: str) -> pd.DataFrame:
    """One row a pair of layers, kernel and pair of invariances."""
    nulls = [{pair: null_columns(permuted_of([one], pair)) for pair in one.draws} for one in compared]
    table = [
        {
            "model_a": one.a.name,
            "layer_a": layer_a.name,
            "model_b": one.b.name,
            "layer_b": layer_b.name,
            "kernel": str(one.kernel),
            "invariance_a": str(left.invariance),
            "invariance_b": str(right.invariance),
            "estimator": estimator,
            "cka": draws[one.estimator][:, i, j].mean(),
            **_over_draws({kind: values[:, i, j] for kind, values in draws.items()}, one.estimator),
            **_at(of_pairs[left, right], i, j),
            "locality": left.locality if left.invariance is Invariance.permutation else np.nan,
        }
        for one, of_pairs in zip(compared, nulls, strict=True)
        for (left, right), draws in one.draws.items()
        for i, layer_a in enumerate(one.a.layers)
        for j, layer_b in enumerate(one.b.layers)
    ]
    return pd.DataFrame(table)


def _at(columns: Mapping[str, np.ndarray | float], *place: int) -> dict[str, float]:
    """The last columns of a row."""
    return {
        name: float(np.asarray(values)[place]) if np.ndim(values) else float(values) for name, values in columns.items()
    }


def mean_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over networks, or over pairs of them."""
    keys = ["layer_a", "layer_b", "kernel", "invariance_a", "invariance_b", "estimator", "locality"]
    means = table.groupby(keys, sort=False, dropna=False)["cka"].agg(["mean", "std", "count"]).reset_index()
    return means[[*means.columns.drop("locality"), "locality"]]


def consistency_table(
    compared: Sequence[Compared], estimator: str, wanted: Sequence[Rearrangement], movement: Movement
) -> pd.DataFrame:
    """Semantic against spatio-semantic RSM of each layer (the diagonal of Figure 15), with the range over networks."""
    table = []
    for of_kernel, moved in itertools.product(_by_kernel(compared), [moved for moved in wanted if moved != PLAIN]):
        first = of_kernel[0]
        pair = moved, PLAIN
        draws = _mean_over_networks(of_kernel, pair)
        nulls = null_columns(permuted_of(of_kernel, pair))
        for i, layer in enumerate(first.a.layers):
            values = np.array([one.mean(pair)[i, i] for one in of_kernel])
            table.append(
                {
                    "model": first.a.name if len(of_kernel) == 1 else f"{len(of_kernel)} networks",
                    "layer": layer.name,
                    "positions": layer.x.shape[1],
                    "channels": layer.x.shape[2],
                    "kernel": str(first.kernel),
                    "invariance": str(moved.invariance),
                    "estimator": estimator,
                    "cka": values.mean(),
                    "lowest": values.min(),
                    "highest": values.max(),
                    **_over_draws({kind: of_kind[:, i, i] for kind, of_kind in draws.items()}, first.estimator),
                    **_at(nulls, i, i),
                    **movement(first.a, i, moved),
                }
            )
    return pd.DataFrame(table)


def closest_table(
    compared: Sequence[Compared], estimator: str, wanted: Sequence[Rearrangement], movement: Movement
) -> pd.DataFrame:
    """For each layer of a the most similar one of b, by CKA of either RSMs, in the mean over pairs of networks.

    Its null is that of the largest CKA: the more layers there are to choose from, the larger is it by chance.
    """
    table = []
    for of_kernel, (left, right) in itertools.product(_by_kernel(compared), wanted_pairs(wanted, within=False)):
        first = of_kernel[0]
        draws = _mean_over_networks(of_kernel, (left, right))
        values = draws[first.estimator].mean(axis=0)
        nulls = null_columns(_largest(permuted_of(of_kernel, (left, right)), values.argmax(axis=1)))
        for i, j in enumerate(values.argmax(axis=1)):
            table.append(
                {
                    "model_a": first.a.name if len(of_kernel) == 1 else f"{len(of_kernel)} pairs",
                    "layer_a": first.a.layers[i].name,
                    "model_b": first.b.name if len(of_kernel) == 1 else "",
                    "layer_b": first.b.layers[j].name,
                    "kernel": str(first.kernel),
                    "invariance": str(left.invariance),
                    "estimator": estimator,
                    "cka": values[i, j],
                    **_over_draws({kind: of_kind[:, i, j] for kind, of_kind in draws.items()}, first.estimator),
                    **_at(nulls, i),
                    **movement(first.a, i, left),
                }
            )
    return pd.DataFrame(table)


def _largest(draws: dict[str, list[PermutedCka]], chosen: np.ndarray) -> dict[str, list[PermutedCka]]:
    """CKA of each layer with the one that was chosen [l_a], and with shuffled images with the most similar one."""
    rows = np.arange(len(chosen))
    return {
        kind: [PermutedCka(draw.cka[rows, chosen], draw.permuted.max(axis=2)) for draw in of_kind]
        for kind, of_kind in draws.items()
    }


def _mean_over_networks(of_kernel: Sequence[Compared], pair: _Both) -> dict[Estimator, np.ndarray]:
    """The mean over networks, or pairs of them, of CKA in each draw [draws, layers of a, layers of b]."""
    return {kind: np.mean([one.draws[pair][kind] for one in of_kernel], axis=0) for kind in Estimator}


def _by_kernel(compared: Sequence[Compared]) -> list[list[Compared]]:
    """What was compared, apart for each kernel."""
    kernels = dict.fromkeys(one.kernel for one in compared)
    return [[one for one in compared if one.kernel is name] for name in kernels]
