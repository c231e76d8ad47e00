"""The error budget: what the steps of an algorithm spend, together, is within what it promises."""

import numpy as np
import pytest
from cases import LABELS, TRAINING_ROWS, queries, spread
from definition import LOG_PROFILES, predict
from problems import make_problem, mean_of, serving

from sknw import _accuracy
from sknw._accuracy import PROMISE, PROMISE_SINGLE

# The steps that one sum goes through, each with a share of it.
STEPS = {
    "brute": (PROMISE, ["PRODUCT"]),
    "brute, single precision": (PROMISE_SINGLE, ["PRODUCT_SINGLE"]),
    "tree": (PROMISE, ["TREE_FAR_LEAVES", "TREE_FAR_KEYS", "TREE_SINGLE"]),
    "tree, a product": (PROMISE, ["TREE_PRODUCT"]),
    "tree, a hard query": (PROMISE, ["TREE_EXACT_SUMS"]),
    "cells, prefix sums": (PROMISE, ["PREFIX_SUMS"]),
    "cells, series": (PROMISE, ["CHEBYSHEV", "KERNEL_SERIES"]),
    "cells, key by key": (PROMISE, ["WINDOW"]),
    "polynomials": (PROMISE, ["VARIANCE"]),
    "polynomials of one feature": (PROMISE, ["VARIANCE_1D"]),
}


@pytest.mark.parametrize(("promise", "steps"), STEPS.values(), ids=STEPS.keys())
def test_the_steps_of_a_sum_share_what_it_promises(promise, steps):
    assert sum(getattr(_accuracy, step) for step in steps) <= promise * (1 + 1e-12)


def test_every_share_of_the_promise_is_spent_in_some_step():
    shares = {name for name in vars(_accuracy) if name.isupper() and not name.startswith("PROMISE")}
    steps = {step for _, steps in STEPS.values() for step in steps}
    assert steps <= shares
    # Others say when sums are made again, and what is no number.
    assert {name for name in shares - steps if 1e-16 < getattr(_accuracy, name) < PROMISE} <= {"TIED", "MEAN_SQUARE"}


@pytest.mark.usefixtures("any_inner_loop")
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("case", ["uniform, 1 feature", "lognormal, 3 features", "offset, 6 features"])
def test_means_keep_the_promise(case, kernel):
    X = TRAINING_ROWS[case]
    for multiple in (0.05, 0.4, 2.0):
        want = predict(LOG_PROFILES[kernel], queries(X), X, LABELS, multiple * spread(X))
        for name, fitted in serving(make_problem(X, kernel, multiple * spread(X))).items():
            got = mean_of(fitted, queries(X))
            np.testing.assert_allclose(got, want, rtol=0, atol=PROMISE * np.ptp(LABELS), err_msg=f"{name}, {multiple}")
