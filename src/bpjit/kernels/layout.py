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

from ..maths import formulas
from ..maths.own import Own, WhereKnown
from .insides import config
from .own import marker, own_among, with_own

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
OWN_LOSS = CROSS_ENTROPY + 1  # what kernels compare where a loss is the user's own
# The same losses over those targets that are known, the others being NaN: a tuple, so that this stands in the type.
WHERE_KNOWN = {f"{name} where known": (code,) for name, code in LOSS_CODES.items()}
LOSS_CODES |= WHERE_KNOWN


def codes_of(activations: Sequence[str]) -> list[int]:
    """What kernels hold for these activations: those of the user's own count on from ``SOFTMAX``."""
    own = {marker(each): SOFTMAX + 1 + k for k, each in enumerate(own_among(activations))}
    return [own[marker(name)] if isinstance(name, Own) else ACTIVATION_CODES[name] for name in activations]


def reach_of(activation: str) -> tuple[float, float]:
    """What the values of an activation lie within."""
    return activation.reach if isinstance(activation, Own) else REACH[activation]


def code_of_loss(loss: str) -> Any:
    """What kernels take for a loss: its code, for one of the user's own a marker, and "where known" a tuple of it."""
    if isinstance(loss, WhereKnown):
        return (marker(loss.loss),)
    return marker(loss) if isinstance(loss, Own) else LOSS_CODES[loss]


def where_known(loss: str) -> str:
    """A loss over those targets that are known."""
    return WhereKnown(loss) if isinstance(loss, Own) else f"{loss} where known"


def is_where_known(loss: str) -> bool:
    """Whether a loss is one over those targets that are known."""
    return isinstance(loss, WhereKnown) or loss in WHERE_KNOWN


def loss_as_given(loss: str) -> str:
    """The name of a loss without "where known"."""
    return (
        loss.loss
        if isinstance(loss, WhereKnown)
        else loss
        if isinstance(loss, Own)
        else loss.removesuffix(" where known")
    )


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


def records_of(layers: Sequence[tuple[Any, ...]], dtype: np.dtype, activations: Sequence[str]) -> np.ndarray:
    """Records of layers; their type names the activations of the user's own."""
    records = np.array(layers, dtype)
    return records.view(with_own(dtype, activations)) if own_among(activations) else records


def lay_out(sizes: Sequence[int], activations: Sequence[str]) -> np.ndarray:
    """The ``LAYER`` records of a network, [shape: (layers of weights,)]."""
    layers = [(*place, code) for place, code in zip(places_of_layers(sizes), codes_of(activations), strict=True)]
    records = records_of(layers, LAYER, activations)
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
