"""What many trainings learnt from, and how: what ``Fits`` keep of it for advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.state import Samples
from ..networks.network import Network
from ..settings.rules import Rule
from ..training.origin import MOST_BYTES, ROWS
from .groups import Data, Group, one_of


@dataclass(frozen=True, eq=False)
class Seen:
    """A group of networks, without what only training needs; of large data some samples of each network."""

    members: np.ndarray
    D: Data
    net: Network
    start: np.ndarray | None  # None where they are large
    loss: str
    rules: Sequence[Rule]
    etas: np.ndarray
    adaptive: bool
    penalised: bool

    @classmethod
    def of(cls, group: Group) -> Seen:
        """What is to be kept of a group."""
        start = group.start if group.start.nbytes <= MOST_BYTES else None
        settings = group.loss, group.rules, group.etas, group.adaptive, group.penalised
        return cls(group.members, some_of(group.D, len(group)), group.net, start, *settings)

    def samples(self, place: int, rows: int) -> Samples:
        """So many samples at most of one network, from all over, but for absent ones."""
        D = self.D
        c = np.ones(D.m, self.net.dtype) if D.c is None else D.c[place]
        present = np.flatnonzero(c > 0)
        if len(present) > rows:
            present = present[np.linspace(0, len(present) - 1, rows).astype(int)]
        row = present if D.row is None else D.row[place, present]
        return Samples(D.X[row], D.Y[row], c[present], D.numbers[present])

    def start_of(self, place: int) -> Network | None:
        return None if self.start is None else self.net.with_parameters(self.start[place])

    def rule_of(self, place: int) -> Rule:
        rule: Rule = one_of(self.rules, place)
        return rule

    def eta_of(self, place: int) -> float | None:
        """None where the rule has none, or it adapts."""
        rated = self.rule_of(place).default_eta is not None and not self.adaptive
        return float(one_of(self.etas, place)) if rated else None


def some_of(D: Data, count: int) -> Data:
    """The data of so many networks, or some samples of each where they are large."""
    arrays = [array for array in (D.X, D.Y, D.c, D.row) if array is not None]
    size = sum(array.nbytes for array in arrays)
    if size <= MOST_BYTES:
        return D
    few = np.linspace(0, D.m - 1, min(D.m, max(16, min(ROWS, MOST_BYTES * D.m // size)))).astype(int)
    c = None if D.c is None else D.c[:, few]
    if D.row is None:
        return Data(D.X[few], D.Y[few], c, None, D.numbers[few])
    rows, row = np.unique(D.row[:, few], return_inverse=True)
    return Data(D.X[rows], D.Y[rows], c, row.reshape(count, -1), D.numbers[few])
