"""`semrsm cka`: what semantic RSMs change in centered kernel alignment (Appendix G)."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from semrsm_cli.config import CkaConfig
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.cka import Estimator, cka_matrix, hsic
from semrsm_cli.pipeline.grams import Comparison, gram_in_store
from semrsm_cli.pipeline.sources import Layer, Source
from semrsm_cli.report.figures.cka import cka_figure, consistency_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Gram, Invariance, Kernel, kernel
from semrsm_cli.tasks.cka.networks import pairs_to_compare
from semrsm_cli.tasks.cka.tables import (
    BETWEEN_NETWORKS,
    INVARIANCES,
    WITHIN_NETWORK,
    Compared,
    cka_table,
    closest_table,
    consistency_table,
    mean_table,
)

__all__ = ["cka"]

_MIN_IMAGES = {Estimator.biased: 2, Estimator.unbiased: 4}
_Rsms = dict[Kernel, list[np.ndarray]]
"""For each kernel and mini-batch the RSMs [invariances * layers, n, n] of a network."""


def cka(config: CkaConfig, folder: RunFolder) -> pd.DataFrame:
    """CKA of all layers with all others, from spatio-semantic and from semantic RSMs; returns a summary."""
    pairs = pairs_to_compare(config, folder)
    batches = _mini_batches(pairs[0][0].n_images, config.batch_images, config.estimator)
    with folder.timed("match"):
        networks = dict.fromkeys(itertools.chain(*pairs))
        rsms = {network: _network_rsms(network, batches, config, folder) for network in networks}
    compared = [_compare(a, b, name, rsms, config.estimator) for name in config.kernels for a, b in pairs]
    estimator = f"{config.estimator}, {len(batches)} x {max(batch.stop - batch.start for batch in batches)} images"
    table = cka_table(compared, estimator)
    folder.data("cka", table)
    if len(pairs) > 1:
        folder.data("cka_mean", mean_table(table))
    is_within = pairs[0][0] is pairs[0][1]
    summary = consistency_table(compared, estimator) if is_within else closest_table(compared, estimator)
    folder.table("consistency" if is_within else "closest", summary)
    folder.note(
        estimator=estimator,
        centering=str(config.centering),
        sigma=config.sigma or "median",
        seed=config.seed,
        compared=[[a.name, b.name] for a, b in pairs],
        image_ids_compared=all(network.ids is not None for pair in pairs for network in pair),
    )
    _draw(folder, compared, config)
    return summary


def _mini_batches(n: int, size: int, estimator: Estimator) -> list[slice]:
    """All n images in mini-batches of at most `size`, as equal as can be.

    Raises:
        SemrsmError: They are too few for the estimator.
    """
    ends = np.linspace(0, n, -(-n // size) + 1).round().astype(int).tolist()
    batches = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
    smallest = min(batch.stop - batch.start for batch in batches)
    if smallest < _MIN_IMAGES[estimator]:
        raise SemrsmError(
            f"the {estimator} HSIC needs at least {_MIN_IMAGES[estimator]} images in a mini-batch, got {smallest}; "
            "give more images, or larger mini-batches with batch_images"
        )
    return batches


def _network_rsms(network: Source, batches: Sequence[slice], config: CkaConfig, folder: RunFolder) -> _Rsms:
    """The RSMs of all layers of a network, all kernels from one matching."""
    grams = [
        _layer_grams(layer, batches, config, folder, name=f"{network.name} {layer.name}") for layer in network.layers
    ]
    rsms: _Rsms = {}
    for name in config.kernels:
        rsms[name] = [
            np.stack(
                [
                    kernel(of_layer[invariance][i], name, sigma=config.sigma, sigma_tile=config.sigma_tile)
                    for invariance in INVARIANCES
                    for of_layer in grams
                ]
            )
            for i in range(len(batches))
        ]
        _require_varying(network, rsms[name], config.estimator)
    return rsms


def _layer_grams(
    layer: Layer, batches: Sequence[slice], config: CkaConfig, folder: RunFolder, *, name: str
) -> dict[Invariance, list[Gram]]:
    """Matched inner products within every mini-batch of one layer, less its mean over all images."""
    compared = Comparison.within(layer, config.centering, name=name)
    parts = [compared.part(batch) for batch in batches]
    return {
        invariance: [gram_in_store(part, invariance, config.matching, config.runtime, folder) for part in parts]
        for invariance in INVARIANCES
    }


def _require_varying(network: Source, rsms: Sequence[np.ndarray], estimator: Estimator) -> None:
    """Raise SemrsmError where an RSM is constant in all mini-batches: its HSIC is 0, and CKA undefined."""
    for i, layer in enumerate([*network.layers, *network.layers]):
        if not any(hsic(batch[i], batch[i], unbiased=estimator is Estimator.unbiased) for batch in rsms):
            raise SemrsmError(
                f"the RSM of layer {layer.name} of {network.name} is constant, so that its CKA is not defined; "
                "leave the layer out, or give other images"
            )


def _compare(a: Source, b: Source, name: Kernel, rsms: dict[Source, _Rsms], estimator: Estimator) -> Compared:
    """CKA of two networks' layers, or of one's with each other, from the RSMs of one kernel."""
    batches = zip(rsms[a][name], rsms[b][name], strict=True)
    values = cka_matrix(batches, unbiased=estimator is Estimator.unbiased)
    wanted = WITHIN_NETWORK if a is b else BETWEEN_NETWORKS
    return Compared(a, b, name, {(left, right): values[_rows(left, a), _rows(right, b)] for left, right in wanted})


def _rows(invariance: Invariance, network: Source) -> slice:
    """Where an invariance's layers stand among the RSMs of a network."""
    first = INVARIANCES.index(invariance) * len(network.layers)
    return slice(first, first + len(network.layers))


def _draw(folder: RunFolder, compared: Sequence[Compared], config: CkaConfig) -> None:
    """Figures 16 and 17 for each kernel; within networks also Figure 15, with all kernels."""
    first = compared[0]
    label_a = first.a.name if config.x else config.model.label
    label_b = first.b.name if config.y or config.model_b else label_a
    if config.between_networks:
        one_pair = len({(one.a, one.b) for one in compared}) == 1
        label_a, label_b = (first.a.name, first.b.name) if one_pair else (label_a, f"another {label_a}")
    layers_a, layers_b = ([layer.name for layer in network.layers] for network in (first.a, first.b))
    consistency = {}
    for name in config.kernels:
        of_kernel = [one for one in compared if one.kernel is name]
        spatial, semantic = (np.mean([one.values[pair] for one in of_kernel], axis=0) for pair in BETWEEN_NETWORKS)
        figure = cka_figure(spatial, semantic, layers_a, layers_b, label_a=label_a, label_b=label_b, kernel=str(name))
        folder.figure(f"cka_{name}", figure)
        if first.a is first.b:
            consistency[str(name)] = np.stack([one.values[WITHIN_NETWORK[-1]] for one in of_kernel])
    if consistency:
        positions = [layer.x.shape[1] for layer in first.a.layers]
        folder.figure("consistency", consistency_figure(consistency, layers_a, positions, label=label_a))
