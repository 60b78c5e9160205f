"""What the R-operator needs of units, from the codes that kernels hold: f'' of activations, and R{g_j} of outputs. As
``switches`` has f' and g_j."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..maths import formulas
from ..maths.formulas import like, select
from ..maths.own import Own
from .jit import by_type, from_lines, inline, switch
from .layout import CROSS_ENTROPY
from .own import derivative_of, formula_of, is_marker, own_in
from .switches import lose, own_or, where_known

NAMES = {function.__name__ for function in formulas.BENDS} | {"softmax"}


def is_bent(activation: str) -> bool:
    """Whether the second derivative of an activation is known."""
    return isinstance(activation, Own) or activation in NAMES


bend = switch(
    "bend",
    [formulas.BENDS.get(function, formulas.no_bend) for function in formulas.ACTIVATIONS],
    "f''(z) of the activation with this code, from f(z) and f'(z).",
)
bend_of_loss = switch(
    "bend_of_loss",
    [formulas.BENDS_OF_LOSSES[function] for function in formulas.LOSSES],
    "∂²E_k/∂ŷ_j² of the loss with this code.",
)


def bend_of(layer: Any, code: Any, z: Any, y: Any, slope: Any) -> Any:
    """f''(z) of the activation with this code, one of the user's own as in ``switches.activation_of``."""
    return _bend_of(tuple(own_in(layer)))(layer, code, z, y, slope)


@functools.cache
def _bend_of(markers: tuple[Any, ...]) -> Any:
    own = [derivative_of(each) for each in markers]
    return own_or("bend_of", "layer, code, z, y, slope", own, "bend(code, y, slope)", {"bend": bend})


by_type(bend_of, lambda layer, code, z, y, slope: _bend_of(tuple(own_in(layer))))


def terms_along(loss: Any, softmax: bool, unit: Any, y: Any, along: Any) -> Any:
    """(g_j, R{g_j}, nothing, nothing) of an output unit (z, b, f', f'') along (R{z}, R{b}); of a softmax unit with a
    loss other than cross-entropy (d_j, R{d_j}, share of Σ ŷ_j d_j, share of R of that), d_j being −∂E_k/∂ŷ_j. All are 0
    where a target is not known, for a loss ``where known``."""
    return _terms_along(loss)(loss, softmax, unit, y, along)


@inline
def _from_output(softmax: bool, unit: Any, along: Any, d: Any, d_along: Any) -> Any:
    z, b, slope, bend = unit
    z_along, b_along = along
    if softmax:
        return d, d_along, b * d, b_along * d + b * d_along
    g_along = formulas.gradient_term_along(slope, d, bend, z_along, d_along)
    return formulas.output_gradient_term(slope, d), g_along, like(z, 0), like(z, 0)


@inline
def _terms(loss: Any, softmax: bool, unit: Any, y: Any, along: Any) -> Any:
    z, b, _, _ = unit
    if loss == CROSS_ENTROPY:
        return formulas.cross_entropy_gradient_term(b, y), -along[1], like(z, 0), like(z, 0)
    _, d = lose(loss, b, y)
    return _from_output(softmax, unit, along, d, -bend_of_loss(loss, b, y) * along[1])


@functools.cache
def _terms_of_own(cls: Any) -> Any:
    """The same for a loss of the user's own."""
    own = formula_of(cls)
    lines = ["_, g = own(unit[0], y)", "return g, slope(unit[0], y) * along[0], like(g, 0), like(g, 0)"]
    if not own.of_net_input:
        lines = ["_, d = own(unit[1], y)", "return from_output(softmax, unit, along, d, slope(unit[1], y) * along[1])"]
    scope = {"own": own.formula, "slope": derivative_of(cls), "like": like, "from_output": _from_output}
    return inline(from_lines("terms", "loss, softmax, unit, y, along", lines, scope))


@inline
def _terms_where_known(loss: Any, softmax: bool, unit: Any, y: Any, along: Any) -> Any:
    nothing = like(unit[0], 0)
    known = y <= like(unit[0], np.inf)
    g, g_along, m, m_along = terms_along(loss[0], softmax, unit, select(known, y, nothing), along)
    return (
        select(known, g, nothing),
        select(known, g_along, nothing),
        select(known, m, nothing),
        select(known, m_along, nothing),
    )


def _terms_along(loss: Any) -> Any:
    if where_known(loss):
        return _terms_where_known
    return _terms_of_own(getattr(loss, "instance_class", type(loss))) if is_marker(loss) else _terms


by_type(terms_along, lambda loss, softmax, unit, y, along: _terms_along(loss))
