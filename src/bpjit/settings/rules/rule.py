"""What every update rule has: its formula, its settings, its state, and what it prepares for an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

SLOTS = 3  # numbers that a rule may keep for each parameter
SHARED = 2  # and for all parameters together
SETTINGS = 5  # settings that it may have


class Shown(NamedTuple):
    """How a rule is shown, in LaTeX; D is the direction of descent."""

    letters: str  # the whole rule
    states: tuple[tuple[str, bool], ...] = ()  # what it remembers; whether that turns its sign with the parameter
    delta: str = ""  # Δ with {D}, {eta}, the settings c0, c1 ... and the states before (old0) and after (new0)


@dataclass(frozen=True)
class Rule:
    """An update rule: a formula that every machine runs, and the settings of one of its uses.

    Kernels call the formulas below with numbers of any kind (floats, vectors, floats of a CUDA thread), so these are
    written with ``maths.formulas`` alone. ``settings`` are what ``constants`` gives; ``state`` has a number for each of
    the ``slots``, ``shared`` for each that all parameters share.
    """

    code: ClassVar[int]  # its number, for kernels
    name: ClassVar[str]
    shown: ClassVar[Shown]
    default_eta: ClassVar[float | None]  # ``rates`` starts from it; None for a rule without a rate
    accumulated_only: ClassVar[bool] = False  # it compares one gradient with the last, so it needs that of all samples
    slots: ClassVar[int] = 0  # numbers of state for each parameter, SLOTS at most
    shares: ClassVar[int] = 0  # numbers that all parameters share, SHARED at most; they start at 0
    plain: ClassVar[bool] = False  # w + η g: where each sample is an update of all parameters, this is standard BP
    compares: ClassVar[bool] = False  # ``prepare`` wants to know whether the objective rose
    squares: ClassVar[bool] = False  # it keeps squares of gradients, and no η |g| bounds its steps
    ahead: ClassVar[Callable[..., Any] | None] = None  # (w, state, settings): where it takes its gradient, if not at w

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        """(the new w, the new state) of a parameter whose direction of descent is g = −∂E/∂w: w + η g is the book's."""
        raise NotImplementedError

    @staticmethod
    def prepare(shared: Any, settings: Any, rose: Any) -> Any:
        """What the parameters share, anew for each update; ``rose`` is 1 where the objective rose since the last."""
        return shared

    @staticmethod
    def longest(eta_g: Any, last: Any, settings: Any) -> Any:
        """The longest step that may come where η |g| is at most ``eta_g`` and the last step was at most ``last``."""
        return eta_g

    def constants(self) -> tuple[float, ...]:
        """The settings in the order in which the formulas read them, SETTINGS at most."""
        return ()

    def held(self) -> list[tuple[str, float, float | None]]:
        """The settings that kernels hold as numbers of the network's dtype: name, value, and what that must not become
        there. A β near 1 is none: they hold 1 − β."""
        return []

    def start(self, n: int, seed: int) -> np.ndarray:
        """The state before the first update, [shape: (SLOTS, n)]."""
        return np.zeros((SLOTS, n))


RULES: dict[str, type[Rule]] = {}
R = TypeVar("R", bound=type[Rule])


def known(rule: R) -> R:
    """Let kernels know a rule: what carries this mark is there on every machine."""
    rule.code = len(RULES)
    RULES[rule.name] = rule
    return rule
