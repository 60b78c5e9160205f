"""Terms: all that decides where the trainings of a call go, start networks, settings and data, by their arguments; as
a file has it, so that a later call can say what differs."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..common.files import refused
from ..kernels.devices import on_host
from ..kernels.layout import loss_as_given
from ..networks.network import Network
from ..settings.rules import Rule
from ..settings.schedules import Schedule
from ..settings.stopping import Condition
from ..settings.words import from_words, in_words
from .data import concerning
from .groups import Data, Group, one_of
from .resuming import updates_of
from .standing import DAMAGED, as_bytes

KINDS: dict[str, Any] = {"rule": Rule, "eta": Schedule, "stop": Condition}  # what words of an argument stand for
NOTHING = {"lam": 1.0, "target_error": -np.inf}  # numbers for what is not wanted
MADE = "the checkpoint was made with"


@dataclass(frozen=True, eq=False)
class Term:
    """An argument, one value for all networks or one for each: numbers, or places in a list of words. Numbers of what
    is too long to be said are digests."""

    numbers: np.ndarray
    words: list[str] | None = None
    digests: bool = False

    @classmethod
    def of_each(cls, values: Sequence[Any], members: Sequence[np.ndarray], count: int) -> Term:
        """Of groups, each with one value for all its networks or one for each, as JSON can say it."""
        places: dict[str, int] = {}
        numbers = np.zeros(count, np.uint32)
        for own, mine in zip(values, members, strict=True):
            said = [places.setdefault(text, len(places)) for text in map(_said, own)]
            numbers[mine] = said
        return cls(_shortest(numbers), list(places))

    @classmethod
    def of_numbers(
        cls, values: Sequence[np.ndarray], members: Sequence[np.ndarray], count: int, digests: bool = False
    ) -> Term:
        """The same of numbers."""
        numbers = np.zeros(count, values[0].dtype)
        for own, mine in zip(values, members, strict=True):
            numbers[mine] = own
        return cls(_shortest(numbers), None, digests)

    def value(self, argument: str, network: int) -> Any:
        """That of a network, as a user would give it."""
        number = one_of(self.numbers, network).item()
        if self.words is not None:
            return _read(argument, self.words[number])
        return None if NOTHING.get(argument) == number else number

    def differing(self, before: Term, argument: str) -> int | None:
        """The first network for which it is another one."""
        numbers, others = self.numbers, before.numbers
        if self.words == before.words and np.array_equal(numbers, others):
            return None
        if self.words is None and before.words is None:
            found = np.flatnonzero(np.broadcast_arrays(numbers != others)[0])
            return int(found[0]) if len(found) else None
        same: dict[tuple[int, int], bool] = {}
        for network in range(max(len(numbers), len(others))):
            pair = int(one_of(numbers, network)), int(one_of(others, network))
            if self.words is None or before.words is None or pair not in same:
                same[pair] = bool(self.value(argument, network) == before.value(argument, network))
            if not same[pair]:
                return network
        return None


Terms = dict[str, Term]


def check_same(now: Terms, before: Terms) -> None:
    """Raise ``ValueError`` that names the first argument which is another one now, and the network if each has one."""
    for argument, mine in now.items():
        theirs = before.get(argument)
        if theirs is None:
            continue
        with refused(DAMAGED):
            network = mine.differing(theirs, argument)
            if network is None:
                continue
            pair = (None, None) if mine.digests else (theirs.value(argument, network), mine.value(argument, network))
        with concerning(network) if max(len(mine.numbers), len(theirs.numbers)) > 1 else contextlib.nullcontext():
            if mine.digests:
                raise ValueError(f"{argument}: {MADE} others; give the same, or start anew with another checkpoint")
            raise ValueError(
                f"{argument}: {MADE} {pair[0]!r}, got {pair[1]!r}; give the same, or start anew with another checkpoint"
            )


def _said(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _read(argument: str, text: str) -> Any:
    """What words say: a rule, a schedule, conditions, or what JSON has."""
    value, kind = json.loads(text), KINDS.get(argument)
    if kind is None or not isinstance(value, list):
        return value
    return [from_words(words, kind) for words in value] if argument == "stop" else from_words(value, kind)


def _shortest(numbers: np.ndarray) -> np.ndarray:
    """One for all, where they are."""
    return numbers[:1] if len(numbers) and (numbers == numbers[0]).all() else numbers


# --- Of a call.


def terms_of(groups: Sequence[Group], count: int, more: dict[str, Any]) -> Terms:
    """All that decides where these groups of so many networks go; ``more`` is the same for all."""
    members = [group.members for group in groups]

    def each(values: Callable[[Group], Sequence[Any]]) -> Term:
        return Term.of_each([list(values(group)) for group in groups], members, count)

    def numbers(values: Callable[[Group], np.ndarray]) -> Term:
        return Term.of_numbers([values(group) for group in groups], members, count)

    def digests(values: Sequence[np.ndarray]) -> Term:
        return Term.of_numbers(values, members, count, digests=True)

    known = lru_cache(maxsize=None)(in_words)  # rules and schedules are often one for many
    scheduled = any(group.schedules for group in groups)
    terms = {name: Term.of_each([[value]], [np.arange(count)], count) for name, value in more.items()}
    terms |= {
        "nets": digests([_starts(group.net, group.start) for group in groups]),
        "loss": each(lambda group: [str(loss_as_given(group.loss))]),
        "updates": each(lambda group: [updates_of(group)]),
        "rule": each(lambda group: [known(rule) for rule in group.rules]),
        "eta": each(lambda group: [known(item) for item in group.schedules] or group.etas.tolist())
        if scheduled
        else numbers(lambda group: group.etas),
        "lam": numbers(lambda group: group.lam),
        "stop": each(lambda group: [[known(item) for item in (group.early, group.window) if item is not None]]),
        "target_error": numbers(lambda group: group.target_errors),
        "seed": numbers(lambda group: group.seeds),
        "trainable": digests([_digests([group.trainable]) for group in groups]),
    }
    for place, name in enumerate(("X", "Y", "sample_weight")):
        terms[name] = digests([_data(group.D, place) for group in groups])
    for place, name in enumerate(("validation X", "validation Y", "validation mask")):
        terms[name] = digests([_data(group.V, place) for group in groups])
    return terms


def _digests(pieces: Iterable[Any]) -> np.ndarray:
    """A fingerprint of each of these arrays or bytes."""
    found = [hashlib.blake2b(np.ascontiguousarray(piece).data, digest_size=8).digest() for piece in pieces]
    return np.frombuffer(b"".join(found), np.uint64)


def _starts(net: Network, vectors: np.ndarray) -> np.ndarray:
    """Fingerprints of networks of one kind."""
    architecture = net._architecture
    columns = None if architecture.columns is None else architecture.columns.to_words()
    said = [architecture.sizes, [str(name) for name in architecture.activations], net.dtype.name, columns]
    scale = architecture.scale.arrays if architecture.scale else {}
    parts = [json.dumps(said).encode(), *(name.encode() + array.tobytes() for name, array in scale.items())]
    kind = _digests([as_bytes(b"".join(parts))])[0]
    return _digests(vectors) ^ kind


def _data(data: Data, place: int) -> np.ndarray:
    """Fingerprints of inputs, targets or weights of networks."""
    if place < 2:
        array = on_host((data.X, data.Y)[place])
        if data.row is None:
            return _digests([array])
        return _digests(array[row] for row in data.row)
    seen = _digests([data.numbers])
    if data.c is None:
        return seen
    return seen ^ _digests(data.c[:1] if data.c.strides[0] == 0 else data.c)


# --- As arrays of a file.


def to_tensors(terms: Terms) -> dict[str, np.ndarray]:
    tensors = {}
    for argument, term in terms.items():
        tensors[f"term.{argument}"] = term.numbers
        if term.words is not None:
            tensors[f"term.{argument}.words"] = as_bytes(json.dumps(term.words))
        elif term.digests:
            tensors[f"term.{argument}.digests"] = np.zeros(0, np.uint8)
    return tensors


def from_tensors(tensors: dict[str, np.ndarray]) -> Terms:
    """What ``to_tensors`` gave."""
    terms = {}
    for name, numbers in tensors.items():
        argument = name.removeprefix("term.")
        if argument == name or name.endswith((".words", ".digests")):
            continue
        words = tensors.get(f"{name}.words")
        said = None if words is None else json.loads(words.tobytes())
        if numbers.ndim != 1 or not len(numbers) or (said is not None and int(numbers.max()) >= len(said)):
            raise ValueError(f"expected one value of {argument}, or one for each network")
        terms[argument] = Term(numbers, said, f"{name}.digests" in tensors)
    return terms
