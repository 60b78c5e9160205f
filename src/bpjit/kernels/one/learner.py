"""Learning one sample at a time: what works on the state of a learner (``learner_state``) from any jitted code.

Nothing is updated before all gradient terms are known and found to be finite: a sample that would do harm changes
nothing. What Python calls keeps the GIL, so that each call is whole before another thread's.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import like, select, sqrt
from ...settings.rules import SETTINGS as MOST_SETTINGS
from ...settings.rules import Rule
from ..jit import atomic, by_type, from_lines, inline, items
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..own import OWN_RULE
from ..simd.across import lane_max, lane_sum
from ..simd.memory import item, lanes_of, pointer, put
from ..state import Steps, Update
from ..switches import OF_RULES, prepare, rule_of
from .any_layout import targets_at
from .each_sample import lift, load, load_first, output_terms, outputs, step, store, update_thresholds
from .first_layer import forward_dense, update_then_forward_dense
from .learner_state import (
    ETA,
    FASTEST,
    LAM,
    LARGEST,
    LOSS,
    MOST_GRADIENT,
    MOST_WEIGHT,
    REST,
    SHARED1,
    SHARED2,
    integer_in,
    layers_of,
    loss_in,
    named,
    net_in,
    rule_in,
    set_setting,
    setting,
)
from .padded import PANEL, Net, panel_size


@inline
def back(net: Net, layer: Any, P: Any) -> None:
    """e_h of the units below. Writes g below."""
    q, here, below = layer.below_width, layer.here, layer.below
    for v in range(0, q, lanes_of(net.P)):
        total, W = load(net.slope, below + v) * like(item(net.P, 0), 0), layer.weights + v
        for j in range(layer.fan_out):
            total += item(net.g, here + j) * load(P, W + j * q)
        store(net.g, below + v, formulas.hidden_gradient_term(load(net.slope, below + v), total))


@inline
def sizes_of(array: Any, first: int, n: int) -> Any:
    """(the largest size, the sum of squares) of n numbers; the second is not finite where one of them is not."""
    most = total = lift(like(item(array, first), 0))
    for v in range(0, n, lanes_of(array)):
        part = load_first(array, first + v, n - v)
        size = abs(part)
        most = select(size > most, size, most)
        total += part * part
    return lane_max(most), lane_sum(total)


@inline
def zero_of(array: Any, first: int, n: int) -> Any:
    """0, or NaN where one of n numbers is not finite."""
    total = lift(like(item(array, first), 0))
    for v in range(0, n, lanes_of(array)):
        total += load_first(array, first + v, n - v) * like(item(array, first), 0)
    return lane_sum(total)


@inline
def squares_over(array: Any, first: int, n: int, unit: Any) -> Any:
    """The sum of squares of n numbers, in units of ``unit``."""
    total = lift(like(unit, 0))
    for v in range(0, n, lanes_of(array)):
        part = load_first(array, first + v, n - v) / unit
        total += part * part
    return lane_sum(total)


@inline
def run_forward(net: Net, layers: Any, x: Any, P: Any) -> Any:
    """ŷ for one sample. Writes z, b, slope; returns 0, or NaN where x is not finite."""
    X = pointer(x, 0)
    forward_dense(net, layers[0], None, P, X, 0)
    outputs(net, layers, P)
    return zero_of(X, 0, layers[0].fan_in)


@inline
def norm_in_units(net: Net, layers: Any, x: Any, largest: Any) -> Any:
    """The norm of the gradient in units of its largest entry; not finite where the gradient is not."""
    zero, one = like(largest, 0), like(largest, 1)
    squares, unit = zero, select(largest > zero, largest, one)
    for index in range(len(layers)):
        layer = layers[index]
        if index == 0:
            below, first = pointer(x, 0), 0
        else:
            below, first = net.b, layer.below
        steepest, _ = sizes_of(net.g, layer.here, layer.fan_out)
        size, _ = sizes_of(below, first, layer.fan_in)
        steepest, size = select(steepest > zero, steepest, one), select(size > one, size, one)
        of_g = squares_over(net.g, layer.here, layer.fan_out, steepest)
        of_b = squares_over(below, first, layer.fan_in, size) + one / size / size
        share = select(of_g > zero, steepest * size / unit, of_g)
        squares += share * share * of_g * of_b
    return sqrt(squares)


SQUARES = *(rule.code for rule in OF_RULES if rule.squares), OWN_RULE
settings_at = inline(from_lines("settings_at", "c", [f"return {items('item(c, {k})', MOST_SETTINGS)}"], {"item": item}))


@inline
def prepare_rule(kind: Any, c: Any, data: Any) -> Any:
    """What all parameters share, anew for each update. Writes the state."""
    first, second = setting(data, SHARED1), setting(data, SHARED2)
    first, second = prepare(kind, (first, second), settings_at(c), like(first, 0))
    set_setting(data, SHARED1, first)
    set_setting(data, SHARED2, second)
    return first, second


def longest_step(kind: Any, c: Any, eta_g: Any, last: Any) -> Any:
    """As ``Rule.longest``."""


@functools.cache
def _longest_of(rule: type[Rule]) -> Any:
    settings = items("item(c, {k})", len(rule().constants()))
    scope = {"longest": rule.longest, "item": item}
    return from_lines("longest_step", "kind, c, eta_g, last", [f"return longest(eta_g, last, {settings})"], scope)


by_type(longest_step, lambda kind, c, eta_g, last: _longest_of(rule_of(kind)))


@inline
def learn_one(kind: Any, data: Any, x: Any, y: Any) -> Any:
    """One update. Returns E_k from before it, or NaN where the sample would do harm: nothing changes then."""
    layers, loss, kind = layers_of(kind, data), loss_in(kind, data), rule_in(kind)
    net, top = net_in(data), layers[len(layers) - 1]
    check = run_forward(net, layers, x, net.A)
    Y = pointer(y, 0)
    error = output_terms(net, top, loss, Y, 0, top.here, like(check, 1))
    for index in range(len(layers) - 1, 0, -1):
        back(net, layers[index], net.A)

    zero, one = like(error, 0), like(error, 1)
    norm, largest = size_of_gradient(net, layers, x, zero, one)
    most = setting(data, MOST_GRADIENT)
    clip = select(norm > most, most / norm, one)
    eta, lam = setting(data, ETA), setting(data, LAM)
    move = longest_step(kind, net.c, eta * largest * clip, setting(data, FASTEST))
    bound = setting(data, LARGEST) + move
    fits = fits_loss(top, integer_in(data, LOSS), Y)
    if not (fits and check + error * zero + norm * zero + bound * zero == zero):
        # Squares may be beyond all numbers where the gradient is not, and LARGEST, which only grows, where no
        # parameter is.
        norm, most = norm_in_units(net, layers, x, largest), most / largest
        clip = select(norm > most, most / norm, one)
        move = longest_step(kind, net.c, eta * (largest * clip), setting(data, FASTEST))
        bound = sizes_of(net.P, 0, net.n)[0] + move
        check += error * zero + norm * zero + bound * zero
        if len(kind) in SQUARES:
            check += largest * clip * (largest * clip) * zero
        if not (fits and check == zero):
            return like(error, np.nan)
    set_setting(data, FASTEST, move)
    set_setting(data, LARGEST, bound)

    for v in range(0, top.here + top.width, lanes_of(net.P)):
        store(net.g, v, load(net.g, v) * clip)
    steps = Steps(kind, None, None, 1, lam, setting(data, REST))
    take_step(net, layers, x, Update(steps, eta, prepare_rule(kind, net.c, data)))
    limit = setting(data, MOST_WEIGHT)
    if bound > limit or (len(kind) in SQUARES and limit * zero == zero):  # their steps may be longer than η |g|
        clip_weights(net, limit, zero)
        set_setting(data, LARGEST, limit)
    return error


@inline
def size_of_gradient(net: Net, layers: Any, x: Any, zero: Any, one: Any) -> Any:
    """The norm of the gradient, the root of Σ |g|² (1 + |b|²) over the layers, and its largest entry."""
    squares, largest = zero, zero
    for index in range(len(layers)):
        layer = layers[index]
        if index == 0:
            below, first, q = pointer(x, 0), 0, layer.fan_in
        else:
            below, first, q = net.b, layer.below, layer.fan_in
        steepest, of_g = sizes_of(net.g, layer.here, layer.fan_out)
        size, of_b = sizes_of(below, first, q)
        size = steepest * select(size > one, size, one)
        largest = select(size > largest, size, largest)
        squares += of_g * (one + of_b)
    return sqrt(squares), largest


@inline
def take_step(net: Net, layers: Any, x: Any, update: Update) -> None:
    """One step of the rule. Writes P, S, A."""
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        for j in range(layer.fan_out if index > 0 else 0):
            g, W = item(net.g, layer.here + j), layer.weights + j * layer.below_width
            for v in range(0, layer.below_width, lanes_of(net.P)):
                step(update, net, W + v, g, load(net.b, layer.below + v))
        update_thresholds(net, layer, update)
    update_then_forward_dense(net, layers[0], None, pointer(x, 0), 0, 0, update)


@inline
def clip_weights(net: Net, limit: Any, zero: Any) -> None:
    """Bring every parameter to within ±limit. Writes P."""
    for o in range(0, net.n, lanes_of(net.P)):
        w = load(net.P, o)
        w = select(w > limit, w * zero + limit, select(w < -limit, w * zero - limit, w))
        store(net.P, o, w)


@inline
def fits_loss(top: Any, loss: int, y: Any) -> bool:
    """Whether targets are probabilities where cross-entropy wants them to be."""
    if loss != CROSS_ENTROPY:
        return True
    zero, one = like(item(y, 0), 0), like(item(y, 0), 1)
    total, fits = zero, True
    for j in range(top.fan_out):
        total += item(y, j)
        fits = fits and zero <= item(y, j) <= one
    return fits and (top.activation != SOFTMAX or abs(total - one) <= like(one, 1e-3))


@inline
def predict_one(kind: Any, data: Any, x: Any, y_hat: Any) -> Any:
    """ŷ for one sample. Writes y_hat; returns whether x was finite."""
    layers = layers_of(kind, data)
    net, top = net_in(data), layers[len(layers) - 1]
    check = run_forward(net, layers, x, net.P)
    for j in range(top.fan_out):
        y_hat[j] = item(net.b, top.here + j)
    return check == like(check, 0)


@inline
def slopes_one(kind: Any, data: Any, x: Any, y_hat: Any, J: Any) -> Any:
    """ŷ and ∂ŷ_j/∂x_i for one sample. Writes y_hat, and J, [shape: (l, d)]; returns whether x was finite."""
    finite = predict_one(kind, data, x, y_hat)
    layers = layers_of(kind, data)
    net, bottom, top = net_in(data), layers[0], layers[len(layers) - 1]
    zero, one = like(item(net.P, 0), 0), like(item(net.P, 0), 1)
    lanes, d, l = lanes_of(net.P), bottom.fan_in, top.fan_out
    for j in range(l):
        for i in range(l):
            here, d_i = top.here + i, select(i == j, one, zero)
            if top.activation == SOFTMAX:
                put(net.g, here, formulas.softmax_gradient_term(item(net.b, here), d_i, item(net.b, top.here + j)))
            else:
                put(net.g, here, formulas.output_gradient_term(item(net.slope, here), d_i))
        for index in range(len(layers) - 1, 0, -1):
            back(net, layers[index], net.P)
        for i in range(d):
            J[j, i] = first_slope(net, bottom, i, lanes)
    return finite


@inline
def first_slope(net: Net, layer: Any, i: int, lanes: int) -> Any:
    """Σ_h v_ih e_h, through the panels of the first layer."""
    d, width, W, column, panel = layer.fan_in, layer.width, layer.weights, 0, PANEL * lanes
    total = load(net.g, layer.here) * like(item(net.P, 0), 0)
    while column < width:
        while column + panel > width:
            panel //= 2
        for v in range(0, panel, lanes):
            total += load(net.P, W + i * panel + v) * load(net.g, layer.here + column + v)
        W += panel_size(d, panel, lanes)
        column += panel
    return lane_sum(total)


# --- What Python calls. Jitted code calls ``bpjit.compiled``.


@functools.cache
def predict_kernel(kind: Any) -> Any:
    """The kernel that does as ``predict_one`` for learners of this kind, as ``seen_by_prediction``."""

    def predict_kernel(data: np.ndarray, x: np.ndarray, y_hat: np.ndarray) -> bool:
        return predict_one(kind, data, x, y_hat)

    return atomic(predict_kernel, named("predict_kernel", kind))


@functools.cache
def learn_kernel(kind: Any) -> Any:
    """The kernel that does as ``learn_one`` for learners of this kind; y may be a number, as for ``targets_at``."""

    def learn_kernel(data: np.ndarray, x: np.ndarray, y: np.ndarray | float) -> Any:
        return learn_one(kind, data, x, targets_at(data, y))

    return atomic(learn_kernel, named("learn_kernel", kind))
