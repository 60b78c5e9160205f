"""Why derivatives: a neuron puts out a·b and shall put out more. Random nudges do it where a and b are positive and
fail where they are negative; steps along the derivatives never fail. The numbers are those of the text on why
derivatives, each beside the text's.

Run with ``python scripts/multiplying_neuron.py``; ``--figure neuron.png`` adds a picture. Exit code 1 if a number
differs from the text's.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np

from bpjit import descent
from bpjit.plot.canvas import new_figure
from script_tools import Help, add_figure, check_figure, positive, run, save_figure, table

STARTS = ((5.0, 6.0), (-5.0, -6.0))
STEP = 0.01
ONE_AFTER_ANOTHER, AT_ONCE = 30.616035999999998, 30.613  # the text's outputs after one step of 0.01
LONG = 150  # steps of the paths in the picture


def nudges(options: argparse.Namespace) -> bool:
    """Method 1; whether it does what the text says: more from the positive start, less from the negative one."""
    print(f"Method 1, random nudges: a += {options.step:g} U(0, 1), b likewise\n")
    rows, as_told = [], True
    for start in STARTS:
        path = descent.nudge(descent.multiplying_neuron, start, step=options.step, seed=options.seed)
        rose = path.value > path.values[0]
        as_told &= rose == (start[0] > 0)
        rows.append(
            [words(start), words(path.end), f"{path.value:.6f}", "rises above 30" if rose else "falls below 30"]
        )
    print(table(("start", "end", "output", ""), rows))
    print("\nWhere a and b are negative, a larger a makes the output smaller: chance does not know which way is up.\n")
    return as_told


def derivatives(options: argparse.Namespace) -> bool:
    """Method 2, in both orders; whether the numbers are the text's."""
    print("Method 2, derivatives: d(ab)/da = b and d(ab)/db = a say which way is up, and how steep\n")
    rows, equal = [], True
    for updates, text in (("one after another", ONE_AFTER_ANOTHER), ("at once", AT_ONCE)):
        for start in STARTS:
            path = descent.maximise(descent.multiplying_neuron, start, eta=options.step, steps=1, updates=updates)
            close = updates == "one after another"  # the text prints all digits of this one
            same = path.value == text if close else abs(path.value - text) < 5e-4
            told = f"{text!r}" if options.step == STEP else ""
            equal &= same or options.step != STEP
            rows.append([updates, words(start), words(path.end), repr(path.value), told])
    print(table(("updates", "start", "end", "output", "text"), rows))
    print("\nOne after another, b moves by the new a; at once, both by the old ones, as gradient descent and BP do.\n")
    return equal


def limit(options: argparse.Namespace) -> descent.Derivative:
    """The derivative as a limit, and where it stops getting better."""
    a, b = STARTS[0]
    print(f"The derivative as a limit: (f(a + h) - f(a))/h for f(a) = exp(a/{a:g}) {b:g} at a = {a:g}\n")
    slope = math.e * b / a
    steps = [10.0**-k for k in range(1, 15)]
    forward, central = (
        descent.derivative(lambda x: np.exp(x / a) * b, a, kind=kind, steps=steps) for kind in ("forward", "central")
    )
    rows = [
        [f"{h:.0e}", f"{one:.12f}", f"{abs(one - slope):.1e}", f"{abs(two - slope):.1e}"]
        for h, one, two in zip(steps, forward.values, central.values, strict=True)
    ]
    print(table(("h", "slope", "error", "error of (f(a + h) - f(a - h))/2h"), rows))
    found = descent.derivative(lambda x: np.exp(x / a) * b, a)
    print(f"\nBelow the best h the rounding of f takes over. Found: {found}; exact: {slope:.12g}")
    return found


def words(point: Sequence[float] | np.ndarray) -> str:
    return f"({', '.join(f'{x:.6g}' for x in point)})"


def draw(options: argparse.Namespace, found: descent.Derivative) -> None:
    picture = new_figure((12, 5.6))
    left, right = picture.subplots(1, 2)
    neuron = descent.multiplying_neuron
    paths = [descent.nudge(neuron, start, step=options.step, steps=LONG, seed=options.seed) for start in STARTS]
    paths += [descent.maximise(neuron, start, eta=options.step, steps=LONG // 5) for start in STARTS]
    labels = [f"{path.steps} {'nudges' if path.goal == 'nudge' else 'steps of ascent'}" for path in paths]
    descent.draw(paths, left, limits=[(-10, 10), (-10, 10)], labels=labels)
    left.set_title("a b", fontsize=10)
    found.draw(right, slope=math.e * STARTS[0][1] / STARTS[0][0])
    save_figure(picture, options.figure)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    as_told = nudges(options)
    equal = derivatives(options)
    found = limit(options)
    if options.figure is not None:
        draw(options, found)
    return 0 if as_told and equal else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="multiplying_neuron.py", description=__doc__, formatter_class=Help)
    parser.add_argument("--step", type=positive, default=STEP, help="size of a step")
    parser.add_argument("--seed", type=int, default=0, help="of the nudges")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
