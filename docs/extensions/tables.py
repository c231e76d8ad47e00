"""The tables of the site, computed at each build: docs/generated/*.csv, which pages include."""

import csv
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
from scipy.integrate import quad

from sknw import KERNELS, LocalPolynomialRegressor, NadarayaWatsonRegressor

DOCS = Path(__file__).parents[1]
DATA = DOCS.parent / "tests" / "data"
RESULTS = DOCS.parent / "benchmarks" / "results"

# Two kernels smooth alike with bandwidths in the ratio of their canonical ones (J. S. Marron and D. Nolan 1988).
FAR = 200


def canonical_bandwidth(kernel):
    """(R(K) / mu(K)**2)**(1/5) of a kernel with these moments: roughness, and variance."""
    mass, variance, roughness = (
        2 * quad(lambda u, p=p, q=q: u**p * kernel(u) ** q, 0, min(kernel.support, FAR), limit=500)[0]
        for p, q in ((0, 1), (2, 1), (0, 2))
    )
    return (roughness / mass**2 / (variance / mass) ** 2) ** (1 / 5)


def serves(name, algorithm):
    """Whether an algorithm serves a kernel, in one feature."""
    X = np.arange(5.0)[:, None]
    try:
        NadarayaWatsonRegressor(name, bandwidth=2.0, algorithm=algorithm).fit(X, X[:, 0])
    except ValueError:
        return "no"
    return "yes"


def kernels():
    """What is known of each kernel."""
    listed = re.search(r"kernel : .*?(?=bandwidth : )", NadarayaWatsonRegressor.__doc__, re.DOTALL)[0]
    formulas = dict(re.findall(r'"(\w+)" ([^,;]+)[,;]', listed))
    gaussian = canonical_bandwidth(KERNELS["gaussian"])
    yield "name", "K(u)", "zero beyond", "also called", "as wide as a Gaussian of 1", "cells", "tree"
    for name, kernel in KERNELS.items():
        if name == kernel.name:
            aliases = ", ".join(alias for alias, other in KERNELS.items() if other is kernel and alias != name)
            ends = "u = 1" if kernel.support == 1 else "never"
            alike = "" if name in ("constant", "cauchy") else f"{canonical_bandwidth(kernel) / gaussian:.2f}"
            yield name, formulas[name], ends, aliases, alike, serves(name, "cells"), serves(name, "tree")


def cases(name):
    """The cases of a file of reference numbers, and the file."""
    file = json.loads((DATA / f"{name}.json").read_text())
    return file["cases"], file


def table(name):
    """Columns of a data set, by name."""
    return np.genfromtxt(DATA / f"{name}.csv", delimiter=",", names=True)


def column(values):
    """One feature, or several, as a matrix."""
    return np.asarray(values, dtype=float).reshape(len(values), -1)


def textbook():
    """Predictions and the weights of one query."""
    every, file = cases("d2l_attention_pooling")
    X, y, queries = column(file["x"]), file["y"], column(file["x_query"])
    for case in every:
        kernel = "triangular" if case["kernel"].startswith("epan") else case["kernel"]
        model = NadarayaWatsonRegressor(kernel, case["sigma"]).fit(X, y)
        yield model.predict(queries), case["y_hat"], np.ptp(y)


def stata():
    """Predictions."""
    every, file = cases("stata_lpoly_ships")
    X, y, queries = column(file["X"]), file["y"], column(file["X_query"])
    for case in every:
        model = NadarayaWatsonRegressor(case["kernel"], float(case["bandwidth"])).fit(X, y)
        yield model.predict(queries), case["expected"], np.ptp(y)


def cars():
    """Speed and stopping distance."""
    data = table("cars")
    return column(data["speed"]), data["dist"]


def cut_gaussian(u):
    """The Gaussian of ksmooth."""
    return np.exp(-(u**2) / 2) * (u <= 4)


def ksmooth():
    """Predictions, but where there are none."""
    X, y = cars()
    for case in cases("ksmooth_cars")[0]:
        normal = case["kernel"] == "normal"
        kernel, factor = (cut_gaussian, 0.3706506) if normal else ("boxcar", 0.5)
        want = np.array(case["y"], dtype=float)
        known = np.isfinite(want)
        model = NadarayaWatsonRegressor(kernel, factor * case["bandwidth_R"]).fit(X, y)
        yield model.predict(column(case["x"])[known]), want[known], np.ptp(y)


LOCFIT = {"gauss": "gaussian", "tcub": "tricube", "epan": "epanechnikov", "rect": "boxcar", "bisq": "biweight"}


def locfit(degree):
    """Predictions, and the effective degrees of freedom."""
    X, y = cars()
    for case in cases("locfit_cars")[0]:
        if case["kernel"] in LOCFIT and case["degree"] == degree:
            bandwidth = case["h"] / (2.5 if case["kernel"] == "gauss" else 1)
            model = LocalPolynomialRegressor(LOCFIT[case["kernel"]], degree, bandwidth).fit(X, y)
            yield model.predict(column(case["x"])), case["pred"], np.ptp(y)
            yield model.attention_weights_.trace(), case["df1"], 1.0


def loess():
    """Predictions: its bandwidth is the distance to a share of the samples, another one for each query."""
    X, y = cars()
    for case in cases("loess_cars")[0]:
        if case["family"] == "gaussian":
            for x, want in zip(case["x"], case["pred"], strict=True):
                distances = np.sort(np.abs(X[:, 0] - x))
                bandwidth = float(distances[int(np.floor(len(X) * case["span"])) - 1])
                model = LocalPolynomialRegressor("tricube", case["degree"], bandwidth).fit(X, y)
                yield model.predict([[x]]), want, np.ptp(y)


def sm():
    """Predictions, with one feature and with two."""
    for case in cases("sm_regression")[0]:
        if case["data"].startswith("airquality"):
            air = table("airquality_complete")
            X, y = np.c_[air["Wind"], air["Temp"]], air["Ozone"]
        elif case["data"] == "cars":
            X, y = cars()
        else:
            data = table(case["data"])
            X, y = column(data["waiting"]), data["eruptions"]
        model = LocalPolynomialRegressor(degree=case["poly.index"], bandwidth=case["h_cv"]).fit(X, y)
        yield model.predict(column(case["eval"])), case["estimate"], np.ptp(y)


def r_np():
    """Predictions with one bandwidth a feature."""
    for case in cases("statsmodels_kernelreg_Rnp")[0]:
        if "R_r2" in case:
            model = LocalPolynomialRegressor(degree=case["degree"], bandwidth=case["R_bw"]).fit(case["X"], case["y"])
            yield model.predict(case["X"])[:5], case["R_mean_first5"], np.ptp(case["y"])


def fda_usc():
    """Matrices of weights."""
    for case in cases("skfda_fdausc")[0]:
        if case["id"].startswith("nw_hat"):
            X = column(case["X"])
            model = NadarayaWatsonRegressor(case["kernel"], float(case["bandwidth"])).fit(X, np.arange(len(X)))
            yield np.asarray(model.attention_weights_), case["expected_hat"], 1.0


# The system, what it gives and how exactly it is written down, and our numbers beside it.
COMPARISONS = (
    ("Dive into Deep Learning, section 11.2", "predictions of four kernels and bandwidths", "16 digits", textbook),
    ("R ksmooth (R 4.2.2)", "weighted means, two kernels", "15 digits", ksmooth),
    ("Stata lpoly, degree 0", "weighted means, five kernels", "6 decimals", stata),
    ("R fda.usc", "matrices of weights", "3 or 9 decimals", fda_usc),
    ("R np", "means and lines, two features", "5 decimals", r_np),
    ("R sm 2.2-5.7", "means and lines, one and two features", "15 digits", sm),
    ("R locfit 1.5-9.7, degree 0", "means, five kernels; degrees of freedom", "15 digits", partial(locfit, 0)),
    ("R locfit 1.5-9.7, degree 1", "lines, five kernels; degrees of freedom", "15 digits", partial(locfit, 1)),
    ("R locfit 1.5-9.7, degree 2", "parabolas, five kernels; degrees of freedom", "15 digits", partial(locfit, 2)),
    ("R loess (R 4.2.2), direct", "means, lines and parabolas", "15 digits", loess),
)


def accuracy():
    """The largest difference from each system."""
    yield "system", "what", "written to", "numbers", "largest difference"
    for system, what, digits, compare in COMPARISONS:
        differences = [np.ravel(np.abs(np.subtract(got, want)) / scale) for got, want, scale in compare()]
        every = np.concatenate(differences)
        yield system, what, digits, len(every), f"{every.max():.0e}"


def results(name):
    """The rows of a table that a benchmark printed, its header first, without those who did not take part."""
    lines = (RESULTS / f"{name}.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if not any("not run" in cell for cell in row)]


# Keeps a number and its unit on one line.
SPACE = "\N{NO-BREAK SPACE}"
KERNEL_NAMES = {"gauss": "gaussian", "epan": "epanechnikov", "tricube": "tricube", "exp": "exponential"}
DETAILS = {"f32": "float32", "f64": "float64", "row": "one query a call"}

# Errors of others are told where they are so many times ours.
TELLING = 100


def spoken_workload(name):
    """Features, kernel, samples, and what else there is to say of a workload."""
    features, kernel, *details = name.split("-")
    samples = next(part for part in details if part[0].isdigit())
    rest = "".join(f", {DETAILS.get(part, part)}" for part in details if part != samples)
    return features, KERNEL_NAMES[kernel] + rest, f"{float(samples):,.0f}"


def spoken_time(row):
    """The time of a contender, without that of fit."""
    return row[2].split(" (")[0].replace(" ", SPACE)


def spoken_error(row, ours):
    """The error of another, where it is worth telling."""
    number, _, lost = row[5].partition(",")
    is_telling = lost or (number and float(number) > TELLING * float(ours[5]))
    return f" (error{SPACE}{row[5]})" if is_telling else ""


def speed():
    """Times of fit and predict."""
    yield "features", "kernel", "samples", "sknw", "error", "without numba", "limit", "others"
    of_workload = {}
    for row in results("speed")[1:]:
        of_workload.setdefault(row[0], {})[row[1]] = row
    for workload, rows in of_workload.items():
        ours, slower = rows.pop("sknw"), rows.pop("sknw without numba", None)
        limit = next((rows.pop(name) for name in list(rows) if name.startswith("limit: ")), None)
        others = [f"{name.split(',')[0]}: {spoken_time(row)}{spoken_error(row, ours)}" for name, row in rows.items()]
        time, *more = (spoken_time(row) if row else "" for row in (ours, slower, limit))
        yield *spoken_workload(workload), time, ours[5], *more, "; ".join(others)


TASK_NAMES = {
    "loo": 'bandwidth, "loo"',
    "folds": "20 bandwidths, 5 folds",
    "thirty": "30 bandwidths that are given",
    "ard": "one bandwidth a feature",
    "gauss-line": "local lines, Gaussian",
    "epan-line": "local lines, Epanechnikov",
    "tricube-line": "local lines, tricube",
}


def searches():
    """Times of searches and local lines."""
    yield "features", "task", "samples", "by", "time", "times the first", "leave-one-out error"
    for task, contender, seconds, ratio, error in results("searches")[1:]:
        features, name, samples = re.fullmatch(r"(\d+)-(.*)-(\d+(?:e\d)?)", task).groups()
        yield features, TASK_NAMES[name], f"{float(samples):,.0f}", contender, seconds.replace(" ", SPACE), ratio, error


def threads():
    """Times by one thread and more, and the share of time under the lock."""
    yield from results("threads")


def devices():
    """Errors and times of arrays on a device, or only errors where there was none."""
    text = (RESULTS / "devices.md").read_text()
    columns = (0, 1, 2, 4, 5, 6) if "Asked of a GPU" in text else (0, 1, 2, 5, 6)
    for row in results("devices"):
        if row[5]:
            yield [row[k] for k in columns]


def coverage():
    """How often intervals and bands cover what they should."""
    yield "estimator", "noise", "samples", "interval", "scaled interval", "band: expected fit", "band: truth"
    for estimator, noise, samples, interval, _, scaled, _, expected, truth in results("coverage")[1:]:
        yield estimator.strip("`"), noise, samples, interval, scaled, expected, truth


def coverage_by_place():
    """What scaled intervals and quantiles cover in thirds of a feature."""
    yield "targets and noise", "degree", "scaled interval", "quantiles", "median off by"
    for case, degree, *numbers in results("coverage_by_place")[1:]:
        yield case, degree, *(SPACE.join(numbers[k : k + 3]) for k in (0, 3, 6))


LEARNERS = ("learned attention", "kernel ridge", "forest", "boosted trees", "neighbours", "process", "mean", "line")


def learning():
    """R² of learners on real tables."""
    yield "table", "samples", "features", *LEARNERS
    yield from results("learning")[1:]


FUNCTIONS = {
    "friedman": "Friedman #1",
    "turned": "turned directions",
    "wave": "wave",
    "quiet_wave": "wave, less noise",
    "noise": "only noise",
}


def functions():
    """R² of learned attention on functions that are known."""
    yield "function", "samples", "features", "options", "R²", "against the truth", "fit"
    for function, samples, features, options, noisy, true, seconds in results("functions")[1:]:
        options = f"``{options}``" if options else ""
        yield FUNCTIONS[function], samples, features, options, noisy, true, f"{seconds}{SPACE}s"


def setup(app):
    """Write all tables before pages are read."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}


def write(app):
    """Write all tables."""
    target = DOCS / "generated"
    target.mkdir(exist_ok=True)
    for each in (
        kernels,
        accuracy,
        speed,
        searches,
        threads,
        devices,
        coverage,
        coverage_by_place,
        learning,
        functions,
    ):
        with open(target / f"{each.__name__}.csv", "w", newline="") as file:
            csv.writer(file).writerows(each())
