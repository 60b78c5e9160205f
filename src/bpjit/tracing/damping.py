"""A training by Levenberg–Marquardt one attempt at a time: the same session and kernel as ``train``, held after every
stage of an epoch.

What the kernel has then in its work space is taken from there: H, ∇, each μ and each Δ, so that they are those of
training, to the last bit. The residuals and the rows of J, which it folds away chunk by chunk, come from the readable
kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..kernels import gauss_newton
from ..kernels.layout import ACTIVATION_CODES
from ..kernels.one import damped_parts, damped_penalty
from ..kernels.readable import batch
from ..kernels.state import Memory
from ..networks.evaluation import measure
from ..networks.network import Network
from ..settings.rules import LevenbergMarquardt, Rule
from ..training.second_order import DampedSession
from ..training.setting import Setting
from .laid_open import Attempt, Damped

MOST_TRAINED = 16  # parameters: columns of a matrix that can be read


class DampedUpdate(NamedTuple):
    """One step of a training, or where it ended without one."""

    epoch: int  # epochs complete before it
    net: Network  # before it, in float64, without its scale
    before: Memory  # the whole state before it
    after: np.ndarray  # parameters after it, [shape: (all,)]
    damped: Damped


def check_traceable(rule: Rule, trained: np.ndarray) -> None:
    """Refuse what has no step that could be read."""
    if not isinstance(rule, LevenbergMarquardt):
        raise ValueError(
            f'rule: "{rule.name}", whose steps follow from those before them, has no trace; expected "lm", "br", or a '
            "rule of first order"
        )
    count = int(np.count_nonzero(trained))
    if count > MOST_TRAINED:
        raise ValueError(
            f'net: a trace of rule "{rule.name}" shows matrices with a row and a column for each parameter that is '
            f"trained, up to {MOST_TRAINED}, and here are {count}; take a smaller network, or let trainable= choose "
            "fewer of them; bpjit.train and bpjit.Objective take any number"
        )


def damped_updates_of(session: DampedSession) -> Iterator[DampedUpdate]:
    """Train until the rule ends it, and yield every step. Each is made when it is asked for."""
    while session.ended is None:
        before, epoch = session.mark().memory, session.epoch
        p = before.p.astype(np.float64)
        net = Network(session.net.sizes, p, hidden=session.net.hidden, output=session.net.output)
        collect(session)
        damped = damped_of(session, net)
        yield DampedUpdate(epoch, net, before, session.memory.p.copy(), damped)


def collect(session: DampedSession) -> None:
    """Up to the first system of an epoch, or to where the rule ends."""
    stage = session.work.stage
    while session.ended is None and stage[damped_parts.STAGE] != damped_parts.SOLVE:
        session.run_samples(1)
        if not session.finite:
            raise FloatingPointError("X, Y: the error of the network is beyond all numbers")


def damped_of(session: DampedSession, net: Network) -> Damped:
    """The rest of an epoch, laid open."""
    work, rule, p = session.work, session.rule, net._parameters
    normal, trained = work.normal, np.flatnonzero(session.setting.trainable)
    n, order = len(trained), np.argsort(normal.parameters)
    upper = np.triu(normal.H.reshape(-1, normal.size, normal.width)[0, :n, :n])
    H = (upper + np.triu(upper, 1).T)[np.ix_(order, order)]
    scale, penalty = map(float, damped_parts.weights_of(rule, work.state))
    gradient, gamma = -work.step[order], float(work.state[gauss_newton.GAMMA])
    D = session.wide.D
    y_hat, J = outputs_and_jacobian(net, D.X, session.setting)
    root = np.sqrt(D.c)[:, None]
    error_sum = float(work.found[damped_penalty.SUM])
    return Damped(
        trained=trained,
        c=D.c.copy(),
        residuals=(root * (D.Y - y_hat)).ravel(),
        jacobian=(root[:, :, None] * J).reshape(-1, len(p))[:, trained],
        curvature=H,
        scale=scale,
        penalty=penalty,
        gradient=gradient,
        objective=float(damped_penalty.objective(rule, work, p, error_sum)),
        attempts=tuple(attempts_of(session, scale * H, penalty, order)),
        mu_after=float(session.memory.slots[0, gauss_newton.MU]),
        gamma=gamma if rule.bayesian else None,
        ended=session.ended,
    )


def outputs_and_jacobian(net: Network, X: np.ndarray, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """ŷ, and ∂ŷ_j/∂p, or ∂z_j/∂p with cross-entropy, by the lines of BP, [shape: (m, l), (m, l, all)]."""
    layers, u, m = net._architecture.layers, net._architecture.units(), len(X)
    J = np.empty((m, net.sizes[-1], len(net._parameters)))
    if setting.given_loss == "cross_entropy":
        layers = layers.copy()
        layers["activation"][-1] = ACTIVATION_CODES["identity"]
    batch.jacobian(layers, net._parameters, X, False, u, J)
    return net.predict(X), J


def attempts_of(session: DampedSession, H: np.ndarray, penalty: float, order: np.ndarray) -> Iterator[Attempt]:
    """Each attempt of an epoch, as the kernel makes it."""
    work, epoch, n = session.work, session.epoch, len(order)
    stage, state, m = work.stage, work.state, len(session.D.X)
    while session.ended is None and session.epoch == epoch:
        mu = float(state[gauss_newton.MU])
        while stage[damped_parts.STAGE] == damped_parts.SOLVE and state[gauss_newton.MU] == mu:
            session.run_samples(1)
        A = H + (penalty + mu) * np.eye(n)
        if stage[damped_parts.STAGE] != damped_parts.TRY:
            yield Attempt(mu, A, None, None, None, False)
            continue
        delta, trial = work.step[order].copy(), work.trial.copy()
        while stage[damped_parts.STAGE] == damped_parts.TRY:
            session.run_samples(1)
        taken = session.epoch > epoch
        error_sum = float(work.found[damped_penalty.SUM]) if taken else m * measured(session, trial)
        objective = float(damped_penalty.objective(session.rule, work, trial, error_sum))
        yield Attempt(mu, A, delta, error_sum / m, objective, taken)


def measured(session: DampedSession, p: np.ndarray) -> float:
    """E of the network with these parameters, in float64."""
    return measure(session.net, p, session.wide.D, session.setting.loss)
