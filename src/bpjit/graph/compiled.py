"""A computational graph as a function of points: the same sweeps, run by compiled code at many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_array
from .program import Node, Root


class Compiled:
    """An expression as a function of points, run by compiled code: the graph is a list of instructions, which one
    kernel, compiled once for all graphs, runs at all points side by side.

    Attributes
    ----------
    expression : what is computed
    variables : names of the variables, in the order of a point's numbers

    Examples
    --------
    >>> from bpjit import graph
    >>> a, b = graph.variables("a b")
    >>> e = ((a + b) * (b + 1)).compile(a, b)
    >>> e([[2, 1], [0, 3]])
    array([ 6., 12.])
    >>> e.gradient([2, 1])
    array([2., 5.])
    """

    def __init__(self, expression: Root, order: Sequence[str | Node] = ()) -> None:
        names = expression.variables
        chosen = tuple(expression.program.as_variable("order", name) for name in order) or names
        if sorted(chosen) != sorted(names):
            raise ValueError(f"order: expected each of {', '.join(names)} once, got {', '.join(chosen)}")
        self.expression, self.variables = expression, chosen
        self._program = expression.program
        self._places = [chosen.index(name) for name in names]

    def __call__(self, points: Any) -> Any:
        """The values, [shape: (...)], at points, [shape: (..., variables)]; a float for a single point."""
        X, shape = self._points(points)
        V, _ = self._program.run(X)
        return _shaped(V[self._program.root], shape)

    def gradient(self, points: Any) -> np.ndarray:
        """∂e/∂variable, [shape: (..., variables)], by a reverse sweep at each point."""
        X, shape = self._points(points)
        _, D = self._program.run(X, "reverse")
        return D[self._places_of_variables()].T.reshape(*shape, len(self.variables))

    def derivative(self, by: str | Node, points: Any) -> Any:
        """∂e/∂by, [shape: (...)], by a forward sweep at each point."""
        name = self._program.as_variable("by", by)
        X, shape = self._points(points)
        _, D = self._program.run(X, "forward", self._program.variables.index(name))
        return _shaped(D[self._program.root], shape)

    def derivatives(self, points: Any) -> dict[str, Any]:
        """∂e/∂node, [shape: (...)], for every node by its name, by a reverse sweep at each point."""
        X, shape = self._points(points)
        _, D = self._program.run(X, "reverse")
        return {self._program.names[slot]: _shaped(D[slot], shape) for slot in self._program.shown}

    def _points(self, points: Any) -> tuple[np.ndarray, tuple[int, ...]]:
        n = len(self.variables)
        expected = f"numbers of shape (..., {n}), for {', '.join(self.variables)}"
        X = as_array("points", points, np.dtype(np.float64), expected, finite=False)
        if X.ndim == 0 or X.shape[-1] != n:
            raise ValueError(f"points: expected {expected}, got shape {X.shape}")
        return X.reshape(-1, n)[:, self._places], X.shape[:-1]

    def _places_of_variables(self) -> list[int]:
        return [self._program.variables.index(name) for name in self.variables]

    def __repr__(self) -> str:
        return f"Compiled({self.expression}, of {', '.join(self.variables)})"


def _shaped(values: np.ndarray, shape: tuple[int, ...]) -> Any:
    return values.reshape(shape) if shape else float(values[0])
