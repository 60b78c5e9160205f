"""Stopping conditions: when a training ends.

A condition looks at the history of a training, not at the network: it names the epochs of a block at which it may
fire (``candidates``), and only there is the network brought back and asked (``confirm``). Conditions keep no state
of their own, so they can be shared, compared and resumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from .arguments import as_integer, as_real, describe, keep
from .formulas import generalization_loss, training_progress

DEFAULT_EPOCHS = 1000


@dataclass(frozen=True)
class History:
    """What conditions see: errors[t] and validation_errors[t] of epoch t, all epochs so far.

    ``start`` is the number of epochs before this call (``resume``), NaN marks epochs without a validation.
    """

    errors: np.ndarray
    validation_errors: np.ndarray
    start: int

    def best_validation(self) -> np.ndarray:
        """The smallest validation error up to each epoch."""
        return np.fmin.accumulate(np.where(np.isnan(self.validation_errors), np.inf, self.validation_errors))


class Look(Protocol):
    """What a condition may ask about the network as it stands."""

    def error(self) -> float: ...

    def gradient_norm(self) -> float: ...


@dataclass(frozen=True)
class Condition:
    """What all stopping conditions have. Epochs are counted as completed: epoch t + 1 is complete with errors[t].

    ``watches_errors`` marks conditions that may fire at any epoch: blocks then stay short beside the epochs so far.
    """

    watches_errors: ClassVar[bool] = False

    def horizon(self, epoch: int, start: int) -> int | None:
        """The next number of completed epochs after ``epoch`` at which this condition wants a look, if it knows."""
        return None

    def candidates(self, history: History, since: int) -> Sequence[int] | np.ndarray:
        """Numbers of completed epochs after ``since`` at which it may fire, ascending."""
        return ()

    def confirm(self, look: Look) -> bool:
        """Whether it fires, at a candidate."""
        return True


@dataclass(frozen=True)
class MaxEpochs(Condition):
    """Stop after so many epochs of this call."""

    epochs: int

    def __post_init__(self) -> None:
        keep(self, "epochs", as_integer("MaxEpochs", self.epochs, low=1))

    def horizon(self, epoch: int, start: int) -> int | None:
        return start + self.epochs

    def candidates(self, history: History, since: int) -> Sequence[int]:
        return [history.start + self.epochs] if len(history.errors) >= history.start + self.epochs else ()


@dataclass(frozen=True)
class TimeLimit(Condition):
    """Stop after so many seconds of this call, within about 0.1 s, also inside an epoch.

    Where it stops depends on the machine: not reproducible. ``resume`` goes on exactly from there.
    """

    seconds: float

    def __post_init__(self) -> None:
        keep(self, "seconds", as_real("TimeLimit", self.seconds, above=0))


@dataclass(frozen=True)
class TargetError(Condition):
    """Stop when E, without penalty, is at most ``error``.

    It is measured where the error collected during an epoch is at most ``error`` too.
    """

    error: float

    watches_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "error", as_real("TargetError", self.error, low=0))

    def candidates(self, history: History, since: int) -> np.ndarray:
        return np.flatnonzero(history.errors[since:] <= self.error) + since + 1

    def confirm(self, look: Look) -> bool:
        return look.error() <= self.error


@dataclass(frozen=True)
class NoImprovement(Condition):
    """Stop when the smallest collected error fell by no more than ``tolerance`` in the last ``patience`` epochs."""

    patience: int = 100
    tolerance: float = 0.0

    watches_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "patience", as_integer("patience", self.patience, low=1))
        keep(self, "tolerance", as_real("tolerance", self.tolerance, low=0))

    def candidates(self, history: History, since: int) -> np.ndarray:
        best = np.minimum.accumulate(history.errors)
        first = max(since, self.patience)
        last = max(first, len(best))
        fell = best[first - self.patience : last - self.patience] - best[first:last]
        return np.flatnonzero(fell <= self.tolerance) + first + 1


@dataclass(frozen=True)
class GradientNorm(Condition):
    """Stop when the norm of the objective's gradient, over the trained parameters, is at most ``norm``.

    It costs a pass over the data every ``every`` epochs.
    """

    norm: float
    every: int = 1

    def __post_init__(self) -> None:
        keep(self, "norm", as_real("GradientNorm", self.norm, low=0))
        keep(self, "every", as_integer("every", self.every, low=1))

    def horizon(self, epoch: int, start: int) -> int | None:
        return (epoch // self.every + 1) * self.every

    def candidates(self, history: History, since: int) -> Sequence[int]:
        return range((since // self.every + 1) * self.every, len(history.errors) + 1, self.every)

    def confirm(self, look: Look) -> bool:
        return look.gradient_norm() <= self.norm


@dataclass(frozen=True)
class EarlyStopping(Condition):
    """Stop when the error of the validation set has risen; training then returns the network of its minimum.

    Parameters
    ----------
    patience : stop after so many epochs without a new smallest validation error; 10 if nothing else is given
    every : validate every so many epochs
    generalization_loss : stop when GL = 100 (E_va/E_opt − 1) exceeds this, E_opt being the smallest so far
    progress : stop when P = 1000 (mean/min − 1) of the training errors of the last ``every`` epochs falls below this

    GL and P are those of L. Prechelt, "Early stopping - but when?" (1998); GL5 with a strip of 5 epochs is
    ``EarlyStopping(every=5, generalization_loss=5, progress=0.1)``.
    """

    patience: int | None = None
    every: int = 1
    generalization_loss: float | None = None
    progress: float | None = None

    watches_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.patience is None and self.generalization_loss is None and self.progress is None:
            object.__setattr__(self, "patience", 10)
        if self.patience is not None:
            keep(self, "patience", as_integer("patience", self.patience, low=1))
        keep(self, "every", as_integer("every", self.every, low=1))
        if self.generalization_loss is not None:
            keep(self, "generalization_loss", as_real("generalization_loss", self.generalization_loss, low=0))
        if self.progress is not None:
            keep(self, "progress", as_real("progress", self.progress, low=0))

    def candidates(self, history: History, since: int) -> np.ndarray:
        epochs = np.flatnonzero(~np.isnan(history.validation_errors[since:])) + since
        best = history.best_validation()
        fires = np.zeros(len(epochs), bool)
        if self.patience is not None:
            before = np.maximum(epochs - self.patience, 0)
            fires |= (epochs >= self.patience) & (best[before] <= best[epochs])
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.generalization_loss is not None:
                pairs = zip(history.validation_errors[epochs], best[epochs], strict=True)
                values = [generalization_loss(error, smallest) for error, smallest in pairs]
                fires |= np.array(values, float) > self.generalization_loss
            if self.progress is not None:
                strips = [history.errors[max(0, t + 1 - self.every) : t + 1] for t in epochs]
                values = [training_progress(strip.mean(), strip.min()) for strip in strips]
                fires |= np.array(values, float) < self.progress
        return epochs[fires] + 1


def as_conditions(stop: Any, bounded: bool = False) -> list[Condition]:
    """The conditions that ``stop`` stands for, with ``MaxEpochs(1000)`` where nothing bounds the training."""
    expected = "a stopping condition, a number of epochs, or a list of these"
    given = [] if stop is None else list(stop) if isinstance(stop, (list, tuple)) else [stop]
    conditions: list[Condition] = []
    for item in given:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            item = MaxEpochs(as_integer("stop", item, low=1))
        if not isinstance(item, Condition):
            raise TypeError(f"stop: expected {expected}, got {describe(item)}")
        conditions.append(item)
    if not bounded and not any(isinstance(item, (MaxEpochs, TimeLimit)) for item in conditions):
        conditions.append(MaxEpochs(DEFAULT_EPOCHS))
    return conditions


def most_epochs(conditions: Sequence[Condition]) -> int | None:
    """After how many epochs of this call the training ends at the latest, if that is known."""
    return min((item.epochs for item in conditions if isinstance(item, MaxEpochs)), default=None)
