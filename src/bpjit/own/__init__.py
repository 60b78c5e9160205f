"""Formulas of the user's own: activations, losses and rules from plain functions, recorded and derived.

>>> import bpjit
>>> from bpjit.formulas import exp
>>> logistic = bpjit.activation(lambda z: 1 / (1 + exp(-z)), name="logistic")
>>> logistic
logistic(z) = 1 / (1 + exp(-z))
>>> logistic.slope([0.0, 1e4])
array([0.25, 0.  ])
"""

from .formulas import Activation, Loss
from .registering import activation, loss
from .rules import rule

__all__ = ["Activation", "Loss", "activation", "loss", "rule"]
