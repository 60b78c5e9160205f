"""Steps of a training laid open: every quantity of each, under names of its own. ``lay_open`` does it for one sample,
``trace`` for the updates of a training.

The terms of a sample come from the lines of ``readable.online``, what an update adds from those of ``readable.batch``,
and the new parameters from training itself; of steps by Levenberg–Marquardt, Δ too (``damping.py``). The records they
go into stand in ``laid_open.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..common.arguments import as_integer
from ..kernels.layout import SOFTMAX, Units, code_of_loss
from ..kernels.readable import line_by_line
from ..kernels.state import TOTAL, UPDATES, Samples, Steps
from ..networks.architecture import views
from ..networks.evaluation import as_loss, as_network, as_samples, measure, no_samples, objective_of
from ..networks.network import Network
from ..settings.rules import SETTINGS, Rule, SecondOrder
from ..settings.schedules import AdaptiveRate, Schedule
from ..training.fit import Fit
from ..training.loop import take_up
from ..training.second_order import DampedSession
from ..training.session import Session
from ..training.setting import as_setting
from .damping import DampedUpdate, check_traceable, damped_updates_of
from .laid_open import LaidOpen, Layer, RuleInStep, Step, Trace, net_inputs_of
from .stepping import Update, updates_of

MOST_NUMBERS = 1 << 27  # of a trace, 1 GiB


def lay_open(net: Network, x: Any, y: Any, loss: str | None = None) -> LaidOpen:
    """Every quantity of one sample, forward and backward, layer by layer.

    Parameters
    ----------
    net : the network
    x : (d,) inputs
    y : (l,) targets, a number if l = 1, or a class number with softmax outputs
    loss : as for ``train``

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    The worked example, a 2-2-2 network computed by hand:

    >>> import bpjit
    >>> net = bpjit.Network.from_arrays(
    ...     [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35, -0.35], [-0.60, -0.60]])
    >>> sample = bpjit.lay_open(net, [0.05, 0.10], [0.01, 0.99])
    >>> hidden, output = sample.layers
    >>> hidden.outputs.round(6).tolist(), output.gradient_terms.round(6).tolist(), round(sample.error, 6)
    ([0.59327, 0.596884], [-0.138499, 0.038098], 0.298371)
    """
    net = as_network(net)
    loss = as_loss(loss, net)
    D = as_samples(net, [x], [y], loss, names=("x", "y"))
    return lay_open_at(net, net.parameters.copy(), D.X[0], D.Y[0], loss, 0)


def lay_open_at(
    net: Network,
    vector: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    number: int,
    gradient: np.ndarray | None = None,
) -> LaidOpen:
    """As ``lay_open``, for a sample ready for the kernels and a network with these parameters. Adds −∂E_k/∂p to
    ``gradient``."""
    layers, u = net._architecture.layers, net._architecture.units()
    line_by_line.forward(layers, vector, x, u)
    error = line_by_line.errors(layers, code_of_loss(loss), y, u)
    line_by_line.backward(layers, vector, u)
    if gradient is not None:
        line_by_line.collect(layers, u, gradient)
    # What comes back stands nowhere: once more, with all slopes 1.
    above = u._replace(slope=np.ones_like(u.slope), g=u.g.copy())
    for index in range(1, len(layers)):
        line_by_line.backward(layers[index - 1 : index + 1], vector, above)
    whole, sums = net_inputs_of(layers, vector, u)
    records = tuple(
        layer_of(net, index, vector, u._replace(z=whole), sums, above.g if index + 1 < len(layers) else None)
        for index in range(len(layers))
    )
    return LaidOpen(number, x, y, loss, float(error), records)


def layer_of(
    net: Network, index: int, vector: np.ndarray, u: Units, sums: np.ndarray, backs: np.ndarray | None
) -> Layer:
    """The record of one layer from the arrays of all units."""
    layer, (weights, thresholds) = net._architecture.layers[index], views(vector, net.sizes)[index]
    below = slice(int(layer["below"]), int(layer["below"] + layer["fan_in"]))
    here = slice(int(layer["here"]), int(layer["here"] + layer["fan_out"]))
    return Layer(
        number=index + 1,
        activation=net._activations[index],
        inputs=u.b[below].copy(),
        weights=weights,
        thresholds=thresholds,
        sums=sums[here].copy(),
        net_inputs=u.z[here].copy(),
        outputs=u.b[here].copy(),
        slopes=None if layer["activation"] == SOFTMAX else u.slope[here].copy(),
        backs=None if backs is None else backs[here].copy(),
        gradient_terms=u.g[here].copy(),
    )


def trace(
    net: Network,
    X: Any,
    Y: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    eta: float | Schedule | None = None,
    updates: str | int | None = None,
    loss: str | None = None,
    rule: str | Rule = "sgd",
    lam: float | None = None,
    trainable: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    resume: Fit | None = None,
    train_thresholds: bool = True,
    shuffle: bool = True,
    seed: int = 0,
) -> Trace:
    """Train for some updates and lay open each of them.

    Parameters
    ----------
    net : the network to start from; it stays as it is
    X, Y : samples as for ``train``; a single one of shape (d,) will do
    steps : how many updates; 1 unless ``epochs`` says otherwise
    epochs : how many epochs, instead
    eta, updates, loss, rule, lam, trainable, train_thresholds, shuffle, seed : as for ``train``, with its defaults
    sample_weight, class_weight : as for ``train``; with rules "lm" and "br" alone
    resume : a fit to go on from, as for ``train``: so any epoch of a training can be laid open

    Returns
    -------
    Trace, which prints as text and compares a learner's own numbers with its own

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came
    FloatingPointError : an update takes a parameter beyond all numbers

    Notes
    -----
    The parameters of each step are those of ``train`` with the same arguments, to the last bit. The quantities between
    them come from the readable kernels, which call the same formulas but add in another order than the SIMD kernels
    that train: they may differ from what those had in registers in the last digits.

    With rules "lm" and "br" a step is an epoch. It shows the residuals r, the Jacobian J, the Gauss–Newton matrix, the
    gradient and each attempt: its μ, its system, Δ, E there, whether it was taken. Networks may have up to 16
    parameters to train, for the matrices have a column for each. All is float64, as the rule computes; H, ∇, each μ and
    each Δ are those of ``train``, to the last bit. Where the rule ends the training, so does the trace, with a last
    step that none of its attempts took. "lbfgs" and "scg" have no trace.

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    >>> print(bpjit.trace(net, [[3.0]], [[4.0]], eta=0.05))
    Network 1-1
    ===========
      layer 1: identity  f(z)=z,  f'(z)=1
      loss: squared
      rule: sgd          Δw=η D
    <BLANKLINE>
    step 1, epoch 1, η = 0.05
    =========================
    <BLANKLINE>
      sample 1
        x = (3)
        y = (4)
        forward, outputs
          β_1 = Σ_i w_i1 x_i = 2·3           = 6
          ŷ_1 = f(β_1−θ_1)   = f(6−1) = f(5) = 5
        error
          E_k = ½Σ_j(ŷ_j−y_j)² = ½[(5−4)²] = 0.5
        gradient terms of the outputs
          g_1 = f'(β_1−θ_1)(y_1−ŷ_1) = 1·(4−5) = −1
    <BLANKLINE>
      updates
        updates, outputs
          Δw_11 = η g_1 x_1 = 0.05·(−1)·3 = −0.15
          Δθ_1  = −η g_1    = −0.05·(−1)  = 0.05
        new parameters, outputs
          w_11 ← w_11 + Δw_11 = 2 + (−0.15) = 1.85
          θ_1  ← θ_1 + Δθ_1   = 1 + 0.05    = 1.05
        after the step
          E = 0.125

    A step of Levenberg–Marquardt:

    >>> step = bpjit.trace(net, [[3.0], [1.0]], [[4.0], [0.0]], rule="lm")[0]
    >>> attempt = step.damped.attempts[0]
    >>> step.damped.residuals.tolist(), step.damped.jacobian.tolist(), attempt.mu, attempt.taken
    ([-1.0, -1.0], [[3.0, -1.0], [1.0, -1.0]], 0.001, True)
    >>> attempt.matrix.tolist(), attempt.delta.round(4).tolist(), float(f"{step.error_after:.3g}")
    ([[10.001, -4.0], [-4.0, 2.001]], [-0.001, 0.9975], 6.21e-07)
    """
    net = as_network(net)
    if steps is not None and epochs is not None:
        raise ValueError(f"epochs: expected steps or epochs, not both, got steps={steps} and epochs={epochs}")
    if isinstance(eta, AdaptiveRate):
        raise ValueError("eta: AdaptiveRate takes epochs back, which a trace does not show; expected another schedule")
    setting = as_setting(
        net,
        loss=loss,
        rule=rule,
        eta=eta,
        updates=updates,
        lam=lam,
        trainable=trainable,
        train_thresholds=train_thresholds,
        shuffle=shuffle,
        seed=seed,
        second_order=True,
    )
    damped = isinstance(setting.rule, SecondOrder)
    if damped:
        check_traceable(setting.rule, setting.trainable)
    else:
        refuse_weights(setting.rule, sample_weight=sample_weight, class_weight=class_weight)
    if np.ndim(X) == 1:
        X, Y = [X], [Y]
    D = as_samples(net, X, Y, setting.loss, sample_weight, class_weight)
    session = (DampedSession if damped else Session)(net, D, no_samples(D), 1, setting)
    if resume is not None:
        take_up(session, resume, net)
    size = min(setting.size or len(D.X), len(D.X))
    count = as_integer("epochs", epochs, low=1) * -(-len(D.X) // size) if epochs is not None else 1
    count = as_integer("steps", steps, low=1) if steps is not None else count
    if count * len(net.parameters) > MOST_NUMBERS // 8:
        raise ValueError(
            f"steps: {count} steps of {len(net.parameters)} parameters are more than can be kept; expected fewer"
        )
    return Trace(tuple(itertools.islice(steps_of(session), count)), setting)


def steps_of(session: Session) -> Iterator[Step]:
    """The updates of a training, laid open one after another as they are asked for."""
    if isinstance(session, DampedSession):
        return (lay_open_damped(session, update) for update in damped_updates_of(session))
    return (lay_open_update(session, update) for update in updates_of(session))


def refuse_weights(rule: Rule, **weights: Any) -> None:
    """Weights of samples have no place in the equations of the other rules."""
    for name, value in weights.items():
        if value is not None:
            raise ValueError(
                f'{name}: a trace shows weights of samples with rules "lm" and "br" alone; expected None with '
                f'"{rule.name}"'
            )


def lay_open_damped(session: DampedSession, update: DampedUpdate) -> Step:
    """One step of Levenberg–Marquardt laid open, or where it ended."""
    setting, D, p = session.setting, session.wide.D, update.net._parameters
    samples = tuple(
        lay_open_at(update.net, p, D.X[k], D.Y[k], setting.loss, int(D.numbers[k])) for k in range(len(D.X))
    )
    damped, after = update.damped, update.after.astype(np.float64)
    error, error_after = (measure(update.net, vector, D, setting.loss) for vector in (p, after))
    direction, delta = np.zeros_like(p), np.zeros_like(p)
    direction[damped.trained] = -damped.gradient / len(D.X)
    if damped.ended is None:
        delta[damped.trained] = damped.attempts[-1].delta
    return Step(
        number=int(update.before.counters[UPDATES]) + 1,
        epoch=update.epoch + 1,
        eta=float(setting.schedule.rates(np.array([update.epoch]))[0]),
        samples=samples,
        before=session.net.with_parameters(update.before.p),
        after=session.net.with_parameters(update.after),
        error=error,
        error_after=error_after,
        objective=objective_of(error, p, setting.lam),
        objective_after=objective_of(error_after, after, setting.lam),
        at=p,
        direction=direction,
        delta=delta,
        state=np.empty((0, len(p))),
        state_after=np.empty((0, len(p))),
        damped=damped,
    )


def lay_open_update(session: Session, update: Update) -> Step:
    """One update of a training laid open."""
    net, setting, D = session.net, session.setting, session.D
    before, number = update.before, int(update.before.counters[UPDATES]) + 1
    if not np.isfinite(update.after).all():
        raise FloatingPointError(f"eta: step {number} takes a parameter beyond all numbers; use a smaller eta")
    at = before.p
    if setting.rule.ahead is not None:
        at = setting.rule.ahead(before.p, before.slots, np.array(setting.rule.constants(), net.dtype))
    gradient = np.zeros_like(at)
    samples = tuple(
        lay_open_at(net, at, D.X[k], D.Y[k], setting.loss, int(D.numbers[k]), gradient) for k in update.places
    )
    steps = session.steps or Steps((), np.zeros(SETTINGS, net.dtype), None, 1, None, None)
    rule = RuleInStep(steps, before.scalars.copy(), before.slots.copy())
    rule.scalars[TOTAL] = sum(sample.error for sample in samples)
    direction, delta = rule.apply(gradient, at, before.p, update.eta, len(samples))
    here = Samples(*(array[update.places] for array in D))
    error, error_after = (measure(net, vector, here, setting.loss) for vector in (before.p, update.after))
    count = setting.rule.slots
    return Step(
        number=number,
        epoch=update.epoch + 1,
        eta=update.eta,
        samples=samples,
        before=net.with_parameters(before.p),
        after=net.with_parameters(update.after),
        error=error,
        error_after=error_after,
        objective=objective_of(error, before.p, setting.lam),
        objective_after=objective_of(error_after, update.after, setting.lam),
        at=at,
        direction=direction,
        delta=delta,
        state=before.slots[:count].copy(),
        state_after=update.slots[:count],
        _rule=rule,
    )
