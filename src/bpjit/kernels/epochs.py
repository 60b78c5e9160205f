"""Many epochs in one call: the order of each epoch, its updates, its validation, the network to keep.

``train_block`` goes on from wherever ``Memory`` stands, also inside an epoch, and stops after a given number of
samples, so that Python gets its turn. Sums keep their order at every border: the bits of a result do not depend on
how a training is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..maths.formulas import like
from .jit import by_type, formula, inline, kernel, smaller
from .orders import epoch_order
from .simd.across import lane_sum
from .simd.memory import item, vectors
from .state import BEST, BEST_EPOCH, CARRY, EPOCH, ERROR, POSITION, TOTAL, VISITED, Memory, Order, Task
from .team import CLOSED, LEADER

load_four, _, lift_four = vectors(4)


@formula
def mean_error(scalars: np.ndarray, m: int) -> Any:
    """The mean of the errors collected; starts the sum anew."""
    error = scalars[TOTAL] / like(scalars[0], m)
    scalars[TOTAL] = scalars[CARRY] = like(error, 0)
    return error


@formula
def copy(place: np.ndarray, flat: np.ndarray, packed: np.ndarray, to_packed: bool) -> None:
    """Copy parameters, or what is laid out like them, to their places in the kernel's order or back, bit for bit."""
    for i in range(len(place)):
        if to_packed:
            packed[place[i]] = flat[i]
        else:
            flat[i] = packed[place[i]]


@formula
def exchange(
    place: np.ndarray,
    p: np.ndarray,
    slots: np.ndarray,
    gradient: np.ndarray,
    P: np.ndarray,
    S: np.ndarray,
    G: np.ndarray,
    to_packed: bool,
) -> None:
    """Copy the whole state in or out."""
    copy(place, p, P, to_packed)
    if len(G) > 0:
        copy(place, gradient, G, to_packed)
    for slot in range(len(S)):
        copy(place, slots[slot], S[slot], to_packed)


def all_finite(p: np.ndarray) -> bool:
    """Whether no parameter is NaN or infinite. ``p`` is contiguous."""
    total = like(p[0], 0)
    for w in p:
        total += w * like(w, 0)
    return total == like(total, 0)


def _all_finite_in_fours(p: np.ndarray) -> bool:
    """The same in vectors no longer than those that kernels write: the processor hands on what has just been written
    only to loads that lie within one store, and a plain loop becomes gathers. An epoch of XOR's four samples would
    wait."""
    total, whole = like(p[0], 0), len(p) // 4 * 4
    fours = lift_four(total)
    for i in range(0, whole, 4):
        fours += load_four(p, i) * lift_four(total)
    for i in range(whole, len(p)):
        total += item(p, i) * like(total, 0)
    total += lane_sum(fours)
    return total == like(total, 0)


by_type(all_finite, lambda p: _all_finite_in_fours)


@inline
def end_of_epoch(task: Task, memory: Memory, P: np.ndarray, place: np.ndarray, validated: bool) -> Any:
    """Close an epoch that is complete, keeping the network of the smallest validation error. Writes memory, returns
    the validation error or NaN."""
    counters, scalars = memory.counters, memory.scalars
    validation_error = like(scalars[0], np.nan)
    if validated:
        validation_error = mean_error(scalars, len(task.V.X))
        if validation_error < scalars[BEST]:
            scalars[BEST], counters[BEST_EPOCH] = validation_error, counters[EPOCH] + 1
            copy(place, memory.best, P, False)
    counters[EPOCH] += 1
    counters[POSITION] = 0
    return validation_error


@inline
def put_in_order(task: Task, order: Order, counters: np.ndarray) -> None:
    """The order of the epoch under way, unless all of it is done. Writes order."""
    if task.shuffle and order.ordered[0] != counters[EPOCH] and counters[POSITION] < len(task.D.X):
        order.ordered[0] = counters[EPOCH]
        epoch_order(task.order_key, counters[EPOCH], task.D.numbers, order.keys, order.ends, order.places)


class Stretch(NamedTuple):
    """What a kernel is to do at once."""

    first: int  # of the positions of an epoch
    last: int  # beyond them
    learn: bool  # else these are of the validation set
    helper: tuple[int, int]  # what ``join`` gave; ``LEADER`` and anything for who helps nobody


@formula
def nothing(steps: Any, work: Any) -> None:
    """A work space that is complete as it is."""


@formula
def join_nobody(work: Any) -> tuple[int, int]:
    """One thread trains alone."""
    return LEADER, CLOSED


@formula
def anywhere(steps: Any, position: int, until: int, m: int) -> int:
    """A call may end after any sample."""
    return until


def make_train_block(
    name: str,
    prepare: Callable[..., Any],
    border: Callable[..., Any],
    advance: Callable[..., Any],
    finish: Callable[..., Any] = nothing,
    join: Callable[..., Any] = join_nobody,
) -> Callable[..., Any]:
    """The driver for one kind of kernel: ``prepare`` completes the work space, ``border`` says at which sample a call
    may end, ``advance`` trains, or adds up validation errors, ``finish`` ends it. ``join`` is for a thread that is to
    help another with the same work space: it returns what ``team.join`` does, or ``LEADER`` where there is nothing to
    help with.

    Its work space, a tuple, begins with ``place, P, S, G``: where each parameter stands there, the parameters, the
    state of the rule and the gradient. These are copied there at the start of a call, and back at its end.
    """

    def train_block(
        task: Task, steps: Any, memory: Memory, work: Any, order: Order, etas: Any, budget: int, errors: np.ndarray
    ) -> bool:
        """Train until ``len(etas)`` epochs more are complete, or about ``budget`` samples have been visited.

        Without ``steps`` it is standard BP, where gradient and update are one; the compiler drops the other branch.

        Writes memory, and the errors of each epoch that it completes, and of its validation, [shape: (2, len(etas))].
        Returns False if the error or a parameter is no longer finite; the epoch at fault then does not count.
        Without epochs, and with a budget, it helps another thread that trains with the same work space, and returns
        False if that has not begun yet.
        """
        counters, scalars = memory.counters, memory.scalars
        m, end = len(task.D.X), len(task.D.X) + len(task.V.X)
        finite, t, helper, eta = True, 0, (LEADER, CLOSED), like(scalars[0], 0)
        helps = len(etas) == 0 and budget > 0
        if helps:
            helper = join(work)
            if helper[0] <= LEADER:
                return helper[0] == LEADER
        else:
            exchange(work.place, memory.p, memory.slots, memory.gradient, work.P, work.S, work.G, True)
            prepare(steps, work)
        while finite and budget > 0 and (helps or t < len(etas)):
            position, validated = 0, False
            if not helps:
                eta, position = etas[t], counters[POSITION]
                validated = end > m and (counters[EPOCH] + 1) % task.every == 0
                put_in_order(task, order, counters)
            while finite and (helps or position < (end if validated else m)) and budget > 0:
                first = 0 if position < m or helps else m  # then the validation set follows
                until = smaller(end if first else m, position + budget)
                if first == 0 and not helps:
                    until = border(steps, position, until, m)
                # One call for the leader and for those that help, so that its code is there once.
                advance(
                    task, steps, memory, work, order, Stretch(position - first, until - first, first == 0, helper), eta
                )
                if helps:
                    return True
                budget -= until - position
                counters[VISITED] += until - position
                counters[POSITION] = position = until
                if position == m:
                    scalars[ERROR] = mean_error(scalars, m)
                    finite = np.isfinite(scalars[ERROR]) and all_finite(work.P)
            if finite and position == (end if validated else m):
                errors[0, t] = scalars[ERROR]
                errors[1, t] = end_of_epoch(task, memory, work.P, work.place, validated)
                t += 1
        finish(steps, work)
        exchange(work.place, memory.p, memory.slots, memory.gradient, work.P, work.S, work.G, False)
        return finite

    return kernel(train_block, f"train_block_{name}")
