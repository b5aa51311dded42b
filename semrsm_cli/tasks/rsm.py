"""`semrsm rsm`: the RSM of a model's layers, or of the user's own arrays."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from semrsm_cli.config import RsmConfig
from semrsm_cli.errors import SemrsmError
from semrsm_cli.matching import Method
from semrsm_cli.pipeline.grams import Comparison, gram_in_store, matching_name
from semrsm_cli.pipeline.rearrangements import Rearrangement, informative, movement_columns, rearrangements
from semrsm_cli.pipeline.sources import Layer, Source, from_model, read_source
from semrsm_cli.report.figures.locality import locality_figure
from semrsm_cli.report.figures.rsm import dendrogram_order, rsm_figure
from semrsm_cli.report.figures.style import INVARIANCE_TITLE
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import log
from semrsm_cli.rsm import Gram, Invariance, kernel

__all__ = ["rsm"]

_Ids = tuple[str, ...]


def rsm(config: RsmConfig, folder: RunFolder) -> pd.DataFrame:
    """Write one RSM per layer, of a model or of the given files, and its heat map; one row each."""
    rows = []
    comparisons, ids = _of_model(config, folder) if config.x is None else _of_files(config)
    of_model = {} if config.x is not None else {"model": config.model.label, "dataset": folder.facts["dataset"]}
    wanted = [Rearrangement(config.invariance, locality) for locality in dict.fromkeys(config.locality or [0.0])]
    for compared, moved in itertools.product(comparisons, wanted):
        g, values = _rsm_of(compared, moved, config, folder)
        if values.shape == (1, 1):
            log(f"{compared.name} holds one image: its RSM is a single number, of the image with itself")
        name = f"{compared.name}_locality_{moved.locality:g}" if moved.locality else compared.name
        folder.array(name, values)
        _draw(folder, values, compared, moved, ids, config, name=name)
        rows.append(
            {
                "array": f"arrays/{name}.npy",
                "n": values.shape[0],
                "m": values.shape[1],
                "positions": compared.x.shape[1],
                "channels": compared.x.shape[2],
                "kernel": str(config.kernel.name),
                "invariance": str(config.invariance),
                "matching": matching_name(config.invariance, config.matching),
                "certified_gap": _certified_gap(g),
                "centering": str(config.centering),
                **movement_columns(compared, moved, config.matching),
                **of_model,
            }
        )
    table = pd.DataFrame(rows)
    folder.table("rsm", table)
    if ids is not None and config.y is None:
        folder.data("images", pd.DataFrame({"image": ids[0]}))
    folder.note(centering=str(config.centering), sigma=config.kernel.sigma or "median", seed=config.seed)
    if any(config.locality):
        _draw_curve(folder, comparisons, config)
    return informative(table)


def _rsm_of(
    compared: Comparison, moved: Rearrangement, config: RsmConfig, folder: RunFolder
) -> tuple[Gram, np.ndarray]:
    """Inner products and RSM of one comparison."""
    with folder.timed(f"match {compared.name}"):
        g = gram_in_store(compared, moved.invariance, config.matching, config.runtime, folder, locality=moved.locality)
        return g, kernel(g, config.kernel.name, sigma=config.kernel.sigma, sigma_tile=config.kernel.sigma_tile)


def _draw_curve(folder: RunFolder, comparisons: Sequence[Comparison], config: RsmConfig) -> None:
    """Write the mean similarity of different images over locality, with the paper's two methods as its ends."""
    rows = []
    for compared in comparisons:
        for moved in rearrangements([Invariance.permutation, Invariance.none], config.locality):
            values = _rsm_of(compared, moved, config, folder)[1]
            others = values if compared.y is not None else values[~np.eye(len(values), dtype=bool)]
            if others.size:
                row = {"layer": compared.name, "invariance": str(moved.invariance), "similarity": others.mean()}
                rows.append(row | movement_columns(compared, moved, config.matching))
    if rows:
        table = pd.DataFrame(rows)
        folder.data("locality", table)
        label = f"mean similarity of two images\n({config.kernel.name} kernel)"
        folder.figure("locality", locality_figure(table, value="similarity", label=label, series="layer"))


def _draw(
    folder: RunFolder,
    values: np.ndarray,
    compared: Comparison,
    moved: Rearrangement,
    ids: tuple[_Ids, _Ids] | None,
    config: RsmConfig,
    *,
    name: str,
) -> None:
    """Write the heat map of an RSM."""
    what = "" if config.x is not None else f"{config.model.label}, "
    cost = f", locality {moved.locality:g}" if moved.locality else ""
    figure = rsm_figure(
        values,
        title=f"{what}{compared.name}, {INVARIANCE_TITLE[str(config.invariance)]}{cost}",
        kernel=str(config.kernel.name),
        is_within=compared.y is None,
        names=ids,
        order=dendrogram_order(values) if config.dendrogram and compared.y is None else None,
    )
    folder.figure(name, figure)


def _of_model(config: RsmConfig, folder: RunFolder) -> tuple[list[Comparison], tuple[_Ids, _Ids]]:
    """The images with each other, at every layer of the model; and what rows and columns are called."""
    # these bring torch, which own arrays need not wait for
    from semrsm_cli.pipeline.frames import log_unseen, note_share_seen
    from semrsm_cli.pipeline.images import note_images, open_images
    from semrsm_cli.pipeline.networks import load_network, note_network

    images = open_images(config.dataset, config.n_images, config.seed)
    network = load_network(config.model, config.runtime)
    note_images(folder, images)
    note_network(folder, config.model, network)
    log_unseen(config.model.label, note_share_seen(folder, network, images))
    source = from_model(network, images, config.model, config.runtime, folder)
    return [Comparison.within(layer, config.centering) for layer in source.layers], (images.ids, images.ids)


def _of_files(config: RsmConfig) -> tuple[list[Comparison], tuple[_Ids, _Ids] | None]:
    """The images in the user's files, at every layer that they hold; and what rows and columns are called if known."""
    x = read_source(str(config.x))
    if config.grid is not None:
        grid = config.grid[0], config.grid[1]
        x = replace(x, layers=tuple(replace(layer, grid=grid) for layer in x.layers))
    if config.y is None:
        return [Comparison.within(layer, config.centering) for layer in x.layers], _pair_ids(x, x)
    y = read_source(config.y)
    compared = [_between(left, right, config) for left, right in _pair_layers(x, y)]
    return compared, _pair_ids(x, y)


def _pair_ids(x: Source, y: Source) -> tuple[_Ids, _Ids] | None:
    """What the images of both are called, where it is known of both."""
    return None if x.ids is None or y.ids is None else (x.ids, y.ids)


def _pair_layers(x: Source, y: Source) -> list[tuple[Layer, Layer]]:
    """Which layers of two files are compared: their only ones, or those of one name.

    Raises:
        SemrsmError: Their layers have other names.
    """
    if len(x.layers) == len(y.layers) == 1:
        return [(x.layers[0], y.layers[0])]
    of_y = {layer.name: layer for layer in y.layers}
    if {layer.name for layer in x.layers} != of_y.keys():
        left, right = (", ".join(layer.name for layer in source.layers[:5]) for source in (x, y))
        raise SemrsmError(
            f"x and y must hold the same layers, got {left} in {x.name} and {right} in {y.name}; choose one of each "
            "with # behind the file"
        )
    return [(layer, of_y[layer.name]) for layer in x.layers]


def _between(x: Layer, y: Layer, config: RsmConfig) -> Comparison:
    """The images of x with those of y."""
    unequal = config.invariance is Invariance.pooled or (
        config.invariance is Invariance.permutation and config.matching.method == Method.optimal
    )
    if x.x.shape[2] != y.x.shape[2] or (x.x.shape[1] != y.x.shape[1] and not unequal):
        raise SemrsmError(
            f"x and y must have the same {'' if unequal else 'positions and '}channels, got {list(x.x.shape[1:])} in "
            f"{config.x} and {list(y.x.shape[1:])} in {config.y}"
        )
    name = x.name if x.name == y.name else f"{x.name}_{y.name}"
    return Comparison.between(x, y, config.centering, center_of=x, name=name)


def _certified_gap(g: Gram) -> float:
    """The largest gap between a pair's bound and its value, relative to the value; to their mean size if that is more.

    Values of unrelated images lie near zero, where a relative gap says nothing.
    """
    mean = np.abs(g.inner).mean()
    largest = 0.0
    for inner, bound in zip(g.inner, g.bound, strict=True):  # row by row, since the matrices may be large
        scale = np.maximum(np.abs(inner), mean)
        largest = max(largest, float(((bound - inner) / np.where(scale > 0, scale, 1)).max()))
    return largest
