"""Build a reference of bpjit from its docstrings: HTML pages that need no network, opened by index.html.

The pages come whole or not at all. Public names stand in the order of the table "What there is" in README.md. Needs
pdoc, ``python -m pip install '.[docs]'``.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import bpjit
from script_tools import BadInput, run

HERE = Path(__file__).resolve().parent
README, TEMPLATES = HERE.parent / "README.md", HERE / "docs"
ROOMS = (  # a page each
    "compiled",
    "formulas",
    "graph",
    "descent",
    "unit",
    "plot",
    "sklearn",
    "settings.rules",
    "maths.formulas",
)
PAGES = {"index.html", "search.js", "bpjit.html", "bpjit"}  # what a reference consists of


def groups(text: str, heading: str = "What there is") -> dict[str, list[str]]:
    """The public names in each row of a README's table, in its order; what it leaves out comes last."""
    table = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines() if row.startswith("| ")]
    left = list(bpjit.__all__)
    found: dict[str, list[str]] = {}
    for title, *cells in rows:
        for name in re.findall(r"`(?:bpjit\.)?(\w+)\b[^`]*`", " ".join(cells)):
            if name in left:
                left.remove(name)
                found.setdefault(title, []).append(name)
    return found | ({"More": left} if left else {})


def contents(names: dict[str, list[str]]) -> str:
    """A table of the public names, in Markdown; pdoc makes each a link to where it stands."""
    rows = names | {"Pages of their own": [f"bpjit.{room}" for room in ROOMS]}
    lines = [f"| {title} | {', '.join(f'`{name}`' for name in rows[title])} |" for title in rows]
    return "\n".join(["| what | names |", "|---|---|", *lines])


def as_markdown(docstring: str) -> str:
    """NumPy style as it is written here, where ``name : what it is`` has no type, to Markdown."""
    changes = (
        (r"^=+(?: +=+)+\n(?:.+\n)*=+(?: +=+)+$", r"```text\n\g<0>\n```"),  # columns
        (r"^>>> .*(?:\n.+)*", r"```pycon\n\g<0>\n```"),
        (r"^([A-Z]\w+)\n-{3,}$", r"###### \1\n"),
        (r"^(\w[\w, ]*) : (.*(?:\n +\S.*)*)", r"- **\1**: \2"),
    )
    for pattern, form in changes:
        docstring = re.sub(pattern, form, docstring, flags=re.MULTILINE)
    return docstring


def load_pdoc() -> Any:
    """pdoc, set up for these docstrings."""
    try:
        pdoc = importlib.import_module("pdoc")
        importlib.import_module("pdoc.render")
    except ImportError as error:
        raise BadInput(f"the reference is built by pdoc ({error}); python -m pip install '.[docs]'") from error
    version = f"bpjit {bpjit.__version__}"
    pdoc.render.configure(docformat="markdown", show_source=False, footer_text=version, template_directory=TEMPLATES)
    pdoc.render.env.filters["to_markdown"] = as_markdown
    return pdoc


def whole(name: str) -> Any:
    """A module, with what it makes only when somebody asks for it."""
    module = importlib.import_module(name)
    for each in getattr(module, "__all__", ()):
        getattr(module, each)
    return module


def complete(doc: Any) -> None:
    """A class shows what it has from bases, too, which have no place of their own; a setting, such as a rule, only how
    one makes it: the rest serves kernels. Of an estimator neither its parameters, which its docstring tells, nor what
    scikit-learn makes in it."""
    setting, estimator = (doc.taken_from[0].startswith(f"bpjit.{room}") for room in ("settings", "sklearn"))
    doc.members = {
        name: member
        for name, member in doc.members.items()
        if name == "__init__"
        or (
            member.taken_from[0].startswith("bpjit")
            and not setting
            and not (estimator and (not member.docstring or name.endswith("_request")))
        )
    }
    doc.own_members = list(doc.members.values())


def write_pages(folder: Path) -> None:
    """All pages, into an empty folder."""
    pdoc = load_pdoc()
    names = groups(README.read_text("utf-8"))
    for name in bpjit.__all__:
        getattr(bpjit, name)  # some are loaded at their first use
    rooms = {room: pdoc.doc.Module(whole(f"bpjit.{room}")) for room in ROOMS}
    rooms["settings.rules"].members = {}  # its table; the rules themselves stand on the front page
    front = pdoc.doc.Module(bpjit)
    front.members = {name: rooms.get(name) or front.members[name] for title in names for name in names[title]}
    front.submodules = list(rooms.values())
    front.docstring = f"{front.docstring}\n\n{contents(names)}"
    modules = {"bpjit": front} | {f"bpjit.{room}": rooms[room] for room in ROOMS}
    for module in modules.values():
        for doc in module.classes:
            complete(doc)
    pages = {f"{name.replace('.', '/')}.html": pdoc.render.html_module(modules[name], modules) for name in modules}
    pages["index.html"] = pdoc.render.html_index(modules)
    pages["search.js"] = pdoc.render.search_index(modules)
    for path, page in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(page, "utf-8")


def build(folder: Path) -> None:
    """The reference in ``folder``: an older one is replaced, other files are not touched."""
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} in (set(), PAGES)):
        raise BadInput(f"folder: expected a new one, or one that holds a reference and nothing else, got {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        fresh, old = Path(beside) / "fresh", Path(beside) / "old"
        fresh.mkdir()
        write_pages(fresh)
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise


def script(options: argparse.Namespace) -> int:
    folder = Path(options.folder).resolve()
    try:
        build(folder)
    except OSError as problem:
        raise BadInput(f"folder: cannot be written: {problem}") from problem
    print(f"reference: {folder / 'index.html'}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="build/docs", help="where to put the pages (build/docs)")
    return run(script, parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
