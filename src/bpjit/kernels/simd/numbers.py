"""SIMD numbers: several numbers in vector registers that behave like one, so that a formula runs on all at once.

A value of the Numba type ``Simd(float32, 16)`` is an LLVM vector ``<16 x float>``. It takes + − * / and unary minus
with its own kind or a scalar of its dtype, comparisons give a ``Mask``, and ``like``, ``select``, ``abs``, ``exp``
and the other helpers of ``formulas`` work on it: the formulas run unchanged. ``vectors(lanes)`` makes what goes
between vectors and arrays. No vector can be an argument of a kernel that Python calls.

NaN passes through everything, as on scalars, but ``lane_max``, which passes it over. exp, log, tanh, sin and their
kin stand in ``simd_functions.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from ...maths import formulas


def vector_bytes() -> int:
    """The width of the vector registers that Numba compiles for: AVX-512, AVX2, or NEON and SSE2."""
    if config.CPU_FEATURES is not None:
        features = set(config.CPU_FEATURES.split(","))
    else:
        features = {f"+{name}" for name, present in llvm.get_host_cpu_features().items() if present}
    return 64 if "+avx512vl" in features else 32 if {"+avx", "+avx2"} & features else 16


VECTOR_BYTES = vector_bytes()


class Simd(types.Type):
    """``lanes`` numbers of one dtype."""

    def __init__(self, dtype: types.Float, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Simd({dtype}, {lanes})")


class Mask(types.Type):
    """A truth value for each lane."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


@register_model(Simd)
class _SimdModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Simd) -> None:
        element = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Mask) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.lanes))


# --- Instructions. Each is typed and lowered by itself, so that it costs nothing to compile; floating-point flags come
# --- from the function it stands in, as for scalars.


def splat(builder: Any, vector: Any, x: Any) -> Any:
    """x in every lane."""
    if isinstance(x, ir.Constant):
        return ir.Constant(vector, [x.constant] * vector.count)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, x, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    )


def _lift(context: Any, builder: Any, kind: Simd, value: Any, came: Any) -> Any:
    """A value of type ``came``, a scalar or a vector, as a vector of type ``kind``."""
    if isinstance(came, Simd):
        return value
    return splat(builder, context.get_value_type(kind), context.cast(builder, value, came, kind.dtype))


def concatenate(builder: Any, parts: list[Any]) -> Any:
    """Vectors of one type, a power of two of them, as one."""
    while len(parts) > 1:
        numbers = ir.VectorType(ir.IntType(32), 2 * parts[0].type.count)
        mask = ir.Constant(numbers, list(range(numbers.count)))
        parts = [builder.shuffle_vector(a, b, mask) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def call(builder: Any, name: str, *arguments: Any) -> Any:
    """The LLVM intrinsic ``name`` on vectors of one type."""
    vector = arguments[0].type
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    kind = ir.FunctionType(vector, [vector] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{vector.count}f{bits}")
    return builder.call(function, arguments)


def _common(a: Any, b: Any) -> Simd | None:
    """The vector type of a vector with another, or with a scalar of its dtype."""
    if isinstance(a, Simd) and (a == b or b == a.dtype):
        return a
    return b if isinstance(b, Simd) and a == b.dtype else None


def _binary(operators: tuple[Callable[..., Any], ...], instruction: Callable[..., Any], mask: bool = False) -> None:
    for python_operator in operators:

        @type_callable(python_operator)
        def type_of(context: Any) -> Any:
            def typer(a: Any, b: Any) -> Any:
                kind = _common(a, b)
                return None if kind is None else Mask(kind.lanes) if mask else kind

            return typer

        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = _common(*signature.args)
            values = (_lift(context, builder, kind, *pair) for pair in zip(arguments, signature.args, strict=True))
            return instruction(builder, *values)

        for pair in ((Simd, Simd), (Simd, types.Float), (types.Float, Simd)):
            lower_builtin(python_operator, *pair)(lower)


_binary((operator.add, operator.iadd), lambda builder, a, b: builder.fadd(a, b))
_binary((operator.sub, operator.isub), lambda builder, a, b: builder.fsub(a, b))
_binary((operator.mul, operator.imul), lambda builder, a, b: builder.fmul(a, b))
_binary((operator.truediv, operator.itruediv), lambda builder, a, b: builder.fdiv(a, b))
_binary((operator.lt,), lambda builder, a, b: builder.fcmp_ordered("<", a, b), mask=True)
_binary((operator.le,), lambda builder, a, b: builder.fcmp_ordered("<=", a, b), mask=True)
_binary((operator.gt,), lambda builder, a, b: builder.fcmp_ordered(">", a, b), mask=True)
_binary((operator.ge,), lambda builder, a, b: builder.fcmp_ordered(">=", a, b), mask=True)
_binary((operator.eq,), lambda builder, a, b: builder.fcmp_ordered("==", a, b), mask=True)
_binary((operator.ne,), lambda builder, a, b: builder.fcmp_unordered("!=", a, b), mask=True)


def _unary(functions: tuple[Callable[..., Any], ...], instruction: Callable[..., Any]) -> None:
    for function in functions:

        @type_callable(function)
        def type_of(context: Any) -> Any:
            return lambda a: a if isinstance(a, Simd) else None

        @lower_builtin(function, Simd)
        def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return instruction(builder, arguments[0])


_unary((operator.neg,), lambda builder, a: builder.fneg(a))
_unary((abs,), lambda builder, a: call(builder, "fabs", a))
_unary((formulas.sqrt,), lambda builder, a: call(builder, "sqrt", a))


def _masks(python_operator: Callable[..., Any], instruction: str) -> None:
    @type_callable(python_operator)
    def type_of(context: Any) -> Any:
        return lambda a, b: a if isinstance(a, Mask) and a == b else None

    @lower_builtin(python_operator, Mask, Mask)
    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)


_masks(operator.and_, "and_")
_masks(operator.or_, "or_")


@type_callable(operator.invert)
def _type_invert(context: Any) -> Any:
    return lambda a: a if isinstance(a, Mask) else None


@lower_builtin(operator.invert, Mask)
def _lower_invert(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.not_(arguments[0])


@type_callable(formulas.like)
def _type_like(context: Any) -> Any:
    return lambda z, value: z if isinstance(z, Simd) and isinstance(value, types.Number) else None


@lower_builtin(formulas.like, Simd, types.Number)
def _lower_like(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _lift(context, builder, signature.return_type, arguments[1], signature.args[1])


@type_callable(formulas.select)
def _type_select(context: Any) -> Any:
    return lambda condition, a, b: a if isinstance(condition, Mask) and isinstance(a, Simd) and a == b else None


@lower_builtin(formulas.select, Mask, Simd, Simd)
def _lower_select(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.select(*arguments)


# --- Between vectors and arrays, and across lanes.


Lanes = Callable[[types.Float], int]


def _address(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Where element ``offset`` of an array, or behind a pointer, stands."""
    if isinstance(kind, types.Array):
        array = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.gep(array, [offset])


@intrinsic
def pointer(typing_context: Any, array: Any, offset: Any) -> Any:
    """A pointer to element ``offset`` of an array or behind a pointer: one word, where an array is seven."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _address(context, builder, array, *arguments)

    return types.CPointer(array.dtype)(array, types.intp), generate


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
            place = _address(context, builder, array, *arguments)
            value = builder.load(builder.bitcast(place, context.get_value_type(kind).as_pointer()))
            value.align = array.dtype.bitwidth // 8
            return value

        return kind(array, types.intp), generate

    @intrinsic
    def store(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
        if value != Simd(array.dtype, count(array.dtype)):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = _address(context, builder, array, *arguments[:2])
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
            place = builder.bitcast(_address(context, builder, array, *arguments[:2]), vector.as_pointer())
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
            place = builder.bitcast(_address(context, builder, array, *arguments[:2]), vector.as_pointer())
            mask = first_lanes(builder, value, arguments[2])
            align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
            masked = function(builder, "store", value, ir.VoidType(), [vector, place.type, align.type, mask.type])
            builder.call(masked, [arguments[3], place, align, mask])
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, value), generate

    return load, store


def blocks(count: int, lanes: Lanes) -> tuple[Callable[..., Any], ...]:
    """What it takes to work on ``count`` rows at once, each of ``lanes(dtype)`` numbers, in one long vector:

    spread(array, offset): element ``offset + r`` throughout row r
    spread_first(array, offset, n): the same, but 0 in rows from n on, whose elements are not read
    tile(array, offset): the vector at ``offset`` in every row
    fold(value): the sum of the rows
    """

    def elements(context: Any, builder: Any, array: Any, value: Any, offset: Any) -> Any:
        for row in range(count):
            yield row, _address(context, builder, array, value, builder.add(offset, ir.Constant(offset.type, row)))

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
                value = builder.load(_address(context, builder, array, arguments[0], at))
                parts.append(splat(builder, row, builder.select(here, value, ir.Constant(value.type, 0.0))))
            return concatenate(builder, parts)

        return kind(array, types.intp, types.intp), generate

    @intrinsic
    def tile(typing_context: Any, array: Any, offset: Any) -> Any:
        kind = Simd(array.dtype, count * lanes(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row = context.get_value_type(Simd(array.dtype, lanes(array.dtype)))
            place = _address(context, builder, array, *arguments)
            value = builder.load(builder.bitcast(place, row.as_pointer()))
            value.align = array.dtype.bitwidth // 8
            return concatenate(builder, [value] * count)

        return kind(array, types.intp), generate

    @intrinsic
    def fold(typing_context: Any, value: Any) -> Any:
        kind = Simd(value.dtype, value.lanes // count)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            total, size = arguments[0], value.lanes
            while size > kind.lanes:
                size //= 2
                numbers = ir.VectorType(ir.IntType(32), size)
                halves = [ir.Constant(numbers, list(range(first, first + size))) for first in (0, size)]
                total = builder.fadd(*(builder.shuffle_vector(total, total, half) for half in halves))
            return total

        return kind(value), generate

    return spread, spread_first, tile, fold


@intrinsic
def item(typing_context: Any, array: Any, offset: Any) -> Any:
    """The element at ``offset`` of a contiguous array of any rank, unchecked."""
    return array.dtype(array, types.intp), lambda context, builder, signature, arguments: builder.load(
        _address(context, builder, array, *arguments)
    )


@intrinsic
def put(typing_context: Any, array: Any, offset: Any, value: Any) -> Any:
    """Write an element, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, array, *arguments[:2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


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
        value, lanes = arguments[0], a.lanes
        while lanes > 1:
            lanes //= 2
            numbers = ir.VectorType(ir.IntType(32), lanes)
            low, high = (
                builder.shuffle_vector(value, value, ir.Constant(numbers, list(range(first, first + lanes))))
                for first in (0, lanes)
            )
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


@intrinsic
def lanes_of(typing_context: Any, array: Any) -> Any:
    """How many numbers of its dtype a vector register holds."""
    lanes = VECTOR_BYTES * 8 // array.dtype.bitwidth
    return types.intp(array), lambda context, builder, signature, arguments: context.get_constant(types.intp, lanes)
