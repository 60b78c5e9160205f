"""Every formula of error back-propagation, once, on plain numbers.

A *number* is whatever machine runs the formula: a Python float, a jitted float32 or float64, a SIMD
vector or a float in a CUDA thread. Formulas know nothing of arrays, loops or machines, hold no ``if``
(``select`` takes its place) and import nothing of ours; kernels jit them and call them. The update rules,
formulas too, stand in ``settings/rules``, each with its settings.

Notation of the pumpkin-book chapter (one hidden layer; a layer above plays the same part further up):

====================  =============  =========================================================
symbol                here           meaning
====================  =============  =========================================================
x_i, d                ``x``          input i of d
v_ih, γ_h             ``v, gamma``   weight from input i and threshold of hidden unit h (of q)
α_h                   ``alpha``      Σ_i v_ih x_i, without the threshold
b_h                   ``b``          output of hidden unit h, f(α_h − γ_h)
w_hj, θ_j             ``w, theta``   weight from hidden unit h and threshold of output unit j (of l)
β_j                   ``beta``       Σ_h w_hj b_h, without the threshold
ŷ_j, y_j              ``y_hat, y``   output f(β_j − θ_j) of the network, and its target
E_k                                  error of sample k; E is the mean over the samples
g_j                   ``g``          −∂E_k/∂β_j, gradient term of output unit j
e_h                   ``e``          −∂E_k/∂α_h, gradient term of hidden unit h
η, λ                  ``eta, lam``   learning rate; weight of the error against Σ w² (regularisation)
z                     ``z``          net input of a unit with its threshold: β_j − θ_j or α_h − γ_h
====================  =============  =========================================================
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Number = Any  # a float, a jitted float, a SIMD vector: whatever the machine computes with

# --- What a machine brings: its own exp, and so on. These serve plain Python floats; the kernels say
# --- what they mean for jitted numbers.


def like(z: Number, value: float) -> Number:
    """The constant ``value`` in z's kind of number, so that float32 stays float32."""
    return type(z)(value)


def select(condition: Any, a: Number, b: Number) -> Number:
    """``a`` where the condition holds, else ``b``."""
    return a if condition else b


def exp(z: Number) -> Number:
    """e^z, infinite where it overflows."""
    try:
        return type(z)(math.exp(z))
    except OverflowError:
        return like(z, math.inf)


def log(z: Number) -> Number:
    """log z: −∞ at 0 and NaN below, as in compiled code."""
    if z > 0:
        return type(z)(math.log(z))
    return like(z, -math.inf if z == 0 else math.nan)


def log1p(z: Number) -> Number:
    """log(1 + z): −∞ at −1 and NaN below, as in compiled code."""
    if z > -1:
        return type(z)(math.log1p(z))
    return like(z, -math.inf if z == -1 else math.nan)


def tanh_of(z: Number) -> Number:
    """The hyperbolic tangent."""
    return type(z)(math.tanh(z))


def sin_of(z: Number) -> Number:
    """sin z, z in radians; NaN at ±∞, as in compiled code."""
    return type(z)(math.sin(z)) if abs(z) != math.inf else like(z, math.nan)


def cos_of(z: Number) -> Number:
    """cos z, z in radians; NaN at ±∞, as in compiled code."""
    return type(z)(math.cos(z)) if abs(z) != math.inf else like(z, math.nan)


def sqrt(z: Number) -> Number:
    """√z; NaN below 0, as in compiled code."""
    return like(z, math.nan) if z < 0 else type(z)(math.sqrt(z))


def finite(z: Number) -> Number:
    """z, and the largest number of its kind where it is more."""
    most = like(z, np.finfo(type(z)).max)
    return most if z > most else z


MACHINE = (like, select, exp, log, log1p, tanh_of, sin_of, cos_of, sqrt, finite)

# --- Activations: z -> (f(z), f'(z)), so that what the two share is computed once. NaN passes through.


def sigmoid(z: Number) -> Number:
    """f(z) = 1/(1 + e^−z), f' = f (1 − f)."""
    one = like(z, 1)
    y = one / (one + exp(-z))
    return y, y * (one - y)


def tanh(z: Number) -> Number:
    """f(z) = tanh z, f' = 1 − f²."""
    y = tanh_of(z)
    return y, like(z, 1) - y * y


def relu(z: Number) -> Number:
    """f(z) = max(0, z), f' = 1 for z > 0 and 0 otherwise."""
    zero, one = like(z, 0), like(z, 1)
    return select(z <= zero, zero, z), select(z <= zero, zero, one)


def leaky_relu(z: Number) -> Number:
    """f(z) = z for z > 0 and z/100 otherwise."""
    zero, one, leak = like(z, 0), like(z, 1), like(z, 0.01)
    return select(z <= zero, leak * z, z), select(z <= zero, leak, one)


def softplus(z: Number) -> Number:
    """f(z) = log(1 + e^z), f' = 1/(1 + e^−z); one exp of −|z| serves both and never overflows."""
    zero, one = like(z, 0), like(z, 1)
    small = exp(select(z <= zero, z, -z))
    share = one / (one + small)
    return select(z <= zero, zero, z) + log1p(small), select(z <= zero, small * share, share)


def softsign(z: Number) -> Number:
    """f(z) = z/(1 + |z|), f' = 1/(1 + |z|)²."""
    one = like(z, 1)
    share = one / (one + abs(z))
    return z * share, share * share


def identity(z: Number) -> Number:
    """f(z) = z, f' = 1."""
    return z, like(z, 1)


def sin(z: Number) -> Number:
    """f(z) = sin z in radians, f' = cos z."""
    return sin_of(z), cos_of(z)


def step(z: Number) -> Number:
    """f(z) = 1 for z ≥ 0 and 0 otherwise: the functional unit of a perceptron. It has no slope to train by."""
    zero = like(z, 0)
    return select(z < zero, zero, like(z, 1)), zero


# A softmax unit is not a formula on one number: kernels do its maximum, exp and sum.
ACTIVATIONS = (sigmoid, tanh, relu, leaky_relu, softplus, softsign, identity, sin, step)
REACH = {  # of those that do not take every value: what they come to at most
    sigmoid: (0.0, 1.0),
    tanh: (-1.0, 1.0),
    relu: (0.0, math.inf),
    softplus: (0.0, math.inf),
    softsign: (-1.0, 1.0),
    sin: (-1.0, 1.0),
    step: (0.0, 1.0),
}

# --- Their second derivatives: (f(z), f'(z)) -> f''(z). 0 at a kink.


def sigmoid_bend(y: Number, slope: Number) -> Number:
    """f'' = f' (1 − 2f)."""
    return slope * (like(y, 1) - (y + y))


def tanh_bend(y: Number, slope: Number) -> Number:
    """f'' = −2 f f'."""
    return -(y + y) * slope


def softplus_bend(y: Number, slope: Number) -> Number:
    """f'' = f' (1 − f')."""
    return slope * (like(y, 1) - slope)


def softsign_bend(y: Number, slope: Number) -> Number:
    """f'' = −2 sign(z)/(1 + |z|)³, and 1/(1 + |z|) = 1 − |f|."""
    zero, one = like(y, 0), like(y, 1)
    size = (slope + slope) * (one - abs(y))
    return select(y > zero, -size, select(y < zero, size, y))


def sin_bend(y: Number, slope: Number) -> Number:
    """f'' = −f."""
    return -y


def no_bend(y: Number, slope: Number) -> Number:
    """f'' = 0: straight lines."""
    return like(y, 0)


BENDS = {
    sigmoid: sigmoid_bend,
    tanh: tanh_bend,
    relu: no_bend,
    leaky_relu: no_bend,
    softplus: softplus_bend,
    softsign: softsign_bend,
    identity: no_bend,
    sin: sin_bend,
    step: no_bend,
}

# --- Losses: (ŷ_j, y_j) -> (share of E_k, −∂E_k/∂ŷ_j).


def squared(y_hat: Number, y: Number) -> Number:
    """E_k = ½ Σ_j (ŷ_j − y_j)²."""
    d = y - y_hat
    return like(d, 0.5) * d * d, d


def absolute(y_hat: Number, y: Number) -> Number:
    """E_k = Σ_j |ŷ_j − y_j|, with slope 0 where ŷ_j = y_j."""
    d = y - y_hat
    zero, one = like(d, 0), like(d, 1)
    return abs(d), select(d > zero, one, select(d < zero, -one, d))


def huber(y_hat: Number, y: Number) -> Number:
    """E_k = Σ_j ½d² where |d| ≤ 1 and |d| − ½ elsewhere, d = ŷ_j − y_j."""
    d = y - y_hat
    one, half = like(d, 1), like(d, 0.5)
    size = abs(d)
    near = size <= one
    return select(near, half * d * d, size - half), select(near, d, select(d > one, one, select(d < -one, -one, d)))


LOSSES = (squared, absolute, huber)

# --- Their second derivatives: (ŷ_j, y_j) -> ∂²E_k/∂ŷ_j². 0 at a kink.


def squared_bend(y_hat: Number, y: Number) -> Number:
    """1."""
    return like(y_hat, 1)


def absolute_bend(y_hat: Number, y: Number) -> Number:
    """0."""
    return like(y_hat, 0)


def huber_bend(y_hat: Number, y: Number) -> Number:
    """1 where |d| ≤ 1 and 0 elsewhere."""
    one = like(y_hat, 1)
    return select(abs(y - y_hat) <= one, one, like(y_hat, 0))


BENDS_OF_LOSSES = {squared: squared_bend, absolute: absolute_bend, huber: huber_bend}

# --- Gradient terms.


def output_gradient_term(slope: Number, d: Number) -> Number:
    """g_j = −∂E_k/∂β_j = f'(β_j − θ_j) · (−∂E_k/∂ŷ_j); with sigmoid and squared error ŷ_j(1 − ŷ_j)(y_j − ŷ_j)."""
    return slope * d


def softmax_gradient_term(y_hat: Number, d: Number, mean_d: Number) -> Number:
    """g_j = ŷ_j (d_j − Σ_i ŷ_i d_i): softmax outputs with a loss whose −∂E_k/∂ŷ_j is d_j."""
    return y_hat * (d - mean_d)


def cross_entropy_gradient_term(y_hat: Number, y: Number) -> Number:
    """g_j = y_j − ŷ_j: the slope cancels, for sigmoid outputs as for softmax outputs."""
    return y - y_hat


def hidden_gradient_term(slope: Number, back: Number) -> Number:
    """e_h = f'(α_h − γ_h) · Σ_j w_hj g_j; with sigmoid b_h(1 − b_h) Σ_j w_hj g_j."""
    return slope * back


def binary_cross_entropy(z: Number, y: Number) -> Number:
    """−y log ŷ − (1 − y) log(1 − ŷ) for ŷ = sigmoid(z): log(1 + e^z) − y z, without overflow or cancellation."""
    zero, one = like(z, 0), like(z, 1)
    return select(z <= zero, -y * z, (one - y) * z) + log1p(exp(select(z <= zero, z, -z)))


def categorical_cross_entropy(log_y_hat: Number, y: Number) -> Number:
    """−y log ŷ; softmax gives log ŷ = z − log Σ_i e^z_i from the net input."""
    return -y * log_y_hat


GRADIENT_TERMS = (
    output_gradient_term,
    softmax_gradient_term,
    cross_entropy_gradient_term,
    hidden_gradient_term,
    binary_cross_entropy,
    categorical_cross_entropy,
)

# --- The R-operator (Pearlmutter 1994): R{x} is the slope of x as the parameters move along a direction v, that of
# --- x(p + rv) by r at r = 0. It goes through every formula above by the product rule; R{∂E/∂p} is the Hessian times v.


def gradient_term_along(slope: Number, back: Number, bend: Number, z_along: Number, back_along: Number) -> Number:
    """R{f'(z) s} = f''(z) R{z} s + f'(z) R{s}: of e_h, with s = Σ_j w_hj g_j, and of g_j, with s = −∂E_k/∂ŷ_j."""
    return bend * z_along * back + slope * back_along


def softmax_term_along(y_hat: Number, rest: Number, y_along: Number, rest_along: Number) -> Number:
    """R{ŷ_j r} = R{ŷ_j} r + ŷ_j R{r}: of g_j, with r = d_j − Σ_i ŷ_i d_i. R{ŷ_j} itself is ``softmax_gradient_term`` of
    R{z_j}."""
    return y_along * rest + y_hat * rest_along


OF_R = (gradient_term_along, softmax_term_along)

# --- Updates of standard BP, and the book's regularised objective.


def weight_update(w: Number, eta: Number, g: Number, b: Number) -> Number:
    """w_hj + Δw_hj with Δw_hj = η g_j b_h (and v_ih with Δv_ih = η e_h x_i)."""
    return w + eta * g * b


def threshold_update(theta: Number, eta: Number, g: Number) -> Number:
    """θ_j + Δθ_j with Δθ_j = −η g_j (and γ_h with Δγ_h = −η e_h)."""
    return theta - eta * g


def regularised_descent(descent: Number, w: Number, lam: Number, rest: Number) -> Number:
    """−∂/∂w of λ E + (1 − λ) Σ w², where ``descent`` is −∂E/∂w and ``rest`` is 1 − λ."""
    return lam * descent - rest * (w + w)


def regularised_objective(error: Number, sum_of_squares: Number, lam: Number, rest: Number) -> Number:
    """λ E + (1 − λ) Σ w², over all weights and thresholds; ``rest`` is 1 − λ."""
    return lam * error + rest * sum_of_squares


UPDATES = (weight_update, threshold_update, regularised_descent, regularised_objective)

# --- What several update rules are made of.


def moving_average(m: Number, x: Number, rest: Number) -> Number:
    """m ← β m + (1 − β) x with rest = 1 − β, written so that a β close to 1 loses no digits."""
    return m + rest * (x - m)


def sign(g: Number) -> Number:
    """1, 0 or −1; NaN stays NaN."""
    zero, one = like(g, 0), like(g, 1)
    return select(g > zero, one, select(g < zero, -one, g))


PARTS_OF_RULES = (moving_average, sign)

# --- When to stop early (Prechelt), and when to take back an epoch (exercise 5.6).


def generalization_loss(error: Number, best: Number) -> Number:
    """GL = 100 (E_va/E_opt − 1): by how many per cent the validation error exceeds the smallest so far."""
    return like(error, 100) * (error / best - like(error, 1))


def training_progress(mean: Number, least: Number) -> Number:
    """P = 1000 (mean/min − 1) of the training errors of the last epochs: by how much they still fall."""
    return like(mean, 1000) * (mean / least - like(mean, 1))


def rose_too_far(now: Number, least: Number, tolerance: Number) -> Any:
    """Whether the objective lies by more than a share ``tolerance`` above its least value so far, or is beyond all
    numbers (NaN, as a sum of two infinite errors may be): then the epoch is taken back."""
    return (now > least * (like(now, 1) + tolerance)) | (now != now)


ENDINGS = (generalization_loss, training_progress, rose_too_far)

BENT = (*dict.fromkeys(BENDS.values()), *BENDS_OF_LOSSES.values())
ALL: tuple[Any, ...] = ACTIVATIONS + LOSSES + GRADIENT_TERMS + BENT + OF_R + UPDATES + PARTS_OF_RULES + ENDINGS
