"""np.seterr and -W error change nothing, with the JIT and without: results may overflow, and the library looks."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.kernels.drivers import READABLE

XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


def work(brief):
    """Results of about everything, on numbers that overflow and underflow; or of what few kernels do."""
    found = []
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(8, 2)), rng.uniform(size=(8, 1))
    weights = np.array([1e-60, 1.0] * 4)
    for dtype in ("float32",) if brief else ("float64", "float32"):
        for output in ("identity",) if brief else ("sigmoid", "softmax", "identity"):
            scale = bpjit.Scale.standard(X, Y) if output == "identity" else None
            l = 2 if output == "softmax" else 1
            net = bpjit.Network.random((2, 3, l), "tanh", output, dtype=dtype, scale=scale)
            wild = net.with_parameters(net.parameters * np.float32(1e18))
            labels = (Y[:, 0] > 0.5).astype(int) if output == "softmax" else Y
            for settings in (
                {},
                {"updates": 5, "rule": "adam", "sample_weight": weights},
                {"updates": "accumulated", "rule": "rprop", "validation": (X, labels), "stop": 3},
                {"eta": bpjit.AdaptiveRate(1e3), "lam": 0.99999, "stop": 5},
                {"eta": bpjit.StepDecay(1e30, factor=1e-20, every=1), "stop": 20},
                {"eta": 1e36, "stop": 6, "rule": "momentum"},
                {"stop": [bpjit.NoImprovement(2, 0.1), bpjit.EarlyStopping(1, generalization_loss=1, progress=1), 4]},
            )[:: 4 if brief else 1]:
                how = {"stop": 2} | settings
                if "EarlyStopping" in str(how["stop"]):
                    how["validation"] = X, labels
                for start in (net, wild):
                    fit = bpjit.train(start, X, labels, **how)
                    found += [fit.network.parameters, fit.errors, fit.error, fit.objective]
                fits = bpjit.train_many([net, wild, net], X, labels, threads=2, **how)
                found += [nets.parameters for nets in fits.networks] + [fits.error, fits.objective]
            both = bpjit.Networks.of([net, wild])
            for inputs in (X, 1e30 * X, X[0]):
                found += [wild.predict(inputs), both.predict(inputs), net.classify(inputs)]
            found += [both.mean(X), both.vote(X)]
            beyond = net.with_parameters(net.parameters * np.float32(1e30))  # its squared error overflows float32
            for start in (net, wild, beyond):
                found += [bpjit.error(start, X, labels, lam=0.5), bpjit.gradient(start, X, labels)]
                found += [bpjit.jacobian(start, X), bpjit.jacobian(start, X, by="inputs")]
                objective, p = bpjit.Objective(start, X, labels, lam=0.5), start.parameters
                found += [*objective.value_and_gradient(p), objective.hessian_product(p, p)]
            if READABLE:
                continue
            for rule in ("sgd",) if brief else ("sgd", "adam"):
                learner = bpjit.OnlineLearner(net, rule=rule, eta=0.5, clip_weights=1e18)
                bank = bpjit.LearnerBank(both, rule=rule, eta=0.5)
                for x, y in zip(1e9 * X, labels, strict=True):
                    found += [learner.learn(x, y), learner.learn(x.tolist(), y), learner.predict(x)]
                found += [bank.learn([0, 1] * 4, 1e9 * X, labels), bank.predict([0, 1] * 4, X)]
    return [np.asarray(item) for item in found]


def check(brief=False):
    usual = work(brief)
    with np.errstate(all="raise"):
        strict = work(brief)
    assert len(usual) == len(strict) > 60
    for one, other in zip(usual, strict, strict=True):
        assert one.tobytes() == other.tobytes()
    assert brief or any(not np.isfinite(item).all() for item in usual if item.dtype.kind == "f")


@pytest.mark.parametrize("brief", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_results_do_not_depend_on_the_error_state(brief):
    check(brief)


def test_nor_do_they_without_the_jit():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(Path(__file__).parent), *sys.path) if p)
    code = "import test_error_states as t; t.check(); print('done')"
    quiet = "import warnings, bpjit; warnings.simplefilter('ignore', bpjit.TrainingWarning); "
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", quiet + code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout == "done\n", done.stderr[-3000:]


def test_callbacks_run_under_the_callers_error_state():
    seen = []
    net = bpjit.Network.random((2, 2, 1))
    with np.errstate(over="raise", under="print"):
        bpjit.train(net, *XOR, stop=1, callback=lambda progress: seen.append(np.geterr()))
        assert seen == [np.geterr()]
        with pytest.raises(FloatingPointError):
            bpjit.train(net, *XOR, stop=1, callback=lambda progress: np.float64(1e308) * 10)
