"""Formulas alone, as plain Python on floats: slopes and gradient terms against central differences."""

import math

import numba
import numpy as np
import pytest

import reference
from bpjit.kernels import jit
from bpjit.maths import formulas

STEP = 1e-6
POINTS = [-6.3, -2.5, -1.2, -0.4, -0.01, 0.02, 0.3, 1.7, 3.1, 5.9]
SMOOTH = [function for function in formulas.ACTIVATIONS if function is not formulas.step]


def slope_by_differences(function, z):
    return (function(z + STEP) - function(z - STEP)) / (2 * STEP)


@pytest.mark.parametrize("activation", SMOOTH, ids=lambda f: f.__name__)
@pytest.mark.parametrize("z", POINTS)
def test_slope_of_every_activation(activation, z):
    # central differences with h = 1e-6 err by about 1e-10
    assert activation(z)[1] == pytest.approx(slope_by_differences(lambda z: activation(z)[0], z), rel=1e-8, abs=1e-9)
    assert activation(z)[1] != 0 or (activation is formulas.relu and z < 0)


@pytest.mark.parametrize("activation", formulas.ACTIVATIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("z", [*POINTS, 0.0, -800.0, 800.0])
def test_every_activation_equals_the_reference(activation, z):
    with np.errstate(over="ignore"):
        expected = reference.ACTIVATIONS[activation.__name__](np.float64(z))
    # 1 − tanh² near 1 keeps the absolute, not the relative accuracy of tanh
    assert activation(z) == pytest.approx(expected, rel=1e-13, abs=4e-16 if activation is formulas.tanh else 1e-300)


@pytest.mark.parametrize("activation", formulas.ACTIVATIONS, ids=lambda f: f.__name__)
def test_nan_passes_through_every_trainable_activation(activation):
    if activation is not formulas.step:
        assert math.isnan(activation(math.nan)[0])


@pytest.mark.parametrize("activation", formulas.ACTIVATIONS, ids=lambda f: f.__name__)
def test_second_derivative_of_every_activation(activation):
    for z in POINTS:
        bend = formulas.BENDS[activation](*activation(z))
        expected = slope_by_differences(lambda z: activation(z)[1], z)
        assert bend == pytest.approx(expected, rel=1e-8, abs=1e-9)
        if activation is not formulas.step:
            assert bend == pytest.approx(reference.BENDS[activation.__name__](z), rel=1e-12, abs=1e-15)
    for z in (0.0, -800.0, 800.0):
        assert np.isfinite(formulas.BENDS[activation](*activation(z)))


@pytest.mark.parametrize("loss", formulas.LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("y_hat", "y"), [(0.3, 1.0), (0.9, 0.1), (2.7, 0.2), (-1.5, 1.25), (0.5, 0.25)])
def test_second_derivative_of_every_loss(loss, y_hat, y):
    expected = -slope_by_differences(lambda y_hat: loss(y_hat, y)[1], y_hat)
    bend = formulas.BENDS_OF_LOSSES[loss](y_hat, y)
    assert bend == pytest.approx(expected, rel=1e-8, abs=1e-9)
    assert bend == reference.BENDS_OF_LOSSES[loss.__name__](np.array([y_hat]), np.array([y]))[0]


@pytest.mark.parametrize("loss", formulas.LOSSES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("y_hat", "y"), [(0.3, 1.0), (0.9, 0.1), (2.7, 0.2), (-1.5, 1.25), (0.5, 0.25)])
def test_gradient_term_of_every_loss(loss, y_hat, y):
    expected = -slope_by_differences(lambda y_hat: loss(y_hat, y)[0], y_hat)
    assert loss(y_hat, y)[1] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("loss", formulas.LOSSES, ids=lambda f: f.__name__)
def test_losses_where_output_meets_target_and_where_it_is_nan(loss):
    assert loss(0.5, 0.5) == (0, 0)
    assert all(math.isnan(value) for value in loss(math.nan, 0.5))


@pytest.mark.parametrize("z", [-3.0, -0.2, 0.7, 4.0])
@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_binary_cross_entropy(z, y):
    y_hat = formulas.sigmoid(z)[0]
    by_definition = -y * math.log(y_hat) - (1 - y) * math.log(1 - y_hat)
    assert formulas.binary_cross_entropy(z, y) == pytest.approx(by_definition, rel=1e-12)
    slope = slope_by_differences(lambda z: formulas.binary_cross_entropy(z, y), z)
    assert formulas.cross_entropy_gradient_term(y_hat, y) == pytest.approx(-slope, rel=1e-8)


def test_binary_cross_entropy_of_confident_outputs_keeps_its_digits():
    for z in (30.0, 12.0):
        assert formulas.binary_cross_entropy(z, 1.0) == pytest.approx(math.log1p(math.exp(-z)), rel=1e-12)
        assert formulas.binary_cross_entropy(-z, 0.0) == pytest.approx(math.log1p(math.exp(-z)), rel=1e-12)


def test_binary_cross_entropy_never_overflows():
    assert formulas.binary_cross_entropy(1000.0, 0.0) == 1000.0
    assert formulas.binary_cross_entropy(-1000.0, 1.0) == 1000.0
    assert formulas.binary_cross_entropy(1000.0, 1.0) == 0.0


def test_the_book_s_gradient_terms():
    """S5: g_j = ŷ_j(1 − ŷ_j)(y_j − ŷ_j), e_h = b_h(1 − b_h) Σ_j w_hj g_j, and the four updates."""
    y_hat, slope = formulas.sigmoid(0.8)
    _, d = formulas.squared(y_hat, 0.25)
    g = formulas.output_gradient_term(slope, d)
    assert g == pytest.approx(y_hat * (1 - y_hat) * (0.25 - y_hat), rel=1e-14)
    b, slope = formulas.sigmoid(-0.3)
    e = formulas.hidden_gradient_term(slope, 0.7 * g)
    assert e == pytest.approx(b * (1 - b) * 0.7 * g, rel=1e-14)
    assert formulas.weight_update(0.7, 0.5, g, b) == pytest.approx(0.7 + 0.5 * g * b, rel=1e-15)
    assert formulas.threshold_update(0.1, 0.5, g) == pytest.approx(0.1 - 0.5 * g, rel=1e-15)


def test_softmax_gradient_term_is_the_jacobian():
    z, y = np.array([0.3, -1.0, 0.8]), np.array([0.1, 0.7, 0.2])
    E = lambda z: 0.5 * np.sum((reference.softmax(z) - y) ** 2)  # noqa: E731
    y_hat = reference.softmax(z)
    d = y - y_hat
    terms = [formulas.softmax_gradient_term(y_hat[j], d[j], y_hat @ d) for j in range(3)]
    assert terms == pytest.approx(-reference.central_differences(E, z), rel=1e-8)


def test_regularisation():
    lam, w, error = 0.9, 1.5, 0.4
    objective = lambda w: formulas.regularised_objective(error, w * w, lam, 1 - lam)  # noqa: E731
    descent = formulas.regularised_descent(0.0, w, lam, 1 - lam)
    assert descent == pytest.approx(-slope_by_differences(objective, w), rel=1e-8)
    assert formulas.regularised_descent(2.0, w, lam, 1 - lam) == pytest.approx(descent + lam * 2.0, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", formulas.ACTIVATIONS, ids=lambda f: f.__name__)
def test_jitted_formulas_stay_in_their_dtype(activation, dtype):
    jitted = numba.njit(error_model="numpy", fastmath=jit.FASTMATH)(lambda z: activation(z))
    eps = float(np.finfo(dtype).eps)
    for z in POINTS:
        y, slope = jitted(dtype(z))
        expected = activation(float(dtype(z)))
        assert (y, slope) == pytest.approx(expected, rel=4 * eps, abs=2 * eps)
    returned = jitted.nopython_signatures[0].return_type
    assert all(part == numba.from_dtype(np.dtype(dtype)) for part in returned)
