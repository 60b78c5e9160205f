"""The GPU held against the CPU: by Numba's simulator, in processes of its own, and on a GPU where there is one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpjit
import cases
import cuda_cases
from bpjit.kernels.lanes import packs
from bpjit.many.given import Given
from cases import slow

PARTS = 24
HERE = Path(__file__).parent
needs_numba_cuda = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install '.[cuda]'"
)
on_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not bpjit.cuda_info().usable, reason=bpjit.cuda_info().missing.replace("\n", " ")),
]


def agree(name: str, found: dict, expected: dict, tolerances: tuple[float, float]) -> None:
    """Names and counts are equal; numbers to a tolerance, that of float64 or of float32, norm by norm."""
    single = expected["parameters" if "parameters" in expected else "y_hat"].dtype == np.float32
    tolerance = tolerances[single]
    for key, array in expected.items():
        came = found[key]
        assert came.shape == array.shape, (name, key, came.shape, array.shape)
        if array.dtype.kind in "Uiu":
            assert np.array_equal(came, array), (name, key, came, array)
            continue
        here = np.isfinite(array)
        assert np.array_equal(here, np.isfinite(came)), (name, key, came, array)
        off, size = np.linalg.norm((came - array)[here]), np.linalg.norm(array[here])
        assert off <= tolerance * max(size, 1e-3), (name, key, off / max(size, 1e-300))


# --- By the simulator.


@needs_numba_cuda
@pytest.mark.parametrize("part", [0, *map(slow, range(1, PARTS))])
def test_simulated_kernels_do_what_those_of_the_cpu_do(part, tmp_path, monkeypatch):
    monkeypatch.setattr(packs, "TYPED", 0)  # the same kernels of the CPU for all shapes: each takes seconds to compile
    path = tmp_path / "results.npz"
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (str(HERE), *sys.path) if p)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "cuda_cases.py"), str(path), str(part), str(PARTS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    with np.load(path) as results:
        for name, work in cuda_cases.everything()[part::PARTS]:
            expected = work("cpu")
            found = {key: results[f"{name}/{key}"] for key in expected}
            agree(name, found, expected, (1e-12, 1e-4))


@needs_numba_cuda
def test_conditions_that_choose_another_kernel_make_another_kind():
    """Or it would be compiled in the middle of a training, where a TimeLimit runs."""
    from bpjit.many.cuda_seats import CudaSeats

    def kind(**settings):
        nets = [bpjit.Network.random((2, 2, 1))] * 2
        (group,) = Given(nets, [[0, 0], [1, 1]], [0, 1], **settings).groups()
        return CudaSeats.kind_of(group)

    validation = [[0, 0]], [0]
    kinds = [
        kind(),
        kind(stop=[bpjit.NoImprovement(5), 9]),
        kind(stop=[bpjit.NoImprovement(5, 0.1), 9]),
        kind(stop=[bpjit.EarlyStopping(5), 9], validation=validation),
        kind(seed=[0, 1]),
        kind(seed=[0, 1], shuffle=False),
    ]
    assert kinds[0] == kinds[-1]
    assert len(set(kinds)) == len(kinds) - 1


# --- On hardware.


@pytest.mark.parametrize("name", [pytest.param(name, marks=on_gpu) for name, _ in cuda_cases.everything()])
def test_gpu_does_what_the_cpu_does(name):
    work = dict(cuda_cases.everything())[name]
    found = work("cuda")
    agree(name, found, work("cpu"), (1e-11, 1e-4))
    again = work("cuda")
    for key, array in found.items():
        assert array.tobytes() == again[key].tobytes(), f"{key} has other bits the second time"


SMOOTH = [case for case in cases.covering_array() if case.rule in cases.SMOOTH_RULES and case.loss != "absolute"]


@pytest.mark.parametrize("case", [pytest.param(case, marks=on_gpu, id=str(case)) for case in SMOOTH])
def test_gpu_agrees_after_20_epochs(case):
    problem = cases.Problem(case, 20)
    fits = [problem.by_bpjit(epochs=20, target=target).network.parameters for target in ("cuda", "cpu")]
    tolerance = 1e-11 if case.dtype == "float64" else 1e-4
    assert cases.distance(fits[0], fits[1].astype(np.float64)) <= tolerance


@pytest.mark.parametrize(
    "updates", [pytest.param(updates, marks=on_gpu) for updates in ("stochastic", 32, "accumulated")]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gpu_trains_larger_networks_on_all_its_blocks(updates, dtype):
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(3000, 100)), rng.integers(0, 10, 3000)
    net = bpjit.Network.random((100, 60, 40, 10), "tanh", "softmax", seed=0, dtype=dtype)
    eta = 0.01 if updates == "stochastic" else 0.1
    fits = [bpjit.train(net, X, labels, eta=eta, updates=updates, stop=3, target=target) for target in ("cuda", "cpu")]
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    assert cases.distance(fits[0].network.parameters, fits[1].network.parameters.astype(np.float64)) <= tolerance
    np.testing.assert_allclose(fits[0].errors, fits[1].errors, rtol=10 * tolerance)
    np.testing.assert_allclose(net.predict(X, target="cuda"), net.predict(X), rtol=0, atol=tolerance)


@pytest.mark.parametrize("count", [pytest.param(count, marks=on_gpu) for count in (1, 1000, 20_000)])
def test_gpu_trains_many_networks(count):
    X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    nets = bpjit.Networks.random((2, 3, 1), count, seed=0)
    stop = [bpjit.TargetError(0.1), bpjit.MaxEpochs(200)]
    fits = [bpjit.train_many(nets, X, Y, eta=2.0, stop=stop, target=target) for target in ("cuda", "cpu")]
    assert np.array_equal(fits[0].epochs, fits[1].epochs)
    assert cases.distance(fits[0].networks.parameters, fits[1].networks.parameters) <= 1e-9


@pytest.mark.parametrize("kind", [pytest.param("train", marks=on_gpu)])
def test_gpu_takes_arrays_that_lie_there(kind):
    from bpjit.kernels.cuda import door

    X, Y = np.random.default_rng(0).normal(size=(50, 3)), np.random.default_rng(1).uniform(size=(50, 2))
    net = bpjit.Network.random((3, 4, 2), seed=0)
    there = door.to_device(X), door.to_device(Y)
    fit = bpjit.train(net, *there, updates=10, stop=3)
    assert fit.target == "cuda"
    assert fit.network == bpjit.train(net, X, Y, updates=10, stop=3, target="cuda").network
    assert np.array_equal(fit.network.predict(there[0]).copy_to_host(), fit.network.predict(X, target="cuda"))
    many = bpjit.train_many(bpjit.Networks.of([net] * 5), *there, stop=3)
    assert many.networks[4] == many.networks[0]
    bad = X.copy()
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        bpjit.train(net, door.to_device(bad), there[1], stop=1)
    with pytest.raises(ValueError, match="target: the data lie on a GPU"):
        bpjit.train(net, *there, stop=1, target="cpu")


@pytest.mark.parametrize("networks", [pytest.param(1 << 34, marks=on_gpu)])
def test_gpu_with_too_little_memory_says_so_and_goes_on(networks):
    from bpjit.kernels.cuda import door

    with pytest.raises(MemoryError, match="too little memory"), door.in_our_words():
        door.empty((networks, 100), np.float64)
    net = bpjit.Network.random((2, 3, 1))
    assert bpjit.train(net, [[0.0, 1.0]], [1.0], stop=2, target="cuda").epochs == 2
