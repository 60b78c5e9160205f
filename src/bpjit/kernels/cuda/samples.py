"""The samples of many networks on the GPU: shared by all or each network's own, their weights, orders and errors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...maths import random_streams
from ...maths.formulas import like
from ..jit import formula
from ..orders import LOW_BITS
from ..sums import kahan
from .columns import Seat
from .door import BACKWARDS, FORWARDS, each_layer
from .lines import Net, RuleOnDevice, Team, backward, barrier, forward, load_sample, output_terms


class Data(NamedTuple):
    """A set of samples as kernels see it; arrays that are not there have one entry."""

    X: Any
    Y: Any
    c: Any  # weights, [shape: (m, networks)]
    row: Any  # rows of X and Y, as all numbers of samples unsigned: indices that may be negative cost more
    m: int


class Orders(NamedTuple):
    """The orders of the samples; arrays that are not there have one entry."""

    shared: Any  # by all networks, [shape: (epochs, m)], or (1, m) where they are the same
    keys: Any  # or for those of each network's own: what they are drawn with, [shape: (networks,)]
    table: Any  # room for them, [shape: (m, networks)]
    numbers: Any  # of the samples in the caller's data, [shape: (m,)]


class Passing(NamedTuple):
    """How samples of a set pass through a network; constants to the compiler."""

    layers: Any
    loss: Any
    weighted: bool
    rowed: bool


@formula
def weight_of(weighted: bool, D: Data, k: int, t: int, like_this: Any) -> Any:
    return D.c[k, t] if weighted else like(like_this, 1)


@formula
def row_of(rowed: bool, D: Data, k: int, t: int) -> int:
    return D.row[k, t] if rowed else k


@formula
def mean_error(passing: Passing, seat: Seat, D: Data, count: Any) -> Any:
    """E of a network as it stands, on a set with ``count`` samples that are present. Writes z, b, slope, g."""
    layers, team, here = passing.layers, seat.team, seat.net
    net = Net(here.p, here.p, here.G, here.z, here.b, here.slope, here.g, here.scratch)  # not ahead
    total, carry = like(count, 0), like(count, 0)
    for number in range(D.m):
        k = np.uint64(number)
        c = weight_of(passing.weighted, D, k, seat.t, count)
        if c > like(count, 0):
            row = row_of(passing.rowed, D, k, seat.t)
            load_sample(layers, net, team, D.X, row)
            each_layer(layers, FORWARDS, forward, (net, team))
            total, carry = kahan(total, carry, output_terms(layers[-1], passing.loss, net, team, D.Y, row, c))
            barrier(team)
    return total / count


@formula
def learn_sample(passing: Passing, seat: Seat, rule: RuleOnDevice, D: Data, k: int, c: Any, eta: Any) -> Any:
    """The lines of the book for a sample of weight c. Writes p, or G; returns c E_k."""
    layers, net, team, row = passing.layers, seat.net, seat.team, row_of(passing.rowed, D, k, seat.t)
    load_sample(layers, net, team, D.X, row)
    each_layer(layers, FORWARDS, forward, (net, team))
    E_k = output_terms(layers[-1], passing.loss, net, team, D.Y, row, c)
    each_layer(layers, BACKWARDS, backward, (net, team, rule.standard, True, eta))
    barrier(team)
    return E_k


@formula
def own_order(orders: Orders, epoch: int, m: int, t: int, team: Team) -> None:
    """The order of an epoch, as ``epoch_order`` makes it, in the low bits of a column. Writes its table.

    Batcher's odd-even merge sort: what it compares does not depend on what it finds, so all go the same way.
    """
    table, here = orders.table, random_streams.stream(orders.keys[t], np.uint64(epoch))
    barrier(team)
    for k in range(team.rank, m, team.size):
        table[k, t] = (random_streams.draw(here, orders.numbers[k]) & ~LOW_BITS) | np.uint64(k)
    barrier(team)
    half = 1
    while half < m:
        distance = half
        while distance > 0:
            first = distance % half
            for k in range(first + team.rank, m - distance, team.size):
                paired = (k - first) // distance % 2 == 0 and k // (2 * half) == (k + distance) // (2 * half)
                if paired and table[k, t] > table[k + distance, t]:
                    low, high = table[k + distance, t], table[k, t]
                    table[k, t], table[k + distance, t] = low, high
            barrier(team)
            distance //= 2
        half *= 2
