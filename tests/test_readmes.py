"""What the two READMEs, English and Chinese, promise: examples that run and print what they show, the same examples,
commands and figures in both, links that lead somewhere, and every script named."""

import ast
import contextlib
import io
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("README.md", "README.zh-CN.md")
TEXTS = {name: (ROOT / name).read_text("utf-8") for name in NAMES}
ENGLISH, CHINESE = TEXTS.values()
SCRIPTS = sorted(path for path in (ROOT / "scripts").glob("*.py") if "__main__" in path.read_text("utf-8"))
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[-−]?\d+)?")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(text, language):
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def section(text, heading):
    """The text under a heading of the second level."""
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE).group(1)


def tables(text):
    """The rows of every table, without its header and outside of code."""
    found = re.findall(r"^\|[-| ]+\|\n((?:\|.*\n)+)", BLOCK.sub("", text), re.MULTILINE)
    return [[row.strip("|").split("|") for row in table.splitlines()] for table in found]


def numbers(text):
    return tuple(NUMBER.findall(text))


def commands(text):
    """The command in each row of each table of commands."""
    rows = [cell.strip() for table in tables(text) for row in table for cell in row]
    return sorted(cell.strip("`") for cell in rows if cell.startswith("`python scripts/"))


@pytest.mark.parametrize("name", NAMES)
def test_examples_run_and_print_what_is_shown(name, tmp_path, monkeypatch):
    """A block of text holds lines, in their order, of what the example before it prints; ... stands for any."""
    pytest.importorskip("matplotlib")  # which some of them draw with
    monkeypatch.chdir(tmp_path)  # some of them write files
    printed, shown = "", 0
    for kind, body in BLOCK.findall(TEXTS[name]):
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(body, name, "exec"), {})
            printed = out.getvalue()
        elif kind == "text" and printed:
            parts = [part.strip("\n") for part in re.split(r"^\.\.\.\n", body, flags=re.MULTILINE)]
            places = [printed.find(part) for part in parts]
            assert all(place >= 0 for place in places), parts[[place >= 0 for place in places].index(False)]
            assert places == sorted(places)
            shown += 1
    assert shown >= 3


@pytest.mark.parametrize("name", NAMES)
def test_the_first_command_prints_what_is_shown(name):
    first = next(body for body in blocks(TEXTS[name], "text") if body.startswith("XOR with "))
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "train_xor.py")], capture_output=True, text=True, check=True
    )
    time = re.compile(r"[\d.]+ ms")
    assert time.sub("", first).split() == time.sub("", done.stdout).split()


def test_the_same_examples_in_both():
    """But for comments and their order."""
    english, chinese = ([ast.dump(ast.parse(body)) for body in blocks(text, "python")] for text in TEXTS.values())
    assert Counter(english) == Counter(chinese)
    assert Counter(blocks(ENGLISH, "sh")) == Counter(blocks(CHINESE, "sh"))


def test_the_same_commands_in_both():
    assert commands(ENGLISH) == commands(CHINESE)


@pytest.mark.parametrize("name", NAMES)
def test_every_script_has_its_row(name):
    assert len(SCRIPTS) > 10
    assert {re.search(r"scripts/\w+\.py", command).group() for command in commands(TEXTS[name])} == {
        f"scripts/{path.name}" for path in SCRIPTS
    }


@pytest.mark.parametrize("name", NAMES)
def test_options_exist(name):
    """Each option named beside a script is one of that script's."""
    shared = {"--figure", "--help"}
    for script, line in re.findall(r"scripts/(\w+\.py)(.*)", TEXTS[name]):
        source = (ROOT / "scripts" / script).read_text("utf-8")
        for module in re.findall(r"^from benchmarks\.(\w+) import main", source, re.MULTILINE):
            source += (ROOT / "scripts" / "benchmarks" / f"{module}.py").read_text("utf-8")
        for option in set(re.findall(r"--[a-z][a-z-]+", line)) - shared:
            assert f'"{option}"' in source, (script, option)


def test_the_same_figures_in_both():
    """Every number in every table, cell by cell; tables may stand in another order."""
    english, chinese = (
        Counter(tuple(tuple(tuple(sorted(numbers(cell))) for cell in row) for row in table) for table in tables(text))
        for text in TEXTS.values()
    )
    assert english - chinese == Counter()
    assert chinese - english == Counter()


@pytest.mark.parametrize(("english", "chinese"), [("Speed", "速度"), ("Measured", "实测")])
def test_the_same_figures_between_the_tables(english, chinese):
    """In the words on speed and on what was measured, too."""
    english, chinese = Counter(numbers(section(ENGLISH, english))), Counter(numbers(section(CHINESE, chinese)))
    assert len(english) > 50
    assert english - chinese == Counter()
    assert chinese - english == Counter()


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    text = BLOCK.sub("", TEXTS[name])
    headings = {re.sub(r"[^\w\- ]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert {other for other in NAMES if other != name} <= set(links)
    for link in links:
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif "://" not in link:
            assert (ROOT / link.split("#")[0]).is_file(), link
