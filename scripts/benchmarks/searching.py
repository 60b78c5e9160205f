"""Measure ``bpjit.search`` on iris: so many configurations of hidden units, activation, rule, rate, penalty and batch,
by successive halving on five folds; beside scikit-learn's HalvingRandomSearchCV of MLPClassifier, extrapolated.

    python scripts/benchmark_search.py
    python scripts/benchmark_search.py --configurations 1000 --threads 1

scikit-learn trains anew in each rung, on as many samples or for as many iterations as the rung says; so it is timed
with a few configurations and the same rungs, and its time multiplied. Its warnings that networks have not converged are
left out.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import scipy.stats

import bpjit
from script_tools import run, whole

SPACE: dict[str, Any] = {
    "hidden": [2, 3, 4, 6, 8, 12, 16],
    "activation": ["tanh", "sigmoid", "relu"],
    "rule": ["adam", "rprop"],
    "eta": scipy.stats.loguniform(1e-3, 1.0),
    "lam": [None, 0.9999, 0.999, 0.99],
    "updates": [8, 16, 32, "accumulated"],
    "init_seed": list(range(10)),
}
RUNGS: dict[str, Any] = {"min_epochs": 10, "max_epochs": 1000, "halving": 3}
FEW = 30  # configurations of scikit-learn


def iris() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def ours(count: int, threads: int | None) -> bpjit.Search:
    X, labels = iris()
    return bpjit.search(SPACE, X, labels, n=count, scale=bpjit.Scale.standard(X), threads=threads, **RUNGS)


def theirs(count: int, threads: int | None) -> tuple[float, float]:
    """Seconds for so many configurations, and the best score."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, labels = iris()
    space = {
        "hidden_layer_sizes": [(units,) for units in SPACE["hidden"]],
        "activation": ["tanh", "logistic", "relu"],
        "learning_rate_init": SPACE["eta"],
        "alpha": [0.0, 1e-4, 1e-3, 1e-2],
        "batch_size": [8, 16, 32, 120],
        "random_state": SPACE["init_seed"],
    }
    search = HalvingRandomSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(tol=0.0, n_iter_no_change=1000)),
        {f"mlpclassifier__{name}": values for name, values in space.items()},
        n_candidates=count,
        factor=RUNGS["halving"],
        resource="mlpclassifier__max_iter",
        min_resources=13,
        max_resources=RUNGS["max_epochs"],
        cv=5,
        random_state=0,
        n_jobs=threads,
        refit=False,
    )
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, labels)
    return time.perf_counter() - started, float(search.best_score_)


def measure(arguments: argparse.Namespace) -> int:
    found = ours(arguments.configurations, arguments.threads)
    print(found)
    increments = sum(rung.networks * (rung.last - rung.first) for rung in found.rungs)
    print(f"\ncompiling or loading code: {found.compile_seconds:.3g} s; search: {found.seconds:.3g} s")
    print(f"epochs spent / sum of the increments: {found.epochs / increments:.4f}")
    learns = bpjit.deal_folds(iris()[1], 5, 0) != np.arange(5)[:, None]
    X, labels = iris()
    alone = bpjit.train_many(
        bpjit.Networks.of([found.start] * 5),
        X,
        labels,
        sample_weight=learns.astype(float),
        validation=(X, labels, ~learns),
        max_epochs=RUNGS["max_epochs"],
        shape_kernels=False,
        **found.settings,
    )
    print(f"the winner's bits are those of train_many alone: {alone.networks == found.fits.networks}")
    if arguments.beside:
        seconds, score = theirs(FEW, arguments.threads)
        there = seconds * arguments.configurations / FEW
        print(f"HalvingRandomSearchCV: {seconds:.3g} s for {FEW}, accuracy {score:.3f};", end=" ")
        print(f"{there:.4g} s for {arguments.configurations}, extrapolated: {there / found.seconds:.3g} times as long")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark_search.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", type=whole, default=10_000)
    parser.add_argument("--threads", type=whole, default=None, help="of bpjit; scikit-learn has as many processes")
    parser.add_argument("--alone", dest="beside", action="store_false", help="without scikit-learn")
    return run(measure, parser, arguments)
