"""A user's function is called once, with expressions instead of numbers, and what it does with them is kept."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..common.arguments import as_real, describe
from ..common.elsewhere import hint
from ..graph.expression import Condition, Expression
from ..graph.program import CONSTANT, VARIABLE, in_order
from ..maths.own import Own

MISTAKES = (TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError, OverflowError)
OURS = f"{Path(__file__).parents[1]}{os.sep}"


def arguments_of(role: str, function: Any, least: int, most: int, given: Mapping[str, Any]) -> tuple[int, list[str]]:
    """(how many numbers a function takes, from ``least`` to ``most``; the names of its values): arguments with a
    default, or that are ``given``, are values."""
    if not callable(function):
        raise TypeError(f"{role}: expected a function of {_numbers(least, most)}, got {describe(function)}")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a built-in that does not say
        return least, []
    taken = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    numbers = [p.name for p in taken if p.default is p.empty and p.name not in given]
    values = [p.name for p in taken if p.name not in numbers]
    if any(p.kind == p.VAR_POSITIONAL for p in parameters) and len(numbers) < least:
        return least, values
    if not least <= len(numbers) <= most or any(p.kind == p.KEYWORD_ONLY and p.name in numbers for p in taken):
        got = f"{name_of(function)}({', '.join(numbers)})" + (f" with values for {', '.join(values)}" if values else "")
        raise TypeError(
            f"{role}: expected a function of {_numbers(least, most)}, whose other arguments have values, such as "
            f"alpha=1.0; got {got}"
        )
    return len(numbers), values


def _numbers(least: int, most: int) -> str:
    count = str(least) if least == most else f"{least} to {most}"
    return f"{count} number{'' if most == 1 else 's'}"


def values_of(called: str, function: Any, names: Sequence[str], given: Mapping[str, Any]) -> dict[str, float]:
    """The values of a formula: those given, else the defaults."""
    for name in given:
        if name not in names:
            known = f"of its values {', '.join(names)}" if names else "no values: it takes none"
            raise TypeError(f"{name}: {called} expected {known}, got {name}={given[name]!r}{hint(name, names)}")
    defaults = inspect.signature(function).parameters if names else {}
    return {name: as_real(name, given.get(name, defaults[name].default)) for name in names}


def name_of(function: Any) -> str:
    """What a function calls itself."""
    while hasattr(function, "func"):  # a partial one
        function = function.func
    if isinstance(function, Own):
        return function.called.partition("(")[0]
    return str(getattr(function, "__name__", type(function).__name__))


@contextlib.contextmanager
def named(called: str) -> Iterator[None]:
    """Errors say which formula they are about, and which line of it."""
    try:
        yield
    except MISTAKES as error:
        kind = next(kind for kind in MISTAKES if isinstance(error, kind))
        raise kind(f"{called}{_place(error)}: {error}") from error


def record(called: str, function: Callable[..., Any], numbers: Sequence[Any], values: Mapping[str, Any]) -> Any:
    """What the function returns for expressions."""
    with named(called):
        return function(*numbers, **values)


def _place(error: BaseException) -> str:
    """The line of the user's where an error came up."""
    place, traceback = "", error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(OURS):
            line = linecache.getline(code.co_filename, traceback.tb_lineno).strip()
            place = f", line {traceback.tb_lineno} of {Path(code.co_filename).name}" + (f", `{line}`" if line else "")
        traceback = traceback.tb_next
    return place


def as_result(called: str, value: Any, inputs: Sequence[str]) -> Expression:
    """What a formula returns: a number made of its arguments, or a constant one."""
    expected = f"{called}: expected it to return one number made of {' and '.join(inputs)}, got"
    if isinstance(value, Condition):
        raise TypeError(f"{expected} the condition {value}; select(condition, 1.0, 0.0) makes a number of it")
    if not isinstance(value, Expression):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)) or np.iscomplex(value):
            raise TypeError(f"{expected} {describe(value)}{'; is there a return?' if value is None else ''}")
        return Expression(CONSTANT, constant=float(value))
    for node in in_order(value):
        if node.operation == VARIABLE and node.name not in inputs:
            raise ValueError(f"{expected} {value}, whose variable {node.name} is none of its arguments")
    return value
