"""The house: public names, import direction, and the guard against a package of the same name."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sknw

PACKAGE = Path(sknw.__file__).parent

# From the top down: a module imports from rooms below its own.
FLOORS = [
    ["__init__"],
    ["_attention_regressor", "_bandwidth_path"],
    ["_explanation"],
    ["_heads"],
    ["_local_polynomial", "_nadaraya_watson"],
    ["_smoother"],
    ["_uncertainty_mixin"],
    ["_uncertainty"],
    ["_attention_matrix", "_progress", "_validation"],
    ["_ridge"],
    ["_bandwidth", "_metrics"],
    ["_metric_learning", "_trials"],
    ["_boosting", "_gradient"],
    ["_leave_one_out"],
    ["_pooling"],
    ["_local_fit", "_nearest"],
    ["_algorithms"],
    ["_kernels"],
]
ALONE = ["_displays", "datasets"]  # import no other room, and only the top imports them
# The same within the algorithms, whose rooms know none beside them.
ALGORITHM_FLOORS = [
    ["__init__"],
    ["_brute", "_cells", "_path", "_tree"],
    ["_expansions", "_moments", "_neighbours", "_outliers", "_plane", "_scans", "_shells"],
    ["_clusters", "_groups"],
    ["_leaves", "_line", "_series"],
    ["_powers"],
    ["_problem"],
    ["_monomials", "_tiles"],
]


def imports():
    """(file, room, imported room) for each import of ours."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path} has a relative import"
                names = [node.module] if node.module != "sknw" else [f"sknw.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                if name.startswith("sknw."):
                    yield path.name, parts[0], name.split(".")[1]


def test_every_room_is_on_the_plan():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms == {room for floor in FLOORS for room in floor} | set(ALONE)


def test_imports_point_down():
    height = {room: -level for level, floor in enumerate(FLOORS) for room in floor}
    for file, room, imported in imports():
        if room == imported:
            continue
        if imported in ALONE:
            assert room == "__init__", f"{file} imports {imported}"
        else:
            assert room not in ALONE, f"{file} in {room} imports {imported}"
            assert height[room] > height[imported], f"{file} in {room} imports {imported}"


def test_algorithms_do_not_know_each_other():
    height = {room: -level for level, floor in enumerate(ALGORITHM_FLOORS) for room in floor}
    assert height.keys() == {path.stem for path in (PACKAGE / "_algorithms").glob("*.py")}
    for path in (PACKAGE / "_algorithms").glob("*.py"):
        for other in height:
            if f"from sknw._algorithms.{other} " in path.read_text():
                assert height[path.stem] > height[other], f"{path.stem} imports {other}"


def test_nothing_private_of_scikit_learn():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                assert "._" not in node.module
                assert not [alias.name for alias in node.names if alias.name.startswith("_")]


def test_public_names():
    assert sorted(sknw.__all__) == sorted(
        name for name in vars(sknw) if not name.startswith("_") and name not in ("warnings", "Path")
    )
    for name in set(sknw.__all__) - {"KERNELS"}:
        assert getattr(sknw, name).__doc__


def test_importing_is_light():
    code = "import sys, sknw; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


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
