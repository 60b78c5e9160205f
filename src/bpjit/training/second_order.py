"""A training under way by a rule of second order: sessions like any other, whose memory is always that from between two
epochs: what stands within one is work space, and an epoch that was cut off begins anew.

All is computed in float64. A network of float32 has its data brought to float64 once, and its parameters rounded
after each step, so that what is compared is always a network that can be returned.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from ..kernels import drivers, gauss_newton
from ..kernels.one import damped, damped_parts
from ..kernels.state import BEST, BEST_EPOCH, COUNTERS, EPOCH, SCALARS, UPDATES, VISITED, Memory, Samples
from ..kernels.team import make_team
from ..maths import formulas
from ..networks.evaluation import no_samples, objective_of
from ..networks.network import Network
from ..settings.rules import (
    LBFGS,
    BayesianRegularization,
    LevenbergMarquardt,
    ScaledConjugateGradient,
)
from ..settings.stopping import Condition, TargetError
from . import session
from .crew import ask_for_help
from .fit import Evidence
from .line_search import Conjugate, Looking, Pairs, Point, lbfgs_step, scg_step
from .session import MOST_EPOCHS, Session
from .setting import Setting

ENDS = {damped.MU_MAX: "mu_max", damped.MIN_GRAD: "min_grad"}  # the settings of a rule that end a training
FIRST_BUDGET = 1 << 24  # multiply-adds of the first call, some milliseconds
SHORT_CALL = 0.0005  # seconds, where a training may end at any epoch: what came after that one is done in vain
SCALE, COUNT = SCALARS, COUNTERS  # places behind the others: Møller's λ; pairs remembered, or steps


class DampedSession(Session):
    """One training by Levenberg–Marquardt, with or without Bayesian regularisation."""

    work: damped_parts.DampedWork

    @staticmethod
    def first_memory(net: Network, setting: Setting) -> Memory:
        rule = setting.rule
        assert isinstance(rule, LevenbergMarquardt)
        slots = np.zeros((2, gauss_newton.KEPT_NUMBERS))
        slots[:, gauss_newton.MU], slots[:, gauss_newton.BETA], slots[:, gauss_newton.FALL] = rule.mu, 1.0, -1.0
        return Memory(
            net._parameters.copy(),
            np.zeros(0),
            slots,
            net._parameters.copy(),
            np.zeros(SCALARS),
            np.zeros(COUNTERS, np.int64),
        )

    def _make_work(self, readable: bool) -> None:
        net, setting, D = self.net, self.setting, self.D
        rule, (lam, rest), m = setting.rule, setting.lam, len(D.X)
        assert isinstance(rule, LevenbergMarquardt)
        self.kernel, self.steps = damped.train_block, None
        self.work = drivers.damped_work(
            net.sizes, net._activations, m, setting.trainable, rule.bayesian, self._helpers + 1
        )
        known = float((D.c[:, None] * ~np.isnan(D.Y)).sum(dtype=np.float64))
        self.rule = damped_parts.DampedRule(
            mu_inc=rule.mu_inc,
            mu_dec=rule.mu_dec,
            mu_max=rule.mu_max,
            min_grad=rule.min_grad,
            bayesian=rule.bayesian,
            settled=rule.settled if isinstance(rule, BayesianRegularization) else 0.0,
            fixed_beta=setting.given_loss != "squared",
            targets=known,
            scale=lam,
            penalty=2.0 * m * rest,
            single=net.dtype == np.float32,
            only_estimate=False,
            target=-np.inf,
        )
        # In float64: the arrays themselves where they are that.
        self.wide = self.task._replace(D=as_float64(D), V=as_float64(self.task.V))
        p, gradient, slots, best, scalars, counters = self.memory
        p, best = (array.astype(np.float64, copy=False) for array in (p, best))
        self.wide_memory = Memory(p, gradient, slots, best, scalars, counters)
        self._budget = FIRST_BUDGET

    @property
    def inside_an_epoch(self) -> bool:
        return bool(self.work.stage[: damped_parts.PASSED].any())

    def _compile_kernel(self) -> None:
        self.kernel(self.wide, self.rule, self.wide_memory, self.work, 0, np.empty((2, 0)))

    def _call(self, memory: Memory, found: np.ndarray) -> int:
        """One call of the kernel; returns why it ended."""
        work = self.work if self._helpers == 0 else self.work._replace(team=make_team())
        arguments = self.wide, self.rule, memory, work
        presence = threading.Lock()
        with presence:
            if self._helpers > 0:
                nothing = found[:, :0]
                helping = [lambda: self.kernel(*arguments, 1, nothing) != damped.NOBODY] * self._helpers
                ask_for_help(presence, helping)
            return int(self.kernel(*arguments, self._budget, found))

    def _call_kernel(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        first, visited = self.epoch, int(self.memory.counters[VISITED])
        cheapest = len(self.D.X) * len(self.memory.p)  # less than the multiply-adds of an epoch
        found = np.empty((2, min(until - first, 1 + self._budget // cheapest, MOST_EPOCHS)))
        started = time.perf_counter()
        self.wide_memory.p[...], self.wide_memory.best[...] = self.memory.p, self.memory.best
        outcome = self._call(self.wide_memory, found)
        self.memory.p[...], self.memory.best[...] = self.wide_memory.p, self.wide_memory.best
        self.finite = outcome != damped.DIVERGED
        # An end stands where no epoch comes before it in a call, so that conditions see those that do.
        self.ended = ENDS.get(outcome) if self.epoch == first else None
        elapsed = time.perf_counter() - started
        result = self._end_of_call(found, first, visited, elapsed)
        if self.may_end_anywhere:
            done = int(self.memory.counters[VISITED]) - visited
            self._budget = min(self._budget, max(1, int(SHORT_CALL / max(elapsed, 1e-6) * done)))
        return result

    def watch_with(self, conditions: Sequence[Condition]) -> None:
        super().watch_with(conditions)
        watching = [condition for condition in conditions if condition.watches_errors]
        targets = [condition.error for condition in watching if isinstance(condition, TargetError)]
        self.rule = self.rule._replace(target=max(targets, default=-np.inf))
        self.may_end_anywhere = len(watching) > len(targets)  # the kernel sees a target itself

    def _clear_work(self) -> None:
        self.work.stage[:] = self.work.total[:] = 0
        self.ended = None

    def evidence(self, vector: np.ndarray) -> Evidence | None:
        if not self.rule.bayesian:
            return None
        slots = self.memory.slots.copy()
        if vector is self.memory.best:
            slots[0] = slots[1]
        self._clear_work()
        counters, scalars = self.memory.counters.copy(), self.memory.scalars.copy()
        p = vector.astype(np.float64)
        memory = self.wide_memory._replace(p=p, slots=slots, scalars=scalars, counters=counters)
        rule, outcome = self.rule, damped.GOING_ON
        self.rule = rule._replace(only_estimate=True)
        while outcome == damped.GOING_ON:
            outcome = self._call(memory, np.empty((2, 1)))
        self.rule, known = rule, outcome == damped.ESTIMATED
        alpha, beta, gamma, log_evidence = self.work.state[gauss_newton.ALPHA : gauss_newton.LOG_EVIDENCE + 1].tolist()
        self._clear_work()
        return Evidence(alpha, beta, gamma, log_evidence) if known else None


class GradientSession(Session):
    """One training by L-BFGS or scaled conjugate gradients: their steps in NumPy, errors and gradients compiled."""

    @staticmethod
    def first_memory(net: Network, setting: Setting) -> Memory:
        rule, n = setting.rule, len(net._parameters)
        rows = 2 * rule.memory if isinstance(rule, LBFGS) else 1
        scalars, counters = np.zeros(SCALARS + 1), np.zeros(COUNTERS + 1, np.int64)
        if isinstance(rule, ScaledConjugateGradient):
            scalars[SCALE] = rule.scale
        return Memory(
            net._parameters.copy(), np.zeros(0), np.zeros((rows, n)), net._parameters.copy(), scalars, counters
        )

    def _make_work(self, readable: bool) -> None:
        net, largest = self.net, max(len(self.D.X), len(self.task.V.X))
        self.gradient_work = drivers.gradient_work(net.sizes, net._activations, np.dtype(np.float64), largest)
        self.wide = self.task._replace(D=as_float64(self.D), V=as_float64(self.task.V))
        self.kernel, self.steps, self.work = None, None, None
        self._under_way: Looking[tuple[float, float] | None] | None = None  # the epoch
        self._here: Point | None = None  # what is known where it began

    @property
    def inside_an_epoch(self) -> bool:
        return self._under_way is not None

    def _compile_kernel(self) -> None:
        for _ in drivers.look_through(self.gradient_work, self._wide_p(), no_samples(self.wide.D), self.task.loss):
            pass

    def _clear_work(self) -> None:
        self._under_way = self._here = self.ended = None

    def _wide_p(self) -> np.ndarray:
        return self.memory.p.astype(np.float64)

    def _call_kernel(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Epochs, until it is time to let others look."""
        first, started, found = self.epoch, time.perf_counter(), []
        longest = min(session.CALL_SECONDS, SHORT_CALL if self.may_end_anywhere else np.inf)
        while self.finite and self.ended is None and self.epoch < until:
            if self._under_way is None:
                self._under_way = self._epoch()
            try:
                next(self._under_way)
            except StopIteration as end:
                self._under_way = None
                if end.value is not None:
                    found.append(end.value)
            if time.perf_counter() - started > longest:
                break
        if self.epoch > first:
            self.ended = (
                None  # it will stand again where no epoch comes before it, so that conditions see those that do
            )
        errors, validation_errors = np.array(found).reshape(-1, 2).T
        if np.isnan(validation_errors).any() and len(self.task.V.X):
            self.check_data()
        return errors, validation_errors

    def _epoch(self) -> Looking[tuple[float, float] | None]:
        """One epoch; returns its error and its validation error, or None where there was none."""
        rule, memory = self.setting.rule, self.memory
        assert isinstance(rule, (LBFGS, ScaledConjugateGradient))
        here = self._here = self._here or (yield from self._look(self._wide_p()))
        self.finite = bool(np.isfinite(here.objective) and np.isfinite(here.gradient).all())
        if not self.finite:
            return None
        if np.linalg.norm(here.gradient) <= rule.min_grad:
            self.ended = "min_grad"
            return None
        count, rows = int(memory.counters[COUNT]), memory.slots
        found: tuple[Point, Pairs | Conjugate] | None
        if isinstance(rule, LBFGS):
            pairs = Pairs(rows[:count].copy(), rows[rule.memory : rule.memory + count].copy())
            found = yield from lbfgs_step(rule, here, pairs, self._look)
        else:
            state = Conjugate(rows[0].copy(), float(memory.scalars[SCALE]), count)
            found = yield from scg_step(rule, here, state, self._look)
        if found is None:
            self.ended = "max_search" if isinstance(rule, LBFGS) else "scale_max"
            return None
        there, after = found
        validation_error = np.nan
        if len(self.wide.V.X) and (self.epoch + 1) % self.task.every == 0:
            total, _ = yield from drivers.look_through(self.gradient_work, there.p, self.wide.V, self.task.loss)
            validation_error = total / len(self.wide.V.X)
        # From here on nothing pauses.
        if isinstance(after, Pairs):
            count = len(after.s)
            rows[:count], rows[len(rows) // 2 : len(rows) // 2 + count] = after.s, after.y
        else:
            rows[0], memory.scalars[SCALE], count = after.direction, after.scale, after.steps
        memory.p[...], memory.counters[COUNT], self._here = there.p, count, there
        memory.counters[[EPOCH, UPDATES]] += 1
        if validation_error < memory.scalars[BEST]:
            memory.scalars[BEST], memory.counters[BEST_EPOCH] = validation_error, self.epoch
            memory.best[...] = memory.p
        return here.error, validation_error

    def _look(self, p: np.ndarray) -> Looking[Point]:
        """Error and gradient of the network with these parameters, as its dtype has them."""
        m, (lam, rest) = len(self.wide.D.X), self.setting.lam
        with np.errstate(over="ignore", invalid="ignore"):
            p = p.astype(self.net.dtype).astype(np.float64)
        total, descent = yield from drivers.look_through(self.gradient_work, p, self.wide.D, self.task.loss)
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = -formulas.regularised_descent(descent / m, p, lam, rest)
            gradient[~self.setting.trainable] = 0.0
            return Point(p, total / m, objective_of(total / m, p, self.setting.lam), gradient)


def as_float64(D: Samples) -> Samples:
    """The same samples, their numbers in float64; not copied where they are."""
    X, Y, c = (array.astype(np.float64, order="C", copy=False) for array in D[:3])
    return Samples(X, Y, c, D.numbers)
