"""A training on samples that stay where they are: its kernels see those of a stretch of an epoch, which are brought
into memory before each call, as if all were there. What depends on their number, where batches and calls end,
errors, counters, marks, is what it would be there, and so are all bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.one.chunks import CHUNK
from ..kernels.one.tiny import STRETCH
from ..kernels.state import POSITION, Large, Samples
from ..networks import source
from ..networks.source import Epoch
from .session import Session

BEYOND = max(CHUNK, STRETCH)  # samples that a call may visit more than it was told


class Shown:
    """Some rows of an array of m rows, as an array of all: the others are not there, and nobody may touch them."""

    def __init__(self, rows: np.ndarray, first: int, m: int) -> None:
        there = rows.__array_interface__
        place, _ = there["data"]
        self.rows = rows  # so that they stay
        self.__array_interface__ = {
            **there,
            "data": (place - first * rows.strides[0], False),
            "shape": (m, *rows.shape[1:]),
        }


def shown(rows: np.ndarray, first: int, m: int) -> np.ndarray:
    """An array of m rows, of which ``rows`` are those from ``first`` on."""
    return np.asarray(Shown(rows, first, m))


class Window:
    """Samples of an epoch from one position to another, in memory."""

    def __init__(self, D: Large) -> None:
        self.source, self.m = D.source, D.source.m
        self.size = min(self.m, max(source.BUFFER // self.source.row_size, 2 * BEYOND))
        self.rows = self.source.room(self.size)
        self.first = self.end = 0
        self.epoch: Epoch | None = None

    def bring(self, epoch: int | None, position: int, seed: int = 0) -> int:
        """Have the samples from a position on in memory, of an epoch or, where it is None, of the data as they stand.
        Returns how many a call may be told to visit."""
        if self.epoch is None or self.epoch.number != epoch:
            self.epoch, self.first, self.end = Epoch(self.source, epoch, seed), 0, 0
        if not self._reaches(position):
            kept = 0
            if self.first <= position < self.end:
                kept = self.end - position
                for array in self.rows[:3]:
                    array[:kept] = array[position - self.first : self.end - self.first].copy()
            self.first, self.end = position, position + kept
            while self.end < self.m and self.end < self.first + self.size:
                room = self.first + self.size - self.end
                try:
                    self.end += self.epoch.bring(self.end, self.rows, self.end - self.first, room)
                except BaseException:
                    self.epoch = None  # what is there now is anything
                    raise
        return self.m - position if self.end == self.m else self.end - position - BEYOND

    def _reaches(self, position: int) -> bool:
        """Whether there are samples enough for a call."""
        if not self.first <= position < self.end:
            return False
        return self.end == self.m or self.end - position > BEYOND

    @property
    def samples(self) -> Samples:
        """All samples, as kernels see them."""
        X, Y, c = (shown(array, self.first, self.m) for array in self.rows[:3])
        return Samples(X, Y, c, self.rows.numbers)

    @property
    def places(self) -> np.ndarray:
        """Where each is."""
        return shown(np.arange(self.first, self.first + self.size), self.first, self.m)


class WindowedSession(Session):
    """One training on D, validated on V, of which one or both stay where they are."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.shuffle = self.task.shuffle
        self.of_D, self.of_V = (Window(D) if isinstance(D, Large) else None for D in (self.D, self.V))
        if self.of_D is not None:
            self.task = self.task._replace(shuffle=False)  # they come in order
            self._show(learn=True)
        if self.of_V is not None:
            self._show(learn=False)

    def _show(self, learn: bool) -> None:
        """Let kernels see what is in memory now."""
        window = self.of_D if learn else self.of_V
        assert window is not None
        if learn:
            self.task = self.task._replace(D=window.samples)
            self.order = self.order._replace(places=window.places)
        else:
            self.task = self.task._replace(V=window.samples)
            self.order = self.order._replace(in_place=window.places)

    def _call_kernel(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Run within one epoch, and there on what can be in memory at a time."""
        epoch, position, m = self.epoch, int(self.memory.counters[POSITION]), len(self.D.X)
        learn = position < m
        window, most = (self.of_D, m - position) if learn else (self.of_V, self._budget)
        if window is not None:
            if learn:
                most = window.bring(epoch if self.shuffle else None, position, self.setting.seed)
            else:
                most = window.bring(None, position - m)
            self._show(learn)
        self._budget = min(self._budget, most)
        return super()._call_kernel(min(until, epoch + 1))
