"""PyTorch: as in every tutorial, and with derivatives by hand."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from .harness import Run
from .problems import Arrays, Contender, Problem, calls


def torch_module() -> Any:
    torch = import_module("torch")
    torch.set_num_threads(1)
    return torch


def torch_model(torch: Any, problem: Problem) -> Any:
    """nn.Sequential of Linear layers and activations, without the last one; a bias is minus a threshold."""
    activation = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh}[problem.work.hidden]
    layers: list[Any] = []
    for W, theta in zip(problem.parameters[::2], problem.parameters[1::2], strict=True):
        layer = torch.nn.Linear(*W.shape, dtype=getattr(torch, problem.dtype))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(-theta))
        layers += [layer, activation()]
    return torch.nn.Sequential(*layers[:-1])


def torch_train(problem: Problem) -> list[Run]:
    """nn.Linear, autograd and SGD, as in every tutorial."""
    torch = torch_module()
    updates = list(zip(*map(torch.from_numpy, problem.batches()), strict=True))

    def loss(z: Any, y: Any) -> Any:
        if problem.work.loss == "cross_entropy":
            return torch.nn.functional.cross_entropy(z, y)
        return 0.5 * ((torch.sigmoid(z) - y) ** 2).sum(1).mean()

    def train(passes: int) -> Arrays:
        model = torch_model(torch, problem)
        optimizer = torch.optim.SGD(model.parameters(), lr=problem.work.eta)
        for _ in range(passes):
            for x, y in updates:
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()
        linear = model[::2]
        return [a.detach().numpy() for layer in linear for a in (layer.weight.T, -layer.bias)]

    return [train]


def torch_by_hand(problem: Problem) -> list[Run]:
    """Derivatives by hand, updates fused into addmm."""
    torch, work = torch_module(), problem.work
    updates = list(zip(*map(torch.from_numpy, problem.batches()), strict=True))
    step = work.eta / work.batch

    def update(layers: list[tuple[Any, Any]], x: Any, y: Any) -> None:
        outputs = [x]
        for W, bias in layers[:-1]:
            outputs.append(getattr(torch.addmm(bias, outputs[-1], W), work.hidden + "_")())
        z = torch.addmm(layers[-1][1], outputs[-1], layers[-1][0])
        y_hat = torch.softmax(z, -1) if work.output == "softmax" else z.sigmoid_()
        delta = y - y_hat
        if work.loss == "squared":
            delta *= y_hat * (1 - y_hat)
        for index in reversed(range(len(layers))):
            (W, bias), b = layers[index], outputs[index]
            below = (delta @ W.T).mul_(1 - b * b if work.hidden == "tanh" else b * (1 - b)) if index else delta
            W.addmm_(b.T, delta, alpha=step)
            bias.add_(delta.sum(0), alpha=step)
            delta = below

    def train(passes: int) -> Arrays:
        parameters = [torch.from_numpy(array) for array in problem.copied()]
        layers = [(W, -theta) for W, theta in zip(parameters[::2], parameters[1::2], strict=True)]
        with torch.inference_mode():
            for _ in range(passes):
                for x, y in updates:
                    update(layers, x, y)
        return [a.numpy() for W, bias in layers for a in (W, -bias)]

    return [train]


def torch_predict(problem: Problem, many: bool) -> list[Run]:
    torch = torch_module()
    last = torch.nn.Softmax(-1) if problem.work.output == "softmax" else torch.nn.Sigmoid()
    model = torch.nn.Sequential(*torch_model(torch, problem), last)
    X = torch.from_numpy(problem.X)

    def predict(x: Any) -> np.ndarray:
        with torch.inference_mode():
            return model(x).numpy()

    return [calls(predict, [X] if many else list(X))]


TORCH = (
    Contender(
        "PyTorch",
        "torch",
        {
            "train": torch_train,
            "learn_one": torch_train,
            "predict_one": partial(torch_predict, many=False),
            "predict_many": partial(torch_predict, many=True),
        },
    ),
    Contender("torch by hand", "torch", {"train": torch_by_hand, "learn_one": torch_by_hand}),
)
