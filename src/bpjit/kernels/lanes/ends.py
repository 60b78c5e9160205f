"""Why networks in lanes that train by rules of second order stop, beside what ``plane_numbers`` names."""

from __future__ import annotations

from ..jit import formula
from ..plane_numbers import MAX_EPOCHS, TARGET_ERROR

AT_MU_MAX, AT_MIN_GRAD, AT_MAX_SEARCH, AT_SCALE_MAX = 1 << 8, 1 << 9, 1 << 10, 1 << 11


@formula
def reason_to_end(before: float, now: float, goal: float, left: float) -> int:
    """Flags of the conditions that fire after an epoch, 0 if none does, given Σ c_k E_k before and after it, that to
    reach, and how many epochs are left."""
    reason = 0
    if before <= goal and now <= goal:
        reason += TARGET_ERROR
    if left <= 0.0:
        reason += MAX_EPOCHS
    return reason
