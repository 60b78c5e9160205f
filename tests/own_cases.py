"""Formulas as a user would write them, and the same for the reference; and work for machines in processes of their own:
``NUMBA_DISABLE_JIT=1 python own_cases.py RESULTS.npz``, and with ``NUMBA_ENABLE_CUDASIM=1`` on the simulated GPU."""

from __future__ import annotations

import os
import sys

import numpy as np

import bpjit
import reference
from bpjit.formulas import exp, select, sqrt


@bpjit.activation
def swish(z, beta=1.0):
    return z / (1 + exp(-beta * z))


@bpjit.loss
def lopsided(y_hat, y, factor=3.0):
    d = y - y_hat
    return select(d > 0, factor, 1.0) * d * d


def averages(shared, settings):
    t1, t2 = shared
    return t1 + (1 - settings.beta1) * (1 - t1), t2 + (1 - settings.beta2) * (1 - t2)


@bpjit.rule(prepare=averages, starts=(0.0, 0.0), shares=2, eta=0.02, beta1=0.9, beta2=0.999, epsilon=1e-8)
def my_adam(w, g, state, eta, settings, shared):
    m, r = state
    m = m + (1 - settings.beta1) * (g - m)
    r = r + (1 - settings.beta2) * (g * g - r)
    return w + eta * (m / shared[0]) / (sqrt(r / shared[1]) + settings.epsilon), (m, r)


ACTIVATION, LOSS = swish(beta=1.5), lopsided(factor=2.0)


def _swish(z):
    share = 0.5 * (1.0 + np.tanh(0.75 * z))
    return z * share, share + 1.5 * z * share * (1.0 - share)


def _lopsided(y_hat, y):
    d = y_hat - y
    factor = np.where(d < 0, 2.0, 1.0)
    return np.sum(factor * d * d), 2.0 * factor * d


reference.ACTIVATIONS[ACTIVATION], reference.LOSSES[LOSS] = _swish, _lopsided

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32).astype(np.float64)
Y = np.random.default_rng(1).uniform(-1, 1, size=(7, 2)).astype(np.float32).astype(np.float64)
SIZES = {"small": (3, 4, 2), "large": (3, 40, 3, 2)}
SETTINGS = {"standard": {"eta": 0.05}, "rule": {"rule": my_adam, "updates": 3}}
CASES = [(size, setting) for size in SIZES for setting in SETTINGS]


def network(size, dtype="float64"):
    """One whose hidden units are the user's own, and of another kind; its outputs too."""
    hidden = [ACTIVATION, "tanh"][: len(SIZES[size]) - 2]
    output = ACTIVATION if size == "small" else "identity"
    return bpjit.Network.random(SIZES[size], hidden, output, seed=3, dtype=dtype)


def trained(size, setting, dtype="float64", **more):
    """What ``train`` makes of it."""
    return bpjit.train(network(size, dtype), X, Y, loss=LOSS, stop=3, seed=1, **SETTINGS[setting], **more).network


def expected(size, setting):
    """What the reference makes of it."""
    net, more = network(size), SETTINGS[setting]
    rule = {"rule": "adam", "etas": 0.02} if "rule" in more else {"etas": more["eta"]}
    result = reference.train(
        [np.array(W) for W in net.weights],
        [np.array(theta) for theta in net.thresholds],
        (*net.hidden, net.output),
        X,
        Y,
        loss=LOSS,
        updates=more.get("updates", "stochastic"),
        epochs=3,
        seed=1,
        **rule,
    )
    return result.vector


def main(path: str) -> None:
    found = {}
    for size, setting in CASES:
        if "NUMBA_ENABLE_CUDASIM" in os.environ:
            net = trained(size, setting, target="cuda")
            pair = bpjit.Networks.of([network(size)] * 2)
            more = {"loss": LOSS, "stop": 3, "seed": 1, "target": "cuda"} | SETTINGS[setting]
            found[f"{size} {setting} many"] = bpjit.train_many(pair, X, Y, **more).networks[1].parameters
            found[f"{size} {setting} y_hat"] = net.predict(X, target="cuda")
        else:
            net = trained(size, setting)
            found[f"{size} {setting} y_hat"] = net.predict(X)
        found[f"{size} {setting}"] = net.parameters
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
