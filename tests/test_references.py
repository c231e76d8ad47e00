"""Numbers of R, Stata, statsmodels and the textbook, see data/README.md."""

import json
from pathlib import Path

import numpy as np
import pytest

from sknw import LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path
from sknw._fit._equivalent_kernels import equivalent_kernels
from sknw._fit._gradient import error_gradient
from sknw._fit._standard_errors import SquaredWeights, fits_and_errors, local_fits_of_keys

DATA = Path(__file__).parent / "data"


def cases(name, keep=lambda case: True):
    return [case for case in json.loads((DATA / f"{name}.json").read_text())["cases"] if keep(case)]


def table(name):
    return np.genfromtxt(DATA / f"{name}.csv", delimiter=",", names=True)


def column(values):
    return np.asarray(values, dtype=float).reshape(len(values), -1)


CARS = table("cars")
SPEED, DIST = column(CARS["speed"]), CARS["dist"]


@pytest.mark.parametrize("case", cases("d2l_attention_pooling"), ids=lambda case: f"{case['kernel']} {case['sigma']}")
def test_textbook(case):
    data = json.loads((DATA / "d2l_attention_pooling.json").read_text())
    kernel = "triangular" if case["kernel"].startswith("epan") else case["kernel"]
    queries = column(data["x_query"])
    model = NadarayaWatsonRegressor(kernel, case["sigma"]).fit(column(data["x"]), data["y"])
    np.testing.assert_allclose(model.predict(queries), case["y_hat"], rtol=0, atol=1e-12)
    if "attention_row0" in case:
        np.testing.assert_allclose(model.attention_weights(queries[:1])[0], case["attention_row0"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", cases("stata_lpoly_ships"), ids=lambda case: case["stata_kernel"])
def test_stata_lpoly(case):
    data = json.loads((DATA / "stata_lpoly_ships.json").read_text())
    kernel = {"uniform": "boxcar"}.get(case["kernel"], case["kernel"])
    model = NadarayaWatsonRegressor(kernel, float(case["bandwidth"])).fit(column(data["X"]), data["y"])
    np.testing.assert_allclose(model.predict(column(data["X_query"])), case["expected"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", cases("ksmooth_cars"), ids=lambda case: f"{case['kernel']} {case['bandwidth_R']}")
def test_r_ksmooth(case):
    # The bandwidth of ksmooth is four times a quartile of its kernel, which it cuts off at four standard deviations.
    if case["kernel"] == "normal":
        bandwidth = 0.3706506 * case["bandwidth_R"]
        model = NadarayaWatsonRegressor(lambda u: np.exp(-(u**2) / 2) * (u <= 4), bandwidth)
    else:
        model = NadarayaWatsonRegressor("boxcar", case["bandwidth_R"] / 2)
    model.set_params(fallback="nan").fit(SPEED, DIST)
    want = np.array(case["y"], dtype=float)
    if np.isnan(want).any():
        with pytest.warns(UserWarning, match="no training row in reach"):
            got = model.predict(column(case["x"]))
    else:
        got = model.predict(column(case["x"]))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


LOCFIT = {"gauss": "gaussian", "tcub": "tricube", "epan": "epanechnikov", "rect": "boxcar", "bisq": "biweight"}


@pytest.mark.parametrize(
    "case",
    cases("locfit_cars", lambda case: case["kernel"] in LOCFIT),
    ids=lambda case: f"{case['kernel']} {case['h']} degree {case['degree']}",
)
def test_r_locfit(case):
    bandwidth = case["h"] / (2.5 if case["kernel"] == "gauss" else 1)
    model = LocalPolynomialRegressor(LOCFIT[case["kernel"]], case["degree"], bandwidth).fit(SPEED, DIST)
    weights = model.attention_weights(SPEED)
    digits = 1e-11 if case["degree"] < 2 else 1e-6
    np.testing.assert_allclose(model.predict(column(case["x"])), case["pred"], rtol=0, atol=digits)
    np.testing.assert_allclose(model.predict(SPEED), case["fitted"], rtol=0, atol=digits)
    # The cross-validated fit of locfit is a first-order one, f - h r instead of f - h / (1 - h) r.
    fit, own = model.predict(SPEED), model.attention_weights_.diagonal()
    np.testing.assert_allclose(fit - own * (DIST - fit), case["loo_fitted"], rtol=0, atol=100 * digits)
    clear = own < 0.99
    left_out = fit - own / (1 - own + ~clear) * (DIST - fit)
    np.testing.assert_allclose(left_out[clear], model.predict(None)[clear], rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.attention_weights_.trace(), case["df1"], rtol=digits)
    np.testing.assert_allclose(np.square(weights).sum(), case["df2"], rtol=digits)


@pytest.mark.parametrize(
    "case",
    cases("locfit_cars", lambda case: case["kernel"] in LOCFIT),
    ids=lambda case: f"{case['kernel']} {case['degree']} {case['h']}",
)
def test_r_locfit_standard_errors(case):
    # Those of labels whose standard deviation is one: the lengths of the rows of weights.
    bandwidth = case["h"] / (2.5 if case["kernel"] == "gauss" else 1)
    model = LocalPolynomialRegressor(LOCFIT[case["kernel"]], case["degree"], bandwidth).fit(SPEED, DIST)
    fit, tolerance = model._fit, 1e-6 if case["degree"] == 2 else 1e-11
    queries = fit.problem.distance.transform(column(case["x"]))
    np.testing.assert_allclose(model.predict(column(case["x"])), case["pred"], rtol=tolerance)
    squared = SquaredWeights.of(fit, np.ones(len(DIST)))
    got = fits_and_errors(fit, [squared], queries, "raise")[1][:, 0]
    np.testing.assert_allclose(got, case["se"], rtol=tolerance)


def residual_variances(rows, degree, vce):
    """The variances of labels that nprobust takes, from residuals of the fit about the query."""
    reached, n_terms = rows.weights[0] != 0, degree + 1
    factor = {
        "hc0": 1,
        "hc1": reached.sum() / (reached.sum() - n_terms),
        "hc2": 1 / (1 - rows.leverages[0]),
        "hc3": 1 / (1 - rows.leverages[0]) ** 2,
    }
    return rows.residuals[0, :, 0] ** 2 * factor[vce]


@pytest.mark.parametrize(
    "case", cases("nprobust_cars_hc"), ids=lambda case: f"{case['kernel']} {case['degree']} {case['vce']}"
)
def test_nprobust(case):
    kernel = {"uniform": "boxcar"}.get(case["kernel"], case["kernel"])
    model = LocalPolynomialRegressor(kernel, case["degree"], case["bandwidth"]).fit(SPEED, DIST)
    fit, problem = model._fit, model._fit.problem
    np.testing.assert_allclose(model.predict(column(case["X_query"])), case["estimate"], rtol=1e-9)
    for query, want in zip(problem.distance.transform(column(case["X_query"])), case["se"], strict=True):
        at = query[None]
        rows = local_fits_of_keys(problem, equivalent_kernels(problem, fit.algorithm.sums(at), at), at, "raise")
        squared = SquaredWeights.of(fit, np.sqrt(residual_variances(rows, case["degree"], case["vce"])))
        _, errors, _ = fits_and_errors(fit, [squared], at, "raise")
        np.testing.assert_allclose(errors[0, 0], want, rtol=1e-9)


@pytest.mark.parametrize("case", cases("sm_regression"), ids=lambda case: f"{case['data']} degree {case['poly.index']}")
def test_r_sm(case):
    if case["data"].startswith("airquality"):
        air = table("airquality_complete")
        X, y = np.c_[air["Wind"], air["Temp"]], air["Ozone"]
    else:
        data = table(case["data"])
        X, y = (SPEED, DIST) if case["data"] == "cars" else (column(data["waiting"]), data["eruptions"])
    model = LocalPolynomialRegressor(degree=case["poly.index"], bandwidth=case["h_cv"]).fit(X, y)
    np.testing.assert_allclose(model.predict(column(case["eval"])), case["estimate"], rtol=1e-10)
    if case["data"] != "faithful" and "airquality" not in case["data"]:
        error = case["sigma"] * np.sqrt(np.square(model.attention_weights(column(case["eval"]))).sum(axis=1))
        np.testing.assert_allclose(error, case["se"], rtol=1e-10)
    # Its searches are over coarse grids: ours must do at least as well.
    for criterion, wanted in (("loo", case["h_cv"]), ("aicc", case["h_aicc"])):
        ours = LocalPolynomialRegressor(degree=case["poly.index"], bandwidth=criterion).fit(X, y).bandwidth_search_
        theirs = bandwidth_path(X, y, np.reshape(wanted, (1, -1)), degree=case["poly.index"], criterion=criterion)
        assert ours.best_score <= theirs.best_score + 1e-9 * abs(theirs.best_score)


@pytest.mark.parametrize(
    "case", cases("statsmodels_kernelreg_Rnp", lambda case: "R_r2" in case), ids=lambda case: case["id"]
)
def test_r_np_and_statsmodels(case):
    model = LocalPolynomialRegressor(degree=case["degree"], bandwidth=case["R_bw"]).fit(case["X"], case["y"])
    np.testing.assert_allclose(model.predict(case["X"])[:5], case["R_mean_first5"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["cc_lc_cvls", "cc_ll_cvls"])
def test_r_np_cross_validation(name):
    case = next(case for case in cases("statsmodels_kernelreg_Rnp") if case["id"] == name)
    theirs = bandwidth_path(case["X"], case["y"], [case["R_bw"]], degree=case["degree"])
    if "naive_cv_value" in case["verified"]:
        np.testing.assert_allclose(theirs.best_score, case["verified"]["naive_cv_value"], rtol=1e-9)
    ours = LocalPolynomialRegressor(degree=case["degree"], bandwidth="ard").fit(case["X"], case["y"])
    # Ours is drawn to equal multiples of the spreads, which costs something where there are but 60 rows.
    assert ours.bandwidth_search_.best_score <= 1.002 * theirs.best_score
    np.testing.assert_allclose(ours.bandwidth_, case["R_bw"], rtol=0.05 if case["degree"] == 0 else 0.2)


@pytest.mark.parametrize(
    "case", cases("mlkr_objective", lambda case: "identity" in case["A_name"]), ids=lambda case: case["A_name"]
)
def test_metric_learn_mlkr(case):
    data = json.loads((DATA / "mlkr_objective.json").read_text())
    # The factor of its distances is A, without the half of the Gaussian's: A = 1 / (sqrt(2) h).
    factor = np.diag(case["A"])
    model = NadarayaWatsonRegressor(bandwidth=1 / (np.sqrt(2) * factor)).fit(data["X"], data["y"])
    n = len(data["y"])
    error, gradient, _ = error_gradient(model._fit.problem, np.arange(n))
    np.testing.assert_allclose(n * error, case["loss"], rtol=1e-10)
    np.testing.assert_allclose(-n * gradient.diagonal() / factor, np.diag(case["grad"]), rtol=1e-8)


@pytest.mark.parametrize(
    "case", cases("skfda_fdausc", lambda case: case["id"].startswith("nw_hat")), ids=lambda case: case["id"]
)
def test_r_fda_usc_hat_matrix(case):
    X = column(case["X"])
    model = NadarayaWatsonRegressor(case["kernel"], float(case["bandwidth"])).fit(X, np.arange(len(X)))
    tolerance = 1e-9 if case["id"] == "nw_hat_h10" else 6e-4  # the second is given to three decimals
    np.testing.assert_allclose(model.attention_weights_, case["expected_hat"], rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "case",
    cases("loess_cars", lambda case: case["family"] == "gaussian"),
    ids=lambda case: f"span {case['span']} degree {case['degree']}",
)
def test_r_loess(case):
    # Its bandwidth is the distance to a share of the rows: another one for each query.
    for x, want in zip(case["x"], case["pred"], strict=True):
        distances = np.sort(np.abs(SPEED[:, 0] - x))
        bandwidth = distances[int(np.floor(len(SPEED) * case["span"])) - 1]
        model = LocalPolynomialRegressor("tricube", case["degree"], float(bandwidth)).fit(SPEED, DIST)
        np.testing.assert_allclose(model.predict([[x]]), want, rtol=1e-9)
