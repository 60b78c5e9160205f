"""Update rules as formulas: how a gradient term becomes a new weight.

Every formula takes ``w`` and the descent direction ``g`` = −∂E/∂w (so that w + η g is the book's update), the
rule's state of this one parameter, and its settings; it returns the new w and the new state. What users set, and
the sources, stand in ``settings.rules``.
"""

from __future__ import annotations

from .formulas import Number, like, select, sqrt


def plain(w: Number, g: Number, eta: Number) -> Number:
    """w ← w + η g."""
    return w + eta * g


def momentum(w: Number, g: Number, v: Number, eta: Number, mu: Number) -> Number:
    """v ← μ v + η g, w ← w + v."""
    v = mu * v + eta * g
    return w + v, v


def lookahead(w: Number, v: Number, mu: Number) -> Number:
    """w + μ v, where Nesterov's rule takes its gradient."""
    return w + mu * v


def moving_average(m: Number, x: Number, rest: Number) -> Number:
    """m ← β m + (1 − β) x with rest = 1 − β, written so that a β close to 1 loses no digits."""
    return m + rest * (x - m)


def adagrad(w: Number, g: Number, r: Number, eta: Number, epsilon: Number) -> Number:
    """r ← r + g², w ← w + η g/(√r + ε)."""
    r = r + g * g
    return w + eta * g / (sqrt(r) + epsilon), r


def rmsprop(w: Number, g: Number, r: Number, eta: Number, rest: Number, epsilon: Number) -> Number:
    """r ← ρ r + (1 − ρ) g², w ← w + η g/(√r + ε); ``rest`` is 1 − ρ."""
    r = moving_average(r, g * g, rest)
    return w + eta * g / (sqrt(r) + epsilon), r


def adam(
    w: Number,
    g: Number,
    m: Number,
    r: Number,
    eta: Number,
    rests: tuple[Number, Number],
    epsilon: Number,
    corrections: tuple[Number, Number],
) -> Number:
    """w ← w + η m̂/(√r̂ + ε); ``rests`` are 1 − β₁ and 1 − β₂, ``corrections`` 1 − β₁ᵗ and 1 − β₂ᵗ."""
    m = moving_average(m, g, rests[0])
    r = moving_average(r, g * g, rests[1])
    return w + eta * (m / corrections[0]) / (sqrt(r / corrections[1]) + epsilon), m, r


def sign(g: Number) -> Number:
    """1, 0 or −1; NaN stays NaN."""
    zero, one = like(g, 0), like(g, 1)
    return select(g > zero, one, select(g < zero, -one, g))


def rprop(
    w: Number,
    g: Number,
    previous: Number,
    delta: Number,
    move: Number,
    revert: Number,
    factors: tuple[Number, Number],
    limits: tuple[Number, Number],
) -> Number:
    """Grow or cut the step Δ by the sign of g · g', move by sign(g) Δ; where the sign turned do not move but take
    back ``revert`` of the last move. ``revert`` is 0 for iRprop⁻, 1 for Rprop⁺, and for iRprop⁺ 1 if E rose.

    ``factors`` are η⁺ and η⁻, ``limits`` Δmin and Δmax. Returns w, g (0 where the sign turned), Δ, the move.
    """
    zero = like(g, 0)
    agreement = sign(g) * previous
    grown, cut = factors[0] * delta, factors[1] * delta
    grown = select(grown > limits[1], limits[1], grown)
    cut = select(cut < limits[0], limits[0], cut)
    turned = agreement < zero
    delta = select(agreement > zero, grown, select(turned, cut, delta))
    g = select(turned, zero, g)
    move = select(turned, -revert * move, sign(g) * delta)
    return w + move, g, delta, move


def quickprop(w: Number, g: Number, previous: Number, move: Number, eta: Number, mu: Number) -> Number:
    """Jump to the minimum of the parabola through the last two slopes, d g/(g' − g), at most μ d; add η g unless g
    turned its sign. The first move of a weight is η g. Returns w, g, the move d."""
    zero, one = like(g, 0), like(g, 1)
    way = sign(move)
    far = g * way >= mu / (one + mu) * previous * way
    parabola = select(far, mu * move, move * g / select(far, one, previous - g))
    gradient = eta * g
    parabola = parabola + select(sign(g) * previous > zero, gradient, zero)
    move = select(abs(way) > zero, parabola, gradient)
    return w + move, g, move


FORMULAS = (plain, momentum, lookahead, moving_average, adagrad, rmsprop, adam, sign, rprop, quickprop)

# Codes for the kernels.
PLAIN, MOMENTUM, NESTEROV, RPROP, QUICKPROP, ADAGRAD, RMSPROP, ADAM = range(8)

SLOTS = 3  # numbers of state that a rule may keep for each parameter
