"""All numbers of a step under the names of a notation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..networks.architecture import views
from .laid_open import Damped, Step
from .notation import KEYS, Names

FORWARD, BACKWARD = ("sums", "net_inputs", "outputs", "slopes"), ("gradient_terms",)  # of a sample


TURNED = ("gradient_terms", "thresholds", "delta_thresholds", "new_thresholds")  # in delta notation: −g, −θ


def numbers_of(step: Step, book: bool) -> dict[str, Any]:
    """All numbers of a step under their plain names, in the order of the calculation.

    What belongs to a sample has one axis more where there are several samples in the step. What belongs to an attempt
    of Levenberg–Marquardt has its number behind its name where there are several.
    """
    sizes, count = step.before.sizes, len(step.before.weights)
    samples = step.samples
    one = len(samples) == 1
    numbers: dict[str, Any] = {
        "x": samples[0].x if one else np.array([sample.x for sample in samples]),
        "y" if book else "t": samples[0].y if one else np.array([sample.y for sample in samples]),
    }
    names = [Names(book, index, count) for index in range(count)]
    for index in range(count):
        numbers |= _under_names(names[index], lambda name: _stacked(step, index, name, FORWARD))  # noqa: B023
    numbers["E"] = step.error
    for index in reversed(range(count)):
        numbers |= _under_names(names[index], lambda name: _stacked(step, index, name, BACKWARD))  # noqa: B023
    if step.damped is not None:
        numbers |= damped_numbers(signed(step, book))
    pairs = zip(views(step.delta, sizes), step.before.weights, step.before.thresholds, strict=True)
    after = list(zip(step.after.weights, step.after.thresholds, strict=True))
    for index, ((delta_weights, delta_thresholds), weights, thresholds) in enumerate(pairs):
        arrays = {
            "weights": weights,
            "thresholds": thresholds,
            "delta_weights": delta_weights,
            "delta_thresholds": delta_thresholds,
            "new_weights": after[index][0],
            "new_thresholds": after[index][1],
        }
        numbers |= _under_names(names[index], arrays.get)
    numbers["E_new"] = step.error_after
    if step.damped is not None:
        numbers["mu_new"] = step.damped.mu_after
    return numbers


def signed(step: Step, book: bool) -> Damped:
    """What a step of Levenberg–Marquardt is made of, by thresholds or by biases."""
    assert step.damped is not None
    signs = np.ones(len(step.delta))
    for _, thresholds in views(signs, step.before.sizes):
        thresholds[:] = 1.0 if book else -1.0
    return step.damped.turned(signs[step.damped.trained])


def damped_numbers(damped: Damped) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "r": damped.residuals,
        "J": damped.jacobian,
        "H": damped.curvature,
        "gradient": damped.gradient,
    }
    for count, attempt in enumerate(damped.attempts, 1):
        mark = "" if len(damped.attempts) == 1 else str(count)
        numbers |= {f"mu{mark}": attempt.mu, f"A{mark}": attempt.matrix}
        if attempt.delta is not None:
            numbers[f"Delta{mark}"] = attempt.delta
            numbers[f"E_try{mark}"] = attempt.error
    return numbers


def _under_names(names: Names, value_of: Callable[[str], np.ndarray | None]) -> dict[str, np.ndarray]:
    """The quantities for which there is a value, turned where the notation wants it."""
    found = {}
    for quantity in KEYS:
        value = value_of(quantity)
        if value is not None and names.has(quantity):
            found[names.key(quantity)] = -value if quantity in TURNED and not names.book else value
    return found


def _stacked(step: Step, index: int, quantity: str, wanted: tuple[str, ...]) -> np.ndarray | None:
    """A quantity of all samples in a layer; None where it is not wanted, or there is no such thing."""
    values = [getattr(sample.layers[index], quantity) for sample in step.samples] if quantity in wanted else [None]
    return values[0] if len(values) == 1 or values[0] is None else np.array(values)
