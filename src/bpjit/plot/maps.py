"""Pictures over two variables: what a network answers over two of its inputs, and the surface of a function with the
paths that went down it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arguments import as_array, as_flag, as_inputs, as_integer, describe
from ..evaluation import as_network
from ..network import Network
from .canvas import AREAS, DARK, HATCHES, LIGHT, MARKERS, STYLES, Axes, axes, dress, speaker

FLOAT = np.dtype(np.float64)
POINTS = 160  # of a grid, along each side

# --- A network over two inputs.


def decision_boundary(
    net: Network,
    X: Any,
    Y: Any = None,
    *,
    inputs: tuple[int, int] = (0, 1),
    at: Any = None,
    names: Sequence[str] | None = None,
    language: str = "en",
    ax: Any = None,
) -> Axes:
    """What a network answers over two of its inputs: regions of its classes, or level lines of its only output.

    A thick line is the boundary that ``net.classify`` goes by: ŷ = ½ with one output, where the targets are 0 and 1 or
    the output a sigmoid or step unit.

    Parameters
    ----------
    net : with two inputs or more
    X : (m, d) samples, which give the limits, and are drawn
    Y : their targets, as for ``train``, for the markers; or None
    inputs : the numbers of the inputs to draw along x and y
    at : (d,) values of the inputs that are not drawn; None is their mean over X. Samples are drawn wherever they lie
    names : of the classes; None gives their numbers
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : a network with one input, or arguments that do not fit it

    Notes
    -----
    Source: the pumpkin book on linear separability: two layers of functional units, or of sigmoid ones, solve XOR.

    Examples
    --------
    >>> import bpjit, bpjit.plot
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fit = bpjit.train(bpjit.Network.random((2, 4, 1)), X, Y, eta=5.0, stop=1000)
    >>> ax = bpjit.plot.decision_boundary(fit.network, X, Y)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$x_{1}$', '$x_{2}$')
    """
    net = as_network(net, slopes=False)
    d, l = net.sizes[0], net.sizes[-1]
    if d < 2:
        raise ValueError("net: expected two inputs or more, got one; plot net.predict(X) against X")
    X = as_inputs("X", X, d, FLOAT)
    targets = None if Y is None else net._targets("Y", Y, len(X))
    across, up = (as_integer("inputs", number, low=0, high=d - 1) for number in _pair("inputs", inputs))
    fixed = X.mean(axis=0) if at is None else as_array("at", at, FLOAT, f"{d} finite numbers, one for each input")
    if fixed.shape != (d,):
        raise ValueError(f"at: expected {d} finite numbers, one for each input, got shape {fixed.shape}")
    if names is not None and len(names) < max(2, l):
        raise ValueError(f"names: expected {max(2, l)}, one for each class, got {len(names)}")
    say, ax = speaker(language), axes(ax, (5.5, 4.5))
    sides = [_side(X[:, number]) for number in (across, up)]
    grid = np.tile(fixed, (POINTS * POINTS, 1))
    grid[:, across], grid[:, up] = (values.ravel() for values in np.meshgrid(*sides))
    y_hat = net.predict(grid).astype(FLOAT).reshape(POINTS, POINTS, l)
    binary = l == 1 and (
        net.output in ("sigmoid", "step") or (targets is not None and bool(np.isin(targets, (0, 1)).all()))
    )
    if l == 1:
        _levels(ax, sides, y_hat[..., 0], binary)
    else:
        _regions(ax, sides, y_hat)
    labels = [f"{say('class')} {number}" for number in range(max(2, l))] if names is None else list(map(str, names))
    _samples(ax, X[:, [across, up]], targets, labels if l > 1 or binary else None)
    ax.set(xlabel=f"$x_{{{across + 1}}}$", ylabel=f"$x_{{{up + 1}}}$", xlim=sides[0][[0, -1]], ylim=sides[1][[0, -1]])
    return dress(ax)


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2 or value[0] == value[1]:
        raise ValueError(f"{name}: expected two different numbers of inputs, counted from 0, got {describe(value)}")
    return value[0], value[1]


def _side(values: np.ndarray) -> np.ndarray:
    """Grid points around these values."""
    low, high = values.min(), values.max()
    room = 0.15 * (high - low) or 1.0
    return np.linspace(low - room, high + room, POINTS)


def _levels(ax: Axes, sides: Sequence[np.ndarray], y_hat: np.ndarray, binary: bool) -> None:
    """Level lines of one output over pale shades."""
    if np.ptp(y_hat) == 0.0:
        return
    levels = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]) if binary else 12
    shades = ax.contourf(*sides, y_hat, levels, cmap="Greys", alpha=0.35, extend="both" if binary else "neither")
    inner = shades.levels[1:-1]
    thin = inner[inner != 0.5] if binary else inner
    if len(thin):
        lines = ax.contour(*sides, y_hat, thin, colors="0.35", linewidths=0.8, linestyles="--" if binary else "-")
        ax.clabel(lines, fontsize="small")
    if binary and y_hat.min() < 0.5 < y_hat.max():
        ax.contour(*sides, y_hat, [0.5], colors="black", linewidths=2.2)


def _regions(ax: Axes, sides: Sequence[np.ndarray], y_hat: np.ndarray) -> None:
    """An area for each class, where its output is the largest."""
    for number in range(y_hat.shape[-1]):
        lead = y_hat[..., number] - np.delete(y_hat, number, axis=-1).max(axis=-1)
        if lead.max() <= 0.0:
            continue
        area = ax.contourf(
            *sides,
            lead,
            [0.0, lead.max() + 1.0],
            colors=[AREAS[number % len(AREAS)]],
            hatches=[HATCHES[number % len(HATCHES)]],
        )
        area.set_edgecolor("white")
        area.set_linewidth(0.0)
        if lead.min() < 0.0:
            ax.contour(*sides, lead, [0.0], colors="black", linewidths=2.2)


def _samples(ax: Axes, places: np.ndarray, targets: np.ndarray | None, labels: Sequence[str] | None) -> None:
    """The samples, with a marker for each class, or as dark as their target is large."""
    dots = {"edgecolor": "black", "zorder": 3, "s": 45, "linewidth": 1.0}
    if targets is None:
        ax.scatter(*places.T, c="white", **dots)
    elif labels is None:
        ax.scatter(*places.T, c=targets[:, 0], cmap="Greys", **dots)
    else:
        classes = (targets[:, 0] >= 0.5).astype(int) if targets.shape[1] == 1 else targets.argmax(axis=1)
        for number in np.unique(classes):
            face = ("white", "black", LIGHT, DARK)[number % 4]
            marker = MARKERS[number % len(MARKERS)]
            ax.scatter(*places[classes == number].T, c=face, marker=marker, label=labels[number], **dots)
        ax.legend(loc="best", framealpha=0.9)


# --- A function of two variables.


def surface(
    f: Callable[[float, float], float],
    paths: Any = (),
    *,
    limits: Sequence[float] = (-5.0, 5.0, -5.0, 5.0),
    three_d: bool = False,
    language: str = "en",
    ax: Any = None,
) -> Axes:
    """The surface of a function of two variables, as level lines or in three dimensions, with paths on it.

    Levels lie closer where the function is small, so that minima show.

    Parameters
    ----------
    f : takes two numbers and returns one
    paths : one path or several: arrays of points, [shape: (n, 2)], or records that have such ``points``; a dictionary
        gives their names. A circle is the start of a path, a star its end
    limits : (left, right, bottom, top)
    three_d : draw in three dimensions; ``ax`` decides where it is given
    language : "en" or "zh"
    ax : matplotlib axes to draw into, perhaps with ``projection="3d"``; None makes a figure

    Raises
    ------
    ValueError, TypeError : limits or paths of another form, or values of f that are not finite

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
    routes, three_d, say = as_paths(paths), as_flag("three_d", three_d), speaker(language)
    ax = axes(ax, (6.0, 5.0), three_d)
    x, y = np.linspace(box[0], box[1], POINTS), np.linspace(box[2], box[3], POINTS)
    values = np.array([[float(f(float(a), float(b))) for a in x] for b in y])
    if not np.isfinite(values).all():
        raise ValueError("f: expected finite values within the limits, got NaN or infinity; give other limits")
    if ax.name == "3d":
        ax.plot_surface(*np.meshgrid(x, y), values, cmap="Greys", alpha=0.55, rcount=50, ccount=50, linewidth=0)
    else:
        levels = np.unique(np.quantile(values, np.linspace(0, 1, 24) ** 2))
        if len(levels) > 2:
            ax.contourf(x, y, values, levels, cmap="Greys", alpha=0.5)
            ax.contour(x, y, values, levels[1:-1], colors="0.45", linewidths=0.6)
        ax.set(xlim=box[:2], ylim=box[2:])
    for place, (name, points) in enumerate(routes):
        _path(ax, f, points, place, name or (say("path") if len(routes) == 1 else f"{say('path')} {place + 1}"))
    ax.set(xlabel="x", ylabel="y")
    if routes:
        ax.legend(loc="upper right")
    return dress(ax)


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


def _path(ax: Axes, f: Callable[[float, float], float], points: np.ndarray, place: int, name: str) -> None:
    """One path, from a circle to a star."""
    corners = [points[:, 0], points[:, 1]]
    over = {}
    if ax.name == "3d":
        corners.append(np.array([float(f(float(a), float(b))) for a, b in points]))
        over = {"zorder": 10}
    color = (LIGHT, DARK, "black", "#4f8a4c", "#8256a0")[place % 5]
    marker = MARKERS[1 + place % (len(MARKERS) - 2)]
    look = {"color": color, "linestyle": STYLES[place % len(STYLES)], **over}
    ax.plot(*corners, marker=marker, markersize=4, markevery=max(1, len(points) // 15), label=name, **look)
    ends = {"color": color, "markeredgecolor": "black", "linestyle": "none", **over}
    ax.plot(*[corner[:1] for corner in corners], "o", markersize=9, **ends)
    ax.plot(*[corner[-1:] for corner in corners], "*", markersize=14, **ends)
