"""The architecture of a network: its sizes and activations, and where each layer's parameters stand in one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_integer, describe
from ..kernels.layout import ACTIVATION_CODES, number_of_parameters, places_of_layers

HIDDEN_ACTIVATIONS = tuple(name for name in ACTIVATION_CODES if name != "softmax")
OUTPUT_ACTIVATIONS = tuple(ACTIVATION_CODES)
MOST_PARAMETERS = 2**31


def as_sizes(sizes: Any) -> tuple[int, ...]:
    """Sizes of a network: at least inputs and outputs, each at least 1, together not beyond any memory."""
    expected = "two or more whole numbers >= 1, such as (2, 4, 1)"
    if isinstance(sizes, (str, bytes, dict)) or not hasattr(sizes, "__iter__"):
        raise TypeError(f"sizes: expected {expected}, got {describe(sizes)}")
    values = tuple(as_integer(f"sizes[{index}]", size, low=1) for index, size in enumerate(sizes))
    if len(values) < 2:
        raise ValueError(f"sizes: expected {expected}, got {describe(sizes)}")
    if number_of_parameters(values) > MOST_PARAMETERS:
        raise ValueError(f"sizes: expected at most {MOST_PARAMETERS} parameters, got {number_of_parameters(values)}")
    return values


def as_activations(hidden: Any, output: Any, sizes: tuple[int, ...]) -> tuple[str, ...]:
    """The activation of each layer."""
    layers = len(sizes) - 2
    if isinstance(hidden, str):
        hidden = [as_choice("hidden", hidden, HIDDEN_ACTIVATIONS)] * layers
    elif isinstance(hidden, (list, tuple)):
        hidden = [as_choice(f"hidden[{index}]", name, HIDDEN_ACTIVATIONS) for index, name in enumerate(hidden)]
    else:
        raise TypeError(f"hidden: expected a name, or a list with one for each hidden layer, got {describe(hidden)}")
    if len(hidden) != layers:
        raise ValueError(f"hidden: expected {layers} names, one for each hidden layer, got {len(hidden)}")
    as_choice("output", output, OUTPUT_ACTIVATIONS)
    if output == "softmax" and sizes[-1] == 1:
        raise ValueError('output: a softmax over one output is always 1; expected "sigmoid" or two outputs or more')
    return (*hidden, output)


def class_numbers(outputs: np.ndarray) -> Any:
    """The class that outputs stand for, [shape: (..., l)] to (...): that of the largest, or with one output 1 where it
    is at least ½."""
    return (outputs[..., 0] >= 0.5).astype(np.int64) if outputs.shape[-1] == 1 else outputs.argmax(-1)


def views(vector: np.ndarray, sizes: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weights, thresholds) of each layer, as views of a vector laid out as the parameters are, or of many vectors."""
    views = []
    for place in places_of_layers(sizes):
        end = place.thresholds + place.fan_out
        weights = vector[..., place.weights : place.thresholds]
        weights = weights.reshape(*vector.shape[:-1], place.fan_in, place.fan_out)
        views.append((weights, vector[..., place.thresholds : end]))
    return views
