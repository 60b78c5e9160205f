"""Looks: error and gradient of many small networks of one shape, each at a point of its own, in one pass through the
samples. Rules that need no more (``lanes.lbfgs``, ``lanes.conjugate``) go from look to look: what a network makes of
one, and where it looks next, is its own affair, so some end an epoch where others have just begun theirs.

What belongs to a network stands in one row, in lanes a vector for each number: planes, then vectors as long as the
parameters: the direction, the gradient where the network stands, and what else its rule remembers. All is in float64;
networks of float32 look where their parameters, rounded, would be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths.formulas import like, regularised_descent, regularised_objective, select
from ..jit import formula, inline
from ..layout import number_of_parameters
from ..plane_numbers import DIVERGED
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from ..simd.memory import aligned_zeros
from ..state import Update
from ..sums import kahan
from .ends import AT_MIN_GRAD, reason_to_end
from .lines import Net, back_and_change, output_terms, outputs, present
from .packs import Room, Rows, at, lanes_in, make_room, vectors_at, width, work_in, write
from .samples import rows_at, sample_at, weight_at
from .shapes import depth_of, layer_at

REGISTERS = 2  # in a vector

# Settings: λ and 1 − λ; how many samples the network sees; the bound of the gradient's norm; the error to reach, as a
# sum; two of a rule's own.
LAM, REST, PRESENT, MIN_GRAD, GOAL, SETTING1, SETTING2 = range(7)
# Epochs left; why it stopped, 0 while it trains; where it stands: Σ c_k E_k, the objective, its gradient's square and
# Σ |g_i|.
LEFT, REASON, SUM, OBJECTIVE, SQUARE, SIZE = range(7, 13)
# Of the next look: what it is for; how far along the direction it lies; whether the direction first becomes that
# straight downhill. Whether the last one ended at a point to go on from.
PHASE, LENGTH, STRAIGHT, ARRIVED = range(13, 17)
# Found there: Σ c_k E_k and the objective; products of the gradient g there, of the direction d and the gradient G of
# where the network stands: g·d, g·g, Σ |g_i|, g·G, d·(g − G); NaN if g is not finite.
SUM_THERE, OBJECTIVE_THERE, SLOPE_THERE, SQUARE_THERE, SIZE_THERE, TURN, CHANGE, FINITE_THERE = range(17, 25)
OF_RULES = 25  # the first of those that rules have for themselves, and behind them
PLANES = 38

START = 0.0  # the first look, where the network begins; other phases are those of a rule


class LookTask(NamedTuple):
    """What is trained, and how."""

    layers: np.ndarray  # as ``packs.lay_out`` gives them
    D: Rows
    loss: Any
    untrained: np.ndarray  # numbers of parameters
    memory: int  # steps that L-BFGS remembers at most; 0: scaled conjugate gradients
    single: bool  # the networks are of float32


class LookRoom(NamedTuple):
    """Work space for one pack."""

    units: Room
    there: np.ndarray  # parameters where it looks, [shape: (n · lanes,)]
    g: np.ndarray  # gradient of the objective there
    shares: np.ndarray  # one for each step remembered, and one more, [shape: ((memory + 1) · lanes,)]


class Pack(NamedTuple):
    """One of them: pointers to its vectors."""

    P: Any
    planes: Any
    d: Any
    G: Any
    more: Any  # beyond the gradient
    there: Any
    g: Any
    shares: Any
    n: int
    lanes: int


def numbers_in_row(n: int, memory: int) -> int:
    """How many numbers belong to a network of n parameters."""
    return PLANES + 2 * n + memory * (2 * n + 1)


def make_look_room(sizes: Sequence[int], memory: int) -> LookRoom:
    """Work space for a pack."""
    dtype, n = np.dtype(np.float64), number_of_parameters(sizes)
    lanes = width(dtype, REGISTERS)
    numbers = n, n, memory + 1
    return LookRoom(make_room(sizes, dtype, REGISTERS), *(aligned_zeros(count * lanes, dtype) for count in numbers))


@inline
def pack_of(P: np.ndarray, numbers: np.ndarray, number: int, room: LookRoom) -> Pack:
    """A pack of those in [shape: (packs, n · lanes)] and [shape: (packs, numbers in a row · lanes)]."""
    registers, size = room.units.registers_type, P.shape[1]
    there = vectors_at(room.there, 0, registers)
    lanes = lanes_in(there)
    direction = number * numbers.shape[1] + PLANES * lanes
    return Pack(
        vectors_at(P, number * size, registers),
        vectors_at(numbers, number * numbers.shape[1], registers),
        vectors_at(numbers, direction, registers),
        vectors_at(numbers, direction + size, registers),
        vectors_at(numbers, direction + 2 * size, registers),
        there,
        vectors_at(room.g, 0, registers),
        vectors_at(room.shares, 0, registers),
        size // lanes,
        lanes,
    )


@formula
def look(task: LookTask, number: int, pack: Pack, room: LookRoom) -> None:
    """The next look of all networks. Writes d, there, g, planes."""
    step_out(task, pack, room)
    write(pack.planes, SUM_THERE, collect(task, number, pack, room))
    measure(task, pack)


@formula
def step_out(task: LookTask, pack: Pack, room: LookRoom) -> None:
    """Where to look. Writes d, there."""
    length, straight = at(pack.planes, LENGTH), at(pack.planes, STRAIGHT)
    downhill = straight > like(straight, 0)
    for i in range(pack.n):
        d = select(downhill, -at(pack.G, i), at(pack.d, i))
        write(pack.d, i, d)
        write(pack.there, i, at(pack.P, i) + length * d)
    if task.single:
        for i in range(pack.n * pack.lanes):
            room.there[i] = np.float64(np.float32(room.there[i]))


@formula
def collect(task: LookTask, number: int, pack: Pack, room: LookRoom) -> Any:
    """Σ c_k E_k of each network with the parameters there, and −Σ c_k ∂E_k/∂p. Writes g."""
    layers, D, P, G = task.layers, rows_at(task.D, room.units.registers_type), pack.there, pack.g
    d, top = layer_at(None, layers, 0).fan_in, layer_at(None, layers, depth_of(None, layers) - 1)
    work, zero = work_in(top, room.units), like(at(P, 0), 0)
    total, carry, update = zero, zero, Update(None, zero, None)
    for i in range(pack.n):
        write(G, i, zero)
    for k in range(D.m):
        x, y = sample_at(D, number, None, k, k, work.sample, d, top.fan_out)
        c = weight_at(D, number, None, k, k)
        net = Net(P, P, P, None, pack.n, P, present(c), work.z, work.b, work.slope, work.g)
        outputs(net, None, layers, P, x)
        total, carry = kahan(total, carry, output_terms(net, None, top, task.loss, y, c))
        back_and_change(net, None, layers, update, G, x)
    return total


@formula
def measure(task: LookTask, pack: Pack) -> None:
    """The objective there and its gradient, and their products. Writes g, planes."""
    planes, g, G, d = pack.planes, pack.g, pack.G, pack.d
    m, lam, rest = at(planes, PRESENT), at(planes, LAM), at(planes, REST)
    zero = like(m, 0)
    slope, square, size, turn, change, finite, squares = zero, zero, zero, zero, zero, zero, zero
    for i in range(pack.n):
        w = at(pack.there, i)
        squares += w * w
        write(g, i, -regularised_descent(at(g, i) / m, w, lam, rest))
    for i in task.untrained:
        write(g, i, zero)
    for i in range(pack.n):
        here, before, along = at(g, i), at(G, i), at(d, i)
        slope += along * here
        square += here * here
        size += abs(here)
        turn += here * before
        change += along * (here - before)
        finite += here * zero
    error = at(planes, SUM_THERE) / m
    penalised = regularised_objective(error, squares, lam, rest)
    write(planes, OBJECTIVE_THERE, select(rest > zero, penalised, error))  # squares may be infinite
    write(planes, SLOPE_THERE, slope)
    write(planes, SQUARE_THERE, square)
    write(planes, SIZE_THERE, size)
    write(planes, TURN, turn)
    write(planes, CHANGE, change)
    write(planes, FINITE_THERE, finite)


@formula
def arrive(mine: np.ndarray) -> None:
    """A network goes on from where it looked, unless it stops there. Writes its numbers."""
    before, now = mine[SUM], mine[SUM_THERE]
    mine[SUM], mine[OBJECTIVE] = now, mine[OBJECTIVE_THERE]
    mine[SQUARE], mine[SIZE] = mine[SQUARE_THERE], mine[SIZE_THERE]
    if mine[PHASE] != START:
        mine[LEFT] -= 1.0
        mine[REASON] = reason_to_end(before, now, mine[GOAL], mine[LEFT])
    if mine[REASON] == 0.0:
        if not abs(mine[OBJECTIVE] + mine[FINITE_THERE]) < np.inf:
            mine[REASON] = DIVERGED
        elif not math.sqrt(mine[SQUARE]) > mine[MIN_GRAD]:
            mine[REASON] = AT_MIN_GRAD
