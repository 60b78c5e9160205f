"""For engines that group by themselves: a function of the rows of one key."""

from __future__ import annotations

import json
from functools import partial
from inspect import signature
from typing import Any

from ..networks.scales import Scales
from .columns import Columns
from .fitting import fit_groups, setting_of
from .group_fit import fit_table
from .joining import PARTS
from .setting import GroupSetting
from .table import objects


class GroupWorker:
    """A function from the rows of one key, or of a few, to a table with a line for each key, for engines that group by
    themselves: Spark's ``applyInPandas``, Ray's ``map_groups``, a group-by of pandas. It uses one thread and shows no
    progress; it pickles. ``GroupFit.joined`` makes one fit of all lines.

    Parameters
    ----------
    key, inputs, outputs, ... : as for ``bpjit.fit_groups``, without ``threads``, ``executor``, ``progress``,
        ``fallback`` and ``shrinkage``: a worker sees no parent

    The table has the columns of the key; ``rows``, ``left_out``, ``epochs``, whole numbers; ``error``,
    ``validation_error``, floats; ``stopped_by``, ``note``, words; ``own``, a truth value; ``parameters``, ``scale``,
    ``digest``, bytes; ``setting``, words.

    Raises
    ------
    ValueError, TypeError : of wrong arguments, at once

    Examples
    --------
    >>> import numpy as np, bpjit
    >>> worker = bpjit.GroupWorker(key="pump", inputs="x", outputs="y", stop=100)
    >>> x = np.linspace(-1, 1, 30)
    >>> lines = worker({"pump": ["a"] * 30, "x": x, "y": x * x})          # the engine does this, for each group
    >>> bpjit.GroupFit.joined(lines)["a"].predict([0.5]).shape
    (1,)
    """

    def __init__(self, **settings: Any) -> None:
        for name in ("threads", "executor", "progress", "fallback", "shrinkage"):
            if name in settings:
                raise TypeError(f"{name}: expected none, as a worker has one thread and sees one key")
        self.settings = settings
        whole = signature(fit_groups).bind(None, **settings, fallback="none")
        whole.apply_defaults()
        self._setting = setting_of(whole.arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(GroupWorker, **self.settings), ()

    def __call__(self, frame: Any) -> Any:
        """The lines of the keys of a table, in its kind of frame."""
        fit = fit_table(self._setting, frame, None, 1, False)
        trained, setting, keys = fit._trained, fit._setting, fit._nodes.keys
        table: dict[str, Any] = {name: [key[place] for key in keys] for place, name in enumerate(setting.key)}
        table |= {name: getattr(trained, name).tolist() for name in PARTS}
        table["own"] = trained.own.tolist()
        table["parameters"] = [row.tobytes() for row in trained.parameters]
        table["scale"] = [_packed(trained.scales, number) for number in range(len(keys))]
        table["digest"] = [row.tobytes() for row in trained.digests]
        table["setting"] = [_said(setting)] * len(keys)
        return Columns("frame", frame).new({name: objects(values) for name, values in table.items()})


def _packed(scales: Scales | None, number: int) -> bytes:
    return b"" if scales is None else b"".join(array[number].tobytes() for array in scales.arrays.values())


def _said(setting: GroupSetting) -> str:
    *hidden, output = setting.like._activations
    like = {"sizes": setting.like.sizes, "hidden": hidden, "output": output, "dtype": setting.like.dtype.name}
    return json.dumps({"like": like, **setting.words()})
