"""Between SIMD vectors and arrays: loads, stores, parts of a vector, blocks; and arrays laid out for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..insides import cgutils
from .numbers import VECTOR_BYTES, Simd, concatenate, separate, splat

Lanes = Callable[[types.Float], int]


def address(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Where element ``offset`` of an array, or behind a pointer, stands."""
    if isinstance(kind, types.Array):
        array = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.gep(array, [offset])


@intrinsic
def pointer(typing_context: Any, array: Any, offset: Any) -> Any:
    """A pointer to element ``offset`` of an array or behind a pointer: one word, where an array is seven."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return address(context, builder, array, *arguments)

    return types.CPointer(array.dtype)(array, types.intp), generate


@intrinsic
def distance(typing_context: Any, first: Any, second: Any) -> Any:
    """How many bytes the second pointer is beyond the first: ``moved(first, distance(first, second))`` is it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = context.get_value_type(types.intp)
        return builder.sub(*(builder.ptrtoint(place, word) for place in arguments[::-1]))

    return types.intp(first, second), generate


@intrinsic
def moved(typing_context: Any, first: Any, count: Any) -> Any:
    """A pointer so many bytes beyond another: numbers may stand at any address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.ptrtoint(arguments[0], context.get_value_type(types.intp))
        return builder.inttoptr(builder.add(place, arguments[1]), arguments[0].type)

    return first(first, types.intp), generate


def vectors(lanes: int | Lanes) -> tuple[Callable[..., Any], ...]:
    """load(array, offset), store(array, offset, value), lift(scalar) for vectors of ``lanes`` numbers.

    ``lanes`` may be a function of the dtype. Offsets count elements of a contiguous array of any rank; nothing checks
    them. Bind the three to module-level names.
    """
    count: Lanes = lanes if callable(lanes) else lambda dtype: lanes

    @intrinsic
    def load(typing_context: Any, array: Any, offset: Any) -> Any:
        kind = Simd(array.dtype, count(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = address(context, builder, array, *arguments)
            value = builder.load(builder.bitcast(place, context.get_value_type(kind).as_pointer()))
            value.align = array.dtype.bitwidth // 8
            return value

        return kind(array, types.intp), generate

    @intrinsic
    def store(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
        if value != Simd(array.dtype, count(array.dtype)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = address(context, builder, array, *arguments[:2])
            place = builder.bitcast(place, context.get_value_type(value).as_pointer())
            builder.store(arguments[2], place).align = array.dtype.bitwidth // 8
            return context.get_dummy_value()

        return types.void(array, types.intp, value), generate

    @intrinsic
    def lift(typing_context: Any, x: Any) -> Any:
        kind = Simd(x, count(x))
        return kind(x), lambda context, builder, signature, arguments: splat(
            builder, context.get_value_type(kind), arguments[0]
        )

    return load, store, lift


def partial_vectors(lanes: int | Lanes) -> tuple[Callable[..., Any], ...]:
    """load(array, offset, n), store(array, offset, n, value): as those of ``vectors``, but only the first n lanes touch
    memory; the others are 0."""
    count: Lanes = lanes if callable(lanes) else lambda dtype: lanes

    def first_lanes(builder: Any, kind: Simd, n: Any) -> Any:
        numbers = ir.VectorType(ir.IntType(32), kind.lanes)
        return builder.icmp_signed(
            "<",
            ir.Constant(numbers, list(range(kind.lanes))),
            splat(builder, numbers, builder.trunc(n, numbers.element)),
        )

    def function(builder: Any, name: str, kind: Simd, result: Any, parameters: list[Any]) -> Any:
        return cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(result, parameters),
            f"llvm.masked.{name}.v{kind.lanes}f{kind.dtype.bitwidth}.p0",
        )

    @intrinsic
    def load(typing_context: Any, array: Any, offset: Any, n: Any) -> Any:
        kind = Simd(array.dtype, count(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vector = context.get_value_type(kind)
            place = builder.bitcast(address(context, builder, array, *arguments[:2]), vector.as_pointer())
            mask = first_lanes(builder, kind, arguments[2])
            align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
            masked = function(builder, "load", kind, vector, [place.type, align.type, mask.type, vector])
            return builder.call(masked, [place, align, mask, ir.Constant(vector, [0.0] * kind.lanes)])

        return kind(array, types.intp, types.intp), generate

    @intrinsic
    def store(typing_context: Any, array: Any, offset: Any, n: Any, value: Any) -> Any:
        if value != Simd(array.dtype, count(array.dtype)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vector = context.get_value_type(value)
            place = builder.bitcast(address(context, builder, array, *arguments[:2]), vector.as_pointer())
            mask = first_lanes(builder, value, arguments[2])
            align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
            masked = function(builder, "store", value, ir.VoidType(), [vector, place.type, align.type, mask.type])
            builder.call(masked, [arguments[3], place, align, mask])
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, value), generate

    return load, store


def some_registers(count: int) -> tuple[Callable[..., Any], ...]:
    """load(array, offset, n), store(array, offset, n, value): as those of ``vectors(registers(count))``, but only the
    first n > 0 numbers, which fill whole registers, touch memory; the others are any of them. And load_round(array,
    first, width, offset): from ``offset`` on in a row of ``width`` numbers, which is begun anew where it ends.

    The processor hands on what has just been stored to who loads it, but not where either of them is masked.
    """
    lanes, kind_of = registers(1), registers(count)

    def register_at(context: Any, builder: Any, array: Any, value: Any, offset: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(array.dtype), lanes(array.dtype))
        return builder.bitcast(address(context, builder, array, value, offset), vector.as_pointer())

    def each(context: Any, builder: Any, array: Any, arguments: Any) -> Iterator[tuple[Any, Any]]:
        """Whether a register is among the first n, and where it stands, for one after the other."""
        value, offset, n, *_ = arguments
        for first in range(0, kind_of(array.dtype), lanes(array.dtype)):
            place = builder.add(offset, ir.Constant(offset.type, first))
            here = builder.icmp_signed("<", ir.Constant(n.type, first), n)
            yield here, register_at(context, builder, array, value, place)

    @intrinsic
    def load(typing_context: Any, array: Any, offset: Any, n: Any) -> Any:
        kind = Simd(array.dtype, kind_of(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            parts, first = [], None
            for here, place in each(context, builder, array, arguments):
                first = first or place
                parts.append(builder.load(builder.select(here, place, first), align=array.dtype.bitwidth // 8))
            return concatenate(builder, parts)

        return kind(array, types.intp, types.intp), generate

    @intrinsic
    def store(typing_context: Any, array: Any, offset: Any, n: Any, value: Any) -> Any:
        if value != Simd(array.dtype, kind_of(array.dtype)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            parts = separate(builder, arguments[3], count)
            for part, (here, place) in zip(parts, each(context, builder, array, arguments), strict=True):
                with builder.if_then(here):
                    builder.store(part, place, align=array.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, value), generate

    @intrinsic
    def load_round(typing_context: Any, array: Any, first: Any, width: Any, offset: Any) -> Any:
        kind = Simd(array.dtype, kind_of(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value, first, width, offset = arguments
            parts = []
            for _ in range(count):
                place = register_at(context, builder, array, value, builder.add(first, offset))
                parts.append(builder.load(place, align=array.dtype.bitwidth // 8))
                offset = builder.add(offset, ir.Constant(offset.type, lanes(array.dtype)))
                ended = builder.icmp_signed("==", offset, width)
                offset = builder.select(ended, ir.Constant(offset.type, 0), offset)
            return concatenate(builder, parts)

        return kind(array, types.intp, types.intp, types.intp), generate

    return load, store, load_round


def blocks(count: int, lanes: Lanes) -> tuple[Callable[..., Any], ...]:
    """What it takes to work on ``count`` rows at once, each of ``lanes(dtype)`` numbers, in one long vector:

    spread(array, offset): element ``offset + r`` throughout row r
    spread_first(array, offset, n): the same, but 0 in rows from n on, whose elements are not read
    tile(array, offset): the vector at ``offset`` in every row
    fold(value): the sum of the rows
    """

    def elements(context: Any, builder: Any, array: Any, value: Any, offset: Any) -> Any:
        for row in range(count):
            yield row, address(context, builder, array, value, builder.add(offset, ir.Constant(offset.type, row)))

    @intrinsic
    def spread(typing_context: Any, array: Any, offset: Any) -> Any:
        kind = Simd(array.dtype, count * lanes(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row = context.get_value_type(Simd(array.dtype, lanes(array.dtype)))
            places = elements(context, builder, array, *arguments)
            return concatenate(builder, [splat(builder, row, builder.load(place)) for _, place in places])

        return kind(array, types.intp), generate

    @intrinsic
    def spread_first(typing_context: Any, array: Any, offset: Any, n: Any) -> Any:
        kind = Simd(array.dtype, count * lanes(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row = context.get_value_type(Simd(array.dtype, lanes(array.dtype)))
            parts = []
            for r in range(count):
                here = builder.icmp_signed("<", ir.Constant(arguments[2].type, r), arguments[2])
                at = builder.select(here, builder.add(arguments[1], ir.Constant(arguments[1].type, r)), arguments[1])
                value = builder.load(address(context, builder, array, arguments[0], at))
                parts.append(splat(builder, row, builder.select(here, value, ir.Constant(value.type, 0.0))))
            return concatenate(builder, parts)

        return kind(array, types.intp, types.intp), generate

    @intrinsic
    def tile(typing_context: Any, array: Any, offset: Any) -> Any:
        kind = Simd(array.dtype, count * lanes(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row = context.get_value_type(Simd(array.dtype, lanes(array.dtype)))
            place = address(context, builder, array, *arguments)
            value = builder.load(builder.bitcast(place, row.as_pointer()))
            value.align = array.dtype.bitwidth // 8
            return concatenate(builder, [value] * count)

        return kind(array, types.intp), generate

    @intrinsic
    def fold(typing_context: Any, value: Any) -> Any:
        kind = Simd(value.dtype, value.lanes // count)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            total = arguments[0]
            while total.type.count > kind.lanes:
                total = builder.fadd(*separate(builder, total, 2))
            return total

        return kind(value), generate

    return spread, spread_first, tile, fold


@intrinsic
def item(typing_context: Any, array: Any, offset: Any) -> Any:
    """The element at ``offset`` of a contiguous array of any rank, unchecked."""
    return array.dtype(array, types.intp), lambda context, builder, signature, arguments: builder.load(
        address(context, builder, array, *arguments)
    )


@intrinsic
def put(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write an element, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], address(context, builder, array, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


def padded(n: int, lanes: int) -> int:
    """n rounded up to a multiple of ``lanes``."""
    return -(-n // lanes) * lanes


def registers(count: int) -> Callable[[types.Float], int]:
    """The lanes of ``count`` registers, for ``simd.vectors``."""
    return lambda dtype: count * VECTOR_BYTES * 8 // dtype.bitwidth


def aligned_zeros(n: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that begin at a cache line."""
    buffer = np.zeros(n * dtype.itemsize + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + n * dtype.itemsize].view(dtype)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A contiguous copy that begins at a cache line."""
    copy = aligned_zeros(array.size, array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@intrinsic
def lanes_of(typing_context: Any, array: Any) -> Any:
    """How many numbers of its dtype a vector register holds."""
    lanes = VECTOR_BYTES * 8 // array.dtype.bitwidth
    return types.intp(array), lambda context, builder, signature, arguments: context.get_constant(types.intp, lanes)
