"""Intervals by default: the share of targets that ``BPRegressor.predict_interval`` holds on rows that no network has
seen, and how wide it is; 20 splits of each table, at most 500 rows to learn from.
``python scripts/interval_coverage.py --data FOLDER`` adds abalone (uci/abalone.csv) to the tables that scikit-learn
brings or makes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from compare_estimators import tables_of
from script_tools import positive, run, table, whole

MOST = 500  # rows to learn from
KINDS = "jackknife+", "cv+", "quantile"


def regressions(folder: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tables with numbers for targets: X and y by name."""
    from sklearn import datasets

    found = {name: (X, y) for name, (X, y, classes) in tables_of(folder).items() if not classes}
    makers = (datasets.make_friedman1, 1.0), (datasets.make_friedman2, 100.0), (datasets.make_friedman3, 0.2)
    for number, (make, noise) in enumerate(makers, 1):
        found[f"Friedman {number}"] = make(2000, noise=noise, random_state=number)
    return found


def measured(kind: str, X: np.ndarray, y: np.ndarray, level: float, seed: int) -> tuple[float, float, float]:
    """The share of targets held, the mean width in standard deviations of the targets, seconds of the fit."""
    from bpjit.sklearn import BPRegressor

    order = np.random.default_rng(seed).permutation(len(X))
    learns, judges = np.split(order, [min(MOST, 2 * len(X) // 3)])
    started = time.perf_counter()
    regressor = BPRegressor(interval=kind, level=level, random_state=seed).fit(X[learns], y[learns])
    seconds = time.perf_counter() - started
    low, high = regressor.predict_interval(X[judges]).T
    held = (low <= y[judges]) & (y[judges] <= high)
    return float(held.mean()), float((high - low).mean() / y.std()), seconds


def script(options: argparse.Namespace) -> int:
    found = regressions(options.data)
    names = [name for name in found if not options.tables or name in options.tables]
    rows = []
    with tqdm(total=len(names) * len(KINDS) * options.splits, disable=None, leave=False) as bar:
        for name in names:
            X, y = found[name]
            row = [f"{name} {min(MOST, 2 * len(X) // 3)} × {X.shape[1]}"]
            for kind in KINDS:
                runs = []
                for seed in range(options.splits):
                    runs.append(measured(kind, X, y, options.level, seed))
                    bar.update()
                shares, widths, seconds = np.array(runs).T
                spread = f"{100 * shares.mean():.1f} ± {100 * shares.std():.1f}"
                row.append(f"{spread}; {widths.mean():.2f} ({np.median(seconds):.2f} s)")
            rows.append(row)
    print(table([f"held of {100 * options.level:g} %; width (fit)", *KINDS], rows))
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with abalone")
    parser.add_argument("--level", type=positive, default=0.9, help="share of targets that intervals shall hold (0.9)")
    parser.add_argument(
        "--splits", type=whole, default=20, help="of each table into rows to learn from and others (20)"
    )
    parser.add_argument("--tables", nargs="*", help="these only")
    return run(script, parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
