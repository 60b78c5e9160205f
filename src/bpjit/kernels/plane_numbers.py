"""What belongs to each of many networks that train together, a number each: in lanes the planes of a pack, a vector
each; on a GPU rows of the table, a column for each network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..settings.rules import SETTINGS

# First what stays: the rule's settings; λ and 1 − λ; the error to reach; how many samples the network sees in an
# epoch, and in a validation; by what an adaptive η grows and shrinks, and the rise of the objective that it tolerates.
LAM, REST, TARGET, PRESENT, VALIDATING, GROW, SHRINK, TOLERANCE = range(SETTINGS, SETTINGS + 8)
# 1 while it trains, then 0; epochs left to it; why it stopped, and after how many epochs; the sum of E_k in the epoch
# begun, and what rounding took from it; samples in the block begun of a batch, and blocks of the batch before; what
# rules remember from update to update: what all parameters share, and the objective, which is infinite at first.
ALIVE, LEFT, REASON, ENDED, TOTAL, CARRY, IN_BLOCK, BLOCKS, SHARED1, SHARED2, LAST_OBJECTIVE = range(13, 24)
# The smallest validation error, infinite at first; when it came, and until when patience waits for a smaller one; the
# same three for the errors of epochs; of the epochs since the last validation the sum of errors, what rounding took
# from it, and the smallest, which is infinite after each validation.
BEST, BEST_AT, BEST_UNTIL, LEAST, LEAST_AT, LEAST_UNTIL, STRIP_SUM, STRIP_CARRY, STRIP_LEAST = range(24, 33)
# Where η adapts: that of the next epoch, and the least objective after an epoch.
RATE, OBJECTIVE = range(33, 35)
PLANES = 35

# Planes are of the network's dtype, and float32 counts to 2^24. So what is compared is counted in pieces that stay
# below: epochs from the start of a call (LEFT, ENDED; of the smallest error *_AT, 0 where it came before this call, and
# *_UNTIL, where its patience ends), samples of a batch in blocks. Only divisors are rounded (PRESENT, VALIDATING).
NEVER = 1 << 20  # epochs: more than a call has
BLOCK = 1 << 12  # samples whose gradients float32 adds up to 1e-4 at worst; sums of blocks are added by Kahan's method

# Why a network stopped; where several conditions fire at the same epoch, their sum.
MAX_EPOCHS, TARGET_ERROR, EARLY_STOPPING, NO_IMPROVEMENT, DIVERGED = 1, 2, 4, 8, 16

# Places in Watch.limits.
PATIENCE, GENERALIZATION_LOSS, PROGRESS, WINDOW_PATIENCE, WINDOW_TOLERANCE = range(5)


def block_of(dtype: Any) -> int:
    """Samples in a block of a batch: all there can be, where the dtype has digits enough."""
    return BLOCK if np.dtype(dtype) == np.float32 else 1 << 50


class Watch(NamedTuple):
    """When networks stop, but for what stands in their planes."""

    every: int  # epochs from one validation to the next
    limits: np.ndarray  # see above, [shape: (5,)]
    stalls: bool  # whether epochs without a new smallest error end a training
    window: int  # epochs in which it must fall by more than a tolerance, or 0
