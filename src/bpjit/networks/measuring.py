"""The error of a network on data and its gradient, for users: of data in memory, mapped there, or in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.arguments import quiet
from ..kernels.devices import lies_on_gpu
from ..kernels.state import Samples, Wishes
from .evaluation import as_lam, as_loss, as_network, as_samples, evaluate, gradient_of, measure, objective_of, present
from .network import Network
from .source import brought, large_samples


@quiet
def error(
    net: Network,
    X: Any,
    Y: Any = None,
    *,
    loss: str | None = None,
    lam: float | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    missing: str | None = None,
) -> float:
    """E = Σ_k c_k E_k / Σ_k c_k of a network on data; with ``lam`` the book's objective λ E + (1 − λ) Σ w².

    Parameters
    ----------
    net : the network
    X : (m, d) inputs, also memory-mapped ones; or blocks (X, Y), or a Dask array, as for ``train``
    Y : (m, l) targets, (m,) if l = 1, or class numbers (m,) with softmax outputs; frames as for ``train``
    loss : "squared" ½Σ(ŷ−y)², "absolute" Σ|ŷ−y|, "huber" (δ = 1) or "cross_entropy", each summed over the outputs;
        None is cross_entropy for softmax outputs and squared otherwise
    lam : the book's λ, in (0, 1), or None
    sample_weight : (m,) weights c_k ≥ 0; a sample of weight 0 is absent, and its row may hold NaN
    class_weight : {class number: weight} or "balanced", as in scikit-learn
    missing : "ignore" takes NaN in Y for a target that is not known: its output counts for the others only, with 0 for
        its share of E_k and for its g_j. A sample none of whose targets is known is absent. None refuses NaN

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    The error of S1's worked example, a 2-2-2 network computed by hand:

    >>> import bpjit
    >>> net = bpjit.Network.from_arrays(
    ...     [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35, -0.35], [-0.60, -0.60]])
    >>> round(bpjit.error(net, [[0.05, 0.10]], [[0.01, 0.99]]), 9)
    0.298371109
    """
    net = as_network(net, slopes=False)
    loss, lams = as_loss(loss, net, missing), as_lam(lam)
    weights = sample_weight, class_weight
    D = as_samples(net, X, Y, loss, *weights) if lies_on_gpu(X) else large_samples(net, X, Y, loss, weights)
    if D is None:
        value = _measure_in_blocks(net, X, Y, loss, sample_weight, class_weight)
    else:
        value = measure(net, net._parameters, D, loss)
    return objective_of(value, net._parameters, lams)


def _measure_in_blocks(net: Network, X: Any, Y: Any, loss: str, sample_weight: Any, class_weight: Any) -> float:
    """As ``measure``, of data as they came; inputs are brought into the network's units some at a time."""
    architecture = net._architecture
    X, rows, Y, c = present(net, X, Y, loss, sample_weight, class_weight, ("X", "Y", "sample_weight"))
    c, total = c.astype(net.dtype), np.zeros(2, net.dtype)
    for part in architecture.blocks(X) if rows is None else architecture.parts(len(rows)):
        inputs = architecture.in_units("X", X, part if rows is None else rows[part])
        D = Samples(inputs, Y[part], c[part], np.empty(0, np.uint64))
        evaluate(net, net._parameters, D, loss, Wishes(errors=True), total=total)
    return float(total[0] / net.dtype.type(len(c)))


@quiet
def gradient(
    net: Network,
    X: Any,
    Y: Any = None,
    *,
    loss: str | None = None,
    lam: float | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    missing: str | None = None,
) -> np.ndarray:
    """∂E/∂p by all parameters, in the order of ``net.parameters``, [shape: (n,)]; with ``lam`` that of the objective.

    Arguments as for ``error``. Descent goes against it: one accumulated update of plain BP is p − η · gradient.

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    >>> bpjit.gradient(net, [[3.0]], [[4.0]])          # ŷ = 5, g = −1: ∂E/∂w = −g x, ∂E/∂θ = g
    array([ 3., -1.])
    """
    net = as_network(net)
    loss, lams = as_loss(loss, net, missing), as_lam(lam)
    D = brought(net, X, Y, loss, (sample_weight, class_weight))
    return gradient_of(net, net._parameters, D, loss, lams)
