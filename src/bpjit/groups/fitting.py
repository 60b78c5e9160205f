"""fit_groups(): one network for each key of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from os import PathLike
from typing import Any

from ..common.arguments import as_flag
from .group_fit import GroupFit, fit_table
from .keeping import as_checkpoints_of_nodes, as_resumed
from .setting import SAID, TRAINING, GroupSetting, as_architecture, as_group_setting, as_names


def fit_groups(
    frame: Any,
    key: str | Sequence[str],
    inputs: str | Sequence[str],
    outputs: str | Sequence[str],
    *,
    hidden: int | Sequence[int] = 8,
    activation: str | Sequence[str] = "tanh",
    output: str = "identity",
    init: str | tuple[float, float] = "glorot",
    dtype: Any = "float64",
    scale: bool = True,
    min_rows: int = 10,
    fallback: str = "parent",
    shrinkage: float | None = None,
    parent_rows: int = 10_000,
    eta: Any = None,
    updates: str | int | None = None,
    loss: str | None = None,
    rule: Any = "sgd",
    lam: float | None = None,
    stop: Any = None,
    validation: float | None = None,
    shuffle: bool = True,
    seed: int = 0,
    threads: int | None = None,
    executor: Any = None,
    progress: bool | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: timedelta | None = None,
    resume: str | PathLike[str] | None = None,
) -> GroupFit:
    """One network for each key of a table, all trained at once: a model for each store, pump or sensor.

    Parameters
    ----------
    frame : a table of pandas, polars, pyarrow or whatever narwhals reads, or a dict of arrays (m,) by names
    key : the column whose values are the keys, or several, from coarse to fine, such as ["store", "item"]: words,
        numbers, truth values or dates
    inputs, outputs : columns of numbers, one or several
    hidden : hidden units, or those of each of several layers
    activation, output, init, dtype : ``hidden``, ``output``, ``init`` and ``dtype`` of ``Network.random``;
        "nguyen_widrow" spreads units over ±√3 in standardised inputs
    scale : each network carries a ``Scale.standard`` of its own rows: of inputs, and of outputs if they are unbounded
    min_rows : a key with fewer rows that can be learnt from gets no network of its own
    fallback : "parent": what has no network of its own, and in ``predict`` a key that is not known, takes that of the
        parent, the key without its last column, up to that of all rows; "none": predictions are NaN; "error": raises
    shrinkage : κ ≥ 0, in rows: predictions are ŷ = (n ŷ_key + κ ŷ_parent)/(n + κ) for a key of n rows, and those of
        parents likewise; None is none
    parent_rows : a parent learns from so many of its rows at most, one drawn from each of as many equal stretches of
        them, its keys in their order
    eta, updates, loss, rule, lam, stop, shuffle : as for ``train_many``, for all networks
    validation : a share of the rows of each network, such as 0.2, held out as ``train`` does, for EarlyStopping
    seed : decides starts, together with the key; orders and what is held out, for all keys alike
    threads, executor, progress : as for ``train_many``
    checkpoint, checkpoint_every : file to write the keys that are done to, every minute or after so much time, as for
        ``train_many``; it is one that ``GroupFit.load`` reads
    resume : path of a checkpoint to go on from: keys that are done, and whose rows are as they were, are not trained
        again. Settings must be the same. The same path as ``checkpoint`` need not exist yet

    Returns
    -------
    GroupFit. The network of a key depends on its rows, in their order, and on nothing else in the table: to the last
    bit it is that of ``fit_groups`` of these rows alone, and of ``train_many`` from ``fit.start(key)``.

    Rows that hold NaN, an infinity or a word among inputs or outputs are left out; a key with a missing value, with too
    few rows or whose training diverges falls back. The table tells of each. Ctrl-C, TimeLimit and StopEvent end those
    that train with what they have learnt; keys not begun fall back, and ``update`` trains both anew.

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came; a column that is not there, or holds
        no numbers

    Examples
    --------
    >>> import numpy as np, bpjit
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-1, 1, 200)
    >>> sales = {"store": ["north", "south"] * 100, "x": x, "y": np.where(np.arange(200) % 2, np.sin(3 * x), x * x)}
    >>> fit = bpjit.fit_groups(sales, key="store", inputs="x", outputs="y", stop=500)
    >>> new = {"store": ["south", "north", "south"], "x": np.array([0.5, 0.5, -0.5])}
    >>> fit.predict(new).round(1).tolist()
    [[1.0], [0.2], [-1.0]]
    >>> fit["south"].predict([0.5]).round(1).tolist()
    [1.0]
    """
    if progress is not None:
        as_flag("progress", progress)
    given = {
        "key": key,
        "inputs": inputs,
        "outputs": outputs,
        "hidden": hidden,
        "activation": activation,
        "output": output,
        "init": init,
        "dtype": dtype,
        "scale": scale,
        "min_rows": min_rows,
        "fallback": fallback,
        "shrinkage": shrinkage,
        "parent_rows": parent_rows,
        "eta": eta,
        "updates": updates,
        "loss": loss,
        "rule": rule,
        "lam": lam,
        "stop": stop,
        "validation": validation,
        "shuffle": as_flag("shuffle", shuffle),
        "seed": seed,
    }
    setting, kept = setting_of(given), as_checkpoints_of_nodes(checkpoint, checkpoint_every)
    return fit_table(setting, frame, as_resumed(resume, kept, setting), threads, progress, executor, kept)


def setting_of(given: dict[str, Any]) -> GroupSetting:
    """What these arguments of ``fit_groups`` stand for; others are not looked at."""
    columns = {name: as_names(name, given[name]) for name in ("key", "inputs", "outputs")}
    kind = [given[name] for name in ("hidden", "activation", "output", "dtype")]
    architecture = as_architecture(len(columns["inputs"]), len(columns["outputs"]), *kind)
    training = {name: given[name] for name in TRAINING}
    return as_group_setting(architecture, **{name: given[name] for name in SAID}, training=training)
