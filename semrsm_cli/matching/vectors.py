"""The inner loops of the auction as vector code.

LLVM finds no vectors in these loops as numba puts them (3 to 10 times slower), so they are given to it as operations on
16 lanes, which it fits to the processor at hand. With `NUMBA_DISABLE_JIT=1` the plain twins take their place.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["BLOCK", "LANES", "lowest_bit", "multiply", "two_best", "two_best_remembered"]

LANES = 16
BLOCK = 64  # columns that `multiply` computes at a time
INT = ir.IntType(32)
LONG = ir.IntType(64)


def vector(element: ir.Type, values: list[Any]) -> ir.Constant:
    """A constant vector."""
    return ir.Constant(ir.VectorType(element, len(values)), values)


def parts(builder: ir.IRBuilder, v: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The lower and the upper half of a vector."""
    n = v.type.count
    nothing = ir.Constant(v.type, ir.Undefined)
    halves = (list(range(n // 2)), list(range(n // 2, n)))
    low, high = (builder.shuffle_vector(v, nothing, vector(INT, half)) for half in halves)
    return low, high


def splat(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    """A vector with the same scalar in all lanes."""
    nothing = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
    one = builder.insert_element(nothing, scalar, INT(0))
    return builder.shuffle_vector(one, nothing, vector(INT, [0] * LANES))


def larger(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Lane by lane, the larger of two."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def smaller(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Lane by lane, the smaller of two."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def load(builder: ir.IRBuilder, data: ir.Value, start: ir.Value) -> ir.Value:
    """The 16 elements of an array from `start` on, which need not be aligned to a vector."""
    run = builder.load(lanes_at(builder, data, start))
    run.align = 4
    return run


def lanes_at(builder: ir.IRBuilder, data: ir.Value, start: ir.Value) -> ir.Value:
    """Where 16 elements of an array begin."""
    return builder.bitcast(builder.gep(data, [start]), ir.VectorType(data.type.pointee, LANES).as_pointer())


def over_lanes(builder: ir.IRBuilder, best: ir.Value, second: ir.Value) -> tuple[ir.Value, ir.Value]:
    """From each lane's best and second best to those of all lanes, by a knock-out tournament."""
    while best.type.count > 1:
        a, b = parts(builder, best)
        c, d = parts(builder, second)
        best, second = larger(builder, a, b), larger(builder, larger(builder, c, d), smaller(builder, a, b))
    return builder.extract_element(best, INT(0)), builder.extract_element(second, INT(0))


def lane_mask(builder: ir.IRBuilder, comparison: ir.Value) -> ir.Value:
    """A comparison's outcome as one bit per lane."""
    return builder.zext(builder.bitcast(comparison, ir.IntType(LANES)), INT)


def first_lane(builder: ir.IRBuilder, v: ir.Value, scalar: ir.Value) -> ir.Value:
    """The first lane that holds the scalar."""
    equal = lane_mask(builder, builder.fcmp_ordered("==", v, splat(builder, scalar)))
    return builder.and_(builder.cttz(equal, ir.IntType(1)(0)), INT(LANES - 1))


def data_of(context: Any, builder: ir.IRBuilder, array_type: Any, array: Any) -> ir.Value:
    """Where the elements of an array argument lie."""
    return context.make_array(array_type)(context, builder, array).data


class Running:
    """Per lane, the best so far, the second best, and where the best was."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type) -> None:
        self.builder = builder
        self.type = ir.VectorType(element, LANES)
        lowest = vector(element, [float("-inf")] * LANES)
        self.best, self.second = (cgutils.alloca_once(builder, self.type) for _ in range(2))
        self.place, self.here = (cgutils.alloca_once(builder, ir.VectorType(INT, LANES)) for _ in range(2))
        for variable in (self.best, self.second):
            builder.store(lowest, variable)
        builder.store(vector(INT, [0] * LANES), self.place)
        builder.store(vector(INT, list(range(LANES))), self.here)

    def take(self, worth: ir.Value) -> None:
        """Take the next 16."""
        builder = self.builder
        before, here = builder.load(self.best), builder.load(self.here)
        better = builder.fcmp_ordered(">", worth, before)
        builder.store(larger(builder, smaller(builder, worth, before), builder.load(self.second)), self.second)
        builder.store(builder.select(better, worth, before), self.best)
        builder.store(builder.select(better, here, builder.load(self.place)), self.place)
        builder.store(builder.add(here, vector(INT, [LANES] * LANES)), self.here)

    def finish(self) -> tuple[ir.Value, ir.Value, ir.Value]:
        """The best of all, the second best, and the place of the best."""
        builder = self.builder
        best, second = over_lanes(builder, builder.load(self.best), builder.load(self.second))
        lane = first_lane(builder, builder.load(self.best), best)
        return best, second, builder.sext(builder.extract_element(builder.load(self.place), lane), LONG)


@intrinsic
def two_best_vectors(
    typing_context: Any, affinity: Any, start: Any, price: Any, begin: Any, end: Any
) -> tuple[Any, Callable[..., Any]]:
    """`two_best` in LLVM's terms."""
    found = types.Tuple((affinity.dtype, affinity.dtype, types.int64))
    signature = found(affinity, types.int64, price, types.int64, types.int64)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        a, p = (data_of(context, builder, signature.args[k], args[k]) for k in (0, 2))
        a, p = builder.gep(a, [args[1]]), builder.gep(p, [args[3]])
        running = Running(builder, a.type.pointee)
        with cgutils.for_range(builder, builder.udiv(builder.sub(args[4], args[3]), LONG(LANES))) as loop:
            at = builder.mul(loop.index, LONG(LANES))
            running.take(builder.fsub(load(builder, a, at), load(builder, p, at)))
        best, second, column = running.finish()
        return context.make_tuple(builder, signature.return_type, [best, second, builder.add(args[3], column)])

    return signature, generate


@intrinsic
def remembered_vectors(
    typing_context: Any, columns: Any, memory: Any, row: Any, price: Any
) -> tuple[Any, Callable[..., Any]]:
    """`two_best_remembered` in LLVM's terms."""
    found = types.Tuple((memory.dtype, memory.dtype, types.int64, types.int64))
    signature = found(columns, memory, types.int64, price)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        c, m, p = (data_of(context, builder, signature.args[k], args[k]) for k in (0, 1, 3))
        n_parts = cgutils.unpack_tuple(builder, context.make_array(signature.args[0])(context, builder, args[0]).shape)[
            1
        ]
        c = builder.gep(c, [builder.mul(args[2], n_parts)])
        affinities = builder.gep(m, [builder.mul(builder.mul(args[2], n_parts), LONG(2))])
        hidden = builder.gep(affinities, [n_parts])
        running = Running(builder, m.type.pointee)
        groups = builder.udiv(n_parts, LONG(LANES))
        with cgutils.for_range(builder, groups) as loop:
            at = builder.mul(loop.index, LONG(LANES))
            prices = ir.Constant(running.type, ir.Undefined)
            for lane in range(LANES):
                column = builder.load(builder.gep(c, [builder.add(at, LONG(lane))]))
                price_of_lane = builder.load(builder.gep(p, [builder.sext(column, LONG)]))
                prices = builder.insert_element(prices, price_of_lane, INT(lane))
            running.take(builder.fsub(load(builder, affinities, at), prices))
        top, runner_up, part = running.finish()
        stale = cgutils.alloca_once_value(builder, LONG(0))
        with cgutils.for_range(builder, groups) as loop:
            at = builder.mul(loop.index, LONG(LANES))
            above = builder.fcmp_ordered(">", load(builder, hidden, at), splat(builder, runner_up))
            bits = builder.shl(builder.zext(lane_mask(builder, above), LONG), at)
            builder.store(builder.or_(builder.load(stale), bits), stale)
        return context.make_tuple(builder, signature.return_type, [top, runner_up, part, builder.load(stale)])

    return signature, generate


@intrinsic
def multiply_vectors(
    typing_context: Any, x: Any, row: Any, packed: Any, begin: Any, end: Any, out: Any
) -> tuple[Any, Callable[..., Any]]:
    """`multiply` in LLVM's terms."""
    signature = types.none(x, types.int64, packed, types.int64, types.int64, out)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        x, y, target = (data_of(context, builder, signature.args[k], args[k]) for k in (0, 2, 5))
        channels = cgutils.unpack_tuple(
            builder, context.make_array(signature.args[0])(context, builder, args[0]).shape
        )[1]
        x = builder.gep(x, [builder.mul(args[1], channels)])
        v = ir.VectorType(x.type.pointee, LANES)
        name = "llvm.fmuladd.v16f64" if isinstance(x.type.pointee, ir.DoubleType) else "llvm.fmuladd.v16f32"
        multiply_add = cgutils.get_or_insert_function(builder.module, ir.FunctionType(v, [v, v, v]), name)
        sums = [cgutils.alloca_once(builder, v) for _ in range(BLOCK // LANES)]
        first = builder.udiv(args[3], LONG(BLOCK))
        with cgutils.for_range(builder, builder.sub(builder.udiv(args[4], LONG(BLOCK)), first)) as blocks:
            block = builder.add(first, blocks.index)
            for total in sums:
                builder.store(vector(x.type.pointee, [0.0] * LANES), total)
            with cgutils.for_range(builder, channels) as each:
                one = splat(builder, builder.load(builder.gep(x, [each.index])))
                at = builder.mul(builder.add(builder.mul(block, channels), each.index), LONG(BLOCK))
                for k, total in enumerate(sums):
                    run = load(builder, y, builder.add(at, LONG(k * LANES)))
                    builder.store(builder.call(multiply_add, [one, run, builder.load(total)]), total)
            for k, total in enumerate(sums):
                at = builder.add(builder.mul(block, LONG(BLOCK)), LONG(k * LANES))
                builder.store(builder.load(total), lanes_at(builder, target, at)).align = 4
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def trailing_zeros(typing_context: Any, bits: Any) -> tuple[Any, Callable[..., Any]]:
    """`lowest_bit` in LLVM's terms."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(0))

    return types.int64(types.int64), generate


def two_best_plain(
    affinity: NDArray[Any], start: int, price: NDArray[Any], begin: int, end: int
) -> tuple[Any, Any, int]:
    """`two_best`, uncompiled."""
    worth = affinity[start : start + end - begin] - price[begin:end]
    column = int(np.argmax(worth))
    return worth[column], np.partition(worth, -2)[-2], begin + column


def remembered_plain(
    columns: NDArray[Any], memory: NDArray[Any], row: int, price: NDArray[Any]
) -> tuple[Any, Any, int, int]:
    """`two_best_remembered`, uncompiled."""
    affinities, hidden = memory[row]
    best, second, part = two_best_plain(affinities, 0, price[columns[row]], 0, len(affinities))
    return best, second, part, sum(1 << int(k) for k in np.flatnonzero(hidden > second))


def multiply_plain(x: NDArray[Any], row: int, packed: NDArray[Any], begin: int, end: int, out: NDArray[Any]) -> None:
    """`multiply`, uncompiled."""
    blocks = packed[begin // BLOCK : end // BLOCK]
    out[begin:end] = np.einsum("k,gkl->gl", x[row], blocks).ravel()


def lowest_bit_plain(bits: int) -> int:
    """`lowest_bit`, uncompiled."""
    return (bits & -bits).bit_length() - 1


PLAIN = bool(numba.config.DISABLE_JIT)

# two_best(affinity, start, price, begin, end): of the columns from `begin` to `end` (multiples of LANES), whose
# affinities lie from `start` on in an array: the best worth `affinity - price`, the second best, and the best's column.
two_best = two_best_plain if PLAIN else two_best_vectors

# two_best_remembered(columns, memory, row, price): for each row, `columns` [s, parts] holds the best column of each
# part, and `memory` [s, 2, parts] their affinities and what was `hidden` behind each. The best two of these columns at
# today's prices, the part of the best, and a bit for each part whose hidden worth exceeds the second best. There are at
# most 64 parts, a multiple of LANES.
two_best_remembered = remembered_plain if PLAIN else remembered_vectors

# multiply(x, row, packed, begin, end, out): the inner products of x[row] with the columns from `begin` to `end`
# (multiples of BLOCK), to where they belong in `out`. The columns are `packed` [blocks, c, BLOCK]: read in order.
multiply = multiply_plain if PLAIN else multiply_vectors

# lowest_bit(bits): the place of the lowest bit that is set.
lowest_bit = lowest_bit_plain if PLAIN else trailing_zeros
