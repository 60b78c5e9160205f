"""The lines of standard BP one at a time, for Python to look at what stands between them: ``readable.online`` and
``readable.batch`` without their loops over samples. ``tracing`` lays a step open with these, ``mistakes`` goes wrong
with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths.formulas import like
from ..jit import kernel
from ..layout import Units
from ..state import Memory, Steps
from ..switches import descent, is_trained, prepare_rule, rule_step
from .batch import add_gradient
from .online import hidden_terms, net_input, output_terms, outputs


@kernel
def forward(layers: np.ndarray, p: np.ndarray, x: np.ndarray, u: Units) -> None:
    """α_h, b_h, β_j, ŷ_j of a sample. Writes u.z, u.b, u.slope."""
    outputs(layers, p, x, u)


@kernel
def errors(layers: np.ndarray, loss: Any, y: np.ndarray, u: Units) -> Any:
    """g_j of a sample. Returns E_k, writes u.g of the outputs."""
    return output_terms(layers, loss, y, u)


@kernel
def backward(layers: np.ndarray, p: np.ndarray, u: Units) -> None:
    """e_h of a sample. Writes u.g of the hidden units."""
    hidden_terms(layers, p, u)


@kernel
def net_inputs(layers: np.ndarray, p: np.ndarray, u: Units) -> None:
    """z of every unit from the outputs below it; where thresholds are 0 these are α_h and β_j. Writes u.z."""
    for index in range(len(layers)):
        net_input(layers[index], p, u)


@kernel
def collect(layers: np.ndarray, u: Units, gradient: np.ndarray) -> None:
    """Add −∂E_k/∂w_hj = g_j b_h and −∂E_k/∂θ_j = −g_j of a sample. Writes gradient."""
    add_gradient(layers, like(gradient[0], 1), u, gradient)


@kernel
def steps_of_rule(
    steps: Steps, memory: Memory, at: np.ndarray, eta: Any, n: int, direction: np.ndarray, delta: np.ndarray
) -> None:
    """What ``readable.batch.update_by_rule`` adds to each parameter, and why: from a sum of n gradients taken at ``at``
    the descent direction of the objective, and from that Δ. Writes direction, delta, and memory's scalars and slots."""
    p, gradient, slots, _, scalars, _ = memory
    shared = prepare_rule(steps, scalars, p, n)
    share, zero = like(p[0], 1) / like(p[0], n), like(p[0], 0)
    for i in range(len(p)):
        direction[i], delta[i] = descent(steps.lam, steps.rest, gradient[i] * share, at[i]), zero
        if is_trained(steps.mask, i):
            state = slots[0, i], slots[1, i], slots[2, i]
            delta[i], state = rule_step(steps.kind, zero, direction[i], state, eta, steps.constants, shared)
            slots[0, i], slots[1, i], slots[2, i] = state
