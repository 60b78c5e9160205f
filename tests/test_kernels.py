"""Kernels against the slow reference, for every pair of settings, and all of them under ``-m slow``."""

import itertools
import re

import numba
import numpy as np
import pytest

import bpjit
import reference
from bpjit.kernels import jit
from bpjit.kernels.one import batches, each_sample, tiny
from cases import (
    DTYPES,
    FACTORS,
    HIDDEN,
    LOSSES,
    OUTPUTS,
    UPDATES,
    Case,
    Problem,
    all_pairs,
    check,
    covering_array,
    distance,
    fits,
    of_few_kernels,
    pairs_of,
    slow,
)

PAIRS = covering_array()
OUTPUT_LOSSES = [
    (output, loss)
    for output in OUTPUTS
    for loss in LOSSES
    if loss != "cross_entropy" or output in ("sigmoid", "softmax")
]


def test_the_array_covers_every_pair():
    seen = {pair for case in PAIRS for pair in pairs_of(vars(case))}
    assert seen == set(all_pairs())
    assert all(fits(vars(case)) and of_few_kernels(vars(case)) for case in PAIRS)


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: "-".join(map(str, vars(case).values())))
def test_every_pair_of_settings(case):
    check(Problem(case), case.dtype)


@pytest.mark.slow
@pytest.mark.parametrize(("output", "loss"), OUTPUT_LOSSES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_all_settings(hidden, output, loss):
    for depth, updates, rule, lam, weights, mask in itertools.product(*FACTORS[3:4], *FACTORS[5:]):
        case = Case(hidden, output, loss, depth, "float64", updates, rule, lam, weights, mask)
        if not fits(vars(case)) or (depth == 1 and hidden != HIDDEN[0]):
            continue
        problem = Problem(case)
        for dtype in DTYPES:
            check(problem, dtype)


@pytest.mark.parametrize("dtype", ["float64", slow("float32")])
@pytest.mark.parametrize("updates", UPDATES)
@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam", *map(slow, ("momentum", "adagrad", "rmsprop"))])
def test_a_hundred_epochs(rule, updates, dtype):
    case = Case("tanh", "sigmoid", "squared", 2, dtype, updates, rule, None, False, "all")
    problem = Problem(case, epochs=100)
    fit = problem.by_bpjit(epochs=100)
    assert distance(fit.network.parameters, problem.expected.vector) <= (1e-12 if dtype == "float64" else 1e-4)


def network_and_data(output, loss, dtype="float64", depth=3):
    problem = Problem(Case("tanh", output, loss, depth, dtype, "accumulated", "sgd", None, True, "all"))
    return problem, problem.network()


@pytest.mark.parametrize(("output", "loss"), OUTPUT_LOSSES)
@pytest.mark.parametrize("lam", [None, 0.9])
def test_gradient_against_central_differences(output, loss, lam):
    problem, net = network_and_data(output, loss)
    settings = {"loss": loss, "sample_weight": problem.c, "lam": lam}
    slope = bpjit.gradient(net, problem.X, problem.Y, **settings)
    expected = reference.central_differences(
        lambda p: bpjit.error(net.with_parameters(p), problem.X, problem.Y, **settings), problem.start
    )
    assert np.linalg.norm(slope) > 1e-3
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("output", "loss"), OUTPUT_LOSSES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_error_and_gradient_equal_the_reference(output, loss, dtype):
    problem, net = network_and_data(output, loss, dtype)
    arguments = (*problem.weights_and_thresholds, problem.activations, loss, problem.X, problem.Y, problem.c)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    E = bpjit.error(net, problem.X, problem.Y, loss=loss, sample_weight=problem.c)
    assert pytest.approx(reference.error(*arguments), rel=tolerance) == E
    slope = bpjit.gradient(net, problem.X, problem.Y, loss=loss, sample_weight=problem.c)
    assert distance(slope, reference.gradient(*arguments)) <= tolerance


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("output", OUTPUTS)
def test_predict_equals_the_reference(hidden, output):
    problem = Problem(Case(hidden, output, "squared", 4, "float64", "stochastic", "sgd", None, False, "all"))
    expected = [reference.forward(*problem.weights_and_thresholds, problem.activations, x)[1][-1] for x in problem.X]
    np.testing.assert_allclose(problem.network().predict(problem.X), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("output", OUTPUTS)
def test_jacobian_by_parameters_and_by_inputs(output):
    problem, net = network_and_data(output, "squared")
    J = bpjit.jacobian(net, problem.X)
    assert J.shape == (len(problem.X), 2, len(problem.start))
    by_inputs = bpjit.jacobian(net, problem.X, by="inputs")
    assert by_inputs.shape == (len(problem.X), 2, 3)
    for k, x in enumerate(problem.X):
        for j in range(2):
            of_p = reference.central_differences(lambda p: net.with_parameters(p).predict(x)[j], problem.start)  # noqa: B023
            np.testing.assert_allclose(J[k, j], of_p, rtol=1e-6, atol=1e-8)
            of_x = reference.central_differences(lambda x: net.predict(x)[j], x)  # noqa: B023
            np.testing.assert_allclose(by_inputs[k, j], of_x, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(bpjit.jacobian(net, problem.X[2]), J[2])
    assert np.abs(J).max() > 0.01


def test_gradient_is_the_jacobian_times_the_gradient_terms():
    problem, net = network_and_data("identity", "squared")
    J, difference = bpjit.jacobian(net, problem.X), net.predict(problem.X) - problem.Y
    expected = np.einsum("kjp,kj->p", J, difference) / len(problem.X)
    np.testing.assert_allclose(bpjit.gradient(net, problem.X, problem.Y), expected, rtol=1e-12)


def test_hidden_gradient_uses_old_weights():
    """A BP that updates w before it computes e_h differs from ours by far more than rounding."""
    problem = Problem(Case("sigmoid", "sigmoid", "squared", 2, "float64", "stochastic", "sgd", None, False, "all"))
    net, eta = problem.network(), 0.5
    x, y = problem.X[0], problem.Y[0]
    b = net.predict
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    b = sigmoid(x @ net.v - net.gamma)
    y_hat = sigmoid(b @ net.w - net.theta)
    g = y_hat * (1 - y_hat) * (y - y_hat)
    w_new = net.w + eta * np.outer(b, g)
    results = {}
    for name, w in (("old", net.w), ("new", w_new)):
        e = b * (1 - b) * (w @ g)
        results[name] = net.v + eta * np.outer(x, e)
    trained = bpjit.train(net, x[None], y[None], eta=eta, stop=1).network
    np.testing.assert_allclose(trained.v, results["old"], rtol=1e-14)
    np.testing.assert_allclose(trained.w, w_new, rtol=1e-14)
    assert np.abs(trained.v - results["new"]).max() > 1e-5


def single_precision_code(sizes, holder, name, monkeypatch, **settings):
    """The LLVM code for float32 of the driver that ``holder`` has by this name, compiled outside the cache."""
    drivers = holder if isinstance(holder, dict) else vars(holder)
    compiled = numba.njit(fastmath=jit.FASTMATH, nogil=True, pipeline_class=jit._KernelCompiler, **jit.OPTIONS)(
        drivers[name].py_func
    )
    monkeypatch.setitem(drivers, name, compiled)
    net = bpjit.Network.random(sizes, "tanh", dtype="float32")
    X, Y = np.full((4, sizes[0]), 0.3), np.full((4, sizes[-1]), 0.7)
    bpjit.train(net, X, Y, stop=1, validation=(X, Y), **settings)
    return "".join(compiled.inspect_llvm().values())


MORE_RULES = [rule for rule in bpjit.settings.rules.RULES if rule not in ("adam", "quickprop")]


@pytest.mark.parametrize(
    ("sizes", "holder", "name", "updates", "rule", "lam"),
    [
        ((3, 4, 2), tiny.TRAIN_BLOCKS, 4, "stochastic", "sgd", None),
        ((3, 11, 2), tiny.TRAIN_BLOCKS, 16, "stochastic", "sgd", None),
        slow((5, 4, 2), each_sample, "train_block", "stochastic", "sgd", None),
        ((5, 4, 2), each_sample, "train_block", "stochastic", "adam", 0.99),
        slow((5, 4, 2), each_sample, "train_block", "stochastic", "nesterov", None),
        ((5, 4, 2), batches, "train_block", 3, "momentum", 0.99),
        *(((5, 4, 2), batches, "train_block", "accumulated", rule, None) for rule in ("adam", "quickprop")),
        *(slow((5, 4, 2), batches, "train_block", "accumulated", rule, None) for rule in MORE_RULES),
    ],
    ids=lambda value: str(value) if isinstance(value, (str, tuple, int, float)) else "",
)
def test_float32_kernels_hold_no_float64_arithmetic(sizes, holder, name, updates, rule, lam, monkeypatch):
    eta = None if rule == "rprop" else 0.1
    code = single_precision_code(sizes, holder, name, monkeypatch, updates=updates, rule=rule, lam=lam, eta=eta)
    assert "float" in code
    kernels = [part for part in code.split("\ndefine ") if "cpython" not in part.split("(")[0]]
    assert any("fmul" in part for part in kernels)
    # only the wrapper that takes Python's arguments may know float64
    assert [line for part in kernels for line in part.splitlines() if re.search(r"\bdouble\b|\.f64\b", line)] == []


def test_the_error_of_many_samples_keeps_its_digits_in_float32():
    """A plain float32 sum of 300,000 equal shares is off by percents."""
    net = bpjit.Network.from_arrays([np.zeros((1, 1), np.float32)], [np.zeros(1, np.float32)], output="identity")
    m, y = 300_000, np.float32(0.37)
    E = 0.5 * float(y) ** 2
    assert bpjit.error(net, np.zeros((m, 1)), np.full(m, y)) == pytest.approx(E, rel=1e-6)
    fit = bpjit.train(net, np.zeros((m, 1)), np.full(m, y), trainable=[(True, False)], updates="accumulated", stop=1)
    assert fit.errors[0] == pytest.approx(E, rel=1e-6)
    plain = np.cumsum(np.full(m, np.float32(E)), dtype=np.float32)[-1] / m
    assert abs(plain / E - 1) > 1e-3
