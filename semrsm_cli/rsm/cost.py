"""What an RSM will cost, told before it is begun."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.arrays import as_array
from semrsm_cli.rsm.centering import Pooled, Representations
from semrsm_cli.rsm.listed import check_columns, n_listed
from semrsm_cli.rsm.locality import resolve_unit
from semrsm_cli.rsm.matcher import DEFAULT_MATCHER, Invariance, Matcher, PairMatcher
from semrsm_cli.rsm.plan import Plan, check_shapes, load_float32
from semrsm_cli.rsm.threads import single_threaded_blas

__all__ = ["CostEstimate", "estimate_cost"]

_TIMED_SECONDS = 0.5  # after which no further pairs are timed


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the inner products of some images will cost."""

    pairs: int
    """Pairs to compute."""
    seconds: float
    """Seconds that they will take, with all threads."""
    memory_bytes: int
    """Memory that all threads take together beside x and y, and beside the result; tiles that wait included."""
    disk_bytes: int
    """Bytes of all tiles on disk, and of the result in memory."""
    kernel_bytes: int
    """Memory that `kernel` takes beside that result: an RSM, and as much again where `rbf` looks for its median."""
    read_bytes: int
    """Bytes of images that are read, since every tile reads its own: traffic where tiles are computed elsewhere."""


def estimate_cost(
    x: Representations,
    y: Representations | None = None,
    *,
    invariance: Invariance | str = Invariance.permutation,
    matcher: Matcher = DEFAULT_MATCHER,
    grid: tuple[int, int] | None = None,
    grid_y: tuple[int, int] | None = None,
    locality: float = 0.0,
    unit: float | None = None,
    threads: int | None = None,
    memory_gib: float | None = None,
    pairs: NDArray[np.integer] | None = None,
) -> CostEstimate:
    """Estimate the cost of `gram` with the same arguments, from the time that a few pairs of the images take.

    Args:
        x: Representations [n, s, c].
        y: Representations [m, s, c]; None: x with itself.
        invariance: Which rearrangements are allowed, or `maxsim`.
        matcher: How `permutation` is solved.
        grid: Height and width of the positions, which `translation` and `locality` need.
        grid_y: The same of y, where it is another.
        locality: What it costs to move a position.
        unit: What that is measured in; None: the mean squared norm of the concept vectors of the images that are timed.
        threads: Threads; None: one per core that this process may use.
        memory_gib: Memory that all threads together may take beside x and y; None: half of what is free.
        pairs: For each image of x those of y that it is compared with [n, k], as `gram` takes them; None: all.

    Returns:
        Pairs, seconds, and bytes of memory and disk.

    Raises:
        ValueError: As `gram`, but that x and y are not read as a whole.

    Example:
        >>> estimate_cost(np.ones((10, 4, 3))).pairs
        55
    """
    x, y = as_array(x), as_array(y)
    check_shapes(x, y, unequal_sizes=True)
    pair_matcher = PairMatcher(Invariance(invariance), matcher, grid, locality, grid_y=grid_y)
    if pair_matcher.invariance is Invariance.pooled:
        x, y = Pooled(x), None if y is None else Pooled(y)
    plan = Plan.of(x, y, pair_matcher, threads, memory_gib)
    check_columns(pairs, plan.n, plan.m, plan.symmetric)
    s = x.shape[1]
    block = pair_matcher.block(s) if pair_matcher.matrix_size(s) else plan.piece_size
    count = min(plan.piece_size, plan.n, plan.m, block)
    if pairs is not None:
        plan = replace(plan, m=pairs.shape[1])
    images_read = sum(sum(tile.shape) if pairs is None else math.prod(tile.shape) for tile in plan.tiles())
    n_pairs = sum(tile.n_pairs for tile in plan.tiles()) if pairs is None else n_listed(pairs)
    left = load_float32(x, 0, count)
    right = load_float32(x, plan.n - count, count) if y is None else load_float32(y, 0, count)
    if pair_matcher.needs_unit:
        squares = np.einsum("nsc,nsc->n", right, right, dtype=np.float64)
        pair_matcher = replace(pair_matcher, unit=resolve_unit(unit, squares, right.shape[1]))
    with single_threaded_blas():
        seconds = _seconds_per_pair(pair_matcher, left, right)
    matrix = 8 * plan.n * plan.m
    read = images_read * s * x.shape[2] * np.dtype(x.dtype).itemsize
    return CostEstimate(n_pairs, seconds * n_pairs / plan.threads, plan.memory, 2 * matrix, 2 * matrix, read)


def _seconds_per_pair(pair_matcher: PairMatcher, left: Any, right: Any) -> float:
    """Time pairs until the clock can be trusted; the first call, which compiles, does not count unless it is slow."""
    one = np.ones((1, 1), bool)
    start = time.perf_counter()
    pair_matcher.products(left[:1], right[:1], one)
    first = time.perf_counter() - start
    start = time.perf_counter()
    pair_matcher.products(left[:1], right[:1], one)
    single = time.perf_counter() - start
    n = left.shape[0] * right.shape[0]
    if n == 1 or single * n > 20 * _TIMED_SECONDS:
        return min(first, single)
    mask = np.ones((left.shape[0], right.shape[0]), bool)
    start, rounds = time.perf_counter(), 0
    while rounds == 0 or time.perf_counter() - start < _TIMED_SECONDS:
        pair_matcher.products(left, right, mask)
        rounds += 1
    return (time.perf_counter() - start) / (rounds * n)
