"""Numbers that note what is done to them: the plain formulas, and the functions of SIMD numbers, run on them and leave
a tape.

A function is run with its own code, but words such as ``exp`` and ``select`` mean here what notes them. Beyond the
operations of other tapes there are those that look at the bits of a number: "scale", "mantissa", "exponent", "bit0",
"bit1", as ``kernels.simd.functions`` says of them.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels.layout import CROSS_ENTROPY
from ..kernels.simd.functions import _MADE as OF_VECTORS
from ..kernels.switches import _terms as terms_of_kernels
from ..maths import formulas
from ..maths.own import activation_formula, is_of_net_input, loss_formula
from ..maths.tape import Tape
from ..own.steps import Steps, opposite

FUNCTIONS = ("exp", "tanh", "log", "log1p", "sin", "cos")  # that C has in its libm only; in the order of the vectors'


class Noted:
    """A number that stands in a slot of steps."""

    def __init__(self, steps: Steps, slot: int) -> None:
        self._steps, self.slot = steps, slot

    def other(self, value: Any) -> int:
        """The slot of another number, which may be a constant."""
        return value.slot if isinstance(value, Noted) else self._steps.constant(float(value))

    def _made(self, slot: int) -> Noted:
        return Noted(self._steps, slot)

    def apply(self, operation: str, *others: Noted) -> Noted:
        """A step as it stands."""
        return self._made(self._steps.apply(operation, self.slot, *(each.slot for each in others)))

    def like(self, value: float) -> Noted:
        return self._made(self._steps.constant(float(value)))

    def __add__(self, other: Any) -> Noted:
        return self._made(self._steps.add(self.slot, self.other(other)))

    def __sub__(self, other: Any) -> Noted:
        return self._made(self._steps.subtract(self.slot, self.other(other)))

    def __mul__(self, other: Any) -> Noted:
        return self._made(self._steps.multiply(self.slot, self.other(other)))

    def __truediv__(self, other: Any) -> Noted:
        return self._made(self._steps.divide(self.slot, self.other(other)))

    def __neg__(self) -> Noted:
        return self._made(self._steps.negate(self.slot))

    def __abs__(self) -> Noted:
        return self.apply("absolute")

    def __lt__(self, other: Any) -> Truth:
        return Truth(self._steps.compare("less", self.slot, self.other(other)))

    def __le__(self, other: Any) -> Truth:
        return Truth(self._steps.compare("at_most", self.slot, self.other(other)))

    def __gt__(self, other: Any) -> Truth:
        return Truth(self._steps.compare("less", self.other(other), self.slot))

    def __ge__(self, other: Any) -> Truth:
        return Truth(self._steps.compare("at_most", self.other(other), self.slot))

    def __eq__(self, other: Any) -> Any:
        return (self <= other) & (self >= other)

    __hash__ = None  # type: ignore[assignment]

    def chosen(self, condition: Truth, otherwise: Noted) -> Noted:
        """This number where the condition holds."""
        return self._made(self._steps.choose(condition.holds, self.slot, otherwise.slot))


class Truth:
    """A condition, as ``Steps`` know it."""

    def __init__(self, holds: Any) -> None:
        self.holds = holds

    def __and__(self, other: Truth) -> Truth:
        return Truth(("both", self.holds, other.holds))

    def __or__(self, other: Truth) -> Truth:
        return Truth(("either", self.holds, other.holds))

    def __invert__(self) -> Truth:
        return Truth(opposite(self.holds))


def _applied(operation: str) -> Callable[[Noted], Noted]:
    return lambda z: z.apply(operation)


def _polynomial(x: Noted, coefficients: Sequence[float]) -> Noted:
    """Σ c_i x^i in the order in which the vectors take it."""
    terms = [x.like(c) for c in coefficients]
    while len(terms) > 1:
        last = terms[-1:] if len(terms) % 2 else []
        terms = [high * x + low for low, high in zip(terms[::2], terms[1::2], strict=False)] + last
        x = x * x
    return terms[0]


_MACHINE = {
    "like": lambda z, value: z.like(value),
    "select": lambda condition, a, b: a.chosen(condition, b),
    **{name: _applied(name.removesuffix("_of")) for name in ("exp", "log", "log1p", "tanh_of", "sin_of", "cos_of")},
    "sqrt": _applied("sqrt"),
    "finite": _applied("finite"),
}
_PARTS = {  # what functions of SIMD numbers are made of; a product and a sum are rounded each
    "_fma": lambda a, b, c: a * b + c,
    "_polynomial": _polynomial,
    "_scale": lambda x, shifted, n: x.apply("scale", shifted),
    "_mantissa_and_exponent": lambda x: (x.apply("mantissa"), x.apply("exponent")),
    "_is_odd": lambda shifted, bit: Truth(shifted.apply(f"bit{bit}").slot),
    "any_lane": lambda condition: True,
    "_scalar_sin": lambda x: x.like(np.nan),
    "_scalar_cos": lambda x: x.like(np.nan),
}


def _noting(function: Any, scope: dict[str, Any]) -> Any:
    """A function with its own code, in which these words, also inside the functions that it closes over, note."""
    cells = tuple(
        types.CellType(_noting(cell.cell_contents, scope))
        if isinstance(cell.cell_contents, types.FunctionType)
        else cell
        for cell in function.__closure__ or ()
    )
    words = {**function.__globals__, **scope}
    return types.FunctionType(function.__code__, words, function.__name__, function.__defaults__, cells)


def _words() -> dict[str, Any]:
    words: dict[str, Any] = {**_MACHINE, **_PARTS}
    noting = {each.__name__: _noting(each, _MACHINE) for each in formulas.ALL}
    return words | {"formulas": types.SimpleNamespace(**noting | _MACHINE)}


_WORDS = _words()


def record(function: Callable[..., Any], *inputs: str, results: int | None = None) -> Tape:
    """What a formula does with numbers; of its results the first ones, or all."""
    steps = Steps(inputs)
    noted = _noting(function, _WORDS)(*(Noted(steps, slot) for slot in range(len(inputs))))
    slots = [each.slot for each in (noted if isinstance(noted, tuple) else (noted,))]
    return steps.tape(*slots[:results])


# --- What networks are made of.


@functools.cache
def activation(name: str, slope: bool) -> Tape:
    """z to f(z), with ``slope`` to (f(z), f'(z))."""
    return record(activation_formula(name), "z", results=2 if slope else 1)


@functools.cache
def function(name: str, single: bool) -> Tape:
    """One of ``FUNCTIONS`` by arithmetic alone, as vectors compute it, in float32 or float64."""
    return record(OF_VECTORS[single][FUNCTIONS.index(name)], "x")


def terms(loss: str, softmax: bool) -> Tape:
    """(z, b, slope, y) of an output unit to (share of E_k, g_j, shared), as ``kernels.switches.terms_of``."""
    code, words = CROSS_ENTROPY, _WORDS
    if loss != "cross_entropy":
        formula, code = _noting(loss_formula(loss), _WORDS), CROSS_ENTROPY + 1
        words = _WORDS | {"lose": lambda code, y_hat, y: formula(y_hat, y)}
        if is_of_net_input(loss):
            return record(lambda z, b, slope, y: (*formula(z, y), z.like(0)), "z", "b", "slope", "y")
    noting = _noting(terms_of_kernels, words)
    return record(lambda z, b, slope, y: noting(code, softmax, z, b, slope, y), "z", "b", "slope", "y")
