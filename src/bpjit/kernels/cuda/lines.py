"""The book's lines for a team of CUDA threads: one thread alone with a tiny network, or a block with a larger one.

They are those of ``readable.online``; here the units of a layer, and the weights to change, are dealt out to the
threads of the team. Sums over units are split in a way that depends on the layer alone, so bits do not depend on
chance. Index letters: h unit below, j unit here, i parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...maths import formulas
from ...maths.formulas import like
from ..jit import formula
from ..layout import CROSS_ENTROPY, SOFTMAX, codes_of, places_of_layers
from ..own import markers_of
from ..switches import LOOK_AHEAD, activation_of, ahead, code_of, prepare, rule_step, terms_of
from .door import WARP, wait, wait_for_warp

FEWEST = 4  # units below that are worth a thread of their own


class Layer(NamedTuple):
    """One layer; all of these are constants to the compiler."""

    fan_in: int
    fan_out: int
    below: int  # number of the first unit below; the inputs come first
    here: int
    weights: int  # number of its first weight
    thresholds: int
    activation: int
    parts: int  # into which each sum over the units below is split
    level: int  # 0 for the first
    own: Any  # markers of the network's activations of the user's own, or None


class Team(NamedTuple):
    """Who works on a network."""

    rank: int
    size: int


class Net(NamedTuple):
    """What a team has at hand of one network: arrays, all of them short."""

    p: Any  # parameters
    at: Any  # where gradients are taken: p, or ahead of it for a rule that looks ahead
    G: Any  # −Σ ∂E_k/∂p of the batch begun
    z: Any  # of each unit, as in ``layout.Units``
    b: Any
    slope: Any
    g: Any
    scratch: Any  # a number for each thread


class RuleOnDevice(NamedTuple):
    """How gradients become updates; constants to the compiler but for the arrays."""

    standard: bool  # gradient and update are one
    rule: Any  # as ``kind_of`` makes it
    slots: int
    penalty: bool
    masked: bool
    mask: Any  # 1 where a parameter is trained
    constants: Any  # of the rule
    lam: Any
    rest: Any


def lay_out(sizes: Sequence[int], activations: Sequence[str], threads: int) -> tuple[Layer, ...]:
    """The layers of a network, for a team of so many."""
    layers, own = [], markers_of(activations)
    for level, (place, code) in enumerate(zip(places_of_layers(sizes), codes_of(activations), strict=True)):
        parts = max(1, min(place.fan_in // FEWEST, threads // place.fan_out))
        layers.append(Layer(*place, code, parts, level, own))
    return tuple(layers)


@formula
def barrier(team: Team) -> None:
    """Wait for the others of the team."""
    if team.size == WARP:
        wait_for_warp()
    elif team.size > 1:
        wait()


@formula
def forward(layer: Layer, net: Net, team: Team) -> None:
    """z_j = β_j − θ_j with β_j = Σ_h w_hj b_h, and the outputs of a layer. Writes z, b, slope."""
    q, l, below, here, parts = layer.fan_in, layer.fan_out, layer.below, layer.here, layer.parts
    weights, thresholds = layer.weights, layer.thresholds
    if parts > 1:
        for item in range(team.rank, parts * l, team.size):
            part, j = item // l, item % l
            total = like(net.at[0], 0)
            for h in range(part * q // parts, (part + 1) * q // parts):
                total += net.b[below + h] * net.at[weights + h * l + j]
            net.scratch[item] = total
        barrier(team)
    for j in range(team.rank, l, team.size):
        z = -net.at[thresholds + j]
        if parts > 1:
            for part in range(parts):
                z += net.scratch[part * l + j]
        else:
            for h in range(q):
                z += net.b[below + h] * net.at[weights + h * l + j]
        net.z[here + j] = z
        if layer.activation != SOFTMAX:
            net.b[here + j], net.slope[here + j] = activation_of(layer, layer.activation, z)
    barrier(team)
    if layer.activation == SOFTMAX:
        softmax(layer, net, team)


@formula
def softmax(layer: Layer, net: Net, team: Team) -> None:
    """As ``readable.online.softmax``. Writes b, and log ŷ_j into z."""
    first, end = layer.here, layer.here + layer.fan_out
    largest = net.z[first]
    for j in range(first + 1, end):
        largest = formulas.select(net.z[j] > largest, net.z[j], largest)
    barrier(team)
    for j in range(first + team.rank, end, team.size):
        net.z[j] -= largest
        net.b[j] = formulas.exp(net.z[j])
    barrier(team)
    total = like(largest, 0)
    for j in range(first, end):
        total += net.b[j]
    log_total = formulas.log(total)
    barrier(team)
    for j in range(first + team.rank, end, team.size):
        net.b[j] /= total
        net.z[j] -= log_total
    barrier(team)


@formula
def output_terms(layer: Layer, loss: Any, net: Net, team: Team, Y: Any, k: int, c: Any) -> Any:
    """c g_j of the outputs for the targets in row k. Writes g, returns c E_k, to each thread."""
    zero = like(c, 0)
    error, mean, is_softmax = zero, zero, layer.activation == SOFTMAX
    for j in range(layer.fan_out):
        here = layer.here + j
        share, g, shared = terms_of(loss, is_softmax, net.z[here], net.b[here], net.slope[here], Y[k, j])
        error += share
        mean += shared
        if j % team.size == team.rank:
            net.g[here] = c * g
    barrier(team)
    if is_softmax and code_of(loss) != CROSS_ENTROPY:
        for j in range(team.rank, layer.fan_out, team.size):
            here = layer.here + j
            net.g[here] = formulas.softmax_gradient_term(net.b[here], net.g[here], c * mean)
        barrier(team)
    return c * error


@formula
def backward(layer: Layer, net: Net, team: Team, standard: bool, change: bool, eta: Any) -> None:
    """e_h of the units below with the old w_hj; then, if wanted, the change of w_hj and θ_j: an update by standard BP,
    or a share of their gradient. Writes g below; p, or G."""
    q, l, below, here = layer.fan_in, layer.fan_out, layer.below, layer.here
    weights, thresholds = layer.weights, layer.thresholds
    if layer.level > 0:
        for h in range(team.rank, q, team.size):
            back = like(eta, 0)
            for j in range(l):
                back += net.at[weights + h * l + j] * net.g[here + j]
            net.g[below + h] = formulas.hidden_gradient_term(net.slope[below + h], back)
        barrier(team)
    if change:
        if team.size == 1:
            for h in range(q):
                for j in range(l):
                    change_weight(net, standard, weights + h * l + j, net.g[here + j], net.b[below + h], eta)
        else:
            for i in range(team.rank, q * l, team.size):
                change_weight(net, standard, weights + i, net.g[here + i % l], net.b[below + i // l], eta)
        for j in range(team.rank, l, team.size):
            i, g = thresholds + j, net.g[here + j]
            if standard:
                net.p[i] = formulas.threshold_update(net.p[i], eta, g)
            else:
                net.G[i] -= g


@formula
def change_weight(net: Net, standard: bool, i: int, g: Any, b: Any, eta: Any) -> None:
    """Δw_hj = η g_j b_h, or that share of its gradient. Writes p, or G."""
    if standard:
        net.p[i] = formulas.weight_update(net.p[i], eta, g, b)
    else:
        net.G[i] += g * b


@formula
def load_sample(layers: Any, net: Net, team: Team, X: Any, row: int) -> None:
    """x into the first units. Writes b."""
    for i in range(team.rank, layers[0].fan_in, team.size):
        net.b[i] = X[row, i]
    barrier(team)


@formula
def vanishing(p: Any, first: int, n: int, step: int) -> Any:
    """Σ 0 w of every ``step``-th parameter: 0 where all are finite, else NaN."""
    total = like(p[0], 0)
    for i in range(first, n, step):
        total += p[i] * like(total, 0)
    return total


@formula
def objective(rule: RuleOnDevice, error: Any, squares: Any) -> Any:
    """The book's objective, where E is ``error`` and Σ w² ``squares``."""
    return formulas.regularised_objective(error, squares, rule.lam, rule.rest) if rule.penalty else error


# --- Updates by rule.


@formula
def sum_of_squares(p: Any, first: int, n: int, step: int) -> Any:
    """Σ w² of every ``step``-th parameter."""
    total = like(p[0], 0)
    for i in range(first, n, step):
        total += p[i] * p[i]
    return total


@formula
def prepared(rule: RuleOnDevice, shared: Any, last: Any, now: Any) -> Any:
    """What all parameters share, anew for an update: as ``switches.prepare_rule``, from what they shared before and the
    last objectives."""
    rose = formulas.select(now > last, like(now, 1), like(now, 0))
    return prepare(rule.rule, shared, rule.constants, rose)


class Slots(NamedTuple):
    """Where the rule's state of a network stands: in a column of a table."""

    T: Any
    t: int  # the column
    first: int  # row of the first parameter's first number; the second numbers come n rows below, and so on
    n: int


@formula
def state_of(rule: RuleOnDevice, slots: Slots, i: int, zero: Any) -> Any:
    """The rule's state of parameter i, and zeros beyond."""
    T, t, at, n = slots.T, slots.t, slots.first + i, slots.n
    if rule.slots == 1:
        return T[at, t], zero, zero
    if rule.slots == 2:
        return T[at, t], T[at + n, t], zero
    if rule.slots == 3:
        return T[at, t], T[at + n, t], T[at + n + n, t]
    return zero, zero, zero


@formula
def step_parameter(
    rule: RuleOnDevice, p: Any, at: Any, slots: Slots, i: int, direction: Any, eta: Any, shared: Any
) -> None:
    """One step of the rule for parameter i, if it is trained. Writes p, at, and the rule's state."""
    zero, T, t, row, n = like(eta, 0), slots.T, slots.t, slots.first + i, slots.n
    if rule.masked and rule.mask[i] <= zero:
        return
    g = direction
    if rule.penalty:
        g = formulas.regularised_descent(direction, at[i], rule.lam, rule.rest)
    p[i], state = rule_step(rule.rule, p[i], g, state_of(rule, slots, i, zero), eta, rule.constants, shared)
    if rule.slots > 0:
        T[row, t] = state[0]
    if rule.slots > 1:
        T[row + n, t] = state[1]
    if rule.slots > 2:
        T[row + n + n, t] = state[2]
    if len(rule.rule) in LOOK_AHEAD:
        at[i] = ahead(rule.rule, p[i], state, rule.constants)


@formula
def update_by_rule(rule: RuleOnDevice, net: Net, team: Team, slots: Slots, share: Any, eta: Any, shared: Any) -> None:
    """One step of the rule along the gradients collected times ``share``. Writes p, at, the rule's state, and G, which
    starts anew."""
    for i in range(team.rank, slots.n, team.size):
        step_parameter(rule, net.p, net.at, slots, i, net.G[i] * share, eta, shared)
        net.G[i] = like(eta, 0)
    barrier(team)


@formula
def look_ahead(rule: RuleOnDevice, net: Net, team: Team, slots: Slots) -> None:
    """Where a rule that looks ahead takes its gradient. Writes at."""
    if len(rule.rule) in LOOK_AHEAD:
        for i in range(team.rank, slots.n, team.size):
            state = state_of(rule, slots, i, like(net.p[0], 0))
            net.at[i] = ahead(rule.rule, net.p[i], state, rule.constants)
        barrier(team)
