"""Standard error back-propagation, one network, an update after each sample: the book's algorithm line by line.

The chapter writes it for one hidden layer, with weights v_ih and thresholds γ_h into the hidden units and w_hj
and θ_j into the outputs. Any layer of any network plays the part of the output layer (w, θ, β, y, g) towards its
inputs b, so each line of the book is one function here, a loop over the layers. ``standard_bp`` calls them in the
book's order. Index letters: k sample, h unit below, j unit here. What other updates need of a sample
(``readable.batch``) they take from here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import exp, like
from ..jit import formula
from ..layout import CROSS_ENTROPY, SOFTMAX, Units
from ..state import Samples
from ..sums import add_error
from ..switches import activation_of, code_of, terms_of


@formula
def net_input(layer: Any, p: np.ndarray, u: Units) -> None:
    """z_j = β_j − θ_j with β_j = Σ_h w_hj b_h. Writes u.z of this layer."""
    zero, q, l = like(p[0], 0), layer.fan_in, layer.fan_out
    below, here, weights, thresholds = layer.below, layer.here, layer.weights, layer.thresholds
    for j in range(l):
        u.z[here + j] = zero
    for h in range(q):
        b, row = u.b[below + h], weights + h * l
        if b != zero:  # most pixels of a picture are 0
            for j in range(l):
                u.z[here + j] += b * p[row + j]
    for j in range(l):
        u.z[here + j] -= p[thresholds + j]


@formula
def outputs(layers: np.ndarray, p: np.ndarray, x: np.ndarray, u: Units) -> None:
    """ŷ_j = f(β_j − θ_j) and before it b_h = f(α_h − γ_h), from b = x upwards. Writes u.z, u.b, u.slope."""
    for i in range(len(x)):
        u.b[i] = x[i]
    for index in range(len(layers)):
        layer = layers[index]
        activation, here, l = layer.activation, layer.here, layer.fan_out
        net_input(layer, p, u)
        if activation == SOFTMAX:
            softmax(layer, u)
        else:
            for j in range(here, here + l):
                u.b[j], u.slope[j] = activation_of(layer, activation, u.z[j])


@formula
def softmax(layer: Any, u: Units) -> None:
    """ŷ_j = e^z_j / Σ_i e^z_i, with the largest z taken off first. Writes u.b, and log ŷ_j into u.z."""
    first, end = layer.here, layer.here + layer.fan_out
    largest, total = u.z[first], like(u.z[first], 0)
    for j in range(first, end):
        largest = max(largest, u.z[j])
    for j in range(first, end):
        u.z[j] -= largest
        u.b[j] = exp(u.z[j])
        total += u.b[j]
    log_total = formulas.log(total)
    for j in range(first, end):
        u.b[j] /= total
        u.z[j] -= log_total


@formula
def output_terms(layers: np.ndarray, loss: Any, y: np.ndarray, u: Units) -> Any:
    """g_j = ŷ_j (1 − ŷ_j)(y_j − ŷ_j) for sigmoid and squared error; −∂E_k/∂β_j for all. Returns E_k, writes u.g."""
    layer = layers[-1]
    error, mean, is_softmax = like(u.b[0], 0), like(u.b[0], 0), layer.activation == SOFTMAX
    for j in range(layer.fan_out):
        here = layer.here + j
        share, u.g[here], shared = terms_of(loss, is_softmax, u.z[here], u.b[here], u.slope[here], y[j])
        error += share
        mean += shared
    if is_softmax and code_of(loss) != CROSS_ENTROPY:
        for here in range(layer.here, layer.here + layer.fan_out):
            u.g[here] = formulas.softmax_gradient_term(u.b[here], u.g[here], mean)
    return error


@formula
def hidden_terms(layers: np.ndarray, p: np.ndarray, u: Units) -> None:
    """e_h = b_h (1 − b_h) Σ_j w_hj g_j for sigmoid units, from the outputs downwards. Writes u.g of hidden units."""
    for index in range(len(layers) - 1, 0, -1):
        layer = layers[index]
        q, l, below, here, weights = layer.fan_in, layer.fan_out, layer.below, layer.here, layer.weights
        for h in range(q):
            back, row = like(p[0], 0), weights + h * l
            for j in range(l):
                back += p[row + j] * u.g[here + j]
            u.g[below + h] = formulas.hidden_gradient_term(u.slope[below + h], back)


@formula
def update(layers: np.ndarray, p: np.ndarray, eta: Any, u: Units) -> None:
    """Δw_hj = η g_j b_h, Δθ_j = −η g_j, and so Δv_ih = η e_h x_i, Δγ_h = −η e_h. Writes p."""
    for index in range(len(layers)):
        layer = layers[index]
        q, l, below, here = layer.fan_in, layer.fan_out, layer.below, layer.here
        weights, thresholds = layer.weights, layer.thresholds
        for h in range(q):
            b, row = u.b[below + h], weights + h * l
            if b != like(b, 0):
                for j in range(l):
                    p[row + j] = formulas.weight_update(p[row + j], eta, u.g[here + j], b)
        for j in range(l):
            p[thresholds + j] = formulas.threshold_update(p[thresholds + j], eta, u.g[here + j])


@formula
def standard_bp(
    layers: np.ndarray,
    p: np.ndarray,
    D: Samples,
    order: np.ndarray,
    loss: Any,
    eta: Any,
    u: Units,
    total: np.ndarray,
) -> None:
    """For every (x_k, y_k) in D, in this order: outputs, g_j, e_h with the old w_hj, update. Writes p, adds to total.

    A sample of weight c_k moves the network c_k times as far.
    """
    for k in order:
        outputs(layers, p, D.X[k], u)
        E_k = output_terms(layers, loss, D.Y[k], u)
        hidden_terms(layers, p, u)
        update(layers, p, eta * D.c[k], u)
        add_error(total, D.c[k] * E_k)
