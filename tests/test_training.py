"""train(): what it promises about seeds, stopping, resuming, data, divergence and interruption."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

import bpjit
import reference
from bpjit import (
    AdaptiveRate,
    EarlyStopping,
    GradientNorm,
    MaxEpochs,
    Network,
    Networks,
    NoImprovement,
    TargetError,
    TimeLimit,
)
from bpjit import train as bp_train
from bpjit.kernels.state import POSITION
from cases import slow

RULES = {
    "standard": {"eta": 0.5},
    "momentum": {"eta": 0.1, "rule": "momentum"},
    "nesterov": {"eta": 0.1, "rule": "nesterov", "updates": 4},
    "adagrad": {"eta": 0.1, "rule": "adagrad"},
    "rmsprop": {"eta": 0.01, "rule": "rmsprop", "updates": 5},
    "adam": {"eta": 0.01, "rule": "adam"},
    "rprop": {"rule": "rprop", "updates": "accumulated"},
    "iRprop+": {"rule": bpjit.Rprop(variant="iRprop+", delta0=(0.01, 0.1)), "updates": "accumulated"},
    "quickprop": {"eta": 0.5, "rule": "quickprop", "updates": "accumulated"},
    "lambda": {"eta": 0.5, "lam": 0.9999},
    "batches": {"eta": 0.5, "updates": 7},
    "accumulated": {"eta": 2.0, "updates": "accumulated"},
    "adaptive": {"eta": AdaptiveRate(3.0), "updates": "accumulated"},
    "adaptive stochastic": {"eta": AdaptiveRate(1.0)},
    "cosine": {"eta": bpjit.Cosine(1.0, epochs=800)},
    "step": {"eta": bpjit.StepDecay(1.0, factor=0.5, every=100)},
    "inverse time": {"eta": bpjit.InverseTime(1.0, decay=0.01), "updates": 3},
}


def data(m=20, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, d))
    return X, (np.sin(2 * X[:, :1]) > X[:, 1:2]).astype(float)


X, Y = data()
VALIDATION = data(12, seed=1)
NOISE = np.random.default_rng(5).normal(size=(40, 3)), np.random.default_rng(6).integers(0, 2, 40)  # to overfit
NOISE_VALIDATION = np.random.default_rng(7).normal(size=(40, 3)), np.random.default_rng(8).integers(0, 2, 40)


def start(dtype="float64"):
    return Network.random((3, 4, 1), seed=1, dtype=dtype)


def same(a, b):
    """Whether two fits agree bit for bit in all but time."""
    return (
        a.network == b.network
        and a.errors.tobytes() == b.errors.tobytes()
        and a.validation_errors.tobytes() == b.validation_errors.tobytes()
        and (a.epochs, a.updates, a.best_epoch, a.error) == (b.epochs, b.updates, b.best_epoch, b.error)
    )


# --- Reproducibility.


@pytest.mark.parametrize("setting", RULES)
@pytest.mark.parametrize("early", [False, True])
def test_resume_gives_the_same_bits(setting, early):
    """500 + 500 = 1000, with shuffling, every rule, every schedule, and early stopping."""
    stop = [EarlyStopping(patience=10**6)] if early else []
    settings = RULES[setting] | {"validation": VALIDATION, "seed": 3}
    whole = bp_train(start(), X, Y, stop=[*stop, MaxEpochs(1000)], **settings)
    half = bp_train(start(), X, Y, stop=[*stop, MaxEpochs(500)], **settings)
    twice = bp_train(half.network, X, Y, stop=[*stop, MaxEpochs(500)], resume=half, **settings)
    assert same(twice, whole)
    assert whole.epochs == 1000
    assert not np.array_equal(half.errors, whole.errors[500:])
    # the half that was resumed is as it was
    again = bp_train(half.network, X, Y, stop=[*stop, MaxEpochs(500)], resume=half, **settings)
    assert same(again, whole)


@pytest.mark.parametrize("setting", RULES)
@pytest.mark.parametrize("dtype", ["float64", slow("float32")])
def test_stopping_at_an_epoch_equals_training_that_many(setting, dtype):
    full = bp_train(start(dtype), X, Y, stop=400, **RULES[setting])
    target = TargetError(float(np.quantile(full.errors, 0.3)))
    stopped = bp_train(start(dtype), X, Y, stop=[target, MaxEpochs(400)], **RULES[setting])
    assert stopped.stopped_by == "TargetError"
    assert 0 < stopped.epochs < 400
    assert stopped.error <= target.error
    exact = bp_train(start(dtype), X, Y, stop=stopped.epochs, **RULES[setting])
    assert same(stopped, exact)


PROGRAM = """
import sys, numpy as np, bpjit
rng = np.random.default_rng(0)
X = rng.normal(size=(30, 5)); Y = rng.normal(size=(30, 2))
for dtype in ("float64", "float32"):
    for settings in ({}, {"updates": 7, "rule": "adam"}, {"updates": "accumulated", "rule": "rprop"}):
        net = bpjit.Network.random((5, 8, 2), "tanh", "identity", seed=5, dtype=dtype)
        fit = bpjit.train(net, X, Y, stop=200, seed=7, **settings)
        sys.stdout.write(fit.network.parameters.tobytes().hex() + fit.errors.tobytes().hex())
"""


def test_same_bits_in_two_processes():
    first, second = (
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True).stdout for _ in range(2)
    )
    assert len(first) > 1000
    assert first == second


def test_blocks_do_not_change_bits(monkeypatch):
    """The same training in calls of a few samples, also inside epochs and batches."""
    for setting in RULES.values():
        settings = setting | {"stop": 30, "validation": VALIDATION}
        whole = bp_train(start(), X, Y, **settings)
        monkeypatch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 0.0)
        monkeypatch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
        assert same(bp_train(start(), X, Y, **settings), whole)
        monkeypatch.undo()


STOPS = [
    TargetError(0.1),
    TargetError(0.05),
    NoImprovement(3),
    NoImprovement(40, tolerance=0.01),
    GradientNorm(0.05, every=7),
    EarlyStopping(patience=20),
    EarlyStopping(every=5, generalization_loss=3),
    EarlyStopping(every=4, progress=5),
    MaxEpochs(33),
    MaxEpochs(120),
]


@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.sampled_from(STOPS), min_size=1, max_size=3),
    st.integers(1, 100),
)
@limits(max_examples=60)
def test_blocks_change_neither_bits_nor_where_it_stops(setting, stops, first):
    """Blocks of any length, and a resume in between, against blocks of one sample."""
    if sum(isinstance(stop, EarlyStopping) for stop in stops) > 1:
        return
    options = RULES[setting] | {"validation": NOISE_VALIDATION}
    limited = [*stops, MaxEpochs(200)]
    whole = bp_train(start(), *NOISE, stop=limited, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 0.0)
        patch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
        small = bp_train(start(), *NOISE, stop=limited, **options)
    assert small.stopped_by == whole.stopped_by
    assert same(small, whole)
    if first < whole.epochs and not any(isinstance(stop, MaxEpochs) for stop in stops):
        half = bp_train(start(), *NOISE, stop=[*stops, MaxEpochs(first)], **options)
        rest = bp_train(half.network, *NOISE, stop=[*stops, MaxEpochs(200 - first)], resume=half, **options)
        assert rest.stopped_by == whole.stopped_by
        assert same(rest, whole)


def test_an_epoch_is_ordered_once(monkeypatch):
    """However many calls it takes: else large data would spend them all on sorting."""
    monkeypatch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 0.0)
    monkeypatch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)
    ordered = []

    class Watched(bpjit.training.session.Session):
        def run(self, until):
            self.order.keys[:] = 0  # an order made from these would be found out
            super().run(until)
            ordered.append(self.order.keys.any())

    monkeypatch.setattr("bpjit.training.loop.Session", Watched)
    fit = bp_train(start(), X, Y, eta=0.05, rule="momentum", stop=3)
    assert len(ordered) > 20
    assert sum(ordered) == fit.epochs == 3


def test_seeds_change_the_order_only_where_there_is_one():
    fits = [bp_train(start(), X, Y, eta=0.5, stop=5, seed=seed) for seed in (0, 1)]
    assert fits[0].network != fits[1].network
    fixed = [bp_train(start(), X, Y, eta=0.5, stop=5, seed=seed, shuffle=False) for seed in (0, 1)]
    assert fixed[0].network == fixed[1].network
    sums = [bp_train(start(), X, Y, eta=0.5, stop=5, seed=seed, updates="accumulated") for seed in (0, 1)]
    assert sums[0].network == sums[1].network


def test_two_threads_at_once_give_the_same_bits():
    expected = bp_train(start(), X, Y, eta=0.5, stop=3000)
    fits = []
    threads = [
        threading.Thread(target=lambda: fits.append(bp_train(start(), X, Y, eta=0.5, stop=3000))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fits) == 4
    assert all(same(fit, expected) for fit in fits)


# --- What errors mean.


def test_errors_of_standard_bp_are_collected_before_each_update():
    net, expected, k_errors = start(), [], []
    for epoch in range(3):
        k_errors = []
        for k in reference.epoch_order(9, epoch, range(len(X))):
            k_errors.append(bpjit.error(net, X[[k]], Y[[k]]))
            net = bp_train(net, X[[k]], Y[[k]], eta=0.5, stop=1).network
        expected.append(np.mean(k_errors))
    fit = bp_train(start(), X, Y, eta=0.5, stop=3, seed=9)
    np.testing.assert_allclose(fit.errors, expected, rtol=1e-12)
    assert fit.network.parameters == pytest.approx(net.parameters, rel=1e-12)
    assert fit.updates == 3 * len(X)


def test_errors_of_accumulated_bp_begin_with_the_start_s_error():
    fit = bp_train(start(), X, Y, eta=0.5, updates="accumulated", stop=10)
    assert fit.errors[0] == pytest.approx(bpjit.error(start(), X, Y), rel=1e-14)
    assert fit.updates == 10
    further = bp_train(fit.network, X, Y, eta=0.5, updates="accumulated", stop=1)
    assert further.errors[0] == pytest.approx(fit.error, rel=1e-14)


def test_validation_errors_come_from_after_the_epoch():
    fit = bp_train(start(), X, Y, eta=0.5, stop=7, validation=VALIDATION)
    assert fit.validation_errors[-1] == pytest.approx(bpjit.error(fit.network, *VALIDATION), rel=1e-14)
    without = bp_train(start(), X, Y, eta=0.5, stop=7)
    assert np.isnan(without.validation_errors).all()
    assert without.network == fit.network
    assert without.best_epoch is None


def test_mini_batches_and_their_last_smaller_one():
    net, eta = start(), 0.3
    order = reference.epoch_order(0, 0, range(len(X)))
    expected = net
    for first in range(0, len(X), 8):
        part = order[first : first + 8]
        expected = expected.with_parameters(expected.parameters - eta * bpjit.gradient(expected, X[part], Y[part]))
    fit = bp_train(net, X, Y, eta=eta, updates=8, stop=1)
    np.testing.assert_allclose(fit.network.parameters, expected.parameters, rtol=1e-13)
    assert fit.updates == 3


# --- Weights, masks.


@pytest.mark.parametrize("updates", ["stochastic", 6, "accumulated"])
def test_a_sample_of_weight_zero_is_absent(updates):
    present = np.ones(len(X), bool)
    present[[0, 3, 4, 19]] = False
    weighted = bp_train(start(), X, Y, eta=0.5, updates=updates, stop=9, sample_weight=present * 2.5)
    # the absent samples may hold anything finite
    changed = X.copy()
    changed[~present] = 1e6
    other = bp_train(start(), changed, Y, eta=0.5, updates=updates, stop=9, sample_weight=present * 1.0)
    assert weighted.network == other.network
    without = bp_train(start(), X[present], Y[present], eta=0.5, updates=updates, stop=9, shuffle=False)
    in_order = bp_train(start(), X, Y, eta=0.5, updates=updates, stop=9, shuffle=False, sample_weight=present * 1.0)
    assert in_order.network == without.network
    assert in_order.updates == without.updates


def test_whole_weights_equal_repeated_samples():
    counts = np.arange(len(X)) % 3
    repeated = np.repeat(np.arange(len(X)), counts)
    a = bp_train(start(), X, Y, eta=0.5, updates="accumulated", stop=20, sample_weight=counts.astype(float))
    b = bp_train(start(), X[repeated], Y[repeated], eta=0.5, updates="accumulated", stop=20)
    np.testing.assert_allclose(a.network.parameters, b.network.parameters, rtol=1e-11)
    assert a.error == pytest.approx(b.error, rel=1e-11)


def test_class_weights_as_in_scikit_learn():
    labels = np.array([0, 0, 0, 0, 0, 1, 2, 2] * 3)
    inputs = np.random.default_rng(0).normal(size=(len(labels), 2))
    net = Network.random((2, 3), output="softmax")
    counts = np.bincount(labels)
    balanced = len(labels) / (3 * counts)
    expected = bpjit.error(net, inputs, labels, sample_weight=balanced[labels])
    assert bpjit.error(net, inputs, labels, class_weight="balanced") == pytest.approx(expected, rel=1e-14)
    by_hand = {0: 1.0, 1: 3.0, 2: 0.5}
    expected = bpjit.error(net, inputs, labels, sample_weight=np.array([1.0, 3.0, 0.5])[labels])
    assert bpjit.error(net, inputs, labels, class_weight=by_hand) == pytest.approx(expected, rel=1e-14)
    fits = [
        bp_train(net, inputs, labels, stop=5, eta=0.5, **settings)
        for settings in ({"class_weight": by_hand}, {"sample_weight": np.array([1.0, 3.0, 0.5])[labels]})
    ]
    assert same(*fits)


def test_two_classes_with_one_output_and_both_kinds_of_weights():
    labels = np.array([0, 1, 1, 1])
    c = np.array([1.0, 2.0, 1.0, 4.0])
    net = Network.random((3, 1))
    expected = bpjit.error(net, X[:4], labels, sample_weight=c * np.where(labels == 1, 5.0, 1.0))
    assert bpjit.error(net, X[:4], labels, sample_weight=c, class_weight={1: 5}) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("sizes", "output", "targets"),
    [
        ((3, 1), "identity", [0.1, 0.7, 0.2, 0.9]),  # numbers
        ((3, 1), "sigmoid", [0.0, 0.5, 1.0, 1.0]),
        ((3, 1), "identity", [3.0, 7.0, 3.0, 7.0]),  # two, but on one side of ½
        ((3, 3), "softmax", [[0.2, 0.3, 0.5]] * 4),
        ((3, 2), "sigmoid", [[1, 1], [0, 1], [1, 0], [0, 1]]),  # two labels at once
    ],
)
def test_class_weights_want_classes(sizes, output, targets):
    net, targets = Network.random(sizes, output=output), np.array(targets)
    calls = (
        lambda: bp_train(net, X[:4], targets, class_weight="balanced", stop=1),
        lambda: bpjit.error(net, X[:4], targets, class_weight={0: 2.0}),
        lambda: bpjit.gradient(net, X[:4], targets, class_weight="balanced"),
        lambda: bpjit.train_many(Networks.of([net, net]), X[:4], targets, class_weight="balanced", stop=1),
        lambda: bpjit.train_many(
            Networks.of([net, net]), np.stack([X[:4]] * 2), np.stack([targets] * 2), class_weight={0: 2.0}, stop=1
        ),
    )
    for call in calls:
        with pytest.raises(ValueError, match="class_weight: expected Y to be targets of classes"):
            call()


@pytest.mark.parametrize(
    ("settings", "lam"),
    [
        ({}, None),
        ({"rule": "adam", "updates": 4}, 0.99),
        slow({}, 0.99),
        slow({"rule": "adam", "updates": 4}, None),
        slow({"rule": "rprop", "updates": "accumulated"}, None),
        slow({"rule": "rprop", "updates": "accumulated"}, 0.99),
    ],
)
def test_masks_leave_parameters_alone(settings, lam):
    net = start()
    first_layer_only = bp_train(net, X, Y, trainable=[True, False], lam=lam, stop=5, **settings).network
    assert np.array_equal(first_layer_only.w, net.w)
    assert np.array_equal(first_layer_only.theta, net.theta)
    assert (first_layer_only.v != net.v).all()
    fixed = bp_train(net, X, Y, train_thresholds=False, lam=lam, stop=5, **settings).network
    assert np.array_equal(fixed.gamma, net.gamma)
    assert (fixed.v != net.v).all()
    some = np.zeros((3, 4), bool)
    some[1, 2] = True
    one = bp_train(net, X, Y, trainable=[(some, False), False], lam=lam, stop=5, **settings).network
    assert (one.parameters != net.parameters).sum() == 1
    assert one.v[1, 2] != net.v[1, 2]
    flat = np.zeros(21, bool)
    flat[6] = True
    assert bp_train(net, X, Y, trainable=flat, lam=lam, stop=5, **settings).network == one


def test_class_weights_of_a_scaled_network_are_those_of_the_user_s_labels():
    labels = np.array([0, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    inputs = np.random.default_rng(0).normal(size=(10, 2))
    net = Network.random((2, 3, 1), "tanh", "identity", scale=bpjit.Scale.standard(inputs, labels))
    expected = bpjit.error(net, inputs, labels, sample_weight=np.where(labels == 0, 5.0, 1.0))
    assert bpjit.error(net, inputs, labels, class_weight={0: 5}) == pytest.approx(expected, rel=1e-14)


# --- Stopping.


def test_target_error_holds_for_the_returned_network():
    fit = bp_train(start(), X, Y, eta=1.0, stop=[MaxEpochs(5000), TargetError(0.02)])
    assert fit.stopped_by == "TargetError"
    assert bpjit.error(fit.network, X, Y) <= 0.02
    assert fit.errors[-1] <= 0.02
    # and at no epoch before did both hold
    for t in np.flatnonzero(fit.errors[:-1] <= 0.02):
        assert bp_train(start(), X, Y, eta=1.0, stop=int(t) + 1).error > 0.02


def test_max_epochs_is_added_where_nothing_bounds_the_training():
    assert bp_train(start(), X, Y, stop=TargetError(0.0)).epochs == 1000
    assert bp_train(start(), X, Y).stopped_by == "MaxEpochs"


def test_no_improvement():
    fit = bp_train(start(), X, Y, eta=2.0, stop=[NoImprovement(patience=5), MaxEpochs(5000)])
    assert fit.stopped_by == "NoImprovement"
    best = np.minimum.accumulate(fit.errors)
    fires = [t for t in range(5, len(best)) if best[t] >= best[t - 5]]
    assert fires[0] == fit.epochs - 1


def test_no_improvement_with_more_patience_than_epochs():
    """Blocks shorter than the patience, and a training that ends before it."""
    fit = bp_train(start(), X, Y, eta=0.5, stop=[NoImprovement(patience=10_000), MaxEpochs(300)])
    assert (fit.stopped_by, fit.epochs) == ("MaxEpochs", 300)


def test_gradient_norm():
    settings = {"eta": 2.0, "updates": "accumulated", "lam": 0.99, "trainable": [True, False]}
    fit = bp_train(start(), X, Y, stop=[GradientNorm(0.01, every=3), MaxEpochs(5000)], **settings)
    assert fit.stopped_by == "GradientNorm"
    assert fit.epochs % 3 == 0
    slope = lambda net: np.linalg.norm(bpjit.gradient(net, X, Y, lam=0.99)[:16])  # noqa: E731
    assert slope(fit.network) <= 0.01
    assert slope(bp_train(start(), X, Y, stop=fit.epochs - 3, **settings).network) > 0.01


def test_early_stopping_returns_the_best_network():
    fit = bp_train(
        start(), *NOISE, eta=1.0, stop=[EarlyStopping(patience=30), MaxEpochs(5000)], validation=NOISE_VALIDATION
    )
    assert fit.stopped_by == "EarlyStopping"
    assert fit.best_epoch == np.argmin(fit.validation_errors) + 1
    assert fit.epochs == fit.best_epoch + 30
    assert bpjit.error(fit.network, *NOISE_VALIDATION) == pytest.approx(fit.validation_errors.min(), rel=1e-14)
    assert fit.network == bp_train(start(), *NOISE, eta=1.0, stop=fit.best_epoch).network
    by_epochs = bp_train(
        start(),
        *NOISE,
        eta=1.0,
        stop=[EarlyStopping(patience=10**6), MaxEpochs(fit.epochs)],
        validation=NOISE_VALIDATION,
    )
    assert by_epochs.stopped_by == "MaxEpochs"
    assert by_epochs.network == fit.network


def test_prechelt_s_criteria_in_a_training():
    settings = {"eta": 1.0, "validation": NOISE_VALIDATION}
    full = bp_train(start(), *NOISE, stop=2000, **settings)
    every = full.validation_errors[4::5]
    loss = 100 * (every / np.minimum.accumulate(every) - 1)
    fit = bp_train(start(), *NOISE, stop=[EarlyStopping(every=5, generalization_loss=5), MaxEpochs(2000)], **settings)
    assert fit.epochs == 5 * (np.flatnonzero(loss > 5)[0] + 1)
    assert np.isnan(fit.validation_errors).sum() == fit.epochs * 4 // 5
    strips = full.errors.reshape(-1, 5)
    progress = 1000 * (strips.mean(1) / strips.min(1) - 1)
    fit = bp_train(start(), *NOISE, stop=[EarlyStopping(every=5, progress=20), MaxEpochs(2000)], **settings)
    assert fit.epochs == 5 * (np.flatnonzero(progress < 20)[0] + 1)


def test_the_first_condition_that_fires_is_named():
    fit = bp_train(start(), X, Y, eta=1.0, stop=[MaxEpochs(3000), NoImprovement(2), TargetError(1e-9)])
    assert fit.stopped_by == "NoImprovement"
    assert bp_train(start(), X, Y, stop=[NoImprovement(50), 3]).stopped_by == "MaxEpochs"


def test_time_limit_also_inside_an_epoch():
    m = 700_000
    big = np.random.default_rng(0).normal(size=(m, 3))
    settings = {"eta": 0.1, "updates": 32, "shuffle": False}
    net = Network.random((3, 200, 1))
    bp_train(net, big[:100], big[:100, :1], stop=1, **settings)  # compiled
    begun = time.perf_counter()
    fit = bp_train(net, big, big[:, :1], stop=TimeLimit(0.2), **settings)
    assert time.perf_counter() - begun < 5
    assert fit.stopped_by == "TimeLimit"
    assert fit._state["memory"].counters[POSITION] > 0  # inside an epoch
    assert fit.updates > 0
    assert fit.network != net
    # and on exactly from inside the epoch
    further = bp_train(fit.network, big[:m], big[:, :1], stop=1, resume=fit, **settings)
    assert same(further, bp_train(net, big, big[:, :1], stop=fit.epochs + 1, **settings))
    with pytest.raises(ValueError, match="^resume: the fit stopped inside an epoch; expected its data again"):
        bp_train(fit.network, big[:-1], big[:-1, :1], stop=1, resume=fit, **settings)
    with pytest.raises(ValueError, match="^resume: the fit stopped inside an epoch"):
        bp_train(fit.network, big, big[:, :1], stop=1, resume=fit, validation=VALIDATION, **settings)


def test_callback_sees_every_epoch_and_may_stop():
    seen = []

    def callback(progress):
        seen.append((progress.epoch, progress.error, bpjit.error(progress.network, X, Y)))
        return progress.epoch == 6

    fit = bp_train(start(), X, Y, eta=0.5, stop=100, callback=callback)
    assert fit.stopped_by == "callback"
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal([error for _, error, _ in seen], fit.errors)
    assert seen[-1][2] == pytest.approx(fit.error, rel=1e-14)
    assert same(fit, bp_train(start(), X, Y, eta=0.5, stop=6))


def test_callback_also_sees_the_epoch_that_a_condition_ends():
    for stop in (1, 3, [bpjit.TargetError(10.0)], [NoImprovement(2), MaxEpochs(50)]):
        seen: list[int] = []
        fit = bp_train(
            start(), X, Y, eta=0.5, stop=stop, callback=lambda progress, seen=seen: seen.append(progress.epoch)
        )
        assert seen == list(range(1, fit.epochs + 1))


# --- Divergence, Ctrl-C.


@pytest.mark.parametrize("settings", [{}, {"updates": 4}, {"updates": "accumulated"}, {"rule": "momentum"}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_divergence_gives_the_last_finite_network(settings, dtype):
    net = Network.random((3, 4, 1), hidden="identity", output="identity", seed=1, dtype=dtype)
    fit = bp_train(net, X, Y, eta=3.0, stop=1000, **settings)
    assert fit.stopped_by == "diverged"
    assert fit.epochs < 1000
    assert np.isfinite(fit.network.parameters).all()
    assert np.isfinite(fit.errors).all()
    assert len(fit.errors) == fit.epochs
    assert np.isfinite(fit.error)
    before = bp_train(net, X, Y, eta=3.0, stop=fit.epochs, **settings).network if fit.epochs else net
    assert fit.network == before
    assert bp_train(net, X, Y, eta=3.0, stop=fit.epochs + 1, **settings).stopped_by == "diverged"


def test_what_diverged_leaves_nothing_behind():
    """A tiny network: NaN between its parameters would stay, and the last finite network not be found."""
    fit = bp_train(Network.random((2, 4, 1), output="identity", seed=0), X[:, :2], 1e3 * Y, eta=5.0, stop=500)
    assert fit.stopped_by == "diverged"
    assert fit.epochs > 3


def press_ctrl_c_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_ctrl_c_gives_what_was_learnt():
    net = start()
    bp_train(net, X, Y, stop=1)
    press_ctrl_c_after(0.3)
    begun = time.perf_counter()
    fit = bp_train(net, X, Y, eta=0.5, stop=10**9)
    assert time.perf_counter() - begun < 5
    assert fit.stopped_by == "interrupted"
    assert fit.epochs > 0
    assert fit.network == bp_train(net, X, Y, eta=0.5, stop=fit.epochs).network
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_ends_a_loop_of_short_trainings():
    """Also where a condition ends the training that was hit: no press is lost."""
    bp_train(start(), X, Y, stop=1)  # compiled
    for delay in np.linspace(0.01, 0.03, 8):
        press_ctrl_c_after(delay)
        begun = time.perf_counter()
        try:
            while time.perf_counter() - begun < 5:
                fit = bp_train(start(), X, Y, eta=0.5, stop=[MaxEpochs(50), TargetError(1e-9)])
                if fit.stopped_by == "interrupted":
                    break
        except KeyboardInterrupt:
            pass  # between two trainings
        assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("updates", ["stochastic", "accumulated"])
def test_ctrl_c_in_the_middle_of_a_long_epoch(updates):
    m = 700_000
    big = np.random.default_rng(0).random((m, 3), np.float32)
    target = big[:, :1].copy()
    net = Network.random((3, 1500, 1), dtype="float32")
    settings = {"eta": 0.01, "updates": updates, "shuffle": False, "threads": 1, "target": "cpu"}
    bp_train(net, big[:10], big[:10, :1], stop=1, **settings)
    press_ctrl_c_after(0.4)
    begun = time.perf_counter()
    fit = bp_train(net, big, target, stop=10_000, **settings)
    assert fit.stopped_by == "interrupted"
    assert fit._state["memory"].counters[POSITION] > 0  # inside an epoch
    assert (fit.network != net) == (updates == "stochastic" or fit.epochs > 0)
    assert time.perf_counter() - begun < 5


def test_an_exception_of_a_callback_comes_through():
    def callback(progress):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        bp_train(start(), X, Y, callback=callback)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- What is kept of a long training.


@pytest.mark.parametrize("setting", ["standard", "adaptive", "batches"])
@pytest.mark.parametrize("every", [1, 7])
def test_long_trainings_keep_some_epochs(setting, every):
    """The same as if all had been kept, resumed or not; and those of a validation are among them."""
    settings = RULES[setting] | {"validation": VALIDATION}
    early = EarlyStopping(patience=10**6, every=every)
    whole = bp_train(start(), X, Y, stop=[early, MaxEpochs(1000)], history=None, **settings)
    assert whole.recorded.tolist() == list(range(1000))
    thin = bp_train(start(), X, Y, stop=[early, MaxEpochs(1000)], history=100, **settings)
    half = bp_train(start(), X, Y, stop=[early, MaxEpochs(413)], history=100, **settings)
    twice = bp_train(half.network, X, Y, stop=[early, MaxEpochs(587)], resume=half, history=100, **settings)
    assert same(thin, twice)
    assert thin.network == whole.network
    assert thin.epochs == 1000
    assert 50 <= len(thin.recorded) <= 100
    assert thin.recorded[[0, -1]].tolist() == [0, 999]
    for fit in (thin, twice):
        np.testing.assert_array_equal(fit.errors, whole.errors[fit.recorded])
        np.testing.assert_array_equal(fit.validation_errors, whole.validation_errors[fit.recorded])
    assert np.count_nonzero(~np.isnan(thin.validation_errors)) >= 30
    all_more = bp_train(thin.network, X, Y, stop=[early, MaxEpochs(5)], resume=thin, history=None, **settings)
    assert all_more.recorded.tolist() == [*thin.recorded.tolist(), *range(1000, 1005)]


STOPS_THAT_REMEMBER = [NoImprovement(40), NoImprovement(40, tolerance=0.01), *STOPS[5:8]]


@pytest.mark.parametrize("stop", STOPS_THAT_REMEMBER)
@pytest.mark.parametrize("first", [1, 37, 300])
def test_conditions_go_on_where_they_stood_though_little_was_kept(stop, first):
    settings = {"eta": 0.02, "updates": "accumulated", "validation": NOISE_VALIDATION, "history": 5}
    limited = [stop, MaxEpochs(600)]
    whole = bp_train(start(), *NOISE, stop=limited, **settings)
    half = pickle.loads(pickle.dumps(bp_train(start(), *NOISE, stop=[stop, MaxEpochs(first)], **settings)))
    if half.stopped_by == "MaxEpochs":
        rest = bp_train(half.network, *NOISE, stop=[stop, MaxEpochs(600 - first)], resume=half, **settings)
        assert rest.stopped_by == whole.stopped_by
        assert same(rest, whole)


class Fifth(bpjit.settings.stopping.Condition):
    """Of the user's own: it wants the error of epoch 5, whatever the block."""

    seen: tuple[int, ...] = ()

    def candidates(self, history, since):
        type(self).seen += (len(history.errors),)
        assert history.errors[4:5].tolist() == Fifth.errors[4:5].tolist() or len(history.errors) < 5
        return range(since + 1, len(history.errors) + 1)

    def confirm(self, look):
        return False


def test_a_condition_of_one_s_own_sees_every_epoch():
    Fifth.errors = bp_train(start(), X, Y, eta=0.1, stop=300).errors
    fit = bp_train(start(), X, Y, eta=0.1, stop=[Fifth(), MaxEpochs(300)], history=10)
    assert Fifth.seen[-1] == 300
    assert len(fit.recorded) <= 10
    with pytest.raises(ValueError, match="^stop: a condition of your own sees every epoch"):
        bp_train(fit.network, X, Y, eta=0.1, stop=[Fifth(), 3], resume=fit)
    fit = bp_train(start(), X, Y, eta=0.1, stop=300, history=None)
    bp_train(fit.network, X, Y, eta=0.1, stop=[Fifth(), MaxEpochs(3)], resume=fit)
    assert Fifth.seen[-1] == 303


MEMORY = """
import sys, bpjit
def used(): return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
net, X, Y = bpjit.Network.random((1, 1), output="identity"), [[1.0]], [1.0]
stop = [bpjit.NoImprovement(10**9), bpjit.MaxEpochs(5_000_000)]
fit = bpjit.train(net, X, Y, eta=1e-9, stop=stop)
before = used()
for _ in range(6):
    fit = bpjit.train(fit.network, X, Y, eta=1e-9, stop=stop, resume=fit)
assert fit.epochs == 35_000_000 and len(fit.errors) <= 100_000
sys.exit(used() - before > 20)
"""


@pytest.mark.slow
def test_the_memory_of_a_long_training_is_constant():
    assert subprocess.run([sys.executable, "-c", MEMORY], timeout=900).returncode == 0


# --- Time that is up, and data that change.


class Always(bpjit.settings.stopping.Condition):
    """Names one epoch in the middle of a block, and never fires there."""

    def candidates(self, history, since):
        middle = (since + len(history.errors)) // 2
        return [middle] if middle > since else []

    def confirm(self, look):
        return False


def test_a_time_limit_ends_a_replay_too(monkeypatch):
    """Where it then stands, the training also was."""
    settings = {"eta": 0.1, "rule": "momentum", "updates": 4}
    bp_train(start(), X, Y, stop=1, **settings)
    with monkeypatch.context() as patch:
        replaying = []

        class Slow(bpjit.training.session.Session):
            def replay(self, *arguments):
                patch.setattr("bpjit.training.session.CALL_SECONDS", 0.0)  # hundreds of calls
                replaying.append(True)
                return super().replay(*arguments)

            def run(self, until):
                super().run(until)
                if replaying:
                    time.sleep(0.01)

        patch.setattr("bpjit.training.loop.Session", Slow)
        begun = time.perf_counter()
        fit = bp_train(start(), X, Y, stop=[TimeLimit(0.5), Always()], **settings)
        assert time.perf_counter() - begun < 1.0
    assert replaying
    assert fit.stopped_by == "TimeLimit"
    assert len(fit.errors) == fit.epochs
    exact = bp_train(fit.network, X, Y, stop=3, resume=fit, **settings)
    assert same(exact, bp_train(start(), X, Y, stop=fit.epochs + 3, **settings))


def test_time_may_be_up_while_a_condition_measures(monkeypatch):
    monkeypatch.setattr("bpjit.kernels.drivers.CALL", 1)  # a kernel call for each chunk of 128 samples
    many = np.tile(X, (50, 1)), np.tile(Y, (50, 1))
    measured = []

    def slow(original):
        def evaluate(*arguments):
            measured.append(True)
            time.sleep(0.1)
            return original(*arguments)

        return evaluate

    fit = bp_train(start(), *many, stop=1)
    monkeypatch.setattr("bpjit.kernels.one.batches.evaluate", slow(bpjit.kernels.one.batches.evaluate))
    kernels = bpjit.kernels.one.tiny.EVALUATE
    monkeypatch.setitem(kernels, 4, slow(kernels[4]))
    again = bp_train(start(), *many, stop=[GradientNorm(0.0, every=1), TimeLimit(0.05)])
    assert again.stopped_by == "TimeLimit"
    assert again.network == fit.network
    assert len(measured) == 1 + 8  # one of eight for the condition, all for ``fit.error``


CHANGED = "the data changed while train was running; do not write to them meanwhile"


def writing(array, value, epoch):
    """A callback that writes into the data after an epoch."""

    def callback(progress):
        if progress.epoch == epoch:
            array[...] = value

    return callback


@pytest.mark.parametrize("eta", [0.1, AdaptiveRate(0.1)])
@pytest.mark.parametrize("updates", ["stochastic", 4, "accumulated"])
@pytest.mark.parametrize("stop", [9, 5])
def test_data_that_become_nan_end_the_training(eta, updates, stop):
    """Also at its very end, and in the validation set."""
    settings = {"eta": eta, "updates": updates, "stop": stop}
    A = X.copy()
    with pytest.raises(RuntimeError, match=f"^X: {CHANGED}"):
        bp_train(start(), A, Y, callback=writing(A[3:4, :1], np.nan, 5), **settings)
    V, W = VALIDATION[0].copy(), VALIDATION[1].copy()
    if stop > 5:
        with pytest.raises(RuntimeError, match=f"^validation Y: {CHANGED}"):
            bp_train(start(), X, Y, validation=(V, W), callback=writing(W[2:3], np.nan, 5), **settings)


class Meddler(bpjit.settings.stopping.Condition):
    """Writes into the data after a block, and has the block run once more."""

    array, value = None, 0.0

    def candidates(self, history, since):
        self.array[...] = self.value
        return [since + 1]

    def confirm(self, look):
        return True


@pytest.mark.parametrize("value", [0.5, np.nan])
@pytest.mark.parametrize("settings", [{}, {"updates": 4}, {"eta": AdaptiveRate(0.1)}, {"rule": "adam", "eta": 0.01}])
def test_data_that_change_are_noticed_where_an_epoch_comes_again(value, settings, monkeypatch):
    monkeypatch.setattr("bpjit.training.session.FIRST_CALL_SECONDS", 1.0)  # many epochs in the first block
    A = X.copy()
    condition = Meddler()
    object.__setattr__(condition, "array", A[7:8])
    object.__setattr__(condition, "value", value)
    options = {"eta": 0.1} | settings
    if isinstance(options["eta"], AdaptiveRate):
        monkeypatch.setattr("bpjit.training.loop._Loop.run", two_epochs_and_back)
    with pytest.raises(RuntimeError, match=f"^X, Y: {CHANGED}"):
        bp_train(start(), A, Y, stop=[condition, MaxEpochs(50)], **options)


def two_epochs_and_back(loop):
    """An adaptive rate runs an epoch at a time: go back over two."""
    session, mark = loop.session, loop.session.mark()
    session.run(1)
    session.run(2)
    loop.conditions[0].candidates(None, 0)
    session.replay(mark, 1, lambda: False)


def test_nan_that_goes_away_again_is_no_divergence(monkeypatch):
    A, runs = X.copy(), []

    class Flickering(bpjit.training.session.Session):
        def _call_kernel(self, until):
            runs.append(until)
            A[7, 0] = np.nan if len(runs) == 3 else X[7, 0]
            return super()._call_kernel(until)

        def check_data(self):
            A[7, 0] = X[7, 0]
            super().check_data()

    monkeypatch.setattr("bpjit.training.loop.Session", Flickering)
    with pytest.raises(RuntimeError, match=f"^X, Y: {CHANGED}"):
        bp_train(start(), A, Y, eta=0.1, stop=[NoImprovement(1000), MaxEpochs(5000)])
    assert len(runs) > 3


# --- What train leaves alone, and what it takes.


def test_the_caller_s_data_and_network_never_change():
    net, before = start(), start()
    x, y, c = X.copy(), Y.copy(), np.linspace(0, 1, len(X))
    arrays = [x, y, c]
    copies = [array.copy() for array in arrays]
    for setting in RULES.values():
        bp_train(net, x, y, sample_weight=c, class_weight={1: 2.0}, validation=(x, y), stop=3, **setting)
    bpjit.gradient(net, x, y), bpjit.jacobian(net, x), net.predict(x)
    assert net == before
    for array, copy in zip(arrays, copies, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize(
    "form", ["integer", "boolean", "strided", "fortran", "read-only", "list", "reversed", "float16"]
)
def test_arrays_of_any_form_give_the_same_bits(form):
    bits = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]])
    targets = np.array([[0], [1], [1], [0]])
    wide = np.zeros((8, 6))
    wide[::2, ::2] = bits
    read_only = bits.astype(float)
    read_only.flags.writeable = False
    forms = {
        "integer": bits.astype(np.int8),
        "boolean": bits.astype(bool),
        "strided": wide[::2, ::2],
        "fortran": np.asfortranarray(bits.astype(float)),
        "read-only": read_only,
        "list": bits.tolist(),
        "reversed": bits.astype(float)[::-1][::-1],
        "float16": bits.astype(np.float16),
    }
    net = start()
    expected = bp_train(net, bits.astype(float), targets.astype(float), eta=0.5, stop=20)
    fit = bp_train(net, forms[form], targets.astype(bool) if form == "boolean" else targets, eta=0.5, stop=20)
    assert same(fit, expected)
    np.testing.assert_array_equal(net.predict(forms[form]), net.predict(bits.astype(float)))
    np.testing.assert_array_equal(bpjit.jacobian(net, forms[form]), bpjit.jacobian(net, bits))


def test_pandas_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "good": Y[:, 0].astype(bool)})
    fit = bp_train(start(), frame[["a", "b", "c"]], frame["good"], eta=0.5, stop=5)
    plain = bp_train(start(), X, Y, eta=0.5, stop=5)
    assert fit.network.columns.input_names == ["a", "b", "c"]
    assert same(replace(fit, network=plain.network), plain)
    np.testing.assert_array_equal(fit.network.parameters, plain.network.parameters)
    mixed = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    np.testing.assert_array_equal(start().predict(mixed), start().predict([[1, 0.5, 1], [2, 1.5, 0]]))


def test_fits_can_be_pickled_and_resumed():
    settings = RULES["adam"]
    fit = pickle.loads(pickle.dumps(bp_train(start(), X, Y, stop=10, **settings)))
    further = bp_train(fit.network, X, Y, stop=10, resume=fit, **settings)
    assert same(further, bp_train(start(), X, Y, stop=20, **settings))
    assert "10 epochs" in repr(fit)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"eta": 0.2}, "eta"),
        ({"updates": 2}, "updates"),
        ({"seed": 1}, "seed"),
        ({"rule": "momentum"}, "rule"),
        ({"lam": 0.9}, "lam"),
        ({"shuffle": False}, "shuffle"),
        ({"train_thresholds": False}, "trainable"),
        ({"loss": "huber"}, "loss"),
    ],
)
def test_resume_refuses_other_settings(change, named):
    fit = bp_train(start(), X, Y, eta=0.5, stop=2)
    with pytest.raises(ValueError, match=f"^{named}: "):
        bp_train(fit.network, X, Y, **({"eta": 0.5, "stop": 2, "resume": fit} | change))
    with pytest.raises(ValueError, match="^net: "):
        bp_train(start(), X, Y, eta=0.5, resume=fit)


def test_targets_in_their_several_forms():
    one = bp_train(start(), X, Y[:, 0], eta=0.5, stop=3)
    assert same(one, bp_train(start(), X, Y, eta=0.5, stop=3))
    net = Network.random((3, 4, 3), output="softmax")
    numbers = np.arange(len(X)) % 3
    a = bp_train(net, X, numbers, stop=3)
    b = bp_train(net, X, np.eye(3)[numbers], stop=3)
    c = bp_train(net, X, numbers.astype(float), stop=3, loss="cross_entropy")
    assert same(a, b)
    assert same(a, c)


def test_scaled_networks_train_in_the_user_s_units():
    rng = np.random.default_rng(4)
    raw = rng.normal(100, 30, (40, 2))
    target = raw[:, :1] * 2 + 50
    scale = bpjit.Scale.standard(raw, target)
    net = Network.random((2, 5, 1), "tanh", "identity", seed=0, scale=scale)
    fit = bp_train(net, raw, target, eta=0.05, stop=500)
    assert np.abs(fit.network.predict(raw) - target).max() < 0.1 * target.std()
    unscaled = Network.random((2, 5, 1), "tanh", "identity", seed=0)
    inner_x, inner_y = (raw - raw.mean(0)) / raw.std(0), (target - target.mean(0)) / target.std(0)
    inner = bp_train(unscaled, inner_x, inner_y, eta=0.05, stop=500)
    np.testing.assert_allclose(inner.network.parameters, fit.network.parameters, rtol=1e-12)
    assert fit.error == pytest.approx(inner.error, rel=1e-12)


def test_a_network_without_hidden_layer_is_logistic_regression():
    net = Network.random((3, 1), seed=0)
    fit = bp_train(net, X, X[:, :1] > 0, loss="cross_entropy", eta=1.0, updates="accumulated", stop=500)
    assert (fit.network.classify(X) == (X[:, 0] > 0)).all()


def test_progress_bar_on_request(capsys, monkeypatch):
    monkeypatch.setattr("bpjit.common.console.PROGRESS_DELAY", 0.0)
    bp_train(start(), X, Y, stop=200_000, progress=True)
    assert "epoch" in capsys.readouterr().err
    bp_train(start(), X, Y, stop=200_000)
    assert capsys.readouterr().err == ""
