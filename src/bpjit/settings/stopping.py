"""Stopping conditions: when a training ends.

A condition looks at the errors of a training, not at the network: it names the epochs of a block at which it may
fire (``watch``), and only there is the network brought back and asked (``confirm``). Conditions keep no state of
their own, so they can be shared, compared and resumed: what one must remember of earlier blocks, it is given back.

A condition of one's own derives from ``Condition`` and says the same of the whole history, in ``candidates``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from ..common.arguments import as_integer, as_real, describe, keep
from ..maths.formulas import generalization_loss, training_progress

DEFAULT_EPOCHS = 1000
CUT_OFF = "interrupted", "TimeLimit", "StopEvent"  # what ``Limits`` end, which would have gone on


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


class Block(NamedTuple):
    """The epochs that came after the first ``first`` ones: errors[i] and validation_errors[i] of epoch recorded[i].

    ``end`` epochs are complete by now, and ``start`` were before this call.
    """

    recorded: np.ndarray
    errors: np.ndarray
    validation_errors: np.ndarray
    first: int
    end: int
    start: int


INFINITE = np.array([np.inf])


class Falls(NamedTuple):
    """The smallest error so far, as the steps in which it fell: at which epochs, and to what."""

    epochs: np.ndarray = np.empty(0, np.int64)
    errors: np.ndarray = np.empty(0)

    def after(self, epochs: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, Falls]:
        """The smallest error after each of these epochs, which follow; and the steps, with theirs."""
        lowest = np.minimum.accumulate(np.concatenate([self.errors[-1:] if len(self.errors) else INFINITE, errors]))
        fell = np.flatnonzero(lowest[1:] < lowest[:-1])
        lowest = lowest[1:]
        falls = Falls(np.concatenate([self.epochs, epochs[fell]]), np.concatenate([self.errors, lowest[fell]]))
        return lowest, falls

    def at(self, epochs: np.ndarray) -> np.ndarray:
        """The smallest error up to each of these epochs, infinite where none is known."""
        if not len(epochs) or not len(self.epochs) or epochs[-1] < self.epochs[0]:
            return np.full(len(epochs), np.inf)
        return np.concatenate([INFINITE, self.errors])[self.epochs.searchsorted(epochs, "right")]

    def since(self, epoch: int) -> Falls:
        """Only what is needed for this epoch and later ones."""
        first = max(0, int(self.epochs.searchsorted(epoch, "right")) - 1)
        return Falls(self.epochs[first:], self.errors[first:])


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
    pauses: ClassVar[bool] = False

    def horizon(self, epoch: int, start: int) -> int | None:
        """The next number of completed epochs after ``epoch`` at which this condition wants a look, if it knows."""
        return None

    def candidates(self, history: History, since: int) -> Sequence[int] | np.ndarray:
        """Numbers of completed epochs after ``since`` at which it may fire, ascending.

        For conditions of one's own, which see all epochs at every call; ``train`` then keeps them all.
        """
        end = len(history.errors)
        block = Block(np.arange(end), history.errors, history.validation_errors, 0, end, history.start)
        return [epoch for epoch in self.watch(None, block)[0] if epoch > since]

    def watch(self, memory: Any, block: Block) -> tuple[Sequence[int] | np.ndarray, Any]:
        """Numbers of completed epochs of this block at which it may fire, ascending; and what to remember.

        ``memory`` is what it returned for the block before, None at first. It must not be changed, and not refer to
        the arrays of a block.
        """
        return (), None

    def confirm(self, look: Look) -> bool:
        """Whether it fires, at a candidate."""
        return True

    @property
    def needs_history(self) -> bool:
        """Whether it is one of the user's own, which looks at all epochs."""
        return type(self).candidates is not Condition.candidates


class Watch(NamedTuple):
    """What conditions remember of the first ``epochs`` epochs. Nothing in it ever changes, so marks refer to it."""

    conditions: Sequence[Condition] = ()
    memories: Sequence[Any] = ()
    epochs: int = 0

    def after(self, block: Block, history: History | None = None) -> tuple[Watch, list[tuple[int, int]]]:
        """What they remember after a block; and at which numbers of completed epochs which of them may fire, in the
        order of the epochs. Those that need the history are passed over without it."""
        memories, candidates = [], []
        for place, condition in enumerate(self.conditions):
            if not condition.needs_history:
                found, memory = condition.watch(self.memories[place], block)
            else:
                found, memory = (() if history is None else condition.candidates(history, block.first)), None
            memories.append(memory)
            for epoch in found:
                candidates.append((int(epoch), place))
        return Watch(self.conditions, memories, block.end), sorted(candidates)

    def remembered(self) -> dict[str, Any]:
        """For a later training with the same conditions: what each remembers, by its repr."""
        pairs = zip(self.conditions, self.memories, strict=True)
        return {repr(condition): memory for condition, memory in pairs if memory is not None}


def watch_from(conditions: Sequence[Condition], remembered: dict[str, Any], block: Block) -> Watch:
    """A watch after the epochs of an earlier training, whose recorded ones are the block: the same conditions go on
    exactly, others see what is recorded, as if it were all."""
    memories = []
    for condition in conditions:
        memory = remembered.get(repr(condition)) if remembered else None
        if memory is None and not condition.needs_history:
            memory = condition.watch(None, block)[1]
        memories.append(memory)
    return Watch(conditions, memories, block.end)


@dataclass(frozen=True)
class MaxEpochs(Condition):
    """Stop after so many epochs of this call."""

    epochs: int

    def __post_init__(self) -> None:
        keep(self, "epochs", as_integer("MaxEpochs", self.epochs, low=1))

    def horizon(self, epoch: int, start: int) -> int | None:
        return start + self.epochs

    def watch(self, memory: Any, block: Block) -> tuple[Sequence[int], Any]:
        last = block.start + self.epochs
        return ([last] if block.first < last <= block.end else ()), None


@dataclass(frozen=True)
class TimeLimit(Condition):
    """Stop after so many seconds of this call, within about 0.1 s, also inside an epoch.

    Where it stops depends on the machine: not reproducible. ``resume`` goes on exactly from there.
    """

    seconds: float

    def __post_init__(self) -> None:
        keep(self, "seconds", as_real("TimeLimit", self.seconds, above=0))


@dataclass(frozen=True)
class StopEvent(Condition):
    """Stop when an event is set from outside, within about 0.1 s, also inside an epoch.

    ``event`` is a ``threading.Event``, or whatever has ``is_set``; ``stop=`` takes it as it is. So another thread, the
    handler of a signal or an asyncio task can end a training. ``resume`` goes on exactly from there.

    Examples
    --------
    >>> import threading
    >>> import bpjit
    >>> event = threading.Event()
    >>> threading.Timer(0.1, event.set).start()
    >>> fit = bpjit.train(bpjit.Network.random((2, 4, 1)), [[0, 1], [1, 1]], [0, 1], stop=[event, 10**9])
    >>> fit.stopped_by
    'StopEvent'
    """

    event: Any

    def __post_init__(self) -> None:
        if not callable(getattr(self.event, "is_set", None)):
            raise TypeError(f"StopEvent: expected a threading.Event, got {describe(self.event)}")


@dataclass
class Limits:
    """What ends a training whatever its errors: Ctrl-C, TimeLimit and StopEvent. Plain data, if the events are."""

    deadline: float = np.inf  # on ``time.perf_counter``, a clock that all processes of a machine share
    events: Sequence[Any] = ()  # each has ``is_set``
    interrupted: Any = None  # another such event, or None: Ctrl-C was pressed
    was_set: bool = False  # an event may be cleared again
    pausing: bool = False  # what ends now may go on later: what has not begun need not begin

    @staticmethod
    def of(conditions: Sequence[Condition], started: float, interrupted: Any = None) -> Limits:
        """Those among the conditions of a training, from ``started`` on."""
        deadline = started + min((item.seconds for item in conditions if isinstance(item, TimeLimit)), default=np.inf)
        events = [item.event for item in conditions if isinstance(item, StopEvent)]
        return Limits(deadline, events, interrupted, pausing=any(item.pauses for item in conditions))

    def reached(self) -> str | None:
        """Why the training ends now: the name of a condition, or "interrupted"."""
        if self.interrupted is not None and self.interrupted.is_set():
            return "interrupted"
        self.was_set = self.was_set or any(event.is_set() for event in self.events)
        if self.was_set:
            return "StopEvent"
        return "TimeLimit" if time.perf_counter() >= self.deadline else None


@dataclass(frozen=True)
class TargetError(Condition):
    """Stop when E, without penalty, is at most ``error``.

    It is measured where the error collected during an epoch is at most ``error`` too.
    """

    error: float

    watches_errors: ClassVar[bool] = True

    def __post_init__(self) -> None:
        keep(self, "error", as_real("TargetError", self.error, low=0))

    def watch(self, memory: Any, block: Block) -> tuple[np.ndarray, Any]:
        return block.recorded[block.errors <= self.error] + 1, None

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

    def watch(self, memory: Falls | None, block: Block) -> tuple[np.ndarray, Falls]:
        epochs = block.recorded
        lowest, falls = (memory or Falls()).after(epochs, block.errors)
        fell = falls.at(epochs - self.patience) - lowest
        # Without a tolerance the last step alone says whether there was one within the patience.
        return epochs[fell <= self.tolerance] + 1, falls.since(block.end - (self.patience if self.tolerance else 0))


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

    def watch(self, memory: Any, block: Block) -> tuple[Sequence[int], Any]:
        return range((block.first // self.every + 1) * self.every, block.end + 1, self.every), None

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

    def watch(
        self, memory: tuple[Falls, np.ndarray] | None, block: Block
    ) -> tuple[np.ndarray, tuple[Falls, np.ndarray]]:
        falls, tail = memory or (Falls(), np.empty(0))
        measured = ~np.isnan(block.validation_errors)
        epochs, validation_errors = block.recorded[measured], block.validation_errors[measured]
        best, falls = falls.after(epochs, validation_errors)
        fires = np.zeros(len(epochs), bool)
        if self.patience is not None:
            fires |= (epochs >= self.patience) & (falls.at(epochs - self.patience) <= best)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.generalization_loss is not None:
                pairs = zip(validation_errors, best, strict=True)
                values = [generalization_loss(error, smallest) for error, smallest in pairs]
                fires |= np.array(values, float) > self.generalization_loss
            if self.progress is not None:
                errors = np.concatenate([tail, block.errors])
                ends = np.flatnonzero(measured) + len(tail) + 1
                strips = [errors[max(0, end - self.every) : end] for end in ends]
                values = [training_progress(strip.mean(), strip.min()) for strip in strips]
                fires |= np.array(values, float) < self.progress
                tail = errors[max(0, len(errors) + 1 - self.every) :]
        return epochs[fires] + 1, (falls.since(block.end), tail)


def as_conditions(stop: Any, bounded: bool = False) -> list[Condition]:
    """The conditions that ``stop`` stands for, with ``MaxEpochs(1000)`` where nothing bounds the training."""
    expected = "a stopping condition, a number of epochs, an event, or a list of these"
    given = [] if stop is None else list(stop) if isinstance(stop, (list, tuple)) else [stop]
    conditions: list[Condition] = []
    for item in given:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            item = MaxEpochs(as_integer("stop", item, low=1))
        elif not isinstance(item, Condition) and callable(getattr(item, "is_set", None)):
            item = StopEvent(item)
        if not isinstance(item, Condition):
            raise TypeError(f"stop: expected {expected}, got {describe(item)}")
        conditions.append(item)
    if not bounded and not any(isinstance(item, (MaxEpochs, TimeLimit)) for item in conditions):
        conditions.append(MaxEpochs(DEFAULT_EPOCHS))
    return conditions


def most_epochs(conditions: Sequence[Condition]) -> int | None:
    """After how many epochs of this call the training ends at the latest, if that is known."""
    return min((item.epochs for item in conditions if isinstance(item, MaxEpochs)), default=None)
