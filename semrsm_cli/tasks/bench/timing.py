"""Time the methods on the same pairs of images, on one core."""

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from semrsm_cli.config import BenchConfig
from semrsm_cli.matching import Matching, Method, compile_all, match
from semrsm_cli.pipeline.grams import Comparison
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report.progress import log

__all__ = ["ALIGNED", "Cell", "Contender", "align", "draw_pairs", "one_core", "time_methods", "warm_up"]

_MATRIX_FREE = frozenset({Method.optimal, Method.batch_optimal, Method.diagonal})
ALIGNED = (Method.batch_optimal, Method.topk_greedy, Method.greedy, Method.diagonal)


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

    def add(self, pair: tuple[int, int], seconds: float, matching: Matching) -> None:
        """Count a pair."""
        self.seconds[pair], self.matchings[pair] = seconds, matching


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


def _contenders(config: BenchConfig, positions: int) -> list[Contender]:
    """The methods to time at a size; Batch-Optimal once per batch length."""
    contenders = []
    for method in config.methods:
        if positions > config.largest_matrix and method not in _MATRIX_FREE:
            continue
        lengths = config.batches if method is Method.batch_optimal else [None]
        contenders += [Contender(method, length) for length in lengths]
    return contenders


def draw_pairs(n: int, config: BenchConfig) -> list[tuple[int, int]]:
    """Pairs of different images in a seeded order."""
    pairs = list(itertools.combinations(range(n), 2))
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    return [pairs[i] for i in order[: config.n_pairs]]


def warm_up(config: BenchConfig) -> None:
    """Compile and load every method once."""
    compile_all()
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    for contender in _contenders(config, len(x)):
        _match_by(contender, x @ x.T, x, x, config)


def _match_by(
    contender: Contender, affinity: np.ndarray | None, x: np.ndarray, y: np.ndarray, config: BenchConfig
) -> Matching:
    """One matching by one contender."""
    return match(
        affinity,
        method=contender.method,
        tolerance=config.tolerance,
        batch=contender.batch or 1,
        n_exact=config.n_exact,
        x=x,
        y=y,
    )


def time_methods(layer: Layer, config: BenchConfig, pairs: list[tuple[int, int]]) -> dict[Contender, Cell]:
    """Time all contenders at one layer, pair by pair in turn, until each has used up its time."""
    positions = layer.x.shape[1]
    maps = _center_maps(layer, config)
    cells = {contender: Cell() for contender in _contenders(config, positions)}
    log(f"timing {len(cells)} methods at s = {positions}")
    for i, j in pairs:
        running = [c for c, cell in cells.items() if sum(cell.seconds.values()) < config.seconds_per_cell]
        affinity = maps[i] @ maps[j].T if running and positions <= config.largest_matrix else None
        for contender in running:
            start = time.perf_counter()
            matching = _match_by(contender, affinity, maps[i], maps[j], config)
            cells[contender].add((i, j), time.perf_counter() - start, matching)
    return cells


def align(
    layers: dict[str, Layer],
    timed: dict[str, dict[Contender, Cell]],
    config: BenchConfig,
    pairs: list[tuple[int, int]],
) -> dict[str, dict[Contender, Cell]]:
    """The approximations and the optimum at every layer that fits a matrix; timed layers are not matched again."""
    only = [Contender(Method.optimal), *(c for c in _contenders(config, 1) if c.method in ALIGNED)]
    aligned = {}
    for name, layer in layers.items():
        if layer.x.shape[1] > config.largest_matrix:
            continue
        if name in timed:
            aligned[name] = timed[name]
        else:
            maps = _center_maps(layer, config)
            cells: dict[Contender, Cell] = defaultdict(Cell)
            for i, j in pairs:
                affinity = maps[i] @ maps[j].T
                for contender in only:
                    cells[contender].matchings[i, j] = _match_by(contender, affinity, maps[i], maps[j], config)
            aligned[name] = dict(cells)
    return aligned


def _center_maps(layer: Layer, config: BenchConfig) -> np.ndarray:
    """All images of a layer [n, s, c], less their mean."""
    return np.asarray(Comparison.within(layer, config.centering).x[0 : layer.x.shape[0]])
