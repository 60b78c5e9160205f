"""The state of a learner, all of it in one array: a call from Python pays for every array that it passes.

A header of whole numbers, the records of the layers, the work space and the rule's settings; then, from P on, what each
learner has of its own: the packed network, the state of its rule and its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.extending import intrinsic

from ...settings.rules import SETTINGS as MOST_SETTINGS
from ...settings.rules import Rule
from ..jit import inline
from ..simd.memory import aligned_zeros, item, pointer, put
from .padded import PACKED, Net, make_work

# Places in the header: numbers, and where things begin, in elements of the network's dtype.
LAYERS, LOSS, N, RECORDS, P, A, S, Z, B, SLOPE, G, USED, ROOM, CONSTANTS, SETTINGS = range(15)
HEADER = 16
# Places among the settings.
ETA, LAM, REST, MOST_GRADIENT, MOST_WEIGHT, LARGEST, FASTEST, SHARED1, SHARED2 = range(9)

_RECORD = from_dtype(PACKED)
_RECORDS = types.Array(_RECORD, 1, "C")


class State(NamedTuple):
    """A learner as jitted code takes it."""

    kind: tuple[int, ...]  # as long as the code of its rule, which is compiled in
    data: np.ndarray

    def __reduce__(self) -> tuple[Any, ...]:
        return own_state, tuple(self)


def own_state(kind: tuple[int, ...], data: np.ndarray) -> State:
    """A state in memory of its own: what comes out of a pickle may lie where nobody may write."""
    own = aligned_zeros(len(data), np.dtype(data.dtype.type))
    own[:] = data
    return State(kind, own)


def make_state(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    loss: int,
    rule: Rule,
    seed: int,
    settings: Sequence[float],
) -> tuple[State, np.ndarray]:
    """The state of a learner with these ``settings``, ETA to MOST_WEIGHT, and where each of ``Network.parameters``
    stands in it."""
    dtype, work = p.dtype, make_work(sizes, activations, p.dtype, rule)
    work.P[work.place] = p
    work.A[work.place] = p
    work.S[:, work.place] = rule.start(len(p), seed)[: rule.slots]
    parts = {
        RECORDS: work.layers.view(np.uint8).view(dtype),
        Z: work.z,
        B: work.b,
        SLOPE: work.slope,
        G: work.g,
        USED: work.used,
        ROOM: np.zeros(sizes[0] + sizes[-1], dtype),  # for a sample
        CONSTANTS: np.zeros(MOST_SETTINGS, dtype),
        P: work.P,
        A: work.A if work.A is not work.P else work.A[:0],
        S: work.S.ravel(),
        SETTINGS: np.array([*settings, np.abs(p).max(), 0.0, 0.0, 0.0], dtype),
    }
    parts[CONSTANTS][: len(rule.constants())] = rule.constants()
    line = 64 // dtype.itemsize
    header = np.zeros(HEADER, np.int64)
    header[[LAYERS, LOSS, N]] = len(work.layers), loss, len(work.P)
    end = HEADER * 8 // dtype.itemsize
    for name, part in parts.items():
        header[name] = end
        end += -(-part.size // line) * line
    data = aligned_zeros(end, dtype)
    data.view(np.int64)[:HEADER] = header
    for name, part in parts.items():
        data[header[name] : header[name] + part.size] = part
    if work.A is work.P:
        data.view(np.int64)[A] = header[P]
    return State((0,) * rule.code, data), header[P] + work.place


def places_of(data: np.ndarray, place: np.ndarray, slots: int) -> np.ndarray:
    """Where in the state of a learner stand the numbers that learning changes: the parameters first, at ``place``."""
    header = data.view(np.int64)[:HEADER]
    starts = dict.fromkeys([int(header[P]), int(header[A])])
    more = [int(header[S] + slot * header[N]) for slot in range(slots)]
    settings = int(header[SETTINGS]) + np.arange(LARGEST, SHARED2 + 1)
    return np.concatenate([*(start + place - int(header[P]) for start in [*starts, *more]), settings])


def _header_at(context: Any, builder: Any, kind: Any, data: Any, index: Any) -> Any:
    """Whole number ``index`` of the header, while code is generated."""
    from numba.np import arrayobj  # Numba needs it to compile, but not before: half of what it takes to import this

    start = arrayobj.make_array(kind)(context, builder, data).data
    return builder.load(builder.gep(builder.bitcast(start, ir.IntType(64).as_pointer()), [index]))


@intrinsic
def integer_in(typing_context: Any, data: Any, index: Any) -> Any:
    """Whole number ``index`` of the header."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _header_at(context, builder, data, *arguments)

    return types.intp(data, types.intp), generate


@intrinsic
def layers_in(typing_context: Any, data: Any) -> Any:
    """The records of the layers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba.np import arrayobj

        offset, count = (
            _header_at(context, builder, data, arguments[0], context.get_constant(types.intp, place))
            for place in (RECORDS, LAYERS)
        )
        start = arrayobj.make_array(data)(context, builder, arguments[0]).data
        records = arrayobj.make_array(_RECORDS)(context, builder)
        place = builder.bitcast(builder.gep(start, [offset]), records.data.type)
        size = context.get_constant(types.intp, PACKED.itemsize)
        arrayobj.populate_array(records, place, [count], [size], size, meminfo=None)
        return records._getvalue()

    return _RECORDS(data), generate


@inline
def net_in(data: Any) -> Net:
    """The pointers to a learner's network."""
    return Net(
        pointer(data, integer_in(data, P)),
        pointer(data, integer_in(data, A)),
        pointer(data, integer_in(data, S)),
        None,
        integer_in(data, N),
        pointer(data, integer_in(data, CONSTANTS)),
        pointer(data, integer_in(data, Z)),
        pointer(data, integer_in(data, B)),
        pointer(data, integer_in(data, SLOPE)),
        pointer(data, integer_in(data, G)),
        pointer(data, integer_in(data, USED)),
    )


@inline
def setting(net_data: Any, index: int) -> Any:
    return item(net_data, integer_in(net_data, SETTINGS) + index)


@inline
def set_setting(data: Any, index: int, value: Any) -> None:
    put(data, integer_in(data, SETTINGS) + index, value)
