"""Where networks start."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_choice, as_real, describe, quiet
from ..kernels.layout import reach_of
from ..maths import random_streams
from .architecture import Architecture, views

INITS = ("glorot", "he", "uniform01", "normal", "nguyen_widrow")

# Net inputs from −a to a are the active range of a unit: beyond, it has bent so far that it hardly follows. Nguyen and
# Widrow take 1 for tanh. A sigmoid is a tanh of half the net input, so twice the range makes the same unit (MATLAB's
# initnw too gives logsig twice that of tansig, ±4 beside ±2); softsign has the slope and the reach of tanh.
ACTIVE = {"tanh": 1.0, "sigmoid": 2.0, "softsign": 1.0}


def initial_parameters(architecture: Architecture, init: Any, seed: int | np.ndarray, inputs: Any = None) -> np.ndarray:
    """Random parameters as ``Network.random`` says, [shape: (n,)], or (seeds, n) for several seeds."""
    low, high, between = 0.0, 1.0, isinstance(init, tuple) and len(init) == 2
    if between:
        low = as_real("init", init[0])
        high = as_real("init", init[1], low=low)
    else:
        as_choice("init", init, INITS)
    if inputs is not None and init != "nguyen_widrow":
        raise ValueError(f'inputs: expected None, as it goes with init="nguyen_widrow"; got init={init!r}')
    make = random_streams.normals if init in ("he", "normal") else random_streams.uniforms
    vector = make(seed, random_streams.PARAMETERS, 0, architecture.parameters)
    if init == "nguyen_widrow":
        nguyen_widrow(vector, architecture, inputs)
    for weights, thresholds in views(vector, architecture.sizes):
        if init == "glorot":
            glorot(weights)
        if init == "he":
            weights *= np.sqrt(2.0 / weights.shape[-2])
        if init in ("glorot", "he"):
            thresholds[...] = 0.0
    return low + (high - low) * vector if between else vector


def glorot(weights: np.ndarray) -> None:
    """From uniform numbers in (0, 1). Writes weights."""
    weights[...] = (2.0 * weights - 1.0) * np.sqrt(6.0 / sum(weights.shape[-2:]))


# --- Nguyen & Widrow, Improving the learning speed of 2-layer neural networks by choosing initial values of the
# --- adaptive weights, IJCNN 1990.


@quiet
def nguyen_widrow(vector: np.ndarray, architecture: Architecture, inputs: Any) -> None:
    """From uniform numbers in (0, 1). Writes vector.

    Linear outputs begin with weights uniform within ±1, as in MATLAB's initnw: from there Levenberg and Marquardt's
    method took half as many steps on sinc(10x) as from glorot's. Outputs of a bounded reach begin as glorot's, so that
    many hidden units do not saturate them. Their thresholds are 0.
    """
    *hidden, output = architecture.activations
    for name in hidden:
        if name not in ACTIVE:
            instead = '"he"' if name in ("relu", "leaky_relu", "softplus", "elu", "silu", "gelu") else '"glorot"'
            raise ValueError(
                f'init: "nguyen_widrow" spreads the active ranges of units, and goes with hidden tanh, sigmoid or '
                f'softsign; these are "{name}". Expected init={instead}'
            )
    *layers, (weights, thresholds) = views(vector, architecture.sizes)
    low, high = range_of_inputs(architecture, inputs)
    for name, layer in zip(hidden, layers, strict=True):
        spread(*layer, low, high, ACTIVE[name])
        low, high = (np.full(layer[0].shape[-1], end) for end in reach_of(name))
    if reach_of(output) == (-math.inf, math.inf):
        weights[...] = 2.0 * weights - 1.0
    else:
        glorot(weights)
    thresholds[...] = 0.0
    if not np.isfinite(vector.astype(architecture.dtype)).all():
        raise ValueError(f"inputs: expected a range that leaves weights finite in {architecture.dtype}, got {inputs!r}")


def range_of_inputs(architecture: Architecture, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest of each input in the network's units, [shape: (d,)] each: as given in the user's units,
    or as the scale has seen them, or ±1."""
    d, scale = architecture.sizes[0], architecture.scale
    if inputs is None:
        inputs = None if scale is None else scale._range
    else:
        inputs = as_ends(inputs, d)
    if inputs is None:
        return np.full(d, -1.0), np.full(d, 1.0)
    ends = inputs if scale is None else scale.scale_inputs(inputs, np.dtype(np.float64))
    if not np.isfinite(ends).all():
        raise ValueError("inputs: expected ends that the network's scale keeps finite, got larger")
    return ends.min(0), ends.max(0)


def as_ends(inputs: Any, d: int) -> np.ndarray:
    """(low, high) as an array, [shape: (2, d)]."""
    expected = f"(low, high), each a finite number or {d} of them, one for each input, with low <= high"
    if isinstance(inputs, (str, bytes, dict)) or not hasattr(inputs, "__len__"):
        raise TypeError(f"inputs: expected {expected}; got {describe(inputs)}")
    if len(inputs) != 2:
        raise ValueError(f"inputs: expected {expected}; got {len(inputs)} entries")
    ends = [as_array("inputs", end, np.dtype(np.float64), expected) for end in inputs]
    if any(end.shape not in ((), (d,)) for end in ends) or (ends[0] > ends[1]).any():
        raise ValueError(f"inputs: expected {expected}; got {describe(inputs)}")
    return np.stack([np.broadcast_to(end, d) for end in ends])


def spread(weights: np.ndarray, thresholds: np.ndarray, low: np.ndarray, high: np.ndarray, active: float) -> None:
    """Weights of size 0.7 q^(1/d) in random directions, and thresholds that put the middles of the units' active ranges
    evenly over inputs from ``low`` to ``high``, both times ``active``. From uniform numbers in (0, 1). Writes both.

    Sums over the inputs go row after row, so that one network gets the same bits as one of many.
    """
    d, q = weights.shape[-2:]
    weights[...] = 2.0 * weights - 1.0
    squares = sum(weights[..., row, :] * weights[..., row, :] for row in range(d))
    size = 0.7 * q ** (1.0 / d) * active
    middles = np.linspace(-1.0, 1.0, q) if q > 1 else np.zeros(1)
    thresholds[...] = -size * middles * np.sign(weights[..., 0, :])
    weights *= (size / np.sqrt(squares))[..., None, :]
    half, middle = np.where(high > low, 0.5 * high - 0.5 * low, 1.0), 0.5 * high + 0.5 * low
    for row in range(d):
        weights[..., row, :] /= half[row]
        thresholds += weights[..., row, :] * middle[row]
