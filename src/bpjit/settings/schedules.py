"""Learning-rate schedules: η of each epoch. They count epochs from 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_integer, as_real, keep


@dataclass(frozen=True)
class Schedule:
    """What all schedules have: a first rate, which is also the largest but for ``AdaptiveRate``."""

    eta: float

    def __post_init__(self) -> None:
        keep(self, "eta", as_real("eta", self.eta, above=0))

    def rates(self, epochs: np.ndarray) -> np.ndarray:
        """η of each of these epochs."""
        return np.full(len(epochs), float(self.eta))

    def held(self) -> list[tuple[str, float, float | None]]:
        """What the network's dtype must hold, as for ``Rule.held``: rates known at the start. That a rate falls to 0 in
        the end is what schedules are for."""
        return [("eta", self.eta, None)]


@dataclass(frozen=True)
class Constant(Schedule):
    """The same η in every epoch."""


@dataclass(frozen=True)
class StepDecay(Schedule):
    """η · factor^⌊t/every⌋."""

    factor: float = 0.5
    every: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, "factor", as_real("factor", self.factor, above=0, high=1))
        keep(self, "every", as_integer("every", self.every, low=1))

    def rates(self, epochs: np.ndarray) -> np.ndarray:
        return self.eta * self.factor ** (epochs // self.every)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [*super().held(), ("eta*factor", self.eta * self.factor, None)]


@dataclass(frozen=True)
class InverseTime(Schedule):
    """η/(1 + decay · t)."""

    decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, "decay", as_real("decay", self.decay, above=0))

    def rates(self, epochs: np.ndarray) -> np.ndarray:
        return self.eta / (1.0 + self.decay * epochs)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [*super().held(), ("eta/(1 + decay)", self.eta / (1.0 + self.decay), None)]


@dataclass(frozen=True)
class Cosine(Schedule):
    """From η down to ``minimum`` along half a cosine over ``epochs`` epochs, then ``minimum``."""

    epochs: int = 1000
    minimum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, "epochs", as_integer("epochs", self.epochs, low=1))
        keep(self, "minimum", as_real("minimum", self.minimum, low=0, high=self.eta))

    def rates(self, epochs: np.ndarray) -> np.ndarray:
        share = np.minimum(epochs / self.epochs, 1.0)
        return self.minimum + 0.5 * (self.eta - self.minimum) * (1.0 + np.cos(np.pi * share))

    def held(self) -> list[tuple[str, float, float | None]]:
        return [*super().held(), ("minimum", self.minimum, None)]


@dataclass(frozen=True)
class AdaptiveRate(Schedule):
    """The changing rate of exercise 5.6 (习题 5.6): after an epoch that brought the smallest objective so far, η grows
    by ``grow``; if the objective lies by more than ``tolerance`` (4 %) above the smallest, or overflows, the epoch is
    undone and η shrinks by ``shrink``.

    The network returned is that of the smallest objective, unless EarlyStopping chooses another or TargetError ends the
    training. The objective is measured after each epoch, which costs a pass over the data. An epoch in which the error
    collected, or a parameter, is no longer finite ends the training as "diverged", as with any rate.
    """

    grow: float = 1.05
    shrink: float = 0.7
    tolerance: float = 0.04

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, "grow", as_real("grow", self.grow, low=1))
        keep(self, "shrink", as_real("shrink", self.shrink, above=0, below=1))
        keep(self, "tolerance", as_real("tolerance", self.tolerance, low=0))

    def held(self) -> list[tuple[str, float, float | None]]:
        factors = [("grow", self.grow, 1.0), ("shrink", self.shrink, 1.0)]
        return [*super().held(), *factors, ("tolerance", self.tolerance, None)]


def as_schedule(eta: Any, default: float | None, rule: str) -> Schedule:
    """The schedule that ``eta`` stands for; None is the rule's default rate."""
    if default is None:
        if eta is not None:
            raise ValueError(f'eta: rule "{rule}" has no learning rate; expected None, got {eta!r}')
        return Constant(1.0)
    if eta is None:
        return Constant(default)
    if isinstance(eta, Schedule):
        return eta
    return Constant(eta)


def check_penalty(eta: float, rest: float) -> None:
    """Refuse a rate at which the book's penalty would overshoot; ``rest`` is 1 − λ."""
    if eta * rest >= 1.0:
        raise ValueError(
            f"lam: expected eta*(1 - lam) < 1, or the penalty overshoots; got eta {eta:g} and 1 - lam = {rest:g}"
        )
