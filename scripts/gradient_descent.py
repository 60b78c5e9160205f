"""Gradient descent on the surface of Himmelblau's function, which has four minima of the same depth (the visual text):
where descents from many starts end. Then gradient ascent on a hill of one variable, from either side of its top, and
with steps that are too large (the text on why derivatives).

Run with ``python scripts/gradient_descent.py``; ``--figure paths.png`` adds a picture. Exit code 1 if a descent ends
elsewhere than in a minimum.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bpjit import descent
from bpjit.plot.canvas import new_figure
from bpjit.settings.rules import RULES
from script_tools import Help, add_figure, check_figure, positive, run, save_figure, table, whole

STARTS = ((0.0, 0.0), (-1.0, 3.0), (-4.0, -1.0), (2.0, -4.0), (-0.2, -1.0), (5.0, 5.0))
CLIMBS = ((0.0, 0.1), (4.5, 0.1), (0.0, 0.5), (-0.5, 0.9), (0.0, 1.0), (1.9, 1.1))  # start, η
NEAR = 1e-4
# On Himmelblau's function, whose slopes are steep.
ETAS = {
    "sgd": 0.01,
    "momentum": 0.001,
    "nesterov": 0.001,
    "quickprop": 0.001,
    "adagrad": 1.0,
    "rmsprop": 0.01,
    "adam": 0.05,
}


def minimum_of(path: descent.Path) -> int | None:
    """The number of the minimum that a path ended in, from 1."""
    distances = np.linalg.norm(np.array(descent.himmelblau.minima) - path.end, axis=1)
    return int(distances.argmin()) + 1 if distances.min() < NEAR else None


def descend(options: argparse.Namespace) -> list[descent.Path]:
    rng = np.random.default_rng(options.seed)
    starts = [*STARTS, *rng.uniform(-5, 5, (options.starts, 2))]
    return [
        descent.minimise(descent.himmelblau, start, eta=options.eta, rule=options.rule, steps=options.steps)
        for start in starts
    ]


def show_descents(paths: list[descent.Path], options: argparse.Namespace) -> bool:
    """A row for each; whether all ended in a minimum."""
    eta = "" if options.eta is None else f", eta {options.eta:g}"
    print(f"{descent.himmelblau!r}\n\nminima, all with f = 0:")
    for k, (x, y) in enumerate(descent.himmelblau.minima, start=1):
        print(f"  {k}  ({x:9.6f}, {y:9.6f})")
    (top,) = descent.himmelblau.maxima
    print(f"maximum between them:\n     ({top[0]:9.6f}, {top[1]:9.6f}), f = {descent.himmelblau(*top):.6f}")
    print(f"\nDescents by {options.rule}{eta}: take the gradient, step against it, repeat until it is short\n")
    rows = []
    for path in paths:
        number = minimum_of(path)
        where = f"minimum {number}" if number else "no minimum"
        start, end = (f"({x:.4g}, {y:.4g})" for x, y in (path.points[0], path.end))
        rows.append([start, end, f"{path.value:.2g}", f"{path.steps}", path.stopped_by, where])
    print(table(("start", "end", "f", "steps", "stopped by", "where"), rows))
    found = [minimum_of(path) for path in paths]
    counts = ", ".join(f"{found.count(k)} in minimum {k}" for k in range(1, 5))
    print(f"\n{counts}: the start decides.\nThe error of a network has many minima too.")
    return None not in found


def show_climbs(steps: int) -> list[descent.Path]:
    """Ascents on the hill."""
    paths = [descent.maximise(descent.hill, start, eta=eta, steps=steps) for start, eta in CLIMBS]
    print(f"\n{descent.hill!r}, its top at x = 2: {steps} steps of ascent, x += eta f'(x) = eta (4 - 2x)\n")
    rows = []
    for (start, eta), path in zip(CLIMBS, paths, strict=True):
        x = path.points[:, 0]
        way = "  ".join(f"{value:.3g}" for value in x[:5])
        rows.append([f"{start:g}", f"{eta:g}", way, f"{path.end[0]:.4g}", how(x)])
    print(table(("start", "eta", "way", "end", "how"), rows))
    return paths


def how(x: np.ndarray) -> str:
    """What the steps do, from their distances to the top."""
    before, after = x[0] - 2, x[1] - 2
    if after == 0:
        return "there in one step"
    if before * after > 0:
        return "nearer with each step"
    if abs(abs(after) - abs(before)) < 1e-12:
        return "to and fro for ever"
    return "overshoots, but nearer" if abs(after) < abs(before) else "overshoots, further off each time"


def draw(paths: list[descent.Path], climbs: list[descent.Path], path: Path) -> None:
    picture = new_figure((12, 6))
    left, right = picture.subplots(1, 2)
    descent.draw(paths[: len(STARTS)], left)
    shown = (0, 1, 3, 5)
    labels = [f"from {CLIMBS[k][0]:g}, eta {CLIMBS[k][1]:g}" for k in shown]
    descent.draw([climbs[k] for k in shown], right, labels=labels)
    right.legend(loc="lower center")
    save_figure(picture, path)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    if options.eta is None:
        options.eta = ETAS.get(options.rule)
    paths = descend(options)
    arrived = show_descents(paths, options)
    climbs = show_climbs(10)
    if options.figure is not None:
        draw(paths, climbs, options.figure)
    return 0 if arrived else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gradient_descent.py", description=__doc__, formatter_class=Help)
    parser.add_argument("--rule", choices=list(RULES), default="sgd", help="what turns a gradient into a step")
    parser.add_argument("--eta", type=positive, help="learning rate (one that suits the rule; rmsprop hovers at any)")
    parser.add_argument("--steps", type=whole, default=5000, help="at most, of each descent")
    parser.add_argument("--starts", type=whole, default=6, help="random starts besides the fixed ones")
    parser.add_argument("--seed", type=int, default=0, help="of the random starts")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
