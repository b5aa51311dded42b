"""How the images of a pair are compared: the inner products of [r, s, c] and [q, s, c] after rearrangement.

What is compiled is imported where it is called: settings, and the help on them, need not wait for numba.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.matching import Matching, Method, check_settings, match, match_tile
from semrsm_cli.matching.affinities import MAX_MATRIX_BYTES, PRODUCT_BYTES, Affinities
from semrsm_cli.rsm.translation import best_shifts

__all__ = ["DEFAULT_MATCHER", "Invariance", "Matcher", "PairMatcher"]

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

    def __post_init__(self) -> None:
        if self.method not in set(Method):
            raise ValueError(f"method must be one of {', '.join(Method)}, got {self.method}")
        check_settings(self.tolerance, self.batch, self.n_exact)

    def match(self, affinity: ArrayLike | None, x: ArrayLike | None = None, y: ArrayLike | None = None) -> Matching:
        """Match one pair of images with these settings.

        Args:
            affinity: Inner products [s, s]; None where x and y stand for it.
            x: Concept vectors [s, c] of the first image, which the methods that go by norms need.
            y: The same of the second image.

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
            x=x,
            y=y,
        )


DEFAULT_MATCHER = Matcher()
_ROW_BY_ROW = frozenset({Method.optimal, Method.topk_greedy, Method.greedy})  # build no affinity that is too large
_SORTED = frozenset({Method.batch_optimal, Method.topk_greedy, Method.greedy})  # copy the vectors, sorted by norm
_SOLVER_BYTES = {  # what the solvers of others take for each two positions, beside the affinity
    **{Method.scipy: 16, Method.lapjv: 4, Method.lapx: 8, Method.lapcpp: 4},
    **{Method.ortools: 70, Method.ortools_x1000: 70, Method.greedy_upstream: 8},
}


@dataclass(frozen=True, slots=True)
class PairMatcher:
    """What is computed for the pairs of a tile, under an invariance; `grid` is what `translation` needs."""

    invariance: Invariance
    matcher: Matcher = DEFAULT_MATCHER
    grid: tuple[int, int] | None = None

    def check(self, s: int) -> None:
        """Raise ValueError where the grid does not fit s positions."""
        if self.invariance is Invariance.translation and (self.grid is None or math.prod(self.grid) != s):
            raise ValueError(f"translation needs the grid (height, width) of the {s} positions, got grid={self.grid}")

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
        from semrsm_cli.matching.optimal import PARTS_OF_VECTORS

        images = 2 * tile_size * s * c * 4  # both sides
        if self.invariance is Invariance.translation:
            return 4 * images + 2 * 2 * 4 * s * tile_size**2  # spectra; of every pair, its spectrum and its correlation
        if self.invariance is Invariance.maxsim:
            return 2 * images + working_bytes(s, c) + 4 * 8 * tile_size**2
        if self.invariance is Invariance.permutation and self.matcher.method in _SORTED:
            images *= 2
        product = 4 * self.matrix_size(s) ** 2 * min(tile_size, self.block(s)) ** 2
        remembered = 4 * s * (c + 3 * PARTS_OF_VECTORS)
        computed = self.matcher.method in _ROW_BY_ROW and product > MAX_MATRIX_BYTES
        solver = 0 if computed else product + _SOLVER_BYTES.get(self.matcher.method, 0) * self.matrix_size(s) ** 2
        return images + remembered + solver + 4 * 8 * tile_size**2

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
        affinities = Affinities(left, right)
        return match_tile(affinities, mask, matcher.method, matcher.tolerance, matcher.batch, matcher.n_exact)

    @property
    def has_own_norms(self) -> bool:
        """Whether an image's product with itself is not its squared norm, but `self_products`."""
        return self.invariance is Invariance.maxsim

    def self_products(self, images: _Images) -> _Values:
        """The MaxSim of each image [n, s, c] with itself [n]."""
        from semrsm_cli.matching.maxsim import max_similarities

        return max_similarities(images, images, np.eye(len(images), dtype=bool)).diagonal()
