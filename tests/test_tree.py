"""The tree with as many keys as it takes for most leaves to be out of reach."""

import numpy as np
import pytest
from cases import LABELS, N_ROWS, TRAINING_ROWS
from definition import LOG_PROFILES, predict
from problems import make_problem, mean_of

from sknw import Kernel
from sknw._algorithms import ALGORITHMS, Problem, _neighbours, build
from sknw._pooling import attention


def many_rows(case, n_features):
    rng = np.random.default_rng(0)
    return {
        "uniform": lambda: rng.uniform(0, 5, (2500, n_features)),
        "normal": lambda: 1e6 + rng.normal(size=(2500, n_features)),
        "lognormal": lambda: rng.lognormal(sigma=2, size=(2500, n_features)),
        "ties": lambda: rng.integers(0, 7, (2500, n_features)).astype(float),
    }[case]()


@pytest.mark.parametrize("n_features", [1, 2, 5])
@pytest.mark.parametrize("case", ["uniform", "normal", "lognormal", "ties"])
@pytest.mark.parametrize("kernel", sorted(set(LOG_PROFILES) - {"constant"}))
def test_tree_is_right_with_many_keys(kernel, case, n_features):
    # Enough keys for many leaves, most of them out of reach.
    rng = np.random.default_rng(1)
    X = many_rows(case, n_features)
    weight, y = rng.integers(0, 3, len(X)).astype(float), rng.normal(size=len(X))
    own = np.concatenate([X.sum(axis=1).argsort()[-5:], np.arange(0, len(X), 60)])  # the tail too
    Q = np.concatenate([X[own], X[own] + 0.3 * X.std(axis=0), X[:3] * 50])
    for bandwidth in (0.02 * X.std(axis=0), 0.5, 3.0):
        fitted = build("tree", make_problem(X, kernel, bandwidth, y=y, sample_weight=weight))
        want = predict(LOG_PROFILES[kernel], Q, X, y, bandwidth, weight).astype(float)
        np.testing.assert_allclose(mean_of(fitted, Q), want, rtol=0, atol=1e-9)
        want = predict(LOG_PROFILES[kernel], X[own], X, y, bandwidth, weight, own).astype(float)
        np.testing.assert_allclose(mean_of(fitted, X[own], own), want, rtol=0, atol=1e-9)


@pytest.mark.parametrize("fallback", ["nearest", "mean", "nan"])
@pytest.mark.parametrize("kernel", ["boxcar", "epanechnikov", "gaussian", "exponential"])
def test_sparse_rows_of_many_keys(kernel, fallback):
    X = many_rows("lognormal", 2)
    weight = np.random.default_rng(1).integers(0, 3, len(X)).astype(float)
    problem = make_problem(X, kernel, 0.2, y=X[:, 0], sample_weight=weight)
    at = problem.scale(np.concatenate([X[::25], X[::50] * 3, [[1e9, 1e9]]]))
    got, n_unreached = attention(build("tree", problem), at, fallback, sparse=True, n_jobs=2)
    want, want_unreached = attention(build("brute", problem), at, fallback)
    assert n_unreached == want_unreached
    np.testing.assert_allclose(got.toarray(), want, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kernel", "most"), [("gaussian", 0.1), ("exponential", 0.5), ("epanechnikov", 0.02)])
def test_tree_meets_few_of_many_keys(monkeypatch, kernel, most):
    X = many_rows("uniform", 2)
    fitted = build("tree", make_problem(X, kernel, 0.05, y=X[:, 0]))
    pairs, sums = [], _neighbours.Neighbours.sums

    def counted_sums(self, queries, at, *args, **kwargs):
        pairs.append(len(queries.points) * len(at))
        return sums(self, queries, at, *args, **kwargs)

    monkeypatch.setattr(_neighbours.Neighbours, "sums", counted_sums)
    mean_of(fitted, X)
    assert 0 < sum(pairs) / len(X) ** 2 < most


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
    plain = Problem(many[:, :2], LABELS[:, None], np.ones(N_ROWS), Kernel("plain", lambda u: np.exp(-u)))
    want = "it needs a kernel that ends or states its log_ratio, and 'plain' does neither."
    assert ALGORITHMS["tree"].refuses(plain) == want
