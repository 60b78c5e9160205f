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
    "both": "{} & {}",
    "either": "{} | {}",
    "not": "not_({})",
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
