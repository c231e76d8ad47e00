"""NadarayaWatsonRegressor is a scikit-learn estimator, and keeps its contracts."""

import copy
import io
import pickle
import re
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy
import sklearn
from cases import LABELS, TRAINING_ROWS, queries
from definition import LOG_PROFILES
from kernels import Decay
from sklearn.base import clone, is_regressor
from sklearn.datasets import make_regression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import RadiusNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator, parametrize_with_checks

from sknw import KERNELS, AttentionRegressor, Kernel, LocalPolynomialRegressor, NadarayaWatsonRegressor

# One of each class passes all checks of scikit-learn ...
CLASSES = [NadarayaWatsonRegressor(), LocalPolynomialRegressor(), AttentionRegressor(metric="isotropic", n_heads=1)]

# ... and of others those that another search, kernel, metric or degree might fail.
CONFIGURATIONS = [
    NadarayaWatsonRegressor("epanechnikov"),
    NadarayaWatsonRegressor(Decay()),
    NadarayaWatsonRegressor(metric="precomputed"),
    NadarayaWatsonRegressor(metric="cityblock"),
    NadarayaWatsonRegressor(bandwidth="aicc"),
    NadarayaWatsonRegressor(bandwidth="ard"),
    NadarayaWatsonRegressor(bandwidth="scott"),
    NadarayaWatsonRegressor("exponential", 0.5, n_jobs=2),
    LocalPolynomialRegressor("epanechnikov", 2, "scott"),
    LocalPolynomialRegressor(degree=0, metric="precomputed"),
    LocalPolynomialRegressor(bandwidth="ard", ridge=0.1),
    AttentionRegressor(n_heads=1),
    AttentionRegressor(degree=0, n_heads=1, n_rounds="gcv"),
]

# scikit-learn takes arrays of other libraries with SciPy 1.14 or later.
IS_OLD = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 14)
NOT_CHECKED = {"check_array_api_input": "SciPy is too old."} if IS_OLD else {}

X, Y = make_regression(80, 4, noise=5, random_state=0)
X /= X.std(axis=0)


@pytest.mark.usefixtures("inner_loop")
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")
@parametrize_with_checks(CLASSES, expected_failed_checks=lambda estimator: NOT_CHECKED)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


CHECKS = {
    # weights
    "check_all_zero_sample_weights_error",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
    # numbers and shapes
    "check_complex_data",
    "check_estimator_sparse_array",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_fit1d",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_non_negative",
    "check_n_features_in",
    "check_nonsquare_error",
    "check_requires_y_none",
    "check_supervised_y_no_nan",
    # parameters, tags and state
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_pickle",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
}


def checks_of_configurations():
    for estimator in CONFIGURATIONS:
        for each, check in estimator_checks_generator(estimator):
            if check.func.__name__ in CHECKS:
                yield pytest.param(each, check, id=f"{estimator}-{check.func.__name__}")


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")
@pytest.mark.parametrize(("estimator", "check"), list(checks_of_configurations()))
def test_checks_of_other_configurations(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
def test_check_estimator():
    check_estimator(NadarayaWatsonRegressor(bandwidth=1.0), expected_failed_checks=NOT_CHECKED)


def test_it_is_a_regressor():
    assert is_regressor(NadarayaWatsonRegressor())


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
@pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning")
def test_grid_search_over_kernel_and_bandwidth_in_a_pipeline():
    grid = {
        "nadarayawatsonregressor__kernel": ["gaussian", "epanechnikov", "cauchy"],
        "nadarayawatsonregressor__bandwidth": [0.1, 0.5, 1.0, "loo"],
    }
    pipeline = make_pipeline(StandardScaler(), NadarayaWatsonRegressor())
    search = GridSearchCV(pipeline, grid, cv=KFold(3, shuffle=True, random_state=0), n_jobs=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.3


def test_cross_validation_of_a_precomputed_metric_is_that_of_the_features():
    folds = KFold(4, shuffle=True, random_state=0)
    D = pairwise_distances(X)
    by_distance = cross_val_score(NadarayaWatsonRegressor(bandwidth=0.8, metric="precomputed"), D, Y, cv=folds)
    by_feature = cross_val_score(NadarayaWatsonRegressor(bandwidth=0.8), X, Y, cv=folds)
    np.testing.assert_allclose(by_distance, by_feature)


def skops_round_trip(model):
    import skops.io as sio

    data = sio.dumps(model)
    unknown = sio.get_untrusted_types(data=data)
    assert all(name.startswith(("sknw.", "kernels.")) for name in unknown)
    return sio.loads(data, trusted=unknown)


def joblib_round_trip(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize(
    "round_trip",
    [lambda m: pickle.loads(pickle.dumps(m)), joblib_round_trip, copy.deepcopy, skops_round_trip],
    ids=["pickle", "joblib", "deepcopy", "skops"],
)
@pytest.mark.parametrize(
    "model",
    [
        NadarayaWatsonRegressor(),
        NadarayaWatsonRegressor("triangular", [1.0, 2.0, 3.0, np.inf], fallback="mean"),
        NadarayaWatsonRegressor(Decay(), 1.0, metric="minkowski", metric_params={"p": 3}),
    ],
    ids=["default", "compact", "callable"],
)
def test_copies_predict_the_same_bits(model, round_trip):
    model = clone(model).fit(X, Y, np.arange(80) % 3)
    again = round_trip(model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.attention_weights(X), model.attention_weights(X))
    np.testing.assert_array_equal(again.predict(None), model.predict(None))


def test_a_pickle_holds_the_data_once():
    rows = np.random.default_rng(0).normal(size=(5000, 10))
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(rows, rows[:, 0])
    model.predict(rows)
    assert len(pickle.dumps(model)) < 1.3 * rows.nbytes


@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_predict_changes_nothing(kernel):
    model = NadarayaWatsonRegressor(kernel, 1.0).fit(X, Y)
    before = pickle.dumps(model)
    rows, labels = X.copy(), Y.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.predict(X)
        model.predict(None)
        model.attention_weights(X, sparse=True)
        model.attention_weights_.trace()
        repr(model)
    assert pickle.dumps(model) == before
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(labels, Y)


def test_the_fit_is_not_tied_to_the_arrays_that_it_got():
    rows, labels, weight = X.copy(), Y.copy(), np.ones(80)
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(rows, labels, weight)
    before = model.predict(X)
    rows[:], labels[:], weight[:] = 0, 0, 0
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("case", TRAINING_ROWS)
@pytest.mark.parametrize("kernel", LOG_PROFILES)
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
def test_weights_sum_to_one_and_means_lie_between_the_labels(kernel, case):
    rows = TRAINING_ROWS[case]
    at = queries(rows)
    for bandwidth in ("scott", 1e-6, 1e6):
        model = NadarayaWatsonRegressor(kernel, bandwidth).fit(rows, np.c_[LABELS, np.full(len(rows), 0.1)])
        weights = model.attention_weights(at)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
        assert (weights >= 0).all()
        predictions, constant = model.predict(at).T
        np.testing.assert_allclose(weights @ LABELS, predictions, rtol=0, atol=1e-10)
        assert predictions.min() >= LABELS.min()
        assert predictions.max() <= LABELS.max()
        np.testing.assert_array_equal(constant, 0.1)


@pytest.mark.parametrize("kernel", LOG_PROFILES)
def test_a_vanishing_bandwidth_is_the_nearest_neighbour_and_a_huge_one_the_mean(kernel):
    at = np.random.default_rng(0).normal(size=(30, 4))
    nearest = Y[pairwise_distances(at, X).argmin(axis=1)]
    model = NadarayaWatsonRegressor(kernel, 1e-12)
    if KERNELS[kernel].support == 1:
        with pytest.warns(UserWarning, match="Some queries have no training row in reach"):
            np.testing.assert_allclose(model.fit(X, Y).predict(at), nearest)
    elif kernel not in ("constant", "cauchy"):
        np.testing.assert_allclose(model.fit(X, Y).predict(at), nearest)
    for huge in (1e12, np.inf, [np.inf] * 4):
        model.set_params(bandwidth=huge).fit(X, Y)
        np.testing.assert_allclose(model.predict(at), Y.mean(), rtol=1e-9, atol=1e-7)


def test_far_queries_get_the_nearest_label_and_ties_are_averaged():
    model = NadarayaWatsonRegressor(bandwidth=0.1).fit([[0.0], [1.0], [1.0], [2.0]], [1.0, 2.0, 4.0, 9.0])
    far = np.array([[50.0], [1e6], [1e17], [1e300], [-1e300]])
    np.testing.assert_array_equal(model.predict(far), [9, 9, 9, 9, 1])
    np.testing.assert_array_equal(model.fit([[0.0], [1.0], [1.0]], [1, 2, 4]).predict(far[:4]), [3, 3, 3, 3])
    np.testing.assert_array_equal(model.fit([[-1.0], [1.0]], [1, 2]).predict([[0.0]]), [1.5])
    single = NadarayaWatsonRegressor(bandwidth=0.1).fit(np.float32([[0], [1]]), [1, 9])
    np.testing.assert_array_equal(single.predict(np.float32([[3e38], [-3e38]])), [9, 1])


def test_extreme_units():
    rows = np.arange(10.0)[:, None]
    want = NadarayaWatsonRegressor(bandwidth=0.5).fit(rows, rows[:, 0]).predict(rows + 0.3)
    for unit in (1e-300, 1e-200, 1e-9, 1e9, 1e200, 1e300):
        model = NadarayaWatsonRegressor(bandwidth=0.5 * unit).fit(rows * unit, rows[:, 0])
        np.testing.assert_allclose(model.predict((rows + 0.3) * unit), want, rtol=1e-9)


def test_a_row_without_weight_may_be_anywhere():
    rows, at = np.array([[1.0], [2.0], [3.0], [1e300]]), [[1.3], [2.6]]
    for kernel in ("gaussian", "triangular"):
        model = NadarayaWatsonRegressor(kernel, 0.5)
        want = model.fit(rows[:3], [1, 2, 4]).predict(at)
        np.testing.assert_allclose(model.fit(rows, [1, 2, 4, 8], [1, 1, 1, 0]).predict(at), want)


@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
def test_a_function_that_underflows_gives_no_made_up_mean():
    model = NadarayaWatsonRegressor(lambda u: np.exp(-(u**2) / 2), 1.0).fit([[0.0], [1e-4]], [1, 2])
    np.testing.assert_array_equal(model.predict([[38.5]]), [2])


@pytest.mark.parametrize("dtype", [int, bool, np.int8, object, np.float32])
def test_labels_become_floats(dtype):
    labels = (np.arange(80) % 2).astype(dtype)
    predictions = NadarayaWatsonRegressor(bandwidth=1.0).fit(X, labels).predict(X)
    assert predictions.dtype == np.float64
    assert (predictions % 1 > 0).any()


@pytest.mark.parametrize(("dtype", "kept"), [(np.float32, np.float32), (np.float64, np.float64), (int, np.float64)])
def test_the_dtype_of_the_rows_is_kept(dtype, kept):
    rows = (X * 10).astype(dtype)
    model = NadarayaWatsonRegressor(bandwidth=8.0).fit(rows, Y)
    assert model.predict(rows).dtype == model.predict(None).dtype == kept
    assert model.attention_weights(rows).dtype == model.attention_weights(rows, sparse=True).dtype == kept
    assert model.attention_weights_.dtype == model.attention_weights_.diagonal().dtype == kept


def test_shapes_of_labels():
    for labels in (Y, Y[:, None], np.c_[Y, -Y]):
        model = NadarayaWatsonRegressor(bandwidth=1.0).fit(X, labels)
        assert model.predict(X).shape == labels.shape == model.predict(None).shape
    np.testing.assert_allclose(model.predict(X)[:, 1], -model.predict(X)[:, 0])


def test_data_frames():
    want = NadarayaWatsonRegressor().fit(X, Y).predict(X)
    for frame in (pd.DataFrame(X, columns=list("abcd")), pl.DataFrame(X, schema=list("abcd"))):
        model = NadarayaWatsonRegressor().fit(frame, Y)
        np.testing.assert_array_equal(model.predict(frame), want)
        assert list(model.feature_names_in_) == list("abcd")
    labels = pd.Series(Y, index=np.arange(80)[::-1])
    model.fit(pd.DataFrame(X), labels, sample_weight=pd.Series(np.ones(80)))
    np.testing.assert_array_equal(model.predict(pd.DataFrame(X)), want)


def test_metadata_routing():
    weight = np.arange(80) % 3 + 0.5
    with sklearn.config_context(enable_metadata_routing=True):
        model = NadarayaWatsonRegressor(bandwidth=1.0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipeline.fit(X, Y, sample_weight=weight)
        scaled = pipeline[:-1].transform(X)
        want = NadarayaWatsonRegressor(bandwidth=1.0).fit(scaled, Y, weight).predict(scaled)
        np.testing.assert_array_equal(pipeline.predict(X), want)


@pytest.mark.parametrize("kernel", ["gaussian", "boxcar", "tricube"])
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
def test_weight_k_is_k_rows_and_weight_zero_is_none(kernel):
    counts = np.arange(80) % 4
    weighted = NadarayaWatsonRegressor(kernel, 0.4).fit(X, Y, counts)
    repeated = NadarayaWatsonRegressor(kernel, 0.4).fit(X.repeat(counts, axis=0), Y.repeat(counts))
    at = np.vstack([X, 1000 * X])  # far away a row without weight may be the nearest
    np.testing.assert_allclose(weighted.predict(at), repeated.predict(at), rtol=1e-10)
    assert (weighted.attention_weights(at)[:, counts == 0] == 0).all()


def test_a_boxcar_is_the_mean_of_the_neighbours_in_a_radius():
    near = X[:40] + 0.1
    ours = NadarayaWatsonRegressor("boxcar", 1.2).fit(X, Y).predict(near)
    theirs = RadiusNeighborsRegressor(radius=1.2).fit(X, Y).predict(near)
    np.testing.assert_allclose(ours, theirs)


@pytest.mark.parametrize(
    ("fallback", "want"), [("nearest", [3.0, 2.5]), ("mean", [2.0, 2.0]), ("nan", [np.nan, np.nan])]
)
def test_fallbacks(fallback, want):
    model = NadarayaWatsonRegressor("boxcar", 0.5, fallback=fallback).fit([[0.0], [1.0], [3.0]], [1, 2, 3])
    alone = "Some queries have no training row in reach of the kernel 'boxcar': "
    with pytest.warns(UserWarning, match=f"{alone}.*fallback='{fallback}'"):
        np.testing.assert_allclose(model.predict([[9.0], [2.0], [1.1]]), [*want, 2.0])
    with pytest.warns(UserWarning, match=alone):
        weights = model.attention_weights([[9.0], [2.0], [1.1]])
    np.testing.assert_allclose(weights @ [1, 2, 3], [*want, 2.0])
    with pytest.warns(UserWarning, match=alone):
        sparse = model.attention_weights([[9.0], [2.0], [1.1]], sparse=True)
    np.testing.assert_array_equal(sparse.toarray(), weights)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_a_search_over_narrow_bandwidths_has_one_text_of_warning(scoring):
    search = GridSearchCV(NadarayaWatsonRegressor("epanechnikov"), {"bandwidth": [0.1, 0.2, 0.3, 0.5]}, scoring=scoring)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, Y)
    (text,) = {str(each.message) for each in caught}
    assert not re.search(r"\d", text.replace("is 0", ""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*no training row in reach")
        search.fit(X, Y)


def test_the_fallback_can_raise():
    model = NadarayaWatsonRegressor("boxcar", 0.5, fallback="raise").fit([[0.0], [1.0]], [1, 2])
    np.testing.assert_array_equal(model.predict([[0.1]]), [1])
    for method in (model.predict, model.attention_weights):
        with pytest.raises(ValueError, match="no training row in reach of the kernel 'boxcar'.*fallback='raise'"):
            method([[9.0]])


def test_kernels_by_function_and_by_object():
    want = NadarayaWatsonRegressor("exponential", 1.0).fit(X, Y).predict(X)
    own = Kernel("own", Decay())
    for kernel in (Decay(), own, KERNELS["exponential"]):
        np.testing.assert_allclose(NadarayaWatsonRegressor(kernel, 1.0).fit(X, Y).predict(X), want)
    assert NadarayaWatsonRegressor("laplacian", 1.0).fit(X, Y).kernel_ is KERNELS["exponential"]


def test_the_functions_of_the_textbook():
    # Its kernels are functions of a signed distance; one of them returns booleans.
    textbook = {
        "gaussian": lambda x: np.exp(-(x**2) / 2),
        "boxcar": lambda x: np.abs(x) < 1.0,
        "constant": lambda x: 1.0 + 0 * x,
        "triangular": lambda x: np.maximum(1 - np.abs(x), np.zeros_like(x)),
    }
    at = X[:50] + 0.01
    for name, function in textbook.items():
        ours, theirs = (NadarayaWatsonRegressor(kernel, 2.0).fit(X, Y).predict(at) for kernel in (name, function))
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "exponential"])
@pytest.mark.parametrize("bandwidth", [1e-3, 1.0])
@pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning")
def test_predict_takes_memory_for_a_tile_only(kernel, bandwidth):
    rows = np.random.default_rng(0).normal(size=(2000, 6))  # all weights would take 32 MB
    model = NadarayaWatsonRegressor(kernel, bandwidth).fit(rows, rows[:, 0])
    tracemalloc.start()
    model.predict(rows)
    model.predict(None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_html_and_dir_are_instant():
    rows = np.random.default_rng(0).normal(size=(50_000, 2))
    model = NadarayaWatsonRegressor(bandwidth=1.0).fit(rows, rows[:, 0])
    # With 50 000 rows the weights would take 20 GB: not to compute them is the test.
    assert "NadarayaWatsonRegressor" in model._repr_html_()
    assert "attention_weights_" in dir(model)
    assert repr(model.attention_weights_) == "AttentionMatrix(shape=(50000, 50000), dtype=float64)"
