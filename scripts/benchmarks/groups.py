"""Measure ``bpjit.fit_groups``, one network 8-10-1 for each key of a table in float32, beside ``train_many`` of as many
networks on arrays that lie ready, and beside a loop over scikit-learn's MLPRegressor, of which some keys are timed.

    python scripts/benchmark_groups.py
    python scripts/benchmark_groups.py --keys 10000 --mixed --frame polars

The peak is that of the resident memory of the whole process, Python and machine code included, while fit_groups runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import bpjit
from script_tools import run, table, whole

INPUTS = [f"x{i}" for i in range(8)]
ETA = 0.01
FRAMES = ("dict", "pandas", "polars", "pyarrow")


def data(keys: int, rows: int, mixed: bool) -> dict[str, np.ndarray]:
    """A table in which each key has so many rows, which follow one another or come in turns."""
    rng, m = np.random.default_rng(0), keys * rows
    numbers = np.arange(keys, dtype=np.int32)
    found: dict[str, np.ndarray] = {"key": np.tile(numbers, rows) if mixed else np.repeat(numbers, rows)}
    for name in INPUTS:
        found[name] = rng.standard_normal(m, dtype=np.float32)
    y = rng.standard_normal(m, dtype=np.float32)
    y *= np.float32(0.1)
    y += np.sin(found["x0"])
    y += found["x1"]
    found["y"] = y
    return found


def as_frame(columns: dict[str, np.ndarray], kind: str) -> Any:
    """The table in this kind of frame; pandas and pyarrow copy nothing."""
    if kind == "dict":
        return columns
    library = import_module(kind)
    if kind == "pyarrow":
        return library.table({name: library.array(values) for name, values in columns.items()})
    return library.DataFrame(columns, **({"copy": False} if kind == "pandas" else {}))


def peak() -> float:
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def clocks() -> np.ndarray:
    """Seconds on the wall, and those that the cores worked for this process."""
    return np.array([time.perf_counter(), time.process_time()])


def settings(options: argparse.Namespace, epochs: int) -> dict[str, Any]:
    return {"eta": ETA, "updates": 1, "stop": epochs, "threads": options.threads, "progress": False}


def by_groups(frame: Any, options: argparse.Namespace, epochs: int) -> bpjit.GroupFit:
    kind: dict[str, Any] = {"hidden": 10, "dtype": "float32"}
    return bpjit.fit_groups(frame, "key", INPUTS, "y", **kind, **settings(options, epochs))


def by_many(columns: dict[str, np.ndarray], options: argparse.Namespace, epochs: int) -> np.ndarray:
    """Seconds of ``train_many``; arrays are made ready before."""
    shape = options.keys, options.rows
    order = np.argsort(columns["key"], kind="stable").reshape(shape)
    X = np.stack([columns[name][order] for name in INPUTS], axis=2)
    Y = columns["y"][order][:, :, None]
    nets = bpjit.Networks.random((8, 10, 1), options.keys, "tanh", "identity", dtype="float32")
    bpjit.train_many(nets[:70], X[:70], Y[:70], **settings(options, 1))
    before = clocks()
    bpjit.train_many(nets, X, Y, **settings(options, epochs))
    took: np.ndarray = clocks() - before
    return took


def by_sklearn(columns: dict[str, np.ndarray], options: argparse.Namespace, epochs: int) -> np.ndarray:
    """Seconds of a loop over all keys, from those of some."""
    neural = import_module("sklearn.neural_network")
    before = clocks()
    for key in range(options.sklearn):
        rows = (
            np.flatnonzero(columns["key"] == key)
            if options.mixed
            else slice(key * options.rows, (key + 1) * options.rows)
        )
        X, y = np.stack([columns[name][rows] for name in INPUTS], axis=1), columns["y"][rows]
        model = neural.MLPRegressor(
            hidden_layer_sizes=(10,),
            activation="tanh",
            solver="sgd",
            batch_size=1,
            learning_rate_init=ETA,
            momentum=0.0,
            alpha=0.0,
            max_iter=epochs,
            tol=0.0,
            n_iter_no_change=epochs,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
    took: np.ndarray = (clocks() - before) * (options.keys / options.sklearn)
    return took


def shrinkage(folder: Path, splits: int = 5) -> None:
    """Abalone, its rings from seven measures, a key for each sex and each of 20 classes of length: the mean square of
    the errors on the half that was not learnt from, by networks of all rows, of each sex, of each key, and shrunk."""
    lines = [line.split(",") for line in (folder / "uci" / "abalone.csv").read_text(encoding="utf-8").split()]
    numbers = np.array([[float(value) for value in line[1:]] for line in lines])
    measures = [f"x{i}" for i in range(7)]
    ends = np.quantile(numbers[:, 0], np.linspace(0, 1, 21)[1:-1])
    columns = {"sex": np.array([line[0] for line in lines]), "length": np.digitize(numbers[:, 0], ends)}
    columns |= dict(zip((*measures, "rings"), numbers.T, strict=True))
    found: dict[str, list[float]] = {}
    for split in range(splits):
        learnt = np.random.default_rng(split).random(len(numbers)) < 0.5
        train, test = ({name: values[rows] for name, values in columns.items()} for rows in (learnt, ~learnt))
        X = np.stack([test[name] for name in measures], axis=1)
        for kappa in (None, 10, 30, 100, 300):
            fit = bpjit.fit_groups(
                train, ["sex", "length"], measures, "rings", hidden=4, rule="adam", eta=0.005, updates="accumulated",
                stop=300, shrinkage=kappa, progress=False,
            )  # fmt: skip
            outputs = {"separate" if kappa is None else f"kappa {kappa}": fit.predict(test)[:, 0]}
            if kappa is None:
                outputs["all rows"] = fit[()].predict(X)[:, 0]
                outputs["each sex"] = np.array([fit[sex,].predict(x)[0] for sex, x in zip(test["sex"], X, strict=True)])
            for name, y_hat in outputs.items():
                found.setdefault(name, []).append(float(np.mean(np.square(y_hat - test["rings"]))))
    print(table(("networks", "mean square"), [[name, f"{np.mean(errors):.2f}"] for name, errors in found.items()]))


def script(options: argparse.Namespace) -> int:
    if options.data is not None:
        shrinkage(options.data)
        return 0
    columns = data(options.keys, options.rows, options.mixed)
    size = sum(values.nbytes for values in columns.values())
    frame = as_frame(columns, options.frame)
    few = {name: values[: 70 * options.rows].copy() for name, values in columns.items()}
    by_groups(as_frame(few, options.frame), options, 1)  # compiles
    before, began = peak(), clocks()
    fit = by_groups(frame, options, options.epochs)
    took, most = clocks() - began, peak()
    if "interrupted" in fit.table["stopped_by"]:
        raise KeyboardInterrupt
    visits = options.keys * options.rows * options.epochs
    lines = [("fit_groups", took)]
    print(f"{options.keys:,} keys of {options.rows} rows, 8-10-1, {options.epochs} epochs, float32, {options.frame}")
    words = f"table {size / 1e9:.2f} GB, peak {most / 1e9:.2f} GB, {most / size:.2f} times; before it"
    print(f"{words} {before / 1e9:.2f} GB; fit_groups took {took[0]:.1f} s", flush=True)
    began = clocks()
    fit.predict(frame, threads=options.threads)
    lines.append(("predict", clocks() - began))
    del fit
    lines.append(("train_many", by_many(columns, options, options.epochs)))
    if options.sklearn and importlib.util.find_spec("sklearn"):
        epochs = min(options.epochs, options.sklearn_epochs)
        lines.append(("scikit-learn", by_sklearn(columns, options, epochs) * (options.epochs / epochs)))
    reference = dict(lines)["train_many"]
    cells = []
    for name, times in lines:
        ratios = [f"{ratio:.2f}" for ratio in times / reference]
        cells.append([name, *(f"{seconds:.1f}" for seconds in times), f"{1e9 * times[0] / visits:.2f}", *ratios])
    print(table(("", "seconds", "of cores", "ns a sample", "by train_many's", "of cores"), cells), flush=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark_groups.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=whole, default=100_000)
    parser.add_argument("--rows", type=whole, default=365, help="of each key")
    parser.add_argument("--epochs", type=whole, default=200)
    parser.add_argument("--mixed", action="store_true", help="keys take turns, instead of one after another")
    parser.add_argument("--frame", choices=FRAMES, default="pandas", help="kind of table")
    parser.add_argument("--threads", type=whole, help="of bpjit; as many as there are cores without")
    parser.add_argument("--sklearn", type=int, default=100, help="keys that scikit-learn does, 0 for none")
    parser.add_argument("--sklearn-epochs", type=whole, default=20, help="that it does of each, at most")
    parser.add_argument("--data", type=Path, help="folder with uci/abalone.csv: what shrinkage gains there")
    return run(script, parser, arguments)
