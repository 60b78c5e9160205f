"""Compiling what training and prediction need, before a loop that must not wait."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from . import compiled
from .common.arguments import as_flag, quiet
from .kernels.state import Samples
from .learners.online_learner import OnlineLearner
from .many.train_many import compile_many
from .networks.evaluation import as_lam, as_loss, as_network, gradient_of, jacobian, no_samples
from .networks.network import Network
from .settings.rules import Rule, as_rule
from .settings.schedules import Constant
from .training.kinds import session_of_second_order
from .training.session import Session
from .training.setting import Setting, as_batch_size, as_trainable, check_numbers


@quiet
def compile(
    net: Network,
    *,
    updates: str | int | None = None,
    rule: str | Rule = "sgd",
    lam: float | None = None,
    loss: str | None = None,
    trainable: Any = None,
    train_thresholds: bool = True,
    learner: bool = False,
    many: bool = False,
) -> float:
    """Compile now what training and prediction with these settings need, before a loop that must not wait.

    Parameters
    ----------
    net : a network like the one to be used: of its dtype, and of about its size, for the smallest have kernels of
        their own; activations do not matter, but formulas of your own do
    loss : one of your own that ``train`` will get; others do not matter
    updates, rule, lam, trainable, train_thresholds : as ``train`` will get them
    learner : also what ``OnlineLearner`` and ``bpjit.compiled`` need for this rule
    many : also what ``train_many`` needs for networks like this one, all with the same data; the smallest have a kernel
        for each shape, each activation, and the loss that is usual for their outputs

    Returns
    -------
    Seconds it took: a few at the first time, some milliseconds where the disk cache has the machine code

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.random((2, 4, 1))
    >>> seconds = bpjit.compile(net, rule="adam")
    >>> fit = bpjit.train(net, [[0, 1]], [1], rule="adam", stop=1)  # starts at once
    """
    started = time.perf_counter()
    net = as_network(net)
    rule = as_rule(rule, second_order=True)
    mask = as_trainable(trainable, net, as_flag("train_thresholds", train_thresholds))
    size = as_batch_size(updates, rule)
    loss = "squared" if loss is None else as_loss(loss, net)
    setting = Setting(loss, rule, Constant(1.0), size, as_lam(lam), mask, shuffle=True, seed=0)
    check_numbers(net.dtype, rule, lam=setting.lam)
    X, Y = np.zeros((1, net.sizes[0]), net.dtype), np.zeros((1, net.sizes[-1]), net.dtype)
    D = Samples(X, Y, np.ones(1, net.dtype), np.zeros(1, np.uint64))
    (session_of_second_order(rule) or Session)(net, D, no_samples(D), 1, setting).compile()
    net.predict(np.zeros(net.sizes[0]))
    gradient_of(net, net._parameters, D, loss, setting.lam)
    jacobian(net, np.zeros(net.sizes[0]))
    if as_flag("learner", learner):
        one = OnlineLearner(net, rule=rule, eta=None if rule.default_eta is None else 1e-9, loss=loss, lam=lam)
        x, y_hat = X[0], np.zeros_like(Y[0])
        compiled.learn(one.state, x, Y[0])
        one.learn(x, Y[0])  # makes the update that waits
        one.predict(x)
        compiled.predict(one.state, x, y_hat)
        compiled.slopes(one.state, x, y_hat, np.zeros((len(y_hat), len(x)), net.dtype))
    if as_flag("many", many):
        compile_many(net, updates, rule, lam, trainable, train_thresholds)
    return time.perf_counter() - started
