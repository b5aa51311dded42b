"""How far matched positions lie apart: of some pairs of images, since an RSM needs no permutations."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semrsm_cli.rsm.centering import Representations
from semrsm_cli.rsm.locality import places, resolve_unit
from semrsm_cli.rsm.matcher import DEFAULT_MATCHER, Invariance, Matcher, PairMatcher
from semrsm_cli.rsm.plan import load_float32
from semrsm_cli.rsm.threads import single_threaded_blas

__all__ = ["Movement", "sample_movement"]

_MOST_IMAGES = 16  # on a side
_POSITION_PAIRS = 2**26  # in all pairs; above 512 positions fewer images are taken


@dataclass(frozen=True)
class Movement:
    """What became of the positions of some pairs of images when they were matched."""

    displacement: float
    """Mean distance of matched positions in diagonals of the map; NaN where they lie on no grid, or none is matched."""
    matched_share: float
    """Mean share of the smaller image's positions that have a partner: 1 without a floor."""
    n_pairs: int
    """Pairs of images that were looked at."""


def sample_movement(
    x: Representations,
    y: Representations | None = None,
    *,
    matcher: Matcher = DEFAULT_MATCHER,
    grid: tuple[int, int] | None = None,
    grid_y: tuple[int, int] | None = None,
    locality: float = 0.0,
    unit: float | None = None,
) -> Movement:
    """Match some images of x and y, or of x with itself, evenly spaced, and tell how far positions move.

    Args:
        x: Representations [n, s, c].
        y: Representations [m, s', c]; None: x with itself, of which each pair is taken once.
        matcher: How positions are matched.
        grid: Height and width of the positions.
        grid_y: The same of y, where it is another.
        locality: What it costs to move a position.
        unit: What that is measured in; None: as `gram`, but from the images that are looked at.

    Returns:
        Means over at most 256 pairs, always the same for the same images.

    Example:
        >>> x = np.eye(2)
        >>> sample_movement(np.stack([x, x[::-1]]), grid=(1, 2)).displacement  # both swap: 1 / sqrt(1 + 4)
        0.447...
    """
    size = max(side.shape[1] for side in (x, y) if side is not None)
    most = max(2, min(_MOST_IMAGES, math.isqrt(_POSITION_PAIRS // size**2)))
    left = _some(x, most)
    right = left if y is None else _some(y, most)
    pair_matcher = PairMatcher(Invariance.permutation, matcher, grid, locality, grid_y=grid_y)
    if pair_matcher.needs_unit:
        squares = np.einsum("nsc,nsc->n", right, right, dtype=np.float64)
        pair_matcher = replace(pair_matcher, unit=resolve_unit(unit, squares, right.shape[1]))
    distances, shares = [], []
    with single_threaded_blas():
        for i, j in np.ndindex(len(left), len(right)):
            if y is not None or i < j:
                matched = pair_matcher.match(left[i], right[j]).col_of_row
                shares.append(np.count_nonzero(matched >= 0) / min(left.shape[1], right.shape[1]))
                distances.append(_distances(matched, *pair_matcher.grids))
    moved = np.concatenate(distances) if distances else np.empty(0)
    return Movement(
        float(moved.mean()) if moved.size else np.nan, float(np.mean(shares)) if shares else np.nan, len(shares)
    )


def _some(x: Representations, most: int) -> NDArray[np.float32]:
    """At most so many images, evenly spaced from the first to the last."""
    rows = np.unique(np.linspace(0, x.shape[0] - 1, most).round().astype(int))
    return np.concatenate([load_float32(x, int(row), 1) for row in rows])


def _distances(
    col_of_row: NDArray[np.int64], grid: tuple[int, int] | None, grid_y: tuple[int, int] | None
) -> NDArray[np.float64]:
    """How far matched positions lie from their partners, in diagonals; nothing where they lie on no grid."""
    if grid is None or grid_y is None:
        return np.empty(0)
    rows = np.flatnonzero(col_of_row >= 0)
    return np.asarray(np.linalg.norm(places(grid)[rows] - places(grid_y)[col_of_row[rows]], axis=1))
