"""search(): thousands of configurations in one call, by successive halving; and its result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_integer, as_seed, describe, quiet, refuse_masked
from ..common.console import ctrl_c, progress_bar
from ..common.plain import printable
from ..common.tables import aligned
from ..networks.evaluation import as_loss
from ..networks.network import Network
from ..networks.networks import Networks
from ..settings.stopping import Condition, MaxEpochs, StopEvent, TimeLimit, as_conditions
from ..training.fit import Fit
from ..training.train import train
from ..training.workers import as_executor
from .climbing import Climb
from .fits import Fits
from .halving import Field, Rung, Task, cost, ends_of_rungs, most_within
from .search_journal import as_search_journal
from .searches import deal_folds
from .space import DEFAULTS, Space, as_name, canonical, concerning

COMMON = "loss", "class_weight", "missing", "train_thresholds", "shuffle"  # as for ``train_many``
SHOWN = 10  # rows of a table


@dataclass(frozen=True, eq=False)
class Search:
    """The result of ``search``.

    Attributes
    ----------
    best : the configuration that won, as the space has it
    error, std : mean and standard deviation of its validation errors over the folds
    fits : its trainings, one for each fold: to the last bit those of ``train_many`` of it alone, shape_kernels=False
    start : the network that it starts from
    settings : of ``train`` and ``train_many``, those of ``best`` among them
    table : a dictionary for each configuration tried, the best first, as ``pandas.DataFrame`` takes it: its settings;
        ``rung``, the last it was in, counted from 1; ``epochs``, those of all its networks; ``error``, its mean
        validation error there, and ``errors``, in each rung; ``diverged``; ``dropped``, why it did not go on, "" if it
        was in the last rung
    rungs : a ``Rung`` for each: configurations, data and epochs
    epochs : epochs spent, those of all networks together
    stopped_by : "MaxEpochs" where all rungs were run; else "TimeLimit", "StopEvent", "interrupted"
    seconds, compile_seconds : of the search without compiling, and of that
    """

    best: dict[str, Any]
    error: float
    std: float
    fits: Fits
    start: Network
    settings: dict[str, Any]
    table: list[dict[str, Any]]
    rungs: list[Rung]
    epochs: int
    stopped_by: str
    seconds: float
    compile_seconds: float

    @property
    def networks(self) -> Networks:
        """The networks of the configuration that won, one for each fold: an ensemble, if you like."""
        assert isinstance(self.fits.networks, Networks)
        return self.fits.networks

    def refit(self, X: Any, Y: Any, **more: Any) -> Fit:
        """Train the configuration that won on data of your choice, such as all of them: for as many epochs as its
        networks took, the mean over the folds, unless ``stop`` says otherwise. ``more`` is as for ``train``."""
        epochs = np.where(self.fits.best_epoch > 0, self.fits.best_epoch, self.fits.epochs).mean()
        return train(self.start, X, Y, **{**self.settings, "stop": MaxEpochs(max(1, round(float(epochs)))), **more})

    @printable
    def __str__(self) -> str:
        names = list(self.best)
        header = [*names, "rung", "epochs", "error", ""]
        rows = [
            [*(_word(row[name]) for name in names), str(row["rung"]), str(row["epochs"]), f"{row['error']:.6g}"]
            + [row["dropped"]]
            for row in self.table[:SHOWN]
        ]
        more = [f"... {len(self.table) - SHOWN} more in .table"] if len(self.table) > SHOWN else []
        fields = "configurations", "networks", "first", "last", "epochs", "learnt", "validated", "best", "seconds"
        rungs = [
            [str(number + 1), *(f"{getattr(rung, name):.4g}" for name in fields)]
            for number, rung in enumerate(self.rungs)
        ]
        why = "" if self.stopped_by == "MaxEpochs" else f"; stopped by {self.stopped_by}: the best so far"
        total = f"{len(self.table)} configurations, {self.epochs} epochs, {self.seconds:.3g} s{why}"
        lines = [*aligned([header, *rows], left=0), *more, "", *aligned([["rung", *fields], *rungs], left=0)]
        return "\n".join([*lines, "", total])

    __repr__ = __str__


def _word(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@quiet
def search(
    space: Any,
    X: Any,
    Y: Any,
    *,
    n: int | None = None,
    folds: int | None = None,
    validation: Any = None,
    halving: int = 3,
    min_epochs: int = 10,
    max_epochs: int = 1000,
    budget: Any = None,
    stop: Any = None,
    seed: int = 0,
    scale: Any = None,
    dtype: Any = "float64",
    study: Any = None,
    threads: int | None = None,
    executor: Any = None,
    progress: bool | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: int | timedelta | None = None,
    resume: str | PathLike[str] | None = None,
    **fixed: Any,
) -> Search:
    """Search settings by successive halving: of many configurations, each trained for a few epochs, the best go on for
    more from where they are, and the best of those for more still. Nothing is trained twice; the networks of all
    configurations and folds train in lanes, as by ``train_many``.

    Parameters
    ----------
    space : {name: values}: a list of values, or a distribution of ``scipy.stats`` such as ``loguniform(1e-4, 1e-1)``,
        for some of

        - "hidden": units of the hidden layer, or a tuple with those of each; by default 8
        - "activation", "output": as ``hidden`` and ``output`` of ``Network.random``; by default "tanh", and "softmax"
          where Y are class numbers, else "identity"
        - "init", "init_seed": as ``init`` and ``seed`` of ``Network.random``; by default "glorot" and 0
        - "rule", "eta", "lam", "updates": as for ``train_many``
    X, Y : data, as for ``train``
    n : how many configurations to draw, none twice; None is all of a space of lists, or as many as ``budget`` suffices
        for
    folds : into so many parts the samples are dealt, by ``deal_folds(Y, folds, seed)``, 5 by default; a configuration
        has a network for each, which does not learn from it, and is judged by the mean of their errors there
    validation : (X, Y) to judge on, instead of folds
    halving : 1 of so many configurations goes on to the next rung, for so many times the epochs
    min_epochs, max_epochs : of a network in the first rung, at least, and after the last
    budget : a whole number: so many epochs, those of all networks together. Or TimeLimit: where n is None as many
        configurations are drawn as leave time for the other rungs. It depends on the machine which rungs are run, so
        such a search is not reproducible; the same n is. Or a ``threading.Event`` that ends it
    stop : conditions that end networks before ``max_epochs``: EarlyStopping, NoImprovement, TargetError
    seed : decides what is drawn, how folds are dealt, and the orders of samples
    scale, dtype : as for ``Network.random``
    study : an Optuna study to ask for n configurations at once; it is told the errors of each rung, and those dropped
        are pruned. ``space`` may then also have distributions of Optuna, or be a function that takes a trial and gives
        a configuration. ``python -m pip install 'bpjit[optuna]'``
    threads, executor, progress : as for ``train_many``
    checkpoint, checkpoint_every : file to write from time to time where the search stands, as for ``train_many``; not
        with a ``study``
    resume : path of a checkpoint to go on from, to the same result, all other arguments being as they were but for a
        ``budget`` of time. The same path as ``checkpoint`` need not exist yet
    fixed : settings by the names above that are the same for all; and loss, class_weight, missing, train_thresholds,
        shuffle, as for ``train_many``

    Returns
    -------
    Search. Ctrl-C ends it with the best so far.

    Raises
    ------
    ValueError, TypeError : naming the argument, and the configuration if it concerns one
    ImportError : a ``study`` without Optuna

    Notes
    -----
    K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization" (2016). What a
    rule does not have, a rate or batches, is None for it. Errors can be compared only if all have one loss: where
    outputs differ, give ``loss``.

    Examples
    --------
    >>> import numpy as np
    >>> import bpjit
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> Y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> space = {"hidden": [2, 4, 8], "eta": [0.001, 0.01, 0.1], "rule": ["adam", "momentum"]}
    >>> found = bpjit.search(space, X, Y, updates=10, max_epochs=200, min_epochs=10)
    >>> [(rung.configurations, rung.first, rung.last) for rung in found.rungs]
    [(18, 0, 23), (6, 23, 67), (2, 67, 200)]
    >>> len(found.table), found.table[0]["hidden"] == found.best["hidden"]
    (18, True)
    """
    started = time.perf_counter()
    journal = as_search_journal(resume, checkpoint, checkpoint_every, study)
    common = {name: fixed.pop(name) for name in COMMON if fixed.get(name) is not None}
    for name in fixed:
        if as_name("search", name) in (space if isinstance(space, dict) else ()):
            raise ValueError(f"{name}: stands in the space; expected it in one place")
    halving, least = as_integer("halving", halving, low=2), as_integer("min_epochs", min_epochs, low=1)
    most, seed = as_integer("max_epochs", max_epochs, low=least), as_seed("seed", seed)
    n = None if n is None else as_integer("n", n, low=1)
    folds = as_folds(folds, validation)
    source: Any
    if study is None:
        source = Space(space, seed)
    else:
        from .asking import Asked

        source = Asked(study, space, n)
    budget = as_budget(budget)
    n = how_many(n, source, budget, lambda n: ends_of_rungs(least, most, halving, n), halving, folds)
    ends = ends_of_rungs(least, most, halving, n)
    makers = Makers(X, Y, fixed, scale, dtype, common.get("loss"))
    total = None if n is None else cost(n, ends, halving) * folds
    with ctrl_c() as interrupted, progress_bar(progress, total, "epoch") as show:
        part = None if validation is not None else deal_folds(Y, folds, seed)
        common = {**common, "seed": seed}
        hands = threads, as_executor(executor), journal
        task = Task(X, Y, part, folds, validation, as_ends(stop), common, *hands, show)
        climb = Climb(Field(task), makers, source, budget, interrupted, started)
        if journal is not None:
            plan = {"n": n, "folds": folds, "halving": halving, "min_epochs": least, "max_epochs": most, "seed": seed}
            climb.note(journal, plan)
        try:
            climb.run(n, ends, halving)
        finally:
            source.tell(climb.left())
    return result_of(climb)


def result_of(climb: Climb) -> Search:
    """What came of it."""
    field, order = climb.field, climb.order()
    best, whole = order[0], field.settings[order[0]]
    fits = climb.fits_of_best()
    common, more = field.task.common, {name: whole[name] for name in ("rule", "eta", "lam", "updates")}
    errors = fits.validation_error
    last = len(climb.rungs)
    table = []
    for number in order:
        scores = [score[number] for score in field.scores if number in score]
        diverged = number in field.broken
        dropped = "diverged" if diverged else "" if len(scores) == last else f"after rung {len(scores)}"
        row = {"rung": len(scores), "epochs": int(field.epochs[number]), "error": scores[-1], "errors": scores}
        table.append({**climb.rows[number], **row, "diverged": diverged, "dropped": dropped})
    return Search(
        best=climb.rows[best],
        error=float(errors.mean()),
        std=float(errors.std()),
        fits=fits,
        start=field.starts[best],
        settings={**common, **more},
        table=table,
        rungs=climb.rungs,
        epochs=field.spent,
        stopped_by=climb.cut or "MaxEpochs",
        seconds=climb.elapsed(),
        compile_seconds=field.compile_seconds,
    )


def as_folds(folds: Any, validation: Any) -> int:
    """How many networks a configuration has."""
    if validation is None:
        return as_integer("folds", 5 if folds is None else folds, low=2)
    if folds is not None:
        raise ValueError(f"folds: there is a validation set; expected None, got {describe(folds)}")
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"validation: expected a pair (X, Y) or None, got {describe(validation)}")
    return 1


def as_budget(budget: Any) -> Any:
    """A number of epochs, a condition, or None."""
    if isinstance(budget, MaxEpochs):
        budget = budget.epochs
    if budget is None or isinstance(budget, (TimeLimit, StopEvent)):
        return budget
    if callable(getattr(budget, "is_set", None)):
        return StopEvent(budget)
    if isinstance(budget, (int, np.integer)) and not isinstance(budget, bool):
        return as_integer("budget", budget, low=1)
    expected = "a whole number of epochs, bpjit.TimeLimit(seconds), or a threading.Event"
    raise TypeError(f"budget: expected {expected}, got {describe(budget)}")


def as_ends(stop: Any) -> list[Condition]:
    """The conditions that end networks before their rungs do."""
    conditions = [] if stop is None else as_conditions(stop, bounded=True)
    for item in conditions:
        if isinstance(item, (MaxEpochs, TimeLimit, StopEvent)):
            where = "max_epochs" if isinstance(item, MaxEpochs) else "budget"
            raise ValueError(f"stop: expected no {type(item).__name__}, which {where} says")
    return list(conditions)


def how_many(
    n: int | None, source: Any, budget: Any, ends: Callable[[int | None], list[int]], halving: int, folds: int
) -> int | None:
    """How many configurations there will be; None where time decides it."""
    size = source.size
    if isinstance(budget, int):
        affordable = most_within(budget // folds, ends(n), halving)
        if affordable == 0 or (n is not None and n > affordable):
            need = cost(1 if n is None else n, ends(n), halving) * folds
            what = "one configuration needs" if n is None else f"{n} configurations need"
            raise ValueError(f"budget: {what} {need} epochs, over all folds; expected as many, got {budget}")
        n = n or affordable
    if n is None and size is None and not isinstance(budget, TimeLimit):
        raise ValueError("n: expected how many configurations to draw, as the space has distributions; got None")
    if n is None:
        return None if isinstance(budget, TimeLimit) else size
    return n if size is None else min(n, size)


class Makers:
    """What makes the starts of configurations, with the sizes that data give."""

    def __init__(self, X: Any, Y: Any, fixed: dict[str, Any], scale: Any, dtype: Any, loss: Any) -> None:
        refuse_masked("X", X, "numbers")
        refuse_masked("Y", Y, "targets or class numbers")
        inputs, targets = np.asarray(X), np.asarray(Y)
        if inputs.ndim != 2:
            raise ValueError(f"X: expected finite numbers of shape (m, d), one sample a row, got shape {inputs.shape}")
        if targets.ndim not in (1, 2) or len(targets) != len(inputs):
            raise ValueError(f"Y: expected targets or class numbers of {len(inputs)} samples, got {describe(Y)}")
        self.d, self.fixed, self.loss = inputs.shape[1], {**DEFAULTS, **fixed}, loss
        self.classes = int(targets.max()) + 1 if targets.ndim == 1 and targets.dtype.kind in "iub" else None
        self.l = targets.shape[1] if targets.ndim == 2 else 1
        if self.fixed["output"] is None:
            self.fixed["output"] = "identity" if self.classes is None else "softmax"
        self.make = partial(Network.random, dtype=dtype, scale=scale)
        self.starts: dict[str, Network] = {}
        self.losses: dict[str, str] = {}

    def whole(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A configuration in full."""
        with concerning(settings):
            return canonical({**self.fixed, **settings})

    def start(self, settings: dict[str, Any], whole: dict[str, Any]) -> Network:
        """The network that a configuration starts from."""
        names = "hidden", "activation", "output", "init", "init_seed"
        key = repr([whole[name] for name in names])
        if key not in self.starts:
            with concerning(settings):
                hidden, activation, output, init, init_seed = (whole[name] for name in names)
                l = self.classes if self.classes is not None and output == "softmax" else self.l
                net = self.make((self.d, *hidden, l), activation, output, init, init_seed)
                self.losses.setdefault(as_loss(self.loss, net), str(output))
                self.starts[key] = net
        if len(self.losses) > 1:
            both = " and ".join(f"{loss} of {output} outputs" for loss, output in self.losses.items())
            raise ValueError(f"loss: errors by {both} cannot be compared; expected one loss for all, got {self.loss!r}")
        return self.starts[key]
