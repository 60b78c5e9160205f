"""JAX: the loops over passes and updates are inside one compiled function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .harness import Run, jax_modules
from .problems import Arrays, Contender, Problem, calls


def jax_train(problem: Problem) -> list[Run]:
    if problem.work.loss == "squared" and len(problem.work.sizes) == 3:
        return [jax_small(problem, unroll) for unroll in (10, 1)]
    return [jax_autodiff(problem, turned) for turned in (True, False)]


def jax_scan(
    problem: Problem,
    step: Callable[[Any, Any, Any], Any],
    X: np.ndarray,
    Y: np.ndarray,
    unroll: int = 1,
    turn: Callable[[Sequence[Any]], Sequence[Any]] = list,
) -> Run:
    """Passes of ``step(parameters, x, y)`` over X and Y; ``turn`` changes the layout of parameters, and back."""
    jax, jnp = jax_modules(problem.dtype)
    X, Y = jnp.asarray(X), jnp.asarray(Y)

    def scanned(parameters: Any, sample: Any) -> Any:
        return step(parameters, *sample), None

    @partial(jax.jit, donate_argnums=0)
    def train(parameters: Any, X: Any, Y: Any, passes: Any) -> Any:
        def one_pass(_: Any, parameters: Any) -> Any:
            return jax.lax.scan(scanned, parameters, (X, Y), unroll=unroll)[0]

        return jax.lax.fori_loop(0, passes, one_pass, parameters)

    def run_passes(passes: int) -> Arrays:
        parameters = [jnp.array(array) for array in turn(problem.parameters)]
        return [np.asarray(array) for array in turn(jax.block_until_ready(train(parameters, X, Y, passes)))]

    return run_passes


def jax_outputs(problem: Problem, jax: Any) -> Callable[[Any, Any], Any]:
    """The net input of the last layer as a function of parameters and x."""
    hidden = {"sigmoid": jax.nn.sigmoid, "tanh": jax.numpy.tanh}[problem.work.hidden]

    def net_input(parameters: Any, x: Any) -> Any:
        *below, W, theta = parameters
        for V, gamma in zip(below[::2], below[1::2], strict=True):
            x = hidden(x @ V - gamma)
        return x @ W - theta

    return net_input


def jax_autodiff(problem: Problem, turned: bool) -> Run:
    """Derivatives by JAX; weights are kept as (fan_out, fan_in) if turned."""
    jax, _ = jax_modules(problem.dtype)
    net_input = jax_outputs(problem, jax)

    def turn(parameters: Sequence[Any]) -> list[Any]:
        return [array.T for array in parameters] if turned else list(parameters)

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        z = net_input(turn(parameters), x)
        if problem.work.loss == "cross_entropy":
            return -(y * jax.nn.log_softmax(z)).sum() / len(x)
        return 0.5 * ((y - jax.nn.sigmoid(z)) ** 2).sum() / len(x)

    gradient = jax.grad(loss)

    def step(parameters: Any, x: Any, y: Any) -> Any:
        return jax.tree.map(lambda p, g: p - problem.work.eta * g, parameters, gradient(parameters, x, y))

    return jax_scan(problem, step, *problem.batches(), turn=turn)


def jax_small(problem: Problem, unroll: int) -> Run:
    """Derivatives by hand, with sums instead of matrix products, which fuse: for a small hidden layer."""
    jax, _ = jax_modules(problem.dtype)

    def step(parameters: Any, x: Any, y: Any) -> Any:
        V, gamma, W, theta = parameters
        b = jax.nn.sigmoid(sum(x[i] * V[i] for i in range(len(V))) - gamma)
        y_hat = jax.nn.sigmoid(sum(b[h] * W[h] for h in range(len(W))) - theta)
        g = problem.work.eta * (y - y_hat) * y_hat * (1 - y_hat)
        e = (W * g).sum(1) * b * (1 - b)
        return [V + x[:, None] * e, gamma - e, W + b[:, None] * g, theta - g]

    return jax_scan(problem, step, problem.X, problem.Y, unroll)


def jax_predict(problem: Problem) -> tuple[Any, Callable[[Any], np.ndarray]]:
    """JAX's NumPy, and a compiled function that predicts."""
    jax, jnp = jax_modules(problem.dtype)
    net_input = jax_outputs(problem, jax)
    output = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}[problem.work.output]
    compiled = jax.jit(lambda parameters, x: output(net_input(parameters, x)))
    parameters = [jnp.asarray(array) for array in problem.parameters]
    return jnp, lambda x: np.asarray(compiled(parameters, x))


def jax_predict_one(problem: Problem) -> list[Run]:
    _, predict = jax_predict(problem)
    return [calls(predict, list(problem.X))]


def jax_predict_many(problem: Problem) -> list[Run]:
    jnp, predict = jax_predict(problem)
    return [calls(predict, [jnp.asarray(problem.X)])]


JAX = Contender(
    "JAX",
    "jax",
    {"train": jax_train, "predict_one": jax_predict_one, "predict_many": jax_predict_many},
    compiles=True,
)
