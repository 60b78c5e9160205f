"""Many epochs of many networks in one call: orders of samples, errors, validation, and when each network stops.

What happens to a sample stands in ``lanes.lines``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ...maths import formulas, random_streams
from ...maths.formulas import like, select
from ..jit import by_type, formula, inline, kernel, smaller, unless_none
from ..orders import LOW_BITS, sort_lanes
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
from .lines import Net, back_and_change, output_terms, outputs, present
from .measuring import Plan, add_present, form_of, mean_error, measure_pack, plan_of
from .packs import Call, Pack, Packs, Room, Rows, Task, Work, at, lanes_in, pack_at, row, work_in, write
from .samples import numbers_in, rows_at, sample_at, weight_at
from .shapes import copy_in, depth_of, layer_at, room_for_parameters, room_for_units
from .updates import Batch, ahead_of, end_of_batch, prepare_rule, steps_of, where_gradients_are_taken


@unless_none
def own_orders(own: Any, pack: int, epoch: int, m: int) -> None:
    """The order of an epoch for each network. Writes places, and work space."""
    table, lanes = own.table, own.keys.shape[1]
    for lane in range(lanes):
        table[m, lane] = random_streams.stream(own.keys[pack, lane], np.uint64(epoch))
    sort_lanes(table, own.numbers)
    for t in range(m):
        for lane in range(lanes):
            own.places[t, lane] = np.int64(table[t, lane] & LOW_BITS)


@unless_none
def own_numbers(own: Any) -> Any:
    """Where ``own_orders`` writes, or None."""
    return pointer(own.places, 0)


@inline
def number_at(own: Any, shared: Any, e: int, t: int) -> int:
    """The number of the sample at position t, where networks share an order."""
    if own is None:
        return item(shared, smaller(e, shared.shape[0] - 1) * shared.shape[1] + t)
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
    until = since_when(planes, BEST_AT, BEST_UNTIL, better, now, item(watch.limits, PATIENCE))
    loss_now = formulas.generalization_loss(validated, best)
    mean = at(planes, STRIP_SUM) / like(validated, watch.every)
    progress = formulas.training_progress(mean, at(planes, STRIP_LEAST))
    over = now >= until
    over = over | (loss_now > like(validated, item(watch.limits, GENERALIZATION_LOSS)))
    over = over | (progress < like(validated, item(watch.limits, PROGRESS)))
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
        until = since_when(planes, LEAST_AT, LEAST_UNTIL, falls, now, item(watch.limits, WINDOW_PATIENCE))
        flags = select(now >= until, flag, zero)
    else:
        then = at(pack.ring, epoch % watch.window)
        if epoch >= watch.window:
            flags = select(then - least <= like(error, item(watch.limits, WINDOW_TOLERANCE)), flag, zero)
        write(pack.ring, epoch % watch.window, least)
    return flags


@formula
def end_of_epoch(
    plan: Plan, pack: Pack, work: Work, epoch: int, done: int, error: Any, finite: Any, validation_errors: Any
) -> None:
    """What comes after an epoch for some networks: an adaptive rate, validation, the end. ``done`` epochs of this call
    are complete, this one included. Writes the pack, and validation errors."""
    form, D, V, watch, P, planes = plan.form, plan.D, plan.V, plan.watch, pack.P, pack.planes
    n, zero, one = form.n, like(error, 0), like(error, 1)
    alive, now_done = at(planes, ALIVE) > zero, like(error, done)
    if is_adaptive(pack.undo):
        now = mean_error(form, D, pack.number, P, planes, PRESENT, work)
        adapt(pack.undo, pack.least, P, pack.S, n, pack.slots, planes, now)
    flags = select(at(planes, LEFT) <= zero, like(error, MAX_EPOCHS), zero)
    if V.m > 0 and (epoch + 1) % watch.every == 0:
        validated = mean_error(form, V, pack.number, P, planes, VALIDATING, work)
        if validation_errors.shape[1] > 0:
            write(row(validation_errors, pack.number, planes), done - 1, validated)
        flags += keep_best(pack, n, watch, validated, alive & finite, now_done)
    target = at(planes, TARGET)
    if any_lane(alive & finite & (error <= target)):
        now = mean_error(form, D, pack.number, P, planes, PRESENT, work)
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
def note_error(V: Rows, pack: Pack, errors: np.ndarray, e: int, error: Any) -> None:
    """Record the error of an epoch, and add it to those since the last validation. Writes errors, planes."""
    planes = pack.planes
    if errors.shape[1] > 0:
        write(row(errors, pack.number, planes), e, error)
    if V.m > 0:
        strip, rounded = add_error(at(planes, STRIP_SUM), at(planes, STRIP_CARRY), error)
        write(planes, STRIP_SUM, strip)
        write(planes, STRIP_CARRY, rounded)
        least = at(planes, STRIP_LEAST)
        write(planes, STRIP_LEAST, select(error < least, error, least))


@inline
def batch_of(plan: Plan, sums: Any) -> Batch:
    """How long a batch is."""
    blocks = (plan.size - 1) // plan.block
    return Batch(sums, plan.form.n, plan.D.m, plan.size, plan.block, blocks, plan.size - blocks * plan.block)


@inline
def train_pack(plan: Plan, pack: Pack, call: Call, work: Work) -> None:
    """Train the networks of a pack until all have stopped or the epochs are over. Writes packs, and what ``call`` has
    room for."""
    form, D, V, watch, kind = plan.form, plan.D, plan.V, plan.watch, plan.kind
    shape, layers, top, d, n, m = form.shape, form.layers, form.top, form.d, form.n, D.m
    number, orders, planes, S, A_room = pack.number, call.orders, pack.planes, pack.S, work.A
    P, G = room_for_parameters(pack.P, shape), room_for_parameters(pack.G, shape)
    z, b = room_for_units(work.z, shape), room_for_units(work.b, shape)
    slope, g = room_for_units(work.slope, shape), room_for_units(work.g, shape)
    copy_in(shape, pack.P, P)
    copy_in(shape, pack.G, G)
    ahead_of(kind, A_room, P, S, planes, n)
    A = where_gradients_are_taken(kind, A_room, P)
    total, carry, zero = at(planes, TOTAL), at(planes, CARRY), like(at(planes, TOTAL), 0)
    left, target = at(planes, LEFT), at(planes, TARGET)
    steps, batch, count = steps_of(kind, planes, plan.mask, plan.penalty), batch_of(plan, pack.sums), call.epochs[1]
    own = own_numbers(orders.own)
    for e in range(count):
        if not any_lane(at(planes, ALIVE) > zero):
            break
        epoch = call.epochs[0] + e
        first, last = call.stretch[0] if e == 0 else 0, call.stretch[1] if e == count - 1 else m
        if first == 0:
            remember(pack.undo, P, S, n, pack.slots, planes)
        own_orders(orders.own, number, epoch, m)
        eta = rate_of(pack.undo, planes, call.etas, e, number)
        for t in range(first, last):
            k = number_at(own, orders.shared, e, t)
            x, y = sample_at(D, number, own, t, k, work.sample, d, top.fan_out)
            c = weight_at(D, number, own, t, k)
            net = Net(P, A, S, plan.mask, n, planes, present(c), z, b, slope, g)
            outputs(net, shape, layers, A, x)
            E_k = output_terms(net, form.shape, top, form.loss, y, c)
            total, carry = add_present(net.active, total, carry, E_k)
            update = Update(steps, eta, shared_by(G, kind, net, total, n))
            back_and_change(net, shape, layers, update, G, x)
            end_of_batch(steps, G, net, c, t, batch, eta, total)
        if last == m:
            error = total / at(planes, PRESENT)
            total = carry = zero
            finite = error * zero == zero
            left -= like(zero, 1)
            note_error(V, pack, call.errors, e, error)
            usual = (finite & (left > zero) & (error > target)) | ~(at(planes, ALIVE) > zero)
            validates = V.m > 0 and (epoch + 1) % watch.every == 0
            special = is_adaptive(pack.undo) or watch.stalls or watch.window > 0 or validates
            if special or any_lane(~usual):
                copy_in(shape, P, pack.P)
                write(planes, LEFT, left)
                end_of_epoch(plan, pack, work, epoch, e + 1, error, finite, call.validation_errors)
                copy_in(shape, pack.P, P)
                if is_adaptive(pack.undo):
                    ahead_of(kind, A_room, P, S, planes, n)
    write(planes, TOTAL, total)
    write(planes, CARRY, carry)
    copy_in(shape, P, pack.P)
    copy_in(shape, G, pack.G)


# --- What Python calls.


@kernel
def train_packs(task: Task, packs: Packs, call: Call, room: Room) -> None:
    """Train all packs; or, for no epoch, measure them. Writes packs, and what ``call`` has room for."""
    plan = plan_of(task, room.registers_type)
    work = work_in(plan.form.top, room)
    for number in range(len(packs.P)):
        pack = pack_at(packs, number, work.A)
        if call.epochs[1] > 0:
            train_pack(plan, pack, call, work)
        else:
            measure_pack(plan, pack, call, work)


@kernel
def evaluate_packs(
    layers: np.ndarray,
    loss: Any,
    rows: Rows,
    P: np.ndarray,
    planes: np.ndarray,
    count: int,
    room: Room,
    errors: np.ndarray,
) -> None:
    """E of each network with parameters P on these samples, ``count`` being the plane with their number. Writes errors,
    [shape: (packs, lanes)]."""
    form, samples = form_of(None, layers, loss), rows_at(rows, room.registers_type)
    work = work_in(form.top, room)
    for pack in range(len(P)):
        error = mean_error(form, samples, pack, row(P, pack, work.A), row(planes, pack, work.A), count, work)
        write(row(errors, pack, work.A), 0, error)


@kernel
def predict_packs(shape: Any, layers: Any, rows: Rows, P: np.ndarray, room: Room, y_hat: np.ndarray) -> None:
    """Outputs of each network with parameters P. Writes y_hat, [shape: (networks, m, l)]."""
    top, d = layer_at(shape, layers, depth_of(shape, layers) - 1), layer_at(shape, layers, 0).fan_in
    work, samples = work_in(top, room), rows_at(rows, room.registers_type)
    for pack in range(len(P)):
        here = row(P, pack, room.registers_type)
        lanes = lanes_in(here)
        net = Net(here, here, here, None, 0, here, None, work.z, work.b, work.slope, work.g)
        for k in range(rows.m):
            x, _ = sample_at(samples, pack, None, k, k, work.sample, d, top.fan_out)
            outputs(net, shape, layers, here, x)
            y = pointer(numbers_in(work.b), top.here * lanes)
            for lane in range(smaller(lanes, len(y_hat) - pack * lanes)):
                for j in range(top.fan_out):
                    y_hat[pack * lanes + lane, k, j] = item(y, j * lanes + lane)
