"""Settings that mean something else in the network's dtype, and rules and conditions that kernels do not know."""

from dataclasses import dataclass

import numpy as np
import pytest

import bpjit
from bpjit import AdaptiveRate, Cosine, EarlyStopping, GradientNorm, InverseTime, NoImprovement, StepDecay, TargetError
from bpjit.kernels import plane_numbers
from bpjit.settings.rules import Rule, as_rule
from bpjit.settings.stopping import Condition
from bpjit.training.setting import check_numbers
from test_counting import groups_of, session_of

XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
TINY, LARGE, ONE = 1e-60, 1e60, 1 - 1e-9
ACCUMULATED = {"updates": "accumulated"}
BEYOND = [
    ("eta", {"eta": TINY}),
    ("eta", {"eta": LARGE}),
    ("eta", {"eta": 1e-40}),  # digits are lost before all are
    ("lam", {"lam": TINY}),
    ("mu", {"rule": bpjit.Momentum(ONE)}),
    ("mu", {"rule": bpjit.Nesterov(TINY)}),
    ("epsilon", {"rule": bpjit.Adagrad(TINY)}),
    ("epsilon", {"rule": bpjit.RMSProp(epsilon=LARGE)}),
    ("epsilon", {"rule": bpjit.Adam(epsilon=TINY)}),
    ("eta_plus", {"rule": bpjit.Rprop(eta_plus=2 - ONE), **ACCUMULATED}),
    ("eta_minus", {"rule": bpjit.Rprop(eta_minus=ONE), **ACCUMULATED}),
    ("delta_max", {"rule": bpjit.Rprop(delta_max=LARGE), **ACCUMULATED}),
    ("delta_min", {"rule": bpjit.Rprop(delta_min=TINY), **ACCUMULATED}),
    ("delta0", {"rule": bpjit.Rprop(delta0=TINY), **ACCUMULATED}),
    ("delta0", {"rule": bpjit.Rprop(delta0=(TINY, 0.1)), **ACCUMULATED}),
    ("mu", {"rule": bpjit.Quickprop(LARGE), **ACCUMULATED}),
    ("eta", {"eta": Cosine(TINY)}),
    ("minimum", {"eta": Cosine(0.1, minimum=TINY)}),
    ("eta*factor", {"eta": StepDecay(0.1, factor=TINY)}),
    ("eta/(1 + decay)", {"eta": InverseTime(0.1, decay=LARGE)}),
    ("grow", {"eta": AdaptiveRate(0.1, grow=2 - ONE)}),
    ("shrink", {"eta": AdaptiveRate(0.1, shrink=ONE)}),
    ("tolerance", {"eta": AdaptiveRate(0.1, tolerance=LARGE)}),
    ("TargetError's error", {"stop": TargetError(TINY)}),
    ("NoImprovement's tolerance", {"stop": NoImprovement(tolerance=TINY)}),
    ("EarlyStopping's generalization_loss", {"stop": EarlyStopping(generalization_loss=LARGE), "validation": XOR}),
    ("EarlyStopping's progress", {"stop": EarlyStopping(progress=TINY), "validation": XOR}),
]


@pytest.mark.parametrize(("name", "settings"), BEYOND, ids=[str(pair[1]) for pair in BEYOND])
def test_settings_beyond_float32_are_refused_and_float64_has_them(name, settings):
    single, double = (bpjit.Network.random((2, 2, 1), "tanh", dtype=dtype) for dtype in ("float32", "float64"))
    for nets, train in ((single, bpjit.train), ([single] * 2, bpjit.train_many)):
        with pytest.raises(ValueError) as caught:
            train(nets, *XOR, **settings)
        message = str(caught.value)
        assert message.startswith(f"{name}: expected ")
        assert "float32" in message
    if settings.keys() <= {"rule", "lam", "updates"}:
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            bpjit.compile(single, **settings)
    groups_of([double] * 2, *XOR, **settings)


def test_gradient_norm_is_held_too():
    net = bpjit.Network.random((2, 2, 1), dtype="float32")
    with pytest.raises(ValueError, match="^GradientNorm's norm: expected .* float32 .* got 1e-60"):
        bpjit.train(net, *XOR, stop=GradientNorm(TINY))


def test_the_network_is_named_where_it_has_a_setting_of_its_own():
    single, double = (bpjit.Network.random((2, 2, 1), dtype=dtype) for dtype in ("float32", "float64"))
    cases = [
        {"eta": [0.1, TINY, 0.1]},
        {"eta": np.array([0.1, TINY, 0.1])},
        {"eta": [0.1, Cosine(TINY), 0.1]},
        {"lam": [None, TINY, 0.999], "eta": 1e-3},
        {"target_error": [0.1, TINY, 0.0]},
        {"rule": [bpjit.Adam(), bpjit.Adam(epsilon=TINY), bpjit.Adam()]},
    ]
    for settings in cases:
        with pytest.raises(ValueError, match=r"^network 1: \w+: expected .* float32 .* got 1e-60"):
            bpjit.train_many([single] * 3, *XOR, **settings)
        groups_of([single, double, single], *XOR, **settings)


def test_what_float32_holds_is_taken():
    """1 − β, 1 − λ and 1 − ρ are held, so that β, λ and ρ may be near 1; 0 is 0."""
    rules = bpjit.Adam(ONE, ONE), bpjit.RMSProp(ONE), bpjit.Adam(TINY, TINY), bpjit.Momentum(0.0), bpjit.Quickprop(ONE)
    for rule in rules:
        check_numbers(np.dtype("float32"), rule)
    for schedule in (Cosine(0.1), StepDecay(0.1, factor=ONE), InverseTime(0.1, decay=TINY), AdaptiveRate(0.1, grow=1)):
        check_numbers(np.dtype("float32"), schedule=schedule)
    conditions = TargetError(0.0), NoImprovement(), EarlyStopping(5), GradientNorm(0)
    check_numbers(np.dtype("float32"), lam=(ONE, 1 - ONE), conditions=conditions)
    check_numbers(np.dtype("float32"), schedule=bpjit.Constant(2.0**-140))  # exactly


def test_a_lam_that_is_1_in_float32_keeps_its_penalty():
    """The weight sees an input of 0, so only the penalty moves it: by −η 2(1 − λ) w."""
    settings = {"eta": 1e6, "lam": 1 - 1e-8, "train_thresholds": False, "stop": 10}
    net = bpjit.Network.from_arrays([[[2.0]]], [[0.0]], output="identity", dtype="float32")
    fit, fits = bpjit.train(net, [[0]], [0], **settings), bpjit.train_many([net], [[0]], [0], **settings)
    for moved in (fit.network, fits.networks[0]):
        np.testing.assert_allclose(moved.parameters[0], 2.0 * (1.0 - 0.02) ** 10, rtol=1e-5)
    np.testing.assert_allclose(fits.objective[0], 1e-8 * fits.networks[0].parameters[0] ** 2, rtol=1e-5)


def test_an_adaptive_rate_starts_from_the_objective_with_that_penalty():
    net = bpjit.Network.from_arrays([[[2e3]]], [[0.0]], output="identity", dtype="float32")
    session = session_of([net], [[0]], [0], eta=AdaptiveRate(0.1), lam=1 - 1e-8)
    np.testing.assert_allclose(session.seats.get(plane_numbers.OBJECTIVE), 1e-8 * 4e6, rtol=1e-5)


# --- Rules and conditions of one's own.


class Bare(Rule):
    pass


@dataclass(frozen=True)
class Numbered(bpjit.Momentum):
    code = 8


@dataclass(frozen=True)
class Renamed(bpjit.Momentum):
    name = "adam"


@pytest.mark.parametrize("rule", [Bare(), Numbered(), Renamed()])
def test_a_rule_of_ones_own_is_refused(rule):
    net = bpjit.Network.random((2, 2, 1))
    calls = [
        lambda: bpjit.train(net, *XOR, rule=rule),
        lambda: bpjit.train_many([net], *XOR, rule=rule),
        lambda: bpjit.train_many([net, net], *XOR, rule=["sgd", rule]),
        lambda: bpjit.compile(net, rule=rule),
        lambda: bpjit.OnlineLearner(net, rule=rule),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"rule: expected one of sgd, .*, got .*(Bare|Numbered|Renamed)"):
            call()


@dataclass(frozen=True)
class Swift(bpjit.Momentum):
    """bpjit's rule with another default."""

    mu: float = 0.99


def test_a_rule_with_other_defaults_is_bpjits():
    assert as_rule(Swift()).constants() == bpjit.Momentum(mu=0.99).constants()


class Mine(Condition):
    pass


class Later(bpjit.MaxEpochs):
    pass


class ATargetErrorWithALongName(TargetError):
    pass


@pytest.mark.parametrize("condition", [Mine(), Later(3), ATargetErrorWithALongName(0.1), GradientNorm(0.1)])
def test_train_many_refuses_conditions_it_does_not_know(condition):
    name = type(condition).__name__
    nets = bpjit.Networks.random((2, 2, 1), 2)
    for stop in (condition, [condition, bpjit.MaxEpochs(5)], [bpjit.TimeLimit(5), condition]):
        with pytest.raises(ValueError, match=f"^stop: train_many has no {name}; expected MaxEpochs, TargetError"):
            bpjit.train_many(nets, *XOR, stop=stop)
