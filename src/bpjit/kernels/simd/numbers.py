"""SIMD numbers: several numbers in vector registers that behave like one, so that a formula runs on all at once.

A value of the Numba type ``Simd(float32, 16)`` is an LLVM vector ``<16 x float>``. It takes + − * / and unary minus
with its own kind or a scalar of its dtype, comparisons give a ``Mask``, and ``like``, ``select``, ``abs``, ``exp``
and the other helpers of ``formulas`` work on it: the formulas run unchanged. What goes between vectors and arrays
stands in ``memory.py``, what goes from lane to lane in ``across.py``, exp, log, tanh, sin and their kin in
``functions.py``. No vector can be an argument of a kernel that Python calls.

NaN passes through everything, as on scalars, but ``lane_max``, which passes it over.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from ...maths import formulas
from ..cpu import MADE, vector_bytes
from ..insides import cgutils
from ..jit import LARGEST

VECTOR_BYTES = vector_bytes(MADE)


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


def separate(builder: Any, value: Any, count: int) -> list[Any]:
    """So many parts of a vector, of the same size."""
    numbers = ir.VectorType(ir.IntType(32), value.type.count // count)
    places = [range(part * numbers.count, (part + 1) * numbers.count) for part in range(count)]
    return [builder.shuffle_vector(value, value, ir.Constant(numbers, list(place))) for place in places]


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


@type_callable(formulas.finite)
def _type_finite(context: Any) -> Any:
    return lambda z: z if isinstance(z, Simd) else None


@lower_builtin(formulas.finite, Simd)
def _lower_finite(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind = signature.return_type
    most = _lift(context, builder, kind, context.get_constant(kind.dtype, LARGEST[kind.dtype]), kind.dtype)
    return builder.select(builder.fcmp_ordered(">", arguments[0], most), most, arguments[0])
