"""The space of a search: values, or distributions of scipy.stats, by the names of settings; and what is drawn there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..common.arguments import describe
from ..common.elsewhere import hint
from ..maths import random_streams
from ..settings.rules import BayesianRegularization, as_rule

# What a configuration consists of, and what holds where neither the space nor an argument says it.
DEFAULTS: dict[str, Any] = {
    "hidden": 8,
    "activation": "tanh",
    "output": None,
    "init": "glorot",
    "init_seed": 0,
    "rule": "sgd",
    "eta": None,
    "lam": None,
    "updates": None,
}
MOST_DEALT = 1 << 20  # combinations that are dealt like cards; of more some are drawn
TRIES = 20  # draws for each configuration wanted, at most


class Space:
    """Settings with the values that each may take; configurations are drawn one by one, without any twice."""

    def __init__(self, space: Any, seed: int) -> None:
        if not isinstance(space, dict) or not space:
            example = '{"hidden": [4, 8, 16], "eta": scipy.stats.loguniform(1e-3, 1)}'
            raise TypeError(f"space: expected a dictionary such as {example}, got {describe(space)}")
        for name, values in space.items():
            as_name("space", name)
            check_values(name, values)
        self.space, self.seed = space, seed
        sizes = [len(values) if is_list(values) else None for values in space.values()]
        self.size: int | None = None if None in sizes else int(np.prod([float(size or 1) for size in sizes]))
        self._cards: np.ndarray | None = None
        self._drawn, self._seen = 0, set[str]()

    def draw(self, count: int) -> list[dict[str, Any]]:
        """So many more configurations, or all that are left of a small space."""
        found: list[dict[str, Any]] = []
        for _ in range(TRIES):
            if (missing := count - len(found)) <= 0:
                break
            for row in self._next(missing):
                with concerning(row):
                    key = repr(canonical(row))
                if key not in self._seen:
                    self._seen.add(key)
                    found.append(row)
        return found

    def hear(self, scores: dict[int, float], epochs: int) -> None:
        """Nobody wants to know."""

    def tell(self, ends: dict[int, str]) -> None:
        """Nor this."""

    def _next(self, count: int) -> list[dict[str, Any]]:
        first, self._drawn = self._drawn, self._drawn + count
        if self.size is not None and self.size <= MOST_DEALT:
            if self._cards is None:
                keys = random_streams.draws(self.seed, random_streams.CHOICES, 0, self.size)
                self._cards = np.argsort(keys, kind="stable")
            return self._combinations(self._cards[first : first + count])
        places = np.arange(first, first + count, dtype=np.uint64)
        columns = []
        for index, values in enumerate(self.space.values()):
            key = random_streams.stream(
                random_streams.base(self.seed, random_streams.CHOICES), np.array([index + 1], np.uint64)
            )
            columns.append(drawn(values, random_streams.draw(key[0], places)))
        return [dict(zip(self.space, row, strict=True)) for row in zip(*columns, strict=True)]

    def _combinations(self, numbers: np.ndarray) -> list[dict[str, Any]]:
        columns = []
        for values in reversed(self.space.values()):
            numbers, places = np.divmod(numbers, len(values))
            columns.append([plain(values[place]) for place in places.tolist()])
        return [dict(zip(self.space, row, strict=True)) for row in zip(*reversed(columns), strict=True)]


@contextlib.contextmanager
def concerning(settings: dict[str, Any]) -> Iterator[None]:
    """Let an error name the configuration."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"configuration {settings}: {error}") from None


def as_name(argument: str, name: Any) -> str:
    """The name of a setting that a space may have."""
    if not isinstance(name, str) or name not in DEFAULTS:
        meant = hint(name, tuple(DEFAULTS)) if isinstance(name, str) else ""
        raise ValueError(f"{argument}: expected names among {', '.join(DEFAULTS)}; got {name!r}{meant}")
    return name


def is_list(values: Any) -> bool:
    return isinstance(values, (list, tuple, np.ndarray))


def check_values(name: str, values: Any) -> None:
    """Refuse what is neither a list of values nor a distribution."""
    if is_list(values):
        if len(values) == 0:
            raise ValueError(f"space[{name!r}]: expected one value at least, got none")
    elif not hasattr(values, "ppf") and not hasattr(values, "rvs"):
        expected = "a list of values, or a distribution such as scipy.stats.loguniform(1e-3, 1)"
        raise TypeError(f"space[{name!r}]: expected {expected}, got {describe(values)}")


def drawn(values: Any, bits: np.ndarray) -> list[Any]:
    """A value for each of these 64 random bits."""
    if is_list(values):
        places = (bits >> np.uint64(32)) * np.uint64(len(values)) >> np.uint64(32)
        return [plain(values[place]) for place in places.tolist()]
    if not hasattr(values, "ppf"):
        return [plain(values.rvs(random_state=int(number >> np.uint64(32)))) for number in bits]
    u = ((bits >> np.uint64(12)) + 0.5) * 2.0**-52
    numbers = np.asarray(values.ppf(u))
    return numbers.astype(np.int64).tolist() if hasattr(values, "pmf") else numbers.tolist()


def plain(value: Any) -> Any:
    """A value as Python has it."""
    return value.item() if isinstance(value, np.generic) else value


def canonical(settings: dict[str, Any]) -> dict[str, Any]:
    """A configuration in full. What its rule does not have is None: so two that differ in that alone are one."""
    whole = {**DEFAULTS, **settings}
    whole["rule"] = rule = as_rule(whole["rule"], second_order=True)
    if isinstance(whole["hidden"], Sequence) and not isinstance(whole["hidden"], str):
        whole["hidden"] = tuple(plain(units) for units in whole["hidden"])
    else:
        whole["hidden"] = (plain(whole["hidden"]),)
    if rule.default_eta is None:
        whole["eta"] = None
    if rule.accumulated_only:
        whole["updates"] = None
    if isinstance(rule, BayesianRegularization):
        whole["lam"] = None
    return whole
