"""`semrsm cka`: what semantic RSMs change in centered kernel alignment (Appendix G)."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from semrsm_cli.config import CkaConfig
from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.cka import Estimator, cka_matrix, hsic
from semrsm_cli.report.figures.cka import cka_figure, consistency_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.rsm import Centered, Gram, Invariance, Kernel, kernel, mean
from semrsm_cli.tasks.cka_layers import Layer, Side, compared_sides
from semrsm_cli.tasks.cka_tables import (
    INVARIANCES,
    OF_ONE,
    OF_TWO,
    Compared,
    cka_table,
    closest_table,
    consistency_table,
    mean_table,
)
from semrsm_cli.tasks.rsm import gram_in_store

__all__ = ["cka"]

FEWEST = {Estimator.biased: 2, Estimator.unbiased: 4}
Rsms = dict[Kernel, list[np.ndarray]]
"""For each kernel and mini-batch the RSMs [invariances * layers, n, n] of a network."""


def cka(config: CkaConfig, folder: RunFolder) -> pd.DataFrame:
    """CKA of all layers with all others, from spatio-semantic and from semantic RSMs; returns the gist of it."""
    pairs = compared_sides(config, folder)
    batches = mini_batches(pairs[0][0].n_images, config.batch_images, config.estimator)
    with folder.timed("match"):
        rsms = {side: side_rsms(side, batches, config) for side in dict.fromkeys(itertools.chain(*pairs))}
    compared = [compare(a, b, name, rsms, config.estimator) for name in config.kernels for a, b in pairs]
    estimator = f"{config.estimator}, {len(batches)} x {max(batch.stop - batch.start for batch in batches)} images"
    table = cka_table(compared, estimator)
    folder.data("cka", table)
    if len(pairs) > 1:
        folder.data("cka_mean", mean_table(table))
    is_within = pairs[0][0] is pairs[0][1]
    gist = consistency_table(compared, estimator) if is_within else closest_table(compared, estimator)
    folder.table("consistency" if is_within else "closest", gist)
    folder.note(
        estimator=estimator,
        centering=str(config.centering),
        sigma=config.sigma or "median",
        seed=config.seed,
        compared=[[a.name, b.name] for a, b in pairs],
        image_ids_compared=all(side.ids is not None for pair in pairs for side in pair),
    )
    draw(folder, compared, config)
    return gist


def mini_batches(n: int, size: int, estimator: Estimator) -> list[slice]:
    """All n images in mini-batches of at most `size`, as equal as can be.

    Raises:
        SemrsmError: They are too few for the estimator.
    """
    ends = np.linspace(0, n, -(-n // size) + 1).round().astype(int).tolist()
    batches = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
    fewest = min(batch.stop - batch.start for batch in batches)
    if fewest < FEWEST[estimator]:
        raise SemrsmError(
            f"the {estimator} HSIC needs at least {FEWEST[estimator]} images in a mini-batch, got {fewest}; "
            "give more images, or larger mini-batches with batch_images"
        )
    return batches


def side_rsms(side: Side, batches: Sequence[slice], config: CkaConfig) -> Rsms:
    """The RSMs of all layers of a network, all kernels from one matching."""
    grams = [layer_grams(side, layer, batches, config) for layer in side.layers]
    found: Rsms = {}
    for name in config.kernels:
        found[name] = [
            np.stack(
                [
                    kernel(of_layer[invariance][i], name, sigma=config.sigma)
                    for invariance in INVARIANCES
                    for of_layer in grams
                ]
            )
            for i in range(len(batches))
        ]
        require_varying(side, found[name], config.estimator)
    return found


def layer_grams(side: Side, layer: Layer, batches: Sequence[slice], config: CkaConfig) -> dict[Invariance, list[Gram]]:
    """Matched inner products within every mini-batch of one layer, less its mean over all images."""
    centered = Centered(layer.x, mean(layer.x, config.centering))
    grams: dict[Invariance, list[Gram]] = {invariance: [] for invariance in INVARIANCES}
    name = f"{side.name} {layer.name}"
    for batch in batches:
        settings = {"representation": layer.key, "centering": str(config.centering)}
        if len(batches) > 1:  # else these are the very tiles of `semrsm rsm`
            settings["images"] = f"{batch.start} to {batch.stop}"
        x = centered if len(batches) == 1 else centered[batch]
        for invariance in INVARIANCES:
            try:
                found = gram_in_store(x, None, settings, invariance, config.matching, config.runtime, name=name)
            except ValueError as error:
                raise SemrsmError(f"{name}: {error}") from error
            grams[invariance].append(found)
    return grams


def require_varying(side: Side, rsms: Sequence[np.ndarray], estimator: Estimator) -> None:
    """Raise SemrsmError where an RSM is constant in all mini-batches: its HSIC is 0, and CKA undefined."""
    for i, layer in enumerate([*side.layers, *side.layers]):
        if not any(hsic(batch[i], batch[i], unbiased=estimator is Estimator.unbiased) for batch in rsms):
            raise SemrsmError(
                f"the RSM of layer {layer.name} of {side.name} is constant, so that its CKA is not defined; "
                "leave the layer out, or give other images"
            )


def compare(a: Side, b: Side, name: Kernel, rsms: dict[Side, Rsms], estimator: Estimator) -> Compared:
    """CKA of two networks' layers, or of one's with each other, from the RSMs of one kernel."""
    batches = zip(rsms[a][name], rsms[b][name], strict=True)
    values = cka_matrix(batches, unbiased=estimator is Estimator.unbiased)
    wanted = OF_ONE if a is b else OF_TWO
    return Compared(a, b, name, {(left, right): values[rows(left, a), rows(right, b)] for left, right in wanted})


def rows(invariance: Invariance, side: Side) -> slice:
    """Where an invariance's layers stand among the RSMs of a network."""
    first = INVARIANCES.index(invariance) * len(side.layers)
    return slice(first, first + len(side.layers))


def draw(folder: RunFolder, compared: Sequence[Compared], config: CkaConfig) -> None:
    """Figures 16 and 17 for each kernel; within networks also Figure 15, with all kernels."""
    first = compared[0]
    label_a = first.a.name if config.a else config.model.label
    label_b = first.b.name if config.b or config.model_b else label_a
    if config.across:
        one_pair = len({(one.a, one.b) for one in compared}) == 1
        label_a, label_b = (first.a.name, first.b.name) if one_pair else (label_a, f"another {label_a}")
    layers_a, layers_b = ([layer.name for layer in side.layers] for side in (first.a, first.b))
    consistency = {}
    for name in config.kernels:
        of_kernel = [one for one in compared if one.kernel is name]
        spatial, semantic = (np.mean([one.values[pair] for one in of_kernel], axis=0) for pair in OF_TWO)
        figure = cka_figure(spatial, semantic, layers_a, layers_b, label_a=label_a, label_b=label_b, kernel=str(name))
        folder.figure(f"cka_{name}", figure)
        if first.a is first.b:
            consistency[str(name)] = np.stack([one.values[OF_ONE[-1]] for one in of_kernel])
    if consistency:
        positions = [layer.x.shape[1] for layer in first.a.layers]
        folder.figure("consistency", consistency_figure(consistency, layers_a, positions, label=label_a))
