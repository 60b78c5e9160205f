"""The scripts that lay open a step of a text's network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import full_connection

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def test_full_connection_equals_the_formulas(capsys):
    assert full_connection.main([]) == 0
    out = capsys.readouterr().out
    assert "δ⁽²⁾_1 = out⁽²⁾_1−t_1 = 0.7568−0 = 0.7568" in out
    assert "everything is right" in out
    assert "wrong" not in out


def test_full_connection_in_the_book_s_notation_and_in_chinese(capsys):
    assert full_connection.main(["--notation", "book", "--language", "zh", "--digits", "6", "--eta", "0.5"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"g_1 = y_1−ŷ_1 = 0−0\.7567\d+ = −0\.7567\d+", out)
    assert "全部正确" in out


def test_full_connection_writes_a_page_and_a_document(tmp_path, capsys):
    page, document = tmp_path / "step.html", tmp_path / "step.tex"
    assert full_connection.main(["--html", str(page), "--latex", str(document)]) == 0
    text = page.read_text(encoding="utf-8")
    HTMLParser().feed(text)
    assert text.startswith("<!DOCTYPE html>")
    assert "0.7568" in text
    assert document.read_text(encoding="utf-8").startswith(r"\documentclass")
    assert str(page) in capsys.readouterr().out


def test_full_connection_sees_a_difference(monkeypatch, capsys):
    right = full_connection.by_hand(0.1)
    monkeypatch.setattr(full_connection, "by_hand", lambda eta: right | {"delta1": -right["delta1"]})
    assert full_connection.main([]) == 1
    assert "delta1  wrong" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--html", "/nowhere/at/all.html"], ["--digits", "0"]])
def test_full_connection_that_cannot_run(options, capsys):
    assert full_connection.main(options) == 2
    assert capsys.readouterr().err.startswith("full_connection: ")


def test_full_connection_as_a_command():
    done = subprocess.run([sys.executable, str(SCRIPTS / "full_connection.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
