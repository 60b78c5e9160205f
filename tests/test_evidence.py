"""What Bayesian regularisation is for: to learn from all samples, without any kept back to stop or to choose by."""

import numpy as np
import pytest

import bpjit
from bpjit import EarlyStopping

HIDDEN, STARTS = (2, 4, 8, 16), 2  # networks to choose among


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cancer", "diabetes", "glass"])
def test_evidence_chooses_no_worse_than_a_validation_set(name, shared_data):
    """The test error of the network of the greatest evidence, and of that of the smallest validation error by Rprop
    stopped early, which leaves a third of the samples to that set: mean over the three orders of Proben1's samples."""
    by_evidence, by_validation = [], []
    with np.load(shared_data / "proben1" / f"{name}.npz") as arrays:
        data = [(arrays[f"X{order}"], arrays[f"y{order}"], *arrays["sizes"][:2]) for order in (1, 2, 3)]
    for X, Y, m, more in data:
        train, validation, known = (X[:m], Y[:m]), (X[m : m + more], Y[m : m + more]), (X[: m + more], Y[: m + more])
        fits = []
        for sizes in ((X.shape[1], hidden, Y.shape[1]) for hidden in HIDDEN):
            for seed in range(STARTS):
                net = bpjit.Network.random(sizes, "tanh", "softmax", seed=seed, scale=bpjit.Scale.standard(known[0]))
                stop = [EarlyStopping(patience=30), 3000]
                stopped = bpjit.train(net, *train, rule="rprop", validation=validation, stop=stop)
                fits.append((bpjit.train(net, *known, rule="br", stop=300), stopped))
        best = max((fit for fit, _ in fits), key=lambda fit: fit.evidence.log_evidence)
        by_evidence.append(bpjit.error(best.network, X[m + more :], Y[m + more :]))
        best = min((fit for _, fit in fits), key=lambda fit: np.nanmin(fit.validation_errors))
        by_validation.append(bpjit.error(best.network, X[m + more :], Y[m + more :]))

    assert np.mean(by_evidence) <= np.mean(by_validation)
