"""What L-BFGS and scaled conjugate gradients decide on every machine, from single numbers: where a search along a line
looks next, and how far Møller's steps go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..maths.formulas import sqrt
from .jit import formula

ENOUGH, FLAT = 1e-4, 0.9  # of the slope at the start: what a search must gain for its length, and may leave
STEEPER = float(np.finfo(np.float64).eps)  # of y·y: what s·y must be beyond, for a pair to tell of a curvature


class Along(NamedTuple):
    """A point along a direction: how far, the objective's slope there, and the objective."""

    length: float  # NaN: there is none
    slope: float
    objective: float


# --- A search that meets the strong Wolfe conditions (Nocedal & Wright, algorithms 3.5 and 3.6): it keeps the lowest
# --- point that gained enough, and, once it knows one, a point beyond the valley.


@formula
def first_length(size: float) -> float:
    """How far a search straight downhill looks first, where ``size`` is Σ |g_i|."""
    return min(1.0, 1.0 / size)


@formula
def is_lower(start: Along, low: Along, now: Along) -> bool:
    """Whether a point gained enough for its length, and lies lower than the lowest that did."""
    return now.objective <= start.objective + ENOUGH * now.length * start.slope and not now.objective >= low.objective


@formula
def ends_search(start: Along, low: Along, now: Along) -> bool:
    """Whether a point meets the strong Wolfe conditions."""
    return is_lower(start, low, now) and abs(now.slope) <= -FLAT * start.slope


@formula
def narrowed(start: Along, low: Along, far: Along, now: Along) -> tuple[Along, Along]:
    """The lowest point and that beyond, with one more point known, which does not end the search."""
    if not is_lower(start, low, now):
        return low, now
    way = far.length - low.length if is_known(far) else 1.0
    return (now, low) if now.slope * way >= 0.0 else (now, far)


@formula
def is_known(point: Along) -> bool:
    """Whether there is a point."""
    return point.length == point.length


@formula
def next_length(low: Along, far: Along, length: float) -> float:
    """Where to look next: further out; or, with a point beyond, where the cubic through both is lowest, a tenth of the
    way from both ends at least, and half way where it is nowhere."""
    if not is_known(far):
        return 4.0 * length
    way = far.length - low.length
    rise = 3.0 * (far.objective - low.objective) / way
    middle = low.slope + far.slope - rise
    root = sqrt(middle * middle - low.slope * far.slope)
    if way < 0.0:
        root = -root
    share = 1.0 - (far.slope + root - middle) / (far.slope - low.slope + 2.0 * root)
    return low.length + way * (min(max(share, 0.1), 0.9) if abs(share) < np.inf else 0.5)


@formula
def tells_curvature(s_y: float, y_y: float) -> bool:
    """Whether the objective curves upwards along a step s on which its gradient changed by y."""
    return s_y > STEEPER * y_y


# --- Møller's steps (1993), along a direction whose square is ``square``; ``scale`` is his λ.


@formula
def made_convex(scale: float, curvature: float, square: float) -> tuple[float, float]:
    """λ, which grows where the objective is not convex along the direction, as much more as makes it so; and δ."""
    delta = curvature + scale * square
    if not delta > 0.0:
        scale = 2.0 * (scale - delta / square)
        delta = curvature + scale * square
    return scale, delta


@formula
def agreement_of(delta: float, fall: float, downhill: float) -> float:
    """Møller's Δ: the fall of the objective, as a share of what δ foretold."""
    return 2.0 * delta * fall / downhill**2


@formula
def scale_after(scale: float, agreement: float, delta: float, square: float) -> float:
    """λ after a step that agreed so well."""
    if agreement >= 0.75:
        return 0.25 * scale
    if agreement >= 0.25:
        return scale
    return scale + delta * (1.0 - agreement) / square if abs(agreement) < np.inf else 4.0 * scale
