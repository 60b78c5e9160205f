"""A training one update at a time: the same session and kernels as ``train``, held after every update.

The parameters so seen are those that training passes through, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..kernels.state import POSITION, Memory, Samples
from ..networks.evaluation import no_samples
from ..training.session import Session


class Update(NamedTuple):
    """One update of a training."""

    epoch: int  # epochs complete before it
    eta: float
    places: np.ndarray  # of its samples in the session's data
    before: Memory  # the whole state before it
    after: np.ndarray  # parameters after it, [shape: (n,)]
    slots: np.ndarray  # the rule's state after it, [shape: (rules.SLOTS, n)]


def updates_of(session: Session) -> Iterator[Update]:
    """Train without end, and yield every update. Each is made when it is asked for."""
    m = len(session.D.X)
    size = session.setting.size or m
    while True:
        before, epoch = session.mark().memory, session.epoch
        first = int(before.counters[POSITION])
        eta = float(session.setting.schedule.rates(np.array([epoch]))[0])
        session.run_samples(min(size, m - first))
        end = int(session.memory.counters[POSITION]) or m
        places = session.order.places[first:end].copy()
        if len(places) <= size:
            yield Update(epoch, eta, places, before, session.memory.p.copy(), session.memory.slots.copy())
        else:
            yield from _within_a_stretch(session, epoch, eta, places, before)


def _within_a_stretch(session: Session, epoch: int, eta: float, places: np.ndarray, before: Memory) -> Iterator[Update]:
    """The updates of plain standard BP on these samples, by a kernel that ends no call between them: each is the last
    one of a training on the samples up to it."""
    setting, net = replace(session.setting, shuffle=False), session.net
    now = before
    for count in range(1, len(places) + 1):
        D = Samples(*(array[places[:count]] for array in session.D))
        part = Session(net.with_parameters(before.p), D, no_samples(D), 1, setting)
        part.memory.counters[:] = before.counters
        part.memory.counters[POSITION] = 0
        part.run_samples(count)
        yield Update(epoch, eta, places[count - 1 : count], now, part.memory.p.copy(), part.memory.slots.copy())
        now = part.mark().memory
