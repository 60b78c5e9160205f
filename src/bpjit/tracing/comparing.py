"""A learner's own numbers beside those of a trace: which are right, which are wrong by how much, and which usual
mistake gives just these.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import as_integer, as_real, describe
from ..common.plain import printable
from ..common.tables import aligned
from .mistakes import MISTAKES
from .notation import KEYS, Names, Style
from .numbers import numbers_of

if TYPE_CHECKING:
    from ..training.setting import Setting
    from .laid_open import Step, Trace

NEARLY = 4.0  # half units of the last digit: as far as rounding on the way may lead
LARGEST_SHARE = 0.05  # of a number: what its last digit may leave open, or one digit would fit nearly everything
EXACT = {"float64": (1e-9, 1e-12), "float32": (1e-5, 1e-7)}  # what separates two programs: relative, absolute


@dataclass(frozen=True, eq=False)
class LearnersNumbers:
    """A learner's numbers for one quantity, [shape: that of the quantity]."""

    values: np.ndarray
    halves: np.ndarray  # half a unit of the last digit given

    def distance(self, right: np.ndarray, rtol: float | None, exact: tuple[float, float]) -> np.ndarray:
        """How far from ``right``, where 1 is what the digits given, or rtol, just allow."""
        size = np.abs(right)
        if rtol is not None:
            return np.abs(self.values - right) / np.maximum(rtol * size, exact[1])
        halves = np.where(self.values == 0, self.halves, np.minimum(self.halves, LARGEST_SHARE * size))
        # A hair more, so that a 5 after the last digit may be rounded to either side.
        return np.abs(self.values - right) / np.maximum(halves * (1 + 1e-6), np.maximum(exact[0] * size, exact[1]))

    def fits(self, numbers: Any, rtol: float | None, exact: tuple[float, float]) -> bool:
        """Whether these may be the numbers of a run, with some rounding on the way."""
        return bool((self.distance(np.asarray(numbers, float), rtol, exact) <= (NEARLY if rtol is None else 1)).all())


@dataclass(frozen=True, eq=False)
class Finding:
    """What is to be said of one quantity.

    Attributes
    ----------
    name : its name, as the learner gave it
    verdict : "right", "rounded" (right but for rounding on the way) or "wrong"
    yours, right : the learner's numbers and the trace's, of the same shape
    difference : the largest difference between them
    """

    name: str
    verdict: str
    yours: np.ndarray
    right: np.ndarray
    difference: float


@dataclass(frozen=True)
class Suspicion:
    """A mistake that gives the learner's numbers.

    Attributes
    ----------
    name : its short English name, such as "already updated weights"
    explanation : what went wrong and what would be right, in the language of the trace
    explains : names of the wrong quantities that it gives
    """

    name: str
    explanation: str
    explains: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answer to ``Trace.compare``; prints as text.

    Attributes
    ----------
    findings : a ``Finding`` for each quantity given, in the order of the calculation
    suspicions : a ``Suspicion`` for each mistake that may be behind what is wrong, the likeliest first
    ok : whether nothing is wrong
    searched : whether mistakes were looked for: not in steps of second order, of which no usual ones are known
    """

    findings: tuple[Finding, ...]
    suspicions: tuple[Suspicion, ...]
    style: Style
    searched: bool = True

    @property
    def ok(self) -> bool:
        return all(finding.verdict != "wrong" for finding in self.findings)

    @property
    def wrong(self) -> tuple[str, ...]:
        """Names of the quantities that are wrong."""
        return tuple(finding.name for finding in self.findings if finding.verdict == "wrong")

    @printable
    def __str__(self) -> str:
        say, rows = self.style.say, []
        for finding in self.findings:
            words = say(finding.verdict)
            if finding.verdict == "wrong":
                yours, right = (shown(array, self.style) for array in (finding.yours, finding.right))
                words += say(": yours {yours}, right {right}", yours=yours, right=right)
            rows.append((finding.name, words))
        lines = aligned(rows)
        if self.ok:
            return "\n".join([*lines, "", say("everything is right")])
        lines.append("")
        for suspicion in self.suspicions:
            lines.append(say("likely mistake: {words}", words=suspicion.explanation))
            lines.append("  " + say("it gives your {names}", names=", ".join(suspicion.explains)))
        if not self.searched:
            lines.append(say("mistakes are looked for with rules of first order alone"))
        elif not self.suspicions:
            lines.append(say("no usual mistake gives these numbers"))
        return "\n".join(lines)

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(suspicion.name for suspicion in self.suspicions))
        return f"Comparison({len(self.findings)} quantities, wrong: {list(self.wrong)}, mistakes: [{names}])"


def shown(array: np.ndarray, style: Style) -> str:
    """Numbers on one line."""
    digits = max(style.digits, 10)  # two numbers that differ late must look different
    text = np.array2string(array, formatter={"float_kind": lambda x: f"{x:.{digits}g}"}, separator=", ", threshold=12)
    return " ".join(text.split())


def compare(trace: Trace, my_numbers: dict[str, Any], *, step: int = 1, rtol: float | None = None) -> Comparison:
    """Which of a learner's own numbers are right, and the usual mistake behind those that are wrong.

    Parameters
    ----------
    trace : what to compare with; its notation says what the names mean
    my_numbers : {name: number, list, or list of lists}, any of those in ``json()``. In the book's notation x, alpha, b,
        e, v, gamma belong to the hidden layer (with its number where there are several: e1, e2) and beta, y_hat, g, w,
        theta to the outputs; in delta notation net1, out1, delta1, w1, b1 to layer 1. A d in front is what the step
        adds, such as dw or dgamma2; _new is after the step, such as w_new. Weights have a row for each unit below. v,
        w, gamma, theta without _new may be those before or after the step. E is the error before the step, E_new after.
        With rules "lm" and "br" also r, J, H, gradient, and of each attempt mu, A, Delta, E_try; their columns are the
        trained parameters in the order of ``net.parameters``. Mistakes are not looked for there
    step : which step of the trace, 1 being the first
    rtol : relative difference to accept; None accepts what is right to the digits given. A number may be given as text,
        "0.1380", to show a zero at its end

    Raises
    ------
    ValueError, TypeError : naming what was expected and what came

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays(
    ...     [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35, -0.35], [-0.60, -0.60]])
    >>> trace = bpjit.trace(net, [0.05, 0.10], [0.01, 0.99], eta=0.5)
    >>> print(trace.compare({"y_hat": [0.7514, 0.7729], "g": [-0.1385, 0.0381], "e": [-0.03635, -0.04137]}))
    y_hat  right
    g      right
    e      wrong: yours [-0.03635, -0.04137], right [-0.008771354689, -0.009954254705]
    <BLANKLINE>
    likely mistake: the slope f'(z) is missing in the hidden gradient terms: e_h = f'(α_h − γ_h) Σ w_hj g_j
      it gives your e
    """
    step = as_integer("step", step, low=1, high=len(trace.steps))
    rtol = None if rtol is None else as_real("rtol", rtol, above=0)
    if not isinstance(my_numbers, dict) or not my_numbers:
        raise TypeError(f'my_numbers: expected a dict such as {{"g": [0.1, -0.2]}}, got {describe(my_numbers)}')
    chosen, style = trace.steps[step - 1], trace.style
    exact = EXACT[chosen.before.dtype.name]
    right = {name: np.asarray(value, float) for name, value in numbers_of(chosen, style.book).items()}
    given, names = _read(my_numbers, right, _aliases(len(chosen.before.weights), style.book))
    names = {name: _before_or_after(name, key, given[name], right, rtol, exact) for name, key in names.items()}
    order = list(right)
    findings = [
        _finding(name, given[name], right[names[name]], rtol, exact)
        for name in sorted(given, key=lambda name: order.index(names[name]))
    ]
    wrong, searched = [finding.name for finding in findings if finding.verdict == "wrong"], chosen.damped is None
    suspicions: tuple[Suspicion, ...] = ()
    if wrong and searched:
        explained = {
            index: [name for name in given if given[name].fits(numbers[names[name]], rtol, exact)]
            for index, numbers in _made(chosen, trace.setting, style.book).items()
        }
        suspicions = _suspicions(explained, wrong, len(given), style)
    return Comparison(tuple(findings), suspicions, style, searched)


def _finding(
    name: str, given: LearnersNumbers, right: np.ndarray, rtol: float | None, exact: tuple[float, float]
) -> Finding:
    """What is to be said of one quantity."""
    far, apart = float(given.distance(right, rtol, exact).max()), np.abs(given.values - right)
    nearly = rtol is None and far <= NEARLY and bool((apart <= LARGEST_SHARE * np.abs(right)).all())
    verdict = "right" if far <= 1 else "rounded" if nearly else "wrong"
    return Finding(name, verdict, given.values, right, float(apart.max()))


def _made(step: Step, setting: Setting, book: bool) -> dict[int, dict[str, Any]]:
    """The numbers that each mistake gives, where they are numbers."""
    made = {}
    for index, candidate in enumerate(MISTAKES):
        mistake = candidate(step, setting)
        if mistake.applies:
            with np.errstate(all="ignore"):
                run = mistake.run()
            if run is not None:
                made[index] = numbers_of(run, book)
    return made


def _suspicions(explained: dict[int, list[str]], wrong: list[str], count: int, style: Style) -> tuple[Suspicion, ...]:
    """Mistakes that give all numbers, wrong and right; if there is none, as few as give most of the wrong ones."""
    chosen = {index: names for index, names in explained.items() if len(names) == count}
    if not chosen:
        missing = set(wrong)
        for _ in explained:
            index = max(explained, key=lambda i: (len(missing & set(explained[i])), len(explained[i])))
            if not missing & set(explained[index]):
                break
            chosen[index] = explained[index]
            missing -= set(explained[index])
    found: dict[str, Suspicion] = {}
    for index, names in chosen.items():
        mistake = MISTAKES[index]
        words = mistake.english if style.language == "en" else mistake.chinese
        found.setdefault(words, Suspicion(mistake.name, words, tuple(name for name in wrong if name in names)))
    return tuple(found.values())


# --- Reading what a learner gives.


def _aliases(layers: int, book: bool) -> dict[str, str]:
    """With one hidden layer of the book, e1 is another name of e, and so on."""
    if not book or layers != 2:
        return {}
    names = Names(True, 0, 2)
    numbered = replace(names, layers=3)
    return {numbered.key(quantity): names.key(quantity) for quantity in KEYS}


def _read(
    my_numbers: dict[str, Any], right: dict[str, np.ndarray], aliases: dict[str, str]
) -> tuple[dict[str, LearnersNumbers], dict[str, str]]:
    """What was given, and which quantity each name means."""
    given, names = {}, {}
    for name, value in my_numbers.items():
        key = aliases.get(name, name)
        if key not in right:
            near = difflib.get_close_matches(str(name), right, 1, 0.4)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f"my_numbers: expected names among {', '.join(right)}, got {describe(name)}{hint}")
        given[name], names[name] = _numbers(name, value, right[key].shape), key
    finest = min((float(value.halves[value.values != 0].min(initial=np.inf)) for value in given.values()), default=1.0)
    return {name: _with_zeros(value, finest) for name, value in given.items()}, names


def _numbers(name: str, value: Any, shape: tuple[int, ...]) -> LearnersNumbers:
    """Numbers of a shape, and how many digits they have."""
    expected = "a number" if not shape else f"numbers of shape {shape}"
    try:
        texts = np.asarray(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value, dtype=object)
        decimals = [Decimal(str(item).strip()) for item in texts.flat]
    except (InvalidOperation, ValueError, TypeError):
        raise TypeError(f"my_numbers[{name!r}]: expected {expected}, got {describe(value)}") from None
    if not all(item.is_finite() for item in decimals):
        raise ValueError(f"my_numbers[{name!r}]: expected finite numbers, got {describe(value)}")
    if tuple(s for s in texts.shape if s > 1) != tuple(s for s in shape if s > 1):
        turned = " (a row for each unit below)" if texts.shape == shape[::-1] else ""
        raise ValueError(f"my_numbers[{name!r}]: expected {expected}{turned}, got shape {texts.shape}")
    values = np.array([float(item) for item in decimals]).reshape(shape)
    halves = np.array([0.5 * 10.0 ** int(item.as_tuple().exponent) for item in decimals]).reshape(shape)
    return LearnersNumbers(values, halves)


def _with_zeros(given: LearnersNumbers, finest: float) -> LearnersNumbers:
    """A zero does not show its digits: it has those of the numbers beside it, or else those of all numbers."""
    zero = given.values == 0
    if not zero.any():
        return given
    beside = given.halves[~zero].min(initial=np.inf)
    unit = beside if np.isfinite(beside) else finest
    digits = np.where(given.halves < 0.05, given.halves, 0.0)  # text such as "0.000" does show them
    halves = np.minimum(given.halves, unit) if np.isfinite(unit) else digits
    return replace(given, halves=np.where(zero, halves, given.halves))


def _before_or_after(
    name: str,
    key: str,
    given: LearnersNumbers,
    right: dict[str, np.ndarray],
    rtol: float | None,
    exact: tuple[float, float],
) -> str:
    """w may be the weights before the step or after it: those before it only where they are just these."""
    after = f"{key}_new"
    if after not in right or key in ("E", "mu") or bool((given.distance(right[key], rtol, exact) <= 1).all()):
        return key
    return after
