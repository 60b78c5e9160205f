"""Tapes run on intervals, rounded outward: what a formula and its slope lie within, cell by cell of an interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..maths.tape import CONSTANT, Tape
from ..own.steps import ON_ARRAYS

Interval = tuple[np.ndarray, np.ndarray]  # lower and upper ends; of a condition, where it must and where it may hold

ROUNDING = 2.0**-49  # a function of NumPy is within 4 units of the last place
TINY, LARGEST = 1e-300, np.finfo(np.float64).max
MOST_HALVINGS = 64
SMALL = 2.0**-30  # what is left of a function that is continuous, after so many halvings, against 1 + its size


def _outward(low: np.ndarray, high: np.ndarray) -> Interval:
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    low, high = np.minimum(low, LARGEST), np.maximum(high, -LARGEST)  # where infinity stands for more than all numbers
    return low - abs(low) * ROUNDING - TINY, high + abs(high) * ROUNDING + TINY


def _hull(*numbers: np.ndarray) -> Interval:
    return _outward(np.minimum.reduce(numbers), np.maximum.reduce(numbers))


def _multiply(a: Interval, b: Interval) -> Interval:
    return _hull(a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1])


def _divide(a: Interval, b: Interval) -> Interval:
    low, high = _hull(a[0] / b[0], a[0] / b[1], a[1] / b[0], a[1] / b[1])
    through = (b[0] <= 0) & (b[1] >= 0)
    return np.where(through, -np.inf, low), np.where(through, np.inf, high)


def _absolute(a: Interval) -> Interval:
    through = (a[0] <= 0) & (a[1] >= 0)
    return np.where(through, 0.0, np.minimum(abs(a[0]), abs(a[1]))), np.maximum(abs(a[0]), abs(a[1]))


def _square(a: Interval) -> Interval:
    low, high = _absolute(a)
    low, high = _outward(low * low, high * high)
    return np.maximum(low, 0.0), high


def _wave(top: float) -> Any:
    """A sine whose maxima stand at ``top`` + 2πk."""

    def function(a: Interval) -> Interval:
        def reached(place: float) -> np.ndarray:
            turns = [(end - place) / (2 * math.pi) + slack for end, slack in zip(a, (-1e-9, 1e-9), strict=True)]
            return ~(np.floor(turns[1]) == np.floor(turns[0]))  # also where it is no number

        low, high = _hull(*(np.cos(end - top) for end in a))
        slack = ROUNDING * (1 + np.maximum(abs(a[0]), abs(a[1])))  # of end − top
        low = np.where(reached(top + math.pi), -1.0, low - slack)
        high = np.where(reached(top), 1.0, high + slack)
        return np.maximum(low, -1.0), np.minimum(high, 1.0)

    return function


def _rising(name: str, least: float = -np.inf) -> Any:
    function = ON_ARRAYS[name]
    return lambda a: _outward(function(np.where(a[1] >= least, np.maximum(a[0], least), a[0])), function(a[1]))


def _select(condition: Interval, a: Interval, b: Interval) -> Interval:
    sure, may = condition
    low = np.where(sure, a[0], np.where(may, np.minimum(a[0], b[0]), b[0]))
    return low, np.where(sure, a[1], np.where(may, np.maximum(a[1], b[1]), b[1]))


CONDITIONS = ("less", "at_most")
ON_INTERVALS: dict[str, Any] = {
    "add": lambda a, b: _outward(a[0] + b[0], a[1] + b[1]),
    "subtract": lambda a, b: _outward(a[0] - b[1], a[1] - b[0]),
    "multiply": _multiply,
    "divide": _divide,
    "negate": lambda a: (-a[1], -a[0]),
    "absolute": _absolute,
    "sin": _wave(math.pi / 2),
    "cos": _wave(0.0),
    "sqrt": _rising("sqrt", 0.0),
    "less": lambda a, b: (a[1] < b[0], a[0] < b[1]),
    "at_most": lambda a, b: (a[1] <= b[0], a[0] <= b[1]),
    "select": _select,
    **{name: _rising(name) for name in ("exp", "tanh", "finite")},
    "log": _rising("log", 0.0),
    "log1p": _rising("log1p", -1.0),
}


def run(tape: Tape, low: np.ndarray, high: np.ndarray) -> tuple[list[Interval], np.ndarray]:
    """(what its results lie within for inputs from ``low`` to ``high``, where a condition may hold or not)"""
    V: list[Interval] = [(low, high)]
    undecided = np.zeros(low.shape, bool)
    with np.errstate(all="ignore"):
        for operation, *operands in tape.steps:
            if operation == CONSTANT:
                V.append((np.full(low.shape, operands[0]),) * 2)
            elif operation == "multiply" and operands[0] == operands[1]:
                V.append(_square(V[operands[0]]))
            else:
                V.append(ON_INTERVALS[operation](*(V[slot] for slot in operands)))
            if operation in CONDITIONS:
                undecided |= V[-1][0] != V[-1][1]
    return [V[slot] for slot in tape.results], undecided


def is_continuous(tape: Tape, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether a formula jumps nowhere in these cells: those with a condition that may hold or not are halved until
    nothing is left of them, or what is left of the function there is nothing either."""
    most = 16 * len(low) + 1024
    for _ in range(MOST_HALVINGS):
        undecided = run(tape, low, high)[1]
        low, high = low[undecided], high[undecided]
        if not low.size:
            return True
        middle = (low + high) / 2
        low, high = np.concatenate((low, middle)), np.concatenate((middle, high))
        if len(low) > most:
            return False
    bottom, top = run(tape, low, high)[0][0]
    return bool(np.all(top - bottom <= SMALL * (1 + np.maximum(abs(bottom), abs(top)))))


class Cells:
    """An interval in cells of one width, a power of two: in each what a formula and its slope lie within."""

    def __init__(self, tape: Tape, low: float, high: float, exponent: int) -> None:
        """z to (f(z), f'(z)), in cells of 2^exponent."""
        first = math.floor(math.ldexp(low, -exponent))
        count = max(1, math.ceil(math.ldexp(high, -exponent)) - first)
        self.edges = np.ldexp(np.arange(first, first + count + 1, dtype=np.float64), exponent)
        self.width = math.ldexp(1.0, exponent)
        left, right = self.edges[:-1], self.edges[1:]
        (value, _), undecided = run(tape, left, right)
        self.slope = run(tape, np.nextafter(left, np.inf), np.nextafter(right, -np.inf))[0][
            1
        ]  # a kink at an edge is none
        self.middle = left + self.width / 2
        self.at_middle = run(tape, self.middle, self.middle)[0][0]
        self.steepest = np.maximum(abs(self.slope[0]), abs(self.slope[1]))
        self.continuous = is_continuous(tape, left[undecided], right[undecided])
        with np.errstate(all="ignore"):
            reach = self.steepest * (self.width / 2)  # the mean value theorem, which needs no condition decided
            self.low = np.fmax(value[0], self.at_middle[0] - reach)
            self.high = np.fmin(value[1], self.at_middle[1] + reach)

    def within(self, low: float, high: float) -> tuple[float, float, float]:
        """(least, largest, steepest) from ``low`` to ``high``."""
        start = int(np.clip(np.searchsorted(self.edges, low, "right") - 1, 0, len(self.middle) - 1))
        stop = int(np.clip(np.searchsorted(self.edges, high, "left"), start + 1, len(self.middle)))
        part = slice(start, stop)
        return float(self.low[part].min()), float(self.high[part].max()), float(self.steepest[part].max())


def exponent_of_cells(low: float, high: float, count: int) -> int:
    """That of the width of at least ``count`` cells, from ``low`` to ``high``."""
    return math.frexp((high - low) / count)[1] - 1 if high > low else -52
