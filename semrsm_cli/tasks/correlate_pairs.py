"""Matrices [n, n] of `semrsm correlate`, which need not fit the memory: on disk, a strip of rows at a time.

Only their upper triangle is filled, which is all that the measures of agreement read.
"""

import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from semrsm_cli.errors import SemrsmError
from semrsm_cli.measures.agreement import jensen_shannon, ranks
from semrsm_cli.measures.pairs import Rows, row_blocks
from semrsm_cli.report.progress import size, tracked
from semrsm_cli.rsm import Gram, Invariance, Kernel, Representations, gram, kernel
from semrsm_cli.rsm.kernels import squared_distances
from semrsm_cli.store import TileFolder, cache_folder

__all__ = [
    "InnerProducts",
    "PairsOnDisk",
    "Similarity",
    "divergences",
    "inner_products",
    "median_sigma",
    "ranks_on_disk",
    "sample_pairs",
    "symmetric",
]

PAIRS_AT_ONCE = 2**24  # of a strip, for each of which `gram` holds 16 bytes
DRAWN_IMAGES = 2000


class PairsOnDisk:
    """A matrix [n, n] in a file of the store's disk that has no name and is gone with the process.

    `write` fills rows from a column on; slices of rows are read back, and hold zeros where nothing was written.
    """

    def __init__(self, n: int, dtype: Any = np.float32) -> None:
        self.shape = (n, n)
        self.dtype = np.dtype(dtype)
        self._lock = Lock()
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115, it lives as long as the matrix
        weakref.finalize(self, self._file.close)

    def write(self, start: int, values: np.ndarray) -> None:
        """Fill the rows from `start` on, from column `start` on: `values` is [rows, n - start].

        Raises:
            SemrsmError: The disk is full.
        """
        n = self.shape[0]
        values = np.ascontiguousarray(values, dtype=self.dtype)
        try:
            with self._lock:
                for row, of_row in enumerate(values, start):
                    self._file.seek((row * n + start) * self.dtype.itemsize)
                    self._file.write(of_row.data)
                self._file.flush()
        except OSError as error:
            raise SemrsmError(
                f"cannot keep {size(n * n * self.dtype.itemsize / 2)} of pairs in {cache_folder()}: {error.strerror}; "
                "set SEMRSM_CACHE to a disk with more room"
            ) from error

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        block = np.zeros((stop - start, self.shape[1]), self.dtype)  # the file ends with the last row written
        with self._lock:
            self._file.seek(start * self.shape[1] * self.dtype.itemsize)
            self._file.readinto(block.data.cast("B"))
        return block


@dataclass(frozen=True)
class InnerProducts:
    """Matched inner products of all pairs, [n, n] on disk, and the images' squared norms [n]."""

    matched: PairsOnDisk
    squares: np.ndarray

    def rows(self, start: int, stop: int) -> Gram:
        """The rows from `start` to `stop`, from column `start` on."""
        inner = self.matched[start:stop][:, start:].astype(np.float64)
        return Gram(inner, inner, self.squares[start:stop], self.squares[start:], False)


class Similarity:
    """The RSM [n, n] of a kernel, made from inner products anew whenever rows of it are read."""

    dtype = np.dtype(np.float32)

    def __init__(self, inner: InnerProducts, name: Kernel, *, sigma: float | None, sigma_tile: int | None) -> None:
        self.shape = inner.matched.shape
        self.inner, self.name = inner, name
        self.sigma, self.sigma_tile = sigma, sigma_tile

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        n = self.shape[0]
        start, stop, _ = rows.indices(n)
        tile = self.sigma_tile or 1  # whole tiles, since each has a sigma of its own
        first, last = start - start % tile, min(-(-stop // tile) * tile, n)
        values = kernel(self.inner.rows(first, last), self.name, sigma=self.sigma, sigma_tile=self.sigma_tile)
        block = np.zeros((stop - start, n), self.dtype)
        block[:, start:] = values[start - first : stop - first, start - first :]
        return block


@dataclass(frozen=True)
class Section:
    """Some of the images of a representation, still read slice by slice."""

    x: Representations
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, s, c]."""
        return (self.stop - self.start, *self.x.shape[1:])

    @property
    def dtype(self) -> Any:
        """Type of the elements."""
        return self.x.dtype

    def __getitem__(self, index: slice) -> Any:
        start, stop, _ = index.indices(self.stop - self.start)
        return self.x[self.start + start : self.start + stop]


def inner_products(
    x: Representations,
    invariance: Invariance,
    settings: dict[str, Any],
    *,
    align: int,
    name: str,
    memory_gib: float,
    grid: tuple[int, int] | None = None,
    workers: int | None = None,
    **matching: Any,
) -> InnerProducts:
    """Matched inner products of all pairs of x [n, s, c]; finished tiles lie in the store.

    Args:
        x: Centred concept vectors.
        invariance: What `gram` is to be invariant to.
        settings: What tells x apart from any other, for the tiles' key in the store.
        align: Strips are whole multiples of so many rows.
        name: Of the progress.
        memory_gib: Memory for `gram`'s tiles.
        grid: Height and width of the positions, for translation.
        workers: Threads.
        matching: The other arguments of `gram`.

    Raises:
        ValueError: As `gram`.
        SemrsmError: The disk is full.
    """
    n = x.shape[0]
    inner = InnerProducts(PairsOnDisk(n), np.empty(n))
    key = settings | matching | {"invariance": str(invariance), "memory_gib": memory_gib}
    with tracked(name, n * (n + 1) // 2) as advance:

        def part(rows: tuple[int, int], columns: tuple[int, int] | None) -> Gram:
            place = {} if rows == (0, n) else {"rows": rows, "columns": columns}
            return gram(
                Section(x, *rows),
                None if columns is None else Section(x, *columns),
                invariance=invariance,
                grid=grid,
                workers=workers,
                memory_gib=memory_gib,
                tiles=TileFolder(key | place),
                progress=advance,
                **matching,
            )

        for start, stop in strips(n, align):
            square = part((start, stop), None)
            inner.squares[start:stop] = square.sq_x
            beyond = [part((start, stop), (stop, n)).inner] if stop < n else []
            inner.matched.write(start, np.hstack([square.inner, *beyond]))
    return inner


def strips(n: int, align: int = 1) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of the strips that make up a matrix of n rows."""
    step = max(align, PAIRS_AT_ONCE // n // align * align)
    return ((start, min(start + step, n)) for start in range(0, n, step))


def divergences(probabilities: np.ndarray, workers: int | None = None) -> PairsOnDisk:
    """Jensen-Shannon divergence of all pairs of predictions [n, classes]."""
    n = len(probabilities)
    found = PairsOnDisk(n)
    with tracked("diverge", n) as advance:
        for start, stop in strips(n):
            found.write(start, jensen_shannon(probabilities[start:stop], probabilities[start:], workers=workers))
            advance(stop - start)
    return found


def median_sigma(inner: InnerProducts) -> float:
    """The root of the median squared distance of all pairs that differ, as `kernel` takes it from a whole matrix."""
    n = inner.matched.shape[0]
    distances = np.empty(n * (n - 1) // 2, np.float32)
    used = 0
    for start, stop in row_blocks(n):
        g = inner.rows(start, stop)
        above = np.arange(n - start) > np.arange(stop - start)[:, None]
        block = squared_distances(g)[above]
        block = block[block > 0]
        distances[used : used + block.size] = block
        used += block.size
    return float(np.sqrt(np.median(distances[:used], overwrite_input=True))) if used else 1.0


def ranks_on_disk(x: Rows, workers: int | None = None) -> PairsOnDisk:
    """`ranks` of all pairs; three of them would not fit the memory."""
    ranked = ranks(x, workers=workers)
    n = x.shape[0]
    kept = PairsOnDisk(n, np.float64)
    for start, stop in row_blocks(n):
        kept.write(start, ranked[start:stop][:, start:])
    return kept


def symmetric(x: Rows) -> np.ndarray:
    """The whole matrix in memory, its lower triangle filled too."""
    n = x.shape[0]
    values = np.empty((n, n), x.dtype)
    for start, stop in row_blocks(n):
        values[start:stop] = x[start:stop]
    for i in range(n):
        values[i + 1 :, i] = values[i, i + 1 :]
    return values


def sample_pairs(x: Rows, largest: int = DRAWN_IMAGES) -> np.ndarray:
    """All pairs of evenly spaced images, at most `largest`: enough to draw."""
    n = x.shape[0]
    step = -(-n // largest)
    columns = np.arange(0, n, step)
    parts = []
    for start, stop in row_blocks(n):
        rows = columns[(columns >= start) & (columns < stop)]
        block = x[start:stop][rows - start][:, columns]
        parts.append(block[columns > rows[:, None]])
    return np.concatenate(parts)
