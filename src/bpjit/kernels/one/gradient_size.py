"""How large the gradient of one sample is, from the gradient terms of all units and what comes to them from below, and
whether it is finite."""

from __future__ import annotations

from typing import Any

from ...maths.formulas import like, select, sqrt
from ..jit import inline
from ..simd.across import lane_max, lane_sum
from ..simd.memory import item, lanes_of
from .each_sample import lift, load_first
from .padded import Net


@inline
def sizes_of(array: Any, first: int, n: int) -> Any:
    """(the largest size, the sum of squares) of n numbers; the second is not finite where one of them is not."""
    most = total = lift(like(item(array, first), 0))
    for v in range(0, n, lanes_of(array)):
        part = load_first(array, first + v, n - v)
        size = abs(part)
        most = select(size > most, size, most)
        total += part * part
    return lane_max(most), lane_sum(total)


@inline
def zero_of(array: Any, first: int, n: int) -> Any:
    """0, or NaN where one of n numbers is not finite."""
    total = lift(like(item(array, first), 0))
    for v in range(0, n, lanes_of(array)):
        total += load_first(array, first + v, n - v) * like(item(array, first), 0)
    return lane_sum(total)


@inline
def squares_over(array: Any, first: int, n: int, unit: Any) -> Any:
    """The sum of squares of n numbers, in units of ``unit``."""
    total = lift(like(unit, 0))
    for v in range(0, n, lanes_of(array)):
        part = load_first(array, first + v, n - v) / unit
        total += part * part
    return lane_sum(total)


@inline
def size_of_gradient(net: Net, layers: Any, x: Any, zero: Any, one: Any) -> Any:
    """The norm of the gradient, the root of Σ |g|² (1 + |b|²) over the layers, and its largest entry."""
    squares, largest = zero, zero
    for index in range(len(layers)):
        layer = layers[index]
        if index == 0:
            below, first, q = x, 0, layer.fan_in
        else:
            below, first, q = net.b, layer.below, layer.fan_in
        steepest, of_g = sizes_of(net.g, layer.here, layer.fan_out)
        size, of_b = sizes_of(below, first, q)
        size = steepest * select(size > one, size, one)
        largest = select(size > largest, size, largest)
        squares += of_g * (one + of_b)
    return sqrt(squares), largest


@inline
def norm_in_units(net: Net, layers: Any, x: Any, largest: Any) -> Any:
    """The norm of the gradient in units of its largest entry; not finite where the gradient is not."""
    zero, one = like(largest, 0), like(largest, 1)
    squares, unit = zero, select(largest > zero, largest, one)
    for index in range(len(layers)):
        layer = layers[index]
        if index == 0:
            below, first = x, 0
        else:
            below, first = net.b, layer.below
        steepest, _ = sizes_of(net.g, layer.here, layer.fan_out)
        size, _ = sizes_of(below, first, layer.fan_in)
        steepest, size = select(steepest > zero, steepest, one), select(size > one, size, one)
        of_g = squares_over(net.g, layer.here, layer.fan_out, steepest)
        of_b = squares_over(below, first, layer.fan_in, size) + one / size / size
        share = select(of_g > zero, steepest * size / unit, of_g)
        squares += share * share * of_g * of_b
    return sqrt(squares)
