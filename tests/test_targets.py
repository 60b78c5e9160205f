"""Targets: what is said where there is no GPU, and that the process goes on."""

import builtins
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import bpjit
from bpjit.kernels import devices
from bpjit.networks import machines

NET = bpjit.Network.random((2, 2, 1))
X, Y = [[0, 0], [0, 1]], [0, 1]
no_gpu = pytest.mark.skipif(bpjit.cuda_info().usable, reason="there is a GPU")


@pytest.fixture(autouse=True)
def _look_anew():
    machines._look.cache_clear()
    yield
    machines._look.cache_clear()


def goes_on():
    assert bpjit.train(NET, X, Y, stop=2, target="auto").target == "cpu"


@no_gpu
@pytest.mark.parametrize(
    "call",
    [
        lambda: bpjit.train(NET, X, Y, stop=1, target="cuda"),
        lambda: bpjit.train_many([NET, NET], X, Y, stop=1, target="cuda"),
        lambda: NET.predict(X, target="cuda"),
        lambda: bpjit.Networks.of([NET]).predict(X, target="cuda"),
    ],
)
def test_without_a_gpu_every_call_says_what_is_missing(call):
    with pytest.raises(RuntimeError, match=r'target: "cuda" cannot be used here: .*(numba-cuda|driver|GPU)'):
        call()
    goes_on()


def test_unknown_targets():
    with pytest.raises(ValueError, match="target"):
        bpjit.train(NET, X, Y, stop=1, target="gpu")
    with pytest.raises(ValueError, match="target"):
        NET.predict(X, target="tpu")


def test_numba_cuda_is_not_installed(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba_cuda" else find(name))
    info = bpjit.cuda_info()
    assert not info.usable
    assert "numba-cuda is not installed" in info.missing
    assert "pip install 'bpjit[cuda]'" in info.missing
    with pytest.raises(RuntimeError, match="pip install"):
        bpjit.train(NET, X, Y, stop=1, target="cuda")
    goes_on()


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_numba_cuda_is_broken_by_numpy(monkeypatch):
    real = builtins.__import__

    def without(name, globals=None, locals=None, fromlist=(), level=0):
        if level and fromlist and "door" in fromlist:
            raise AttributeError("module 'numpy' has no attribute 'row_stack'")
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    info = bpjit.cuda_info()
    monkeypatch.undo()
    assert not info.usable
    assert "numpy<2.5" in info.missing
    goes_on()


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
class TestDrivers:
    """A driver's answers, made up."""

    def test_too_old(self, monkeypatch):
        from bpjit.kernels.cuda import door

        monkeypatch.setattr(door.driver, "driver", Driver((12, 4)))
        monkeypatch.setattr(door, "toolkit_version", lambda: (13, 0))
        info = bpjit.cuda_info()
        assert not info.usable
        assert info.driver == "12.4"
        assert "too old" in info.missing
        assert "numba-cuda[cu12]" in info.missing
        goes_on()

    def test_no_gpu_behind_it(self, monkeypatch):
        from bpjit.kernels.cuda import door

        monkeypatch.setattr(door.driver, "driver", Driver((13, 0)))
        monkeypatch.setattr(door.cuda, "is_available", lambda: False)
        assert "no GPU" in bpjit.cuda_info().missing

    def test_in_trouble(self, monkeypatch):
        from bpjit.kernels.cuda import door

        monkeypatch.setattr(door, "look", lambda: 1 / 0)
        info = bpjit.cuda_info()
        assert not info.usable
        assert "ZeroDivisionError" in info.missing
        goes_on()

    @pytest.mark.parametrize(
        ("text", "kind", "words"),
        [
            ("[CUresult.CUDA_ERROR_OUT_OF_MEMORY] Call to cuMemAlloc", MemoryError, "too little memory"),
            ("[CUresult.CUDA_ERROR_LAUNCH_FAILED] Call to cuLaunchKernel", RuntimeError, "LAUNCH_FAILED"),
        ],
    )
    def test_errors_in_our_words(self, text, kind, words):
        from bpjit.kernels.cuda import door

        with pytest.raises(kind, match=words) as caught, door.in_our_words():
            raise door.CudaAPIError(text, text)
        assert "target" in str(caught.value)
        goes_on()


class Driver:
    def __init__(self, version):
        self.get_version = lambda: version


def test_the_command_prints_what_was_found():
    done = subprocess.run([sys.executable, "-m", "bpjit.cuda_info"], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    usable = bpjit.cuda_info().usable
    assert done.returncode == (0 if usable else 2)
    assert done.stdout.startswith("usable")


def test_importing_bpjit_imports_no_cuda():
    code = (
        "import sys, {}; sys.exit(any(name.startswith(('numba.cuda', 'numba_cuda', 'cuda.')) for name in sys.modules))"
    )
    codes = [
        subprocess.run([sys.executable, "-c", code.format(name)], check=False).returncode for name in ("numba", "bpjit")
    ]
    assert codes[1] == codes[0]  # should numba itself import it, we cannot help it


def test_auto_looks_for_a_gpu_only_where_there_is_much_to_do(monkeypatch):
    asked = []
    usable = machines.CudaInfo(True, "")
    monkeypatch.setattr(machines, "_look", lambda: asked.append(1) or usable)
    monkeypatch.setattr(machines._look, "cache_clear", lambda: None, raising=False)
    assert machines.as_machine("auto", 1e6) == "cpu"
    assert not asked
    assert machines.as_machine("auto", 1e12) == "cuda"
    assert machines.as_machine("cpu", 1e12) == "cpu"


def test_the_function_and_the_module_of_its_name_are_one():
    code = "import bpjit, bpjit.cuda_info; print(bpjit.cuda_info().usable)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() in ("True", "False"), done.stderr


class Far:
    """An array on a GPU, as far as one can see from here: it can be copied, and nothing else."""

    def __init__(self, array):
        self.array = np.asarray(array)

    def copy_to_host(self):
        return self.array


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("Y", {"Y": Far(Y)}), ("validation", {"validation": (Far(X), Y)}), ("validation", {"validation": (X, Far(Y))})],
)
def test_data_that_lie_partly_on_a_gpu_are_refused_by_name(name, arguments):
    for train in (bpjit.train, bpjit.train_many):
        nets = NET if train is bpjit.train else [NET]
        with pytest.raises(ValueError, match=f"^{name}: it lies on a GPU, but X does not"):
            train(nets, X, arguments.get("Y", Y), stop=1, validation=arguments.get("validation"))


@pytest.mark.parametrize("l", [1, 3])
def test_classes_of_what_lies_on_a_gpu(l, monkeypatch):
    net = bpjit.Network.random((2, 2, l), output="sigmoid", seed=0)
    expected = net.classify(X)
    y_hat = net.predict(X)
    monkeypatch.setattr(bpjit.Network, "predict", lambda *_: Far(y_hat))
    assert np.array_equal(net.classify(X), expected)


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, np.inf),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, np.inf),
        ({}, np.inf),
    ],
)
def test_cores_are_no_more_than_a_container_allows(tmp_path, monkeypatch, files, share):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(devices, "GROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert devices.cores() == min(64, np.ceil(share))
