"""From the codes that kernels hold to the formulas that they mean: activations, losses, rules, and what follows from
them for a unit or a parameter."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import types

from ..maths import formulas
from ..maths.formulas import like, select
from ..settings.rules import RULES, SHARED, SLOTS, Rule
from .jit import by_type, formula, from_lines, inline, items, switch
from .layout import CROSS_ENTROPY, OWN_LOSS, SOFTMAX
from .own import formula_of, is_marker, own_in
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


def _yes(kind: Any) -> bool:
    return True


def _no(kind: Any) -> bool:
    return False


def whether_among(codes: Sequence[int]) -> Callable[[Any], bool]:
    """A function that says, where kernels call it while they are compiled, whether a rule's code is among these."""

    def is_among(kind: Any) -> bool:
        return len(kind) in codes

    by_type(is_among, lambda kind: _yes if len(kind) in codes else _no)
    return is_among


compares, looks_ahead = whether_among(COMPARE), whether_among(LOOK_AHEAD)


def activation_of(layer: Any, code: Any, z: Any) -> Any:
    """(f(z), f'(z)) of the activation with this code, beyond ``SOFTMAX`` one of the user's own, which ``layer`` names
    in its type: a record of layers, or anything with ``own``."""
    return _activation_of(tuple(own_in(layer)))(layer, code, z)


@functools.cache
def _activation_of(markers: tuple[Any, ...]) -> Any:
    """``activation_of`` where these are the user's own."""
    own = [formula_of(each) for each in markers]
    return own_or("activation_of", "layer, code, z", own, "activate(code, z)", {"activate": activate})


def own_or(name: str, arguments: str, own: Sequence[Any], otherwise: str, scope: dict[str, Any]) -> Any:
    """A function of the code of an activation: beyond ``SOFTMAX`` one of the user's ``own`` functions of z, else
    ``otherwise``."""
    lines = []
    for k in range(len(own)):
        lines += [f"if code == {SOFTMAX + 1 + k}:", f"    return own{k}(z)"]
    own_scope = {f"own{k}": function for k, function in enumerate(own)}
    return from_lines(name, arguments, [*lines, f"return {otherwise}"], scope | own_scope)


by_type(activation_of, lambda layer, code, z: _activation_of(tuple(own_in(layer))))


def settings_of(rule: type[Rule]) -> str:
    """The source of a rule's settings, from an array or tuple c of SETTINGS numbers."""
    return items("c[{k}]", len(rule().constants()))


def rule_of(kind: Any) -> type[Rule]:
    """The rule that ``kind_of`` made this of, or a type of that."""
    return formula_of(kind) if is_marker(kind) else OF_RULES[len(kind)]


def rule_step(kind: Any, w: Any, g: Any, state: Any, eta: Any, c: Any, shared: Any) -> Any:
    """(w, state) after one step of the rule; ``c`` are its settings, and ``state`` and ``shared`` have SLOTS and SHARED
    numbers, however few the rule has of them."""
    return _step_of(rule_of(kind))(kind, w, g, state, eta, c, shared)


@functools.cache
def _step_of(rule: type[Rule]) -> Any:
    state, shared = items("state[{k}]", rule.slots), items("shared[{k}]", rule.shares)
    after = "".join(f"{'own' if k < rule.slots else 'state'}[{k}], " for k in range(SLOTS))
    lines = [f"w, own = of_rule(w, g, {state}, eta, {settings_of(rule)}, {shared})", f"return w, ({after})"]
    return from_lines("rule_step", "kind, w, g, state, eta, c, shared", lines, {"of_rule": rule.step})


def prepare(kind: Any, shared: Any, c: Any, rose: Any) -> Any:
    """What all parameters share, anew for each update: as ``Rule.prepare``."""
    return _preparation_of(rule_of(kind))(kind, shared, c, rose)


@functools.cache
def _preparation_of(rule: type[Rule]) -> Any:
    lines = ["return shared"]
    if rule.prepare is not Rule.prepare:
        after = "".join(f"{'own' if k < rule.shares else 'shared'}[{k}], " for k in range(SHARED))
        shared = items("shared[{k}]", rule.shares)
        lines = [f"own = of_rule({shared}, {settings_of(rule)}, rose)", f"return ({after})"]
    return from_lines("prepare", "kind, shared, c, rose", lines, {"of_rule": rule.prepare})


def ahead(kind: Any, w: Any, state: Any, c: Any) -> Any:
    """Where the rule takes the gradient of a parameter: as ``Rule.ahead``."""
    return _ahead_of(rule_of(kind))(kind, w, state, c)


@functools.cache
def _ahead_of(rule: type[Rule]) -> Any:
    lines = ["return w"]
    if rule.ahead is not None:
        lines = [f"return of_rule(w, {items('state[{k}]', rule.slots)}, {settings_of(rule)})"]
    return from_lines("ahead", "kind, w, state, c", lines, {"of_rule": rule.ahead})


by_type(rule_step, lambda kind, w, g, state, eta, c, shared: _step_of(rule_of(kind)))
by_type(prepare, lambda kind, shared, c, rose: _preparation_of(rule_of(kind)))
by_type(ahead, lambda kind, w, state, c: _ahead_of(rule_of(kind)))


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
    rose = like(scalars[0], 0)
    if compares(steps.kind):
        now = objective(steps.lam, steps.rest, scalars[TOTAL] / like(rose, n), p)
        rose = formulas.select(now > scalars[LAST_OBJECTIVE], like(rose, 1), rose)
        scalars[LAST_OBJECTIVE] = now
    shared = prepare(steps.kind, (scalars[SHARED1], scalars[SHARED2]), steps.constants, rose)
    scalars[SHARED1], scalars[SHARED2] = shared
    return shared


def terms_of(loss: Any, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
    """(shares of E_k, g_j, nothing) of output units; of softmax units with a loss other than cross-entropy (shares of
    E_k, −∂E_k/∂ŷ_j, shares of its mean), from which ``formulas.softmax_gradient_term`` makes g_j. All are 0 where a
    target is NaN, not known, for a loss ``where known``."""
    return _terms_of(loss)(loss, softmax, z, b, slope, y)


def code_of(loss: Any) -> Any:
    """The code of a loss, over all targets or over those known; beyond all codes for one of the user's own."""
    return _code_of(loss)(loss)


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


TERMS = "loss, softmax, z, b, slope, y"  # the arguments of each function of terms


@functools.cache
def _terms_of_own(own: Any) -> Any:
    """The same for a loss of the user's own."""
    return _terms_of_net_input(own.formula) if own.of_net_input else _terms_of_output(own.formula)


def _terms_of_net_input(loss: Any) -> Any:
    """The same for a loss z, y -> (share of E_k, g_j)."""
    lines = ["share, g = of(z, y)", "return share, g, like(z, 0)"]
    return inline(from_lines("terms", TERMS, lines, {"of": loss, "like": like}))


def _terms_of_output(loss: Any) -> Any:
    """The same for a loss ŷ_j, y_j -> (share of E_k, −∂E_k/∂ŷ_j)."""
    lines = ["share, d = of(b, y)", "if softmax:", "    return share, d, b * d"]
    lines += ["return share, output_gradient_term(slope, d), like(z, 0)"]
    scope = {"of": loss, "like": like, "output_gradient_term": formulas.output_gradient_term}
    return inline(from_lines("terms", TERMS, lines, scope))


@functools.cache
def terms_of_code(code: int, softmax: bool) -> Any:
    """The same where both are known beforehand: no other loss is compiled."""
    if code != CROSS_ENTROPY:
        return _terms_of_output(formulas.LOSSES[code])
    share = formulas.categorical_cross_entropy if softmax else formulas.binary_cross_entropy
    scope = {"share": share, "gradient_term": formulas.cross_entropy_gradient_term, "like": like}
    return inline(from_lines("terms", TERMS, ["return share(z, y), gradient_term(b, y), like(z, 0)"], scope))


@functools.cache
def terms_where_known(terms: Any) -> Any:
    """The same for such terms of targets some of which are not known."""

    @inline
    def terms_of_known(loss: Any, softmax: bool, z: Any, b: Any, slope: Any, y: Any) -> Any:
        nothing = like(z, 0)
        known = y <= like(z, np.inf)
        share, g, shared = terms(loss[0], softmax, z, b, slope, select(known, y, nothing))
        return select(known, share, nothing), select(known, g, nothing), select(known, shared, nothing)

    return terms_of_known


def where_known(loss: Any) -> bool:
    return isinstance(loss, types.BaseAnonymousTuple) or type(loss) is tuple


def _terms_of(loss: Any) -> Any:
    if where_known(loss):
        return terms_where_known(terms_of)
    return _terms_of_own(formula_of(loss)) if is_marker(loss) else _terms


def _code_of(loss: Any) -> Any:
    if where_known(loss):
        return lambda loss: code_of(loss[0])
    return (lambda loss: OWN_LOSS) if is_marker(loss) else (lambda loss: loss)


by_type(terms_of, lambda loss, softmax, z, b, slope, y: _terms_of(loss))
by_type(code_of, _code_of)
