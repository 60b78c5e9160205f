"""Levenberg–Marquardt and Bayesian regularisation: against dense NumPy, and what train promises of every rule."""

import inspect
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

import bpjit
import reference
from bpjit import (
    LBFGS,
    BayesianRegularization,
    EarlyStopping,
    LevenbergMarquardt,
    MaxEpochs,
    ScaledConjugateGradient,
    TargetError,
    TimeLimit,
)
from bpjit import train as bp_train
from bpjit.kernels import drivers, team
from bpjit.kernels.jit import kernel
from bpjit.kernels.one import cholesky, damped_parts
from bpjit.kernels.simd.memory import aligned_zeros, padded, pointer
from bpjit.settings.rules import RULES as FIRST_ORDER
from bpjit.settings.rules import as_rule
from bpjit.training import second_order
from bpjit.training.line_search import Conjugate, Pairs, Point, lbfgs_step, scg_step, strong_wolfe
from bpjit.training.setting import as_batch_size
from bpjit.training.train import target_of_rule
from cases import HIDDEN, OUTPUTS, SIZES, Problem, covering_array, distance

RULES = ("lm", "br")


def data(m=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, d))
    return X, np.sin(2 * X[:, :1]) * X[:, 1:2] + 0.1 * rng.normal(size=(m, 1))


X, Y = data()
VALIDATION = data(12, seed=1)


def start(dtype="float64", sizes=(3, 4, 1)):
    return bpjit.Network.random(sizes, "tanh", "identity", seed=1, dtype=dtype)


def same(a, b):
    """Whether two fits agree bit for bit in all but time."""
    return (
        a.network == b.network
        and a.errors.tobytes() == b.errors.tobytes()
        and a.validation_errors.tobytes() == b.validation_errors.tobytes()
        and (a.epochs, a.updates, a.best_epoch, a.error) == (b.epochs, b.updates, b.best_epoch, b.error)
        and a.evidence == b.evidence
    )


# --- The formulas, against the reference.

KINDS = [(hidden, output, "squared") for hidden, output in zip(HIDDEN * 2, OUTPUTS * 2, strict=False)]
KINDS += [(hidden, output, "cross_entropy") for hidden in ("tanh", "softplus") for output in ("sigmoid", "softmax")]


def case(number, hidden, output, loss, rule):
    """A network of any depth, data, and settings, of which each comes in turn."""
    rng = np.random.default_rng(number)
    sizes = SIZES[1 + number % 4]
    single = lambda a: a.astype(np.float32).astype(np.float64)  # noqa: E731
    X = single(rng.normal(0, 0.7, (9, sizes[0])))
    Y = single(
        rng.dirichlet(np.ones(sizes[-1]), 9) if loss == "cross_entropy" else rng.normal(0.5, 0.8, (9, sizes[-1]))
    )
    vector = single(rng.normal(0, 0.5, sum((a + 1) * b for a, b in itertools.pairwise(sizes))))
    trained = rng.random(len(vector)) < (0.6 if number % 3 == 1 else 2.0)
    c = None
    if number % 3 == 2:
        c = single(rng.uniform(0.2, 2.0, 9))
        c[4] = 0.0
    lam = 0.98 if number % 5 < 2 and rule == "lm" else None
    settings = {"loss": loss, "sample_weight": c, "trainable": trained, "lam": lam}
    activations = [hidden] * (len(sizes) - 2) + [output]
    return sizes, vector, activations, X, Y, settings


@pytest.mark.parametrize(("number", "kind"), list(enumerate(KINDS)))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_epochs_equal_dense_algebra(number, kind, dtype):
    sizes, vector, activations, X, Y, settings = case(number, *kind, "lm")
    net = bpjit.Network(sizes, vector, hidden=kind[0], output=kind[1], dtype=dtype)
    for epochs in (1, 3):
        fit = bp_train(net, X, Y, rule=LevenbergMarquardt(mu=0.5), stop=epochs, **settings)
        expected = reference.damped_epochs(
            sizes,
            vector,
            activations,
            kind[2],
            X,
            Y,
            epochs=epochs,
            mu=0.5,
            trained=settings["trainable"],
            c=settings["sample_weight"],
            lam=settings["lam"],
        )
        # A step taken is rounded to float32, which later ones see.
        assert distance(fit.network.parameters, expected.vector) <= (1e-10 if dtype == "float64" else 3e-6)
        assert distance(fit.network.parameters, vector) > 1e-3
        assert fit.epochs == fit.updates == epochs
        kept = ~settings["trainable"]
        assert np.array_equal(fit.network.parameters[kept], vector[kept])


@pytest.mark.parametrize(
    ("number", "kind"),
    [(0, ("tanh", "identity", "squared")), (1, ("sin", "sigmoid", "squared")), (2, ("sigmoid", "tanh", "squared"))]
    + [(4, ("softplus", "sigmoid", "cross_entropy")), (5, ("tanh", "sigmoid", "cross_entropy"))],
)
@pytest.mark.parametrize("m", [1, 9, 61])
def test_one_output_equals_dense_algebra(number, kind, m):
    """Samples then stand along the lanes, at any remainder of them."""
    sizes, _, activations, *_ = case(number, *kind, "lm")
    rng, sizes = np.random.default_rng(number), (*sizes[:-1], 1)
    net = bpjit.Network.random(sizes, kind[0], kind[1], seed=number)
    X, Y, trained = rng.normal(0, 0.7, (m, sizes[0])), rng.uniform(0, 1, (m, 1)), rng.random(len(net.parameters)) < 0.7
    c = rng.uniform(0.2, 2.0, m)
    fit = bp_train(net, X, Y, rule=LevenbergMarquardt(mu=0.5), stop=2, loss=kind[2], sample_weight=c, trainable=trained)
    expected = reference.damped_epochs(
        sizes, net.parameters, activations, kind[2], X, Y, epochs=2, mu=0.5, trained=trained, c=c, lam=None
    )
    assert distance(fit.network.parameters, expected.vector) <= 1e-10
    assert distance(fit.network.parameters, net.parameters) > 1e-3


@pytest.mark.parametrize(
    ("number", "kind"),
    [(0, ("tanh", "identity", "squared")), (1, ("sigmoid", "sigmoid", "squared")), (2, ("tanh", "softmax", "squared"))]
    + [(5, ("tanh", "sigmoid", "cross_entropy")), (6, ("softsign", "softmax", "cross_entropy"))],
)
def test_evidence_equals_dense_algebra(number, kind):
    sizes, vector, activations, X, Y, settings = case(number, *kind, "br")
    net = bpjit.Network(sizes, vector, hidden=kind[0], output=kind[1])
    for epochs, settled in ((1, 0.01), (4, 1.0), (12, 0.05)):
        rule = BayesianRegularization(mu=0.5, settled=settled)
        fit = bp_train(net, X, Y, rule=rule, stop=epochs, **settings)
        expected = reference.damped_epochs(
            sizes,
            vector,
            activations,
            kind[2],
            X,
            Y,
            epochs=epochs,
            mu=0.5,
            trained=settings["trainable"],
            c=settings["sample_weight"],
            bayes=True,
            settled=settled,
        )
        assert distance(fit.network.parameters, expected.vector) <= 1e-10
        found = (expected.alpha, expected.beta, expected.gamma, expected.log_evidence)
        assert fit.evidence == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_a_saturated_output_still_has_its_gradient(rule):
    """With cross-entropy, where ŷ is 1 for a target of 0: its row of the Jacobian is 0, and its gradient is not."""
    net = bpjit.Network.from_arrays([np.ones((3, 2)) / 9, np.full((2, 1), 9.0)], [[-3.0, -3.0], [-30.0]])
    targets = (Y > 0).astype(float)
    assert (net.predict(X) == 1.0).all()
    fit = bp_train(net, X, targets, rule=rule, loss="cross_entropy", stop=30)
    assert fit.epochs == 30
    assert fit.error < 0.1 * bpjit.error(net, X, targets, loss="cross_entropy")


def test_targets_that_are_not_known_count_for_nothing():
    rng = np.random.default_rng(3)
    sizes, X, Y = (3, 4, 2), rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    Y[[1, 5, 5], [0, 0, 1]] = np.nan
    net = bpjit.Network.random(sizes, "tanh", "identity", seed=2)
    fit = bp_train(net, X, Y, rule=LevenbergMarquardt(mu=0.5), stop=2, missing="ignore")
    present = ~np.isnan(Y).all(1)
    expected = reference.damped_epochs(
        sizes,
        net.parameters,
        ["tanh", "identity"],
        "squared",
        X[present],
        Y[present],
        epochs=2,
        mu=0.5,
        trained=np.ones(len(net.parameters), bool),
    )
    assert distance(fit.network.parameters, expected.vector) <= 1e-10


# --- Steps by gradients alone.


def rosenbrock(p):
    return np.sum(100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)


def slope_of_rosenbrock(p):
    slope = np.zeros(len(p))
    slope[1:] += 200 * (p[1:] - p[:-1] ** 2)
    slope[:-1] += -400 * p[:-1] * (p[1:] - p[:-1] ** 2) - 2 * (1 - p[:-1])
    return slope


def look(p):
    yield
    return Point(p, rosenbrock(p), rosenbrock(p), slope_of_rosenbrock(p))


def the_end_of(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


FIRST = np.array([-1.2, 1.0, -0.5, 0.7])


def test_two_loops_equal_the_dense_matrix():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 6))
    steps = rng.normal(size=(4, 6))
    pairs = Pairs(steps, steps @ (A @ A.T))
    g = rng.normal(size=6)
    np.testing.assert_allclose(pairs.direction(g), -reference.dense_bfgs(pairs.s, pairs.y) @ g, rtol=1e-11)
    assert np.array_equal(Pairs(steps[:0], steps[:0]).direction(g), -g)
    assert len(pairs.with_another(steps[0], -steps[0], 9).s) == 4  # nothing curves downwards
    kept = pairs.with_another(steps[0], 2 * steps[0], 3)
    assert np.array_equal(kept.s, [*steps[2:], steps[0]])


def test_a_line_search_ends_where_wolfe_s_conditions_hold():
    rng, searches = np.random.default_rng(1), 0
    for _ in range(50):
        here = the_end_of(look(rng.normal(size=4)))
        d = rng.normal(size=4)
        d *= -np.sign(d @ here.gradient)
        for length in (1e-4, 1.0, 1e3):
            there = the_end_of(strong_wolfe(here, d, length, 40, look))
            slope, t = here.gradient @ d, (there.p - here.p) @ d / (d @ d)
            assert there.objective <= here.objective + 1e-4 * t * slope
            assert abs(there.gradient @ d) <= 0.9 * abs(slope)
            searches += 1
        assert the_end_of(strong_wolfe(here, -d, 1.0, 40, look)) is None
    assert searches == 150


@pytest.mark.parametrize("beyond", [10.0, np.inf, np.nan])
@pytest.mark.parametrize("end", [1.0, 3.7, -0.3])
@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_a_line_search_ends_where_no_number_lies_between(beyond, end, unit):
    """Downhill to an edge, where no point meets the conditions: the numbers between its last two are soon used up."""

    def to_the_edge(p):
        yield
        way = float(p[0]) / unit * np.sign(end)
        return Point(p, 0.0, -way if way <= abs(end) else beyond, np.array([-np.sign(end) / unit]))

    here = the_end_of(to_the_edge(np.zeros(1)))
    found = the_end_of(strong_wolfe(here, np.array([unit * np.sign(end)]), 1.0, 1000, to_the_edge))
    assert found.p[0] / unit == pytest.approx(end, rel=1e-12)


def test_lbfgs_finds_a_valley_s_end():
    here, pairs, count = the_end_of(look(FIRST)), Pairs(np.zeros((0, 4)), np.zeros((0, 4))), 0
    while np.linalg.norm(here.gradient) > 1e-8:
        here, pairs = the_end_of(lbfgs_step(LBFGS(memory=5), here, pairs, look))
        count += 1
    assert count < 60
    assert len(pairs.s) == 5
    np.testing.assert_allclose(here.p, 1.0, atol=1e-8)


def test_scaled_conjugate_gradients_as_printed():
    points = reference.scaled_conjugate_gradients(rosenbrock, slope_of_rosenbrock, FIRST, steps=15)  # rounding grows
    here, state = the_end_of(look(FIRST)), Conjugate(-slope_of_rosenbrock(FIRST), 5e-7, 0)
    for point in points[1:]:
        here, state = the_end_of(scg_step(ScaledConjugateGradient(), here, state, look))
        np.testing.assert_allclose(here.p, point, rtol=1e-7)
    assert here.objective < 0.1 * rosenbrock(FIRST)


@pytest.mark.parametrize("rule", [LBFGS(), ScaledConjugateGradient()])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_end_at_the_same_minimum_as_scipy_s(rule, dtype):
    """A penalty makes the end one that all methods find, from this start."""
    net = start(dtype)
    fit = bp_train(net, X, Y, rule=rule, lam=0.99, stop=3000)
    wide = bpjit.Network(net.sizes, net.parameters.astype(float), hidden="tanh", output="identity")

    def objective(p):
        there = wide.with_parameters(p)
        return bpjit.error(there, X, Y, lam=0.99), bpjit.gradient(there, X, Y, lam=0.99)

    found = scipy.optimize.minimize(objective, wide.parameters, jac=True, method="L-BFGS-B", options={"gtol": 1e-10})
    assert fit.objective == pytest.approx(found.fun, rel=1e-6)
    assert fit.stopped_by in ("min_grad", "max_search", "scale_max")
    if dtype == "float64":
        assert np.linalg.norm(bpjit.gradient(fit.network, X, Y, lam=0.99)) < 1e-7


@pytest.mark.parametrize("rule", [LBFGS(), ScaledConjugateGradient()])
def test_every_setting_gives_the_reference_s_errors_and_gradients(rule):
    """Two steps by what the reference finds at each point, in every pair of settings."""
    for case in covering_array():
        case = replace(case, rule="sgd", updates="accumulated")
        problem = Problem(case, epochs=1)
        net, (lam, c) = problem.network(), (case.lam or 1.0, problem.c)

        def look(p, problem=problem, case=case, lam=lam, c=c):
            yield
            there = reference.unflatten(p.astype(case.dtype).astype(np.float64), problem.sizes)
            arguments = *there, problem.activations, case.loss, problem.X, problem.Y, c
            error, gradient = reference.error(*arguments), reference.gradient(*arguments)
            p = reference.flatten(*there)
            slope = np.where(problem.trained, lam * gradient + 2 * (1 - lam) * p, 0.0)
            return Point(p, error, reference.objective(error, p, lam), slope)

        here = the_end_of(look(net.parameters.astype(np.float64)))
        after = Pairs(*np.zeros((2, 0, len(here.p)))) if isinstance(rule, LBFGS) else Conjugate(-here.gradient, 5e-7, 0)
        steps = lbfgs_step if isinstance(rule, LBFGS) else scg_step
        for epochs in (1, 2):
            here, after = the_end_of(steps(rule, here, after, look))
            given = problem.settings(epochs) | {"rule": rule, "eta": None, "updates": None}
            found = bp_train(net, problem.X, problem.Y, **given).network.parameters
            assert distance(found, here.p) <= (1e-7 if case.dtype == "float64" else 1e-3), (case, epochs)


WITHOUT_THE_JIT = """
import numpy as np, bpjit, test_second_order as t
print(*np.concatenate([t.by_gradient(rule).network.parameters for rule in ("lbfgs", "scg")]).tolist())
for rule in ("lm", "br"):
    try:
        bpjit.train(t.start(), t.X, t.Y, rule=rule, stop=1)
    except RuntimeError as error:
        print(error)
"""


def by_gradient(rule):
    net = bpjit.Network.random((3, 4, 2), "tanh", "sigmoid", seed=1)
    targets, trained = np.hstack([Y, -Y]) > 0, np.arange(len(net.parameters)) != 5
    return bp_train(
        net, np.vstack([X] * 3), np.vstack([targets] * 3), rule=rule, stop=4, lam=0.9, trainable=trained, loss="huber"
    )


def test_steps_along_gradients_need_no_jit():
    """The readable lines lead to the same networks; Levenberg–Marquardt says that it has none."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(Path(__file__).parent), *sys.path) if p)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_THE_JIT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    numbers, *said = done.stdout.splitlines()
    expected = np.concatenate([by_gradient(rule).network.parameters for rule in ("lbfgs", "scg")])
    assert distance(np.array(numbers.split(), float), expected) <= 1e-9
    assert len(said) == 2
    assert all("needs the JIT" in words and "such as lbfgs" in words for words in said)


@pytest.mark.parametrize("rule", ["lbfgs", "scg"])
def test_any_loss_will_do(rule):
    for loss in ("huber", "cross_entropy", "squared"):
        net = bpjit.Network.random((3, 4, 1), "tanh", "sigmoid", seed=1)
        fit = bp_train(net, X, (Y > 0).astype(float), rule=rule, loss=loss, stop=40)
        assert (np.diff(fit.errors) < 0).all()
        assert fit.error < 0.7 * fit.errors[0]


@kernel
def factorised(U, shape, reciprocals, x):
    (n, size, width), first, good = shape, 0, True
    while good and first < size:
        last = min(size, first + cholesky.PANEL)
        good = cholesky.finish_square(pointer(U, 0), width, (first, last), pointer(reciprocals, 0))
        cholesky.finish_panel(pointer(U, 0), width, (first, last), (last, width), pointer(reciprocals, 0))
        cholesky.take_off(pointer(U, 0), width, (last, width), (first, last), (last, size))
        first = last
    if good:
        cholesky.back_substitute(pointer(U, 0), n, width, pointer(reciprocals, 0), pointer(x, 0))
    return good


@pytest.mark.parametrize("n", [1, 8, 16, 61, 64, 128, 131, 264, 400])
def test_cholesky(n):
    rng, size, width = np.random.default_rng(n), padded(n, cholesky.ROWS), padded(n + 1, cholesky.ROWS)
    M, b = rng.normal(size=(n, n + 5)), rng.normal(size=n)
    A = M @ M.T
    for good in (True, False):
        if not good:
            A[n // 2, n // 2] = -1.0
        U, float64 = aligned_zeros(size * width, np.dtype(float)), np.dtype(float)
        rows = U.reshape(size, width)
        rows[range(n, size), range(n, size)] = -damped_parts.BEYOND
        rows[:n, :n], rows[:n, n] = -np.triu(A), -b
        reciprocals, x = aligned_zeros(size, float64), aligned_zeros(size, float64)
        assert factorised(U, (n, size, width), reciprocals, x) == good
        if good:
            np.testing.assert_allclose(np.triu(rows[:n, :n]), np.linalg.cholesky(A).T, rtol=0, atol=1e-10 * n)
            np.testing.assert_allclose(A @ x[:n], b, atol=1e-8)
            assert not x[n:].any()


# --- What it reaches.


def nguyen_widrow(rng, d, q):
    """A start for inputs within ±1: W, biases, weights of the output."""
    W = rng.uniform(-1, 1, (d, q))
    beta = 0.7 * q ** (1 / d)
    W *= beta / np.linalg.norm(W, axis=0)
    return W, np.linspace(-1, 1, q) * beta * np.sign(W[0]), rng.uniform(-1, 1, q) * 0.5


def glorot(rng, d, q):
    W = rng.uniform(-1, 1, (d, q)) * np.sqrt(6 / (d + q))
    return W, np.zeros(q), rng.uniform(-1, 1, q) * np.sqrt(6 / (q + 1))


def made(start, seed, d, q, dtype="float64"):
    W, b, v = start(np.random.default_rng(seed), d, q)
    return bpjit.Network.from_arrays([W, v[:, None]], [-b, [0.0]], hidden="tanh", output="identity", dtype=dtype)


SINC_X = np.linspace(-1, 1, 200)[:, None]
SINC_Y = np.sinc(10 * SINC_X)


def test_sinc_from_nguyen_widrow_starts():
    fits = [bp_train(made(nguyen_widrow, seed, 1, 20), SINC_X, SINC_Y, rule="lm", stop=600) for seed in range(24)]
    least = np.array([2 * fit.error for fit in fits])
    assert np.count_nonzero(least <= 1e-8) >= 23
    assert np.median(least) <= 1e-10


def test_float32_networks_come_as_far_as_their_digits_allow():
    fits = [
        bp_train(made(nguyen_widrow, seed, 1, 20, "float32"), SINC_X, SINC_Y, rule="lm", stop=600) for seed in (1, 2)
    ]
    assert all(2 * fit.error <= 1e-10 for fit in fits)
    assert all(fit.network.dtype == np.float32 for fit in fits)


def smooth_problems():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 2))
    yield X, np.sin(4 * X[:, 0]) * X[:, 1], nguyen_widrow, 20, 1e-7
    X = rng.uniform(-1, 1, (500, 2))
    a, b = 4.5 * (X[:, 0] + 1), 4.5 * (X[:, 1] + 1)
    Y = 0.75 * np.exp(-((a - 2) ** 2 + (b - 2) ** 2) / 4) + 0.75 * np.exp(-((a + 1) ** 2) / 49 - (b + 1) / 10)
    Y += 0.5 * np.exp(-((a - 7) ** 2 + (b - 3) ** 2) / 4) - 0.2 * np.exp(-((a - 4) ** 2) - (b - 7) ** 2)
    yield X, Y, nguyen_widrow, 20, 2e-5  # Franke
    X = rng.uniform(-1, 1, (500, 5))
    U = (X + 1) / 2
    Y = 10 * np.sin(np.pi * U[:, 0] * U[:, 1]) + 20 * (U[:, 2] - 0.5) ** 2 + 10 * U[:, 3] + 5 * U[:, 4]
    yield X, (Y - Y.mean()) / Y.std(), glorot, 15, 1.5e-6  # Friedman 1
    x = [1.2] * 18
    for _ in range(1200):
        x.append(x[-1] + 0.2 * x[-18] / (1 + x[-18] ** 10) - 0.1 * x[-1])
    s = np.array(x[200:])
    s = 2 * (s - s.min()) / (s.max() - s.min()) - 1
    yield np.stack([s[i : len(s) - 24 + i] for i in (0, 6, 12, 18)], 1), s[24:], glorot, 12, 6e-5  # Mackey–Glass


@pytest.mark.parametrize("number", range(4))
def test_smooth_problems(number):
    X, Y, start, q, goal = list(smooth_problems())[number]
    fits = [bp_train(made(start, seed, X.shape[1], q), X, Y, rule="lm", stop=400) for seed in range(6)]
    assert np.median([2 * fit.error for fit in fits]) <= goal


def test_bayesian_regularisation_does_not_learn_noise():
    rng = np.random.default_rng(0)
    x, x_test = np.linspace(-1, 1, 40)[:, None], np.linspace(-1, 1, 500)[:, None]
    y, y_test = np.sin(3 * x) + 0.2 * rng.normal(size=(40, 1)), np.sin(3 * x_test)
    for seed in range(3):
        lm, br = (bp_train(made(nguyen_widrow, seed, 1, 20), x, y, rule=rule, stop=500) for rule in RULES)
        assert bpjit.error(br.network, x_test, y_test) <= 0.7 * bpjit.error(lm.network, x_test, y_test)
        assert 3 < br.evidence.gamma < 15  # of 61 parameters
        assert lm.evidence is None


def test_two_spirals():
    """All 194 points of the two spirals of Lang and Witbrock (1988) come out right, from most starts."""
    k = np.arange(97)
    angle, radius = k * np.pi / 16, (104 - k) / 104
    arm = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    A, B = np.concatenate([arm, -arm]), np.repeat([1, 0], 97)
    right = []
    for seed in range(4):
        net = bpjit.Network.random((2, 20, 10, 1), "tanh", "sigmoid", seed=seed)
        fit = bp_train(net, A, B, rule="lm", loss="cross_entropy", stop=[300, TargetError(1e-3)])
        right.append((fit.network.classify(A) == B).sum())
    assert sum(count == 194 for count in right) >= 2


# --- What train promises.

SETTINGS = {
    "lm": {"rule": "lm"},
    "br": {"rule": "br"},
    "lambda": {"rule": "lm", "lam": 0.999},
    "float32": {"rule": "lm", "dtype": "float32"},
    "weights": {"rule": "br", "sample_weight": np.linspace(0, 2, 60)},
    "lbfgs": {"rule": "lbfgs"},
    "lbfgs, of its own": {"rule": LBFGS(memory=3), "lam": 0.999, "loss": "huber", "train_thresholds": False},
    "lbfgs float32": {"rule": "lbfgs", "dtype": "float32"},
    "scg": {"rule": "scg"},
    "scg float32": {"rule": "scg", "dtype": "float32", "lam": 0.999, "sample_weight": np.linspace(0, 2, 60)},
}


def trained(setting, net=None, **more):
    settings = {**SETTINGS[setting], **more}
    net = net or start(settings.get("dtype", "float64"))
    settings.pop("dtype", None)
    return bp_train(net, X, Y, **settings)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("early", [False, True])
def test_resume_gives_the_same_bits(setting, early):
    stop = [EarlyStopping(patience=10**6)] if early else []
    settings = {"validation": VALIDATION}
    whole = trained(setting, stop=[*stop, MaxEpochs(30)], **settings)
    half = trained(setting, stop=[*stop, MaxEpochs(15)], **settings)
    twice = trained(setting, half.network, stop=[*stop, MaxEpochs(15)], resume=half, **settings)
    assert same(twice, whole)
    assert whole.epochs == 30
    if early:
        assert whole.validation_errors.min() == whole.validation_errors[whole.best_epoch - 1]
        loss = SETTINGS[setting].get("loss")
        assert bpjit.error(whole.network, *VALIDATION, loss=loss) == pytest.approx(
            whole.validation_errors.min(), rel=1e-5
        )


@pytest.mark.parametrize("setting", SETTINGS)
def test_blocks_change_neither_bits_nor_where_it_stops(setting, monkeypatch):
    for stop in (40, [TargetError(0.02), MaxEpochs(60)], [EarlyStopping(3, every=2), 60]):
        options = {"stop": stop, "validation": VALIDATION}
        whole = trained(setting, **options)
        monkeypatch.setattr("bpjit.training.second_order.FIRST_BUDGET", 1)
        monkeypatch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
        small = trained(setting, **options)
        monkeypatch.undo()
        assert same(small, whole)
        assert small.stopped_by == whole.stopped_by
        callback = trained(setting, callback=lambda event: False, **options)
        assert same(callback, whole)


def test_a_target_is_met_at_the_first_epoch_that_meets_it():
    full = trained("lm", stop=30)
    assert (np.diff(full.errors) < 0).all()  # each step is one down
    goal = TargetError(float(full.errors[20]))
    fit = trained("lm", stop=[goal, MaxEpochs(30)])
    assert (fit.stopped_by, fit.epochs) == ("TargetError", 21)  # errors[20] is E after 20 epochs, as it was collected
    assert same(fit, trained("lm", stop=21))


@pytest.mark.parametrize("rule", [LevenbergMarquardt, BayesianRegularization])
def test_its_own_ends_are_named(rule):
    least = trained("lm", rule=rule(min_grad=1e-3), stop=500)
    assert least.stopped_by == "min_grad"
    assert 0 < least.epochs < 500
    if rule is LevenbergMarquardt:
        assert np.linalg.norm(bpjit.gradient(least.network, X, Y)) <= 1e-3
        before = trained("lm", stop=least.epochs - 1)
        assert np.linalg.norm(bpjit.gradient(before.network, X, Y)) > 1e-3
    highest = trained("lm", rule=rule(mu=1e-3, mu_max=1e-3, mu_inc=2.0), stop=500)
    assert highest.stopped_by == "mu_max"
    again = bp_train(highest.network, X, Y, rule=rule(mu=1e-3, mu_max=1e-3, mu_inc=2.0), stop=500, resume=highest)
    assert (again.stopped_by, again.epochs) == ("mu_max", highest.epochs)
    assert same(again, highest)
    assert again.errors.shape == (highest.epochs,)


def test_where_there_is_nothing_to_do_no_epoch_is_counted():
    net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    fit = bp_train(net, [[0.0], [1.0]], [-1.0, 1.0], rule="lm")
    assert (fit.stopped_by, fit.epochs, fit.error) == ("min_grad", 0, 0.0)
    assert fit.network == net


# --- Awkward data.


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["one sample", "rank", "more parameters than samples", "constant", "dead", "scale"])
def test_awkward_data_end_well(rule, kind):
    A, B, net = X, Y, start()
    if kind == "one sample":
        A, B = X[:1], Y[:1]
    elif kind == "rank":
        A = np.repeat(X[:, :1], 3, axis=1)
    elif kind == "more parameters than samples":
        A, B, net = X[:5], Y[:5], start(sizes=(3, 10, 5, 1))
    elif kind == "constant":
        B = np.full_like(Y, 0.25)
    elif kind == "dead":
        net = bpjit.Network.from_arrays(
            [-np.ones((3, 4)), np.ones((4, 1))], [[9.0] * 4, [0.0]], hidden="relu", output="identity"
        )
    else:
        A, B = 1e6 * X, 1e-6 * Y
    fit = bp_train(net, A, B, rule=rule, stop=200)
    assert np.isfinite(fit.network.parameters).all()
    assert rule == "br" or fit.error <= bpjit.error(net, A, B)
    assert fit.stopped_by in ("mu_max", "min_grad", "MaxEpochs")
    if kind in ("one sample", "more parameters than samples", "constant") and rule == "lm":
        assert fit.error <= 1e-15


def test_divergence_is_told():
    net = bpjit.Network.from_arrays([[[1e200]]], [[0.0]], output="identity")
    fit = bp_train(net, [[1.0]], [0.0], rule="lm")
    assert (fit.stopped_by, fit.epochs) == ("diverged", 0)
    assert fit.network == net


def test_many_samples_are_folded_in_chunks():
    """The same data fifty times over: the same steps, as weights of mean 1 would have it."""
    rule = {"rule": LevenbergMarquardt(mu=1.0), "stop": 4}
    once = bp_train(start(), X, Y, **rule)
    often = bp_train(start(), np.tile(X, (50, 1)), np.tile(Y, (50, 1)), rule=LevenbergMarquardt(mu=50.0), stop=4)
    assert distance(often.network.parameters, once.network.parameters) < 1e-10


LARGE = bpjit.Network.random((30, 70, 20, 1), "tanh", "identity", seed=0)  # 3,611 parameters


def test_time_is_up_within_an_epoch_too():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(3000, 30)), rng.normal(size=(3000, 1))
    bp_train(start(), X, Y, rule="lm", stop=1)
    event = threading.Event()
    for stop in (TimeLimit(0.2), event):
        timer = threading.Timer(0.2, event.set)
        timer.start()
        begun = time.perf_counter()
        fit = bp_train(LARGE, A, B, rule="lm", stop=[stop, 10**6])
        assert time.perf_counter() - begun < 2.0  # an epoch takes longer; machines with much to do are slow
        timer.join()
        assert fit.stopped_by == ("StopEvent" if stop is event else "TimeLimit")
        assert (fit.epochs, fit.network) == (0, LARGE)


@pytest.mark.parametrize("rule", ["lm", "lbfgs"])
def test_ctrl_c_ends_it_at_once(rule):
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(3000, 30)), rng.normal(size=(3000, 1))
    pressed = []

    def press():
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, press)
    timer.start()
    fit = bp_train(LARGE, A, B, rule=rule, stop=10**6)
    assert time.perf_counter() - pressed[0] < 1.0  # 0.1 s; machines with much to do are slow
    timer.join()
    assert fit.stopped_by == "interrupted"
    assert fit.evidence is None
    exact = bp_train(fit.network, A, B, rule=rule, stop=1, resume=fit)
    assert same(exact, bp_train(LARGE, A, B, rule=rule, stop=fit.epochs + 1))


def test_what_was_compiled_need_not_be_compiled_again():
    for rule in ("br", "scg"):
        assert bpjit.compile(start(), rule=rule) > 0
        assert bp_train(start(), X, Y, rule=rule, stop=2).compile_seconds < 0.1


@pytest.mark.slow
def test_thousands_of_parameters_and_a_million_samples():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(2000, 30))
    net = bpjit.Network.random((30, 100, 19, 1), "tanh", "identity", seed=0)
    assert len(net.parameters) > 5000
    fit = bp_train(net, A, np.sin(A[:, :1]), rule="lm", stop=3)
    assert fit.epochs == 3
    assert fit.errors[-1] < 0.5 * fit.errors[0]
    A = rng.uniform(-1, 1, (1_000_000, 2))
    fit = bp_train(made(nguyen_widrow, 0, 2, 10), A, np.sin(4 * A[:, 0]) * A[:, 1], rule="lm", stop=20)
    assert 2 * fit.error < 1e-3


# --- What it refuses.


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rule": "lm", "loss": "huber"}, "^loss: .*Gauss–Newton"),
        ({"rule": "br", "loss": "absolute"}, "^loss: .*Gauss–Newton"),
        ({"rule": "br", "lam": 0.9}, "^lam: .*its own penalty"),
        ({"rule": "lm", "eta": 0.1}, "^eta: .*no learning rate"),
        ({"rule": "lm", "updates": "stochastic"}, '^updates: .*"accumulated"'),
        ({"rule": "br", "updates": 8}, '^updates: .*"accumulated"'),
        ({"rule": "trainlm"}, '"lm" here'),
        ({"rule": LevenbergMarquardt}, "^rule: "),
    ],
)
def test_what_does_not_go_together_is_refused(settings, said):
    with pytest.raises((ValueError, TypeError), match=said):
        bp_train(start(), X, Y, **settings)


@pytest.mark.parametrize(
    "settings",
    [{"memory": 0}, {"max_search": 0}, {"memory": 2.5}, {"sigma": 0.0}, {"scale": -1.0}, {"scale_max": 1e-9}],
)
def test_settings_of_the_other_rules_are_checked(settings):
    rule = LBFGS if {"memory", "max_search"} & set(settings) else ScaledConjugateGradient
    with pytest.raises((ValueError, TypeError), match=f"^{next(iter(settings))}: expected"):
        rule(**settings)


@pytest.mark.parametrize(
    "settings", [{"mu": 0.0}, {"mu_inc": 1.0}, {"mu_dec": 1.0}, {"mu_max": 1e-9}, {"min_grad": -1.0}, {"mu": "x"}]
)
def test_settings_of_the_rule_are_checked(settings):
    with pytest.raises((ValueError, TypeError), match=f"^{next(iter(settings))}: expected"):
        LevenbergMarquardt(**settings)


@pytest.mark.parametrize("rule", ["lm", BayesianRegularization(), "lbfgs", ScaledConjugateGradient()])
def test_others_say_who_has_them(rule):
    for call in (
        lambda: bpjit.OnlineLearner(start(), rule=rule),
        lambda: bpjit.LearnerBank(bpjit.Networks.of([start()] * 2), rule=rule),
    ):
        with pytest.raises(ValueError, match=r'^rule: "\w+" takes a step of all parameters .*as bpjit\.train and'):
            call()


def test_it_runs_on_the_cpu():
    rule = as_rule("lm", second_order=True)
    assert target_of_rule("auto", rule) == "cpu"
    with pytest.raises(ValueError, match='^target: rule "lm" runs on the CPU'):
        target_of_rule("cuda", rule)


def test_a_system_beyond_this_machine_is_refused():
    with pytest.raises(ValueError, match=r"^net: with .* parameters .* GiB"):
        bp_train(bpjit.Network.random((1000, 1000, 1), seed=0), np.zeros((2, 1000)), np.zeros((2, 1)), rule="lm")


# --- Updates that a rule needs, where nothing is said.


def test_updates_of_none_are_those_that_the_rule_needs():
    for rule in FIRST_ORDER:
        needed = "accumulated" if rule in ("rprop", "quickprop") else "stochastic"
        assert as_batch_size(None, as_rule(rule)) == as_batch_size(needed, as_rule(rule))
    assert as_batch_size(None, LevenbergMarquardt()) is None
    rule, needed = "rprop", "accumulated"
    assert same(bp_train(start(), X, Y, rule=rule, stop=5), bp_train(start(), X, Y, rule=rule, updates=needed, stop=5))
    many = [bpjit.train_many([start()] * 2, X, Y, rule=rule, updates=updates, stop=5) for updates in (None, needed)]
    assert np.array_equal(many[0].error, many[1].error)
    for call in (bpjit.train, bpjit.train_many, bpjit.trace, bpjit.compile):
        assert inspect.signature(call).parameters["updates"].default is None


# --- What comes of a fit.


def test_a_fit_can_be_played_and_advises(tmp_path):
    fit = trained("lm", stop=12)
    fit.replay(tmp_path / "fit.html")
    assert (tmp_path / "fit.html").stat().st_size > 10_000
    assert isinstance(fit.advice, list)
    assert "by MaxEpochs" in repr(fit)


SHARED = {  # what several threads share: sizes, samples, activation of the outputs, rule, and what is fixed
    "the rows of one matrix": ((3, 40, 2), 150, "identity", "lm", False),
    "shares of many samples": ((2, 5, 1), 2500, "identity", "lm", False),
    "shares of two outputs": ((2, 5, 2), 1300, "identity", "br", False),
    "one output, cross-entropy": ((2, 6, 1), 2300, "sigmoid", "lm", False),
    "softmax": ((3, 30, 4), 333, "softmax", "br", False),
    "two hidden layers, some fixed": ((3, 12, 12, 1), 700, "identity", "lm", True),
}


@pytest.mark.parametrize("name", SHARED)
def test_bits_do_not_depend_on_the_number_of_threads(name):
    sizes, m, output, rule, fixed = SHARED[name]
    rng = np.random.default_rng(0)
    X, net = rng.uniform(-1, 1, (m, sizes[0])), bpjit.Network.random(sizes, "tanh", output, seed=1)
    Y = np.sin(3 * X[:, :1] + np.arange(sizes[-1]))
    Y = Y.argmax(axis=1) if output == "softmax" else Y > 0.3 if output == "sigmoid" else Y
    loss = "squared" if output == "identity" else "cross_entropy"
    trainable = np.arange(len(net.parameters)) % 7 > 0 if fixed else None
    validation = (X[: m // 3], Y[: m // 3])
    one, *others = (
        bp_train(net, X, Y, rule=rule, loss=loss, trainable=trainable, validation=validation, stop=6, threads=threads)
        for threads in (1, 2, 3, 5)
    )
    assert one.error < 0.8 * one.errors[0]
    for fit in others:
        assert same(fit, one)


def test_threads_share_a_system(monkeypatch):
    teams = []

    def watched():
        teams.append(team.make_team())
        return teams[-1]

    monkeypatch.setattr(second_order, "make_team", watched)
    X = np.random.default_rng(0).normal(size=(500, 8))
    net = bpjit.Network.random((8, 40, 1), "tanh", "identity", seed=1)
    bp_train(net, X, np.sin(X[:, 0]), rule="lm", stop=20, threads=2)
    assert max(places[team.ARRIVED] for places in teams) == 1


def test_threads_are_taken_where_they_pay():
    rows = 4 * drivers.WORTH_SHARING_A_SYSTEM // 100**2
    assert drivers.useful_threads_damped(10, 1000) == 1
    assert drivers.useful_threads_damped(100, rows) == min(drivers.cores(), 8)


def test_helpers_that_come_late_end():
    for _ in range(100):
        bp_train(start(), X, Y, rule="lm", stop=2, threads=4)
    until = time.monotonic() + 20
    while any(thread.name == "bpjit" for thread in threading.enumerate()):
        assert time.monotonic() < until, "helpers still wait for a leader who has gone"
        time.sleep(0.05)
