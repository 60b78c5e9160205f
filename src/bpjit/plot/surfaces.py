"""Functions of two variables as level lines or in three dimensions, with paths that went over them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_flag, describe
from ..graph.expression import Expression
from .canvas import DARK, LIGHT, MARKERS, STYLES, Axes, axes, dress, speaker

FLOAT = np.dtype(np.float64)
POINTS = 160  # of a grid, along each side


def surface(
    f: Callable[[float, float], float] | Expression,
    paths: Any = (),
    *,
    limits: Sequence[float] = (-5.0, 5.0, -5.0, 5.0),
    three_d: bool = False,
    language: str = "en",
    ax: Any = None,
) -> Axes:
    """The surface of a function of two variables, as level lines or in three dimensions, with paths on it.

    Levels lie closer where the function is small, so that minima show. Where it has no finite value nothing is drawn.

    Parameters
    ----------
    f : takes two numbers and returns one, or is a ``bpjit.graph`` expression of two variables
    paths : one path or several: arrays of points, [shape: (n, 2)], or records that have such ``points``, as those of
        ``bpjit.descent`` do; a dictionary gives their names. A circle is the start of a path, a star its end
    limits : (left, right, bottom, top)
    three_d : draw in three dimensions; ``ax`` decides where it is given
    language : "en" or "zh"
    ax : matplotlib axes to draw into, perhaps with ``projection="3d"``; None makes a figure

    Raises
    ------
    ValueError, TypeError : limits or paths of another form, or f without a finite value within the limits

    Notes
    -----
    Source: the text on neurons, layers and networks, which shows gradient descent on Himmelblau's function.

    Examples
    --------
    >>> import bpjit.plot
    >>> ax = bpjit.plot.surface(lambda x, y: x**2 + 3 * y**2, [[[4, 3], [2, 1], [0, 0]]])
    >>> ax.lines[0].get_xdata().tolist()
    [4.0, 2.0, 0.0]
    """
    if not callable(f):
        raise TypeError(f"f: expected a function of two numbers, got {describe(f)}")
    box = as_array("limits", limits, FLOAT, "(left, right, bottom, top)").ravel()
    if box.shape != (4,) or box[0] >= box[1] or box[2] >= box[3]:
        raise ValueError(
            f"limits: expected (left, right, bottom, top) with left < right and bottom < top, got {limits}"
        )
    if isinstance(f, Expression) and len(f.variables) != 2:
        raise ValueError(f"f: expected an expression of two variables, got {', '.join(f.variables) or 'none'}")
    routes, three_d, say = as_paths(paths), as_flag("three_d", three_d), speaker(language)
    unnamed = [say("path") if len(routes) == 1 else f"{say('path')} {place + 1}" for place in range(len(routes))]
    ax = axes(ax, (6.0, 5.0), three_d)
    draw_surface(ax, f, [(name or other, path) for (name, path), other in zip(routes, unnamed, strict=True)], box)
    x, y = getattr(f, "variables", ("x", "y"))
    ax.set(xlabel=x, ylabel=y)
    if routes:
        ax.legend(loc="upper right")
    return dress(ax)


def heights(f: Any, *coordinates: np.ndarray) -> np.ndarray:
    """A function or an expression at many points; NaN where it has no finite value."""

    def value(*point: float) -> float:
        try:
            return f(*point)
        except ArithmeticError:
            return np.nan

    with np.errstate(all="ignore"):
        if isinstance(f, Expression):
            values = f.evaluate(dict(zip(f.variables, coordinates, strict=True)))
        else:
            values = np.vectorize(value, otypes=[FLOAT])(*coordinates)
    return np.where(np.isfinite(values), values, np.nan)


def draw_surface(ax: Axes, f: Any, routes: Sequence[tuple[str, np.ndarray]], box: np.ndarray) -> None:
    """The surface within (left, right, bottom, top), and paths with names, (n, 2) each."""
    x, y = np.meshgrid(np.linspace(box[0], box[1], POINTS), np.linspace(box[2], box[3], POINTS))
    values = heights(f, x, y)
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ValueError("f: expected finite values within the limits, got none; give other limits")
    if ax.name == "3d":
        with warnings.catch_warnings():  # of holes in the surface, which are meant
            warnings.filterwarnings("ignore", "Z contains NaN")
            ax.plot_surface(x, y, values, cmap="Greys", alpha=0.55, rcount=50, ccount=50, linewidth=0)
        ax.set(zlabel="f")
    else:
        levels = np.unique(np.quantile(finite, np.linspace(0, 1, 24) ** 2))
        if len(levels) > 2:
            ax.contourf(x, y, values, levels, cmap="Greys", alpha=0.5)
            lines = ax.contour(x, y, values, levels[1:-1], colors="0.45", linewidths=0.6, linestyles="solid")
            ax.clabel(lines, lines.levels[2::4], fontsize=7, fmt="%.3g")
        square = bool(np.isclose(np.ptp(box[:2]), np.ptp(box[2:])))
        ax.set(xlim=box[:2], ylim=box[2:], aspect="equal" if square else "auto")
    for place, (name, points) in enumerate(routes):
        _draw_path(ax, f, points, place, name)


def as_paths(paths: Any) -> list[tuple[str, np.ndarray]]:
    """Names and points, [shape: (n, 2)], of one path or several."""
    if isinstance(paths, Mapping):
        given = [(str(name), path) for name, path in paths.items()]
    elif hasattr(paths, "points") or (isinstance(paths, np.ndarray) and paths.ndim == 2):
        given = [("", paths)]
    else:
        given = [("", path) for path in paths]
    found = []
    for name, path in given:
        expected = "arrays of points, each of shape (n, 2), or records that have such points"
        points = as_array("paths", getattr(path, "points", path), FLOAT, expected)
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"paths: expected {expected}, got shape {points.shape}")
        found.append((name, points))
    return found


def _draw_path(ax: Axes, f: Any, points: np.ndarray, place: int, name: str) -> None:
    """One path, from a circle to a star."""
    corners = [points[:, 0], points[:, 1]]
    over = {}
    if ax.name == "3d":
        corners.append(heights(f, *points.T))
        over = {"zorder": 10}
    color = (LIGHT, DARK, "black", "#4f8a4c", "#8256a0")[place % 5]
    marker = MARKERS[1 + place % (len(MARKERS) - 2)]
    look = {"color": color, "linestyle": STYLES[place % len(STYLES)], **over}
    ax.plot(*corners, marker=marker, markersize=4, markevery=max(1, len(points) // 15), label=name, **look)
    ends = {"color": color, "markeredgecolor": "black", "linestyle": "none", **over}
    ax.plot(*[corner[:1] for corner in corners], "o", markersize=9, **ends)
    ax.plot(*[corner[-1:] for corner in corners], "*", markersize=14, **ends)
