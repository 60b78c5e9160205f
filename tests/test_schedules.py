"""Learning-rate schedules and the adaptive rate, in trainings."""

import itertools

import numpy as np
import pytest

import bpjit
from bpjit import AdaptiveRate
from bpjit import train as bp_train
from test_training import X, Y, start


def test_schedules_count_epochs():
    for schedule, rate in (
        (bpjit.StepDecay(0.8, factor=0.5, every=2), lambda t: 0.8 * 0.5 ** (t // 2)),
        (bpjit.InverseTime(0.8, decay=0.5), lambda t: 0.8 / (1 + 0.5 * t)),
        (bpjit.Cosine(0.8, epochs=4, minimum=0.1), lambda t: 0.1 + 0.35 * (1 + np.cos(np.pi * min(t / 4, 1)))),
    ):
        net = start()
        for t in range(6):
            net = bp_train(net, X, Y, eta=rate(t), updates="accumulated", stop=1).network
        fit = bp_train(start(), X, Y, eta=schedule, updates="accumulated", stop=6)
        np.testing.assert_allclose(fit.network.parameters, net.parameters, rtol=1e-13)


def test_adaptive_rate_undoes_epochs_that_made_it_worse():
    """习题 5.6: the objective after each epoch that was kept never rises by more than 4 %."""
    eta = AdaptiveRate(1000.0)
    kept = [bpjit.error(start(), X, Y)]
    for epochs in range(1, 100):
        kept.append(bp_train(start(), X, Y, eta=eta, updates="accumulated", stop=epochs).error)
    assert all(b <= a * 1.04 for a, b in itertools.pairwise(kept))
    assert sum(a == b for a, b in itertools.pairwise(kept)) > 3  # undone
    assert kept[-1] < kept[0] / 2
    fixed = bp_train(start(), X, Y, eta=1000.0, updates="accumulated", stop=100)
    assert fixed.error > kept[-1]


def test_an_adaptive_rate_never_ends_above_the_best_it_has_seen():
    """Rises of less than the tolerance, one upon the other, led E from 0.0065 to 375,003."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    net, schedule = bpjit.Network.random((3, 1), output="identity", seed=0), AdaptiveRate(3.0, grow=1.2)
    for updates in ("accumulated", "stochastic"):
        seen = [bpjit.error(net, A, B)]

        def look(progress, seen=seen):
            seen.append(bpjit.error(progress.network, A, B))

        settings = {"eta": schedule, "updates": updates, "stop": 400}
        fit = bp_train(net, A, B, callback=look, **settings)
        assert fit.error == min(seen) < seen[0]
        assert max(seen[1:]) > min(seen)  # it did rise
        assert all(now <= 1.04 * min(seen[:k]) for k, now in enumerate(seen) if k)
        fits = bpjit.train_many([net, net], A, B, **settings)
        assert fits.error == pytest.approx([fit.error] * 2, rel=1e-12)


@pytest.mark.parametrize("samples", [1, 2])
def test_an_objective_that_overflows_is_undone(samples):
    """With two samples the sum of their errors is NaN, not infinity."""
    A, B = np.array([[1e3], [-1e3]])[:samples], np.array([[1e150], [-1e150]])[:samples]
    net = bpjit.Network.random((1, 1), output="identity", seed=0)
    settings = {"eta": AdaptiveRate(1e3), "updates": "accumulated", "stop": 600}
    fit = bp_train(net, A, B, **settings)
    assert fit.stopped_by == "MaxEpochs"
    assert fit.error < 0.01 * bpjit.error(net, A, B)
    fits = bpjit.train_many([net, net], A, B, **settings)
    assert list(fits.stopped_by) == ["MaxEpochs"] * 2
    assert max(fits.error) < 0.01 * bpjit.error(net, A, B)


def test_an_undone_epoch_leaves_no_trace_in_the_validation():
    """validation_errors[t] is that of the network after epoch t, undone or not; so is the best network's."""
    validation = (X[:9] + 0.3, Y[:9])

    def look(progress):
        assert progress.validation_error == pytest.approx(bpjit.error(progress.network, *validation), rel=1e-13)

    bp_train(
        start(),
        X,
        Y,
        eta=AdaptiveRate(300.0),
        updates="accumulated",
        stop=40,
        validation=validation,
        callback=look,
    )
    best = bp_train(
        start(),
        X,
        Y,
        eta=AdaptiveRate(300.0),
        updates="accumulated",
        stop=[bpjit.EarlyStopping(patience=100), 40],
        validation=validation,
    )
    assert bpjit.error(best.network, *validation) == pytest.approx(best.validation_errors.min(), rel=1e-13)


def test_rates_of_each_schedule():
    epochs = np.arange(6)
    assert bpjit.Constant(0.3).rates(epochs).tolist() == [0.3] * 6
    assert bpjit.StepDecay(0.8, factor=0.5, every=2).rates(epochs).tolist() == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert bpjit.InverseTime(1.0, decay=1.0).rates(epochs) == pytest.approx(1 / (1 + epochs))
    cosine = bpjit.Cosine(1.0, epochs=4, minimum=0.2).rates(epochs)
    assert cosine == pytest.approx([1.0, 0.6 + 0.4 * np.sqrt(0.5), 0.6, 0.6 - 0.4 * np.sqrt(0.5), 0.2, 0.2])


def test_the_network_of_an_epoch_undone_is_measured_as_before():
    """By a kernel that rounds otherwise it would be better than itself, and early stopping wait for more."""
    X, V = (np.random.default_rng(seed).normal(0, 0.7, (m, 2)) for seed, m in ((7, 12), (5, 7)))
    net = bpjit.Networks.random((2, 3, 1), 6, seed=2)[0]
    stop = [25, bpjit.EarlyStopping(patience=6, every=2)]
    settings = {"eta": bpjit.AdaptiveRate(0.05), "rule": "momentum", "validation": (V, np.ones(7)), "stop": stop}
    fit = bpjit.train(net, X, np.full(12, 0.7), **settings)
    measured = fit.validation_errors[np.isfinite(fit.validation_errors)]
    assert fit.best_epoch == 4
    assert len(measured) == 5
    assert np.ptp(measured[1:]) == 0
