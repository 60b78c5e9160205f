"""Many small networks by Levenberg–Marquardt, one in each lane, from their start to their end."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ..kernels.gauss_newton import ALPHA, BETA, FALL, GAMMA, LOG_EVIDENCE, MU
from ..kernels.lanes import damped, packs
from ..kernels.lanes.packs import into_lanes, out_of_lanes
from ..kernels.layout import code_of_loss, loss_as_given
from ..kernels.plane_numbers import DIVERGED, MAX_EPOCHS, TARGET_ERROR
from ..settings.rules import BayesianRegularization, LevenbergMarquardt
from ..settings.stopping import Limits
from .groups import Group, Results, by_member, one_of

MOST = 64  # parameters up to which lanes are faster than one network after the other
AT_ONCE = 32  # packs that a thread takes at a time, at most
CALL_SECONDS = 0.01
ROUNDS = 8  # in a call; before the next, networks that have stopped make room
NAMES = {MAX_EPOCHS: "MaxEpochs", TARGET_ERROR: "TargetError", DIVERGED: "diverged"}
NAMES |= {damped.AT_MU_MAX: "mu_max", damped.AT_MIN_GRAD: "min_grad"}


def serves(group: Group) -> bool:
    """Whether a group trains here, unless it wants to be watched: then each network trains alone."""
    watched = group.history or group.early is not None or group.window is not None
    small = packs.serves(group.net.sizes) and len(group.net.parameters) <= MOST
    return isinstance(group.rules[0], LevenbergMarquardt) and small and not watched


def portions(group: Group, threads: int) -> list[slice]:
    """Members of a group to be trained at once, portion after portion, by so many threads."""
    width = packs.width(np.float64, damped.REGISTERS)
    most = width * max(1, min(AT_ONCE, -(-len(group) // (threads * width))))
    parts = -(-len(group) // most)
    return [slice(part, None, parts) for part in range(parts)]


def kind_of(group: Group) -> tuple[object, ...]:
    """What decides which machine code trains a group, and more."""
    tables = [table is None for table in (group.D.c, group.D.row)]
    return ("damped lanes", group.net._activations, type(group.rules[0]), group.loss, *tables)


class DampedLanes:
    """The networks of a group: what belongs to each stands in rows, and is brought into lanes for a call."""

    def __init__(self, group: Group) -> None:
        net, self.group, self.room = group.net, group, damped.make_damped_room(group.net.sizes)
        self.width = packs.width(np.float64, damped.REGISTERS)
        self.X, self.Y = (array.astype(np.float64, order="C", copy=False) for array in (group.D.X, group.D.Y))
        activations = (*net.hidden, net.output)
        self.layers, self.loss = packs.lay_out(net.sizes, activations), code_of_loss(group.loss)
        self.trained, self.untrained = np.flatnonzero(group.trainable), np.flatnonzero(~group.trainable)
        self.bayesian = isinstance(group.rules[0], BayesianRegularization)
        self.P, self.numbers = group.start.astype(np.float64), numbers_of(group)
        passes = ROUNDS * group.D.m * net.sizes[-1]
        self._seconds_of_call = 1e-9 * passes * self.P.shape[1] ** 2  # of a pack, about

    def _task(self, members: np.ndarray) -> damped.DampedTask:
        D, lots = self.group.D, -(-len(members) // self.width)
        shape = lots, D.m, self.width
        c = None if D.c is None else into_lanes(D.c[members].astype(np.float64), self.width).reshape(shape)
        row = None if D.row is None else into_lanes(D.row[members], self.width).reshape(shape)
        rows = packs.Rows(self.X, self.Y, c, row, D.m)
        fixed_beta, single = loss_as_given(self.group.loss) != "squared", self.group.net.dtype == np.float32
        return damped.DampedTask(
            self.layers, rows, self.loss, self.trained, self.untrained, self.bayesian, fixed_beta, single
        )

    def _call(self, members: np.ndarray, kernel: Callable[..., None], *how: int) -> None:
        """Run a kernel on some networks. Writes P and numbers."""
        numbers = into_lanes(self.numbers[members], self.width)
        gaps = np.arange(numbers.shape[0] * self.width) >= len(members)
        reasons = numbers.reshape(len(numbers), damped.PLANES, self.width)[:, damped.REASON]
        reasons[gaps.reshape(reasons.shape)] = DIVERGED
        P = into_lanes(self.P[members], self.width)
        kernel(self._task(members), P, numbers, *how, self.room)
        self.P[members] = out_of_lanes(P, self.width)[: len(members)]
        self.numbers[members] = out_of_lanes(numbers, self.width)[: len(members)]

    def compile(self) -> None:
        """Make sure the machine code is there."""
        self._call(np.arange(1), damped.train_damped_packs, 0)
        if self.bayesian:
            self._call(np.arange(1), damped.estimate_packs)

    def _parts(self, members: np.ndarray) -> list[np.ndarray]:
        """These networks, so many in each part as take no longer than a call may."""
        most = self.width * max(1, int(CALL_SECONDS / self._seconds_of_call))
        return [members[first : first + most] for first in range(0, len(members), most)]

    def run(self, limits: Limits, report: Callable[[int], None]) -> Results:
        """Train all until they have stopped, or ``limits`` are reached; ``report`` hears how many have stopped."""
        group, every = self.group, np.arange(len(self.group))
        results, members, reason = Results.before(group), every, limits.reached()
        while len(members) and reason is None:
            for part in self._parts(members):
                started = time.perf_counter()
                self._call(part, damped.train_damped_packs, ROUNDS)
                lots = -(-len(part) // self.width)
                self._seconds_of_call = max(1e-9, (time.perf_counter() - started) / lots)
                if stopped := int(np.count_nonzero(self.numbers[part, damped.REASON])):
                    report(stopped)
                if (reason := limits.reached()) is not None:
                    break
            members = members[self.numbers[members, damped.REASON] == 0.0]
        if self.bayesian:
            self._call(every, damped.estimate_packs)
            results.evidence = self.numbers[:, [ALPHA, BETA, GAMMA, LOG_EVIDENCE]]
        results.parameters[:] = self.P
        results.epochs[:] = results.updates[:] = by_member(group.epochs, every) - self.numbers[:, damped.LEFT]
        results.stopped_by[:] = [self._name(flags, reason) for flags in self.numbers[:, damped.REASON].astype(int)]
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


def numbers_of(group: Group) -> np.ndarray:
    """What belongs to each network, [shape: (networks, PLANES)]."""
    every, numbers = np.arange(len(group)), np.zeros((len(group), damped.PLANES))
    for index in range(len(group.rules)):
        rule = one_of(group.rules, index)
        here = numbers[index] if len(group.rules) > 1 else numbers
        here[..., [MU, damped.MU_INC, damped.MU_DEC, damped.MU_MAX]] = rule.mu, rule.mu_inc, rule.mu_dec, rule.mu_max
        here[..., damped.MIN_GRAD] = rule.min_grad
        here[..., damped.SETTLED] = rule.settled if isinstance(rule, BayesianRegularization) else 0.0
    lam, present = by_member(group.lam, every), group.D.present(every)
    numbers[:, BETA], numbers[:, FALL], numbers[:, damped.CHOOSES] = 1.0, -1.0, damped.NEVER_YET
    numbers[:, damped.SCALE], numbers[:, damped.PENALTY] = lam, 2.0 * present * (1.0 - lam)
    numbers[:, damped.MIN_GRAD] *= present
    numbers[:, damped.GOAL] = by_member(group.target_errors, every) * present
    numbers[:, damped.LEFT] = by_member(group.epochs, every)
    known = (~np.isnan(group.D.Y)).sum(axis=1).astype(np.float64)
    of_each = known[None] if group.D.row is None else known[group.D.row]
    weights = np.ones(of_each.shape) if group.D.c is None else group.D.c
    numbers[:, damped.TARGETS] = (of_each * weights).sum(axis=1)
    return numbers
