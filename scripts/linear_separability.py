"""Linear separability (线性可分, the pumpkin-book chapter): one functional unit can be AND, OR and NOT, but not XOR;
two layers of such units can. Each gate is decided and proved, and learnt by the perceptron's rule.

Run with ``python scripts/linear_separability.py``; ``--figure gates.png`` adds the proof by picture. Exit code 1 if
something is not as the chapter says.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import bpjit
from bpjit import unit
from bpjit.common.tables import text_table
from bpjit.plot.canvas import new_figure
from script_tools import Help, add_figure, check_figure, positive, run, save_figure, table

CORNERS = np.array(unit.CORNERS, float)


def decide() -> bool:
    """Every gate: is there a unit, or the proof that there is none?"""
    print("What one functional unit, 1 if w1 x1 + w2 x2 >= theta and else 0, can be:\n")
    rows = [["NOT", "1 0", f"yes: {bpjit.Unit.gate('NOT')!r}"]]
    verdicts = {}
    for name, labels in unit.TRUTH_TABLES.items():
        found = verdicts[name] = unit.separate(CORNERS, labels)
        answer = f"yes: {found.unit!r}" if found.separable else "no"
        rows.append([name, " ".join(map(str, labels)), answer])
    print(text_table(("gate", "for 00 01 10 11", "one unit?"), rows))
    proof = verdicts["XOR"]
    print(f"\nXOR is {proof}.")
    print("With all samples of a class on one side of a line, so are their means: one point cannot be on both sides.")
    count = sum(unit.separate(CORNERS, labels).separable for labels in itertools.product((0, 1), repeat=4))
    print(f"\nOf the 16 functions of two binary inputs, {count} can be one unit.\n")
    return count == 14 and not proof.separable and all(verdicts[name].separable for name in ("AND", "OR"))


def learn(options: argparse.Namespace) -> bool:
    """The perceptron's rule on each gate."""
    print(f"The perceptron's rule, w += eta (y - y_hat) x and theta -= eta (y - y_hat), eta = {options.eta:g}:\n")
    rows, right = [], True
    for name, labels in unit.TRUTH_TABLES.items():
        found = bpjit.Unit([0, 0]).learn(CORNERS, labels, eta=options.eta)
        right &= found.converged == unit.separate(CORNERS, labels).separable
        rows.append([name, " ".join(map(str, found.mistakes)), str(found)])
    print(text_table(("gate", "mistakes in each epoch", ""), rows))
    return right


def two_layers() -> bool:
    """XOR by OR and NAND units below an AND unit."""
    net = unit.xor_network()
    below = np.stack([bpjit.Unit.gate(name).predict(CORNERS) for name in ("OR", "NAND")], -1)
    print(f"\nTwo layers of functional units, {net!r}:\n")
    rows = [
        ["".join(f"{x:g}" for x in corner), f"{either:g}", f"{not_both:g}", f"{y:g}"]
        for corner, (either, not_both), y in zip(CORNERS, below, net.predict(CORNERS)[:, 0], strict=True)
    ]
    print(table(("x1 x2", "OR", "NAND", "XOR = OR AND NAND"), rows))
    return net.classify(CORNERS).tolist() == list(unit.TRUTH_TABLES["XOR"])


def sigmoid_neuron() -> bool:
    """The chapter's first example: weight 71, height 178."""
    neuron = bpjit.Unit([0.04, 0.06], 11.62, "sigmoid")
    y_hat = neuron.predict([71, 178])
    error = bpjit.error(neuron.network, [[71, 178]], [1], loss="absolute")
    print(
        "\nA sigmoid instead of the step gives a probability. The chapter's neuron says 0.87 for weight 71 and height"
    )
    print("178, and leaves an absolute error of 0.13. It prints no weights; these, ours, give its numbers:\n")
    print(f"{neuron!r}\nnet input {neuron.net_input([71, 178]):.4f}, output {y_hat:.4f}, |1 - output| {error:.4f}")
    return round(float(y_hat), 2) == 0.87 and round(error, 2) == 0.13


def draw(path: Path) -> None:
    picture = new_figure((14, 3.9))
    panels = picture.subplots(1, 4)
    for name, ax in zip(("AND", "OR"), panels, strict=False):
        unit.separate(CORNERS, unit.TRUTH_TABLES[name]).draw(ax)
        ax.set_title(f"{name}: one line does it")
    unit.separate(CORNERS, unit.TRUTH_TABLES["XOR"]).draw(panels[2])
    panels[2].set_title("XOR: the middle is in both")
    unit.draw(unit.xor_network(), CORNERS, unit.TRUTH_TABLES["XOR"], panels[3])
    panels[3].set_title("XOR: two lines, two layers")
    save_figure(picture, path)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    right = [decide(), learn(options), two_layers(), sigmoid_neuron()]
    if options.figure is not None:
        draw(options.figure)
    return 0 if all(right) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="linear_separability.py", description=__doc__, formatter_class=Help)
    parser.add_argument("--eta", type=positive, default=1.0, help="learning rate of the perceptron's rule")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
