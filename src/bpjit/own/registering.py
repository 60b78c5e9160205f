"""``bpjit.activation`` and ``bpjit.loss``: functions and decorators."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, overload

from ..common.arguments import as_choice, describe
from ..maths.own import find
from .formulas import BUILT_IN, EVERYWHERE, Activation, Loss, made
from .shipped import NAMES, shipped


def as_reach(reach: Any) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in reach)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high:
        raise ValueError(f"reach: expected (low, high), what the activation lies within, got {describe(reach)}")
    return low, high


def as_output(output: Any) -> str:
    """The activation that a loss goes with: the name of a built-in, or one of the user's own."""
    own = find("activation", output) or shipped("activation", output)
    return own or as_choice("output", output, (*BUILT_IN["activation"], *NAMES["activation"]))


@overload
def activation(f: Callable[..., Any], /, **settings: Any) -> Activation: ...
@overload
def activation(f: None = None, /, **settings: Any) -> Callable[[Callable[..., Any]], Activation]: ...
def activation(
    f: Any = None, /, *, slope: Any = None, reach: Any = EVERYWHERE, name: str | None = None, **values: Any
) -> Any:
    """An activation of one's own from a plain function of one number, for ``hidden=`` and ``output=``.

    The function is called once, here, and what it does with its number is recorded: arithmetic, comparisons in
    ``select``, and the functions of ``bpjit.formulas``, or NumPy's. Its slope is derived from that. What was recorded
    runs on every machine, at the speed of a built-in; the function itself is not called again.

    Parameters
    ----------
    f : f(z); further arguments with a default are its values, which ``values`` or a call of the result set anew
    slope : f'(z), a function of z, or of z and f(z), where the derived one is not wanted. It is checked
    reach : (low, high), what f(z) lies within, for losses and targets that depend on it
    name : what it is called, if not as the function is; a lambda is called activation
    values : of the function's other arguments

    Returns
    -------
    Activation, or without f a decorator: a name, with a fingerprint of the formula. It can be called with numbers or
    arrays, and with values alone gives the same formula with those.

    Raises
    ------
    TypeError, ValueError : what cannot be recorded, with its line; a formula that is not a number at some z up to ±1e4,
        or whose slope is not finite there, in float64 or float32; a slope that central differences contradict

    Examples
    --------
    >>> import bpjit
    >>> from bpjit.formulas import exp
    >>> @bpjit.activation
    ... def swish(z, beta=1.0):
    ...     return z / (1 + exp(-beta * z))
    >>> swish
    swish(beta=1)(z) = z / (1 + exp(-z))
    >>> swish(2.0), swish.slope(0.0), swish(beta=2.0)
    (1.7615941559557646, 0.5, swish(beta=2)(z) = z / (1 + exp((-2) * z)))
    """
    if f is None:
        return functools.partial(activation, slope=slope, reach=reach, name=name, **values)
    more = {"reach": as_reach(reach), "of_net_input": False, "output": None}
    return made(Activation, f, slope, name, values, more)


@overload
def loss(f: Callable[..., Any], /, **settings: Any) -> Loss: ...
@overload
def loss(f: None = None, /, **settings: Any) -> Callable[[Callable[..., Any]], Loss]: ...
def loss(
    f: Any = None,
    /,
    *,
    slope: Any = None,
    of: str = "output",
    output: str | None = None,
    name: str | None = None,
    **values: Any,
) -> Any:
    """A loss of one's own from a plain function of two numbers, ŷ_j and y_j, for ``loss=``.

    E_k is the sum of what it gives over the outputs. It is recorded and derived as ``bpjit.activation`` says.

    Parameters
    ----------
    f : f(y_hat, y), or f(z, y) of the net input; further arguments with a default are its values
    slope : ∂f/∂ŷ, or ∂f/∂z, a function of the same two numbers, where the derived one is not wanted. It is checked
    of : "output", or "net_input" for a loss that takes z_j, as cross-entropy does, so that it never overflows
    output : the activation that the loss goes with; one of the net input needs it
    name : what it is called, if not as the function is; a lambda is called loss
    values : of the function's other arguments

    Returns
    -------
    Loss, or without f a decorator; as ``bpjit.activation``

    Examples
    --------
    >>> import bpjit
    >>> from bpjit.formulas import select
    >>> @bpjit.loss
    ... def asymmetric(y_hat, y, factor=3.0):
    ...     d = y - y_hat
    ...     return select(d > 0, factor, 1.0) * d * d
    >>> asymmetric(1.0, 2.0), asymmetric.slope(1.0, 2.0)
    (3.0, -6.0)
    >>> asymmetric(factor=1.0)(1.0, 2.0)
    1.0
    """
    if f is None:
        return functools.partial(loss, slope=slope, of=of, output=output, name=name, **values)
    of_net_input = as_choice("of", of, ("output", "net_input")) == "net_input"
    output = None if output is None else as_output(output)
    if of_net_input and output is None:
        raise ValueError(
            'output: expected the activation that a loss of the net input goes with, such as "identity", got None'
        )
    if of_net_input and output == "softmax":
        raise ValueError(
            'output: expected an activation of one number for a loss of the net input, got "softmax", whose outputs '
            'depend on all of them; of="output" goes with it'
        )
    more = {"reach": EVERYWHERE, "of_net_input": of_net_input, "output": output}
    return made(Loss, f, slope, name, values, more)
