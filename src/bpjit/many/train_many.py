"""train_many(): thousands of networks in one call, each with its own settings and its own share of the data.

The arguments become ``Group``s of networks that one kernel can train; threads take a few hundred networks of a group
at a time through all their epochs (``many_session``). Networks too large for lanes train one by one, as by ``train``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..common.arguments import as_flag, quiet
from ..common.console import Pressed, ctrl_c, progress_bar, share_ctrl_c
from ..kernels.lanes import packs
from ..kernels.state import Samples
from ..networks.evaluation import measure
from ..networks.machines import as_machine, target_of_data
from ..networks.network import Network
from ..networks.networks import Networks
from ..settings.schedules import Constant
from ..settings.stopping import Condition, Limits, MaxEpochs, TargetError, TimeLimit
from ..training.crew import Share, as_threads
from ..training.fit import Fit
from ..training.loop import Problem, run_training
from ..training.setting import Setting
from .fits import Fits
from .fits import gather as _gather
from .given import Given
from .groups import Data, Group, of
from .many_session import ManySession, Results


@quiet
def train_many(
    nets: Networks | Sequence[Network],
    X: Any,
    Y: Any,
    *,
    eta: Any = None,
    updates: str | int = "stochastic",
    loss: str | None = None,
    rule: Any = "sgd",
    lam: Any = None,
    stop: Any = None,
    max_epochs: Any = None,
    target_error: Any = None,
    validation: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    trainable: Any = None,
    train_thresholds: bool = True,
    shuffle: bool = True,
    seed: Any = 0,
    target: str = "auto",
    threads: int | None = None,
    progress: bool | None = None,
    history: bool = False,
    best_first: bool = False,
) -> Fits:
    """Train many networks in one call, each as ``train`` would train it alone.

    An argument marked * is one value for all networks, or a list with one for each.

    Parameters
    ----------
    nets : ``Networks``, or a list of ``Network`` whose shapes may differ
    X, Y : data for all networks, as for ``train``; or a list with a data set for each network
    eta* : learning rate η > 0, a schedule, or None for the rule's default
    updates, loss : as for ``train``
    rule* : as for ``train``
    lam* : the book's λ in (0, 1), or None
    stop : conditions for all networks: MaxEpochs, TargetError, EarlyStopping, NoImprovement, and TimeLimit and
        StopEvent for the whole call
    max_epochs* : at most so many epochs, instead of a MaxEpochs in ``stop``
    target_error* : stop at this error, instead of a TargetError in ``stop``
    validation : (X, Y) for all networks, or (list of X, list of Y); or (X, Y, mask) with a boolean mask (networks, m),
        True where a sample counts for a network: in a cross-validation, those it does not learn from. It is looked at
        after the epochs where EarlyStopping or ``history`` ask for it, and at the end
    sample_weight : (m,) weights c_k ≥ 0 for all networks, or (networks, m): a network's share of the data; a list where
        each has data of its own. A sample of weight 0 is absent
    class_weight : {class number: weight} or "balanced"
    trainable, train_thresholds : as for ``train``, for all networks
    shuffle : visit the samples in an order of its own in each epoch
    seed* : decides these orders. Networks of one seed share the orders, which is faster
    target : "cpu", "cuda", or "auto", the GPU where there is one and some seconds of work for it
    threads : how many threads to use, None for as many as there are cores; results do not depend on it
    progress : True shows a progress bar, False none, None on a terminal or in a notebook after two seconds
    history : keep the error of each epoch of each network
    best_first : return the networks in the order of ``Fits.ranking``

    Returns
    -------
    Fits. A network that diverges ends with its last finite parameters, and disturbs no other; Ctrl-C, TimeLimit and
    StopEvent end those that have not stopped, with what they have learnt.

    Raises
    ------
    ValueError, TypeError : naming the argument, and the network if it concerns one

    Notes
    -----
    Networks of one shape train in the lanes of vectors (``bpjit/kernels/lanes.py``): ``train`` and ``train_many`` agree
    to rounding. Results depend neither on the threads, nor on the order of networks, nor on which others there are.
    Networks of more than about a thousand parameters train one by one.

    Examples
    --------
    >>> import bpjit
    >>> nets = bpjit.Networks.random((2, 2, 1), 100, seed=0)
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fits = bpjit.train_many(nets, X, Y, eta=5.0, stop=[bpjit.MaxEpochs(2000), bpjit.TargetError(1e-3)])
    >>> bool((fits.stopped_by == "TargetError").sum() > 50)
    True
    >>> fits.best.classify(X)
    array([0, 1, 1, 0])
    """
    started = time.perf_counter()
    as_machine(target)
    target = target_of_data(target, X, Y, validation)
    if progress is not None:
        as_flag("progress", progress)
    given = Given(
        nets,
        X,
        Y,
        eta=eta,
        updates=updates,
        loss=loss,
        rule=rule,
        lam=lam,
        stop=stop,
        max_epochs=max_epochs,
        target_error=target_error,
        validation=validation,
        sample_weight=sample_weight,
        class_weight=class_weight,
        trainable=trainable,
        train_thresholds=as_flag("train_thresholds", train_thresholds),
        shuffle=as_flag("shuffle", shuffle),
        seed=seed,
        history=as_flag("history", history),
    )
    as_flag("best_first", best_first)
    wanted = as_threads(threads)
    groups = given.groups()
    target = as_machine(target, sum(work_of(group) for group in groups))
    results = [Results(group) for group in groups]
    with ctrl_c() as interrupted, progress_bar(progress, given.count, "network") as show:
        bench = bench_on(target)
        compile_seconds = sum(_compile(group, bench) for group in groups if bench.serves(group))
        limits = Limits(given.conditions, time.perf_counter())
        work = _Work(1 if target == "cuda" else wanted, interrupted, limits, show, bench)
        for group, result in zip(groups, results, strict=True):
            work.add(group, result)
        work.run(must=threads is not None)
    seconds = time.perf_counter() - started - compile_seconds
    fits = _gather(groups, results, given.count, seconds, compile_seconds, target)
    return fits.best_first() if best_first else fits


def compile_many(net: Network, updates: Any, rule: Any, lam: Any, trainable: Any, train_thresholds: bool) -> None:
    """Make sure the machine code for networks like this one is there."""
    nets = Networks._of(net._architecture, np.tile(net.parameters, (packs.width(net.dtype), 1)))
    X, Y = np.zeros((1, net.sizes[0])), np.full((1, net.sizes[-1]), 1.0 / net.sizes[-1])
    if net.scale is not None:
        X, Y = net.scale.arrays["input_offset"][None], net._architecture.unscaled_outputs(Y)
    given = Given(
        nets,
        X,
        Y,
        eta=None,
        updates=updates,
        loss=None,
        rule=rule,
        lam=lam,
        stop=None,
        max_epochs=[1] * len(nets),
        target_error=None,
        validation=None,
        sample_weight=None,
        class_weight=None,
        trainable=trainable,
        train_thresholds=train_thresholds,
        shuffle=True,
        seed=0,
        history=False,
    )
    for group in given.groups():
        if ManySession.serves(group):
            _compile(group, ManySession)


def bench_on(target: str) -> type[ManySession]:
    """The bench for a target."""
    if target == "cuda":
        from .cuda_seats import CudaManySession

        return CudaManySession
    return ManySession


def work_of(group: Group) -> float:
    """Multiply-adds of training a group to its last epoch, about; those that stop early count as if they did not."""
    most = np.minimum(group.epochs, 10_000).sum() * (len(group) / len(group.epochs))
    return 3.0 * float(most) * group.D.m * len(group.net.parameters)


def _compile(group: Group, bench: type[ManySession]) -> float:
    """Make sure the machine code for a group is there; returns the seconds it took."""
    started = time.perf_counter()
    wide, kind = packs.width(group.net.dtype, packs.NARROW) + 1, bench.kind_of(group)
    counts = [wide] if len(group) >= wide else []
    if len(group) < wide or not group.foreseen or len(group.epochs) > 1:  # few may be left
        counts.append(1)
    for count in counts:
        if (kind, count) not in _compiled:
            bench(group, np.arange(count), Results(group)).compile()
            _compiled.add((kind, count))
    return time.perf_counter() - started


_compiled: set[Any] = set()  # kinds of groups, and of how many networks


class _Work:
    """What threads do: some networks of a group each, until all are done."""

    def __init__(
        self,
        threads: int,
        interrupted: Pressed,
        limits: Limits,
        show: Callable[..., None],
        bench: type[ManySession],
    ) -> None:
        self.bench = bench
        self.threads, self.interrupted, self.limits, self.show = threads, interrupted, limits, show
        self.share, self.jobs, self.leader = Share(), list[Callable[[], None]](), threading.current_thread()
        self.done, self.lock = 0, threading.Lock()

    def is_set(self) -> bool:
        """Whether all that trains here must end soon: an event for ``train``, too."""
        return self.interrupted.is_set() or self.share.over

    def reason_to_end(self) -> str | None:
        """Why networks that have not stopped should."""
        return "interrupted" if self.is_set() else self.limits.reached()

    def report(self, stopped: int) -> None:
        """So many networks more are done."""
        with self.lock:
            self.done += stopped
        if threading.current_thread() is self.leader:
            self.show(self.done)

    def add(self, group: Group, results: Results) -> None:
        """Have a group trained."""
        if self.bench.serves(group):
            for members in self.bench.portions(group, self.threads):
                self.jobs.append(partial(self._train_some, group, members, results))
        else:
            for member in range(len(group)):
                self.jobs.append(partial(self._train_alone, group, member, results))

    def run(self, must: bool) -> None:
        """Do all that was added; with so many threads if they ``must``, else with those that can be had."""
        self.share.run(self.jobs, self.threads, must, lambda: self.show(self.done))

    @quiet
    def _train_some(self, group: Group, members: np.ndarray, results: Results) -> None:
        """Train some networks of a group at once."""
        self.bench(group, members, results).run(self.reason_to_end, self.report)

    @quiet
    def _train_alone(self, group: Group, member: int, results: Results) -> None:
        """Train a network too large for lanes."""
        reason = self.reason_to_end()
        if reason is None:
            with share_ctrl_c(self):
                results.keep(member, train_one(group, member, self.limits.deadline - time.perf_counter()))
        else:
            results.stopped_by[member] = reason
            results.errors[member] = error_of(group, group.D, member, results)
        if group.V.m > 0:
            results.validation_errors[member] = error_of(group, group.V, member, results)
        if reason is None:
            self.report(1)


def samples_of(group: Group, data: Data, member: int) -> Samples:
    """The data of one network, without the samples that are absent."""
    X, Y, c = data.of(member)
    if c is None:
        return Samples(X, Y, np.ones(len(X), group.net.dtype), data.numbers)
    there = c > 0
    return Samples(X[there], Y[there], c[there], data.numbers[there])


def error_of(group: Group, data: Data, member: int, results: Results) -> float:
    """E of a network as it is returned, on its own data."""
    return measure(group.net, results.parameters[member], samples_of(group, data, member), group.loss)


def train_one(group: Group, member: int, seconds: float) -> Fit:
    """Train one network of a group; ``seconds`` are left."""
    conditions: list[Condition] = []
    for item in group.conditions:
        if isinstance(item, MaxEpochs):
            item = MaxEpochs(int(of(group.epochs, member)))
        elif isinstance(item, TargetError):
            item = TargetError(float(of(group.targets, member)))
        elif isinstance(item, TimeLimit):
            item = TimeLimit(max(1e-6, seconds))
        conditions.append(item)
    lam = float(of(group.lam, member))
    setting = Setting(
        group.loss,
        of(group.rules, member),
        of(group.schedules, member) if group.schedules else Constant(float(of(group.etas, member))),
        group.size,
        (lam, 1.0 - lam),
        group.trainable,
        shuffle=group.shuffle,
        seed=int(of(group.seeds, member)),
    )
    net = group.net.with_parameters(group.start[member])
    D, V = (samples_of(group, data, member) for data in (group.D, group.V))
    return run_training(Problem(net, D, V, setting, conditions, group.D.m), history=None if group.history else 2)
