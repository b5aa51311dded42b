"""The exact median of more numbers than the memory holds."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.rsm.gram import Gram
from semrsm_cli.rsm.kernels import squared_distances

__all__ = ["median_of_blocks", "sigma_of_parts"]

_SHIFT = 44  # leaves sign, exponent and 8 bits of the fraction: positive numbers keep their order
_N_BINS = 2 ** (64 - _SHIFT)


def median_of_blocks(blocks: Callable[[], Iterator[NDArray[np.float64]]]) -> float | None:
    """The median of all positive numbers in some blocks, which are made twice: `np.median` of them, to the last bit.

    The first pass counts the numbers by their leading bits, the second sorts those that share these with the median.

    Args:
        blocks: Makes the blocks anew, with the same numbers each time.

    Returns:
        The median; None where no number is positive.

    Example:
        >>> median_of_blocks(lambda: iter([np.array([3.0, 0.0]), np.array([1.0, 2.0, 8.0])]))
        2.5
    """
    counts = np.zeros(_N_BINS, np.int64)
    for block in blocks():
        counts += np.bincount(_leading_bits(block[block > 0]), minlength=_N_BINS)
    up_to = counts.cumsum()
    n = int(up_to[-1])
    if n == 0:
        return None
    middle = np.array([(n - 1) // 2, n // 2])
    first, last = np.searchsorted(up_to, middle, side="right")
    near = []
    for block in blocks():
        positive = block[block > 0]
        bits = _leading_bits(positive)
        near.append(positive[(bits >= first) & (bits <= last)])
    ranked = np.sort(np.concatenate(near))
    below = int(up_to[first] - counts[first])
    return float(ranked[middle - below].mean())


def sigma_of_parts(parts: Callable[[], Iterator[Gram]]) -> float:
    """The root of the median squared distance that is not zero, as `kernel` takes it, from a Gram in parts; 1 if none.

    Args:
        parts: Makes the parts anew, each in memory.

    Returns:
        Sigma, in units of the features.
    """
    median = median_of_blocks(lambda: (squared_distances(part).ravel() for part in parts()))
    return 1.0 if median is None else float(np.sqrt(median))


def _leading_bits(positive: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first bits of positive numbers, as integers in their order."""
    return np.ascontiguousarray(positive).view(np.int64) >> _SHIFT
