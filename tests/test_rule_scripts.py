"""The script that compares rules: what it prints is right, it draws, and it ends as it promises."""

import re

import numpy as np
import pytest

import bpjit
import compare_rules


def rows(out, title):
    """The rows of the table under this title, by rule."""
    body = re.search(rf"^{title}.*\n\n.*\n[- ]+\n((?:.+\n)+)", out, re.M).group(1)
    return {line.split()[0]: line for line in body.splitlines()}


def test_rules_side_by_side(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "rules.png"
    options = ["--problems", "sine", "parity", "--rules", "lm", "rprop", "sgd-stochastic", "--starts", "3"]
    assert compare_rules.main([*options, "--seconds", "5", "--figure", str(path)]) == 0
    out = capsys.readouterr().out
    assert path.read_bytes().startswith(b"\x89PNG")
    for title in ("sine, 1-5-1, 41 samples", "parity, 3-10-10-1, 8 samples"):
        found = rows(out, title)
        assert list(found) == ["lm", "rprop", "sgd-stochastic"]
        epochs = {rule: int(re.search(r"100 % +(\d+) \(", row)[1]) for rule, row in found.items()}
        assert 1 < epochs["lm"] < min(12, epochs["rprop"])
    assert all(row.count("(100 %)") == 2 for row in rows(out, "Median milliseconds").values())


def test_what_is_not_reached_is_not_counted(capsys):
    options = ["--problems", "sinc", "sine", "--rules", "lm", "br", "--quick", "--epochs", "20"]
    assert compare_rules.main(options) == 1
    out = capsys.readouterr().out
    assert out.startswith("2 starts each, of at most 0.25 s and 20 epochs")
    assert re.search(r"^lm +0 % +[\d.]+e-0\d$", out, re.M)
    assert re.search(r"^lm +- +[\d.]+ \(100 %\)$", out, re.M)


@pytest.fixture
def folder(tmp_path):
    """Data of the form of Proben1's cancer."""
    X = np.random.default_rng(0).uniform(size=(60, 9))
    labels = (X[:, 0] > X[:, 1]).astype(int)
    np.savez(tmp_path / "cancer.npz", X1=X, y1=np.eye(2)[labels], sizes=np.array([40, 10, 10]))
    return tmp_path


def test_proben1_and_the_mean_squared_error(folder, capsys):
    options = ["--data", str(folder), "--problems", "cancer", "--rules", "scg", "--starts", "2"]
    assert compare_rules.main([*options, "--seconds", "3"]) == 0
    assert "cancer, 9-5-5-2, 60 samples, nguyen_widrow: to 0.012" in capsys.readouterr().out
    problem = compare_rules.of_proben1(folder, "cancer")
    fit = bpjit.train(problem.start(0), problem.X, problem.Y, rule="scg", stop=[bpjit.TargetError(problem.error), 3000])
    mse = np.mean((fit.network.predict(problem.X) - problem.Y) ** 2)
    assert 0.5 * problem.goal < mse <= problem.goal


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--problems", "cancer"], "--data"),
        (["--data", "nowhere", "--problems", "diabetes"], "diabetes.npz"),
        (["--figure", "nowhere/rules.png"], "--figure"),
    ],
)
def test_bad_input_ends_with_2(options, words, capsys):
    assert compare_rules.main(options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
