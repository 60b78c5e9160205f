"""The nodes of computational graphs: how operators build them, and what a user asks of them.

``bpjit.graph`` is the door to them; ``program.py`` has the sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..common.arguments import as_numbers, as_real, describe
from ..common.plain import printable
from .compiled import Compiled
from .of_numpy import of_numpy
from .program import CHOICE, CONSTANT, VARIABLE, Program
from .sweep import Sweep


class _OfNumpy:
    """What NumPy's functions do with expressions and conditions."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **settings: Any) -> Any:
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return of_numpy(operate, name, inputs, settings)

    def __array_function__(self, function: Any, types: Any, inputs: Any, settings: Any) -> Any:
        return of_numpy(operate, function.__name__, inputs, settings)


class Expression(_OfNumpy):
    """A node of a computational graph: a variable, a number, or an operation on other nodes. It never changes.

    Made by ``variables``, by + − * / ** and abs() with numbers on either side, and by the functions of ``bpjit.graph``
    or NumPy's. Comparisons make a ``Condition``.

    Attributes
    ----------
    operation : "variable", "constant", or what the node does with its operands, such as "multiply" or "sigmoid"
    operands : the nodes that it needs
    name : what it is called in tables and pictures, None for v1, v2, ...

    Examples
    --------
    >>> from bpjit import graph
    >>> x, y = graph.variables("x y")
    >>> f = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
    >>> f
    Expression((x ** 2 + y - 11) ** 2 + (x + y ** 2 - 7) ** 2)
    >>> f.evaluate(x=1, y=1), f.gradient(x=1, y=1)
    (106.0, {'x': -46.0, 'y': -38.0})
    """

    __slots__ = ("_program", "constant", "name", "operands", "operation")

    def __init__(
        self, operation: str, operands: tuple[Any, ...] = (), constant: float = 0.0, name: str | None = None
    ) -> None:
        self.operation, self.operands, self.constant, self.name = operation, operands, constant, name
        self._program: Program | None = None

    def named(self, name: str) -> Expression:
        """The same operation under a name, for tables and pictures."""
        if self.operation in (VARIABLE, CONSTANT):
            raise ValueError(f"named: expected an operation, got {self!r}, whose name stands for its value")
        return Expression(self.operation, self.operands, name=as_name("named", name))

    # --- Building.

    def __add__(self, other: Any) -> Expression:
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Expression:
        # sum() begins with 0 + a, which is a
        return self if type(other) is int and other == 0 else binary("add", other, self)

    def __sub__(self, other: Any) -> Expression:
        return binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return binary("subtract", other, self)

    def __mul__(self, other: Any) -> Expression:
        return binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return binary("divide", other, self)

    def __pow__(self, other: Any) -> Expression:
        return binary("power", self, other)

    def __rpow__(self, other: Any) -> Expression:
        return binary("power", other, self)

    def __neg__(self) -> Expression:
        return Expression("negate", (self,))

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return Expression("absolute", (self,))

    def __lt__(self, other: Any) -> Condition:
        return compare("less", self, other)

    def __le__(self, other: Any) -> Condition:
        return compare("at_most", self, other)

    def __gt__(self, other: Any) -> Condition:
        return compare("less", other, self)

    def __ge__(self, other: Any) -> Condition:
        return compare("at_most", other, self)

    def __eq__(self, other: Any) -> Any:
        """A condition beside a number or another node; a node is found in lists and dictionaries by itself."""
        if isinstance(other, (Expression, int, float, np.number)):
            return compare("at_most", self, other) & compare("at_most", other, self)
        return NotImplemented

    def __ne__(self, other: Any) -> Any:
        same = self.__eq__(other)
        return same if same is NotImplemented else ~same

    __hash__ = object.__hash__

    # --- What Python asks of a number, and an expression is none yet.

    def __bool__(self) -> bool:
        raise TypeError(NEITHER)

    def __float__(self) -> float:
        raise TypeError(NO_NUMBER)

    __int__ = __index__ = __complex__ = __round__ = __trunc__ = __floor__ = __ceil__ = __float__

    # --- Evaluating.

    @property
    def program(self) -> Program:
        """The graph below this node as a list of instructions, made once."""
        if self._program is None:
            self._program = Program(self)
        return self._program

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in the order in which the expression mentions them."""
        return tuple(self.program.variables)

    def evaluate(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> Any:
        """The value where the variables have these values.

        Parameters
        ----------
        values, named : a number for each variable, or arrays, which are broadcast and run compiled

        Returns
        -------
        float, or an array of the shape that the values have together

        Raises
        ------
        ValueError, TypeError : a variable without a value, or a value without a variable

        Examples
        --------
        >>> from bpjit import graph
        >>> a, b = graph.variables("a b")
        >>> e = (a + b) * (b + 1)
        >>> e.evaluate(a=2, b=1), e({"a": 2, "b": 1}), e(a=[2, 3], b=1)
        (6.0, 6.0, array([6., 8.]))
        """
        given = self._values(values, named)
        if all(np.ndim(value) == 0 for value in given):
            return float(
                self.program.evaluate([_as_number(*pair) for pair in self._pairs(given)])[0][self.program.root]
            )
        arrays = [as_numbers(name, value, "numbers") for name, value in self._pairs(given)]
        try:
            X = np.stack(np.broadcast_arrays(*arrays), -1).astype(np.float64)
        except ValueError:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(self.variables, arrays, strict=True))
            raise ValueError(f"values: expected shapes that can be broadcast together, got {shapes}") from None
        return self.compile()(X)

    __call__ = evaluate

    def sweep(self, values: Mapping[str, float] | None = None, /, **named: float) -> Sweep:
        """A reverse sweep: ∂e/∂node for every node, in one pass from e down to the variables.

        ``values`` and ``named`` are a number for each variable. The ``Sweep`` knows the value and the derivative of
        every node, shows itself as a table, and draws the graph.
        """
        program, point = self.program, self._point(values, named)
        slots, locals_ = program.evaluate(point)
        return Sweep(program, "reverse", program.root, slots, program.reverse(locals_), program.edges(locals_))

    def forward(self, by: str | Expression, values: Mapping[str, float] | None = None, /, **named: float) -> Sweep:
        """A forward sweep: ∂node/∂by for every node and one variable ``by``, from the variables up to e.

        Examples
        --------
        >>> from bpjit import graph
        >>> a, b = graph.variables("a b")
        >>> e = (a + b) * (b + 1)
        >>> e.forward(b, a=2, b=1)[e]
        5.0
        """
        program, point = self.program, self._point(values, named)
        variable = self.variables.index(program.as_variable("by", by))
        slots, locals_ = program.evaluate(point)
        return Sweep(program, "forward", variable, slots, program.forward(locals_, variable), program.edges(locals_))

    def gradient(self, values: Mapping[str, float] | None = None, /, **named: float) -> dict[str, float]:
        """∂e/∂variable for every variable, by one reverse sweep."""
        return self.sweep(values, **named).gradient

    def compile(self, *order: str | Expression) -> Compiled:
        """The expression as a function of points, run by compiled code; see ``Compiled``.

        ``order`` is that of the variables in a point, all of them; without it, the order of ``variables``.
        """
        return Compiled(self, order)

    def _values(self, values: Mapping[str, Any] | None, named: dict[str, Any]) -> list[Any]:
        """A value for each variable, in their order."""
        if values is not None and not isinstance(values, Mapping):
            raise TypeError(f"values: expected a dictionary of numbers, got {describe(values)}")
        given = {self.program.as_variable("values", name): value for name, value in (values or {}).items()} | {
            self.program.as_variable("values", name): value for name, value in named.items()
        }
        missing = [name for name in self.variables if name not in given]
        if missing:
            raise ValueError(
                f"values: expected a value for each of {', '.join(self.variables)}, got none for {', '.join(missing)}"
            )
        return [given[name] for name in self.variables]

    def _point(self, values: Mapping[str, float] | None, named: dict[str, float]) -> list[float]:
        return [_as_number(*pair) for pair in self._pairs(self._values(values, named))]

    def _pairs(self, values: list[Any]) -> list[tuple[str, Any]]:
        return list(zip(self.variables, values, strict=True))

    def __repr__(self) -> str:
        return f"Expression({self})"

    @printable
    def __str__(self) -> str:
        return self.program.text()


class Condition(_OfNumpy):
    """What may hold or not: a comparison of expressions, or several joined by & (and), | (or), ~ (not).

    ``graph.select`` chooses by it.

    Examples
    --------
    >>> from bpjit import graph
    >>> x, y = graph.variables("x y")
    >>> inside = (x > 0) & ~(x + y >= 1)
    >>> inside
    Condition((x > 0) & ~(x + y >= 1))
    >>> graph.select(inside, x * y, 0).gradient(x=0.25, y=0.5)
    {'x': 0.5, 'y': 0.25}
    """

    __slots__ = ("constant", "name", "operands", "operation")

    def __init__(self, operation: str, operands: tuple[Any, ...]) -> None:
        self.operation, self.operands, self.constant, self.name = operation, operands, 0.0, None

    def __and__(self, other: Any) -> Condition:
        return Condition("both", (self, as_condition("&", other)))

    def __or__(self, other: Any) -> Condition:
        return Condition("either", (self, as_condition("|", other)))

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> Condition:
        return Condition("opposite", (self,))

    def __bool__(self) -> bool:
        raise TypeError(NEITHER)

    def __float__(self) -> float:
        raise TypeError("a condition is no number; select(condition, 1.0, 0.0) makes one of it")

    def __repr__(self) -> str:
        return f"Condition({self})"

    @printable
    def __str__(self) -> str:
        return Program(self).text()


def _as_number(name: str, value: Any) -> float:
    """A value of a variable; NaN and infinity pass, as in NumPy."""
    if isinstance(value, (float, np.floating)):
        return float(value)
    return as_real(name, value)


def as_name(argument: str, name: Any) -> str:
    if not isinstance(name, str) or not name or any(c.isspace() for c in name) or name[0] in "-0123456789.":
        error = ValueError if isinstance(name, str) else TypeError
        raise error(
            f"{argument}: expected a name without spaces that does not begin like a number, got {describe(name)}"
        )
    return name


def as_expression(name: str, value: Any) -> Expression:
    if isinstance(value, Expression):
        return value
    if isinstance(value, Condition):
        float(value)
    return Expression(CONSTANT, constant=as_real(name, value))


def binary(operation: str, a: Any, b: Any) -> Expression:
    return Expression(operation, (as_expression("operand", a), as_expression("operand", b)))


def as_condition(name: str, value: Any) -> Condition:
    """A condition, or one that always holds or never does."""
    if isinstance(value, Condition):
        return value
    if isinstance(value, (bool, np.bool_)):
        return Condition("less", (as_expression(name, 0), as_expression(name, int(value))))
    raise TypeError(f"{name}: expected a condition such as x > 0, got {describe(value)}")


def compare(operation: str, a: Any, b: Any) -> Condition:
    return Condition(operation, (as_expression("operand", a), as_expression("operand", b)))


def choose(condition: Any, a: Any, b: Any) -> Expression:
    return Expression(CHOICE, (as_condition("condition", condition), as_expression("a", a), as_expression("b", b)))


NEITHER = (
    "an expression is neither true nor false before it is evaluated: instead of if, and, or, not, a < b < c, max, min "
    "write select(condition, a, b), &, |, ~, (a < b) & (b < c), maximum, minimum of bpjit.formulas or bpjit.graph"
)
NO_NUMBER = (
    "an expression is no number before it is evaluated: instead of math.exp, float, int, round and the like write the "
    "functions of bpjit.formulas or bpjit.graph, such as exp, or NumPy's"
)


def operate(operation: str, *operands: Any) -> Any:
    """The node of an operation, from expressions, conditions and numbers."""
    if operation == CHOICE:
        return choose(*operands)
    if operation in ("less", "at_most"):
        return compare(operation, *operands)
    if operation in ("both", "either", "opposite"):
        return Condition(operation, tuple(as_condition("operand", each) for each in operands))
    return Expression(operation, tuple(as_expression("operand", each) for each in operands))
