"""What Levenberg–Marquardt is on every machine: rows of the Jacobian at the outputs, the penalty that the evidence
chooses, and where a rule's numbers stand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..maths.formulas import like, select, sqrt
from .jit import formula, inline

# What a rule remembers of a network. FALL is the share of the objective that the last epoch took off, −1 at first.
MU, ALPHA, BETA, GAMMA, LOG_EVIDENCE, FALL = range(6)
KEPT_NUMBERS = 6
LEAST_MU = 1e-20
FIRST_GAMMA = 0.01  # of the number of targets: a weak penalty, so that a network first learns


@inline
def row_factor(entropy: bool, softmax: bool, y_hat: Any, slope: Any, c: Any, y: Any) -> Any:
    """What an output's row of the Jacobian has at its own net input, but for 1 − ŷ of softmax outputs: the root of the
    sample's weight times the slope, or its root with cross-entropy. 0 where the target is not known."""
    factor = y_hat if softmax else slope
    if entropy:
        factor = sqrt(factor)
    return select(y <= like(factor, np.inf), factor * sqrt(c), like(factor, 0))


@inline
def residual(c: Any, y: Any, y_hat: Any) -> Any:
    """√c (y − ŷ), with which rows of the Jacobian add up to the gradient of a squared error. 0 where the target is not
    known."""
    return select(y <= like(y, np.inf), (y - y_hat) * sqrt(c), like(y, 0))


@formula
def effective_parameters(n: int, alpha: float, trace: float) -> float:
    """γ = W − α tr (β H + α I)⁻¹ of n trained parameters."""
    return n - alpha * trace


@formula
def log_evidence(n: int, alpha: float, beta: float, logs: float, objective: float, targets: float) -> float:
    """log P(data | α, β); ``logs`` is half the logarithm of the determinant of β H + α I. Without ``targets`` β is 1,
    and the loss is a log likelihood."""
    found = 0.5 * n * math.log(alpha) - logs - objective
    return found + 0.5 * targets * math.log(beta / (2.0 * math.pi)) if targets > 0.0 else found


@formula
def next_alpha(alpha: float, gamma: float, squares: float) -> float:
    """α of the evidence; what would be 0 or infinite stays as it was."""
    found = gamma / squares
    return found if 0.0 < found < np.inf else alpha


@formula
def next_beta(beta: float, gamma: float, targets: float, error_sum: float) -> float:
    """β of the evidence; what would be 0 or infinite stays as it was."""
    found = (targets - gamma) / (2.0 * error_sum)
    return found if 0.0 < found < np.inf else beta
