"""What a formula of the user's own has to be before anything is trained with it: a number everywhere, with a slope that
is finite where its value is, in both dtypes, and that central differences confirm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..maths.tape import Tape
from .steps import run

FAR = 1e4  # how far out a formula must hold
TRUSTED, BESIDE = 36.0, 0.01  # how far out differences are looked at, and how far beside the grid
_NEAR = np.concatenate([np.linspace(-6, 6, 241), np.linspace(-30, 30, 61) + 0.123])
_OUT = np.array([50.0, 100.0, 500.0, 1000.0, FAR])
GRID = np.unique(np.concatenate([_NEAR, -_OUT, _OUT]))
TARGETS = np.array([0.0, 1.0, 0.3, 2.0, -1.5, 40.0])
DTYPES = (np.float64, np.float32)


def within(low: float, high: float, points: np.ndarray = GRID) -> np.ndarray:
    """Those points that lie between limits; some more near them."""
    if math.isinf(low) and math.isinf(high):
        return points
    if math.isinf(low) or math.isinf(high):
        steps = np.concatenate([[1e-4, 1e-3, 0.01], np.linspace(0.05, 6, 120), _OUT])
        return low + steps if math.isinf(high) else high - steps
    return low + (high - low) * np.concatenate(
        [[1e-4, 0.001, 0.01], np.linspace(0.02, 0.98, 97), [0.99, 0.999, 0.9999]]
    )


def check_activation(called: str, tape: Tape, reach: tuple[float, float], given: bool) -> None:
    """Raise ``ValueError`` for an activation that nobody can use; ``given`` says whether the slope is the user's."""
    _check_numbers(called, tape, ("z",), (GRID,))
    for dtype in DTYPES:
        value = run(tape, GRID, dtype=dtype)[0]
        low, high = (limit * (1 + 1e-6 * np.sign(limit) * side) for limit, side in zip(reach, (-1, 1), strict=True))
        wrong = np.flatnonzero(~((value >= low) & (value <= high)))
        if len(wrong):
            z = GRID[wrong[0]]
            raise ValueError(f"reach: expected limits of {called}, got {reach}, where f({z:g}) is {value[wrong[0]]:g}")
    _check_slope(called, tape, ("z",), (GRID,), given)


def check_loss(called: str, tape: Tape, names: Sequence[str], limits: tuple[float, float], given: bool) -> None:
    """Raise ``ValueError`` for a loss that nobody can use; ``limits`` are those of ŷ and y."""
    y = TARGETS if limits == (-math.inf, math.inf) else within(*limits)[3::16]
    if names[0] == "z":
        first, y = np.repeat(GRID[:, None], len(y), 1), np.repeat(y[None], len(GRID), 0)
    else:
        around = within(*limits)
        first = np.concatenate([np.repeat(around[:, None], len(y), 1), y[None]])
        y = np.repeat(y[None], len(first), 0)
        if math.isinf(limits[0]) and math.isinf(limits[1]):
            first = first + y * (np.abs(first) < FAR) * (np.arange(len(first)) < len(around))[:, None]  # ŷ = y + d
    points = first.ravel(), y.ravel()
    _check_numbers(called, tape, names, points)
    _check_slope(called, tape, names, points, given)


def _place(names: Sequence[str], points: Sequence[np.ndarray], at: int) -> str:
    return ", ".join(f"{name} = {x[at]:.6g}" for name, x in zip(names, points, strict=True))


def _nearest(wrong: np.ndarray, points: Sequence[np.ndarray]) -> list[int]:
    """Where something is wrong: the place with the smallest numbers, if there is one."""
    size: np.ndarray = sum(map(np.abs, points), np.zeros(1))
    return [int(np.argmin(np.where(wrong, size, np.inf)))] if wrong.any() else []


def _check_numbers(called: str, tape: Tape, names: Sequence[str], points: Sequence[np.ndarray]) -> None:
    for dtype in DTYPES:
        value, slope = run(tape, *points, dtype=dtype)
        for at in _nearest(np.isnan(value), points):
            raise ValueError(
                f"{called}: expected a number everywhere, got NaN at {_place(names, points, at)} in {dtype.__name__}; "
                f"inf - inf, inf/inf, 0·inf, and log and sqrt below 0 make it{_advice(names)}"
            )
        for at in _nearest(np.isfinite(value) & ~np.isfinite(slope), points):
            place = _place(names, points, at)
            cusp = (
                ", the minimum: a loss that comes to it in a cusp has no slope there that a rule could use; round it "
                "off, as sqrt(d * d + 1e-6) does |d|"
                if names[0] == "y_hat" and points[0][at] == points[1][at]
                else "; select(condition, a, b) can take another branch there, and a root can be rounded off, as "
                "sqrt(x + 1e-6) is"
            )
            raise ValueError(
                f"{called}: expected a finite slope wherever the value is finite, got {slope[at]:g} in "
                f"{dtype.__name__} at {place}{cusp}"
            )


def _advice(names: Sequence[str]) -> str:
    if names[0] != "y_hat":
        return ""
    return (
        '; a loss for outputs within limits says which: output="sigmoid", say, and one of the net input of="net_input"'
    )


def _check_slope(called: str, tape: Tape, names: Sequence[str], points: Sequence[np.ndarray], given: bool) -> None:
    """The slope against central differences, wherever these can be trusted: not far out, where they may not see how a
    formula turns, and a little beside the round numbers at which formulas have their kinks."""
    points = [points[0] + BESIDE, *points[1:]]
    slope = run(tape, *points)[1] * (1 if names[0] == "z" and len(names) == 1 else -1)
    difference, error = differences(lambda x: run(tape, x, *points[1:])[0], points[0])
    size = np.abs(difference) + np.abs(slope)
    known = np.isfinite(slope) & (error < 1e-4 * (size + 1)) & (np.abs(points[0]) < TRUSTED)
    for at in _nearest(known & (np.abs(difference - slope) > 10 * error + 1e-5 * (size + 1e-3)), points):
        got = f"{slope[at]:.9g} at {_place(names, points, at)}, where central differences give {difference[at]:.9g}"
        what = f"slope: expected that of {called} by {names[0]}, got" if given else f"{called}: its derived slope is"
        raise ValueError(f"{what} {got}")


def differences(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(central differences, how far they may be off): infinite at kinks, where those of one side and of the other do
    not come together as they get finer."""
    with np.errstate(all="ignore"):
        here, found, jumps = function(x), [], []
        for width in (2.0**-14, 2.0**-15, 2.0**-16):
            h = width * np.maximum(1.0, np.abs(x))
            after, before = function(x + h), function(x - h)
            found.append((after - before) / (2 * h))
            jumps.append(np.abs(after + before - 2 * here) / h)
        noise = 4e-16 * (np.abs(after) + np.abs(here) + np.abs(before)) / h
        wide, near, nearest = found
        error = np.maximum(np.abs(wide - nearest), np.abs(near - nearest)) + noise
        kink = jumps[2] > 0.5 * jumps[0] + 8 * noise
        return nearest, np.where(kink | ~np.isfinite(error), math.inf, error)
