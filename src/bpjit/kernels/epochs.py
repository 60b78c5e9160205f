"""Many epochs in one call: the order of each epoch, its updates, its validation, the network to keep.

``train_block`` goes on from wherever ``Memory`` stands, also inside an epoch, and stops after a given number of
samples, so that Python gets its turn. Sums keep their order at every border: the bits of a result do not depend on
how a training is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import streams
from ..formulas import like
from .batch import (
    BEST,
    BEST_EPOCH,
    CARRY,
    EPOCH,
    ERROR,
    POSITION,
    TOTAL,
    UPDATES,
    VISITED,
    Memory,
    Steps,
    Task,
    add_errors,
    batch_bp,
)
from .jit import formula, kernel
from .layers import Units
from .online import standard_bp


class Work(NamedTuple):
    """Work space of a training; nothing in it need be kept."""

    u: Units
    ahead: np.ndarray  # where Nesterov's rule takes its gradient, [shape: (n,)]
    order: np.ndarray  # places of the samples in D, in the order of this epoch, [shape: (m,)]
    keys: np.ndarray  # uint64, [shape: (m,)]
    ends: np.ndarray  # [shape: (m + 1,)]
    ordered: np.ndarray  # the epoch whose order this is, [shape: (1,)]

    @classmethod
    def of(cls, sizes: Sequence[int], n: int, m: int, dtype: np.dtype) -> Work:
        return cls(
            Units.of(sizes, dtype),
            np.zeros(n, dtype),
            np.arange(m),
            np.zeros(m, np.uint64),
            np.zeros(m + 1, np.int64),
            np.full(1, -1),
        )


@formula
def epoch_order(
    order_key: Any, epoch: int, numbers: np.ndarray, keys: np.ndarray, ends: np.ndarray, order: np.ndarray
) -> None:
    """Sort the samples by the upper 32 bits of a hash of (seed, epoch, sample number), ties by their place.

    So the order of a subset is the full order restricted to it. Each key goes to its bucket, as many buckets as
    samples; an insertion sort mends the few that lie within a bucket. Writes keys, ends and order.
    """
    m = len(numbers)
    here = streams.stream(order_key, np.uint64(epoch))
    for bucket in range(m + 1):
        ends[bucket] = 0
    for k in range(m):
        keys[k] = (streams.draw(here, numbers[k]) >> np.uint64(32)) << np.uint64(32) | np.uint64(k)
        ends[((keys[k] >> np.uint64(32)) * np.uint64(m)) >> np.uint64(32)] += 1
    for bucket in range(m - 1, -1, -1):
        ends[bucket] += ends[bucket + 1]
    for k in range(m):
        bucket = ((keys[k] >> np.uint64(32)) * np.uint64(m)) >> np.uint64(32)
        order[m - ends[bucket]] = k
        ends[bucket] -= 1
    for t in range(1, m):
        k = order[t]
        place = t
        while place > 0 and keys[order[place - 1]] > keys[k]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k


@formula
def all_finite(p: np.ndarray) -> bool:
    """Whether no parameter is NaN or infinite."""
    total = like(p[0], 0)
    for w in p:
        total += w * like(w, 0)
    return total == like(total, 0)


@formula
def finish_epoch(task: Task, memory: Memory, validated: bool) -> Any:
    """Note E or the validation error of the sums collected, start them anew. Returns the error, writes memory."""
    scalars = memory.scalars
    error = scalars[TOTAL] / like(scalars[0], len(task.V.X) if validated else len(task.D.X))
    scalars[TOTAL] = scalars[CARRY] = like(error, 0)
    if validated and error < scalars[BEST]:
        scalars[BEST] = error
        for i in range(len(memory.p)):
            memory.best[i] = memory.p[i]
        memory.counters[BEST_EPOCH] = memory.counters[EPOCH] + 1
    return error


@kernel
def train_block(
    task: Task,
    steps: Steps | None,
    memory: Memory,
    work: Work,
    etas: np.ndarray,
    budget: int,
    errors: np.ndarray,
    validation_errors: np.ndarray,
) -> bool:
    """Train until ``len(etas)`` epochs more are complete, or ``budget`` samples have been visited.

    Without ``steps`` it is standard BP, where gradient and update are one; the compiler drops the other branch.

    Writes memory, and errors and validation_errors for each epoch that it completes, [shape: (len(etas),)].
    Returns False if the error or a parameter is no longer finite; the epoch at fault then does not count.
    """
    u, order = work.u, work.order
    counters, scalars = memory.counters, memory.scalars
    m, end = len(task.D.X), len(task.D.X) + len(task.V.X)
    for t in range(len(etas)):
        eta, position = etas[t], counters[POSITION]
        if position < m:
            if task.shuffle and work.ordered[0] != counters[EPOCH]:
                work.ordered[0] = counters[EPOCH]
                epoch_order(task.order_key, counters[EPOCH], task.D.numbers, work.keys, work.ends, order)
            until = min(m, position + budget)
            if steps is None:
                standard_bp(task.layers, memory.p, task.D, order[position:until], task.loss, eta, u, scalars)
                counters[UPDATES] += until - position
            else:
                batch_bp(task, steps, memory, order, position, until, eta, u, work.ahead)
            budget -= until - position
            counters[VISITED] += until - position
            counters[POSITION] = position = until
            if position == m:
                scalars[ERROR] = finish_epoch(task, memory, False)
                if not (np.isfinite(scalars[ERROR]) and all_finite(memory.p)):
                    return False
        validated = end > m and (counters[EPOCH] + 1) % task.every == 0
        if validated and m <= position < end:
            until = min(end, position + budget)
            add_errors(task.layers, memory.p, task.V, position - m, until - m, task.loss, u, scalars)
            budget -= until - position
            counters[VISITED] += until - position
            counters[POSITION] = position = until
        if position < (end if validated else m):
            return True
        errors[t] = scalars[ERROR]
        validation_errors[t] = finish_epoch(task, memory, True) if validated else like(eta, np.nan)
        counters[EPOCH] += 1
        counters[POSITION] = 0
        if budget <= 0:
            return True
    return True
