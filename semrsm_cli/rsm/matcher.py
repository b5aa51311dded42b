"""How the images of a pair are compared: the inner products of [r, s, c] and [q, s, c] after rearrangement."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semrsm_cli.matching import Matching, Method, check_settings, match
from semrsm_cli.matching.approximate import norms
from semrsm_cli.matching.optimal import LARGEST_MATRIX, PARTS_OF_VECTORS, new_memory, optimal, optimal_of_vectors
from semrsm_cli.matching.tiles import greedy_tile, match_tile
from semrsm_cli.matching.vectors import LANES
from semrsm_cli.rsm.translation import best_shifts

__all__ = ["DEFAULT_MATCHER", "Invariance", "Matcher", "PairMatcher"]

PRODUCT_BYTES = 4 * 2**20  # of the matrix product that is matched while it is in the cache

Images = NDArray[np.float32]
Values = NDArray[np.float64]


class Invariance(StrEnum):
    """Which rearrangements of the positions an RSM does not see."""

    none = "none"
    translation = "translation"
    permutation = "permutation"
    pooled = "pooled"  # one mean vector an image, so that no positions are left


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """How the positions of two images are matched."""

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
        """Match one pair of images, as `semrsm_cli.match` with these settings."""
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
        """Positions on a side of the matrices that are matched; 0 where none are."""
        if self.invariance is not Invariance.permutation or self.matcher.method == Method.diagonal:
            return 0
        return min(s, self.matcher.batch) if self.matcher.method == Method.batch_optimal else s

    def block(self, s: int) -> int:
        """Images on a side of one matrix product, so that it stays within the cache."""
        size = self.matrix_size(s)
        return max(1, math.isqrt(PRODUCT_BYTES // (4 * size**2))) if size else 1

    def memory(self, tile_size: int, s: int, c: int) -> int:
        """Bytes that one thread takes for a tile of tile_size x tile_size images of s positions and c channels."""
        images = 2 * 2 * tile_size * s * c * 4  # both sides, and their sorted or transformed copies
        if self.invariance is Invariance.translation:
            return images + 2 * 2 * 4 * s * tile_size**2  # of every pair, the spectrum and the correlation
        product = 4 * self.matrix_size(s) ** 2 * min(tile_size, self.block(s)) ** 2
        remembered = 4 * s * (c + 3 * PARTS_OF_VECTORS)
        computed = self.matcher.method == Method.optimal and product > LARGEST_MATRIX
        return images + (remembered if computed else product + remembered) + 4 * 8 * tile_size**2

    def products(self, left: Images, right: Images, mask: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Inner products and upper bounds [r, q] of the pairs in the mask, of left [r, s, c] and right [q, s, c]."""
        if self.invariance is Invariance.translation:
            assert self.grid is not None  # see `check`
            inner = best_shifts(left, right, self.grid)
            return inner, inner.copy()
        if self.invariance is not Invariance.permutation:
            inner = positionwise_inner(left, right)
            return inner, inner.copy()
        match self.matcher.method:
            case Method.optimal:
                return self.optimum(left, right, mask)
            case Method.batch_optimal:
                return self.batches(left, right, mask)
            case Method.topk_greedy:
                return self.greedy(left, right, mask, self.matcher.n_exact)
            case Method.greedy:
                return self.greedy(left, right, mask, 0)
            case Method.diagonal:
                inner = positionwise_inner(left, right)
                return inner, np.maximum(inner, sorted_norms_bounds(left, right))
            case _:
                return self.external_solver(left, right, mask)

    def optimum(self, left: Images, right: Images, mask: NDArray[np.bool_]) -> tuple[Values, Values]:
        """The optimal matching of each pair."""
        s = left.shape[1]
        inner, bound = np.zeros(mask.shape), np.zeros(mask.shape)
        if 4 * s**2 > LARGEST_MATRIX:
            for i, j in np.argwhere(mask):
                one = optimal_of_vectors(left[i], right[j], self.matcher.tolerance)
                inner[i, j], bound[i, j] = one.value, one.bound
            return inner, bound
        met = np.ones(mask.shape, bool)
        memory = new_memory(s, np.float32)
        for rows, columns, products in self.blocks(left, right, mask):
            some = np.ascontiguousarray(mask[rows, columns])
            found = np.zeros((2, *some.shape))
            found_met = np.ones(some.shape, bool)
            match_tile(products, s, some, self.matcher.tolerance, *memory, found[0], found[1], found_met)
            inner[rows, columns], bound[rows, columns] = found
            met[rows, columns] = found_met
        for i, j in np.argwhere(~met):
            exact = optimal((left[i] @ right[j].T).astype(np.float64), self.matcher.tolerance)
            inner[i, j], bound[i, j] = exact.value, exact.bound
        return inner, bound

    def batches(self, left: Images, right: Images, mask: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Batch-Optimal: the sum over norm-sorted batches of optimal inner products (Appendix F, 3)."""
        s = left.shape[1]
        if s <= self.matcher.batch:
            return self.optimum(left, right, mask)
        left, right = (by_norm(side, descending=False) for side in (left, right))
        inner = np.zeros(mask.shape)
        for start in range(0, s, self.matcher.batch):
            part = slice(start, start + self.matcher.batch)
            a, b = (np.ascontiguousarray(side[:, part]) for side in (left, right))
            inner += self.optimum(a, b, mask)[0]
        return inner, np.maximum(inner, sorted_norms_bounds(left, right))

    def greedy(self, left: Images, right: Images, mask: NDArray[np.bool_], k: int) -> tuple[Values, Values]:
        """TopK-Greedy, and Greedy with k = 0 (Appendix F, 1 and 2)."""
        s = left.shape[1]
        left, right = (by_norm(side, descending=True) for side in (left, right))
        inner = np.zeros(mask.shape)
        if k > 0:
            a, b = (np.ascontiguousarray(side[:, :k]) for side in (left, right))
            inner = self.optimum(a, b, mask)[0]
        bound = np.zeros(mask.shape)
        for rows, columns, products in self.blocks(left, right, mask):
            some = np.ascontiguousarray(mask[rows, columns])
            found = np.zeros((2, *some.shape))
            greedy_tile(products, s, some, min(k, s), found[0], found[1])
            inner[rows, columns] += found[0]
            bound[rows, columns] = found[1]
        return inner, np.maximum(inner, bound)

    def blocks(
        self, left: Images, right: Images, mask: NDArray[np.bool_]
    ) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
        """Cut a tile into blocks with some pair of the mask; yield its rows, its columns, and the flat product."""
        s, c = left.shape[1:]
        edge = max(1, math.isqrt(PRODUCT_BYTES // (4 * s**2)))
        buffer = np.zeros(min(edge, len(left)) * min(edge, len(right)) * s**2 + LANES, np.float32)
        for i in range(0, len(left), edge):
            for j in range(0, len(right), edge):
                rows, columns = slice(i, i + edge), slice(j, j + edge)
                if mask[rows, columns].any():
                    a, b = left[rows].reshape(-1, c), right[columns].reshape(-1, c)
                    np.matmul(a, b.T, out=buffer[: len(a) * len(b)].reshape(len(a), len(b)))
                    yield rows, columns, buffer[: len(a) * len(b) + LANES]

    def external_solver(self, left: Images, right: Images, mask: NDArray[np.bool_]) -> tuple[Values, Values]:
        """The solvers of others, which know no tiles."""
        inner, bound = np.zeros(mask.shape), np.zeros(mask.shape)
        for i, j in np.argwhere(mask):
            found = match(left[i] @ right[j].T, method=self.matcher.method)
            inner[i, j], bound[i, j] = found.value, found.bound
        return inner, bound


def positionwise_inner(left: Images, right: Images) -> Values:
    """Inner products [r, q] of left [r, s, c] and right [q, s, c], each position with the same position."""
    s, c = left.shape[1:]
    inner = np.zeros((len(left), len(right)))
    step = max(1, 4096 // c)  # float32 sums stay short
    for start in range(0, s, step):
        a, b = (side[:, start : start + step].reshape(len(side), -1) for side in (left, right))
        inner += a @ b.T
    return inner


def by_norm(images: Images, *, descending: bool) -> Images:
    """The concept vectors of each image [r, s, c], sorted by their norms."""
    size = norms(images)
    order = np.argsort(-size if descending else size, axis=1, kind="stable")
    return np.take_along_axis(images, order[:, :, None], axis=1)


def sorted_norms_bounds(left: Images, right: Images) -> Values:
    """What no matching of left [r, s, c] and right [q, s, c] exceeds: `sum_i |x|_(i) |y|_(i)` over sorted norms."""
    a, b = (np.sort(norms(side), axis=1) for side in (left, right))
    return np.asarray(a @ b.T)
