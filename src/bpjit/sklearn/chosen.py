"""What an estimator chooses where its user says nothing, from the table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..many.fits import Fits
from ..many.given import Given
from ..many.train_many import train_given, train_one_by_one
from ..maths import random_streams
from ..networks.for_table import usual_hidden
from ..networks.networks import Networks

SMALL = 1000  # rows, below which no share is held out, and updates are accumulated: a row twice is a weight of 2
BATCH = 32
SHARE = 0.1  # held out to validate on, in larger tables
FOLDS = 4
FEWEST = 30  # rows that are dealt to folds
PENALTIES = 0.03, 0.1, 0.3, 1.0, 3.0, 10.0  # (1 − λ) m that small tables choose from
PENALTY = 0.3  # that of all others


class Chosen(NamedTuple):
    """Settings of ``train_many``, and the sizes of hidden layers."""

    hidden: tuple[int, ...]
    rule: Any
    eta: Any
    updates: Any
    max_epochs: int
    validation: Any
    patience: int


def rows_of(m: int, c: np.ndarray | None) -> float:
    """How many rows a table has, where those of a whole weight count as often; else how many equal ones would tell as
    much."""
    if c is None:
        return float(m)
    return float(c.sum() if (c == np.floor(c)).all() else c.sum() ** 2 / np.square(c).sum())


def chosen(estimator: Any, rows: float, d: int) -> Chosen:
    """For a table of so many rows and d columns: what the estimator says, and what it leaves open."""
    small = rows < SMALL
    hidden = estimator.hidden
    if hidden is None:
        hidden = usual_hidden(d)
    sizes = (int(hidden),) if not hasattr(hidden, "__len__") else tuple(hidden)
    open_rule = estimator.rule is None
    rule = "adam" if open_rule else estimator.rule
    eta = (0.02 if small else 0.003) if open_rule and estimator.eta is None else estimator.eta
    updates = ("accumulated" if small else BATCH) if open_rule and estimator.updates is None else estimator.updates
    validation = (None if small else SHARE) if isinstance(estimator.validation, str) else estimator.validation
    epochs = (300 if small else 100) if estimator.max_epochs is None else estimator.max_epochs
    patience = 10 if estimator.patience is None else estimator.patience
    return Chosen(sizes, rule, eta, updates, epochs, validation, patience)


def trained(given: Given, threads: int | None, callback: Any = None) -> Fits:
    """``train_many``, by the kernels for all shapes: else each shape of a table would be compiled anew. Where somebody
    is to be called back, one by one."""
    if callback is not None:
        return train_one_by_one(given, callback)
    given.typed = False
    return train_given(given, threads)


def chosen_lambda(
    starts: Networks,
    X: np.ndarray,
    Y: np.ndarray,
    c: np.ndarray | None,
    rows: float,
    settings: dict[str, Any],
    threads: int | None,
) -> float:
    """The book's λ: for small tables the one whose networks err least on folds that they did not learn from, one start
    for all. Equal rows fall into one fold, so that a row twice remains a weight of 2."""
    if not FEWEST <= rows < SMALL:
        return 1.0 - min(0.5, PENALTY / rows)
    fold = folds_of(X, Y)
    c = np.ones(len(X)) if c is None else c
    left_out = np.array([c * (fold == part) for part in range(FOLDS)])
    left_out = left_out[left_out.any(axis=1) & (c - left_out).any(axis=1)]
    if len(left_out) < 2:
        return 1.0 - PENALTY / rows
    learns = c - left_out
    lams = [1.0 - min(0.5, penalty / rows_of(len(X), row)) for penalty in PENALTIES for row in learns]
    weights = np.tile(learns, (len(PENALTIES), 1))
    given = Given(Networks.of([starts[0]] * len(lams)), X, Y, lam=lams, sample_weight=weights, **settings)
    nets = trained(given, threads).networks
    assert isinstance(nets, Networks)  # they have one shape
    errors = np.square(nets.predict(X) - Y).sum(axis=2).reshape(len(PENALTIES), *left_out.shape)
    return 1.0 - PENALTIES[int(np.argmin((left_out * errors).sum(axis=(1, 2))))] / rows


def folds_of(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """A fold for each row, from its numbers alone."""
    words = (np.column_stack([X, Y]) + 0.0).view(np.uint64)
    key = np.zeros(len(words), np.uint64)
    for column in words.T:
        key = random_streams.draw(key ^ column, np.zeros(len(key), np.uint64))
    return (key >> np.uint64(32)).astype(np.int64) % FOLDS
