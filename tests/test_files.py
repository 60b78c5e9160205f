"""Networks as files: round trips, damage, foreign files, full disks."""

import copy
import os
import pickle

import numpy as np
import pytest
import safetensors.numpy

import bpjit
from bpjit import Network, Scale, files, network

SCALE = Scale([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [0.5, 0.5], [2.0, 3.0])


@pytest.fixture(params=["float64", "float32"])
def net(request):
    return Network.random((3, 4, 5, 2), ["tanh", "relu"], "identity", seed=3, dtype=request.param, scale=SCALE)


def test_round_trip_keeps_every_bit(net, tmp_path):
    net.save(tmp_path / "net.safetensors")
    loaded = Network.load(str(tmp_path / "net.safetensors"))
    assert loaded == net
    assert (loaded.sizes, loaded.hidden, loaded.output) == (net.sizes, net.hidden, net.output)
    assert loaded.dtype == net.dtype
    assert loaded.scale == SCALE
    assert os.listdir(tmp_path) == ["net.safetensors"]
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(loaded.predict(X), net.predict(X))


def test_without_scale_and_without_hidden_layer(tmp_path):
    for net in (
        Network.random((2, 4, 1)),
        Network.random((4, 3), output="softmax"),
        Network.random((1, 1), output="step"),
    ):
        net.save(tmp_path / "a")
        assert Network.load(tmp_path / "a") == net


def test_others_can_read_the_arrays(net, tmp_path):
    net.save(tmp_path / "a.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(arrays["weights.1"], net.weights[1])
    np.testing.assert_array_equal(arrays["thresholds.2"], net.thresholds[2])


def test_every_truncation_and_every_flipped_bit_is_noticed(net, tmp_path):
    path = tmp_path / "net"
    net.save(path)
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 20, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="^path: "):
            Network.load(path)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 400):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(0, 7)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="^path: "):
            Network.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 zip", b"\x80\x04\x95 pickle", b"GIF89a" * 50, b"\xff" * 100, b"{}", b"\x00" * 64]
)
def test_foreign_files(content, tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^path: expected a bpjit network file"):
        Network.load(path)


def test_a_safetensors_file_of_another_kind(tmp_path):
    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"x": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="of another kind"):
        Network.load(path)
    safetensors.numpy.save_file({"x": np.zeros(3)}, path, metadata={"format": network.FORMAT, "version": "99"})
    with pytest.raises(ValueError, match="of version '99'"):
        Network.load(path)
    words = {
        "format": network.FORMAT,
        "version": network.VERSION,
        "sizes": "[2, 1]",
        "hidden": "[]",
        "output": "sigmoid",
    }
    for tensors in (
        {"x": np.zeros(3)},
        {"weights.0": np.zeros((3, 1)), "thresholds.0": np.zeros(1)},
        {"weights.0": np.full((2, 1), np.nan), "thresholds.0": np.zeros(1)},
        {"weights.0": np.zeros((2, 1), np.int8), "thresholds.0": np.zeros(1)},
    ):
        signed = words | {"digest": files.digest(words, tensors)}
        safetensors.numpy.save_file(tensors, path, metadata=signed)
        with pytest.raises(ValueError, match="^path: the network in .* is damaged"):
            Network.load(path)


def test_a_missing_file_and_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        Network.random((2, 1)).save(tmp_path / "no folder" / "net")
    with pytest.raises(IsADirectoryError):
        Network.load(tmp_path)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net"
    old = Network.random((2, 3, 1), seed=1)
    old.save(path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Network.random((2, 3, 1), seed=2).save(path)
    assert Network.load(path) == old
    assert os.listdir(tmp_path) == ["net"]


def test_networks_pickle_and_copy(net):
    for twin in (pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)):
        assert twin == net
        np.testing.assert_array_equal(twin.predict([1, 2, 3]), net.predict([1, 2, 3]))
    assert bpjit.Network.random((2, 1), seed=1) != bpjit.Network.random((2, 1), seed=2)
