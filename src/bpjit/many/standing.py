"""Where networks stand in the middle of a ``train_many``: what became of those that have ended, and what the others
need to go on; as rows of arrays, between two rounds and in a file.

Rows of what is kept have names of their own, see ``resuming``: here they begin with ``KEPT``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..common.files import joined, parted
from ..networks.network import Network
from ..settings.stopping import MaxEpochs
from .groups import COUNTED, Group, Results, by_member
from .resuming import moments_of
from .starts import start_of, to_keep

DAMAGED = "resume: the checkpoint is damaged"
KEPT = "kept."
HISTORIES = {"history": "errors", "validation_history": "validation_errors"}  # and what they are called once kept
TABLES = "parameters", "evidence"  # whose rows are of several numbers
LENGTHS = ".lengths"  # of the rows of what is as long as it likes
FIT = KEPT + "fit"  # of networks that train alone


@dataclass(frozen=True, eq=False)
class Standing:
    """Some networks, with a row for each of all that is known of them. Those that have ended have ``stopped_by``."""

    members: np.ndarray
    rows: dict[str, np.ndarray]

    @classmethod
    def of_ended(cls, group: Group, results: Results) -> list[Standing]:
        """Networks that have ended. What they need to go on is known of those that may train for more epochs."""
        rows, kept = rows_of(results)
        may = np.full(len(group), group.resumable) | (results.stopped_by == MaxEpochs.__name__) & bool(kept)
        pairs = (({**rows, **kept}, np.flatnonzero(may)), (rows, np.flatnonzero(~may)))
        return [cls(group.members[there], at(each, there)) for each, there in pairs if len(there)]

    @classmethod
    def of_cut(cls, group: Group, results: Results) -> Standing:
        """Networks that have been cut off."""
        rows, kept = rows_of(results)
        return cls(group.members, rows | kept)

    @classmethod
    def of_going(cls, group: Group) -> Standing:
        """Networks that go on, from what is kept of them."""
        assert group.kept is not None
        names = {kept: name for name, kept in HISTORIES.items()} | {name: name for name in COUNTED}
        rows = {names.get(name, KEPT + name): values for name, values in group.kept.items()}
        return cls(group.members, {"parameters": group.start, **rows})

    def at(self, places: np.ndarray) -> Standing:
        """Those at these places."""
        return Standing(self.members[places], at(self.rows, places))

    def of_kind(self, net: Network) -> Standing:
        """The same of networks like this one: what a file says of fits becomes fits."""
        if FIT not in self.rows:
            return self
        from ..training.storing import fit_of  # where there are some

        fits = [fit_of(net.with_parameters(x["network"]), x) if isinstance(x, dict) else x for x in self.rows[FIT]]
        return Standing(self.members, {**self.rows, FIT: objects(fits)})

    def results(self) -> Results:
        """What became of networks that have ended."""
        rows = {name: values for name, values in self.rows.items() if not name.startswith(KEPT)}
        kept = {name.removeprefix(KEPT): self.rows[name] for name in self.rows.keys() - rows.keys()}
        lists = {name: list(rows[name]) if name in rows else [] for name in HISTORIES}
        return Results(**{**rows, **lists}, kept=kept)  # type: ignore[arg-type]

    def going(self, group: Group, since: Any = 0) -> list[Group]:
        """Parts of a group of these networks that can train together from where they stand: the group begins, after so
        many epochs ``since``."""
        rows = self.rows
        kept = {name.removeprefix(KEPT): values for name, values in rows.items() if name.startswith(KEPT)}
        kept |= {name: rows[name] for name in COUNTED}
        kept |= {name: rows[history] for history, name in HISTORIES.items() if history in rows}
        self._check(group, kept)
        left = left_of(group, rows["epochs"] - since)
        left = left[:1] if (left == left[0]).all() else left  # of as many epochs for all the end is foreseen
        whole = replace(group, start=rows["parameters"], kept=kept, epochs=left)
        parts: dict[Any, list[int]] = {}
        for place, moment in enumerate(moments_of(kept, np.arange(len(group)))):
            parts.setdefault(moment, []).append(place)
        return [whole] if len(parts) == 1 else [whole.part(np.array(places)) for places in parts.values()]

    def _check(self, group: Group, kept: dict[str, np.ndarray]) -> None:
        """Refuse rows of another length than these networks have, which kernels would run across."""
        like: dict[str, np.ndarray] = {"P": group.start}
        if "planes" in kept:
            like = to_keep(start_of(replace(group.part(slice(0, 1)), kept=None), np.arange(1)), 1)
        pairs = [(kept[name], like[name]) for name in kept.keys() & like.keys() if name != "position"]
        for mine, theirs in (*pairs, (self.rows["parameters"], group.start)):
            if mine.shape[1:] != theirs.shape[1:]:
                raise ValueError(f"expected rows of {theirs.shape[1:]}, got {mine.shape[1:]}")


def rows_of(results: Results) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All that became of networks, and what is kept of them."""
    rows = {each.name: getattr(results, each.name) for each in fields(results) if each.name != "kept"}
    rows = {name: value for name, value in rows.items() if value is not None and len(value)}
    histories = {name: objects(rows[name]) for name in HISTORIES if name in rows}
    return {**rows, **histories}, {KEPT + name: values for name, values in results.kept.items()}


def left_of(group: Group, epochs: np.ndarray) -> np.ndarray:
    """How many epochs are left to networks of a group that begins, after so many."""
    return by_member(group.epochs, np.arange(len(group))) - epochs


def at(rows: dict[str, np.ndarray], places: np.ndarray) -> dict[str, np.ndarray]:
    """The rows at these places."""
    return {name: values[places] for name, values in rows.items()}


def objects(values: Iterable[Any]) -> np.ndarray:
    """Things of any kind, also arrays of one length, in an array of objects."""
    values = list(values)
    found = np.empty(len(values), object)
    found[:] = values
    return found


# --- As arrays of a file.


def to_tensors(standings: Sequence[Standing]) -> dict[str, np.ndarray]:
    """All of it, those whose rows have one form together."""
    by_form: dict[Any, list[Standing]] = {}
    for each in standings:
        form = tuple(sorted((name, values.dtype.str, values.shape[1:]) for name, values in each.rows.items()))
        by_form.setdefault(form, []).append(each)
    tensors: dict[str, np.ndarray] = {}
    for number, alike in enumerate(by_form.values()):
        tensors[f"{number}.members"] = np.concatenate([each.members for each in alike])
        for name in alike[0].rows:
            values = np.concatenate([each.rows[name] for each in alike])
            tensors |= _column(f"{number}.{name}", name, values)
    return tensors


def _column(place: str, name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """A column as arrays of numbers."""
    if name == "stopped_by":
        names, codes = np.unique(values.astype(str), return_inverse=True)
        return {place: codes.astype(np.uint8), f"{place}.names": as_bytes(json.dumps(names.tolist()))}
    if name == FIT:
        from ..training.storing import tree_of

        arrays: dict[str, np.ndarray] = {}
        trees = parted([None if fit is None else tree_of(fit) for fit in values], arrays, f"fits.{place}")
        return {place: as_bytes(json.dumps(trees)), **arrays}
    if name not in HISTORIES:
        return {place: values}
    lengths = np.array([len(errors) for errors in values], np.int64)
    return {place: np.concatenate(list(values)), place + LENGTHS: lengths}


def from_tensors(tensors: dict[str, np.ndarray], count: int) -> list[Standing]:
    """What ``to_tensors`` gave, of so many networks in all; ``ValueError`` if it cannot be."""
    found, number = list[Standing](), 0
    while (members := tensors.get(f"{number}.members")) is not None:
        prefix = f"{number}."
        names = [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]
        rows = {
            name: _values(tensors, prefix + name, name)
            for name in names
            if name != "members" and not name.endswith((LENGTHS, ".names"))
        }
        if members.ndim != 1 or members.dtype != np.int64 or ((members < 0) | (members >= count)).any():
            raise ValueError(f"expected numbers of {count} networks, got others")
        if any(len(values) != len(members) for values in rows.values()):
            raise ValueError("expected a row for each network, got fewer or more")
        for name, values in rows.items():
            if not name.startswith(KEPT) and values.ndim != 1 + (name in TABLES):
                raise ValueError(f"expected {name} with {1 + (name in TABLES)} dimensions, got {values.ndim}")
            if name in COUNTED and (values.dtype != np.int64 or (values < 0).any()):
                raise ValueError(f"expected {name} of counts, got others")
        found.append(Standing(members, rows))
        number += 1
    every = np.concatenate([each.members for each in found]) if found else np.empty(0, np.int64)
    if len(np.unique(every)) < len(every):
        raise ValueError("expected each network once, got one twice")
    return found


def _values(tensors: dict[str, np.ndarray], place: str, name: str) -> np.ndarray:
    values = tensors[place]
    if name == "stopped_by":
        return np.array(json.loads(tensors[f"{place}.names"].tobytes()), object)[values]
    if name == FIT:
        return objects(joined(json.loads(values.tobytes()), tensors))
    if name not in HISTORIES:
        return values
    lengths = tensors[place + LENGTHS]
    if (lengths < 0).any() or lengths.sum() != len(values):
        raise ValueError(f"expected {name} of {lengths.sum()} numbers, got {len(values)}")
    return objects(np.split(values, np.cumsum(lengths)[:-1]))


def as_bytes(data: str | bytes) -> np.ndarray:
    return np.frombuffer(data.encode() if isinstance(data, str) else data, np.uint8)
