"""What a training is to its kernels: the data, how gradients become updates, and all that changes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

# Places in Memory.scalars.
TOTAL, CARRY, ERROR, SHARED1, SHARED2, LAST_OBJECTIVE, BEST = range(7)
SCALARS = 7

# Places in Memory.counters.
EPOCH, POSITION, UPDATES, BEST_EPOCH, VISITED = range(5)
COUNTERS = 5


class Task(NamedTuple):
    """What is trained, and on what."""

    D: Samples
    V: Samples  # validation set; without one it has no rows
    loss: Any  # its code, or a tuple of it where targets may be NaN, not known
    every: int  # epochs from one validation to the next
    shuffle: bool
    order_key: np.uint64


class Steps(NamedTuple):
    """How gradients become updates, where this is not standard BP.

    What stands in types is compiled in: the rule, and whether there is a mask or a λ.
    """

    kind: tuple[int, ...]  # as long as the code of the rule
    constants: np.ndarray  # the rule's settings, [shape: (settings.rules.SETTINGS,)]
    mask: np.ndarray | None  # 1 where a parameter is trained and 0 elsewhere, [shape: (n,)]; None where all are
    size: int  # samples in a batch; 1 is stochastic, m is accumulated
    lam: np.floating | None  # λ
    rest: np.floating | None  # 1 − λ


class Update(NamedTuple):
    """One update of parameters."""

    steps: Any  # Steps, or None for standard BP
    eta: Any  # η, times the weight of the sample where the update is standard BP
    shared: Any  # what all parameters share, as ``Rule.prepare`` has made it


class Memory(NamedTuple):
    """What a training changes and must keep to go on exactly: copy it, and you can come back."""

    p: np.ndarray  # parameters, [shape: (n,)]
    gradient: np.ndarray  # −Σ ∂E_k/∂p of the batch begun, [shape: (n,)]
    slots: np.ndarray  # the rule's state, [shape: (settings.rules.SLOTS, n)]
    best: np.ndarray  # parameters of the smallest validation error, [shape: (n,)]
    scalars: np.ndarray
    counters: np.ndarray


class Samples(NamedTuple):
    """A training or validation set as kernels see it."""

    X: np.ndarray  # inputs, [shape: (m, d)]
    Y: np.ndarray  # targets, [shape: (m, l)]
    c: np.ndarray  # weights c_k of mean 1, [shape: (m,)]
    numbers: np.ndarray  # uint64 number of each sample in the caller's data: it decides its place in an epoch


class Large(Samples):
    """Samples that are not in memory: ``source`` reads some of them at a time. The arrays have their shapes and dtypes,
    and hold nothing."""

    source: Any  # has parts(), and what whoever trains on them asks for


def parts_of(D: Samples) -> Iterator[Samples]:
    """All samples as they stand, some at a time where they are not in memory: a part is gone when the next comes."""
    return D.source.parts() if isinstance(D, Large) else iter((D,))


def count_of(D: Samples) -> int:
    """How many samples there are, known once all were read."""
    return int(D.source.m) if isinstance(D, Large) else len(D.X)


class Wishes(NamedTuple):
    """What is wanted of samples that pass through a network."""

    errors: bool = False  # Σ c_k E_k, returned
    y_hat: np.ndarray | None = None  # their outputs, written here, [shape: (m, l)]
    gradient: np.ndarray | None = None  # −Σ c_k ∂E_k/∂p, written here, [shape: (n,)]


class Order(NamedTuple):
    """The order of an epoch, and work space to make it."""

    places: np.ndarray  # of the samples in D, in the order of this epoch, [shape: (m,)]
    keys: np.ndarray  # uint64, [shape: (m,)]
    ends: np.ndarray  # [shape: (m + 1,)]
    ordered: np.ndarray  # the epoch whose order this is, [shape: (1,)]
    in_place: np.ndarray  # the order of the validation set, [shape: (its samples,)]

    @classmethod
    def of(cls, D: Samples, V: Samples) -> Order:
        """For these samples, and those to validate on; nothing of what is not in memory."""
        m, m_of_validation = (0 if isinstance(samples, Large) else len(samples.X) for samples in (D, V))
        ends = np.zeros(m + 1, np.int64)
        return cls(np.arange(m), np.zeros(m, np.uint64), ends, np.full(1, -1), np.arange(m_of_validation))
