"""What the pictures share: axes to draw on, without a display, and what to say where matplotlib is missing."""

from __future__ import annotations

from typing import Any

from .arguments import describe


def axes_of(ax: Any, inches: tuple[float, float], **settings: Any) -> Any:
    """The axes given, or those of a new figure of this size; ``settings`` are for new ones.

    Raises
    ------
    ImportError : no matplotlib
    TypeError : ``ax`` is not an axes of matplotlib
    """
    try:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: python -m pip install 'bpjit[plot]', or matplotlib") from error
    if ax is None:
        return Figure(inches, layout="constrained").add_subplot(**settings)
    if not isinstance(ax, Axes):
        raise TypeError(f"ax: expected the axes of a matplotlib figure, got {describe(ax)}")
    return ax
