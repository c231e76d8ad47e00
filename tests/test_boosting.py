"""Boosting: labels, weights and criterion are those of the definition, by the whole matrix."""

import numpy as np
import pytest
from problems import make_problem
from sklearn.metrics import r2_score

from sknw import AttentionRegressor, Kernel, NadarayaWatsonRegressor
from sknw._attention._boosting import best_boost, gcv_path

RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, size=(80, 2))
Y = np.c_[np.sin(2 * X[:, 0]) + 0.2 * RNG.normal(size=80), 100 * X[:, 1]]
Q = RNG.uniform(-3, 3, size=(20, 2))
DEFINITE = ["gaussian", "exponential", "matern32", "logistic", "sigmoid", "cauchy"]


def smoother(kernel, bandwidth, weight=None):
    """The matrix S."""
    return NadarayaWatsonRegressor(kernel, bandwidth).fit(X, Y, weight).attention_weights(X)


@pytest.mark.parametrize("kernel", DEFINITE)
def test_generalised_cross_validation_is_that_of_the_matrix(kernel):
    weight = np.arange(80) % 3 + 1.0
    S, left, mean = smoother(kernel, 0.7, weight), np.eye(80), np.average(Y, axis=0, weights=weight)
    path = gcv_path(make_problem(X, kernel, 0.7, y=Y, sample_weight=weight), 6)
    for found in path:
        left = left @ (np.eye(80) - S)
        residuals = left @ Y / np.sqrt(np.average(np.square(Y - mean), axis=0, weights=weight))
        df = 80 - np.trace(left)
        error = np.average(np.square(residuals).mean(axis=1), weights=weight)
        np.testing.assert_allclose(found, error / (1 - df / weight.sum()) ** 2)


@pytest.mark.parametrize("kernel", DEFINITE)
def test_eigenvalues_of_what_is_left_are_shares(kernel):
    for bandwidth in (0.05, 0.7, 30):
        values = np.linalg.eigvals(np.eye(80) - smoother(kernel, bandwidth))
        assert values.real.min() > -1e-10
        assert values.real.max() < 1 + 1e-10


@pytest.mark.parametrize("n_rounds", [1, 2, 5])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential"])
def test_predictions_are_those_of_repeated_smoothing(kernel, n_rounds):
    metric = np.diag([1.5, 0.7])
    model = AttentionRegressor(kernel, degree=0, n_heads=1, metric=metric, n_rounds=n_rounds, clip=False).fit(X, Y)
    mean = NadarayaWatsonRegressor(kernel, 1.0).fit(X @ metric, Y)
    at_rows, at_queries = mean.attention_weights(X @ metric), mean.attention_weights(Q @ metric)
    rest, fits = Y, 0
    for _ in range(n_rounds):
        fits = fits + at_queries @ rest
        rest = rest - at_rows @ rest
    np.testing.assert_allclose(model.predict(Q), fits, atol=1e-10)
    np.testing.assert_allclose(model.attention_weights(Q) @ Y, fits, atol=1e-10)
    np.testing.assert_allclose(model.attention_weights_ @ Y, model.predict(X), atol=1e-10)
    assert model.n_rounds_ == [n_rounds]


def test_the_best_of_all_rounds_and_widths_is_found():
    problem = make_problem(X, y=Y[:, :1])
    paths = {multiple: gcv_path(problem.with_bandwidth(1 / multiple), 50) for multiple in (1.0, 0.8, 0.6, 0.45, 0.35)}
    found = best_boost(problem, "gcv")
    assert found.n_rounds > 1
    assert paths[found.multiple][found.n_rounds - 1] == min(path.min() for path in paths.values())
    assert best_boost(problem, 3).n_rounds == 3
    assert best_boost(problem, 3).multiple == min(paths, key=lambda multiple: paths[multiple][2])


def test_boosting_sharpens_weighted_means(rng):
    x, q = rng.uniform(size=(150, 4)), rng.uniform(size=(500, 4))
    y, truth = (10 * at[:, 0] + 20 * np.square(at[:, 1] - 0.5) for at in (x, q))
    y += rng.normal(size=150)
    mean, boosted = (
        AttentionRegressor("gaussian", degree=0, n_rounds=n_rounds, random_state=0).fit(x, y) for n_rounds in (1, "gcv")
    )
    assert max(boosted.n_rounds_) > 1
    assert 1 - r2_score(truth, boosted.predict(q)) < 0.7 * (1 - r2_score(truth, mean.predict(q)))


def test_explanations_show_the_labels_as_they_were_given():
    model = AttentionRegressor(degree=0, n_heads=1, n_rounds=4).fit(X, Y[:, 0])
    rows = model.explain(Q[:3], n_rows=2)
    np.testing.assert_array_equal(rows["target"], Y[rows["row"], 0])


@pytest.mark.parametrize("y", [np.full(5, 3.0), np.arange(5.0)])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows_and_constant_labels(n, y):
    model = AttentionRegressor(degree=0, n_rounds="gcv", random_state=0).fit(X[:n], y[:n])
    assert y[:n].min() <= model.predict(X[:n]).min() <= model.predict(X[:n]).max() <= y[:n].max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_rounds": 0, "degree": 0}, "n_rounds must be an integer, at least 1, or 'gcv'; got 0"),
        ({"n_rounds": "loo", "degree": 0}, "n_rounds, where it is a name, must be one of 'gcv'; got 'loo'"),
        ({"n_rounds": 2}, "n_rounds=2 needs degree=0; got degree=1"),
    ],
)
def test_rounds_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        AttentionRegressor(**options).fit(X, Y)


def test_what_boosting_needs_and_what_it_ends():
    unknown = Kernel("mine", lambda t: np.exp(-t), squared=True, log_ratio=lambda t0, dt: -dt)
    with pytest.raises(ValueError, match="n_rounds='gcv' needs a positive definite kernel; got 'mine'"):
        AttentionRegressor(unknown, degree=0, n_rounds="gcv").fit(X, Y)
    with pytest.raises(ValueError, match=r"predict\(None\) needs n_rounds=1"):
        AttentionRegressor(degree=0, n_rounds=2, n_heads=1).fit(X, Y).predict(None)
