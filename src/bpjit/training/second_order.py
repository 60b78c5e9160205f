"""A training under way by a rule of second order: a session like any other, with a kernel of its own.

The kernel computes in float64. A network of float32 has its data brought to float64 once, and its parameters rounded
after each step, so that what is compared is always a network that can be returned.
"""

from __future__ import annotations

import time

import numpy as np

from ..kernels import drivers
from ..kernels.one import damped
from ..kernels.state import COUNTERS, SCALARS, VISITED, Memory, Samples
from ..settings.rules import BayesianRegularization, LevenbergMarquardt, Rule, SecondOrder
from .fit import Evidence
from .session import MOST_EPOCHS, Session

ENDS = {damped.MU_MAX: "mu_max", damped.MIN_GRAD: "min_grad"}  # the settings of a rule that end a training
FIRST_BUDGET = 1 << 24  # multiply-adds of the first call, some milliseconds


def session_for(rule: Rule) -> type[Session]:
    """The kind of session that trains by this rule."""
    return DampedSession if isinstance(rule, SecondOrder) else Session


class DampedSession(Session):
    """One training by Levenberg–Marquardt. Its memory is that from between two epochs, always: within one, only the
    work space changes."""

    work: damped.DampedWork

    def _first_memory(self) -> Memory:
        net, rule = self.net, self.setting.rule
        assert isinstance(rule, LevenbergMarquardt)
        slots = np.zeros((2, damped.KEPT_NUMBERS))
        slots[:, damped.MU], slots[:, damped.BETA], slots[:, damped.FALL] = rule.mu, 1.0, -1.0
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
        self.work = drivers.damped_work(net.sizes, net._activations, m, setting.trainable, rule.bayesian)
        known = float((D.c[:, None] * ~np.isnan(D.Y)).sum(dtype=np.float64))
        self.rule = damped.DampedRule(
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
        )
        # In float64, the arrays themselves where they are that: what the kernel writes to is copied back.
        self.wide = self.task._replace(D=as_float64(D), V=as_float64(self.task.V))
        p, gradient, slots, best, scalars, counters = self.memory
        self.wide_memory = Memory(p.astype(np.float64), gradient, slots, best.astype(np.float64), scalars, counters)
        self._budget = FIRST_BUDGET

    @property
    def inside_an_epoch(self) -> bool:
        return bool(self.work.stage[: damped.PASSED].any())

    def _compile_kernel(self) -> None:
        self._call(self.wide_memory, np.empty((2, 0)))

    def _call(self, memory: Memory, found: np.ndarray) -> int:
        """One call of the kernel; returns why it ended."""
        return int(self.kernel(self.wide, self.rule, memory, self.work, self._budget, found))

    def _call_kernel(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        first, visited = self.epoch, int(self.memory.counters[VISITED])
        cheapest = len(self.D.X) * len(self.memory.p)  # less than the multiply-adds of an epoch
        found = np.empty((2, min(until - first, 1 + self._budget // cheapest, MOST_EPOCHS)))
        started = time.perf_counter()
        outcome = self._call(self.wide_memory, found)
        self.memory.p[...], self.memory.best[...] = self.wide_memory.p, self.wide_memory.best
        self.finite = outcome != damped.DIVERGED
        # An end stands where no epoch comes before it in a call, so that conditions see those that do.
        self.ended = ENDS.get(outcome) if self.epoch == first else None
        return self._end_of_call(found, first, visited, time.perf_counter() - started)

    def _clear_work(self) -> None:
        self.wide_memory.p[...], self.wide_memory.best[...] = self.memory.p, self.memory.best
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
        alpha, beta, gamma, log_evidence = self.work.state[damped.ALPHA : damped.LOG_EVIDENCE + 1].tolist()
        self._clear_work()
        return Evidence(alpha, beta, gamma, log_evidence) if known else None


def as_float64(D: Samples) -> Samples:
    """The same samples, their numbers in float64; not copied where they are."""
    X, Y, c = (array.astype(np.float64, order="C", copy=False) for array in D[:3])
    return Samples(X, Y, c, D.numbers)
