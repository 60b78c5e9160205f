"""A ``fit_groups`` that is written from time to time while it trains, and goes on from there: the file is that of a
``GroupFit`` of the keys that are done; ``update`` does the rest."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

from ..common.arguments import describe
from ..common.checkpoints import Checkpoints, as_checkpoints, file_to_resume, resuming
from ..settings.stopping import TimeLimit
from ..settings.words import check_same
from .setting import GroupSetting
from .storing import load
from .training import Trained

INSTEAD = "start anew with another checkpoint"


def as_checkpoints_of_nodes(checkpoint: Any, every: Any) -> Checkpoints | None:
    """What ``checkpoint`` and ``checkpoint_every`` of ``fit_groups`` ask for."""
    checkpoints = as_checkpoints(checkpoint, every)
    if checkpoints is not None and checkpoints.epochs is not None:
        raise TypeError(
            "checkpoint_every: of fit_groups those keys are written that are done; expected a datetime.timedelta or "
            f"None, got {describe(every)}"
        )
    return checkpoints


def as_resumed(
    resume: Any, checkpoints: Checkpoints | None, setting: GroupSetting
) -> tuple[Trained, dict[Any, int]] | None:
    """What an earlier call wrote; None if it had not begun. ``ValueError`` if it was one with other settings."""
    if resume is None:
        return None
    if not isinstance(resume, (str, PathLike)):
        raise TypeError(f"resume: expected the path of a checkpoint, got {describe(resume)}; a GroupFit has update")
    path = file_to_resume(resume, checkpoints)
    if path is None:
        return None
    with resuming():
        then, nodes, trained, _ = load(path)
    check_same(_said(setting), _said(then), "the checkpoint was made", INSTEAD)
    return trained, {key: number for number, key in enumerate(nodes.keys)}


def _said(setting: GroupSetting) -> dict[str, Any]:
    """The arguments of ``fit_groups`` that decide what is trained, but for what is of one call only."""
    words = json.loads(json.dumps(setting.words()))
    training = words.pop("training")
    training["stop"] = [said for said in training["stop"] if said[0] != TimeLimit.__name__]
    *hidden, output = setting.like._activations
    like = {"hidden": list(setting.like.sizes[1:-1]), "activation": [str(name) for name in hidden]}
    return {**words, **like, "output": str(output), "dtype": setting.like.dtype.name, **training}
