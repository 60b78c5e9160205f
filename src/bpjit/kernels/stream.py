"""An update after each sample as fast as the machine allows: one network, in SIMD along its units.

The lines of the book are those of ``kernels.online``, which this is tested against; here each is a loop over vectors
of a packed network (``kernels.packed``). What is new is the order: the weights of the first layer are read and written
once for each sample. A row of them takes the update of this sample, and while it is in registers adds its share to the
net input of the next one (``update_then_forward``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import types

from .. import formulas
from ..formulas import like, select
from . import simd_functions  # noqa: F401  (brings exp and its kin for vectors)
from .batch import UPDATES, Memory, Task, prepare_rule
from .epochs import Order, make_train_block
from .jit import by_type, formula, inline, unless_none
from .layers import CROSS_ENTROPY, SOFTMAX, activate, lose
from .online import add_error
from .packed import PANEL, Net, Work, lanes_of, look_ahead, net_of, pointer_or_none, registers
from .simd import (
    blocks,
    first_lane,
    item,
    lane_max,
    lane_sum,
    lane_sums,
    partial_vectors,
    pointer,
    put,
    vectors,
    with_four,
)
from .updates import make_step

load, store, lift = vectors(registers(1))
load_first, store_first = partial_vectors(registers(1))


load_panel, _, lift_panel = vectors(registers(PANEL))
step_panel, _, _ = make_step(PANEL)


def _make_panel(count: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The rows of the first layer in a panel of ``count`` registers, as many at once as fill ``PANEL`` of them."""
    rows = PANEL // count
    _, store, _ = vectors(registers(count))
    spread, spread_first, tile, fold = blocks(rows, registers(count))

    @inline
    def update_then_forward(
        net: Net, d: int, steps: Any, X: Any, x: int, following: int, eta: Any, corrections: Any, W: int, here: int
    ) -> None:
        e, z, size = tile(net.g, here), lift_panel(like(eta, 0)), PANEL * lanes_of(net.P)
        for i in range(0, d - rows + 1, rows):
            z += spread(X, following + i) * step_panel(steps, net, W, e, spread(X, x + i), eta, corrections)
            W += size
        if rows > 1 and d % rows:
            i, n = d - d % rows, d % rows
            w = step_panel(steps, net, W, e, spread_first(X, x + i, n), eta, corrections)
            z += spread_first(X, following + i, n) * w
        store(net.z, here, fold(z))

    @inline
    def forward(net: Net, d: int, P: Any, X: Any, x: int, W: int, here: int) -> None:
        z, size = lift_panel(like(item(P, 0), 0)), PANEL * lanes_of(net.P)
        for i in range(0, d - rows + 1, rows):
            z += spread(X, x + i) * load_panel(P, W)
            W += size
        if rows > 1 and d % rows:
            z += spread_first(X, x + d - d % rows, d % rows) * load_panel(P, W)
        store(net.z, here, fold(z))

    return update_then_forward, forward


def _make_sparse_panel(count: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same for inputs that are mostly 0, row after row: what a 0 does not change need not be read.

    There is one sum for each unit. A 0 adds nothing to it, so that it does not matter which other rows were visited.
    """
    load, store, lift = vectors(registers(count))
    step, _, _ = make_step(count)

    @inline
    def update_then_forward(
        net: Net, rows: Any, steps: Any, X: Any, x: int, following: int, eta: Any, corrections: Any, W: int, here: int
    ) -> None:
        e, z, size = load(net.g, here), lift(like(eta, 0)), count * lanes_of(net.P)
        for row in range(1, item(rows, 0)):
            i = item(rows, row)
            z += item(X, following + i) * step(steps, net, W + i * size, e, item(X, x + i), eta, corrections)
        store(net.z, here, z)

    @inline
    def forward(net: Net, rows: Any, P: Any, X: Any, x: int, W: int, here: int) -> None:
        z, size = lift(like(item(P, 0), 0)), count * lanes_of(net.P)
        for row in range(1, item(rows, 0)):
            i = item(rows, row)
            z += item(X, x + i) * load(P, W + i * size)
        store(net.z, here, z)

    return update_then_forward, forward


@inline
def list_rows(rows: Any, X: Any, x: int, following: int, d: int) -> None:
    """The inputs that are not 0 in one of two samples. Writes rows: where the list ends, and the list."""
    end, zero = 1, like(item(X, x), 0)
    for i in range(d):
        put(rows, end, i)
        end += (item(X, x + i) != zero) | (item(X, following + i) != zero)
    put(rows, 0, end)


def _make_first_layer(panels: Sequence[tuple[Callable[..., Any], Callable[..., Any]]]) -> tuple[Any, Any]:
    """update_then_forward and forward of the whole first layer, from those of its panels of 4, 2 and 1 registers."""
    (update4, forward4), (update2, forward2), (update1, forward1) = panels

    @inline
    def update_then_forward(
        net: Net, layer: Any, rows: Any, steps: Any, X: Any, x: int, following: int, eta: Any, corrections: Any
    ) -> None:
        """Update the first layer for the sample at x, and take the net inputs of the following one. Writes P, z."""
        lanes, d, W, here, end = lanes_of(net.P), layer.fan_in, layer.weights, layer.here, layer.here + layer.width
        while here + 4 * lanes <= end:
            update4(net, rows, steps, X, x, following, eta, corrections, W, here)
            W += 4 * lanes * d
            here += 4 * lanes
        if here + 2 * lanes <= end:
            update2(net, rows, steps, X, x, following, eta, corrections, W, here)
            W += 4 * lanes * ((d + 1) // 2)
            here += 2 * lanes
        if here < end:
            update1(net, rows, steps, X, x, following, eta, corrections, W, here)

    @inline
    def forward(net: Net, layer: Any, rows: Any, P: Any, X: Any, x: int) -> None:
        """β of the first layer for the sample at x, in the same sums. Writes z."""
        lanes, d, W, here, end = lanes_of(net.P), layer.fan_in, layer.weights, layer.here, layer.here + layer.width
        while here + 4 * lanes <= end:
            forward4(net, rows, P, X, x, W, here)
            W += 4 * lanes * d
            here += 4 * lanes
        if here + 2 * lanes <= end:
            forward2(net, rows, P, X, x, W, here)
            W += 4 * lanes * ((d + 1) // 2)
            here += 2 * lanes
        if here < end:
            forward1(net, rows, P, X, x, W, here)

    return update_then_forward, forward


update_all_rows, forward_all_rows = _make_first_layer([_make_panel(count) for count in (4, 2, 1)])
update_listed_rows, forward_listed_rows = _make_first_layer([_make_sparse_panel(count) for count in (4, 2, 1)])


def update_then_forward(
    net: Any, layer: Any, rows: Any, steps: Any, X: Any, x: int, following: int, eta: Any, corrections: Any
) -> None:
    """Update the first layer for the sample at x, and take the net inputs of the following one. Writes P, z.

    ``rows`` is None, or work space for the list of rows to visit where most inputs are 0.
    """


def forward(net: Any, layer: Any, rows: Any, P: Any, X: Any, x: int) -> None:
    """β of the first layer for the sample at x, in the same sums. Writes z."""


def _update_dense(
    net: Any, layer: Any, rows: Any, steps: Any, X: Any, x: int, following: int, eta: Any, corrections: Any
) -> None:
    update_all_rows(net, layer, layer.fan_in, steps, X, x, following, eta, corrections)


def _update_sparse(
    net: Any, layer: Any, rows: Any, steps: Any, X: Any, x: int, following: int, eta: Any, corrections: Any
) -> None:
    list_rows(rows, X, x, following, layer.fan_in)
    update_listed_rows(net, layer, rows, steps, X, x, following, eta, corrections)


def _forward_dense(net: Any, layer: Any, rows: Any, P: Any, X: Any, x: int) -> None:
    forward_all_rows(net, layer, layer.fan_in, P, X, x)


def _forward_sparse(net: Any, layer: Any, rows: Any, P: Any, X: Any, x: int) -> None:
    list_rows(rows, X, x, x, layer.fan_in)
    forward_listed_rows(net, layer, rows, P, X, x)


by_type(
    update_then_forward,
    lambda net, layer, rows, *rest: _update_dense if isinstance(rows, types.NoneType) else _update_sparse,
)
by_type(
    forward, lambda net, layer, rows, *rest: _forward_dense if isinstance(rows, types.NoneType) else _forward_sparse
)


@inline
def dots(net: Net, layer: Any, P: Any) -> None:
    """β_j = W_j · b of an upper layer. Writes z."""
    lanes = lanes_of(net.P)
    q, below, l = layer.below_width, layer.below, layer.fan_out
    for first in range(0, l, lanes):
        z = lift(like(item(P, 0), 0))
        for group in range(0, min(lanes, l - first), 4):
            w0 = layer.weights + (first + group) * q
            more = l - 1 - first - group
            w1, w2, w3 = w0 + min(1, more) * q, w0 + min(2, more) * q, w0 + min(3, more) * q
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
    """The first half of ``online.softmax``: e^z with the largest z taken off first.

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
    """As ``online.softmax``, from β. Writes b, and log ŷ into z."""
    here = layer.here
    total, z, b = exponentials(net, layer, P, here)
    log_total = first_lane(formulas.log(lift(total)))
    if layer.width == lanes_of(net.P):
        store(net.b, here, b / lift(total))
        store(net.z, here, z - log_total)
    else:
        normalise(net, layer, here, total, log_total)


@inline
def activate_layer(net: Net, layer: Any, P: Any, at: int) -> None:
    """z = β − θ, b = f(z), f'(z) of a layer whose units stand at ``at``. Writes z, b, slope."""
    code, here, thresholds = layer.activation, layer.here, layer.thresholds
    for v in range(0, layer.width, lanes_of(net.P)):
        z = load(net.z, at + v) - load(P, thresholds + v)
        store(net.z, at + v, z)
        b, slope = activate(code, z)
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
def terms_of(loss: int, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    """(shares of E_k, g_j, nothing) of output units; of softmax units with a loss other than cross-entropy (shares of
    E_k, −∂E_k/∂ŷ_j, shares of its mean), from which ``formulas.softmax_gradient_term`` makes g_j."""
    nothing = like(z, 0)
    if loss == CROSS_ENTROPY:
        share = formulas.categorical_cross_entropy(z, y) if softmax else formulas.binary_cross_entropy(z, y)
        return share, formulas.cross_entropy_gradient_term(b, y), nothing
    share, d = lose(loss, b, y)
    if softmax:
        return share, d, b * d
    return share, formulas.output_gradient_term(slope, d), nothing


@inline
def output_terms(net: Net, layer: Any, loss: int, Y: Any, y_at: int, at: int) -> Any:
    """g_j of the outputs at ``at`` for the targets at ``y_at``. Writes g, returns E_k."""
    lanes, here, l, softmax = lanes_of(net.P), layer.here, layer.fan_out, layer.activation == SOFTMAX
    zero = lift(like(item(Y, y_at), 0))
    error, mean = zero, zero
    for v in range(0, layer.width, lanes):
        b, used = load(net.b, at + v), load(net.used, here + v) > zero
        y = load_first(Y, y_at + v, l - v)
        share, g, shared = terms_of(loss, softmax, load(net.z, at + v), b, load(net.slope, at + v), y)
        mean += shared
        error += select(used, share, zero)
        store(net.g, at + v, select(used, g, zero))
    if softmax and loss != CROSS_ENTROPY:
        mean = lift(lane_sum(mean))
        for v in range(0, layer.width, lanes):
            g = formulas.softmax_gradient_term(load(net.b, at + v), load(net.g, at + v), mean)
            store(net.g, at + v, g)
    return lane_sum(error)


step, step_threshold, _ = make_step(1)


@inline
def back_and_update(net: Net, layer: Any, steps: Any, eta: Any, corrections: Any) -> None:
    """e_h of the units below with the old w_hj, and the update of w_hj. Writes g below, P."""
    q, here, below = layer.below_width, layer.here, layer.below
    for column in range(0, q, lanes_of(net.P)):
        b, W = load(net.b, below + column), layer.weights + column
        back = lift(like(eta, 0))
        for j in range(layer.fan_out):
            g = item(net.g, here + j)
            back += g * load(net.A, W)
            step(steps, net, W, g, b, eta, corrections)
            W += q
        store(net.g, below + column, formulas.hidden_gradient_term(load(net.slope, below + column), back))


@inline
def update_thresholds(net: Net, layer: Any, steps: Any, eta: Any, corrections: Any) -> None:
    """θ_j of a layer after its update. Writes P."""
    for v in range(0, layer.width, lanes_of(net.P)):
        step_threshold(steps, net, layer.thresholds + v, load(net.g, layer.here + v), eta, corrections)


@inline
def update_upper_part(net: Net, layers: Any, steps: Any, eta: Any, corrections: Any) -> None:
    """e_h of all hidden units; the update of everything but the weights of the first layer. Writes g, P."""
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        if index > 0:
            back_and_update(net, layer, steps, eta, corrections)
        update_thresholds(net, layer, steps, eta, corrections)


@inline
def weighed(net: Net, layer: Any, steps: Any, eta: Any, c: Any) -> Any:
    """A sample of weight c moves plain descent c times as far; a rule gets c times its gradient. Returns the rate."""
    if steps is None:
        return eta * c
    for v in range(0, layer.width, lanes_of(net.P)):
        store(net.g, layer.here + v, load(net.g, layer.here + v) * c)
    return eta


@unless_none
def corrections_of(steps: Any, scalars: np.ndarray, P: np.ndarray) -> Any:
    return prepare_rule(steps, scalars, P, 1)


@inline
def advance(
    task: Task, steps: Any, memory: Memory, work: Work, epoch: Order, first: int, last: int, eta: Any, learn: bool
) -> None:
    """Learn from positions ``first`` to ``last`` of an epoch, or add up the errors of the validation set.

    Writes the packed network and memory.
    """
    layers, scalars = work.layers, memory.scalars
    net, bottom, top = net_of(work, steps), layers[0], layers[len(layers) - 1]
    if learn:
        X, Y, c, P = pointer(task.D.X, 0), pointer(task.D.Y, 0), pointer(task.D.c, 0), net.A
    else:
        X, Y, c, P = pointer(task.V.X, 0), pointer(task.V.Y, 0), pointer(task.V.c, 0), net.P
    rows = pointer_or_none(work.rows)
    order = pointer(epoch.order, 0) if learn else pointer(epoch.in_place, 0)
    d, l, loss = bottom.fan_in, top.fan_out, task.loss
    for t in range(first, last):
        k, following = item(order, t), item(order, min(t + 1, last - 1))
        if t == first or not learn:
            forward(net, bottom, rows, P, X, k * d)
        outputs(net, layers, P)
        add_error(scalars, item(c, k) * output_terms(net, top, loss, Y, k * l, top.here))
        if learn:
            rate = weighed(net, top, steps, eta, item(c, k))
            corrections = corrections_of(steps, scalars, work.P)
            update_upper_part(net, layers, steps, rate, corrections)
            update_then_forward(net, bottom, rows, steps, X, k * d, following * d, rate, corrections)
    if learn:
        memory.counters[UPDATES] += last - first


@formula
def border(steps: Any, position: int, until: int, m: int) -> int:
    return until


train_block = make_train_block(look_ahead, border, advance)
