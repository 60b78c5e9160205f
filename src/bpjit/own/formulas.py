"""Activations and losses of the user's own: functions that were recorded, whose slope was derived, and that stand
wherever a name may stand."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..common.arguments import as_array, describe
from ..graph.expression import Expression, as_expression
from ..maths.formulas import ACTIVATIONS, LOSSES, REACH
from ..maths.own import KNOWN, Own, find
from ..maths.tape import Tape
from ..settings.rules import RULES
from .checks import check_activation, check_loss
from .deriving import Recorded
from .functions import variable
from .recording import arguments_of, as_result, name_of, named, record, values_of
from .steps import run
from .written import expression_of, written

EVERYWHERE = (-math.inf, math.inf)
BUILT_IN = {
    "activation": (*(each.__name__ for each in ACTIVATIONS), "softmax"),
    "loss": (*(each.__name__ for each in LOSSES), "cross_entropy"),
    "rule": tuple(RULES),
}
S = TypeVar("S", bound="OfOnesOwn")


class OfOnesOwn(Own):
    """What activations and losses of one's own have in common.

    Attributes
    ----------
    values : the values of its arguments by name
    formula : what it computes, as text
    expression : the same as an expression of ``bpjit.graph``, which has sweeps and pictures

    Examples
    --------
    >>> from bpjit.formulas import silu
    >>> silu.formula, silu.expression.gradient(z=0)
    ('z / (1 + exp(-z))', {'z': 0.5})
    """

    values: dict[str, float]
    _again: Callable[..., Any] | None = None  # makes one with other values; None for what came out of a pickle
    _comes_from: tuple[Any, ...] | None = None  # what makes it in another process, if not its data

    @property
    def formula(self) -> str:
        return written(self.tape)

    @property
    def expression(self) -> Expression:
        return expression_of(self.tape)

    def __call__(self, *numbers: Any, **values: Any) -> Any:
        """The formula at numbers or arrays, or as a part of another one that is being recorded; with ``values`` alone,
        the same formula with other values."""
        if not values and not numbers:
            raise TypeError(f"{self.called}: expected {' and '.join(self.tape.inputs)}, or values, got nothing")
        if values:
            if self._again is None:
                raise ValueError(f"{self.called}: expected no values: from a pickle came the formula with these alone")
            other = self._again(**(self.values | values))
            return other(*numbers) if numbers else other
        if any(isinstance(x, Expression) for x in numbers):
            self._check_count(numbers)
            return expression_of(self.tape, [as_expression("operand", x) for x in numbers])
        return self._results(numbers)[0]

    def _results(self, numbers: tuple[Any, ...]) -> list[Any]:
        self._check_count(numbers)
        names = self.tape.inputs
        arrays = [
            as_array(name, x, np.dtype(np.float64), "numbers", finite=False)
            for name, x in zip(names, numbers, strict=True)
        ]
        results = run(self.tape, *arrays)
        return [float(each) if each.ndim == 0 else each for each in results]

    def _check_count(self, numbers: tuple[Any, ...]) -> None:
        names = self.tape.inputs
        if len(numbers) != len(names):
            raise TypeError(f"{self.called}: expected {' and '.join(names)}, got {len(numbers)} numbers")

    def __repr__(self) -> str:
        return f"{self.called}({', '.join(self.tape.inputs)}) = {self.formula}"

    def __copy__(self: S) -> S:
        return self

    def __deepcopy__(self: S, memo: Any) -> S:
        return self

    @classmethod
    def by_name(cls: type[S], own: S, name: str, comes_from: tuple[Any, ...]) -> S:
        """The same formula, for which a name alone stands, as ``comes_from`` knows in every process."""
        made = cls(name)
        made.__dict__ |= own.__dict__ | {"_comes_from": comes_from}
        KNOWN[made] = made
        return made

    def __reduce__(self) -> Any:
        if self._comes_from is not None:
            return self._comes_from
        data = (self.tape, tuple(self.values.items()), self.reach, self.of_net_input, self.output)
        return arrived, (type(self), self.called.partition("(")[0], *data)


class Activation(OfOnesOwn):
    """An activation of one's own, as ``bpjit.activation`` makes it."""

    role = "activation"

    def slope(self, z: Any) -> Any:
        """f'(z)."""
        return self._results((z,))[1]


class Loss(OfOnesOwn):
    """A loss of one's own, as ``bpjit.loss`` makes it."""

    role = "loss"

    def slope(self, y_hat: Any, y: Any) -> Any:
        """∂E_k/∂ŷ_j, or ∂E_k/∂z_j for a loss of the net input."""
        return 0.0 - self._results((y_hat, y))[1]  # not −0


def arrived(
    kind: type[S],
    name: str,
    tape: Tape,
    values: tuple[tuple[str, float], ...],
    reach: tuple[float, float],
    of_net_input: bool,
    output: str | None,
) -> S:
    """A formula from its data; it is known from then on."""
    called = name + (f"({', '.join(f'{key}={_shown(value)}' for key, value in values)})" if values else "")
    own = kind(f"{called}#{_fingerprint(tape, reach, of_net_input, output)}")
    known = KNOWN.get(own)
    if isinstance(known, kind):
        return known
    own.tape, own.values, own.reach, own.of_net_input, own.output = tape, dict(values), reach, of_net_input, output
    KNOWN[own] = own
    return own


def _shown(value: float) -> str:
    """A number with all its digits."""
    return repr(value).removesuffix(".0")


def _fingerprint(tape: Tape, reach: tuple[float, float], of_net_input: bool, output: str | None) -> str:
    if (reach, of_net_input, output) == (EVERYWHERE, False, None):
        return tape.fingerprint
    content = tape.fingerprint, reach, of_net_input, str(output)  # whose repr has not all its digits
    return hashlib.blake2b(repr(content).encode(), digest_size=8).hexdigest()


def as_called(role: str, name: Any, function: Any) -> str:
    """What a formula is called: ``name``, else what its function is."""
    if name is None:
        own = name_of(function)
        if own in BUILT_IN[role]:
            raise ValueError(f'name: expected one for a function called {own}, which is built in: name="my_{own}", say')
        return own if own.isidentifier() else role
    if not isinstance(name, str) or not name or any(c in "#()," or c.isspace() for c in name):
        error = ValueError if isinstance(name, str) else TypeError
        raise error(f"name: expected a name without spaces, commas, brackets and #, got {describe(name)}")
    return name


def _recorded(role: str, called: str, function: Any, inputs: tuple[str, ...], slope: Any, given: Any) -> Tape:
    """The formula with its slope, derived or as given; that of a loss with the sign of its gradient term."""
    seed = 1.0 if role == "activation" else -1.0
    recorded, numbers = Recorded(inputs, inputs[0]), [variable(name) for name in inputs]
    value = as_result(called, record(called, function, numbers, given), inputs)
    with named(called):
        root = recorded.write(value)
    if slope is None:
        return recorded.steps.tape(recorded.slot(root), recorded.derivative(root, seed))
    most = 2 if role == "activation" else len(inputs)
    count, names = arguments_of("slope", slope, len(inputs), most, given)
    of_slope = f"slope of {called}"
    chosen = {name: given[name] for name in names if name in given}
    result = as_result(of_slope, record(of_slope, slope, [*numbers, value][:count], chosen), inputs)
    with named(of_slope):
        slot = recorded.slot(recorded.write(result))
    steps = recorded.steps
    return steps.tape(recorded.slot(root), steps.multiply(steps.constant(seed), slot))


def made(kind: type[S], function: Any, slope: Any, name: Any, values: dict[str, Any], more: dict[str, Any]) -> S:
    """An activation or a loss from a function, recorded, derived, checked and known; ``more`` are its reach, whose
    limits may be functions of its values, whether it is ``of_net_input``, and its output."""
    role = kind.role
    inputs = ("z",) if role == "activation" else ("z" if more["of_net_input"] else "y_hat", "y")
    _, names = arguments_of(role, function, len(inputs), len(inputs), values)
    if slope is not None and not callable(slope):
        raise TypeError(
            f"slope: expected a function, got {describe(slope)}; an argument of that name gets its value in a call of "
            f"the result: bpjit.{role}(f)(slope={slope!r})"
        )
    called = as_called(role, name, function)
    given = values_of(called, function, names, values)
    tape = _recorded(role, called, function, inputs, slope, given)
    reach = tuple(limit(**given) if callable(limit) else limit for limit in more["reach"])
    if role == "activation":
        check_activation(called, tape, reach, slope is not None)
    else:
        output = more["output"]
        check_loss(called, tape, inputs, limits_of(output) if inputs[0] == "y_hat" else EVERYWHERE, slope is not None)
    own = arrived(kind, called, tape, tuple(given.items()), reach, more["of_net_input"], more["output"])
    own._again = lambda **others: made(kind, function, slope, name, others, more)
    return own


def limits_of(output: str | None) -> tuple[float, float]:
    """What outputs of an activation lie within."""
    own = find("activation", output)
    if own is not None:
        return own.reach
    if output == "softmax":
        return (0.0, 1.0)
    return next((reach for formula, reach in REACH.items() if formula.__name__ == output), EVERYWHERE)
