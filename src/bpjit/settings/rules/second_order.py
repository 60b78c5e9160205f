"""Rules that take a step from the gradient and the curvature of all samples at once, for all parameters together.

They have no formula for a single parameter, so the kernels of the other rules do not know them: ``code`` is none, and
``step`` is never called. ``train`` and ``train_many`` run them, in float64 whatever the network's dtype: squaring a
Jacobian leaves float32 no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeVar

from ...common.arguments import as_integer, as_real, keep
from .rule import Rule, Shown

SECOND_ORDER: dict[str, type[SecondOrder]] = {}
R = TypeVar("R", bound="type[SecondOrder]")


@dataclass(frozen=True)
class SecondOrder(Rule):
    """A rule of second order. An epoch ends with a step taken, after as many attempts as that takes; where none can be
    found, or the norm of the objective's gradient is at most ``min_grad``, training ends, and ``stopped_by`` names the
    setting that ended it."""

    code: ClassVar[int] = -1
    default_eta: ClassVar[float | None] = None
    accumulated_only: ClassVar[bool] = True
    bayesian: ClassVar[bool] = False  # it sets its own penalty
    of_squares: ClassVar[bool] = False  # it needs a Gauss–Newton matrix

    def check(self, loss: str, lam: float | None) -> None:
        """Refuse a loss that has no Gauss–Newton matrix where that is needed, and a penalty where the rule has its
        own."""
        if self.of_squares and loss not in ("squared", "cross_entropy"):
            raise ValueError(
                f'loss: rule "{self.name}" needs a Gauss–Newton matrix, which "squared" and "cross_entropy" have: they '
                f"curve upwards everywhere; {loss} is flat in places, or its curvature is not known"
            )
        if self.bayesian and lam is not None:
            raise ValueError(f'lam: rule "{self.name}" sets its own penalty; expected None, got {lam!r}')


def _known(rule: R) -> R:
    """Let ``as_rule`` know a rule by its name."""
    SECOND_ORDER[rule.name] = rule
    return rule


@_known
@dataclass(frozen=True)
class LevenbergMarquardt(SecondOrder):
    """Levenberg–Marquardt: Gauss–Newton steps, damped by μ, for networks of up to some thousand parameters.

    Solve (H + μ I) Δ = −∇, with ∇ and the Gauss–Newton matrix H = JᵀJ of the objective, both as sums over the samples.
    A step that lowers the objective is taken and multiplies μ by ``mu_dec``; another is not, and multiplies μ by
    ``mu_inc``. With cross-entropy H is the generalised Gauss–Newton matrix.

    Parameters
    ----------
    mu : the first μ
    mu_inc, mu_dec : factors of μ after a step refused, and after one taken
    mu_max : training ends where μ would exceed it
    min_grad : training ends where the norm of the objective's gradient is at most this
    """

    mu: float = 1e-3
    mu_inc: float = 10.0
    mu_dec: float = 0.1
    mu_max: float = 1e10
    min_grad: float = 1e-10
    name: ClassVar[str] = "lm"
    of_squares: ClassVar[bool] = True
    shown: ClassVar[Shown] = Shown(r"(J^{\mathsf T}J+\mu I)\,\Delta w=J^{\mathsf T}r")

    def __post_init__(self) -> None:
        keep(self, "mu", as_real("mu", self.mu, above=0))
        keep(self, "mu_inc", as_real("mu_inc", self.mu_inc, above=1))
        keep(self, "mu_dec", as_real("mu_dec", self.mu_dec, above=0, below=1))
        keep(self, "mu_max", as_real("mu_max", self.mu_max, low=self.mu))
        keep(self, "min_grad", as_real("min_grad", self.min_grad, low=0))


@_known
@dataclass(frozen=True)
class BayesianRegularization(LevenbergMarquardt):
    """Levenberg–Marquardt on β Σ E_k + α ½ Σ w², with α and β set by the evidence of the data (MacKay 1992, in the
    Gauss–Newton form of Foresee and Hagan 1997): it chooses the penalty itself, and needs no validation set. One
    penalty for all weights suits inputs and targets of about the same scale: ``bpjit.Scale`` brings them there.

    α ← γ / Σ w² and β ← (N − γ) / 2 Σ E_k, where γ = W − α tr (β H + α I)⁻¹ is the effective number of parameters, of
    the W that are trained, and N the number of targets. With cross-entropy β is 1. They are set so at the start of each
    epoch that follows on one in which the objective hardly fell; in others, what the network has not learnt yet would
    be taken for noise, and all weights may die. At first γ is N/100, a weak penalty. ``fit.evidence`` has α, β, γ and
    the log evidence. The norm that ``min_grad`` bounds is that of the objective over β m.

    Parameters
    ----------
    mu, mu_inc, mu_dec, mu_max, min_grad : as for ``LevenbergMarquardt``
    settled : the share of the objective of which an epoch took off less before α and β are set anew; 1 is every epoch,
        as Foresee and Hagan have it
    """

    mu: float = 5e-3
    settled: float = 0.01
    name: ClassVar[str] = "br"
    shown: ClassVar[Shown] = Shown(r"(\beta J^{\mathsf T}J+(\alpha+\mu)I)\,\Delta w=\beta J^{\mathsf T}r-\alpha w")
    bayesian: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, "settled", as_real("settled", self.settled, above=0, high=1))


@_known
@dataclass(frozen=True)
class LBFGS(SecondOrder):
    """L-BFGS (Nocedal 1980): steps by an inverse Hessian that the last ``memory`` steps tell of, each with a search
    along its line that meets the strong Wolfe conditions. It needs no matrix, so it suits larger networks, too.

    Parameters
    ----------
    memory : steps remembered
    max_search : training ends where a search along a line looks at so many points and finds none that is lower
    min_grad : training ends where the norm of the objective's gradient is at most this
    """

    memory: int = 10
    max_search: int = 25
    min_grad: float = 1e-10
    name: ClassVar[str] = "lbfgs"
    shown: ClassVar[Shown] = Shown(r"\Delta w=\alpha H D,\ H\approx(\nabla^{2}E)^{-1}")

    def __post_init__(self) -> None:
        keep(self, "memory", as_integer("memory", self.memory, low=1))
        keep(self, "max_search", as_integer("max_search", self.max_search, low=1))
        keep(self, "min_grad", as_real("min_grad", self.min_grad, low=0))


@_known
@dataclass(frozen=True)
class ScaledConjugateGradient(SecondOrder):
    """Scaled conjugate gradients (Møller 1993): conjugate directions whose step follows from a difference of gradients,
    without a line search; ``scale``, Møller's λ, is what must be added to the curvature to trust it.

    Parameters
    ----------
    sigma : how far apart the gradients of a difference are taken
    scale : the first λ of Møller's
    scale_max : training ends where it would exceed this
    min_grad : training ends where the norm of the objective's gradient is at most this
    """

    sigma: float = 5e-5
    scale: float = 5e-7
    scale_max: float = 1e20
    min_grad: float = 1e-10
    name: ClassVar[str] = "scg"
    shown: ClassVar[Shown] = Shown(r"\Delta w=\frac{p^{\mathsf T}D}{p^{\mathsf T}Hp+\lambda\|p\|^{2}}\,p")

    def __post_init__(self) -> None:
        keep(self, "sigma", as_real("sigma", self.sigma, above=0))
        keep(self, "scale", as_real("scale", self.scale, above=0))
        keep(self, "scale_max", as_real("scale_max", self.scale_max, low=self.scale))
        keep(self, "min_grad", as_real("min_grad", self.min_grad, low=0))
