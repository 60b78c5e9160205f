"""Networks as files: round trips, damage, foreign files, full disks."""

import copy
import errno
import json
import os
import pathlib
import pickle
import signal
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.numpy

import bpjit
from bpjit import Network, Scale
from bpjit.common import files
from bpjit.learners import learner_bank
from bpjit.networks import network, networks
from bpjit.networks.scale import ARRAYS

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


def written_before():
    """What the files in ``tests/files`` were written from."""
    one = Scale([1.0, 2.0], [4.0, 5.0], [0.5], [2.0])
    nets = bpjit.Networks.random((2, 3, 1), 2, seed=3, dtype="float32")
    return {
        "network": Network.random((2, 3, 1), ["tanh"], "identity", seed=3, scale=one),
        "networks": nets,
        "bank": bpjit.LearnerBank(nets, ["a", ("b", 1)], rule="momentum", eta=0.01, lam=0.99, clip_gradient=1.0),
    }


@pytest.mark.parametrize("kind", ["network", "networks", "bank"])
def test_files_written_before_are_read_and_written_as_they_were(kind, tmp_path):
    path, new = pathlib.Path(__file__).parent / "files" / f"{kind}.safetensors", written_before()[kind]
    loaded = type(new).load(path)
    loaded.save(tmp_path / "again")
    new.save(tmp_path / "new")
    old, *others = (safetensors.safe_open(file, "numpy") for file in (path, tmp_path / "again", tmp_path / "new"))
    for file in others:
        assert file.metadata() == old.metadata()  # with the digest of all arrays
    if kind != "bank":
        assert loaded == new


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


def nets():
    return bpjit.Networks.random((3, 2), 4, scale=SCALE)


def bank():
    return bpjit.LearnerBank(nets(), ["a", "b", ("c", 1), None], rule="adam", clip_gradient=1.0)


KINDS = {
    "network": lambda: Network.random((3, 2), scale=SCALE),
    "networks": nets,
    "bank": bank,
}


@pytest.mark.parametrize("kind", KINDS)
def test_truncations_and_flipped_bits_are_noticed(kind, tmp_path):
    damage(KINDS[kind](), tmp_path / "file", 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_truncations_and_flipped_bits_are_noticed(kind, tmp_path):
    damage(KINDS[kind](), tmp_path / "file", 5000)


def damage(saved, path, times):
    saved.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in [0, 1, 7, 8, 9, 20, len(whole) - 1, *rng.integers(0, len(whole), times)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="^path: "):
            type(saved).load(path)
    for place in rng.integers(0, len(whole), times):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="^path: "):
            type(saved).load(path)


def signed(path, form, changes, **words):
    """Write a file again with other words and arrays (None: without), and with a digest that fits."""
    before, tensors = files.read(path, form.FORMAT, form.VERSION)
    before |= words
    tensors = {name: array for name, array in (tensors | changes).items() if array is not None}
    safetensors.numpy.save_file(tensors, path, metadata=before | {"digest": files.digest(before, tensors)})


FORMS = {"network": network, "networks": networks, "bank": learner_bank}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(({f"scale.{name}": None}, {}) for name in ARRAYS),
        (dict.fromkeys(("scale.input_offset", "scale.input_factor")), {}),
        *(({}, {word: "[" * 100_000 + "]" * 100_000}) for word in ("sizes", "hidden", "keys", "rule", "settings")),
        ({}, {"sizes": "9" * 5000}),
        ({}, {"sizes": "[3, 1e999]"}),
    ],
)
def test_files_that_say_what_cannot_be(kind, changes, words, tmp_path):
    path = tmp_path / "file"
    saved = KINDS[kind]()
    saved.save(path)
    before, _ = files.read(path, FORMS[kind].FORMAT, FORMS[kind].VERSION)
    if words.keys() <= before.keys():
        signed(path, FORMS[kind], changes, **words)
        with pytest.raises(ValueError, match="^path: .* damaged"):
            type(saved).load(path)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_bank_of_numbers_that_are_not_finite(number, tmp_path):
    path = tmp_path / "bank"
    for name, column in (("start", 0), ("state", 0), ("state", 9), ("state", -4), ("state", -1)):
        bank().save(path)
        _, tensors = files.read(path, learner_bank.FORMAT, learner_bank.VERSION)
        changed = tensors[name].copy()
        changed[2, column] = number
        signed(path, learner_bank, {name: changed})
        with pytest.raises(ValueError, match="^path: .* damaged"):
            bpjit.LearnerBank.load(path)
    for setting in ("eta", "lam", "clip_gradient", "clip_weights"):
        bank().save(path)
        words, _ = files.read(path, learner_bank.FORMAT, learner_bank.VERSION)
        settings = json.loads(words["settings"]) | {setting: number}
        signed(path, learner_bank, {}, settings=json.dumps(settings))
        with pytest.raises(ValueError, match=f"^path: .* damaged: {setting}"):
            bpjit.LearnerBank.load(path)


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


def test_an_error_is_one_short_line_whatever_a_file_says(tmp_path):
    path, long = tmp_path / "file", "\n\0网" * 10_000
    bank().save(path)
    for words in ({"version": long}, {"output": long}, {"rule": json.dumps([long, {}])}, {"settings": f'"{long}"'}):
        bank().save(path)
        signed(path, learner_bank, {}, **words)
        with pytest.raises(ValueError, match="^path: ") as caught:
            bpjit.LearnerBank.load(path)
        assert len(str(caught.value)) < 700
        assert str(caught.value).isprintable()
    bpjit.Network.random((2, 1)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"shape":[2,1]', b'"shape":[2,"' + b"x" * 9999 + b'"]'))
    with pytest.raises(ValueError, match="^path: .*damaged") as caught:
        Network.load(path)
    assert len(str(caught.value)) < 700


def test_what_a_file_lacks_is_named(tmp_path):
    bank().save(tmp_path / "bank")
    signed(tmp_path / "bank", learner_bank, {"start": None})
    with pytest.raises(ValueError, match="damaged: 'start' not found"):
        bpjit.LearnerBank.load(tmp_path / "bank")


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


# --- Names, modes, links.


class Bytes:
    def __fspath__(self):
        return b"net"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("path", "error"),
    [
        (1, TypeError),
        (0, TypeError),
        (True, TypeError),
        (2.0, TypeError),
        (None, TypeError),
        (b"net", TypeError),
        (Bytes(), TypeError),
        (["net"], TypeError),
        ("", ValueError),
        ("a\0b", ValueError),
    ],
)
def test_what_is_no_path(kind, path, error):
    saved = KINDS[kind]()
    for use in (saved.save, type(saved).load):
        with pytest.raises(error, match="^path: expected the name of a file"):
            use(path)
    os.fstat(1)  # standard output is still open
    with pytest.raises(error, match="^path: "):
        bpjit.train(Network.random((2, 1)), [[0, 1]], [1], stop=1).replay(path)


@pytest.mark.parametrize("name", ["n" * 255, "网" * 85, "ü" * 127, "名" * 60 + ".safetensors", "-", "~", " ", "a\nb"])
def test_every_name_that_the_file_system_takes(name, tmp_path):
    net = Network.random((2, 1))
    net.save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert Network.load(str(tmp_path / name)) == net
    with pytest.raises(OSError, match="too long") as caught:
        net.save(tmp_path / ("n" * 256))
    assert caught.value.filename == str(tmp_path / ("n" * 256))


def test_errors_of_the_system_name_the_path(tmp_path, monkeypatch):
    net = Network.random((2, 1))
    (tmp_path / "file").write_bytes(b"")
    for path, error in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "none" / "net", FileNotFoundError),
        (tmp_path / "file" / "net", NotADirectoryError),
        (f"{tmp_path}/new/", IsADirectoryError),
        (os.devnull, OSError),
    ):
        with pytest.raises(error) as caught:
            net.save(path)
        assert caught.value.filename == str(path)
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)
    assert os.listdir(tmp_path) == ["file"]

    def refuse(path, *rest):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)  # as in a folder that is read-only, but for root
    with pytest.raises(PermissionError) as caught:
        net.save(tmp_path / "net")
    assert caught.value.filename == str(tmp_path / "net")


@pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")
def test_modes_and_links_stay(tmp_path):
    path, net = tmp_path / "net", Network.random((2, 1))
    mask = os.umask(0o027)
    try:
        net.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o666, 0o444, 0o755):
            path.chmod(mode)
            net.save(path)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(mask)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
        net.save(path)
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to("folder/target")  # which is not there yet
    (tmp_path / "chain").symlink_to("link")
    for name, seed in (("link", 1), ("chain", 2)):
        saved = Network.random((2, 1), seed=seed)
        saved.save(tmp_path / name)
        assert Network.load(folder / "target") == saved
        assert (tmp_path / name).is_symlink()
    assert os.listdir(folder) == ["target"]
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic links"):
        net.save(tmp_path / "round")


def test_nobody_else_can_read_a_secret_while_it_is_written(tmp_path, monkeypatch):
    path, seen, sync = tmp_path / "net", [], os.fsync
    Network.random((2, 1)).save(path)
    path.chmod(0o600)

    def look(descriptor):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    Network.random((2, 1)).save(path)
    assert seen == [0o600]


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_the_next_save_sweeps_away_what_a_kill_left_and_nothing_else(tmp_path):
    path = tmp_path / "net"
    code = f"""
import os, signal
from bpjit.common import files
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
files.write_whole({str(path)!r}, b"half")
"""
    killed = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert left.endswith(".part")
    files.write_whole(tmp_path / "other", b"")  # of another name
    assert left in os.listdir(tmp_path)

    being_written, go_on = threading.Event(), threading.Event()
    sync = os.fsync

    def wait(descriptor):
        if threading.current_thread() is slow:
            being_written.set()
            assert go_on.wait(60)
        sync(descriptor)

    slow = threading.Thread(target=lambda: files.write_whole(path, b"slow"))
    os.fsync = wait
    try:
        slow.start()
        assert being_written.wait(60)
        assert left not in os.listdir(tmp_path)
        files.write_whole(path, b"quick")
        assert path.read_bytes() == b"quick"
        assert len(os.listdir(tmp_path)) == 3  # both files, and what is being written
        go_on.set()
        slow.join()
    finally:
        os.fsync = sync
    assert path.read_bytes() == b"slow"
    assert sorted(os.listdir(tmp_path)) == ["net", "other"]


def test_a_save_whose_file_was_swept_before_it_was_locked_begins_anew(tmp_path, monkeypatch):
    lock, places = files._lock, []

    def late(file, wait):
        if wait and not places:
            places.append(file.name)
            os.unlink(file.name)
        lock(file, wait)

    monkeypatch.setattr(files, "_lock", late)
    files.write_whole(tmp_path / "net", b"whole")
    assert (tmp_path / "net").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["net"]
    assert places


def test_a_timeout_while_a_file_is_read_comes_out_as_it_is(tmp_path, monkeypatch):
    class Timeout(Exception):
        pass

    def digest(words, tensors):
        raise Timeout

    Network.random((2, 1)).save(tmp_path / "net")
    monkeypatch.setattr(files, "digest", digest)
    with pytest.raises(Timeout):
        Network.load(pathlib.PurePath(tmp_path / "net"))


def test_networks_pickle_and_copy(net):
    for twin in (pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)):
        assert twin == net
        np.testing.assert_array_equal(twin.predict([1, 2, 3]), net.predict([1, 2, 3]))
    assert bpjit.Network.random((2, 1), seed=1) != bpjit.Network.random((2, 1), seed=2)
