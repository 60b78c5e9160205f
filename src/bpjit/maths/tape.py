"""Formulas as data: a *tape* lists what a formula of the user's own does with numbers, step by step.

A tape is what is left of a formula once it has been recorded. It compares, pickles and has a fingerprint; the function
that it stands for is written from it, in the words of ``formulas``, and so runs on every machine that they run on.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import formulas

# What each operation is in Python, from the texts of its operands.
WORDS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negate": "-{}",
    "absolute": "abs({})",
    "exp": "exp({})",
    "log": "log({})",
    "log1p": "log1p({})",
    "sqrt": "sqrt({})",
    "tanh": "tanh_of({})",
    "sin": "sin_of({})",
    "cos": "cos_of({})",
    "finite": "finite({})",  # the largest number instead of infinity
    "less": "{} < {}",  # from here on conditions
    "at_most": "{} <= {}",
    "select": "select({}, {}, {})",  # a condition, a number where it holds, one where it does not
}
CONSTANT = "constant"


class Tape(NamedTuple):
    """A formula: numbers come in, each step makes one more, some of them come out.

    Slots count the inputs first, then the steps. ``steps`` are ("constant", value) or (operation, slot, ...), each
    after what it needs, none twice.
    """

    inputs: tuple[str, ...]  # names, as the source has them
    steps: tuple[tuple[Any, ...], ...]
    results: tuple[int, ...]  # slots

    @property
    def fingerprint(self) -> str:
        """16 digits that no other tape has; names do not count."""
        steps = [(operation, *map(repr, rest)) for operation, *rest in self.steps]
        content = repr((len(self.inputs), steps, self.results)).encode()
        return hashlib.blake2b(content, digest_size=8).hexdigest()


def lines_of(tape: Tape, names: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """(the lines of a function, the texts of what it returns), whose arguments are ``names``, or the tape's own."""
    texts, lines = list(names or tape.inputs), []
    kind = texts[0]
    for operation, *operands in tape.steps:
        name = f"v{len(texts)}"
        if operation == CONSTANT:
            lines.append(f"{name} = like({kind}, {float(operands[0])!r})")
        else:
            lines.append(f"{name} = {WORDS[operation].format(*(texts[slot] for slot in operands))}")
        texts.append(name)
    return lines, [texts[slot] for slot in tape.results]


@functools.cache
def function_of(tape: Tape) -> Callable[..., Any]:
    """The formula as a function of numbers of any kind; several results are a tuple."""
    return inlined(tape, "formula", ", ".join(tape.inputs), tape.inputs)


def inlined(
    tape: Tape, name: str, arguments: str, given: Sequence[str], result: Callable[[list[str]], str] = ", ".join
) -> Callable[..., Any]:
    """A function of these ``arguments``, in which the inputs of the formula are ``given``, that returns what ``result``
    makes of the texts of the results."""
    lines, results = lines_of(tape, given)
    text = [f"def {name}({arguments}):", *lines, f"return {result(results)}"]
    scope: dict[str, Any] = {"__name__": __name__, "inf": float("inf"), "nan": float("nan")}
    scope |= {helper.__name__: helper for helper in formulas.MACHINE}
    exec("\n    ".join(text), scope)
    function: Callable[..., Any] = scope[name]
    return function


# --- The derivative of a tape.


def derivative(tape: Tape) -> Tape:
    """∂/∂x of the last result, x being the first input: every step takes its slope along. Of an activation's tape that
    is f'', of a loss's the slope of −∂E_k/∂ŷ_j. As in ``own``, of a choice only the branch taken counts, and e^x has
    the largest number as its slope where it is infinite."""
    steps = list(tape.steps)
    first = len(tape.inputs)

    def write(operation: str, *operands: Any) -> int:
        steps.append((operation, *operands))
        return first + len(steps) - 1

    along: list[int | None] = [write(CONSTANT, 1.0), *[None] * (first - 1)]  # None is 0
    for slot, (operation, *operands) in enumerate(tape.steps, first):
        moved = [None] if operation == CONSTANT else [along[each] for each in operands]
        straight = all(each is None for each in moved) or operation not in ALONG
        along.append(None if straight else ALONG[operation](write, slot, operands, moved))
    last = _or_zero(write, along[tape.results[-1]])
    return Tape(tape.inputs, tuple(steps), (last,))


def _sum(write: Any, a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else write("add", a, b)


def _times(write: Any, a: int, b: int | None) -> int | None:
    return None if b is None else write("multiply", a, b)


def _minus(write: Any, a: int | None) -> int | None:
    return None if a is None else write("negate", a)


def _or_zero(write: Any, a: int | None) -> int:
    return write(CONSTANT, 0.0) if a is None else a


def _absolute(write: Any, v: int, x: Any, d: Any) -> int:
    return write("select", write("less", x[0], write(CONSTANT, 0.0)), write("negate", d[0]), d[0])


def _tanh(write: Any, v: int, x: Any, d: Any) -> int:
    return write("multiply", write("subtract", write(CONSTANT, 1.0), write("multiply", v, v)), d[0])


ALONG: dict[str, Callable[..., int | None]] = {  # (write, value, operands, their slopes) -> slope
    "add": lambda write, v, x, d: _sum(write, *d),
    "subtract": lambda write, v, x, d: _sum(write, d[0], _minus(write, d[1])),
    "multiply": lambda write, v, x, d: _sum(write, _times(write, x[1], d[0]), _times(write, x[0], d[1])),
    "divide": lambda write, v, x, d: write("divide", _sum(write, d[0], _minus(write, _times(write, v, d[1]))), x[1]),
    "negate": lambda write, v, x, d: write("negate", d[0]),
    "absolute": _absolute,
    "exp": lambda write, v, x, d: write("multiply", write("finite", v), d[0]),
    "log": lambda write, v, x, d: write("divide", d[0], x[0]),
    "log1p": lambda write, v, x, d: write("divide", d[0], write("add", write(CONSTANT, 1.0), x[0])),
    "sqrt": lambda write, v, x, d: write("divide", d[0], write("add", v, v)),
    "tanh": _tanh,
    "sin": lambda write, v, x, d: write("multiply", write("cos", x[0]), d[0]),
    "cos": lambda write, v, x, d: write("negate", write("multiply", write("sin", x[0]), d[0])),
    "finite": lambda write, v, x, d: d[0],
    "select": lambda write, v, x, d: write("select", x[0], _or_zero(write, d[1]), _or_zero(write, d[2])),
}
