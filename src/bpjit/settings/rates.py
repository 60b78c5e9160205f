"""The learning rate where none is given: chosen by rule, activations, loss and sizes of the network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any

from ..maths.formulas import REACH
from ..maths.own import Own
from .rules import SGD, Momentum, OwnRule, Rule
from .schedules import Schedule, as_schedule

MOST_FAN_IN = 10  # inputs of a unit beyond which rates fall
MOST_UNITS = 4  # units below and in a layer without limits beyond which its rate falls
LIMITED = {function.__name__ for function, ends in REACH.items() if all(map(isfinite, ends))}  # activations


def _is_limited(activation: str) -> bool:
    return all(map(isfinite, activation.reach)) if isinstance(activation, Own) else activation in LIMITED


@lru_cache(1024)  # it would be 2 % of a training of ten epochs
def default_eta(rule: Rule, sizes: tuple[int, ...], activations: tuple[str, ...], loss: str) -> float | None:
    """η for ``eta=None``, to three digits; None for a rule without a rate.

    It starts from the rule's own (``Rule.default_eta``), in which F is the largest fan-in of the network:

    ====================  ======================================================================================
    rule                  η
    ====================  ======================================================================================
    sgd                   0.1 b s
    momentum, nesterov    (1 − μ) times that of sgd
    adam, rmsprop         0.01 min(1, 10/F)
    adagrad               0.2 min(1, 10/F)
    quickprop             0.1
    rprop                 has no rate
    one of your own       what it says
    ====================  ======================================================================================

    Small slopes call for a large b: 10 where all activations are sigmoid and the loss is squared or huber, 3 where
    those of all hidden layers are, else 1. Many inputs make a step large: s is min(1, 10/F), or, where hidden
    activations have no limits (relu, leaky_relu, softplus, identity), min(1, 4/(units below + units here)) of the
    largest such layer.

    By these, a 2-4-1 network learns XOR from at least 15 of 20 starts by every rule with sigmoid, tanh, softsign and
    sin units (relu: 8 to 10): the table is in ``scripts/default_rates.py``, which measures it.

    Examples
    --------
    >>> from bpjit.settings.rules import SGD, Adam
    >>> default_eta(SGD(), (2, 4, 1), ("sigmoid", "sigmoid"), "squared")
    1.0
    >>> [default_eta(rule, (30, 4, 1), ("tanh", "identity"), "squared") for rule in (SGD(), Adam())]
    [0.0333, 0.00333]
    """
    eta = rule.default_eta
    if eta is None or isinstance(rule, OwnRule):
        return eta
    if isinstance(rule, Momentum):
        assert SGD.default_eta is not None
        eta = (1.0 - rule.mu) * SGD.default_eta
    if rule.squares:
        eta *= _for_many_inputs(sizes, ())
    elif not rule.accumulated_only:
        eta *= _for_small_slopes(activations, loss) * _for_many_inputs(sizes, activations[:-1])
    return float(f"{eta:.3g}")


def _for_many_inputs(sizes: Sequence[int], hidden: Sequence[str]) -> float:
    """How much smaller rates must be where units have many inputs, more so where these have no limits."""
    layers = zip(pairwise(sizes[:-1]), hidden, strict=False)
    free = [below + here for (below, here), name in layers if not _is_limited(name)]
    return min(1.0, MOST_UNITS / max(free) if free else MOST_FAN_IN / max(sizes[:-1]))


def _for_small_slopes(activations: Sequence[str], loss: str) -> float:
    """How much larger rates may be since a sigmoid's slope is ¼ at most."""
    *hidden, output = activations
    if any(name != "sigmoid" for name in hidden):
        return 1.0
    if output == "sigmoid" and loss.startswith(("squared", "huber")):
        return 10.0
    return 3.0 if hidden else 1.0


def schedule_for(eta: Any, rule: Rule, sizes: tuple[int, ...], activations: tuple[str, ...], loss: str) -> Schedule:
    """The schedule that ``eta`` stands for, in a network of these sizes and activations."""
    return as_schedule(eta, default_eta(rule, sizes, activations, loss) if eta is None else rule.default_eta, rule.name)
