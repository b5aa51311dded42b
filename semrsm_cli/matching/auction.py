"""The optimal matching with its certificate: a forward auction with epsilon scaling (Bertsekas).

Column j has a price p[j]; its worth to row i is A[i, j] - p[j]. A row without a column bids for its best one, raises
that price until the column is worth no more than the second best less epsilon, and throws out the former owner. For any
prices, `sum_i max_j (A[i, j] - p[j]) + sum_j p[j]` bounds the optimum from above (weak duality).

Prices only rise. So a long row is cut into parts, and remembers of each part the best column and what the runner-up was
worth; as long as no runner-up exceeds the second best of the remembered columns at today's prices, a bid needs no
look at the row, and else a look at some parts of it only. Short rows are quicker to read than to remember.

The compiled functions take affinities in one of two ways. Either row i lies at `flat[i * pitch]`, and the array goes on
for LANES elements after the last row; x and packed are None. Or pitch is 0, and `flat` is a buffer for one row, whose
affinities are computed when they are looked at: from x [s, c], and from y `packed` for `multiply`. Rows that remember
nothing have None for `columns` and `memory`. These are arrays, not fields of objects, and reference counting is off
(`_nrt`): it would take more time than the bids.
"""

from typing import Any

import numpy as np

from semrsm_cli.compiled import compiled
from semrsm_cli.matching.vectors import BLOCK, LANES, lowest_bit, multiply, two_best, two_best_remembered

__all__ = ["MAX_UNCACHED_ROW", "look", "padded", "solve", "solve_tile"]

MAX_UNCACHED_ROW = 1024  # rows up to this length are read anew for every bid
SAMPLED_ROWS = 64  # rows that the first prices are taken from
FIRST_EPSILON = 0.08  # relative to the mean affinity
EPSILON_FACTOR = 0.06  # from one phase to the next; both measured: within 10 % from 0.04 to 0.15, and 0.03 to 0.1
MAX_PHASES = 60
AFFINITIES, HIDDEN = 0, 1  # what the memory [s, 2, parts] holds for each row


@compiled(_nrt=False)
def padded(s: int, to: int) -> int:
    """The length s rounded up to a multiple of `to`."""
    return (s + to - 1) // to * to


@compiled(_nrt=False, forceinline=True)
def look(flat: Any, pitch: int, x: Any, packed: Any, price: Any, i: int, begin: int, end: int) -> Any:
    """Of row i's columns from `begin` to `end`: the best worth, the second best, and the best one's column."""
    if x is not None:
        multiply(x, i, packed, begin, end, flat)
    return two_best(flat, i * pitch + begin, price, begin, end)


@compiled(_nrt=False, forceinline=True)
def affinity_of(flat: Any, pitch: int, x: Any, packed: Any, i: int, column: int) -> Any:
    """One affinity."""
    if x is not None:
        begin = column // BLOCK * BLOCK
        multiply(x, i, packed, begin, begin + BLOCK, flat)
    return flat[i * pitch + column]


@compiled(_nrt=False, forceinline=True)
def refresh(
    flat: Any, pitch: int, x: Any, packed: Any, price: Any, columns: Any, memory: Any, i: int, part: int
) -> None:
    """Look at one part of row i, and remember its best column and what the runner-up is worth."""
    n = price.shape[0]
    width = padded((n + columns.shape[1] - 1) // columns.shape[1], BLOCK)
    begin, end = min(part * width, n), min((part + 1) * width, n)
    if begin == end:
        columns[i, part] = 0
        memory[i, AFFINITIES, part] = -np.inf
        memory[i, HIDDEN, part] = -np.inf
        return
    _, second, column = look(flat, pitch, x, packed, price, i, begin, end)
    columns[i, part] = column
    memory[i, AFFINITIES, part] = flat[i * pitch + column]
    memory[i, HIDDEN, part] = second


@compiled(_nrt=False, forceinline=True)
def choose(flat: Any, pitch: int, x: Any, packed: Any, price: Any, columns: Any, memory: Any, i: int) -> Any:
    """The best worth and the second best of row i at today's prices, and the column of the best."""
    if memory is None:
        return look(flat, pitch, x, packed, price, i, 0, price.shape[0])
    best, second, top, stale = two_best_remembered(columns, memory, i, price)
    while stale != 0:
        part = lowest_bit(stale)
        stale &= stale - 1
        if memory[i, HIDDEN, part] <= second:  # the second best has risen since
            continue
        refresh(flat, pitch, x, packed, price, columns, memory, i, part)
        worth = memory[i, AFFINITIES, part] - price[columns[i, part]]
        if part == top:
            best = worth
        elif worth > best:
            best, second, top = worth, best, part
        else:
            second = max(second, worth)
        second = max(second, memory[i, HIDDEN, part])
    return best, second, np.int64(columns[i, top])


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
def first_prices(flat: Any, pitch: int, x: Any, packed: Any, price: Any, absolute: Any) -> float:
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
            if x is not None:
                multiply(x, i, packed, 0, price.shape[0], flat)
            add_row(flat, i * pitch, price, absolute)
            n_rows += 1
        total = 0.0
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


@compiled(_nrt=False)
def run_phase(
    flat: Any,
    pitch: int,
    x: Any,
    packed: Any,
    price: Any,
    columns: Any,
    memory: Any,
    epsilon: float,
    col_of_row: Any,
    row_of_col: Any,
    queue: Any,
) -> None:
    """Free all rows and let them bid until each has a column within epsilon of its best."""
    s = col_of_row.shape[0]
    for i in range(s):
        row_of_col[i] = -1
        queue[i] = i
    eps = price.dtype.type(epsilon)
    head, n_free = 0, s
    while n_free > 0:
        i = queue[head]
        head = head + 1 if head + 1 < s else 0
        best, second, column = choose(flat, pitch, x, packed, price, columns, memory, i)
        raised = price[column] + (best - second + eps)
        if raised <= price[column]:  # epsilon is lost in the rounding of so large a price
            eps = price.dtype.type(resolution(price, abs(price[column])))
            raised = price[column] + eps
        price[column] = raised
        loser = row_of_col[column]
        row_of_col[column] = i
        col_of_row[i] = column
        if loser < 0:
            n_free -= 1
        else:
            tail = head + n_free - 1
            queue[tail if tail < s else tail - s] = loser


@compiled(_nrt=False)
def value_of(flat: Any, pitch: int, x: Any, packed: Any, col_of_row: Any) -> float:
    """What the matching is worth, summed in float64."""
    total = 0.0
    for i in range(col_of_row.shape[0]):
        total += affinity_of(flat, pitch, x, packed, i, col_of_row[i])
    return total


@compiled(_nrt=False)
def bound_of(flat: Any, pitch: int, x: Any, packed: Any, price: Any, columns: Any, memory: Any, s: int) -> float:
    """The upper bound that the prices give, with room for the rounding of every worth, summed in float64."""
    total = 0.0
    size = 0.0
    for i in range(s):
        best, _, _ = choose(flat, pitch, x, packed, price, columns, memory, i)
        total += best
        size += abs(best)
    for j in range(s):
        total += price[j]
        size += abs(price[j])
    rounding = np.finfo(price.dtype).eps / 2 + 2 * np.finfo(np.float64).eps
    return total + rounding * size


@compiled(nogil=True)
def solve(
    flat: Any, pitch: int, x: Any, packed: Any, columns: Any, memory: Any, tolerance: float, col_of_row: Any
) -> Any:
    """Match rows to columns in `col_of_row` [s]; return value, upper bound, and whether the tolerance was met.

    The gap is relative to the value, or to s * mean|A| / 100 where the value is close to zero.
    """
    s = col_of_row.shape[0]
    price = np.empty(padded(s, LANES) if x is None else flat.shape[0], flat.dtype)
    owners, queue = np.empty(s, np.int64), np.empty(s, np.int64)
    largest = np.sqrt(np.finfo(flat.dtype).max) * 1e10
    scale = first_prices(flat, pitch, x, packed, price, np.empty(s, flat.dtype))
    col_of_row[:] = np.arange(s)
    value = value_of(flat, pitch, x, packed, col_of_row)
    bound = value
    if s == 1 or scale == 0:
        return value, bound, True
    if not 1 / largest < scale < largest:  # prices would leave the range of the element type
        return value, np.inf, False
    if memory is not None:
        for i in range(s):
            for part in range(columns.shape[1]):
                refresh(flat, pitch, x, packed, price, columns, memory, i, part)
    epsilon = FIRST_EPSILON * scale
    for phase in range(MAX_PHASES):
        run_phase(flat, pitch, x, packed, price, columns, memory, epsilon, col_of_row, owners, queue)
        value = value_of(flat, pitch, x, packed, col_of_row)
        allowed = tolerance * max(abs(value), s * scale / 100)
        finest = resolution(price, max(np.abs(price[:s]).max(), scale))
        last = epsilon <= finest or phase == MAX_PHASES - 1
        if last or s * epsilon <= 2 * allowed:  # the gap is half of s * epsilon as a rule
            bound = max(bound_of(flat, pitch, x, packed, price, columns, memory, s), value)
            if last or bound - value <= allowed:
                break
            epsilon = max(0.4 * epsilon, finest)
        else:
            epsilon = max(EPSILON_FACTOR * epsilon, 1.6 * allowed / s, finest)
    return value, bound, bound - value <= allowed


@compiled(nogil=True)
def solve_tile(
    products: Any, mask: Any, tolerance: float, columns: Any, memory: Any, found: Any, col_of_row: Any
) -> None:
    """Match all pairs of the mask [r, q] of images: no interpreter between two pairs, and none of its locks.

    `products` is the flat product [r * s, q * s] of their concept vectors, and LANES elements more; pair (i, j) is a
    block of it. To `found` [3, r, q] go value, bound, and 1 where the tolerance was not met; to `col_of_row` [r, q, s]
    the permutations.
    """
    r, q, s = col_of_row.shape
    for i in range(r):
        for j in range(q):
            if mask[i, j]:
                flat = products[i * s * q * s + j * s :]
                value, bound, met = solve(flat, q * s, None, None, columns, memory, tolerance, col_of_row[i, j])
                found[0, i, j], found[1, i, j], found[2, i, j] = value, bound, not met
