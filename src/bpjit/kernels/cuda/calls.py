"""What kernels that train are told of a call, and where they record its errors."""

from __future__ import annotations

from typing import Any, NamedTuple


class Stretch(NamedTuple):
    """How far a call goes: complete epochs, or parts of the first and the last."""

    epoch: int  # number of the first
    epochs: int
    begin: int  # place in the order of the first, from where on its samples are taken
    end: int  # and in that of the last, before which the call ends


class Recorded(NamedTuple):
    """Errors of each epoch, written where there is room."""

    errors: Any  # [shape: (epochs,)], or (epochs, networks), or (0, networks) where nobody asks for them
    validation_errors: Any
