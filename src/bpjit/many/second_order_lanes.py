"""Many small networks by rules of second order, one in each lane, from their start to their end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..kernels.lanes import ends, packs
from ..kernels.lanes.packs import into_lanes, out_of_lanes
from ..kernels.layout import code_of_loss
from ..kernels.plane_numbers import DIVERGED, MAX_EPOCHS, TARGET_ERROR
from ..settings.stopping import Limits
from .groups import Group, Results, by_member

AT_ONCE = 32  # packs that a thread takes at a time, at most
CALL_SECONDS = 0.01
MOST_NUMBERS = 1 << 21  # that belong to all of them
FEWEST = 4  # passes in a call, however long they take
NAMES = {MAX_EPOCHS: "MaxEpochs", TARGET_ERROR: "TargetError", DIVERGED: "diverged"}
NAMES |= {ends.AT_MU_MAX: "mu_max", ends.AT_MIN_GRAD: "min_grad"}
NAMES |= {ends.AT_MAX_SEARCH: "max_search", ends.AT_SCALE_MAX: "scale_max"}


def epochs_left(group: Group) -> np.ndarray:
    """Epochs that each network may train for, if no more than float64 can count down from."""
    return np.minimum(by_member(group.epochs, np.arange(len(group))), 1 << 52)


class SecondOrderLanes(ABC):
    """The networks of a group: what belongs to each stands in rows, and is brought into lanes for a call."""

    registers: ClassVar[int]  # in a vector
    most: ClassVar[int]  # parameters up to which lanes are faster than one network after the other
    longest: ClassVar[float]  # pass that is worth lanes of which some are empty, in seconds
    passes: ClassVar[int]  # through the samples in a call; before the next, those that have stopped make room
    left: ClassVar[int]  # where the epochs left to a network stand, and why it stopped, 0 while it trains
    reason: ClassVar[int]
    kernel: ClassVar[Callable[..., None]]  # (task, P, numbers, passes, room)

    room: Any
    numbers: np.ndarray  # what belongs to each network, [shape: (networks, numbers)]

    def __init__(self, group: Group) -> None:
        net, self.group = group.net, group
        self.width = self.width_of_pack()
        self.X, self.Y = (array.astype(np.float64, order="C", copy=False) for array in (group.D.X, group.D.Y))
        self.layers, self.loss = packs.lay_out(net.sizes, (*net.hidden, net.output)), code_of_loss(group.loss)
        self.P = (group.start if group.kept is None else group.kept["P"]).astype(np.float64)
        self._seconds_of_pass = self.seconds_of_pass(group)

    @staticmethod
    @abstractmethod
    def seconds_of_pass(group: Group) -> float:
        """How long a pass takes a pack, about."""

    @abstractmethod
    def _task(self, rows: packs.Rows) -> Any:
        """What the kernel takes for these samples."""

    @staticmethod
    @abstractmethod
    def numbers_in_row(group: Group) -> int:
        """How many numbers belong to each network."""

    @classmethod
    def serves(cls, group: Group) -> bool:
        """Whether a group trains here, if it does not want to be watched: whatever the number of its networks, or their
        bits would depend on it. One by one, a call ends within a pass, where that is long."""
        small = len(group.net.parameters) <= cls.most and cls.seconds_of_pass(group) <= cls.longest
        return small and cls.packs_at_once(group) > 0

    @classmethod
    def packs_at_once(cls, group: Group) -> int:
        return min(AT_ONCE, MOST_NUMBERS // (cls.width_of_pack() * cls.numbers_in_row(group)))

    @classmethod
    def width_of_pack(cls) -> int:
        return packs.width(np.float64, cls.registers)

    @classmethod
    def portions(cls, group: Group, threads: int) -> list[slice]:
        """Members of a group to be trained at once, portion after portion, by so many threads."""
        width = cls.width_of_pack()
        most = width * max(1, min(cls.packs_at_once(group), -(-len(group) // (threads * width))))
        parts = -(-len(group) // most)
        return [slice(part, None, parts) for part in range(parts)]

    @classmethod
    def kind_of(cls, group: Group) -> tuple[object, ...]:
        """What decides which machine code trains a group, and more."""
        tables = [table is None for table in (group.D.c, group.D.row)]
        return (cls, group.net._activations, type(group.rules[0]), group.loss, *tables)

    def take_up(self, settings: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """The numbers of networks that go on from those ``kept``, those of a fresh start being ``settings``: where they
        ended because of their epochs or an error, they do not any more."""
        numbers = kept.copy()
        numbers[:, self.left] = settings[:, self.left]
        conditions = MAX_EPOCHS | TARGET_ERROR
        numbers[numbers[:, self.reason].astype(np.int64) & conditions > 0, self.reason] = 0.0
        return numbers

    def _rows(self, members: np.ndarray) -> packs.Rows:
        """Samples of these networks."""
        D, lots = self.group.D, -(-len(members) // self.width)
        shape = lots, D.m, self.width
        c = None if D.c is None else into_lanes(D.c[members].astype(np.float64), self.width).reshape(shape)
        row = None if D.row is None else into_lanes(D.row[members], self.width).reshape(shape)
        return packs.Rows(self.X, self.Y, c, row, D.m)

    def _call(self, members: np.ndarray, kernel: Callable[..., None], *how: int) -> None:
        """Run a kernel on some networks. Writes P and numbers."""
        numbers = into_lanes(self.numbers[members], self.width)
        gaps = np.arange(numbers.shape[0] * self.width) >= len(members)
        reasons = numbers.reshape(len(numbers), -1, self.width)[:, self.reason]
        reasons[gaps.reshape(reasons.shape)] = DIVERGED
        P = into_lanes(self.P[members], self.width)
        kernel(self._task(self._rows(members)), P, numbers, *how, self.room)
        self.P[members] = out_of_lanes(P, self.width)[: len(members)]
        self.numbers[members] = out_of_lanes(numbers, self.width)[: len(members)]

    def compile(self) -> None:
        """Make sure the machine code is there."""
        self._call(np.arange(1), self.kernel, 0)

    def _parts(self, members: np.ndarray, passes: int) -> list[np.ndarray]:
        """These networks, so many in each part as take no longer than a call may."""
        most = self.width * max(1, int(CALL_SECONDS / (passes * self._seconds_of_pass)))
        return [members[first : first + most] for first in range(0, len(members), most)]

    def run(self, limits: Limits, report: Callable[[int], None]) -> Results:
        """Train all until they have stopped, or ``limits`` are reached; ``report`` hears how many have stopped."""
        group, every = self.group, np.arange(len(self.group))
        members, reason = every, limits.reached()
        while len(members) and reason is None:
            passes = max(FEWEST, min(self.passes, int(CALL_SECONDS / self._seconds_of_pass)))
            for part in self._parts(members, passes):
                started = time.perf_counter()
                self._call(part, self.kernel, passes)
                elapsed, lots = time.perf_counter() - started, -(-len(part) // self.width)
                # Not less than was guessed: those that stop early tell nothing of others.
                self._seconds_of_pass = max(self.seconds_of_pass(group), elapsed / (lots * passes))
                if stopped := int(np.count_nonzero(self.numbers[part, self.reason])):
                    report(stopped)
                if (reason := limits.reached()) is not None:
                    break
            members = members[self.numbers[members, self.reason] == 0.0]
        results = Results.before(group)
        results.parameters[:] = self.P
        done = epochs_left(group) - self.numbers[:, self.left].astype(np.int64)
        results.epochs[:] = results.updates[:] = results.epochs + done
        if group.keeps:
            nowhere = np.zeros(len(group), np.int64)  # inside an epoch: what has begun of one stands in the numbers
            results.kept = {"P": self.P.copy(), "numbers": self.numbers.copy(), "position": nowhere}
        results.stopped_by[:] = [self._name(flags, reason) for flags in self.numbers[:, self.reason].astype(int)]
        return results

    def _name(self, flags: int, reason: str | None) -> str:
        """Why a network stopped: of conditions that fire together, the first is named."""
        if flags == 0:
            assert reason is not None
            return reason
        for name in (type(item).__name__ for item in self.group.conditions):
            if any(flags & flag and NAMES[flag] == name for flag in NAMES):
                return name
        return NAMES[flags]
