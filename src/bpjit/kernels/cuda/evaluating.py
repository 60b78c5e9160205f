"""Outputs, errors and gradients of one network on the GPU: the first stages of a batch, chunk after chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...settings.rules import SGD
from ..state import Samples, Wishes
from . import door
from .batch import CHUNK, Kind, make_room, split_of, stage_kernels
from .door import Launch, empty, to_device
from .stages import THREADS, Chunk


def evaluate(
    sizes: Sequence[int], activations: Sequence[str], p: np.ndarray, D: Samples, loss: Any, wishes: Wishes
) -> Any:
    """As ``drivers.evaluate``, for samples on the device."""
    outputs = empty((0 if wishes.y_hat is None else int(D.X.shape[0]), sizes[-1]), p.dtype)
    total = run_stages(sizes, activations, p, D, loss, wishes, outputs)
    if wishes.y_hat is not None:
        wishes.y_hat[:] = outputs.copy_to_host()
    return p.dtype.type(total)


def predict_there(sizes: Sequence[int], activations: Sequence[str], p: np.ndarray, X: Any) -> Any:
    """Outputs for samples on the device, on the device."""
    outputs = empty((int(X.shape[0]), sizes[-1]), p.dtype)
    run_stages(sizes, activations, p, Samples(X, None, None, None), 0, Wishes(), outputs)
    return outputs


def run_stages(
    sizes: Sequence[int], activations: Sequence[str], p: np.ndarray, D: Samples, loss: Any, wishes: Wishes, outputs: Any
) -> float:
    """Σ c_k E_k, if wanted. Writes the gradient, if wanted, and outputs, where they have rows, instead of E."""
    m, dtype = int(D.X.shape[0]), p.dtype
    most = max(1, min(m, CHUNK))
    split = split_of(sizes, most)
    blocks = 3 if door.SIMULATED else split.blocks
    kind = Kind(tuple(sizes), tuple(activations), loss, str(dtype), SGD, False, False, split.wide, split.gradients > 1)
    launch, room = Launch(blocks, THREADS), make_room(sizes, split, most, dtype)
    products_of, samples_of, gradients_of = stage_kernels(kind)
    there, X, order = to_device(p), to_device(D.X), to_device(np.arange(m, dtype=np.uint64))
    predicts, learns = outputs.shape[0] > 0, wishes.gradient is not None
    Y, c = (outputs, there) if predicts else (to_device(D.Y), to_device(D.c))
    total = 0.0
    for first in range(0, m, most):
        chunk = Chunk(X, Y, c, order, first, min(most, m - first))
        door.run(products_of, launch, there, chunk, room)
        door.run(samples_of, launch, there, chunk, room, learns, outputs)
        if learns:
            door.run(gradients_of, launch, there, chunk, room, first == 0)
        if wishes.errors:
            total += float(room.E.copy_to_host()[: chunk.count].sum(dtype=np.float64))
    if wishes.gradient is not None:
        wishes.gradient[:] = room.G.copy_to_host().sum(axis=0)
    return total
