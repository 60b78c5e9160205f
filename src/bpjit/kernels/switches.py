"""From the codes that kernels hold to the formulas that they mean: activations, losses, rules, and what follows from
them for a unit or a parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maths import formulas, rule_formulas
from ..maths.formulas import like
from ..maths.rule_formulas import ADAM, RPROP
from .jit import formula, inline, switch
from .layout import CROSS_ENTROPY
from .state import CORRECTION1, CORRECTION2, LAST_OBJECTIVE, TOTAL, Steps

activate = switch(
    "activate",
    formulas.ACTIVATIONS,
    "(f(z), f'(z)) of the activation with this code; the codes count through ``formulas.ACTIVATIONS``.",
)
lose = switch(
    "lose",
    formulas.LOSSES,
    "(share of E_k, −∂E_k/∂ŷ_j) of the loss with this code; the codes count through ``formulas.LOSSES``.",
)


@formula
def rule_step(code: int, w: Any, g: Any, state: Any, eta: Any, c: np.ndarray, corrections: Any) -> Any:
    """(w, state) after one step of the rule with this code, any but plain descent.

    ``c`` are its constants, as ``Rule.constants`` lists them, and ``corrections`` what changes from update to update:
    see ``switches.prepare_rule``.
    """
    s0, s1, s2 = state
    if code == 1 or code == 2:
        w, s0 = rule_formulas.momentum(w, g, s0, eta, c[0])
    elif code == 3:
        w, s0, s1, s2 = rule_formulas.rprop(w, g, s0, s1, s2, corrections[0], (c[0], c[1]), (c[2], c[3]))
    elif code == 4:
        w, s0, s1 = rule_formulas.quickprop(w, g, s0, s1, eta, c[0])
    elif code == 5:
        w, s0 = rule_formulas.adagrad(w, g, s0, eta, c[0])
    elif code == 6:
        w, s0 = rule_formulas.rmsprop(w, g, s0, eta, c[1], c[0])
    else:
        w, s0, s1 = rule_formulas.adam(w, g, s0, s1, eta, (c[1], c[2]), c[0], corrections)
    return w, (s0, s1, s2)


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
        scalars[CORRECTION1] = rule_formulas.moving_average(scalars[CORRECTION1], one, c[1])
        scalars[CORRECTION2] = rule_formulas.moving_average(scalars[CORRECTION2], one, c[2])
        return scalars[CORRECTION1], scalars[CORRECTION2]
    if rule == RPROP and c[4] == like(one, 1):
        return one, zero
    if rule == RPROP and c[4] == like(one, 2):
        now = objective(steps.lam, steps.rest, scalars[TOTAL] / like(one, n), p)
        rose = now > scalars[LAST_OBJECTIVE]
        scalars[LAST_OBJECTIVE] = now
        return formulas.select(rose, one, zero), zero
    return zero, zero


@inline
def terms_of(loss: int, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    """(shares of E_k, g_j, nothing) of output units; of softmax units with a loss other than cross-entropy (shares of
    E_k, −∂E_k/∂ŷ_j, shares of its mean), from which ``formulas.softmax_gradient_term`` makes g_j."""
    nothing = like(z, 0)
    if loss == CROSS_ENTROPY:
        share = formulas.categorical_cross_entropy(z, y) if softmax else formulas.binary_cross_entropy(z, y)
        return share, formulas.cross_entropy_gradient_term(b, y), nothing
    share, d = lose(loss, b, y)
    if softmax:
        return share, d, b * d
    return share, formulas.output_gradient_term(slope, d), nothing
