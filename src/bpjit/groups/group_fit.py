"""GroupFit: the networks of all keys, what became of each, and what predicts for keys that have none."""

from __future__ import annotations

from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import quiet
from ..common.checkpoints import Checkpoints
from ..learners.learner_bank import LearnerBank
from ..networks.network import Network
from ..networks.networks import Networks
from ..training.crew import as_threads
from ..training.workers import as_executor
from .chunks import Source
from .columns import Columns
from .keys import Key, coded
from .nodes import Nodes, as_nodes, listed
from .setting import GroupSetting
from .table import GroupTable, objects
from .training import Keeping, Trained, train_nodes

BLOCK = 1 << 17  # rows that predictions are made for at a time


class GroupFit:
    """The result of ``fit_groups``: a network for each key.

    ``fit[key]`` is the network that predicts for a key: its own, or that of its nearest parent that has one. A key is a
    value where one column is the key, else a tuple of values; a shorter tuple is a parent, and ``()`` that of all rows.
    Networks know the columns of the table: they ``predict`` from a frame too.
    ``key in fit`` says whether the table has the key. Fits pickle, and ``save`` writes one file.

    Attributes
    ----------
    table : ``GroupTable``, a line for each key
        the columns of the key; ``rows``; ``left_out``, those of them that hold something else than finite numbers, from
        which nothing is learnt; ``error``, ``validation_error``, E in the units of the network, which are standardised;
        ``epochs``; ``stopped_by`` as in ``Fits``, "" where nothing was trained; ``model``, "own" or which parent
        predicts, or "none"; ``note``, why there is no network, and what is to be said of the rows
    parents : the same of the parents
    trained : how many networks this call trained, parents too
    seconds, compile_seconds : of the call, as in ``Fits``
    """

    def __init__(
        self,
        setting: GroupSetting,
        nodes: Nodes,
        trained: Trained,
        kind: str,
        said: dict[str, Any] | None = None,
    ) -> None:
        said = said or {"trained": 0, "seconds": 0.0, "compile_seconds": 0.0}
        self._setting, self._nodes, self._trained, self._kind = setting, nodes, trained, kind
        self.trained: int = said["trained"]
        self.seconds: float = said["seconds"]
        self.compile_seconds: float = said["compile_seconds"]
        self._number = {key: number for number, key in enumerate(nodes.keys)}
        self._by = _nearest(nodes.parents, trained.own)  # whose network predicts, -1 for none

    # --- What it is.

    @property
    def keys(self) -> list[Any]:
        """The keys of the table, in their order."""
        return [self._shown(key) for key in self._nodes.keys[: self._nodes.full]]

    def __len__(self) -> int:
        """How many keys the table has."""
        return self._nodes.full

    def __contains__(self, key: Any) -> bool:
        number = self._number.get(self._as_key(key))
        return number is not None and number < self._nodes.full

    def __getitem__(self, key: Any) -> Network:
        by = self._by[self._find(key)]
        if by < 0:
            raise KeyError(f"key: {key!r} has no network, nor has a parent: {self._trained.note[self._find(key)]}")
        return self._network(int(by), self._trained.parameters[by])

    def start(self, key: Any) -> Network:
        """The network that the training of a key's own began from: random numbers that follow from the key and from
        ``seed`` alone. ``train_many([start], X, Y, ...)`` on the rows of the key gives the same bits as ``fit_groups``,
        with its settings and ``seed``."""
        number = self._find(key)
        return self._network(number, self._setting.starts([self._nodes.keys[number]])[0])

    @cached_property
    def table(self) -> GroupTable:
        return self._table(slice(0, self._nodes.full), self._setting.key)

    @cached_property
    def parents(self) -> GroupTable:
        return self._table(slice(self._nodes.full, None), self._setting.key[:-1])

    def __repr__(self) -> str:
        own = int(np.count_nonzero(self._trained.own[: self._nodes.full]))
        words = self._setting.like._architecture.in_words(" each")
        names = ", ".join(self._setting.key)
        return f"GroupFit({len(self)} keys of {names}, {own} with a network of their own: {words})"

    # --- What it does.

    @quiet
    def predict(self, frame: Any, *, threads: int | None = None) -> np.ndarray:
        """ŷ for each row of a table, by the network of its key.

        Parameters
        ----------
        frame : a table with the columns of the key and the inputs, as for ``fit_groups``
        threads : how many threads to use, None for as many as there are cores

        Returns
        -------
        (m, l) outputs in the dtype of the networks and the order of the rows. With ``shrinkage`` κ,
        ŷ = (n ŷ_key + κ ŷ_parent)/(n + κ), where n is the number of rows of the key and ŷ_parent is shrunk in the same
        way towards its own parent. NaN where an input is missing, infinite or a word, and where no network predicts

        Raises
        ------
        ValueError, TypeError : naming the argument; with ``fallback="error"`` also for a key that has no network
        """
        columns, setting = Columns("frame", frame), self._setting
        columns.need((*setting.key, *setting.inputs))
        found = coded(columns, setting.key)
        nodes = np.array([self._nearest_known(key) for key in found.keys])
        if setting.fallback == "error" and (nodes < 0).any():
            without = [key for key, node in zip(found.keys, nodes.tolist(), strict=True) if node < 0]
            raise ValueError(f"frame: expected keys that have a network, got {listed(without)}")
        inputs = [columns.numbers(name)[0] for name in setting.inputs]
        y_hat = np.full((columns.rows, len(setting.outputs)), np.nan, setting.like.dtype)
        bank = self._bank(as_threads(threads))
        for first in range(0, columns.rows, BLOCK):
            part = slice(first, first + BLOCK)
            X = np.stack([numbers[part] for numbers in inputs], axis=1).astype(np.float64, copy=False)
            y_hat[part] = self._outputs(bank, nodes[found.codes[part]], X)
        return y_hat

    def update(
        self, frame: Any, *, threads: int | None = None, executor: Any = None, progress: bool | None = None
    ) -> GroupFit:
        """The fit of another table, of the same rows and others: only keys whose rows differ from those before are
        trained anew, and their parents. The same bits as ``fit_groups`` of this table with the same settings.

        Parameters
        ----------
        frame : the whole table, as for ``fit_groups``; keys that are not in it are gone
        threads, executor, progress : as for ``fit_groups``
        """
        return fit_table(self._setting, frame, (self._trained, self._number), threads, progress, executor)

    def bank(self, **settings: Any) -> LearnerBank:
        """A ``GroupBank``, a ``LearnerBank`` that goes on from here record by record, each key with the scale of its
        network; a key that has none begins with that of its parent. Keys for which no network predicts are not in it.

        Parameters
        ----------
        settings : of ``LearnerBank``: eta, rule, clip_gradient, threads, ...; without them those of the training
        """
        from .bank import bank_of

        full = np.arange(self._nodes.full)
        there = full[self._by[full] >= 0]
        if not len(there):
            raise ValueError("bank: expected a key with a network at least, got none")
        by, trained = self._by[there], self._trained
        scales = None if trained.scales is None else trained.scales.of(by)
        keys = [self._shown(self._nodes.keys[number]) for number in there.tolist()]
        return bank_of(self._setting, trained.parameters[by], scales, keys, settings)

    def save(self, path: str | PathLike[str]) -> None:
        """Write all to one safetensors file, whole or not at all. See ``GroupFit.load``. What a ``stop`` held of
        StopEvent is not kept."""
        from .storing import save

        save(path, self._setting, self._nodes, self._trained, self._kind)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> GroupFit:
        """Read what ``save`` wrote; ``OSError`` if the file is missing, ``ValueError`` if damaged or foreign."""
        from .storing import load

        return cls(*load(path))

    @classmethod
    def joined(cls, frame: Any) -> GroupFit:
        """The fit of all keys whose lines, of ``GroupWorker``, are in a table."""
        from .joining import joined

        return cls(*joined(frame))

    # --- Within.

    def _shown(self, key: Key) -> Any:
        return key[0] if len(self._setting.key) == 1 and len(key) == 1 else key

    def _as_key(self, key: Any) -> Key:
        return key if isinstance(key, tuple) else (key,)

    def _find(self, key: Any) -> int:
        number = self._number.get(self._as_key(key))
        if number is None:
            names = ", ".join(self._setting.key)
            raise KeyError(f"key: expected one of {len(self)} values of ({names}) or a parent, got {key!r}")
        return number

    def _nearest_known(self, key: Key) -> int:
        """The node of a key, or of its nearest parent that is known; -1 for none that predicts."""
        depth = len(key)
        while (number := self._number.get(key[:depth])) is None:
            if depth == 0 or self._setting.fallback != "parent":
                return -1
            depth -= 1
        return number if self._by[number] >= 0 else -1

    def _network(self, number: int, parameters: np.ndarray) -> Network:
        """A network with the scale of this one."""
        scales = self._trained.scales
        return self._setting.network(None if scales is None else scales[number], parameters)

    def _bank(self, threads: int) -> LearnerBank:
        """What predicts by many networks at once."""
        if self._predicting is None or self._predicting[0] != threads:
            networks = Networks._of(self._setting.like._architecture, self._trained.parameters)
            self._predicting = threads, LearnerBank(networks, threads=threads)
        return self._predicting[1]

    _predicting: tuple[int, LearnerBank] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_predicting", "table", "parents")}

    def _outputs(self, bank: LearnerBank, nodes: np.ndarray, X: np.ndarray) -> np.ndarray:
        """ŷ of these nodes, a row of X for each; NaN for -1."""
        y_hat = np.full((len(X), len(self._setting.outputs)), np.nan, self._setting.like.dtype)
        good = np.flatnonzero((nodes >= 0) & np.isfinite(X).all(axis=1))
        if not len(good):
            return y_hat
        nodes, X = nodes[good], X[good]
        found = self._by_network(bank, self._by[nodes], X)
        if self._setting.shrinkage is not None:
            found = self._shrunk(bank, nodes, X, found)
        y_hat[good] = found
        return y_hat

    def _shrunk(self, bank: LearnerBank, nodes: np.ndarray, X: np.ndarray, found: np.ndarray) -> np.ndarray:
        """ŷ of these nodes, drawn towards that of their parents; ``found`` is their own."""
        trained, parents, kappa = self._trained, self._nodes.parents, self._setting.shrinkage
        by = self._by[nodes]
        above = np.where(parents[by] >= 0, self._by[parents[by]], -1)
        there = np.flatnonzero(above >= 0)
        if not len(there) or kappa is None:
            return found
        theirs = self._by_network(bank, above[there], X[there])
        theirs = self._shrunk(bank, above[there], X[there], theirs).astype(np.float64)
        n = (trained.rows - trained.left_out)[by[there], None].astype(np.float64)
        result = found.astype(np.float64)
        result[there] = (n * result[there] + kappa * theirs) / (n + kappa)
        return result.astype(found.dtype)

    def _by_network(self, bank: LearnerBank, numbers: np.ndarray, X: np.ndarray) -> np.ndarray:
        """ŷ by the networks of these numbers, a row of X for each."""
        dtype, scales = self._setting.like.dtype, self._trained.scales
        scale = None if scales is None else scales[numbers]
        X = X.astype(dtype) if scale is None else scale.scale_inputs(X, dtype)
        good = np.isfinite(X).all(axis=1)  # a number may be too large for the dtype
        y_hat = bank.predict(numbers, np.where(good[:, None], X, 0))
        y_hat = y_hat if scale is None else scale.unscale_targets(y_hat)
        y_hat[~good] = np.nan
        return y_hat

    def _table(self, part: slice, key: tuple[str, ...]) -> GroupTable:
        trained, keys = self._trained, self._nodes.keys[part]
        columns = {
            name: objects([key[place] if place < len(key) else "*" for key in keys]) for place, name in enumerate(key)
        }
        numbers = np.arange(len(self._nodes))[part]
        by = self._by[part]
        columns |= {name: getattr(trained, name)[part] for name in ("rows", "left_out", "error", "validation_error")}
        columns |= {"epochs": trained.epochs[part], "stopped_by": trained.stopped_by[part]}
        names = ["own" if one == by_one else self._in_words(by_one) for one, by_one in zip(numbers, by, strict=True)]
        columns |= {"model": objects(names), "note": trained.note[part]}
        return GroupTable(columns, key, self._kind)

    def _in_words(self, number: int) -> str:
        if number < 0:
            return "none"
        pairs = zip(self._setting.key, self._nodes.keys[number], strict=False)
        return ", ".join(f"{name}={value}" for name, value in pairs) or "all rows"


def _nearest(parents: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Of each node the nearest that has a network, itself or above, -1 for none."""
    by = np.where(own, np.arange(len(own)), -1)
    for number in range(len(own) - 1, -1, -1) if not own.all() else ():
        if by[number] < 0 and parents[number] >= 0:
            by[number] = by[parents[number]]
    return by


def fit_table(
    setting: GroupSetting,
    frame: Any,
    old: tuple[Trained, dict[Any, int]] | None,
    threads: Any,
    progress: bool | None,
    executor: Any = None,
    checkpoints: Checkpoints | None = None,
) -> GroupFit:
    """The fit of a table; of an ``old`` fit it takes what has not changed."""
    columns = Columns("frame", frame)
    columns.need((*setting.key, *setting.inputs, *setting.outputs))
    nodes, order = as_nodes(coded(columns, setting.key), setting.fallback == "parent")
    source = Source(columns, (*setting.inputs, *setting.outputs), order)
    keeping = None
    if checkpoints is not None:
        from .storing import save

        keeping = Keeping(checkpoints, lambda path, known: save(path, setting, nodes, known, columns.kind))
    helpers = as_threads(threads), threads is not None
    trained, said = train_nodes(setting, source, nodes, old, helpers, progress, as_executor(executor), keeping)
    if setting.fallback == "error" and not trained.own.all():
        without = np.flatnonzero(~trained.own)
        why = trained.note[without[0]] or trained.stopped_by[without[0]]
        keys = listed([nodes.keys[number] for number in without.tolist()])
        raise ValueError(f'frame: expected keys that can all be trained, as fallback="error" asks, got {keys}: {why}')
    return GroupFit(setting, nodes, trained, columns.kind, said)
