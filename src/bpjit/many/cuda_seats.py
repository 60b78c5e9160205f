"""Seats on the GPU: the state of many networks of a group lies on the device, a column of a table for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import plane_numbers
from ..kernels.cuda import door, many
from ..kernels.cuda.calls import Recorded, Stretch
from ..kernels.cuda.columns import Kind, launch_for, places_of, team_size
from ..kernels.cuda.door import to_device
from ..kernels.cuda.epochs import Call
from ..kernels.cuda.samples import Data as DataOnDevice
from ..kernels.cuda.samples import Orders
from ..kernels.cuda.table import Table, at_once, by_column
from ..kernels.layout import code_of_loss
from ..kernels.plane_numbers import PRESENT, VALIDATING
from ..maths import random_streams
from .groups import Data, Group
from .starts import watch_of

FEWER = 0.75  # of the networks: they sit together anew when no more are left


class CudaSeats:
    """Networks of a group in the columns of a table on the GPU."""

    lots = 1

    def __init__(self, group: Group) -> None:
        self.group, self.dtype, self.n = group, group.net.dtype, len(group.net.parameters)
        self.kind = self.kind_of(group)
        self.places, self.threads = places_of(self.kind), self.kind.threads
        places = self.places._asdict()
        self.firsts = {"P": 0, "S": places["slots"], "G": places["gradient"], **places}
        mask = group.trainable.astype(self.dtype) if group.masked else np.ones(1, self.dtype)
        self.watch = watch_of(group)
        self.mask, self.limits = to_device(mask), to_device(self.watch.limits)

    @staticmethod
    def serves(group: Group) -> bool:
        """Whether a group trains here."""
        return True

    @staticmethod
    def kind_of(group: Group) -> Kind:
        """What the kernels for a group are compiled for."""
        net, sets = group.net, (group.D, group.V)
        return Kind(
            sizes=net.sizes,
            activations=(*net.hidden, net.output),
            loss=code_of_loss(group.loss),
            dtype=str(net.dtype),
            rule=None if group.standard else type(group.rules[0]),
            penalty=group.penalised,
            masked=group.masked,
            adaptive=group.adaptive,
            blocks=group.batch > plane_numbers.block_of(net.dtype),
            stalls=group.stalls,
            window=group.ring,
            validated=group.validates,
            weighted=(sets[0].c is not None, sets[1].c is not None),
            rowed=(sets[0].row is not None, sets[1].row is not None),
            own=group.own_orders and group.shuffled,
            threads=team_size(net.sizes),
        )

    @staticmethod
    def portions(group: Group, threads: int) -> list[slice]:
        """Members of a group to be trained at once, portion after portion: as many as fit onto the device."""
        kind = CudaSeats.kind_of(group)
        row = places_of(kind).rows * 3 * group.net.dtype.itemsize
        tables = sum(table is not None for data in (group.D, group.V) for table in (data.c, data.row))
        row += group.D.m * 8 * (tables + int(kind.own))
        most = at_once(row)
        return [slice(first, first + most) for first in range(0, len(group), most)]

    # --- Who sits where.

    def sit(self, members: np.ndarray, rows: dict[str, np.ndarray]) -> None:
        self.state = Table(self.places.rows, len(members), self.dtype, self.threads)
        nothing_collected = np.zeros((len(members), self.places.undo - self.places.gradient))
        for name, array in ({"G": nothing_collected} | rows).items():
            self.state.write_rows(self.firsts[name], array)
        self.widths = {name: array.shape[1] for name, array in rows.items()}
        self._seat(members)

    def keep(self, stay: np.ndarray) -> None:
        self.state = self.state.only(stay)
        self._seat(self.members[stay])

    def _seat(self, members: np.ndarray) -> None:
        """Lay out what does not change."""
        group = self.group
        self.members, self.every = members, np.arange(len(members))
        self.D = self._data(group.D)
        self.V = self._data(group.V if group.validates else group.V.nothing())
        own, m = self.kind.own, group.D.m
        keys = random_streams.base(group.seeds, random_streams.ORDER) if own else np.zeros(1, np.uint64)
        room = (m, len(members)) if own else (1, 1)
        self.order = to_device(np.arange(m, dtype=np.uint64)[None])
        self.own_orders = to_device(self._of_each(keys)), Table(*room, np.uint64, self.threads).T
        self.numbers = to_device(group.D.numbers)

    def fits_better(self, still: int) -> bool:
        return still <= FEWER * len(self.members)

    def until_fewer(self, left: np.ndarray) -> int:
        return int(np.sort(left)[int(len(left) * (1 - FEWER))])

    # --- What belongs to each.

    def get(self, plane: int) -> np.ndarray:
        return self.state.read_rows(self.places.planes + plane, 1, self.every)[:, 0]

    def set(self, state: Table, plane: int, values: np.ndarray) -> None:
        state.write_rows(self.places.planes + plane, np.asarray(values)[:, None])

    def vectors(self, state: Table, name: str, slots: np.ndarray) -> np.ndarray:
        return state.read_rows(self.firsts[name], self.widths[name], slots)

    def put(self, state: Table, name: str, rows: np.ndarray) -> None:
        state.write_rows(self.firsts[name], rows)

    def copy(self, state: Table) -> Table:
        return state.copy()

    def all_finite(self, state: Table, name: str) -> np.ndarray:
        return np.ones(len(self.members), bool)  # the kernel looks at every parameter after each epoch

    # --- Data, orders, rates.

    def _data(self, data: Data) -> DataOnDevice:
        """Samples as the kernel sees them."""
        nothing, nowhere = np.ones((1, 1), self.dtype), np.zeros((1, 1), np.uint64)
        c = nothing if data.c is None else data.c[self.members].T
        row = nowhere if data.row is None else data.row[self.members].T.astype(np.uint64)
        X, Y = to_device(data.X), to_device(data.Y)
        return DataOnDevice(X, Y, by_column(c, self.threads), by_column(row, self.threads), data.m)

    def prepare_orders(self, epoch: int, count: int) -> None:
        if self.group.shuffled and not self.kind.own:
            self.order = to_device(self.group.orders(epoch, count).astype(np.uint64))

    def rates(self, etas: np.ndarray) -> Any:
        """[shape: (epochs, networks or 1)], on the device."""
        return to_device(np.stack([self._of_each(rates) for rates in etas]).astype(self.dtype))

    def _of_each(self, values: np.ndarray) -> np.ndarray:
        """One number for all networks, or one for each that sits here."""
        return values[self.members] if len(values) > 1 else values

    # --- Kernels.

    def train(
        self,
        state: Table,
        etas: Any,
        epochs: tuple[int, int],
        stretch: tuple[int, int] | None = None,
        record: bool = False,
        watching: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        shape, every = (epochs[1] if record else 0, len(self.members)), self.watch.every if watching else 1 << 62
        recorded = Recorded(*(to_device(np.full(shape, np.nan, self.dtype)) for _ in range(2)))
        where, block = Stretch(*epochs, *(stretch or (0, self.D.m))), plane_numbers.block_of(self.dtype)
        call = Call(where, etas, self.group.batch, block, every, self.limits)
        orders = Orders(self.order, *self.own_orders, self.numbers)
        kernel = many.train_kernel(self.kind if watching else self.kind._replace(stalls=False, window=0))
        launch = launch_for(len(self.members), self.threads)
        door.run(kernel, launch, state.T, self.mask, self.D, self.V, orders, call, recorded)
        return recorded.errors.copy_to_host().T, recorded.validation_errors.copy_to_host().T

    def measure(self, state: Table, validation: bool = False) -> np.ndarray:
        data, place = (self._data(self.group.V), 1) if validation else (self.D, 0)
        weighted, rowed = self.kind.weighted[place], self.kind.rowed[place]
        kind = self.kind._replace(weighted=(weighted, weighted), rowed=(rowed, rowed))
        plane = self.places.planes + (VALIDATING if validation else PRESENT)
        counts = self.state.pick_rows(plane, 1, self.every)[0]
        errors, y_hat = door.empty((len(self.members),), self.dtype), door.empty((0, 1, 1), self.dtype)
        launch = launch_for(len(self.members), self.threads)
        door.run(many.visit_kernel(kind), launch, state.T, data, counts, errors, y_hat)
        return errors.copy_to_host()
