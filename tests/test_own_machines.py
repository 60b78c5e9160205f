"""Formulas of the user's own on every machine, held against the reference; their machine code on disk; files."""

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
from bpjit import compiled
from cases import slow
from own_cases import ACTIVATION, CASES, LOSS, SETTINGS, X, Y, expected, my_adam, network, trained

HERE = Path(__file__).parent
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
ALL = [(size, setting, dtype) for size, setting in CASES for dtype in TOLERANCE]
OFTEN = [("small", "rule", "float32")]
EACH = [case if case in OFTEN else slow(*case) for case in ALL]


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


SILU, GELU = bpjit.formulas.silu, bpjit.formulas.gelu
SAME = bpjit.activation(ACTIVATION, name="same", reach=(-1e300, 1e300))  # one formula under two names


def test_layers_have_each_their_own():
    """In whatever order they are said."""
    names = [SAME, SILU, ACTIVATION, GELU]
    net = bpjit.Network.random((3, *(4,) * len(names), 2), names, bpjit.formulas.elu, seed=1)
    b = np.random.default_rng(0).normal(size=(5, 3))
    learner, wanted = bpjit.OnlineLearner(net), b
    for W, theta, name in zip(net.weights, net.thresholds, (*net.hidden, net.output), strict=True):
        wanted = name(wanted @ W - theta)
    assert_close(net.predict(b), wanted)
    assert_close(learner.predict(b[0]), wanted[0])
    many = bpjit.train_many([net] * 2, b, wanted, stop=1, loss="squared")
    assert np.all(many.error < 1e-20)


BENT = bpjit.activation(lambda z: 0.5 * z + 0.25 * abs(z), name="bent")


def in_numpy(net, formulas):
    """The outputs of a network, layer by layer by what formulas give for arrays."""
    y_hat = X
    for W, thresholds, formula in zip(net.weights, net.thresholds, formulas, strict=True):
        y_hat = formula(y_hat @ W - thresholds)
    return y_hat


@pytest.mark.slow
@pytest.mark.parametrize("formulas", [(SILU, GELU, BENT), (BENT, SILU, GELU)])
def test_several_in_one_network_are_trained(formulas):
    """One network, many and a learner go down as the objective does by differences of what NumPy gives."""
    net = bpjit.Network.random((X.shape[1], 4, 3, Y.shape[1]), list(formulas[:-1]), formulas[-1], seed=1)

    def error(p):
        y_hat = in_numpy(net.with_parameters(p), formulas)
        return 0.5 * ((y_hat - Y) ** 2).sum(1).mean()

    p, h = net.parameters, 1e-6
    slopes = np.array([(error(p + h * e) - error(p - h * e)) / (2 * h) for e in np.eye(len(p))])
    settings = {"updates": "accumulated", "eta": 0.1, "stop": 1}
    fit = bpjit.train(net, X, Y, **settings)
    assert np.allclose(fit.network.parameters, p - 0.1 * slopes, rtol=0, atol=1e-8)
    for each in bpjit.train_many([net] * 3, X, Y, **settings).networks:
        assert np.allclose(each.parameters, fit.network.parameters, rtol=0, atol=1e-12)


def run_elsewhere(tmp_path, **environment):
    path = tmp_path / "results.npz"
    environment = os.environ | environment
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(HERE), *sys.path) if p)
    command = [sys.executable, "-W", "ignore", str(HERE / "own_cases.py"), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(path)


@pytest.mark.parametrize("machine", ["plain Python", slow("simulated GPU")])
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
    for text in (str(trace), trace.markdown(), trace.latex(), trace.html()):
        assert "swish" in text
        assert "lopsided" in text
        assert "adam" in text
        assert "beta1" in text
        assert not [own for own in (ACTIVATION, LOSS) if own.partition("#")[2] in text]
    path = tmp_path / "replay.html"
    fit.replay(path)
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
    how = {"loss": LOSS, "updates": 3, "stop": 3}
    nets = [bpjit.train(network("small"), X, Y, rule=rule, **how).network for rule in (slow, fast)]
    assert nets[0] != nets[1]
    with pytest.raises(TypeError, match="beta3: the rule my_adam has no such setting; it has beta1, beta2, epsilon"):
        my_adam(beta3=1)
    fits = bpjit.train_many([network("small")] * 2, X, Y, rule=[slow, fast], **how)
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
import sys, pickle, numpy as np, bpjit
with open(sys.argv[1], "rb") as file:
    fit, loss, rule = pickle.load(file)
X, Y = np.load(sys.argv[2]).values()
print(fit.network.hidden[0] + "", type(fit.network.hidden[0]).__name__, sep="\\n")
print(bpjit.train(fit.network, X, Y, loss=loss, rule=rule, updates=3, stop=1).error, rule, sep="\\n")
"""
LOAD = """
import sys, bpjit
for kind, path in ((bpjit.Network, sys.argv[1]), (bpjit.LearnerBank, sys.argv[2])):
    try:
        kind.load(path)
    except ValueError as error:
        print(error)
import own_cases
net, bank = bpjit.Network.load(sys.argv[1]), bpjit.LearnerBank.load(sys.argv[2])
print(net.hidden[0].called, bank[0].hidden[0].called, sep="\\n")
"""


def run(program, *arguments, cache=None):
    environment = os.environ | ({} if cache is None else {"NUMBA_CACHE_DIR": str(cache)})
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(HERE), *sys.path) if p)
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_pickles_carry_formulas_into_other_processes(tmp_path):
    fit = bpjit.train(network("small"), X, Y, loss=LOSS, rule=my_adam, updates=3, stop=1)
    path = tmp_path / "fit.pickle"
    path.write_bytes(pickle.dumps((fit, LOSS, my_adam(beta1=0.5))))
    np.savez(tmp_path / "data.npz", X=X, Y=Y)
    name, kind, error, rule = run(READ, path, tmp_path / "data.npz")
    assert (name, kind, rule) == (ACTIVATION, "Activation", repr(my_adam(beta1=0.5)))
    again = bpjit.train(fit.network, X, Y, loss=LOSS, rule=my_adam(beta1=0.5), updates=3, stop=1)
    assert float(error) == again.error


def test_files_hold_names_and_no_code(tmp_path):
    paths = tmp_path / "net.safetensors", tmp_path / "bank.safetensors"
    bank = bpjit.LearnerBank(bpjit.Networks.of([network("small")]), rule=my_adam, loss=LOSS)
    bank.learn([0], X[:1], Y[:1])
    network("small").save(paths[0]), bank.save(paths[1])
    unknown, unknown_too, *called = run(LOAD, *paths)
    for line in (unknown, unknown_too):
        assert line.startswith(f"hidden[0]: {str(ACTIVATION)!r} is a formula that is not known here; make it first")
        assert line.endswith("by bpjit.activation(...)")
    assert called == ["swish(beta=1.5)", "swish(beta=1.5)"]
    loaded = bpjit.LearnerBank.load(paths[1])
    np.testing.assert_array_equal(loaded.learn([0], X[1:2], Y[1:2]), bank.learn([0], X[1:2], Y[1:2]))
    assert bpjit.Network.load(paths[0]) == network("small")


@pytest.mark.parametrize("name", ["silu", "elu", bpjit.formulas.elu(alpha=0.5)])
def test_files_with_formulas_that_come_with_the_library(name, tmp_path):
    net, path = bpjit.Network.random((3, 4, 2), name, seed=0), tmp_path / "net.safetensors"
    net.save(path)
    (same,) = run("import sys, bpjit; print(bpjit.Network.load(sys.argv[1]).parameters.sum().hex())", path)
    assert same == net.parameters.sum().hex()
    assert bpjit.Network.load(path) == net


# --- Machine code on disk.

CACHED = """
import sys, bpjit
from bpjit.formulas import exp
from bpjit.kernels.one.learner import learn_kernel
shift = float(sys.argv[1])
own = bpjit.activation(lambda z: 1 / (1 + exp(shift - z)), name="shifted")
learner = bpjit.OnlineLearner(bpjit.Network.random((2, 3, 1), own, "identity", seed=0), eta=0.1)
print(learner.learn([0.5, 0.25], 1.0).hex())
stats = learn_kernel(learner.state.kind).stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_second_process_finds_the_machine_code_and_an_edit_makes_new(tmp_path):
    """Of a lambda in ``__main__`` with a value from outside."""
    first, second, edited = (run(CACHED, shift, cache=tmp_path) for shift in (0.5, 0.5, 0.75))
    assert [first[1], second[1], edited[1]] == ["0 1", "1 0", "0 1"]
    assert first[0] == second[0] != edited[0]
