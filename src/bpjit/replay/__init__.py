"""A training as one HTML file that plays it, which ``Fit.replay`` writes: ``reel.py`` has the frames, ``writing.py``
makes a page of them, and the page itself stands in the folder ``page``.
"""

from .writing import write

__all__ = ["write"]
