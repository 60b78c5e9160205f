"""One network on the GPU, as Python calls it: training with the interface of the other drivers, and evaluation.

Updates after each sample run in one block or thread (``cuda.many``, with one network), batches on all blocks
(``cuda.batch``). A call carries the state over and back, a vector or a few; the data stay on the device.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ...settings.rules import Rule
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
    Task,
)
from . import batch, door, many
from .batch import SIDE, THREADS
from .door import Launch, empty, to_device
from .table import Table

CHUNK = 1 << 13  # samples whose units are kept at once
MOST_ORDERS = 1 << 22  # numbers in the orders of one call


class Way(NamedTuple):
    """How far a call goes: complete epochs, or part of one."""

    epochs: int
    begin: int
    end: int


def way(memory: Memory, m: int, size: int, wanted: int, budget: int) -> Way:
    """From where the memory stands, over about ``budget`` samples, to the end of a batch."""
    begin = int(memory.counters[POSITION])
    if wanted == 0 or budget <= 0:
        return Way(0, begin, begin)
    if budget < m - begin:
        return Way(1, begin, min(m, begin + -(-budget // size) * size))
    most = max(1, MOST_ORDERS // m)
    return Way(min(wanted, 1 + (budget - (m - begin)) // m, most), begin, m)


def on_device(D: Samples) -> Samples:
    """The same samples on the device, but for their numbers; where there are none, as they are."""
    return D._replace(X=to_device(D.X), Y=to_device(D.Y), c=to_device(D.c)) if len(D.X) else D


class _Trainer:
    """What both drivers share: data on the device, and the bookkeeping of ``epochs.make_train_block``."""

    def __init__(self, sizes: Sequence[int], activations: Sequence[str], rule: Rule, size: int, dtype: Any) -> None:
        self.sizes, self.activations, self.rule, self.size = tuple(sizes), tuple(activations), rule, size
        self.dtype = np.dtype(dtype)
        self._sent: dict[int, Any] = {}
        self._in_order: Any = None
        self._ahead: Any = None  # the orders being made, and for which epochs
        self._maker = ThreadPoolExecutor(1, "bpjit")

    def there(self, array: Any) -> Any:
        """An array on the device; what was sent once stays."""
        if id(array) not in self._sent:
            self._sent[id(array)] = array, to_device(array)
        return self._sent[id(array)][1]

    def orders(self, task: Task, first: int, count: int) -> Any:
        """The orders of some epochs, on the device. Meanwhile those of the next are made, by a thread of their own."""
        if not task.shuffle or count == 0:
            if self._in_order is None:
                self._in_order = to_device(np.arange(len(task.D.X), dtype=np.uint64)[None])
            return self._in_order
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
        validation_errors: np.ndarray,
    ) -> bool:
        """As the drivers of ``epochs.make_train_block``; a call ends where a batch does."""
        m, counters, scalars = len(task.D.X), memory.counters, memory.scalars
        going = way(memory, m, self.size, len(etas), budget)
        epoch, best = int(counters[EPOCH]), scalars[BEST]
        found = np.full((2, max(1, going.epochs)), np.nan, self.dtype)
        done, finite = self.launch(task, steps, memory, etas[: max(1, going.epochs)], going, found)
        if going.epochs == 0:
            return True
        complete = going.end == m
        counters[VISITED] += (going.epochs - 1) * m + going.end - going.begin
        counters[UPDATES] += self.updates(going, m)
        if complete:
            counters[EPOCH] += done
            counters[POSITION] = 0
            errors[:done], validation_errors[:done] = found[0, :done], found[1, :done]
            for t in np.flatnonzero(np.isfinite(found[1, :done])):
                if found[1, t] < best:
                    best = scalars[BEST] = found[1, t]
                    counters[BEST_EPOCH] = epoch + t + 1
            if done:
                scalars[ERROR] = errors[done - 1]
        else:
            counters[POSITION] = going.end
        return finite

    def updates(self, going: Way, m: int) -> int:
        """How many batches end on the way."""
        whole = -(-m // self.size)
        at_end = whole if going.end == m else going.end // self.size
        return (going.epochs - 1) * whole + at_end - going.begin // self.size


class StochasticTrainer(_Trainer):
    """Updates after each sample: one thread or block, many epochs in one launch."""

    def launch(
        self, task: Task, steps: Any, memory: Memory, etas: np.ndarray, going: Way, found: np.ndarray
    ) -> tuple[int, bool]:
        """Run the kernel. Writes memory and found; returns how many epochs are complete, and whether all is finite."""
        D, V, dtype = task.D, task.V, self.dtype
        validated = len(V.X) > 0
        kind = many.Kind(
            sizes=self.sizes,
            activations=self.activations,
            loss=task.loss,
            dtype=str(dtype),
            rule=None if steps is None else self.rule.name,
            penalty=steps is not None and steps.lam is not None,
            masked=steps is not None and steps.mask is not None,
            adaptive=False,
            blocks=False,
            stalls=False,
            window=0,
            validated=validated,
            weighted=(True, True),
            rowed=(False, False),
            own=False,
            threads=many.team_size(self.sizes),
        )
        at, n = many.places_of(kind), len(memory.p)
        table = Table(at.rows, 1, dtype, kind.threads)
        column = self.column(at, memory, steps, task)
        table.memory.copy_to_device(column.reshape(table.memory.shape))
        mask = np.ones(1, dtype) if steps is None or steps.mask is None else steps.mask
        numbers = np.zeros(1, np.uint64)
        nowhere = to_device(np.zeros((1, 1), np.uint64))
        c, c_of_V = self.there(D.c), self.there(V.c) if validated else self.there(D.c)
        sets = [(self.there(D.X), self.there(D.Y), c), (self.there(V.X if validated else D.X),)]
        sets[1] = (sets[1][0], self.there(V.Y if validated else D.Y), c_of_V)
        rows = [(X, Y, _as_column(weights, kind.threads), nowhere) for X, Y, weights in sets]
        recorded, validation_errors = (to_device(row[:, None].copy()) for row in found)
        limits = np.array([plane_numbers.NEVER, np.inf, -np.inf, plane_numbers.NEVER, np.inf], dtype)
        sizes = len(D.X), len(V.X), task.every, self.size, plane_numbers.block_of(dtype)
        door.run(
            many.train_kernel(kind),
            many.launch_for(1, kind.threads),
            table.T,
            to_device(mask),
            *rows[0],
            *rows[1],
            self.orders(task, int(memory.counters[EPOCH]), going.epochs),
            to_device(numbers),
            Table(1, 1, np.uint64, kind.threads).T,
            to_device(numbers),
            to_device(etas[:, None] if len(etas) else np.zeros((1, 1), dtype)),
            to_device(limits),
            recorded,
            validation_errors,
            sizes,
            (int(memory.counters[EPOCH]), going.epochs),
            (going.begin, going.end),
        )
        if going.epochs == 0:
            return 0, True
        column = table.memory.copy_to_host().reshape(-1)
        found[0], found[1] = recorded.copy_to_host()[:, 0], validation_errors.copy_to_host()[:, 0]
        return self.take_back(column, at, n, memory)

    def column(self, at: many.Places, memory: Memory, steps: Any, task: Task) -> np.ndarray:
        """The column of a table that stands for this memory."""
        n, m, scalars = len(memory.p), len(task.D.X), memory.scalars
        column = np.zeros(at.rows, self.dtype)
        column[:n] = memory.p
        if at.slots > at.best:
            column[at.best : at.best + n] = memory.best
        column[at.slots : at.gradient] = memory.slots.reshape(-1)[: at.gradient - at.slots]
        planes = column[at.planes :]
        if steps is not None:
            planes[:5] = steps.constants
        planes[plane_numbers.LAM], planes[plane_numbers.REST] = 1.0, 0.0
        if steps is not None and steps.lam is not None:
            planes[plane_numbers.LAM], planes[plane_numbers.REST] = steps.lam, steps.rest
        planes[plane_numbers.TARGET], planes[plane_numbers.ALIVE], planes[plane_numbers.LEFT] = (
            -np.inf,
            1,
            plane_numbers.NEVER,
        )
        planes[plane_numbers.PRESENT], planes[plane_numbers.VALIDATING] = m, max(1, len(task.V.X))
        planes[plane_numbers.BEST_UNTIL] = plane_numbers.NEVER
        planes[plane_numbers.BEST], planes[plane_numbers.STRIP_LEAST] = scalars[BEST], np.inf
        for plane, scalar in _CARRIED:
            planes[plane] = scalars[scalar]
        return column

    def take_back(self, column: np.ndarray, at: many.Places, n: int, memory: Memory) -> tuple[int, bool]:
        """The state after a call. Writes memory."""
        planes = column[at.planes :]
        finite = planes[plane_numbers.REASON] != plane_numbers.DIVERGED
        memory.p[:] = column[:n]
        if at.slots > at.best:
            memory.best[:] = column[at.best : at.best + n]
        memory.slots.reshape(-1)[: at.gradient - at.slots] = column[at.slots : at.gradient]
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


def _as_column(weights: Any, threads: int) -> Any:
    """Weights on the device as a table of one column."""
    return weights.reshape(len(weights), 1) if threads == 1 else weights.reshape(1, len(weights)).T


class BatchTrainer(_Trainer):
    """Mini-batches and accumulated updates: all blocks together, many epochs in one launch."""

    def launch(
        self, task: Task, steps: Any, memory: Memory, etas: np.ndarray, going: Way, found: np.ndarray
    ) -> tuple[int, bool]:
        """Run the kernel. Writes memory and found; returns how many epochs are complete, and whether all is finite."""
        D, V, dtype, n = task.D, task.V, self.dtype, len(memory.p)
        most = min(CHUNK, self.size)
        split = split_of(self.sizes, most)
        kind = batch.Kind(
            self.sizes,
            self.activations,
            task.loss,
            str(dtype),
            self.rule.name,
            steps.lam is not None,
            steps.mask is not None,
            split.wide,
            split.gradients > 1,
        )
        kernel = batch.train_kernel(kind)
        p = to_device(memory.p)
        at = to_device(look_ahead(self.rule, memory, steps)) if self.rule.ahead is not None else p
        S = to_device(memory.slots.reshape(-1, 1))
        best, scalars = to_device(memory.best), np.zeros(batch.SCALARS, dtype)
        scalars[:SCALARS] = memory.scalars
        scalars_there = to_device(scalars)
        lam, rest = (1.0, 0.0) if steps.lam is None else (steps.lam, steps.rest)
        constants = to_device(np.array([*steps.constants, lam, rest], dtype))
        mask = to_device(np.ones(1, dtype) if steps.mask is None else steps.mask)
        recorded, validation_errors = to_device(found[0]), to_device(found[1])
        validated = V if len(V.X) else D
        door.run(
            kernel,
            Launch(split.blocks, THREADS),
            p,
            at,
            S,
            best,
            mask,
            constants,
            *(self.there(array) for array in D[:3]),
            *(self.there(array) for array in validated[:3]),
            self.orders(task, int(memory.counters[EPOCH]), going.epochs),
            self.validation_order(len(validated.X)),
            to_device(etas if len(etas) else np.zeros(1, dtype)),
            *self.room(split, most, n),
            scalars_there,
            recorded,
            validation_errors,
            (len(D.X), len(V.X), self.size, most, task.every),
            (int(memory.counters[EPOCH]), going.epochs),
            (going.begin, going.end),
        )
        if going.epochs == 0:
            return 0, True
        memory.p[:], memory.best[:] = p.copy_to_host(), best.copy_to_host()
        memory.slots[:] = S.copy_to_host().reshape(memory.slots.shape)
        scalars = scalars_there.copy_to_host()
        memory.scalars[:] = scalars[:SCALARS]
        found[0], found[1] = recorded.copy_to_host(), validation_errors.copy_to_host()
        broken = int(scalars[batch.BROKEN])
        if going.end == len(D.X):
            memory.scalars[[TOTAL, CARRY]] = 0
        return (broken - 1, False) if broken else (going.epochs if going.end == len(D.X) else 0, True)

    def validation_order(self, m: int) -> Any:
        if not hasattr(self, "_validation_order"):
            self._validation_order = to_device(np.arange(m, dtype=np.uint64))
        return self._validation_order

    def room(self, split: Split, most: int, n: int) -> Any:
        """Work space on the device; it is kept."""
        if not hasattr(self, "_room"):
            self._room = make_room(self.sizes, split, most, n, self.dtype)
        return self._room


def look_ahead(rule: Any, memory: Memory, steps: Any) -> np.ndarray:
    """Where a rule that looks ahead takes its gradient."""
    return np.asarray(rule.ahead(memory.p, memory.slots, steps.constants))


class Split(NamedTuple):
    """How work is shared out among the blocks: a matter of the sizes and the device."""

    blocks: int
    wide: int  # results of a thread along each side of a tile
    products: int  # shares of each sum of the first layer
    gradients: int  # shares of each sum over the samples


def split_of(sizes: Sequence[int], most: int) -> Split:
    """For chunks of so many samples."""
    blocks, d, q = door.multiprocessors(), sizes[0], sizes[1]
    tiles = {}
    for wide in (4, 2):
        side = SIDE * wide
        tiles[wide] = (
            -(-most // side) * -(-q // side),
            sum(-(-fan_in // side) * -(-fan_out // side) for fan_in, fan_out in itertools.pairwise(sizes)),
        )
    wide = 4 if most >= 1024 else 2
    forward, back = tiles[wide]
    products = max(1, min(blocks // forward, d // (2 * batch.DEEP)))
    gradients = max(1, min(blocks // back, most // 256))
    if door.SIMULATED:
        blocks = 1  # which has no barrier for more
    return Split(blocks, wide, products, gradients)


def make_room(sizes: Sequence[int], split: Split, most: int, n: int, dtype: Any) -> tuple[Any, ...]:
    """Work space for a chunk: products, z, b, slope, g, E, G, as in ``cuda.batch.Room``."""
    units = sum(sizes[1:])
    return (
        empty((split.products, most, sizes[1]), dtype),
        *(empty((most, units), dtype) for _ in range(4)),
        empty((most,), dtype),
        empty((split.gradients, n), dtype),
    )


def trainer(
    sizes: Sequence[int], activations: Sequence[str], rule: Rule, stochastic: bool, size: int, dtype: Any
) -> _Trainer:
    """The driver for these settings."""
    kind = StochasticTrainer if stochastic else BatchTrainer
    return kind(sizes, activations, rule, 1 if stochastic else size, dtype)


def evaluate(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    D: Samples,
    loss: int,
    *,
    errors: bool = False,
    y_hat: np.ndarray | None = None,
    gradient: np.ndarray | None = None,
) -> Any:
    """As ``drivers.evaluate``: runs all samples through a network with parameters p. Writes what is given of y_hat,
    [shape: (m, l)], and gradient −Σ c_k ∂E_k/∂p; returns Σ c_k E_k if ``errors``."""
    outputs, total = _visit(sizes, activations, p, D, loss, errors, y_hat is not None, gradient)
    if y_hat is not None:
        y_hat[:] = outputs.copy_to_host()
    return p.dtype.type(total)


def predict_there(sizes: Sequence[int], activations: Sequence[str], p: np.ndarray, X: Any) -> Any:
    """Outputs for samples on the device, on the device."""
    D = Samples(to_device(X), None, None, None)
    return _visit(sizes, activations, p, D, 0, False, True, None)[0]


def _visit(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    D: Samples,
    loss: int,
    errors: bool,
    predict: bool,
    gradient: np.ndarray | None,
) -> tuple[Any, float]:
    """Outputs on the device, if wanted, and Σ c_k E_k, if wanted. Writes gradient, if given."""
    m, n, dtype = int(D.X.shape[0]), len(p), p.dtype
    most = max(1, min(m, CHUNK))
    split = split_of(sizes, most)
    blocks = 3 if door.SIMULATED else split.blocks
    kind = batch.Kind(
        tuple(sizes), tuple(activations), loss, str(dtype), "sgd", False, False, split.wide, split.gradients > 1
    )
    launch = Launch(blocks, THREADS)
    products_of, samples_of, gradients_of = batch.stage_kernels(kind)
    products, z, b, slope, g, E, G = make_room(sizes, split, most, n, dtype)
    there, X, order = to_device(p), to_device(D.X), to_device(np.arange(m, dtype=np.uint64))
    outputs = empty((m if predict else 0, sizes[-1]), dtype)
    Y, c = (outputs, there) if predict else (to_device(D.Y), to_device(D.c))
    total = 0.0
    for first in range(0, m, most):
        count = min(most, m - first)
        door.run(products_of, launch, there, X, order, first, count, products)
        wishes = outputs, gradient is not None
        door.run(samples_of, launch, there, X, Y, c, order, first, count, products, z, b, slope, g, E, *wishes)
        if gradient is not None:
            slots, mask = empty((1, 1), dtype), empty((1,), dtype)
            door.run(gradients_of, launch, there, slots, mask, X, order, first, count, b, g, G, first == 0)
        if errors:
            total += float(E.copy_to_host()[:count].sum(dtype=np.float64))
    if gradient is not None:
        gradient[:] = G.copy_to_host().sum(axis=0)
    return outputs, total
