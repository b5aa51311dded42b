"""The inner loops of the auction over the columns of a row, 16 lanes at a time.

With `NUMBA_DISABLE_JIT=1`, which leaves no lanes, the plain twins at the end take their place.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from semrsm_cli.jit import compiled
from semrsm_cli.matching.lanes import (
    LANES,
    add_integers,
    bits,
    equal,
    gather,
    greater,
    high,
    lane,
    load,
    low,
    multiply_add,
    numbered,
    prefetch,
    splat,
    store,
    subtract,
    trailing_zeros,
    where,
)

__all__ = [
    "BLOCK",
    "fetch",
    "lowest_bit",
    "multiply",
    "parts_above",
    "two_best",
    "two_best_of_both",
    "two_best_remembered",
]

BLOCK = 64  # columns that `multiply` computes at a time

_inlined = compiled(_nrt=False, forceinline=True)


@_inlined
def _larger(x: Any, y: Any) -> Any:
    """Lane by lane, the larger of two."""
    return where(greater(x, y), x, y)


@_inlined
def _smaller(x: Any, y: Any) -> Any:
    """Lane by lane, the smaller of two."""
    return where(greater(y, x), x, y)


@_inlined
def _knock_out(best: Any, second: Any) -> Any:
    """One round of a tournament: best and second best in half as many lanes."""
    a, b = low(best), high(best)
    return _larger(a, b), _larger(_larger(low(second), high(second)), _smaller(a, b))


@_inlined
def _over_lanes(best: Any, second: Any, place: Any) -> Any:
    """From each lane's best and second best to those of all lanes, and the place of the best."""
    best8, second8 = _knock_out(best, second)
    best4, second4 = _knock_out(best8, second8)
    best2, second2 = _knock_out(best4, second4)
    best1, second1 = _knock_out(best2, second2)
    top = lane(best1, 0)
    winner = trailing_zeros(bits(equal(best, splat(top)))) & (LANES - 1)
    return top, lane(second1, 0), np.int64(lane(place, winner))


@_inlined
def _take(profit: Any, best: Any, second: Any, place: Any, here: Any) -> Any:
    """Per lane the best so far, the second best, and where the best was, after 16 more that are `here`."""
    better = greater(profit, best)
    second = _larger(_smaller(profit, best), second)
    return where(better, profit, best), second, where(better, here, place)


@_inlined
def _two_best_lanes(affinity: Any, start: int, price: Any, begin: int, end: int) -> Any:
    """Of the columns from `begin` to `end`: the best profit `affinity - price`, the second best, the best's column.

    `begin` and `end` are multiples of LANES; the affinities lie from `start` on in an array.
    """
    best = second = splat(price.dtype.type(-np.inf))
    place, here = splat(np.int32(0)), numbered()
    for j in range(0, end - begin, LANES):
        profit = subtract(load(affinity, start + j), load(price, begin + j))
        best, second, place = _take(profit, best, second, place, here)
        here = add_integers(here, splat(np.int32(LANES)))
    top, runner_up, column = _over_lanes(best, second, place)
    return top, runner_up, begin + column


@_inlined
def _two_best_of_both_lanes(affinity: Any, start: int, other_start: int, price: Any) -> Any:
    """`two_best` of all columns of two rows, whose affinities lie from `start` and from `other_start` on.

    Each step of a scan waits for the one before: two rows take little more time than one.
    """
    best = second = other_best = other_second = splat(price.dtype.type(-np.inf))
    place = other_place = splat(np.int32(0))
    here = numbered()
    for j in range(0, price.shape[0], LANES):
        prices = load(price, j)
        profit = subtract(load(affinity, start + j), prices)
        best, second, place = _take(profit, best, second, place, here)
        profit = subtract(load(affinity, other_start + j), prices)
        other_best, other_second, other_place = _take(profit, other_best, other_second, other_place, here)
        here = add_integers(here, splat(np.int32(LANES)))
    return _over_lanes(best, second, place), _over_lanes(other_best, other_second, other_place)


@_inlined
def _fetch_lanes(affinity: Any, start: int, end: int) -> None:
    """Let the processor read affinities that are scanned soon, while it goes on with what it has."""
    for j in range(start, end, LANES):
        prefetch(affinity, j)


@_inlined
def _two_best_remembered_lanes(candidates: Any, remembered: Any, row: int, price: Any) -> Any:
    """Of a row's candidates: the best profit, the second best, and the part of the best.

    For each row, `candidates` [s, parts] holds the best column of each part, and `remembered` [s, 2, parts] their
    affinities and the profits of the parts' runners-up; the parts are a multiple of LANES.
    """
    n_parts = candidates.shape[1]
    best = second = splat(price.dtype.type(-np.inf))
    place, here = splat(np.int32(0)), numbered()
    for j in range(0, n_parts, LANES):
        profit = subtract(load(remembered, 2 * row * n_parts + j), gather(price, candidates, row * n_parts + j))
        best, second, place = _take(profit, best, second, place, here)
        here = add_integers(here, splat(np.int32(LANES)))
    return _over_lanes(best, second, place)


@_inlined
def _parts_above_lanes(remembered: Any, row: int, begin: int, end: int, profit: Any) -> Any:
    """A bit for each part of a row from `begin` to `end` whose runner-up gains more than `profit`; 64 parts at most."""
    n_parts, above = remembered.shape[2], 0
    for j in range(begin, end, LANES):
        above |= bits(greater(load(remembered, (2 * row + 1) * n_parts + j), splat(profit))) << (j - begin)
    return above


@_inlined
def _multiply_lanes(x: Any, row: int, packed: Any, begin: int, end: int, out: Any) -> None:
    """The inner products of x[row] with the columns from `begin` to `end`, to where they belong in `out`.

    `begin` and `end` are multiples of BLOCK; the columns are `packed` [blocks, c, BLOCK], to be read in order.
    """
    channels = x.shape[1]
    for block in range(begin // BLOCK, end // BLOCK):
        a = b = c = d = splat(x.dtype.type(0))
        at = block * channels * BLOCK
        for k in range(channels):
            one = splat(x[row, k])
            a = multiply_add(one, load(packed, at), a)
            b = multiply_add(one, load(packed, at + LANES), b)
            c = multiply_add(one, load(packed, at + 2 * LANES), c)
            d = multiply_add(one, load(packed, at + 3 * LANES), d)
            at += BLOCK
        store(out, block * BLOCK, a)
        store(out, block * BLOCK + LANES, b)
        store(out, block * BLOCK + 2 * LANES, c)
        store(out, block * BLOCK + 3 * LANES, d)


def _two_best_plain(
    affinity: NDArray[Any], start: int, price: NDArray[Any], begin: int, end: int
) -> tuple[Any, Any, int]:
    """`two_best`, uncompiled."""
    profit = affinity[start : start + end - begin] - price[begin:end]
    column = int(np.argmax(profit))
    return profit[column], np.partition(profit, -2)[-2], begin + column


def _two_best_of_both_plain(
    affinity: NDArray[Any], start: int, other_start: int, price: NDArray[Any]
) -> tuple[tuple[Any, Any, int], tuple[Any, Any, int]]:
    """`two_best_of_both`, uncompiled."""
    n = len(price)
    return _two_best_plain(affinity, start, price, 0, n), _two_best_plain(affinity, other_start, price, 0, n)


def _fetch_plain(affinity: NDArray[Any], start: int, end: int) -> None:
    """`fetch`, of which nothing is seen but its time."""


def _two_best_remembered_plain(
    candidates: NDArray[Any], remembered: NDArray[Any], row: int, price: NDArray[Any]
) -> tuple[Any, Any, int]:
    """`two_best_remembered`, uncompiled."""
    affinities = remembered[row, 0]
    return _two_best_plain(affinities, 0, price[candidates[row]], 0, len(affinities))


def _parts_above_plain(remembered: NDArray[Any], row: int, begin: int, end: int, profit: Any) -> int:
    """`parts_above`, uncompiled."""
    return sum(1 << int(k) for k in np.flatnonzero(remembered[row, 1, begin:end] > profit))


def _multiply_plain(x: NDArray[Any], row: int, packed: NDArray[Any], begin: int, end: int, out: NDArray[Any]) -> None:
    """`multiply`, uncompiled."""
    blocks = packed[begin // BLOCK : end // BLOCK]
    out[begin:end] = np.einsum("k,gkl->gl", x[row], blocks).ravel()


def _lowest_bit_plain(bits: int) -> int:
    """`lowest_bit`, uncompiled."""
    return (bits & -bits).bit_length() - 1


_PLAIN = bool(numba.config.DISABLE_JIT)

two_best = _two_best_plain if _PLAIN else _two_best_lanes
two_best_of_both = _two_best_of_both_plain if _PLAIN else _two_best_of_both_lanes
fetch = _fetch_plain if _PLAIN else _fetch_lanes
two_best_remembered = _two_best_remembered_plain if _PLAIN else _two_best_remembered_lanes
parts_above = _parts_above_plain if _PLAIN else _parts_above_lanes
multiply = _multiply_plain if _PLAIN else _multiply_lanes
lowest_bit = _lowest_bit_plain if _PLAIN else trailing_zeros
