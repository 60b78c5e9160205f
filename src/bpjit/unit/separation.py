"""Linear separability: two linear programs find either a unit that separates two classes, or a proof that none can.

The proof is a point that is a weighted mean of samples of class 1 and also of samples of class 0: no line can have it
on both sides. For XOR it is (½, ½), the middle of (0, 0) and (1, 1) and of (0, 1) and (1, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_inputs, as_numbers, describe
from ..common.plain import printable
from ..networks.network import Network
from .neuron import Unit, as_labels

CLOSE = 1e-9  # how far the two means may lie apart, relative to the spread of the data


@dataclass(frozen=True)
class Separation:
    """A functional unit that separates two classes, or the proof that there is none.

    Attributes
    ----------
    unit : the unit, None if there is none
    point : a weighted mean of the samples of either class, None if a unit separates them, [shape: (d,)]
    shares : the weights of these means, those of each class ≥ 0 with sum 1, [shape: (m,)]; None with a unit
    X, Y : the samples
    """

    unit: Unit | None
    point: np.ndarray | None
    shares: np.ndarray | None
    X: np.ndarray
    Y: np.ndarray

    @property
    def separable(self) -> bool:
        """Whether one unit can do it."""
        return self.unit is not None

    def draw(self, ax: Any = None) -> Any:
        """The points of both classes in the plane, with the separating line, or with the two means that meet.

        Needs matplotlib (``bpjit[plot]``) and two inputs; returns the axes.
        """
        if self.X.shape[1] != 2:
            raise ValueError(f"draw: expected samples with two inputs, got {self.X.shape[1]}")
        if self.unit is not None:
            from ..plot.units import draw_sides

            return draw_sides(self.unit.network, self.X, self.Y, ax)
        from ..plot.units import draw_meeting

        return draw_meeting(self, ax)

    def mean_of(self, label: int) -> str:
        """The weighted mean of one class in words, such as ``0.5·(0, 1) + 0.5·(1, 0)``."""
        if self.shares is None:
            raise ValueError("mean_of: a unit separates these samples, so no means meet")
        of_class = np.flatnonzero((label == self.Y) & (self.shares > CLOSE))
        return " + ".join(f"{self.shares[k]:.3g}·{_words(self.X[k])}" for k in of_class)

    @printable
    def __str__(self) -> str:
        if self.unit is not None:
            weights = ", ".join(f"{w:.4g}" for w in self.unit.weights)
            return f"linearly separable: weights {weights}, threshold {self.unit.threshold:.4g}"
        assert self.point is not None
        return (
            f"not linearly separable: {_words(self.point)} = {self.mean_of(1)} of class 1 "
            f"= {self.mean_of(0)} of class 0"
        )


def separate(X: Any, Y: Any) -> Separation:
    """Decide whether one functional unit can separate two classes: the unit, or the proof that there is none.

    Parameters
    ----------
    X : (m, d) samples
    Y : (m,) classes, 0 or 1

    Raises
    ------
    ValueError : the classes touch so closely that float64 cannot tell

    Examples
    --------
    >>> from bpjit import unit
    >>> print(unit.separate(unit.CORNERS, unit.TRUTH_TABLES["AND"]))
    linearly separable: weights 2, 2, threshold 3
    >>> print(unit.separate(unit.CORNERS, unit.TRUTH_TABLES["XOR"]))
    not linearly separable: (0.5, 0.5) = 0.5·(0, 1) + 0.5·(1, 0) of class 1 = 0.5·(0, 0) + 0.5·(1, 1) of class 0
    """
    numbers = as_numbers("X", X, "finite numbers of shape (m, d), one sample a row")
    if numbers.ndim != 2:
        raise ValueError(f"X: expected finite numbers of shape (m, d), one sample a row, got shape {numbers.shape}")
    X = as_inputs("X", numbers, numbers.shape[1], np.dtype(np.float64))
    Y = as_labels("Y", Y, len(X))
    middle, half = (X.max(0) + X.min(0)) / 2, (X.max(0) - X.min(0)) / 2
    half[half == 0] = 1.0
    Z = (X - middle) / half
    w, theta = _widest_gap(Z, Y)
    unit = Unit(w / half, theta + w @ (middle / half))
    if np.array_equal(unit.predict(X), Y):
        return Separation(unit, None, None, X, Y)
    shares = _meeting(Z, Y)
    if shares is None:
        raise ValueError("X: the two classes touch so closely that float64 cannot tell whether a unit separates them")
    return Separation(None, (shares * (Y == 1)) @ X, shares, X, Y)


def _widest_gap(Z: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, float]:
    """w, all |w_i| ≤ 1, and θ with the largest t such that ±(z·w − θ) ≥ t for all samples; t > 0 separates them."""
    from scipy.optimize import linprog

    m, d = Z.shape
    sign = np.where(Y == 1, 1.0, -1.0)
    A = np.hstack([-sign[:, None] * Z, sign[:, None], np.ones((m, 1))])
    bounds = [(-1.0, 1.0)] * d + [(None, None), (None, 1.0)]
    found = linprog(np.append(np.zeros(d + 1), -1.0), A_ub=A, b_ub=np.zeros(m), bounds=bounds)
    return (np.asarray(found.x[:d]), float(found.x[d])) if found.x is not None else (np.zeros(d), 0.0)


def _meeting(Z: np.ndarray, Y: np.ndarray) -> np.ndarray | None:
    """Shares ≥ 0, of sum 1 in each class, with which the means of both classes are the same point; None if there are
    none."""
    from scipy.optimize import linprog

    ones, zeros = (Y == 1).astype(float), (Y == 0).astype(float)
    A = np.vstack([((ones - zeros)[:, None] * Z).T, ones, zeros])
    b = np.append(np.zeros(Z.shape[1]), [1.0, 1.0])
    found = linprog(np.zeros(len(Z)), A_eq=A, b_eq=b, bounds=(0, None))
    if found.x is None or np.abs(A @ found.x - b).max() > CLOSE:
        return None
    return np.asarray(found.x)


def _words(point: np.ndarray) -> str:
    return f"({', '.join(f'{x:.4g}' for x in point)})"


def draw(model: Unit | Network, X: Any, Y: Any, ax: Any = None) -> Any:
    """Two classes of points in the plane, the side that a unit or a network calls 1 in grey, and the line of the unit,
    or of every unit in the network's first layer.

    Parameters
    ----------
    model : a ``Unit`` or a ``Network`` with two inputs and one output
    X : (m, 2) inputs
    Y : (m,) classes, 0 or 1
    ax : axes of matplotlib; None makes new ones

    Returns
    -------
    the axes
    """
    net = model.network if isinstance(model, Unit) else model
    if not isinstance(net, Network) or (net.sizes[0], net.sizes[-1]) != (2, 1):
        raise ValueError(f"model: expected a Unit or a Network with two inputs and one output, got {describe(model)}")
    X = as_inputs("X", X, 2, np.dtype(np.float64))
    from ..plot.units import draw_sides

    return draw_sides(net, X, as_labels("Y", Y, len(X)), ax)
