"""Levenberg–Marquardt on many small networks of one shape at once, one in each lane, with or without Bayesian
regularisation: what ``one.damped`` does to a single network.

All lanes go in rounds, which end with one pass through the samples for error, gradient and JᵀJ. In a round each network
may try some times: a system solved, and a pass for the error where the step leads; it then takes the step, and waits
for the others, or stays where it is with a larger μ. What is a vector operation here is one for every network; what a
network decides is decided lane by lane.

All is in float64; networks of float32 have their parameters rounded after each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths.formulas import like, log, select
from ..gauss_newton import (
    ALPHA,
    BETA,
    FALL,
    FIRST_GAMMA,
    GAMMA,
    KEPT_NUMBERS,
    LEAST_MU,
    LOG_EVIDENCE,
    MU,
    effective_parameters,
    log_evidence,
    next_alpha,
    next_beta,
    row_factor,
)
from ..jit import formula, inline, kernel
from ..layout import CROSS_ENTROPY, SOFTMAX, number_of_parameters
from ..plane_numbers import DIVERGED
from ..simd import functions  # noqa: F401  (brings exp and its kin for vectors)
from ..simd.across import any_lane
from ..simd.memory import aligned_zeros
from ..state import Update
from ..sums import kahan
from ..switches import code_of
from .ends import AT_MIN_GRAD, AT_MU_MAX, reason_to_end
from .lines import Net, back_and_change, output_terms, outputs, present
from .matrices import TALL, WIDE, back_substitute, factorise, fill, fold, trace_of_inverse
from .packs import Room, Rows, at, lanes_in, make_room, row, vectors_at, width, work_in, write
from .samples import rows_at, sample_at, value, weight_at
from .shapes import depth_of, layer_at

REGISTERS = 1  # in a vector: matrices of more networks would leave the cache
TRIES = 3  # in a round; in most it takes two

# What belongs to a network, beside what a rule remembers. Settings: those of the rule, MIN_GRAD times the number of
# samples; scale and penalty of the objective where the rule has no own; how many targets are known; the error to reach,
# as a sum.
MU_INC, MU_DEC, MU_MAX, MIN_GRAD, SETTLED, SCALE, PENALTY, TARGETS, GOAL = range(KEPT_NUMBERS, KEPT_NUMBERS + 9)
# Epochs left; why it stopped, 0 while it trains; whether α and β are to be chosen anew, NEVER_YET at first; Σ c_k E_k.
LEFT, REASON, CHOOSES, SUM = range(KEPT_NUMBERS + 9, KEPT_NUMBERS + 13)
# Of a round: whether it still tries. Of a try: the objective, both where the step leads, and whether it is taken. Of α
# and β: tr (β H + α I)⁻¹, half the logarithm of its determinant, Σ w².
TRIES_ON, OBJECTIVE, NEW_SUM, NEW_OBJECTIVE, TAKEN, TRACE, LOGS, SQUARES = range(KEPT_NUMBERS + 13, KEPT_NUMBERS + 21)
PLANES = KEPT_NUMBERS + 21
NEVER_YET = 2.0


class DampedTask(NamedTuple):
    """What is trained, and how."""

    layers: np.ndarray  # as ``packs.lay_out`` gives them
    D: Rows
    loss: Any
    trained: np.ndarray  # numbers of parameters
    untrained: np.ndarray
    bayesian: bool
    fixed_beta: bool  # β is 1
    single: bool  # the networks are of float32


class DampedRoom(NamedTuple):
    """Work space for one pack; of matrices each row has room for WIDE numbers beyond the n-th."""

    units: Room
    G: np.ndarray  # −Σ c_k ∂E_k/∂p, [shape: (n · lanes,)]
    H: np.ndarray  # JᵀJ, its upper triangle
    J: np.ndarray  # TALL rows of the Jacobian
    U: np.ndarray  # the system and its factor, with the right-hand side beyond the n-th column
    reciprocals: np.ndarray  # 1/u_kk
    step: np.ndarray
    trial: np.ndarray


def make_damped_room(sizes: Sequence[int]) -> DampedRoom:
    """Work space for a pack."""
    dtype, n = np.dtype(np.float64), number_of_parameters(sizes)
    lanes, matrix = width(dtype, REGISTERS), n * (n + WIDE)
    numbers = n, matrix, TALL * (n + WIDE), matrix, n, n, n
    return DampedRoom(make_room(sizes, dtype, REGISTERS), *(aligned_zeros(count * lanes, dtype) for count in numbers))


@inline
def vectors(array: np.ndarray, work: DampedRoom) -> Any:
    """A pointer to its vectors."""
    return vectors_at(array, 0, work.units.registers_type)


# --- A pass through the samples.


@inline
def start_row(net: Net, top: Any, loss: Any, j: int, y: Any, c: Any) -> None:
    """What row j of the Jacobian has at the net inputs of the outputs. Writes g."""
    softmax, first = top.activation == SOFTMAX, top.here
    y_hat, zero = at(net.b, first + j), like(at(net.b, first), 0)
    weight = like(y_hat, 1) if c is None else zero + c
    factor = row_factor(
        code_of(loss) == CROSS_ENTROPY, softmax, y_hat, at(net.slope, first + j), weight, zero + value(y, j)
    )
    for unit in range(first, first + top.fan_out):
        write(net.g, unit, at(net.b, unit) * -factor if softmax else zero)
    write(net.g, first + j, factor - factor * y_hat if softmax else factor)


@formula
def look(task: DampedTask, number: int, P: Any, work: DampedRoom, n: int, learns: bool) -> Any:
    """Σ c_k E_k of each network with parameters P. Writes G and H, if it ``learns``."""
    layers, registers = task.layers, work.units.registers_type
    d, top, ld = layer_at(None, layers, 0).fan_in, layer_at(None, layers, depth_of(None, layers) - 1), n + WIDE
    D, units, zero = rows_at(task.D, registers), work_in(top, work.units), like(at(P, 0), 0)
    G, H, J = vectors(work.G, work), vectors(work.H, work), vectors(work.J, work)
    total, carry, filled, update = zero, zero, 0, Update(None, zero, None)
    if learns:
        work.G[:] = work.H[:] = 0.0
    for k in range(D.m):
        x, y = sample_at(D, number, None, k, k, units.sample, d, top.fan_out)
        c = weight_at(D, number, None, k, k)
        net = Net(P, P, P, None, n, P, present(c), units.z, units.b, units.slope, units.g)
        outputs(net, None, layers, P, x)
        total, carry = kahan(total, carry, output_terms(net, None, top, task.loss, y, c))
        if not learns:
            continue
        back_and_change(net, None, layers, update, G, x)
        for j in range(top.fan_out):
            start_row(net, top, task.loss, j, y, c)
            here = vectors_at(work.J, filled * ld * lanes_of(work), registers)
            back_and_change(net, None, layers, update, here, x)
            for i in task.untrained:
                write(here, i, zero)
            filled += 1
            if filled == TALL:
                fold(J, H, n)
                filled = 0
    if filled > 0:
        fold(J, H, n)
    if learns:
        for i in task.untrained:
            write(G, i, zero)
    return total


@inline
def lanes_of(work: DampedRoom) -> int:
    return lanes_in(vectors(work.G, work))


@formula
def sum_of_squares(task: DampedTask, P: Any) -> Any:
    """Σ w² of the trained parameters."""
    total = like(at(P, 0), 0)
    for i in task.trained:
        total += at(P, i) * at(P, i)
    return total


# --- The penalty that the evidence chooses. ``numbers`` are those of a pack, [shape: (PLANES · lanes,)].


@formula
def estimate(task: DampedTask, P: Any, planes: Any, numbers: np.ndarray, work: DampedRoom, n: int, every: bool) -> None:
    """γ and the log evidence of α and β, of every network, or of those that choose anew. Writes numbers."""
    U, reciprocals, lanes = vectors(work.U, work), vectors(work.reciprocals, work), lanes_of(work)
    alpha, beta = at(planes, ALPHA), at(planes, BETA)
    fill(U, vectors(work.H, work), beta, alpha, n)
    factorise(U, reciprocals, n)
    logs, trace = like(alpha, 0), trace_of_inverse(U, reciprocals, vectors(work.step, work), n)
    for i in range(n):
        logs -= log(at(reciprocals, i))
    for _ in task.untrained:  # where the system has α alone
        trace -= like(alpha, 1) / alpha
        logs -= like(alpha, 0.5) * log(alpha)
    write(planes, TRACE, trace)
    write(planes, LOGS, logs)
    write(planes, OBJECTIVE, beta * at(planes, SUM) + like(alpha, 0.5) * alpha * sum_of_squares(task, P))
    for lane in range(lanes):
        alpha_here, beta_here = numbers[ALPHA * lanes + lane], numbers[BETA * lanes + lane]
        gamma = effective_parameters(len(task.trained), alpha_here, numbers[TRACE * lanes + lane])
        asked = every or numbers[CHOOSES * lanes + lane] == 1.0
        if asked and gamma == gamma:  # else the system is singular, and all stays as it was
            numbers[GAMMA * lanes + lane] = gamma
            numbers[LOG_EVIDENCE * lanes + lane] = log_evidence(
                len(task.trained),
                alpha_here,
                beta_here,
                numbers[LOGS * lanes + lane],
                numbers[OBJECTIVE * lanes + lane],
                0.0 if task.fixed_beta else numbers[TARGETS * lanes + lane],
            )


@formula
def choose_penalties(task: DampedTask, P: Any, planes: Any, numbers: np.ndarray, work: DampedRoom, n: int) -> None:
    """α and β of the networks whose epoch begins with that. Writes numbers."""
    lanes, some_estimate = lanes_of(work), False
    for lane in range(lanes):
        some_estimate = some_estimate or (trains(numbers, lane, lanes) and numbers[CHOOSES * lanes + lane] == 1.0)
    if some_estimate:
        estimate(task, P, planes, numbers, work, n, False)
    write(planes, SQUARES, sum_of_squares(task, P))
    for lane in range(lanes):
        chooses = numbers[CHOOSES * lanes + lane]
        if chooses == NEVER_YET:
            numbers[GAMMA * lanes + lane] = FIRST_GAMMA * numbers[TARGETS * lanes + lane]
        if chooses > 0.0 and trains(numbers, lane, lanes):
            gamma, alpha, beta = GAMMA * lanes + lane, ALPHA * lanes + lane, BETA * lanes + lane
            numbers[alpha] = next_alpha(numbers[alpha], numbers[gamma], numbers[SQUARES * lanes + lane])
            if not task.fixed_beta:
                targets, error_sum = numbers[TARGETS * lanes + lane], numbers[SUM * lanes + lane]
                numbers[beta] = next_beta(numbers[beta], numbers[gamma], targets, error_sum)
            numbers[CHOOSES * lanes + lane] = 0.0


# --- A try.


@inline
def trains(numbers: np.ndarray, lane: int, lanes: int) -> bool:
    return numbers[REASON * lanes + lane] == 0.0


@inline
def tries(numbers: np.ndarray, lane: int, lanes: int) -> bool:
    return numbers[REASON * lanes + lane] == 0.0 and numbers[TRIES_ON * lanes + lane] == 1.0


@formula
def try_step(task: DampedTask, P: Any, planes: Any, numbers: np.ndarray, work: DampedRoom, n: int) -> None:
    """Solve the damped systems. Writes step, trial, and the objective; ends networks whose gradient is small."""
    U, G, step, trial = (
        vectors(work.U, work),
        vectors(work.G, work),
        vectors(work.step, work),
        vectors(work.trial, work),
    )
    reciprocals, lanes, ld = vectors(work.reciprocals, work), lanes_of(work), n + WIDE
    scale = at(planes, BETA if task.bayesian else SCALE)
    penalty = at(planes, ALPHA if task.bayesian else PENALTY)
    half, norm = like(scale, 0.5) * penalty, like(scale, 0)
    write(planes, OBJECTIVE, scale * at(planes, SUM) + half * sum_of_squares(task, P))
    fill(U, vectors(work.H, work), scale, penalty + at(planes, MU), n)
    for i in task.trained:
        descent = scale * at(G, i) - penalty * at(P, i)
        norm += descent * descent
        write(U, i * ld + n, descent)
    write(planes, SQUARES, norm)
    for lane in range(lanes):
        unit = numbers[BETA * lanes + lane] if task.bayesian else 1.0
        norm_here = math.sqrt(numbers[SQUARES * lanes + lane])
        if tries(numbers, lane, lanes) and not norm_here > numbers[MIN_GRAD * lanes + lane] * unit:
            numbers[REASON * lanes + lane] = AT_MIN_GRAD
    factorise(U, reciprocals, n)
    back_substitute(U, reciprocals, step, n)
    for i in range(n):
        write(trial, i, at(P, i) + at(step, i))
    if task.single:
        for i in range(n * lanes):
            work.trial[i] = np.float64(np.float32(work.trial[i]))


@formula
def judge(task: DampedTask, P: Any, planes: Any, numbers: np.ndarray, work: DampedRoom, n: int) -> None:
    """Take the steps that lower the objective; the errors where they lead are known. Writes P and numbers."""
    lanes, trial, zero = lanes_of(work), vectors(work.trial, work), like(at(planes, SUM), 0)
    scale = at(planes, BETA if task.bayesian else SCALE)
    penalty = at(planes, ALPHA if task.bayesian else PENALTY)
    new_sum, half = at(planes, NEW_SUM), like(zero, 0.5) * penalty * sum_of_squares(task, trial)
    enough = (at(planes, OBJECTIVE) - half) / scale
    taken = (at(planes, REASON) <= zero) & (at(planes, TRIES_ON) > zero)
    taken = taken & (new_sum < enough)  # not where a step is NaN or infinite: its sum is
    write(planes, NEW_OBJECTIVE, scale * new_sum + half)
    write(planes, TAKEN, select(taken, like(zero, 1), zero))
    for i in range(n):
        write(P, i, select(taken, at(trial, i), at(P, i)))
    for lane in range(lanes):
        if tries(numbers, lane, lanes):
            decide(numbers, lane, lanes)


@formula
def decide(numbers: np.ndarray, lane: int, lanes: int) -> None:
    """What follows for one network on a step taken, or refused. Writes numbers."""
    mu, before, now = MU * lanes + lane, numbers[SUM * lanes + lane], numbers[NEW_SUM * lanes + lane]
    if numbers[TAKEN * lanes + lane] == 0.0:
        numbers[mu] *= numbers[MU_INC * lanes + lane]
        if numbers[mu] > numbers[MU_MAX * lanes + lane]:
            numbers[REASON * lanes + lane] = AT_MU_MAX
        return
    numbers[TRIES_ON * lanes + lane] = 0.0
    numbers[mu] = max(numbers[mu] * numbers[MU_DEC * lanes + lane], LEAST_MU)
    fall = 1.0 - numbers[NEW_OBJECTIVE * lanes + lane] / numbers[OBJECTIVE * lanes + lane]
    numbers[FALL * lanes + lane] = fall
    numbers[CHOOSES * lanes + lane] = 1.0 if 0.0 <= fall < numbers[SETTLED * lanes + lane] else 0.0
    numbers[LEFT * lanes + lane] -= 1.0
    numbers[REASON * lanes + lane] = reason_to_end(
        before, now, numbers[GOAL * lanes + lane], numbers[LEFT * lanes + lane]
    )
    numbers[SUM * lanes + lane] = now


@formula
def go_round(task: DampedTask, number: int, P: Any, planes: Any, numbers: np.ndarray, work: DampedRoom, n: int) -> None:
    """Some tries of each network, from the G and H of where it stands. Writes P and numbers."""
    if task.bayesian:
        choose_penalties(task, P, planes, numbers, work, n)
    zero, one = like(at(planes, SUM), 0), like(at(planes, SUM), 1)
    write(planes, TRIES_ON, one)
    for _ in range(TRIES):
        if any_lane((at(planes, REASON) <= zero) & (at(planes, TRIES_ON) > zero)):
            try_step(task, P, planes, numbers, work, n)
            write(planes, NEW_SUM, look(task, number, vectors(work.trial, work), work, n, False))
            judge(task, P, planes, numbers, work, n)


# --- What Python calls.


@kernel
def train_damped_packs(task: DampedTask, P: np.ndarray, numbers: np.ndarray, rounds: int, work: DampedRoom) -> None:
    """So many rounds, or until all networks of a pack have stopped. Writes P, [shape: (packs, n · lanes)], and numbers,
    [shape: (packs, PLANES · lanes)]."""
    lanes, registers = lanes_of(work), work.units.registers_type
    n = P.shape[1] // lanes
    for number in range(len(P)):
        p, planes, own = row(P, number, registers), row(numbers, number, registers), numbers[number]
        for _ in range(rounds):
            if not any_lane(at(planes, REASON) <= like(at(planes, REASON), 0)):
                break
            write(planes, SUM, look(task, number, p, work, n, True))
            for lane in range(lanes):
                if trains(own, lane, lanes) and not np.isfinite(own[SUM * lanes + lane]):
                    own[REASON * lanes + lane] = DIVERGED
            go_round(task, number, p, planes, own, work, n)


@kernel
def estimate_packs(task: DampedTask, P: np.ndarray, numbers: np.ndarray, work: DampedRoom) -> None:
    """γ and the log evidence of α and β where the networks stand. Writes numbers."""
    registers, n = work.units.registers_type, P.shape[1] // lanes_of(work)
    for number in range(len(P)):
        p, planes = row(P, number, registers), row(numbers, number, registers)
        write(planes, SUM, look(task, number, p, work, n, True))
        estimate(task, p, planes, numbers[number], work, n, True)
