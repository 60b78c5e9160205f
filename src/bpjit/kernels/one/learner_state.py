"""The state of a learner, all of it in one array: a call from Python pays for every array that it passes.

A header of whole numbers, the records of the layers, the work space, with the inputs that an update still waits for,
and the rule's settings; then, from P on, what each
learner has of its own: the packed network, the state of its rule and its settings.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import from_dtype, typeof, types
from numba.extending import intrinsic

from ...settings.rules import SETTINGS as MOST_SETTINGS
from ...settings.rules import Rule
from ..disk_cache import spelled
from ..insides import arrays
from ..jit import by_type, inline
from ..own import is_marker, kind_of, markers_of, own_in, with_classes
from ..simd.memory import aligned_zeros, item, pointer, put
from ..switches import code_of, rule_of
from .padded import PACKED, Net, make_work

# Places in the header: numbers, and where things begin, in elements of the network's dtype.
LAYERS, LOSS, N, RECORDS, P, A, S, Z, B, SLOPE, G, USED, ROOM, CONSTANTS, SETTINGS, KEPT = range(16)
HEADER = 16
# Places among the settings.
ETA, LAM, REST, MOST_GRADIENT, MOST_WEIGHT, LARGEST, FASTEST, SHARED1, SHARED2, PENDING = range(10)
# Of PENDING: whether the weights of the first layer wait for their update for the sample kept, and then to be clipped.
NOTHING, STEP, STEP_AND_CLIP = range(3)


class Kind(NamedTuple):
    """What is compiled in of a learner with a λ, or formulas of the user's own."""

    rule: tuple[int, ...]  # as ``kind_of`` makes it
    own: tuple[Any, ...] | None  # markers of its activations
    loss: Any  # marker of its loss, or None
    lam: tuple[()] | None  # () for plain descent with a λ


class State(NamedTuple):
    """A learner as jitted code takes it."""

    kind: Any  # of its rule, as ``kind_of`` makes it, or a ``Kind``
    data: np.ndarray

    def __reduce__(self) -> tuple[Any, ...]:
        return own_state, tuple(self)


def make_kind(activations: Sequence[str], loss: Any, rule: Rule, rest: float) -> Any:
    """What is compiled in of a learner."""
    kind, markers, penalised = kind_of(type(rule)), markers_of(activations), rule.plain and rest != 0
    if markers or is_marker(loss) or penalised:
        return Kind(kind, markers, loss if is_marker(loss) else None, () if penalised else None)
    return kind


def seen_by_prediction(kind: Any) -> Any:
    """What is compiled in where a learner predicts: the activations of the user's own, or None."""
    return Kind((), kind.own, None, None) if isinstance(kind, Kind) and kind.own else None


def named(name: str, kind: Any) -> str:
    """The name of the kernel for learners of a kind, no other kind's."""
    if kind is None:
        return name
    if isinstance(kind, Kind):
        return f"{name}_{hashlib.blake2b(spelled(typeof(kind)).encode(), digest_size=8).hexdigest()}"
    return f"{name}{len(kind)}" if not is_marker(kind) else f"{name}_{type(kind).__name__}"


def own_state(kind: Any, data: np.ndarray) -> State:
    """A state in memory of its own: what comes out of a pickle may lie where nobody may write."""
    own = aligned_zeros(len(data), np.dtype(data.dtype.type))
    own[:] = data
    return State(kind, own)


def make_state(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    loss: Any,
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
        RECORDS: work.layers.view(PACKED).view(np.uint8).view(dtype),
        Z: work.z,
        B: work.b,
        SLOPE: work.slope,
        G: work.g,
        USED: work.used,
        ROOM: np.zeros(sizes[0] + sizes[-1], dtype),  # for a sample
        KEPT: np.zeros(sizes[0], dtype),
        CONSTANTS: np.zeros(MOST_SETTINGS, dtype),
        P: work.P,
        A: work.A if work.A is not work.P else work.A[:0],
        S: work.S.ravel(),
        SETTINGS: np.array([*settings, np.abs(p).max(), 0.0, 0.0, 0.0, NOTHING], dtype),
    }
    parts[CONSTANTS][: len(rule.constants())] = rule.constants()
    line = 64 // dtype.itemsize
    header = np.zeros(HEADER, np.int64)
    header[[LAYERS, LOSS, N]] = len(work.layers), code_of(loss), len(work.P)
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
    return State(make_kind(activations, loss, rule, settings[REST]), data), header[P] + work.place


def places_of(data: np.ndarray, place: np.ndarray, slots: int) -> np.ndarray:
    """Where in the state of a learner stand the numbers that learning changes: the parameters first, at ``place``."""
    header = data.view(np.int64)[:HEADER]
    starts = dict.fromkeys([int(header[P]), int(header[A])])
    more = [int(header[S] + slot * header[N]) for slot in range(slots)]
    settings = int(header[SETTINGS]) + np.arange(LARGEST, SHARED2 + 1)
    return np.concatenate([*(start + place - int(header[P]) for start in [*starts, *more]), settings])


def kept_at(data: np.ndarray) -> int:
    """Where in a state the inputs stand that an update waits for."""
    return int(data.view(np.int64)[KEPT])


def waits(data: np.ndarray) -> bool:
    """Whether an update is still to be made, as ``PENDING`` has it."""
    return bool(data[data.view(np.int64)[SETTINGS] + PENDING] != NOTHING)


def _header_at(context: Any, builder: Any, kind: Any, data: Any, index: Any) -> Any:
    """Whole number ``index`` of the header, while code is generated."""
    start = arrays().make_array(kind)(context, builder, data).data
    return builder.load(builder.gep(builder.bitcast(start, ir.IntType(64).as_pointer()), [index]))


@intrinsic
def integer_in(typing_context: Any, data: Any, index: Any) -> Any:
    """Whole number ``index`` of the header."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _header_at(context, builder, data, *arguments)

    return types.intp(data, types.intp), generate


@functools.cache
def _records(own: tuple[Any, ...]) -> Any:
    return types.Array(from_dtype(with_classes(PACKED, own)), 1, "C")


@intrinsic
def layers_of(typing_context: Any, kind: Any, data: Any) -> Any:
    """The records of the layers of a learner of this kind, without the activations of the user's own for None."""
    wanted = _records(tuple(own_in(kind)) if isinstance(kind, types.BaseNamedTuple) and "own" in kind.fields else ())

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrayobj = arrays()
        offset, count = (
            _header_at(context, builder, data, arguments[1], context.get_constant(types.intp, place))
            for place in (RECORDS, LAYERS)
        )
        start = arrayobj.make_array(data)(context, builder, arguments[1]).data
        records = arrayobj.make_array(wanted)(context, builder)
        place = builder.bitcast(builder.gep(start, [offset]), records.data.type)
        size = context.get_constant(types.intp, PACKED.itemsize)
        arrayobj.populate_array(records, place, [count], [size], size, meminfo=None)
        return records._getvalue()

    return wanted(kind, data), generate


def rule_in(kind: Any) -> Any:
    """What is compiled in of the rule."""


def loss_in(kind: Any, data: Any) -> Any:
    """The loss: its code, or a marker."""


def penalty_in(kind: Any, data: Any) -> Any:
    """λ and 1 − λ, or None each for plain descent without a penalty, whose work they would double. Other rules have 1
    and 0 then: without them, what the compiler joins to multiply-adds would round their thresholds in another way."""


def _is_kind(kind: Any) -> bool:
    return isinstance(kind, types.BaseNamedTuple) and kind.instance_class is Kind


def _of_header(kind: Any, data: Any) -> Any:
    return integer_in(data, LOSS)


def _of_kind(kind: Any, data: Any) -> Any:
    return kind.loss


def _penalty(kind: Any, data: Any) -> Any:
    return setting(data, LAM), setting(data, REST)


def _no_penalty(kind: Any, data: Any) -> Any:
    return None, None


def _has_penalty(kind: Any) -> bool:
    if _is_kind(kind):
        return not isinstance(kind.types[3], types.NoneType) or not rule_of(kind.types[0]).plain
    return not rule_of(kind).plain


by_type(rule_in, lambda kind: (lambda kind: kind.rule) if _is_kind(kind) else (lambda kind: kind))
by_type(
    loss_in,
    lambda kind, data: _of_kind if _is_kind(kind) and not isinstance(kind.types[2], types.NoneType) else _of_header,
)
by_type(penalty_in, lambda kind, data: _penalty if _has_penalty(kind) else _no_penalty)


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
