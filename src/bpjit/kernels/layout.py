"""Where a network's numbers lie in memory, and the codes that kernels hold for names.

All parameters of a network lie in one flat array, layer by layer: W row by row, then θ. All its units lie in flat
arrays too: the inputs first, then layer after layer. A ``Layer`` record says where one layer begins in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba.core import config

from ..maths import formulas

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
REACH = dict.fromkeys(ACTIVATION_CODES, (-math.inf, math.inf))  # the values of each activation lie within
REACH |= {function.__name__: ends for function, ends in formulas.REACH.items()} | {"softmax": (0.0, 1.0)}
CROSS_ENTROPY = len(formulas.LOSSES)
LOSS_CODES: dict[str, Any] = {function.__name__: code for code, function in enumerate(formulas.LOSSES)} | {
    "cross_entropy": CROSS_ENTROPY
}
LOSSES = tuple(LOSS_CODES)
# The same losses over those targets that are known, the others being NaN: a tuple, so that this stands in the type.
WHERE_KNOWN = {f"{name} where known": (code,) for name, code in LOSS_CODES.items()}
LOSS_CODES |= WHERE_KNOWN


def loss_as_given(loss: str) -> str:
    """The name of a loss without "where known"."""
    return loss.removesuffix(" where known")


def number_of_parameters(sizes: Sequence[int]) -> int:
    """How many weights and thresholds a network of these sizes has."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))


class Place(NamedTuple):
    """Where one layer stands; each as in ``LAYER``."""

    fan_in: int
    fan_out: int
    below: int
    here: int
    weights: int
    thresholds: int


def places_of_layers(sizes: Sequence[int]) -> Iterator[Place]:
    """Layer after layer, from the inputs up."""
    unit = parameter = 0
    for fan_in, fan_out in pairwise(sizes):
        place = Place(fan_in, fan_out, unit, unit + fan_in, parameter, parameter + fan_in * fan_out)
        yield place
        unit, parameter = place.here, place.thresholds + fan_out


def lay_out(sizes: Sequence[int], activations: Sequence[str]) -> np.ndarray:
    """The ``LAYER`` records of a network, [shape: (layers of weights,)]."""
    codes = (ACTIVATION_CODES[name] for name in activations)
    layers = [(*place, code) for place, code in zip(places_of_layers(sizes), codes, strict=True)]
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
