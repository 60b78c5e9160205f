"""Fit: what a training gives back, and Progress: what a callback sees while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .network import Network


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
    epochs, updates : completed epochs, updates made; both count from the first start through every ``resume``
    best_epoch : completed epochs at the smallest validation error, or None without a validation
    stopped_by : name of the condition that ended it, or "diverged", "interrupted", "callback"
    seconds : seconds of training, callbacks and all resumes included, without ``compile_seconds``
    compile_seconds : seconds spent compiling, or loading machine code from disk
    target : "cpu" or "cuda"
    """

    network: Network
    error: float
    objective: float
    errors: np.ndarray
    validation_errors: np.ndarray
    epochs: int
    updates: int
    best_epoch: int | None
    stopped_by: str
    seconds: float
    compile_seconds: float
    target: str
    _state: dict[str, Any] = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"Fit(E {self.error:.6g} after {self.epochs} epochs and {self.updates} updates, stopped by "
            f"{self.stopped_by}, {self.seconds:.3g} s on {self.target}, {self.network})"
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
