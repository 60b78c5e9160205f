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

import numpy as np

from ..epochs import copy, end_of_epoch
from ..gauss_newton import (
    BETA,
    FALL,
    FIRST_GAMMA,
    GAMMA,
    LEAST_MU,
    MU,
)
from ..jit import formula, inline, kernel, smaller
from ..layout import CROSS_ENTROPY
from ..simd.memory import pointer
from ..state import BEST_EPOCH, EPOCH, ERROR, TOTAL, UPDATES, VISITED, Memory, Task
from ..switches import code_of
from ..team import (
    CLOSED,
    LEADER,
    NOT_YET,
    PRESENT,
    Turn,
    begin_phase,
    close_team,
    end_phase,
    join,
    open_team,
    read,
)
from .cholesky import PANEL, back_substitute, finish_square
from .damped_parts import (
    BELOW,
    COLLECT,
    COLUMNS,
    DEAL,
    DONE,
    ESTIMATE,
    FAILED,
    FILL,
    FIRST,
    FOLD,
    GRADIENT,
    NUMBER,
    PASS,
    PASSED,
    PHASE,
    POSITION,
    ROWS_OF_J,
    SOLVE,
    SQUARE,
    STAGE,
    TERMS,
    TRY,
    VALIDATE,
    DampedRule,
    DampedWork,
    do_samples,
    do_system,
    weights_of,
)
from .damped_penalty import ENOUGH, OBJECTIVE, SUM, choose_penalty, estimate, objective, penalty_term, set_descent
from .normal import PIECE, add_errors, add_up, gather_descent

# Why a call ends, or what has happened.
GOING_ON, DIVERGED, MU_MAX, MIN_GRAD, ESTIMATED, EPOCH_ENDED, NOBODY = range(7)
TOGETHER = 512  # samples for each of several threads, after which a pass may end
# Memory.slots[0] is what a rule remembers, as ``gauss_newton`` has it; slots[1] is the same when the validation error
# was smallest.


# --- The stages.


@formula
def write(to: np.ndarray, source: np.ndarray) -> None:
    for i in range(len(to)):
        to[i] = source[i]


@formula
def go_to(stage: np.ndarray, total: np.ndarray, then: int) -> None:
    stage[STAGE], stage[POSITION] = then, 0
    total[:] = 0


@formula
def samples_of_chunk(stage: np.ndarray, room: int, m: int, validating: int) -> int:
    """How many samples there are in the chunk that comes next."""
    return smaller(room, (validating if stage[STAGE] == VALIDATE else m) - stage[POSITION])


@formula
def set_turn(stage: np.ndarray, phase: int, first: int, n: int) -> None:
    stage[PHASE], stage[FIRST], stage[NUMBER] = phase, first, n


@formula
def pass_more(stage: np.ndarray, helpers: int, first: int, n: int) -> None:
    """The next samples go through the network: not too many, for the pass ends once the errors are enough."""
    set_turn(stage, PASS, first, smaller(n - first, PIECE if helpers == 0 else TOGETHER * (1 + helpers)))


@formula
def begin_curvature(stage: np.ndarray, G: np.ndarray, shape: tuple[bool, int], entropy: bool, n: int) -> None:
    """The chunk has been passed through, and has its gradient if that is one of cross-entropy; now JᵀJ, dealt into
    shares or of so many samples together. Writes G, 0, where the gradient begins."""
    dealt, together = shape
    if entropy:
        if stage[POSITION] == 0:
            G[:] = 0
        set_turn(stage, TERMS, 0, n)
    else:
        set_turn(stage, DEAL if dealt else ROWS_OF_J, 0, n if dealt else smaller(n, together))


@inline
def begin_turns(task: Task, rule: DampedRule, memory: Memory, work: DampedWork) -> None:
    """The first phase of the chunk or the panel that comes next."""
    normal, entropy = work.normal, code_of(task.loss) == CROSS_ENTROPY
    stage, first, n = (
        work.stage[STAGE],
        work.stage[POSITION],
        samples_of_chunk(work.stage, work.normal.block.room, len(task.D.X), len(task.V.X)),
    )
    if stage in (ESTIMATE, SOLVE):
        if first == 0 and stage == SOLVE:
            set_descent(rule, work, memory.p)
        set_turn(work.stage, FILL if first == 0 else SQUARE, 0, 0)
    elif stage == COLLECT and work.stage[PASSED]:
        work.total[0] = work.found[SUM]
        begin_curvature(work.stage, normal.block.G, (normal.dealt > 0, normal.together), entropy, n)
    else:
        if first == 0 and stage != VALIDATE:  # that one is of the network just tried
            P, places = work.normal.block.P, work.normal.block.place
            copy(places, work.trial if stage == TRY else memory.p, P, True)
        pass_more(work.stage, read(work.team, PRESENT), 0, n)


@inline
def follow(task: Task, rule: DampedRule, work: DampedWork) -> None:
    """What one thread does after a phase, and which comes next."""
    entropy = code_of(task.loss) == CROSS_ENTROPY
    normal, phase, size, start = work.normal, work.stage[PHASE], work.normal.size, work.stage[POSITION]
    end, n = (
        work.stage[FIRST] + work.stage[NUMBER],
        samples_of_chunk(work.stage, work.normal.block.room, len(task.D.X), len(task.V.X)),
    )
    if phase == PASS:
        add_errors(normal, work.stage[FIRST], end, work.total)
        enough = work.found[ENOUGH] if work.stage[STAGE] == TRY else np.inf
        if end < n and not work.total[0] > enough:
            pass_more(work.stage, read(work.team, PRESENT), end, n)
        elif work.stage[STAGE] == COLLECT:
            begin_curvature(work.stage, normal.block.G, (normal.dealt > 0, normal.together), entropy, n)
        else:
            set_turn(work.stage, DONE, 0, 0)
    elif phase == TERMS:
        set_turn(work.stage, GRADIENT, 0, n)
    elif phase == GRADIENT:
        begin_curvature(work.stage, normal.block.G, (normal.dealt > 0, normal.together), False, n)
    elif phase == ROWS_OF_J:
        work.stage[PHASE] = FOLD
    elif phase == FOLD and end < n:
        set_turn(work.stage, ROWS_OF_J, end, smaller(n - end, normal.together))
    elif phase == FILL:
        set_turn(work.stage, SQUARE, 0, 0)
    elif phase == SQUARE:
        square = start, smaller(size, start + PANEL)
        good = finish_square(pointer(work.U, 0), work.width, square, pointer(work.reciprocals, 0))
        set_turn(work.stage, FAILED if not good else COLUMNS if square[1] < work.width else DONE, 0, 0)
    elif phase == COLUMNS:
        set_turn(work.stage, BELOW, 0, 0)
    else:
        set_turn(work.stage, DONE, 0, 0)


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
    go_to(work.stage, work.total, SOLVE)
    unit = work.state[BETA] if rule.bayesian else 1.0
    return GOING_ON if norm > rule.min_grad * m * unit else MIN_GRAD


@formula
def refuse(rule: DampedRule, work: DampedWork) -> int:
    """No step, or one that leads nowhere: once more, with a larger μ."""
    work.state[MU] *= rule.mu_inc
    go_to(work.stage, work.total, SOLVE)
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
        add_up(work.normal)
        gather_descent(work.normal, task.loss)
        if not np.isfinite(total):
            return DIVERGED
        if rule.only_estimate or (rule.bayesian and 0.0 <= work.state[FALL] < rule.settled):
            go_to(work.stage, work.total, ESTIMATE)
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
    go_to(work.stage, work.total, VALIDATE if validated else COLLECT)
    return GOING_ON if validated else EPOCH_ENDED


@formula
def end_panel(task: Task, rule: DampedRule, memory: Memory, work: DampedWork) -> int:
    """What follows on a panel of ESTIMATE or SOLVE, or on the last one."""
    estimates, good, scale = work.stage[STAGE] == ESTIMATE, work.stage[PHASE] == DONE, weights_of(rule, work.state)[0]
    work.stage[POSITION] = smaller(work.normal.size, work.stage[POSITION] + PANEL)
    if good and work.stage[POSITION] < work.normal.size:
        return GOING_ON
    if estimates:
        if good:
            estimate(rule, work, memory.p)
        if rule.only_estimate:
            return ESTIMATED
        if good:
            choose_penalty(rule, work, memory.p)
        return begin_solving(rule, work, memory.p, len(task.D.X))
    if not (good and set_trial(rule, work, memory.p)):
        return refuse(rule, work)
    work.found[ENOUGH] = (work.found[OBJECTIVE] - penalty_term(rule, work, work.trial)) / scale
    go_to(work.stage, work.total, TRY)
    return GOING_ON


@formula
def end_chunk(task: Task, rule: DampedRule, memory: Memory, work: DampedWork) -> int:
    """What follows on a chunk, or on the last one."""
    stage, n = work.stage[STAGE], samples_of_chunk(work.stage, work.normal.block.room, len(task.D.X), len(task.V.X))
    work.stage[POSITION] += n
    enough = stage == TRY and work.total[0] > work.found[ENOUGH]
    if work.stage[POSITION] < (len(task.V.X) if stage == VALIDATE else len(task.D.X)) and not enough:
        return GOING_ON
    if stage == VALIDATE:
        memory.scalars[TOTAL] = work.total[0]
        go_to(work.stage, work.total, COLLECT)
        return EPOCH_ENDED
    return end_samples(task, rule, memory, work)


@formula
def end_epoch(task: Task, memory: Memory, P: np.ndarray, place: np.ndarray, validated: bool) -> float:
    """Close an epoch. Writes memory; returns the validation error or NaN."""
    validation_error = end_of_epoch(task, memory, P, place, validated)
    if memory.counters[BEST_EPOCH] == memory.counters[EPOCH]:
        write(memory.slots[1], memory.slots[0])
    return validation_error


@formula
def is_inside_an_epoch(stage: np.ndarray) -> bool:
    return stage[STAGE] != COLLECT or stage[POSITION] > 0


@formula
def cost(work: DampedWork) -> int:
    """Multiply-adds of what comes next, about."""
    stage, normal = work.stage[STAGE], work.normal
    if stage in (ESTIMATE, SOLVE):
        return smaller(PANEL, normal.size) * normal.size * work.width
    a_pass = 8 * len(normal.block.place) * normal.block.room
    return a_pass + (normal.block.room * normal.size * normal.size if stage == COLLECT else 0)


@kernel
def train_block(task: Task, rule: DampedRule, memory: Memory, work: DampedWork, budget: int, errors: np.ndarray) -> int:
    """Train until so many epochs more are complete as there are columns in errors, or for about so many multiply-adds,
    and up to twice as many where that ends an epoch.

    Writes memory, which is as it was when the epoch began, and the errors of each epoch that it completes, and of its
    validation, [shape: (2, epochs)]. Returns why it ended. Without epochs, and with a budget, it helps another thread
    that trains with the same work space, and returns NOBODY if that has not begun yet.
    """
    t, outcome, least = 0, GOING_ON, -budget
    team, stage, helps = work.team, work.stage, errors.shape[1] == 0 and budget > 0
    part, word = LEADER, CLOSED
    if helps:
        part, word = join(team)
        if part == NOT_YET:
            return NOBODY
    else:
        open_team(team)
    while helps or (
        outcome == GOING_ON and t < errors.shape[1] and budget > (least if is_inside_an_epoch(stage) else 0)
    ):
        if not helps:
            spent = cost(work)
            budget -= spent
            memory.counters[VISITED] += spent
            if stage[STAGE] == COLLECT and stage[POSITION] == 0:
                write(work.state, memory.slots[0])
            begin_turns(task, rule, memory, work)
        going = not helps or word != CLOSED
        while going:
            turn, parts = Turn(stage[PHASE], stage[FIRST], stage[NUMBER], stage[STAGE] != VALIDATE), 1
            alone = not helps and turn.phase >= SQUARE
            if not alone:
                turn, parts, word = begin_phase(team, turn, part, word)
            # One call for all phases and all threads, so that their code is there once.
            mine = not alone and part < parts
            if mine and turn.phase <= FOLD:
                do_samples(task, work, turn, part, parts)
            elif mine:
                do_system(rule, work, turn.phase, part, parts)
            if not alone:
                end_phase(team, part, parts)
            if helps:
                going = word != CLOSED
            else:
                follow(task, rule, work)
                going = stage[PHASE] < DONE
        if helps:
            return GOING_ON
        if stage[STAGE] in (ESTIMATE, SOLVE):
            outcome = end_panel(task, rule, memory, work)
        else:
            validated = stage[STAGE] == VALIDATE
            outcome = end_chunk(task, rule, memory, work)
            if outcome == EPOCH_ENDED:
                errors[0, t] = memory.scalars[ERROR]
                errors[1, t] = end_epoch(task, memory, work.normal.block.P, work.normal.block.place, validated)
                budget = budget if errors[0, t] > rule.target else 0
                t, outcome = t + 1, GOING_ON
    if outcome != GOING_ON:  # the epoch begins anew
        go_to(work.stage, work.total, COLLECT)
        stage[PASSED] = 0
    close_team(team)
    return outcome
