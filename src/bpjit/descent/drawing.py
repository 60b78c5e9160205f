"""Pictures of descents: a function as a curve, as contours or as a surface with the paths on it, and the error of a
difference against its step. They need matplotlib, no display, and no colours."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import as_array, describe
from ..graph.expression import Expression
from ..plot.canvas import axes
from .functions import Function

if TYPE_CHECKING:
    from .descending import Path
    from .differences import Derivative

FINE, COARSE = 121, 61  # numbers of points along each axis of contours and of a surface
LEVELS = 16
SYMBOLS, DASHES = "osD^vP*X", ("-", "--", "-.", ":")


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
    elif kind == "contour":
        ax = axes(ax, (6, 5.4))
        _draw_contours(ax, paths, words, ranges)
    else:
        ax = axes(ax, (7, 6), three_d=True)
        if not hasattr(ax, "plot_surface"):
            raise TypeError('ax: a surface needs axes made with projection="3d"')
        _draw_surface(ax, paths, words, ranges)
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


def _values(f: Any, *coordinates: np.ndarray) -> np.ndarray:
    """f at many points; NaN where it has no finite value."""
    with np.errstate(all="ignore"):
        if isinstance(f, Expression):
            values = f.evaluate(dict(zip(f.variables, coordinates, strict=True)))
        else:
            values = np.vectorize(f, otypes=[np.float64])(*coordinates)
    return np.where(np.isfinite(values), values, np.nan)


def _grid(f: Any, ranges: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = np.meshgrid(*(np.linspace(low, high, count) for low, high in ranges))
    return x, y, _values(f, x, y)


def _levels(values: np.ndarray) -> np.ndarray:
    """Heights of contour lines, denser towards the lowest one: a valley's floor is where the interest lies."""
    low, high = np.nanmin(values), np.nanmax(values)
    if not high > low:
        return np.array([low])
    return np.unique(low + (high - low) * np.linspace(0.03, 1, LEVELS) ** 2.5)


def _label(path: Path) -> str:
    start, end = (", ".join(f"{x:.3g}" for x in point) for point in (path.points[0], path.end))
    if len(path.end) > 1:
        start, end = f"({start})", f"({end})"
    return f"{start} to {end}, {path.steps} steps" + (", diverged" if path.diverged else "")


def _styles(paths: list[Path], words: list[str]) -> Any:
    """A symbol and a way to dash for each path, so that black and white tell them apart."""
    return zip(paths, words, itertools.cycle(SYMBOLS), itertools.cycle(DASHES))


def _draw_curve(ax: Any, paths: list[Path], words: list[str], limits: np.ndarray) -> None:
    x = np.linspace(limits[0], limits[1], 401)
    ax.plot(x, _values(paths[0].f, x), color="0.6", linewidth=2)
    for path, word, symbol, dash in _styles(paths, words):
        ax.plot(
            path.points[:, 0],
            path.values,
            linestyle=dash,
            marker=symbol,
            color="black",
            markerfacecolor="white",
            markersize=5,
            linewidth=0.8,
            label=word,
        )
    y = _values(paths[0].f, x)
    room = 0.08 * (np.nanmax(y) - np.nanmin(y))
    ax.set(xlim=limits, ylim=(np.nanmin(y) - room, np.nanmax(y) + room))
    ax.legend(fontsize=8)


def _draw_contours(ax: Any, paths: list[Path], words: list[str], ranges: np.ndarray) -> None:
    x, y, z = _grid(paths[0].f, ranges, FINE)
    lines = ax.contour(x, y, z, levels=_levels(z), colors="0.7", linewidths=0.8, linestyles="solid")
    ax.clabel(lines, lines.levels[::3], fontsize=7, fmt="%.4g")
    for path, word, symbol, dash in _styles(paths, words):
        ax.plot(*path.points.T, linestyle=dash, color="black", linewidth=1.2)
        ax.plot(*path.points[0], symbol, color="black", markerfacecolor="white", markersize=7, label=word)
        ax.plot(*path.end, symbol, color="black", markersize=7)
    ax.set(xlim=ranges[0], ylim=ranges[1], aspect="equal" if np.ptp(ranges[0]) == np.ptp(ranges[1]) else "auto")
    ax.legend(
        fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2, title="start (white) to end (black)"
    )


def _draw_surface(ax: Any, paths: list[Path], words: list[str], ranges: np.ndarray) -> None:
    x, y, z = _grid(paths[0].f, ranges, COARSE)
    ax.plot_surface(x, y, z, cmap="Greys", alpha=0.6, linewidth=0.2, edgecolor="0.6", rstride=2, cstride=2)
    for path, word, symbol, dash in _styles(paths, words):
        ax.plot(*path.points.T, path.values, linestyle=dash, color="black", linewidth=1.5, zorder=10)
        ax.plot(*path.points[:1].T, path.values[:1], symbol, color="black", markerfacecolor="white", zorder=11)
        ax.plot(*path.points[-1:].T, path.values[-1:], symbol, color="black", zorder=11, label=word)
    ax.set(zlabel="f")
    ax.legend(fontsize=7)


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
