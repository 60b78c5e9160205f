"""diagnose(): all that the checks found about a training."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.arguments import as_choice, describe, quiet
from ..common.words import LANGUAGES
from ..training.fit import Fit
from .checks import findings
from .evidence import Evidence
from .finding import Finding, said

NOTHING = "nothing conspicuous was found"


@dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose`` found; it prints as text.

    Attributes
    ----------
    findings : the most telling first; each has ``telling``, from 0 to 1, ``name``, and ``say(language)``
    error : E of the network
    constant_error : E of the best constant answer, for comparison
    language : "en" or "zh"
    """

    findings: tuple[Finding, ...]
    error: float
    constant_error: float
    language: str

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        numbers = {"error": self.error, "constant": self.constant_error}
        head = said(
            "E {error:.4g}; one constant answer for all samples would have {constant:.4g}", self.language, **numbers
        )
        lines = [f"{n}. {finding.say(self.language)}" for n, finding in enumerate(self.findings, 1)]
        return "\n".join([head, *(lines or [said(NOTHING, self.language)])])

    __repr__ = __str__


def findings_of(fit: Fit) -> list[Finding]:
    """What the checks found about a training, the most telling first."""
    return findings(Evidence.of(fit))


@quiet
def diagnose(fit: Fit, *, language: str = "en") -> Diagnosis:
    """All that is wrong with a training, as far as one can see: what it is, the number that proves it, what to do.

    It looks at errors, settings, the network, and what its units do on some hundred samples. ``fit.advice`` has the
    three most telling sentences of it.

    Parameters
    ----------
    fit : what ``train`` returned
    language : "en" or "zh"

    Raises
    ------
    ValueError, TypeError : naming the argument

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays([[[1.0, 1.0]] * 2, [[1.0]] * 2], [[0.0, 0.0], [0.0]])
    >>> fit = bpjit.train(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], stop=100)
    >>> bpjit.diagnose(fit).findings[0].name
    'symmetric start'
    """
    if not isinstance(fit, Fit):
        raise TypeError(f"fit: expected a Fit that train returned, got {describe(fit)}")
    as_choice("language", language, LANGUAGES)
    seen = Evidence.of(fit)
    return Diagnosis(tuple(findings(seen)), seen.error, seen.constant_error, language)
