#!/usr/bin/env bash
# pandas 3.1.1 and scikit-learn 1.9.1: a missing date passes the check for missing values, as -9.2e18
#
# One would expect: check_array(frame, dtype=float), which refuses NaN, refuses NaT, or dates altogether.
# What happens: a frame of nothing but dates becomes ticks since 1970, and NaT the least integer, an ordinary number.
#   The unit of the tick is the column's: the same dates in nanoseconds are 1000 times those in microseconds. With a
#   column of numbers beside the dates the same call raises.
# Seen: three dates, one missing: 1.6e15, -9.2e18, 1.6e15; KNeighborsRegressor fits them, and asked for the very
#   dates in another unit it answers with a far neighbour.
# Why it matters: one gap makes the spread of the column 1e18, and any bandwidth that follows it makes all
#   predictions one number; a query in another unit (pandas 2 made nanoseconds) is far from every sample. No message
#   in either case.
# Source: numpy issue 8449 (open) has the cast of NaT.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6' 'pandas==3.1.1'

"$folder/venv/bin/python" - <<'END'
import pandas as pd
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils import check_array

gap = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", None, "2020-01-03"])})
numbers = check_array(gap, dtype=float, ensure_all_finite=True).ravel()
print("dates with a gap:", numbers)
assert numbers[1] == -(2.0**63) and numbers[0] > 1e15
try:
    check_array(gap.assign(area=1.0), dtype=float)
except TypeError as error:
    print("beside a number:", type(error).__name__)
else:
    raise AssertionError("dates beside a number did not raise")

days = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"])})
model = KNeighborsRegressor(1).fit(days, [1, 2, 3])
here, there = model.predict(days), model.predict(days.astype("datetime64[ns]"))
print("microseconds:", here, " nanoseconds:", there)
assert here.tolist() == [1, 2, 3] and there.tolist() == [3, 3, 3]
END
