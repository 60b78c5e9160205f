"""A tape written out for people: as an expression of ``bpjit.graph``, as text, in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..graph import Expression, variable
from ..graph.expression import operate
from ..graph.program import CONSTANT, VARIABLE, in_order
from ..maths.tape import Tape


def expression_of(tape: Tape, letters: str | Sequence[str] = (), result: int = 0) -> Expression:
    """One result of a tape as an expression, in variables of these names. A product with a reciprocal is written as the
    quotient that it is, and one of equal factors as a power."""
    nodes: list[Any] = [variable(name) for name in _names(letters) or tape.inputs]
    for operation, *rest in tape.steps:
        if operation == CONSTANT:
            nodes.append(Expression(CONSTANT, constant=rest[0]))
        elif operation == "finite":
            nodes.append(nodes[rest[0]])
        elif operation == "multiply":
            nodes.append(_product(*(nodes[slot] for slot in rest)))
        else:
            nodes.append(operate(operation, *(nodes[slot] for slot in rest)))
    found: Expression = nodes[tape.results[result]]
    return found


def _names(letters: str | Sequence[str]) -> Sequence[str]:
    return [letters] if isinstance(letters, str) else letters


def _product(a: Any, b: Any) -> Any:
    for one, other in ((a, b), (b, a)):
        if other.operation == "divide" and other.operands[0].operation == CONSTANT and other.operands[0].constant == 1:
            return operate("divide", one, other.operands[1])
    (base, n), (other_base, m) = _power(a), _power(b)
    return operate("power", base, n + m) if base is other_base else operate("multiply", a, b)


def _power(node: Any) -> tuple[Any, float]:
    """(base, exponent)"""
    return (node.operands[0], node.operands[1].constant) if node.operation == "power" else (node, 1.0)


def written(tape: Tape, letters: str | Sequence[str] = (), result: int = 0) -> str:
    """One result of a tape as text, such as ``z / (1 + exp(-z))``; ``letters`` are those of its inputs."""
    return str(expression_of(tape, letters, result))


# --- LaTeX.

LETTERS = {"y_hat": r"\hat{y}", "eta": r"\eta"}
LONGEST = 160  # characters of a part; longer ones get a name
SUM, PRODUCT, POWER, ATOM = range(4)  # how firmly a text binds what it is made of

FUNCTIONS: dict[str, Callable[[str], str]] = {
    "exp": lambda a: f"e^{{{a}}}",
    "sqrt": lambda a: rf"\sqrt{{{a}}}",
    "absolute": lambda a: rf"\left|{a}\right|",
    "log1p": lambda a: rf"\log\left(1 + {a}\right)",
    "log": lambda a: rf"\log\left({a}\right)",
    "tanh": lambda a: rf"\tanh\left({a}\right)",
    "sin": lambda a: rf"\sin\left({a}\right)",
    "cos": lambda a: rf"\cos\left({a}\right)",
}
COMPARISONS = {"less": ("<", ">"), "at_most": (r"\le", r"\ge")}  # as it stands, and with its sides changed


def latex(tape: Tape, letters: str | Sequence[str] = (), result: int = 0) -> str:
    """One result of a tape in LaTeX; long parts stand under names that are explained behind it."""
    names = _names(letters) or [
        LETTERS.get(name) or re.sub(r"(?<=[a-z])\d+$", r"_{\g<0>}", name) for name in tape.inputs
    ]
    plain = dict(zip(tape.inputs, names, strict=True))
    root = expression_of(tape, tape.inputs, result)
    parts: list[str] = []
    texts: dict[int, tuple[str, int]] = {}
    for node in in_order(root):
        text, strength = _in_latex(node, [texts[id(each)] for each in node.operands], plain)
        if len(text) > LONGEST and node is not root:
            parts.append(f"v_{{{len(parts) + 1}}} = {text}")
            text, strength = f"v_{{{len(parts)}}}", ATOM
        texts[id(node)] = text, strength
    return r",\ ".join([texts[id(root)][0], *parts])


def _in_latex(node: Any, operands: list[tuple[str, int]], names: dict[str, str]) -> tuple[str, int]:
    """(text, how firmly it binds)"""
    operation, plain = node.operation, [text for text, _ in operands]
    if operation == VARIABLE:
        return names[node.name], ATOM
    if operation == CONSTANT:
        return _number(node.constant), SUM if node.constant < 0 else PRODUCT if "cdot" in _number(
            node.constant
        ) else ATOM
    if operation in FUNCTIONS:
        return FUNCTIONS[operation](plain[0]), POWER if operation == "exp" else ATOM
    if operation == "divide":
        return rf"\frac{{{plain[0]}}}{{{plain[1]}}}", PRODUCT
    if operation == "power":
        return f"{_bound(operands[0], ATOM)}^{{{plain[1]}}}", POWER
    if operation == "multiply":
        left, right = (_bound(each, PRODUCT) for each in operands)
        return (rf"{left} \cdot {right}" if right[0].isdigit() else rf"{left}\,{right}"), PRODUCT
    if operation in ("add", "subtract"):
        right = _bound(operands[1], PRODUCT if operation == "subtract" or plain[1][0] == "-" else SUM)
        return f"{plain[0]} {'+' if operation == 'add' else '-'} {right}", SUM
    if operation == "negate":
        return f"-{_bound(operands[0], PRODUCT)}", SUM
    if operation == "select":
        condition, a, b = plain
        return rf"\begin{{cases}} {a} & {condition} \\ {b} & \text{{otherwise}} \end{{cases}}", SUM
    sign, turned = COMPARISONS[operation]
    if node.operands[0].operation == CONSTANT:
        return f"{plain[1]} {turned} {plain[0]}", SUM
    return f"{plain[0]} {sign} {plain[1]}", SUM


def _bound(operand: tuple[str, int], strength: int) -> str:
    """The text of an operand, in brackets where it binds less firmly than it must."""
    text, own = operand
    return text if own >= strength else rf"\left({text}\right)"


def _number(x: float) -> str:
    digits, _, exponent = f"{x:.6g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits.replace("inf", r"\infty")
