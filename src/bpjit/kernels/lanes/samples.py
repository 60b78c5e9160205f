"""The sample of each network, and its weight: the same for all, or one's own in each lane."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..insides import cgutils
from ..jit import by_type, inline
from ..simd.memory import item, pointer, put
from .packs import Rows, at, lanes_in, vector_type, vectors_at


@inline
def gather(rows: Rows, pack: int, k: Any, own: Any, t: int, sample: Any, sizes: Any) -> None:
    """Copy inputs and targets of one sample of each network; ``sizes`` are lanes, d and l. Writes sample."""
    X, Y, (lanes, d, l) = pointer(rows.X, 0), pointer(rows.Y, 0), sizes
    for lane in range(lanes):
        s = number_of(own, t * lanes + lane, k)
        r = row_of(rows.row, pack, s, lane)
        for i in range(d):
            put(sample, i * lanes + lane, item(X, r * d + i))
        for j in range(l):
            put(sample, (d + j) * lanes + lane, item(Y, r * l + j))


@inline
def number_of(own: Any, place: int, k: Any) -> Any:
    """The sample of a network, where it has an order of its own, or k."""
    if own is None:
        return k
    return item(own, place)


@inline
def row_of(row: Any, pack: int, s: int, lane: int) -> Any:
    if row is None:
        return s
    return row[pack, s, lane]


def sample_at(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    """What ``value`` takes for inputs and targets of the sample at position t, number k in the shared order."""


def _shared_sample(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    return (pointer(rows.X, k * d), 0), (pointer(rows.Y, k * l), 0)


def _own_sample(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    inputs = vectors_at(work.sample, 0, work.registers_type)
    lanes = lanes_in(inputs)
    gather(rows, pack, k, own, t, work.sample, (lanes, d, l))
    return inputs, vectors_at(work.sample, d * lanes, work.registers_type)


def _sample_in_lanes(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    place = pack * rows.m + k
    inputs = vectors_at(rows.X, place * rows.X.shape[2], work.registers_type)
    return inputs, vectors_at(rows.Y, place * rows.Y.shape[2], work.registers_type)


def _choose_sample(rows: Any, pack: Any, own: Any, t: Any, k: Any, work: Any, d: Any, l: Any) -> Any:
    if rows[0].ndim == 3:
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


def weight_at(c: Any, pack: int, own: Any, t: int, k: int, registers_type: Any) -> Any:
    """Weight of the sample at position t for each network, or None."""


def _weight_in_order(c: Any, pack: int, own: Any, t: int, k: int, registers_type: Any) -> Any:
    return at(vectors_at(c, (pack * c.shape[1] + k) * c.shape[2], registers_type), 0)


def _weight_in_own_order(c: Any, pack: int, own: Any, t: int, k: int, registers_type: Any) -> Any:
    return gathered(c, pack * c.shape[1] * c.shape[2], pointer(own, t * c.shape[2]), registers_type)


@intrinsic
def gathered(typing_context: Any, c: Any, first: Any, numbers: Any, registers_type: Any) -> Any:
    """c at ``first + number · lanes + lane`` in each lane."""
    kind = vector_type(c.dtype, registers_type)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, first, numbers, _ = arguments
        data = cgutils.create_struct_proxy(c)(context, builder, array).data
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

    return kind(c, types.intp, numbers, registers_type), generate


def _no_weight(c: Any, pack: int, own: Any, t: int, k: int, registers_type: Any) -> Any:
    return None


def _choose_weight(c: Any, pack: Any, own: Any, t: Any, k: Any, registers_type: Any) -> Any:
    if isinstance(c, types.NoneType):
        return _no_weight
    return _weight_in_order if isinstance(own, types.NoneType) else _weight_in_own_order


by_type(weight_at, _choose_weight)
