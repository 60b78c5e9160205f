"""What ``train_many(resumable=True)`` keeps so that a later call goes on exactly: ``Kept``; and how that call finds the
state of its networks there: ``Earlier``.

Rows of a state have one for each network, by names that only those know who write and read them: seats in lanes or on
the GPU, lanes for rules of second order, and ``train`` for the networks that train alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..common.arguments import describe
from ..kernels.layout import loss_as_given
from ..networks.networks import Networks
from .data import concerning
from .groups import COUNTED, OF_EACH, Group, Results, one_of, those_of

OF_CALL = "target_errors", "epochs"  # what a later call says anew


@dataclass(frozen=True, eq=False)
class Kept:
    """A portion whose networks can go on: all that changes while they train, and how they were trained."""

    members: np.ndarray
    rows: dict[str, np.ndarray]  # a row for each network
    group: dict[str, Any]  # what must be the same again, one for all
    of_each: dict[str, Any]  # the same, one for all or one for each

    @classmethod
    def of(cls, group: Group, results: Results) -> Kept:
        """What is to be kept of a portion."""
        counted = {name: getattr(results, name) for name in COUNTED}
        return cls(group.members, {**results.kept, **counted}, *terms_of(group))


def terms_of(group: Group) -> tuple[dict[str, Any], dict[str, Any]]:
    """By their arguments: what decides where trainings go, but for networks and data."""
    of_all = {"loss": loss_as_given(group.loss), "updates": updates_of(group), "shuffle": group.shuffle}
    of_all["shape_kernels"] = group.typed
    return {**of_all, "trainable": group.trainable.tobytes(), "early": group.early, "window": group.window}, {
        name: getattr(group, name) for name in OF_EACH if name not in OF_CALL
    }


def updates_of(group: Group) -> Any:
    """``updates`` as a user says it."""
    return "accumulated" if group.size is None else "stochastic" if group.size == 1 else group.size


ARGUMENTS = {"rules": "rule", "etas": "eta", "schedules": "eta", "seeds": "seed", "early": "stop", "window": "stop"}


class Earlier:
    """The trainings that a call goes on from."""

    def __init__(self, fits: Any, nets: Any, count: int, history: bool) -> None:
        if not hasattr(fits, "_kept"):
            raise TypeError(
                f"resume: expected Fits that train_many returned, or the path of a checkpoint, got {describe(fits)}"
            )
        if len(fits) != count:
            raise ValueError(f"resume: expected the fits of these {count} networks, got those of {len(fits)}")
        if not fits._kept:
            raise ValueError("resume: expected fits that can go on, of train_many(..., resumable=True); got others")
        if history and fits.errors is None:
            raise ValueError("history: the fits to resume kept no errors of their epochs; expected False, got True")
        self.fits, self.history = fits, history
        size = max(int(kept.members.max()) for kept in fits._kept) + 1
        self.block, self.place = np.full(size, -1), np.zeros(size, np.int64)
        for number, kept in enumerate(fits._kept):
            self.block[kept.members], self.place[kept.members] = number, np.arange(len(kept.members))
        self._check_networks(nets)

    def _check_networks(self, nets: Any) -> None:
        """Refuse networks that are not those of the fits."""
        mine, index = self.fits.networks, -1
        if mine is nets:
            return
        if isinstance(mine, Networks) and isinstance(nets, Networks):
            index = -1 if mine == nets else 0
        else:
            index = next((i for i in range(len(self.fits)) if mine[i] != nets[i]), -1)
        if index >= 0:
            with concerning(index):
                raise ValueError("nets: expected those of the fits to resume, resume.networks, got others")

    def _found(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each of these networks stands: in which block, at which place."""
        numbers = self.fits.order[members]
        return self.block[numbers], self.place[numbers]

    def _parts(self, members: np.ndarray) -> list[np.ndarray]:
        """Those of these networks, by their places, that stand at the same position of the same epoch, and whose state
        has the same form."""
        blocks, places = self._found(members)
        keys: list[Any] = [None] * len(members)
        for number in np.unique(blocks).tolist():
            rows = self.fits._kept[number].rows
            form = tuple((name, *array.shape[1:]) for name, array in rows.items())
            there = np.flatnonzero(blocks == number)
            for place, moment in zip(there.tolist(), moments_of(rows, places[there]), strict=True):
                keys[place] = form, moment
        by_key: dict[Any, list[int]] = {}
        for place, key in enumerate(keys):
            by_key.setdefault(key, []).append(place)
        return [np.array(places) for places in by_key.values()]

    def taken_up(self, group: Group) -> list[Group]:
        """A group in parts that can train together from where they stand, each with its state; settings must be as they
        were."""
        parts = self._parts(group.members)
        groups = [group] if len(parts) == 1 else [group.part(places) for places in parts]
        return [replace(part, kept=self._state(part)) for part in groups]

    def _state(self, group: Group) -> dict[str, np.ndarray]:
        blocks, places = self._found(group.members)
        rows: dict[str, np.ndarray] = {}
        for number in np.unique(blocks).tolist():
            kept, there = self.fits._kept[number], np.flatnonzero(blocks == number)
            self._check(group, there, kept, places[there])
            for name, array in kept.rows.items():
                found = rows.setdefault(name, np.empty((len(blocks), *array.shape[1:]), array.dtype))
                found[there] = array[places[there]]
        if self.history:
            for name in ("errors", "validation_errors"):
                rows[name] = np.empty(len(blocks), object)
                rows[name][:] = [getattr(self.fits, name)[member] for member in group.members]
        return rows

    def _check(self, group: Group, here: np.ndarray, kept: Kept, there: np.ndarray) -> None:
        of_all, of_each = terms_of(group)
        for name, now in of_all.items():
            before = kept.group[name]
            if now != before and not (now is None and name in ("early", "window")):
                came = "" if name == "trainable" else f" with {before!r}, got {now!r}"
                self._refuse(ARGUMENTS.get(name, name), came)
        for name, values in of_each.items():
            if (index := differs(values, here, kept.of_each[name], there)) is not None:
                pair = one_of(values, int(here[index])), one_of(kept.of_each[name], int(there[index]))
                now, before = (value.item() if isinstance(value, np.generic) else value for value in pair)
                with concerning(int(group.members[here[index]])):
                    self._refuse(ARGUMENTS.get(name, name), f" with {before!r}, got {now!r}")

    @staticmethod
    def _refuse(argument: str, came: str) -> None:
        raise ValueError(
            f"{argument}: the fits to resume were made{came or ' with another'}; give the same settings, or start anew "
            "from resume.networks"
        )


def moments_of(rows: dict[str, np.ndarray], places: np.ndarray) -> list[Any]:
    """What must be the same of the networks at these places for them to train together: the epoch, and where in it, of
    those that see each sample at the same time."""
    if "planes" not in rows:
        return [None] * len(places)
    return list(zip(rows["epochs"][places].tolist(), rows["position"][places].tolist(), strict=True))


def differs(now: Any, here: np.ndarray, before: Any, there: np.ndarray) -> int | None:
    """The first place at which a setting is another one, where each is one for all or one for each, or none."""
    if len(now) == 0 or len(before) == 0:
        return None if len(now) == len(before) else 0
    if len(now) == 1 and len(before) == 1:
        return None if now[0] == before[0] else 0
    if isinstance(now, np.ndarray):
        wrong = np.flatnonzero(those_of(now, here) != those_of(before, there))
        return int(wrong[0]) if len(wrong) else None
    pairs = ((one_of(now, int(i)), one_of(before, int(j))) for i, j in zip(here, there, strict=True))
    return next((index for index, (mine, theirs) in enumerate(pairs) if mine is not theirs and mine != theirs), None)
