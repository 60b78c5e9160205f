"""The arrays of one sample that jitted code hands to a learner, in whatever layout they come.

What lies whole is read where it stands; all else is gathered in a room of the learner's state. What cannot be taken is
refused while the caller is compiled, a wrong length when it runs; both name the argument.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..jit import by_type, inline
from ..layout import SOFTMAX
from ..simd.memory import pointer, put
from .learner_state import ROOM, integer_in, layers_of


def _check(name: str, kind: Any, data: Any, shape: str, written: bool = False, more: str = "") -> None:
    """Refuse what is no array like this, of the dtype of the state."""
    axes = shape.count(",") + (not shape.endswith(",)"))
    if not (isinstance(kind, types.Array) and kind.ndim == axes and kind.dtype == data.dtype):
        expected = f"an array of shape {shape} and of the network's dtype, {data.dtype}{more}"
        raise TypeError(f"{name}: expected {expected}, got {kind}")
    if written and not kind.mutable:
        raise TypeError(f"{name}: expected an array that can be written, got {kind}")


def _lies_whole(kind: Any) -> bool:
    return bool(kind.layout == "C" and kind.aligned)


@inline
def gather(data: Any, room: int, values: Any) -> Any:
    """A pointer to numbers of any layout, brought together in the room."""
    for k in range(len(values)):
        put(data, room + k, values[k])
    return pointer(data, room)


def inputs_at(data: Any, x: Any) -> Any:
    """A pointer to the inputs of a sample. May write the room."""


def _inputs_here(data: Any, x: Any) -> Any:
    if len(x) != layers_of(None, data)[0].fan_in:
        raise ValueError("x: expected as many numbers as the network has inputs")
    return pointer(x, 0)


def _inputs_gathered(data: Any, x: Any) -> Any:
    d, room = layers_of(None, data)[0].fan_in, integer_in(data, ROOM)
    if len(x) != d:
        raise ValueError("x: expected as many numbers as the network has inputs")
    return gather(data, room, x)


def _choose_inputs(data: Any, x: Any) -> Any:
    if not data.mutable:
        raise TypeError(f"state: expected that of an OnlineLearner, which can be written, got one of {data}")
    _check("x", x, data, "(d,)")
    return _inputs_here if _lies_whole(x) else _inputs_gathered


def targets_at(data: Any, y: Any) -> Any:
    """A pointer to the targets of a sample, given as ``OnlineLearner.learn`` takes them. May write the room."""


def _targets_here(data: Any, y: Any) -> Any:
    layers = layers_of(None, data)
    if len(y) != layers[len(layers) - 1].fan_out:
        raise ValueError("y: expected as many numbers as the network has outputs")
    return pointer(y, 0)


def _targets_gathered(data: Any, y: Any) -> Any:
    layers = layers_of(None, data)
    room, l = integer_in(data, ROOM) + layers[0].fan_in, layers[len(layers) - 1].fan_out
    if len(y) != l:
        raise ValueError("y: expected as many numbers as the network has outputs")
    return gather(data, room, y)


def _target_spread(data: Any, y: Any) -> Any:
    layers = layers_of(None, data)
    room, top = integer_in(data, ROOM) + layers[0].fan_in, layers[len(layers) - 1]
    if top.fan_out == 1:
        put(data, room, y)
    else:
        if top.activation != SOFTMAX:
            raise ValueError("y: expected as many numbers as the network has outputs")
        if not (0 <= y < top.fan_out and y == np.floor(y)):
            raise ValueError("y: expected a class number, from 0 to one less than the network has outputs")
        for j in range(top.fan_out):
            put(data, room + j, 1.0 if j == y else 0.0)
    return pointer(data, room)


def _choose_targets(data: Any, y: Any) -> Any:
    if isinstance(y, (types.Integer, types.Float)):
        return _target_spread
    _check("y", y, data, "(l,)", more=", or a number: the target of a single output, a class for softmax outputs")
    return _targets_here if _lies_whole(y) else _targets_gathered


def as_outputs(data: Any, y_hat: Any) -> Any:
    """An array for the outputs of a sample: itself."""


def _same_outputs(data: Any, y_hat: Any) -> Any:
    layers = layers_of(None, data)
    if len(y_hat) != layers[len(layers) - 1].fan_out:
        raise ValueError("y_hat: expected room for as many numbers as the network has outputs")
    return y_hat


def _choose_outputs(data: Any, y_hat: Any) -> Any:
    _check("y_hat", y_hat, data, "(l,)", written=True)
    return _same_outputs


def as_slopes(data: Any, J: Any) -> Any:
    """An array for the slopes of a sample: itself."""


def _same_slopes(data: Any, J: Any) -> Any:
    layers = layers_of(None, data)
    if J.shape[0] != layers[len(layers) - 1].fan_out or J.shape[1] != layers[0].fan_in:
        raise ValueError("J: expected a row for each output of the network, and a column for each input")
    return J


def _choose_slopes(data: Any, J: Any) -> Any:
    _check("J", J, data, "(l, d)", written=True)
    return _same_slopes


for _helper, _choose in (
    (inputs_at, _choose_inputs),
    (targets_at, _choose_targets),
    (as_outputs, _choose_outputs),
    (as_slopes, _choose_slopes),
):
    by_type(_helper, _choose)
