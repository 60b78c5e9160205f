"""The fast kernels against the readable ones, and the properties that their bits must have."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import bpjit
from bpjit.kernels import drivers, team
from bpjit.kernels.one import padded
from bpjit.kernels.state import POSITION
from bpjit.training.session import Session
from cases import LOSSES, OUTPUTS, SMOOTH_RULES, Problem, covering_array, distance, slow

PAIRS = covering_array()
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}


@pytest.fixture
def readable(monkeypatch):
    """Let ``train`` use the readable kernels."""

    def switch():
        monkeypatch.setattr("bpjit.training.loop.Session", functools.partial(Session, readable=True))

    return switch


def both(problem, readable, **settings):
    """The fits of the fast and of the readable kernels."""
    fast = problem.by_bpjit(**settings)
    readable()
    return fast, problem.by_bpjit(**settings)


def smooth(case):
    """Rounding grows where rules see signs or slopes jump: those are compared update by update."""
    return case.rule in SMOOTH_RULES and case.loss != "absolute"


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: "-".join(map(str, vars(case).values())))
def test_a_hundred_epochs_equal_those_of_the_readable_kernels(case, readable):
    epochs = 100 if smooth(case) else 1
    problem = Problem(case, epochs=epochs)
    fast, slow = both(problem, readable, epochs=epochs)
    assert np.abs(slow.network.parameters - problem.start.astype(case.dtype)).max() > 1e-6
    assert distance(fast.network.parameters, slow.network.parameters.astype(np.float64)) <= TOLERANCE[case.dtype]
    np.testing.assert_allclose(fast.errors, slow.errors, rtol=TOLERANCE[case.dtype])
    assert (fast.epochs, fast.updates) == (slow.epochs, slow.updates)


# Widths around those of registers and panels: 4, 8, 16 numbers a register; 1, 2 and 4 registers a panel.
SIZES = [
    (1, 1),
    (2, 4, 1),
    (4, 8, 3),
    (4, 16, 4),
    (1, 5, 4),
    (5, 17),
    (3, 1, 2),
    (7, 2, 16),
    (9, 33, 3),
    (13, 100, 10),
    (6, 65, 31, 18),
    (2, 15, 16, 17, 1),
    (40, 7, 5),
]


def digits(m, d, l, dtype, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 0.7, (m, d)) * (rng.random((m, d)) < 0.7)
    return X.astype(dtype), rng.dirichlet(np.ones(l), m).astype(dtype)


@pytest.mark.parametrize(
    ("rule", "dtype"),
    [
        ("sgd", "float32"),
        ("momentum", "float64"),
        ("nesterov", "float64"),
        ("adam", "float32"),
        slow("sgd", "float64"),
        slow("momentum", "float32"),
        slow("nesterov", "float32"),
        slow("adam", "float64"),
    ],
)
@pytest.mark.parametrize("updates", ["stochastic", 7, 32, "accumulated"])
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes_around_those_of_registers(sizes, updates, rule, dtype, readable):
    output = "softmax" if sizes[-1] > 1 else "sigmoid"
    net = bpjit.Network.random(sizes, "tanh", output, seed=3, dtype=dtype)
    X, Y = digits(45, sizes[0], sizes[-1], dtype)
    settings = {"updates": updates, "rule": rule, "eta": 0.02, "stop": 5, "validation": (X[:9], Y[:9])}
    fast = bpjit.train(net, X, Y, **settings)
    readable()
    slow = bpjit.train(net, X, Y, **settings)
    assert distance(fast.network.parameters, slow.network.parameters.astype(np.float64)) <= TOLERANCE[dtype]
    assert distance(slow.network.parameters, net.parameters.astype(np.float64)) > 1e-4
    np.testing.assert_allclose(fast.errors, slow.errors, rtol=TOLERANCE[dtype])
    np.testing.assert_allclose(fast.validation_errors, slow.validation_errors, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_tiny_networks(output, loss, dtype):
    """They have a kernel of their own: all outputs and losses, sample weights."""
    if loss == "cross_entropy" and output not in ("sigmoid", "softmax"):
        return
    for hidden, q in (("tanh", 3), ("relu", 7), ("sigmoid", 13)):
        net = bpjit.Network.random((3, q, 2), hidden, output, seed=q, dtype=dtype)
        X, Y = digits(300, 3, 2, dtype)
        settings = {"loss": loss, "eta": 0.01, "stop": 1, "sample_weight": np.arange(300) % 4}
        fast = bpjit.train(net, X, Y, **settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bpjit.training.loop.Session", functools.partial(Session, readable=True))
            slow = bpjit.train(net, X, Y, **settings)
        assert distance(fast.network.parameters, slow.network.parameters.astype(np.float64)) <= TOLERANCE[dtype]
        assert distance(fast.network.parameters, net.parameters.astype(np.float64)) > 1e-3
        np.testing.assert_allclose(fast.errors, slow.errors, rtol=TOLERANCE[dtype])


def test_bits_of_tiny_networks_do_not_depend_on_how_the_work_is_cut(monkeypatch):
    net = bpjit.Network.random((3, 5, 1), seed=1)
    X, Y = digits(20_000, 3, 1, "float64")
    whole = bpjit.train(net, X, 0.3 * Y, eta=0.3, stop=2)
    monkeypatch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 0.0)
    monkeypatch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
    ends = []

    class Watched(Session):
        def _call_kernel(self, until):
            found = super()._call_kernel(until)
            ends.append(int(self.memory.counters[POSITION]))
            return found

    monkeypatch.setattr("bpjit.training.loop.Session", Watched)
    pieces = bpjit.train(net, X, 0.3 * Y, eta=0.3, stop=2)
    assert ends == 2 * [4096, 8192, 12288, 16384, 0]
    assert pieces.network == whole.network


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sizes", [(40, 7, 5), (33, 100, 10), (64, 3)])
def test_inputs_that_are_mostly_zero(sizes, dtype, readable):
    net = bpjit.Network.random(sizes, "tanh", "softmax", seed=3, dtype=dtype)
    X, Y = digits(90, sizes[0], sizes[-1], dtype)
    X[np.random.default_rng(1).random(X.shape) < 0.8] = 0
    X[5] = 0
    assert drivers.is_sparse(X)
    settings = {"eta": 0.05, "stop": 5, "validation": (X[:20], Y[:20])}
    fast = bpjit.train(net, X, Y, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 0.0)
        patch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
        assert bpjit.train(net, X, Y, **settings).network == fast.network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drivers, "is_sparse", lambda X: False)
        dense = bpjit.train(net, X, Y, **settings)
    readable()
    slow = bpjit.train(net, X, Y, **settings)
    for fit in (fast, dense):
        assert distance(fit.network.parameters, slow.network.parameters.astype(np.float64)) <= TOLERANCE[dtype]
        np.testing.assert_allclose(fit.errors, slow.errors, rtol=TOLERANCE[dtype])
        np.testing.assert_allclose(fit.validation_errors, slow.validation_errors, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("updates", ["stochastic", 50, 200, "accumulated"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_larger_than_a_chunk(updates, shuffle, readable):
    net = bpjit.Network.random((6, 20, 3), output="softmax", seed=1)
    X, Y = digits(700, 6, 3, "float64")
    settings = {"updates": updates, "eta": 0.3, "stop": 6, "shuffle": shuffle, "sample_weight": np.arange(700) % 5}
    fast = bpjit.train(net, X, Y, **settings)
    readable()
    slow = bpjit.train(net, X, Y, **settings)
    assert distance(fast.network.parameters, slow.network.parameters) <= 1e-12


@pytest.mark.parametrize("updates", ["stochastic", 32, 200, "accumulated"])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_bits_do_not_depend_on_how_the_work_is_cut(updates, rule, monkeypatch):
    net = bpjit.Network.random((9, 21, 4), output="softmax", seed=1, dtype="float32")
    X, Y = digits(777, 9, 4, "float32")
    settings = {"updates": updates, "rule": rule, "eta": 0.01, "stop": 4, "validation": (X[:150], Y[:150])}
    whole = bpjit.train(net, X, Y, **settings)
    monkeypatch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 0.0)
    monkeypatch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
    calls = []

    class Watched(Session):
        def _call_kernel(self, until):
            calls.append(until)
            return super()._call_kernel(until)

    monkeypatch.setattr("bpjit.training.loop.Session", Watched)
    pieces = bpjit.train(net, X, Y, **settings)
    assert len(calls) > 20
    assert pieces.network == whole.network
    np.testing.assert_array_equal(pieces.errors, whole.errors)
    np.testing.assert_array_equal(pieces.validation_errors, whole.validation_errors)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("updates", [40, 128, 300, "accumulated"])
def test_bits_do_not_depend_on_the_number_of_threads(updates, rule):
    net = bpjit.Network.random((31, 37, 5), output="softmax", seed=1)
    X, Y = digits(611, 31, 5, "float64")
    fits = [
        bpjit.train(
            net, X, Y, updates=updates, rule=rule, eta=0.01, stop=9, validation=(X[:200], Y[:200]), threads=threads
        )
        for threads in (1, 2, 3, 5)
    ]
    for fit in fits[1:]:
        assert fit.network == fits[0].network
        np.testing.assert_array_equal(fit.errors, fits[0].errors)
        np.testing.assert_array_equal(fit.validation_errors, fits[0].validation_errors)


def test_threads_do_share_the_work(monkeypatch):
    """Whoever is present takes a part: the first thread alone would leave the others nothing."""
    teams = []

    def watched():
        teams.append(team.make_team())
        return teams[-1]

    monkeypatch.setattr("bpjit.training.session.make_team", watched)
    net = bpjit.Network.random((31, 64, 5), output="softmax", seed=1)
    X, Y = digits(6000, 31, 5, "float64")
    bpjit.train(net, X, Y, updates=128, eta=0.01, stop=20, threads=2)
    assert max(places[team.ARRIVED] for places in teams) == 1


def test_trainings_with_threads_side_by_side():
    net = bpjit.Network.random((31, 37, 5), output="softmax", seed=1)
    X, Y = digits(611, 31, 5, "float64")
    expected = bpjit.train(net, X, Y, updates=64, stop=10, threads=1).network
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(bpjit.train, net, X, Y, updates=64, stop=10, threads=2) for _ in range(8)]
        assert all(job.result().network == expected for job in jobs)


@pytest.mark.parametrize("threads", [0, 1.5, "2", True])
def test_wrong_numbers_of_threads(threads):
    net = bpjit.Network.random((2, 2, 1))
    with pytest.raises((ValueError, TypeError), match=r"^threads: expected"):
        bpjit.train(net, [[0, 1]], [1], updates="accumulated", threads=threads)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sizes", SIZES)
def test_one_sample_and_many_are_predicted_with_the_same_bits(sizes, dtype):
    net = bpjit.Network.random(sizes, "tanh", "sigmoid", init="normal", seed=2, dtype=dtype)
    X, _ = digits(301, sizes[0], 1, dtype)
    Y = net.predict(X)
    for k in (0, 1, 5, 127, 128, 300):
        np.testing.assert_array_equal(net.predict(X[k]), Y[k])
    layers = list(zip(net.weights, net.thresholds, strict=True))
    z = X.astype(np.float64)
    for index, (W, theta) in enumerate(layers):
        z = z @ W.astype(np.float64) - theta
        z = np.tanh(z) if index + 1 < len(layers) else 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(Y, z, rtol=1e-12 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("dtype", [np.dtype("float64"), np.dtype("float32")])
@pytest.mark.parametrize("sizes", SIZES)
def test_every_parameter_has_a_place_of_its_own(sizes, dtype):
    layers = padded.pack_layers(sizes, ("tanh",) * (len(sizes) - 1), dtype)
    place = padded.places(layers, dtype)
    n = bpjit.Network.random(sizes).parameters.size
    assert place.shape == (n,)
    assert len(set(place)) == n
    assert 0 <= place.min() <= place.max() < padded.packed_size(layers)
    work = padded.make_work(sizes, ("tanh",) * (len(sizes) - 1), dtype)
    assert work.P.ctypes.data % 64 == 0


def test_padding_stays_zero():
    net = bpjit.Network.random((5, 7, 3), "softplus", "softmax", init="normal", seed=4)
    X, Y = digits(60, 5, 3, "float64")
    for updates in ("stochastic", 10, "accumulated"):
        for rule in ("sgd", "momentum", "adam", "adagrad"):
            made = []
            original = drivers.trainer

            def watched(*arguments, made=made, original=original, **named):
                made.append(original(*arguments, **named))
                return made[-1]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(drivers, "trainer", watched)
                bpjit.train(net, X, Y, updates=updates, rule=rule, lam=0.999, stop=3)
            work = made[0][2]
            padding = np.ones(len(work.P), bool)
            padding[work.place] = False
            assert padding.any()
            assert not work.P[padding].any()
            assert work.P[work.place].all()


def test_float32_gradients_over_very_many_samples_keep_their_digits():
    """A plain float32 sum of 300,000 equal gradients is off by a tenth of a percent."""
    net = bpjit.Network.from_arrays([np.zeros((1, 1), np.float32)], [np.zeros(1, np.float32)], output="identity")
    m, y = 300_000, np.float32(0.37)
    slope = bpjit.gradient(net, np.ones((m, 1)), np.full(m, y))
    assert slope[0] == pytest.approx(-float(y), rel=1e-4)
    plain = np.cumsum(np.full(m, y), dtype=np.float32)[-1] / m
    assert abs(plain / float(y) - 1) > 5e-4
