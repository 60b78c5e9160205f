"""Many small networks by Levenberg–Marquardt, with or without Bayesian regularisation, one in each lane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..kernels.gauss_newton import ALPHA, BETA, FALL, GAMMA, LOG_EVIDENCE, MU
from ..kernels.lanes import damped, packs
from ..kernels.layout import loss_as_given
from ..settings.rules import BayesianRegularization
from ..settings.stopping import Limits
from .groups import Group, Results, by_member, one_of
from .second_order_lanes import SecondOrderLanes, epochs_left


class DampedLanes(SecondOrderLanes):
    """As ``SecondOrderLanes``; a round counts as a pass: one for JᵀJ, and one for the error after each try."""

    registers, most, longest, passes = damped.REGISTERS, 48, 0.0125, 8
    left, reason = damped.LEFT, damped.REASON
    kernel = staticmethod(damped.train_damped_packs)

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.room, self.numbers = damped.make_damped_room(group.net.sizes), numbers_of(group)
        if group.kept is not None:
            goals = self.numbers[:, damped.GOAL].copy()
            self.numbers = self.take_up(self.numbers, group.kept["numbers"])
            self.numbers[:, damped.GOAL] = goals
        self.trained, self.untrained = np.flatnonzero(group.trainable), np.flatnonzero(~group.trainable)
        self.bayesian = isinstance(group.rules[0], BayesianRegularization)

    @staticmethod
    def seconds_of_pass(group: Group) -> float:
        return 1e-9 * group.D.m * group.net.sizes[-1] * (len(group.net.parameters) + 8) ** 2

    @staticmethod
    def numbers_in_row(group: Group) -> int:
        return damped.PLANES

    def _task(self, rows: packs.Rows) -> damped.DampedTask:
        fixed_beta, single = loss_as_given(self.group.loss) != "squared", self.group.net.dtype == np.float32
        return damped.DampedTask(
            self.layers, rows, self.loss, self.trained, self.untrained, self.bayesian, fixed_beta, single
        )

    def compile(self) -> None:
        super().compile()
        if self.bayesian:
            self._call(np.arange(1), damped.estimate_packs)

    def run(self, limits: Limits, report: Callable[[int], None]) -> Results:
        results = super().run(limits, report)
        if self.bayesian:
            self._call(np.arange(len(self.group)), damped.estimate_packs)
            results.evidence = self.numbers[:, [ALPHA, BETA, GAMMA, LOG_EVIDENCE]]
        return results


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
    numbers[:, damped.LEFT] = epochs_left(group)
    known = (~np.isnan(group.D.Y)).sum(axis=1).astype(np.float64)
    of_each = known[None] if group.D.row is None else known[group.D.row]
    weights = np.ones(of_each.shape) if group.D.c is None else group.D.c
    numbers[:, damped.TARGETS] = (of_each * weights).sum(axis=1)
    return numbers
