"""Where arrays lie, and how many cores there are."""

from __future__ import annotations

import os
from typing import Any


def lies_on_gpu(array: Any) -> bool:
    """Whether an array of any library lies on a GPU."""
    if type(array).__module__.startswith("numpy") or isinstance(array, (list, tuple)):
        return False
    return hasattr(array, "__cuda_array_interface__") or hasattr(array, "copy_to_host")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
