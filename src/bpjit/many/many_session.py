"""Many networks under way.

A ``ManySession`` takes some networks of a group through all their epochs: it runs blocks of epochs, takes out the
networks that have stopped, and closes the gaps, so that lanes stay full. How the state lies in memory is known to the
methods under "Seats" alone: ``cuda_seats`` has others for the GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import plane_numbers
from ..kernels.lanes import packs
from ..kernels.lanes.epochs import evaluate_packs, train_packs
from ..kernels.lanes.packs import into_lanes, out_of_lanes
from ..kernels.layout import LOSS_CODES
from ..kernels.orders import Orders, shared_orders
from ..maths import formulas, random_streams
from ..settings.rules import Rule
from ..settings.stopping import EarlyStopping, MaxEpochs, NoImprovement, TargetError
from ..training.fit import Fit
from .groups import Data, Group, of

CALL_SECONDS = 0.05  # how long one kernel call should take
FIRST_CALL_SECONDS = 0.0002
SHORT_CALL_SECONDS = 0.0005  # worth its overhead
MOST_ORDERS = 1 << 18  # numbers in the orders of one call
MOST_EPOCHS = 1 << 16  # in one call
AT_ONCE = 64  # packs that a thread takes at a time, at most
EPOCH_OF_MANY = 1 << 28  # multiply-adds in an epoch of these packs, some ten ms
FLAGS = {  # in lanes, of each condition
    MaxEpochs: plane_numbers.MAX_EPOCHS,
    TargetError: plane_numbers.TARGET_ERROR,
    EarlyStopping: plane_numbers.EARLY_STOPPING,
    NoImprovement: plane_numbers.NO_IMPROVEMENT,
}


def by_member(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """One number for each of these networks, where there may be one for all."""
    return values[members] if len(values) > 1 else np.full(len(members), values[0])


class Results:
    """What became of the networks of a group; written by several threads, each its own rows."""

    def __init__(self, group: Group) -> None:
        n = len(group)
        self.parameters = group.start.copy()
        self.epochs, self.updates = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.best_epochs = np.zeros(n, np.int64)  # 0: no validation was the best
        self.least_epochs = np.zeros(n, np.int64)  # the same for errors, where NoImprovement asks
        self.stopped_by = np.full(n, "", object)
        self.errors = np.full(n, np.nan)
        self.validation_errors = np.full(n, np.nan)
        self.history: list[list[np.ndarray]] = [[] for _ in range(n if group.history else 0)]
        self.validation_history: list[list[np.ndarray]] = [[] for _ in range(n if group.history else 0)]

    def keep(self, member: int, fit: Fit) -> None:
        """What became of a network that trained alone."""
        self.parameters[member], self.errors[member] = fit.network.parameters, fit.error
        self.epochs[member], self.updates[member] = fit.epochs, fit.updates
        self.best_epochs[member] = fit.best_epoch or 0
        self.stopped_by[member] = fit.stopped_by
        if self.history:
            self.history[member].append(fit.errors)
            self.validation_history[member].append(fit.validation_errors)


class ManySession:
    """Some networks of a group, from their start to their end."""

    def __init__(self, group: Group, members: np.ndarray, results: Results) -> None:
        self.group, self.results = group, results
        net, rule, m = group.net, group.rules[0], group.D.m
        self.dtype, self.n = net.dtype, len(net.parameters)
        activations = (*net.hidden, net.output)
        self.loss = LOSS_CODES[group.loss]
        self.shape = packs.shape_of(net.sizes, activations, self.loss)
        self.layers = packs.lay_out(net.sizes, activations)
        self.penalty = True if group.lam[0] < 1.0 else None  # all have a λ, or none has
        standard = group.size == 1 and rule.code == 0 and bool(group.trainable.all()) and self.penalty is None
        self.kind = None if standard else (0,) * rule.code
        self.size = m if group.size is None else min(group.size, m)
        self.shuffled = group.shuffle and group.size is not None
        self.block = plane_numbers.block_of(self.dtype)
        self.watch = plane_numbers.Watch(
            group.early.every if group.early else 1, self._limits(), group.stalls, group.ring
        )
        self.epoch, self._position = 0, 0  # complete epochs, and samples of the next
        self._budget = FIRST_CALL_SECONDS
        self._seconds_of_epoch = 20 * m * (1e-10 * self.n + 2e-9)  # of one pack; a guess before the first call
        self._sit_down(members, self._start(members))
        if group.adaptive:
            errors = self._measure(self.state, self.data[0], plane_numbers.PRESENT)
            squares = np.square(group.start[members]).sum(axis=1)
            lam = by_member(group.lam, members).astype(self.dtype)
            rest = (1.0 - by_member(group.lam, members)).astype(self.dtype)
            now = formulas.regularised_objective(errors, squares, lam, rest)
            self._set(self.state, plane_numbers.OBJECTIVE, np.where(np.isnan(now), np.inf, now))

    @staticmethod
    def serves(group: Group) -> bool:
        """Whether a group trains here: a matter of its architecture alone, or bits would change."""
        return packs.serves(group.net.sizes)

    @staticmethod
    def kind_of(group: Group) -> Any:
        """What decides which machine code trains a group."""
        return group.kind

    @staticmethod
    def portions(group: Group, threads: int) -> list[np.ndarray]:
        """Members of a group to be trained at once, portion after portion, by so many threads."""
        width, work = packs.width(group.net.dtype), group.D.m * len(group.net.parameters)
        at_once = max(1, min(AT_ONCE, EPOCH_OF_MANY // (work * width)))
        most = width * max(1, min(at_once, -(-len(group) // (threads * width))))
        parts = min(-(-len(group) // most // threads) * threads, -(-len(group) // width))
        return [np.arange(part, len(group), parts) for part in range(parts)]  # long and short ones to all alike

    # --- What it is made of.

    def _limits(self) -> np.ndarray:
        early, limits = self.group.early, np.full(5, np.inf)
        limits[plane_numbers.PROGRESS] = -np.inf
        if early is not None:
            places = plane_numbers.GENERALIZATION_LOSS, plane_numbers.PROGRESS
            for place, value in zip(places, (early.generalization_loss, early.progress), strict=True):
                limits[place] = limits[place] if value is None else value
        limits[plane_numbers.PATIENCE] = min(self.group.patience, plane_numbers.NEVER)
        if self.group.window:
            limits[plane_numbers.WINDOW_PATIENCE] = min(self.group.window.patience, plane_numbers.NEVER)
            limits[plane_numbers.WINDOW_TOLERANCE] = self.group.window.tolerance
        return limits.astype(self.dtype)

    def _start(self, members: np.ndarray) -> dict[str, np.ndarray]:
        """The state of the networks before the first epoch, a row for each."""
        group, slots = self.group, self.group.rules[0].slots
        start, count = group.start[members], len(members)
        state = {"P": start, "S": self._slots(members), "final": start, "planes": self._planes(members)}
        if group.size != 1:
            state["G"] = np.zeros((count, self.n), self.dtype)
            if self.size > self.block:
                state["sums"] = np.zeros((count, 2 * self.n), self.dtype)
        if group.validates:
            state["best"] = start
        if group.adaptive:
            state["undo"] = np.concatenate([np.zeros((count, (1 + slots) * self.n + 3), self.dtype), start], axis=1)
        if group.ring:
            state["ring"] = np.zeros((count, group.ring), self.dtype)
        return state

    def _slots(self, members: np.ndarray) -> np.ndarray:
        """The rule's state, slot after slot."""
        group, slots = self.group, self.group.rules[0].slots
        S = np.zeros((len(members), slots * self.n), self.dtype)
        if type(group.rules[0]).start is not Rule.start:  # all others start with zeros
            for place, member in enumerate(members):
                seed = int(of(group.seeds, member))
                S[place] = of(group.rules, member).start(self.n, seed)[:slots].ravel()
        return S

    def _planes(self, members: np.ndarray) -> np.ndarray:
        """Settings, and where each network stands."""
        group = self.group
        planes = np.zeros((len(members), plane_numbers.PLANES))
        constants = np.array([(*rule.constants(), 0, 0, 0, 0, 0)[:5] for rule in group.rules])
        planes[:, :5] = constants[members if len(constants) > 1 else 0]
        planes[:, plane_numbers.LAM] = lam = by_member(group.lam, members)
        planes[:, plane_numbers.REST] = 1.0 - lam
        planes[:, plane_numbers.TARGET] = by_member(group.targets, members)
        planes[:, plane_numbers.PRESENT] = group.D.present(members)
        planes[:, plane_numbers.VALIDATING] = np.maximum(1, group.V.present(members))
        for plane in (plane_numbers.LAST_OBJECTIVE, plane_numbers.BEST, plane_numbers.STRIP_LEAST, plane_numbers.LEAST):
            planes[:, plane] = np.inf
        planes[:, plane_numbers.ALIVE] = 1.0
        if group.adaptive:
            settings: Any = [(s.eta, s.grow, s.shrink, s.tolerance) for s in group.schedules]  # type: ignore[attr-defined]
            rows = np.array(settings)[members if len(settings) > 1 else 0]
            planes[:, [plane_numbers.RATE, plane_numbers.GROW, plane_numbers.SHRINK, plane_numbers.TOLERANCE]] = rows
        return planes.astype(self.dtype)

    # --- Seats.

    def _sit_down(self, members: np.ndarray, rows: dict[str, np.ndarray]) -> None:
        """Take these networks, with a row of state for each."""
        group = self.group
        self.members, self.alive = members, np.ones(len(members), bool)
        self._seat(rows)
        self.data = self._rows(group.D), self._rows(group.V if group.validates else group.V.nothing())
        self.orders = self._orders(1)
        self._constant = None if group.schedules else self._by_lane(group.etas)[None]

    def _seat(self, rows: dict[str, np.ndarray]) -> None:
        """Lay out the state."""
        group, dtype, members = self.group, self.dtype, self.members
        self._registers = packs.registers_for(len(members), dtype)
        registers = min(self._registers, packs.REGISTERS)
        self.width = width = packs.width(dtype, registers)
        self.room = packs.make_room(group.net.sizes, dtype, registers)
        everything = bool(group.trainable.all())
        self._mask = None if everything else np.repeat(group.trainable.astype(dtype), width)
        state: Any = {name: into_lanes(array, width) for name, array in rows.items()}
        count = len(state["P"])
        nothing = np.zeros((count, 0), dtype)
        state = {"S": nothing, "G": None, "sums": nothing, "undo": None, "best": nothing, "ring": nothing, **state}
        self.state: Any = packs.Packs(**{name: state[name] for name in packs.Packs._fields})
        gaps = np.arange(count * width).reshape(count, width) >= len(members)
        for plane in (plane_numbers.PRESENT, plane_numbers.VALIDATING):  # by which something is divided
            self._plane(self.state, plane)[gaps] = 1.0

    def _by_lane(self, values: np.ndarray, dtype: Any = None) -> Any:
        """One number for each network of the group, or for all, in lanes, [shape: (packs, width)]."""
        return into_lanes(by_member(values, self.members)[:, None].astype(dtype or self.dtype), self.width)

    def _rows(self, data: Data) -> Any:
        """Samples as the kernel sees them."""
        shape = len(self.state.P), data.m, self.width
        c = None if data.c is None else into_lanes(data.c[self.members], self.width).reshape(shape)
        row = None if data.row is None else into_lanes(data.row[self.members], self.width).reshape(shape)
        return packs.Rows(data.X, data.Y, c, row, data.m)

    def _orders(self, count: int) -> Any:
        """Orders for the next ``count`` epochs."""
        group, m = self.group, self.group.D.m
        own, keys, shared = self.shuffled and group.own_orders, None, np.arange(m)[None]
        if own:
            keys = self._by_lane(random_streams.base(group.seeds, random_streams.ORDER), np.uint64)
        elif self.shuffled:
            shared = self._shared_orders(count)
        table, places = (
            np.zeros((size if own else 0, self.width), kind) for size, kind in ((m + 1, np.uint64), (m, int))
        )
        return Orders(shared, keys, places, table, np.zeros(0, np.uint64), np.zeros(0, np.int64), group.D.numbers)

    def _shared_orders(self, count: int, member: int = 0) -> np.ndarray:
        """Orders for the next ``count`` epochs of a network, or of all that share them, [shape: (count, m)]."""
        key = random_streams.base(of(self.group.seeds, member), random_streams.ORDER)[0]
        return shared_orders(key, self.epoch, count, self.group.D.numbers)

    def _plane(self, state: packs.Packs, plane: int) -> np.ndarray:
        """A view of what belongs to each network, [shape: (packs, width)]."""
        return state.planes.reshape(len(state.P), plane_numbers.PLANES, self.width)[:, plane]

    def _get(self, plane: int) -> np.ndarray:
        """What belongs to each network, [shape: (networks,)]."""
        return self._plane(self.state, plane).reshape(-1)[: len(self.members)]

    def _set(self, state: Any, plane: int, values: np.ndarray) -> None:
        """Write what belongs to each network; gaps get 0."""
        self._plane(state, plane)[:] = into_lanes(np.asarray(values)[:, None], self.width)

    def _vectors(self, state: Any, name: str, slots: np.ndarray) -> np.ndarray:
        """A part of the state of the networks in these slots, a row for each."""
        return out_of_lanes(getattr(state, name), self.width)[slots]

    def _least(self, slots: np.ndarray) -> np.ndarray:
        """Parameters of the least objective after an epoch, where rates adapt to it."""
        return self._vectors(self.state, "undo", slots)[:, -self.n :]

    def _put(self, state: Any, name: str, rows: np.ndarray) -> None:
        """Write a part of the state of all networks."""
        getattr(state, name)[:] = into_lanes(rows, self.width)

    def _copy(self, state: Any) -> Any:
        return packs.Packs(*(None if array is None else array.copy() for array in state))  # type: ignore[arg-type]

    def _lots(self) -> int:
        """In how many lots, one after another, the networks train."""
        return len(self.state.P)

    def _until_fewer(self, left: np.ndarray) -> int:
        """Epochs until those left fit into fewer registers, where so many are left to each network."""
        spare = len(left) - packs.most_in_fewer(len(left), self.dtype)
        return int(np.sort(left)[spare - 1])

    def _sits_better(self, still: int) -> bool:
        """Whether so many networks fit into fewer registers."""
        return packs.registers_for(still, self.dtype) < self._registers

    def _close_gaps(self) -> None:
        """Let the networks left sit together, in as few packs as hold them."""
        stay = np.flatnonzero(self.alive)
        arrays = {name: array for name, array in self.state._asdict().items() if array is not None and array.size}
        self._sit_down(self.members[stay], {name: self._vectors(self.state, name, stay) for name in arrays})

    def _all_finite(self, state: Any, name: str) -> np.ndarray:
        """Whether no parameter of a network is NaN or infinite, [shape: (networks,)]."""
        array = getattr(state, name)
        with np.errstate(invalid="ignore"):
            total = (array * 0).reshape(len(array), self.n, -1).sum(axis=1)
        return total.reshape(-1)[: len(self.members)] == 0

    def _train(
        self,
        state: Any,
        etas: Any,
        count: int,
        stretch: tuple[int, int] | None = None,
        watch: plane_numbers.Watch | None = None,
        record: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the kernel for so many epochs, of the last one up to the end of ``stretch``. Writes state. Returns errors
        and validation errors, [shape: (networks, count)], if they are to be recorded."""
        epochs, stretch = (self.epoch, count), stretch or (0, self.group.D.m)
        room = (len(state.P), count * self.width if record else 0)
        errors, validation_errors = np.empty(room, self.dtype), np.full(room, np.nan, self.dtype)
        call = packs.Call(self.orders, etas, epochs, stretch, errors, validation_errors)
        train_packs(self._task(watch), state, call, self.room)
        return out_of_lanes(errors, self.width), out_of_lanes(validation_errors, self.width)

    def _task(self, watch: plane_numbers.Watch | None = None) -> packs.Task:
        D, V = self.data
        settings = self.kind, self.penalty, self._mask, self.size, self.block, watch or self.watch
        return packs.Task(self.shape, self.layers, D, V, self.loss, *settings)

    def _measure(self, state: Any, rows: Any, count: int) -> np.ndarray:
        """E of each network as it stands, [shape: (networks,)]; ``count`` is the plane of its samples."""
        errors = np.empty((len(state.P), self.width), self.dtype)
        evaluate_packs(self._task(), rows, state.P, self.state.planes, count, self.room, errors)
        return errors.reshape(-1)[: len(self.members)]

    # --- Running.

    def compile(self) -> None:
        """Make sure the machine code is there, for so many networks as these."""
        self._train(self.state, self._etas(1), 0)
        self._measure(self.state, self.data[0], plane_numbers.PRESENT)

    def run(self, reason_to_end: Callable[[], str | None], report: Callable[[int], None]) -> None:
        """Train until all have stopped, or there is a ``reason_to_end``; ``report`` hears how many have stopped."""
        members = self.members
        while self.alive.any():
            reason = reason_to_end()
            stopped = self._call(self._horizon(), reason_to_end) if reason is None else None
            if stopped is None:  # perhaps inside an epoch
                slots = np.flatnonzero(self.alive)
                vectors = self._vectors(self.state, "P", slots)
                self._write(slots, vectors, np.full(len(slots), self.epoch), np.full(len(slots), reason_to_end()))
                break
            if stopped:
                report(stopped)
        self._finish(members)

    def _finish(self, members: np.ndarray) -> None:
        """The error of each of these networks as it was returned."""
        vectors = self.results.parameters[members]
        self._sit_down(members, {"P": vectors, "final": vectors, "planes": self._planes(members)})
        self.results.errors[members] = self._measure(self.state, self.data[0], plane_numbers.PRESENT)
        if self.group.V.m > 0:
            V = self._rows(self.group.V)
            self.results.validation_errors[members] = self._measure(self.state, V, plane_numbers.VALIDATING)

    def _horizon(self) -> int:
        """How many epochs to run next."""
        group = self.group
        left = by_member(group.epochs, self.members[self.alive]) - self.epoch
        cost = self._seconds_of_epoch * self._lots()
        affordable = self._budget / cost
        if not group.foreseen:
            affordable = min(affordable, max(self.epoch // 8, SHORT_CALL_SECONDS / cost))
        elif left.min() < left.max():  # until they sit better
            affordable = min(affordable, max(self._until_fewer(left), SHORT_CALL_SECONDS / cost))
        if self.shuffled:
            affordable = min(affordable, MOST_ORDERS // group.D.m)
        return int(min(max(1, affordable), left.max(), MOST_EPOCHS))

    def _etas(self, count: int) -> Any:
        """η of each network in the next epochs, [shape: (1 or count, packs, width)]."""
        if self._constant is not None:
            return self._constant
        if self.group.adaptive:
            return self._by_lane(np.zeros(1))[None]
        epochs = np.arange(self.epoch, self.epoch + count)
        table = np.array([schedule.rates(epochs) for schedule in self.group.schedules])
        return np.stack([self._by_lane(rates) for rates in table.T])

    def _call(self, count: int, reason_to_end: Callable[[], str | None]) -> int | None:
        """Run so many epochs; returns how many networks stopped meanwhile, or None if there was a reason to end."""
        group, state = self.group, self.state
        left = by_member(group.epochs, self.members) - self.epoch
        self._set(state, plane_numbers.LEFT, np.minimum(left, plane_numbers.NEVER))
        for record in self._records():
            self._begin_counting(*record)
        if self.shuffled:
            self.orders = self._orders(count)
        before, etas = self._copy(state), self._etas(count)
        started = time.perf_counter()
        m, cost = group.D.m, self._seconds_of_epoch * self._lots()
        step = m if count > 1 else max(1, min(m, int(m * CALL_SECONDS / cost)))
        for first in range(0, m, step):
            if first > 0 and reason_to_end() is not None:
                self._position = first
                return None
            recorded = self._train(state, etas, count, (first, min(first + step, m)), record=group.history)
        elapsed = time.perf_counter() - started
        self._seconds_of_epoch = max(1e-9, elapsed / (count * self._lots()))
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
        if still and self._sits_better(still):
            self._close_gaps()
        return len(gone)

    def _records(self) -> list[tuple[int, int, int, np.ndarray]]:
        """What networks must improve on: planes with the epoch when they last did and with that until which they may do
        without, how many these are, and the epochs of all networks of the group."""
        group, results, records = self.group, self.results, []
        if group.validates:
            records.append((plane_numbers.BEST_AT, plane_numbers.BEST_UNTIL, group.patience, results.best_epochs))
        if group.stalls:
            assert group.window is not None
            records.append(
                (plane_numbers.LEAST_AT, plane_numbers.LEAST_UNTIL, group.window.patience, results.least_epochs)
            )
        return records

    def _begin_counting(self, place: int, until: int, patience: int, epochs: np.ndarray) -> None:
        """Planes count epochs from the start of a call: so even float32 does not lose one."""
        last = epochs[self.members]
        self._set(self.state, place, np.zeros(len(last)))
        self._set(self.state, until, np.minimum(last + (last == 0) + patience - self.epoch, plane_numbers.NEVER))

    def _count(self, place: int, until: int, patience: int, epochs: np.ndarray) -> None:
        """Note when networks last improved, if they did in this call."""
        last = self._get(place).astype(np.int64)
        epochs[self.members] = np.where(last > 0, self.epoch + last, epochs[self.members])

    def _still_alive(self) -> np.ndarray:
        """Which networks have not stopped. The kernel looks at errors only; here parameters are, and a network that
        has one beyond all numbers has diverged, the last epoch at which it had not being found by ``_last_finite``."""
        alive = self._get(plane_numbers.ALIVE) > 0
        broken = ~np.where(alive, self._all_finite(self.state, "P"), self._all_finite(self.state, "final"))
        if (broken & self.alive).any():
            for plane, value in ((plane_numbers.ALIVE, 0), (plane_numbers.REASON, plane_numbers.DIVERGED)):
                self._set(self.state, plane, np.where(broken & self.alive, value, self._get(plane)))
        return self._get(plane_numbers.ALIVE) > 0

    # --- Out.

    def _record(self, errors: np.ndarray, validation_errors: np.ndarray, count: int) -> None:
        """Keep the errors of the epochs just run, [shape: (networks, count)]."""
        results = self.results
        done = np.where(self._get(plane_numbers.ALIVE) > 0, count, self._get(plane_numbers.ENDED)).astype(np.int64)
        for rows, history in ((errors, results.history), (validation_errors, results.validation_history)):
            for slot in np.flatnonzero(self.alive):
                history[self.members[slot]].append(rows[slot, : done[slot]].copy())

    def _take_out(self, gone: np.ndarray, before: Any, etas: Any, count: int) -> None:
        """Write down what became of the networks in these slots."""
        flags, done = (self._get(plane)[gone].astype(np.int64) for plane in (plane_numbers.REASON, plane_numbers.ENDED))
        vectors = self._vectors(self.state, "final", gone)
        names = {}
        for flag in set(flags.tolist()):
            fired = [type(item).__name__ for item in self.group.conditions if FLAGS.get(type(item), 0) & flag]
            names[flag] = fired[0] if fired else "diverged"
        diverged = np.flatnonzero(flags == plane_numbers.DIVERGED)
        if len(diverged):
            vectors[diverged], done[diverged] = self._last_finite(gone[diverged], done[diverged], before, etas, count)
        self._write(gone, vectors, self.epoch + done, np.array([names[flag] for flag in flags.tolist()]))

    def _write(self, slots: np.ndarray, vectors: np.ndarray, ended: np.ndarray, reasons: np.ndarray) -> None:
        group, results, members = self.group, self.results, self.members[slots]
        if group.adaptive:
            vectors = np.where((reasons != "TargetError")[:, None], self._least(slots), vectors)
        if group.validates and group.early:
            found = results.best_epochs[members] > 0
            vectors = np.where(found[:, None], self._vectors(self.state, "best", slots), vectors)
        results.parameters[members], results.epochs[members] = vectors, ended
        results.updates[members] = ended * group.batches(members) + self._updates_inside(members)
        results.stopped_by[members] = reasons

    def _updates_inside(self, members: np.ndarray) -> np.ndarray:
        """How many updates networks have made in an epoch begun."""
        group, visited = self.group, np.full(len(members), self._position)
        if group.D.c is not None and self._position > 0:
            order = np.arange(group.D.m)
            for place, member in enumerate(members):
                if self.shuffled and (place == 0 or group.own_orders):
                    order = self._shared_orders(1, int(member))[0]
                visited[place] = np.count_nonzero(group.D.c[member, order[: self._position]])
        return visited // self.size

    def _last_finite(
        self, slots: np.ndarray, done: np.ndarray, before: Any, etas: Any, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Parameters of diverged networks after the last epoch at which their error was finite, and how many epochs of
        this call that is: they train once more from its start, for so many epochs each."""
        every = np.arange(len(self.members))
        first = self._vectors(before, "P", every)
        vectors, done, open_ = first[slots], done.copy(), np.ones(len(slots), bool)
        watch = self.watch._replace(every=1 << 62, stalls=False, window=0)
        while open_.any():
            again = self._copy(before)
            alive, left = np.zeros(len(first)), np.zeros(len(first))
            alive[slots], left[slots] = open_ & (done > 0), done
            for plane, values in (
                (plane_numbers.ALIVE, alive),
                (plane_numbers.LEFT, left),
                (plane_numbers.TARGET, np.full(len(first), -np.inf)),
            ):
                self._set(again, plane, values)
            self._train(again, etas, count, watch=watch)
            there = np.where((alive > 0)[:, None], self._vectors(again, "final", every), first)
            vectors[open_] = there[slots[open_]]
            self._put(again, "P", there)
            errors = self._measure(again, self.data[0], plane_numbers.PRESENT)[slots]
            open_ &= ~np.isfinite(errors) & (done > 0)
            done[open_] -= 1
        return vectors, done
