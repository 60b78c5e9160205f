"""The scripts run, say what they should, and end with the exit codes they promise."""

import gzip
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import control_plant
import proben1
import train_mnist
import train_watermelon
import train_xor
import worked_example

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def test_the_readable_way_goes_by_the_lines_of_the_book():
    """From the script to g_j by calls, in Python that a debugger can stop in; and to the result of the fast kernels."""
    program = """
import runpy, sys
seen = {}
def look(frame, event, argument):
    if frame.f_code.co_filename.endswith(("online.py", "formulas.py", "driver.py")):
        seen.setdefault(frame.f_code.co_name, frame.f_back.f_code.co_name)
del sys.argv[0]
sys.setprofile(look)
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    sys.setprofile(None)
    names = "output_gradient_term", "output_terms", "standard_bp", "advance"
    print(end.code, *map(seen.get, names))
"""
    script = str(SCRIPTS / "train_xor.py")
    done = subprocess.run(
        [sys.executable, "-c", program, script, "--readable", "--epochs", "20"],
        capture_output=True,
        text=True,
        check=True,
    )
    *shown, last = done.stdout.splitlines()
    assert last == "1 _terms standard_bp advance train_block"
    fast = subprocess.run([sys.executable, script, "--epochs", "20"], capture_output=True, text=True, check=False)
    assert shown[:-2] == fast.stdout.splitlines()[:-2]
    assert train_xor.main(["--readable"]) == 2


def test_xor_shows_the_fall_the_truth_table_and_why_it_stopped(capsys):
    assert train_xor.main([]) == 0
    out = capsys.readouterr().out
    assert "stopped by TargetError" in out
    assert out.count("#") > 50
    assert "1   1      0" in out


@pytest.mark.parametrize(
    "options",
    [
        ["--updates", "accumulated"],
        ["--updates", "2"],
        ["--dtype", "float32", "--hidden", "6"],
        ["--init", "uniform01", "--target", "cpu"],
    ],
)
def test_xor_with_options(options):
    assert train_xor.main(options) == 0


def test_xor_as_a_page(tmp_path, capsys):
    path = tmp_path / "xor.html"
    assert train_xor.main(["--replay", str(path)]) == 0
    assert "replay: " in capsys.readouterr().out
    assert "XOR, 2-4-1" in path.read_text()
    assert train_xor.main(["--replay", str(tmp_path / "none" / "xor.html")]) == 2
    assert capsys.readouterr().err.startswith("train_xor: ")


def test_xor_that_is_not_learnt(capsys):
    assert train_xor.main(["--epochs", "3"]) == 1
    assert "NOT learnt" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--target", "cuda"], ["--eta", "-1"], ["--hidden", "0"], ["--updates", "often"]])
def test_xor_that_cannot_run(options, capsys):
    assert train_xor.main(options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("train_xor: ")


def test_the_worked_example_equals_the_text(capsys):
    assert worked_example.main() == 0
    out = capsys.readouterr().out
    assert "every number equals the text's" in out
    assert "differs" not in out
    assert "0.0159136204436" in out


def test_a_changed_text_is_noticed(capsys, monkeypatch):
    monkeypatch.setitem(worked_example.TEXT, "E", [0.29837])
    assert worked_example.main() == 1
    assert "differs" in capsys.readouterr().out


def test_watermelon_exercises(capsys):
    assert train_watermelon.main(["--seeds", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    standard, accumulated = (next(line for line in lines if line[:1] == [name]) for name in ("standard", "accumulated"))
    assert "100%" in standard
    assert "100%" in accumulated
    assert int(standard[4]) > 10 * int(standard[2])  # 17 updates an epoch
    assert accumulated[4] == accumulated[2]
    reached = {(line[0], line[1]): line[-3] for line in lines if line[1:2] in (["Constant"], ["AdaptiveRate"])}
    assert reached["0.1", "Constant"] == "0%"
    assert all(share == "100%" for (_, rate), share in reached.items() if rate == "AdaptiveRate")


@pytest.fixture
def digits(tmp_path):
    """Two hundred pictures of bars, ten classes, as IDX files and as npz."""
    rng = np.random.default_rng(0)
    labels = (np.arange(240) % 10).astype(np.uint8)
    images = rng.integers(0, 60, (240, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 3] = 250
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    parts = (images[:200], labels[:200], images[200:], labels[200:])
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, part in zip(names, parts, strict=True):
        header = bytes([0, 0, 8, part.ndim]) + b"".join(size.to_bytes(4, "big") for size in part.shape)
        with gzip.open(folder / f"{name}.gz", "wb") as file:
            file.write(header + part.tobytes())
    np.savez(tmp_path / "digits.npz", **dict(zip(("x_train", "y_train", "x_test", "y_test"), parts, strict=True)))
    return tmp_path


@pytest.mark.parametrize("setting", ["nielsen", "best"])
@pytest.mark.parametrize("name", ["idx", "digits.npz"])
def test_mnist_from_either_form(digits, name, setting, capsys):
    assert train_mnist.main(["--data", str(digits / name), "--setting", setting, "--seeds", "1", "--epochs", "6"]) == 0
    out = capsys.readouterr().out
    mean = next(line.split() for line in out.splitlines() if line.startswith("mean"))
    assert float(mean[2]) > 80


def test_mnist_without_its_file(tmp_path, capsys):
    assert train_mnist.main(["--data", str(tmp_path / "nothing.npz")]) == 2
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and no more")
    assert train_mnist.main(["--data", str(tmp_path / "damaged.npz")]) == 2
    assert train_mnist.main(["--data", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3


def test_proben1_without_its_files(tmp_path, capsys):
    assert proben1.main(["--data", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py") if path.name[0] != "_"))
def test_help_of_every_script(script, monkeypatch, capsys):
    if "ArgumentParser(" in (SCRIPTS / script).read_text():
        monkeypatch.setattr(sys, "argv", [script, "--help"])
        with pytest.raises(SystemExit, match=r"^(0|None)$"):
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        assert f"usage: {script.removesuffix('.py')}" in capsys.readouterr().out


# --- Published results, for which the data are needed.


@pytest.mark.slow
def test_mnist_in_the_published_setting(shared_data, capsys):
    """784-30-10: at least 90 % after one epoch and 94.7 % after 30, mean of three seeds."""
    assert train_mnist.main(["--data", str(shared_data / "mnist" / "mnist.npz")]) == 0
    mean = next(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("mean"))
    assert float(mean[1]) >= 90.0
    assert float(mean[2]) >= 94.7


@pytest.mark.slow
def test_proben1_in_the_published_setting(shared_data, capsys):
    """cancer1, diabetes1, glass1: no worse than one published standard deviation above the published mean."""
    assert proben1.main(["--data", str(shared_data / "proben1")]) == 0
    assert "glass1" in capsys.readouterr().out


def test_a_plant_that_drifts_needs_a_controller_that_learns(capsys):
    assert control_plant.main(["--steps", "20000"]) == 0
    out = capsys.readouterr().out
    tenths = [line.split()[1:3] for line in out.splitlines() if line.strip()[:2].strip().isdigit() and "." in line]
    on, off = ([float(tenth[i]) for tenth in tenths[:10]] for i in (0, 1))
    assert on[:3] == off[:3]  # the same until a third
    assert max(on[7:]) < 0.6 * min(off[7:])
    assert "microseconds a step" in out


@pytest.mark.parametrize("options", [["--steps", "3"], ["--eta", "0"]])
def test_a_plant_that_cannot_be_run(options, capsys):
    try:
        code = control_plant.main(options)
    except SystemExit as ended:  # argparse
        code = ended.code
    assert code == 2
    assert "--" in capsys.readouterr().err
