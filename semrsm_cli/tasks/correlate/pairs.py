"""Matrices [n, n] of `semrsm correlate`, which need not fit the memory: made and read a few rows at a time."""

from collections.abc import Iterator

import numpy as np

from semrsm_cli.measures.agreement import jensen_shannon, ranks
from semrsm_cli.measures.pairs import Rows, row_blocks
from semrsm_cli.report.progress import tracked
from semrsm_cli.store import PairsOnDisk

__all__ = ["divergences", "ranks_on_disk", "sample_pairs", "symmetric"]

_PAIRS_AT_ONCE = 2**24  # of a strip of divergences
_DRAWN_IMAGES = 2000


def divergences(probabilities: np.ndarray, threads: int | None = None) -> PairsOnDisk:
    """Jensen-Shannon divergence of all pairs of predictions [n, classes]."""
    n = len(probabilities)
    values = PairsOnDisk(n)
    with tracked("diverge", n) as advance:
        for start, stop in _strips(n):
            values.write(start, jensen_shannon(probabilities[start:stop], probabilities[start:], threads=threads))
            advance(stop - start)
    return values


def ranks_on_disk(x: Rows, threads: int | None = None) -> PairsOnDisk:
    """`ranks` of all pairs; three of them would not fit the memory."""
    ranked = ranks(x, threads=threads)
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


def sample_pairs(x: Rows, largest: int = _DRAWN_IMAGES) -> np.ndarray:
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


def _strips(n: int) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of the strips that make up a matrix of n rows."""
    step = max(1, _PAIRS_AT_ONCE // n)
    return ((start, min(start + step, n)) for start in range(0, n, step))
