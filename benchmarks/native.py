"""C++ beside these scripts, compiled where it is used."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path


@cache
def compiled(name):
    """The path of a shared library, compiled for this machine from the file of that name in this folder."""
    source, library = Path(__file__).with_name(f"{name}.cpp"), Path("build", f"{name}.so").resolve()
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        library.parent.mkdir(exist_ok=True)
        options = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-std=c++17", "-shared", "-fPIC"]
        subprocess.run(["g++", *options, source, "-o", library], check=True)
    return str(library)
