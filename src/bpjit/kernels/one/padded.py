"""The packed copy of a network that the fast kernels work on: every row of numbers padded to whole vectors.

The first layer keeps W in *rows*, one for each input, so that z = Σ_i x_i W_i runs along the units here. Its rows are
cut into panels of 4, 2 or 1 registers, the widest first, one after another in memory. All other layers keep W in
*columns*, one for each unit here, running along the units below: z_j = W_j · b is a dot product, the way back
Σ_j g_j W_j and the update run along the same numbers. Padding stays 0: padded units have b = 0 and g = 0.

Packing and unpacking copy; no bit changes. A kernel packs at its start and unpacks at its end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...settings.rules import Rule
from ..jit import by_type, formula, inline, unless_none
from ..layout import codes_of, records_of
from ..rule_steps import make_step
from ..simd.memory import aligned_zeros, lanes_of, padded, pointer, registers, vectors
from ..simd.numbers import VECTOR_BYTES
from ..switches import LOOK_AHEAD

PANEL = 4  # registers that a kernel works on at once in the first layer

# Signed: SIMD loads and stores check nothing.
PACKED = np.dtype(
    [
        ("fan_in", np.int64),
        ("fan_out", np.int64),
        ("width", np.int64),  # fan_out, padded to whole vectors
        ("below", np.int64),  # where the units below begin; the inputs of the first layer are no units here
        ("below_width", np.int64),  # their number, padded
        ("here", np.int64),  # where the units of this layer begin
        ("weights", np.int64),  # where W begins
        ("thresholds", np.int64),  # where θ begins, [shape: (width,)]
        ("activation", np.int64),
        ("last", np.int64),  # 1 for the outputs
    ],
    align=True,
)


def pack_layers(sizes: Sequence[int], activations: Sequence[str], dtype: np.dtype) -> np.ndarray:
    """The ``PACKED`` records of a network, [shape: (layers of weights,)]."""
    lanes = VECTOR_BYTES // dtype.itemsize
    layers = []
    here = parameter = below = below_width = 0
    for index, (fan_in, fan_out, code) in enumerate(zip(sizes, sizes[1:], codes_of(activations), strict=False)):
        width = padded(fan_out, lanes)
        if index == 0:
            number = sum(units * rows for units, rows in panels_of(fan_in, width, lanes))
        else:
            number = fan_out * below_width
        thresholds = parameter + number
        last = index + 2 == len(sizes)
        layers.append((fan_in, fan_out, width, below, below_width, here, parameter, thresholds, code, last))
        below, below_width = here, width
        here, parameter = here + width, thresholds + width
    return records_of(layers, PACKED, activations)


def number_of_units(layers: np.ndarray) -> int:
    """Padded units of all layers."""
    return int(layers["width"].sum())


def packed_size(layers: np.ndarray) -> int:
    """Padded parameters."""
    return int(layers["thresholds"][-1] + layers["width"][-1])


def used_units(layers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """1 for each unit, 0 for padding."""
    used = np.zeros(number_of_units(layers), dtype)
    for layer in layers:
        used[int(layer["here"]) : int(layer["here"] + layer["fan_out"])] = 1
    return used


def panels_of(d: int, width: int, lanes: int) -> list[tuple[int, int]]:
    """(units, rows) of each panel of a first layer; narrow ones get rows of 0 until they come out even."""
    panels, column, panel = [], 0, PANEL * lanes
    while column < width:
        while column + panel > width:
            panel //= 2
        panels.append((panel, padded(d, PANEL * lanes // panel)))
        column += panel
    return panels


def places(layers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Where each of ``Network.parameters`` stands in the packed array."""
    parts = []
    for index, layer in enumerate(layers):
        d, l, W, width, below_width = (
            int(layer[name]) for name in ("fan_in", "fan_out", "weights", "width", "below_width")
        )
        if index > 0:
            parts.append(W + np.arange(l) * below_width + np.arange(d)[:, None])
        else:
            panels = []
            for panel, rows in panels_of(d, width, VECTOR_BYTES // dtype.itemsize):
                panels.append(W + np.arange(d)[:, None] * panel + np.arange(panel))
                W += rows * panel
            parts.append(np.concatenate(panels, axis=1)[:, :l])
        parts.append(int(layer["thresholds"]) + np.arange(l))
    return np.concatenate([part.ravel() for part in parts])


@functools.lru_cache(maxsize=16)
def layout(sizes: tuple[int, ...], activations: tuple[str, ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The records of a network, and where its parameters stand; kept for the next network of this kind."""
    layers = pack_layers(sizes, activations, dtype)
    return layers, places(layers, dtype)


class Net(NamedTuple):
    """Pointers to everything that belongs to one packed network: one word each, where an array is seven."""

    P: Any  # parameters
    A: Any  # the parameters at which gradients are taken: P, or those ahead for a rule that looks ahead
    S: Any  # state of the rule, slot after slot
    mask: Any  # 1 where a parameter is trained; None where all are
    n: Any  # number of packed parameters
    c: Any  # constants of the rule
    z: Any  # net input of each unit, threshold included
    b: Any  # its output; 0 in padding
    slope: Any  # f'(z)
    g: Any  # gradient term
    used: Any  # 1, in padding 0


@inline
def panel_size(d: int, panel: int, lanes: int) -> int:
    """Numbers in a panel of so many units of the first layer, its rows of 0 included."""
    together = PANEL * lanes // panel
    return panel * ((d + together - 1) // together * together)


class Work(NamedTuple):
    """The packed network and its work space; nothing in it need be kept. The arrays begin at cache lines."""

    layers: np.ndarray
    place: np.ndarray  # where each of ``Network.parameters`` stands in P
    P: np.ndarray  # parameters, [shape: (n,)]
    A: np.ndarray  # P itself, or an array for Nesterov's rule
    S: np.ndarray  # state of the rule, [shape: (slots, n)]
    mask: np.ndarray | None
    G: np.ndarray  # gradient of a batch, [shape: (n,)] or (0,)
    z: np.ndarray  # of each unit, or of each unit for each sample of a chunk
    b: np.ndarray
    slope: np.ndarray
    g: np.ndarray
    used: np.ndarray  # [shape: (units,)]
    rows: np.ndarray | None  # room for a list of rows of the first layer where most inputs are 0, [shape: (d + 2,)]


def make_work(
    sizes: Sequence[int],
    activations: Sequence[str],
    dtype: np.dtype,
    rule: Rule | None = None,
    mask: np.ndarray | None = None,
    chunk: int = 0,
    sparse: bool = False,
) -> Work:
    """Work space for a network, to be trained by ``rule`` on up to ``chunk`` samples at once, or on inputs mostly 0."""
    layers, place = layout(tuple(sizes), tuple(activations), dtype)
    n, units = padded(packed_size(layers), PANEL * VECTOR_BYTES // dtype.itemsize), number_of_units(layers)
    P = aligned_zeros(n, dtype)
    packed_mask = None
    if mask is not None:
        packed_mask = aligned_zeros(n, dtype)
        packed_mask[place] = mask
    return Work(
        layers,
        place,
        P,
        aligned_zeros(n, dtype) if rule is not None and rule.ahead is not None else P,
        aligned_zeros(n * (rule.slots if rule is not None else 0), dtype).reshape(-1, n),
        packed_mask,
        aligned_zeros(n if chunk > 0 else 0, dtype),
        *(aligned_zeros(units * max(1, chunk), dtype) for _ in range(4)),
        used_units(layers, dtype),
        np.zeros(sizes[0] + 2, np.int64) if sparse else None,
    )


@unless_none
def pointer_or_none(array: Any) -> Any:
    return pointer(array, 0)


@unless_none
def constants_of(steps: Any) -> Any:
    return pointer(steps.constants, 0)


@inline
def net_of(work: Work, steps: Any) -> Net:
    """The pointers to a network in its work space."""
    return Net(
        pointer(work.P, 0),
        pointer(work.A, 0),
        pointer(work.S, 0),
        pointer_or_none(work.mask),
        len(work.P),
        constants_of(steps),
        pointer(work.z, 0),
        pointer(work.b, 0),
        pointer(work.slope, 0),
        pointer(work.g, 0),
        pointer(work.used, 0),
    )


@inline
def of_any_rule(net: Net) -> Net:
    """The same without what depends on a rule, whose types are those of every network of this dtype."""
    return Net(net.P, net.A, net.S, None, net.n, None, net.z, net.b, net.slope, net.g, net.used)


_load, _, _ = vectors(registers(1))
*_, _seen = make_step(1)


@formula
def look_ahead(steps: Any, work: Work) -> None:
    """Where a rule that looks ahead takes its gradient. Writes A."""
    if steps is not None:
        _look(steps.kind, net_of(work, steps))


def _look(kind: Any, net: Net) -> None:
    """Of ``look_ahead``, what is compiled only for such a rule."""


def _ahead(kind: Any, net: Net) -> None:
    for o in range(0, net.n, lanes_of(net.P)):
        _seen(kind, net, o, _load(net.P, o))


def _not_ahead(kind: Any, net: Net) -> None:
    pass


by_type(_look, lambda kind, net: _ahead if len(kind) in LOOK_AHEAD else _not_ahead)
