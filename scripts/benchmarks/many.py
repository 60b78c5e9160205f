"""Measure thousands of networks at once beside NumPy by hand and, where they are installed, JAX (one vector for each
parameter, and vmap) and scikit-learn, in turns in one process.

    python scripts/benchmark_many.py
    python scripts/benchmark_many.py many_small --dtype float32 --threads 1

Each line gives nanoseconds for a sample in one network, and everybody else's time divided by bpjit's. All train from
the same starts, in the given order of samples, and their results are compared before anything is timed. The last lines
set a cross-validation beside scikit-learn's GridSearchCV, and give the rates of a bank of learners.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

import bpjit
from script_tools import BadInput, run, table, whole

from .harness import DISTURBED, DTYPES, Entry, Run, compare, jax_modules, marked, take_turns

REPEATS = 9


@dataclass(frozen=True)
class Workload:
    """Many networks with one output and the same samples."""

    sizes: tuple[int, int, int]
    networks: int
    updates: str
    eta: float
    epochs: int


WORKLOADS = {
    "many_xor": Workload((2, 2, 1), 1000, "accumulated", 8.0, 5000),
    "many_xor_online": Workload((2, 2, 1), 1000, "stochastic", 2.0, 5000),
    "many_small": Workload((8, 10, 1), 1024, "stochastic", 0.1, 100),
}
Arrays = list[Any]
# A Run here trains for so many epochs from the starts, and returns all parameters, [shape: (networks, n)].


def data(work: Workload, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """XOR, or which side of a plane a point lies on."""
    if work.sizes[0] == 2:
        X, Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    else:
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (64, work.sizes[0]))
        Y = X @ rng.normal(size=(work.sizes[0], 1)) > 0
    return X.astype(dtype), Y.astype(dtype)


def starts(work: Workload, dtype: str) -> bpjit.Networks:
    return bpjit.Networks.random(work.sizes, work.networks, init=(-1.0, 1.0), seed=1, dtype=dtype)


def by_bpjit(work: Workload, dtype: str, threads: int) -> Run:
    nets, (X, Y) = starts(work, dtype), data(work, dtype)

    def train(epochs: int) -> np.ndarray:
        fits = bpjit.train_many(
            nets, X, Y, eta=work.eta, updates=work.updates, stop=epochs, shuffle=False, threads=threads, progress=False
        )
        if "interrupted" in fits.stopped_by:
            raise KeyboardInterrupt
        return fits.networks.parameters if isinstance(fits.networks, bpjit.Networks) else np.empty(0)

    return train


def formulas(work: Workload, sigmoid: Callable[[Any], Any], parameters: Arrays, x: Any, y: Any) -> Arrays:
    """−∂E_k/∂p for one sample: each parameter is a vector along the networks; V row by row, γ, W, θ."""
    d, q, _ = work.sizes
    V, gamma, W, theta = (
        parameters[: d * q],
        parameters[d * q : (d + 1) * q],
        parameters[(d + 1) * q : -1],
        parameters[-1],
    )
    b = [sigmoid(sum(x[i] * V[i * q + h] for i in range(d)) - gamma[h]) for h in range(q)]
    y_hat = sigmoid(sum(b[h] * W[h] for h in range(q)) - theta)
    g = (y - y_hat) * y_hat * (1 - y_hat)
    e = [W[h] * g * b[h] * (1 - b[h]) for h in range(q)]
    return [e[h] * x[i] for i in range(d) for h in range(q)] + [-e_h for e_h in e] + [g * b_h for b_h in b] + [-g]


def by_numpy(work: Workload, dtype: str) -> Run:
    """One array for each parameter."""
    nets, (X, Y) = starts(work, dtype), data(work, dtype)
    one, eta = np.dtype(dtype).type(1), np.dtype(dtype).type(work.eta)

    def sigmoid(z: Any) -> Any:
        return one / (one + np.exp(-z))

    def train(epochs: int) -> np.ndarray:
        p = [column.copy() for column in nets.parameters.T]
        for _ in range(epochs):
            if work.updates == "stochastic":
                for x, y in zip(X, Y[:, 0], strict=True):
                    p = [w + eta * g for w, g in zip(p, formulas(work, sigmoid, p, x, y), strict=True)]
            else:
                parts = [formulas(work, sigmoid, p, x, y) for x, y in zip(X, Y[:, 0], strict=True)]
                share = eta / np.dtype(dtype).type(len(X))
                p = [w + share * sum(gs) for w, *gs in zip(p, *parts, strict=True)]
        return np.stack(p, axis=1)

    return train


def by_jax(work: Workload, dtype: str, vmap: bool) -> Run:
    """The same formulas compiled, all epochs in one call; or autodiff for one network, turned into all by vmap."""
    jax, jnp = jax_modules(dtype)
    nets, (X, Y) = starts(work, dtype), map(jnp.asarray, data(work, dtype))
    d, q, _ = work.sizes

    def error(p: Any, x: Any, y: Any) -> Any:
        V, gamma, W, theta = p[: d * q].reshape(d, q), p[d * q : (d + 1) * q], p[(d + 1) * q : -1], p[-1]
        return 0.5 * (y - jax.nn.sigmoid(jax.nn.sigmoid(x @ V - gamma) @ W - theta)) ** 2

    slopes = jax.vmap(jax.grad(error), (0, None, None))

    def descent(p: Any, x: Any, y: Any) -> Any:
        return -slopes(p, x, y) if vmap else formulas(work, jax.nn.sigmoid, p, x, y)

    def add(p: Any, step: Any, eta: float) -> Any:
        return jax.tree.map(lambda w, g: w + eta * g, p, step)

    def epoch(_: Any, p: Any) -> Any:
        if work.updates == "stochastic":
            return jax.lax.scan(lambda p, xy: (add(p, descent(p, *xy), work.eta), None), p, (X, Y[:, 0]))[0]
        parts = [descent(p, x, y) for x, y in zip(X, Y[:, 0], strict=True)]
        return add(p, jax.tree.map(lambda *gs: sum(gs), *parts), work.eta / len(X))

    compiled = jax.jit(lambda p, epochs: jax.lax.fori_loop(0, epochs, epoch, p))
    first = jnp.asarray(nets.parameters) if vmap else [jnp.asarray(column) for column in nets.parameters.T]

    def train(epochs: int) -> np.ndarray:
        p = jax.block_until_ready(compiled(first, epochs))
        return np.asarray(p) if vmap else np.stack([np.asarray(column) for column in p], axis=1)

    return train


def measure(name: str, work: Workload, dtype: str, options: argparse.Namespace) -> dict[str, Entry]:
    """All contenders, compared with each other and timed in turns."""
    contenders: dict[str, tuple[Run, int]] = {
        "bpjit": (by_bpjit(work, dtype, options.threads), work.epochs),
        "NumPy": (by_numpy(work, dtype), max(1, work.epochs // 500)),
    }
    if importlib.util.find_spec("jax"):
        contenders["JAX"] = by_jax(work, dtype, vmap=False), work.epochs
        contenders["JAX vmap"] = by_jax(work, dtype, vmap=True), max(1, work.epochs // 10)
    found = {label: train(3) for label, (train, _) in contenders.items()}
    for label, parameters in found.items():
        compare(f"{name}, {dtype}: {label}", [found["bpjit"]], [parameters], dtype)
    visits = len(data(work, dtype)[0]) * work.networks
    entries = [Entry(label, train, epochs, visits) for label, (train, epochs) in contenders.items()]
    return take_turns(entries, options.repeats, f"{name} {dtype}")


def cells(name: str, dtype: str, entries: dict[str, Entry]) -> list[str]:
    """One line of the table."""
    ours, others = entries["bpjit"], (entries.get(label) for label in ("NumPy", "JAX", "JAX vmap"))
    ratios = ["-" if entry is None else marked(f"{entry.ns / ours.ns:.1f}", entry) for entry in others]
    return [name, dtype, marked(f"{ours.ns:.2f}", ours), *ratios]


def cross_validation(options: argparse.Namespace) -> None:
    """10 folds × 20 λ × 20 restarts of 4-8-3 on 150 samples, 200 epochs each; scikit-learn does a few of them."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    X = rng.normal(0, 1.5, (3, 4))[labels] + rng.normal(0, 0.6, (150, 4))
    X = (X - X.mean(0)) / X.std(0)
    lams = list(1.0 - np.logspace(-6, -2, 20))
    for dtype in DTYPES:
        nets = bpjit.Networks.random((4, 8, 3), 20, "tanh", "softmax", dtype=dtype)
        found = bpjit.cross_validate(
            nets, X, labels, settings={"lam": lams}, eta=0.1, stop=200, threads=options.threads, progress=False
        )
        print(f"cross_validate, 10 folds x 20 lambdas x 20 restarts, {dtype}: {found.fits.seconds:.2f} s")
    if not importlib.util.find_spec("sklearn"):
        return
    neural, selection = import_module("sklearn.neural_network"), import_module("sklearn.model_selection")
    model = neural.MLPClassifier(
        (8,), activation="tanh", solver="sgd", batch_size=1, learning_rate_init=0.1, momentum=0.0, max_iter=200, tol=0.0
    )
    grid = selection.GridSearchCV(model, {"alpha": [1e-4]}, cv=selection.StratifiedKFold(10), refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        grid.fit(X, labels)
    took = time.perf_counter() - started
    print(f"GridSearchCV over MLPClassifier: {took:.1f} s for 10 of the 4,000 trainings, so {400 * took:.0f} s for all")


def bank(options: argparse.Namespace) -> None:
    """5,000 networks 8-10-1, records of random keys in blocks of 1,000."""
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        nets = bpjit.Networks.random((8, 10, 1), 5000, dtype=dtype)
        rates = []
        for threads in (1, options.threads):
            learners = bpjit.LearnerBank(nets, eta=0.1, threads=threads)
            blocks = [
                (rng.integers(0, 5000, 1000), rng.random((1000, 8)).astype(dtype), rng.random((1000, 1)).astype(dtype))
                for _ in range(300)
            ]
            learners.learn(*blocks[0])
            times = []
            for block in blocks:
                started = time.perf_counter()
                learners.learn(*block)
                times.append(time.perf_counter() - started)
            rates.append(1e-3 / statistics.median(times))
        print(
            f"LearnerBank, 5,000 of 8-10-1, blocks of 1,000, {dtype}: {rates[0]:.1f} million updates a second with one "
            f"thread, {rates[1]:.1f} with {options.threads}"
        )


def script(options: argparse.Namespace) -> int:
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        raise BadInput(f"workload: expected some of {', '.join(WORKLOADS)}; got {unknown[0]}")
    measured = [
        (name, dtype, measure(name, WORKLOADS[name], dtype, options))
        for name in options.workloads or WORKLOADS
        for dtype in ([options.dtype] if options.dtype else DTYPES)
    ]
    rows = [cells(*line) for line in measured]
    print(table(("work", "dtype", "bpjit, ns", "NumPy", "JAX", "JAX vmap"), rows), flush=True)
    if not all(entry.clean for *_, entries in measured for entry in entries.values()):
        print(DISTURBED)
    if not options.workloads:
        cross_validation(options)
        bank(options)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark_many.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}; all, and more, without")
    parser.add_argument("--dtype", choices=DTYPES, help="one of them only")
    parser.add_argument("--threads", type=whole, default=1, help="threads of bpjit")
    parser.add_argument("--repeats", type=whole, default=REPEATS, help="of which the median is taken")
    return run(script, parser, arguments)
