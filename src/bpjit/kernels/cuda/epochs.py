"""What comes before and after an epoch of many networks on the GPU: adaptive rates, validation, and the end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...maths import formulas
from ...maths.formulas import like, select
from ..jit import formula
from ..plane_numbers import (
    BEST,
    BEST_AT,
    BEST_UNTIL,
    DIVERGED,
    EARLY_STOPPING,
    GENERALIZATION_LOSS,
    GROW,
    LEAST,
    LEAST_AT,
    LEAST_UNTIL,
    NO_IMPROVEMENT,
    OBJECTIVE,
    PATIENCE,
    PRESENT,
    PROGRESS,
    RATE,
    SHARED1,
    SHARED2,
    SHRINK,
    STRIP_CARRY,
    STRIP_LEAST,
    STRIP_SUM,
    TARGET,
    TARGET_ERROR,
    TOLERANCE,
    VALIDATING,
    WINDOW_PATIENCE,
    WINDOW_TOLERANCE,
)
from ..sums import kahan
from .calls import Recorded, Stretch
from .columns import UPDATE_PLANES, Kind, Seat, copy_out, copy_rows, plane_of, set_plane, slots_at
from .door import for_any
from .lines import RuleOnDevice, barrier, look_ahead, objective, sum_of_squares, vanishing
from .samples import Data, Passing, mean_error


class Call(NamedTuple):
    """What a call is told beside the data, the same for all networks."""

    stretch: Stretch
    etas: Any  # η, [shape: (epochs, networks)], or with one row or column where all are the same
    size: int  # samples in a batch
    block: int  # and in each block of it, see ``plane_numbers.BLOCK``
    every: int  # epochs from one validation to the next
    limits: Any  # as in ``plane_numbers.Watch``


@formula
def remember(seat: Seat) -> None:
    """Keep the network from before this epoch. Writes its column."""
    places = seat.places
    copy_out(seat, seat.net.p, places.undo, places.n)
    copy_rows(seat, places.slots, places.undo_slots, places.gradient - places.slots)
    copy_rows(seat, places.planes + SHARED1, places.undo_shared, UPDATE_PLANES)
    barrier(seat.team)


@formula
def adapt(seat: Seat, now: Any) -> None:
    """Exercise 5.6, as ``Session._adapt``: take back the epoch where the objective rose too far, and change the rate.

    ``now`` is the objective of the network as it stands. Writes p and the column."""
    team, p, T, t, places = seat.team, seat.net.p, seat.T, seat.t, seat.places
    least, rate = plane_of(seat, OBJECTIVE), plane_of(seat, RATE)
    risen, better = formulas.rose_too_far(now, least, plane_of(seat, TOLERANCE)), now < least
    if risen:
        rate *= plane_of(seat, SHRINK)
    elif better:
        rate *= plane_of(seat, GROW)
    barrier(team)
    for i in range(team.rank, places.n, team.size):
        if risen:
            p[i] = T[places.undo + i, t]
        elif better:  # in two loops ptxas would spill more
            T[places.least + i, t] = p[i]
    if risen:
        copy_rows(seat, places.undo_slots, places.slots, places.gradient - places.slots)
        copy_rows(seat, places.undo_shared, places.planes + SHARED1, UPDATE_PLANES)
    if team.rank == 0:
        set_plane(seat, RATE, rate)
        if better:
            set_plane(seat, OBJECTIVE, now)
    barrier(team)


@formula
def add_to_strip(seat: Seat, error: Any) -> None:
    """Count an epoch's error among those since the last validation. Writes the column."""
    if seat.team.rank == 0:
        total, carry = kahan(plane_of(seat, STRIP_SUM), plane_of(seat, STRIP_CARRY), error)
        set_plane(seat, STRIP_SUM, total)
        set_plane(seat, STRIP_CARRY, carry)
        least = plane_of(seat, STRIP_LEAST)
        set_plane(seat, STRIP_LEAST, select(error < least, error, least))
    barrier(seat.team)


@formula
def keep_best(seat: Seat, call: Call, done: int, validated: Any) -> bool:
    """Keep the network if its validation error is the smallest yet. Writes the column; returns whether to stop."""
    team, limits, zero = seat.team, call.limits, like(validated, 0)
    best, now = plane_of(seat, BEST), like(zero, done)
    place, until = plane_of(seat, BEST_AT), plane_of(seat, BEST_UNTIL)
    mean, least = plane_of(seat, STRIP_SUM) / like(zero, call.every), plane_of(seat, STRIP_LEAST)
    if validated < best:
        best, place, until = validated, now, now + limits[PATIENCE]
        copy_out(seat, seat.net.p, seat.places.best, seat.places.n)
    loss_now, progress = formulas.generalization_loss(validated, best), formulas.training_progress(mean, least)
    barrier(team)
    if team.rank == 0:
        set_plane(seat, BEST, best)
        set_plane(seat, BEST_AT, place)
        set_plane(seat, BEST_UNTIL, until)
        set_plane(seat, STRIP_SUM, zero)
        set_plane(seat, STRIP_CARRY, zero)
        set_plane(seat, STRIP_LEAST, like(zero, np.inf))
    barrier(team)
    return now >= until or loss_now > limits[GENERALIZATION_LOSS] or progress < limits[PROGRESS]


@formula
def still(seat: Seat, epoch: int, window: int, tolerance: Any, error: Any) -> bool:
    """Whether the smallest error has not fallen for ``window`` epochs. Writes the column."""
    team, T, t = seat.team, seat.T, seat.t
    least, place = plane_of(seat, LEAST), seat.places.ring + epoch % window
    least = select(error < least, error, least)
    then = T[place, t]
    barrier(team)
    if team.rank == 0:
        T[place, t] = least
        set_plane(seat, LEAST, least)
    barrier(team)
    return epoch >= window and then - least <= tolerance


@formula
def stalled(seat: Seat, done: int, patience: Any, error: Any) -> bool:
    """Whether ``patience`` epochs brought no new smallest error. Writes the column."""
    team, now = seat.team, like(error, done)
    least, place, until = plane_of(seat, LEAST), plane_of(seat, LEAST_AT), plane_of(seat, LEAST_UNTIL)
    if error < least:
        least, place, until = error, now, now + patience
    barrier(team)
    if team.rank == 0:
        set_plane(seat, LEAST, least)
        set_plane(seat, LEAST_AT, place)
        set_plane(seat, LEAST_UNTIL, until)
    barrier(team)
    return now >= until


@formula
def all_finite(seat: Seat) -> bool:
    """Whether no parameter is NaN or infinite, in each thread."""
    total = vanishing(seat.net.p, seat.team.rank, seat.places.n, seat.team.size)
    broken = total != like(total, 0)
    if seat.team.size > 1:
        return not for_any(broken)
    return not broken


@formula
def objective_at(seat: Seat, rule: RuleOnDevice, error: Any) -> Any:
    """The book's objective of a network, where E is ``error``, in each thread."""
    if rule.penalty:
        return objective(rule, error, sum_of_squares(seat.net.p, 0, seat.places.n, 1))
    return error


def adapting(kind: Kind, on_D: Passing) -> Any:
    """What networks of this kind do with a rate that adapts, after an epoch."""
    sharing, looks_ahead, adaptive = kind.shares > 0, kind.looks_ahead, kind.adaptive

    @formula
    def adapt_rate(seat: Seat, rule: RuleOnDevice, D: Data, first: Any, second: Any) -> Any:
        """Writes p and the column; returns what all parameters share, which may have been taken back."""
        if adaptive:
            if sharing and seat.team.rank == 0:
                set_plane(seat, SHARED1, first)
                set_plane(seat, SHARED2, second)
            barrier(seat.team)
            adapt(seat, objective_at(seat, rule, mean_error(on_D, seat, D, plane_of(seat, PRESENT))))
            if sharing:
                first, second = plane_of(seat, SHARED1), plane_of(seat, SHARED2)
            if looks_ahead:
                look_ahead(rule, seat.net, seat.team, slots_at(seat))
        return first, second

    return adapt_rate


def ending(kind: Kind, on_D: Passing, on_V: Passing) -> Any:
    """What networks of this kind do at the end of an epoch, their rate adapted."""
    validates, stalls, windowed, window = kind.validated, kind.stalls, kind.window > 0, max(1, kind.window)

    @formula
    def after_epoch(
        seat: Seat, D: Data, V: Data, call: Call, e: int, error: Any, reasons: int, recorded: Recorded
    ) -> int:
        """Validate, and return the sum of the reasons to stop, 0 without any. It was epoch e of this call, with this
        mean ``error``; some ``reasons`` are known. Writes the column and recorded."""
        flags, finite, epoch = reasons, reasons != DIVERGED, call.stretch.epoch + e
        if validates:
            add_to_strip(seat, error)
            if (epoch + 1) % call.every == 0:
                validated = mean_error(on_V, seat, V, plane_of(seat, VALIDATING))
                if e < recorded.validation_errors.shape[0] and seat.team.rank == 0:
                    recorded.validation_errors[e, seat.t] = validated
                if finite and keep_best(seat, call, e + 1, validated):
                    flags += EARLY_STOPPING
        target = plane_of(seat, TARGET)
        if finite and error <= target and mean_error(on_D, seat, D, plane_of(seat, PRESENT)) <= target:
            flags += TARGET_ERROR
        if stalls and stalled(seat, e + 1, call.limits[WINDOW_PATIENCE], error):
            flags += NO_IMPROVEMENT
        if windowed and still(seat, epoch, window, call.limits[WINDOW_TOLERANCE], error):
            flags += NO_IMPROVEMENT
        return flags if finite else DIVERGED

    return after_epoch
