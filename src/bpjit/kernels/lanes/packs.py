"""Packs: many networks of one shape, one in each lane of a vector. What they are made of, and where it stands.

A *pack* is as many networks as a vector has lanes. Every parameter of a pack is one vector; its number is that in
``Network.parameters``. ``lanes.lines`` and ``lanes.epochs`` train them.

The smallest networks, of one hidden layer, have their sizes and activations in a type: the compiler then knows all
loops, and keeps in registers what fits there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from ..insides import config
from ..jit import inline, unless_none
from ..layout import codes_of, number_of_parameters, places_of_layers, records_of
from ..orders import Orders
from ..own import own_among
from ..plane_numbers import Watch
from ..simd.memory import address, aligned_copy, aligned_zeros
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


def layers_beside(shape: Any, sizes: Sequence[int], activations: Sequence[str]) -> np.ndarray | None:
    """The same, or None where a ``shape_of`` these networks says it all."""
    return lay_out(sizes, activations) if shape is None or own_among(activations) else None


def shape_of(sizes: Sequence[int], activations: Sequence[str], loss: Any) -> tuple[tuple[Any, ...], ...] | None:
    """Sizes, activations and loss as a type, tuples so long of nothing, for the smallest networks; None for all
    others."""
    if len(sizes) != 3 or number_of_parameters(sizes) > TYPED:
        return None
    return tuple(((),) * length for length in (*sizes, *codes_of(activations), code_of(loss)))


class Rows(NamedTuple):
    """Samples as packs see them: those of a training set, or of a validation set. Kernels have pointers of it, as
    ``samples.rows_at`` gives them: an array is seven words or more, and each function that takes it takes them all."""

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
    """What is trained, and how: the same in all calls. In kernels with pointers, as ``epochs.task_at`` gives it."""

    shape: Any  # as ``shape_of`` gives it
    layers: np.ndarray | None  # as ``layers_beside`` gives them
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

    numbers: np.ndarray  # what ``Work`` points to
    registers_type: tuple[Any, ...]  # as long as a vector has registers


class Work(NamedTuple):
    """Where it stands: pointers to vectors."""

    A: Any  # where Nesterov's rule takes its gradient, n
    z: Any  # of each unit, and so are the next three
    b: Any
    slope: Any
    g: Any
    sample: Any  # inputs and targets of one sample of each network, d + l


def make_room(sizes: Sequence[int], dtype: Any, registers: int = REGISTERS) -> Room:
    """Work space for a pack."""
    vectors = number_of_parameters(sizes) + 4 * sum(sizes[1:]) + sizes[0] + sizes[-1]
    return Room(aligned_zeros(vectors * width(dtype, registers), np.dtype(dtype)), ((),) * registers)


# --- Vectors.


def vector_type(dtype: types.Float, registers_type: Any) -> Simd:
    """The vectors of this dtype with as many registers as a tuple has entries, or as those behind a pointer have."""
    if isinstance(registers_type, types.CPointer):
        return Simd(dtype, registers_type.dtype.lanes * registers_type.dtype.dtype.bitwidth // dtype.bitwidth)
    return Simd(dtype, len(registers_type) * VECTOR_BYTES * 8 // dtype.bitwidth)


@intrinsic
def vectors_at(typing_context: Any, array: Any, offset: Any, registers_type: Any) -> Any:
    """A pointer to the vectors from element ``offset`` of an array on, or from vector ``offset`` behind a pointer to
    such; ``registers_type`` as for ``vector_type``."""
    dtype = array.dtype.dtype if isinstance(array.dtype, Simd) else array.dtype
    result = types.CPointer(vector_type(dtype, registers_type))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(address(context, builder, array, *arguments[:2]), context.get_value_type(result))

    return result(array, types.intp, registers_type), generate


@inline
def work_in(top: Any, room: Room) -> Work:
    """The work space, for networks whose layer of outputs is ``top``."""
    A = vectors_at(room.numbers, 0, room.registers_type)
    units = top.here + top.fan_out
    z = vectors_at(A, top.thresholds + top.fan_out, A)
    b = vectors_at(z, units, A)
    slope = vectors_at(b, units, A)
    g = vectors_at(slope, units, A)
    return Work(A, z, b, slope, g, vectors_at(g, units, A))


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
