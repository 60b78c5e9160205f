"""Which kernel multiplies by the Hessian: the fast one, or the readable one where there is no JIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .drivers import READABLE
from .layout import Units, lay_out
from .one import along as fast
from .one.chunks import CHUNK
from .readable import along as readable
from .state import Samples

CALL = 1 << 24  # weights times samples of one kernel call, some ms


def along(
    sizes: Sequence[int], activations: Sequence[str], p: np.ndarray, v: np.ndarray, D: Samples, loss: Any
) -> np.ndarray:
    """−Σ c_k R{∂E_k/∂p} along v, −Σ c_k times the Hessian of E times v, [shape: (n,)]: of −Σ c_k ∂E_k/∂p, as
    ``drivers.evaluate`` gives it, the slope along v."""
    m, dtype = len(D.X), p.dtype
    size = max(1, CALL // len(p) // CHUNK) * CHUNK
    stretches = [(first, min(first + size, m)) for first in range(0, m, size)]
    G: np.ndarray
    if READABLE:
        G, room = np.zeros(len(p), dtype), (Units.of(sizes, dtype), Units.of(sizes, dtype))
        layers = lay_out(sizes, activations)
        for stretch in stretches:
            readable.along(layers, p, v, D, stretch, loss, room, G)
        return G
    work = fast.make_along_work(sizes, activations, p, v, m)
    for stretch in stretches:
        fast.along(work, D, stretch, loss)
    G = work.of_samples.G[work.of_samples.place]
    return G
