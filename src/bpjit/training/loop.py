"""A training that is ready to run, and its way to the end: epochs, stopping. Plain Python around ``Session``, which
runs blocks of epochs.

The loop: run a block; ask the conditions at which epochs of it they may fire; go back to the first such epoch (the
random streams make a replay exact) and ask them there; if none fires, go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..common.console import ctrl_c, progress_bar
from ..kernels.state import BEST_EPOCH, Samples
from ..networks.evaluation import measure, objective_of
from ..networks.network import Network
from ..settings.stopping import Condition, EarlyStopping, History, Limits, most_epochs
from .fit import Fit, Progress
from .kinds import special_session
from .origin import Origin
from .record import CHANGED
from .session import Mark, Session, take_up
from .setting import Setting


@dataclass(frozen=True, eq=False)
class Problem:
    """All that a training needs, checked, scaled, weighted and cut."""

    net: Network  # where it starts
    D: Samples  # on the machine that is to train
    V: Samples  # to validate on; no rows where nothing is
    setting: Setting
    conditions: list[Condition]  # one of them an EarlyStopping at most
    count: int  # samples as they were given, absent ones too
    target: str = "cpu"


class Watched(NamedTuple):
    """Who watches a training; what each is stands in ``train``. It does not change the result."""

    history: int | None = None
    callback: Callable[[Progress], Any] | None = None
    progress: bool | None = False


def run_training(
    problem: Problem,
    watched: Watched = Watched(),  # noqa: B008  (it cannot be changed)
    *,
    threads: int = 1,
    resume: Any = None,
    started: float | None = None,
    limits: Limits | None = None,
) -> Fit:
    """Train until a condition fires, on so many threads. ``started`` is when the caller did, on ``time.perf_counter``;
    ``limits`` are those of the caller, who has also others to end, instead of those among the conditions: compiling is
    not counted."""
    net, D, setting, conditions = problem.net, problem.D, problem.setting, problem.conditions
    started = time.perf_counter() if started is None else started
    early = [condition for condition in conditions if isinstance(condition, EarlyStopping)]
    kind = special_session(setting.rule, D, problem.V) or Session
    session = kind(net, D, problem.V, early[0].every if early else 1, setting, threads)
    earlier, origin = 0.0, Origin(net, setting, problem.target, problem.count, D)
    if resume is not None:
        earlier = take_up(session, resume, net)
        if any(condition.needs_history for condition in conditions) and not session.record.is_whole:
            raise ValueError(
                "stop: a condition of your own sees every epoch, but the fit to resume kept only some; train it with "
                "history=None"
            )
        origin = origin_of(resume, origin)
    with ctrl_c() as interrupted:
        compile_seconds = session.compile()
        if limits is None:
            limits = Limits.of(conditions, time.perf_counter(), interrupted)
        else:
            limits = replace(limits, deadline=limits.deadline + compile_seconds)
        with progress_bar(watched.progress, most_epochs(conditions)) as show:
            stopped_by, error = _Loop(session, conditions, watched, show, limits).run()
    if limits.interrupted is not None and limits.interrupted.is_set():  # also where something else ended it just then
        stopped_by = "interrupted"
    best, vector, returned = returned_network(session, bool(early), stopped_by)
    if vector is not session.memory.p:
        error = measure(net, vector, D, setting.loss)
        if not np.isfinite(error):
            session.check_data()
    session.finish(watched.history)
    record = session.record
    return Fit(
        network=net.with_parameters(vector),
        error=error,
        objective=objective_of(error, vector, setting.lam),
        errors=record.errors.copy(),
        validation_errors=record.validation_errors.copy(),
        recorded=record.recorded,
        epochs=session.epoch,
        updates=session.updates,
        best_epoch=best,
        network_epoch=returned,
        stopped_by=stopped_by,
        seconds=earlier + time.perf_counter() - started - compile_seconds,
        compile_seconds=compile_seconds,
        target=problem.target,
        evidence=None if stopped_by == "interrupted" else session.evidence(vector),
        _state={**session.state(), "setting": setting},
        _origin=origin.to_keep(),
    )


def returned_network(session: Session, early: bool, stopped_by: str) -> tuple[int | None, np.ndarray, int]:
    """The epoch of the smallest validation error; the parameters to return, and after which epoch they stood."""
    memory = session.memory
    best = int(memory.counters[BEST_EPOCH]) or None
    if early and best is not None:
        return best, memory.best, best
    if session.rate is not None and stopped_by != "TargetError":
        return best, session.rate.vector, session.rate.epoch
    return best, memory.p, session.epoch


def origin_of(resume: Fit, here: Origin) -> Origin:
    """Where a resumed training began: where the earlier one did, unless the data are others now, or nobody asks."""
    earlier: Origin | None = resume._origin
    if earlier is None:
        return here
    if earlier.is_continued_by(here):
        return earlier if earlier.D is not None else replace(earlier, D=here.D)
    state = resume._state
    return replace(here, state={**state, "record": state["record"].without_epochs(), "memories": {}})


class _Over(Exception):
    """Time is up, or Ctrl-C was pressed, while a condition looked at the network."""


class _Loop:
    """Blocks of epochs until something ends the training."""

    def __init__(
        self,
        session: Session,
        conditions: list[Condition],
        watched: Watched,
        show: Callable[[int, float], None],
        limits: Limits,
    ) -> None:
        self.session, self.conditions, self.callback, self.show = session, conditions, watched.callback, show
        self.over = limits.reached  # why there is no time for anything more
        self.start = session.epoch
        session.may_end_anywhere = any(condition.watches_errors for condition in conditions)
        self.needs_history = any(condition.needs_history for condition in conditions)
        session.record.limit = None if self.needs_history else watched.history
        session.watch_with(conditions)

    def run(self) -> tuple[str, float]:
        """Train; returns why it ended, and E of the network as it then stands."""
        session = self.session
        mark = earlier = session.mark()
        while True:
            if not session.inside_an_epoch and session.epoch > mark.epochs:
                earlier, mark = mark, session.mark()
                session.record.floor = earlier.epochs
            since = session.epoch
            session.run(self.horizon())
            ended = session.epoch > since
            if session.epoch:
                self.show(session.epoch - self.start, session.record.errors[-1])
            reason = self.ended_by_condition(mark) if ended else None
            if reason is None and not session.finite:
                reason = "diverged"
            if self.callback is not None and session.finite and ended:
                reason = self.call_back() or reason
            reason = reason or session.ended or self.over()
            if reason is not None:
                error = session.error() if session.finite else np.nan
                return (reason, error) if np.isfinite(error) else self.back_to_finite([mark, earlier])

    def back_to_finite(self, marks: list[Mark]) -> tuple[str, float]:
        """Go back to the last epoch after which the error of the network was finite; or, where there is no time for
        that, to any such epoch. Returns why the training ended, and that error."""
        session, error = self.session, np.nan
        session.check_data()
        for mark in marks:
            for epoch in range(session.epoch, mark.epochs - 1, -1):
                arrived, error = session.replay(mark, epoch, self.over), session.error()
                if arrived and np.isfinite(error):
                    self.diverge_again()
                    return "diverged", error
                if not arrived:
                    break
            reason = self.over()
            if reason and not np.isfinite(error):
                session.restore(mark)
                error = session.error()
            if reason and np.isfinite(error):
                return reason, error
        return "diverged", error

    def diverge_again(self) -> None:
        """Raise ``RuntimeError`` if the next epoch is a good one now, and come back."""
        session, here = self.session, self.session.mark()
        session.run(here.epochs + 1)
        while session.finite and session.epoch == here.epochs and not self.over():
            session.run(here.epochs + 1)
        if session.finite and session.epoch > here.epochs and np.isfinite(session.error()):
            raise RuntimeError(CHANGED.format("X, Y"))
        session.restore(here)

    def horizon(self) -> int:
        """The number of completed epochs up to which a block may run."""
        epoch = self.session.epoch
        if self.callback is not None or self.session.inside_an_epoch:  # marks stand between epochs
            return epoch + 1
        known = [condition.horizon(epoch, self.start) for condition in self.conditions]
        return min((limit for limit in known if limit is not None), default=epoch + (1 << 30))

    def ended_by_condition(self, mark: Mark) -> str | None:
        """Ask the conditions at each epoch of this block at which one may fire, in the order of the epochs."""
        session, end, diverged = self.session, self.session.epoch, not self.session.finite
        record = session.record
        history = History(record.errors, record.validation_errors, self.start) if self.needs_history else None
        watch, candidates = session.watch.after(session.block(self.start), history)
        for epoch, place in candidates:
            if not session.replay(mark, epoch, self.over):
                return self.over()
            try:
                session.between = self.raise_if_over
                fires = self.conditions[place].confirm(session)
            except _Over:
                return self.over()
            finally:
                session.between = None
            if fires:
                if epoch == end:
                    session.watch = watch
                return type(self.conditions[place]).__name__
            if reason := self.over():
                return reason
        if candidates:
            if not session.replay(mark, end, self.over):
                return self.over()
            session.finite = not diverged
        session.watch = watch
        return None

    def raise_if_over(self) -> None:
        if self.over():
            raise _Over

    def call_back(self) -> str | None:
        """Call back after an epoch."""
        session = self.session
        assert self.callback is not None
        error, validation_error = float(session.record.errors[-1]), float(session.record.validation_errors[-1])
        event = Progress(session.epoch, error, validation_error, session.net, session.memory.p.copy())
        try:
            return "callback" if self.callback(event) else None
        except KeyboardInterrupt:
            return "interrupted"
