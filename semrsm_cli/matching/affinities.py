"""The affinities of all pairs of a tile, block by block: a single pair is a tile of one image a side."""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LANES", "MAX_MATRIX_BYTES", "PRODUCT_BYTES", "Affinities", "max_similarity", "pad_tail"]

LANES = 16  # elements that the compiled loops read at once
MAX_MATRIX_BYTES = 256 * 2**20  # of an affinity that is built; beyond, computing it anew is as quick
PRODUCT_BYTES = 4 * 2**20  # of the matrix product that is matched while it is in the cache

_Mask = NDArray[np.bool_]
_Block = tuple[int, int, int, int]


class Affinities:
    """The inner products of the concept vectors of images left [r, s, c] with those of right [q, t, c].

    They are computed when they are needed, or `given` [s, t] for a single pair.
    """

    def __init__(self, left: NDArray[Any], right: NDArray[Any], given: NDArray[Any] | None = None) -> None:
        self.left, self.right, self.given = left, right, given
        self.s = left.shape[1]
        self.n_columns = right.shape[1]
        self.dtype = left.dtype if given is None else given.dtype

    @property
    def exceed_memory(self) -> bool:
        """Whether one pair's affinity is too large to be built."""
        return self.given is None and self.s * self.n_columns * self.dtype.itemsize > MAX_MATRIX_BYTES

    def transposed(self) -> "Affinities":
        """Those of right with left."""
        return Affinities(self.right, self.left, None if self.given is None else np.ascontiguousarray(self.given.T))

    @cached_property
    def max_similarity(self) -> float:
        """`max_similarity` of the affinity that is given."""
        assert self.given is not None
        return max_similarity(self.given)

    def select(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> "Affinities":
        """Those of some positions: `rows` [r, .] of each image on the left, `columns` [q, .] of each on the right."""
        left = self.left[np.arange(len(rows))[:, None], rows]
        right = self.right[np.arange(len(columns))[:, None], columns]
        return Affinities(left, right, None if self.given is None else self.given[np.ix_(rows[0], columns[0])])

    def of_pair(self, i: int, j: int) -> NDArray[Any]:
        """The affinity [s, t] of one pair."""
        return self.left[i] @ self.right[j].T if self.given is None else self.given

    def blocks(self, mask: _Mask) -> Iterator[tuple[_Block, NDArray[Any]]]:
        """Cut the tile into blocks with some pair of the mask [r, q]; yield each with its flat product.

        A block is first and last row (exclusive), and first and last column. Its product [rows * s, columns * t]
        goes on for LANES elements, since the auction reads so many at once.
        """
        if self.given is not None:
            yield (0, 1, 0, 1), pad_tail(self.given)
            return
        (r, s, c), (q, t, _) = self.left.shape, self.right.shape
        edge = max(1, math.isqrt(PRODUCT_BYTES // (4 * s * t)))
        buffer = np.zeros(min(edge, r) * min(edge, q) * s * t + LANES, self.dtype)
        for i in range(0, r, edge):
            for j in range(0, q, edge):
                last_row, last_column = min(i + edge, r), min(j + edge, q)
                if mask[i:last_row, j:last_column].any():
                    a, b = self.left[i:last_row].reshape(-1, c), self.right[j:last_column].reshape(-1, c)
                    np.matmul(a, b.T, out=buffer[: len(a) * len(b)].reshape(len(a), len(b)))
                    yield (i, last_row, j, last_column), buffer[: len(a) * len(b) + LANES]


def pad_tail(affinity: NDArray[Any]) -> NDArray[Any]:
    """The affinity [s, t] as a flat array that goes on for LANES more elements where the auction reads them."""
    flat = np.ascontiguousarray(affinity).ravel()
    if affinity.shape[1] % LANES == 0 and flat.flags.writeable:
        return flat
    padded = np.zeros(flat.size + LANES, flat.dtype)
    padded[: flat.size] = flat
    return padded


def max_similarity(affinity: NDArray[Any]) -> float:
    """MaxSim, `min(sum_i max_j A_ij, sum_j max_i A_ij)`: no matching of the affinity [s, s] exceeds it."""
    return float(min(affinity.max(1).sum(dtype=np.float64), affinity.max(0).sum(dtype=np.float64)))
