"""LearnerSetting: all that decides how a learner learns, but for its network; and the checks of its parts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_real, as_seed, check_held, describe
from ..kernels.drivers import READABLE
from ..kernels.layout import code_of_loss
from ..kernels.one.learner_state import State, make_state
from ..networks.evaluation import as_lam, as_loss, as_network
from ..networks.network import Network
from ..settings.rates import schedule_for
from ..settings.rules import Rule, as_rule
from ..settings.schedules import Constant, check_penalty
from ..training.setting import check_numbers


@dataclass(frozen=True)
class LearnerSetting:
    """All that decides how a learner learns, but for its network, by the names that ``OnlineLearner`` takes."""

    eta: float
    rule: Rule
    loss: str
    lam: float | None
    clip_gradient: float | None
    clip_weights: float | None
    seed: int

    def make_state(self, net: Network) -> tuple[State, np.ndarray]:
        """The state of a learner that starts from ``net``, and where each of its parameters stands in it."""
        most = (np.inf if value is None else value for value in (self.clip_gradient, self.clip_weights))
        numbers = (self.eta, *as_lam(self.lam), *most)
        return make_state(
            net.sizes, net._activations, net._parameters, code_of_loss(self.loss), self.rule, self.seed, numbers
        )

    def without_rule(self) -> dict[str, Any]:
        """All but the rule, as words of a file can say it."""
        words = asdict(self)
        del words["rule"]
        return words


def as_learner_setting(
    net: Network, *, eta: Any, rule: Any, loss: Any, lam: Any, clip_gradient: Any, clip_weights: Any, seed: Any
) -> LearnerSetting:
    """The setting that these arguments of a learner from ``net`` stand for."""
    as_network(net)
    if READABLE:
        raise RuntimeError("OnlineLearner: needs the JIT, and NUMBA_DISABLE_JIT is set")
    rule = as_rule(rule)
    if rule.accumulated_only:
        raise ValueError(f'rule: "{rule.name}" compares gradients of all samples; it cannot learn from one')
    loss = as_loss(loss, net)
    rate = schedule_for(eta, rule, net.sizes, net._activations, loss)
    if not isinstance(rate, Constant):
        raise TypeError(f"eta: expected a number, got {describe(eta)}: a learner knows no epochs")
    lams = as_lam(lam)
    check_penalty(rate.eta, lams[1])
    most = {"clip_gradient": clip_gradient, "clip_weights": clip_weights}
    most = {name: None if value is None else as_real(name, value, above=0) for name, value in most.items()}
    check_numbers(net.dtype, rule, rate, lams)
    for name, value in most.items():
        if value is not None:
            check_held(name, value, net.dtype)
    lam = None if lam is None else lams[0]
    return LearnerSetting(eta=rate.eta, rule=rule, loss=loss, lam=lam, seed=as_seed("seed", seed), **most)
