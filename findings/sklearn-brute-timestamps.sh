#!/usr/bin/env bash
# scikit-learn 1.9.1: with a column of Unix seconds, a sixteenth column makes nearly every nearest neighbour wrong
#
# One would expect: NearestNeighbors in float64 finds, for a row of its own training set, that row.
# What happens: the default algorithm is a tree up to 15 features and brute force beyond (or where half of the rows
#   and more are asked for). Brute force takes |a|^2 + |b|^2 - 2 a.b without centring: at 1.6e9 its squared distances
#   are multiples of some 500, and all rows within 20 seconds are the same distance, 0, away.
# Seen: 1000 rows, a second apart: 15 features, all right; 16 features, 999 of 1000 wrong, with distance 0; centred,
#   right.
# Why it matters: kernel weights and kernel regression by KNeighborsRegressor(weights=...) take these distances.
#   Times, years in days, projected coordinates in metres are such columns, and float64 is held to be enough for
#   them.
# Source: scikit-learn issue 9354 is about float32, and was closed by computing that in float64.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import numpy as np
from sklearn.neighbors import NearestNeighbors

seconds = 1.6e9 + np.arange(1000.0)
others = np.random.default_rng(0).standard_normal((1000, 15))


def wrong(X):
    """How many rows do not find themselves, and how far they are told to be."""
    distances, rows = NearestNeighbors(n_neighbors=1).fit(X).kneighbors(X)
    return (rows[:, 0] != np.arange(1000)).sum(), distances.max()


X = np.column_stack([seconds, others])
print("15 features:", wrong(X[:, :15]), " 16 features:", wrong(X), " 16, centred:", wrong(X - X.mean(axis=0)))
assert wrong(X[:, :15])[0] == 0 and wrong(X)[0] > 900 and wrong(X - X.mean(axis=0))[0] == 0
END
