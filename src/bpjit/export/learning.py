"""Learning and slopes in C99: from one sample to all units, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..kernels.layout import Place, places_of_layers
from ..maths import formulas
from ..maths.tape import Tape
from .header import Header, loop, procedure, scaled
from .noting import activation, record, terms
from .program import names_of

BACK = """\
/* e_h of the units below from g_j of those here */
static inline void STEM_back(const NUMBER *p, int fan_in, int fan_out, const NUMBER *g,
                             const NUMBER *slope, NUMBER *e) {
    int h, j;
    for (h = 0; h < fan_in; h++) {
        NUMBER back = 0;
        for (j = 0; j < fan_out; j++) {
            back += p[h * fan_out + j] * g[j];
        }
        e[h] = STEM_hidden_gradient_term(slope[h], back);
    }
}
"""
UPDATE = """\
static inline void STEM_update(NUMBER *p, int fan_in, int fan_out, NUMBER eta, const NUMBER *g, const NUMBER *b) {
    int h, j;
    for (h = 0; h < fan_in; h++) {
        for (j = 0; j < fan_out; j++) {
            p[h * fan_out + j] = STEM_weight_update(p[h * fan_out + j], eta, g[j], b[h]);
        }
    }
    for (j = 0; j < fan_out; j++) {
        p[fan_in * fan_out + j] = STEM_threshold_update(p[fan_in * fan_out + j], eta, g[j]);
    }
}
"""


class Back:
    """What goes through all layers: the recorded formulas that it takes, and the functions."""

    def __init__(self, header: Header, loss: str | None) -> None:
        """With a ``loss`` it learns."""
        self.header, self.loss, net = header, loss, header.program.net
        self.softmax = net.output == "softmax"
        self.mean = self.softmax and loss != "cross_entropy"  # whether g_j needs a mean over the outputs
        self.places = list(places_of_layers(net.sizes))
        self.tapes: dict[str, Tape] = {}
        for each, name in names_of(header.program.activations).items():
            self.tapes[f"slope_of_{name}"] = activation(each, True)
        self._take(formulas.hidden_gradient_term, "slope", "back")
        if self.softmax:
            self._take(formulas.softmax_gradient_term, "y_hat", "d", "mean_d")
        if loss is not None:
            self._take(formulas.weight_update, "w", "eta", "g", "b")
            self._take(formulas.threshold_update, "theta", "eta", "g")
            tape = terms(loss, self.softmax)
            self.tapes["terms"] = tape if self.mean else tape._replace(results=tape.results[:2])

    def _take(self, formula: Callable[..., Any], *inputs: str) -> None:
        self.tapes[formula.__name__] = record(formula, *inputs)

    def functions(self) -> list[str]:
        """Those of the formulas, and of a layer."""
        parts = [self.header.function(name, tape) for name, tape in self.tapes.items()]
        return [
            *parts,
            self.header.filled(BACK),
            *[self.header.filled(UPDATE)] * (self.loss is not None),
            self._forward(),
        ]

    def _call(self, name: str, *arguments: object) -> str:
        return f"{self.header.name}_{name}({', '.join(map(str, arguments))})"

    def _p(self, place: Place) -> str:
        """The parameters of a layer."""
        return f"{self.header.name}_parameters + {place.weights}"

    def _forward(self) -> str:
        """Outputs and slopes of all units; slope 1 of what has none."""
        header, names = self.header, names_of(self.header.program.activations)
        lines = ["int j;", *scaled(header, "input", "x", "b"), *loop("j", self.places[0].fan_in, "slope[j] = 1;")]
        for place, each in zip(self.places, header.program.activations, strict=True):
            here, l = place.here, place.fan_out
            lines.append(self._call("layer", self._p(place), place.fan_in, l, f"b + {place.below}", "z") + ";")
            if each == "softmax":
                lines += [f"{self._call('softmax', 'z', f'b + {here}')};", *loop("j", l, f"slope[{here} + j] = 1;")]
            else:
                made = self._call(f"slope_of_{names[each]}", "z[j]", f"slope + {here} + j")
                lines += loop("j", l, f"b[{here} + j] = {made};")
        number = header.number
        arguments = f"const {number} *x, {number} *b, {number} *slope, {number} *z"
        return "/* all units of the network, of the outputs also the net inputs z */\n" + procedure(
            header, "forward", arguments, lines
        )

    def _rooms(self) -> list[str]:
        units, widest = sum(self.header.program.net.sizes), max(self.header.program.net.sizes[1:])
        return [f"{self.header.number} b[{units}], slope[{units}], g[{units}], z[{widest}];"]

    def _backwards(self, last: int) -> list[str]:
        """g of the units below the outputs, down to those below layer ``last`` of weights."""
        lines = []
        for place in self.places[: last - 1 if last else None : -1]:
            units = (f"g + {place.here}", f"slope + {place.below}", f"g + {place.below}")
            arguments = (self._p(place), place.fan_in, place.fan_out, *units)
            lines.append(self._call("back", *arguments) + ";")
        return lines

    def learn(self) -> str:
        header, here, l = self.header, self.places[-1].here, self.places[-1].fan_out
        lines = [*self._rooms(), f"{header.number} t[{l}], error = 0;", "int j;"]
        shared = [f"{header.number} mean = 0, share;"] if self.mean else []
        lines += [*shared, f"{self._call('forward', 'x', 'b', 'slope', 'z')};", *scaled(header, "target", "y", "t")]
        given = ["z[j]", f"b[{here} + j]", f"slope[{here} + j]", "t[j]", f"g + {here} + j"]
        more = ["&share"] if self.mean else []
        lines += loop("j", l, f"error += {self._call('terms', *given, *more)};", *["mean += share;"] * self.mean)
        if self.mean:
            term = self._call("softmax_gradient_term", f"b[{here} + j]", f"g[{here} + j]", "mean")
            lines += loop("j", l, f"g[{here} + j] = {term};")
        lines += self._backwards(1)
        for place in self.places:
            units = (f"g + {place.here}", f"b + {place.below}")
            lines.append(self._call("update", self._p(place), place.fan_in, place.fan_out, "eta", *units) + ";")
        about = f"/* one step of plain back-propagation; the error of x and y before it ({self._said()}) */\n"
        arguments = f"const {header.number} *x, const {header.number} *y, {header.number} eta"
        return about + procedure(header, "learn", arguments, [*lines, "return error;"], header.number)

    def _said(self) -> str:
        """The loss, as a comment may say it."""
        return "".join(c if c.isalnum() or c in "=., ()" else "_" for c in format(self.loss))

    def jacobian(self) -> str:
        header, here, l, d = self.header, self.places[-1].here, self.places[-1].fan_out, self.places[0].fan_in
        one, zero = header.literal(1), header.literal(0)
        seed = f"i == k ? slope[{here} + i] : {zero}"
        if self.softmax:
            seed = self._call("softmax_gradient_term", f"b[{here} + i]", f"i == k ? {one} : {zero}", f"b[{here} + k]")
        slope = unscaled_slope(header, "g[i]")
        inner = [
            *loop("i", l, f"g[{here} + i] = {seed};"),
            *self._backwards(0),
            *loop("i", d, f"J[k * {d} + i] = {slope};"),
        ]
        lines = [
            *self._rooms(),
            "int i, k;",
            f"{self._call('forward', 'x', 'b', 'slope', 'z')};",
            *loop("k", l, *inner),
        ]
        about = f"/* J: {l} rows of {d}, the slope of each output by each input */\n"
        return about + procedure(header, "jacobian", f"const {header.number} *x, {header.number} *J", lines)


def unscaled_slope(header: Header, value: str) -> str:
    """A slope of an output k by an input i in the user's units."""
    if "target_factor" in header.program.scale:
        value = f"{value} * {header.name}_target_factor[k]"
    return f"{value} / {header.name}_input_factor[i]" if header.program.scale else value
