"""The pairs of images of a square matrix [n, n]: its upper triangle, read a few rows at a time, and its ranks."""

import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.jit import compiled
from semrsm_cli.rsm.threads import available_cores

__all__ = ["PairRanks", "Rows", "ranks", "row_blocks", "upper", "upper_block"]

_FloatArray = NDArray[np.floating]
_PAIRS_AT_ONCE = 2**21
_SORTED_AT_ONCE = 2**28  # bytes


class Rows(Protocol):
    """A square matrix that gives slices of its rows: an array, a memory map, a Zarr array, ranks of pairs, ..."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, n)."""

    @property
    def dtype(self) -> Any:
        """Type of the entries."""

    def __getitem__(self, rows: slice, /) -> Any:
        """The rows [i:j] as something that `np.asarray` makes an array of."""


def row_blocks(n: int, rows_at_once: int | None = None) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of the blocks that make up a matrix of n rows.

    Args:
        n: Rows of the matrix.
        rows_at_once: Rows per block; None takes blocks of two million entries.

    Returns:
        Pairs (start, stop), in order.
    """
    step = rows_at_once or max(1, _PAIRS_AT_ONCE // n)
    return ((start, min(start + step, n)) for start in range(0, n, step))


def upper_block(x: Rows, start: int, stop: int, name: str) -> tuple[_FloatArray, NDArray[np.bool_]]:
    """Columns `start` and above of some rows, and which of their entries are above the diagonal.

    Args:
        x: Square matrix [n, n].
        start: First row.
        stop: Row after the last.
        name: What the matrix is called in messages.

    Returns:
        Entries and whether they count, both [stop - start, n - start].

    Raises:
        ValueError: If a pair is NaN or infinite; says where.
    """
    block = np.array(x[start:stop])[:, start:]
    _release_pages(x)
    block = block.astype(_working_dtype(x), copy=False)
    above = np.arange(block.shape[1]) > np.arange(stop - start)[:, None]
    if (broken := np.argwhere(above & ~np.isfinite(block))).size:
        i, j = broken[0] + start
        raise ValueError(f"{name} holds NaN or infinity, for images {i} and {j} first")
    return block, above


def upper(x: Rows, start: int, stop: int, name: str) -> _FloatArray:
    """The pairs (i, j) with start <= i < stop and i < j, row by row, as one vector; arguments as `upper_block`."""
    block, above = upper_block(x, start, stop, name)
    return block[above]


def _release_pages(x: Any) -> None:
    """Release the pages of a memory map, or a pass over it would hold the whole file in memory."""
    pages, advice = getattr(x, "base", None), getattr(mmap, "MADV_DONTNEED", None)  # no such advice on Windows
    if isinstance(x, np.memmap) and x.mode != "c" and isinstance(pages, mmap.mmap) and advice is not None:
        pages.madvise(advice)


class PairRanks:
    """Ranks of all pairs, seen as a matrix [n, n] whose upper triangle is filled; kept as integers, 4 bytes a pair."""

    dtype = np.dtype(np.float64)

    def __init__(self, n: int, doubled: NDArray[np.unsignedinteger]) -> None:
        self.shape = (n, n)
        self.doubled = doubled  # ranks of ties end in 1/2

    def __getitem__(self, rows: slice, /) -> NDArray[np.float64]:
        n = len(self)
        start, stop, _ = rows.indices(n)
        block = np.zeros((stop - start, n))
        above = np.arange(n) > np.arange(start, stop)[:, None]
        block[above] = self.doubled[_offset(n, start) : _offset(n, stop)] / 2
        return block

    def __len__(self) -> int:
        return self.shape[0]


def _offset(n: int, row: int) -> int:
    """Pairs (i, j), i < j, in the rows before `row`."""
    return row * n - row * (row + 1) // 2


def ranks(x: Rows, *, rows_at_once: int | None = None, threads: int | None = None) -> PairRanks:
    """Rank of every pair of images among all pairs, from 1; ties get their average rank, as in `scipy.stats.rankdata`.

    Twice the rank of a value is 1 + #(values < v) + #(values <= v). Both counts come from sorted values, as many of
    them at once as fit a quarter of a gibibyte: counts from several parts add up.

    Args:
        x: Similarities of n images, [n, n]; only entries above the diagonal are read.
        rows_at_once: Rows per block; None takes blocks of two million entries.
        threads: How many; None takes one for each core that this process may use.

    Returns:
        The ranks, readable by rows like a matrix [n, n].

    Raises:
        ValueError: If a pair is NaN or infinite, or the matrix is not square.
    """
    n = x.shape[0]
    if tuple(x.shape) != (n, n):
        raise ValueError(f"ranks of pairs need a square matrix, got {list(x.shape)}")
    n_pairs = _offset(n, n)
    doubled = np.ones(n_pairs, np.dtype(np.uint32 if n_pairs < 2**31 else np.uint64))
    blocks = list(row_blocks(n, rows_at_once))
    with ThreadPoolExecutor(threads or available_cores()) as pool:
        for part in _sorted_parts(x, blocks):

            def count(block: tuple[int, int], part: _FloatArray = part) -> None:
                values = upper(x, *block, "x")
                order = np.argsort(values)
                _add_counts(part, values[order], order, doubled[_offset(n, block[0]) : _offset(n, block[1])])

            list(pool.map(count, blocks))
    return PairRanks(n, doubled)


def _sorted_parts(x: Rows, blocks: list[tuple[int, int]]) -> Iterator[_FloatArray]:
    """All pairs, sorted in parts that fit one buffer; each part is overwritten by the next."""
    n = x.shape[0]
    sizes = [_offset(n, stop) - _offset(n, start) for start, stop in blocks]
    dtype = _working_dtype(x)
    buffer = np.empty(max(*sizes, min(sum(sizes), _SORTED_AT_ONCE // dtype.itemsize)), dtype)
    used = 0
    for block, size in zip(blocks, sizes, strict=True):
        if used + size > buffer.size:
            buffer[:used].sort()
            yield buffer[:used]
            used = 0
        buffer[used : used + size] = upper(x, *block, "x")
        used += size
    buffer[:used].sort()
    yield buffer[:used]


def _working_dtype(x: Rows) -> np.dtype[np.floating]:
    """Single precision stays as it is, to save memory; all else becomes double."""
    return np.dtype(np.float32 if x.dtype == np.float32 else np.float64)


@compiled(nogil=True)
def _add_counts(part: _FloatArray, values: _FloatArray, order: NDArray[np.intp], counts: NDArray[np.uint32]) -> None:
    """Add #(part < v) + #(part <= v) to the counts of every value; values and part are sorted."""
    below = up_to = 0
    for i in range(values.size):
        if i == 0 or values[i] != values[i - 1]:
            below = _first(part, values[i], up_to, False)
            up_to = _first(part, values[i], below, True)
        counts[order[i]] += below + up_to


@compiled(nogil=True)
def _first(part: _FloatArray, value: float, start: int, above: bool) -> int:
    """First index from `start` on whose entry is at least the value (or above it): doubling steps, then bisection."""
    low = high = start
    step = 1
    while high < part.size and (part[high] < value or (above and part[high] == value)):
        low = high + 1
        high += step
        step *= 2
    high = min(high, part.size)
    while low < high:
        middle = (low + high) // 2
        if part[middle] < value or (above and part[middle] == value):
            low = middle + 1
        else:
            high = middle
    return low
