"""What all networks of a ``GroupFit`` share: columns, their kind, how they are trained and what they fall back to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_flag, as_integer, as_real, as_seed, describe
from ..many.given import Given
from ..many.groups import Group
from ..networks.architecture import Architecture
from ..networks.columns import Columns as NamedColumns
from ..networks.initial import initial_parameters
from ..networks.network import Network
from ..networks.scale import Scale
from ..settings.rules import Rule
from ..settings.schedules import Schedule
from ..settings.stopping import Condition, StopEvent
from ..settings.words import from_words, in_words
from .keys import Key, seeds_of

FALLBACKS = ("parent", "none", "error")
LARGEST = 1e140  # of numbers whose spread float64 can hold, however many they are
REACH = 3.0**0.5  # of numbers spread evenly, when they are standardised: where Nguyen and Widrow's start ends
TRAINING = ("eta", "updates", "loss", "rule", "lam", "stop", "validation", "shuffle")  # as ``train_many`` takes them


@dataclass(frozen=True, eq=False)
class GroupSetting:
    """Settings that are checked; ``training`` as they came."""

    key: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    like: Network  # a network of their kind, without a scale
    init: Any
    scale: bool
    min_rows: int
    parent_rows: int
    fallback: str
    shrinkage: float | None
    seed: int
    training: dict[str, Any]
    group: Group  # how they are trained, with one network and no data that count
    share: float | None  # of the rows of each, held out to validate on
    conditions: Sequence[Condition]

    @property
    def scales_targets(self) -> bool:
        """Targets are standardised where outputs can follow them anywhere."""
        return self.scale and self.like._architecture.reach == (-np.inf, np.inf)

    @cached_property
    def largest(self) -> np.ndarray:
        """The largest number that is learnt from in each column, inputs first."""
        most = np.array([LARGEST, np.finfo(self.like.dtype).max])
        kinds = [0 if self.scale else 1] * len(self.inputs) + [0 if self.scales_targets else 1] * len(self.outputs)
        return most[kinds]

    @property
    def probabilities(self) -> bool:
        return self.group.loss == "cross_entropy"

    def scaled(self, scale: Scale) -> Network:
        """A network like them with this scale."""
        return Network._of(replace(self.like._architecture, scale=scale), self.like._parameters)

    def network(self, scale: Scale | None, parameters: np.ndarray) -> Network:
        """One of them, as users have it: it knows the columns by their names."""
        columns = NamedColumns(self.inputs, self.outputs)
        architecture = replace(self.like._architecture, scale=scale, columns=columns)
        return Network._of(architecture, parameters.copy())

    def starts(self, keys: Sequence[Key]) -> np.ndarray:
        """The parameters that the networks of these keys start from, [shape: (keys, n)]."""
        ends = (-REACH, REACH) if self.scale and self.init == "nguyen_widrow" else None
        vectors = initial_parameters(self.like._architecture, self.init, seeds_of(keys, self.seed), ends)
        return vectors.astype(self.like.dtype)

    # --- As words of a file.

    def words(self) -> dict[str, Any]:
        """All that ``as_group_setting`` needs, as JSON can say it."""
        words = {name: getattr(self, name) for name in SAID}
        if isinstance(self.init, tuple):
            words["init"] = list(self.init)
        training = dict(self.training)
        training["rule"] = in_words(self.group.rules[0])
        if isinstance(training["eta"], Schedule):
            training["eta"] = in_words(training["eta"])
        training["loss"] = None if training["loss"] is None else str(training["loss"])
        training["stop"] = [in_words(item) for item in self.conditions if not isinstance(item, StopEvent)]
        return {**words, "training": training}


SAID = (
    "key",
    "inputs",
    "outputs",
    "init",
    "scale",
    "min_rows",
    "parent_rows",
    "fallback",
    "shrinkage",
    "seed",
)


def from_file(words: dict[str, Any], architecture: Architecture) -> GroupSetting:
    """The setting that ``words`` said."""
    training = dict(words["training"])
    training["rule"] = from_words(training["rule"], Rule)
    if isinstance(training["eta"], list):
        training["eta"] = from_words(training["eta"], Schedule)
    training["stop"] = [from_words(words, Condition) for words in training["stop"]]
    rest = {name: words[name] for name in SAID}
    if isinstance(rest["init"], list):
        rest["init"] = tuple(rest["init"])
    return as_group_setting(architecture, **rest, training=training)


def as_names(name: str, value: Any) -> tuple[str, ...]:
    """Names of columns: one, or a list of them."""
    expected = "the name of a column, or a list of them"
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(each, str) for each in names):
        raise TypeError(f"{name}: expected {expected}, got {describe(value)}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{name}: expected {expected}, all different, got {describe(value)}")
    return tuple(names)


def as_architecture(d: int, l: int, hidden: Any, activation: Any, output: Any, dtype: Any) -> Architecture:
    """That of networks with d inputs, l outputs and ``hidden`` units in one layer, or in each of several."""
    layers = hidden if isinstance(hidden, (list, tuple)) else [hidden]
    units = [as_integer("hidden", layer, low=1) for layer in layers]
    return Architecture.of((d, *units, l), activation, output, dtype, None)


def as_group_setting(architecture: Architecture, *, training: dict[str, Any], **given: Any) -> GroupSetting:
    """The setting that these arguments of ``fit_groups`` stand for."""
    columns = {name: as_names(name, given[name]) for name in ("key", "inputs", "outputs")}
    every = [column for names in columns.values() for column in names]
    if twice := sorted({column for column in every if every.count(column) > 1}):
        raise ValueError(f"inputs: expected columns that are not in key or outputs too, got {twice[0]!r}")
    seed, shrinkage = as_seed("seed", given["seed"]), given["shrinkage"]
    as_choice("fallback", given["fallback"], FALLBACKS)
    if shrinkage is not None:
        shrinkage = as_real("shrinkage", shrinkage, low=0)
        if given["fallback"] != "parent":
            raise ValueError('shrinkage: expected None, as it goes with fallback="parent"')
    l, n = architecture.sizes[-1], architecture.parameters
    initial_parameters(architecture, given["init"], seed)  # says what is wrong with it
    like = Network._of(architecture, np.zeros(n, architecture.dtype))
    X, Y = np.zeros((2, architecture.sizes[0])), np.full((2, l), 1.0 / max(2, l))
    checked = Given([like], X, Y, seed=seed, **training)
    if training["validation"] is not None and checked.share is None:
        raise TypeError(f"validation: expected a share such as 0.2, got {describe(training['validation'])}")
    return GroupSetting(
        **columns,
        like=like,
        init=given["init"],
        scale=as_flag("scale", given["scale"]),
        min_rows=as_integer("min_rows", given["min_rows"], low=1),
        parent_rows=as_integer("parent_rows", given["parent_rows"], low=1),
        fallback=given["fallback"],
        shrinkage=shrinkage,
        seed=seed,
        training=training,
        group=checked.groups()[0],
        share=checked.share,
        conditions=checked.conditions,
    )


def rule_of(setting: GroupSetting) -> Rule:
    """The rule that all are trained by."""
    rule: Rule = setting.group.rules[0]
    return rule
