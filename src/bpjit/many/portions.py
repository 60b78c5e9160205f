"""Portions: groups small enough to be trained at once, and the way from one to its results.

Whoever has many networks cuts their groups into portions, has ``run`` called for each, anywhere and in any order, and
joins the results. A portion, its limits and its results are plain data: they can be pickled, if the events of the
limits can.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import quiet
from ..kernels.lanes import packs
from ..kernels.state import Samples
from ..networks.evaluation import measure
from ..settings.rules import LevenbergMarquardt, SecondOrder
from ..settings.schedules import Constant
from ..settings.stopping import Condition, Limits, MaxEpochs, TargetError
from ..training.fit import Fit
from ..training.loop import Problem, Watched, run_training
from ..training.setting import Setting
from .groups import Data, Group, Results
from .lane_seats import Judges, LaneSeats
from .many_session import ManySession, measure_all
from .second_order_lanes import SecondOrderLanes

if TYPE_CHECKING:
    from .cuda_seats import CudaSeats


def seats_on(target: str) -> type[LaneSeats] | type[CudaSeats]:
    """Where networks sit on the CPU, or on the GPU."""
    if target == "cuda":
        from .cuda_seats import CudaSeats

        return CudaSeats
    return LaneSeats


def lanes_for(group: Group) -> type[SecondOrderLanes] | None:
    """The lanes in which a group trains by a rule of second order; none if its networks or sets are larger than pays
    there, or want to be watched: then each trains alone."""
    if not isinstance(group.rules[0], SecondOrder) or not packs.serves(group.net.sizes):
        return None
    from .damped_lanes import DampedLanes  # here, so that bpjit itself is there sooner
    from .gradient_lanes import GradientLanes

    kind = DampedLanes if isinstance(group.rules[0], LevenbergMarquardt) else GradientLanes
    if group.kept is not None:  # they go on where they were
        return kind if "numbers" in group.kept else None
    watched = group.history or group.early is not None or group.window is not None
    return kind if kind.serves(group) and not watched else None


def portions_of(group: Group, target: str, threads: int) -> list[Group]:
    """A group in portions for so many threads. Networks too large for lanes are a portion each."""
    seats = seats_on(target)
    if (lanes := lanes_for(group)) is not None:
        parts = lanes.portions(group, threads)
    else:
        parts = seats.portions(group, threads) if seats.serves(group) else [slice(i, i + 1) for i in range(len(group))]
    return [group.part(part) for part in parts]


@quiet
def run(portion: Group, target: str, limits: Limits, report: Callable[[int], None] = lambda stopped: None) -> Results:
    """Train the networks of a portion to their end; ``report`` hears how many have stopped. Those of one that need not
    begin are as they were, stopped by nothing."""
    if limits.pausing and limits.reached() is not None:
        return Results.before(portion)
    seats = seats_on(target)
    if seats.serves(portion):
        return ManySession(seats(portion)).run(limits, report)
    if (lanes := lanes_for(portion)) is not None:
        results = lanes(portion).run(limits, report)
        measure_all(Judges(portion), results)
        return results
    return train_alone(portion, limits, report)


def compile_for(portion: Group, target: str, few_too: bool = False) -> float:
    """Make sure the machine code for a portion is there; returns the seconds it took. That for the few that may be left
    of many is compiled where they train for long, or here, if it is to be there ``too``."""
    started, seats = time.perf_counter(), seats_on(target)
    if seats.serves(portion):
        most, kind = packs.width(portion.net.dtype, packs.NARROW), seats.kind_of(portion)
        if (kind, len(portion) <= most) not in _compiled:
            ManySession(seats(portion), np.arange(min(len(portion), most + 1))).compile()
            _compiled.add((kind, len(portion) <= most))
        if few_too and (kind, True) not in _compiled:
            ManySession(LaneSeats(portion, narrow=True), np.arange(1)).compile()
            _compiled.add((kind, True))
    elif (lanes := lanes_for(portion)) is not None:
        few = len(portion) <= packs.width(portion.net.dtype, packs.NARROW)
        if (kind := (lanes.kind_of(portion), few)) not in _compiled:
            lanes(portion).compile()
            measure_all(Judges(portion), Results.before(portion))
            _compiled.add(kind)
    return time.perf_counter() - started


_compiled: set[Any] = set()  # kinds of portions, and whether of few networks


# --- Networks too large for lanes.


def train_alone(portion: Group, limits: Limits, report: Callable[[int], None], callback: Any = None) -> Results:
    """Train the only network of a portion, with a callback as ``train`` has it."""
    results, D, V = Results.before(portion), samples_of(portion, portion.D), samples_of(portion, portion.V)
    reason, histories = limits.reached(), [np.empty(0)] * 2
    earlier: Fit | None = None if portion.kept is None else portion.kept["fit"][0]
    if earlier is not None:
        histories = [earlier.errors, earlier.validation_errors]
    if reason is None:
        fit = _train_one(portion, D, V, limits, callback, earlier)
        results.parameters[0], results.errors[0] = fit.network.parameters, fit.error
        results.epochs[0], results.updates[0], results.best_epochs[0] = fit.epochs, fit.updates, fit.best_epoch or 0
        results.stopped_by[0], histories = fit.stopped_by, [fit.errors, fit.validation_errors]
    else:
        results.stopped_by[0] = reason
        results.errors[0] = measure(portion.net, results.parameters[0], D, portion.loss)
    if reason is None and fit.evidence is not None:
        results.evidence = np.array([fit.evidence])
    if portion.keeps:
        results.kept = kept_alone(earlier if reason is not None else replace(fit, _origin=None))
    if portion.history:
        results.history, results.validation_history = ([history.astype(np.float64)] for history in histories)
    if portion.V.m > 0:
        results.validation_errors[0] = measure(portion.net, results.parameters[0], V, portion.loss)
    if reason is None:
        report(1)
    return results


def kept_alone(fit: Fit | None) -> dict[str, np.ndarray]:
    """The state of the only network of a portion; there is none before its first epoch."""
    kept = {"fit": np.empty(1, object), "position": np.zeros(1, np.int64)}
    kept["fit"][0] = fit
    return kept


def samples_of(portion: Group, data: Data) -> Samples:
    """The data of its only network, without the samples that are absent."""
    rows = slice(0, data.m) if data.row is None else data.row[0]
    X, Y = data.X[rows], data.Y[rows]
    if data.c is None:
        return Samples(X, Y, np.ones(len(X), portion.net.dtype), data.numbers)
    there = data.c[0] > 0
    return Samples(X[there], Y[there], data.c[0][there], data.numbers[there])


def _train_one(portion: Group, D: Samples, V: Samples, limits: Limits, callback: Any, earlier: Fit | None) -> Fit:
    conditions: list[Condition] = []
    for item in portion.conditions:
        if isinstance(item, MaxEpochs):
            item = MaxEpochs(int(portion.epochs[0]))
        elif isinstance(item, TargetError):
            item = TargetError(float(portion.target_errors[0]))
        conditions.append(item)
    lam = float(portion.lam[0])
    setting = Setting(
        portion.loss,
        portion.rules[0],
        portion.schedules[0] if portion.schedules else Constant(float(portion.etas[0])),
        portion.size,
        (lam, 1.0 - lam),
        portion.trainable,
        shuffle=portion.shuffle,
        seed=int(portion.seeds[0]),
    )
    net = portion.net.with_parameters(portion.start[0])
    problem = Problem(net, D, V, setting, conditions, portion.D.m)
    watched = Watched(None if portion.history else 2, callback)
    return run_training(problem, watched, limits=limits, resume=earlier)
