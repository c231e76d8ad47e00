"""A kernel, a distance, a basis, an algorithm, ... from outside: one line in one table, and the estimators know it."""

import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest

import sknw
from sknw import (
    AttentionRegressor,
    Kernel,
    LocalPolynomialRegressor,
    NadarayaWatsonRegressor,
    _displays,
    bandwidth_path,
)
from sknw._algorithms import ALGORITHMS
from sknw._algorithms._protocol import Algorithm
from sknw._attention._learned_metrics import LEARNED_METRICS, LearnedMetric
from sknw._fit._predictions import predict
from sknw._fit._rounds import ROUNDS, fit_rounds
from sknw._kernels import KERNELS
from sknw._problem._bases import BASES, Polynomial
from sknw._problem._definition import exact_sums, nearest
from sknw._problem._distances import DISTANCES
from sknw._problem._distances._distance import Distance
from sknw._problem._rows import Rows
from sknw._selection._criteria import CRITERIA
from sknw._selection._rules import RULES, Rule

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 24, (80, 2))
Y = np.sin(X[:, 0] * np.pi / 12) + 0.1 * RNG.normal(size=80)
Q = RNG.uniform(0, 24, (10, 2))


def means(weights, y=Y):
    return weights @ y / weights.sum(axis=1)


def test_a_kernel(monkeypatch):
    monkeypatch.setitem(KERNELS, "flat top", Kernel("flat top", lambda u: np.clip(2 - u, 0, 1), support=2.0))
    u = np.linalg.norm(Q[:, None] - X, axis=2) / 5
    got = NadarayaWatsonRegressor("flat top", 5.0).fit(X, Y).predict(Q)
    np.testing.assert_allclose(got, means(np.clip(2 - u, 0, 1)))
    line = LocalPolynomialRegressor("flat top", bandwidth=5.0).fit(X, X @ [1.0, 2.0])
    np.testing.assert_allclose(line.predict(Q), Q @ [1.0, 2.0])
    assert np.isfinite(NadarayaWatsonRegressor("flat top").fit(X, Y).bandwidth_search_.best_score)


class Clock(Distance):
    """Hours between two times of the day, whichever way is shorter."""

    takes_params = False

    def distances(self, queries, keys):
        """From points to the keys of these indices."""
        hours = np.abs(queries[:, None, 0] - self.keys[keys, 0])
        return np.minimum(hours, 24 - hours)


def test_a_distance(monkeypatch):
    monkeypatch.setitem(DISTANCES, "clock", Clock)
    x, at = X[:, :1], np.array([[0.0], [12.0], [23.9]])
    hours = np.abs(at - x.T)
    hours = np.minimum(hours, 24 - hours)
    got = NadarayaWatsonRegressor(bandwidth=2.0, metric="clock").fit(x, Y).predict(at)
    np.testing.assert_allclose(got, means(np.exp(-((hours / 2) ** 2) / 2)))
    search = NadarayaWatsonRegressor(metric="clock").fit(x, Y).bandwidth_search_
    assert search.best_score < NadarayaWatsonRegressor().fit(x, Y).bandwidth_search_.best_score


class HeldLine(Polynomial):
    """A line that does not leave the range of the targets."""

    keeps_range = True


def test_a_basis(monkeypatch):
    monkeypatch.setitem(BASES, 3, HeldLine(1))
    at = np.concatenate([Q, [[60.0, 60.0], [-40.0, 0.0]]])
    line, held = (LocalPolynomialRegressor(degree=degree, bandwidth=9.0).fit(X, X[:, 0]) for degree in (1, 3))
    assert line.predict(at).max() > 50
    np.testing.assert_allclose(held.predict(at), line.predict(at).clip(X[:, 0].min(), X[:, 0].max()))
    np.testing.assert_allclose(held.predict(None), line.predict(None).clip(X[:, 0].min(), X[:, 0].max()))


class Slow(Algorithm):
    """What the definition says."""

    name = "slow"
    seconds = 1e9

    @staticmethod
    def refuses(problem):
        """Why it cannot serve a problem."""
        return None if len(problem.rows) < 100 else "it needs fewer than 100 samples."

    @staticmethod
    def cost(problem):
        """About how many seconds it takes."""
        return Slow.seconds

    def sums(self, queries, excluded=None, n_jobs=None):
        """Kernel sums."""
        return exact_sums(self.problem, queries, excluded)

    def nearest(self, queries, excluded=None):
        """The nearest keys."""
        return nearest(self.problem, queries, excluded)


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_an_algorithm(monkeypatch, kernel):
    monkeypatch.setitem(ALGORITHMS, "slow", Slow)
    for estimator in (NadarayaWatsonRegressor, LocalPolynomialRegressor):
        slow, brute = (estimator(kernel, bandwidth=4.0, algorithm=name).fit(X, Y) for name in ("slow", "brute"))
        assert slow.algorithm_ == "slow"
        np.testing.assert_allclose(slow.predict(Q), brute.predict(Q), atol=1e-9)
        np.testing.assert_allclose(slow.predict(None), brute.predict(None), atol=1e-9)
        np.testing.assert_allclose(slow.predict_interval(Q), brute.predict_interval(Q), atol=1e-8)
    assert NadarayaWatsonRegressor(algorithm="slow").fit(X, Y).bandwidth_search_.status == "converged"
    assert NadarayaWatsonRegressor(bandwidth=4.0).fit(X, Y).algorithm_ != "slow"
    monkeypatch.setattr(Slow, "seconds", 0.0)
    assert NadarayaWatsonRegressor(bandwidth=4.0).fit(X, Y).algorithm_ == "slow"
    with pytest.raises(ValueError, match="algorithm='slow' cannot run this problem: it needs fewer than 100 samples"):
        NadarayaWatsonRegressor(bandwidth=4.0, algorithm="slow").fit(np.tile(X, (2, 1)), np.tile(Y, 2))


def test_a_rule(monkeypatch):
    def half_a_spread(problem, options):
        return problem.distance.bandwidth / 2, None

    monkeypatch.setitem(RULES, "half", Rule(half_a_spread, by_feature=False))
    np.testing.assert_allclose(NadarayaWatsonRegressor(bandwidth="half").fit(X, Y).bandwidth_, X.std(axis=0) / 2)
    with pytest.raises(ValueError, match="must be one of 'aicc', .*'half', .*; got 'third'"):
        NadarayaWatsonRegressor(bandwidth="third").fit(X, Y)


def test_a_criterion(monkeypatch):
    monkeypatch.setitem(CRITERIA, "absolute", lambda rows, left_out: np.abs(left_out.errors).mean())
    path = bandwidth_path(X, Y, [1.0, 2.0, 4.0], criterion="absolute")
    fits = [NadarayaWatsonRegressor(bandwidth=h).fit(X, Y).predict(None) for h in (1.0, 2.0, 4.0)]
    np.testing.assert_allclose(path.scores, [np.abs(Y - fit).mean() for fit in fits])
    assert set(CRITERIA) - {"absolute"} <= set(RULES)  # each is a rule too


def test_a_round(monkeypatch):
    def without_outliers(first, last, fits):
        near = np.abs(first.targets - fits)[:, 0] < 0.5
        return Rows(first.keys, first.targets, first.sample_weight * near, first.counts * near)

    monkeypatch.setitem(ROUNDS, "without outliers", without_outliers)
    y = np.where(np.arange(80) % 9 == 0, Y + 5, Y)
    first = NadarayaWatsonRegressor(bandwidth=2.0).fit(X, y)
    fit = fit_rounds("without outliers", first._fit.problem, 2, "brute")
    weight = (np.abs(y - first.predict(X)) < 0.5).astype(float)
    assert 0 < weight.sum() < 80
    want = NadarayaWatsonRegressor(bandwidth=2.0).fit(X, y, weight).predict(Q)
    np.testing.assert_allclose(predict(fit, fit.problem.distance.transform(Q), "nearest")[0][:, 0], want)
    monkeypatch.setitem(ROUNDS, "l2-boosting", lambda first, last, fits: first.with_targets(0 * first.targets + 7))
    model = AttentionRegressor(degree=0, n_heads=1, n_rounds=2, metric=np.eye(2)).fit(X, Y)
    np.testing.assert_allclose(model.predict(Q), 7)


def test_a_learned_metric(monkeypatch):
    def first_feature(problem, isotropic, options):
        return [LearnedMetric(np.eye(problem.rows.keys.shape[1])[:1] / isotropic.bandwidth, isotropic.ridge)]

    monkeypatch.setitem(LEARNED_METRICS, "first", first_feature)
    model = AttentionRegressor(metric="first", n_heads=2, random_state=0).fit(X, Y)
    assert [len(components) for components in model.components_] == [1, 1]
    np.testing.assert_array_equal(model.feature_importances_, [1, 0])


class ErrorDisplay:
    """Leave-one-out errors, of any estimator that predicts None."""

    def __init__(self, errors):
        self.errors = errors

    @classmethod
    def from_estimator(cls, estimator, y, **kwargs):
        return cls(y - estimator.predict(None)).plot(**kwargs)

    def plot(self, ax=None, **kwargs):
        self.ax_ = plt.subplots()[1] if ax is None else ax
        self.points_ = self.ax_.plot(self.errors, **kwargs)[0]
        return self


@pytest.mark.parametrize(
    "estimator",
    [NadarayaWatsonRegressor(bandwidth=2.0), LocalPolynomialRegressor(bandwidth=2.0), AttentionRegressor(n_heads=1)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_display_needs_public_methods_only(estimator):
    display = ErrorDisplay.from_estimator(estimator.fit(X, Y), Y, marker=".")
    np.testing.assert_array_equal(display.points_.get_ydata(), Y - estimator.predict(None))
    plt.close("all")


def test_displays_are_public():
    for name in _displays.__all__:
        display = getattr(_displays, name)
        assert getattr(sknw, name) is display
        assert any(each.startswith("from_") for each in vars(display))
        assert "ax" in inspect.signature(display.plot).parameters
