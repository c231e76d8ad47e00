"""LocalPolynomialRegressor: lines and parabolas about each query."""

from collections import Counter

import numpy as np
import pytest
from cases import LABELS, TRAINING_ROWS, queries, spread
from definition import LOG_PROFILES, distances, fit_polynomials, weights
from problems import make_problem, serving
from sklearn.base import clone

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor
from sknw._fit._gradient import error_gradient
from sknw._fit._predictions import fits_in_reach

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 2)) * [1, 5]
Y = np.c_[np.sin(2 * X[:, 0]), X[:, 1]] + 0.3 * RNG.normal(size=(80, 2))
Q = RNG.normal(size=(15, 2)) * [1, 5]
SOME = [*range(0, 25, 6), *range(25, 33, 2)]
H = [1.5, 8.0]


@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize(
    ("case", "degree"),
    [(case, degree) for case, rows in TRAINING_ROWS.items() for degree in (1, 2) if degree == 1 or rows.shape[1] <= 6],
)
def test_fits_are_those_of_the_definition(case, degree, kernel):
    rows, n_compared = TRAINING_ROWS[case], Counter()
    for multiple in (0.01, 0.4, 2.0, 1e6):
        with np.errstate(all="ignore"):
            want, known, lever = fit_polynomials(
                LOG_PROFILES[kernel], queries(rows)[SOME], rows, LABELS, multiple * spread(rows), degree
            )
        problem = make_problem(rows, kernel, multiple * spread(rows), degree=degree)
        places = problem.distance.transform(queries(rows)[SOME])
        for name, fitted in serving(problem).items():
            sums = fitted.sums(places)
            clear = (sums.values[:, -1] > 1e-300) & (known > 1e-5)
            fits = fits_in_reach(problem, sums.take(clear), places[clear])
            got = problem.rows.frame.offset + fits
            error = np.abs(got[:, 0] - want[clear].astype(float)) / np.ptp(LABELS)
            assert (error <= 1e-9 * lever[clear] / known[clear]).all(), (name, multiple)
            n_compared[name] += clear.sum()
    assert min(n_compared.values()) > 0


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_degree_0_is_the_weighted_mean_to_the_bit(kernel):
    for rows in (X, X[:, :1]):
        ours = LocalPolynomialRegressor(kernel, 0).fit(rows, Y)
        mean = NadarayaWatsonRegressor(kernel).fit(rows, Y)
        np.testing.assert_array_equal(ours.predict(rows + 0.1), mean.predict(rows + 0.1))
        np.testing.assert_array_equal(ours.predict(None), mean.predict(None))
        np.testing.assert_array_equal(ours.attention_weights(rows[:3]), mean.attention_weights(rows[:3]))


@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("algorithm", ["brute", "tree"])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("bandwidth", [1.0, 3.0, 30.0, 1e6])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "matern32"])
def test_a_plane_is_reproduced_at_every_bandwidth(kernel, bandwidth, degree, algorithm, offset):
    x, at = X / [1, 5], Q / [1, 5]
    model = LocalPolynomialRegressor(kernel, degree, bandwidth, algorithm=algorithm)
    model.fit(x + offset, x @ [2.0, -1.0] + 7)
    np.testing.assert_allclose(model.predict(at + offset), at @ [2.0, -1.0] + 7, atol=1e-7)
    np.testing.assert_allclose(model.gradient(at + offset), np.tile([2.0, -1.0], (15, 1)), atol=1e-7)


@pytest.mark.parametrize("degree", [1, 2])
def test_too_few_different_rows_lower_the_degree(degree):
    def fit(x, y, bandwidth=1.0):
        return LocalPolynomialRegressor("epanechnikov", degree, bandwidth).fit(x, y)

    # A feature that does not vary; a row alone in reach; repeated rows; one row; two rows, on a line at most.
    x = np.c_[X[:, 0], np.full(80, 0.1)]
    np.testing.assert_allclose(fit(x, Y).predict(x), fit(X[:, :1], Y).predict(X[:, :1]), atol=1e-9)
    assert fit([[0.0], [5.0], [6.0]], [1.0, 2.0, 3.0]).predict([[0.3]]) == 1
    np.testing.assert_allclose(fit([[1.0]] * 4, [1.0, 2.0, 3.0, 4.0]).predict([[1.5]]), 2.5)
    assert fit([[3.0, 4.0]], [5.0]).predict([[3.0, 4.5]]) == 5
    np.testing.assert_allclose(fit([[0.0], [1.0]], [1.0, 3.0], 2.0).predict([[0.25]]), 1.5)
    # One query in reach of two rows only, beside another in reach of many.
    both = fit(X[:, :1], Y).predict([[X[:, 0].max() + 0.9], [0.0]])
    np.testing.assert_allclose(both[1], fit(X[:, :1], Y).predict([[0.0]])[0], atol=1e-9)
    # Two columns that are one.
    doubled = fit(np.c_[X[:, 0], X[:, 0]], Y, np.sqrt(2)).predict(np.c_[Q[:, 0], Q[:, 0]])
    assert np.isfinite(doubled).all()
    if degree == 1:
        np.testing.assert_allclose(doubled, fit(X[:, :1], Y).predict(Q[:, :1]), atol=1e-9)


def test_features_that_are_one_in_part_of_the_data(rng):
    x = np.tile(X[:, :1], 12)
    x[X[:, 1] > 0] += rng.normal(size=((X[:, 1] > 0).sum(), 12))
    model = LocalPolynomialRegressor("epanechnikov", bandwidth=2.0).fit(x, Y)
    some = model.predict(x[X[:, 1] <= 0])
    assert np.isfinite(model.predict(x)).all()
    np.testing.assert_allclose(model.predict(x)[X[:, 1] <= 0], some)


@pytest.mark.parametrize(("degree", "ridge"), [(1, 0.0), (2, 0.0), (1, 0.1)])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("weighted", [False, True])
def test_leave_one_out_is_refitting(kernel, degree, ridge, weighted, rng):
    model = LocalPolynomialRegressor(kernel, degree, 2 * H[0] if ridge else np.multiply(H, 2), ridge=ridge)
    x, weight = X[:, :1] if ridge else X, rng.integers(0, 3, 80) if weighted else np.ones(80, int)
    left_out = clone(model).fit(x, Y, weight).predict(None)
    for i in range(0, 80, 13):
        others = weight - (np.arange(80) == i) * (weight > 0)
        if ridge:  # in units of the variance of all rows
            share = ridge * np.var(np.repeat(x, weight)) / np.var(np.repeat(x, others))
            model.set_params(ridge=share)
        refitted = clone(model).fit(x, Y, others).predict(x[i : i + 1])[0]
        np.testing.assert_allclose(left_out[i], refitted, atol=1e-9)


@pytest.mark.parametrize("criterion", ["gcv", "aicc"])
@pytest.mark.parametrize("degree", [1, 2])
def test_criteria_are_those_of_the_hat_matrix(criterion, degree):
    y, n = Y[:, 0], 80
    model = LocalPolynomialRegressor(degree=degree, bandwidth=criterion).fit(X, y)
    search = model.bandwidth_search_
    number = search.best_index + 5
    model = LocalPolynomialRegressor(degree=degree, bandwidth=search.bandwidths[number]).fit(X, y)
    hat = np.asarray(model.attention_weights_)
    error, df = np.mean((y - hat @ y) ** 2), np.trace(hat)
    want = {
        "gcv": error / (1 - df / n) ** 2,
        "aicc": np.log(error) + 1 + 2 * (df + 1) / (n - df - 2) if n - df - 2 > 0 else np.inf,
    }[criterion]
    np.testing.assert_allclose(search.scores[number], want, rtol=1e-8)
    np.testing.assert_allclose(model.attention_weights_.trace(), df)


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_gradients_by_queries_are_those_of_differences(kernel, degree, rng):
    model = LocalPolynomialRegressor(kernel, degree, H).fit(X, Y, rng.integers(0, 3, 80))
    # Out of the way of kinks, and among enough rows.
    counts = (np.square((Q[:, None] - X) / H).sum(axis=2) < 0.9).sum(axis=1)
    at, step = Q[counts > 12], 1e-5
    by_difference = [(model.predict(at + step * e) - model.predict(at - step * e)) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(model.gradient(at), np.stack(by_difference, axis=1), atol=1e-6)


def test_gradients_in_other_units_and_without_influence():
    model = LocalPolynomialRegressor(bandwidth=[1.5, np.inf]).fit(X, Y[:, 0])
    slopes = model.gradient(Q)
    assert slopes.shape == (15, 2)
    assert (slopes[:, 1] == 0).all()
    other = LocalPolynomialRegressor(bandwidth=[1.5e9, np.inf]).fit(X * 1e9, Y[:, 0])
    np.testing.assert_allclose(other.gradient(Q * 1e9) * 1e9, slopes, rtol=1e-9)
    far = NadarayaWatsonRegressor("boxcar", 0.1).fit(X, Y[:, 0])
    assert (far.gradient(Q + 100) == 0).all()
    with pytest.raises(ValueError, match="gradient needs features with metric='euclidean'; got metric='cityblock'"):
        NadarayaWatsonRegressor(metric="cityblock", bandwidth=1.0).fit(X, Y).gradient(Q)


@pytest.mark.usefixtures("inner_loop")
@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "cauchy", "matern32"])
def test_gradients_by_bandwidths_are_those_of_differences(kernel, degree, ridge, rng):
    weight = rng.integers(0, 3, 80).astype(float)
    rows = np.flatnonzero(weight)[::2]

    def error(logs):
        model = LocalPolynomialRegressor(
            kernel, degree, np.exp(logs[:2]), ridge=ridge * np.exp(logs[2]) * (degree == 1)
        )
        return error_gradient(model.fit(X, Y, weight)._fit.problem, rows)

    logs, step = np.log([*H, 1]), 1e-5
    differences = [(error(logs + step * e)[0] - error(logs - step * e)[0]) / (2 * step) for e in np.eye(3)]
    _, gradient, by_ridge = error(logs)
    np.testing.assert_allclose([*gradient.diagonal(), by_ridge], differences, atol=1e-7)


def test_a_ridge_lies_between_the_line_and_the_mean():
    def predict(ridge):
        return LocalPolynomialRegressor(bandwidth=H, ridge=ridge).fit(X, Y).predict(Q)

    np.testing.assert_allclose(predict(np.inf), NadarayaWatsonRegressor(bandwidth=H).fit(X, Y).predict(Q))
    np.testing.assert_allclose(predict(1e-12), predict(0.0), atol=1e-8)
    w = weights(LOG_PROFILES["gaussian"], distances(Q, X, H)).astype(float)
    means = w @ X
    for i in range(len(Q)):
        z = X - means[i]
        matrix = (w[i, :, None] * z).T @ z + 0.3 * np.diag(X.var(axis=0))
        slopes = np.linalg.solve(matrix, (w[i, :, None] * z).T @ Y)
        np.testing.assert_allclose(predict(0.3)[i], w[i] @ Y + (Q[i] - means[i]) @ slopes)


def test_a_ridge_is_found():
    model = LocalPolynomialRegressor(ridge="auto").fit(X, Y[:, 0])
    by_hand = [
        LocalPolynomialRegressor(ridge=r).fit(X, Y[:, 0]).bandwidth_search_.best_score for r in (0, 0.003, 0.03, 0.3)
    ]
    assert model.bandwidth_search_.best_score == min(by_hand)
    assert model.ridge_ == (0, 0.003, 0.03, 0.3)[int(np.argmin(by_hand))]
    assert LocalPolynomialRegressor(bandwidth=H, ridge="auto").fit(X, Y[:, 0]).ridge_ in (0, 0.003, 0.03, 0.3)


@pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")
def test_weights_are_repetitions_and_rows_sum_to_one(rng):
    weight = rng.integers(0, 3, 80)
    for bandwidth in ("loo", "ard", H):
        for degree in (1, 2):
            model = LocalPolynomialRegressor(degree=degree, bandwidth=bandwidth)
            weighted = clone(model).fit(X, Y, weight)
            repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight, axis=0))
            np.testing.assert_allclose(weighted.predict(Q), repeated.predict(Q), rtol=1e-4, atol=1e-4)
            shares = weighted.attention_weights(Q)
            np.testing.assert_allclose(shares.sum(axis=1), 1)
            np.testing.assert_allclose(shares @ Y, weighted.predict(Q), atol=1e-9)
            np.testing.assert_allclose(weighted.attention_weights(Q, sparse=True).toarray(), shares, atol=1e-12)


def test_ard_drops_what_the_labels_do_not_need(rng):
    x = rng.normal(size=(300, 5))
    y = np.sin(2 * x[:, 0]) + x[:, 1] + 0.2 * rng.normal(size=300)
    model = LocalPolynomialRegressor("exponential", bandwidth="ard").fit(x, y)
    assert np.isfinite(model.bandwidth_[:2]).all()
    at = rng.normal(size=(300, 5))
    error = np.mean((model.predict(at) - np.sin(2 * at[:, 0]) - at[:, 1]) ** 2)
    assert error < 0.02


def test_a_line_is_found_to_be_one():
    model = LocalPolynomialRegressor().fit(X, X @ [1.0, 2.0] + 0.1 * Y[:, 0])
    assert model.bandwidth_search_.status == "converged"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"degree": 3}, "degree must be 0, 1 or 2; got 3"),
        ({"degree": True}, "degree must be 0, 1 or 2; got True"),
        ({"ridge": -1}, "ridge must be a number that is not negative, or 'auto' for degree=1; got -1"),
        ({"ridge": "loo"}, "ridge must be a number"),
        ({"ridge": 0.1, "degree": 2}, "ridge=0.1 needs degree=1, whose slopes it shrinks; got degree=2"),
    ],
)
def test_errors(parameters, message):
    with pytest.raises(ValueError, match=message):
        LocalPolynomialRegressor(**parameters).fit(X, Y)


def test_too_many_features_for_a_parabola(rng):
    with pytest.raises(ValueError, match="degree=2 needs at most 30 features"):
        LocalPolynomialRegressor(degree=2).fit(rng.normal(size=(20, 31)), rng.normal(size=20))
