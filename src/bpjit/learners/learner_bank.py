"""LearnerBank: one small network for each key, each learning from its own records as a mixed stream comes in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, TypeVar

import numpy as np

from ..common.arguments import describe
from ..kernels.one.bank import Desk, learn_records_kernel, make_bank, predict_records_kernel, starting_state
from ..kernels.one.learner_state import seen_by_prediction
from ..kernels.team import make_team
from ..networks import storage
from ..networks.architecture import same_kind
from ..networks.network import Network
from ..networks.networks import Networks
from ..settings.rules import Rule
from ..settings.words import from_words, in_words
from ..training.crew import Access, as_threads, ask_for_help
from .keys import Keys as _Keys
from .learner_setting import as_learner_setting
from .records import as_records

FORMAT, VERSION = "bpjit learner bank", "1"  # of files
LEAST = 256  # multiply-adds that take as long as what a record costs beside them
WORTH_SHARING = 1 << 17  # multiply-adds for each thread, some 50 µs
PARTS = 4  # of a block for each thread, so that a helper that comes late finds some left
CALL = 1 << 25  # multiply-adds of one kernel call, some ms

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What the learners of a bank know at one moment. ``LearnerBank.snapshot`` makes it, ``restore`` takes it.

    Attributes
    ----------
    like : a network of their kind
    keys : the key of each
    rule : the update rule
    state : (networks, numbers) parameters and state of the rule, a row for each network; read-only
    """

    like: Network
    keys: Sequence[Hashable]
    rule: Rule
    state: np.ndarray

    @property
    def networks(self) -> Networks:
        """The networks as they were."""
        return Networks._of(self.like._architecture, self.state[:, : len(self.like.parameters)].copy())

    def __repr__(self) -> str:
        return f"Snapshot({self.networks!r}, rule {self.rule.name})"


class LearnerBank:
    """Standard BP on a mixed stream of records: a network for each key learns from the records of its key.

    Each network learns exactly, to the last bit, as a ``bpjit.OnlineLearner`` of its own would that is given the
    records of its key in their order; so the result does not depend on how a stream is cut into blocks, nor on the
    number of threads.

    Parameters
    ----------
    networks : the ``bpjit.Networks`` to start from, one for each key; they stay as they are
    keys : a key for each network, all different: strings, numbers, whatever can be a key of a dict; None is
        0 to n − 1, which is fastest, with ids in a NumPy array of whole numbers
    eta, rule, loss, lam, clip_gradient, clip_weights, seed : as for ``bpjit.OnlineLearner``, for all alike
    threads : how many threads may share a block of records; None is as many as there are cores. A block too small to
        be worth it is learnt by one

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Notes
    -----
    Fastest are blocks of a thousand records or more, in contiguous arrays of the networks' dtype. Networks with a
    ``scale`` take and give the user's units. Several threads may predict at the same time; while one learns, the others
    are refused with a RuntimeError. When Ctrl-C or another signal interrupts ``learn``, all of the block is learnt or
    nothing.

    Examples
    --------
    >>> import bpjit
    >>> bank = bpjit.LearnerBank(bpjit.Networks.random((1, 3, 1), 2, output="identity"), ["pump", "fan"], eta=0.1)
    >>> for _ in range(500):
    ...     errors = bank.learn(["pump", "fan", "pump"], [[0.0], [0.5], [1.0]], [1.0, 5.0, 2.0])
    >>> bank.predict(["fan", "pump"], [[0.5], [1.0]]).round(1).tolist()
    [[5.0], [2.0]]
    >>> bank["fan"].predict([0.5]).round(1).tolist()
    [5.0]
    """

    def __init__(
        self,
        networks: Networks,
        keys: Iterable[Hashable] | None = None,
        *,
        eta: float | None = None,
        rule: str | Rule = "sgd",
        loss: str | None = None,
        lam: float | None = None,
        clip_gradient: float | None = None,
        clip_weights: float | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        if not isinstance(networks, Networks):
            raise TypeError(f"networks: expected bpjit.Networks, got {describe(networks)}; see bpjit.Networks.of")
        if "step" in (*networks.hidden, networks.output):
            raise ValueError('networks: the activation "step" has no slope, so they can predict but not learn')
        self._start, self._net = networks, networks._first
        self._keys = _Keys(keys, len(networks))
        self._threads = as_threads(threads)
        self._setting = as_learner_setting(
            self._net,
            eta=eta,
            rule=rule,
            loss=loss,
            lam=lam,
            clip_gradient=clip_gradient,
            clip_weights=clip_weights,
            seed=seed,
        )
        state, place = self._setting.make_state(self._net)
        self._kind = state.kind
        self._bank = make_bank(state.data, place, self._setting.rule.slots, len(networks))
        self._parameters = self._bank.places[: self._start.parameters.shape[1]]  # where they stand in a row
        self._work = LEAST + self._start.parameters.shape[1]  # multiply-adds of a record, about
        self._most_records = max(1, CALL // self._work)  # of one kernel call
        self._access = Access("LearnerBank")
        self._desks: list[Desk] = []  # that no thread uses
        self._before: tuple[Any, np.ndarray] | None = None  # what to put back, if a change was cut off
        self.reset()

    # --- What they are.

    @property
    def keys(self) -> Sequence[Hashable]:
        """The key of each network."""
        return self._keys.listed

    @property
    def networks(self) -> Networks:
        """The networks as they are now, in the order of ``keys``."""
        return Networks._of(self._net._architecture, self._read(lambda rows: rows.take(self._parameters, axis=1)))

    def __getitem__(self, key: Hashable) -> Network:
        """The network of a key as it is now; KeyError if there is none."""
        (row,) = self._keys.rows("key", [key])
        return self._net.with_parameters(self._read(lambda rows: rows[row, self._parameters]))

    def __len__(self) -> int:
        return len(self._start)

    def __repr__(self) -> str:
        return f"LearnerBank({self._start!r}, rule {self._setting.rule.name})"

    # --- What they do.

    def learn(self, ids: Any, X: Any, Y: Any) -> np.ndarray:
        """An update for each record, of the network of its key, in the order of the records.

        Parameters
        ----------
        ids : (m,) the key of each record
        X : (m, d) inputs
        Y : (m, l) targets, (m,) if l = 1, or class numbers (m,) with softmax outputs

        Returns
        -------
        (m,) E_k of each record before its update, in the networks' dtype. NaN marks a record that was not learnt, since
        it would have taken a parameter beyond all numbers: its network is as it was before it and goes on with its next
        record. A smaller eta or clip_gradient helps.

        Raises
        ------
        KeyError : a key that no network has, naming it and the record
        ValueError, TypeError : naming the argument, what was expected and what came, and the record and its key where
            it is a record that is wrong
        RuntimeError : another thread is using the bank

        After an error the whole bank is as it was before.
        """
        rows = self._keys.rows("ids", ids)
        X, Y = as_records(self._net, self._setting.loss, self.keys, rows, X, Y)
        E = np.empty(len(rows), self._net.dtype)
        several = len(rows) > self._most_records  # then an interrupt may fall between two calls
        kernel = learn_records_kernel(self._kind)
        self._change(np.unique(rows) if several else None, lambda: self._run(kernel, rows, X, Y, E))
        return E

    def predict(self, ids: Any, X: Any) -> np.ndarray:
        """ŷ for each record, by the network of its key.

        Parameters
        ----------
        ids : (m,) the key of each record
        X : (m, d) inputs

        Returns
        -------
        (m, l) outputs in the networks' dtype

        Raises KeyError, ValueError and TypeError as ``learn``, and RuntimeError while another thread learns.
        """
        rows = self._keys.rows("ids", ids)
        (X,) = as_records(self._net, self._setting.loss, self.keys, rows, X)
        y_hat = np.empty((len(rows), self._net.sizes[-1]), self._net.dtype)
        kernel = predict_records_kernel(seen_by_prediction(self._kind))
        self._read(lambda _: self._run(kernel, rows, X, y_hat))
        return self._net._architecture.unscaled_outputs(y_hat)

    def reset(self, keys: Iterable[Hashable] | None = None) -> None:
        """Start anew from the networks given first, for some ``keys`` or for all; the state of the rule starts anew,
        too. KeyError if no network has one of the keys; nothing is changed then."""
        rows = slice(None) if keys is None else self._keys.rows("keys", keys)
        self._put(rows, starting_state(self._start.parameters[rows], self._setting.rule, self._setting.seed))

    # --- Keeping what they know.

    def snapshot(self) -> Snapshot:
        """What the learners know now, the state of the rule included; ``restore`` brings it back to the last bit."""
        state = self._read(lambda rows: rows.take(self._bank.places, axis=1))
        state.flags.writeable = False
        return Snapshot(self._net, self.keys, self._setting.rule, state)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this bank, or of one with such networks, keys and rule.

        Raises ValueError or TypeError that says what does not fit.

        Examples
        --------
        >>> import bpjit
        >>> bank = bpjit.LearnerBank(bpjit.Networks.random((2, 3, 1), 10), rule="adam")
        >>> before = bank.snapshot()
        >>> errors = bank.learn([3, 4], [[0, 1], [1, 1]], [1, 0])
        >>> bank.restore(before)
        >>> bool((bank.learn([3, 4], [[0, 1], [1, 1]], [1, 0]) == errors).all())
        True
        """
        if not isinstance(snapshot, Snapshot):
            raise TypeError(f"snapshot: expected what LearnerBank.snapshot gives, got {describe(snapshot)}")
        if not same_kind(snapshot.like, self._net) or len(snapshot.state) != len(self):
            raise ValueError(f"snapshot: expected one of {self._start!r}, got one of {snapshot.networks!r}")
        if snapshot.rule != self._setting.rule:
            raise ValueError(f"snapshot: expected one of learners by {self._setting.rule!r}, got {snapshot.rule!r}")
        if snapshot.keys != self.keys:
            raise ValueError("snapshot: expected one with the keys of this bank in their order, got other keys")
        self._put(slice(None), snapshot.state)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the bank to a safetensors file, whole or not at all: settings, keys, the networks it started from, and
        what it knows now. See ``LearnerBank.load``.

        TypeError if a key is anything but a string, a number, True, False, None or a tuple of these: a file holds no
        others.
        """
        keys = self._given_keys
        try:
            words = {"keys": json.dumps(keys)}
            same = _tuples(json.loads(words["keys"])) == keys
        except (TypeError, ValueError):
            same = False
        if not same:
            raise TypeError(
                "keys: a file holds strings, numbers, True, False, None and tuples of these, got other keys"
            )
        tensors = {"start": self._start.parameters, "state": self.snapshot().state}
        setting = self._setting
        words |= {"rule": json.dumps(in_words(setting.rule)), "settings": json.dumps(setting.without_rule())}
        storage.save(path, FORMAT, VERSION, self._net._architecture, tensors, words)

    @classmethod
    def load(cls, path: str | PathLike[str], *, threads: int | None = None) -> LearnerBank:
        """Read a bank that ``save`` wrote; ``OSError`` if the file is missing, ``ValueError`` if damaged or foreign.

        It goes on as the one that was saved would have, to the last bit on the same machine.

        Examples
        --------
        >>> import os, tempfile
        >>> import bpjit
        >>> bank = bpjit.LearnerBank(bpjit.Networks.random((2, 3, 1), 2), ["pump", "fan"], rule="adam")
        >>> errors = bank.learn(["fan"], [[0, 1]], [1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "bank.safetensors")
        ...     bank.save(path)
        ...     bpjit.LearnerBank.load(path)["fan"] == bank["fan"]
        True
        """
        with storage.opened(path, FORMAT, VERSION) as file:
            start, words = file.tensors["start"], file.words
            networks = Networks(file.sizes, start, dtype=start.dtype, **file.settings)
            rule = from_words(json.loads(words["rule"]), Rule)
            settings = json.loads(words["settings"]) | {"rule": rule, "threads": threads}
            return cls._of(networks, _tuples(json.loads(words["keys"])), settings, file.tensors["state"])

    @classmethod
    def _of(cls, networks: Networks, keys: Any, settings: dict[str, Any], state: np.ndarray) -> LearnerBank:
        """A bank that knows what ``state`` says."""
        bank = cls(networks, keys, **settings)
        expected = len(bank), len(bank._bank.places)
        if state.shape != expected or state.dtype != networks.dtype:
            raise ValueError(f"expected a state of shape {expected} and {networks.dtype}, got {describe(state)}")
        if not np.isfinite(state).all():
            raise ValueError("expected a state of finite numbers, got NaN or infinity")
        bank._put(slice(None), state)
        return bank

    def __reduce__(self) -> tuple[Any, ...]:
        settings = self._setting.without_rule() | {"rule": self._setting.rule, "threads": self._threads}
        return LearnerBank._of, (self._start, self._given_keys, settings, self.snapshot().state)

    @property
    def _given_keys(self) -> tuple[Hashable, ...] | None:
        return self.keys if isinstance(self.keys, tuple) else None

    def _put(self, rows: Any, state: np.ndarray) -> None:
        numbers = np.arange(len(self))[rows]

        def put() -> None:
            self._bank.rows[numbers[:, None], self._bank.places] = state

        self._change(None, put)

    # --- Who may do what, and what an interrupt leaves.

    def _read(self, work: Callable[[np.ndarray], T]) -> T:
        """Do what only reads the rows of the learners."""
        if self._before is not None:
            self._access.change(self._put_back)
        return self._access.read(lambda: work(self._bank.rows))

    def _change(self, rows: np.ndarray | None, work: Callable[[], None]) -> None:
        """Do what changes these rows, or, for None, what changes them in one step. If something is raised meanwhile,
        at whatever moment, they are as they were before."""

        def change() -> None:
            self._put_back()
            if rows is None:
                work()
                return
            self._before = rows, self._bank.rows[rows]
            try:
                work()
                self._before = None
            finally:
                self._put_back()

        self._access.change(change)

    def _put_back(self) -> None:
        if self._before is not None:
            rows, values = self._before
            self._bank.rows[rows] = values
            self._before = None

    def _run(self, kernel: Any, rows: np.ndarray, *arrays: np.ndarray) -> None:
        """Run a kernel on records; where there are many, helpers join in."""
        m, size = len(rows), self._most_records
        threads = max(1, min(self._threads, m * self._work // WORTH_SHARING))
        parts = 1 if threads == 1 else 1 << (PARTS * threads - 1).bit_length()
        desks = [self._desk() for _ in range(threads)]
        records = np.empty((threads, min(m, size)), np.int64)
        for first in range(0, m, size):
            team, of_call = make_team(), (rows, *arrays)
            if m > size:
                of_call = tuple(array[first : first + size] for array in of_call)
            presence = threading.Lock()
            with presence:
                if threads > 1:
                    helpers = zip(desks[1:], records[1:], strict=True)
                    jobs = [partial(kernel, desk, team, parts, False, mine, *of_call) for desk, mine in helpers]
                    ask_for_help(presence, jobs)
                kernel(desks[0], team, parts, True, records[0], *of_call)
        self._desks += desks

    def _desk(self) -> Desk:
        """A place for one thread."""
        try:
            return self._desks.pop()
        except IndexError:
            return self._bank.new_desk()


def _tuples(value: Any) -> Any:
    """What JSON made lists of."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
