"""One step of a trace once more, line by line, so that a line can be replaced by a wrong one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ..kernels.layout import Units, code_of_loss
from ..kernels.readable import line_by_line
from ..maths.own import is_of_net_input
from ..networks.architecture import views
from ..training.setting import Setting
from .laid_open import LaidOpen, Step, net_inputs_of


class Backprop:
    """One step, right: forward, error and g, e, updates. ``mistakes`` overrides a line of it."""

    name: ClassVar[str] = ""
    english: ClassVar[str] = ""
    chinese: ClassVar[str] = ""

    def __init__(self, step: Step, setting: Setting) -> None:
        assert step._rule is not None  # of second order: its steps are not made once more
        self.step, self.setting, self.net, self.rule = step, setting, step.before, step._rule
        self.layers, self.p = step.before._architecture.layers, step.at

    @property
    def applies(self) -> bool:
        """Whether the mistake can be made in this step at all."""
        return True

    @property
    def slope_counts(self) -> bool:
        """Whether the outputs have a slope that g_j is multiplied by."""
        return self.net.output != "softmax" and not is_of_net_input(self.setting.loss)

    # The lines of a step.

    def seen(self, p: np.ndarray) -> np.ndarray:
        """The parameters as the forward pass takes them."""
        return p

    def forward(self, p: np.ndarray, x: np.ndarray, u: Units) -> None:
        line_by_line.forward(self.layers, self.seen(p), x, u)

    def errors(self, y: np.ndarray, u: Units) -> float:
        return float(line_by_line.errors(self.layers, code_of_loss(self.setting.loss), y, u))

    def backward(self, u: Units) -> None:
        line_by_line.backward(self.layers, self.p, u)

    def update(self, gradient: np.ndarray) -> np.ndarray:
        """Δ of each parameter."""
        return self.by_rule(gradient, self.step.eta, len(self.step.samples))

    def mean_error(self, errors: list[float]) -> float:
        return float(np.mean(errors))

    def after(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        return p + delta

    # What they are made of.

    def by_rule(self, gradient: np.ndarray, eta: float, n: int) -> np.ndarray:
        return self.rule.apply(gradient, self.p, self.net._parameters, eta, n)[1]

    def thresholds_of(self, vector: np.ndarray) -> list[np.ndarray]:
        return [thresholds for _, thresholds in views(vector, self.net.sizes)]

    def part(self, array: np.ndarray, index: int) -> np.ndarray:
        """What belongs to the units of layer ``index``, in an array of all units: a view."""
        layer = self.layers[index]
        return array[int(layer["here"]) : int(layer["here"] + layer["fan_out"])]

    def run(self) -> Step | None:
        """The step with this mistake in it; None where it leads beyond all numbers."""
        step, gradient, u = self.step, np.zeros_like(self.p), self.net._architecture.units()
        samples = []
        for sample in step.samples:
            self.forward(self.p, sample.x, u)
            error = self.errors(sample.y, u)
            self.backward(u)
            line_by_line.collect(self.layers, u, gradient)
            samples.append(self.record(sample, error, u))
        delta = self.update(gradient)
        after, errors = self.after(self.net._parameters, delta), []
        if not np.isfinite(after).all():
            return None
        for sample in step.samples:
            self.forward(after, sample.x, u)
            errors.append(self.errors(sample.y, u))
        return replace(
            step,
            samples=tuple(samples),
            delta=delta,
            after=self.net.with_parameters(after),
            error=self.mean_error([sample.error for sample in samples]),
            error_after=self.mean_error(errors),
        )

    def record(self, sample: LaidOpen, error: float, u: Units) -> LaidOpen:
        """The sample as this run sees it."""
        records = []
        whole, sums = net_inputs_of(self.layers, self.seen(self.p), u)
        for index, layer in enumerate(sample.layers):
            outputs, slopes, g = (self.part(array, index).copy() for array in (u.b, u.slope, u.g))
            records.append(
                replace(
                    layer,
                    sums=self.part(sums, index),
                    net_inputs=self.part(whole, index),
                    outputs=outputs,
                    slopes=None if layer.slopes is None else slopes,
                    gradient_terms=g,
                )
            )
        return replace(sample, error=error, layers=tuple(records))
