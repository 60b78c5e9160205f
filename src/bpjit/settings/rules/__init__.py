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

Rules of second order take all parameters at once; ``train`` and ``train_many`` run them (``second_order``):

=======================  =======================================================  =====================================
rule                     step                                                     defaults
=======================  =======================================================  =====================================
LevenbergMarquardt       (H + μ I) Δ = −∇, H the Gauss–Newton matrix              μ 1e-3, ×10 or ×0.1, at most 1e10
BayesianRegularization   the same with a penalty that the evidence sets           μ 5e-3, ×10 or ×0.1, at most 1e10
LBFGS                    −H ∇, H from the last steps; a strong Wolfe search       10 steps, 25 points in a search
ScaledConjugateGradient  conjugate directions, curvature by a difference          σ 5e-5, λ 5e-7
=======================  =======================================================  =====================================

The default rates are those of small networks of tanh units; ``settings/rates.py`` fits them to a network.
"""

from __future__ import annotations

from ...common.arguments import as_choice, describe
from .by_gradient import SGD, Momentum, Nesterov
from .by_sign import Quickprop, Rprop
from .by_squares import Adagrad, Adam, RMSProp
from .own import OwnRule
from .rule import RULES, SETTINGS, SHARED, SLOTS, Rule, Shown
from .second_order import (
    LBFGS,
    SECOND_ORDER,
    BayesianRegularization,
    LevenbergMarquardt,
    ScaledConjugateGradient,
    SecondOrder,
)

__all__ = [
    "LBFGS",
    "RULES",
    "SECOND_ORDER",
    "SETTINGS",
    "SGD",
    "SHARED",
    "SLOTS",
    "Adagrad",
    "Adam",
    "BayesianRegularization",
    "LevenbergMarquardt",
    "Momentum",
    "Nesterov",
    "OwnRule",
    "Quickprop",
    "RMSProp",
    "Rprop",
    "Rule",
    "ScaledConjugateGradient",
    "SecondOrder",
    "Shown",
    "as_rule",
]


def as_rule(rule: str | Rule, second_order: bool = False) -> Rule:
    """The rule that ``rule`` names, with its default settings, or ``rule`` itself; one of second order only where that
    can be run."""
    if isinstance(rule, OwnRule):
        return rule
    if not second_order and (rule in tuple(SECOND_ORDER) if isinstance(rule, str) else isinstance(rule, SecondOrder)):
        name = rule if isinstance(rule, str) else rule.name
        raise ValueError(
            f'rule: "{name}" takes a step of all parameters from all samples at once, as bpjit.train and '
            f"train_many do; expected one of {', '.join(RULES)}"
        )
    rules = RULES | SECOND_ORDER if second_order else RULES
    if isinstance(rule, Rule):
        known = rules.get(getattr(rule, "name", ""))
        if known is None or not isinstance(rule, known) or rule.code != known.code:
            raise TypeError(
                f"rule: expected one of {', '.join(rules)}, or one of bpjit's rules with other settings, got "
                f"{describe(rule)}; a rule of your own is made by bpjit.rule"
            )
        return rule
    if isinstance(rule, type) and issubclass(rule, Rule):
        raise TypeError(f"rule: expected a name or an instance, got the class; write {rule.__name__}()")
    return rules[as_choice("rule", rule, tuple(rules))]()
