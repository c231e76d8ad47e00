"""AttentionRegressor: learned metrics, heads, and what they explain."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from sknw import AttentionDisplay, AttentionRegressor, LocalPolynomialRegressor, NadarayaWatsonRegressor
from sknw._attention._learned_metrics import LEARNED_METRICS

RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, size=(120, 4)) * [1, 10, 1e-3, 1] + [0, 1e4, 0, -5]
TRUTH = np.sin(X[:, 0]) + 1e3 * X[:, 2]
Y = TRUTH + 0.2 * RNG.normal(size=120)
Q = RNG.uniform(-3.5, 3.5, size=(30, 4)) * [1, 10, 1e-3, 1] + [0, 1e4, 0, -5]
MODELS = [
    AttentionRegressor(n_heads=2, random_state=0),
    AttentionRegressor("gaussian", n_heads=1),
    AttentionRegressor(degree=0, n_heads=2, random_state=0),
    AttentionRegressor(metric="isotropic", n_heads=2, random_state=0),
    AttentionRegressor("matern32", metric="opg", n_heads=2, random_state=0),
    AttentionRegressor(metric="mlkr", degree=0, n_heads=2, random_state=0),
    AttentionRegressor(metric=np.diag([1.0, 0.01, 1e3, 0.1]), n_heads=2, random_state=0),
    AttentionRegressor(degree=0, n_heads=2, n_rounds="gcv", random_state=0),
]


@pytest.fixture(scope="module")
def fitted():
    """That of the defaults, fitted to all."""
    return AttentionRegressor(random_state=0).fit(X, Y)


@pytest.fixture(scope="module")
def two_heads():
    """One that is made faster."""
    return clone(MODELS[0]).fit(X, Y)


@pytest.fixture(
    scope="module",
    params=MODELS,
    ids=lambda model: f"{model.kernel} {model.degree} {model.metric!s:.9} {model.n_rounds}",
)
def model(request):
    """Each model, fitted to two outputs and weights."""
    return clone(request.param).fit(X, np.c_[Y, -Y], np.arange(120) % 3)


def test_weights_make_the_predictions(model):
    weights = model.attention_weights(Q)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ np.c_[Y, -Y], model.predict(Q), atol=1e-10)
    assert (weights[:, ::3] == 0).all()
    attention = model.attention_weights(Q, effective=False)
    assert (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(axis=1), 1)
    if model.degree == 0 and model.n_rounds == 1:
        np.testing.assert_allclose(attention, weights, atol=1e-12)
    np.testing.assert_allclose(model.attention_weights_[[3, 5]], model.attention_weights(X[[3, 5]]))
    np.testing.assert_allclose(model.attention_weights_.trace(), np.trace(model.attention_weights(X)))
    sizes = model.effective_sample_size(Q)
    np.testing.assert_allclose(sizes, 1 / np.square(attention).sum(axis=1))


def test_what_is_learned(fitted):
    assert fitted.scales_.shape == (5, 4)
    assert (fitted.scales_[:, 0] > 5 * fitted.scales_[:, [1, 3]].max(axis=1)).all()
    assert len(fitted.components_) == 5
    importances = fitted.feature_importances_
    np.testing.assert_allclose(importances.sum(), 1)
    assert importances[[0, 2]].min() > 0.2 > 20 * importances[[1, 3]].max()
    assert r2_score(TRUTH, fitted.predict(X)) > 0.98
    # Smoothed without itself, a row is off by the noise at least.
    assert 0.9 < fitted.oof_score_ < r2_score(Y, fitted.predict(None)) + 0.01 < 1
    assert fitted.oof_score_ == r2_score(Y, fitted.oof_prediction_)


def test_a_single_head_with_a_given_metric_is_the_weighted_mean():
    x, at = X - [0, 1e4, 0, -5], Q - [0, 1e4, 0, -5]
    model = AttentionRegressor("gaussian", degree=0, n_heads=1, metric=np.diag([1.0, 0.1, 1e3, 0.5]), clip=False)
    mean = NadarayaWatsonRegressor("gaussian", [1.0, 10, 1e-3, 2.0]).fit(x, Y)
    np.testing.assert_allclose(model.fit(x, Y).predict(at), mean.predict(at), rtol=0, atol=1e-12)
    assert not hasattr(model, "oof_score_")


def test_a_head_is_a_local_line():
    model = AttentionRegressor("gaussian", n_heads=1, clip=False).fit(X, Y)
    Z = X @ model.components_[0].T
    line = LocalPolynomialRegressor("gaussian", bandwidth=1.0, ridge=model.heads_[0].ridge).fit(Z, Y)
    np.testing.assert_allclose(model.predict(Q), line.predict(Q @ model.components_[0].T), atol=1e-8)


def test_gradients_are_those_of_differences(model):
    inside = (Q[np.abs(Q - Q.mean(axis=0)).max(axis=1) < np.inf] - Q.mean(axis=0)) / 2 + Q.mean(axis=0)
    step, gradient = 1e-6 * X.std(axis=0), model.gradient(inside)
    for k, change in enumerate(np.diag(step)):
        difference = (model.predict(inside + change) - model.predict(inside - change)) / (2 * step[k])
        np.testing.assert_allclose(gradient[:, k] * X[:, k].std(), difference * X[:, k].std(), atol=1e-5)


def test_queries_beyond_the_data_are_clipped_and_named(fitted):
    far = Q[:2] + np.array([0, 1e6, 0, 0])
    edge = np.minimum(far, X.max(axis=0)).clip(X.min(axis=0))
    np.testing.assert_allclose(fitted.predict(far), fitted.predict(edge))
    assert fitted.extrapolates(far).all()
    assert not fitted.extrapolates(X).any()
    assert (fitted.gradient(far)[:, 1] == 0).all()
    free = AttentionRegressor(n_heads=1, clip=False).fit(X[:, :1], 3 * X[:, 0])
    np.testing.assert_allclose(free.predict([[30.0]]), 90, rtol=0.2)


def test_learning_does_not_depend_on_the_order_of_rows_nor_on_threads_nor_on_how_repetitions_are_told(two_heads, rng):
    order = rng.permutation(120)
    for other in (
        clone(two_heads).fit(X[order], Y[order]),
        clone(two_heads).set_params(n_jobs=2).fit(X, Y),
        clone(two_heads).fit(np.repeat(X, 2, axis=0)[::2], np.repeat(Y, 2)[::2]),
    ):
        np.testing.assert_allclose(other.scales_, two_heads.scales_, rtol=1e-12)
        np.testing.assert_allclose(other.predict(Q), two_heads.predict(Q), rtol=1e-12)
    weight = rng.integers(0, 3, 120)
    weighted = clone(two_heads).fit(X, Y, weight)
    repeated = clone(two_heads).fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    np.testing.assert_allclose(weighted.predict(Q), repeated.predict(Q), rtol=1e-9)
    np.testing.assert_allclose(np.repeat(weighted.oof_prediction_, weight), repeated.oof_prediction_, rtol=1e-9)
    np.testing.assert_allclose(weighted.oof_score_, repeated.oof_score_)


def test_units_of_features_and_labels_have_no_influence(two_heads):
    unit, origin = np.array([1e9, 1, 1e-9, 1]), np.array([0, 7, 0, 3])
    other = clone(two_heads).fit(X * unit + origin, 1e6 * Y - 5)
    np.testing.assert_allclose((other.predict(Q * unit + origin) + 5) / 1e6, two_heads.predict(Q), atol=1e-6)


def test_many_rows_are_learned_from_by_some(rng):
    # A metric is learned from 1000 rows, and its scale tuned by others.
    rows = rng.uniform(-3, 3, size=(1300, 2)) * [1, 1e-3]
    truth = np.sin(rows[:, 0]) + 1e3 * rows[:, 1]
    labels = truth + 0.2 * rng.normal(size=1300)
    model = AttentionRegressor(n_heads=1, random_state=0).fit(rows, labels)
    assert r2_score(truth, model.predict(rows)) > 0.98
    again = clone(model).fit(rows, labels)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))


def test_many_features_are_smoothed_by_means(rng):
    wide = rng.normal(size=(40, 70))
    model = AttentionRegressor(n_heads=1).fit(wide, wide[:, 0])
    assert model.degree_ == 0
    assert np.isfinite(model.predict(wide)).all()
    assert AttentionRegressor(metric="mlkr", n_heads=1).fit(wide, wide[:, 0]).components_[0].shape == (70, 70)
    with pytest.raises(ValueError, match="metric='opg' needs the slopes of local lines, for at most 60 features"):
        AttentionRegressor(metric="opg").fit(wide, wide[:, 0])


over_metrics = pytest.mark.parametrize(
    "model",
    [
        AttentionRegressor(metric=name, degree=degree, n_heads=2, random_state=0)
        for name in LEARNED_METRICS
        for degree in (0, 1)
    ],
    ids=lambda model: f"{model.metric} {model.degree}",
)


@over_metrics
def test_a_single_row_is_the_answer(model):
    model = clone(model).fit([[1.0, 2.0]], [5.0])
    assert model.predict([[3.0, 2.0]]) == 5
    with pytest.warns(UserWarning, match="need at least 2 samples .* they are NaN"):
        np.testing.assert_array_equal(model.predict(None), [np.nan])
    with pytest.warns(UserWarning, match="need at least 2 samples"):
        np.testing.assert_array_equal(model.extrapolates([[1.0, 2.0], [3.0, 2.0]]), [False, True])


@over_metrics
def test_constant_labels_are_the_answer(model):
    np.testing.assert_allclose(clone(model).fit(X[:, :2], np.full(120, 3.0)).predict(Q[:, :2]), 3)


@over_metrics
def test_the_mean_of_equal_rows_is_the_answer(model):
    np.testing.assert_allclose(clone(model).fit([[1.0, 2.0]] * 4, [1.0, 2.0, 3.0, 4.0]).predict([[0.0, 2.0]]), 2.5)


@over_metrics
@pytest.mark.parametrize("n", [2, 5])
def test_few_rows_some_of_whose_features_tell_nothing(model, n):
    some = clone(model).fit(np.c_[X[:n, :2], np.ones(n), X[:n, :1]], Y[:n])
    assert np.isfinite(some.predict(Q)).all()
    assert np.isfinite(some.feature_importances_).all()


def test_noise_is_not_learned():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 10)), rng.normal(size=300)
    model = AttentionRegressor(n_heads=2, random_state=0).fit(x, y)
    assert abs(model.score(rng.normal(size=(2000, 10)), rng.normal(size=2000))) < 0.03


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_explanations(frame, two_heads):
    names = list("abcd")
    model = clone(MODELS[0]).fit(frame(dict(zip(names, X.T, strict=True))), Y)
    explanation = model.explain(frame(dict(zip(names, Q[:3].T, strict=True))), n_rows=4)
    assert isinstance(explanation, frame)
    assert explanation.shape == (12, 6)
    table = {name: np.asarray(explanation[name]) for name in explanation.columns}
    np.testing.assert_array_equal(table["target"], Y[table["row"]])
    np.testing.assert_array_equal(table["query"], np.repeat(range(3), 4))
    attention = model.attention_weights(frame(dict(zip(names, Q[:3].T, strict=True))), effective=False)
    np.testing.assert_array_equal(table["row"][:4], np.argsort(-attention[0], kind="stable")[:4])
    bunch = two_heads.explain(Q[:3], n_rows=4)
    np.testing.assert_allclose(bunch.weight, table["weight"])
    two = clone(MODELS[2]).fit(X, np.c_[Y, Y]).explain(Q[:1], n_rows=500)
    assert {"target 0", "target 1"} < two.keys()
    assert len(two.row) == 120


def test_a_grid_search_chooses_the_degree():
    search = GridSearchCV(AttentionRegressor(n_heads=1), {"degree": [0, 1]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"degree": 1}


def test_a_pickle_predicts_the_same_bits(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(Q), fitted.predict(Q))


def test_predict_changes_nothing(fitted):
    before = vars(fitted).copy()
    fitted.predict(Q), fitted.feature_importances_, fitted.attention_weights(Q)
    assert vars(fitted) == before


def test_single_precision_stays_single(two_heads):
    single = clone(two_heads).fit(X.astype(np.float32), Y)
    assert single.predict(Q).dtype == np.float32
    np.testing.assert_allclose(single.predict(Q), two_heads.predict(Q), atol=0.1)


def test_its_attention_is_drawn(fitted):
    display = AttentionDisplay.from_estimator(fitted, X)
    assert display.weights.shape == (120, 120)


def test_what_is_refused():
    with pytest.raises(ValueError, match="needs a kernel that falls and is positive everywhere .* got 'tricube'"):
        AttentionRegressor("tricube").fit(X, Y)
    with pytest.raises(ValueError, match="degree must be 0 or 1; got 2"):
        AttentionRegressor(degree=2).fit(X, Y)
    with pytest.raises(ValueError, match="n_heads must be an integer, at least 1; got 0"):
        AttentionRegressor(n_heads=0).fit(X, Y)
    with pytest.raises(ValueError, match="metric"):
        AttentionRegressor(metric="best").fit(X, Y)
    with pytest.raises(ValueError, match=r"one column for each of 4 features; got one of shape \(2, 3\)"):
        AttentionRegressor(metric=np.ones((2, 3))).fit(X, Y)
    with pytest.raises(NotFittedError):
        AttentionRegressor().predict(X)
