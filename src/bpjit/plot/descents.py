"""Pictures of descents: a function as a curve, or by ``plot/surfaces.py`` as level lines or a surface, with the paths
on it; and the error of a difference against its step. They need matplotlib, no display, and no colours."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import as_array, describe
from ..descent.functions import Function
from ..graph.expression import Expression
from .canvas import MARKERS, STYLES, axes
from .surfaces import draw_surface, heights

if TYPE_CHECKING:
    from ..descent.descending import Path
    from ..descent.differences import Derivative

FINE = 401  # points along a curve


def draw_paths(paths: list[Path], ax: Any, kind: str, limits: Any, labels: Any) -> Any:
    """See ``descent.draw``."""
    n = paths[0].points.shape[1]
    if any(path.points.shape[1] != n for path in paths):
        raise ValueError("paths: expected paths of the same function, got points of different lengths")
    if n > 2:
        raise ValueError(f"paths: expected a function of one or two variables, got {n}")
    ranges = _ranges(paths, limits)
    words = [_label(path) for path in paths] if labels is None else [str(label) for label in labels]
    if len(words) != len(paths):
        raise ValueError(f"labels: expected {len(paths)}, one for each path, got {len(words)}")
    if n == 1:
        ax = axes(ax, (6, 4))
        _draw_curve(ax, paths, words, ranges[0])
    else:
        ax = axes(ax, (6, 5.4) if kind == "contour" else (7, 6), three_d=kind == "surface")
        if kind == "surface" and ax.name != "3d":
            raise TypeError('ax: a surface needs axes made with projection="3d"')
        routes = [(word, path.points) for word, path in zip(words, paths, strict=True)]
        draw_surface(ax, paths[0].f, routes, ranges.ravel())
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.11), "ncols": 2} if kind == "contour" else {}
        ax.legend(fontsize=7, title="circle: start, star: end", **below)
    names = paths[0].variables
    ax.set(xlabel=names[0], ylabel=names[1] if n == 2 else _name_of(paths[0].f))
    return ax


def _name_of(f: Any) -> str:
    return f.formula if isinstance(f, Function) else str(f) if isinstance(f, Expression) else "f"


def _ranges(paths: list[Path], limits: Any) -> np.ndarray:
    """(low, high) of each variable, [shape: (n, 2)]."""
    f, n = paths[0].f, paths[0].points.shape[1]
    if limits is not None:
        ranges = as_array("limits", limits, np.dtype(np.float64), f"{n} pairs (low, high)").reshape(-1, 2)
        if len(ranges) != n or (ranges[:, 0] >= ranges[:, 1]).any():
            raise ValueError(f"limits: expected {n} pairs (low, high), low < high, got {describe(limits)}")
        return ranges
    if isinstance(f, Function) and f.limits:
        return np.array(f.limits)
    points = np.concatenate([path.points for path in paths])
    low, high = points.min(0), points.max(0)
    room = np.maximum(0.25 * (high - low), 0.1 * np.maximum(1.0, np.abs(high)))
    return np.array([low - room, high + room]).T


def _label(path: Path) -> str:
    start, end = (", ".join(f"{x:.3g}" for x in point) for point in (path.points[0], path.end))
    if len(path.end) > 1:
        start, end = f"({start})", f"({end})"
    return f"{start} to {end}, {path.steps} steps" + (", diverged" if path.diverged else "")


def _draw_curve(ax: Any, paths: list[Path], words: list[str], limits: np.ndarray) -> None:
    x = np.linspace(limits[0], limits[1], FINE)
    y = heights(paths[0].f, x)
    ax.plot(x, y, color="0.6", linewidth=2)
    look = {"color": "black", "markerfacecolor": "white", "markersize": 5, "linewidth": 0.8}
    for path, word, symbol, dash in zip(paths, words, itertools.cycle(MARKERS), itertools.cycle(STYLES), strict=False):
        ax.plot(path.points[:, 0], path.values, linestyle=dash, marker=symbol, label=word, **look)
    room = 0.08 * (np.nanmax(y) - np.nanmin(y))
    ax.set(xlim=limits, ylim=(np.nanmin(y) - room, np.nanmax(y) + room))
    ax.legend(fontsize=8)


def draw_errors(found: Derivative, ax: Any, slope: float | None) -> Any:
    """See ``Derivative.draw``."""
    ax = axes(ax, (6, 4))
    usable = np.isfinite(found.errors) & (found.errors > 0)
    ax.loglog(found.steps[usable], found.errors[usable], color="0.5", label="estimated error")
    if slope is not None:
        errors = np.abs(found.values - slope)
        seen = np.isfinite(errors) & (errors > 0)
        ax.loglog(found.steps[seen], errors[seen], "ko", markersize=3, label="error")
    ax.axvline(found.h, color="black", linestyle=":", label=f"best h = {found.h:.1g}")
    ax.set(xlabel="h", ylabel="error of the slope", title=f"{found.kind} difference")
    ax.legend(fontsize=8)
    return ax
