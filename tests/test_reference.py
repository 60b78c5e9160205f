"""The reference that ``scripts/build_docs.py`` makes of the docstrings, in a real browser: every public name has its
heading, links lead somewhere, letters of formulas are shown, nothing is asked of a network; and it is written whole or
not at all."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import bpjit
import build_docs

SCRIPT = Path(build_docs.__file__)
pytest.importorskip("pdoc", reason="pdoc, which builds the reference, is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "build" / "docs"
    assert build_docs.main([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def tab(browser):
    """A tab, and what pages in it complained of or asked for."""
    tab = browser.new_page()
    tab.complaints, tab.requests = [], []
    tab.on("console", lambda message: tab.complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda request: tab.requests.append(request.url))
    return tab


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def all_of(tab, selector, value):
    return tab.eval_on_selector_all(selector, f"all => all.map(one => one.{value})")


def test_every_public_name_has_its_heading_in_the_order_of_the_readme(folder, tab):
    tab.goto((folder / "index.html").as_uri())
    tab.wait_for_url("**/bpjit.html")  # where the first page leads
    headings = all_of(tab, "main > section[id]", "id")
    shown = all_of(tab, "main > section[id] > .attr .name", "innerText")
    assert [name.removeprefix("bpjit.") for name in shown] == headings
    assert set(headings) == set(bpjit.__all__)
    order = [name for names in build_docs.groups(build_docs.README.read_text("utf-8")).values() for name in names]
    assert headings == order
    listed = all_of(tab, ".module-info td:last-child code", "innerText")
    assert listed == [*order, *(f"bpjit.{room}" for room in build_docs.ROOMS)]
    assert all_of(tab, ".module-info td:last-child code", "querySelectorAll('a').length") == [1] * len(listed)


def test_docstrings_read_as_they_were_meant(folder, tab):
    tab.goto((folder / "bpjit.html").as_uri())
    names = all_of(tab, "#train .docstring li > strong:first-child", "innerText")
    assert names[:4] == ["net", "X", "Y", "eta"]
    sections = ["Parameters", "Returns", "Raises", "Warns", "Notes", "Examples"]
    assert all_of(tab, "#train .docstring h6", "innerText") == sections
    assert "array([0, 1, 1, 0])" in tab.inner_text("#train .docstring pre")
    assert "node  formula  value  ∂e/∂node" in tab.inner_text("#graph .docstring pre")  # columns stay columns
    assert "beta1" in tab.inner_text("[id='Adam.__init__']")
    assert "init : " not in tab.inner_text("body")
    assert "float64" in tab.inner_text("[id='Network.dtype']")  # of a base class
    assert tab.get_attribute("#Progress code > a:text-is('error')", "href") == "#Progress.error"  # not bpjit.error
    tab.goto((folder / "bpjit" / "sklearn.html").as_uri())
    shown = all_of(tab, "[id^='BPRegressor.']", "id")
    assert {"BPRegressor.fit", "BPRegressor.predict_interval", "BPRegressor.networks_"} <= set(shown)
    assert not {"BPRegressor.hidden", "BPRegressor.set_fit_request", "BPRegressor.get_params"} & set(shown)
    tab.goto((folder / "bpjit" / "settings" / "rules.html").as_uri())
    assert "Kingma & Ba 2015" in tab.inner_text(".module-info pre")


def test_pages_need_nothing_and_complain_of_nothing(folder, tab):
    """Every link within the reference leads to a page, and to a place on it."""
    places, links, text = {}, [], ""
    tab.complaints.clear()
    tab.requests.clear()
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) == 2 + len(build_docs.ROOMS)
    for path in pages[::-1]:  # the index, which leads on to another, comes first or last; it has no links
        tab.goto(path.as_uri())
        tab.wait_for_load_state()
        text += tab.inner_text("body")
        places[path] = set(all_of(tab, "[id]", "id"))
        links += [(path, link) for link in all_of(tab, "a[href]", "href")]
    assert len(links) > 500
    for page, link in links:
        parts = urlsplit(link)
        if parts.scheme == "file":
            target = Path(unquote(parts.path))
            assert target in places, (page.name, link)
            assert not parts.fragment or unquote(parts.fragment) in places[target], (page.name, link)
    for letter in "ŷθΣγλη∂√":
        assert letter in text
    assert tab.complaints == []
    assert {urlsplit(url).scheme for url in tab.requests} == {"file"}


def test_the_search_finds(folder, tab):
    tab.goto((folder / "bpjit.html").as_uri())
    tab.fill("input[type=search]", "early stopping")
    tab.wait_for_selector("main:has-text('search results')")
    assert "bpjit.EarlyStopping" in tab.inner_text("main")


def test_an_older_reference_is_replaced_and_nothing_else(folder, tmp_path, capsys):
    once = contents(folder)
    (folder / "bpjit.html").write_text("older")
    assert build_docs.main([str(folder)]) == 0
    assert contents(folder) == once
    (tmp_path / "bpjit").mkdir()
    (tmp_path / "bpjit" / "source.py").write_text("dear")
    for place in (tmp_path, tmp_path / "bpjit", tmp_path / "bpjit" / "source.py"):
        assert build_docs.main([str(place)]) == 2
        assert "expected a new one" in capsys.readouterr().err
    assert contents(tmp_path) == {"bpjit/source.py": b"dear"}


def test_a_build_that_fails_leaves_what_there_was(folder, tmp_path, monkeypatch):
    once = contents(folder)

    def fail(*_):
        raise RuntimeError("planned")

    monkeypatch.setattr("pdoc.render.search_index", fail)
    for place in (folder, tmp_path / "new"):
        with pytest.raises(RuntimeError, match="planned"):
            build_docs.main([str(place)])
    assert contents(folder) == once
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert list(tmp_path.iterdir()) == []


def test_without_pdoc_it_says_what_to_install(tmp_path):
    program = f"""
import sys
sys.modules["pdoc"] = None
import build_docs
sys.exit(build_docs.main(["{tmp_path}/new"]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parent, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r".*pdoc.*python -m pip install '\.\[docs\]'\n", done.stderr)
    assert not (tmp_path / "new").exists()
