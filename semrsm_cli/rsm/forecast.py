"""What an RSM will cost, told before it is begun."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from semrsm_cli.matching import Method
from semrsm_cli.rsm.centering import Representations
from semrsm_cli.rsm.pairs import Invariance, Rule
from semrsm_cli.rsm.tiles import Plan, images
from semrsm_cli.rsm.workers import single_threaded_blas

__all__ = ["Forecast", "forecast"]

TIMED_SECONDS = 0.5  # after which no further pairs are timed


@dataclass(frozen=True, slots=True)
class Forecast:
    """Pairs to compute, seconds they will take, bytes of memory beside x and y, and bytes of all tiles on disk."""

    pairs: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


def forecast(
    x: Representations,
    y: Representations | None = None,
    *,
    invariance: Invariance | str = Invariance.permutation,
    matching: Method | str = Method.optimal,
    tolerance: float = 1e-4,
    batch: int = 512,
    k: int = 128,
    grid: tuple[int, int] | None = None,
    workers: int | None = None,
    memory_gib: float | None = None,
    **_: Any,
) -> Forecast:
    """Foretell the cost of `gram` with the same arguments, from the time that a few pairs of real images take."""
    rule = Rule(Invariance(invariance), Method(matching), tolerance, batch, k, grid)
    plan = Plan.of(x, y, rule, workers, memory_gib)
    pairs = sum(tile.n_pairs for tile in plan.tiles())
    side = min(plan.edge, plan.n, plan.m, rule.block(x.shape[1]) if rule.side(x.shape[1]) else plan.edge)
    left = images(x, 0, side)
    right = images(x, plan.n - side, side) if y is None else images(y, 0, side)
    with single_threaded_blas():
        seconds = seconds_per_pair(rule, left, right)
    return Forecast(pairs, seconds * pairs / plan.workers, plan.memory, 2 * 8 * plan.n * plan.m)


def seconds_per_pair(rule: Rule, left: Any, right: Any) -> float:
    """Time pairs until the clock can be trusted; the first call, which compiles, does not count unless it is slow."""
    one = np.ones((1, 1), bool)
    start = time.perf_counter()
    rule.products(left[:1], right[:1], one)
    first = time.perf_counter() - start
    start = time.perf_counter()
    rule.products(left[:1], right[:1], one)
    single = time.perf_counter() - start
    n = left.shape[0] * right.shape[0]
    if n == 1 or single * n > 20 * TIMED_SECONDS:
        return min(first, single)
    wanted = np.ones((left.shape[0], right.shape[0]), bool)
    start, rounds = time.perf_counter(), 0
    while rounds == 0 or time.perf_counter() - start < TIMED_SECONDS:
        rule.products(left, right, wanted)
        rounds += 1
    return (time.perf_counter() - start) / (rounds * n)
