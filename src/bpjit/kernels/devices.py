"""Where arrays lie, and how many cores there are."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

GROUPS = Path("/sys/fs/cgroup")  # of Linux, where a container's limits stand


def lies_on_gpu(array: Any) -> bool:
    """Whether an array of any library lies on a GPU."""
    if type(array).__module__.startswith("numpy") or isinstance(array, (list, tuple)):
        return False
    return hasattr(array, "__cuda_array_interface__") or hasattr(array, "copy_to_host")


def on_host(array: Any) -> np.ndarray:
    """The array, from a GPU if it lies there."""
    return array if isinstance(array, np.ndarray) else array.copy_to_host()


def cores() -> int:
    """How many cores this process may use: of those it may run on, no more than its container's share of time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _share_of_time(GROUPS)
    return allowed if share >= allowed else math.ceil(share)


@functools.cache
def _share_of_time(groups: Path) -> float:
    """Cores' worth of time that the container allows; infinity without a limit."""
    try:
        limit, period = (groups / "cpu.max").read_text().split()
    except (OSError, ValueError):  # not there: an older kernel's way, or no container
        try:
            limit, period = ((groups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return math.inf
    try:
        share = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return math.inf
    return share if share > 0 else math.inf


def memory_size() -> float:
    """Bytes of memory that this process may use: those of the machine, or its container's share; infinity where nobody
    says."""
    try:
        there = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # not on this system
        there = math.inf
    try:
        return min(there, float((GROUPS / "memory.max").read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return there
