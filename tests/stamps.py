"""Stamps of compiled modules: ``python tests/stamps.py`` writes them.

Numba keeps what it compiled until the file of a function changes, whatever happens to the functions that this calls in
other files. So a file states what it is built on: a stamp of the files of ours that it imports, those that are compiled
and the error budget, which changes as they do.
"""

import ast
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "sknw" / "_compiled"
LINE = re.compile(r'^_BUILT_ON = "(.*)"$', re.MULTILINE)


def stamp(path):
    """What a file is to state, or None if it imports none of these."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {node.module for node in nodes if (node.module or "").startswith(("sknw._compiled.", "sknw._accuracy"))}
    texts = [(ROOT / f"{name.replace('.', '/')}.py").read_bytes() for name in sorted(names)]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12] if texts else None


def stated(path):
    """What a file states, or None."""
    line = LINE.search(path.read_text())
    return line and line.group(1)


def outdated():
    """Files that state something else."""
    return [path for path in sorted(FOLDER.glob("*.py")) if stated(path) != stamp(path)]


if __name__ == "__main__":
    while paths := outdated():
        for path in paths:
            text, n_lines = LINE.subn(f'_BUILT_ON = "{stamp(path)}"', path.read_text())
            assert n_lines == 1, f'{path} needs a line _BUILT_ON = ""'
            path.write_text(text)
