"""The scripts of the texts: what they print is right, they draw, and they end as they promise."""

import re

import numpy as np
import pytest

import compare_updates
import computational_graph
import gradient_descent
import linear_separability
import multiplying_neuron
from bpjit import descent

SCRIPTS = [computational_graph, gradient_descent, linear_separability, multiplying_neuron]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_each_draws_a_picture(script, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "picture.png"
    assert script.main(["--figure", str(path)]) == 0
    assert path.stat().st_size > 10_000
    assert f"figure: {path}" in capsys.readouterr().out


@pytest.mark.parametrize("script", [*SCRIPTS, compare_updates], ids=lambda script: script.__name__)
def test_a_picture_that_has_no_folder(script, tmp_path, capsys):
    assert script.main(["--figure", str(tmp_path / "nowhere" / "picture.png")]) == 2
    assert "--figure" in capsys.readouterr().err


def test_computational_graph_shows_the_text_s_derivatives(capsys):
    assert computational_graph.main([]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^b +1 +5 +2·1 \+ 3·1$", out, re.M)
    assert re.findall(r"^(e|de/da|de/db) +(\d)   the text's: (\d)$", out, re.M) == [
        ("e", "6", "6"),
        ("de/da", "2", "2"),
        ("de/db", "5", "5"),
    ]


def test_computational_graph_elsewhere(capsys):
    assert computational_graph.main(["-a", "-1.5", "-b", "0.25"]) == 0
    assert "central differences: " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        computational_graph.main(["-a", "nan"])


def test_computational_graph_fails_where_a_number_differs(monkeypatch, capsys):
    monkeypatch.setitem(computational_graph.TEXT, (2.0, 1.0), (6.0, 2.0, 4.0))
    assert computational_graph.main([]) == 1


def test_gradient_descent_ends_in_minima(capsys):
    assert gradient_descent.main(["--starts", "3"]) == 0
    out = capsys.readouterr().out
    rows = re.findall(r"^\(.*\) +\(.*\) +\S+ +(\d+) +tolerance +minimum (\d)$", out, re.M)
    assert len(rows) == 9
    assert {number for _, number in rows} == {"1", "2", "3", "4"}
    for how in ("nearer with each step", "there in one step", "overshoots, but nearer", "to and fro for ever"):
        assert how in out


def test_gradient_descent_that_does_not_arrive(capsys):
    assert gradient_descent.main(["--eta", "0.2", "--starts", "1"]) == 1
    assert "diverged" in capsys.readouterr().out
    assert gradient_descent.main(["--rule", "rprop", "--eta", "1"]) == 2
    assert "Rprop has no learning rate" in capsys.readouterr().err
    assert gradient_descent.main(["--rule", "adam", "--eta", "0.1"]) == 0


def test_multiplying_neuron_shows_both_methods_and_both_orders(capsys):
    assert multiplying_neuron.main([]) == 0
    out = capsys.readouterr().out
    nudged = re.findall(r"^\((-?5), .*\) +([\d.]+) +(rises|falls)", out, re.M)
    assert [(start, word) for start, _, word in nudged] == [("5", "rises"), ("-5", "falls")]
    assert float(nudged[0][1]) > 30 > float(nudged[1][1])
    assert len(re.findall(r"^one after another .* 30.616035999999998 +30.616035999999998$", out, re.M)) == 2
    assert len(re.findall(r"^at once .* 30.61299999\d+ +30.613$", out, re.M)) == 2
    assert multiplying_neuron.main(["--step", "0.1", "--seed", "3"]) == 0


def test_multiplying_neuron_fails_where_a_number_differs(monkeypatch, capsys):
    monkeypatch.setattr(multiplying_neuron, "ONE_AFTER_ANOTHER", 30.616036)
    assert multiplying_neuron.main([]) == 1


def test_the_limit_s_errors_fall_and_rise_again(capsys):
    found = multiplying_neuron.limit(None)
    errors = [float(line.split()[2]) for line in capsys.readouterr().out.splitlines() if line.startswith("1e-")]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
    assert min(errors) < 1e-6 < errors[-1]
    assert isinstance(found, descent.Derivative)


def test_linear_separability_decides_every_gate(capsys):
    assert linear_separability.main([]) == 0
    out = capsys.readouterr().out
    answers = dict(re.findall(r"^(\w+) +(?:[01] )+[01]? *(yes|no)", out, re.M))
    assert answers == {"NOT": "yes", "AND": "yes", "OR": "yes", "NAND": "yes", "NOR": "yes", "XOR": "no", "XNOR": "no"}
    assert "14 can be one unit" in out
    assert re.search(r"^XOR .*goes round for ever", out, re.M)
    assert re.findall(r"^([01]{2}) +[01] +[01] +([01])$", out, re.M) == [
        ("00", "0"),
        ("01", "1"),
        ("10", "1"),
        ("11", "0"),
    ]
    assert "output 0.8699" in out


def test_compare_updates_counts_updates(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "errors.png"
    assert compare_updates.main(["--seeds", "6", "--figure", str(path)]) == 0
    assert path.stat().st_size > 10_000
    out = capsys.readouterr().out
    rows = re.findall(r"^(standard|mini-batches of 2|accumulated) +(\d+) +(\d+) of 6 +(\d+) .*?  +(\d+) \(", out, re.M)
    assert [(name, eta) for name, eta, *_ in rows] == [
        ("standard", "5"),
        ("mini-batches of 2", "10"),
        ("accumulated", "20"),
    ]
    for (_, _, there, epochs, updates), per_epoch in zip(rows, (4, 2, 1), strict=True):
        assert there == "6"
        assert int(updates) == pytest.approx(per_epoch * int(epochs), abs=per_epoch)  # medians are rounded
    medians = np.array([[float(x) for x in line.split()[1:]] for line in out.split("epoch  ")[-1].splitlines()[2:8]])
    assert medians.shape[1] == 3
    assert (medians[0] > 0.1).all()


def test_compare_updates_where_nobody_arrives(capsys):
    assert compare_updates.main(["--seeds", "2", "--epochs", "3", "--same-eta"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^accumulated +5 +0 of 2$", out, re.M)
