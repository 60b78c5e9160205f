"""Across the lanes of a SIMD vector: sums, the largest, single lanes, and whether any lane is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..insides import cgutils
from .numbers import Simd, separate, splat


def _across(name: str, start: float) -> Callable[..., Any]:
    """A reduction over the lanes to a scalar."""

    @intrinsic
    def reduce(typing_context: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            element = context.get_value_type(a.dtype)
            first = ir.Constant(element, start)
            kind = ir.FunctionType(element, [element, arguments[0].type])
            function = cgutils.get_or_insert_function(
                builder.module, kind, f"llvm.vector.reduce.{name}.v{a.lanes}f{a.dtype.bitwidth}"
            )
            # Halves with halves, not lane after lane: the order is fixed all the same.
            return builder.call(function, [first, arguments[0]], fastmath=("reassoc",))

        return a.dtype(a), generate

    return reduce


lane_sum = _across("fadd", -0.0)


@intrinsic
def lane_max(typing_context: Any, a: Any) -> Any:
    """The largest lane; NaN is passed over where it is not the first."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = arguments[0]
        while value.type.count > 1:
            low, high = separate(builder, value, 2)
            value = builder.select(builder.fcmp_ordered(">", low, high), low, high)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return a.dtype(a), generate


@intrinsic
def lane_sums(typing_context: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """The sums over the lanes of four vectors, as one vector of four: half the work of four ``lane_sum``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def fold(first: Any, second: Any, segment: int) -> Any:
            """Add the upper half of each segment to its lower half, in both vectors."""
            lanes = range(0, first.type.count + second.type.count, segment)
            low = [at + lane for at in lanes for lane in range(segment // 2)]
            numbers = ir.VectorType(ir.IntType(32), len(low))
            halves = [ir.Constant(numbers, [lane + move for lane in low]) for move in (0, segment // 2)]
            return builder.fadd(*(builder.shuffle_vector(first, second, half) for half in halves))

        segment = a.lanes
        if segment == 2:
            pairs = [fold(*arguments[:2], 2), fold(*arguments[2:], 2)]
            return builder.shuffle_vector(*pairs, ir.Constant(ir.VectorType(ir.IntType(32), 4), [0, 1, 2, 3]))
        if segment == 4 and a.dtype == types.float64:
            # So paired, no sum has to cross from one half of a register into the other once more.
            first, second = fold(arguments[0], arguments[2], 4), fold(arguments[1], arguments[3], 4)
            numbers = ir.VectorType(ir.IntType(32), 4)
            halves = [ir.Constant(numbers, [0, 4, 2, 6]), ir.Constant(numbers, [1, 5, 3, 7])]
            return builder.fadd(*(builder.shuffle_vector(first, second, half) for half in halves))
        sums = fold(fold(*arguments[:2], segment), fold(*arguments[2:], segment), segment // 2)
        segment //= 4
        while segment > 1:
            sums = fold(sums, ir.Constant(sums.type, ir.Undefined), segment)
            sums = builder.shuffle_vector(
                sums,
                sums,
                ir.Constant(ir.VectorType(ir.IntType(32), sums.type.count // 2), list(range(sums.type.count // 2))),
            )
            segment //= 2
        return sums

    if not a == b == c == d:
        return None
    return Simd(a.dtype, 4)(a, b, c, d), generate


@intrinsic
def lane(typing_context: Any, a: Any, index: Any) -> Any:
    """The number in one lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(arguments[0], arguments[1])

    return a.dtype(a, types.intp), generate


@intrinsic
def with_four(typing_context: Any, value: Any, four: Any, first: Any) -> Any:
    """``value`` with a vector of four in its lanes from ``first`` on, a multiple of four, as far as there are lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, four, first = arguments
        numbers = ir.VectorType(ir.IntType(32), signature.args[0].lanes)
        lanes = range(numbers.count)
        spread = builder.shuffle_vector(four, four, ir.Constant(numbers, [lane % 4 for lane in lanes]))
        place = splat(builder, numbers, builder.trunc(first, numbers.element))
        here = builder.icmp_signed("==", ir.Constant(numbers, [lane // 4 * 4 for lane in lanes]), place)
        return builder.select(here, spread, value)

    if four != Simd(value.dtype, 4):
        return None
    return value(value, four, types.intp), generate


@intrinsic
def any_lane(typing_context: Any, mask: Any) -> Any:
    """Whether a mask holds in any lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = ir.IntType(mask.lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(arguments[0], bits), ir.Constant(bits, 0))

    return types.boolean(mask), generate
