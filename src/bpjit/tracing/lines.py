"""What equations are made of: numbers, sums, symbols with their indices, lines and blocks of lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from .notation import Names, Style

MOST_ROWS, MOST_TERMS = 12, 6


@dataclass(frozen=True)
class Row:
    """One line: a symbol and what it equals, again and again."""

    symbol: str
    parts: tuple[str, ...]
    sign: str = "="  # before the first part


@dataclass(frozen=True)
class Matrix:
    """A matrix, with a name for each row and each column; without a symbol its rows are vectors by these names."""

    symbol: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: tuple[tuple[str, ...], ...]


@dataclass
class Block:
    """A heading with the lines below it: formulas, matrices, equations. ``level`` is 1 for a step, 2 for a sample, 3
    for a group of equations."""

    level: int
    title: str
    rows: list[Row] = field(default_factory=list)
    formulas: list[tuple[str, str]] = field(default_factory=list)  # words, and a formula beside them
    note: str = ""
    matrices: list[Matrix] = field(default_factory=list)


def number(x: float, style: Style) -> str:
    """A number with the digits wanted."""
    text = format(float(x) + 0.0, f".{style.digits}g")
    if "e" in text:
        mantissa, exponent = text.split("e")
        return rf"{mantissa}\cdot 10^{{{int(exponent)}}}"
    return text


def factor(x: float, style: Style) -> str:
    """A number where a sign or a power of ten needs parentheses."""
    text = number(x, style)
    return f"({text})" if text.startswith("-") or "cdot" in text else text


def product(factors: Sequence[float], style: Style) -> str:
    return r"\cdot ".join(factor(x, style) for x in factors)


def shortened(terms: Sequence[str], style: Style) -> list[str]:
    """These terms of a sum, or if there are many the first and the last."""
    if style.full or len(terms) <= MOST_TERMS:
        return list(terms)
    return [*terms[:3], r"\dots ", terms[-1]]


def added(terms: Sequence[str], style: Style) -> str:
    return " + ".join(shortened(terms, style))


def group(title: str, rows: Iterable[Row], count: int, style: Style) -> Block:
    """A block of equations, cut where it gets long."""
    shown = list(rows if style.full else islice(rows, MOST_ROWS))
    left = count - len(shown)
    return Block(
        3, title, shown, note=style.say("{count} more left out; full=True shows them", count=left) if left else ""
    )


def titled(words: str, names: Names, style: Style) -> str:
    """A heading that names the layer, such as "updates, hidden layer 2"."""
    if names.is_output:
        return style.say(f"{words}, outputs")
    if names.layers == 2:
        return style.say(f"{words}, hidden layer")
    return style.say(f"{words}, hidden layer {{n}}", n=names.index + 1)
