"""What holds no numbers, or not always one, is refused in words that name the column, in any container."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context

from sknw import AttentionRegressor, LocalPolynomialRegressor, NadarayaWatsonRegressor, bandwidth_path

X = np.arange(12.0).reshape(6, 2)
Y = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.0])

FITS = {
    "mean": NadarayaWatsonRegressor(bandwidth=2.0).fit,
    "line": LocalPolynomialRegressor(bandwidth=2.0).fit,
    "attention": AttentionRegressor(n_heads=2, random_state=0).fit,
    "path": lambda X, y, sample_weight=None: bandwidth_path(X, y, [1.0, 2.0], sample_weight=sample_weight),
}
over_fits = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)


def of_objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


CONTAINERS = {
    "list": list,
    "array": of_objects,
    "series": lambda values: pd.Series(of_objects(values), index=range(10, 10 + len(values))),
    "frame": lambda values: pd.DataFrame({"a": of_objects(values)}),
    "two outputs": lambda values: np.c_[of_objects(values), of_objects([1] * len(values))],
    "frame of two": lambda values: pd.DataFrame({"a": [1.0] * len(values), "b": of_objects(values)}),
}
over_containers = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


# ---- targets


@over_fits
@over_containers
@pytest.mark.parametrize(
    ("gap", "message"),
    [
        (None, "Input y contains NaN"),
        (pd.NA, "Input y contains NaN"),
        (pd.NaT, "Input y contains NaN"),
        (float("nan"), "Input y contains NaN"),
        (Decimal("nan"), "Input y contains NaN"),
        (float("inf"), "Input y contains infinity"),
    ],
    ids=str,
)
def test_missing_targets_are_refused_among_objects_too(fit, container, gap, message):
    with pytest.raises(ValueError, match=message):
        fit(X, container([gap, *Y.tolist()[1:]]))


@pytest.mark.parametrize("y", [pd.array([1, None, 2, 3, 4, 5], dtype="Int64"), pl.Series([1, None, 2, 3, 4, 5])])
def test_missing_integers_are_refused(y):
    with pytest.raises(ValueError, match="Input y contains NaN"):
        NadarayaWatsonRegressor().fit(X, y)


@over_containers
@pytest.mark.parametrize("number", [float, int, Decimal, Fraction, np.float32, str], ids=lambda each: each.__name__)
def test_objects_that_are_numbers_are_numbers(container, number):
    def predict(y):
        return LocalPolynomialRegressor(bandwidth=2.0).fit(X, y).predict(X)

    y = container([number(each) for each in Y.astype(int).tolist()])
    want = predict(np.asarray(CONTAINERS["frame of two"](Y.tolist()))[:, 1].astype(float))
    got = predict(y)
    np.testing.assert_array_equal(got if got.ndim == 1 else got[:, [np.argmax(np.ptp(got, axis=0))]].ravel(), want)


def test_scores_refuse_missing_targets():
    model = NadarayaWatsonRegressor(bandwidth=2.0).fit(X, Y)
    with pytest.raises(ValueError, match="contains NaN"):
        model.score(X, of_objects([None, *Y[1:]]))


@over_fits
@pytest.mark.parametrize("times", [np.arange(6).astype("M8[D]"), np.arange(6).astype("m8[s]")], ids=["dates", "spans"])
def test_targets_that_are_times_are_refused(fit, times):
    for y in (times, times.tolist(), pd.Series(times.astype(times.dtype.str[:3] + "[ns]")), np.c_[times, times]):
        with pytest.raises(TypeError, match="Input y contains (dates|durations)"):
            fit(X, y)


@over_fits
def test_weights_that_are_times_or_missing_are_refused(fit):
    with pytest.raises(TypeError, match="Input sample_weight contains durations"):
        fit(X, Y, sample_weight=np.arange(6).astype("m8[s]"))
    for gap in (None, pd.NA):
        with pytest.raises(ValueError, match="Input sample_weight contains NaN"):
            fit(X, Y, sample_weight=of_objects([gap, 1, 1, 1, 1, 1]))


def test_words_as_targets_are_refused():
    with pytest.raises(
        ValueError, match="Input y contains text: could not convert string to float: 'a'.*OneHotEncoder"
    ):
        NadarayaWatsonRegressor().fit(X, list("abcabc"))


# ---- targets of rows without weight


SMOOTHERS = {
    "mean": NadarayaWatsonRegressor(),
    "compact": NadarayaWatsonRegressor("epanechnikov", 0.8),
    "line": LocalPolynomialRegressor(bandwidth="aicc"),
    "parabola": LocalPolynomialRegressor(degree=2),
    "attention": AttentionRegressor(n_heads=2, random_state=0),
}


@pytest.mark.parametrize("model", SMOOTHERS.values(), ids=SMOOTHERS)
@pytest.mark.parametrize("gap", [np.nan, np.inf, None], ids=str)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_target_without_weight_may_be_missing(model, gap, n_outputs, rng):
    rows, y = rng.uniform(size=(60, 2)), rng.normal(size=(60, n_outputs)) + 1e6
    y += 10 * rows[:, :1]
    there = np.arange(60) % 5 > 0
    gapped = y.astype(object)
    gapped[~there, 0] = gap
    if gap is not None:
        gapped = gapped.astype(float)
    queries = rng.uniform(size=(20, 2))
    model.fit(rows[there], y[there])
    want = model.predict(queries)
    model.fit(rows, gapped, sample_weight=there.astype(int))
    np.testing.assert_allclose(model.predict(queries), want, rtol=0, atol=1e-6)
    left_out = model.predict(None)
    assert np.isfinite(left_out).all()
    if hasattr(model, "predict_interval"):
        for result in model.predict(queries, return_std=True), model.predict_interval(queries, scaled=True):
            assert np.isfinite(result).all()


def test_a_path_ignores_targets_without_weight():
    gapped = np.where(Y == 5, np.nan, Y)
    got = bandwidth_path(X, gapped, [1.0, 3.0], sample_weight=(Y != 5).astype(float))
    want = bandwidth_path(X[Y != 5], Y[Y != 5], [1.0, 3.0])
    np.testing.assert_allclose(got.scores, want.scores)


@over_fits
def test_features_without_weight_may_not_be_missing(fit):
    # What a row is predicted from others needs its features.
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit(np.where(X == 3, np.nan, X), Y, sample_weight=np.arange(6) != 1)


# ---- times as features


DAYS = np.array(["2020-01-01", "2020-01-03", "2020-02-01", "2020-03-05", "2020-03-06", "2021-01-01"], dtype="M8[D]")
NUMBER = np.arange(6.0)

DATES = {
    "days": DAYS[:, None],
    "nanoseconds": DAYS[:, None].astype("M8[ns]"),
    "beside a number": np.c_[DAYS.astype(object), NUMBER],
    "numpy objects": np.c_[of_objects(list(DAYS)), NUMBER],
    "list": [[day] for day in DAYS.tolist()],
    "list of pandas": [[pd.Timestamp(day), 1.0] for day in DAYS],
    "frame": pd.DataFrame({"when": DAYS}),
    "frame with a number": pd.DataFrame({"x": NUMBER, "when": DAYS.astype("M8[us]")}),
    "zone": pd.DataFrame({"x": NUMBER, "when": pd.Series(DAYS).dt.tz_localize("Europe/Berlin")}),
    "dates only, with a zone": pd.DataFrame({"when": pd.Series(DAYS).dt.tz_localize("UTC")}),
    "missing": pd.DataFrame({"when": pd.Series(DAYS).where(NUMBER > 1)}),
    "objects": pd.DataFrame({"when": of_objects([dt.date(2020, 1, 1), None, *DAYS.tolist()[2:]]), "x": NUMBER}),
    "category": pd.DataFrame({"x": NUMBER, "when": pd.Categorical(pd.Series(DAYS))}),
    "periods": pd.DataFrame({"when": pd.Series(DAYS).dt.to_period("M"), "x": NUMBER}),
    "durations": pd.DataFrame({"when": DAYS - DAYS[0], "x": NUMBER}),
    "python durations": [[span, 1.0] for span in (DAYS - DAYS[0]).tolist()],
    "polars dates": pl.DataFrame({"when": DAYS.tolist(), "x": NUMBER}),
    "polars datetimes": pl.DataFrame({"x": NUMBER, "when": pl.Series([None, *DAYS.astype("M8[us]").tolist()[1:]])}),
    "polars durations": pl.DataFrame({"x": NUMBER, "when": (DAYS - DAYS[0]).tolist()}),
    "times of day": pd.DataFrame({"x": NUMBER, "when": of_objects([dt.time(hour) for hour in range(6)])}),
    "polars times": pl.DataFrame({"x": NUMBER, "when": [dt.time(hour) for hour in range(6)]}),
}
over_dates = pytest.mark.parametrize("table", DATES.values(), ids=DATES)


@over_fits
@over_dates
def test_times_are_refused(fit, table):
    column = "'when'" if hasattr(table, "columns") else "0"
    kinds = "(dates|periods|durations|times of day)"
    with pytest.raises(TypeError, match=rf"Input X contains {kinds} in column {column}, which are no numbers. Give "):
        fit(table, Y)


@over_dates
def test_queries_that_are_times_are_refused(table):
    n_features = len(table.columns) if hasattr(table, "columns") else np.shape(table)[1]
    rows = np.arange(6.0 * n_features).reshape(6, n_features)
    for model in (NadarayaWatsonRegressor(bandwidth=1.0), AttentionRegressor(n_heads=1)):
        model.fit(rows, Y)
        with pytest.raises(TypeError, match="Input X contains .* which are no numbers"):
            model.predict(table)


@over_dates
def test_the_remedy_for_times_works(table):
    with pytest.raises(TypeError) as refusal:
        NadarayaWatsonRegressor().fit(table, Y)
    remedy = str(refusal.value).split("Give ")[1].removesuffix(".")
    words, _, code = remedy.partition(": ")
    got = np.asarray(eval(code, {"pd": pd, "X": np.array(table, object) if isinstance(table, list) else table}))
    zone = getattr(getattr(table, "dtypes", {}).get("when") if isinstance(table, pd.DataFrame) else None, "tz", None)
    want = {
        "hours": np.arange(6.0),
        "days": (DAYS - DAYS[0]).astype(float),
        "days since 1970": np.array([pd.Timestamp(day, tz=zone or "UTC").timestamp() / 86_400 for day in DAYS]),
    }[words]
    if "periods" in str(refusal.value):
        want = DAYS.astype("M8[M]").astype("M8[D]").astype(float)
    known = np.isfinite(got)
    np.testing.assert_allclose(got[known], want[known], rtol=1e-12)
    assert known.sum() >= 4


# ---- other columns


def test_a_gap_is_told_with_its_column():
    table = pd.DataFrame({"age": NUMBER, "size": [1, 2, np.nan, 3, 4, 5]})
    for frame in (table, pl.from_pandas(table), table.astype({"size": "Int64"}), table.astype(object)):
        with pytest.raises(ValueError, match="Input X contains NaN in column 'size'."):
            NadarayaWatsonRegressor().fit(frame, Y)
    model = LocalPolynomialRegressor(bandwidth=1.0).fit(table[["age"]].assign(size=NUMBER**2), Y)
    with pytest.raises(ValueError, match="Input X contains NaN in column 'size'."):
        model.predict(table)
    with pytest.raises(ValueError, match="Input X contains infinity or a value .* in column 'size'."):
        model.predict(table.fillna(np.inf))
    with config_context(assume_finite=True):
        assert np.isnan(model.predict(table)).any()


@pytest.mark.parametrize("gap", [None, pd.NA, pd.NaT, np.nan], ids=str)
def test_a_gap_among_objects_is_a_gap(gap):
    rows = np.c_[of_objects([1.0, gap, 2.0, 3.0, 4.0, 5.0]), NUMBER]
    with pytest.raises(ValueError, match="Input X contains NaN in column 0"):
        NadarayaWatsonRegressor().fit(rows, Y)


@pytest.mark.parametrize("column", [pd.Series(NUMBER), pd.Series([1, 2] * 3), pl.Series(NUMBER), NUMBER.astype(object)])
def test_one_column_is_no_table(column):
    with pytest.raises(ValueError, match="2-?[dD]"):
        NadarayaWatsonRegressor().fit(column, Y)


def test_tables_of_pyarrow():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"x": NUMBER, "size": NUMBER**2})
    got = NadarayaWatsonRegressor(bandwidth=1.0).fit(table, Y).predict(table)
    want = NadarayaWatsonRegressor(bandwidth=1.0).fit(np.c_[NUMBER, NUMBER**2], Y).predict(np.c_[NUMBER, NUMBER**2])
    np.testing.assert_array_equal(got, want)
    for columns in ({"when": DAYS}, {"x": NUMBER, "when": DAYS.astype("M8[us]")}):
        with pytest.raises(TypeError, match="Input X contains dates in column 'when', which are no numbers"):
            NadarayaWatsonRegressor().fit(pa.table(columns), Y)
    with pytest.raises(ValueError, match="Input X contains NaN in column 'size'"):
        NadarayaWatsonRegressor().fit(pa.table({"x": NUMBER, "size": [None, *NUMBER[1:]]}), Y)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        NadarayaWatsonRegressor().fit(X, pa.chunked_array([[None, 1, 2, 3, 4, 5]]))


def test_names_may_be_repeated():
    table = pd.DataFrame(np.c_[NUMBER, NUMBER], columns=["a", "a"])
    table.isetitem(1, list("abcabc"))
    with pytest.raises(ValueError, match="Input X contains text in column 'a': could not convert"):
        NadarayaWatsonRegressor().fit(table, Y)


@pytest.mark.parametrize("kind", ["str", "category", object])
def test_text_is_told_with_its_column_and_the_remedy(kind):
    table = pd.DataFrame({"size": NUMBER, "kind": list("abcabc")}).astype({"kind": kind})
    for frame in (table, pl.DataFrame({"size": NUMBER, "kind": list("abcabc")})):
        with pytest.raises(
            ValueError, match="text in column 'kind': could not convert string to float: 'a'.*OneHotEncoder"
        ):
            LocalPolynomialRegressor().fit(frame, Y)


def test_digits_and_bools_are_numbers():
    table = pd.DataFrame({"a": list("123456"), "b": of_objects([True, False] * 3), "c": pd.Categorical([1, 2] * 3)})
    got = NadarayaWatsonRegressor(bandwidth=1.0).fit(table, Y).predict(table)
    want = NadarayaWatsonRegressor(bandwidth=1.0).fit(np.c_[1:7, [1, 0] * 3, [1, 2] * 3], Y)
    np.testing.assert_array_equal(got, want.predict(np.c_[1:7, [1, 0] * 3, [1, 2] * 3]))


def test_other_objects_are_told_with_their_column():
    table = pd.DataFrame({"size": NUMBER, "span": pd.interval_range(0, 6)})
    with pytest.raises(TypeError, match="Input X contains objects in column 'span': .* not '.*Interval'"):
        NadarayaWatsonRegressor().fit(table, Y)
