"""One sample of a network laid open: every quantity of forward and backward pass, under names of its own.

The numbers come from the lines of ``kernels.online``, the same that training is made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .architecture import views
from .evaluation import as_loss, as_network, as_samples
from .kernels import terms
from .kernels.layers import LOSS_CODES, SOFTMAX, Units
from .network import Network


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of weights, with what a sample makes of it.

    Attributes
    ----------
    number : 1 for the layer next to the inputs
    activation : its name
    inputs : x_i, or b_h of the layer below, [shape: (fan_in,)]
    weights, thresholds : v_ih and γ_h of a hidden layer, w_hj and θ_j of the outputs, before the step
    sums : α_h or β_j, without threshold, [shape: (fan_out,)]
    net_inputs : α_h − γ_h or β_j − θ_j
    outputs : b_h or ŷ_j
    slopes : f'(α_h − γ_h) or f'(β_j − θ_j); None for softmax, whose outputs depend on all net inputs
    backs : Σ_j w_hj g_j, what comes back from the layer above to each unit of a hidden layer; None for the outputs
    gradient_terms : e_h or g_j
    """

    number: int
    activation: str
    inputs: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray
    sums: np.ndarray
    net_inputs: np.ndarray
    outputs: np.ndarray
    slopes: np.ndarray | None
    backs: np.ndarray | None
    gradient_terms: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """The same in plain numbers and lists, as JSON has them; numbers keep all their digits."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class LaidOpen:
    """All that one sample makes of a network: see ``lay_open``.

    Attributes
    ----------
    number : its place in the data it was taken from
    x, y : inputs and targets, in the network's units, [shape: (d,), (l,)]
    loss : name of the loss
    error : E_k
    layers : a ``Layer`` for each layer of weights, the one next to the inputs first
    """

    number: int
    x: np.ndarray
    y: np.ndarray
    loss: str
    error: float
    layers: tuple[Layer, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same in plain numbers, lists and dicts, as JSON has them; numbers keep all their digits."""
        layers = [layer.as_dict() for layer in self.layers]
        return {name: plain(value) for name, value in vars(self).items() if name != "layers"} | {"layers": layers}


def plain(value: Any) -> Any:
    """An array as lists of floats, all else as it is."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def lay_open(net: Network, x: Any, y: Any, loss: str | None = None) -> LaidOpen:
    """Every quantity of one sample, forward and backward, layer by layer.

    Parameters
    ----------
    net : the network
    x : (d,) inputs
    y : (l,) targets, a number if l = 1, or a class number with softmax outputs
    loss : as for ``train``

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    The worked example, a 2-2-2 network computed by hand:

    >>> import bpjit
    >>> net = bpjit.Network.from_arrays(
    ...     [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35, -0.35], [-0.60, -0.60]])
    >>> sample = bpjit.lay_open(net, [0.05, 0.10], [0.01, 0.99])
    >>> hidden, output = sample.layers
    >>> hidden.outputs.round(6).tolist(), output.gradient_terms.round(6).tolist(), round(sample.error, 6)
    ([0.59327, 0.596884], [-0.138499, 0.038098], 0.298371)
    """
    net = as_network(net)
    loss = as_loss(loss, net)
    D = as_samples(net, [x], [y], loss, names=("x", "y"))
    return lay_open_at(net, net._vector, D.X[0], D.Y[0], loss, 0)


def lay_open_at(net: Network, vector: np.ndarray, x: np.ndarray, y: np.ndarray, loss: str, number: int) -> LaidOpen:
    """As ``lay_open``, for a sample ready for the kernels and a network with these parameters."""
    layers, u = net._layers, net._units()
    terms.forward(layers, vector, x, u)
    error = terms.errors(layers, LOSS_CODES[loss], y, u)
    terms.backward(layers, vector, u)
    # Softmax has written over its net inputs, and what comes back stands nowhere: once more, with all slopes 1.
    above = u._replace(slope=np.ones_like(u.slope), g=u.g.copy())
    for index in range(1, len(layers)):
        terms.backward(layers[index - 1 : index + 1], vector, above)
    terms.net_inputs(layers, vector, u)
    bare, sums = vector.copy(), u._replace(z=np.zeros_like(u.z))
    for _, thresholds in views(bare, net.sizes):
        thresholds[...] = 0
    terms.net_inputs(layers, bare, sums)
    records = tuple(
        layer_of(net, index, vector, u, sums.z, above.g if index + 1 < len(layers) else None)
        for index in range(len(layers))
    )
    return LaidOpen(number, x, y, loss, float(error), records)


def layer_of(
    net: Network, index: int, vector: np.ndarray, u: Units, sums: np.ndarray, backs: np.ndarray | None
) -> Layer:
    """The record of one layer from the arrays of all units."""
    layer, (weights, thresholds) = net._layers[index], views(vector, net.sizes)[index]
    below = slice(int(layer["below"]), int(layer["below"] + layer["fan_in"]))
    here = slice(int(layer["here"]), int(layer["here"] + layer["fan_out"]))
    return Layer(
        number=index + 1,
        activation=net._activations[index],
        inputs=u.b[below].copy(),
        weights=weights.copy(),
        thresholds=thresholds.copy(),
        sums=sums[here].copy(),
        net_inputs=u.z[here].copy(),
        outputs=u.b[here].copy(),
        slopes=None if layer["activation"] == SOFTMAX else u.slope[here].copy(),
        backs=None if backs is None else backs[here].copy(),
        gradient_terms=u.g[here].copy(),
    )
