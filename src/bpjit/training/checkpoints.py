"""A training that is kept in a file while it runs, and goes on from there: ``train(checkpoint=, resume=path)``.

The file is that of a fit, with what is known of the run: where it began, which later calls must begin as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from ..common.arguments import describe
from ..common.checkpoints import Checkpoints, as_checkpoints, file_to_resume, resuming
from ..common.files import refused
from ..kernels.state import Samples
from ..networks.network import Network
from ..settings.stopping import Condition, MaxEpochs, StopEvent, most_epochs
from ..settings.words import check_same, in_words, is_sayable
from .fit import LIMITED, Fit
from .origin import Trace, digest, fingerprint
from .setting import Setting
from .storing import load, save


class Begun(NamedTuple):
    """Where a run began."""

    epochs: int = 0  # completed before
    parameters: str = ""  # a fingerprint of those that it started from
    share: float | None = None  # held out to validate on
    validation: str = ""  # a fingerprint of what it validates on
    stop: Sequence[Any] = ()  # its conditions, in words
    ended_by: str | None = None  # what ended it, None where it has not ended
    unasked: Sequence[str] = ()  # conditions that may fire where it stands too, and were not asked
    in_shares: bool = False  # whether an executor's workers look at shares of the data, which rounds otherwise


def begun_of(words: dict[str, Any]) -> Begun:
    """What ``Begun._asdict`` said, as JSON has it."""
    begun = Begun(**words)
    kinds: tuple[Any, ...] = int, str, (int, float, type(None)), str, list, (str, type(None)), list, bool
    for name, value, kind in zip(begun._fields, begun, kinds, strict=True):
        if name in words and not isinstance(value, kind):
            raise ValueError(f"expected {name} of another kind, got {describe(value)}")
    if not all(isinstance(each, list) and each and isinstance(each[0], str) for each in begun.stop):
        raise ValueError(f"expected conditions in words, got {describe(begun.stop)}")
    if not all(isinstance(each, str) for each in begun.unasked):
        raise ValueError(f"expected conditions in words, got {describe(begun.unasked)}")
    return begun


class Run:
    """A training that goes on from call to call.

    Parameters
    ----------
    checkpoints : where it is kept, and how often, or None
    share : of the samples, held out to validate on, or None
    source : the file that it goes on from, or None
    begun : where it began, as that file says; None for a new one
    """

    def __init__(
        self, checkpoints: Checkpoints | None, share: float | None, source: str | None, begun: Begun | None
    ) -> None:
        self.checkpoints, self.share, self.source = checkpoints, share, source
        self.is_new, self.begun = begun is None, begun or Begun()
        self.trace: Trace | None = None
        self._fit: Callable[[], Fit] | None = None
        self._due = 0  # at which epoch, if epochs decide

    @property
    def start(self) -> int:
        """The epochs before it began: conditions count from there."""
        return self.begun.epochs

    @property
    def unasked(self) -> Sequence[str]:
        """The conditions that were not asked where it stands."""
        return self.begun.unasked

    def begin(
        self,
        net: Network,
        setting: Setting,
        conditions: Sequence[Condition],
        data: tuple[Samples, Samples, int],
        in_shares: bool,
        resume: Fit | None,
    ) -> Fit | None:
        """Note where it begins, or make sure that it is the one that began; its fit, if that has ended. ``data`` are
        those to learn from, those to validate on, and how many samples were given."""
        D, V, count = data
        self.trace = Trace.of(D, count)
        validation = fingerprint(V).hex() if len(V.X) else ""
        stop = [_in_words(condition) for condition in conditions]
        epochs = resume.epochs if isinstance(resume, Fit) else 0
        now = Begun(epochs, digest(net._parameters).hex(), self.share, validation, stop, in_shares=in_shares)
        if self.is_new or resume is None:
            self.begun = now
            return None
        self._check_net(net, resume.network, now)
        setting.check_same(resume._state["setting"], f"the run in {self.source!r} was made", INSTEAD)
        self._check_data(resume, now)
        mine, theirs = ({"executor": "one" if each.in_shares else None} for each in (now, self.begun))
        check_same(mine, theirs, f"the run in {self.source!r} was made", INSTEAD)
        if self._has_ended(stop):
            return replace(resume, _origin=replace(resume._origin, D=D).to_keep())
        self._check_stop(conditions, resume)
        self.begun = self.begun._replace(stop=stop, ended_by=None)
        return None

    def _has_ended(self, stop: list[Any]) -> bool:
        """Whether it has ended for these conditions too: what ended it is still one of them, or is none."""
        before, name = list(self.begun.stop), self.begun.ended_by
        if name is None or name == "callback":
            return name is not None and stop == before
        return all(condition in stop for condition in before if name == condition[0])

    # --- What must be as it was.

    def _check_net(self, net: Network, then: Network, now: Begun) -> None:
        mine, theirs = (_kind(each) for each in (net, then))
        check_same(mine, theirs, f"the run in {self.source!r} began with a network", INSTEAD)
        if now.parameters != self.begun.parameters:
            raise ValueError(
                f"net: expected the network that the run in {self.source!r} began with, got one with other parameters; "
                f"give the same, or {INSTEAD}"
            )

    def _check_data(self, fit: Fit, now: Begun) -> None:
        then, here, begun = fit._origin.trace, self.trace, self.begun
        assert here is not None
        made = f"the run in {self.source!r} was made"
        check_same({"validation": now.share}, {"validation": begun.share}, made, INSTEAD)
        half, absent = len(then.digest) // 2, "sample_weight" if fit._state["setting"].missing is None else "Y"
        for argument, same in (
            ("X", here.count == then.count),
            (absent, np.array_equal(here.numbers, then.numbers)),  # type: ignore[arg-type]
            ("X", here.digest[:half] == then.digest[:half]),
            ("Y", here.digest[half:] == then.digest[half:]),
            ("sample_weight or class_weight", here.same_as(then)),
            ("validation", now.validation == begun.validation),
        ):
            if not same:
                raise ValueError(f"{argument}: {made} with other data; give the same, or {INSTEAD}")

    def _check_stop(self, conditions: Sequence[Condition], fit: Fit) -> None:
        """Refuse to end before where it stands."""
        most = most_epochs(conditions)
        left = any(isinstance(condition, MaxEpochs) and repr(condition) in self.unasked for condition in conditions)
        if most is not None and self.start + most <= fit.epochs and not left:
            raise ValueError(
                f"stop: the run in {self.source!r} has {fit.epochs - self.start} epochs already, and conditions count "
                f"from its start; expected more than that, got {most}"
            )

    # --- The file.

    def keep(self, fit: Callable[[], Fit]) -> None:
        """From now on keep what this function gives: now, which may fail, and whenever it is due."""
        self._fit = fit
        if self.checkpoints is not None:
            self._write(fit)

    def horizon(self) -> int | None:
        """After how many completed epochs it is due, if it counts them."""
        return self._due if self.checkpoints is not None and self.checkpoints.epochs is not None else None

    def is_due(self, epoch: int) -> bool:
        """Whether it is time to write, after so many epochs."""
        if self.checkpoints is None:
            return False
        return self.checkpoints.due if self.checkpoints.epochs is None else epoch >= self._due

    def write(self) -> None:
        """Keep the training as it stands."""
        assert self._fit is not None
        self.begun = self.begun._replace(unasked=())
        self._write(self._fit)

    def end(self, fit: Fit, unasked: Sequence[str]) -> None:
        """Keep how the call ended, and whether the run has; and which conditions were not asked there."""
        ended_by = None if fit.stopped_by in LIMITED else fit.stopped_by  # they end a call, not a run
        self.begun = self.begun._replace(ended_by=ended_by, unasked=unasked)
        if self.checkpoints is not None:
            self._write(lambda: fit)

    def _write(self, fit: Callable[[], Fit]) -> None:
        assert self.checkpoints is not None

        def write(path: str) -> None:
            found = fit()
            self._due = found.epochs + (self.checkpoints.epochs or 0)  # type: ignore[union-attr]
            save(path, found, self.begun._asdict())

        self.checkpoints.write(write)


INSTEAD = "give a checkpoint of another name to start anew"


def _kind(net: Network) -> dict[str, Any]:
    """What networks of one kind have in common, by the arguments of ``Network``."""
    names = "sizes", "hidden", "output", "dtype", "scale", "columns"
    return {f"net's {name}": getattr(net, name) for name in names}


def _in_words(condition: Condition) -> Any:
    """A condition in words; one of a class of the user's own as it says itself, but for where it lies in memory."""
    if is_sayable(condition):
        return in_words(condition)
    said = "" if isinstance(condition, StopEvent) else re.sub(" at 0x[0-9A-Fa-f]+", "", repr(condition))
    return [type(condition).__name__, said]


# --- The arguments of train.


def as_run(resume: Any, checkpoint: Any, every: Any, share: float | None) -> tuple[Any, Run | None]:
    """The fit to go on from, if it is not a new start; and the run, if there is one to be kept or to go on with."""
    checkpoints = as_checkpoints(checkpoint, every)
    if not isinstance(resume, (str, PathLike)):
        return resume, None if checkpoints is None else Run(checkpoints, share, None, None)
    source = file_to_resume(resume, checkpoints)
    if source is None:
        return None, Run(checkpoints, share, None, None)
    with resuming():
        fit, words = load(source)
    if words is None:
        raise ValueError(
            f"resume: expected what train(checkpoint=) wrote, {source!r} was written by Fit.save; give "
            f"resume=bpjit.Fit.load({source!r}), and its network as net"
        )
    with refused(f"resume: the run in {source!r} is damaged"):
        return fit, Run(checkpoints, share, source, begun_of(words))
