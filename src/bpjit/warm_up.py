"""Compiling what training and prediction need, before a loop that must not wait; or before there is any program.

``python -m bpjit.warm_up FOLDER`` makes the machine code of the commonest settings, or of one that is asked for, and
puts it into a folder, where a process that has BPJIT_KERNELS=FOLDER finds it. So a program can start at once on a
machine that has never compiled, on which nothing can be written, or of which there are many.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from typing import Any

import numpy as np

from . import compiled
from .common.arguments import as_flag, quiet
from .common.console import progress_bar
from .kernels import disk_cache
from .kernels.state import Samples
from .learners.online_learner import OnlineLearner
from .many.train_many import compile_many
from .networks.evaluation import as_lam, as_loss, as_network, gradient_of, jacobian, no_samples
from .networks.network import Network
from .settings.rules import Rule, as_rule
from .settings.schedules import Constant
from .training.kinds import session_of_second_order
from .training.session import Session
from .training.setting import Setting, as_batch_size, as_trainable, check_numbers


@quiet
def compile(
    net: Network,
    *,
    updates: str | int | None = None,
    rule: str | Rule = "sgd",
    lam: float | None = None,
    loss: str | None = None,
    trainable: Any = None,
    train_thresholds: bool = True,
    learner: bool = False,
    many: bool = False,
) -> float:
    """Compile now what training and prediction with these settings need, before a loop that must not wait.

    Parameters
    ----------
    net : a network like the one to be used: of its dtype, and of about its size, for the smallest have kernels of
        their own; activations do not matter, but formulas of your own do
    loss : one of your own that ``train`` will get; others do not matter
    updates, rule, lam, trainable, train_thresholds : as ``train`` will get them
    learner : also what ``OnlineLearner`` and ``bpjit.compiled`` need for this rule
    many : also what ``train_many`` needs for networks like this one, all with the same data; the smallest have a kernel
        for each shape, each activation, and the loss that is usual for their outputs

    Returns
    -------
    Seconds it took: a few at the first time, some milliseconds where the disk cache has the machine code

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.random((2, 4, 1))
    >>> seconds = bpjit.compile(net, rule="adam")
    >>> fit = bpjit.train(net, [[0, 1]], [1], rule="adam", stop=1)  # starts at once
    """
    started = time.perf_counter()
    net = as_network(net)
    rule = as_rule(rule, second_order=True)
    mask = as_trainable(trainable, net, as_flag("train_thresholds", train_thresholds))
    size = as_batch_size(updates, rule)
    loss = "squared" if loss is None else as_loss(loss, net)
    setting = Setting(loss, rule, Constant(1.0), size, as_lam(lam), mask, shuffle=True, seed=0)
    check_numbers(net.dtype, rule, lam=setting.lam)
    X, Y = np.zeros((1, net.sizes[0]), net.dtype), np.zeros((1, net.sizes[-1]), net.dtype)
    D = Samples(X, Y, np.ones(1, net.dtype), np.zeros(1, np.uint64))
    (session_of_second_order(rule) or Session)(net, D, no_samples(D), 1, setting).compile()
    net.predict(np.zeros(net.sizes[0]))
    gradient_of(net, net._parameters, D, loss, setting.lam)
    jacobian(net, np.zeros(net.sizes[0]))
    if as_flag("learner", learner):
        one = OnlineLearner(net, rule=rule, eta=None if rule.default_eta is None else 1e-9, loss=loss, lam=lam)
        x, y_hat = X[0], np.zeros_like(Y[0])
        compiled.learn(one.state, x, Y[0])
        one.learn(x, Y[0])  # makes the update that waits
        one.predict(x)
        compiled.predict(one.state, x, y_hat)
        compiled.slopes(one.state, x, y_hat, np.zeros((len(y_hat), len(x)), net.dtype))
    if as_flag("many", many):
        compile_many(net, updates, rule, lam, trainable, train_thresholds)
    return time.perf_counter() - started


# What most trainings are: sizes of the network, and settings. Kernels of both dtypes for each; a kernel that several
# need is made once.
COMMONEST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("2-2-1", {"many": True}),
    ("2-4-1", {"many": True}),
    ("2-8-1", {}),
    ("2-16-1", {}),
    ("9-20-3", {"learner": True, "many": True}),
    ("9-20-3", {"rule": "adam", "learner": True}),
    ("9-20-3", {"updates": 32, "many": True}),
    ("9-20-3", {"updates": 32, "rule": "momentum"}),
    ("9-20-3", {"updates": 32, "rule": "adam", "many": True}),
    ("9-20-3", {"updates": "accumulated", "rule": "rprop", "many": True}),
    ("9-20-3", {"rule": "lm"}),
)
DTYPES = ("float64", "float32")


def commonest() -> list[dict[str, Any]]:
    """Arguments of ``compile`` for each setting; those of second order are for float64."""
    return [
        {"net": network(sizes, dtype), **settings}
        for dtype in DTYPES
        for sizes, settings in COMMONEST
        if dtype == "float64" or settings.get("rule") != "lm"
    ]


def network(sizes: str, dtype: str, **activations: Any) -> Network:
    """A network for sizes like 2-4-1."""
    try:
        units = [int(size) for size in sizes.split("-")]
    except ValueError:
        raise ValueError(f"sizes: expected the units of each layer, as in 64-32-10, got {sizes!r}") from None
    return Network.random(units, dtype=dtype, seed=0, **activations)


def asked(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Arguments of ``compile`` for the one setting of a command line, or for the commonest."""
    chosen = {name: value for name, value in vars(arguments).items() if value and name != "folder"}
    if not chosen:
        return commonest()
    updates = chosen.pop("updates", None)
    with contextlib.suppress(TypeError, ValueError):  # a word: "accumulated"
        updates = int(updates)
    kinds = {name: chosen.pop(name) for name in ("hidden", "output") if name in chosen}
    net = network(chosen.pop("sizes", "9-20-3"), chosen.pop("dtype", DTYPES[0]), **kinds)
    return [{"net": net, "updates": updates, **chosen}]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bpjit.warm_up",
        description="Compile what the commonest trainings need, or one training that is described by options.",
        epilog="BPJIT_CPU=x86-64-v3 (x86-64-v4, armv8-a) makes machine code for every CPU of that class.",
    )
    made.add_argument(
        "folder",
        nargs="?",
        default=disk_cache.GIVEN,
        help="where to put the machine code (that of BPJIT_KERNELS, else where bpjit keeps it anyway)",
    )
    made.add_argument("--sizes", metavar="D-Q-L", help="units of each layer, as in 64-32-10")
    made.add_argument("--hidden", help="activation of the hidden layers")
    made.add_argument("--output", help="activation of the outputs")
    made.add_argument("--dtype", choices=DTYPES)
    made.add_argument("--updates", help='what ``train`` will get: samples in a batch, or "accumulated"')
    made.add_argument("--rule", help="what ``train`` will get")
    made.add_argument("--learner", action="store_true", help="also what OnlineLearner needs")
    made.add_argument("--many", action="store_true", help="also what train_many needs")
    return made


def main(words: list[str] | None = None) -> int:
    """Compile what a command line asks for; the exit code."""
    arguments = parser().parse_args(words)
    try:
        wanted = asked(arguments)
        with contextlib.ExitStack() as stack:
            if arguments.folder is not None:
                os.makedirs(arguments.folder, exist_ok=True)
                tempfile.TemporaryFile(dir=arguments.folder).close()  # it can be written
                stack.enter_context(disk_cache.gathered(arguments.folder))
            show = stack.enter_context(progress_bar(None, len(wanted), "setting"))
            for done, settings in enumerate(wanted, 1):
                compile(**settings)
                show(done)
    except (OSError, TypeError, ValueError) as error:
        parser().error(str(error))
    count = "1 setting" if len(wanted) == 1 else f"{len(wanted)} settings"
    print(f"bpjit: machine code of {count} is in {arguments.folder or 'the usual place'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
