"""Groups: networks that one kernel can train together, and their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import MOST
from ..networks.network import Network
from ..settings.rules import Rule
from ..settings.schedules import AdaptiveRate, Schedule
from ..settings.stopping import Condition, EarlyStopping, NoImprovement


@dataclass(frozen=True)
class Data:
    """Samples for the networks of a group."""

    X: np.ndarray  # [shape: (rows, d)]
    Y: np.ndarray  # [shape: (rows, l)]
    c: np.ndarray | None  # weights, 0 where a sample is absent, [shape: (networks, m)]
    row: np.ndarray | None  # where each sample stands in X and Y, [shape: (networks, m)]; None: where its number is
    numbers: np.ndarray  # uint64 numbers of the samples in the caller's data: they decide orders, [shape: (m,)]

    @property
    def m(self) -> int:
        """Samples in an epoch, absent ones included."""
        return len(self.numbers)

    def present(self, members: np.ndarray) -> np.ndarray:
        """How many samples each of these networks sees in an epoch."""
        if self.c is None:
            return np.full(len(members), self.m)
        return np.count_nonzero(self.c[members], axis=1)

    def nothing(self) -> Data:
        """The same kind of data, without a sample."""
        c, row = (None if array is None else array[:, :0] for array in (self.c, self.row))
        return Data(self.X, self.Y, c, row, self.numbers[:0])

    def of(self, member: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Inputs, targets and weights of one network."""
        rows = slice(0, self.m) if self.row is None else self.row[member]
        return self.X[rows], self.Y[rows], None if self.c is None else self.c[member]


@dataclass(frozen=True)
class Group:
    """Networks of one shape, class of rule and kind of data. Arrays have a row for each network, or one for all."""

    net: Network  # a network like them
    start: np.ndarray  # parameters, [shape: (networks, n)]
    members: np.ndarray  # their numbers among all networks
    D: Data
    V: Data
    loss: str
    size: int | None  # samples in a batch; None is all
    shuffle: bool
    trainable: np.ndarray  # bool, [shape: (n,)]
    rules: Sequence[Rule]
    etas: np.ndarray  # rates; of the first epoch where there are schedules
    schedules: Sequence[Schedule]  # or nothing, where rates are constant; all adaptive, or none
    lam: np.ndarray
    seeds: np.ndarray  # uint64, of orders
    targets: np.ndarray
    epochs: np.ndarray  # at most
    conditions: Sequence[Condition]  # as given: where several fire at one epoch, the first is named
    history: bool

    def __len__(self) -> int:
        return len(self.start)

    @property
    def adaptive(self) -> bool:
        return len(self.schedules) > 0 and isinstance(self.schedules[0], AdaptiveRate)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What decides which machine code trains the group."""
        net, sets = self.net, (self.D, self.V)
        tables = [table is None for data in sets for table in (data.c, data.row)]
        settings = self.loss, self.rules[0].code, self.size == 1, bool(self.lam[0] < 1.0), bool(self.trainable.all())
        return (net.sizes, net._activations, net.dtype, *settings, *tables, self.own_orders, self.adaptive)

    @property
    def foreseen(self) -> bool:
        """Whether it is known when each network stops, unless it diverges."""
        return not (self.early or self.window or np.isfinite(self.targets).any())

    @property
    def own_orders(self) -> bool:
        return len(self.seeds) > 1

    @property
    def validates(self) -> bool:
        """Whether the error of the validation set matters while training goes on."""
        return self.V.m > 0 and (self.early is not None or self.history)

    @property
    def early(self) -> EarlyStopping | None:
        return next((item for item in self.conditions if isinstance(item, EarlyStopping)), None)

    @property
    def patience(self) -> int:
        """Epochs that EarlyStopping waits for a new smallest validation error."""
        return MOST if self.early is None or self.early.patience is None else self.early.patience

    @property
    def stalls(self) -> bool:
        """Whether NoImprovement asks for a new smallest error, however small the step, before the last epoch."""
        return self.window is not None and self.window.tolerance == 0 and self.window.patience < self.epochs.max()

    @property
    def ring(self) -> int:
        """Of how many epochs each network keeps the smallest error: NoImprovement asks for a step of some size."""
        if self.window is None or self.window.tolerance == 0 or self.window.patience >= self.epochs.max():
            return 0
        return self.window.patience

    def batches(self, members: np.ndarray) -> np.ndarray:
        """Updates of each of these networks in an epoch."""
        present = self.D.present(members)
        return -(-present // (present if self.size is None else self.size))

    @property
    def window(self) -> NoImprovement | None:
        return next((item for item in self.conditions if isinstance(item, NoImprovement)), None)


def some(values: Any, members: np.ndarray) -> Any:
    """Those of some networks, where there may be one for all."""
    if len(values) == 1:
        return values
    return values[members] if isinstance(values, np.ndarray) else [values[member] for member in members]


def of(values: Any, member: int) -> Any:
    """That of one network, where there may be one for all."""
    return values[member if len(values) > 1 else 0]
