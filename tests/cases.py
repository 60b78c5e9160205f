"""Training settings to be judged by the reference: how a setting becomes data, networks and two results."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

import bpjit
import reference


def slow(*values):
    """Values for a test of which there are others of the kind: these run with -m slow only."""
    return pytest.param(*values, marks=pytest.mark.slow)


HIDDEN = ("sigmoid", "tanh", "relu", "leaky_relu", "softplus", "softsign", "identity", "sin")
OUTPUTS = (*HIDDEN, "softmax")
LOSSES = ("squared", "absolute", "huber", "cross_entropy")
DEPTHS = (1, 2, 3, 4)
DTYPES = ("float64", "float32")
UPDATES = ("stochastic", 3, "accumulated")
SMOOTH_RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam")
ACCUMULATED_RULES = ("iRprop-", "Rprop+", "iRprop+", "quickprop")
RULES = SMOOTH_RULES + ACCUMULATED_RULES
LAMS = (None, 0.98)
WEIGHTS = (False, True)
MASKS = ("all", "some", "no thresholds")
FACTORS = (HIDDEN, OUTPUTS, LOSSES, DEPTHS, DTYPES, UPDATES, RULES, LAMS, WEIGHTS, MASKS)

SIZES = {1: (3, 2), 2: (3, 4, 2), 3: (3, 4, 3, 2), 4: (3, 4, 3, 5, 2)}
ETAS = {
    "sgd": 0.02,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.1,
    "rmsprop": 0.02,
    "adam": 0.02,
    "quickprop": 0.1,
}
M = 7
EPOCHS = 3


@dataclass(frozen=True)
class Case:
    hidden: str
    output: str
    loss: str
    depth: int
    dtype: str
    updates: str | int
    rule: str
    lam: float | None
    weights: bool
    mask: str

    @property
    def seed(self) -> int:
        """One for all dtypes, so that both can be held against one reference."""
        return zlib.crc32(repr(replace(self, dtype="float64")).encode())


NAMES = ("hidden", "output", "loss", "depth", "dtype", "updates", "rule", "lam", "weights", "mask")


def fits(chosen: dict) -> bool:
    """Whether values chosen for some of the settings go together."""
    loss, output = chosen.get("loss"), chosen.get("output", "sigmoid")
    rule, updates = chosen.get("rule", "sgd"), chosen.get("updates", "accumulated")
    return (loss != "cross_entropy" or output in ("sigmoid", "softmax")) and (
        rule in SMOOTH_RULES or updates == "accumulated"
    )


def all_pairs() -> list[tuple]:
    """Every pair ((name, value), (name, value)) of settings that can occur in one case."""
    pairs = []
    for (first, values), (second, others) in itertools.combinations(zip(NAMES, FACTORS, strict=True), 2):
        pairs += [((first, a), (second, b)) for a in values for b in others if fits({first: a, second: b})]
    return pairs


# Rules that have kernels of their own. The first two and the last two get one without λ and mask, as most tests.
KERNELS = ("sgd", "momentum", "nesterov", "adagrad", "quickprop", "rprop", "adam", "rmsprop")
COMPILED = ("rule", "dtype", "updates", "lam", "mask", "weights")  # for what there are kernels; all else is values


def of_few_kernels(chosen: dict) -> bool:
    """Whether values chosen, a rule among them, may be those of one of the two kernels that each rule gets. These
    differ in dtype, in whether there are a λ, a mask, weights, and one is for updates after each sample where the rule
    has them. What goes together with what the rule's number says, in binary: so every pair occurs."""
    rule = chosen["rule"]
    number = KERNELS.index("rprop" if "rprop" in rule.lower() else rule)
    of_first = {
        "dtype": chosen.get("dtype") == DTYPES[number & 1],
        "lam": (chosen.get("lam") is None) == (number & 2 == 0),
        "mask": (chosen.get("mask") == "all") == (number & 4 == 0),
        "weights": chosen.get("weights") == WEIGHTS[number.bit_count() & 1],
    }
    if rule in SMOOTH_RULES:
        of_first["updates"] = chosen.get("updates") == "stochastic"
    return len({first for name, first in of_first.items() if name in chosen}) <= 1


def covering_array() -> list[Case]:
    """Few cases in which every pair occurs, and few kernels, as each takes seconds to compile: from a pair not yet
    seen, add the value that brings most new pairs."""

    def may_be(chosen: dict) -> bool:
        return fits(chosen) and of_few_kernels(chosen)

    missing, cases = dict.fromkeys(all_pairs()), []
    values_of = dict(zip(NAMES, FACTORS, strict=True))
    while missing:
        chosen = dict(next(iter(missing)))
        for name in dict.fromkeys((*COMPILED, *NAMES)):
            if name not in chosen:
                possible = [value for value in values_of[name] if may_be(chosen | {name: value})]
                gain = [sum(pair in missing for pair in pairs_of(chosen | {name: value})) for value in possible]
                chosen[name] = possible[gain.index(max(gain))]
        for pair in pairs_of(chosen):
            missing.pop(pair, None)
        cases.append(Case(**chosen))
    return cases


def pairs_of(chosen: dict) -> list[tuple]:
    """The pairs that occur in these settings, in the order of ``all_pairs``."""
    return list(itertools.combinations([(name, chosen[name]) for name in NAMES if name in chosen], 2))


class Problem:
    """Data and a start for a case, all numbers exact in float32, and what the reference makes of them.

    Data are drawn until the case is one: every trained layer moves (ReLU units may all be asleep), and a start off by
    1e-7 leads to nearly the same end (no sign of a gradient or of ŷ − y hangs on rounding).
    """

    def __init__(self, case: Case, epochs: int = EPOCHS) -> None:
        self.case, self.sizes = case, SIZES[case.depth]
        self.activations = [case.hidden] * (case.depth - 1) + [case.output]
        for attempt in range(200):
            self.draw(np.random.default_rng([case.seed, attempt]))
            self.expected = self.by_reference(self.start, epochs)
            if self.every_layer_moves() and self.nothing_hangs_on_a_digit(epochs):
                return
        raise AssertionError(f"no data for {case}")

    def draw(self, rng: np.random.Generator) -> None:
        case, sizes = self.case, self.sizes
        single = lambda a: a.astype(np.float32).astype(np.float64)  # noqa: E731
        self.X = single(rng.normal(0, 0.7, (M, sizes[0])))
        self.X[rng.random(self.X.shape) < 0.15] = 0.0
        probabilities = rng.dirichlet(np.ones(sizes[-1]), M)
        probabilities[0] = np.eye(sizes[-1])[0]
        likely = case.loss == "cross_entropy" or case.output == "softmax"
        self.Y = single(probabilities if likely else rng.normal(0.5, 0.8, (M, sizes[-1])))
        weights = [single(rng.normal(0, 0.5, shape)) for shape in itertools.pairwise(sizes)]
        self.start = reference.flatten(weights, [single(rng.normal(-0.4, 0.3, q)) for q in sizes[1:]])
        self.nearly_one = 1 + 1e-7 * rng.uniform(-1, 1, len(self.start))
        self.c = None
        if case.weights:
            self.c = single(rng.uniform(0.2, 2.0, M))
            self.c[[1, 4]] = 0.0
        self.trained = np.ones(len(self.start), bool)
        weights, thresholds = reference.unflatten(self.trained, sizes)
        if case.mask == "some":
            self.trained[rng.random(len(self.start)) < 0.4] = False
            weights[0][0, 0] = weights[-1][-1, -1] = True
        if case.mask == "no thresholds":
            for part in thresholds:
                part[:] = False

    def every_layer_moves(self) -> bool:
        return min(self.layer_by_layer(np.abs(self.expected.vector - self.start))) > 1e-5

    def nothing_hangs_on_a_digit(self, epochs: int) -> bool:
        off = self.by_reference(self.start * self.nearly_one, epochs)
        if distance(off.vector, self.expected.vector) >= 1e-5:
            return False
        if self.case.rule in SMOOTH_RULES:
            return True
        return not any(self.a_sum_cancels(self.by_reference(self.start, t).vector) for t in range(epochs))

    def a_sum_cancels(self, vector: np.ndarray) -> bool:
        """Whether a gradient is a sum of numbers that cancel: its sign, all that some rules see, is then rounding."""
        there = reference.unflatten(vector, self.sizes)
        shares = np.array(
            [
                reference.flatten(*reference.sample_gradient(*there, self.activations, self.case.loss, x, y)[1:])
                for x, y in zip(self.X, self.Y, strict=True)
            ]
        )
        shares *= (np.ones(M) if self.c is None else self.c)[:, None]
        return bool(np.any(np.abs(shares.sum(0)) < 1e-9 * np.abs(shares).max(0)))

    def layer_by_layer(self, vector: np.ndarray) -> list[float]:
        """The largest entry of a vector in each trained layer."""
        parts = zip(*reference.unflatten(np.where(self.trained, vector, -1.0), self.sizes), strict=True)
        largest = [max(W.max(), theta.max()) for W, theta in parts]
        return [value for value in largest if value >= 0]

    @property
    def eta(self) -> float | None:
        return ETAS.get(self.case.rule)

    def by_reference(self, start: np.ndarray, epochs: int):
        case = self.case
        rprop = "rprop" in case.rule.lower()
        return reference.train(
            *reference.unflatten(start, self.sizes),
            self.activations,
            self.X,
            self.Y,
            loss=case.loss,
            rule="rprop" if rprop else case.rule,
            settings={"variant": case.rule} if rprop else None,
            etas=0.0 if rprop else self.eta,
            updates=case.updates,
            epochs=epochs,
            lam=case.lam,
            c=self.c,
            trainable=self.trained,
            seed=case.seed,
        )

    @property
    def weights_and_thresholds(self) -> tuple[list, list]:
        return reference.unflatten(self.start, self.sizes)

    def network(self, dtype: str | None = None) -> bpjit.Network:
        case = self.case
        return bpjit.Network(self.sizes, self.start, hidden=case.hidden, output=case.output, dtype=dtype or case.dtype)

    def settings(self, epochs: int = EPOCHS) -> dict:
        """What ``bpjit.train`` takes."""
        case = self.case
        rule = bpjit.Rprop(variant=case.rule) if "rprop" in case.rule.lower() else case.rule
        return {
            "eta": self.eta,
            "updates": case.updates,
            "loss": case.loss,
            "rule": rule,
            "lam": case.lam,
            "sample_weight": self.c,
            "trainable": self.trained,
            "seed": case.seed,
            "stop": epochs,
        }

    def by_bpjit(self, dtype: str | None = None, epochs: int = EPOCHS, **changes) -> bpjit.Fit:
        return bpjit.train(self.network(dtype), self.X, self.Y, **(self.settings(epochs) | changes))


def distance(p, expected) -> float:
    """‖p − expected‖/‖expected‖."""
    return float(np.linalg.norm(p.astype(np.float64) - expected) / np.linalg.norm(expected))


def check(problem: Problem, dtype: str) -> None:
    """Hold a training by bpjit against the reference's; every trained layer must have moved."""
    expected, fit = problem.expected, problem.by_bpjit(dtype)
    moved = problem.layer_by_layer(np.abs(expected.vector - problem.start))
    assert min(moved) > 1e-6, f"a layer of {problem.case} did not move: no test"
    # What is not trained keeps its bits.
    kept = ~problem.trained
    assert np.array_equal(fit.network.parameters[kept], problem.start.astype(dtype)[kept])
    # Rounding alone separates the two: 1e-12 leaves three digits in float64 (FMA, order of sums).
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    assert distance(fit.network.parameters, expected.vector) <= tolerance, problem.case
    np.testing.assert_allclose(fit.errors, expected.errors, rtol=tolerance, err_msg=str(problem.case))
    assert fit.epochs == EPOCHS


class AfterAWhile:
    """An event that is set once it has been asked so many times."""

    def __init__(self, times):
        self.left = times

    def is_set(self):
        self.left -= 1
        return self.left < 0
