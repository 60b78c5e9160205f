"""The operations of a computational graph, each once, on plain numbers: (a, b) -> (value, ∂/∂a, ∂/∂b).

Like ``formulas.py``, whose activations are operations too, it knows nothing of graphs, arrays or machines. An operation
on one number takes a second one and leaves it alone. Outside its domain an operation gives NaN or infinity, as NumPy
does, and raises nothing.
"""

from __future__ import annotations

from typing import Any

from . import formulas
from .formulas import Number, like, select


def add(a: Number, b: Number) -> Number:
    """a + b, with slopes 1 and 1."""
    return a + b, like(a, 1), like(a, 1)


def subtract(a: Number, b: Number) -> Number:
    """a − b, with slopes 1 and −1."""
    return a - b, like(a, 1), like(a, -1)


def multiply(a: Number, b: Number) -> Number:
    """a b, with slopes b and a."""
    return a * b, b, a


def divide(a: Number, b: Number) -> Number:
    """a/b, with slopes 1/b and −a/b²."""
    value = a / b
    return value, like(a, 1) / b, -value / b


def power(a: Number, b: Number) -> Number:
    """a^b, with slopes b a^(b−1), which is 0 for b = 0, and a^b log a, which is 0 where a^b is."""
    zero, value = like(a, 0), a**b
    return (
        value,
        select(b == zero, zero, b * a ** (b - like(a, 1))),
        select(value == zero, zero, value * formulas.log(a)),
    )


def maximum(a: Number, b: Number) -> Number:
    """The larger of a and b, with slope 1 by it and 0 by the other; where they are equal ½ by each, as central
    differences have it. NaN passes through."""
    share = larger(a, b)
    return select(a >= b, a, select(b > a, b, a + b)), share, like(a, 1) - share


def minimum(a: Number, b: Number) -> Number:
    """The smaller of a and b; slopes as for the maximum."""
    share = larger(b, a)
    return select(a <= b, a, select(b < a, b, a + b)), share, like(a, 1) - share


def larger(a: Number, b: Number) -> Number:
    """1 where a is larger than b, ½ where they are equal, 0 where it is smaller."""
    return select(a > b, like(a, 1), select(a < b, like(a, 0), like(a, 0.5)))


def negate(a: Number, b: Number) -> Number:
    """−a, with slope −1."""
    return -a, like(a, -1), like(a, 0)


def absolute(a: Number, b: Number) -> Number:
    """|a|, with the sign of a as its slope, 0 at 0."""
    zero = like(a, 0)
    return abs(a), select(a > zero, like(a, 1), select(a < zero, like(a, -1), a)), zero


def exp(a: Number, b: Number) -> Number:
    """e^a, its own slope."""
    value = formulas.exp(a)
    return value, value, like(a, 0)


def log(a: Number, b: Number) -> Number:
    """log a, with slope 1/a."""
    return formulas.log(a), like(a, 1) / a, like(a, 0)


def log1p(a: Number, b: Number) -> Number:
    """log(1 + a), with slope 1/(1 + a)."""
    one = like(a, 1)
    return formulas.log1p(a), one / (one + a), like(a, 0)


def sqrt(a: Number, b: Number) -> Number:
    """√a, with slope 1/(2√a), infinite at 0."""
    value = formulas.sqrt(a)
    return value, like(a, 0.5) / value, like(a, 0)


def cos(a: Number, b: Number) -> Number:
    """cos a, with slope −sin a."""
    return formulas.cos_of(a), -formulas.sin_of(a), like(a, 0)


def less(a: Number, b: Number) -> Number:
    """1 where a < b, else 0. A condition has no slope."""
    return truth(a < b, a)


def at_most(a: Number, b: Number) -> Number:
    """1 where a ≤ b, else 0."""
    return truth(a <= b, a)


def both(a: Number, b: Number) -> Number:
    """1 where both conditions hold, else 0."""
    return truth(a * b != like(a, 0), a)


def either(a: Number, b: Number) -> Number:
    """1 where one of two conditions holds, or both, else 0."""
    return truth(a + b != like(a, 0), a)


def opposite(a: Number, b: Number) -> Number:
    """1 where the condition does not hold, else 0."""
    return truth(a == like(a, 0), a)


def truth(condition: Any, a: Number) -> Number:
    """(1 where the condition holds, else 0; slopes 0 and 0)."""
    zero = like(a, 0)
    return select(condition, like(a, 1), zero), zero, zero


def choice(condition: Number, a: Number, b: Number) -> Number:
    """a where the condition, 1 or 0, holds, else b: (value, ∂/∂a, ∂/∂b). One slope is 1, the other 0."""
    zero, one = like(a, 0), like(a, 1)
    holds = condition != like(condition, 0)
    return select(holds, a, b), select(holds, one, zero), select(holds, zero, one)


def along(derivative: Number, slope: Number) -> Number:
    """One factor more of the chain rule. A path that holds a factor 0 counts 0, whatever comes before or after it: a
    branch that a maximum leaves out adds nothing, even at a point where its own slope is infinite."""
    zero = like(slope, 0)
    return select(derivative == zero, zero, select(slope == zero, zero, derivative * slope))


BINARY = (add, subtract, multiply, divide, power, maximum, minimum)
UNARY = (negate, absolute, exp, log, sqrt, cos, log1p)
CONDITIONS = (less, at_most, both, either, opposite)
ALL = BINARY + UNARY + CONDITIONS + (larger, truth, choice, along)
