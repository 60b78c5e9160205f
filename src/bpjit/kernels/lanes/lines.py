"""Training of many networks of one shape at once: one in each lane of a vector, all of them at the same sample.

The lines of the book are those of ``readable.online``, and here each number is a vector: the formulas run on all
networks of a pack (``lanes.packs``) at once. Nothing passes from lane to lane, so no network's bits depend on its
neighbours, its lane or the number of networks.

Networks may differ in everything but shape, rule and the kind of their data: parameters, η, λ, the rule's settings, the
samples they see and how often, and when they stop. A network that has stopped keeps its lane until Python fills it
with another; what it computes there meanwhile is for nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from numba import types

from ...maths import formulas
from ...maths.formulas import like, select
from ..jit import by_type, inline, unless_none
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..own import formula_of, has_own, own_in
from ..rule_steps import make_lane_step
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from ..state import Update
from ..switches import activation_of, code_of, terms_of, terms_of_code, terms_where_known, where_known
from .packs import at, write
from .samples import value
from .shapes import depth_of, each_unit, layer_at

step, step_threshold, step_along, seen = make_lane_step(at, write)


class Net(NamedTuple):
    """Pointers to one pack."""

    P: Any
    A: Any
    S: Any
    mask: Any  # 1 where a parameter is trained; None where all are
    n: Any  # numbers in P
    c: Any  # planes; the rule's constants stand first
    active: Any  # the networks that take part in an update: a mask, or None for all
    z: Any
    b: Any
    slope: Any
    g: Any


@unless_none
def present(c: Any) -> Any:
    """The networks for which this sample is not absent: a mask, or None for all."""
    return c > like(c, 0)


@inline
def weighted(c: Any, value: Any) -> Any:
    """c times a value, 0 where the sample is absent."""
    if c is None:
        return value
    return select(c > like(c, 0), c * value, like(value, 0))


@inline
def where(mask: Any, value: Any, otherwise: Any) -> Any:
    """``select``, where no mask means everywhere."""
    if mask is None:
        return value
    return select(mask, value, otherwise)


def activate_first(shape: Any, layer: Any, z: Any) -> Any:
    """(f(z), f'(z)) of the first layer."""


def activate_upper(shape: Any, layer: Any, z: Any) -> Any:
    """The same of any other."""


def _by_code(shape: Any, layer: Any, z: Any) -> Any:
    return activation_of(layer, layer.activation, z)


@functools.cache
def _always(function: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(shape: Any, layer: Any, z: Any) -> Any:
        return function(z)

    return chosen


def _by_type(place: int) -> Callable[..., Any]:
    def choose(shape: Any, layer: Any, z: Any) -> Any:
        if isinstance(shape, types.NoneType):
            return _by_code
        code = len(shape[place])
        if code > SOFTMAX:
            return _always(formula_of(own_in(layer)[code - SOFTMAX - 1]))
        return _always((*formulas.ACTIVATIONS, formulas.identity)[code])  # softmax comes later

    return choose


by_type(activate_first, _by_type(3))
by_type(activate_upper, _by_type(4))


@inline
def forward_inputs(net: Net, shape: Any, layer: Any, P: Any, x: Any, top: bool) -> None:
    """z_h = α_h − γ_h of the first layer, and its outputs. Writes b, slope, and z of outputs."""
    each_unit(shape, layer.fan_out, _forward_unit, (net, shape, layer, P, x, top))


@inline
def _forward_unit(h: int, net: Net, shape: Any, layer: Any, P: Any, x: Any, top: bool) -> None:
    d, q, V, gamma = layer.fan_in, layer.fan_out, layer.weights, layer.thresholds
    z = -at(P, gamma + h)
    for i in range(d):
        z += value(x, i) * at(P, V + i * q + h)
    if top:
        write(net.z, h, z)
    if layer.activation != SOFTMAX:
        b, slope = activate_first(shape, layer, z)
        write(net.b, h, b)
        write(net.slope, h, slope)


@inline
def forward(net: Net, shape: Any, layer: Any, P: Any, top: bool) -> None:
    """z_j = β_j − θ_j of an upper layer, and its outputs. Writes b, slope, and z of the outputs."""
    q, l, W, theta = layer.fan_in, layer.fan_out, layer.weights, layer.thresholds
    for j in range(l):
        z = -at(P, theta + j)
        for h in range(q):
            z += at(net.b, layer.below + h) * at(P, W + h * l + j)
        if layer.activation == SOFTMAX:
            write(net.z, layer.here + j, z)
        else:
            b, slope = activate_upper(shape, layer, z)
            write(net.b, layer.here + j, b)
            write(net.slope, layer.here + j, slope)
            if top:
                write(net.z, layer.here + j, z)


def finish_outputs(net: Net, shape: Any, layer: Any) -> None:
    """Softmax, where it is that of the outputs."""


def _finish_by_code(net: Net, shape: Any, layer: Any) -> None:
    if layer.activation == SOFTMAX:
        softmax(net, layer)


def _finish_by_type(net: Any, shape: Any, layer: Any) -> Any:
    if isinstance(shape, types.NoneType):
        return _finish_by_code
    if len(shape[4]) == SOFTMAX:
        return lambda net, shape, layer: softmax(net, layer)
    return lambda net, shape, layer: None


by_type(finish_outputs, _finish_by_type)


@inline
def softmax(net: Net, layer: Any) -> None:
    """As ``readable.online.softmax``. Writes b, and log ŷ into z."""
    first, end = layer.here, layer.here + layer.fan_out
    largest = at(net.z, first)
    for j in range(first + 1, end):
        z = at(net.z, j)
        largest = select(z > largest, z, largest)
    total = like(largest, 0)
    for j in range(first, end):
        z = at(net.z, j) - largest
        b = formulas.exp(z)
        write(net.z, j, z)
        write(net.b, j, b)
        total += b
    log_total = formulas.log(total)
    for j in range(first, end):
        write(net.b, j, at(net.b, j) / total)
        write(net.z, j, at(net.z, j) - log_total)


@inline
def outputs(net: Net, shape: Any, layers: Any, P: Any, x: Any) -> None:
    """From x to ŷ. Writes z, b, slope."""
    depth = depth_of(shape, layers)
    forward_inputs(net, shape, layer_at(shape, layers, 0), P, x, depth == 1)
    for index in range(1, depth):
        forward(net, shape, layer_at(shape, layers, index), P, index == depth - 1)
    finish_outputs(net, shape, layer_at(shape, layers, depth - 1))


def terms(shape: Any, loss: Any, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    """``terms_of`` this loss; where it stands in a type, no other is compiled."""


def _terms_by_type(shape: Any, loss: Any, *rest: Any) -> Any:
    of = terms_of
    if not isinstance(shape, types.NoneType) and not has_own(loss):
        of = terms_of_code(len(shape[5]), len(shape[4]) == SOFTMAX)
        of = terms_where_known(of) if where_known(loss) else of
    return _terms_by(of)


@functools.cache
def _terms_by(of: Any) -> Any:
    return lambda shape, loss, softmax, z, b, slope, y: of(loss, softmax, z, b, slope, y)


by_type(terms, _terms_by_type)


@inline
def output_terms(net: Net, shape: Any, layer: Any, loss: Any, y: Any, c: Any) -> Any:
    """c g_j of the outputs. Writes g, returns c E_k."""
    zero = like(at(net.b, layer.here), 0)
    error, mean, is_softmax = zero, zero, layer.activation == SOFTMAX
    for j in range(layer.fan_out):
        unit = layer.here + j
        share, g, shared = terms(
            shape, loss, is_softmax, at(net.z, unit), at(net.b, unit), at(net.slope, unit), zero + value(y, j)
        )
        error += share
        mean += shared
        write(net.g, unit, weighted(c, g))
    if is_softmax and code_of(loss) != CROSS_ENTROPY:
        mean = weighted(c, mean)
        for unit in range(layer.here, layer.here + layer.fan_out):
            write(net.g, unit, formulas.softmax_gradient_term(at(net.b, unit), at(net.g, unit), mean))
    return weighted(c, error)


def change(update: Update, G: Any, net: Any, p: int, g: Any, b: Any) -> None:
    """Update w_hj, whose gradient is g_j b_h, or collect its gradient. Writes P, or G."""


def _update(update: Update, G: Any, net: Any, p: int, g: Any, b: Any) -> None:
    step(update, net, p, g, b)


def _collect(update: Update, G: Any, net: Any, p: int, g: Any, b: Any) -> None:
    write(G, p, at(G, p) + g * b)


def change_threshold(update: Update, G: Any, net: Any, p: int, g: Any) -> None:
    """The same for θ_j."""


def _update_threshold(update: Update, G: Any, net: Any, p: int, g: Any) -> None:
    step_threshold(update, net, p, g)


def _collect_threshold(update: Update, G: Any, net: Any, p: int, g: Any) -> None:
    write(G, p, at(G, p) - g)


by_type(change, lambda update, G, *rest: _update if isinstance(G, types.NoneType) else _collect)
by_type(
    change_threshold,
    lambda update, G, *rest: _update_threshold if isinstance(G, types.NoneType) else _collect_threshold,
)


@inline
def backward(net: Net, shape: Any, layer: Any, update: Update, G: Any) -> None:
    """e_h of the units below with the old w_hj, and the change of w_hj and θ_j. Writes g below, P or G."""
    each_unit(shape, layer.fan_in, _back_to_unit, (net, layer, update, G))
    for j in range(layer.fan_out):
        change_threshold(update, G, net, layer.thresholds + j, at(net.g, layer.here + j))


@inline
def _back_to_unit(h: int, net: Net, layer: Any, update: Update, G: Any) -> None:
    l, W, below = layer.fan_out, layer.weights, layer.below + h
    b, back = at(net.b, below), like(update.eta, 0)
    for j in range(l):
        g = at(net.g, layer.here + j)
        back += g * at(net.A, W + h * l + j)
        change(update, G, net, W + h * l + j, g, b)
    write(net.g, below, formulas.hidden_gradient_term(at(net.slope, below), back))


@inline
def change_inputs(net: Net, shape: Any, layer: Any, update: Update, G: Any, x: Any) -> None:
    """The change of v_ih and γ_h. Writes P or G."""
    each_unit(shape, layer.fan_out, _change_unit, (net, layer, update, G, x))


@inline
def _change_unit(h: int, net: Net, layer: Any, update: Update, G: Any, x: Any) -> None:
    d, q, V = layer.fan_in, layer.fan_out, layer.weights
    e = at(net.g, layer.here + h)
    for i in range(d):
        change(update, G, net, V + i * q + h, e, value(x, i))
    change_threshold(update, G, net, layer.thresholds + h, e)


@inline
def back_and_change(net: Net, shape: Any, layers: Any, update: Update, G: Any, x: Any) -> None:
    """From g_j back to all e_h, and the change of all parameters. Writes g, P or G."""
    for index in range(depth_of(shape, layers) - 1, 0, -1):
        backward(net, shape, layer_at(shape, layers, index), update, G)
    change_inputs(net, shape, layer_at(shape, layers, 0), update, G, x)
