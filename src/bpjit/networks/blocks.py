"""Data in blocks: a sequence of pairs (X, Y), of which each is in memory only while it is used, or a Dask array; and
memory-mapped arrays. Here: what is one, and its blocks one after another.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..common.arguments import describe
from ..frames import is_frame, is_series

T = TypeVar("T")
NO_SAMPLES = "expected samples, got blocks without any"
PAIR = "a pair (X, Y) of arrays, or a frame with the columns of the network"


def is_mapped(array: Any) -> bool:
    """Whether an array lies in a file that is mapped into memory, or is a view of such a one."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, mmap.mmap)


def is_dask(X: Any) -> bool:
    """Whether it is an array of Dask, or one like it: told by what it can, so that Dask is not imported."""
    return hasattr(X, "blocks") and hasattr(X, "chunks") and hasattr(X, "compute")


def in_block(index: int, work: Callable[[], T]) -> T:
    """Do something with a block; an error says which it was."""
    try:
        return work()
    except (TypeError, ValueError) as error:
        raise type(error)(f"block {index}: {error}") from error


class DaskBlocks(Sequence[tuple[Any, Any]]):
    """The blocks of rows of X, and the same rows of Y, or None, computed when they are asked for."""

    def __init__(self, X: Any, Y: Any = None) -> None:
        self.X, self.Y = X, Y
        rows = X.chunks[0]
        if any(size != size for size in rows):  # unknown
            if Y is not None and (not is_dask(Y) or len(Y.chunks[0]) != len(rows)):
                raise ValueError(
                    "X: expected a Dask array whose chunks have known lengths, or Y with as many chunks; "
                    "X.compute_chunk_sizes() finds them"
                )
            self.ends = None
            return
        self.ends = np.cumsum([0, *rows])
        if Y is not None and len(Y) != self.ends[-1]:
            raise ValueError(f"Y: expected {self.ends[-1]} samples, as many as X has, got {len(Y)}")

    def __len__(self) -> int:
        return len(self.X.chunks[0])

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        X = computed(self.X.blocks[index])
        if self.Y is None:
            return X, None
        if self.ends is None:
            return X, computed(self.Y.blocks[index])
        return X, computed(self.Y[self.ends[index] : self.ends[index + 1]])


def computed(array: Any) -> Any:
    """The array itself, of one that is still to be computed."""
    return array.compute() if hasattr(array, "compute") else array


def _is_sequence(X: Any) -> bool:
    """Whether its elements may be blocks: an array or a frame has none."""
    if isinstance(X, (np.ndarray, str, bytes, bytearray, memoryview, Mapping)) or is_frame(X) or is_series(X):
        return False
    if hasattr(X, "__array__") or hasattr(X, "__cuda_array_interface__"):
        return False
    return hasattr(X, "__len__") and hasattr(X, "__getitem__") and len(X) > 0


def _is_table(X: Any) -> bool:
    return is_frame(X) or len(getattr(X, "shape", ())) == 2


def _is_pair(block: Any) -> bool:
    return isinstance(block, (tuple, list)) and len(block) == 2 and (_is_table(block[0]) or _is_rows(block[0]))


def _is_rows(X: Any) -> bool:
    """Whether it is a list of samples."""
    return isinstance(X, (tuple, list)) and len(X) > 0 and isinstance(X[0], (tuple, list, np.ndarray))


def are_blocks(value: Any) -> bool:
    """Whether it is a sequence of pairs (X, Y)."""
    return _is_sequence(value) and _is_pair(value[0])


def as_blocks(X: Any, Y: Any) -> Sequence[Any] | None:
    """Blocks (X, Y) to learn from, or None where they are none."""
    if isinstance(X, np.ndarray):
        return None
    if is_dask(X):
        return DaskBlocks(X, Y)
    return X if Y is None and (are_blocks(X) or (_is_sequence(X) and is_frame(X[0]))) else None


def as_pair(block: Any) -> tuple[Any, Any]:
    """Inputs and targets of a block; None stands for those in the same frame."""
    if is_frame(block):
        return block, None
    if not isinstance(block, (tuple, list)) or len(block) != 2:
        raise TypeError(f"expected {PAIR}, got {describe(block)}")
    return block[0], block[1]


def predicted(predict: Callable[[Any], np.ndarray], X: Any) -> np.ndarray | None:
    """What ``predict`` gives for all samples of blocks X or (X, Y), one in memory at a time; None for other samples."""
    blocks = DaskBlocks(X) if is_dask(X) and len(X.shape) == 2 else X
    if blocks is X and not (_is_sequence(X) and _has_inputs(X[0])):
        return None

    def predict_block(index: int) -> np.ndarray | None:  # in whose end the block goes
        block = blocks[index]
        inputs = block[0] if isinstance(block, (tuple, list)) else block
        return in_block(index, partial(predict, inputs)) if len(inputs) > 0 else None

    found = [y_hat for index in range(len(blocks)) if (y_hat := predict_block(index)) is not None]
    if not found:
        raise ValueError(f"X: {NO_SAMPLES}")
    return np.concatenate(found)


def _has_inputs(block: Any) -> bool:
    return _is_pair(block) or _is_table(block)
