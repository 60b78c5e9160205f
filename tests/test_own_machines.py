"""Formulas of the user's own on every machine, held against the reference; their machine code on disk; files, pickles."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

import bpjit
import own_cases
from bpjit import compiled
from own_cases import ACTIVATION, CASES, LOSS, SETTINGS, X, Y, expected, lopsided, my_adam, network, swish, trained

HERE = Path(__file__).parent
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
ALL = [(size, setting, dtype) for size, setting in CASES for dtype in TOLERANCE]
OFTEN = [("small", "standard", "float64"), ("large", "standard", "float32"), ("small", "rule", "float32")]
EACH = [pytest.param(*case, marks=() if case in OFTEN else pytest.mark.slow) for case in ALL]


def assert_close(found, wanted, dtype="float64"):
    assert np.linalg.norm(found - wanted) <= TOLERANCE[dtype] * np.linalg.norm(wanted)


@pytest.mark.parametrize(("size", "setting", "dtype"), EACH)
def test_one_network_and_lanes(size, setting, dtype):
    fit, wanted = trained(size, setting, dtype), expected(size, setting)
    assert_close(fit.parameters, wanted, dtype)
    nets = bpjit.Networks.of([network(size, dtype)] * 3)
    fits = bpjit.train_many(nets, X, Y, loss=LOSS, stop=3, seed=1, **SETTINGS[setting])
    for each in fits.networks:
        assert_close(each.parameters, wanted, dtype)
    error = bpjit.error(network(size), X, Y, loss=LOSS)
    assert np.isclose(error, np.mean([LOSS(a, b).sum() for a, b in zip(network(size).predict(X), Y, strict=True)]))


def run_elsewhere(tmp_path, **environment):
    path = tmp_path / "results.npz"
    environment = os.environ | environment
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(HERE), *sys.path) if p)
    command = [sys.executable, "-W", "ignore", str(HERE / "own_cases.py"), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(path)


@pytest.mark.parametrize("machine", ["plain Python", "simulated GPU"])
def test_without_compiling(machine, tmp_path):
    environment = {"NUMBA_DISABLE_JIT": "1"}
    if machine == "simulated GPU":
        if importlib.util.find_spec("numba_cuda") is None:
            pytest.skip("numba-cuda is not installed: pip install '.[cuda]'")
        environment |= {"NUMBA_ENABLE_CUDASIM": "1"}
    found = run_elsewhere(tmp_path, **environment)
    for size, setting in CASES:
        wanted = expected(size, setting)
        assert_close(found[f"{size} {setting}"], wanted)
        if machine == "simulated GPU":
            assert_close(found[f"{size} {setting} many"], wanted)
        y_hat = network(size).with_parameters(wanted).predict(X)
        assert_close(found[f"{size} {setting} y_hat"], y_hat)


def test_learners_and_compiled_code():
    net = network("small")
    learner = bpjit.OnlineLearner(net, eta=0.05, loss=LOSS)
    again = bpjit.OnlineLearner(net, eta=0.05, loss=LOSS)
    bank = bpjit.LearnerBank(bpjit.Networks.of([net, net]), ["a", "b"], eta=0.05, loss=LOSS)

    @njit
    def follow(state, X, Y, y_hat, J):
        total = 0.0
        for k in range(len(X)):
            total += compiled.learn(state, X[k], Y[k])
        compiled.slopes(state, X[0], y_hat, J)
        return total

    y_hat, J = np.empty(2), np.empty((2, 3))
    total = follow(again.state, X, Y, y_hat, J)
    errors = [learner.learn(x, y) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_allclose(bank.learn(["b"] * 7, X, Y), errors, rtol=1e-12)
    assert np.isclose(errors[0], LOSS(net.predict(X[0]), Y[0]).sum(), rtol=1e-12)
    assert np.isclose(total, sum(errors), rtol=1e-12)
    once = bpjit.train(net, X, Y, eta=0.05, loss=LOSS, shuffle=False, stop=1).network
    for known in (learner.network, again.network, bank["b"]):
        assert_close(known.parameters, once.parameters)
    np.testing.assert_allclose(y_hat, once.predict(X[0]), rtol=1e-12)
    np.testing.assert_allclose(bank.predict(["b"], X[:1])[0], once.predict(X[0]), rtol=1e-12)
    np.testing.assert_allclose(J, bpjit.jacobian(once, X[0], by="inputs"), rtol=1e-11)
    twin = pickle.loads(pickle.dumps(learner))
    assert twin.learn(X[0], Y[0]) == learner.learn(X[0], Y[0])
    assert twin.state.kind == learner.state.kind


def test_gradient_and_jacobian():
    net, h = network("small"), 1e-6
    moved = [net.with_parameters(net.parameters + step) for step in (*(h * np.eye(26)), *(-h * np.eye(26)))]
    E = np.array([bpjit.error(each, X, Y, loss=LOSS) for each in moved])
    np.testing.assert_allclose(bpjit.gradient(net, X, Y, loss=LOSS), (E[:26] - E[26:]) / (2 * h), rtol=1e-6, atol=1e-9)
    y_hat = np.array([each.predict(X[0]) for each in moved])
    wanted = (y_hat[:26] - y_hat[26:]).T / (2 * h)
    np.testing.assert_allclose(bpjit.jacobian(net, X[0]), wanted, rtol=1e-6, atol=1e-9)


def test_targets_that_are_not_known():
    gaps = np.where(np.arange(14).reshape(7, 2) % 5 == 1, np.nan, Y)
    net, kept = network("small"), ~np.isnan(gaps)
    value = bpjit.error(net, X, gaps, loss=LOSS, missing="ignore")
    shares = np.array([LOSS(a, b) for a, b in zip(net.predict(X), Y, strict=True)])
    assert np.isclose(value, (shares * kept).sum() / 7, rtol=1e-12)
    setting = bpjit.train(net, X, gaps, loss=LOSS, missing="ignore", stop=1, eta=0.05)
    assert pickle.loads(pickle.dumps(setting)).network == setting.network


# --- Traces, replays, pictures, words.


def test_traces_and_replays_say_what_is_computed(tmp_path):
    fit = bpjit.train(network("small"), X, Y, loss=LOSS, stop=2, eta=0.05)
    trace = bpjit.trace(network("small"), X[:1], Y[:1], loss=LOSS, rule=my_adam)
    for text in (str(trace), trace.markdown(), trace.html()):
        assert "swish" in text
        assert "lopsided" in text
        assert "my_adam" in text
        assert "#" not in text.replace("&#", "").replace("#" * 6, "").replace("#" * 3, "").replace("##", "").replace("# ", "")
    path = tmp_path / "replay.html"
    fit.replay(X, Y, path)
    page = path.read_text(encoding="utf-8")
    assert "swish" in page
    assert ACTIVATION not in page
    assert "swish" in repr(fit)
    assert "#" not in repr(fit)


def test_pictures():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[plot]'")
    ax = bpjit.plot.activations([ACTIVATION, "silu"])
    labels = [line.get_label() for line in ax.lines]
    assert {"swish(beta=1.5)", "silu"} <= set(labels)


# --- Settings, files, pickles.


def test_a_rule_with_other_settings():
    slow, fast = my_adam(beta1=0.5), my_adam()
    assert fast == my_adam
    assert slow != fast
    assert pickle.loads(pickle.dumps(slow)) == slow
    nets = [bpjit.train(network("small"), X, Y, loss=LOSS, rule=rule, updates=3, stop=3).network for rule in (slow, fast)]
    assert nets[0] != nets[1]
    with pytest.raises(TypeError, match="beta3: the rule my_adam has no such setting; it has beta1, beta2, epsilon"):
        my_adam(beta3=1)
    fits = bpjit.train_many([network("small")] * 2, X, Y, loss=LOSS, rule=[slow, fast], updates=3, stop=3)
    for k, net in enumerate(nets):
        assert_close(fits.networks[k].parameters, net.parameters)


def test_losses_of_the_net_input_want_their_outputs():
    net = bpjit.Network.random((3, 4, 2), output="identity")
    with pytest.raises(ValueError, match='loss: poisson goes with output="exp", the network\'s is "identity"'):
        bpjit.train(net, X, Y, loss="poisson")
    with pytest.raises(ValueError, match="loss: expected one of"):
        bpjit.train(net, X, Y, loss=ACTIVATION)
    with pytest.raises(ValueError, match=r"hidden: expected one of .*silu"):
        bpjit.Network.random((3, 4, 2), "sillu")


READ = """
import sys, pickle, bpjit
with open(sys.argv[1], "rb") as file:
    thing = pickle.load(file)
print(thing.network.hidden[0], type(thing.network.hidden[0]).__name__)
print(bpjit.train(thing.network, [[0, 0, 0]], [[1, 1]], loss=thing.loss, stop=1).error)
"""
LOAD = """
import sys, bpjit
for kind, path in ((bpjit.Network, sys.argv[1]), (bpjit.LearnerBank, sys.argv[2])):
    try:
        kind.load(path)
    except ValueError as error:
        print(error)
import own_cases
print(bpjit.Network.load(sys.argv[1]).hidden[0].called, bpjit.LearnerBank.load(sys.argv[2])[0].hidden[0].called)
"""


class Thing:
    network = None


def run(program, *arguments, cache=None):
    environment = os.environ | ({} if cache is None else {"NUMBA_CACHE_DIR": str(cache)})
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(HERE), *sys.path) if p)
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()
