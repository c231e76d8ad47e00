"""Tables: what users give as data, column by column, so that an error names the one that holds no numbers.

For `_validation.py`, where data are not in floats yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_NUMBERS = "biufc"

# What is no number though NumPy may read it as one, by the names of its classes; and the line that makes it one. A date
# would be read in the unit of its container, and a missing one as -9e18.
_TIMES = (
    (
        {"date", "datetime64"},
        "dates",
        "days since 1970: (pd.to_datetime({code}, utc=True) - pd.Timestamp(0, tz='UTC')) / pd.Timedelta(days=1)",
    ),
    ({"Period"}, "periods", "days since 1970: ({code}.dt.to_timestamp() - pd.Timestamp(0)) / pd.Timedelta(days=1)"),
    ({"timedelta", "timedelta64"}, "durations", "days: pd.to_timedelta({code}) / pd.Timedelta(days=1)"),
    ({"time"}, "times of day", "hours: [each.hour + each.minute / 60 for each in {code}]"),
)

_TEXT = (
    " Make columns of 0 and 1 of categories, with sklearn.preprocessing.OneHotEncoder(sparse_output=False); of dates, "
    "numbers of days, with pandas.to_datetime."
)


class _Column(NamedTuple):
    """A column of data: its values, where it is in words, and the code that gives it."""

    values: np.ndarray
    place: str
    code: str


def check_columns(X) -> None:
    """Refuse features that are no numbers."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):  # to take a column out of a wide table of pandas takes its time
        X = X.iloc[:, [dtype.kind not in _NUMBERS for dtype in X.dtypes]]
    for column in _columns(X, "X"):
        if np.isnan(_as_numbers(column, "X")).any():
            raise ValueError(f"Input X contains NaN{column.place}.")


def check_gaps(X) -> None:
    """Name the first column of a table without a finite number everywhere."""
    for column in _columns(X, "X"):
        numbers = _as_numbers(column, "X")
        if not np.isfinite(numbers).all():
            found = "NaN" if np.isnan(numbers).any() else f"infinity or a value too large for {numbers.dtype!r}"
            raise ValueError(f"Input X contains {found}{column.place}.")


def as_numbers(data, name: str):
    """Targets or weights in floats, NaN where one is missing. Numbers of NumPy are given back as they are."""
    columns = [_as_numbers(column, name).astype(np.float64) for column in _columns(data, name)]
    if not columns:
        return data
    return columns[0] if np.ndim(data) == 1 else np.stack(columns, axis=1)


def _columns(data, name: str) -> Iterator[_Column]:
    """The columns of a DataFrame, or of an array that holds something else than numbers."""
    if hasattr(data, "columns"):
        # Of polars, of PyArrow, or of pandas, where names may be repeated.
        each = getattr(data, "iter_columns", getattr(data, "itercolumns", None))
        names = getattr(data, "column_names", data.columns)
        for label, values in data.items() if each is None else zip(names, each(), strict=True):
            yield _Column(np.asarray(values), f" in column {label!r}", f"{name}[{label!r}]")
        return
    try:
        array = np.asarray(data)
    except ValueError:  # rows of different lengths, of which scikit-learn tells
        return
    if array.ndim == 1 and array.dtype.kind not in _NUMBERS:
        yield _Column(array, "", name)
    elif array.ndim == 2 and array.dtype.kind not in _NUMBERS:
        for k, values in enumerate(array.T):
            yield _Column(values, f" in column {k}", f"{name}[:, {k}]")


def _as_numbers(column: _Column, name: str) -> np.ndarray:
    """The values as numbers, NaN where one is missing."""
    values, types = column.values, {column.values.dtype.type}
    if values.dtype.kind in _NUMBERS:
        return values
    if values.dtype.kind not in "mM":
        values = np.array([np.nan if _is_missing(value) else value for value in values.tolist()], dtype=object)
        types = set(map(type, values))
    classes = {base.__name__ for each in types for base in each.__mro__}
    for names, words, remedy in _TIMES:
        if names & classes:
            give = remedy.format(code=column.code)
            raise TypeError(f"Input {name} contains {words}{column.place}, which are no numbers. Give {give}.")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        text = "str" in classes
        found = "text" if text else "objects"
        raise type(error)(f"Input {name} contains {found}{column.place}: {error}.{_TEXT if text else ''}") from error


def _is_missing(value) -> bool:
    """Whether a value is None, or does not say that it equals itself, as NaN, NaT and the NA of pandas."""
    same = value == value
    return value is None or (not same if isinstance(same, (bool, np.bool_)) else same is value)
