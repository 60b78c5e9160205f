"""Training of many networks of one shape at once: one in each lane of a vector, all of them at the same sample.

The lines of the book are those of ``kernels.online``, and here each number is a vector: the formulas run on all
networks of a pack (``kernels.packs``) at once. Nothing passes from lane to lane, so no network's bits depend on its
neighbours, its lane or the number of networks.

Networks may differ in everything but shape, rule and the kind of their data: parameters, η, λ, the rule's settings, the
samples they see and how often, and when they stop. A network that has stopped keeps its lane until Python fills it
with another; what it computes there meanwhile is for nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .. import formulas, rules, streams
from ..formulas import like, select
from . import simd_functions  # noqa: F401  (brings exp and its kin for vectors)
from .batch import ADAM, RPROP, Steps
from .epochs import epoch_order
from .jit import by_type, formula, inline, kernel, unless_none
from .layers import CROSS_ENTROPY, SOFTMAX, activate
from .packs import (
    ALIVE,
    BEST,
    CARRY,
    CORRECTION1,
    CORRECTION2,
    DIVERGED,
    EARLY_STOPPING,
    ENDED,
    GENERALIZATION_LOSS,
    GROW,
    IN_BATCH,
    LAM,
    LAST_OBJECTIVE,
    LEAST,
    LEFT,
    MAX_EPOCHS,
    NO_IMPROVEMENT,
    OBJECTIVE,
    PATIENCE,
    PRESENT,
    PROGRESS,
    RATE,
    REASON,
    REST,
    SEEN,
    SHRINK,
    SINCE,
    SIZE,
    STRIP_LEAST,
    STRIP_SUM,
    TARGET,
    TARGET_ERROR,
    TOLERANCE,
    TOTAL,
    VALIDATING,
    WINDOW_TOLERANCE,
    Orders,
    Packs,
    Room,
    Rows,
    Watch,
    at,
    copy_in,
    depth_of,
    each_unit,
    lanes_in,
    layer_at,
    loss_of,
    room_for_parameters,
    room_for_units,
    row,
    vectors_at,
    wide_as,
    write,
)
from .simd import any_lane, item, pointer, put
from .stream import terms_of
from .updates import make_lane_step

LOW_BITS = np.uint64(0xFFFFFFFF)

step, step_threshold, step_along = make_lane_step(at, write)


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


# --- The sample of each network: the same for all, or one's own.


@inline
def gather(rows: Rows, pack: int, k: Any, own: Any, t: int, sample: Any, lanes: int, d: int, l: int) -> None:
    """Copy inputs and targets of one sample of each network. Writes sample."""
    X, Y, m = pointer(rows.X, 0), pointer(rows.Y, 0), rows.m
    for lane in range(lanes):
        s = number_of(own, t * lanes + lane, k)
        r = row_of(rows.row, pack, m, s, lane, lanes)
        for i in range(d):
            put(sample, i * lanes + lane, item(X, r * d + i))
        for j in range(l):
            put(sample, (d + j) * lanes + lane, item(Y, r * l + j))


@inline
def number_of(own: Any, place: int, k: Any) -> Any:
    """The sample of a network, where it has an order of its own, or k."""
    if own is None:
        return k
    return item(own, place)


@inline
def row_of(row: Any, pack: int, m: int, s: int, lane: int, lanes: int) -> Any:
    if row is None:
        return s
    return row[pack, s, lane]


def sample_at(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    """What ``value`` takes for inputs and targets of the sample at position t, number k in the shared order."""


def _shared_sample(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    return (pointer(rows.X, k * d), 0), (pointer(rows.Y, k * l), 0)


def _own_sample(rows: Any, pack: int, own: Any, t: int, k: int, work: Any, d: int, l: int) -> Any:
    inputs = vectors_at(work.sample, 0, work.wide)
    lanes = lanes_in(inputs)
    gather(rows, pack, k, own, t, work.sample, lanes, d, l)
    return inputs, vectors_at(work.sample, d * lanes, work.wide)


def _choose_sample(rows: Any, pack: Any, own: Any, t: Any, k: Any, work: Any, d: Any, l: Any) -> Any:
    shared = isinstance(rows[3], types.NoneType) and isinstance(own, types.NoneType)
    return _shared_sample if shared else _own_sample


by_type(sample_at, _choose_sample)


def value(source: Any, i: int) -> Any:
    """Input i of each network: a scalar where they share it."""


by_type(
    value,
    lambda source, i: (
        (lambda source, i: at(source, i))
        if isinstance(source, types.CPointer)
        else (lambda source, i: item(source[0], i))
    ),
)


def weight_at(c: Any, pack: int, own: Any, t: int, k: int, wide: Any) -> Any:
    """Weight of the sample at position t for each network, or None."""


def _weight_in_order(c: Any, pack: int, own: Any, t: int, k: int, wide: Any) -> Any:
    return at(vectors_at(c, (pack * c.shape[1] + k) * c.shape[2], wide), 0)


def _weight_in_own_order(c: Any, pack: int, own: Any, t: int, k: int, wide: Any) -> Any:
    return gathered(c, pack * c.shape[1] * c.shape[2], pointer(own, t * c.shape[2]), wide)


@intrinsic
def gathered(typing_context: Any, c: Any, first: Any, numbers: Any, wide: Any) -> Any:
    """c at ``first + number · lanes + lane`` in each lane."""
    kind = wide_as(c.dtype, wide)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, first, numbers, _ = arguments
        data = cgutils.create_struct_proxy(c)(context, builder, array).data
        word = first.type
        result = ir.Constant(context.get_value_type(kind), ir.Undefined)
        for lane in range(kind.lanes):
            number = builder.load(builder.gep(numbers, [ir.Constant(word, lane)]))
            offset = builder.add(
                first, builder.add(builder.mul(number, ir.Constant(word, kind.lanes)), ir.Constant(word, lane))
            )
            result = builder.insert_element(
                result, builder.load(builder.gep(data, [offset])), ir.Constant(ir.IntType(32), lane)
            )
        return result

    return kind(c, types.intp, numbers, wide), generate


def _no_weight(c: Any, pack: int, own: Any, t: int, k: int, wide: Any) -> Any:
    return None


def _choose_weight(c: Any, pack: Any, own: Any, t: Any, k: Any, wide: Any) -> Any:
    if isinstance(c, types.NoneType):
        return _no_weight
    return _weight_in_order if isinstance(own, types.NoneType) else _weight_in_own_order


by_type(weight_at, _choose_weight)


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


# --- The lines of the book.


def activate_first(shape: Any, layer: Any, z: Any) -> Any:
    """(f(z), f'(z)) of the first layer."""


def activate_upper(shape: Any, layer: Any, z: Any) -> Any:
    """The same of any other."""


def _by_code(shape: Any, layer: Any, z: Any) -> Any:
    return activate(layer.activation, z)


_BY_TYPE = [
    eval("lambda shape, layer, z: f(z)", {"f": function}) for function in (*formulas.ACTIVATIONS, formulas.identity)
]
for _helper, _place in ((activate_first, 3), (activate_upper, 4)):
    by_type(
        _helper,
        eval(
            "lambda shape, layer, z: by_code if isinstance(shape, none) else functions[len(shape[place])]",
            {"by_code": _by_code, "none": types.NoneType, "functions": _BY_TYPE, "place": _place},
        ),
    )


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


@inline
def softmax(net: Net, layer: Any) -> None:
    """As ``online.softmax``. Writes b, and log ŷ into z."""
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
    top = layer_at(shape, layers, depth - 1)
    if top.activation == SOFTMAX:
        softmax(net, top)


@inline
def output_terms(net: Net, layer: Any, loss: int, y: Any, c: Any) -> Any:
    """c g_j of the outputs. Writes g, returns c E_k."""
    zero = like(at(net.b, layer.here), 0)
    error, mean, is_softmax = zero, zero, layer.activation == SOFTMAX
    for j in range(layer.fan_out):
        unit = layer.here + j
        share, g, shared = terms_of(
            loss, is_softmax, at(net.z, unit), at(net.b, unit), at(net.slope, unit), zero + value(y, j)
        )
        error += share
        mean += shared
        write(net.g, unit, weighted(c, g))
    if is_softmax and loss != CROSS_ENTROPY:
        mean = weighted(c, mean)
        for unit in range(layer.here, layer.here + layer.fan_out):
            write(net.g, unit, formulas.softmax_gradient_term(at(net.b, unit), at(net.g, unit), mean))
    return weighted(c, error)


def change(steps: Any, G: Any, net: Any, p: int, g: Any, b: Any, eta: Any, corrections: Any) -> None:
    """Update w_hj, whose gradient is g_j b_h, or collect its gradient. Writes P, or G."""


def _update(steps: Any, G: Any, net: Any, p: int, g: Any, b: Any, eta: Any, corrections: Any) -> None:
    step(steps, net, p, g, b, eta, corrections)


def _collect(steps: Any, G: Any, net: Any, p: int, g: Any, b: Any, eta: Any, corrections: Any) -> None:
    write(G, p, at(G, p) + g * b)


def change_threshold(steps: Any, G: Any, net: Any, p: int, g: Any, eta: Any, corrections: Any) -> None:
    """The same for θ_j."""


def _update_threshold(steps: Any, G: Any, net: Any, p: int, g: Any, eta: Any, corrections: Any) -> None:
    step_threshold(steps, net, p, g, eta, corrections)


def _collect_threshold(steps: Any, G: Any, net: Any, p: int, g: Any, eta: Any, corrections: Any) -> None:
    write(G, p, at(G, p) - g)


by_type(change, lambda steps, G, *rest: _update if isinstance(G, types.NoneType) else _collect)
by_type(
    change_threshold, lambda steps, G, *rest: _update_threshold if isinstance(G, types.NoneType) else _collect_threshold
)


@inline
def backward(net: Net, shape: Any, layer: Any, steps: Any, G: Any, eta: Any, corrections: Any) -> None:
    """e_h of the units below with the old w_hj, and the change of w_hj and θ_j. Writes g below, P or G."""
    each_unit(shape, layer.fan_in, _back_to_unit, (net, layer, steps, G, eta, corrections))
    for j in range(layer.fan_out):
        change_threshold(steps, G, net, layer.thresholds + j, at(net.g, layer.here + j), eta, corrections)


@inline
def _back_to_unit(h: int, net: Net, layer: Any, steps: Any, G: Any, eta: Any, corrections: Any) -> None:
    l, W, below = layer.fan_out, layer.weights, layer.below + h
    b, back = at(net.b, below), like(eta, 0)
    for j in range(l):
        g = at(net.g, layer.here + j)
        back += g * at(net.A, W + h * l + j)
        change(steps, G, net, W + h * l + j, g, b, eta, corrections)
    write(net.g, below, formulas.hidden_gradient_term(at(net.slope, below), back))


@inline
def change_inputs(net: Net, shape: Any, layer: Any, steps: Any, G: Any, x: Any, eta: Any, corrections: Any) -> None:
    """The change of v_ih and γ_h. Writes P or G."""
    each_unit(shape, layer.fan_out, _change_unit, (net, layer, steps, G, x, eta, corrections))


@inline
def _change_unit(h: int, net: Net, layer: Any, steps: Any, G: Any, x: Any, eta: Any, corrections: Any) -> None:
    d, q, V = layer.fan_in, layer.fan_out, layer.weights
    e = at(net.g, layer.here + h)
    for i in range(d):
        change(steps, G, net, V + i * q + h, e, value(x, i), eta, corrections)
    change_threshold(steps, G, net, layer.thresholds + h, e, eta, corrections)


@inline
def back_and_change(net: Net, shape: Any, layers: Any, steps: Any, G: Any, x: Any, eta: Any, corrections: Any) -> None:
    """From g_j back to all e_h, and the change of all parameters. Writes g, P or G."""
    for index in range(depth_of(shape, layers) - 1, 0, -1):
        backward(net, shape, layer_at(shape, layers, index), steps, G, eta, corrections)
    change_inputs(net, shape, layer_at(shape, layers, 0), steps, G, x, eta, corrections)


# --- Rules and batches.


@inline
def objective(planes: Any, error: Any, P: Any, n: int) -> Any:
    """The book's objective of each network, where E is ``error``."""
    total = like(error, 0)
    for p in range(n):
        w = at(P, p)
        total += w * w
    return formulas.regularised_objective(error, total, at(planes, LAM), at(planes, REST))


def prepare_rule(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    """As ``batch.prepare_rule``: the two vectors that a rule needs anew for each update. Writes planes."""


def _nothing_to_prepare(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    return like(total, 0), like(total, 0)


def _prepare_adam(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    planes, one = net.c, like(total, 1)
    first, second = at(planes, CORRECTION1), at(planes, CORRECTION2)
    first = where(net.active, rules.moving_average(first, one, at(planes, 1)), first)
    second = where(net.active, rules.moving_average(second, one, at(planes, 2)), second)
    write(planes, CORRECTION1, first)
    write(planes, CORRECTION2, second)
    unused = like(total, 1)  # a network that has seen no sample yet
    return select(first > like(total, 0), first, unused), select(second > like(total, 0), second, unused)


def _prepare_rprop(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    planes, zero, one = net.c, like(total, 0), like(total, 1)
    variant, last = at(planes, 4), at(planes, LAST_OBJECTIVE)
    now = objective(planes, total / count, net.P, n)
    write(planes, LAST_OBJECTIVE, where(net.active, now, last))
    rose = select(now > last, one, zero)
    return select(variant == one, one, select(variant > one, rose, zero)), zero


def _choose_preparation(kind: Any, *rest: Any) -> Any:
    rule = -1 if isinstance(kind, types.NoneType) else len(kind)
    return {ADAM: _prepare_adam, RPROP: _prepare_rprop}.get(rule, _nothing_to_prepare)


by_type(prepare_rule, _choose_preparation)


def ahead_of(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    """Where Nesterov's rule takes its gradient. Writes A."""


def _ahead(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    for p in range(n):
        write(A, p, rules.lookahead(at(P, p), at(S, p), at(planes, 0)))


def _not_ahead(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    pass


def where_gradients_are_taken(kind: Any, A: Any, P: Any) -> Any:
    """A for Nesterov's rule, else P."""


def _is_nesterov(kind: Any) -> bool:
    return not isinstance(kind, types.NoneType) and len(kind) == rules.Nesterov.code


by_type(ahead_of, lambda kind, A, P, S, planes, n: _ahead if _is_nesterov(kind) else _not_ahead)
by_type(
    where_gradients_are_taken,
    lambda kind, A, P: (lambda kind, A, P: A) if _is_nesterov(kind) else (lambda kind, A, P: P),
)


@unless_none
def steps_of(kind: Any, planes: Any, mask: Any, penalty: Any) -> Any:
    """The steps of a rule, or None for standard BP."""
    return Steps(kind, None, mask, 1, lam_of(penalty, planes, LAM), lam_of(penalty, planes, REST))


@unless_none
def lam_of(penalty: Any, planes: Any, plane: int) -> Any:
    return at(planes, plane)


@unless_none
def mask_of(mask: Any, wide: Any) -> Any:
    return vectors_at(mask, 0, wide)


def end_of_batch(steps: Any, G: Any, net: Any, c: Any, t: int, m: int, size: int, n: int, eta: Any, total: Any) -> None:
    """Where a batch ends for some networks, their update. Writes P, G, planes."""


def _no_batch(steps: Any, G: Any, net: Any, c: Any, t: int, m: int, size: int, n: int, eta: Any, total: Any) -> None:
    pass


def _batch(steps: Any, G: Any, net: Any, c: Any, t: int, m: int, size: int, n: int, eta: Any, total: Any) -> None:
    planes, zero, one = net.c, like(eta, 0), like(eta, 1)
    if c is None:
        if (t + 1) % size == 0 or t + 1 == m:
            update_by_rule(steps, G, net, None, like(eta, t % size + 1), n, eta, total)
    else:
        here = c > zero
        count = select(here, at(planes, IN_BATCH) + one, at(planes, IN_BATCH))
        seen = select(here, at(planes, SEEN) + one, at(planes, SEEN))
        full = here & ((count >= at(planes, SIZE)) | (seen >= at(planes, PRESENT)))
        if any_lane(full):
            update_by_rule(steps, G, net, full, select(full, count, one), n, eta, total)
        write(planes, IN_BATCH, select(full, zero, count))
        write(planes, SEEN, seen)


@inline
def update_by_rule(steps: Any, G: Any, net: Net, active: Any, count: Any, n: int, eta: Any, total: Any) -> None:
    """One step of the rule along the mean of the gradients collected. Writes P, S, A, G, planes."""
    net = Net(net.P, net.A, net.S, net.mask, net.n, net.c, active, net.z, net.b, net.slope, net.g)
    corrections = prepare_rule(steps.kind, net, total, n, count)
    share, zero = like(eta, 1) / count, like(eta, 0)
    for p in range(n):
        collected = at(G, p)
        step_along(steps, net, p, collected * share, eta, corrections)
        write(G, p, where(active, zero, collected))


by_type(end_of_batch, lambda steps, G, *rest: _no_batch if isinstance(G, types.NoneType) else _batch)


# --- Epochs.


@inline
def add_error(total: Any, carry: Any, share: Any) -> Any:
    """As ``online.add_error``: the new total, and what rounding took."""
    corrected = share - carry
    new = total + corrected
    return new, (new - total) - corrected


@inline
def error_of(shape: Any, layers: Any, rows: Rows, pack: int, loss: int, net: Net, work: Room) -> Any:
    """Σ c_k E_k of each network as it stands. Writes z, b, slope, g."""
    top, d = layer_at(shape, layers, depth_of(shape, layers) - 1), layer_at(shape, layers, 0).fan_in
    loss = loss_of(shape, loss)
    total = carry = at(net.P, 0) * like(at(net.P, 0), 0)
    for k in range(rows.m):
        x, y = sample_at(rows, pack, None, k, k, work, d, top.fan_out)
        outputs(net, shape, layers, net.P, x)
        E_k = output_terms(net, top, loss, y, weight_at(rows.c, pack, None, k, k, net.P))
        total, carry = add_error(total, carry, E_k)
    return total


@inline
def units_of(work: Room) -> Any:
    """Pointers to what belongs to units: z, b, slope, g."""
    return (
        vectors_at(work.z, 0, work.wide),
        vectors_at(work.b, 0, work.wide),
        vectors_at(work.slope, 0, work.wide),
        vectors_at(work.g, 0, work.wide),
    )


@formula
def mean_error(
    shape: Any, layers: Any, rows: Rows, pack: int, loss: int, P: Any, planes: Any, count: int, work: Room
) -> Any:
    """E of each network of a pack; ``count`` is the plane with its number of samples."""
    z, b, slope, g = units_of(work)
    net = Net(P, P, P, None, 0, planes, None, z, b, slope, g)
    return error_of(shape, layers, rows, pack, loss, net, work) / at(planes, count)


@unless_none
def own_orders(keys: Any, orders: Orders, pack: int, epoch: int, m: int) -> None:
    """The order of an epoch for each network. Writes own, and work space."""
    table, lanes = orders.table, keys.shape[1]
    for lane in range(lanes):
        table[m, lane] = streams.stream(keys[pack, lane], np.uint64(epoch))
    sort_lanes(orders, m)
    for t in range(m):
        for lane in range(lanes):
            orders.own[t, lane] = np.int64(table[t, lane] & LOW_BITS)


@formula
def sort_lanes(orders: Orders, m: int) -> None:
    """As many orders at once as there are lanes, each as ``epoch_order`` makes it, from the keys in the table's last
    row; in the low bits of the rows before it, the numbers of the samples. Writes table.

    Batcher's odd-even merge sort: what it compares does not depend on what it finds, so all lanes go the same way.
    """
    table = orders.table
    for k in range(m):
        for lane in range(table.shape[1]):
            drawn = streams.draw(table[m, lane], orders.numbers[k])
            table[k, lane] = (drawn & ~LOW_BITS) | np.uint64(k)
    half = 1
    while half < m:
        distance = half
        while distance > 0:
            for first in range(distance % half, m - distance, 2 * distance):
                for k in range(first, min(first + distance, m - distance)):
                    if k // (2 * half) == (k + distance) // (2 * half):
                        sort_two(table[k], table[k + distance])
            distance //= 2
        half *= 2


@inline
def sort_two(low: np.ndarray, high: np.ndarray) -> None:
    """The smaller of each pair goes to low."""
    for lane in range(len(low)):
        a, b = low[lane], high[lane]
        low[lane], high[lane] = min(a, b), max(a, b)


@unless_none
def own_numbers(keys: Any, orders: Orders) -> Any:
    """Where ``own_orders`` writes, or None."""
    return pointer(orders.own, 0)


@inline
def number_at(own: Any, shared: Any, e: int, t: int) -> int:
    """The number of the sample at position t, where networks share an order."""
    if own is None:
        return item(shared, min(e, shared.shape[0] - 1) * shared.shape[1] + t)
    return t


def remember(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any) -> None:
    """Keep the network from before this epoch. Writes undo."""


def _forget(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any) -> None:
    pass


def _remember(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any) -> None:
    for p in range(n):
        write(undo, p, at(P, p))
    for p in range(slots * n):
        write(undo, n + p, at(S, p))
    for i in range(3):
        write(undo, n + slots * n + i, at(planes, CORRECTION1 + i))


by_type(remember, lambda undo, *rest: _forget if isinstance(undo, types.NoneType) else _remember)


def rate_of(undo: Any, planes: Any, etas: Any, e: int, pack: int) -> Any:
    """η of this epoch for each network."""


def _scheduled(undo: Any, planes: Any, etas: Any, e: int, pack: int) -> Any:
    return at(vectors_at(etas, (min(e, etas.shape[0] - 1) * etas.shape[1] + pack) * etas.shape[2], planes), 0)


def _adapted(undo: Any, planes: Any, etas: Any, e: int, pack: int) -> Any:
    return at(planes, RATE)


by_type(rate_of, lambda undo, *rest: _scheduled if isinstance(undo, types.NoneType) else _adapted)


def adapt(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any, error: Any) -> None:
    """Exercise 5.6, as ``Session._adapt``: take back the epoch where the objective rose too far, and change the rate.

    ``error`` is E of each network as it stands. Writes P, S, planes."""


def _not_adapted(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any, error: Any) -> None:
    pass


def _adapt(undo: Any, P: Any, S: Any, n: int, slots: int, planes: Any, error: Any) -> None:
    now, before, rate = objective(planes, error, P, n), at(planes, OBJECTIVE), at(planes, RATE)
    risen = now > before * (like(now, 1) + at(planes, TOLERANCE))
    changed = select(now < before, rate * at(planes, GROW), rate)
    write(planes, RATE, select(risen, rate * at(planes, SHRINK), changed))
    write(planes, OBJECTIVE, select(risen, before, now))
    if any_lane(risen):
        for p in range(n):
            write(P, p, select(risen, at(undo, p), at(P, p)))
        for p in range(slots * n):
            write(S, p, select(risen, at(undo, n + p), at(S, p)))
        for i in range(3):
            then = at(undo, n + slots * n + i)
            write(planes, CORRECTION1 + i, select(risen, then, at(planes, CORRECTION1 + i)))


by_type(adapt, lambda undo, *rest: _not_adapted if isinstance(undo, types.NoneType) else _adapt)


def is_adaptive(undo: Any) -> Any:
    """Whether rates are adapted to how the objective moves."""


by_type(
    is_adaptive,
    lambda undo: (lambda undo: False) if isinstance(undo, types.NoneType) else (lambda undo: True),
)


@formula
def end_of_epoch(
    shape: Any,
    layers: Any,
    D: Rows,
    V: Rows,
    loss: int,
    watch: Watch,
    packs: Packs,
    pack: int,
    n: int,
    epoch: int,
    done: int,
    error: Any,
    finite: Any,
    work: Room,
    validation_errors: Any,
) -> None:
    """What comes after an epoch for some networks: an adaptive rate, validation, the end. ``done`` epochs of this call
    are complete, this one included. Writes packs."""
    planes, P, S = row(packs.planes, pack, work.wide), row(packs.P, pack, work.wide), row(packs.S, pack, work.wide)
    zero, one = like(error, 0), like(error, 1)
    alive = at(planes, ALIVE) > zero
    if is_adaptive(packs.undo):
        now = mean_error(shape, layers, D, pack, loss, P, planes, PRESENT, work)
        slots = packs.S.shape[1] // packs.P.shape[1]
        adapt(row(packs.undo, pack, work.wide), P, S, n, slots, planes, now)
    flags = select(at(planes, LEFT) <= zero, like(error, MAX_EPOCHS), zero)
    if V.m > 0 and (epoch + 1) % watch.every == 0:
        validated = mean_error(shape, layers, V, pack, loss, P, planes, VALIDATING, work)
        if validation_errors.shape[1] > 0:
            write(row(validation_errors, pack, work.wide), done - 1, validated)
        best = at(planes, BEST)
        better = alive & finite & (validated < best)
        if any_lane(better):
            kept = row(packs.best, pack, work.wide)
            for p in range(n):
                write(kept, p, select(better, at(P, p), at(kept, p)))
        best = select(better, validated, best)
        since = at(planes, SINCE)
        since = select(better, zero, select(alive, since + like(error, watch.every), since))
        write(planes, BEST, best)
        write(planes, SINCE, since)
        loss_now = like(error, 100) * (validated / best - one)
        strip = at(planes, STRIP_SUM) / like(error, watch.every) / at(planes, STRIP_LEAST)
        progress = like(error, 1000) * (strip - one)
        over = since >= like(error, watch.limits[PATIENCE])
        over = over | (loss_now > like(error, watch.limits[GENERALIZATION_LOSS]))
        over = over | (progress < like(error, watch.limits[PROGRESS]))
        flags += select(over, like(error, EARLY_STOPPING), zero)
        write(planes, STRIP_SUM, zero)
        write(planes, STRIP_LEAST, like(error, np.inf))
    target = at(planes, TARGET)
    if any_lane(alive & finite & (error <= target)):
        now = mean_error(shape, layers, D, pack, loss, P, planes, PRESENT, work)
        flags += select((error <= target) & (now <= target), like(error, TARGET_ERROR), zero)
    if watch.window > 0:
        ring, least = row(packs.ring, pack, work.wide), at(planes, LEAST)
        least = select(error < least, error, least)
        then = at(ring, epoch % watch.window)
        if epoch >= watch.window:
            still = then - least <= like(error, watch.limits[WINDOW_TOLERANCE])
            flags += select(still, like(error, NO_IMPROVEMENT), zero)
        write(ring, epoch % watch.window, least)
        write(planes, LEAST, least)
    flags = select(finite, flags, like(error, DIVERGED))
    stopped = alive & (flags > zero)
    if any_lane(stopped):
        final, ended = row(packs.final, pack, work.wide), like(error, done)
        for p in range(n):
            write(final, p, select(stopped, at(P, p), at(final, p)))
        write(planes, REASON, select(stopped, flags, at(planes, REASON)))
        write(planes, ENDED, select(stopped, select(finite, ended, ended - one), at(planes, ENDED)))
        write(planes, ALIVE, select(stopped, zero, at(planes, ALIVE)))


def corrections_of(G: Any, kind: Any, net: Any, total: Any, n: int) -> Any:
    """What ``prepare_rule`` prepares, where each sample is an update."""


by_type(
    corrections_of,
    lambda G, *rest: (
        (lambda G, kind, net, total, n: prepare_rule(kind, net, total, n, like(total, 1)))
        if isinstance(G, types.NoneType)
        else (lambda G, kind, net, total, n: (like(total, 0), like(total, 0)))
    ),
)


@inline
def train_pack(
    shape: Any,
    layers: Any,
    D: Rows,
    V: Rows,
    loss: int,
    kind: Any,
    penalty: Any,
    mask: Any,
    size: int,
    watch: Watch,
    packs: Packs,
    pack: int,
    orders: Orders,
    etas: Any,
    epochs: tuple[int, int],
    stretch: tuple[int, int],
    work: Room,
    errors: Any,
    validation_errors: Any,
) -> None:
    """Train the networks of a pack until all have stopped or the epochs are over. Writes packs, errors and
    validation_errors."""
    m, loss = D.m, loss_of(shape, loss)
    bottom, top = layer_at(shape, layers, 0), layer_at(shape, layers, depth_of(shape, layers) - 1)
    n, d, l = top.thresholds + top.fan_out, bottom.fan_in, top.fan_out
    planes, P_home, G_home, S = (
        row(packs.planes, pack, work.wide),
        row(packs.P, pack, work.wide),
        row(packs.G, pack, work.wide),
        row(packs.S, pack, work.wide),
    )
    undo, slots = row(packs.undo, pack, work.wide), packs.S.shape[1] // packs.P.shape[1]
    P, G = room_for_parameters(P_home, shape), room_for_parameters(G_home, shape)
    A_room = vectors_at(work.A, 0, work.wide)
    z, b, slope, g = units_of(work)
    z, b, slope, g = (
        room_for_units(z, shape),
        room_for_units(b, shape),
        room_for_units(slope, shape),
        room_for_units(g, shape),
    )
    copy_in(shape, P_home, P)
    copy_in(shape, G_home, G)
    ahead_of(kind, A_room, P, S, planes, n)
    A = where_gradients_are_taken(kind, A_room, P)
    total, carry, zero = at(planes, TOTAL), at(planes, CARRY), like(at(planes, TOTAL), 0)
    left, target = at(planes, LEFT), at(planes, TARGET)
    steps, count = steps_of(kind, planes, mask_of(mask, work.wide), penalty), epochs[1]
    own = own_numbers(orders.keys, orders)
    for e in range(count):
        if not any_lane(at(planes, ALIVE) > zero):
            break
        epoch = epochs[0] + e
        first, last = stretch[0] if e == 0 else 0, stretch[1] if e == count - 1 else m
        if first == 0:
            write(planes, SEEN, zero)
            remember(undo, P, S, n, slots, planes)
        own_orders(orders.keys, orders, pack, epoch, m)
        eta = rate_of(undo, planes, etas, e, pack)
        for t in range(first, last):
            k = number_at(own, orders.shared, e, t)
            x, y = sample_at(D, pack, own, t, k, work, d, l)
            c = weight_at(D.c, pack, own, t, k, P)
            net = Net(P, A, S, mask_of(mask, work.wide), n, planes, present(c), z, b, slope, g)
            outputs(net, shape, layers, A, x)
            E_k = output_terms(net, top, loss, y, c)
            total, carry = add_error(total, carry, E_k)
            corrections = corrections_of(G, kind, net, total, n)
            back_and_change(net, shape, layers, steps, G, x, eta, corrections)
            end_of_batch(steps, G, net, c, t, m, size, n, eta, total)
        if last == m:
            error = total / at(planes, PRESENT)
            total = carry = zero
            finite = error * zero == zero
            left -= like(zero, 1)
            if errors.shape[1] > 0:
                write(row(errors, pack, work.wide), e, error)
            if V.m > 0:
                write(planes, STRIP_SUM, at(planes, STRIP_SUM) + error)
                least = at(planes, STRIP_LEAST)
                write(planes, STRIP_LEAST, select(error < least, error, least))
            usual = (finite & (left > zero) & (error > target)) | ~(at(planes, ALIVE) > zero)
            special = is_adaptive(undo) or watch.window > 0 or (V.m > 0 and (epoch + 1) % watch.every == 0)
            if special or any_lane(~usual):
                copy_in(shape, P, P_home)
                write(planes, LEFT, left)
                end_of_epoch(
                    shape,
                    layers,
                    D,
                    V,
                    loss,
                    watch,
                    packs,
                    pack,
                    n,
                    epoch,
                    e + 1,
                    error,
                    finite,
                    work,
                    validation_errors,
                )
                copy_in(shape, P_home, P)
                if is_adaptive(undo):
                    ahead_of(kind, A_room, P, S, planes, n)
    write(planes, TOTAL, total)
    write(planes, CARRY, carry)
    copy_in(shape, P, P_home)
    copy_in(shape, G, G_home)


# --- What Python calls.


@kernel
def train_packs(
    shape: Any,
    layers: np.ndarray,
    D: Rows,
    V: Rows,
    loss: int,
    kind: tuple[int, ...] | None,
    penalty: bool | None,
    mask: np.ndarray | None,
    size: int,
    watch: Watch,
    packs: Packs,
    orders: Orders,
    etas: np.ndarray,
    epochs: tuple[int, int],
    stretch: tuple[int, int],
    work: Room,
    errors: np.ndarray,
    validation_errors: np.ndarray,
) -> None:
    """Train all packs.

    Parameters
    ----------
    kind : the rule, as in ``batch.Steps``, or None for standard BP, where gradient and update are one
    penalty : anything but None if some network has a λ
    mask : 1 where a parameter is trained, 0 elsewhere, [shape: (n · lanes,)], or None
    size : samples in a batch, where no network has absent ones
    epochs : the first epoch, and how many
    stretch : the first position in the first epoch, and the last in the last
    etas : η of each network, for all epochs or for each, [shape: (1 or count, packs, lanes)]
    errors, validation_errors : E of each epoch, [shape: (packs, count · lanes)], or empty rows

    Writes packs, errors and validation_errors.
    """
    for pack in range(len(packs.P)):
        train_pack(
            shape,
            layers,
            D,
            V,
            loss,
            kind,
            penalty,
            mask,
            size,
            watch,
            packs,
            pack,
            orders,
            etas,
            epochs,
            stretch,
            work,
            errors,
            validation_errors,
        )


@kernel
def evaluate_packs(
    shape: Any,
    layers: np.ndarray,
    rows: Rows,
    loss: int,
    P: np.ndarray,
    planes: np.ndarray,
    count: int,
    work: Room,
    errors: np.ndarray,
) -> None:
    """E of each network with parameters P, ``count`` being the plane with its number of samples. Writes errors,
    [shape: (packs, lanes)]."""
    for pack in range(len(P)):
        error = mean_error(
            shape, layers, rows, pack, loss, row(P, pack, work.wide), row(planes, pack, work.wide), count, work
        )
        write(row(errors, pack, work.wide), 0, error)


@kernel
def predict_packs(shape: Any, layers: np.ndarray, rows: Rows, P: np.ndarray, work: Room, y_hat: np.ndarray) -> None:
    """Outputs of each network with parameters P. Writes y_hat, [shape: (networks, m, l)]."""
    depth = depth_of(shape, layers)
    top, d = layer_at(shape, layers, depth - 1), layer_at(shape, layers, 0).fan_in
    z, b, slope, g = units_of(work)
    for pack in range(len(P)):
        here = row(P, pack, work.wide)
        lanes = lanes_in(here)
        net = Net(here, here, here, None, 0, here, None, z, b, slope, g)
        for k in range(rows.m):
            x, _ = sample_at(rows, pack, None, k, k, work, d, top.fan_out)
            outputs(net, shape, layers, here, x)
            for lane in range(min(lanes, len(y_hat) - pack * lanes)):
                for j in range(top.fan_out):
                    y_hat[pack * lanes + lane, k, j] = item(work.b, (top.here + j) * lanes + lane)


@kernel
def make_orders(key: np.uint64, first: int, orders: Orders) -> None:
    """The orders of the epochs from ``first`` on that networks share. Writes shared, and work space."""
    count, m = orders.shared.shape
    lanes = orders.table.shape[1]
    if len(orders.table) == 0:
        for e in range(count):
            epoch_order(key, first + e, orders.numbers, orders.keys_of_one, orders.ends, orders.shared[e])
        return
    for start in range(0, count, lanes):
        for lane in range(lanes):
            orders.table[m, lane] = streams.stream(key, np.uint64(first + start + lane))
        sort_lanes(orders, m)
        for lane in range(min(lanes, count - start)):
            for t in range(m):
                orders.shared[start + lane, t] = np.int64(orders.table[t, lane] & LOW_BITS)
