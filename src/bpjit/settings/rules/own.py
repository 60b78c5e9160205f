"""Rules of the user's own: as ``bpjit.rule`` has recorded them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...common.arguments import as_real
from ...maths.tape import Tape, inlined
from . import by_gradient, by_sign, by_squares  # noqa: F401  (their codes come first)
from .rule import RULES, SLOTS, Rule, Shown


class Form(NamedTuple):
    """What all uses of a rule have in common.

    The step goes from w, g, the state, η, the settings and the shared numbers to w and the state; the preparation from
    the shared numbers and the settings to the shared numbers.
    """

    called: str
    step: Tape
    prepare: Tape | None
    starts: tuple[float, ...]  # what each number of the state begins with
    shares: int
    eta: float | None  # the learning rate where none is given, None for a rule without one
    settings: tuple[tuple[str, float], ...]  # their names, and what they are where nothing is given
    accumulated: bool  # whether it needs the gradient of all samples

    @property
    def fingerprint(self) -> str:
        """16 digits for what it computes."""
        prepare = None if self.prepare is None else self.prepare.fingerprint
        content = self.step.fingerprint, prepare, len(self.starts), self.shares, len(self.settings)
        return hashlib.blake2b(repr(content).encode(), digest_size=8).hexdigest()

    @property
    def in_full(self) -> str:
        """Its name and its fingerprint."""
        return f"{self.called}#{self.fingerprint}"


@dataclass(frozen=True)
class OwnRule(Rule):
    """An update rule of the user's own, one class for each: ``bpjit.rule`` makes it.

    Parameters
    ----------
    values : its settings
    """

    values: tuple[float, ...] = ()
    code: ClassVar[int] = len(RULES)
    squares: ClassVar[bool] = True  # nobody knows how far its steps may go
    form: ClassVar[Form]

    def __call__(self, **settings: float) -> OwnRule:
        """The same rule with other settings."""
        values = dict(zip((name for name, _ in self.form.settings), self.values, strict=True))
        for name, value in settings.items():
            if name not in values:
                known = ", ".join(values) or "none"
                raise TypeError(f"{name}: the rule {self.name} has no such setting; it has {known}")
            values[name] = as_real(name, value)
        return type(self)(tuple(values.values()))

    def constants(self) -> tuple[float, ...]:
        return self.values

    def held(self) -> list[tuple[str, float, float | None]]:
        return [(name, value, None) for (name, _), value in zip(self.form.settings, self.values, strict=True)]

    def start(self, n: int, seed: int) -> np.ndarray:
        state = np.zeros((SLOTS, n))
        state[: len(self.form.starts)] = np.array(self.form.starts).reshape(-1, 1)
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.form, self.values)

    def __repr__(self) -> str:
        settings = (f"{name}={value:g}" for (name, _), value in zip(self.form.settings, self.values, strict=True))
        return f"{self.name}({', '.join(settings)})"


KNOWN: dict[str, type[OwnRule]] = {}  # by name and fingerprint: all that were made in this process


@functools.cache
def class_of(form: Form) -> type[OwnRule]:
    """The rule as a class, as kernels and users know rules."""
    states = tuple((f"s_{{{k}}}", False) for k in range(len(form.starts)))
    word = form.called.replace("_", r"\_")
    own: dict[str, Any] = {
        "__doc__": f"The rule {form.called}, made by ``bpjit.rule``.",
        "__module__": __name__,
        "form": form,
        "name": form.called,
        "shown": Shown(rf"\Delta w=\mathrm{{{word}}}(D)", states),
        "default_eta": form.eta,
        "accumulated_only": form.accumulated,
        "slots": len(form.starts),
        "shares": form.shares,
        "step": staticmethod(_step_of(form)),
    }
    if form.prepare is not None:
        own["prepare"] = staticmethod(_preparation_of(form))
    made: Any = dataclass(frozen=True, repr=False)(
        type(f"{form.called}_{form.fingerprint}", (OwnRule,), {**own, "__annotations__": {}})
    )
    made.__init__.__defaults__ = (tuple(value for _, value in form.settings),)
    KNOWN[form.in_full] = made
    return made


def _restored(form: Form, values: tuple[float, ...]) -> OwnRule:
    return class_of(form)(values)


def _all_of(name: str, count: int) -> list[str]:
    return [f"{name}[{k}]" for k in range(count)]


def _tuple(texts: list[str]) -> str:
    return "(" + "".join(f"{text}, " for text in texts) + ")"


def _step_of(form: Form) -> Callable[..., Any]:
    """The step, with the arguments that ``Rule.step`` has."""
    settings, shared = _all_of("settings", len(form.settings)), _all_of("shared", form.shares)
    given = ["w", "g", *_all_of("state", len(form.starts)), "eta", *settings, *shared]
    return inlined(
        form.step, "step", "w, g, state, eta, settings, shared", given, lambda made: f"{made[0]}, {_tuple(made[1:])}"
    )


def _preparation_of(form: Form) -> Callable[..., Any]:
    """The preparation, with the arguments that ``Rule.prepare`` has."""
    assert form.prepare is not None
    given = [*_all_of("shared", form.shares), *_all_of("settings", len(form.settings))]
    return inlined(form.prepare, "prepare", "shared, settings, rose", given, _tuple)
