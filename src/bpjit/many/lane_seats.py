"""Seats in lanes: many networks of a group on the CPU, one in each lane of a vector."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from ..kernels import plane_numbers
from ..kernels.lanes import packs
from ..kernels.lanes.epochs import evaluate_packs, train_packs
from ..kernels.lanes.packs import into_lanes, out_of_lanes
from ..kernels.layout import code_of_loss
from ..kernels.orders import Orders, OwnOrders
from ..kernels.own import kind_of
from ..kernels.plane_numbers import PRESENT, VALIDATING
from ..kernels.simd.memory import aligned_copy
from ..maths import random_streams
from ..settings.rules import SGD
from .groups import Data, Group, by_member
from .starts import watch_of

AT_ONCE = 64  # packs that a thread takes at a time, at most
EPOCH_OF_MANY = 1 << 28  # multiply-adds in an epoch of these packs, some ten ms
IN_LANES = 1 << 18  # numbers in the samples of a network that are copied into lanes
COMPILING = 3.0  # seconds that it takes to compile a kernel, about

_waited: dict[Any, float] = {}  # kinds of groups: seconds that few of many networks have trained in wide packs


class LaneSeats:
    """Networks of a group in the lanes of packs."""

    def __init__(self, group: Group, narrow: bool = False) -> None:
        net, self.group = group.net, group
        self.few = packs.width(net.dtype, packs.NARROW)
        self.narrow = narrow or len(group) <= self.few  # whether few networks sit in a narrow pack
        self._looked = self._waits = False
        self.dtype, self.n = net.dtype, len(net.parameters)
        activations, loss = (*net.hidden, net.output), code_of_loss(group.loss)
        self.shape = packs.shape_of(net.sizes, activations, loss) if group.typed else None
        self.layers = packs.layers_beside(self.shape, net.sizes, activations)
        kind = None if group.standard else kind_of(type(group.rules[0]))
        self.rule = kind, True if group.penalised else None
        self.batches = group.batch, plane_numbers.block_of(self.dtype)
        self.watch = watch_of(group)

    @staticmethod
    def serves(group: Group) -> bool:
        """Whether a group trains here: a matter of its architecture and rule alone, or bits would change."""
        return packs.serves(group.net.sizes) and not group.second_order

    @staticmethod
    def kind_of(group: Group) -> tuple[Any, ...]:
        """What decides which machine code trains a group."""
        net, sets = group.net, (group.D, group.V)
        tables = [table is None for data in sets for table in (data.c, data.row)]
        tables += [goes_into_lanes(data) for data in sets]
        settings = group.loss, kind_of(type(group.rules[0])), group.size == 1, group.penalised, group.masked
        return (
            net.sizes,
            net._activations,
            net.dtype,
            *settings,
            *tables,
            group.own_orders,
            group.adaptive,
            group.typed,
        )

    @staticmethod
    def portions(group: Group, threads: int) -> list[slice]:
        """Members of a group to be trained at once, portion after portion, by so many threads."""
        width, work = packs.width(group.net.dtype), group.D.m * len(group.net.parameters)
        at_once = max(1, min(AT_ONCE, EPOCH_OF_MANY // (work * width)))
        most = width * max(1, min(at_once, -(-len(group) // (threads * width))))
        parts = min(-(-len(group) // most // threads) * threads, -(-len(group) // width))
        return [slice(part, None, parts) for part in range(parts)]  # long and short ones to all alike

    # --- Who sits where.

    def sit(self, members: np.ndarray, rows: dict[str, np.ndarray]) -> None:
        group, dtype = self.group, self.dtype
        self.members, self.registers = members, self._registers_for(len(members))
        in_one = min(self.registers, packs.REGISTERS)
        self.width, self.room = packs.width(dtype, in_one), packs.make_room(group.net.sizes, dtype, in_one)
        self.mask = np.repeat(group.trainable.astype(dtype), self.width) if group.masked else None
        state: Any = {name: into_lanes(array, self.width) for name, array in rows.items()}
        self.lots = count = len(state["P"])
        nothing = np.zeros((count, 0), dtype)
        absent: dict[str, Any] = dict.fromkeys(("S", "sums", "best", "ring"), nothing)
        absent["G"] = None if group.size == 1 else nothing
        absent["undo"] = absent["least"] = nothing if group.adaptive else None
        self.state = packs.Packs(**{**absent, **state})
        gaps = np.arange(count * self.width).reshape(count, self.width) >= len(members)
        for plane in (PRESENT, VALIDATING):  # by which something is divided
            self._plane(self.state, plane)[gaps] = 1.0
        self.D = self._rows(group.D, in_order=not (group.shuffled and group.own_orders))
        self.V = self._rows(group.V) if group.validates else self._rows(group.V.nothing(), goes_into_lanes(group.V))
        self.orders = self._lay_out_orders()

    def keep(self, stay: np.ndarray) -> None:
        arrays = {name: array for name, array in self.state._asdict().items() if array is not None and array.size}
        self.sit(self.members[stay], {name: self.vectors(self.state, name, stay) for name in arrays})

    def fits_better(self, still: int) -> bool:
        self._look_for_narrow(still)
        self._waits = still <= self.few and not self.narrow
        return self._registers_for(still) < self.registers

    def until_fewer(self, left: np.ndarray) -> int:
        fewer = packs.most_in_fewer(len(left), self.dtype)
        self._look_for_narrow(fewer)
        spare = len(left) - (fewer if self._registers_for(fewer) < self.registers else 0)
        return int(np.sort(left)[spare - 1])

    def _registers_for(self, count: int) -> int:
        """As ``packs.registers_for``, where few networks may sit in a narrow pack."""
        return packs.registers_for(count, self.dtype) if self.narrow or count > self.few else packs.REGISTERS

    def _look_for_narrow(self, count: int) -> None:
        """See whether so few networks of many may: where there is code for it, or once few have trained in wide packs
        for as long as it takes to compile. Most never do."""
        if self.narrow or count > self.few:
            return
        if not self._looked:
            nowhere = np.empty((self.lots, 0), self.dtype)
            room = packs.make_room(self.group.net.sizes, self.dtype, packs.NARROW)
            self.narrow = train_packs.is_there(self._task(), self.state, self._call_for_none(nowhere, nowhere), room)
            self._looked = True
        self.narrow = self.narrow or _waited.get(self.kind_of(self.group), 0.0) > COMPILING

    # --- What belongs to each.

    def _plane(self, state: packs.Packs, plane: int) -> np.ndarray:
        """A view of what belongs to each network, [shape: (packs, width)]."""
        return state.planes.reshape(len(state.P), plane_numbers.PLANES, self.width)[:, plane]

    def get(self, plane: int) -> np.ndarray:
        return self._plane(self.state, plane).reshape(-1)[: len(self.members)]

    def set(self, state: packs.Packs, plane: int, values: np.ndarray) -> None:
        self._plane(state, plane)[:] = into_lanes(np.asarray(values)[:, None], self.width)

    def vectors(self, state: packs.Packs, name: str, slots: np.ndarray) -> np.ndarray:
        return out_of_lanes(getattr(state, name), self.width)[slots]

    def put(self, state: packs.Packs, name: str, rows: np.ndarray) -> None:
        getattr(state, name)[:] = into_lanes(rows, self.width)

    def copy(self, state: packs.Packs) -> packs.Packs:
        return packs.Packs(*(None if array is None else aligned_copy(array) for array in state))  # type: ignore[arg-type]

    def all_finite(self, state: packs.Packs, name: str) -> np.ndarray:
        array = getattr(state, name)
        with np.errstate(invalid="ignore"):
            total = (array * 0).reshape(len(array), self.n, -1).sum(axis=1)
        return total.reshape(-1)[: len(self.members)] == 0

    # --- Data, orders, rates.

    def _rows(self, data: Data, in_order: bool = True) -> packs.Rows:
        """Samples as the kernel sees them. Where all networks take theirs in one order, samples of their own stand in
        lanes: to gather them anew in each epoch would take as long as to learn from them."""
        shape = self.lots, data.m, self.width
        c = None if data.c is None else into_lanes(data.c[self.members], self.width).reshape(shape)
        if in_order and data.row is not None and goes_into_lanes(data):
            rows = data.row[self.members]
            X, Y = (
                into_lanes(array[rows].reshape(len(rows), -1), self.width).reshape(
                    *shape[:2], array.shape[1] * self.width
                )
                for array in (data.X, data.Y)
            )
            return packs.Rows(X, Y, c, None, data.m)
        row = None if data.row is None else into_lanes(data.row[self.members], self.width).reshape(shape)
        return packs.Rows(data.X, data.Y, c, row, data.m)

    def _lay_out_orders(self) -> Orders:
        group, m, own = self.group, self.group.D.m, None
        if group.shuffled and group.own_orders:
            numbers = by_member(random_streams.base(group.seeds, random_streams.ORDER), self.members)
            keys = into_lanes(numbers[:, None], self.width)
            places, table = (np.zeros((size, self.width), kind) for size, kind in ((m, int), (m + 1, np.uint64)))
            own = OwnOrders(keys, places, table, group.D.numbers)
        return Orders(np.arange(m)[None], own)

    def prepare_orders(self, epoch: int, count: int) -> None:
        if self.group.shuffled and not self.group.own_orders:
            self.orders = self.orders._replace(shared=self.group.orders(epoch, count))

    def rates(self, etas: np.ndarray) -> np.ndarray:
        """[shape: (epochs, packs, width)]."""
        of_each = np.stack([by_member(rates, self.members) for rates in etas], axis=1).astype(self.dtype)
        shape = self.lots, len(etas), self.width
        return np.ascontiguousarray(into_lanes(of_each, self.width).reshape(shape).transpose(1, 0, 2))

    # --- Kernels.

    def train(
        self,
        state: packs.Packs,
        etas: np.ndarray,
        epochs: tuple[int, int],
        stretch: tuple[int, int] | None = None,
        record: bool = False,
        watching: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        room = self.lots, epochs[1] * self.width if record else 0
        errors, validation_errors = np.empty(room, self.dtype), np.full(room, np.nan, self.dtype)
        stretch, started = stretch or (0, self.group.D.m), time.perf_counter()
        call = packs.Call(self.orders, etas, epochs, stretch, errors, validation_errors)
        train_packs(self._task(watching), state, call, self.room)
        if self._waits:
            kind = self.kind_of(self.group)
            _waited[kind] = _waited.get(kind, 0.0) + time.perf_counter() - started
        return out_of_lanes(errors, self.width), out_of_lanes(validation_errors, self.width)

    def _task(self, watching: bool = True) -> packs.Task:
        watch = self.watch if watching else self.watch._replace(every=1 << 62, stalls=False, window=0)
        data = self.shape, self.layers, self.D, self.V, code_of_loss(self.group.loss)
        return packs.Task(*data, *self.rule, self.mask, *self.batches, watch)

    def measure(self, state: packs.Packs, validation: bool = False) -> np.ndarray:
        """As ``Seats.measure``, by the kernel that trains, so that no other need be compiled."""
        task = self._task()
        if validation:
            task = task._replace(V=self._rows(self.group.V))
        nowhere, errors = np.empty((self.lots, 0), self.dtype), np.empty((self.lots, self.width), self.dtype)
        where = (nowhere, errors) if validation else (errors, nowhere)
        train_packs(task, state, self._call_for_none(*where), self.room)
        return errors.reshape(-1)[: len(self.members)]

    def _call_for_none(self, errors: np.ndarray, validation_errors: np.ndarray) -> packs.Call:
        """A call for no epoch."""
        return packs.Call(self.orders, self.rates(self.group.etas[None]), (0, 0), (0, 0), errors, validation_errors)


class Judges(LaneSeats):
    """Seats that measure networks which no rule of theirs has trained."""

    def __init__(self, group: Group) -> None:
        super().__init__(replace(group, rules=[SGD()], typed=False))

    def measure(self, state: packs.Packs, validation: bool = False) -> np.ndarray:
        rows, count = (self._rows(self.group.V), VALIDATING) if validation else (self.D, PRESENT)
        errors, loss = np.empty((self.lots, self.width), self.dtype), code_of_loss(self.group.loss)
        evaluate_packs(self.layers, loss, rows, state.P, state.planes, count, self.room, errors)
        return errors.reshape(-1)[: len(self.members)]


def goes_into_lanes(data: Data) -> bool:
    """Whether samples of each network's own can be copied into lanes: few enough even where most lanes are empty."""
    return data.row is not None and data.m * (data.X.shape[1] + data.Y.shape[1]) <= IN_LANES
