"""What dense networks are made of everywhere, one thing after another: layers, activations, and numbers that are added
or multiplied. A chain of these becomes a ``Network``, whose ``Scale`` is what stands before and after all layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..networks.architecture import HasArchitecture
from ..networks.columns import Columns
from ..networks.network import Network
from ..networks.scale import Scale

OPERATIONS = ("add", "subtract", "multiply", "divide")


@dataclass(frozen=True)
class Dense:
    """x ↦ xW + b, with W of shape (fan_in, fan_out) and b (fan_out,)."""

    W: np.ndarray
    b: np.ndarray
    where: str = ""  # what it is called in messages


@dataclass(frozen=True)
class Affine:
    """x ↦ x + c, x − c, x c or x/c, c one number or one for each column."""

    operation: str
    c: np.ndarray
    where: str = ""


@dataclass(frozen=True)
class Activation:
    """x ↦ f(x) for the activation of this name."""

    name: str
    where: str = ""


Link = Dense | Affine | Activation


@dataclass
class _Layer:
    W: np.ndarray
    b: np.ndarray
    activation: str | None = None


@dataclass
class _Building:
    """The layers so far, and what was added or multiplied since the last of them."""

    layers: list[_Layer] = field(default_factory=list)
    pending: list[Affine] = field(default_factory=list)
    inputs: list[Affine] = field(default_factory=list)
    dtypes: set[Any] = field(default_factory=set)

    def take(self, link: Link) -> None:
        if isinstance(link, Affine):
            self.pending.append(link)
        elif isinstance(link, Dense):
            self._dense(link)
        else:
            self._activation(link)

    def _dense(self, link: Dense) -> None:
        W, b = (np.array(array, np.float64) for array in (link.W, link.b))
        if self.layers and len(W) != self.layers[-1].W.shape[1]:
            raise ValueError(f"{link.where}: expected {self.layers[-1].W.shape[1]} inputs, got {len(W)}")
        self.dtypes.add(link.W.dtype)
        if not self.layers:
            offset, factor = as_input_scale(self.pending, len(W))
            if np.isfinite(factor).all() and np.isfinite(offset).all():
                self.inputs, self.pending = self.pending, []
        elif self.layers[-1].activation is None:
            self.end_layer("identity")
        a, c = as_output_scale(self.pending, len(W))
        if self.pending:
            W, b = a[:, None] * W, b + c @ W
        self.pending = []
        self.layers.append(_Layer(W, b))

    def _activation(self, link: Activation) -> None:
        if not self.layers:
            raise ValueError(f"{link.where}: expected a layer before the first activation, got {link.name}")
        if self.layers[-1].activation is not None:
            raise ValueError(
                f"{link.where}: expected one activation for each layer, got {link.name} after "
                f"{self.layers[-1].activation}"
            )
        self.end_layer(link.name)

    def end_layer(self, activation: str) -> None:
        """Let the last layer have this activation, what came after its sums going into them."""
        last = self.layers[-1]
        a, c = as_output_scale(self.pending, len(last.b))
        last.activation = activation
        if self.pending:
            last.W, last.b = last.W * a, last.b * a + c
        self.pending = []


def as_input_scale(links: Iterable[Affine], d: int) -> tuple[np.ndarray, np.ndarray]:
    """(offset, factor) of x ↦ (x − offset)/factor; the factor is not finite where a column is multiplied by 0."""
    offset, factor = np.zeros(d), np.ones(d)
    with np.errstate(all="ignore"):
        for link in links:
            c = _column(link, d)
            if link.operation == "subtract":
                offset = offset + c * factor
            elif link.operation == "add":
                offset = offset - c * factor
            else:
                factor = factor * c if link.operation == "divide" else factor / c
    return offset, factor


def as_output_scale(links: Iterable[Affine], l: int) -> tuple[np.ndarray, np.ndarray]:
    """(factor, offset) of y ↦ y factor + offset."""
    factor, offset = np.ones(l), np.zeros(l)
    with np.errstate(all="ignore"):
        for link in links:
            c = _column(link, l)
            if link.operation in ("add", "subtract"):
                offset = offset + c if link.operation == "add" else offset - c
            elif link.operation == "multiply":
                factor, offset = factor * c, offset * c
            else:
                factor, offset = factor / c, offset / c
    return factor, offset


def _column(link: Affine, n: int) -> np.ndarray:
    c = np.asarray(link.c, np.float64)
    if c.shape not in ((), (1,), (n,)):
        raise ValueError(f"{link.where}: expected one number or {n}, got shape {c.shape}")
    return c


def as_network(links: Iterable[Link], columns: Columns | None = None) -> Network:
    """The network that a chain is. Its dtype is float32 where all weights are.

    ``ValueError`` says where the chain is none that a network can be.
    """
    building = _Building()
    for link in links:
        building.take(link)
    if not building.layers:
        raise ValueError("expected a dense layer at least, got none")
    layers = building.layers
    if layers[-1].activation is None:
        layers[-1].activation = "identity"
    scale = None
    if building.inputs or building.pending:
        d, l = len(layers[0].W), len(layers[-1].b)
        arrays: tuple[np.ndarray, ...] = as_input_scale(building.inputs, d)
        if building.pending:
            factor, offset = as_output_scale(building.pending, l)
            arrays = (*arrays, offset, factor)
        scale = Scale(*arrays)
    return Network.from_arrays(
        [layer.W for layer in layers],
        [-layer.b for layer in layers],
        [layer.activation or "identity" for layer in layers[:-1]],
        layers[-1].activation,
        dtype="float32" if building.dtypes == {np.dtype(np.float32)} else "float64",
        scale=scale,
        columns=columns,
    )


def biases_of(net: HasArchitecture) -> list[np.ndarray]:
    """−θ of each layer, [shape: (fan_out,)]."""
    return [-thresholds for thresholds in net.thresholds]


def split(offsets: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """(high, low) numbers of this dtype whose sum the offsets are: taken off one after the other they lose no digits of
    what lies close by, such as years."""
    high = offsets.astype(dtype)
    return high, (offsets - high).astype(dtype)
