"""Descents and ascents, in a loop to read: start somewhere, take the gradient, step against it, repeat; and random
nudges, which take none. What is walked on and how it steps stands in ``walk.py``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_integer, as_real, as_seed, describe
from ..common.plain import printable
from ..maths import random_streams
from ..settings.rules import Rule
from .walk import AT_ONCE, Stepper, Walk


@dataclass(frozen=True)
class Path:
    """The way of a descent or an ascent.

    Attributes
    ----------
    goal : "minimise", "maximise" or "nudge"
    points : the start and where each step led, [shape: (steps + 1, n)]
    values : the function there, [shape: (steps + 1,)]
    gradients : its gradient there, [shape: (steps + 1, n)]; None for nudges, which take none
    stopped_by : "tolerance" (the gradient is that short), "steps" (all taken), or "diverged": the next point, or what
        the function is there, was no finite number; the path ends before it
    """

    goal: str
    points: np.ndarray
    values: np.ndarray
    gradients: np.ndarray | None
    stopped_by: str
    variables: tuple[str, ...]
    f: Any = field(repr=False)

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.points) - 1

    @property
    def end(self) -> np.ndarray:
        """The last point, [shape: (n,)]."""
        return self.points[-1]

    @property
    def value(self) -> float:
        """The function at the last point."""
        return float(self.values[-1])

    @property
    def diverged(self) -> bool:
        """Whether it ran off beyond all numbers."""
        return self.stopped_by == "diverged"

    def draw(self, ax: Any = None, kind: str = "contour", limits: Any = None) -> Any:
        """The function and the path as a picture; see ``draw``."""
        return draw([self], ax, kind, limits)

    @printable
    def __str__(self) -> str:
        point = ", ".join(f"{x:.6g}" for x in self.end)
        slope = "" if self.gradients is None else f", gradient {math.hypot(*self.gradients[-1]):.2g}"
        return (
            f"{self.goal}: f({point}) = {self.value:.6g} after {self.steps} steps, stopped by {self.stopped_by}{slope}"
        )


def minimise(
    f: Any,
    start: Any,
    *,
    eta: float | None = None,
    steps: int = 1000,
    gradient: Any = None,
    rule: str | Rule = "sgd",
    updates: str = "at once",
    tolerance: float = 1e-8,
) -> Path:
    """Gradient descent: from a start, step against the gradient until it is short or all steps are taken.

    Parameters
    ----------
    f : a function of n numbers, called as f(x, y, ...), or a ``bpjit.graph`` expression
    start : n numbers, or one; for an expression in the order of its ``variables``
    eta : learning rate η > 0; None takes the rule's default, 0.1 for "sgd"
    steps : at most so many
    gradient : a function that is called like f and gives n numbers; "graph" (an expression's own), "numerical" (central
        differences), or None: the function's own where it has one, else numerical
    rule : "sgd" is x ← x − η ∂f/∂x; all others as in ``bpjit.train``
    updates : "at once", or "one after another": each variable moves by a gradient taken after those before it moved
        (sgd only)
    tolerance : stop where the gradient is no longer than this

    Returns
    -------
    Path: points, values, gradients, why it stopped. A step that is too large ends in ``stopped_by="diverged"``.

    Examples
    --------
    >>> from bpjit import descent, graph
    >>> path = descent.minimise(descent.himmelblau, (0, 0), eta=0.01)
    >>> path.end.round(6), path.stopped_by
    (array([3., 2.]), 'tolerance')
    >>> x, y = graph.variables("x y")
    >>> print(descent.minimise((x - 1) ** 2 + y**2, (0, 1), eta=0.25))
    minimise: f(1, 1.86265e-09) = 6.93889e-18 after 29 steps, stopped by tolerance, gradient 5.3e-09
    """
    return _go("minimise", Walk(f, start, gradient, rule, eta, updates), steps, tolerance)


def maximise(
    f: Any,
    start: Any,
    *,
    eta: float | None = None,
    steps: int = 1000,
    gradient: Any = None,
    rule: str | Rule = "sgd",
    updates: str = "at once",
    tolerance: float = 1e-8,
) -> Path:
    """Gradient ascent: as ``minimise``, but along the gradient, upwards.

    Examples
    --------
    The multiplying neuron makes its output a·b larger, one input after the other or both at once (the text on why
    derivatives):

    >>> from bpjit import descent
    >>> neuron = descent.multiplying_neuron
    >>> descent.maximise(neuron, (-5, -6), eta=0.01, steps=1, updates="one after another").value
    30.616035999999998
    >>> round(descent.maximise(neuron, (-5, -6), eta=0.01, steps=1).value, 6)
    30.613
    """
    return _go("maximise", Walk(f, start, gradient, rule, eta, updates), steps, tolerance)


def nudge(f: Any, start: Any, *, step: float = 0.01, steps: int = 1, seed: int = 0) -> Path:
    """Random nudges, without derivatives: every variable grows by step·U(0, 1), again and again.

    So the text on why derivatives begins, and so it fails: of a·b it makes more where a and b are positive, and less
    where they are negative.

    Examples
    --------
    >>> from bpjit import descent
    >>> descent.nudge(descent.multiplying_neuron, (5, 6)).value > 30
    True
    >>> descent.nudge(descent.multiplying_neuron, (-5, -6)).value < 30
    True
    """
    step, seed = as_real("step", step, above=0), as_seed("seed", seed)
    steps = as_integer("steps", steps, low=0)
    walk = Walk(f, start, "numerical", "sgd", None, AT_ONCE)
    points = [walk.start]
    for number in range(steps):
        points.append(points[-1] + step * random_streams.uniforms(seed, random_streams.NUDGES, number, len(walk.start)))
    values = np.array([walk.value(point) for point in points])
    usual = np.isfinite(values)
    last = len(points) if usual.all() else max(1, int(np.argmin(usual)))
    stopped_by = "steps" if usual.all() else "diverged"
    return Path("nudge", np.array(points[:last]), values[:last], None, stopped_by, walk.variables, f)


def _go(goal: str, walk: Walk, steps: int, tolerance: float) -> Path:
    """The loop: until the gradient is short, or all steps are taken, or the numbers end."""
    steps, tolerance = as_integer("steps", steps, low=0), as_real("tolerance", tolerance, low=0)
    stepper = Stepper(walk, 1.0 if goal == "maximise" else -1.0)
    point, value, slope = walk.start, walk.value(walk.start), walk.gradient(walk.start)
    if not (np.isfinite(value) and np.isfinite(slope).all()):
        raise ValueError(f"start: expected a point where f and its gradient are finite, got f = {value} and {slope}")
    points, values, gradients, stopped_by = [point], [value], [slope], "steps"
    while True:
        if math.hypot(*slope) <= tolerance:
            stopped_by = "tolerance"
            break
        if len(points) > steps:
            break
        point = stepper.step(point, slope, value)
        value, slope = walk.value(point), walk.gradient(point)
        if not (np.isfinite(point).all() and np.isfinite(value) and np.isfinite(slope).all()):
            stopped_by = "diverged"
            break
        points.append(point)
        values.append(value)
        gradients.append(slope)
    return Path(goal, np.array(points), np.array(values), np.array(gradients), stopped_by, walk.variables, walk.f)


def draw(paths: Any, ax: Any = None, kind: str = "contour", limits: Any = None, labels: Any = None) -> Any:
    """The function and one path or several as a picture: a curve (n = 1), contours or a surface (n = 2).

    Parameters
    ----------
    paths : one ``Path`` or several of the same function
    ax : axes of matplotlib, for kind "surface" those of projection "3d"; None makes new ones
    kind : "contour" or "surface"
    limits : (low, high) of each variable; None is what the function and the paths need
    labels : what the legend says of each path; None is its start, its end and its steps

    Returns
    -------
    the axes

    Raises
    ------
    ImportError : matplotlib is missing (``bpjit[plot]``)
    """
    several = [paths] if isinstance(paths, Path) else list(paths)
    if not several or not all(isinstance(path, Path) for path in several):
        raise TypeError(f"paths: expected a Path or several, got {describe(paths)}")
    from ..plot.descents import draw_paths

    return draw_paths(several, ax, as_choice("kind", kind, ("contour", "surface")), limits, labels)
