"""XOR from a hundred starts: what is learnt, in both modes, from both inits."""

import itertools

import pytest

import bpjit
import train_xor

STOP = [bpjit.MaxEpochs(20_000), bpjit.TargetError(1e-3)]
ETAS = {"stochastic": 5.0, "accumulated": 20.0}
CASES = list(itertools.product(ETAS, ("glorot", "uniform01")))


def learnt(hidden, updates, init, xor):
    """How many of 100 seeds reach E ≤ 1e-3 within 20,000 epochs."""
    fits = (
        bpjit.train(
            bpjit.Network.random((2, hidden, 1), init=init, seed=seed),
            *xor,
            eta=ETAS[updates],
            updates=updates,
            stop=STOP,
            seed=seed,
        )
        for seed in range(100)
    )
    return sum(fit.error <= 1e-3 for fit in fits)


@pytest.mark.parametrize(("updates", "init"), CASES)
def test_four_hidden_units_learn_it(updates, init, xor):
    assert learnt(4, updates, init, xor) >= 99


@pytest.mark.parametrize(("updates", "init"), CASES)
def test_two_hidden_units_meet_local_minima(updates, init, xor):
    """2-2-1 is the discriminating case: many starts learn it, and many do not."""
    assert 50 <= learnt(2, updates, init, xor) <= 97


def test_the_script_learns_it_from_every_seed(capsys):
    for seed in range(100):
        assert train_xor.main(["--seed", str(seed)]) == 0
    assert "NOT" not in capsys.readouterr().out
