"""What a trace consists of: a ``Layer`` and a ``LaidOpen`` for a sample, a ``Step`` for an update, ``Trace`` for all.

They hold numbers and compute none; ``opening.py`` fills them. How a trace shows itself stands in ``equations.py`` and
``rendering.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..common.arguments import as_flag
from ..common.plain import printable
from ..kernels.layout import Units
from ..kernels.readable import line_by_line
from ..kernels.state import COUNTERS, Memory, Steps
from ..networks.network import Network
from ..training.setting import Setting
from .notation import Style

if TYPE_CHECKING:
    from .comparing import Comparison


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of weights, with what a sample makes of it.

    Attributes
    ----------
    number : 1 for the layer next to the inputs
    activation : its name
    inputs : x_i, or b_h of the layer below, [shape: (fan_in,)]
    weights, thresholds : v_ih and γ_h of a hidden layer, w_hj and θ_j of the outputs, before the step
    sums : α_h or β_j, without threshold, [shape: (fan_out,)]
    net_inputs : α_h − γ_h or β_j − θ_j
    outputs : b_h or ŷ_j
    slopes : f'(α_h − γ_h) or f'(β_j − θ_j); None for softmax, whose outputs depend on all net inputs
    backs : Σ_j w_hj g_j, what comes back from the layer above to each unit of a hidden layer; None for the outputs
    gradient_terms : e_h or g_j
    """

    number: int
    activation: str
    inputs: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray
    sums: np.ndarray
    net_inputs: np.ndarray
    outputs: np.ndarray
    slopes: np.ndarray | None
    backs: np.ndarray | None
    gradient_terms: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """The same in plain numbers and lists, as JSON has them; numbers keep all their digits."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class LaidOpen:
    """All that one sample makes of a network: see ``lay_open``.

    Attributes
    ----------
    number : its place in the data it was taken from
    x, y : inputs and targets, in the network's units, [shape: (d,), (l,)]
    loss : name of the loss
    error : E_k
    layers : a ``Layer`` for each layer of weights, the one next to the inputs first
    """

    number: int
    x: np.ndarray
    y: np.ndarray
    loss: str
    error: float
    layers: tuple[Layer, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same in plain numbers, lists and dicts, as JSON has them; numbers keep all their digits."""
        layers = [layer.as_dict() for layer in self.layers]
        return {name: plain(value) for name, value in vars(self).items() if name != "layers"} | {"layers": layers}


def plain(value: Any) -> Any:
    """An array as lists of floats, all else as it is."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def net_inputs_of(layers: np.ndarray, vector: np.ndarray, u: Units) -> tuple[np.ndarray, np.ndarray]:
    """The net inputs of all units once more from the outputs in ``u``, since softmax has written over its own, and the
    sums without thresholds, each [shape: (units,)]."""
    bare, whole, sums = vector.copy(), np.zeros_like(u.z), np.zeros_like(u.z)
    for layer in layers:
        first = int(layer["thresholds"])
        bare[first : first + int(layer["fan_out"])] = 0
    for parameters, z in ((vector, whole), (bare, sums)):
        line_by_line.net_inputs(layers, parameters, u._replace(z=z))
    return whole, sums


class RuleInStep(NamedTuple):
    """A rule as it stands before an update."""

    steps: Steps
    scalars: np.ndarray
    slots: np.ndarray  # [shape: (rules.SLOTS, n)]

    def apply(
        self, gradient: np.ndarray, at: np.ndarray, p: np.ndarray, eta: float, n: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(direction, Δ) of each parameter from a sum of n gradients −∂E_k/∂p taken at ``at``."""
        direction, delta, rate = np.empty_like(p), np.empty_like(p), p.dtype.type(eta)
        memory = Memory(p, gradient, self.slots.copy(), p, self.scalars.copy(), np.zeros(COUNTERS, np.int64))
        line_by_line.steps_of_rule(self.steps, memory, at, rate, n, direction, delta)
        return direction, delta


@dataclass(frozen=True, eq=False)
class Attempt:
    """A step that Levenberg–Marquardt tried: it was taken, or another followed with a larger μ.

    Attributes
    ----------
    mu : μ
    matrix : A, that of the system A Δ = −∇, [shape: (n, n)]
    delta : Δ of the trained parameters, [shape: (n,)]; None where the system could not be solved
    error : the mean of c_k E_k where Δ leads; None without Δ
    objective : F there; None without Δ
    taken : whether the network went there: F is smaller than before
    """

    mu: float
    matrix: np.ndarray
    delta: np.ndarray | None
    error: float | None
    objective: float | None
    taken: bool


@dataclass(frozen=True, eq=False)
class Damped:
    """What a step of Levenberg–Marquardt is made of, in float64. Its n columns are the trained parameters, in the order
    of ``net.parameters``; its rows are the outputs of the first sample, then those of the next.

    It makes F = scale · Σ c_k E_k + penalty · ½ Σ w² small, the second sum over the trained parameters. With squared
    error r = √c_k (y_j − ŷ_j), J = √c_k ∂ŷ_j/∂p and H = JᵀJ. With cross-entropy J = √c_k ∂z_j/∂p, of the net inputs of
    the outputs, and H = JᵀSJ, with S = ∂ŷ/∂z: the generalised Gauss–Newton matrix.

    Attributes
    ----------
    trained : places of the columns in ``net.parameters``, [shape: (n,)]
    c : weights of the samples, of mean 1, [shape: (m,)]
    residuals : r, [shape: (m l,)]
    jacobian : J, [shape: (m l, n)]
    curvature : H, [shape: (n, n)]
    scale, penalty : 1 and 0, with λ λ and 2 m (1 − λ); β and α where the rule sets its own
    gradient : ∇ = −scale · Jᵀr + penalty · w, that of F, [shape: (n,)]
    objective : F before the step
    attempts : an ``Attempt`` for each step tried; the matrix of each is A = scale · H + (penalty + μ) I
    mu_after : μ after the step
    gamma : γ, the effective number of parameters that α and β were set by; None where the rule does not set them
    ended : None, or the setting of the rule that ends the training here, "mu_max" or "min_grad": no step was taken
    """

    trained: np.ndarray
    c: np.ndarray
    residuals: np.ndarray
    jacobian: np.ndarray
    curvature: np.ndarray
    scale: float
    penalty: float
    gradient: np.ndarray
    objective: float
    attempts: tuple[Attempt, ...]
    mu_after: float
    gamma: float | None
    ended: str | None

    def turned(self, signs: np.ndarray) -> Damped:
        """The same by parameters that have these signs, [shape: (n,)]: a bias is minus a threshold."""
        both = np.outer(signs, signs)
        attempts = (
            replace(each, matrix=both * each.matrix, delta=None if each.delta is None else signs * each.delta)
            for each in self.attempts
        )
        return replace(
            self,
            jacobian=signs * self.jacobian,
            curvature=both * self.curvature,
            gradient=signs * self.gradient,
            attempts=tuple(attempts),
        )


@dataclass(frozen=True, eq=False)
class Step:
    """One update of a training: what was there, what was computed, what came of it.

    Attributes
    ----------
    number : 1 for the first update of the training
    epoch : 1 in the first epoch
    eta : η of this update
    samples : a ``LaidOpen`` for each sample of the batch; one with stochastic updates
    before, after : the network before and after the update, ``after`` as training made it
    error, error_after : the mean of E_k over these samples before and after the update
    objective, objective_after : λ E + (1 − λ) Σ w²; E without λ
    at : the parameters at which gradients are taken: those of ``before``, for Nesterov's rule a step ahead
    direction : −∂/∂p of the objective, the mean over the samples, in the order of ``net.parameters``
    delta : what the update adds, Δ, in the same order
    state, state_after : the rule's state of each parameter, [shape: (slots, n)]; no rows for plain descent
    damped : with rules "lm" and "br" the residuals, the matrices and each attempt, a ``Damped``; else None
    """

    number: int
    epoch: int
    eta: float
    samples: tuple[LaidOpen, ...]
    before: Network
    after: Network
    error: float
    error_after: float
    objective: float
    objective_after: float
    at: np.ndarray
    direction: np.ndarray
    delta: np.ndarray
    state: np.ndarray
    state_after: np.ndarray
    _rule: RuleInStep | None = field(default=None, repr=False)
    damped: Damped | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """Updates of a training, each laid open: see ``trace``. Prints as text, and as HTML in a notebook.

    Attributes
    ----------
    steps : a ``Step`` for each update; ``trace[0]`` is the first
    network : the network after the last step
    setting : the settings it was made with
    style : how it shows itself; ``styled`` gives the same trace another one
    """

    steps: tuple[Step, ...]
    setting: Setting
    style: Style = field(default_factory=Style)

    @property
    def network(self) -> Network:
        return self.steps[-1].after

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, index: int) -> Step:
        return self.steps[index]

    def styled(self, **style: Any) -> Trace:
        """The same trace shown in another way: ``notation`` "book" (thresholds θ, γ and gradient terms g, e) or "delta"
        (biases b = −θ and δ = −g), ``language`` "en" or "zh", ``digits`` shown of each number, ``full=True`` to leave
        nothing out of a large network.

        Examples
        --------
        >>> import bpjit
        >>> net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
        >>> print(bpjit.trace(net, [[3.0]], [[4.0]], eta=0.05).styled(notation="delta", language="zh").text())
        网络 1-1
        ========
          第 1 层：identity  f(z)=z,  f'(z)=1
          损失：squared
          更新规则：sgd      Δw=η D
        <BLANKLINE>
        第 1 步，第 1 轮，η = 0.05
        ==========================
        <BLANKLINE>
          样本 1
            x = (3)
            t = (4)
            前向，输出层
              net⁽¹⁾_1 = Σ_i w⁽¹⁾_i1 x_i + b⁽¹⁾_1 = 2·3 + (−1) = 5
              out⁽¹⁾_1 = f(net⁽¹⁾_1)              = f(5)       = 5
            误差
              E = ½Σ_j(out⁽¹⁾_j−t_j)² = ½[(5−4)²] = 0.5
            输出层梯度项
              δ⁽¹⁾_1 = f'(net⁽¹⁾_1)(out⁽¹⁾_1−t_1) = 1·(5−4) = 1
        <BLANKLINE>
          更新
            更新，输出层
              Δw⁽¹⁾_11 = −η δ⁽¹⁾_1 x_1 = −0.05·1·3 = −0.15
              Δb⁽¹⁾_1  = −η δ⁽¹⁾_1     = −0.05·1   = −0.05
            新的参数，输出层
              w⁽¹⁾_11 ← w⁽¹⁾_11 + Δw⁽¹⁾_11 = 2 + (−0.15)  = 1.85
              b⁽¹⁾_1  ← b⁽¹⁾_1 + Δb⁽¹⁾_1   = −1 + (−0.05) = −1.05
            更新之后
              E = 0.125
        """
        return replace(self, style=self.style.but(**style))

    def text(self, **style: Any) -> str:
        """Aligned text for a terminal; ``str(trace)`` is the same, in characters that stdout has. Arguments as for
        ``styled``."""
        from .rendering import text

        return text(self, self.style.but(**style))

    def markdown(self, **style: Any) -> str:
        """Markdown, with formulas between dollar signs. Arguments as for ``styled``."""
        from .rendering import markdown

        return markdown(self, self.style.but(**style))

    def latex(self, *, standalone: bool = False, **style: Any) -> str:
        """LaTeX that needs amsmath; with ``standalone`` a whole document. Arguments as for ``styled``."""
        from .rendering import latex

        return latex(self, self.style.but(**style), as_flag("standalone", standalone))

    def html(self, *, standalone: bool = False, **style: Any) -> str:
        """HTML that needs nothing else; with ``standalone`` a whole page. Arguments as for ``styled``."""
        from .rendering import html

        return html(self, self.style.but(**style), as_flag("standalone", standalone))

    def json(self, **style: Any) -> str:
        """All numbers, with all their digits, under the names that ``compare`` takes. Arguments as for ``styled``."""
        from .rendering import json_text

        return json_text(self, self.style.but(**style))

    def compare(self, my_numbers: dict[str, Any], *, step: int = 1, rtol: float | None = None) -> Comparison:
        """Which of a learner's own numbers are right, and what may be behind those that are wrong: see
        ``tracing.comparing.compare``."""
        from .comparing import compare

        return compare(self, my_numbers, step=step, rtol=rtol)

    @printable
    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return f"Trace({len(self.steps)} steps, E {self.steps[0].error:.6g}, {self.network})"
