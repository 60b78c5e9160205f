"""A tape printed as the lines of a function in a language of C's family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from ..maths.tape import CONSTANT, Tape

CONDITIONS = ("less", "at_most", "bit0", "bit1")
OPERATORS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "negate": "-{}",
    "less": "{} < {}",
    "at_most": "{} <= {}",
    "select": "{} ? {} : {}",
}


class Language(NamedTuple):
    """What of a language a tape needs."""

    number: Callable[[float], str]  # a literal that is exact
    declare: str  # "const double", before a name and its value
    condition: str  # the same for a condition
    functions: dict[str, str]  # what is called for an operation that is no operator


def expressions(tape: Tape, language: Language) -> tuple[list[str], list[str]]:
    """(declarations, texts of the results). What is used once stands where it is used."""
    uses = Counter(slot for operation, *rest in tape.steps if operation != CONSTANT for slot in rest)
    uses.update(tape.results)
    texts, lines = list(tape.inputs), []
    for operation, *rest in tape.steps:
        if operation == CONSTANT:
            number = language.number(rest[0])
            texts.append(f"({number})" if number.startswith("-") else number)
            continue
        operands = [texts[slot] for slot in rest]
        if operation in OPERATORS:
            text = OPERATORS[operation].format(*operands)
        else:
            text = f"{language.functions[operation]}({', '.join(map(without_brackets, operands))})"
        if uses[len(texts)] > 1:
            name = f"v{len(texts)}"
            kind = language.condition if operation in CONDITIONS else language.declare
            lines.append(f"{kind} {name} = {text};")
            text = name
        texts.append(f"({text})" if (operation in OPERATORS and " " in text) or text.startswith("-") else text)
    return lines, [without_brackets(texts[slot]) for slot in tape.results]


def without_brackets(text: str) -> str:
    """An expression without brackets around the whole of it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and place < len(text) - 1:
            return text
    return text[1:-1] if text.startswith("(") else text


def unused(tape: Tape) -> list[str]:
    """The inputs that no result needs."""
    used = {slot for operation, *rest in tape.steps if operation != CONSTANT for slot in rest} | set(tape.results)
    return [name for slot, name in enumerate(tape.inputs) if slot not in used]
