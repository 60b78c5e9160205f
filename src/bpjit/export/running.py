"""Tapes and networks run in Python as the printed programs run: operation by operation, in the order of indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maths.tape import CONSTANT, Tape
from ..networks.network import Network
from ..own.steps import ON_ARRAYS
from .noting import FUNCTIONS, activation, function


def _bits(x: np.ndarray) -> tuple[np.ndarray, int]:
    """(the bits of numbers as integers, how many of them are the mantissa's)"""
    return (x.view(np.int32), 23) if x.dtype == np.float32 else (x.view(np.int64), 52)


def _root(x: np.ndarray) -> int:
    """The bits of √½."""
    return 0x3F3504F3 if x.dtype == np.float32 else 0x3FE6A09E667F3BCD


def _exponent(x: np.ndarray) -> Any:
    bits, mantissa = _bits(x)
    return (bits - _root(x)) >> mantissa


def _mantissa(x: np.ndarray) -> np.ndarray:
    bits, mantissa = _bits(x)
    return (bits - (_exponent(x) << mantissa)).view(x.dtype)


def _scale(x: np.ndarray, shifted: np.ndarray) -> np.ndarray:
    """x 2^n, n in the last bits of ``shifted``; where it is no number, x is none either."""
    bits, mantissa = _bits(shifted)
    n = bits - _bits(np.asarray(1.5 * 2**mantissa, shifted.dtype))[0]
    return np.ldexp(x, np.where(np.isnan(x), 0, n).astype(np.int32)).astype(x.dtype)


ON_BITS: dict[str, Any] = {
    "scale": _scale,
    "mantissa": _mantissa,
    "exponent": lambda x: _exponent(x).astype(x.dtype),
    "bit0": lambda shifted: _bits(shifted)[0] & 1 != 0,
    "bit1": lambda shifted: _bits(shifted)[0] & 2 != 0,
}


def run(tape: Tape, *inputs: np.ndarray, libm: bool = False) -> list[np.ndarray]:
    """The results of a tape at arrays of one shape and dtype; exp and its kin by arithmetic, or as NumPy has them."""
    V: list[Any] = list(inputs)
    kind = V[0].dtype
    for operation, *operands in tape.steps:
        if operation == CONSTANT:
            V.append(np.full(V[0].shape, operands[0], kind))
        elif operation in FUNCTIONS and not libm:
            V += run(function(operation, kind == np.float32), V[operands[0]])
        else:
            V.append((ON_ARRAYS | ON_BITS)[operation](*(V[slot] for slot in operands)))
    return [V[slot] for slot in tape.results]


def net_input(b: np.ndarray, W: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Σ_h w_hj b_h − θ_j in the order of h, [shapes: (m, q), (q, l), (l,)]."""
    z = np.zeros((len(b), W.shape[1]), b.dtype)
    for h in range(len(W)):
        z += b[:, h, None] * W[h]
    return z - theta


def softmax(z: np.ndarray, libm: bool) -> np.ndarray:
    exponentials = run(alone("exp"), z - z.max(1, keepdims=True), libm=libm)[0]
    total = np.zeros((len(z), 1), z.dtype)
    for j in range(z.shape[1]):
        total += exponentials[:, j, None]
    return exponentials / total


def alone(name: str) -> Tape:
    """One function."""
    return Tape(("x",), ((name, 0),), (1,))


def outputs(net: Network, numbers: dict[str, np.ndarray], X: np.ndarray, libm: bool = False) -> np.ndarray:
    """Outputs for inputs [shape: (m, d)] in the dtype of the program, whose ``numbers`` are by name those of the scale,
    and the parameters in that dtype."""
    net = net if net.dtype == X.dtype else as_dtype(net, X.dtype)
    with np.errstate(all="ignore"):
        b = X
        if "input_offset" in numbers:
            b = (b - numbers["input_offset"]) / numbers["input_factor"]
        for name, W, theta in zip((*net.hidden, net.output), net.weights, net.thresholds, strict=True):
            z = net_input(b, W, theta)
            b = softmax(z, libm) if name == "softmax" else run(activation(name, False), z, libm=libm)[0]
        if "target_offset" in numbers:
            b = b * numbers["target_factor"] + numbers["target_offset"]
    return b


def as_dtype(net: Network, dtype: Any) -> Network:
    """The same network without its scale, in another dtype."""
    return Network(net.sizes, net.parameters, hidden=net.hidden, output=net.output, dtype=dtype)
