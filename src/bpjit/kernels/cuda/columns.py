"""Many networks of one shape on the GPU as columns of one table: what kernels are compiled for, what a column holds,
and the team that works there.

``Places`` says what stands where in a column; its last rows are the planes of ``plane_numbers``, with the same meaning.
Threads hold a column each, so neighbours read neighbouring numbers; for blocks the table is laid out the other way
round.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...settings.rules import SGD, Rule
from ..jit import formula
from ..layout import number_of_parameters
from ..plane_numbers import LAM, PLANES, REST
from .door import BESIDE, SIMULATED, Launch
from .lines import Net, RuleOnDevice, Slots, Team

UNROLLED = 128  # parameters up to which a thread holds a network: beyond, a block does
MOST_IN_TEAM = 8 if SIMULATED else 512  # threads in a block
SHARED_BYTES = 40 << 10  # of a block's shared memory, for parameters and gradient
UPDATE_PLANES = 3  # planes from SHARED1 on that an update changes


class Kind(NamedTuple):
    """What is compiled in."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: Any
    dtype: str
    rule: type[Rule] | None  # None for standard BP: gradient and update are one
    penalty: bool
    masked: bool
    adaptive: bool
    blocks: bool  # whether a batch has several
    stalls: bool
    window: int
    validated: bool
    weighted: tuple[bool, bool]  # whether samples have weights: in D, in V
    rowed: tuple[bool, bool]  # whether each network has rows of its own
    own: bool  # an order for each network
    threads: int  # in a team

    @property
    def standard(self) -> bool:
        return self.rule is None

    @property
    def slots(self) -> int:
        """Numbers that the rule keeps for each parameter."""
        return (self.rule or SGD).slots

    @property
    def shares(self) -> int:
        """Numbers that all parameters share."""
        return (self.rule or SGD).shares

    @property
    def compares(self) -> bool:
        """Whether the rule wants to know if the objective rose."""
        return (self.rule or SGD).compares

    @property
    def looks_ahead(self) -> bool:
        """Whether the rule takes its gradient elsewhere than at the parameters."""
        return (self.rule or SGD).ahead is not None

    @property
    def counted(self) -> bool:
        """Whether the samples of a batch are: where it may end within an epoch, or has blocks."""
        return self.rule is not None and (self.blocks or not self.rule.accumulated_only)


class Places(NamedTuple):
    """Where in a column each part begins, after the n parameters."""

    n: int
    final: int
    best: int
    slots: int
    gradient: int
    sums: int
    undo: int  # the network from before this epoch, where the rate adapts
    undo_slots: int
    undo_shared: int
    least: int  # the network of the smallest objective, there too
    ring: int
    ahead: int
    planes: int
    rows: int


class Seat(NamedTuple):
    """A network in its column, and the team that works on it."""

    team: Team
    net: Net
    T: Any  # the table
    t: int  # number of the column
    places: Places


@formula
def slots_at(seat: Seat) -> Slots:
    """Where the rule's state of a network stands."""
    return Slots(seat.T, seat.t, seat.places.slots, seat.places.n)


def team_size(sizes: tuple[int, ...]) -> int:
    """Threads for a network: a matter of its architecture alone, or bits would change."""
    n = number_of_parameters(sizes)
    if n <= UNROLLED:
        return 1
    return min(MOST_IN_TEAM, max(32, 1 << (n // 16).bit_length()))


def kind_to_visit(sizes: tuple[int, ...], activations: tuple[str, ...], dtype: Any, own: bool) -> Kind:
    """To predict only; with rows of each network's own, or not."""
    no, rows = (False, False), (own, own)
    return Kind(
        sizes=sizes,
        activations=activations,
        loss=0,
        dtype=str(dtype),
        rule=None,
        penalty=False,
        masked=False,
        adaptive=False,
        blocks=False,
        stalls=False,
        window=0,
        validated=False,
        weighted=no,
        rowed=rows,
        own=False,
        threads=team_size(sizes),
    )


def launch_for(count: int, threads: int) -> Launch:
    """Blocks and threads for so many networks."""
    return Launch(-(-count // BESIDE), BESIDE) if threads == 1 else Launch(count, threads)


def places_of(kind: Kind) -> Places:
    """What a column holds."""
    n, slots = number_of_parameters(kind.sizes), kind.slots
    undone = int(kind.adaptive)
    sizes = (
        n,
        n,
        n if kind.validated else 0,
        slots * n,
        0 if kind.standard else n,
        2 * n if kind.blocks else 0,
        undone * n,
        undone * slots * n,
        undone * UPDATE_PLANES,
        undone * n,
        kind.window,
        n if kind.looks_ahead else 0,
        PLANES,
    )
    return Places(n, *(int(end) for end in np.cumsum(sizes)))


def fits_into_shared(numbers: int, dtype: Any) -> bool:
    """Whether a block keeps so many numbers in its shared memory."""
    return numbers * np.dtype(dtype).itemsize <= SHARED_BYTES


# --- In a kernel.


@formula
def plane_of(seat: Seat, plane: int) -> Any:
    return seat.T[seat.places.planes + plane, seat.t]


@formula
def set_plane(seat: Seat, plane: int, value: Any) -> None:
    """Writes the column, by every thread that calls it."""
    seat.T[seat.places.planes + plane, seat.t] = value


@formula
def copy_out(seat: Seat, numbers: Any, first: int, n: int) -> None:
    """n numbers of a network into its column, from row ``first`` on."""
    for i in range(seat.team.rank, n, seat.team.size):
        seat.T[first + i, seat.t] = numbers[i]


@formula
def copy_in(seat: Seat, numbers: Any, first: int, n: int) -> None:
    """Numbers of a network from its column. Writes numbers."""
    for i in range(seat.team.rank, n, seat.team.size):
        numbers[i] = seat.T[first + i, seat.t]


@formula
def copy_rows(seat: Seat, source: int, target: int, n: int) -> None:
    """n rows of a column, from ``source`` on, to ``target``."""
    for i in range(seat.team.rank, n, seat.team.size):
        seat.T[target + i, seat.t] = seat.T[source + i, seat.t]


@formula
def rule_at(seat: Seat, standard: bool, kind: Any, slots: int, penalty: bool, masked: bool, mask: Any) -> RuleOnDevice:
    """The rule of a network, its constants and λ from the column."""
    planes = seat.places.planes
    lam, rest = plane_of(seat, LAM), plane_of(seat, REST)
    constants = seat.T[planes : planes + 5, seat.t]
    return RuleOnDevice(standard, kind, slots, penalty, masked, mask, constants, lam, rest)
