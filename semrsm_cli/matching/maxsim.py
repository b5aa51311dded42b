"""MaxSim: every concept vector takes its best partner, in both directions; no matching is sought, no affinity built."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from semrsm_cli.jit import compiled
from semrsm_cli.matching.lanes import LANES, greater, load, multiply_add, splat, store, subtract, where

__all__ = ["max_similarities", "working_bytes"]

_ROWS = 6  # whose inner products with LANES columns stay in the processor's registers

_inlined = compiled(_nrt=False, forceinline=True)


def max_similarities(left: NDArray[Any], right: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """MaxSim `(sum_i max_j A_ij + sum_j max_i A_ij) / 2` of each pair of the mask [r, q]; 0 for other pairs.

    `A_ij = <x_i, y_j>` are the inner products of left [r, s, c] with right [q, s, c], both of one type. Each is summed
    over the channels in their order, wherever its pair stands in the tile: (x, y) and (y, x) have the same bits.
    """
    s, c = left.shape[1:]
    values = np.zeros(mask.shape)
    n_columns, n_rows = _padded(s)
    price = np.full(n_columns, np.inf, left.dtype)  # infinite beyond the last column
    price[:s] = 0
    packed, best_of_columns = np.zeros(n_columns * c, left.dtype), np.empty_like(price)
    best_of_rows = np.empty(n_rows * LANES, left.dtype)
    _sum_tile(left, right, mask, price, packed, best_of_rows, best_of_columns, values)
    return values


def working_bytes(s: int, c: int) -> int:
    """Bytes that MaxSim of float32 images with s positions and c channels takes beside them and the result."""
    n_columns, n_rows = _padded(s)
    return 4 * (n_columns * (c + 2) + n_rows * LANES)


def _padded(s: int) -> tuple[int, int]:
    """The columns and the rows of s positions, up to whole blocks."""
    return -(-s // LANES) * LANES, -(-s // _ROWS) * _ROWS


@_inlined
def _larger(x: Any, y: Any) -> Any:
    """Lane by the larger of two."""
    return where(greater(x, y), x, y)


@_inlined
def _take(best: Any, at: int, inner: Any) -> None:
    """Keep the larger of `inner` and of what an array holds, lane by lane."""
    store(best, at, _larger(inner, load(best, at)))


@_inlined
def _scan_lanes(x: Any, packed: Any, price: Any, best_of_rows: Any, best_of_columns: Any) -> None:
    """The best partners of the rows of x [s, c], lane by lane [rows, LANES], and of the columns.

    The columns are `packed` [columns / LANES, c, LANES], to be read in order. The rows are taken _ROWS at a time; those
    beyond the last are the last one again, which changes no maximum of a column.
    """
    s, channels = x.shape
    zero, nothing = splat(x.dtype.type(0)), splat(x.dtype.type(-np.inf))
    for j in range(0, best_of_rows.shape[0], LANES):
        store(best_of_rows, j, nothing)
    for j in range(0, price.shape[0], LANES):
        best, over = nothing, load(price, j)
        for i in range(0, s, _ROWS):
            i1, i2, i3 = min(i + 1, s - 1), min(i + 2, s - 1), min(i + 3, s - 1)
            i4, i5 = min(i + 4, s - 1), min(i + 5, s - 1)
            a0 = a1 = a2 = a3 = a4 = a5 = zero
            at = j * channels
            for k in range(channels):
                columns = load(packed, at)
                a0 = multiply_add(splat(x[i, k]), columns, a0)
                a1 = multiply_add(splat(x[i1, k]), columns, a1)
                a2 = multiply_add(splat(x[i2, k]), columns, a2)
                a3 = multiply_add(splat(x[i3, k]), columns, a3)
                a4 = multiply_add(splat(x[i4, k]), columns, a4)
                a5 = multiply_add(splat(x[i5, k]), columns, a5)
                at += LANES
            best = _larger(_larger(_larger(a0, a1), _larger(a2, a3)), _larger(_larger(a4, a5), best))
            _take(best_of_rows, i * LANES, subtract(a0, over))
            _take(best_of_rows, (i + 1) * LANES, subtract(a1, over))
            _take(best_of_rows, (i + 2) * LANES, subtract(a2, over))
            _take(best_of_rows, (i + 3) * LANES, subtract(a3, over))
            _take(best_of_rows, (i + 4) * LANES, subtract(a4, over))
            _take(best_of_rows, (i + 5) * LANES, subtract(a5, over))
        store(best_of_columns, j, best)


def _scan_plain(
    x: NDArray[Any],
    packed: NDArray[Any],
    price: NDArray[Any],
    best_of_rows: NDArray[Any],
    best_of_columns: NDArray[Any],
) -> None:
    """The same, uncompiled."""
    s, channels = x.shape
    inner = np.zeros((s, price.size), x.dtype)
    blocks = packed.reshape(-1, channels, LANES)
    for k in range(channels):
        inner += x[:, k, None] * blocks[:, k].ravel()
    best_of_columns[:] = inner.max(axis=0)
    best_of_rows[: s * LANES] = (inner - price).reshape(s, -1, LANES).max(axis=1).ravel()


_scan = _scan_plain if numba.config.DISABLE_JIT else _scan_lanes


@compiled(nogil=True)
def _sum_tile(
    left: Any, right: Any, mask: Any, price: Any, packed: Any, best_of_rows: Any, best_of_columns: Any, values: Any
) -> None:
    """MaxSim of the pairs of a tile: no interpreter between two pairs, and none of its locks.

    `price` [columns] is 0, and infinite beyond the last column; the rest is room for `_scan`, and the values [r, q].
    """
    s, channels = left.shape[1:]
    for j in range(right.shape[0]):
        for column in range(s):
            start = column // LANES * channels * LANES + column % LANES
            for k in range(channels):
                packed[start + k * LANES] = right[j, column, k]
        for i in range(left.shape[0]):
            if mask[i, j]:
                _scan(left[i], packed, price, best_of_rows, best_of_columns)
                of_rows = of_columns = np.float64(0)
                for row in range(s):
                    best = best_of_rows[row * LANES]
                    for other in range(1, LANES):
                        best = max(best, best_of_rows[row * LANES + other])
                    of_rows += best
                for column in range(s):
                    of_columns += best_of_columns[column]
                values[i, j] = (of_rows + of_columns) / 2
