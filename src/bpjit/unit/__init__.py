"""The single unit: a neuron with weights and a threshold, the perceptron's learning rule, and what one such unit can
and cannot do.

A unit computes f(Σ_i w_i x_i − θ). With the step function, the pumpkin-book chapter's functional unit, it draws one
straight line through the plane: AND, OR and NOT lie on two sides of a line, XOR does not, and two layers of units do
it. The visual text writes the same neuron with a bias, a = f(pa) with pa = Σ w·x + b, and b = −θ.
"""

from .neuron import CORNERS, GATES, TRUTH_TABLES, Learning, Unit, xor_network
from .separation import Separation, draw, separate

__all__ = ["CORNERS", "GATES", "TRUTH_TABLES", "Learning", "Separation", "Unit", "draw", "separate", "xor_network"]
