"""What is known of the networks of a pack: layers, sizes and loss, by type for the smallest ones, else by value; and
what follows from a type: room on the stack, loops unrolled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..insides import cgutils
from ..jit import by_type, call_body
from ..own import has_own, own_in
from .packs import Layer, at, write


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
