"""What a trace calls its numbers: the book's letters or those of the delta rule, as LaTeX for the eye and as plain
names for JSON and ``compare``.

========================  ==============================  ==================================  ======================
quantity                  book, one hidden layer          book, hidden layer 2 of several     delta, layer 2
========================  ==============================  ==================================  ======================
net input, no threshold   alpha, beta                     alpha2
net input                                                                                     net2
output                    b, y_hat                        b2                                  out2
f'                        slope_h, slope_j                slope_h2                            slope2
gradient term             e, g (−∂E/∂net)                 e2                                  delta2 (∂E/∂net = −g)
weights                   v, w                            v2                                  w2
threshold or bias         gamma, theta                    gamma2                              b2 (−θ)
what the step adds        dv, dgamma, dw, dtheta          dv2, dgamma2                        dw2, db2
after the step            v_new, gamma_new, ...           v2_new, gamma2_new                  w2_new, b2_new
========================  ==============================  ==================================  ======================

E is the error before the step and E_new after it; x and y (in delta notation t) are inputs and targets.

A step of Levenberg–Marquardt has r, J, H and gradient, and of each attempt mu, A, Delta and E_try, with its number
behind, as in mu2, where there are several; mu_new is μ after the step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..common.arguments import as_choice, as_flag, as_integer, keep
from ..common.words import LANGUAGES, TRACES

NOTATIONS = ("book", "delta")


@dataclass(frozen=True)
class Style:
    """How a trace shows itself: see ``Trace.styled``."""

    notation: str = "book"
    language: str = "en"
    digits: int = 4
    full: bool = False

    def __post_init__(self) -> None:
        as_choice("notation", self.notation, NOTATIONS)
        as_choice("language", self.language, LANGUAGES)
        keep(self, "digits", as_integer("digits", self.digits, low=1, high=17))
        as_flag("full", self.full)

    def but(self, **changes: Any) -> Style:
        """The same style with some changes."""
        for name in changes:
            as_choice("style", name, tuple(vars(self)))
        return replace(self, **changes)

    @property
    def book(self) -> bool:
        return self.notation == "book"

    def say(self, english: str, **values: Any) -> str:
        """The English words given, or their Chinese ones."""
        return (english if self.language == "en" else TRACES[english]).format(**values)


@dataclass(frozen=True)
class Names:
    """The names of one layer's quantities, in a network of ``layers`` layers of weights; ``index`` counts from 0."""

    book: bool
    index: int
    layers: int

    @property
    def is_output(self) -> bool:
        return self.index == self.layers - 1

    @property
    def mark(self) -> str:
        """The layer's number, where it takes one to tell layers apart."""
        numbered = not self.book or (self.layers > 2 and not self.is_output)
        return str(self.index + 1) if numbered else ""

    def _letter(self, hidden: str, output: str, delta: str) -> str:
        return delta if not self.book else output if self.is_output else hidden

    def _symbol(self, hidden: str, output: str, delta: str) -> str:
        superscript = f"^{{({self.mark})}}" if self.mark else ""
        return self._letter(hidden, output, delta) + superscript

    # Plain names.

    def key(self, quantity: str) -> str:
        """The plain name of a quantity, such as "dgamma2"."""
        hidden, output, delta = KEYS[quantity]
        name = self._letter(hidden, output, delta)
        return f"{name.removesuffix('_new')}{self.mark}_new" if name.endswith("_new") else name + self.mark

    def has(self, quantity: str) -> bool:
        """Whether the notation has a name for it: the book has none for the net input with its threshold."""
        return bool(self._letter(*KEYS[quantity]))

    # LaTeX.

    @property
    def sum(self) -> str:
        return self._symbol(r"\alpha", r"\beta", r"\mathrm{net}")

    @property
    def out(self) -> str:
        return self._symbol("b", r"\hat{y}", r"\mathrm{out}")

    @property
    def term(self) -> str:
        return self._symbol("e", "g", r"\delta")

    @property
    def weight(self) -> str:
        return self._symbol("v", "w", "w")

    @property
    def threshold(self) -> str:
        return self._symbol(r"\gamma", r"\theta", "b")

    @property
    def below(self) -> str:
        """What comes in."""
        return "x" if self.index == 0 else Names(self.book, self.index - 1, self.layers).out

    @property
    def letters(self) -> tuple[str, str]:
        """Index letters of the units below and here."""
        return ("i" if self.index == 0 else "h", "j" if self.is_output else "h" if self.index == 0 else "j")


KEYS = {
    "sums": ("alpha", "beta", ""),
    "net_inputs": ("", "", "net"),
    "outputs": ("b", "y_hat", "out"),
    "slopes": ("slope_h", "slope_j", "slope"),
    "gradient_terms": ("e", "g", "delta"),
    "weights": ("v", "w", "w"),
    "thresholds": ("gamma", "theta", "b"),
    "delta_weights": ("dv", "dw", "dw"),
    "delta_thresholds": ("dgamma", "dtheta", "db"),
    "new_weights": ("v_new", "w_new", "w_new"),
    "new_thresholds": ("gamma_new", "theta_new", "b_new"),
}
