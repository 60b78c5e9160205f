"""Gradient descent and ascent on a plain function of n variables: start somewhere, take the gradient, step against it,
repeat. Two of the texts explain it so, one on Himmelblau's surface, one on a neuron that multiplies.

The gradient comes from the caller, from a computational graph, or from differences. A rule turns it into a step, the
same rules as in training: the gradient is a compass, the rule the wheel and the throttle.
"""

from .descending import Path, draw, maximise, minimise, nudge
from .differences import Derivative, derivative, numerical_gradient
from .functions import Function, hill, himmelblau, multiplying_neuron

__all__ = [
    "Derivative",
    "Function",
    "Path",
    "derivative",
    "draw",
    "hill",
    "himmelblau",
    "maximise",
    "minimise",
    "multiplying_neuron",
    "nudge",
    "numerical_gradient",
]
