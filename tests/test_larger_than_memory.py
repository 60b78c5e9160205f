"""Data that need not fit into memory: mapped arrays and blocks give the bits of the same data there, and little of them
is there at a time."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.kernels.drivers import READABLE
from bpjit.maths import random_streams
from bpjit.networks import source
from bpjit.networks.blocks import is_mapped
from bpjit.networks.evaluation import as_samples
from bpjit.training import windows

M, CUTS = 9000, (0, 100, 4100, 4101, 7000, 9000)  # samples, and where blocks begin


@pytest.fixture
def little(monkeypatch):
    """So little memory that windows, parts, and ranges of keys end all over the data."""
    monkeypatch.setattr(source, "BUFFER", 1 << 13)
    monkeypatch.setattr(source, "PART", 1 << 12)
    monkeypatch.setattr(source, "MOST_ROWS", M - 1)
    monkeypatch.setattr(windows, "WINDOW", 700)


@pytest.fixture
def mapped(tmp_path):
    """Makes a mapped array, for reading alone, of the same numbers."""
    numbers = itertools.count()

    def map_array(array, order="C"):
        path = tmp_path / f"{next(numbers)}.npy"
        np.save(path, np.asarray(array, order=order))
        return np.load(path, mmap_mode="r")

    return map_array


def data(d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(M, d))
    return X, 0.5 + 0.4 * np.sin(X[:, :1] + X[:, 1:2])


def in_blocks(X, Y):
    return [(X[a:b], Y[a:b]) for a, b in itertools.pairwise(CUTS)]


def check_same(one, other):
    assert one.network.parameters.tobytes() == other.network.parameters.tobytes()
    assert one.errors.tobytes() == other.errors.tobytes()
    assert one.validation_errors.tobytes() == other.validation_errors.tobytes()
    kept = "error", "objective", "epochs", "updates", "best_epoch", "network_epoch", "stopped_by"
    assert [getattr(one, name) for name in kept] == [getattr(other, name) for name in kept]


def trained(net, *given, stop=3, **settings):
    return bpjit.train(net, *given, stop=stop, target="cpu", progress=False, **settings)


# --- Mapped arrays.

TINY, SMALL = (3, 4, 1), (3, 9, 1)
SOME = [
    (TINY, {"eta": 0.5}),
    (SMALL, {"updates": 32}),
    (SMALL, {"updates": "accumulated"}),
]
MORE = [
    (sizes, {"updates": updates, "rule": rule, "shuffle": shuffle})
    for sizes in (TINY, SMALL, (3, 40, 30, 1))
    for updates in ("stochastic", 1, 7, 300, 2000, "accumulated")
    for rule in ("sgd", "nesterov", "adam")
    for shuffle in (True, False)
] + [(SMALL, {"rule": "rprop"}), (SMALL, {"lam": 0.9}), (SMALL, {"eta": bpjit.AdaptiveRate(0.3), "updates": 50})]


def check_mapped(mapped, sizes, settings, dtype="float64"):
    """Of other numbers than the network's, and of those that could be read where they lie."""
    net, (X, Y) = bpjit.Network.random(sizes, seed=1, dtype=dtype), data()
    X, Y = (array.astype(np.float32).astype(dtype) for array in (X, Y))
    other = X.astype(np.float32 if dtype == "float64" else np.float64)
    there = trained(net, X, Y, **settings)
    check_same(there, trained(net, mapped(other), mapped(Y), **settings))
    check_same(there, trained(net, mapped(X), mapped(Y), **settings))


@pytest.mark.parametrize(("sizes", "settings"), SOME)
def test_mapped_arrays_train_to_the_bits_of_arrays(little, mapped, sizes, settings):
    check_mapped(mapped, sizes, settings)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("sizes", "settings"), MORE)
def test_mapped_arrays_train_to_the_bits_of_arrays_whatever_the_settings(little, mapped, sizes, settings, dtype):
    check_mapped(mapped, sizes, settings, dtype)


@pytest.mark.parametrize(
    "layout",
    [
        lambda A, mapped: mapped(A),
        lambda A, mapped: mapped(A, "F"),
        lambda A, mapped: mapped(A.astype(">f4")),
        lambda A, mapped: mapped(np.repeat(A, 2, 1))[:, ::2],
        lambda A, mapped: mapped(A[::-1])[::-1],
        lambda A, mapped: mapped(np.round(100 * A).astype(np.int16)),
        lambda A, mapped: mapped(A > 0),
    ],
    ids=["C", "F", "big-endian", "columns", "backwards", "int16", "bool"],
)
def test_every_layout_and_dtype_with_a_scale(little, mapped, layout):
    X, Y = data()
    mX, mY = layout(X, mapped), layout(Y, mapped)
    assert is_mapped(mX)
    X, Y = np.array(mX), np.array(mY)
    net = bpjit.Network.random(
        SMALL, output="identity", seed=1, scale=bpjit.Scale([0.1, 0, 2], [2, -1, 3], [0.3], [2.0])
    )
    settings = {"updates": 32}
    check_same(trained(net, X, Y, **settings), trained(net, mX, mY, **settings))
    assert bpjit.error(net, mX, mY) == bpjit.error(net, X, Y)
    assert np.array_equal(bpjit.gradient(net, mX, mY), bpjit.gradient(net, X, Y))
    assert np.array_equal(net.predict(mX), net.predict(X))
    assert np.array_equal(net.classify(mX), net.classify(X))
    assert np.array_equal(bpjit.jacobian(net, mX), bpjit.jacobian(net, X))


def test_weights_missing_targets_and_what_is_held_out(little, mapped):
    X, Y = data()
    X = X.astype(np.float32)
    rng = np.random.default_rng(3)
    absent = rng.uniform(size=M) < 0.2
    weights = np.where(absent, 0.0, rng.uniform(0.5, 2, size=M))
    X[absent], Y[absent] = np.nan, np.inf
    missing = Y.copy()
    missing[::7] = np.nan
    net = bpjit.Network.random(SMALL, seed=1)
    for more in (
        {"sample_weight": weights},
        {"sample_weight": weights, "missing": "ignore"},
        {"sample_weight": weights, "missing": "ignore", "validation": 0.3},
    ):
        targets = missing if "missing" in more else Y
        fits = [
            trained(net, *arrays, updates=32, **more)
            for arrays in ((X, targets), (mapped(X), targets), (mapped(X), mapped(targets)))
        ]
        check_same(fits[0], fits[1])
        check_same(fits[0], fits[2])
    del more["validation"]
    assert bpjit.error(net, mapped(X), missing, **more) == bpjit.error(net, X, missing, **more)
    gradients = [bpjit.gradient(net, inputs, missing, **more) for inputs in (mapped(X), X)]
    assert np.array_equal(*gradients)


def test_classes_and_their_weights(little, mapped):
    X, Y = data()
    X, labels = X.astype(np.float32), (Y[:, 0] > 0.5) + (Y[:, 0] > 0.8)
    net = bpjit.Network.random((3, 9, 3), output="softmax", seed=1)
    settings = {"updates": 32, "class_weight": "balanced"}
    check_same(trained(net, X, labels, **settings), trained(net, mapped(X), mapped(labels), **settings))
    with pytest.raises(ValueError, match=r"class numbers 0 to 2, got 3"):
        trained(net, mapped(X), np.where(np.arange(M) == 2000, 3, labels))
    with pytest.raises(ValueError, match=r"sum to 1"):
        trained(net, mapped(X), mapped(np.ones((M, 3))))


def test_validation_going_back_and_resuming(little, mapped):
    X, Y = data()
    V, W = data(seed=5)
    X, V = X.astype(np.float32), V.astype(np.float32)
    net = bpjit.Network.random(SMALL, seed=1)
    settings = {"updates": 32, "eta": 0.05}
    stop = [bpjit.MaxEpochs(30), bpjit.EarlyStopping(patience=3, every=2)]
    there = trained(net, X, Y, validation=(V, W), stop=stop, **settings)
    for given, validation in (
        ((mapped(X), mapped(Y)), (mapped(V), mapped(W))),
        ((X, Y), (mapped(V), mapped(W))),
        ((mapped(X), mapped(Y)), (V, W)),
        ((X, Y), in_blocks(V, W)),
    ):
        check_same(there, trained(net, *given, validation=validation, stop=stop, **settings))
    goal = [bpjit.MaxEpochs(30), bpjit.TargetError(0.5 * bpjit.error(net, X, Y))]
    there = trained(net, X, Y, stop=goal, **settings)
    assert there.stopped_by == "TargetError"
    check_same(there, trained(net, mapped(X), mapped(Y), stop=goal, **settings))
    once = trained(net, mapped(X), mapped(Y), stop=5, **settings)
    first = trained(net, mapped(X), mapped(Y), stop=2, **settings)
    again = trained(first.network, mapped(X), mapped(Y), stop=3, resume=first, **settings)
    assert again.network == once.network
    assert again.errors.tobytes() == once.errors.tobytes()
    assert bpjit.diagnose(once) is not None


def test_what_is_wrong_in_a_mapped_array_is_named(little, mapped):
    X, Y = data()
    net = bpjit.Network.random(SMALL, seed=1)
    X = X.astype(np.float32)
    X[2000, 1] = np.nan
    for do in (trained, bpjit.error, bpjit.gradient):
        with pytest.raises(ValueError, match=r"X: .* got nan at \[2000, 1\]"):
            do(net, mapped(X), Y)
    with pytest.raises(ValueError, match=rf"Y: expected .*\({M}, 1\).*, got shape \({M - 1}, 1\)"):
        trained(net, mapped(X), mapped(Y[1:]))
    with pytest.raises(ValueError, match=r"X: expected .*\(m, 3\)"):
        trained(net, mapped(X[:, :2]), Y)


# --- What is in memory.

ROWS, COLUMNS = 100_000, 60


@pytest.fixture
def large(tmp_path):
    """Maps 24 MB of numbers of float32 in a file, or 48 MB of float64."""

    def make(dtype):
        X = np.memmap(tmp_path / dtype, dtype, "w+", shape=(ROWS, COLUMNS))
        X[:] = np.linspace(-1, 1, ROWS)[:, None]
        return np.memmap(tmp_path / dtype, dtype, "r", shape=(ROWS, COLUMNS))

    return make


def peak_of(do):
    """MB of memory that something needed beyond what was there, and what it gave."""
    gc.collect()
    tracemalloc.start()
    try:
        found = do()
        return tracemalloc.get_traced_memory()[1] / 2**20, found
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(READABLE, reason="too slow without the JIT")
@pytest.mark.parametrize("scaled", [True, False])
def test_little_is_in_memory_at_a_time(large, monkeypatch, scaled):
    monkeypatch.setattr(source, "BUFFER", 1 << 21)
    scale = bpjit.Scale(np.zeros(COLUMNS), np.full(COLUMNS, 2.0)) if scaled else None
    net, X = bpjit.Network.random((COLUMNS, 3, 1), seed=0, scale=scale), large("float32")
    Y = np.full((ROWS, 1), 0.5)
    trained(net, X[:9000], Y[:9000], stop=1, updates=64)  # compiles
    for do in (
        lambda X, Y: trained(net, X, Y, stop=1, updates=64),
        lambda X, Y: trained(net, X, Y, stop=1, updates="accumulated"),
        lambda X, Y: bpjit.error(net, X, Y),
        lambda X, Y: bpjit.gradient(net, X, Y),
        lambda X, Y: net.predict(X),
        lambda X, Y: net.predict(X, target="auto"),
        lambda X, Y: net.classify(X),
    ):
        assert peak_of(lambda do=do: do(X, Y))[0] < 12
    peak, J = peak_of(lambda: bpjit.jacobian(net, X, by="inputs"))
    assert peak < J.nbytes / 2**20 + 12


@pytest.mark.skipif(READABLE, reason="too slow without the JIT")
def test_what_lies_ready_is_read_where_it_lies(large):
    """Of 6,000,000 numbers not even a mask of those that are finite is made."""
    net, X, Y = bpjit.Network.random((COLUMNS, 3, 1), seed=0), large("float64"), np.full((ROWS, 1), 0.5)
    assert np.shares_memory(as_samples(net, X, Y, "squared").X, X)
    assert peak_of(lambda: as_samples(net, X, Y, "squared"))[0] < 5
    assert peak_of(lambda: trained(net, X, Y, stop=1, updates=64))[0] < 9


# --- Blocks.


class Files:
    """Blocks that are made when they are asked for, and count who lives."""

    def __init__(self, X, Y):
        self.arrays, self.alive, self.most, self.loads = (X, Y), [], 0, []
        self.when = lambda load: None

    def __len__(self):
        return len(CUTS) - 1

    def __getitem__(self, index):
        self.loads.append(index)
        self.when(len(self.loads))
        X, Y = (array[CUTS[index] : CUTS[index + 1]].copy() for array in self.arrays)
        self.alive = [reference for reference in (*self.alive, weakref.ref(X)) if reference() is not None]
        self.most = max(self.most, len(self.alive))
        return X, Y


def order_of(seed, epoch):
    """The order that the documentation states: blocks as drawn, and in each its rows by the keys they have anyway."""
    numbers = np.arange(M, dtype=np.uint64)

    def drawn(purpose, numbers):
        key = random_streams.stream(random_streams.base(seed, purpose), np.array([epoch], np.uint64))
        return random_streams.draw(key, numbers)

    blocks = np.argsort(drawn(random_streams.BLOCKS, numbers[: len(CUTS) - 1]))
    keys = drawn(random_streams.ORDER, numbers)
    return np.concatenate([CUTS[b] + np.argsort(keys[CUTS[b] : CUTS[b + 1]]) for b in blocks])


@pytest.mark.parametrize(("sizes", "settings"), SOME[:2])
def test_blocks_come_in_a_drawn_order_and_so_do_their_rows(little, sizes, settings):
    (X, Y), net = data(), bpjit.Network.random(sizes, seed=1)
    order = order_of(7, 0)
    assert sorted(order) == list(range(M))
    expected = trained(net, X[order], Y[order], stop=1, shuffle=False, **settings)
    found = trained(net, in_blocks(X, Y), stop=1, seed=7, **settings)
    assert found.network == expected.network
    assert found.errors.tolist() == expected.errors.tolist()
    second = order_of(7, 1)
    assert not np.array_equal(order, second)
    assert (
        trained(net, Files(X, Y), stop=2, seed=7, **settings).network != trained(net, in_blocks(X, Y), stop=2).network
    )


def test_every_row_once_an_epoch_one_block_at_a_time(little):
    X, Y = data()
    X[:, 0] = np.arange(M)
    files = Files(X, Y)
    D = source.looked_at(source.brought(bpjit.Network.random(SMALL), files, None, "squared"))
    window = windows.Window(D)
    for epoch in range(3):
        visited, position = [], 0
        files.loads.clear()
        while position < M:
            count = window.bring(epoch, position, 7)
            rows = window.rows.X[position - window.first : position - window.first + count, 0]
            visited, position = [*visited, *rows.astype(int).tolist()], position + count
        assert visited == order_of(7, epoch).tolist()
        assert len(files.loads) <= len(files)
    assert files.most == 1


def test_blocks_give_the_bits_of_all_rows_where_the_order_is_theirs(little):
    (X, Y), net = data(), bpjit.Network.random(SMALL, seed=1, scale=bpjit.Scale([0.1, 0, 2], [2, -1, 3]))
    blocks = in_blocks(X, Y)
    for settings in ({"updates": "accumulated"}, {"updates": 32, "shuffle": False}):
        check_same(trained(net, X, Y, **settings), trained(net, blocks, **settings))
    check_same(trained(net, X, Y, updates=32), trained(net, [(X, Y)], updates=32))
    assert bpjit.error(net, blocks) == bpjit.error(net, X, Y)
    assert np.array_equal(bpjit.gradient(net, blocks), bpjit.gradient(net, X, Y))
    files = Files(X, Y)
    for given in (blocks, [X for X, _ in blocks], files):
        assert np.allclose(net.predict(given), net.predict(X), rtol=1e-14, atol=0)
        assert np.array_equal(net.classify(given), net.classify(X))
    assert files.most == 1
    nothing = [(X[:0], Y[:0]), *blocks[:2], (X[:0], Y[:0]), *blocks[2:], (X[:0], Y[:0])]
    assert trained(net, nothing).errors.tolist() != trained(net, nothing, seed=1).errors.tolist()
    assert bpjit.error(net, nothing) == bpjit.error(net, X, Y)
    assert len(net.predict(nothing)) == M
    unknown = Y.copy()
    unknown[::3] = unknown[4000:7500] = np.nan
    settings = {"updates": "accumulated", "missing": "ignore"}
    check_same(trained(net, X, unknown, **settings), trained(net, in_blocks(X, unknown), **settings))


def test_early_stopping_on_blocks(little):
    (X, Y), (V, W), net = data(), data(seed=5), bpjit.Network.random(SMALL, seed=1)
    settings = {"updates": 32, "eta": 0.05, "shuffle": False}
    stop = [bpjit.MaxEpochs(30), bpjit.EarlyStopping(patience=3, every=2)]
    there = trained(net, X, Y, validation=(V, W), stop=stop, **settings)
    for validation in ((V, W), in_blocks(V, W), tuple(in_blocks(V, W)[1:3])):
        fit = trained(net, in_blocks(X, Y), validation=validation, stop=stop, **settings)
        if len(validation) != 2 or validation[0] is V:
            check_same(there, fit)
    rate = bpjit.AdaptiveRate(0.5)
    check_same(
        trained(net, X, Y, updates="accumulated", eta=rate, validation=(V, W)),
        trained(net, in_blocks(X, Y), updates="accumulated", eta=rate, validation=in_blocks(V, W)),
    )


@pytest.mark.skipif(READABLE, reason="too slow without the JIT")
@pytest.mark.parametrize("how", ["event", "ctrl-c"])
def test_what_ends_within_an_epoch_goes_on_there(little, how):
    (X, Y), net = data(), bpjit.Network.random(SMALL, seed=1)
    settings, event = {"updates": 32}, threading.Event()
    once = trained(net, in_blocks(X, Y), stop=4, **settings)
    files = Files(X, Y)

    def when(load):
        if load == 13:  # in the second epoch: there is one to see what it is, and five for a look at all
            event.set() if how == "event" else os.kill(os.getpid(), signal.SIGINT)

    files.when = when
    first = trained(net, files, stop=[bpjit.MaxEpochs(4), event], **settings)
    assert first.stopped_by == ("StopEvent" if how == "event" else "interrupted")
    assert first.updates % -(-M // 32) != 0
    again = trained(first.network, files, stop=4 - first.epochs, resume=first, **settings)
    assert again.network == once.network
    assert again.errors.tobytes() == once.errors.tobytes()


def test_what_is_wrong_in_a_block_is_named(little):
    (X, Y), net = data(), bpjit.Network.random(SMALL, seed=1)

    def with_block(index, block):
        blocks = in_blocks(X, Y)
        blocks[index] = block
        return blocks

    wrong = X[4100:4101].copy()
    wrong[0, 2] = np.inf
    for block, message in (
        ((wrong, Y[:1]), r"block 2: X: .*got inf at \[0, 2\]"),
        ((X[:5, :2], Y[:5]), r"block 2: X: expected .*\(m, 3\)"),
        ((X[:5], Y[:4]), r"block 2: Y: expected .*\(5, 1\)"),
        (X[:5], r"block 2: expected a pair"),
    ):
        for do in (trained, bpjit.error, bpjit.gradient):
            with pytest.raises((ValueError, TypeError), match=message):
                do(net, with_block(2, block))
    with pytest.raises(ValueError, match=r"block 2: X: .*got inf"):
        net.predict(with_block(2, wrong))
    for settings, message in (
        ({"sample_weight": np.ones(M)}, "sample_weight: it goes with arrays"),
        ({"class_weight": "balanced"}, "class_weight: it goes with arrays"),
        ({"validation": 0.2}, "validation: a share goes with arrays"),
        ({"rule": "lm"}, 'X: rule "lm" needs all samples at once'),
        ({"rule": "lbfgs"}, 'X: rule "lbfgs" needs all samples at once'),
    ):
        with pytest.raises(ValueError, match=message):
            trained(net, in_blocks(X, Y), **settings)
    with pytest.raises(TypeError, match="Y: expected targets, got None"):
        trained(net, X.tolist())
    nothing = [(X[:0], Y[:0])] * 2
    for do in (lambda: trained(net, nothing), lambda: bpjit.error(net, nothing), lambda: net.predict(nothing)):
        with pytest.raises(ValueError, match="X: expected samples, got blocks without any"):
            do()


@pytest.mark.parametrize("change", [lambda X: X[:-1], lambda X: X[:, :2], lambda X: X * np.inf])
def test_blocks_that_change_are_noticed(little, change):
    (X, Y), net = data(), bpjit.Network.random(SMALL, seed=1)

    class Changing(Files):
        def __getitem__(self, index):
            X, Y = super().__getitem__(index)
            return (change(X), Y[: len(change(X))]) if len(self.loads) > 12 and index == 3 else (X, Y)

    with np.errstate(invalid="ignore"), pytest.raises(RuntimeError, match=r"X: the data|X, Y: the data .* block 3"):
        trained(net, Changing(X, Y), updates=32)


class Lazy:
    """As much of a Dask array as is used."""

    def __init__(self, array, rows):
        self.array, self.shape = array, array.shape
        self.ends = [0, *itertools.accumulate(rows)]
        self.chunks = tuple(rows), *((size,) for size in array.shape[1:])
        self.blocks = self

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Lazy(self.array[index], [index.stop - index.start])
        return Lazy(self.array[self.ends[index] : self.ends[index + 1]], [1])

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all of it")

    def compute(self):
        return self.array


def test_dask_arrays_are_blocks(little):
    (X, Y), net = data(), bpjit.Network.random(SMALL, seed=1)
    lazy, settings = Lazy(X, np.diff(CUTS).tolist()), {"updates": 32}
    expected = trained(net, in_blocks(X, Y), **settings)
    for targets in (Y, Lazy(Y, np.diff(CUTS).tolist()), Lazy(Y, [M - 1, 1])):
        check_same(expected, trained(net, lazy, targets, **settings))
        assert bpjit.error(net, lazy, targets) == bpjit.error(net, X, Y)
    assert np.allclose(net.predict(lazy), net.predict(X), rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match=f"Y: expected {M} samples"):
        trained(net, lazy, Y[1:])


def test_real_dask_arrays(little):
    dask = pytest.importorskip("dask.array", reason="Dask is not installed")
    (X, Y), net = data(), bpjit.Network.random(SMALL, seed=1)
    settings = {"updates": 32}
    lazy = dask.from_array(X, chunks=(np.diff(CUTS).tolist(), 2))
    expected = trained(net, in_blocks(X, Y), **settings)
    for targets in (Y, dask.from_array(Y, chunks=1000)):
        check_same(expected, trained(net, lazy, targets, **settings))
    assert np.allclose(net.predict(lazy), net.predict(X), rtol=1e-14, atol=0)
    blocks = lazy.rechunk({1: 3}).map_blocks(net.predict, dtype=net.dtype, chunks=(lazy.chunks[0], (1,)))
    assert np.allclose(blocks.compute(), net.predict(X), rtol=1e-14, atol=0)
    unknown = lazy[lazy[:, 0] > 0]  # so many that nobody knows
    check_same(
        trained(net, unknown, dask.from_array(Y, chunks=(np.diff(CUTS).tolist(), 1))[lazy[:, 0] > 0], **settings),
        trained(net, [(A[A[:, 0] > 0], B[A[:, 0] > 0]) for A, B in in_blocks(X, Y)], **settings),
    )


# --- Four gigabytes.

GIGABYTES = """
import os, resource, sys, threading, time
import numpy as np, bpjit
from bpjit.networks import source
path, rows, columns, scaled = sys.argv[1], int(sys.argv[2]), 64, sys.argv[3] == "scaled"
X = np.memmap(path, np.float32, "r", shape=(rows, columns))
Y = np.memmap(path + "-Y", np.float32, "r", shape=(rows, 1))
scale = bpjit.Scale(np.zeros(columns), np.full(columns, 1.5)) if scaled else None
net = bpjit.Network.random((columns, 32, 1), seed=0, scale=scale, dtype="float32")
ways = [{"updates": 64, "rule": "adam", "eta": 1e-3}, {"updates": "accumulated", "rule": "rprop"}]

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024

def data_size():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmData")) * 1024

kept = source.BUFFER
source.BUFFER = 1 << 14
for way in ways:  # compiles
    bpjit.train(net, X[:3000], Y[:3000], stop=1, target="cpu", **way)
    bpjit.train(net, X[:3000].astype(np.float64), Y[:3000], stop=1, target="cpu", **way)
source.BUFFER = kept
bpjit.error(net, X[:3000], Y[:3000]), net.predict(X[:3000])
start = peak = anonymous()
over = False

def watch():
    global peak
    while not over:
        peak = max(peak, anonymous())
        time.sleep(0.005)

watching = threading.Thread(target=watch)
watching.start()
resource.setrlimit(resource.RLIMIT_DATA, (data_size() + (300 << 20),) * 2)
for way in ways:
    fit = bpjit.train(net, X, Y, stop=1, target="cpu", threads=1, **way)
    assert fit.updates == (-(-rows // 64) if way["updates"] == 64 else 1)
    assert np.isfinite(fit.error)
assert net.predict(X).shape == (rows, 1)
over = True
watching.join()
print(peak - start)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
@pytest.mark.parametrize("scaled", ["scaled", "plain"])
def test_four_gigabytes_in_three_hundred_megabytes(tmp_path, scaled):
    """Beyond the program; no more than that can be had."""
    rows, path = 1 << 24, tmp_path / "large"
    rng = np.random.default_rng(0)
    block = rng.standard_normal((1 << 16, 64), dtype=np.float32)
    with open(path, "wb") as X, open(f"{path}-Y", "wb") as Y:
        for shift in range(rows // len(block)):
            some = np.roll(block, shift, 1)
            X.write(some.tobytes())
            Y.write((1 / (1 + np.exp(-some[:, :4].sum(1)))).astype(np.float32).tobytes())
    try:
        run = [sys.executable, "-c", GIGABYTES, str(path), str(rows), scaled]
        found = subprocess.run(run, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert float(found.stdout) < 300
    finally:
        Path(path).unlink()
        Path(f"{path}-Y").unlink()
