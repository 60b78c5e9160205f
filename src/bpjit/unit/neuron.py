"""A neuron with weights and a threshold, the gates that it can be, and the perceptron's learning rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_choice, as_inputs, as_integer, as_real
from ..common.plain import printable
from ..maths import formulas
from ..networks.architecture import HIDDEN_ACTIVATIONS, as_formula
from ..networks.network import Network

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The inputs of a truth table with two inputs, in the order of ``TRUTH_TABLES``."""

TRUTH_TABLES: dict[str, tuple[int, ...]] = {
    "AND": (0, 0, 0, 1),
    "OR": (0, 1, 1, 1),
    "NAND": (1, 1, 1, 0),
    "NOR": (1, 0, 0, 0),
    "XOR": (0, 1, 1, 0),
    "XNOR": (1, 0, 0, 1),
}

GATES: dict[str, tuple[tuple[float, ...], float]] = {
    "AND": ((1.0, 1.0), 1.5),
    "OR": ((1.0, 1.0), 0.5),
    "NAND": ((-1.0, -1.0), -1.5),
    "NOR": ((-1.0, -1.0), -0.5),
    "NOT": ((-1.0,), -0.5),
}
"""Weights and threshold of a functional unit for each gate that one unit can be."""


class Unit:
    """One neuron: f(Σ_i w_i x_i − θ).

    Parameters
    ----------
    weights : w_i, one for each input
    threshold : θ; a bias is −θ
    activation : "step" (1 where the net input is ≥ 0, else 0), or any other of a network's activations but softmax

    Examples
    --------
    >>> import bpjit
    >>> bpjit.Unit([1, 1], 1.5).predict(bpjit.unit.CORNERS)
    array([0., 0., 0., 1.])

    The chapter's example: a sigmoid unit answers weight 71 and height 178 with probability 0.87 of one class, which
    leaves an absolute error of 0.13 where 1 is right. It prints no weights; these, ours, give its numbers.

    >>> neuron = bpjit.Unit([0.04, 0.06], 11.62, "sigmoid")
    >>> print(f"{neuron.predict([71, 178]):.2f}, {bpjit.error(neuron.network, [[71, 178]], [1], loss='absolute'):.2f}")
    0.87, 0.13
    """

    def __init__(self, weights: Any, threshold: float = 0.0, activation: str = "step") -> None:
        w = as_array("weights", weights, np.dtype(np.float64), "finite numbers, one for each input")
        if w.ndim != 1:
            raise ValueError(f"weights: expected finite numbers, one for each input, got shape {w.shape}")
        activation = as_formula("activation", "activation", activation, HIDDEN_ACTIVATIONS)
        self._network = Network.from_arrays([w[:, None]], [[as_real("threshold", threshold)]], output=activation)

    @classmethod
    def gate(cls, name: str) -> Unit:
        """The functional unit that is a logic gate: "AND", "OR", "NAND", "NOR" or "NOT".

        Examples
        --------
        >>> import bpjit
        >>> bpjit.Unit.gate("OR").predict(bpjit.unit.CORNERS)
        array([0., 1., 1., 1.])
        """
        if name in TRUTH_TABLES and name not in GATES:
            raise ValueError(
                f'name: no single functional unit is "{name}", as unit.separate proves; two layers are, such '
                "as unit.xor_network()"
            )
        return cls(*GATES[as_choice("name", name, tuple(GATES))])

    @property
    def weights(self) -> np.ndarray:
        """w_i, [shape: (d,)], read-only."""
        return self._network.weights[0][:, 0]

    @property
    def threshold(self) -> float:
        """θ."""
        return float(self._network.thresholds[0][0])

    @property
    def bias(self) -> float:
        """b = −θ."""
        return -self.threshold

    @property
    def activation(self) -> str:
        """The name of f."""
        return self._network.output

    @property
    def network(self) -> Network:
        """The same unit as a network without hidden layers, which ``bpjit.train`` can train unless f is the step."""
        return self._network

    def net_input(self, X: Any) -> Any:
        """Σ_i w_i x_i − θ, the visual text's pa, [shape: (m,)], for inputs X, (m, d); one number for a single (d,)."""
        return Network.from_arrays(self._network.weights, self._network.thresholds, output="identity").predict(X)[
            ..., 0
        ]

    def predict(self, X: Any) -> Any:
        """The outputs, [shape: (m,)], for inputs X, (m, d); one number for a single input (d,)."""
        return self._network.predict(X)[..., 0]

    def learn(self, X: Any, Y: Any, *, eta: float = 1.0, epochs: int = 1000) -> Learning:
        """The perceptron's learning rule: Δw_i = η (y − ŷ) x_i and Δθ = −η (y − ŷ), sample after sample.

        It ends when an epoch makes no mistake, which it reaches for any data that one line (plane) separates; when an
        epoch begins with the very parameters that an earlier one began with, and so will go round for ever; or after
        ``epochs``. The unit itself stays as it is.

        Parameters
        ----------
        X : (m, d) inputs
        Y : (m,) targets, 0 or 1
        eta : learning rate η

        Raises
        ------
        ValueError : a unit with a slope: train its ``network`` with ``bpjit.train``

        Examples
        --------
        >>> import bpjit
        >>> from bpjit.unit import CORNERS, TRUTH_TABLES
        >>> print(bpjit.Unit([0, 0]).learn(CORNERS, TRUTH_TABLES["AND"]))
        no mistakes in epoch 6: weights 2, 1, threshold 3, after 11 updates
        >>> print(bpjit.Unit([0, 0]).learn(CORNERS, TRUTH_TABLES["XOR"]))
        goes round for ever: epoch 4 began as epoch 3 did; 4 mistakes in each
        """
        if self.activation != "step":
            raise ValueError(
                f'activation: the perceptron\'s rule needs "step", got "{self.activation}"; train .network'
            )
        X = as_inputs("X", X, len(self.weights), np.dtype(np.float64))
        Y = as_labels("Y", Y, len(X))
        eta, epochs = as_real("eta", eta, above=0), as_integer("epochs", epochs, low=1)
        w, theta, mistakes = self.weights.copy(), self.threshold, list[int]()
        began: dict[bytes, int] = {}
        while len(mistakes) < epochs:
            start = np.append(w, theta).tobytes()
            if start in began:
                return Learning(Unit(w, theta), np.array(mistakes), "cycle", began[start])
            began[start] = len(mistakes) + 1
            mistakes.append(0)
            for x, y in zip(X, Y, strict=True):
                y_hat, _ = formulas.step(np.float64(x @ w - theta))
                g = y - y_hat
                if g != 0:
                    mistakes[-1] += 1
                    w, theta = formulas.weight_update(w, eta, g, x), formulas.threshold_update(theta, eta, g)
            if mistakes[-1] == 0:
                return Learning(Unit(w, theta), np.array(mistakes), "converged", 0)
        return Learning(Unit(w, theta), np.array(mistakes), "epochs", 0)

    def __repr__(self) -> str:
        weights = ", ".join(f"{w:g}" for w in self.weights)
        return f"Unit(weights [{weights}], threshold {self.threshold:g}, {self.activation})"


@dataclass(frozen=True)
class Learning:
    """What came of the perceptron's learning rule.

    Attributes
    ----------
    unit : the unit as it is in the end
    mistakes : how many samples each epoch got wrong, and so how often it changed the unit, [shape: (epochs,)]
    stopped_by : "converged" (the last epoch made no mistake), "cycle" (the next epoch would begin as an earlier one
        did, so no epoch will ever be free of mistakes), or "epochs"
    cycle : that earlier epoch, counted from 1; 0 without a cycle
    """

    unit: Unit
    mistakes: np.ndarray
    stopped_by: str
    cycle: int

    @property
    def converged(self) -> bool:
        """Whether the unit separates the data."""
        return self.stopped_by == "converged"

    @property
    def epochs(self) -> int:
        """How many passes over the data there were, the last one without mistakes included."""
        return len(self.mistakes)

    @property
    def updates(self) -> int:
        """How often the unit changed."""
        return int(self.mistakes.sum())

    @printable
    def __str__(self) -> str:
        if self.converged:
            weights = ", ".join(f"{w:g}" for w in self.unit.weights)
            return (
                f"no mistakes in epoch {self.epochs}: weights {weights}, threshold {self.unit.threshold:g}, "
                f"after {self.updates} updates"
            )
        if self.stopped_by == "cycle":
            return (
                f"goes round for ever: epoch {self.epochs + 1} began as epoch {self.cycle} did; "
                f"{self.mistakes[self.cycle - 1 :].min()} mistakes in each"
            )
        return f"{self.mistakes[-1]} mistakes in the last of {self.epochs} epochs"


def as_labels(name: str, value: Any, m: int) -> np.ndarray:
    """Classes of m samples, 0 or 1, [shape: (m,)]."""
    expected = f"{m} numbers, each 0 or 1"
    Y = as_array(name, value, np.dtype(np.float64), expected)
    if Y.shape == (m, 1):
        Y = Y[:, 0]
    if Y.shape != (m,):
        raise ValueError(f"{name}: expected {expected}, got shape {Y.shape}")
    if not np.isin(Y, (0, 1)).all():
        raise ValueError(f"{name}: expected {expected}, got {Y[~np.isin(Y, (0, 1))][0]:g}")
    return Y


def xor_network() -> Network:
    """Two layers of functional units that compute XOR: an OR and a NAND unit below an AND unit.

    Examples
    --------
    >>> from bpjit import unit
    >>> unit.xor_network().classify(unit.CORNERS)
    array([0, 1, 1, 0])
    """
    below, above = [Unit.gate("OR"), Unit.gate("NAND")], Unit.gate("AND")
    return Network.from_arrays(
        [np.stack([gate.weights for gate in below], axis=1), above.weights[:, None]],
        [[gate.threshold for gate in below], [above.threshold]],
        hidden="step",
        output="step",
    )
