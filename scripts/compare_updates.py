"""Standard against accumulated BP (标准 BP, 累积 BP, the pumpkin-book chapter) on XOR, and mini-batches of two between
them: how many epochs, updates and milliseconds each takes to the same error, from the same starts.

Run with ``python scripts/compare_updates.py``; ``--figure errors.png`` adds the error curves. Exit code 1 if no start
of one kind gets there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import bpjit
from bpjit.plot.canvas import new_figure
from script_tools import (
    Help,
    add_figure,
    check_figure,
    positive,
    quartiles,
    run,
    save_figure,
    table,
    unless_interrupted,
    whole,
)

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0.0, 1.0, 1.0, 0.0])
SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)  # epochs


@dataclass(frozen=True)
class Kind:
    """A way to update."""

    name: str
    updates: str | int
    batch: int  # samples of an update, by whose mean gradient it goes


KINDS = (
    Kind("standard", "stochastic", 1),
    Kind("mini-batches of 2", 2, 2),
    Kind("accumulated", "accumulated", 4),
)


def fit(kind: Kind, options: argparse.Namespace, seed: int) -> bpjit.Fit:
    """One training; the rate grows with the batch, so that an epoch moves about as far in all three."""
    net = bpjit.Network.random((2, options.hidden, 1), init=options.init, seed=seed)
    stop = [bpjit.MaxEpochs(options.epochs), bpjit.TargetError(options.error)]
    eta = options.eta * (1 if options.same_eta else kind.batch)
    return unless_interrupted(bpjit.train(net, X, Y, eta=eta, updates=kind.updates, stop=stop, seed=seed))


def compare(options: argparse.Namespace) -> dict[str, list[bpjit.Fit]]:
    fits = {}
    for kind in KINDS:
        fit(kind, options, 0)  # compiled
        fits[kind.name] = [fit(kind, options, seed) for seed in range(options.seed, options.seed + options.seeds)]
    return fits


def show_counts(fits: dict[str, list[bpjit.Fit]], options: argparse.Namespace) -> bool:
    """A row for each kind; whether each got there from some start."""
    print(
        f"XOR, 2-{options.hidden}-1 from {options.seeds} starts ({options.init}), to E <= {options.error:g} within "
        f"{options.epochs:,} epochs;\nmedian (quartiles) of the starts that get there\n"
    )
    rows, all_there = [], True
    for kind in KINDS:
        there = [fit for fit in fits[kind.name] if fit.error <= options.error]
        eta = options.eta * (1 if options.same_eta else kind.batch)
        numbers = ["", "", ""]
        if there:
            numbers = [
                quartiles([fit.epochs for fit in there], ".0f"),
                quartiles([fit.updates for fit in there], ".0f"),
                f"{np.median([1e3 * fit.seconds for fit in there]):.2f}",
            ]
        all_there &= bool(there)
        rows.append([kind.name, f"{eta:g}", f"{len(there)} of {options.seeds}", *numbers])
    print(table(("BP", "eta", "there", "epochs", "updates", "ms"), rows))
    print(
        "\nStandard BP updates after each sample, four times an epoch; mini-batches of 2 twice, by the mean gradient of"
    )
    print("two samples; accumulated BP once, by that of all.")
    if not options.same_eta:
        print("Eta grows with the batch, so that an epoch moves about as far in all three (--same-eta keeps it).")
    return all_there


def show_errors(fits: dict[str, list[bpjit.Fit]]) -> None:
    """The median error of all starts at some epochs."""
    longest = max(fit.epochs for several in fits.values() for fit in several)
    print("\nMedian E of all starts while an epoch runs; a start that is there keeps its last\n")
    rows = []
    for epoch in (epoch for epoch in SHOWN if epoch < longest):
        medians = [np.median([error_at(fit, epoch) for fit in fits[k.name]]) for k in KINDS]
        rows.append([f"{epoch:,}", *(f"{median:.5f}" for median in medians)])
    print(table(("epoch", *(kind.name for kind in KINDS)), rows))


def error_at(fit: bpjit.Fit, epoch: int) -> float:
    """The error collected in an epoch, or in the next that was recorded; after the end the last."""
    return float(fit.errors[min(int(np.searchsorted(fit.recorded, epoch)), len(fit.errors) - 1)])


def draw(fits: dict[str, list[bpjit.Fit]], options: argparse.Namespace) -> None:
    """All error curves in grey, that of the median start in black."""
    picture = new_figure((11, 4))
    panels = picture.subplots(1, len(KINDS), sharex=True, sharey=True)
    for kind, ax in zip(KINDS, panels, strict=True):
        several = fits[kind.name]
        for one in several:
            ax.loglog(one.recorded + 1, one.errors, color="0.8", linewidth=0.7)
        middle = sorted(several, key=lambda one: one.epochs)[len(several) // 2]
        ax.loglog(middle.recorded + 1, middle.errors, color="black", linewidth=1.8)
        ax.axhline(options.error, color="black", linestyle=":", linewidth=1)
        ax.set(title=kind.name, xlabel="epochs")
    panels[0].set_ylabel("E")
    save_figure(picture, options.figure)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    fits = compare(options)
    all_there = show_counts(fits, options)
    show_errors(fits)
    if options.figure is not None:
        draw(fits, options)
    return 0 if all_there else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="compare_updates.py", description=__doc__, formatter_class=Help)
    parser.add_argument("--hidden", type=whole, default=4, help="hidden units")
    parser.add_argument("--eta", type=positive, default=5.0, help="learning rate of standard BP")
    parser.add_argument("--same-eta", action="store_true", help="the same rate for all, however large the batch")
    parser.add_argument("--error", type=positive, default=1e-3, help="E to reach")
    parser.add_argument("--epochs", type=whole, default=20_000, help="at most")
    parser.add_argument("--init", choices=("glorot", "uniform01", "he", "normal"), default="glorot", help="the starts")
    parser.add_argument("--seeds", type=whole, default=50, help="how many starts")
    parser.add_argument("--seed", type=int, default=0, help="of the first start")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
