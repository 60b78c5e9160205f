"""An activation as a table of whole numbers: between three neighbours it is a parabola. The largest error is proved."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..maths.tape import Tape
from .intervals import Cells, exponent_of_cells, run

CELLS = 8192  # that an activation is looked at in, at least
GOOD = 2.0  # units of the last place of a result: with a smaller error no table is made larger
MOST_ENTRIES = {8: 129, 16: 513, 32: 1025}


class Word(NamedTuple):
    """Of how many bits the numbers are between layers, and what is computed of them."""

    bits: int

    @property
    def most(self) -> int:
        return (1 << (self.bits - 1)) - 1

    @property
    def wide(self) -> int:
        """The bits of net inputs, and of what tables compute."""
        return 64 if self.bits == 32 else 32


class Table(NamedTuple):
    """u to f(u 2^-fraction) 2^result, both whole numbers. Entries stand 2^half apart, the first at ``start``; a segment
    is two of those steps; beyond ``low`` and ``high`` nothing changes."""

    fraction: int
    result: int
    low: int
    high: int
    start: int
    half: int
    guard: int  # bits that slopes have beyond those of the entries
    values: tuple[int, ...]

    def run(self, u: np.ndarray) -> np.ndarray:
        """As it is printed."""
        T = np.array(self.values, np.int64)
        u = np.clip(u, self.low, self.high) - self.start
        n, r = (u >> (self.half + 1)) * 2, u & ((1 << (self.half + 1)) - 1)
        first = T[n + 1] - T[n]
        second = T[n + 2] - T[n + 1] - first
        bend = _rounded((r - (1 << self.half)) * second, self.half + 1 - self.guard)
        return T[n] + _rounded(r * (first * (1 << self.guard) + bend), self.half + self.guard)


def _rounded(value: np.ndarray, shift: int) -> np.ndarray:
    return (value + (1 << shift >> 1)) >> shift


class Bounded(NamedTuple):
    """A table, its cells over all net inputs, and by how much at most it differs from the activation there."""

    table: Table
    cells: Cells
    error: float


class NotBounded(ValueError):
    """What stands against a bound, as the end of a sentence."""


def cells_of(tape: Tape, low: float, high: float) -> Cells:
    """Those of an activation from ``low`` to ``high``, if it has values and slopes there and jumps nowhere."""
    finest = math.frexp(max(abs(low), abs(high), 1e-30))[1] - 40  # so that float64 tells their edges apart
    cells = Cells(tape, low, high, max(finest, exponent_of_cells(low, high, CELLS)))
    if not cells.continuous:
        raise NotBounded(f"may jump within net inputs from {low:.3g} to {high:.3g}")
    if not (np.isfinite(cells.low).all() and np.isfinite(cells.high).all() and np.isfinite(cells.steepest).all()):
        raise NotBounded(f"has no finite bound, or none of its slope, for net inputs from {low:.3g} to {high:.3g}")
    return cells


def fraction_for(size: float, most: int, otherwise: int) -> int:
    """The most bits behind the point with which ``size`` is at most ``most``."""
    if size == 0:
        return otherwise
    fraction = math.frexp(most / size)[1]
    while math.ldexp(size, fraction) > most:
        fraction -= 1
    return fraction


def tabulate(tape: Tape, low: float, high: float, fractions: tuple[int, int], word: Word) -> Bounded:
    """The smallest table that is good enough, or the best of all, for net inputs from ``low`` to ``high``, whose
    fraction lies between these two."""
    finest = fractions[1]
    while True:
        room = math.ldexp(2.0, -finest)  # net inputs are rounded beyond the ends, too
        found = _with_room(tape, (low, high), room, fractions, word)
        if found.table.fraction >= finest:
            return found
        finest = found.table.fraction


def _with_room(tape: Tape, ends: tuple[float, float], room: float, fractions: tuple[int, int], word: Word) -> Bounded:
    cells = cells_of(tape, ends[0] - room, ends[1] + room)
    size, steepest = float(max(abs(cells.low).max(), abs(cells.high).max())), float(cells.steepest.max())
    most = fraction_for(size, word.most - 2, word.bits - 1)
    if steepest:  # the last place is no finer than what the rounding of net inputs costs
        most = min(most, fractions[1] + 1 - math.frexp(steepest)[1])
    for result in range(most, most - word.bits, -1):  # entries beyond the ends may need more room
        found = _best(tape, cells, ends, fractions, result, word)
        if found is not None:
            return found
    raise NotBounded("is too steep, or jumps, for net inputs as coarse as they become")


def _best(
    tape: Tape, cells: Cells, ends: tuple[float, float], fractions: tuple[int, int], result: int, word: Word
) -> Bounded | None:
    unit = math.ldexp(1.0, -result)
    left, right = _without_tails(cells, unit / 4)
    fraction = max(fractions[0], min(fractions[1], _finest(cells, unit, max(abs(left), abs(right)), word)))
    low, high = (math.floor(math.ldexp(end, fraction)) for end in (max(left, ends[0]), min(right, ends[1])))
    high = max(high + 1, low + 1)
    exponent = max(-fraction, exponent_of_cells(low, high, CELLS) - fraction)
    fine = Cells(tape, math.ldexp(low, -fraction), math.ldexp(high, -fraction), exponent)
    if not fine.continuous:  # just beyond the ends
        return None
    best, tail = None, unit / 4 * (left > cells.edges[0] or right < cells.edges[-1])
    for half in range(max(0, (high - low).bit_length() - 1), -1, -1):
        table = _table(tape, (low, high), fraction, result, half, word)
        if table is None or half + 1 < exponent + fraction:
            continue
        if len(table.values) > MOST_ENTRIES[word.bits]:
            break
        error = _error(table, fine) + tail
        if not _fits(table, cells, error, word):
            continue
        if best is None or error < best.error:
            best = Bounded(table, cells, error)
        if error <= GOOD * unit:
            break
    return best


def _finest(cells: Cells, unit: float, size: float, word: Word) -> int:
    """So many bits behind the point that rounding a net input costs an eighth of a unit at most, if there is room."""
    steepest = float(cells.steepest.max())
    wanted = math.frexp(steepest / unit)[1] + 2 if steepest else 0
    room = min(word.wide - 10, word.wide - word.bits + 6)  # for products of steps between entries
    return min(wanted, fraction_for(size, 1 << room, wanted))


def _without_tails(cells: Cells, most: float) -> tuple[float, float]:
    """What is left of an interval without those ends over which the values differ by no more than ``most``."""

    def flat(low: np.ndarray, high: np.ndarray) -> int:
        spread = np.maximum.accumulate(high) - np.minimum.accumulate(low)
        return int(np.searchsorted(spread, most, "right"))

    start = flat(cells.low, cells.high)
    stop = len(cells.middle) - flat(cells.low[::-1], cells.high[::-1])
    if start >= stop:
        return float(cells.edges[0]), float(cells.edges[-1])
    return float(cells.edges[start]), float(cells.edges[stop])


def _table(tape: Tape, ends: tuple[int, int], fraction: int, result: int, half: int, word: Word) -> Table | None:
    """The one with these steps, if its entries fit the word and what is computed fits the wide one."""
    low, high = ends
    start = low >> (half + 1) << (half + 1)
    segments = ((high - start) >> (half + 1)) + 1
    if segments > CELLS or max(-start, high - start) >= 1 << (word.wide - 1):
        return None
    places = np.ldexp((start + (np.arange(2 * segments + 1) << half)).astype(np.float64), -fraction)
    with np.errstate(all="ignore"):
        T = np.rint(np.ldexp(np.mean(run(tape, places, places)[0][0], axis=0), result))
    if not (abs(T) <= word.most).all():
        return None
    first, second = abs(np.diff(T)).max(), abs(np.diff(T, 2)[::2]).max()
    for guard in range(half + 1, -1, -1):
        inner = first * 2.0**guard + second * 2.0 ** max(guard - 1, 0) + 1
        if 2.0 ** (half + 1) * max(inner, second) + 2.0 ** (half + guard) < 2.0 ** (word.wide - 1):
            return Table(fraction, result, low, high, start, half, guard, tuple(map(int, T)))
    return None


def _error(table: Table, cells: Cells) -> float:
    """The largest of all cells, each of which lies within one segment."""
    T = np.array(table.values, np.float64)
    step = math.ldexp(1.0, table.half - table.fraction)
    start = math.ldexp(table.start, -table.fraction)
    n = (np.floor((cells.middle - start) / (2 * step)).astype(np.int64)) * 2
    n = np.minimum(n, len(T) - 3)
    first, second = T[n + 1] - T[n], T[n + 2] - 2 * T[n + 1] + T[n]
    knot = start + n * step
    t = (cells.middle - knot) / step
    here = np.ldexp(T[n] + t * first + t * (t - 1) / 2 * second, -table.result)
    off = np.maximum(abs(here - cells.at_middle[0]), abs(here - cells.at_middle[1]))
    worst = np.zeros(len(here))
    for edge in (cells.edges[:-1], cells.edges[1:]):
        slope = np.ldexp((first + ((edge - knot) / step - 0.5) * second) / step, -table.result)
        for limit in cells.slope:
            worst = np.maximum(worst, abs(slope - limit))
    rounding = 0.5 + (2.0**-table.guard if table.guard < table.half + 1 else 0.0)
    slack = abs(T).max() * 2.0**-45 + 1e-9
    return float((off + worst * cells.width / 2).max()) + math.ldexp(rounding + slack, -table.result)


def _fits(table: Table, cells: Cells, error: float, word: Word) -> bool:
    """Whether every result fits the word."""
    size = max(abs(cells.low).max(), abs(cells.high).max()) + error
    return math.ldexp(float(size), table.result) <= word.most
