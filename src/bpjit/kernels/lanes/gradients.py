"""L-BFGS and scaled conjugate gradients on many small networks of one shape at once, one in each lane."""

from __future__ import annotations

import numpy as np

from ...maths.formulas import like
from ..jit import kernel
from ..simd.across import any_lane
from .conjugate import go_on_by_conjugate
from .lbfgs import go_on_by_lbfgs
from .looks import REASON, LookRoom, LookTask, look, pack_of
from .packs import at


@kernel
def train_packs_by_looks(task: LookTask, P: np.ndarray, numbers: np.ndarray, looks: int, room: LookRoom) -> None:
    """So many looks of each network, or until it has stopped. Writes P, [shape: (packs, n · lanes)], and numbers,
    [shape: (packs, numbers in a row · lanes)]."""
    for number in range(len(P)):
        pack, own = pack_of(P, numbers, number, room), numbers[number]
        for _ in range(looks):
            reasons = at(pack.planes, REASON)
            if not any_lane(reasons <= like(reasons, 0)):
                break
            look(task, number, pack, room)
            if task.memory > 0:
                go_on_by_lbfgs(pack, own, task.memory)
            else:
                go_on_by_conjugate(pack, own)
