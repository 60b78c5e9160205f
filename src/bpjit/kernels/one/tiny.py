"""Standard BP for the smallest networks, such as XOR's: one hidden layer, all parameters in registers.

What such a network waits for is one result after the other: net input, exp, division, and all that again for the
outputs. So that the next sample need not wait for the new weights, its net input is taken with the old ones meanwhile,
and mended when e_h is known.

At most ``INPUTS`` inputs, ``OUTPUTS`` outputs and as many hidden units as the kernel has lanes. Rows that a network
lacks are 0 and stay so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...maths import formulas
from ...maths.formulas import like, select
from ..epochs import Stretch, make_train_block, nothing
from ..jit import formula, inline, kernel, smaller
from ..layout import CROSS_ENTROPY, SOFTMAX, codes_of
from ..own import markers_of
from ..simd.across import lane, lane_max, lane_sum, lane_sums
from ..simd.memory import aligned_zeros, partial_vectors, pointer, vectors
from ..state import UPDATES, Memory, Order, Samples, Task
from ..sums import add_error
from ..switches import activation_of, code_of, terms_of

INPUTS = OUTPUTS = 4
LANES = (4, 8, 16)  # hidden units, one kernel each

STRETCH = 4096  # samples of an epoch after which net inputs are taken anew

load_four, store_four, _ = vectors(4)
load_first, store_first = partial_vectors(4)


class TinyWork(NamedTuple):
    """Work space of a training. Place, P, S and G are what ``epochs`` wants of any kernel."""

    place: np.ndarray
    P: np.ndarray  # INPUTS rows of V, γ, OUTPUTS rows of W turned, θ
    S: np.ndarray
    G: np.ndarray
    used: np.ndarray  # 1 for each hidden unit, and for each output; 0 for padding
    sizes: tuple[int, int]  # inputs and outputs
    codes: tuple[int, int]  # activations
    own: tuple[Any, ...] | None  # those of the user's own


def lanes_for(sizes: Sequence[int]) -> int | None:
    """The lanes of the kernel for a network of these sizes, or None if it is not tiny."""
    if len(sizes) != 3 or sizes[0] > INPUTS or sizes[2] > OUTPUTS or sizes[1] > LANES[-1]:
        return None
    return next(lanes for lanes in LANES if sizes[1] <= lanes)


@functools.lru_cache(maxsize=16)
def layout(sizes: tuple[int, ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Where the parameters stand in P, and ``used``; kept for the next network of this kind."""
    (d, q, l), lanes = sizes, lanes_for(sizes)
    assert lanes is not None
    units, outputs = np.arange(q), np.arange(l)
    parts = (
        lanes * np.arange(d)[:, None] + units,
        INPUTS * lanes + units,
        (INPUTS + 1 + outputs) * lanes + units[:, None],
        (INPUTS + 1 + OUTPUTS) * lanes + outputs,
    )
    used = aligned_zeros(lanes + OUTPUTS, dtype)
    used[units] = used[lanes + outputs] = 1
    return np.concatenate([part.ravel() for part in parts]), used


def make_tiny_work(sizes: Sequence[int], activations: Sequence[str], dtype: np.dtype) -> TinyWork:
    """Work space for a tiny network."""
    lanes = lanes_for(sizes)
    assert lanes is not None
    hidden, output = codes_of(activations)
    place, used = layout(tuple(sizes), dtype)
    return TinyWork(
        place,
        aligned_zeros((INPUTS + 1 + OUTPUTS) * lanes + OUTPUTS, dtype),
        np.zeros((0, 0), dtype),
        np.zeros(0, dtype),
        used,
        (sizes[0], sizes[2]),
        (hidden, output),
        markers_of(activations),
    )


@inline
def net_input(x: Any, v0: Any, v1: Any, v2: Any, v3: Any, gamma: Any) -> Any:
    """α_h − γ_h."""
    return (lane(x, 0) * v0 + lane(x, 1) * v1) + (lane(x, 2) * v2 + lane(x, 3) * v3) - gamma


@inline
def four_outputs(work: TinyWork, code: int, loss: Any, z: Any, used: Any) -> Any:
    """(z, b, slope) of the outputs with these net inputs; with softmax z is log ŷ where the loss asks for it."""
    zero = like(z, 0)
    if code == SOFTMAX:
        least = -like(z, np.inf)
        z = select(used > zero, z - lane_max(select(used > zero, z, least)), zero)
        b = formulas.exp(z) * used
        total = z * zero + lane_sum(b)
        b, slope = b / total, zero
        if code_of(loss) == CROSS_ENTROPY:
            z = z - formulas.log(total)
    else:
        b, slope = activation_of(work, code, z)
    return z, b, slope


@inline
def four_terms(code: int, loss: Any, values: Any, y: Any, used: Any) -> Any:
    """(E_k, g_j) of the outputs with these values and targets."""
    z, b, slope = values
    zero = like(z, 0)
    share, g, shared = terms_of(loss, code == SOFTMAX, z, b, slope, y)
    if code == SOFTMAX and code_of(loss) != CROSS_ENTROPY:
        g = formulas.softmax_gradient_term(b, g, zero + lane_sum(select(used > zero, shared, zero)))
    return lane_sum(select(used > zero, share, zero)), select(used > zero, g, zero)


@formula
def border(steps: None, position: int, until: int, m: int) -> int:
    """A call may end where net inputs are taken anew."""
    return smaller(m, (until + STRETCH - 1) // STRETCH * STRETCH)


def _make_rows(lanes: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Four rows of weights at a place: rows_at(P, at), keep_rows(P, at, rows)."""
    load, store, _ = vectors(lanes)

    @inline
    def rows_at(P: Any, at: int) -> Any:
        return load(P, at), load(P, at + lanes), load(P, at + 2 * lanes), load(P, at + 3 * lanes)

    @inline
    def keep_rows(P: Any, at: int, rows: Any) -> None:
        store(P, at, rows[0])
        store(P, at + lanes, rows[1])
        store(P, at + 2 * lanes, rows[2])
        store(P, at + 3 * lanes, rows[3])

    return rows_at, keep_rows


def _make_advance(lanes: int) -> Callable[..., Any]:
    (load, store, _), (rows_at, keep_rows) = vectors(lanes), _make_rows(lanes)
    gamma_at, w_at, theta_at = INPUTS * lanes, (INPUTS + 1) * lanes, (INPUTS + 1 + OUTPUTS) * lanes

    @inline
    def advance(
        task: Task, steps: None, memory: Memory, work: TinyWork, order: Order, stretch: Stretch, eta: Any
    ) -> None:
        """Learn from a stretch of the positions of an epoch, or add up the errors of the validation set."""
        first, last, learn, _ = stretch
        if learn:
            X, Y, c, places = task.D.X, task.D.Y, task.D.c, order.places
        else:
            X, Y, c, places = task.V.X, task.V.Y, task.V.c, order.in_place
        (d, l), (hidden, output), loss, scalars = work.sizes, work.codes, task.loss, memory.scalars
        X, Y, P = pointer(X, 0), pointer(Y, 0), pointer(work.P, 0)
        used, used_outputs = load(work.used, 0), load_four(work.used, lanes)
        (v0, v1, v2, v3), (w0, w1, w2, w3) = rows_at(P, 0), rows_at(P, w_at)
        gamma, theta = load(P, gamma_at), load_four(P, theta_at)
        following = load_first(X, places[first] * d, d)
        z_then = net_input(following, v0, v1, v2, v3, gamma)
        for t in range(first, last):
            k, next_k = places[t], places[smaller(t + 1, last - 1)]
            x, y, weight = following, load_first(Y, k * l, l), c[k]
            x0, x1, x2, x3 = lane(x, 0), lane(x, 1), lane(x, 2), lane(x, 3)
            if t % STRETCH == 0:
                z_then = net_input(x, v0, v1, v2, v3, gamma)
            b, slope = activation_of(work, hidden, z_then)
            following = load_first(X, next_k * d, d)
            z_then = net_input(following, v0, v1, v2, v3, gamma)
            z = lane_sums(w0 * b, w1 * b, w2 * b, w3 * b) - theta
            E_k, g = four_terms(output, loss, four_outputs(work, output, loss, z, used_outputs), y, used_outputs)
            if learn:
                rate, b = eta * weight, b * used
                g0, g1, g2, g3 = lane(g, 0), lane(g, 1), lane(g, 2), lane(g, 3)
                back = (g0 * w0 + g1 * w1) + (g2 * w2 + g3 * w3)
                e = formulas.hidden_gradient_term(slope, back)
                # The net input of the following sample takes part in the update: Σ x'_i η e x_i + η e.
                z_then += rate * (lane_sum(x * following) + like(eta, 1)) * e
                v0, v1 = formulas.weight_update(v0, rate, e, x0), formulas.weight_update(v1, rate, e, x1)
                v2, v3 = formulas.weight_update(v2, rate, e, x2), formulas.weight_update(v3, rate, e, x3)
                w0, w1 = formulas.weight_update(w0, rate, g0, b), formulas.weight_update(w1, rate, g1, b)
                w2, w3 = formulas.weight_update(w2, rate, g2, b), formulas.weight_update(w3, rate, g3, b)
                gamma = formulas.threshold_update(gamma, rate, e)
                theta = formulas.threshold_update(theta, rate, g)
            add_error(scalars, weight * E_k)
        if learn:
            keep_rows(P, 0, (v0, v1, v2, v3))
            keep_rows(P, w_at, (w0, w1, w2, w3))
            store(P, gamma_at, gamma)
            store_four(P, theta_at, theta)
            memory.counters[UPDATES] += last - first

    return advance


TRAIN_BLOCKS = {lanes: make_train_block(f"tiny{lanes}", nothing, border, _make_advance(lanes)) for lanes in LANES}


def _make_evaluate(lanes: int) -> Callable[..., Any]:
    (load, *_), (rows_at, _) = vectors(lanes), _make_rows(lanes)
    gamma_at, w_at, theta_at = INPUTS * lanes, (INPUTS + 1) * lanes, (INPUTS + 1 + OUTPUTS) * lanes

    def evaluate(
        work: TinyWork,
        D: Samples,
        stretch: tuple[int, int],
        loss: Any,
        errors: bool,
        y_hat: np.ndarray,
        total: np.ndarray,
    ) -> None:
        """As ``batches.evaluate``, without gradients."""
        (d, l), (hidden, output), (begin, end) = work.sizes, work.codes, stretch
        X, Y, P = pointer(D.X, 0), pointer(D.Y, 0), pointer(work.P, 0)
        used, predicts = load_four(work.used, lanes), len(y_hat) > 0
        (v0, v1, v2, v3), (w0, w1, w2, w3) = rows_at(P, 0), rows_at(P, w_at)
        gamma, theta = load(P, gamma_at), load_four(P, theta_at)
        for k in range(begin, end):
            x = load_first(X, k * d, d)
            b, _ = activation_of(work, hidden, net_input(x, v0, v1, v2, v3, gamma))
            z = lane_sums(w0 * b, w1 * b, w2 * b, w3 * b) - theta
            values = four_outputs(work, output, loss, z, used)
            if predicts:
                total[0] += lane_sum(x * like(x, 0))  # NaN where an input is not finite
                store_first(y_hat, k * l, l, values[1])
            if errors:
                E_k, _ = four_terms(output, loss, values, load_first(Y, k * l, l), used)
                add_error(total, D.c[k] * E_k)

    return kernel(evaluate, f"evaluate_tiny{lanes}")


EVALUATE = {lanes: _make_evaluate(lanes) for lanes in LANES}
