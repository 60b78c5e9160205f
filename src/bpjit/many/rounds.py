"""Rounds: networks on their way to the end, in one go or with pauses in which it is written down where they stand.

A round trains portions until each has ended or a pause begins. Networks that have ended are never trained again; the
others go on from where they were, to the bits of one round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..common.checkpoints import Checkpoints
from ..common.files import refused
from ..settings.stopping import CUT_OFF, Condition, Limits, MaxEpochs, StopEvent, TimeLimit
from .data import concerning
from .groups import Group, Results
from .portions import portions_of
from .standing import DAMAGED, Standing, left_of

AT_ONCE = 1e-9  # seconds, before which nothing has begun

Save = Callable[[str, list[Standing]], None]  # to a path


@dataclass(frozen=True)
class Pause(TimeLimit):
    """The end of a round, after which the training goes on."""

    pauses: ClassVar[bool] = True


class Rounds:
    """Which networks have ended and which are ahead: in one round, or with ``checkpoints`` in as many as these ask for,
    each written by ``save``. ``standings`` are those of an earlier call."""

    def __init__(
        self,
        groups: Sequence[Group],
        conditions: Sequence[Condition],
        standings: Sequence[Standing] = (),
        checkpoints: Checkpoints | None = None,
        save: Save = lambda path, standings: None,
    ) -> None:
        self.checkpoints, self.save = checkpoints, save
        self.seconds = min((item.seconds for item in conditions if isinstance(item, TimeLimit)), default=np.inf)
        self.others = [item for item in conditions if not isinstance(item, TimeLimit)]
        self.ahead, self._ended = list(groups), list[tuple[Group, Results]]()
        self.standings: list[Standing] = []  # of those that have ended
        self._deadline: float | None = None
        self._divided, self._reason = False, ""
        self._portions: list[Group] = []  # of the round under way
        self._began = time.perf_counter()
        if standings:
            self._take_up(standings)
        if checkpoints is not None:
            self.ahead = [replace(group, pauses=True) for group in self.ahead]
            self._write()

    @property
    def done(self) -> int:
        """How many networks have ended."""
        return sum(len(group) for group, _ in self._ended)

    def ended(self) -> tuple[list[Group], list[Results]]:
        """All networks, once no round is left, and what became of them."""
        return [group for group, _ in self._ended], [results for _, results in self._ended]

    # --- From an earlier call.

    def _take_up(self, standings: Sequence[Standing]) -> None:
        """Put networks where they stood; those that had not begun have no standing."""
        count = 1 + max(int(group.members.max()) for group in self.ahead)
        of, place = np.full(count, -1), np.zeros(count, np.int64)
        for number, each in enumerate(standings):
            of[each.members], place[each.members] = number, np.arange(len(each.members))
        groups, self.ahead = self.ahead, []
        begun = list[Group]()
        for group in groups:
            for number in np.unique(of[group.members]).tolist():
                part = group.part(np.flatnonzero(of[group.members] == number))
                if number < 0:
                    self.ahead.append(part)
                else:
                    begun += self._stand(part, standings[number].at(place[part.members]))
        self.ahead = begun + self.ahead

    def _stand(self, group: Group, standing: Standing) -> list[Group]:
        """Those of a group that go on. They are the ones that had not ended, or because of their epochs, of which there
        are more now."""
        with refused(DAMAGED):
            standing = standing.of_kind(group.net)
            left, reasons = left_of(group, standing.rows["epochs"]), standing.rows.get("stopped_by")
            goes = np.ones(len(group), bool) if reasons is None else (reasons == MaxEpochs.__name__) & (left > 0)
        for place in np.flatnonzero(left < goes)[:1].tolist():
            with concerning(int(group.members[place])):
                come = int(standing.rows["epochs"][place])
                raise ValueError(f"max_epochs: the checkpoint has come to epoch {come}, got {come + int(left[place])}")
        with refused(DAMAGED):
            if len(over := np.flatnonzero(~goes)):
                self._end(group.part(over), standing.at(over).results())
            going = np.flatnonzero(goes)
            return standing.at(going).going(group.part(going)) if len(going) else []

    # --- Round by round.

    @property
    def _epochs(self) -> int | None:
        """After how many epochs of each network a round ends; None where time decides, or it is the last."""
        return None if self.checkpoints is None or self._reason else self.checkpoints.epochs

    def next(self, target: str, threads: int) -> list[Group]:
        """The portions of the next round; none where all is over."""
        portions, self.ahead = self.ahead, []
        if not self._divided or len(portions) < threads:
            portions = [portion for group in portions for portion in portions_of(group, target, threads)]
            self._divided = True
        if (epochs := self._epochs) is not None:
            portions = [part for portion in portions for part in _by_end(portion, epochs)]
        self._portions = portions
        return portions if epochs is None else [_shortened(portion, epochs) for portion in portions]

    def conditions(self, compile_seconds: float) -> list[Condition]:
        """When the next round ends, beside what ends single networks. It begins now; compiling does not count."""
        self._began = now = time.perf_counter()
        self._deadline = now + self.seconds if self._deadline is None else self._deadline + compile_seconds
        if self._reason:
            return [*self.others, TimeLimit(AT_ONCE)]
        limit = [TimeLimit(max(AT_ONCE, self._deadline - now))] if self._deadline < np.inf else []
        pause = [] if self.checkpoints is None or self._epochs is not None else [Pause(self.checkpoints.seconds)]
        return [*self.others, *limit, *pause]

    def shown(self, show: Callable[[int], None]) -> Callable[[int], None]:
        """``show`` for the next round, which is told how many networks end in it."""
        done = self.done
        if self._epochs is not None:  # they end so that they can go on
            return lambda count: show(done)
        return lambda count: show(done + count)

    def take(self, results: Sequence[Results], interrupted: Any) -> None:
        """What became of the portions of this round; ``interrupted`` is the event of Ctrl-C."""
        pairs = list(zip(self._portions, results, strict=True))
        if self.checkpoints is None:
            self._ended += pairs
        elif self._reason:
            self._cut_off(pairs)
        else:
            cut, waiting = self._sorted(pairs)
            self.ahead = [part for pair in cut for part in _going(*pair)] + waiting
            self._write()
            self._reason = self._over(cut, interrupted)
            if self._reason:
                self._cut_off(cut)
                self.ahead = waiting

    def _sorted(self, pairs: Sequence[tuple[Group, Results]]) -> tuple[list[tuple[Group, Results]], list[Group]]:
        """Those that would go on, and those that have not begun. Notes those that have ended."""
        cut, waiting = list[tuple[Group, Results]](), list[Group]()
        for portion, result in pairs:
            if "" in result.stopped_by:  # of all
                waiting.append(portion)
                continue
            goes = np.isin(result.stopped_by.astype(str), CUT_OFF)
            if self._epochs is not None and portion.epochs.min() > self._epochs:
                goes |= result.stopped_by == MaxEpochs.__name__
            if not goes.all():
                self._end(*_part(portion, result, ~goes))
            if goes.any():
                cut.append(_part(portion, result, goes))
        return cut, waiting

    def _over(self, cut: Sequence[tuple[Group, Results]], interrupted: Any) -> str:
        """Why no other round may begin, or nothing."""
        events = [item.event for item in self.others if isinstance(item, StopEvent)]
        if reason := Limits(self._deadline, events, interrupted).reached():  # type: ignore[arg-type]
            return reason
        seen = any(StopEvent.__name__ in result.stopped_by for _, result in cut)  # it may have been cleared again
        return StopEvent.__name__ if seen else ""

    def _end(self, group: Group, results: Results) -> None:
        """Note networks that have ended."""
        if self.checkpoints is not None:
            self.standings += Standing.of_ended(group, results)
        self._ended.append((group, results))

    def _cut_off(self, pairs: Sequence[tuple[Group, Results]]) -> None:
        """Note networks that would go on."""
        for _, result in pairs:
            result.stopped_by[:] = self._reason
        self._ended += pairs

    def _write(self) -> None:
        if self.checkpoints is not None:
            standings = [*self.standings, *(Standing.of_going(group) for group in self.ahead if group.kept is not None)]
            since = min(time.perf_counter(), self._began + self.checkpoints.seconds)
            self.checkpoints.write(lambda path: self.save(path, standings), since)


def _part(group: Group, results: Results, there: np.ndarray) -> tuple[Group, Results]:
    """Those of some networks, if they are not all."""
    if there.all():
        return group, results
    places, found = np.flatnonzero(there), dict[str, Any]()
    for each in fields(results):
        value = getattr(results, each.name)
        if isinstance(value, dict):
            found[each.name] = {name: rows[places] for name, rows in value.items()}
        elif isinstance(value, list):
            found[each.name] = [value[place] for place in places] if value else []
        else:
            found[each.name] = None if value is None else value[places]
    return group.part(places), Results(**found)


def _going(group: Group, results: Results) -> list[Group]:
    """Networks that have been cut off, as they go on."""
    since = 0 if group.kept is None else group.kept["epochs"]
    return Standing.of_cut(group, results).going(group, since)


def _by_end(portion: Group, epochs: int) -> list[Group]:
    """A portion in two: those that may train for more than so many epochs, and others."""
    more = left_of(portion, np.full(len(portion), epochs)) > 0
    kinds = [np.flatnonzero(more), np.flatnonzero(~more)]
    return [portion] if not all(map(len, kinds)) else [portion.part(places) for places in kinds]


def _shortened(portion: Group, epochs: int) -> Group:
    """The same for so many epochs, if it may train for more: then any other condition is named before them."""
    if portion.epochs.min() <= epochs:
        return portion
    others = [item for item in portion.conditions if not isinstance(item, MaxEpochs)]
    return replace(portion, epochs=np.array([epochs]), conditions=[*others, MaxEpochs(epochs)])
