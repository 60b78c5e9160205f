"""The diagram of a network: units as circles, weights as lines whose width is their size and whose style is their
sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_flag, as_integer
from ..common.shown import units_shown
from ..kernels.layout import Units
from ..kernels.readable.online import outputs
from ..networks.evaluation import as_network
from ..networks.network import Network
from .canvas import DARK, LIGHT, Axes, axes, dress, speaker

APART = 2.6  # from layer to layer, where units of a layer lie 1 apart
RADIUS = 0.27
SMALL = 7  # points of what is written to lines and under units
WIDE, HIGH = 0.65, 1.5  # of a character of these points, and of a line in its box
PLACES = 25  # along a line, where its label may stand
Place = tuple[float, float]


def network(
    net: Network,
    x: Any = None,
    *,
    values: bool = False,
    most: int = 10,
    names: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
    language: str = "en",
    ax: Any = None,
) -> Axes:
    """A network as a diagram: the wider a line the larger the weight; drawn through positive, dashed negative.

    Parameters
    ----------
    net : any network
    x : (d,) a sample whose way through the network is written into the units: b_h of hidden and ŷ_j of output units,
        in the network's own units where it carries a scale
    values : write all weights to the lines, and the thresholds under the units
    most : a layer with more units is abbreviated to so many places, at least 3
    names : of the inputs and of the outputs; None for either gives x_i and ŷ_j
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import bpjit, bpjit.plot
    >>> ax = bpjit.plot.network(bpjit.Network.random((2, 3, 1)), values=True)
    >>> len([line for line in ax.lines if line.get_gid() == "weight"])
    9
    """
    net = as_network(net, slopes=False)
    values, most, say = as_flag("values", values), as_integer("most", most, low=3), speaker(language)
    for label, count, given in zip(("inputs", "outputs"), (net.sizes[0], net.sizes[-1]), names, strict=True):
        if given is not None and len(given) != count:
            raise ValueError(f"names: expected {count} names of {label}, got {len(given)}")
    b = None if x is None else _way_of(net, x)
    shown = [units_shown(count, most) for count in net.sizes]
    tallest = max(len(units) for units in shown)
    ax = axes(ax, (2.2 * len(shown) + 0.6, (1.05 if values else 0.72) * tallest + 1.1))
    places = [
        {unit: (APART * index, (len(units) - 1) / 2 - row) for row, unit in enumerate(units) if unit is not None}
        for index, units in enumerate(shown)
    ]
    _draw_weights(ax, net, places, values)
    _draw_units(ax, net, places, b, values, names)
    _finish(ax, shown, say)
    return dress(ax)


def _way_of(net: Network, x: Any) -> np.ndarray:
    """The output of every unit for one sample, inputs first."""
    X, single = net._architecture.as_inputs(x)
    if not single and len(X) != 1:
        raise ValueError(f"x: expected one sample of shape ({net.sizes[0]},), got {len(X)}")
    units = Units.of(net.sizes, net.dtype)
    outputs(net._architecture.layers.view(np.recarray), net._parameters, X[0], units)
    return units.b


def _draw_weights(ax: Axes, net: Network, places: list[dict[int, Place]], values: bool) -> None:
    thickest = min(4.6, max(1.4, 22 / max(map(len, places))))
    largest = max(float(np.abs(weights).max()) for weights in net.weights) or 1.0
    for weights, below, here in zip(net.weights, places[:-1], places[1:], strict=True):
        lines = [(*start, *end) for start in below.values() for end in here.values()]
        texts = [f"{float(weights[i, j]):.3g}" for i in below for j in here]
        spots = iter(_spots(lines, max(map(len, texts)), _inches(ax, places))) if values else iter(())
        for i, (x0, y0) in below.items():
            for j, (x1, y1) in here.items():
                w = float(weights[i, j])
                ax.plot(
                    [x0, x1],
                    [y0, y1],
                    color=DARK if w >= 0 else LIGHT,
                    linestyle="-" if w >= 0 else (0, (4, 1.6)),
                    linewidth=0.3 + thickest * abs(w) / largest,
                    zorder=1,
                    gid="weight",
                )
                if values:
                    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
                    ax.text(
                        *next(spots),
                        f"{w:.3g}",
                        fontsize=SMALL,
                        ha="center",
                        va="center",
                        bbox=box,
                        zorder=2,
                        gid="weight",
                    )


def _limits(places: Sequence[Any]) -> tuple[tuple[float, float], tuple[float, float]]:
    """What the axes show: left and right, bottom and top."""
    tallest = max(map(len, places))
    return (-0.9, APART * (len(places) - 1) + 0.9), (-tallest / 2 - 0.25, tallest / 2 + 0.45)


def _inches(ax: Axes, places: Sequence[Any]) -> float:
    """How long a unit of the axes will be, about."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    across, along = (high - low for low, high in _limits(places))
    return float(min(box.width / across, box.height / along) / dpi)


def _spots(lines: Sequence[tuple[float, ...]], characters: int, inches: float) -> list[tuple[float, float]]:
    """Where on each of these lines its label stands: so that no two lie on each other, and few on another's line.

    All begin at the middle; in turns each goes to the place where it is least in the way, until none would move.
    """
    point = 1 / 72 / inches
    wide, high = (characters * WIDE + 1) * SMALL * point, HIGH * SMALL * point
    x0, y0, x1, y1 = np.array(lines).T[:, :, None]
    margin = min(0.45, (1.5 * RADIUS + wide / 2) / APART)  # beside the units, and what is written under them
    t = np.linspace(margin, 1 - margin, PLACES)
    x, y = x0 + t * (x1 - x0), y0 + t * (y1 - y0)  # [shape: (lines, PLACES)]
    slope = ((y1 - y0) / APART)[:, 0]
    apart = np.abs(y[:, :, None] - (y0[:, 0] + (x[:, :, None] - x0[:, 0]) * slope))  # from each line, up or down
    near = apart / (high / 2 + np.abs(slope) * wide / 2)  # below 1 the line runs through the label
    cost = np.maximum(0, 1.3 - near).sum(axis=2) + 0.5 * np.abs(t - 0.5)
    chosen = np.full(len(lines), PLACES // 2)
    every = np.arange(len(lines))
    for _ in range(4 * len(lines)):
        before = chosen.copy()
        for line in every:
            others = every != line
            dx = np.abs(x[line][:, None] - x[every, chosen][others])
            dy = np.abs(y[line][:, None] - y[every, chosen][others])
            inside = np.maximum(0, wide - dx) * np.maximum(0, high - dy) / (wide * high)
            chosen[line] = np.argmin(cost[line] + 100 * inside.sum(axis=1) + 10 * (inside > 0).sum(axis=1))
        if (chosen == before).all():
            break
    return list(zip(x[every, chosen].tolist(), y[every, chosen].tolist(), strict=True))


def _draw_units(
    ax: Axes,
    net: Network,
    places: list[dict[int, Place]],
    b: np.ndarray | None,
    values: bool,
    names: tuple[Sequence[str] | None, Sequence[str] | None],
) -> None:
    from matplotlib.patches import Circle

    first = 0
    last = len(places) - 1
    for index, layer in enumerate(places):
        for unit, (x, y) in layer.items():
            ax.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor="black", linewidth=1.2, zorder=3))
            symbol = _symbol(index, unit, last)
            inside = symbol if b is None else f"{symbol}\n{_brief(b[first + unit])}"
            ax.text(x, y, inside, ha="center", va="center", fontsize=10 if b is None else 8, zorder=4, gid="unit")
            if values and index:
                letter = r"\theta" if index == last else r"\gamma"
                label = f"${letter}_{{{unit + 1}}}$ = {net.thresholds[index - 1][unit]:.3g}"
                ax.text(x, y - RADIUS - 0.03, label, ha="center", va="top", fontsize=SMALL, zorder=4, gid="threshold")
        first += net.sizes[index]
    for given, layer, side, where in ((names[0], places[0], -1, "right"), (names[1], places[-1], 1, "left")):
        if given is not None:
            for unit, (x, y) in layer.items():
                ax.text(x + side * 1.35 * RADIUS, y, str(given[unit]), ha=where, va="center", fontsize=9, gid="name")


def _brief(number: float) -> str:
    """A number that fits into a unit."""
    return f"{number:.3f}" if abs(number) < 10 and number != int(number) else f"{number:.3g}"


def _symbol(layer: int, unit: int, last: int) -> str:
    """What the book calls the output of this unit."""
    if layer == 0:
        return f"$x_{{{unit + 1}}}$"
    if layer == last:
        return f"$\\hat{{y}}_{{{unit + 1}}}$"
    above = "" if last == 2 else f"^{{({layer})}}"
    return f"$b{above}_{{{unit + 1}}}$"


def _finish(ax: Axes, shown: list[list[int | None]], say: Any) -> None:
    """Dots for the units left out, the layers' names, a legend."""
    from matplotlib.lines import Line2D

    tallest = max(len(units) for units in shown)
    for index, units in enumerate(shown):
        for row, unit in enumerate(units):
            if unit is None:
                ax.text(APART * index, (len(units) - 1) / 2 - row, "⋮", ha="center", va="center", fontsize=16)
        words = say("inputs") if index == 0 else say("outputs") if index == len(shown) - 1 else say("hidden")
        number = f" {index}" if 0 < index < len(shown) - 1 and len(shown) > 3 else ""
        count = f" ({max(unit for unit in units if unit is not None) + 1})" if None in units else ""
        ax.text(APART * index, tallest / 2 + 0.05, words + number + count, ha="center", va="bottom", fontsize=9)
    lines = [
        Line2D([], [], color=DARK, linewidth=2, label=say("positive weight")),
        Line2D([], [], color=LIGHT, linewidth=2, linestyle=(0, (4, 1.6)), label=say("negative weight")),
    ]
    ax.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False, fontsize=9)
    xlim, ylim = _limits(shown)
    ax.set(xlim=xlim, ylim=ylim, aspect="equal")
    ax.axis("off")
