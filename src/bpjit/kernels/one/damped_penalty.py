"""What Levenberg–Marquardt on one network minimises, and how the evidence sets its penalty."""

from __future__ import annotations

import math

import numpy as np

from ..gauss_newton import (
    ALPHA,
    BETA,
    GAMMA,
    LOG_EVIDENCE,
    effective_parameters,
    log_evidence,
    next_alpha,
    next_beta,
)
from ..jit import formula
from .damped_parts import DampedRule, DampedWork, weights_of

# Places in DampedWork.found: Σ c_k E_k and the objective where the epoch began, and what Σ c_k E_k is too much to try.
SUM, OBJECTIVE, ENOUGH = range(3)


# --- The objective: scale · Σ c_k E_k + penalty · ½ Σ w², over the trained parameters.


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


# --- The penalty.


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
