#!/usr/bin/env bash
# kerneljax 0.1.0: one constant column makes every prediction of a local line 0
#
# One would expect: a column that is the same for all samples tells nothing, and changes nothing; or the singular
#   design is an error or NaN.
# What happens: with degree=1 the solution is zeros, at every query, and the fit goes through as usual; degree=0 is
#   right. A query far from all samples is 0 as well, in both degrees.
# Seen: without the column 2.59, 3.62; with it 0, 0; degree 0 with it 2.64, 3.59 as without.
# Why it matters: constant columns are common (a category of one level, a subset of the rows), and 0 is a value. A
#   local fit has to take a design without full rank for what it is.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'kerneljax==0.1.0' 'jax==0.10.2' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import jax.numpy as jnp
import kerneljax
import numpy as np

x = np.random.default_rng(0).uniform(0, 5, (60, 1))
y = jnp.asarray((2 * np.sin(x) + x).ravel())
at = np.array([[1.0], [2.5]])
none = jnp.zeros(0)


def fit(X, at, degree):
    bandwidth = kerneljax.Bandwidth(jnp.full(X.shape[1], 0.3), none, none)
    return np.asarray(kerneljax.local_poly(jnp.asarray(X), y, bandwidth, at=jnp.asarray(at), degree=degree).mean)


def with_column(X):
    return np.column_stack([X, np.full(len(X), 7.0)])


for degree in (0, 1):
    alone, beside = fit(x, at, degree), fit(with_column(x), with_column(at), degree)
    print("degree", degree, ":", alone, " with a constant column:", beside)
    assert np.allclose(beside, alone if degree == 0 else 0, atol=1e-4) and (alone > 2).all()
far = fit(x, np.array([[1000.0]]), 0)
print("far from all samples:", far)
assert far == 0
END
