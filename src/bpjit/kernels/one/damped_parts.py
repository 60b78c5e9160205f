"""Work space of Levenberg–Marquardt on one network, and its phases that several threads share: each does a part, and no
sum depends on how many there are.

PASS      samples of a chunk through the network
TERMS     their gradient terms in the units below, GRADIENT what they add to the gradient; with cross-entropy
DEAL      shares of the samples of a chunk, to a JᵀJ each, where the network is small; else
ROWS_OF_J rows of the Jacobian, of some samples, and
FOLD      rows of JᵀJ, to which these samples add
FILL      rows of the system
COLUMNS   columns of a panel right of its square; BELOW rows below it
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..gauss_newton import ALPHA, BETA, KEPT_NUMBERS, MU
from ..jit import formula, inline, smaller
from ..simd.memory import aligned_zeros, item, lanes_of, pointer, put
from ..state import Task
from ..team import Turn, make_team
from .batches import chunk_from, share_of_samples
from .cholesky import PANEL, ROWS, finish_panel, take_off
from .chunks import add_gradients
from .each_sample import lift, load, store
from .normal import NormalWork, add_dealt, fold_rows, jacobian_rows, make_normal_work, pass_through, terms_back
from .padded import net_of

COLLECT, ESTIMATE, SOLVE, TRY, VALIDATE = range(5)  # stages, see ``damped``
PASS, TERMS, GRADIENT, DEAL, ROWS_OF_J, FOLD, FILL, COLUMNS, BELOW = range(9)  # phases
SQUARE, DONE, FAILED = range(9, 12)  # what one thread does, and what stands where no phase follows
# Places in DampedWork.stage: the stage, where it stands, and whether a pass through the network at p is there; the
# phase that comes next, and of which samples of the chunk.
STAGE, POSITION, PASSED, PHASE, FIRST, NUMBER = range(6)
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
    team: np.ndarray


def make_damped_work(
    sizes: Sequence[int], activations: Sequence[str], m: int, trainable: np.ndarray, bayesian: bool, threads: int
) -> DampedWork:
    """Work space for m samples."""
    normal, dtype = make_normal_work(sizes, activations, m, trainable, threads), np.dtype(np.float64)
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
        np.zeros(6, np.int64),
        make_team(),
    )


@formula
def weights_of(rule: DampedRule, state: np.ndarray) -> Any:
    """Its scale and its penalty."""
    if rule.bayesian:
        return state[BETA], state[ALPHA]
    return rule.scale, rule.penalty


@inline
def edge_of_rows(first: int, last: int, right: int, part: int, parts: int) -> int:
    """The row where part ``part`` begins of some rows that reach from the diagonal to the right, so that all parts have
    as much to do."""
    width, least = float(right - first), float(right - last)
    row = right - math.sqrt(width * width - part * (width * width - least * least) / parts)
    return last if part == parts else smaller(last, first + (int(row) - first + ROWS // 2) // ROWS * ROWS)


@inline
def share_of_rows(first: int, last: int, right: int, part: int, parts: int) -> tuple[int, int]:
    return edge_of_rows(first, last, right, part, parts), edge_of_rows(first, last, right, part + 1, parts)


@inline
def fill(work: DampedWork, scale: float, ridge: float, with_unit_matrix: bool, rows: tuple[int, int]) -> None:
    """Rows of the system scale · JᵀJ + ridge · I with the direction of descent beside it, or a unit matrix, all negated
    as ``cholesky`` takes it. Writes U."""
    normal, U, H, width = work.normal, pointer(work.U, 0), pointer(work.normal.H, 0), work.width
    right, n, lanes, times = normal.width, len(normal.columns), lanes_of(work.U), lift(-scale)
    for i in range(rows[0], rows[1]):
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
def do_samples(task: Task, work: DampedWork, turn: Turn, part: int, parts: int) -> None:
    """One part of a phase that goes through samples of a chunk."""
    normal, block, position = work.normal, work.normal.block, work.stage[POSITION]
    layers, D = block.packed.layers, task.D if turn.learn else task.V
    l = layers[len(layers) - 1].fan_out
    chunk = chunk_from(block, D, position, smaller(block.room, len(D.X) - position), part)
    begin, end = share_of_samples(turn.n, part, parts)
    first, last = turn.first + begin, turn.first + end
    if turn.phase == GRADIENT:
        add_gradients(net_of(block.packed, None), layers, chunk, pointer(block.G, 0), part, parts)
    elif turn.phase == DEAL:
        add_dealt(normal, task.loss, chunk, part, parts, position == 0)
    elif turn.phase == FOLD:
        rows = share_of_rows(0, normal.size, normal.width, part, parts)
        fold_rows(normal, 0, turn.n * l, pointer(normal.H, 0), rows, position + turn.first > 0)
    elif first < last and turn.phase == PASS:
        pass_through(normal, task.loss, chunk, first, last)
    elif first < last and turn.phase == TERMS:
        terms_back(normal, task.loss, chunk, first, last)
    elif first < last:
        jacobian_rows(normal, task.loss, chunk, first, last, begin * l)


@formula
def do_system(rule: DampedRule, work: DampedWork, phase: int, part: int, parts: int) -> None:
    """One part of a phase of a system."""
    normal, U, size, first = work.normal, pointer(work.U, 0), work.normal.size, work.stage[POSITION]
    estimates, last = work.stage[STAGE] == ESTIMATE, smaller(size, first + PANEL)
    right = work.width if estimates else normal.width
    if phase == FILL:
        scale, penalty = weights_of(rule, work.state)
        ridge = penalty if estimates else penalty + work.state[MU]
        fill(work, scale, ridge, estimates, share_of_rows(0, size, right, part, parts))
    elif phase == COLUMNS:
        lanes = lanes_of(work.U)
        vectors = (right - last) // lanes
        columns = last + vectors * part // parts * lanes, last + vectors * (part + 1) // parts * lanes
        finish_panel(U, work.width, (first, last), columns, pointer(work.reciprocals, 0))
    else:
        rows = share_of_rows(last, size, right, part, parts)
        take_off(U, work.width, (last, right), (first, last), rows)
