"""train(): from what a user gives to a ``Problem`` that is ready to run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import as_flag, as_integer, describe, quiet
from ..kernels import drivers
from ..kernels.state import Large, Samples
from ..networks.blocks import are_blocks
from ..networks.evaluation import as_network, named, no_samples
from ..networks.machines import as_machine, target_of_data
from ..networks.network import Network
from ..networks.source import brought, looked_at
from ..settings.rules import LevenbergMarquardt, Rule, SecondOrder
from ..settings.schedules import Schedule
from ..settings.stopping import Condition, EarlyStopping, as_conditions, most_epochs
from .crew import as_threads
from .fit import Fit, Progress
from .held_out import as_pair, as_share, split, split_large
from .loop import Problem, Watched, run_training
from .setting import Setting, as_setting, check_numbers
from .warning import warn_of_end, warn_of_targets
from .workers import as_executor, target_of_workers

if TYPE_CHECKING:
    from .checkpoints import Run

WORTH_A_GPU = 1 << 22  # multiply-adds of a pass through one batch


@quiet
def train(
    net: Network,
    X: Any,
    Y: Any = None,
    *,
    eta: float | Schedule | None = None,
    updates: str | int | None = None,
    loss: str | None = None,
    rule: str | Rule = "sgd",
    lam: float | None = None,
    stop: Any = None,
    validation: tuple[Any, Any] | float | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    missing: str | None = None,
    trainable: Any = None,
    resume: Fit | str | PathLike[str] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | timedelta | None = None,
    train_thresholds: bool = True,
    shuffle: bool = True,
    seed: int = 0,
    target: str = "auto",
    threads: int | None = None,
    executor: Any = None,
    history: int | None = 100_000,
    progress: bool | None = None,
    callback: Callable[[Progress], Any] | None = None,
) -> Fit:
    """Train a network by error back-propagation; the network given stays as it is.

    Parameters
    ----------
    net : the network to start from
    X : (m, d) inputs, one sample a row; or a frame with the columns of the network, whose names ``fit.network`` keeps
        where it knew none and they hold numbers; or, with Y None, blocks [(X, Y), ...], a sequence that may load each
        when it is asked for; or a Dask array. Memory-mapped arrays, blocks and Dask arrays may be larger than memory:
        see Notes
    Y : (m, l) targets, (m,) if l = 1, or class numbers (m,) with softmax outputs; or a frame, or values of the category
        that the outputs are. None are the columns of the outputs in X: see ``Network.for_table``
    eta : learning rate η > 0, a schedule of ``bpjit.settings.schedules``, or None for one that suits rule, activations,
        loss and number of inputs: ``bpjit.settings.rates.default_eta``
    updates : "stochastic" (standard BP: after each sample), "accumulated" (once an epoch) or a mini-batch size; a
        batch's gradient is the mean over its samples. None is what the rule needs: "accumulated" for rprop, quickprop
        and the rules of second order, "stochastic" for the others
    loss : "squared", "absolute", "huber" or "cross_entropy"; None is cross_entropy for softmax outputs, else squared
    rule : "sgd", "momentum", "nesterov", "rprop", "quickprop", "adagrad", "rmsprop", "adam", or an instance such as
        ``bpjit.Adam(beta1=0.8)``; and of second order, which take a step of all parameters at once an epoch, "lm"
        (Levenberg–Marquardt) and "br" (the same with Bayesian regularisation): for squared error and cross_entropy
    lam : the book's λ in (0, 1): descend λ E + (1 − λ) Σ w² over all weights and thresholds; None is no penalty. E is
        a mean and Σ w² a sum, so values are close to 1: search 1 − λ from about 1e-3 to 1e-6
    stop : one condition of ``bpjit.settings.stopping`` or several, a whole number being ``MaxEpochs`` and a
        ``threading.Event`` ``StopEvent``; the first that fires ends the training. Without MaxEpochs or TimeLimit,
        MaxEpochs(1000) is added
    validation : (X, Y), or a frame with both, or blocks, whose error is recorded after each epoch, and which
        EarlyStopping needs; or a share of the
        samples between 0 and 1, such as 0.2, drawn by ``seed``, of each class alike where targets are those of classes:
        the network does not learn from them. They keep their weights
    sample_weight : (m,) weights c_k ≥ 0, scaled to mean 1; a sample of weight 0 is absent, and its row may hold NaN
    class_weight : {class number: weight} or "balanced", as in scikit-learn
    missing : "ignore" takes NaN in Y, and in the targets of ``validation``, for a target that is not known: its output
        counts for the others only, with 0 for its share of E_k and for its g_j. A sample none of whose targets is known
        is absent. None refuses NaN
    trainable : which parameters to train: a boolean vector like ``net.parameters``, or a list with one entry for each
        layer: True, False, or a pair (weights, thresholds) of booleans or boolean arrays
    resume : a fit to go on from, exactly: 500 epochs and 500 more give the same bits as 1,000. ``net`` must be its
        network, and all settings those it was made with; ``stop`` counts this call's epochs. The data should be the
        same too; with others it goes on learning from them, with the state of the rule and the best network so far.
        The same conditions go on as if there had been no break; others count from the first start too, but know
        only the epochs that ``history`` kept. Or the name of a file that ``checkpoint`` wrote: see there
    checkpoint : the name of a file that always holds the training as it was a short time ago, so that one that was
        killed goes on from there, with the same bits as if nothing had happened:
        ``train(net, X, Y, checkpoint="run.bpjit", resume="run.bpjit")`` serves the first start, where there is no such
        file yet, and every other. ``net`` is then always the network of the first start, and ``stop`` counts from
        there, but for TimeLimit. A run that has ended is not trained any more: its fit comes back, unless the condition
        that ended it is no longer given. Other networks, data and settings are refused. A file that is not resumed from
        is replaced. It is written whole or not at all: at the start, where an ``OSError`` ends the call; now and then,
        where one warns and the next time it is tried again; and at the end, also after Ctrl-C. Conditions and a
        callback of one's own are not in it: give them again
    checkpoint_every : so many epochs, or a ``datetime.timedelta``, from one write to the next; None is a minute. A
        write takes some 10 ms, and of a large network about 60 ms for each MB of parameters. The result does not depend
        on when it comes
    train_thresholds : False leaves all thresholds as they are
    shuffle : visit the samples in an order of its own in each epoch
    seed : decides these orders, and which samples a share held out has
    target : "cpu", "cuda", or "auto", the GPU where there is one and some seconds of work for it; X and Y may lie there
    threads : how many threads may share a batch, or a system of "lm" and "br"; None is as many as there are cores,
        where it is worth it. The result does not depend on it, to the last bit
    executor : whose workers look at shares of the data, for updates="accumulated" and rules of gradients, one thread
        each: whatever has the interface of ``concurrent.futures.Executor``, as ``ProcessPoolExecutor()``, loky's
        ``get_reusable_executor()``, ``client.get_executor()`` of Dask and ``MPIPoolExecutor()`` of mpi4py have. Results
        are the same, to the bit, with any executor and any number of workers, also where some are lost, where
        processors are of one kind; and without one up to rounding, as sums have another order. Where an executor does
        not go on, what is left is trained here, with a RuntimeWarning
    history : keep the errors of so many epochs at most, 2 or more: of every epoch, or in longer trainings of every
        second, fourth, and so on; ``fit.recorded`` tells which. None keeps all, 16 bytes an epoch
    progress : True shows a progress bar, False none, None on a terminal or in a notebook after two seconds
    callback : called with a ``Progress`` after every epoch, also the last; a true answer ends the training

    Returns
    -------
    Fit, with the trained network, errors, and why it stopped. Divergence gives ``stopped_by="diverged"`` and the last
    finite network; Ctrl-C gives ``stopped_by="interrupted"`` and what was learnt so far.

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came
    RuntimeError : target "cuda" where it cannot be used; X, Y or ``validation`` changed meanwhile, where that shows
    OSError : ``checkpoint`` cannot be written, ``resume`` cannot be read

    Warns
    -----
    TrainingWarning : once, where the outputs cannot reach the targets, where training diverged, or where it ran its
        1,000 epochs by default and learnt nothing; ``fit.advice`` says more, and about all trainings
    RuntimeWarning : ``checkpoint`` could not be written meanwhile

    Notes
    -----
    The algorithm is that of chapter 5 of the pumpkin book (南瓜书), in ``bpjit/kernels/readable/online.py``.

    Of memory-mapped arrays some 32 MB are in memory at a time, and the result has the bits of the same arrays there. Of
    blocks one is there at a time besides; each is read once at first, to be checked. An epoch takes the blocks in an
    order of its own, and the rows of each in an order of its own, both by ``seed``; rows of different blocks never mix.
    Accumulated updates and ``shuffle=False`` take all rows as they stand, to the bits of one array of them. Rules of
    second order and the GPU need arrays that fit into memory; ``sample_weight``, ``class_weight`` and a share held out
    go with arrays.

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.random((2, 4, 1), seed=0)
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fit = bpjit.train(net, X, Y, eta=5.0, stop=[bpjit.MaxEpochs(20_000), bpjit.TargetError(1e-3)])
    >>> fit.stopped_by, bool(fit.error <= 1e-3)
    ('TargetError', True)
    >>> fit.network.classify(X)
    array([0, 1, 1, 0])
    """
    started = time.perf_counter()
    net = named(as_network(net), X, Y)
    as_machine(target)
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
        missing=missing,
        second_order=True,
    )
    conditions = conditions_of(net, stop)
    watched = Watched(check_options(callback, progress, history), callback, progress)
    fit_before, run = run_of(resume, checkpoint, checkpoint_every, validation)
    target = target_of_shares(target_of_data(target_of_rule(target, setting.rule), X, Y, validation), executor, setting)
    whole = needs_all(setting.rule, target, executor)
    D, V = as_data(net, X, Y, setting, (sample_weight, class_weight), validation, conditions, whole)
    warned = warn_of_targets(net, setting, D)
    target = target_for(target, fit_before, setting, net, (D, V), most_epochs(conditions))
    threads = threads_for(threads, setting, net, len(D.X), target)
    problem = Problem(net, *on_machine(target, D, V), setting, conditions, as_rows(X, D), target)
    fit = train_with(executor, problem, watched, threads=threads, resume=fit_before, started=started, run=run)
    if not warned:
        warn_of_end(fit, stop is None)
    return fit


# --- Arguments of train alone.


def conditions_of(net: Network, stop: Any) -> list[Condition]:
    """The conditions that ``stop`` stands for, whose numbers the network's dtype can hold."""
    conditions = as_conditions(stop)
    check_numbers(net.dtype, conditions=conditions)
    return conditions


def check_options(callback: Any, progress: Any, history: Any) -> int | None:
    """What does not change the result; ``history`` as a whole number or None."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback: expected a function, got {describe(callback)}")
    if progress is not None:
        as_flag("progress", progress)
    return None if history is None else as_integer("history", history, low=2)


def run_of(resume: Any, checkpoint: Any, every: Any, validation: Any) -> tuple[Any, Run | None]:
    """The fit to go on from, and the run that is kept in a file or read from one, where somebody wants that."""
    if checkpoint is None and every is None and (resume is None or isinstance(resume, Fit)):
        return resume, None
    from .checkpoints import as_run

    return as_run(resume, checkpoint, every, as_share(validation))


def target_of_rule(target: str, rule: Rule) -> str:
    """The target, which is the CPU for a rule of second order."""
    if not isinstance(rule, SecondOrder):
        return target
    if target == "cuda":
        raise ValueError(f'target: rule "{rule.name}" runs on the CPU; expected "cpu" or "auto"')
    return "cpu"


def target_of_shares(target: str, executor: Any, setting: Setting) -> str:
    """The target, which is the CPU where there is an executor; refuses trainings that cannot be shared out."""
    if as_executor(executor) is not None and isinstance(setting.rule, LevenbergMarquardt):
        raise ValueError(
            f'executor: rule "{setting.rule.name}" solves one system of all samples, which threads= shares; expected a '
            'rule of gradients, such as "lbfgs", "scg" or "rprop"'
        )
    if executor is not None and setting.size is not None:
        raise ValueError(
            "executor: updates after single samples or batches come one after the other; expected "
            'updates="accumulated", or several networks for train_many(executor=)'
        )
    return target_of_workers(executor, target)


def train_with(executor: Any, problem: Problem, watched: Watched, **how: Any) -> Fit:
    """``run_training``, with the workers of an executor if there is one."""
    if executor is None:
        return run_training(problem, watched, **how)
    from .shares import Engine

    with Engine(executor) as engine:
        return run_training(replace(problem, engine=engine), watched, **how)


def on_machine(target: str, D: Samples, V: Samples) -> tuple[Samples, Samples]:
    """The samples where they are to be."""
    return (drivers.on_gpu(D), drivers.on_gpu(V)) if target == "cuda" else (D, V)


def needs_all(rule: Rule, target: str, executor: Any) -> str | None:
    """Why all samples must be in memory; None where some at a time will do."""
    if executor is not None:
        return "an executor"
    if isinstance(rule, SecondOrder):
        return f'rule "{rule.name}"'
    return 'target "cuda"' if target == "cuda" else None


def threads_for(threads: Any, setting: Setting, net: Network, m: int, target: str) -> int:
    """How many share a batch, or a system: as many as were asked for, else as are useful; stochastic updates have
    neither, and a GPU is led by one."""
    if isinstance(setting.rule, LevenbergMarquardt):
        useful = drivers.useful_threads_damped(int(np.count_nonzero(setting.trainable)), m * net.sizes[-1])
    else:
        useful = drivers.useful_threads(len(net.parameters), setting.size, m)
    threads = useful if threads is None else as_threads(threads)
    gradient = isinstance(setting.rule, SecondOrder) and not isinstance(setting.rule, LevenbergMarquardt)
    return 1 if setting.size == 1 or drivers.READABLE or gradient or target == "cuda" else threads


def target_for(
    target: str, resume: Any, setting: Setting, net: Network, data: tuple[Samples, Samples], epochs: int | None
) -> str:
    """The machine to run on: that of the fit to resume, or the one asked for, or the one that suits the work. Samples
    that are not in memory come to the CPU alone."""
    if any(isinstance(samples, Large) for samples in data):
        target = "cpu"
    m = len(data[0].X)
    if isinstance(resume, Fit):
        if target not in ("auto", resume.target):
            raise ValueError(f"target: the fit to resume ran on {resume.target!r}, got {target!r}; give the same")
        return as_machine(resume.target)
    n, batch = len(net.parameters), m if setting.size is None else min(setting.size, m)
    shared = batch * n >= WORTH_A_GPU  # else one core is as fast
    return as_machine(target, 3.0 * n * m * min(epochs or 1000, 10_000) if shared else 0.0)


def as_data(
    net: Network,
    X: Any,
    Y: Any,
    setting: Setting,
    weights: tuple[Any, Any],
    validation: Any,
    conditions: list[Condition],
    whole: str | None = None,
) -> tuple[Samples, Samples]:
    """The samples to learn from, and those to validate on. ``weights`` are those of samples and of classes; ``whole``
    says why all must be in memory."""
    share = as_share(validation)
    D = looked_at(brought(net, X, Y, setting.loss, weights, whole=whole, cut=share is not None))
    early = [condition for condition in conditions if isinstance(condition, EarlyStopping)]
    if len(early) > 1:
        raise ValueError("stop: expected one EarlyStopping at most; give it several criteria instead")
    if share is None:
        return D, as_validation(validation, net, setting.loss, bool(early), whole) or no_samples(D)
    if isinstance(D, Large):
        return split_large(net, D, share, setting.seed)
    if not isinstance(D.X, np.ndarray):
        raise ValueError("validation: a share goes with data that do not lie on a GPU; expected (X, Y) or None")
    return split(net, D, share, setting.seed)


def as_validation(validation: Any, net: Network, loss: str, needed: bool, whole: str | None = None) -> Samples | None:
    """The validation set, or None."""
    if validation is None:
        if needed:
            raise ValueError("validation: EarlyStopping needs a validation set (X, Y), got None")
        return None
    names = "validation X", "validation Y"
    if are_blocks(validation):
        return looked_at(brought(net, validation, None, loss, names=names, whole=whole))
    validation = as_pair(validation)
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"validation: expected a pair (X, Y) or a share such as 0.2, got {describe(validation)}")
    X, Y = validation
    return looked_at(brought(net, X, Y, loss, names=names, whole=whole))


def as_rows(X: Any, D: Samples) -> int:
    """The number of samples in X, absent ones too, of which D were made."""
    if isinstance(D, Large):
        return sum(D.source.given)
    return int(np.shape(X)[0]) if hasattr(X, "__array__") else len(X)
