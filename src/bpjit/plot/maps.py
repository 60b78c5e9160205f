"""What a network answers over two of its inputs, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_inputs, as_integer, describe
from ..networks.evaluation import as_network
from ..networks.network import Network
from .canvas import AREAS, DARK, HATCHES, LIGHT, MARKERS, Axes, axes, dress, speaker

FLOAT = np.dtype(np.float64)
SHARES = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])  # of what an output can reach, where levels are drawn
POINTS = 160  # of a grid, along each side


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
    targets = None if Y is None else net._architecture.targets("Y", Y, len(X))
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
    cut, span = net._architecture.cut, _span(net)
    ends = cut - span / 2, cut + span / 2
    binary = l == 1 and (
        net.output in ("sigmoid", "step") or (targets is not None and bool(np.isin(targets, ends).all()))
    )
    if l == 1:
        _levels(ax, sides, y_hat[..., 0], cut + span * (SHARES - 0.5) if binary else None)
    else:
        _regions(ax, sides, y_hat)
    labels = [f"{say('class')} {number}" for number in range(max(2, l))] if names is None else list(map(str, names))
    classes = None if targets is None or not (l > 1 or binary) else net._architecture.classes_of_outputs(targets)
    _samples(ax, X[:, [across, up]], targets, classes, labels)
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


def _span(net: Network) -> float:
    """The width of what a single output can reach, in the user's units; 1 where that has no bounds."""
    low, high = (net._architecture.unscaled_outputs(np.array([end]))[0] for end in net._architecture.reach)
    return float(abs(high - low)) if np.isfinite(high - low) else 1.0


def _levels(ax: Axes, sides: Sequence[np.ndarray], y_hat: np.ndarray, levels: np.ndarray | None) -> None:
    """Level lines of one output over pale shades; between two classes at these levels, the middle one drawn bold."""
    if np.ptp(y_hat) == 0.0:
        return
    binary = levels is not None
    shades = ax.contourf(
        *sides, y_hat, levels if binary else 12, cmap="Greys", alpha=0.35, extend="both" if binary else "neither"
    )
    thin, middle = shades.levels[1:-1], None if levels is None else levels[len(levels) // 2]
    thin = thin[thin != middle]
    if len(thin):
        lines = ax.contour(*sides, y_hat, thin, colors="0.35", linewidths=0.8, linestyles="--" if binary else "-")
        ax.clabel(lines, fontsize="small")
    if middle is not None and y_hat.min() < middle < y_hat.max():
        ax.contour(*sides, y_hat, [middle], colors="black", linewidths=2.2)


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


def _samples(
    ax: Axes, places: np.ndarray, targets: np.ndarray | None, classes: np.ndarray | None, labels: Sequence[str]
) -> None:
    """The samples, with a marker for each class, or as dark as their target is large."""
    dots = {"edgecolor": "black", "zorder": 3, "s": 45, "linewidth": 1.0}
    if targets is None:
        ax.scatter(*places.T, c="white", **dots)
    elif classes is None:
        ax.scatter(*places.T, c=targets[:, 0], cmap="Greys", **dots)
    else:
        for number in np.unique(classes):
            face = ("white", "black", LIGHT, DARK)[number % 4]
            marker = MARKERS[number % len(MARKERS)]
            ax.scatter(*places[classes == number].T, c=face, marker=marker, label=labels[number], **dots)
        ax.legend(loc="best", framealpha=0.9)
