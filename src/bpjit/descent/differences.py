"""Derivatives by differences: the limit (f(a + h) − f(a))/h with an h that is small but not too small, and its error.

With a large h the difference is not yet the slope: the error falls like h (forward) or like h² (central). With a small
one the rounding of f, about 1e-16 of its size, is divided by h, and the error grows again. Between them lies a best h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_choice, as_real, describe
from ..common.plain import printable

KINDS = ("forward", "central")
EPSILON = float(np.finfo(np.float64).eps)
ORDERS = {"forward": 1, "central": 2}  # the error of a large h falls like h to this power
LADDER = 44  # steps h that are tried, each half of the one before
NOISE = 16  # of them, the smallest, show the noise of f


@dataclass(frozen=True)
class Derivative:
    """The slope of a function of one variable, as differences with many steps h give it.

    Attributes
    ----------
    value : the slope, with the best h
    error : an estimate of how far the value may be off
    h : the best step: the one with the smallest estimate
    steps : all steps that were tried, from the largest, [shape: (k,)]
    values : the slope that each gives, [shape: (k,)]
    errors : the estimated error of each, [shape: (k,)]
    kind : "forward" or "central"
    """

    value: float
    error: float
    h: float
    steps: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    kind: str

    def draw(self, ax: Any = None, slope: float | None = None) -> Any:
        """The error against h, both on logarithmic scales: estimated, and true where the right ``slope`` is given.

        Needs matplotlib (``bpjit[plot]``); returns the axes.
        """
        from ..plot.descents import draw_errors

        return draw_errors(self, ax, None if slope is None else as_real("slope", slope))

    @printable
    def __str__(self) -> str:
        return f"{self.value:.12g} ± {self.error:.1g} ({self.kind} difference, h = {self.h:.1g})"


def derivative(
    f: Callable[[Any], Any], a: float, *, kind: str = "central", steps: Sequence[float] | None = None
) -> Derivative:
    """The slope of f at a, by differences: with the best step, and an estimate of the error that is left.

    Each step's error is judged by how far its slope lies from those of its neighbours, and by the noise of f, seen as
    its scatter over steps that are far too small. This is what the text on why derivatives calls the derivative as a
    limit.

    Parameters
    ----------
    f : a function of one number; steps that leave its domain (NaN, infinity, ValueError, ArithmeticError) do not count
    a : where
    kind : "forward" (f(a + h) − f(a))/h, or "central" (f(a + h) − f(a − h))/(2h)
    steps : the h to try, falling; None is a ladder from 1/8 downwards by halves, times |a| where that is larger than 1

    Raises
    ------
    ValueError : f is not finite around a

    Examples
    --------
    >>> import math
    >>> from bpjit import descent
    >>> forward, central = (descent.derivative(math.sin, 1.0, kind=kind) for kind in ("forward", "central"))
    >>> abs(forward.value - math.cos(1.0)) < forward.error < 1e-7
    True
    >>> abs(central.value - math.cos(1.0)) < central.error < 1e-9
    True
    """
    as_choice("kind", kind, KINDS)
    a = as_real("a", a)
    if not callable(f):
        raise TypeError(f"f: expected a function of one number, got {describe(f)}")
    if steps is None:
        tried = _ladder(a)
    else:
        tried = as_array("steps", steps, np.dtype(np.float64), "at least 2 numbers > 0, falling").copy()
        if tried.ndim != 1 or len(tried) < 2 or (tried <= 0).any() or (np.diff(tried) >= 0).any():
            raise ValueError(f"steps: expected at least 2 numbers > 0, falling, got {tried}")
    slopes, widths = np.array([_difference(f, a, h, kind) for h in tried]).T
    errors = _noise(f, a) / widths + _truncation(tried, slopes, ORDERS[kind])
    usable = np.isfinite(errors)
    if not usable.any():
        raise ValueError(f"f: expected finite values around {a:g}, got none at any of {len(tried)} steps")
    best = int(np.argmin(np.where(usable, errors, np.inf)))
    return Derivative(float(slopes[best]), float(errors[best]), float(tried[best]), tried, slopes, errors, kind)


def _ladder(a: float) -> np.ndarray:
    """Steps from an eighth of the size of a, or from 1/8, downwards by halves."""
    return 0.125 * max(1.0, abs(a)) * 0.5 ** np.arange(LADDER)


def _difference(f: Callable[[Any], Any], a: float, h: float, kind: str) -> tuple[float, float]:
    """The slope by one step, and how far apart its two points lie, which is not quite h or 2h."""
    above, below = a + h, (a if kind == "forward" else a - h)
    if above == below:
        return np.nan, np.nan
    with np.errstate(all="ignore"):
        return (_value(f, above) - _value(f, below)) / np.float64(above - below), above - below


def _noise(f: Callable[[Any], Any], a: float) -> float:
    """How far a difference of two values of f may be off. Values of a smooth f at a − h, a, a + h lie on a line where h
    is tiny: what is left of that is noise. Twice the most that was seen counts, or the last digits of f."""
    here, noise = _value(f, a), 0.0
    with np.errstate(all="ignore"):
        for h in _ladder(a)[-NOISE:]:
            above, below = _value(f, a + h), _value(f, a - h)
            line = here + (above - here) * ((a - h) - a) / ((a + h) - a)
            noise = np.fmax(
                noise, np.fmax(2 * np.abs(below - line), 2 * EPSILON * np.fmax(np.abs(above), np.abs(below)))
            )
    return float(noise)


def _value(f: Callable[[Any], Any], x: float) -> np.float64:
    """f(x), NaN outside its domain."""
    with np.errstate(all="ignore"):
        try:
            return np.float64(f(np.float64(x)))
        except (ValueError, ArithmeticError):
            return np.float64(np.nan)


def _truncation(steps: np.ndarray, slopes: np.ndarray, order: int) -> np.ndarray:
    """How far each slope may lie from the limit: with an error like h^p, that of a step and of the next tell it. The
    step before is asked too, for two slopes may be alike by chance."""
    with np.errstate(all="ignore"):
        ratio = (steps[1:] / steps[:-1]) ** order
        next_to = np.abs(np.diff(slopes)) / (1 - ratio)  # the error of the larger step of each pair
        after = np.append(next_to, np.nan)
        before = np.insert(next_to * ratio, 0, np.nan)  # and so that of the smaller one
    return np.where(np.isnan(after), before, np.fmax(after, before))


def numerical_gradient(
    f: Callable[..., Any], point: Any, *, h: float | None = None, kind: str = "central"
) -> np.ndarray:
    """The gradient of a function of n numbers by differences with one step h, [shape: (n,)].

    Parameters
    ----------
    f : called with n numbers, f(x, y, ...)
    point : the n numbers
    h : the step; None is the usual best, ε^(1/3) for central and ε^(1/2) for forward differences, ε = 2.2e-16, times
        the size of the coordinate where that is larger than 1

    Examples
    --------
    >>> from bpjit import descent
    >>> descent.numerical_gradient(lambda x, y: x * y, (5, 6)).round(6)
    array([6., 5.])
    """
    as_choice("kind", kind, KINDS)
    x = as_array("point", point, np.dtype(np.float64), "the numbers of one point").ravel()
    usual = EPSILON ** (1 / 2 if kind == "forward" else 1 / 3)
    steps = np.full(len(x), as_real("h", h, above=0)) if h is not None else usual * np.maximum(1.0, np.abs(x))
    gradient = np.empty(len(x))
    with np.errstate(all="ignore"):
        for i, step in enumerate(steps):
            above, below = x.copy(), x.copy()
            above[i] += step
            if kind == "central":
                below[i] -= step
            gradient[i] = (f(*above) - f(*below)) / (above[i] - below[i])
    return gradient
