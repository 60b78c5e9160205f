"""train_many(): thousands of networks in one call, each with its own settings and its own share of the data.

The arguments become ``Group``s of networks that one kernel can train; threads take them in ``portions`` of a few
hundred through all their epochs. Networks too large for lanes train one by one, as by ``train``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_flag, quiet
from ..common.console import ctrl_c, progress_bar
from ..kernels.lanes import packs
from ..networks.machines import as_machine, target_of_data
from ..networks.network import Network
from ..networks.networks import Networks
from ..settings.stopping import Condition, Limits
from ..training.crew import Share, as_threads
from ..training.fit import Progress
from ..training.train import check_options, target_of_rule
from ..training.workers import target_of_workers
from .executors import Errand, Sending, numbers_of, parts_for
from .fits import Fits, gather
from .given import Given
from .groups import Group
from .journal import Journal, as_journal
from .portions import compile_for, run, train_alone
from .rounds import Rounds


@quiet
def train_many(
    nets: Networks | Sequence[Network],
    X: Any,
    Y: Any = None,
    *,
    eta: Any = None,
    updates: Any = None,
    loss: Any = None,
    rule: Any = "sgd",
    lam: Any = None,
    stop: Any = None,
    max_epochs: Any = None,
    target_error: Any = None,
    validation: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    missing: str | None = None,
    trainable: Any = None,
    resume: Fits | str | PathLike[str] | None = None,
    resumable: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | timedelta | None = None,
    shape_kernels: bool = True,
    train_thresholds: bool = True,
    shuffle: bool = True,
    seed: Any = 0,
    target: str = "auto",
    threads: int | None = None,
    executor: Any = None,
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
    eta* : learning rate η > 0, a schedule, or None for the one that ``train`` would choose for the network
    updates*, loss* : as for ``train``
    rule* : as for ``train``; those of second order too, all on the CPU
    lam* : the book's λ in (0, 1), or None
    stop : conditions for all networks: MaxEpochs, TargetError, EarlyStopping, NoImprovement, and TimeLimit and
        StopEvent for the whole call
    max_epochs* : at most so many epochs, instead of a MaxEpochs in ``stop``
    target_error* : stop at this error, instead of a TargetError in ``stop``
    validation : (X, Y) for all networks, or (list of X, list of Y); or (X, Y, mask) with a boolean mask (networks, m),
        True where a sample counts for a network: in a cross-validation, those it does not learn from; or a share of
        the samples such as 0.2, drawn by the seed of each network, as for ``train``. It is looked at after the epochs
        where EarlyStopping or ``history`` ask for it, and at the end
    sample_weight : (m,) weights c_k ≥ 0 for all networks, or (networks, m): a network's share of the data; a list where
        each has data of its own. A sample of weight 0 is absent; the row of one that is absent for all may hold NaN
    class_weight : {class number: weight} or "balanced"
    missing : "ignore" takes NaN in the targets for what is not known, as for ``train``
    trainable, train_thresholds : as for ``train``, for all networks
    resume : fits to go on from, exactly: 500 epochs and 500 more give the same bits as 1,000. Also some of them, as
        ``fits[numbers]``. ``nets`` must be their networks, and settings those they were made with; ``stop``,
        ``max_epochs`` and ``target_error`` are this call's, but for EarlyStopping and NoImprovement, which may be left
        out only. Epochs count from the first start. The data should be the same too; with others they go on learning
        from them. Or the path of a checkpoint: all other arguments must be those of the call that wrote it, the start
        networks too, but that ``max_epochs`` may be more, and TimeLimit and StopEvent are this call's. Networks that
        had ended are not trained again. The same path as ``checkpoint`` need not exist yet, so that one line starts a
        run and goes on with it
    checkpoint : file to write from time to time where all networks stand: after a kill, a crash or Ctrl-C ``resume``
        goes on from it, to the same bits. It is written whole or not at all; a path that cannot be written is refused
        at the start, and if it cannot be later a RuntimeWarning says so, once
    checkpoint_every : a whole number: after so many epochs of each network. A ``datetime.timedelta``: after so much
        time. None: every minute, or as seldom as lets it take a twentieth of the time
    resumable : keep what a later ``resume`` needs: about as much memory as the networks, again for each number that the
        rule remembers of a parameter
    shape_kernels : the smallest networks have machine code of their own for each shape, which takes seconds to compile
        when a shape is new. False trains all by code that serves every shape, slower, and with other rounding
    shuffle : visit the samples in an order of its own in each epoch
    seed* : decides these orders. Networks of one seed share the orders, which is faster
    target : "cpu", "cuda", or "auto", the GPU where there is one and some seconds of work for it
    threads : how many threads to use, None for as many as there are cores; results do not depend on it
    executor : whose workers train instead of threads here: whatever has the interface of
        ``concurrent.futures.Executor``, as ``ProcessPoolExecutor()``, loky's ``get_reusable_executor()``,
        ``client.get_executor()`` of Dask and ``MPIPoolExecutor()`` of mpi4py have. Results are the same, to the bit,
        where processors are of one kind
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
    Networks of one shape train in the lanes of vectors (``bpjit/kernels/lanes``): ``train`` and ``train_many`` agree
    to rounding. Results depend neither on the threads, nor on the order of networks, nor on which others there are.
    Networks of more than about a thousand parameters train one by one; by "lm" and "br" those of more than 48. By rules
    of second order networks also do where ``history``, EarlyStopping or NoImprovement watch their epochs, and where a
    pass through the samples is long: by "lbfgs" and "scg" from about 200,000 samples times parameters on.

    To the workers of an ``executor`` networks go in portions with their data, one thread each, for a second or, where
    data are large, twenty times as long as it takes to send them; then they go on, there or elsewhere, exactly. A
    worker that is lost costs as much where the executor goes on without it, as Dask does. Where it does not, what is
    left is trained here, with a RuntimeWarning. Ctrl-C, TimeLimit and StopEvent end all within two such slices.

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
    journal = as_journal(resume, checkpoint, checkpoint_every)
    target = target_to_resume(target_of_data(target, X, Y, validation), resume if journal is None else journal)
    target = target_of_workers(executor, target)
    check_flags(progress=progress, best_first=best_first)
    flags: Any = {"train_thresholds": train_thresholds, "shuffle": shuffle, "history": history, "resumable": resumable}
    flags["shape_kernels"] = shape_kernels
    rules: Any = {"eta": eta, "updates": updates, "loss": loss, "rule": rule, "lam": lam, "seed": seed}
    sets: Any = {"validation": validation, "sample_weight": sample_weight, "class_weight": class_weight}
    given = Given(
        nets,
        X,
        Y,
        **rules,
        **sets,
        stop=stop,
        max_epochs=max_epochs,
        target_error=target_error,
        missing=missing,
        trainable=trainable,
        **{name: as_flag(name, flag) for name, flag in flags.items()},
        resume=resume if journal is None else None,
    )
    fits = _train(given, target, as_threads(threads), threads is not None, progress, started, executor, journal)
    return fits.best_first() if best_first else fits


def check_flags(**flags: Any) -> None:
    """Refuse what is neither True, False nor None."""
    for name, value in flags.items():
        if value is not None:
            as_flag(name, value)


def target_to_resume(target: str, resume: Any) -> str:
    """The machine that these fits ran on, or those of a file; without any the target."""
    if not isinstance(resume, (Fits, Journal)) or resume.target is None:  # what else came, ``Given`` refuses
        return target
    if target not in ("auto", resume.target):
        what = "fits" if isinstance(resume, Fits) else "checkpoint"
        raise ValueError(f"target: the {what} to resume ran on {resume.target!r}, got {target!r}; give the same")
    return as_machine(resume.target)


def compile_many(net: Network, updates: Any, rule: Any, lam: Any, trainable: Any, train_thresholds: bool) -> None:
    """Make sure the machine code for networks like this one is there."""
    nets = Networks._of(net._architecture, np.tile(net.parameters, (packs.width(net.dtype), 1)))
    X, Y = np.zeros((1, net.sizes[0])), np.full((1, net.sizes[-1]), 1.0 / net.sizes[-1])
    if net.scale is not None:
        X, Y = net.scale.arrays["input_offset"][None], net._architecture.unscaled_outputs(Y)
    kinds = {"updates": updates, "rule": rule, "lam": lam, "trainable": trainable, "train_thresholds": train_thresholds}
    for group in Given(nets, X, Y, max_epochs=[1] * len(nets), **kinds).groups():
        compile_for(group, "cpu")
        group.orders(0, 1)


def work_of(group: Group) -> float:
    """Multiply-adds of training a group to its last epoch, about; those that stop early count as if they did not."""
    most = np.minimum(group.epochs, 10_000).sum() * (len(group) / len(group.epochs))
    return 3.0 * float(most) * group.D.m * len(group.net.parameters)


def train_given(
    given: Given,
    threads: int | None = None,
    show: Callable[[int], None] | None = None,
    executor: Any = None,
    journal: Any = None,
) -> Fits:
    """``train_many`` on the CPU, of arguments that are checked; ``show`` is told how many networks are done."""
    started, must = time.perf_counter(), threads is not None
    return _train(given, "cpu", as_threads(threads), must, show or False, started, executor, journal)


@quiet
def train_one_by_one(given: Given, callback: Callable[[Progress], Any]) -> Fits:
    """The same, one network after another as by ``train``, which calls back; a true answer ends that network's."""
    check_options(callback, None, None)
    started, groups = time.perf_counter(), given.groups()
    portions = [group.part(slice(place, place + 1)) for group in groups for place in range(len(group))]
    with ctrl_c() as interrupted:
        limits = Limits.of(given.conditions, started, interrupted)
        results = [train_alone(portion, limits, lambda stopped: None, callback) for portion in portions]
    return gather(portions, results, given.count, time.perf_counter() - started, 0.0, "cpu", groups)


def _train(
    given: Given,
    target: str,
    threads: int,
    must: bool,
    progress: Any,
    started: float,
    executor: Any = None,
    journal: Any = None,
) -> Fits:
    """Train in portions, by the workers of an executor or by so many threads, if they ``must``, else by those that can
    be had, and join the results. ``progress`` is as for ``train_many``, or a function that is told how many networks
    are done. A ``journal`` gives the ``rounds``."""
    groups = given.groups()
    for group in groups:
        target = target_of_rule(target, group.rules[0])
    adds = sum(work_of(group) for group in groups)
    target = as_machine(target, adds)
    threads = 1 if target == "cuda" else threads
    parts = threads if executor is None else parts_for(executor, adds)
    rounds = Rounds(groups, given.conditions) if journal is None else journal.rounds(given, groups, target)
    compile_seconds = 0.0
    bar = contextlib.nullcontext(progress) if callable(progress) else progress_bar(progress, given.count, "network")
    with ctrl_c() as interrupted, bar as show:
        while portions := rounds.next(target, parts):
            compiling = sum(compile_for(portion, target) for portion in portions)
            work = Work(portions, target, rounds.conditions(compiling), rounds.shown(show), interrupted)
            if executor is not None:
                Sending(executor, work).run(work.errands(), threads, must)
            else:
                work.share.run([partial(work.do, number) for number in range(len(portions))], threads, must, work.look)
            rounds.take(work.results, interrupted)
            compile_seconds += compiling
    seconds = time.perf_counter() - started - compile_seconds
    ended, results = rounds.ended()
    return gather(ended, results, given.count, seconds, compile_seconds, target, groups)


class Work:
    """Portions on their way through several threads; what each becomes."""

    def __init__(
        self,
        portions: list[Group],
        target: str,
        conditions: Sequence[Condition],
        show: Callable[..., None],
        interrupted: threading.Event,
    ) -> None:
        self.portions, self.target, self.show, self.interrupted = portions, target, show, interrupted
        self.limits = Limits.of(conditions, time.perf_counter(), self)
        self.results: list[Any] = [None] * len(portions)
        self.share, self.leader = Share(), threading.current_thread()
        self.done, self.lock = 0, threading.Lock()

    def is_set(self) -> bool:
        """Whether all that trains here must end soon."""
        return self.interrupted.is_set() or self.share.over

    def do(self, number: int) -> None:
        """Train a portion."""
        self.results[number] = run(self.portions[number], self.target, self.limits, self.report)

    def errands(self) -> Iterator[Errand]:
        """The same portions for somebody else to train."""
        for number, portion in enumerate(self.portions):
            yield portion, partial(self.results.__setitem__, number)

    def names_of(self, members: list[int]) -> str:
        """What networks are called in messages."""
        return numbers_of(members)

    def report(self, stopped: int) -> None:
        """So many networks more are done."""
        with self.lock:
            self.done += stopped
        if threading.current_thread() is self.leader:
            self.look()

    def look(self) -> None:
        self.show(self.done)
