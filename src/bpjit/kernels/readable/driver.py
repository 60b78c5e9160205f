"""Training with the readable kernels: what the fast ones are tested against, and what runs where there is no JIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..epochs import Stretch, anywhere, make_train_block, nothing
from ..jit import formula
from ..layout import Units, lay_out
from ..state import UPDATES, Memory, Order, Samples, Task, Wishes, parts_of
from ..sums import add_error
from . import batch
from .batch import add_gradient, batch_bp
from .online import hidden_terms, output_terms, outputs, standard_bp


class Work(NamedTuple):
    """Work space of a training. Place, P, S and G are what ``epochs`` wants of any kernel: here the state itself."""

    place: np.ndarray
    P: np.ndarray
    S: np.ndarray
    G: np.ndarray
    layers: np.ndarray
    u: Units
    ahead: np.ndarray  # where Nesterov's rule takes its gradient, [shape: (n,)]


def make_work(sizes: Sequence[int], activations: Sequence[str], memory: Memory) -> Work:
    """Work space for a network in ``memory``."""
    n, dtype = len(memory.p), memory.p.dtype
    state = np.arange(n), memory.p, memory.slots, memory.gradient
    return Work(*state, lay_out(sizes, activations), Units.of(sizes, dtype), np.zeros(n, dtype))


@formula
def advance(task: Task, steps: Any, memory: Memory, work: Work, order: Order, stretch: Stretch, eta: Any) -> None:
    first, last, learn, _ = stretch
    if not learn:
        batch.add_errors(work.layers, memory.p, task.V, first, last, task.loss, work.u, memory.scalars)
    elif steps is None:
        here = order.places[first:last]
        standard_bp(work.layers, memory.p, task.D, here, task.loss, eta, work.u, memory.scalars)
        memory.counters[UPDATES] += last - first
    else:
        batch_bp(work.layers, task, steps, memory, order.places, (first, last), eta, (work.u, work.ahead))


train_block = make_train_block("plain", nothing, anywhere, advance)


def evaluate(
    sizes: Sequence[int],
    activations: Sequence[str],
    p: np.ndarray,
    D: Samples,
    loss: Any,
    wishes: Wishes,
    total: np.ndarray | None = None,
) -> Any:
    """As ``drivers.evaluate``, in plain Python: for use without the JIT."""
    layers, u = lay_out(sizes, activations), Units.of(sizes, p.dtype)
    total = np.zeros(2, p.dtype) if total is None else total
    errors, y_hat, gradient = wishes
    last = layers[-1]
    if gradient is not None:
        gradient[:] = 0.0
    for part, k in ((some, k) for some in parts_of(D) for k in range(len(some.X))):
        outputs(layers, p, part.X[k], u)
        if y_hat is not None:
            total[0] += np.sum(part.X[k] * 0)
            y_hat[k] = u.b[int(last.here) : int(last.here + last.fan_out)]
        if errors or gradient is not None:
            add_error(total, part.c[k] * output_terms(layers, loss, part.Y[k], u))
        if gradient is not None:
            hidden_terms(layers, p, u)
            add_gradient(layers, part.c[k], u, gradient)
    return total[0]
