"""A training under way: what it keeps, how it runs blocks of epochs, how it goes back to a mark and comes again.

``training.py`` decides when to stop; here nothing is decided. The kernels see one ``Memory``; copying that, the
histories and the adaptive rate is all it takes to return to a moment exactly.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..kernels import drivers
from ..kernels.layout import code_of_loss
from ..kernels.state import (
    BEST,
    BEST_EPOCH,
    COUNTERS,
    EPOCH,
    LAST_OBJECTIVE,
    POSITION,
    SCALARS,
    UPDATES,
    VISITED,
    Memory,
    Order,
    Samples,
    Task,
    parts_of,
)
from ..kernels.team import make_team
from ..maths import formulas, random_streams
from ..networks.evaluation import gradient_of, measure, no_samples, objective_of
from ..networks.network import Network
from ..settings.schedules import AdaptiveRate
from ..settings.stopping import Block, Condition, Watch, watch_from
from .crew import ask_for_help
from .fit import Evidence
from .record import CHANGED, Record
from .setting import Setting

CALL_SECONDS = 0.05  # how long one kernel call should take: Ctrl-C and time limits wait for it
FIRST_CALL_SECONDS = 0.0002
MOST_EPOCHS = 1 << 16  # in one block
MEASURED: set[Any] = set()  # kinds of data for which the code that measures errors is there


@dataclass
class Rate:
    """The state of an adaptive rate."""

    eta: float  # of the next epoch
    objective: float  # the least so far
    vector: np.ndarray  # the parameters that had it; nobody writes to them
    epoch: int = 0  # how many epochs were complete then


@dataclass(frozen=True)
class Mark:
    """A moment to come back to."""

    memory: Memory
    rate: Rate | None
    epochs: int
    watch: Watch


class Session:
    """One training of ``net`` on D, with V to validate on every ``every`` epochs."""

    def __init__(
        self,
        net: Network,
        D: Samples,
        V: Samples,
        every: int,
        setting: Setting,
        threads: int = 1,
        readable: bool = False,
    ) -> None:
        self.net, self.D, self.V, self.setting = net, D, V, setting
        n = len(net._parameters)
        self.task = Task(
            D,
            V,
            code_of_loss(setting.loss),
            every,
            setting.shuffle and setting.size is not None,
            random_streams.base(setting.seed, random_streams.ORDER)[0],
        )
        self.memory = self.first_memory(net, setting)
        self._helpers = threads - 1
        self._budget = max(1, int(FIRST_CALL_SECONDS / (1e-7 + 5e-9 * n)))  # samples in the next kernel call
        self._make_work(readable)
        self.order = Order.of(D, V)
        self.memory.scalars[[LAST_OBJECTIVE, BEST]] = np.inf
        self.record = Record(every)
        self.watch = Watch()  # it may lag behind
        self._remembered: dict[str, Any] = {}  # by the conditions of an earlier session
        adaptive = isinstance(setting.schedule, AdaptiveRate)
        self.rate = Rate(setting.schedule.eta, np.inf, net._parameters) if adaptive else None
        self._epoch_start: Memory | None = None  # where an adaptive rate goes back to
        self.finite = True
        self.between: Callable[[], None] | None = None  # called now and then while it measures: it may raise
        self.may_end_anywhere = False  # if it may end at any epoch, a block is at most half as long as all before it
        self.ended: str | None = None  # the setting of the rule that ended the training, where no epoch began any more

    @staticmethod
    def first_memory(net: Network, setting: Setting) -> Memory:
        n, dtype = len(net._parameters), net.dtype
        return Memory(
            net._parameters.copy(),
            np.zeros(n, dtype),
            setting.rule.start(n, setting.seed).astype(dtype),
            net._parameters.copy(),
            np.zeros(SCALARS, dtype),
            np.zeros(COUNTERS, np.int64),
        )

    def _make_work(self, readable: bool) -> None:
        """The kernel and its work space."""
        net, setting, m = self.net, self.setting, len(self.D.X)
        size = m if setting.size is None else min(setting.size, m)
        self.kernel, self.steps, self.work = drivers.trainer(
            net.sizes,
            (*net.hidden, net.output),
            self.memory,
            self.D,
            drivers.Plan(setting.rule, size, setting.size == 1, setting.lam, setting.trainable),
            readable,
            self._helpers + 1,
        )

    # --- Where it stands.

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return int(self.memory.counters[EPOCH])

    @property
    def updates(self) -> int:
        return int(self.memory.counters[UPDATES])

    @property
    def inside_an_epoch(self) -> bool:
        return bool(self.memory.counters[POSITION])

    @property
    def shape(self) -> tuple[int, int, int]:
        """What an epoch begun needs to be ended: samples, validation samples, epochs between validations."""
        return len(self.D.X), len(self.task.V.X), self.task.every

    def error(self) -> float:
        """E of the network as it stands."""
        return measure(self.net, self.memory.p, self.D, self.setting.loss, self.between)

    def objective(self) -> float:
        """The objective of the network as it stands."""
        return objective_of(self.error(), self.memory.p, self.setting.lam)

    def gradient_norm(self) -> float:
        """Norm of the objective's gradient over the trained parameters."""
        slope = gradient_of(self.net, self.memory.p, self.D, self.setting.loss, self.setting.lam, self.between)
        return float(np.linalg.norm(slope[self.setting.trainable].astype(np.float64)))

    def check_data(self) -> None:
        """Raise ``RuntimeError`` if data are not finite now, as they were."""
        missing = self.setting.missing is not None
        for of, D in (("", self.D), ("validation ", self.V)):
            for part in parts_of(D):
                for name, array in (("X", part.X), ("Y", part.Y)):
                    if not is_finite(array, missing and name == "Y"):
                        raise RuntimeError(CHANGED.format(of + name))

    # --- Going on, and going back.

    def compile(self) -> float:
        """Make sure the machine code is there; returns the seconds it took."""
        started = time.perf_counter()
        self._compile_kernel()
        kind = self.net.dtype, type(self.D.X)
        if kind not in MEASURED:
            measure(self.net, self.memory.p, no_samples(self.D), self.setting.loss)
            MEASURED.add(kind)
        return time.perf_counter() - started

    def _compile_kernel(self) -> None:
        nothing = np.empty((2, 0), self.net.dtype)
        self.kernel(self.task, self.steps, self.memory, self.work, self.order, nothing[0], 0, nothing)

    def run(self, until: int) -> None:
        """One kernel call towards ``until`` completed epochs; it may end sooner, also inside an epoch.

        ``finite`` tells whether errors and parameters stayed finite; if not, the state must be restored.
        """
        if self.rate is None:
            self.record.extend(*self._call_kernel(until))
            return
        if not self.inside_an_epoch:
            if self.rate.objective == np.inf:
                objective = self.objective()
                self.rate.objective = np.inf if np.isnan(objective) else objective
            self._epoch_start = self._copy_of_memory()
        errors, validation_errors = self._call_kernel(self.epoch + 1)
        if self.finite and not self.inside_an_epoch:
            self._adapt(validation_errors)
        self.record.extend(errors, validation_errors)

    def run_samples(self, count: int) -> None:
        """One kernel call within this epoch on the next ``count`` samples, or a few more where the kernel must."""
        self._budget = count
        self.run(self.epoch + 1)

    def _call_kernel(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Run; returns the errors of the epochs that it completed, and their validation errors."""
        first = self.epoch
        per_epoch = len(self.D.X) + len(self.task.V.X) // self.task.every
        count = min(until - first, max(1, self._budget // per_epoch), MOST_EPOCHS)
        etas = self._etas(first, count)
        found = np.empty((2, count), self.net.dtype)
        visited = int(self.memory.counters[VISITED])
        started = time.perf_counter()
        work = self.work if self._helpers == 0 else self.work._replace(team=make_team())
        arguments = self.task, self.steps, self.memory, work, self.order
        presence = threading.Lock()
        with presence:
            if self._helpers > 0:
                helping: Any = partial(self.kernel, *arguments, etas[:0], 1, found)
                ask_for_help(presence, [helping] * self._helpers)
            self.finite = self.kernel(*arguments, etas, self._budget, found)
        return self._end_of_call(found, first, visited, time.perf_counter() - started)

    def _etas(self, first: int, count: int) -> np.ndarray:
        """η of so many epochs from this one on."""
        rates = np.full(count, self.rate.eta) if self.rate else self.setting.schedule.rates(np.arange(count) + first)
        return rates.astype(self.net.dtype, copy=False)

    def _end_of_call(
        self, found: np.ndarray, first: int, visited: int, elapsed: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """How long the next call may be; and what this one found since epoch ``first``, when so many were visited."""
        visited = int(self.memory.counters[VISITED]) - visited
        self._budget = max(1, int(min(20.0, CALL_SECONDS / max(elapsed, 1e-6)) * visited))
        if self.may_end_anywhere:
            self._budget = min(self._budget, max(visited, int(self.memory.counters[VISITED]) // 2))
        errors, validation_errors = found[:, : self.epoch - first]
        if len(self.task.V.X):
            validations = self.epoch // self.task.every - first // self.task.every
            if np.count_nonzero(validation_errors == validation_errors) < validations:  # NaN, though it was measured
                self.check_data()
        return errors, validation_errors

    def mark(self) -> Mark:
        """Remember this moment."""
        rate = None if self.rate is None else copy.copy(self.rate)
        return Mark(self._copy_of_memory(), rate, self.epoch, self.watch)

    def _copy_of_memory(self) -> Memory:
        return Memory._make([array.copy() for array in self.memory])

    def restore(self, mark: Mark) -> None:
        """Go back to a moment; the mark stays good."""
        self._clear_work()
        for array, remembered in zip(self.memory, mark.memory, strict=True):
            array[...] = remembered
        self.rate = copy.copy(mark.rate)
        self.record.truncate(mark.epochs)
        self.watch = mark.watch
        self.finite = True

    def _clear_work(self) -> None:
        """Leave nothing in the work space that is not finite."""
        if not self.finite and self.work is not None:
            for array in self.work.P, self.work.S, self.work.G:  # no copy goes where there are no parameters
                array[...] = 0

    def replay(self, mark: Mark, epoch: int, over: Callable[[], Any]) -> bool:
        """Stand exactly where ``epoch`` epochs were completed: on from here, or once more from the mark.

        Returns False where there is no time for it: it then stands somewhere before, where it also was. Raises
        ``RuntimeError`` if the way is another now.
        """
        if epoch < self.epoch or not self.finite or (epoch == self.epoch and self.inside_an_epoch):
            self.restore(mark)
        assert self.epoch <= epoch
        while self.epoch < epoch:
            self.run(epoch)
            if not self.finite:
                raise RuntimeError(CHANGED.format("X, Y"))
            if self.epoch < epoch and over():
                return False
        return True

    def _adapt(self, validation_errors: np.ndarray) -> None:
        """Exercise 5.6: undo the epoch just run if the objective rose too far, and change the rate. Its validation
        error, if it has one, is then written anew."""
        schedule, rate, start = self.setting.schedule, self.rate, self._epoch_start
        assert isinstance(schedule, AdaptiveRate)
        assert rate is not None
        assert start is not None
        objective = self.objective()
        if not math.isfinite(objective):
            self.check_data()
        if formulas.rose_too_far(objective, rate.objective, schedule.tolerance):
            rate.eta *= schedule.shrink
            self._undo(start, validation_errors)
        elif objective < rate.objective:
            rate.eta *= schedule.grow
            rate.objective, rate.vector, rate.epoch = objective, self.memory.p.copy(), self.epoch

    def _undo(self, start: Memory, validation_errors: np.ndarray) -> None:
        """Put back the network from before this epoch; the epoch counts all the same, and validates that network."""
        memory = self.memory
        for name in ("p", "slots", "best", "scalars"):
            getattr(memory, name)[...] = getattr(start, name)
        memory.counters[BEST_EPOCH] = start.counters[BEST_EPOCH]
        if np.isnan(validation_errors[-1]):
            return
        # By the kernel that validated it before: another may round otherwise, and find it better than itself.
        epoch, memory.counters[POSITION] = self.epoch, len(self.D.X)
        memory.counters[EPOCH] -= 1
        while self.epoch < epoch:
            _, found = self._call_kernel(epoch)
        validation_errors[-1] = found[-1]

    def evidence(self, vector: np.ndarray) -> Evidence | None:
        """What a rule that sets its own penalty found of the network to be returned, with these parameters."""
        return None

    def block(self, start: int) -> Block:
        """The epochs since those that ``watch`` has seen; ``start`` is the number of epochs before this call."""
        first, end = self.watch.epochs, self.record.epochs
        errors, validation_errors = self.record.since(first)
        return Block(np.arange(first, end), errors, validation_errors, first, end, start)

    def watch_with(self, conditions: Sequence[Condition]) -> None:
        """Begin to watch with these conditions, which may have seen the epochs of an earlier session."""
        record = self.record
        if not record.epochs:
            self.watch = Watch(conditions, [None] * len(conditions))
            return
        block = Block(record.recorded, record.errors, record.validation_errors, 0, self.epoch, self.epoch)
        self.watch = watch_from(conditions, self._remembered, block)

    def finish(self, history: int | None) -> None:
        """Let conditions see what they have not seen, and keep the errors of so many epochs at most."""
        if self.watch.epochs < self.epoch:
            self.watch = self.watch.after(self.block(self.epoch))[0]
        self.record.limit = history
        self.record.thin(self.epoch)

    def state(self) -> dict[str, Any]:
        """What a later session needs to go on exactly."""
        mark = self.mark()
        return {
            "memory": mark.memory,
            "rate": mark.rate,
            "epoch_start": self._epoch_start,
            "shape": self.shape,
            "record": self.record.copy(),
            "memories": self.watch.remembered(),
        }

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from the state of an earlier session."""
        record = state["record"].copy()
        record.every = self.task.every
        self.record = record
        self.restore(Mark(state["memory"], state["rate"], record.epochs, self.watch))
        self._epoch_start = state["epoch_start"]
        self._remembered = state["memories"]


def is_finite(array: Any, missing: bool = False) -> bool:
    """Whether all numbers are finite, or NaN where they are ``missing``, in an array here or on a GPU."""
    if isinstance(array, np.ndarray):
        return not np.isinf(array).any() if missing else bool(np.isfinite(array).all())
    from ..kernels.cuda import door

    return door.count_outside(array, -np.inf, np.inf) == 0
