"""Intervals for predictions, from networks that have not seen a row: jackknife+, CV+, conformalised quantiles.

The rows are dealt to parts, and a network for each part learns from all others. It says of any x between which bounds
the target lies, low(x) ≤ high(x): its output ŷ alone, or two quantiles. The target of row i lies beyond those of the
network that has not seen it by R_i = max(low(x_i) − y_i, y_i − high(x_i)), which is |y_i − ŷ| where both are ŷ. With n
rows and k = ⌈level (n + 1)⌉, the interval at x goes from the (n + 1 − k)-th smallest low(x) − R_i to the k-th smallest
high(x) + R_i, each by the network that has not seen row i.

Sources: R. F. Barber, E. J. Candès, A. Ramdas & R. J. Tibshirani, Predictive inference with the jackknife+, Annals of
Statistics 49 (2021): equations (4) and (11). Y. Romano, E. Patterson & E. J. Candès, Conformalized quantile regression,
NeurIPS 2019, for R_i of quantiles; C. Gupta, A. K. Kuchibhotla & A. Ramdas, Nested conformal prediction and quantile
out-of-bag ensemble methods, Pattern Recognition 127 (2022), for such networks by parts.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..many.given import Given
from ..many.searches import deal_folds
from ..networks.network import Network
from ..networks.networks import Networks
from ..networks.scale import Scale
from ..training.held_out import as_share, held_out
from .chosen import trained

KINDS = "jackknife+", "cv+", "quantile"
FOLDS = 10
MOST_WEIGHTS = 1 << 23  # of networks trained at a time, one for each row
MOST_BOUNDS = 1 << 22  # that are sorted at a time
ROUNDING = 1e-9  # in binary 0.55 · 20 is a little more than 11
DTYPE = "float32"  # of these networks: no interval needs more digits


class Intervals(NamedTuple):
    """What the intervals at any x follow from."""

    networks: Networks  # one for each part of the rows, that learnt from the others
    part: np.ndarray  # of each row, [shape: (n,)]
    residuals: np.ndarray  # R_i, [shape: (n, l)]

    def at(self, X: np.ndarray, level: float) -> np.ndarray:
        """Both ends of each interval, [shape: (m, l, 2)]."""
        n, l = self.residuals.shape
        k = math.ceil(level * (n + 1) - ROUNDING)
        if k > n:
            raise ValueError(
                f"level: {n} rows allow {n / (n + 1):.4g} at most, got {level:g}; lower it, or fit on "
                f"{math.ceil(level / (1 - level) - ROUNDING)} rows or more"
            )
        ends = np.empty((len(X), l, 2))
        step = max(1, MOST_BOUNDS // (n * l))
        for first in range(0, len(X), step):
            low, high = bounds(self.networks.predict(X[first : first + step]), l)
            for end, sign, outer in ((0, -1.0, low), (1, 1.0, high)):
                beyond = sign * outer[self.part] + self.residuals[:, None]
                ends[first : first + step, :, end] = sign * np.partition(beyond, k - 1, axis=0)[k - 1]
        return ends


def bounds(outputs: np.ndarray, l: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which networks say that targets lie, [shape: (..., l) each]: the outputs; or, where there are twice as
    many, what ``as_outputs`` means by them."""
    outputs = outputs.astype(np.float64)
    return (outputs, outputs) if outputs.shape[-1] == l else (-outputs[..., l:], outputs[..., :l])


def parts_of(kind: str, n: int, seed: int) -> np.ndarray:
    """The part of each row, [shape: (n,)]."""
    if n < 2:
        raise ValueError(f"interval: leaving rows out needs 2 rows at least, got {n}")
    return np.arange(n) if kind == "jackknife+" else deal_folds(np.zeros(n), min(n, FOLDS), seed)


def start_for(kind: str, net: Network, X: np.ndarray, Y: np.ndarray, init: Any, seed: int) -> Network:
    """Where networks like this one start, for quantiles with outputs for both of each target."""
    sizes, output, scale = net.sizes, net.output, net.scale
    if kind == "quantile":
        sizes, output = (*sizes[:-1], 2 * sizes[-1]), "identity"  # what reaches a target need not reach its negative
        scale = None if scale is None else Scale.standard(X, np.hstack([Y, -Y]))
    return Network.random(sizes, net.hidden, output, init, seed, DTYPE, scale)


def intervals_of(
    start: Network, X: np.ndarray, Y: np.ndarray, part: np.ndarray, settings: dict[str, Any], threads: int | None
) -> Intervals:
    """Train one network without each part, all from the same start, with the same ``settings`` of ``train_many``.

    The start has an output for each column of Y, or two for quantiles, as its loss in the settings is then."""
    l, settings = Y.shape[1], dict(settings)
    targets, validation = as_outputs(Y, start), settings.pop("validation")
    share = as_share(validation)
    if share is None and validation is not None:
        validation = validation[0], as_outputs(validation[1], start)
    count, step = int(part.max()) + 1, max(1, MOST_WEIGHTS // len(X))
    vectors = []
    for first in range(0, count, step):
        learns = part != np.arange(first, min(first + step, count))[:, None]
        if share is not None:
            held = held_out_of_each(learns, share, settings["seed"])
            learns, validation = learns & ~held, (X, targets, held)
        nets, weights = Networks.of([start] * len(learns)), learns.astype(np.float64)
        given = Given(nets, X, targets, sample_weight=weights, validation=validation, **settings)
        found = trained(given, threads).networks
        assert isinstance(found, Networks)  # they have one shape
        vectors.append(found.parameters)
    networks = Networks._of(start._architecture, np.concatenate(vectors))
    outputs = np.empty(targets.shape)
    for number, network in enumerate(networks):
        rows = part == number
        outputs[rows] = network.predict(X[rows])
    low, high = bounds(outputs, l)
    return Intervals(networks, part, np.maximum(low - Y, Y - high))


def as_outputs(Y: np.ndarray, net: Network) -> np.ndarray:
    """What this network has for outputs: the targets, or these and their negatives, whose upper quantiles are the
    lower ones of the targets."""
    return Y if net.sizes[-1] == Y.shape[1] else np.hstack([Y, -Y])


def held_out_of_each(learns: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The share of the rows it learns from that is held out for each network to stop by, [shape: (networks, n)]."""
    held = np.zeros_like(learns)
    for row, there in zip(held, learns, strict=True):
        numbers = np.flatnonzero(there)
        row[numbers] = held_out(np.zeros(len(numbers), np.int64), numbers.astype(np.uint64), share, seed)
    return held
