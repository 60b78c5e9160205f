"""The formulas of the update rules alone, on plain floats, against the reference's loops over vectors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from bpjit.maths import formulas, random_streams
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


def by_formula(rule, gradients, eta, objectives=None):
    """The same by the rule's own lines, on floats."""
    w, shared, last, path = 0.3, (0.0,) * rule.shares, np.inf, []
    state, settings = tuple(rule.start(1, 0)[: rule.slots, 0].tolist()), rule.constants()
    for t, g in enumerate(gradients):
        objective = np.inf if objectives is None else objectives[t]
        shared = rule.prepare(shared, settings, float(objective > last))
        w, state = rule.step(w, g, state, eta, settings, shared)
        last = objective
        path.append(w)
    return path


@pytest.mark.parametrize("name", [name for name in rules.RULES if name != "rprop"])
@given(gradients=steps)
def test_steps(name, gradients):
    path = by_formula(rules.as_rule(name), gradients, 0.1)
    assert path == pytest.approx(by_reference(name, gradients, 0.1), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("variant", rules.Rprop.VARIANTS)
@given(gradients=steps, objectives=st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_rprop(variant, gradients, objectives):
    path = by_formula(rules.Rprop(variant), gradients, 0.0, objectives)
    expected = by_reference("rprop", gradients, 0.0, {"variant": variant}, objectives)
    assert path == pytest.approx(expected, rel=1e-13, abs=1e-15)


def test_nesterov_looks_ahead():
    assert rules.Nesterov.ahead(0.5, (0.25,), (0.9,)) == 0.5 + 0.9 * 0.25
    assert all((rule.ahead is not None) == (name == "nesterov") for name, rule in rules.RULES.items())


def test_adam_s_corrections_keep_their_digits_in_float32():
    """1 − β₂ᵗ by powers of float32(0.999) is off by 5e-5 at the first step."""
    settings, shared = tuple(map(np.float32, rules.Adam().constants())), (np.float32(0), np.float32(0))
    for t in range(1, 2000):
        shared = rules.Adam.prepare(shared, settings, np.float32(0))
        assert shared[1] == pytest.approx(1 - 0.999**t, rel=1e-5)


def test_quickprop_finds_the_bottom_of_a_parabola_in_two_steps():
    """E = (w − 1)²: after one step of η g, the parabola through two slopes is E itself."""
    w, state = 0.0, (0.0, 0.0)
    w, state = rules.Quickprop.step(w, -2 * (w - 1), state, 0.3, (1.75,), ())
    w, state = rules.Quickprop.step(w, -2 * (w - 1), state, 0.0, (1.75,), ())
    assert w == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("name", list(rules.RULES))
def test_nan_is_not_hidden(name):
    rule = rules.as_rule(name)
    w, _ = rule.step(0.3, np.nan, (0.1,) * rule.slots, 0.1, rule.constants(), (0.5,) * rule.shares)
    assert np.isnan(w)
    assert np.isnan(formulas.sign(np.nan))


@pytest.mark.parametrize("name", list(rules.RULES))
@given(gradients=steps)
def test_no_step_is_longer_than_its_bound(name, gradients):
    """What clipping of weights relies on; a rule that keeps squares of gradients promises none."""
    rule = rules.as_rule(name)
    if rule.squares or rule.accumulated_only:
        return
    path, longest, most = [0.3, *by_formula(rule, gradients, 0.1)], 0.0, 0.1 * max(map(abs, gradients))
    for before, after in itertools.pairwise(path):
        longest = rule.longest(most, longest, rule.constants())
        assert abs(after - before) <= longest * (1 + 1e-9) + 1e-12


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
        assert len(kind().constants()) <= rules.SETTINGS
        assert kind.slots <= rules.SLOTS
        assert kind.shares <= rules.SHARED
    assert rules.as_rule(rules.Adam(beta1=0.5)) != rules.Adam()
    assert len({kind.code for kind in rules.RULES.values()}) == len(rules.RULES)
