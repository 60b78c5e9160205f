"""Objectives to be judged by the reference, and by themselves without the JIT, in a process of its own:
``NUMBA_DISABLE_JIT=1 python objective_cases.py RESULTS.npz``."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import bpjit
import reference
from own_cases import ACTIVATION, LOSS

M = 9
ONE = (3, 2)
SMALL = (3, 4, 2)
DEEP = (3, 5, 4, 2)

CASES = {  # hidden, output, loss, sizes
    "tanh identity squared": ("tanh", "identity", "squared", SMALL),
    "sigmoid tanh squared": ("sigmoid", "tanh", "squared", DEEP),
    "no hidden softmax squared": ((), "softmax", "squared", ONE),
    "softplus softmax huber": ("softplus", "softmax", "huber", SMALL),
    "softsign softmax cross_entropy": ("softsign", "softmax", "cross_entropy", DEEP),
    "sin sigmoid cross_entropy": (("sin", "tanh"), "sigmoid", "cross_entropy", DEEP),
    "relu softplus huber": (("relu", "sigmoid"), "softplus", "huber", DEEP),
    "leaky_relu softsign absolute": (("leaky_relu", "identity"), "softsign", "absolute", DEEP),
    "softplus sigmoid squared": (("softplus", "softsign"), "sigmoid", "squared", DEEP),
    "identity sin squared": ("identity", "sin", "squared", SMALL),
}


def data(output: str, loss: str, m: int = M) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X, Y, c) of m samples that fit outputs and loss; one is absent."""
    rng = np.random.default_rng(5)
    X, Y, c = rng.normal(size=(m, 3)), 3.0 * rng.normal(size=(m, 2)), rng.uniform(0.5, 2.0, size=m)
    if loss == "cross_entropy":
        Y = 1.0 / (1.0 + np.exp(-Y))
        Y = Y / Y.sum(1, keepdims=True) if output == "softmax" else Y
    c[2] = 0.0
    return X, Y, c


def objective(name: str, dtype: str = "float64", m: int = M, lam: float | None = None) -> bpjit.Objective:
    """The objective of a case."""
    hidden, output, loss, sizes = CASES[name]
    net = bpjit.Network.random(sizes, hidden, output, "normal", 2, dtype)
    X, Y, c = data(output, loss, m)
    return bpjit.Objective(net, X, Y, loss=loss, sample_weight=c, lam=lam)


def own_objective(dtype: str = "float64", loss: Any = LOSS, output: Any = ACTIVATION, gaps: bool = True) -> Any:
    """With formulas of the user's own, over targets of which some are not known."""
    net = bpjit.Network.random(DEEP, [ACTIVATION, "tanh"], output, "normal", 2, dtype)
    X, Y, _ = data("identity", "squared")
    if gaps:
        Y[1], Y[4, 0] = np.nan, np.nan
    return bpjit.Objective(net, X, Y, loss=loss, missing="ignore" if gaps else None)


def direction(n: int) -> np.ndarray:
    """Somewhere to move parameters: a vector of length 1."""
    v = np.random.default_rng(n).normal(size=n)
    return v / np.linalg.norm(v)


def differences(of: bpjit.Objective, p: np.ndarray, v: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """The gradient's slope along v, by central differences."""
    return (of.gradient(p + h * v) - of.gradient(p - h * v)) / (2 * h)


def by_reference(name: str, v: np.ndarray) -> np.ndarray:
    """The Hessian of a case times v."""
    _, output, loss, _ = CASES[name]
    net = objective(name).network(objective(name).parameters)
    X, Y, c = data(output, loss)
    return reference.hessian_product(
        [np.array(W) for W in net.weights],
        [np.array(theta) for theta in net.thresholds],
        (*net.hidden, output),
        loss,
        X,
        Y,
        v,
        c,
    )


def products(of: bpjit.Objective) -> np.ndarray:
    """The Hessian times a direction."""
    p = of.parameters
    return of.hessian_product(p, direction(len(p)))


def main(path: str) -> None:
    found = {name: products(objective(name)) for name in CASES}
    found |= {f"{name} float32": products(objective(name, "float32")) for name in CASES}
    of = own_objective()
    found["own"] = products(of)
    found["own by differences"] = differences(of, of.parameters, direction(len(of.parameters)))
    of = objective("tanh identity squared", lam=0.9)
    found["value"], found["gradient"] = of.value_and_gradient(of.parameters)
    found["residuals"], found["jacobian"] = of.residuals(of.parameters), of.jacobian(of.parameters)
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
