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


def test_an_undone_epoch_leaves_no_trace_in_the_validation():
    """validation_errors[t] is that of the network after epoch t, undone or not; so is the best network's."""
    validation = (X[:9] + 0.3, Y[:9])
    for epochs in range(1, 40):
        fit = bp_train(
            start(), X, Y, eta=AdaptiveRate(300.0), updates="accumulated", stop=epochs, validation=validation
        )
        assert fit.validation_errors[-1] == pytest.approx(bpjit.error(fit.network, *validation), rel=1e-13)
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
