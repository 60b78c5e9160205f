"""Formulas that come with the library by the same door as those of its users, each made when it is first asked for."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

from ..maths.formulas import Number
from ..maths.own import SHIPPED
from .formulas import EVERYWHERE, Activation, Loss, OfOnesOwn, made
from .functions import exp, log1p, select, tanh


def elu(z: Number, alpha: float = 1.0) -> Number:
    """z for z > 0 and α (e^z − 1) otherwise (Clevert, Unterthiner & Hochreiter 2016)."""
    return select(z > 0, z, alpha * (exp(z) - 1))


def silu(z: Number) -> Number:
    """z/(1 + e^−z), also called swish (Elfwing, Uchibe & Doya 2018)."""
    return z / (1 + exp(-z))


def gelu(z: Number) -> Number:
    """½z (1 + tanh(√(2/π) (z + 0.044715 z³))): the Gaussian error linear unit in its tanh form (Hendrycks & Gimpel)."""
    return 0.5 * z * (1 + tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def exponential(z: Number) -> Number:
    """e^z: outputs of counts, with the Poisson loss."""
    return exp(z)


def quantile(y_hat: Number, y: Number, quantile: float = 0.5) -> Number:
    """The pinball loss, whose least mean lies at that quantile of the targets; with slope 0 where ŷ_j = y_j."""
    if not 0 < quantile < 1:
        raise ValueError(f"quantile: expected a number > 0 and < 1, got {quantile}")
    d = y - y_hat
    return select(d > 0, quantile * d, select(d < 0, (quantile - 1) * d, 0 * d))


def log_cosh(y_hat: Number, y: Number) -> Number:
    """log cosh d, d = ŷ_j − y_j: ½d² near 0, |d| − log 2 far out."""
    size = abs(y - y_hat)
    return size + log1p(exp(-2 * size)) - math.log(2)


def huber(y_hat: Number, y: Number, delta: float = 1.0) -> Number:
    """½d² where |d| ≤ δ and δ(|d| − ½δ) elsewhere, d = ŷ_j − y_j."""
    if not delta > 0:
        raise ValueError(f"delta: expected a number > 0, got {delta}")
    d = y - y_hat
    size = abs(d)
    return select(size <= delta, 0.5 * d * d, delta * (size - 0.5 * delta))


def poisson(z: Number, y: Number) -> Number:
    """e^z − y z, for counts y whose mean is ŷ = e^z: their −log likelihood but for a constant."""
    return exp(z) - y * z


def _activation(function: Any, low: Any = -math.inf, name: str | None = None) -> Callable[..., Activation]:
    def make(**values: float) -> Activation:
        more = {"reach": (low, math.inf), "of_net_input": False, "output": None}
        return made(Activation, function, None, name, values, more)

    return make


def _loss(function: Any, name: str | None = None, output: str | None = None) -> Callable[..., Loss]:
    def make(**values: float) -> Loss:
        goes_with = None if output is None else shipped("activation", output)
        more = {"reach": EVERYWHERE, "of_net_input": output is not None, "output": goes_with}
        return made(Loss, function, None, name, values, more)

    return make


IN_FULL = re.compile(r"(?P<name>\w+)\((?P<values>[^()]*)\)#[0-9a-f]{16}")
MAKE: dict[str, dict[str, Callable[..., OfOnesOwn]]] = {
    "activation": {
        "elu": _activation(elu, lambda alpha: -max(alpha, 0.0)),
        "silu": _activation(silu, -0.2784646),
        "gelu": _activation(gelu, -0.1700408),
        "exp": _activation(exponential, 0.0, "exp"),
    },
    "loss": {
        "quantile": _loss(quantile),
        "log_cosh": _loss(log_cosh),
        "poisson": _loss(poisson, output="exp"),
        "huber": _loss(huber, name="huber"),
    },
}
NAMES = SHIPPED  # "huber" alone is the built-in


@functools.cache
def of(role: str, name: str) -> OfOnesOwn:
    """The one of this name with its usual values, which a call sets anew: the name alone stands for it."""
    made = MAKE[role][name]()
    return made if name not in NAMES[role] else type(made).by_name(made, name, (shipped, (role, name)))


def shipped(role: str, name: Any) -> OfOnesOwn | None:
    """The formula that a name stands for, alone or in full, if it is one of these."""
    if not isinstance(name, str):
        return None
    if name in NAMES[role]:
        return of(role, name)
    found = IN_FULL.fullmatch(name)
    if found is None or found["name"] not in MAKE[role]:
        return None
    try:
        values = dict(pair.split("=") for pair in found["values"].split(", "))
        made = MAKE[role][found["name"]](**{key: float(value) for key, value in values.items()})
    except (ValueError, TypeError):  # no values that it may have
        return None
    return made if made == name else None
