"""Time the methods on the same pairs of images, on one core, and compare what they reach with the optimum."""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from semrsm_cli.config import BenchConfig
from semrsm_cli.matching import Method, assess, check_pair, permute
from semrsm_cli.matching.affinities import Affinities
from semrsm_cli.matching.optimal import compile_all
from semrsm_cli.pipeline.grams import Comparison
from semrsm_cli.pipeline.sources import Layer
from semrsm_cli.report.progress import log

__all__ = [
    "ALIGNED",
    "OPTIMUM",
    "Cell",
    "Contender",
    "Measurements",
    "Score",
    "draw_pairs",
    "list_contenders",
    "measure_methods",
    "one_core",
    "warm_up",
]

_MATRIX_FREE = frozenset({Method.optimal, Method.batch_optimal, Method.diagonal})
ALIGNED = (Method.batch_optimal, Method.topk_greedy, Method.greedy, Method.diagonal)
_Pair = tuple[int, int]


@dataclass(frozen=True)
class Contender:
    """A method, with a batch length of Batch-Optimal or an n_exact of TopK-Greedy."""

    method: Method
    parameter: int | None = None

    @property
    def label(self) -> str:
        """Name in tables and figures."""
        return str(self.method) if self.parameter is None else f"{self.method}({self.parameter})"

    @property
    def batch(self) -> int | None:
        """The batch length, where the method has one."""
        return self.parameter if self.method is Method.batch_optimal else None

    @property
    def n_exact(self) -> int | None:
        """How many positions are matched optimally, where the method has such a number."""
        return self.parameter if self.method is Method.topk_greedy else None


OPTIMUM = Contender(Method.optimal)


class Score(NamedTuple):
    """Value and upper bound of a matching."""

    value: float
    bound: float


@dataclass
class Cell:
    """What one contender did at one layer: the seconds of the pairs that were timed, the scores of all."""

    seconds: dict[_Pair, float] = field(default_factory=dict)
    scores: dict[_Pair, Score] = field(default_factory=dict)


@dataclass
class Measurements:
    """What all contenders did at one layer; the seconds of the timed pairs' affinities, where they were built."""

    cells: dict[Contender, Cell]
    affinity_seconds: list[float] = field(default_factory=list)


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


def list_contenders(config: BenchConfig, positions: int) -> list[Contender]:
    """The methods to time at a size; Batch-Optimal once per batch length, TopK-Greedy once per n_exact."""
    parameters: dict[Method, list[int]] = {Method.batch_optimal: config.batches, Method.topk_greedy: config.n_exact}
    contenders: list[Contender] = []
    for method in config.methods:
        if positions > config.largest_matrix and method not in _MATRIX_FREE:
            continue
        contenders += [Contender(method, parameter) for parameter in parameters.get(method, [None])]
    return contenders


def draw_pairs(n: int, config: BenchConfig) -> list[_Pair]:
    """Pairs of different images in a seeded order."""
    pairs = list(itertools.combinations(range(n), 2))
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    return [pairs[i] for i in order[: config.n_pairs]]


def warm_up(config: BenchConfig) -> None:
    """Compile and load every method once."""
    compile_all()
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    for contender in list_contenders(config, len(x)):
        for affinity in (x @ x.T, None) if contender.method in _MATRIX_FREE else (x @ x.T,):
            _match_timed(contender, check_pair(affinity, x, x), config)


def _match_timed(contender: Contender, pair: Affinities, config: BenchConfig) -> tuple[float, Score]:
    """How long it takes to find the permutation alone, and what that is worth."""
    parameters = {"batch": contender.batch or 1, "n_exact": contender.n_exact or 1}
    start = time.perf_counter()
    permutation = permute(pair, contender.method, tolerance=config.tolerance, **parameters)
    seconds = time.perf_counter() - start
    matching = assess(pair, contender.method, permutation)
    return seconds, Score(matching.value, matching.bound)


def measure_methods(layer: Layer, config: BenchConfig, pairs: list[_Pair], *, timed: bool) -> Measurements:
    """Match the pairs at one layer by all contenders, one pair after the other.

    Timing ends when the slowest contender has used up its time: all are timed on the same pairs. The approximations and
    the optimum then go on alone to the last pair, so that what they reach depends neither on the machine nor on the
    rivals. Each pair is matched in another order, since who comes first finds the affinity in the cache.

    Args:
        layer: Representations of the images.
        config: Settings.
        pairs: The pairs, in order.
        timed: Whether this layer is timed; else only the approximations and the optimum run.
    """
    positions = layer.x.shape[1]
    fits = positions <= config.largest_matrix
    cells = {contender: Cell() for contender in list_contenders(config, positions)}
    approximations = [contender for contender in cells if contender.method in ALIGNED]
    if not timed:
        cells = {contender: Cell() for contender in (OPTIMUM, *approximations) if approximations and fits}
    compared = [OPTIMUM, *approximations] if approximations and fits and OPTIMUM in cells else []
    result = Measurements(cells)
    if timed:
        log(f"timing {len(cells)} methods at s = {positions}")
    maps = _center_maps(layer, config) if cells else None
    for number, (i, j) in enumerate(pairs):
        in_time = timed and all(sum(cell.seconds.values()) < config.seconds_per_cell for cell in cells.values())
        running = [*cells] if in_time else compared
        if maps is None or not running:
            break
        start = time.perf_counter()
        affinity = maps[i] @ maps[j].T if fits else None
        if in_time and fits:
            result.affinity_seconds.append(time.perf_counter() - start)
        pair = check_pair(affinity, maps[i], maps[j])
        for k in np.random.default_rng([config.seed, number]).permutation(len(running)):
            seconds, cells[running[k]].scores[i, j] = _match_timed(running[k], pair, config)
            if in_time:
                cells[running[k]].seconds[i, j] = seconds
    return result


def _center_maps(layer: Layer, config: BenchConfig) -> np.ndarray:
    """All images of a layer [n, s, c], less their mean."""
    return np.asarray(Comparison.within(layer, config.centering).x[0 : layer.x.shape[0]])
