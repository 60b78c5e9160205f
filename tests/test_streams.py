"""Random streams against a plain-integer twin, and their statistics."""

import numpy as np
import pytest
from numba import njit

import reference
from bpjit.kernels import orders
from bpjit.kernels.jit import FASTMATH
from bpjit.maths import random_streams


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**64 - 1])
def test_draws_equal_plain_integers(seed):
    assert [int(d) for d in random_streams.draws(seed, 2, 7, 20)] == reference.draws(seed, 2, 7, range(20))
    np.testing.assert_array_equal(random_streams.uniforms(seed, 1, 0, 9), reference.uniforms(seed, 1, 0, 9))


def test_streams_differ():
    keys = [
        tuple(random_streams.draws(seed, purpose, index, 4))
        for seed in (0, 1)
        for purpose in (1, 2)
        for index in (0, 1)
    ]
    assert len(set(keys)) == 8


def test_uniforms_and_normals_look_random():
    n = 100_000
    u, z = random_streams.uniforms(3, 1, 0, n), random_streams.normals(3, 1, 0, n)
    assert u.min() > 0
    assert u.max() < 1
    # five standard errors of mean, variance and lag-1 correlation
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(z[1:], z[:-1])[0, 1]) < 5 / np.sqrt(n)


@njit(error_model="numpy", fastmath=FASTMATH)
def epoch_order(order_key, epoch, numbers, keys, ends, order):
    orders.epoch_order(order_key, epoch, numbers, keys, ends, order)


def order_of(seed, epoch, numbers):
    numbers = np.asarray(numbers, np.uint64)
    m = len(numbers)
    order = np.zeros(m, np.int64)
    epoch_order(
        random_streams.base(seed, random_streams.ORDER)[0],
        epoch,
        numbers,
        np.zeros(m, np.uint64),
        np.zeros(m + 1, np.int64),
        order,
    )
    return numbers[order].astype(int).tolist()


@pytest.mark.parametrize("m", [1, 2, 3, 4, 17, 150, 5000])
@pytest.mark.parametrize("epoch", [0, 1, 999])
def test_order_of_an_epoch_equals_the_reference(m, epoch):
    order = order_of(5, epoch, range(m))
    assert order == reference.epoch_order(5, epoch, range(m))
    assert sorted(order) == list(range(m))


def test_order_of_a_subset_is_the_full_order_restricted():
    subset = [1, 4, 5, 11, 12, 30, 49]
    full = order_of(9, 3, range(50))
    assert order_of(9, 3, subset) == [k for k in full if k in subset]


def test_every_place_is_equally_likely():
    places = np.zeros((5, 5), int)
    for epoch in range(4000):
        for place, k in enumerate(order_of(0, epoch, range(5))):
            places[place, k] += 1
    # chi-square with 16 degrees of freedom: above 50 once in 40,000
    assert np.sum((places - 800) ** 2 / 800) < 50
