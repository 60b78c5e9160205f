"""train_many against train, network by network, and what its bits must not depend on."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import bpjit
from bpjit.kernels.lanes import packs
from bpjit.many import lane_seats, many_session
from bpjit.many.given import Given
from cases import EPOCHS, LOSSES, OUTPUTS, SMOOTH_RULES, Problem, covering_array, distance, slow

PAIRS = covering_array()
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}
XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
SIZES = (2, 4, 1)  # one shape for many tests: so small, each has kernels of its own


def with_the_other_dtype(settings, more=()):
    """Settings, the last of each a dtype, and, slow, the same with the other dtype, and more."""
    other = {"float64": "float32", "float32": "float64"}
    return [*settings, *(slow(*each) for each in more), *(slow(*s, other[dtype]) for *s, dtype in [*settings, *more])]


@pytest.fixture
def by_value(monkeypatch):
    """No sizes in types: one kernel for all shapes."""
    monkeypatch.setattr(packs, "TYPED", 0)


def data(m, d, l, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.7, (m, d)).astype(dtype), rng.dirichlet(np.ones(l), m).astype(dtype)


def per_network(settings, i, count):
    """The settings of network i for ``train``."""
    alone = {}
    for name, value in settings.items():
        given_each = isinstance(value, (list, np.ndarray)) and len(value) == count and name not in ("stop", "trainable")
        alone[name] = value[i] if given_each else value
    if "max_epochs" in alone or "target_error" in alone:
        stop = alone.pop("stop", None)
        stop = [] if stop is None else list(stop) if isinstance(stop, list) else [stop]
        if "max_epochs" in alone:
            stop.append(bpjit.MaxEpochs(alone.pop("max_epochs")))
        if "target_error" in alone:
            stop.append(bpjit.TargetError(alone.pop("target_error")))
        alone["stop"] = stop
    return alone


def check(nets, X, Y, *, own=False, tolerance=None, **settings):
    """Hold train_many against train."""
    count = len(nets)
    fits = bpjit.train_many(nets, X, Y, history=True, threads=1, **settings)
    moved = 0
    for i in range(count):
        alone = per_network(settings, i, count)
        if own and alone.get("validation"):
            alone["validation"] = tuple(part[i] for part in alone["validation"])
        fit = bpjit.train(nets[i], *((X[i], Y[i]) if own else (X, Y)), **alone)
        limit = tolerance or TOLERANCE[str(nets[i].dtype)]
        assert fits.epochs[i] == fit.epochs, i
        assert fits.stopped_by[i] == fit.stopped_by, i
        assert fits.updates[i] == fit.updates, i
        assert distance(fits.networks[i].parameters, fit.network.parameters.astype(np.float64)) <= limit, i
        np.testing.assert_allclose(fits.errors[i], fit.errors, rtol=10 * limit)
        np.testing.assert_allclose(fits.error[i], fit.error, rtol=10 * limit)
        np.testing.assert_allclose(fits.objective[i], fit.objective, rtol=10 * limit)
        if fit.best_epoch is not None:
            assert fits.best_epoch[i] == fit.best_epoch
            np.testing.assert_allclose(fits.validation_errors[i], fit.validation_errors, rtol=10 * limit)
            V = settings["validation"]
            V = [part[i] for part in V] if own else V
            expected = bpjit.error(fit.network, *V, loss=settings.get("loss"))
            np.testing.assert_allclose(fits.validation_error[i], expected, rtol=10 * limit)
        moved += not np.array_equal(fit.network.parameters, nets[i].parameters)
    assert moved > 0
    return fits


# --- Every setting.


def around(problem, count):
    """Networks from starts around that of a problem, numbers exact in float32."""
    rng = np.random.default_rng(problem.case.seed)
    n = len(problem.start)
    starts = problem.start * (1 + np.array([0.0] + [0.05] * (count - 1))[:, None] * rng.normal(size=(count, n)))
    like = problem.network()
    starts = starts.astype(np.float32).astype(like.dtype)
    return bpjit.Networks(problem.sizes, starts, hidden=like.hidden, output=like.output, dtype=like.dtype)


@pytest.mark.parametrize(
    "case",
    [slow(case) if k % 2 else case for k, case in enumerate(PAIRS)],
    ids=lambda case: "-".join(map(str, vars(case).values())),
)
def test_a_hundred_epochs_equal_those_of_each_network_alone(case, by_value):
    smooth = case.rule in SMOOTH_RULES and case.loss != "absolute"
    epochs = 100 if smooth else EPOCHS  # signs see rounding: few epochs, in which none hangs on it
    problem = Problem(case, epochs=epochs)
    nets = around(problem, 3 if smooth else 1)
    rule = bpjit.Rprop(variant=case.rule) if "rprop" in case.rule.lower() else case.rule
    check(
        nets,
        problem.X,
        problem.Y,
        eta=problem.eta,
        updates=case.updates,
        loss=case.loss,
        rule=rule,
        lam=case.lam,
        sample_weight=problem.c,
        trainable=problem.trained,
        seed=case.seed,
        stop=epochs,
    )


# Every output with a loss, softmax with all: each is a kernel, in each dtype. Those that are only slow run by value in
# the array above.
IN_TYPES = [(output, LOSSES[number % 3]) for number, output in enumerate(OUTPUTS)]
IN_TYPES += [("softmax", "absolute"), ("softmax", "cross_entropy"), ("softmax", "squared")]
TYPED = [(*pair, ("float64", "float32")[number // 2 % 2]) for number, pair in enumerate(IN_TYPES)]
QUICK, MORE = TYPED[::4], [case for number, case in enumerate(TYPED) if number % 4]


@pytest.mark.parametrize(("output", "loss", "dtype"), with_the_other_dtype(QUICK, MORE))
def test_sizes_and_activations_in_types(output, loss, dtype):
    """The smallest networks have kernels of their own."""
    number = OUTPUTS.index(output)
    hidden = ("tanh", "relu", "softplus", "sin", "sigmoid")[number % 5]
    nets = bpjit.Networks.random((3, 5, 2), 5, hidden, output, seed=number, dtype=dtype)
    X, Y = data(11, 3, 2, dtype)
    check(nets, X, Y, eta=0.02, loss=loss, stop=20 if loss != "absolute" else 1)


SHAPES = [(6, 9, 7), (3, 16, 16, 2), (20, 30, 3), (1, 1), (2, 4, 1)]  # each of the last two with a kernel of its own
OFTEN = list(zip(SHAPES, ("sgd", "adam", "sgd", "adam", "sgd"), strict=True))
SHAPES_AND_RULES = list(itertools.product(SHAPES, ("sgd", "adam", "nesterov", "rprop")))


@pytest.mark.parametrize(("sizes", "rule"), [each if each in OFTEN else slow(*each) for each in SHAPES_AND_RULES])
def test_sizes(sizes, rule):
    nets = bpjit.Networks.random(sizes, 40, "tanh", "softmax" if sizes[-1] > 1 else "sigmoid", seed=3)
    X, Y = data(23, sizes[0], sizes[-1])
    updates = "accumulated" if rule == "rprop" else 5 if rule == "adam" else "stochastic"
    check(nets, X, Y, rule=rule, updates=updates, eta=None if rule == "rprop" else 0.02, stop=4)


# --- Settings of their own, and stopping.


def test_eta_lam_rule_and_epochs_of_their_own():
    nets = bpjit.Networks.random(SIZES, 9, seed=1)
    X, Y = data(12, 2, 1)
    Y = 0.4 * Y
    lam = [None, 0.99, 0.9999, None, 0.9, 0.95, None, 0.999, 0.99]
    rates = np.linspace(0.01, 0.5, 9)
    epochs = [1, 2, 3, 50, 51, 400, 7, 20, 399]
    check(nets, X, Y, eta=rates, lam=lam, max_epochs=epochs)
    rules = [bpjit.Momentum(mu) for mu in np.linspace(0.1, 0.9, 9)]
    check(nets, X, Y, eta=rates / 10, rule=rules, stop=30, updates=5)
    rules = ["sgd", "adam", bpjit.Adam(0.5), "nesterov", "sgd", "adagrad", bpjit.Momentum(0.5), "adagrad", "adam"]
    check(nets, X, Y, eta=rates / 20, rule=rules, stop=30)
    rules = [bpjit.Rprop(variant, 1.1 + 0.1 * i) for i in range(3) for variant in bpjit.Rprop.VARIANTS]
    check(nets, X, Y, rule=rules, updates="accumulated", stop=3)
    rules = [bpjit.Rprop(delta0=(0.01, 0.1 + 0.1 * i)) for i in range(9)]
    check(nets, X, Y, rule=rules, updates="accumulated", stop=3, seed=list(range(9)))


def test_schedules_of_their_own():
    nets = bpjit.Networks.random(SIZES, 4, seed=1)
    X, Y = data(12, 2, 1)
    etas = [bpjit.StepDecay(0.5, every=7), bpjit.InverseTime(0.3), bpjit.Cosine(0.4, epochs=30), bpjit.Constant(0.2)]
    check(nets, X, Y, eta=etas, stop=60)


@pytest.mark.parametrize(
    ("rule", "updates"),
    [
        ("sgd", "stochastic"),
        slow("sgd", "accumulated"),
        slow("momentum", "stochastic"),
        slow("momentum", "accumulated"),
    ],
)
def test_the_adaptive_rate_of_exercise_5_6(rule, updates):
    nets = bpjit.Networks.random((2, 3, 1), 6, seed=2)
    X, Y = data(12, 2, 1)
    etas = [bpjit.AdaptiveRate(eta) for eta in (0.05, 0.5, 3.0, 20.0)] + [bpjit.Constant(0.1), bpjit.AdaptiveRate(5.0)]
    check(nets, X, 0.7 * Y, eta=etas, rule=rule, updates=updates, stop=25, lam=0.9999, tolerance=1e-11)
    V = data(7, 2, 1, seed=5)
    early = bpjit.EarlyStopping(patience=6, every=2)
    check(nets, X, 0.7 * Y, eta=etas, rule=rule, updates=updates, stop=[25, early], validation=V, tolerance=1e-10)


def test_targets_and_what_is_named_where_two_conditions_fire():
    nets = bpjit.Networks.random(SIZES, 30, seed=0)
    X, Y = XOR
    check(nets, X, Y, eta=5.0, stop=[600, bpjit.TargetError(1e-2)])
    check(nets, X, Y, eta=5.0, target_error=np.geomspace(0.1, 1e-3, 30), max_epochs=[300] * 30)
    for stop in ([bpjit.MaxEpochs(1), bpjit.TargetError(10.0)], [bpjit.TargetError(10.0), bpjit.MaxEpochs(1)]):
        check(nets[:3], X, Y, stop=stop)


@pytest.mark.parametrize(
    "early",
    [
        bpjit.EarlyStopping(patience=5),
        bpjit.EarlyStopping(patience=12, every=3),
        bpjit.EarlyStopping(every=2, generalization_loss=0.05, progress=1e-4),
    ],
)
def test_early_stopping_of_each_network(early):
    nets = bpjit.Networks.random((3, 4, 2), 25, "tanh", "identity", seed=4)
    X, Y = data(15, 3, 2)
    V = data(9, 3, 2, seed=9)
    fits = check(nets, X, Y, eta=0.3, stop=[bpjit.MaxEpochs(300), early], validation=V, tolerance=1e-11)
    assert len(set(fits.epochs)) > 2  # they stop at different epochs
    check(nets[:5], X, Y, eta=0.3, stop=20, validation=V)  # validation without early stopping


def test_no_improvement():
    nets = bpjit.Networks.random(SIZES, 20, seed=0)
    fits = check(nets, *XOR, eta=0.5, stop=[bpjit.MaxEpochs(400), bpjit.NoImprovement(30, 1e-4)])
    assert "NoImprovement" in fits.stopped_by


def test_diverging_networks_end_finite_and_disturb_no_other():
    nets = bpjit.Networks.random((2, 5, 1), 70, "relu", "identity", seed=3)
    X, Y = data(10, 2, 1)
    eta = np.where(np.arange(70) % 3 == 0, 40.0, 0.01)
    fits = check(nets, 3 * X, Y, eta=eta, stop=200)
    diverged = fits.stopped_by == "diverged"
    assert 10 < diverged.sum() < 40
    assert np.isfinite(fits.networks.parameters).all()
    assert np.isfinite(fits.error).all()
    alone = bpjit.train_many(nets[~diverged], 3 * X, Y, eta=eta[~diverged], stop=200)
    assert np.array_equal(alone.networks.parameters, fits.networks.parameters[~diverged])


# --- Data of their own.


@pytest.mark.parametrize(
    ("rule", "updates"),
    [
        ("sgd", "stochastic"),
        ("adam", 4),
        ("adam", "accumulated"),
        slow("adam", "stochastic"),
        slow("sgd", 4),
        slow("sgd", "accumulated"),
    ],
)
def test_weights_and_folds_of_their_own(rule, updates):
    nets = bpjit.Networks.random((3, 4, 2), 10, "tanh", "softmax", seed=5)
    X, Y = data(30, 3, 2)
    rng = np.random.default_rng(0)
    bootstrap = rng.multinomial(30, np.full(30, 1 / 30), 10).astype(float)
    assert (bootstrap == 0).any()
    check(nets, X, Y, eta=0.05, rule=rule, updates=updates, sample_weight=bootstrap, stop=30)
    both = {"sample_weight": bootstrap, "class_weight": "balanced"}
    check(nets, X, Y.argmax(axis=1), eta=0.05, rule=rule, updates=updates, stop=10, **both)
    folds = (np.arange(30) % 5 != np.arange(10)[:, None] % 5).astype(float)
    fits = bpjit.train_many(
        nets, X, Y, eta=0.05, rule=rule, updates=updates, sample_weight=folds, validation=(X, Y, folds == 0), stop=30
    )
    for i in range(10):
        out = folds[i] == 0
        fit = bpjit.train(
            nets[i],
            X,
            Y,
            eta=0.05,
            rule=rule,
            updates=updates,
            sample_weight=folds[i],
            stop=30,
            validation=(X[out], Y[out]),
        )
        assert distance(fits.networks[i].parameters, fit.network.parameters) < 1e-12
        assert fits.validation_error[i] == pytest.approx(bpjit.error(fit.network, X[out], Y[out]), rel=1e-11)


@pytest.mark.parametrize("updates", ["stochastic", slow(4), slow("accumulated")])
def test_data_sets_of_their_own(updates):
    nets = bpjit.Networks.random((3, 4, 2), 6, "tanh", "identity", seed=5)
    sets = [data(m, 3, 2, seed=m) for m in (5, 9, 9, 14, 6, 1)]
    X, Y = [D[0] for D in sets], [D[1] for D in sets]
    check(nets, X, Y, own=True, eta=0.05, updates=updates, stop=40)
    check(nets, X, Y, own=True, eta=0.01, rule="momentum", updates=updates, stop=10, lam=0.999)
    weights = [np.arange(len(D[0])) % 3 + 0.0 + (len(D[0]) == 1) for D in sets]
    check(nets, X, Y, own=True, eta=0.05, updates=updates, stop=10, sample_weight=weights)
    V = X[::-1], Y[::-1]
    check(nets, X, Y, own=True, eta=0.05, updates=updates, stop=[30, bpjit.EarlyStopping(3)], validation=V)
    same = np.stack([X[1], X[2], X[1]]), np.stack([Y[1], Y[2], Y[1]])
    check(nets[:3], *same, own=True, eta=0.05, updates=updates, stop=10)


@pytest.mark.parametrize("updates", [slow("stochastic"), 4])
def test_orders_of_their_own(updates):
    nets = bpjit.Networks.random((3, 4, 2), 6, "tanh", "identity", seed=5)
    X, Y = data(17, 3, 2)
    check(nets, X, Y, eta=0.1, updates=updates, stop=10, seed=[1, 2, 3, 4, 5, 2])
    weights = np.random.default_rng(0).integers(0, 3, (6, 17)).astype(float)
    check(nets, X, Y, eta=0.1, updates=updates, stop=10, seed=[1, 2, 3, 4, 5, 2], sample_weight=weights)
    check(nets, X, Y, eta=0.1, updates=updates, stop=10, seed=[1, 2, 3, 4, 5, 2], shuffle=False)
    sets = [data(m, 3, 2, seed=m) for m in (5, 9, 9, 14, 6, 1)]
    X, Y = [D[0] for D in sets], [D[1] for D in sets]
    check(nets, X, Y, own=True, eta=0.1, updates=updates, stop=10, seed=[1, 2, 3, 4, 5, 2])


def test_shapes_of_their_own(monkeypatch):
    shapes = [(2, 2, 1), (2, 4, 1), (2, 3, 3, 1), (2, 1), (2, 40, 40, 1), (2, 2, 1)]
    nets = [bpjit.Network.random(sizes, seed=i) for i, sizes in enumerate(shapes)]
    nets.append(bpjit.Network.random((2, 2, 1), "tanh", dtype="float32"))
    assert not packs.serves((2, 40, 40, 1))
    scale = bpjit.Scale([0.5, 0.5], [0.5, 0.5], [0.5], [0.5])
    nets.append(bpjit.Network.random((2, 3, 1), "tanh", "tanh", scale=scale))
    fits = check(nets, *XOR, eta=np.linspace(0.1, 1.0, 8), stop=[50, bpjit.TargetError(0.1)], seed=list(range(8)))
    assert isinstance(fits.networks, list)
    assert [net.sizes for net in fits.networks] == [net.sizes for net in nets]
    assert fits.networks[7].scale == scale
    V = [[0.5, 0.5], [0.1, 0.2]], [0.1, 0.9]
    monkeypatch.setattr(packs, "TYPED", 0)
    check(nets, *XOR, eta=0.3, stop=[50, bpjit.EarlyStopping(5)], validation=V, sample_weight=[1.0, 0.0, 2.0, 1.0])


# --- What bits do not depend on.


def test_bits_depend_neither_on_threads_nor_order_nor_company(monkeypatch):
    nets = bpjit.Networks.random((2, 3, 1), 300, seed=1, dtype="float32")
    settings = {"stop": [bpjit.MaxEpochs(150), bpjit.TargetError(0.02)], "seed": 3}
    eta = np.linspace(0.5, 8.0, 300)
    whole = bpjit.train_many(nets, *XOR, eta=eta, threads=1, **settings)
    assert len(set(whole.epochs)) > 20
    shuffled = np.random.default_rng(0).permutation(300)
    monkeypatch.setattr(lane_seats, "AT_ONCE", 1)
    monkeypatch.setattr(many_session, "SHORT_CALL_SECONDS", 0.0)
    monkeypatch.setattr(many_session, "CALL_SECONDS", 1e-5)
    mixed = bpjit.train_many(nets[shuffled], *XOR, eta=eta[shuffled], threads=3, **settings)
    few = bpjit.train_many(nets[5:8], *XOR, eta=eta[5:8], threads=2, **settings)
    for name in ("error", "epochs", "stopped_by", "updates", "objective"):
        assert np.array_equal(getattr(whole, name)[shuffled], getattr(mixed, name)), name
        assert np.array_equal(getattr(whole, name)[5:8], getattr(few, name)), name
    assert np.array_equal(whole.networks.parameters[shuffled], mixed.networks.parameters)
    assert np.array_equal(whole.networks.parameters[5:8], few.networks.parameters)


WIDTHS = [("sgd", "stochastic", "float64")]
MORE_WIDTHS = [("adam", 3, "float32"), ("sgd", 3, "float64"), ("sgd", "accumulated", "float64")]
MORE_WIDTHS += [("adam", "stochastic", "float64"), ("adam", "accumulated", "float64")]


@pytest.mark.parametrize(("rule", "updates", "dtype"), with_the_other_dtype(WIDTHS, MORE_WIDTHS))
def test_bits_depend_neither_on_the_width_of_a_pack_nor_on_cuts(rule, updates, dtype, monkeypatch):
    count = packs.width(dtype) + 3
    for sizes, output in (((2, 3, 2), "softmax"), ((2, 12, 12, 2), "sigmoid")):
        nets = bpjit.Networks.random(sizes, count, "tanh", output, seed=1, dtype=dtype)
        X, Y = data(25, 2, 2, dtype)
        settings = {"eta": 0.05, "rule": rule, "updates": updates, "stop": 20, "threads": 1}
        wide = bpjit.train_many(nets, X, Y, **settings)
        narrow = bpjit.train_many(nets[-4:], X, Y, **settings)
        with monkeypatch.context() as patch:
            patch.setattr(many_session, "CALL_SECONDS", 1e-7)
            cut = bpjit.train_many(nets[-4:], X, Y, **settings)
        for other in (narrow, cut):
            assert np.array_equal(wide.networks.parameters[-4:], other.networks.parameters)
            assert np.array_equal(wide.error[-4:], other.error)


def test_bits_do_not_depend_on_whether_few_of_many_sit_in_a_narrow_pack(monkeypatch):
    width = packs.width("float64", packs.NARROW)
    nets, (X, Y) = bpjit.Networks.random((2, 3, 2), width + 3, "tanh", "softmax", seed=1), data(25, 2, 2)
    epochs, found, sit = list(range(3, width + 6)), [], lane_seats.LaneSeats.sit
    monkeypatch.setattr(many_session, "SHORT_CALL_SECONDS", 0.0)
    for narrow in (True, False):
        widths = set()

        def look(seats, count, narrow=narrow):
            seats.narrow = narrow

        def seen(seats, *how, widths=widths):
            sit(seats, *how)
            widths.add(seats.width)

        monkeypatch.setattr(lane_seats.LaneSeats, "_look_for_narrow", look)
        monkeypatch.setattr(lane_seats.LaneSeats, "sit", seen)
        found.append(bpjit.train_many(nets, X, Y, rule="adam", updates=3, max_epochs=epochs, threads=1))
        assert widths == ({width, 2 * width} if narrow else {2 * width})
    assert np.array_equal(found[0].networks.parameters, found[1].networks.parameters)
    assert np.array_equal(found[0].error, found[1].error)


@pytest.mark.parametrize("waited", [0.0, 10.0])
def test_a_narrow_pack_is_compiled_once_few_have_trained_for_long(monkeypatch, waited):
    class Without:
        is_there = staticmethod(lambda *arguments: False)

    (group,) = Given(bpjit.Networks.random((2, 2, 1), 2 * packs.width("float64")), *XOR).groups()
    monkeypatch.setattr(lane_seats, "train_packs", Without)
    monkeypatch.setitem(lane_seats._waited, lane_seats.LaneSeats.kind_of(group), waited)
    seats = many_session.ManySession(lane_seats.LaneSeats(group)).seats
    assert seats.fits_better(2)  # than in two packs
    seats.keep(np.arange(2))
    assert seats.registers == (packs.NARROW if waited else packs.REGISTERS)
    assert not seats.fits_better(1)
    assert seats.until_fewer(np.array([3, 5])) == 5


def test_best_first_and_parts_of_the_results():
    nets = bpjit.Networks.random(SIZES, 50, seed=1)
    fits = bpjit.train_many(nets, *XOR, eta=5.0, stop=300)
    best = bpjit.train_many(nets, *XOR, eta=5.0, stop=300, best_first=True)
    assert np.array_equal(best.error, np.sort(fits.error))
    assert np.array_equal(fits.networks[best.order].parameters, best.networks.parameters)
    assert fits.best == best.networks[0]
    assert len(fits[fits.error < 0.01]) == (fits.error < 0.01).sum()
    assert fits.errors is None
    assert "50 networks" in repr(fits)
    assert np.array_equal(nets.parameters, bpjit.Networks.random(SIZES, 50, seed=1).parameters)


def test_a_time_limit_ends_all(monkeypatch):
    nets = bpjit.Networks.random((2, 4, 1), 200, seed=1)
    fits = bpjit.train_many(nets, *XOR, stop=bpjit.TimeLimit(0.3), threads=2)
    assert set(fits.stopped_by) == {"TimeLimit"}
    assert (fits.epochs > 0).all()
    large = [bpjit.Network.random((2, 60, 60, 1))] * 3
    assert set(bpjit.train_many(large, *XOR, stop=bpjit.TimeLimit(0.2), threads=2).stopped_by) == {"TimeLimit"}


# --- Errors name the network.


@pytest.mark.parametrize(
    ("error", "words", "change"),
    [
        (ValueError, ["network 2", "eta"], {"eta": [0.1, 0.1, -1.0]}),
        (ValueError, ["eta", "3"], {"eta": [0.1, 0.1]}),
        (ValueError, ["network 1", "lam"], {"lam": [None, 2.0, None]}),
        (ValueError, ["network 0", "lam", "overshoot"], {"lam": [0.1, 0.9, None], "eta": 2.0}),
        (ValueError, ["network 1", "rule", "adam"], {"rule": ["sgd", "adan", "sgd"]}),
        (ValueError, ["network 2", "eta", "rprop"], {"rule": ["sgd", "sgd", "rprop"], "eta": [0.1] * 3}),
        (TypeError, ["network 1", "seed"], {"seed": [1, 1.5, 2]}),
        (ValueError, ["network 0", "max_epochs"], {"max_epochs": [0, 1, 2]}),
        (ValueError, ["max_epochs", "MaxEpochs"], {"max_epochs": 3, "stop": 3}),
        (ValueError, ["target_error", "TargetError"], {"target_error": 0.1, "stop": bpjit.TargetError(0.1)}),
        (ValueError, ["GradientNorm"], {"stop": bpjit.GradientNorm(0.1)}),
        (ValueError, ["EarlyStopping", "validation"], {"stop": bpjit.EarlyStopping()}),
        (ValueError, ["sample_weight", "(3, 4)"], {"sample_weight": np.ones((2, 4))}),
        (ValueError, ["sample_weight", "network 1"], {"sample_weight": [[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]}),
        (ValueError, ["X", "3"], {"X": np.zeros((2, 4, 2))}),
        (
            ValueError,
            ["network 1", "X"],
            {"X": [np.zeros((4, 2)), np.full((4, 2), np.nan), np.zeros((4, 2))], "Y": [[0] * 4] * 3},
        ),
        (ValueError, ["network 2", "Y"], {"X": np.zeros((3, 4, 2)), "Y": [[0] * 4, [0] * 4, [0] * 3]}),
        (ValueError, ["validation"], {"validation": (np.zeros((2, 4, 2)), np.zeros((2, 4)))}),
        (ValueError, ["validation mask"], {"validation": (*XOR, np.ones((3, 4)))}),
        (TypeError, ["nets"], {"nets": bpjit.Network.random((2, 1))}),
        (TypeError, ["network 1", "net"], {"nets": [bpjit.Network.random((2, 1)), 3]}),
        (ValueError, ["nets"], {"nets": []}),
        (TypeError, ["history"], {"history": 1}),
    ],
)
def test_bad_input_is_named(error, words, change):
    settings = {"nets": bpjit.Networks.random((2, 2, 1), 3), "X": XOR[0], "Y": XOR[1]} | change
    with pytest.raises(error) as caught:
        bpjit.train_many(**settings)
    for word in words:
        assert word in str(caught.value)


def test_without_the_jit_networks_train_one_by_one():
    program = """if True:
        import bpjit
        X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        fits = bpjit.train_many(bpjit.Networks.random((2, 2, 1), 3), X, Y, stop=3, threads=1)
        print(repr(float(fits.networks.predict(X).sum())))
    """
    sums = []
    for setting in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env=os.environ | {"NUMBA_DISABLE_JIT": setting},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sums.append(float(done.stdout))
    assert sums[0] == pytest.approx(sums[1], rel=1e-12)
