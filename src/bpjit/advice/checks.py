"""The checks: each looks at the evidence for one fault, and gives a finding or nothing.

What a check says is the more telling the nearer it is to a cause: inputs of size 1000 saturate units, which makes all
outputs equal, which keeps E where it was; so 1000 is what is named first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..training.warning import SLACK
from .evidence import EPS, Evidence
from .finding import Finding

LARGE, VERY_LARGE, SMALL = 10.0, 30.0, 0.02  # sizes of inputs and targets, where 1 is usual
FLAT = 0.04  # of the largest slope: below it a unit is saturated
MOSTLY = 0.8  # share of saturated units that is most of them
FEW = 64  # samples that are compared pair by pair

Check = Callable[[Evidence], Finding | None]


def out_of_reach(seen: Evidence) -> Finding | None:
    """Targets that the outputs cannot reach."""
    low, high = seen.architecture.reach
    least, most = float(np.nanmin(seen.ranges.Y[0])), float(np.nanmax(seen.ranges.Y[1]))
    excess = max(low - least, most - high)
    if seen.loss == "cross_entropy" or not excess > SLACK:
        return None
    Y = seen.samples.Y
    share = float(((low - SLACK > Y) | (high + SLACK < Y)).mean())
    numbers = {"low": low, "high": high, "least": least, "most": most, "share": share, "output": seen.net.output}
    return Finding(
        1.0 if excess > 0.05 or share > 0.05 else 0.5,
        "targets out of reach",
        "targets go from {least:.4g} to {most:.4g}, but {output} outputs reach only {low:g} to {high:g}: {share:.0%} "
        "lie outside",
        'bring them into that range, or take output="identity" for numbers',
        numbers,
    )


def symmetric(seen: Evidence) -> Finding | None:
    """Hidden units that are all the same, and get the same updates for ever."""
    if seen.learnt:
        return None
    net = seen.start or seen.net
    weights, thresholds = net.weights, net.thresholds
    for number, (into, theta, out) in enumerate(zip(weights, thresholds, weights[1:], strict=False), 1):
        table = np.concatenate([into, theta[None], out.T]).astype(np.float64)
        width = table.shape[1]
        if width > 1 and np.ptp(table, axis=1).max() <= 1e-6 * max(np.abs(table).max(), EPS):
            return Finding(
                0.99,
                "symmetric start",
                "all {width} units of hidden layer {number} have the same weights, and so stay one and the same",
                "start from random weights, as Network.random does",
                {"width": width, "number": number},
            )
    return None


def sizes(seen: Evidence) -> Finding | None:
    """Inputs, or targets of outputs without limits, far from unit size."""
    if seen.learnt and not seen.diverged:
        return None
    inputs = seen.sizes_of_inputs
    column, largest = int(inputs.argmax()), float(inputs.max())
    targets = float(np.sqrt(np.square(seen.samples.Y.astype(np.float64)).mean()))
    number = {"column": column, "size": largest, "targets": targets}
    number |= {"least": float(seen.ranges.X[0, column]), "most": float(seen.ranges.X[1, column])}
    cure = "give the network scale=bpjit.Scale.standard(X, Y)"
    if largest > LARGE:
        telling = 0.985 if seen.diverged else 0.93 if largest > VERY_LARGE else 0.6
        what = "inputs are far from unit size: column {column} of X goes from {least:.4g} to {most:.4g}"
        return Finding(telling, "inputs far from unit size", what, cure, number)
    if largest < SMALL:
        what = "inputs are far from unit size: the largest column of X has a size of {size:.2g}"
        return Finding(0.9, "inputs far from unit size", what, cure, number)
    if targets > LARGE and not np.isfinite(seen.architecture.reach).all():
        telling = 0.985 if seen.diverged and targets > VERY_LARGE else 0.83 if targets > VERY_LARGE else 0.5
        what = "targets are far from unit size: {targets:.3g}"
        return Finding(telling, "targets far from unit size", what, cure, number)
    return None


def diverged(seen: Evidence) -> Finding | None:
    """Numbers beyond all bounds."""
    if not seen.diverged:
        return None
    size = float(max(seen.sizes_of_inputs.max(), np.abs(seen.samples.Y).max()))
    numbers = {
        "epoch": seen.epochs + 1,
        "size": size,
        "eta": seen.eta,
        "less": (seen.eta or 0.0) / 10,
        "rule": seen.rule,
    }
    if seen.eta is None:
        what = "training diverged in epoch {epoch}, by rule {rule} on inputs and targets of up to {size:.3g}"
        do = "try another rule, or scale=bpjit.Scale.standard(X, Y)"
        return Finding(0.98, "diverged", what, do, numbers)
    what = "training diverged in epoch {epoch}, with eta={eta:.3g} on inputs and targets of up to {size:.3g}"
    do = "try eta={less:.2g}, or scale=bpjit.Scale.standard(X, Y) where these are far from unit size"
    return Finding(0.98, "diverged: eta too large", what, do, numbers)


def jumping(seen: Evidence) -> Finding | None:
    """E that jumps, or rose: steps that are too long."""
    errors = seen.errors
    if errors is None or len(errors) < 6 or seen.learnt or seen.diverged or seen.eta is None:
        return None
    late = errors[len(errors) // 2 :]
    level, steps = float(np.median(late)), np.diff(late)
    jump = float(np.median(np.abs(steps))) / max(level, EPS)
    do = "eta={eta:.3g} is too large, try eta={less:.2g}"
    numbers = {
        "eta": seen.eta,
        "less": seen.eta / 10,
        "jump": jump,
        "constant": seen.constant_error,
        "error": seen.error,
    }
    if jump > 0.15 and (steps > 0).mean() > 0.25:
        return Finding(0.91, "E jumps: eta too large", "E jumps by {jump:.0%} from epoch to epoch", do, numbers)
    if seen.rest > 1.1 and seen.moved > 1.0 and not saturated_share(seen, at_start=True) > MOSTLY:
        what = "E ended at {error:.3g}, worse than the {constant:.3g} of one constant answer"
        return Finding(0.905, "E rose: eta too large", what, do, numbers)
    return None


def saturated_share(seen: Evidence, at_start: bool = False) -> float:
    """The share of outputs of hidden units that lie where their slope has vanished, in the layer with most of them."""
    layers = (seen.layers_at_start if at_start else seen.layers)[:-1]
    most = {"sigmoid": 0.25, "tanh": 1.0, "softsign": 1.0}
    shares = [
        float((layer.slope < FLAT * most[layer.activation]).mean()) for layer in layers if layer.activation in most
    ]
    return max(shares, default=0.0)


def saturated(seen: Evidence) -> Finding | None:
    """Hidden units that have no slope to learn by."""
    if seen.learnt or (share := saturated_share(seen)) <= MOSTLY:
        return None
    from_start = seen.start is None or saturated_share(seen, at_start=True) > MOSTLY / 2
    if from_start:
        what = "hidden units are saturated: {share:.0%} of their outputs have no slope"
        do = 'start from smaller weights, as init="glorot" does, and keep inputs near unit size'
        return Finding(0.88, "saturated units", what, do, {"share": share})
    what = "hidden units became saturated: {share:.0%} of their outputs have no slope"
    return Finding(0.65, "saturated units", what, "try a smaller eta, and keep inputs near unit size", {"share": share})


def dead(seen: Evidence) -> Finding | None:
    """relu units that are 0 for every sample."""
    if seen.learnt:
        return None
    for number, layer in enumerate(seen.layers[:-1], 1):
        if layer.activation != "relu":
            continue
        silent = np.asarray((layer.b <= 0).all(0))
        if silent.mean() >= 0.5:
            return Finding(
                0.92 if silent.all() else 0.7,
                "dead relu units",
                "{count} of {width} relu units of hidden layer {number} are 0 for every sample and learn nothing",
                'try a smaller eta, thresholds near 0, or hidden="leaky_relu"',
                {"count": int(silent.sum()), "width": len(silent), "number": number},
            )
    return None


def constant(seen: Evidence) -> Finding | None:
    """Outputs that are the same for every sample."""
    if seen.learnt:
        return None
    spread, wanted = seen.y_hat.std(0), seen.samples.Y.std(0)
    asked = wanted > EPS
    if not asked.any() or not (spread[asked] < 0.01 * wanted[asked]).all():
        return None
    numbers = {"spread": float(spread[asked].max()), "wanted": float(wanted[asked].max())}
    what = "outputs are constant: between samples they differ by {spread:.2g}, and targets by {wanted:.2g}"
    if seen.penalised:
        return Finding(0.89, "constant outputs", what, "the penalty is too strong: take lam nearer to 1", numbers)
    do = 'try another eta, rule="adam", other start weights, or scale=bpjit.Scale.standard(X, Y)'
    return Finding(0.75, "constant outputs", what, do, numbers)


def class_never_predicted(seen: Evidence) -> Finding | None:
    """A class that has samples but is never the answer."""
    Y, m = seen.samples.Y, len(seen.samples.Y)
    if seen.learnt or not _are_classes(seen):
        return None
    wanted = seen.architecture.unscaled.classes_of_outputs(Y)
    given = seen.architecture.unscaled.classes_of_outputs(seen.y_hat)
    classes, counts = np.unique(wanted, return_counts=True)
    missing = [(int(n), int(k)) for n, k in zip(counts, classes, strict=True) if n > 1 and k not in given]
    if not missing or len(classes) < 2:
        return None
    count, name = max(missing)
    return Finding(
        0.74,
        "class never predicted",
        "class {name} has {count} of {m} samples and is never predicted",
        'try class_weight="balanced", a larger eta, or more epochs',
        {"name": name, "count": count, "m": m},
    )


def _are_classes(seen: Evidence) -> bool:
    """Whether targets are those of classes: one 1 in each row and else 0, or two values around the cut."""
    Y = seen.samples.Y
    low, high = Y.min(), Y.max()
    if low == high or not ((low == Y) | (high == Y)).all():
        return False
    return bool((high == Y).sum(1).max() == 1) if Y.shape[1] > 1 else bool(low < seen.architecture.unscaled.cut <= high)


def zero_and_one(seen: Evidence) -> Finding | None:
    """Classes as 0 and 1 for outputs whose middle is 0."""
    Y, low = seen.samples.Y, seen.architecture.reach[0]
    if Y.shape[1] != 1 or seen.net.scale is not None or low != -1.0 or not ((Y == 0) | (Y == 1)).all():
        return None
    if not Y.any() or Y.all():
        return None
    return Finding(
        0.73,
        "classes 0 and 1",
        "targets are 0 and 1, but {output} outputs go from -1 to 1, and classify cuts them at 0",
        'take targets -1 and 1, or output="sigmoid"',
        {"output": seen.net.output},
    )


def hardly_fell(seen: Evidence) -> Finding | None:
    """E that is nearly what it was."""
    if seen.learnt or seen.diverged or not seen.rest > 0.5:
        return None
    numbers = {"rest": seen.rest, "moved": seen.moved, "epochs": seen.epochs, "more": (seen.eta or 0.0) * 10}
    other = 'try rule="adam", more hidden units, or more epochs'
    if seen.moved < 0.1 and seen.fall < 0.5:
        what = "E hardly fell in {epochs} epochs: steps are small, and moved the weights by {moved:.2g} of their length"
        do = other if seen.eta is None else 'try eta={more:.2g}, rule="adam", or more epochs'
        return Finding(0.87, "E hardly fell", what, do, numbers)
    if seen.rest > 0.97 or (seen.rest > 0.92 and seen.fall < 0.1):
        what = "E hardly fell: after {epochs} epochs it is {rest:.0%} of that of one constant answer"
        return Finding(0.6, "E hardly fell", what, other, numbers)
    if seen.errors is not None and len(seen.errors) > 2:
        back = seen.errors[-max(2, len(seen.errors) // 10)]
        numbers["pace"] = float(1.0 - seen.errors[-1] / back) if back > 0 else 0.0
        steadily = (np.diff(seen.errors[-max(3, len(seen.errors) // 5) :]) < 0).mean() > 0.9
        if steadily and numbers["pace"] > 0.03:
            what = "training ended too early: E still fell by {pace:.0%} over the last tenth of {epochs} epochs"
            return Finding(0.55, "ended too early", what, other, numbers)
    return None


def plateau(seen: Evidence) -> Finding | None:
    """A network that has room for all samples, stands still, and takes different ones for the same."""
    errors = seen.errors
    if errors is None or len(errors) < 50 or seen.learnt or seen.diverged or not seen.rest < 0.97:
        return None
    fell = 1.0 - float(errors[-1]) / max(float(errors[len(errors) // 2]), EPS)
    Y, count = seen.samples.Y, len(seen.samples.Y)
    if abs(fell) > 0.02 or count > FEW or seen.count > FEW or seen.architecture.parameters < Y.size:
        return None
    reach = float(np.ptp(Y))
    near = np.abs(seen.y_hat[:, None] - seen.y_hat[None]).max(2) < 0.05 * reach
    apart = np.abs(Y[:, None] - Y[None]).max(2) > 0.5 * reach
    same = (seen.samples.X[:, None] == seen.samples.X[None]).all(2)
    confused = (near & apart & ~same).any(1)
    residual = np.square(seen.y_hat - Y).sum(1)
    if (near & apart & same).any() or residual[confused].sum() < 0.5 * residual.sum():
        return None
    return Finding(
        0.86,
        "plateau",
        "E stands still at {error:.4g}: {confused} of {count} samples have the output of one with another target",
        "try another start, as multi_start does, or more hidden units",
        {"error": seen.error, "confused": int(confused.sum()), "count": count},
    )


def overfitting(seen: Evidence) -> Finding | None:
    """A validation error that rose early, or early stopping that ended at once."""
    errors, recorded = seen.validation_errors, seen.recorded
    if errors is None or recorded is None or seen.diverged:
        return None
    measured = np.flatnonzero(np.isfinite(errors))
    best = measured[int(errors[measured].argmin())]
    numbers = {"best": int(recorded[best]) + 1, "least": float(errors[best]), "last": float(errors[measured[-1]])}
    numbers |= {"epochs": seen.epochs}
    if seen.stopped_by == "EarlyStopping":
        if seen.network_epoch > 10 or seen.learnt or not seen.rest > 0.5:
            return None
        what = "early stopping ended the training at once: after {epochs} epochs, of which {best} was best"
        do = "give it more patience, a smaller eta, or validation data like those it learns from"
        return Finding(0.9, "early stopping at once", what, do, numbers)
    if recorded[best] + 1 > 0.5 * seen.epochs or not numbers["last"] > 1.2 * numbers["least"]:
        return None
    what = "validation error rose from {least:.3g} after epoch {best} to {last:.3g} after epoch {epochs}"
    do = "stop with bpjit.EarlyStopping(), take fewer hidden units, or a penalty lam"
    return Finding(0.78, "validation error rose", what, do, numbers)


CHECKS: tuple[Check, ...] = (
    out_of_reach,
    symmetric,
    sizes,
    diverged,
    jumping,
    saturated,
    dead,
    constant,
    class_never_predicted,
    zero_and_one,
    hardly_fell,
    plateau,
    overfitting,
)


def findings(seen: Evidence) -> list[Finding]:
    """What the checks found, the most telling first; nothing where no sample has all its targets."""
    if len(seen.samples.Y) == 0:
        return []
    with np.errstate(all="ignore"):
        found = [finding for check in CHECKS if (finding := check(seen)) is not None]
    return sorted(found, key=lambda finding: -finding.telling)
