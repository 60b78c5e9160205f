"""The book's λ by cross-validation: E = λ (1/m) Σ E_k + (1−λ) Σ w², with 1−λ on a logarithmic scale, on watermelon data
set 3.0 (西瓜数据集 3.0) or on a csv file of one's own with the class in its last column. All folds, values of λ and
restarts train in one call. Run with ``python scripts/choose_lambda.py``, ``... --data iris.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import bpjit
import watermelon
from bpjit.plot.canvas import new_figure
from script_tools import BadInput, Help, add_figure, check_figure, positive, run, save_figure, table, whole
from train_watermelon import read_csv


def read(path: Path | None) -> tuple[str, np.ndarray, np.ndarray]:
    """The name of the data, inputs, and class numbers."""
    if path is None:
        return "watermelon data set 3.0", *watermelon.encode()
    return path.name, *read_csv(path)


def accuracies(found: bpjit.Table, X: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The share of left-out samples that the networks of each row classify rightly."""
    part = bpjit.deal_folds(labels, folds, seed)
    guesses = found.fits.networks.classify(X)  # type: ignore[union-attr]
    right = np.empty(found.numbers.shape)
    for place, number in np.ndenumerate(found.numbers):
        out = part == place[1] * folds // found.numbers.shape[1]
        right[place] = (guesses[number, out] == labels[out]).mean()
    return right.mean(axis=1)


def draw(found: bpjit.Table, errors: np.ndarray, path: Path) -> None:
    """The error against 1 − λ."""
    chosen = [i for i, row in enumerate(found.settings) if row["lam"] is not None]
    order = sorted(chosen, key=lambda i: -found.settings[i]["lam"])
    rest = [1.0 - found.settings[i]["lam"] for i in order]
    picture = new_figure((7, 4))
    axes = picture.add_subplot()
    axes.errorbar(rest, found.mean[order], errors[order], color="black", marker="o", capsize=3, label="left out")
    axes.plot(rest, found.training[order], color="black", linestyle="--", marker="s", label="training")
    axes.set(xscale="log", yscale="log", xlabel="1 − λ", ylabel="E")
    axes.legend()
    save_figure(picture, path)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    if not 1e-12 <= options.low < options.high < 1:
        raise BadInput(f"--low, --high: expected 1e-12 <= low < high < 1, got {options.low:g} and {options.high:g}")
    name, X, labels = read(options.data)
    classes, folds = int(labels.max()) + 1, min(options.folds, len(X))
    nets = bpjit.Networks.random(
        (X.shape[1], options.hidden, max(2, classes)),
        options.restarts,
        output="softmax",
        seed=options.seed,
        scale=bpjit.Scale.standard(X),
    )
    lams: list[float | None] = [None, *(1.0 - np.geomspace(options.low, options.high, options.values))]
    found = bpjit.cross_validate(
        nets,
        X,
        labels,
        settings={"lam": lams},
        folds=folds,
        fold_seed=options.seed,
        eta=options.eta,
        stop=options.epochs,
    )
    if (found.fits.stopped_by == "interrupted").any():
        raise KeyboardInterrupt
    print(
        f"{name}: {len(X)} samples, {'-'.join(map(str, nets.sizes))}, {len(lams)} values of lambda x {folds} folds x "
        f"{len(nets)} restarts = {len(found.fits):,} trainings\n"
        f"of {options.epochs} epochs in {found.fits.seconds:.1f} s\n"
    )
    right = accuracies(found, X, labels, folds, options.seed)
    # The error of a row varies from fold to fold; restarts of a fold are no new data.
    by_fold = found.fits.validation_error[found.numbers].reshape(len(found), folds, -1).mean(axis=2)
    error = by_fold.std(axis=1, ddof=1) / np.sqrt(folds)
    limit = found.mean[0] + error[0]
    penalised = [i for i, row in enumerate(found.settings) if row["lam"] is not None and found.mean[i] <= limit]
    simplest = min(penalised, key=lambda i: found.settings[i]["lam"], default=None)
    rows = []
    for i in sorted(range(len(found)), key=lambda i: -(found.settings[i]["lam"] or 2.0)):
        lam = found.settings[i]["lam"]
        mark = " <- best" if i == 0 else " <- strongest within one standard error" if i == simplest else ""
        rows.append(
            [
                "none" if lam is None else f"{lam:.8g}",
                "" if lam is None else f"{1 - lam:.1e}",
                f"{found.mean[i]:.4f}",
                f"{error[i]:.4f}",
                f"{found.training[i]:.4f}",
                f"{100 * right[i]:.1f} %" + mark.ljust(40),
            ]
        )
    print(table(("lambda", "1 - lambda", "E left out", "std error", "E training", "right, left out".ljust(46)), rows))
    print('\nE is the cross-entropy of softmax outputs, without the penalty; lambda "none" trains without one.')
    if simplest is not None and found.settings[simplest]["lam"] == min(lam for lam in lams if lam is not None):
        print("The range ends there: try a larger --high.")
    if options.figure is not None:
        draw(found, error, options.figure)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="choose_lambda.py", description=__doc__, formatter_class=Help)
    parser.add_argument("--data", type=Path, help="csv file, the class in its last column; else the watermelons")
    parser.add_argument("--folds", type=whole, default=10, help="parts of the data, each left out once")
    parser.add_argument("--restarts", type=whole, default=20, help="starts of each setting and fold")
    parser.add_argument("--hidden", type=whole, default=6, help="hidden units")
    parser.add_argument("--epochs", type=whole, default=500, help="of each training")
    parser.add_argument("--eta", type=positive, default=0.3, help="learning rate")
    parser.add_argument("--values", type=whole, default=16, help="of lambda, and none")
    parser.add_argument("--low", type=positive, default=1e-6, help="smallest 1 - lambda")
    parser.add_argument("--high", type=positive, default=1e-1, help="largest 1 - lambda")
    parser.add_argument("--seed", type=int, default=0, help="of starts and folds")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
