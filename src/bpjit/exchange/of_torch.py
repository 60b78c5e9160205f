"""nn.Sequential of PyTorch, both ways. The only place that looks for PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.arguments import describe
from ..common.files import refused
from ..networks.architecture import HasArchitecture
from ..own.shipped import of, shipped
from .chain import Activation, Affine, Dense, Link, as_network, biases_of, split

if TYPE_CHECKING:
    from ..networks.network import Network

# Our names, what they are called in torch.nn, and with what. Beyond its threshold Softplus is z, which must be exact.
THERE: dict[str, tuple[str, dict[str, Any]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 40.0}),
    "softsign": ("Softsign", {}),
    "identity": ("Identity", {}),
    "softmax": ("Softmax", {"dim": -1}),
    "elu": ("ELU", {"alpha": 1.0}),
    "silu": ("SiLU", {}),
    "gelu": ("GELU", {"approximate": "tanh"}),
}
HERE = {called: (name, set_) for name, (called, set_) in THERE.items()}
IGNORED = ("Identity", "Flatten", "Dropout", "Dropout1d", "AlphaDropout")  # they let numbers pass when they predict


def _torch(what: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{what} needs PyTorch: python -m pip install torch") from error
    return torch


def to_torch(net: HasArchitecture) -> Any:
    """An ``nn.Sequential`` that computes what ``net.predict`` does."""
    torch = _torch("to_torch")
    modules: list[Any] = []

    def linear(W: np.ndarray, b: np.ndarray, frozen: bool = False) -> None:
        made = torch.nn.Linear(*W.shape, dtype=getattr(torch, net.dtype.name))
        with torch.no_grad():
            made.weight.copy_(torch.tensor(np.ascontiguousarray(W.T)))
            made.bias.copy_(torch.tensor(np.array(b)))
        modules.append(made.requires_grad_(not frozen))

    arrays = net.scale.arrays if net.scale is not None else {}
    if arrays:  # in two steps: numbers far from 0 lose no digits
        high, low = split(arrays["input_offset"], net.dtype)
        linear(np.eye(len(high)), -high, frozen=True)
        linear(np.diag(1 / arrays["input_factor"]), -low / arrays["input_factor"], frozen=True)
    for W, b, name in zip(net.weights, biases_of(net), net._activations, strict=True):
        activation = _there(torch, name)
        linear(W, b)
        if name != "identity":
            modules.append(activation)
    if "target_factor" in arrays:
        linear(np.diag(arrays["target_factor"]), arrays["target_offset"], frozen=True)
    return torch.nn.Sequential(*modules)


def _there(torch: Any, name: str) -> Any:
    """The module of an activation."""
    plain, _, values = str(name).partition("#")[0].partition("(")
    called, usual = THERE.get(plain, ("", {}))
    if not called or (values and shipped("activation", name) is None):
        raise ValueError(
            f"{name}: torch.nn has no module for this activation, as it has for {', '.join(THERE)}; train with one of "
            "these, or export by to_onnx, which takes all"
        )
    given = dict(pair.split("=") for pair in values.rstrip(")").split(", ")) if values else {}
    return getattr(torch.nn, called)(**(usual | {key: float(value) for key, value in given.items()}))


def from_torch(module: Any) -> Network:
    """The network that an ``nn.Sequential`` is."""
    torch = _torch("from_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module: expected an nn.Sequential of PyTorch, got {describe(module)}")
    with refused("module"), np.errstate(all="ignore"):
        return as_network(_links(torch, module))


def _links(torch: Any, module: Any) -> list[Link]:
    """What is done to numbers, module after module."""
    modules = [(where, each) for where, each in _flat(torch, module, "") if type(each).__name__ not in IGNORED]
    found: list[Link] = []
    kinds = [type(each).__name__ for _, each in modules]
    for place, (where, each) in enumerate(modules):
        if kinds[place] == "Linear":
            dense = _dense(each, where)
            ahead = all(kind == "Linear" for kind in kinds[:place]) and "Linear" in kinds[place + 1 : place + 2]
            behind = place and place == len(modules) - 1
            found += _as_affine(dense) if (ahead or behind) and _is_frozen_diagonal(each, dense) else [dense]
        else:
            found.append(_here(each, where))
    return found


def _flat(torch: Any, module: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(module, torch.nn.Sequential):
        for name, each in module.named_children():
            yield from _flat(torch, each, f"{where}[{name}]")
    else:
        yield f"{where} {type(module).__name__}".strip(), module


def _array(tensor: Any, where: str) -> np.ndarray:
    kind = str(getattr(tensor, "dtype", type(tensor).__name__))
    if kind not in ("torch.float32", "torch.float64"):
        raise ValueError(f"{where}: expected float32 or float64, got {kind}; call module.float() first")
    if tensor.is_meta:
        raise ValueError(f"{where}: expected numbers, got a tensor on the device meta, which has none")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"{where}: expected numbers each in its place, got few that repeat; call clone() first")
    return np.array(tensor.detach().cpu().numpy())


def _dense(linear: Any, where: str) -> Dense:
    W = _array(linear.weight, where).T
    return Dense(W, np.zeros(W.shape[1], W.dtype) if linear.bias is None else _array(linear.bias, where), where)


def _is_frozen_diagonal(linear: Any, dense: Dense) -> bool:
    """Whether it scales column by column and does not learn, as ``to_torch`` writes a scale."""
    frozen = not any(parameter.requires_grad for parameter in linear.parameters())
    rows, columns = dense.W.shape
    diagonal = np.diag(np.diag(dense.W)) if rows == columns else np.empty(0)
    return frozen and np.array_equal(dense.W, diagonal) and bool(np.diag(dense.W).all())


def _as_affine(dense: Dense) -> list[Link]:
    return [Affine("multiply", np.diag(dense.W), dense.where), Affine("add", dense.b, dense.where)]


def _here(module: Any, where: str) -> Activation:
    """The activation that a module is."""
    name, wanted = HERE.get(type(module).__name__, ("", {}))
    if not name:
        raise ValueError(
            f"expected Linear and activations ({', '.join(HERE)}), got {where}: a network here is dense layers one "
            "after another"
        )
    if name == "elu":
        return Activation(of("activation", "elu")(alpha=module.alpha) if module.alpha != 1 else name, where)
    for key, value in wanted.items():
        got = getattr(module, key)
        fits = got == value or (key == "dim" and got in (1, None)) or (key == "threshold" and got >= 20)
        if not fits:
            raise ValueError(f"expected {type(module).__name__} with {key}={value!r}, got {key}={got!r} in {where}")
    return Activation(name, where)
