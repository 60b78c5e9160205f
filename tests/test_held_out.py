"""``validation`` as a share of the samples: which are held out, and that the training is the one with them set aside by
hand."""

import numpy as np
import pytest

import bpjit
from bpjit.training.held_out import held_out

SIZES = (2, 4, 1)  # a shape that other tests train many networks of, too
rng = np.random.default_rng(5)
X, Y = rng.normal(size=(50, 2)), rng.uniform(size=(50, 1))
STOP = [bpjit.EarlyStopping(), bpjit.MaxEpochs(8)]
NET = bpjit.Network.random(SIZES)


def chosen_by(fit, m):
    """The samples that a training has not seen."""
    return np.setdiff1d(np.arange(m), fit._origin.D.numbers.astype(int))


def same(one, other):
    return one.network == other.network and np.array_equal(one.validation_errors, other.validation_errors)


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 0.2),
        ({"updates": "accumulated"}, 0.5),
        ({"seed": 7}, 0.1),
        pytest.param({"updates": 8, "rule": "adam"}, 0.2, marks=pytest.mark.slow),
    ],
)
def test_a_share_is_a_split_by_hand(settings, share):
    fit = bpjit.train(NET, X, Y, validation=share, stop=STOP, **settings)
    out = chosen_by(fit, 50)
    assert len(out) == 50 * share
    learnt = np.ones(50)
    learnt[out] = 0
    by_hand = bpjit.train(NET, X, Y, sample_weight=learnt, validation=(X[out], Y[out]), stop=STOP, **settings)
    assert same(fit, by_hand)
    assert fit.error == by_hand.error


def test_the_seed_decides_which():
    outs = [chosen_by(bpjit.train(NET, X, Y, validation=0.2, stop=1, seed=seed), 50).tolist() for seed in (0, 0, 1)]
    assert outs[0] == outs[1] != outs[2]


@pytest.mark.parametrize("counts", [(40, 10), (90, 9, 1), (7, 7, 7, 7), (3, 2)])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.33])
def test_classes_keep_their_shares(counts, share):
    labels = np.repeat(np.arange(len(counts)), counts)
    m = len(labels)
    held = []
    for seed in range(5):
        chosen = held_out(labels, np.arange(m, dtype=np.uint64), share, seed)
        assert chosen.sum() == max(1, int(share * m + 0.5))
        held.append(np.bincount(labels[chosen], minlength=len(counts)))
        assert (held[-1] < counts).all()
        assert (np.abs(held[-1] - chosen.sum() * np.array(counts) / m) <= 1).all()
    assert all((of_each == held[0]).all() for of_each in held)


@pytest.mark.parametrize(
    ("output", "sizes", "targets"),
    [
        ("sigmoid", (2, 4, 1), np.arange(50) % 5 == 0),
        ("tanh", (2, 4, 1), np.where(np.arange(50) % 5 == 0, 1, -1)),
        ("softmax", (2, 4, 3), np.minimum(np.arange(50) % 5, 2)),
        ("sigmoid", (2, 4, 3), np.eye(3)[np.minimum(np.arange(50) % 5, 2)]),
    ],
)
def test_targets_of_classes_are_stratified(output, sizes, targets):
    targets = np.asarray(targets, float)
    fit = bpjit.train(bpjit.Network.random(sizes, output=output), X, targets, validation=0.2, stop=1, eta=0.1)
    rare = targets[:, 0] if targets.ndim == 2 else targets
    share = (rare == rare[0])[chosen_by(fit, 50)]
    assert (len(share), share.sum()) == (10, 2)


def test_data_all_of_whose_classes_have_one_sample_are_cut_all_the_same():
    fit = bpjit.train(bpjit.Network.random((2, 4, 3), output="softmax"), X[:3], [0, 1, 2], validation=0.3, stop=1)
    assert len(fit._origin.D.X) == 2


def test_with_weights_classes_and_scales():
    c = rng.uniform(size=50)
    c[::7] = 0
    labels = (X[:, 0] > 0).astype(float)
    scaled = bpjit.Network.random(SIZES, scale=bpjit.Scale.standard(X))
    for net, more in ((NET, {"sample_weight": c}), (NET, {"class_weight": "balanced"}), (scaled, {"sample_weight": c})):
        fit = bpjit.train(net, X, labels, validation=0.25, stop=STOP, **more)
        D = fit._origin.D
        kept = np.zeros(50)
        kept[D.numbers.astype(int)] = 1
        present = more.get("sample_weight", np.ones(50)) > 0
        assert not kept[~present].any()
        out = np.flatnonzero((kept == 0) & present)
        assert len(out) == int(0.25 * present.sum() + 0.5)
        assert D.c.mean() == pytest.approx(1)
        assert fit.error == pytest.approx(bpjit.error(fit.network, X, labels, sample_weight=kept * D_weights(D, 50)))


def D_weights(D, m):
    c = np.zeros(m)
    c[D.numbers.astype(int)] = D.c
    return c


def test_it_goes_on_and_is_replayed(tmp_path):
    settings = {"validation": 0.2, "seed": 3}
    whole = bpjit.train(NET, X, Y, stop=8, **settings)
    half = bpjit.train(NET, X, Y, stop=4, **settings)
    assert same(bpjit.train(half.network, X, Y, stop=4, resume=half, **settings), whole)
    whole.replay(tmp_path / "a.html", frames=3)
    whole.replay(tmp_path / "b.html", X=X, Y=Y, frames=3)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize("weights", [None, pytest.param(np.linspace(0.5, 2, 50), marks=pytest.mark.slow)])
def test_many_networks(weights):
    settings = {"validation": 0.2, "stop": STOP, "eta": 0.3, "sample_weight": weights}
    nets = [bpjit.Network.random(SIZES, seed=seed) for seed in range(3)]
    for seeds in (4, [4, 5, 6]):
        fits = bpjit.train_many(nets, X, Y, seed=seeds, threads=1, **settings)
        for index, net in enumerate(nets):
            alone = bpjit.train(net, X, Y, seed=seeds if seeds == 4 else seeds[index], **settings)
            assert fits.error[index] == pytest.approx(alone.error, rel=1e-9)
            assert fits.validation_error[index] == pytest.approx(np.nanmin(alone.validation_errors), rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, -0.2, float("nan")])
def test_what_is_no_share(share):
    for call in (
        lambda: bpjit.train(NET, X, Y, validation=share),
        lambda: bpjit.train_many([NET], X, Y, validation=share),
    ):
        with pytest.raises(ValueError, match="validation: expected a finite number > 0 and < 1"):
            call()


def test_where_there_is_no_share():
    for value in (True, 1, "20%"):
        with pytest.raises(TypeError, match="validation: expected a pair .* or a share such as 0.2, got"):
            bpjit.train(NET, X, Y, validation=value)
    with pytest.raises(ValueError, match="validation: expected a share of two samples or more"):
        bpjit.train(NET, X[:1], Y[:1], validation=0.5)
    for X_, Y_, weights in (([X, X], [Y, Y], None), (X, Y, np.ones((2, 50)))):
        with pytest.raises(ValueError, match="validation: a share goes with one data set"):
            bpjit.train_many([NET, NET], X_, Y_, validation=0.5, sample_weight=weights)
