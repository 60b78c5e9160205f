"""Training settings to be judged by the reference: how a setting becomes data, networks and two results."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace

import numpy as np
import reference

import bpjit

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
ETAS = {"sgd": 0.03, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.1, "rmsprop": 0.02, "adam": 0.02, "quickprop": 0.1}
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


def covering_array() -> list[Case]:
    """Few cases in which every pair occurs: from a pair not yet seen, add the value that brings most new pairs."""
    missing = dict.fromkeys(all_pairs())
    cases = []
    while missing:
        chosen = dict(next(iter(missing)))
        for name, values in zip(NAMES, FACTORS, strict=True):
            if name not in chosen:
                possible = [value for value in values if fits(chosen | {name: value})]
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
    """Data and a start for a case, all numbers exact in float32."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(case.seed)
        self.case, sizes = case, SIZES[case.depth]
        single = lambda a: a.astype(np.float32).astype(np.float64)  # noqa: E731
        self.X = single(rng.normal(size=(M, sizes[0])))
        self.X[rng.random(self.X.shape) < 0.15] = 0.0
        probabilities = rng.dirichlet(np.ones(sizes[-1]), M)
        probabilities[0] = np.eye(sizes[-1])[0]
        # softmax outputs all too small, or all too large, would have gradient terms of exactly 0 and rounding
        likely = case.loss == "cross_entropy" or case.output == "softmax"
        self.Y = single(probabilities if likely else rng.normal(0.5, 0.8, (M, sizes[-1])))
        self.weights = [single(rng.normal(0, 0.9, shape)) for shape in zip(sizes, sizes[1:], strict=False)]
        # mostly negative thresholds keep ReLU units awake
        self.thresholds = [single(rng.normal(-0.4, 0.3, q)) for q in sizes[1:]]
        self.start = reference.flatten(self.weights, self.thresholds)
        self.c = None
        if case.weights:
            self.c = single(rng.uniform(0.2, 2.0, M))
            self.c[[1, 4]] = 0.0
        self.trainable = None
        if case.mask != "all":
            masks = [np.ones(W.shape, bool) for W in self.weights], [np.ones(t.shape, bool) for t in self.thresholds]
            if case.mask == "some":
                masks = tuple([rng.random(part.shape) < 0.6 for part in parts] for parts in masks)
                masks[0][0][0, 0] = masks[0][-1][-1, -1] = True
            else:
                masks = masks[0], [~part for part in masks[1]]
            self.trainable = reference.flatten(*masks).astype(bool)
        self.activations = [case.hidden] * (case.depth - 1) + [case.output]

    @property
    def eta(self) -> float | None:
        return ETAS.get(self.case.rule)

    def by_reference(self, epochs: int = EPOCHS):
        case = self.case
        rprop = "rprop" in case.rule.lower()
        return reference.train(
            self.weights,
            self.thresholds,
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
            trainable=self.trainable,
            seed=case.seed,
        )

    def network(self) -> bpjit.Network:
        case = self.case
        return bpjit.Network.from_arrays(
            self.weights, self.thresholds, hidden=case.hidden, output=case.output, dtype=case.dtype
        )

    def by_bpjit(self, epochs: int = EPOCHS, **changes) -> bpjit.Fit:
        case = self.case
        rule = bpjit.Rprop(variant=case.rule) if "rprop" in case.rule.lower() else case.rule
        settings = {
            "eta": self.eta,
            "updates": case.updates,
            "loss": case.loss,
            "rule": rule,
            "lam": case.lam,
            "sample_weight": self.c,
            "trainable": self.trainable,
            "seed": case.seed,
            "stop": epochs,
        }
        return bpjit.train(self.network(), self.X, self.Y, **(settings | changes))


def distance(p, expected) -> float:
    """‖p − expected‖/‖expected‖."""
    return float(np.linalg.norm(p.astype(np.float64) - expected) / np.linalg.norm(expected))


def check(case: Case, expected) -> None:
    """Hold a training by bpjit against the reference's; every trained layer must have moved."""
    problem = Problem(case)
    fit = problem.by_bpjit()
    moved = np.abs(expected.vector - problem.start)
    trained = np.ones(len(moved), bool) if problem.trainable is None else problem.trainable
    for W, theta in zip(*reference.unflatten(np.where(trained, moved, np.nan), SIZES[case.depth]), strict=True):
        layer = np.concatenate([W.ravel(), theta])
        assert np.isnan(layer).all() or np.nanmax(layer) > 1e-6, f"a layer of {case} did not move: no test"
    # What is not trained keeps its bits.
    assert np.array_equal(fit.network.parameters[~trained], problem.start.astype(case.dtype)[~trained])
    # Rounding alone separates the two: 1e-12 leaves three digits in float64 (FMA, order of sums).
    tolerance = 1e-12 if case.dtype == "float64" else 1e-4
    assert distance(fit.network.parameters, expected.vector) <= tolerance, case
    np.testing.assert_allclose(fit.errors, expected.errors, rtol=tolerance, atol=tolerance * 1e-3, err_msg=str(case))
    assert fit.epochs == EPOCHS
