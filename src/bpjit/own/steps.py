"""Steps of a formula as they are written down: equal ones once, what is constant computed at once.

A slot is a number's place: inputs first, then steps. A condition is a slot, or True or False where it is known, or made
of others: ("both", p, q), ("either", p, q), ("opposite", p); ``choose`` turns such a one into choices by single
comparisons. What is simplified changes no digit of a result: 1·x, x + 0, x − (−y), 2·(½x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..maths.tape import CONSTANT, Tape

Condition = Any


def finite(x: Any) -> Any:
    """The largest number instead of infinity."""
    return np.minimum(x, np.finfo(np.asarray(x).dtype).max)


# What each operation of a tape is on arrays.
ON_ARRAYS: dict[str, Any] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "absolute": np.abs,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "finite": finite,
    "less": np.less,
    "at_most": np.less_equal,
    "select": np.where,
}
IN_ANY_ORDER = ("add", "multiply")


def run(tape: Tape, *inputs: Any, dtype: Any = np.float64) -> list[np.ndarray]:
    """The results of a tape at arrays of numbers, which are broadcast together."""
    kind = np.dtype(dtype)
    V: list[Any] = list(np.broadcast_arrays(*(np.asarray(each, kind) for each in inputs)))
    with np.errstate(all="ignore"):
        for operation, *operands in tape.steps:
            if operation == CONSTANT:
                V.append(np.full(V[0].shape, operands[0], kind))
            else:
                V.append(ON_ARRAYS[operation](*(V[slot] for slot in operands)))
    return [V[slot] for slot in tape.results]


class Steps:
    """Steps being written down, after ``inputs`` of these names."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self._steps: list[tuple[Any, ...]] = []
        self._known: dict[Any, int] = {}

    def tape(self, *results: int) -> Tape:
        """What the results need, and nothing else."""
        first, needed = len(self.inputs), set(results)
        for slot in range(first + len(self._steps) - 1, first - 1, -1):
            if slot in needed and self._at(slot)[0] != CONSTANT:
                needed.update(self._at(slot)[1:])
        place = {slot: slot for slot in range(first)}
        kept: list[tuple[Any, ...]] = []
        for slot in sorted(needed - set(place)):
            operation, *rest = self._at(slot)
            place[slot] = first + len(kept)
            kept.append((operation, *(rest if operation == CONSTANT else (place[each] for each in rest))))
        return Tape(self.inputs, tuple(kept), tuple(place[slot] for slot in results))

    def _at(self, slot: int) -> tuple[Any, ...]:
        first = len(self.inputs)
        return ("input",) if slot < first else self._steps[slot - first]

    def _slot(self, step: tuple[Any, ...]) -> int:
        key = (step[0], *sorted(step[1:])) if step[0] in IN_ANY_ORDER else (step[0], *map(repr, step[1:]))
        if key not in self._known:
            self._known[key] = len(self.inputs) + len(self._steps)
            self._steps.append(step)
        return self._known[key]

    def constant(self, value: float) -> int:
        return self._slot((CONSTANT, float(value)))

    def value(self, slot: int) -> float | None:
        """The number that a slot always holds, if it does."""
        operation, *rest = self._at(slot)
        return rest[0] if operation == CONSTANT else None

    def apply(self, operation: str, *operands: int) -> int:
        """A step as it stands, or its value where its operands are constant."""
        values = [self.value(slot) for slot in operands]
        if any(value is None for value in values):
            return self._slot((operation, *operands))
        with np.errstate(all="ignore"):
            return self.constant(float(ON_ARRAYS[operation](*(np.float64(value) for value in values))))

    def _without_sign(self, slot: int) -> tuple[bool, int]:
        """(whether a slot holds −x, x)."""
        operation, *rest = self._at(slot)
        return (True, rest[0]) if operation == "negate" else (False, slot)

    # --- Arithmetic.

    def negate(self, a: int) -> int:
        signed, a = self._without_sign(a)
        return a if signed else self.apply("negate", a)

    def _signed(self, signed: bool, a: int) -> int:
        return self.negate(a) if signed else a

    def add(self, a: int, b: int) -> int:
        if 0 in (self.value(a), self.value(b)):
            return b if self.value(a) == 0 else a
        if a == b:
            return self.multiply(self.constant(2), a)
        (minus_a, x), (minus_b, y) = self._without_sign(a), self._without_sign(b)
        if minus_a and minus_b:
            return self.negate(self.add(x, y))
        if minus_a or minus_b:
            return self.subtract(b, x) if minus_a else self.subtract(a, y)
        return self.apply("add", a, b)

    def subtract(self, a: int, b: int) -> int:
        if 0 in (self.value(a), self.value(b)):
            return a if self.value(b) == 0 else self.negate(b)
        (minus_a, x), (minus_b, y) = self._without_sign(a), self._without_sign(b)
        if minus_b:
            return self.add(a, y)
        if minus_a:
            return self.negate(self.add(x, b))
        if ("subtract", repr(b), repr(a)) in self._known:
            return self.negate(self.apply("subtract", b, a))
        return self.apply("subtract", a, b)

    def multiply(self, a: int, b: int) -> int:
        (minus_a, a), (minus_b, b) = self._without_sign(a), self._without_sign(b)
        return self._signed(minus_a != minus_b, self._product(a, b))

    def _product(self, a: int, b: int) -> int:
        if self.value(a) is None and self.value(b) is not None:
            a, b = b, a
        factor, (operation, *rest) = self.value(a), self._at(b)
        if factor is None or self.value(b) is not None:
            return self.apply("multiply", a, b)
        if abs(factor) == 1:
            return self._signed(factor < 0, b)
        other = self.value(rest[0]) if operation == "multiply" else None
        if other is not None and (_is_power_of_two(factor) or _is_power_of_two(other)):
            return self.multiply(self.constant(factor * other), rest[1])
        return self.apply("multiply", a, b)

    def times(self, d: int, slope: int) -> int:
        """One factor more of the chain rule, where a factor that is always 0 makes the product 0; constant ones are
        taken together."""
        if 0 in (self.value(d), self.value(slope)):
            return self.constant(0)
        (minus_d, c, x), (minus_slope, k, y) = self._with_factor(d), self._with_factor(slope)
        x, y = self._without_growth(x, y)
        product = self.multiply(self.constant(abs(c * k)), self.multiply(x, y))
        return self._signed((minus_d != minus_slope) != (c * k < 0), product)

    def _without_growth(self, x: int, y: int) -> tuple[int, int]:
        """A product of x = x'·r, r = 1/(1 + e), and y = e as x' and 1 − r: a number less to keep, and finite where e
        is not. So the slope of a logistic function is y (1 − y), as everybody writes it."""
        (operation, *factors), (capped, *grown) = self._at(x), self._at(y)
        if operation == "multiply" and capped == "finite":
            for share, other in (factors, factors[::-1]):
                over, *parts = self._at(share)
                if over == "divide" and self.value(parts[0]) == 1:
                    below, *terms = self._at(parts[1])
                    one = self.constant(1)
                    if below == "add" and sorted(terms) == sorted((one, grown[0])):
                        return other, self.apply("subtract", one, share)
        return x, y

    def _with_factor(self, slot: int) -> tuple[bool, float, int]:
        """(whether it is negative, c, x) for a slot that holds ±c·x."""
        signed, slot = self._without_sign(slot)
        operation, *rest = self._at(slot)
        factor = self.value(rest[0]) if operation == "multiply" else self.value(slot)
        if factor is None:
            return signed, 1.0, slot
        return signed, factor, rest[1] if operation == "multiply" else self.constant(1)

    def divide(self, a: int, b: int) -> int:
        (minus_a, a), (minus_b, b) = self._without_sign(a), self._without_sign(b)
        value = a if self.value(b) == 1 else self.apply("divide", a, b)
        return self._signed(minus_a != minus_b, value)

    def reciprocal(self, a: int) -> int:
        return self.divide(self.constant(1), a)

    def power(self, a: int, exponent: float) -> int:
        """a to a constant power: by products where it is whole, by the root where it is half of an odd number."""
        if exponent == 0:
            return self.constant(1)
        if abs(exponent) <= MOST_FACTORS and (2 * exponent).is_integer():
            if exponent.is_integer():
                return self._whole_power(a if exponent > 0 else self.reciprocal(a), abs(int(exponent)))
            root = self.apply("sqrt", a)
            if exponent < 0:
                return self._whole_power(self.reciprocal(root), int(-2 * exponent))
            return root if exponent < 1 else self.multiply(self._whole_power(a, int(exponent)), root)
        return self.apply("exp", self.multiply(self.constant(exponent), self.apply("log", a)))

    def _whole_power(self, a: int, n: int) -> int:
        if n == 1:
            return a
        half = self._whole_power(a, n // 2)
        square = self.multiply(half, half)
        return self.multiply(square, a) if n % 2 else square

    # --- Choices.

    def compare(self, operation: str, a: int, b: int) -> Condition:
        x, y = self.value(a), self.value(b)
        if x is not None and y is not None:
            return x < y if operation == "less" else x <= y
        return self._slot((operation, a, b))

    def choose(self, condition: Condition, a: int, b: int) -> int:
        """a where the condition holds, else b."""
        if a == b or condition is True:
            return a
        if condition is False:
            return b
        if isinstance(condition, tuple):
            operation, p, *rest = condition
            if operation == "opposite":
                return self.choose(p, b, a)
            if operation == "both":
                return self.choose(p, self.choose(rest[0], a, b), b)
            return self.choose(p, a, self.choose(rest[0], a, b))
        a, b = self._knowing(condition, True, a), self._knowing(condition, False, b)
        (minus_a, x), (minus_b, y) = self._without_sign(a), self._without_sign(b)
        if minus_a and minus_b:
            return self.negate(self.choose(condition, x, y))
        return a if a == b else self._slot(("select", condition, a, b))

    def _knowing(self, condition: int, holds: bool, slot: int, depth: int = 8) -> int:
        """What a slot is where it is known whether a condition holds: choices by the same one are made."""
        operation, *rest = self._at(slot)
        if operation == "negate" and depth:
            return self.negate(self._knowing(condition, holds, rest[0], depth - 1))
        if operation != "select" or not depth:
            return slot
        if rest[0] == condition:
            return self._knowing(condition, holds, rest[1 if holds else 2], depth - 1)
        a, b = (self._knowing(condition, holds, each, depth - 1) for each in rest[1:])
        return slot if [a, b] == rest[1:] else a if a == b else self._slot(("select", rest[0], a, b))


MOST_FACTORS = 64


def _is_power_of_two(x: float) -> bool:
    return x != 0 and math.isfinite(x) and abs(math.frexp(x)[0]) == 0.5


def opposite(condition: Condition) -> Condition:
    if isinstance(condition, bool):
        return not condition
    if isinstance(condition, tuple) and condition[0] == "opposite":
        return condition[1]
    return ("opposite", condition)
