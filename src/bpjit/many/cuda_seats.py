"""Many networks under way on the GPU: a session whose state lies on the device, a column of a table for each."""

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
from ..kernels.layout import LOSS_CODES
from ..maths import random_streams
from .groups import Data, Group
from .many_session import ManySession


class CudaManySession(ManySession):
    """Some networks of a group on the GPU, from their start to their end."""

    _FEWER = 0.75  # of the networks: they sit together anew when no more are left

    @staticmethod
    def serves(group: Group) -> bool:
        return True

    @staticmethod
    def kind_of(group: Group) -> Kind:
        return kind_of(group)

    @staticmethod
    def portions(group: Group, threads: int) -> list[np.ndarray]:
        kind = kind_of(group)
        row = places_of(kind).rows * 3 * group.net.dtype.itemsize
        tables = sum(table is not None for data in (group.D, group.V) for table in (data.c, data.row))
        row += group.D.m * 8 * (tables + int(kind.own))
        most = at_once(row)
        return [np.arange(first, min(first + most, len(group))) for first in range(0, len(group), most)]

    # --- Seats.

    def _seat(self, rows: dict[str, np.ndarray]) -> None:
        self.kernel_kind = kind = kind_of(self.group)
        places = places_of(kind)
        self.threads, self.width = kind.threads, 1
        self.firsts = {
            "P": 0,
            "final": places.final,
            "best": places.best,
            "S": places.slots,
            "G": places.gradient,
            "sums": places.sums,
            "undo": places.undo,
            "least": places.least,
            "ring": places.ring,
            "planes": places.planes,
        }
        self.state = Table(places.rows, len(self.members), self.dtype, self.threads)
        nothing_collected = np.zeros((len(self.members), places.undo - places.gradient))
        for name, array in ({"G": nothing_collected} | rows).items():
            self.state.write_rows(self.firsts[name], array)
        mask = self.group.trainable.astype(self.dtype) if kind.masked else np.ones(1, self.dtype)
        self._mask = to_device(mask)
        self._every = np.arange(len(self.members))
        self._limits_there = to_device(self.watch.limits)

    def _by_lane(self, values: np.ndarray, dtype: Any = None) -> Any:
        return (values[self.members] if len(values) > 1 else values).astype(dtype or self.dtype)

    def _rows(self, data: Data) -> Any:
        nothing, nowhere = np.ones((1, 1), self.dtype), np.zeros((1, 1), np.uint64)
        c = nothing if data.c is None else data.c[self.members].T
        row = nowhere if data.row is None else data.row[self.members].T.astype(np.uint64)
        X, Y = to_device(data.X), to_device(data.Y)
        return DataOnDevice(X, Y, by_column(c, self.threads), by_column(row, self.threads), data.m)

    def _orders(self, count: int) -> Any:
        m, own = self.group.D.m, self.kernel_kind.own
        keys = random_streams.base(self.group.seeds, random_streams.ORDER) if own else np.zeros(1, np.uint64)
        shared = self._shared_orders(count) if self.shuffled and not own else np.arange(m)[None]
        if own and hasattr(self, "orders") and self.orders.table.shape == (m, len(self.members)):
            return self.orders  # its keys and its room are the same
        room = (m, len(self.members)) if own else (1, 1)
        table = Table(*room, np.uint64, self.threads).T
        return Orders(
            to_device(shared.astype(np.uint64)),
            to_device(self._by_lane(keys, np.uint64)),
            table,
            to_device(self.group.D.numbers),
        )

    def _get(self, plane: int) -> np.ndarray:
        return self.state.read_rows(self.firsts["planes"] + plane, 1, self._every)[:, 0]

    def _set(self, state: Any, plane: int, values: np.ndarray) -> None:
        state.write_rows(self.firsts["planes"] + plane, np.asarray(values)[:, None])

    def _vectors(self, state: Any, name: str, slots: np.ndarray) -> np.ndarray:
        return state.read_rows(self.firsts[name], self.n, slots)

    def _least(self, slots: np.ndarray) -> np.ndarray:
        return self._vectors(self.state, "least", slots)

    def _put(self, state: Any, name: str, rows: np.ndarray) -> None:
        state.write_rows(self.firsts[name], rows)

    def _copy(self, state: Any) -> Any:
        return state.copy()

    def _lots(self) -> int:
        return 1

    def _until_fewer(self, left: np.ndarray) -> int:
        return int(np.sort(left)[int(len(left) * (1 - self._FEWER))])

    def _sits_better(self, still: int) -> bool:
        return still <= self._FEWER * len(self.members)

    def _close_gaps(self) -> None:
        stay = np.flatnonzero(self.alive)
        state = self.state.only(stay)
        self._sit_down(self.members[stay], {})
        self.state = state

    def _all_finite(self, state: Any, name: str) -> np.ndarray:
        return np.ones(len(self.members), bool)  # the kernel looks at every parameter after each epoch

    # --- Kernels.

    def _train(
        self,
        state: Any,
        etas: Any,
        count: int,
        stretch: tuple[int, int] | None = None,
        watch: plane_numbers.Watch | None = None,
        record: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        D, V = self.data
        shape = (count if record else 0, len(self.members))
        recorded = Recorded(*(to_device(np.full(shape, np.nan, self.dtype)) for _ in range(2)))
        where, every = Stretch(self.epoch, count, *(stretch or (0, D.m))), (watch or self.watch).every
        call = Call(where, self._there(etas), self.size, self.block, every, self._limits_there)
        kind = self.kernel_kind
        kernel = many.train_kernel(kind._replace(stalls=False, window=0) if watch else kind)
        launch = launch_for(len(self.members), self.threads)
        door.run(kernel, launch, state.T, self._mask, D, V, self.orders, call, recorded)
        return recorded.errors.copy_to_host().T, recorded.validation_errors.copy_to_host().T

    def _there(self, etas: np.ndarray) -> Any:
        """Rates on the device; constant ones stay there."""
        if etas is not self._constant:
            return to_device(etas)
        if getattr(self, "_constant_there", (None, None))[0] is not etas:
            self._constant_there = etas, to_device(etas)
        return self._constant_there[1]

    def _measure(self, state: Any, rows: Any, count: int) -> np.ndarray:
        kind, place = self.kernel_kind, int(rows is not self.data[0])
        weighted, rowed = kind.weighted[place], kind.rowed[place]
        kind = kind._replace(weighted=(weighted, weighted), rowed=(rowed, rowed))
        counts = self.state.pick_rows(self.firsts["planes"] + count, 1, self._every)[0]
        errors, y_hat = door.empty((len(self.members),), self.dtype), door.empty((0, 1, 1), self.dtype)
        launch = launch_for(len(self.members), self.threads)
        door.run(many.visit_kernel(kind), launch, state.T, rows, counts, errors, y_hat)
        return errors.copy_to_host()


def kind_of(group: Group) -> Kind:
    """What the kernels for a group are compiled for."""
    net, rule = group.net, group.rules[0]
    penalty, masked = bool(group.lam[0] < 1.0), not bool(group.trainable.all())
    standard = group.size == 1 and rule.code == 0 and not masked and not penalty
    sets = group.D, group.V
    return Kind(
        sizes=net.sizes,
        activations=(*net.hidden, net.output),
        loss=LOSS_CODES[group.loss],
        dtype=str(net.dtype),
        rule=None if standard else rule.name,
        penalty=penalty,
        masked=masked,
        adaptive=group.adaptive,
        blocks=min(group.size or group.D.m, group.D.m) > plane_numbers.block_of(net.dtype),
        stalls=group.stalls,
        window=group.ring,
        validated=group.validates,
        weighted=(sets[0].c is not None, sets[1].c is not None),
        rowed=(sets[0].row is not None, sets[1].row is not None),
        own=group.own_orders and group.shuffle and group.size is not None,
        threads=team_size(net.sizes),
    )
