"""Kernels of computational graphs: a list of instructions run at many points.

An instruction is a code and the slots of its two operands, and of a condition where it is a choice between them; its
own slot follows those of the variables, the constants and the instructions before it. So one kernel, compiled once and
kept on disk, runs every graph. Index letters: k instruction, p point. All slots of a point lie in a column, so that
points lie side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..maths import operations
from ..maths.formulas import like
from ..maths.operations import along
from .jit import formula, kernel, strict, switch
from .layout import ACTIVATION_CODES, SOFTMAX
from .switches import activate

for _operation in operations.ALL:
    strict(_operation)

OF_TWO = operations.BINARY + operations.UNARY + operations.CONDITIONS

# Activations first, with the codes that layers give them.
CODES = {name: code for name, code in ACTIVATION_CODES.items() if code != SOFTMAX} | {
    operation.__name__: SOFTMAX + place for place, operation in enumerate(OF_TWO)
}
CODES["select"] = CHOICE = SOFTMAX + len(OF_TWO)


operate_two = switch(
    "operate_two",
    OF_TWO,
    "(value, ∂/∂a, ∂/∂b) of the operation with this code, counted from the first that is no activation.",
)


@formula
def operate(code: int, a: Any, b: Any) -> Any:
    """(value, ∂/∂a, ∂/∂b) of the operation with this code, which is no choice."""
    if code < SOFTMAX:
        value, slope = activate(code, a)
        return value, slope, like(a, 0)
    return operate_two(code - SOFTMAX, a, b)


@kernel
def evaluate(codes: np.ndarray, slots: np.ndarray, V: np.ndarray, A: np.ndarray, B: np.ndarray) -> None:
    """Values V of all slots, [shape: (slots, points)], upwards from those of variables and constants; and the local
    derivatives A and B by the left and the right operand, [shape: (instructions, points)]. ``slots`` are those of left
    operands, right ones and conditions, [shape: (3, instructions)]. Writes V, A, B."""
    first = len(V) - len(codes)
    for k in range(len(codes)):
        a, b, condition, code = slots[0, k], slots[1, k], slots[2, k], codes[k]
        if code == CHOICE:
            for p in range(V.shape[1]):
                V[first + k, p], A[k, p], B[k, p] = operations.choice(V[condition, p], V[a, p], V[b, p])
        else:
            for p in range(V.shape[1]):
                V[first + k, p], A[k, p], B[k, p] = operate(code, V[a, p], V[b, p])


@kernel
def reverse(left: np.ndarray, right: np.ndarray, A: np.ndarray, B: np.ndarray, D: np.ndarray) -> None:
    """∂e/∂slot for every slot, downwards from D[-1] = 1: each node hands its own on to its operands. Writes D."""
    first = len(D) - len(left)
    for k in range(len(left) - 1, -1, -1):
        a, b = left[k], right[k]
        for p in range(D.shape[1]):
            D[a, p] += along(D[first + k, p], A[k, p])
            D[b, p] += along(D[first + k, p], B[k, p])


@kernel
def forward(left: np.ndarray, right: np.ndarray, A: np.ndarray, B: np.ndarray, D: np.ndarray) -> None:
    """∂slot/∂x for every slot, upwards from D = 1 for the one variable x and 0 for all others. Writes D."""
    first = len(D) - len(left)
    for k in range(len(left)):
        a, b = left[k], right[k]
        for p in range(D.shape[1]):
            D[first + k, p] = along(D[a, p], A[k, p]) + along(D[b, p], B[k, p])
