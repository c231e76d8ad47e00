"""Arrays of other libraries: what goes in comes out, sums run where the samples lie, and what cannot refuses."""

import logging
import pickle
from functools import partial

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sknw import AttentionRegressor, Kernel, LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path
from sknw._algorithms.brute import _device_loop, _device_pairs
from sknw._algorithms.brute._device_formulas import FORMULAS, formula_of
from sknw._arrays import Device, device_of, to_numpy
from sknw._kernels import KERNELS

strict = pytest.importorskip("array_api_strict")
pytest.importorskip("array_api_compat")
pytest.importorskip("numpy", "2.0")  # with which array-api-strict moves arrays between devices

# NumPy has no access to it, as to a GPU.
DEVICE = Device("array_api_strict", "array_api_strict.Device('device1')")
ON_HOST = Device("array_api_strict", "array_api_strict.Device('CPU_DEVICE')")

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 3))
Y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 / 2 + 0.1 * rng.normal(size=120)
# Among the samples, at their rim, far outside, and very far outside.
Q = np.vstack([X[:9] + 0.1, 4 * X[:9], 1e4 * X[:3], 1e12 * X[:2]])

MODELS = [
    NadarayaWatsonRegressor(),
    NadarayaWatsonRegressor("exponential", [0.3, 0.5, np.inf]),
    NadarayaWatsonRegressor("epanechnikov", 0.6),
    NadarayaWatsonRegressor("boxcar", "gcv"),
    NadarayaWatsonRegressor("tricube", 1e-3, fallback="mean"),
    NadarayaWatsonRegressor("matern32", "aicc", clip=True),
    NadarayaWatsonRegressor("gaussian", 1e-4),
    LocalPolynomialRegressor(),
    LocalPolynomialRegressor("tricube", 2, 3.0, ridge=0.0),
    LocalPolynomialRegressor("logistic", 1, "aicc", ridge="auto"),
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*no training row in reach:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*ended at its bound:UserWarning"),
]


@pytest.fixture(autouse=True)
def _dispatch():
    with config_context(array_api_dispatch=True):
        yield


def answers(model, put, rows, labels, at, weight=None):
    """What a model gives for queries on a device, in NumPy; it lies where the samples do."""
    model = clone(model).fit(put(rows), put(labels), None if weight is None else put(weight))
    fit, std = model.predict(put(at), return_std=True)
    given = [model.predict(put(at)), model.predict(None), model.attention_weights(put(at)), fit, std]
    for each in given:
        assert device_of(each) == device_of(put(at))
        assert to_numpy(each).dtype == rows.dtype
    return model, [to_numpy(each) for each in given]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("device", [DEVICE, ON_HOST], ids=["device", "host"])
def test_answers_are_those_of_numpy(device, model, dtype):
    # From very far, directions decide that no single precision tells; and there is no standard error of a line.
    at = Q[:-2] if model.bandwidth == 1e-4 or isinstance(model, LocalPolynomialRegressor) else Q
    weight = np.arange(120) % 3 * 1.0
    rows, at = X.astype(dtype), at.astype(dtype)
    host, want = answers(model, np.asarray, rows, Y.astype(dtype), at, weight)
    there, got = answers(model, device.put, rows, Y.astype(dtype), at, weight)
    assert there.inner_loop_ == ("device" if device == DEVICE else "numpy")
    np.testing.assert_allclose(to_numpy(there.bandwidth_), host.bandwidth_, rtol=1e-9 if dtype is np.float64 else 1e-4)
    limit = (1e-9 if dtype is np.float64 else 1e-4) * np.ptp(Y)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=limit)


def test_several_outputs():
    labels = np.c_[Y, -Y, np.ones(120)]
    _, want = answers(NadarayaWatsonRegressor(bandwidth=0.4), np.asarray, X, labels, Q)
    _, got = answers(NadarayaWatsonRegressor(bandwidth=0.4), DEVICE.put, X, labels, Q)
    many = NadarayaWatsonRegressor(bandwidth=0.4).fit(DEVICE.put(X), DEVICE.put(np.tile(labels, 5)))
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
    np.testing.assert_allclose(to_numpy(many.predict(DEVICE.put(Q)))[:, :3], want[0], rtol=1e-12, atol=1e-12)


def test_labels_and_weights_follow_the_samples():
    weight = np.arange(120) % 3
    want = NadarayaWatsonRegressor(bandwidth=0.4).fit(X, Y, weight).predict(Q)
    for put in (np.asarray, DEVICE.put, np.ndarray.tolist):
        model = NadarayaWatsonRegressor(bandwidth=0.4).fit(DEVICE.put(X), put(Y), put(weight))
        np.testing.assert_allclose(to_numpy(model.predict(DEVICE.put(Q))), want, rtol=1e-12)
    model = NadarayaWatsonRegressor(bandwidth=0.4).fit(X, DEVICE.put(Y), DEVICE.put(weight))
    np.testing.assert_array_equal(model.predict(Q), want)


def test_everything_else_comes_back_too():
    host = LocalPolynomialRegressor(bandwidth=0.5).fit(X, Y)
    there = LocalPolynomialRegressor(bandwidth=0.5).fit(DEVICE.put(X), DEVICE.put(Y))
    for name in (
        "residual_variance",
        "predict_interval",
        "predict_quantiles",
        "effective_sample_size",
        "nearest_distance",
        "extrapolates",
        "gradient",
        "local_slope",
    ):
        got = getattr(there, name)(DEVICE.put(Q[:9]))
        assert device_of(got) == DEVICE, name
        np.testing.assert_allclose(to_numpy(got), getattr(host, name)(Q[:9]), rtol=1e-6, atol=1e-9, err_msg=name)
    weights = there.attention_weights(DEVICE.put(Q[:9]), sparse=True)  # SciPy's sparse arrays are NumPy's
    np.testing.assert_allclose(weights.toarray(), host.attention_weights(Q[:9]), atol=1e-9)
    assert there.score(DEVICE.put(X), DEVICE.put(Y)) == pytest.approx(host.score(X, Y))
    want = bandwidth_path(X, Y, [0.2, 0.4])
    np.testing.assert_allclose(bandwidth_path(DEVICE.put(X), DEVICE.put(Y), [0.2, 0.4]).scores, want.scores)


# ---- where things are


def test_another_place_is_an_error_and_a_model_can_move(caplog):
    model = NadarayaWatsonRegressor().fit(X, Y)
    sentence = r"NadarayaWatsonRegressor.predict\(\) must use the same namespace.*device1.*model.to_device\(X\)"
    with pytest.raises(ValueError, match=sentence):
        model.predict(DEVICE.put(Q))
    with caplog.at_level(logging.DEBUG, "sknw"):
        there = model.to_device(DEVICE.put(Q))
    assert "Inner loop: device" in caplog.text
    assert (model.inner_loop_, there.inner_loop_) == ("numpy", "device")
    assert device_of(there.bandwidth_) == DEVICE
    np.testing.assert_allclose(to_numpy(there.predict(DEVICE.put(Q))), model.predict(Q), rtol=1e-12)
    for other in (Q, Q.tolist(), ON_HOST.put(Q)):
        with pytest.raises(
            ValueError, match="fit\\(\\) got an array of array_api_strict on .*, and predict\\(\\) one of"
        ):
            there.predict(other)
    back = there.to_device(Q)
    np.testing.assert_array_equal(back.predict(Q), model.predict(Q))
    with pytest.raises(NotFittedError):
        NadarayaWatsonRegressor().to_device(Q)


def test_without_dispatch_a_model_takes_and_gives_numpy():
    there = NadarayaWatsonRegressor(bandwidth=0.4).fit(DEVICE.put(X), DEVICE.put(Y))
    want = to_numpy(there.predict(DEVICE.put(Q)))
    with config_context(array_api_dispatch=False):
        np.testing.assert_array_equal(there.predict(Q), want)


def test_a_pickle_sums_on_its_device_or_says_that_it_is_not_there():
    there = NadarayaWatsonRegressor(bandwidth=0.4).fit(DEVICE.put(X), DEVICE.put(Y))
    again = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(to_numpy(again.predict(DEVICE.put(Q))), to_numpy(there.predict(DEVICE.put(Q))))
    with pytest.raises(ValueError, match="There is no device device9 of array_api_strict"):
        Device("array_api_strict", "device9").put(X)


def test_arrays_go_and_come():
    assert device_of(X) is device_of(X.tolist()) is device_of(None) is device_of(X[0, 0]) is None
    given = DEVICE.put(X[::-2, ::-1])
    np.testing.assert_array_equal(to_numpy(given), X[::-2, ::-1])
    own = X.copy()
    given = ON_HOST.put(own)
    own[:] = 0
    np.testing.assert_array_equal(to_numpy(given), X)
    single = Device("array_api_strict", "array_api_strict.Device('no_float64')")
    assert to_numpy(single.put(X)).dtype == np.float32
    assert (DEVICE.has_float64, single.has_float64) == (True, False)
    assert (ON_HOST.accelerator, DEVICE.accelerator) == (None, DEVICE)


def test_single_precision_alone():
    single = Device("array_api_strict", "array_api_strict.Device('no_float64')")
    rows = X.astype(np.float32)
    for model in (*MODELS[1:3], MODELS[3].set_params(bandwidth=0.8), MODELS[6]):
        want = clone(model).fit(rows, Y).predict(rows)
        there = clone(model).fit(single.put(rows), Y)
        np.testing.assert_allclose(to_numpy(there.predict(single.put(rows))), want, rtol=0, atol=1e-4 * np.ptp(Y))
    with pytest.raises(ValueError, match="lines and parabolas need double precision, which .* has not"):
        LocalPolynomialRegressor(bandwidth=1.0).fit(single.put(rows), Y)


def test_without_array_api_compat_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "array_api_compat", None)
    with pytest.raises(ImportError, match=r"scikit-nw\[array-api\]"):
        NadarayaWatsonRegressor().fit(DEVICE.put(X), Y)
    NadarayaWatsonRegressor(bandwidth=1.0).fit(X, Y)


# ---- refusals


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (NadarayaWatsonRegressor(lambda u: np.exp(-u), 1.0), "it needs one of the kernels 'gaussian', .*'<lambda>'"),
        (NadarayaWatsonRegressor(Kernel("own", np.exp), 1.0), "it needs one of the kernels 'gaussian', .*'own'"),
        (NadarayaWatsonRegressor(metric="cityblock", bandwidth=1.0), "it needs metric='euclidean', and.*'cityblock'"),
        (NadarayaWatsonRegressor(metric="cityblock"), "it needs metric='euclidean', and the metric is 'cityblock'"),
        (NadarayaWatsonRegressor(algorithm="tree", bandwidth=1.0), "'tree' .* does not run on a device: give it NumPy"),
        (NadarayaWatsonRegressor(algorithm="cells"), "'cells' .* does not run on a device: give it NumPy"),
        (NadarayaWatsonRegressor(bandwidth="ard"), "bandwidth='ard' does not run on a device: give it NumPy arrays"),
        (AttentionRegressor(), "AttentionRegressor does not run on a device: give it NumPy arrays"),
    ],
    ids=["function", "own", "metric", "metric and search", "tree", "cells", "ard", "attention"],
)
def test_what_does_not_run_on_a_device_refuses(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        model.fit(DEVICE.put(X), DEVICE.put(Y))


def test_learned_attention_is_asked_with_numpy():
    model = AttentionRegressor(metric="isotropic", n_heads=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"AttentionRegressor.predict\(\) must use the same namespace") as caught:
        model.predict(DEVICE.put(Q))
    assert "to_device" not in str(caught.value)
    assert not model.__sklearn_tags__().array_api_support


# ---- the loop


def test_a_search_on_a_device_looks_at_all_samples():
    rows = np.random.default_rng(1).normal(size=(2300, 2))
    labels = np.sin(3 * rows[:, 0])
    there = NadarayaWatsonRegressor("epanechnikov").fit(DEVICE.put(rows), labels)
    assert "drawn from" not in there.bandwidth_search_.message


def test_tiles_change_nothing(monkeypatch):
    fit = NadarayaWatsonRegressor(bandwidth=0.4).fit(DEVICE.put(X), Y)
    want = to_numpy(fit.predict(DEVICE.put(Q)))
    monkeypatch.setattr(_device_pairs, "_IN_TILE", 512)
    np.testing.assert_allclose(to_numpy(fit.predict(DEVICE.put(Q))), want, rtol=1e-14)
    lines = LocalPolynomialRegressor(bandwidth=0.8).fit(DEVICE.put(X), Y)
    want = to_numpy(lines.predict(DEVICE.put(Q[:9])))
    monkeypatch.setattr(_device_loop, "_TILE_NUMBERS", 4096)
    np.testing.assert_allclose(to_numpy(lines.predict(DEVICE.put(Q[:9]))), want, rtol=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_are_the_kernels(name):
    kernel = KERNELS[name.removesuffix(" squared")]
    kernel = kernel.square if name.endswith("squared") else kernel
    formula = formula_of(kernel)
    t = np.square(np.r_[np.linspace(0, 3, 301), 10.0, 26.0, 300.0])
    np.testing.assert_allclose(formula.profile(np, t), kernel.of_square(t.copy()), rtol=1e-13, atol=1e-300)
    assert (formula.log_ratio is None) == (kernel.log_ratio is None)
    if kernel.log_ratio is not None:
        t0 = np.array([[0.0], [2.0], [1e5]])
        np.testing.assert_allclose(formula.log_ratio(np, t0, t), kernel.log_ratio(t0, t), rtol=1e-12)


def test_the_formulas_are_all_of_the_table():
    assert {name for name in FORMULAS if " " not in name} == {kernel.name for kernel in KERNELS.values()}
    assert formula_of(Kernel("gaussian", np.exp)) is None


# ---- other libraries, where they are


def library(name):
    """A way to arrays of a library."""
    if name == "torch":
        return pytest.importorskip("torch").asarray
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["torch", "jax"])
@pytest.mark.parametrize("inner_loop", ["numpy", "device"])
def test_other_libraries(monkeypatch, inner_loop, name, dtype):
    if inner_loop == "device":  # as if the processor were an accelerator
        monkeypatch.setattr(Device, "accelerator", property(lambda device: device))
    put = library(name)
    for model in (MODELS[1], MODELS[2], MODELS[3], MODELS[7]):
        rows, at = X.astype(dtype), Q[:-2].astype(dtype)
        _, want = answers(model, np.asarray, rows, Y.astype(dtype), at)
        there, got = answers(model, lambda array: put(array.copy()), rows, Y.astype(dtype), at)
        assert there.inner_loop_ == inner_loop
        limit = (1e-9 if dtype is np.float64 else 1e-4) * np.ptp(Y)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=limit)


def test_what_torch_compiles_is_the_same(monkeypatch):
    torch = pytest.importorskip("torch")
    device = Device("array_api_compat.torch", "cpu")
    values = np.c_[Y, np.ones(120)]
    keys = _device_pairs.Keys(*(device.put(each) for each in (X.T, np.arange(120, dtype=np.int32), values.T)))
    task = _device_pairs.Task("sums", "gaussian", by_feature=True)
    make = partial(torch.compile, backend="eager")  # without a compiler of C++
    monkeypatch.setattr(torch, "compile", make)
    _device_pairs._compiled_by_torch.cache_clear()
    arguments = device.put(Q.T), device.put(np.full(len(Q), -1, np.int32)), device.put(np.zeros(len(Q)))
    factors = device.put(np.array([1.0, 2.0, 3.0]))
    got = _device_pairs._compiled_by_torch(device, task, "float64", 3, 2)(*arguments, factors, *keys)
    want = _device_pairs.function_of(device, task)(*arguments, factors, *keys)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b))
    _device_pairs._compiled_by_torch.cache_clear()
