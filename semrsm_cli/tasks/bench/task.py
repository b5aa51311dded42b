"""`semrsm bench`: time and quality of the matchings on a network's own maps (Table 5, Figures 5 and 6)."""

import pandas as pd

from semrsm_cli.config import BenchConfig
from semrsm_cli.config.identity import identifying_settings
from semrsm_cli.data import batches_of_unrelated, resized_squares
from semrsm_cli.errors import ConfigError
from semrsm_cli.pipeline.images import note_images, open_images
from semrsm_cli.pipeline.networks import cut_to_size, load_network, note_network
from semrsm_cli.pipeline.sources import Layer, from_model
from semrsm_cli.report import paper
from semrsm_cli.report.figures.bench import alignment_figure, runtime_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.tasks.bench.tables import alignment_table, matching_table, summarize
from semrsm_cli.tasks.bench.timing import draw_pairs, list_contenders, measure_methods, one_core, warm_up

__all__ = ["bench"]


def bench(config: BenchConfig, folder: RunFolder) -> pd.DataFrame:
    """Time all methods on the same pairs, one pinned core, and compare what they reach with the certified optimum."""
    images = open_images(config.dataset)
    chosen = batches_of_unrelated(images, n_per_batch=config.n_images, n_batches=1, seed=config.seed)[0]
    network = load_network(config.model, config.runtime)
    sample = images.select(chosen)
    prepare = None if config.size is None else cut_to_size(network, config.size)
    squares = sample if config.size is None else resized_squares(sample, config.size)
    note_images(folder, squares)
    note_network(folder, config.model, network)
    source = from_model(network, squares, config.model, config.runtime, folder, prepare=prepare)
    layers = {layer.name: layer for layer in source.layers}
    pairs = draw_pairs(len(squares), config)
    to_time = _layers_of_sizes(layers, config)
    with folder.timed("match"), one_core() as core:
        warm_up(config)
        measured = {
            name: measure_methods(layer, config, pairs, timed=name in to_time) for name, layer in layers.items()
        }
    number, _ = paper.table_printed_for(5, settings=identifying_settings(config))
    timed = {name: measured[name] for name in to_time}
    matching = matching_table(timed, layers, config.model.label, images.name, is_table_5=number == 5)
    fitting = {name: at for name, at in measured.items() if layers[name].x.shape[1] <= config.largest_matrix}
    alignment = alignment_table(fitting, layers)  # beyond, some approximations are lacking
    folder.table("matching", matching)
    folder.data("alignment", alignment)
    folder.figure("runtime", runtime_figure(matching))
    if not alignment.empty:  # else no approximation was asked for, or no layer fits a matrix
        folder.figure("alignment", alignment_figure(alignment))
    folder.note(seed=config.seed, threads=1, core=core, pairs=len(pairs), centering=str(config.centering))
    return summarize(matching)


def _layers_of_sizes(layers: dict[str, Layer], config: BenchConfig) -> list[str]:
    """For each wanted number of positions the last layer that has it."""
    by_size = {layer.x.shape[1]: name for name, layer in layers.items()}
    missing = [size for size in config.positions if size not in by_size]
    if missing:
        has = ", ".join(f"{name}: {size}" for size, name in by_size.items())
        raise ConfigError(f"no layer has {missing[0]} positions at size={config.size}; choose positions from {has}")
    for size in config.positions:
        if not list_contenders(config, size):
            raise ConfigError(
                f"no method of {', '.join(config.methods)} can do without the affinity, but {size} positions exceed "
                f"largest_matrix={config.largest_matrix}; add optimal to methods"
            )
    return [by_size[size] for size in config.positions]
