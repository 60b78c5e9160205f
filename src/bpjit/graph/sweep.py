"""What a sweep through a computational graph found: value and derivative of every node, as numbers, as a table, as a
picture."""

from __future__ import annotations

from typing import Any

from ..common.arguments import as_choice, as_integer, describe
from ..common.plain import printable
from ..common.tables import markdown_table, text_table
from .program import Local, Node, Program


class Sweep:
    """Value and derivative of every node of a computational graph at one point.

    Attributes
    ----------
    direction : "reverse", with ∂e/∂node for every node, or "forward", with ∂node/∂x for one variable x
    of : name of that e or that x
    """

    def __init__(
        self, program: Program, direction: str, slot: int, values: list[Any], derivatives: list[Any], edges: list[Local]
    ) -> None:
        self.direction, self.of = direction, program.names[slot]
        self._slot = slot
        self._program, self._edges = program, edges
        self._values, self._derivatives = [float(v) for v in values], [float(d) for d in derivatives]

    def __getitem__(self, node: str | Node) -> float:
        """The derivative of one node, given itself or by its name."""
        return self._derivatives[self._at(node)]

    def value_of(self, node: str | Node) -> float:
        """The value of one node, given itself or by its name."""
        return self._values[self._at(node)]

    @property
    def value(self) -> float:
        """The value of the whole expression."""
        return self._values[self._program.root]

    @property
    def gradient(self) -> dict[str, float]:
        """∂e/∂variable for every variable; a forward sweep has that of one variable."""
        if self.direction == "forward":
            return {self.of: self._derivatives[self._program.root]}
        return dict(zip(self._program.variables, self._derivatives, strict=False))

    @property
    def values(self) -> dict[str, float]:
        """The value of every node by its name, upwards."""
        return {self._program.names[slot]: self._values[slot] for slot in self._program.shown}

    @property
    def derivatives(self) -> dict[str, float]:
        """The derivative of every node by its name, upwards."""
        return {self._program.names[slot]: self._derivatives[slot] for slot in self._program.shown}

    @property
    def edges(self) -> dict[tuple[str, str], float]:
        """The local derivative along every edge, {(below, above): ∂above/∂below}; edges side by side are added up."""
        names, joined = self._program.names, dict[tuple[str, str], float]()
        for edge in self._edges:
            pair = names[edge.below], names[edge.above]
            joined[pair] = joined.get(pair, 0.0) + edge.derivative
        return joined

    # --- Showing.

    def table(self, form: str = "text", digits: int = 6) -> str:
        """Node, formula, value, derivative and how the chain rule sums it up, in the order of the sweep.

        ``form`` is "text" or "markdown", ``digits`` the significant ones of every number.
        """
        as_choice("form", form, ("text", "markdown"))
        digits = as_integer("digits", digits, low=1, high=17)
        program = self._program
        derivative = f"∂{self.of}/∂node" if self.direction == "reverse" else f"∂node/∂{self.of}"
        header = ("node", "formula", "value", derivative, "by the chain rule")
        sums = self._sums(digits)
        rows = [
            (
                program.names[slot],
                program.formula(slot),
                f"{self._values[slot]:.{digits}g}",
                f"{self._derivatives[slot]:.{digits}g}",
                sums[slot],
            )
            for slot in (reversed(program.shown) if self.direction == "reverse" else program.shown)
        ]
        return text_table(header, rows) if form == "text" else markdown_table(header, rows)

    def _sums(self, digits: int) -> list[str]:
        """For each slot the products along its edges whose sum the derivative is, such as ``2·1 + 3·1``."""
        products: list[list[str]] = [[] for _ in range(len(self._program))]
        for edge in self._edges:
            here, there = (edge.below, edge.above) if self.direction == "reverse" else (edge.above, edge.below)
            factors = (f"{x:.{digits}g}" for x in (self._derivatives[there], edge.derivative))
            products[here].append("·".join(f"({x})" if x[0] == "-" else x for x in factors))
        return [
            " + ".join(products[slot]) or f"{self._derivatives[slot]:.{digits}g}" for slot in range(len(self._program))
        ]

    def draw(self, ax: Any = None, digits: int = 4) -> Any:
        """The graph as a picture: a box for each node with its value and derivative, an arrow for each edge with its
        local derivative. Needs matplotlib (``bpjit[plot]``); returns the axes, new ones where ``ax`` is None.

        Raises
        ------
        ValueError : a graph of more than 60 nodes, which no picture can show
        """
        from ..plot.graphs import draw_sweep

        return draw_sweep(self, self._program, ax, as_integer("digits", digits, low=1, high=17))

    @printable
    def __str__(self) -> str:
        return self.table()

    def _repr_markdown_(self) -> str:
        return self.table("markdown")

    def __repr__(self) -> str:
        program = self._program
        return f"Sweep({self.direction}, of {self.of}, {len(program.shown)} nodes, value {self.value:.6g})"

    def _at(self, node: str | Node) -> int:
        slot = self._program.slot(node)
        if slot is None and isinstance(node, str):
            as_choice("node", node, [self._program.names[slot] for slot in self._program.shown])
        if slot is None:
            raise ValueError(f"node: expected a node of this graph or its name, got {describe(node)}")
        return slot
