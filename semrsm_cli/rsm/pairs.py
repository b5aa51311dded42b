"""What is computed for the pairs of one tile: inner products of images [r, s, c] and [q, s, c] after rearrangement."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching import Method, match
from semrsm_cli.matching.approximate import norms
from semrsm_cli.matching.optimal import LARGEST_MATRIX, PARTS_OF_VECTORS, new_memory, optimal, optimal_of_vectors
from semrsm_cli.matching.tiles import greedy_tile, match_tile
from semrsm_cli.matching.vectors import LANES
from semrsm_cli.rsm.translation import best_shifts

__all__ = ["Invariance", "Rule"]

PRODUCT_BYTES = 4 * 2**20  # of the matrix product that is matched while it is in the cache

Images = NDArray[np.float32]
Values = NDArray[np.float64]


class Invariance(StrEnum):
    """Which rearrangements of the positions an RSM does not see."""

    none = "none"
    translation = "translation"
    permutation = "permutation"


@dataclass(frozen=True, slots=True)
class Rule:
    """How two images are compared: the settings of `gram`."""

    invariance: Invariance
    matching: Method
    tolerance: float
    batch: int
    k: int
    grid: tuple[int, int] | None

    def check(self, s: int) -> None:
        """Raise ValueError where the settings do not fit each other, or s positions."""
        if self.invariance is Invariance.translation and (self.grid is None or math.prod(self.grid) != s):
            raise ValueError(f"translation needs the grid (height, width) of the {s} positions, got grid={self.grid}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance}")
        for name, number in (("batch", self.batch), ("k", self.k)):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")

    def side(self, s: int) -> int:
        """Positions on a side of the matrices that are matched optimally."""
        if self.invariance is not Invariance.permutation or self.matching is Method.diagonal:
            return 0
        return min(s, self.batch) if self.matching is Method.batch_optimal else s

    def block(self, s: int) -> int:
        """Images on a side of one matrix product, so that it stays within the cache."""
        return max(1, math.isqrt(PRODUCT_BYTES // (4 * max(self.side(s), 1) ** 2))) if self.side(s) else 1

    def memory(self, edge: int, s: int, c: int) -> int:
        """Bytes that one worker takes for a tile of edge x edge images of s positions and c channels."""
        images = 2 * 2 * edge * s * c * 4  # both sides, and their sorted or transformed copies
        if self.invariance is Invariance.translation:
            return images + 2 * 2 * 4 * s * edge**2  # of every pair, the spectrum and the correlation
        side = self.side(s)
        product = 4 * side**2 * min(edge, self.block(s)) ** 2
        remembered = 4 * s * (c + 3 * PARTS_OF_VECTORS)
        computed = self.matching is Method.optimal and product > LARGEST_MATRIX
        return images + (remembered if computed else product + remembered) + 4 * 8 * edge**2

    def products(self, left: Images, right: Images, wanted: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Inner products and upper bounds [r, q] of the wanted pairs of left [r, s, c] and right [q, s, c]."""
        if self.invariance is Invariance.translation:
            assert self.grid is not None  # see `check`
            inner = best_shifts(left, right, self.grid)
            return inner, inner.copy()
        if self.invariance is Invariance.none:
            inner = in_place(left, right)
            return inner, inner.copy()
        match self.matching:
            case Method.optimal:
                return self.optimum(left, right, wanted)
            case Method.batch_optimal:
                return self.batches(left, right, wanted)
            case Method.topk_greedy:
                return self.greedy(left, right, wanted, self.k)
            case Method.greedy:
                return self.greedy(left, right, wanted, 0)
            case Method.diagonal:
                inner = in_place(left, right)
                return inner, np.maximum(inner, sorted_norms_bounds(left, right))
            case _:
                return self.one_by_one(left, right, wanted)

    def optimum(self, left: Images, right: Images, wanted: NDArray[np.bool_]) -> tuple[Values, Values]:
        """The optimal matching of each pair."""
        s = left.shape[1]
        inner, bound = np.zeros(wanted.shape), np.zeros(wanted.shape)
        if 4 * s**2 > LARGEST_MATRIX:
            for i, j in np.argwhere(wanted):
                one = optimal_of_vectors(left[i], right[j], self.tolerance)
                inner[i, j], bound[i, j] = one.value, one.bound
            return inner, bound
        met = np.ones(wanted.shape, bool)
        memory = new_memory(s, np.float32)
        for rows, columns, products in self.blocks(left, right, wanted):
            some = np.ascontiguousarray(wanted[rows, columns])
            found = np.zeros((2, *some.shape))
            found_met = np.ones(some.shape, bool)
            match_tile(products, s, some, self.tolerance, *memory, found[0], found[1], found_met)
            inner[rows, columns], bound[rows, columns] = found
            met[rows, columns] = found_met
        for i, j in np.argwhere(~met):
            exact = optimal((left[i] @ right[j].T).astype(np.float64), self.tolerance)
            inner[i, j], bound[i, j] = exact.value, exact.bound
        return inner, bound

    def batches(self, left: Images, right: Images, wanted: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Batch-Optimal: the sum over norm-sorted batches of optimal inner products (Appendix F, 3)."""
        s = left.shape[1]
        if s <= self.batch:
            return self.optimum(left, right, wanted)
        left, right = (by_norm(side, descending=False) for side in (left, right))
        inner = np.zeros(wanted.shape)
        for start in range(0, s, self.batch):
            part = slice(start, start + self.batch)
            a, b = (np.ascontiguousarray(side[:, part]) for side in (left, right))
            inner += self.optimum(a, b, wanted)[0]
        return inner, np.maximum(inner, sorted_norms_bounds(left, right))

    def greedy(self, left: Images, right: Images, wanted: NDArray[np.bool_], k: int) -> tuple[Values, Values]:
        """TopK-Greedy, and Greedy with k = 0 (Appendix F, 1 and 2)."""
        s = left.shape[1]
        left, right = (by_norm(side, descending=True) for side in (left, right))
        inner = np.zeros(wanted.shape)
        if k > 0:
            a, b = (np.ascontiguousarray(side[:, :k]) for side in (left, right))
            inner = self.optimum(a, b, wanted)[0]
        bound = np.zeros(wanted.shape)
        for rows, columns, products in self.blocks(left, right, wanted):
            some = np.ascontiguousarray(wanted[rows, columns])
            found = np.zeros((2, *some.shape))
            greedy_tile(products, s, some, min(k, s), found[0], found[1])
            inner[rows, columns] += found[0]
            bound[rows, columns] = found[1]
        return inner, np.maximum(inner, bound)

    def blocks(
        self, left: Images, right: Images, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
        """Cut a tile into blocks with some wanted pair; yield its rows, its columns, and the flat product."""
        s, c = left.shape[1:]
        edge = max(1, math.isqrt(PRODUCT_BYTES // (4 * s**2)))
        buffer = np.zeros(min(edge, len(left)) * min(edge, len(right)) * s**2 + LANES, np.float32)
        for i in range(0, len(left), edge):
            for j in range(0, len(right), edge):
                rows, columns = slice(i, i + edge), slice(j, j + edge)
                if wanted[rows, columns].any():
                    a, b = left[rows].reshape(-1, c), right[columns].reshape(-1, c)
                    np.matmul(a, b.T, out=buffer[: len(a) * len(b)].reshape(len(a), len(b)))
                    yield rows, columns, buffer[: len(a) * len(b) + LANES]

    def one_by_one(self, left: Images, right: Images, wanted: NDArray[np.bool_]) -> tuple[Values, Values]:
        """The solvers of others, which know no tiles."""
        inner, bound = np.zeros(wanted.shape), np.zeros(wanted.shape)
        for i, j in np.argwhere(wanted):
            found = match(left[i] @ right[j].T, method=self.matching)
            inner[i, j], bound[i, j] = found.value, found.bound
        return inner, bound


def in_place(left: Images, right: Images) -> Values:
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
