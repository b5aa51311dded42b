"""`semrsm cka`: what semantic RSMs change in centered kernel alignment (Appendix G)."""

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from semrsm_cli.config import CkaConfig
from semrsm_cli.data import ImageOrder
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.cka import Estimator, cka_matrix, hsic
from semrsm_cli.measures.nulls import PermutedCka
from semrsm_cli.pipeline.grams import Comparison, gram_in_store
from semrsm_cli.pipeline.rearrangements import Rearrangement, informative, movement_columns, rearrangements
from semrsm_cli.pipeline.sources import Layer, Source
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log
from semrsm_cli.rsm import Gram, Invariance, Kernel, kernel
from semrsm_cli.tasks.cka.batches import mini_batches
from semrsm_cli.tasks.cka.classes import classes_of
from semrsm_cli.tasks.cka.networks import Pairs, pairs_of_draws
from semrsm_cli.tasks.cka.nulls import NULL_COLUMNS, Shuffling, log_lonely
from semrsm_cli.tasks.cka.pictures import draw_figures, draw_locality
from semrsm_cli.tasks.cka.tables import (
    Compared,
    Movement,
    Nulls,
    Values,
    cka_table,
    closest_table,
    consistency_table,
    mean_table,
    wanted_pairs,
)

__all__ = ["cka"]

_BIAS = 0.1  # of CKA, from which on it is said

_Draw = dict[Kernel, list[tuple[Values, Nulls]]]
"""Of one draw, for each kernel and pair of networks, CKA as it is and with shuffled images."""
_Rsms = dict[Kernel, list[np.ndarray]]
"""For each kernel and mini-batch the RSMs [invariances * layers, n, n] of a network."""


def cka(config: CkaConfig, folder: RunFolder) -> pd.DataFrame:
    """CKA of all layers with all others, from spatio-semantic and from semantic RSMs; returns a summary."""
    draws = pairs_of_draws(config, folder)
    pairs = draws[0]
    batches = mini_batches(*pairs[0], config, 0)
    if len(draws) == 1 and len(batches) > 1 and config.image_order is ImageOrder.drawn:
        draws = draws * config.n_draws  # all images are taken: their mini-batches alone are drawn
    with folder.timed("match"):
        values = [_values_of_draw(of_draw, i, config, folder) for i, of_draw in enumerate(draws)]
    compared = [
        Compared.over_draws(
            a, b, name, config.estimator, *map(list, zip(*(of_draw[name][i] for of_draw in values), strict=True))
        )
        for name in config.kernels
        for i, (a, b) in enumerate(pairs)
    ]
    estimator = f"{config.estimator}, {len(batches)} x {max(map(len, batches))} images"
    chosen: dict[str, str | int | None] = {"centering": str(config.centering)}
    if not config.x:
        chosen |= {"size": config.size, "dataset": str(folder.facts["dataset"])}
    every = cka_table(compared, estimator).assign(**chosen)
    _warn_of_few_images(every, config.estimator, max(map(len, batches)))
    folder.data("cka", every)
    if len(pairs) > 1:
        folder.data("cka_mean", mean_table(every))
    is_within = pairs[0][0] is pairs[0][1]
    summarize = consistency_table if is_within else closest_table
    summary = summarize(compared, estimator, _wanted(config), _movement(config)).assign(**chosen)
    folder.table("consistency" if is_within else "closest", summary)
    folder.note(
        estimator=estimator,
        n_draws=len(draws),
        draws_of=_what_is_drawn(draws, len(batches)),
        centering=str(config.centering),
        sigma=config.sigma or "median",
        seed=config.seed,
        compared=[[a.name, b.name] for a, b in pairs],
        n_permutations=config.n_permutations,
        classes=config.classes,
        image_ids_compared=all(network.ids is not None for pair in pairs for network in pair),
    )
    draw_figures(folder, compared, config)
    if any(config.locality):
        draw_locality(folder, summary, config)
    return _shown(informative(summary), config, has_range=is_within and len(pairs) > 1)


def _shown(summary: pd.DataFrame, config: CkaConfig, *, has_range: bool) -> pd.DataFrame:
    """The table for a terminal, without what says the same as `cka`, and of the nulls what a reader asks first."""
    repeated = [str(config.estimator)] + ([] if has_range else ["lowest", "highest"])
    asked = ("calibrated", "null_95") if config.classes is None else ("calibrated", "class_calibrated")
    shown = [name for name in asked if config.n_permutations]
    return summary.drop(columns=[name for name in (*repeated, *NULL_COLUMNS) if name in summary and name not in shown])


def _wanted(config: CkaConfig) -> list[Rearrangement]:
    """What RSMs are invariant to, in one order however it was asked for."""
    return rearrangements([name for name in Invariance if name in config.invariances], config.locality)


def _movement(config: CkaConfig) -> Movement:
    """How far positions of a layer move, which is the same for all kernels."""

    @cache
    def of_layer(network: Source, i: int, moved: Rearrangement) -> dict[str, float]:
        compared = Comparison.within(network.layers[i], config.centering)
        return movement_columns(compared, moved, config.matching)

    return of_layer


def _warn_of_few_images(every: pd.DataFrame, estimator: Estimator, n: int) -> None:
    """Say by how much the biased CKA of few images misleads: the fewer, the more alike do any two RSMs look."""
    apart = (every["biased"] - every["unbiased"]).abs()
    if estimator is Estimator.biased and apart.max() > _BIAS:
        log(
            f"biased CKA of {n} images lies up to {apart.max():.2f} from the unbiased one beside it; take more images, "
            "or estimator=unbiased"
        )


def _what_is_drawn(draws: Sequence[Pairs], n_batches: int) -> str:
    """What differs between the draws, for run.json."""
    if len(draws) == 1:
        return ""
    return " and ".join(["images"] * (draws[1] is not draws[0]) + ["mini-batches"] * (n_batches > 1))


def _values_of_draw(pairs: Pairs, draw: int, config: CkaConfig, folder: RunFolder) -> _Draw:
    """CKA of every pair of networks for each kernel, from one draw; all networks have the same mini-batches."""
    a, b = pairs[0]
    batches = mini_batches(*pairs[0], config, draw)
    shuffling = _shuffling(a, b, batches, draw, config)
    networks = dict.fromkeys(itertools.chain(*pairs))
    rsms = {network: _network_rsms(network, batches, config, folder) for network in networks}
    return {name: [_compare(*pair, name, rsms, shuffling, config) for pair in pairs] for name in config.kernels}


def _shuffling(a: Source, b: Source, batches: Sequence[np.ndarray], draw: int, config: CkaConfig) -> Shuffling:
    """How images are shuffled: by their ids, so that the order of files does not matter."""
    ids, classes = a.ids or b.ids, classes_of(a, b, config.classes)
    orders = [np.arange(len(rows)) if ids is None else np.argsort([ids[row] for row in rows]) for rows in batches]
    of_batches = None
    if classes is not None:
        of_batches = [[classes[row] for row in rows[order]] for rows, order in zip(batches, orders, strict=True)]
    seed = config.seed, draw
    return Shuffling(config.estimator, config.n_permutations, seed, config.runtime.threads, orders, of_batches)


def _network_rsms(network: Source, batches: Sequence[np.ndarray], config: CkaConfig, folder: RunFolder) -> _Rsms:
    """The RSMs of all layers of a network, all kernels from one matching."""
    grams = [
        _layer_grams(layer, batches, config, folder, name=f"{network.name} {layer.name}") for layer in network.layers
    ]
    rsms: _Rsms = {}
    for name in config.kernels:
        rsms[name] = [
            np.stack(
                [
                    kernel(of_layer[i][moved], name, sigma=config.sigma, sigma_tile=config.sigma_tile)
                    for moved in _wanted(config)
                    for of_layer in grams
                ]
            )
            for i in range(len(batches))
        ]
        _require_varying(network, rsms[name], config)
    return rsms


def _layer_grams(
    layer: Layer, batches: Sequence[np.ndarray], config: CkaConfig, folder: RunFolder, *, name: str
) -> list[dict[Rearrangement, Gram]]:
    """Matched inner products within every mini-batch of one layer, less its mean over all images."""
    compared = Comparison.within(layer, config.centering, name=name)
    grams = []
    for batch in batches:
        part = compared.part(batch)
        grams.append(
            {
                moved: gram_in_store(
                    part, moved.invariance, config.matching, config.runtime, folder, locality=moved.locality
                )
                for moved in _wanted(config)
            }
        )
    return grams


def _require_varying(network: Source, rsms: Sequence[np.ndarray], config: CkaConfig) -> None:
    """Raise SemrsmError where an RSM is constant in all mini-batches: its HSIC is 0, and CKA undefined."""
    unbiased = config.estimator is Estimator.unbiased
    for i, (_, layer) in enumerate(itertools.product(_wanted(config), network.layers)):
        if not any(hsic(batch[i], batch[i], unbiased=unbiased) for batch in rsms):
            raise SemrsmError(
                f"the RSM of layer {layer.name} of {network.name} is constant, so that its CKA is not defined; "
                "leave the layer out, or give other images"
            )


def _compare(
    a: Source, b: Source, name: Kernel, rsms: dict[Source, _Rsms], shuffling: Shuffling, config: CkaConfig
) -> tuple[Values, Nulls]:
    """CKA of two networks' layers, or of one's with each other, by one kernel; as it is and with shuffled images."""
    batches = list(zip(rsms[a][name], rsms[b][name], strict=True))
    of_estimator = {
        estimator: _estimate(batches, estimator, is_chosen=estimator is config.estimator) for estimator in Estimator
    }
    permuted = shuffling.permute(batches)
    log_lonely(permuted)
    order = _wanted(config)
    values: Values = {}
    nulls: Nulls = {}
    for left, right in wanted_pairs(order, within=a is b):
        rows, columns = _rows(order.index(left), a), _rows(order.index(right), b)
        values[left, right] = {estimator: cka[rows, columns] for estimator, cka in of_estimator.items()}
        nulls[left, right] = {
            kind: PermutedCka(of_kind.cka[rows, columns], of_kind.permuted[:, rows, columns])
            for kind, of_kind in permuted.items()
        }
    return values, nulls


def _estimate(batches: list[tuple[np.ndarray, np.ndarray]], estimator: Estimator, *, is_chosen: bool) -> np.ndarray:
    """CKA of all RSMs; NaN by the estimator that was not chosen where the images do not do for it."""
    try:
        return cka_matrix(batches, unbiased=estimator is Estimator.unbiased)
    except ValueError:
        if is_chosen:
            raise
        return np.full((len(batches[0][0]), len(batches[0][1])), np.nan)


def _rows(place: int, network: Source) -> slice:
    """Where the layers of the rearrangement at some place stand among the RSMs of a network."""
    first = place * len(network.layers)
    return slice(first, first + len(network.layers))
