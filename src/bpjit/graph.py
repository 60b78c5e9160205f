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

from .arguments import describe
from .compiled_graph import Compiled
from .expression import Expression, as_expression, as_name, binary
from .program import VARIABLE
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


# --- Where expressions come from.


def variable(name: str) -> Expression:
    """One variable. Two of the same name are the same variable."""
    return Expression(VARIABLE, name=as_name("name", name))


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
    return Expression("exp", (as_expression("x", x),))


def log(x: Expression | float) -> Expression:
    """The natural logarithm."""
    return Expression("log", (as_expression("x", x),))


def sqrt(x: Expression | float) -> Expression:
    """√x."""
    return Expression("sqrt", (as_expression("x", x),))


def sin(x: Expression | float) -> Expression:
    """sin x, x in radians."""
    return Expression("sin", (as_expression("x", x),))


def cos(x: Expression | float) -> Expression:
    """cos x, x in radians."""
    return Expression("cos", (as_expression("x", x),))


def tanh(x: Expression | float) -> Expression:
    """The hyperbolic tangent."""
    return Expression("tanh", (as_expression("x", x),))


def sigmoid(x: Expression | float) -> Expression:
    """1/(1 + e^−x)."""
    return Expression("sigmoid", (as_expression("x", x),))


def relu(x: Expression | float) -> Expression:
    """max(0, x), with slope 0 at 0."""
    return Expression("relu", (as_expression("x", x),))


def leaky_relu(x: Expression | float) -> Expression:
    """x for x > 0 and x/100 otherwise."""
    return Expression("leaky_relu", (as_expression("x", x),))


def softplus(x: Expression | float) -> Expression:
    """log(1 + e^x)."""
    return Expression("softplus", (as_expression("x", x),))


def softsign(x: Expression | float) -> Expression:
    """x/(1 + |x|)."""
    return Expression("softsign", (as_expression("x", x),))


def step(x: Expression | float) -> Expression:
    """1 for x ≥ 0 and 0 otherwise, with slope 0 everywhere."""
    return Expression("step", (as_expression("x", x),))


def maximum(a: Expression | float, b: Expression | float) -> Expression:
    """The larger of two; where they are equal its slope is ½ by each."""
    return binary("maximum", a, b)


def minimum(a: Expression | float, b: Expression | float) -> Expression:
    """The smaller of two; where they are equal its slope is ½ by each."""
    return binary("minimum", a, b)
