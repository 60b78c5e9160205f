"""Slices: a portion trains for some time at one place, and goes on from there at any other, with the same bits.

A portion goes out in one piece. What comes back of it has stopped, or was cut off; the latter goes out again, in as
many pieces as there are moments at which its networks stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..settings.stopping import CUT_OFF
from .groups import COUNTED, Group, Results, by_member
from .resuming import moments_of


class Course:
    """The way of a portion through its slices; ``take`` gets its results in the end."""

    def __init__(self, portion: Group, take: Callable[[Results], None]) -> None:
        self.portion, self.take = portion, take
        self.results, self.out = Results.before(portion), 1

    def begin(self) -> Piece:
        return Piece(self, np.arange(len(self.portion)), replace(self.portion, pauses=True))

    def cut_off(self, piece: Piece, reason: str) -> None:
        """A piece that has come back stays as it is."""
        self.results.stopped_by[piece.places] = reason
        self._done(1)

    def come_back(self, piece: Piece, results: Results, for_good: bool = False) -> list[Piece]:
        """What became of a piece in a slice; returns what is to go on."""
        self.results.put(piece.places, results)
        left = [] if for_good else rest_of(piece, results)
        self._done(1 - len(left))
        return left

    def _done(self, pieces: int) -> None:
        self.out -= pieces
        if self.out == 0:
            self.take(self.results)


@dataclass(frozen=True, eq=False)
class Piece:
    """Networks of a portion that train together."""

    course: Course
    places: np.ndarray  # in the portion
    group: Group
    begun: bool = False  # whether a slice of it has come back
    cost: float = 0.0  # seconds that it took beside those of the slice, if that is known


def rest_of(piece: Piece, results: Results) -> list[Piece]:
    """What was cut off in a slice, from where it stands."""
    group, cut = piece.group, np.flatnonzero(np.isin(results.stopped_by.astype(str), CUT_OFF))
    if not len(cut):
        return []
    before = 0 if group.kept is None else group.kept["epochs"]
    left = by_member(group.epochs, np.arange(len(group))) - (results.epochs - before)
    rows = results.kept | {name: getattr(results, name) for name in COUNTED}
    if group.history:
        for name, histories in (("errors", results.history), ("validation_errors", results.validation_history)):
            rows[name] = np.empty(len(group), object)
            rows[name][:] = histories
    by_moment: dict[object, list[int]] = {}
    for place, moment in zip(cut.tolist(), moments_of(rows, cut), strict=True):
        by_moment.setdefault(moment, []).append(place)
    pieces = []
    for some in by_moment.values():
        places = np.array(some)
        part = replace(replace(group, kept=None).part(places), start=results.parameters[places])
        epochs = left[places] if (left[places] != left[some[0]]).any() else left[some[:1]]
        kept = {name: array[places] for name, array in rows.items()}
        pieces.append(Piece(piece.course, piece.places[places], replace(part, epochs=epochs, kept=kept), begun=True))
    return pieces
