"""Rules, schedules and conditions as words of a file, which JSON can say, and back; and what differs between two sets
of settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from ..common.arguments import describe
from ..maths.own import UnknownFormula
from . import schedules, stopping
from .rules import RULES, SECOND_ORDER, OwnRule, Rule
from .rules.own import KNOWN
from .schedules import Schedule
from .stopping import Condition, StopEvent

Part = TypeVar("Part", Rule, Schedule, Condition)

ARGUMENTS: dict[type, str] = {Rule: "rule", Schedule: "eta", Condition: "stop"}  # that take such a part


def in_words(part: Rule | Schedule | Condition) -> list[Any]:
    """A rule, a schedule or a condition as a file says it: its name, in full for a rule of the user's own, and its
    settings. ``TypeError`` for what no file can say: see ``is_sayable``."""
    if not is_sayable(part):
        kind = _kind_of(part)
        raise TypeError(
            f"{ARGUMENTS[kind]}: a file holds what bpjit has or makes, no {kind.__name__.lower()} of a class of your "
            f"own and no event; got {describe(part)}"
        )
    return [_name_of(part), {field.name: getattr(part, field.name) for field in fields(part)}]


def is_sayable(part: Rule | Schedule | Condition) -> bool:
    """Whether a file can say it: not what is of a class of the user's own, nor an event."""
    return _class_of(_name_of(part), _kind_of(part)) is type(part) and not isinstance(part, StopEvent)


def from_words(words: Any, kind: type[Part]) -> Part:
    """The part of this kind, ``Rule``, ``Schedule`` or ``Condition``, that ``in_words`` said; ``UnknownFormula`` for a
    rule of the user's own that is not known here."""
    name, settings = words
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    found = _class_of(name, kind)
    if found is not None:
        return found(**settings)
    if kind is Rule and "#" in name:
        raise UnknownFormula(f"rule: {name!r} is not known here; make it first, as where it was made, by bpjit.rule")
    raise ValueError(f"expected the name of a {kind.__name__}, got {name!r}")


def _kind_of(part: Any) -> Any:
    return next(kind for kind in ARGUMENTS if isinstance(part, kind))


def _name_of(part: Any) -> str:
    if isinstance(part, OwnRule):
        return part.form.in_full
    return part.name if isinstance(part, Rule) else type(part).__name__


def _class_of(name: Any, kind: type) -> Any:
    """The class of this name, or None."""
    if kind is Rule:
        return {**RULES, **SECOND_ORDER, **KNOWN}.get(name)
    found = getattr(stopping if kind is Condition else schedules, str(name), None)
    return found if isinstance(found, type) and issubclass(found, kind) else None


# --- What differs.


def differing(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """The arguments, by name, that are others now, each with what it is and what it was; None where one is missing."""
    for argument in {**before, **now}:
        mine, theirs = now.get(argument), before.get(argument)
        arrays = isinstance(mine, np.ndarray) or isinstance(theirs, np.ndarray)
        if not (np.array_equal(mine, theirs) if arrays else mine == theirs):  # type: ignore[arg-type]
            yield argument, mine, theirs


def check_same(now: Mapping[str, Any], before: Mapping[str, Any], made: str, instead: str) -> None:
    """Raise ``ValueError`` that names the first argument which is another one now: ``made`` says what was made with the
    other, as "the fit to resume was made", and ``instead`` what else to do."""
    for argument, mine, theirs in differing(now, before):
        arrays = isinstance(mine, np.ndarray) or isinstance(theirs, np.ndarray)
        came = "another" if arrays else f"{theirs!r}, got {mine!r}"
        raise ValueError(f"{argument}: {made} with {came}; give the same settings, or {instead}")
