"""The site: every public name has a page, and what it shows can be understood without seeing it."""

import inspect
import re
from pathlib import Path

import pytest

import sknw
from sknw import datasets

ROOT = Path(sknw.__file__).parents[1]
EXAMPLES = sorted([*ROOT.glob("examples/plot_*.py"), *ROOT.glob("docs/lessons/plot_*.py")])


def test_every_public_name_has_a_page():
    listed = re.findall(r"^   ([\w.]+)$", (ROOT / "docs" / "api.rst").read_text(), re.MULTILINE)
    public = set(sknw.__all__) - {"datasets"}
    functions = inspect.getmembers(datasets, inspect.isfunction)
    public |= {f"datasets.{name}" for name, function in functions if function.__module__ == "sknw.datasets"}
    assert sorted(listed) == sorted(public)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_texts_of_figures_are_not_prose(example):
    # A comment below prose belongs to it, unless a blank line is between.
    assert not re.search(r"^#(?! sphinx_gallery).*\n# sphinx_gallery_alt", example.read_text(), re.MULTILINE)
