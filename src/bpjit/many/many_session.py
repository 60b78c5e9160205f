"""Many networks under way.

A ``ManySession`` takes the networks of a group through all their epochs: it runs blocks of epochs, takes out those that
have stopped, and closes the gaps, so that lanes stay full. How their state lies in memory its ``Seats`` alone know:
those of ``lane_seats`` on the CPU, of ``cuda_seats`` on the GPU.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..kernels import plane_numbers
from ..maths import formulas
from ..settings.stopping import EarlyStopping, Limits, MaxEpochs, NoImprovement, TargetError
from ..training.session import CALL_SECONDS, FIRST_CALL_SECONDS, MOST_EPOCHS
from .data import concerning
from .groups import Group, Results, by_member
from .starts import planes_of, start_of, to_keep

SHORT_CALL_SECONDS = 0.0005  # worth its overhead
MOST_ORDERS = 1 << 18  # numbers in the orders of one call
FLAGS = {  # in the planes, of each condition
    MaxEpochs: plane_numbers.MAX_EPOCHS,
    TargetError: plane_numbers.TARGET_ERROR,
    EarlyStopping: plane_numbers.EARLY_STOPPING,
    NoImprovement: plane_numbers.NO_IMPROVEMENT,
}


class Seats(Protocol):
    """Where networks of a group sit while they train: how their state lies in memory, and the kernels that train it.

    ``state`` is all that changes, in parts with the names of ``lanes.packs.Packs``. A slot is the place of a network
    among those that sit here: numbers, rows and results come in this order.
    """

    group: Group
    members: np.ndarray  # of the group, that sit here
    state: Any
    lots: int  # in which they train, one after another

    def sit(self, members: np.ndarray, rows: dict[str, np.ndarray]) -> None:
        """Let these networks sit here, with a row of each part of the state for each."""

    def keep(self, stay: np.ndarray) -> None:
        """Let the networks in these slots sit together, in as little room as holds them."""

    def fits_better(self, still: int) -> bool:
        """Whether so many of these networks would train in less time."""

    def until_fewer(self, left: np.ndarray) -> int:
        """Epochs until they would, where so many are left to each network."""

    def get(self, plane: int) -> np.ndarray:
        """What belongs to each network, [shape: (networks,)]."""

    def set(self, state: Any, plane: int, values: np.ndarray) -> None:
        """Write what belongs to each network."""

    def vectors(self, state: Any, name: str, slots: np.ndarray) -> np.ndarray:
        """A part of the state of the networks in these slots, a row for each."""

    def put(self, state: Any, name: str, rows: np.ndarray) -> None:
        """Write a part of the state of all networks."""

    def copy(self, state: Any) -> Any:
        """The same state elsewhere."""

    def all_finite(self, state: Any, name: str) -> np.ndarray:
        """Whether no parameter of a network is NaN or infinite, [shape: (networks,)]."""

    def rates(self, etas: np.ndarray) -> Any:
        """η as kernels take it, given for all epochs or for each, and of all networks of the group or of each,
        [shape: (epochs or 1, networks or 1)]."""

    def prepare_orders(self, epoch: int, count: int) -> None:
        """Make the orders of so many epochs ready."""

    def train(
        self,
        state: Any,
        etas: Any,
        epochs: tuple[int, int],
        stretch: tuple[int, int] | None = None,
        record: bool = False,
        watching: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the kernel: the first epoch and how many, and the positions from which in the first and up to which in
        the last. It stops networks by all conditions, or, not ``watching``, by epochs and errors alone. Writes state.
        Returns errors and validation errors, [shape: (networks, epochs)], if they are to be recorded."""

    def measure(self, state: Any, validation: bool = False) -> np.ndarray:
        """E of each network as it stands, on its training or its validation set, [shape: (networks,)]."""


def measure_all(seats: Seats, results: Results) -> None:
    """The errors of networks as they are returned. Writes results."""
    group, vectors, every = seats.group, results.parameters, np.arange(len(seats.group))
    seats.sit(every, {"P": vectors, "final": vectors, "planes": planes_of(group, every)})
    results.errors[:] = seats.measure(seats.state)
    if group.V.m > 0:
        results.validation_errors[:] = seats.measure(seats.state, validation=True)


def rates_of(group: Group, epochs: np.ndarray) -> np.ndarray:
    """η in these epochs by each schedule. What one of the user's own raises names the network."""
    rates: list[np.ndarray] = []
    try:
        for schedule in group.schedules:
            rates.append(schedule.rates(epochs))
    except (TypeError, ValueError) as error:
        with concerning(int(group.members[len(rates)])) if len(group.schedules) > 1 else contextlib.nullcontext():
            raise error
    return np.array(rates)


class ManySession:
    """Networks of a group, all or some, from their start to their end."""

    def __init__(self, seats: Seats, members: np.ndarray | None = None) -> None:
        self.seats, self.group = seats, seats.group
        group, n = self.group, len(seats.group.net.parameters)
        members = np.arange(len(group)) if members is None else members
        self.results = Results.before(group)
        self.least_epochs = np.zeros(len(group), np.int64)  # as best_epochs for errors, where NoImprovement asks
        self.history: list[list[np.ndarray]] = [[] for _ in range(len(group) if group.history else 0)]
        self.validation_history: list[list[np.ndarray]] = [[] for _ in self.history]
        if group.kept is not None:
            self._take_up(group.kept)
        self.epoch, self._position = group.first, group.position  # complete epochs, and samples of the next
        self._budget = FIRST_CALL_SECONDS
        self._seconds_of_epoch = 20 * group.D.m * (1e-10 * n + 2e-9)  # of one lot; a guess before the first call
        start = start_of(group, members)
        self._names = [name for name in start if name != "final"]
        seats.sit(members, start)
        self._settle()
        if group.adaptive and group.kept is None:
            dtype, lam = group.net.dtype, by_member(group.lam, members)
            squares, errors = np.square(group.start[members]).sum(axis=1), seats.measure(seats.state)
            now = formulas.regularised_objective(errors, squares, lam.astype(dtype), (1.0 - lam).astype(dtype))
            seats.set(seats.state, plane_numbers.OBJECTIVE, np.where(np.isnan(now), np.inf, now))

    def _take_up(self, kept: dict[str, np.ndarray]) -> None:
        """What does not belong to a state in its seats."""
        self.least_epochs[:] = kept["least_epochs"]
        if self.group.history:
            self.history = [[errors] for errors in kept["errors"]]
            self.validation_history = [[errors] for errors in kept["validation_errors"]]

    def _settle(self) -> None:
        """All that sit here now are alive."""
        self.alive = np.ones(len(self.seats.members), bool)
        self._rates = self.seats.rates(self.group.etas[None])  # of all epochs, unless there are schedules

    # --- Running.

    def compile(self) -> None:
        """Make sure the machine code is there, for so many networks as these."""
        self.seats.train(self.seats.state, self._etas(1), (0, 0))
        self.seats.measure(self.seats.state)

    def run(self, limits: Limits, report: Callable[[int], None] = lambda stopped: None) -> Results:
        """Train all until they have stopped, or ``limits`` are reached; ``report`` hears how many have stopped."""
        seats = self.seats
        while self.alive.any():
            reason = limits.reached()
            stopped = self._call(self._horizon(), limits) if reason is None else None
            if stopped is None:  # perhaps inside an epoch
                slots = np.flatnonzero(self.alive)
                vectors = seats.vectors(seats.state, "P", slots)
                self._write(slots, vectors, np.full(len(slots), self.epoch), np.full(len(slots), limits.reached()))
                self._keep(slots, seats.state, self._position)
                break
            if stopped:
                report(stopped)
        return self._finish()

    def _finish(self) -> Results:
        """The results, with the errors of networks as they are returned."""
        results = self.results
        if self.group.keeps:
            results.kept["least_epochs"] = self.least_epochs
        measure_all(self.seats, results)
        results.history, results.validation_history = (
            [np.concatenate([np.empty(0), *pieces]) for pieces in history]
            for history in (self.history, self.validation_history)
        )
        return results

    def _horizon(self) -> int:
        """How many epochs to run next."""
        group, seats = self.group, self.seats
        left = self._left(seats.members[self.alive])
        cost = self._seconds_of_epoch * seats.lots
        affordable = self._budget / cost
        if not group.foreseen:
            affordable = min(affordable, max((self.epoch - group.first) // 8, SHORT_CALL_SECONDS / cost))
        elif left.min() < left.max():  # until they sit better
            affordable = min(affordable, max(seats.until_fewer(left), SHORT_CALL_SECONDS / cost))
        if group.shuffled:
            affordable = min(affordable, MOST_ORDERS // group.D.m)
        return 1 if self._position else int(min(max(1, affordable), left.max(), MOST_EPOCHS))

    def _left(self, members: np.ndarray) -> np.ndarray:
        """Epochs left to these networks."""
        return self.group.first + by_member(self.group.epochs, members) - self.epoch

    def _etas(self, count: int, later: int = 0) -> Any:
        """η of each network in so many epochs, the next ones or some ``later``, as kernels take it."""
        if not self.group.schedules or self.group.adaptive:  # an adaptive one stands in the planes
            return self._rates
        epochs = np.arange(self.epoch + later, self.epoch + later + count)
        return self.seats.rates(rates_of(self.group, epochs).T)

    def _call(self, count: int, limits: Limits) -> int | None:
        """Run so many epochs; returns how many networks stopped meanwhile, or None if limits were reached."""
        group, seats, state = self.group, self.seats, self.seats.state
        seats.set(state, plane_numbers.LEFT, np.minimum(self._left(seats.members), plane_numbers.NEVER))
        for record in self._records():
            self._begin_counting(*record)
        seats.prepare_orders(self.epoch, count)
        before, etas = seats.copy(state), self._etas(count)
        started = time.perf_counter()
        m, cost = group.D.m, self._seconds_of_epoch * seats.lots
        step = m if count > 1 else max(1, min(m, int(m * CALL_SECONDS / cost)))
        self._begun = self._position
        for first in range(self._begun, m, step):
            if first > self._begun and limits.reached() is not None:
                self._position = first
                return None
            stretch = first, min(first + step, m)
            recorded = seats.train(state, etas, (self.epoch, count), stretch, record=group.history)
        self._position = 0
        elapsed = time.perf_counter() - started
        self._seconds_of_epoch = max(1e-9, elapsed / (count * seats.lots))
        self._budget = min(CALL_SECONDS, 20 * self._budget)
        for record in self._records():
            self._count(*record)
        alive = self._still_alive()
        gone = np.flatnonzero(self.alive & ~alive)
        if group.history:
            self._record(*recorded, count)
        if len(gone):
            self._take_out(gone, before, etas, count)
        self.alive = self.alive & alive
        self.epoch += count
        still = int(np.count_nonzero(self.alive))
        if still and seats.fits_better(still):
            seats.keep(np.flatnonzero(self.alive))
            self._settle()
        return len(gone)

    def _records(self) -> list[tuple[int, int, int, np.ndarray]]:
        """What networks must improve on: planes with the epoch when they last did and with that until which they may do
        without, how many these are, and the epochs of all networks of the group."""
        group, records = self.group, []
        if group.validates:
            records.append((plane_numbers.BEST_AT, plane_numbers.BEST_UNTIL, group.patience, self.results.best_epochs))
        if group.stalls:
            assert group.window is not None
            patience = group.window.patience
            records.append((plane_numbers.LEAST_AT, plane_numbers.LEAST_UNTIL, patience, self.least_epochs))
        return records

    def _begin_counting(self, place: int, until: int, patience: int, epochs: np.ndarray) -> None:
        """Planes count epochs from the start of a call: so even float32 does not lose one."""
        seats, last = self.seats, epochs[self.seats.members]
        seats.set(seats.state, place, np.zeros(len(last)))
        seats.set(seats.state, until, np.minimum(last + (last == 0) + patience - self.epoch, plane_numbers.NEVER))

    def _count(self, place: int, until: int, patience: int, epochs: np.ndarray) -> None:
        """Note when networks last improved, if they did in this call."""
        last, members = self.seats.get(place).astype(np.int64), self.seats.members
        epochs[members] = np.where(last > 0, self.epoch + last, epochs[members])

    def _still_alive(self) -> np.ndarray:
        """Which networks have not stopped. The kernel looks at errors only; here parameters are, and a network that
        has one beyond all numbers has diverged, the last epoch at which it had not being found by ``_last_finite``."""
        seats, state = self.seats, self.seats.state
        alive = seats.get(plane_numbers.ALIVE) > 0
        broken = ~np.where(alive, seats.all_finite(state, "P"), seats.all_finite(state, "final"))
        if (broken & self.alive).any():
            for plane, value in ((plane_numbers.ALIVE, 0), (plane_numbers.REASON, plane_numbers.DIVERGED)):
                seats.set(state, plane, np.where(broken & self.alive, value, seats.get(plane)))
        return seats.get(plane_numbers.ALIVE) > 0

    # --- Out.

    def _record(self, errors: np.ndarray, validation_errors: np.ndarray, count: int) -> None:
        """Keep the errors of the epochs just run, [shape: (networks, count)]."""
        get, members = self.seats.get, self.seats.members
        done = np.where(get(plane_numbers.ALIVE) > 0, count, get(plane_numbers.ENDED)).astype(np.int64)
        for rows, history in ((errors, self.history), (validation_errors, self.validation_history)):
            for slot in np.flatnonzero(self.alive):
                history[members[slot]].append(rows[slot, : done[slot]].copy())

    def _take_out(self, gone: np.ndarray, before: Any, etas: Any, count: int) -> None:
        """Write down what became of the networks in these slots."""
        get, seats = self.seats.get, self.seats
        flags, done = (get(plane)[gone].astype(np.int64) for plane in (plane_numbers.REASON, plane_numbers.ENDED))
        vectors = seats.vectors(seats.state, "final", gone)
        names = np.empty(2 * plane_numbers.DIVERGED, object)
        for flag in np.flatnonzero(np.bincount(flags)).tolist():
            names[flag] = self._reason(flag)
        diverged = np.flatnonzero(flags == plane_numbers.DIVERGED)
        if len(diverged):
            vectors[diverged], done[diverged] = self._last_finite(gone[diverged], done[diverged], before, etas, count)
        if self.group.keeps:
            going = slice(None) if self.group.resumable else names[flags] == MaxEpochs.__name__
            self._keep_all(gone[going], done[going], before, count)
        self._write(gone, vectors, self.epoch + done, names[flags])

    def _reason(self, flags: int) -> str:
        """The name of the condition that fired, the first of several."""
        fired = (type(item).__name__ for item in self.group.conditions if FLAGS.get(type(item), 0) & flags)
        return next(fired, "diverged")

    def _write(self, slots: np.ndarray, vectors: np.ndarray, ended: np.ndarray, reasons: np.ndarray) -> None:
        group, seats, results, members = self.group, self.seats, self.results, self.seats.members[slots]
        if group.adaptive:
            least = seats.vectors(seats.state, "least", slots)
            vectors = np.where((reasons != "TargetError")[:, None], least, vectors)
        if group.validates and group.early:
            found = results.best_epochs[members] > 0
            vectors = np.where(found[:, None], seats.vectors(seats.state, "best", slots), vectors)
        results.parameters[members], results.epochs[members] = vectors, ended
        results.updates[members] = ended * group.batches(members) + self._updates_inside(members)
        results.stopped_by[members] = reasons

    def _keep_all(self, gone: np.ndarray, done: np.ndarray, before: Any, count: int) -> None:
        """Keep the state of the networks in these slots, each after so many epochs of this call. Those that did not end
        with it have gone on since: so they train once more from its start, one stretch after the other."""
        seats, flags = self.seats, self.seats.get(plane_numbers.REASON)[gone].astype(np.int64)
        whole = (done == count) & (flags != plane_numbers.DIVERGED)
        self._keep(gone[whole], seats.state, 0)
        again, since = seats.copy(before), 0
        for epochs in np.unique(done[~whole]).tolist():
            if epochs > since:
                for plane in (plane_numbers.LEFT, plane_numbers.BEST_UNTIL, plane_numbers.LEAST_UNTIL):
                    seats.set(again, plane, np.full(len(seats.members), plane_numbers.NEVER))
                seats.prepare_orders(self.epoch + since, epochs - since)
                stretch = 0 if since else self._begun, self.group.D.m
                etas = self._etas(epochs - since, since)
                seats.train(again, etas, (self.epoch + since, epochs - since), stretch)
                since = epochs
            self._keep(gone[~whole & (done == epochs)], again, 0 if epochs else self._begun)

    def _keep(self, slots: np.ndarray, state: Any, position: int) -> None:
        """Keep the state of the networks in these slots, if a later call is to go on from it."""
        if not self.group.keeps or not len(slots):
            return
        found = to_keep({name: self.seats.vectors(state, name, slots) for name in self._names}, position)
        for name, rows in found.items():
            kept = self.results.kept
            if name not in kept:
                kept[name] = np.zeros((len(self.group), *rows.shape[1:]), rows.dtype)
            kept[name][self.seats.members[slots]] = rows

    def _updates_inside(self, members: np.ndarray) -> np.ndarray:
        """How many updates networks have made in an epoch begun."""
        group, visited = self.group, np.full(len(members), self._position)
        if group.D.c is not None and self._position > 0:
            order = np.arange(group.D.m)
            for place, member in enumerate(members):
                if group.shuffled and (place == 0 or group.own_orders):
                    order = group.orders(self.epoch, 1, int(member))[0]
                visited[place] = np.count_nonzero(group.D.c[member, order[: self._position]])
        return visited // group.batch

    def _last_finite(
        self, slots: np.ndarray, done: np.ndarray, before: Any, etas: Any, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Parameters of diverged networks after the last epoch at which their error was finite, and how many epochs of
        this call that is: they train once more from its start, for so many epochs each."""
        seats, every = self.seats, np.arange(len(self.seats.members))
        first = seats.vectors(before, "P", every)
        vectors, done, open_ = first[slots], done.copy(), np.ones(len(slots), bool)
        while open_.any():
            again = seats.copy(before)
            alive, left = np.zeros(len(first)), np.zeros(len(first))
            alive[slots], left[slots] = open_ & (done > 0), done
            for plane, values in (
                (plane_numbers.ALIVE, alive),
                (plane_numbers.LEFT, left),
                (plane_numbers.TARGET, np.full(len(first), -np.inf)),
            ):
                seats.set(again, plane, values)
            seats.train(again, etas, (self.epoch, count), (self._begun, self.group.D.m), watching=False)
            there = np.where((alive > 0)[:, None], seats.vectors(again, "final", every), first)
            vectors[open_] = there[slots[open_]]
            seats.put(again, "P", there)
            errors = seats.measure(again)[slots]
            open_ &= ~np.isfinite(errors) & (done > 0)
            done[open_] -= 1
        return vectors, done
