"""Pictures of single units: two classes of points, the line that parts them, or the means that no line can part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..networks.network import Network
from .canvas import axes

if TYPE_CHECKING:
    from ..unit.separation import Separation

FINE = 301


def draw_sides(net: Network, X: np.ndarray, Y: np.ndarray, ax: Any) -> Any:
    """See ``unit.draw``."""
    ax = axes(ax, (4, 4))
    low, high = _frame(ax, X)
    x, y = np.meshgrid(np.linspace(low[0], high[0], FINE), np.linspace(low[1], high[1], FINE))
    side = net.predict(np.stack([x.ravel(), y.ravel()], -1)).reshape(x.shape) >= 0.5
    ax.contourf(x, y, side.astype(float), levels=[-0.5, 0.5, 1.5], colors=["white", "0.85"], zorder=0)
    if net.scale is None:  # in scaled inputs the lines lie elsewhere
        for w, theta in zip(net.weights[0].T, net.thresholds[0], strict=True):
            _draw_line(ax, w, theta, "-" if len(net.sizes) == 2 else "--", low, high)
    _draw_points(ax, X, Y)
    return ax


def draw_meeting(proof: Separation, ax: Any) -> Any:
    """See ``Separation.draw``: for each class lines between the samples whose mean is the point where they meet."""
    ax = axes(ax, (4, 4))
    _frame(ax, proof.X)
    assert proof.shares is not None
    assert proof.point is not None
    for label, dash in ((0, "--"), (1, "-")):
        part = proof.X[(label == proof.Y) & (proof.shares > 0)]
        order = np.argsort(np.arctan2(*(part - part.mean(0)).T))
        around = part[np.append(order, order[:1])] if len(part) > 2 else part
        ax.plot(*around.T, color="black", linestyle=dash, linewidth=1, zorder=1)
    _draw_points(ax, proof.X, proof.Y)
    ax.plot(*proof.point, "x", color="black", markersize=11, markeredgewidth=2, label="in both", zorder=4)
    return ax


def _frame(ax: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits with some room around the points."""
    room = 0.3 * np.where(np.ptp(X, axis=0) > 0, np.ptp(X, axis=0), 1.0)
    low, high = X.min(0) - room, X.max(0) + room
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="x1", ylabel="x2")
    if np.ptp(high - low) < 0.5 * np.max(high - low):
        ax.set_aspect("equal")
    return low, high


def _draw_line(ax: Any, w: np.ndarray, theta: float, dash: str, low: np.ndarray, high: np.ndarray) -> None:
    """The line w·x = θ within the limits, if there is one."""
    if not np.abs(w).max() > 0:
        return
    along = int(np.abs(w[1] * (high[1] - low[1])) < np.abs(w[0] * (high[0] - low[0])))  # the coordinate that runs
    run = np.array([low[along], high[along]])
    other = (theta - w[along] * run) / w[1 - along]
    x, y = (other, run) if along else (run, other)
    ax.plot(x, y, color="black", linestyle=dash, linewidth=1.5, zorder=1)


def _draw_points(ax: Any, X: np.ndarray, Y: np.ndarray) -> None:
    for label, colour in ((0, "white"), (1, "black")):
        part = X[label == Y]
        ax.scatter(*part.T, s=70, facecolor=colour, edgecolor="black", label=f"class {label}", zorder=3)
