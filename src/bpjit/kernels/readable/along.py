"""The Hessian times a direction v, without the Hessian: the R-operator (Pearlmutter 1994, Fast exact multiplication by
the Hessian) on the lines of ``readable.online``. Every line z = ... has one R{z} = ..., the product rule says which;
together they take some three times as long as the gradient. Index letters: k sample, h unit below, j unit here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import like
from ..along import bend_of, terms_along
from ..jit import formula, kernel
from ..layout import CROSS_ENTROPY, SOFTMAX, Units
from ..state import Samples
from ..switches import code_of
from .online import outputs


@formula
def outputs_along(layers: np.ndarray, p: np.ndarray, v: np.ndarray, u: Units, r: Units) -> None:
    """R{z_j} = Σ_h (v_hj b_h + w_hj R{b_h}) − v_j, R{b_j} = f'(z_j) R{z_j}, from R{x} = 0 upwards. Writes r.z, r.b, and
    f''(z) into r.slope."""
    for i in range(layers[0].fan_in):
        r.b[i] = like(p[0], 0)
    for index in range(len(layers)):
        layer = layers[index]
        q, l, below, here, activation = layer.fan_in, layer.fan_out, layer.below, layer.here, layer.activation
        for j in range(l):
            r.z[here + j] = -v[layer.thresholds + j]
        for h in range(q):
            row = layer.weights + h * l
            for j in range(l):
                r.z[here + j] += u.b[below + h] * v[row + j] + r.b[below + h] * p[row + j]
        mean = like(p[0], 0)
        if activation == SOFTMAX:
            for j in range(here, here + l):
                mean += u.b[j] * r.z[j]
            for j in range(here, here + l):
                r.b[j] = formulas.softmax_gradient_term(u.b[j], r.z[j], mean)
        else:
            for j in range(here, here + l):
                r.slope[j] = bend_of(layer, activation, u.z[j], u.b[j], u.slope[j])
                r.b[j] = u.slope[j] * r.z[j]


@formula
def output_terms_along(layers: np.ndarray, loss: Any, y: np.ndarray, u: Units, r: Units) -> None:
    """g_j and R{g_j}. Writes u.g, r.g of the outputs."""
    layer = layers[-1]
    is_softmax = layer.activation == SOFTMAX
    mean, mean_along = like(u.b[0], 0), like(u.b[0], 0)
    for j in range(layer.fan_out):
        here = layer.here + j
        unit = u.z[here], u.b[here], u.slope[here], r.slope[here]
        u.g[here], r.g[here], m, m_along = terms_along(loss, is_softmax, unit, y[j], (r.z[here], r.b[here]))
        mean += m
        mean_along += m_along
    if is_softmax and code_of(loss) != CROSS_ENTROPY:
        for here in range(layer.here, layer.here + layer.fan_out):
            rest, rest_along = u.g[here] - mean, r.g[here] - mean_along
            u.g[here] = formulas.softmax_gradient_term(u.b[here], u.g[here], mean)
            r.g[here] = formulas.softmax_term_along(u.b[here], rest, r.b[here], rest_along)


@formula
def hidden_terms_along(layers: np.ndarray, p: np.ndarray, v: np.ndarray, u: Units, r: Units) -> None:
    """R{e_h} = f''(z_h) R{z_h} Σ_j w_hj g_j + f'(z_h) Σ_j (v_hj g_j + w_hj R{g_j}), and e_h, downwards. Writes u.g, r.g
    of the hidden units."""
    for index in range(len(layers) - 1, 0, -1):
        layer = layers[index]
        q, l, below, here, weights = layer.fan_in, layer.fan_out, layer.below, layer.here, layer.weights
        for h in range(below, below + q):
            back, back_along, row = like(p[0], 0), like(p[0], 0), weights + (h - below) * l
            for j in range(l):
                back += p[row + j] * u.g[here + j]
                back_along += v[row + j] * u.g[here + j] + p[row + j] * r.g[here + j]
            u.g[h] = formulas.hidden_gradient_term(u.slope[h], back)
            r.g[h] = formulas.gradient_term_along(u.slope[h], back, r.slope[h], r.z[h], back_along)


@formula
def add_along(layers: np.ndarray, c: Any, u: Units, r: Units, G: np.ndarray) -> None:
    """Add −c R{∂E_k/∂w_hj} = c (R{g_j} b_h + g_j R{b_h}) and −c R{∂E_k/∂θ_j} = −c R{g_j}. Writes G."""
    for index in range(len(layers)):
        layer = layers[index]
        q, l, below, here = layer.fan_in, layer.fan_out, layer.below, layer.here
        for h in range(q):
            row = layer.weights + h * l
            for j in range(l):
                G[row + j] += c * (r.g[here + j] * u.b[below + h] + u.g[here + j] * r.b[below + h])
        for j in range(l):
            G[layer.thresholds + j] -= c * r.g[here + j]


@kernel
def along(
    layers: np.ndarray,
    p: np.ndarray,
    v: np.ndarray,
    D: Samples,
    stretch: tuple[int, int],
    loss: Any,
    room: tuple[Units, Units],
    G: np.ndarray,
) -> None:
    """Add −Σ c_k R{∂E_k/∂p} along v over a stretch of samples to G, [shape: (n,)]. Writes room."""
    u, r = room
    for k in range(stretch[0], stretch[1]):
        outputs(layers, p, D.X[k], u)
        outputs_along(layers, p, v, u, r)
        output_terms_along(layers, loss, D.Y[k], u, r)
        hidden_terms_along(layers, p, v, u, r)
        add_along(layers, D.c[k], u, r, G)
