"""A step that needs gradients alone: L-BFGS with a line search, and scaled conjugate gradients; in plain NumPy. What
they decide from single numbers stands in ``kernels.gradient_steps``.

Both are generators: they yield whenever they have asked for error and gradient somewhere, so that a training may pause
there, and return the step. What they may ask is ``look``, a generator too: from parameters to a ``Point``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from ..kernels.gradient_steps import (
    Along,
    agreement_of,
    ends_search,
    first_length,
    made_convex,
    narrowed,
    next_length,
    scale_after,
    tells_curvature,
)
from ..settings.rules import LBFGS, ScaledConjugateGradient

T = TypeVar("T")
Looking = Generator[None, None, T]


class Point(NamedTuple):
    """What is known of some parameters."""

    p: np.ndarray
    error: float  # E
    objective: float
    gradient: np.ndarray  # of the objective, 0 where a parameter is not trained


Look = Callable[[np.ndarray], Looking[Point]]


@dataclass(frozen=True)
class Pairs:
    """The last steps s, and how the gradient changed with each, y; the newest last, each [shape: (count, n)]."""

    s: np.ndarray
    y: np.ndarray

    def direction(self, g: np.ndarray) -> np.ndarray:
        """−H g, H being what these pairs make of the inverse Hessian (Nocedal 1980)."""
        q, shares = g.copy(), []
        for s, y in zip(self.s[::-1], self.y[::-1], strict=True):
            shares.append((s @ q) / (s @ y))
            q -= shares[-1] * y
        if len(self.s):
            q *= (self.s[-1] @ self.y[-1]) / (self.y[-1] @ self.y[-1])
        for s, y in zip(self.s, self.y, strict=True):
            q += (shares.pop() - (y @ q) / (s @ y)) * s
        return -q

    def with_another(self, s: np.ndarray, y: np.ndarray, most: int) -> Pairs:
        """These and one more, if the objective curves upwards along it."""
        if not tells_curvature(s @ y, y @ y):
            return self
        return Pairs(np.vstack([self.s, s])[-most:], np.vstack([self.y, y])[-most:])


def lbfgs_step(rule: LBFGS, here: Point, pairs: Pairs, look: Look) -> Looking[tuple[Point, Pairs] | None]:
    """The next point and the pairs with its step; None where the search finds none, not even straight downhill."""
    for known in [pairs, Pairs(pairs.s[:0], pairs.y[:0])] if len(pairs.s) else [pairs]:
        d = known.direction(here.gradient)
        first = 1.0 if len(known.s) else first_length(np.abs(here.gradient).sum())
        found = yield from strong_wolfe(here, d, first, rule.max_search, look)
        if found is not None:
            return found, known.with_another(found.p - here.p, found.gradient - here.gradient, rule.memory)
    return None


def strong_wolfe(here: Point, d: np.ndarray, length: float, most: int, look: Look) -> Looking[Point | None]:
    """A point along d that meets the strong Wolfe conditions, of so many looked at; or the lowest that gained enough;
    or None."""
    lowest: Point | None = None
    start = low = Along(np.float64(0.0), here.gradient @ d, np.float64(here.objective))
    far = Along(np.nan, np.nan, np.nan)
    for _ in range(most if start.slope < 0.0 else 0):
        point = yield from look(here.p + length * d)
        now = Along(np.float64(length), point.gradient @ d, np.float64(point.objective))
        if ends_search(start, low, now):
            return point
        low, far = narrowed(start, low, far, now)
        lowest = point if low is now else lowest
        with np.errstate(all="ignore"):
            length = next_length(low, far, length)
        if length in (low.length, far.length):  # no number lies between
            break
    return lowest


class Conjugate(NamedTuple):
    """What scaled conjugate gradients go on from."""

    direction: np.ndarray
    scale: float  # Møller's λ
    steps: int  # since the direction was last the gradient's


def scg_step(
    rule: ScaledConjugateGradient, here: Point, state: Conjugate, look: Look
) -> Looking[tuple[Point, Conjugate] | None]:
    """The next point, and what to go on from there (Møller 1993); None where ``scale`` would exceed its limit."""
    (d, scale, steps), r = state, -here.gradient
    if not d @ r > 0.0:
        d, steps = r, 0
    square, downhill = d @ d, d @ r
    sigma = rule.sigma / np.sqrt(square)
    ahead = yield from look(here.p + sigma * d)
    curvature = d @ (ahead.gradient - here.gradient) / sigma
    while scale <= rule.scale_max:
        scale, delta = made_convex(scale, curvature, square)
        there = yield from look(here.p + downhill / delta * d)
        agreement = agreement_of(delta, here.objective - there.objective, downhill)
        scale = scale_after(scale, agreement, delta, square)
        if agreement >= 0.0:
            turned = -there.gradient
            steps += 1
            if steps >= len(d):
                return there, Conjugate(turned, scale, 0)
            share = (turned @ turned - turned @ r) / downhill
            return there, Conjugate(turned + share * d, scale, steps)
    return None
