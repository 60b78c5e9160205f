"""One step of a rule on a vector of parameters, wherever a fast kernel has their gradient in registers.

Which rule it is stands in the type of ``Steps.kind``, a tuple as long as the rule's code, so that a kernel holds one
rule's formula and no other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numba import types

from ..maths import formulas
from ..maths.formulas import like, select
from ..settings.rules import Rule
from .jit import by_type, from_lines, inline, items
from .simd.memory import item, registers, vectors
from .switches import rule_of

Made = tuple[Callable[..., Any], ...]


def make_step(count: int) -> Made:
    """Updates of ``count`` registers of parameters at o: step(update, net, o, g, b) for weights, step_threshold(update,
    net, o, g), for a gradient already added up step_along(update, net, o, direction), and seen(kind, net, o, w), which
    looks ahead from w."""
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
    scope = {"load": load, "setting": setting, "vector": vector, "put": put, "like": like, "select": select}

    def step_along(update: Any, net: Any, o: Any, direction: Any) -> Any:
        """A parameter after one update with this gradient already added up; returns it as the next gradient sees it.
        Writes P, the rule's state, A."""

    def seen(kind: Any, net: Any, o: Any, w: Any) -> Any:
        """Where the next gradient is taken: w, or ahead of it, which is written then."""

    step_of = functools.cache(lambda *traits: _step_of(*traits, scope))
    look_of = functools.cache(lambda rule: _look_of(rule, scope))
    by_type(step_along, lambda update, net, *rest: step_of(*_traits(update, net)))
    by_type(seen, lambda kind, net, o, w: look_of(rule_of(kind)))

    def step(update: Any, net: Any, o: Any, g: Any, b: Any) -> Any:
        """w_hj after one update with gradient g_j b_h; returns it as the next gradient sees it."""

    def step_by_rule(update: Any, net: Any, o: Any, g: Any, b: Any) -> Any:
        return step_along(update, net, o, g * b)

    def step_of_bp(update: Any, net: Any, o: Any, g: Any, b: Any) -> Any:
        w = formulas.weight_update(load(net.P, o), update.eta, g, b)
        store(net.P, o, w)
        return w

    def step_threshold(update: Any, net: Any, o: Any, g: Any) -> Any:
        """θ_j after one update with gradient −g_j."""

    def threshold_by_rule(update: Any, net: Any, o: Any, g: Any) -> Any:
        return step_along(update, net, o, -g)

    def threshold_of_bp(update: Any, net: Any, o: Any, g: Any) -> Any:
        w = formulas.threshold_update(load(net.P, o), update.eta, g)
        store(net.P, o, w)
        return w

    by_type(step, lambda update, *rest: step_of_bp if is_standard(update) else step_by_rule)
    by_type(step_threshold, lambda update, *rest: threshold_of_bp if is_standard(update) else threshold_by_rule)
    return step, step_threshold, step_along, seen


def is_standard(update: Any) -> bool:
    """Whether an ``Update`` of this type is one of standard BP."""
    return isinstance(_field(update, "steps"), types.NoneType)


def _traits(update: Any, net: Any) -> tuple[type[Rule], bool, bool]:
    """What the types of an ``Update`` by a rule and of a network say: the rule, whether there is a λ, and a mask."""
    steps = _field(update, "steps")
    has_lam, has_mask = (not isinstance(_field(*it), types.NoneType) for it in ((steps, "lam"), (net, "mask")))
    return rule_of(_field(steps, "kind")), has_lam, has_mask


def _field(kind: Any, name: str) -> Any:
    return kind.types[kind.fields.index(name)]


def _state_and_settings(rule: type[Rule]) -> tuple[str, str]:
    """The source of what the formulas of a rule read."""
    settings = items("vector(setting(net.c, {k}))", len(rule().constants()))
    return items("load(net.S, o + {k} * net.n)", rule.slots), settings


def _step_of(rule: type[Rule], has_lam: bool, has_mask: bool, scope: dict[str, Any]) -> Callable[..., Any]:
    """``step_along`` for one rule, in one piece: each part more would be compiled by itself."""
    state, settings = _state_and_settings(rule)
    lines = ["before, zero = load(net.P, o), like(direction, 0)"]
    if has_lam:
        lines += ["direction = descent(direction, load(net.A, o), update.steps.lam, update.steps.rest)"]
    if has_mask:
        lines += ["trained = load(net.mask, o) > zero", "direction = select(trained, direction, zero)"]
    given = f"{state}, vector(update.eta), {settings}, {items('vector(update.shared[{k}])', rule.shares)}"
    lines += [f"w, state = step(before, direction, {given})"]
    lines += [f"put(net, net.S, o + {k} * net.n, state[{k}])" for k in range(rule.slots)]
    lines += ["w = select(trained, w, before)"] * has_mask
    lines += ["put(net, net.P, o, w)", *_look(rule)]
    formulas_of = {"step": rule.step, "ahead": rule.ahead, "descent": formulas.regularised_descent}
    return from_lines("step_along", "update, net, o, direction", lines, {**scope, **formulas_of})


def _look_of(rule: type[Rule], scope: dict[str, Any]) -> Callable[..., Any]:
    """``seen`` for one rule."""
    return from_lines("seen", "kind, net, o, w", _look(rule), {**scope, "ahead": rule.ahead})


def _look(rule: type[Rule]) -> list[str]:
    """The source of ``seen``."""
    if rule.ahead is None:
        return ["return w"]
    state, settings = _state_and_settings(rule)
    return [f"ahead_of_w = ahead(w, {state}, {settings})", "put(net, net.A, o, ahead_of_w)", "return ahead_of_w"]
