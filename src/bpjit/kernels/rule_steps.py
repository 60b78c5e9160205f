"""One step of a rule on a vector of parameters, wherever a fast kernel has their gradient in registers.

Which rule it is stands in the type of ``Steps.kind``, a tuple as long as the rule's code, so that a kernel holds one
rule's formula and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..maths import formulas, rule_formulas
from ..maths.formulas import like, select
from .jit import by_type, inline
from .simd.memory import item, registers, vectors

Made = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


def make_step(count: int) -> Made:
    """Updates of ``count`` registers of parameters at o: step(steps, net, o, g, b, eta, corrections) for weights,
    step_threshold(steps, net, o, g, eta, corrections), and, for a gradient already added up,
    step_along(steps, net, o, descent, eta, corrections)."""
    load, store, lift = vectors(registers(count))

    @inline
    def put(net: Any, array: Any, o: Any, value: Any) -> None:
        store(array, o, value)

    return _make(load, store, item, lift, put)


def make_lane_step(at: Callable[..., Any], write: Callable[..., Any]) -> Made:
    """The same with a network in each lane: o is the number of a parameter; the rule's settings, η and so on are
    vectors; and where the mask ``net.active`` does not hold nothing changes."""

    @inline
    def as_it_is(x: Any) -> Any:
        return x

    @inline
    def where_active(active: Any, array: Any, o: Any, value: Any) -> Any:
        if active is None:
            return value
        return select(active, value, at(array, o))

    @inline
    def put(net: Any, array: Any, o: Any, value: Any) -> None:
        write(array, o, where_active(net.active, array, o, value))

    return _make(at, write, at, as_it_is, put)


def _make(
    load: Callable[..., Any],
    store: Callable[..., Any],
    setting: Callable[..., Any],
    vector: Callable[..., Any],
    put: Callable[..., Any],
) -> Made:
    """Made of what reads a setting of the rule, makes it a vector, and writes what has changed."""

    def apply(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        """The new w; writes the rule's state."""

    def plain(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        return rule_formulas.plain(w, g, eta)

    def momentum(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        w, v = rule_formulas.momentum(w, g, load(net.S, o), eta, setting(net.c, 0))
        put(net, net.S, o, v)
        return w

    def rprop(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        S, c, at1, at2 = net.S, net.c, o + net.n, o + net.n + net.n
        factors = vector(setting(c, 0)), vector(setting(c, 1))
        limits = vector(setting(c, 2)), vector(setting(c, 3))
        w, s0, s1, s2 = rule_formulas.rprop(
            w, g, load(S, o), load(S, at1), load(S, at2), vector(corrections[0]), factors, limits
        )
        put(net, S, o, s0)
        put(net, S, at1, s1)
        put(net, S, at2, s2)
        return w

    def quickprop(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        S, mu = net.S, vector(setting(net.c, 0))
        w, s0, s1 = rule_formulas.quickprop(w, g, load(S, o), load(S, o + net.n), vector(eta), mu)
        put(net, S, o, s0)
        put(net, S, o + net.n, s1)
        return w

    def adagrad(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        w, r = rule_formulas.adagrad(w, g, load(net.S, o), eta, setting(net.c, 0))
        put(net, net.S, o, r)
        return w

    def rmsprop(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        w, r = rule_formulas.rmsprop(w, g, load(net.S, o), eta, setting(net.c, 1), setting(net.c, 0))
        put(net, net.S, o, r)
        return w

    def adam(kind: Any, net: Any, o: Any, w: Any, g: Any, eta: Any, corrections: Any) -> Any:
        S, c, at1 = net.S, net.c, o + net.n
        rests = setting(c, 1), setting(c, 2)
        w, m, r = rule_formulas.adam(w, g, load(S, o), load(S, at1), eta, rests, setting(c, 0), corrections)
        put(net, S, o, m)
        put(net, S, at1, r)
        return w

    by_code = (plain, momentum, momentum, rprop, quickprop, adagrad, rmsprop, adam)
    by_type(apply, lambda kind, net, o, w, g, eta, corrections: by_code[len(kind)])

    @inline
    def where_trained(mask: Any, o: Any, value: Any, otherwise: Any) -> Any:
        if mask is None:
            return value
        return select(load(mask, o) > like(value, 0), value, otherwise)

    @inline
    def step_along(steps: Any, net: Any, o: Any, descent: Any, eta: Any, corrections: Any) -> Any:
        before = load(net.P, o)
        at = load(net.A, o)
        g = penalised(steps.lam, steps.rest, descent, at)
        g = where_trained(net.mask, o, g, like(g, 0))
        w = apply(steps.kind, net, o, before, g, eta, corrections)
        w = where_trained(net.mask, o, w, before)
        put(net, net.P, o, w)
        return seen(steps.kind, net, o, w)

    def seen(kind: Any, net: Any, o: Any, w: Any) -> Any:
        """Where the next gradient is taken; for Nesterov's rule that is ahead of w, and written."""

    def here(kind: Any, net: Any, o: Any, w: Any) -> Any:
        return w

    def ahead(kind: Any, net: Any, o: Any, w: Any) -> Any:
        a = rule_formulas.lookahead(w, load(net.S, o), setting(net.c, 0))
        put(net, net.A, o, a)
        return a

    by_type(seen, lambda kind, net, o, w: ahead if len(kind) == rule_formulas.NESTEROV else here)

    @inline
    def step(steps: Any, net: Any, o: Any, g: Any, b: Any, eta: Any, corrections: Any) -> Any:
        """w_hj after one update with gradient g_j b_h; returns it as the next gradient sees it."""
        if steps is None:
            w = formulas.weight_update(load(net.P, o), eta, g, b)
            store(net.P, o, w)
            return w
        return step_along(steps, net, o, g * b, eta, corrections)

    @inline
    def step_threshold(steps: Any, net: Any, o: Any, g: Any, eta: Any, corrections: Any) -> Any:
        """θ_j after one update with gradient −g_j."""
        if steps is None:
            w = formulas.threshold_update(load(net.P, o), eta, g)
            store(net.P, o, w)
            return w
        return step_along(steps, net, o, -g, eta, corrections)

    return step, step_threshold, step_along


@inline
def penalised(lam: Any, rest: Any, descent: Any, at: Any) -> Any:
    """The direction of descent of the objective, where that of E is ``descent``."""
    if lam is None:
        return descent
    return formulas.regularised_descent(descent, at, lam, rest)
