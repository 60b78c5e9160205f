"""Pictures of searches."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..common.arguments import as_flag, describe
from ..many.search import Search
from .canvas import DARK, LIGHT, Axes, axes, dress, speaker

MOST_LINES = 2000  # configurations drawn of each rung


def search(found: Search, *, log: bool = True, language: str = "en", ax: Any = None) -> Axes:
    """The validation errors of a search: a line for each configuration, from rung to rung, which ends where it was
    dropped; the one that won is thick, and a star stands at its end.

    Epochs are those of each network, on a logarithmic axis. Of a rung with more than 2,000 configurations some are
    drawn, from the best to the worst. Errors that are not finite are left out.

    Parameters
    ----------
    found : what ``search`` returned
    log : logarithmic errors
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    TypeError : ``found`` is no Search
    ImportError : there is no matplotlib

    Examples
    --------
    >>> import bpjit, bpjit.plot
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]] * 5, [0, 1, 1, 0] * 5
    >>> found = bpjit.search({"eta": [0.01, 0.1, 1.0]}, X, Y, rule="adam", updates=4, folds=2, max_epochs=30)
    >>> ax = bpjit.plot.search(found)
    >>> ax.get_xlabel(), len(ax.lines)
    ('epochs of each network', 5)
    """
    if not isinstance(found, Search):
        raise TypeError(f"found: expected a Search that search returned, got {describe(found)}")
    log, say, ax = as_flag("log", log), speaker(language), axes(ax)
    ends = [rung.last for rung in found.rungs]
    for rung in range(1, len(ends) + 1):
        here = [row for row in found.table if row["rung"] == rung]
        for place in np.unique(np.linspace(0, len(here) - 1, min(len(here), MOST_LINES)).astype(int)).tolist():
            row = here[place]
            marker = {"marker": "x" if row["diverged"] else "o", "markersize": 2.5, "linewidth": 0.6}
            ax.plot(ends[:rung], row["errors"], color=DARK, alpha=0.15 + 0.85 / len(here) ** 0.5, **marker)
    best = found.table[0]["errors"]
    label = f"{say('best configuration')}: E = {found.error:.3g}"
    ax.plot(ends[: len(best)], best, color=LIGHT, linewidth=2.5, marker="o", label=label)
    ax.plot([ends[len(best) - 1]], best[-1:], "*", color="black", markersize=11)
    ax.set_xscale("log")
    if log and all(error > 0 for error in best):
        ax.set_yscale("log", nonpositive="mask")
    ax.set_xticks(ends, [f"{end}\n({rung.configurations})" for end, rung in zip(ends, found.rungs, strict=True)])
    ax.minorticks_off()
    ax.set(xlabel=say("epochs of each network"), ylabel=say("validation error"))
    ax.legend(frameon=False, fontsize="small")
    return dress(ax)
