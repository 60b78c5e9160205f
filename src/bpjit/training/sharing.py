"""A training under way whose errors and gradients are sums over ``Shares``, which workers may find; the steps are made
here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import drivers
from ..kernels.one.chunks import CHUNK
from ..kernels.state import (
    BEST,
    BEST_EPOCH,
    CARRY,
    EPOCH,
    ERROR,
    POSITION,
    TOTAL,
    Memory,
    Order,
    Samples,
)
from ..kernels.switches import ahead
from ..networks.evaluation import mean_gradient, no_samples
from .kept import ERRORS, GRADIENT
from .line_search import Looking
from .pausing import PausingSession
from .second_order import GradientSession
from .shares import Engine, Shares

PAIR = 2  # samples that a step pretends to be one of, the first of them behind it


class InShares(PausingSession):
    """What all sessions have that look at shares."""

    shares: Shares

    def __init__(self, *arguments: Any, engine: Engine | None = None) -> None:
        self.engine = Engine() if engine is None else engine
        super().__init__(*arguments)

    def error(self) -> float:
        return self._looked(ERRORS)[0] / len(self.D.X)

    def gradient_norm(self) -> float:
        descent = self._looked(GRADIENT)[1]
        slope = mean_gradient(descent, self.memory.p.astype(np.float64), self.D, self.setting.lam)
        return float(np.linalg.norm(slope[self.setting.trainable]))

    def _looked(self, wish: int) -> tuple[float, np.ndarray]:
        """What a look at the network as it stands gives. Others can look meanwhile only through ``between``."""
        looking = self.shares.look(self._p(), wish, helped=True)
        while True:
            try:
                next(looking)
            except StopIteration as end:
                return end.value
            if self.between is not None:
                self.between()

    def _p(self) -> np.ndarray:
        """The parameters as the shares take them."""
        return self.memory.p

    def _validate(self, p: np.ndarray) -> Looking[float]:
        total, _ = yield from self.shares.look(p, ERRORS, validate=True)
        return total


class SharedGradientSession(InShares, GradientSession):
    """One training by L-BFGS or scaled conjugate gradients."""

    def _make_work(self, readable: bool) -> None:
        super()._make_work(readable)
        self.shares = Shares(self.engine, self.net, self.setting.loss, self.wide.D, self.wide.V)

    def _compile_kernel(self) -> None:
        self.shares.make_ready(self._wide_p())

    def _p(self) -> np.ndarray:
        return self._wide_p()

    def _pass(self, p: np.ndarray) -> Looking[tuple[float, np.ndarray]]:
        return (yield from self.shares.look(p))


class SharedSession(InShares):
    """One training by a rule of first order.

    Its step is made by the kernel that trains without shares, which is told that it stands before the last of two
    samples: what it has collected of the one is all that the shares gave, and the other weighs nothing.
    """

    def _make_work(self, readable: bool) -> None:
        net, setting, task = self.net, self.setting, self.task
        self.shares = Shares(self.engine, net, setting.loss, task.D, task.V)
        first = [0] * PAIR
        X, Y, c, numbers = (array[first] for array in task.D)
        pair, nothing = Samples(X, Y, np.zeros_like(c), numbers), no_samples(task.V)
        self.pair = task._replace(D=pair, V=nothing), Order.of(pair, nothing)
        self.after = self.first_memory(net, setting)  # an epoch, until it counts
        plan = drivers.Plan(setting.rule, CHUNK + 1, False, setting.lam, setting.trainable)  # longer than any chunk
        kind = net.sizes, net._activations
        self.kernel, self.steps, self.work = drivers.trainer(*kind, self.after, pair, plan, readable)

    def take_up(self, state: dict[str, Any]) -> None:
        start = state["epoch_start"]
        if start is not None and state["memory"].counters[POSITION]:  # an epoch that might be undone begins anew
            state = {**state, "memory": start}
        super().take_up(state)

    def _compile_kernel(self) -> None:
        self._run(0)
        self.shares.make_ready(self.memory.p)

    def _run(self, count: int) -> bool:
        """Let the kernel go on with ``after``, by one step or none; returns whether all stayed finite."""
        task, order = self.pair
        etas, nothing = self._etas(self.epoch, count), np.empty((2, count), self.net.dtype)
        return bool(self.kernel(task, self.steps, self.after, self.work, order, etas, 1, nothing))

    def _epoch(self) -> Looking[tuple[float, float] | None]:
        memory, after, m = self.memory, self.after, len(self.D.X)
        copy_to(memory, after)
        if memory.counters[POSITION] < m:  # what a training without shares had begun of an update begins anew
            assert self.steps is not None
            p = ahead(self.steps.kind, memory.p, memory.slots, self.steps.constants)
            total, descent = yield from self.shares.look(p)
            self.finite = self._step(total / m, descent / m)
            if not self.finite:
                return None
        else:  # or it had but to be validated
            after.counters[EPOCH] += 1
            after.counters[POSITION] = after.scalars[TOTAL] = after.scalars[CARRY] = 0
        validation_error = float(self.net.dtype.type((yield from self._validated(after.p))))
        if validation_error < after.scalars[BEST]:
            after.scalars[BEST], after.counters[BEST_EPOCH] = validation_error, after.counters[EPOCH]
            after.best[...] = after.p
        copy_to(after, memory)
        return float(memory.scalars[ERROR]), validation_error

    def _step(self, error: float, descent: np.ndarray) -> bool:
        """One step of the rule along the mean gradient. Writes ``after``."""
        after = self.after
        with np.errstate(over="ignore", invalid="ignore"):
            after.gradient[...], after.scalars[TOTAL] = PAIR * descent, PAIR * error
        after.scalars[CARRY], after.counters[POSITION] = 0.0, PAIR - 1
        return self._run(1)


def copy_to(memory: Memory, other: Memory) -> None:
    """Write all of a memory into another."""
    for array, copied in zip(other, memory, strict=True):
        array[...] = copied
