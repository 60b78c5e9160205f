"""A bank of learners, against one OnlineLearner for each key."""

import copy
import os
import pickle

import numpy as np
import pytest

import bpjit
from bpjit.learners import learner_bank
from bpjit.learners.learner_bank import LearnerBank
from cases import slow

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")


def stream(sizes=(4, 8, 3), n=7, m=120, dtype="float64", hidden="tanh", output="softmax", scale=False):
    """Networks, and mixed records for them."""
    rng = np.random.default_rng(3)
    ids = rng.integers(0, n, m)
    X = rng.normal(0, 1, (m, sizes[0])).astype(dtype)
    Y = rng.dirichlet(np.ones(sizes[-1]), m).astype(dtype) if sizes[-1] > 1 else rng.random((m, 1)).astype(dtype)
    if scale:
        X, Y = 50 + 20 * X.astype(float), 300 * Y.astype(float) - 7
    carried = bpjit.Scale.standard(X, Y) if scale else None
    return bpjit.Networks.random(sizes, n, hidden, output, seed=2, dtype=dtype, scale=carried), ids, X, Y


def one_by_one(networks, ids, X, Y, **settings):
    """What a learner for each key makes of the records: errors, parameters, predictions of all records."""
    learners = [bpjit.OnlineLearner(net, **settings) for net in networks]
    E = [learners[key].learn(x, y) for key, x, y in zip(ids, X, Y, strict=True)]
    y_hat = [learners[key].predict(x) for key, x in zip(ids, X, strict=True)]
    return np.array(E, networks.dtype), np.stack([learner.network.parameters for learner in learners]), np.stack(y_hat)


def assert_same(networks, ids, X, Y, threads=1, **settings):
    E, parameters, y_hat = one_by_one(networks, ids, X, Y, **settings)
    bank = LearnerBank(networks, threads=threads, **settings)
    middle = len(ids) // 3
    errors = np.concatenate([bank.learn(ids[part], X[part], Y[part]) for part in (slice(middle), slice(middle, None))])
    assert errors.dtype == networks.dtype
    np.testing.assert_array_equal(errors, E)
    np.testing.assert_array_equal(bank.networks.parameters, parameters)
    np.testing.assert_array_equal(bank.predict(ids, X), y_hat)
    assert np.abs(parameters - networks.parameters).max() > 1e-3
    return bank


@pytest.mark.parametrize(
    ("rule", "dtype"),
    [
        ("sgd", "float32"),
        ("nesterov", "float64"),
        ("adam", "float64"),
        *(slow(rule, "float64") for rule in ("sgd", "momentum", "adagrad", "rmsprop")),
        *(slow(rule, "float32") for rule in ("nesterov", "adam")),
    ],
)
def test_a_bank_is_a_learner_for_each_key(rule, dtype):
    for sizes in ((1, 1), (4, 8, 3), (8, 10, 1), (5, 17, 9, 4), (33, 40, 12)):
        for more in ({}, {"lam": 0.99, "clip_gradient": 0.3, "clip_weights": 0.5}):
            networks, *records = stream(sizes, dtype=dtype, output="softmax" if sizes[-1] > 1 else "sigmoid")
            bank = assert_same(networks, *records, eta=0.05, rule=rule, **more)
            assert "clip_weights" not in more or np.abs(bank.networks.parameters).max() <= 0.5


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber", "cross_entropy"])
def test_losses_and_activations(loss):
    for hidden in ("sigmoid", "relu", "softplus", "sin"):
        for output in ("sigmoid", "softmax") if loss == "cross_entropy" else ("identity", "tanh", "softmax"):
            assert_same(*stream(hidden=hidden, output=output), eta=0.05, loss=loss)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_users_units(dtype):
    networks, ids, X, Y = stream(output="identity", dtype=dtype, scale=True)
    bank = assert_same(networks, ids, X, Y, eta=0.05)
    assert bank[3].scale == networks.scale
    assert bank.networks[3] == bank[3]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam"])
def test_the_number_of_threads_changes_no_bit(rule, dtype, monkeypatch):
    monkeypatch.setattr(learner_bank, "WORTH_SHARING", 1)
    monkeypatch.setattr(learner_bank, "CALL", 20 * (learner_bank.LEAST + 67))  # 20 records in each call
    for threads in (1, 2, 3):
        assert_same(*stream(m=300, dtype=dtype), threads=threads, rule=rule)


def test_large_blocks_are_shared():
    networks, ids, X, Y = stream((8, 10, 1), 500, 20_000, "float32", "sigmoid", "sigmoid")
    one, two = (LearnerBank(networks, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.learn(ids, X, Y), two.learn(ids, X, Y))
    assert one.networks == two.networks
    np.testing.assert_array_equal(one.predict(ids, X), two.predict(ids, X))


def test_targets_of_any_form():
    networks, ids, X, _ = stream()
    labels = np.arange(len(ids)) % 3
    one, other = LearnerBank(networks), LearnerBank(networks)
    np.testing.assert_array_equal(one.learn(ids, X, labels), other.learn(ids.tolist(), X.tolist(), np.eye(3)[labels]))
    assert one.networks == other.networks
    networks, ids, X, Y = stream((2, 1), output="sigmoid")
    one, other = LearnerBank(networks), LearnerBank(networks)
    one.learn(ids.astype(np.uint8), X, Y)
    other.learn(ids, np.asfortranarray(X), Y[:, 0].tolist())
    assert one.networks == other.networks


# --- Keys.


def test_keys_of_any_kind():
    networks, ids, X, Y = stream(n=4)
    plain = LearnerBank(networks, eta=0.3)
    E = plain.learn(ids, X, Y)
    for keys in (
        ["a", "b", "c", "d"],
        np.array(["ä", "b", "c", "d"]),
        [("x", 1), 7, None, 2.5],
        np.array([40, 7, -3, 5]),
    ):
        bank = LearnerBank(networks, keys, eta=0.3)
        own = list(bank.keys)
        named = [own[key] for key in ids]
        np.testing.assert_array_equal(bank.learn(named, X, Y), E)
        if isinstance(keys, np.ndarray):
            bank.restore(LearnerBank(networks, keys, eta=0.3).snapshot())
            np.testing.assert_array_equal(bank.learn(keys[ids], X, Y), E)
        assert bank.networks == plain.networks
        assert bank[own[2]] == plain[2] == plain[np.int64(2)]
        np.testing.assert_array_equal(bank.predict(named, X), plain.predict(ids, X))
    assert len(bank) == 4
    assert list(plain.keys) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("keys", "ids", "error", "message"),
    [
        (None, [0, 1, 2, 3], KeyError, "ids: no network has the key 3 of record 3"),
        (None, [0, -1], KeyError, "key -1 of record 1"),
        (None, np.array([0, 2**64 - 1], np.uint64), KeyError, "key 18446744073709551615 of record 1"),
        (None, [0.0], TypeError, "^ids: expected keys of shape .* 0 to 2"),
        (None, [True], TypeError, "^ids: "),
        (None, [[1]], TypeError, "^ids: "),
        (None, [[1], 2], TypeError, "^ids: "),
        (None, ["a"], TypeError, "^ids: "),
        (None, np.array([[1]]), ValueError, "^ids: .*shape"),
        (None, np.array(1), ValueError, "^ids: .*shape"),
        (None, 1, TypeError, "^ids: "),
        (None, [], ValueError, "^ids: .*none"),
        (("a", "b", "c"), ["a", "b", "x"], KeyError, "ids: no network has the key 'x' of record 2"),
        (("a", "b", "c"), np.array([0, 1]), KeyError, "key 0 of record 0"),
        (("a", "b", "c"), "abc", TypeError, "^ids: "),
        (("a", "b", "c"), ["a", []], TypeError, "^ids: .*cannot be a key"),
        (("a", "b", "c"), [], ValueError, "^ids: .*none"),
    ],
)
def test_unknown_keys(keys, ids, error, message):
    networks, _, X, _ = stream(n=3)
    bank = LearnerBank(networks, keys)
    for call in (lambda: bank.learn(ids, X, np.zeros(len(X))), lambda: bank.predict(ids, X)):
        with pytest.raises(error, match=message):
            call()
    assert bank.networks == networks


def test_no_network_for_a_key():
    bank = LearnerBank(stream(n=2)[0], ["a", "b"])
    for call in (lambda: bank["c"], lambda: bank.reset(["a", "c"])):
        with pytest.raises(KeyError, match="no network has the key 'c'"):
            call()


# --- Records that cannot be learnt.


@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("which", "record", "message"),
    [
        ("X", [1, np.nan, 3, 4], "^X, record 17 of key 'k2': .*nan"),
        ("X", [1, 2, 3, -np.inf], "^X, record 17 of key 'k2': .*inf"),
        ("X", [1, 2, 3], "^X, record 17 of key 'k2': "),
        ("X", [1, 2, 3, "four"], "^X, record 17 of key 'k2': "),
        ("Y", [np.nan, 0, 0], "^Y, record 17 of key 'k2': .*nan"),
        ("Y", [0.5, 0.9, 0.1], "^Y, record 17 of key 'k2': cross_entropy"),
        ("Y", [1.5, -0.5, 0.0], "^Y, record 17 of key 'k2': cross_entropy"),
        ("Y", [1.0, 0.0], "^Y, record 17 of key 'k2': "),
        ("labels", 3, "^Y, record 17 of key 'k2': .*class numbers 0 to 2, got 3"),
        ("labels", -1, "^Y, record 17 of key 'k2': "),
        ("labels", 0.5, "^Y, record 17 of key 'k2': "),
    ],
)
def test_a_bad_record_is_named_and_nothing_changes(which, record, message, rule):
    networks, ids, X, Y = stream()
    keys = [f"k{key}" for key in range(7)]
    ids[17] = 2
    named = [keys[key] for key in ids]
    bank = LearnerBank(networks, keys, rule=rule)
    bank.learn(named, X, Y)
    before = bank._bank.rows.copy()
    bad = {"X": X.tolist(), "Y": Y.tolist(), "labels": [0] * len(ids)}
    bad[which][17] = record
    targets = bad["labels" if which == "labels" else "Y"]
    with pytest.raises((ValueError, TypeError), match=message):
        bank.learn(named, bad["X"], targets)
    if which == "X":
        with pytest.raises((ValueError, TypeError), match=message):
            bank.predict(named, bad["X"])
    np.testing.assert_array_equal(bank._bank.rows, before)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.ones((5, 3)), np.zeros(5), r"^X: .*got shape \(5, 3\)"),
        (np.ones((4, 4)), np.zeros(5), "^Y: "),
        (np.ones((4, 4)), np.zeros(4), "^X: expected 5 records, as many as ids, got 4"),
        (np.ones((5, 4)), np.zeros(6), "^Y: "),
        (np.ones((5, 4)), np.zeros((5, 2)), "^Y: .*got shape"),
        (None, np.zeros(5), "^X: "),
    ],
)
def test_data_of_another_shape(X, Y, message):
    networks, *_ = stream()
    bank = LearnerBank(networks)
    with pytest.raises((ValueError, TypeError), match=message):
        bank.learn([0, 1, 2, 3, 4], X, Y)
    assert bank.networks == networks


@pytest.mark.parametrize("rule", RULES)
def test_a_record_that_diverges_disturbs_no_other(rule):
    networks, ids, X, Y = stream(output="identity")
    clean = LearnerBank(networks, rule=rule, threads=1)
    expected = clean.learn(np.delete(ids, 40), np.delete(X, 40, 0), np.delete(Y, 40, 0))
    bank, Y = LearnerBank(networks, rule=rule, threads=1), Y.copy()
    Y[40] = 1e200  # its squared error is beyond all numbers
    errors = bank.learn(ids, X, Y)
    assert np.flatnonzero(np.isnan(errors)).tolist() == [40]
    np.testing.assert_array_equal(np.delete(errors, 40), expected)
    np.testing.assert_array_equal(bank._bank.rows, clean._bank.rows)


def test_a_network_that_diverges_keeps_finite_weights():
    networks = bpjit.Networks.random((3, 4, 2), 3, "identity", "identity", seed=1, dtype="float32")
    bank = LearnerBank(networks, eta=3.0)
    ids, Y = np.zeros(500, np.int64), np.full((500, 2), 5.0)
    assert np.isnan(bank.learn(ids, np.full((500, 3), 3.0), Y)[-1])
    assert np.isfinite(bank.networks.parameters).all()
    assert bank.networks[1:] == networks[1:]


# --- Keeping and starting anew.


@pytest.mark.parametrize("rule", RULES)
def test_snapshots_are_exact(rule, tmp_path):
    networks, ids, X, Y = stream()
    keys = [f"k{key}" for key in range(6)] + [("last", 7)]
    ids = [keys[key] for key in ids]
    bank = LearnerBank(networks, keys, eta=0.02, rule=rule, lam=0.99, clip_weights=np.float32(0.9), seed=np.int64(5))
    bank.learn(ids, X, Y)
    rows, before = bank._bank.rows.copy(), bank.snapshot()
    assert before.networks == bank.networks
    bank.save(tmp_path / "bank")
    errors = bank.learn(ids, X, Y)
    after = bank._bank.rows.copy()
    bank.restore(before)
    np.testing.assert_array_equal(bank._bank.rows, rows)
    others = (LearnerBank.load(tmp_path / "bank"), LearnerBank.load(tmp_path / "bank", threads=1))
    for other in (bank, *others, copy.deepcopy(bank), pickle.loads(pickle.dumps(bank))):
        other.restore(before)
        np.testing.assert_array_equal(other.learn(ids, X, Y), errors)
        np.testing.assert_array_equal(other._bank.rows, after)
        other.reset()
        assert other.networks == networks
    others[0].learn(ids, X, Y)
    assert before.networks != networks  # a snapshot stays as it is


def test_a_file_holds_the_scale_and_plain_keys(tmp_path):
    networks, ids, X, Y = stream(output="identity", scale=True)
    bank = LearnerBank(networks, rule=bpjit.Momentum(mu=0.7), loss="huber", clip_gradient=1.0)
    bank.learn(ids, X, Y)
    bank.save(tmp_path / "bank")
    other = LearnerBank.load(tmp_path / "bank")
    assert other.keys == range(7)
    assert other.networks == bank.networks
    np.testing.assert_array_equal(other.learn(ids, X, Y), bank.learn(ids, X, Y))


def test_files_that_are_none(tmp_path):
    path = tmp_path / "bank"
    with pytest.raises(OSError):
        LearnerBank.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="^path: .*damaged"):
        LearnerBank.load(path)
    networks = stream(n=2)[0]
    networks.save(path)
    with pytest.raises(ValueError, match="^path: .*another kind"):
        LearnerBank.load(path)
    with pytest.raises(TypeError, match="^keys: a file holds"):
        LearnerBank(networks, [object(), "b"]).save(path)
    assert bpjit.Networks.load(path) == networks
    LearnerBank(networks, list(np.array([8, 3]))).save(path)
    assert LearnerBank.load(path).keys == (8, 3)


def test_a_snapshot_of_something_else():
    networks = stream(n=3)[0]
    bank = LearnerBank(networks, rule="adam")
    for other, message in (
        (LearnerBank(networks[:2], rule="adam"), "Networks"),
        (LearnerBank(stream((4, 7, 3), n=3)[0], rule="adam"), "Networks"),
        (LearnerBank(networks, rule="momentum"), "Momentum"),
        (LearnerBank(networks, rule=bpjit.Adam(beta1=0.8)), "Adam"),
        (LearnerBank(networks, ["a", "b", "c"], rule="adam"), "keys"),
    ):
        with pytest.raises(ValueError, match=f"^snapshot: .*{message}"):
            bank.restore(other.snapshot())
    with pytest.raises(TypeError, match="^snapshot: "):
        bank.restore(networks)


@pytest.mark.parametrize("rule", RULES)
def test_reset_of_some(rule):
    networks, ids, X, Y = stream()
    fresh, bank = LearnerBank(networks, rule=rule), LearnerBank(networks, rule=rule)
    start = bank._bank.rows.copy()
    bank.learn(ids, X, Y)
    learnt = bank._bank.rows.copy()
    bank.reset([2, 5])
    np.testing.assert_array_equal(bank._bank.rows[[2, 5]], start[[2, 5]])
    np.testing.assert_array_equal(bank._bank.rows[[0, 1, 3, 4, 6]], learnt[[0, 1, 3, 4, 6]])
    bank.reset()
    np.testing.assert_array_equal(bank._bank.rows, fresh._bank.rows)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_its_own_threads(monkeypatch):
    monkeypatch.setattr(learner_bank, "WORTH_SHARING", 1)
    networks, ids, X, Y = stream()
    bank = LearnerBank(networks, threads=2)
    bank.learn(ids, X, Y)
    child = os.fork()
    if child == 0:
        bank.learn(ids, X, Y)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


# --- Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "rprop"}, "^rule: "),
        ({"rule": "quickprop"}, "^rule: "),
        ({"eta": 0}, "^eta: "),
        ({"eta": bpjit.Cosine(0.1, 10)}, "^eta: "),
        ({"lam": 1.5}, "^lam: "),
        ({"clip_gradient": 0}, "^clip_gradient: "),
        ({"clip_weights": -1}, "^clip_weights: "),
        ({"loss": "hinge"}, "^loss: "),
        ({"seed": -1}, "^seed: "),
        ({"threads": 0}, "^threads: "),
        ({"keys": ["a"]}, "^keys: expected 3 different keys.*got 1"),
        ({"keys": ["a", "b", "a"]}, "^keys: .*'a' at 0 and at 2"),
        ({"keys": ["a", "b", []]}, "^keys: .*cannot be a key"),
        ({"keys": "abc"}, "^keys: "),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LearnerBank(bpjit.Networks.random((2, 3, 1), 3), **settings)


def test_wrong_networks():
    with pytest.raises(TypeError, match="^networks: .*Networks.of"):
        LearnerBank(bpjit.Network.random((2, 3, 1)))
    with pytest.raises(ValueError, match="^networks: .*step"):
        LearnerBank(bpjit.Networks.random((2, 3, 1), 3, output="step"))


def test_what_it_says_of_itself():
    bank = LearnerBank(bpjit.Networks.random((2, 3, 1), 3), rule="adam")
    assert repr(bank) == f"LearnerBank({bank.networks!r}, rule adam)"
    assert repr(bank.snapshot()) == f"Snapshot({bank.networks!r}, rule adam)"
