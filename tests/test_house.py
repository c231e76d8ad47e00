"""The house: public names, import direction, sizes, and the guard against a package of the same name."""

import ast
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tokenize
from functools import lru_cache
from pathlib import Path

import pytest
import stamps
import walk

import sknw
from sknw import KERNELS
from sknw._algorithms import ALGORITHMS
from sknw._problem._distances import DISTANCES

PACKAGE = Path(sknw.__file__).parent

# From the top down: a room imports from its own floor and those below.
FLOORS = [
    ["__init__"],
    [
        "_attention_regressor",
        "_bandwidth_path",
        "_base",
        "_features",
        "_inference",
        "_local_polynomial",
        "_nadaraya_watson",
        "_progress",
        "_tables",
        "_validation",
    ],
    ["_attention", "_selection"],
    ["_fit"],
    ["_algorithms"],
    ["_problem"],
    ["_compiled"],
    ["_accuracy", "_arrays", "_kernels", "_tiles"],
]
ALONE = ["_displays", "datasets"]  # import no other room, and only the top imports them


def files():
    """(module, path) for each file of ours."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(files())
over_modules = pytest.mark.parametrize("module", MODULES)


@lru_cache
def tree(module):
    return ast.parse(MODULES[module].read_text())


def room(module):
    return module.split(".")[1] if "." in module else "__init__"


@lru_cache
def imports(module):
    """Modules of ours that a module imports, wherever in its file."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & MODULES.keys()) - {module}


# ---- imports


def test_every_room_is_on_the_plan():
    assert {room(module) for module in MODULES} == {room for floor in FLOORS for room in floor} | set(ALONE)


@over_modules
def test_imports_point_down(module):
    floor = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    own = room(module)
    for other in map(room, imports(module)):
        if other in ALONE and other != own:
            assert own == "__init__"
        elif other != own:
            assert own not in ALONE
            assert floor[own] <= floor[other], f"{module} imports {other}"


def test_algorithms_do_not_know_each_other():
    table, *shared = (f"sknw._algorithms{name}" for name in ("", "._protocol", "._boxes"))
    assert all(f"{table}.{name}" in MODULES for name in ALGORITHMS)
    for module in MODULES:
        if module.startswith(f"{table}.") and module not in shared:
            own = ".".join(module.split(".")[:3])
            others = {other for other in imports(module) if other.startswith(table)}
            assert all(other in shared or other.startswith(own) for other in others), module
        elif module != table:
            # Everyone else meets them in the table.
            algorithms = {other for other in imports(module) if other.startswith(f"{table}.")}
            assert algorithms <= set(shared), module


def longest_chain(module, above=()):
    """The longest chain of imports that begins with a module."""
    assert module not in above, f"a cycle: {' -> '.join([*above, module])}"
    if module not in CHAINS:
        chains = [longest_chain(other, (*above, module)) for other in imports(module)]
        CHAINS[module] = [module, *max(chains, key=len, default=[])]
    return CHAINS[module]


CHAINS = {}


def test_imports_make_no_cycle_and_no_long_chain():
    longest = max(map(longest_chain, MODULES), key=len)
    assert len(longest) <= 16, " -> ".join(longest)


def test_nothing_private_of_scikit_learn():
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                assert "._" not in node.module, module
                assert not [alias.name for alias in node.names if alias.name.startswith("_")], module


def test_importing_is_light():
    code = "import sys, sknw; print({'matplotlib', 'numba'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_compiled_files_state_what_they_are_built_on():
    assert not stamps.outdated(), "`python tests/stamps.py` mends it"


# ---- sizes


def docstrings(module):
    """The docstrings of a module, as nodes."""
    for node in ast.walk(tree(module)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            yield node.body[0].value


@lru_cache
def code_lines(module):
    """The numbers of lines with code: no docstrings, comments, and blank lines."""
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(MODULES[module].read_text()).readline):
        if token.type not in empty:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return lines - {line for each in docstrings(module) for line in range(each.lineno, each.end_lineno + 1)}


@over_modules
def test_files_are_short(module):
    assert len(code_lines(module)) <= 300


@over_modules
def test_functions_fit_a_screen(module):
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef):
            n_lines = len(code_lines(module) & set(range(node.lineno, node.end_lineno + 1)))
            assert n_lines <= 47, f"{node.name} has {n_lines} lines"


@over_modules
def test_classes_have_few_members(module):
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef):
            # Of its own: Python's are those of its protocols.
            members = [each.name for each in node.body if isinstance(each, ast.FunctionDef) and each.name[:2] != "__"]
            assert len(members) <= 15, f"{node.name} has {members}"


def test_following_a_fit_or_a_prediction_takes_few_files():
    report = subprocess.run([sys.executable, walk.__file__], capture_output=True, text=True, check=True).stdout
    found = walk.counts(report)
    for name in ("fit", "predict"):
        n_files, n_functions, _ = found[name]
        assert n_files <= 9, report
        assert n_functions <= 30, report
    *_, n_validations = found["AttentionRegressor.fit"]
    assert n_validations == 1, report


# ---- names


def words(module):
    """The strings of a module's code, docstrings excepted."""
    skipped = set(map(id, docstrings(module)))
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value


def test_a_problem_knows_no_metric_no_kernel_and_no_degree():
    module = "sknw._problem._problem"
    names = {*DISTANCES, *KERNELS}
    assert not [text for text in words(module) if text in names]
    called = {node.attr for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute)}
    called |= {node.id for node in ast.walk(tree(module)) if isinstance(node, ast.Name)}
    assert "degree" not in called


@over_modules
def test_algorithms_are_named_in_their_own_folder_only(module):
    pattern = rf"\b({'|'.join(name for name in ALGORITHMS if f'sknw._algorithms.{name}.' not in module)})\b"
    assert not [text for text in words(module) if re.search(pattern, text)]


def test_public_names():
    assert sorted(sknw.__all__) == sorted(
        name for name in vars(sknw) if not name.startswith("_") and name not in ("warnings", "Path")
    )
    for name in set(sknw.__all__) - {"KERNELS"}:
        assert getattr(sknw, name).__doc__


def test_a_mixed_up_installation_warns(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "sknw")
    (tmp_path / "sknw" / "sknw.py").touch()
    spec = importlib.util.spec_from_file_location("mixed_up", tmp_path / "sknw" / "__init__.py")
    with pytest.warns(ImportWarning, match="pip uninstall sknw scikit-nw"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize("example", sorted((PACKAGE.parent / "examples").glob("plot_*.py")), ids=lambda path: path.stem)
def test_examples_open_with_a_title_that_asks(example):
    title, rule, *_ = ast.get_docstring(ast.parse(example.read_text())).splitlines()
    assert title.endswith("?")
    assert rule == "=" * len(title)
