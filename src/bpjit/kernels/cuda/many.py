"""Many networks of one shape on the GPU, each trained by a team: a thread where it is tiny, else a block.

One launch takes all networks through a block of epochs, each with its own settings, share of the data and end. What
belongs to a network is its column of a table, see ``cuda.columns``; what happens to a sample stands in ``cuda.lines``,
what happens between epochs in ``cuda.epochs``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths.formulas import like
from ...settings.rules import SGD
from ..jit import formula
from ..orders import LOW_BITS
from ..own import kind_of
from ..plane_numbers import (
    ALIVE,
    BLOCKS,
    CARRY,
    DIVERGED,
    ENDED,
    IN_BLOCK,
    LAST_OBJECTIVE,
    LEFT,
    MAX_EPOCHS,
    PRESENT,
    RATE,
    REASON,
    SHARED1,
    SHARED2,
    TOTAL,
)
from ..sums import kahan
from .calls import Recorded
from .columns import (
    Kind,
    Seat,
    copy_in,
    copy_out,
    fits_into_shared,
    kind_to_visit,
    launch_for,
    places_of,
    plane_of,
    rule_at,
    set_plane,
    slots_at,
)
from .door import FORWARDS, cuda, each_layer, empty, kernel, pasted, run, to_device
from .epochs import Call, adapting, all_finite, ending, objective_at, remember
from .lines import (
    Net,
    RuleOnDevice,
    Team,
    barrier,
    forward,
    lay_out,
    load_sample,
    look_ahead,
    prepared,
    update_by_rule,
)
from .samples import Data, Orders, Passing, learn_sample, mean_error, own_order, row_of, weight_of
from .table import Table, at_once, by_column


class Batch(NamedTuple):
    """How far a batch has come; what a rule does not need is 0, and takes no register."""

    in_block: int  # samples
    blocks: int  # that are complete
    first: Any  # what all parameters share
    second: Any


def passing_of(kind: Kind, validation: bool) -> Passing:
    """How samples of the training or the validation set pass through networks of this kind."""
    layers = lay_out(kind.sizes, kind.activations, kind.threads)
    return Passing(layers, kind.loss, kind.weighted[validation], kind.rowed[validation])


def is_in_table(kind: Kind) -> bool:
    """Whether a team works on the table itself, for want of shared memory."""
    n = places_of(kind).n
    numbers = n + (n if kind.looks_ahead else 1) + (1 if kind.standard else n)
    return kind.threads > 1 and not fits_into_shared(numbers, kind.dtype)


def seat_for(kind: Kind) -> Any:
    """What a kernel calls to make a thread's seat from the table, with room for one network of this kind."""
    places, units, threads, dtype = places_of(kind), sum(kind.sizes), kind.threads, np.dtype(kind.dtype).type
    looks_ahead = kind.looks_ahead
    n, apart, collected = places.n, places.n if looks_ahead else 1, 1 if kind.standard else places.n

    @pasted
    def in_registers(T: Any) -> Seat:
        p, G = cuda.local.array(n, dtype), cuda.local.array(collected, dtype)
        z, b = cuda.local.array(units, dtype), cuda.local.array(units, dtype)
        slope, g = cuda.local.array(units, dtype), cuda.local.array(units, dtype)
        scratch, ahead = cuda.local.array(1, dtype), cuda.local.array(apart, dtype)
        net = Net(p, ahead if looks_ahead else p, G, z, b, slope, g, scratch)
        return Seat(Team(0, 1), net, T, cuda.grid(1), places)

    @pasted
    def in_block(T: Any, p: Any, ahead: Any, G: Any) -> Seat:
        z = cuda.shared.array(units, dtype)  # the simulator tells them apart by their lines
        b = cuda.shared.array(units, dtype)
        slope = cuda.shared.array(units, dtype)
        g = cuda.shared.array(units, dtype)
        scratch = cuda.shared.array(threads, dtype)
        net = Net(p, ahead if looks_ahead else p, G, z, b, slope, g, scratch)
        return Seat(Team(cuda.threadIdx.x, threads), net, T, cuda.blockIdx.x, places)

    @pasted
    def in_shared_memory(T: Any) -> Seat:
        p = cuda.shared.array(n, dtype)
        G = cuda.shared.array(collected, dtype)
        ahead = cuda.shared.array(apart, dtype)
        return in_block(T, p, ahead, G)

    @pasted
    def in_table(T: Any) -> Seat:
        t = cuda.blockIdx.x
        return in_block(T, T[:n, t], T[places.ahead : places.ahead + n, t], T[places.gradient : places.gradient + n, t])

    return in_registers if threads == 1 else in_table if is_in_table(kind) else in_shared_memory


# --- Training.


def batching(kind: Kind) -> Any:
    """What networks of this kind do after a sample, unless gradient and update are one."""
    counted, several, weighted, compares = kind.counted, kind.blocks, kind.weighted[0], kind.compares

    @formula
    def after_sample(
        seat: Seat, rule: RuleOnDevice, call: Call, batch: Batch, total: Any, eta: Any, is_last: bool
    ) -> Batch:
        """End a block or a batch, if it is complete: with the gradients collected, and an update along them. ``total``
        is the sum of the errors of the epoch. Writes what the net has, and the column."""
        in_block, blocks, first, second = batch
        block, most, zero = call.block, 0, like(eta, 0)
        if several:
            most = (call.size - 1) // block
        ends = is_last
        if counted:
            ends = ends or in_block + most * block >= call.size
            if weighted:
                ends = ends and in_block + blocks > 0
        if several and (blocks < most and not is_last):
            ends = False
            if in_block == block:
                end_block(seat)
                in_block, blocks = 0, blocks + 1
        if ends:
            in_batch = plane_of(seat, PRESENT)
            if counted:
                in_batch = like(zero, in_block)
            if several:
                in_batch = like(zero, in_block + blocks * block)
                with_blocks_before(seat)
            last, now = zero, zero
            if compares:
                last, now = plane_of(seat, LAST_OBJECTIVE), objective_at(seat, rule, total / in_batch)
                barrier(seat.team)
                if seat.team.rank == 0:
                    set_plane(seat, LAST_OBJECTIVE, now)
            first, second = prepared(rule, (first, second), last, now)
            share = like(zero, 1) / in_batch
            update_by_rule(rule, seat.net, seat.team, slots_at(seat), share, eta, (first, second))
            in_block = blocks = 0
        return Batch(in_block, blocks, first, second)

    return after_sample


@formula
def end_block(seat: Seat) -> None:
    """Add the gradients of a block to those of the blocks before. Writes G and the column."""
    team, G, T, t, sums, n = seat.team, seat.net.G, seat.T, seat.t, seat.places.sums, seat.places.n
    for i in range(team.rank, n, team.size):
        total, carry = kahan(T[sums + i, t], T[sums + n + i, t], G[i])
        T[sums + i, t], T[sums + n + i, t] = total, carry
        G[i] = like(total, 0)
    barrier(team)


@formula
def with_blocks_before(seat: Seat) -> None:
    """Add the gradients of the blocks before to those of a batch's last. Writes G and the column."""
    team, G, T, t, sums, n = seat.team, seat.net.G, seat.T, seat.t, seat.places.sums, seat.places.n
    for i in range(team.rank, n, team.size):
        zero = like(G[i], 0)
        G[i] = T[sums + i, t] + (G[i] - T[sums + n + i, t])
        T[sums + i, t], T[sums + n + i, t] = zero, zero
    barrier(team)


def learning(kind: Kind) -> Any:
    """What networks of this kind do in an epoch."""
    standard, adaptive, own, counted = kind.standard, kind.adaptive, kind.own, kind.counted
    on_D, after_sample = passing_of(kind, False), batching(kind)

    @formula
    def learn_epoch(
        seat: Seat, rule: RuleOnDevice, D: Data, orders: Orders, call: Call, e: int, places: Any, sums: Any
    ) -> Any:
        """The samples of epoch e of this call, from one place in its order to another. ``sums`` are the sum of their
        errors, its carry, and a Batch, from before and returned as they then are. Writes what the net has, and the
        column."""
        t, etas, shared, (begin, end), (total, carry, batch) = seat.t, call.etas, orders.shared, places, sums
        if begin == 0 and adaptive:
            remember(seat)
        if own:
            own_order(orders, call.stretch.epoch + e, D.m, t, seat.team)
        eta = plane_of(seat, RATE) if adaptive else etas[min(e, etas.shape[0] - 1), min(t, etas.shape[1] - 1)]
        for position in range(begin, end):
            k = shared[min(e, shared.shape[0] - 1), position]
            if own:
                k = orders.table[position, t] & LOW_BITS
            c_k = weight_of(on_D.weighted, D, k, t, eta)
            if c_k > like(eta, 0):
                total, carry = kahan(total, carry, learn_sample(on_D, seat, rule, D, k, c_k, eta))
                if counted:
                    batch = Batch(batch.in_block + 1, batch.blocks, batch.first, batch.second)
            if not standard:
                batch = after_sample(seat, rule, call, batch, total, eta, position + 1 == D.m)
        return total, carry, batch

    return learn_epoch


def saving(kind: Kind) -> Any:
    """How networks of this kind come from their columns to their seats, and go back."""
    elsewhere, standard, counted = not is_in_table(kind), kind.standard, kind.counted
    several, sharing = kind.blocks, kind.shares > 0

    @formula
    def sit_down(seat: Seat, rule: RuleOnDevice) -> Any:
        """Writes the net; returns the sums as ``learn_epoch`` takes them."""
        net, team, places = seat.net, seat.team, seat.places
        if elsewhere:
            copy_in(seat, net.p, 0, places.n)
            if not standard:
                copy_in(seat, net.G, places.gradient, places.n)
        barrier(team)
        look_ahead(rule, net, team, slots_at(seat))
        zero, in_block, blocks = like(rule.lam, 0), 0, 0
        first, second = zero, zero
        if counted:
            in_block = int(plane_of(seat, IN_BLOCK))
        if several:
            blocks = int(plane_of(seat, BLOCKS))
        if sharing:
            first, second = plane_of(seat, SHARED1), plane_of(seat, SHARED2)
        return plane_of(seat, TOTAL), plane_of(seat, CARRY), Batch(in_block, blocks, first, second)

    @formula
    def get_up(seat: Seat, sums: Any, reasons: int, done: int) -> None:
        """Writes the column. ``reasons`` say why the network stopped, if it did, after ``done`` epochs."""
        net, places, (total, carry, batch) = seat.net, seat.places, sums
        if elsewhere:
            copy_out(seat, net.p, 0, places.n)
            if not standard:
                copy_out(seat, net.G, places.gradient, places.n)
        if reasons > 0:
            copy_out(seat, net.p, places.final, places.n)
        if seat.team.rank == 0:
            set_plane(seat, TOTAL, total)
            set_plane(seat, CARRY, carry)
            if counted:
                set_plane(seat, IN_BLOCK, like(total, batch.in_block))
            if several:
                set_plane(seat, BLOCKS, like(total, batch.blocks))
            if sharing:
                set_plane(seat, SHARED1, batch.first)
                set_plane(seat, SHARED2, batch.second)
            set_plane(seat, ENDED, like(total, done))
            if reasons > 0:
                set_plane(seat, ALIVE, like(total, 0))
                set_plane(seat, REASON, like(total, reasons))

    return sit_down, get_up


@functools.cache
def train_kernel(kind: Kind) -> Any:
    """The kernel that trains networks of this kind."""
    seat_in, (sit_down, get_up), learn_epoch = seat_for(kind), saving(kind), learning(kind)
    on_D, on_V = passing_of(kind, False), passing_of(kind, True)
    adapt_rate, after_epoch = adapting(kind, on_D), ending(kind, on_D, on_V)
    standard, penalty, masked, slots = kind.standard, kind.penalty, kind.masked, kind.slots
    compiled_in = kind_of(kind.rule or SGD)

    def train(T: Any, mask: Any, D: Data, V: Data, orders: Orders, call: Call, recorded: Recorded) -> None:
        seat = seat_in(T)
        if seat.t >= T.shape[1] or plane_of(seat, ALIVE) <= 0:
            return
        rule = rule_at(seat, standard, compiled_in, slots, penalty, masked, mask)
        sums, left, reasons, done = sit_down(seat, rule), plane_of(seat, LEFT), 0, 0
        zero, one = like(left, 0), like(left, 1)
        for e in range(call.stretch.epochs):
            begin = call.stretch.begin if e == 0 else 0
            end = call.stretch.end if e == call.stretch.epochs - 1 else D.m
            sums = learn_epoch(seat, rule, D, orders, call, e, (begin, end), sums)
            if end == D.m:
                total, _, batch = sums
                error = total / plane_of(seat, PRESENT)
                left -= one
                finite = error * zero == zero and all_finite(seat)
                reasons = (MAX_EPOCHS if left <= zero else 0) if finite else DIVERGED
                if e < recorded.errors.shape[0] and seat.team.rank == 0:
                    recorded.errors[e, seat.t] = error
                first, second = adapt_rate(seat, rule, D, batch.first, batch.second)
                sums = zero, zero, Batch(batch.in_block, batch.blocks, first, second)
                reasons = after_epoch(seat, D, V, call, e, error, reasons, recorded)
                done = e if reasons == DIVERGED else e + 1
                if reasons > 0:
                    break
        get_up(seat, sums, reasons, done)

    return kernel(train, f"train_{'_'.join(map(str, kind.sizes))}", launch_for(1, kind.threads).threads)


# --- Errors and outputs.


@functools.cache
def visit_kernel(kind: Kind) -> Any:
    """The kernel that takes samples through networks of this kind, for their errors or their outputs."""
    seat_in, passing = seat_for(kind._replace(rule=None)), passing_of(kind, False)
    elsewhere, first_output, l = not is_in_table(kind._replace(rule=None)), sum(kind.sizes[:-1]), kind.sizes[-1]

    def visit(P: Any, D: Data, counts: Any, errors: Any, y_hat: Any) -> None:
        seat = seat_in(P)
        net, team, t = seat.net, seat.team, seat.t
        if t >= P.shape[1]:
            return
        if elsewhere:
            copy_in(seat, net.p, 0, seat.places.n)
        barrier(team)
        if errors.shape[0] > 0:
            error = mean_error(passing, seat, D, counts[t])
            if team.rank == 0:
                errors[t] = error
        for k in range(y_hat.shape[0]):
            load_sample(passing.layers, net, team, D.X, row_of(passing.rowed, D, np.uint64(k), t))
            each_layer(passing.layers, FORWARDS, forward, (net, team))
            for j in range(team.rank, l, team.size):
                y_hat[k, j, t] = net.b[first_output + j]
            barrier(team)

    return kernel(visit, f"visit_{'_'.join(map(str, kind.sizes))}", launch_for(1, kind.threads).threads)


def predict(
    sizes: Sequence[int],
    activations: Sequence[str],
    parameters: np.ndarray,
    X: np.ndarray,
    own: bool,
    y_hat: np.ndarray,
) -> None:
    """Outputs of networks with these parameters for samples X, [shape: (m, d)], or (networks · m, d) where each has its
    own. Writes y_hat, [shape: (networks, m, l)]."""
    (count, m, l), dtype, n = y_hat.shape, parameters.dtype, parameters.shape[1]
    kind = kind_to_visit(tuple(sizes), tuple(activations), dtype, own)
    there, nothing = to_device(X), empty((0,), dtype)
    ones = by_column(np.ones((1, 1), dtype), kind.threads)
    most = at_once((m * (l + 1) + n) * 8)
    for first in range(0, count, most):
        part = np.arange(first, min(first + most, count))
        table = Table(n, len(part), dtype, kind.threads)
        table.write_rows(0, parameters[part])
        numbers = np.arange(m)[:, None] + m * part if own else np.zeros((1, 1))
        row, outputs = by_column(numbers.astype(np.uint64), kind.threads), empty((m, l, len(part)), dtype)
        D = Data(there, there, ones, row, m)
        run(visit_kernel(kind), launch_for(len(part), kind.threads), table.T, D, nothing, nothing, outputs)
        y_hat[part] = outputs.copy_to_host().transpose(2, 0, 1)
