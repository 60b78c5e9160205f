"""Scaled conjugate gradients in lanes: Møller's steps of each network, one look at a time."""

from __future__ import annotations

import math

import numpy as np

from ...maths.formulas import like, select
from ..gradient_steps import agreement_of, made_convex, scale_after
from ..jit import formula
from .ends import AT_SCALE_MAX
from .looks import (
    ARRIVED,
    CHANGE,
    LENGTH,
    OBJECTIVE,
    OBJECTIVE_THERE,
    OF_RULES,
    PHASE,
    REASON,
    SETTING1,
    SETTING2,
    SQUARE,
    SQUARE_THERE,
    START,
    STRAIGHT,
    TURN,
    Pack,
    arrive,
)
from .packs import at, write

SIGMA, SCALE_MAX = SETTING1, SETTING2
# Møller's λ; steps since the direction was last the gradient's; the curvature along it, and δ; its square, and what it
# has of the gradient's; how much of it is in the next.
SCALE, STEPS, CURVATURE, DELTA, SQUARE_OF_D, DOWNHILL, SHARE = range(OF_RULES, OF_RULES + 7)

AHEAD, TRIAL = 1.0, 2.0  # what a look is for: the curvature along the direction; a step


@formula
def go_on_by_conjugate(pack: Pack, numbers: np.ndarray) -> None:
    """What each network makes of its look. Writes P, d, G, numbers."""
    lanes, some_arrive = pack.lanes, False
    for lane in range(lanes):
        mine = numbers[lane::lanes]
        mine[ARRIVED] = mine[STRAIGHT] = 0.0
        if mine[REASON] == 0.0:
            judge(mine, pack.n)
            some_arrive = some_arrive or mine[ARRIVED] > 0.0
    if not some_arrive:
        return
    turn(pack)
    for lane in range(lanes):
        mine = numbers[lane::lanes]
        if mine[ARRIVED] > 0.0:
            arrive(mine)
            look_ahead(mine)


@formula
def judge(mine: np.ndarray, n: int) -> None:
    """What one network makes of its look. Writes its numbers."""
    if mine[PHASE] == START:
        mine[ARRIVED] = 1.0
    elif mine[PHASE] == AHEAD:
        mine[CURVATURE] = mine[CHANGE] / mine[LENGTH]
        try_step(mine)
    else:
        agreement = agreement_of(mine[DELTA], mine[OBJECTIVE] - mine[OBJECTIVE_THERE], mine[DOWNHILL])
        mine[SCALE] = scale_after(mine[SCALE], agreement, mine[DELTA], mine[SQUARE_OF_D])
        if agreement >= 0.0:
            mine[ARRIVED] = 1.0
            mine[STEPS] += 1.0
            mine[SHARE] = (mine[SQUARE_THERE] - mine[TURN]) / mine[DOWNHILL]
            if mine[STEPS] >= n:
                mine[STEPS] = mine[SHARE] = 0.0
        else:
            try_step(mine)


@formula
def try_step(mine: np.ndarray) -> None:
    """A step by the curvature and λ. Writes its numbers."""
    if not mine[SCALE] <= mine[SCALE_MAX]:
        mine[REASON] = AT_SCALE_MAX
        return
    mine[SCALE], mine[DELTA] = made_convex(mine[SCALE], mine[CURVATURE], mine[SQUARE_OF_D])
    mine[PHASE], mine[LENGTH] = TRIAL, mine[DOWNHILL] / mine[DELTA]


@formula
def look_ahead(mine: np.ndarray) -> None:
    """A look a little further along the direction, if it leads down, and else straight downhill. Writes its numbers."""
    if not mine[DOWNHILL] > 0.0:
        mine[STRAIGHT], mine[STEPS] = 1.0, 0.0
        mine[SQUARE_OF_D] = mine[DOWNHILL] = mine[SQUARE]
    mine[PHASE], mine[LENGTH] = AHEAD, mine[SIGMA] / math.sqrt(mine[SQUARE_OF_D])


@formula
def turn(pack: Pack) -> None:
    """Where they looked, those that have arrived have their next direction. Writes P, d, G, planes."""
    planes = pack.planes
    zero, share = like(at(planes, SHARE), 0), at(planes, SHARE)
    arrived, square, downhill = at(planes, ARRIVED) > zero, zero, zero
    for i in range(pack.n):
        g, before = at(pack.g, i), at(pack.d, i)
        d = share * before - g
        square += d * d
        downhill -= d * g
        write(pack.d, i, select(arrived, d, before))
        write(pack.G, i, select(arrived, g, at(pack.G, i)))
        write(pack.P, i, select(arrived, at(pack.there, i), at(pack.P, i)))
    write(planes, SQUARE_OF_D, select(arrived, square, at(planes, SQUARE_OF_D)))
    write(planes, DOWNHILL, select(arrived, downhill, at(planes, DOWNHILL)))
