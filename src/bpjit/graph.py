"""Computational graphs: scalar expressions whose partial derivatives come from one sweep, as back-propagation does it.

The worked-example text explains BP as the chain rule on such a graph, with e = (a + b)(b + 1). Variables and numbers
are joined by + − * / ** and the functions of this module; every node is computed once, however many others use it. A
reverse sweep goes from e down to the variables once and gives ∂e/∂node for every node; a forward sweep goes up from one
variable and gives ∂node/∂variable for that variable alone. Outside a function's domain the value is NaN or infinity, as
in NumPy: log(0) is −∞, log(−1) is NaN, 1/0 is ∞.

>>> from bpjit import graph
>>> a, b = graph.variables("a b")
>>> c, d = (a + b).named("c"), (b + 1).named("d")
>>> e = (c * d).named("e")
>>> print(e.sweep(a=2, b=1))
node  formula  value  ∂e/∂node  by the chain rule
----  -------  -----  --------  -----------------
e     c * d    6      1         1
d     b + 1    2      3         1·3
c     a + b    3      2         1·2
b              1      5         2·1 + 3·1
a              2      2         2·1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .arguments import as_array, as_choice, as_numbers, as_real, describe
from .program import CONSTANT, VARIABLE, Program
from .sweep import Sweep

__all__ = [
    "Compiled",
    "Expression",
    "Sweep",
    "cos",
    "exp",
    "leaky_relu",
    "log",
    "maximum",
    "minimum",
    "relu",
    "sigmoid",
    "sin",
    "softplus",
    "softsign",
    "sqrt",
    "step",
    "tanh",
    "variable",
    "variables",
]


class Expression:
    """A node of a computational graph: a variable, a number, or an operation on other nodes. It never changes.

    Made by ``variables``, by + − * / ** and abs() with numbers on either side, and by the functions of ``bpjit.graph``.

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
    __array_ufunc__ = None  # NumPy's numbers leave a * b to b

    def __init__(
        self, operation: str, operands: tuple[Expression, ...] = (), constant: float = 0.0, name: str | None = None
    ) -> None:
        self.operation, self.operands, self.constant, self.name = operation, operands, constant, name
        self._program: Program | None = None

    def named(self, name: str) -> Expression:
        """The same operation under a name, for tables and pictures."""
        if self.operation in (VARIABLE, CONSTANT):
            raise ValueError(f"named: expected an operation, got {self!r}, whose name stands for its value")
        return Expression(self.operation, self.operands, name=_as_name("named", name))

    # --- Building.

    def __add__(self, other: Any) -> Expression:
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Expression:
        # sum() begins with 0 + a, which is a
        return self if type(other) is int and other == 0 else _binary("add", other, self)

    def __sub__(self, other: Any) -> Expression:
        return _binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return _binary("subtract", other, self)

    def __mul__(self, other: Any) -> Expression:
        return _binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return _binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return _binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return _binary("divide", other, self)

    def __pow__(self, other: Any) -> Expression:
        return _binary("power", self, other)

    def __rpow__(self, other: Any) -> Expression:
        return _binary("power", other, self)

    def __neg__(self) -> Expression:
        return Expression("negate", (self,))

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return Expression("absolute", (self,))

    def __bool__(self) -> bool:
        raise TypeError("an expression is neither true nor false before it is evaluated; graph.maximum can choose")

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
        variable = self.variables.index(_as_variable("by", by, self.variables))
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
        given = {_as_variable("values", name, self.variables): value for name, value in (values or {}).items()} | {
            _as_variable("values", name, self.variables): value for name, value in named.items()
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

    def __str__(self) -> str:
        return self.program.text()


class Compiled:
    """An expression as a function of points, run by compiled code: the graph is a list of instructions, which one
    kernel, compiled once for all graphs, runs at all points side by side.

    Attributes
    ----------
    expression : what is computed
    variables : names of the variables, in the order of a point's numbers

    Examples
    --------
    >>> from bpjit import graph
    >>> a, b = graph.variables("a b")
    >>> e = ((a + b) * (b + 1)).compile(a, b)
    >>> e([[2, 1], [0, 3]])
    array([ 6., 12.])
    >>> e.gradient([2, 1])
    array([2., 5.])
    """

    def __init__(self, expression: Expression, order: Sequence[str | Expression] = ()) -> None:
        names = expression.variables
        chosen = tuple(_as_variable("order", name, names) for name in order) or names
        if sorted(chosen) != sorted(names):
            raise ValueError(f"order: expected each of {', '.join(names)} once, got {', '.join(chosen)}")
        self.expression, self.variables = expression, chosen
        self._program = expression.program
        self._places = [chosen.index(name) for name in names]

    def __call__(self, points: Any) -> Any:
        """The values, [shape: (...)], at points, [shape: (..., variables)]; a float for a single point."""
        X, shape = self._points(points)
        V, _ = self._program.run(X)
        return _shaped(V[self._program.root], shape)

    def gradient(self, points: Any) -> np.ndarray:
        """∂e/∂variable, [shape: (..., variables)], by a reverse sweep at each point."""
        X, shape = self._points(points)
        _, D = self._program.run(X, "reverse")
        return D[self._places_of_variables()].T.reshape(*shape, len(self.variables))

    def derivative(self, by: str | Expression, points: Any) -> Any:
        """∂e/∂by, [shape: (...)], by a forward sweep at each point."""
        name = _as_variable("by", by, self.variables)
        X, shape = self._points(points)
        _, D = self._program.run(X, "forward", self._program.variables.index(name))
        return _shaped(D[self._program.root], shape)

    def derivatives(self, points: Any) -> dict[str, Any]:
        """∂e/∂node, [shape: (...)], for every node by its name, by a reverse sweep at each point."""
        X, shape = self._points(points)
        _, D = self._program.run(X, "reverse")
        return {self._program.names[slot]: _shaped(D[slot], shape) for slot in self._program.shown}

    def _points(self, points: Any) -> tuple[np.ndarray, tuple[int, ...]]:
        n = len(self.variables)
        expected = f"numbers of shape (..., {n}), for {', '.join(self.variables)}"
        X = as_array("points", points, np.dtype(np.float64), expected, finite=False)
        if X.ndim == 0 or X.shape[-1] != n:
            raise ValueError(f"points: expected {expected}, got shape {X.shape}")
        return X.reshape(-1, n)[:, self._places], X.shape[:-1]

    def _places_of_variables(self) -> list[int]:
        return [self._program.variables.index(name) for name in self.variables]

    def __repr__(self) -> str:
        return f"Compiled({self.expression}, of {', '.join(self.variables)})"


def _shaped(values: np.ndarray, shape: tuple[int, ...]) -> Any:
    return values.reshape(shape) if shape else float(values[0])


def _as_number(name: str, value: Any) -> float:
    """A value of a variable; NaN and infinity pass, as in NumPy."""
    if isinstance(value, (float, np.floating)):
        return float(value)
    return as_real(name, value)


def _as_name(argument: str, name: Any) -> str:
    if not isinstance(name, str) or not name or any(c.isspace() for c in name) or name[0] in "-0123456789.":
        error = ValueError if isinstance(name, str) else TypeError
        raise error(
            f"{argument}: expected a name without spaces that does not begin like a number, got {describe(name)}"
        )
    return name


def _as_variable(argument: str, variable: Any, names: Sequence[str]) -> str:
    """The name of one of the variables."""
    if isinstance(variable, Expression) and variable.operation == VARIABLE:
        variable = variable.name
    return as_choice(argument, variable, names)


def _as_expression(name: str, value: Any) -> Expression:
    if isinstance(value, Expression):
        return value
    return Expression(CONSTANT, constant=as_real(name, value))


def _binary(operation: str, a: Any, b: Any) -> Expression:
    return Expression(operation, (_as_expression("operand", a), _as_expression("operand", b)))


# --- Where expressions come from.


def variable(name: str) -> Expression:
    """One variable. Two of the same name are the same variable."""
    return Expression(VARIABLE, name=_as_name("name", name))


def variables(names: str) -> tuple[Expression, ...]:
    """Several variables, from their names with spaces or commas between them.

    Examples
    --------
    >>> from bpjit import graph
    >>> w1, w2 = graph.variables("w1 w2")
    >>> graph.sigmoid(3 * w1 + w2).evaluate(w1=0, w2=0)
    0.5
    """
    if not isinstance(names, str) or not names.replace(",", " ").split():
        raise TypeError(f'names: expected names in one string, such as "a b", got {describe(names)}')
    return tuple(variable(name) for name in names.replace(",", " ").split())


def exp(x: Expression | float) -> Expression:
    """e^x."""
    return Expression("exp", (_as_expression("x", x),))


def log(x: Expression | float) -> Expression:
    """The natural logarithm."""
    return Expression("log", (_as_expression("x", x),))


def sqrt(x: Expression | float) -> Expression:
    """√x."""
    return Expression("sqrt", (_as_expression("x", x),))


def sin(x: Expression | float) -> Expression:
    """sin x, x in radians."""
    return Expression("sin", (_as_expression("x", x),))


def cos(x: Expression | float) -> Expression:
    """cos x, x in radians."""
    return Expression("cos", (_as_expression("x", x),))


def tanh(x: Expression | float) -> Expression:
    """The hyperbolic tangent."""
    return Expression("tanh", (_as_expression("x", x),))


def sigmoid(x: Expression | float) -> Expression:
    """1/(1 + e^−x)."""
    return Expression("sigmoid", (_as_expression("x", x),))


def relu(x: Expression | float) -> Expression:
    """max(0, x), with slope 0 at 0."""
    return Expression("relu", (_as_expression("x", x),))


def leaky_relu(x: Expression | float) -> Expression:
    """x for x > 0 and x/100 otherwise."""
    return Expression("leaky_relu", (_as_expression("x", x),))


def softplus(x: Expression | float) -> Expression:
    """log(1 + e^x)."""
    return Expression("softplus", (_as_expression("x", x),))


def softsign(x: Expression | float) -> Expression:
    """x/(1 + |x|)."""
    return Expression("softsign", (_as_expression("x", x),))


def step(x: Expression | float) -> Expression:
    """1 for x ≥ 0 and 0 otherwise, with slope 0 everywhere."""
    return Expression("step", (_as_expression("x", x),))


def maximum(a: Expression | float, b: Expression | float) -> Expression:
    """The larger of two; where they are equal its slope is ½ by each."""
    return _binary("maximum", a, b)


def minimum(a: Expression | float, b: Expression | float) -> Expression:
    """The smaller of two; where they are equal its slope is ½ by each."""
    return _binary("minimum", a, b)
