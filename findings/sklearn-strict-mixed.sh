#!/usr/bin/env bash
# scikit-learn 1.9.1 and array-api-strict 2.6.1: X and y of two libraries pass validation, and so does their product
#
# One would expect: with array API dispatch, validate_data(estimator, X, y) hands back X and y in one library, or
#   raises; and array-api-strict, made to catch mixed arithmetic, catches what slips through.
# What happens: each array is validated in its own library and handed back unmoved. A NumPy y on the left of an
#   operator then converts the strict array and answers in NumPy; only the other order raises.
# Seen: types after validation array_api_strict and numpy.ndarray; `y @ X` and `y * y_strict` are NumPy, `X.T @ y` is
#   a TypeError.
# Why it matters: targets and weights often stay in NumPy while X is on a device, which scikit-learn's own checks ask
#   estimators to take. Sums like y @ K then pass the strictest test there is, in NumPy, and fail on a device.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6' \
    'array-api-strict==2.6.1'

SCIPY_ARRAY_API=1 "$folder/venv/bin/python" -W ignore::DeprecationWarning - <<'END'
import array_api_strict as xp
import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

with config_context(array_api_dispatch=True):
    X, y = validate_data(BaseEstimator(), xp.ones((3, 2)), np.ones(3))

print("validated:", type(X), type(y), " y @ X:", type(y @ X))
assert type(X) is type(xp.ones(1)) and type(y) is np.ndarray
assert type(y @ X) is np.ndarray and type(y * xp.ones(3)) is np.ndarray
try:
    X.T @ y
except TypeError as error:
    print("X.T @ y:", error)
else:
    raise AssertionError("X.T @ y did not raise")
END
