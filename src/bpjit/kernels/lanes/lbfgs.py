"""L-BFGS in lanes: the strong Wolfe search of each network goes on by one look at a time, and the last steps of all
networks stand in one ring, that of each lane as long as it has come to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths.formulas import like, select
from ..gradient_steps import Along, ends_search, first_length, narrowed, next_length, tells_curvature
from ..jit import formula, inline
from .ends import AT_MAX_SEARCH
from .looks import (
    ARRIVED,
    LENGTH,
    OBJECTIVE,
    OBJECTIVE_THERE,
    OF_RULES,
    PHASE,
    REASON,
    SETTING1,
    SETTING2,
    SIZE,
    SLOPE_THERE,
    SQUARE,
    START,
    STRAIGHT,
    Pack,
    arrive,
)
from .packs import at, write

MEMORY, MAX_SEARCH = SETTING1, SETTING2
# Steps remembered; looks left to a search; the slope at its start; its lowest point and that beyond.
COUNT, LOOKS, FIRST_SLOPE, LOW_LENGTH, LOW_SLOPE, LOW_OBJECTIVE, FAR_LENGTH, FAR_SLOPE, FAR_OBJECTIVE = range(
    OF_RULES, OF_RULES + 9
)
# Of the last step s, on which the gradient changed by y: s·y, y·y, whether it is remembered; s·y / y·y of the last that
# is.
S_Y, Y_Y, KEPT, SPREAD = range(OF_RULES + 9, OF_RULES + 13)

SEARCH, SETTLE = 1.0, 2.0  # what a look is for: a search; the lowest point of one that has come to its end

# Beyond the gradient of a pack: s and y of each step remembered, the newest first, and 1 / s·y of each.


@formula
def go_on_by_lbfgs(pack: Pack, numbers: np.ndarray, memory: int) -> None:
    """What each network makes of its look. Writes P, d, G, numbers."""
    lanes, some_arrive = pack.lanes, False
    for lane in range(lanes):
        mine = numbers[lane::lanes]
        mine[ARRIVED] = mine[STRAIGHT] = mine[KEPT] = 0.0
        if mine[REASON] == 0.0:
            search_on(mine)
            some_arrive = some_arrive or mine[ARRIVED] > 0.0
    if not some_arrive:
        return
    multiply_pair(pack)
    count = 0
    for lane in range(lanes):
        mine = numbers[lane::lanes]
        if mine[ARRIVED] > 0.0:
            keep_pair(mine)
            arrive(mine)
        count = max(count, int(mine[COUNT]))
    push_pair(pack, memory, count)
    turn(pack, memory, count)
    for lane in range(lanes):
        mine = numbers[lane::lanes]
        if mine[ARRIVED] > 0.0 and mine[REASON] == 0.0:
            begin_search(mine)


# --- The search of one network.


@formula
def begin_search(mine: np.ndarray) -> None:
    """Along its direction; or straight downhill, if that does not lead down. Writes its numbers."""
    if not mine[FIRST_SLOPE] < 0.0 and mine[COUNT] > 0.0:
        forget(mine)
    mine[PHASE], mine[LOOKS] = SEARCH, mine[MAX_SEARCH]
    mine[LENGTH] = 1.0 if mine[COUNT] > 0.0 else first_length(mine[SIZE])
    mine[LOW_LENGTH], mine[LOW_SLOPE], mine[LOW_OBJECTIVE] = 0.0, mine[FIRST_SLOPE], mine[OBJECTIVE]
    mine[FAR_LENGTH] = np.nan
    if not mine[FIRST_SLOPE] < 0.0:
        mine[REASON] = AT_MAX_SEARCH


@formula
def forget(mine: np.ndarray) -> None:
    """No step is remembered, so the direction is straight downhill. Writes its numbers."""
    mine[COUNT], mine[STRAIGHT], mine[FIRST_SLOPE] = 0.0, 1.0, -mine[SQUARE]


@formula
def search_on(mine: np.ndarray) -> None:
    """What one network makes of its look. Writes its numbers."""
    start = Along(0.0, mine[FIRST_SLOPE], mine[OBJECTIVE])
    low = Along(mine[LOW_LENGTH], mine[LOW_SLOPE], mine[LOW_OBJECTIVE])
    far = Along(mine[FAR_LENGTH], mine[FAR_SLOPE], mine[FAR_OBJECTIVE])
    now = Along(mine[LENGTH], mine[SLOPE_THERE], mine[OBJECTIVE_THERE])
    mine[LOOKS] -= 1.0
    if mine[PHASE] != SEARCH or ends_search(start, low, now):
        mine[ARRIVED] = 1.0
        return
    low, far = narrowed(start, low, far, now)
    mine[LOW_LENGTH], mine[LOW_SLOPE], mine[LOW_OBJECTIVE] = low.length, low.slope, low.objective
    mine[FAR_LENGTH], mine[FAR_SLOPE], mine[FAR_OBJECTIVE] = far.length, far.slope, far.objective
    if mine[LOOKS] > 0.0:
        mine[LENGTH] = next_length(low, far, now.length)
    elif low.length > 0.0:
        mine[PHASE], mine[LENGTH] = SETTLE, low.length
    elif mine[COUNT] > 0.0:
        forget(mine)
        begin_search(mine)
    else:
        mine[REASON] = AT_MAX_SEARCH


@formula
def keep_pair(mine: np.ndarray) -> None:
    """Whether the last step is remembered. Writes its numbers."""
    if mine[PHASE] != START and tells_curvature(mine[S_Y], mine[Y_Y]):
        mine[KEPT], mine[COUNT] = 1.0, min(mine[COUNT] + 1.0, mine[MEMORY])
        mine[SPREAD] = mine[S_Y] / mine[Y_Y]


# --- All networks.


@formula
def multiply_pair(pack: Pack) -> None:
    """s·y and y·y of the step to where each looked. Writes planes."""
    s_y, y_y = like(at(pack.planes, S_Y), 0), like(at(pack.planes, S_Y), 0)
    for i in range(pack.n):
        y = at(pack.g, i) - at(pack.G, i)
        s_y += (at(pack.there, i) - at(pack.P, i)) * y
        y_y += y * y
    write(pack.planes, S_Y, s_y)
    write(pack.planes, Y_Y, y_y)


@formula
def push_pair(pack: Pack, memory: int, count: int) -> None:
    """Remember the steps that tell of a curvature, so many in a lane at most, and go where they led. Writes P, G, and
    beyond."""
    n, S, planes = pack.n, pack.more, pack.planes
    zero = like(at(planes, KEPT), 0)
    arrived, kept = at(planes, ARRIVED) > zero, at(planes, KEPT) > zero
    for i in range(n):
        p, there, G, g = at(pack.P, i), at(pack.there, i), at(pack.G, i), at(pack.g, i)
        push(S, i, n, count, kept, there - p)
        push(S, memory * n + i, n, count, kept, g - G)
        write(pack.P, i, select(arrived, there, p))
        write(pack.G, i, select(arrived, g, G))
    push(S, 2 * memory * n, 1, count, kept, like(zero, 1) / at(planes, S_Y))


@inline
def push(ring: Any, first: int, stride: int, count: int, kept: Any, value: Any) -> None:
    """One more number before those remembered, in some lanes. Writes the ring."""
    for k in range(count):
        place = first + k * stride
        before = at(ring, place)
        write(ring, place, select(kept, value, before))
        value = before


@formula
def turn(pack: Pack, memory: int, count: int) -> None:
    """−H G by the two loops through the steps remembered (Nocedal 1980), so many in a lane at most, for those that have
    arrived; and its slope. Writes d, planes."""
    n, q, S, planes, shares = pack.n, pack.g, pack.more, pack.planes, pack.shares
    Y, rho = memory * n, 2 * memory * n
    zero, counts = like(at(planes, COUNT), 0), at(planes, COUNT)
    for i in range(n):
        write(q, i, at(pack.G, i))
    for k in range(count):
        share = zero
        for i in range(n):
            share += at(S, k * n + i) * at(q, i)
        share = select(like(zero, k) < counts, share * at(S, rho + k), zero)
        write(shares, k, share)
        for i in range(n):
            write(q, i, at(q, i) - share * at(S, Y + k * n + i))
    spread = select(counts > zero, at(planes, SPREAD), like(zero, 1))
    for i in range(n):
        write(q, i, at(q, i) * spread)
    for k in range(count - 1, -1, -1):
        share = zero
        for i in range(n):
            share += at(S, Y + k * n + i) * at(q, i)
        share = select(like(zero, k) < counts, at(shares, k) - share * at(S, rho + k), zero)
        for i in range(n):
            write(q, i, at(q, i) + share * at(S, k * n + i))
    arrived, slope = at(planes, ARRIVED) > zero, zero
    for i in range(n):
        d = -at(q, i)
        slope += d * at(pack.G, i)
        write(pack.d, i, select(arrived, d, at(pack.d, i)))
    write(planes, FIRST_SLOPE, select(arrived, slope, at(planes, FIRST_SLOPE)))
