"""Track and control a plant that drifts, with a small network that never stops learning, all inside one jitted loop.

The plant y' = 0.7 y + gain · tanh(u) + offset is unknown to the controller. At every step a network (y, u) -> y' is
asked for the input u that takes y' to the reference: Gauss-Newton steps along ∂ŷ'/∂u. The plant answers, and the
network learns from what it did. From a third of the run on the plant's gain falls and its offset rises. Beside it, the
same controller stops learning just before that.

    python scripts/control_plant.py
    python scripts/control_plant.py --steps 200000 --hidden 16 --eta 0.1
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
from numba import njit

import bpjit
from bpjit import compiled
from script_tools import Help, positive, run, whole

NEWTON_STEPS = 3
LARGEST_INPUT = 2.0
DITHER = 0.05  # without some movement of u nothing is learnt about it


@njit
def control(state: Any, steps: int, learning_steps: int, numbers: np.ndarray, errors: np.ndarray) -> None:
    """Run plant and controller. Writes errors, the distance of y from its reference after each step."""
    x, y_hat, target = np.zeros(2, errors.dtype), np.zeros(1, errors.dtype), np.zeros(1, errors.dtype)
    J = np.zeros((1, 2), errors.dtype)
    y = u = 0.0
    for t in range(steps):
        drift = min(1.0, max(0.0, 3.0 * t / steps - 1.0))
        gain, offset = 1.0 - 0.4 * drift, 0.15 * drift
        reference = 0.8 * math.sin(0.01 * t) if t % 2000 < 1000 else 0.5
        x[0] = y
        for _ in range(NEWTON_STEPS):
            x[1] = u
            compiled.slopes(state, x, y_hat, J)
            u += (reference - y_hat[0]) * J[0, 1] / (J[0, 1] * J[0, 1] + 0.01)
            u = min(LARGEST_INPUT, max(-LARGEST_INPUT, u))
        u += DITHER * numbers[t]
        x[1] = u
        y = 0.7 * y + gain * math.tanh(u) + offset
        target[0] = y
        if t < learning_steps:
            compiled.learn(state, x, target)
        errors[t] = y - reference


def controlled(options: argparse.Namespace, learning_steps: int) -> tuple[np.ndarray, float]:
    """The tracking errors of a run, and the seconds it took."""
    net = bpjit.Network.random((2, options.hidden, 1), "tanh", "identity", seed=options.seed)
    learner = bpjit.OnlineLearner(net, eta=options.eta)
    numbers, errors = np.random.default_rng(options.seed).normal(size=options.steps), np.zeros(options.steps)
    control(learner.state, 0, 0, numbers, errors)  # compiles: a real plant would not wait
    started = time.perf_counter()
    control(learner.state, options.steps, learning_steps, numbers, errors)
    return errors, time.perf_counter() - started


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=Help)
    made.add_argument("--steps", type=whole, default=60_000, help="steps of the run, at least 30")
    made.add_argument("--hidden", type=whole, default=8, help="hidden units of the model")
    made.add_argument("--eta", type=positive, default=0.05, help="learning rate")
    made.add_argument("--seed", type=int, default=0)
    return made


def script(options: argparse.Namespace) -> int:
    if options.steps < 30:
        raise ValueError(f"--steps: expected at least 30, got {options.steps}")
    runs = [controlled(options, limit) for limit in (options.steps, options.steps // 3)]
    parts = [np.sqrt(np.mean(np.square(np.array_split(errors, 10)[i]))) for i in range(10) for errors, _ in runs]
    print(f"A 2-{options.hidden}-1 network controls a plant; it drifts from a third to two thirds of the run.")
    print("Root mean square of y - reference, in tenths of the run:\n")
    print("tenth   learning on   stopped at a third")
    for i in range(10):
        on, off = parts[2 * i], parts[2 * i + 1]
        print(f"{i + 1:5}   {on:11.4f}   {off:11.4f}  {'#' * min(40, round(40 * off)):<40}".rstrip())
    print(f"\n{options.steps} steps of {NEWTON_STEPS} slopes and one update each: ", end="")
    print(f"{runs[0][1] / options.steps * 1e6:.2f} microseconds a step")
    return 0


def main(arguments: list[str] | None = None) -> int:
    return run(script, parser(), arguments)


if __name__ == "__main__":
    raise SystemExit(main())
