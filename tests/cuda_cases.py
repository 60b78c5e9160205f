"""Work for the GPU in tests, done on either target: in this process, or by Numba's simulator of CUDA in one of its own:
``NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1 python cuda_cases.py RESULTS.npz PART PARTS``.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import bpjit
import cases
from bpjit.kernels import plane_numbers

X = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32).astype(np.float64)
Y = np.random.default_rng(1).uniform(0.1, 0.9, size=(9, 2)).astype(np.float32).astype(np.float64)
GAPS = np.where(np.random.default_rng(5).random((9, 2)) < 0.3, np.nan, Y)
LABELS = np.random.default_rng(2).integers(0, 2, 9)
Work = Callable[[str], dict[str, np.ndarray]]


def of_fit(fit: bpjit.Fit) -> dict[str, np.ndarray]:
    """What is compared of a training."""
    return {
        "parameters": fit.network.parameters,
        "errors": fit.errors,
        "validation_errors": fit.validation_errors,
        "error": np.array(fit.error),
        "counts": np.array([fit.epochs, fit.updates, fit.best_epoch or 0]),
        "why": np.array(fit.stopped_by),
    }


def of_fits(fits: bpjit.Fits) -> dict[str, np.ndarray]:
    """What is compared of many."""
    nets = fits.networks
    vectors = [net.parameters for net in nets]
    found = {
        "parameters": np.concatenate(vectors),
        "error": fits.error,
        "validation_error": fits.validation_error,
        "counts": np.stack([fits.epochs, fits.updates, fits.best_epoch]),
        "why": fits.stopped_by,
    }
    if fits.errors is not None and fits.validation_errors is not None:
        found |= {"errors": np.concatenate(fits.errors), "validation_errors": np.concatenate(fits.validation_errors)}
    return found


def covering() -> Iterator[tuple[str, Work]]:
    """Every pair of settings, for one network and for two."""
    for case in cases.covering_array():
        problem = cases.Problem(case)

        def one(target: str, problem: cases.Problem = problem) -> dict[str, np.ndarray]:
            return of_fit(bpjit.train(problem.network(), problem.X, problem.Y, target=target, **problem.settings()))

        def two(target: str, problem: cases.Problem = problem) -> dict[str, np.ndarray]:
            nets = bpjit.Networks.of(
                [problem.network(), problem.network().with_parameters(problem.start * problem.nearly_one)]
            )
            return of_fits(bpjit.train_many(nets, problem.X, problem.Y, target=target, threads=1, **problem.settings()))

        yield f"one {case}", one
        if case.updates != "stochastic":  # else both take the same kernel
            yield f"two {case}", two


def training() -> Iterator[tuple[str, Work]]:
    """What the covering array has not: stopping, validation, adaptive rates, resuming, and networks for a block."""
    net = bpjit.Network.random((3, 4, 2), "tanh", "sigmoid", seed=1)
    deep = bpjit.Network.random((3, 5, 4, 2), "softplus", "softmax", seed=1)
    large = bpjit.Network.random((3, 30, 2), "tanh", "softmax", seed=1)
    weights = np.random.default_rng(3).uniform(0.5, 2, 9)
    early = [bpjit.EarlyStopping(patience=2), bpjit.MaxEpochs(6)]
    settings = {
        "validation": (net, Y, {"rule": "adam", "validation": (X[:4], Y[:4]), "stop": 3}),
        "validation of batches": (net, Y, {"updates": 4, "validation": (X[:4], Y[:4]), "stop": 3}),
        "early stopping": (
            net,
            Y,
            {"updates": 5, "rule": "nesterov", "validation": (X[:3], Y[:3]), "stop": early, "sample_weight": weights},
        ),
        "targets not known": (net, GAPS, {"missing": "ignore", "validation": (X[:4], GAPS[:4]), "stop": 2}),
        "targets not known, in batches": (net, GAPS, {"missing": "ignore", "updates": 4, "rule": "adam", "stop": 2}),
        "one layer": (bpjit.Network.random((3, 2), output="softmax", seed=0), LABELS, {"updates": 5, "stop": 2}),
        "target error": (
            net,
            Y,
            {"updates": "accumulated", "stop": [bpjit.TargetError(0.06), bpjit.MaxEpochs(5)], "eta": 3.0},
        ),
        "adaptive": (net, Y, {"updates": "accumulated", "stop": 4, "eta": bpjit.AdaptiveRate(30.0)}),
        "gradient norm": (net, Y, {"updates": "accumulated", "stop": [bpjit.GradientNorm(1e-9), bpjit.MaxEpochs(2)]}),
        "diverged": (
            bpjit.Network.random((3, 2), output="identity", seed=0),
            Y,
            {"updates": "accumulated", "eta": 1e200, "stop": 5},
        ),
        "block": (large, LABELS, {"stop": 1}),
        "block adam": (large, LABELS, {"stop": 1, "rule": "adam"}),
        "deep": (deep, LABELS, {"updates": 4, "rule": "adam", "eta": 0.01, "stop": 2, "lam": 0.99}),
    }
    for name, (start, targets, more) in settings.items():

        def work(
            target: str, start: bpjit.Network = start, targets: np.ndarray = targets, more: dict = more
        ) -> dict[str, np.ndarray]:
            return of_fit(bpjit.train(start, X, targets, target=target, **more))

        yield name, work

    def resumed(target: str) -> dict[str, np.ndarray]:
        fit = bpjit.train(net, X, Y, target=target, updates=4, stop=1, rule="momentum")
        again = bpjit.train(fit.network, X, Y, updates=4, stop=1, rule="momentum", resume=fit)
        assert again.target == target
        return of_fit(again)

    yield "resumed", resumed

    def kept_in_a_file(target: str) -> dict[str, np.ndarray]:
        def kill(progress: bpjit.Progress) -> None:
            if progress.epoch == 2:
                raise InterruptedError

        options: dict = {"updates": 4, "stop": 3, "rule": "momentum", "target": target, "checkpoint_every": 1}
        with tempfile.TemporaryDirectory() as folder:
            options["checkpoint"] = options["resume"] = Path(folder) / "run"
            with contextlib.suppress(InterruptedError):
                bpjit.train(net, X, Y, callback=kill, **options)
            assert bpjit.Fit.load(options["checkpoint"]).epochs == 1
            return of_fit(bpjit.train(net, X, Y, **options))

    yield "kept in a file", kept_in_a_file

    def already_there(target: str) -> dict[str, np.ndarray]:
        data: tuple = (X, Y)
        if target == "cuda":
            from bpjit.kernels.cuda import door

            data = tuple(door.to_device(array) for array in data)
        fit = bpjit.train(net, *data, target=target, updates=4, stop=2)
        y_hat = fit.network.predict(data[0], target=target)
        fits = bpjit.train_many(bpjit.Networks.of([net, net]), *data, target=target, threads=1, stop=1)
        many = {f"many {key}": array for key, array in of_fits(fits).items()}
        return of_fit(fit) | {"y_hat": y_hat.copy_to_host() if target == "cuda" else y_hat} | many

    yield "data on the device", already_there

    def replayed(target: str) -> dict[str, np.ndarray]:
        fit = bpjit.train(net, X, Y, target=target, updates=4, stop=2)
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "replay.html")
            fit.replay(page, frames=3)
            assert page.stat().st_size > 50_000
        return of_fit(fit)

    yield "replayed", replayed


def many() -> Iterator[tuple[str, Work]]:
    """Many networks: settings, shares of the data, ends and orders of their own."""
    x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 1, 1, 0])
    nets = bpjit.Networks.random((2, 2, 1), 3, seed=0)
    shares = np.array([[1, 0, 1, 1], [1, 1, 1, 0], [0, 1, 2, 1.0]])
    early = [bpjit.EarlyStopping(patience=2, every=2), bpjit.MaxEpochs(9)]
    rng = np.random.default_rng(4)
    own = [rng.normal(size=(m, 2)) for m in (3, 4, 5)], [rng.uniform(size=m) for m in (3, 4, 5)]
    settings = {
        "rates": {"eta": np.array([1.0, 2.0, 3.0]), "stop": 4},
        "early": {
            "eta": 0.1,
            "rule": "nesterov",
            "updates": 3,
            "validation": (x, y),
            "stop": early,
            "history": True,
            "lam": [0.999, 0.9999, 0.99],
        },
        "folds": {"validation": (x, y, shares == 0), "sample_weight": shares, "stop": 3, "history": True},
        "shares": {"sample_weight": shares, "seed": [1, 2, 3], "stop": 3, "updates": 2},
        "orders": {"seed": [1, 2, 3], "stop": 3},
        "adaptive": {"eta": bpjit.AdaptiveRate(30.0), "updates": "accumulated", "rule": "momentum", "stop": 6},
        "schedules": {"eta": [bpjit.Cosine(1.0, 4), 0.5, bpjit.StepDecay(1.0, every=2)], "stop": 4},
        "window": {"eta": 1e-9, "stop": [bpjit.NoImprovement(2, 0.01), bpjit.MaxEpochs(30)]},
        "stalls": {"eta": np.array([5.0, 1e-9, 5.0]), "stop": [bpjit.NoImprovement(3), bpjit.MaxEpochs(12)], "seed": 3},
        "lengths": {"max_epochs": [3, 6, 9], "history": True},
        "targets": {"target_error": [0.13, 0.125, 0.0], "eta": 5.0, "updates": "accumulated", "stop": 12},
        "diverged": {"eta": np.array([0.1, 1e140, 0.2]), "lam": [0.9999, None, 0.9999], "stop": 3},
    }
    for name, more in settings.items():

        def work(target: str, more: dict = more) -> dict[str, np.ndarray]:
            return of_fits(bpjit.train_many(nets, x, y, target=target, threads=1, **more))

        yield f"many, {name}", work

    def own_data(target: str) -> dict[str, np.ndarray]:
        return of_fits(bpjit.train_many(nets, *own, target=target, threads=1, stop=3))

    def blocks_of_samples(target: str) -> dict[str, np.ndarray]:
        several = bpjit.Networks.random((2, 2, 1), 3, seed=0, dtype="float32")
        large = bpjit.Networks.random((3, 30, 2), 2, "tanh", "softmax", seed=1, dtype="float32")
        before, plane_numbers.BLOCK = plane_numbers.BLOCK, 2  # as if batches were large
        try:
            how = {"target": target, "threads": 1, "stop": 2}
            whole = bpjit.train_many(several, x, y, updates="accumulated", sample_weight=shares, eta=5.0, **how)
            three = bpjit.train_many(several, *own, updates=3, rule="momentum", seed=[1, 2, 3], eta=0.5, **how)
            block = bpjit.train_many(large, X, LABELS, updates=5, eta=0.5, **how)
        finally:
            plane_numbers.BLOCK = before
        runs = {"whole": whole, "three": three, "block": block}
        found = {f"{name} {key}": array for name, fits in runs.items() for key, array in of_fits(fits).items()}
        return found | {"parameters": found["whole parameters"]}

    yield "many, blocks of samples", blocks_of_samples

    def block(target: str) -> dict[str, np.ndarray]:
        large = bpjit.Networks.random((3, 12, 6, 2), 2, "tanh", "softmax", seed=1)
        fits = bpjit.train_many(large, X[:5], LABELS[:5], target=target, threads=1, stop=2, rule="adam", seed=[5, 6])
        return of_fits(fits)

    yield "many, own data", own_data
    yield "many, blocks", block


def prediction() -> Iterator[tuple[str, Work]]:
    """Outputs, of one network and of many, and errors and gradients."""
    net = bpjit.Network.random((3, 30, 2), "tanh", "softmax", seed=1)
    scaled = bpjit.Network.random((3, 4, 2), "tanh", "identity", seed=1, scale=bpjit.Scale.standard(X, Y))
    nets = bpjit.Networks.random((3, 4, 2), 5, seed=1)
    large = bpjit.Networks.random((3, 30, 2), 3, seed=1, dtype="float32")
    own = np.random.default_rng(5).normal(size=(5, 2, 3))
    yield "predict", lambda target: {"y_hat": net.predict(X, target=target), "one": net.predict(X[0], target=target)}
    yield "predict scaled", lambda target: {"y_hat": scaled.predict(X, target=target)}
    yield (
        "predict many",
        lambda target: {"y_hat": nets.predict(X, target=target), "own": nets.predict(own, target=target)},
    )
    yield "predict many in blocks", lambda target: {"y_hat": large.predict(X, target=target)}


def everything() -> list[tuple[str, Work]]:
    return [*covering(), *training(), *many(), *prediction()]


def main(path: str, part: int, parts: int) -> None:
    results = {}
    for name, work in everything()[part::parts]:
        started = time.perf_counter()
        for key, array in work("cuda").items():
            results[f"{name}/{key}"] = array
        print(f"{time.perf_counter() - started:6.2f} s  {name}", flush=True)
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
