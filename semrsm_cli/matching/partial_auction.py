"""The optimal matching that may leave positions free: of images of unequal size, or of pairs worth at least a floor.

Columns that stay free must have the price 0, or the prices would give no tight bound: all begin there, and a row
without a column bids as in `auction`. A row whose best profit does not exceed the floor stays free, and does not bid.
What was raised in one phase, and is wanted by nobody in the next, is lowered again by a reverse auction, in which such
a column bids for the row that gains most by it.

For any prices of at least 0, `sum_i max(max_j (A[i, j] - p[j]) - floor, 0) + sum_j p[j]` bounds the optimum from above;
where there is no floor, every row is matched, and its best profit counts as it is.
"""

from typing import Any

import numpy as np

from semrsm_cli.jit import compiled
from semrsm_cli.matching.auction import (
    EPSILON_FACTOR,
    FIRST_EPSILON,
    MAX_PHASES,
    SAMPLED_ROWS,
    Owners,
    Rows,
    State,
    add_row,
    affinity_of,
    compute,
    remember_all,
    resolution,
    row_length,
    run_phase,
    scan_row,
)
from semrsm_cli.matching.lanes import LANES
from semrsm_cli.matching.scans import two_best

__all__ = ["solve_partial"]


@compiled(_nrt=False)
def _mean_affinity(rows: Rows, s: int, length: int, total: Any, absolute: Any) -> float:
    """The mean absolute affinity of some of the s rows; `total` and `absolute` [t] are room to work in."""
    stride = max(1, s // SAMPLED_ROWS)
    while True:
        absolute[:] = 0
        n_rows = 0
        for i in range(0, s, stride):
            compute(rows.flat, rows.x, rows.packed, i, 0, length)
            add_row(rows.flat, i * rows.stride, total, absolute)
            n_rows += 1
        size = np.float64(0)
        for j in range(absolute.shape[0]):
            size += absolute[j]
        if size > 0 or stride == 1:
            return size / (n_rows * absolute.shape[0])
        stride = 1  # a sample of zeros says nothing about the rest


@compiled(_nrt=False, forceinline=True)
def _read_column(rows: Rows, columns: Rows, x: Any, j: int, s: int, is_read: Any) -> int:
    """Where column j, of s rows, lies in `columns.flat`; `x` are the vectors of the columns, or None for a matrix.

    Those of a matrix are copied when they are first asked for, some neighbours at once: the rows of a column lie far
    apart, and each read brings its neighbours along.
    """
    if x is not None:
        compute(columns.flat, x, columns.packed, j, 0, columns.flat.shape[0])
        return 0
    block = j // LANES
    if not is_read[block]:
        is_read[block] = True
        begin, end = block * LANES, min((block + 1) * LANES, is_read.shape[0])
        for i in range(s):
            for k in range(begin, end):
                columns.flat[k * columns.stride + i] = rows.flat[i * rows.stride + k]
    return j * columns.stride


@compiled(_nrt=False)
def _bid_backward(
    rows: Rows,
    columns: Rows,
    price: Any,
    epsilon: float,
    floor: float,
    owners: Owners,
    profit: Any,
    stack: Any,
    is_read: Any,
) -> bool:
    """Let free columns with a price bid for rows until all free ones have none; return whether any price fell.

    `profit` is room for what each row gains, infinite beyond the last; `stack` [t] for the columns that still bid;
    `is_read` [t] tells at its beginning which blocks of LANES columns were copied.
    """
    col_of_row, row_of_col = owners.col_of_row, owners.row_of_col
    s, n_left = col_of_row.shape[0], 0
    for j in range(row_of_col.shape[0]):
        if row_of_col[j] < 0 and price[j] > 0:
            stack[n_left] = j
            n_left += 1
    if n_left == 0:
        return False
    for i in range(s):
        profit[i] = floor if col_of_row[i] < 0 else affinity_of(rows, i, col_of_row[i]) - price[col_of_row[i]]
    eps, none = price.dtype.type(epsilon), price.dtype.type(0)
    while n_left > 0:
        n_left -= 1
        j = stack[n_left]
        start = _read_column(rows, columns, columns.x, j, s, is_read)
        best, second, i = two_best(columns.flat, start, profit, 0, profit.shape[0])
        if best <= eps:
            price[j] = none
            continue
        price[j] = max(none, min(price[j], second - eps))
        former = col_of_row[i]
        if former >= 0:
            row_of_col[former] = -1
            if price[former] > 0:
                stack[n_left] = former
                n_left += 1
        col_of_row[i], row_of_col[j] = j, i
        profit[i] = columns.flat[start + i] - price[j]
    return True


@compiled(_nrt=False)
def _value_of_matched(rows: Rows, floor: float, col_of_row: Any) -> float:
    """What matched pairs are worth above the floor, or in all where there is none; summed in float64."""
    total = np.float64(0)
    least = floor if floor > -np.inf else 0.0
    for i in range(col_of_row.shape[0]):
        if col_of_row[i] >= 0:
            total += np.float64(affinity_of(rows, i, col_of_row[i])) - least
    return total


@compiled(_nrt=False)
def _bound_of_free(rows: Rows, price: Any, floor: float, s: int, t: int) -> float:
    """The upper bound that the prices give, with room for the rounding of every profit, summed in float64."""
    total, size = np.float64(0), np.float64(0)
    for i in range(s):
        best, _, _ = scan_row(rows, price, i, 0, price.shape[0])
        size += abs(best)
        total += max(np.float64(best) - floor, 0.0) if floor > -np.inf else best
    for j in range(t):
        total += price[j]
        size += abs(price[j])
    rounding = np.finfo(price.dtype).eps / 2 + 2 * np.finfo(np.float64).eps
    return total + rounding * size


@compiled(nogil=True)
def solve_partial(
    rows: Rows,
    columns: Rows,
    n_columns: int,
    candidates: Any,
    remembered: Any,
    tolerance: float,
    floor: float,
    col_of_row: Any,
) -> Any:
    """Match rows to columns in `col_of_row` [s], -1 for rows that stay free; return value, upper bound, and success.

    Args:
        rows: The affinity [s, n_columns], with no fewer columns than rows.
        columns: Its columns: `flat` is room for all, `stride` apart, or for one where they are computed from vectors.
        n_columns: How many there are.
        candidates: Room for those of `State`, or None.
        remembered: The same.
        tolerance: As in `auction.solve`.
        floor: What a pair must be worth more than to be matched; -infinity: all rows are matched.
        col_of_row: The matching.
    """
    flat = rows.flat
    s, t = col_of_row.shape[0], n_columns
    price = np.empty(row_length(rows, rows.x, t), flat.dtype)
    state = State(price, candidates, remembered)
    owners, stack = Owners(col_of_row, np.empty(t, np.int64), np.empty(s, np.int64)), np.empty(t, np.int64)
    profit = np.full(row_length(columns, columns.x, s), np.inf, flat.dtype)
    is_read = np.zeros(t, np.bool_)
    largest = np.sqrt(np.finfo(flat.dtype).max) * 1e10
    scale = _mean_affinity(rows, s, price.shape[0], np.zeros(t, flat.dtype), np.empty(t, flat.dtype))
    price[:t] = 0
    price[t:] = np.inf
    if scale == 0 or t == 1:  # each row has its own column; the prices, all zero, prove that nothing is better
        for i in range(s):
            col_of_row[i] = i if affinity_of(rows, i, i) > floor else -1
        value = _value_of_matched(rows, floor, col_of_row)
        return value, value, True
    if not 1 / largest < scale < largest:  # prices would leave the range of the element type
        col_of_row[:] = np.arange(s)
        return 0.0, np.inf, False
    value, bound, allowed = 0.0, np.inf, 0.0
    epsilon, has_fallen = FIRST_EPSILON * scale, True
    for phase in range(MAX_PHASES):
        if has_fallen:
            remember_all(rows, state, candidates)
        run_phase(rows, state, epsilon, floor, owners)
        has_fallen = _bid_backward(rows, columns, price, epsilon, floor, owners, profit, stack, is_read)
        value = _value_of_matched(rows, floor, col_of_row)
        allowed = tolerance * max(abs(value), s * scale / 100)
        finest = resolution(price, max(np.abs(price[:t]).max(), scale))
        last = epsilon <= finest or phase == MAX_PHASES - 1
        if last or s * epsilon <= 2 * allowed:  # the gap is half of s * epsilon as a rule
            bound = max(_bound_of_free(rows, price, floor, s, t), value)
            if last or bound - value <= allowed:
                break
            epsilon = max(0.4 * epsilon, finest)
        else:
            epsilon = max(EPSILON_FACTOR * epsilon, 1.6 * allowed / s, finest)
    return value, bound, bound - value <= allowed
