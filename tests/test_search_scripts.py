"""The scripts over many networks: what they print is right, and they end as they promise."""

import re
import sys

import numpy as np
import pytest

import benchmark_groups
import bpjit
import choose_lambda
import local_minima

FEW = ["--starts", "300", "--budget", "200", "--repetitions", "20", "--annealings", "2", "--epochs", "5000"]


def test_local_minima_counts_every_start_once(capsys):
    assert local_minima.main(FEW) == 0
    out = capsys.readouterr().out
    rows = re.findall(r"^([\d.]+|not settled) +(\d+) +([\d.]+) %", out, re.M)
    assert sum(int(count) for _, count, _ in rows) == 300
    assert sum(float(share) for *_, share in rows) == pytest.approx(100, abs=0.05)
    assert re.search(r"^0\.0625 .* local minimum$", out, re.M)
    errors = [float(error) for error, *_ in rows[:-1]]
    assert errors[0] <= 1e-3
    assert any(abs(error - 1 / 16) < 1e-3 for error in errors)  # two of the four samples at one half
    for remedy in ("5 restarts", "annealing within +-30", "the same with local search", "stochastic descent"):
        assert f"\n{remedy} " in out


def test_a_plateau_that_falls_is_no_minimum():
    nets = bpjit.Networks.random((2, 2, 1), 1000)
    fits = bpjit.train_many(nets, local_minima.X, local_minima.Y, eta=20.0, updates="accumulated", stop=5000)
    plateau = fits.networks[np.abs(fits.error - 1 / 12) < 1e-4]
    minimum = fits.networks[np.abs(fits.error - 1 / 16) < 1e-4]
    assert np.median([local_minima.least_curvature(net) for net in plateau]) < local_minima.DOWN
    assert np.median([local_minima.least_curvature(net) for net in minimum[:20]]) > local_minima.DOWN


def test_errors_that_lie_together_are_one_minimum():
    minima = local_minima.minima_of(np.array([1e-5, 0.0625, 2e-4, 0.0833, 0.0626, 9e-4]))
    assert [sorted(minimum.starts) for minimum in minima] == [[0, 2, 5], [1, 4], [3]]
    assert minima[1].error == pytest.approx(0.06255)


def test_choose_lambda_marks_the_smallest_error(capsys):
    assert choose_lambda.main(["--values", "4", "--restarts", "2", "--folds", "5", "--epochs", "60"]) == 0
    out = capsys.readouterr().out
    assert "5 values of lambda x 5 folds x 2 restarts = 50 trainings" in out
    rows = re.findall(r"^(none|[\d.]+) +(?:[\d.e-]+ +)?([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) %(.*)$", out, re.M)
    assert len(rows) == 5
    best = [float(row[1]) for row in rows if "<- best" in row[5]]
    assert best == [min(float(row[1]) for row in rows)]


def test_choose_lambda_reads_a_csv_file_and_knows_its_accuracy(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    names = np.where(X[:, 0] > 0, "warm", "cold")
    path = tmp_path / "plane.csv"
    path.write_text("a,b,class\n" + "".join(f"{a},{b},{name}\n" for (a, b), name in zip(X, names, strict=True)))
    options = [
        "--data",
        str(path),
        "--values",
        "1",
        "--low",
        "1e-5",
        "--restarts",
        "1",
        "--epochs",
        "50",
        "--folds",
        "4",
    ]
    assert choose_lambda.main(options) == 0
    out = capsys.readouterr().out
    shown = float(re.search(r"^none .* ([\d.]+) %", out, re.M).group(1))
    labels = (names == "warm").astype(int)
    net = bpjit.Network.random((2, 6, 2), output="softmax", scale=bpjit.Scale.standard(X))
    part, right = bpjit.deal_folds(labels, 4), []
    for fold in range(4):
        here = part == fold
        fit = bpjit.train(net, X, labels, sample_weight=~here * 1.0, eta=0.3, stop=50)
        right.append((fit.network.classify(X[here]) == labels[here]).mean())
    assert shown == pytest.approx(100 * np.mean(right), abs=0.05)


@pytest.mark.parametrize(
    ("script", "options", "words"),
    [
        (choose_lambda, ["--data", "missing.csv"], "missing.csv"),
        (choose_lambda, ["--low", "0.5", "--high", "0.1"], "--low"),
        (choose_lambda, ["--folds", "1"], "folds"),
        (local_minima, ["--seed", "-1"], "seed"),
    ],
)
def test_bad_input_ends_with_2(script, options, words, capsys):
    assert script.main(options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "options"), [(local_minima, FEW), (choose_lambda, ["--values", "2", "--restarts", "1", "--epochs", "5"])]
)
def test_figures(script, options, tmp_path, monkeypatch, capsys):
    path = tmp_path / "figure.png"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        assert script.main([*options, "--figure", str(path)]) == 2
    assert "pip install" in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    assert script.main([*options, "--figure", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert script.main([*options, "--figure", str(tmp_path / "none" / "figure.png")]) == 2


@pytest.mark.slow
def test_benchmark_of_groups_measures_all(capsys):
    arguments = "--keys 80 --rows 20 --epochs 2 --sklearn 1 --sklearn-epochs 2 --frame dict --mixed"
    assert benchmark_groups.main(arguments.split()) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("fit_groups", "train_many", "predict", "times; before it"))
