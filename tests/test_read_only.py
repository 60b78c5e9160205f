"""Arrays that nobody may write to, and those that came by pickle or from a file: as fast as others, and not copied."""

import copy
import mmap
import pickle
import tracemalloc

import numpy as np
import pytest

import bpjit
from bpjit.kernels import compiling
from bpjit.kernels.drivers import READABLE
from bpjit.learners import online_learner
from bpjit.networks.architecture import Architecture

SIZES = (2, 4, 1)  # a shape that other tests train many networks of, too


def protected(array):
    """The same numbers in pages that only reading is allowed of: whoever writes is killed."""
    array = np.ascontiguousarray(array)
    pages = mmap.mmap(-1, max(1, array.nbytes), prot=mmap.PROT_READ | mmap.PROT_WRITE)
    np.frombuffer(pages, array.dtype)[:] = array.ravel()
    _protect(pages)
    return np.frombuffer(memoryview(pages).toreadonly(), array.dtype).reshape(array.shape)


def _protect(pages):
    import ctypes

    view = (ctypes.c_char * len(pages)).from_buffer(pages)
    libc = ctypes.CDLL(None, use_errno=True)
    size = -(-len(pages) // mmap.PAGESIZE) * mmap.PAGESIZE
    assert libc.mprotect(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(size), mmap.PROT_READ) == 0


@pytest.fixture
def compilations(monkeypatch):
    """Every kernel that is compiled, or looked for on disk, from now on."""
    found, compile = [], compiling.Kernel.compile

    def note(self, signature):
        known = set(self.overloads)
        code = compile(self, signature)
        found.extend(self.py_func.__name__ for _ in set(self.overloads) - known)
        return code

    monkeypatch.setattr(compiling.Kernel, "compile", note)
    return found


def data(dtype, m=300):
    rng = np.random.default_rng(0)
    return rng.random((m, SIZES[0])).astype(dtype), rng.random((m, SIZES[-1])).astype(dtype), np.arange(m) % 7


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="the system has no protected pages")
@pytest.mark.skipif(READABLE, reason="needs the JIT")
def test_data_are_never_written_to_and_compile_nothing_anew(compilations):
    X, Y, ids = data("float64")
    weights = np.linspace(0.5, 1.5, len(X))
    small, net, nets = bpjit.Network.random(SIZES), bpjit.Network.random((2, 40, 1)), bpjit.Networks.random(SIZES, 7)
    jobs = (
        lambda X, Y, ids, c: bpjit.train(small, X, Y, stop=2).network,
        lambda X, Y, ids, c: bpjit.train(net, X, Y, stop=2).network,
        lambda X, Y, ids, c: bpjit.train(net, X, Y, stop=2, rule="adam", validation=(X, Y), sample_weight=c).network,
        lambda X, Y, ids, c: bpjit.train(net, X, Y, stop=2, updates="accumulated", threads=2).network,
        lambda X, Y, ids, c: bpjit.train_many(nets, X, Y, stop=2).networks,
        lambda X, Y, ids, c: net.predict(X).tolist(),
        lambda X, Y, ids, c: nets.predict(X).tolist(),
        lambda X, Y, ids, c: bpjit.jacobian(net, X).tolist(),
        lambda X, Y, ids, c: bpjit.gradient(net, X, Y, sample_weight=c).tolist(),
        lambda X, Y, ids, c: bpjit.Objective(net, X, Y).hessian_product(net.parameters, c[np.arange(161) % 9]).tolist(),
        lambda X, Y, ids, c: bpjit.LearnerBank(nets).learn(ids, X, Y).tolist(),
        lambda X, Y, ids, c: bpjit.LearnerBank(nets).predict(ids, X).tolist(),
        lambda X, Y, ids, c: [bpjit.OnlineLearner(net).learn(x, y) for x, y in zip(X, Y, strict=True)],
        lambda X, Y, ids, c: [bpjit.OnlineLearner(net).predict(x).tolist() for x in X],
    )
    fixed = [protected(array) for array in (X, Y, ids, weights)]
    assert not any(array.flags.writeable for array in fixed)
    for job in jobs:
        expected = job(X, Y, ids, weights)
        compilations.clear()
        assert job(*fixed) == expected
        assert job(fixed[0], Y, fixed[2], weights) == expected
        assert job(X, fixed[1], ids, fixed[3]) == expected
        assert compilations == []


def kinds(x, tmp_path):
    """The same numbers in arrays that came in various ways."""
    path = tmp_path / f"{len(x)}.npy"
    np.save(path, x)
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    frozen = x.copy()
    frozen.flags.writeable = False
    twin = pickle.loads(pickle.dumps(x))
    assert twin.dtype is not x.dtype
    return [
        frozen,
        np.frombuffer(x.tobytes(), x.dtype),
        twin,
        pickle.loads(pickle.dumps(frozen)),
        copy.deepcopy(x),
        np.broadcast_to(x, (2, len(x)))[1],
        mapped,
        np.load(path, mmap_mode="c"),
        x.astype(np.dtype(x.dtype.str, metadata={"unit": "m"})),
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_learners_take_arrays_from_anywhere_as_they_are(dtype, tmp_path, compilations, monkeypatch):
    net = bpjit.Network.random(SIZES, dtype=dtype)
    bpjit.OnlineLearner(net).learn(np.ones(2, dtype), np.ones(1, dtype))
    bpjit.OnlineLearner(net).predict(np.ones(2, dtype))
    compilations.clear()

    def convert(*arguments, **names):
        pytest.fail("it was converted")

    monkeypatch.setattr(online_learner, "as_samples", convert)
    monkeypatch.setattr(Architecture, "as_inputs", convert)
    x, y = (array[0] for array in data(dtype)[:2])
    expected = bpjit.OnlineLearner(net)
    error, y_hat = expected.learn(x, y), expected.predict(x).tolist()
    for start in (net, pickle.loads(pickle.dumps(net)), copy.deepcopy(net), copy.copy(net)):
        for inputs in [x, *kinds(x, tmp_path)]:
            for targets in [y, *kinds(y, tmp_path)]:
                learner = bpjit.OnlineLearner(start)
                for one in (learner, pickle.loads(pickle.dumps(learner)), copy.deepcopy(learner)):
                    assert one.learn(inputs, targets) == error
                    assert one.predict(inputs).tolist() == y_hat
    assert compilations == []


def test_a_read_only_array_is_a_type_of_its_own_for_a_kernel_only_once(monkeypatch):
    learner, calls = bpjit.OnlineLearner(bpjit.Network.random(SIZES)), []
    x, y = (np.frombuffer(np.ones(n).tobytes()) for n in SIZES[::2])
    learner.learn(x, y)
    learner.predict(x)
    monkeypatch.setattr(compiling.Kernel, "_compile_for_args", lambda *arguments: calls.append(arguments))
    for _ in range(5):
        learner.learn(x, y)
        learner.predict(x)
    assert calls == []


@pytest.mark.parametrize("mode", ["r", "c"])
def test_mapped_data_are_not_copied(mode, tmp_path):
    X, Y, _ = data("float64", 20_000)
    np.save(tmp_path / "X", X)
    mapped, net = np.load(tmp_path / "X.npy", mmap_mode=mode), bpjit.Network.random(SIZES)
    for job in (lambda X: net.predict(X), lambda X: bpjit.train(net, X, Y, stop=1)):
        peaks = []
        for given in (X, mapped):
            job(given)
            tracemalloc.start()
            job(given)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] + X.nbytes / 4
