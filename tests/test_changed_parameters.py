"""An estimator whose parameters are changed after `fit` gives what a refit gives."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.base import clone

from sknw import AttentionRegressor, LocalPolynomialRegressor, NadarayaWatsonRegressor

# A few rows and queries are out of reach of all others.
pytestmark = pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(40, 2)), [[9.0, 9.0], [-9.0, 9.0]]])
Y = np.c_[np.sin(X[:, 0]), X[:, 1]] + 0.1 * RNG.normal(size=(42, 2))
QUERIES = np.concatenate([RNG.normal(size=(10, 2)), [[5.0, 5.0], [9.1, 9.0]]])
MODELS = {
    "mean": NadarayaWatsonRegressor("boxcar", 0.8),
    "line": LocalPolynomialRegressor("epanechnikov", 1, 1.2),
    "parabola": LocalPolynomialRegressor("tricube", 2, 1.5),
}
ASK = {
    "predict": lambda model: model.predict(QUERIES),
    "predict(None)": lambda model: model.predict(None),
    "standard errors": lambda model: model.predict(QUERIES, return_std=True)[1],
    "intervals": lambda model: model.predict_interval(QUERIES, 0.8),
    "scaled intervals": lambda model: model.predict_interval(QUERIES, 0.8, scaled=True),
    "quantiles": lambda model: model.predict_quantiles(QUERIES),
    "residual variance": lambda model: model.residual_variance(QUERIES),
    "effective sample size": lambda model: model.effective_sample_size(QUERIES),
    "gradient": lambda model: model.gradient(QUERIES),
    "attention weights": lambda model: model.attention_weights(QUERIES),
    "attention weights of the rows": lambda model: np.asarray(model.attention_weights_),
}


@pytest.mark.parametrize(("first", "then"), list(permutations(["nearest", "mean", "nan"], 2)))
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_fallback_and_threads_changed_after_fit_act_as_after_a_refit(model, first, then):
    changed = clone(model).set_params(fallback=first).fit(X, Y)
    for ask in ASK.values():  # what it keeps must not tell
        ask(changed)
    changed.set_params(fallback=then, n_jobs=2)
    refitted = clone(changed).fit(X, Y)
    for name, ask in ASK.items():
        np.testing.assert_array_equal(ask(changed), ask(refitted), err_msg=name)


def test_intervals_and_standard_errors_are_made_of_the_errors_that_are_predicted():
    model = NadarayaWatsonRegressor("boxcar", 0.8).fit(X, Y[:, 0])
    for fallback in ("nearest", "mean"):
        model.set_params(fallback=fallback)
        errors = Y[:, 0] - model.predict(None)
        want = np.sqrt(model.attention_weights(QUERIES[:10]) ** 2 @ errors**2)
        np.testing.assert_allclose(model.predict(QUERIES[:10], return_std=True)[1], want)


def test_threads_of_attention_changed_after_fit_change_no_result():
    model = AttentionRegressor(n_heads=2, random_state=0).fit(X, Y)

    def results():
        return [
            model.predict(QUERIES),
            model.predict(None),
            model.gradient(QUERIES),
            model.attention_weights(QUERIES),
            np.asarray(model.attention_weights_),
            model.effective_sample_size(QUERIES),
            model.extrapolates(QUERIES),
        ]

    alone = results()
    model.set_params(n_jobs=2)
    for got, want in zip(results(), alone, strict=True):
        np.testing.assert_array_equal(got, want)
