"""Fully connected layers, forward and backward: one step of a 3-2-2 network, every number beside the delta rule's.

    python scripts/full_connection.py
    python scripts/full_connection.py --language zh --digits 6
    python scripts/full_connection.py --html step.html --latex step.tex

Hidden units are ReLU, the outputs softmax with the cross-entropy loss: delta_k = y_k - t_k at the outputs,
delta_j = f'(net_j) sum of delta_k w_jk in the hidden layer, w -= eta * delta * input. One hidden unit is asleep
(net_j < 0): its delta is 0 and its weights stay. Exit code 1 if a number differs from these formulas, computed here in
NumPy; 2 if the arguments cannot be used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import bpjit
from script_tools import BadInput, positive, run

X, T = np.array([1.0, 2.0, 0.5]), np.array([0.0, 1.0])
W1 = np.array([[0.2, -0.4], [0.7, 0.1], [-0.3, 0.5]])  # row i leads from input i
W2 = np.array([[0.6, -0.1], [0.3, 0.8]])
B1, B2 = np.array([0.1, -0.2]), np.array([0.05, 0.0])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="full_connection", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--eta", type=positive, default=0.1, help="learning rate")
    made.add_argument("--notation", default="delta", choices=["delta", "book"], help="biases and delta, or theta, g, e")
    made.add_argument("--language", default="en", choices=["en", "zh"])
    made.add_argument("--digits", type=int, default=4, help="digits shown")
    made.add_argument("--html", type=Path, metavar="FILE", help="write the step as a web page too")
    made.add_argument("--latex", type=Path, metavar="FILE", help="write the step as a LaTeX document too")
    return made


def by_hand(eta: float) -> dict[str, np.ndarray | float]:
    """The text's formulas in NumPy, under the names of ``Trace.compare``."""
    net_j = X @ W1 + B1
    y_j = np.maximum(net_j, 0.0)
    net_k = y_j @ W2 + B2
    y_k = np.exp(net_k) / np.exp(net_k).sum()
    delta_k = y_k - T
    delta_j = (W2 @ delta_k) * (net_j > 0)
    return {
        "net1": net_j,
        "out1": y_j,
        "net2": net_k,
        "out2": y_k,
        "E": float(-np.sum(T * np.log(y_k))),
        "delta2": delta_k,
        "delta1": delta_j,
        "w1_new": W1 - eta * np.outer(X, delta_j),
        "b1_new": B1 - eta * delta_j,
        "w2_new": W2 - eta * np.outer(y_j, delta_k),
        "b2_new": B2 - eta * delta_k,
    }


def write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise BadInput(f"{path}: {problem.strerror}") from None
    print(f"wrote {path}")


def script(options: argparse.Namespace) -> int:
    net = bpjit.Network.from_arrays([W1, W2], [-B1, -B2], hidden="relu", output="softmax")
    trace = bpjit.trace(net, X, T, eta=options.eta)
    shown = trace.styled(notation=options.notation, language=options.language, digits=options.digits)
    print(shown)
    for path, text in ((options.html, shown.html), (options.latex, shown.latex)):
        if path is not None:
            write(path, text(standalone=True))
    answer = trace.styled(notation="delta", language=options.language).compare(by_hand(options.eta), rtol=1e-12)
    print(
        f"\nbeside the formulas in NumPy:\n{answer}" if options.language == "en" else f"\n与 NumPy 公式对照：\n{answer}"
    )
    return 0 if answer.ok else 1


def main(arguments: list[str] | None = None) -> int:
    return run(script, parser(), arguments)


if __name__ == "__main__":
    raise SystemExit(main())
