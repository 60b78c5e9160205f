"""Every rule of bpjit on the same problems from the same starts: which gets to a given error, how often, in how many
epochs and how fast.

Four problems are those of the page of MATLAB's toolbox on choosing a training function, with its networks and goals, as
far as their data are free: one period of a sine and the parity of three bits, and with ``--data FOLDER`` cancer and
diabetes of Proben1 (the folder is that of ``scripts/proben1.py``; all examples are learnt, with targets 0 and 1). The
others are sinc(10x), Franke's function, Friedman's first without noise, and six steps of the Mackey-Glass series from
the four values before, six steps apart; their goals are low for a network of that size: Levenberg-Marquardt is to get
there from half of the starts at least. A goal is a mean squared error over all samples and outputs, 2 E / l.

Rules of first order get accumulated updates and their own rates, ``eta=None``; sgd is there with stochastic updates,
too. Every training has one thread and ends at its goal, or when its time or epochs are used up.

Run with ``python scripts/compare_rules.py --data FOLDER``, which takes about twenty minutes; ``--quick`` takes few
starts and little time, ``--figure FILE`` draws the error against the seconds. The exit code is 1 if no rule gets to the
goal of a problem.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import bpjit
import proben1
from bpjit.plot.canvas import STYLES, new_figure
from script_tools import (
    BadInput,
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

RULES: dict[str, dict[str, Any]] = {
    "lm": {"rule": "lm"},
    "br": {"rule": "br"},
    "lbfgs": {"rule": "lbfgs"},
    "scg": {"rule": "scg"},
    **{
        name: {"rule": name, "updates": "accumulated"}
        for name in ("rprop", "quickprop", "adam", "rmsprop", "adagrad", "nesterov", "momentum", "sgd")
    },
    "sgd-stochastic": {"rule": "sgd", "updates": "stochastic"},
}
OF_PROBEN1 = ("cancer", "diabetes")
FIRST_TIME = 1e-4  # seconds, from which on errors are drawn


@dataclass(frozen=True)
class Problem:
    """Data, the network that learns them and its starts, and the mean squared error to reach."""

    sizes: tuple[int, ...]
    output: str
    init: str
    X: np.ndarray
    Y: np.ndarray
    goal: float

    @property
    def error(self) -> float:
        """The goal as E, whose ½ Σ_j is over all outputs."""
        return 0.5 * self.goal * self.sizes[-1]

    def start(self, seed: int) -> bpjit.Network:
        return bpjit.Network.random(self.sizes, "tanh", self.output, init=self.init, seed=seed)


def sine() -> Problem:
    x = np.linspace(-1, 1, 41)[:, None]
    return Problem((1, 5, 1), "identity", "nguyen_widrow", x, np.sin(np.pi * x), 0.002)


def parity() -> Problem:
    bits = np.array([[number >> bit & 1 for bit in range(3)] for number in range(8)])
    return Problem((3, 10, 10, 1), "tanh", "nguyen_widrow", 2.0 * bits - 1, 2.0 * (bits.sum(axis=1) % 2) - 1, 0.001)


def sinc() -> Problem:
    x = np.linspace(-1, 1, 200)[:, None]
    return Problem((1, 20, 1), "identity", "nguyen_widrow", x, np.sinc(10 * x), 1e-8)


def franke() -> Problem:
    X = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    a, b = 4.5 * (X[:, 0] + 1), 4.5 * (X[:, 1] + 1)
    y = 0.75 * np.exp(-((a - 2) ** 2 + (b - 2) ** 2) / 4) + 0.75 * np.exp(-((a + 1) ** 2) / 49 - (b + 1) / 10)
    y += 0.5 * np.exp(-((a - 7) ** 2 + (b - 3) ** 2) / 4) - 0.2 * np.exp(-((a - 4) ** 2) - (b - 7) ** 2)
    return Problem((2, 20, 1), "identity", "nguyen_widrow", X, y, 2e-5)


def friedman() -> Problem:
    X = np.random.default_rng(0).uniform(-1, 1, (500, 5))
    U = (X + 1) / 2
    y = 10 * np.sin(np.pi * U[:, 0] * U[:, 1]) + 20 * (U[:, 2] - 0.5) ** 2 + 10 * U[:, 3] + 5 * U[:, 4]
    return Problem((5, 15, 1), "identity", "glorot", X, (y - y.mean()) / y.std(), 1.5e-6)


def mackey_glass() -> Problem:
    x = [1.2] * 18
    for _ in range(1200):
        x.append(x[-1] + 0.2 * x[-18] / (1 + x[-18] ** 10) - 0.1 * x[-1])
    s = np.array(x[200:])
    s = 2 * (s - s.min()) / (s.max() - s.min()) - 1
    X = np.stack([s[i : len(s) - 24 + i] for i in (0, 6, 12, 18)], axis=1)
    return Problem((4, 12, 1), "identity", "glorot", X, s[24:], 6e-5)


def of_proben1(folder: Path, name: str) -> Problem:
    """All examples of a problem, in MATLAB's network; inputs come within 0 to 1, and are brought to ±1."""
    data = proben1.read(folder, name)
    sizes, goal = {"cancer": ((9, 5, 5, 2), 0.012), "diabetes": ((8, 15, 15, 2), 0.05)}[name]
    return Problem(sizes, "tanh", "nguyen_widrow", 2 * data.X - 1, data.Y, goal)


MADE = {
    "sine": sine,
    "parity": parity,
    "sinc": sinc,
    "franke": franke,
    "friedman": friedman,
    "mackey-glass": mackey_glass,
}


def chosen(options: argparse.Namespace) -> dict[str, Problem]:
    """The problems asked for; without a choice all whose data are there."""
    names = options.problems or [*MADE, *(OF_PROBEN1 if options.data else ())]
    if options.data is None and set(names) & set(OF_PROBEN1):
        raise BadInput(f"--data: expected a folder with the data of Proben1 for {', '.join(OF_PROBEN1)}, got none")
    return {name: MADE[name]() if name in MADE else of_proben1(options.data, name) for name in dict.fromkeys(names)}


# --- Training.


@dataclass(frozen=True)
class Trial:
    """What one training did."""

    mse: float
    epochs: int
    seconds: float
    there: bool
    curve: np.ndarray  # mean squared errors at the ``times``


def times(options: argparse.Namespace) -> np.ndarray:
    """Where errors are compared: seconds of training, on a logarithmic scale."""
    return np.geomspace(min(FIRST_TIME, options.seconds), options.seconds, 200)


def trial(problem: Problem, rule: str, seed: int, options: argparse.Namespace) -> Trial:
    stop = [bpjit.TargetError(problem.error), bpjit.TimeLimit(options.seconds), bpjit.MaxEpochs(options.epochs)]
    settings = {**RULES[rule], "stop": stop, "seed": seed, "threads": 1, "progress": False}
    fit = unless_interrupted(bpjit.train(problem.start(seed), problem.X, problem.Y, **settings))
    mse = 2 / problem.sizes[-1] * np.append(fit.errors, fit.error)
    # Epochs of one training take about the same time; who has ended keeps the last error.
    epoch = np.minimum(times(options) / fit.seconds * len(fit.errors), len(fit.errors)).astype(int)
    return Trial(float(mse[-1]), fit.epochs, fit.seconds, fit.error <= problem.error, mse[epoch])


Trials = dict[str, list[Trial]]  # by each rule


def compare(name: str, problem: Problem, options: argparse.Namespace) -> Trials:
    trials: Trials = {rule: [] for rule in options.rules}
    with (
        warnings.catch_warnings(action="ignore", category=bpjit.TrainingWarning),  # the table tells who learnt nothing
        tqdm(total=len(trials) * options.starts, unit="start", disable=None, leave=False) as bar,
    ):
        for rule, several in trials.items():
            bar.set_description(f"{name}, {rule}")
            for seed in range(options.starts):
                several.append(trial(problem, rule, seed, options))
                bar.update()
    return trials


# --- What came of it.


def cells(several: list[Trial]) -> list[str]:
    """How many got there, their epochs and milliseconds, and the error that all had in the end."""
    there = [one for one in several if one.there]
    numbers = ["", ""]
    if there:
        numbers = [
            quartiles([one.epochs for one in there], ".0f"),
            quartiles([1e3 * one.seconds for one in there], ".3g"),
        ]
    return [f"{100 * len(there) / len(several):.0f} %", *numbers, f"{np.median([one.mse for one in several]):.1e}"]


def show(name: str, problem: Problem, trials: Trials) -> None:
    """The table of a problem."""
    sizes = "-".join(map(str, problem.sizes))
    print(f"\n{name}, {sizes}, {len(problem.X)} samples, {problem.init}: to {problem.goal:g}\n")
    rows = [[rule, *cells(several)] for rule, several in trials.items()]
    print(table(("rule", "there", "epochs", "ms", "mse in the end"), rows), flush=True)


def show_all(found: dict[str, Trials], options: argparse.Namespace) -> None:
    """One table for all problems."""
    print("\nMedian milliseconds to the goal, and how many get there\n")
    rows = [[rule, *(in_short(trials[rule]) for trials in found.values())] for rule in options.rules]
    print(table(("rule", *found), rows))


def in_short(several: list[Trial]) -> str:
    there = [one.seconds for one in several if one.there]
    return f"{1e3 * np.median(there):.3g} ({100 * len(there) / len(several):.0f} %)" if there else "-"


def draw(problems: dict[str, Problem], found: dict[str, Trials], options: argparse.Namespace) -> None:
    """A panel for each problem: the median error of all starts against the seconds, a line for each rule."""
    across = min(4, len(problems))
    down = -(-len(problems) // across)
    picture = new_figure((4.2 * across, 3.4 * down + 0.8))
    panels = picture.subplots(down, across, squeeze=False).ravel()
    for panel, (name, problem) in zip(panels, problems.items(), strict=False):
        for place, rule in enumerate(options.rules):
            look = {"color": f"C{place % 10}", "linestyle": STYLES[place // 4 % len(STYLES)]}
            median = np.median([one.curve for one in found[name][rule]], axis=0)
            panel.loglog(times(options), median, label=rule, **look)
        panel.axhline(problem.goal, color="black", linestyle=":", linewidth=1)
        panel.set(title=f"{name}, {'-'.join(map(str, problem.sizes))}", xlabel="seconds", ylabel="mean squared error")
    for panel in panels[len(problems) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False)
    save_figure(picture, options.figure)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    if options.quick:
        options.starts, options.seconds = min(options.starts, 2), min(options.seconds, 0.25)
    problems, found = chosen(options), {}
    print(
        f"{options.starts} starts each, of at most {options.seconds:g} s and {options.epochs:,} epochs; median "
        "(quartiles) of those that get to the goal,\nand the median mean squared error in the end of all"
    )
    for name, problem in problems.items():
        found[name] = compare(name, problem, options)
        show(name, problem, found[name])
    show_all(found, options)
    if options.figure is not None:
        draw(problems, found, options)
    reached = [any(one.there for several in trials.values() for one in several) for trials in found.values()]
    return 0 if all(reached) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="compare_rules.py", description=__doc__.split("\n\n")[0], formatter_class=Help
    )
    parser.add_argument("--starts", type=whole, default=30, help="of each rule on each problem")
    parser.add_argument("--seconds", type=positive, default=0.5, help="that a training may take")
    parser.add_argument("--epochs", type=whole, default=100_000, help="that a training may take")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with the data of Proben1, for cancer and diabetes")
    parser.add_argument("--problems", nargs="+", choices=(*MADE, *OF_PROBEN1), help="all without a choice")
    parser.add_argument("--rules", nargs="+", choices=tuple(RULES), default=list(RULES), help="to compare")
    parser.add_argument("--quick", action="store_true", help="2 starts of 0.25 s at most")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
