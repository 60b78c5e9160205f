"""A training under way whose epochs may pause wherever they wait for something: generators in plain Python. Its memory
is always that from between two epochs; one that was cut off begins anew.
"""

from __future__ import annotations

import time

import numpy as np

from . import session
from .line_search import Looking
from .session import Session

SHORT_CALL = 0.0005  # seconds, where a training may end at any epoch: what came after that one is done in vain


class PausingSession(Session):
    """A session that runs ``_epoch`` after ``_epoch``."""

    _under_way: Looking[tuple[float, float] | None] | None = None  # the epoch

    @property
    def inside_an_epoch(self) -> bool:
        return self._under_way is not None

    def _clear_work(self) -> None:
        super()._clear_work()
        self._under_way = self.ended = None

    def _call_kernel(self, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Epochs, until it is time to let others look."""
        first, started, found = self.epoch, time.perf_counter(), []
        longest = min(session.CALL_SECONDS, SHORT_CALL if self.may_end_anywhere else np.inf)
        while self.finite and self.ended is None and self.epoch < until:
            if self._under_way is None:
                self._under_way = self._epoch()
            try:
                next(self._under_way)
            except StopIteration as end:
                self._under_way = None
                if end.value is not None:
                    found.append(end.value)
            if time.perf_counter() - started > longest:
                break
        if self.epoch > first:
            self.ended = (
                None  # it will stand again where no epoch comes before it, so that conditions see those that do
            )
        errors, validation_errors = np.array(found).reshape(-1, 2).T
        return errors, validation_errors

    def _epoch(self) -> Looking[tuple[float, float] | None]:
        """One epoch; returns its error and its validation error, or None where there was none. Writes memory at its
        end, ``finite`` and ``ended``."""
        raise NotImplementedError

    def _validated(self, p: np.ndarray) -> Looking[float]:
        """The validation error after this epoch, which leaves parameters p; NaN where it is not measured."""
        m = len(self.task.V.X)
        if not m or (self.epoch + 1) % self.task.every:
            return np.nan
        error = (yield from self._validate(p)) / m
        if error != error:
            self.check_data()
        return error

    def _validate(self, p: np.ndarray) -> Looking[float]:
        """Σ E_k of the samples to validate on."""
        raise NotImplementedError
