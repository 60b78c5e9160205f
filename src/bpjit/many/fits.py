"""The result of ``train_many``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..maths import formulas
from ..networks.architecture import same_kind
from ..networks.network import Network
from ..networks.networks import Networks
from ..training.fit import Evidence
from .groups import Group, Results, by_member
from .resuming import Kept
from .seen import Seen


@dataclass(frozen=True, eq=False)
class Fits:
    """The result of ``train_many``: arrays with an entry for each network.

    Attributes
    ----------
    networks : the trained networks: ``Networks``, or a list of ``Network`` where they differ in shape; with
        EarlyStopping each is that of its smallest validation error
    error : E of each network on its own training data, without penalty
    objective : λ E + (1 − λ) Σ w² of each; E without λ
    validation_error : E of each network on its validation set, NaN without one
    epochs, updates : completed epochs, updates made
    best_epoch : completed epochs at the smallest validation error; 0 where that was not followed
    stopped_by : name of the condition that ended each, or "diverged", "interrupted"
    errors, validation_errors : a list with E of each epoch for each network, as in ``Fit``, if ``history`` was asked
        for; else None
    evidence : for ``rule="br"`` what it found of each network, as in ``Fit``, each an array; else None
    order : number of each network in what ``train_many`` was given
    seconds : seconds of the whole call without ``compile_seconds``
    compile_seconds : seconds spent compiling, or loading machine code from disk
    target : "cpu" or "cuda"
    """

    networks: Networks | list[Network]
    error: np.ndarray
    objective: np.ndarray
    validation_error: np.ndarray
    epochs: np.ndarray
    updates: np.ndarray
    best_epoch: np.ndarray
    stopped_by: np.ndarray
    errors: list[np.ndarray] | None
    validation_errors: list[np.ndarray] | None
    order: np.ndarray
    seconds: float
    compile_seconds: float
    target: str
    evidence: Evidence | None = None
    _seen: tuple[Seen, ...] = field(default=(), repr=False)  # what ``advice`` needs
    _kept: tuple[Kept, ...] = field(default=(), repr=False)  # what ``resume`` needs

    def __len__(self) -> int:
        return len(self.error)

    @property
    def best(self) -> Network:
        """The network of the smallest error: of the validation error where there is one."""
        return self.networks[int(self.ranking()[0])]

    @cached_property
    def advice(self) -> np.ndarray:
        """In a few words what is most likely wrong with each training, such as "diverged: eta too large", "" where
        nothing is, [shape: (networks,)]. Worked out when asked for; the less is known, the less it finds: with
        ``history`` it also sees the errors of the epochs."""
        from ..advice.of_many import advice_of

        return advice_of(self)

    def ranking(self) -> np.ndarray:
        """Numbers of the networks, the best first: by validation error where there is one, else by error. Those that
        have none, not being finite, come last."""
        measure = self.validation_error if np.isfinite(self.validation_error).any() else self.error
        return np.argsort(np.where(np.isnan(measure), np.inf, measure), kind="stable")

    def best_first(self) -> Fits:
        """The same, in the order of ``ranking``."""
        return self[self.ranking()]

    def __getitem__(self, index: Any) -> Fits:
        """Some of them: a slice, a list of numbers, or a mask."""
        numbers = np.arange(len(self))[index]
        if numbers.ndim != 1:
            raise IndexError("fits: expected a slice, a list of numbers or a mask; one network is fits.networks[i]")
        arrays: dict[str, Any] = {name: getattr(self, name)[numbers] for name in _ARRAYS}
        nets = self.networks
        picked = nets[numbers] if isinstance(nets, Networks) else [nets[i] for i in numbers]
        lists: dict[str, Any] = {
            name: None if getattr(self, name) is None else [getattr(self, name)[i] for i in numbers]
            for name in ("errors", "validation_errors")
        }
        evidence = None if self.evidence is None else Evidence(*np.array(self.evidence)[:, numbers])
        return replace(self, networks=picked, **arrays, **lists, evidence=evidence)

    def __repr__(self) -> str:
        reasons, counts = np.unique(self.stopped_by, return_counts=True)
        why = ", ".join(f"{count} by {reason}" for reason, count in zip(reasons, counts, strict=True))
        low, middle = np.nanmin(self.error), np.nanmedian(self.error)
        return (
            f"Fits(of {len(self)} networks, E from {low:.6g}, median {middle:.6g}; stopped {why}; "
            f"{self.seconds:.3g} s on {self.target})"
        )


_ARRAYS = ("error", "objective", "validation_error", "epochs", "updates", "best_epoch", "stopped_by", "order")


def joined(parts: Sequence[Fits]) -> Fits:
    """Several fits in one, in their order, with the same columns; what advice needs is not kept."""
    orders, kept, first = [], list[Kept](), 0
    for part in parts:
        orders.append(part.order + first)
        kept += [replace(block, members=block.members + first) for block in part._kept]
        first += max([int(part.order.max()), *(int(block.members.max()) for block in part._kept)]) + 1
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    lists: dict[str, Any] = {
        name: None if getattr(parts[0], name) is None else [errors for part in parts for errors in getattr(part, name)]
        for name in ("errors", "validation_errors")
    }
    evidence = None
    if any(part.evidence is not None for part in parts):
        nothing = [np.full((4, len(part)), np.nan) for part in parts]
        pairs = zip(parts, nothing, strict=True)
        evidence = Evidence(*np.hstack([none if part.evidence is None else part.evidence for part, none in pairs]))
    return replace(
        parts[0],
        networks=together([part.networks for part in parts]),
        **{**arrays, "order": np.concatenate(orders)},
        **lists,
        seconds=sum(part.seconds for part in parts),
        compile_seconds=sum(part.compile_seconds for part in parts),
        evidence=evidence,
        _seen=(),
        _kept=tuple(kept),
    )


def together(parts: Sequence[Networks | list[Network]]) -> Networks | list[Network]:
    """Networks of all parts: as ``Networks`` where they are of one kind."""
    alike = [part for part in parts if isinstance(part, Networks)]
    if len(alike) == len(parts) and all(same_kind(part, alike[0]) for part in alike):
        return Networks._of(alike[0]._architecture, np.concatenate([part.parameters for part in alike]))
    return [net for part in parts for net in part]


def gather(
    portions: Sequence[Group],
    results: Sequence[Results],
    count: int,
    seconds: float,
    compile_seconds: float,
    target: str,
    groups: Sequence[Group] = (),
) -> Fits:
    """The results of all portions in the order of the networks; of ``groups`` it keeps what advice needs."""
    columns: dict[str, np.ndarray] = {}
    first = portions[0]
    alike = all(same_kind(group.net, first.net) for group in portions)
    nets: Any = [] if alike else [None] * count
    lists: Any = {name: [None] * count if first.history else None for name in ("errors", "validation_errors")}
    vectors = np.empty((count, len(first.net.parameters)), first.net.dtype) if alike else None
    for group, result in zip(portions, results, strict=True):
        members, lam = group.members, by_member(group.lam, np.arange(len(group)))
        squares = np.square(result.parameters, dtype=np.float64).sum(axis=1)
        penalised = lam < 1.0
        objective = result.errors.copy()
        objective[penalised] = formulas.regularised_objective(result.errors, squares, lam, 1.0 - lam)[penalised]
        found = {
            "error": result.errors,
            "objective": objective,
            "validation_error": result.validation_errors,
            "epochs": result.epochs,
            "updates": result.updates,
            "best_epoch": result.best_epochs,
            "stopped_by": result.stopped_by,
        }
        for name, values in found.items():
            columns.setdefault(name, np.empty(count, values.dtype))[members] = values
        if vectors is not None:
            vectors[members] = result.parameters
        else:
            for member, vector in zip(members, result.parameters, strict=True):
                nets[member] = group.net.with_parameters(vector)
        if group.history:
            for name, history in (("errors", result.history), ("validation_errors", result.validation_history)):
                for member, errors in zip(members, history, strict=True):
                    lists[name][member] = errors
    known = any(result.evidence is not None for result in results)
    table = np.full((4, count), np.nan)
    for group, result in zip(portions, results, strict=True):
        if result.evidence is not None:
            table[:, group.members] = result.evidence.T
    columns["stopped_by"] = columns["stopped_by"].astype(str)  # as wide as the longest name
    return Fits(
        networks=nets if vectors is None else Networks._of(first.net._architecture, vectors),
        **columns,
        errors=lists["errors"],
        validation_errors=lists["validation_errors"],
        order=np.arange(count),
        seconds=seconds,
        compile_seconds=compile_seconds,
        target=target,
        evidence=Evidence(*table) if known else None,
        _seen=tuple(Seen.of(group) for group in groups),
        _kept=tuple(Kept.of(*pair) for pair in zip(portions, results, strict=True)) if first.resumable else (),
    )
