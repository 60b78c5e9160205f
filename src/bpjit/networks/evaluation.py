"""The error of a network on data, its gradient, and the Jacobian of its outputs; and how data become what kernels
take: targets that fit the loss, weights of mean 1, absent samples left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_real, as_weights, class_weights, describe, quiet
from ..frames import is_frame
from ..kernels import drivers
from ..kernels.devices import lies_on_gpu
from ..kernels.layout import LOSSES, code_of_loss, is_where_known, loss_as_given, where_known
from ..kernels.readable import batch
from ..kernels.state import Samples, Wishes, count_of
from ..maths import formulas
from ..maths.own import Own
from .architecture import BLOCK, as_formula
from .machines import need_cuda
from .network import Network

CALL = 1 << 24  # multiply-adds of one kernel call, about 20 ms


def as_network(net: Any, slopes: bool = True) -> Network:
    """A network, one that has ``slopes`` and so can be trained: ``net`` itself."""
    if not isinstance(net, Network):
        raise TypeError(f"net: expected a bpjit.Network, got {describe(net)}")
    if slopes and "step" in (*net.hidden, net.output):
        raise ValueError('net: the activation "step" has no slope, so it can predict but not be trained')
    return net


def named(net: Network, X: Any, Y: Any) -> Network:
    """The network with the names of its columns, where it first sees them: see ``with_names``."""
    if not is_frame(X):
        return net
    from .for_table import with_names

    return with_names(net, X, Y)


def as_loss(loss: Any, net: Network, missing: Any = None) -> str:
    """The name of the loss; None is cross-entropy for softmax outputs and squared error otherwise. Where ``missing``
    targets are to be ignored it is the loss "where known"."""
    if loss is None:
        loss = "cross_entropy" if net.output == "softmax" else "squared"
    loss = as_formula("loss", "loss", loss, LOSSES)
    if isinstance(loss, Own) and loss.output not in (None, net.output):
        raise ValueError(f'loss: {loss} goes with output="{loss.output}", the network\'s is "{net.output}"')
    if loss == "cross_entropy" and net.output not in ("sigmoid", "softmax"):
        raise ValueError(f'loss: cross_entropy goes with sigmoid or softmax outputs, the network\'s are "{net.output}"')
    if missing is not None:
        as_choice("missing", missing, ("ignore",))
        return where_known(loss)
    return loss


def as_lam(lam: Any) -> tuple[float, float]:
    """(λ, 1 − λ); None is (1, 0), no penalty."""
    if lam is None:
        return 1.0, 0.0
    value = as_real("lam", lam, above=0, below=1)
    return value, 1.0 - value


def as_samples(
    net: Network,
    X: Any,
    Y: Any,
    loss: str,
    sample_weight: Any = None,
    class_weight: Any = None,
    *,
    names: tuple[str, ...] = ("X", "Y", "sample_weight"),
) -> Samples:
    """Data in the network's units and dtype. Samples of weight 0 are left out, whatever stands in their rows, and with
    a loss "where known" those without a known target; the others keep their numbers. What lies on a GPU stays there."""
    if lies_on_gpu(X):
        return _samples_on_gpu(net, X, Y, loss, sample_weight is not None or class_weight is not None, names)
    X, rows, Y, c = present(net, X, Y, loss, sample_weight, class_weight, names)
    numbers = np.arange(len(X), dtype=np.uint64) if rows is None else rows.astype(np.uint64)
    return Samples(net._architecture.in_units(names[0], X, rows), Y, c.astype(net.dtype), numbers)


def present(
    net: Network, X: Any, Y: Any, loss: str, sample_weight: Any, class_weight: Any, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
    """Inputs as they came, [shape: (m, d)], and what ``present_targets`` gives. Without Y the targets stand in the same
    frame."""
    architecture = net._architecture
    table = None if type(X) is np.ndarray else architecture.table(names[0], X)
    if table is None:
        X = architecture.as_samples(names[0], X)
    elif Y is None and architecture.columns.outputs:  # type: ignore[union-attr]
        Y = X
    if Y is None:
        do = "bpjit.Network.for_table makes networks that find them in a frame"
        raise TypeError(f"{names[1]}: expected targets, got None; {do}")
    m = len(X) if table is None else len(table)
    rows, Y, c = present_targets(net, m, Y, loss, sample_weight, class_weight, names)
    return X if table is None else architecture.encoded(table, rows), rows, Y, c


def present_targets(
    net: Network, m: int, Y: Any, loss: str, sample_weight: Any, class_weight: Any, names: tuple[str, ...]
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The rows, among m, of the samples that are present, None for all; their targets in the network's units, and their
    weights of mean 1."""
    architecture, missing, numbers, c = net._architecture, is_where_known(loss), np.arange(m), np.ones(m)
    if architecture.columns is not None:
        class_weight = architecture.columns.class_weight(class_weight)
    if sample_weight is not None:
        c = as_weights(names[2], sample_weight, m)
        numbers = np.flatnonzero(c)
    targets = architecture.targets(names[1], Y, m, numbers if len(numbers) < m else None, missing)
    if missing:
        known = ~np.isnan(targets)
        if not known.any():
            raise ValueError(f"{names[1]}: expected a target that is known, got NaN alone")
        if not known.any(1).all():
            numbers, targets = numbers[known.any(1)], targets[known.any(1)]
    c = c[numbers] if len(numbers) < m else c
    if sample_weight is not None or class_weight is not None:
        c, present = of_mean_one(net, c.copy(), targets, class_weight, names[1])
        if not present.all():
            numbers, targets, c = numbers[present], targets[present], c[present]
    Y = architecture.scaled_targets(names[1], targets, missing)
    if loss_as_given(loss) == "cross_entropy":
        check_probabilities(names[1], Y, net.output)
    return numbers if len(numbers) < m else None, Y, c


def _samples_on_gpu(net: Network, X: Any, Y: Any, loss: str, weighted: bool, names: tuple[str, ...]) -> Samples:
    """Inputs that lie on a GPU, not copied, with their targets."""
    need_cuda()
    from ..kernels.cuda import door

    if net.scale is not None or weighted:
        raise ValueError(f"{names[0]}: data on a GPU go with networks without a scale and samples without weights")
    if is_where_known(loss):
        raise ValueError(f"{names[0]}: data on a GPU go with targets that are all known; expected missing=None")
    probabilities = loss == "cross_entropy"
    arrays, m = [], X.shape[0] if len(X.shape) == 2 else None
    for name, array, columns, low, high in (
        (names[0], X, net.sizes[0], -np.inf, np.inf),
        (names[1], Y, net.sizes[-1], 0.0 if probabilities else -np.inf, 1.0 if probabilities else np.inf),
    ):
        if lies_on_gpu(array):
            array = door.to_device(array)
            if array.dtype != net.dtype or array.shape != (m, columns) or not m:
                raise ValueError(
                    f"{name}: expected an array on the GPU of dtype {net.dtype} and shape (m, {columns}), got "
                    f"{array.dtype} and {array.shape}"
                )
            wrong = door.count_outside(array, low, high)
            if wrong:
                raise ValueError(f"{name}: expected " + ("finite numbers" if wrong == 2 else "targets from 0 to 1"))
        else:
            array = net._architecture.scaled_targets(name, net._architecture.targets(name, array, m or 0))
            if probabilities:
                check_probabilities(name, array, net.output)
            array = door.to_device(array)
        arrays.append(array)
    there, targets = arrays
    return Samples(there, targets, np.ones(m or 0, net.dtype), np.arange(m or 0, dtype=np.uint64))


def of_mean_one(
    net: Network, c: np.ndarray, targets: np.ndarray, class_weight: Any, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of mean 1 over the samples that are not absent; and which these are. A sample is absent if its weight,
    beside the largest, is 0 or too small for the network's dtype. Writes c."""
    if class_weight is not None:
        labels = net._architecture.classes_of_targets(name, targets)
        weigh_classes(c, class_weight, labels, max(2, targets.shape[1]))
    table, present = rows_of_mean_one(c.reshape(1, -1), net.dtype)
    return table[0], present[0]


def weigh_classes(c: np.ndarray, class_weight: Any, labels: np.ndarray, l: int) -> None:
    """Multiply weights of samples by those of their classes. Writes c."""
    present = c > 0
    c[present] *= class_weights("class_weight", class_weight, labels[present], l)
    if not (c > 0).any():
        raise ValueError("class_weight: expected a weight > 0 for a class that occurs, got none")


@quiet
def rows_of_mean_one(table: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """As ``of_mean_one``, for each row. Writes table."""
    table /= table.max(1, keepdims=True)
    present = table >= np.finfo(dtype).tiny
    table[~present] = 0.0
    means = [row[here].mean() for row, here in zip(table, present, strict=True)]
    return table / np.array(means)[:, None], present


def no_samples(D: Samples) -> Samples:
    """A set without samples, of the same kind."""
    return Samples(*(array[:0] for array in D))


def check_probabilities(name: str, Y: np.ndarray, output: str) -> None:
    wrong = (Y < 0) | (Y > 1)
    if wrong.any():
        raise ValueError(f"{name}: cross_entropy expects targets from 0 to 1, got {Y[wrong][0]:g}")
    if output == "softmax":
        partly = np.isnan(Y).any(1)
        if partly.any():
            raise ValueError(
                f"{name}: cross_entropy with softmax outputs expects rows that are known or all NaN, got a row of both"
            )
        wrong = np.abs(Y.sum(1) - 1.0) > 1e-3
        if wrong.any():
            raise ValueError(
                f"{name}: cross_entropy with softmax outputs expects targets that sum to 1 in each row, got a row "
                f"with sum {Y[wrong][0].sum():g}"
            )


# --- On data ready for the kernels.


def evaluate(net: Network, vector: np.ndarray, D: Samples, loss: str, wishes: Wishes, *more: Any, **named: Any) -> Any:
    return drivers.evaluate(net.sizes, net._activations, vector, D, code_of_loss(loss), wishes, *more, **named)


def measure(
    net: Network, vector: np.ndarray, D: Samples, loss: str, between: Callable[[], None] | None = None
) -> float:
    """E of a network with these parameters. ``between`` is called every few milliseconds, and may raise."""
    total = evaluate(net, vector, D, loss, Wishes(errors=True), between)
    return float(total / net.dtype.type(max(1, count_of(D))))


def objective_of(error: float, vector: np.ndarray, lam: tuple[float, float]) -> float:
    """The book's objective λ E + (1 − λ) Σ w²."""
    if lam[1] == 0.0:
        return error
    with np.errstate(over="ignore"):
        squares = float(np.sum(np.square(vector, dtype=np.float64)))
    return formulas.regularised_objective(error, squares, *lam)


def gradient_of(
    net: Network,
    vector: np.ndarray,
    D: Samples,
    loss: str,
    lam: tuple[float, float],
    between: Callable[[], None] | None = None,
) -> np.ndarray:
    """∂/∂p of the objective, [shape: (n,)]; ``between`` as for ``measure``."""
    descent = np.empty(len(vector), net.dtype)
    evaluate(net, vector, D, loss, Wishes(gradient=descent), between)
    return mean_gradient(descent, vector, D, lam)


def mean_gradient(descent: np.ndarray, vector: np.ndarray, D: Samples, lam: tuple[float, float]) -> np.ndarray:
    """∂/∂p of the objective from −Σ c_k ∂E_k/∂p."""
    dtype = vector.dtype.type
    return -formulas.regularised_descent(descent / dtype(count_of(D)), vector, dtype(lam[0]), dtype(lam[1]))


# --- For users.


@quiet
def jacobian(net: Network, X: Any, *, by: str = "parameters") -> np.ndarray:
    """The slopes of all outputs ŷ_j, for each sample.

    Parameters
    ----------
    net : the network
    X : (m, d) samples, also memory-mapped ones, or a single one of shape (d,)
    by : "parameters" for ∂ŷ_j/∂p in the order of ``net.parameters``, or "inputs" for ∂ŷ_j/∂x_i

    Returns
    -------
    (m, l, n) by parameters, (m, l, d) by inputs; without the first axis for a single sample. A network with a
    scale gives slopes in the user's units.

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays([[[2.0], [3.0]]], [[1.0]], output="identity")
    >>> bpjit.jacobian(net, [1.0, 1.0], by="inputs")
    array([[2., 3.]])
    """
    net = as_network(net)
    as_choice("by", by, ("parameters", "inputs"))
    X, single = net._architecture.input_numbers(X)
    width = net.sizes[0] if by == "inputs" else len(net._parameters)
    J, u = np.empty((len(X), net.sizes[-1], width), net.dtype), net._architecture.units()
    size = max(1, min(CALL // (len(net._parameters) * net.sizes[-1]), BLOCK // net.sizes[0]))
    if net.scale is not None:
        size = max(1, min(size, BLOCK // (net.sizes[-1] * width)))
    for first in range(0, len(X), size):
        part = slice(first, first + size)
        inputs = net._architecture.in_units("X", X, part)
        batch.jacobian(net._architecture.layers, net._parameters, inputs, by == "inputs", u, J[part])
        if net.scale is not None:
            J[part] = net.scale.unscale_slopes(J[part], by == "inputs")
    return J[0] if single else J
