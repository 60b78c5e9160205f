"""Every number of a step, laid open under the name that it has in the texts: ``trace`` for the updates of a training,
``lay_open`` for one sample, ``chain_rule`` for one sample in the notation of the visual text.

``opening.py``, ``stepping.py`` and, for Levenberg–Marquardt, ``damping.py`` take the numbers from the formulas and from
training itself, ``laid_open.py`` has the records that hold them. Names, equations and the forms that a trace shows
itself in stand in ``notation.py``, ``equations.py``, ``update_equations.py``, ``damped_equations.py`` and
``rendering.py``; a learner's own numbers are checked by ``comparing.py``
with the usual mistakes in ``mistakes.py``.
"""

from .chain import ChainRule, chain_rule
from .laid_open import LaidOpen, Step, Trace
from .opening import lay_open, trace

__all__ = ["ChainRule", "LaidOpen", "Step", "Trace", "chain_rule", "lay_open", "trace"]
