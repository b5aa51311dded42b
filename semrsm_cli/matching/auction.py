"""The optimal matching with its certificate: a forward auction with epsilon scaling (Bertsekas).

Column j has a price p[j]; the profit of row i from it is A[i, j] - p[j]. A row without a column bids for its best one,
raises that price until the column gives no more profit than the second best less epsilon, and throws out the former
owner. For any prices, `sum_i max_j (A[i, j] - p[j]) + sum_j p[j]` bounds the optimum from above (weak duality).

Prices only rise. So a long row is cut into parts, and remembers of each part the best column, its candidate, and the
profit of the runner-up. As long as no runner-up exceeds the second best of the candidates at today's prices, a bid
needs no look at the row, and else a look at some parts of it only. Short rows are quicker to read than to remember, and
are read by two.

Reference counting is off in the inner functions (`_nrt`): it would take more time than the bids. Named tuples of arrays
cost nothing there; objects would.
"""

from typing import Any, NamedTuple

import numpy as np

from semrsm_cli.jit import compiled
from semrsm_cli.matching.lanes import LANES
from semrsm_cli.matching.scans import (
    BLOCK,
    fetch,
    lowest_bit,
    multiply,
    parts_above,
    two_best,
    two_best_of_both,
    two_best_remembered,
)

__all__ = [
    "EPSILON_FACTOR",
    "FIRST_EPSILON",
    "MAX_PHASES",
    "MAX_UNCACHED_ROW",
    "SAMPLED_ROWS",
    "Owners",
    "Rows",
    "State",
    "add_row",
    "affinity_of",
    "compute",
    "remember_all",
    "resolution",
    "round_up",
    "row_length",
    "run_phase",
    "scan_row",
    "solve",
]

MAX_UNCACHED_ROW = 1024  # rows up to this length are read anew for every bid
SAMPLED_ROWS = 64  # rows that the first prices are taken from
FIRST_EPSILON = 0.08  # relative to the mean affinity
EPSILON_FACTOR = 0.06  # from one phase to the next; both measured: within 10 % from 0.04 to 0.15, and 0.03 to 0.1
MAX_PHASES = 60
_BITS = 64  # of parts at once
_AFFINITY, _RUNNER_UP = 0, 1  # what a row remembers of its parts beside the candidates


class Rows(NamedTuple):
    """The rows of an affinity [s, s].

    Of a matrix, row i lies at `flat[i * stride]`, and the array goes on for LANES elements after the last one; x and
    packed are None. Else they are computed when they are looked at: from x [s, c], and from y `packed` for `multiply`;
    stride is 0, and `flat` has room for one row, whose length is a multiple of BLOCK.
    """

    flat: Any
    stride: int
    x: Any
    packed: Any


class State(NamedTuple):
    """The prices of the columns, infinite beyond the last, and of each row what it remembers of its parts.

    `candidates` [s, parts] are the best columns, `remembered` [s, 2, parts] their affinities and the profits of the
    runners-up; both are None where rows are short.
    """

    price: Any
    candidates: Any
    remembered: Any


class Owners(NamedTuple):
    """Which column each row has [s], which row each column [t], -1 for none; and room [s] for a ring of free rows."""

    col_of_row: Any
    row_of_col: Any
    queue: Any


@compiled(_nrt=False)
def round_up(s: int, to: int) -> int:
    """The length s rounded up to a multiple of `to`."""
    return (s + to - 1) // to * to


@compiled(_nrt=False)
def row_length(rows: Rows, x: Any, s: int) -> int:
    """The length at which rows are read; `x` as `candidates` in `_top_two`."""
    return round_up(s, LANES) if x is None else rows.flat.shape[0]


@compiled(_nrt=False, forceinline=True)
def compute(flat: Any, x: Any, packed: Any, i: int, begin: int, end: int) -> None:
    """Fill `flat` with the columns from `begin` to `end` of row i, unless the rows are those of a matrix."""
    if x is not None:
        multiply(x, i, packed, begin, end, flat)


@compiled(_nrt=False, forceinline=True)
def scan_row(rows: Rows, price: Any, i: int, begin: int, end: int) -> Any:
    """Of row i's columns from `begin` to `end`: the best profit, the second best, and the best one's column."""
    compute(rows.flat, rows.x, rows.packed, i, begin, end)
    return two_best(rows.flat, i * rows.stride + begin, price, begin, end)


@compiled(_nrt=False, forceinline=True)
def affinity_of(rows: Rows, i: int, column: int) -> Any:
    """One affinity."""
    begin = column // BLOCK * BLOCK
    compute(rows.flat, rows.x, rows.packed, i, begin, begin + BLOCK)
    return rows.flat[i * rows.stride + column]


@compiled(_nrt=False, forceinline=True)
def _extent_of_part(length: int, n_parts: int, part: int) -> Any:
    """Where a part of a row begins and ends."""
    width = round_up((length + n_parts - 1) // n_parts, BLOCK)
    return min(part * width, length), min((part + 1) * width, length)


@compiled(_nrt=False, forceinline=True)
def _fetch_parts(rows: Rows, state: State, i: int, first: int, parts: int) -> None:
    """Fetch the parts of row i whose bits are set, `first` by the lowest, unless they are computed: they lie apart."""
    if rows.x is None:
        while parts != 0:
            part = first + lowest_bit(parts)
            parts &= parts - 1
            begin, end = _extent_of_part(state.price.shape[0], state.candidates.shape[1], part)
            fetch(rows.flat, i * rows.stride + begin, i * rows.stride + end)


@compiled(_nrt=False, forceinline=True)
def _rescan_part(rows: Rows, state: State, i: int, part: int) -> None:
    """Look at one part of row i, and remember its best column and the profit of the runner-up."""
    begin, end = _extent_of_part(state.price.shape[0], state.candidates.shape[1], part)
    if begin == end:
        state.candidates[i, part] = 0
        state.remembered[i, _AFFINITY, part] = -np.inf
        state.remembered[i, _RUNNER_UP, part] = -np.inf
        return
    _, second, column = scan_row(rows, state.price, i, begin, end)
    state.candidates[i, part] = column
    state.remembered[i, _AFFINITY, part] = rows.flat[i * rows.stride + column]
    state.remembered[i, _RUNNER_UP, part] = second


@compiled(_nrt=False, forceinline=True)
def _top_two(rows: Rows, state: State, candidates: Any, i: int) -> Any:
    """The best profit and the second best of row i at today's prices, and the column of the best.

    `candidates` are the state's, as an argument, of which numba sees whether it is None.
    """
    price, remembered = state.price, state.remembered
    if candidates is None:
        return scan_row(rows, price, i, 0, price.shape[0])
    best, second, top = two_best_remembered(candidates, remembered, i, price)
    for first in range(0, candidates.shape[1], _BITS):
        stale = parts_above(remembered, i, first, min(first + _BITS, candidates.shape[1]), second)
        _fetch_parts(rows, state, i, first, stale)
        while stale != 0:
            part = first + lowest_bit(stale)
            stale &= stale - 1
            if remembered[i, _RUNNER_UP, part] <= second:  # the second best has risen since
                continue
            _rescan_part(rows, state, i, part)
            profit = remembered[i, _AFFINITY, part] - price[candidates[i, part]]
            if part == top:
                best = profit
            elif profit > best:
                best, second, top = profit, best, part
            else:
                second = max(second, profit)
            second = max(second, remembered[i, _RUNNER_UP, part])
    return best, second, np.int64(candidates[i, top])


@compiled(_nrt=False)
def add_row(flat: Any, start: int, total: Any, absolute: Any) -> None:
    """Add the row that lies from `start` on to `total` [s], and its absolute affinities to `absolute` [s].

    A sum along the row would vectorise under fastmath only, and its order, and so its bits, then change between the
    process that compiles and those that find the code on disk.
    """
    for j in range(absolute.shape[0]):
        total[j] += flat[start + j]
        absolute[j] += abs(flat[start + j])


@compiled(_nrt=False)
def _first_prices(rows: Rows, price: Any, absolute: Any) -> float:
    """Set the prices to the mean affinity of each column over some rows; return their mean absolute affinity.

    `absolute` [s] is room to work in.
    """
    s = absolute.shape[0]
    stride = max(1, s // SAMPLED_ROWS)
    while True:
        price[:s] = 0
        absolute[:] = 0
        n_rows = 0
        for i in range(0, s, stride):
            compute(rows.flat, rows.x, rows.packed, i, 0, price.shape[0])
            add_row(rows.flat, i * rows.stride, price, absolute)
            n_rows += 1
        total = np.float64(0)
        for j in range(s):
            total += absolute[j]
        if total > 0 or stride == 1:
            break
        stride = 1  # a sample of zeros says nothing about the rest
    for j in range(s):
        price[j] /= price.dtype.type(n_rows)
    for j in range(s, price.shape[0]):
        price[j] = np.inf
    return total / (n_rows * s)


@compiled(_nrt=False)
def resolution(price: Any, largest: float) -> float:
    """The smallest epsilon that still moves prices of that size."""
    return 2 * np.finfo(price.dtype).eps * largest


@compiled(_nrt=False, forceinline=True)
def _following(place: int, s: int) -> int:
    """The place after another in a ring of s places."""
    return place + 1 if place + 1 < s else 0


@compiled(_nrt=False, forceinline=True)
def _bid(price: Any, owners: Owners, head: int, n_free: int, eps: Any, i: int, found: Any, least: Any) -> Any:
    """Let row i, which was taken from the queue, bid for the best column of `found`, or stay free.

    Args:
        price: The prices.
        owners: Of whose queue `head` is the first place.
        head: The same.
        n_free: Rows that are free, this one among them.
        eps: By how much more than its gain the row bids.
        i: The row.
        found: Its best profit, the second best, and the column of the best, as `two_best` gives them.
        least: A profit that is no more makes no bid.

    Returns:
        How many rows are free then, and epsilon, which grows where it is lost in the rounding of so large a price.
    """
    best, second, column = found
    if best <= least:
        return n_free - 1, eps
    raised = price[column] + (best - max(second, least) + eps)
    if raised <= price[column]:
        eps = price.dtype.type(resolution(price, abs(price[column])))
        raised = price[column] + eps
    price[column] = raised
    loser = owners.row_of_col[column]
    owners.row_of_col[column] = i
    owners.col_of_row[i] = column
    if loser < 0:
        return n_free - 1, eps
    owners.col_of_row[loser] = -1
    s = owners.queue.shape[0]
    tail = head + n_free - 1
    owners.queue[tail if tail < s else tail - s] = loser
    return n_free, eps


@compiled(_nrt=False)
def run_phase(rows: Rows, state: State, epsilon: float, floor: float, owners: Owners) -> None:
    """Free all rows and let them bid until each has a column within epsilon of its best, or gains at most the floor."""
    price, queue = state.price, owners.queue
    s = queue.shape[0]
    owners.row_of_col[:] = -1
    for i in range(s):
        owners.col_of_row[i] = -1
        queue[i] = i
    eps, least = price.dtype.type(epsilon), price.dtype.type(floor)
    are_read_whole = state.candidates is None and rows.x is None
    head, n_free = 0, s
    while n_free > 0:
        i, head = queue[head], _following(head, s)
        if are_read_whole and n_free > 1:
            other = queue[head]
            found, others = two_best_of_both(rows.flat, i * rows.stride, other * rows.stride, price)
            n_free, eps = _bid(price, owners, head, n_free, eps, i, found, least)
            # The other's second best may be dearer by now, so that it bids less than it could; not so its best.
            if others[2] != found[2]:
                head = _following(head, s)
                n_free, eps = _bid(price, owners, head, n_free, eps, other, others, least)
        else:
            found = _top_two(rows, state, state.candidates, i)
            n_free, eps = _bid(price, owners, head, n_free, eps, i, found, least)


@compiled(_nrt=False)
def _value_of(rows: Rows, col_of_row: Any) -> float:
    """The value of the matching, summed in float64."""
    total = np.float64(0)  # a Python float would give way to float32 where nothing is compiled
    for i in range(col_of_row.shape[0]):
        total += affinity_of(rows, i, col_of_row[i])
    return total


@compiled(_nrt=False)
def _bound_of(rows: Rows, state: State, s: int) -> float:
    """The upper bound that the prices give, with room for the rounding of every profit, summed in float64."""
    price = state.price
    total = np.float64(0)
    size = np.float64(0)
    for i in range(s):
        best, _, _ = _top_two(rows, state, state.candidates, i)
        total += best
        size += abs(best)
    for j in range(s):
        total += price[j]
        size += abs(price[j])
    rounding = np.finfo(price.dtype).eps / 2 + 2 * np.finfo(np.float64).eps
    return total + rounding * size


@compiled(_nrt=False)
def remember_all(rows: Rows, state: State, candidates: Any) -> None:
    """Look at all parts of all rows, unless rows are short; `candidates` as in `_top_two`."""
    if candidates is not None:
        for i in range(candidates.shape[0]):
            for part in range(candidates.shape[1]):
                _rescan_part(rows, state, i, part)


@compiled(nogil=True)
def solve(rows: Rows, candidates: Any, remembered: Any, tolerance: float, col_of_row: Any) -> Any:
    """Match rows to columns in `col_of_row` [s]; return value, upper bound, and whether the tolerance was met.

    The gap is relative to the value, or to s * mean|A| / 100 where the value is close to zero. `candidates` and
    `remembered` are room for those of `State`, or None.
    """
    flat = rows.flat
    s = col_of_row.shape[0]
    price = np.empty(row_length(rows, rows.x, s), flat.dtype)
    state = State(price, candidates, remembered)
    owners = Owners(col_of_row, np.empty(s, np.int64), np.empty(s, np.int64))
    largest = np.sqrt(np.finfo(flat.dtype).max) * 1e10
    scale = _first_prices(rows, price, np.empty(s, flat.dtype))
    col_of_row[:] = np.arange(s)
    value = _value_of(rows, col_of_row)
    bound = value
    if s == 1 or scale == 0:
        return value, bound, True
    if not 1 / largest < scale < largest:  # prices would leave the range of the element type
        return value, np.inf, False
    remember_all(rows, state, candidates)
    epsilon = FIRST_EPSILON * scale
    for phase in range(MAX_PHASES):
        run_phase(rows, state, epsilon, -np.inf, owners)
        value = _value_of(rows, col_of_row)
        allowed = tolerance * max(abs(value), s * scale / 100)
        finest = resolution(price, max(np.abs(price[:s]).max(), scale))
        last = epsilon <= finest or phase == MAX_PHASES - 1
        if last or s * epsilon <= 2 * allowed:  # the gap is half of s * epsilon as a rule
            bound = max(_bound_of(rows, state, s), value)
            if last or bound - value <= allowed:
                break
            epsilon = max(0.4 * epsilon, finest)
        else:
            epsilon = max(EPSILON_FACTOR * epsilon, 1.6 * allowed / s, finest)
    return value, bound, bound - value <= allowed
