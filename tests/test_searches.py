"""Restarts, grids, cross-validation and bagging are what train_many makes of them."""

import numpy as np
import pytest

import bpjit
from bpjit.many.searches import _table
from cases import slow

XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


def clusters(m=60):
    rng = np.random.default_rng(0)
    labels = np.arange(m) % 3
    return rng.normal(0, 1.5, (3, 4))[labels] + rng.normal(0, 0.6, (m, 4)), labels


def test_multi_start_returns_the_best_first():
    fits = bpjit.multi_start((2, 2, 1), *XOR, 60, init="uniform01", init_seed=5, eta=5.0, stop=400)
    assert (np.diff(fits.error) >= 0).all()
    assert sorted(fits.order) == list(range(60))
    start = bpjit.Network.random((2, 2, 1), init="uniform01", seed=5 + int(fits.order[0]))
    alone = bpjit.train(start, *XOR, eta=5.0, stop=400)
    np.testing.assert_allclose(fits.networks[0].parameters, alone.network.parameters, rtol=1e-10)


def test_grid_tries_every_combination():
    nets = bpjit.Networks.random((2, 4, 1), 3)
    settings = {"eta": [0.5, 5.0], "rule": ["sgd", bpjit.Momentum(0.5)]}
    table = bpjit.grid(nets, *XOR, settings=settings, stop=300)
    assert len(table) == 4
    assert (np.diff(table.mean) >= 0).all()
    for row, numbers, mean in zip(table.settings, table.numbers, table.mean, strict=True):
        alone = [bpjit.train(net, *XOR, stop=300, **row).error for net in nets]
        np.testing.assert_allclose(table.fits.error[numbers], alone, rtol=1e-9)
        assert mean == pytest.approx(np.mean(alone), rel=1e-9)
    assert table.best is table.settings[0]
    assert str(table).count("\n") == 4
    V = np.array([[0.1, 0.9], [0.8, 0.9]]), [1.0, 0.0]
    table = bpjit.grid(nets[0], *XOR, settings={"eta": [0.5, 5.0]}, stop=300, validation=V)
    for row, mean in zip(table.settings, table.mean, strict=True):
        assert mean == pytest.approx(bpjit.error(bpjit.train(nets[0], *XOR, stop=300, **row).network, *V), rel=1e-9)


def test_cross_validation_leaves_each_fold_out_once():
    X, labels = clusters()
    nets = bpjit.Networks.random((4, 5, 3), 2, "tanh", "softmax")
    lams = [0.9, 0.999, 0.99999]
    table = bpjit.cross_validate(nets, X, labels, settings={"lam": lams}, folds=5, eta=0.1, stop=40)
    assert len(table.fits) == 3 * 5 * 2
    part = bpjit.deal_folds(labels, 5)
    assert (np.bincount(part) == 12).all()
    for fold in range(5):
        assert (np.bincount(labels[part == fold]) == 4).all()
    for row, mean, std, training in zip(table.settings, table.mean, table.std, table.training, strict=True):
        out, inside = [], []
        for fold in range(5):
            for net in nets:
                here = part == fold
                fit = bpjit.train(net, X, labels, sample_weight=~here * 1.0, eta=0.1, stop=40, lam=row["lam"])
                out.append(bpjit.error(fit.network, X[here], labels[here]))
                inside.append(fit.error)
        assert mean == pytest.approx(np.mean(out), rel=1e-9)
        assert std == pytest.approx(np.std(out), rel=1e-9)
        assert training == pytest.approx(np.mean(inside), rel=1e-9)


@pytest.mark.parametrize("rule", ["sgd", slow("momentum")])
def test_a_setting_that_diverged_never_stands_before_one_that_did_not(rule):
    X, labels = clusters()
    Y, nets = 3.0 * X[:, :1] + labels[:, None], bpjit.Networks.random((4, 5, 1), 2, "tanh", "identity")
    settings = {"eta": [1e-9, 0.01, 30.0]}  # learns nothing, learns, diverges
    tables = [
        bpjit.grid(nets, X, Y, settings=settings, rule=rule, stop=30),
        bpjit.grid(nets, X, Y, settings=settings, rule=rule, stop=30, validation=(X[:9], Y[:9])),
        bpjit.cross_validate(nets, X, Y, settings=settings, folds=3, rule=rule, stop=30),
    ]
    for table in tables:
        assert [row["eta"] for row in table.settings] == [0.01, 1e-9, 30.0]
        assert table.diverged[:2].tolist() == [0, 0]
        reasons = table.fits.stopped_by[table.numbers]
        assert table.diverged.tolist() == (reasons == "diverged").sum(axis=1).tolist()
        assert table.diverged[2] > 0
        assert str(table).splitlines()[0].split()[-1] == "diverged"
    assert "diverged" not in str(bpjit.grid(nets, X, Y, settings={"eta": [0.01]}, rule=rule, stop=3))


def test_the_best_of_settings_of_which_all_diverged_is_the_one_of_the_smallest_error():
    error = np.array([5.0, 1.0, np.nan, 3.0])
    rows = [{"eta": eta} for eta in (1, 2, 3, 4)]

    class Known(list):
        stopped_by, error = np.array(["diverged"] * 3 + ["MaxEpochs"]), np.array([5.0, 1.0, np.nan, 3.0])

    fits = Known(rows)
    assert [row["eta"] for row in _table(rows, fits, error).settings] == [4, 2, 1, 3]


def test_numbers_are_dealt_without_classes():
    part = bpjit.deal_folds(np.random.default_rng(0).normal(size=(23, 1)), 4, 3)
    assert sorted(np.bincount(part)) == [5, 6, 6, 6]
    assert not np.array_equal(part, bpjit.deal_folds(np.arange(23.0), 4, 4))
    one_hot = np.eye(2)[np.arange(20) % 2]
    part = bpjit.deal_folds(one_hot, 5)
    assert all((one_hot[part == fold].sum(0) == 2).all() for fold in range(5))


def test_bagging_draws_with_replacement():
    X = np.linspace(-2, 2, 40)[:, None]
    nets = bpjit.Networks.random((1, 6, 1), 12, "tanh", "identity")
    fits = bpjit.bagging(nets, X, np.sin(2 * X), eta=0.05, stop=50, bag_seed=1)
    again = bpjit.bagging(nets, X, np.sin(2 * X), eta=0.05, stop=50, bag_seed=1)
    other = bpjit.bagging(nets, X, np.sin(2 * X), eta=0.05, stop=50, bag_seed=2)
    assert fits.networks == again.networks
    assert fits.networks != other.networks
    assert (fits.updates < 50 * 40).all()  # samples not drawn are absent
    assert len(bpjit.bagging((1, 3, 1), X, 0.5 + 0.4 * np.sin(2 * X), 5, stop=3)) == 5


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (TypeError, "settings", lambda: bpjit.grid(bpjit.Network.random((2, 1)), *XOR, settings=[])),
        (ValueError, "settings", lambda: bpjit.grid(bpjit.Network.random((2, 1)), *XOR, settings={"updates": [1]})),
        (TypeError, "settings", lambda: bpjit.grid(bpjit.Network.random((2, 1)), *XOR, settings={"eta": 3})),
        (
            ValueError,
            "network 1.*eta",
            lambda: bpjit.grid(bpjit.Network.random((2, 1)), *XOR, settings={"eta": [1, -1]}),
        ),
        (
            ValueError,
            "folds",
            lambda: bpjit.cross_validate(bpjit.Network.random((2, 1)), *XOR, settings={"lam": [0.9]}, folds=5),
        ),
        (
            ValueError,
            "validation",
            lambda: bpjit.cross_validate(
                bpjit.Network.random((2, 1)), *XOR, settings={"lam": [0.9]}, folds=2, validation=XOR
            ),
        ),
        (TypeError, "net", lambda: bpjit.grid(3, *XOR, settings={"eta": [1.0]})),
        (ValueError, "count", lambda: bpjit.bagging(bpjit.Networks.random((2, 1), 2), *XOR, 3)),
    ],
)
def test_bad_input_is_named(error, words, call):
    with pytest.raises(error, match=words):
        call()
