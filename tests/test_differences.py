"""Derivatives by differences: against slopes known in closed form, and how honest the estimated error is."""

import math

import numpy as np
import pytest

from bpjit import descent

# f, f' and where
KNOWN = [
    (math.sin, math.cos, [-3.0, 0.0, 0.1, 1.0, 100.0]),
    (math.exp, math.exp, [-20.0, -1.0, 0.0, 2.0, 30.0]),
    (math.log, lambda x: 1 / x, [1e-3, 0.5, 1.0, 1e4]),
    (math.sqrt, lambda x: 0.5 / math.sqrt(x), [1e-2, 1.0, 1e6]),
    (math.atan, lambda x: 1 / (1 + x * x), [-2.0, 0.0, 5.0]),
    (lambda x: x**3 - 2 * x, lambda x: 3 * x * x - 2, [-1.0, 0.0, 0.8164965809277261, 10.0]),
    (lambda x: math.sin(20 * x), lambda x: 20 * math.cos(20 * x), [0.0, 0.3, 2.0]),
    (lambda x: 5.0, lambda x: 0.0, [1.0]),
    (lambda x: 1e12 + x, lambda x: 1.0, [1.0]),
    (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2, [-5.0, 0.0, 3.0]),
]
CASES = [(f, slope, x) for f, slope, places in KNOWN for x in places]


@pytest.mark.parametrize("kind", ["forward", "central"])
@pytest.mark.parametrize(("f", "slope", "x"), CASES)
def test_the_slope_lies_within_the_estimated_error(f, slope, x, kind):
    found = descent.derivative(f, x, kind=kind)
    assert abs(found.value - slope(x)) <= found.error


@pytest.mark.parametrize(("f", "slope", "x"), CASES)
def test_the_estimate_is_no_idle_promise(f, slope, x):
    """With an ideal step the central difference errs by about (ε f)^(2/3); the estimate may be some times that."""
    found = descent.derivative(f, x)
    size = max(abs(f(x)), abs(slope(x)), abs(x * slope(x)), 1e-9)
    scale = max(1.0, abs(x))
    assert found.error <= 300 * (2.2e-16) ** (2 / 3) * size * max(1.0, 400 / scale)


def test_the_estimate_is_honest_at_random_places():
    rng = np.random.default_rng(0)
    for x in rng.uniform(0.2, 3, 300):
        found = descent.derivative(lambda x: math.sin(3 * x) * math.exp(-x) + x * x, x)
        exact = (3 * math.cos(3 * x) - math.sin(3 * x)) * math.exp(-x) + 2 * x
        assert abs(found.value - exact) <= found.error


def test_the_estimate_is_honest_where_f_cancels():
    """(x − 1)^5 written out: its noise is far larger than the last digit of its value; only scatter shows it."""
    power = np.poly(np.ones(5))
    rng = np.random.default_rng(0)
    for x in rng.uniform(0.8, 1.2, 300):
        found = descent.derivative(lambda x: np.polyval(power, x), x)
        assert abs(found.value - 5 * (x - 1) ** 4) <= found.error < 1e-6


def test_error_falls_like_h_and_like_h_squared_and_rises_again():
    """S4: the limit (f(a + h) − f(a))/h."""
    steps = [1e-1, 1e-2, 1e-3]
    exact = math.exp(1.0)
    forward = np.abs(descent.derivative(math.exp, 1.0, kind="forward", steps=steps).values - exact)
    central = np.abs(descent.derivative(math.exp, 1.0, steps=steps).values - exact)
    assert forward[:2] / forward[1:] == pytest.approx([10, 10], rel=0.1)
    assert central[:2] / central[1:] == pytest.approx([100, 100], rel=0.01)
    assert forward[0] == pytest.approx(0.1 * exact / 2, rel=0.05)  # h f''/2
    for kind, best in (("forward", 1e-8), ("central", 1e-5)):
        found = descent.derivative(math.exp, 1.0, kind=kind)
        errors = np.abs(found.values - exact)
        assert best / 10 < found.h < best * 10
        at = np.flatnonzero(found.steps == found.h)[0]
        assert errors[0] > 1e3 * errors[at]
        assert errors[-1] > 1e3 * errors[at]


def test_a_domain_that_ends_near_by():
    found = descent.derivative(math.log, 0.01)
    assert found.value == pytest.approx(100, rel=1e-8)
    assert found.h < 0.01
    with pytest.raises(ValueError, match="finite values around -1"):
        descent.derivative(math.log, -1.0)


@pytest.mark.parametrize("kind", ["forward", "central"])
def test_gradient_of_several_variables(kind):
    f = lambda x, y, z: x * y**2 + math.sin(z)  # noqa: E731
    found = descent.numerical_gradient(f, (2.0, -3.0, 0.5), kind=kind)
    np.testing.assert_allclose(found, [9, -12, math.cos(0.5)], rtol=1e-6 if kind == "forward" else 1e-9)
    found = descent.numerical_gradient(f, (2.0, -3.0, 0.5), kind=kind, h=0.1)
    if kind == "forward":
        assert found[1] == pytest.approx(2 * ((-2.9) ** 2 - 9) / 0.1)
    else:
        assert found[1] == pytest.approx(-12)


def test_an_error_s_picture_shows_the_best_step():
    pytest.importorskip("matplotlib")
    found = descent.derivative(math.sin, 1.0)
    axes = found.draw(slope=math.cos(1.0))
    assert axes.get_xscale() == axes.get_yscale() == "log"
    estimated, true, best = axes.get_lines()
    assert list(best.get_xdata()) == [found.h, found.h]
    assert np.isin(estimated.get_ydata(), found.errors).all()
    assert (np.asarray(true.get_ydata()) > 0).all()
    assert len(found.draw().get_lines()) == 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: descent.derivative(3, 1.0), TypeError, "f: expected a function"),
        (lambda: descent.derivative(math.sin, math.nan), ValueError, "a: expected a finite number"),
        (lambda: descent.derivative(math.sin, 1.0, kind="centre"), ValueError, "kind: expected one of"),
        (lambda: descent.derivative(math.sin, 1.0, steps=[0.1]), ValueError, "steps: expected at least 2"),
        (lambda: descent.derivative(math.sin, 1.0, steps=[0.1, 0.2]), ValueError, "falling"),
        (lambda: descent.numerical_gradient(math.sin, [1.0], h=0), ValueError, "h: expected a finite number > 0"),
    ],
)
def test_errors_say_what_was_expected(call, error, words):
    with pytest.raises(error, match=words):
        call()
