"""Setting: all that decides where a training goes, but for the network and the data; and the checks of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_choice, as_flag, as_integer, as_seed, check_held, describe, refuse_masked
from ..kernels.layout import is_where_known, loss_as_given
from ..networks.architecture import views
from ..networks.evaluation import as_lam, as_loss
from ..networks.network import Network
from ..settings.rates import schedule_for
from ..settings.rules import Rule, SecondOrder, as_rule
from ..settings.schedules import Schedule, check_penalty
from ..settings.stopping import Condition, EarlyStopping, GradientNorm, NoImprovement, TargetError
from ..settings.words import check_same, from_words, in_words


@dataclass(frozen=True)
class Setting:
    """All that decides where a training goes, but for the network and the data."""

    loss: str
    rule: Rule
    schedule: Schedule
    size: int | None  # samples in a batch; None is all
    lam: tuple[float, float]
    trainable: np.ndarray  # bool, [shape: (n,)]
    shuffle: bool
    seed: int

    @property
    def updates(self) -> str | int:
        """As the user says it: "stochastic", "accumulated", or the size of a batch."""
        return "accumulated" if self.size is None else "stochastic" if self.size == 1 else self.size

    @property
    def given_loss(self) -> str:
        """The loss as the user says it."""
        return loss_as_given(self.loss)

    @property
    def missing(self) -> str | None:
        """What becomes of targets that are not known, as the user says it."""
        return "ignore" if is_where_known(self.loss) else None

    @property
    def given_lam(self) -> float | None:
        """λ as the user says it, or None."""
        return None if self.lam[1] == 0.0 else self.lam[0]

    def _as_given(self) -> dict[str, Any]:
        """The settings as the user may have given them to ``train``."""
        return {
            "loss": self.given_loss,
            "missing": self.missing,
            "rule": self.rule,
            "eta": self.schedule,
            "updates": self.updates,
            "lam": self.given_lam,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "trainable": self.trainable,
        }

    def check_same(
        self, then: Setting, made: str = "the fit to resume was made", instead: str = "start anew from resume.network"
    ) -> None:
        """Raise ``ValueError`` unless these settings go on exactly from those of an earlier fit."""
        check_same(self._as_given(), then._as_given(), made, instead)

    def words(self) -> dict[str, Any]:
        """All but ``trainable``, which is an array, as JSON can say it; ``setting_of`` reads it."""
        said = {name: value for name, value in self._as_given().items() if name != "trainable"}
        return {**said, "loss": str(self.given_loss), "rule": in_words(self.rule), "eta": in_words(self.schedule)}


def setting_of(net: Network, words: dict[str, Any], trainable: np.ndarray) -> Setting:
    """The setting of a training of ``net`` that ``Setting.words`` said."""
    rule = from_words(words["rule"], Rule)
    eta = None if rule.default_eta is None else from_words(words["eta"], Schedule)
    given = {**words, "rule": rule, "eta": eta, "trainable": trainable, "train_thresholds": True}
    return as_setting(net, **given, second_order=True)


def as_setting(
    net: Network,
    *,
    loss: Any,
    rule: Any,
    eta: Any,
    updates: Any,
    lam: Any,
    trainable: Any,
    train_thresholds: Any,
    shuffle: Any,
    seed: Any,
    missing: Any = None,
    second_order: bool = False,
) -> Setting:
    """The setting that these arguments of ``train`` stand for; only some can run a rule of ``second_order``."""
    loss, rule = as_loss(loss, net, missing), as_rule(rule, second_order)
    if isinstance(rule, SecondOrder):
        rule.check(loss_as_given(loss), lam)
    setting = Setting(
        loss=loss,
        rule=rule,
        schedule=schedule_for(eta, rule, net.sizes, net._activations, loss),
        size=as_batch_size(updates, rule),
        lam=as_lam(lam),
        trainable=as_trainable(trainable, net, as_flag("train_thresholds", train_thresholds)),
        shuffle=as_flag("shuffle", shuffle),
        seed=as_seed("seed", seed),
    )
    if rule.default_eta is not None:
        check_penalty(setting.schedule.eta, setting.lam[1])
    check_numbers(net.dtype, rule, setting.schedule, setting.lam)
    return setting


def check_numbers(
    dtype: Any,
    rule: Rule | None = None,
    schedule: Schedule | None = None,
    lam: tuple[float, float] = (1.0, 0.0),
    conditions: Iterable[Condition] = (),
) -> None:
    """Refuse settings that a network's dtype cannot hold: an η that is 0 there trains nothing, a β that is 1 forgets
    nothing. λ may be 1 there, for kernels hold 1 − λ beside it."""
    held = [("lam", lam[0], None), *(rule.held() if rule else ()), *(schedule.held() if schedule else ())]
    for item in conditions:
        for name in HELD.get(type(item), ()):
            value = getattr(item, name)
            if value is not None:
                held.append((f"{type(item).__name__}'s {name}", value, None))
    for name, value, apart in held:
        check_held(name, value, dtype, apart)


HELD: dict[type[Condition], tuple[str, ...]] = {  # what conditions compare with numbers of the network's dtype
    TargetError: ("error",),
    NoImprovement: ("tolerance",),
    EarlyStopping: ("generalization_loss", "progress"),
    GradientNorm: ("norm",),
}


def as_batch_size(updates: Any, rule: Rule) -> int | None:
    """Samples in a batch, None for all of them. Where nothing is said it is what the rule needs, or else 1."""
    if updates is None:
        return None if rule.accumulated_only else 1
    if isinstance(updates, str):
        as_choice("updates", updates, ("stochastic", "accumulated"))
        size = 1 if updates == "stochastic" else None
    elif isinstance(updates, (int, np.integer)) and not isinstance(updates, bool):
        size = as_integer("updates", updates, low=1)
    else:
        raise TypeError(
            f'updates: expected "stochastic", "accumulated", a batch size >= 1 or None, got {describe(updates)}'
        )
    if rule.accumulated_only and size is not None:
        raise ValueError(
            f'updates: rule "{rule.name}" needs the gradient of all samples; expected "accumulated" or None'
        )
    return size


def as_trainable(trainable: Any, net: Network, thresholds_too: bool) -> np.ndarray:
    """A boolean for each parameter."""
    n = len(net.parameters)
    expected = (
        f"{n} booleans, or a list of {len(net.weights)} entries, one for each layer: True, False or a pair of masks"
    )
    refuse_masked("trainable", trainable, expected)
    mask = np.ones(n, bool)
    places = views(np.arange(n), net.sizes)
    if trainable is None:
        pass
    elif isinstance(trainable, np.ndarray) and trainable.dtype == bool and trainable.shape == (n,):
        mask = trainable.copy()
    elif isinstance(trainable, (list, tuple)) and len(trainable) == len(places):
        for entry, (weights, thresholds) in zip(trainable, places, strict=True):
            pair = entry if isinstance(entry, (list, tuple)) and len(entry) == 2 else (entry, entry)
            for part, place in zip(pair, (weights, thresholds), strict=True):
                try:
                    part = np.asarray(part)
                except ValueError:  # a ragged list
                    part = np.array(None)
                if part.dtype != bool or part.shape not in ((), place.shape):
                    raise ValueError(f"trainable: expected {expected}, got {describe(part)} for shape {place.shape}")
                mask[place] = part
    else:
        error = ValueError if isinstance(trainable, (np.ndarray, list, tuple)) else TypeError
        raise error(f"trainable: expected {expected}, got {describe(trainable)}")
    if not thresholds_too:
        for _, thresholds in places:
            mask[thresholds] = False
    if not mask.any():
        raise ValueError("trainable: expected at least one parameter to train, got none")
    return mask
