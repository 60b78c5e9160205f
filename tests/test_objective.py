"""Objectives: the Hessian times a vector against the reference, differences, and itself without the JIT; residuals and
their Jacobian; and every method of SciPy that they are for."""

import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from scipy import optimize

import bpjit
import objective_cases
import reference
from bpjit.kernels import products as kernels
from objective_cases import CASES, LOSS, by_reference, differences, direction, objective, own_objective, products

SQUARED = [name for name in CASES if name.endswith(" squared")]


def close(found, wanted, tolerance):
    return np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()


# --- The Hessian times a vector.


@pytest.mark.parametrize("name", CASES)
def test_products_equal_the_reference_and_differences_of_gradients(name):
    of = objective(name)
    p = of.parameters
    for v in (direction(len(p)), np.eye(len(p))[-1]):
        wanted = by_reference(name, v)
        assert np.abs(wanted).max() > (1e-3 if np.ptp(v) < 1 else 0)
        assert close(of.hessian_product(p, v), wanted, 1e-12)
        # h² of the central differences, and what rounding leaves of a gradient over h
        np.testing.assert_allclose(of.hessian_product(p, v), differences(of, p, v), rtol=1e-7, atol=1e-8)


def test_float32():
    for name in CASES:
        found, wanted = products(objective(name, "float32")), products(objective(name))
        assert close(found, wanted, 2e-5), name
        assert found.dtype == np.float64


def test_the_whole_hessian_of_tiny_networks():
    for name, lam in (("tanh identity squared", 0.9), ("softsign softmax cross_entropy", None)):
        of = objective(name, lam=lam)
        p = of.parameters
        H, n = of.hessian(p), len(p)
        by_differences = np.stack([differences(of, p, v) for v in np.eye(n)])
        np.testing.assert_allclose(H, by_differences, rtol=1e-7, atol=1e-8)
        np.testing.assert_array_equal(H, H.T)
        np.testing.assert_allclose(of.hessian_product(p, direction(n)), H @ direction(n), rtol=1e-11, atol=1e-12)
        by_values = reference.central_differences(of.value, p, h=1e-6)
        np.testing.assert_allclose(of.gradient(p), by_values, rtol=1e-7, atol=1e-8)


def test_many_samples_and_wide_layers(monkeypatch):
    """Chunks, and calls of few samples each: sums over parts of the samples, and over halves of the calls."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(401, 20)), rng.normal(size=(401, 9))
    net = bpjit.Network.random((20, 70, 17, 9), "sigmoid", "tanh", "normal", 3)
    v = direction(len(net.parameters))
    whole = bpjit.Objective(net, X, Y)
    found = whole.hessian_product(net.parameters, v)
    parts = [bpjit.Objective(net, X[k : k + 100], Y[k : k + 100]) for k in (0, 100, 200, 300)]
    parts += [bpjit.Objective(net, X[400:], Y[400:])]
    by_parts = sum(w * of.hessian_product(net.parameters, v) for w, of in zip([100] * 4 + [1], parts, strict=True))
    assert close(found, by_parts / 401, 1e-13)
    assert close(found, differences(whole, net.parameters, v), 1e-7)
    monkeypatch.setattr(kernels, "CALL", 1)
    np.testing.assert_array_equal(whole.hessian_product(net.parameters, v), found)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("loss", "output"),
    [("log_cosh", "elu"), ("poisson", "exp"), ("quantile", "gelu"), (LOSS, "softmax"), ("squared", "silu")],
)
def test_formulas_that_come_with_the_library(loss, output, dtype):
    of, double = (own_objective(kind, loss, output, gaps=False) for kind in (dtype, "float64"))
    p = of.parameters
    wanted = differences(double, p, direction(len(p)))
    assert close(products(of), wanted, 1e-7 if dtype == "float64" else 1e-4)


def test_an_activation_whose_second_derivative_nobody_wrote(monkeypatch):
    monkeypatch.setattr("bpjit.kernels.along.NAMES", {"identity"})
    of = objective("tanh identity squared")
    with pytest.raises(ValueError, match='^net: the second derivative of "tanh" .* expected'):
        products(of)


def test_without_the_jit(tmp_path):
    """The readable lines give the same."""
    path = tmp_path / "results.npz"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", objective_cases.__file__, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    results = np.load(path)
    for name in CASES:
        assert close(products(objective(name)), results[name], 1e-12), name
        assert close(products(objective(name, "float32")), results[f"{name} float32"], 2e-5), name
    # f'' of an activation and the bend of a loss come from their tapes; a target that is not known counts nothing
    assert close(products(own_objective()), results["own"], 1e-12)
    np.testing.assert_allclose(results["own"], results["own by differences"], rtol=1e-7, atol=1e-8)
    of = objective("tanh identity squared", lam=0.9)
    value, gradient = of.value_and_gradient(of.parameters)
    assert value == pytest.approx(float(results["value"]), rel=1e-14)
    assert close(gradient, results["gradient"], 1e-13)
    assert close(of.residuals(of.parameters), results["residuals"], 1e-13)
    assert close(of.jacobian(of.parameters), results["jacobian"], 1e-13)


# --- Value and gradient, residuals and Jacobian.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("lam", [None, 0.75])
def test_value_and_gradient_are_those_of_bpjit(dtype, lam):
    name = "softplus softmax huber"
    of = objective(name, dtype, lam=lam)
    X, Y, c = objective_cases.data("softmax", "huber")
    more = {"loss": "huber", "sample_weight": c, "lam": lam}
    p = direction(len(of.parameters))
    net = of.network(p)
    assert (net.dtype, net.sizes) == (np.dtype(dtype), objective_cases.SMALL)
    value, gradient = of.value_and_gradient(p)
    assert value == of.value(p) == of(p) == bpjit.error(net, X, Y, **more)
    np.testing.assert_array_equal(gradient, bpjit.gradient(net, X, Y, **more))
    np.testing.assert_array_equal(gradient, of.gradient(p))
    assert gradient.dtype == of.parameters.dtype == np.float64
    assert not of.parameters.flags.writeable
    assert (of.loss, of.lam) == ("huber", lam)


def test_class_weights():
    X, labels = np.random.default_rng(0).normal(size=(9, 3)), np.array([0, 1, 1, 1, 0, 1, 1, 1, 1])
    net = bpjit.Network.random((3, 4, 2), "tanh", "softmax")
    more = {"class_weight": {0: 3.0, 1: 0.5}}
    of = bpjit.Objective(net, X, labels, **more)
    assert of.loss == "cross_entropy"
    assert of(net.parameters) == bpjit.error(net, X, labels, **more) != bpjit.error(net, X, labels)
    weights = np.where(labels == 0, 3.0, 0.5)
    v = direction(len(net.parameters))
    np.testing.assert_array_equal(
        of.hessian_product(net.parameters, v),
        bpjit.Objective(net, X, labels, sample_weight=weights).hessian_product(net.parameters, v),
    )


@pytest.mark.parametrize("name", SQUARED)
@pytest.mark.parametrize("lam", [None, 0.6])
def test_half_the_sum_of_squared_residuals_is_the_objective(name, lam):
    of = objective(name, lam=lam)
    p, n = of.parameters, len(of.parameters)
    r, J = of.residuals(p), of.jacobian(p)
    assert J.shape == (len(r), n) == ((objective_cases.M - 1) * 2 + (n if lam else 0), n)
    assert 0.5 * r @ r == pytest.approx(of.value(p), rel=1e-13)
    np.testing.assert_allclose(J.T @ r, of.gradient(p), rtol=1e-11, atol=1e-13)
    v = direction(n)
    slope = (of.residuals(p + 1e-6 * v) - of.residuals(p - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(J @ v, slope, rtol=1e-7, atol=1e-9)


def test_residuals_of_targets_that_are_not_known_and_in_parts(monkeypatch):
    name = "tanh identity squared"
    X, Y, _ = objective_cases.data("identity", "squared")
    Y[1], Y[4, 0] = np.nan, np.nan  # of a sample both, which is absent then; of another one
    net = objective(name).network(objective(name).parameters)
    of, plain = bpjit.Objective(net, X, Y, missing="ignore"), bpjit.Objective(net, X, np.nan_to_num(Y))
    p = of.parameters
    r, J = of.residuals(p), of.jacobian(p)
    known = ~np.isnan(np.delete(Y, 1, 0)).ravel()
    for found, wanted in ((r, plain.residuals(p)), (J, plain.jacobian(p))):
        wanted = np.delete(wanted, (2, 3), 0) * np.sqrt(9 / 8)
        np.testing.assert_allclose(found[known], wanted[known], rtol=1e-14)
        assert not found[~known].any()
    monkeypatch.setattr("bpjit.networks.objective.BLOCK", 3 * 2 * len(p))
    np.testing.assert_array_equal(of.jacobian(p), J)


def test_residuals_in_the_network_s_units():
    X, Y = np.array([[100.0], [140.0], [180.0]]), np.array([1.0, 5.0, 6.0])
    net = bpjit.Network.random((1, 3, 1), "tanh", "identity", scale=bpjit.Scale.standard(X, Y[:, None]))
    of = bpjit.Objective(net, X, Y)
    difference = (net.predict(X)[:, 0] - Y) / Y.std()
    np.testing.assert_allclose(of.residuals(net.parameters), difference / np.sqrt(3), rtol=1e-12)
    assert of.network(of.parameters) == net


# --- SciPy.


@pytest.fixture(scope="module")
def valley():
    """A problem with one minimum that is easily found: λ keeps parameters small."""
    X = np.linspace(-1, 1, 30)[:, None]
    net = bpjit.Network.random((1, 2, 1), "tanh", "identity", seed=1)
    return bpjit.Objective(net, X, 0.5 * X[:, 0] + 0.2, lam=0.999)


@pytest.fixture(scope="module")
def bottom(valley):
    """Its parameters, where Newton's method ends that solves with the whole Hessian."""
    p = optimize.minimize(valley.value_and_gradient, valley.parameters, jac=True, method="BFGS").x
    for _ in range(5):
        p = p - np.linalg.solve(valley.hessian(p), valley.gradient(p))
    assert np.abs(valley.gradient(p)).max() < 1e-14
    assert np.linalg.eigvalsh(valley.hessian(p)).min() > 1e-4
    return p


METHODS = {
    "BFGS": {"gtol": 1e-9},
    "CG": {"gtol": 1e-9},
    "L-BFGS-B": {"ftol": 0, "gtol": 1e-10},
    "Newton-CG": {"xtol": 1e-10},
    "trust-ncg": {"gtol": 1e-9},
    "trust-krylov": {"gtol": 1e-8},
    "trust-exact": {"gtol": 1e-9},
}


@pytest.mark.parametrize("method", METHODS)
def test_minimize_ends_at_the_minimum(method, valley, bottom):
    more = {}
    if method in ("Newton-CG", "trust-ncg", "trust-krylov"):
        more["hessp"] = valley.hessian_product
    if method == "trust-exact":
        more["hess"] = valley.hessian
    found = optimize.minimize(
        valley.value, valley.parameters, jac=valley.gradient, method=method, options=METHODS[method], **more
    )
    assert found.fun == pytest.approx(valley.value(bottom), rel=1e-12)
    assert np.linalg.norm(valley.gradient(found.x)) < 1e-7
    for p in (found.x, -found.x):  # minima lie opposite one another, and a unit may stand for the other
        assert valley.value(p) >= valley.value(bottom) * (1 - 1e-12)


@pytest.mark.parametrize("method", ["lm", "trf", "dogbox"])
def test_least_squares_ends_at_the_minimum(method, valley, bottom):
    found = optimize.least_squares(
        valley.residuals, valley.parameters, valley.jacobian, method=method, ftol=1e-14, xtol=1e-14, gtol=1e-12
    )
    assert found.cost == pytest.approx(valley.value(bottom), rel=1e-12)


def test_searches_from_many_starts_end_at_the_minimum(valley, bottom):
    start, local = valley.parameters, {"method": "L-BFGS-B", "options": {"ftol": 0, "gtol": 1e-9}}
    both, one = ({**local, "jac": each} for each in (True, valley.gradient))
    found = [
        optimize.basinhopping(valley.value_and_gradient, start, niter=3, rng=0, minimizer_kwargs=both),
        optimize.dual_annealing(valley.value, [(-2, 2)] * len(start), maxiter=2, rng=0, minimizer_kwargs=one),
    ]
    for each in found:
        assert each.fun == pytest.approx(valley.value(bottom), rel=1e-12)


def test_a_linear_network_ends_where_linear_algebra_does():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    of = bpjit.Objective(bpjit.Network.random((3, 2), output="identity"), X, Y)
    exactly = {"ftol": 0, "gtol": 1e-9}
    found = optimize.minimize(of.value_and_gradient, of.parameters, jac=True, method="L-BFGS-B", options=exactly)
    wanted = np.linalg.lstsq(np.column_stack([X, -np.ones(40)]), Y)[0]
    np.testing.assert_allclose(found.x, wanted.ravel(), atol=1e-7)
    np.testing.assert_allclose(of.hessian(found.x) @ (of.parameters - found.x), of.gradient(of.parameters), atol=1e-7)


def reaches_in_sinc(hidden, seeds, **more):
    """How many starts of 1-20-1 reach a mean squared error of 1e-8 on sinc(10x), where glorot's starts never get."""
    X = np.linspace(-1, 1, 200)[:, None]
    Y, reached = np.sinc(10 * X), 0
    for seed in seeds:
        net = bpjit.Network.random((1, 20, 1), hidden, "identity", init="nguyen_widrow", seed=seed)
        of = bpjit.Objective(net, X, Y)
        found = optimize.least_squares(of.residuals, of.parameters, of.jacobian, method="lm", **more)
        reached += 2 * found.cost <= 1e-8
    return reached


def test_sinc_from_nguyen_widrow_starts():
    assert reaches_in_sinc("tanh", (0, 2, 3), max_nfev=600) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid"])
def test_sinc_from_24_starts(hidden):
    """MINPACK does not get as far as Levenberg and Marquardt's method with μ, which gets there from all of them."""
    exactly = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-12)
    assert reaches_in_sinc(hidden, range(24), max_nfev=2000, **exactly) >= 19


# --- What else one may do, and may not.


def test_beyond_all_numbers_a_line_search_turns_back():
    of = objective("identity sin squared")
    n = len(of.parameters)
    for p in (np.full(n, np.nan), np.full(n, np.inf), np.full(n, 1e300)):
        assert of.value(p) == np.inf or np.isfinite(of.value(p))
        assert of.gradient(p).shape == of.hessian_product(p, p).shape == (n,)
    linear = objective("tanh identity squared", "float32")
    assert linear.value(np.full(len(linear.parameters), 1e300)) == np.inf
    with pytest.raises(ValueError, match="^parameters: "):
        linear.network(np.full(len(linear.parameters), np.nan))


def test_copies_threads_and_words():
    of = objective("sigmoid tanh squared", lam=0.9)
    twin = pickle.loads(pickle.dumps(of))
    starts = [direction(len(of.parameters)) * k for k in range(8)]
    alone = [of.hessian_product(p, starts[1]) for p in starts]
    np.testing.assert_array_equal([twin.hessian_product(p, starts[1]) for p in starts], alone)
    found = {}
    threads = [
        threading.Thread(target=lambda k=k: found.update({k: of.hessian_product(starts[k], starts[1])}))
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal([found[k] for k in range(8)], alone)
    assert repr(of) == (
        "Objective(Network(3-5-4-2, hidden sigmoid, output tanh, float64, 54 parameters), 8 samples, loss squared, "
        "lam=0.9)"
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda of: of.value([1.0, 2.0]), "^p: expected 26 numbers"),
        (lambda of: of.gradient("p"), "^p: expected 26 numbers"),
        (lambda of: of.hessian_product(of.parameters, np.ones((26, 1))), "^v: expected 26 numbers"),
        (lambda of: of.jacobian(np.ones((1, 26))), "^p: expected 26 numbers"),
        (lambda of: of.network(of.parameters[1:]), "^parameters: expected 26"),
        (lambda of: objective("softplus softmax huber").residuals(np.ones(26)), '^residuals: expected loss="squared"'),
        (lambda of: objective("softplus softmax huber").jacobian(np.ones(26)), "^jacobian: .*hessian_product"),
        (lambda of: bpjit.Objective("net", [[1]], [1]), "^net: expected a bpjit.Network"),
        (lambda of: bpjit.Objective(bpjit.Network.random((1, 1), output="step"), [[1]], [1]), '^net: .*"step"'),
        (lambda of: bpjit.Objective(bpjit.Network.random((1, 1)), [[1]], [[1, 2]]), "^Y: expected"),
        (lambda of: bpjit.Objective(bpjit.Network.random((1, 1)), [[1]], [1], lam=1.0), "^lam: expected"),
    ],
)
def test_what_does_not_fit(call, said):
    with pytest.raises((ValueError, TypeError), match=said):
        call(objective("tanh identity squared"))


def test_arguments_are_those_of_error():
    ours, theirs = (inspect.signature(function).parameters for function in (bpjit.Objective, bpjit.error))
    assert {name: each.default for name, each in ours.items()} == {name: each.default for name, each in theirs.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="no signals between threads")
@pytest.mark.parametrize("function", ["value", "value_and_gradient", "hessian_product", "residuals", "jacobian"])
def test_ctrl_c_ends_a_long_call(function):
    rows = {"jacobian": 2_000}.get(function, 200_000)
    X = np.random.default_rng(0).normal(size=(rows, 20))
    of = bpjit.Objective(bpjit.Network.random((20, 100, 50, 1), "tanh", "identity"), X, np.zeros(rows))
    arguments = [of.parameters] * (2 if function == "hessian_product" else 1)
    few = bpjit.Objective(of.network(of.parameters), X[:2], np.zeros(2))
    getattr(few, function)(*arguments)  # compiled
    pressed = []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.05, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call_for_ever(getattr(of, function), arguments)
    assert time.perf_counter() - pressed[0] < 0.3  # 0.1 on a machine that does nothing else


def call_for_ever(function, arguments):
    while True:
        function(*arguments)
