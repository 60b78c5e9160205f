"""Many networks of one shape on the GPU, each trained by a team: a thread where it is tiny, else a block.

One launch takes all networks through a block of epochs, each with its own settings, share of the data and end. What
belongs to a network is a column of one table ``T``; ``Places`` says what stands where, and the last rows are the planes
of ``plane_numbers``, with the same meaning. Threads hold a column each, so neighbours read neighbouring numbers; for
blocks the table is laid out the other way round. What happens to a sample stands in ``cuda.lines``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths import formulas, random_streams
from ...maths.formulas import like, select
from ...settings.rules import RULES
from ..jit import formula
from ..layout import number_of_parameters
from ..orders import LOW_BITS
from ..plane_numbers import (
    ALIVE,
    BEST,
    BEST_AT,
    BEST_UNTIL,
    BLOCKS,
    CARRY,
    DIVERGED,
    EARLY_STOPPING,
    ENDED,
    GENERALIZATION_LOSS,
    GROW,
    IN_BLOCK,
    LAM,
    LAST_OBJECTIVE,
    LEAST,
    LEAST_AT,
    LEAST_UNTIL,
    LEFT,
    MAX_EPOCHS,
    NO_IMPROVEMENT,
    OBJECTIVE,
    PATIENCE,
    PLANES,
    PRESENT,
    PROGRESS,
    RATE,
    REASON,
    REST,
    SHARED1,
    SHARED2,
    SHRINK,
    STRIP_CARRY,
    STRIP_LEAST,
    STRIP_SUM,
    TARGET,
    TARGET_ERROR,
    TOLERANCE,
    TOTAL,
    VALIDATING,
    WINDOW_PATIENCE,
    WINDOW_TOLERANCE,
)
from ..sums import kahan as add_error
from .door import BESIDE, FORWARDS, SIMULATED, Launch, cuda, each_layer, empty, for_any, kernel, run, to_device
from .lines import (
    Net,
    Steps,
    Team,
    barrier,
    forward,
    lay_out,
    learn,
    look_ahead,
    output_terms,
    prepared,
    sum_of_squares,
    take,
    update_by_rule,
)
from .table import Table, at_once, by_column

UNROLLED = 128  # parameters up to which a thread holds a network: beyond, a block does
MOST_IN_TEAM = 8 if SIMULATED else 512  # threads in a block
SHARED_BYTES = 40 << 10  # of a block's shared memory, for parameters and gradient


class Kind(NamedTuple):
    """What is compiled in."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: int
    dtype: str
    rule: str | None  # None for standard BP: gradient and update are one
    penalty: bool
    masked: bool
    adaptive: bool
    blocks: bool  # whether a batch has several
    stalls: bool
    window: int
    validated: bool
    weighted: tuple[bool, bool]  # whether samples have weights: in D, in V
    rowed: tuple[bool, bool]  # whether each network has rows of its own
    own: bool  # an order for each network
    threads: int  # in a team


class Places(NamedTuple):
    """Where in T each part begins."""

    final: int
    best: int
    slots: int
    gradient: int
    sums: int
    undo: int
    ring: int
    ahead: int
    planes: int
    rows: int


def team_size(sizes: tuple[int, ...]) -> int:
    """Threads for a network: a matter of its architecture alone, or bits would change."""
    n = number_of_parameters(sizes)
    if n <= UNROLLED:
        return 1
    return min(MOST_IN_TEAM, max(32, 1 << (n // 16).bit_length()))


def kind_to_visit(sizes: tuple[int, ...], activations: tuple[str, ...], dtype: Any, own: bool) -> Kind:
    """To predict only; with rows of each network's own, or not."""
    no, rows = (False, False), (own, own)
    return Kind(
        sizes=sizes,
        activations=activations,
        loss=0,
        dtype=str(dtype),
        rule=None,
        penalty=False,
        masked=False,
        adaptive=False,
        blocks=False,
        stalls=False,
        window=0,
        validated=False,
        weighted=no,
        rowed=rows,
        own=False,
        threads=team_size(sizes),
    )


def launch_for(count: int, threads: int) -> Launch:
    """Blocks and threads for so many networks."""
    return Launch(-(-count // BESIDE), BESIDE) if threads == 1 else Launch(count, threads)


def places_of(kind: Kind) -> Places:
    """What a column of T holds."""
    n, slots = number_of_parameters(kind.sizes), 0 if kind.rule is None else RULES[kind.rule].slots
    sizes = (
        n,
        n,
        n if kind.validated else 0,
        slots * n,
        0 if kind.rule is None else n,
        2 * n if kind.blocks else 0,
        (2 + slots) * n + 3 if kind.adaptive else 0,
        kind.window,
        n if kind.rule is not None and RULES[kind.rule].ahead is not None else 0,
        PLANES,
    )
    return Places(*(int(end) for end in np.cumsum(sizes)))


def fits_into_shared(numbers: int, dtype: Any) -> bool:
    """Whether a block keeps so many numbers in its shared memory."""
    return numbers * np.dtype(dtype).itemsize <= SHARED_BYTES


class Data(NamedTuple):
    """Samples as the kernel sees them; arrays that are not there have one entry."""

    X: Any
    Y: Any
    c: Any  # weights, [shape: (m, networks)]
    row: Any  # rows of X and Y, as all numbers of samples unsigned: indices that may be negative cost more


@formula
def weight_of(weighted: bool, D: Data, k: int, t: int, like_this: Any) -> Any:
    return D.c[k, t] if weighted else like(like_this, 1)


@formula
def row_of(rowed: bool, D: Data, k: int, t: int) -> int:
    return D.row[k, t] if rowed else k


@formula
def mean_error(
    layers: Any, loss: int, net: Net, team: Team, D: Data, weighted: bool, rowed: bool, m: int, t: int, count: Any
) -> Any:
    """E of a network on a set with ``count`` samples that are present. Writes z, b, slope, g."""
    total, carry = like(count, 0), like(count, 0)
    for number in range(m):
        k = np.uint64(number)
        c = weight_of(weighted, D, k, t, count)
        if c > like(count, 0):
            row = row_of(rowed, D, k, t)
            take(layers, net, team, D.X, row)
            each_layer(layers, FORWARDS, forward, (net, team))
            total, carry = add_error(total, carry, output_terms(layers[-1], loss, net, team, D.Y, row, c))
            barrier(team)
    return total / count


@formula
def own_order(keys: Any, table: Any, numbers: Any, epoch: int, m: int, t: int, team: Team) -> None:
    """The order of an epoch, as ``epoch_order`` makes it, in the low bits of a column. Writes table.

    Batcher's odd-even merge sort: what it compares does not depend on what it finds, so all go the same way.
    """
    here = random_streams.stream(keys[t], np.uint64(epoch))
    barrier(team)
    for k in range(team.rank, m, team.size):
        table[k, t] = (random_streams.draw(here, numbers[k]) & ~LOW_BITS) | np.uint64(k)
    barrier(team)
    half = 1
    while half < m:
        distance = half
        while distance > 0:
            first = distance % half
            for k in range(first + team.rank, m - distance, team.size):
                paired = (k - first) // distance % 2 == 0 and k // (2 * half) == (k + distance) // (2 * half)
                if paired and table[k, t] > table[k + distance, t]:
                    low, high = table[k + distance, t], table[k, t]
                    table[k, t], table[k + distance, t] = low, high
            barrier(team)
            distance //= 2
        half *= 2


@formula
def remember(net: Net, team: Team, T: Any, t: int, at: Places, n: int, slots: int) -> None:
    """Keep the network from before this epoch. Writes T."""
    for i in range(team.rank, n, team.size):
        T[at.undo + i, t] = net.p[i]
    for i in range(team.rank, slots * n, team.size):
        T[at.undo + n + i, t] = T[at.slots + i, t]
    for i in range(team.rank, 3, team.size):
        T[at.undo + n + slots * n + i, t] = T[at.planes + SHARED1 + i, t]
    barrier(team)


@formula
def adapt(net: Net, team: Team, T: Any, t: int, at: Places, n: int, slots: int, now: Any) -> None:
    """Exercise 5.6, as ``Session._adapt``: take back the epoch where the objective rose too far, and change the rate.

    ``now`` is the objective of the network as it stands. Writes p and T."""
    planes = at.planes
    least, rate = T[planes + OBJECTIVE, t], T[planes + RATE, t]
    risen, better = formulas.rose_too_far(now, least, T[planes + TOLERANCE, t]), now < least
    if risen:
        rate *= T[planes + SHRINK, t]
    elif better:
        rate *= T[planes + GROW, t]
    barrier(team)
    for i in range(team.rank, n, team.size):
        if risen:
            net.p[i] = T[at.undo + i, t]
        elif better:  # in two loops ptxas would spill more
            T[at.undo + (1 + slots) * n + 3 + i, t] = net.p[i]
    if risen:
        for i in range(team.rank, slots * n, team.size):
            T[at.slots + i, t] = T[at.undo + n + i, t]
        for i in range(team.rank, 3, team.size):
            T[planes + SHARED1 + i, t] = T[at.undo + n + slots * n + i, t]
    if team.rank == 0:
        T[planes + RATE, t] = rate
        if better:
            T[planes + OBJECTIVE, t] = now
    barrier(team)


@formula
def keep_best(
    net: Net, team: Team, T: Any, t: int, at: Places, n: int, limits: Any, every: int, done: int, validated: Any
) -> bool:
    """Keep the network if its validation error is the smallest yet. Writes T; returns whether to stop early."""
    planes, zero = at.planes, like(validated, 0)
    best, now = T[planes + BEST, t], like(zero, done)
    place, until = T[planes + BEST_AT, t], T[planes + BEST_UNTIL, t]
    mean, least = T[planes + STRIP_SUM, t] / like(zero, every), T[planes + STRIP_LEAST, t]
    if validated < best:
        best, place, until = validated, now, now + limits[PATIENCE]
        for i in range(team.rank, n, team.size):
            T[at.best + i, t] = net.p[i]
    loss_now, progress = formulas.generalization_loss(validated, best), formulas.training_progress(mean, least)
    barrier(team)
    if team.rank == 0:
        T[planes + BEST, t], T[planes + BEST_AT, t], T[planes + BEST_UNTIL, t] = best, place, until
        T[planes + STRIP_SUM, t], T[planes + STRIP_CARRY, t] = zero, zero
        T[planes + STRIP_LEAST, t] = like(zero, np.inf)
    barrier(team)
    return now >= until or loss_now > limits[GENERALIZATION_LOSS] or progress < limits[PROGRESS]


@formula
def still(team: Team, T: Any, t: int, at: Places, epoch: int, window: int, tolerance: Any, error: Any) -> bool:
    """Whether the smallest error has not fallen for ``window`` epochs. Writes T."""
    least, place = T[at.planes + LEAST, t], at.ring + epoch % window
    least = select(error < least, error, least)
    then = T[place, t]
    barrier(team)
    if team.rank == 0:
        T[place, t] = T[at.planes + LEAST, t] = least
    barrier(team)
    return epoch >= window and then - least <= tolerance


@formula
def stalled(team: Team, T: Any, t: int, at: Places, done: int, patience: Any, error: Any) -> bool:
    """Whether ``patience`` epochs brought no new smallest error. Writes T."""
    planes, now = at.planes, like(error, done)
    least, place, until = T[planes + LEAST, t], T[planes + LEAST_AT, t], T[planes + LEAST_UNTIL, t]
    if error < least:
        least, place, until = error, now, now + patience
    barrier(team)
    if team.rank == 0:
        T[planes + LEAST, t], T[planes + LEAST_AT, t], T[planes + LEAST_UNTIL, t] = least, place, until
    barrier(team)
    return now >= until


@formula
def end_block(net: Net, team: Team, T: Any, t: int, at: Places, n: int) -> None:
    """Add the gradients of a block to those of the blocks before. Writes G, T."""
    for i in range(team.rank, n, team.size):
        total, carry = add_error(T[at.sums + i, t], T[at.sums + n + i, t], net.G[i])
        T[at.sums + i, t], T[at.sums + n + i, t] = total, carry
        net.G[i] = like(total, 0)
    barrier(team)


@formula
def with_blocks_before(net: Net, team: Team, T: Any, t: int, at: Places, n: int) -> None:
    """Add the gradients of the blocks before to those of a batch's last. Writes G, T."""
    for i in range(team.rank, n, team.size):
        zero = like(net.G[i], 0)
        net.G[i] = T[at.sums + i, t] + (net.G[i] - T[at.sums + n + i, t])
        T[at.sums + i, t], T[at.sums + n + i, t] = zero, zero
    barrier(team)


@formula
def all_finite(net: Net, team: Team, n: int) -> bool:
    """Whether no parameter is NaN or infinite, in each thread."""
    total = like(net.p[0], 0)
    for i in range(team.rank, n, team.size):
        total += net.p[i] * like(total, 0)
    broken = total != like(total, 0)
    if team.size > 1:
        return not for_any(broken)
    return not broken


@formula
def objective(steps: Steps, net: Net, n: int, error: Any) -> Any:
    """The book's objective, where E is ``error``, in each thread."""
    if steps.penalty:
        return formulas.regularised_objective(error, sum_of_squares(net.p, n), steps.lam, steps.rest)
    return error


@formula
def copy_out(team: Team, T: Any, t: int, first: int, numbers: Any, n: int) -> None:
    """Write a network's numbers into T."""
    for i in range(team.rank, n, team.size):
        T[first + i, t] = numbers[i]


@formula
def copy_in(team: Team, T: Any, t: int, first: int, numbers: Any, n: int) -> None:
    """Read a network's numbers from T."""
    for i in range(team.rank, n, team.size):
        numbers[i] = T[first + i, t]


@functools.cache
def train_kernel(kind: Kind) -> Any:
    """The kernel that trains networks of this kind."""
    layers = lay_out(kind.sizes, kind.activations, kind.threads)
    at, n, units, threads = places_of(kind), number_of_parameters(kind.sizes), sum(kind.sizes), kind.threads
    loss, dtype, standard = kind.loss, np.dtype(kind.dtype).type, kind.rule is None
    rule = RULES[kind.rule or "sgd"]
    code, slots, looks_ahead = rule.code, 0 if standard else rule.slots, rule.ahead is not None
    penalty, masked, adaptive, validates, own = kind.penalty, kind.masked, kind.adaptive, kind.validated, kind.own
    stalls, windowed, window, compares = kind.stalls, kind.window > 0, max(1, kind.window), rule.compares
    sharing, counted = rule.shares > 0, not standard and (kind.blocks or not rule.accumulated_only)
    several = kind.blocks
    weighted, V_weighted = kind.weighted
    rowed, V_rowed = kind.rowed
    apart, collected = n if looks_ahead else 1, 1 if standard else n
    in_shared = fits_into_shared(n + apart + collected, dtype)
    planes = at.planes

    def train(
        T: Any,
        mask: Any,
        X: Any,
        Y: Any,
        c: Any,
        row: Any,
        VX: Any,
        VY: Any,
        Vc: Any,
        V_row: Any,
        shared: Any,
        keys: Any,
        table: Any,
        numbers: Any,
        etas: Any,
        limits: Any,
        errors: Any,
        validation_errors: Any,
        sizes: Any,
        epochs: Any,
        stretch: Any,
    ) -> None:
        if threads == 1:
            t, team = cuda.grid(1), Team(0, 1)
            p, G = cuda.local.array(n, dtype), cuda.local.array(collected, dtype)
            z, b = cuda.local.array(units, dtype), cuda.local.array(units, dtype)
            slope, g = cuda.local.array(units, dtype), cuda.local.array(units, dtype)
            scratch, ahead = cuda.local.array(1, dtype), cuda.local.array(apart, dtype)
        else:
            t, team = cuda.blockIdx.x, Team(cuda.threadIdx.x, threads)
            z = cuda.shared.array(units, dtype)  # the simulator tells them apart by their lines
            b = cuda.shared.array(units, dtype)
            slope = cuda.shared.array(units, dtype)
            g = cuda.shared.array(units, dtype)
            scratch = cuda.shared.array(threads, dtype)
            if in_shared:
                p = cuda.shared.array(n, dtype)
                G = cuda.shared.array(collected, dtype)
                ahead = cuda.shared.array(apart, dtype)
            else:
                p, G = T[:n, t], T[at.gradient : at.gradient + n, t]
                ahead = T[at.ahead : at.ahead + n, t]
        if t >= T.shape[1] or T[planes + ALIVE, t] <= 0:
            return
        m, m_of_V, every, size, block = sizes
        D, V = Data(X, Y, c, row), Data(VX, VY, Vc, V_row)
        if looks_ahead:
            net = Net(p, ahead, G, z, b, slope, g, scratch)
        else:
            net = Net(p, p, G, z, b, slope, g, scratch)
        as_it_is = Net(p, p, G, z, b, slope, g, scratch)
        lam, rest = T[planes + LAM, t], T[planes + REST, t]
        constants = T[planes : planes + 5, t]
        steps = Steps(standard, code, slots, penalty, masked, mask, constants, lam, rest)
        if threads == 1 or in_shared:
            copy_in(team, T, t, 0, p, n)
            if not standard:
                copy_in(team, T, t, at.gradient, G, n)
        barrier(team)
        if looks_ahead:
            look_ahead(steps, net, team, T, t, at.slots, n)
        zero, one = like(lam, 0), like(lam, 1)
        total, carry, left = T[planes + TOTAL, t], T[planes + CARRY, t], T[planes + LEFT, t]
        in_block, blocks, most = 0, 0, 0
        if counted:
            in_block = int(T[planes + IN_BLOCK, t])
        if several:
            blocks, most = int(T[planes + BLOCKS, t]), (size - 1) // block
        first, second = zero, zero  # what a rule does not need takes no register
        if sharing:
            first, second = T[planes + SHARED1, t], T[planes + SHARED2, t]
        flags, ended = 0, 0
        for e in range(epochs[1]):
            epoch = epochs[0] + e
            begin = stretch[0] if e == 0 else 0
            end = stretch[1] if e == epochs[1] - 1 else m
            if begin == 0 and adaptive:
                remember(net, team, T, t, at, n, slots)
            if own:
                own_order(keys, table, numbers, epoch, m, t, team)
            eta = T[planes + RATE, t] if adaptive else etas[min(e, etas.shape[0] - 1), min(t, etas.shape[1] - 1)]
            for position in range(begin, end):
                k = shared[min(e, shared.shape[0] - 1), position]
                if own:
                    k = table[position, t] & LOW_BITS
                c_k = weight_of(weighted, D, k, t, zero)
                if c_k > zero:
                    here = row_of(rowed, D, k, t)
                    take(layers, net, team, D.X, here)
                    E_k = learn(layers, loss, net, team, standard, D.Y, here, c_k, eta)
                    total, carry = add_error(total, carry, E_k)
                    if counted:
                        in_block += 1
                if not standard:
                    ends = position + 1 == m
                    if counted:
                        ends = ends or in_block + most * block >= size
                        if weighted:
                            ends = ends and in_block + blocks > 0
                    if several and (blocks < most and position + 1 < m):
                        ends = False
                        if in_block == block:
                            end_block(net, team, T, t, at, n)
                            in_block, blocks = 0, blocks + 1
                    if ends:
                        in_batch = T[planes + PRESENT, t]
                        if counted:
                            in_batch = like(zero, in_block)
                        if several:
                            in_batch = like(zero, in_block + blocks * block)
                            with_blocks_before(net, team, T, t, at, n)
                        last, now = zero, zero
                        if compares:
                            last, now = T[planes + LAST_OBJECTIVE, t], objective(steps, net, n, total / in_batch)
                            barrier(team)
                            if team.rank == 0:
                                T[planes + LAST_OBJECTIVE, t] = now
                        first, second = prepared(steps, first, second, last, now)
                        share = one / in_batch
                        update_by_rule(steps, net, team, T, t, at.slots, n, share, eta, (first, second))
                        in_block = blocks = 0
            if end == m:
                present, target = T[planes + PRESENT, t], T[planes + TARGET, t]  # not before: that would take registers
                error = total / present
                total = carry = zero
                left -= one
                finite = error * zero == zero and all_finite(net, team, n)
                if e < errors.shape[0] and team.rank == 0:
                    errors[e, t] = error
                if adaptive:
                    if sharing and team.rank == 0:
                        T[planes + SHARED1, t], T[planes + SHARED2, t] = first, second
                    barrier(team)
                    now = mean_error(layers, loss, as_it_is, team, D, weighted, rowed, m, t, present)
                    adapt(net, team, T, t, at, n, slots, objective(steps, net, n, now))
                    if sharing:
                        first, second = T[planes + SHARED1, t], T[planes + SHARED2, t]
                    if looks_ahead:
                        look_ahead(steps, net, team, T, t, at.slots, n)
                if left <= zero:
                    flags = MAX_EPOCHS
                if validates:
                    if team.rank == 0:
                        strip, rounded = add_error(T[planes + STRIP_SUM, t], T[planes + STRIP_CARRY, t], error)
                        T[planes + STRIP_SUM, t], T[planes + STRIP_CARRY, t] = strip, rounded
                        least = T[planes + STRIP_LEAST, t]
                        T[planes + STRIP_LEAST, t] = select(error < least, error, least)
                    barrier(team)
                    if (epoch + 1) % every == 0:
                        count = T[planes + VALIDATING, t]
                        validated = mean_error(layers, loss, as_it_is, team, V, V_weighted, V_rowed, m_of_V, t, count)
                        if e < validation_errors.shape[0] and team.rank == 0:
                            validation_errors[e, t] = validated
                        if finite and keep_best(net, team, T, t, at, n, limits, every, e + 1, validated):
                            flags += EARLY_STOPPING
                if finite and error <= target:
                    now = mean_error(layers, loss, as_it_is, team, D, weighted, rowed, m, t, present)
                    if now <= target:
                        flags += TARGET_ERROR
                if stalls and stalled(team, T, t, at, e + 1, limits[WINDOW_PATIENCE], error):
                    flags += NO_IMPROVEMENT
                if windowed and still(team, T, t, at, epoch, window, limits[WINDOW_TOLERANCE], error):
                    flags += NO_IMPROVEMENT
                ended = e + 1
                if not finite:
                    flags, ended = DIVERGED, e
                if flags > 0:
                    break
        if threads == 1 or in_shared:
            copy_out(team, T, t, 0, p, n)
            if not standard:
                copy_out(team, T, t, at.gradient, G, n)
        if flags > 0:
            copy_out(team, T, t, at.final, p, n)
        if team.rank == 0:
            T[planes + TOTAL, t], T[planes + CARRY, t] = total, carry
            if counted:
                T[planes + IN_BLOCK, t] = like(zero, in_block)
            if several:
                T[planes + BLOCKS, t] = like(zero, blocks)
            if sharing:
                T[planes + SHARED1, t], T[planes + SHARED2, t] = first, second
            T[planes + ENDED, t] = like(zero, ended)
            if flags > 0:
                T[planes + ALIVE, t], T[planes + REASON, t] = zero, like(zero, flags)

    return kernel(train, f"train_{'_'.join(map(str, kind.sizes))}", launch_for(1, threads).threads)


@functools.cache
def visit_kernel(kind: Kind) -> Any:
    """The kernel that takes samples through networks of this kind, for their errors or their outputs."""
    layers = lay_out(kind.sizes, kind.activations, kind.threads)
    n, units, threads, l = number_of_parameters(kind.sizes), sum(kind.sizes), kind.threads, kind.sizes[-1]
    loss, dtype, first_output = kind.loss, np.dtype(kind.dtype).type, sum(kind.sizes[:-1])
    weighted, rowed, in_shared = kind.weighted[0], kind.rowed[0], fits_into_shared(n, dtype)

    def visit(P: Any, X: Any, Y: Any, c: Any, row: Any, m: int, counts: Any, errors: Any, y_hat: Any) -> None:
        if threads == 1:
            t, team = cuda.grid(1), Team(0, 1)
            p = cuda.local.array(n, dtype)
            z, b = cuda.local.array(units, dtype), cuda.local.array(units, dtype)
            slope, g = cuda.local.array(units, dtype), cuda.local.array(units, dtype)
            scratch = cuda.local.array(1, dtype)
        else:
            t, team = cuda.blockIdx.x, Team(cuda.threadIdx.x, threads)
            z = cuda.shared.array(units, dtype)  # the simulator tells them apart by their lines
            b = cuda.shared.array(units, dtype)
            slope = cuda.shared.array(units, dtype)
            g = cuda.shared.array(units, dtype)
            scratch = cuda.shared.array(threads, dtype)
            if in_shared:
                p = cuda.shared.array(n, dtype)
            else:
                p = P[:n, t]
        if t >= P.shape[1]:
            return
        if threads == 1 or in_shared:
            copy_in(team, P, t, 0, p, n)
        barrier(team)
        net, D = Net(p, p, p, z, b, slope, g, scratch), Data(X, Y, c, row)
        if errors.shape[0] > 0:
            error = mean_error(layers, loss, net, team, D, weighted, rowed, m, t, counts[t])
            if team.rank == 0:
                errors[t] = error
        for k in range(y_hat.shape[0]):
            take(layers, net, team, X, row_of(rowed, D, np.uint64(k), t))
            each_layer(layers, FORWARDS, forward, (net, team))
            for j in range(team.rank, l, team.size):
                y_hat[k, j, t] = b[first_output + j]
            barrier(team)

    return kernel(visit, f"visit_{'_'.join(map(str, kind.sizes))}", launch_for(1, threads).threads)


# --- What Python calls.


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
        table.put(0, parameters[part])
        numbers = np.arange(m)[:, None] + m * part if own else np.zeros((1, 1))
        row, outputs = by_column(numbers.astype(np.uint64), kind.threads), empty((m, l, len(part)), dtype)
        launch = launch_for(len(part), kind.threads)
        run(visit_kernel(kind), launch, table.T, there, there, ones, row, m, nothing, nothing, outputs)
        y_hat[part] = outputs.copy_to_host().transpose(2, 0, 1)
