"""Update rules: how a gradient term becomes a new weight. A rule stands in one place: its formula, settings, state and
words; kernels, learners, traces and ``descent`` read that.

============  =======================================  ==================================  ====================
rule          formula                                  defaults                            source
============  =======================================  ==================================  ====================
SGD           w + η g                                  η 0.1                               the book
Momentum      v ← μ v + η g, w ← w + v                 η 0.01, μ 0.9                       Rumelhart et al. 1986
Nesterov      as momentum, with g taken at w + μ v     η 0.01, μ 0.9                       Sutskever et al. 2013
Rprop         w + sign(g) Δ, Δ grown by η⁺ while the   η⁺ 1.2, η⁻ 0.5, Δ0 0.1, Δmax 50,    Igel & Hüsken 2003
              sign of g holds, cut by η⁻ when it turns  Δmin 1e-6, variant iRprop-
Quickprop     d ← d g/(g' − g), at most μ d, plus η g  η 0.1, μ 1.75                       Fahlman 1988
              where g has the sign of g' (the last g)
Adagrad       r ← r + g², w ← w + η g/(√r + ε)         η 0.2, ε 1e-8                       Duchi et al. 2011
RMSProp       r ← ρ r + (1−ρ) g², step as Adagrad      η 0.01, ρ 0.9, ε 1e-8               Hinton 2012
Adam          m ← β₁ m + (1−β₁) g, r likewise with g²  η 0.01, β₁ 0.9, β₂ 0.999, ε 1e-8    Kingma & Ba 2015
              and β₂; w + η m̂/(√r̂ + ε), m̂ = m/(1−β₁ᵗ)
============  =======================================  ==================================  ====================

The default rates are those of small networks of tanh units; ``settings/rates.py`` fits them to a network.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...common.arguments import as_choice, describe
from ...maths.own import UnknownFormula
from .by_gradient import SGD, Momentum, Nesterov
from .by_sign import Quickprop, Rprop
from .by_squares import Adagrad, Adam, RMSProp
from .own import KNOWN, OwnRule
from .rule import RULES, SETTINGS, SHARED, SLOTS, Rule, Shown

__all__ = [
    "RULES",
    "SETTINGS",
    "SGD",
    "SHARED",
    "SLOTS",
    "Adagrad",
    "Adam",
    "Momentum",
    "Nesterov",
    "OwnRule",
    "Quickprop",
    "RMSProp",
    "Rprop",
    "Rule",
    "Shown",
    "as_rule",
    "from_words",
    "in_words",
]


def in_words(rule: Rule) -> list[Any]:
    """A rule as a file says it: its name, in full for one of the user's own, and its settings."""
    name = rule.form.in_full if isinstance(rule, OwnRule) else rule.name
    return [name, asdict(rule)]


def from_words(name: str, settings: dict[str, Any]) -> Rule:
    """The rule that ``in_words`` said; ``UnknownFormula`` for one of the user's own that is not known here."""
    if "#" not in name:
        return RULES[name](**settings)
    if name not in KNOWN:
        raise UnknownFormula(f"rule: {name!r} is not known here; make it first, as where it was made, by bpjit.rule")
    return KNOWN[name](tuple(settings["values"]))


def as_rule(rule: str | Rule) -> Rule:
    """The rule that ``rule`` names, with its default settings, or ``rule`` itself."""
    if isinstance(rule, OwnRule):
        return rule
    if isinstance(rule, Rule):
        known = RULES.get(getattr(rule, "name", ""))
        if known is None or not isinstance(rule, known) or rule.code != known.code:
            raise TypeError(
                f"rule: expected one of {', '.join(RULES)}, or one of bpjit's rules with other settings, got "
                f"{describe(rule)}; a rule of your own is made by bpjit.rule"
            )
        return rule
    if isinstance(rule, type) and issubclass(rule, Rule):
        raise TypeError(f"rule: expected a name or an instance, got the class; write {rule.__name__}()")
    return RULES[as_choice("rule", rule, tuple(RULES))]()
