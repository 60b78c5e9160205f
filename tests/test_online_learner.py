"""Learning one sample at a time, from Python and from jitted code."""

import contextlib
import copy
import functools
import pickle
import sys
import threading

import numpy as np
import pytest
from numba import njit

import bpjit
from bpjit import compiled
from bpjit.training.session import Session
from cases import HIDDEN, OUTPUTS, distance, slow

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
SIZES = [(2, 1), (4, 8, 3), (5, 17, 9, 4), (33, 40, 12)]


def problem(sizes, dtype="float64", output="softmax", m=40, hidden="tanh"):
    rng = np.random.default_rng(5)
    net = bpjit.Network.random(sizes, hidden, output, seed=2, dtype=dtype)
    return net, rng.normal(0, 1, (m, sizes[0])).astype(dtype), rng.dirichlet(np.ones(sizes[-1]), m).astype(dtype)


@pytest.mark.parametrize(
    ("lam", "dtype"), [(None, "float64"), (0.99, "float32"), slow(0.99, "float64"), slow(None, "float32")]
)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sizes", SIZES)
def test_a_stream_of_samples_is_an_epoch_of_the_readable_kernel(sizes, rule, lam, dtype, monkeypatch):
    net, X, Y = problem(sizes, dtype, "softmax" if sizes[-1] > 1 else "sigmoid")
    learner = bpjit.OnlineLearner(net, eta=0.05, rule=rule, lam=lam)
    errors = [learner.learn(x, y) for x, y in zip(X, Y, strict=True)]
    monkeypatch.setattr("bpjit.training.loop.Session", functools.partial(Session, readable=True))
    fit = bpjit.train(net, X, Y, eta=0.05, rule=rule, lam=lam, shuffle=False, stop=1)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    assert distance(learner.network.parameters, fit.network.parameters.astype(float)) <= tolerance
    assert np.mean(errors) == pytest.approx(fit.errors[0], rel=tolerance)
    assert distance(net.parameters, fit.network.parameters.astype(float)) > 1e-3
    for x in X[:3]:
        np.testing.assert_allclose(learner.predict(x), learner.network.predict(x), rtol=tolerance)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("output", OUTPUTS)
def test_all_activations(hidden, output):
    net, X, Y = problem((3, 6, 5, 2), output=output, hidden=hidden)
    learner = bpjit.OnlineLearner(net, eta=0.02)
    for x, y in zip(X, Y, strict=True):
        learner.learn(x, y)
    fit = bpjit.train(net, X, Y, eta=0.02, shuffle=False, stop=1)
    assert distance(learner.network.parameters, fit.network.parameters) <= 1e-12


def test_the_loss_scale_and_lists():
    X, Y = np.array([[150.0, 3.0], [170.0, 4.0], [190.0, 8.0]]), np.array([[10.0], [20.0], [30.0]])
    net = bpjit.Network.random((2, 3, 1), "tanh", "identity", seed=1, scale=bpjit.Scale.standard(X, Y))
    learner = bpjit.OnlineLearner(net, eta=0.1, loss="huber")
    for _ in range(300):
        for x, y in zip(X.tolist(), Y.tolist(), strict=True):
            learner.learn(x, y)
    assert [float(learner.predict(x)[0]) for x in X] == pytest.approx([10, 20, 30], abs=0.5)
    assert learner.network.scale == net.scale
    np.testing.assert_allclose(learner.predict(X[0]), learner.network.predict(X[0]), rtol=1e-12)
    single = bpjit.OnlineLearner(bpjit.Network.random((1, 1), output="identity", dtype="float32"), eta=0.1)
    assert single.predict([1.0]).dtype == np.float32


def test_arrays_of_any_kind_give_the_same():
    net, X, Y = problem((4, 8, 3))
    expected = bpjit.OnlineLearner(net, eta=0.1)
    expected.learn(X[0], Y[0])
    wide = np.zeros((4, 2))
    wide[:, 0] = X[0]
    for x, y in (
        (X[0].tolist(), Y[0].tolist()),
        (wide[:, 0], Y[0]),
        (X[0][::-1].copy()[::-1], Y[0]),
        (X[0], list(Y[0])),
    ):
        learner = bpjit.OnlineLearner(net, eta=0.1)
        learner.learn(x, y)
        assert learner.network == expected.network
        np.testing.assert_array_equal(learner.predict(x), expected.predict(X[0]))


def test_class_numbers():
    net, X, _ = problem((4, 8, 3))
    one, other = bpjit.OnlineLearner(net, eta=0.1), bpjit.OnlineLearner(net, eta=0.1)
    one.learn(X[0], 2)
    other.learn(X[0], np.array([0.0, 0.0, 1.0]))
    assert one.network == other.network


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        ([1, 2, 3], [1, 0, 0], ValueError, "^x: "),
        ([1, 2, 3, np.nan], [1, 0, 0], ValueError, "^x: .*nan"),
        (np.array([1, 2, np.inf, 4]), np.array([1.0, 0, 0]), ValueError, "^x: .*inf"),
        ([1, 2, 3, 4], [np.nan, 0, 0], ValueError, "^y: .*nan"),
        (np.array([1.0, 2, 3, 4]), np.array([0.0, -np.inf, 0]), ValueError, "^y: .*inf"),
        (np.array([1.0, 2, 3, 4]), np.array([0.5, 0.9, 0.1]), ValueError, "^y: cross_entropy"),
        (np.array([1.0, 2, 3, 4]), np.array([1.5, -0.5, 0.0]), ValueError, "^y: cross_entropy"),
        ([1, 2, 3, 4], [1, 0], ValueError, "^y: "),
        ("four", [1, 0, 0], TypeError, "^x: "),
        ([[1, 2, 3, 4]], [1, 0, 0], ValueError, "^x: expected one sample"),
        ([1, 2, 3, 4], [[1, 0, 0]], ValueError, "^y: expected one sample"),
        ([1, 2, 3, 4], 7, ValueError, "^y: "),
    ],
)
def test_a_bad_record_raises_and_changes_nothing(x, y, error, message, rule):
    raises_and_changes_nothing(x, y, error, message, rule, "softmax")


@pytest.mark.parametrize("rule", RULES)
def test_a_record_beyond_all_numbers_raises_and_changes_nothing(rule):
    y = np.array([1e200, 0, 0])
    raises_and_changes_nothing(np.ones(4), y, FloatingPointError, "^learn: .*smaller eta", rule, "identity")


def raises_and_changes_nothing(x, y, error, message, rule, output):
    net, X, Y = problem((4, 8, 3), output=output)
    learner = bpjit.OnlineLearner(net, eta=0.1, rule=rule)
    learner.learn(X[0], Y[0])
    before = learner.state.data.copy()
    network = learner.network
    with pytest.raises(error, match=message):
        learner.learn(x, y)
    assert learner.network == network
    expected = bpjit.OnlineLearner(net, eta=0.1, rule=rule)
    for k in range(3):
        expected.learn(X[k], Y[k])
    learner.learn(X[1], Y[1])
    learner.learn(X[2], Y[2])
    assert learner.network == expected.network
    assert before.shape == learner.state.data.shape


def test_a_diverging_stream_ends_at_the_last_finite_network():
    net = bpjit.Network.random((3, 4, 2), "identity", "identity", seed=1, dtype="float32")
    learner = bpjit.OnlineLearner(net, eta=3.0)
    x, y = np.array([3, 2, 1], np.float32), np.array([5, 5], np.float32)
    errors = []
    with contextlib.suppress(FloatingPointError):
        while len(errors) < 1000:
            errors.append(learner.learn(x, y))
    assert len(errors) < 900
    assert np.isfinite(learner.network.parameters).all()
    assert np.abs(learner.network.parameters).max() > 1e6


def test_a_bad_x_to_predict():
    learner = bpjit.OnlineLearner(bpjit.Network.random((4, 8, 3)))
    for x, error in ((np.array([1.0, np.nan, 3, 4]), ValueError), ([1, 2], ValueError), (None, TypeError)):
        with pytest.raises(error, match="^[xX]: "):
            learner.predict(x)


def test_clipping_gradients():
    net, X, Y = problem((4, 8, 3), output="identity")
    y = 1e3 * Y[0]
    free, clipped = bpjit.OnlineLearner(net, eta=1.0), bpjit.OnlineLearner(net, eta=1.0, clip_gradient=0.5)
    free.learn(X[0], y)
    clipped.learn(X[0], y)
    step, short = (learner.network.parameters - net.parameters for learner in (free, clipped))
    assert np.linalg.norm(step) > 10
    np.testing.assert_allclose(short, step * 0.5 / np.linalg.norm(step), rtol=1e-9)
    assert np.linalg.norm(short) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_clipping_weights(rule):
    net, X, Y = problem((4, 8, 3), output="identity")
    learner = bpjit.OnlineLearner(net, eta=0.5, rule=rule, clip_weights=0.6)
    for x, y in zip(X, Y, strict=True):
        learner.learn(x, 10 * y)
        assert np.abs(learner.network.parameters).max() <= 0.6
    assert np.abs(learner.network.parameters).max() == 0.6
    gentle = bpjit.OnlineLearner(bpjit.Network.random((1, 1), output="identity"), eta=0.5, rule=rule, clip_weights=2.5)
    for _ in range(20):  # a gradient of 1e-6 moves some rules by η each time
        gentle.learn([1.0], gentle.predict([1.0]) + 1e-6)
        assert np.abs(gentle.network.parameters).max() <= 2.5


def test_reset():
    net, X, Y = problem((4, 8, 3))
    learner = bpjit.OnlineLearner(net, eta=0.1, rule="adam")
    learner.learn(X[0], Y[0])
    first = learner.network
    learner.learn(X[1], Y[1])
    learner.reset()
    assert learner.network == net
    learner.learn(X[0], Y[0])
    assert learner.network == first
    learner.reset(first)
    assert learner.network == first
    with pytest.raises(ValueError, match="^net: "):
        learner.reset(bpjit.Network.random((4, 7, 3), "tanh", "softmax"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "rprop"}, "^rule: "),
        ({"eta": 0}, "^eta: "),
        ({"eta": bpjit.Cosine(0.1, 10)}, "^eta: "),
        ({"lam": 1.5}, "^lam: "),
        ({"eta": 10.0, "lam": 0.5}, "^lam: "),
        ({"clip_gradient": 0}, "^clip_gradient: "),
        ({"clip_weights": -1}, "^clip_weights: "),
        ({"loss": "hinge"}, "^loss: "),
        ({"seed": -1}, "^seed: "),
        ({"eta": 1e-50}, "^eta: .*float32 holds them.* got 1e-50"),
        ({"eta": 1e50}, "^eta: "),
        ({"lam": 1e-50}, "^lam: "),
        ({"clip_gradient": 1e-60}, "^clip_gradient: "),
        ({"clip_gradient": 1e60}, "^clip_gradient: "),
        ({"clip_weights": 1e-60}, "^clip_weights: "),
        ({"rule": bpjit.Adam(epsilon=1e-60)}, "^epsilon: "),
        ({"rule": bpjit.Momentum(mu=1e-60)}, "^mu: "),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        bpjit.OnlineLearner(bpjit.Network.random((2, 3, 1), dtype="float32"), **settings)
    with pytest.raises((ValueError, TypeError), match=message):
        bpjit.LearnerBank(bpjit.Networks.random((2, 3, 1), 2, dtype="float32"), **settings)
    with pytest.raises(TypeError, match="^net: "):
        bpjit.OnlineLearner("net")


@njit
def stream(state, X, Y, y_hat, J):
    error = 0.0
    for k in range(len(X)):
        compiled.slopes(state, X[k], y_hat, J)
        compiled.predict(state, X[k], y_hat)
        error += compiled.learn(state, X[k], Y[k])
    return error


@pytest.mark.parametrize(
    ("rule", "dtype"),
    [
        ("sgd", "float64"),
        slow("nesterov", "float64"),
        ("adam", "float32"),
        slow("sgd", "float32"),
        slow("nesterov", "float32"),
        slow("adam", "float64"),
    ],
)
@pytest.mark.parametrize("sizes", SIZES)
def test_inside_jitted_code(sizes, rule, dtype):
    net, X, Y = problem(sizes, dtype, "softmax" if sizes[-1] > 1 else "tanh")
    learner, other = (bpjit.OnlineLearner(net, eta=0.05, rule=rule) for _ in range(2))
    y_hat, J = np.empty(sizes[-1], dtype), np.empty((sizes[-1], sizes[0]), dtype)
    error = stream(learner.state, X, Y, y_hat, J)
    expected = 0.0
    for k, (x, y) in enumerate(zip(X, Y, strict=True)):
        before, last = other.network, k + 1 == len(X)
        if last:
            np.testing.assert_allclose(y_hat, before.predict(x), rtol=1e-12 if dtype == "float64" else 1e-4)
            tolerance = 1e-10 if dtype == "float64" else 1e-3
            np.testing.assert_allclose(J, bpjit.jacobian(before, x, by="inputs"), rtol=tolerance, atol=tolerance / 100)
        expected += other.learn(x, y)
    assert learner.network == other.network
    assert error == pytest.approx(expected, rel=1e-12 if dtype == "float64" else 1e-5)


def test_jitted_code_is_told_of_bad_samples():
    net, X, Y = problem((4, 8, 3))
    learner = bpjit.OnlineLearner(net)
    x = X[0].copy()
    x[1] = np.nan
    assert np.isnan(compiled.learn(learner.state, x, Y[0]))
    assert not compiled.predict(learner.state, x, np.empty(3))
    assert learner.network == net
    assert compiled.predict(learner.state, X[0], np.empty(3))


# --- Large numbers.

LARGE = {"float64": (1e160, 1e300, np.finfo(np.float64).max), "float32": (1e20, 1e30, np.finfo(np.float32).max)}


@pytest.mark.parametrize("dtype", LARGE)
@pytest.mark.parametrize("sizes", [(2, 1), (3, 1), (2, 4, 1), (9, 3, 2)])
def test_large_inputs_are_learnt_where_the_result_is_finite(sizes, dtype):
    net = bpjit.Network.random(sizes, "tanh", "identity" if len(sizes) > 2 else "tanh", dtype=dtype)
    for size in LARGE[dtype]:
        for place in (0, sizes[0] - 1):
            x, y = np.zeros(sizes[0], dtype), np.full(sizes[-1], 0.25, dtype)
            x[place] = size
            fit = bpjit.train(net, x[None], y[None], eta=0.1, stop=1)
            assert fit.stopped_by == "MaxEpochs"
            learner, bank = bpjit.OnlineLearner(net, eta=0.1), bpjit.LearnerBank(bpjit.Networks.of([net]), eta=0.1)
            inside = bpjit.OnlineLearner(net, eta=0.1).state
            error, y_hat = learner.learn(x, y), np.empty(sizes[-1], dtype)
            assert error == pytest.approx(fit.errors[0], rel=1e-5)
            assert bank.learn([0], x[None], y[None])[0] == error
            assert compiled.learn(inside, x, y) == error
            assert compiled.predict(inside, x, y_hat)
            np.testing.assert_allclose(learner.network.parameters, fit.network.parameters, rtol=1e-5)
            assert learner.network == bank.networks[0]
            np.testing.assert_array_equal(learner.predict(x), y_hat)
            np.testing.assert_allclose(y_hat, learner.network.predict(x), rtol=1e-5)
            np.testing.assert_array_equal(bank.predict([0], x[None])[0], y_hat)


@pytest.mark.parametrize("dtype", LARGE)
@pytest.mark.parametrize("rule", RULES)
def test_large_gradients(rule, dtype):
    """ŷ = w x with the absolute loss: the gradient is x itself."""
    net, y = bpjit.Network.from_arrays([[[0.0], [0.0]]], [[0.0]], output="identity", dtype=dtype), np.ones(1, dtype)
    for size in LARGE[dtype][:2]:
        x = np.array([size, -size], dtype)
        learner = bpjit.OnlineLearner(net, rule=rule, eta=0.01, loss="absolute")
        before = learner.state.data.copy()
        if rule in ("adagrad", "rmsprop", "adam"):  # they keep x², which is no number
            with pytest.raises(FloatingPointError, match="^learn: .*state"):
                learner.learn(x, y)
            np.testing.assert_array_equal(learner.network.parameters, 0)
            learnt = learner.state.data != before  # but for the work space
            assert not learnt[learner._places].any()
        else:
            learner.learn(x, y)
            np.testing.assert_allclose(learner.network.weights[0][:, 0], 0.01 * x, rtol=1e-5)
        clipped = bpjit.OnlineLearner(net, rule=rule, eta=0.01, loss="absolute", clip_gradient=2.0)
        clipped.learn(x, y)
        moved = clipped.network.weights[0][:, 0]
        if rule in ("sgd", "momentum", "nesterov"):
            np.testing.assert_allclose(moved, [0.01 * 2**0.5, -0.01 * 2**0.5], rtol=1e-5)
        assert moved[0] == -moved[1] > 0
    for eta, x in ((10.0, [size_of(dtype), 1]), (1.0, [np.inf, 1]), (1.0, [np.nan, 1])):
        learner = bpjit.OnlineLearner(net, rule=rule, eta=eta, loss="absolute")
        if np.isfinite(x[0]) and rule in ("sgd", "momentum", "nesterov"):
            with pytest.raises(FloatingPointError):
                learner.learn(np.array(x, dtype), y)
        assert np.isnan(compiled.learn(learner.state, np.array(x, dtype), y))
        assert learner.network == net


def size_of(dtype):
    return np.finfo(dtype).max / 2


@pytest.mark.parametrize("dtype", LARGE)
def test_large_updates_that_go_back_and_forth(dtype):
    """What is known of the largest parameter only grows; the parameter itself need not."""
    net, eta = bpjit.Network.from_arrays([[[0.0]]], [[0.0]], output="identity", dtype=dtype), size_of(dtype) / 10
    learner, one = bpjit.OnlineLearner(net, eta=float(eta), loss="absolute"), np.ones(1, dtype)
    for k in range(100):
        learner.learn(one, one)
        np.testing.assert_array_equal(learner.network.parameters, [eta, -eta] if k % 2 == 0 else [0, 0])


# --- Threads, copies.


def in_threads(*tasks):
    """Run them at the same time, changing between them as often as Python can; raises what they raise."""
    errors, interval = [], sys.getswitchinterval()

    def run(task):
        try:
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]


def test_several_threads_predict_with_one_learner():
    net, X, _ = problem((33, 40, 12))
    learner = bpjit.OnlineLearner(net)
    expected, labels = [learner.predict(x) for x in X], [learner.classify(x) for x in X]

    def predict():
        for _ in range(60):
            for x, y_hat, label in zip(X, expected, labels, strict=True):
                assert (learner.predict(x) == y_hat).all()
                assert learner.classify(x.tolist()) == label

    in_threads(*[predict] * 4)


@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam"])
def test_several_threads_learn_with_one_learner(rule):
    """Every thread learns the same record, so that each order of calls must end in the same bits."""
    net, X, Y = problem((300, 100, 12))
    learner, alone = (bpjit.OnlineLearner(net, eta=0.01, rule=rule) for _ in range(2))
    expected = {net.parameters.tobytes()}
    for _ in range(600):
        alone.learn(X[0], Y[0])
        expected.add(alone.network.parameters.tobytes())
    states = {}

    def learn():
        for _ in range(200):
            learner.learn(X[0], Y[0])

    def look():
        for _ in range(30):
            assert learner.network.parameters.tobytes() in expected
            twin = pickle.loads(pickle.dumps(learner))
            states[twin.network.parameters.tobytes()] = twin

    in_threads(learn, learn, learn, look)
    assert learner.network == alone.network
    assert learner.learn(X[1], Y[1]) == alone.learn(X[1], Y[1])
    assert states.keys() <= expected


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda learner: pickle.loads(pickle.dumps(learner))])
@pytest.mark.parametrize("rule", RULES)
def test_copies_go_on_by_themselves(rule, make):
    net, X, Y = problem((4, 8, 3), "float32")
    settings = {"eta": 0.05, "rule": rule, "lam": 0.999, "clip_gradient": 0.5, "clip_weights": 0.7}
    learner = bpjit.OnlineLearner(net, **settings)
    for k in range(10):
        learner.learn(X[k], Y[k])
    twin, before = make(learner), learner.network
    assert twin.network == before
    assert repr(twin) == repr(learner)
    errors = [twin.learn(x, y) for x, y in zip(X, Y, strict=True)]
    assert learner.network == before
    assert [learner.learn(x, y) for x, y in zip(X, Y, strict=True)] == errors
    assert twin.network == learner.network
    twin.reset()
    assert twin.network == net


@pytest.mark.parametrize("settings", [{}, {"lam": 0.99}, {"clip_weights": 0.4}], ids=str)
@pytest.mark.parametrize("rule", [slow("sgd"), "nesterov"])
def test_jitted_learning_and_every_way_on_from_it(rule, settings):
    """The last update of ``compiled.learn`` waits for who comes next, whoever that is: all see it made."""
    net, X, Y = problem((33, 40, 12))
    inside, outside = (bpjit.OnlineLearner(net, eta=0.05, rule=rule, **settings) for _ in range(2))
    y_hat, J, wrong = np.empty(12), np.empty((12, 33)), np.full(33, np.nan)

    def slopes(learner):
        compiled.slopes(learner.state, X[0], y_hat, J)
        return J.copy()

    def answer(learner):
        compiled.predict(learner.state, X[1], y_hat)
        return y_hat.copy()

    def twin(learner):
        return bpjit.OnlineLearner.predict(copy.deepcopy(learner), X[2])

    def state_elsewhere(learner):
        state = pickle.loads(pickle.dumps(learner.state))
        compiled.predict(state, X[3], y_hat)
        return y_hat.copy()

    ways = [
        slopes,
        answer,
        twin,
        state_elsewhere,
        lambda learner: learner.network.parameters,
        lambda learner: learner.predict(X[4]),
        lambda learner: learner.learn(X[5], Y[5]),
        lambda learner: compiled.learn(learner.state, wrong, Y[5]),
        lambda learner: compiled.learn(learner.state, X[6], Y[6]),
    ]
    for k, way in enumerate(ways):
        x = X[k].copy()
        compiled.learn(inside.state, x, Y[k])
        x[:] = 7.0  # the caller's own again
        outside.learn(X[k], Y[k])
        np.testing.assert_array_equal(way(inside), way(outside))
        np.testing.assert_array_equal(inside._numbers()[inside._places], outside._numbers()[outside._places])
