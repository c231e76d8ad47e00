"""What every table of results begins with: the day, the machine, the versions, and the command that repeats it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

N_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor():
    """Its name, and the widest vectors that it computes with, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    vectors = next((f" with {name}" for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return facts.get("model name", platform.machine()) + vectors


def head(*packages):
    """Two paragraphs, to be read as Markdown and as reStructuredText."""
    known, missing = [f"Python {platform.python_version()}"], []
    for package in packages:
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    without = f"; without {', '.join(missing)}" * bool(missing)
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    cores = f"{N_CORES} core{'s' * (N_CORES > 1)}"
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    return f"{date.today()}, {processor()}, {cores}{load}; {', '.join(known)}{without}.\n\n``{command}``\n"


def line(cells):
    """A line of a table."""
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def header(columns):
    """The first two lines of a table."""
    return f"{line(columns)}\n|{'---|' * len(columns)}"
