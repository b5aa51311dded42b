"""How the images of a pair are compared: the inner products of [r, s, c] and [q, s, c] after rearrangement.

What is compiled is imported where it is called: settings, and the help on them, need not wait for numba.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.matching import Matching, Method, check_partial, check_settings, match, match_tile
from semrsm_cli.matching.affinities import MAX_MATRIX_BYTES, PRODUCT_BYTES, Affinities
from semrsm_cli.rsm.locality import CHANNELS, MAX_LOCALITY_FLOAT32, append_places, check_locality
from semrsm_cli.rsm.translation import best_shifts

__all__ = ["DEFAULT_MATCHER", "Invariance", "Matcher", "PairMatcher", "check_method"]

_Images = NDArray[np.float32]
_Values = NDArray[np.float64]


class Invariance(StrEnum):
    """Which rearrangements of the positions an RSM does not see."""

    none = "none"
    translation = "translation"
    permutation = "permutation"
    pooled = "pooled"  # one mean vector an image, so that no positions are left
    maxsim = "maxsim"  # every concept vector with its best partner, which others may have too


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """How the positions of two images are matched.

    Raises:
        ValueError: If a setting is out of its range.

    Example:
        >>> Matcher(tolerance=1e-6).match([[1, 5], [2, 3]]).value
        7.0
    """

    method: Method = Method.optimal
    """Matching method; `optimal` certifies its value."""
    tolerance: float = 1e-4
    """Largest certified gap of `optimal`, relative to the value."""
    batch: int = 512
    """Positions per batch of `batch_optimal`."""
    n_exact: int = 128
    """Positions that `topk_greedy` matches optimally."""
    floor: float | None = None
    """What two positions must be worth to be matched, in mean squared norms of a concept vector; by default all are
    matched. 0: no pair counts against, after centring."""

    def __post_init__(self) -> None:
        if self.method not in set(Method):
            raise ValueError(f"method must be one of {', '.join(Method)}, got {self.method}")
        check_settings(self.tolerance, self.batch, self.n_exact)
        check_partial(self.method, self.floor)

    def floor_in(self, unit: float) -> float:
        """The floor in units of the affinity, where a concept vector has this mean squared norm; -infinity for none."""
        return -math.inf if self.floor is None else self.floor * unit

    def match(
        self,
        affinity: ArrayLike | None,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        unit: float = 1.0,
    ) -> Matching:
        """Match one pair of images with these settings.

        Args:
            affinity: Inner products [s, s]; None where x and y stand for it.
            x: Concept vectors [s, c] of the first image, which the methods that go by norms need.
            y: The same of the second image.
            unit: The mean squared norm of a concept vector, which the floor is a multiple of.

        Returns:
            The permutation, its value and an upper bound.

        Raises:
            ValueError: As `semrsm_cli.match`.
        """
        return match(
            affinity,
            method=self.method,
            tolerance=self.tolerance,
            batch=self.batch,
            n_exact=self.n_exact,
            floor=self.floor_in(unit),
            x=x,
            y=y,
        )


DEFAULT_MATCHER = Matcher()
_APPROXIMATE = frozenset({Method.batch_optimal, Method.topk_greedy, Method.greedy, Method.diagonal})
_ROW_BY_ROW = frozenset({Method.optimal, Method.topk_greedy, Method.greedy})  # build no affinity that is too large
_SORTED = frozenset({Method.batch_optimal, Method.topk_greedy, Method.greedy})  # copy the vectors, sorted by norm
_SOLVER_BYTES = {  # what the solvers of others take for each two positions, beside the affinity
    **{Method.scipy: 16, Method.lapjv: 4, Method.lapx: 8, Method.lapcpp: 4},
    **{Method.ortools: 70, Method.ortools_x1000: 70, Method.greedy_upstream: 8},
}


def check_method(method: Method | str) -> None:
    """Raise ValueError where a method does not look at all affinities, and so not at what displacements cost."""
    if method in _APPROXIMATE:
        raise ValueError(f"locality needs a matching that weighs every pair of positions, got {method}; use optimal")


@dataclass(frozen=True, slots=True)
class PairMatcher:
    """What is computed for the pairs of a tile, under an invariance.

    `grid` is what `translation` and `locality` need, `grid_y` that of the other side where it is another; `unit` is the
    mean squared norm of a concept vector, of which the cost of displacement and the floor are multiples.
    """

    invariance: Invariance
    matcher: Matcher = DEFAULT_MATCHER
    grid: tuple[int, int] | None = None
    locality: float = 0.0
    unit: float = 1.0
    grid_y: tuple[int, int] | None = None

    @property
    def grids(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """The grids of both sides."""
        return self.grid, self.grid_y or self.grid

    @property
    def takes_unequal_sizes(self) -> bool:
        """Whether images may have other numbers of positions than those that they are compared with."""
        if self.invariance is Invariance.pooled:
            return True
        return self.invariance is Invariance.permutation and self.matcher.method == Method.optimal

    def check(self, s: int, t: int) -> None:
        """Raise ValueError where the grids do not fit s and t positions, or locality the rest."""
        check_locality(self.locality)
        if self.locality and self.invariance is not Invariance.permutation:
            raise ValueError(f"locality={self.locality} goes with permutation, got invariance={self.invariance}")
        if self.locality:
            check_method(self.matcher.method)
        if not self.locality and self.invariance is not Invariance.translation:
            return
        needs = "locality" if self.locality else "translation"
        for name, grid, size in zip(("grid", "grid_y"), self.grids, (s, t), strict=True):
            if grid is None or math.prod(grid) != size:
                raise ValueError(f"{needs} needs the grid (height, width) of the {size} positions, got {name}={grid}")

    def matrix_size(self, s: int) -> int:
        """Positions on a side of the affinities that are looked at; 0 where none are."""
        if self.invariance is Invariance.maxsim:
            return s
        if self.invariance is not Invariance.permutation or self.matcher.method == Method.diagonal:
            return 0
        return min(s, self.matcher.batch) if self.matcher.method == Method.batch_optimal else s

    def block(self, s: int) -> int:
        """Images on a side of one matrix product, so that it stays within the cache."""
        size = self.matrix_size(s)
        return max(1, math.isqrt(PRODUCT_BYTES // (4 * size**2))) if size else 1

    def memory(self, tile_size: int, s: int, c: int) -> int:
        """Bytes that one thread takes for a tile of tile_size x tile_size images of s positions and c channels."""
        from semrsm_cli.matching.maxsim import working_bytes
        from semrsm_cli.matching.optimal import PARTS_OF_MATRIX, PARTS_OF_VECTORS

        images = 2 * tile_size * s * c * 4  # both sides
        if self.invariance is Invariance.translation:
            return 4 * images + 2 * 2 * 4 * s * tile_size**2  # spectra; of every pair, its spectrum and its correlation
        if self.invariance is Invariance.maxsim:
            return 2 * images + working_bytes(s, c) + 4 * 8 * tile_size**2
        if self.invariance is Invariance.permutation and self.matcher.method in _SORTED:
            images *= 2
        width = 2 if self.locality > MAX_LOCALITY_FLOAT32 else 1  # of float64
        if self.locality:
            c += CHANNELS
            images += width * 2 * tile_size * s * c * 4
        product = 4 * self.matrix_size(s) ** 2 * min(tile_size, self.block(s)) ** 2
        computed = self.matcher.method in _ROW_BY_ROW and product > MAX_MATRIX_BYTES
        remembered = 4 * s * (c + 3 * (PARTS_OF_VECTORS if computed else PARTS_OF_MATRIX))
        if self._has_floor:
            remembered += 4 * min(s**2, MAX_MATRIX_BYTES // 4)  # columns of a matching that leaves some free
        solver = 0 if computed else product + _SOLVER_BYTES.get(self.matcher.method, 0) * self.matrix_size(s) ** 2
        return images + width * (remembered + solver) + 4 * 8 * tile_size**2

    def products(self, left: _Images, right: _Images, mask: NDArray[np.bool_]) -> tuple[_Values, _Values]:
        """Inner products and upper bounds [r, q] of the pairs in the mask, of left [r, s, c] and right [q, s, c]."""
        from semrsm_cli.matching.approximate import positionwise_inner
        from semrsm_cli.matching.maxsim import max_similarities

        if self.invariance is Invariance.translation:
            assert self.grid is not None  # see `check`
            inner = best_shifts(left, right, self.grid)
            return inner, inner.copy()
        if self.invariance is Invariance.maxsim:
            inner = max_similarities(left, right, mask)
            return inner, inner.copy()
        if self.invariance is not Invariance.permutation:
            inner = positionwise_inner(left, right)
            return inner, inner.copy()
        matcher = self.matcher
        affinities, tolerance = Affinities(left, right), matcher.tolerance
        if self.locality:
            affinities, tolerance = Affinities(*self.localize(left, right)), self._tolerance
        floor = matcher.floor_in(self.unit)
        return match_tile(affinities, mask, matcher.method, tolerance, matcher.batch, matcher.n_exact, floor)

    def match(self, x: NDArray[Any], y: NDArray[Any]) -> Matching:
        """Match the positions of two images x and y [s, c], as `products` does under `permutation`."""
        pair, tolerance = Affinities(x[None], y[None]), self.matcher.tolerance
        if self.locality:
            pair, tolerance = Affinities(*self.localize(x[None], y[None])), self._tolerance
        x, y = pair.left[0], pair.right[0]
        affinity = None if pair.exceed_memory else x @ y.T
        return replace(self.matcher, tolerance=tolerance).match(affinity, x, y, self.unit)

    def localize(self, left: NDArray[Any], right: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Vectors whose inner products are less the cost of displacement, in float64 where that is large."""
        of_left, of_right = self.grids
        assert of_left is not None  # see `check`
        assert of_right is not None
        if self.locality > MAX_LOCALITY_FLOAT32:
            left, right = left.astype(np.float64), right.astype(np.float64)
        return append_places(left, right, (of_left, of_right), self.locality * self.unit)

    @property
    def _tolerance(self) -> float:
        """The tolerance that keeps a gap small against inner products where affinities, with their cost, are large."""
        return self.matcher.tolerance / max(1.0, self.locality / MAX_LOCALITY_FLOAT32)

    @property
    def needs_unit(self) -> bool:
        """Whether `unit` is used, which then has to be that of the images."""
        return self.locality > 0 or self._has_floor

    @property
    def _has_floor(self) -> bool:
        return self.invariance is Invariance.permutation and self.matcher.floor is not None

    @property
    def has_own_norms(self) -> bool:
        """Whether an image's product with itself is not its squared norm, but `self_products`."""
        return self.invariance is Invariance.maxsim or self._has_floor

    def self_products(self, images: _Images) -> _Values:
        """What each image [n, s, c] has with itself [n]: its MaxSim, or the squared norms above the floor.

        With a floor t, too, no matching of an image with itself is better than each position with itself:
        `max(<x_i, x_j>, t) <= (max(|x_i|^2, t) + max(|x_j|^2, t)) / 2`.
        """
        from semrsm_cli.matching.maxsim import max_similarities

        if self._has_floor:
            squares = np.einsum("nsc,nsc->ns", images, images, dtype=np.float64)
            floor = self.matcher.floor_in(self.unit)
            return np.maximum(squares - floor, 0).sum(axis=1) if math.isfinite(floor) else squares.sum(axis=1)
        return max_similarities(images, images, np.eye(len(images), dtype=bool)).diagonal()
