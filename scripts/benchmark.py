"""Measure bpjit beside C with the sizes compiled in (benchmark.c), NumPy by hand and, where installed, JAX, PyTorch and
scikit-learn, in turns in one process, on one core. Absolute times change with machine, clock and neighbours: compare
within a line only, on a quiet machine, best pinned to one core.

    python scripts/benchmark.py
    python scripts/benchmark.py digits_online digits_batch32 --dtype float64
    taskset -c 1 python scripts/benchmark.py --quick --json

Each line says how many nanoseconds bpjit takes for a sample, what multiple of C's time that is ("of C's time"), and for
everything else its time divided by bpjit's: 2.00 takes twice as long as bpjit. Data are synthetic and seeded, samples
come in the given order; results are checked against a slow NumPy reference before anything is timed.
"""

from __future__ import annotations

import os
import sys

# Before NumPy is imported: one thread, and no slower BLAS than the machine has. NPROC is for JAX.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1"))
if "cuda" not in sys.argv:
    os.environ["JAX_PLATFORMS"] = "cpu"

import argparse
import ctypes
import importlib.util
import json
import math
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

import benchmark_cuda
import bpjit
from script_tools import BadInput, run, unless_interrupted

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}
CHECKED_PASSES = 3
PART = 640  # samples that results are checked on, and that slow peers are timed on
CLEAN_SHARE = 0.97  # of a repeat's time this process must have had a CPU
ATTEMPTS = 5  # at a clean repeat


class WrongResult(ValueError):
    """A contender that does not compute what it should."""


Arrays = list[np.ndarray]
Run = Callable[[int], Arrays | None]
"""So many passes over the samples, from the initial parameters; returns the parameters W1, theta1, W2, ... or the
outputs, or None where these cannot be compared."""


# --- Workloads.


@dataclass(frozen=True)
class Workload:
    """What is measured: a network, its data, and what is done with it."""

    name: str
    data: Callable[[np.random.Generator, Workload], tuple[np.ndarray, np.ndarray]]
    sizes: tuple[int, ...]
    samples: int
    batch: int = 1
    eta: float = 0.1
    loss: str = "cross_entropy"
    hidden: str = "sigmoid"
    weight_range: float | None = None  # ±1/sqrt(fan_in) if None
    task: str = "train"  # or learn_one, predict_one, predict_many

    @property
    def output(self) -> str:
        return "softmax" if self.loss == "cross_entropy" else "sigmoid"


def xor_data(rng: np.random.Generator, work: Workload) -> tuple[np.ndarray, np.ndarray]:
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])


def cluster_data(rng: np.random.Generator, work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping clusters in four dimensions, standardised: the shape of the iris data."""
    labels = np.arange(work.samples) % 3
    X = rng.normal(0, 1.5, (3, 4))[labels] + rng.normal(0, 0.6, (work.samples, 4))
    return (X - X.mean(0)) / X.std(0), np.eye(3)[labels]


def prototype_data(rng: np.random.Generator, work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """A noisy half-empty picture in [0, 1] for each class: the shape of the scikit-learn digits."""
    inputs, classes = work.sizes[0], work.sizes[-1]
    labels = rng.integers(0, classes, work.samples)
    prototypes = rng.random((classes, inputs)) * (rng.random((classes, inputs)) < 0.5)
    return np.clip(prototypes[labels] + rng.normal(0, 0.2, (work.samples, inputs)), 0, 1), np.eye(classes)[labels]


def uniform_data(rng: np.random.Generator, work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """784 uniform inputs, labelled by a random linear teacher: the shape of MNIST."""
    X = rng.random((work.samples, 784))
    return X, np.eye(10)[((X - 0.5) @ rng.normal(size=(784, 10))).argmax(1)]


def sparse_data(rng: np.random.Generator, work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """As uniform_data, with 81 % of the inputs exactly zero, as in MNIST (but scattered)."""
    X, Y = uniform_data(rng, work)
    return X * (rng.random(X.shape) < 0.19), Y


IRIS, DIGITS, MNIST, DEEP = (4, 8, 3), (64, 32, 10), (784, 100, 10), (16, 32, 32, 32, 4)
WORKLOADS = {
    work.name: work
    for work in (
        Workload("xor_online", xor_data, (2, 2, 1), 4, eta=0.5, loss="squared", weight_range=1.0),
        Workload("iris_online", cluster_data, IRIS, 150, eta=0.1, loss="squared"),
        Workload("digits_online", prototype_data, DIGITS, 1792, eta=0.05),
        Workload("digits_batch32", prototype_data, DIGITS, 1792, batch=32, eta=0.5),
        Workload("mnist_online", uniform_data, MNIST, 6000, eta=0.01),
        Workload("mnist_sparse_online", sparse_data, MNIST, 6000, eta=0.01),
        Workload("mnist_batch10", uniform_data, MNIST, 12_800, batch=10, eta=0.1),
        Workload("mnist_batch128", uniform_data, MNIST, 12_800, batch=128, eta=0.1),
        Workload("deep_online", prototype_data, DEEP, 1792, eta=0.01, hidden="tanh"),
        Workload("deep_batch32", prototype_data, DEEP, 1792, batch=32, eta=0.1, hidden="tanh"),
        Workload("learn_one", cluster_data, IRIS, 150, eta=0.1, loss="squared", task="learn_one"),
        Workload("predict_one", cluster_data, IRIS, 150, loss="squared", task="predict_one"),
        Workload("predict_one_mnist", uniform_data, MNIST, 100, task="predict_one"),
        Workload("predict_many", uniform_data, MNIST, 10_000, task="predict_many"),
    )
}


@dataclass(frozen=True, eq=False)
class Problem:
    """A workload in a dtype: its data and initial parameters W1, theta1, W2, ...; the net input is x W - theta."""

    work: Workload
    dtype: str
    X: np.ndarray
    Y: np.ndarray
    parameters: Arrays

    @cached_property
    def part(self) -> Problem:
        """The same with the first samples only."""
        return self if len(self.X) <= PART else replace(self, X=self.X[:PART], Y=self.Y[:PART])

    def copied(self) -> Arrays:
        return [array.copy() for array in self.parameters]

    def batches(self) -> tuple[np.ndarray, np.ndarray]:
        """X and Y with a leading axis of updates."""
        X, Y = (array.reshape(-1, self.work.batch, array.shape[1]) for array in (self.X, self.Y))
        return X, Y

    def network(self) -> bpjit.Network:
        return bpjit.Network.from_arrays(
            self.parameters[::2], self.parameters[1::2], hidden=self.work.hidden, output=self.work.output
        )


def make_problem(work: Workload, dtype: str) -> Problem:
    X, Y = work.data(np.random.default_rng(0), work)
    rng = np.random.default_rng(1)
    parameters = []
    for fan_in, fan_out in zip(work.sizes, work.sizes[1:], strict=False):
        limit = work.weight_range or 1 / math.sqrt(fan_in)
        parameters += [rng.uniform(-limit, limit, shape) for shape in ((fan_in, fan_out), (fan_out,))]
    X, Y, *parameters = (np.ascontiguousarray(array, dtype) for array in (X, Y, *parameters))
    return Problem(work, dtype, X, Y, parameters)


# --- The reference: slow, obvious, float64.


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"sigmoid": sigmoid, "tanh": np.tanh, "softmax": softmax}


def layer_outputs(work: Workload, parameters: Arrays, x: np.ndarray) -> Arrays:
    """x, and the outputs of each layer."""
    outputs = [x]
    for W, theta in zip(parameters[::2], parameters[1::2], strict=True):
        last = 2 * len(outputs) == len(parameters)
        outputs.append(FUNCTIONS[work.output if last else work.hidden](outputs[-1] @ W - theta))
    return outputs


def slope(name: str, b: np.ndarray) -> np.ndarray:
    """The derivative of an activation where its value is b."""
    return 1 - b * b if name == "tanh" else b * (1 - b)


@lru_cache(maxsize=4)
def reference(problem: Problem, passes: int) -> Arrays:
    """What ``passes`` passes of training give, or the outputs where the task is to predict."""
    work = problem.work
    parameters = [array.astype(float) for array in problem.parameters]
    if work.task.startswith("predict"):
        return layer_outputs(work, parameters, problem.X.astype(float))[-1:]
    for _ in range(passes):
        for x, y in zip(*problem.batches(), strict=True):
            outputs = layer_outputs(work, parameters, x.astype(float))
            delta = y - outputs[-1]
            if work.loss == "squared":
                delta *= slope("sigmoid", outputs[-1])
            for layer in reversed(range(len(outputs) - 1)):
                W, theta = parameters[2 * layer : 2 * layer + 2]
                error = delta @ W.T
                W += work.eta / len(x) * outputs[layer].T @ delta
                theta -= work.eta / len(x) * delta.sum(0)
                delta = error * slope(work.hidden, outputs[layer])
    return parameters


def check(problem: Problem, label: str, train: Run, passes: int) -> None:
    """Run it, for the first time, and compare."""
    result = train(passes)
    if result is None:
        return
    pairs = zip(result, reference(problem, passes), strict=True)
    difference = max(float(np.abs(np.asarray(mine, float) - theirs).max()) for mine, theirs in pairs)
    if not difference <= TOLERANCE[problem.dtype]:
        raise WrongResult(
            f"{problem.work.name}, {problem.dtype}: {label} differs by {difference:.1e} from the NumPy reference, "
            f"expected at most {TOLERANCE[problem.dtype]:.0e}"
        )


def calls(function: Callable[[Any], Any], samples: Sequence[Any]) -> Run:
    """A run that calls a predicting function for each sample."""

    def predict(passes: int) -> Arrays:
        for _ in range(passes):
            outputs = [function(x) for x in samples]
        return [np.array(outputs).reshape(-1, np.shape(outputs[0])[-1])]

    return predict


# --- bpjit.


def bpjit_train(problem: Problem) -> list[Run]:
    work, net = problem.work, problem.network()

    def train(passes: int) -> Arrays:
        fit = bpjit.train(
            net,
            problem.X,
            problem.Y,
            eta=work.eta,
            updates="stochastic" if work.batch == 1 else work.batch,
            loss=work.loss,
            shuffle=False,
            stop=passes,
            threads=1,  # as everything beside it
            progress=False,
        )
        return as_list(unless_interrupted(fit).network)

    return [train]


def as_list(net: bpjit.Network) -> Arrays:
    return [array for pair in zip(net.weights, net.thresholds, strict=True) for array in pair]


def bpjit_learn_one(problem: Problem) -> list[Run]:
    net, samples = problem.network(), list(zip(problem.X, problem.Y, strict=True))

    def train(passes: int) -> Arrays:
        learner = bpjit.OnlineLearner(net, eta=problem.work.eta, loss=problem.work.loss)
        learn = learner.learn
        for _ in range(passes):
            for x, y in samples:
                learn(x, y)
        return as_list(learner.network)

    return [train]


def bpjit_predict_one(problem: Problem) -> list[Run]:
    return [calls(bpjit.OnlineLearner(problem.network(), eta=0.1).predict, list(problem.X))]


def bpjit_predict_many(problem: Problem) -> list[Run]:
    return [calls(problem.network().predict, [problem.X])]


# --- C.


class CTraining(ctypes.Structure):
    """The struct Training of benchmark.c but for its last member, eta, a REAL."""

    _fields_ = [
        ("parameters", ctypes.c_void_p),
        ("X", ctypes.c_void_p),
        ("Y", ctypes.c_void_p),
        ("n_samples", ctypes.c_int),
        ("n_epochs", ctypes.c_int),
    ]


class CTraining32(CTraining):
    _fields_ = [("eta", ctypes.c_float)]


class CTraining64(CTraining):
    _fields_ = [("eta", ctypes.c_double)]


C_OPTIONS = ("-O3", "-march=native", "-ffast-math", "-fPIC", "-Wno-psabi")
C_TRAINING = {"float32": CTraining32, "float64": CTraining64}


def compile_c(compiler: str, folder: str) -> dict[str, ctypes.CDLL]:
    """benchmark.c as a library for each dtype.

    Linked without -ffast-math, which would make the process flush denormal numbers to zero, NumPy's included.
    """
    source = str(Path(__file__).with_name("benchmark.c"))
    libraries = {}
    for dtype, options in (("float32", ["-DSINGLE"]), ("float64", [])):
        compiled, library = f"{folder}/{dtype}.o", f"{folder}/{dtype}.so"
        for command in (
            [compiler, *C_OPTIONS, *options, "-c", source, "-o", compiled],
            [compiler, "-shared", compiled, "-o", library, "-lm"],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True)
        libraries[dtype] = ctypes.CDLL(library)
    return libraries


def c_train(libraries: dict[str, ctypes.CDLL], problem: Problem) -> list[Run]:
    kernel = getattr(libraries[problem.dtype], problem.work.name)
    kernel.restype = None
    places = np.cumsum([array.size for array in problem.parameters])[:-1]

    def train(passes: int) -> Arrays:
        flat = np.concatenate([array.ravel() for array in problem.parameters])
        addresses = (array.ctypes.data for array in (flat, problem.X, problem.Y))
        training = C_TRAINING[problem.dtype](*addresses, len(problem.X), passes, problem.work.eta)
        kernel(ctypes.byref(training))
        parts = zip(np.split(flat, places), problem.parameters, strict=True)
        return [part.reshape(array.shape) for part, array in parts]

    return [train]


# --- NumPy by hand.


def numpy_train(problem: Problem) -> list[Run]:
    work, updates = problem.work, list(zip(*problem.batches(), strict=True))
    if work.batch == 1:
        updates = list(zip(problem.X, problem.Y, strict=True))
    step = problem.X.dtype.type(work.eta / work.batch)

    def train(passes: int) -> Arrays:
        parameters = problem.copied()
        for _ in range(passes):
            for x, y in updates:
                numpy_update(work, parameters, x, y, step)
        return parameters

    return [train]


def numpy_update(work: Workload, parameters: Arrays, x: np.ndarray, y: np.ndarray, step: np.floating) -> None:
    """One update by a sample, [shape: (d,)], or a mini-batch, [shape: (m, d)]."""
    outputs = layer_outputs(work, parameters, x)
    delta = step * (y - outputs[-1])
    if work.loss == "squared":
        delta *= slope("sigmoid", outputs[-1])
    for layer in reversed(range(len(outputs) - 1)):
        W, theta, b = parameters[2 * layer], parameters[2 * layer + 1], outputs[layer]
        below = delta @ W.T * slope(work.hidden, b) if layer else delta
        if x.ndim == 1:
            W += b[:, None] * delta
            theta -= delta
        else:
            W += b.T @ delta
            theta -= delta.sum(0)
        delta = below


def numpy_predict_one(problem: Problem) -> list[Run]:
    return [calls(lambda x: layer_outputs(problem.work, problem.parameters, x)[-1], list(problem.X))]


def numpy_predict_many(problem: Problem) -> list[Run]:
    return [calls(lambda X: layer_outputs(problem.work, problem.parameters, X)[-1], [problem.X])]


# --- JAX: the loops over passes and updates are inside one compiled function.


def jax_modules(problem: Problem) -> tuple[Any, Any]:
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", problem.dtype == "float64")
    return jax, import_module("jax.numpy")


def jax_train(problem: Problem) -> list[Run]:
    if problem.work.loss == "squared" and len(problem.work.sizes) == 3:
        return [jax_small(problem, unroll) for unroll in (10, 1)]
    return [jax_autodiff(problem, turned) for turned in (True, False)]


def jax_scan(
    problem: Problem,
    step: Callable[[Any, Any, Any], Any],
    X: np.ndarray,
    Y: np.ndarray,
    unroll: int = 1,
    turn: Callable[[Sequence[Any]], Sequence[Any]] = list,
) -> Run:
    """Passes of ``step(parameters, x, y)`` over X and Y; ``turn`` changes the layout of parameters, and back."""
    jax, jnp = jax_modules(problem)
    X, Y = jnp.asarray(X), jnp.asarray(Y)

    def scanned(parameters: Any, sample: Any) -> Any:
        return step(parameters, *sample), None

    @partial(jax.jit, donate_argnums=0)
    def train(parameters: Any, X: Any, Y: Any, passes: Any) -> Any:
        def one_pass(_: Any, parameters: Any) -> Any:
            return jax.lax.scan(scanned, parameters, (X, Y), unroll=unroll)[0]

        return jax.lax.fori_loop(0, passes, one_pass, parameters)

    def run_passes(passes: int) -> Arrays:
        parameters = [jnp.array(array) for array in turn(problem.parameters)]
        return [np.asarray(array) for array in turn(jax.block_until_ready(train(parameters, X, Y, passes)))]

    return run_passes


def jax_outputs(problem: Problem, jax: Any) -> Callable[[Any, Any], Any]:
    """The net input of the last layer as a function of parameters and x."""
    hidden = {"sigmoid": jax.nn.sigmoid, "tanh": jax.numpy.tanh}[problem.work.hidden]

    def net_input(parameters: Any, x: Any) -> Any:
        *below, W, theta = parameters
        for V, gamma in zip(below[::2], below[1::2], strict=True):
            x = hidden(x @ V - gamma)
        return x @ W - theta

    return net_input


def jax_autodiff(problem: Problem, turned: bool) -> Run:
    """Derivatives by JAX; weights are kept as (fan_out, fan_in) if turned."""
    jax, _ = jax_modules(problem)
    net_input = jax_outputs(problem, jax)

    def turn(parameters: Sequence[Any]) -> list[Any]:
        return [array.T for array in parameters] if turned else list(parameters)

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        z = net_input(turn(parameters), x)
        if problem.work.loss == "cross_entropy":
            return -(y * jax.nn.log_softmax(z)).sum() / len(x)
        return 0.5 * ((y - jax.nn.sigmoid(z)) ** 2).sum() / len(x)

    gradient = jax.grad(loss)

    def step(parameters: Any, x: Any, y: Any) -> Any:
        return jax.tree.map(lambda p, g: p - problem.work.eta * g, parameters, gradient(parameters, x, y))

    return jax_scan(problem, step, *problem.batches(), turn=turn)


def jax_small(problem: Problem, unroll: int) -> Run:
    """Derivatives by hand, with sums instead of matrix products, which fuse: for a small hidden layer."""
    jax, _ = jax_modules(problem)

    def step(parameters: Any, x: Any, y: Any) -> Any:
        V, gamma, W, theta = parameters
        b = jax.nn.sigmoid(sum(x[i] * V[i] for i in range(len(V))) - gamma)
        y_hat = jax.nn.sigmoid(sum(b[h] * W[h] for h in range(len(W))) - theta)
        g = problem.work.eta * (y - y_hat) * y_hat * (1 - y_hat)
        e = (W * g).sum(1) * b * (1 - b)
        return [V + x[:, None] * e, gamma - e, W + b[:, None] * g, theta - g]

    return jax_scan(problem, step, problem.X, problem.Y, unroll)


def jax_predict(problem: Problem) -> tuple[Any, Callable[[Any], np.ndarray]]:
    """JAX's NumPy, and a compiled function that predicts."""
    jax, jnp = jax_modules(problem)
    net_input = jax_outputs(problem, jax)
    output = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}[problem.work.output]
    compiled = jax.jit(lambda parameters, x: output(net_input(parameters, x)))
    parameters = [jnp.asarray(array) for array in problem.parameters]
    return jnp, lambda x: np.asarray(compiled(parameters, x))


def jax_predict_one(problem: Problem) -> list[Run]:
    _, predict = jax_predict(problem)
    return [calls(predict, list(problem.X))]


def jax_predict_many(problem: Problem) -> list[Run]:
    jnp, predict = jax_predict(problem)
    return [calls(predict, [jnp.asarray(problem.X)])]


# --- PyTorch.


def torch_module() -> Any:
    torch = import_module("torch")
    torch.set_num_threads(1)
    return torch


def torch_model(torch: Any, problem: Problem) -> Any:
    """nn.Sequential of Linear layers and activations, without the last one; a bias is minus a threshold."""
    activation = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh}[problem.work.hidden]
    layers: list[Any] = []
    for W, theta in zip(problem.parameters[::2], problem.parameters[1::2], strict=True):
        layer = torch.nn.Linear(*W.shape, dtype=getattr(torch, problem.dtype))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(-theta))
        layers += [layer, activation()]
    return torch.nn.Sequential(*layers[:-1])


def torch_train(problem: Problem) -> list[Run]:
    """nn.Linear, autograd and SGD, as in every tutorial."""
    torch = torch_module()
    updates = list(zip(*map(torch.from_numpy, problem.batches()), strict=True))

    def loss(z: Any, y: Any) -> Any:
        if problem.work.loss == "cross_entropy":
            return torch.nn.functional.cross_entropy(z, y)
        return 0.5 * ((torch.sigmoid(z) - y) ** 2).sum(1).mean()

    def train(passes: int) -> Arrays:
        model = torch_model(torch, problem)
        optimizer = torch.optim.SGD(model.parameters(), lr=problem.work.eta)
        for _ in range(passes):
            for x, y in updates:
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()
        linear = model[::2]
        return [a.detach().numpy() for layer in linear for a in (layer.weight.T, -layer.bias)]

    return [train]


def torch_by_hand(problem: Problem) -> list[Run]:
    """Derivatives by hand, updates fused into addmm."""
    torch, work = torch_module(), problem.work
    updates = list(zip(*map(torch.from_numpy, problem.batches()), strict=True))
    step = work.eta / work.batch

    def update(layers: list[tuple[Any, Any]], x: Any, y: Any) -> None:
        outputs = [x]
        for W, bias in layers[:-1]:
            outputs.append(getattr(torch.addmm(bias, outputs[-1], W), work.hidden + "_")())
        z = torch.addmm(layers[-1][1], outputs[-1], layers[-1][0])
        y_hat = torch.softmax(z, -1) if work.output == "softmax" else z.sigmoid_()
        delta = y - y_hat
        if work.loss == "squared":
            delta *= y_hat * (1 - y_hat)
        for index in reversed(range(len(layers))):
            (W, bias), b = layers[index], outputs[index]
            below = (delta @ W.T).mul_(1 - b * b if work.hidden == "tanh" else b * (1 - b)) if index else delta
            W.addmm_(b.T, delta, alpha=step)
            bias.add_(delta.sum(0), alpha=step)
            delta = below

    def train(passes: int) -> Arrays:
        parameters = [torch.from_numpy(array) for array in problem.copied()]
        layers = [(W, -theta) for W, theta in zip(parameters[::2], parameters[1::2], strict=True)]
        with torch.inference_mode():
            for _ in range(passes):
                for x, y in updates:
                    update(layers, x, y)
        return [a.numpy() for W, bias in layers for a in (W, -bias)]

    return [train]


def torch_predict(problem: Problem, many: bool) -> list[Run]:
    torch = torch_module()
    last = torch.nn.Softmax(-1) if problem.work.output == "softmax" else torch.nn.Sigmoid()
    model = torch.nn.Sequential(*torch_model(torch, problem), last)
    X = torch.from_numpy(problem.X)

    def predict(x: Any) -> np.ndarray:
        with torch.inference_mode():
            return model(x).numpy()

    return [calls(predict, [X] if many else list(X))]


# --- scikit-learn: always its own initial weights and log-loss, so that trainings cannot be compared.


def sklearn_model(problem: Problem, epochs: int = 1) -> Any:
    work = problem.work
    return import_module("sklearn.neural_network").MLPClassifier(
        work.sizes[1:-1],
        activation="tanh" if work.hidden == "tanh" else "logistic",
        solver="sgd",
        momentum=0,
        nesterovs_momentum=False,
        alpha=0,
        tol=0,
        n_iter_no_change=10**9,
        shuffle=False,
        batch_size=work.batch,
        learning_rate_init=work.eta,
        max_iter=epochs,
        random_state=0,
    )


def labels_of(problem: Problem) -> np.ndarray:
    return problem.Y.argmax(1) if problem.Y.shape[1] > 1 else problem.Y[:, 0].astype(int)


def sklearn_train(problem: Problem) -> list[Run]:
    labels = labels_of(problem)

    def train(passes: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence
            sklearn_model(problem, passes).fit(problem.X, labels)

    return [train]


def sklearn_learn_one(problem: Problem) -> list[Run]:
    labels = labels_of(problem)
    classes, samples = np.unique(labels), [(problem.X[k : k + 1], labels[k : k + 1]) for k in range(len(labels))]

    def train(passes: int) -> None:
        model = sklearn_model(problem)
        for _ in range(passes):
            for x, label in samples:
                model.partial_fit(x, label, classes=classes)

    return [train]


def sklearn_predict(problem: Problem, many: bool) -> list[Run]:
    labels = labels_of(problem)
    model = sklearn_model(problem).partial_fit(problem.X, labels, classes=np.arange(problem.work.sizes[-1]))
    model.coefs_ = problem.parameters[::2]
    model.intercepts_ = [-theta for theta in problem.parameters[1::2]]
    model.out_activation_ = "softmax" if problem.work.output == "softmax" else "logistic"
    samples = [problem.X] if many else [x[None] for x in problem.X]
    return [calls(model.predict_proba, samples)]


# --- The table of what is measured.


@dataclass(frozen=True)
class Contender:
    """A library, the module it needs, and for each task a function that gives the forms it can be written in."""

    label: str
    module: str
    tasks: dict[str, Callable[[Problem], list[Run]]]
    checked_passes: int = 1
    whole: bool = False  # timed on all samples, however long that takes
    compiles: bool = False  # anew for each number of samples, so that it is checked on all of them


BPJIT = Contender(
    "bpjit",
    "bpjit",
    {
        "train": bpjit_train,
        "learn_one": bpjit_learn_one,
        "predict_one": bpjit_predict_one,
        "predict_many": bpjit_predict_many,
    },
    checked_passes=CHECKED_PASSES,
    whole=True,
)
PEERS = (
    Contender(
        "JAX",
        "jax",
        {"train": jax_train, "predict_one": jax_predict_one, "predict_many": jax_predict_many},
        compiles=True,
    ),
    Contender(
        "PyTorch",
        "torch",
        {
            "train": torch_train,
            "learn_one": torch_train,
            "predict_one": partial(torch_predict, many=False),
            "predict_many": partial(torch_predict, many=True),
        },
    ),
    Contender("torch by hand", "torch", {"train": torch_by_hand, "learn_one": torch_by_hand}),
    Contender(
        "scikit-learn",
        "sklearn",
        {
            "train": sklearn_train,
            "learn_one": sklearn_learn_one,
            "predict_one": partial(sklearn_predict, many=False),
            "predict_many": partial(sklearn_predict, many=True),
        },
    ),
    Contender(
        "NumPy",
        "numpy",
        {
            "train": numpy_train,
            "learn_one": numpy_train,
            "predict_one": numpy_predict_one,
            "predict_many": numpy_predict_many,
        },
    ),
)
DISTRIBUTIONS = {"sklearn": "scikit-learn"}


# --- Timing.


@dataclass(frozen=True)
class Pace:
    """How long a repeat should take, in seconds, and how many rounds of repeats there are."""

    seconds: float
    rounds: int
    forms: int  # at most, that are tried of each contender


FULL, QUICK = Pace(0.15, 9, forms=2), Pace(0.01, 3, forms=1)


@dataclass
class Entry:
    """A contender in a line: what a repeat runs, and the seconds each took."""

    label: str
    run: Run
    passes: int
    samples: int  # in a pass
    times: list[float] = field(default_factory=list)
    clean: bool = True

    def repeat(self) -> None:
        """One repeat, made again where something else had the CPU."""
        for _ in range(ATTEMPTS):
            wall, share = timed(self.run, self.passes)
            if share >= CLEAN_SHARE:
                break
        else:
            self.clean = False
        self.times.append(wall)

    @property
    def ns(self) -> float:
        """Nanoseconds for a sample."""
        return statistics.median(self.times) / (self.passes * self.samples) * 1e9


def timed(run_passes: Run, passes: int) -> tuple[float, float]:
    """Wall seconds, and the share of them in which this process was on a CPU."""
    cpu, wall = time.process_time(), time.perf_counter()
    run_passes(passes)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu / wall


def passes_within(run_passes: Run, seconds: float) -> tuple[int, float]:
    """How many passes take so long (one, if that takes longer), and the seconds of a pass."""
    passes = 1
    while (wall := timed(run_passes, passes)[0]) < seconds / 4:
        passes = math.ceil(passes * min(20, seconds / wall))
    return max(1, round(passes * seconds / wall)), wall / passes


def make_entry(contender: Contender, problem: Problem, pace: Pace) -> Entry:
    """The fastest form of a contender, after its result was checked; a slow one is timed on some samples only."""
    make, data = contender.tasks[problem.work.task], problem if contender.compiles else problem.part
    found = []
    for form in make(data)[: pace.forms]:
        check(data, contender.label, form, contender.checked_passes)
        found.append((form, *passes_within(form, pace.seconds)))
    best = min(range(len(found)), key=lambda index: found[index][2])
    form, passes, seconds = found[best]
    if data is not problem and (contender.whole or seconds * len(problem.X) < 2 * pace.seconds * len(data.X)):
        data, form = problem, make(problem)[best]
        form(1)
        passes, _ = passes_within(form, pace.seconds)
    return Entry(contender.label, form, passes, len(data.X))


def measure(
    contenders: Sequence[Contender], problem: Problem, pace: Pace, show: Callable[[str], None]
) -> dict[str, Entry]:
    """The contenders that can do it, timed in turns."""
    title = f"{problem.work.name} {problem.dtype}"
    entries = []
    for contender in contenders:
        if problem.work.task in contender.tasks:
            show(f"{title}: {contender.label} is prepared")
            entries.append(make_entry(contender, problem, pace))
    for turn in range(pace.rounds):
        show(f"{title}: round {turn + 1} of {pace.rounds}")
        for entry in entries:
            entry.repeat()
    show("")
    return {entry.label: entry for entry in entries}


# --- What the user sees.


def progress_line(text: str) -> None:
    """On a terminal, what is going on; an empty text takes it away."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r{text}", end="", file=sys.stderr, flush=True)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def versions(contenders: Sequence[Contender], compiler: str | None) -> dict[str, str]:
    names = ["numba"] + [contender.module for contender in contenders if contender.module != "bpjit"]
    found = {"Python": platform.python_version(), "bpjit": bpjit.__version__}
    for name in dict.fromkeys(DISTRIBUTIONS.get(name, name) for name in names if name):
        found[name] = metadata.version(name)
    if compiler:
        found["C"] = compiler
    return found


def of_c_time(entries: dict[str, Entry]) -> float | None:
    return entries["bpjit"].ns / entries["C"].ns if "C" in entries else None


def ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


OF_C = "of C's time"


class Report:
    """Lines of a table, each written as soon as it is measured."""

    def __init__(self, head: dict[str, Any], labels: Sequence[str]) -> None:
        self._others = [label for label in labels if label != "bpjit"]
        self._disturbed = False
        print(f"{head['machine']}; {head['date']}")
        print(", ".join(f"{name} {version}" for name, version in head["versions"].items()))
        if head["missing"]:
            print(f"not installed: {', '.join(head['missing'])}")
        print("\nbpjit in ns for a sample; for each of the others its time / bpjit's time\n")
        titles = [f"{'workload':<20} {'dtype':<8} {'bpjit ns':>10}"]
        titles += [f"{OF_C:>12}"] if "C" in self._others else []
        print(" ".join(titles + [f"{label:>13}" for label in self._others]), flush=True)

    def line(self, problem: Problem, entries: dict[str, Entry]) -> None:
        ours = entries["bpjit"]

        def cell(text: str, entry: Entry | None, width: int) -> str:
            self._disturbed |= entry is not None and not entry.clean
            return f"{text + ('' if entry is None or entry.clean else '*'):>{width}}"

        cells = [f"{problem.work.name:<20} {problem.dtype:<8}", cell(f"{ours.ns:,.1f}", ours, 10)]
        if "C" in self._others:
            share = of_c_time(entries)
            cells.append(f"{'' if share is None else ratio(share):>12}")
        for label in self._others:
            entry = entries.get(label)
            cells.append(cell("" if entry is None else ratio(entry.ns / ours.ns), entry, 13))
        print(" ".join(cells).rstrip(), flush=True)

    def end(self) -> None:
        if self._disturbed:
            print("\n* another process had the CPU in a repeat, each time: run this line again")


class JSONReport:
    """One object a line: the machine and versions, then a line for each workload and dtype."""

    def __init__(self, head: dict[str, Any], labels: Sequence[str]) -> None:
        print(json.dumps(head), flush=True)

    def line(self, problem: Problem, entries: dict[str, Entry]) -> None:
        record = {
            "workload": problem.work.name,
            "dtype": problem.dtype,
            "ns_per_sample": {label: entry.ns for label, entry in entries.items()},
            "of_c_time": of_c_time(entries),
            "disturbed": [label for label, entry in entries.items() if not entry.clean],
        }
        print(json.dumps(record), flush=True)

    def end(self) -> None:
        pass


def c_contender(folder: str) -> tuple[Contender | None, str | None]:
    """C and the compiler's version; neither where there is no compiler that can build benchmark.c."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        print("benchmark: no C compiler (cc, gcc, clang) found; going on without C", file=sys.stderr)
        return None, None
    try:
        libraries = compile_c(compiler, folder)
        version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    except (subprocess.CalledProcessError, OSError) as problem:
        reason = str(getattr(problem, "stderr", "") or problem).strip().splitlines()[0]
        print(f"benchmark: {compiler} failed on benchmark.c; going on without C: {reason}", file=sys.stderr)
        return None, None
    train = partial(c_train, libraries)
    return Contender("C", "", {"train": train}, checked_passes=CHECKED_PASSES, whole=True), version.splitlines()[0]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("workloads", nargs="*", metavar="workload", help=f"default all: {', '.join(WORKLOADS)}")
    result.add_argument("--dtype", choices=DTYPES, help="default both")
    result.add_argument("--quick", action="store_true", help="fewer and shorter repeats: under a minute")
    result.add_argument(
        "--target", choices=("cpu", "cuda"), default="cpu", help="cuda: what benchmark_cuda.py does, with its arguments"
    )
    result.add_argument("--json", action="store_true", help="one JSON object a line")
    return result


def problems(options: argparse.Namespace) -> Iterator[Problem]:
    for name in options.workloads or WORKLOADS:
        for dtype in [options.dtype] if options.dtype else DTYPES:
            yield make_problem(WORKLOADS[name], dtype)


def benchmark(options: argparse.Namespace) -> int:
    for name in options.workloads:
        if name not in WORKLOADS:
            raise BadInput(f"workload: expected any of {', '.join(WORKLOADS)}, got {name}")
    installed = [peer for peer in PEERS if importlib.util.find_spec(peer.module)]
    missing = [DISTRIBUTIONS.get(peer.module, peer.module) for peer in PEERS if peer not in installed]
    with tempfile.TemporaryDirectory() as folder:
        c, compiler = c_contender(folder)
        contenders = [BPJIT, *([c] if c else []), *installed]
        head = {
            "machine": f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}",
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "versions": versions(contenders, compiler),
            "missing": list(dict.fromkeys(missing)),
        }
        report = (JSONReport if options.json else Report)(head, [contender.label for contender in contenders])
        for problem in problems(options):
            report.line(problem, measure(contenders, problem, QUICK if options.quick else FULL, progress_line))
        report.end()
    return 0


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if "--target" in given and given[given.index("--target") + 1 :][:1] == ["cuda"]:
        place = given.index("--target")
        return benchmark_cuda.main(given[:place] + given[place + 2 :])
    return run(benchmark, parser(), arguments)


if __name__ == "__main__":
    raise SystemExit(main())
