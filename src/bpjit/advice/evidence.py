"""What is known of a training, and what follows from it: the evidence that the checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..kernels.state import Samples
from ..maths.own import activation_formula, is_of_net_input, loss_formula
from ..networks.architecture import Architecture, views
from ..settings.schedules import AdaptiveRate
from ..training.fit import Fit
from ..training.origin import ROWS, Ranges, sample_of
from ..training.setting import Setting

if TYPE_CHECKING:
    from ..networks.network import Network

MOST_OUTPUTS = 20_000  # of units on samples: each is a call of a formula
LEARNT = 0.1  # of the error of a constant: below it, a training went well
EPS = 1e-12


class Layer(NamedTuple):
    """A layer on the samples, each [shape: (m, units)]."""

    activation: str
    b: np.ndarray  # outputs
    slope: np.ndarray  # f'(z); NaN for softmax


@dataclass(frozen=True, eq=False)
class Evidence:
    """A training that has ended, or a network before one; data in the network's units."""

    net: Network  # as it was returned
    start: Network | None  # where it began, if that is known
    loss: str
    rule: str
    eta: float | None  # None where the rule has none, or it adapts
    penalised: bool
    count: int  # samples in all
    samples: Samples
    ranges: Ranges
    error: float = np.nan
    errors: np.ndarray | None = None  # of the epochs that were recorded
    validation_errors: np.ndarray | None = None
    recorded: np.ndarray | None = None  # the numbers of these epochs
    epochs: int = 0
    network_epoch: int = 0
    stopped_by: str = ""

    @classmethod
    def of(cls, fit: Fit) -> Evidence:
        """That of a training."""
        origin = fit._origin
        validated = np.isfinite(fit.validation_errors).any()
        samples, ranges = origin.seen(rows_for(fit.network))
        return cls(
            net=fit.network,
            start=origin.net,
            **told_by(fit._state["setting"]),
            count=origin.count,
            samples=known(samples),
            ranges=ranges,
            error=fit.error,
            errors=fit.errors,
            validation_errors=fit.validation_errors if validated else None,
            recorded=fit.recorded,
            epochs=fit.epochs,
            network_epoch=fit.network_epoch,
            stopped_by=fit.stopped_by,
        )

    @classmethod
    def before(cls, net: Network, setting: Setting, D: Samples) -> Evidence:
        """That of a training that has not begun."""
        few = known(sample_of(D, rows_for(net)))
        return cls(net, net, **told_by(setting), count=len(D.X), samples=few, ranges=Ranges.of(D))

    @property
    def architecture(self) -> Architecture:
        return self.net._architecture

    @property
    def diverged(self) -> bool:
        return self.stopped_by == "diverged"

    # --- Against a constant.

    @cached_property
    def constant_error(self) -> float:
        """E of outputs that are the same for all samples, the best such ones that are within reach; NaN where no
        sample has all its targets."""
        Y, c = self.samples.Y.astype(np.float64), self.samples.c.astype(np.float64)[:, None]
        if len(Y) == 0:
            return np.nan
        mean = (c * Y).sum(0) / c.sum()
        low, high = self.architecture.reach
        if self.loss == "cross_entropy":
            return float(_entropy(Y, mean, c, binary=self.net.output == "sigmoid"))
        if is_of_net_input(self.loss):
            return np.nan
        found = [
            float((c * _loss(self.loss, np.clip(y_hat, low, high), Y)).sum() / c.sum())
            for y_hat in (mean, np.median(Y, 0))
        ]
        return min(found)

    @cached_property
    def rest(self) -> float:
        """E as a share of that of a constant: 0 is perfect, 1 is nothing learnt; NaN if all targets are equal."""
        return self.error / self.constant_error if self.constant_error > EPS else np.nan

    @property
    def learnt(self) -> bool:
        """Whether it learnt well, so that nothing about its inside is worth a word."""
        return self.rest <= LEARNT or self.error <= EPS or bool(np.isnan(self.rest))

    @cached_property
    def fall(self) -> float:
        """How much of the first epoch's error is gone; 0 where that is not known."""
        if self.errors is None or len(self.errors) == 0 or not self.errors[0] > 0:
            return 0.0
        return float(1.0 - self.error / self.errors[0])

    # --- Inside the network.

    @cached_property
    def layers(self) -> list[Layer]:
        """All layers of the network on the samples."""
        return forward(self.net, self.samples.X)

    @cached_property
    def layers_at_start(self) -> list[Layer]:
        """Those of the network it began with."""
        return [] if self.start is None else forward(self.start, self.samples.X)

    @property
    def y_hat(self) -> np.ndarray:
        return self.layers[-1].b

    @cached_property
    def moved(self) -> float:
        """How far the parameters went, as a share of their length at the start; NaN if that is not known."""
        if self.start is None:
            return np.nan
        start, end = (net.parameters.astype(np.float64) for net in (self.start, self.net))
        return float(np.linalg.norm(end - start)) / max(float(np.linalg.norm(start)), EPS)

    @cached_property
    def sizes_of_inputs(self) -> np.ndarray:
        """√(mean x²) of each input."""
        return np.sqrt(np.square(self.samples.X.astype(np.float64)).mean(0))


def told_by(setting: Setting) -> dict[str, Any]:
    """What a setting says of a training."""
    rated = setting.rule.default_eta is not None and not isinstance(setting.schedule, AdaptiveRate)
    return {
        "loss": setting.given_loss,
        "rule": setting.rule.name,
        "eta": setting.schedule.eta if rated else None,
        "penalised": setting.lam[1] > 0.0,
    }


def known(D: Samples) -> Samples:
    """The samples all of whose targets are known."""
    rows = ~np.isnan(D.Y).any(1)
    return D if rows.all() else Samples(*(array[rows] for array in D))


def rows_for(net: Network) -> int:
    """How many samples are looked at."""
    return max(16, min(ROWS, MOST_OUTPUTS // sum(net.sizes)))


def forward(net: Network, X: np.ndarray) -> list[Layer]:
    """Every layer on samples in the network's units: Python's own numbers, so that nothing need be compiled."""
    found, b = [], X.astype(np.float64)
    with np.errstate(all="ignore"):
        for (weights, thresholds), name in zip(views(net.parameters, net.sizes), net._activations, strict=True):
            z = b @ weights.astype(np.float64) - thresholds
            if name == "softmax":
                b = np.exp(z - z.max(1, keepdims=True))
                b, slope = b / b.sum(1, keepdims=True), np.full_like(z, np.nan)
            else:
                formula = activation_formula(name)
                pairs = np.array([formula(number) for number in z.ravel().tolist()]).reshape(*z.shape, 2)
                b, slope = pairs[..., 0], pairs[..., 1]
            found.append(Layer(name, b, slope))
    return found


def _entropy(Y: np.ndarray, mean: np.ndarray, c: np.ndarray, binary: bool) -> Any:
    """Cross-entropy of the mean."""
    mean = np.clip(mean, EPS, 1.0 - EPS)
    each = -Y * np.log(mean)
    if binary:
        each = each - (1.0 - Y) * np.log(1.0 - mean)
    return (c * each).sum() / c.sum()


def _loss(name: str, y_hat: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """The loss of each output, by the formulas that train."""
    loss, pairs = (
        loss_formula(name),
        zip(np.broadcast_to(y_hat, Y.shape).ravel().tolist(), Y.ravel().tolist(), strict=True),
    )
    return np.array([loss(*pair)[0] for pair in pairs]).reshape(Y.shape)
