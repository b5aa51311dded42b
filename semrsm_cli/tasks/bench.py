"""`semrsm bench`: time and quality of the matchings on a network's own maps (Table 5, Figures 5 and 6)."""

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from semrsm_cli.config import BenchConfig
from semrsm_cli.data import batches_of_unrelated, resized_squares
from semrsm_cli.errors import ConfigError
from semrsm_cli.matching import Matching, Method, compile_all, match
from semrsm_cli.report import paper
from semrsm_cli.report.figures.bench import alignment_figure, runtime_figure
from semrsm_cli.report.folder import RunFolder
from semrsm_cli.report.progress import say
from semrsm_cli.rsm import Centered, mean
from semrsm_cli.store import Representation
from semrsm_cli.tasks.extract import load_network, note_images, note_network, open_images, represent

__all__ = ["bench"]

MATRIX_FREE = frozenset({Method.optimal, Method.batch_optimal, Method.diagonal})
ALIGNED = (Method.batch_optimal, Method.topk_greedy, Method.greedy, Method.diagonal)
PAPER_METHOD = {"OR-Tools": "ortools", "SciPy": "scipy", "No match": "diagonal", "Batch-Optimal": "batch_optimal"}


@dataclass(frozen=True)
class Contender:
    """A method with its parameter."""

    method: Method
    batch: int | None = None

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return str(self.method) if self.batch is None else f"{self.method}({self.batch})"


@dataclass
class Cell:
    """What one contender did at one size: seconds and matching of each pair."""

    seconds: dict[tuple[int, int], float] = field(default_factory=dict)
    matchings: dict[tuple[int, int], Matching] = field(default_factory=dict)

    def add(self, pair: tuple[int, int], seconds: float, found: Matching) -> None:
        """Count a pair."""
        self.seconds[pair], self.matchings[pair] = seconds, found


def bench(config: BenchConfig, folder: RunFolder) -> pd.DataFrame:
    """Time all methods on the same pairs, one pinned core, and compare what they reach with the certified optimum."""
    images = open_images(config.dataset)
    chosen = batches_of_unrelated(images, n_per_batch=config.n_images, n_batches=1, seed=config.seed)[0]
    network = load_network(config.model, config.runtime)
    sample = images.select(chosen)
    prepare = None if config.size is None else network.normalise
    squares = sample if config.size is None else resized_squares(sample, config.size)
    note_images(folder, squares)
    note_network(folder, config.model, network)
    with folder.timed("extract"):
        layers = represent(network, squares, config.model, config.runtime, prepare=prepare).layers
    pairs = shuffled_pairs(len(squares), config)
    with folder.timed("match"), one_core() as core:
        warm_up(config)
        timed = {layer: run_cells(layers[layer], config, pairs) for layer in layers_of_sizes(layers, config)}
        aligned = align(layers, timed, config, pairs)
    matching, alignment = matching_table(timed, layers), alignment_table(aligned, layers)
    folder.table("matching", matching)
    folder.data("alignment", alignment)
    folder.figure("runtime", runtime_figure(matching))
    if not alignment.empty:  # else no approximation was asked for, or no layer fits a matrix
        folder.figure("alignment", alignment_figure(alignment))
    folder.note(seed=config.seed, threads=1, core=core, pairs=len(pairs), centering=str(config.centering))
    return at_a_glance(matching)


@contextmanager
def one_core() -> Iterator[int | None]:
    """Pin this process to one core, and BLAS to one thread, where the system lets it."""
    with threadpool_limits(1):
        if not hasattr(os, "sched_setaffinity"):
            yield None
            return
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(allowed)})
        try:
            yield max(allowed)
        finally:
            os.sched_setaffinity(0, allowed)


def layers_of_sizes(layers: dict[str, Representation], config: BenchConfig) -> list[str]:
    """For each wanted number of positions the last layer that has it."""
    by_size = {stored.shape[1]: name for name, stored in layers.items()}
    missing = [size for size in config.positions if size not in by_size]
    if missing:
        has = ", ".join(f"{name}: {size}" for size, name in by_size.items())
        raise ConfigError(f"no layer has {missing[0]} positions at size={config.size}; choose positions from {has}")
    return [by_size[size] for size in config.positions]


def contenders(config: BenchConfig, positions: int) -> list[Contender]:
    """The methods to time at a size; Batch-Optimal once per batch length."""
    found = []
    for method in config.methods:
        if positions > config.largest_matrix and method not in MATRIX_FREE:
            continue
        lengths = config.batches if method is Method.batch_optimal else [None]
        found += [Contender(method, length) for length in lengths]
    return found


def shuffled_pairs(n: int, config: BenchConfig) -> list[tuple[int, int]]:
    """Pairs of different images in a seeded order."""
    pairs = list(itertools.combinations(range(n), 2))
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    return [pairs[i] for i in order[: config.n_pairs]]


def warm_up(config: BenchConfig) -> None:
    """Compile and load every method once."""
    compile_all()
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    for contender in contenders(config, len(x)):
        matched(contender, x @ x.T, x, x, config)


def matched(
    contender: Contender, affinity: np.ndarray | None, x: np.ndarray, y: np.ndarray, config: BenchConfig
) -> Matching:
    """One matching by one contender."""
    return match(
        affinity,
        method=contender.method,
        tolerance=config.tolerance,
        batch=contender.batch or 1,
        k=config.k,
        x=x,
        y=y,
    )


def run_cells(stored: Representation, config: BenchConfig, pairs: list[tuple[int, int]]) -> dict[Contender, Cell]:
    """Time all contenders at one layer, pair by pair in turn, until each has used up its time."""
    positions = stored.shape[1]
    maps = Centered(stored, mean(stored, config.centering))[0 : len(stored)]
    cells = {contender: Cell() for contender in contenders(config, positions)}
    say(f"timing {len(cells)} methods at s = {positions}")
    for i, j in pairs:
        running = [c for c, cell in cells.items() if sum(cell.seconds.values()) < config.seconds_per_cell]
        affinity = maps[i] @ maps[j].T if running and positions <= config.largest_matrix else None
        for contender in running:
            start = time.perf_counter()
            found = matched(contender, affinity, maps[i], maps[j], config)
            cells[contender].add((i, j), time.perf_counter() - start, found)
    return cells


def align(
    layers: dict[str, Representation],
    timed: dict[str, dict[Contender, Cell]],
    config: BenchConfig,
    pairs: list[tuple[int, int]],
) -> dict[str, dict[Contender, Cell]]:
    """The approximations and the optimum at every layer that fits a matrix; timed layers are not matched again."""
    only = [Contender(Method.optimal), *(c for c in contenders(config, 1) if c.method in ALIGNED)]
    found = {}
    for name, stored in layers.items():
        if stored.shape[1] > config.largest_matrix:
            continue
        if name in timed:
            found[name] = timed[name]
        else:
            maps = Centered(stored, mean(stored, config.centering))[0 : len(stored)]
            cells: dict[Contender, Cell] = defaultdict(Cell)
            for i, j in pairs:
                affinity = maps[i] @ maps[j].T
                for contender in only:
                    cells[contender].matchings[i, j] = matched(contender, affinity, maps[i], maps[j], config)
            found[name] = dict(cells)
    return found


def matching_table(timed: dict[str, dict[Contender, Cell]], layers: dict[str, Representation]) -> pd.DataFrame:
    """Table 5: seconds a pair and percent of the optimum, with the paper's numbers beside ours.

    A slow method has fewer pairs: `times_optimal`, its time over the optimum's, is the median over those that it has.
    """
    rows = []
    for layer, cells in timed.items():
        optimum = cells.get(Contender(Method.optimal), Cell())
        for contender, cell in cells.items():
            found = cell.matchings
            shared = [pair for pair in found if pair in optimum.matchings]
            ratios = [found[pair].value / optimum.matchings[pair].value for pair in shared]
            times = [cell.seconds[pair] / optimum.seconds[pair] for pair in shared]
            gaps = [(m.bound - m.value) / abs(m.value) for m in found.values() if m.value]
            rows.append(
                {
                    "method": str(contender.method),
                    "batch": contender.batch,
                    "positions": layers[layer].shape[1],
                    "channels": layers[layer].shape[2],
                    "layer": layer,
                    "n_pairs": len(found),
                    "seconds_mean": np.mean([*cell.seconds.values()]),
                    "seconds_median": np.median([*cell.seconds.values()]),
                    "percent_of_optimal": 100 * np.mean(ratios) if ratios else None,
                    "certified_gap": max(gaps, default=None),
                    "times_optimal": np.median(times) if times else None,
                }
            )
    theirs = paper.printed(5).rename(columns={"algorithm": "method", "spatial_extent": "positions"})
    theirs["method"] = theirs["method"].replace(PAPER_METHOD)
    table = pd.DataFrame(rows).astype({"batch": "Int64"})
    table = paper.beside(
        table,
        theirs.astype({"batch": "Int64"}),
        on=["method", "batch", "positions"],
        columns={"seconds_per_pair": "paper_seconds", "similarity_percent_of_optimal": "paper_percent"},
    )
    return table[[*table.columns.drop("times_optimal"), "times_optimal"]]


def alignment_table(aligned: dict[str, dict[Contender, Cell]], layers: dict[str, Representation]) -> pd.DataFrame:
    """Figures 5 and 6: what each approximation, and no matching, reaches of the optimum, pair by pair."""
    rows = []
    for layer, cells in aligned.items():
        optimum = cells.get(Contender(Method.optimal), Cell()).matchings
        for contender, cell in cells.items():
            if contender.method not in ALIGNED:
                continue
            for (i, j), found in cell.matchings.items():
                if (i, j) in optimum:
                    rows.append(
                        {
                            "layer": layer,
                            "positions": layers[layer].shape[1],
                            "pair": f"{i}-{j}",
                            "method": contender.label,
                            "ratio_to_optimal": found.value / optimum[i, j].value,
                        }
                    )
    return pd.DataFrame(rows, columns=["layer", "positions", "pair", "method", "ratio_to_optimal"])


def at_a_glance(matching: pd.DataFrame) -> pd.DataFrame:
    """For the terminal: a method a row; per size its time, times ours on the same pairs, percent of the optimum."""
    labels = [
        method if pd.isna(batch) else f"{method}({batch})"
        for method, batch in zip(matching["method"], matching["batch"], strict=True)
    ]
    rows: dict[str, dict[str, str]] = {label: {} for label in dict.fromkeys(labels)}
    for size, of_size in matching.assign(label=labels).groupby("positions"):
        for row in of_size.to_dict("records"):
            cells = (
                duration(row["seconds_median"]),
                multiple(row["times_optimal"]),
                percent(row["percent_of_optimal"]),
            )
            rows[row["label"]][f"s={size}    x     %"] = "{:>7} {:>4} {:>5}".format(*cells)
    return pd.DataFrame([{"method": label} | row for label, row in rows.items()]).fillna("")


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def multiple(times: float | None) -> str:
    """How many times as long."""
    return "" if times is None or np.isnan(times) else f"x{times:.0f}" if times >= 10 else f"x{times:.1f}"


def percent(value: float | None) -> str:
    """A percentage without its sign."""
    return "" if value is None or np.isnan(value) else f"{value:.1f}"
