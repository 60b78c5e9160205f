"""Print a fingerprint of what training gives, to the last bit, for many settings: run it at two commits on one machine
and compare. What differs then is a change of results, meant or not.

    python scripts/fingerprints.py > before.txt
    git switch my-change
    python scripts/fingerprints.py | diff before.txt -
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import bpjit
from script_tools import run

RULES = ("sgd", "momentum", "nesterov", "rprop", "quickprop", "adagrad", "rmsprop", "adam")
ACCUMULATED = ("rprop", "quickprop")
DTYPES = ("float64", "float32")
Trained = Callable[[], Any]


def digest(*arrays: Any) -> str:
    """A fingerprint of arrays."""
    sums = hashlib.blake2b(digest_size=8)
    for array in arrays:
        sums.update(np.ascontiguousarray(array).tobytes())
    return sums.hexdigest()


def data(m: int, d: int, l: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and targets from 0 to 1 whose sum over a row is 1."""
    rng = np.random.default_rng(seed)
    Y = rng.random((m, l))
    return rng.normal(size=(m, d)), Y / Y.sum(1, keepdims=True)


def one_network(dtype: str) -> Iterator[tuple[str, Trained]]:
    """``train``: every rule and kind of update, then everything else that decides where it goes."""
    X, Y = data(70, 20, 3)
    net = bpjit.Network.random((20, 9, 3), "tanh", "softmax", seed=1, dtype=dtype)
    xor = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    small = bpjit.Network.random((2, 4, 1), seed=1, dtype=dtype)
    deep = bpjit.Network.random((20, 7, 6, 5, 3), ["sigmoid", "softplus", "relu"], "sigmoid", seed=1, dtype=dtype)

    def trained(start: bpjit.Network = net, D: Any = (X, Y), **settings: Any) -> Trained:
        def go() -> Any:
            fit = bpjit.train(start, *D, **{"stop": 12, **settings})
            return fit.network.parameters, fit.errors, fit.validation_errors, [fit.error, fit.epochs, fit.updates]

        return go

    for rule in RULES:
        for updates in ("accumulated",) if rule in ACCUMULATED else ("stochastic", 16, "accumulated"):
            yield f"{rule} {updates}", trained(rule=rule, updates=updates)
    for updates in ("stochastic", 16, "accumulated"):
        yield f"lam {updates}", trained(updates=updates, lam=0.99)
        yield f"sample weights {updates}", trained(updates=updates, sample_weight=np.arange(70) % 4)
        yield f"masked {updates}", trained(updates=updates, train_thresholds=False)
    early = [bpjit.EarlyStopping(patience=4, every=2), 60]
    yield "early stopping", trained(stop=early, validation=data(30, 20, 3, 5), eta=0.4)
    prechelt = [bpjit.EarlyStopping(every=3, generalization_loss=1.0, progress=0.1), 60]
    yield "GL and P", trained(stop=prechelt, validation=data(30, 20, 3, 5), eta=0.4)
    yield "no improvement", trained(stop=[bpjit.NoImprovement(5, 1e-4), 90], eta=0.5)
    yield "adaptive", trained(eta=bpjit.AdaptiveRate(0.5), updates="accumulated", stop=60)
    yield "cosine", trained(eta=bpjit.Cosine(0.5, epochs=12))
    for loss in ("squared", "absolute", "huber"):
        yield loss, trained(loss=loss)
    yield "xor", trained(small, xor, eta=5.0, stop=[bpjit.MaxEpochs(3000), bpjit.TargetError(1e-3)])
    yield "xor accumulated", trained(small, xor, eta=20.0, updates="accumulated", stop=500)
    yield "deep", trained(deep)
    yield "deep 16", trained(deep, updates=16, rule="adam")
    yield "three threads", trained(updates="accumulated", rule="rprop", threads=3)

    def resumed() -> Any:
        first = bpjit.train(net, X, Y, rule="adam", updates=16, stop=5)
        fit = bpjit.train(first.network, X, Y, rule="adam", updates=16, stop=7, resume=first)
        return fit.network.parameters, fit.errors

    yield "resumed", resumed


def many_networks(dtype: str) -> Iterator[tuple[str, Trained]]:
    """``train_many``: lanes, tiny ones and others, and networks too large for them."""
    X, Y = data(40, 5, 2)

    def trained(nets: Any, D: Any = (X, Y), **settings: Any) -> Trained:
        def go() -> Any:
            fits = bpjit.train_many(nets, *D, **{"stop": 9, **settings})
            assert isinstance(fits.networks, bpjit.Networks)
            return fits.networks.parameters, fits.error, fits.epochs, fits.updates, fits.best_epoch

        return go

    nets = bpjit.Networks.random((5, 6, 2), 150, output="softmax", seed=3, dtype=dtype)
    wide = bpjit.Networks.random((5, 30, 10, 2), 20, "tanh", "softmax", seed=3, dtype=dtype)
    for rule in RULES:
        for updates in ("accumulated",) if rule in ACCUMULATED else ("stochastic", 16, "accumulated"):
            yield f"many {rule} {updates}", trained(nets, rule=rule, updates=updates)
    weights = (np.arange(150 * 40).reshape(150, 40) * 7919) % 3
    early = [bpjit.EarlyStopping(patience=3), bpjit.TargetError(0.1), 40]
    yield "many weights", trained(nets, sample_weight=weights, updates=16)
    yield "many lam and eta", trained(nets, lam=np.linspace(0.9, 0.999, 150), eta=np.linspace(0.01, 0.3, 150))
    yield "many seeds", trained(nets, seed=list(range(150)))
    yield "many early", trained(nets, stop=early, validation=data(20, 5, 2, 9), eta=0.5)
    yield "many window", trained(nets, stop=[bpjit.NoImprovement(3, 1e-3), 60], eta=0.5)
    yield "many adaptive", trained(nets, eta=bpjit.AdaptiveRate(0.5), updates="accumulated", stop=40)
    yield "many wide", trained(wide, rule="adam", updates=16)
    large = bpjit.Networks.random((5, 150, 2), 3, output="softmax", seed=3, dtype=dtype)
    yield "many large", trained(large, updates=16)


def learners(dtype: str) -> Iterator[tuple[str, Trained]]:
    """Streams: a learner, a bank."""
    X, Y = data(60, 4, 2)
    for rule in RULES:
        if rule in ACCUMULATED:
            continue

        def learnt(rule: str = rule) -> Any:
            net = bpjit.Network.random((4, 7, 2), output="softmax", seed=2, dtype=dtype)
            learner = bpjit.OnlineLearner(net, rule=rule, lam=0.9999, clip_gradient=0.5)
            errors = [learner.learn(x.astype(dtype), y.astype(dtype)) for x, y in zip(X, Y, strict=True)]
            return learner.network.parameters, errors, learner.predict(X[0])

        def banked(rule: str = rule) -> Any:
            networks = bpjit.Networks.random((4, 7, 2), 9, output="softmax", seed=2, dtype=dtype)
            bank = bpjit.LearnerBank(networks, rule=rule, eta=0.05)
            errors = bank.learn(np.arange(60) % 9, X, Y)
            return bank.networks.parameters, errors, bank.predict(np.arange(9), X[:9])

        yield f"learner {rule}", learnt
        yield f"bank {rule}", banked


def script(options: argparse.Namespace) -> int:
    for dtype in DTYPES:
        for kind in (one_network, many_networks, learners):
            for name, go in kind(dtype):
                print(f"{dtype} {name}: {digest(*go())}", flush=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    return run(script, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
