"""The chain rule on a computational graph: e = (a + b)(b + 1), every partial derivative by one sweep from e downwards,
and one at a time by sweeps upwards. The example is that of the worked-example text, at a = 2, b = 1.

Run with ``python scripts/computational_graph.py``; ``--figure graph.png`` adds a picture. Exit code 1 if a derivative
differs from the text's, or, at another point, from central differences.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from bpjit import descent, graph
from bpjit.plot.canvas import new_figure
from script_tools import Help, add_figure, check_figure, run, save_figure

TEXT = {(2.0, 1.0): (6.0, 2.0, 5.0)}  # a, b: e, ∂e/∂a, ∂e/∂b


def expression() -> graph.Expression:
    a, b = graph.variables("a b")
    c, d = (a + b).named("c"), (b + 1).named("d")
    return (c * d).named("e")


def expected(a: float, b: float) -> tuple[str, tuple[float, ...]]:
    """e and its derivatives by a and b, and who says so."""
    if (a, b) in TEXT:
        return "the text's", TEXT[a, b]
    slopes = descent.numerical_gradient(lambda a, b: (a + b) * (b + 1), (a, b))
    return "central differences", ((a + b) * (b + 1), *slopes)


def script(options: argparse.Namespace) -> int:
    check_figure(options.figure)
    e, a, b = expression(), options.a, options.b
    sweep = e.sweep(a=a, b=b)
    print(f"e = {e} with c = a + b and d = b + 1, at a = {a:g}, b = {b:g}\n")
    print("One reverse sweep, from e down: each node hands its derivative on to what it was made of,")
    print("times the local derivative, and sums up what it is handed. All partial derivatives at once.\n")
    print(sweep)
    for name in e.variables:
        print(f"\nA forward sweep, up from {name}: the derivatives by {name} alone, in as many operations.\n")
        print(e.forward(name, a=a, b=b))
    print("\nA network has thousands of weights and one error: back-propagation is the reverse sweep.\n")
    who, numbers = expected(a, b)
    found = (sweep.value, sweep["a"], sweep["b"])
    differ = [abs(x - y) > 1e-6 * max(1.0, abs(y)) for x, y in zip(found, numbers, strict=True)]
    for name, x, y in zip(("e", "de/da", "de/db"), found, numbers, strict=True):
        print(f"{name:6s} {x:.12g}   {who}: {y:.12g}")
    if options.figure is not None:
        picture = new_figure((8, 3))
        sweep.draw(picture.add_subplot())
        save_figure(picture, options.figure)
    return int(any(differ))


def finite(text: str) -> float:
    """An argument that is a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="computational_graph.py", description=__doc__, formatter_class=Help)
    parser.add_argument("-a", type=finite, default=2.0, help="where")
    parser.add_argument("-b", type=finite, default=1.0, help="where")
    add_figure(parser)
    return run(script, parser, None if arguments is None else list(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
