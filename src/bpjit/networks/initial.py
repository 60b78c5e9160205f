"""Where networks start."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_real
from ..kernels.layout import number_of_parameters
from ..maths import random_streams
from .architecture import views

INITS = ("glorot", "he", "uniform01", "normal")


def initial_parameters(sizes: tuple[int, ...], init: Any, seed: int | np.ndarray) -> np.ndarray:
    """Random parameters as ``Network.random`` says, [shape: (n,)], or (seeds, n) for several seeds."""
    low, high = 0.0, 1.0
    if isinstance(init, tuple) and len(init) == 2:
        low = as_real("init", init[0])
        high = as_real("init", init[1], low=low)
    else:
        as_choice("init", init, INITS)
    make = random_streams.normals if init in ("he", "normal") else random_streams.uniforms
    vector = make(seed, random_streams.PARAMETERS, 0, number_of_parameters(sizes))
    for weights, thresholds in views(vector, sizes):
        fan_in, fan_out = weights.shape[-2:]
        if init == "glorot":
            weights[...] = (2.0 * weights - 1.0) * np.sqrt(6.0 / (fan_in + fan_out))
        if init == "he":
            weights *= np.sqrt(2.0 / fan_in)
        if init in ("glorot", "he"):
            thresholds[...] = 0.0
    return low + (high - low) * vector if isinstance(init, tuple) else vector
