"""Standard errors, noise, intervals, quantiles and support, compared with their definitions."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from kernels import Decay
from problems import make_problem, names_of_serving
from scipy.stats import gamma, norm
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


def noise_bandwidth(model, output):
    return model._noises()[output].squares.problem.distance.bandwidth


def at_least_the_band(low, high, model, queries, coverage):
    """Intervals that are no narrower than a band of standard errors."""
    fit, std = model.predict(queries, return_std=True)
    band = norm.ppf((1 + coverage) / 2) * std
    return np.stack([np.minimum(low, fit - band), np.maximum(high, fit + band)], axis=-1)


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
        with pytest.warns(UserWarning, match="Some queries have no training row in reach"):
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
    for kind in ("mean", "line", "parabola, ends"):
        model = fitted(MODELS[kind], weight)
        squares, got = (Y - model.predict(None)) ** 2, model.residual_variance(QUERIES)
        for output in range(2):
            mean = NadarayaWatsonRegressor(bandwidth=noise_bandwidth(model, output)).fit(X, Y, weight)
            np.testing.assert_allclose(got[:, output], mean.attention_weights(QUERIES) @ squares[:, output])
            alone = fitted(model, weight, y=Y[:, output])
            np.testing.assert_allclose(alone.residual_variance(QUERIES), got[:, output])


def test_the_noise_of_a_line_has_a_bandwidth_of_its_own(rng):
    x = rng.uniform(0, 10, (1000, 1))
    y = 2 * x[:, 0] + (0.2 + 0.3 * x[:, 0]) * rng.normal(size=1000)
    model = LocalPolynomialRegressor(bandwidth=1e3).fit(x, y)
    at = np.array([[1.0], [5.0], [9.0]])
    np.testing.assert_allclose(np.sqrt(model.residual_variance(at)), 0.2 + 0.3 * at[:, 0], rtol=0.25)
    # Of noise that is the same everywhere, all errors tell.
    even = LocalPolynomialRegressor(bandwidth=1e3).fit(x, 2 * x[:, 0] + rng.normal(size=1000))
    np.testing.assert_allclose(even.residual_variance(at), 1, rtol=0.1)


def test_a_feature_without_influence_on_the_fit_has_none_on_the_noise():
    model, other = (
        NadarayaWatsonRegressor(bandwidth=[0.6, np.inf]).fit(np.c_[X[:, 0], second], Y) for second in (X[:, 1], Y[:, 0])
    )
    for got, want in zip(everything(model, QUERIES), everything(other, QUERIES), strict=True):
        np.testing.assert_allclose(got, want)


def test_noise_where_nothing_is_in_reach_of_the_fit():
    for fallback in ("nan", "nearest"):
        model = NadarayaWatsonRegressor("boxcar", 1.0, fallback=fallback).fit(X, Y)
        with pytest.warns(UserWarning, match="no training row in reach"):
            variance = model.residual_variance([[0, 0], [1e6, 1e6]])
        assert np.isnan(variance[1]).all() == (fallback == "nan")
        assert (variance[0] > 0).all()


def test_the_noise_of_many_samples_is_the_same_in_a_copy():
    rng = np.random.default_rng(2)
    x, at = rng.uniform(0, 5, (3000, 1)), np.linspace(1, 4, 7)[:, None]
    model = LocalPolynomialRegressor(bandwidth=0.5).fit(x, (1 + x[:, 0]) * rng.normal(size=3000))
    want = model.residual_variance(at)
    np.testing.assert_allclose(np.sqrt(want), 1 + at[:, 0], rtol=0.25)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).residual_variance(at), want)


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
        want = at_least_the_band(low[n - rank], high[rank - 1], whole, QUERIES, coverage)
        np.testing.assert_allclose(whole.predict_interval(QUERIES, coverage), want, rtol=0, atol=1e-8)


@ignore_unreached
@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "tricube"])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_an_interval_where_few_rows_are_in_reach(kernel, degree):
    model = LocalPolynomialRegressor(kernel, degree, 0.3 if kernel == "gaussian" else 0.7).fit(X[:20], Y[:20, 0])
    fits = [clone(model).fit(np.delete(X[:20], i, 0), np.delete(Y[:20, 0], i)).predict(QUERIES) for i in range(20)]
    errors = np.abs(Y[:20, 0] - model.predict(None))[:, None]
    low, high = np.sort(fits - errors, axis=0), np.sort(fits + errors, axis=0)
    got, reached = model.predict_interval(QUERIES, 0.8), np.isfinite(model.predict(QUERIES, return_std=True)[1])
    want = at_least_the_band(low[20 - 17], high[16], model, QUERIES, 0.8)
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
    want = at_least_the_band(low[60 - 55], high[54], model, [query], 0.9)
    np.testing.assert_allclose(model.predict_interval([query]), want, rtol=1e-10)


def test_intervals_are_infinite_where_rows_are_too_few():
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(X[:9], Y[:9, 0])
    assert np.isfinite(model.predict_interval(QUERIES, 0.9)).all()
    with pytest.warns(UserWarning, match="coverage=0.91 need at least 11 samples"):
        assert np.isinf(model.predict_interval(QUERIES, 0.91)).all()
    with pytest.warns(UserWarning, match="coverage=0.9 need at least 9 samples"):
        assert np.isinf(model.fit(X[:8], Y[:8, 0]).predict_interval(QUERIES, 0.9)).all()


def test_scaled_intervals_are_wide_where_labels_scatter(rng):
    x = np.linspace(-2, 2, 200)[:, None]
    y = np.where(x[:, 0] > 0, 1.0, 0.1) * rng.normal(size=200)
    model = NadarayaWatsonRegressor(bandwidth=0.2).fit(x, y)
    plain, scaled = (np.ptp(model.predict_interval([[-1.0], [1.0]], scaled=on), axis=1) for on in (False, True))
    assert plain[1] < 1.5 * plain[0]
    assert scaled[1] > 5 * scaled[0]


@over_weights
def test_scaled_intervals_are_those_of_errors_in_units_of_what_is_to_be_expected(weight):
    x, y, at = X[:, :1], Y[:, 1], QUERIES[:, :1]
    model = LocalPolynomialRegressor(bandwidth=0.8).fit(x, y, weight)
    errors, counts, scores, fits = np.abs(y - model.predict(None)), repetitions(weight).astype(int), [], []
    for row in np.flatnonzero(weight):
        rest = without(weight, row)
        refitted = LocalPolynomialRegressor(bandwidth=0.8).fit(x, y, rest)
        squares = refitted.attention_weights(x[[row]]) ** 2 / np.where(rest > 0, repetitions(rest), 1)
        noise = NadarayaWatsonRegressor(bandwidth=noise_bandwidth(model, 0)).fit(x, errors**2, rest).predict(x[[row]])
        scores += [errors[row] / np.sqrt(noise + squares @ errors**2)] * counts[row]
        fits += [refitted.predict(at)] * counts[row]
    unit = np.hypot(np.sqrt(model.residual_variance(at)), model.predict(at, return_std=True)[1])
    margins, n = np.array(scores) * unit, len(fits)
    low, high = (np.sort(ends, axis=0) for ends in (fits - margins, fits + margins))
    rank = int(np.ceil(0.9 * (n + 1)))
    want = at_least_the_band(low[n - rank], high[rank - 1], model, at, 0.9)
    np.testing.assert_allclose(model.predict_interval(at, scaled=True), want, rtol=1e-6)


@ignore_unreached
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_an_interval_is_no_narrower_than_the_fit_is_uncertain(degree, kernel, scaled):
    uncertain = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = np.sort(rng.choice([0, 3, 7], 80) + rng.uniform(0, 2, 80))
        y = np.sin(x) + np.where((x > 3) & (x < 5), 0.3, 0.01) * rng.normal(size=80)
        rims = np.concatenate([x + gap * side for gap in (0.0, 0.05, 0.2) for side in (-1, 1)])[:, None]
        bandwidth = (0.1 if kernel == "gaussian" else 0.25) * (1 + degree)
        model = LocalPolynomialRegressor(kernel, degree, bandwidth).fit(x[:, None], y)
        fit, std = model.predict(rims, return_std=True)
        reached = ~np.isnan(std)
        low, high = model.predict_interval(rims, scaled=scaled)[reached].T
        band = norm.ppf(0.95) * std[reached]
        assert (low <= fit[reached] - band * (1 - 1e-6)).all()
        assert (high >= fit[reached] + band * (1 - 1e-6)).all()
        uncertain += (std[reached] > 0.1).sum()
    assert uncertain > 50


# ---- quantiles


def test_quantiles_are_those_of_errors_about_the_fit():
    levels = np.array([0, 0.05, 0.5, 0.95, 1])
    for kind in ("mean", "line", "parabola, ends"):
        for weight in WEIGHTS.values():
            model = fitted(MODELS[kind], weight)
            got, fit, errors = model.predict_quantiles(QUERIES, levels), model.predict(QUERIES), Y - model.predict(None)
            assert got.shape == (25, 2, 5)
            for output in range(2):
                mean = NadarayaWatsonRegressor(bandwidth=noise_bandwidth(model, output)).fit(X, Y, weight)
                order = errors[:, output].argsort()
                cumulative = mean.attention_weights(QUERIES)[:, order].cumsum(axis=1)
                for k, level in enumerate(levels[1:4], start=1):
                    place = [np.searchsorted(row, level) for row in cumulative]
                    want = fit[:, output] + errors[order, output][place]
                    np.testing.assert_allclose(got[:, output, k], want, rtol=1e-13)
            assert (np.diff(got, axis=2) >= 0).all()


def test_quantiles_of_equal_weights_are_those_of_numpy():
    x = np.zeros((60, 1))
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(x, Y[:, 0])
    levels = np.linspace(0, 1, 13)
    errors = Y[:, 0] - model.predict(None)
    want = Y[:, 0].mean() + np.quantile(errors, levels, method="inverted_cdf")
    np.testing.assert_allclose(model.predict_quantiles([[0.0]], levels)[0], want)


def test_quantiles_where_nothing_is_in_reach():
    far, last = [[1e6, 1e6]], X.sum(axis=1).argmax()
    for fallback in ("nan", "nearest"):
        model = NadarayaWatsonRegressor("boxcar", 1.0, fallback=fallback).fit(X, Y[:, 0])
        want = np.nan if fallback == "nan" else 2 * Y[last, 0] - model.predict(None)[last]
        with pytest.warns(UserWarning, match="no training row in reach"):
            np.testing.assert_allclose(model.predict_quantiles(far), [[want] * 3])


def test_quantiles_of_labels_without_noise_are_the_labels():
    model = LocalPolynomialRegressor(bandwidth=0.5).fit(X, np.ones(60))
    np.testing.assert_array_equal(model.predict_quantiles(QUERIES), np.ones((25, 3)))


# ---- coverage

# Samples of one or two features from 0 to 1: expected targets, noise, and what the noise is drawn from.
SCATTER = {
    "a line": (1, lambda x: 20 * x[:, 0], lambda x: 0.2 + 3 * x[:, 0], norm()),
    "a curve": (1, lambda x: 2 * np.sin(10 * x[:, 0]) + 5 * x[:, 0], lambda x: 0.1 + 1.5 * x[:, 0], norm()),
    "even": (1, lambda x: 2 * np.sin(10 * x[:, 0]) + 5 * x[:, 0], lambda x: np.full(len(x), 0.5), norm()),
    "skewed": (1, lambda x: 20 * x[:, 0], lambda x: 0.2 + 3 * x[:, 0], gamma(2, loc=-np.sqrt(2), scale=np.sqrt(0.5))),
    "two features": (2, lambda x: 3 * x[:, 0] + np.sin(4 * x[:, 1]), lambda x: 0.1 + 0.5 * x[:, 0], norm()),
}


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("kind", SCATTER)
def test_coverage_in_thirds(kind, degree):
    n_features, expected, noise, distribution = SCATTER[kind]
    covered, strays = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X, queries = rng.uniform(size=(1200, n_features)), rng.uniform(0.05, 0.95, (300, n_features))
        y = expected(X) + noise(X) * distribution.rvs(1200, random_state=rng)
        model = LocalPolynomialRegressor(degree=degree).fit(X, y)
        queries = queries[queries[:, 0].argsort()]
        mean, unit = expected(queries), noise(queries)
        low, median, high = model.predict_quantiles(queries).T
        ends = [(low, high), model.predict_interval(queries, scaled=True).T]
        shares = [distribution.cdf((high - mean) / unit) - distribution.cdf((low - mean) / unit) for low, high in ends]
        covered.append([share.reshape(3, -1).mean(axis=1) for share in shares])
        strays.append(np.abs((median - mean) / unit - distribution.median()).reshape(3, -1).mean(axis=1))
    covered, strays = np.mean(covered, axis=0), np.mean(strays, axis=0)
    assert (covered > 0.85).all(), covered
    assert (covered < 0.95).all(), covered
    assert (strays < 0.3).all(), strays


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
@pytest.mark.parametrize("weight", [None, WEIGHTS["counts"]], ids=["none", "counts"])
def test_the_order_of_rows_and_a_shift_of_labels(model, weight):
    order, model = RNG.permutation(60), fitted(model, weight)
    std, variance, interval, scaled, quantiles, *rest = everything(model, QUERIES)
    got = everything(fitted(model, None if weight is None else weight[order], X[order], Y[order] + 1e3), QUERIES)
    shifted = [item + 1e3 for item in (interval, scaled, quantiles)]
    assert_equal(got, [std, variance, *shifted, *rest], 1e-7)


def test_distances_that_are_given():
    model = fitted(MODELS["mean"])
    between, across = (np.linalg.norm(a[:, None] - X, axis=2) for a in (X, QUERIES))
    given = NadarayaWatsonRegressor("gaussian", 0.6, metric="precomputed").fit(between, Y)
    assert_equal(everything(given, across)[2:3], everything(model, QUERIES)[2:3])
    # What the noise's bandwidth is a multiple of is not the same, for the features' spreads are not known.
    for got, want in zip(everything(given, across), everything(model, QUERIES), strict=True):
        assert got.shape == want.shape
        assert np.isfinite(got).all()


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


FEW = {
    "mean": NadarayaWatsonRegressor(),
    "bandwidth": NadarayaWatsonRegressor(bandwidth=1.0),
    "compact": NadarayaWatsonRegressor("epanechnikov"),
    "metric": NadarayaWatsonRegressor(metric="cityblock", bandwidth=1.0),
    "ard": NadarayaWatsonRegressor(bandwidth="ard"),
    "line": LocalPolynomialRegressor(),
    "ridge": LocalPolynomialRegressor(ridge="auto"),
    "parabola": LocalPolynomialRegressor(degree=2),
}
over_few = pytest.mark.parametrize("model", FEW.values(), ids=FEW)


def asked(call):
    """What a call gives, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return call(), [str(each.message) for each in caught]


@over_few
@pytest.mark.parametrize("shape", [(1,), (1, 2)])
@pytest.mark.parametrize("weight", [None, [0.5]])
def test_one_row_tells_nothing_of_its_error(model, shape, weight):
    model = clone(model).fit([[1.0]], np.full(shape, 2.0), sample_weight=weight)
    at, width = [[1.0], [1.5], [9.0]], (3, *shape[1:])
    if model.kernel == "epanechnikov":
        at, width = at[:2], (2, *shape[1:])
    fit, std = asked(lambda: model.predict(at, return_std=True))[0]
    np.testing.assert_array_equal(fit, np.full(width, 2.0))
    unknown, certain = np.full(width, np.nan), np.ones((*width, 2)) * [-np.inf, np.inf]
    np.testing.assert_array_equal(std, unknown)
    for ask, want, words in (
        (lambda: model.predict(at, return_std=True)[1], unknown, "predictions and standard errors"),
        (lambda: model.predict(None, return_std=True)[0], unknown[:1], "predictions and standard errors"),
        (lambda: model.residual_variance(at), unknown, "Residual variances"),
        (lambda: model.predict_quantiles(at, [0.5])[..., 0], unknown, "Quantiles"),
        (lambda: model.predict_interval(at), certain, "Intervals with coverage=0.9"),
        (lambda: model.predict_interval(at, 0.3, scaled=True), certain, "Intervals with coverage=0.3"),
        (lambda: model.extrapolates(at), [False, True, True][: len(at)], "Distances between samples"),
    ):
        got, texts = asked(ask)
        np.testing.assert_array_equal(got, want)
        assert len(texts) == 1
        assert words in texts[0]
        assert "need at least" in texts[0]
    assert model.effective_sample_size([[1.0]]) == 1


@over_few
def test_two_rows_tell_little(model):
    model = clone(model).fit([[1.0], [3.0]], [2.0, 5.0])
    std = model.predict([[1.0], [3.0]], return_std=True)[1]
    assert np.isfinite(std).all()
    assert np.isfinite(model.residual_variance([[1.0]])).all()
    assert np.isfinite(model.predict_quantiles([[1.0]])).all()
    np.testing.assert_array_equal(model.predict(None), [5.0, 2.0])
    np.testing.assert_array_equal(model.extrapolates([[1.0], [2.5], [99.0]]), [False, False, True])
    got, texts = asked(lambda: model.predict_interval([[2.0]]))
    np.testing.assert_array_equal(got, [[-np.inf, np.inf]])
    assert len(texts) == 1
    assert "need at least 9 samples with positive sample_weight: they are infinite" in texts[0]
    assert np.isfinite(model.predict_interval([[2.0]], 0.5)).all()


@pytest.mark.parametrize("coverage", [0.3, 0.5, 2 / 3, 0.8, 0.9, 0.95])
def test_a_warning_tells_how_many_samples_an_interval_needs(coverage):
    needed = max(2, round(coverage / (1 - coverage)))
    x = np.arange(float(needed))[:, None]
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(x, x[:, 0])
    assert np.isfinite(model.predict_interval([[0.5]], coverage)).all()
    model.fit(x[1:], x[1:, 0])
    with pytest.warns(UserWarning, match=f"coverage={coverage} need at least {needed} samples"):
        assert np.isinf(model.predict_interval([[0.5]], coverage)).all()


def test_a_loop_over_groups_has_one_text_of_each_kind():
    def loop():
        for n in (1, 2, 1, 3, 5, 1, 40):
            x = np.linspace(0, 1, n)[:, None]
            model = LocalPolynomialRegressor(bandwidth=0.5).fit(x, np.sin(6 * x[:, 0]))
            model.predict(x, return_std=True)
            model.predict(None)
            model.predict_interval(x)
            model.extrapolates(x)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop()
    assert len({str(each.message) for each in caught}) == 3


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
