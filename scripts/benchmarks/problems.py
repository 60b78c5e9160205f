"""Workloads of one network: their data and starts, what a slow NumPy reference makes of them, and who can do them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

import bpjit

from .harness import Run, compare

PART = 640  # samples that results are checked on, and that slow peers are timed on
CHECKED_PASSES = 3

Arrays = list[np.ndarray]
"""Parameters W1, theta1, W2, ..., or outputs: what a run returns, or None where these cannot be compared."""


@dataclass(frozen=True)
class Contender:
    """A library, the module it needs, and for each task a function that gives the forms it can be written in."""

    label: str
    module: str
    tasks: dict[str, Callable[[Problem], list[Run]]]
    checked_passes: int = 1
    whole: bool = False  # timed on all samples, however long that takes
    compiles: bool = False  # anew for each number of samples, so that it is checked on all of them


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
    if result is not None:
        what = f"{problem.work.name}, {problem.dtype}: {label}"
        compare(what, result, reference(problem, passes), problem.dtype)


def calls(function: Callable[[Any], Any], samples: Sequence[Any]) -> Run:
    """A run that calls a predicting function for each sample."""

    def predict(passes: int) -> Arrays:
        for _ in range(passes):
            outputs = [function(x) for x in samples]
        return [np.array(outputs).reshape(-1, np.shape(outputs[0])[-1])]

    return predict
