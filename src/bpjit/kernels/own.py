"""Formulas of the user's own, as kernels see them: *markers*, values without content whose type says which formula is
meant, so that it is compiled in.

A marker is a named tuple of zeros of a class that is made for its formula and carries it. Where numbers lie in records,
the name of that class is the name of a field. Either way the machine code on disk is named by what the formula does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..maths.own import Own
from ..maths.tape import derivative, function_of
from ..settings.rules import RULES, OwnRule, Rule
from .jit import inline

PREFIX = "own_"
FORMULA = "own_formula"  # the attribute of a marker's class
TAPE = "own_tape"  # another: what the formula of an activation or a loss was written from
OWN_RULE = len(RULES)  # the code of every rule that is none of ours

_CLASSES: dict[str, Any] = {}


def __getattr__(name: str) -> Any:
    """The class of a marker: machine code on disk names it so."""
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _marker(name: str, length: int, formula: Any) -> Any:
    if name not in _CLASSES:
        made: Any = NamedTuple(name, [(f"zero{k}", int) for k in range(length)])
        made.__module__ = __name__
        # As tuples all would be equal, to caches too.
        made.__eq__, made.__ne__ = lambda a, b: type(a) is type(b), lambda a, b: type(a) is not type(b)
        made.__hash__ = lambda a: hash(name)
        setattr(made, FORMULA, formula)
        _CLASSES[name] = made
    return _CLASSES[name](*(0,) * length)


class OwnFormula(NamedTuple):
    """What the marker of an activation or a loss carries."""

    formula: Callable[..., Any]
    of_net_input: bool


@functools.cache
def marker(own: Own) -> Any:
    """What stands for an activation or a loss of the user's own."""
    function, of = inline(function_of(own.tape)), "z" if own.of_net_input else "output"
    if own.role == "activation":
        made = _marker(f"{PREFIX}activation_{own.tape.fingerprint}", 1, function)
    else:
        made = _marker(f"{PREFIX}loss_of_{of}_{own.tape.fingerprint}", 1, OwnFormula(function, own.of_net_input))
    setattr(type(made), TAPE, own.tape)
    return made


@functools.cache
def _kind_of(rule: type[OwnRule]) -> Any:
    for function in (rule.step, rule.prepare):
        inline(function)
    return _marker(f"{PREFIX}rule_{rule.form.fingerprint}", OWN_RULE, rule)


def kind_of(rule: type[Rule]) -> tuple[int, ...]:
    """A rule as a tuple as long as its code; one of the user's own with a class of its own."""
    kind: tuple[int, ...] = _kind_of(rule) if issubclass(rule, OwnRule) else (0,) * rule.code
    return kind


def is_marker(kind: Any) -> bool:
    """Whether a value, or a type of Numba, is that of a formula of the user's own."""
    return hasattr(getattr(kind, "instance_class", type(kind)), FORMULA)


def has_own(loss: Any) -> bool:
    """Whether a loss, over all targets or over those known, is the user's own."""
    return is_marker(loss) or (isinstance(loss, types.BaseAnonymousTuple) and is_marker(loss.types[0]))


def formula_of(kind: Any) -> Any:
    """What a marker, or its type, or its class, stands for."""
    cls = kind if isinstance(kind, type) else getattr(kind, "instance_class", type(kind))
    return getattr(cls, FORMULA)


@functools.cache
def derivative_of(cls: Any) -> Callable[..., Any]:
    """What a marker of this class stands for, derived once more: f'' of an activation, and of a loss the slope of its
    last result."""
    return inline(function_of(derivative(getattr(cls, TAPE))))


def own_among(activations: Sequence[str]) -> list[Own]:
    """Those of the user's own, each formula once, in the order in which Numba has the fields that name them: it sorts
    the fields of a record that lie in one place."""
    found = {type(marker(name)).__name__: name for name in activations if isinstance(name, Own)}
    return [found[name] for name in sorted(found)]


def markers_of(activations: Sequence[str]) -> tuple[Any, ...] | None:
    """The markers of those of the user's own, or None where there are none."""
    return tuple(map(marker, own_among(activations))) or None


def with_own(dtype: np.dtype, activations: Sequence[str]) -> np.dtype:
    """The dtype of records of layers, whose type names the activations of the user's own too."""
    return with_classes(dtype, [type(marker(own)) for own in own_among(activations)])


def with_classes(dtype: np.dtype, markers: Sequence[Any]) -> np.dtype:
    """The same for the classes of markers: they are fields that take no room."""
    if not markers:
        return dtype
    assert dtype.names is not None
    assert dtype.fields is not None
    fields: dict[str, Any] = {name: dtype.fields[name][:2] for name in dtype.names}
    fields |= {each.__name__: (np.dtype(np.int64), 0) for each in markers}
    formats, offsets = zip(*fields.values(), strict=True)
    kind = {"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize, "aligned": True}
    return np.dtype(kind)  # type: ignore[call-overload]


def own_in(layer: Any) -> list[Any]:
    """The classes of the markers that something names in its type: a value, or a type of Numba. It is a record of
    layers, an array of them, or has ``own``: markers, or such an array."""
    if isinstance(layer, types.BaseNamedTuple):
        return own_in(layer.types[layer.fields.index("own")])
    if isinstance(layer, types.BaseAnonymousTuple):
        layer = tuple(layer.types)
    if isinstance(layer, tuple) and not hasattr(layer, "own"):
        return [getattr(each, "instance_class", type(each)) for each in layer]
    if hasattr(layer, "own") and not isinstance(layer, (np.ndarray, np.void)):
        return own_in(layer.own)
    record = getattr(layer, "dtype", layer)
    names = getattr(record, "fields", None) or ()
    return [_CLASSES[name] for name in names if name.startswith(PREFIX)]
