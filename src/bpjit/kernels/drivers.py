"""Which kernels run: the fast ones, or the readable ones where they are asked for and where there is no JIT."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..settings.rules import SETTINGS, Rule
from .devices import cores, memory_size
from .insides import config
from .one import batches, each_sample, tiny
from .one.chunks import CHUNK
from .one.padded import make_work
from .own import kind_of
from .readable import driver
from .state import Large, Memory, Samples, Steps, Wishes, parts_of


class Plan(NamedTuple):
    """How gradients are to become updates, as the user said it."""

    rule: Rule
    size: int  # samples in a batch
    stochastic: bool  # an update after each sample, whatever else
    lam: tuple[float, float]  # λ and 1 − λ
    trainable: np.ndarray  # of each parameter, [shape: (n,)] of bool


READABLE = bool(config.DISABLE_JIT)  # SIMD is for the JIT alone
WORTH_SHARING_A_SYSTEM = 1 << 23  # multiply-adds of JᵀJ and its factor, about, for each thread half as many
WORTH_SHARING = 1 << 22  # multiply-adds of a pass through a chunk, some 50 µs
CALL = 1 << 26  # multiply-adds of one kernel call, a few ms
SURELY_THERE = 1 << 26  # bytes that nobody need ask for


def trainer(
    sizes: Sequence[int],
    activations: Sequence[str],
    memory: Memory,
    D: Samples,
    plan: Plan,
    readable: bool = False,
    threads: int = 1,
) -> tuple[Any, Steps | None, Any]:
    """The driver for these settings, its steps and its work space; for the GPU if the samples D lie there.

    Which it is depends on network, rule, kind of updates and on whether many inputs are 0, never on the amount of work,
    or bits would change.
    """
    dtype, (rule, size, stochastic, lam, trainable) = memory.p.dtype, plan
    mask = None if trainable.all() else trainable.astype(dtype)
    penalty = None if lam[1] == 0.0 else dtype.type(lam[0])
    steps = None
    if not stochastic or not rule.plain or mask is not None or penalty is not None:
        constants = np.zeros(SETTINGS, dtype)
        values = rule.constants()
        constants[: len(values)] = values
        rest = None if penalty is None else dtype.type(lam[1])
        steps = Steps(kind_of(type(rule)), constants, mask, size, penalty, rest)
    if not isinstance(D.X, np.ndarray):
        from .cuda import one

        return one.trainer(sizes, activations, rule, stochastic, size, dtype), steps, None
    if readable or READABLE:
        return driver.train_block, steps, driver.make_work(sizes, activations, memory)
    lanes = tiny.lanes_for(sizes)
    if steps is None and lanes is not None:
        return tiny.TRAIN_BLOCKS[lanes], steps, tiny.make_tiny_work(sizes, activations, dtype)
    if stochastic:
        sparse = steps is None and is_sparse(D.source.some_inputs() if isinstance(D, Large) else D.X)
        return each_sample.train_block, steps, make_work(sizes, activations, dtype, rule, mask, sparse=sparse)
    return batches.train_block, steps, batches.make_block_work(sizes, activations, dtype, size, rule, mask, threads)


def damped_work(
    sizes: Sequence[int], activations: Sequence[str], m: int, trainable: np.ndarray, bayesian: bool, threads: int
) -> Any:
    """Work space of ``damped.train_block`` for m samples; ValueError where this machine has not enough memory."""
    if READABLE:
        raise RuntimeError(
            "rule: Levenberg–Marquardt, with or without Bayesian regularisation, needs the JIT, and NUMBA_DISABLE_JIT "
            "is set; expected a rule that does not, such as lbfgs"
        )
    n = int(np.count_nonzero(trainable))
    needed = 8 * n * n * (3 if bayesian else 2)
    if needed > SURELY_THERE and needed > (there := memory_size()):
        raise ValueError(
            f"net: with {n} parameters to train a rule of second order needs {needed / 2**30:.3g} GiB for its "
            f"matrices, and this machine has {there / 2**30:.3g}; train fewer of them, or take another rule, such as "
            "rprop"
        )
    from .one import damped_parts

    return damped_parts.make_damped_work(sizes, activations, m, trainable, bayesian, threads)


def gradient_work(sizes: Sequence[int], activations: Sequence[str], dtype: np.dtype, m: int) -> Any:
    """Work space of ``look_through`` for m samples; where there is no JIT the network's kind, which is enough."""
    if READABLE:
        return sizes, activations
    return batches.make_block_work(sizes, activations, dtype, max(1, m))


def look_through(work: Any, p: np.ndarray, D: Samples, loss: Any) -> Generator[None, None, tuple[float, np.ndarray]]:
    """Σ c_k E_k and −Σ c_k ∂E_k/∂p of all samples; yields after each kernel call of some ms."""
    if READABLE:
        return (yield from _look_through_readably(work, p, D, loss))
    work.P[work.place], work.G[:] = p, 0.0
    m, total, nothing = len(D.X), np.zeros(2, p.dtype), np.empty((0, D.Y.shape[1]), p.dtype)
    size = max(1, CALL // len(p) // CHUNK) * CHUNK
    for first in range(0, m, size):
        batches.evaluate(work, D, (first, min(first + size, m)), loss, True, True, nothing, total)
        yield
    return float(total[0]), work.G[work.place]


def _look_through_readably(
    work: Any, p: np.ndarray, D: Samples, loss: Any
) -> Generator[None, None, tuple[float, np.ndarray]]:
    """The same without the JIT."""
    total, descent, part = np.zeros(2, p.dtype), np.zeros_like(p), np.empty_like(p)
    for first in range(0, len(D.X), CHUNK):
        some = Samples(*(array[first : first + CHUNK] for array in D))
        evaluate(*work, p, some, loss, Wishes(True, None, part), total=total)
        descent += part
        yield
    return float(total[0]), descent


def on_gpu(D: Samples) -> Samples:
    """The same samples, on the GPU."""
    from .cuda import one

    return one.on_device(D)


def is_sparse(X: np.ndarray) -> bool:
    """Whether it pays to skip inputs that are 0, by a look at some hundred samples."""
    some = X[:: max(1, len(X) // 256)]
    return X.shape[1] >= 32 and bool(np.count_nonzero(some) < 0.6 * some.size)


def useful_threads(n: int, size: int | None, m: int) -> int:
    """How many threads may work on batches of ``size`` samples: all there are, where there is enough to do."""
    chunk = min(m if size is None else size, m, CHUNK)
    if READABLE or size == 1 or chunk < 2 * batches.SHARE or chunk * n < WORTH_SHARING:
        return 1
    return min(cores(), chunk // batches.SHARE)


def useful_threads_damped(n: int, rows: int) -> int:
    """How many threads may work on a system of n parameters and so many rows of the Jacobian."""
    work = (rows + n) * n * n
    return 1 if READABLE or work < WORTH_SHARING_A_SYSTEM else min(cores(), 2 * work // WORTH_SHARING_A_SYSTEM)


def evaluate(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    D: Samples,
    loss: Any,
    wishes: Wishes,
    between: Callable[[], None] | None = None,
    total: np.ndarray | None = None,
) -> Any:
    """Run all samples through a network with parameters p. Writes what is given of ``wishes``; returns Σ c_k E_k if
    that is wanted, and NaN if outputs are wanted for inputs that are not finite. ``between`` is called between kernel
    calls of a few ms, and may raise. ``total`` is the sum of samples before these, and what rounding took of it."""
    if not isinstance(D.X, np.ndarray):
        from .cuda import evaluating

        return evaluating.evaluate(sizes, activations, p, D, loss, wishes)
    if READABLE:
        with np.errstate(all="ignore"):  # compiled code does not heed it
            return driver.evaluate(sizes, activations, p, D, loss, wishes, total)
    errors, y_hat, gradient = wishes
    dtype = p.dtype
    total = np.zeros(2, dtype) if total is None else total
    if y_hat is None:
        y_hat = np.empty((0, sizes[-1]), dtype)
    lanes = tiny.lanes_for(sizes) if gradient is None else None
    work: Any
    if lanes is not None:
        work, run = tiny.make_tiny_work(sizes, activations, dtype), tiny.EVALUATE[lanes]
    else:
        room = CHUNK if isinstance(D, Large) else max(1, len(D.X))
        work, run = batches.make_block_work(sizes, activations, dtype, room), batches.evaluate
    work.P[work.place] = p
    size, before = max(1, CALL // len(p) // CHUNK) * CHUNK, 0
    wanted = (errors,) if lanes is not None else (errors, gradient is not None)
    for part in parts_of(D):
        m = len(part.X)
        for first in range(0, max(1, m), size):
            if before + first and between is not None:
                between()
            run(work, part, (first, min(first + size, m)), loss, *wanted, y_hat, total)
        before += m
    if gradient is not None:
        gradient[:] = work.G[work.place]
    return total[0]
