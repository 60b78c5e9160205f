"""A training on samples that stay where they are: its kernels see those of a stretch of an epoch, which are brought
into memory before each call, as if all were there. What depends on their number, where batches and calls end,
errors, counters, marks, is what it would be there, and so are all bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels.one import tiny
from ..kernels.one.chunks import CHUNK
from ..kernels.orders import LOW_BITS, count_keys, keys_between
from ..kernels.state import POSITION, Large, Samples
from ..maths import random_streams
from ..networks import source
from ..networks.source import NOTHING, Source
from .session import Session

WINDOW = 1 << 22  # rows whose order is in memory at a time


class Epoch:
    """The order of the samples in an epoch: blocks as they are drawn, and within each its samples by the keys of
    ``epoch_order``, so that one block has the order of an array; or all as they stand. The order of a large block is
    made range after range."""

    def __init__(self, source: Source, number: int | None, seed: int = 0) -> None:
        self.source, self.number = source, number
        self.blocks = np.arange(len(source))
        if number is not None:
            base = random_streams.base(seed, random_streams.ORDER)
            self.here = random_streams.stream(base, np.array([number], np.uint64))[0]
            if len(source) > 1:
                key = random_streams.base(seed, random_streams.BLOCKS)
                key = random_streams.stream(key, np.array([number], np.uint64))
                self.blocks = np.argsort(random_streams.draw(key, self.blocks.astype(np.uint64)), kind="stable")
        self.starts = np.concatenate([[0], np.cumsum(np.array(source.present)[self.blocks])])
        self._counts: tuple[int, np.ndarray] = (-1, NOTHING)
        self._range: tuple[int, int, np.ndarray] = (-1, -1, NOTHING)

    def bring(self, first: int, to: Samples, at: int, most: int) -> int:
        """Samples from position ``first`` on, as many as are easily at hand and ``most`` at most, to the rows of ``to``
        from ``at`` on; returns how many."""
        slot = int(np.searchsorted(self.starts, first, "right")) - 1
        index, offset = int(self.blocks[slot]), int(first - self.starts[slot])
        count = int(min(most, self.starts[slot + 1] - first))
        places: Any = slice(offset, offset + count)
        if self.number is not None:
            places = self._places(index, offset)[:count]
        self.source.bring(index, places, to, at)
        return len(places) if self.number is not None else count

    def _places(self, index: int, offset: int) -> np.ndarray:
        """Which samples of a block come from ``offset`` on: all those of a range."""
        source = self.source
        m = source.present[index]
        parts = -(-m // WINDOW)
        rows = source.opened(index).rows
        arguments = self.here, sum(source.given[:index]), NOTHING if rows is None else rows, m
        if self._counts[0] != index:
            counts = np.zeros(parts, np.int64)
            if parts > 1:
                count_keys(*arguments, counts)
            else:
                counts[0] = m
            self._counts = index, np.concatenate([[0], np.cumsum(counts)])
        ends = self._counts[1]
        part = int(np.searchsorted(ends, offset, "right")) - 1
        if self._range[:2] != (index, part):
            self._range = -1, -1, NOTHING
            keys = np.empty(int(ends[part + 1] - ends[part]), np.uint64)
            keys_between(*arguments, part, parts, keys)
            keys.sort()
            keys &= LOW_BITS
            self._range = index, part, keys.view(np.int64)
        return self._range[2][offset - ends[part] :]


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

    def __init__(self, D: Large, beyond: int = CHUNK) -> None:
        """``beyond``: how many samples more than it was told a call may visit."""
        self.source, self.m, self.beyond = D.source, D.source.m, beyond
        self.size = min(self.m, max(source.BUFFER // self.source.row_size, 2 * self.beyond))
        self.rows, self.numbers = self.source.room(self.size), np.arange(self.size)
        self.first = self.end = 0
        self.epoch: Epoch | None = None
        self.lying: tuple[np.ndarray, np.ndarray] | None = None  # data that an epoch takes just as they lie

    def bring(self, epoch: int | None, position: int, seed: int = 0) -> int:
        """Have the samples from a position on in memory, of an epoch or, where it is None, of the data as they stand.
        Returns how many a call may be told to visit."""
        if self.epoch is None or self.epoch.number != epoch:
            self.epoch, self.end = Epoch(self.source, epoch, seed), self.first
            self.lying = self.source.lying() if epoch is None else None
        if not self._reaches(position):
            self.numbers += position - self.numbers[0]
            if self.lying is None:
                self._fill(self.epoch, position)
            else:
                self.first, self.end = position, min(position + self.size, self.m)
        return self.m - position if self.end == self.m else self.end - position - self.beyond

    def _fill(self, epoch: Epoch, position: int) -> None:
        """Keep what is there from a position on, and bring what follows."""
        kept = max(0, self.end - position) if self.first <= position else 0
        for array in self.rows[:3] if kept else ():
            array[:kept] = array[position - self.first : self.end - self.first].copy()
        self.first, self.end = position, position + kept
        self.epoch = None  # if anything is raised meanwhile, it is not known what is there
        while self.end < min(self.m, self.first + self.size):
            room = self.first + self.size - self.end
            self.end += epoch.bring(self.end, self.rows, self.end - self.first, room)
        self.epoch = epoch

    def _reaches(self, position: int) -> bool:
        """Whether there are samples enough for a call."""
        if not self.first <= position < self.end:
            return False
        return self.end == self.m or self.end - position > self.beyond

    @property
    def samples(self) -> Samples:
        """All samples, as kernels see them."""
        X, Y, c = (shown(array, self.first, self.m) for array in self.rows[:3])
        if self.lying is not None:
            X, Y = self.lying
        return Samples(X, Y, c, self.rows.numbers)

    @property
    def places(self) -> np.ndarray:
        """Where each is."""
        return shown(self.numbers, self.first, self.m)


class WindowedSession(Session):
    """One training on D, validated on V, of which one or both stay where they are."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.shuffle = self.task.shuffle
        beyond = tiny.STRETCH if self.kernel in tiny.TRAIN_BLOCKS.values() else CHUNK
        self.of_D, self.of_V = (Window(D, beyond) if isinstance(D, Large) else None for D in (self.D, self.V))
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
