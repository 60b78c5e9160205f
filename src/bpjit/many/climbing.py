"""The way of a search from rung to rung: who enters, who goes on, and what ends it before the last."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..networks.network import Network
from ..networks.networks import Networks
from ..settings.stopping import StopEvent, TimeLimit
from .fits import Fits
from .halving import Field, Rung, cost, left_after
from .search_journal import SearchJournal, fingerprint, numbered, of_these

FIRST_BATCH = 256  # configurations, where time decides how many there are


class Source(Protocol):
    """Where configurations come from, and who hears what becomes of them."""

    def draw(self, count: int) -> list[dict[str, Any]]: ...

    def hear(self, scores: dict[int, float], epochs: int) -> None:
        """The errors of the configurations of a rung, by their numbers, after so many epochs of each network."""

    def tell(self, ends: dict[int, str]) -> None:
        """What became of each: "dropped", "diverged", or "" of one that came to the last rung."""


class Maker(Protocol):
    """What makes the start of a configuration."""

    def whole(self, settings: dict[str, Any]) -> dict[str, Any]: ...

    def start(self, settings: dict[str, Any], whole: dict[str, Any]) -> Network: ...


class Climb:
    """A search under way."""

    def __init__(
        self, field: Field, maker: Maker, source: Source, budget: Any, interrupted: Any, started: float
    ) -> None:
        self.field, self.maker, self.source, self.budget = field, maker, source, budget
        self.interrupted, self.started = interrupted, started
        self.rows: list[dict[str, Any]] = []  # as the space has them
        self.rungs: list[Rung] = []
        self.cut = ""  # why it ended before the last rung
        self.plan: dict[str, Any] = {}  # what a later search must have the same
        self._entered = 0  # configurations that came into an earlier search
        self._since, self._spent = 0.0, 0  # when this rung began, and epochs then

    def elapsed(self) -> float:
        """Seconds, without compiling."""
        return time.perf_counter() - self.started - self.field.compile_seconds

    def _limits(self) -> list[Any]:
        """What may end a rung."""
        if isinstance(self.budget, TimeLimit):
            return [TimeLimit(max(1e-9, self.budget.seconds - self.elapsed()))]
        return [self.budget] if isinstance(self.budget, StopEvent) else []

    def _over(self) -> str:
        """Why no rung may begin any more, or nothing."""
        if self.interrupted.is_set():
            return "interrupted"
        if isinstance(self.budget, StopEvent) and self.budget.event.is_set():
            return "StopEvent"
        late = isinstance(self.budget, TimeLimit) and self.elapsed() >= self.budget.seconds
        return "TimeLimit" if late else ""

    def run(self, n: int | None, ends: list[int], halving: int) -> None:
        """Up to the last rung, or as far as it may go."""
        if not self.rungs:
            if n is None:
                self._enter_by_time(ends, halving)
            else:
                self.cut = self._enter(n, ends[0])
            self._judge(0, ends[0])
        n = len(self.rows)
        for rung in range(len(self.rungs), len(ends)):
            self.cut = self.cut or self._over()
            if self.cut:
                break
            best = self.field.order()[: left_after(n, halving, rung)]
            self.field.keep([number for number in best if number not in self.field.broken] or best[:1])
            self.cut = self.field.go_on(ends[rung], self._limits())
            if self.cut:
                break
            self._judge(ends[rung - 1], ends[rung])

    def _enter(self, count: int, end: int) -> str:
        """So many configurations come in; returns why they were cut off, or nothing."""
        rows = self.source.draw(count)
        whole = [self.maker.whole(row) for row in rows]
        starts = [self.maker.start(*pair) for pair in zip(rows, whole, strict=True)]
        if end:
            cut = self.field.enter(whole, starts, end, self._limits())
        else:  # an earlier search has trained them
            cut, self.field.settings, self.field.starts = "", whole, starts
        for row, each in zip(rows, whole, strict=True):
            row.update({name: None for name in row if each[name] is None})  # what its rule does not have
        self.rows += rows[: len(self.field.settings) - len(self.rows)]
        return cut

    def _enter_by_time(self, ends: list[int], halving: int) -> None:
        """More and more, until the first rung has had its share of the time."""
        many = halving ** len(ends)
        share = many * ends[0] / cost(many, ends, halving) * self.budget.seconds
        count, known = self._entered or FIRST_BATCH, -1
        while not self.cut and self.elapsed() < share and len(self.rows) > known:
            known, before = len(self.rows), self.elapsed()
            self.cut = self._enter(count, ends[0])
            took = max(1e-9, self.elapsed() - before)
            rest = (share - self.elapsed()) / took * (len(self.rows) - known)  # that fit into what is left of it
            count = max(1, min(4 * count, int(rest)))
            if rest < 1.0:
                break

    def _judge(self, first: int, last: int) -> None:
        """Note how those in this rung did."""
        order, field = self.field.judge(), self.field
        learnt, validated = field.task.samples()
        alive = field.alive
        now = self.elapsed()
        self.rungs.append(
            Rung(
                configurations=len(alive),
                networks=len(alive) * field.task.folds,
                first=first,
                last=last,
                epochs=field.spent - self._spent,
                learnt=learnt,
                validated=validated,
                best=field.scores[-1][order[0]],
                seconds=now - self._since,
            )
        )
        self._since, self._spent = now, field.spent
        self.source.hear(field.scores[-1], last)
        if field.task.journal is not None:
            numbers = order[0] * field.task.folds + np.arange(field.task.folds)
            field.task.journal.best = numbered(of_these(field.standings, numbers), numbers)

    # --- From an earlier search, and for a later one.

    def state(self) -> dict[str, Any]:
        """What a later search needs to know, beside where networks stand, as JSON can say it."""
        field = self.field
        return {
            "plan": self.plan,
            "count": len(field.settings) * field.task.folds,
            "rungs": [list(rung) for rung in self.rungs],
            "scores": [[list(scores), list(scores.values())] for scores in field.scores],
            "broken": sorted(field.broken),
            "epochs": field.epochs.tolist(),
            "spent": field.spent,
            "configurations": [fingerprint(whole) for whole in field.settings],
            "seconds": [self.elapsed(), field.compile_seconds, self._since, self._spent],
        }

    def note(self, journal: SearchJournal, plan: dict[str, Any]) -> None:
        """Note this search in a journal, with what another must have the same to go on from there; and go on from what
        an earlier one knew."""
        self.plan, journal.said = plan, self.state
        journal.check(plan)
        if journal.state:
            self._take_up(journal)

    def _take_up(self, journal: SearchJournal) -> None:
        state, field = journal.state, self.field
        field.standings = list(journal.standings)
        elapsed, field.compile_seconds, self._since, self._spent = state["seconds"]
        self.started -= elapsed + field.compile_seconds
        self._entered = state["count"] // field.task.folds
        field.spent = state["spent"]
        if not state["rungs"]:
            return
        self._enter(self._entered, 0)
        for place, then in enumerate(state["configurations"]):
            if place >= len(field.settings) or fingerprint(field.settings[place]) != then:
                came = self.rows[place] if place < len(self.rows) else "none"
                raise ValueError(
                    f"space: the checkpoint was made with another, configuration {place} being {came} now; give the "
                    "same, or start anew with another checkpoint"
                )
        self.rungs = [Rung(*rung) for rung in state["rungs"]]
        field.scores = [dict(zip(*scores, strict=True)) for scores in state["scores"]]
        field.broken, field.epochs = set(state["broken"]), np.array(state["epochs"], np.int64)
        folds, alive = field.task.folds, np.array(list(field.scores[-1]))
        field.numbers = (alive[:, None] * folds + np.arange(folds)).ravel()

    # --- What came of it.

    def order(self) -> list[int]:
        """All configurations, the best first: those that came to a later rung, and of these the smaller error; those
        that diverged last."""
        scores, rungs = np.full(len(self.rows), np.inf), np.zeros(len(self.rows), np.int64)
        for rung, found in enumerate(self.field.scores):
            numbers = list(found)
            scores[numbers], rungs[numbers] = list(found.values()), rung
        broken = np.isin(np.arange(len(scores)), list(self.field.broken))
        order: list[int] = np.lexsort((np.where(np.isnan(scores), np.inf, scores), -rungs, broken)).tolist()
        return order

    def left(self) -> dict[int, str]:
        """What became of each configuration that was judged: "dropped", "diverged", or "" of one in the last rung."""
        scores, broken = self.field.scores, self.field.broken
        judged = scores[0] if scores else {}
        return {
            number: "diverged" if number in broken else "" if number in scores[-1] else "dropped" for number in judged
        }

    def fits_of_best(self) -> Fits:
        """The trainings of the configuration that won."""
        field, best = self.field, self.order()[0]
        if field.fits is None:
            assert field.task.journal is not None
            fits = field.fits_of(best, field.task.journal.best, self.rungs[-1].last)
        else:
            fits = field.fits[field.numbers // field.task.folds == best]
        nets, order = Networks.of(list(fits.networks)), np.arange(len(fits))
        return replace(fits, networks=nets, order=order, _seen=(), _kept=())
