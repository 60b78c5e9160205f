"""Who is measured: bpjit, and beside it NumPy by hand and scikit-learn, which stand here, and JAX, PyTorch and C."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import bpjit
from bpjit.formulas import exp, tanh
from script_tools import unless_interrupted

from .harness import Run
from .problems import CHECKED_PASSES, Arrays, Contender, Problem, Workload, calls, layer_outputs, slope
from .with_jax import JAX
from .with_torch import TORCH

# --- bpjit, and bpjit with formulas as its users write them.


def setting(problem: Problem, own: bool) -> tuple[bpjit.Network, str]:
    """The network and its loss, by built-in formulas or by copies of them."""
    net, loss = problem.network(), problem.work.loss
    if not own:
        return net, loss
    copies = {
        "sigmoid": bpjit.activation(lambda z: 1 / (1 + exp(-z)), name="logistic"),
        "tanh": bpjit.activation(lambda z: tanh(z), name="my_tanh"),
        "squared": bpjit.loss(lambda y_hat, y: 0.5 * (y - y_hat) ** 2, name="my_squared"),
    }
    hidden, output = [copies[name] for name in net.hidden], net.output
    arrays = problem.parameters[::2], problem.parameters[1::2]
    net = bpjit.Network.from_arrays(*arrays, hidden=hidden, output=copies.get(output, output))
    return net, copies.get(loss, loss)


def bpjit_train(problem: Problem, own: bool = False) -> list[Run]:
    work, (net, loss) = problem.work, setting(problem, own)

    def train(passes: int) -> Arrays:
        fit = bpjit.train(
            net,
            problem.X,
            problem.Y,
            eta=work.eta,
            updates="stochastic" if work.batch == 1 else work.batch,
            loss=loss,
            shuffle=False,
            stop=passes,
            threads=1,  # as everything beside it
            progress=False,
        )
        return as_list(unless_interrupted(fit).network)

    return [train]


def as_list(net: bpjit.Network) -> Arrays:
    return [array for pair in zip(net.weights, net.thresholds, strict=True) for array in pair]


def bpjit_learn_one(problem: Problem, own: bool = False) -> list[Run]:
    (net, loss), samples = setting(problem, own), list(zip(problem.X, problem.Y, strict=True))

    def train(passes: int) -> Arrays:
        learner = bpjit.OnlineLearner(net, eta=problem.work.eta, loss=loss)
        learn = learner.learn
        for _ in range(passes):
            for x, y in samples:
                learn(x, y)
        return as_list(learner.network)

    return [train]


def bpjit_predict_one(problem: Problem, own: bool = False) -> list[Run]:
    return [calls(bpjit.OnlineLearner(setting(problem, own)[0], eta=0.1).predict, list(problem.X))]


def bpjit_predict_many(problem: Problem, own: bool = False) -> list[Run]:
    return [calls(setting(problem, own)[0].predict, [problem.X])]


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


# --- All of them; C is beside where there is a compiler.


TASKS: dict[str, Any] = {
    "train": bpjit_train,
    "learn_one": bpjit_learn_one,
    "predict_one": bpjit_predict_one,
    "predict_many": bpjit_predict_many,
}
BPJIT = Contender("bpjit", "bpjit", TASKS, checked_passes=CHECKED_PASSES, whole=True)
OWN = replace(BPJIT, label="own formulas", tasks={name: partial(task, own=True) for name, task in TASKS.items()})
PEERS = (
    OWN,
    JAX,
    *TORCH,
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
