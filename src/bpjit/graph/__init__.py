"""Computational graphs: scalar expressions whose partial derivatives come from one sweep, as back-propagation does it.

The worked-example text explains BP as the chain rule on such a graph, with e = (a + b)(b + 1). Variables and numbers
are joined by + − * / ** and the functions of this module, and ``select`` chooses by a comparison; every node is
computed once, however many others use it. A reverse sweep goes from e down to the variables once and gives ∂e/∂node for
every node; a forward sweep goes up from one variable and gives ∂node/∂variable for that variable alone. Outside a
function's domain the value is NaN or infinity, as in NumPy: log(0) is −∞, log(−1) is NaN, 1/0 is ∞.

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

from .compiled import Compiled
from .expression import Condition, Expression
from .functions import (
    cos,
    exp,
    leaky_relu,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    select,
    sigmoid,
    sin,
    softplus,
    softsign,
    sqrt,
    step,
    tanh,
    variable,
    variables,
)
from .sweep import Sweep

__all__ = [
    "Compiled",
    "Condition",
    "Expression",
    "Sweep",
    "cos",
    "exp",
    "leaky_relu",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "relu",
    "select",
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
