"""An update after each sample as fast as the machine allows: one network, in SIMD along its units.

The lines of the book are those of ``readable.online``, which this is tested against; here each is a loop over vectors
of a packed network (``one.padded``). What is new is the order: the weights of the first layer are read and written
once for each sample. A row of them takes the update of this sample, and while it is in registers adds its share to the
net input of the next one (``update_then_forward``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import like, select
from ..epochs import Stretch, anywhere, make_train_block
from ..jit import inline, smaller, unless_none
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..rule_steps import make_step
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from ..simd.across import lane, lane_max, lane_sum, lane_sums, with_four
from ..simd.memory import item, lanes_of, partial_vectors, pointer, registers, vectors
from ..state import UPDATES, Memory, Order, Task, Update
from ..sums import add_error
from ..switches import activation_of, code_of, prepare_rule, terms_of
from .first_layer import forward, update_then_forward
from .padded import Net, Work, look_ahead, net_of, pointer_or_none

load, store, lift = vectors(registers(1))
load_first, _ = partial_vectors(registers(1))


@inline
def dots(net: Net, layer: Any, P: Any) -> None:
    """β_j = W_j · b of an upper layer. Writes z."""
    lanes = lanes_of(net.P)
    q, below, l = layer.below_width, layer.below, layer.fan_out
    for first in range(0, l, lanes):
        z = lift(like(item(P, 0), 0))
        for group in range(0, smaller(lanes, l - first), 4):
            w0 = layer.weights + (first + group) * q
            more = l - 1 - first - group
            w1, w2, w3 = w0 + smaller(1, more) * q, w0 + smaller(2, more) * q, w0 + smaller(3, more) * q
            b = load(net.b, below)
            s0, s1, s2, s3 = load(P, w0) * b, load(P, w1) * b, load(P, w2) * b, load(P, w3) * b
            for v in range(lanes, q, lanes):
                b = load(net.b, below + v)
                s0 += load(P, w0 + v) * b
                s1 += load(P, w1 + v) * b
                s2 += load(P, w2 + v) * b
                s3 += load(P, w3 + v) * b
            z = with_four(z, lane_sums(s0, s1, s2, s3), group)
        store(net.z, layer.here + first, z)


@inline
def exponentials(net: Net, layer: Any, P: Any, at: int) -> Any:
    """The first half of ``readable.online.softmax``: e^z with the largest z taken off first.

    Writes that z, and b; returns Σ b, and the last vectors of z and b.
    """
    lanes, here, width, thresholds = lanes_of(net.P), layer.here, layer.width, layer.thresholds
    zero = lift(like(item(P, 0), 0))
    least = z = -like(zero, np.inf)
    largest = least
    for v in range(0, width, lanes):
        z = load(net.z, at + v) - load(P, thresholds + v)
        z = select(load(net.used, here + v) > zero, z, least)
        largest = select(z > largest, z, largest)
        store(net.z, at + v, z)
    most, total, b = lift(lane_max(largest)), zero, zero
    for v in range(0, width, lanes):
        used = load(net.used, here + v)
        if width > lanes:
            z = load(net.z, at + v)
        z = select(used > zero, z - most, zero)  # far less than the others would be subnormal, and slow
        b = formulas.exp(z) * used
        store(net.z, at + v, z)
        store(net.b, at + v, b)
        total += b
    return lane_sum(total), z, b


@inline
def normalise(net: Net, layer: Any, at: int, total: Any, log_total: Any) -> None:
    """The second half: ŷ_j = e^z_j / Σ, log ŷ_j = z_j − log Σ. Writes b, and log ŷ into z."""
    total, log_total = lift(total), lift(log_total)
    for v in range(at, at + layer.width, lanes_of(net.P)):
        store(net.b, v, load(net.b, v) / total)
        store(net.z, v, load(net.z, v) - log_total)


@inline
def softmax(net: Net, layer: Any, P: Any) -> None:
    """As ``readable.online.softmax``, from β. Writes b, and log ŷ into z."""
    here = layer.here
    total, z, b = exponentials(net, layer, P, here)
    log_total = lane(formulas.log(lift(total)), 0)
    if layer.width == lanes_of(net.P):
        store(net.b, here, b / lift(total))
        store(net.z, here, z - log_total)
    else:
        normalise(net, layer, here, total, log_total)


@inline
def activate_layer(net: Net, layer: Any, P: Any, at: int) -> None:
    """z = β − θ, b = f(z), f'(z) of a layer whose units stand at ``at``. Writes b, slope, and z of the outputs."""
    code, here, thresholds = layer.activation, layer.here, layer.thresholds
    for v in range(0, layer.width, lanes_of(net.P)):
        z = load(net.z, at + v) - load(P, thresholds + v)
        if layer.last:
            store(net.z, at + v, z)
        b, slope = activation_of(layer, code, z)
        store(net.b, at + v, b * load(net.used, here + v))
        store(net.slope, at + v, slope)


@inline
def outputs(net: Net, layers: Any, P: Any) -> None:
    """From β of the first layer to ŷ. Writes z, b, slope."""
    for index in range(len(layers)):
        layer = layers[index]
        if index > 0:
            dots(net, layer, P)
        if layer.activation == SOFTMAX:
            softmax(net, layer, P)
        else:
            activate_layer(net, layer, P, layer.here)


@inline
def output_terms(net: Net, layer: Any, loss: Any, Y: Any, y_at: int, at: int, scale: Any) -> Any:
    """g_j of the outputs at ``at`` for the targets at ``y_at``, times ``scale``. Writes g, returns E_k."""
    lanes, here, l, softmax = lanes_of(net.P), layer.here, layer.fan_out, layer.activation == SOFTMAX
    zero = lift(like(item(Y, y_at), 0))
    error, mean = zero, zero
    for v in range(0, layer.width, lanes):
        b, used = load(net.b, at + v), load(net.used, here + v) > zero
        y = load_first(Y, y_at + v, l - v)
        share, g, shared = terms_of(loss, softmax, load(net.z, at + v), b, load(net.slope, at + v), y)
        mean += shared
        error += select(used, share, zero)
        store(net.g, at + v, select(used, g * scale, zero))
    if softmax and code_of(loss) != CROSS_ENTROPY:
        mean = lift(lane_sum(mean))
        for v in range(0, layer.width, lanes):
            g = formulas.softmax_gradient_term(load(net.b, at + v), load(net.g, at + v), mean * scale)
            store(net.g, at + v, g)
    return lane_sum(error)


def _make_back(count: int) -> Callable[..., Any]:
    """An upper layer, ``count`` registers of the units below."""
    load, store, lift = vectors(registers(count))
    step, *_ = make_step(count)

    @inline
    def back_and_update(net: Net, layer: Any, update: Update, column: int) -> None:
        q, here, W, below = layer.below_width, layer.here, layer.weights + column, layer.below + column
        b, back = load(net.b, below), lift(like(update.eta, 0))
        for j in range(here, here + layer.fan_out):
            g = item(net.g, j)
            back += g * load(net.A, W)
            step(update, net, W, g, b)
            W += q
        store(net.g, below, formulas.hidden_gradient_term(load(net.slope, below), back))

    return back_and_update


_back2, _back1 = _make_back(2), _make_back(1)
step, step_threshold, *_ = make_step(1)


@inline
def back_and_update(net: Net, layer: Any, update: Update) -> None:
    """e_h of the units below with the old w_hj, and the update of w_hj. Writes g below, P."""
    lanes, column = lanes_of(net.P), 0
    while column + 2 * lanes <= layer.below_width:
        _back2(net, layer, update, column)
        column += 2 * lanes
    if column < layer.below_width:
        _back1(net, layer, update, column)


@inline
def update_thresholds(net: Net, layer: Any, update: Update) -> None:
    """θ_j of a layer after its update. Writes P."""
    for v in range(0, layer.width, lanes_of(net.P)):
        step_threshold(update, net, layer.thresholds + v, load(net.g, layer.here + v))


@inline
def update_upper_part(net: Net, layers: Any, update: Update) -> None:
    """e_h of all hidden units; the update of everything but the weights of the first layer. Writes g, P."""
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        if index > 0:
            back_and_update(net, layer, update)
        update_thresholds(net, layer, update)


@inline
def rate_and_scale(steps: Any, eta: Any, c: Any) -> Any:
    """A sample of weight c moves plain descent c times as far; a rule gets c times its gradient."""
    if steps is None:
        return eta * c, like(c, 1)
    return eta, c


@unless_none
def shared_by(steps: Any, scalars: np.ndarray, P: np.ndarray) -> Any:
    return prepare_rule(steps, scalars, P, 1)


@inline
def advance(task: Task, steps: Any, memory: Memory, work: Work, order: Order, stretch: Stretch, eta: Any) -> None:
    """Learn from a stretch of the positions of an epoch, or add up the errors of the validation set.

    Writes the packed network and memory.
    """
    layers, scalars, (first, last, learn, _) = work.layers, memory.scalars, stretch
    net, bottom, top = net_of(work, steps), layers[0], layers[len(layers) - 1]
    if learn:
        X, Y, c, P = pointer(task.D.X, 0), pointer(task.D.Y, 0), pointer(task.D.c, 0), net.A
    else:
        X, Y, c, P = pointer(task.V.X, 0), pointer(task.V.Y, 0), pointer(task.V.c, 0), net.P
    rows = pointer_or_none(work.rows)
    places = pointer(order.places, 0) if learn else pointer(order.in_place, 0)
    d, l, loss = bottom.fan_in, top.fan_out, task.loss
    for t in range(first, last):
        k, following = item(places, t), item(places, smaller(t + 1, last - 1))
        if t == first or not learn:
            forward(net, bottom, rows, P, pointer(X, k * d))
        outputs(net, layers, P)
        rate, scale = rate_and_scale(steps, eta, item(c, k))
        add_error(scalars, item(c, k) * output_terms(net, top, loss, Y, k * l, top.here, scale))
        if learn:
            update = Update(steps, rate, shared_by(steps, scalars, work.P))
            update_upper_part(net, layers, update)
            update_then_forward(net, bottom, rows, pointer(X, k * d), pointer(X, following * d), update)
    if learn:
        memory.counters[UPDATES] += last - first


train_block = make_train_block("stream", look_ahead, anywhere, advance)
