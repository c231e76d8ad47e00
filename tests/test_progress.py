"""Callbacks of scikit-learn hear of every bandwidth."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknw import AttentionRegressor, NadarayaWatsonRegressor

pytest.importorskip("sklearn.callback")  # scikit-learn 1.9

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X[:, 0] + 0.1 * RNG.normal(size=60)


class Recorder:
    """A callback that notes what it is told."""

    def __init__(self):
        self.heard = []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self.heard.append(f"end {context.task_name}")


@pytest.mark.parametrize("rule", ["loo", "aicc", "ard"])
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_each_bandwidth_is_a_task(rule, kernel):
    recorder = Recorder()
    model = NadarayaWatsonRegressor(kernel, rule).set_callbacks(recorder).fit(X, Y)
    assert recorder.heard[:2] == ["setup", "begin fit"]
    assert recorder.heard[-2:] == ["end fit", "teardown"]
    assert recorder.heard.count("end bandwidth") >= model.bandwidth_search_.n_evaluations


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_each_head_is_a_task(n_jobs):
    recorder = Recorder()
    AttentionRegressor(n_heads=3, n_jobs=n_jobs).set_callbacks(recorder).fit(X, Y)
    assert recorder.heard.count("begin head") == recorder.heard.count("end head") == 3


def test_a_fit_that_fails_ends_its_callbacks():
    recorder = Recorder()
    with pytest.raises(ValueError, match="kernel"):
        NadarayaWatsonRegressor("round").set_callbacks(recorder).fit(X, Y)
    assert recorder.heard == ["setup", "begin fit", "teardown"]


def test_without_callbacks_nothing_is_kept():
    model = NadarayaWatsonRegressor().fit(X, Y)
    assert not [name for name in vars(model) if "callback" in name]
    assert not [name for name in vars(clone(model)) if "callback" in name]


def test_a_grid_search_with_callbacks_does_not_warn():
    recorder = Recorder()
    GridSearchCV(NadarayaWatsonRegressor(), {"bandwidth": [0.1, 0.5]}, cv=2).set_callbacks(recorder).fit(X, Y)
    assert recorder.heard[-1] == "teardown"
