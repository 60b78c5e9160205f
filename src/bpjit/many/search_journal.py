"""What a search writes of itself to a file, and reads there of an earlier one that was killed: the rungs behind it, and
where the networks of the rung under way stand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import describe
from ..common.checkpoints import Checkpoints, as_checkpoints, file_to_resume
from ..common.files import write
from ..settings.rules import Rule
from ..settings.schedules import Schedule
from ..settings.words import check_same, in_words
from . import standing, terms
from .given import Given
from .groups import Group
from .journal import Journal
from .rounds import Rounds
from .standing import Standing

FORMAT, VERSION = "bpjit checkpoint of search", "1"  # of files
BEST = "best."  # the networks of the best configuration after the last whole rung


def of_these(standings: Sequence[Standing], numbers: np.ndarray) -> list[Standing]:
    """Networks by their places among these numbers; others are left out."""
    largest = max([-1, *numbers.tolist(), *(int(each.members.max()) for each in standings)])
    place = np.full(largest + 1, -1)
    place[numbers] = np.arange(len(numbers))
    found = []
    for each in standings:
        if len(there := np.flatnonzero(place[each.members] >= 0)):
            found.append(Standing(place[each.members[there]], each.at(there).rows))
    return found


def numbered(standings: Sequence[Standing], numbers: np.ndarray) -> list[Standing]:
    """Networks by these numbers instead of their places."""
    return [Standing(numbers[each.members], each.rows) for each in standings]


def fingerprint(whole: dict[str, Any]) -> str:
    """Of a configuration in full."""
    parts = {name: in_words(value) if isinstance(value, (Rule, Schedule)) else value for name, value in whole.items()}
    said = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


class SearchJournal(Journal):
    """``checkpoint``, ``checkpoint_every`` and ``resume`` of a search."""

    form, version = FORMAT, VERSION

    def __init__(self, checkpoints: Checkpoints | None, path: str | None) -> None:
        self.state: dict[str, Any] = {}  # of the search that wrote the file to resume
        self.best: list[Standing] = []
        self.numbers = np.empty(0, np.int64)  # of the networks under way
        self.said: Callable[[], dict[str, Any]] = dict  # the state of the search under way
        super().__init__(checkpoints, path)

    def read_more(self, words: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
        self.state, self.numbers = json.loads(words["search"]), tensors["numbers"]
        best = {name.removeprefix(BEST): array for name, array in tensors.items() if name.startswith(BEST)}
        self.best = standing.from_tensors(best, self.count)

    def check(self, plan: dict[str, Any]) -> None:
        """Refuse to go on with another plan."""
        if self.state:
            instead = "start anew with another checkpoint"
            check_same(plan, self.state["plan"], "the checkpoint was made", instead)

    def rounds_of(self, passage: Passage, given: Given, groups: Sequence[Group], target: str) -> Rounds:
        """The rounds of some networks."""
        numbers, standings = passage.numbers, passage.standings
        now = self.terms_of(given, groups)
        if self.terms is not None and np.array_equal(self.numbers, numbers):
            terms.check_same(now, self.terms)
        self.terms = None
        others = [each for each in standings if not np.isin(each.members, numbers).any()]
        state = self.said()
        words = {"target": target, "count": json.dumps(state["count"]), "search": json.dumps(state)}
        best = {BEST + name: array for name, array in standing.to_tensors(self.best).items()}
        said = terms.to_tensors(now) | best | {"numbers": numbers}

        def save(path: str, going: list[Standing]) -> None:
            write(path, FORMAT, VERSION, words, said | standing.to_tensors([*others, *numbered(going, numbers)]))

        return Rounds(groups, given.conditions, of_these(standings, numbers), self.checkpoints, save)


class Passage:
    """Networks of a search in one training: from where they stand to where they come."""

    def __init__(self, numbers: np.ndarray, standings: Sequence[Standing], journal: SearchJournal | None) -> None:
        self.numbers, self.standings, self.journal = numbers, standings, journal
        self._rounds: Rounds | None = None

    def rounds(self, given: Given, groups: Sequence[Group], target: str) -> Rounds:
        if self.journal is not None:
            self._rounds = self.journal.rounds_of(self, given, groups, target)
        else:
            self._rounds = Rounds(groups, given.conditions, of_these(self.standings, self.numbers))
        return self._rounds

    def after(self) -> list[Standing]:
        """Where all networks of the search stand after it."""
        assert self._rounds is not None
        ended = [each for pair in zip(*self._rounds.ended(), strict=True) for each in Standing.of_ended(*pair)]
        others = [each for each in self.standings if not np.isin(each.members, self.numbers).any()]
        return [*others, *numbered(ended, self.numbers)]


def as_search_journal(resume: Any, checkpoint: Any, every: Any, study: Any) -> SearchJournal | None:
    """What these arguments ask for; None where nothing is to be read nor written."""
    checkpoints = as_checkpoints(checkpoint, every)
    if resume is not None and not isinstance(resume, (str, PathLike)):
        raise TypeError(f"resume: expected the path of a checkpoint, got {describe(resume)}")
    if checkpoints is None and resume is None:
        return None
    if study is not None:
        raise ValueError("checkpoint: a search that asks a study has none; let the study have a storage of its own")
    return SearchJournal(checkpoints, None if resume is None else file_to_resume(resume, checkpoints))
