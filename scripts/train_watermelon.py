"""Exercises 5.5 and 5.6 (习题 5.5, 5.6) of the watermelon book. Exercise 5.5 trains networks on watermelon data set 3.0
(西瓜数据集 3.0) by standard BP, which updates after each sample, and by accumulated BP, which updates once an epoch,
from the same starts to the same error, and compares what that takes. Exercise 5.6 sets an adaptive learning rate
beside a fixed one, on the same melons or on a csv file of one's own with the class in its last column. Run with
``python scripts/train_watermelon.py`` or ``python scripts/train_watermelon.py --data iris.csv``.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

import bpjit
import watermelon
from script_tools import BadInput, Help, positive, quartiles, run, table, unless_interrupted, whole


@dataclass(frozen=True)
class Mode:
    """A way to update: its name in the tables, and what ``bpjit.train`` takes."""

    name: str
    updates: str
    eta: float


@dataclass(frozen=True)
class Result:
    """What one training from one start took."""

    epochs: int
    updates: int
    milliseconds: float
    reached: bool
    accuracy: float


# --- Exercise 5.5: standard and accumulated BP.


def to_target(net: bpjit.Network, X: np.ndarray, y: np.ndarray, mode: Mode, options: argparse.Namespace) -> bpjit.Fit:
    """Train until the true E is at most the target."""
    stop = [bpjit.TargetError(options.target_error), bpjit.MaxEpochs(options.epochs)]
    fit = bpjit.train(net, X, y, eta=mode.eta, updates=mode.updates, stop=stop, progress=False)
    return unless_interrupted(fit)


def leave_one_out(net: bpjit.Network, X: np.ndarray, y: np.ndarray, mode: Mode, options: argparse.Namespace) -> float:
    """Share of melons in % that are classified rightly by a network trained on the others."""
    right = 0
    for left_out in range(len(X)):
        others = np.arange(len(X)) != left_out
        fit = to_target(net, X[others], y[others], mode, options)
        right += int(fit.network.classify(X[left_out]) == y[left_out])
    return 100.0 * right / len(X)


def measure(net: bpjit.Network, X: np.ndarray, y: np.ndarray, mode: Mode, options: argparse.Namespace) -> Result:
    """Train from one start in one mode, and cross-validate."""
    fit = to_target(net, X, y, mode, options)
    # The time of the epochs alone: training on towards a target runs some epochs beyond it before it goes back.
    again = unless_interrupted(
        bpjit.train(net, X, y, eta=mode.eta, updates=mode.updates, stop=fit.epochs, progress=False)
    )
    reached = fit.stopped_by == "TargetError"
    return Result(fit.epochs, fit.updates, 1e3 * again.seconds, reached, leave_one_out(net, X, y, mode, options))


def exercise_5_5(options: argparse.Namespace) -> None:
    """Compare standard and accumulated BP on the melons."""
    X, y = watermelon.encode()
    sizes = (X.shape[1], options.hidden, 1)
    modes = [
        Mode("standard", "stochastic", options.eta_standard),
        Mode("accumulated", "accumulated", options.eta_accumulated),
    ]
    rows = []
    for mode in modes:
        starts = [bpjit.Network.random(sizes, seed=seed) for seed in range(options.seeds)]
        measure(starts[0], X, y, mode, argparse.Namespace(**{**vars(options), "epochs": 1}))  # compile now
        bar = tqdm(starts, desc=f"5.5 {mode.name}", unit="seed", disable=None, leave=False)
        rows.append(row_of_mode(mode, [measure(net, X, y, mode, options) for net in bar]))
    print("Exercise 5.5: standard and accumulated BP on watermelon data set 3.0, 17 melons")
    print(f"  network {'-'.join(map(str, sizes))}, sigmoid, squared error, {options.seeds} seeds, the same for both")
    print(f"  until E <= {options.target_error:g}, or {options.epochs} epochs; median (quartiles) over the seeds")
    print("  accuracy: leave-one-out cross-validation\n")
    print(table(["BP", "eta", "epochs", "updates", "ms", "reached E", "accuracy %"], rows) + "\n")


def row_of_mode(mode: Mode, results: Sequence[Result]) -> list[str]:
    """The table row of a mode."""
    return [
        mode.name,
        f"{mode.eta:g}",
        quartiles([result.epochs for result in results], ".0f"),
        quartiles([result.updates for result in results], ".0f"),
        quartiles([result.milliseconds for result in results], ".2f"),
        f"{np.mean([result.reached for result in results]):.0%}",
        quartiles([result.accuracy for result in results], ".1f"),
    ]


# --- Exercise 5.6: an adaptive rate.


def read_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (m, d) and class numbers (m,) of a csv file, the class in its last column; a header line may lead."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise BadInput(f"{path}: cannot be read as a csv file ({problem})") from None
    if lines and not is_numeric(lines[0][1][:-1]):
        lines = lines[1:]
    if not lines:
        raise BadInput(f"{path}: expected rows of numbers with the class in the last column, got none")
    for number, row in lines:
        if len(row) != len(lines[0][1]) or len(row) < 2 or not is_numeric(row[:-1]):
            raise BadInput(f"{path}, line {number}: expected numbers and, in the last column, the class; got {row}")
    X = np.array([row[:-1] for _, row in lines], float)
    classes, y = np.unique([row[-1].strip() for _, row in lines], return_inverse=True)
    if len(classes) < 2:
        raise BadInput(f"{path}: expected two classes or more in the last column, got {len(classes)}")
    return X, y


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether all cells are finite numbers."""
    try:
        return bool(np.isfinite([float(cell) for cell in cells]).all())
    except ValueError:
        return False


def data(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """The data of exercise 5.6."""
    return watermelon.encode() if options.data is None else read_csv(options.data)


def exercise_5_6(options: argparse.Namespace) -> None:
    """Compare the adaptive with the fixed rate."""
    X, y = data(options)
    sizes = (X.shape[1], options.hidden, int(y.max()) + 1)
    scale = bpjit.Scale.standard(X)
    starts = [bpjit.Network.random(sizes, output="softmax", seed=seed, scale=scale) for seed in range(options.seeds)]
    trials = [(f"{eta:g}", schedule(eta)) for eta in options.rates for schedule in (bpjit.Constant, bpjit.AdaptiveRate)]
    rows = []
    for name, schedule in tqdm(trials, desc="5.6", unit="rate", disable=None, leave=False):
        fits = [
            unless_interrupted(
                bpjit.train(
                    net, X, y, eta=schedule, updates="accumulated", stop=options.adaptive_epochs, progress=False
                )
            )
            for net in starts
        ]
        rows.append([name, type(schedule).__name__, *row_of_fits(fits, options)])
    print(f"Exercise 5.6: fixed and adaptive rate on {options.data or 'watermelon data set 3.0'}, {len(X)} samples")
    print(f"  network {'-'.join(map(str, sizes))}, sigmoid hidden units, softmax outputs, cross-entropy, accumulated")
    print(f"  BP, inputs standardised, {options.adaptive_epochs} epochs, {options.seeds} seeds, the same for all")
    print("  median (quartiles) over the seeds; epochs that were not enough count as the limit\n")
    columns = ["first eta", "rate", "final E", f"epochs to E <= {options.adaptive_target:g}", "reached E", "ms"]
    print(table(columns, rows))


def row_of_fits(fits: Sequence[bpjit.Fit], options: argparse.Namespace) -> list[str]:
    """Final E, epochs to the target, share that reached it, milliseconds."""
    # Accumulated BP collects E before its one update: that of epoch t is the true E after t epochs.
    epochs = [
        np.append(fit.recorded, fit.epochs)[np.append(fit.errors, fit.error) <= options.adaptive_target] for fit in fits
    ]
    first = [int(reached[0]) if len(reached) else options.adaptive_epochs for reached in epochs]
    return [
        quartiles([fit.error for fit in fits], ".2g"),
        quartiles(first, ".0f"),
        f"{np.mean([len(reached) > 0 for reached in epochs]):.0%}",
        quartiles([1e3 * fit.seconds for fit in fits], ".1f"),
    ]


# --- The command.


EXERCISES = {"5.5": exercise_5_5, "5.6": exercise_5_6}


def do(options: argparse.Namespace) -> int:
    """Run the exercises asked for."""
    data(options)  # complain about a bad file at once, not after exercise 5.5
    for name, exercise in EXERCISES.items():
        if name in options.exercises:
            exercise(options)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Exercises 5.5 (standard and accumulated BP) and 5.6 (adaptive rate) of the watermelon book.",
        formatter_class=Help,
    )
    add = parser.add_argument
    add("--exercises", nargs="+", choices=list(EXERCISES), default=list(EXERCISES), help="which exercises to run")
    add("--seeds", type=whole, default=50, help="random starts")
    add("--hidden", type=whole, default=5, help="hidden units")
    add("--target-error", type=positive, default=0.01, help="5.5: train until E is at most this")
    add("--epochs", type=whole, default=20_000, help="5.5: give a start up after so many epochs")
    add("--eta-standard", type=positive, default=1.0, help="5.5: learning rate of standard BP")
    add(
        "--eta-accumulated",
        type=positive,
        default=17.0,
        help="5.5: learning rate of accumulated BP; 17 times that of standard BP makes about the same step in an "
        "epoch, since an update is the mean over 17 melons",
    )
    add("--data", type=Path, metavar="FILE.csv", help="5.6: csv file with the class in its last column, not the melons")
    add("--rates", type=positive, nargs="+", default=[0.1, 1.0, 10.0, 100.0], help="5.6: first learning rates")
    add("--adaptive-epochs", type=whole, default=1000, help="5.6: epochs")
    add("--adaptive-target", type=positive, default=0.05, help="5.6: count the epochs until E is at most this")
    return run(do, parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
