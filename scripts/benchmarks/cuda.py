"""Measure bpjit on a GPU beside its CPU kernels, and PyTorch (with CUDA graphs) and JAX on that GPU where installed.

    python scripts/benchmark.py --target cuda
    python scripts/benchmark_cuda.py many_xor mnist_batch128 --dtype float32

Results are checked against the CPU before anything is timed. Each line says how many picoseconds bpjit takes for a
sample of a network, what share of the peak arithmetic of the GPU that is, and for everything else its time divided by
that of bpjit's kernel, and in brackets by that of its call: 2.00 takes twice as long. Medians of calls in turns; a call
trains from host arrays to host arrays, "kernel" is the launches of that call alone; what the others train lies on the
GPU before and after.

Exit code 2 where there is no GPU to use.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

import bpjit
from script_tools import run, whole

from .harness import DTYPES, Entry, compare, jax_modules, take_turns

REPEATS = 5
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}  # fused multiply-adds and other functions than the CPU's
CORES = {"float32": 128, "float64": 64}  # multiply-adds a cycle of a multiprocessor, compute capability 8.0 and 9.0
CHECKED = 64  # networks that are held against the CPU
Run = Callable[[], Any]


@dataclass(frozen=True)
class Workload:
    """Networks to train, and how."""

    sizes: tuple[int, ...]
    networks: int
    samples: int
    epochs: int
    updates: str | int
    output: str = "sigmoid"
    eta: float = 0.5

    @property
    def sample_visits(self) -> int:
        return self.networks * self.samples * self.epochs

    @property
    def multiply_adds(self) -> int:
        """Of one visit of a sample: forward, back to all but the inputs, and the gradient."""
        products = [fan_in * fan_out for fan_in, fan_out in zip(self.sizes[:-1], self.sizes[1:], strict=True)]
        return 2 * sum(products) + sum(products[1:])


WORKLOADS = {
    "many_xor": Workload((2, 2, 1), 1_000_000, 4, 1000, "accumulated", eta=5.0),
    "many_xor_online": Workload((2, 2, 1), 1_000_000, 4, 1000, "stochastic", eta=1.0),
    "many_2_4_1": Workload((2, 4, 1), 1_000_000, 4, 1000, "accumulated", eta=5.0),
    "many_8_10_1": Workload((8, 10, 1), 100_000, 64, 100, "stochastic"),
    "digits_online": Workload((64, 32, 10), 1, 1797, 20, "stochastic", "softmax", 0.05),
    "mnist_batch128": Workload((784, 100, 10), 1, 60_000, 5, 128, "softmax", 0.1),
    "mnist_accumulated": Workload((784, 100, 10), 1, 60_000, 20, "accumulated", "softmax", 0.1),
}


class Problem:
    """Data and starts of a workload."""

    def __init__(self, work: Workload, dtype: str, scale: float) -> None:
        rng = np.random.default_rng(0)
        self.work, self.dtype = work, dtype
        self.networks = max(1, int(work.networks * scale))
        self.epochs = max(1, int(work.epochs * (scale if work.networks == 1 else 1)))
        if work.sizes[0] == 2:
            self.X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
            self.Y = np.array([[0], [1], [1], [0]], dtype)
        else:
            self.X = rng.uniform(-1, 1, (work.samples, work.sizes[0])).astype(dtype)
            self.Y = rng.uniform(0.1, 0.9, (work.samples, work.sizes[-1])).astype(dtype)
            if work.output == "softmax":
                self.Y = np.eye(work.sizes[-1], dtype=dtype)[rng.integers(0, work.sizes[-1], work.samples)]
        self.nets = bpjit.Networks.random(work.sizes, self.networks, output=work.output, dtype=dtype)
        self.batch = work.updates if isinstance(work.updates, int) else len(self.X)
        if work.updates == "stochastic":
            self.batch = 1
        self.visits = self.networks * len(self.X) * self.epochs

    def settings(self) -> dict[str, Any]:
        work = self.work
        return {"eta": work.eta, "updates": work.updates, "stop": self.epochs, "shuffle": False, "progress": False}


def by_bpjit(problem: Problem, target: str, networks: int | None = None) -> Run:
    """``train``, or ``train_many``; on the CPU by one thread."""
    if problem.work.networks == 1:
        net = problem.nets[0]
        return lambda: bpjit.train(net, problem.X, problem.Y, target=target, threads=1, **problem.settings())
    nets = problem.nets if networks is None else problem.nets[:networks]
    return lambda: bpjit.train_many(nets, problem.X, problem.Y, target=target, threads=1, **problem.settings())


def kernel_seconds(problem: Problem) -> float:
    """The time of the kernels that train, from their launch to their end."""
    from bpjit.kernels.cuda import door

    run_untimed, spent, totals = door.run, 0.0, []

    def run_timed(kernel: Any, *more: Any) -> None:
        nonlocal spent
        started = time.perf_counter()
        run_untimed(kernel, *more)
        spent += (time.perf_counter() - started) * kernel.py_func.__name__.startswith("train")

    door.run = run_timed  # type: ignore[assignment]
    try:
        for _ in range(REPEATS):
            spent = 0.0
            by_bpjit(problem, "cuda")()
            totals.append(spent)
    finally:
        door.run = run_untimed
    return statistics.median(totals)


def seconds(call: Run) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def check(problem: Problem) -> None:
    """Hold some networks after some epochs against the CPU."""
    small = {**problem.settings(), "stop": 3}
    if problem.work.networks == 1:
        nets: list[Any] = [problem.nets[0]]
        found, expected = (
            np.concatenate(
                [bpjit.train(net, problem.X, problem.Y, target=t, **small).network.parameters for net in nets]
            )
            for t in ("cuda", "cpu")
        )
    else:
        some = problem.nets[:CHECKED]
        found, expected = (
            np.concatenate([net.parameters for net in fits.networks])
            for fits in (bpjit.train_many(some, problem.X, problem.Y, target=t, **small) for t in ("cuda", "cpu"))
        )
    compare(f"{problem.dtype}: the GPU", [found], [expected], problem.dtype, TOLERANCE[problem.dtype])


# --- Peers, on the same GPU.


def by_torch(problem: Problem) -> Run | None:
    """PyTorch, all networks in one batched product, an update captured in a CUDA graph and replayed."""
    if importlib.util.find_spec("torch") is None:
        return None
    torch = import_module("torch")

    if not torch.cuda.is_available():
        return None
    work, dtype = problem.work, getattr(torch, problem.dtype)
    device = torch.device("cuda")
    X, Y = (torch.tensor(array, dtype=dtype, device=device) for array in (problem.X, problem.Y))
    layers = []
    for weights, thresholds in zip(problem.nets.weights, problem.nets.thresholds, strict=True):
        W = torch.tensor(np.asarray(weights), dtype=dtype, device=device, requires_grad=True)
        bias = torch.tensor(-np.asarray(thresholds)[:, None], dtype=dtype, device=device, requires_grad=True)
        layers.append((W, bias))
    parameters = [part for layer in layers for part in layer]
    size = problem.batch
    x = torch.empty((size, X.shape[1]), dtype=dtype, device=device)
    y = torch.empty((size, Y.shape[1]), dtype=dtype, device=device)

    def update() -> None:
        b = x.expand(problem.networks, -1, -1)
        for index, (W, bias) in enumerate(layers):
            z = torch.baddbmm(bias, b, W)
            last = index == len(layers) - 1
            b = z if last and work.output == "softmax" else torch.sigmoid(z)
        if work.output == "softmax":
            loss = -(y * torch.log_softmax(b, dim=2)).sum(dim=2).mean(dim=1).sum()
        else:
            loss = 0.5 * ((b - y) ** 2).sum(dim=2).mean(dim=1).sum()
        with torch.no_grad():
            for part, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                part -= work.eta * slope

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            update()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        update()

    def train() -> None:
        for _ in range(problem.epochs):
            for first in range(0, len(X) - size + 1, size):
                if first or size < len(X):
                    x.copy_(X[first : first + size])
                    y.copy_(Y[first : first + size])
                graph.replay()
        torch.cuda.synchronize()

    x.copy_(X[:size])
    y.copy_(Y[:size])
    return train


def by_jax(problem: Problem) -> Run | None:
    """JAX, networks by vmap, all epochs in one compiled scan."""
    if importlib.util.find_spec("jax") is None:
        return None
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it takes the others' memory
    jax, jnp = jax_modules(problem.dtype, platforms=None)
    if jax.default_backend() != "gpu":
        return None

    work = problem.work
    size = problem.batch
    batches = len(problem.X) // size
    X = jnp.asarray(problem.X[: batches * size]).reshape(batches, size, -1)
    Y = jnp.asarray(problem.Y[: batches * size]).reshape(batches, size, -1)
    start = [
        (jnp.asarray(np.asarray(W)), jnp.asarray(-np.asarray(theta)))
        for W, theta in zip(problem.nets.weights, problem.nets.thresholds, strict=True)
    ]

    def loss(layers: Any, x: Any, y: Any) -> Any:
        b = x
        for index, (W, bias) in enumerate(layers):
            z = b @ W + bias
            b = z if index == len(layers) - 1 and work.output == "softmax" else jax.nn.sigmoid(z)
        if work.output == "softmax":
            return -(y * jax.nn.log_softmax(b)).sum(axis=1).mean()
        return 0.5 * ((b - y) ** 2).sum(axis=1).mean()

    slope = jax.grad(loss)

    def one(layers: Any) -> Any:
        def step(layers: Any, batch: Any) -> Any:
            return jax.tree.map(lambda p, g: p - work.eta * g, layers, slope(layers, *batch)), None

        def epoch(layers: Any, _: Any) -> Any:
            return jax.lax.scan(step, layers, (X, Y))

        return jax.lax.scan(epoch, layers, None, length=problem.epochs)[0]

    trained = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(trained(start))


# --- Figures.


def peak(dtype: str) -> float:
    """Multiply-adds a second that the device can do."""
    from bpjit.kernels.cuda import door

    return CORES[dtype] * door.cycles_a_second()


def measure(name: str, work: Workload, dtype: str, options: argparse.Namespace) -> None:
    problem = Problem(work, dtype, options.scale)
    check(problem)
    contenders: dict[str, Run] = {"bpjit": by_bpjit(problem, "cuda")}
    for label, make in (("PyTorch", by_torch), ("JAX", by_jax)):
        try:
            train = make(problem)
        except Exception as error:  # a peer that does not run here, or not at this size
            print(f"{name:18} {dtype}  {label}: {type(error).__name__}: {str(error).splitlines()[0][:80]}")
            continue
        if train is not None:
            contenders[label] = train
    for train in contenders.values():
        train()
    calls = {label: lambda _, train=train: train() for label, train in contenders.items()}  # all epochs in one pass
    entries = [Entry(label, call, 1, problem.visits, attempts=1) for label, call in calls.items()]
    medians = {label: entry.seconds for label, entry in take_turns(entries, options.repeats, name).items()}
    alone = kernel_seconds(problem)
    share = problem.visits * work.multiply_adds / peak(dtype) / alone
    some = max(1, min(problem.networks, 20_000))
    on_cpu = seconds(by_bpjit(problem, "cpu", some)) * problem.networks / some
    others = "  ".join(
        f"{label} {value / alone:.2f} ({value / medians['bpjit']:.2f})"
        for label, value in medians.items()
        if label != "bpjit"
    )
    print(f"{name:18} {dtype}  call {medians['bpjit']:.4f} s, kernel {alone:.4f} s,", end=" ")
    print(f"{1e12 * alone / problem.visits:.1f} ps a sample, {100 * share:.0f} % of peak;", end=" ")
    print(f"one core {on_cpu / alone:.0f}  {others}", flush=True)


def script(options: argparse.Namespace) -> int:
    info = bpjit.cuda_info()
    if not info.usable:
        print(f"benchmark: {info.missing}", file=sys.stderr)
        return 2
    print(info, end="\n\n")
    for name in options.workloads or WORKLOADS:
        if name not in WORKLOADS:
            raise ValueError(f"workload: expected one of {', '.join(WORKLOADS)}, got {name}")
        for dtype in [options.dtype] if options.dtype else DTYPES:
            measure(name, WORKLOADS[name], dtype, options)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}; all without")
    parser.add_argument("--dtype", choices=DTYPES, help="one of them only")
    parser.add_argument("--repeats", type=whole, default=REPEATS, help="of which the median is taken")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the networks, or of the epochs of one")
    return run(script, parser, arguments)
