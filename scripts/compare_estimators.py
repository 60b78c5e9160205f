"""Estimators by default, on tables: BPClassifier and BPRegressor beside scikit-learn's MLP (by default, and behind a
StandardScaler) and HistGradientBoosting; 5 times 2 folds. Prints accuracy or R² of each table, the mean rank, and the
seconds of a fit. ``python scripts/compare_estimators.py --data FOLDER`` adds tables of a folder (uci/*.csv,
proben1/*.npz, sonar/sonar.npz) to those that scikit-learn brings.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata
from tqdm import tqdm

from script_tools import run, table, whole

Tables = dict[str, tuple[np.ndarray, np.ndarray, bool]]  # X, y, and whether y are classes


def tables_of(folder: Path | None) -> Tables:
    """All tables there are, by name."""
    from sklearn import datasets

    loaders: dict[str, tuple[Callable[..., Any], bool]] = {
        "wine": (datasets.load_wine, True),
        "iris": (datasets.load_iris, True),
        "digits": (datasets.load_digits, True),
        "breast cancer": (datasets.load_breast_cancer, True),
        "diabetes progress": (datasets.load_diabetes, False),
    }
    found: Tables = {name: (*loader(return_X_y=True), kind) for name, (loader, kind) in loaders.items()}
    if folder is None:
        return found
    for name, path in (("banknote", "banknote_authentication.csv"), ("wheat", "wheat-seeds.csv")):
        numbers = np.loadtxt(folder / "uci" / path, delimiter=",")
        found[name] = numbers[:, :-1], numbers[:, -1].astype(int), True
    rows = [line.split(",") for line in (folder / "uci" / "abalone.csv").read_text(encoding="utf-8").split()]
    numbers = np.array([[float(row[0] == sex) for sex in "MFI"] + [float(v) for v in row[1:]] for row in rows])
    found["abalone"] = numbers[:, :-1], numbers[:, -1], False
    for name in ("glass", "cancer", "diabetes"):
        with np.load(folder / "proben1" / f"{name}.npz") as arrays:
            found[f"{name} (Proben1)"] = arrays["X1"], arrays["y1"].argmax(axis=1), True
    with np.load(folder / "sonar" / "sonar.npz") as arrays:
        found["sonar"] = arrays["X"], arrays["y"], True
    return found


def contenders(classes: bool) -> dict[str, Callable[[int], Any]]:
    """Estimators by default, from a seed."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from bpjit.sklearn import BPClassifier, BPRegressor

    ours: Any = BPClassifier if classes else BPRegressor
    mlp: Any = MLPClassifier if classes else MLPRegressor
    boosting: Any = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return {
        "bpjit": lambda seed: ours(random_state=seed),
        "MLP": lambda seed: mlp(random_state=seed),
        "MLP, scaled": lambda seed: make_pipeline(StandardScaler(), mlp(random_state=seed)),
        "boosting": lambda seed: boosting(random_state=seed),
    }


def scores_of(make: Callable[[int], Any], X: np.ndarray, y: np.ndarray, classes: bool, times: int) -> tuple[Any, float]:
    """Scores of each fold, and the median seconds of a fit."""
    from sklearn.model_selection import KFold, StratifiedKFold

    scores, seconds = [], []
    for repeat in range(times):
        folds: Any = (StratifiedKFold if classes else KFold)(2, shuffle=True, random_state=repeat)
        for learns, judges in folds.split(X, y):
            started = time.perf_counter()
            estimator = make(repeat).fit(X[learns], y[learns])
            seconds.append(time.perf_counter() - started)
            scores.append(estimator.score(X[judges], y[judges]))
    return np.array(scores), float(np.median(seconds))


def script(options: argparse.Namespace) -> int:
    found = tables_of(options.data)
    names = [name for name in found if not options.tables or name in options.tables]
    kinds = list(contenders(True))
    rows, ranks = [], []
    with warnings.catch_warnings(), tqdm(total=len(names) * len(kinds), disable=None, leave=False) as bar:
        warnings.simplefilter("ignore")
        for name in names:
            X, y, classes = found[name]
            row, means = [f"{name} {X.shape[0]} × {X.shape[1]}"], []
            for make in contenders(classes).values():
                scores, seconds = scores_of(make, X, y, classes, options.times)
                means.append(scores.mean())
                row.append(f"{100 * scores.mean():.1f} ({seconds:.2f} s)")
                bar.update()
            rows.append(row)
            ranks.append(rankdata(-np.round(means, 4)))
    rows.append(["mean rank", *(f"{rank:.2f}" for rank in np.mean(ranks, axis=0))])
    print(table(["accuracy or R², %, (seconds of a fit)", *kinds], rows))
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with more tables")
    parser.add_argument("--times", type=whole, default=5, help="2 folds so many times")
    parser.add_argument("--tables", nargs="*", help="these only")
    return run(script, parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
