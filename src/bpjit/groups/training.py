"""Training the nodes of a table, chunk by chunk, on several threads; and what became of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from ..common.arguments import quiet
from ..common.checkpoints import Checkpoints
from ..common.console import ctrl_c, progress_bar
from ..kernels.lanes import packs
from ..many.executors import PORTIONS, Errand, Sending
from ..many.groups import Group, Results
from ..many.portions import compile_for, portions_of, run
from ..many.train_many import Work
from ..networks.scales import Scales
from ..settings.stopping import CUT_OFF
from ..training.crew import Share
from ..training.workers import workers_of
from .chunks import DIGEST, Chunk, Prepared, Preparing, Source, alike, data_of, digests_of
from .nodes import Nodes, chunks_of, listed
from .setting import GroupSetting

NUMBERS = 1 << 21  # in the rows of a chunk, about


@dataclass(eq=False)
class Trained:
    """What became of each node, a row for each."""

    parameters: np.ndarray  # of its own network, where it has one, [shape: (nodes, n)]
    scales: Scales | None
    own: np.ndarray  # bool: whether it has one that is used
    rows: np.ndarray  # that it has
    left_out: np.ndarray  # of those that it learns from, because they hold something else than finite numbers
    error: np.ndarray
    validation_error: np.ndarray
    epochs: np.ndarray
    stopped_by: np.ndarray  # of str objects, "" where nothing was trained
    note: np.ndarray  # of str objects: why it has no network, or what is to be said of its rows
    digests: np.ndarray  # of its rows, zeros where a training was cut off, uint8, [shape: (nodes, DIGEST)]

    @classmethod
    def room(cls, setting: GroupSetting, rows: np.ndarray) -> Trained:
        """For so many nodes."""
        net, n = setting.like, len(rows)
        l = net.sizes[-1] if setting.scales_targets else None
        return cls(
            parameters=np.zeros((n, len(net.parameters)), net.dtype),
            scales=Scales.room(n, net.sizes[0], l) if setting.scale else None,
            own=np.zeros(n, bool),
            rows=rows,
            left_out=np.zeros(n, np.int64),
            error=np.full(n, np.nan),
            validation_error=np.full(n, np.nan),
            epochs=np.zeros(n, np.int64),
            stopped_by=np.full(n, "", object),
            note=np.full(n, "", object),
            digests=np.zeros((n, DIGEST), np.uint8),
        )

    def take(self, nodes: np.ndarray, other: Trained, others: np.ndarray) -> None:
        """Take over what became of some nodes of another table."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Scales):
                mine.put(nodes, theirs.of(others))
            elif mine is not None:
                mine[nodes] = theirs[others]


@dataclass(frozen=True, eq=False)
class Keeping:
    """Where nodes are written that are done, and by whom."""

    checkpoints: Checkpoints
    save: Callable[[str, Trained], None]

    def write(self, setting: GroupSetting, trained: Trained, done: np.ndarray) -> None:
        """Write them, and the others as not begun. They change no more, whoever else is at work."""
        there, known = np.flatnonzero(done), Trained.room(setting, trained.rows.copy())
        known.stopped_by[:], known.note[:] = "interrupted", "not begun"
        known.take(there, trained, there)
        self.checkpoints.write(lambda path: self.save(path, known))


class GroupWork(Work):
    """Chunks of nodes on their way through several threads."""

    def __init__(
        self,
        setting: GroupSetting,
        source: Source,
        nodes: Nodes,
        trained: Trained,
        show: Callable[..., None],
        interrupted: threading.Event,
    ) -> None:
        super().__init__([], "cpu", setting.conditions, show, interrupted)
        self.over = np.zeros(len(nodes), bool)  # of which trained has all
        self.keeping: Keeping | None = None
        self.setting, self.source, self.nodes, self.trained = setting, source, nodes, trained
        self.compile_seconds, self.compiling = 0.0, threading.Lock()

    def fingerprint(self, members: np.ndarray) -> None:
        """Note the fingerprints of the rows of these nodes."""
        if not self.is_set():
            places, counts = self.nodes.places(members, self.setting.parent_rows, self.setting.seed)
            self.trained.digests[members] = digests_of(self.source.table(places), counts)

    @quiet
    def learn(self, members: np.ndarray) -> None:
        """Train these nodes."""
        for portion, take in self.errands_of(members):
            take(run(portion, "cpu", self.limits, self.report))

    def errands_of(self, members: np.ndarray) -> Iterator[Errand]:
        """What is to be trained for these nodes, portion by portion."""
        trained, setting = self.trained, self.setting
        if (reason := self.limits.reached()) is not None:
            trained.stopped_by[members], trained.note[members] = reason, "not begun"
            trained.digests[members] = 0
            return
        places, counts = self.nodes.places(members, setting.parent_rows, setting.seed)
        way = Preparing(setting, self.source, places, counts)
        trained.digests[members] = digests_of(way.table, counts)
        barred = {
            place: "the key has a missing value"
            for place, member in enumerate(members.tolist())
            if None in self.nodes.keys[member]
        }
        self._note(members, chunk := way.run(barred))
        del way
        parts = [] if chunk.prepared is None else [chunk.prepared]
        if setting.group.second_order:  # which train in lanes or one by one as the length of their passes asks
            parts = [each for part in parts for each in alike(part)]
        others = np.ones(len(members), bool)
        for part in parts:
            others[part.nodes] = False
        self.over[members[others]] = True
        for part in parts:
            for portion in self._portions(part, members[part.nodes]):
                self._compile(portion)
                yield portion, partial(self._take, portion)
        self.report(int(np.count_nonzero(others)))

    def _portions(self, prepared: Prepared, members: np.ndarray) -> list[Group]:
        setting, keys = self.setting, [self.nodes.keys[member] for member in members.tolist()]
        D, V = data_of(prepared, setting.like)
        group = replace(setting.group, start=setting.starts(keys), members=members, D=D, V=V)
        return portions_of(group, "cpu", 1)

    def names_of(self, members: list[int]) -> str:
        shown = listed([self.nodes.keys[member] for member in members])
        return f"{'key' if len(members) == 1 else 'keys'} {shown}"

    def _compile(self, portion: Group) -> None:
        with self.compiling:
            self.compile_seconds += compile_for(portion, "cpu")

    def _note(self, members: np.ndarray, chunk: Chunk) -> None:
        trained = self.trained
        trained.left_out[members] = chunk.left_out
        if trained.scales is not None and chunk.scales is not None:
            trained.scales.put(members, chunk.scales)
        for place, member in enumerate(members.tolist()):
            said = chunk.faults.get(place), chunk.remarks.get(place)
            if said != (None, None):
                trained.note[member] = "; ".join(each for each in said if each)

    def _take(self, portion: Group, results: Results) -> None:
        trained, members = self.trained, portion.members
        trained.parameters[members], trained.epochs[members] = results.parameters, results.epochs
        trained.error[members], trained.validation_error[members] = results.errors, results.validation_errors
        trained.stopped_by[members] = results.stopped_by
        diverged, cut_off = results.stopped_by == "diverged", np.isin(results.stopped_by.astype(str), CUT_OFF)
        trained.own[members] = ~diverged & ((results.updates > 0) | ~cut_off)
        trained.digests[members[cut_off]] = 0
        self.over[members[~cut_off]] = True

    def look(self) -> None:
        super().look()
        if self.keeping is not None and self.keeping.checkpoints.due:
            self.keeping.write(self.setting, self.trained, self.over)

    def keep(self, keeping: Keeping | None, left: np.ndarray) -> None:
        """From now on write all but those ``left``, and of these the ones that are done."""
        self.over[:] = True
        self.over[left] = False
        if keeping is not None:
            keeping.write(self.setting, self.trained, self.over)
            self.keeping = keeping


def train_nodes(
    setting: GroupSetting,
    source: Source,
    nodes: Nodes,
    old: tuple[Trained, dict[Any, int]] | None,
    threads: tuple[int, bool],
    progress: bool | None,
    executor: Any,
    keeping: Keeping | None = None,
) -> tuple[Trained, dict[str, Any]]:
    """Train all nodes, but those whose rows are as they were in ``old``, by so many threads, which must be had or may,
    or by an executor; and how many that were, in how many seconds."""
    started, trained = time.perf_counter(), Trained.room(setting, nodes.counts)
    with ctrl_c() as interrupted, progress_bar(progress, len(nodes), "network") as show:
        work = GroupWork(setting, source, nodes, trained, show, interrupted)
        left = np.arange(len(nodes))
        if old is not None:
            chunks = chunks_of(_lengths(setting, nodes, left), *_sizes(setting))
            work.share.run([partial(work.fingerprint, chunk) for chunk in chunks], *threads, work.look)
            left = _changed(nodes, trained, *old)
            work.report(len(nodes) - len(left))
            work.share = Share()
        if old is None or trained.digests.any(axis=1).all():  # else there was no time to see which are done
            work.keep(keeping, left)
        takers, lengths = threads[0] if executor is None else workers_of(executor), _lengths(setting, nodes, left)
        least, most = _sizes(setting, takers, left)
        if executor is not None:
            most = max(1, min(most, int(lengths.sum()) // (takers * PORTIONS)))
        chunks = [left[chunk] for chunk in chunks_of(lengths, least, most)]
        if executor is None:
            work.share.run([partial(work.learn, chunk) for chunk in chunks], *threads, work.look)
        else:
            Sending(executor, work).run((errand for chunk in chunks for errand in work.errands_of(chunk)), *threads)
        if work.keeping is not None:
            work.keeping.write(setting, trained, work.over)
    seconds = time.perf_counter() - started - work.compile_seconds
    return trained, {"trained": len(left), "seconds": seconds, "compile_seconds": work.compile_seconds}


def _lengths(setting: GroupSetting, nodes: Nodes, members: np.ndarray) -> np.ndarray:
    """How many rows each of these nodes learns from."""
    counts = nodes.counts[members]
    return np.where(members < nodes.full, counts, np.minimum(counts, setting.parent_rows))


def _sizes(setting: GroupSetting, takers: int = 1, members: np.ndarray | None = None) -> tuple[int, int]:
    """How many nodes a chunk has at least, if there are so many, and how many rows about."""
    width, columns = packs.width(setting.like.dtype), len(setting.inputs) + len(setting.outputs)
    if members is not None and len(members) < 2 * width * takers:  # so that each of them has some
        width = packs.width(setting.like.dtype, packs.NARROW)
    return width, max(1, NUMBERS // columns)


def _changed(nodes: Nodes, trained: Trained, old: Trained, numbers: dict[Any, int]) -> np.ndarray:
    """Nodes that must be trained, the others being taken over. Writes trained."""
    before = np.array([numbers.get(key, -1) for key in nodes.keys])
    same = (before >= 0) & (trained.digests == old.digests[before]).all(axis=1) & trained.digests.any(axis=1)
    kept = np.flatnonzero(same)
    rows = trained.rows.copy()
    trained.take(kept, old, before[kept])
    trained.rows[:] = rows  # of a parent there may be others that it does not learn from
    return np.flatnonzero(~same)
