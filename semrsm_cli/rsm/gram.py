"""Matched inner products of all pairs of images, tile by tile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching import Method
from semrsm_cli.rsm.centering import Representations
from semrsm_cli.rsm.pairs import Invariance, Rule
from semrsm_cli.rsm.tiles import Plan, Tile, TileStore, images, squared_norms
from semrsm_cli.rsm.workers import run, single_threaded_blas

__all__ = ["Gram", "gram"]


@dataclass(frozen=True, slots=True)
class Gram:
    """Matched inner products `inner` [n, m] with upper bounds, and the squared norms of the images [n], [m]."""

    inner: NDArray[np.float64]
    bound: NDArray[np.float64]
    sq_x: NDArray[np.float64]
    sq_y: NDArray[np.float64]
    symmetric: bool


def gram(
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
    pairs: NDArray[np.bool_] | None = None,
    tiles: TileStore | None = None,
    progress: Callable[[int], None] | None = None,
) -> Gram:
    """Inner products of all pairs of images, each after the best rearrangement of positions (Algorithm 1).

    Products are computed in float32 and summed in float64. The result does not depend on the number of workers, nor on
    whether tiles were taken from a store.

    Args:
        x: Representations [n, s, c]: an array, or anything with shape, dtype and slices that `np.asarray` takes.
        y: Representations [m, s, c]; None: x with itself, of which only one half is computed, and no diagonal.
        invariance: Which rearrangements are allowed.
        matching: How `permutation` is solved.
        tolerance: The largest certified gap of `optimal`, relative to the value.
        batch: Positions in a batch of `batch_optimal`.
        k: Positions that `topk_greedy` matches optimally.
        grid: Height and width of the positions, which `translation` needs.
        workers: Threads; None: one per core that this process may use.
        memory_gib: Memory that all workers together may take beside x and y; None: half of what is free.
        pairs: Which pairs [n, m] of x and y to compute; None: all. The others have 0.
        tiles: Where finished tiles are kept, and taken from.
        progress: Called after each tile with the number of its pairs.

    Raises:
        ValueError: If x and y are empty, not finite or do not fit together, or a setting does not fit them.
    """
    rule = Rule(Invariance(invariance), Method(matching), tolerance, batch, k, grid)
    plan = Plan.of(x, y, rule, workers, memory_gib)
    if pairs is not None and (y is None or pairs.shape != (plan.n, plan.m)):
        shape = None if y is None else (plan.n, plan.m)
        raise ValueError(f"pairs of x and y must be {shape or 'left out without y'}, got {pairs.shape}")
    sq_x = squared_norms(x, "x")
    sq_y = sq_x if y is None else squared_norms(y, "y")
    result = Gram(np.empty((plan.n, plan.m)), np.empty((plan.n, plan.m)), sq_x, sq_y, y is None)

    def finish(tile: Tile, inner: NDArray[np.float64], bound: NDArray[np.float64]) -> None:
        place(result, tile, inner, bound)
        if progress is not None:
            progress(tile.n_pairs)

    missing = []
    for tile in plan.tiles():
        known = None if tiles is None else tiles.load(tile.row, tile.col)
        if known is None or known[0].shape != tile.shape:  # of another shape: from a plan for other settings
            missing.append(tile)
        else:
            finish(tile, *known)

    def compute(tile: Tile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        left = images(x, tile.row, tile.shape[0])
        right = images(x if y is None else y, tile.col, tile.shape[1])
        if pairs is None:
            return rule.products(left, right, tile.wanted())
        return products_of_some(rule, left, right, pairs[tile.slices])

    with single_threaded_blas():
        for tile, (inner, bound) in run(compute, missing, plan.workers):
            if tiles is not None:
                tiles.save(tile.row, tile.col, inner, bound)
            finish(tile, inner, bound)
    if y is None:
        np.fill_diagonal(result.inner, sq_x)
        np.fill_diagonal(result.bound, sq_x)
    return result


def place(result: Gram, tile: Tile, inner: NDArray[np.float64], bound: NDArray[np.float64]) -> None:
    """Put a finished tile where it belongs, and its mirror image where x is compared with itself."""
    rows, columns = tile.slices
    wanted = tile.wanted()
    for target, part in ((result.inner, inner), (result.bound, bound)):
        target[rows, columns][wanted] = part[wanted]
        if tile.symmetric:
            target[columns, rows][wanted.T] = part.T[wanted.T]


def products_of_some(
    rule: Rule, left: NDArray[np.float32], right: NDArray[np.float32], wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inner products and bounds of a few pairs of a tile, row by row; in blocks most would be multiplied in vain."""
    inner, bound = np.zeros(wanted.shape), np.zeros(wanted.shape)
    for i in np.flatnonzero(wanted.any(axis=1)):
        columns = np.flatnonzero(wanted[i])
        part = rule.products(left[i : i + 1], right[columns], np.ones((1, columns.size), bool))
        inner[i, columns], bound[i, columns] = part[0][0], part[1][0]
    return inner, bound
