"""The harness of all benchmarks: contenders are timed in turns, after their results were compared."""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-4, "float64": 1e-12}
CLEAN_SHARE = 0.97  # of a repeat's time this process must have had a CPU
ATTEMPTS = 5  # at a clean repeat

Run = Callable[[int], Any]
"""Does so many passes over the samples, from the start."""


class WrongResult(ValueError):
    """A contender that does not compute what it should."""


def compare(
    what: str, found: Sequence[np.ndarray], expected: Sequence[np.ndarray], dtype: str, tolerance: float | None = None
) -> None:
    """Raise ``WrongResult`` where the numbers are not the same but for rounding, relative to their size."""
    mine, right = (np.concatenate([np.ravel(array).astype(float) for array in arrays]) for arrays in (found, expected))
    off = float(np.linalg.norm(mine - right) / np.linalg.norm(right))
    most = TOLERANCE[dtype] if tolerance is None else tolerance
    if not off <= most:
        raise WrongResult(f"{what} differs by {off:.1e} from what is right, expected at most {most:.0e}")


@dataclass
class Entry:
    """A contender in a line: what a repeat runs, and the seconds each took."""

    label: str
    run: Run
    passes: int
    samples: int  # in a pass
    attempts: int = ATTEMPTS  # 1 where it waits for another device
    times: list[float] = field(default_factory=list)
    clean: bool = True

    def repeat(self) -> None:
        """One repeat, made again where something else had the CPU."""
        for _ in range(self.attempts):
            wall, share = timed(self.run, self.passes)
            if share >= CLEAN_SHARE:
                break
        else:
            self.clean = False
        self.times.append(wall)

    @property
    def seconds(self) -> float:
        """Of a repeat."""
        return statistics.median(self.times)

    @property
    def ns(self) -> float:
        """Nanoseconds for a sample."""
        return self.seconds / (self.passes * self.samples) * 1e9


def timed(run_passes: Run, passes: int) -> tuple[float, float]:
    """Wall seconds, and the share of them in which this process was on a CPU."""
    cpu, wall = time.process_time(), time.perf_counter()
    run_passes(passes)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu / wall


def passes_within(run_passes: Run, seconds: float) -> tuple[int, float]:
    """How many passes take so long (one, if that takes longer), and the seconds of a pass."""
    passes = 1
    while (wall := timed(run_passes, passes)[0]) < seconds / 4:
        passes = math.ceil(passes * min(20, seconds / wall))
    return max(1, round(passes * seconds / wall)), wall / passes


def take_turns(entries: Sequence[Entry], rounds: int, title: str) -> dict[str, Entry]:
    """Time the entries in turns."""
    for turn in range(rounds):
        progress_line(f"{title}: round {turn + 1} of {rounds}")
        for entry in entries:
            entry.repeat()
    progress_line("")
    return {entry.label: entry for entry in entries}


def progress_line(text: str) -> None:
    """On a terminal, what is going on; an empty text takes it away."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r{text}", end="", file=sys.stderr, flush=True)


DISTURBED = "\n* another process had the CPU in a repeat, each time: run this line again"


def marked(text: str, entry: Entry | None) -> str:
    """The text, with a star where another process had the CPU."""
    return text if entry is None or entry.clean else text + "*"


# --- Peers.


def jax_modules(dtype: str, platforms: str | None = "cpu") -> tuple[Any, Any]:
    """JAX and its NumPy, for numbers of this dtype; ``platforms`` counts if it is imported for the first time."""
    if platforms is not None:
        os.environ["JAX_PLATFORMS"] = platforms
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", dtype == "float64")
    return jax, import_module("jax.numpy")
