"""Fit: what a training gives back, and Progress: what a callback sees while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from ..networks.network import Network

CHECKPOINT = "checkpoint"  # what has stopped a fit that is read from the file of a training still to be ended
LIMITED = "TimeLimit", "StopEvent", "interrupted"  # what may stop it anywhere, before conditions were asked


class Evidence(NamedTuple):
    """What Bayesian regularisation found of a network: ``rule="br"``.

    Attributes
    ----------
    alpha, beta : of the objective β Σ E_k + α ½ Σ w², as the last epoch had them
    gamma : the effective number of parameters, W − α tr(β JᵀJ + α I)⁻¹, of the W that are trained
    log_evidence : log P(data | α, β): the larger, the better do architecture and penalty suit the data
    """

    alpha: float
    beta: float
    gamma: float
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Fit:
    """The result of ``train``.

    Attributes
    ----------
    network : the trained network; with EarlyStopping that of the smallest validation error
    error : E of ``network`` on the training data, without penalty
    objective : λ E + (1 − λ) Σ w² of ``network``; E without λ
    errors : errors[t] is E collected while epoch t ran, each sample before its own update, [shape: (epochs,)]; with
        accumulated updates it is E after t epochs
    validation_errors : validation_errors[t] comes from after epoch t, NaN where not measured, [shape: (epochs,)]
    recorded : of long trainings ``train(history=)`` keeps some epochs only; errors[i] and validation_errors[i] are of
        epoch recorded[i], counted from 0. 0, 1, 2 ... where all were kept
    epochs, updates : completed epochs, updates made; both count from the first start through every ``resume``
    best_epoch : completed epochs at the smallest validation error, or None without a validation
    network_epoch : completed epochs of the network returned: best_epoch with EarlyStopping; with an AdaptiveRate where
        the objective was smallest; otherwise all
    stopped_by : name of the condition that ended it, or "diverged", "interrupted", "callback"; rules of second order
        also end by their own "mu_max" or "min_grad"; "checkpoint" in the file of a training that has not ended
    seconds : seconds of training, callbacks and all resumes included, without ``compile_seconds``
    compile_seconds : seconds spent compiling, or loading machine code from disk
    target : "cpu" or "cuda"
    evidence : with ``rule="br"`` the ``Evidence`` of ``network``, unless it was interrupted; None with others
    """

    network: Network
    error: float
    objective: float
    errors: np.ndarray
    validation_errors: np.ndarray
    recorded: np.ndarray
    epochs: int
    updates: int
    best_epoch: int | None
    network_epoch: int
    stopped_by: str
    seconds: float
    compile_seconds: float
    target: str
    evidence: Evidence | None = None
    _state: dict[str, Any] = field(default_factory=dict, repr=False)
    _origin: Any = field(default=None, repr=False)  # an Origin of origin.py: what ``replay`` needs

    def replay(
        self,
        path: str | PathLike[str],
        *,
        X: Any = None,
        Y: Any = None,
        title: str | None = None,
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        language: str = "en",
        frames: int = 200,
        progress: bool | None = None,
    ) -> None:
        """Write the training as one HTML file that plays it: network, what it answers, error, and on a click on a unit
        all its quantities with their formulas.

        The file needs nothing else, no network connection either, and is written whole or not at all. The training is
        run once more, which gives the same networks to the last bit; so the data must be as they were.

        Parameters
        ----------
        path : of the file, such as "xor.html"
        X, Y : the data it was trained on, all rows as they were given to ``train``. A fit remembers data up to 8 MB in
            the network's dtype, unless it was pickled or copied; only where it does not are they needed. It always
            remembers the weights of the samples
        title : of the page
        inputs, outputs : names of the inputs and of the outputs; None are those of the network's columns, if it has any
        language : "en" or "zh"; the page has a switch for it
        frames : at most so many moments of the training, the more where the error changes fast; large networks get
            fewer, and show fewer samples than the usual 16
        progress : True shows a progress bar, False none, None on a terminal or in a notebook after two seconds

        Raises
        ------
        ValueError, TypeError : naming the argument; a network too large to be read on a page; data that are others, or
            have changed since; none where the fit does not remember them
        OSError : the file cannot be written

        Examples
        --------
        >>> import os, tempfile
        >>> import bpjit
        >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        >>> fit = bpjit.train(bpjit.Network.random((2, 4, 1)), X, Y, eta=5.0, stop=300)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.replay(os.path.join(folder, "xor.html"), title="XOR", frames=50)
        ...     os.listdir(folder)
        ['xor.html']
        """
        from ..replay import write

        write(self, path, X, Y, title, (inputs, outputs), language, frames, progress)

    @cached_property
    def advice(self) -> list[str]:
        """What is wrong with the training, as far as one can see, in three sentences at most, the most telling first:
        each with the number that proves it and what to do. Empty where nothing is. Worked out when asked for;
        ``bpjit.diagnose`` tells all, also in Chinese.

        Examples
        --------
        >>> import bpjit
        >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        >>> fit = bpjit.train(bpjit.Network.random((2, 4, 1)), X, Y, eta=1e-4, stop=100)
        >>> fit.advice[0].startswith("E hardly fell in 100 epochs")
        True
        """
        from ..advice import findings_of

        return [finding.say() for finding in findings_of(self)[:3]]

    def save(self, path: str | PathLike[str]) -> None:
        """Write all of the fit but the data to a safetensors file, whole or not at all: network, errors, settings, and
        what ``resume`` goes on from. See ``Fit.load``.

        What conditions of a class of one's own remember is not in it: they look at the recorded epochs again.

        Raises
        ------
        OSError : the file cannot be written
        TypeError : the rule or the schedule is of a class of one's own, which no file can say; rules and formulas that
            ``bpjit.rule``, ``activation`` and ``loss`` make can be said
        """
        from .storing import save

        save(path, self)

    @staticmethod
    def load(path: str | PathLike[str]) -> Fit:
        """Read a fit that ``save`` wrote, or ``train(checkpoint=)``; ``OSError`` if the file is missing, ``ValueError``
        if it is damaged, foreign, or of a newer bpjit.

        It is what was saved: ``train(fit.network, X, Y, resume=fit)`` goes on from there with the same bits. That
        of a training which has not ended has ``stopped_by="checkpoint"`` and, for it was not measured, ``error`` NaN.
        ``replay`` needs the data again.

        Examples
        --------
        >>> import os, tempfile
        >>> import bpjit
        >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        >>> whole = bpjit.train(bpjit.Network.random((2, 4, 1)), X, Y, rule="adam", stop=200)
        >>> half = bpjit.train(bpjit.Network.random((2, 4, 1)), X, Y, rule="adam", stop=100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "half.bpjit")
        ...     half.save(path)
        ...     half = bpjit.Fit.load(path)
        >>> bpjit.train(half.network, X, Y, rule="adam", stop=100, resume=half).network == whole.network
        True
        """
        from .storing import load

        return load(path)[0]

    def __getstate__(self) -> dict[str, Any]:
        """What pickles and copies hold: all but the data."""
        return {**self.__dict__, "_origin": self._origin and self._origin.without_data()}

    def __repr__(self) -> str:
        advice = f"; {self.advice[0]}" if self.advice else ""
        return (
            f"Fit(E {self.error:.6g} after {self.epochs} epochs and {self.updates} updates, stopped by "
            f"{self.stopped_by}, {self.seconds:.3g} s on {self.target}, {self.network}{advice})"
        )


@dataclass(frozen=True)
class Progress:
    """A training after an epoch, as a callback sees it.

    ``epoch`` epochs are complete; ``error`` is E collected in the last one, ``validation_error`` from after it (NaN
    where not measured).
    """

    epoch: int
    error: float
    validation_error: float
    _net: Network = field(repr=False)
    _vector: np.ndarray = field(repr=False)

    @property
    def network(self) -> Network:
        """The network as it stands, a copy of its own."""
        return self._net.with_parameters(self._vector)
