"""What a printed program is made of, in whatever language: a network's numbers in its dtype, checked; names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arguments import as_dtype
from ..common.files import as_path
from ..maths.own import Own
from ..maths.tape import Tape
from ..networks.network import Network
from . import running

SAMPLES = 8  # that a program tests itself on


@dataclass(frozen=True)
class Program:
    """A network in the dtype of its program, without scale, and by name the numbers of the scale in that dtype."""

    net: Network
    scale: dict[str, np.ndarray]
    cut: float  # from where on a single output stands for class 1
    classes: bool  # whether outputs stand for classes
    libm: bool

    @classmethod
    def of(cls, net: Network, dtype: Any, libm: bool = False) -> Program:
        dtype = net.dtype if dtype is None else as_dtype("dtype", dtype)
        arrays = {} if net.scale is None else net.scale.arrays
        with np.errstate(all="ignore"):
            scale = {name: array.astype(dtype) for name, array in arrays.items()}
        for name, array in scale.items():
            if not np.isfinite(array).all() or (name.endswith("factor") and (array == 0).any()):
                raise ValueError(f"dtype: expected one that holds the network's scale, whose {name} is beyond {dtype}")
        bounded = all(np.isfinite(net._architecture.reach))
        plain = running.as_dtype(net, dtype)
        return cls(plain, scale, net._architecture.cut, bounded, libm)

    @property
    def activations(self) -> list[str]:
        """Of each layer."""
        return [*self.net.hidden, self.net.output]

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """(inputs, outputs) that the program is tested on."""
        X = np.random.default_rng(0).uniform(-2, 2, (SAMPLES, self.net.sizes[0])).astype(self.net.dtype)
        if self.scale:
            X = X * self.scale["input_factor"] + self.scale["input_offset"]
        return X, running.outputs(self.net, self.scale, X, self.libm)


def stem(path: Any) -> str:
    """The file's name without its ending, as the beginning of names: what no name may hold becomes _, and a name does
    not begin with _ or a digit."""
    name = os.path.basename(as_path(path)).partition(".")[0]
    cleaned = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_0123456789")
    if not re.search("[A-Za-z]", cleaned):
        raise ValueError(
            f"path: expected a file whose name has a letter from a to z, as names begin with it, got {name!r}"
        )
    return cleaned


def names_of(activations: list[str]) -> dict[str, str]:
    """A name for the function of each activation, each once; softmax has none."""
    names: dict[str, str] = {}
    for each in dict.fromkeys(activations):
        if each == "softmax":
            continue
        called = each.called.partition("(")[0] if isinstance(each, Own) else each
        name = re.sub(r"[^A-Za-z0-9]", "_", called)
        names[each] = f"{name}_{len(names)}" if name in names.values() else name
    return names


def needed(tapes: Sequence[Tape]) -> list[str]:
    """The operations that these tapes use, in the order of their names."""
    return sorted({operation for tape in tapes for operation, *_ in tape.steps})
