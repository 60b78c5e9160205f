"""Update rules: how a gradient term becomes a new weight. Each rule is one formula of ``maths.rule_formulas``, and
here a record of its settings.

============  =======================================  ==================================  ====================
rule          formula                                  defaults                            source
============  =======================================  ==================================  ====================
SGD           w + η g                                  η 0.1                               the book
Momentum      v ← μ v + η g, w ← w + v                 η 0.01, μ 0.9                       Rumelhart et al. 1986
Nesterov      as momentum, with g taken at w + μ v     η 0.01, μ 0.9                       Sutskever et al. 2013
Rprop         w + sign(g) Δ, Δ grown by η⁺ while the   η⁺ 1.2, η⁻ 0.5, Δ0 0.1, Δmax 50,    Igel & Hüsken 2003
              sign of g holds, cut by η⁻ when it turns  Δmin 1e-6, variant iRprop-
Quickprop     d ← d g/(g' − g), at most μ d, plus η g  η 0.1, μ 1.75                       Fahlman 1988
              where g has the sign of g' (the last g)
Adagrad       r ← r + g², w ← w + η g/(√r + ε)         η 0.01, ε 1e-8                      Duchi et al. 2011
RMSProp       r ← ρ r + (1−ρ) g², step as Adagrad      η 0.001, ρ 0.9, ε 1e-8              Hinton 2012
Adam          m ← β₁ m + (1−β₁) g, r likewise with g²  η 0.001, β₁ 0.9, β₂ 0.999, ε 1e-8   Kingma & Ba 2015
              and β₂; w + η m̂/(√r̂ + ε), m̂ = m/(1−β₁ᵗ)
============  =======================================  ==================================  ====================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..common.arguments import as_choice, as_real, describe, keep
from ..maths import random_streams, rule_formulas


@dataclass(frozen=True)
class Rule:
    """What all update rules have: a code for the kernels, a default rate, settings.

    ``default_eta`` is None for a rule without a rate. ``accumulated_only`` marks rules that compare one gradient
    with the last and so need the gradient of all samples.
    """

    code: ClassVar[int]
    name: ClassVar[str]
    default_eta: ClassVar[float | None]
    accumulated_only: ClassVar[bool] = False
    slots: ClassVar[int] = 0  # numbers of state for each parameter

    def constants(self) -> tuple[float, ...]:
        """The settings in the order in which the kernels read them."""
        return ()

    def held(self) -> list[tuple[str, float, float | None]]:
        """The settings that kernels hold as numbers of the network's dtype: name, value, and what that must not become
        there. A β near 1 is none: they hold 1 − β."""
        return []

    def start(self, n: int, seed: int) -> np.ndarray:
        """The state before the first update, [shape: (rule_formulas.SLOTS, n)]."""
        return np.zeros((rule_formulas.SLOTS, n))


@dataclass(frozen=True)
class SGD(Rule):
    """Plain gradient descent, the book's rule: w ← w + η g."""

    code: ClassVar[int] = rule_formulas.PLAIN
    name: ClassVar[str] = "sgd"
    default_eta: ClassVar[float | None] = 0.1


@dataclass(frozen=True)
class Momentum(Rule):
    """v ← μ v + η g, w ← w + v."""

    mu: float = 0.9
    code: ClassVar[int] = rule_formulas.MOMENTUM
    name: ClassVar[str] = "momentum"
    slots: ClassVar[int] = 1
    default_eta: ClassVar[float | None] = 0.01

    def __post_init__(self) -> None:
        keep(self, "mu", as_real("mu", self.mu, low=0, below=1))

    def constants(self) -> tuple[float, ...]:
        return (self.mu,)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("mu", self.mu, 1.0)]


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum with the gradient taken at w + μ v (Sutskever et al. 2013)."""

    code: ClassVar[int] = rule_formulas.NESTEROV
    name: ClassVar[str] = "nesterov"
    slots: ClassVar[int] = 1


@dataclass(frozen=True)
class Rprop(Rule):
    """Resilient propagation: only the sign of the gradient counts; every weight has a step Δ of its own.

    Parameters
    ----------
    variant : "iRprop-", "Rprop+" or "iRprop+"
    eta_plus, eta_minus : factors that grow and cut a step
    delta0 : the first step of every weight, or (low, high) to draw each from the seed of the training
    delta_max, delta_min : limits of a step
    """

    variant: str = "iRprop-"
    eta_plus: float = 1.2
    eta_minus: float = 0.5
    delta0: float | tuple[float, float] = 0.1
    delta_max: float = 50.0
    delta_min: float = 1e-6
    code: ClassVar[int] = rule_formulas.RPROP
    name: ClassVar[str] = "rprop"
    slots: ClassVar[int] = 3
    default_eta: ClassVar[float | None] = None
    accumulated_only: ClassVar[bool] = True
    VARIANTS: ClassVar[tuple[str, ...]] = ("iRprop-", "Rprop+", "iRprop+")

    def __post_init__(self) -> None:
        as_choice("variant", self.variant, self.VARIANTS)
        keep(self, "eta_plus", as_real("eta_plus", self.eta_plus, above=1))
        keep(self, "eta_minus", as_real("eta_minus", self.eta_minus, above=0, below=1))
        keep(self, "delta_min", as_real("delta_min", self.delta_min, above=0))
        keep(self, "delta_max", as_real("delta_max", self.delta_max, low=self.delta_min))
        first = self.delta0 if isinstance(self.delta0, tuple) else (self.delta0, self.delta0)
        if len(first) != 2:
            raise ValueError(f"delta0: expected a number or a pair (low, high), got {self.delta0!r}")
        low = as_real("delta0", first[0], above=0, high=self.delta_max)
        as_real("delta0", first[1], low=low, high=self.delta_max)

    def constants(self) -> tuple[float, ...]:
        return (
            self.eta_plus,
            self.eta_minus,
            self.delta_min,
            self.delta_max,
            self.VARIANTS.index(self.variant),
        )

    def held(self) -> list[tuple[str, float, float | None]]:
        first = self.delta0 if isinstance(self.delta0, tuple) else (self.delta0,)
        factors = [("eta_plus", self.eta_plus, 1.0), ("eta_minus", self.eta_minus, 1.0)]
        steps = [("delta_max", self.delta_max), ("delta_min", self.delta_min), *(("delta0", delta) for delta in first)]
        return [*factors, *((name, step, None) for name, step in steps)]

    def start(self, n: int, seed: int) -> np.ndarray:
        state = super().start(n, seed)
        if isinstance(self.delta0, tuple):
            low, high = self.delta0
            state[1] = low + (high - low) * random_streams.uniforms(seed, random_streams.FIRST_STEPS, 0, n)
        else:
            state[1] = self.delta0
        return state


@dataclass(frozen=True)
class Quickprop(Rule):
    """Fahlman's quickprop: each weight jumps to the minimum of its own parabola, growing at most μ-fold."""

    mu: float = 1.75
    code: ClassVar[int] = rule_formulas.QUICKPROP
    name: ClassVar[str] = "quickprop"
    slots: ClassVar[int] = 2
    default_eta: ClassVar[float | None] = 0.1
    accumulated_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "mu", as_real("mu", self.mu, above=0))

    def constants(self) -> tuple[float, ...]:
        return (self.mu,)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("mu", self.mu, None)]


@dataclass(frozen=True)
class Adagrad(Rule):
    """Steps divided by the root of the sum of all squared gradients so far."""

    epsilon: float = 1e-8
    code: ClassVar[int] = rule_formulas.ADAGRAD
    name: ClassVar[str] = "adagrad"
    slots: ClassVar[int] = 1
    default_eta: ClassVar[float | None] = 0.01

    def __post_init__(self) -> None:
        keep(self, "epsilon", as_real("epsilon", self.epsilon, above=0))

    def constants(self) -> tuple[float, ...]:
        return (self.epsilon,)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("epsilon", self.epsilon, None)]


@dataclass(frozen=True)
class RMSProp(Rule):
    """Steps divided by the root of a moving average of squared gradients."""

    rho: float = 0.9
    epsilon: float = 1e-8
    code: ClassVar[int] = rule_formulas.RMSPROP
    name: ClassVar[str] = "rmsprop"
    slots: ClassVar[int] = 1
    default_eta: ClassVar[float | None] = 0.001

    def __post_init__(self) -> None:
        keep(self, "rho", as_real("rho", self.rho, low=0, below=1))
        keep(self, "epsilon", as_real("epsilon", self.epsilon, above=0))

    def constants(self) -> tuple[float, ...]:
        return (self.epsilon, 1.0 - self.rho)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("epsilon", self.epsilon, None)]


@dataclass(frozen=True)
class Adam(Rule):
    """Moving averages of the gradient and of its square, both corrected for their start at 0."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    code: ClassVar[int] = rule_formulas.ADAM
    name: ClassVar[str] = "adam"
    slots: ClassVar[int] = 2
    default_eta: ClassVar[float | None] = 0.001

    def __post_init__(self) -> None:
        keep(self, "beta1", as_real("beta1", self.beta1, low=0, below=1))
        keep(self, "beta2", as_real("beta2", self.beta2, low=0, below=1))
        keep(self, "epsilon", as_real("epsilon", self.epsilon, above=0))

    def constants(self) -> tuple[float, ...]:
        return (self.epsilon, 1.0 - self.beta1, 1.0 - self.beta2)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("epsilon", self.epsilon, None)]


RULES: dict[str, type[Rule]] = {
    rule.name: rule for rule in (SGD, Momentum, Nesterov, Rprop, Quickprop, Adagrad, RMSProp, Adam)
}


def as_rule(rule: str | Rule) -> Rule:
    """The rule that ``rule`` names, with its default settings, or ``rule`` itself."""
    if isinstance(rule, Rule):
        known = RULES.get(getattr(rule, "name", ""))
        if known is None or not isinstance(rule, known) or rule.code != known.code:
            raise TypeError(
                f"rule: expected one of {', '.join(RULES)}, or one of bpjit's rules with other settings, got "
                f"{describe(rule)}; kernels know no rule of one's own"
            )
        return rule
    if isinstance(rule, type) and issubclass(rule, Rule):
        raise TypeError(f"rule: expected a name or an instance, got the class; write {rule.__name__}()")
    return RULES[as_choice("rule", rule, tuple(RULES))]()
