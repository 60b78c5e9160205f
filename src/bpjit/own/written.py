"""A tape written out for people, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import Expression, variable
from ..graph.expression import operate
from ..maths.tape import CONSTANT, Tape


def expression_of(tape: Tape, letters: Sequence[str] = (), result: int = 0) -> Expression:
    """One result of a tape as an expression of ``bpjit.graph``, in variables of these names. A product with a
    reciprocal is written as the quotient that it is."""
    nodes: list[Any] = [variable(name) for name in letters or tape.inputs]
    for operation, *rest in tape.steps:
        if operation == CONSTANT:
            nodes.append(Expression(CONSTANT, constant=rest[0]))
        elif operation == "finite":
            nodes.append(nodes[rest[0]])
        else:
            nodes.append(_node(operation, [nodes[slot] for slot in rest]))
    found: Expression = nodes[tape.results[result]]
    return found


def _node(operation: str, operands: list[Any]) -> Any:
    if operation == "multiply":
        for one, other in (operands, operands[::-1]):
            over = other.operands[0] if other.operation == "divide" else other
            if over.operation == CONSTANT and over is not other and over.constant == 1:
                return operate("divide", one, other.operands[1])
    return operate(operation, *operands)


def written(tape: Tape, letters: Sequence[str] = (), result: int = 0) -> str:
    """One result of a tape as text, such as ``z / (1 + exp(-z))``."""
    return str(expression_of(tape, letters, result))
