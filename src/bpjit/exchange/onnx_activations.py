"""Activations in the operators of ONNX: how they are written, and so how they are recognised.

A pattern is ``Z``, the net input; a number; or (operator, patterns...). Operators that ONNX Runtime has no float64
kernel for are put together from others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ..maths.own import SHIPPED, Own, find
from ..maths.tape import CONSTANT, Tape
from ..own.shipped import shipped

Z = "z"
Pattern = Any
SMALL = ("Exp", ("Neg", ("Abs", Z)))  # e^−|z|


def log1p(u: Pattern) -> Pattern:
    """log(1 + u) to the last digits (Kahan): u where 1 + u rounds to 1, else log(v) u/(v − 1) with v = 1 + u."""
    v = ("Add", u, 1.0)
    less = ("Sub", v, 1.0)
    one = ("Equal", less, 0.0)
    return "Where", one, u, ("Div", ("Mul", ("Log", v), u), ("Where", one, 1.0, less))


BUILT_IN: dict[str, Pattern] = {
    "sigmoid": ("Sigmoid", Z),
    "tanh": ("Tanh", Z),
    "relu": ("Relu", Z),
    "leaky_relu": ("Where", ("LessOrEqual", Z, 0.0), ("Mul", Z, 0.01), Z),
    "softplus": ("Add", ("Relu", Z), log1p(SMALL)),
    "softsign": ("Div", Z, ("Add", ("Abs", Z), 1.0)),
    "identity": ("Identity", Z),
    "sin": ("Sin", Z),
    "step": ("Where", ("Less", Z, 0.0), 0.0, 1.0),
    "softmax": ("Softmax", Z),
}
OTHERS: tuple[tuple[str, Pattern], ...] = (  # as others write them; what their attributes must be is in ``of_onnx``
    ("leaky_relu", ("LeakyRelu", Z)),
    ("softplus", ("Softplus", Z)),
    ("softsign", ("Softsign", Z)),
    ("sigmoid", ("Div", 1.0, ("Add", 1.0, ("Exp", ("Neg", Z))))),
    ("elu", ("Elu", Z)),
    ("gelu", ("Gelu", Z)),
    ("silu", ("Swish", Z)),
    ("silu", ("Mul", Z, ("Sigmoid", Z))),
    ("exp", ("Exp", Z)),
)
OPERATORS = {  # of what a tape does
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "negate": "Neg",
    "absolute": "Abs",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "sin": "Sin",
    "cos": "Cos",
    "less": "Less",
    "at_most": "LessOrEqual",
    "select": "Where",
}
Write = Callable[[str, list[Any]], Any]  # (operator, operands, names or numbers) -> the name of what it gives


def write(activation: str, z: str, apply: Write) -> Any:
    """Write an activation of the net input called ``z``, each operator by ``apply``; returns what its result is
    called."""
    if isinstance(activation, Own):
        return _write_tape(activation.tape, z, apply)
    return _write_pattern(BUILT_IN[activation], z, apply, {})


def _write_pattern(pattern: Pattern, z: Any, apply: Write, known: dict[Pattern, Any]) -> Any:
    if not isinstance(pattern, tuple):
        return z if pattern is Z else pattern
    if pattern not in known:
        known[pattern] = apply(pattern[0], [_write_pattern(each, z, apply, known) for each in pattern[1:]])
    return known[pattern]


def _write_tape(tape: Tape, z: Any, apply: Write) -> Any:
    """f(z), the first result of a tape, and no more of it."""
    needed, first = {tape.results[0]}, len(tape.inputs)
    for slot in range(first + len(tape.steps) - 1, first - 1, -1):
        operation, *operands = tape.steps[slot - first]
        if slot in needed and operation != CONSTANT:
            needed.update(operands)
    values: dict[int, Any] = {0: z}
    for slot, (operation, *operands) in enumerate(tape.steps, first):
        if slot not in needed:
            continue
        if operation == CONSTANT:
            values[slot] = float(operands[0])
            continue
        given = [values[operand] for operand in operands]
        if operation == "log1p":
            values[slot] = _write_pattern(log1p(Z), given[0], apply, {})
        elif operation == "finite":
            values[slot] = apply("Min", [given[0], math.inf])  # the writer knows the largest number
        else:
            values[slot] = apply(OPERATORS[operation], given)
    return values[tape.results[0]]


def patterns(names: list[Any]) -> Iterator[tuple[str, Pattern]]:
    """What may be recognised: built-in activations, those that come with the library, and formulas of the user's own
    that are among ``names`` and known in this process. Larger ones stand first, for they may hold smaller ones."""
    owns = [find("activation", name) or shipped("activation", name) for name in (*SHIPPED["activation"], *names)]
    tapes = [(own, _pattern_of(own.tape)) for own in dict.fromkeys(owns) if isinstance(own, Own)]
    found = [*tapes, *BUILT_IN.items(), *OTHERS]
    yield from sorted(((name, pattern) for name, pattern in found if pattern is not None), key=lambda at: -size(at[1]))


def _pattern_of(tape: Tape) -> Pattern | None:
    """A tape as a pattern; None if it has too many steps written out in full."""

    def apply(operator: str, operands: list[Any]) -> Any:
        made = (operator, *operands)
        if size(made) > MOST:
            raise OverflowError
        return made

    try:
        return _write_tape(tape, Z, apply)
    except OverflowError:
        return None


MOST = 200  # operators and operands of a pattern


def size(pattern: Pattern) -> int:
    """How many operators and operands it has."""
    return 1 + sum(map(size, pattern[1:])) if isinstance(pattern, tuple) else 1
