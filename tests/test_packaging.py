"""What an installation and a source archive hold: what is there now, and nothing that was."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import bpjit

ROOT = Path(__file__).resolve().parents[1]
TOP = ("src", "tests", "scripts", ".ci", ".gitignore", "pyproject.toml", "README.md", "README.zh-CN.md", "LICENSE")
pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="the tests run away from their project")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    for name in (*TOP, "CHANGELOG.md"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def install(project, folder):
    """The files that pip puts there."""
    options = "--quiet", "--no-deps", "--no-build-isolation", "--no-compile", "--no-index", "--target"
    subprocess.run([sys.executable, "-m", "pip", "install", *options, folder, project], check=True)
    return {path for path in files_in(folder) if path.startswith("bpjit/")}


def test_an_installation_holds_what_is_there_now(project, tmp_path):
    sources = {f"bpjit/{path}" for path in files_in(project / "src" / "bpjit")}
    assert {"bpjit/py.typed", "bpjit/replay/page/words.js", "bpjit/kernels/one/tiny.py"} <= sources
    before = files_in(project)
    assert install(project, tmp_path / "first") == sources
    assert files_in(project) == before  # no build folder stays
    package = project / "src" / "bpjit"
    (package / "maths").rename(package / "mathematics")
    moved = {path.replace("bpjit/maths/", "bpjit/mathematics/") for path in sources}
    assert moved != sources
    assert install(project, tmp_path / "second") == moved


def test_a_source_archive_holds_the_project(project, tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=project, check=True)
    with tarfile.open(tmp_path / f"bpjit-{bpjit.__version__}.tar.gz") as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames()}
    assert held == files_in(project) | {"PKG-INFO"}
