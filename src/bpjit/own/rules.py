"""``bpjit.rule``: update rules of the user's own, recorded as activations and losses are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..common.arguments import as_integer, as_real, describe
from ..common.elsewhere import hint
from ..maths.tape import Tape
from ..settings.rules.own import Form, class_of
from ..settings.rules.rule import SETTINGS, SHARED, SLOTS
from .deriving import Recorded
from .formulas import as_called
from .functions import variable
from .recording import arguments_of, as_result, named, record
from .steps import run


class Settings:
    """What a rule reads its settings from: an attribute for each."""

    def __init__(self, numbers: dict[str, Any]) -> None:
        self.__dict__.update(numbers)

    def __getattr__(self, name: str) -> Any:
        known = list(self.__dict__)
        listed = f"one of {', '.join(known)}" if known else "none: the rule was given none"
        raise AttributeError(f"settings: expected {listed}, got {name}{hint(name, known)}")


class Numbers(NamedTuple):
    """What formulas of a rule may use, being recorded."""

    state: tuple[Any, ...]
    shared: tuple[Any, ...]
    settings: Settings
    names: tuple[str, ...]  # of the inputs that stand for the settings


def rule(
    step: Any = None,
    /,
    *,
    prepare: Any = None,
    starts: Sequence[float] = (),
    shares: int = 0,
    eta: float | None = 0.01,
    name: str | None = None,
    updates: str | None = None,
    **settings: Any,
) -> Any:
    """An update rule of one's own from a plain function, for ``rule=``.

    The function is called once, here, and what it does with its numbers is recorded, as ``bpjit.activation`` says.

    Parameters
    ----------
    step : step(w, g, state, eta, settings) or step(w, g, state, eta, settings, shared) → (w, state), for one parameter
        w whose direction of descent is g = −∂E/∂w: w + eta * g is the book's rule. ``state`` is a tuple of the numbers
        that the rule keeps for this parameter, ``settings`` has an attribute for each of ``settings``
    prepare : prepare(shared, settings) → shared, what all parameters share, a tuple of numbers anew for each update
    starts : what each number of the state starts from; 3 at most
    shares : how many numbers all parameters share, 2 at most; they start at 0
    eta : the learning rate where none is given; None for a rule without one
    name : what it is called, if not as the function is
    updates : "accumulated" for a rule that needs the gradient of all samples
    settings : the rule's settings by name, 5 at most. In float32 1 − β of a β near 1 loses digits, so that it is better
        given itself

    Returns
    -------
    a rule, as ``bpjit.Adam()`` is one, or without ``step`` a decorator

    Raises
    ------
    TypeError, ValueError : what cannot be recorded, with its line; a step that gives NaN

    Examples
    --------
    >>> import bpjit
    >>> @bpjit.rule(starts=(0.0,), eta=0.1, mu=0.9)
    ... def heavy_ball(w, g, state, eta, settings):
    ...     (v,) = state
    ...     v = settings.mu * v + eta * g
    ...     return w + v, (v,)
    >>> heavy_ball, heavy_ball(mu=0.5)
    (heavy_ball(mu=0.9), heavy_ball(mu=0.5))
    """
    if step is None:
        return functools.partial(
            rule, prepare=prepare, starts=starts, shares=shares, eta=eta, name=name, updates=updates, **settings
        )
    count, _ = arguments_of("step", step, 5, 6, {})
    called = as_called("rule", name, step)
    begin = _as_starts(starts)
    shares = as_integer("shares", shares, low=0, high=SHARED)
    if shares and prepare is None:
        raise ValueError(f"prepare: expected a function that makes the {shares} numbers that all share, got None")
    if len(settings) > SETTINGS:
        raise ValueError(f"settings: expected {SETTINGS} at most, got {len(settings)}: {', '.join(settings)}")
    if updates not in (None, "accumulated"):
        raise ValueError(f'updates: expected None or "accumulated", got {describe(updates)}')
    values = tuple((key, as_real(key, value)) for key, value in settings.items())
    rate = None if eta is None else as_real("eta", eta, above=0)
    numbers = _numbers(len(begin), shares, [key for key, _ in values])
    step_tape = _step(called, step, numbers, count == 6, rate is not None)
    prepare_tape = None if prepare is None else _preparation(called, prepare, numbers)
    form = Form(called, step_tape, prepare_tape, begin, shares, rate, values, updates == "accumulated")
    _check(called, form)
    return class_of(form)()


def _as_starts(starts: Any) -> tuple[float, ...]:
    try:
        given = tuple(starts)
    except TypeError:
        raise TypeError(f"starts: expected a number for each number of the state, got {describe(starts)}") from None
    if len(given) > SLOTS:
        raise ValueError(f"starts: expected {SLOTS} numbers of state at most, got {len(given)}")
    return tuple(as_real("starts", start) for start in given)


def _numbers(slots: int, shares: int, settings: Sequence[str]) -> Numbers:
    names = tuple(f"c{k}" for k in range(len(settings)))
    return Numbers(
        tuple(variable(f"state{k}") for k in range(slots)),
        tuple(variable(f"shared{k}") for k in range(shares)),
        Settings({key: variable(c) for key, c in zip(settings, names, strict=True)}),
        names,
    )


def _step(called: str, step: Callable[..., Any], numbers: Numbers, with_shared: bool, with_rate: bool) -> Tape:
    state, shared = ([each.name for each in some] for some in (numbers.state, numbers.shared))
    inputs = ("w", "g", *state, "eta", *numbers.names, *shared)
    w, g, eta = (variable(name) for name in ("w", "g", "eta"))
    given = (w, g, numbers.state, eta, numbers.settings, *((numbers.shared,) if with_shared else ()))
    result = record(called, step, given, {})
    if not (isinstance(result, (tuple, list)) and len(result) == 2):
        raise TypeError(f"{called}: expected it to return (w, state), got {describe(result)}")
    new_w, new_state = result
    expected = f"{called}: expected the new state to be a tuple of {len(state)} numbers, as starts has"
    return _tape(called, inputs, [new_w, *_as_tuple(expected, new_state, len(state))], None if with_rate else "eta")


def _preparation(called: str, prepare: Any, numbers: Numbers) -> Tape:
    arguments_of("prepare", prepare, 2, 2, {})
    shared = tuple(each.name for each in numbers.shared)
    result = record(f"prepare of {called}", prepare, (numbers.shared, numbers.settings), {})
    expected = f"prepare of {called}: expected it to return a tuple of {len(shared)} numbers, as shares says"
    return _tape(f"prepare of {called}", (*shared, *numbers.names), _as_tuple(expected, result, len(shared)), None)


def _as_tuple(expected: str, given: Any, count: int) -> Sequence[Any]:
    if not isinstance(given, (tuple, list)) or len(given) != count:
        raise TypeError(f"{expected}, got {describe(given)}")
    return given


def _tape(called: str, inputs: tuple[str, ...], results: Sequence[Any], without: str | None) -> Tape:
    """The results as a tape; none may use the input ``without``."""
    recorded, slots = Recorded(inputs), []
    for result in results:
        expression = as_result(called, result, inputs)
        with named(called):
            slots.append(recorded.slot(recorded.write(expression)))
    tape = recorded.steps.tape(*slots)
    if without is not None:
        place = inputs.index(without)
        if place in tape.results or any(place in rest for operation, *rest in tape.steps if operation != "constant"):
            raise ValueError(f"{without}: expected a number for {called}, which uses it, got None")
    return tape


def _check(called: str, made: Form) -> None:
    """Three updates with gradients of several sizes, among them 0, as that of a unit that is never on: no NaN."""
    values = [value for _, value in made.settings]
    g = np.array([0.0, 1e-3, -0.1, 2.0])
    for dtype in (np.float64, np.float32):
        shared: list[Any] = [0.0] * made.shares
        w: Any = np.full(len(g), 0.5)
        state: list[Any] = list(made.starts)
        for n in range(1, 4):
            if made.prepare is not None:
                shared = run(made.prepare, *shared, *values, dtype=dtype)
            eta = 0.0 if made.eta is None else made.eta
            w, *state = run(made.step, w, g, *state, eta, *values, *shared, dtype=dtype)
            for k, each in enumerate((w, *state)):
                if np.isnan(each).any():
                    at, what = int(np.argmax(np.isnan(each))), "w" if k == 0 else f"state[{k - 1}]"
                    raise ValueError(
                        f"{called}: expected numbers, got NaN for {what} in update {n} with g = {g[at]:g} each time, "
                        f"from w = 0.5, in {dtype.__name__}"
                    )
