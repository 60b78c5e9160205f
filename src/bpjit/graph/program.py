"""A computational graph as a list of instructions: which node stands in which slot, and what computes it.

Variables come first, then constants, then operations, each after what it needs, equal ones only once. The sweeps
through such a list stand here too: in plain Python for one point, and compiled for many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..common.arguments import as_choice
from ..kernels import graph as kernels
from ..maths.operations import along, choice

# How an operation on numbers is written; any other one as name(operands).
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}
SIGNS |= {"less": "<", "at_most": "<=", "both": "&", "either": "|"}
TURNED = {"less": ">", "at_most": ">="}  # how a comparison is written with a number on the right
# How firmly they bind their operands.
STRENGTHS = {"add": 1, "subtract": 1, "multiply": 2, "divide": 2, "power": 3}
STRENGTHS |= {"less": -2, "at_most": -2, "either": -1, "both": 0}
NAMES = {"absolute": "abs"}
BEFORE = {"negate": "-", "opposite": "~"}  # signs that stand before an operand
CHOICE = "select"
BLOCK = 1 << 20  # numbers that one kernel call computes at most: some milliseconds

CONSTANT, VARIABLE = "constant", "variable"


class Node(Protocol):
    """What a program needs to know of a node."""

    @property
    def operation(self) -> str: ...
    @property
    def operands(self) -> tuple[Any, ...]: ...
    @property
    def constant(self) -> float: ...
    @property
    def name(self) -> str | None: ...


class Local(NamedTuple):
    """One edge of the graph with its local derivative: that of the node ``above`` by the node ``below``."""

    below: int
    above: int
    derivative: float


class Root(Protocol):
    """A node with all below it, as an ``Expression`` is."""

    @property
    def variables(self) -> tuple[str, ...]: ...

    @property
    def program(self) -> Program: ...


class Program:
    """The instructions of an expression.

    Attributes
    ----------
    variables : names of the variables, in the order in which the expression mentions them
    names : the name of every slot; constants have their value for a name
    operations : the operation of each slot from ``first`` on
    codes, left, right : the instructions: code and operands' slots of each, [shape: (instructions,)]
    slots : those of left operands, right ones and conditions, [shape: (3, instructions)]
    constants : values of the slots after the variables
    """

    def __init__(self, root: Node) -> None:
        nodes = list(in_order(root))
        self._slots: dict[int, int] = {}  # id of a node -> its slot
        self._nodes = nodes  # kept, so that the ids stay theirs
        self.variables = list(dict.fromkeys(node.name or "" for node in nodes if node.operation == VARIABLE))
        values = dict.fromkeys(repr(node.constant) for node in nodes if node.operation == CONSTANT)
        leaves = {name: slot for slot, name in enumerate(self.variables)}
        constants = {value: len(leaves) + slot for slot, value in enumerate(values)}
        self.constants = np.array([float(value) for value in values])
        self.first = len(leaves) + len(constants)
        self.names = [*self.variables, *(f"{value:g}" for value in self.constants)]
        self.operations: list[str] = []
        self._operands: list[tuple[int, ...]] = []
        known: dict[tuple[Any, ...], int] = {}
        given: dict[int, str] = {}
        for node in nodes:
            if node.operation == VARIABLE:
                slot = leaves[node.name or ""]
            elif node.operation == CONSTANT:
                slot = constants[repr(node.constant)]
            else:
                operands = tuple(self._slots[id(operand)] for operand in node.operands)
                slot = known.setdefault((node.operation, *operands), self.first + len(self.operations))
                if slot == self.first + len(self.operations):
                    self.operations.append(node.operation)
                    self._operands.append(operands)
                if node.name is not None:
                    given.setdefault(slot, node.name)
            self._slots[id(node)] = slot
        self._name(given)
        self.root = self._slots[id(root)]
        self.codes = np.array([kernels.CODES[operation] for operation in self.operations], np.int64)
        # a condition comes first of three; the sweeps go along the two others
        slots = [(operands[-2:][0], operands[-1], operands[0]) for operands in self._operands]
        self.slots = np.array(slots, np.int64).reshape(-1, 3).T.copy()
        self.left, self.right = self.slots[:2]

    def _name(self, given: dict[int, str]) -> None:
        """Nodes without a name are v1, v2, ..., as the literature on such graphs calls them."""
        taken = {*self.variables, *given.values()}
        if len(taken) < len(self.variables) + len(given):
            names = [*self.variables, *given.values()]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f'name: expected a name for one node only, got "{twice}" for two different ones')
        count = 0
        for slot in range(self.first, self.first + len(self.operations)):
            name = given.get(slot)
            while name is None:
                count += 1
                name = f"v{count}" if f"v{count}" not in taken else None
            self.names.append(name)

    # --- What it consists of.

    def __len__(self) -> int:
        return self.first + len(self.operations)

    @property
    def shown(self) -> list[int]:
        """The slots of all nodes: variables and operations, upwards. Constants stand in the formulas."""
        return [*range(len(self.variables)), *range(self.first, len(self))]

    def slot(self, node: Any) -> int | None:
        """The slot of a node or of a name, None for one of another graph."""
        if isinstance(node, str):
            return next((slot for slot in self.shown if self.names[slot] == node), None)
        return self._slots.get(id(node))

    def as_variable(self, argument: str, variable: Any) -> str:
        """The name of one of the variables, given by its name or itself."""
        name = variable.name if getattr(variable, "operation", None) == VARIABLE else variable
        return as_choice(argument, name, self.variables)

    def operands(self, slot: int) -> tuple[int, ...]:
        """The slots that an operation takes, none for a variable."""
        return () if slot < self.first else self._operands[slot - self.first]

    def formula(self, slot: int, texts: Sequence[str] | None = None) -> str:
        """What a slot computes, such as ``a + b``, from the ``texts`` of all slots; nothing for a variable."""
        if slot < self.first:
            return ""
        texts = self.names if texts is None else texts
        operation, operands = self.operations[slot - self.first], self.operands(slot)
        if operation in SIGNS:
            strength = STRENGTHS[operation]
            sign = SIGNS[operation]
            if operation in TURNED and self._is_constant(operands[0]) and not self._is_constant(operands[1]):
                operands, sign = operands[::-1], TURNED[operation]
            left = self._in_brackets(operands[0], texts[operands[0]], strength + (operation == "power"))
            return f"{left} {sign} {self._in_brackets(operands[1], texts[operands[1]], strength + 1)}"
        if operation in BEFORE:
            return f"{BEFORE[operation]}{self._in_brackets(operands[0], texts[operands[0]], 3)}"
        return f"{NAMES.get(operation, operation)}({', '.join(texts[i] for i in operands)})"

    def _is_constant(self, slot: int) -> bool:
        return len(self.variables) <= slot < self.first

    def _in_brackets(self, slot: int, text: str, strength: int) -> str:
        """The text of an operand, in brackets where it binds less firmly than it must."""
        operation = self.operations[slot - self.first] if slot >= self.first else ""
        loose = text != self.names[slot] and STRENGTHS.get(operation, strength) < strength
        return f"({text})" if loose or text[0] == "-" else text

    def text(self, longest: int = 72) -> str:
        """The whole expression in its variables; parts that get long stand under their names."""
        texts = list(self.names)
        for slot in range(self.first, self.root):
            text = self.formula(slot, texts)
            texts[slot] = text if len(text) <= longest else self.names[slot]
        return self.formula(self.root, texts) or self.names[self.root]

    # --- Sweeps at one point, in plain Python.

    def evaluate(self, point: Sequence[float]) -> tuple[list[Any], list[tuple[Any, Any]]]:
        """Values of all slots, and the local derivatives of each operation by its operands; each node once."""
        values: list[Any] = [np.float64(x) for x in (*point, *self.constants)]
        locals_: list[tuple[Any, Any]] = []
        with np.errstate(all="ignore"):
            for code, a, b, condition in zip(self.codes, *self.slots, strict=True):
                if code == kernels.CHOICE:
                    value, by_a, by_b = choice(values[condition], values[a], values[b])
                else:
                    value, by_a, by_b = kernels.operate(code, values[a], values[b])
                values.append(value)
                locals_.append((by_a, by_b))
        return values, locals_

    def reverse(self, locals_: list[tuple[Any, Any]]) -> list[Any]:
        """∂e/∂slot for every slot: from the top downwards, each node hands its own on to its operands."""
        D = [np.float64(0.0)] * len(self)
        D[self.root] = np.float64(1.0)
        with np.errstate(all="ignore"):
            for k in range(len(self.operations) - 1, -1, -1):
                above, (by_a, by_b) = D[self.first + k], locals_[k]
                D[self.left[k]] += along(above, by_a)
                D[self.right[k]] += along(above, by_b)
        return D

    def forward(self, locals_: list[tuple[Any, Any]], variable: int) -> list[Any]:
        """∂slot/∂x for every slot and one variable x: from the bottom upwards."""
        D = [np.float64(0.0)] * self.first
        D[variable] = np.float64(1.0)
        with np.errstate(all="ignore"):
            for a, b, (by_a, by_b) in zip(self.left, self.right, locals_, strict=True):
                D.append(along(D[a], by_a) + along(D[b], by_b))
        return D

    def edges(self, locals_: list[tuple[Any, Any]]) -> list[Local]:
        """All edges between nodes, upwards; x·x has two edges to x."""
        edges = []
        for k, pair in enumerate(locals_):
            slopes = pair if self.operations[k] != CHOICE else (0.0, *pair)  # a condition has none
            for below, derivative in zip(self._operands[k], slopes, strict=False):
                if not self._is_constant(below):
                    edges.append(Local(below, self.first + k, float(derivative)))
        return edges

    # --- Sweeps at many points, compiled.

    def run(self, X: np.ndarray, direction: str | None = None, variable: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Values and derivatives of all slots at points X, [shape: (m, variables)], each [shape: (slots, m)].

        ``direction`` is "reverse", "forward" (by one ``variable``) or None, for values alone.
        """
        m = len(X)
        V, D = np.empty((len(self), m)), np.zeros((len(self) if direction else 0, m))
        size = max(1, BLOCK // len(self))
        for start in range(0, m, size):
            part = slice(start, min(start + size, m))
            V[:, part], D[:, part] = self._run(X[part], direction, variable)
        return V, D

    def _run(self, X: np.ndarray, direction: str | None, variable: int) -> tuple[np.ndarray, np.ndarray]:
        V = np.empty((len(self), len(X)))
        V[: len(self.variables)] = X.T
        V[len(self.variables) : self.first] = self.constants[:, None]
        A, B = np.empty((2, len(self.operations), len(X)))
        D = np.zeros((len(self) if direction else 0, len(X)))
        with np.errstate(all="ignore"):
            kernels.evaluate(self.codes, self.slots, V, A, B)
            if direction == "reverse":
                D[self.root] = 1.0
                kernels.reverse(self.left, self.right, A, B, D)
            elif direction == "forward":
                D[variable] = 1.0
                kernels.forward(self.left, self.right, A, B, D)
        return V, D


def in_order(root: Node) -> Iterable[Node]:
    """All nodes, each once and after its operands; without recursion, which deep graphs would exhaust."""
    seen: set[int] = set()
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((operand, False) for operand in reversed(node.operands) if id(operand) not in seen)
