"""TrainingWarning: what ``train`` says of its own accord, once, and only where nothing can come of a training."""

from __future__ import annotations

import math
import warnings

import numpy as np

from ..kernels.state import Large, Samples
from ..networks.network import Network
from .fit import Fit
from .setting import Setting

SLACK = 1e-3  # targets so little out of reach are rounded
CALLER = 4  # how far away the call of ``train`` is


class TrainingWarning(UserWarning):
    """A training that cannot succeed, or did not: targets that its outputs cannot reach, divergence, or a whole default
    length of epochs in which nothing was learnt. ``bpjit.diagnose`` says more."""


def warn_of_targets(net: Network, setting: Setting, D: Samples) -> bool:
    """Warn where outputs cannot reach the targets; says whether it did."""
    low, high = net._architecture.reach
    Y = D.source.seen.Y if isinstance(D, Large) else D.Y
    if setting.given_loss == "cross_entropy" or low == -math.inf or not isinstance(Y, np.ndarray):
        return False
    if np.fmin.reduce(Y, None) >= low - SLACK and np.fmax.reduce(Y, None) <= high + SLACK:
        return False
    from ..advice.checks import out_of_reach
    from ..advice.evidence import Evidence

    finding = out_of_reach(Evidence.before(net, setting, D))
    if finding is not None:
        warnings.warn(finding.say(), TrainingWarning, stacklevel=CALLER)
    return finding is not None


def warn_of_end(fit: Fit, by_default: bool) -> None:
    """Warn of a training that diverged, or that ran its length ``by_default`` and learnt nothing. A look at two errors
    decides whether there is anything to see."""
    diverged = fit.stopped_by == "diverged"
    if not diverged:
        if not by_default or fit.stopped_by != "MaxEpochs":
            return
        if fit.error < 0.9 * fit.errors[len(fit.errors) // 2]:
            return
    from ..advice.checks import findings
    from ..advice.evidence import Evidence

    seen = Evidence.of(fit)
    found = findings(seen)
    if found and (diverged or seen.rest > 0.97):
        warnings.warn(found[0].say(), TrainingWarning, stacklevel=CALLER)
