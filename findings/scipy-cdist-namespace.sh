#!/usr/bin/env bash
# SciPy 1.17.1: with array API support switched on, cdist still takes any array and answers in NumPy
#
# One would expect: with SCIPY_ARRAY_API=1 a function either stays in the library of its input or refuses it.
# What happens: scipy.special.softmax and logsumexp stay; scipy.spatial.distance.cdist converts, float32 to float64
#   too, and says nothing.
# Seen: cdist of two array-api-strict arrays is a float64 numpy.ndarray; softmax of one is an array-api-strict array.
# Why it matters: distance, kernel, softmax is three calls in a row for kernel sums, and the first one leaves the
#   library. On the CPU everything works; on a device it is a copy to the host or an error in production only.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'scipy==1.17.1' 'numpy==2.4.6' \
    'array-api-strict==2.6.1' 'array-api-compat==1.16.0'

SCIPY_ARRAY_API=1 "$folder/venv/bin/python" - <<'END'
import array_api_strict as xp
import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax

X = xp.asarray([[0.0, 1.0], [2.0, 3.0]], dtype=xp.float32)
distances = cdist(X, X)

print("cdist:", type(distances), distances.dtype, " softmax:", type(softmax(X)), softmax(X).dtype)
assert type(distances) is np.ndarray and distances.dtype == np.float64
assert type(softmax(X)) is type(X) and type(logsumexp(X)) is type(X) and softmax(X).dtype == xp.float32
END
