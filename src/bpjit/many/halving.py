"""Successive halving: rungs of ever fewer configurations, each trained on from where it was, never anything twice."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..networks.network import Network
from ..settings.stopping import CUT_OFF, Condition, MaxEpochs
from .fits import Fits, joined
from .given import Given
from .search_journal import Passage, SearchJournal, numbered, of_these
from .standing import Standing
from .train_many import train_given

CUT = set(CUT_OFF)
MOST_NUMBERS = 1 << 25  # networks times samples of a call: each has a weight for every sample, where there are folds


class Rung(NamedTuple):
    """One rung of a search.

    Attributes
    ----------
    configurations, networks : that were in it; networks are as many for each of its folds
    first, last : epochs of each network before it and after it
    epochs : epochs spent, those of all networks together; fewer than there could be where networks had stopped
    learnt, validated : samples that a network learns from, the fewest of the folds, and on which it is judged
    best : the smallest mean validation error in it
    seconds : of the rung, without compiling
    """

    configurations: int
    networks: int
    first: int
    last: int
    epochs: int
    learnt: int
    validated: int
    best: float
    seconds: float


def ends_of_rungs(least: int, most: int, halving: int, n: int | None) -> list[int]:
    """Epochs after which rungs end: ``most``, and that divided again and again while it is ``least`` and, of n
    configurations, more than one is left."""
    rungs = 1
    while -(-most // halving**rungs) >= least and (n is None or halving ** (rungs - 1) < n):
        rungs += 1
    return [-(-most // halving ** (rungs - 1 - k)) for k in range(rungs)]


def left_after(n: int, halving: int, rung: int) -> int:
    """How many of n configurations are in a rung, counted from 0."""
    return max(1, n // halving**rung)


def cost(n: int, ends: Sequence[int], halving: int) -> int:
    """Epochs of n configurations through all rungs."""
    steps = np.diff([0, *ends]).tolist()
    return sum(left_after(n, halving, rung) * step for rung, step in enumerate(steps))


def most_within(budget: int, ends: Sequence[int], halving: int) -> int:
    """How many configurations so many epochs suffice for; 0 where they do for none."""
    low, high = 0, budget
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle, ends, halving) <= budget else (low, middle - 1)
    return low


@dataclass(frozen=True, eq=False)
class Task:
    """What all configurations are trained on, and how."""

    X: Any
    Y: Any
    part: np.ndarray | None  # the fold of each sample; None where there is a validation set
    folds: int  # networks of a configuration
    validation: Any
    conditions: Sequence[Condition]
    common: dict[str, Any]  # for ``Given``
    threads: int | None
    executor: Any
    journal: SearchJournal | None
    show: Callable[[int], None]

    def samples(self) -> tuple[int, int]:
        """How many samples a network learns from at least, and is judged on at least."""
        if self.part is None:
            return len(self.Y), len(self.validation[1])
        counts = np.bincount(self.part)
        return len(self.part) - int(counts.max()), int(counts.min())


class Field:
    """Configurations on their way through the rungs: a network for each fold, numbered configuration by configuration;
    ``fits`` are those of ``numbers``, of the configurations that are still in it."""

    def __init__(self, task: Task) -> None:
        self.task, self.settings, self.starts = task, list[dict[str, Any]](), list[Network]()
        self.fits: Fits | None = None  # none where an earlier search has judged them
        self.standings: list[Standing] = []  # of all networks, by their numbers
        self.numbers, self.scores = np.empty(0, np.int64), list[dict[int, float]]()
        self.broken, self.epochs = set[int](), np.empty(0, np.int64)
        self.spent, self.compile_seconds = 0, 0.0

    @property
    def alive(self) -> list[int]:
        """The configurations that are still in it, in their order."""
        return list(dict.fromkeys((self.numbers // self.task.folds).tolist()))

    def enter(self, settings: list[dict[str, Any]], starts: list[Network], end: int, limits: list[Any]) -> str:
        """Let configurations in, and train them up to an epoch; returns why they stopped early, or nothing. Those that
        were cut off are not let in, unless they are the first."""
        folds, most = self.task.folds, MOST_NUMBERS
        some = most // (folds * len(self.task.Y)) if self.task.part is not None else len(settings)
        some = max(1, some)
        for first in range(0, len(settings), some):
            known = len(self.settings)
            self.settings += settings[first : first + some]
            self.starts += starts[first : first + some]
            numbers = np.arange(known * folds, len(self.settings) * folds)
            fits, standings = self._train(numbers, end, limits)
            cut = CUT & set(fits.stopped_by.tolist())
            if cut and self.fits is not None:
                del self.settings[known:], self.starts[known:]
                return cut.pop()
            self.fits = fits if self.fits is None else joined([self.fits, fits])
            self.numbers, self.standings = np.concatenate([self.numbers, numbers]), standings
            if cut:
                return cut.pop()
        return ""

    def go_on(self, end: int, limits: list[Any]) -> str:
        """Train all that have not stopped up to an epoch; returns why they were cut off, or nothing. Then all stay as
        they were."""
        fits, standings = self._train(self.numbers, end, limits)
        if cut := CUT & set(fits.stopped_by.tolist()):
            return cut.pop()
        self.fits, self.standings = fits, standings
        return ""

    def fits_of(self, configuration: int, standings: Sequence[Standing], end: int) -> Fits:
        """Its networks, where all have ended and stand there."""
        numbers = configuration * self.task.folds + np.arange(self.task.folds)
        return self._train(numbers, end, [], standings)[0]

    def _train(
        self, numbers: np.ndarray, end: int, limits: list[Any], standings: Sequence[Standing] | None = None
    ) -> tuple[Fits, list[Standing]]:
        """Train networks up to an epoch from where they stand; returns where all stand then."""
        task, configurations = self.task, (numbers // self.task.folds).tolist()
        rows = [self.settings[number] for number in configurations]
        of_each: dict[str, Any] = {name: [row[name] for row in rows] for name in ("eta", "rule", "lam", "updates")}
        weights, validation = None, task.validation
        if task.part is not None:
            learns = task.part != (numbers % task.folds)[:, None]
            weights, validation = learns.astype(np.float64), (task.X, task.Y, ~learns)
        before, known = self.spent, dict.fromkeys(configurations)
        passage = Passage(numbers, self.standings, task.journal)
        if standings is not None:
            passage = Passage(numbers, standings, None)
        with instead_of_network(rows):
            given = Given(
                [self.starts[number] for number in configurations],
                task.X,
                task.Y,
                **of_each,
                stop=[MaxEpochs(end), *task.conditions, *limits],
                sample_weight=weights,
                validation=validation,
                shape_kernels=False,
                resumable=True,
                **task.common,
            )
            done = int(sum(self.epochs[number] for number in known if number < len(self.epochs)))
            each = max(0, end * len(numbers) - done) // len(numbers)
            show = lambda count: task.show(before + count * each)  # noqa: E731
            fits = train_given(given, task.threads, show, task.executor, passage)
        self.spent += int(fits.epochs.sum()) - done
        self.compile_seconds += fits.compile_seconds
        return fits, passage.after()

    def judge(self) -> list[int]:
        """The configurations in it, the best first. Notes their scores."""
        assert self.fits is not None
        folds, alive = self.task.folds, self.alive
        diverged = (self.fits.stopped_by == "diverged").reshape(-1, folds).any(axis=1)
        means = self.fits.validation_error.reshape(-1, folds).mean(axis=1)
        diverged |= np.isnan(means)
        self.broken |= {number for number, is_broken in zip(alive, diverged, strict=True) if is_broken}
        self.scores.append(dict(zip(alive, means.tolist(), strict=True)))
        self.epochs = np.concatenate([self.epochs, np.zeros(len(self.settings) - len(self.epochs), np.int64)])
        self.epochs[alive] = self.fits.epochs.reshape(-1, folds).sum(axis=1)
        return self.order()

    def order(self) -> list[int]:
        """The configurations that were judged last, the best first: those that diverged come last."""
        judged, means = list(self.scores[-1]), np.array(list(self.scores[-1].values()))
        broken = np.isin(judged, list(self.broken))
        return [judged[i] for i in np.lexsort((np.where(np.isnan(means), np.inf, means), broken))]

    def keep(self, configurations: Sequence[int]) -> None:
        """Let all others go."""
        stay = np.isin(self.numbers // self.task.folds, configurations)
        self.fits = None if self.fits is None else self.fits[stay]
        self.numbers = self.numbers[stay]
        self.standings = numbered(of_these(self.standings, self.numbers), self.numbers)


@contextlib.contextmanager
def instead_of_network(rows: list[dict[str, Any]]) -> Iterator[None]:
    """Let an error that names a network name its configuration."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if found := re.match(r"network (\d+): (.*)", str(error), re.DOTALL):
            raise type(error)(f"configuration {rows[int(found[1])]}: {found[2]}") from None
        raise
