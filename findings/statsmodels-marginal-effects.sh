#!/usr/bin/env bash
# statsmodels 0.15.0: the marginal effects of a local constant KernelReg are 2/n of the slope
#
# One would expect: fit() returns the mean and the marginal effects, which are the derivatives of the mean.
# What happens: with one variable they are 2/n times the derivative, and with several all variables get the same
#   number.
# Seen: n = 60, slopes 2.452 and -0.714 by differences, 0.0817 and -0.0238 returned (the quotient is 2/60 = 0.0333 at
#   each); two variables with slopes of opposite signs have equal effects.
# Why it matters: effects shrink as the sample grows, so a large sample tells that nothing has an effect. Local lines
#   (reg_type="ll") return their own slopes instead.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'statsmodels==0.15.0' 'scipy==1.17.1' 'numpy==2.4.6' 'pandas==3.1.1'

"$folder/venv/bin/python" -W ignore - <<'END'
import numpy as np
from statsmodels.nonparametric.kernel_regression import KernelReg

rng = np.random.default_rng(0)
step = 1e-5
for n in (60, 600):
    x = rng.uniform(0, 5, n)
    model = KernelReg(2 * np.sin(x) + x, x, "c", "lc", bw=[0.3])
    at = np.array([1.0, 2.5])
    effects = model.fit(at)[1].ravel()
    slopes = (model.fit(at + step)[0] - model.fit(at - step)[0]) / (2 * step)
    print(n, "samples: effects", effects, "slopes", slopes, "quotient", effects / slopes, "2/n", 2 / n)
    assert np.allclose(effects / slopes, 2 / n, rtol=1e-4)

X = rng.uniform(0, 5, (60, 2))
model = KernelReg(X[:, 0] - 3 * X[:, 1], X, "cc", "lc", bw=[0.5, 0.5])
at = np.array([[2.5, 2.5]])
effects = model.fit(at)[1].ravel()
moves = step * np.eye(2)
slopes = [(model.fit(at + move)[0] - model.fit(at - move)[0])[0] / (2 * step) for move in moves]
print("two variables: effects", effects, "slopes", slopes)
assert effects[0] == effects[1] and slopes[0] > 0 > slopes[1]
END
