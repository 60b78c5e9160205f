"""Rules that divide each step by the size of the gradients before: adagrad, rmsprop, adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ...common.arguments import as_real, keep
from ...maths.formulas import like, moving_average, sqrt
from .rule import Rule, Shown, known


@known
@dataclass(frozen=True)
class Adagrad(Rule):
    """Steps divided by the root of the sum of all squared gradients so far: r ← r + g², w ← w + η g/(√r + ε)."""

    epsilon: float = 1e-8
    name: ClassVar[str] = "adagrad"
    shown: ClassVar[Shown] = Shown(
        r"r\leftarrow r+D^{2},\ \Delta w=\eta\,D/(\sqrt{r}+\epsilon)",
        (("r", False),),
        r"{eta}\cdot {D}/(\sqrt{{{new0}}}+{c0})",
    )
    default_eta: ClassVar[float | None] = 0.2
    slots: ClassVar[int] = 1
    squares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "epsilon", as_real("epsilon", self.epsilon, above=0))

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        epsilon = settings[0]
        r = state[0] + g * g
        return w + eta * g / (sqrt(r) + epsilon), (r,)

    def constants(self) -> tuple[float, ...]:
        return (self.epsilon,)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("epsilon", self.epsilon, None)]


@known
@dataclass(frozen=True)
class RMSProp(Rule):
    """Steps divided by the root of a moving average of squared gradients: r ← ρ r + (1−ρ) g², w ← w + η g/(√r + ε)."""

    rho: float = 0.9
    epsilon: float = 1e-8
    name: ClassVar[str] = "rmsprop"
    shown: ClassVar[Shown] = Shown(
        r"r\leftarrow\rho\,r+(1-\rho)D^{2},\ \Delta w=\eta\,D/(\sqrt{r}+\epsilon)", *Adagrad.shown[1:]
    )
    default_eta: ClassVar[float | None] = 0.01
    slots: ClassVar[int] = 1
    squares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "rho", as_real("rho", self.rho, low=0, below=1))
        keep(self, "epsilon", as_real("epsilon", self.epsilon, above=0))

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        epsilon, rest = settings
        r = moving_average(state[0], g * g, rest)
        return w + eta * g / (sqrt(r) + epsilon), (r,)

    def constants(self) -> tuple[float, ...]:
        return (self.epsilon, 1.0 - self.rho)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("epsilon", self.epsilon, None)]


@known
@dataclass(frozen=True)
class Adam(Rule):
    """Moving averages of the gradient and of its square, both corrected for their start at 0.

    w ← w + η m̂/(√r̂ + ε), with m̂ = m/(1 − β₁ᵗ) and r̂ = r/(1 − β₂ᵗ). What all parameters share are 1 − β₁ᵗ and 1 − β₂ᵗ:
    moving averages of 1.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    name: ClassVar[str] = "adam"
    shown: ClassVar[Shown] = Shown(
        r"m\leftarrow\beta_{1}\,m+(1-\beta_{1})D,\ r\leftarrow\beta_{2}\,r+(1-\beta_{2})D^{2},\ "
        r"\Delta w=\eta(m/(1-\beta_{1}^{t}))/(\sqrt{r/(1-\beta_{2}^{t})}+\epsilon)",
        (("m", True), ("r", False)),
    )
    default_eta: ClassVar[float | None] = 0.01
    slots: ClassVar[int] = 2
    shares: ClassVar[int] = 2
    squares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "beta1", as_real("beta1", self.beta1, low=0, below=1))
        keep(self, "beta2", as_real("beta2", self.beta2, low=0, below=1))
        keep(self, "epsilon", as_real("epsilon", self.epsilon, above=0))

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        epsilon, rest1, rest2 = settings
        m = moving_average(state[0], g, rest1)
        r = moving_average(state[1], g * g, rest2)
        return w + eta * (m / shared[0]) / (sqrt(r / shared[1]) + epsilon), (m, r)

    @staticmethod
    def prepare(shared: Any, settings: Any, rose: Any) -> Any:
        one = like(rose, 1)
        return moving_average(shared[0], one, settings[1]), moving_average(shared[1], one, settings[2])

    def constants(self) -> tuple[float, ...]:
        return (self.epsilon, 1.0 - self.beta1, 1.0 - self.beta2)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("epsilon", self.epsilon, None)]
