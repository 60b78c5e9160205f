"""What NumPy's functions make of expressions and conditions, beside single numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..common.arguments import describe

Operate = Callable[..., Any]  # makes the node of an operation from its name and its operands

# A function of NumPy's: the operation that it is, or what makes it of others.
OPERATIONS = {name: name for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")}
OPERATIONS |= {name: name for name in ("exp", "log", "log1p", "sqrt", "sin", "cos", "tanh")}
OPERATIONS |= {
    "float_power": "power",
    "negative": "negate",
    "absolute": "absolute",
    "fabs": "absolute",
    "less": "less",
    "less_equal": "at_most",
    "logical_and": "both",
    "bitwise_and": "both",
    "logical_or": "either",
    "bitwise_or": "either",
    "logical_not": "opposite",
    "invert": "opposite",
    "where": "select",
}
MADE_OF_THEM: dict[str, Callable[..., Any]] = {
    "positive": lambda operate, a: a,
    "square": lambda operate, a: operate("multiply", a, a),
    "reciprocal": lambda operate, a: operate("divide", 1.0, a),
    "greater": lambda operate, a, b: operate("less", b, a),
    "greater_equal": lambda operate, a, b: operate("at_most", b, a),
    "equal": lambda operate, a, b: operate("both", operate("at_most", a, b), operate("at_most", b, a)),
    "not_equal": lambda operate, a, b: operate("either", operate("less", a, b), operate("less", b, a)),
    "clip": lambda operate, a, low, high: operate("minimum", operate("maximum", a, low), high),
}
OF_ANYTHING: dict[str, Any] = {"ndim": 0, "shape": (), "size": 1}  # what they say of one number


def of_numpy(operate: Operate, name: str, inputs: Sequence[Any], settings: Mapping[str, Any]) -> Any:
    """What the function of NumPy of this name makes of ``inputs``."""
    if name in OF_ANYTHING:
        return OF_ANYTHING[name]
    known = sorted({*OPERATIONS, *MADE_OF_THEM})
    if name not in known:
        raise TypeError(f"numpy.{name}: not for expressions; those functions of NumPy that are: {', '.join(known)}")
    if settings:
        raise TypeError(f"numpy.{name}: expected no {', '.join(settings)} beside an expression")
    array = next((each for each in inputs if isinstance(each, (np.ndarray, list, tuple)) and np.ndim(each)), None)
    if array is not None:
        raise TypeError(f"numpy.{name}: expected single numbers beside an expression, got {describe(array)}")
    if name in OPERATIONS:
        return operate(OPERATIONS[name], *inputs)
    return MADE_OF_THEM[name](operate, *inputs)
