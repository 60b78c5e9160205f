"""One step of error back-propagation by hand: M. Mazur's 2-2-2 network, every number beside the text's.

    python scripts/worked_example.py

Each line is one number of the calculation: how the text calls it, the formula, what bpjit computes, what the text
gives. The biases of the text are thresholds with the other sign here, b = -theta, and are not trained. Exit code 1 if
a number differs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import bpjit
from bpjit.tracing import Step

X, Y, ETA = [[0.05, 0.10]], [[0.01, 0.99]], 0.5
W = [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]]  # w1 w3 / w2 w4, w5 w7 / w6 w8
BIASES = (0.35, 0.60)
STEPS = 10_000

# The text's numbers in full. It prints out_o1 = 0.75136079, a slip: 0.75136507 is right.
TEXT: dict[str, list[float]] = {
    "net": [0.3775, 0.3925, 1.10590596705977, 1.2249214040964653],
    "out": [0.5932699921071872, 0.596884378259767, 0.7513650695523157, 0.7729284653214625],
    "E": [0.2983711087600027],
    "delta_o": [0.13849856162855695, -0.038098236516556236],
    "delta_h": [0.00877135468948693, 0.009954254705217196],
    "w": [
        *[0.1497807161327628, 0.19956143226552567, 0.24975114363236958, 0.29950228726473915],
        *[0.35891647971788465, 0.4086661860762334, 0.5113012702387375, 0.5613701211079891],
    ],
    "E after one step": [0.29102777369359933],
    "E at the end": [3.510187782978859e-05],
    "out at the end": [0.01591362044355068, 0.9840642735146238],
}
Line = tuple[str, str, float, float]


def network() -> bpjit.Network:
    return bpjit.Network.from_arrays(W, [np.full(2, -bias) for bias in BIASES])


def forward(step: Step) -> Iterator[Line]:
    """Net inputs and outputs."""
    count = 0
    for layer, names in zip(step.samples[0].layers, (("h1", "h2"), ("o1", "o2")), strict=True):
        for name, z, out in zip(names, layer.net_inputs, layer.outputs, strict=True):
            yield f"net_{name}", "sum of w * input, plus b", z, TEXT["net"][count]
            yield f"out_{name}", "1 / (1 + e^-net)", out, TEXT["out"][count]
            count += 1


def backward(step: Step) -> Iterator[Line]:
    """The text's deltas are minus the book's gradient terms."""
    hidden, output = step.samples[0].layers
    for j, g in enumerate(output.gradient_terms):
        yield f"delta_o{j + 1} = -g_{j + 1}", "(out - target) * out * (1 - out)", -g, TEXT["delta_o"][j]
    for h, e in enumerate(hidden.gradient_terms):
        formula = "(sum of delta_o * old w) * out * (1 - out)"
        yield f"delta_h{h + 1} = -e_{h + 1}", formula, -e, TEXT["delta_h"][h]


def updates(step: Step) -> Iterator[Line]:
    weights = np.concatenate([step.after.v.T.ravel(), step.after.w.T.ravel()])
    for i, (w, text) in enumerate(zip(weights, TEXT["w"], strict=True)):
        yield f"w{i + 1}", "w - eta * delta * input", w, text
    yield "E", "after one step", step.error_after, TEXT["E after one step"][0]


def training(net: bpjit.Network) -> Iterator[Line]:
    fit = bpjit.train(net, X, Y, eta=ETA, train_thresholds=False, stop=STEPS)
    for j, y_hat in enumerate(fit.network.predict(X[0])):
        yield f"out_o{j + 1}", f"after {STEPS} steps", y_hat, TEXT["out at the end"][j]
    yield "E", f"after {STEPS} steps", fit.error, TEXT["E at the end"][0]


def main() -> int:
    net = network()
    step = bpjit.trace(net, X, Y, eta=ETA, train_thresholds=False)[0]
    parts = [
        ("forward", forward(step)),
        ("error", iter([("E", "1/2 sum of (target - out)^2", step.error, TEXT["E"][0])])),
        ("backward", backward(step)),
        ("updates, eta = 0.5", updates(step)),
        ("many steps", training(net)),
    ]
    differ = 0
    print(f"{'':62s} {'bpjit':>18s} {'text':>18s}")
    for title, lines in parts:
        print(title)
        for name, formula, ours, text in lines:
            same = abs(ours - text) <= 1e-9 * abs(text)
            differ += not same
            print(f"  {name:16s} {formula:43s} {ours:18.12g} {text:18.12g}{'' if same else '  differs'}")
    print("\nevery number equals the text's" if not differ else f"\n{differ} numbers differ from the text's")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
