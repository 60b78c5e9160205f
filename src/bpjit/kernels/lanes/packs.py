"""Packs: many networks of one shape, one in each lane of a vector. What they are made of, and where it stands.

A *pack* is as many networks as a vector has lanes. Every parameter of a pack is one vector; its number is that in
``Network.parameters``. ``lanes.lines`` and ``lanes.epochs`` train them.

The smallest networks, of one hidden layer, have their sizes and activations in a type: the compiler then knows all
loops, and keeps in registers what fits there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..insides import cgutils, config
from ..jit import by_type, call_body, inline, unless_none
from ..layout import codes_of, number_of_parameters, places_of_layers, records_of
from ..orders import Orders
from ..own import has_own, own_in
from ..plane_numbers import Watch
from ..simd.memory import aligned_copy, aligned_zeros
from ..simd.numbers import VECTOR_BYTES, Simd
from ..switches import code_of

REGISTERS = 4  # in a vector: enough independent work that none waits for another
NARROW = 2  # where few networks are left
TYPED = 128  # parameters up to which a network of one hidden layer has its sizes in a type
MOST = 1024  # parameters up to which lanes are faster than one network after the other


def width(dtype: Any, registers: int = REGISTERS) -> int:
    """Networks in a pack."""
    return registers * VECTOR_BYTES // np.dtype(dtype).itemsize


def registers_for(count: int, dtype: Any) -> int:
    """Registers of the packs that hold so many networks: of one narrow pack, or of wide ones together."""
    if count <= width(dtype, NARROW):
        return NARROW
    return -(-count // width(dtype)) * REGISTERS


def most_in_fewer(count: int, dtype: Any) -> int:
    """How many networks fit into fewer registers than so many need; 0 where there are no fewer."""
    if count <= width(dtype, NARROW):
        return 0
    return (-(-count // width(dtype)) - 1) * width(dtype) or width(dtype, NARROW)


class Layer(NamedTuple):
    """One layer: of integers, or of constants where sizes stand in types."""

    fan_in: Any
    fan_out: Any
    weights: Any  # number of its first weight
    thresholds: Any
    below: Any  # number of the first unit below; inputs are no units
    here: Any
    activation: Any
    own: Any  # what names the activations of the user's own in its type, or None


LAYER = np.dtype([(name, np.int64) for name in Layer._fields[:-1]])


def serves(sizes: Sequence[int]) -> bool:
    """Whether networks of these sizes train in lanes: larger ones are faster one by one, along their units, and without
    the JIT there are no lanes."""
    return number_of_parameters(sizes) <= MOST and not config.DISABLE_JIT


def into_lanes(rows: np.ndarray, width: int) -> np.ndarray:
    """From a row for each network to a row for each pack, [shape: (packs, numbers · width)]; gaps are 0."""
    packs = -(-len(rows) // width)
    whole = np.zeros((packs * width, rows.shape[1]), rows.dtype)
    whole[: len(rows)] = rows
    return aligned_copy(whole.reshape(packs, width, -1).transpose(0, 2, 1)).reshape(packs, -1)


def out_of_lanes(packs: np.ndarray, width: int) -> np.ndarray:
    """The way back, [shape: (packs · width, numbers)]."""
    return packs.reshape(len(packs), -1, width).transpose(0, 2, 1).reshape(len(packs) * width, -1)


def lay_out(sizes: Sequence[int], activations: Sequence[str]) -> np.ndarray:
    """Records like ``Layer``, [shape: (layers of weights,)]."""
    layers, d = [], sizes[0]  # inputs are no units here
    for at, code in zip(places_of_layers(sizes), codes_of(activations), strict=True):
        layers.append((at.fan_in, at.fan_out, at.weights, at.thresholds, max(0, at.below - d), at.here - d, code))
    return records_of(layers, LAYER, activations)


def shape_of(sizes: Sequence[int], activations: Sequence[str], loss: Any) -> tuple[tuple[int, ...], ...] | None:
    """Sizes, activations and loss as a type, tuples so long, for the smallest networks; None for all others."""
    if len(sizes) != 3 or number_of_parameters(sizes) > TYPED:
        return None
    return tuple((0,) * length for length in (*sizes, *codes_of(activations), code_of(loss)))


class Rows(NamedTuple):
    """Samples as packs see them: those of a training set, or of a validation set."""

    X: np.ndarray  # inputs of all samples of all networks, [shape: (rows, d)], or in lanes, (packs, m, d · lanes)
    Y: np.ndarray  # targets, [shape: (rows, l)], or (packs, m, l · lanes)
    c: np.ndarray | None  # weight of each sample for each network, 0 where it is absent, [shape: (packs, m, lanes)]
    row: np.ndarray | None  # where it stands in X and Y, [shape: (packs, m, lanes)]; None: all see X, or their lane
    m: int  # samples in an epoch, absent ones included


class Packs(NamedTuple):
    """All that changes, a row for each pack."""

    P: np.ndarray  # parameters, [shape: (packs, n · lanes)]
    S: np.ndarray  # state of the rule, slot after slot
    G: np.ndarray | None  # gradient of the block of a batch begun; None for updates after each sample
    sums: np.ndarray  # that of the blocks before, and what rounding took; or nothing, where a batch is one block
    final: np.ndarray  # parameters of networks that have stopped
    best: np.ndarray  # parameters of the smallest validation error; or nothing
    undo: np.ndarray | None  # P, S, 3 planes from before an epoch that an adaptive rate may take back
    least: np.ndarray | None  # the parameters of the least objective after an epoch that an adaptive rate knows
    ring: np.ndarray  # the smallest error at each of the last ``window`` epochs; or nothing
    planes: np.ndarray  # what ``plane_numbers`` names, a vector each, [shape: (packs, PLANES · lanes)]


class Pack(NamedTuple):
    """One of them: pointers to its vectors, or None."""

    number: int
    slots: int  # of the rule's state
    P: Any
    S: Any
    G: Any
    sums: Any
    final: Any
    best: Any
    undo: Any
    least: Any
    ring: Any
    planes: Any


class Task(NamedTuple):
    """What is trained, and how: the same in all calls."""

    shape: Any  # as ``shape_of`` gives it
    layers: np.ndarray  # as ``lay_out`` gives them
    D: Rows
    V: Rows  # validation set; without one it has no samples
    loss: Any
    kind: tuple[int, ...] | None  # the rule, as in ``state.Steps``; None for standard BP: gradient and update are one
    penalty: bool | None  # anything but None if the networks have a λ
    mask: np.ndarray | None  # 1 where a parameter is trained, 0 elsewhere, [shape: (n · lanes,)]; None where all are
    size: int  # samples in a batch; the last of an epoch may have fewer
    block: int  # samples in a block
    watch: Watch


class Call(NamedTuple):
    """What one call of the kernel is to do."""

    orders: Orders
    etas: np.ndarray  # η of each network, for all epochs or for each, [shape: (1 or count, packs, lanes)]
    epochs: tuple[int, int]  # the first, and how many
    stretch: tuple[int, int]  # the first position in the first epoch, the last in the last
    errors: np.ndarray  # room for E of each epoch, [shape: (packs, count · lanes)], or empty rows
    validation_errors: np.ndarray


class Room(NamedTuple):
    """Work space for one pack."""

    A: np.ndarray  # where Nesterov's rule takes its gradient, [shape: (n · lanes,)]
    z: np.ndarray  # of each unit, [shape: (units · lanes,)], and so are the next three
    b: np.ndarray
    slope: np.ndarray
    g: np.ndarray
    sample: np.ndarray  # inputs and targets of one sample of each network, [shape: ((d + l) · lanes,)]
    registers_type: tuple[int, ...]  # as long as a vector has registers


def make_room(sizes: Sequence[int], dtype: Any, registers: int = REGISTERS) -> Room:
    """Work space for a pack."""
    units = sum(sizes[1:])
    numbers = number_of_parameters(sizes), units, units, units, units, sizes[0] + sizes[-1]
    lanes = width(dtype, registers)
    return Room(*(aligned_zeros(count * lanes, np.dtype(dtype)) for count in numbers), (0,) * registers)


# --- Sizes by type or by value; room in registers or in memory.


def layer_at(shape: Any, layers: Any, index: int) -> Any:
    """Layer ``index``."""


def _layer_by_value(shape: Any, layers: Any, index: int) -> Any:
    at, own = layers[index], own_or_none(layers)
    return Layer(at.fan_in, at.fan_out, at.weights, at.thresholds, at.below, at.here, at.activation, own)


def _layer_by_type(shape: Any, layers: Any, index: int) -> Any:
    d, q, l, own = len(shape[0]), len(shape[1]), len(shape[2]), own_or_none(layers)
    if index == 0:
        return Layer(d, q, 0, d * q, 0, 0, len(shape[3]), own)
    return Layer(q, l, d * q + q, d * q + q + q * l, 0, q, len(shape[4]), own)


def own_or_none(layers: Any) -> Any:
    """What names the activations of the user's own in its type, where there are any."""


by_type(own_or_none, lambda layers: (lambda layers: layers) if own_in(layers) else (lambda layers: None))


def depth_of(shape: Any, layers: Any) -> int:
    """Layers of weights."""
    return len(layers)


def loss_of(shape: Any, loss: Any) -> Any:
    """The code of the loss."""


def _choose_loss(shape: Any, loss: Any) -> Any:
    if isinstance(shape, types.NoneType) or has_own(loss):
        return lambda shape, loss: loss
    if isinstance(loss, types.BaseTuple):
        return lambda shape, loss: (len(shape[5]),)
    return lambda shape, loss: len(shape[5])


by_type(loss_of, _choose_loss)
by_type(
    layer_at,
    lambda shape, layers, index: _layer_by_value if isinstance(shape, types.NoneType) else _layer_by_type,
)
by_type(
    depth_of,
    lambda shape, layers: (
        (lambda shape, layers: len(layers)) if isinstance(shape, types.NoneType) else (lambda shape, layers: 2)
    ),
)


def _make_room(of_units: bool) -> Callable[..., Any]:
    @intrinsic
    def room(typing_context: Any, place: Any, shape: Any) -> Any:
        """A pointer as it is; or, where sizes stand in a type, one to room on the stack for as many vectors as there
        are parameters, or units. The compiler turns them into registers where it can. None stays None.

        Not for a function that is copied to where it is called: its room ends with it."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            if isinstance(place, types.NoneType):
                return context.get_dummy_value()
            if isinstance(shape, types.NoneType):
                return arguments[0]
            d, q, l = (len(part) for part in shape.types[:3])
            count = q + l if of_units else (d + 1) * q + (q + 1) * l
            vector = context.get_value_type(place.dtype)
            with builder.goto_entry_block():
                begin = builder.alloca(ir.ArrayType(vector, count))
                begin.align = 64
            return builder.bitcast(begin, context.get_value_type(place))

        return place(place, shape), generate

    return room


room_for_parameters, room_for_units = _make_room(False), _make_room(True)


def vector_type(dtype: types.Float, registers_type: Any) -> Simd:
    """The vectors of this dtype with as many registers as a tuple has entries, or as those behind a pointer have."""
    if isinstance(registers_type, types.CPointer):
        return Simd(dtype, registers_type.dtype.lanes * registers_type.dtype.dtype.bitwidth // dtype.bitwidth)
    return Simd(dtype, len(registers_type) * VECTOR_BYTES * 8 // dtype.bitwidth)


@intrinsic
def vectors_at(typing_context: Any, array: Any, offset: Any, registers_type: Any) -> Any:
    """A pointer to the vectors from element ``offset`` of an array on; ``registers_type`` as for ``vector_type``."""
    result = types.CPointer(vector_type(array.dtype, registers_type))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(array)(context, builder, arguments[0]).data
        return builder.bitcast(builder.gep(data, [arguments[1]]), context.get_value_type(result))

    return result(array, types.intp, registers_type), generate


@intrinsic
def at(typing_context: Any, vectors: Any, number: Any) -> Any:
    """Vector ``number`` behind a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = builder.load(builder.gep(arguments[0], [arguments[1]]))
        loaded.align = vectors.dtype.dtype.bitwidth // 8
        return loaded

    return vectors.dtype(vectors, types.intp), generate


@intrinsic
def write(typing_context: Any, vectors: Any, number: Any, value: Any) -> Any:
    """Write vector ``number`` behind a pointer."""
    if value != vectors.dtype:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(arguments[0], [arguments[1]])
        builder.store(arguments[2], place).align = vectors.dtype.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(vectors, types.intp, value), generate


@intrinsic
def lanes_in(typing_context: Any, vectors: Any) -> Any:
    """How many numbers each vector behind a pointer has."""
    return types.intp(vectors), lambda context, builder, signature, arguments: context.get_constant(
        types.intp, vectors.dtype.lanes
    )


UNROLLED = 4  # units


@intrinsic
def each_unit(typing_context: Any, shape: Any, count: Any, body: Any, arguments: Any) -> Any:
    """``body(h, *arguments)`` for each unit h of the first layer of weights: a loop, or, where a type says how many
    there are and they are few, one after another, so that the compiler knows every place and can use registers."""
    wanted = body.get_call_type(typing_context, (types.intp, *arguments.types), {})

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        rest = values[3], arguments
        known = 0 if isinstance(shape, types.NoneType) else len(shape.types[1])
        if 0 < known <= UNROLLED:
            for number in range(known):
                h = context.get_constant(types.intp, number), types.intp
                call_body(context, builder, body, wanted, h, rest)
        else:
            with cgutils.for_range(builder, values[1]) as loop:
                call_body(context, builder, body, wanted, (loop.index, types.intp), rest)
        return context.get_dummy_value()

    return types.void(shape, types.intp, body, arguments), generate


def copy_in(shape: Any, source: Any, target: Any) -> None:
    """Copy parameters to or from the stack, if that is where they are."""


def _nothing_to_copy(shape: Any, source: Any, target: Any) -> None:
    pass


def _copy_all(shape: Any, source: Any, target: Any) -> None:
    d, q, l = len(shape[0]), len(shape[1]), len(shape[2])
    for p in range((d + 1) * q + (q + 1) * l):
        write(target, p, at(source, p))


by_type(
    copy_in,
    lambda shape, source, target: (
        _nothing_to_copy if isinstance(shape, types.NoneType) or isinstance(source, types.NoneType) else _copy_all
    ),
)


@unless_none
def row(array: Any, pack: int, registers_type: Any) -> Any:
    """A pointer to the vectors of a pack, or None; ``registers_type`` as for ``vector_type``."""
    return vectors_at(array, pack * array.shape[1], registers_type)


@inline
def pack_at(packs: Packs, number: int, registers_type: Any) -> Pack:
    """One pack."""
    return Pack(
        number,
        packs.S.shape[1] // packs.P.shape[1],
        row(packs.P, number, registers_type),
        row(packs.S, number, registers_type),
        row(packs.G, number, registers_type),
        row(packs.sums, number, registers_type),
        row(packs.final, number, registers_type),
        row(packs.best, number, registers_type),
        row(packs.undo, number, registers_type),
        row(packs.least, number, registers_type),
        row(packs.ring, number, registers_type),
        row(packs.planes, number, registers_type),
    )
