"""Functions to go down and up on, from the texts: Himmelblau's, the multiplying neuron, a hill. Each knows its gradient
and what there is to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Function:
    """A function of a few variables with its gradient; it takes numbers, or arrays of them.

    Attributes
    ----------
    name : its name
    variables : what its variables are called
    formula : what it computes, in words of Python
    minima, maxima : where they are, as far as there are any
    limits : (low, high) of each variable, for a picture that shows what matters
    """

    name: str
    variables: tuple[str, ...]
    formula: str
    value: Callable[..., Any]
    slopes: Callable[..., tuple[Any, ...]]
    minima: Points = ()
    maxima: Points = ()
    limits: Points = ()

    def __call__(self, *point: Any) -> Any:
        """The value at a point, given as so many numbers."""
        return self.value(*point)

    def gradient(self, *point: Any) -> np.ndarray:
        """The partial derivatives at a point, [shape: (n,)]."""
        return np.array(self.slopes(*point))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.variables)}) = {self.formula}"


himmelblau = Function(
    "himmelblau",
    ("x", "y"),
    "(x² + y − 11)² + (x + y² − 7)²",
    lambda x, y: (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2,
    lambda x, y: (
        4 * x * (x * x + y - 11) + 2 * (x + y * y - 7),
        2 * (x * x + y - 11) + 4 * y * (x + y * y - 7),
    ),
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644034),
    ),
    maxima=((-0.2708445906673476, -0.9230385564799815),),
    limits=((-6.0, 6.0), (-6.0, 6.0)),
)

multiplying_neuron = Function(
    "multiplying_neuron",
    ("a", "b"),
    "a b",
    lambda a, b: a * b,
    lambda a, b: (b, a),
    limits=((-8.0, 8.0), (-8.0, 8.0)),
)

hill = Function(
    "hill",
    ("x",),
    "3 − (x − 2)²",
    lambda x: 3 - (x - 2) ** 2,
    lambda x: (-2 * (x - 2),),
    maxima=((2.0,),),
    limits=((-1.0, 5.0),),
)
