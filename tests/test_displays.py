"""Displays draw what the estimator says, and keep their artists."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.colors import to_rgb
from sklearn.datasets import make_regression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknw import (
    KERNELS,
    AttentionDisplay,
    BandwidthDisplay,
    KernelDisplay,
    NadarayaWatsonRegressor,
    RegressionDisplay,
    ScaleDisplay,
)
from sknw.datasets import make_sine

X, Y = make_sine(random_state=0)
MODEL = NadarayaWatsonRegressor().fit(X, Y)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    "draw",
    [
        lambda **kw: KernelDisplay.from_kernels([KERNELS["gaussian"], np.abs], **kw),
        lambda **kw: KernelDisplay.from_estimator(MODEL, **kw),
        lambda **kw: RegressionDisplay.from_estimator(MODEL, X, Y, **kw),
        lambda **kw: RegressionDisplay.from_estimator(MODEL, X, Y, return_std=True, coverage=0.9, **kw),
        lambda **kw: AttentionDisplay.from_estimator(MODEL, X, **kw),
        lambda **kw: BandwidthDisplay.from_estimator(MODEL, **kw),
        lambda **kw: ScaleDisplay(np.ones((2, 3)), ["a", "b", "c"]).plot(**kw),
    ],
)
def test_convention(draw):
    display = draw()
    assert display.figure_ is display.ax_.figure
    assert display.plot() is display
    _, ax = plt.subplots()
    assert draw(ax=ax).ax_ is ax
    assert draw(alpha=0.5)


def test_kernels_are_drawn_with_their_names():
    display = KernelDisplay.from_kernels([KERNELS["triangular"], np.cosh])
    assert [line.get_label() for line in display.lines_] == ["triangular", "cosh"]
    u, k = display.lines_[0].get_data()
    assert (u.min(), u.max()) == (-2.5, 2.5)
    np.testing.assert_allclose(k, np.maximum(1 - np.abs(u), 0))
    assert KernelDisplay.from_estimator(MODEL).lines_[0].get_label() == "gaussian"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda X: X, "x"),
        (lambda X: pd.DataFrame(X, columns=["age"]), "age"),
        (lambda X: pl.DataFrame(X, schema=["age"]), "age"),
        (lambda X: X.tolist(), "x"),
    ],
)
def test_regression(make, name):
    rows = make(X)
    model = NadarayaWatsonRegressor().fit(rows, Y)
    display = RegressionDisplay.from_estimator(model, rows, Y, truth=np.sin, n_points=50, color="red")
    np.testing.assert_allclose(display.line_.get_ydata(), MODEL.predict(display.grid[:, None]))
    np.testing.assert_allclose(display.truth_line_.get_ydata(), np.sin(display.grid))
    np.testing.assert_allclose(display.scatter_.get_offsets(), np.c_[X, Y])
    assert display.line_.get_color() == "red"
    assert display.ax_.get_xlabel() == name
    assert RegressionDisplay.from_estimator(model, rows, Y).truth_line_ is None


def test_regression_with_what_is_uncertain():
    display = RegressionDisplay.from_estimator(MODEL, X, Y, return_std=True, coverage=0.8, n_points=50)
    queries = display.grid[:, None]
    fit, std = MODEL.predict(queries, return_std=True)
    low, high = fit - 1.96 * std, fit + 1.96 * std
    box = display.band_.get_paths()[0].get_extents()
    np.testing.assert_allclose([box.y0, box.y1], [low.min(), high.max()])
    np.testing.assert_array_equal(display.interval, MODEL.predict_interval(queries, 0.8))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["data", "fit", "fit ± 1.96 standard errors", "80% interval"]
    colour = display.line_.get_color()
    assert (
        to_rgb(display.band_.get_facecolor()[0]) == to_rgb(display.interval_band_.get_facecolor()[0]) == to_rgb(colour)
    )
    again = display.plot(n_std=1, band_kwargs={"color": "red"}, interval_kwargs={"hatch": "/"})
    assert to_rgb(again.band_.get_facecolor()[0]) == to_rgb("red")
    assert again.interval_band_.get_hatch() == "/"
    plain = RegressionDisplay.from_estimator(MODEL, X, Y)
    assert plain.band_ is None
    assert plain.interval_band_ is None


def test_regression_draws_one_feature_and_one_output():
    with pytest.raises(ValueError, match=r"one feature: X must be \(n_samples, 1\), got \(40, 2\)"):
        RegressionDisplay.from_estimator(MODEL, np.c_[X, X], Y)
    with pytest.raises(ValueError, match="one output: the estimator predicts several"):
        RegressionDisplay.from_estimator(NadarayaWatsonRegressor().fit(X, np.c_[Y, Y]), X, Y)


def test_attention_is_in_the_order_of_a_feature():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(20, 2)), columns=["a", "b"])
    model = NadarayaWatsonRegressor(bandwidth=0.5).fit(rows, rng.normal(size=20))
    at = rows[:7] + 0.1
    display = AttentionDisplay.from_estimator(model, rows, at, feature="b")
    order = np.argsort(at["b"].to_numpy())
    want = model.attention_weights(at.iloc[order])[:, np.argsort(rows["b"].to_numpy())]
    np.testing.assert_allclose(display.im_.get_array(), want)
    assert display.ax_.get_xlabel() == "training rows, by b"
    assert display.colorbar_ is not None
    by_number = AttentionDisplay.from_estimator(model, rows, at, feature=1, colorbar=False)
    np.testing.assert_array_equal(by_number.weights, display.weights)
    assert by_number.colorbar_ is None
    assert AttentionDisplay(np.eye(2)).plot().ax_.get_ylabel() == "queries, by x"


def test_attention_in_logarithmic_colours():
    model = NadarayaWatsonRegressor("boxcar", 1.0).fit(X, Y)
    display = AttentionDisplay.from_estimator(model, X, scale="log")
    drawn = display.im_.get_array()
    np.testing.assert_array_equal(drawn.mask, display.weights == 0)
    assert display.im_.norm.vmax == display.weights.max()
    with pytest.raises(ValueError, match="scale must be 'linear' or 'log'; got 'cubic'"):
        display.plot(scale="cubic")


def test_bandwidth_of_each_feature():
    x, y = make_regression(100, 3, n_informative=2, random_state=0)
    model = NadarayaWatsonRegressor(bandwidth="ard").fit(pd.DataFrame(x, columns=list("abc")), y)
    display = BandwidthDisplay.from_estimator(model)
    kept = np.flatnonzero(np.isfinite(model.bandwidth_))
    assert list(display.curves) == ["abc"[k] for k in kept]
    np.testing.assert_array_equal(display.best_point_.get_xdata(), model.bandwidth_[kept])
    assert display.lines_[0].get_linestyle() == "None"


def test_bandwidth_of_an_estimator():
    display = BandwidthDisplay.from_estimator(MODEL)
    search = MODEL.bandwidth_search_
    np.testing.assert_array_equal(display.lines_[0].get_data(), [search.bandwidths[:, 0], search.scores])
    assert display.best == (MODEL.bandwidth_[0], search.best_score)
    assert display.ax_.get_xscale() == "log"
    several = NadarayaWatsonRegressor().fit(np.c_[X, X**2, np.ones(40)], Y)
    display = BandwidthDisplay.from_estimator(several)
    np.testing.assert_allclose(display.best[0], np.sqrt(np.prod(several.bandwidth_[:2])))
    assert "geometric mean" in display.ax_.get_xlabel()
    metric = NadarayaWatsonRegressor(metric="cityblock").fit(X, Y)
    assert BandwidthDisplay.from_estimator(metric).best[0] == metric.bandwidth_
    with pytest.raises(ValueError, match="no feature varies"):
        BandwidthDisplay.from_estimator(NadarayaWatsonRegressor().fit(np.ones((40, 2)), Y))
    with pytest.raises(ValueError, match="There is no search to draw"):
        BandwidthDisplay.from_estimator(NadarayaWatsonRegressor(bandwidth=1.0).fit(X, Y))


def test_bandwidth_of_a_grid_search():
    pipeline = make_pipeline(StandardScaler(), NadarayaWatsonRegressor())
    grid = {
        "nadarayawatsonregressor__kernel": ["gaussian", "cauchy"],
        "nadarayawatsonregressor__bandwidth": [1.0, 0.1, 0.5],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    display = BandwidthDisplay.from_cv_results(search)
    assert [line.get_label() for line in display.lines_] == ["kernel=gaussian", "kernel=cauchy"]
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [0.1, 0.5, 1.0])
    assert display.best == (search.best_params_["nadarayawatsonregressor__bandwidth"], search.best_score_)
    with pytest.raises(ValueError, match="one parameter 'width'; it has nadarayawatsonregressor__bandwidth"):
        BandwidthDisplay.from_cv_results(search, param="width")
