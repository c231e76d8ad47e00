"""The tree with as many keys as it takes for most leaves to be out of reach."""

from functools import lru_cache

import numpy as np
import pytest
from cases import TRAINING_ROWS
from definition import LOG_PROFILES, distances, weights
from kernels import counted
from problems import fits_of, make_problem, mean_of

from sknw import KERNELS, Kernel
from sknw._algorithms import ALGORITHMS, build
from sknw._fit._fit import Fit
from sknw._fit._weights import attention_weights

pytestmark = pytest.mark.usefixtures("inner_loop")


def many_rows(case, n_features, n=2500):
    rng = np.random.default_rng(0)
    return {
        "uniform": lambda: rng.uniform(0, 5, (n, n_features)),
        "normal": lambda: 1e6 + rng.normal(size=(n, n_features)),
        "lognormal": lambda: rng.lognormal(sigma=2, size=(n, n_features)),
        "ties": lambda: rng.integers(0, 7, (n, n_features)).astype(float),
    }[case]()


@lru_cache(1)
def many_keys(case, n_features):
    """Enough keys for many leaves, most of them out of reach; queries, and distances, which kernels share."""
    X = many_rows(case, n_features, 1500)
    own = np.concatenate([X.sum(axis=1).argsort()[-5:], np.arange(0, len(X), 60)])  # the tail too
    Q = np.concatenate([X[own], X[own] + 0.3 * X.std(axis=0), X[:3] * 50])
    bandwidths = (0.02 * X.std(axis=0), 0.5, 3.0)
    return X, own, Q, [(h, distances(Q, X, h), distances(X[own], X, h)) for h in bandwidths]


@pytest.mark.parametrize("kernel", sorted(set(LOG_PROFILES) - {"constant"}))
@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("case", ["uniform", "normal", "lognormal", "ties"])
def test_tree_is_right_with_many_keys(case, n_features, kernel):
    rng = np.random.default_rng(1)
    X, own, Q, by_bandwidth = many_keys(case, n_features)
    weight, y = rng.integers(0, 3, len(X)).astype(float), rng.normal(size=len(X))
    for bandwidth, from_queries, from_keys in by_bandwidth:
        fitted = build("tree", make_problem(X, kernel, bandwidth, y=y, sample_weight=weight))
        want = (weights(LOG_PROFILES[kernel], from_queries, weight) @ y).astype(float)
        np.testing.assert_allclose(mean_of(fitted, Q), want, rtol=0, atol=1e-9)
        want = (weights(LOG_PROFILES[kernel], from_keys, weight, own) @ y).astype(float)
        np.testing.assert_allclose(mean_of(fitted, X[own], own), want, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
def test_keys_that_are_all_in_one_place(kernel):
    X, y = np.full((70, 3), 2.0), np.arange(70.0)
    fitted = build("tree", make_problem(X, kernel, 0.5, y=y))
    np.testing.assert_allclose(mean_of(fitted, X), y.mean())


@pytest.mark.parametrize("bandwidth", [0.001, 0.3])
@pytest.mark.parametrize(("unit", "lightest"), [(1e-35, 1.0), (1e35, 1.0), (1.0, 1e-35)])
def test_targets_and_weights_that_single_precision_does_not_hold(unit, lightest, bandwidth):
    X = many_rows("normal", 3, 1500)
    rng = np.random.default_rng(1)
    y, weight = unit * rng.normal(size=len(X)), lightest ** rng.uniform(size=len(X))
    Q = np.concatenate([X[::40], X[::40] + 0.3])
    fitted = build("tree", make_problem(X, "gaussian", bandwidth, y=y, sample_weight=weight))
    want = (weights(LOG_PROFILES["gaussian"], distances(Q, X, bandwidth), weight) @ y).astype(float)
    np.testing.assert_allclose(mean_of(fitted, Q) / unit, want / unit, rtol=0, atol=1e-9)


@pytest.mark.parametrize("fallback", ["nearest", "mean", "nan"])
@pytest.mark.parametrize("kernel", ["boxcar", "epanechnikov", "gaussian", "exponential"])
def test_sparse_rows_of_many_keys(kernel, fallback):
    X = many_rows("lognormal", 2)
    weight = np.random.default_rng(1).integers(0, 3, len(X)).astype(float)
    problem = make_problem(X, kernel, 0.2, y=X[:, 0], sample_weight=weight)
    at = problem.distance.transform(np.concatenate([X[::25], X[::50] * 3, [[1e9, 1e9]]]))
    got, n_unreached = attention_weights(Fit(build("tree", problem)), at, fallback, sparse=True, n_jobs=2)
    want, want_unreached = attention_weights(Fit(build("brute", problem)), at, fallback)
    assert n_unreached == want_unreached
    np.testing.assert_allclose(got.toarray(), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kernel", "most"), [("gaussian", 0.1), ("exponential", 0.5), ("epanechnikov", 0.02)])
def test_tree_meets_few_of_many_keys(kernel, most):
    X = many_rows("uniform", 2)
    counting, n_evaluations = counted(KERNELS[kernel])
    mean_of(build("tree", make_problem(X, counting, 0.05, y=X[:, 0])), X)
    assert 0 < n_evaluations() / len(X) ** 2 < most


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ({"metric": "cityblock"}, "it needs metric='euclidean', and the metric is 'cityblock'."),
        ({"bandwidth": np.inf}, "it needs 1 to 6 features with a finite bandwidth, and there are 0."),
        ({"kernel": "constant"}, "it needs a kernel that falls, and 'constant' does not."),
    ],
)
def test_tree_refuses_with_the_reason(problem, reason):
    assert ALGORITHMS["tree"].refuses(make_problem(TRAINING_ROWS["normal, 6 features"], **problem)) == reason
    many = TRAINING_ROWS["normal, 20 features"]
    assert "there are 20" in ALGORITHMS["tree"].refuses(make_problem(many))
    assert ALGORITHMS["tree"].refuses(make_problem(many, bandwidth=np.where(np.arange(20) < 6, 1, np.inf))) is None
    plain = make_problem(many[:, :2], Kernel("plain", lambda u: np.exp(-u)))
    want = "it needs a kernel that ends or states its log_ratio, and 'plain' does neither."
    assert ALGORITHMS["tree"].refuses(plain) == want


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_many_queries_in_one_place_are_as_one(kernel):
    X = many_rows("normal", 2) - 1e6
    fitted = build("tree", make_problem(X, kernel, 0.5, y=X[:, 0]))
    for places in (np.zeros((2200, 2)), np.tile([[0.0, 0.0], [1.0, 0.5]], (1100, 1))):
        np.testing.assert_allclose(mean_of(fitted, places)[:2], mean_of(fitted, places[:2]), rtol=0, atol=1e-11)
        assert np.ptp(mean_of(fitted, places)[::2]) < 1e-11


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "logistic"])
def test_sparse_weights_are_as_exact_as_predictions(kernel):
    X = many_rows("normal", 2) - 1e6
    problem = make_problem(X, kernel, 0.3, y=X[:, 0])
    at = problem.distance.transform(X[::10])
    sparse, _ = attention_weights(Fit(build("tree", problem)), at, "nearest", sparse=True)
    want, _ = attention_weights(Fit(build("brute", problem)), at, "nearest")
    assert np.abs(sparse.toarray() - want).sum(axis=1).max() < 2e-10


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("kernel", ["gaussian", "logistic", "biweight", "boxcar"])
def test_several_outputs_degrees_and_squares_are_as_by_brute_force(kernel, degree):
    rng = np.random.default_rng(1)
    X, y = many_rows("normal", 2, 700), rng.normal(size=(700, 3))
    own, weight, some = np.abs(X - 1e6).max(axis=1).argsort()[:600:9], rng.uniform(size=700), X.std(axis=0) * [1.0, 1.4]
    for each in (KERNELS[kernel], KERNELS[kernel].square):
        problem = make_problem(X, each, some, y=y, sample_weight=weight, degree=degree)
        tree, brute = (build(name, problem) for name in ("tree", "brute"))
        for queries, excluded in ((X[own] + 0.01, None), (X[own], own)):
            want = fits_of(brute, queries, excluded)
            np.testing.assert_allclose(fits_of(tree, queries, excluded), want, rtol=0, atol=1e-9)


def test_another_bandwidth_has_the_same_leaves(inner_loop):
    X = many_rows("normal", 3) - 1e6
    first = build("tree", make_problem(X, "gaussian", 0.5, y=X[:, 0]))
    mean_of(first, X[:5])
    problem = first.problem.with_bandwidth(0.8)
    assert first.inner_loop(problem) == inner_loop
    np.testing.assert_array_equal(mean_of(first.at(problem), X), mean_of(build("tree", problem), X))


@pytest.mark.parametrize("kernel", ["boxcar", "epanechnikov"])
def test_queries_that_reach_no_key_have_exact_zeros(kernel):
    X = many_rows("uniform", 3)
    fitted = build("tree", make_problem(X, kernel, 0.3, y=X[:, 0]))
    sums = fitted.sums(
        fitted.problem.distance.transform(np.array([[-0.31, 2.0, 2.0], [5.5, 5.5, 5.5], [2.0, 2.0, 2.0]]))
    )
    assert (sums.values[:2] == 0).all()
    assert sums.values[2, -1] > 0
