"""Groups: networks that one kernel can train together, and their data; what became of them.

A portion is a group too: some networks of a larger one, seen through views. Groups and results are plain data, that any
process can be given and give back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..common.arguments import MOST
from ..kernels.orders import shared_orders
from ..maths import random_streams
from ..networks.network import Network
from ..settings.rules import Rule, SecondOrder
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

    def part(self, part: slice | np.ndarray) -> Data:
        """Those of some networks."""
        c, row = (None if array is None else array[part] for array in (self.c, self.row))
        return Data(self.X, self.Y, c, row, self.numbers)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled are those rows that these networks have, and weights that several share once."""
        X, Y, c, row, shared = self.X, self.Y, self.c, self.row, None
        if row is not None:
            used = np.zeros(len(X), bool)
            used[row] = True
            X, Y, row = X[used], Y[used], (np.cumsum(used) - 1)[row]
        if c is not None:
            found: dict[bytes, int] = {}
            shared = np.array([found.setdefault(weights.tobytes(), len(found)) for weights in c])
            c = c[np.unique(shared, return_index=True)[1]]
        return _unpickled, (X, Y, c, shared, row, self.numbers)


def _unpickled(X: np.ndarray, Y: np.ndarray, c: Any, shared: Any, row: Any, numbers: np.ndarray) -> Data:
    return Data(X, Y, None if c is None else c[shared], row, numbers)


OF_EACH = "rules", "etas", "schedules", "lam", "seeds", "target_errors", "epochs"  # one for all, or one for each


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
    target_errors: np.ndarray
    epochs: np.ndarray  # at most
    conditions: Sequence[Condition]  # but for ``Limits``; where several fire at one epoch, the first is named
    history: bool
    typed: bool = True  # whether the smallest may have a kernel for each shape
    resumable: bool = False  # whether results keep what a later call needs to go on
    pauses: bool = False  # whether they keep that of networks that may train for more epochs
    kept: dict[str, np.ndarray] | None = None  # what an earlier one kept, where this call goes on, a row for each

    def __len__(self) -> int:
        return len(self.start)

    def part(self, part: slice | np.ndarray) -> Group:
        """Some of these networks; a slice gives views."""
        settings: dict[str, Any] = {name: those_of(getattr(self, name), part) for name in OF_EACH}
        start, members = self.start[part], self.members[part]
        kept = None if self.kept is None else {name: rows[part] for name, rows in self.kept.items()}
        D, V = self.D.part(part), self.V.part(part)
        return replace(self, start=start, members=members, D=D, V=V, kept=kept, **settings)

    @property
    def first(self) -> int:
        """How many epochs were complete before this call, for all alike."""
        return 0 if self.kept is None else int(self.kept["epochs"][0])

    @property
    def position(self) -> int:
        """How many samples of the next epoch they have seen."""
        return 0 if self.kept is None else int(self.kept["position"][0])

    @property
    def last(self) -> int:
        """How many epochs can be complete after this call, or a later one."""
        return MOST if self.keeps else self.first + int(self.epochs.max())

    @property
    def keeps(self) -> bool:
        """Whether results keep something, if not of all networks."""
        return self.resumable or self.pauses

    @property
    def batch(self) -> int:
        """Samples in a batch; the last of an epoch may have fewer."""
        return self.D.m if self.size is None else min(self.size, self.D.m)

    @property
    def adaptive(self) -> bool:
        return len(self.schedules) > 0 and isinstance(self.schedules[0], AdaptiveRate)

    @property
    def masked(self) -> bool:
        return not self.trainable.all()

    @property
    def penalised(self) -> bool:
        return bool(self.lam[0] < 1.0)  # all have a λ, or none has

    @property
    def standard(self) -> bool:
        """Whether it is standard BP: gradient and update are one."""
        return self.size == 1 and self.rules[0].code == 0 and not self.masked and not self.penalised

    @property
    def second_order(self) -> bool:
        """Whether it is a rule that takes all parameters at once."""
        return isinstance(self.rules[0], SecondOrder)

    @property
    def foreseen(self) -> bool:
        """Whether it is known when each network stops, unless it diverges."""
        return not (self.early or self.window or np.isfinite(self.target_errors).any())

    @property
    def shuffled(self) -> bool:
        return self.shuffle and self.size is not None

    @property
    def own_orders(self) -> bool:
        return len(self.seeds) > 1

    def orders(self, epoch: int, count: int, member: int = 0) -> np.ndarray:
        """Orders of ``count`` epochs of a network, or of all that share them, [shape: (count, m)]."""
        key = random_streams.base(one_of(self.seeds, member), random_streams.ORDER)[0]
        return shared_orders(key, epoch, count, self.D.numbers)

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
        return self.window is not None and self.window.tolerance == 0 and self.window.patience < self.last

    @property
    def ring(self) -> int:
        """Of how many epochs each network keeps the smallest error: NoImprovement asks for a step of some size."""
        if self.window is None or self.window.tolerance == 0 or self.window.patience >= self.last:
            return 0
        return self.window.patience

    def batches(self, members: np.ndarray) -> np.ndarray:
        """Updates of each of these networks in an epoch."""
        present = self.D.present(members)
        return -(-present // (present if self.size is None else self.size))

    @property
    def window(self) -> NoImprovement | None:
        return next((item for item in self.conditions if isinstance(item, NoImprovement)), None)


COUNTED = "epochs", "updates", "best_epochs"  # of results, from the first start on


@dataclass
class Results:
    """What became of the networks of a group, a row for each."""

    parameters: np.ndarray  # [shape: (networks, n)]
    epochs: np.ndarray
    updates: np.ndarray
    best_epochs: np.ndarray  # 0: no validation was the best
    stopped_by: np.ndarray  # of str objects
    errors: np.ndarray
    validation_errors: np.ndarray
    history: list[np.ndarray]  # E of each epoch of each network; of none, if nobody asked
    validation_history: list[np.ndarray]
    evidence: np.ndarray | None = None  # α, β, γ and the log evidence of each network, [shape: (networks, 4)]
    kept: dict[str, np.ndarray] = field(default_factory=dict)  # what a later call needs to go on, a row for each

    @staticmethod
    def before(group: Group) -> Results:
        """Those of networks that have not trained in this call yet."""
        n = len(group)
        counted: dict[str, Any] = {name: np.zeros(n, np.int64) for name in COUNTED}
        if group.kept is not None:
            counted = {name: group.kept[name].copy() for name in COUNTED}
            counted["best_epochs"] *= group.validates  # or they are not followed any more
        return Results(
            parameters=group.start.copy(),
            **counted,
            stopped_by=np.full(n, "", object),
            errors=np.full(n, np.nan),
            validation_errors=np.full(n, np.nan),
            history=[],
            validation_history=[],
        )

    def put(self, places: np.ndarray, other: Results) -> None:
        """Write those of some networks."""
        for name in ("parameters", *COUNTED, "stopped_by", "errors", "validation_errors"):
            getattr(self, name)[places] = getattr(other, name)
        count = len(self.epochs)
        for mine, theirs in ((self.history, other.history), (self.validation_history, other.validation_history)):
            if theirs and not mine:
                mine += [np.empty(0)] * count
            for place, errors in zip(places.tolist(), theirs, strict=bool(theirs)):
                mine[place] = errors
        if other.evidence is not None:
            self.evidence = (
                np.full((count, other.evidence.shape[1]), np.nan) if self.evidence is None else self.evidence
            )
            self.evidence[places] = other.evidence
        for name, rows in other.kept.items():
            self.kept.setdefault(name, np.zeros((count, *rows.shape[1:]), rows.dtype))[places] = rows


def by_member(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """One number for each of these networks, where there may be one for all."""
    return values[members] if len(values) > 1 else np.full(len(members), values[0])


def those_of(values: Any, part: Any) -> Any:
    """Those of some networks, a slice or numbers, where there may be one for all, or none."""
    if len(values) <= 1:
        return values
    whole = isinstance(values, np.ndarray) or isinstance(part, slice)
    return values[part] if whole else [values[member] for member in part]


def one_of(values: Any, member: int) -> Any:
    """That of one network, where there may be one for all."""
    return values[member if len(values) > 1 else 0]


def by_loss(
    kinds: list[tuple[np.ndarray, Network, np.ndarray]], losses: list[Any]
) -> list[tuple[np.ndarray, Network, np.ndarray]]:
    """Networks by kind and by loss, of which there may be one for all."""
    if len(losses) == 1:
        return kinds
    parts = []
    for members, net, parameters in kinds:
        mine = [losses[member] for member in members]
        for loss in dict.fromkeys(mine):
            places = np.array([place for place, item in enumerate(mine) if item == loss])
            parts.append((members[places], net, parameters[places]))
    return parts
