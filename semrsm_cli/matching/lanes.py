"""A numba type for vectors of 16 lanes, and its operations: each is one instruction of LLVM, or few.

LLVM finds no vectors in the loops of the auction as numba puts them (3 to 10 times slower). Of loops over these values
it makes vector code for the processor at hand.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from semrsm_cli.matching.affinities import LANES

__all__ = [
    "LANES",
    "Lanes",
    "add_integers",
    "bits",
    "equal",
    "gather",
    "greater",
    "high",
    "lane",
    "load",
    "low",
    "multiply_add",
    "numbered",
    "prefetch",
    "splat",
    "store",
    "subtract",
    "trailing_zeros",
    "where",
]

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)

_Typed = tuple[Any, Callable[..., Any]]


class Lanes(types.Type):  # type: ignore[misc]
    """`count` lanes of one element type."""

    def __init__(self, dtype: types.Type, count: int = LANES) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(f"Lanes({dtype}, {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    """A vector of LLVM, of bits for booleans."""

    def __init__(self, manager: Any, lanes: Lanes) -> None:
        element = ir.IntType(1) if lanes.dtype == types.boolean else manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.count))


def _shuffle(builder: ir.IRBuilder, value: ir.Value, lanes: list[int]) -> ir.Value:
    """A vector of some lanes of another."""
    chosen = ir.Constant(ir.VectorType(_INT32, len(lanes)), lanes)
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), chosen)


def _elements(target: Any, builder: ir.IRBuilder, array_type: Any, array: Any) -> ir.Value:
    """Where the elements of an array lie."""
    return target.make_array(array_type)(target, builder, array).data


@intrinsic
def load(context: Any, array: Any, start: Any) -> _Typed:
    """The elements of an array from `start` on, which need not be aligned; of any dimensions, counted as they lie."""

    def emit(target: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        vector = target.get_value_type(signature.return_type)
        data = _elements(target, builder, signature.args[0], args[0])
        value = builder.load(builder.bitcast(builder.gep(data, [args[1]]), vector.as_pointer()))
        value.align = 4
        return value

    return Lanes(array.dtype)(array, start), emit


@intrinsic
def prefetch(context: Any, array: Any, start: Any) -> _Typed:
    """Ask for the cache line of an element, and wait for nothing."""

    def emit(target: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        place = builder.gep(_elements(target, builder, signature.args[0], args[0]), [args[1]])
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        to_read, keep, data = _INT32(0), _INT32(3), _INT32(1)
        builder.call(function, [place, to_read, keep, data])
        return target.get_dummy_value()

    return types.none(array, start), emit


@intrinsic
def store(context: Any, array: Any, start: Any, lanes: Any) -> _Typed:
    """Put lanes into an array from `start` on."""

    def emit(target: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        data = _elements(target, builder, signature.args[0], args[0])
        builder.store(args[2], builder.bitcast(builder.gep(data, [args[1]]), args[2].type.as_pointer())).align = 4
        return target.get_dummy_value()

    return types.none(array, start, lanes), emit


@intrinsic
def gather(context: Any, array: Any, places: Any, start: Any) -> _Typed:
    """The elements of an array at the places that an array of int32 names from `start` on."""

    def emit(target: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        data, where = (_elements(target, builder, signature.args[k], args[k]) for k in (0, 1))
        value = ir.Constant(target.get_value_type(signature.return_type), ir.Undefined)
        for i in range(LANES):
            place = builder.load(builder.gep(where, [builder.add(args[2], _INT64(i))]))
            element = builder.load(builder.gep(data, [builder.sext(place, _INT64)]))
            value = builder.insert_element(value, element, _INT32(i))
        return value

    return Lanes(array.dtype)(array, places, start), emit


@intrinsic
def splat(context: Any, scalar: Any) -> _Typed:
    """The same scalar in all lanes."""

    def emit(target: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        nothing = ir.Constant(ir.VectorType(args[0].type, LANES), ir.Undefined)
        return _shuffle(builder, builder.insert_element(nothing, args[0], _INT32(0)), [0] * LANES)

    return Lanes(scalar)(scalar), emit


@intrinsic
def numbered(context: Any) -> _Typed:
    """0, 1, 2, ..."""
    return Lanes(types.int32)(), lambda t, b, s, a: ir.Constant(ir.VectorType(_INT32, LANES), list(range(LANES)))


@intrinsic
def low(context: Any, x: Any) -> _Typed:
    """The lower half of the lanes."""
    half = x.count // 2
    return Lanes(x.dtype, half)(x), lambda t, b, s, a: _shuffle(b, a[0], list(range(half)))


@intrinsic
def high(context: Any, x: Any) -> _Typed:
    """The upper half of the lanes."""
    half = x.count // 2
    return Lanes(x.dtype, half)(x), lambda t, b, s, a: _shuffle(b, a[0], list(range(half, 2 * half)))


def _arithmetic(instruction: Callable[..., ir.Value]) -> Any:
    """The operation on two vectors that an instruction of LLVM computes."""

    @intrinsic
    def operation(context: Any, x: Any, y: Any) -> _Typed:
        return x(x, y), lambda t, b, s, a: instruction(b, *a)

    return operation


def _comparison(sign: str) -> Any:
    """The operation that compares two vectors of floating-point numbers, lane by lane."""

    @intrinsic
    def operation(context: Any, x: Any, y: Any) -> _Typed:
        return Lanes(types.boolean, x.count)(x, y), lambda t, b, s, a: b.fcmp_ordered(sign, *a)

    return operation


subtract, add_integers = _arithmetic(ir.IRBuilder.fsub), _arithmetic(ir.IRBuilder.add)
greater, equal = _comparison(">"), _comparison("==")


@intrinsic
def multiply_add(context: Any, x: Any, y: Any, z: Any) -> _Typed:
    """Lane by lane, x * y + z."""

    def emit(target: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        v = args[0].type
        name = f"llvm.fmuladd.v{v.count}{'f64' if isinstance(v.element, ir.DoubleType) else 'f32'}"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(v, [v, v, v]), name), args)

    return x(x, y, z), emit


@intrinsic
def where(context: Any, mask: Any, x: Any, y: Any) -> _Typed:
    """X in the lanes of the mask, y in the others."""
    return x(mask, x, y), lambda t, b, s, a: b.select(*a)


@intrinsic
def bits(context: Any, mask: Any) -> _Typed:
    """The lanes of a mask as the bits of an integer."""
    return types.int64(mask), lambda t, b, s, a: b.zext(b.bitcast(a[0], ir.IntType(s.args[0].count)), _INT64)


@intrinsic
def lane(context: Any, x: Any, i: Any) -> _Typed:
    """One lane."""
    return x.dtype(x, i), lambda t, b, s, a: b.extract_element(a[0], b.trunc(a[1], _INT32))


@intrinsic
def trailing_zeros(context: Any, n: Any) -> _Typed:
    """The place of the lowest bit that is set."""
    return types.int64(types.int64), lambda t, b, s, a: b.cttz(a[0], ir.IntType(1)(0))
