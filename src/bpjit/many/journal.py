"""What a ``train_many`` writes of itself to a file, and reads there of an earlier one that was killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import describe
from ..common.checkpoints import Checkpoints, as_checkpoints, file_to_resume, resuming
from ..common.files import damaged, read, write
from . import standing, terms
from .given import Given
from .groups import Group
from .rounds import Rounds
from .standing import Standing
from .terms import Terms, terms_of

FORMAT, VERSION = "bpjit checkpoint of train_many", "1"  # of files; what reads them reads all versions from "1" on


class Journal:
    """``checkpoint``, ``checkpoint_every`` and a path as ``resume`` of a user."""

    form, version = FORMAT, VERSION

    def __init__(self, checkpoints: Checkpoints | None, path: str | None) -> None:
        self.checkpoints, self.path = checkpoints, path
        self.target: str | None = None  # of the call that wrote the file to resume
        self.standings: Sequence[Standing] = ()
        self.terms: Terms | None = None
        self.count = 0
        if path is not None:
            with resuming():
                self._read(path)

    def _read(self, path: str) -> None:
        words, tensors = read(path, self.form, self.version)
        with damaged(f"the checkpoint in {path!r} is damaged"):
            self.target, self.count = words["target"], int(words["count"])
            self.terms = terms.from_tensors(tensors)
            self.standings = standing.from_tensors(tensors, self.count)
            self.read_more(words, tensors)

    def read_more(self, words: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
        """What else stands in a file."""

    def terms_of(self, given: Given, groups: Sequence[Group]) -> Terms:
        """All that decides where the trainings of a call go."""
        of_all = {name: getattr(given, name) for name in ("missing", "shuffle", "history", "resumable")}
        of_all |= {"shape_kernels": given.typed, "class_weight": _plain(given.class_weight), "validation": given.share}
        return terms_of(groups, given.count, of_all)

    def rounds(self, given: Given, groups: Sequence[Group], target: str) -> Rounds:
        """The rounds of a call, from where an earlier one stood; ``ValueError`` if that was another."""
        now = self.terms_of(given, groups)
        if self.terms is not None:
            if self.count != given.count:
                raise ValueError(f"nets: {terms.MADE} {self.count} networks, got {given.count}; give the same")
            terms.check_same(now, self.terms)
        said, words = terms.to_tensors(now), {"target": target, "count": json.dumps(given.count)}

        def save(path: str, standings: list[Standing]) -> None:
            write(path, FORMAT, VERSION, words, said | standing.to_tensors(standings))

        return Rounds(groups, given.conditions, self.standings, self.checkpoints, save)


def _plain(class_weight: Any) -> Any:
    """As JSON has it."""
    return class_weight if class_weight is None or isinstance(class_weight, str) else repr(class_weight)


def as_journal(resume: Any, checkpoint: Any, every: Any) -> Journal | None:
    """What these arguments ask for; None where nothing is to be read nor written."""
    checkpoints = as_checkpoints(checkpoint, every)
    if isinstance(resume, (str, PathLike)):
        return Journal(checkpoints, file_to_resume(resume, checkpoints))
    if checkpoints is not None and resume is not None:
        raise ValueError(
            f"resume: with a checkpoint expected the path of one, or None, got {describe(resume)}; what goes on from "
            "fits has none"
        )
    return None if checkpoints is None else Journal(checkpoints, None)
