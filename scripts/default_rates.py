"""The learning rates that ``eta=None`` chooses (``bpjit.settings.rates``), measured: XOR by a 2-4-1 network, and
standardised tables of all kinds, by every rule and with several hidden activations.

Run with ``python scripts/default_rates.py``, which takes a minute; ``--quick`` takes fewer tables and starts, and
``--data FOLDER`` adds the three of Proben1. The exit code is 1 if a rule learns XOR from fewer than three starts of
four with sigmoid, tanh, softsign or sin units.

XOR 2-4-1: starts of 20 that are learnt within 1,000 epochs, by stochastic updates, or accumulated ones where the rule
needs them:

    rule       sigmoid  tanh  softsign  sin  relu
    ---------  -------  ----  --------  ---  ----
    sgd             19    20        18   19    10
    momentum        19    20        17   19     9
    nesterov        19    20        17   19     9
    adam            20    20        20   20     9
    rmsprop         19    20        20   20     9
    adagrad         16    17        18   15     9
    rprop           19    20        19   20     8
    quickprop       19    20        20   20     9

Networks of 10 hidden units on twelve standardised tables that it makes, from two starts, for 100 epochs: how many
diverged, and the median of E by that of the best constant:

    rule          diverged  sigmoid   tanh  softsign    sin   relu
    ------------  --------  -------  -----  --------  -----  -----
    sgd           0 of 120    0.037  0.059     0.053  0.081  0.058
    momentum      0 of 120    0.030  0.047     0.049  0.078  0.056
    nesterov      0 of 120    0.028  0.033     0.039  0.076  0.058
    adam          0 of 120    0.026  0.041     0.033  0.025  0.022
    rmsprop       0 of 120    0.053  0.054     0.056  0.022  0.041
    adagrad       0 of 120    0.080  0.039     0.050  0.015  0.028
    rprop         0 of 120    0.011  0.015     0.011  0.008  0.014
    quickprop     0 of 120    0.043  0.015     0.020  0.009  0.014
    sgd, eta=0.1  4 of 120    0.053  0.072     0.072  0.735  0.094
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bpjit
import proben1
from script_tools import Help, run, table, unless_interrupted, whole

RULES = ("sgd", "momentum", "nesterov", "adam", "rmsprop", "adagrad", "rprop", "quickprop")
HIDDEN = ("sigmoid", "tanh", "softsign", "sin", "relu")
XOR_X = [[0, 0], [0, 1], [1, 0], [1, 1]]
XOR_Y = np.array([0, 1, 1, 0])
UNITS = 10


@dataclass(frozen=True)
class Data:
    """A table with standardised inputs."""

    name: str
    X: np.ndarray
    Y: np.ndarray
    output: str

    @property
    def constant_error(self) -> float:
        """E of the best constant outputs."""
        mean = self.Y.mean(axis=0)
        if self.output == "softmax":
            return float(-(mean * np.log(mean)).sum())
        return float(0.5 * self.Y.var(axis=0).sum())


def standardised(values: np.ndarray) -> np.ndarray:
    deviation = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def numbers(name: str, X: np.ndarray, y: np.ndarray) -> Data:
    """Numbers to predict."""
    return Data(name, standardised(X), standardised(y)[:, None], "identity")


def two(name: str, X: np.ndarray, y: np.ndarray) -> Data:
    """Two classes, learnt by one sigmoid."""
    return Data(name, standardised(X), y[:, None].astype(float), "sigmoid")


def several(name: str, X: np.ndarray, Y: np.ndarray) -> Data:
    """Classes, one-hot."""
    return Data(name, standardised(X), Y.astype(float), "softmax")


def tables(rng: np.random.Generator) -> list[Data]:
    """Tables of all kinds: smooth and rough, narrow and wide, with and without noise."""
    m = 300
    noise = rng.normal(size=m)
    found = []
    U, G = rng.uniform(size=(m, 10)), rng.normal(size=(m, 100))
    friedman = 10 * np.sin(np.pi * U[:, 0] * U[:, 1]) + 20 * (U[:, 2] - 0.5) ** 2 + 10 * U[:, 3] + 5 * U[:, 4]
    found += [numbers("friedman", U, friedman + noise)]
    found += [numbers("plane", G[:, :3], G[:, :3] @ [1, -2, 0.5] + 0.1 * noise)]
    found += [numbers("sine", U[:, :1], np.sin(12 * U[:, 0]) + 0.1 * noise)]
    found += [numbers("wide", G, G @ rng.normal(size=100) + noise)]
    hidden = G[:, :5] @ rng.normal(size=(5, 30)) + 0.1 * rng.normal(size=(m, 30))
    found += [numbers("collinear", hidden, G[:, 0] * G[:, 1] + G[:, 2])]
    found += [numbers("noise", G[:, :6], G[:, 0] + 3 * noise)]
    found += [two("checker", U[:, :2], (U[:, 0] > 0.5) ^ (U[:, 1] > 0.5))]
    angle, side = np.pi * U[:, 0], np.arange(m) % 2
    moons = np.stack([np.cos(angle) * (1 - 2 * side) + side, np.sin(angle) * (1 - 2 * side) + 0.5 * side], axis=1)
    found += [two("moons", moons + 0.15 * G[:, :2], side)]
    found += [two("rare", G[:, :6], G[:, 0] + G[:, 1] > 2)]
    parity = np.array([[number >> bit & 1 for bit in range(4)] for number in range(16)])
    found += [two("parity", parity, parity.sum(axis=1) % 2)]
    label = rng.integers(5, size=m)
    centres = 1.5 * rng.normal(size=(5, 8))
    found += [several("blobs", centres[label] + G[:, :8], np.eye(5)[label])]
    pictures = rng.uniform(size=(10, 64)) > 0.7
    digit = rng.integers(10, size=m)
    found += [several("pictures", pictures[digit] + 0.5 * G[:, :64], np.eye(10)[digit])]
    return found


def of_proben1(folder: Path) -> list[Data]:
    """The training sets of Proben1."""
    return [several(name, *proben1.read(folder, name).part(0)) for name in proben1.PROBLEMS]


def updates_of(rule: str) -> str:
    return "accumulated" if rule in ("rprop", "quickprop") else "stochastic"


def learnt_xor(rule: str, hidden: str, starts: int) -> int:
    """How many starts of a 2-4-1 network learn XOR, with all else by default."""
    learnt = 0
    for seed in range(starts):
        net = bpjit.Network.random((2, 4, 1), hidden, seed=seed)
        fit = unless_interrupted(bpjit.train(net, XOR_X, XOR_Y, rule=rule, updates=updates_of(rule)))
        learnt += bool((fit.network.classify(XOR_X) == XOR_Y).all())
    return learnt


def trained(data: Data, rule: str, hidden: str, seed: int, epochs: int, eta: float | None = None) -> bpjit.Fit:
    net = bpjit.Network.random((data.X.shape[1], UNITS, data.Y.shape[1]), hidden, data.output, seed=seed)
    fit = bpjit.train(net, data.X, data.Y, rule=rule, eta=eta, updates=updates_of(rule), stop=epochs, threads=1)
    return unless_interrupted(fit)


def measured(sets: list[Data], rule: str, options: argparse.Namespace, eta: float | None = None) -> list[str]:
    """How many trainings diverged, and what is left of the error with each hidden activation."""
    diverged, count, left = 0, 0, []
    for hidden in HIDDEN[:2] if options.quick else HIDDEN:
        rest = []
        for data in sets:
            for seed in range(2):
                fit = trained(data, rule, hidden, seed, 20 if options.quick else 100, eta)
                diverged += fit.stopped_by == "diverged"
                count += 1
                rest.append(fit.error / data.constant_error)
        left.append(f"{np.median(rest):.3f}")
    return [f"{diverged} of {count}", *left]


def main_with(options: argparse.Namespace) -> int:
    warnings.simplefilter("ignore", bpjit.TrainingWarning)  # that some learn nothing is what is counted here
    starts = 4 if options.quick else options.starts
    counts = {rule: [learnt_xor(rule, hidden, starts) for hidden in HIDDEN] for rule in RULES}
    print(f"XOR 2-4-1 learnt, of {starts} starts\n")
    print(table(["rule", *HIDDEN], [[rule, *map(str, row)] for rule, row in counts.items()]))
    sets = tables(np.random.default_rng(0))
    sets = sets[::5] if options.quick else sets
    sets += [] if options.data is None else of_proben1(options.data)
    rules = ("sgd", "adam") if options.quick else RULES
    rows = [[rule, *measured(sets, rule, options)] for rule in rules]
    rows.append(["sgd, eta=0.1", *measured(sets, "sgd", options, 0.1)])
    print(f"\n{len(sets)} standardised tables: diverged, and the median of E by that of a constant\n")
    print(table(["rule", "diverged", *(HIDDEN[:2] if options.quick else HIDDEN)], rows))
    return int(min(min(row[:-1]) for row in counts.values()) < 0.75 * starts)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="default_rates.py", description=__doc__.split("\n\n")[0], formatter_class=Help
    )
    parser.add_argument("--starts", type=whole, default=20, help="of XOR")
    parser.add_argument("--quick", action="store_true", help="few tables, starts and epochs")
    parser.add_argument("--data", type=Path, help="folder with the data of Proben1")
    return run(main_with, parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
