"""Ready uses of ``train_many``: restarts, cross-validation, grids of settings, bagging. Each is one call of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_integer, as_seed, describe, quiet, refuse_masked
from ..common.plain import printable
from ..common.tables import aligned
from ..maths import random_streams
from ..networks.evaluation import as_network
from ..networks.network import Network
from ..networks.networks import Networks
from .fits import Fits
from .train_many import train_many

# What may differ from network to network, and so stand in a grid.
SETTINGS = ("eta", "rule", "lam", "max_epochs", "target_error")


def multi_start(
    sizes: Sequence[int],
    X: Any,
    Y: Any,
    starts: int = 100,
    *,
    hidden: str | Sequence[str] = "sigmoid",
    output: str = "sigmoid",
    init: str | tuple[float, float] = "glorot",
    init_seed: int = 0,
    dtype: Any = "float64",
    scale: Any = None,
    inputs: Any = None,
    **settings: Any,
) -> Fits:
    """Train from many random starts, the book's first means against local minima; the best comes first.

    Parameters
    ----------
    sizes, hidden, output, init, dtype, scale, inputs : as for ``Network.random``
    X, Y : data, as for ``train``
    starts : how many; start i is ``Network.random`` with seed init_seed + i
    settings : as for ``train_many``

    Returns
    -------
    Fits, the best first: ``fits.networks[0]`` is the best network, ``fits.order`` numbers the starts

    Examples
    --------
    A 2-2-1 network learns XOR from about two starts of three:

    >>> import bpjit
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> fits = bpjit.multi_start((2, 2, 1), X, Y, 100, eta=5.0, stop=1000)
    >>> bool(fits.error[0] < 1e-3 < fits.error[-1])
    True
    >>> fits.networks[0].classify(X)
    array([0, 1, 1, 0])
    """
    nets = Networks.random(sizes, starts, hidden, output, init, init_seed, dtype, scale, inputs)
    return train_many(nets, X, Y, **{**settings, "best_first": True})


@dataclass(frozen=True, eq=False)
class Table:
    """What came of a search: a row for each setting, the best first.

    Attributes
    ----------
    settings : a dictionary of the settings of each row
    mean, std : mean and standard deviation, over folds and restarts, of the error on the samples left out, or, in a
        grid without validation, of the training error
    diverged : how many trainings of each row diverged; such a row never stands before one without
    training : mean training error of each row
    fits : all networks, in the order of ``rows`` times folds times restarts
    numbers : the networks of each row in ``fits``, [shape: (rows, networks of a row)]
    """

    settings: list[dict[str, Any]]
    mean: np.ndarray
    std: np.ndarray
    training: np.ndarray
    diverged: np.ndarray
    fits: Fits
    numbers: np.ndarray

    @property
    def best(self) -> dict[str, Any]:
        """The settings with the smallest mean error, of those with which no training diverged if there are any."""
        return self.settings[0]

    def __len__(self) -> int:
        return len(self.settings)

    @printable
    def __str__(self) -> str:
        names = list(self.settings[0])
        header = [*names, "error", "±", "training"]
        rows = [
            [*(_word(row[name]) for name in names), *(f"{value:.6g}" for value in values)]
            for row, *values in zip(self.settings, self.mean, self.std, self.training, strict=True)
        ]
        if self.diverged.any():
            header, rows = [*header, "diverged"], [[*row, str(n)] for row, n in zip(rows, self.diverged, strict=True)]
        return "\n".join(aligned([header, *rows], left=0))

    __repr__ = __str__


def _word(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def grid(net: Network | Networks, X: Any, Y: Any, *, settings: dict[str, Sequence[Any]], **common: Any) -> Table:
    """Train with every combination of some settings.

    Parameters
    ----------
    net : the start: one network, or ``Networks`` for several restarts of each combination
    X, Y : data, as for ``train``
    settings : values to try of "eta", "rule", "lam", "max_epochs", "target_error"
    common : all other settings, as for ``train_many``; with ``validation`` the best have the smallest validation error

    Returns
    -------
    Table, the best combination first

    Examples
    --------
    >>> import bpjit
    >>> X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> table = bpjit.grid(bpjit.Network.random((2, 4, 1)), X, Y, settings={"eta": [0.1, 1.0, 5.0]}, stop=500)
    >>> table.best
    {'eta': 5.0}
    """
    restarts = _as_restarts(net)
    rows = _combinations(settings)
    fits = train_many(_repeated(restarts, len(rows)), X, Y, **common, **_each(rows, len(restarts)))
    left_out = fits.validation_error if common.get("validation") is not None else fits.error
    return _table(rows, fits, left_out)


def cross_validate(
    net: Network | Networks,
    X: Any,
    Y: Any,
    *,
    settings: dict[str, Sequence[Any]],
    folds: int = 10,
    fold_seed: int = 0,
    **common: Any,
) -> Table:
    """Choose settings, such as the book's λ, by the error on samples left out: folds × settings × restarts in one call.

    Parameters
    ----------
    net : the start: one network, or ``Networks`` for several restarts of each combination
    X, Y : data, as for ``train``, the same for all
    settings : values to try of "eta", "rule", "lam", "max_epochs", "target_error"
    folds : into so many parts the samples are dealt, at random; each part is left out once. With class numbers, or
        one-hot targets, every part gets its share of every class
    fold_seed : decides how they are dealt
    common : all other settings, as for ``train_many``, but for sample_weight and validation

    Returns
    -------
    Table, the setting with the smallest mean error first: E on the samples left out, without penalty. EarlyStopping
    watches the same samples, so its errors are a little too good

    Examples
    --------
    >>> import numpy as np
    >>> import bpjit
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> Y = (X[:, 0] * X[:, 1] > 0).astype(float)
    >>> nets = bpjit.Networks.random((2, 6, 1), 5, seed=0)
    >>> lams = [1 - 10.0**-k for k in (2, 4, 6)]
    >>> table = bpjit.cross_validate(nets, X, Y, settings={"lam": lams}, folds=5, eta=2.0, stop=500)
    >>> len(table.fits), table.best["lam"] in lams
    (75, True)
    """
    for name in ("sample_weight", "validation"):
        if common.get(name) is not None:
            raise ValueError(f"{name}: the folds decide it; expected None, got {describe(common[name])}")
    restarts, rows = _as_restarts(net), _combinations(settings)
    part = deal_folds(Y, folds, fold_seed)
    learns = np.tile(np.repeat(part != np.arange(folds)[:, None], len(restarts), axis=0), (len(rows), 1))
    fits = train_many(
        _repeated(restarts, len(rows) * folds),
        X,
        Y,
        sample_weight=learns.astype(np.float64),
        validation=(X, Y, ~learns),
        **common,
        **_each(rows, folds * len(restarts)),
    )
    return _table(rows, fits, fits.validation_error)


def bagging(
    nets: Networks | Sequence[int], X: Any, Y: Any, count: int | None = None, *, bag_seed: int = 0, **settings: Any
) -> Fits:
    """Train an ensemble, each network on samples drawn with replacement (Breiman 1996).

    Parameters
    ----------
    nets : ``Networks``, one for each bag; or the sizes of ``count`` random ones
    X, Y : data, as for ``train``
    count : how many, where ``nets`` are sizes
    bag_seed : decides the draws
    settings : as for ``train_many``

    Returns
    -------
    Fits; ``fits.networks.mean(X)`` averages the ensemble, ``fits.networks.vote(X)`` lets it vote

    Examples
    --------
    >>> import numpy as np
    >>> import bpjit
    >>> X = np.linspace(-2, 2, 40)[:, None]
    >>> nets = bpjit.Networks.random((1, 8, 1), 20, output="identity", seed=0)
    >>> fits = bpjit.bagging(nets, X, np.sin(2 * X), eta=0.05, stop=1000)
    >>> bool(np.abs(fits.networks.mean(X) - np.sin(2 * X)).mean() < 0.3)
    True
    """
    if not isinstance(nets, Networks):
        nets = Networks.random(nets, count)
    elif count is not None:
        raise ValueError(f"count: expected None, as there are {len(nets)} networks; got {count}")
    m = len(X)
    draws = random_streams.draws(as_seed("bag_seed", bag_seed), random_streams.BAGS, 0, len(nets) * m).reshape(
        len(nets), m
    )
    drawn = (draws >> np.uint64(32)) * np.uint64(m) >> np.uint64(32)
    counts = np.array([np.bincount(row, minlength=m) for row in drawn.astype(np.int64)], np.float64)
    return train_many(nets, X, Y, sample_weight=counts, **settings)


def deal_folds(Y: Any, folds: int, fold_seed: int = 0) -> np.ndarray:
    """The fold that ``cross_validate`` deals each sample to, [shape: (m,)], from its targets or class numbers.

    Folds are of equal size but for one sample, and get equal shares of every class.

    Examples
    --------
    >>> import numpy as np
    >>> import bpjit
    >>> bool((np.bincount(bpjit.deal_folds(np.arange(20) % 2, 5)) == 4).all())
    True
    """
    refuse_masked("Y", Y, "targets or class numbers")
    m = len(Y)
    folds, seed = as_integer("folds", folds, low=2, high=m), as_seed("fold_seed", fold_seed)
    order = np.argsort(random_streams.draws(seed, random_streams.FOLDS, 0, m), kind="stable")
    labels = np.asarray(Y)
    if labels.ndim == 2:
        labels = labels.argmax(1) if labels.shape[1] > 1 else labels[:, 0]
    if len(np.unique(labels)) <= max(2, m // folds):  # classes; else numbers, which are all different
        order = order[np.argsort(labels[order], kind="stable")]
    part = np.empty(m, np.int64)
    part[order] = np.arange(m) % folds
    return part


def _as_restarts(net: Any) -> Networks:
    return net if isinstance(net, Networks) else Networks.of([as_network(net)])


def _repeated(nets: Networks, times: int) -> Networks:
    return nets[np.tile(np.arange(len(nets)), times)]


def _combinations(settings: Any) -> list[dict[str, Any]]:
    if not isinstance(settings, dict) or not settings:
        raise TypeError(f'settings: expected a dictionary such as {{"lam": [0.99, 0.999]}}, got {describe(settings)}')
    for name, values in settings.items():
        if name not in SETTINGS:
            raise ValueError(f"settings: expected names among {', '.join(SETTINGS)}; got {name!r}")
        if not isinstance(values, (list, tuple, np.ndarray)) or len(values) == 0:
            raise TypeError(f"settings[{name!r}]: expected a list of values, got {describe(values)}")
    values = [[value.item() if isinstance(value, np.generic) else value for value in v] for v in settings.values()]
    return [dict(zip(settings, combination, strict=True)) for combination in itertools.product(*values)]


def _each(rows: list[dict[str, Any]], times: int) -> dict[str, Any]:
    """The settings of each network, where each row has so many."""
    return {name: [row[name] for row in rows for _ in range(times)] for name in rows[0]}


@quiet
def _table(rows: list[dict[str, Any]], fits: Fits, errors: np.ndarray) -> Table:
    numbers = np.arange(len(fits)).reshape(len(rows), -1)
    by_row = errors[numbers]
    mean = by_row.mean(axis=1)
    diverged = (fits.stopped_by[numbers] == "diverged").sum(axis=1)
    order = np.lexsort((np.where(np.isnan(mean), np.inf, mean), diverged > 0))
    return Table(
        [rows[i] for i in order],
        mean[order],
        by_row.std(axis=1)[order],
        fits.error[numbers].mean(axis=1)[order],
        diverged[order],
        fits,
        numbers[order],
    )
