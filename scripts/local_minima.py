"""Global and local minima (全局最小与局部极小, the pumpkin-book chapter): which minima the starts of a 2-2-1 network
on XOR lead to, how many to each, and how three remedies of the book compare at equal budgets: restarts, simulated
annealing, stochastic descent. Run with ``python scripts/local_minima.py``; ``--figure minima.png`` adds a picture.

A budget counts passes over the four samples: an epoch is one pass, an evaluation of the error is one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import dual_annealing
from tqdm import tqdm

import bpjit
from bpjit import plot
from bpjit.plot.canvas import new_figure
from script_tools import Help, add_figure, check_figure, positive, run, save_figure, table, whole

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0.0, 1.0, 1.0, 0.0])
LEARNT = 1e-3  # E of the global minimum is 0, reached at infinite weights; so far down counts
GAP = 1e-3  # errors further apart than this belong to different minima
SETTLED = 1e-4  # largest norm of the gradient where descent has all but ended
DOWN = -1e-8  # a curvature below this leads further down: no minimum


@dataclass(frozen=True)
class Minimum:
    """A minimum, and the starts that lead to it."""

    error: float
    starts: np.ndarray  # their numbers


def train(nets: bpjit.Networks, options: argparse.Namespace, updates: str, epochs: int) -> bpjit.Fits:
    """Train all; Ctrl-C ends the script."""
    eta = options.eta if updates == "accumulated" else options.stochastic_eta
    stop = [bpjit.MaxEpochs(epochs), bpjit.TargetError(LEARNT / 10)]
    seeds = 0 if updates == "accumulated" else list(range(len(nets)))  # each visits the samples in orders of its own
    fits = bpjit.train_many(nets, X, Y, eta=eta, updates=updates, stop=stop, seed=seeds)
    if (fits.stopped_by == "interrupted").any():
        raise KeyboardInterrupt
    return fits


def starts(options: argparse.Namespace, count: int, first: int = 0) -> bpjit.Networks:
    seed = options.seed + first
    return bpjit.Networks.random((2, options.hidden, 1), count, init=options.init, seed=seed, dtype=options.dtype)


def minima_of(errors: np.ndarray) -> list[Minimum]:
    """Errors that lie together are one minimum; all that are learnt are the global one."""
    order = np.argsort(errors)
    sorted_errors = np.maximum(errors[order], LEARNT)
    groups = np.split(order, np.flatnonzero(np.diff(sorted_errors) > GAP) + 1)
    return [Minimum(float(np.median(errors[group])), group) for group in groups]


def least_curvature(net: bpjit.Network) -> float:
    """The smallest eigenvalue of the second derivatives of E by all parameters, from differences of gradients."""
    net = bpjit.Network(net.sizes, net.parameters.astype(np.float64))
    steps = 1e-5 * np.eye(len(net.parameters))
    hessian = np.array(
        [
            bpjit.gradient(net.with_parameters(net.parameters + step), X, Y)
            - bpjit.gradient(net.with_parameters(net.parameters - step), X, Y)
            for step in steps
        ]
    )
    return float(np.linalg.eigvalsh((hessian + hessian.T) / 4e-5)[0])


def kind(error: float, nets: bpjit.Networks) -> str:
    """What a level of the error is, by a look at some of the networks that ended there."""
    if error <= LEARNT:
        return "global minimum"
    falling = np.mean([least_curvature(net) < DOWN for net in nets[:50]])
    return "local minimum" if falling < 0.5 else "plateau, falls slowly"


def find(options: argparse.Namespace) -> bpjit.Fits:
    """Train from all starts, and say where they end."""
    fits = train(starts(options, options.starts), options, "accumulated", options.epochs)
    assert isinstance(fits.networks, bpjit.Networks)
    norms = np.array([np.linalg.norm(bpjit.gradient(net, X, Y)) for net in fits.networks])
    settled = (norms <= SETTLED) | (fits.error <= LEARNT)
    rows = []
    for minimum in minima_of(fits.error):
        there = minimum.starts[settled[minimum.starts]]
        if len(there) == 0:
            continue
        example = fits.networks[int(there[0])].predict(X)[:, 0]
        rows.append(
            [
                f"{np.median(fits.error[there]):.4f}",
                f"{len(there)}",
                f"{100 * len(there) / len(fits):.2f} %",
                "  ".join(f"{y:.2f}" for y in example),
                kind(minimum.error, fits.networks[there]),
            ]
        )
    rows.append(["not settled", f"{(~settled).sum()}", f"{100 * (~settled).mean():.2f} %", "", ""])
    print(
        f"{len(fits):,} starts of 2-{options.hidden}-1 on XOR, init {options.init}, accumulated BP, "
        f"eta {options.eta:g}, at most {options.epochs:,} epochs: {fits.seconds:.1f} s\n"
    )
    print(table(("E", "starts", "share", "outputs for 00, 01, 10, 11", "what it is"), rows))
    return fits


# --- Remedies. Each takes the number of repetitions.


Ends = tuple[np.ndarray, float]
"""The error that each repetition ended with, and the seconds of all."""


def one_training(options: argparse.Namespace, count: int, updates: str) -> Ends:
    fits = train(starts(options, count, 1 << 32), options, updates, options.budget)
    return fits.error, fits.seconds


def restarts(options: argparse.Namespace, count: int) -> Ends:
    """The budget is shared by several starts, of which the best is kept."""
    fits = train(
        starts(options, count * options.restarts, 1 << 33),
        options,
        "accumulated",
        max(1, options.budget // options.restarts),
    )
    return fits.error.reshape(count, options.restarts).min(axis=1), fits.seconds


def annealing(options: argparse.Namespace, count: int, local: bool) -> Ends:
    """SciPy's dual annealing on the compiled error, with or without a local search (L-BFGS-B) now and then."""
    net = starts(options, 1)[0]

    def error(parameters: np.ndarray) -> float:
        return bpjit.error(net.with_parameters(parameters), X, Y)

    bounds = [(-options.box, options.box)] * len(net.parameters)
    found = []
    error(net.parameters)  # compiled
    started = time.perf_counter()
    for seed in tqdm(range(count), unit="annealing", delay=2, leave=False, disable=None):
        result = dual_annealing(
            error, bounds, maxfun=options.budget, maxiter=options.budget, no_local_search=not local, rng=seed
        )
        found.append(float(result.fun))
    return np.array(found), time.perf_counter() - started


def compare(options: argparse.Namespace) -> None:
    """The remedies, each with the same budget."""
    few = min(options.repetitions, options.annealings)
    remedies: list[tuple[str, int, Callable[[int], Ends]]] = [
        ("one start, accumulated", options.repetitions, lambda n: one_training(options, n, "accumulated")),
        (f"{options.restarts} restarts", options.repetitions, lambda n: restarts(options, n)),
        (f"annealing within +-{options.box:g}", few, lambda n: annealing(options, n, False)),
        ("the same with local search", few, lambda n: annealing(options, n, True)),
        ("stochastic descent", options.repetitions, lambda n: one_training(options, n, "stochastic")),
    ]
    rows = []
    for name, count, remedy in remedies:
        errors, seconds = remedy(count)
        share = 100 * (errors <= LEARNT).mean()
        rows.append([name, f"{count}", f"{share:.0f} %", f"{np.median(errors):.2g}", f"{1e3 * seconds / count:.2f}"])
    print(f"\nRemedies, each with {options.budget:,} passes over the four samples\n")
    print(table(("remedy", "repetitions", f"E <= {LEARNT:g}", "median E", "ms each"), rows))


def draw(fits: bpjit.Fits, path: Path) -> None:
    """How many starts ended at which error."""
    picture = new_figure((7, 4))
    axes = plot.minima_histogram(fits.error, ax=picture.add_subplot())
    axes.set_title(f"XOR from {len(fits):,} starts")
    save_figure(picture, path)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    fits = find(options)
    compare(options)
    if options.figure is not None:
        draw(fits, options.figure)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="local_minima.py", description=__doc__, formatter_class=Help)
    parser.add_argument("--starts", type=whole, default=10_000, help="starts whose minima are counted")
    parser.add_argument("--hidden", type=whole, default=2, help="hidden units")
    parser.add_argument("--init", choices=("glorot", "uniform01", "he", "normal"), default="glorot", help="the starts")
    parser.add_argument("--eta", type=positive, default=20.0, help="learning rate of accumulated updates")
    parser.add_argument("--stochastic-eta", type=positive, default=5.0, help="learning rate of stochastic updates")
    parser.add_argument("--epochs", type=whole, default=20_000, help="at most, of each start")
    parser.add_argument("--budget", type=whole, default=2000, help="passes over the samples that a remedy may take")
    parser.add_argument("--restarts", type=whole, default=5, help="that share a budget")
    parser.add_argument("--repetitions", type=whole, default=1000, help="of each remedy")
    parser.add_argument("--annealings", type=whole, default=20, help="repetitions of annealing, which takes longer")
    parser.add_argument("--box", type=positive, default=30.0, help="bounds of the parameters for annealing")
    parser.add_argument("--seed", type=int, default=0, help="of the first start")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="of the networks")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
