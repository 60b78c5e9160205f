"""A network in whole numbers: formats chosen by interval arithmetic so that nothing can overflow, and a bound on the
error proved along the way.

A number x is X 2^-f, X whole: f is its *fraction*. Of each layer the sums are exact; they are rounded once, to the
fraction of the net input or of the output, and an activation is a table. What is said of a layer holds for all inputs
within the declared ranges: of every number the interval that it lies in and how far it may be from that of the exact
network, whose arithmetic is that of the real numbers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..maths.tape import Tape
from .noting import activation
from .program import Program
from .segments import Bounded, NotBounded, Table, Word, fraction_for, tabulate

DIRECT = ("identity", "relu", "step")  # without a table
SPARED = 1  # bits of the weights given up for sums of 32 bits
NOTHING = 1000  # bits behind the point that a weight 0 allows
APART = 16  # bits behind the point that one sum may have beyond another, where all go on with one fraction
EXPONENTIAL = Tape(("z",), (("exp", 0),), (1, 1))  # its own slope


class Signals(NamedTuple):
    """The numbers between two layers: whole ones within ``low`` and ``high``, and by how much each may be off."""

    low: np.ndarray
    high: np.ndarray
    fraction: np.ndarray
    error: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        return np.ldexp((self.low + self.high) / 2, -self.fraction)

    @property
    def radius(self) -> np.ndarray:
        return np.ldexp((self.high - self.low) / 2, -self.fraction)

    @property
    def largest(self) -> np.ndarray:
        return np.maximum(abs(self.low), abs(self.high))


class Weights(NamedTuple):
    """Of a layer, as real numbers: z = W'b − θ, and the error that comes from having computed them."""

    W: np.ndarray
    theta: np.ndarray
    error: np.ndarray


class Layer(NamedTuple):
    """A layer as it is printed: f((bias + Σ weights b) >> shift), the rounding of which is in the bias."""

    weights: np.ndarray  # [shape: (l, q)]
    bias: np.ndarray
    shift: np.ndarray
    sums: int  # bits of the sums
    activation: str
    table: Table | None
    out: Signals
    net_error: float  # by how much a net input may be off, where it may be near a jump, else 0
    largest: int  # that a sum comes to in size, partial ones among them

    def run(self, b: np.ndarray) -> np.ndarray:
        z = self.net_inputs(b)
        if self.activation == "softmax":
            return self._softmax(z)
        if self.table is not None:
            return self.table.run(z)
        if self.activation == "step":
            return (z >= 0).astype(np.int64)
        return np.maximum(z, 0) if self.activation == "relu" else z

    def net_inputs(self, b: np.ndarray) -> np.ndarray:
        z = np.zeros((len(b), len(self.bias)), np.int64) + self.bias
        for h in range(b.shape[1]):
            z += b[:, h, None] * self.weights[:, h]
        return z >> self.shift

    def _softmax(self, z: np.ndarray) -> np.ndarray:
        assert self.table is not None
        e = np.maximum(self.table.run(z - z.max(1, keepdims=True)), 0)
        total = e.sum(1, keepdims=True)
        return ((e << int(self.out.fraction[0])) + (total >> 1)) // total


def weights_of(program: Program) -> list[tuple[str, Weights]]:
    """(activation, weights) of each layer, with the scale in the weights of the first one and, where the outputs have
    no activation, of the last; else in a layer of its own."""
    net, scale = program.net, program.scale
    layers = [
        (name, Weights(W.T.astype(np.float64), theta.astype(np.float64), np.zeros(len(theta))))
        for name, W, theta in zip(program.activations, net.weights, net.thresholds, strict=True)
    ]
    if "input_offset" in scale:
        name, (W, theta, error) = layers[0]
        shifts = W / scale["input_factor"] * scale["input_offset"]
        error = error + 2.0**-50 * (len(W.T) * abs(shifts).sum(1) + abs(theta))
        layers[0] = name, Weights(W / scale["input_factor"], theta + shifts.sum(1), error)
    if "target_offset" in scale:
        factor, offset = scale["target_factor"], scale["target_offset"]
        name, (W, theta, error) = layers[-1]
        if name == "identity":
            error = abs(factor) * error + 2.0**-50 * (abs(factor * theta) + abs(offset))
            layers[-1] = name, Weights(W * factor[:, None], theta * factor - offset, error)
        else:
            layers.append(("identity", Weights(np.diag(factor), -offset, np.zeros(len(factor)))))
    return layers


def rounded(value: Any, fraction: Any) -> np.ndarray:
    """The nearest whole numbers, halves away from 0 as the header's macros have them."""
    scaled = np.ldexp(value, fraction)
    return (np.floor(abs(scaled) + 0.5) * np.sign(scaled)).astype(np.int64)


def inputs_within(ranges: np.ndarray, word: Word) -> Signals:
    """The inputs, in the finest format that holds their range."""
    size = abs(ranges).max(1)
    fraction = np.array([fraction_for(float(each), word.most, word.bits - 1) for each in size])
    low, high = (rounded(ends, fraction) for ends in ranges.T)
    return Signals(low, high, fraction, np.ldexp(0.5, -fraction))


class Sums(NamedTuple):
    """The weights of a layer as whole numbers, and what its sums come to."""

    fraction: np.ndarray
    bits: int
    weights: np.ndarray
    bias: np.ndarray
    error: np.ndarray  # of a net input
    middle: np.ndarray  # of all net inputs, the exact ones too, and how far they are from it
    radius: np.ndarray

    @property
    def ends(self) -> tuple[float, float]:
        return float((self.middle - self.radius).min()), float((self.middle + self.radius).max())


def sums_of(given: Weights, s: Signals, word: Word, together: bool) -> Sums:
    """Each unit's sum gets as many bits behind the point as the word of its weights and the sum itself allow; the sum
    has 32 bits where they are enough. ``together``: the sums of all units go on with one fraction."""
    W, size = abs(given.W), np.ldexp(1.0, -s.fraction)
    reach = (W * np.ldexp(s.largest.astype(np.float64), -s.fraction)).sum(1) + abs(given.theta)
    if not np.isfinite(reach).all():
        raise NotBounded("takes sums beyond all numbers")
    held = [fraction_for(float(each), word.most, NOTHING) for each in (W * size).max(1)]
    in_32, in_64 = (
        np.minimum(held, [fraction_for(float(each), 1 << (bits - 2), bits - 2) for each in reach]) for bits in (32, 64)
    )
    bits = 64 if word.bits == 32 or (in_64 - in_32 > SPARED).any() else 32
    fraction = in_64 if bits == 64 else in_32
    if together:
        fraction = np.minimum(fraction, fraction.min() + APART)
    while True:
        places = fraction[:, None] - s.fraction
        weights = np.rint(np.ldexp(given.W, places))
        off = np.ldexp(weights, -places) - given.W
        weights = weights.astype(np.int64)
        real = -(off @ s.middle) - given.theta  # so in the middle of its range a rounded weight costs nothing
        bias = _whole(real, fraction)
        apart = np.ldexp(abs(np.ldexp(real, fraction) - bias.astype(np.float64)), -fraction)
        error = W @ s.error + abs(off) @ s.radius + given.error + apart
        fits = sums_fit(weights, bias, s, bits)
        if fits.all():
            middle = given.W @ s.middle - given.theta
            radius = W @ s.radius + 2 * error + 2.0**-40 * reach
            return Sums(fraction, bits, weights, bias, error + len(W.T) * 2.0**-50 * reach, middle, radius)
        fraction = fraction - ~fits


def _whole(real: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Whole numbers of any size."""
    return np.array([round(math.ldexp(each, int(f))) for each, f in zip(real, fraction, strict=True)], object)


def sums_fit(weights: np.ndarray, bias: np.ndarray, s: Signals, bits: int) -> np.ndarray:
    """For each unit whether its sum, from the bias on term by term, stays within so many bits for all inputs, half a
    unit of what it is rounded to among it; in whole numbers of any size."""
    low, high = extremes(weights, bias, s)
    most = 1 << (bits - 2)
    return np.array((low.min(1) >= -most) & (high.max(1) <= most), bool)


def extremes(weights: np.ndarray, bias: np.ndarray, s: Signals) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest that the sums come to, term by term, [shape: (l, 1 + q)]."""
    ends = [weights.astype(object) * each.astype(object) for each in (s.low, s.high)]
    start = np.asarray(bias, object)[:, None]
    return tuple(  # type: ignore[return-value]
        np.add.accumulate(np.hstack((start, choose(*ends))), axis=1) for choose in (np.minimum, np.maximum)
    )


def rounding(shift: np.ndarray) -> np.ndarray:
    """Half a unit of what is rounded by a shift."""
    return np.array([1 << int(each) >> 1 for each in shift], object)


class Making:
    """One layer being made."""

    def __init__(self, name: str, given: Weights, s: Signals, word: Word, compared: bool) -> None:
        """``compared``: outputs are compared with one another, so that their fractions may not be too far apart."""
        self.name, self.s, self.word, self.compared = name, s, word, compared
        self.sums = sums_of(given, s, word, compared or name not in DIRECT)
        low, high = extremes(self.sums.weights, self.sums.bias, s)
        self.low, self.high = low[:, -1], high[:, -1]

    def layer(self) -> Layer:
        if self.name == "softmax":
            return self._softmax()
        if self.name == "step":
            return self._step()
        return self._direct() if self.name in DIRECT else self._by_table()

    def _made(self, shift: np.ndarray, table: Table | None, out: Signals, net_error: float = 0.0) -> Layer:
        half = rounding(shift) if self.name != "step" else 0
        bias = self.sums.bias + half
        low, high = extremes(self.sums.weights, bias, self.s)
        largest = int(max(-low.min(), high.max()))
        if largest >> (self.sums.bits - 1) or shift.min() < 0 or shift.max() >= self.sums.bits:
            raise NotBounded("may overflow")  # the proof; what has been chosen leaves room for it
        return Layer(
            self.sums.weights,
            bias.astype(np.int64),
            shift,
            self.sums.bits,
            self.name,
            table,
            out,
            net_error,
            largest,
        )

    def _shift_into(self, most: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """The least shifts after which, rounded, a sum is at most ``most`` in size."""
        shift = np.zeros(len(low), np.int64)
        for j in range(len(low)):
            while max(-low[j], high[j]) + (1 << int(shift[j]) >> 1) >> int(shift[j]) > most:
                shift[j] += 1
        return shift

    def _direct(self) -> Layer:
        low, high = self.low, self.high
        if self.name == "relu":
            low, high = np.maximum(low, 0), np.maximum(high, 0)
        shift = self._shift_into(self.word.most, low, high)
        wide = self._shift_into((1 << (self.word.wide - 1)) - 1, self.low, self.high)  # where it is below 0
        shift = np.maximum(shift, wide)
        fraction = self.sums.fraction - shift
        if self.compared:
            fraction = np.minimum(fraction, fraction.min() + self.word.wide - self.word.bits - 1)
            shift = self.sums.fraction - fraction
        half = rounding(shift)
        low, high = ((ends + half) >> shift.astype(object) for ends in (low, high))
        error = self.sums.error + np.where(shift > 0, np.ldexp(0.5, -fraction), 0.0)
        if self.name == "relu":
            error *= self.sums.middle + self.sums.radius > 0  # else it is always 0
        return self._made(shift, None, Signals(low.astype(np.int64), high.astype(np.int64), fraction, error))

    def _step(self) -> Layer:
        shift = self._shift_into((1 << (self.word.wide - 1)) - 1, self.low, self.high)
        low, high = ((ends >= 0).astype(np.int64) for ends in (self.low, self.high))
        near, error = abs(self.sums.middle) <= self.sums.radius, self.sums.error
        known = self.sums.radius - 2 * error  # how far a net input ranges
        if (near & (error > 0) & (known <= error)).any():
            raise NotBounded("may jump anywhere, as its net inputs become too coarse")
        out = Signals(low, high, np.zeros(len(low), np.int64), np.zeros(len(low)))
        return self._made(shift, None, out, float((error * near).max()))

    def _by_table(self) -> Layer:
        found = self._bounded(activation(self.name, True), *self.sums.ends)
        table, cells = found.table, found.cells
        rounding = math.ldexp(0.5, -table.fraction)
        low, high, error = [], [], []
        for middle, radius, off in zip(self.sums.middle, self.sums.radius, self.sums.error, strict=True):
            least, most, steepest = cells.within(middle - radius - rounding, middle + radius + rounding)
            moved = min(steepest * (off + rounding), most - least)
            low.append(math.floor(math.ldexp(least - found.error, table.result)))
            high.append(math.ceil(math.ldexp(most + found.error, table.result)))
            error.append(moved + found.error)
        l = len(low)
        word = self.word.most  # a table's entries lie within it
        least_of, most_of = (np.clip(np.array(each, np.int64), -word, word) for each in (low, high))
        out = Signals(least_of, most_of, np.full(l, table.result), np.array(error))
        return self._made(self.sums.fraction - table.fraction, table, out)

    def _bounded(self, tape: Tape, low: float, high: float) -> Bounded:
        """A table for the net inputs, or their differences."""
        size = max(map(abs, self.sums.ends))
        fraction = self.sums.fraction
        finest = min(int(fraction.min()), fraction_for(size, 1 << (self.word.wide - 2), self.word.wide))
        return tabulate(tape, low, high, (int(fraction.max()) - self.sums.bits + 2, finest), self.word)

    def _softmax(self) -> Layer:
        low, high = self.sums.ends
        found = self._bounded(EXPONENTIAL, low - high, 0.0)
        table, l = found.table, len(self.sums.bias)
        moved = float(self.sums.error.max()) + math.ldexp(0.5, -table.fraction)
        # y_j moves by at most Σ_i |∂y_j/∂z_i| = 2 y_j (1 − y_j) <= ½ of that; with e_i off by E at most and 1 the
        # largest of them, e_j/Σe is off by max(1, l − 1) E/(1 − (l − 1) E)
        E = found.error
        if max(1, l - 1) * E >= 0.5:
            raise NotBounded("has more outputs than its exponentials are exact enough for")
        fraction = self.word.bits - 2
        error = min(1.0, moved / 2 + max(1, l - 1) * E / (1 - (l - 1) * E)) + math.ldexp(0.5, -fraction)
        out = Signals(np.zeros(l, np.int64), np.full(l, 1 << fraction), np.full(l, fraction), np.full(l, error))
        return self._made(self.sums.fraction - table.fraction, table, out)
