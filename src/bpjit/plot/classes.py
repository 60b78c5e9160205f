"""How often each class was taken for which: the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.arguments import as_array, describe
from ..networks.architecture import class_numbers
from ..networks.network import Network
from .canvas import Axes, axes, dress, speaker


def confusion_matrix(
    net: Any, X: Any, Y: Any, *, names: Sequence[str] | None = None, language: str = "en", ax: Any = None
) -> Axes:
    """How many samples of each class (rows) were taken for which class (columns).

    Shades show the share of a row; frames mark the samples that are classified rightly.

    Parameters
    ----------
    net : a Network; or the class numbers that something else predicted, and then X is None
    X : (m, d) samples, or None
    Y : (m,) class numbers, or (m, l) targets with the largest at the class; of a network that knows the values of a
        category also these, or a frame
    names : of the classes; None gives their values, where the network knows them, or numbers
    language : "en" or "zh"
    ax : matplotlib axes to draw into; None makes a figure

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    >>> import bpjit.plot
    >>> ax = bpjit.plot.confusion_matrix([0, 1, 1, 1], None, [0, 0, 1, 1], names=["bad", "good"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '0', '2']
    """
    if isinstance(net, Network):
        architecture = net._architecture
        predicted = np.atleast_1d(architecture.classes_of_outputs(net.predict(X)))
        if net.columns is not None and net.columns.classes is not None:
            Y = architecture.classes_of_outputs(architecture.targets("Y", X if Y is None else Y, len(predicted)))
            names = net.columns.classes if names is None else names
    elif X is None:
        predicted = _numbers("net", net)
    else:
        raise TypeError(f"net: expected a bpjit.Network, or class numbers with X=None, got {describe(net)}")
    actual = _numbers("Y", Y)
    if len(actual) != len(predicted):
        raise ValueError(f"Y: expected {len(predicted)} class numbers, one for each prediction, got {len(actual)}")
    classes = int(max(actual.max(), predicted.max())) + 1
    if isinstance(net, Network):
        classes = max(classes, 2, net.sizes[-1])
    labels = [str(number) for number in range(classes)] if names is None else [str(name) for name in names]
    if len(labels) < classes:
        raise ValueError(f"names: expected {classes}, one for each class, got {len(labels)}")
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (actual, predicted), 1)
    return _draw(counts, labels, speaker(language), ax)


def _numbers(name: str, value: Any) -> np.ndarray:
    """Class numbers, [shape: (m,)], from such or from one column for each class."""
    expected = "class numbers 0, 1, ... of shape (m,), or one column for each class"
    array = as_array(name, value, np.dtype(np.float64), expected)
    if array.ndim == 2:
        array = class_numbers(array)
    if array.ndim != 1 or (array != np.floor(array)).any() or (array < 0).any():
        raise ValueError(f"{name}: expected {expected}, got {describe(value)}")
    return array.astype(np.int64)


def _draw(counts: np.ndarray, labels: Sequence[str], say: Any, ax: Any) -> Axes:
    l = len(labels)
    ax = axes(ax, (2.2 + 0.55 * l, 1.6 + 0.55 * l))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Greys", vmin=0.0, vmax=1.3)  # 1.3: the darkest still shows a frame
    for (row, column), count in np.ndenumerate(counts):
        ax.text(
            column, row, str(count), ha="center", va="center", color="white" if shares[row, column] > 0.6 else "black"
        )
        if row == column:
            ax.add_patch(_frame(column, row))
    ax.set_xticks(range(l), labels, rotation=45 if max(map(len, labels)) > 4 else 0)
    ax.set_yticks(range(l), labels)
    ax.set(xlabel=say("predicted class"), ylabel=say("actual class"))
    return dress(ax)


def _frame(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor="black", linewidth=1.5)
