"""Data that must be converted, or scaled, go through a network in blocks of rows: no copy of all of them is made, no
bit depends on the blocks, and an error still says which row it was."""

import time
import tracemalloc

import numpy as np
import pytest

import bpjit
from bpjit.networks.architecture import BLOCK

D = 64
M = 12 * BLOCK // D + 77
rng = np.random.default_rng(0)
X = rng.normal(size=(M, D))
Y = rng.normal(size=(M, 1))
SCALE = bpjit.Scale.standard(X[:100], Y[:100])


def kinds(tmp_path):
    """The same numbers as they may come, and whether a network takes them as they are."""
    swapped = tmp_path / "swapped.npy"
    np.save(swapped, X.astype(X.dtype.newbyteorder()))
    native = tmp_path / "native.npy"
    np.save(native, X)
    wide = np.zeros((M, 2 * D))
    wide[:, ::2] = X
    return {
        "swapped map": np.load(swapped, mmap_mode="r"),
        "map": np.load(native, mmap_mode="r"),
        "fortran": np.asfortranarray(X),
        "strided": wide[:, ::2],
    }


def peak(job):
    job()
    tracemalloc.start()
    job()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("scale", [None, SCALE])
def test_nothing_is_copied_whole_and_every_bit_is_the_same(scale, tmp_path):
    net = bpjit.Network.random((D, 4, 1), "tanh", "identity", scale=scale)
    pieces = [slice(first, first + 1024) for first in range(0, M, 1024)]  # each in one go
    expected = np.concatenate([net.predict(X[piece]) for piece in pieces])
    for name, data in {"as it is": X, **kinds(tmp_path)}.items():
        jobs = (
            lambda: net.predict(data),  # noqa: B023
            lambda: net.classify(data),  # noqa: B023
            lambda: bpjit.error(net, data, Y),  # noqa: B023
            lambda: bpjit.error(net, data, Y, sample_weight=np.arange(M) % 3),  # noqa: B023
        )
        assert (net.predict(data) == expected).all(), name
        for job in jobs:
            assert peak(job) < 0.5 * X.nbytes, name
        errors = [bpjit.error(net, one, Y, sample_weight=np.arange(M) % 3) for one in (data, X)]
        assert errors[0] == errors[1]
        fit = bpjit.train(net, data, Y, stop=1, updates=32, eta=1e-3)
        kept = bpjit.error(fit.network, data, Y)
        assert fit.error == kept  # which has all samples at once


def test_training_with_a_scale_makes_one_copy():
    net = bpjit.Network.random((D, 4, 1), "tanh", "identity", scale=SCALE)
    assert peak(lambda: bpjit.train(net, X, Y, stop=1, updates=32, eta=1e-3)) < 1.3 * X.nbytes


def test_slopes_with_a_scale_are_not_copied():
    net = bpjit.Network.random((D, 4, 1), "tanh", "identity", scale=SCALE)
    assert peak(lambda: bpjit.jacobian(net, X, by="inputs")) < 1.4 * X.nbytes  # what comes back is as large as X
    J = bpjit.jacobian(net, X[:3000])
    assert (J[2999] == bpjit.jacobian(net, X[2999])).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [None, SCALE])
def test_an_error_says_which_row_it_was(scale, dtype):
    net = bpjit.Network.random((D, 4, 1), scale=scale, dtype=dtype)
    for value, reason in ((np.nan, "neither NaN"), (np.inf, "neither NaN"), (1e39, "too large for float32")):
        if value == 1e39 and (dtype == "float64" or scale is not None):
            continue
        data = np.asfortranarray(X)
        data[M - 5, 3] = value
        for call in (net.predict, net.classify, lambda data: bpjit.error(net, data, np.zeros(M))):
            with pytest.raises(ValueError, match=rf"X: expected .* at \[{M - 5}, 3\]; {reason}"):
                call(data)


@pytest.mark.parametrize("value", [1e39, -1e300, [2**200]])
def test_inputs_too_large_for_float32_are_called_so(value):
    net = bpjit.Network.random((1, 1), dtype="float32")
    for X in ([[value]] if isinstance(value, float) else [value], [[0.5], [1.0], [-1e39]]):
        for call in (net.predict, net.classify, lambda X: bpjit.jacobian(net, X)):
            with pytest.raises(ValueError, match="too large for float32"):
                call(X)


# --- Tables.


def objects():
    """Numbers that come as objects: a column of truths among floats, whole numbers of several kinds."""
    mixed = X[:4096, :5].astype(object)
    mixed[:, 1] = X[:4096, 1] > 0
    whole = (100 * X[:4096, :5]).astype(int).astype(object)
    whole[:, 2] = (100 * X[:4096, 2]).astype(np.float32)
    return mixed, whole


def test_objects_that_are_numbers_cost_little_more_than_numbers():
    net = bpjit.Network.random((5, 4, 1))

    def seconds(job):
        taken = []
        for _ in range(7):
            started = time.perf_counter()
            job()
            taken.append(time.perf_counter() - started)
        return min(taken)

    for data in objects():
        plain = data.astype(np.float64)
        assert (net.predict(data) == net.predict(plain)).all()
        fair = seconds(lambda: net.predict(plain)) + seconds(lambda: data.astype(np.float64))  # noqa: B023
        assert seconds(lambda: net.predict(data)) < 5 * fair  # noqa: B023


def test_frames_of_several_kinds_of_columns():
    pandas = pytest.importorskip("pandas")
    net, data = bpjit.Network.random((5, 4, 1)), X[:300, :5].round()
    for column, kind in ((1, "Int64"), (2, "Float64"), (0, "int8"), (4, "boolean"), (3, bool)):
        values = data.copy()
        values[:, column] = np.abs(values[:, column]) > 0.5
        frame = pandas.DataFrame(values)
        frame[column] = frame[column].astype(bool if kind == "boolean" else kind).astype(kind)
        assert (net.predict(frame) == net.predict(values)).all()
        assert (net.predict(frame.astype(object)) == net.predict(values)).all()
        y = frame[column]
        assert bpjit.error(net, frame, y) == bpjit.error(net, values, values[:, column])
        if kind in ("Int64", "Float64", "boolean"):
            frame.loc[7, column] = pandas.NA
            with pytest.raises((ValueError, TypeError), match="X: expected"):
                net.predict(frame)


# --- Labels that are words.


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", "c"],
        np.array(["a", "b", "c"], object),
        np.array([b"a", b"b", b"c"]),
        ("yes", "no", "yes"),
    ],
)
def test_words_as_labels_say_how_to_number_them(labels):
    A = X[:3, :2].copy()
    for output, l in (("softmax", 3), ("sigmoid", 1)):
        net = bpjit.Network.random((2, 4, l), output=output)
        for call in (bpjit.train, bpjit.error, bpjit.gradient, lambda *data: bpjit.train_many([data[0]], *data[1:])):
            with pytest.raises(TypeError, match=r"Y: expected .*np\.unique\(labels, return_inverse=True\)"):
                call(net, A, labels)
    numbered = np.unique(labels, return_inverse=True)[1]
    bpjit.train(bpjit.Network.random((2, 4, 3), output="softmax"), A, numbered, stop=1)
    with pytest.raises(TypeError) as error:
        bpjit.error(net, labels, A)
    assert "unique" not in str(error.value)
