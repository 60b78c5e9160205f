"""Names of formulas of the user's own: each stands wherever the name of a built-in one may stand, and brings its tape.

``own`` makes them; kernels, networks and settings read them.
"""

from __future__ import annotations

from typing import Any

from .tape import Tape


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
        return self.partition("#")[0]


KNOWN: dict[str, Own] = {}  # all that were made in this process, or came out of a pickle, by themselves


def find(role: str, name: Any) -> Own | None:
    """The formula of the user's own that ``name`` is, or names in full."""
    found = name if isinstance(name, Own) else KNOWN.get(name) if isinstance(name, str) else None
    return found if found is not None and found.role == role else None
