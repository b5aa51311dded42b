"""The optimal matching: a forward auction whose rows remember the best column of each lane."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from semrsm_cli.matching.result import Matching

__all__ = ["optimal"]

LANES = 32  # lane of column j: j % LANES. The scan vectorises because lanes are independent of each other.
LOW = np.float32(-3e38)
HIGH = np.float32(3e38)
FIRST_EPS = 0.3  # relative to the mean affinity
EPS_FACTOR = 0.1
FAST = {"nnan", "nsz", "ninf", "contract", "reassoc"}


@numba.njit(cache=True, fastmath=FAST, inline="never")
def scan(affinity: Any, price: Any, lanes: Any) -> None:
    """One pass over a row: per lane the best worth, the runner-up's worth and the step at which the best stood.

    `lanes` is one array of 3 * LANES, so that the compiler needs no alias checks between its parts.
    """
    n = affinity.shape[0]
    for lane in range(LANES):
        lanes[lane] = LOW
        lanes[LANES + lane] = LOW
        lanes[2 * LANES + lane] = np.float32(0)
    steps = n // LANES
    for step in range(steps):
        start = step * LANES
        here = np.float32(step)
        for lane in range(LANES):
            worth = affinity[start + lane] - price[start + lane]
            best = lanes[lane]
            better = worth > best
            loser = best if better else worth
            lanes[lane] = worth if better else best
            runner_up = lanes[LANES + lane]
            lanes[LANES + lane] = loser if loser > runner_up else runner_up
            lanes[2 * LANES + lane] = here if better else lanes[2 * LANES + lane]
    for column in range(steps * LANES, n):
        lane = column - steps * LANES
        worth = affinity[column] - price[column]
        best = lanes[lane]
        if worth > best:
            lanes[lane] = worth
            lanes[LANES + lane] = max(best, lanes[LANES + lane])
            lanes[2 * LANES + lane] = np.float32(steps)
        elif worth > lanes[LANES + lane]:
            lanes[LANES + lane] = worth


@numba.njit(cache=True, inline="never")
def remember(lanes: Any, price: Any, columns: Any, affinities: Any) -> Any:
    """Keep each lane's best column and its affinity; return the best worth that was not kept."""
    hidden = LOW
    for lane in range(LANES):
        column = np.int32(lanes[2 * LANES + lane]) * LANES + lane
        best = lanes[lane]
        columns[lane] = column if best > LOW else 0
        affinities[lane] = best + price[column] if best > LOW else LOW
        hidden = max(hidden, lanes[LANES + lane])
    return hidden


@numba.njit(cache=True, inline="never")
def two_best(columns: Any, affinities: Any, price: Any, second: Any) -> Any:
    """Best and second-best worth of the remembered columns at today's prices, and the lane of the best."""
    best = LOW
    where = 0
    for lane in range(LANES):
        worth = affinities[lane] - price[columns[lane]]
        better = worth > best
        loser = best if better else worth
        second = loser if loser > second else second
        where = lane if better else where
        best = worth if better else best
    return best, second, where


@numba.njit(nogil=True, cache=True)
def auction(affinity: Any, price: Any, first_eps: Any, last_eps: Any, factor: Any) -> Any:
    """Match rows to columns of a float32 [s, s] affinity; `price` [s] ends as the dual solution."""
    s = affinity.shape[0]
    columns = np.zeros((s, LANES), np.int32)
    affinities = np.empty((s, LANES), np.float32)
    hidden = np.full(s, HIGH, np.float32)  # HIGH: never scanned
    lanes = np.empty(3 * LANES, np.float32)
    row_of_col = np.empty(s, np.int32)
    col_of_row = np.empty(s, np.int64)
    free = np.empty(s, np.int32)
    eps = first_eps
    while True:
        row_of_col[:] = -1
        for i in range(s):
            free[i] = s - 1 - i
        n_free = s
        while n_free > 0:
            n_free -= 1
            i = free[n_free]
            best, second, lane = two_best(columns[i], affinities[i], price, LOW)
            if second < hidden[i]:  # a column that was not kept may be better: look again
                scan(affinity[i], price, lanes)
                hidden[i] = remember(lanes, price, columns[i], affinities[i])
                best, second, lane = two_best(columns[i], affinities[i], price, hidden[i])
            j = columns[i, lane]
            price[j] += min(best - second, HIGH) + eps
            loser = row_of_col[j]
            row_of_col[j] = i
            col_of_row[i] = j
            if loser >= 0:
                free[n_free] = loser
                n_free += 1
        if eps <= last_eps:
            return col_of_row
        eps = max(eps * factor, last_eps)


def optimal(affinity: NDArray[Any], tolerance: float = 1e-4) -> Matching:
    """The permutation of largest summed affinity [s, s], with an upper bound within `tolerance` of its value."""
    s = len(affinity)
    exact = affinity.astype(np.float64)
    rows = np.arange(s)
    if s == 1:
        return Matching(np.zeros(1, np.int64), float(exact[0, 0]), float(exact[0, 0]))
    scale = float(np.abs(exact).mean()) or 1.0
    working = np.ascontiguousarray(exact / scale, dtype=np.float32)
    price = np.zeros(s, np.float32)
    last = 1e-3
    first = FIRST_EPS
    while True:
        columns = auction(working, price, np.float32(first), np.float32(last), np.float32(EPS_FACTOR))
        value = float(exact[rows, columns].sum())
        bound = float((exact - price * scale).max(1).sum() + price.sum(dtype=np.float64) * scale)
        enough = bound - value <= tolerance * max(abs(value), s * scale / 100)
        if enough or last * EPS_FACTOR < 1e-6 * max(1.0, float(np.abs(price).max())):
            return Matching(columns, value, max(value, bound))
        first, last = last, last * EPS_FACTOR
