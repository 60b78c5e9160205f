"""Repeat three published experiments of Proben1 (L. Prechelt, *Proben1: a set of neural network benchmark problems and
benchmarking rules*, technical report 21/94, table 10) and set the test errors beside the published ones. The folder
given holds cancer.npz, diabetes.npz and glass.npz (arrays X1, y1, sizes) or the original cancer1.dt, diabetes1.dt and
glass1.dt. Run with ``python scripts/proben1.py --data FOLDER``; the exit code is 1 if a mean test error is more than
one published standard deviation above the published mean.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

import bpjit
from script_tools import BadInput, read_npz, run, table, unless_interrupted, whole


@dataclass(frozen=True)
class Problem:
    """A problem of the report: its network, and test classification errors in % over 60 runs."""

    sizes: tuple[int, ...]
    mean: float
    deviation: float


PROBLEMS = {
    "cancer": Problem((9, 4, 2, 2), 1.38, 0.49),
    "diabetes": Problem((8, 32, 2), 24.10, 1.91),
    "glass": Problem((9, 16, 8, 6), 32.70, 5.34),
}
MOST_EPOCHS = 3000
RULE = bpjit.Rprop(eta_plus=1.2, eta_minus=0.5, delta0=(0.005, 0.02), delta_max=50.0)
GL5_OR_P5 = bpjit.EarlyStopping(every=5, generalization_loss=5, progress=0.1)
COUNTS = ("bool_in", "real_in", "bool_out", "real_out", "training_examples", "validation_examples", "test_examples")


@dataclass(frozen=True)
class Data:
    """Inputs X and 1-of-l targets Y, in the order training, validation, test set."""

    X: np.ndarray
    Y: np.ndarray
    sizes: tuple[int, int, int]

    def part(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of the training (0), validation (1) or test set (2)."""
        first = sum(self.sizes[:number])
        rows = slice(first, first + self.sizes[number])
        return self.X[rows], self.Y[rows]


# --- Reading.


def read_dt(path: Path) -> Data:
    """A problem in the original text format: seven header lines such as ``real_in=9``, then one example a line."""
    try:
        lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        header = dict(line.split("=", 1) for line in lines[: len(COUNTS)])
        counts = [int(header[name]) for name in COUNTS]
    except OSError as problem:
        raise BadInput(f"{path}: {problem.strerror}") from None
    except (ValueError, KeyError):
        raise BadInput(f"{path}: expected whole numbers in seven header lines {'=, '.join(COUNTS)}=") from None
    d, l, sizes = counts[0] + counts[1], counts[2] + counts[3], (counts[4], counts[5], counts[6])
    rows = [line.split() for line in lines[len(COUNTS) :]]
    if len(rows) != sum(sizes) or any(len(row) != d + l for row in rows):
        raise BadInput(f"{path}: expected {sum(sizes)} rows of {d + l} numbers, as its header says")
    try:
        values = np.array(rows, float)
    except ValueError as problem:
        raise BadInput(f"{path}: {problem}") from None
    return Data(values[:, :d], values[:, d:], sizes)


def read_arrays(path: Path) -> Data:
    """A problem in a NumPy file: X1 (m, d), y1 (m, l) and the sizes of its training, validation and test set."""
    X, Y, sizes = read_npz(path, ("X1", "y1", "sizes"))
    if sizes.shape != (3,) or X.ndim != 2 or Y.ndim != 2 or not len(X) == len(Y) == sizes.sum():
        raise BadInput(
            f"{path}: expected X1 (m, d), y1 (m, l) and three sizes with sum m, got X1 {X.shape}, y1 {Y.shape}, "
            f"sizes {sizes.tolist()}"
        )
    train, validation, test = (int(size) for size in sizes)
    return Data(X.astype(float), Y.astype(float), (train, validation, test))


def read(folder: Path, name: str) -> Data:
    """The data of a problem, checked against its network."""
    arrays, text = folder / f"{name}.npz", folder / f"{name}1.dt"
    if not arrays.exists() and not text.exists():
        raise BadInput(f"{folder}: expected {arrays.name} or {text.name} in this folder, found neither")
    path = arrays if arrays.exists() else text
    data = read_arrays(path) if path is arrays else read_dt(path)
    sizes = PROBLEMS[name].sizes
    if min(data.sizes) < 1 or (data.X.shape[1], data.Y.shape[1]) != (sizes[0], sizes[-1]):
        raise BadInput(
            f"{path}: expected {sizes[0]} inputs, {sizes[-1]} outputs and no empty set, got {data.X.shape[1]} inputs, "
            f"{data.Y.shape[1]} outputs, sets of {data.sizes}"
        )
    if not (np.isfinite(data.X).all() and np.isin(data.Y, (0, 1)).all() and (data.Y.sum(1) == 1).all()):
        raise BadInput(f"{path}: expected finite inputs and one output of 1, the others 0, in each row")
    return data


# --- Training.


def start(sizes: tuple[int, ...], seed: int) -> bpjit.Network:
    """A network with all weights and thresholds uniform in ±0.01."""
    return bpjit.Network.random(sizes, hidden="softsign", output="identity", init=(-0.01, 0.01), seed=seed)


def test_error(sizes: tuple[int, ...], data: Data, seed: int) -> tuple[float, int]:
    """Test classification error in % (winner takes all) of the network of least validation error, and the epochs."""
    fit = bpjit.train(
        start(sizes, seed),
        *data.part(0),
        rule=RULE,
        updates="accumulated",
        validation=data.part(1),
        stop=[GL5_OR_P5, MOST_EPOCHS],
        seed=seed,
        progress=False,
    )
    X, Y = data.part(2)
    wrong = unless_interrupted(fit).network.classify(X) != Y.argmax(1)
    return 100.0 * float(wrong.mean()), fit.epochs


def measure(options: argparse.Namespace) -> int:
    """Train all problems from all starts and print the table."""
    data = {name: read(options.data, name) for name in dict.fromkeys(options.problems)}
    rows, worse = [], []
    with tqdm(total=len(data) * options.starts, unit="start", disable=None, leave=False) as bar:
        for name, examples in data.items():
            problem, results = PROBLEMS[name], []
            for seed in range(options.starts):
                results.append(test_error(problem.sizes, examples, seed))
                bar.update()
            errors = np.array([error for error, _ in results])
            if errors.mean() > problem.mean + problem.deviation:
                worse.append(name)
            rows.append(row(name, problem, errors, float(np.median([epochs for _, epochs in results])), name in worse))
    print(f"Test classification error in %, mean ± standard deviation over {options.starts} starts (published: 60)\n")
    print(table(["problem", "network", "epochs", "test error", "published", "within one deviation"], rows))
    return 1 if worse else 0


def row(name: str, problem: Problem, errors: np.ndarray, epochs: float, worse: bool) -> list[str]:
    """The row of a problem."""
    deviation = float(errors.std(ddof=1)) if len(errors) > 1 else 0.0
    return [
        f"{name}1",
        "-".join(map(str, problem.sizes)),
        f"{epochs:.0f}",
        f"{errors.mean():.2f} ± {deviation:.2f}",
        f"{problem.mean:.2f} ± {problem.deviation:.2f}",
        "no" if worse else "yes",
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Repeat published experiments of Proben1 and compare the test errors.")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder with cancer.npz, diabetes.npz, glass.npz, or with cancer1.dt, diabetes1.dt, glass1.dt",
    )
    parser.add_argument("--starts", type=whole, default=30, help="random starts of each problem (default: %(default)s)")
    parser.add_argument(
        "--problems",
        nargs="+",
        choices=list(PROBLEMS),
        default=list(PROBLEMS),
        help="problems to train (default: all)",
    )
    return run(measure, parser, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
