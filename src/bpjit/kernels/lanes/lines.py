"""Training of many networks of one shape at once: one in each lane of a vector, all of them at the same sample.

The lines of the book are those of ``readable.online``, and here each number is a vector: the formulas run on all
networks of a pack (``lanes.packs``) at once. Nothing passes from lane to lane, so no network's bits depend on its
neighbours, its lane or the number of networks.

Networks may differ in everything but shape, rule and the kind of their data: parameters, η, λ, the rule's settings, the
samples they see and how often, and when they stop. A network that has stopped keeps its lane until Python fills it
with another; what it computes there meanwhile is for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...maths import formulas, rule_formulas
from ...maths.formulas import like, select
from ...maths.rule_formulas import ADAM, NESTEROV, RPROP
from ..jit import by_type, inline, unless_none
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..plane_numbers import BLOCKS, CORRECTION1, CORRECTION2, IN_BLOCK, LAM, LAST_OBJECTIVE, REST
from ..rule_steps import make_lane_step
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from ..simd.numbers import any_lane, item, pointer, put
from ..state import Steps
from ..sums import kahan as add_error
from ..switches import activate, terms_of
from .packs import Rows, at, depth_of, each_unit, lanes_in, layer_at, vectors_at, wide_as, write

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
    X, Y = pointer(rows.X, 0), pointer(rows.Y, 0)
    for lane in range(lanes):
        s = number_of(own, t * lanes + lane, k)
        r = row_of(rows.row, pack, s, lane)
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
def row_of(row: Any, pack: int, s: int, lane: int) -> Any:
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


def _always(function: Callable[..., Any]) -> Callable[..., Any]:
    def chosen(shape: Any, layer: Any, z: Any) -> Any:
        return function(z)

    return chosen


_BY_TYPE = [_always(function) for function in (*formulas.ACTIVATIONS, formulas.identity)]  # softmax comes later
by_type(
    activate_first,
    lambda shape, layer, z: _by_code if isinstance(shape, types.NoneType) else _BY_TYPE[len(shape[3])],
)
by_type(
    activate_upper,
    lambda shape, layer, z: _by_code if isinstance(shape, types.NoneType) else _BY_TYPE[len(shape[4])],
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
    """As ``switches.prepare_rule``: the two vectors that a rule needs anew for each update. Writes planes."""


def _nothing_to_prepare(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    return like(total, 0), like(total, 0)


def _prepare_adam(kind: Any, net: Any, total: Any, n: int, count: Any) -> Any:
    planes, one = net.c, like(total, 1)
    first, second = at(planes, CORRECTION1), at(planes, CORRECTION2)
    first = where(net.active, rule_formulas.moving_average(first, one, at(planes, 1)), first)
    second = where(net.active, rule_formulas.moving_average(second, one, at(planes, 2)), second)
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
        write(A, p, rule_formulas.lookahead(at(P, p), at(S, p), at(planes, 0)))


def _not_ahead(kind: Any, A: Any, P: Any, S: Any, planes: Any, n: int) -> None:
    pass


def where_gradients_are_taken(kind: Any, A: Any, P: Any) -> Any:
    """A for Nesterov's rule, else P."""


def _is_nesterov(kind: Any) -> bool:
    return not isinstance(kind, types.NoneType) and len(kind) == NESTEROV


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


class Batch(NamedTuple):
    """How long a batch is, and where sums over its blocks are kept."""

    sums: Any  # gradients of the blocks before, and what rounding took
    m: int  # samples in an epoch
    size: int  # samples in a batch
    block: int  # samples in a block, a power of two
    blocks: int  # before the last of a batch
    rest: int  # samples in that


def end_of_batch(steps: Any, G: Any, net: Any, c: Any, t: int, batch: Batch, n: int, eta: Any, total: Any) -> None:
    """Where a batch ends for some networks, their update: after ``size`` samples that are not absent, or an epoch.
    Writes P, G, sums, planes."""


def _no_batch(steps: Any, G: Any, net: Any, c: Any, t: int, batch: Batch, n: int, eta: Any, total: Any) -> None:
    pass


def _batch(steps: Any, G: Any, net: Any, c: Any, t: int, batch: Batch, n: int, eta: Any, total: Any) -> None:
    planes, zero, one = net.c, like(eta, 0), like(eta, 1)
    size, block, last = batch.size, batch.block, t + 1 == batch.m
    if c is None:
        count = t % size + 1
        if count == size or last:
            if size > block:
                with_blocks_before(G, batch.sums, None, n)
            update_by_rule(steps, G, net, None, like(eta, count), n, eta, total)
        elif count & (block - 1) == 0:
            end_block(G, batch.sums, None, n)
    else:
        here, blocks = c > zero, at(planes, BLOCKS)
        count = select(here, at(planes, IN_BLOCK) + one, at(planes, IN_BLOCK))
        in_last = blocks >= like(eta, batch.blocks)
        full = here & (count >= select(in_last, like(eta, batch.rest), like(eta, block)))
        write(planes, IN_BLOCK, count)
        if last or any_lane(full):
            ends = full & in_last
            if last:
                ends = (count > zero) | (blocks > zero)
            block_ends = full & ~ends
            if size > block:
                end_block(G, batch.sums, block_ends, n)
                with_blocks_before(G, batch.sums, ends, n)
            if any_lane(ends):
                whole = blocks * like(eta, block) + count
                update_by_rule(steps, G, net, ends, select(ends, whole, one), n, eta, total)
            write(planes, IN_BLOCK, select(ends | block_ends, zero, count))
            write(planes, BLOCKS, select(ends, zero, select(block_ends, blocks + one, blocks)))


@inline
def end_block(G: Any, sums: Any, ends: Any, n: int) -> None:
    """Add the gradients of a block to those of the blocks before. Writes G, sums."""
    for p in range(n):
        collected, total, carry = at(G, p), at(sums, p), at(sums, n + p)
        more, rounded = add_error(total, carry, collected)
        write(sums, p, where(ends, more, total))
        write(sums, n + p, where(ends, rounded, carry))
        write(G, p, where(ends, like(total, 0), collected))


@inline
def with_blocks_before(G: Any, sums: Any, ends: Any, n: int) -> None:
    """Add the gradients of the blocks before to those of a batch's last. Writes G, sums."""
    for p in range(n):
        collected, total, carry = at(G, p), at(sums, p), at(sums, n + p)
        write(G, p, where(ends, total + (collected - carry), collected))
        write(sums, p, where(ends, like(total, 0), total))
        write(sums, n + p, where(ends, like(total, 0), carry))


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
