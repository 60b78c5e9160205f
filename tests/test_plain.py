"""Text where stdout does not have every character; and exit codes of scripts there."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.common.plain import plain, print_in_plain
from bpjit.many.searches import Table

ROOT = Path(__file__).resolve().parents[1]


def stdout_in(monkeypatch, encoding, errors="strict"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def printed(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


def things():
    net = bpjit.Network.random((2, 2, 1), seed=0)
    trace = bpjit.trace(net, [0.05, 0.1], [1.0])
    X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    return {
        "trace": trace,
        "Chinese trace": trace.styled(language="zh"),
        "comparison": trace.compare({"g": 0.5}),
        "table": Table([{"eta": 1.0}], *np.ones((4, 1)), fits=None, numbers=None),
        "derivative": bpjit.descent.derivative(np.sin, 1.0),
        "separation": bpjit.unit.separate(X, Y),
    }


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "gbk", "shift_jis", "utf-8"])
def test_everything_can_be_printed(monkeypatch, encoding):
    for name, thing in things().items():
        stream = stdout_in(monkeypatch, encoding)
        print(thing)
        assert len(printed(stream)) > 20, name
    assert any(letter in str(things()["trace"]) for letter in ("ŷ", "y^"))


def test_characters_that_are_there_stay(monkeypatch):
    trace = things()["trace"]
    whole = trace.text()
    for encoding, kept, replaced in (("utf-8", "ŷθη", ""), ("cp1253", "θη", "ŷ"), ("cp1252", "", "ŷθη")):
        stdout_in(monkeypatch, encoding)
        text = str(trace)
        assert all(letter in text for letter in kept if letter in whole)
        assert not any(letter in text for letter in replaced)
    stdout_in(monkeypatch, "utf-8")
    assert str(trace) == whole
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # that takes every text
    assert str(trace) == whole
    monkeypatch.setattr(sys, "stdout", None)  # as in a program without a console
    assert str(trace) == whole


def test_plain_characters_say_the_same():
    found = "".join(map(plain, "ŷ θ γ Δ η λ w² x₁ 10⁻³ ∂E/∂w ½ ≤ → é Ω λ"))
    assert found == "y^ theta gamma Delta eta lambda w2 x1 10-3 dE/dw 1/2 <= -> e Omega lambda"
    assert plain("中") == "?"
    assert all(plain(chr(code)).isascii() for code in range(0x80, 0x3000))


def test_stdout_takes_every_text_from_then_on(monkeypatch):
    stream = stdout_in(monkeypatch, "cp1252")
    monkeypatch.setattr(sys, "stderr", None)
    print_in_plain()
    print("η ± ŷ 中")
    assert printed(stream).strip() == "eta ± y^ ?"


@pytest.mark.parametrize(("script", "code"), [("computational_graph.py", 0), ("full_connection.py --help", 0)])
def test_exit_codes_mean_what_they_say_in_another_encoding(script, code):
    name, *arguments = script.split()
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    assert subprocess.run(command, capture_output=True, env=environment, timeout=300).returncode == code
