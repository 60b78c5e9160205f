"""One network, gradients over several samples: mini-batch and accumulated updates with any update rule, the error
of a set, prediction, gradient and Jacobian. Each sample goes through the lines of ``readable.online``; here they
are added up. Index letters: k sample, h unit below, j unit here, i parameter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import like
from ..jit import formula, kernel
from ..layout import SOFTMAX, Units
from ..state import UPDATES, Memory, Samples, Steps, Task
from ..sums import add_error
from ..switches import ahead, descent, is_trained, looks_ahead, prepare_rule, rule_step
from .online import hidden_terms, output_terms, outputs


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
def update_by_rule(steps: Steps, memory: Memory, at: np.ndarray, eta: Any, n: int) -> None:
    """One step of the rule along the mean of the n gradients collected at ``at``. Writes memory.p and memory.slots."""
    p, slots = memory.p, memory.slots
    shared = prepare_rule(steps, memory.scalars, p, n)
    share = like(p[0], 1) / like(p[0], n)
    for i in range(len(p)):
        if is_trained(steps.mask, i):
            g = descent(steps.lam, steps.rest, memory.gradient[i] * share, at[i])
            state = slots[0, i], slots[1, i], slots[2, i]
            p[i], state = rule_step(steps.kind, p[i], g, state, eta, steps.constants, shared)
            slots[0, i], slots[1, i], slots[2, i] = state
    memory.counters[UPDATES] += 1


@formula
def look_ahead(steps: Steps, memory: Memory, at: np.ndarray) -> None:
    """Where a rule that looks ahead takes its gradient: Nesterov's at w + μ v. Writes at."""
    slots = memory.slots
    for i in range(len(at)):
        at[i] = ahead(steps.kind, memory.p[i], (slots[0, i], slots[1, i], slots[2, i]), steps.constants)


@formula
def batch_bp(
    layers: np.ndarray,
    task: Task,
    steps: Steps,
    memory: Memory,
    places: np.ndarray,
    stretch: tuple[int, int],
    eta: Any,
    room: tuple[Units, np.ndarray],
) -> None:
    """A stretch of the positions of an epoch: collect the gradients of a batch, update at its end. Writes memory, and
    room: for the units, and for where a rule takes its gradient if it looks ahead.

    It may begin and end inside a batch: the sums wait in memory.
    """
    D, m, (first, last), (u, at) = task.D, len(places), stretch, room
    at = at if looks_ahead(steps.kind) else memory.p
    for t in range(first, last):
        if looks_ahead(steps.kind) and (t == first or t % steps.size == 0):
            look_ahead(steps, memory, at)
        if t % steps.size == 0:
            for i in range(len(at)):
                memory.gradient[i] = like(at[0], 0)
        k = places[t]
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
    loss: Any,
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
