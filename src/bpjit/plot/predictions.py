"""Predictions beside what they should have been: targets, residuals, probabilities, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_array, as_integer, describe
from .canvas import AREAS, DARK, MARKERS, SHADES, STYLES, Axes, axes, dress, speaker

LEVELS = tuple(number / 20 for number in range(1, 20))


def predicted_against_true(
    net: Any, X: Any, Y: Any, *, names: Sequence[str] | None = None, language: str = "en", ax: Any = None
) -> Axes:
    """Predictions over targets, beside the line where both are equal, with R² of each target.

    R² = 1 − Σ (y − ŷ)²/Σ (y − ȳ)²: the share of the targets' variance that is predicted.

    Parameters
    ----------
    net : a Network, or an estimator with ``predict``; or the predictions, and then X is None
    X : (m, d) samples, or None
    Y : (m, l) targets, or (m,)
    names : of the targets, where there are several; None gives their numbers
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import bpjit.plot
    >>> ax = bpjit.plot.predicted_against_true([1.0, 2.0, 2.9], None, [1, 2, 3])
    >>> ax.get_legend().get_texts()[0].get_text()
    'R² = 0.995'
    """
    Y, y_hat, names = _pairs(net, X, Y, names)
    say, ax = speaker(language), axes(ax, (5.0, 5.0))
    ends = [min(Y.min(), y_hat.min()), max(Y.max(), y_hat.max())]
    ax.plot(ends, ends, color="0.5", linewidth=1, zorder=0)
    for place, name in enumerate(names):
        y, found = Y[:, place], y_hat[:, place]
        spread = np.square(y - y.mean()).sum()
        r2 = f"R² = {1 - np.square(y - found).sum() / spread:.3g}" if spread > 0 else ""
        ax.plot(y, found, label=f"{name}: {r2}" if len(names) > 1 else r2, **_dots(place, len(y)))
    ax.set(xlabel=f"{say('targets')} y", ylabel=f"{say('prediction')} ŷ")
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(frameon=False)
    return dress(ax)


def residuals(
    net: Any, X: Any, Y: Any, *, names: Sequence[str] | None = None, language: str = "en", ax: Any = None
) -> Axes:
    """What is left of the targets, y − ŷ, over the predictions ŷ: a shape in it is something not learnt.

    Parameters
    ----------
    net, X, Y, names, language, ax : as for ``predicted_against_true``

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import bpjit.plot
    >>> ax = bpjit.plot.residuals([1.0, 2.0, 2.5], None, [1, 2, 3])
    >>> ax.lines[-1].get_ydata().tolist()
    [0.0, 0.0, 0.5]
    """
    Y, y_hat, names = _pairs(net, X, Y, names)
    say, ax = speaker(language), axes(ax)
    ax.axhline(0, color="0.5", linewidth=1, zorder=0)
    for place, name in enumerate(names):
        ax.plot(y_hat[:, place], Y[:, place] - y_hat[:, place], label=name, **_dots(place, len(Y)))
    ax.set(xlabel=f"{say('prediction')} ŷ", ylabel=f"{say('residual')} y − ŷ")
    if len(names) > 1:
        ax.legend(frameon=False)
    return dress(ax)


def calibration(
    net: Any,
    X: Any,
    Y: Any,
    *,
    bins: int = 10,
    names: Sequence[str] | None = None,
    language: str = "en",
    ax: Any = None,
) -> Axes:
    """How often a class comes that is predicted with a probability: a reliability diagram.

    Samples stand in bins of equal width by their probability of a class: a point for each, at their mean probability
    and at the share of them that is of the class. Of two classes the second is shown, above bars of how many samples
    each bin has. Behind the name stands the mean distance from the line, each sample counting that of its bin: the
    expected calibration error.

    Parameters
    ----------
    net : a Network, or an estimator with ``predict_proba``; or the probabilities, (m, classes), or those of class 1 of
        two, (m,), and then X is None
    X : (m, d) samples, or None
    Y : (m,) class numbers, or labels of the estimator's; or (m, classes) targets with the largest at the class
    bins : from 0 to 1
    names : of the classes; None gives their numbers, or the estimator's labels
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import bpjit.plot
    >>> ax = bpjit.plot.calibration([0.2, 0.2, 0.2, 0.2, 0.9, 0.9], None, [0, 0, 0, 1, 1, 1], bins=2)
    >>> ax.lines[-1].get_xydata().round(3).tolist()
    [[0.2, 0.25], [0.9, 1.0]]
    """
    p = _columns("net", _predicted(net, X, "predict_proba" if hasattr(net, "predict_proba") else "predict"))
    if (p < 0).any() or (p > 1).any():
        raise ValueError(f"net: expected probabilities from 0 to 1, got {p.min():g} to {p.max():g}")
    if p.shape[1] == 1:
        p = np.hstack([1 - p, p])
    labels = getattr(net, "classes_", range(p.shape[1]))
    numbers, names = _numbers(Y, labels, len(p)), _names(labels if names is None else names, p.shape[1], "class")
    edges, say, ax = np.linspace(0, 1, as_integer("bins", bins, low=1) + 1), speaker(language), axes(ax, (5.0, 5.0))
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1, zorder=0)
    shown = [1] if len(names) == 2 else range(len(names))
    for place, number in enumerate(shown):
        count, mean, share = _binned(p[:, number], numbers == number, edges)
        gap = (count * abs(mean - share)).sum() / len(p)
        look = {"color": SHADES[place % len(SHADES)], "marker": MARKERS[place % len(MARKERS)]}
        ax.plot(mean, share, STYLES[place % len(STYLES)], label=f"{names[number]}: {gap:.3f}", **look)
    if len(shown) == 1:
        heights = np.histogram(p[:, 1], edges)[0] / len(p)
        ax.bar(edges[:-1], heights, np.diff(edges), align="edge", color=AREAS[0], edgecolor="white", zorder=-1)
    ax.set(xlabel=say("predicted probability"), ylabel=say("share of samples"), xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(frameon=False)
    return dress(ax)


def _binned(p: np.ndarray, hits: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin that has samples: their number, their mean probability, and the share of hits."""
    count, sums, found = (np.histogram(p, edges, weights=weights)[0] for weights in (None, p, hits.astype(float)))
    there = count > 0
    return count[there], sums[there] / count[there], found[there] / count[there]


def coverage(
    regressor: Any, X: Any, Y: Any, *, levels: Sequence[float] = LEVELS, language: str = "en", ax: Any = None
) -> Axes:
    """The share of targets that intervals hold, over the level they were asked for.

    Parameters
    ----------
    regressor : with ``predict_interval(X, level)``, such as ``bpjit.sklearn.BPRegressor(interval="cv+")``
    X, Y : (m, d) samples that it has not learnt from, and their targets, (m,) or (m, l)
    levels : to ask for, between 0 and 1
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came; a level that the regressor refuses

    Examples
    --------
    >>> import numpy as np
    >>> import bpjit.plot
    >>> class Guess:
    ...     def predict_interval(self, X, level):
    ...         return np.tile([-level, level], (len(X), 1))
    >>> ax = bpjit.plot.coverage(Guess(), [[1], [2]], [0.2, 0.6], levels=[0.5, 0.9])
    >>> [float(share) for share in ax.lines[-1].get_ydata()]
    [0.5, 1.0]
    """
    if not hasattr(regressor, "predict_interval"):
        raise TypeError(f"regressor: expected one with predict_interval, got {describe(regressor)}")
    Y = _columns("Y", Y)
    say, ax = speaker(language), axes(ax, (5.0, 5.0))
    shares = []
    for level in levels:
        ends = np.asarray(regressor.predict_interval(X, level)).reshape(len(Y), -1, 2)
        shares.append(((ends[..., 0] <= Y) & (ends[..., 1] >= Y)).mean())
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1, zorder=0)
    ax.plot(list(levels), shares, "o-", color=DARK)
    ax.set(xlabel=say("level"), ylabel=say("share of targets held"), xlim=(0, 1), ylim=(0, 1.02))
    return dress(ax)


# --- What they share.


def _predicted(net: Any, X: Any, method: str) -> Any:
    """What something predicts by this method; or itself, without X."""
    if X is None:
        return net
    if not hasattr(net, method):
        expected = "a bpjit.Network, an estimator, or predictions with X=None"
        raise TypeError(f"net: expected {expected}, got {describe(net)}")
    return getattr(net, method)(X)


def _columns(name: str, value: Any) -> np.ndarray:
    """Numbers, [shape: (m, l)]."""
    array = as_array(name, value, np.dtype(np.float64), "finite numbers of shape (m,) or (m, l)")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: expected finite numbers of shape (m,) or (m, l), got shape {array.shape}")
    return array.reshape(len(array), -1)


def _pairs(net: Any, X: Any, Y: Any, names: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Targets and predictions, [shape: (m, l)], and the names of their columns."""
    y_hat, Y = _columns("net", _predicted(net, X, "predict")), _columns("Y", Y)
    if Y.shape != y_hat.shape:
        raise ValueError(f"Y: expected targets of shape {y_hat.shape}, as predictions are, got {Y.shape}")
    return Y, y_hat, _names(range(Y.shape[1]) if names is None else names, Y.shape[1], "target")


def _names(names: Any, count: int, kind: str) -> list[str]:
    names = [str(name) for name in names]
    if len(names) != count:
        raise ValueError(f"names: expected {count}, one for each {kind}, got {len(names)}")
    return names


def _numbers(Y: Any, labels: Any, m: int) -> np.ndarray:
    """The number of each sample's class among these labels."""
    given = np.asarray(Y)
    if given.ndim == 2 and given.shape[1] > 1:
        given = np.asarray(labels)[given.argmax(axis=1)]
    number_of = {label: number for number, label in enumerate(np.asarray(labels).tolist())}
    found = [number_of.get(label, -1) for label in given.ravel().tolist()]
    if len(found) != m or -1 in found:
        raise ValueError(f"Y: expected {m} classes among {list(number_of)}, one for each sample, got {describe(Y)}")
    return np.array(found)


def _dots(place: int, count: int) -> dict[str, Any]:
    """The look of the samples of one target, thinner where there are many."""
    shade, marker = SHADES[place % len(SHADES)], MARKERS[place % len(MARKERS)]
    size = 4 if count <= 300 else 2.5
    return {
        "linestyle": "",
        "marker": marker,
        "markersize": size,
        "color": shade,
        "alpha": 0.7,
        "rasterized": count > 5000,
    }
