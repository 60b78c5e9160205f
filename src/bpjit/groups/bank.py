"""GroupBank: the networks of a ``GroupFit`` go on learning from a stream, each with its own scale."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_input_numbers, as_targets
from ..learners.learner_bank import LearnerBank
from ..networks import storage
from ..networks.network import Network
from ..networks.networks import Networks
from ..networks.scale import ARRAYS
from ..networks.scales import Scales
from ..settings.rules import Rule
from ..settings.words import from_words as part_from_words
from ..settings.words import in_words as part_in_words
from .keys import Key, from_words, in_words
from .setting import GroupSetting

FORMAT, VERSION = "bpjit group bank", "1"  # of files


class GroupBank(LearnerBank):
    """A ``LearnerBank`` whose networks each have a scale: ``learn`` and ``predict`` take and give the user's units, and
    ``bank[key]`` carries the scale of its key. ``networks`` and ``snapshot`` are in the networks' own units.

    ``GroupFit.bank`` makes it; arguments as for ``LearnerBank``, with ``scales`` of all networks.
    """

    def __init__(
        self, networks: Networks, keys: Iterable[Hashable], *, scales: Scales | None = None, **settings: Any
    ) -> None:
        self._scales = scales
        super().__init__(networks, keys, **settings)

    def __getitem__(self, key: Hashable) -> Network:
        net = super().__getitem__(key)
        if self._scales is None:
            return net
        (row,) = self._keys.rows("key", [key])
        return Network(
            net.sizes, net.parameters, hidden=net.hidden, output=net.output, dtype=net.dtype, scale=self._scales[row]
        )

    def __repr__(self) -> str:
        return f"GroupBank({self._start!r}, rule {self._setting.rule.name})"

    def learn(self, ids: Any, X: Any, Y: Any) -> np.ndarray:
        """As ``LearnerBank.learn``, in the user's units; E_k is in those of the networks."""
        X, Y = self._in_units(ids, X, Y)
        return super().learn(ids, X, Y)

    def predict(self, ids: Any, X: Any) -> np.ndarray:
        """As ``LearnerBank.predict``, in the user's units."""
        (X,) = self._in_units(ids, X)
        y_hat = super().predict(ids, X)
        return y_hat if self._scales is None else self._scales[self._keys.rows("ids", ids)].unscale_targets(y_hat)

    def _in_units(self, ids: Any, X: Any, *Y: Any) -> tuple[Any, ...]:
        """Records in the units of their networks; as they are, where their number is wrong, which the bank will say."""
        rows, net = self._keys.rows("ids", ids), self._net
        X = as_input_numbers("X", X, net.sizes[0])
        if self._scales is None or len(X) != len(rows):
            return (X, *Y)
        scale, wide = self._scales[rows], np.dtype(np.float64)
        scaled = [scale.scale_inputs(X.astype(wide), wide)]
        for targets in Y:
            classes = net.output == "softmax"
            known = as_targets("Y", targets, len(rows), net.sizes[-1], wide, classes, missing=True)
            scaled.append(scale.scale_targets(known, wide))
        return tuple(scaled)

    def save(self, path: str | PathLike[str]) -> None:
        """As ``LearnerBank.save``, with the scales; see ``GroupBank.load``."""
        keys = [in_words(key if isinstance(key, tuple) else (key,)) for key in self.keys]
        setting, single = self._setting, not any(isinstance(key, tuple) for key in self.keys)
        tensors = {"start": self._start.parameters, "state": self.snapshot().state}
        tensors["keys"] = np.frombuffer(json.dumps(keys).encode(), np.uint8)
        if self._scales is not None:
            tensors |= {f"scales.{name}": array for name, array in self._scales.arrays.items()}
        words = {"rule": json.dumps(part_in_words(setting.rule)), "settings": json.dumps(setting.without_rule())}
        storage.save(path, FORMAT, VERSION, self._net._architecture, tensors, {**words, "single": json.dumps(single)})

    @classmethod
    def load(cls, path: str | PathLike[str], *, threads: int | None = None) -> GroupBank:
        """Read what ``save`` wrote; ``OSError`` if the file is missing, ``ValueError`` if damaged or foreign."""
        with storage.opened(path, FORMAT, VERSION) as file:
            tensors, start = file.tensors, file.tensors["start"]
            networks = Networks(file.sizes, start, dtype=start.dtype, **file.settings)
            keys: list[Any] = [from_words(key) for key in json.loads(tensors["keys"].tobytes())]
            if json.loads(file.words["single"]):
                keys = [key[0] for key in keys]
            arrays = {name: tensors[f"scales.{name}"] for name in ARRAYS if f"scales.{name}" in tensors}
            for row in range(len(networks)) if arrays else ():
                Scales(arrays)[row]  # says what is wrong with it
            rule = part_from_words(json.loads(file.words["rule"]), Rule)
            settings = json.loads(file.words["settings"]) | {"rule": rule, "threads": threads}
            bank = cls._of(networks, keys, settings | {"scales": Scales(arrays) if arrays else None}, tensors["state"])
        assert isinstance(bank, GroupBank)
        return bank

    def __reduce__(self) -> tuple[Any, ...]:
        _, (start, keys, settings, state) = super().__reduce__()
        return type(self)._of, (start, keys, settings | {"scales": self._scales}, state)


def bank_of(
    setting: GroupSetting, parameters: np.ndarray, scales: Scales | None, keys: Sequence[Key], given: dict[str, Any]
) -> GroupBank:
    """A bank that goes on from these networks; settings that are not given are those of the training."""
    training = setting.training
    rule = setting.group.rules[0]
    wanted: dict[str, Any] = {"loss": training["loss"], "lam": training["lam"], "seed": setting.seed}
    if rule.accumulated_only or setting.group.second_order:
        wanted |= {"rule": "sgd"}
    else:
        wanted |= {"rule": rule, "eta": None if rule.default_eta is None else float(setting.group.etas[0])}
    return GroupBank(Networks._of(setting.like._architecture, parameters), keys, scales=scales, **{**wanted, **given})
