"""The optimum of one pair: given as an affinity, or as concept vectors whose affinity may be too large to build."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching.auction import LONGEST_READ, padded, solve
from semrsm_cli.matching.result import Matching
from semrsm_cli.matching.vectors import BLOCK, LANES

__all__ = [
    "LARGEST_MATRIX",
    "PARTS_OF_VECTORS",
    "compile_all",
    "new_memory",
    "optimal",
    "optimal_of_vectors",
    "pack",
    "with_margin",
]

PARTS_OF_MATRIX = LANES  # that a row remembers the best column of, where looking again is quick
PARTS_OF_VECTORS = 4 * LANES  # where it means to compute them again
LARGEST_MATRIX = 256 * 2**20  # bytes of the largest affinity that is built; beyond, computing it anew is as quick


def new_memory(s: int, dtype: Any, parts: int = 0) -> tuple[NDArray[np.int32] | None, NDArray[Any] | None]:
    """What the rows of a matching remember: (None, None) where they are short, unless `parts` is given."""
    parts = parts or (PARTS_OF_MATRIX if s > LONGEST_READ else 0)
    return (np.empty((s, parts), np.int32), np.empty((s, 2, parts), dtype)) if parts else (None, None)


def with_margin(affinity: NDArray[Any]) -> NDArray[Any]:
    """The affinity [s, s] as a flat array that goes on for LANES more elements where the auction reads them."""
    flat = np.ascontiguousarray(affinity).ravel()
    if len(affinity) % LANES == 0 and flat.flags.writeable:
        return flat
    return np.append(flat, np.zeros(LANES, flat.dtype))


def pack(y: NDArray[Any]) -> NDArray[Any]:
    """The vectors y [s, c] as `multiply` reads them, [blocks, c, BLOCK], filled up with zeros."""
    s, c = y.shape
    filled = np.zeros((padded(s, BLOCK), c), y.dtype)
    filled[:s] = y
    return np.ascontiguousarray(filled.reshape(-1, BLOCK, c).transpose(0, 2, 1))


def optimal(affinity: NDArray[Any], tolerance: float = 1e-4) -> Matching:
    """The permutation of largest summed affinity [s, s], float32 or float64, with an upper bound.

    `bound - value` is at most `tolerance * max(|value|, s * mean|A| / 100)`; where float32 prices are too coarse for
    that, the auction is run again in float64.
    """
    s = len(affinity)
    col_of_row = np.empty(s, np.int64)
    memory = new_memory(s, affinity.dtype)
    value, bound, met = solve(with_margin(affinity), s, None, None, *memory, tolerance, col_of_row)
    if not met and affinity.dtype != np.float64:
        return optimal(affinity.astype(np.float64), tolerance)
    return Matching(col_of_row, float(value), float(bound))


def optimal_of_vectors(x: NDArray[Any], y: NDArray[Any], tolerance: float = 1e-4) -> Matching:
    """The optimum for concept vectors x, y [s, c] of one type; an affinity above LARGEST_MATRIX is never built.

    Memory is then s * (c + 3 * PARTS_OF_VECTORS) elements.
    """
    s = len(x)
    if s * s * x.itemsize <= LARGEST_MATRIX:
        return optimal(x @ y.T, tolerance)
    col_of_row = np.empty(s, np.int64)
    packed = pack(y)
    row = np.zeros(packed.shape[0] * BLOCK, y.dtype)
    memory = new_memory(s, x.dtype, PARTS_OF_VECTORS)
    value, bound, met = solve(row, 0, np.ascontiguousarray(x), packed, *memory, tolerance, col_of_row)
    if not met and x.dtype != np.float64:
        return optimal_of_vectors(x.astype(np.float64), y.astype(np.float64), tolerance)
    return Matching(col_of_row, float(value), float(bound))


def compile_all() -> None:
    """Compile the auction for float32, or load what an earlier run compiled, so that no timing includes it."""
    x = np.eye(LANES, dtype=np.float32)
    col_of_row = np.empty(LANES, np.int64)
    for parts in (0, PARTS_OF_MATRIX):
        solve(with_margin(x), LANES, None, None, *new_memory(LANES, x.dtype, parts), 1e-2, col_of_row)
    memory = new_memory(LANES, x.dtype, PARTS_OF_VECTORS)
    solve(np.zeros(BLOCK, x.dtype), 0, x, pack(x), *memory, 1e-2, col_of_row)
