"""Pictures of computational graphs: nodes in layers from the variables on the left to the expression on the right.

A node stands one layer to the right of the last of its operands. Within a layer nodes are put at the mean height of
what they are joined to, from layer to layer and back, so that few edges cross; an edge over several layers takes a
place of its own in each of them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ..graph.program import Program
from .canvas import axes

if TYPE_CHECKING:
    from ..graph.sweep import Sweep

MOST_NODES = 60
SWEEPS = 8  # of the layers, to put them in order
INCHES = (2.5, 1.05)  # that a layer and a row take


def draw_sweep(sweep: Sweep, program: Program, ax: Any, digits: int) -> Any:
    """See ``Sweep.draw``."""
    if len(program.shown) > MOST_NODES:
        raise ValueError(
            f"draw: expected a graph of at most {MOST_NODES} nodes, got {len(program.shown)}; draw a part of it"
        )
    names = [program.names[slot] for slot in program.shown]
    ways = _ways(names, list(sweep.edges))
    heights = _heights(list(ways.values()) + [[(name, 0)] for name in names if not ways])
    layers = max(layer for _, layer in heights) + 1
    rows = max(heights.values()) - min(heights.values()) + 1
    ax = axes(ax, (INCHES[0] * layers + 0.4, INCHES[1] * rows + 0.4))
    places = {place: (INCHES[0] * place[1], INCHES[1] * height) for place, height in heights.items()}
    at = {place[0]: position for place, position in places.items() if isinstance(place[0], str)}
    boxes = {}
    for slot, name in zip(program.shown, names, strict=True):
        end = slot == program.root or not program.operands(slot)
        box = {"boxstyle": "round,pad=0.35", "facecolor": "0.92" if end else "white", "edgecolor": "black"}
        text = _text_of(sweep, program, slot, digits)
        boxes[name] = ax.text(*at[name], text, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
    for (below, above), way in ways.items():
        label = f"{sweep.edges[below, above]:.{digits}g}"
        _draw_edge(ax, [places[place] for place in way], label, boxes[below], boxes[above])
    x, y = zip(*places.values(), strict=True)
    ax.set(xlim=(min(x) - 1.0, max(x) + 1.0), ylim=(min(y) - 0.65, max(y) + 0.65), aspect="equal")
    ax.axis("off")
    return ax


def _text_of(sweep: Sweep, program: Program, slot: int, digits: int) -> str:
    """What stands in a node's box."""
    name = program.names[slot]
    formula = f"{name} = {program.formula(slot)}" if program.operands(slot) else name
    derivative = f"∂{sweep.of}/∂{name}" if sweep.direction == "reverse" else f"∂{name}/∂{sweep.of}"
    return f"{formula}\nvalue {sweep.value_of(name):.{digits}g}\n{derivative} = {sweep[name]:.{digits}g}"


def _ways(names: list[str], edges: list[tuple[str, str]]) -> dict[tuple[str, str], list[Any]]:
    """For every edge the places that it passes, (node, layer), one in each layer from its lower end to its upper."""
    layer = dict.fromkeys(names, 0)
    for below, above in edges:  # upwards, so the lower end's layer is known
        layer[above] = max(layer[above], layer[below] + 1)
    for name in names:  # a variable stands just before its first use
        uses = [layer[above] for below, above in edges if below == name]
        if layer[name] == 0 and uses:
            layer[name] = min(uses) - 1
    return {
        (below, above): [
            (below, layer[below]),
            *(((below, above), between) for between in range(layer[below] + 1, layer[above])),
            (above, layer[above]),
        ]
        for below, above in edges
    }


def _heights(ways: list[list[Any]]) -> dict[Any, float]:
    """A height for every place, those of a layer at least one apart, near what they are joined to."""
    columns: dict[int, list[Any]] = {}
    for place in dict.fromkeys(place for way in ways for place in way):
        columns.setdefault(place[1], []).append(place)
    joined: dict[Any, list[Any]] = {place: [] for column in columns.values() for place in column}
    for way in ways:
        for here, there in itertools.pairwise(way):
            joined[here].append(there)
            joined[there].append(here)
    heights = {place: -float(row) for column in columns.values() for row, place in enumerate(column)}
    order = sorted(columns)
    for number in range(SWEEPS):
        step = 1 if number % 2 else -1
        for layer in order[::step]:
            _settle(columns[layer], joined, heights, -step if 0 < number < SWEEPS - 1 else 0)
    return heights


def _settle(column: list[Any], joined: dict[Any, list[Any]], heights: dict[Any, float], side: int) -> None:
    """Move the places of a layer to the mean height of their neighbours on one side, or on both for side 0."""
    wanted = {}
    for place in column:
        near = [heights[other] for other in joined[place] if side in (0, other[1] - place[1])]
        wanted[place] = sum(near) / len(near) if near else heights[place]
    column.sort(key=lambda place: -wanted[place])
    for above, here in itertools.pairwise([None, *column]):
        heights[here] = wanted[here] if above is None else min(wanted[here], heights[above] - 1.0)
    shift = sum(wanted[place] - heights[place] for place in column) / len(column)
    for place in column:
        heights[place] += shift


def _draw_edge(ax: Any, way: list[tuple[float, float]], label: str, below: Any, above: Any) -> None:
    """An arrow through these points, from box to box, with the local derivative on its last part: in the middle the
    labels of two edges that cross would hide each other."""
    x, y = zip(*way, strict=True)
    ax.plot(x[:-1], y[:-1], color="black", linewidth=1, zorder=1)
    ends = {"patchA": below.get_bbox_patch() if len(way) == 2 else None, "patchB": above.get_bbox_patch()}
    style = {"arrowstyle": "-|>", "color": "black", "linewidth": 1, "shrinkA": 0, "shrinkB": 1}
    ax.annotate("", way[-1], way[-2], zorder=3, arrowprops=style | ends)  # after the boxes, which then know their size
    (x0, y0), (x1, y1) = way[-2:]
    x0, y0 = x0 + 0.42 * (x1 - x0), y0 + 0.42 * (y1 - y0)
    box = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"}
    ax.text(x0, y0, label, ha="center", va="center", fontsize=8, bbox=box, zorder=4)
