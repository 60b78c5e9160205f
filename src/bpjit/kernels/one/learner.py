"""Learning one sample at a time: what works on the state of a learner (``learner_state``) from any jitted code.

Nothing is updated before all gradient terms are known and found to be finite: a sample that would do harm changes
nothing. What Python calls keeps the GIL, so that each call is whole before another thread's.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...maths import formulas
from ...maths.formulas import like, select
from ...settings.rules import SETTINGS as MOST_SETTINGS
from ...settings.rules import Rule
from ..jit import atomic, by_type, from_lines, inline, items, shared
from ..layout import CROSS_ENTROPY, SOFTMAX
from ..own import OWN_RULE
from ..simd.across import lane_sum
from ..simd.memory import distance, item, lanes_of, moved, pointer, put
from ..state import Steps, Update
from ..switches import OF_RULES, looks_ahead, prepare, rule_of, whether_among
from .any_layout import targets_at
from .each_sample import load, load_first, output_terms, outputs, step, store, update_thresholds
from .first_layer import forward_dense, update_then_forward_dense
from .gradient_size import norm_in_units, size_of_gradient, sizes_of, zero_of
from .learner_state import (
    ETA,
    FASTEST,
    KEPT,
    LARGEST,
    LOSS,
    MOST_GRADIENT,
    MOST_WEIGHT,
    NOTHING,
    PENDING,
    SHARED1,
    SHARED2,
    STEP,
    STEP_AND_CLIP,
    integer_in,
    layers_of,
    loss_in,
    named,
    net_in,
    penalty_in,
    rule_in,
    set_setting,
    setting,
)
from .padded import PANEL, Net, panel_size


@inline
def back(net: Net, layer: Any, P: Any) -> None:
    """e_h of the units below. Writes g below."""
    q, here, below = layer.below_width, layer.here, layer.below
    for v in range(0, q, lanes_of(net.P)):
        total, W = load(net.slope, below + v) * like(item(net.P, 0), 0), layer.weights + v
        for j in range(layer.fan_out):
            total += item(net.g, here + j) * load(P, W + j * q)
        store(net.g, below + v, formulas.hidden_gradient_term(load(net.slope, below + v), total))


@inline
def update_in(kind: Any, data: Any) -> Update:
    """The update for the sample judged last."""
    lam, rest = penalty_in(kind, data)
    steps = Steps(rule_in(kind), None, None, 1, lam, rest)
    return Update(steps, setting(data, ETA), (setting(data, SHARED1), setting(data, SHARED2)))


@inline
def update_upper_part(net: Net, layers: Any, update: Update) -> None:
    """One step of the rule for everything but the weights of the first layer. Writes P, S, A."""
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        for j in range(layer.fan_out if index > 0 else 0):
            g, W = item(net.g, layer.here + j), layer.weights + j * layer.below_width
            for v in range(0, layer.below_width, lanes_of(net.P)):
                step(update, net, W + v, g, load(net.b, layer.below + v))
        update_thresholds(net, layer, update)


@inline
def settle(kind: Any, data: Any, net: Net, layers: Any, x: Any) -> bool:
    """Make the update of the first layer that ``learn_later`` left, and take the net inputs of x at the new weights.
    Writes P, S, A, z; returns whether those are what ``forward`` gives at A."""
    pending = setting(data, PENDING)
    kept, clips = pointer(data, integer_in(data, KEPT)), pending > like(pending, STEP)
    update_then_forward_dense(net, layers[0], None, kept, x, update_in(kind, data))
    set_setting(data, PENDING, like(pending, NOTHING))
    if clips:
        clip_weights(net, setting(data, MOST_WEIGHT))
    return not clips


@inline
def is_settled(data: Any) -> bool:
    return setting(data, PENDING) == like(setting(data, PENDING), NOTHING)


@atomic
def arrive(kind: Any, data: np.ndarray, x: int, learns: bool) -> bool:
    """β of the first layer for a sample, x bytes beyond the state, at A where it is to be learnt and else at P, after
    all updates before it. Writes z, and P, S, A of the first layer; returns whether an update waited.

    A kernel of its own: all that comes after it has the same beginning, which is compiled once.
    """
    layers, net, X = layers_of(kind, data), net_in(data), moved(pointer(data, 0), x)
    waited, arrived = not is_settled(data), False
    if waited:
        arrived = settle(kind, data, net, layers, X) and (learns or not looks_ahead(rule_in(kind)))
    if not arrived:
        forward_dense(net, layers[0], None, net.A if learns else net.P, X)
    return waited


@inline
def arrive_from(kind: Any, data: Any, x: Any, learns: bool) -> None:
    """``arrive`` for a sample that lies anywhere."""
    arrive(kind, data, distance(pointer(data, 0), x), learns)


squares = whether_among((*(rule.code for rule in OF_RULES if rule.squares), OWN_RULE))
settings_at = inline(from_lines("settings_at", "c", [f"return {items('item(c, {k})', MOST_SETTINGS)}"], {"item": item}))


@inline
def prepare_rule(kind: Any, c: Any, data: Any) -> None:
    """What all parameters share, anew for each update. Writes the state."""
    first, second = setting(data, SHARED1), setting(data, SHARED2)
    first, second = prepare(kind, (first, second), settings_at(c), like(first, 0))
    set_setting(data, SHARED1, first)
    set_setting(data, SHARED2, second)


def longest_step(kind: Any, c: Any, eta_g: Any, last: Any) -> Any:
    """As ``Rule.longest``."""


@functools.cache
def _longest_of(rule: type[Rule]) -> Any:
    settings = items("item(c, {k})", len(rule().constants()))
    scope = {"longest": rule.longest, "item": item}
    return from_lines("longest_step", "kind, c, eta_g, last", [f"return longest(eta_g, last, {settings})"], scope)


by_type(longest_step, lambda kind, c, eta_g, last: _longest_of(rule_of(kind)))


@inline
def judge(kind: Any, data: Any, net: Net, layers: Any, x: Any, y: Any) -> Any:
    """All that comes before an update for a sample, from ŷ on.

    Writes g, and what the update needs of the settings; returns E_k, or NaN where the sample would do harm: no setting
    changes then.
    """
    loss, rule, top, Y = loss_in(kind, data), rule_in(kind), layers[len(layers) - 1], pointer(y, 0)
    error = output_terms(net, top, loss, Y, 0, top.here, like(item(Y, 0), 1))
    for index in range(len(layers) - 1, 0, -1):
        back(net, layers[index], net.A)

    zero, one = like(error, 0), like(error, 1)
    norm, largest = size_of_gradient(net, layers, x, zero, one)
    most = setting(data, MOST_GRADIENT)
    clip = select(norm > most, most / norm, one)
    eta = setting(data, ETA)
    move = longest_step(rule, net.c, eta * largest * clip, setting(data, FASTEST))
    bound = setting(data, LARGEST) + move
    fits = fits_loss(top, integer_in(data, LOSS), Y)
    if not (fits and error * zero + norm * zero + bound * zero == zero):
        # Squares may be beyond all numbers where the gradient is not, and LARGEST, which only grows, where no
        # parameter is.
        norm, most = norm_in_units(net, layers, x, largest), most / largest
        clip = select(norm > most, most / norm, one)
        move = longest_step(rule, net.c, eta * (largest * clip), setting(data, FASTEST))
        bound = sizes_of(net.P, 0, net.n)[0] + move
        check = error * zero + norm * zero + bound * zero
        if squares(rule):
            check += largest * clip * (largest * clip) * zero
        if not (fits and check == zero):
            return like(error, np.nan)
    set_setting(data, FASTEST, move)
    set_setting(data, LARGEST, bound)
    if clip < one:  # seldom, and foreseen: the update need not wait for the norm
        for v in range(0, top.here + top.width, lanes_of(net.P)):
            store(net.g, v, load(net.g, v) * clip)
    prepare_rule(rule, net.c, data)
    return error


@inline
def must_clip(kind: Any, data: Any) -> bool:
    """Whether the update may take a weight beyond its limit. Writes LARGEST as it is once they are clipped."""
    limit = setting(data, MOST_WEIGHT)
    nothing = limit * like(limit, 0)
    # The steps of rules with squares may be longer than η |g|.
    clips = setting(data, LARGEST) > limit or (squares(rule_in(kind)) and nothing == like(limit, 0))
    if clips:
        set_setting(data, LARGEST, limit)
    return clips


@inline
def learn_one(kind: Any, data: Any, x: Any, y: Any) -> Any:
    """One update. Returns E_k from before it, or NaN where the sample would do harm: nothing changes then."""
    layers, net, X = layers_of(kind, data), net_in(data), pointer(x, 0)
    forward_dense(net, layers[0], None, net.A, X)
    outputs(net, layers, net.A)
    return learn_rest(kind, data, net, layers, X, y)


@inline
def learn_rest(kind: Any, data: Any, net: Net, layers: Any, X: Any, y: Any) -> Any:
    """The same from ŷ on."""
    error = judge(kind, data, net, layers, X, y)
    if error == error:
        update = update_in(kind, data)
        update_upper_part(net, layers, update)
        update_then_forward_dense(net, layers[0], None, X, X, update)
        if must_clip(kind, data):
            clip_weights(net, setting(data, MOST_WEIGHT))
    return error


@inline
def learn_later(kind: Any, data: Any, x: Any, y: Any) -> Any:
    """As ``learn_one``, but the weights of the first layer get their update when the next sample comes, which needs
    them anyhow: they pass through the processor once for each sample. Until then the state is not settled."""
    layers, net, X = layers_of(kind, data), net_in(data), pointer(x, 0)
    arrive_from(kind, data, X, True)
    outputs(net, layers, net.A)
    error = judge(kind, data, net, layers, X, y)
    if error == error:
        update_upper_part(net, layers, update_in(kind, data))
        keep(X, layers[0].fan_in, pointer(data, integer_in(data, KEPT)))
        set_setting(data, PENDING, like(error, STEP_AND_CLIP if must_clip(kind, data) else STEP))
    return error


@inline
def keep(x: Any, d: int, to: Any) -> None:
    """Copy the inputs of a sample. Writes whole vectors."""
    lanes = lanes_of(to)
    for v in range(0, d, lanes):
        store(to, v, load_first(x, v, d - v))


@inline
def clip_weights(net: Net, limit: Any) -> None:
    """Bring every parameter to within ±limit. Writes P."""
    zero = like(limit, 0)
    for o in range(0, net.n, lanes_of(net.P)):
        w = load(net.P, o)
        w = select(w > limit, w * zero + limit, select(w < -limit, w * zero - limit, w))
        store(net.P, o, w)


@inline
def fits_loss(top: Any, loss: int, y: Any) -> bool:
    """Whether targets are probabilities where cross-entropy wants them to be."""
    if loss != CROSS_ENTROPY:
        return True
    zero, one = like(item(y, 0), 0), like(item(y, 0), 1)
    total, fits = zero, True
    for j in range(top.fan_out):
        total += item(y, j)
        fits = fits and zero <= item(y, j) <= one
    return fits and (top.activation != SOFTMAX or abs(total - one) <= like(one, 1e-3))


@inline
def predict_one(kind: Any, data: Any, x: Any, y_hat: Any) -> Any:
    """ŷ for one sample. Writes y_hat; returns whether x was finite."""
    layers, net, X = layers_of(kind, data), net_in(data), pointer(x, 0)
    forward_dense(net, layers[0], None, net.P, X)
    outputs(net, layers, net.P)
    return answer(net, layers, X, y_hat)


@inline
def predict_now(kind: Any, data: Any, x: Any, y_hat: Any) -> Any:
    """The same after ``learn_later``."""
    layers, net, X = layers_of(kind, data), net_in(data), pointer(x, 0)
    arrive_from(kind, data, X, False)
    outputs(net, layers, net.P)
    return answer(net, layers, X, y_hat)


@inline
def answer(net: Net, layers: Any, x: Any, y_hat: Any) -> Any:
    """Writes ŷ into y_hat; returns whether x was finite."""
    for j in range(layers[len(layers) - 1].fan_out):
        y_hat[j] = item(net.b, layers[len(layers) - 1].here + j)
    check = zero_of(x, 0, layers[0].fan_in)
    return check == like(check, 0)


@inline
def slopes_one(kind: Any, data: Any, x: Any, y_hat: Any, J: Any) -> Any:
    """ŷ and ∂ŷ_j/∂x_i for one sample, after ``learn_later``. Writes y_hat, and J, [shape: (l, d)]; returns whether x
    was finite."""
    finite = predict_now(kind, data, x, y_hat)
    layers = layers_of(kind, data)
    net, bottom, top = net_in(data), layers[0], layers[len(layers) - 1]
    zero, one = like(item(net.P, 0), 0), like(item(net.P, 0), 1)
    lanes, d, l = lanes_of(net.P), bottom.fan_in, top.fan_out
    for j in range(l):
        for i in range(l):
            here, d_i = top.here + i, select(i == j, one, zero)
            if top.activation == SOFTMAX:
                put(net.g, here, formulas.softmax_gradient_term(item(net.b, here), d_i, item(net.b, top.here + j)))
            else:
                put(net.g, here, formulas.output_gradient_term(item(net.slope, here), d_i))
        for index in range(len(layers) - 1, 0, -1):
            back(net, layers[index], net.P)
        for i in range(d):
            J[j, i] = first_slope(net, bottom, i, lanes)
    return finite


@inline
def first_slope(net: Net, layer: Any, i: int, lanes: int) -> Any:
    """Σ_h v_ih e_h, through the panels of the first layer."""
    d, width, W, column, panel = layer.fan_in, layer.width, layer.weights, 0, PANEL * lanes
    total = load(net.g, layer.here) * like(item(net.P, 0), 0)
    while column < width:
        while column + panel > width:
            panel //= 2
        for v in range(0, panel, lanes):
            total += load(net.P, W + i * panel + v) * load(net.g, layer.here + column + v)
        W += panel_size(d, panel, lanes)
        column += panel
    return lane_sum(total)


# --- What Python calls. Jitted code calls ``bpjit.compiled``.


@functools.partial(shared, of_atomic=True)
def through(net: Net, layers: Any, P: Any, x: Any) -> None:
    """From a sample to ŷ, for all kernels here. Writes z, b, slope."""
    forward_dense(net, layers[0], None, P, x)
    outputs(net, layers, P)


@functools.cache
def predict_kernel(kind: Any) -> Any:
    """The kernel that does as ``predict_one`` for learners of this kind, as ``seen_by_prediction``."""

    def predict_kernel(data: np.ndarray, x: np.ndarray, y_hat: np.ndarray) -> bool:
        if not is_settled(data):
            return False
        layers, net, X = layers_of(kind, data), net_in(data), pointer(x, 0)
        through(net, layers, net.P, X)
        return answer(net, layers, X, y_hat)

    return atomic(predict_kernel, named("predict_kernel", kind))


@functools.cache
def learn_kernel(kind: Any) -> Any:
    """The kernel that does as ``learn_one`` for learners of this kind; y may be a number, as for ``targets_at``."""

    def learn_kernel(data: np.ndarray, x: np.ndarray, y: np.ndarray | float) -> Any:
        if not is_settled(data):
            return like(setting(data, ETA), np.nan)
        layers, net, X = layers_of(kind, data), net_in(data), pointer(x, 0)
        through(net, layers, net.A, X)
        return learn_rest(kind, data, net, layers, X, targets_at(data, y))

    return atomic(learn_kernel, named("learn_kernel", kind))
