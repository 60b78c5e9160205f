"""What formulas of one's own are made of: functions of numbers, for ``bpjit.activation``, ``bpjit.loss`` and
``bpjit.rule``.

On numbers they give numbers, and what is being recorded they record. NumPy's functions of the same names serve too.

>>> from bpjit.formulas import exp, log1p, maximum
>>> exp(0.0), log1p(0.0), maximum(1.0, 2.0)
(1.0, 0.0, 2.0)

Activations and losses that have values and come with the library stand here too, to be given others: ``elu``,
``quantile``, ``huber``; and ``silu``, ``gelu``, ``log_cosh``, ``poisson``, which have none. By name alone, as in
``loss="quantile"``, they are used with their usual values.

>>> from bpjit.formulas import huber
>>> huber(delta=2.0)(0.0, [1.0, 4.0])
array([0.5, 6. ])
"""

from typing import TYPE_CHECKING, Any

from .own.functions import (
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
    tanh,
)

if TYPE_CHECKING:
    from .own.formulas import Activation, Loss

    elu: Activation
    gelu: Activation
    silu: Activation
    huber: Loss
    log_cosh: Loss
    poisson: Loss
    quantile: Loss

abs = abs  # Python's own

__all__ = [
    "abs",
    "cos",
    "elu",
    "exp",
    "gelu",
    "huber",
    "leaky_relu",
    "log",
    "log1p",
    "log_cosh",
    "maximum",
    "minimum",
    "poisson",
    "quantile",
    "relu",
    "select",
    "sigmoid",
    "silu",
    "sin",
    "softplus",
    "softsign",
    "sqrt",
    "tanh",
]

_ROLES = dict.fromkeys(("elu", "gelu", "silu"), "activation")
_ROLES |= dict.fromkeys(("huber", "log_cosh", "poisson", "quantile"), "loss")

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A formula that comes with the library, made at its first use."""
        if name not in _ROLES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .own.shipped import of

        made = globals()[name] = of(_ROLES[name], name)
        return made
