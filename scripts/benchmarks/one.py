"""Measure bpjit beside C with the sizes compiled in (benchmark.c), NumPy by hand and, where installed, JAX, PyTorch and
scikit-learn, in turns in one process, on one core. Absolute times change with machine, clock and neighbours: compare
within a line only, on a quiet machine, best pinned to one core.

    python scripts/benchmark.py
    python scripts/benchmark.py digits_online digits_batch32 --dtype float64
    taskset -c 1 python scripts/benchmark.py --quick --json

Each line says how many nanoseconds bpjit takes for a sample, what multiple of C's time that is ("of C's time"), and for
everything else its time divided by bpjit's: 2.00 takes twice as long as bpjit. Data are synthetic and seeded, samples
come in the given order; results are checked against a slow NumPy reference before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import bpjit
from script_tools import BadInput, run

from . import cuda
from .contenders import BPJIT, PEERS
from .harness import DISTURBED, DTYPES, Entry, marked, passes_within, progress_line, take_turns
from .problems import WORKLOADS, Contender, Problem, check, make_problem
from .with_c import c_contender

DISTRIBUTIONS = {"sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Pace:
    """How long a repeat should take, in seconds, and how many rounds of repeats there are."""

    seconds: float
    rounds: int
    forms: int  # at most, that are tried of each contender


FULL, QUICK = Pace(0.15, 9, forms=2), Pace(0.01, 3, forms=1)


def make_entry(contender: Contender, problem: Problem, pace: Pace) -> Entry:
    """The fastest form of a contender, after its result was checked; a slow one is timed on some samples only."""
    make, data = contender.tasks[problem.work.task], problem if contender.compiles else problem.part
    found = []
    for form in make(data)[: pace.forms]:
        check(data, contender.label, form, contender.checked_passes)
        found.append((form, *passes_within(form, pace.seconds)))
    best = min(range(len(found)), key=lambda index: found[index][2])
    form, passes, seconds = found[best]
    if data is not problem and (contender.whole or seconds * len(problem.X) < 2 * pace.seconds * len(data.X)):
        data, form = problem, make(problem)[best]
        form(1)
        passes, _ = passes_within(form, pace.seconds)
    return Entry(contender.label, form, passes, len(data.X))


def measure(contenders: Sequence[Contender], problem: Problem, pace: Pace) -> dict[str, Entry]:
    """The contenders that can do it, timed in turns."""
    title = f"{problem.work.name} {problem.dtype}"
    entries = []
    for contender in contenders:
        if problem.work.task in contender.tasks:
            progress_line(f"{title}: {contender.label} is prepared")
            entries.append(make_entry(contender, problem, pace))
    return take_turns(entries, pace.rounds, title)


# --- What the user sees.


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def versions(contenders: Sequence[Contender], compiler: str | None) -> dict[str, str]:
    names = ["numba"] + [contender.module for contender in contenders if contender.module != "bpjit"]
    found = {"Python": platform.python_version(), "bpjit": bpjit.__version__}
    for name in dict.fromkeys(DISTRIBUTIONS.get(name, name) for name in names if name):
        found[name] = metadata.version(name)
    if compiler:
        found["C"] = compiler
    return found


def of_c_time(entries: dict[str, Entry]) -> float | None:
    return entries["bpjit"].ns / entries["C"].ns if "C" in entries else None


def ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


OF_C = "of C's time"


class Report:
    """Lines of a table, each written as soon as it is measured."""

    def __init__(self, head: dict[str, Any], labels: Sequence[str]) -> None:
        self._others = [label for label in labels if label != "bpjit"]
        self._disturbed = False
        print(f"{head['machine']}; {head['date']}")
        print(", ".join(f"{name} {version}" for name, version in head["versions"].items()))
        if head["missing"]:
            print(f"not installed: {', '.join(head['missing'])}")
        print("\nbpjit in ns for a sample; for each of the others its time / bpjit's time\n")
        titles = [f"{'workload':<20} {'dtype':<8} {'bpjit ns':>10}"]
        titles += [f"{OF_C:>12}"] if "C" in self._others else []
        print(" ".join(titles + [f"{label:>13}" for label in self._others]), flush=True)

    def line(self, problem: Problem, entries: dict[str, Entry]) -> None:
        ours = entries["bpjit"]

        def cell(text: str, entry: Entry | None, width: int) -> str:
            self._disturbed |= entry is not None and not entry.clean
            return f"{marked(text, entry):>{width}}"

        cells = [f"{problem.work.name:<20} {problem.dtype:<8}", cell(f"{ours.ns:,.1f}", ours, 10)]
        if "C" in self._others:
            share = of_c_time(entries)
            cells.append(f"{'' if share is None else ratio(share):>12}")
        for label in self._others:
            entry = entries.get(label)
            cells.append(cell("" if entry is None else ratio(entry.ns / ours.ns), entry, 13))
        print(" ".join(cells).rstrip(), flush=True)

    def end(self) -> None:
        if self._disturbed:
            print(DISTURBED)


class JSONReport:
    """One object a line: the machine and versions, then a line for each workload and dtype."""

    def __init__(self, head: dict[str, Any], labels: Sequence[str]) -> None:
        print(json.dumps(head), flush=True)

    def line(self, problem: Problem, entries: dict[str, Entry]) -> None:
        record = {
            "workload": problem.work.name,
            "dtype": problem.dtype,
            "ns_per_sample": {label: entry.ns for label, entry in entries.items()},
            "of_c_time": of_c_time(entries),
            "disturbed": [label for label, entry in entries.items() if not entry.clean],
        }
        print(json.dumps(record), flush=True)

    def end(self) -> None:
        pass


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("workloads", nargs="*", metavar="workload", help=f"default all: {', '.join(WORKLOADS)}")
    result.add_argument("--dtype", choices=DTYPES, help="default both")
    result.add_argument("--quick", action="store_true", help="fewer and shorter repeats: under a minute")
    result.add_argument(
        "--target", choices=("cpu", "cuda"), default="cpu", help="cuda: what benchmark_cuda.py does, with its arguments"
    )
    result.add_argument("--json", action="store_true", help="one JSON object a line")
    return result


def problems(options: argparse.Namespace) -> Iterator[Problem]:
    for name in options.workloads or WORKLOADS:
        for dtype in [options.dtype] if options.dtype else DTYPES:
            yield make_problem(WORKLOADS[name], dtype)


def benchmark(options: argparse.Namespace) -> int:
    for name in options.workloads:
        if name not in WORKLOADS:
            raise BadInput(f"workload: expected any of {', '.join(WORKLOADS)}, got {name}")
    installed = [peer for peer in PEERS if importlib.util.find_spec(peer.module)]
    missing = [DISTRIBUTIONS.get(peer.module, peer.module) for peer in PEERS if peer not in installed]
    with tempfile.TemporaryDirectory() as folder:
        c, compiler = c_contender(folder)
        contenders = [BPJIT, *([c] if c else []), *installed]
        head = {
            "machine": f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}",
            "date": time.strftime("%Y-%m-%d %H:%M"),
            "versions": versions(contenders, compiler),
            "missing": list(dict.fromkeys(missing)),
        }
        report = (JSONReport if options.json else Report)(head, [contender.label for contender in contenders])
        for problem in problems(options):
            report.line(problem, measure(contenders, problem, QUICK if options.quick else FULL))
        report.end()
    return 0


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if "--target" in given and given[given.index("--target") + 1 :][:1] == ["cuda"]:
        place = given.index("--target")
        return cuda.main(given[:place] + given[place + 2 :])
    return run(benchmark, parser(), arguments)
