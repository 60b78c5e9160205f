"""The oracle: error back-propagation in slow, obvious NumPy float64, from the texts, for the tests to compare with.

It imports nothing from bpjit and does nothing cleverly: loops over samples and units, formulas as printed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

# --- Activations: z -> (f(z), f'(z)).


def sigmoid(z):
    """1/(1 + e^−z), written for z < 0 as e^z/(1 + e^z)."""
    y = 1.0 / (1.0 + np.exp(-z)) if z >= 0 else np.exp(z) / (1.0 + np.exp(z))
    return y, y * (1.0 - y)


ACTIVATIONS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "sigmoid": sigmoid,
    "tanh": lambda z: (np.tanh(z), 1.0 - np.tanh(z) ** 2),
    "relu": lambda z: (z, 1.0) if z > 0 else (0.0, 0.0),
    "leaky_relu": lambda z: (z, 1.0) if z > 0 else (0.01 * z, 0.01),
    "softplus": lambda z: (np.logaddexp(0.0, z), sigmoid(z)[0]),
    "softsign": lambda z: (z / (1.0 + abs(z)), 1.0 / (1.0 + abs(z)) ** 2),
    "identity": lambda z: (z, 1.0),
    "sin": lambda z: (np.sin(z), np.cos(z)),
    "step": lambda z: (1.0 if z >= 0 else 0.0, 0.0),
}

LOSSES: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {}  # more of them: (ŷ, y) -> (E_k, ∂E_k/∂ŷ)


def softmax(z):
    """e^z_j / Σ_i e^z_i."""
    e = np.exp(z - np.max(z))
    return e / e.sum()


# --- One sample.


def forward(weights, thresholds, activations, x):
    """Net inputs z of each layer, and outputs of each layer with x first; z = xW − θ."""
    outputs, net_inputs = [np.asarray(x, np.float64)], []
    for W, theta, name in zip(weights, thresholds, activations, strict=True):
        z = np.array([sum(outputs[-1][h] * W[h, j] for h in range(W.shape[0])) - theta[j] for j in range(W.shape[1])])
        net_inputs.append(z)
        outputs.append(softmax(z) if name == "softmax" else np.array([ACTIVATIONS[name](z_j)[0] for z_j in z]))
    return net_inputs, outputs


def loss_and_terms(loss, activation, z, y_hat, y):
    """(E_k, g) of the output layer, g_j = −∂E_k/∂z_j = −∂E_k/∂β_j."""
    if loss == "cross_entropy" and activation == "softmax":
        log_y_hat = z - np.max(z) - np.log(np.sum(np.exp(z - np.max(z))))
        return -np.sum(y * log_y_hat), y - y_hat
    if loss == "cross_entropy":
        assert activation == "sigmoid"
        # −y log ŷ − (1 − y) log(1 − ŷ) with log ŷ = −log(1 + e^−z) and log(1 − ŷ) = −log(1 + e^z)
        return np.sum(y * np.logaddexp(0.0, -z) + (1.0 - y) * np.logaddexp(0.0, z)), y - y_hat
    difference = y_hat - y
    if loss == "squared":
        E, dE_dy = 0.5 * np.sum(difference**2), difference
    elif loss == "absolute":
        E, dE_dy = np.sum(np.abs(difference)), np.sign(difference)
    elif loss == "huber":
        small = np.abs(difference) <= 1.0
        E = np.sum(np.where(small, 0.5 * difference**2, np.abs(difference) - 0.5))
        dE_dy = np.where(small, difference, np.sign(difference))
    else:
        E, dE_dy = LOSSES[loss](y_hat, y)
    if activation == "softmax":
        dy_dz = np.diag(y_hat) - np.outer(y_hat, y_hat)
    else:
        dy_dz = np.diag([ACTIVATIONS[activation](z_j)[1] for z_j in z])
    return E, -dy_dz.T @ dE_dy


def sample_gradient(weights, thresholds, activations, loss, x, y):
    """(E_k, [∂E_k/∂W], [∂E_k/∂θ]) by the chain rule, from the last layer to the first, all with the old weights."""
    net_inputs, outputs = forward(weights, thresholds, activations, x)
    E, g = loss_and_terms(loss, activations[-1], net_inputs[-1], outputs[-1], np.asarray(y, np.float64))
    dW: list[Any] = [None] * len(weights)
    dtheta: list[Any] = [None] * len(weights)
    for layer in reversed(range(len(weights))):
        dW[layer] = -np.outer(outputs[layer], g)
        dtheta[layer] = g.copy()
        if layer > 0:
            slopes = np.array([ACTIVATIONS[activations[layer - 1]](z_h)[1] for z_h in net_inputs[layer - 1]])
            g = slopes * np.array([np.sum(weights[layer][h] * g) for h in range(len(slopes))])
    return E, dW, dtheta


# --- A set of samples.


def flatten(weights, thresholds):
    """One vector, layer by layer: W row by row, then θ."""
    parts = []
    for W, theta in zip(weights, thresholds, strict=True):
        parts += [np.asarray(W).ravel(), np.asarray(theta)]
    return np.concatenate(parts)


def unflatten(vector, sizes):
    """(weights, thresholds) from such a vector."""
    weights, thresholds, place = [], [], 0
    for fan_in, fan_out in itertools.pairwise(sizes):
        weights.append(vector[place : place + fan_in * fan_out].reshape(fan_in, fan_out))
        place += fan_in * fan_out
        thresholds.append(vector[place : place + fan_out])
        place += fan_out
    return weights, thresholds


def error(weights, thresholds, activations, loss, X, Y, c=None):
    """E = Σ c_k E_k / Σ c_k."""
    c = np.ones(len(X)) if c is None else c
    total = sum(
        c_k * sample_gradient(weights, thresholds, activations, loss, x, y)[0]
        for c_k, x, y in zip(c, X, Y, strict=True)
        if c_k > 0
    )
    return total / np.sum(c)


def gradient(weights, thresholds, activations, loss, X, Y, c=None):
    """∂E/∂p, flat."""
    c = np.ones(len(X)) if c is None else c
    total = 0.0
    for c_k, x, y in zip(c, X, Y, strict=True):
        if c_k > 0:
            _, dW, dtheta = sample_gradient(weights, thresholds, activations, loss, x, y)
            total = total + c_k * flatten(dW, dtheta)
    return total / np.sum(c)


def objective(E, vector, lam):
    """The book's λ E + (1 − λ) Σ w²."""
    return E if lam is None else lam * E + (1.0 - lam) * np.sum(vector**2)


def central_differences(f, p, h=1e-6):
    """∂f/∂p_i by (f(p + h) − f(p − h))/2h."""
    p = np.asarray(p, np.float64)
    slope = np.empty(len(p))
    for i in range(len(p)):
        up, down = p.copy(), p.copy()
        up[i] += h
        down[i] -= h
        slope[i] = (f(up) - f(down)) / (2.0 * h)
    return slope


# --- The Hessian times a direction, by the R-operator (Pearlmutter 1994): R{x} is the slope of x as the parameters move
# --- along the direction, and goes through every line above by the product rule.

BENDS: dict[str, Callable[[Any], Any]] = {  # z -> f''(z)
    "sigmoid": lambda z: sigmoid(z)[1] * (1.0 - 2.0 * sigmoid(z)[0]),
    "tanh": lambda z: -2.0 * np.tanh(z) / np.cosh(z) ** 2,
    "relu": lambda z: 0.0,
    "leaky_relu": lambda z: 0.0,
    "softplus": lambda z: sigmoid(z)[1],
    "softsign": lambda z: -2.0 * np.sign(z) / (1.0 + abs(z)) ** 3,
    "identity": lambda z: 0.0,
    "sin": lambda z: -np.sin(z),
}

BENDS_OF_LOSSES: dict[str, Callable[[Any, Any], Any]] = {  # (ŷ, y) -> ∂²E_k/∂ŷ²
    "squared": lambda y_hat, y: np.ones(len(y)),
    "absolute": lambda y_hat, y: np.zeros(len(y)),
    "huber": lambda y_hat, y: np.where(np.abs(y_hat - y) <= 1.0, 1.0, 0.0),
}


def sample_hessian_product(weights, thresholds, activations, loss, x, y, V, phi):
    """([R{∂E_k/∂W}], [R{∂E_k/∂θ}]) as the weights move along V and the thresholds along φ."""
    net_inputs, outputs = forward(weights, thresholds, activations, x)
    y_hat, z, y = outputs[-1], net_inputs[-1], np.asarray(y, np.float64)
    Rb, Rz = [np.zeros(len(x))], []
    for layer, name in enumerate(activations):
        Rz.append(Rb[-1] @ weights[layer] + outputs[layer] @ V[layer] - phi[layer])
        slopes = np.diag(y_hat) - np.outer(y_hat, y_hat)
        if name != "softmax":
            slopes = np.diag([ACTIVATIONS[name](z_j)[1] for z_j in net_inputs[layer]])
        Rb.append(slopes @ Rz[-1])
    _, g = loss_and_terms(loss, activations[-1], z, y_hat, y)
    Ry = Rb[-1]
    if loss == "cross_entropy":
        Rg = -Ry
    else:  # g = dy/dz d with d = −∂E_k/∂ŷ
        _, d = loss_and_terms(loss, "identity", z, y_hat, y)
        Rd = -BENDS_OF_LOSSES[loss](y_hat, y) * Ry
        R_slopes = np.diag(Ry) - np.outer(Ry, y_hat) - np.outer(y_hat, Ry)
        if activations[-1] != "softmax":
            R_slopes = np.diag([BENDS[activations[-1]](z_j) for z_j in z] * Rz[-1])
        Rg = R_slopes @ d + slopes @ Rd
    RdW: list[Any] = [None] * len(weights)
    Rdtheta: list[Any] = [None] * len(weights)
    for layer in reversed(range(len(weights))):
        RdW[layer] = -np.outer(Rb[layer], g) - np.outer(outputs[layer], Rg)
        Rdtheta[layer] = Rg
        if layer > 0:
            name, z_h = activations[layer - 1], net_inputs[layer - 1]
            slope, bend = np.array([(ACTIVATIONS[name](z)[1], BENDS[name](z)) for z in z_h]).T
            back, R_back = weights[layer] @ g, V[layer] @ g + weights[layer] @ Rg
            g, Rg = slope * back, bend * Rz[layer - 1] * back + slope * R_back
    return RdW, Rdtheta


def hessian_product(weights, thresholds, activations, loss, X, Y, direction, c=None):
    """The Hessian of E times a direction, flat."""
    c = np.ones(len(X)) if c is None else c
    V, phi = unflatten(direction, [weights[0].shape[0], *(W.shape[1] for W in weights)])
    total = 0.0
    for c_k, x, y in zip(c, X, Y, strict=True):
        if c_k > 0:
            total = total + c_k * flatten(*sample_hessian_product(weights, thresholds, activations, loss, x, y, V, phi))
    return total / np.sum(c)


# --- Random numbers, in plain integers.

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    """SplitMix64's finaliser."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % WORD
    return z ^ (z >> 31)


def draws(seed: int, purpose: int, index: int, numbers: Iterable[int]) -> list[int]:
    """The numbers of stream (seed, purpose, index)."""
    first = mix((seed + GOLDEN * purpose) % WORD)
    second = mix((first + GOLDEN * (index + 1)) % WORD)
    return [mix((second + GOLDEN * (k + 1)) % WORD) for k in numbers]


def uniforms(seed: int, purpose: int, index: int, n: int):
    """n numbers in (0, 1)."""
    return np.array([((draw >> 12) + 0.5) * 2.0**-52 for draw in draws(seed, purpose, index, range(n))])


def epoch_order(seed: int, epoch: int, numbers: Sequence[int]) -> list[int]:
    """The samples in the order of an epoch: by the upper half of a draw, ties by number."""
    keys = draws(seed, 2, epoch, numbers)
    return [int(k) for _, k in sorted((key >> 32, k) for key, k in zip(keys, numbers, strict=True))]


# --- Update rules. g is the direction of descent, −∂E/∂w.

DEFAULTS = {
    "mu": 0.9,
    "eps": 1e-8,
    "rho": 0.9,
    "beta1": 0.9,
    "beta2": 0.999,
    "variant": "iRprop-",
    "eta_plus": 1.2,
    "eta_minus": 0.5,
    "delta0": 0.1,
    "delta_max": 50.0,
    "delta_min": 1e-6,
}


def settings_of(rule, settings):
    """The settings of a rule with their defaults."""
    return DEFAULTS | ({"mu": 1.75} if rule == "quickprop" else {}) | (settings or {})


def new_state(rule, settings, n):
    """The state of a rule before its first update."""
    delta0 = settings_of(rule, settings)["delta0"]
    return {
        "v": np.zeros(n),
        "r": np.zeros(n),
        "m": np.zeros(n),
        "t": 0,
        "g": np.zeros(n),
        "delta": np.zeros(n) + delta0,
        "move": np.zeros(n),
        "objective": np.inf,
    }


def lookahead(rule, settings, w, state):
    """Where the gradient is taken: w + μ v for Nesterov's rule, w for the others."""
    return w + settings_of(rule, settings)["mu"] * state["v"] if rule == "nesterov" else w


def step(rule, settings, eta, w, g, state, objective=None):
    """(w, state) after one update of all parameters."""
    s = settings_of(rule, settings)
    state = dict(state)
    if rule == "sgd":
        return w + eta * g, state
    if rule in ("momentum", "nesterov"):
        state["v"] = s["mu"] * state["v"] + eta * g
        return w + state["v"], state
    if rule == "adagrad":
        state["r"] = state["r"] + g**2
        return w + eta * g / (np.sqrt(state["r"]) + s["eps"]), state
    if rule == "rmsprop":
        state["r"] = s["rho"] * state["r"] + (1 - s["rho"]) * g**2
        return w + eta * g / (np.sqrt(state["r"]) + s["eps"]), state
    if rule == "adam":
        state["t"] += 1
        state["m"] = s["beta1"] * state["m"] + (1 - s["beta1"]) * g
        state["r"] = s["beta2"] * state["r"] + (1 - s["beta2"]) * g**2
        m_hat = state["m"] / (1 - s["beta1"] ** state["t"])
        r_hat = state["r"] / (1 - s["beta2"] ** state["t"])
        return w + eta * m_hat / (np.sqrt(r_hat) + s["eps"]), state
    if rule == "quickprop":
        return quickprop(s, eta, w, g, state)
    assert rule == "rprop"
    return rprop(s, w, g, state, objective)


def quickprop(s, eta, w, g, state):
    """Fahlman 1988, weight by weight."""
    new, moves = w.copy(), np.zeros(len(w))
    shrink = s["mu"] / (1 + s["mu"])
    for i in range(len(w)):
        last_move, last_g = state["move"][i], state["g"][i]
        if last_move == 0:
            moves[i] = eta * g[i]
        else:
            way = np.sign(last_move)
            if g[i] * way >= shrink * last_g * way:
                moves[i] = s["mu"] * last_move
            else:
                moves[i] = last_move * g[i] / (last_g - g[i])
            if g[i] * last_g > 0:
                moves[i] += eta * g[i]
        new[i] = w[i] + moves[i]
    state["move"], state["g"] = moves, g.copy()
    return new, state


def rprop(s, w, g, state, objective):
    """Rprop⁺, iRprop⁺ and iRprop⁻ as printed by Igel and Hüsken (2003), weight by weight."""
    new, delta, move, kept = w.copy(), state["delta"].copy(), state["move"].copy(), g.copy()
    for i in range(len(w)):
        product = state["g"][i] * g[i]
        if product > 0:
            delta[i] = min(delta[i] * s["eta_plus"], s["delta_max"])
        elif product < 0:
            delta[i] = max(delta[i] * s["eta_minus"], s["delta_min"])
            kept[i] = 0.0
        if product < 0 and s["variant"] != "iRprop-":
            take_back = s["variant"] == "Rprop+" or objective > state["objective"]
            move[i] = -state["move"][i] if take_back else 0.0
        else:
            move[i] = np.sign(kept[i]) * delta[i]
        new[i] = w[i] + move[i]
    state["delta"], state["move"], state["g"], state["objective"] = delta, move, kept, objective
    return new, state


# --- Second order, with dense matrices.


def slopes_of_net_inputs(weights, thresholds, activations, x):
    """∂z_j/∂p of the output layer, [shape: (l, n)]: the chain rule from each net input down."""
    net_inputs, outputs = forward(weights, thresholds, activations, x)
    rows = []
    for j in range(weights[-1].shape[1]):
        g = np.eye(weights[-1].shape[1])[j]
        dW: list[Any] = [None] * len(weights)
        dtheta: list[Any] = [None] * len(weights)
        for layer in reversed(range(len(weights))):
            dW[layer], dtheta[layer] = np.outer(outputs[layer], g), -g
            if layer > 0:
                slopes = np.array([ACTIVATIONS[activations[layer - 1]](z_h)[1] for z_h in net_inputs[layer - 1]])
                g = slopes * (weights[layer] @ g)
        rows.append(flatten(dW, dtheta))
    return np.array(rows)


def gauss_newton(weights, thresholds, activations, loss, X, Y, c=None):
    """Σ c_k H_k over the samples: H_k is J_kᵀJ_k with squared error, J_k = ∂ŷ/∂p, and with cross-entropy the Hessian of
    E_k by z between ∂z/∂p and its transpose."""
    total = 0.0
    for c_k, x, y in zip(np.ones(len(X)) if c is None else c, X, Y, strict=True):
        z_slopes = slopes_of_net_inputs(weights, thresholds, activations, x)
        net_inputs, outputs = forward(weights, thresholds, activations, x)
        y_hat, known = outputs[-1], ~np.isnan(y)
        if activations[-1] == "softmax":
            by_z = np.diag(y_hat) - np.outer(y_hat, y_hat)
        else:
            by_z = np.diag([ACTIVATIONS[activations[-1]](z_j)[1] for z_j in net_inputs[-1]])
        if loss == "squared":
            rows = (by_z @ z_slopes)[known]
            total = total + c_k * rows.T @ rows
        elif activations[-1] == "softmax":
            total = total + (c_k * z_slopes.T @ by_z @ z_slopes if known.all() else 0.0)
        else:
            total = total + c_k * z_slopes[known].T @ by_z[np.ix_(known, known)] @ z_slopes[known]
    return total


class Damped(NamedTuple):
    """Levenberg–Marquardt after some epochs."""

    vector: np.ndarray
    mu: float
    alpha: float
    beta: float
    gamma: float
    log_evidence: float


def damped_epochs(
    sizes, start, activations, loss, X, Y, *, epochs, mu, trained, c=None, lam=None, bayes=False, settled=0.01
):
    """Epochs of Levenberg–Marquardt, each with one step taken: (scale H + (penalty + μ) I) Δ = −∇ of scale Σ c_k E_k +
    penalty ½ Σ w² over the parameters trained, with H, ∇ and Σ as sums over the samples. With ``bayes`` by MacKay's α
    and β, else by λ; they are set anew after an epoch that took off less than ``settled`` of the objective, the first
    time from γ = N/100. At the end γ and the evidence of the last α and β."""
    w, m, n = start.copy(), len(X), int(np.sum(trained))
    c = np.ones(m) if c is None else c / np.mean(c[c > 0])
    present = c > 0
    X, Y, c, m = X[present], Y[present], c[present], int(np.sum(present))
    entropy = loss == "cross_entropy"
    N = np.sum(c[:, None] * ~np.isnan(Y))
    scale, penalty, gamma = (1.0 if lam is None else lam), (0.0 if lam is None else 2.0 * m * (1.0 - lam)), np.nan
    log_evidence, fall = np.nan, np.inf
    if bayes:
        scale = 1.0

    def sums(vector):
        there, filled = unflatten(vector, sizes), Y
        E, slope = 0.0, np.zeros(len(vector))
        for k in range(m):
            known = ~np.isnan(Y[k])
            if known.all():
                E_k, dW, dtheta = sample_gradient(*there, activations, loss, X[k], filled[k])
                E, slope = E + c[k] * E_k, slope + c[k] * flatten(dW, dtheta)
            elif known.any():
                y_hat = forward(*there, activations, X[k])[1][-1]
                assert loss == "squared"
                E_k, dW, dtheta = sample_gradient(*there, activations, loss, X[k], np.where(known, Y[k], y_hat))
                E, slope = E + c[k] * E_k, slope + c[k] * flatten(dW, dtheta)
        return E, slope[trained]

    def estimate(vector):
        A = scale * gauss_newton(*unflatten(vector, sizes), activations, loss, X, Y, c)[np.ix_(trained, trained)]
        A = A + penalty * np.eye(n)
        found = n - penalty * np.trace(np.linalg.inv(A))
        log_evidence = -scale * sums(vector)[0] - 0.5 * penalty * np.sum(vector[trained] ** 2)
        log_evidence += -0.5 * np.linalg.slogdet(A)[1] + 0.5 * n * np.log(penalty)
        return found, log_evidence + (0.0 if entropy else 0.5 * N * np.log(scale / (2 * np.pi)))

    for epoch in range(epochs):
        E, slope = sums(w)
        H = gauss_newton(*unflatten(w, sizes), activations, loss, X, Y, c)[np.ix_(trained, trained)]
        if bayes and (epoch == 0 or fall < settled):
            gamma = N / 100 if epoch == 0 else estimate(w)[0]
            squares = np.sum(w[trained] ** 2)
            penalty = gamma / squares if gamma > 0 else penalty
            scale = (N - gamma) / (2 * E) if not entropy and gamma < N else scale
        while True:
            step = np.linalg.solve(scale * H + (penalty + mu) * np.eye(n), -(scale * slope + penalty * w[trained]))
            new = w.copy()
            new[trained] += step
            before = scale * E + 0.5 * penalty * np.sum(w[trained] ** 2)
            after = scale * sums(new)[0] + 0.5 * penalty * np.sum(new[trained] ** 2)
            if after < before:
                break
            mu *= 10
        w, mu, fall = new, max(mu / 10, 1e-20), 1 - after / before
    if bayes:
        gamma, log_evidence = estimate(w)
    return Damped(w, mu, penalty, scale, gamma, log_evidence)


def dense_bfgs(steps, changes):
    """The inverse Hessian that BFGS makes of these pairs, the oldest first, from the scaled unit matrix of L-BFGS."""
    s, y = steps[-1], changes[-1]
    H = np.eye(len(s)) * (s @ y) / (y @ y)
    for s, y in zip(steps, changes, strict=True):
        V = np.eye(len(s)) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    return H


def scaled_conjugate_gradients(f, slope, w, *, steps, sigma=5e-5, lam=5e-7):
    """Møller 1993, steps 1 to 9 as printed, until so many steps were taken; returns the points."""
    n, lam_bar, success, k, points = len(w), 0.0, True, 1, [w]
    r = p = -slope(w)
    while len(points) <= steps:
        if success:
            sigma_k = sigma / np.linalg.norm(p)
            s = (slope(w + sigma_k * p) - slope(w)) / sigma_k
            delta = p @ s
        delta = delta + (lam - lam_bar) * (p @ p)
        if delta <= 0:
            lam_bar = 2 * (lam - delta / (p @ p))
            delta = -delta + lam * (p @ p)
            lam = lam_bar
        mu = p @ r
        alpha = mu / delta
        comparison = 2 * delta * (f(w) - f(w + alpha * p)) / mu**2
        if comparison >= 0:
            w = w + alpha * p
            r_new = -slope(w)
            lam_bar, success = 0.0, True
            p = r_new if k % n == 0 else r_new + ((r_new @ r_new - r_new @ r) / mu) * p
            r = r_new
            k += 1
            points.append(w)
            if comparison >= 0.75:
                lam = lam / 4
        else:
            lam_bar, success = lam, False
        if comparison < 0.25:
            used = (points[-1] - points[-2]) / alpha if success else p
            lam = lam + delta * (1 - comparison) / (used @ used)
    return points


# --- Training.


class Result(NamedTuple):
    weights: list
    thresholds: list
    vector: np.ndarray
    errors: np.ndarray
    state: dict


def batches_of(order, updates):
    """The epoch's samples cut into batches."""
    size = {"stochastic": 1, "accumulated": len(order)}.get(updates, updates)
    return [order[first : first + size] for first in range(0, len(order), size)]


def train(
    weights,
    thresholds,
    activations,
    X,
    Y,
    *,
    loss,
    rule="sgd",
    settings=None,
    etas,
    updates,
    epochs,
    lam=None,
    c=None,
    trainable=None,
    shuffle=True,
    seed=0,
    state=None,
    first_epoch=0,
):
    """Error back-propagation; etas is one rate or one for each epoch."""
    sizes = [weights[0].shape[0], *(W.shape[1] for W in weights)]
    w = flatten(weights, thresholds).astype(np.float64)
    trained = np.ones(len(w), bool) if trainable is None else trainable
    c = np.ones(len(X)) if c is None else np.asarray(c, np.float64)
    present = [k for k in range(len(X)) if c[k] > 0]
    c = c / np.mean(c[present])
    state = new_state(rule, settings, len(w)) if state is None else state
    errors = []
    for t in range(epochs):
        eta = etas if np.ndim(etas) == 0 else etas[t]
        order = epoch_order(seed, first_epoch + t, present) if shuffle and updates != "accumulated" else present
        collected = 0.0
        for batch in batches_of(order, updates):
            point = np.where(trained, lookahead(rule, settings, w, state), w)
            there = unflatten(point, sizes)
            slope, batch_error = np.zeros(len(w)), 0.0
            for k in batch:
                E_k, dW, dtheta = sample_gradient(*there, activations, loss, X[k], Y[k])
                slope += c[k] * flatten(dW, dtheta) / len(batch)
                batch_error += c[k] * E_k
            collected += batch_error
            g = -slope if lam is None else -(lam * slope + 2.0 * (1.0 - lam) * point)
            goal = objective(batch_error / len(batch), w, lam)
            new, new_rule_state = step(rule, settings, eta, w, g, state, objective=goal)
            w = np.where(trained, new, w)
            state = {
                name: np.where(trained, value, state[name]) if np.ndim(value) else value
                for name, value in new_rule_state.items()
            }
        errors.append(collected / len(present))
    return Result(*unflatten(w, sizes), w, np.array(errors), state)
