"""Standard errors, noise, intervals, quantiles and support, compared with their definitions."""

import copy
import pickle

import numpy as np
import pytest
from kernels import Decay
from problems import make_problem, names_of_serving
from sklearn.base import clone

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = np.c_[np.sin(X[:, 0]) + 0.1 * RNG.normal(size=60), X[:, 0] * RNG.normal(size=60)]
QUERIES = RNG.normal(size=(25, 2))
WEIGHTS = {
    "none": np.ones(60),
    "counts": RNG.integers(0, 4, 60).astype(float),
    "importance": RNG.uniform(0.5, 2, 60),
}
MODELS = {
    "mean": NadarayaWatsonRegressor("gaussian", 0.6),
    "mean, heavy tails": NadarayaWatsonRegressor("cauchy", [0.4, 0.9]),
    "mean, cityblock": NadarayaWatsonRegressor("exponential", 0.6, metric="cityblock"),
    "mean, ends": NadarayaWatsonRegressor("triangular", 1.5),
    "line": LocalPolynomialRegressor("gaussian", 1, 0.6),
    "line, brute": LocalPolynomialRegressor("matern32", 1, 0.6, algorithm="brute"),
    "line, ends": LocalPolynomialRegressor("epanechnikov", 1, 1.5),
    "parabola": LocalPolynomialRegressor("gaussian", 2, 0.9),
    "parabola, ends": LocalPolynomialRegressor("biweight", 2, 2.5, algorithm="brute"),
}
over_models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
over_weights = pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
ignore_unreached = pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")


def fitted(model, weight=None, X=X, y=Y):
    return clone(model).fit(X, y, weight)


def repetitions(weight):
    return np.maximum(weight, 1) if (weight == weight.round()).all() else np.ones(len(weight))


def without(weight, row):
    """Weights when one repetition of a row is left out, or a row that weighs anything else."""
    left = weight.copy()
    left[row] -= 1 if (weight == weight.round()).all() else weight[row]
    return left


# ---- standard errors


@over_weights
@over_models
def test_standard_errors_are_those_of_the_matrix_of_weights(model, weight):
    model = fitted(model, weight)
    fit, std = model.predict(QUERIES, return_std=True)
    np.testing.assert_array_equal(fit, model.predict(QUERIES))
    squares = model.attention_weights(QUERIES) ** 2 / repetitions(weight)
    np.testing.assert_allclose(std, np.sqrt(squares @ (Y - model.predict(None)) ** 2), rtol=1e-8)
    np.testing.assert_allclose(
        model.predict(None, return_std=True)[1], model.predict(X, return_std=True)[1], rtol=1e-12
    )


@ignore_unreached
@pytest.mark.parametrize("bandwidth", [1e-6, 1e-3, 0.05, 0.4, 1e3])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "cauchy", "tricube"])
def test_algorithms_agree(kernel, bandwidth):
    x, y = X[:, :1] + 1e4, Y[:, 0]
    results = []
    for algorithm in names_of_serving(make_problem(x, kernel, bandwidth)):
        model = NadarayaWatsonRegressor(kernel, bandwidth, algorithm=algorithm).fit(x, y)
        at = QUERIES[:, :1] + 1e4
        std = model.predict(at, return_std=True)[1]
        results.append(
            [std, model.residual_variance(at), *model.predict_interval(at).T, model.effective_sample_size(at)]
        )
    assert len(results) == 3 - (kernel == "cauchy" and bandwidth < 0.05)
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-7, atol=1e-10)


@ignore_unreached
@pytest.mark.parametrize("algorithm", ["brute", "tree"])
def test_levers_that_are_large_where_the_kernel_is_small(algorithm):
    # Few rows in reach of a query: one at the end of the kernel may decide about a slope.
    rng = np.random.default_rng(0)
    x, at = rng.normal(size=(60, 3)), 1.2 * rng.normal(size=(1000, 3))
    model = LocalPolynomialRegressor("tricube", 1, 0.8, algorithm=algorithm).fit(x, Y[:, 0])
    got, errors = model.predict(at, return_std=True)[1], Y[:, 0] - model.predict(None)
    want, reached = model.attention_weights(at) ** 2 @ errors**2, ~np.isnan(got)
    assert reached.sum() > 300
    np.testing.assert_allclose(got[reached], np.sqrt(want[reached]), rtol=1e-7)


def test_far_queries_have_the_error_of_the_nearest_row():
    model = NadarayaWatsonRegressor(bandwidth=0.1).fit(X, Y[:, 0])
    far = X[X[:, 0].argmax()] + [1e3, 0]
    error = np.abs(Y[:, 0] - model.predict(None))[X[:, 0].argmax()]
    np.testing.assert_allclose(model.predict([far], return_std=True)[1], error)


def test_nothing_is_known_where_nothing_is_in_reach():
    for fallback in ("nearest", "mean", "nan"):
        model = NadarayaWatsonRegressor("boxcar", 2.0, fallback=fallback).fit(X, Y[:, 0])
        with pytest.warns(UserWarning, match="1 of 2 queries have no training row in reach"):
            _, std = model.predict([[0, 0], [50, 50]], return_std=True)
        np.testing.assert_array_equal(np.isnan(std), [False, True])
        np.testing.assert_array_equal(model.predict_interval([[50, 50]]), [[-np.inf, np.inf]])
        assert model.effective_sample_size([[50, 50]]) == 0


def test_a_kernel_that_does_not_state_its_logarithm():
    model = NadarayaWatsonRegressor(Decay(), 1.0).fit(X, Y[:, 0])
    want = NadarayaWatsonRegressor("exponential", 1.0).fit(X, Y[:, 0])
    np.testing.assert_allclose(*(m.predict(QUERIES, return_std=True)[1] for m in (model, want)))
    assert np.isnan(model.predict([[500, 0]], return_std=True)[1])


def test_labels_without_noise_have_no_error():
    model = LocalPolynomialRegressor(bandwidth=0.5).fit(X, np.ones(60))
    assert not model.predict(QUERIES, return_std=True)[1].any()
    np.testing.assert_array_equal(model.predict_interval(QUERIES, scaled=True), np.ones((25, 2)))
    assert not model.residual_variance(QUERIES).any()


# ---- noise


@over_weights
def test_residual_variance_is_the_mean_of_squared_errors(weight):
    mean, line = fitted(MODELS["mean"], weight), fitted(MODELS["line"], weight)
    for model in (mean, line):
        squares = (Y - model.predict(None)) ** 2
        np.testing.assert_allclose(model.residual_variance(QUERIES), mean.attention_weights(QUERIES) @ squares)
    np.testing.assert_allclose(
        fitted(line, weight, y=Y[:, 1]).residual_variance(QUERIES), line.residual_variance(QUERIES)[:, 1]
    )


# ---- intervals


@ignore_unreached
@over_weights
@over_models
def test_an_interval_is_that_of_refitting_without_each_row(model, weight):
    weight, x, y = weight[:40], X[:40], Y[:40]
    whole, rows = fitted(model, weight, x, y), np.flatnonzero(weight)
    fits = np.array([fitted(model, without(weight, row), x, y).predict(QUERIES) for row in rows])
    errors = np.abs(y - whole.predict(None))[rows, None]
    counts = repetitions(weight)[rows].astype(int)
    low, high = (np.sort(ends.repeat(counts, axis=0), axis=0) for ends in (fits - errors, fits + errors))
    n = counts.sum()
    for coverage in (0.5, 0.9):
        rank = int(np.ceil(coverage * (n + 1)))
        got = whole.predict_interval(QUERIES, coverage)
        np.testing.assert_allclose(got, np.stack([low[n - rank], high[rank - 1]], axis=-1), rtol=0, atol=1e-8)


@ignore_unreached
@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "tricube"])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_an_interval_where_few_rows_are_in_reach(kernel, degree):
    model = LocalPolynomialRegressor(kernel, degree, 0.3 if kernel == "gaussian" else 0.7).fit(X[:20], Y[:20, 0])
    fits = [clone(model).fit(np.delete(X[:20], i, 0), np.delete(Y[:20, 0], i)).predict(QUERIES) for i in range(20)]
    errors = np.abs(Y[:20, 0] - model.predict(None))[:, None]
    low, high = np.sort(fits - errors, axis=0), np.sort(fits + errors, axis=0)
    got, reached = model.predict_interval(QUERIES, 0.8), np.isfinite(model.predict(QUERIES, return_std=True)[1])
    want = np.c_[low[20 - 17], high[16]]
    np.testing.assert_allclose(got[reached], want[reached], rtol=1e-6, atol=1e-6)
    assert np.isinf(got[~reached]).all()


def test_with_a_ridge_the_penalty_is_that_of_all_rows():
    ridge, x, y, query = 0.5, X, Y[:, 0], QUERIES[0]
    model = LocalPolynomialRegressor(bandwidth=0.6, ridge=ridge).fit(x, y)
    weight = np.exp(-np.square((query - x) / 0.6).sum(axis=1) / 2)
    penalty = np.diag([0, *(weight.sum() * ridge * x.var(axis=0))])
    terms, fits = np.c_[np.ones(60), x - query], []
    for left_out in range(60):
        others = weight * (np.arange(60) != left_out)
        fits.append(np.linalg.solve(terms.T * others @ terms + penalty, terms.T * others @ y)[0])
    errors = np.abs(y - model.predict(None))
    low, high = np.sort(fits - errors), np.sort(fits + errors)
    np.testing.assert_allclose(model.predict_interval([query])[0], [low[60 - 55], high[54]], rtol=1e-10)


def test_intervals_are_infinite_where_rows_are_too_few():
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(X[:9], Y[:9, 0])
    assert np.isfinite(model.predict_interval(QUERIES, 0.9)).all()
    assert np.isinf(model.predict_interval(QUERIES, 0.91)).all()
    assert np.isinf(model.fit(X[:8], Y[:8, 0]).predict_interval(QUERIES, 0.9)).all()


def test_scaled_intervals_are_wide_where_labels_scatter(rng):
    x = np.linspace(-2, 2, 200)[:, None]
    y = np.where(x[:, 0] > 0, 1.0, 0.1) * rng.normal(size=200)
    model = NadarayaWatsonRegressor(bandwidth=0.2).fit(x, y)
    plain, scaled = (np.ptp(model.predict_interval([[-1.0], [1.0]], scaled=on), axis=1) for on in (False, True))
    assert plain[1] < 1.5 * plain[0]
    assert scaled[1] > 5 * scaled[0]


# ---- quantiles


@over_weights
def test_quantiles_are_those_of_the_weights(weight):
    model, line = fitted(MODELS["mean"], weight), fitted(MODELS["line"], weight)
    levels = np.array([0, 0.05, 0.5, 0.95, 1])
    got, weights = model.predict_quantiles(QUERIES, levels), model.attention_weights(QUERIES)
    assert got.shape == (25, 2, 5)
    for output in range(2):
        order = Y[:, output].argsort()
        cumulative = weights[:, order].cumsum(axis=1)
        for k, level in enumerate(levels[1:4], start=1):
            place = [np.searchsorted(row, level) for row in cumulative]
            np.testing.assert_array_equal(got[:, output, k], Y[order, output][place])
    assert (np.diff(got, axis=2) >= 0).all()
    np.testing.assert_array_equal(line.predict_quantiles(QUERIES, levels), got)


def test_quantiles_of_equal_weights_are_those_of_numpy():
    model = NadarayaWatsonRegressor("constant", 1.0).fit(X, Y[:, 0])
    levels = np.linspace(0, 1, 13)
    want = np.quantile(Y[:, 0], levels, method="inverted_cdf")
    np.testing.assert_array_equal(model.predict_quantiles(QUERIES[:1], levels)[0], want)


def test_quantiles_where_nothing_is_in_reach():
    for fallback, want in (("nan", np.nan), ("nearest", Y[X.sum(axis=1).argmax(), 0])):
        model = NadarayaWatsonRegressor("boxcar", 1.0, fallback=fallback).fit(X, Y[:, 0])
        with pytest.warns(UserWarning, match="no training row in reach"):
            np.testing.assert_array_equal(model.predict_quantiles([[1e6, 1e6]]), [[want] * 3])


# ---- support


@over_weights
@over_models
def test_effective_sample_size_is_that_of_the_weights(model, weight):
    flat = clone(model).set_params(degree=0) if "degree" in model.get_params() else model
    weights = fitted(flat, weight).attention_weights(QUERIES)
    want = 1 / (weights**2 / repetitions(weight)).sum(axis=1)
    np.testing.assert_allclose(fitted(model, weight).effective_sample_size(QUERIES), want, rtol=1e-8)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "precomputed"])
def test_distances_to_the_nearest_row(metric):
    order = 1 if metric == "cityblock" else 2
    between, across = (np.linalg.norm(a[:, None] - X, order, axis=2) for a in (X, 3 * QUERIES))
    rows, at = (between, across) if metric == "precomputed" else (X, 3 * QUERIES)
    model = NadarayaWatsonRegressor(bandwidth=0.5, metric=metric).fit(rows, Y)
    np.testing.assert_allclose(model.nearest_distance(at), across.min(axis=1) / 0.5, rtol=1e-9)
    gaps = np.sort(between, axis=1)[:, 1]
    for share in (0.01, 0.1, 0.5):
        want = [(gaps >= gap).mean() <= share for gap in across.min(axis=1)]
        np.testing.assert_array_equal(model.extrapolates(at, share=share), want)
    assert not model.extrapolates(rows).any()


def test_many_features_and_a_bandwidth_for_each(rng):
    x, bandwidth = rng.normal(size=(50, 12)) + 1e6, np.r_[np.inf, np.linspace(0.5, 2, 11)]
    model = NadarayaWatsonRegressor(bandwidth=bandwidth).fit(x, x[:, 1])
    at = x[:5] + rng.normal(size=(5, 12))
    want = np.linalg.norm((at[:, None] - x) / bandwidth, axis=2).min(axis=1)
    np.testing.assert_allclose(model.nearest_distance(at), want, rtol=1e-7)
    few = LocalPolynomialRegressor(bandwidth=bandwidth[:4]).fit(x[:, :4], x[:, 1])
    want = np.linalg.norm((at[:, None, :4] - x[:, :4]) / bandwidth[:4], axis=2).min(axis=1)
    np.testing.assert_allclose(few.nearest_distance(at[:, :4]), want, rtol=1e-7)


def test_queries_like_the_rows_rarely_extrapolate():
    rng = np.random.default_rng(1)
    model = NadarayaWatsonRegressor(bandwidth=0.5).fit(rng.normal(size=(2000, 2)), rng.normal(size=2000))
    assert 0.03 < model.extrapolates(rng.normal(size=(4000, 2)), share=0.05).mean() < 0.07


# ---- contracts


def everything(model, at):
    return [
        model.predict(at, return_std=True)[1],
        model.residual_variance(at),
        model.predict_interval(at),
        model.predict_interval(at, scaled=True),
        model.predict_quantiles(at),
        model.effective_sample_size(at),
        model.nearest_distance(at),
        model.extrapolates(at),
    ]


def assert_equal(got, want, rtol=1e-8):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", ["mean", "line", "parabola"])
def test_an_integer_weight_is_that_many_rows(kind):
    counts = WEIGHTS["counts"].astype(int)
    repeated = fitted(MODELS[kind], None, X.repeat(counts, axis=0), Y.repeat(counts, axis=0))
    assert_equal(everything(fitted(MODELS[kind], counts), QUERIES), everything(repeated, QUERIES))


@pytest.mark.parametrize("kind", ["mean", "line", "parabola"])
def test_units(kind):
    model = fitted(MODELS[kind])
    std, variance, *labels, size, distance, outside = everything(model, QUERIES)
    got = everything(fitted(MODELS[kind], y=1e3 * Y), QUERIES)
    assert_equal(got, [1e3 * std, 1e6 * variance, *(1e3 * item for item in labels), size, distance, outside])
    wide = fitted(clone(model).set_params(bandwidth=1e3 * model.bandwidth_), X=1e3 * X + 1e5)
    assert_equal(everything(wide, 1e3 * QUERIES + 1e5), [std, variance, *labels, size, distance, outside], 1e-7)


@over_models
def test_a_query_alone_gets_what_it_gets_in_a_batch(model):
    model = fitted(model)
    alone = [everything(model, QUERIES[i : i + 1]) for i in range(5)]
    assert_equal([np.concatenate(items) for items in zip(*alone, strict=True)], everything(model, QUERIES[:5]), 1e-9)
    threaded = fitted(model.set_params(n_jobs=2))
    many = np.tile(QUERIES, (60, 1))
    np.testing.assert_allclose(threaded.predict_interval(many)[:25], model.predict_interval(QUERIES), rtol=1e-9)


@over_models
def test_a_model_stays_what_it_is(model):
    model = fitted(model)
    before, state = vars(model).copy(), pickle.dumps(model)
    want = everything(model, QUERIES)
    assert vars(model) == before
    assert pickle.dumps(model) == state
    for twin in (pickle.loads(state), copy.deepcopy(model)):
        assert_equal(everything(twin, QUERIES), want, 1e-13)


@pytest.mark.parametrize("kind", ["mean", "line"])
def test_single_precision(kind):
    single = fitted(MODELS[kind], X=X.astype(np.float32))
    got = everything(single, QUERIES.astype(np.float32))
    assert {item.dtype for item in got} == {np.dtype(np.float32), np.dtype(bool)}
    assert_equal(got, everything(fitted(MODELS[kind]), QUERIES), 1e-3)


def test_shapes():
    one, several, at = fitted(MODELS["line"], y=Y[:, 0]), fitted(MODELS["line"]), QUERIES[:3]
    shapes = [item.shape for item in everything(one, at)]
    assert shapes == [(3,), (3,), (3, 2), (3, 2), (3, 3), (3,), (3,), (3,)]
    shapes = [item.shape for item in everything(several, at)]
    assert shapes == [(3, 2), (3, 2), (3, 2, 2), (3, 2, 2), (3, 2, 3), (3,), (3,), (3,)]
    assert several.predict_quantiles(at, [0.5]).shape == (3, 2, 1)


def test_one_row_tells_nothing_of_its_error():
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit([[1.0]], [2.0])
    for ask in (
        lambda: model.predict([[1.0]], return_std=True),
        lambda: model.residual_variance([[1.0]]),
        lambda: model.predict_interval([[1.0]]),
        lambda: model.extrapolates([[1.0]]),
    ):
        with pytest.raises(ValueError, match="at least two"):
            ask()
    assert model.effective_sample_size([[1.0]]) == 1
    assert model.nearest_distance([[3.0]]) == 2


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda m: m.predict_interval(QUERIES, 1.0),
            "coverage must be a number between 0 and 1, without these; got 1.0",
        ),
        (lambda m: m.predict_interval(QUERIES, "90 %"), "coverage must be a number between 0 and 1"),
        (lambda m: m.extrapolates(QUERIES, share=0), "share must be a number between 0 and 1, without these; got 0"),
        (lambda m: m.predict_quantiles(QUERIES, [0.5, 1.5]), "quantiles must be numbers from 0 to 1, at least one"),
        (lambda m: m.predict_quantiles(QUERIES, 0.5), r"of shape \(n_quantiles,\); got 0.5"),
        (lambda m: m.predict_quantiles(QUERIES, []), "at least one"),
        (lambda m: m.predict_interval(QUERIES[:, :1]), "X has 1 features"),
    ],
)
def test_errors_say_what_was_wanted(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(fitted(MODELS["mean"]))
