"""Checkpoints: the file that a run is written to again and again, so that it can go on after whatever kills it.

What is in the file its writers know; here is where and how often, and what happens when it cannot be written.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .arguments import as_integer, describe
from .files import as_path

SECONDS = 60.0  # between two checkpoints, if nobody says
SHARE = 20  # and then so many times as long as one takes, at least


class Checkpoints:
    """Where and how often a run is written: ``checkpoint`` and ``checkpoint_every`` of a user."""

    def __init__(self, path: Any, every: Any = None) -> None:
        self.path = as_path(path, "checkpoint")
        self.epochs: int | None = None  # between two; None where time decides
        self.seconds, self.at_will = np.inf, every is None
        if every is None:
            self.seconds = SECONDS
        elif isinstance(every, datetime.timedelta):
            self.seconds = every.total_seconds()
            if self.seconds <= 0:
                raise ValueError(f"checkpoint_every: expected a time > 0, got {every!r}")
        elif isinstance(every, (int, np.integer)) and not isinstance(every, bool):
            self.epochs = as_integer("checkpoint_every", every, low=1)
        else:
            expected = "a whole number of epochs, a time such as datetime.timedelta(seconds=30), or None"
            hint = f"; datetime.timedelta(seconds={every:g}) is a time" if isinstance(every, float) else ""
            raise TypeError(f"checkpoint_every: expected {expected}, got {describe(every)}{hint}")
        self._written, self._warned, self._next = False, False, 0.0

    @property
    def due(self) -> bool:
        """Whether it is time, if time decides, for the next one."""
        return time.perf_counter() >= self._next

    def write(self, write: Callable[[str], Any], since: float | None = None) -> None:
        """Let ``write`` write the file. The first time ``OSError`` is raised; later on the run goes on, and a row of
        failures is told of once. ``since`` is when the run stood still for it, on ``time.perf_counter``."""
        since = time.perf_counter() if since is None else since
        try:
            write(self.path)
            self._written, self._warned = True, False
        except OSError as error:
            if not self._written:
                raise
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"checkpoint: {error}; the training goes on, and it is tried again later. What stood in the file "
                    "before is still there",
                    RuntimeWarning,
                    stacklevel=2,
                )
        now = time.perf_counter()
        if self.at_will:
            self.seconds = max(SECONDS, SHARE * (now - since))
        self._next = now + self.seconds


def as_checkpoints(path: Any, every: Any) -> Checkpoints | None:
    """What ``checkpoint`` and ``checkpoint_every`` ask for; None where nothing is to be written."""
    if path is None:
        if every is not None:
            raise ValueError(f"checkpoint_every: goes with checkpoint, the name of a file, got {describe(every)}")
        return None
    return Checkpoints(path, every)


def file_to_resume(resume: Any, checkpoints: Checkpoints | None) -> str | None:
    """The file that a run goes on from; None where that is the one it is to write itself, and there is none yet: so one
    line of a program serves the first start and every other."""
    name = as_path(resume, "resume")
    own = checkpoints is not None and os.path.realpath(checkpoints.path) == os.path.realpath(name)
    return None if own and not os.path.exists(name) else name


@contextlib.contextmanager
def resuming() -> Iterator[None]:
    """Let what is wrong with a file be wrong with ``resume``."""
    try:
        yield
    except ValueError as error:
        if (said := str(error)).startswith("path: "):
            raise ValueError(f"resume: {said.removeprefix('path: ')}") from error
        raise
