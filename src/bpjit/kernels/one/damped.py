"""Levenberg–Marquardt on one network, with a penalty that is given or that the evidence sets: many epochs in one call.

An epoch goes through stages, and a call may end within each; what is known meanwhile stands in the work space, so that
a training that is taken up again begins its epoch anew, and comes to the same bits:

COLLECT   the chunks of the samples: error, gradient, JᵀJ
ESTIMATE  the panels of β JᵀJ + α I, and from its factor γ, the evidence, α and β; for a rule that sets its own penalty
SOLVE     the panels of the damped matrix; the step
TRY       the chunks again, where the step leads; taken, or once more from SOLVE with a larger μ
VALIDATE  the chunks of the validation set
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..epochs import copy, end_of_epoch
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
)
from ..jit import formula, kernel
from ..simd.memory import aligned_zeros, item, lanes_of, pointer, put
from ..state import BEST_EPOCH, EPOCH, ERROR, TOTAL, UPDATES, VISITED, Memory, Task
from .cholesky import PANEL, ROWS, back_substitute, factorise_panel
from .each_sample import lift, load, store
from .normal import NormalWork, add_curvature, gather_descent, make_normal_work, pass_through

COLLECT, ESTIMATE, SOLVE, TRY, VALIDATE = range(5)
GOING_ON, DIVERGED, MU_MAX, MIN_GRAD, ESTIMATED, EPOCH_ENDED = range(6)  # why a call ends, or what has happened
# Memory.slots[0] is what a rule remembers, as ``gauss_newton`` has it; slots[1] is the same when the validation error
# was smallest.
# Places in DampedWork.stage: the stage, where it stands, and whether a pass through the network at p is there.
STAGE, POSITION, PASSED = range(3)
# Places in DampedWork.found: Σ c_k E_k and the objective where the epoch began, and what Σ c_k E_k is too much to try.
SUM, OBJECTIVE, ENOUGH = range(3)
BEYOND = 1e300  # a pivot behind n columns, where right-hand sides stand: more than they take off it


class DampedRule(NamedTuple):
    """The settings of a rule."""

    mu_inc: float
    mu_dec: float
    mu_max: float
    min_grad: float
    bayesian: bool
    settled: float  # what is a small FALL: then α and β are chosen anew
    fixed_beta: bool  # β is 1
    targets: float  # how many are known: N
    scale: float  # of Σ c_k E_k and of ½ Σ w² in the objective, unless it is bayesian
    penalty: float
    single: bool  # the network is one of float32
    only_estimate: bool  # end after ESTIMATE
    target: float  # an error at which somebody wants to look: a call ends there


class DampedWork(NamedTuple):
    """Work space; nothing in it need be kept between epochs."""

    normal: NormalWork
    U: np.ndarray  # the factor, and behind n columns U⁻ᵀ of the right-hand sides, [shape: (size · width,)]
    width: int
    reciprocals: np.ndarray  # 1/u_kk
    step: np.ndarray  # Δ of the trained parameters, [shape: (size,)]
    trial: np.ndarray  # parameters after it, [shape: (all,)]
    state: np.ndarray  # of the rule, as Memory.slots[0] will be when the epoch ends
    total: np.ndarray  # Σ c_k E_k under way, as ``add_error`` has it
    found: np.ndarray
    stage: np.ndarray


def make_damped_work(
    sizes: Sequence[int], activations: Sequence[str], m: int, trainable: np.ndarray, bayesian: bool
) -> DampedWork:
    """Work space for m samples."""
    normal, dtype = make_normal_work(sizes, activations, m, trainable), np.dtype(np.float64)
    size = normal.size
    width = normal.width + (size if bayesian else 0)
    return DampedWork(
        normal,
        aligned_zeros(size * width, dtype),
        width,
        aligned_zeros(size, dtype),
        aligned_zeros(size, dtype),
        np.zeros(len(normal.block.place)),
        np.zeros(KEPT_NUMBERS),
        np.zeros(2),
        np.zeros(3),
        np.zeros(3, np.int64),
    )


# --- The objective: scale · Σ c_k E_k + penalty · ½ Σ w², over the trained parameters.


@formula
def weights_of(rule: DampedRule, state: np.ndarray) -> Any:
    """Its scale and its penalty."""
    if rule.bayesian:
        return state[BETA], state[ALPHA]
    return rule.scale, rule.penalty


@formula
def penalty_term(rule: DampedRule, work: DampedWork, p: np.ndarray) -> float:
    """penalty · ½ Σ w²."""
    _, penalty = weights_of(rule, work.state)
    return 0.5 * penalty * sum_of_trained_squares(work, p) if penalty > 0.0 else 0.0


@formula
def sum_of_trained_squares(work: DampedWork, p: np.ndarray) -> float:
    total = 0.0
    for i in work.normal.parameters:
        total += p[i] ** 2
    return total


@formula
def objective(rule: DampedRule, work: DampedWork, p: np.ndarray, error_sum: float) -> float:
    scale, _ = weights_of(rule, work.state)
    return scale * error_sum + penalty_term(rule, work, p)


@formula
def set_descent(rule: DampedRule, work: DampedWork, p: np.ndarray) -> float:
    """Its direction of descent. Writes work.step, returns the norm."""
    scale, penalty = weights_of(rule, work.state)
    total = 0.0
    for i in range(len(work.normal.columns)):
        work.step[i] = scale * work.normal.descent[i] - penalty * p[work.normal.parameters[i]]
        total += work.step[i] ** 2
    return math.sqrt(total)


# --- The systems.


@formula
def fill(work: DampedWork, scale: float, ridge: float, with_unit_matrix: bool) -> None:
    """The system scale · JᵀJ + ridge · I with the direction of descent beside it, or a unit matrix, all negated as
    ``cholesky`` takes it. Writes U."""
    normal, U, H, width = work.normal, pointer(work.U, 0), pointer(work.normal.H, 0), work.width
    right, n, lanes, times = normal.width, len(normal.columns), lanes_of(work.U), lift(-scale)
    for i in range(normal.size):
        row = i * width
        for v in range(i // ROWS * ROWS, right, lanes):  # some left of the diagonal too
            store(U, row + v, load(H, i * right + v) * times)
        put(U, row + n, -item(work.step, i) if i < n else 0.0)
        put(U, row + i, item(U, row + i) - ridge if i < n else -BEYOND)
        if with_unit_matrix:
            for v in range(right, width, lanes):
                store(U, row + v, lift(0.0))
            put(U, row + right + i, -1.0)


@formula
def factorise_more(work: DampedWork, with_unit_matrix: bool) -> bool:
    """One panel more of the system. Writes U."""
    size, width, first = work.normal.size, work.width, work.stage[POSITION]
    columns = width, width if with_unit_matrix else work.normal.width
    work.stage[POSITION] = min(size, first + PANEL)
    return factorise_panel(pointer(work.U, 0), size, columns, first, pointer(work.reciprocals, 0))


@formula
def estimate(rule: DampedRule, work: DampedWork, p: np.ndarray) -> None:
    """γ and the log evidence of α and β, from the factor of β JᵀJ + α I and U⁻ᵀ beside it. Writes work.state."""
    right, width, n, state = work.normal.width, work.width, len(work.normal.columns), work.state
    trace, logs = 0.0, 0.0
    for i in range(n):
        logs -= math.log(work.reciprocals[i])
        for j in range(right, right + n):
            trace += work.U[i * width + j] ** 2
    now, targets = objective(rule, work, p, work.found[SUM]), 0.0 if rule.fixed_beta else rule.targets
    state[GAMMA] = effective_parameters(n, state[ALPHA], trace)
    state[LOG_EVIDENCE] = log_evidence(n, state[ALPHA], state[BETA], logs, now, targets)


@formula
def choose_penalty(rule: DampedRule, work: DampedWork, p: np.ndarray) -> None:
    """α and β for the epoch that begins, from γ. Writes work.state."""
    state = work.state
    state[ALPHA] = next_alpha(state[ALPHA], state[GAMMA], sum_of_trained_squares(work, p))
    if not rule.fixed_beta:
        state[BETA] = next_beta(state[BETA], state[GAMMA], rule.targets, work.found[SUM])


# --- The stages.


@formula
def write(to: np.ndarray, source: np.ndarray) -> None:
    for i in range(len(to)):
        to[i] = source[i]


@formula
def go_to(work: DampedWork, stage: int) -> None:
    work.stage[STAGE], work.stage[POSITION] = stage, 0
    work.total[:] = 0


@formula
def visit(task: Task, work: DampedWork, memory: Memory) -> bool:
    """The next chunk of a stage that goes through samples. Adds to work.total; True where it was the last one."""
    stage, first, normal = work.stage[STAGE], work.stage[POSITION], work.normal
    D = task.V if stage == VALIDATE else task.D
    m = len(D.X)
    n = min(normal.block.room, m - first)
    if stage == COLLECT and work.stage[PASSED]:
        work.total[0] = work.found[SUM]
    else:
        if first == 0 and stage != VALIDATE:  # that one is of the network just tried
            copy(normal.block.place, work.trial if stage == TRY else memory.p, normal.block.P, True)
        pass_through(normal, D, task.loss, first, n, work.total, work.found[ENOUGH] if stage == TRY else np.inf)
    if stage == COLLECT:
        add_curvature(normal, task.D, task.loss, first, n)
    work.stage[POSITION] = first + n
    return first + n == m or (stage == TRY and work.total[0] > work.found[ENOUGH])


@formula
def set_trial(rule: DampedRule, work: DampedWork, p: np.ndarray) -> bool:
    """Solve the system, which is factorised. Writes work.step and work.trial; False where the step is not finite."""
    U, reciprocals, step = pointer(work.U, 0), pointer(work.reciprocals, 0), pointer(work.step, 0)
    back_substitute(U, len(work.normal.columns), work.width, reciprocals, step)
    write(work.trial, p)
    nothing = 0.0
    for i in range(len(work.normal.columns)):
        w = p[work.normal.parameters[i]] + work.step[i]
        work.trial[work.normal.parameters[i]] = np.float64(np.float32(w)) if rule.single else w
        nothing += work.step[i] * 0.0
    return nothing == 0.0


@formula
def begin_solving(rule: DampedRule, work: DampedWork, p: np.ndarray, m: int) -> int:
    """From here on the objective of this epoch is known, and its gradient, which may be small enough to end."""
    work.found[OBJECTIVE] = objective(rule, work, p, work.found[SUM])
    norm = set_descent(rule, work, p)
    go_to(work, SOLVE)
    unit = work.state[BETA] if rule.bayesian else 1.0
    return GOING_ON if norm > rule.min_grad * m * unit else MIN_GRAD


@formula
def refuse(rule: DampedRule, work: DampedWork) -> int:
    """No step, or one that leads nowhere: once more, with a larger μ."""
    work.state[MU] *= rule.mu_inc
    go_to(work, SOLVE)
    return GOING_ON if work.state[MU] <= rule.mu_max else MU_MAX


@formula
def take_step(rule: DampedRule, work: DampedWork, memory: Memory) -> None:
    """The step lowered the objective. Writes memory."""
    work.state[MU] = max(work.state[MU] * rule.mu_dec, LEAST_MU)
    work.state[FALL] = 1.0 - objective(rule, work, work.trial, work.total[0]) / work.found[OBJECTIVE]
    write(memory.slots[0], work.state)
    write(memory.p, work.trial)
    memory.counters[UPDATES] += 1
    work.found[SUM] = work.total[0]


@formula
def end_samples(task: Task, rule: DampedRule, memory: Memory, work: DampedWork) -> int:
    """What follows on the last chunk of COLLECT or TRY."""
    m, total = len(task.D.X), work.total[0]
    if work.stage[STAGE] == COLLECT:
        work.stage[PASSED] = 0
        work.found[SUM] = total
        memory.scalars[ERROR] = total / m
        gather_descent(work.normal, task.loss)
        if not np.isfinite(total):
            return DIVERGED
        if rule.only_estimate or (rule.bayesian and 0.0 <= work.state[FALL] < rule.settled):
            go_to(work, ESTIMATE)
            return GOING_ON
        if rule.bayesian and work.state[FALL] < 0.0:
            work.state[GAMMA] = FIRST_GAMMA * rule.targets
            choose_penalty(rule, work, memory.p)
        return begin_solving(rule, work, memory.p, m)
    if not total < work.found[ENOUGH]:
        return refuse(rule, work)
    take_step(rule, work, memory)
    validated = len(task.V.X) > 0 and (memory.counters[EPOCH] + 1) % task.every == 0
    work.stage[PASSED] = not validated and m <= work.normal.block.room
    go_to(work, VALIDATE if validated else COLLECT)
    return GOING_ON if validated else EPOCH_ENDED


@formula
def solve_more(rule: DampedRule, memory: Memory, work: DampedWork, m: int) -> int:
    """A panel of ESTIMATE or SOLVE, and what follows on the last one."""
    estimates, first, state = work.stage[STAGE] == ESTIMATE, work.stage[POSITION] == 0, work.state
    scale, penalty = weights_of(rule, state)
    if first:
        if not estimates:
            set_descent(rule, work, memory.p)
        fill(work, scale, penalty if estimates else penalty + state[MU], estimates)
    good = factorise_more(work, estimates)
    if good and work.stage[POSITION] < work.normal.size:
        return GOING_ON
    if estimates:
        if good:
            estimate(rule, work, memory.p)
        if rule.only_estimate:
            return ESTIMATED
        if good:
            choose_penalty(rule, work, memory.p)
        return begin_solving(rule, work, memory.p, m)
    if not (good and set_trial(rule, work, memory.p)):
        return refuse(rule, work)
    work.found[ENOUGH] = (work.found[OBJECTIVE] - penalty_term(rule, work, work.trial)) / scale
    go_to(work, TRY)
    return GOING_ON


@formula
def is_inside_an_epoch(work: DampedWork) -> bool:
    return work.stage[STAGE] != COLLECT or work.stage[POSITION] > 0


@formula
def cost(work: DampedWork) -> int:
    """Multiply-adds of what comes next, about."""
    stage, normal = work.stage[STAGE], work.normal
    if stage in (ESTIMATE, SOLVE):
        return min(PANEL, normal.size) * normal.size * work.width
    a_pass = 8 * len(normal.block.place) * normal.block.room
    return a_pass + (normal.block.room * normal.size * normal.size if stage == COLLECT else 0)


@kernel
def train_block(task: Task, rule: DampedRule, memory: Memory, work: DampedWork, budget: int, errors: np.ndarray) -> int:
    """Train until so many epochs more are complete as there are columns in errors, or for about so many multiply-adds,
    and up to twice as many where that ends an epoch.

    Writes memory, which is as it was when the epoch began, and the errors of each epoch that it completes, and of its
    validation, [shape: (2, epochs)]. Returns why it ended.
    """
    t, outcome, least = 0, GOING_ON, -budget
    while outcome == GOING_ON and t < errors.shape[1] and budget > (least if is_inside_an_epoch(work) else 0):
        stage, spent = work.stage[STAGE], cost(work)
        budget -= spent
        memory.counters[VISITED] += spent
        if stage == COLLECT and work.stage[POSITION] == 0:
            write(work.state, memory.slots[0])
        if stage in (ESTIMATE, SOLVE):
            outcome = solve_more(rule, memory, work, len(task.D.X))
        elif visit(task, work, memory):
            if stage == VALIDATE:
                memory.scalars[TOTAL] = work.total[0]
                go_to(work, COLLECT)
                outcome = EPOCH_ENDED
            else:
                outcome = end_samples(task, rule, memory, work)
        if outcome == EPOCH_ENDED:
            P, places = work.normal.block.P, work.normal.block.place
            errors[0, t] = memory.scalars[ERROR]
            errors[1, t] = end_of_epoch(task, memory, P, places, stage == VALIDATE)
            if memory.counters[BEST_EPOCH] == memory.counters[EPOCH]:
                write(memory.slots[1], memory.slots[0])
            budget = budget if errors[0, t] > rule.target else 0
            t, outcome = t + 1, GOING_ON
    if outcome != GOING_ON:  # the epoch begins anew
        go_to(work, COLLECT)
        work.stage[PASSED] = 0
    return outcome
