"""One network, gradients over several samples: mini-batch and accumulated updates with any update rule, the error
of a set, prediction, gradient and Jacobian. Each sample goes through the lines of ``kernels.online``; here they
are added up. Index letters: k sample, h unit below, j unit here, i parameter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import formulas, rules
from ..formulas import like
from .jit import formula, kernel
from .layers import SOFTMAX, Units, rule_step
from .online import Samples, add_error, hidden_terms, output_terms, outputs

PLAIN, NESTEROV, RPROP, ADAM = rules.SGD.code, rules.Nesterov.code, rules.Rprop.code, rules.Adam.code

# Places in Memory.scalars.
TOTAL, CARRY, ERROR, CORRECTION1, CORRECTION2, LAST_OBJECTIVE, BEST = range(7)
SCALARS = 7
# Places in Memory.counters.
EPOCH, POSITION, UPDATES, BEST_EPOCH, VISITED = range(5)
COUNTERS = 5


class Task(NamedTuple):
    """What is trained, and on what."""

    D: Samples
    V: Samples  # validation set; without one it has no rows
    loss: int
    every: int  # epochs from one validation to the next
    shuffle: bool
    order_key: np.uint64


class Steps(NamedTuple):
    """How gradients become updates, where this is not standard BP.

    What stands in types is compiled in: the rule, and whether there is a mask or a λ.
    """

    kind: tuple[int, ...]  # as long as the code of the rule
    constants: np.ndarray  # of the rule
    mask: np.ndarray | None  # 1 where a parameter is trained and 0 elsewhere, [shape: (n,)]; None where all are
    size: int  # samples in a batch; 1 is stochastic, m is accumulated
    lam: np.floating | None  # λ
    rest: np.floating | None  # 1 − λ


class Memory(NamedTuple):
    """What a training changes and must keep to go on exactly: copy it, and you can come back."""

    p: np.ndarray  # parameters, [shape: (n,)]
    gradient: np.ndarray  # −Σ ∂E_k/∂p of the batch begun, [shape: (n,)]
    slots: np.ndarray  # the rule's state, [shape: (rules.SLOTS, n)]
    best: np.ndarray  # parameters of the smallest validation error, [shape: (n,)]
    scalars: np.ndarray
    counters: np.ndarray


@formula
def add_gradient(layers: np.ndarray, c: Any, u: Units, gradient: np.ndarray) -> None:
    """Add −c ∂E_k/∂w_hj = c g_j b_h and −c ∂E_k/∂θ_j = −c g_j. Writes gradient."""
    for index in range(len(layers)):
        layer = layers[index]
        q, l, below, here = layer.fan_in, layer.fan_out, layer.below, layer.here
        weights, thresholds = layer.weights, layer.thresholds
        for h in range(q):
            b, row = u.b[below + h] * c, weights + h * l
            if b != like(b, 0):
                for j in range(l):
                    gradient[row + j] += u.g[here + j] * b
        for j in range(l):
            gradient[thresholds + j] -= u.g[here + j] * c


@formula
def sum_of_squares(p: np.ndarray) -> Any:
    """Σ w² over all weights and thresholds."""
    total = like(p[0], 0)
    for w in p:
        total += w * w
    return total


@formula
def is_trained(mask: Any, i: int) -> bool:
    if mask is None:
        return True
    return mask[i] > like(mask[i], 0)


@formula
def descent(lam: Any, rest: Any, g: Any, at: Any) -> Any:
    """The direction of descent of the objective, where that of E is g."""
    if lam is None:
        return g
    return formulas.regularised_descent(g, at, lam, rest)


@formula
def objective(lam: Any, rest: Any, error: Any, p: np.ndarray) -> Any:
    """The book's objective, where E is ``error``."""
    if lam is None:
        return error
    return formulas.regularised_objective(error, sum_of_squares(p), lam, rest)


@formula
def prepare_rule(steps: Steps, scalars: np.ndarray, p: np.ndarray, n: int) -> Any:
    """The pair of numbers that a rule needs anew for each update: Adam's corrections for the start at 0; how much
    of the last move Rprop takes back where a sign turned. Writes their memory."""
    rule, c = len(steps.kind), steps.constants
    zero, one = like(scalars[0], 0), like(scalars[0], 1)
    if rule == ADAM:
        scalars[CORRECTION1] = rules.moving_average(scalars[CORRECTION1], one, c[1])
        scalars[CORRECTION2] = rules.moving_average(scalars[CORRECTION2], one, c[2])
        return scalars[CORRECTION1], scalars[CORRECTION2]
    if rule == RPROP and c[4] == like(one, 1):
        return one, zero
    if rule == RPROP and c[4] == like(one, 2):
        now = objective(steps.lam, steps.rest, scalars[TOTAL] / like(one, n), p)
        rose = now > scalars[LAST_OBJECTIVE]
        scalars[LAST_OBJECTIVE] = now
        return formulas.select(rose, one, zero), zero
    return zero, zero


@formula
def update_by_rule(steps: Steps, memory: Memory, at: np.ndarray, eta: Any, n: int) -> None:
    """One step of the rule along the mean of the n gradients collected at ``at``. Writes memory.p and memory.slots."""
    p, slots, rule = memory.p, memory.slots, len(steps.kind)
    corrections = prepare_rule(steps, memory.scalars, p, n)
    share = like(p[0], 1) / like(p[0], n)
    for i in range(len(p)):
        if is_trained(steps.mask, i):
            g = descent(steps.lam, steps.rest, memory.gradient[i] * share, at[i])
            if rule == PLAIN:
                p[i] = rules.plain(p[i], g, eta)
            else:
                state = slots[0, i], slots[1, i], slots[2, i]
                p[i], state = rule_step(rule, p[i], g, state, eta, steps.constants, corrections)
                slots[0, i], slots[1, i], slots[2, i] = state
    memory.counters[UPDATES] += 1


@formula
def look_ahead(steps: Steps, memory: Memory, at: np.ndarray) -> None:
    """Where Nesterov's rule takes its gradient: w + μ v. Writes at."""
    for i in range(len(at)):
        at[i] = rules.lookahead(memory.p[i], memory.slots[0, i], steps.constants[0])


@formula
def batch_bp(
    layers: np.ndarray,
    task: Task,
    steps: Steps,
    memory: Memory,
    order: np.ndarray,
    first: int,
    last: int,
    eta: Any,
    u: Units,
    ahead: np.ndarray,
) -> None:
    """Positions ``first`` to ``last`` of an epoch: collect the gradients of a batch, update at its end. Writes memory.

    It may begin and end inside a batch: the sums wait in memory.
    """
    D, m = task.D, len(order)
    nesterov = len(steps.kind) == NESTEROV
    at = ahead if nesterov else memory.p
    for t in range(first, last):
        if nesterov and (t == first or t % steps.size == 0):
            look_ahead(steps, memory, ahead)
        if t % steps.size == 0:
            for i in range(len(at)):
                memory.gradient[i] = like(at[0], 0)
        k = order[t]
        outputs(layers, at, D.X[k], u)
        E_k = output_terms(layers, task.loss, D.Y[k], u)
        hidden_terms(layers, at, u)
        add_gradient(layers, D.c[k], u, memory.gradient)
        add_error(memory.scalars, D.c[k] * E_k)
        if (t + 1) % steps.size == 0 or t + 1 == m:
            update_by_rule(steps, memory, at, eta, t % steps.size + 1)


@formula
def add_errors(
    layers: np.ndarray,
    p: np.ndarray,
    D: Samples,
    first: int,
    last: int,
    loss: int,
    u: Units,
    total: np.ndarray,
) -> None:
    """Add Σ c_k E_k over samples ``first`` to ``last`` to total."""
    for k in range(first, last):
        outputs(layers, p, D.X[k], u)
        add_error(total, D.c[k] * output_terms(layers, loss, D.Y[k], u))


# --- What Python calls. Each works on samples first to last, so that no call takes long.


@kernel
def jacobian(layers: np.ndarray, p: np.ndarray, X: np.ndarray, by_inputs: bool, u: Units, J: np.ndarray) -> None:
    """∂ŷ_j/∂p, or ∂ŷ_j/∂x, of every row of X: BP with E_k = −ŷ_j. Writes J, [shape: (m, l, n) or (m, l, d)]."""
    top, bottom = layers[-1], layers[0]
    zero, one = like(p[0], 0), like(p[0], 1)
    for k in range(len(X)):
        outputs(layers, p, X[k], u)
        for j in range(top.fan_out):
            for i in range(top.fan_out):
                d = one if i == j else zero
                if top.activation == SOFTMAX:
                    u.g[top.here + i] = formulas.softmax_gradient_term(u.b[top.here + i], d, u.b[top.here + j])
                else:
                    u.g[top.here + i] = formulas.output_gradient_term(u.slope[top.here + i], d)
            hidden_terms(layers, p, u)
            if by_inputs:
                for h in range(bottom.fan_in):
                    J[k, j, h] = zero
                    for i in range(bottom.fan_out):
                        J[k, j, h] += p[bottom.weights + h * bottom.fan_out + i] * u.g[bottom.here + i]
            else:
                for i in range(J.shape[2]):
                    J[k, j, i] = zero
                add_gradient(layers, one, u, J[k, j])
