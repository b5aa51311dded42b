"""What it costs to move a position: channels that make the matching of concept vectors weigh displacement, too.

Between positions that may move anywhere (permutation) and nowhere (none) lies `locality`:

    K(x, y) = max_pi sum_i <x_i, y_pi(i)> - locality * unit * |p_i - p_pi(i)|^2

where p are places on the map, measured in its diagonals, and `unit` is the mean squared norm of a concept vector. As
`-|p - q|^2 = 2 <p, q> - |p|^2 - |q|^2` is an inner product of (p, |p|^2, 1) and (q, 1, |q|^2), it is the same matching
of vectors with four more channels, by the same solver and with the same certificate.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHANNELS", "MAX_LOCALITY_FLOAT32", "append_places", "check_locality", "places", "resolve_unit"]

CHANNELS = 4
"""Channels that `append_places` adds."""
MAX_LOCALITY_FLOAT32 = 32.0
"""Beyond, the cost of displacement is so much larger than inner products that these lose digits in float32."""

_Grid = tuple[int, int]


def check_locality(locality: float) -> None:
    """Raise ValueError unless the cost of displacement is a number from 0 on."""
    if not 0 <= locality < math.inf:
        raise ValueError(f"locality must be at least 0 and finite, got {locality}; 0 lets positions move freely")


def resolve_unit(unit: float | None, squares: NDArray[np.float64], s: int) -> float:
    """The mean squared norm of a concept vector: `unit`, if it is given, else from the images' squared norms [n].

    Raises:
        ValueError: It is not a positive number.
    """
    if unit is not None and not 0 < unit < math.inf:
        raise ValueError(f"unit, the mean squared norm of a concept vector, must be above 0 and finite, got {unit}")
    return float(squares.mean() / s) if unit is None else unit


def places(grid: _Grid) -> NDArray[np.float64]:
    """The places [s, 2] of the positions of a grid (height, width), row by row, in diagonals from its middle."""
    height, width = grid
    rows, columns = np.divmod(np.arange(height * width), width)
    middle = (height - 1) / 2, (width - 1) / 2
    return np.stack([rows - middle[0], columns - middle[1]], axis=1) / math.hypot(height, width)


def append_places(
    left: NDArray[Any], right: NDArray[Any], grids: tuple[_Grid, _Grid], cost: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Vectors whose inner products are those of left [r, s, c] and right [q, t, c], less the cost of displacement.

    Args:
        left: Images on one side.
        right: Images on the other.
        grids: Height and width of the positions of either.
        cost: What a displacement by one diagonal costs, in squared units of the features; it grows with the square.

    Returns:
        Both sides [., ., c + CHANNELS], in their own type.
    """
    (p, q), size = (places(grid) for grid in grids), math.sqrt(cost)
    p_squared, q_squared = ((place**2).sum(axis=1, keepdims=True) for place in (p, q))
    of_left = np.hstack([math.sqrt(2) * p, -p_squared, np.ones_like(p_squared)])
    of_right = np.hstack([math.sqrt(2) * q, np.ones_like(q_squared), -q_squared])
    return _append(left, size * of_left), _append(right, size * of_right)


def _append(images: NDArray[Any], channels: NDArray[np.float64]) -> NDArray[Any]:
    """Images [n, s, c] with the same further channels [s, k] each."""
    n, s, c = images.shape
    longer = np.empty((n, s, c + channels.shape[1]), images.dtype)
    longer[:, :, :c], longer[:, :, c:] = images, channels
    return longer
