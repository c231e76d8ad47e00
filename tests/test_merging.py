"""Sums over blocks of samples, merged in any order, are those over all of them."""

from functools import reduce
from itertools import permutations

import numpy as np
import pytest
from definition import LOG_PROFILES
from problems import make_problem, names_of_serving

from sknw._algorithms import build
from sknw._fit._fit import Fit
from sknw._fit._predictions import fits_from_sums
from sknw._problem._definition import exact_sums, kernel_rows, nearest

N = 150
SOME_KERNELS = ["gaussian", "boxcar", "epanechnikov", "exponential", "cauchy"]
BANDWIDTHS = (0.05, 3.0, 300.0)  # the first lets most weights underflow
BLOCKS = {
    "by their kinds": np.split(np.arange(N), 3),
    "at random": np.array_split(np.random.default_rng(2).permutation(N), 3),
}


def make_rows(n_features):
    """Three kinds of rows, of very different ranges, places and weights; some are ties, some have no weight."""
    rng = np.random.default_rng(0)
    X = np.concatenate(
        [
            5 + 1e-3 * rng.normal(size=(N // 3, n_features)),
            20 * rng.normal(size=(N // 3, n_features)),
            rng.integers(0, 3, (N // 3, n_features)).astype(float),
        ]
    )
    X[N // 3 : N // 3 + 9] = X[-9:]
    weight = np.repeat([1e3, 1.0, 1e-3], N // 3) * rng.integers(0, 3, N) * rng.uniform(0.5, 1, N)
    return X, rng.normal(size=(N, 2)), weight


def make_queries(X, distances):
    """At rows and beside them, at the middle between two, and far away in all directions."""
    directions = np.abs(X).max() * np.random.default_rng(1).normal(size=(6, X.shape[1]))
    far = [distance * directions for distance in distances]
    return np.concatenate([X[::8], X[::8] + 0.1, (X[:8] + X[-8:]) / 2, *far])


def merge(parts, *basis):
    return reduce(lambda one, other: one.merge(other, *basis), parts)


def merged_in_any_order(parts, *basis):
    """Three merged parts, in every order, and two of them before the first."""
    for order in permutations(parts):
        yield merge(order, *basis)
    yield parts[0].merge(merge(parts[1:], *basis), *basis)


class Definition:
    """Sums over all rows, about the means of the keys, and how large the numbers are that they are made of."""

    def __init__(self, problem, queries):
        self.problem, self.queries = problem, queries
        self.rows, self.log_scale = kernel_rows(problem, queries)
        self.points = exact_sums(problem, queries).expansion_point
        shape, basis, distance = self.rows.shape, problem.basis, problem.distance
        keys, values = (np.tile(each, (len(queries), 1)) for each in (distance.keys, problem.rows.values))
        z = basis.seen_from(keys, np.repeat(self.points, shape[1], axis=0))
        # A variance below the least counts as none, and may be lost to rounding.
        margin = np.sqrt(problem.conditions.least_variances / 1e-9) if z.shape[1] else 0
        columns, sizes = basis.columns(values, z), basis.columns(np.abs(values), np.abs(z) + margin)
        self.sums, self.sizes = (
            np.einsum("mn,mnk->mk", self.rows, each.reshape(*shape, -1)) for each in (columns, sizes)
        )

    def assert_equals(self, sums, where):
        """In units of the total weight; the unit itself is known to the digits of its logarithm."""
        total = self.rows @ self.problem.rows.relative_weight
        reached = total > 0
        np.testing.assert_array_equal(sums.values[~reached], 0, err_msg=where)
        got = self.problem.basis.recentred(sums, self.points).values[reached]
        want, size, total = (each[reached] for each in (self.sums, self.sizes, total))
        error = np.abs(got / got[:, -1:] - want / total[:, None]) / np.maximum(size / total[:, None], 1e-300)
        assert error.max() < 1e-9, (where, np.flatnonzero(reached)[error.max(axis=1).argmax()], error.max())
        logs = sums.log_scale[reached] + np.log(got[:, -1]), self.log_scale[reached] + np.log(total)
        np.testing.assert_allclose(*logs, rtol=1e-9, atol=1e-9, err_msg=where)


@pytest.mark.parametrize(
    ("n_features", "degree", "kernel"),
    [
        *((1, degree, kernel) for degree in (0, 1, 2) for kernel in LOG_PROFILES),
        *((n_features, degree, kernel) for n_features, degree in ((2, 0), (2, 2), (3, 1)) for kernel in SOME_KERNELS),
    ],
)
def test_sums_of_blocks_are_those_of_all_rows(n_features, degree, kernel):
    X, y, weight = make_rows(n_features)
    for bandwidth in BANDWIDTHS:
        problem = make_problem(X, kernel, bandwidth, y=y, sample_weight=weight, degree=degree)
        queries = problem.distance.transform(make_queries(X, (1e3, 1e9, 1e17)))
        definition = Definition(problem, queries)
        for kind, blocks in BLOCKS.items():
            parts = [problem.take(block, problem.rows.frame) for block in blocks]
            for name in names_of_serving(problem):
                sums = [build(name, part).sums(queries) for part in parts]
                definition.assert_equals(merge(sums, problem.basis), f"{name} at {bandwidth}, {kind}")


@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.parametrize("n_features", [1, 3])
def test_means_of_blocks_are_those_of_all_rows(n_features, kernel):
    X, y, weight = make_rows(n_features)
    for bandwidth in BANDWIDTHS:
        problem = make_problem(X, kernel, bandwidth, y=y, sample_weight=weight)
        queries = problem.distance.transform(make_queries(X, (1e3, 1e9, 1e17)))
        fit = Fit(build("brute", problem))
        want, n_unreached = fits_from_sums(fit, exact_sums(problem, queries), queries, "nearest")
        for kind, blocks in BLOCKS.items():
            parts = [problem.take(block, problem.rows.frame) for block in blocks]
            for name in names_of_serving(problem):
                whole = merge([build(name, part).sums(queries) for part in parts], problem.basis)
                got, n_alone = fits_from_sums(fit, whole, queries, "nearest")
                assert n_alone == n_unreached
                where = f"{name} at {bandwidth}, {kind}"
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-9 * np.ptp(y), err_msg=where)


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "matern32"])
def test_the_order_of_blocks_changes_nothing(kernel, degree):
    X, y, weight = make_rows(1)
    for bandwidth in BANDWIDTHS:
        problem = make_problem(X, kernel, bandwidth, y=y, sample_weight=weight, degree=degree)
        queries = problem.distance.transform(make_queries(X, (1e3, 1e9, 1e17)))
        definition, blocks = Definition(problem, queries), BLOCKS["by their kinds"]
        for name in names_of_serving(problem):
            sums = [build(name, problem.take(block, problem.rows.frame)).sums(queries) for block in blocks]
            for whole in merged_in_any_order(sums, problem.basis):
                definition.assert_equals(whole, f"{name} at {bandwidth}")


@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS.keys())
@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_nearest_rows_of_blocks_are_those_of_all(n_features, blocks):
    X, y, weight = make_rows(n_features)
    problem = make_problem(X, "boxcar", 0.05, y=y, sample_weight=weight)
    queries = problem.distance.transform(make_queries(X, (1e3, 1e9, 1e17)))
    want = nearest(problem, queries)
    for name in names_of_serving(problem):
        parts = [build(name, problem.take(block, problem.rows.frame)).nearest(queries) for block in blocks]
        for whole in merged_in_any_order(parts):
            np.testing.assert_allclose(whole.squares, want.squares, rtol=1e-9, err_msg=name)
            np.testing.assert_allclose(whole.values, want.values, rtol=1e-9, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("metric", ["cityblock", "precomputed"])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "triangular"])
@pytest.mark.parametrize("blocks", BLOCKS.values(), ids=BLOCKS.keys())
def test_blocks_under_other_metrics(blocks, kernel, metric):
    X, y, weight = make_rows(2)
    Q = make_queries(X, (1e3,))  # further away, distances are not known to so many digits
    rows, at = (X, Q) if metric == "cityblock" else (np.linalg.norm(each[:, None] - X, axis=2) for each in (X, Q))
    for bandwidth in BANDWIDTHS:
        problem = make_problem(rows, kernel, bandwidth, y=y, sample_weight=weight, metric=metric)
        sums, nearests = [], []
        for block in blocks:
            brute = build("brute", problem.take(block, problem.rows.frame))
            points = brute.problem.distance.transform(at if metric == "cityblock" else at[:, block])
            sums.append(brute.sums(points))
            nearests.append(brute.nearest(points))
        queries = problem.distance.transform(at)
        definition, want = Definition(problem, queries), nearest(problem, queries)
        for whole in merged_in_any_order(sums, problem.basis):
            definition.assert_equals(whole, str(bandwidth))
        for whole in merged_in_any_order(nearests):
            np.testing.assert_allclose(whole.squares, want.squares, rtol=1e-9)
            np.testing.assert_allclose(whole.values, want.values, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
def test_a_block_without_weight_adds_nothing(kernel, degree):
    X, y, weight = make_rows(1)
    weight[: N // 3] = 0
    problem = make_problem(X, kernel, 3.0, y=y, sample_weight=weight, degree=degree)
    queries = problem.distance.transform(make_queries(X, (1e3, 1e9, 1e17)))
    want, definition = nearest(problem, queries), Definition(problem, queries)
    first, second = (problem.take(block, problem.rows.frame) for block in np.split(np.arange(N), [N // 3]))
    names = names_of_serving(first)
    assert {"brute"} <= set(names)
    for name in names:
        empty, other = build(name, first), build(name, second)
        definition.assert_equals(empty.sums(queries).merge(other.sums(queries), problem.basis), name)
        got = empty.nearest(queries).merge(other.nearest(queries))
        np.testing.assert_allclose(got.values, want.values, rtol=1e-9, atol=1e-15, err_msg=name)
