"""The chain rule layer by layer, in the notation of the visual text: C = Σ (a(L) − y)², a = f(pa), pa = a(L−1)·W + b.

It is ``lay_open`` of one sample in other words: ∂C/∂pa = −2 g. The text's cost has no ½, and its neurons have biases
where the book's have thresholds, b = −θ. So, with ``bpjit.gradient`` of the squared error, ∂C/∂W = 2 ∂E/∂W and
∂C/∂b = −2 ∂E/∂θ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..common.arguments import as_array
from ..networks.evaluation import as_network
from ..networks.network import Network
from .opening import lay_open


@dataclass(frozen=True)
class LayerSlopes:
    """One layer of p inputs and q units: what it computed, and the partial derivatives of the cost C.

    Attributes
    ----------
    below : a(L−1), its inputs, [shape: (p,)]
    W, b : weights, [shape: (p, q)], and biases, [shape: (q,)]
    pa, a : net inputs a(L−1)·W + b and outputs f(pa), [shape: (q,)]
    dC_da, dC_dpa : ∂C/∂a(L) and ∂C/∂pa(L) = ∂C/∂a(L) f'(pa), [shape: (q,)]
    dC_dW, dC_db : ∂C/∂W(L) = a(L−1)ᵀ ∂C/∂pa(L), [shape: (p, q)], and ∂C/∂b(L) = ∂C/∂pa(L), [shape: (q,)]
    dC_dbelow : ∂C/∂a(L−1) = ∂C/∂pa(L)·Wᵀ, [shape: (p,)], with which the layer below goes on
    """

    below: np.ndarray
    W: np.ndarray
    b: np.ndarray
    pa: np.ndarray
    a: np.ndarray
    dC_da: np.ndarray
    dC_dpa: np.ndarray
    dC_dW: np.ndarray
    dC_db: np.ndarray
    dC_dbelow: np.ndarray


@dataclass(frozen=True)
class ChainRule:
    """The cost of one sample and its partial derivatives, layer by layer from the first to the last."""

    cost: float
    layers: tuple[LayerSlopes, ...]

    @property
    def gradient(self) -> np.ndarray:
        """∂C/∂(weights and biases), layer by layer: W row by row, then b, [shape: (n,)]."""
        return np.concatenate([part for layer in self.layers for part in (layer.dC_dW.ravel(), layer.dC_db)])


def chain_rule(net: Network, x: Any, y: Any) -> ChainRule:
    """Every factor of the chain rule for one sample, in the notation of the visual text.

    Parameters
    ----------
    net : a network with any activations that have a slope, but softmax
    x : (d,) inputs
    y : (l,) targets

    Returns
    -------
    ChainRule: the cost C = Σ (a(L) − y)², and for each layer a(L−1), pa, a and the partial derivatives of C

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays([[[0.5], [-1.0]]], [[0.25]], output="identity")
    >>> chain = bpjit.chain_rule(net, [2.0, 1.0], [1.0])
    >>> layer = chain.layers[-1]
    >>> layer.pa, layer.dC_da, layer.dC_db
    (array([-0.25]), array([-2.5]), array([-2.5]))
    >>> layer.dC_dW.ravel(), 2 * bpjit.gradient(net, [[2.0, 1.0]], [[1.0]])[:2]
    (array([-5. , -2.5]), array([-5. , -2.5]))
    """
    net = as_network(net)
    if net.output == "softmax":
        raise ValueError("net: a softmax unit is no a = f(pa) of its own net input alone; expected other outputs")
    expected = f"{net.sizes[0]} finite numbers, one sample"
    x = as_array("x", x, np.dtype(np.float64), expected)
    if x.shape != net.sizes[:1]:
        raise ValueError(f"x: expected {expected}, got shape {x.shape}")
    kind = replace(net._architecture, dtype=np.dtype(np.float64))
    opened = lay_open(Network._of(kind, net.parameters.astype(np.float64)), x, y, "squared")
    layers: list[LayerSlopes] = []
    dC_dbelow = 2 * (opened.layers[-1].outputs - opened.y)
    for layer in reversed(opened.layers):
        dC_da, dC_dpa = dC_dbelow, -2 * layer.gradient_terms
        dC_dbelow = layer.weights @ dC_dpa
        known = layer.inputs, layer.weights, -layer.thresholds, layer.net_inputs, layer.outputs
        slopes = dC_da, dC_dpa, np.outer(layer.inputs, dC_dpa), dC_dpa.copy(), dC_dbelow
        layers.insert(0, LayerSlopes(*known, *slopes))
    return ChainRule(2 * opened.error, tuple(layers))
