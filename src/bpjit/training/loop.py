"""A training that is ready to run, and its way to the end: epochs, stopping. Plain Python around ``Session``, which
runs blocks of epochs.

The loop: run a block; ask the conditions at which epochs of it they may fire; go back to the first such epoch (the
random streams make a replay exact) and ask them there; if none fires, go on.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..common.arguments import describe
from ..common.console import ctrl_c, progress_bar
from ..kernels.state import BEST_EPOCH, Samples
from ..networks.evaluation import measure, objective_of
from ..networks.network import Network
from ..settings.stopping import Condition, EarlyStopping, History, Limits, MaxEpochs, most_epochs
from .fit import CHECKPOINT, LIMITED, Fit, Progress
from .kinds import session_in_shares, special_session
from .origin import Origin
from .record import CHANGED
from .session import Mark, Session
from .setting import Setting

if TYPE_CHECKING:
    from .checkpoints import Run  # which is imported where somebody wants one
    from .shares import Engine


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
    engine: Engine | None = None  # what looks at shares of the data

    def session(self, threads: int) -> Session:
        """What runs it on so many threads."""
        early = [condition for condition in self.conditions if isinstance(condition, EarlyStopping)]
        every, rule = early[0].every if early else 1, self.setting.rule
        if self.engine is not None:
            return session_in_shares(rule)(self.net, self.D, self.V, every, self.setting, engine=self.engine)
        kind = special_session(rule, self.D, self.V) or Session
        return kind(self.net, self.D, self.V, every, self.setting, threads)


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
    run: Run | None = None,
) -> Fit:
    """Train until a condition fires, on so many threads. ``started`` is when the caller did, on ``time.perf_counter``;
    ``limits`` are those of the caller, who has also others to end, instead of those among the conditions: compiling is
    not counted. A ``run`` is kept in its file, and not trained where it has ended."""
    net, D, setting, conditions = problem.net, problem.D, problem.setting, problem.conditions
    started = time.perf_counter() if started is None else started
    data, in_shares = (D, problem.V, problem.count), problem.engine is not None
    if run is not None and (ended := run.begin(net, setting, conditions, data, in_shares, resume)):
        return ended
    session = problem.session(threads)
    trace = None if run is None else run.trace
    origin = Origin(net, setting, problem.target, problem.count, D, trace=trace, in_shares=in_shares)
    if resume is not None:
        started -= take_up(session, resume, net if run is None or run.is_new else resume.network)
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
        since = started + compile_seconds
        with progress_bar(watched.progress, most_epochs(conditions)) as show:
            loop = _Loop(session, conditions, watched, show, limits)
            if resume is not None:
                loop.take_unasked(resume._state.get("unasked", ()))
            if run is not None:
                loop.start, loop.kept = run.start, run
                loop.take_unasked(run.unasked)
                loop.may_begin_anew = resume is not None and not run.is_new and run.start == 0
                run.keep(lambda: fit_of(loop, problem, origin, (CHECKPOINT, np.nan), since, compile_seconds))
            try:
                ended_by, error = loop.run()
            except _Anew:
                return run_training(problem, watched, threads=threads, started=started, run=run)
    stopped_by = ended_by
    if limits.interrupted is not None and limits.interrupted.is_set():  # also where something else ended it just then
        stopped_by = "interrupted"
    session.finish(watched.history)
    unasked, loop.unasked = loop.unasked, loop.unasked if stopped_by in LIMITED else ()
    fit = fit_of(loop, problem, origin, (stopped_by, error), since, compile_seconds)
    if run is not None:
        run.end(fit, [repr(condition) for condition in unasked])
    return fit


def fit_of(
    loop: _Loop, problem: Problem, origin: Origin, ended: tuple[str, float], since: float, compile_seconds: float
) -> Fit:
    """The training as it stands, ended by something and with an error; it took the time since then. Of a checkpoint
    nothing is measured."""
    net, setting, session, (stopped_by, error) = problem.net, problem.setting, loop.session, ended
    early = any(isinstance(condition, EarlyStopping) for condition in problem.conditions)
    best, vector, returned = returned_network(session, early, stopped_by)
    if vector is not session.memory.p and stopped_by != CHECKPOINT:
        error = measure(net, vector, problem.D, setting.loss)
        if not np.isfinite(error):
            session.check_data()
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
        seconds=time.perf_counter() - since,
        compile_seconds=compile_seconds,
        target=problem.target,
        evidence=None if stopped_by in ("interrupted", CHECKPOINT) else session.evidence(vector),
        _state={**session.state(), "setting": setting, "unasked": [repr(condition) for condition in loop.unasked]},
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


def take_up(session: Session, resume: Any, net: Network) -> float:
    """Put the session where an earlier fit stopped; returns the seconds it had taken."""
    if not isinstance(resume, Fit):
        raise TypeError(f"resume: expected a Fit that train returned, or a file's name, got {describe(resume)}")
    if net != resume.network:
        raise ValueError("net: expected the network of the fit to resume, resume.network, got another one")
    session.setting.check_same(resume._state["setting"])
    session.take_up(resume._state)
    if session.inside_an_epoch and session.shape != resume._state["shape"]:
        raise ValueError(
            "resume: the fit stopped inside an epoch; expected its data again, {} samples and {} to validate on every "
            "{} epochs, got {}, {} and {}".format(*resume._state["shape"], *session.shape)
        )
    return resume.seconds


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


class _Anew(Exception):
    """It diverged so soon that a file does not tell where it was good: the run must begin anew to find out."""


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
        self.kept: Run | None = None
        self.may_begin_anew = False
        self.unasked: Sequence[
            Condition
        ] = ()  # conditions that may fire where it stands, and there was no time to ask them
        self.start = session.epoch
        session.may_end_anywhere = any(condition.watches_errors for condition in conditions)
        self.needs_history = any(condition.needs_history for condition in conditions)
        session.record.limit = None if self.needs_history else watched.history
        session.watch_with(conditions)

    def run(self) -> tuple[str, float]:
        """Train; returns why it ended, and E of the network as it then stands."""
        session = self.session
        if reason := self.ended_by_unasked():
            return reason, session.error()
        mark = earlier = first = session.mark()
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
                if np.isfinite(error):
                    return reason, error
                if self.may_begin_anew and earlier is first and reason not in LIMITED:
                    raise _Anew
                return self.back_to_finite([mark, earlier])
            if self.kept is not None and self.kept.is_due(session.epoch) and np.isfinite(session.memory.p).all():
                self.kept.write()

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
        if self.kept is not None:
            known.append(self.kept.horizon())
        return min((limit for limit in known if limit is not None), default=epoch + (1 << 30))

    def ended_by_condition(self, mark: Mark) -> str | None:
        """Ask the conditions at each epoch of this block at which one may fire, in the order of the epochs."""
        session, end, diverged = self.session, self.session.epoch, not self.session.finite
        record = session.record
        history = History(record.errors, record.validation_errors, self.start) if self.needs_history else None
        watch, candidates = session.watch.after(session.block(self.start), history)
        for number, (epoch, place) in enumerate(candidates):
            if not session.replay(mark, epoch, self.over):
                return self.over()
            fires = self.fires(self.conditions[place])
            if reason := type(self.conditions[place]).__name__ if fires else self.over():
                if fires and epoch == end:
                    session.watch = watch
                asked = number + (fires is False)  # one that fires is asked again if Ctrl-C was pressed just then
                end_of_epoch = bisect_right(candidates, (epoch, len(self.conditions)))
                self.unasked = [self.conditions[other] for _, other in candidates[asked:end_of_epoch]]
                return reason
        if candidates:
            if not session.replay(mark, end, self.over):
                return self.over()
            session.finite = not diverged
        session.watch = watch
        return None

    def take_unasked(self, names: Sequence[str]) -> None:
        """Note those among the conditions that an earlier call had no time to ask where it ended."""
        self.unasked = [condition for condition in self.conditions if repr(condition) in names] if names else ()

    def ended_by_unasked(self) -> str | None:
        """Ask the conditions that an earlier call had no time to ask where it ended."""
        for condition in self.unasked:
            there = not isinstance(condition, MaxEpochs) or self.session.epoch == self.start + condition.epochs
            if there:
                fires = self.fires(condition)
                if reason := type(condition).__name__ if fires else self.over():
                    return reason
        self.unasked = ()
        return None

    def fires(self, condition: Condition) -> bool | None:
        """Whether a condition fires, here; None where there is no time to find out."""
        self.session.between = self.raise_if_over
        try:
            return bool(condition.confirm(self.session))
        except _Over:
            return None
        finally:
            self.session.between = None

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
