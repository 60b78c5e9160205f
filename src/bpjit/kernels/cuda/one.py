"""One network trained on the GPU, with the interface of the other drivers.

Updates after each sample run in one block or thread (``cuda.many``, with one network), batches on all blocks
(``cuda.batch``). A call carries the state over and back, a vector or a few; the data stay on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ...settings.rules import SETTINGS, Rule
from .. import plane_numbers
from ..orders import shared_orders
from ..state import (
    BEST,
    BEST_EPOCH,
    CARRY,
    EPOCH,
    ERROR,
    LAST_OBJECTIVE,
    POSITION,
    SCALARS,
    SHARED1,
    SHARED2,
    TOTAL,
    UPDATES,
    VISITED,
    Memory,
    Samples,
    Steps,
    Task,
)
from . import batch, columns, door, epochs, many, samples
from .calls import Recorded, Stretch
from .door import Launch, to_device
from .stages import THREADS, Room, State
from .table import Table

MOST_ORDERS = 1 << 22  # numbers in the orders of one call


def stretch_of(memory: Memory, m: int, size: int, wanted: int, budget: int) -> Stretch:
    """From where the memory stands, over about ``budget`` samples, to the end of a batch."""
    epoch, begin = int(memory.counters[EPOCH]), int(memory.counters[POSITION])
    if wanted == 0 or budget <= 0:
        return Stretch(epoch, 0, begin, begin)
    if budget < m - begin:
        return Stretch(epoch, 1, begin, min(m, begin + -(-budget // size) * size))
    most = max(1, MOST_ORDERS // m)
    return Stretch(epoch, min(wanted, 1 + (budget - (m - begin)) // m, most), begin, m)


def on_device(D: Samples) -> Samples:
    """The same samples on the device, but for their numbers; where there are none, as they are."""
    return D._replace(X=to_device(D.X), Y=to_device(D.Y), c=to_device(D.c)) if len(D.X) else D


class _Trainer:
    """What both drivers share: data on the device, and the bookkeeping of ``epochs.make_train_block``."""

    def __init__(self, sizes: Sequence[int], activations: Sequence[str], rule: Rule, size: int, dtype: Any) -> None:
        self.sizes, self.activations, self.rule, self.size = tuple(sizes), tuple(activations), rule, size
        self.dtype = np.dtype(dtype)
        self._sent: dict[int, Any] = {}
        self._in_order: dict[int, Any] = {}
        self._ahead: Any = None  # the orders being made, and for which epochs
        self._maker = ThreadPoolExecutor(1, "bpjit")

    def there(self, array: Any) -> Any:
        """An array on the device; what was sent once stays."""
        if id(array) not in self._sent:
            self._sent[id(array)] = array, to_device(array)
        return self._sent[id(array)][1]

    def in_order(self, m: int) -> Any:
        """The order of m samples as they come, [shape: (1, m)], on the device."""
        if m not in self._in_order:
            self._in_order[m] = to_device(np.arange(m, dtype=np.uint64)[None])
        return self._in_order[m]

    def orders(self, task: Task, stretch: Stretch) -> Any:
        """The orders of some epochs, on the device. Meanwhile those of the next are made, by a thread of their own."""
        first, count = stretch.epoch, stretch.epochs
        if not task.shuffle or count == 0:
            return self.in_order(len(task.D.X))
        key, numbers = task.order_key, task.D.numbers
        made = np.empty((0, len(numbers)), np.int64)
        if self._ahead is not None and self._ahead[0] == (key, first):
            made = self._ahead[1].result()[:count]
        if len(made) < count:
            made = np.concatenate([made, shared_orders(key, first + len(made), count - len(made), numbers)])
        following = key, first + count
        self._ahead = following, self._maker.submit(shared_orders, *following, count, numbers)
        return to_device(made.view(np.uint64))

    def __call__(
        self,
        task: Task,
        steps: Any,
        memory: Memory,
        work: Any,
        order: Any,
        etas: np.ndarray,
        budget: int,
        errors: np.ndarray,
    ) -> bool:
        """As the drivers of ``epochs.make_train_block``; a call ends where a batch does."""
        m, counters, scalars = len(task.D.X), memory.counters, memory.scalars
        stretch, best = stretch_of(memory, m, self.size, len(etas), budget), scalars[BEST]
        found = np.full((2, max(1, stretch.epochs)), np.nan, self.dtype)
        done, finite = self.launch(task, steps, memory, etas[: max(1, stretch.epochs)], stretch, found)
        if stretch.epochs == 0:
            return True
        counters[VISITED] += (stretch.epochs - 1) * m + stretch.end - stretch.begin
        counters[UPDATES] += self.updates(stretch, m)
        if stretch.end == m:
            counters[EPOCH] += done
            counters[POSITION] = 0
            errors[:, :done] = found[:, :done]
            for t in np.flatnonzero(np.isfinite(found[1, :done])):
                if found[1, t] < best:
                    best = scalars[BEST] = found[1, t]
                    counters[BEST_EPOCH] = stretch.epoch + t + 1
            if done:
                scalars[ERROR] = errors[0, done - 1]
        else:
            counters[POSITION] = stretch.end
        return finite

    def updates(self, stretch: Stretch, m: int) -> int:
        """How many batches end on the way."""
        whole = -(-m // self.size)
        at_end = whole if stretch.end == m else stretch.end // self.size
        return (stretch.epochs - 1) * whole + at_end - stretch.begin // self.size


class StochasticTrainer(_Trainer):
    """Updates after each sample: one thread or block, many epochs in one launch."""

    def launch(
        self, task: Task, steps: Steps | None, memory: Memory, etas: np.ndarray, stretch: Stretch, found: np.ndarray
    ) -> tuple[int, bool]:
        """Run the kernel. Writes memory and found; returns how many epochs are complete, and whether all is finite."""
        kind, dtype = self.kind(task, steps), self.dtype
        places, nothing = columns.places_of(kind), to_device(np.zeros(1, np.uint64))
        table = Table(places.rows, 1, dtype, kind.threads)
        table.T.copy_to_device(self.column(places, memory, steps, task).reshape(-1, 1))
        mask = np.ones(1, dtype) if steps is None or steps.mask is None else steps.mask
        orders = samples.Orders(self.orders(task, stretch), nothing, Table(1, 1, np.uint64, kind.threads).T, nothing)
        limits = np.array([plane_numbers.NEVER, np.inf, -np.inf, plane_numbers.NEVER, np.inf], dtype)
        rates = to_device(etas[:, None] if len(etas) else np.zeros((1, 1), dtype))
        block = plane_numbers.block_of(dtype)
        call = epochs.Call(stretch, rates, self.size, block, task.every, to_device(limits))
        recorded = Recorded(*(to_device(row[:, None].copy()) for row in found))
        D, V = self.data(task.D, task.D), self.data(task.V, task.D)
        launch = columns.launch_for(1, kind.threads)
        door.run(many.train_kernel(kind), launch, table.T, to_device(mask), D, V, orders, call, recorded)
        if stretch.epochs == 0:
            return 0, True
        for row, there in zip(found, recorded, strict=True):
            row[:] = there.copy_to_host()[:, 0]
        return self.take_back(table.T.copy_to_host()[:, 0], places, memory)

    def kind(self, task: Task, steps: Steps | None) -> columns.Kind:
        """What the kernel is compiled for."""
        return columns.Kind(
            sizes=self.sizes,
            activations=self.activations,
            loss=task.loss,
            dtype=str(self.dtype),
            rule=None if steps is None else type(self.rule),
            penalty=steps is not None and steps.lam is not None,
            masked=steps is not None and steps.mask is not None,
            adaptive=False,
            blocks=False,
            stalls=False,
            window=0,
            validated=len(task.V.X) > 0,
            weighted=(True, True),
            rowed=(False, False),
            own=False,
            threads=columns.team_size(self.sizes),
        )

    def data(self, D: Samples, instead: Samples) -> samples.Data:
        """A set for the kernel; where it has no samples, arrays of another stand in."""
        some = D if len(D.X) else instead
        X, Y, c = (self.there(array) for array in some[:3])
        return samples.Data(X, Y, c.reshape(len(c), 1), to_device(np.zeros((1, 1), np.uint64)), len(D.X))

    def column(self, places: columns.Places, memory: Memory, steps: Steps | None, task: Task) -> np.ndarray:
        """The column of a table that stands for this memory."""
        n, scalars = places.n, memory.scalars
        column = np.zeros(places.rows, self.dtype)
        column[:n] = memory.p
        if places.slots > places.best:
            column[places.best : places.best + n] = memory.best
        column[places.slots : places.gradient] = memory.slots.reshape(-1)[: places.gradient - places.slots]
        planes = column[places.planes :]
        if steps is not None:
            planes[:SETTINGS] = steps.constants
        planes[plane_numbers.LAM], planes[plane_numbers.REST] = lambda_of(steps)
        planes[plane_numbers.TARGET], planes[plane_numbers.ALIVE] = -np.inf, 1
        planes[plane_numbers.LEFT] = planes[plane_numbers.BEST_UNTIL] = plane_numbers.NEVER
        planes[plane_numbers.PRESENT], planes[plane_numbers.VALIDATING] = len(task.D.X), max(1, len(task.V.X))
        planes[plane_numbers.BEST], planes[plane_numbers.STRIP_LEAST] = scalars[BEST], np.inf
        for plane, scalar in _CARRIED:
            planes[plane] = scalars[scalar]
        return column

    def take_back(self, column: np.ndarray, places: columns.Places, memory: Memory) -> tuple[int, bool]:
        """The state after a call. Writes memory; returns what ``launch`` does."""
        planes = column[places.planes :]
        finite = planes[plane_numbers.REASON] != plane_numbers.DIVERGED
        memory.p[:] = column[: places.n]
        if places.slots > places.best:
            memory.best[:] = column[places.best : places.best + places.n]
        memory.slots.reshape(-1)[: places.gradient - places.slots] = column[places.slots : places.gradient]
        for plane, scalar in _CARRIED:
            memory.scalars[scalar] = planes[plane]
        return int(planes[plane_numbers.ENDED]), bool(finite)


_CARRIED = (
    (plane_numbers.TOTAL, TOTAL),
    (plane_numbers.CARRY, CARRY),
    (plane_numbers.SHARED1, SHARED1),
    (plane_numbers.SHARED2, SHARED2),
    (plane_numbers.LAST_OBJECTIVE, LAST_OBJECTIVE),
)


def lambda_of(steps: Steps | None) -> tuple[float, float]:
    """λ and 1 − λ."""
    if steps is None or steps.lam is None or steps.rest is None:
        return 1.0, 0.0
    return float(steps.lam), float(steps.rest)


class BatchTrainer(_Trainer):
    """Mini-batches and accumulated updates: all blocks together, many epochs in one launch."""

    @functools.cached_property
    def split(self) -> batch.Split:
        return batch.split_of(self.sizes, min(batch.CHUNK, self.size))

    @functools.cached_property
    def room(self) -> Room:
        """Work space on the device."""
        return batch.make_room(self.sizes, self.split, min(batch.CHUNK, self.size), self.dtype)

    def launch(
        self, task: Task, steps: Steps, memory: Memory, etas: np.ndarray, stretch: Stretch, found: np.ndarray
    ) -> tuple[int, bool]:
        """Run the kernel. Writes memory and found; returns how many epochs are complete, and whether all is finite."""
        V, dtype, complete = task.V, self.dtype, stretch.end == len(task.D.X)
        state = self.state(memory, steps)
        constants = to_device(np.array([*steps.constants, *lambda_of(steps)], dtype))
        mask = to_device(np.ones(1, dtype) if steps.mask is None else steps.mask)
        D = batch.Data(*map(self.there, task.D[:3]), self.orders(task, stretch), len(task.D.X))
        V = batch.Data(*map(self.there, V[:3]), self.in_order(len(V.X)), len(V.X)) if len(V.X) else D._replace(m=0)
        rates = to_device(etas if len(etas) else np.zeros(1, dtype))
        call = batch.Call(stretch, rates, self.size, task.every)
        recorded = Recorded(*map(to_device, found))
        launch = Launch(self.split.blocks, THREADS)
        door.run(
            batch.train_kernel(self.kind(task, steps)), launch, state, constants, mask, D, V, self.room, call, recorded
        )
        if stretch.epochs == 0:
            return 0, True
        for row, there in zip(found, recorded, strict=True):
            row[:] = there.copy_to_host()
        memory.p[:], memory.best[:] = state.p.copy_to_host(), state.best.copy_to_host()
        memory.slots[:] = state.S.copy_to_host().reshape(memory.slots.shape)
        scalars = state.scalars.copy_to_host()
        memory.scalars[:], broken = scalars[:SCALARS], int(scalars[batch.BROKEN])
        if complete:
            memory.scalars[[TOTAL, CARRY]] = 0
        return (broken - 1, False) if broken else (stretch.epochs if complete else 0, True)

    def kind(self, task: Task, steps: Steps) -> batch.Kind:
        """What the kernel is compiled for."""
        return batch.Kind(
            self.sizes,
            self.activations,
            task.loss,
            str(self.dtype),
            type(self.rule),
            steps.lam is not None,
            steps.mask is not None,
            self.split.wide,
            self.split.gradients > 1,
        )

    def state(self, memory: Memory, steps: Steps) -> State:
        """A copy of what the memory holds, on the device."""
        p, scalars = to_device(memory.p), np.zeros(batch.SCALARS, self.dtype)
        scalars[:SCALARS] = memory.scalars
        ahead = self.rule.ahead
        at = p if ahead is None else to_device(np.asarray(ahead(memory.p, memory.slots, steps.constants)))
        return State(p, at, to_device(memory.slots.reshape(-1, 1)), to_device(memory.best), to_device(scalars))


def trainer(
    sizes: Sequence[int], activations: Sequence[str], rule: Rule, stochastic: bool, size: int, dtype: Any
) -> _Trainer:
    """The driver for these settings."""
    kind = StochasticTrainer if stochastic else BatchTrainer
    return kind(sizes, activations, rule, 1 if stochastic else size, dtype)
