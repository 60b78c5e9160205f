"""Where a network's numbers lie in memory, and the switches from run-time codes to formulas.

All parameters of a network lie in one flat array, layer by layer: W row by row, then θ. All its units lie in flat
arrays too: the inputs first, then layer after layer. A ``Layer`` record says where one layer begins in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba.core import config

from .. import formulas, rules
from .jit import formula

# Unsigned, all of them: an index that might be negative would be checked at every access, and no loop vectorised.
LAYER = np.dtype(
    [
        ("fan_in", np.uint64),  # number of units below
        ("fan_out", np.uint64),  # number of units here
        ("below", np.uint64),  # where the units below begin
        ("here", np.uint64),  # where the units of this layer begin
        ("weights", np.uint64),  # where W begins, [shape: (fan_in, fan_out)]
        ("thresholds", np.uint64),  # where θ begins, [shape: (fan_out,)]
        ("activation", np.uint64),  # its code
    ],
    align=True,
)

SOFTMAX = len(formulas.ACTIVATIONS)
ACTIVATION_CODES = {function.__name__: code for code, function in enumerate(formulas.ACTIVATIONS)} | {
    "softmax": SOFTMAX
}
CROSS_ENTROPY = len(formulas.LOSSES)
LOSS_CODES = {function.__name__: code for code, function in enumerate(formulas.LOSSES)} | {
    "cross_entropy": CROSS_ENTROPY
}


def number_of_parameters(sizes: Sequence[int]) -> int:
    """How many weights and thresholds a network of these sizes has."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


def lay_out(sizes: Sequence[int], activations: Sequence[str]) -> np.ndarray:
    """The ``LAYER`` records of a network, [shape: (layers of weights,)]."""
    layers = []
    unit = parameter = 0
    for fan_in, fan_out, activation in zip(sizes[:-1], sizes[1:], activations, strict=True):
        here, thresholds = unit + fan_in, parameter + fan_in * fan_out
        layers.append((fan_in, fan_out, unit, here, parameter, thresholds, ACTIVATION_CODES[activation]))
        unit, parameter = here, thresholds + fan_out
    records = np.array(layers, LAYER)
    return records.view(np.recarray) if config.DISABLE_JIT else records  # Python needs it to read layer.fan_in


class Units(NamedTuple):
    """Work space: a number for every unit of a network, inputs included, each [shape: (units,)]."""

    z: np.ndarray  # net input, threshold included; of the outputs only where cross-entropy needs it
    b: np.ndarray  # output; of the first layer the sample x, of the last one ŷ
    slope: np.ndarray  # f'(z)
    g: np.ndarray  # gradient term −∂E_k/∂z: g_j of output units, e_h of hidden units

    @classmethod
    def of(cls, sizes: Sequence[int], dtype: np.dtype) -> Units:
        return cls(*(np.zeros(sum(sizes), dtype) for _ in cls._fields))


@formula
def activate(code: int, z: Any) -> Any:
    """(f(z), f'(z)) of the activation with this code; the codes count through ``formulas.ACTIVATIONS``."""
    if code == 0:
        return formulas.sigmoid(z)
    if code == 1:
        return formulas.tanh(z)
    if code == 2:
        return formulas.relu(z)
    if code == 3:
        return formulas.leaky_relu(z)
    if code == 4:
        return formulas.softplus(z)
    if code == 5:
        return formulas.softsign(z)
    if code == 6:
        return formulas.identity(z)
    if code == 7:
        return formulas.sin(z)
    return formulas.step(z)


@formula
def lose(code: int, y_hat: Any, y: Any) -> Any:
    """(share of E_k, −∂E_k/∂ŷ_j) of the loss with this code; the codes count through ``formulas.LOSSES``."""
    if code == 0:
        return formulas.squared(y_hat, y)
    if code == 1:
        return formulas.absolute(y_hat, y)
    return formulas.huber(y_hat, y)


@formula
def rule_step(code: int, w: Any, g: Any, state: Any, eta: Any, c: np.ndarray, corrections: Any) -> Any:
    """(w, state) after one step of the rule with this code, any but plain descent.

    ``c`` are its constants, as ``Rule.constants`` lists them, and ``corrections`` what changes from update to update:
    see ``kernels.batch.prepare_rule``.
    """
    s0, s1, s2 = state
    if code == 1 or code == 2:
        w, s0 = rules.momentum(w, g, s0, eta, c[0])
    elif code == 3:
        w, s0, s1, s2 = rules.rprop(w, g, s0, s1, s2, corrections[0], (c[0], c[1]), (c[2], c[3]))
    elif code == 4:
        w, s0, s1 = rules.quickprop(w, g, s0, s1, eta, c[0])
    elif code == 5:
        w, s0 = rules.adagrad(w, g, s0, eta, c[0])
    elif code == 6:
        w, s0 = rules.rmsprop(w, g, s0, eta, c[1], c[0])
    else:
        w, s0, s1 = rules.adam(w, g, s0, s1, eta, (c[1], c[2]), c[0], corrections)
    return w, (s0, s1, s2)
