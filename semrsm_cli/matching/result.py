"""What every matching method returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Matching"]


@dataclass(frozen=True, slots=True)
class Matching:
    """A permutation of the positions with what it is worth: `value <= optimum <= bound`.

    `col_of_row` [s] names for each position of the first image its partner in the second one.
    """

    col_of_row: NDArray[np.int64]
    value: float
    bound: float
