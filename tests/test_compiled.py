"""Compiled loops: when they are taken, and that nothing needs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import TOLERANCE
from definition import LOG_PROFILES
from problems import fits_of, make_problem

import sknw
from sknw import KERNELS, NadarayaWatsonRegressor
from sknw._algorithms import ALGORITHMS, build
from sknw._compiled import _readiness
from sknw._compiled._readiness import is_worth, would_be_worth

PACKAGE = Path(sknw.__file__).parent

SMALL_FIT = """
import sys, numpy as np
from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor
X = np.random.default_rng(0).normal(size=(300, 3))
for model in (NadarayaWatsonRegressor(), LocalPolynomialRegressor()):
    model.fit(X, X[:, 0]).predict(X)
print(model.inner_loop_, "numba" in sys.modules)
"""

# Work that is worth compiled loops, with them or without.
LARGE_FIT = """
import numpy as np
from sknw import NadarayaWatsonRegressor
from sknw._compiled import _readiness
_readiness.LOAD_SECONDS = 0.0
X = np.random.default_rng(0).normal(size=(500, 8))
model = NadarayaWatsonRegressor(bandwidth=2.0, algorithm="brute").fit(X, X[:, 0])
print(model.inner_loop_, model.predict(X[:2]).round(6))
"""


@pytest.fixture
def usable(monkeypatch):
    """Readiness without a history, and as if there were numba."""
    monkeypatch.setattr(_readiness, "LOAD_SECONDS", 1.0)
    monkeypatch.setattr(_readiness, "_spent", {})
    monkeypatch.setattr(_readiness._Numba, "is_usable", True)


def run(code, **environment):
    """What a process prints, and says in its log."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout.strip()


def test_work_adds_up_until_loops_are_worth_it(usable):
    assert not is_worth("one", 0.6)
    assert not would_be_worth("one", 0.3)
    assert would_be_worth("one", 0.5)
    assert not is_worth("other", 0.6)
    assert is_worth("one", 0.5)
    assert is_worth("one", 1e-6)
    assert not would_be_worth("other", 0.1)


def test_a_small_fit_imports_no_numba():
    assert run(SMALL_FIT) == "numpy False"


def without_numba(folder, error):
    """An environment in which importing numba raises an error."""
    folder.joinpath("numba.py").write_text(f"raise {error}")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


@pytest.mark.parametrize("error", ["ImportError('not here')", "AttributeError('coverage.types')"])
def test_a_numba_that_cannot_be_imported_is_no_error(tmp_path, error):
    loop, predictions = run(LARGE_FIT, PYTHONPATH=without_numba(tmp_path, error)).split(" ", 1)
    assert loop == "numpy"
    assert predictions == run(LARGE_FIT).split(" ", 1)[1]


@pytest.mark.parametrize("inner_loop", ["numpy"], indirect=True)
def test_the_inner_loop_is_told(inner_loop, caplog):
    X = np.random.default_rng(0).normal(size=(400, 8))
    with caplog.at_level("DEBUG", "sknw"):
        model = NadarayaWatsonRegressor(bandwidth=1.0).fit(X, X[:, 0])
    assert model.inner_loop_ == inner_loop
    assert caplog.messages[-1].endswith(f"Inner loop: {inner_loop}.")


def test_every_algorithm_tells_its_inner_loop():
    problem = make_problem(np.arange(30.0)[:, None])
    assert {each.inner_loop(problem) for each in ALGORITHMS.values()} == {"numpy"}


def with_both_loops(problem, queries, excluded=None):
    """Fits by brute force in NumPy, and in compiled loops."""
    fits = []
    for seconds in (np.inf, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_readiness, "LOAD_SECONDS", seconds)
            patch.setattr(_readiness, "LEAST_SECONDS", 0.0)
            algorithm = build("brute", problem)
            assert algorithm.inner_loop(problem) == ("numpy" if seconds else "compiled")
            fits.append(fits_of(algorithm, queries, excluded))
    return fits


# Several blocks of keys, some without weight, and queries that see keys of hardly any weight.
@pytest.mark.parametrize(
    ("n_features", "degree", "dtype"),
    [(1, 0, np.float64), (3, 1, np.float64), (2, 2, np.float64), (6, 0, np.float32), (20, 0, np.float64)],
)
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_all_pairs_are_summed_as_by_numpy(kernel, n_features, degree, dtype, rng):
    pytest.importorskip("numba")
    X, y = rng.normal(size=(700, n_features)).astype(dtype), rng.normal(size=(700, 3))
    weight, h = rng.integers(0, 3, 700), 0.5 + n_features / 4
    if n_features > 16 and not KERNELS[kernel].squared:
        pytest.skip("NumPy sums these")
    problem = make_problem(X, kernel, h, y=y, sample_weight=weight, degree=degree)
    far = X[:20] + 40 * h * np.sign(X[:20])
    own = np.flatnonzero(weight)[::9]
    # A parabola far outside is told by last digits.
    for queries, excluded in ((X[::9], None), (X[own], own), *[(far.astype(dtype), None)] * (degree < 2)):
        want, got = with_both_loops(problem, queries, excluded)
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[dtype])


def test_squares_of_kernels_are_compiled(rng):
    pytest.importorskip("numba")
    X = rng.normal(size=(300, 2))
    for name in LOG_PROFILES:
        want, got = with_both_loops(make_problem(X, KERNELS[name].square, 1.0, y=X), X[::5] * 1.1)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-10, err_msg=name)


def test_a_kernel_of_ones_own_is_summed_by_numpy(rng, monkeypatch):
    monkeypatch.setattr(_readiness, "LOAD_SECONDS", 0.0)
    X = rng.normal(size=(300, 2))
    model = NadarayaWatsonRegressor(lambda u: 1 / (1 + u), 1.0, algorithm="brute").fit(X, X[:, 0])
    assert model.inner_loop_ == "numpy"


@pytest.mark.parametrize("folder", ["missing", "closed"])
def test_a_cache_folder_that_cannot_be_written_is_no_error(tmp_path, folder):
    pytest.importorskip("numba")
    # Compiled files in a folder of their own: of numba's places to keep things, none is left.
    shutil.copytree(PACKAGE, tmp_path / "sknw", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sknw" / "_compiled" / "__pycache__").touch()
    (tmp_path / "closed").touch()
    environment = {"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path / "closed"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "closed" / "cache")}
    if folder == "closed":
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "closed" / "numba")
    assert run(LARGE_FIT, **environment).startswith("compiled")
