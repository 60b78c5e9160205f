"""Many small networks by L-BFGS or scaled conjugate gradients, one in each lane."""

from __future__ import annotations

import numpy as np

from ..kernels.lanes import conjugate, ends, lbfgs, looks, packs
from ..kernels.lanes.gradients import train_packs_by_looks
from ..settings.rules import LBFGS, ScaledConjugateGradient
from .groups import Group, by_member, one_of
from .second_order_lanes import SecondOrderLanes, epochs_left


class GradientLanes(SecondOrderLanes):
    """As ``SecondOrderLanes``; a pass is a look."""

    registers, most, longest, passes = looks.REGISTERS, packs.MOST, 0.0008, 64
    left, reason = looks.LEFT, looks.REASON
    kernel = staticmethod(train_packs_by_looks)

    def __init__(self, group: Group) -> None:
        super().__init__(group)
        self.memory = memory_of(group)
        self.room, self.numbers = looks.make_look_room(group.net.sizes, self.memory), numbers_of(group)
        if group.kept is not None:
            self.numbers = self._taken_up(self.numbers, group.kept["numbers"])

    def _taken_up(self, fresh: np.ndarray, kept: np.ndarray) -> np.ndarray:
        numbers = self.take_up(fresh, kept)
        numbers[:, looks.GOAL] = fresh[:, looks.GOAL]
        over = (kept[:, looks.REASON] != 0.0) & (numbers[:, looks.REASON] == 0.0)
        if self.memory:  # they look once more at where they stand, and go on from there
            numbers[over, looks.PHASE], numbers[over, looks.LENGTH] = looks.START, 0.0
        else:  # they know where to look, but have not seen whether there is anything to look for
            flat = over & ~(np.sqrt(numbers[:, looks.SQUARE]) > numbers[:, looks.MIN_GRAD])
            numbers[flat, looks.REASON] = ends.AT_MIN_GRAD
        return numbers

    @staticmethod
    def seconds_of_pass(group: Group) -> float:
        return 4e-9 * group.D.m * (len(group.net.parameters) + 16)

    @staticmethod
    def numbers_in_row(group: Group) -> int:
        return looks.numbers_in_row(len(group.net.parameters), memory_of(group))

    def _task(self, rows: packs.Rows) -> looks.LookTask:
        untrained, single = np.flatnonzero(~self.group.trainable), self.group.net.dtype == np.float32
        return looks.LookTask(self.layers, rows, self.loss, untrained, self.memory, single)


def memory_of(group: Group) -> int:
    """How many steps its networks remember at most; 0 where they train by scaled conjugate gradients."""
    if group.kept is not None and "numbers" in group.kept:  # which have room for so many
        n, length = len(group.net.parameters), group.kept["numbers"].shape[1]
        nothing, one = looks.numbers_in_row(n, 0), looks.numbers_in_row(n, 1)
        return (length - nothing) // (one - nothing)
    return max((rule.memory for rule in group.rules if isinstance(rule, LBFGS)), default=0)


def numbers_of(group: Group) -> np.ndarray:
    """What belongs to each network, [shape: (networks, numbers in a row)]."""
    every, numbers = np.arange(len(group)), np.zeros((len(group), GradientLanes.numbers_in_row(group)))
    for index in range(len(group.rules)):
        rule = one_of(group.rules, index)
        here = numbers[index] if len(group.rules) > 1 else numbers
        here[..., looks.MIN_GRAD] = rule.min_grad
        if isinstance(rule, LBFGS):
            here[..., [lbfgs.MEMORY, lbfgs.MAX_SEARCH]] = rule.memory, rule.max_search
        elif isinstance(rule, ScaledConjugateGradient):
            here[..., [conjugate.SIGMA, conjugate.SCALE, conjugate.SCALE_MAX]] = rule.sigma, rule.scale, rule.scale_max
    lam, present = by_member(group.lam, every), group.D.present(every)
    numbers[:, looks.LAM], numbers[:, looks.REST], numbers[:, looks.PRESENT] = lam, 1.0 - lam, present
    numbers[:, looks.GOAL] = by_member(group.target_errors, every) * present
    numbers[:, looks.LEFT] = epochs_left(group)
    return numbers
