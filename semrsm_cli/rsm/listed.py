"""Lists of pairs: for each image of x the few images of y that it is compared with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_columns", "n_listed", "sort_columns"]

Columns = NDArray[np.intp]


def check_columns(columns: NDArray[Any] | None, n: int, m: int, symmetric: bool) -> None:
    """Raise ValueError unless lists of pairs are left out, or name for each of n images some of m, each once."""
    if columns is None:
        return
    if symmetric:
        raise ValueError(f"pairs of x and y must be left out without y, got {columns.shape}")
    if columns.ndim != 2 or len(columns) != n or columns.shape[1] == 0 or columns.dtype.kind != "i":
        raise ValueError(f"pairs must be lists of integers [{n}, k], got {columns.dtype} {columns.shape}")
    if columns.min() < -1 or columns.max() >= m:
        raise ValueError(
            f"pairs must name images of y from 0 to {m - 1}, or -1 for none, got {columns.min()} to {columns.max()}"
        )
    ordered = np.sort(columns, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        raise ValueError(f"pairs must name each image once, but row {twice.any(axis=1).argmax()} names one again")


def sort_columns(columns: NDArray[Any]) -> Columns:
    """The lists [n, k], each in ascending order, with the -1 that fill it up at its end."""
    last = np.iinfo(np.intp).max
    ordered = np.sort(np.where(columns < 0, last, columns), axis=1)
    return np.where(ordered == last, -1, ordered)


def n_listed(columns: NDArray[Any]) -> int:
    """How many pairs there are."""
    return int(np.count_nonzero(columns >= 0))
