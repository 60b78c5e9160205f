"""Formulas of the user's own in the letters of a trace."""

from __future__ import annotations

import re

from ..maths.own import Own
from ..settings.rules import OwnRule
from .letters import word

_NAMED = {"exp": r"\exp", "tanh": r"\tanh", "sin": r"\sin", "cos": r"\cos", "log": r"\ln"}
_CALL = re.compile(r"\b([a-z]\w*)\(")
_POWER = re.compile(r" \*\* (?:\((-[\d.]+)\)|([\d.]+))")
_PART = re.compile(r"\bv\d+\b")  # the name of a part that is too long to be written where it stands


def equations_of(formula: Own) -> str:
    """What it computes, and its slope where that can be read, such as f(z)=z/(1+exp(-z))."""
    from ..own.written import written

    of_loss = formula.role == "loss"
    y = r"\hat{y}" if not formula.of_net_input else "z"
    symbol = f"{word(formula)}({y},y)" if of_loss else "f(z)"
    shown = [(symbol, written(formula.tape))]
    if not of_loss:
        shown.append(("f'(z)", written(formula.tape, (), 1)))
    return r",\ ".join(f"{symbol}={_in_letters(text)}" for symbol, text in shown if not _PART.search(text))


def equations_of_rule(rule: OwnRule) -> str:
    """What it prepares, its new state and its new weight, with D for the direction of descent, s for its state and t
    for what all parameters share."""
    from ..own.written import written

    form, shown = rule.form, list[tuple[str, str]]()
    state, shared = ([f"{letter}{k}" for k in range(n)] for letter, n in (("s", len(form.starts)), ("t", form.shares)))
    settings = [name for name, _ in form.settings]
    if form.prepare is not None:
        shown += [(t, written(form.prepare, [*shared, *settings], k)) for k, t in enumerate(shared)]
    inputs = ["w", "D", *state, "eta", *settings, *shared]
    shown += [(s, written(form.step, inputs, k + 1)) for k, s in enumerate(state)]
    shown.append(("w", written(form.step, inputs)))
    lines = [f"{symbol} <- {text}" for symbol, text in shown if not _PART.search(text)]
    return r",\ ".join(map(_with_letters_of_rules, lines))


def _with_letters_of_rules(line: str) -> str:
    line = re.sub(r"\b([st])(\d)\b", r"\1_{\2}", _in_letters(line))
    line = re.sub(r"\b[a-z]+_\w+\b", lambda found: word(found[0]), line)
    return re.sub(r"\beta\b", r"\\eta", line).replace("<-", r"\leftarrow ")


def _in_letters(text: str) -> str:
    text = _POWER.sub(lambda found: f"^{{{found[1] or found[2]}}}", text.replace("y_hat", r"\hat{y}"))
    text = _CALL.sub(lambda found: f"{_NAMED.get(found[1], word(found[1]))}(", text)
    return text.replace(" * ", r"\cdot ").replace("<=", r"\le ").replace(">=", r"\ge ").replace(" / ", "/")
