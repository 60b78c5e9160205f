"""Rules whose steps are as long as the gradient: plain descent, with momentum, and with momentum that looks ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...common.arguments import as_real, keep
from .rule import Rule, Shown, known


@known
@dataclass(frozen=True)
class SGD(Rule):
    """Plain gradient descent, the book's rule: w ← w + η g."""

    name: ClassVar[str] = "sgd"
    shown: ClassVar[Shown] = Shown(r"\Delta w=\eta\,D", (), r"{eta}\cdot {D}")
    default_eta: ClassVar[float | None] = 0.1
    plain: ClassVar[bool] = True

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        return w + eta * g, state


@known
@dataclass(frozen=True)
class Momentum(Rule):
    """v ← μ v + η g, w ← w + v."""

    mu: float = 0.9
    name: ClassVar[str] = "momentum"
    shown: ClassVar[Shown] = Shown(
        r"m\leftarrow\mu\,m+\eta\,D,\ \Delta w=m", (("m", True),), r"{c0}\cdot {old0}+{eta}\cdot {D}"
    )
    default_eta: ClassVar[float | None] = 0.01
    slots: ClassVar[int] = 1

    def __post_init__(self) -> None:
        keep(self, "mu", as_real("mu", self.mu, low=0, below=1))

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        v, mu = state[0], settings[0]
        v = mu * v + eta * g
        return w + v, (v,)

    @staticmethod
    def longest(eta_g: Any, last: Any, settings: Any) -> Any:
        return eta_g + settings[0] * last

    def constants(self) -> tuple[float, ...]:
        return (self.mu,)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("mu", self.mu, 1.0)]


def _ahead(w: Any, state: Any, settings: Any) -> Any:
    """w + μ v."""
    return w + settings[0] * state[0]


@known
@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum with the gradient taken at w + μ v (Sutskever et al. 2013)."""

    name: ClassVar[str] = "nesterov"
    shown: ClassVar[Shown] = Shown(
        r"D=-\partial E/\partial w\ (w+\mu m),\ m\leftarrow\mu\,m+\eta\,D,\ \Delta w=m", *Momentum.shown[1:]
    )
    ahead: ClassVar[Any] = staticmethod(_ahead)
