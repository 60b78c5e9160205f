"""Sums over many samples that keep their digits (Kahan): in memory, and in registers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import inline, strict


@strict
def add_error(total: np.ndarray, share: Any) -> None:
    """Add to total[0] without losing digits over many samples: total[1] carries what rounding took (Kahan)."""
    corrected = share - total[1]
    new = total[0] + corrected
    total[1] = (new - total[0]) - corrected
    total[0] = new


@inline
def kahan(total: Any, carry: Any, share: Any) -> Any:
    """As ``add_error``: the new total, and what rounding took."""
    corrected = share - carry
    new = total + corrected
    return new, (new - total) - corrected
