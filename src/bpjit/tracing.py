"""Steps of a training laid open: every quantity of each, under names of its own. ``lay_open`` does it for one sample,
``trace`` for the updates of a training.

The terms of a sample come from the lines of ``kernels.online``, what an update adds from those of ``kernels.batch``,
and the new parameters from training itself. How a trace shows itself stands in ``equations.py`` and ``rendering.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import rules
from .architecture import views
from .arguments import as_flag, as_integer, as_seed
from .evaluation import as_lam, as_loss, as_network, as_samples, measure, no_samples, objective_of
from .fit import Fit
from .kernels import terms
from .kernels.batch import NESTEROV, TOTAL, UPDATES, Steps
from .kernels.layers import LOSS_CODES, SOFTMAX, Units
from .kernels.online import Samples
from .network import Network
from .notation import Style
from .rules import Rule, as_rule
from .schedules import AdaptiveRate, Schedule, as_schedule, check_penalty
from .session import Session
from .setting import Setting, as_batch_size, as_trainable
from .stepping import Update, updates_of
from .training import take_up

if TYPE_CHECKING:
    from .comparing import Comparison

MOST_NUMBERS = 1 << 27  # of a trace, 1 GiB


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


def lay_open(net: Network, x: Any, y: Any, loss: str | None = None) -> LaidOpen:
    """Every quantity of one sample, forward and backward, layer by layer.

    Parameters
    ----------
    net : the network
    x : (d,) inputs
    y : (l,) targets, a number if l = 1, or a class number with softmax outputs
    loss : as for ``train``

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came

    Examples
    --------
    The worked example, a 2-2-2 network computed by hand:

    >>> import bpjit
    >>> net = bpjit.Network.from_arrays(
    ...     [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]], [[-0.35, -0.35], [-0.60, -0.60]])
    >>> sample = bpjit.lay_open(net, [0.05, 0.10], [0.01, 0.99])
    >>> hidden, output = sample.layers
    >>> hidden.outputs.round(6).tolist(), output.gradient_terms.round(6).tolist(), round(sample.error, 6)
    ([0.59327, 0.596884], [-0.138499, 0.038098], 0.298371)
    """
    net = as_network(net)
    loss = as_loss(loss, net)
    D = as_samples(net, [x], [y], loss, names=("x", "y"))
    return lay_open_at(net, net.parameters.copy(), D.X[0], D.Y[0], loss, 0)


def lay_open_at(
    net: Network,
    vector: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    loss: str,
    number: int,
    gradient: np.ndarray | None = None,
) -> LaidOpen:
    """As ``lay_open``, for a sample ready for the kernels and a network with these parameters. Adds −∂E_k/∂p to
    ``gradient``."""
    layers, u = net._layers, net._units()
    terms.forward(layers, vector, x, u)
    error = terms.errors(layers, LOSS_CODES[loss], y, u)
    terms.backward(layers, vector, u)
    if gradient is not None:
        terms.collect(layers, u, gradient)
    # Softmax has written over its net inputs, and what comes back stands nowhere: once more, with all slopes 1.
    above = u._replace(slope=np.ones_like(u.slope), g=u.g.copy())
    for index in range(1, len(layers)):
        terms.backward(layers[index - 1 : index + 1], vector, above)
    terms.net_inputs(layers, vector, u)
    bare, sums = vector.copy(), u._replace(z=np.zeros_like(u.z))
    for _, thresholds in views(bare, net.sizes):
        thresholds[...] = 0
    terms.net_inputs(layers, bare, sums)
    records = tuple(
        layer_of(net, index, vector, u, sums.z, above.g if index + 1 < len(layers) else None)
        for index in range(len(layers))
    )
    return LaidOpen(number, x, y, loss, float(error), records)


def layer_of(
    net: Network, index: int, vector: np.ndarray, u: Units, sums: np.ndarray, backs: np.ndarray | None
) -> Layer:
    """The record of one layer from the arrays of all units."""
    layer, (weights, thresholds) = net._layers[index], views(vector, net.sizes)[index]
    below = slice(int(layer["below"]), int(layer["below"] + layer["fan_in"]))
    here = slice(int(layer["here"]), int(layer["here"] + layer["fan_out"]))
    return Layer(
        number=index + 1,
        activation=net._activations[index],
        inputs=u.b[below].copy(),
        weights=weights,
        thresholds=thresholds,
        sums=sums[here].copy(),
        net_inputs=u.z[here].copy(),
        outputs=u.b[here].copy(),
        slopes=None if layer["activation"] == SOFTMAX else u.slope[here].copy(),
        backs=None if backs is None else backs[here].copy(),
        gradient_terms=u.g[here].copy(),
    )


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
        scalars, slots = self.scalars.copy(), self.slots.copy()
        terms.steps_of_rule(self.steps, scalars, gradient, slots, at, p, rate, n, direction, delta)
        return direction, delta


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
    _rule: RuleInStep = field(repr=False)


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
        >>> print(bpjit.trace(net, [[3.0]], [[4.0]], eta=0.1).styled(notation="delta", language="zh").text())
        """
        return replace(self, style=self.style.but(**style))

    def text(self, **style: Any) -> str:
        """Aligned text for a terminal; ``str(trace)`` is the same. Arguments as for ``styled``."""
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
        ``bpjit.comparing.compare``."""
        from .comparing import compare

        return compare(self, my_numbers, step=step, rtol=rtol)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        return f"Trace({len(self.steps)} steps, E {self.steps[0].error:.6g}, {self.network})"


def trace(
    net: Network,
    X: Any,
    Y: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    eta: float | Schedule | None = None,
    updates: str | int = "stochastic",
    loss: str | None = None,
    rule: str | Rule = "sgd",
    lam: float | None = None,
    trainable: Any = None,
    resume: Fit | None = None,
    train_thresholds: bool = True,
    shuffle: bool = True,
    seed: int = 0,
) -> Trace:
    """Train for some updates and lay open each of them.

    Parameters
    ----------
    net : the network to start from; it stays as it is
    X, Y : samples as for ``train``; a single one of shape (d,) will do
    steps : how many updates; 1 unless ``epochs`` says otherwise
    epochs : how many epochs, instead
    eta, updates, loss, rule, lam, trainable, train_thresholds, shuffle, seed : as for ``train``, with its defaults
    resume : a fit to go on from, as for ``train``: so any epoch of a training can be laid open

    Returns
    -------
    Trace, which prints as text and compares a learner's own numbers with its own

    Raises
    ------
    ValueError, TypeError : naming the argument, what was expected and what came
    FloatingPointError : an update takes a parameter beyond all numbers

    Notes
    -----
    The parameters of each step are those of ``train`` with the same arguments, to the last bit. The quantities between
    them come from the readable kernels, which call the same formulas but add in another order than the SIMD kernels
    that train: they may differ from what those had in registers in the last digits.

    Examples
    --------
    >>> import bpjit
    >>> net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    >>> print(bpjit.trace(net, [[3.0]], [[4.0]], eta=0.1))
    """
    net = as_network(net)
    if steps is not None and epochs is not None:
        raise ValueError(f"epochs: expected steps or epochs, not both, got steps={steps} and epochs={epochs}")
    loss, rule = as_loss(loss, net), as_rule(rule)
    if isinstance(eta, AdaptiveRate):
        raise ValueError("eta: AdaptiveRate takes epochs back, which a trace does not show; expected another schedule")
    setting = Setting(
        loss=loss,
        rule=rule,
        schedule=as_schedule(eta, rule.default_eta, rule.name),
        size=as_batch_size(updates, rule),
        lam=as_lam(lam),
        trainable=as_trainable(trainable, net, as_flag("train_thresholds", train_thresholds)),
        shuffle=as_flag("shuffle", shuffle),
        seed=as_seed("seed", seed),
    )
    if rule.default_eta is not None:
        check_penalty(setting.schedule.eta, setting.lam[1])
    if np.ndim(X) == 1:
        X, Y = [X], [Y]
    D = as_samples(net, X, Y, loss)
    session = Session(net, D, no_samples(D), 1, setting)
    if resume is not None:
        take_up(session, resume, net)
    size = min(setting.size or len(D.X), len(D.X))
    count = as_integer("epochs", epochs, low=1) * -(-len(D.X) // size) if epochs is not None else 1
    count = as_integer("steps", steps, low=1) if steps is not None else count
    if count * len(net.parameters) > MOST_NUMBERS // 8:
        raise ValueError(
            f"steps: {count} steps of {len(net.parameters)} parameters are more than can be kept; expected fewer"
        )
    made = itertools.islice(updates_of(session), count)
    return Trace(tuple(lay_open_update(session, update) for update in made), setting)


def lay_open_update(session: Session, update: Update) -> Step:
    """One update of a training laid open."""
    net, setting, D = session.net, session.setting, session.D
    before, number = update.before, int(update.before.counters[UPDATES]) + 1
    if not np.isfinite(update.after).all():
        raise FloatingPointError(f"eta: step {number} takes a parameter beyond all numbers; use a smaller eta")
    at = before.p
    if setting.rule.code == NESTEROV:
        at = rules.lookahead(before.p, before.slots[0], net.dtype.type(setting.rule.constants()[0]))
    gradient = np.zeros_like(at)
    samples = tuple(
        lay_open_at(net, at, D.X[k], D.Y[k], setting.loss, int(D.numbers[k]), gradient) for k in update.places
    )
    steps = session.steps or Steps((), np.zeros(5, net.dtype), None, 1, None, None)
    rule = RuleInStep(steps, before.scalars.copy(), before.slots.copy())
    rule.scalars[TOTAL] = sum(sample.error for sample in samples)
    direction, delta = rule.apply(gradient, at, before.p, update.eta, len(samples))
    here = Samples(*(array[update.places] for array in D))
    error, error_after = (measure(net, vector, here, setting.loss) for vector in (before.p, update.after))
    count = setting.rule.slots
    return Step(
        number=number,
        epoch=update.epoch + 1,
        eta=update.eta,
        samples=samples,
        before=net.with_parameters(before.p),
        after=net.with_parameters(update.after),
        error=error,
        error_after=error_after,
        objective=objective_of(error, before.p, setting.lam),
        objective_after=objective_of(error_after, update.after, setting.lam),
        at=at,
        direction=direction,
        delta=delta,
        state=before.slots[:count].copy(),
        state_after=update.slots[:count],
        _rule=rule,
    )
