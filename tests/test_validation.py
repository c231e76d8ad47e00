"""Bad input gets the exception and the kind of sentence that scikit-learn gives. No estimator is left half-fitted."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsRegressor

from sknw import KERNELS, Kernel, LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path

# Of so few rows on a line, each is best predicted from its nearest.
pytestmark = pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")

X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6.0)


def put(value):
    bad = X.copy()
    bad[1, 1] = value
    return bad


BAD_ROWS = [
    (put(np.nan), ValueError, "contains NaN"),
    (put(np.inf), ValueError, "contains infinity"),
    (X + 1j, ValueError, "Complex data not supported"),
    (np.array([["a", "b"]] * 6), ValueError, "could not convert string to float"),
    (np.array([[{}, 1]] * 6, dtype=object), TypeError, "must be a string or a .*number"),
    (Y, ValueError, "Expected 2D array, got 1D array instead"),
    (X[None], ValueError, "[Ff]ound array with dim 3"),
    (np.empty((0, 2)), ValueError, "0 sample"),
    (np.empty((6, 0)), ValueError, r"0 feature\(s\) \(shape=\(6, 0\)\)"),
    (csr_array(X), TypeError, "[Ss]parse data was passed"),
]


@pytest.mark.parametrize(("rows", "error", "message"), BAD_ROWS)
def test_bad_rows_to_fit(rows, error, message):
    with pytest.raises(error, match=message):
        NadarayaWatsonRegressor().fit(rows, Y)


@pytest.mark.parametrize(("rows", "error", "message"), BAD_ROWS[:-2] + BAD_ROWS[-1:])
def test_bad_rows_to_predict(rows, error, message):
    model = NadarayaWatsonRegressor().fit(X, Y)
    for method in (model.predict, model.attention_weights):
        with pytest.raises(error, match=message):
            method(rows)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.where(Y == 2, np.nan, Y), "y contains NaN"),
        (np.where(Y == 2, np.inf, Y), "y contains infinity"),
        (Y[:5], r"inconsistent numbers of samples: \[6, 5\]"),
        (None, "requires y to be passed, but the target y is None"),
        (np.array(list("abcdef")), "could not convert string to float"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        NadarayaWatsonRegressor().fit(X, labels)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 1, 1, 1, 1, -2], "Negative values in data passed to `sample_weight`: got -2"),
        ([0] * 6, "only zero weights"),
        ([1] * 5, r"sample_weight.shape == \(5,\), expected \(6,\)"),
        ([[1]] * 6, "must be 1D array or scalar, got 2D array"),
        ([1, 1, 1, 1, 1, np.nan], "sample_weight contains NaN"),
        ([1, 1, 1, 1, 1, np.inf], "sample_weight contains infinity"),
    ],
)
def test_bad_sample_weight(weight, message):
    with pytest.raises(ValueError, match=message):
        NadarayaWatsonRegressor().fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize(
    ("bandwidth", "error", "message"),
    [
        (0, ValueError, "bandwidth must be positive, got 0"),
        (-1.5, ValueError, "bandwidth must be positive, got -1.5"),
        (np.nan, ValueError, "bandwidth must be positive, got nan"),
        ([1, 0], ValueError, r"bandwidth must be positive, got \[1, 0\], for feature 1."),
        ([1, 2, 3], ValueError, r"one value or one per feature \(2\); got an array of shape \(3,\)"),
        ([[1, 2]], ValueError, r"one value or one per feature \(2\); got an array of shape \(1, 2\)"),
        ([], ValueError, r"one value or one per feature \(2\); got an array of shape \(0,\)"),
        ("median", ValueError, "must be one of 'aicc', 'ard', 'gcv', 'loo', 'scott', 'silverman'; got 'median'"),
        (None, TypeError, "bandwidth must be a positive number, .*'loo'.*; got None"),
        (True, TypeError, "bandwidth must be a positive number, .*; got True"),
        (1j, TypeError, "bandwidth must be a positive number, .*; got 1j"),
        ({}, TypeError, "bandwidth must be a positive number, .*; got {}"),
    ],
)
def test_bad_bandwidths(bandwidth, error, message):
    with pytest.raises(error, match=message):
        NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"kernel": "gausian"}, ValueError, "must be one of 'biweight', .*'gaussian', .*'uniform'; got 'gausian'"),
        ({"kernel": 3}, TypeError, "kernel must be a name, a Kernel or a callable; got 3"),
        ({"algorithm": "fast"}, ValueError, "algorithm must be one of 'auto', 'brute', 'cells', 'tree'; got 'fast'"),
        ({"algorithm": None}, ValueError, "algorithm must be one of 'auto', 'brute', 'cells', 'tree'; got None"),
        (
            {"algorithm": "cells", "kernel": "cosine"},
            ValueError,
            "algorithm='cells' cannot run this problem: it needs a ",
        ),
        ({"fallback": 0}, ValueError, "fallback must be one of 'mean', 'nan', 'nearest', 'raise'; got 0"),
        ({"metric": "manhattan"}, ValueError, "metric must be one of 'braycurtis', .*'yule'; got 'manhattan'"),
        ({"metric": "haversin"}, ValueError, "A function of two rows .* 'precomputed'.* coordinates as features"),
        ({"metric": 3}, ValueError, "A function of two rows serves too"),
        ({"metric": "mahalanobis"}, ValueError, "needs metric_params={'VI': ...}"),
        ({"metric": "seuclidean"}, ValueError, "needs metric_params={'V': ...}"),
        ({"metric_params": {"w": [1, 1]}}, ValueError, "metric='euclidean' takes no metric_params; got"),
        ({"metric": "minkowski", "metric_params": 3}, TypeError, "metric_params must be a dict or None, got 3"),
        ({"metric": "cityblock", "bandwidth": "scott"}, ValueError, "needs metric='euclidean'; got metric='cityblock'"),
        ({"metric": "cityblock", "bandwidth": [1, 2]}, ValueError, "needs metric='euclidean'; got metric='cityblock'"),
        ({"metric": lambda a, b: -1.0, "bandwidth": 1.0}, ValueError, "finite, non-negative distances; got -1"),
        ({"metric": lambda a, b: np.nan, "bandwidth": 1.0}, ValueError, "finite, non-negative distances; got nan"),
        ({"metric": lambda a, b: np.inf, "bandwidth": 1.0}, ValueError, "finite, non-negative distances; got inf"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        NadarayaWatsonRegressor(**params).fit(X, Y).predict(X)


def negative(u):
    return 0.5 - u


def not_a_number(u):
    return np.where(u > 1, np.nan, 1.0)


def infinite(u):
    return np.where(u > 1, np.inf, 1.0)


def scalar(u):
    return 1.0


def short(u):
    return np.ones(len(u) - 1)


def words(u):
    return np.full(u.shape, "a")


def imaginary(u):
    return u + 1j


@pytest.mark.parametrize("wrap", [lambda f: f, lambda f: Kernel(f.__name__, f)], ids=["function", "Kernel"])
@pytest.mark.parametrize(
    ("kernel", "error", "message"),
    [
        (negative, ValueError, "kernel 'negative' must return finite, non-negative numbers; got -2.5"),
        (not_a_number, ValueError, "kernel 'not_a_number' must return finite, non-negative numbers; got nan"),
        (infinite, ValueError, "kernel 'infinite' must return finite, non-negative numbers; got inf"),
        (scalar, ValueError, r"kernel 'scalar' must return an array of the shape that it gets; got \(\) for \(7,\)"),
        (short, ValueError, r"kernel 'short' must return an array of the shape that it gets; got \(6,\) for \(7,\)"),
        (words, TypeError, "kernel 'words' must return real numbers; got <U1"),
        (imaginary, TypeError, "kernel 'imaginary' must return real numbers; got complex128"),
    ],
)
def test_bad_kernels_are_named(kernel, error, message, wrap):
    with pytest.raises(error, match=message):
        NadarayaWatsonRegressor(wrap(kernel)).fit(X, Y)


@pytest.mark.parametrize(
    "fact", [{"support": 0.5}, {"polynomial": (1, -2)}, {"log_ratio": lambda t0, dt: -dt}], ids=["s", "p", "l"]
)
def test_a_kernel_that_misstates_a_fact_is_named(fact):
    with pytest.raises(
        ValueError, match=f"The {next(iter(fact))} that kernel 'cone' states is not that of its profile"
    ):
        NadarayaWatsonRegressor(Kernel("cone", lambda u: np.maximum(1 - u, 0), **fact)).fit(X, Y)


@pytest.mark.parametrize("power", [1, 2])
def test_an_inverse_distance_is_told_what_serves(power):
    def inverse(u):
        return 1 / u**power

    for kernel in (inverse, Kernel("inverse", inverse), Kernel("inverse", inverse, squared=True)):
        with pytest.raises(ValueError, match=r"got inf. .* KNeighborsRegressor\(.*'distance'\).* lambda u: 1 / \(1e-6"):
            NadarayaWatsonRegressor(kernel).fit(X, Y)
    nearly = NadarayaWatsonRegressor(lambda u: 1 / (1e-6 + u), bandwidth=1.0).fit(X, Y)
    exact = KNeighborsRegressor(6, weights="distance").fit(X, Y)
    np.testing.assert_allclose(nearly.predict(X), exact.predict(X), atol=1e-4)
    np.testing.assert_allclose(nearly.predict(X + 0.3), exact.predict(X + 0.3), atol=1e-4)


@pytest.mark.parametrize("metric", ["cityblock", "precomputed", lambda a, b: abs(a - b).sum()])
def test_lines_are_told_why_they_need_coordinates(metric):
    D = pairwise_distances(X)
    for degree in (1, 2):
        with pytest.raises(
            ValueError, match=f"degree={degree} needs features with metric='euclidean'.*Slopes are along"
        ):
            LocalPolynomialRegressor(degree=degree, metric=metric).fit(D, Y)
        with pytest.raises(
            ValueError, match=f"degree={degree} needs features with metric='euclidean'.*Slopes are along"
        ):
            bandwidth_path(D, Y, [1.0], degree=degree, metric=metric)
    model = NadarayaWatsonRegressor(bandwidth=1.0, metric=metric).fit(D, Y)
    with pytest.raises(ValueError, match="gradient needs features with metric='euclidean'.*Slopes are along"):
        model.gradient(D)
    same = LocalPolynomialRegressor(degree=0, bandwidth=1.0, metric=metric).fit(D, Y)
    np.testing.assert_array_equal(same.predict(D), model.predict(D))


def test_bandwidths_are_told_by_the_names_of_their_features():
    table = pd.DataFrame(X, columns=["age", "size"])
    for frame in (table, pl.from_pandas(table)):
        with pytest.raises(ValueError, match=r"bandwidth must be positive, got \[1, -2\], for feature 'size'."):
            LocalPolynomialRegressor(bandwidth=[1, -2]).fit(frame, Y)
        with pytest.raises(ValueError, match=r"bandwidth must be positive, got \[1, -2\], for feature 'size'."):
            bandwidth_path(frame, Y, [[1, 1], [1, -2]])


def test_a_kernel_with_another_support():
    wide = Kernel("wide", lambda u: np.maximum(1 - u / 2, 0), support=2.0, polynomial=(1, -0.5))
    got = NadarayaWatsonRegressor(wide, 1.5).fit(X[:, :1], Y).predict(X[:, :1])
    np.testing.assert_allclose(got, NadarayaWatsonRegressor("triangular", 3.0).fit(X[:, :1], Y).predict(X[:, :1]))


def test_a_kernel_is_checked_at_every_distance():
    model = NadarayaWatsonRegressor(lambda u: np.where(u > 50, -1.0, 1.0), 1.0).fit(X, Y)
    with pytest.raises(ValueError, match="must return finite, non-negative numbers; got -1"):
        model.predict([[1e3, 0]])


@pytest.mark.parametrize(
    ("D", "message"),
    [
        (np.ones((6, 5)), r"square matrix of distances .* got X of shape \(6, 5\)"),
        (-np.ones((6, 6)), "Negative values in data passed to metric='precomputed'.*; got -1"),
    ],
)
def test_bad_distances_to_fit(D, message):
    with pytest.raises(ValueError, match=message):
        NadarayaWatsonRegressor(metric="precomputed").fit(D, Y)


def test_bad_distances_to_predict():
    model = NadarayaWatsonRegressor(metric="precomputed", bandwidth=1.0).fit(np.abs(Y[:, None] - Y), Y)
    with pytest.raises(ValueError, match="X has 5 features, but NadarayaWatsonRegressor is expecting 6"):
        model.predict(np.ones((2, 5)))
    with pytest.raises(ValueError, match="Negative values"):
        model.predict(-np.ones((2, 6)))


def test_before_fit():
    model = NadarayaWatsonRegressor()
    for use in (model.predict, model.attention_weights, lambda X: model.attention_weights_):
        with pytest.raises(NotFittedError, match="This NadarayaWatsonRegressor instance is not fitted yet"):
            use(X)
    assert not hasattr(model, "attention_weights_")


def test_other_features():
    model = NadarayaWatsonRegressor().fit(pd.DataFrame(X, columns=["a", "b"]), Y)
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        model.predict(pd.DataFrame(X, columns=["a", "c"]))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="X has 3 features, but NadarayaWatsonRegressor is expecting 2"):
        NadarayaWatsonRegressor().fit(X, Y).predict(np.ones((1, 3)))


def test_a_failed_fit_leaves_an_unfitted_estimator_unfitted():
    model = NadarayaWatsonRegressor(bandwidth=-1)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="positive"):
        model.fit(X, Y)
    assert vars(model) == before


@pytest.mark.parametrize(
    ("params", "rows", "labels"),
    [
        ({"bandwidth": -1}, np.ones((6, 3)), Y),
        ({"kernel": "none"}, np.ones((6, 3)), Y),
        ({}, np.ones((6, 3)), Y[:5]),
        ({"bandwidth": "loo", "kernel": lambda u: np.where(u > 5, -1.0, 1.0)}, np.c_[X, X[:, 0]], Y),
    ],
)
def test_a_failed_fit_leaves_an_earlier_one_in_place(params, rows, labels):
    model = NadarayaWatsonRegressor().fit(pd.DataFrame(X, columns=["a", "b"]), Y)
    frame = pd.DataFrame(X, columns=["a", "b"])
    before, attributes = model.predict(frame), set(vars(model))
    model.set_params(**params)
    with pytest.raises(ValueError):  # noqa: PT011
        model.fit(rows, labels)
    assert set(vars(model)) == attributes
    np.testing.assert_array_equal(model.predict(frame), before)


def test_a_new_fit_forgets_the_old():
    model = NadarayaWatsonRegressor().fit(pd.DataFrame(X, columns=["a", "b"]), np.c_[Y, Y])
    model.set_params(bandwidth=1.0).fit(X, Y)
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model, "bandwidth_search_")
    assert model.predict(X).shape == (6,)


def test_parameters_are_only_looked_at_in_fit():
    model = NadarayaWatsonRegressor(kernel=KERNELS, bandwidth=-3, metric=1, algorithm=2, fallback=3)
    assert model.get_params()["bandwidth"] == -3
