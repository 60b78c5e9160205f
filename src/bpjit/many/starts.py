"""Where networks start: their state before the first epoch, a row for each, wherever they are to sit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import plane_numbers
from ..kernels.plane_numbers import (
    ALIVE,
    BEST,
    GROW,
    LAM,
    LAST_OBJECTIVE,
    LEAST,
    NEVER,
    PRESENT,
    RATE,
    REST,
    SHRINK,
    STRIP_LEAST,
    TARGET,
    TOLERANCE,
    TOTAL,
    VALIDATING,
)
from ..settings.rules import Rule
from .groups import Group, one_of


def start_of(group: Group, members: np.ndarray) -> dict[str, np.ndarray]:
    """All that changes, by the names of ``lanes.packs.Packs``; what a group does not need is left out."""
    start, count, dtype = group.start[members], len(members), group.net.dtype
    n, slots = start.shape[1], group.rules[0].slots
    state = {"P": start, "S": slots_of(group, members), "final": start, "planes": planes_of(group, members)}
    if group.size != 1:
        state["G"] = np.zeros((count, n), dtype)
        if group.batch > plane_numbers.block_of(dtype):
            state["sums"] = np.zeros((count, 2 * n), dtype)
    if group.validates:
        state["best"] = start
    if group.adaptive:
        state["undo"], state["least"] = np.zeros((count, (1 + slots) * n + 3), dtype), start
    if group.ring:
        state["ring"] = np.zeros((count, group.ring), dtype)
    for name, rows in (group.kept or {}).items():
        if name == "planes":
            state[name][:, TOTAL:] = rows[members]
        elif name in state:
            state[name] = rows[members]
    return state


def to_keep(state: dict[str, np.ndarray], position: int) -> dict[str, np.ndarray]:
    """What of a state, at this position of an epoch, ``start_of`` takes up again."""
    only_inside = () if position else ("G", "sums", "undo")
    kept = {name: rows for name, rows in state.items() if name not in ("final", *only_inside)}
    return {**kept, "planes": kept["planes"][:, TOTAL:], "position": np.full(len(state["P"]), position)}


def slots_of(group: Group, members: np.ndarray) -> np.ndarray:
    """The rule's state, slot after slot."""
    n, slots = group.start.shape[1], group.rules[0].slots
    S = np.zeros((len(members), slots * n), group.net.dtype)
    if type(group.rules[0]).start is not Rule.start:  # all others start with zeros
        for place, member in enumerate(members):
            seed = int(one_of(group.seeds, member))
            S[place] = one_of(group.rules, member).start(n, seed)[:slots].ravel()
    return S


def planes_of(group: Group, members: np.ndarray) -> np.ndarray:
    """Settings, and where each network stands: a row for each, with what all have in common written first."""
    constants, lam, targets = np.array([rule.constants() for rule in group.rules]), group.lam, group.target_errors
    common, known = np.zeros(plane_numbers.PLANES), constants.shape[1]
    common[:known], common[LAM], common[REST], common[TARGET] = constants[0], lam[0], 1.0 - lam[0], targets[0]
    common[[LAST_OBJECTIVE, BEST, STRIP_LEAST, LEAST]] = np.inf
    common[ALIVE] = 1.0
    planes = np.empty((len(members), plane_numbers.PLANES), group.net.dtype)
    planes[:] = common
    if len(constants) > 1:
        planes[:, :known] = constants[members]
    if len(lam) > 1:
        planes[:, LAM], planes[:, REST] = lam[members], 1.0 - lam[members]
    if len(targets) > 1:
        planes[:, TARGET] = targets[members]
    planes[:, PRESENT], planes[:, VALIDATING] = group.D.present(members), np.maximum(1, group.V.present(members))
    if group.adaptive:
        settings: Any = [(s.eta, s.grow, s.shrink, s.tolerance) for s in group.schedules]  # type: ignore[attr-defined]
        rows = np.array(settings)[members if len(settings) > 1 else 0]
        planes[:, [RATE, GROW, SHRINK, TOLERANCE]] = rows
    return planes


def watch_of(group: Group) -> plane_numbers.Watch:
    """When networks of a group stop, but for what stands in their planes."""
    early, limits = group.early, np.full(5, np.inf)
    limits[plane_numbers.PROGRESS] = -np.inf
    if early is not None:
        places = plane_numbers.GENERALIZATION_LOSS, plane_numbers.PROGRESS
        for place, value in zip(places, (early.generalization_loss, early.progress), strict=True):
            limits[place] = limits[place] if value is None else value
    limits[plane_numbers.PATIENCE] = min(group.patience, NEVER)
    if group.window:
        limits[plane_numbers.WINDOW_PATIENCE] = min(group.window.patience, NEVER)
        limits[plane_numbers.WINDOW_TOLERANCE] = group.window.tolerance
    every = early.every if early else 1
    return plane_numbers.Watch(every, limits.astype(group.net.dtype), group.stalls, group.ring)
