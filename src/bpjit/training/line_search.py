"""A step that needs gradients alone: L-BFGS with a line search, and scaled conjugate gradients; in plain NumPy.

Both are generators: they yield whenever they have asked for error and gradient somewhere, so that a training may pause
there, and return the step. What they may ask is ``look``, a generator too: from parameters to a ``Point``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from ..settings.rules import LBFGS, ScaledConjugateGradient

ENOUGH, FLAT = 1e-4, 0.9  # of the slope at the start: what a search must gain for its length, and may leave
T = TypeVar("T")
Looking = Generator[None, None, T]


class Point(NamedTuple):
    """What is known of some parameters."""

    p: np.ndarray
    error: float  # E
    objective: float
    gradient: np.ndarray  # of the objective, 0 where a parameter is not trained


Look = Callable[[np.ndarray], Looking[Point]]


class Along(NamedTuple):
    """A point along a direction: how far, and the objective's slope there."""

    length: float
    slope: float
    point: Point


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
        if not s @ y > np.finfo(float).eps * (y @ y):
            return self
        return Pairs(np.vstack([self.s, s])[-most:], np.vstack([self.y, y])[-most:])


def lbfgs_step(rule: LBFGS, here: Point, pairs: Pairs, look: Look) -> Looking[tuple[Point, Pairs] | None]:
    """The next point and the pairs with its step; None where the search finds none, not even straight downhill."""
    for known in [pairs, Pairs(pairs.s[:0], pairs.y[:0])] if len(pairs.s) else [pairs]:
        d = known.direction(here.gradient)
        first = 1.0 if len(known.s) else min(1.0, 1.0 / np.abs(here.gradient).sum())
        found = yield from strong_wolfe(here, d, first, rule.max_search, look)
        if found is not None:
            return found, known.with_another(found.p - here.p, found.gradient - here.gradient, rule.memory)
    return None


def strong_wolfe(here: Point, d: np.ndarray, length: float, most: int, look: Look) -> Looking[Point | None]:
    """A point along d that meets the strong Wolfe conditions, of so many looked at (Nocedal & Wright, algorithms 3.5
    and 3.6); or the lowest that gained enough; or None."""
    slope = float(here.gradient @ d)
    low, far = Along(0.0, slope, here), None
    for _ in range(most if slope < 0.0 else 0):
        point = yield from look(here.p + length * d)
        now = Along(length, float(point.gradient @ d), point)
        gained = point.objective <= here.objective + ENOUGH * length * slope
        if not gained or point.objective >= low.point.objective:
            far = now
        elif abs(now.slope) <= -FLAT * slope:
            return point
        else:
            way = 1.0 if far is None else far.length - low.length
            far = low if now.slope * way >= 0.0 else far
            low = now
        length = 4.0 * length if far is None else between(low, far)
        if far is not None and length in (low.length, far.length):  # no number lies between
            break
    return low.point if low.length > 0.0 else None


def between(low: Along, far: Along) -> float:
    """Where the cubic through two points is lowest, a tenth of the way from both ends at least; half way where it is
    nowhere."""
    way = far.length - low.length
    rise = 3.0 * (far.point.objective - low.point.objective) / way
    middle = low.slope + far.slope - rise
    with np.errstate(all="ignore"):
        root = np.sign(way) * np.sqrt(middle * middle - low.slope * far.slope)
        share = 1.0 - (far.slope + root - middle) / (far.slope - low.slope + 2.0 * root)
    return low.length + way * (float(np.clip(share, 0.1, 0.9)) if np.isfinite(share) else 0.5)


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
    length, downhill = d @ d, d @ r
    sigma = rule.sigma / np.sqrt(length)
    ahead = yield from look(here.p + sigma * d)
    curvature = d @ (ahead.gradient - here.gradient) / sigma
    while scale <= rule.scale_max:
        delta = curvature + scale * length
        if not delta > 0.0:  # not convex here: as much more as makes it so
            scale = 2.0 * (scale - delta / length)
            delta = curvature + scale * length
        alpha = downhill / delta
        there = yield from look(here.p + alpha * d)
        agreement = 2.0 * delta * (here.objective - there.objective) / downhill**2
        taken = agreement >= 0.0
        scale_there = 0.25 * scale if agreement >= 0.75 else scale
        if not agreement >= 0.25:
            scale_there = scale + delta * (1.0 - agreement) / length if np.isfinite(agreement) else 4.0 * scale
        if taken:
            turned = -there.gradient
            steps += 1
            if steps >= len(d):
                return there, Conjugate(turned, scale_there, 0)
            share = (turned @ turned - turned @ r) / downhill
            return there, Conjugate(turned + share * d, scale_there, steps)
        scale = scale_there
    return None
