"""Sets of networks: what they hold, predict, and keep on disk."""

import copy
import pickle

import numpy as np
import pytest

import bpjit
from bpjit.kernels.lanes import packs


@pytest.mark.parametrize("init", ["glorot", "he", "uniform01", "normal", (-0.2, 0.4)])
def test_random_networks_are_those_of_their_seeds(init):
    nets = bpjit.Networks.random((3, 4, 2), 5, "tanh", "softmax", init, seed=7, dtype="float32")
    for i, net in enumerate(nets):
        assert net == bpjit.Network.random((3, 4, 2), "tanh", "softmax", init, seed=7 + i, dtype="float32")
    some = bpjit.Networks.random((3, 4, 2), init=init, seed=[9, 2])
    assert some[1] == bpjit.Network.random((3, 4, 2), init=init, seed=2)


def test_parts_and_views():
    nets = bpjit.Networks.random((3, 4, 2), 6, "relu", "identity")
    assert len(nets) == 6
    assert nets.weights[0].shape == (6, 3, 4)
    assert nets.thresholds[1].shape == (6, 2)
    assert np.array_equal(nets.weights[1][3], nets[3].weights[1])
    assert nets[-1] == nets[5]
    assert nets[1:3][1] == nets[2]
    assert nets[[4, 0]][0] == nets[4]
    assert len(nets[np.arange(6) > 3]) == 2
    assert bpjit.Networks.of(list(nets)) == nets
    assert pickle.loads(pickle.dumps(nets)) == nets
    assert copy.deepcopy(nets) == nets
    assert nets != nets[::-1]
    with pytest.raises(ValueError, match="read-only"):
        nets.parameters[0, 0] = 1.0
    assert repr(nets) == "Networks(6 of 3-4-2, hidden relu, output identity, float64, 26 parameters each)"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "identity", "step"])
@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2), (3, 20, 30, 2), (3, 40, 40, 2)])
def test_predictions_are_those_of_each_network(sizes, output, dtype):
    hidden = ["tanh", "softplus"][: len(sizes) - 2]
    nets = bpjit.Networks.random(sizes, 37, hidden, output, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(9, 3))
    own = np.random.default_rng(1).normal(size=(37, 4, 3))
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    together, apart, one = nets.predict(X), nets.predict(own), nets.predict(X[0])
    assert together.shape == (37, 9, 2)
    assert apart.shape == (37, 4, 2)
    assert one.shape == (37, 2)
    assert together.dtype == dtype
    for i, net in enumerate(nets):
        np.testing.assert_allclose(together[i], net.predict(X), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(apart[i], net.predict(own[i]), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(one[i], net.predict(X[0]), rtol=tolerance, atol=tolerance)
    assert np.array_equal(nets.classify(X)[5], nets[5].classify(X))


def test_ensembles_average_and_vote():
    nets = bpjit.Networks.random((2, 5, 3), 11, "tanh", "softmax", "normal")
    X = np.random.default_rng(0).normal(size=(20, 2))
    np.testing.assert_allclose(nets.mean(X), nets.predict(X).mean(0))
    weights = np.arange(11.0)
    np.testing.assert_allclose(nets.mean(X, weights), np.average(nets.predict(X), axis=0, weights=weights))
    counts = np.array([np.bincount(column, minlength=3) for column in nets.classify(X).T])
    assert np.array_equal(nets.vote(X), counts.argmax(1))
    assert np.array_equal(nets.vote(X, np.arange(11) == 4), nets[4].classify(X))
    one = bpjit.Networks.random((2, 3, 1), 4)
    assert one.vote(X).shape == (20,)
    assert one.mean(X[0]).shape == (1,)


def test_a_scale_goes_with_them(tmp_path):
    scale = bpjit.Scale([1.0, 2.0], [3.0, 4.0], [5.0], [6.0])
    nets = bpjit.Networks.random((2, 3, 1), 4, output="identity", scale=scale)
    X = [[1.0, 2.0], [3.0, 4.0]]
    np.testing.assert_allclose(nets.predict(X)[2], nets[2].predict(X))
    nets.save(tmp_path / "nets.safetensors")
    again = bpjit.Networks.load(tmp_path / "nets.safetensors")
    assert again == nets
    assert again.scale == scale
    with pytest.raises(ValueError, match="another scale"):
        bpjit.Networks.of([nets[0], bpjit.Network.random((2, 3, 1), output="identity")])


def test_files_that_are_damaged_or_of_another_kind(tmp_path):
    path = tmp_path / "nets.safetensors"
    nets = bpjit.Networks.random((2, 3, 1), 4)
    nets.save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        bpjit.Networks.load(tmp_path / "bad")
    nets[0].save(tmp_path / "one")
    with pytest.raises(ValueError, match="another kind"):
        bpjit.Networks.load(tmp_path / "one")
    with pytest.raises(OSError):
        bpjit.Networks.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("error", "words", "make"),
    [
        (ValueError, "parameters", lambda: bpjit.Networks((2, 1), np.zeros((3, 4)))),
        (ValueError, "parameters", lambda: bpjit.Networks((2, 1), np.full((3, 3), np.nan))),
        (ValueError, "count", lambda: bpjit.Networks.random((2, 1), 0)),
        (ValueError, "count", lambda: bpjit.Networks.random((2, 1), 3, seed=[1, 2])),
        (TypeError, "seed", lambda: bpjit.Networks.random((2, 1), seed=[1, "a"])),
        (ValueError, "networks", lambda: bpjit.Networks.of([])),
        (
            ValueError,
            r"networks\[1\]",
            lambda: bpjit.Networks.of([bpjit.Network.random((2, 1)), bpjit.Network.random((3, 1))]),
        ),
        (ValueError, "X", lambda: bpjit.Networks.random((2, 1), 3).predict(np.zeros((4, 3)))),
        (ValueError, "X", lambda: bpjit.Networks.random((2, 1), 3).predict(np.zeros((2, 4, 2)))),
        (ValueError, "X", lambda: bpjit.Networks.random((2, 1), 3).predict([[np.nan, 1.0]])),
        (ValueError, "weights", lambda: bpjit.Networks.random((2, 1), 3).mean([[1.0, 1.0]], [1, -1, 1])),
        (IndexError, "out of bounds", lambda: bpjit.Networks.random((2, 1), 3)[3]),
    ],
)
def test_bad_input_is_named(error, words, make):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("registers", [packs.NARROW, packs.REGISTERS])
def test_rows_go_into_lanes_and_come_back(registers, dtype):
    width = packs.width(dtype, registers)
    rows = np.random.default_rng(0).random((3 * width - 5, 7)).astype(dtype)
    lanes = packs.into_lanes(rows, width)
    assert lanes.shape == (3, 7 * width)
    assert np.array_equal(packs.out_of_lanes(lanes, width)[: len(rows)], rows)
    assert not packs.out_of_lanes(lanes, width)[len(rows) :].any()
    for count in range(1, 4 * width):
        fewer = packs.most_in_fewer(count, dtype)
        assert fewer < count
        if fewer:
            assert packs.registers_for(fewer, dtype) < packs.registers_for(fewer + 1, dtype)
            assert packs.registers_for(fewer + 1, dtype) == packs.registers_for(count, dtype)
