"""From the codes that kernels hold to the formulas that they mean: activations, losses, rules, and what follows from
them for a unit or a parameter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from ..maths import formulas
from ..maths.formulas import like, select
from ..settings.rules import RULES, SHARED, SLOTS, Rule
from .jit import by_type, formula, from_lines, inline, items, switch
from .layout import CROSS_ENTROPY
from .state import LAST_OBJECTIVE, SHARED1, SHARED2, TOTAL, Steps

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


OF_RULES = tuple(RULES.values())
COMPARE = tuple(rule.code for rule in OF_RULES if rule.compares)
LOOK_AHEAD = tuple(rule.code for rule in OF_RULES if rule.ahead is not None)


def settings_of(rule: type[Rule]) -> str:
    """The source of a rule's settings, from an array or tuple c of SETTINGS numbers."""
    return items("c[{k}]", len(rule().constants()))


def _by_rule(name: str, arguments: str, cases: dict[type[Rule], list[str]], otherwise: str, doc: str) -> Any:
    """A function of a rule's code and ``arguments``: the lines of that rule, which call its formulas as ``step_code``,
    ``prepare_code`` and ``ahead_code``."""
    lines: list[str] = []
    scope: dict[str, Any] = {}
    for rule, case in cases.items():
        scope |= {f"{method}_{rule.code}": getattr(rule, method) for method in ("step", "prepare", "ahead")}
        lines += [f"if code == {rule.code}:", *(f"    {line}" for line in case)]
    made = from_lines(name, f"code, {arguments}", [*lines, otherwise], scope)
    made.__doc__ = doc
    return formula(made)


def _step(rule: type[Rule]) -> list[str]:
    state, shared = items("state[{k}]", rule.slots), items("shared[{k}]", rule.shares)
    after = "".join(f"{'own' if k < rule.slots else 'state'}[{k}], " for k in range(SLOTS))
    return [f"w, own = step_{rule.code}(w, g, {state}, eta, {settings_of(rule)}, {shared})", f"return w, ({after})"]


def _preparation(rule: type[Rule]) -> list[str]:
    shared = items("shared[{k}]", rule.shares)
    after = "".join(f"{'own' if k < rule.shares else 'shared'}[{k}], " for k in range(SHARED))
    return [f"own = prepare_{rule.code}({shared}, {settings_of(rule)}, rose)", f"return ({after})"]


def _look(rule: type[Rule]) -> list[str]:
    return [f"return ahead_{rule.code}(w, {items('state[{k}]', rule.slots)}, {settings_of(rule)})"]


rule_step = _by_rule(
    "rule_step",
    "w, g, state, eta, c, shared",
    {rule: _step(rule) for rule in OF_RULES},
    "return w, state",
    "(w, state) after one step of the rule with this code; ``c`` are its settings, and ``state`` and ``shared`` have "
    "SLOTS and SHARED numbers, however few the rule has of them.",
)
prepare = _by_rule(
    "prepare",
    "shared, c, rose",
    {rule: _preparation(rule) for rule in OF_RULES if rule.prepare is not Rule.prepare},
    "return shared",
    "What all parameters share, anew for each update: as ``Rule.prepare``.",
)
ahead = _by_rule(
    "ahead",
    "w, state, c",
    {rule: _look(rule) for rule in OF_RULES if rule.ahead is not None},
    "return w",
    "Where the rule with this code takes the gradient of a parameter: as ``Rule.ahead``.",
)


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


@inline
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
    """What all parameters share, anew for an update after n samples. Writes scalars."""
    rule, rose = len(steps.kind), like(scalars[0], 0)
    if rule in COMPARE:
        now = objective(steps.lam, steps.rest, scalars[TOTAL] / like(rose, n), p)
        rose = formulas.select(now > scalars[LAST_OBJECTIVE], like(rose, 1), rose)
        scalars[LAST_OBJECTIVE] = now
    shared = prepare(rule, (scalars[SHARED1], scalars[SHARED2]), steps.constants, rose)
    scalars[SHARED1], scalars[SHARED2] = shared
    return shared


def terms_of(loss: Any, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    """(shares of E_k, g_j, nothing) of output units; of softmax units with a loss other than cross-entropy (shares of
    E_k, −∂E_k/∂ŷ_j, shares of its mean), from which ``formulas.softmax_gradient_term`` makes g_j. All are 0 where a
    target is NaN, not known, for a loss ``where known``."""
    return (_terms_where_known if isinstance(loss, tuple) else _terms)(loss, softmax, z, b, slope, y)


def code_of(loss: Any) -> Any:
    """The code of a loss, over all targets or over those known."""
    return loss[0] if isinstance(loss, tuple) else loss


@inline
def _terms(loss: Any, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    nothing = like(z, 0)
    if loss == CROSS_ENTROPY:
        share = formulas.categorical_cross_entropy(z, y) if softmax else formulas.binary_cross_entropy(z, y)
        return share, formulas.cross_entropy_gradient_term(b, y), nothing
    share, d = lose(loss, b, y)
    if softmax:
        return share, d, b * d
    return share, formulas.output_gradient_term(slope, d), nothing


@inline
def _terms_where_known(loss: Any, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    nothing = like(z, 0)
    known = y <= like(z, np.inf)
    share, g, shared = _terms(loss[0], softmax, z, b, slope, select(known, y, nothing))
    return select(known, share, nothing), select(known, g, nothing), select(known, shared, nothing)


by_type(
    terms_of,
    lambda loss, *rest: _terms_where_known if isinstance(loss, types.BaseTuple) else _terms,
)
by_type(code_of, lambda loss: (lambda loss: loss[0]) if isinstance(loss, types.BaseTuple) else (lambda loss: loss))
