"""What a descent walks on and how it steps: a function with its gradient, checked and in one form, and a rule with its
state. The loop stands in ``descending.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_choice, as_real, describe
from ..graph.expression import Expression
from ..settings.rules import SGD, Rule, as_rule
from .differences import numerical_gradient
from .functions import Function

UPDATES = AT_ONCE, ONE_AFTER_ANOTHER = "at once", "one after another"


class Walk:
    """A function to walk on: its start, value and gradient checked and in one form, and the rule that steps."""

    def __init__(self, f: Any, start: Any, gradient: Any, rule: str | Rule, eta: float | None, updates: str) -> None:
        self.f = f
        self.start = as_array("start", start, np.dtype(np.float64), "one number or several, a point").ravel().copy()
        n = len(self.start)
        self.variables: tuple[str, ...]
        if isinstance(f, (Expression, Function)):
            self.variables = f.variables
            if len(self.variables) != n:
                raise ValueError(
                    f"start: expected {len(self.variables)} numbers, for {', '.join(f.variables)}, got {n}"
                )
        elif callable(f):
            self.variables = tuple(f"x{i + 1}" for i in range(n)) if n > 1 else ("x",)
        else:
            raise TypeError(f"f: expected a function of {n} numbers or a graph's expression, got {describe(f)}")
        self._gradient = self._as_gradient(gradient)
        self.rule = as_rule(rule)
        self.updates = as_choice("updates", updates, UPDATES)
        if self.updates != AT_ONCE and not isinstance(self.rule, SGD):
            raise ValueError(f'updates: "{updates}" goes with the rule "sgd", got "{self.rule.name}"')
        if eta is not None and self.rule.default_eta is None:
            raise ValueError(f"eta: {type(self.rule).__name__} has no learning rate; leave eta out")
        self.eta = (self.rule.default_eta or 0.0) if eta is None else as_real("eta", eta, above=0)

    def _as_gradient(self, gradient: Any) -> Callable[[np.ndarray], Any]:
        if isinstance(gradient, str):
            as_choice("gradient", gradient, ("graph", "numerical"))
        if gradient == "graph" and not isinstance(self.f, Expression):
            raise ValueError(f'gradient: "graph" needs an expression of bpjit.graph for f, got {describe(self.f)}')
        if gradient == "numerical":
            return lambda point: numerical_gradient(self.call, point)
        if gradient is None and isinstance(self.f, Function):
            return lambda point: self.f.gradient(*point)
        if gradient == "graph" or (gradient is None and isinstance(self.f, Expression)):
            program = self.f.program
            return lambda point: program.reverse(program.evaluate(point)[1])[: len(point)]
        if gradient is None:
            return lambda point: numerical_gradient(self.call, point)
        if callable(gradient):
            return lambda point: gradient(*point)
        raise TypeError(f'gradient: expected a function, "graph", "numerical" or None, got {describe(gradient)}')

    def call(self, *point: Any) -> Any:
        """f(x, y, ...)."""
        if isinstance(self.f, Expression):
            program = self.f.program
            return program.evaluate(point)[0][program.root]
        return self.f(*point)

    def value(self, point: np.ndarray) -> float:
        """f at a point; NaN where it overflows."""
        with np.errstate(all="ignore"):
            try:
                return _as_float(self.call(*point))
            except ArithmeticError:
                return np.nan

    def gradient(self, point: np.ndarray) -> np.ndarray:
        """The gradient at a point, [shape: (n,)]; NaN where it overflows."""
        with np.errstate(all="ignore"):
            try:
                slopes = np.asarray(self._gradient(point), np.float64).reshape(-1)
            except ArithmeticError:
                return np.full(len(point), np.nan)
        if len(slopes) != len(point):
            raise ValueError(f"gradient: expected {len(point)} numbers, one for each variable, got {len(slopes)}")
        return slopes


class Stepper:
    """A rule with its state, one of each variable, as the kernels of training keep it."""

    def __init__(self, walk: Walk, direction: float) -> None:
        """``direction`` is 1 for upwards, −1 for downwards."""
        self.walk, self.direction = walk, direction
        self.rule, self.eta = walk.rule, np.float64(walk.eta)
        self.settings = tuple(map(np.float64, self.rule.constants()))
        self.state = self.rule.start(len(walk.start), 0)[: self.rule.slots]
        self.shared = (np.float64(0.0),) * self.rule.shares
        self.last = -np.inf  # f where it is to grow, −f where it is to fall

    def step(self, point: np.ndarray, slope: np.ndarray, value: float) -> np.ndarray:
        """The next point, from where f has this gradient and this value."""
        point, rule = point.copy(), self.rule
        with np.errstate(all="ignore"):
            if rule.ahead is not None:
                slope = self.walk.gradient(rule.ahead(point, self.state, self.settings))
            fell, self.last = self.direction * value < self.last, self.direction * value
            self.shared = rule.prepare(self.shared, self.settings, np.float64(fell))
            for i in range(len(point)):
                if i and self.walk.updates != AT_ONCE:
                    slope = self.walk.gradient(point)
                g, state = self.direction * slope[i], tuple(self.state[:, i])
                point[i], self.state[:, i] = rule.step(point[i], g, state, self.eta, self.settings, self.shared)
        return point


def _as_float(value: Any) -> float:
    """What f gave; NaN and infinity pass."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"f: expected a function that gives one number, got {describe(value)}") from None
