"""Matched inner products of all pairs of images, tile by tile."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.arrays import as_array
from semrsm_cli.rsm.centering import Centered, Pooled, Representations
from semrsm_cli.rsm.listed import check_columns, sort_columns
from semrsm_cli.rsm.locality import resolve_unit
from semrsm_cli.rsm.matcher import DEFAULT_MATCHER, Invariance, Matcher, PairMatcher
from semrsm_cli.rsm.plan import Matrix, Plan, Tile, TileStore, check_shapes, load_float32, squared_norms
from semrsm_cli.rsm.threads import run, single_threaded_blas
from semrsm_cli.rsm.work import Engine, TileWork

__all__ = ["Gram", "gram"]

_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gram:
    """Matched inner products of images, of which `kernel` makes RSMs; all in squared units of the features.

    Example:
        >>> g = gram(np.array([[[1.0], [2.0]], [[2.0], [1.0]]]))
        >>> g.inner
        array([[5., 5.],
               [5., 5.]])
        >>> g.rows(1, 2).inner
        array([[5.]])
    """

    inner: Any
    """The inner products [n, m], in memory or on disk: see `gram`."""
    bound: Any
    """Upper bounds of what a better matching could reach [n, m]."""
    sq_x: _Values
    """What each image of x has with itself [n]: its squared norm; for `maxsim` the best partners in itself, and with a
    floor what its positions are worth above it."""
    sq_y: _Values
    """The same of y [m]."""
    symmetric: bool
    """Whether x was compared with itself."""
    columns: NDArray[np.intp] | None = None
    """Of a list of pairs the images of y [n, k] that `inner` and `bound` [n, k] are with, in ascending order, -1 where
    there are fewer; None where all pairs are there."""

    def rows(self, start: int, stop: int, *, bounds: bool = True) -> "Gram":
        """Read some rows into memory; of x with itself, their columns from `start` on.

        The inner products are rounded to float32: what is read by rows was once kept on disk so, and the numbers made
        from it shall stay the same.

        Args:
            start: First row.
            stop: The row behind the last.
            bounds: Read the upper bounds, too; otherwise they are infinite.

        Returns:
            The Gram [stop - start, m], or [stop - start, n - start] of x with itself.
        """
        inner = self._block(self.inner, start, stop).astype(np.float32).astype(np.float64)
        sq_y = self.sq_y[start:] if self.symmetric else self.sq_y
        bound = np.maximum(self._block(self.bound, start, stop), inner) if bounds else np.full_like(inner, np.inf)
        columns = None if self.columns is None else self.columns[start:stop]
        return Gram(inner, bound, self.sq_x[start:stop], sq_y, False, columns)

    def _block(self, matrix: Matrix, start: int, stop: int) -> _Values:
        """Some rows of a matrix; of x with itself, the square at their beginning is made whole."""
        if not self.symmetric:
            return np.array(matrix[start:stop], np.float64)
        block = np.array(matrix[start:stop, start : matrix.shape[1]], np.float64)
        square = block[:, : len(block)]
        below = np.tri(len(block), k=-1, dtype=bool)
        square[below] = square.T[below]
        np.fill_diagonal(square, self.sq_x[start:stop])
        return block


def gram(
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
    tiles: TileStore | None = None,
    in_memory: bool = True,
    progress: Callable[[int], None] | None = None,
    engine: Engine | None = None,
) -> Gram:
    """Compute the inner products of all pairs of images, each after the best rearrangement of positions.

    `inner[i, j] = sum_s <x_i,s, (P y_j)_s>` (Eq. 3), where P maximises it (Eq. 4) among the rearrangements that the
    invariance allows (Algorithm 1). `maxsim` is no rearrangement: every concept vector takes its best partner, and
    `inner` is the mean of both directions, `(sum_s max_t <x_i,s, y_j,t> + sum_t max_s <x_i,s, y_j,t>) / 2`.

    With `locality` a matched pair of positions costs `locality * unit * |p_i - p_j|^2`, where p are their places in
    diagonals of the map, and P maximises what is left: 0 is `permutation`, and large values end in `none`.

    With a floor t (`matcher.floor`, in the same unit) only pairs of positions count that are worth more:
    `inner[i, j] = max_P sum_s max(<x_i,s, (P y_j)_s>, t) - t s`. The images of y may have another number of positions
    s' than those of x: each position of the smaller image has a partner of its own in the larger one.

    Nothing is centred here: `rsm` does that, `x - x.mean(axis=0)` is its default.

    Products are computed in float32 and summed in float64. The result does not depend on the number of threads, nor on
    whether tiles were taken from a store, nor on where they were computed.

    Args:
        x: Representations [n, s, c]: an array, a tensor, a list of either, or anything with shape, dtype and slices
            that `np.asarray` takes.
        y: Representations [m, s', c]; None: x with itself, of which only one half is computed, and no diagonal. For
            `permutation` by the method `optimal`, and for `pooled`, s' may differ from s.
        invariance: Which rearrangements are allowed, or `maxsim`.
        matcher: How `permutation` is solved.
        grid: Height and width of the positions, which `translation` and `locality` need.
        grid_y: The same of y, where it is another.
        locality: What it costs to move a position, for `permutation`.
        unit: What that is measured in: the mean squared norm of a concept vector. None: that of all images of y, or of
            x with itself, so that it does not depend on which pairs are computed.
        threads: Threads; None: one per core that this process may use.
        memory_gib: Memory that all threads together may take beside x and y; None: half of what is free.
        pairs: For each image of x those of y that it is compared with [n, k], -1 where there are fewer; None: all. The
            result is of these alone, [n, k], in ascending order of `Gram.columns`.
        tiles: Where finished tiles are kept, and taken from.
        in_memory: Hold the result in memory. Otherwise it consists of the arrays of `tiles`, which of x with itself
            have something only above the diagonal: read them by `Gram.rows`.
        progress: Called with the number of pairs that were finished since the last time.
        engine: Computes the tiles that `tiles` lacks somewhere else, and puts them there; None: threads, here.

    Returns:
        Inner products, their upper bounds and those of each image with itself, in squared units of the features.

    Raises:
        ValueError: If x and y are empty, not finite, beyond the range of float32, all equal to the mean that was
            subtracted, or do not fit together; a setting does not fit them; or the result is too large to be held.

    Example:
        >>> x, y = np.array([[[1.0], [2.0]]]), np.array([[[3.0], [1.0]]])
        >>> gram(x, y).inner, gram(x, y, invariance="none").inner
        (array([[7.]]), array([[5.]]))
    """
    if tiles is None and not (in_memory and engine is None):
        raise ValueError(f"{'engine' if in_memory else 'in_memory=False'} needs tiles, a store that holds the result")
    x, y = as_array(x), as_array(y)
    check_shapes(x, y, unequal_sizes=True)
    given_x, given_y = x, y
    pair_matcher = PairMatcher(Invariance(invariance), matcher, grid, locality, grid_y=grid_y)
    if pair_matcher.invariance is Invariance.pooled:  # read once: a tile needs its images again and again
        x = Pooled(x)[0 : x.shape[0]]
        y = None if y is None else Pooled(y)[0 : y.shape[0]]
    plan = Plan.of(x, y, pair_matcher, threads, memory_gib)
    check_columns(pairs, plan.n, plan.m, plan.symmetric)
    sq_x = _checked_squares(x, given_x, "x")
    sq_y = sq_x if y is None else _checked_squares(y, given_y, "y")
    if pair_matcher.needs_unit:
        pair_matcher = replace(pair_matcher, unit=resolve_unit(unit, sq_y, (x if y is None else y).shape[1]))
    if pair_matcher.has_own_norms:
        sq_x = _self_products(x, pair_matcher, plan)
        sq_y = sq_x if y is None else _self_products(y, pair_matcher, plan)
    columns = None if pairs is None else sort_columns(pairs)
    if columns is not None:
        plan = replace(plan, m=columns.shape[1])
    if tiles is not None:
        tiles.open((plan.n, plan.m), plan.tile_size)
    if tiles is not None and not in_memory:
        result = Gram(tiles.inner, tiles.bound, sq_x, sq_y, y is None, columns)
    else:
        result = Gram(*_reserve(plan.n, plan.m), sq_x, sq_y, y is None, columns)
    work = TileWork(x, y, pair_matcher, plan.piece_size, columns)
    for tile, inner, bound in _finished_tiles(work, plan, tiles, engine, progress):
        if in_memory:
            _place(result, tile, inner, bound)
    if y is None and in_memory:
        np.fill_diagonal(result.inner, sq_x)
        np.fill_diagonal(result.bound, sq_x)
    return result


def _checked_squares(x: Representations, given: Representations | None, name: str) -> _Values:
    """The squared norms of the images of x [n, s, c], which must be fit to be compared."""
    squares = squared_norms(x, name)
    _check_left(given, squares, name)
    return squares


def _self_products(x: Representations, pair_matcher: PairMatcher, plan: Plan) -> _Values:
    """What each image of x [n, s, c] has with itself where that is not its squared norm."""
    products = np.empty(x.shape[0])
    parts = range(0, len(products), plan.piece_size)
    with single_threaded_blas():
        for start, part in run(
            lambda start: pair_matcher.self_products(load_float32(x, start, plan.piece_size)), parts, plan.threads
        ):
            products[start : start + len(part)] = part
    return products


def _check_left(x: Representations | None, squares: _Values, name: str) -> None:
    """Raise ValueError where centring made all images zeros, whose similarities would be zeros, too."""
    if isinstance(x, Centered) and x.mean is not None and not squares.any():
        raise ValueError(
            f"centring leaves nothing of {name} {list(x.shape)}, since all its images equal the mean; use "
            "centering=none, or images that differ"
        )


def _reserve(n: int, m: int) -> tuple[_Values, _Values]:
    """Two matrices [n, m] to be filled."""
    try:
        return np.empty((n, m)), np.empty((n, m))
    except MemoryError as error:
        raise ValueError(
            f"the inner products of {n:,} x {m:,} images and their bounds take {2 * 8 * n * m / 2**30:,.0f} GiB, more "
            "than there is memory; take fewer images"
        ) from error


def _finished_tiles(
    work: TileWork,
    plan: Plan,
    tiles: TileStore | None,
    engine: Engine | None,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[Tile, _Values, _Values]]:
    """Each tile with its inner products and bounds: those in the store first, then the others, as they are computed."""
    advance = progress or (lambda _: None)
    missing = []
    for tile in plan.tiles():
        known = None if tiles is None else tiles.load(tile)
        if known is None:
            missing.append(tile)
        else:
            advance(tile.n_pairs)
            yield tile, *known
    if tiles is not None and engine is not None:
        for tile in engine(work, missing):
            known = tiles.load(tile)
            if known is None:
                raise RuntimeError(f"{tile} is said to be finished, but the store does not hold it")
            advance(tile.n_pairs)
            yield tile, *known
        return
    for tile, inner, bound in work.compute(missing, plan.threads, progress):
        if tiles is not None:
            tiles.save(tile, inner, bound)
        yield tile, inner, bound


def _place(result: Gram, tile: Tile, inner: _Values, bound: _Values) -> None:
    """Put a finished tile where it belongs, and its mirror image where x is compared with itself."""
    rows, columns = tile.slices
    mask = tile.mask()
    for target, part in ((result.inner, inner), (result.bound, bound)):
        target[rows, columns][mask] = part[mask]
        if tile.symmetric:
            target[columns, rows][mask.T] = part.T[mask.T]
