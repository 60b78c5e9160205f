"""The sample of each network, and its weight: the same for all, or one's own in each lane."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..jit import by_type, inline, unless_none
from ..simd.memory import item, pointer, put
from ..simd.numbers import Simd
from .packs import Rows, at, lanes_in, vectors_at


@inline
def rows_at(rows: Rows, registers_type: Any) -> Rows:
    """The same samples behind pointers: to vectors where they stand in lanes."""
    X, Y = samples_at(rows.X, registers_type), samples_at(rows.Y, registers_type)
    return Rows(X, Y, weights_at(rows.c, registers_type), numbers_at(rows.row), rows.m)


def samples_at(array: Any, registers_type: Any) -> Any:
    """A pointer to inputs or targets."""


by_type(
    samples_at,
    lambda array, registers_type: (
        (lambda array, registers_type: vectors_at(array, 0, registers_type))
        if array.ndim == 3
        else (lambda array, registers_type: pointer(array, 0))
    ),
)


@unless_none
def weights_at(c: Any, registers_type: Any) -> Any:
    return vectors_at(c, 0, registers_type)


@unless_none
def numbers_at(row: Any) -> Any:
    return pointer(row, 0)


@inline
def gather(rows: Rows, pack: int, k: Any, own: Any, t: int, sample: Any, sizes: Any) -> None:
    """Copy inputs and targets of one sample of each network; ``sizes`` are d and l. Writes sample."""
    (d, l), lanes, sample = sizes, lanes_in(sample), numbers_in(sample)
    for lane in range(lanes):
        s = number_of(own, t * lanes + lane, k)
        r = row_of(rows.row, (pack * rows.m + s) * lanes + lane, s)
        for i in range(d):
            put(sample, i * lanes + lane, item(rows.X, r * d + i))
        for j in range(l):
            put(sample, (d + j) * lanes + lane, item(rows.Y, r * l + j))


@intrinsic
def numbers_in(typing_context: Any, vectors: Any) -> Any:
    """A pointer to the first number in vectors behind a pointer."""
    result = types.CPointer(vectors.dtype.dtype)
    return result(vectors), lambda context, builder, signature, arguments: builder.bitcast(
        arguments[0], context.get_value_type(result)
    )


@inline
def number_of(own: Any, place: int, k: Any) -> Any:
    """The sample of a network, where it has an order of its own, or k."""
    if own is None:
        return k
    return item(own, place)


@inline
def row_of(row: Any, place: int, s: int) -> Any:
    """The row of sample s, where there is a table of them."""
    if row is None:
        return s
    return item(row, place)


def sample_at(rows: Any, pack: int, own: Any, t: int, k: int, sample: Any, d: int, l: int) -> Any:
    """What ``value`` takes for inputs and targets of the sample at position t, number k in the shared order."""


def _shared_sample(rows: Any, pack: int, own: Any, t: int, k: int, sample: Any, d: int, l: int) -> Any:
    return (pointer(rows.X, k * d), 0), (pointer(rows.Y, k * l), 0)


def _own_sample(rows: Any, pack: int, own: Any, t: int, k: int, sample: Any, d: int, l: int) -> Any:
    gather(rows, pack, k, own, t, sample, (d, l))
    return sample, pointer(sample, d)


def _sample_in_lanes(rows: Any, pack: int, own: Any, t: int, k: int, sample: Any, d: int, l: int) -> Any:
    place = pack * rows.m + k
    return pointer(rows.X, place * d), pointer(rows.Y, place * l)


def _choose_sample(rows: Any, pack: Any, own: Any, t: Any, k: Any, sample: Any, d: Any, l: Any) -> Any:
    if isinstance(rows[0].dtype, Simd):
        return _sample_in_lanes
    shared = isinstance(rows[3], types.NoneType) and isinstance(own, types.NoneType)
    return _shared_sample if shared else _own_sample


by_type(sample_at, _choose_sample)


def value(source: Any, i: int) -> Any:
    """Input i of each network: a scalar where they share it."""


by_type(
    value,
    lambda source, i: (
        (lambda source, i: at(source, i))
        if isinstance(source, types.CPointer)
        else (lambda source, i: item(source[0], i))
    ),
)


def weight_at(rows: Any, pack: int, own: Any, t: int, k: int) -> Any:
    """Weight of the sample at position t for each network, or None."""


def _weight_in_order(rows: Any, pack: int, own: Any, t: int, k: int) -> Any:
    return at(rows.c, pack * rows.m + k)


def _weight_in_own_order(rows: Any, pack: int, own: Any, t: int, k: int) -> Any:
    lanes = lanes_in(rows.c)
    return gathered(rows.c, pack * rows.m * lanes, pointer(own, t * lanes))


@intrinsic
def gathered(typing_context: Any, c: Any, first: Any, numbers: Any) -> Any:
    """c, a pointer to vectors, at ``first + number · lanes + lane`` in each lane."""
    kind = c.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors, first, numbers = arguments
        data = builder.bitcast(vectors, context.get_value_type(types.CPointer(kind.dtype)))
        word = first.type
        result = ir.Constant(context.get_value_type(kind), ir.Undefined)
        for lane in range(kind.lanes):
            number = builder.load(builder.gep(numbers, [ir.Constant(word, lane)]))
            offset = builder.add(
                first, builder.add(builder.mul(number, ir.Constant(word, kind.lanes)), ir.Constant(word, lane))
            )
            result = builder.insert_element(
                result, builder.load(builder.gep(data, [offset])), ir.Constant(ir.IntType(32), lane)
            )
        return result

    return kind(c, types.intp, numbers), generate


def _no_weight(rows: Any, pack: int, own: Any, t: int, k: int) -> Any:
    return None


def _choose_weight(rows: Any, pack: Any, own: Any, t: Any, k: Any) -> Any:
    if isinstance(rows[2], types.NoneType):
        return _no_weight
    return _weight_in_order if isinstance(own, types.NoneType) else _weight_in_own_order


by_type(weight_at, _choose_weight)
