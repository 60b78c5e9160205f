"""Pictures, drawn by matplotlib (``python -m pip install 'bpjit[plot]'``): of trainings, networks, what they compute.

Every function draws into the axes given as ``ax``, or into those of a new figure, and returns them; nothing is shown
and no state of matplotlib is touched. Write a picture with ``ax.figure.savefig("name.png")``; for a window or a
notebook give ``ax=plt.subplots()[1]``. Line styles, markers and hatches tell apart what colours do, so a picture reads
as well in black and white. ``language="zh"`` labels it in Chinese where an installed font has the characters, else in
English.
"""

from .classes import confusion_matrix
from .curves import activations, error_curves, minima_histogram
from .diagram import network
from .maps import decision_boundary
from .predictions import calibration, coverage, predicted_against_true, residuals
from .searches import search
from .surfaces import surface

__all__ = [
    "activations",
    "calibration",
    "confusion_matrix",
    "coverage",
    "decision_boundary",
    "error_curves",
    "minima_histogram",
    "network",
    "predicted_against_true",
    "residuals",
    "search",
    "surface",
]
