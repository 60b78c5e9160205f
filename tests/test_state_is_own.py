"""What holds state works on memory of its own, however it came: out of a pickle whose buffers nobody may write to, as
Ray and Dask hand them over, or out of a file that is mapped read-only, as joblib does it for its workers.
"""

import io
import mmap
import pickle

import numpy as np
import pytest
from numba import njit

import bpjit
from bpjit.kernels.drivers import READABLE

SIZES = (2, 4, 1)  # a shape that other tests train many networks of, too
rng = np.random.default_rng(3)
X, Y = rng.normal(size=(40, 2)), rng.uniform(size=(40, 1))
EARLY = {"validation": (X, Y), "stop": [bpjit.EarlyStopping(patience=50), bpjit.MaxEpochs(5)]}
FITS = [{"rule": "adam"}, {"updates": "accumulated", "eta": bpjit.AdaptiveRate(0.1)}, {"updates": 8, **EARLY}]


class _Mapping(pickle.Unpickler):
    """Lets the arrays of a pickle be maps of a file, opened read-only: whoever writes is killed."""

    def __init__(self, data, path):
        super().__init__(io.BytesIO(data))
        self.path = path

    def persistent_load(self, number):
        return np.load(self.path / f"{number}.npy", mmap_mode="r")


class _Saving(pickle.Pickler):
    def __init__(self, file, path):
        super().__init__(file, protocol=5)
        self.path, self.count = path, 0

    def persistent_id(self, value):
        if type(value) is not np.ndarray or value.dtype.hasobject or not value.size:
            return None
        self.count += 1
        np.save(self.path / f"{self.count}.npy", value)
        return self.count


def from_bytes(value, tmp_path):
    """A twin whose arrays lie in bytes objects, these, and what they hold."""
    buffers = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    frozen = [bytes(buffer.raw()) for buffer in buffers]
    assert frozen
    return pickle.loads(data, buffers=frozen), frozen, [bytes(bytearray(each)) for each in frozen]


def from_maps(value, tmp_path):
    file = io.BytesIO()
    saving = _Saving(file, tmp_path)
    saving.dump(value)
    assert saving.count
    return _Mapping(file.getvalue(), tmp_path).load(), [], []


WAYS = pytest.mark.parametrize("come", [from_bytes, from_maps] if hasattr(mmap, "PROT_READ") else [from_bytes])
pytestmark = pytest.mark.skipif(READABLE, reason="needs the JIT")


@WAYS
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_learners(come, rule, tmp_path):
    learner = bpjit.OnlineLearner(bpjit.Network.random(SIZES), rule=rule)
    learner.learn(X[0], Y[0])
    twin, frozen, before = come(learner, tmp_path)
    assert [twin.learn(x, y) for x, y in zip(X, Y, strict=True)] == [
        learner.learn(x, y) for x, y in zip(X, Y, strict=True)
    ]
    assert twin.network == learner.network
    twin.reset()
    assert frozen == before


@njit
def learn_and_predict(state, X, Y, y_hat):
    for k in range(len(X)):
        bpjit.compiled.learn(state, X[k], Y[k])
    bpjit.compiled.predict(state, X[0], y_hat)


@WAYS
def test_the_state_of_a_learner(come, tmp_path):
    learner = bpjit.OnlineLearner(bpjit.Network.random(SIZES))
    twin, frozen, before = come(learner.state, tmp_path)
    answers = [np.empty(1), np.empty(1)]
    learn_and_predict(twin, X, Y, answers[0])
    assert learner.network == bpjit.Network.random(SIZES)
    learn_and_predict(learner.state, X, Y, answers[1])
    assert answers[0] == answers[1]
    assert frozen == before


def test_a_state_that_nobody_may_write_to_is_refused():
    state = bpjit.OnlineLearner(bpjit.Network.random(SIZES)).state
    fixed = state._replace(data=np.frombuffer(state.data.tobytes()))
    for call in (
        lambda: learn_and_predict(fixed, X, Y, np.empty(1)),
        lambda: bpjit.compiled.learn(fixed, X[0], Y[0]),
        lambda: bpjit.compiled.predict(fixed, X[0], np.empty(1)),
        lambda: bpjit.compiled.slopes(fixed, X[0], np.empty(1), np.empty((1, 2))),
    ):
        with pytest.raises(TypeError, match="state: expected that of an OnlineLearner, which can be written"):
            call()
    assert fixed.data.tobytes() == state.data.tobytes()


@WAYS
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_banks_and_snapshots(come, rule, tmp_path):
    bank = bpjit.LearnerBank(bpjit.Networks.random(SIZES, 3), rule=rule)
    bank.learn([0] * 40, X, Y)
    for value in (bank, bank.snapshot()):
        twin, frozen, before = come(value, tmp_path)
        if value is not bank:
            assert twin.networks == bank.networks
            snapshot, twin = twin, bpjit.LearnerBank(bpjit.Networks.random(SIZES, 3), rule=rule)
            twin.restore(snapshot)
        expected = pickle.loads(pickle.dumps(bank))
        assert twin.learn([1, 0] * 20, X, Y).tolist() == expected.learn([1, 0] * 20, X, Y).tolist()
        twin.reset([0])
        assert frozen == before


@WAYS
@pytest.mark.parametrize("sizes", [SIZES, pytest.param((2, 40, 1), marks=pytest.mark.slow)])
def test_networks(come, sizes, tmp_path):
    net = bpjit.Network.random(sizes)
    twin, frozen, before = come(net, tmp_path)
    assert bpjit.train(twin, X, Y, stop=2).network == bpjit.train(net, X, Y, stop=2).network
    assert (twin.predict(X) == net.predict(X)).all()
    assert (bpjit.gradient(twin, X, Y) == bpjit.gradient(net, X, Y)).all()
    assert frozen == before
    for count in (1, 3):
        nets = bpjit.Networks.random(sizes, count)
        twin, frozen, before = come(nets, tmp_path)
        assert bpjit.train_many(twin, X, Y, stop=2).networks == bpjit.train_many(nets, X, Y, stop=2).networks
        bpjit.LearnerBank(twin).learn([0] * 40, X, Y)
        assert twin == nets
        assert frozen == before


@WAYS
@pytest.mark.parametrize("settings", FITS)
def test_fits_to_go_on_from(come, settings, tmp_path):
    settings = {"stop": 5, **settings}
    fit = bpjit.train(bpjit.Network.random(SIZES), X, Y, **settings)
    twin, frozen, before = come(fit, tmp_path)
    for _ in range(2):  # a fit stays as it is
        later = bpjit.train(twin.network, X, Y, resume=twin, **settings)
        assert later.network == bpjit.train(fit.network, X, Y, resume=fit, **settings).network
        assert frozen == before
