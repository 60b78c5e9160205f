"""Teach a small network XOR by error back-propagation, and show it.

    python scripts/train_xor.py
    python scripts/train_xor.py --updates accumulated --eta 20 --hidden 2 --seed 3
    python scripts/train_xor.py --replay xor.html
    python scripts/train_xor.py --readable --epochs 100

Exit code 0 if XOR was learnt, 1 if not, 2 if the arguments or the target cannot be used.
"""

from __future__ import annotations

import argparse
import os
import sys

if "--readable" in sys.argv[1:]:  # before Numba is loaded: then nothing is compiled
    os.environ["NUMBA_DISABLE_JIT"] = "1"

import bpjit
from bpjit.kernels.drivers import READABLE

X = [[0, 0], [0, 1], [1, 0], [1, 1]]
Y = [0, 1, 1, 0]
LINES = 12  # of the error's fall
BAR = 40


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="auto", choices=["auto", "cpu", "cuda"], help="machine to train on")
    parser.add_argument("--updates", default="stochastic", help="stochastic, accumulated or a mini-batch size")
    parser.add_argument("--hidden", type=int, default=4, help="hidden units (2 do not learn it from every start)")
    parser.add_argument("--eta", type=float, help="learning rate (5, or 20 for accumulated updates)")
    parser.add_argument("--epochs", type=int, default=20_000, help="at most so many epochs")
    parser.add_argument("--error", type=float, default=1e-3, help="stop at this error E")
    parser.add_argument("--init", default="glorot", help="start: glorot, he, normal, or uniform01 as in the book")
    parser.add_argument("--seed", type=int, default=0, help="seed of the start and of the order of samples")
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument(
        "--readable",
        action="store_true",
        help="compile nothing: train by the lines of the book in kernels/readable, where a debugger can stop",
    )
    parser.add_argument("--replay", metavar="FILE.html", help="write a page that plays the training in a browser")
    return parser.parse_args(arguments)


def train(options: argparse.Namespace) -> bpjit.Fit:
    updates = int(options.updates) if options.updates.isdigit() else options.updates
    eta = options.eta if options.eta is not None else 20.0 if updates == "accumulated" else 5.0
    net = bpjit.Network.random((2, options.hidden, 1), init=options.init, seed=options.seed, dtype=options.dtype)
    return bpjit.train(
        net,
        X,
        Y,
        eta=eta,
        updates=updates,
        stop=[bpjit.MaxEpochs(options.epochs), bpjit.TargetError(options.error)],
        seed=options.seed,
        target=options.target,
    )


def show_fall(fit: bpjit.Fit) -> None:
    """The error along the training, a bar for each of a few epochs."""
    print("epoch        E")
    known = len(fit.recorded)
    count = min(LINES, known)
    places = sorted({round(place * (known - 1) / max(1, count - 1)) for place in range(count)})
    for epoch, error in zip(fit.recorded[places], fit.errors[places], strict=True):
        print(f"{epoch:5d}  {error:.5f}  {'#' * round(BAR * error / max(fit.errors))}")


def show_result(fit: bpjit.Fit, learnt: bool) -> None:
    print("\nx1  x2   target   output")
    for x, y, y_hat in zip(X, Y, fit.network.predict(X)[:, 0], strict=True):
        print(f" {x[0]}   {x[1]}      {y}     {y_hat:.4f}")
    verdict = "learnt" if learnt else "NOT learnt"
    print(f"\n{verdict}: E = {fit.error:.3g} after {fit.epochs} epochs, {fit.updates} updates")
    print(f"stopped by {fit.stopped_by}; {fit.seconds * 1e3:.1f} ms of training on {fit.target}")


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.readable and not READABLE:
        print("train_xor: --readable must stand on the command line, for it is read before Numba is", file=sys.stderr)
        return 2
    try:
        fit = train(options)
    except (RuntimeError, ValueError, TypeError) as error:
        print(f"train_xor: {error}", file=sys.stderr)
        return 2
    learnt = fit.error <= options.error and fit.network.classify(X).tolist() == Y
    print(f"XOR with {fit.network}\n")
    if fit.epochs:
        show_fall(fit)
    show_result(fit, learnt)
    if options.replay:
        try:
            fit.replay(options.replay, title=f"XOR, {'-'.join(map(str, fit.network.sizes))}")
        except OSError as error:
            print(f"train_xor: {error}", file=sys.stderr)
            return 2
        print(f"replay: {options.replay}, to be opened in a browser")
    if not learnt:
        print("try another --seed, more --hidden units or another --eta")
    return 0 if learnt else 1


if __name__ == "__main__":
    raise SystemExit(main())
