"""What formulas are made of: functions that give numbers for numbers and nodes for what is being recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import graph
from ..graph import variable
from ..maths import formulas
from ..maths.formulas import Number

Function = Callable[..., Any]
__all__ = ["variable"]


def _of_one(name: str, of_number: Function, of_array: Any = None) -> Function:
    """A function of the module ``graph`` that takes numbers and arrays too."""
    of_node = getattr(graph, name)

    def function(x: Number) -> Number:
        if isinstance(x, graph.Expression | graph.Condition):
            return of_node(x)
        if isinstance(x, np.ndarray):
            with np.errstate(all="ignore"):
                return np.vectorize(of_number, otypes=[float])(x) if of_array is None else of_array(x)
        return of_number(x if isinstance(x, np.floating) else float(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = of_node.__doc__
    return function


def _value(formula: Function) -> Function:
    return lambda z: formula(z)[0]


exp = _of_one("exp", formulas.exp, np.exp)
log = _of_one("log", formulas.log, np.log)
log1p = _of_one("log1p", formulas.log1p, np.log1p)
sqrt = _of_one("sqrt", formulas.sqrt, np.sqrt)
tanh = _of_one("tanh", formulas.tanh_of, np.tanh)
sin = _of_one("sin", formulas.sin_of, np.sin)
cos = _of_one("cos", formulas.cos_of, np.cos)
sigmoid = _of_one("sigmoid", _value(formulas.sigmoid))
softplus = _of_one("softplus", _value(formulas.softplus))
softsign = _of_one("softsign", _value(formulas.softsign))
relu = _of_one("relu", _value(formulas.relu))
leaky_relu = _of_one("leaky_relu", _value(formulas.leaky_relu))


def select(condition: Any, a: Number, b: Number) -> Number:
    """``a`` where the condition holds, else ``b``; conditions are joined by ``&``, ``|`` and ``~``.

    Examples
    --------
    >>> from bpjit.formulas import select
    >>> select(2 > 1, 3.0, 4.0)
    3.0
    """
    if isinstance(condition, graph.Condition):
        return graph.select(condition, a, b)
    if isinstance(condition, np.ndarray):
        return np.where(condition, a, b)
    if not isinstance(condition, bool | np.bool_):
        return graph.select(condition, a, b)  # which says what is wrong
    return a if condition else b


def maximum(a: Number, b: Number) -> Number:
    """The larger of two; where they are equal its slope is ½ by each."""
    return _of_two(graph.maximum, np.maximum, a, b)


def minimum(a: Number, b: Number) -> Number:
    """The smaller of two; where they are equal its slope is ½ by each."""
    return _of_two(graph.minimum, np.minimum, a, b)


def _of_two(of_nodes: Function, of_arrays: Any, a: Number, b: Number) -> Number:
    if isinstance(a, graph.Expression | graph.Condition) or isinstance(b, graph.Expression | graph.Condition):
        return of_nodes(a, b)
    value = of_arrays(a, b)
    return value if isinstance(value, np.ndarray) or isinstance(a, np.floating) else float(value)
