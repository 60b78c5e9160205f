"""Where expressions come from: variables, and functions of them."""

from __future__ import annotations

from ..common.arguments import describe
from .expression import Condition, Expression, as_expression, as_name, binary, choose
from .program import VARIABLE


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


def log1p(x: Expression | float) -> Expression:
    """log(1 + x), exact near 0."""
    return Expression("log1p", (as_expression("x", x),))


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


def select(condition: Condition | bool, a: Expression | float, b: Expression | float) -> Expression:
    """``a`` where the condition holds, else ``b``; so are their slopes, and a condition has none.

    Examples
    --------
    >>> from bpjit import graph
    >>> x = graph.variable("x")
    >>> elu = graph.select(x > 0, x, graph.exp(x) - 1)
    >>> elu
    Expression(select(x > 0, x, exp(x) - 1))
    >>> elu.evaluate(x=2), elu.gradient(x=0)
    (2.0, {'x': 1.0})
    """
    return choose(condition, a, b)
