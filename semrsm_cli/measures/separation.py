"""How well similarity tells overlapping crops of one photograph from crops of different ones (Section 4.1)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

__all__ = ["overlapping_pairs", "separation", "unrelated_pairs"]

_Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def overlapping_pairs(n: int) -> _Pairs:
    """Rows and columns of the n pairs (i, n + i) in an RSM of n upper crops, then their n lower crops.

    Args:
        n: Number of photographs.

    Returns:
        Two index arrays [n].
    """
    upper = np.arange(n)
    return upper, upper + n


def unrelated_pairs(n: int) -> _Pairs:
    """Rows and columns of the pairs of crops of different photographs, each unordered pair once.

    Args:
        n: Number of photographs.

    Returns:
        Two index arrays [2n(n - 1)].
    """
    rows, cols = np.triu_indices(2 * n, k=1)
    different = cols - rows != n
    return rows[different], cols[different]


def separation(overlapping: ArrayLike, unrelated: ArrayLike) -> float:
    """Probability that an overlapping pair is more similar than an unrelated one; ties count half.

    Area under the ROC curve, U / (n m); U is the Mann-Whitney statistic of n overlapping, m unrelated similarities.

    Args:
        overlapping: Similarities of overlapping crops, any shape with n entries.
        unrelated: Similarities of crops of different photographs, any shape with m entries.

    Returns:
        Probability; 1 where every overlapping pair is the more similar one, 0.5 for no separation.

    Raises:
        ValueError: If either is empty or holds NaN.
    """
    overlapping, unrelated = np.ravel(overlapping), np.ravel(unrelated)
    for name, values in (("overlapping", overlapping), ("unrelated", unrelated)):
        if values.size == 0:
            raise ValueError(f"no {name} similarities, at least one is needed")
        if n_nan := np.count_nonzero(np.isnan(values)):
            raise ValueError(f"{n_nan} of {values.size} {name} similarities are NaN")
    n, m = overlapping.size, unrelated.size
    ranks = rankdata(np.concatenate([overlapping, unrelated]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
