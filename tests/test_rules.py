"""The formulas of the update rules alone, on plain floats, against the reference's loops over vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from bpjit.maths import random_streams, rule_formulas
from bpjit.settings import rules

values = st.floats(-2, 2).filter(lambda x: x == 0 or abs(x) > 1e-6)
steps = st.lists(values, min_size=1, max_size=8)


def by_reference(name, gradients, eta, settings=None, objectives=None):
    """The path of one weight from 0.3."""
    w, state = np.array([0.3]), reference.new_state(name, settings, 1)
    path = []
    for t, g in enumerate(gradients):
        objective = None if objectives is None else objectives[t]
        w, state = reference.step(name, settings, eta, w, np.array([g]), state, objective=objective)
        path.append(float(w[0]))
    return path


@given(steps)
def test_momentum(gradients):
    w, v, path = 0.3, 0.0, []
    for g in gradients:
        w, v = rule_formulas.momentum(w, g, v, 0.1, 0.9)
        path.append(w)
    assert path == pytest.approx(by_reference("momentum", gradients, 0.1), rel=1e-13)
    assert rule_formulas.lookahead(w, v, 0.9) == w + 0.9 * v


@given(steps)
def test_adagrad_and_rmsprop(gradients):
    w, r, path = 0.3, 0.0, []
    for g in gradients:
        w, r = rule_formulas.adagrad(w, g, r, 0.1, 1e-8)
        path.append(w)
    assert path == pytest.approx(by_reference("adagrad", gradients, 0.1), rel=1e-12, abs=1e-13)
    w, r, path = 0.3, 0.0, []
    for g in gradients:
        w, r = rule_formulas.rmsprop(w, g, r, 0.1, 1 - 0.9, 1e-8)
        path.append(w)
    assert path == pytest.approx(by_reference("rmsprop", gradients, 0.1), rel=1e-12, abs=1e-13)


@given(steps)
def test_adam(gradients):
    w, m, r, c1, c2, path = 0.3, 0.0, 0.0, 0.0, 0.0, []
    rests = (1 - 0.9, 1 - 0.999)
    for g in gradients:
        c1, c2 = rule_formulas.moving_average(c1, 1.0, rests[0]), rule_formulas.moving_average(c2, 1.0, rests[1])
        w, m, r = rule_formulas.adam(w, g, m, r, 0.1, rests, 1e-8, (c1, c2))
        path.append(w)
    assert path == pytest.approx(by_reference("adam", gradients, 0.1), rel=1e-11, abs=1e-12)


def test_adam_s_corrections_keep_their_digits_in_float32():
    """1 − β₂ᵗ by powers of float32(0.999) is off by 5e-5 at the first step."""
    c, rest = np.float32(0), np.float32(1 - 0.999)
    for t in range(1, 2000):
        c = rule_formulas.moving_average(c, np.float32(1), rest)
        assert c == pytest.approx(1 - 0.999**t, rel=1e-5)


@pytest.mark.parametrize("variant", rules.Rprop.VARIANTS)
@given(gradients=steps, objectives=st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_rprop(variant, gradients, objectives):
    w, previous, delta, move, last, path = 0.3, 0.0, 0.1, 0.0, np.inf, []
    for g, objective in zip(gradients, objectives, strict=False):
        revert = {"iRprop-": 0.0, "Rprop+": 1.0, "iRprop+": float(objective > last)}[variant]
        w, previous, delta, move = rule_formulas.rprop(w, g, previous, delta, move, revert, (1.2, 0.5), (1e-6, 50.0))
        last = objective
        path.append(w)
    expected = by_reference("rprop", gradients, 0.0, {"variant": variant}, objectives)
    assert path == pytest.approx(expected, rel=1e-13, abs=1e-15)


@given(steps)
def test_quickprop(gradients):
    w, previous, move, path = 0.3, 0.0, 0.0, []
    for g in gradients:
        w, previous, move = rule_formulas.quickprop(w, g, previous, move, 0.1, 1.75)
        path.append(w)
    assert path == pytest.approx(by_reference("quickprop", gradients, 0.1), rel=1e-12, abs=1e-13)


def test_quickprop_finds_the_bottom_of_a_parabola_in_two_steps():
    """E = (w − 1)²: after one step of η g, the parabola through two slopes is E itself."""
    w, previous, move = 0.0, 0.0, 0.0
    w, previous, move = rule_formulas.quickprop(w, -2 * (w - 1), previous, move, 0.3, 1.75)
    w, previous, move = rule_formulas.quickprop(w, -2 * (w - 1), previous, move, 0.0, 1.75)
    assert w == pytest.approx(1.0, rel=1e-14)


def test_nan_is_not_hidden():
    assert np.isnan(rule_formulas.rprop(0.3, np.nan, 0.1, 0.1, 0.1, 0.0, (1.2, 0.5), (1e-6, 50.0))[0])
    assert np.isnan(rule_formulas.quickprop(0.3, np.nan, 0.1, 0.1, 0.1, 1.75)[0])
    assert np.isnan(rule_formulas.sign(np.nan))


def test_rprop_s_first_steps():
    state = rules.Rprop(delta0=(0.005, 0.02)).start(1000, seed=4)
    assert 0.005 < state[1].min() < 0.0055
    assert 0.0195 < state[1].max() < 0.02
    np.testing.assert_array_equal(
        state[1], 0.005 + 0.015 * random_streams.uniforms(4, random_streams.FIRST_STEPS, 0, 1000)
    )
    assert (rules.Rprop(delta0=0.3).start(5, seed=4)[1] == 0.3).all()


def test_names_and_defaults():
    for name, kind in rules.RULES.items():
        assert rules.as_rule(name) == kind()
        assert kind.name == name
        assert len(kind().constants()) <= 5
    assert rules.as_rule(rules.Adam(beta1=0.5)) != rules.Adam()
    assert len({kind.code for kind in rules.RULES.values()}) == len(rules.RULES)
