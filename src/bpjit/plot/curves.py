"""Pictures of one variable: the error along a training, activations and their slopes, where many trainings end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_flag, as_integer, as_real, describe
from ..maths.own import activation_formula
from ..networks.architecture import HIDDEN_ACTIVATIONS, as_formula
from ..training.fit import Fit
from .canvas import AREAS, DARK, LIGHT, MARKERS, SHADES, Axes, axes, dress, speaker

SMALLEST_HEAP = 0.005  # share of the trainings that is worth a text


def error_curves(fit: Fit, *, log: bool = True, language: str = "en", ax: Any = None) -> Axes:
    """The error along a training, on the validation set too, and where it stopped.

    The training error of an epoch was collected while it ran, each sample before its own update, and stands in the
    middle of the epoch; with accumulated updates it is that before the epoch's update, and stands there. A validation
    error comes from after an epoch. The star is the network returned.

    Parameters
    ----------
    fit : what ``train`` returned
    log : logarithmic errors
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    TypeError : ``fit`` is no Fit
    ImportError : there is no matplotlib

    Examples
    --------
    >>> import bpjit, bpjit.plot
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fit = bpjit.train(bpjit.Network.random((2, 4, 1)), X, Y, eta=5.0, stop=300)
    >>> ax = bpjit.plot.error_curves(fit)
    >>> ax.get_ylabel(), len(ax.lines[0].get_xdata())
    ('E', 300)
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"fit: expected a Fit that train returned, got {describe(fit)}")
    log, say, ax = as_flag("log", log), speaker(language), axes(ax)
    middle = 0.0 if fit._state["setting"].size is None else 0.5
    ax.plot(fit.recorded + middle, fit.errors, color=DARK, label=say("training"))
    measured = ~np.isnan(fit.validation_errors)
    validated = fit.recorded[measured] + 1
    if len(validated):
        marker = {"marker": "o", "markersize": 3, "markevery": max(1, len(validated) // 12)}
        ax.plot(validated, fit.validation_errors[measured], "--", color=LIGHT, label=say("validation"), **marker)
    if fit.best_epoch is not None:
        ax.axvline(
            fit.best_epoch, color="0.4", linestyle=":", label=f"{say('smallest validation error')}: {fit.best_epoch}"
        )
    ax.axvline(
        fit.epochs,
        color="0.2",
        linestyle="-.",
        linewidth=1,
        label=f"{say('stopped by')} {fit.stopped_by}: {fit.epochs}",
    )
    label = f"{say('network returned')}: E = {fit.error:.3g}"
    ax.plot([fit.network_epoch], [fit.error], "*", color="black", markersize=11, label=label)
    if log and (fit.error > 0 or (fit.errors > 0).any()):
        ax.set_yscale("log", nonpositive="mask")
    ax.set(xlabel=say("epoch"), ylabel=say("E"))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize="small")
    return dress(ax)


def activations(
    names: str | Sequence[str] = ("sigmoid", "tanh", "relu"),
    *,
    reach: float = 4.0,
    slopes: bool = True,
    language: str = "en",
    ax: Any = None,
) -> Axes:
    """Activations f(z), drawn through, and their slopes f'(z), dashed.

    Parameters
    ----------
    names : of one activation or several
    reach : z goes from −reach to reach
    slopes : False leaves the slopes out
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : an unknown name (softmax is no function of one z), or reach not above 0

    Notes
    -----
    Source: the text on neurons, layers and networks shows sigmoid and ReLU, the pumpkin book sigmoid, tanh and ReLU.

    Examples
    --------
    >>> import bpjit.plot
    >>> ax = bpjit.plot.activations(["sigmoid", "relu"])
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    ['sigmoid', "sigmoid'", 'relu', "relu'"]
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError("names: expected one activation at least, got none")
    names = [as_formula("names", "activation", name, HIDDEN_ACTIVATIONS) for name in names]
    functions = [activation_formula(name) for name in names]
    reach, say, ax = as_real("reach", reach, above=0), speaker(language), axes(ax)
    right = np.linspace(1e-9 * reach, reach, 200)
    z = np.concatenate([-right[::-1], [np.nan], right])  # lines break at 0, where relu's slope and step jump
    ax.axhline(0, color="0.75", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.75", linewidth=0.8, zorder=0)
    for place, (name, function) in enumerate(zip(names, functions, strict=True)):
        values, slope = np.array([function(float(number)) for number in z]).T + 0.0 * z
        look = {
            "color": SHADES[place % len(SHADES)],
            "marker": MARKERS[place % len(MARKERS)],
            "markersize": 5,
            "markevery": (10 + 7 * place, 50),
        }
        ax.plot(z, values, label=f"{name}", **look)
        if slopes:
            ax.plot(z, slope, "--", label=f"{name}'", markerfacecolor="white", **look)
    ax.set(xlabel="z", ylabel=f"f(z), {say('slope')} f'(z)" if slopes else "f(z)", xlim=(-reach, reach))
    if len(names) <= 3:
        ax.legend()
    else:  # there is no room inside
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return dress(ax)


def minima_histogram(errors: Any, *, bins: int = 60, language: str = "en", ax: Any = None) -> Axes:
    """At which errors many trainings ended: bars on logarithmic axes, with the middle and the share of each heap.

    Parameters
    ----------
    errors : ``fits.error`` of ``train_many``, at least 0, [shape: (networks,)]
    bins : over the whole range of the errors, which spans one decade at least; an error below 1e-9 counts as 1e-9
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : errors not finite, negative or none

    Notes
    -----
    Source: the pumpkin book on global and local minima.

    Examples
    --------
    >>> import bpjit, bpjit.plot
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fits = bpjit.multi_start((2, 2, 1), X, Y, 100, eta=5.0, stop=1000)
    >>> ax = bpjit.plot.minima_histogram(fits.error)
    >>> int(sum(bar.get_height() for bar in ax.patches))
    100
    """
    expected = "finite numbers >= 0, one for each training"
    errors = as_array("errors", errors, np.dtype(np.float64), expected).ravel()
    if (errors < 0).any():
        raise ValueError(f"errors: expected {expected}, got {errors.min():g}")
    say, ax = speaker(language), axes(ax)
    logarithms = np.log10(np.maximum(errors, 1e-9))
    low, high = logarithms.min(), logarithms.max()
    room = max(0.12 * (high - low), (1.0 - (high - low)) / 2)
    edges = np.linspace(low - room, high + room, as_integer("bins", bins, low=2) + 1)
    counts, _ = np.histogram(logarithms, edges)
    left, right = 10 ** edges[:-1], 10 ** edges[1:]
    ax.bar(left, counts, right - left, align="edge", color=AREAS[0], edgecolor="black")
    _name_heaps(ax, logarithms, edges, counts)
    ax.set(xscale="log", yscale="log", xlabel=say("E at the end"), ylabel=say("number of trainings"))
    ax.set(xlim=(left[0], right[-1]), ylim=(0.7, 4 * counts.max()))
    return dress(ax)


def _name_heaps(ax: Axes, logarithms: np.ndarray, edges: np.ndarray, counts: np.ndarray) -> None:
    """The middle error and the share of each heap of bars."""
    borders = np.flatnonzero(np.diff(np.concatenate([[0], counts > 0, [0]])))
    heaps = []
    for first, last in borders.reshape(-1, 2):
        heap = logarithms[(edges[first] <= logarithms) & (logarithms <= edges[last])]
        if len(heap) >= SMALLEST_HEAP * len(logarithms):
            heaps.append((np.median(heap), len(heap) / len(logarithms), counts[first:last].max()))
    places = np.array([place for place, _, _ in heaps])
    near = np.diff(places) < 0.12 * (edges[-1] - edges[0])  # texts this close go to either side
    for number, (place, share, height) in enumerate(heaps):
        after, before = number < len(near) and near[number], number > 0 and near[number - 1]
        ax.annotate(
            f"{10**place:.3g}\n{100 * share:.3g} %",
            (10**place, height),
            (3 * (before and not after) - 3 * (after and not before), 3),
            textcoords="offset points",
            ha="left" if before and not after else "right" if after and not before else "center",
            va="bottom",
            fontsize="small",
        )
