"""What the READMEs, those of the package and of its scripts, in English and Chinese, promise: examples that run and
print what they show, the same examples, commands and figures in both languages, links that lead somewhere, every script
and every public name; and that the first one stays short."""

import ast
import contextlib
import io
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import bpjit
import build_docs
from cases import slow

ROOT = Path(__file__).resolve().parents[1]
FIRST = ("README.md", "README.zh-CN.md")
SECOND = ("scripts/README.md", "scripts/README.zh-CN.md")
NAMES = (*FIRST, *SECOND)
TEXTS = {name: (ROOT / name).read_text("utf-8") for name in NAMES}
ENGLISH, CHINESE = (TEXTS[first] + TEXTS[second] for first, second in zip(FIRST, SECOND, strict=True))
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


@pytest.mark.parametrize("name", [FIRST[0], SECOND[0], slow(FIRST[1]), slow(SECOND[1])])  # the same in both languages
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
    assert shown == (1 if name in FIRST else 3)


def without_times(text):
    return " ".join(re.sub(r"[\d.]+ ms", "", text).split())


def test_the_first_command_prints_what_is_shown():
    """In full, but for the time, and in short; ... stands for lines left out."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "train_xor.py")], capture_output=True, text=True, check=True
    )
    printed = without_times(done.stdout)
    for name, text in TEXTS.items():
        shown = next(body for body in blocks(text, "text") if body.startswith("XOR with "))
        if name in FIRST:
            start, end = map(without_times, shown.split("\n...\n"))
            assert printed.startswith(start)
            assert end in printed
        else:
            assert without_times(shown) == printed


@pytest.mark.parametrize("name", FIRST)
def test_the_first_page_is_short(name):
    assert len(TEXTS[name].splitlines()) <= 250


def test_the_same_examples_in_both():
    """But for comments and their order."""
    for pair in (FIRST, SECOND):
        english, chinese = ([ast.dump(ast.parse(body)) for body in blocks(TEXTS[name], "python")] for name in pair)
        assert Counter(english) == Counter(chinese)
        assert Counter(blocks(TEXTS[pair[0]], "sh")) == Counter(blocks(TEXTS[pair[1]], "sh"))
    assert [body.strip() for body in blocks(TEXTS["README.md"], "sh")] == [
        "python -m pip install . && python scripts/train_xor.py",
        "python -m pip install '.[test]' && python -m pytest",
    ]


def test_every_public_name_has_a_place_in_the_table():
    english = build_docs.groups(TEXTS["README.md"])
    chinese = build_docs.groups(TEXTS["README.zh-CN.md"], "能做什么")
    assert "More" not in english, english["More"]
    assert list(chinese.values()) == list(english.values())


@pytest.mark.parametrize("name", NAMES)
def test_names_exist(name):
    text = re.sub(r"<!--.*?-->", "", TEXTS[name], flags=re.DOTALL)
    modules = {"compiled", "sklearn", "warm_up"}
    named = set(re.findall(r"\bbpjit\.(\w+)", text)) - modules
    assert len(named) > 10
    assert named <= set(dir(bpjit))


def test_the_same_commands_in_both():
    assert commands(ENGLISH) == commands(CHINESE)


@pytest.mark.parametrize("name", SECOND)
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


def figures(text):
    """The numbers of every table, row by row; a row may have its numbers in another order, as languages do."""
    return [tuple(tuple(tuple(sorted(numbers(cell))) for cell in row) for row in table) for table in tables(text)]


@pytest.mark.parametrize("pair", [FIRST, SECOND])
def test_the_same_figures_in_both(pair):
    """Every number in every table, cell by cell; tables may stand in another order."""
    english, chinese = (Counter(figures(TEXTS[name])) for name in pair)
    assert english - chinese == Counter()
    assert chinese - english == Counter()


def test_the_speeds_of_the_first_page_are_those_measured():
    short = tables(section(TEXTS["README.md"], "How fast"))[0]
    full = tables(section(TEXTS["scripts/README.md"], "Speed"))[0]
    assert len(short) > 3
    assert all(row in full for row in short)


@pytest.mark.parametrize(("english", "chinese"), [("Speed", "速度"), ("Measured", "实测")])
def test_the_same_figures_between_the_tables(english, chinese):
    """In the words on speed and on what was measured, too."""
    english, chinese = Counter(numbers(section(ENGLISH, english))), Counter(numbers(section(CHINESE, chinese)))
    assert len(english) > 50
    assert english - chinese == Counter()
    assert chinese - english == Counter()


def anchors(text):
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", TEXTS[name]))
    assert len(links) > 10
    seen = set()
    for link in links:
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
        assert target.is_file(), link
        seen.add(str(target.relative_to(ROOT)))
        if heading:
            assert heading in anchors(target.read_text("utf-8")), link
    pair = FIRST if name in FIRST else SECOND
    assert {other for other in pair if other != name} <= seen
    assert {FIRST[pair.index(name)], SECOND[pair.index(name)]} - {name} <= seen  # the other page in this language
