"""A network in whole numbers, whole: its inputs, its layers, what is known of its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.arguments import as_array, as_integer, describe, quiet
from ..networks.network import Network
from .fixed_layers import Layer, Making, Signals, inputs_within, rounded, weights_of
from .program import Program
from .segments import NotBounded, Word

BITS = (8, 16, 32)
USELESS = 0.5  # of an output's range: its middle alone is as good
KNOWN = 4  # units of the last place


class FixedPoint:
    """A network in fixed point, as the header of ``to_c`` with ``fixed`` computes it, bit for bit.

    Attributes
    ----------
    bits : of the numbers between layers, and of inputs and outputs
    ranges : of the inputs, [shape: (d, 2)]
    bounds : of each output how far it may be at most, in the user's units, from the output of the network itself in
        real numbers, for all inputs within the ranges, [shape: (l,)]
    input_fractions, output_fractions : f of each input and output, which as a whole number is the number times 2^f
    near_a_jump : by the number of each layer of "step": the bounds hold where its net inputs, in the network itself,
        are not within so much of 0
    """

    def __init__(self, net: Network, bits: int, ranges: np.ndarray) -> None:
        self.bits, self.ranges, self.word = bits, ranges, Word(bits)
        self.program = Program.of(net, "float64")
        self.inputs = inputs_within(ranges, self.word)
        self.layers: list[Layer] = []
        signals = self.inputs
        all_weights = weights_of(self.program)
        for k, (name, weights) in enumerate(all_weights):
            last = k == len(all_weights) - 1
            try:
                made = Making(name, weights, signals, self.word, last and self.program.classes).layer()
            except (NotBounded, OverflowError) as reason:
                if isinstance(reason, OverflowError):
                    reason = NotBounded("takes numbers beyond float64")
                raise ValueError(
                    f"fixed: expected ranges over which every number can be bounded; in layer {k + 1} of weights "
                    f'"{name}" {reason}, with inputs {_said(ranges)}'
                ) from None
            self.layers.append(made)
            signals = made.out
        self.bounds = signals.error * (1 + 2.0**-30)
        self.input_fractions, self.output_fractions = self.inputs.fraction, signals.fraction
        self.near_a_jump = {k + 1: layer.net_error for k, layer in enumerate(self.layers) if layer.net_error}
        self._refuse_what_is_useless()

    def __repr__(self) -> str:
        return f"FixedPoint(bits={self.bits}, ranges={self.ranges.tolist()}, bounds={self.bounds.tolist()})"

    def _refuse_what_is_useless(self) -> None:
        shares = [_share(layer.out) for layer in self.layers]
        if shares[-1].max() < USELESS:
            return
        j, out = int(shares[-1].argmax()), self.layers[-1].out
        first = next(k for k, share in enumerate(shares) if share.max() >= USELESS)
        low, high = (np.ldexp(float(ends[j]), -out.fraction[j]) for ends in (out.low, out.high))
        more = f"{self.bits * 2} bits or narrower ranges" if self.bits < 32 else "narrower ranges"
        raise ValueError(
            f"fixed: expected a word that holds the network without overflow and with a bound worth having; with "
            f"{self.bits} bits and inputs {_said(self.ranges)}, output {j} may be off by {self.bounds[j]:.3g} within "
            f"{low:.3g} to {high:.3g}, as the numbers of layer {first + 1} of weights become too coarse; take {more}"
        )

    def whole_inputs(self, X: np.ndarray) -> np.ndarray:
        """Inputs in the user's units as the header takes them, [shape: (m, d)]."""
        return rounded(np.clip(X, *self.ranges.T), self.input_fractions)

    def whole_outputs(self, X: np.ndarray) -> np.ndarray:
        """Outputs for whole inputs, both as in the header."""
        return self.layers[-1].run(self._below(X))

    def _below(self, X: np.ndarray) -> np.ndarray:
        """What the last layer is given."""
        b = np.clip(np.asarray(X, np.int64), self.inputs.low, self.inputs.high)
        for layer in self.layers[:-1]:
            b = layer.run(b)
        return b

    def _inputs(self, X: Any) -> np.ndarray:
        d = len(self.ranges)
        X = as_array("X", X, np.dtype(np.float64), f"finite numbers of shape (m, {d}) or ({d},)")
        if X.ndim not in (1, 2) or X.shape[-1] != d:
            raise ValueError(f"X: expected finite numbers of shape (m, {d}) or ({d},), got shape {X.shape}")
        return X

    def predict(self, X: Any) -> np.ndarray:
        """What the header computes for inputs in the user's units, which beyond the ranges count as their ends, and its
        outputs in the user's units, [shapes: (m, d) to (m, l), or (d,) to (l,)]."""
        X = self._inputs(X)
        y_hat = self.whole_outputs(self.whole_inputs(np.atleast_2d(X)))
        return np.ldexp(y_hat.astype(np.float64), -self.output_fractions).reshape(*X.shape[:-1], -1)

    def classify(self, X: Any) -> Any:
        """The numbers of classes, as the header has them for outputs that lie within bounds: of softmax by the net
        inputs alone."""
        X = self._inputs(X)
        if self.layers[-1].activation != "softmax":
            return self.program.net._architecture.classes_of_outputs(self.predict(X))
        b = self._below(self.whole_inputs(np.atleast_2d(X)))
        return self.layers[-1].net_inputs(b).argmax(1).reshape(X.shape[:-1])[()]

    @property
    def cut(self) -> int:
        """A single output above it, as a whole number, stands for class 1."""
        out = self.layers[-1].out
        cut = int(np.ceil(np.ldexp(self.program.cut, int(out.fraction[0])))) - 1
        return int(np.clip(cut, out.low[0] - 1, out.high[0]))

    def samples(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(inputs, outputs) that the header is tested on, whole; the first two are the ends of the ranges."""
        low, high = self.ranges.T
        X = np.random.default_rng(0).uniform(low, high, (count, len(low)))
        X[0], X[1] = low, high
        X = self.whole_inputs(X)
        return X, self.whole_outputs(X)


def _share(out: Signals) -> np.ndarray:
    """The bound of each number against what it ranges over; 0 where it is known to a few units of the last place, even
    if it hardly varies."""
    unit = np.ldexp(1.0, -out.fraction)
    span = np.maximum((out.high - out.low) * unit, unit)
    return np.where(out.error <= KNOWN * unit, 0.0, out.error / span)


def _said(ranges: np.ndarray) -> str:
    shown = [f"from {low:.6g} to {high:.6g}" for low, high in ranges[:3]]
    return ", ".join(shown) + (", ..." if len(ranges) > 3 else "")


def as_ranges(value: Any, d: int) -> np.ndarray:
    """The range of each input, [shape: (d, 2)]."""
    expected = f"a pair (low, high) for all inputs, pairs of shape ({d}, 2), or samples of shape (m, {d})"
    if value is None:
        raise ValueError(f"ranges: expected {expected}, as fixed is given; got None")
    array = as_array("ranges", value, np.dtype(np.float64), expected)
    if array.shape == (2,):
        array = np.tile(array, (d, 1))
    elif array.ndim == 2 and array.shape[1] == d and array.shape != (d, 2):
        array = np.stack((array.min(0), array.max(0)), axis=1)
    if array.shape != (d, 2):
        raise ValueError(f"ranges: expected {expected}, got shape {array.shape}")
    for i, (low, high) in enumerate(array):
        if low > high:
            raise ValueError(f"ranges: expected low <= high, got {low:g} and {high:g} for input {i}")
    return array


@quiet
def fixed_point(net: Network, bits: Any, ranges: Any) -> FixedPoint:
    """A network in fixed point, once the arguments are checked."""
    if as_integer("fixed", bits, low=8, high=32) not in BITS:
        raise ValueError(f"fixed: expected 8, 16 or 32 bits, got {describe(bits)}")
    return FixedPoint(net, int(bits), as_ranges(ranges, net.sizes[0]))
