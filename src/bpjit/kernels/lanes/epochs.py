"""Many epochs of many networks in one call: orders of samples, errors, validation, and when each network stops.

What happens to a sample stands in ``lanes.lines``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ...maths import formulas, random_streams
from ...maths.formulas import like, select
from ..jit import by_type, formula, inline, kernel, unless_none
from ..orders import LOW_BITS, Orders, sort_lanes
from ..plane_numbers import (
    ALIVE,
    BEST,
    BEST_AT,
    BEST_UNTIL,
    CARRY,
    DIVERGED,
    EARLY_STOPPING,
    ENDED,
    GENERALIZATION_LOSS,
    LEAST,
    LEAST_AT,
    LEAST_UNTIL,
    LEFT,
    MAX_EPOCHS,
    NO_IMPROVEMENT,
    PATIENCE,
    PRESENT,
    PROGRESS,
    REASON,
    STRIP_CARRY,
    STRIP_LEAST,
    STRIP_SUM,
    TARGET,
    TARGET_ERROR,
    TOTAL,
    VALIDATING,
    WINDOW_PATIENCE,
    WINDOW_TOLERANCE,
    Watch,
)
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from ..simd.across import any_lane
from ..simd.memory import item, pointer
from ..state import Update
from ..sums import kahan as add_error
from .adapting import adapt, is_adaptive, rate_of, remember
from .lines import Net, back_and_change, output_terms, outputs, present, where
from .packs import (
    Call,
    Pack,
    Packs,
    Room,
    Rows,
    Task,
    at,
    copy_in,
    depth_of,
    lanes_in,
    layer_at,
    loss_of,
    pack_at,
    room_for_parameters,
    room_for_units,
    row,
    vectors_at,
    write,
)
from .samples import sample_at, weight_at
from .updates import Batch, ahead_of, end_of_batch, mask_of, prepare_rule, steps_of, where_gradients_are_taken


@inline
def units_of(work: Room) -> Any:
    """Pointers to what belongs to units: z, b, slope, g."""
    return (
        vectors_at(work.z, 0, work.registers_type),
        vectors_at(work.b, 0, work.registers_type),
        vectors_at(work.slope, 0, work.registers_type),
        vectors_at(work.g, 0, work.registers_type),
    )


@formula
def mean_error(task: Task, rows: Rows, pack: int, P: Any, planes: Any, count: int, work: Room) -> Any:
    """E of each network of a pack; ``count`` is the plane with its number of samples. Writes z, b, slope, g."""
    shape, layers, top, d, loss = task.shape, task.layers, top_of(task), inputs_of(task), loss_of(task.shape, task.loss)
    z, b, slope, g = units_of(work)
    net = Net(P, P, P, None, 0, planes, None, z, b, slope, g)
    total = carry = like(at(planes, count), 0)
    for k in range(rows.m):
        x, y = sample_at(rows, pack, None, k, k, work, d, top.fan_out)
        outputs(net, shape, layers, P, x)
        c = weight_at(rows.c, pack, None, k, k, P)
        total, carry = add_present(present(c), total, carry, output_terms(net, top, loss, y, c))
    return total / at(planes, count)


@inline
def add_present(mask: Any, total: Any, carry: Any, E_k: Any) -> Any:
    """``add_error`` for the networks that see a sample. To add 0 for the others could round, and so what they collect
    would depend on who is beside them."""
    new, rounded = add_error(total, carry, E_k)
    return where(mask, new, total), where(mask, rounded, carry)


@inline
def top_of(task: Task) -> Any:
    """The layer of the outputs."""
    return layer_at(task.shape, task.layers, depth_of(task.shape, task.layers) - 1)


@inline
def parameters_of(task: Task) -> Any:
    """n."""
    top = top_of(task)
    return top.thresholds + top.fan_out


@inline
def inputs_of(task: Task) -> Any:
    """d."""
    return layer_at(task.shape, task.layers, 0).fan_in


@unless_none
def own_orders(keys: Any, orders: Orders, pack: int, epoch: int, m: int) -> None:
    """The order of an epoch for each network. Writes own, and work space."""
    table, lanes = orders.table, keys.shape[1]
    for lane in range(lanes):
        table[m, lane] = random_streams.stream(keys[pack, lane], np.uint64(epoch))
    sort_lanes(orders, m)
    for t in range(m):
        for lane in range(lanes):
            orders.own[t, lane] = np.int64(table[t, lane] & LOW_BITS)


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


@inline
def since_when(planes: Any, place: int, until: int, better: Any, now: Any, patience: Any) -> Any:
    """When patience ends; ``now`` epochs of this call are complete, and brought some networks something ``better``.
    Writes planes."""
    write(planes, place, select(better, now, at(planes, place)))
    ends = select(better, now + like(now, patience), at(planes, until))
    write(planes, until, ends)
    return ends


@formula
def keep_best(pack: Pack, n: int, watch: Watch, validated: Any, counts: Any, now: Any) -> Any:
    """What comes after a validation: the best parameters yet of the networks that it ``counts`` for, and the flag of
    EarlyStopping; ``now`` as for ``since_when``. Writes best, planes."""
    planes, zero = pack.planes, like(validated, 0)
    best = at(planes, BEST)
    better = counts & (validated < best)
    if any_lane(better):
        for p in range(n):
            write(pack.best, p, select(better, at(pack.P, p), at(pack.best, p)))
    best = select(better, validated, best)
    write(planes, BEST, best)
    until = since_when(planes, BEST_AT, BEST_UNTIL, better, now, watch.limits[PATIENCE])
    loss_now = formulas.generalization_loss(validated, best)
    mean = at(planes, STRIP_SUM) / like(validated, watch.every)
    progress = formulas.training_progress(mean, at(planes, STRIP_LEAST))
    over = now >= until
    over = over | (loss_now > like(validated, watch.limits[GENERALIZATION_LOSS]))
    over = over | (progress < like(validated, watch.limits[PROGRESS]))
    write(planes, STRIP_SUM, zero)
    write(planes, STRIP_CARRY, zero)
    write(planes, STRIP_LEAST, like(validated, np.inf))
    return select(over, like(validated, EARLY_STOPPING), zero)


@formula
def stands_still(pack: Pack, watch: Watch, epoch: int, error: Any, alive: Any, now: Any) -> Any:
    """The flag of NoImprovement after an epoch; ``now`` as for ``since_when``. Writes ring, planes."""
    planes, zero, flag = pack.planes, like(error, 0), like(error, NO_IMPROVEMENT)
    least = at(planes, LEAST)
    falls = alive & (error < least)
    least = select(falls, error, least)
    write(planes, LEAST, least)
    flags = zero
    if watch.stalls:
        until = since_when(planes, LEAST_AT, LEAST_UNTIL, falls, now, watch.limits[WINDOW_PATIENCE])
        flags = select(now >= until, flag, zero)
    else:
        then = at(pack.ring, epoch % watch.window)
        if epoch >= watch.window:
            flags = select(then - least <= like(error, watch.limits[WINDOW_TOLERANCE]), flag, zero)
        write(pack.ring, epoch % watch.window, least)
    return flags


@formula
def end_of_epoch(
    task: Task, pack: Pack, work: Room, epoch: int, done: int, error: Any, finite: Any, validation_errors: Any
) -> None:
    """What comes after an epoch for some networks: an adaptive rate, validation, the end. ``done`` epochs of this call
    are complete, this one included. Writes the pack, and validation errors."""
    D, V, watch, P, planes, n = task.D, task.V, task.watch, pack.P, pack.planes, parameters_of(task)
    zero, one = like(error, 0), like(error, 1)
    alive, now_done = at(planes, ALIVE) > zero, like(error, done)
    if is_adaptive(pack.undo):
        now = mean_error(task, D, pack.number, P, planes, PRESENT, work)
        adapt(pack.undo, pack.least, P, pack.S, n, pack.slots, planes, now)
    flags = select(at(planes, LEFT) <= zero, like(error, MAX_EPOCHS), zero)
    if V.m > 0 and (epoch + 1) % watch.every == 0:
        validated = mean_error(task, V, pack.number, P, planes, VALIDATING, work)
        if validation_errors.shape[1] > 0:
            write(row(validation_errors, pack.number, work.registers_type), done - 1, validated)
        flags += keep_best(pack, n, watch, validated, alive & finite, now_done)
    target = at(planes, TARGET)
    if any_lane(alive & finite & (error <= target)):
        now = mean_error(task, D, pack.number, P, planes, PRESENT, work)
        flags += select((error <= target) & (now <= target), like(error, TARGET_ERROR), zero)
    if watch.stalls or watch.window > 0:
        flags += stands_still(pack, watch, epoch, error, alive, now_done)
    flags = select(finite, flags, like(error, DIVERGED))
    stopped = alive & (flags > zero)
    if any_lane(stopped):
        for p in range(n):
            write(pack.final, p, select(stopped, at(P, p), at(pack.final, p)))
        write(planes, REASON, select(stopped, flags, at(planes, REASON)))
        write(planes, ENDED, select(stopped, select(finite, now_done, now_done - one), at(planes, ENDED)))
        write(planes, ALIVE, select(stopped, zero, at(planes, ALIVE)))


def shared_by(G: Any, kind: Any, net: Any, total: Any, n: int) -> Any:
    """What ``prepare_rule`` prepares, where each sample is an update."""


by_type(
    shared_by,
    lambda G, *rest: (
        (lambda G, kind, net, total, n: prepare_rule(kind, net, total, n, like(total, 1)))
        if isinstance(G, types.NoneType)
        else (lambda G, kind, net, total, n: (like(total, 0), like(total, 0)))
    ),
)


@inline
def note_error(task: Task, pack: Pack, work: Room, errors: np.ndarray, e: int, error: Any) -> None:
    """Record the error of an epoch, and add it to those since the last validation. Writes errors, planes."""
    planes = pack.planes
    if errors.shape[1] > 0:
        write(row(errors, pack.number, work.registers_type), e, error)
    if task.V.m > 0:
        strip, rounded = add_error(at(planes, STRIP_SUM), at(planes, STRIP_CARRY), error)
        write(planes, STRIP_SUM, strip)
        write(planes, STRIP_CARRY, rounded)
        least = at(planes, STRIP_LEAST)
        write(planes, STRIP_LEAST, select(error < least, error, least))


@inline
def batch_of(task: Task, sums: Any, n: int) -> Batch:
    """How long a batch is."""
    blocks = (task.size - 1) // task.block
    return Batch(sums, n, task.D.m, task.size, task.block, blocks, task.size - blocks * task.block)


@inline
def train_pack(task: Task, packs: Packs, number: int, call: Call, work: Room) -> None:
    """Train the networks of a pack until all have stopped or the epochs are over. Writes packs, and what ``call`` has
    room for."""
    shape, layers, D, V, watch, kind = task.shape, task.layers, task.D, task.V, task.watch, task.kind
    orders, m, loss = call.orders, D.m, loss_of(shape, task.loss)
    pack = pack_at(packs, number, work.registers_type)
    top, n, d, planes, S = top_of(task), parameters_of(task), inputs_of(task), pack.planes, pack.S
    P, G = room_for_parameters(pack.P, shape), room_for_parameters(pack.G, shape)
    A_room = vectors_at(work.A, 0, work.registers_type)
    z, b, slope, g = units_of(work)
    z, b = room_for_units(z, shape), room_for_units(b, shape)
    slope, g = room_for_units(slope, shape), room_for_units(g, shape)
    copy_in(shape, pack.P, P)
    copy_in(shape, pack.G, G)
    ahead_of(kind, A_room, P, S, planes, n)
    A = where_gradients_are_taken(kind, A_room, P)
    total, carry, zero = at(planes, TOTAL), at(planes, CARRY), like(at(planes, TOTAL), 0)
    left, target = at(planes, LEFT), at(planes, TARGET)
    mask, count = mask_of(task.mask, work.registers_type), call.epochs[1]
    steps, batch = steps_of(kind, planes, mask, task.penalty), batch_of(task, pack.sums, n)
    own = own_numbers(orders.keys, orders)
    for e in range(count):
        if not any_lane(at(planes, ALIVE) > zero):
            break
        epoch = call.epochs[0] + e
        first, last = call.stretch[0] if e == 0 else 0, call.stretch[1] if e == count - 1 else m
        if first == 0:
            remember(pack.undo, P, S, n, pack.slots, planes)
        own_orders(orders.keys, orders, number, epoch, m)
        eta = rate_of(pack.undo, planes, call.etas, e, number)
        for t in range(first, last):
            k = number_at(own, orders.shared, e, t)
            x, y = sample_at(D, number, own, t, k, work, d, top.fan_out)
            c = weight_at(D.c, number, own, t, k, P)
            net = Net(P, A, S, mask, n, planes, present(c), z, b, slope, g)
            outputs(net, shape, layers, A, x)
            E_k = output_terms(net, top, loss, y, c)
            total, carry = add_present(net.active, total, carry, E_k)
            update = Update(steps, eta, shared_by(G, kind, net, total, n))
            back_and_change(net, shape, layers, update, G, x)
            end_of_batch(steps, G, net, c, t, batch, eta, total)
        if last == m:
            error = total / at(planes, PRESENT)
            total = carry = zero
            finite = error * zero == zero
            left -= like(zero, 1)
            note_error(task, pack, work, call.errors, e, error)
            usual = (finite & (left > zero) & (error > target)) | ~(at(planes, ALIVE) > zero)
            validates = V.m > 0 and (epoch + 1) % watch.every == 0
            special = is_adaptive(pack.undo) or watch.stalls or watch.window > 0 or validates
            if special or any_lane(~usual):
                copy_in(shape, P, pack.P)
                write(planes, LEFT, left)
                end_of_epoch(task, pack, work, epoch, e + 1, error, finite, call.validation_errors)
                copy_in(shape, pack.P, P)
                if is_adaptive(pack.undo):
                    ahead_of(kind, A_room, P, S, planes, n)
    write(planes, TOTAL, total)
    write(planes, CARRY, carry)
    copy_in(shape, P, pack.P)
    copy_in(shape, G, pack.G)


# --- What Python calls.


@kernel
def train_packs(task: Task, packs: Packs, call: Call, work: Room) -> None:
    """Train all packs. Writes packs, and what ``call`` has room for."""
    for number in range(len(packs.P)):
        train_pack(task, packs, number, call, work)


@kernel
def evaluate_packs(
    task: Task, rows: Rows, P: np.ndarray, planes: np.ndarray, count: int, work: Room, errors: np.ndarray
) -> None:
    """E of each network with parameters P on these samples, ``count`` being the plane with their number. Writes errors,
    [shape: (packs, lanes)]."""
    for pack in range(len(P)):
        error = mean_error(
            task, rows, pack, row(P, pack, work.registers_type), row(planes, pack, work.registers_type), count, work
        )
        write(row(errors, pack, work.registers_type), 0, error)


@kernel
def predict_packs(shape: Any, layers: np.ndarray, rows: Rows, P: np.ndarray, work: Room, y_hat: np.ndarray) -> None:
    """Outputs of each network with parameters P. Writes y_hat, [shape: (networks, m, l)]."""
    depth = depth_of(shape, layers)
    top, d = layer_at(shape, layers, depth - 1), layer_at(shape, layers, 0).fan_in
    z, b, slope, g = units_of(work)
    for pack in range(len(P)):
        here = row(P, pack, work.registers_type)
        lanes = lanes_in(here)
        net = Net(here, here, here, None, 0, here, None, z, b, slope, g)
        for k in range(rows.m):
            x, _ = sample_at(rows, pack, None, k, k, work, d, top.fan_out)
            outputs(net, shape, layers, here, x)
            for lane in range(min(lanes, len(y_hat) - pack * lanes)):
                for j in range(top.fan_out):
                    y_hat[pack * lanes + lane, k, j] = item(work.b, (top.here + j) * lanes + lane)
