"""Rules that compare the gradient of all samples with the last one, parameter by parameter: rprop, which heeds its sign
alone, and quickprop, which lays a parabola through both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...common.arguments import as_choice, as_real, keep
from ...maths import random_streams
from ...maths.formulas import like, select, sign
from .rule import Rule, Shown, known


@known
@dataclass(frozen=True)
class Rprop(Rule):
    """Resilient propagation: only the sign of the gradient counts; every weight has a step Δ of its own.

    Grow or cut the step Δ by the sign of g · g', move by sign(g) Δ; where the sign turned do not move but take back
    ``revert`` of the last move. ``revert`` is 0 for iRprop⁻, 1 for Rprop⁺, and for iRprop⁺ 1 if E rose. The state is g
    (0 where the sign turned), Δ, the move.

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
    name: ClassVar[str] = "rprop"
    shown: ClassVar[Shown] = Shown(
        r"s\leftarrow\eta^{+}s\ (D\,D_{0}>0),\ \eta^{-}s\ (D\,D_{0}<0),\ \Delta w=\mathrm{sgn}(D)s",
        (("D_{0}", True), ("s", False), ("m", True)),
    )
    default_eta: ClassVar[float | None] = None
    accumulated_only: ClassVar[bool] = True
    slots: ClassVar[int] = 3
    shares: ClassVar[int] = 1
    compares: ClassVar[bool] = True
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

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        previous, delta, move = state
        grow, shrink, least, most, _ = settings
        zero, revert = like(g, 0), shared[0]
        agreement = sign(g) * previous
        grown, cut = grow * delta, shrink * delta
        grown = select(grown > most, most, grown)
        cut = select(cut < least, least, cut)
        turned = agreement < zero
        delta = select(agreement > zero, grown, select(turned, cut, delta))
        g = select(turned, zero, g)
        move = select(turned, -revert * move, sign(g) * delta)
        return w + move, (g, delta, move)

    @staticmethod
    def prepare(shared: Any, settings: Any, rose: Any) -> Any:
        variant, zero, one = settings[4], like(rose, 0), like(rose, 1)
        return (select(variant == one, one, select(variant > one, rose, zero)),)

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


@known
@dataclass(frozen=True)
class Quickprop(Rule):
    """Fahlman's quickprop: each weight jumps to the minimum of its own parabola, growing at most μ-fold.

    The parabola goes through the last two slopes: d ← d g/(g' − g), at most μ d; add η g unless g turned its sign. The
    first move of a weight is η g. The state is g and the move d.
    """

    mu: float = 1.75
    name: ClassVar[str] = "quickprop"
    shown: ClassVar[Shown] = Shown(
        r"\Delta w=m\,D/(D_{0}-D),\ |\Delta w|\le\mu|m|,\ +\eta\,D\ (D\,D_{0}>0)", (("D_{0}", True), ("m", True))
    )
    default_eta: ClassVar[float | None] = 0.1
    accumulated_only: ClassVar[bool] = True
    slots: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, "mu", as_real("mu", self.mu, above=0))

    @staticmethod
    def step(w: Any, g: Any, state: Any, eta: Any, settings: Any, shared: Any) -> Any:
        previous, move = state
        mu, zero, one = settings[0], like(g, 0), like(g, 1)
        way = sign(move)
        far = g * way >= mu / (one + mu) * previous * way
        parabola = select(far, mu * move, move * g / select(far, one, previous - g))
        gradient = eta * g
        parabola = parabola + select(sign(g) * previous > zero, gradient, zero)
        move = select(abs(way) > zero, parabola, gradient)
        return w + move, (g, move)

    def constants(self) -> tuple[float, ...]:
        return (self.mu,)

    def held(self) -> list[tuple[str, float, float | None]]:
        return [("mu", self.mu, None)]
