"""Random numbers from counters: number k of a stream is a hash of (seed, purpose, index, k).

So results depend neither on how work is cut up nor on where a run was interrupted, and any machine can make
any number of any stream by itself. The hash is the finaliser of SplitMix64 (Steele, Lea & Flood 2014), applied to
a counter. The same lines serve NumPy arrays here and jitted integers in the kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

U64 = np.uint64
GOLDEN = U64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = U64(0xBF58476D1CE4E5B9), U64(0x94D049BB133111EB)
_27, _30, _31, _ONE = U64(27), U64(30), U64(31), U64(1)

# Purposes: the start of a network, the order of an epoch, Rprop's first steps, how folds are dealt, bags drawn, random
# nudges of a descent, which samples are held out to validate on, what a search tries, from which rows a parent of many
# learns, the order of blocks in an epoch.
PARAMETERS, ORDER, FIRST_STEPS, FOLDS, BAGS, NUDGES, HELD_OUT, CHOICES, PARENTS, BLOCKS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10


def mix(z: Any) -> Any:
    """SplitMix64's finaliser: a one-to-one scramble of 64 bits."""
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    return z ^ (z >> _31)


def stream(base: Any, index: Any) -> Any:
    """The key of stream ``index`` among those of ``base``; ``draw`` takes it."""
    return mix(base + GOLDEN * (index + _ONE))


draw = stream  # number k of a stream: the same step once more


def base(seed: int | np.ndarray, purpose: int) -> np.ndarray:
    """The key of all streams of one purpose, for one seed or several, [shape: (seeds,)]."""
    return mix(np.atleast_1d(np.asarray(seed, U64)) + GOLDEN * np.array([purpose], U64))


def draws(seed: int | np.ndarray, purpose: int, index: int, n: int) -> np.ndarray:
    """The first n numbers of a stream, 64 random bits each, [shape: (n,)], or (seeds, n) for several seeds."""
    key = stream(base(seed, purpose), np.array([index], U64))
    return draw(key[0] if np.ndim(seed) == 0 else key[:, None], np.arange(n, dtype=U64))


def uniforms(seed: int | np.ndarray, purpose: int, index: int, n: int) -> np.ndarray:
    """n numbers uniform in (0, 1), ends excluded; shapes as for ``draws``."""
    return ((draws(seed, purpose, index, n) >> U64(12)) + 0.5) * 2.0**-52


def normals(seed: int | np.ndarray, purpose: int, index: int, n: int) -> np.ndarray:
    """n standard normal numbers by Box and Muller's transform; shapes as for ``draws``."""
    u = uniforms(seed, purpose, index, 2 * n)
    return np.sqrt(-2.0 * np.log(u[..., 0::2])) * np.cos(2.0 * np.pi * u[..., 1::2])
