"""What a descent walks on and how it steps: a function with its gradient, checked and in one form, and a rule with its
state. The loop stands in ``descending.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_choice, as_real, describe
from ..graph.expression import Expression
from ..kernels.switches import rule_step
from ..maths.formulas import select
from ..maths.rule_formulas import lookahead, moving_average, plain
from ..settings.rules import SGD, Adam, Nesterov, Rprop, Rule, as_rule
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
        self.constants = np.array(self.rule.constants(), np.float64)
        self.state = self.rule.start(len(walk.start), 0)
        self.shares = [np.float64(0.0), np.float64(0.0)]  # Adam's corrections for a start at 0
        self.best = -np.inf

    def step(self, point: np.ndarray, slope: np.ndarray, value: float) -> np.ndarray:
        """The next point, from where f has this gradient and this value."""
        point = point.copy()
        with np.errstate(all="ignore"):
            if isinstance(self.rule, SGD):
                for i in range(len(point)):
                    if i and self.walk.updates != AT_ONCE:
                        slope = self.walk.gradient(point)
                    point[i] = plain(point[i], self.direction * slope[i], self.eta)
                return point
            if isinstance(self.rule, Nesterov):
                ahead = [lookahead(w, v, self.constants[0]) for w, v in zip(point, self.state[0], strict=True)]
                slope = self.walk.gradient(np.array(ahead))
            corrections = self._corrections(self.direction * value)
            for i in range(len(point)):
                state = self.state[0, i], self.state[1, i], self.state[2, i]
                g = self.direction * slope[i]
                point[i], state = rule_step(self.rule.code, point[i], g, state, self.eta, self.constants, corrections)
                self.state[:, i] = state
        return point

    def _corrections(self, gain: float) -> tuple[Any, Any]:
        """What Adam and Rprop need anew for each step, from f where it is to grow or −f where it is to fall; see
        ``switches.prepare_rule``."""
        zero, one = np.float64(0.0), np.float64(1.0)
        if isinstance(self.rule, Adam):
            self.shares = [
                moving_average(m, one, rest) for m, rest in zip(self.shares, self.constants[1:], strict=True)
            ]
            return self.shares[0], self.shares[1]
        if isinstance(self.rule, Rprop) and self.rule.variant == "Rprop+":
            return one, zero
        if isinstance(self.rule, Rprop) and self.rule.variant == "iRprop+":
            fell, self.best = gain < self.best, gain
            return select(fell, one, zero), zero
        return zero, zero


def _as_float(value: Any) -> float:
    """What f gave; NaN and infinity pass."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"f: expected a function that gives one number, got {describe(value)}") from None
