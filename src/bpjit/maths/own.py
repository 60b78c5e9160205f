"""Names of formulas of the user's own: each stands wherever the name of a built-in one may stand, and brings its tape.

``own`` makes them; kernels, networks and settings read them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import formulas
from .tape import Tape, function_of


class Own(str):
    """The name of an activation or a loss of the user's own: what it is called, with its values, and a fingerprint.

    Equal names are equal formulas, in whatever process they were made.

    Attributes
    ----------
    tape : the formula: z to (f(z), f'(z)), or (ŷ_j, y_j) to (share of E_k, −∂E_k/∂ŷ_j)
    role : "activation" or "loss"
    reach : what an activation lies within
    of_net_input : whether a loss takes the net input z_j instead of ŷ_j
    output : the activation that such a loss goes with, or None for any
    """

    tape: Tape
    role: str
    reach: tuple[float, float]
    of_net_input: bool
    output: str | None

    @property
    def called(self) -> str:
        """The name without the fingerprint."""
        return str(self).partition("#")[0]

    def __format__(self, spec: str) -> str:
        """In messages it stands without the fingerprint."""
        return format(self.called, spec)


class WhereKnown(str):
    """The name of a loss of the user's own over those targets that are known, the others being NaN."""

    loss: Own

    def __new__(cls, loss: Own) -> WhereKnown:
        made = super().__new__(cls, loss + " where known")
        made.loss = loss
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return WhereKnown, (self.loss,)


SHIPPED = {  # by the same door, but bpjit's: their names, without values, need no fingerprint
    "activation": ("elu", "silu", "gelu", "exp"),
    "loss": ("quantile", "log_cosh", "poisson"),
}


class UnknownFormula(ValueError):
    """A name in full that no formula in this process has."""


KNOWN: dict[str, Own] = {}  # all that were made in this process, or came out of a pickle, by themselves


def find(role: str, name: Any) -> Own | None:
    """The formula of the user's own that ``name`` is, or names in full."""
    found = name if isinstance(name, Own) else KNOWN.get(name) if isinstance(name, str) else None
    return found if found is not None and found.role == role else None


def activation_formula(name: str) -> Callable[[Any], Any]:
    """z to (f(z), f'(z)) of the activation of this name; softmax is none."""
    if isinstance(name, Own):
        return function_of(name.tape)
    return next(function for function in formulas.ACTIVATIONS if function.__name__ == name)


def loss_formula(name: str) -> Callable[[Any, Any], Any]:
    """(ŷ_j, y_j), or (z_j, y_j), to (share of E_k, its slope turned round) of the loss of this name; cross-entropy is
    none."""
    if isinstance(name, Own):
        return function_of(name.tape)
    return next(function for function in formulas.LOSSES if function.__name__ == name)


def is_of_net_input(loss: str) -> bool:
    """Whether a loss goes from the net input of the outputs at once to g_j."""
    return loss.of_net_input if isinstance(loss, Own) else loss == "cross_entropy"
